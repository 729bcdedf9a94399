"""Journals: whole, private, read back to equal inputs; a failing disk costs the journal only."""

import io
import os

import pytest

from cluster_core.coordinator_records import (
    Claimed,
    ClaimedMany,
    How,
    Joined,
    Left,
    OwnerRecord,
    Refreshed,
    Released,
    ReleasedMany,
)
from cluster_core.dns_records import Found
from cluster_core.inputs import (
    Answered,
    Apply,
    Changed,
    Closed,
    Datagram,
    Opened,
    Operator,
    Received,
    Role,
    Timeout,
    WallClock,
    Writable,
)
from cluster_core.outputs import Change, Fault, Send, Subsystem
from cluster_core.settings import ClusterSettings
from refserver import replay as replay_module
from refserver.journal import (
    End,
    Head,
    Journal,
    JournalError,
    OutputDigest,
    create,
    make_directory,
    read_head,
    read_records,
)
from refserver.replay import main
from sip_proto import Naptr, Srv

from .fake_node import FakeNode

POINTER = Naptr(10, 20, "s", "SIP+D2T", "_sip._tcp.example.")
OWNER = OwnerRecord("n1", 3, How.SIP, 9)
INPUTS = [
    WallClock(1),
    Role(1, True),
    Opened(2, "tlib", "127.0.0.1:1"),
    Received(2, b"\x00\xff"),
    Writable(2, 5),
    Datagram("sip", ("127.0.0.1", 5060), b"OPTIONS"),
    Answered(1, Joined(1, 5_000_000, 3, (("1001", OWNER),))),
    Answered(2, Refreshed(True, 5)),
    Answered(3, Claimed("1001", OWNER, 4)),
    Answered(4, Released("1001", 4)),
    Answered(5, Left(4)),
    Answered(8, ClaimedMany((("1001", OWNER), ("1002", OWNER)), 4)),
    Answered(9, ReleasedMany(4)),
    Answered(6, None),
    Answered(7, Found(60_000_000, ("192.0.2.1",), (Srv(1, 2, 5060, "a.example."),), (POINTER,))),
    Changed("1001", None, 7),
    Changed("1001", OWNER, 8, (("1002", None), ("1003", OWNER))),
    Apply((Change("calls", "1", 1, b"x"), Change("calls", "1", 1, None))),
    Operator("link", ("n2", "down")),
    Closed(2, "gone"),
    Timeout(),
]
SETTINGS = ClusterSettings(name="c", realm="c", nodes=(), dns={})


def written(tmp_path, end=True) -> str:
    journal = create(tmp_path, SETTINGS, "n1", "a", b"seed", "1")
    node = FakeNode()
    for now, input in enumerate(INPUTS):
        out = []
        journal.saw_input(now, input)
        node.handle(now, input, out)
        journal.saw_outputs(now, out)
    journal.flush()
    if end:
        journal.end()
    (path,) = tmp_path.glob("n1-*.journal")
    if not end:
        journal._file.close()
    return str(path)


def test_a_journal_is_read_back_whole(tmp_path):
    path = written(tmp_path)
    with open(path, "rb") as file:
        head = read_head(file, path)
        records = list(read_records(file, path))
    assert (head.node, head.member, head.seed, head.holds_secrets) == ("n1", "a", b"seed".hex(), True)
    assert head.settings == SETTINGS
    assert records[:-1] == list(enumerate(INPUTS))
    assert isinstance(records[-1], End)
    assert records[-1].inputs == len(INPUTS)


def test_a_journal_is_its_owners_alone(tmp_path):
    assert os.stat(written(tmp_path)).st_mode & 0o777 == 0o600


def test_a_directory_that_others_may_write_to_is_refused(tmp_path):
    make_directory(tmp_path / "new")
    assert os.stat(tmp_path / "new").st_mode & 0o777 == 0o700
    (tmp_path / "new").chmod(0o777)
    with pytest.raises(JournalError, match="others may write there"):
        make_directory(tmp_path / "new")
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="no directory for journals"):
        make_directory(tmp_path / "file")
    with pytest.raises(JournalError, match="No such file"):
        create(tmp_path / "none", SETTINGS, "n1", "a", b"", "1")


def test_a_disk_that_fails_ends_the_journal_and_nothing_else():
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    head = Head(format=1, holds_secrets=True, node="n1", member="a", seed="", versions={}, settings=SETTINGS)
    journal = Journal(Full(), head)
    journal.saw_input(0, Timeout())
    journal.flush()
    journal.end()
    assert journal.failure == "No space left on device"


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"", "not a journal"), (b"{}\n", "not a journal"), (b"RIFF", "not a journal")],
)
def test_what_is_no_journal_is_refused(data, said):
    with pytest.raises(JournalError, match=said):
        read_head(io.BytesIO(data), "x")


def test_nonsense_in_a_journal_is_named_with_its_place():
    with pytest.raises(JournalError, match="a record of 4294967295 bytes at 0"):
        list(read_records(io.BytesIO(b"\xff\xff\xff\xff"), "x"))
    with pytest.raises(JournalError, match="record at 4"):
        list(read_records(io.BytesIO(b"\x00\x00\x00\x01\xc0"), "x"))
    assert list(read_records(io.BytesIO(b"\x00\x00\x00\x09\xc0"), "x")) == []


def test_replay_prints_the_same_every_time_and_compares_the_digest(tmp_path, monkeypatch, capfdbinary):
    path = written(tmp_path)
    monkeypatch.setattr(replay_module, "fresh_node", lambda head: FakeNode())
    assert main([path]) == 0
    first = capfdbinary.readouterr().out
    assert first == (b'{"input":4,"now":3,"output":"Send","subsystem":0,"conns":[2],"chunks":["AP8="]}\n')
    assert main([path]) == 0
    assert capfdbinary.readouterr().out == first
    assert main([path, "--digest"]) == 0
    assert len(capfdbinary.readouterr().out) == 65

    def other(now, input, out):
        out.append(Send(Subsystem.MAIN, (), ()))

    monkeypatch.setattr(replay_module, "fresh_node", lambda head: FakeNode(other))
    assert main([path, "--digest"]) == 1
    assert b"differ" in capfdbinary.readouterr().err


def test_replay_goes_on_after_a_fault_as_the_server_did(tmp_path, monkeypatch, capfdbinary):
    def broken(now, input, out):
        raise ZeroDivisionError

    path = written(tmp_path, end=False)
    monkeypatch.setattr(replay_module, "fresh_node", lambda head: FakeNode(broken))
    assert main([path]) == 0
    error = capfdbinary.readouterr().err
    assert error.count(b"ZeroDivisionError") == len(INPUTS)
    assert b"the journal has no end" in error


def test_replay_of_nothing_says_so(tmp_path, capsys):
    assert main([str(tmp_path / "none")]) == 2
    (tmp_path / "x").write_text("hello")
    assert main([str(tmp_path / "x")]) == 2
    assert "not a journal" in capsys.readouterr().err


def test_the_digest_takes_in_texts_with_octets_that_are_none():
    digests = []
    for text in ("IC\udcffN", "IC\udcfeN"):
        digest = OutputDigest()
        digest.add([Fault(Subsystem.MAIN, "kind", text)])
        digests.append(digest.hexdigest())
    assert digests[0] != digests[1]
