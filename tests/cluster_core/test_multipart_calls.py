"""Calls whose descriptions travel among other parts."""

from sip_proto import Part, multipart_body, parse
from tests.cluster_core.alone import SDP, Alone

CALLER = ("198.51.100.1", 5060)
PHONE = ("198.51.100.2", 5060)
ISUP = Part((("Content-Type", "application/isup"), ("Content-Disposition", "signal;handling=optional")), b"\x01")
OFFER = Part((("Content-Type", "application/sdp"),), SDP)


def test_a_call_from_a_gateway_that_sends_its_own_signalling_along() -> None:
    alone = Alone()
    alone.phone("1001", PHONE)
    kind, body = multipart_body([ISUP, OFFER])
    said = alone.request("INVITE", "sip:1001@n1", CALLER, to="<sip:1001@n1>", body=body, kind=kind)
    assert said == ["SIP/2.0 100 Trying"]
    rung = parse(alone.last(PHONE, b"INVITE"))
    assert rung.get("Content-Type") == "application/sdp"
    assert b"m=audio 4000 RTP/AVP 0" in rung.body
    kind, body = multipart_body([OFFER, ISUP])
    alone.answer(PHONE, b"INVITE", "200 OK", f"Contact: <sip:1001@{PHONE[0]}>", body=body, kind=kind)
    answered = parse(alone.last(CALLER, b"SIP/2.0 200"))
    assert answered.get("Content-Type") == "application/sdp"
    assert b"m=audio 4000 RTP/AVP 0" in answered.body


def test_a_call_with_a_part_that_we_must_understand_and_do_not() -> None:
    alone = Alone()
    alone.phone("1001", PHONE)
    kind, body = multipart_body([OFFER, Part((), b"x")])
    said = alone.request("INVITE", "sip:1001@n1", CALLER, to="<sip:1001@n1>", body=body, kind=kind)
    assert said == ["SIP/2.0 415 Unsupported Media Type"]
    assert not any(data.startswith(b"INVITE") for _, data in alone.datagrams)
