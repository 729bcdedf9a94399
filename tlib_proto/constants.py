"""Numbers and names of T-Library : messages, attributes, enumerations, errors, event contents."""

from .attributes import ADDED_LATER, ATTRIBUTE_NAMES, ATTRIBUTE_TYPES, Attribute, AttributeType
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
from .events import EVENT_ATTRIBUTES
from .messages import MESSAGE_NAMES, MessageType

__all__ = [
    "ADDED_LATER",
    "ATTRIBUTE_NAMES",
    "ATTRIBUTE_TYPES",
    "ERROR_TEXTS",
    "EVENT_ATTRIBUTES",
    "MESSAGE_NAMES",
    "AddressInfoType",
    "AddressStatus",
    "AddressType",
    "AgentWorkMode",
    "Attribute",
    "AttributeType",
    "CallState",
    "CallType",
    "ControlMode",
    "DNRole",
    "ErrorCode",
    "ForwardMode",
    "MakeCallType",
    "MessageType",
    "PartyState",
    "RegisterMode",
    "RouteType",
    "ServerRole",
]
