"""Frames that are forwarded mostly unread: look up a value, exchange some, leave the rest octet for octet (ours).

`scan` says where each attribute starts; what nobody asks for is never decoded. A frame that scans may still hold
a value that does not decode: whoever reads that one gets ParseError, whoever forwards it does not notice.
"""

from collections.abc import Mapping
from struct import Struct
from typing import TypeVar

from ._codec import decode_at, encode, scan
from .codec import HEADER_SIZE
from .errors import LocalError
from .limits import MAX_ATTRIBUTES
from .messages import MESSAGE_NAMES
from .records import Message, Value

_D = TypeVar("_D")
_HEAD = Struct(">4x2xHI")
_U32 = Struct(">I")
_LENGTH_AT = 4
_ELEMENT = 8


class LazyFrame:
    """One scanned frame; `frame` are its octets, `offsets` where each attribute starts.

    ParseError when the frame's structure is broken; values are read when asked for.
    """

    __slots__ = ("frame", "id", "offsets", "ref")

    def __init__(self, frame: bytes) -> None:
        self.offsets = scan(frame)
        self.frame = frame
        self.id: int
        self.ref: int
        self.id, self.ref = _HEAD.unpack_from(frame)

    def __contains__(self, attribute: int) -> bool:
        return attribute in self.offsets

    @property
    def name(self) -> str:
        """Published name of the message, `Message-N` for an id without one."""
        return MESSAGE_NAMES.get(self.id) or f"Message-{self.id}"

    def get(self, attribute: int, default: _D | None = None) -> "Value | _D | None":
        """Value of an attribute, decoded now, or the default; ParseError when it does not decode."""
        at = self.offsets.get(attribute)
        return default if at is None else decode_at(self.frame, at)

    def replace(self, changes: "Mapping[int, Value | None]") -> bytes:
        """The frame with other values, as `replace` makes it."""
        return replace(self.frame, changes, self.offsets)


def element(attribute: int, value: Value) -> bytes:
    """One attribute as it stands in a frame; LocalError when the format cannot hold it."""
    return encode(Message(0, 0, {attribute: value}))[HEADER_SIZE:]


def replace(
    frame: bytes, changes: "Mapping[int, Value | None]", offsets: Mapping[int, int] | None = None
) -> bytes:
    """A frame in which each given attribute has the given value, None for gone; all others stay as they came.

    What is there is exchanged in its place, what is new follows at the end. `offsets` from `scan` save a walk.
    """
    elements = {
        attribute: b"" if value is None else element(attribute, value) for attribute, value in changes.items()
    }
    return splice(frame, elements, offsets)


def splice(frame: bytes, elements: Mapping[int, bytes], offsets: Mapping[int, int] | None = None) -> bytes:
    """`replace` with attributes that are encoded already (`element`), empty for gone: for many frames alike."""
    if offsets is None:
        offsets = scan(frame)
    count = len(offsets)
    parts = [b""]
    place = _LENGTH_AT
    for at, attribute in sorted((offsets[a], a) for a in elements if a in offsets):
        parts.append(frame[place:at])
        parts.append(elements[attribute])
        place = at + _ELEMENT + _U32.unpack_from(frame, at + 4)[0]
        count -= not elements[attribute]
    parts.append(frame[place:])
    for attribute, octets in elements.items():
        if attribute not in offsets and octets:
            parts.append(octets)
            count += 1
    if count > MAX_ATTRIBUTES:
        raise LocalError(f"{count} attributes, at most {MAX_ATTRIBUTES}")
    parts[0] = _U32.pack(_LENGTH_AT + sum(map(len, parts)))
    return b"".join(parts)
