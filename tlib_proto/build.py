"""Makes events whole: mandatory attributes are checked where an event is built, not where it is read."""

from .attributes import ADDED_LATER, Attribute
from .error_codes import ERROR_TEXTS
from .errors import LocalError
from .events import EVENT_ATTRIBUTES
from .messages import MESSAGE_NAMES, MessageType
from .records import Message, Value


def event(kind: int, attributes: dict[int, Value], ref: int = 0) -> Message:
    """An event with its mandatory attributes (`EVENT_ATTRIBUTES`); LocalError names those that are missing.

    Time, EventSequenceNumber and ServerStartTime may be missing: the node adds them when the event leaves.
    """
    if kind in EVENT_ATTRIBUTES:
        mandatory, _ = EVENT_ATTRIBUTES[MessageType(kind)]
        missing = [a.name for a in mandatory if a not in attributes and a not in ADDED_LATER]
        if missing:
            raise LocalError(f"{MESSAGE_NAMES[kind]} without {', '.join(missing)}")
    return Message(kind, ref, attributes)


def error(ref: int, code: int, text: str | None = None, **echo: Value) -> Message:
    """EventError for the request with this ReferenceID; `echo` repeats attributes by name, as ConnID=..."""
    attributes: dict[int, Value] = {
        Attribute.ErrorCode: int(code),
        Attribute.ErrorMessage: text if text is not None else ERROR_TEXTS.get(code, f"Error {int(code)}"),
    }
    for name, value in echo.items():
        if name not in Attribute.__members__:
            raise LocalError(f"EventError: no attribute is called {name}")
        attributes[Attribute[name]] = value
    return Message(MessageType.EventError, ref, attributes)
