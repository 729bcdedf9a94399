"""The link of two nodes is cut by an operator and comes back; what was hidden is shown again, views are equal."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from refserver.client import TLibError
from refserver.phone import PhoneEventKind
from tests.live.cluster import Cluster, run, running
from tests.live.test_demo_call import routed
from tlib_proto.constants import Attribute, MessageType

M = MessageType
Kind = PhoneEventKind


async def cut(cluster: Cluster) -> None:
    await cluster.link("down")
    await cluster.until_status(lambda n1, n2: (n1["links"]["n2"], n2["links"]["n1"]) == ("cut", "cut"))


async def mended(cluster: Cluster) -> None:
    await cluster.link("up")
    await cluster.until_status(lambda n1, n2: (n1["links"]["n2"], n2["links"]["n1"]) == ("up", "up"))


async def views_are_equal(cluster: Cluster, *dns: str) -> None:
    """Both nodes tell the same of the DNs, as soon as what is on its way has arrived."""
    async with asyncio.timeout(5):
        for dn in dns:
            while await cluster.view("n1", dn) != await cluster.view("n2", dn):
                pass


def test_a_cut_hides_what_the_other_node_owns_and_its_return_shows_it_with_what_changed(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(tmp_path) as cluster:
            phone = await cluster.phone("1002", "n2", auto_answer=True)
            await cluster.phone("1001", "n1")
            near, far = await cluster.desktop("n2", "1002"), await cluster.desktop("n1", "1001", "1002")
            monitor = await cluster.client("n1", "smartproxy")
            await monitor.register_address("1002")
            await near.agent_login("1002", "A2")
            await near.agent_set_ready("1002")
            await far.wait_for(M.EventAgentReady, dn="1002")
            conn_id = await routed(cluster)
            await phone.wait_for(Kind.ESTABLISHED)
            await near.wait_for(M.EventEstablished, dn="1002", conn_id=conn_id)
            await monitor.wait_for(M.EventEstablished, dn="1002", conn_id=conn_id)
            near.unread()
            monitor.unread()

            await cut(cluster)
            await far.wait_for(M.EventDNOutOfService, dn="1002")
            # The phone, its node's desktop, the other DN and the call are not disturbed.
            assert await cluster.view("n1", "1001") != {}
            assert not [m for m in far.unread() if m.get(Attribute.ThisDN) == "1001" and m.id == M.EventDNOutOfService]
            assert not [m for m in near.unread() if m.id in (M.EventDNOutOfService, M.EventReleased)]
            assert phone.calls
            await near.agent_set_not_ready("1002")
            # Smart Proxy's connections are cut with the link: its monitors see no more than the desktops.
            await monitor.wait_for(M.EventDNOutOfService, dn="1002")
            assert not [m for m in monitor.unread() if m.id == M.EventAgentNotReady]

            await mended(cluster)
            for client in (far, monitor):
                await client.wait_for(M.EventDNBackInService, dn="1002")
                await client.wait_for(M.EventAgentNotReady, dn="1002")
            await views_are_equal(cluster, "1001", "1002")
            view = await cluster.view("n1", "1002")
            assert view["source"] == "n2"
            assert view["pairs"]["conn-1"] == f"{conn_id:016x}"
            # A desktop at either node drives the call again.
            await far.hold_call("1002", conn_id)
            await far.retrieve_call("1002", conn_id)
            await near.release_call("1002", conn_id)
            await phone.wait_for(Kind.ENDED)
            await far.wait_for(M.EventReleased, dn="1002", conn_id=conn_id)
            await views_are_equal(cluster, "1002")

    run(body)


def test_a_call_that_ends_during_the_cut_is_gone_from_both_views_afterwards(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(tmp_path) as cluster:
            phone = await cluster.phone("1002", "n2", auto_answer=True)
            near, far = await cluster.desktop("n2", "1002"), await cluster.desktop("n1", "1002")
            conn_id = await routed(cluster)
            for client in (near, far):
                await client.wait_for(M.EventEstablished, dn="1002", conn_id=conn_id)
            await cut(cluster)
            await far.wait_for(M.EventDNOutOfService, dn="1002")
            await phone.hangup()
            # The call is the node's that took it: there its end is told at once.
            await far.wait_for(M.EventReleased, dn="1002", conn_id=conn_id)
            await mended(cluster)
            await far.wait_for(M.EventDNBackInService, dn="1002")
            await cluster.until_status(lambda *nodes: not any(node["counts"]["calls"] for node in nodes))
            await views_are_equal(cluster, "1002")
            assert "conn-1" not in (await cluster.view("n2", "1002"))["pairs"]

    run(body)


def test_a_request_across_the_cut_is_refused_and_works_again_after_it(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(tmp_path) as cluster:
            await cluster.phone("1002", "n2")
            far = await cluster.desktop("n1", "1002")
            await cut(cluster)
            await far.wait_for(M.EventDNOutOfService, dn="1002")
            with pytest.raises(TLibError):
                await far.agent_login("1002", "A2")
            await mended(cluster)
            await far.wait_for(M.EventDNBackInService, dn="1002")
            assert (await far.agent_login("1002", "A2")).id == M.EventAgentLogin

    run(body)


def test_the_command_cuts_and_restores_the_link(tmp_path: Path) -> None:
    async def command(cluster: Cluster, state: str) -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "refserver", "link", "--control", cluster.server.ready["control"]),
            *("n1", "n2", state),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(os.environ),
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()

    async def body() -> None:
        async with running(tmp_path) as cluster:
            await cluster.phone("1002", "n2")
            far = await cluster.desktop("n1", "1002")
            await command(cluster, "down")
            await far.wait_for(M.EventDNOutOfService, dn="1002")
            await command(cluster, "up")
            await far.wait_for(M.EventDNBackInService, dn="1002")

    run(body)
