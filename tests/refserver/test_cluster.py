"""A whole cluster on real sockets around fake nodes: ready line, control port, link command, journal, end."""

import asyncio
import json
import socket
from pathlib import Path

import pytest

from cluster_core.coordinator_records import Release
from cluster_core.inputs import Answered, Opened, Operator, Received, Role, WallClock
from cluster_core.outputs import Ask, Fault, Replicate, Send, Subsystem
from refserver import cluster as module
from refserver.addresses import join_address, split_address
from refserver.cluster import Cluster, Options
from refserver.config import load
from refserver.errors import Refused
from refserver.serve import any_port

from .fake_node import FakeCoordinator, FakeNode
from .test_pump import until

DEMO = Path(__file__).parents[2] / "examples" / "demo.toml"


class Running:
    def __init__(self, **options):
        self.nodes: dict[str, FakeNode] = {}
        self.ready: list[dict] = []
        self.settings = any_port(load(DEMO))
        options.setdefault("quiet", True)
        self.options = Options(announce=self.ready.append, **options)

    def make(self, settings, node, member, seed):
        assert len(seed) == 32
        assert settings.link_secret
        self.nodes[node] = FakeNode()
        return self.nodes[node]

    async def __aenter__(self):
        self.cluster = Cluster(
            self.settings,
            self.options,
            make_node=self.make,
            make_coordinator=lambda seed: FakeCoordinator(seed),
        )
        await self.cluster.start()
        return self

    async def __aexit__(self, *_):
        await self.cluster.end()

    def address(self, name, member="n1/a"):
        return split_address(self.ready[0]["members"][member][name])


def test_the_ready_line_names_every_listener_and_each_is_open():
    async def run():
        async with Running() as r:
            (ready,) = r.ready
            assert ready["ready"] is True
            assert list(ready["members"]) == ["n1/a", "n2/a"]
            for member in ready["members"].values():
                assert list(member) == ["role", "sip", "tlib", "iproxy", "tcontroller", "smartproxy"]
                assert member["role"] == "primary"
            for node in r.nodes.values():
                assert [type(input) for input in node.seen[:2]] == [WallClock, Role]
            for name in ("tlib", "iproxy", "tcontroller", "smartproxy"):
                reader, writer = await asyncio.open_connection(*r.address(name, "n2/a"))
                writer.write(b"x")
                assert await reader.readexactly(1) == b"x"
                writer.close()
                await writer.wait_closed()
            assert [o.listener for o in r.nodes["n2"].of(Opened)] == [
                "tlib",
                "iproxy",
                "tcontroller",
                "smartproxy",
            ]
            assert json.dumps(ready)

    asyncio.run(run())


def test_nodes_hear_of_the_end_and_what_they_say_then_still_leaves():
    async def run():
        r = Running()
        async with r:
            node = r.nodes["n1"]
            reader, writer = await asyncio.open_connection(*r.address("tlib"))
            await until(lambda: node.of(Opened))

            def react(now, input, out):
                if input == Operator("stop"):
                    out.append(Send(Subsystem.MAIN, (2,), (b"farewell",)))

            node.react = react
            farewell = asyncio.create_task(reader.read())
            await asyncio.sleep(0)
        assert await farewell == b"farewell"
        writer.close()

    asyncio.run(run())


def test_what_a_node_asks_is_answered_and_its_faults_are_counted():
    async def run():
        async with Running() as r:
            node = r.nodes["n1"]

            def react(now, input, out):
                if input == Operator("link", ("n2", "down")):
                    out.append(Ask(Subsystem.T_CONTROLLER, 7, Release("1001", 1)))
                    out.append(Fault(Subsystem.T_CONTROLLER, "odd", "text"))
                    out.append(Replicate(Subsystem.MAIN, ()))

            node.react = react
            assert r.cluster.link("n1", "n2", "down") == ""
            await until(lambda: node.of(Answered))
            assert node.of(Answered)[0].request == 7
            assert Operator("link", ("n1", "down")) in r.nodes["n2"].seen
            assert r.cluster.status()["n1/a"]["faults"] == {"odd": 1}
            assert r.cluster.link("n1", "n9", "down") == "no node 'n9' here; there are n1, n2"
            assert r.cluster.link("n1", "n1", "down") == "a node has no link to itself"

    asyncio.run(run())


def test_a_fault_closes_the_stream_it_came_from_and_the_others_go_on(tmp_path):
    async def run():
        async with Running(log_dir=tmp_path) as r:
            node = r.nodes["n1"]

            def react(now, input, out):
                if input == Received(2, b"bad"):
                    raise ZeroDivisionError
                if isinstance(input, Received):
                    out.append(Send(Subsystem.MAIN, (input.conn,), (input.data,)))

            node.react = react
            bad_reader, bad = await asyncio.open_connection(*r.address("tlib"))
            reader, good = await asyncio.open_connection(*r.address("tlib"))
            await until(lambda: len(node.of(Opened)) == 2)
            first = node.of(Opened)[0].peer
            if first != join_address(*bad.get_extra_info("sockname")):
                bad_reader, bad, reader, good = reader, good, bad_reader, bad
            bad.write(b"bad")
            assert await bad_reader.read() == b""
            good.write(b"good")
            assert await reader.readexactly(4) == b"good"
            assert r.cluster.status()["n1/a"]["faults"] == {"fault": 1}
            (file,) = tmp_path.glob("fault-n1-*.txt")
            assert file.stat().st_mode & 0o777 == 0o600
            assert "ZeroDivisionError" in file.read_text()
            assert "check: clean" in file.read_text()
            bad.close()
            good.close()

    asyncio.run(run())


def test_a_node_that_is_not_whole_ends_the_process_with_status_70(tmp_path, capsys):
    async def run():
        async with Running(log_dir=tmp_path) as r:
            node = r.nodes["n1"]

            def react(now, input, out):
                raise ZeroDivisionError

            node.react = react
            node.whole = False
            r.cluster.link("n1", "n2", "down")
            assert await r.cluster.wait() == 70

    asyncio.run(run())
    assert "the node is not whole" in capsys.readouterr().err


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        async def run():
            r = Running(control=("127.0.0.1", port))
            with pytest.raises(Refused, match=rf"control: 127.0.0.1:{port}: Address already in use"):
                await r.__aenter__()

        asyncio.run(run())


def test_a_step_of_the_wall_clock_is_told(monkeypatch):
    monkeypatch.setattr(module, "TICK_S", 0.01)

    async def run():
        async with Running() as r:
            node = r.nodes["n1"]
            base = node.of(WallClock)[0].base_us
            await asyncio.sleep(0.03)
            assert len(node.of(WallClock)) == 1
            real = module.time.time_ns
            monkeypatch.setattr(module.time, "time_ns", lambda: real() + 3_600 * 10**9)
            await until(lambda: len(node.of(WallClock)) == 2)
            assert abs(node.of(WallClock)[1].base_us - base - 3_600 * 10**6) < 10**6

    asyncio.run(run())
