"""What phones and strangers may say over SIP without harm: each is answered, and the node goes on."""

from __future__ import annotations

import msgspec
import pytest

from cluster_core.settings import ClientRole
from sip_proto import parse
from tests.cluster_core.alone import SDP, TRUNK, Alone
from tlib_proto import Attribute, ErrorCode, MessageType

STRANGER = ("203.0.113.9", 5060)
PHONE = ("198.51.100.1", 5060)
OTHER = ("198.51.100.2", 5060)

STRANGE_URIS = (
    "<sip:%zz@x>",
    "<sip:a b@x>",
    "<1:x>",
    "<sip:1001@[::bad::]>",
    "<sip:1001@x:99999>",
    "<urn:service:sos>",
    "<sip:@x>",
    "<sip:a@b@c>",
    "<sip:\udcff\udcfe\x01@x>",
    "<tel:+1;phone-context=x>",
)


@pytest.mark.parametrize("uri", STRANGE_URIS)
def test_a_strange_address_in_from_or_to_is_answered(uri):
    alone = Alone()
    router = alone.program("URS", ClientRole.ROUTER, "tlib", "8000")
    said = alone.request("INVITE", "sip:8000@n1", STRANGER, from_=uri, body=SDP)
    assert said[0].split()[1] in ("100", "400")
    assert alone.request("REGISTER", "sip:n1", STRANGER, from_=uri, to=uri)[0].split()[1] in ("400", "401", "403")
    alone.run(60_000_000)
    assert router.closed == ""
    assert not alone.node.session_controller.calls.calls


@pytest.mark.parametrize("path", ["nothing", "<sip:%zz@x>", "<sip:a b>", '"', "<x", "<sip:p@proxy.example;lr>"])
def test_a_strange_path_is_answered(path):
    alone = Alone()
    me = "<sip:1001@n1>"
    said = alone.request("REGISTER", "sip:n1", PHONE, f"Path: {path}", "Supported: path", from_=me, to=me)
    assert said[0].split()[1] in ("200", "400")
    alone.request("INVITE", "sip:1001@n1", STRANGER, to=me, body=SDP)


def test_a_phone_that_rings_without_a_tag_cannot_be_made_to_answer():
    alone = Alone()
    alone.phone("1001", PHONE)
    desk = alone.program("Desk", ClientRole.DESKTOP, "tcontroller", "1001")
    alone.request("INVITE", "sip:1001@n1", STRANGER, to="<sip:1001@n1>", body=SDP)
    alone.answer(PHONE, b"INVITE", "180 Ringing", tag="")
    assert desk.names()[-1] == "Ringing"
    conn_id = desk.events[-1].number(Attribute.ConnID)
    refused = desk.ask(MessageType.RequestAnswerCall, ThisDN="1001", ConnID=conn_id)
    assert refused.number(Attribute.ErrorCode) == ErrorCode.GENERIC_OPERATION


@pytest.mark.parametrize("status", ["481 Gone", "408 Late", "488 No", "500 Broken"])
def test_a_maker_whose_phone_refuses_the_offer_of_the_other_ends_the_call(status):
    alone = Alone()
    alone.phone("1001", PHONE)
    alone.phone("1002", OTHER)
    desk = alone.program("Desk", ClientRole.DESKTOP, "tcontroller", "1001", "1002")
    desk.send(MessageType.RequestMakeCall, ThisDN="1001", OtherDN="1002")
    contact = "Contact: <sip:1001@198.51.100.1>"
    alone.answer(PHONE, b"INVITE", "200 OK", contact, body=SDP)
    alone.answer(OTHER, b"INVITE", "200 OK", "Contact: <sip:1002@198.51.100.2>", body=SDP)
    alone.answer(PHONE, b"INVITE", status)
    alone.run(70_000_000)
    assert not alone.node.session_controller.calls.calls
    assert desk.names("1001")[-1] == desk.names("1002")[-1] == "Released"


@pytest.mark.parametrize("status", ["481 Gone", "408 Late"])
def test_a_phone_that_has_lost_the_call_when_a_program_holds_ends_it(status):
    alone = Alone()
    alone.phone("1001", PHONE)
    desk = alone.program("Desk", ClientRole.DESKTOP, "tcontroller", "1001")
    alone.request("INVITE", "sip:1001@n1", STRANGER, to="<sip:1001@n1>", body=SDP)
    alone.answer(PHONE, b"INVITE", "200 OK", "Contact: <sip:1001@198.51.100.1>", body=SDP)
    to = alone.last(STRANGER, b"SIP/2.0 200").decode().split("To: ")[1].split("\r\n")[0]
    alone.request("ACK", "sip:n1", STRANGER, to=to, call=alone.calls)
    conn_id = desk.events[-1].number(Attribute.ConnID)
    ref = desk.send(MessageType.RequestHoldCall, ThisDN="1001", ConnID=conn_id)
    alone.answer(PHONE, b"INVITE", status)
    alone.run(70_000_000)
    assert [event.id for event in desk.answers(ref)] == [MessageType.EventError]
    assert desk.names()[-1] == "Released"


def test_a_hold_that_neither_phone_answers_ends_the_call():
    alone = Alone()
    alone.phone("1001", PHONE)
    desk = alone.program("Desk", ClientRole.DESKTOP, "tcontroller", "1001")
    alone.request("INVITE", "sip:1001@n1", STRANGER, to="<sip:1001@n1>", body=SDP)
    alone.answer(PHONE, b"INVITE", "200 OK", "Contact: <sip:1001@198.51.100.1>", body=SDP)
    to = alone.last(STRANGER, b"SIP/2.0 200").decode().split("To: ")[1].split("\r\n")[0]
    alone.request("ACK", "sip:n1", STRANGER, to=to, call=alone.calls)
    ref = desk.send(MessageType.RequestHoldCall, ThisDN="1001", ConnID=desk.events[-1].number(Attribute.ConnID))
    alone.run(70_000_000)
    assert [event.id for event in desk.answers(ref)] == [MessageType.EventError]
    assert desk.names()[-1] == "Released"
    assert not alone.node.session_controller.calls.calls


def test_a_stranger_with_the_number_of_a_phone_is_no_party_on_its_dn():
    alone = Alone()
    alone.phone("1001", PHONE)
    desk = alone.program("Desk", ClientRole.DESKTOP, "tcontroller", "1001", "8000")
    router = alone.program("URS", ClientRole.ROUTER, "tlib", "8000", "1003")
    alone.request("INVITE", "sip:8000@n1", TRUNK, from_="<sip:1003@x>", body=SDP)
    conn_id = router.events[-1].number(Attribute.ConnID)
    assert router.names()[-1] == "RouteRequest"
    assert alone.node.session_controller.parties_on("1003") == ()
    refused = router.ask(MessageType.RequestReleaseCall, ThisDN="1003", ConnID=conn_id)
    assert refused.number(Attribute.ErrorCode) == ErrorCode.INVALID_CONNECTION_ID
    assert "Abandoned" not in desk.names("8000")


@pytest.mark.parametrize("status", ["302 Moved", "401 Who", "407 Who", "491 Later"])
def test_the_caller_is_not_told_what_only_we_could_act_on(status):
    alone = Alone()
    alone.phone("1001", PHONE)
    alone.request("INVITE", "sip:1001@n1", STRANGER, to="<sip:1001@n1>", body=SDP)
    alone.answer(PHONE, b"INVITE", status)
    assert alone.last(STRANGER, b"SIP/2.0").startswith(b"SIP/2.0 480")


def test_an_offer_made_in_the_answer_is_answered_in_the_ack():
    alone = Alone()
    alone.phone("1001", PHONE)
    desk = alone.program("Desk", ClientRole.DESKTOP, "tcontroller", "1001")
    alone.request("INVITE", "sip:1001@n1", STRANGER, to="<sip:1001@n1>")
    assert alone.last(PHONE, b"INVITE").endswith(b"\r\n\r\n")
    alone.answer(PHONE, b"INVITE", "200 OK", "Contact: <sip:1001@198.51.100.1>", body=SDP)
    accepted = alone.last(STRANGER, b"SIP/2.0 200")
    assert b"m=audio 4000" in accepted
    assert not any(data.startswith(b"ACK") for _, data in alone.datagrams)
    to = accepted.decode().split("To: ")[1].split("\r\n")[0]
    alone.request("ACK", "sip:n1", STRANGER, to=to, call=alone.calls, body=SDP.replace(b"4000", b"6000"))
    assert b"m=audio 6000" in alone.last(PHONE, b"ACK")
    conn_id = desk.events[-1].number(Attribute.ConnID)
    assert desk.names()[-1] == "Established"
    desk.send(MessageType.RequestHoldCall, ThisDN="1001", ConnID=conn_id)
    assert b"m=audio 6000" in alone.last(PHONE, b"INVITE")
    assert b"m=audio 4000" in alone.last(STRANGER, b"INVITE")
    alone.request("BYE", "sip:n1", STRANGER, to=to, call=alone.calls, cseq=2)
    assert not alone.node.session_controller.calls.calls
    assert not len(alone.node.session_controller.talk)


def test_a_call_for_which_sip_has_no_room_is_refused():
    alone = Alone()
    alone.phone("1001", PHONE)
    alone.phone("1002", OTHER)
    router = alone.program("URS", ClientRole.ROUTER, "tlib", "8000", "1001")
    endpoint = alone.node._edge.sip
    endpoint._limits = msgspec.structs.replace(endpoint._limits, transactions=len(endpoint._tx) + 2)
    alone.request("INVITE", "sip:8000@n1", STRANGER, body=SDP)
    conn_id = router.events[-1].number(Attribute.ConnID)
    alone.request("INVITE", "sip:1002@n1", STRANGER, to="<sip:1002@n1>", body=SDP)
    assert alone.last(STRANGER, b"SIP/2.0").startswith(b"SIP/2.0 503")
    route = {"ThisDN": "8000", "OtherDN": "1001", "ConnID": conn_id}
    assert router.ask(MessageType.RequestRouteCall, **route).number(Attribute.ErrorCode) == ErrorCode.SERVICE_BUSY
    made = router.ask(MessageType.RequestMakeCall, ThisDN="1001", OtherDN="1002")
    assert made.number(Attribute.ErrorCode) == ErrorCode.SERVICE_BUSY
    assert list(alone.node.session_controller.calls.calls) == [conn_id]


@pytest.mark.parametrize(
    ("method", "status"),
    [
        *(("BYE", 481), ("PRACK", 481), ("UPDATE", 481), ("INFO", 481), ("NOTIFY", 489), ("REFER", 403)),
        *(("PUBLISH", 405), ("FOO", 501), ("options", 501)),
    ],
)
def test_what_belongs_into_a_call_or_is_not_known_is_refused_for_what_it_is(method, status):
    alone = Alone()
    (line,) = alone.request(method, "sip:1001@n1", STRANGER)
    assert line.startswith(f"SIP/2.0 {status} ")
    refused = parse(alone.datagrams[-1][1])
    assert method not in refused.elements("Allow") or status in (481, 403, 489)
