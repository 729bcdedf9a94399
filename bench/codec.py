"""`make bench`: the generated T-Library codec beside construct and a codec written by hand, interleaved in one run.

The message has twelve attributes, one of them a list of six pairs with a list inside. Each round times all codecs one
after the other and compares within the round, so that neighbours on the machine matter less. Only ratios are worth
quoting. construct reads and builds the declaration that the codec is generated from; the hand-written one is what a
careful person writes with `struct`: same format, same checks, branches in the order of how often they come.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

from tlib_proto import Attribute, Message, MessageType, decode, encode, scan
from tlib_proto.attributes import ATTRIBUTE_TYPES
from tlib_proto.wire import spec_decode, spec_encode

MESSAGE = Message(
    MessageType.EventEstablished,
    0,
    {
        Attribute.EventSequenceNumber: 81985529216486895,
        Attribute.TimeinSecs: 1795374000,
        Attribute.TimeinuSecs: 123456,
        Attribute.CallID: 4711,
        Attribute.ConnID: 0x006502A1C0000001,
        Attribute.CallUUID: "0A1B2C3D4E5F6G7H8I9J0K1L2M3N4O5P",
        Attribute.CallType: 2,
        Attribute.ThisDN: "1001",
        Attribute.ThisDNRole: 2,
        Attribute.OtherDN: "+14155550100",
        Attribute.ANI: "+14155550100",
        Attribute.UserData: (
            ("ServiceType", "sales-inbound"),
            ("CustomerSegment", "gold"),
            ("Priority", 750),
            ("CaseId", "CS-2026-000184467"),
            ("Language", "de-CH"),
            ("Route", (("target", "1001@n1"), ("skill", 8))),
        ),
    },
)
TARGETS = {"decode/construct": 20.0, "encode/construct": 20.0, "decode/hand": 0.6, "encode/hand": 0.6, "scan/hand": 2.0}

_HEADER = struct.Struct(">IBBHI")
_ELEMENT = struct.Struct(">HBBI")
_U32 = struct.Struct(">I")
_S32 = struct.Struct(">i")
_U64 = struct.Struct(">Q")
_U16 = struct.Struct(">H")
_PAIR = struct.Struct(">BI")
_TYPES = {int(attribute): int(kind) for attribute, kind in ATTRIBUTE_TYPES.items()}


def hand_decode(data: bytes) -> Message:
    """One frame, read by hand."""
    length, version, flags, kind, ref = _HEADER.unpack_from(data)
    if length != len(data) or version != 1 or flags:
        raise ValueError("header")
    found: dict[int, Any] = {}
    at = 12
    while at < length:
        number, wire, reserved, size = _ELEMENT.unpack_from(data, at)
        at += 8
        end = at + size
        if end > length or reserved or number in found or len(found) >= 256:
            raise ValueError("attribute")
        declared = _TYPES.get(number, wire)
        value: Any
        if declared != wire:
            value = (wire, data[at:end])
        elif wire == 3:
            value = data[at:end].decode("utf-8", "surrogateescape")
        elif wire == 1:
            if size != 4:
                raise ValueError("u32")
            value = _U32.unpack_from(data, at)[0]
        elif wire == 2:
            if size != 8:
                raise ValueError("u64")
            value = _U64.unpack_from(data, at)[0]
        elif wire == 4:
            value, used = _hand_pairs(data, at, end, 1)
            if used != end:
                raise ValueError("list")
        else:
            value = data[at:end]
        found[number] = value
        at = end
    return Message(kind, ref, found)


def _hand_pairs(data: bytes, at: int, limit: int, depth: int) -> tuple[Any, int]:
    if depth > 16 or at + 2 > limit:
        raise ValueError("list")
    (count,) = _U16.unpack_from(data, at)
    at += 2
    found = []
    for _ in range(count):
        if at + 2 > limit:
            raise ValueError("pair")
        (size,) = _U16.unpack_from(data, at)
        at += 2
        end = at + size
        if end + 5 > limit:
            raise ValueError("pair")
        key = data[at:end].decode("utf-8", "surrogateescape")
        wire, size = _PAIR.unpack_from(data, end)
        at = end + 5
        end = at + size
        if end > limit:
            raise ValueError("pair")
        value: Any
        if wire == 3:
            value = data[at:end].decode("utf-8", "surrogateescape")
        elif wire == 1:
            if size != 4:
                raise ValueError("integer")
            (value,) = _S32.unpack_from(data, at)
        elif wire == 4:
            value, used = _hand_pairs(data, at, end, depth + 1)
            if used != end:
                raise ValueError("list")
        elif wire == 5:
            value = data[at:end]
        else:
            raise ValueError("pair")
        found.append((key, value))
        at = end
    return tuple(found), at


def hand_encode(message: Message) -> bytes:
    """One frame, written by hand."""
    parts = [b""]
    put = parts.append
    for number, value in message.attributes.items():
        wire = _TYPES[number]
        if wire == 3:
            octets = value.encode("utf-8", "surrogateescape")  # type: ignore[union-attr]
        elif wire == 1:
            octets = _U32.pack(value)
        elif wire == 2:
            octets = _U64.pack(value)
        elif wire == 4:
            octets = _hand_put_pairs(value, 1)
        else:
            octets = value  # type: ignore[assignment]
        put(_ELEMENT.pack(number, wire, 0, len(octets)))
        put(octets)
    size = 12 + sum(map(len, parts))
    parts[0] = _HEADER.pack(size, 1, 0, message.id, message.ref)
    return b"".join(parts)


def _hand_put_pairs(pairs: Any, depth: int) -> bytes:
    if depth > 16:
        raise ValueError("list")
    parts = [_U16.pack(len(pairs))]
    put = parts.append
    for key, value in pairs:
        name = key.encode("utf-8", "surrogateescape")
        if isinstance(value, str):
            wire, octets = 3, value.encode("utf-8", "surrogateescape")
        elif isinstance(value, int):
            wire, octets = 1, _S32.pack(value)
        elif isinstance(value, tuple):
            wire, octets = 4, _hand_put_pairs(value, depth + 1)
        else:
            wire, octets = 5, value
        put(_U16.pack(len(name)))
        put(name)
        put(_PAIR.pack(wire, len(octets)))
        put(octets)
    return b"".join(parts)


def rate(work: Callable[[Any], object], given: object, seconds: float) -> float:
    """Calls per second of CPU time, over about `seconds`."""
    count = 8
    while True:
        clock = time.process_time
        repeat = range(count)
        began = clock()
        for _ in repeat:
            work(given)
        used = clock() - began
        if used >= seconds:
            return count / used
        count = max(count * 2, int(count * seconds / used * 1.1) if used else 0)


def main(arguments: list[str]) -> int:
    """Measure, print rates and ratios; 1 when a ratio misses its target and --strict was given."""
    parser = argparse.ArgumentParser(prog="python -m bench.codec", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.1, help="of CPU time for each codec in each round")
    parser.add_argument("--strict", action="store_true", help="fail when a ratio misses its target")
    options = parser.parse_args(arguments)
    frame = encode(MESSAGE)
    assert hand_encode(MESSAGE) == spec_encode(MESSAGE) == frame
    assert hand_decode(frame) == spec_decode(frame) == decode(frame) == MESSAGE
    work: dict[str, tuple[Callable[[Any], object], object]] = {
        "decode ours": (decode, frame),
        "decode hand": (hand_decode, frame),
        "decode construct": (spec_decode, frame),
        "encode ours": (encode, MESSAGE),
        "encode hand": (hand_encode, MESSAGE),
        "encode construct": (spec_encode, MESSAGE),
        "scan ours": (scan, frame),
    }
    pairs = {
        "decode/construct": ("decode ours", "decode construct"),
        "encode/construct": ("encode ours", "encode construct"),
        "decode/hand": ("decode ours", "decode hand"),
        "encode/hand": ("encode ours", "encode hand"),
        "scan/hand": ("scan ours", "decode hand"),
        "scan/decode": ("scan ours", "decode ours"),
    }
    rates: dict[str, list[float]] = {name: [] for name in work}
    ratios: dict[str, list[float]] = {name: [] for name in pairs}
    gc.disable()
    for _ in range(options.rounds):
        for name, (call, given) in work.items():
            rates[name].append(rate(call, given, options.seconds))
        for name, (one, other) in pairs.items():
            ratios[name].append(rates[one][-1] / rates[other][-1])
        gc.collect()
    print(f"T-Library codec, a message of {len(frame)} octets and {len(MESSAGE.attributes)} attributes")
    for name, found in rates.items():
        low, middle, high = (n / 1000 for n in (min(found), statistics.median(found), max(found)))
        print(f"  {name:18}{middle:9.1f}k/s  ({low:.1f}-{high:.1f})")
    missed = 0
    for name, found in ratios.items():
        middle, target = statistics.median(found), TARGETS.get(name)
        verdict = "" if target is None else f"  target {target:g}{'' if middle >= target else ', missed'}"
        missed += target is not None and middle < target
        print(f"  {name:18}{middle:9.2f}x   ({min(found):.2f}-{max(found):.2f}){verdict}")
    return 1 if missed and options.strict else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
