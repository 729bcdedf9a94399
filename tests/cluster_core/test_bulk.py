"""The bulk request of smart clients: every DN once, as fast as it is read, each event after its DN's picture."""

from __future__ import annotations

import msgspec
import pytest

from cluster_core.inputs import Writable
from cluster_core.settings import ClientRole, DnSettings, DnType
from tests.cluster_core.alone import DNS, SDP, Alone, Program, settings
from tlib_proto import Attribute, ErrorCode, MessageType

ALL, NONE = MessageType.RequestRegisterAll, MessageType.RequestUnregisterAll
MANY = [str(number) for number in range(8001, 8012)]
POINTS = tuple(DnSettings(dn=dn, type=DnType.ROUTING_POINT) for dn in MANY)
NODE_DNS = (("node-dns", 1),)


@pytest.fixture
def alone() -> Alone:
    """A node with many Routing Points that tells of four DNs at once."""
    limits = msgspec.structs.replace(settings().limits, bulk_dns_at_once=4)
    return Alone(limits=limits, dns={dn.dn: dn for dn in (*DNS, *POINTS)})


def told(smart: Program) -> list[str]:
    return [e.text(Attribute.ThisDN) for e in smart.events if e.id == MessageType.EventRegistered]


def test_every_dn_is_told_once_and_then_the_request_is_answered(alone):
    smart = alone.program("SFS", ClientRole.SMART, "tcontroller")
    ref = smart.send(ALL, Extensions=NODE_DNS)
    assert len(told(smart)) == 4
    assert smart.answers(ref) == []
    alone.run(1_000)
    assert told(smart) == ["8000", "pstn", *MANY]
    assert smart.events[-1].id == MessageType.EventRegisteredAll
    assert smart.events[-1].ref == ref


def test_a_client_that_does_not_read_is_not_told_more(alone):
    smart = alone.program("SFS", ClientRole.SMART, "tcontroller")
    smart.send(ALL, Extensions=NODE_DNS)
    alone.give(Writable(smart.conn, 300_000))
    alone.run(1_000_000)
    assert len(told(smart)) == 4
    alone.give(Writable(smart.conn, 0))
    alone.run(50_000)
    assert len(told(smart)) == 2 + len(MANY)


def test_events_of_a_dn_wait_until_its_picture_was_told(alone):
    smart = alone.program("SFS", ClientRole.SMART, "tcontroller")
    smart.send(ALL, Extensions=NODE_DNS)
    # 8011 is the last; a call on it is in the picture when it comes
    alone.program("URS", ClientRole.ROUTER, "tlib", "8011")
    alone.request("INVITE", "sip:8011@n1", ("203.0.113.9", 5060), to="<sip:8011@n1>", body=SDP)
    assert smart.names("8011") == []
    alone.run(1_000)
    assert smart.names("8011") == ["Registered"]
    [picture] = [e for e in smart.events if e.text(Attribute.ThisDN) == "8011"]
    assert "conn-1" in dict(picture.pairs(Attribute.Extensions))


def test_a_second_request_begins_anew_and_both_are_answered_at_the_end(alone):
    smart = alone.program("SFS", ClientRole.SMART, "tcontroller")
    refs = [smart.send(ALL, Extensions=NODE_DNS) for _ in range(2)]
    alone.run(1_000)
    assert told(smart)[4:] == ["8000", "pstn", *MANY]
    assert [event.ref for event in smart.events[-2:]] == refs


def test_requests_that_wait_for_the_same_end_have_a_bound(alone):
    smart = alone.program("SFS", ClientRole.SMART, "tcontroller")
    alone.give(Writable(smart.conn, 300_000))
    refs = [smart.send(ALL, Extensions=NODE_DNS) for _ in range(17)]
    assert [e.number(Attribute.ErrorCode) for e in smart.answers(refs[-1])] == [ErrorCode.SERVICE_BUSY]
    alone.give(Writable(smart.conn, 0))
    alone.run(50_000)
    assert all(len(smart.answers(ref)) == 1 for ref in refs)


def test_taking_it_back_ends_it_with_both_requests_answered(alone):
    smart = alone.program("SFS", ClientRole.SMART, "tcontroller")
    ref = smart.send(ALL, Extensions=NODE_DNS)
    assert smart.ask(NONE).id == MessageType.EventUnregisteredAll
    assert [event.id for event in smart.answers(ref)] == [MessageType.EventRegisteredAll]
    alone.run(1_000)
    assert len(told(smart)) == 4


def test_a_client_that_goes_meanwhile_leaves_nothing(alone):
    smart = alone.program("SFS", ClientRole.SMART, "tcontroller")
    smart.send(ALL, Extensions=NODE_DNS)
    smart.hang_up()
    alone.run(1_000)
    assert alone.node.counts()["clients"] == 0


def test_a_dn_that_is_given_up_meanwhile_is_not_told(alone):
    for number in range(1, 3):
        alone.phone(f"100{number}", (f"198.51.100.{number}", 5060))
    smart = alone.program("SFS", ClientRole.SMART, "tcontroller")
    alone.give(Writable(smart.conn, 300_000))
    smart.send(ALL)
    me = "<sip:1002@n1>"
    alone.request("REGISTER", "sip:n1", ("198.51.100.2", 5060), "Expires: 0", from_=me, to=me)
    alone.give(Writable(smart.conn, 0))
    alone.run(50_000)
    assert told(smart) == ["1001"]


CALL_DNS = (("call-dns", 1),)


def dials(alone: Alone) -> None:
    """Phone 1001, which did not register, calls a Routing Point."""
    me = "<sip:1001@n1>"
    alone.program("URS", ClientRole.ROUTER, "tlib", "8000")
    alone.request("INVITE", "sip:8000@n1", ("198.51.100.1", 5060), from_=me, to="<sip:8000@n1>", body=SDP)


def test_extensions_with_calls_and_without_an_owner_are_told_to_who_asks_for_them(alone):
    smart, other = (alone.program("SFS", ClientRole.SMART, "tcontroller") for _ in range(2))
    smart.ask(ALL, Extensions=CALL_DNS)
    other.send(ALL, Extensions=NODE_DNS)
    alone.run(1_000)
    dials(alone)
    assert smart.names("1001") == ["Registered", "Dialing"]
    assert smart.names("8000") == []
    assert other.names("1001") == []


def test_a_call_that_is_there_already_is_told_by_the_request(alone):
    dials(alone)
    smart = alone.program("SFS", ClientRole.SMART, "tcontroller")
    smart.ask(ALL, Extensions=CALL_DNS)
    assert told(smart) == ["1001"]
    [picture] = [e for e in smart.events if e.id == MessageType.EventRegistered]
    assert dict(picture.pairs(Attribute.Extensions))["other-1"] == "8000"


def test_an_extension_that_gets_an_owner_while_it_waits_to_be_told_is_told_once_as_its_owner_sees_it(alone):
    smart = alone.program("SFS", ClientRole.SMART, "tcontroller")
    dials(alone)
    alone.give(Writable(smart.conn, 300_000))
    smart.send(ALL, Extensions=CALL_DNS)
    assert told(smart) == []
    alone.phone("1001", ("198.51.100.1", 5060))
    alone.give(Writable(smart.conn, 0))
    alone.run(50_000)
    assert told(smart) == ["1001"]
    assert [e.text(Attribute.Source) for e in smart.events if e.id == MessageType.EventRegistered] == ["n1"]
