"""Masks of message ids: what a client wants to hear, and what a server can do (published: 512 bits).

Bit n of octet m stands for message id 8 m + n, n counted from the lowest bit. Ids of 512 and above have no bit.
"""

from collections.abc import Iterable

from .attributes import Attribute
from .errors import LocalError
from .records import Message

MASK_SIZE = 64
"""Octets of a mask."""
MASK_BITS = MASK_SIZE * 8

EVERYTHING = b"\xff" * MASK_SIZE
"""The mask of a client that never sent one."""


def pack(ids: Iterable[int]) -> bytes:
    """The mask of these message ids; LocalError for an id without a bit."""
    octets = bytearray(MASK_SIZE)
    for number in ids:
        if not 0 <= number < MASK_BITS:
            raise LocalError(f"no bit for message id {int(number)}")
        octets[number >> 3] |= 1 << (number & 7)
    return bytes(octets)


def unpack(mask: bytes) -> tuple[int, ...]:
    """The message ids of a mask, in order."""
    return tuple(number for number in range(len(mask) * 8) if mask[number >> 3] >> (number & 7) & 1)


def has(mask: bytes, number: int) -> bool:
    """Whether a mask has an id; an id without a bit is always in it."""
    return number >> 3 >= len(mask) or bool(mask[number >> 3] >> (number & 7) & 1)


def read_mask(message: Message, attribute: int = Attribute.InputMask) -> bytes | None:
    """The mask in a message (InputMask or ServerCapabilityMask), None when absent or not of 64 octets."""
    octets = message.octets(attribute)
    return octets if len(octets) == MASK_SIZE else None
