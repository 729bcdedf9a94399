"""After a fault: a masked record of what led to it, and the decision to go on or to end."""

import asyncio

from cluster_core.errors import LocalError
from cluster_core.inputs import Apply, Datagram, Opened, Operator, Received
from refserver import faults as module
from refserver.faults import FaultDesk, Recent, describe

from .fake_node import FakeNode
from .test_logs import ATTACH, HELLO, REGISTER
from .test_pump import host_of


def desk_of(tmp_path):
    closed, ended = [], []
    desk = FaultDesk(tmp_path, lambda host, conn, why: closed.append(conn), ended.append)
    return desk, closed, ended


def host(desk, whole=True):
    node = FakeNode(lambda now, input, out: None)
    node.whole = whole
    return host_of(node, watchers=[desk.watch("n1")])


def test_inputs_are_described_without_secrets():
    text = describe(Received(2, HELLO + ATTACH)) + describe(Datagram("sip", ("1", 1), REGISTER))
    assert "message RequestRegisterClient" in text
    assert "REGISTER sip:x" in text
    assert not any(secret in text for secret in ("hunter2", "4111", "swordfish"))
    assert describe(Received(2, HELLO[:4] + b"\x09" + HELLO[5:])).endswith("bytes, not decoded]")
    assert describe(Apply(())) == "Apply(0 changes)"
    assert describe(Operator("a\nb")) == "Operator(command='a\\nb', arguments=())"


def test_inputs_are_kept_within_bounds(monkeypatch):
    recent = Recent()
    for number in range(module.KEPT_INPUTS + 5):
        recent.saw_input(number, Operator("x"))
    recent.saw_outputs(0, [])
    lines = recent.lines()
    assert len(lines) == module.KEPT_INPUTS
    assert lines[0].startswith("5 ")
    monkeypatch.setattr(module, "KEPT_BYTES", 100)
    recent.saw_input(9, Received(2, bytes(90)))
    recent.saw_input(10, Received(2, bytes(90)))
    assert len(recent.lines()) == 1


def test_a_clean_node_goes_on_without_the_stream(tmp_path, capsys):
    async def run():
        desk, closed, ended = desk_of(tmp_path)
        h = host(desk)
        h.feed(Received(2, HELLO))
        desk.fault(h, Received(2, HELLO), ValueError("x"))
        desk.fault(h, Opened(4, "tlib", "1"), ValueError("x"))
        desk.fault(h, Operator("x"), ValueError("x"))
        assert (closed, ended) == ([2, 4], [])
        text = (sorted(tmp_path.iterdir())[0]).read_text()
        assert "ValueError: x" in text
        assert "message RequestRegisterClient" in text
        assert "hunter2" not in text

    asyncio.run(run())
    assert "details in" in capsys.readouterr().err


def test_a_broken_node_ends(tmp_path):
    async def run():
        desk, closed, ended = desk_of(tmp_path)
        desk.fault(host(desk, whole=False), Received(2, b""), ValueError("x"))
        assert (closed, ended) == ([], [70])

    asyncio.run(run())


def test_an_input_that_the_node_refuses_changes_nothing(tmp_path):
    async def run():
        desk, closed, ended = desk_of(tmp_path)
        h = host(desk)
        desk.fault(h, Received(2, b""), LocalError("no such stream"))
        assert (closed, ended, list(tmp_path.iterdir())) == ([], [], [])
        assert h.fault_kinds == {"refused input of ours": 1}

    asyncio.run(run())


def test_files_are_bounded_and_a_dead_disk_is_survived(tmp_path, monkeypatch, capsys):
    async def run():
        desk, _, _ = desk_of(tmp_path / "none")
        desk.fault(host(desk), Operator("x"), ValueError())
        monkeypatch.setattr(module, "MAX_FILES", 1)
        desk.fault(host(desk), Operator("x"), ValueError())

    asyncio.run(run())
    said = capsys.readouterr().err
    assert "could not be written: No such file" in said
    assert "no file after the first 1" in said
