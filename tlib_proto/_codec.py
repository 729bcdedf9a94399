"""Encoder, decoder and scanner of frames. Written by `python -m tlib_proto.generate`: do not edit."""

from struct import Struct, error
from typing import Any, cast

from ._values import CLASSES, PAIR_KINDS, TYPES, kind_of, name_of, pair_kind, settled
from .errors import LocalError, ParseError
from .records import KVList, Message, Unknown, Value

_BB2x4x = Struct(">BB2x4x")
_BBHL = Struct(">BBHL")
_BL = Struct(">BL")
_BLl = Struct(">BLl")
_H = Struct(">H")
_H1xBL = Struct(">H1xBL")
_HBBL = Struct(">HBBL")
_HBBLL = Struct(">HBBLL")
_HBBLQ = Struct(">HBBLQ")
_L = Struct(">L")
_LBBHL = Struct(">LBBHL")
_Q = Struct(">Q")
_l = Struct(">l")


def _get_pairs(data: bytes, p: int, end: int, depth: int) -> tuple[KVList, int]:
    if depth > 16:
        raise ParseError("depth", p)
    if p + 2 > end:
        raise ParseError("truncated", end)
    (count,) = _H.unpack_from(data, p)
    p += 2
    found = []
    value: Any
    for _ in range(count):
        if p + 2 > end:
            raise ParseError("truncated", end)
        (key_length,) = _H.unpack_from(data, p)
        p += 2
        key_end = p + key_length
        if key_end > end:
            raise ParseError("overrun", p)
        key = data[p:key_end].decode("utf-8", "surrogateescape")
        p = key_end
        if p + 5 > end:
            raise ParseError("truncated", end)
        type, value_length = _BL.unpack_from(data, p)
        p += 5
        value_end = p + value_length
        if value_end > end:
            raise ParseError("overrun", p)
        if type == 1:
            if p + 4 > value_end:
                raise ParseError("truncated", value_end)
            if p + 4 < value_end:
                raise ParseError("trailing", p + 4)
            (value,) = _l.unpack_from(data, p)
        elif type == 3:
            value = data[p:value_end].decode("utf-8", "surrogateescape")
        elif type == 4:
            value, used = _get_pairs(data, p, value_end, depth + 1)
            if used != value_end:
                raise ParseError("trailing", used)
        elif type == 5:
            value = data[p:value_end]
        else:
            raise ParseError("kv-type", p)
        p = value_end
        found.append((key, value))
    return tuple(found), p


def decode(data: bytes) -> Message:
    """One whole frame as a Message; ParseError says what breaks the format where."""
    p = 0
    size = len(data)
    value: Any
    if p + 4 > size:
        raise ParseError("truncated", size)
    (length,) = _L.unpack_from(data, p)
    p += 4
    if length < 4:
        raise ParseError("length", 0)
    if length > size:
        raise ParseError("overrun", p)
    start = p
    if p + 8 > length:
        raise ParseError("truncated", length)
    version, flags, id, ref = _BBHL.unpack_from(data, p)
    p += 8
    if version != 1:
        raise ParseError("version", start)
    if flags != 0:
        raise ParseError("flags", start)
    attributes: dict[int, Value] = {}
    while p < length:
        if len(attributes) >= 256:
            raise ParseError("attributes", p)
        start_ = p
        if p + 8 > length:
            raise ParseError("truncated", length)
        id_, type_, reserved, value_length = _HBBL.unpack_from(data, p)
        p += 8
        value_end = p + value_length
        if value_end > length:
            raise ParseError("overrun", p)
        kind = type_
        if TYPES.get(id_) != type_:
            kind = settled(id_, type_)
        if kind == 1:
            if p + 4 > value_end:
                raise ParseError("truncated", value_end)
            if p + 4 < value_end:
                raise ParseError("trailing", p + 4)
            (value,) = _L.unpack_from(data, p)
        elif kind == 2:
            if p + 8 > value_end:
                raise ParseError("truncated", value_end)
            if p + 8 < value_end:
                raise ParseError("trailing", p + 8)
            (value,) = _Q.unpack_from(data, p)
        elif kind == 3:
            value = data[p:value_end].decode("utf-8", "surrogateescape")
        elif kind == 4:
            if value_end - p > 65536:
                raise ParseError("large", p)
            value, used = _get_pairs(data, p, value_end, 1)
            if used != value_end:
                raise ParseError("trailing", used)
        elif kind == 5:
            value = data[p:value_end]
        else:
            value = Unknown(type_, data[p:value_end])
        p = value_end
        if reserved != 0:
            raise ParseError("reserved", start_)
        if id_ in attributes:
            raise ParseError("duplicate", start_)
        attributes[id_] = value
    if p != size:
        raise ParseError("trailing", p)
    return Message(id, ref, attributes)


def scan(data: bytes) -> dict[int, int]:
    """Where each attribute of one whole frame starts; values are not looked at."""
    p = 0
    size = len(data)
    if p + 4 > size:
        raise ParseError("truncated", size)
    (length,) = _L.unpack_from(data, p)
    p += 4
    if length < 4:
        raise ParseError("length", 0)
    if length > size:
        raise ParseError("overrun", p)
    start = p
    if p + 8 > length:
        raise ParseError("truncated", length)
    version, flags = _BB2x4x.unpack_from(data, p)
    p += 8
    if version != 1:
        raise ParseError("version", start)
    if flags != 0:
        raise ParseError("flags", start)
    attributes: dict[int, int] = {}
    for _ in range(256):
        if p >= length:
            break
        start_ = p
        if p + 8 > length:
            raise ParseError("truncated", length)
        id_, reserved, value_length = _H1xBL.unpack_from(data, p)
        p += 8
        value_end = p + value_length
        if value_end > length:
            raise ParseError("overrun", p)
        p = value_end
        if reserved != 0:
            raise ParseError("reserved", start_)
        if id_ in attributes:
            raise ParseError("duplicate", start_)
        attributes[id_] = start_
    else:
        if p < length:
            raise ParseError("attributes", p)
    if p != size:
        raise ParseError("trailing", p)
    return attributes


def decode_at(data: bytes, p: int) -> Value:
    """Value of the attribute that starts at `p`, as `scan` found it; ParseError as `decode` raises."""
    size = len(data)
    value: Any
    start_ = p
    if p + 8 > size:
        raise ParseError("truncated", size)
    id_, type_, reserved, value_length = _HBBL.unpack_from(data, p)
    p += 8
    value_end = p + value_length
    if value_end > size:
        raise ParseError("overrun", p)
    kind = type_
    if TYPES.get(id_) != type_:
        kind = settled(id_, type_)
    if kind == 1:
        if p + 4 > value_end:
            raise ParseError("truncated", value_end)
        if p + 4 < value_end:
            raise ParseError("trailing", p + 4)
        (value,) = _L.unpack_from(data, p)
    elif kind == 2:
        if p + 8 > value_end:
            raise ParseError("truncated", value_end)
        if p + 8 < value_end:
            raise ParseError("trailing", p + 8)
        (value,) = _Q.unpack_from(data, p)
    elif kind == 3:
        value = data[p:value_end].decode("utf-8", "surrogateescape")
    elif kind == 4:
        if value_end - p > 65536:
            raise ParseError("large", p)
        value, used = _get_pairs(data, p, value_end, 1)
        if used != value_end:
            raise ParseError("trailing", used)
    elif kind == 5:
        value = data[p:value_end]
    else:
        value = Unknown(type_, data[p:value_end])
    p = value_end
    if reserved != 0:
        raise ParseError("reserved", start_)
    return cast(Value, value)


def _put_pairs(pairs: KVList, depth: int) -> bytes:
    if depth > 16:
        raise LocalError("key-value list: more than 16 lists inside each other")
    parts = [_H.pack(len(pairs))]
    put = parts.append
    value: Any
    for key, value in pairs:
        octets = key.encode("utf-8", "surrogateescape")
        put(_H.pack(len(octets)))
        put(octets)
        kind = PAIR_KINDS.get(value.__class__) or pair_kind(key, value)
        if kind == 1:
            put(_BLl.pack(1, 4, value))
        elif kind == 3:
            octets = value.encode("utf-8", "surrogateescape")
            put(_BL.pack(3, len(octets)))
            put(octets)
        elif kind == 4:
            octets = _put_pairs(value, depth + 1)
            put(_BL.pack(4, len(octets)))
            put(octets)
        else:
            octets = value
            put(_BL.pack(5, len(octets)))
            put(octets)
    return b"".join(parts)


def encode(message: Message) -> bytes:
    """A Message as one frame; LocalError names what the format cannot hold."""
    if len(message.attributes) > 256:
        raise LocalError(f"{message.name}: more than 256 attributes")
    parts: list[bytes] = []
    put = parts.append
    value: Any
    for id, value in message.attributes.items():
        try:
            kind = TYPES.get(id, 0)
            if CLASSES[kind] is not value.__class__:
                kind = kind_of(id, value)
            if kind == 1:
                put(_HBBLL.pack(id, 1, 0, 4, value))
            elif kind == 2:
                put(_HBBLQ.pack(id, 2, 0, 8, value))
            elif kind == 3:
                octets = value.encode("utf-8", "surrogateescape")
                put(_HBBL.pack(id, 3, 0, len(octets)))
                put(octets)
            elif kind == 4:
                octets = _put_pairs(value, 1)
                if len(octets) > 65536:
                    raise LocalError(f"{name_of(id)}: more than 65536 octets")
                put(_HBBL.pack(id, 4, 0, len(octets)))
                put(octets)
            elif kind == 5:
                octets = value
                put(_HBBL.pack(id, 5, 0, len(octets)))
                put(octets)
            else:
                octets = value.data
                put(_HBBL.pack(id, value.type, 0, len(octets)))
                put(octets)
        except (error, TypeError, ValueError, AttributeError) as fault:
            where = f"{message.name}, {name_of(id)}"
            raise LocalError(f"{where}: the format cannot hold this value") from fault
    body = b"".join(parts)
    try:
        return _LBBHL.pack(12 + len(body), 1, 0, message.id, message.ref) + body
    except error as fault:
        raise LocalError(f"{message.name}: message id or ReferenceID out of range") from fault
