"""A trunk whose contact names a host: looked up, its places tried in order, 503 when none is left."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cluster_core.contacts import named_binding
from cluster_core.coordinator_records import Left
from cluster_core.dns_records import Found, Lookup
from cluster_core.inputs import Answered, Closed
from cluster_core.limits import Limits
from cluster_core.settings import ClientRole, DnSettings, DnType
from sip_proto import Naptr, Srv, Target
from tlib_proto import Attribute, MessageType

from .alone import DNS, SDP, Alone, settings

PHONE = ("192.0.2.11", 5060)
A, B = ("192.0.2.201", 5070), ("192.0.2.202", 5070)
SECOND = 1_000_000
GW, SRV_UDP, SRV_TCP = "gw.example.com", "_sip._udp.gw.example.com", "_sip._tcp.gw.example.com"
NAPTR = Found(60 * SECOND, pointers=(Naptr(1, 1, "s", "SIP+D2U", SRV_UDP),))
TWO = Found(60 * SECOND, services=(Srv(1, 0, 5070, "a.example.com"), Srv(2, 0, 5070, "b.example.com")))


def alone(contact: str = f"sip:{GW}", **limits: int) -> Alone:
    dns = {dn.dn: dn for dn in DNS}
    dns["pstn"] = DnSettings(dn="pstn", type=DnType.TRUNK, prefix="9", contact=contact)
    made = Alone(dns=dns, limits=Limits(**limits))
    made.phone("1001", PHONE)
    return made


def call(made: Alone, number: str = "9123") -> int:
    """Phone 1001 calls out; returns the number of its call."""
    me = "<sip:1001@n1>"
    made.request("INVITE", f"sip:{number}@n1", PHONE, from_=me, to=f"<sip:{number}@n1>", body=SDP)
    return made.calls


def asked(made: Alone) -> list[tuple[str, str]]:
    """What was looked up since the last time."""
    found = [(ask.what.name, ask.what.kind) for ask in made.lookups if isinstance(ask.what, Lookup)]
    made.open = {(ask.what.name, ask.what.kind): ask.request for ask in made.lookups}  # type: ignore[attr-defined]
    made.lookups.clear()
    return found


def answer(made: Alone, name: str, kind: str, result: Any) -> None:
    made.give(Answered(made.open[name, kind], result))  # type: ignore[attr-defined]


def resolve(made: Alone) -> None:
    """Answer everything of the usual zone: two places, A before B."""
    zone = {
        (GW, "NAPTR"): NAPTR,
        (SRV_UDP, "SRV"): TWO,
        ("a.example.com", "A"): Found(60 * SECOND, (A[0],)),
        ("b.example.com", "A"): Found(60 * SECOND, (B[0],)),
    }
    while questions := asked(made):
        for name, kind in questions:
            answer(made, name, kind, zone[name, kind])


def told(made: Alone) -> str:
    """The last that the caller was told."""
    return next(data for to, data in reversed(made.datagrams) if to == PHONE).split(b"\r\n")[0].decode()


def lookups(made: Alone) -> int:
    return made.node.counts()["lookups"]


def test_a_name_is_looked_up_step_by_step_and_the_invite_keeps_it():
    made = alone()
    call(made)
    assert asked(made) == [(GW, "NAPTR")]
    assert lookups(made) == 1
    answer(made, GW, "NAPTR", NAPTR)
    assert asked(made) == [(SRV_UDP, "SRV")]
    answer(made, SRV_UDP, "SRV", TWO)
    assert asked(made) == [("a.example.com", "A"), ("b.example.com", "A")]
    answer(made, "a.example.com", "A", Found(SECOND, (A[0],)))
    answer(made, "b.example.com", "A", Found(SECOND, (B[0],)))
    assert made.last(A, b"INVITE sip:9123@gw.example.com SIP/2.0")
    assert lookups(made) == 0
    made.answer(A, b"INVITE", "180 Ringing")
    made.answer(A, b"INVITE", "200 OK", f"Contact: <sip:gw@{A[0]}>", body=SDP)
    assert told(made) == "SIP/2.0 200 OK"


@pytest.mark.parametrize("status", ["503 Busy", "408 Late"])
def test_the_next_place_is_tried_and_503_comes_after_the_last(status):
    made = alone()
    call(made)
    resolve(made)
    made.answer(A, b"INVITE", status)
    assert made.last(B, b"INVITE sip:9123@gw.example.com")
    made.answer(B, b"INVITE", status)
    assert told(made) == "SIP/2.0 503 Service Unavailable"
    assert made.node.counts()["calls"] == 0


def test_a_place_that_is_silent_is_given_up_for_the_next():
    made = alone()
    call(made)
    resolve(made)
    made.run(33 * SECOND)
    made.answer(B, b"INVITE", "200 OK", f"Contact: <sip:gw@{B[0]}>", body=SDP)
    assert told(made) == "SIP/2.0 200 OK"


def test_a_refusal_of_the_callee_or_of_a_place_that_rang_is_not_tried_again():
    made = alone()
    call(made)
    resolve(made)
    made.answer(A, b"INVITE", "486 Busy Here")
    assert told(made).startswith("SIP/2.0 486")
    call(made)
    made.answer(A, b"INVITE", "180 Ringing")
    made.answer(A, b"INVITE", "503 Busy")
    assert told(made).startswith("SIP/2.0 503")
    assert not [to for to, _ in made.datagrams if to == B]
    assert made.node.counts()["calls"] == 0


def test_no_more_places_are_tried_than_the_limit():
    made = alone(trunk_targets=1)
    call(made)
    resolve(made)
    made.answer(A, b"INVITE", "503 Busy")
    assert told(made).startswith("SIP/2.0 503")


def test_a_stream_that_is_refused_leads_to_the_next_place():
    made = alone(f"sip:{GW};transport=tcp")
    call(made)
    assert asked(made) == [(SRV_TCP, "SRV")]
    answer(made, SRV_TCP, "SRV", TWO)
    asked(made)
    answer(made, "a.example.com", "A", Found(SECOND, (A[0],)))
    answer(made, "b.example.com", "A", Found(SECOND, (B[0],)))
    for place in (A, B):
        assert made.dialled[-1].address == f"{place[0]}:{place[1]}"
        made.give(Closed(made.dialled[-1].conn, "refused"))
    assert told(made).startswith("SIP/2.0 503")


def test_a_router_gets_its_call_back_when_no_place_is_left():
    made = alone()
    router = made.program("URS", ClientRole.ROUTER, "tlib", "8000")
    made.request("INVITE", "sip:8000@n1", PHONE, from_="<sip:1001@n1>", body=SDP)
    conn_id = router.events[-1].number(Attribute.ConnID)
    ref = router.send(MessageType.RequestRouteCall, ThisDN="8000", OtherDN="9123", ConnID=conn_id)
    resolve(made)
    made.answer(A, b"INVITE", "503 Busy")
    made.answer(B, b"INVITE", "503 Busy")
    assert [event.id for event in router.answers(ref)] == [MessageType.EventError]
    ref = router.send(MessageType.RequestRouteCall, ThisDN="8000", OtherDN="9123", ConnID=conn_id)
    made.answer(A, b"INVITE", "180 Ringing")
    assert [event.id for event in router.answers(ref)] == [MessageType.EventRouteUsed]


def test_a_place_that_never_ends_ringing_before_180_is_given_up_after_the_ring_time():
    made = alone(ring_us=SECOND)
    call(made)
    resolve(made)
    made.answer(A, b"INVITE", "100 Trying", tag="")
    made.run(2 * SECOND)
    assert told(made).startswith("SIP/2.0 480")


def test_an_answer_holds_for_its_time_and_equal_questions_are_asked_once():
    made = alone()
    call(made)
    call(made)
    assert asked(made) == [(GW, "NAPTR")]
    assert lookups(made) == 2
    answer(made, GW, "NAPTR", NAPTR)
    resolve(made)
    assert lookups(made) == 0
    made.now += 59 * SECOND
    call(made)
    assert asked(made) == []
    made.now += SECOND
    call(made)
    assert asked(made) == [(GW, "NAPTR")]


def test_an_answer_without_time_is_not_kept_and_one_of_long_time_not_for_ever():
    made = alone(f"sip:{GW}:5070", name_ttl_max_us=SECOND)
    call(made)
    assert asked(made) == [(GW, "A")]
    answer(made, GW, "A", Found(0, (A[0],)))
    call(made)
    assert asked(made) == [(GW, "A")]
    answer(made, GW, "A", Found(1_000 * SECOND, (A[0],)))
    call(made)
    assert asked(made) == []
    made.now += SECOND
    call(made)
    assert asked(made) == [(GW, "A")]


def test_of_too_many_answers_the_first_is_forgotten():
    made = alone(names_kept=1)
    call(made)
    resolve(made)
    call(made)
    assert asked(made) == [(GW, "NAPTR")]


def test_beyond_the_questions_in_flight_there_is_no_answer():
    made = alone(names_in_flight=1)
    call(made)
    asked(made)
    answer(made, GW, "NAPTR", NAPTR)
    asked(made)
    answer(made, SRV_UDP, "SRV", TWO)
    assert asked(made) == [("a.example.com", "A")]
    answer(made, "a.example.com", "A", Found(SECOND, (A[0],)))
    made.answer(A, b"INVITE", "503 Busy")
    assert told(made).startswith("SIP/2.0 503")


def test_a_question_without_answer_has_none_after_two_seconds_and_the_call_goes_on_with_what_is_known():
    made = alone()
    call(made)
    asked(made)
    made.run(2 * SECOND)
    assert asked(made) == [(SRV_UDP, "SRV"), (SRV_TCP, "SRV")]
    answer(made, SRV_UDP, "SRV", TWO)
    answer(made, SRV_TCP, "SRV", None)
    asked(made)
    answer(made, "a.example.com", "A", Left(1))  # not what was asked for: no answer
    answer(made, "b.example.com", "A", Found(SECOND, (B[0],)))
    assert made.last(B, b"INVITE")


def test_a_lookup_ends_after_five_seconds_with_nothing():
    made = alone()
    call(made)
    made.run(5 * SECOND)
    assert asked(made) == [(GW, "NAPTR"), (SRV_UDP, "SRV"), (SRV_TCP, "SRV"), (GW, "A")]
    assert told(made).startswith("SIP/2.0 503")
    made.run(2 * SECOND)
    answer(made, GW, "A", Found(SECOND, (A[0],)))  # nobody asks any more
    assert lookups(made) == 0


def test_a_caller_that_gives_up_is_not_put_through_and_the_answer_is_kept_all_the_same():
    made = alone(f"sip:{GW}:5070")
    number = call(made)
    asked(made)
    via = f"Via: SIP/2.0/UDP {PHONE[0]}:{PHONE[1]};branch={made.branch}"
    parts = ("From: <sip:1001@n1>;tag=from", "To: <sip:9123@n1>", f"Call-ID: call-{number}", "CSeq: 1 CANCEL")
    made.say("\n".join(("CANCEL sip:9123@n1 SIP/2.0", via, *parts, "Max-Forwards: 70")), PHONE)
    assert lookups(made) == 0
    answer(made, GW, "A", Found(SECOND, (A[0],)))
    assert not [to for to, _ in made.datagrams if to == A]
    call(made)
    assert asked(made) == []
    assert made.last(A, b"INVITE")


def test_a_name_that_cannot_be_looked_up_leads_nowhere():
    made = alone("sip:gw.example.com;transport=sctp")
    call(made)
    assert told(made).startswith("SIP/2.0 503")
    made = alone("tel:123")
    call(made)
    assert told(made).startswith("SIP/2.0 503")
    assert asked(made) == []


def test_a_node_on_the_other_family_asks_for_that():
    made = settings()
    node = made.nodes[0]
    member = node.members[0]
    replaced = msgspec.structs.replace(member, sip="[2001:db8::1]:5060")
    six = Alone(
        nodes=(msgspec.structs.replace(node, members=(replaced,)),),
        dns={**made.dns, "pstn": DnSettings(dn="pstn", type=DnType.TRUNK, prefix="9", contact="sip:gw.test:5070")},
    )
    six.phone("1001", PHONE)
    call(six)
    assert asked(six) == [("gw.test", "AAAA")]


def test_a_binding_keeps_what_the_contact_says_of_its_host():
    binding = named_binding("sip:gw.example.com:5070;transport=tcp", "9123", Target("tcp", A))
    assert (binding.contact, binding.listener) == ("sip:9123@gw.example.com:5070;transport=tcp", "sip-tcp")
    assert (binding.host, binding.port, binding.transport) == (*A, "tcp")
    assert named_binding("sip:gw.example.com", "1", Target("tcp", A)).contact == "sip:1@gw.example.com"


def under_tls(contact: str) -> Alone:
    """A node with a TLS listener, and a trunk."""
    made = settings()
    member = msgspec.structs.replace(made.nodes[0].members[0], sip_tls="192.0.2.1:5061")
    node = msgspec.structs.replace(made.nodes[0], members=(member,))
    dns = {dn.dn: dn for dn in DNS}
    dns["pstn"] = DnSettings(dn="pstn", type=DnType.TRUNK, prefix="9", contact=contact)
    alone_ = Alone(nodes=(node,), dns=dns)
    alone_.phone("1001", PHONE)
    return alone_


@pytest.mark.parametrize("contact", [f"sips:{GW}", f"sip:{GW};transport=tls", f"sip:{GW}.;transport=TLS"])
def test_a_trunk_under_tls_is_dialled_with_the_name_that_its_certificate_must_show(contact: str):
    made = under_tls(contact)
    call(made)
    zone = {
        (GW, "NAPTR"): Found(60 * SECOND, pointers=(Naptr(1, 1, "s", "SIPS+D2T", "_sips._tcp.gw.example.com"),)),
        ("_sips._tcp.gw.example.com", "SRV"): Found(60 * SECOND, services=(Srv(1, 0, 5071, "a.example.com"),)),
        ("a.example.com", "A"): Found(60 * SECOND, (A[0],)),
    }
    while questions := asked(made):
        for name, kind in questions:
            answer(made, name.rstrip("."), kind, zone.get((name.rstrip("."), kind)))
    (dial,) = [dial for dial in made.dialled if dial.tls]
    assert (dial.address, dial.tls, dial.name) == (f"{A[0]}:5071", True, GW)


def test_a_node_without_a_tls_listener_looks_for_no_place_under_tls():
    made = alone(f"sips:{GW}")
    call(made)
    while questions := asked(made):
        for name, kind in questions:
            answer(made, name, kind, None)
    assert told(made) == "SIP/2.0 503 Service Unavailable"
    assert not any(dial.tls for dial in made.dialled)


def test_the_places_of_a_trunk_may_send_what_they_like():
    made = alone()
    gate = made.node._edge.gate
    assert not gate.is_free(A[0])
    call(made)
    resolve(made)
    assert gate.is_free(A[0])
    assert gate.is_free(B[0])
