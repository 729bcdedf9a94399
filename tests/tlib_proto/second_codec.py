"""A codec written from docs/specs/tlib-wire.md alone, with `struct` and nothing of ours: it holds the page to its word.

The table of attribute types and the limits are read from the page. A message is (id, ref, attributes), a list is a
list of pairs, an opaque value is `Opaque`.
"""

import re
import struct
from pathlib import Path
from typing import NamedTuple

PAGE = (Path(__file__).parents[2] / "docs" / "specs" / "tlib-wire.md").read_text(encoding="utf-8")


def table_of(name):
    """Rows of one of the page's tables, without its head."""
    block = re.search(rf"<!-- table: {name} -->\n(.*?)<!-- end -->", PAGE, re.DOTALL)[1]
    return [[cell.strip() for cell in line.strip("|\n").split("|")] for line in block.splitlines()[2:]]


TYPES = {int(row[0]): int(row[2].split()[0]) for row in table_of("attributes")}
MAX_ATTRIBUTES, MAX_LIST, MAX_DEPTH = (int(row[2]) for row in table_of("limits")[:3])
U32, U64, TEXT, LIST, OCTETS = 1, 2, 3, 4, 5


class Broken(Exception):
    """A breach of the format: kind and offset, as section 7 names them."""


class Opaque(NamedTuple):
    """A value that is passed on unread (section 8)."""

    type: int
    octets: bytes


def text(octets):
    return octets.decode("utf-8", "surrogateescape")


def number(frame, at, end, form):
    """Section 7: too short is truncated, too long trailing."""
    size = struct.calcsize(form)
    if end - at < size:
        raise Broken("truncated", end)
    if end - at > size:
        raise Broken("trailing", at + size)
    return struct.unpack(form, frame[at:end])[0]


def decode(frame):
    """Section 2 and the order of section 7."""
    here = len(frame)
    if here < 4:
        raise Broken("truncated", here)
    length = int.from_bytes(frame[:4], "big")
    if length < 4:
        raise Broken("length", 0)
    if length > here:
        raise Broken("overrun", 4)
    if length < 12:
        raise Broken("truncated", length)
    version, flags, message, ref = struct.unpack(">BBHI", frame[4:12])
    if version != 1:
        raise Broken("version", 4)
    if flags:
        raise Broken("flags", 4)
    attributes = {}
    at = 12
    while at < length:
        start = at
        if len(attributes) == MAX_ATTRIBUTES:
            raise Broken("attributes", start)
        if length - at < 8:
            raise Broken("truncated", length)
        key, kind, reserved, size = struct.unpack(">HBBI", frame[at : at + 8])
        at += 8
        if size > length - at:
            raise Broken("overrun", at)
        value = attribute_value(frame, at, at + size, key, kind)
        at += size
        if reserved:
            raise Broken("reserved", start)
        if key in attributes:
            raise Broken("duplicate", start)
        attributes[key] = value
    if here > length:
        raise Broken("trailing", length)
    return message, ref, attributes


def attribute_value(frame, at, end, key, kind):
    """Sections 3 and 8."""
    readable = (TYPES[key],) if key in TYPES else (U32, TEXT, LIST, OCTETS)
    if kind not in readable:
        return Opaque(kind, frame[at:end])
    if kind == U32:
        return number(frame, at, end, ">I")
    if kind == U64:
        return number(frame, at, end, ">Q")
    if kind == TEXT:
        return text(frame[at:end])
    if kind == OCTETS:
        return frame[at:end]
    if end - at > MAX_LIST:
        raise Broken("large", at)
    return pairs(frame, at, end, 1)


def pairs(frame, at, end, depth):
    """Section 4, in the order of section 7."""
    if depth > MAX_DEPTH:
        raise Broken("depth", at)
    if end - at < 2:
        raise Broken("truncated", end)
    count = int.from_bytes(frame[at : at + 2], "big")
    at += 2
    found = []
    for _ in range(count):
        if end - at < 2:
            raise Broken("truncated", end)
        size = int.from_bytes(frame[at : at + 2], "big")
        at += 2
        if size > end - at:
            raise Broken("overrun", at)
        key = text(frame[at : at + size])
        at += size
        if end - at < 5:
            raise Broken("truncated", end)
        kind, size = struct.unpack(">BI", frame[at : at + 5])
        at += 5
        if size > end - at:
            raise Broken("overrun", at)
        stop = at + size
        if kind == 1:
            value = number(frame, at, stop, ">i")
        elif kind == 3:
            value = text(frame[at:stop])
        elif kind == 4:
            value = pairs(frame, at, stop, depth + 1)
        elif kind == 5:
            value = frame[at:stop]
        else:
            raise Broken("kv-type", at)
        found.append((key, value))
        at = stop
    if at < end:
        raise Broken("trailing", at)
    return found


def scan(frame):
    """Where each attribute starts; for frames that decode."""
    found = {}
    at = 12
    while at < len(frame):
        found[int.from_bytes(frame[at : at + 2], "big")] = at
        at += 8 + int.from_bytes(frame[at + 4 : at + 8], "big")
    return found


def encode(message):
    """The frame of (id, ref, attributes)."""
    kind, ref, attributes = message
    body = struct.pack(">BBHI", 1, 0, kind, ref)
    for key, value in attributes.items():
        if isinstance(value, Opaque):
            wire, octets = value
        elif isinstance(value, int):
            wire = TYPES.get(key, U32)
            octets = struct.pack(">Q" if wire == U64 else ">I", value)
        elif isinstance(value, str):
            wire, octets = TEXT, value.encode("utf-8", "surrogateescape")
        elif isinstance(value, bytes):
            wire, octets = OCTETS, value
        else:
            wire, octets = LIST, packed(value)
        body += struct.pack(">HBBI", key, wire, 0, len(octets)) + octets
    return struct.pack(">I", 4 + len(body)) + body


def packed(value):
    """The octets of a list."""
    octets = struct.pack(">H", len(value))
    for key, inner in value:
        name = key.encode("utf-8", "surrogateescape")
        if isinstance(inner, int):
            kind, data = 1, struct.pack(">i", inner)
        elif isinstance(inner, str):
            kind, data = 3, inner.encode("utf-8", "surrogateescape")
        elif isinstance(inner, bytes):
            kind, data = 5, inner
        else:
            kind, data = 4, packed(inner)
        octets += struct.pack(">H", len(name)) + name + struct.pack(">BI", kind, len(data)) + data
    return octets
