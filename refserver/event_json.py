"""A T-Library message as a JSON object with stable keys, for tools that read lines (ours)."""

from __future__ import annotations

import re

from tlib_proto.constants import ATTRIBUTE_NAMES, ATTRIBUTE_TYPES, Attribute, AttributeType
from tlib_proto.records import KVList, Message, Unknown

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_PLAIN = frozenset((int(Attribute.DNEpoch), int(Attribute.DNSequence), int(Attribute.EventSequenceNumber)))

_KEYS = {number: _WORD.sub("_", name).lower() for number, name in ATTRIBUTE_NAMES.items()}


def key_of(attribute: int) -> str:
    """The key of an attribute: its published name in lower case, words parted by `_`."""
    return _KEYS.get(attribute) or f"attribute_{attribute}"


def object_of(message: Message) -> dict[str, object]:
    """`event`, `id`, `ref`, then every attribute; 64-bit ids as 16 hex digits, lists as pairs in order."""
    found: dict[str, object] = {"event": message.name, "id": int(message.id), "ref": message.ref}
    for attribute, value in message.attributes.items():
        found[key_of(attribute)] = _value(attribute, value)
    return found


def _value(attribute: int, value: object) -> object:
    if isinstance(value, bool | int):
        if ATTRIBUTE_TYPES.get(attribute) == AttributeType.U64 and attribute not in _PLAIN:
            return f"{value:016x}"
        return int(value)
    if isinstance(value, tuple):
        return _pairs(value)
    if isinstance(value, Unknown):
        return {"type": value.type, "hex": value.data.hex()}
    return _leaf(value)


def _pairs(pairs: KVList) -> list[object]:
    return [[_text(key), _pairs(value) if isinstance(value, tuple) else _leaf(value)] for key, value in pairs]


def _leaf(value: object) -> object:
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    """Text that came undecodable keeps its octets as escapes: JSON holds no lone surrogates."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
