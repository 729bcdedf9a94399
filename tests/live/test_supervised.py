"""Clients that stay connected, of every role, at a cluster whose links and phones come and go."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

from refserver.client import ConnectionLost, Resynchronised, connect
from refserver.client_picture import Tracker, same
from refserver.client_supervised import Backoff, Supervised, connect_supervised
from tests.live.cluster import Cluster, run, running
from tests.live.test_demo_call import routed
from tests.refserver.cutting_proxy import CuttingProxy
from tlib_proto.constants import Attribute, MessageType

M = MessageType
QUICK = Backoff(first_s=0.01, most_s=0.1)


class Watched:
    """A supervised client behind a proxy, and all it was given."""

    def __init__(self, client: Supervised, proxy: CuttingProxy) -> None:
        self.client = client
        self.proxy = proxy
        self.events = client.events()

    async def until(self, what: type[object]) -> object:
        while not isinstance(event := await self.events.get(10), what):
            pass
        return event

    async def cut(self) -> Resynchronised:
        self.proxy.cut()
        await self.until(ConnectionLost)
        told = await self.until(Resynchronised)
        assert isinstance(told, Resynchronised)
        return told

    async def close(self) -> None:
        await self.client.aclose()
        await self.proxy.close()


async def watched(cluster: Cluster, node: str, listener: str, role: str, **options: object) -> Watched:
    proxy = CuttingProxy(cluster.address(node, listener), Random(1))
    proxy.spare = True
    await proxy.start()
    client = await connect_supervised(
        [proxy.address],
        application=f"super-{role}",
        role=role,
        backoff=QUICK,
        **options,  # type: ignore[arg-type]
    )
    return Watched(client, proxy)


async def as_the_server(cluster: Cluster, node: str, mine: Supervised, *dns: str) -> bool:
    """Whether the client's pictures are what one sees who comes new."""
    tracker = Tracker()
    viewer = await cluster.desktop(node, application="viewer")
    for dn in dns:
        tracker.feed(await viewer.register_address(dn), True)
    await viewer.aclose()
    return all(same(mine.pictures.get(dn), tracker.pictures[dn]) for dn in dns)


def test_every_role_comes_back_with_what_it_had(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(tmp_path) as cluster:
            desk = await watched(cluster, "n1", "tcontroller", "desktop", dns=["1001", "1002"])
            smart = await watched(cluster, "n2", "tcontroller", "smart", register_all=True)
            monitor = await watched(cluster, "n1", "smartproxy", "monitor", dns=["1002", "8000"])
            router = await watched(cluster, "n1", "tlib", "router", dns=["8000"])
            report = await watched(cluster, "n1", "iproxy", "reporting", session="icon")
            every = (desk, smart, monitor, router, report)
            phone = await cluster.phone("1002", "n2", auto_answer=True)
            driver = await cluster.client("n2", "tcontroller")
            await driver.register_address("1002")
            await driver.agent_login("1002", "A2")
            await desk.client.wait_for(M.EventAgentLogin, dn="1002")
            # a phone that registers and an agent that logs in are events, not losses
            gaps = [e for e in desk.events.unread() if isinstance(e, Resynchronised) and e.gap]
            assert gaps == []

            told = await desk.cut()
            assert (set(told.dns), told.lost.get("1002", 0)) == ({"1001", "1002"}, 0)
            conn_id = await routed(cluster)
            await desk.client.wait_for(M.EventEstablished, dn="1002", conn_id=conn_id)
            await monitor.client.wait_for(M.EventEstablished, dn="1002", conn_id=conn_id)
            for one in every:
                one.events.unread()
            for one in every:
                told = await one.cut()
                assert not told.refused
                assert not told.gap  # each goes on where it was
                assert not told.lost
            assert [client.client.connected for client in every] == [True] * 5
            assert list(smart.client.pictures["1002"].calls) == [conn_id]
            assert "8000" in smart.client.pictures

            desk.proxy.stall()
            desk.proxy.cut()
            await phone.hangup()
            await driver.wait_for(M.EventReleased, dn="1002", conn_id=conn_id)
            desk.proxy.flow()
            missed = await desk.until(Resynchronised)
            assert isinstance(missed, Resynchronised)
            assert not missed.gap
            await desk.client.wait_for(M.EventReleased, dn="1002", conn_id=conn_id)
            assert desk.client.pictures["1002"].calls == {}
            for one, node in ((desk, "n1"), (monitor, "n1"), (smart, "n2")):
                async with asyncio.timeout(5):
                    while not await as_the_server(cluster, node, one.client, "1002"):
                        pass
            for one in every:
                await one.close()

    run(body)


def test_a_cut_between_nodes_shows_in_the_pictures_of_who_stays_connected(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(tmp_path) as cluster:
            desk = await watched(cluster, "n1", "tcontroller", "desktop", dns=["1002"])
            await cluster.phone("1002", "n2")
            driver = await cluster.client("n2", "tcontroller")
            await driver.register_address("1002")
            await driver.agent_login("1002", "A2")
            await desk.client.wait_for(M.EventAgentLogin, dn="1002")
            await cluster.link("down")
            await desk.client.wait_for(M.EventDNOutOfService, dn="1002", timeout_s=10)
            await driver.agent_set_ready("1002")
            await driver.agent_set_not_ready("1002")
            desk.events.unread()
            await cluster.link("up")
            said = await desk.until(Resynchronised)
            assert isinstance(said, Resynchronised)
            assert (said.dns, said.lost) == (("1002",), {"1002": 2})
            assert desk.client.pictures["1002"].in_service
            assert await as_the_server(cluster, "n1", desk.client, "1002")
            await desk.close()

    run(body)


def test_after_a_restart_of_the_server_nobody_can_tell_what_was_missed(tmp_path: Path) -> None:
    async def body() -> None:
        for folder in ("one", "two"):
            (tmp_path / folder).mkdir()
        async with running(tmp_path / "one") as cluster:
            desk = await watched(cluster, "n1", "tcontroller", "desktop", dns=["1001", "1002"])
            await cluster.phone("1001", "n1")
            await desk.client.wait_for(M.EventDNBackInService, dn="1001")
        farewell = await desk.client.wait_for(M.EventLinkDisconnected)
        assert farewell.text(Attribute.ErrorMessage) == "The node stops"
        await desk.until(ConnectionLost)
        async with running(tmp_path / "two") as cluster:
            desk.proxy.retarget(cluster.address("n2", "tcontroller"))
            told = await desk.until(Resynchronised)
            assert isinstance(told, Resynchronised)
            assert told.lost == {"1001": None, "1002": None}
            assert not desk.client.pictures["1001"].in_service
            assert await as_the_server(cluster, "n2", desk.client, "1001", "1002")
            await desk.close()

    run(body)


def test_a_plain_client_may_go_on_with_its_session_by_hand(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(tmp_path) as cluster:
            address = cluster.address("n1", "tcontroller")
            given = {"application": "by-hand", "role": "desktop", "capabilities": {"resume": 1}}
            first = await connect(*address, **given)  # type: ignore[arg-type]
            await first.register_address("1001")
            session_id, position = first.link.text(Attribute.SessionID), first.position
            first.abort()
            await cluster.phone("1001", "n1")
            again = await connect(*address, session_id=session_id, resume=position, **given)  # type: ignore[arg-type]
            assert again.link.text(Attribute.Resume) == position
            await again.wait_for(M.EventDNBackInService, dn="1001")
            await again.aclose()

    run(body)
