"""Frames that differ in a few values only: filled in, not encoded (ours)."""

from __future__ import annotations

from collections.abc import Sequence

from tlib_proto._values import TYPES
from tlib_proto.codec import encode
from tlib_proto.errors import LocalError
from tlib_proto.records import Message, Value

_INT, _LONG, _TEXT = 1, 2, 3
_SIZES = {_INT: 4, _LONG: 8}
_BLANKS: dict[int, Value] = {_INT: 0, _LONG: 0, _TEXT: ""}
_HEAD = 8


class Form:
    """A message of which the attributes `blanks`, integers and strings, differ from frame to frame; the others are
    always those of `message` (ours). LocalError for a blank that is no attribute of the message, or of another type."""

    __slots__ = ("_kinds", "_name", "_size", "_text")

    def __init__(self, message: Message, blanks: Sequence[int]) -> None:
        self._name = message.name
        kinds: list[int] = []
        text = b""
        size = 12
        for id, value in message.attributes.items():
            kind = TYPES.get(id, 0) if id in blanks else 0
            octets = encode(Message(message.id, 0, {id: _BLANKS.get(kind, value)}))[12:]
            if kind in _SIZES:
                octets = octets[:_HEAD].replace(b"%", b"%%") + b"%b"
                size += _HEAD + _SIZES[kind]
            elif kind == _TEXT:
                octets = octets[:4].replace(b"%", b"%%") + b"%b%b"
                size += _HEAD
            else:
                size += len(octets)
                octets = octets.replace(b"%", b"%%")
            if kind in _BLANKS:
                kinds.append(kind)
            text += octets
        if len(kinds) != len(blanks):
            raise LocalError(f"{self._name}: a blank is an integer or string attribute of the message")
        head = encode(Message(message.id, 0, {}))[4:8].replace(b"%", b"%%")
        self._kinds = tuple(kinds)
        self._size = size
        self._text = b"%b" + head + b"%b" + text

    def fill(self, ref: int, values: Sequence[int | str]) -> bytes:
        """The frame with these values in the blanks, in the order that the message has them: octet for octet what
        `encode` makes of them. LocalError for what the format cannot hold."""
        size = self._size
        parts = [b"", b""]
        put = parts.append
        try:
            parts[1] = ref.to_bytes(4, "big")
            for kind, value in zip(self._kinds, values, strict=True):
                if kind == _INT:
                    put(value.to_bytes(4, "big"))  # type: ignore[union-attr]
                elif kind == _TEXT:
                    octets = value.encode("utf-8", "surrogateescape")  # type: ignore[union-attr]
                    size += len(octets)
                    put(len(octets).to_bytes(4, "big"))
                    put(octets)
                else:
                    put(value.to_bytes(8, "big"))  # type: ignore[union-attr]
        except (OverflowError, ValueError, AttributeError) as fault:
            raise LocalError(f"{self._name}: the format cannot hold this value") from fault
        parts[0] = size.to_bytes(4, "big")
        return self._text % tuple(parts)
