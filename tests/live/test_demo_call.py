"""The demo's call through two nodes, over real sockets, with test phones."""

from __future__ import annotations

from pathlib import Path

import pytest

from refserver.client import TLibError
from refserver.phone import PhoneEventKind
from tests.live.cluster import Cluster, run, running
from tlib_proto.constants import Attribute, CallState, DNRole, MessageType
from tlib_proto.records import Message

M = MessageType
Kind = PhoneEventKind


async def routed(cluster: Cluster, call_source: str = "2125550100") -> int:
    """A caller's call from Routing Point 8000 on n1 to phone 1002, which is at n2; returns its ConnID."""
    router = await cluster.client("n1", "tlib")
    await router.register_address("8000")
    caller = await cluster.phone(call_source, "n1", register=False)
    await caller.call("8000")
    request = await router.wait_for(M.EventRouteRequest, dn="8000")
    conn_id = request.number(Attribute.ConnID)
    assert request.text(Attribute.ANI) == call_source
    used = await router.route_call("8000", conn_id, "1002")
    assert used.id == M.EventRouteUsed
    assert used.text(Attribute.ThirdPartyDN) == "1002"
    diverted = await router.wait_for(M.EventDiverted, dn="8000")
    assert diverted.number(Attribute.ConnID) == conn_id
    return conn_id


def names(messages: list[Message]) -> list[str]:
    return [message.name for message in messages]


def test_an_agent_of_the_other_node_is_driven_from_this_one(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(tmp_path) as cluster:
            desktop = await cluster.client("n1", "tcontroller")
            await desktop.register_address("1002")
            phone = await cluster.phone("1002", "n2")
            await desktop.wait_for(M.EventDNBackInService, dn="1002")
            await desktop.agent_login("1002", "A2")
            await desktop.agent_set_ready("1002")
            conn_id = await routed(cluster)
            ringing = await desktop.wait_for(M.EventRinging, dn="1002", conn_id=conn_id)
            assert ringing.number(Attribute.CallState) == CallState.Ok
            assert ringing.number(Attribute.ThisDNRole) == DNRole.Destination
            assert ringing.text(Attribute.OtherDN) == "2125550100"
            established = await desktop.answer_call("1002", conn_id)
            assert established.id == M.EventEstablished
            await phone.wait_for(Kind.TALK)
            await phone.wait_for(Kind.ESTABLISHED)
            changed = await desktop.attach_user_data("1002", conn_id, {"customer": "Ada"})
            assert changed.pairs(Attribute.UserData) == (("customer", "Ada"),)
            assert (await desktop.hold_call("1002", conn_id)).id == M.EventHeld
            await phone.wait_for(Kind.HELD_BY_PEER)
            assert (await desktop.retrieve_call("1002", conn_id)).id == M.EventRetrieved
            await phone.wait_for(Kind.RETRIEVED_BY_PEER)
            assert (await desktop.release_call("1002", conn_id)).id == M.EventReleased
            await phone.wait_for(Kind.ENDED)

    run(body)


def test_a_phone_may_answer_hold_and_hang_up_by_itself(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(tmp_path) as cluster:
            desktop = await cluster.client("n1", "tcontroller")
            await desktop.register_address("1002")
            phone = await cluster.phone("1002", "n2")
            conn_id = await routed(cluster)
            await phone.wait_for(Kind.INCOMING)
            await phone.answer()
            await desktop.wait_for(M.EventEstablished, dn="1002", conn_id=conn_id)
            await phone.hold()
            await desktop.wait_for(M.EventHeld, dn="1002", conn_id=conn_id)
            await phone.retrieve()
            await desktop.wait_for(M.EventRetrieved, dn="1002", conn_id=conn_id)
            await phone.hangup()
            await desktop.wait_for(M.EventReleased, dn="1002", conn_id=conn_id)

    run(body)


def test_each_port_sees_its_part_of_the_call_in_order_with_one_conn_id(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(tmp_path) as cluster:
            smart1 = await cluster.client("n1", "tcontroller", role="smart")
            smart2 = await cluster.client("n2", "tcontroller", role="smart")
            reporting = await cluster.client("n1", "iproxy")
            monitor = await cluster.client("n2", "smartproxy")
            await smart1.register_all(node_dns=True)
            await smart2.register_all(node_dns=True)
            await reporting.start_session("test")
            for dn in ("1002", "8000"):
                await monitor.register_address(dn)
            phone = await cluster.phone("1002", "n2", auto_answer=True)
            await smart2.wait_for(M.EventRegistered, dn="1002")  # gained, and in service
            conn_id = await routed(cluster)
            await phone.wait_for(Kind.ESTABLISHED)
            await phone.hangup()
            for client in (smart2, monitor):
                for kind in (M.EventRinging, M.EventEstablished, M.EventReleased):
                    await client.wait_for(kind, dn="1002", conn_id=conn_id)
            for client in (smart1, monitor):
                for kind in (M.EventQueued, M.EventRouteRequest, M.EventRouteUsed, M.EventDiverted):
                    await client.wait_for(kind, dn="8000", conn_id=conn_id)
            # Nothing of 1002 came to n1's smart client: it answers after whatever it sent before.
            await smart1.query_server()
            assert not [m for m in smart1.unread() if m.get(Attribute.ThisDN) == "1002"]
            assert (await reporting.wait_for(M.EventCallCreated)).number(Attribute.ConnID) == conn_id
            await reporting.wait_for(M.EventCallDeleted)

    run(body)


@pytest.mark.parametrize(
    ("node", "listener", "request_id"),
    [
        ("n2", "smartproxy", M.RequestAgentLogin),
        ("n2", "smartproxy", M.RequestAnswerCall),
        ("n2", "smartproxy", M.RequestRegisterAll),
        ("n1", "tlib", M.RequestRegisterAll),
        ("n1", "tlib", M.RequestAgentReady),
        ("n1", "iproxy", M.RequestRegisterAddress),
        ("n1", "iproxy", M.RequestAgentLogin),
    ],
)
def test_a_port_refuses_what_is_not_its_own(tmp_path: Path, node: str, listener: str, request_id: MessageType) -> None:
    async def body() -> None:
        async with running(tmp_path) as cluster:
            client = await cluster.client(node, listener)
            attributes = {Attribute.ThisDN: "1001", Attribute.ConnID: 1, Attribute.AgentID: "A1"}
            with pytest.raises(TLibError) as caught:
                await client.request(Message(request_id, 0, dict(attributes)))
            assert caught.value.number == 51
            assert request_id.name in caught.value.text

    run(body)
