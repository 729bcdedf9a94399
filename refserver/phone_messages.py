"""Digits and messages of a test phone: INFO with DTMF, MESSAGE (RFC 6086, RFC 3428)."""

from __future__ import annotations

import re

from refserver.phone_agent import Kind
from refserver.phone_calls import CallSide
from refserver.phone_records import MAX_EVENT_TEXT, PhoneCall
from sip_proto import Output, Request, Requested

RELAY = "application/dtmf-relay"
PLAIN_DIGIT = "application/dtmf"
DIGITS = re.compile(r"[0-9A-D*#]{1,64}", re.ASCII)
DURATION_MS = 160

_SIGNAL = re.compile(rb"^[ \t]*Signal[ \t]*=[ \t]*([0-9A-Da-d*#]|1[0-6])[ \t]*\r?$", re.MULTILINE | re.IGNORECASE)
_DURATION = re.compile(rb"^[ \t]*Duration[ \t]*=[ \t]*([0-9]{1,5})[ \t]*\r?$", re.MULTILINE | re.IGNORECASE)
# Some phones write the event's number of RFC 4733 in place of the character.
_NUMBERED = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D", "16": "!"}


def relay_body(digit: str) -> bytes:
    """The body of an INFO that carries one digit (ours: the form that phones in the field write)."""
    return f"Signal={digit}\r\nDuration={DURATION_MS}\r\n".encode()


def digit_of(content_type: str, body: bytes) -> tuple[str, int] | None:
    """The digit of an INFO and its milliseconds, 0 when it does not say; None when it carries none."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == RELAY:
        signal = _SIGNAL.search(body)
        if signal is None:
            return None
        digit = signal[1].decode().upper()
        duration = _DURATION.search(body)
        return _NUMBERED.get(digit, digit), int(duration[1]) if duration else 0
    if kind == PLAIN_DIGIT:
        text = body.decode("ascii", "replace").strip().upper()
        if DIGITS.fullmatch(text) and len(text) == 1:
            return text, 0
    return None


class MessageSide(CallSide):
    """What comes by INFO and MESSAGE (ours)."""

    def _requested(self, item: Requested, out: list[Output]) -> None:
        call = self._call_of(item.leg) if item.leg else None
        if item.request.method == "INFO":
            self._informed(item, call, out)
        elif item.request.method == "MESSAGE":
            self._messaged(item, call, out)
        else:
            super()._requested(item, out)

    def _informed(self, item: Requested, call: PhoneCall | None, out: list[Output]) -> None:
        request = item.request
        if call is None:
            self._endpoint.respond(self._now(), item.handle, 481, out)
            return
        digit = digit_of(request.get("Content-Type") or "", request.body)
        if digit is None and request.body:
            self._endpoint.respond(self._now(), item.handle, 415, out, headers=(("Accept", f"{RELAY}, {PLAIN_DIGIT}"),))
            return
        self._endpoint.respond(self._now(), item.handle, 200, out)
        if digit is not None:
            self._tell(Kind.DIGIT, call, text=digit[0], detail={"duration_ms": digit[1]})

    def _messaged(self, item: Requested, call: PhoneCall | None, out: list[Output]) -> None:
        request = item.request
        kind = (request.get("Content-Type") or "text/plain").partition(";")[0].strip().lower()
        if kind != "text/plain":
            self._endpoint.respond(self._now(), item.handle, 415, out, headers=(("Accept", "text/plain"),))
            return
        self._endpoint.respond(self._now(), item.handle, 200, out)
        self._tell(Kind.MESSAGE, call, text=_text(request), peer=request.from_.uri)


def _text(request: Request) -> str:
    return request.body.decode("utf-8", "replace")[:MAX_EVENT_TEXT]
