"""A stream cut into messages: Content-Length, line ends between messages, bounds (RFC 3261 section 18.3)."""

import re
from enum import IntEnum
from typing import NamedTuple

from sip_proto.headers import parse_number
from sip_proto.limits import DEFAULT_LIMITS, Limits

_END = b"\r\n\r\n"
# A value goes on over line ends that a blank follows; what the parser unfolds must not be cut elsewhere here.
_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*:((?:[^\r]|\r(?!\n)|\r\n[ \t])*)", re.I)
_TYPE = re.compile(rb"\r\n(?:content-type|c)[ \t]*:", re.I)
_FOLD = re.compile(rb"[\r\n]+")


class KeepAlive(IntEnum):
    """Line ends between messages: one alone is a PONG, the second of a pair makes it a PING, to be answered with one
    (RFC 5626 section 3.5.1)."""

    PONG = 1
    PING = 2


class BrokenFraming(NamedTuple):
    """Why a stream cannot be cut any further: `status` to answer before it is closed, and the `head` that came, ended
    so that `parse` may read it (RFC 3261 section 18.3; ours)."""

    kind: str
    offset: int
    text: str
    status: int
    head: bytes


Frame = bytes | KeepAlive | BrokenFraming


class StreamFramer:
    """The bytes of one stream as messages; holds at most one message and takes time in proportion to the bytes (RFC
    3261 section 18.3)."""

    __slots__ = ("_buffer", "_limits", "_need", "_paired", "_scanned", "_taken", "broken")

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.broken = False
        self._limits = limits
        self._buffer = bytearray()
        # Length of the message at the start of the buffer, 0 until its head is whole.
        self._need = 0
        # The buffer has no end of head before this place.
        self._scanned = 0
        self._taken = 0
        self._paired = False

    def receive(self, data: bytes) -> list[Frame]:
        """The messages that are whole now, in order, each as `parse` takes it; a BrokenFraming is the last that ever
        comes (RFC 3261 section 18.3).

        PING and PONG stand at most once each before a message, so that a flood of line ends costs the answerer one
        answer a read.
        """
        found: list[Frame] = []
        if self.broken:
            return found
        # What may be cut is cut from a part of bounded size: a large read must not be moved again for each message.
        limit = 2 * self._limits.message
        for start in range(0, len(data), limit):
            self._buffer += data[start : start + limit]
            self._cut(found)
            if self.broken:
                self._buffer.clear()
                break
        return found

    @property
    def pending(self) -> int:
        """Bytes of a message that is not whole; a host may close a stream that stays above 0 too long (ours)."""
        return len(self._buffer)

    def _cut(self, found: list[Frame]) -> None:
        buffer = self._buffer
        at = 0
        quiet = 0
        while True:
            if not self._need:
                at, quiet = self._skip_line_ends(at, found, quiet)
                self._measure(at, found)
                if not self._need:
                    break
            if len(buffer) - at < self._need:
                break
            found.append(bytes(buffer[at : at + self._need]))
            at += self._need
            quiet = self._need = self._scanned = 0
            self._paired = False
        del buffer[:at]
        self._taken += at

    def _skip_line_ends(self, at: int, found: list[Frame], quiet: int) -> tuple[int, int]:
        buffer = self._buffer
        while buffer.startswith(b"\r\n", at):
            sign = KeepAlive.PING if self._paired else KeepAlive.PONG
            if not quiet & sign:
                quiet |= sign
                found.append(sign)
            self._paired = not self._paired
            self._scanned = 0
            at += 2
        return at, quiet

    def _measure(self, at: int, found: list[Frame]) -> None:
        """Set the length of the message at `at` once its head is whole."""
        buffer = self._buffer
        limits = self._limits
        end = buffer.find(_END, at + max(0, self._scanned - 3))
        head = (end if end >= 0 else len(buffer)) - at
        if head > limits.head:
            self._break(found, "head too long", at, f"more than {limits.head} bytes of header", 400, limits.head)
            return
        if end < 0:
            self._scanned = head
            return
        text = bytes(buffer[at : end + 2])
        lengths = [_FOLD.sub(b" ", value).strip().decode("latin-1") for value in _LENGTH.findall(text)]
        if not lengths:
            # A body has a type (RFC 3261 section 20.15): without one, none was meant.
            if _TYPE.search(text):
                self._break(found, "content length", at, "a body of unknown length", 400, head)
                return
            lengths = ["0"]
        length = parse_number(lengths[0])
        if length is None:
            self._break(found, "content length", at, "no number", 400, head)
        elif any(parse_number(other) != length for other in lengths):
            self._break(found, "content length", at, "two that differ", 400, head)
        elif head + 4 + length > limits.message:
            self._break(found, "too long", at, f"more than {limits.message} bytes", 413, head)
        else:
            self._need = head + 4 + length

    def _break(self, found: list[Frame], kind: str, at: int, text: str, status: int, size: int) -> None:
        self.broken = True
        head = bytes(self._buffer[at : at + size])
        if kind == "head too long":
            # Without the line that was cut.
            head = head[: max(0, head.rfind(b"\r\n"))]
        found.append(BrokenFraming(kind, self._taken + at, text, status, head + _END))
