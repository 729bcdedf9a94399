"""Which wire type a value takes; shared by the generated codec and the specification it comes from."""

from .attributes import ATTRIBUTE_NAMES, ATTRIBUTE_TYPES, AttributeType
from .errors import LocalError
from .records import KVValue, Unknown, Value

RAW = 0
"""Kind of a value that is kept as octets with its wire type (`Unknown`)."""

_U32 = int(AttributeType.U32)
_U64 = int(AttributeType.U64)
_TEXT = int(AttributeType.TEXT)
_KVLIST = int(AttributeType.KVLIST)
_BYTES = int(AttributeType.BYTES)

TYPES: dict[int, int] = {attribute: int(kind) for attribute, kind in ATTRIBUTE_TYPES.items()}
"""Declared wire type by attribute id."""
CLASSES: tuple[type | None, ...] = (None, int, int, str, tuple, bytes)
"""Python type of a value by declared wire type; any other is looked at by `kind_of`."""
UNDECLARED: dict[int, int] = {_U32: _U32, _TEXT: _TEXT, _KVLIST: _KVLIST, _BYTES: _BYTES}
"""Wire types read as values on an id that we do not know; a U64 there stays raw, or it came back as a U32."""


def settled(attribute: int, wire_type: int) -> int:
    """Kind by which a received value is read: its wire type, or RAW where that is unknown or foreign."""
    return wire_type if TYPES.get(attribute, UNDECLARED.get(wire_type)) == wire_type else RAW


def name_of(attribute: int) -> str:
    """Name of an attribute for messages to people."""
    return ATTRIBUTE_NAMES.get(attribute) or f"attribute {attribute}"


def kind_of(attribute: int, value: Value) -> int:
    """Kind by which a value is written; LocalError if the attribute is declared with another type."""
    if isinstance(value, str):
        found = _TEXT
    elif isinstance(value, int):
        found = _U64 if TYPES.get(attribute) == _U64 else _U32
    elif isinstance(value, bytes):
        found = _BYTES
    elif isinstance(value, tuple):
        found = _KVLIST
    elif isinstance(value, Unknown):
        if settled(attribute, value.type) != RAW:
            raise LocalError(f"{name_of(attribute)}: an Unknown of a type that we do know")
        return RAW
    else:
        raise LocalError(f"{name_of(attribute)}: no wire type for {type(value).__name__}")
    if TYPES.get(attribute, found) != found:
        declared = AttributeType(TYPES[attribute]).name
        raise LocalError(f"{name_of(attribute)}: {type(value).__name__} where {declared} is declared")
    return found


PAIR_KINDS: dict[type, int] = {str: _TEXT, int: _U32, tuple: _KVLIST, bytes: _BYTES}
"""Wire type of a value in a key-value list by its class; any other is looked at by `pair_kind`."""


def pair_kind(key: str, value: KVValue) -> int:
    """Wire type of a value in a key-value list; LocalError for a value of any other type."""
    if isinstance(value, str):
        return _TEXT
    if isinstance(value, int):
        return _U32
    if isinstance(value, tuple):
        return _KVLIST
    if isinstance(value, bytes):
        return _BYTES
    raise LocalError(f"key-value list, key {key!r}: no wire type for {type(value).__name__}")
