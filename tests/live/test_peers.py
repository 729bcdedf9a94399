"""The demo's call with SIPp as the caller, and with baresip as the agent's phone."""

from __future__ import annotations

from pathlib import Path

import pytest

from refserver.client import Client
from refserver.phone import PhoneEventKind
from tests.certificates import self_signed
from tests.live.cluster import PASSWORD, Cluster, run, running, tls_text
from tests.live.peers import baresip, sipp_call
from tlib_proto.constants import Attribute, MessageType

M = MessageType
Kind = PhoneEventKind


async def at_the_routing_point(cluster: Cluster) -> Client:
    """A router of n1, registered before the call comes: what waits already is not offered again."""
    router = await cluster.client("n1", "tlib")
    await router.register_address("8000")
    return router


async def route(router: Client) -> int:
    """Route the next call at 8000 on n1 to 1002; returns its ConnID."""
    request = await router.wait_for(M.EventRouteRequest, dn="8000")
    conn_id = request.number(Attribute.ConnID)
    await router.route_call("8000", conn_id, "1002")
    return conn_id


@pytest.mark.peer("sipp")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_sipp_calls_an_agent_who_answers_holds_and_hangs_up_on_a_desktop_elsewhere(
    tmp_path: Path, transport: str
) -> None:
    async def body() -> None:
        async with running(tmp_path) as cluster:
            router = await at_the_routing_point(cluster)
            desktop = await cluster.client("n1", "tcontroller")
            await desktop.register_address("1002")
            phone = await cluster.phone("1002", "n2")
            target = cluster.address("n1", "sip")
            async with sipp_call(tmp_path, target, "8000", ("inactive", "sendrecv"), transport):
                conn_id = await route(router)
                await desktop.wait_for(M.EventRinging, dn="1002", conn_id=conn_id)
                await desktop.answer_call("1002", conn_id)
                await phone.wait_for(Kind.ESTABLISHED)
                await desktop.attach_user_data("1002", conn_id, {"customer": "Ada"})
                await desktop.hold_call("1002", conn_id)
                await desktop.retrieve_call("1002", conn_id)
                await desktop.release_call("1002", conn_id)
                await phone.wait_for(Kind.ENDED)

    run(body)


@pytest.mark.peer("sipp")
@pytest.mark.peer("baresip")
@pytest.mark.peer("openssl")
@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_sipp_calls_an_agent_whose_phone_is_baresip(tmp_path: Path, transport: str) -> None:
    async def body() -> None:
        pair = self_signed(tmp_path)
        async with running(tmp_path, text=tls_text(pair)) as cluster:
            router = await at_the_routing_point(cluster)
            desktop = await cluster.client("n1", "tcontroller")
            await desktop.register_address("1002")
            node = cluster.address("n2", "sip_tls" if transport == "tls" else "sip")
            async with baresip(tmp_path, "1002", PASSWORD, node, transport, pair) as phone:
                await desktop.wait_for(M.EventDNBackInService, dn="1002")
                target = cluster.address("n1", "sip")
                async with sipp_call(tmp_path, target, "8000", ("inactive", "sendrecv")):
                    conn_id = await route(router)
                    await desktop.wait_for(M.EventRinging, dn="1002", conn_id=conn_id)
                    await phone.wait_for("CALL_INCOMING")
                    await phone.command("accept")
                    await desktop.wait_for(M.EventEstablished, dn="1002", conn_id=conn_id)
                    await phone.wait_for("CALL_ESTABLISHED")
                    await desktop.attach_user_data("1002", conn_id, {"customer": "Ada"})
                    await desktop.hold_call("1002", conn_id)
                    await desktop.retrieve_call("1002", conn_id)
                    await desktop.release_call("1002", conn_id)
                    await phone.wait_for("CALL_CLOSED")
            await desktop.wait_for(M.EventDNOutOfService, dn="1002")

    run(body)


@pytest.mark.peer("baresip")
@pytest.mark.peer("openssl")
@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_baresip_hangs_up(tmp_path: Path, transport: str) -> None:
    async def body() -> None:
        pair = self_signed(tmp_path)
        async with running(tmp_path, text=tls_text(pair)) as cluster:
            router = await at_the_routing_point(cluster)
            desktop = await cluster.client("n1", "tcontroller")
            await desktop.register_address("1002")
            node = cluster.address("n2", "sip_tls" if transport == "tls" else "sip")
            async with baresip(tmp_path, "1002", PASSWORD, node, transport, pair) as phone:
                caller = await cluster.phone("2125550100", "n1", register=False)
                await caller.call("8000")
                conn_id = await route(router)
                await phone.wait_for("CALL_INCOMING")
                await phone.command("accept")
                await caller.wait_for(Kind.ESTABLISHED)
                await phone.command("hangup")
                await caller.wait_for(Kind.ENDED)
                await desktop.wait_for(M.EventReleased, dn="1002", conn_id=conn_id)

    run(body)
