"""Bounds of a node towards programs, each from both sides: the last that is taken, the first that is not."""

from __future__ import annotations

import msgspec

from cluster_core.inputs import Opened
from cluster_core.settings import ClientRole
from tests.cluster_core.alone import SDP, Alone, settings
from tlib_proto import Attribute, ErrorCode, MessageType

PHONE, STRANGER = ("198.51.100.1", 5060), ("203.0.113.9", 5060)


def bounded(**limits: int) -> Alone:
    return Alone(limits=msgspec.structs.replace(settings().limits, **limits))


def test_user_data_of_a_call():
    alone = bounded(user_data_bytes=100)
    desk = alone.program("Desk", ClientRole.DESKTOP, "tcontroller", "1001")
    alone.phone("1001", PHONE)
    alone.request("INVITE", "sip:1001@n1", STRANGER, to="<sip:1001@n1>", body=SDP)
    alone.answer(PHONE, b"INVITE", "180 Ringing")
    conn_id = desk.events[-1].number(Attribute.ConnID)

    def attached(size: int) -> int:
        data = (("k", "v" * size),)
        answer = desk.ask(MessageType.RequestAttachUserData, ThisDN="1001", ConnID=conn_id, UserData=data)
        return answer.number(Attribute.ErrorCode)

    taken = [size for size in range(60, 120) if attached(size) == 0][-1:]
    assert taken
    assert attached(taken[0] + 1) == ErrorCode.VALUE_OUT_OF_RANGE


def test_connections():
    alone = bounded(connections=3)
    kept = [alone.program("Desk", ClientRole.DESKTOP, "tcontroller") for _ in range(3)]
    assert all(program.linked for program in kept)
    alone.programs[100] = kept[0]
    alone.give(Opened(100, "tcontroller", "127.0.0.1:40000"))
    assert alone.closed == [100]
    assert alone.faults[-1].kind == "too-many-connections"
    kept[1].hang_up()
    assert alone.program("Desk", ClientRole.DESKTOP, "tcontroller").linked


def test_registrations_of_a_client():
    alone = bounded(registrations_per_client=2)
    desk = alone.program("Desk", ClientRole.DESKTOP, "tcontroller", "1001", "1002")
    again = desk.ask(MessageType.RequestRegisterAddress, ThisDN="1002")
    assert again.id == MessageType.EventRegistered
    refused = desk.ask(MessageType.RequestRegisterAddress, ThisDN="1003")
    assert refused.number(Attribute.ErrorCode) == ErrorCode.SERVICE_BUSY
    desk.ask(MessageType.RequestUnregisterAddress, ThisDN="1001")
    assert desk.ask(MessageType.RequestRegisterAddress, ThisDN="1003").id == MessageType.EventRegistered


def test_requests_in_flight():
    alone = bounded(requests_in_flight=2)
    desk = alone.program("Desk", ClientRole.DESKTOP, "tcontroller", "1001")
    alone.phone("1001", PHONE)
    refs = [desk.send(MessageType.RequestMakeCall, ThisDN="1001", OtherDN="1002") for _ in range(3)]
    assert [desk.answers(ref) for ref in refs[:2]] == [[], []]
    [refused] = desk.answers(refs[2])
    assert refused.number(Attribute.ErrorCode) == ErrorCode.SERVICE_BUSY
