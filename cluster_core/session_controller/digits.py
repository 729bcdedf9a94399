"""TSendDTMF: digits in the name of a DN to the other end of its call, by INFO (RFC 6086, application/dtmf-relay)."""

from __future__ import annotations

import re

import msgspec

from cluster_core.core import Cause
from cluster_core.outputs import AnyOutput
from cluster_core.records import PartyRecord
from cluster_core.requests import Requests
from cluster_core.rights import Condition
from cluster_core.session_controller.calls import Calls
from cluster_core.session_controller.legs import Legs, Stage
from cluster_core.session_controller.tables import CONNECTED
from tlib_proto import Attribute, Message, MessageType

_DIGITS = re.compile(r"[0-9A-Da-d*#]{1,64}", re.ASCII)
_BODY = "Signal={digit}\r\nDuration=160\r\n"


class Sending(msgspec.Struct):
    """Digits on their way: `left` are those after the one whose answer is waited for."""

    party: int
    digits: str
    left: str
    cause: Cause


class Digits:
    """One digit after the other: the next one goes when the phone has taken the last."""

    def __init__(self, requests: Requests, calls: Calls, legs: Legs) -> None:
        self._requests = requests
        self._calls = calls
        self._legs = legs
        self._sending: dict[int, Sending] = {}

    def __len__(self) -> int:
        return len(self._sending)

    def request(self, now: int, party: PartyRecord, message: Message, cause: Cause, out: list[AnyOutput]) -> None:
        """TSendDTMF: EventDTMFSent when the other end has taken the last digit."""
        digits = message.text(Attribute.DTMFDigits)
        busy = any(sending.party == party.party for sending in self._sending.values())
        if not _DIGITS.fullmatch(digits):
            self._requests.fail(now, cause, Condition.INVALID_ATTRIBUTE, out, attribute="DTMFDigits")
        elif busy or party.state != CONNECTED:
            self._requests.fail(now, cause, Condition.WRONG_STATE, out, dn=party.dn)
        else:
            self._next(now, Sending(party.party, digits, digits, cause), out)

    def responded(self, now: int, handle: int, status: int, out: list[AnyOutput]) -> bool:
        """An answer to one of these INFOs; False when it is one to something else."""
        sending = self._sending.pop(handle, None)
        if sending is None:
            return False
        if sending.party not in self._calls.parties:
            self._requests.fail(now, sending.cause, Condition.INVALID_CONNID, out)
        elif not 200 <= status < 300:
            self._requests.fail(now, sending.cause, Condition.PHONE_REFUSED, out)
        else:
            self._next(now, sending, out)
        return True

    def _next(self, now: int, sending: Sending, out: list[AnyOutput]) -> None:
        party = self._calls.parties[sending.party]
        other = self._calls.other(party)
        if not sending.left:
            self._calls.tell(
                now, party, MessageType.EventDTMFSent, sending.cause, out, DTMFDigits=sending.digits
            )
            return
        handle = None
        if other is not None and self._legs.stage(other.leg) is Stage.ANSWERED:
            body = _BODY.format(digit=sending.left[0].upper()).encode()
            handle = self._legs.send(now, other.leg, "INFO", (), body, "application/dtmf-relay")
        if handle is None:
            self._requests.fail(now, sending.cause, Condition.WRONG_STATE, out, dn=party.dn)
            return
        sending.left = sending.left[1:]
        self._sending[handle] = sending
