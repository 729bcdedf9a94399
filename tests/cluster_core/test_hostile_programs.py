"""What programs may say over T-Library without harm: each request is answered, and the node goes on."""

from __future__ import annotations

import pytest

from cluster_core.settings import ClientRole
from tests.cluster_core.alone import SDP, TRUNK, Alone
from tlib_proto import Attribute, ErrorCode, ForwardMode, Message, MessageType, encode

PHONE = ("198.51.100.1", 5060)
OTHER = ("198.51.100.2", 5060)
STRANGER = ("203.0.113.9", 5060)


def talking(alone: Alone, desk) -> int:
    """A call from outside that rings at 1001."""
    alone.phone("1001", PHONE)
    alone.request("INVITE", "sip:1001@n1", STRANGER, to="<sip:1001@n1>", body=SDP)
    alone.answer(PHONE, b"INVITE", "180 Ringing")
    return desk.events[-1].number(Attribute.ConnID)


def code(message: Message) -> int:
    assert message.id == MessageType.EventError, message
    return message.number(Attribute.ErrorCode)


def test_a_name_as_long_as_a_frame_is_refused_and_not_repeated():
    alone = Alone()
    for role, port in (
        (ClientRole.DESKTOP, "tcontroller"),
        (ClientRole.ROUTER, "tlib"),
        (ClientRole.MONITOR, "smartproxy"),
    ):
        program = alone.program({"tlib": "URS", "tcontroller": "Desk", "smartproxy": "Stat"}[port], role, port)
        empty = len(encode(Message(MessageType.RequestRegisterAddress, 1, {Attribute.ThisDN: "1"})))
        refused = program.ask(MessageType.RequestRegisterAddress, ThisDN="1" * (1_048_577 - empty))
        assert code(refused) == ErrorCode.NOT_CONFIGURED
        assert len(encode(refused)) < 1_000


def test_user_data_beyond_what_can_be_encoded_is_refused():
    alone = Alone()
    desk = alone.program("Desk", ClientRole.DESKTOP, "tcontroller", "1001")
    conn_id = talking(alone, desk)
    some, most = (("k", "v" * 10_000),), (("k", "v" * 65_000),)
    attach = MessageType.RequestAttachUserData
    assert desk.ask(attach, ThisDN="1001", ConnID=conn_id, UserData=some).id == MessageType.EventAttachedDataChanged
    assert code(desk.ask(attach, ThisDN="1001", ConnID=conn_id, UserData=most)) == ErrorCode.VALUE_OUT_OF_RANGE


def test_an_agents_reasons_and_names_are_bounded():
    alone = Alone()
    desk = alone.program("Desk", ClientRole.DESKTOP, "tcontroller", "1001")
    alone.phone("1001", PHONE)
    login = MessageType.RequestAgentLogin
    for name in ("AgentID", "ThisQueue"):
        given = {"AgentID": "a1", name: "x" * 100_000}
        assert code(desk.ask(login, ThisDN="1001", **given)) == ErrorCode.INVALID_ATTR
    assert code(desk.ask(login, ThisDN="1001", AgentID="a1", AgentWorkMode=1 << 31)) == ErrorCode.INVALID_ATTR
    reasons = (("r", "x" * 65_000),)
    assert code(desk.ask(login, ThisDN="1001", AgentID="a1", Reasons=reasons)) == ErrorCode.INVALID_ATTR
    assert desk.ask(login, ThisDN="1001", AgentID="a1").id == MessageType.EventAgentLogin


@pytest.mark.parametrize("number", ["9\r\nEvil: yes", "9 1", "9@evil.example", "9" * 100_000, "9<", "9\x00", "9\udcff"])
def test_a_number_that_no_phone_dials_leads_nowhere(number):
    alone = Alone()
    alone.phone("1001", PHONE)
    desk = alone.program("Desk", ClientRole.DESKTOP, "tcontroller", "1001")
    refused = desk.ask(MessageType.RequestMakeCall, ThisDN="1001", OtherDN=number)
    assert code(refused) == ErrorCode.INVALID_CALLED_DN


def test_the_first_of_two_who_answer_is_answered_and_the_second_refused():
    alone = Alone()
    one = alone.program("Desk", ClientRole.DESKTOP, "tcontroller", "1001")
    two = alone.program("Desk", ClientRole.DESKTOP, "tcontroller", "1001")
    conn_id = talking(alone, one)
    first = one.send(MessageType.RequestAnswerCall, ThisDN="1001", ConnID=conn_id)
    assert code(two.ask(MessageType.RequestAnswerCall, ThisDN="1001", ConnID=conn_id)) == (
        ErrorCode.INCORRECT_OBJECT_STATE
    )
    alone.answer(PHONE, b"NOTIFY", "200 OK")
    alone.answer(PHONE, b"INVITE", "200 OK", "Contact: <sip:1001@198.51.100.1>", body=SDP)
    assert [event.id for event in one.answers(first)] == [MessageType.EventEstablished]
    assert two.events[-1].id == MessageType.EventEstablished
    assert not two.events[-1].ref


def test_a_party_that_has_not_dialled_yet_takes_no_requests():
    alone = Alone()
    alone.phone("1001", PHONE)
    desk = alone.program("Desk", ClientRole.DESKTOP, "tcontroller", "1001")
    icon = alone.program("ICON", ClientRole.REPORTING, "iproxy")
    icon.ask(MessageType.RequestPrivateService, PrivateMsgID=1)
    desk.send(MessageType.RequestMakeCall, ThisDN="1001", OtherDN="91")
    conn_id = icon.events[-1].number(Attribute.ConnID)
    data = (("k", "v"),)
    refused = desk.ask(MessageType.RequestAttachUserData, ThisDN="1001", ConnID=conn_id, UserData=data)
    assert code(refused) == ErrorCode.INVALID_CONNECTION_ID


def test_a_registration_of_a_dn_with_very_many_calls_tells_of_as_many_as_fit():
    alone = Alone()
    router = alone.program("URS", ClientRole.ROUTER, "tlib", "8000")
    for n in range(900):
        alone.request("INVITE", "sip:8000@n1", (TRUNK[0], TRUNK[1]), from_=f"<sip:{n:060}@x>", body=SDP)
    answer = router.ask(MessageType.RequestRegisterAddress, ThisDN="8000")
    assert answer.id == MessageType.EventRegistered
    desk = alone.program("Desk", ClientRole.DESKTOP, "tcontroller", "8000")
    smart = alone.program("SFS", ClientRole.SMART, "tcontroller")
    assert smart.ask(MessageType.RequestRegisterAll, Extensions=(("node-dns", 1),)).id == (
        MessageType.EventRegisteredAll
    )
    assert len([key for key, _ in desk.events[-1].pairs(Attribute.Extensions) if key.startswith("conn-")]) > 200


@pytest.mark.parametrize("role", [ClientRole.DESKTOP])
def test_a_call_is_made_here_whatever_connid_the_request_bears(role):
    alone = Alone()
    desk = alone.program("Desk", role, "tcontroller", "1001")
    refused = desk.ask(MessageType.RequestMakeCall, ThisDN="1001", OtherDN="91", ConnID=2 << 52 | 1)
    assert code(refused) == ErrorCode.OUT_OF_SERVICE


def test_an_answer_to_a_call_that_goes_on_is_refused_at_once():
    alone = Alone()
    alone.phone("1002", PHONE)
    alone.phone("1001", OTHER)
    desk = alone.program("Desk", ClientRole.DESKTOP, "tcontroller", "1002")
    mode = int(ForwardMode.OnNoAnswer)
    desk.ask(MessageType.RequestCallForwardSet, ThisDN="1002", OtherDN="1001", ForwardMode=mode)
    alone.request("INVITE", "sip:1002@n1", TRUNK, to="<sip:1002@n1>", body=SDP)
    alone.answer(PHONE, b"INVITE", "180 Ringing", f"Contact: <sip:1002@{PHONE[0]}>")
    alone.run(19_500_000)
    (ringing,) = [event for event in desk.events if event.id == MessageType.EventRinging]
    ref = desk.send(MessageType.RequestAnswerCall, ThisDN="1002", ConnID=ringing.number(Attribute.ConnID))
    alone.run(1_000_000)
    assert [answer.id for answer in desk.answers(ref)] == [MessageType.EventError]
    assert desk.names()[-1] == "Released"
