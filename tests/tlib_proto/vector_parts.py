"""Pieces that vectors are put together from: octets written by hand beside what they mean, no codec involved.

An attribute is a pair (octets, JSON); so is a value of a key-value list.
"""

import re
import struct

from tlib_proto.constants import ATTRIBUTE_NAMES, ATTRIBUTE_TYPES, MESSAGE_NAMES, Attribute

WIRE = {"u32": 1, "u64": 2, "text": 3, "kvlist": 4, "bytes": 5}


def raw_attribute(number, kind, octets, reserved=0):
    """Octets of an attribute, right or wrong."""
    return struct.pack(">HBBI", number, kind, reserved, len(octets)) + octets


def raw_frame(kind, ref, *attributes, version=1, flags=0, extra=0):
    """Octets of a frame, right or wrong; `extra` makes its length a lie."""
    body = struct.pack(">BBHI", version, flags, kind, ref) + b"".join(attributes)
    return struct.pack(">I", 4 + len(body) + extra) + body


def _attribute(number, type_name, octets, value):
    found = {"id": int(number), "type": type_name, "value": value}
    if number in ATTRIBUTE_NAMES:
        found["name"] = ATTRIBUTE_NAMES[number]
    return raw_attribute(number, WIRE[type_name], octets), found


def u32(number, value):
    return _attribute(number, "u32", struct.pack(">I", value), value)


def u64(number, value):
    return _attribute(number, "u64", struct.pack(">Q", value), str(value))


def text(number, value):
    """Text; octets that are not UTF-8 are given as octets, and stand in JSON as {"hex": ...}."""
    if isinstance(value, bytes):
        return _attribute(number, "text", value, {"hex": value.hex()})
    return _attribute(number, "text", value.encode(), value)


def octets(number, value):
    return _attribute(number, "bytes", value, value.hex())


def pairs(number, *found):
    """A list of (key, value), values as `integer`, `string`, `binary` and `inner` make them."""
    packed, shown = _list(found)
    return _attribute(number, "kvlist", packed, shown)


def opaque(number, kind, value):
    """A value that is passed on unread."""
    found = {"id": int(number), "type": "opaque", "wire_type": kind, "value": value.hex()}
    if number in ATTRIBUTE_NAMES:
        found["name"] = ATTRIBUTE_NAMES[number]
    return raw_attribute(number, kind, value), found


def raw_pair(key, kind, value):
    """Octets of a pair, right or wrong."""
    return struct.pack(">H", len(key)) + key + struct.pack(">BI", kind, len(value)) + value


def _list(found):
    packed, shown = struct.pack(">H", len(found)), []
    for key, (kind, value, meaning) in found:
        name = key if isinstance(key, bytes) else key.encode()
        packed += raw_pair(name, kind, value)
        shown.append([repeated(name) or ({"hex": key.hex()} if isinstance(key, bytes) else key), meaning])
    return packed, shown


def integer(value):
    return 1, struct.pack(">i", value), {"int": value}


def string(value):
    if isinstance(value, bytes):
        return 3, value, {"text": {"hex": value.hex()}}
    return 3, value.encode(), {"text": value}


def binary(value):
    return 5, value, {"bytes": repeated(value) or value.hex()}


def repeated(value):
    """Many times the same octet, in short; None for other octets."""
    same = len(value) > 1000 and value == value[:1] * len(value)
    return {"hex": value[:1].hex(), "times": str(len(value))} if same else None


def given(frame):
    """Octets as a vector gives them: in parts where one octet repeats for long."""
    for octet in set(frame) if len(frame) > 4096 else ():
        run = re.search(re.escape(bytes((octet,))) + rb"{4000,}", frame, re.DOTALL)
        if run:
            parts = ((frame[: run.start()], 1), (bytes((octet,)), len(run[0])), (frame[run.end() :], 1))
            return {"parts": [{"hex": part.hex(), "times": str(times)} for part, times in parts if part]}
    return {"hex": frame.hex()}


def inner(*found):
    packed, shown = _list(found)
    return 4, packed, {"list": shown}


def message(kind, ref=0, *attributes):
    """A frame and what it means."""
    meaning = {"id": int(kind), "ref": ref, "attributes": [shown for _, shown in attributes]}
    if kind in MESSAGE_NAMES:
        meaning["name"] = MESSAGE_NAMES[kind]
    return raw_frame(kind, ref, *(packed for packed, _ in attributes)), meaning


def sample(attribute):
    """An attribute with a value that fits its type."""
    kind = ATTRIBUTE_TYPES[attribute].name
    name = Attribute(attribute).name
    if kind == "U32":
        return u32(attribute, int(attribute) * 3 + 1)
    if kind == "U64":
        return u64(attribute, 0x0065_02A1_C000_0000 + int(attribute))
    if kind == "TEXT":
        return text(attribute, "1001" if "DN" in name else f"{name.lower()} \u00e4")
    if kind == "KVLIST":
        return pairs(
            attribute, ("key", string("value")), ("n", integer(-1)), ("l", inner(("b", binary(b"\x00\xff"))))
        )
    return octets(attribute, bytes(range(64)))
