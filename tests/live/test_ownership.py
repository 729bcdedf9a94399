"""Who owns a DN, over real sockets: two nodes at once, an application, and what a client or a phone leaves behind."""

from __future__ import annotations

import asyncio
from pathlib import Path

from refserver.phone import Phone, PhoneEventKind
from tests.live.cluster import Cluster, cluster_text, run, running
from tests.live.test_demo_call import routed
from tlib_proto.constants import Attribute, MessageType

M = MessageType
Kind = PhoneEventKind


async def owner_of(cluster: Cluster, dn: str) -> str:
    """The node that owns a DN in the views of both, which must be the same."""
    async with asyncio.timeout(5):
        near, far = await cluster.view("n1", dn), await cluster.view("n2", dn)
        while near != far:  # the other binding is on its way to the owner
            near, far = await cluster.view("n1", dn), await cluster.view("n2", dn)
    assert near["pairs"]["status"] == 1
    return str(near["source"])


def test_two_registrations_at_both_nodes_at_once_have_one_owner_and_both_are_answered_200(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(tmp_path) as cluster:
            watchers = [await cluster.desktop(node, "1005") for node in ("n1", "n2")]
            phones = [await cluster.phone("1005", node, register=False) for node in ("n1", "n2")]
            await asyncio.gather(*(phone.register() for phone in phones))
            for phone in phones:
                assert (await phone.wait_for(Kind.REGISTERED)).status == 200
            for watcher in watchers:
                await watcher.wait_for(M.EventDNBackInService, dn="1005")
            owner = await owner_of(cluster, "1005")
            owned = {node: (await cluster.status(node))["counts"]["owned_dns"] for node in ("n1", "n2")}
            assert owned == {node: int(node == owner) for node in ("n1", "n2")}
            # The owner has both bindings: the DN is out of service only when the last is gone.
            for phone in phones:
                assert (await cluster.view("n1", "1005"))["pairs"]["status"] == 1
                await phone.unregister()
            for watcher in watchers:
                await watcher.wait_for(M.EventDNOutOfService, dn="1005")

    run(body)


def test_a_phone_that_unregisters_logs_its_agent_out_and_disturbs_no_call(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(tmp_path) as cluster:
            near, far = await cluster.desktop("n2", "1002", "1003"), await cluster.desktop("n1", "1002", "1003")
            monitor = await cluster.client("n1", "smartproxy")
            await monitor.register_address("1003")
            smart = await cluster.client("n2", "tcontroller", role="smart")
            await smart.register_all()
            talking = await cluster.phone("1002", "n2", auto_answer=True)
            leaving = await cluster.phone("1003", "n2")
            await far.wait_for(M.EventDNBackInService, dn="1003")
            await far.agent_login("1003", "A3")
            conn_id = await routed(cluster)
            await far.wait_for(M.EventEstablished, dn="1002", conn_id=conn_id)
            await leaving.unregister()
            for client in (near, far, monitor):
                await client.wait_for(M.EventDNOutOfService, dn="1003")
                await client.wait_for(M.EventAgentLogout, dn="1003")
            await smart.wait_for(M.EventUnregistered, dn="1003")
            counts = (await cluster.status("n2"))["counts"]
            assert (counts["owned_dns"], counts["agents"]) == (1, 0)
            assert talking.calls
            assert (await far.hold_call("1002", conn_id)).id == M.EventHeld
            assert (await far.retrieve_call("1002", conn_id)).id == M.EventRetrieved
            await talking.hangup()
            await far.wait_for(M.EventReleased, dn="1002", conn_id=conn_id)

    run(body)


def test_a_monitor_anywhere_sees_the_call_of_a_phone_that_never_registered(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(tmp_path) as cluster:
            await cluster.phone("1002", "n2", auto_answer=True)
            stranger = await cluster.phone("1003", "n1", register=False)
            monitor = await cluster.client("n2", "smartproxy")
            await monitor.register_address("1003")
            await stranger.call("1002")
            dialled = await monitor.wait_for(M.EventDialing, dn="1003")
            conn_id = dialled.number(Attribute.ConnID)
            assert dialled.text(Attribute.Source).startswith("n1/")
            await monitor.wait_for(M.EventEstablished, dn="1003", conn_id=conn_id)
            # A registration of the DN at the other node, in the middle of the call: from now on the owner tells of it.
            await cluster.phone("1003", "n2")
            await monitor.wait_for(M.EventDNBackInService, dn="1003")
            await stranger.hangup()
            released = await monitor.wait_for(M.EventReleased, dn="1003", conn_id=conn_id)
            assert released.text(Attribute.Source) == "n2"
            async with asyncio.timeout(5):
                while "conn-1" in (await cluster.view("n1", "1003"))["pairs"]:
                    pass

    run(body)


def test_a_desktop_that_is_cut_off_leaves_the_agent_and_the_call_as_they_are(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(tmp_path) as cluster:
            phone = await cluster.phone("1002", "n2", auto_answer=True)
            other = await cluster.desktop("n2", "1002")
            gone = await cluster.desktop("n1", "1002")
            await gone.agent_login("1002", "A2")
            conn_id = await routed(cluster)
            await phone.wait_for(Kind.ESTABLISHED)
            await other.wait_for(M.EventEstablished, dn="1002", conn_id=conn_id)
            before = (await cluster.status("n1"))["counts"]["clients"]
            gone.abort()
            await cluster.until_status(lambda n1, _: n1["counts"]["clients"] == before - 1)
            view = await cluster.view("n2", "1002")
            assert view["agent"] == "A2"
            assert view["pairs"]["conn-1"] == f"{conn_id:016x}"
            assert not [m for m in other.unread() if m.id in (M.EventAgentLogout, M.EventDNOutOfService)]
            assert (await other.release_call("1002", conn_id)).id == M.EventReleased
            await phone.wait_for(Kind.ENDED)

    run(body)


def pstn_text(gateway: tuple[str, int]) -> str:
    """The usual cluster with a trunk to a gateway, and DN 7001 behind it."""
    return cluster_text() + (
        f'\n[dn."pstn"]\ntype = "Trunk"\nprefix = "9"\ncontact = "sip:{gateway[0]}:{gateway[1]}"\n'
        '\n[dn."7001"]\ntype = "Extension"\ncontact = "sip:7001@pstn"\n'
    )


def test_an_application_owns_a_pstn_dn_until_it_is_gone(tmp_path: Path) -> None:
    async def body() -> None:
        async with (
            Phone("gateway", "", ("127.0.0.1", 9), auto_answer=True) as gateway,
            running(tmp_path, text=pstn_text(gateway.address)) as cluster,
        ):
            watcher = await cluster.desktop("n2", "7001")
            monitor = await cluster.client("n2", "smartproxy")
            await monitor.register_address("7001")
            owner = await cluster.client("n1", "tcontroller")
            assert owner.application == "GWS"
            await owner.register_address("7001")
            for client in (owner, watcher, monitor):
                await client.wait_for(M.EventDNBackInService, dn="7001")
            assert await owner_of(cluster, "7001") == "n1"

            agent = await cluster.phone("1001", "n2")
            await agent.call("7001")
            assert (await gateway.wait_for(Kind.INCOMING)).text.startswith("sip:7001@")
            await agent.wait_for(Kind.ESTABLISHED)
            for kind in (M.EventRinging, M.EventEstablished):
                await watcher.wait_for(kind, dn="7001")

            owner.abort()
            for client in (watcher, monitor):
                await client.wait_for(M.EventDNOutOfService, dn="7001")
            assert (await cluster.status("n1"))["counts"]["owned_dns"] == 0
            # Its call goes on: it was never the application's.
            await agent.hangup()
            await gateway.wait_for(Kind.ENDED)
            await watcher.wait_for(M.EventReleased, dn="7001")

    run(body)


def test_an_application_that_unregisters_a_pstn_dn_gives_it_up(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(tmp_path, text=pstn_text(("127.0.0.1", 9))) as cluster:
            watcher = await cluster.desktop("n1", "7001")
            owner = await cluster.client("n2", "tcontroller")
            await owner.register_address("7001")
            await watcher.wait_for(M.EventDNBackInService, dn="7001")
            await owner.unregister_address("7001")
            await watcher.wait_for(M.EventDNOutOfService, dn="7001")

    run(body)
