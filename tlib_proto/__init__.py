"""T-Library: constants, wire format, codec, sessions of both roles, log text; does no I/O.

The specification (`wire`) and the generator are not imported here: they alone need construct.
"""

from .attributes import ADDED_LATER, ATTRIBUTE_NAMES, ATTRIBUTE_TYPES, Attribute, AttributeType
from .build import error, event
from .codec import HEADER_SIZE, decode, encode, frame_length, frame_reference, with_reference
from .enumerations import (
    AddressInfoType,
    AddressStatus,
    AddressType,
    AgentWorkMode,
    CallState,
    CallType,
    ControlMode,
    DNRole,
    ForwardMode,
    MakeCallType,
    PartyState,
    RegisterMode,
    RouteType,
    ServerRole,
)
from .error_codes import ERROR_TEXTS, ErrorCode
from .errors import LocalError, ParseError
from .events import EVENT_ATTRIBUTES
from .limits import Limits
from .logtext import render
from .messages import MESSAGE_NAMES, MessageType
from .records import (
    Ended,
    Greeted,
    Hello,
    Incoming,
    KVList,
    KVValue,
    Linked,
    Message,
    Output,
    TlibRecord,
    Unknown,
    Value,
    Write,
)
from .session import ClientSession, ServerSession
from .tables import EndKind

__all__ = [
    "ADDED_LATER",
    "ATTRIBUTE_NAMES",
    "ATTRIBUTE_TYPES",
    "ERROR_TEXTS",
    "EVENT_ATTRIBUTES",
    "HEADER_SIZE",
    "MESSAGE_NAMES",
    "AddressInfoType",
    "AddressStatus",
    "AddressType",
    "AgentWorkMode",
    "Attribute",
    "AttributeType",
    "CallState",
    "CallType",
    "ClientSession",
    "ControlMode",
    "DNRole",
    "EndKind",
    "Ended",
    "ErrorCode",
    "ForwardMode",
    "Greeted",
    "Hello",
    "Incoming",
    "KVList",
    "KVValue",
    "Limits",
    "Linked",
    "LocalError",
    "MakeCallType",
    "Message",
    "MessageType",
    "Output",
    "ParseError",
    "PartyState",
    "RegisterMode",
    "RouteType",
    "ServerRole",
    "ServerSession",
    "TlibRecord",
    "Unknown",
    "Value",
    "Write",
    "decode",
    "encode",
    "error",
    "event",
    "frame_length",
    "frame_reference",
    "render",
    "with_reference",
]
