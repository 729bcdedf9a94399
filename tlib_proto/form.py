"""Frames that differ in a few values only: filled in, not encoded (ours)."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct, error

from tlib_proto._values import TYPES
from tlib_proto.codec import encode
from tlib_proto.errors import LocalError
from tlib_proto.records import Message, Value

_INT, _LONG, _TEXT = 1, 2, 3
_SIZES = {_INT: 4, _LONG: 8}
_CODES = {_INT: "L", _LONG: "Q"}
_BLANKS: dict[int, Value] = {_INT: 0, _LONG: 0, _TEXT: ""}
_HEAD = 8


class Form:
    """A message of which the attributes `blanks`, integers and strings, differ from frame to frame; the others are
    always those of `message` (ours). LocalError for a blank that is no attribute of the message, or of another type."""

    __slots__ = ("_name", "_plan", "_size", "_text")

    def __init__(self, message: Message, blanks: Sequence[int]) -> None:
        self._name = message.name
        found = 0
        text = b"%b" + _escaped(encode(Message(message.id, 0, {}))[4:8]) + b"%b"
        size = 12
        fixed = b""
        run: list[tuple[bytes, int]] = []
        self._plan: list[tuple[Struct, list[int | bytes]] | None] = []
        for id, value in message.attributes.items():
            kind = TYPES.get(id, 0) if id in blanks else 0
            octets = encode(Message(message.id, 0, {id: _BLANKS.get(kind, value)}))[12:]
            found += kind in _BLANKS
            if kind in _SIZES:
                run.append((fixed + octets[:_HEAD], kind))
                fixed = b""
                size += _HEAD + _SIZES[kind]
            elif kind == _TEXT:
                text += self._end(run) + _escaped(fixed + octets[:4]) + b"%b%b"
                fixed = b""
                self._plan.append(None)
                size += _HEAD
            else:
                fixed += octets
                size += len(octets)
        if found != len(blanks):
            raise LocalError(f"{self._name}: a blank is an integer or string attribute of the message")
        self._size = size
        self._text = text + self._end(run) + _escaped(fixed)

    def _end(self, run: list[tuple[bytes, int]]) -> bytes:
        """Integers that follow each other, with what is fixed before each, are packed at once."""
        if not run:
            return b""
        packed = Struct(">" + "".join(f"{len(fixed)}s{_CODES[kind]}" for fixed, kind in run))
        self._plan.append((packed, [part for fixed, _ in run for part in (fixed, 0)]))
        run.clear()
        return b"%b"

    def fill(self, ref: int, values: Sequence[int | str]) -> bytes:
        """The frame with these values in the blanks, in the order that the message has them: octet for octet what
        `encode` makes of them. LocalError for what the format cannot hold."""
        size = self._size
        at = 0
        try:
            parts = [b"", ref.to_bytes(4, "big")]
            for run in self._plan:
                if run is None:
                    octets = values[at].encode("utf-8", "surrogateescape")  # type: ignore[union-attr]
                    size += len(octets)
                    parts += (len(octets).to_bytes(4, "big"), octets)
                    at += 1
                else:
                    packed, fixed = run
                    mixed = fixed[:]
                    end = at + len(mixed) // 2
                    mixed[1::2] = values[at:end]  # type: ignore[assignment]
                    parts.append(packed.pack(*mixed))
                    at = end
            if at != len(values):
                raise ValueError("too many")
        except (OverflowError, ValueError, AttributeError, IndexError, error) as fault:
            raise LocalError(f"{self._name}: the format cannot hold this value") from fault
        parts[0] = size.to_bytes(4, "big")
        return self._text % tuple(parts)


def _escaped(octets: bytes) -> bytes:
    return octets.replace(b"%", b"%%")
