"""A node without its membership: it acts as no owner, logs nobody out, and comes back with what it had."""

from __future__ import annotations

from cluster_core.ids import node_of
from cluster_core.picture import from_extensions
from cluster_core.settings import ClientRole
from tests.cluster_core.alone import SDP, Alone
from tlib_proto import Attribute, Message, MessageType

PHONE = ("198.51.100.1", 5060)
MOVED = ("198.51.100.7", 5060)
STRANGER = ("203.0.113.9", 5060)


def fenced() -> tuple[Alone, object]:
    """A node whose coordinator does not answer, with a phone, an agent, a ringing call and a desktop."""
    alone = Alone()
    alone.phone("1001", PHONE)
    desk = alone.program("Desk", ClientRole.DESKTOP, "tcontroller", "1001")
    assert desk.ask(MessageType.RequestAgentLogin, ThisDN="1001", AgentID="a1").id == MessageType.EventAgentLogin
    alone.request("INVITE", "sip:1001@n1", STRANGER, to="<sip:1001@n1>", body=SDP)
    alone.answer(PHONE, b"INVITE", "180 Ringing")
    assert desk.names()[-1] == "Ringing"
    alone.answering = False
    alone.run(6_000_000)
    assert desk.names()[-1] == "DNOutOfService"
    desk.events.clear()
    return alone, desk


def own(event: Message) -> bool:
    """Whether an event claims to come from the DN's owner."""
    return "/" not in event.text(Attribute.Source, "/")


def test_a_registration_or_a_call_brings_back_no_dn_of_a_node_that_is_no_member():
    alone, desk = fenced()
    me = "<sip:1001@n1>"
    alone.request("REGISTER", "sip:n1", MOVED, from_=me, to=me)
    alone.answer(PHONE, b"INVITE", "486 Busy")
    alone.run(500_000)
    assert not [event.name for event in desk.events if own(event)]
    refused = desk.ask(MessageType.RequestAgentNotReady, ThisDN="1001")
    assert refused.id == MessageType.EventError


def test_a_member_again_has_its_dns_agents_and_the_bindings_that_came_meanwhile():
    alone, desk = fenced()
    me = "<sip:1001@n1>"
    alone.request("REGISTER", "sip:n1", MOVED, from_=me, to=me)
    alone.answer(PHONE, b"INVITE", "486 Busy")
    alone.answering = True
    alone.run(1_500_000)
    assert alone.last(MOVED, b"SIP/2.0").startswith(b"SIP/2.0 200")
    assert [binding.host for binding in alone.node.store.get("dns", "1001").bindings] == [PHONE[0], MOVED[0]]
    assert desk.names()[-1] in ("DNBackInService", "Registered")
    shown = [event for event in desk.events if event.id == MessageType.EventRegistered][-1]
    picture = from_extensions("1001", "n1", True, 1, 0, 1, shown.pairs(Attribute.Extensions))
    assert (picture.agent_id, picture.calls) == ("a1", {})
    assert "AgentLogout" not in desk.names()
    epochs = [event.number(Attribute.DNEpoch) for event in desk.events if own(event)]
    assert epochs == sorted(epochs)


def test_a_registration_that_is_taken_back_while_no_member_ends_the_ownership_when_a_member_again():
    alone, _ = fenced()
    me = "<sip:1001@n1>"
    alone.request("REGISTER", "sip:n1", PHONE, "Expires: 0", from_=me, to=me)
    alone.answering = True
    alone.run(3_000_000)
    assert alone.node.store.get("dns", "1001") is None
    assert alone.coordinator.owner("1001") is None
    assert not alone.node.store.rows("agents")


def test_requests_of_two_incarnations_never_have_the_same_number():
    alone, _ = fenced()
    alone.answering = True
    alone.run(1_500_000)
    first = alone.node._core.ids.request()
    again = Alone()
    again.node._core.ids.incarnation = alone.node._core.ids.incarnation + 1
    assert again.node._core.ids.request() != first
    assert node_of(first) == 0
