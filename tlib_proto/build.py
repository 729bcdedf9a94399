"""Makes events whole, and finds what a request lacks: one declaration, checked where a message is made or served."""

from collections.abc import Iterable

from . import mask
from .attributes import ADDED_LATER, Attribute
from .error_codes import ERROR_TEXTS
from .errors import LocalError
from .events import EVENT_ATTRIBUTES
from .messages import MESSAGE_NAMES, MessageType
from .records import KVList, Message, Unknown, Value
from .requests import REQUEST_ATTRIBUTES


def event(kind: int, attributes: dict[int, Value], ref: int = 0) -> Message:
    """An event with its mandatory attributes (`EVENT_ATTRIBUTES`); LocalError names those that are missing.

    Time, EventSequenceNumber and ServerStartTime may be missing: the node adds them when the event leaves.
    """
    if kind in EVENT_ATTRIBUTES:
        mandatory, _ = EVENT_ATTRIBUTES[MessageType(kind)]
        absent = [a.name for a in mandatory if a not in attributes and a not in ADDED_LATER]
        if absent:
            raise LocalError(f"{MESSAGE_NAMES[kind]} without {', '.join(absent)}")
    return Message(kind, ref, attributes)


def error(ref: int, code: int, text: str | None = None, **echo: Value) -> Message:
    """EventError for the request with this ReferenceID; `echo` repeats attributes by name, as ConnID=..."""
    attributes: dict[int, Value] = {
        Attribute.ErrorCode: int(code),
        Attribute.ErrorMessage: text if text is not None else ERROR_TEXTS.get(code, f"Error {int(code)}"),
    }
    for name, value in echo.items():
        attributes[_named(name, "EventError")] = value
    return Message(MessageType.EventError, ref, attributes)


def missing(message: Message) -> Attribute | None:
    """First mandatory attribute of a request or event that it lacks or has in a foreign type, None when whole.

    A server answers a request by EventError 53 that names it. What the node adds to events is not missed.
    """
    attributes = message.attributes
    for attribute in _MANDATORY.get(message.id, ()):
        value = attributes.get(attribute)
        if value is None or value.__class__ is Unknown:
            return attribute
    return None


_MANDATORY: dict[int, tuple[Attribute, ...]] = {
    int(kind): tuple(attribute for attribute in row[0] if attribute not in ADDED_LATER)
    for table in (REQUEST_ATTRIBUTES, EVENT_ATTRIBUTES)
    for kind, row in table.items()
}


def server_info(
    version: str, role: int, served: Iterable[int], features: KVList = (), ref: int = 0, **echo: Value
) -> Message:
    """EventServerInfo: version, ServerRole, which messages are served (`mask.pack`), and features by name."""
    attributes: dict[int, Value] = {
        Attribute.ServerVersion: version,
        Attribute.ServerRole: int(role),
        Attribute.ServerCapabilityMask: mask.pack(served),
    }
    if features:
        attributes[Attribute.ServerXCapabilities] = features
    for name, value in echo.items():
        attributes[_named(name, "EventServerInfo")] = value
    return Message(MessageType.EventServerInfo, ref, attributes)


def _named(name: str, where: str) -> Attribute:
    if name not in Attribute.__members__:
        raise LocalError(f"{where}: no attribute is called {name}")
    return Attribute[name]
