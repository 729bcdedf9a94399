"""Kamailio in front of the nodes: Path at registration, Record-Route in calls; the nodes stay the registrar."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from refserver.phone import Phone, PhoneError, PhoneEventKind
from sip_proto import Request, parse
from tests.live.cluster import PASSWORD, Cluster, cluster_text, run, running
from tests.live.peers import PROXY_HOST, baresip, kamailio, sipp_call
from tlib_proto.constants import Attribute, MessageType

M = MessageType
Kind = PhoneEventKind
Address = tuple[str, int]

pytestmark = pytest.mark.peer("kamailio")


class Seen:
    """What passed a phone's socket: who was at the other end, and the requests each way."""

    def __init__(self) -> None:
        self.peers: set[Address] = set()
        self.requests: list[tuple[str, Request]] = []

    def __call__(self, way: str, data: bytes, peer: Address) -> None:
        self.peers.add(peer)
        message = parse(data)
        if isinstance(message, Request):
            self.requests.append((way, message))

    def methods(self, way: str) -> list[str]:
        return [message.method for each, message in self.requests if each == way]

    def first(self, way: str, method: str) -> Request:
        return next(message for each, message in self.requests if (each, message.method) == (way, method))


@asynccontextmanager
async def proxied(folder: Path, trusted: bool = True) -> AsyncIterator[tuple[Cluster, Address]]:
    """A cluster behind a proxy, which sends to n1 as long as it is there."""
    text = cluster_text()
    if trusted:
        text = text.replace("[cluster]\n", f'[cluster]\nsip-proxies = ["{PROXY_HOST}"]\n')
    async with running(folder, text=text) as cluster:
        nodes = [cluster.address(node, "sip") for node in ("n1", "n2")]
        async with kamailio(folder, *nodes) as address:
            yield cluster, address


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("agent_hangs_up", [True, False])
def test_a_call_comes_and_goes_through_the_proxy(tmp_path: Path, transport: str, agent_hangs_up: bool) -> None:
    async def body() -> None:
        async with proxied(tmp_path) as (cluster, proxy):
            at_caller, at_agent = Seen(), Seen()
            desktop = await cluster.desktop("n2", "1002")
            router = await cluster.client("n1", "tlib")
            await router.register_address("8000")
            # The proxy vouches for its phones: the nodes ask for no password, whatever this one would say.
            agent = Phone("1002", "", proxy, transport=transport, trace=at_agent)
            caller = Phone("2125550100", "", proxy, transport=transport, trace=at_caller)
            async with agent, caller:
                await agent.register()
                await desktop.wait_for(M.EventDNBackInService, dn="1002")
                await caller.call("8000")
                request = await router.wait_for(M.EventRouteRequest, dn="8000")
                conn_id = request.number(Attribute.ConnID)
                await router.route_call("8000", conn_id, "1002")
                await desktop.wait_for(M.EventRinging, dn="1002", conn_id=conn_id)
                await desktop.answer_call("1002", conn_id)
                for phone in (agent, caller):
                    await phone.wait_for(Kind.ESTABLISHED)
                await desktop.hold_call("1002", conn_id)
                await desktop.retrieve_call("1002", conn_id)
                await agent.hold()
                await agent.retrieve()
                leaves, stays = (agent, caller) if agent_hangs_up else (caller, agent)
                await leaves.hangup()
                await stays.wait_for(Kind.ENDED)
                await desktop.wait_for(M.EventReleased, dn="1002", conn_id=conn_id)
                await agent.unregister()
                await desktop.wait_for(M.EventDNOutOfService, dn="1002")
        for seen in (at_caller, at_agent):
            # Over TCP the proxy may come from any port of its own.
            assert {host for host, _ in seen.peers} == {PROXY_HOST}
            assert proxy in seen.peers
        assert f"<sip:{proxy[0]}:{proxy[1]}" in (at_agent.first("received", "INVITE").get("Record-Route") or "")
        assert "ACK" in at_agent.methods("received")
        byes = (at_agent, at_caller) if agent_hangs_up else (at_caller, at_agent)
        assert [seen.methods(way).count("BYE") for seen, way in zip(byes, ("sent", "received"), strict=True)] == [1, 1]

    run(body)


def test_without_trust_a_challenge_passes_through_and_is_answered(tmp_path: Path) -> None:
    async def body() -> None:
        async with proxied(tmp_path, trusted=False) as (cluster, proxy):
            desktop = await cluster.desktop("n2", "1002", "1003")
            async with Phone("1002", PASSWORD, proxy) as phone, Phone("1003", "wrong", proxy) as stranger:
                await phone.register()
                await desktop.wait_for(M.EventDNBackInService, dn="1002")
                with pytest.raises(PhoneError, match="403"):
                    await stranger.register()

    run(body)


def test_a_phone_calls_another_through_the_proxy_and_gives_up(tmp_path: Path) -> None:
    async def body() -> None:
        async with proxied(tmp_path) as (cluster, proxy):
            desktop = await cluster.desktop("n2", "1001", "1002")
            async with Phone("1001", "", proxy) as one, Phone("1002", "", proxy) as other:
                for phone in (one, other):
                    await phone.register()
                    await desktop.wait_for(M.EventDNBackInService, dn=phone.number)
                await one.call("1002")
                await other.wait_for(Kind.INCOMING)
                await one.wait_for(Kind.RINGING)
                await one.cancel()
                await other.wait_for(Kind.CANCELLED)
                assert (await one.wait_for(Kind.FAILED)).status == 487
                await one.call("1002")
                await other.wait_for(Kind.INCOMING)
                await other.reject(486)
                assert (await one.wait_for(Kind.FAILED)).status == 486

    run(body)


@pytest.mark.peer("sipp")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_sipp_calls_through_the_proxy(tmp_path: Path, transport: str) -> None:
    async def body() -> None:
        async with proxied(tmp_path) as (cluster, proxy):
            desktop = await cluster.desktop("n2", "1002")
            router = await cluster.client("n1", "tlib")
            await router.register_address("8000")
            async with Phone("1002", "", proxy) as agent:
                await agent.register()
                await desktop.wait_for(M.EventDNBackInService, dn="1002")
                async with sipp_call(tmp_path, proxy, "8000", (), transport):
                    request = await router.wait_for(M.EventRouteRequest, dn="8000")
                    conn_id = request.number(Attribute.ConnID)
                    await router.route_call("8000", conn_id, "1002")
                    await desktop.wait_for(M.EventRinging, dn="1002", conn_id=conn_id)
                    await desktop.answer_call("1002", conn_id)
                    await desktop.release_call("1002", conn_id)
                    await agent.wait_for(Kind.ENDED)

    run(body)


@pytest.mark.peer("sipp")
@pytest.mark.peer("baresip")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_no_end_of_the_call_is_ours(tmp_path: Path, transport: str) -> None:
    async def body() -> None:
        async with proxied(tmp_path, trusted=False) as (cluster, proxy):
            desktop = await cluster.desktop("n2", "1002")
            router = await cluster.client("n1", "tlib")
            await router.register_address("8000")
            async with baresip(tmp_path, "1002", PASSWORD, proxy, transport) as agent:
                await desktop.wait_for(M.EventDNBackInService, dn="1002")
                async with sipp_call(tmp_path, proxy, "8000", ("inactive", "sendrecv"), transport):
                    request = await router.wait_for(M.EventRouteRequest, dn="8000")
                    conn_id = request.number(Attribute.ConnID)
                    await router.route_call("8000", conn_id, "1002")
                    await agent.wait_for("CALL_INCOMING")
                    await agent.command("accept")
                    await desktop.wait_for(M.EventEstablished, dn="1002", conn_id=conn_id)
                    await desktop.hold_call("1002", conn_id)
                    await desktop.retrieve_call("1002", conn_id)
                    await agent.command("hangup")
                    await desktop.wait_for(M.EventReleased, dn="1002", conn_id=conn_id)
            await desktop.wait_for(M.EventDNOutOfService, dn="1002")

    run(body)


def test_a_node_that_is_not_there_is_passed_over(tmp_path: Path) -> None:
    async def body() -> None:
        async with (
            running(tmp_path) as cluster,
            kamailio(tmp_path, ("127.0.0.1", 9), cluster.address("n2", "sip")) as proxy,
            Phone("1002", PASSWORD, proxy) as phone,
        ):
            desktop = await cluster.desktop("n1", "1002")
            await phone.register()
            await desktop.wait_for(M.EventDNBackInService, dn="1002")

    run(body)
