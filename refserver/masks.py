"""What a person may read of bytes on the wire: secrets and user data masked (design 12)."""

from __future__ import annotations

import re

from tlib_proto.codec import HEADER_SIZE, decode, frame_length
from tlib_proto.errors import ParseError
from tlib_proto.records import Message

MAX_FRAME = 1_048_576
_CREDENTIALS = re.compile(
    rb"(?im)^(authorization|proxy-authorization|authentication-info)[ \t]*:[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*"
)
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_UNSAFE_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class FrameCutter:
    """Cuts one direction of a T-Library stream into messages, for logs: what is no T-Library is given up."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.lost = False

    def feed(self, data: bytes) -> list[Message | int]:
        """The messages that the bytes complete; an int is the length of a frame that does not decode."""
        if self.lost:
            return []
        buffer = self._buffer
        buffer += data
        found: list[Message | int] = []
        at = 0
        while len(buffer) - at >= 4:
            length = frame_length(buffer, at)
            if not HEADER_SIZE <= length <= MAX_FRAME:
                self.lost = True
                buffer.clear()
                return found
            if len(buffer) - at < length:
                break
            try:
                found.append(decode(bytes(memoryview(buffer)[at : at + length])))
            except ParseError:
                found.append(length)
            at += length
        del buffer[:at]
        return found


def sip_text(data: bytes) -> str:
    """A SIP message as text of many lines, its credentials masked, control characters as escapes."""
    text = _CREDENTIALS.sub(rb"\1: ***", data).decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    return _UNSAFE.sub(escape, text).rstrip("\n")


def sip_line(data: bytes) -> str:
    """The first line of a SIP message."""
    line = data[:512].lstrip().split(b"\r", 1)[0].split(b"\n", 1)[0]
    return one_line(line[:200].decode("utf-8", "surrogateescape"))


def one_line(text: str) -> str:
    """Text on one line, control characters as escapes."""
    return _UNSAFE_LINE.sub(escape, text)


def escape(match: re.Match[str]) -> str:
    """A character that a log may not hold."""
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # an octet kept by surrogateescape
        code -= 0xDC00
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"
