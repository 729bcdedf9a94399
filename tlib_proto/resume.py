"""Where a client was in a server's events: text in Hello and EventLinkConnected (ours).

A position is the ServerStartTime and the EventSequenceNumber of the last event that the client handled, each as
16 hex digits, with a hyphen between. A server that started at another time does not know it.
"""

import re

from .attributes import Attribute
from .errors import LocalError
from .records import Message

_POSITION = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})", re.ASCII)
_MAX = (1 << 64) - 1


def position(started: int, number: int) -> str:
    """A position as text; LocalError for what is no 64-bit number."""
    if not (0 <= started <= _MAX and 0 <= number <= _MAX):
        raise LocalError(f"no position: {started}, {number}")
    return f"{started:016x}-{number:016x}"


def read_position(text: str) -> tuple[int, int] | None:
    """ServerStartTime and EventSequenceNumber of a position, None for any other text."""
    match = _POSITION.fullmatch(text)
    return (int(match[1], 16), int(match[2], 16)) if match else None


def position_of(message: Message) -> tuple[int, int] | None:
    """Where an event stands, None when it does not say so."""
    number = message.attributes.get(Attribute.EventSequenceNumber)
    if not isinstance(number, int):
        return None
    return message.number(Attribute.ServerStartTime), number
