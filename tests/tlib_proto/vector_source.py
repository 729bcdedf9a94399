"""Writes tests/vectors/tlib/*.json: `python -m tests.tlib_proto.vector_source [--check]`.

Every frame is put together by hand (`vector_parts`), what it must mean stands beside it, and neither comes from a
codec. The messages' vectors are made from the catalogue's tables, one with all attributes and one with the mandatory.
"""

import json
import sys
from pathlib import Path

from tests.tlib_proto.vector_parts import (
    binary,
    given,
    inner,
    integer,
    message,
    octets,
    opaque,
    pairs,
    raw_attribute,
    raw_frame,
    raw_pair,
    sample,
    string,
    text,
    u32,
    u64,
)
from tests.tlib_proto.vector_sessions import SESSIONS
from tlib_proto.constants import EVENT_ATTRIBUTES, REQUEST_ATTRIBUTES
from tlib_proto.constants import Attribute as A
from tlib_proto.constants import MessageType as M
from tlib_proto.origins import contents_origin

FOLDER = Path(__file__).parents[1] / "vectors" / "tlib"
SINCE = "0.2.0"
OPEN = {"side": "client", "state": "open"}
ROUND_TRIP = ["decode", "encode", "canonical"]
NOTES = {
    "Truncated": ("TRUNCATION", "a field does not fit", "reads beyond its region"),
    "Overrun": (
        "LENGTH_TRUST",
        "a length says more than there is",
        "reads beyond its region, or allocates it",
    ),
    "LeftOver": ("SMUGGLING", "octets are left over", "two readers see two messages"),
    "Duplicate": ("AMBIGUITY", "an attribute twice", "one reader checks the first, another uses the second"),
    "Depth": ("RECURSION", "lists inside lists", "the stack overflows"),
    "Undecodable": ("LOSSY_TEXT", "text that is not UTF-8", "a name is lost or changed on the way"),
    "Unknown": ("LOSSY_FORWARDING", "something unknown", "a forwarder drops what it does not know"),
    "Limit": ("RESOURCE", "a limit, from both sides", "memory or time without bound"),
    "Chunking": ("FRAMING", "cuts at awkward places", "a frame is lost or read twice"),
}


class File:
    """The tests of one file."""

    def __init__(self, name):
        self.name = name
        self.tests = []

    def add(self, what, comment, steps, **more):
        more.setdefault("setup", OPEN)
        self.tests.append(
            {
                "id": f"tlib.{self.name}.{what}",
                "since": SINCE,
                "level": "must",
                "result": "valid",
                "comment": comment,
                "provenance": "project",
                "refs": ["docs/specs/tlib-wire.md"],
                "flags": [],
                "steps": steps,
                **more,
            }
        )

    def good(self, what, comment, found, section, flags=(), **more):
        """A frame that is read, means this, and is written again octet for octet."""
        frame, meaning = found
        self.add(
            what,
            comment,
            [{"at_ms": "0", "in": given(frame), "expect": {"events": [meaning]}}],
            refs=[f"docs/specs/tlib-wire.md#{section}"],
            flags=list(flags),
            round_trip=[*ROUND_TRIP, *(["lossless-unknown"] if "Unknown" in flags else [])],
            **more,
        )

    def bad(self, what, comment, frame, code, offset, section=7, flags=(), close="malformed", **more):
        """A frame that is refused as a whole: kind, offset, and the session is over."""
        phase = "frame" if close == "too-large" else "decode"
        step = {
            "at_ms": "0",
            "in": frame if isinstance(frame, dict) else given(frame),
            "expect": {"error": {"phase": phase, "code": code, "offset": str(offset)}, "close": close},
        }
        self.add(
            what,
            comment,
            [step],
            result="invalid",
            refs=[f"docs/specs/tlib-wire.md#{section}"],
            flags=list(flags),
            **more,
        )

    def document(self):
        """The file as JSON."""
        used = sorted({flag for test in self.tests for flag in test["flags"]})
        return {
            "format": 1,
            "schema": "vector-file-1.json",
            "suite": f"tlib/{self.name}",
            "numberOfTests": len(self.tests),
            "notes": {
                flag: dict(zip(("bugType", "description", "effect"), NOTES[flag], strict=True))
                for flag in used
            },
            "tests": self.tests,
        }


def framing():
    f = File("framing")
    f.good("shortest", "a frame without attributes", message(M.EventACK, 7), 2)
    f.good("unsolicited", "ReferenceID 0", message(M.EventACK, 0), 2)
    f.good("largest-ref", "the highest ReferenceID", message(M.EventACK, 0xFFFFFFFF), 2)
    f.good(
        "order",
        "attributes keep the order they came in",
        message(60, 0, text(20, "1"), u64(9, 2), u32(3, 3)),
        2,
    )
    f.good("unknown-message", "a message id without a name", message(900, 0, text(20, "1")), 8, ["Unknown"])
    f.good("highest-message", "the highest message id", message(0xFFFF), 8, ["Unknown"])
    one, first = message(M.EventRinging, 0, text(20, "1001"))
    two, second = message(M.EventReleased, 9, u64(9, 5))
    f.add(
        "two-in-one",
        "two frames in one segment",
        [{"at_ms": "0", "in": {"hex": (one + two).hex()}, "expect": {"events": [first, second]}}],
        flags=["Chunking"],
    )
    f.add(
        "torn",
        "a frame and half of the next, then the rest",
        [
            {"at_ms": "0", "in": {"hex": (one + two[:9]).hex()}, "expect": {"events": [first]}},
            {"at_ms": "10", "in": {"hex": two[9:].hex()}, "expect": {"events": [second]}},
        ],
        flags=["Chunking"],
    )
    f.add(
        "good-then-bad",
        "what came before a broken frame is delivered, what follows it is not",
        [
            {
                "at_ms": "0",
                "in": {"hex": (one + raw_frame(60, 0, flags=1) + two).hex()},
                "expect": {
                    "events": [first],
                    "error": {"phase": "decode", "code": "flags"},
                    "close": "malformed",
                },
            }
        ],
        result="invalid",
        flags=["Chunking"],
    )
    f.bad("version-0", "version 0", raw_frame(60, 0, version=0), "version", 4, 9, close="version")
    f.bad("version-2", "a higher version", raw_frame(60, 0, version=2), "version", 4, 9, close="version")
    f.bad(
        "version-255", "the highest version", raw_frame(60, 0, version=255), "version", 4, 9, close="version"
    )
    for bit in (1, 0x80, 0xFF):
        f.bad(
            f"flags-{bit:02x}",
            "a flag that version 1 does not have",
            raw_frame(60, 0, flags=bit),
            "flags",
            4,
            2,
        )
    f.bad(
        "version-before-flags",
        "both wrong: the version counts",
        raw_frame(60, 0, version=2, flags=1),
        "version",
        4,
        close="version",
    )
    return f


def attributes():
    f = File("attributes")
    for value in (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
        f.good(f"u32-{value:08x}", "32 bits, unsigned", message(60, 0, u32(A.CallState, value)), 3)
    for value in (0, 1, 1 << 53, (1 << 53) + 1, 1 << 63, (1 << 64) - 1):
        f.good(f"u64-{value:016x}", "64 bits, unsigned", message(60, 0, u64(A.ConnID, value)), 3)
    for size in (0, 1, 3, 255, 256):
        f.good(
            f"bytes-{size}",
            "octets",
            message(60, 0, octets(A.PeerBody, bytes(n % 256 for n in range(size)))),
            3,
        )
    for size in (0, 1, 255, 256, 1000):
        f.good(f"text-{size}", "text of some length", message(60, 0, text(A.ThisDN, "x" * size)), 3)
    f.good("id-0", "attribute 0", message(60, 0, text(A.ProtocolVersion, "1")), 3)
    f.good("id-65535", "the highest id", message(60, 0, octets(65535, b"x")), 8, ["Unknown"])
    for kind, name, good, short in (
        (1, "u32", bytes(4), bytes(3)),
        (4, "kvlist", bytes(2), bytes(1)),
    ):
        bad = raw_frame(60, 0, raw_attribute(5000, kind, short))
        f.bad(
            f"unknown-id-{name}-short",
            "an unknown id is read by its type",
            bad,
            "truncated",
            20 + len(short),
            8,
            ["Truncated", "Unknown"],
        )
        shown = u32(5000, 0) if kind == 1 else pairs(5000)
        assert shown[0] == raw_attribute(5000, kind, good)
        f.good(
            f"unknown-id-{name}", "an unknown id is read by its type", message(60, 0, shown), 8, ["Unknown"]
        )
    f.good(
        "unknown-id-text",
        "an unknown id is read by its type",
        message(60, 0, text(5000, "later")),
        8,
        ["Unknown"],
    )
    f.good(
        "unknown-id-bytes",
        "an unknown id is read by its type",
        message(60, 0, octets(5000, b"\x01")),
        8,
        ["Unknown"],
    )
    for kind, size in ((2, 8), (2, 3), (0, 4), (6, 0), (77, 5), (255, 1)):
        f.good(
            f"unknown-id-type-{kind}-{size}",
            "an unknown id with a type that is opaque there",
            message(60, 0, opaque(5000, kind, bytes(range(size)))),
            8,
            ["Unknown"],
        )
    for number, kind, size in (
        (A.ConnID, 1, 4),
        (A.ConnID, 3, 4),
        (A.ThisDN, 1, 3),
        (A.ThisDN, 4, 1),
        (A.UserData, 5, 2),
        (A.CallState, 2, 8),
        (A.InputMask, 3, 64),
        (A.ThisDN, 77, 0),
    ):
        f.good(
            f"foreign-type-{int(number)}-{kind}",
            "a known attribute of a foreign type is opaque, whatever it holds",
            message(60, 0, opaque(number, kind, bytes(size))),
            8,
            ["Unknown"],
        )
    bad = [
        ("no-room", b"\x00", "truncated", 13, "Truncated"),
        ("head-of-7", b"\x00\x14\x03\x00\x00\x00\x00", "truncated", 19, "Truncated"),
        ("value-beyond", raw_attribute(20, 3, b"1001")[:-1], "overrun", 20, "Overrun"),
        ("value-4-gib", b"\x00\x14\x03\x00\xff\xff\xff\xff", "overrun", 20, "Overrun"),
        ("u32-of-0", raw_attribute(13, 1, b""), "truncated", 20, "Truncated"),
        ("u32-of-3", raw_attribute(13, 1, bytes(3)), "truncated", 23, "Truncated"),
        ("u32-of-5", raw_attribute(13, 1, bytes(5)), "trailing", 24, "LeftOver"),
        ("u64-of-0", raw_attribute(9, 2, b""), "truncated", 20, "Truncated"),
        ("u64-of-7", raw_attribute(9, 2, bytes(7)), "truncated", 27, "Truncated"),
        ("u64-of-9", raw_attribute(9, 2, bytes(9)), "trailing", 28, "LeftOver"),
        ("reserved", raw_attribute(20, 3, b"", reserved=1), "reserved", 12, "LeftOver"),
        ("reserved-255", raw_attribute(20, 3, b"", reserved=255), "reserved", 12, "LeftOver"),
        ("twice", raw_attribute(20, 3, b"1") * 2, "duplicate", 21, "Duplicate"),
        (
            "twice-apart",
            raw_attribute(20, 3, b"") + raw_attribute(9, 2, bytes(8)) + raw_attribute(20, 3, b"x"),
            "duplicate",
            36,
            "Duplicate",
        ),
        ("twice-unknown", raw_attribute(5000, 9, b"") * 2, "duplicate", 20, "Duplicate"),
        ("value-before-reserved", raw_attribute(13, 1, bytes(3), reserved=1), "truncated", 23, "Truncated"),
        (
            "reserved-before-twice",
            raw_attribute(20, 3, b"") + raw_attribute(20, 3, b"", reserved=1),
            "reserved",
            20,
            "Duplicate",
        ),
    ]
    for what, octet, code, offset, flag in bad:
        f.bad(what, "an attribute that breaks the format", raw_frame(60, 0, octet), code, offset, 7, [flag])
    return f


def kvlist():
    f = File("kvlist")
    user = A.UserData
    f.good("empty", "no pairs", message(60, 0, pairs(user)), 4)
    f.good(
        "each-type",
        "one value of each type",
        message(
            60,
            0,
            pairs(
                user,
                ("text", string("gold")),
                ("int", integer(5)),
                ("bytes", binary(b"\x00\xff")),
                ("list", inner()),
            ),
        ),
        4,
    )
    for value in (-(2**31), -1, 0, 1, 2**31 - 1):
        f.good(f"int-{value}", "32 bits, signed", message(60, 0, pairs(user, ("n", integer(value)))), 4)
    f.good(
        "same-key",
        "keys repeat and keep their order",
        message(60, 0, pairs(user, ("k", string("1")), ("k", string("2")), ("k", integer(3)))),
        4,
    )
    f.good(
        "case",
        "keys differ by case",
        message(60, 0, pairs(user, ("Key", string("a")), ("key", string("b")))),
        4,
    )
    f.good("empty-key", "a key without characters", message(60, 0, pairs(user, ("", string("x")))), 4)
    f.good(
        "empty-values",
        "empty text, octets and list",
        message(60, 0, pairs(user, ("t", string("")), ("b", binary(b"")), ("l", inner()))),
        4,
    )
    f.good("long-key", "the longest key", message(60, 0, pairs(user, ("k" * 60000, integer(1)))), 4)
    f.good(
        "nested",
        "a list in a list in a list",
        message(
            60,
            0,
            pairs(
                user,
                ("a", inner(("b", inner(("c", string("deep")), ("d", integer(-5)))), ("e", binary(b"x")))),
            ),
        ),
        4,
    )
    f.good(
        "two-lists",
        "lists side by side",
        message(60, 0, pairs(user, ("a", inner(("x", integer(1)))), ("b", inner(("x", integer(2)))))),
        4,
    )
    f.good(
        "many",
        "a thousand pairs",
        message(60, 0, pairs(user, *((f"k{n}", integer(n)) for n in range(1000)))),
        4,
    )
    for number in (A.Extensions, A.Reasons, A.TreatmentParms, A.ISLinkList):
        f.good(
            f"in-{int(number)}",
            "a list in another attribute",
            message(60, 0, pairs(number, ("k", string("v")))),
            4,
        )
    f.good(
        "undecodable",
        "key and value that are not UTF-8",
        message(60, 0, pairs(user, (b"\xff", string(b"\xc3")))),
        5,
        ["Undecodable"],
    )
    head = raw_frame(60, 0, raw_attribute(51, 4, b""))
    base = len(head)

    def wrong(what, comment, octet, code, offset, flag):
        f.bad(what, comment, raw_frame(60, 0, raw_attribute(51, 4, octet)), code, base + offset, 7, [flag])

    wrong("no-count", "nothing at all", b"", "truncated", 0, "Truncated")
    wrong("half-count", "half a count", b"\x00", "truncated", 1, "Truncated")
    wrong("count-too-high", "a pair that is not there", b"\x00\x01", "truncated", 2, "Truncated")
    wrong(
        "count-65535",
        "pairs that are not there",
        b"\xff\xff" + raw_pair(b"k", 3, b"v"),
        "truncated",
        11,
        "Truncated",
    )
    wrong(
        "count-too-low",
        "a pair that is not counted",
        b"\x00\x00" + raw_pair(b"k", 3, b"v"),
        "trailing",
        2,
        "LeftOver",
    )
    wrong("half-key-length", "half a key's length", b"\x00\x01\x00", "truncated", 3, "Truncated")
    wrong("key-beyond", "a key beyond the list", b"\x00\x01\x00\x02k", "overrun", 4, "Overrun")
    wrong("no-type", "a key and nothing else", b"\x00\x01\x00\x01k", "truncated", 5, "Truncated")
    wrong(
        "half-length", "half a value's length", b"\x00\x01\x00\x01k\x03\x00\x00", "truncated", 8, "Truncated"
    )
    wrong(
        "value-beyond",
        "a value beyond the list",
        b"\x00\x01\x00\x01k\x03\x00\x00\x00\x02v",
        "overrun",
        10,
        "Overrun",
    )
    wrong(
        "value-4-gib", "a value of 4 GiB", b"\x00\x01\x00\x01k\x03\xff\xff\xff\xff", "overrun", 10, "Overrun"
    )
    for kind in (0, 2, 6, 255):
        wrong(
            f"type-{kind}",
            "a type that pairs do not have",
            b"\x00\x01" + raw_pair(b"k", kind, b""),
            "kv-type",
            10,
            "Unknown",
        )
    wrong(
        "int-of-3",
        "an integer too short",
        b"\x00\x01" + raw_pair(b"k", 1, bytes(3)),
        "truncated",
        13,
        "Truncated",
    )
    wrong(
        "int-of-5",
        "an integer too long",
        b"\x00\x01" + raw_pair(b"k", 1, bytes(5)),
        "trailing",
        14,
        "LeftOver",
    )
    wrong(
        "inner-left-over",
        "an inner list with more behind it",
        b"\x00\x01" + raw_pair(b"k", 4, b"\x00\x00x"),
        "trailing",
        12,
        "LeftOver",
    )
    wrong(
        "inner-cut",
        "an inner list that is cut",
        b"\x00\x01" + raw_pair(b"k", 4, b"\x00"),
        "truncated",
        11,
        "Truncated",
    )
    wrong(
        "inner-reaches-out",
        "an inner pair that reaches into the outer list",
        b"\x00\x02"
        + raw_pair(b"k", 4, b"\x00\x01\x00\x01x\x03\x00\x00\x00\x09")
        + raw_pair(b"l", 3, b"123456789"),
        "overrun",
        20,
        "Overrun",
    )
    return f


def texts():
    f = File("text")
    good = [
        ("two-octets", "\u00e9"),
        ("three-octets", "\u20ac"),
        ("four-octets", "\U0001d11e"),
        ("highest", "\U0010ffff"),
        ("nul", "a\x00b"),
        ("line-ends", "a\r\nb\tc"),
        ("quotes", "'\"\\"),
        ("bom", "\ufeffx"),
        ("combining", "e\u0301"),
        ("right-to-left", "\u05d0\u202e1"),
        ("number-like", "007"),
        ("dialled", "*21*+14155550100#"),
        ("blank", " "),
    ]
    for what, value in good:
        f.good(what, "text is passed on as it is", message(60, 0, text(A.OtherDN, value)), 5)
    broken = [
        ("latin-1", b"J\xfcrgen"),
        ("lone-continuation", b"\x80"),
        ("cut", b"a\xe2\x82"),
        ("overlong", b"\xc0\xaf"),
        ("surrogate", b"\xed\xa0\x80"),
        ("beyond", b"\xf4\x90\x80\x80"),
        ("ff-fe", b"\xff\xfe"),
    ]
    for what, value in broken:
        f.good(
            f"undecodable-{what}",
            "octets that are not UTF-8 survive",
            message(60, 0, text(A.OtherDN, value)),
            5,
            ["Undecodable"],
        )
    return f


def limits():
    f = File("limits")
    many = [octets(2000 + n, b"") for n in range(256)]
    f.good("attributes-256", "as many attributes as may be", message(60, 0, *many), 6, ["Limit"])
    too_many = raw_frame(60, 0, *(raw_attribute(2000 + n, 5, b"") for n in range(257)))
    f.bad("attributes-257", "one attribute too many", too_many, "attributes", 12 + 256 * 8, 6, ["Limit"])

    def nest(depth):
        value = inner()
        for _ in range(depth - 2):
            value = inner(("in", value))
        return message(60, 0, pairs(A.UserData, ("in", value)))

    f.good("depth-16", "lists as deep as may be", nest(16), 6, ["Limit", "Depth"])
    f.bad("depth-17", "one list too deep", nest(17)[0], "depth", 20 + 16 * 11, 6, ["Limit", "Depth"])
    f.bad("depth-1000", "far too deep", nest(1000)[0], "depth", 20 + 16 * 11, 6, ["Limit", "Depth"])
    for size in (65535, 65536):
        value = pairs(A.UserData, ("k", binary(bytes(size - 10))))
        f.good(f"kvlist-{size}", "a list as long as may be", message(60, 0, value), 6, ["Limit"])
    value, _ = pairs(A.UserData, ("k", binary(bytes(65527))))
    f.bad("kvlist-65537", "a list one octet too long", raw_frame(60, 0, value), "large", 20, 6, ["Limit"])
    value, _ = pairs(5000, ("k", binary(bytes(65527))))
    f.bad(
        "kvlist-65537-unknown-id",
        "the same in an unknown attribute",
        raw_frame(60, 0, value),
        "large",
        20,
        6,
        ["Limit"],
    )
    size = 1_048_576
    head = raw_frame(60, 0)[4:] + raw_attribute(int(A.PeerBody), 5, b"")[:4]
    for length in (size, size + 1):
        frame = {
            "parts": [
                {
                    "hex": (length.to_bytes(4, "big") + head + (length - 20).to_bytes(4, "big")).hex(),
                    "times": "1",
                },
                {"hex": "00", "times": str(length - 20)},
            ]
        }
        if length == size:
            frame_step = {"at_ms": "0", "in": frame, "expect": {"events": [{"id": 60, "ref": 0}]}}
            f.add("frame-1048576", "a frame as long as may be", [frame_step], flags=["Limit"], match="subset")
        else:
            frame["parts"] = frame["parts"][:1]
            f.bad(
                "frame-1048577",
                "a frame one octet too long is refused by its first four",
                frame,
                "too-large",
                0,
                6,
                ["Limit"],
                close="too-large",
            )
    for length, code, offset in (
        (0, "length", 0),
        (3, "length", 0),
        (4, "truncated", 4),
        (11, "truncated", 11),
    ):
        frame = length.to_bytes(4, "big") + b"\x01\x00\x00\x3c" + bytes(4)
        f.bad(f"frame-{length}", "a length below the header", frame, code, offset, 7, ["Limit"])
    f.good("frame-12", "the least length", message(60, 0), 2, ["Limit"])
    f.bad(
        "frame-4-gib",
        "a frame of 4 GiB costs nothing",
        b"\xff\xff\xff\xff",
        "too-large",
        0,
        6,
        ["Limit"],
        close="too-large",
    )
    return f


def catalogue():
    found = {"requests": File("requests"), "events": File("events")}
    for name, table in (("requests", REQUEST_ATTRIBUTES), ("events", EVENT_ATTRIBUTES)):
        for kind, (mandatory, optional) in sorted(table.items()):
            if kind in (M.RequestRegisterClient, M.EventServerConnected, M.EventServerDisconnected):
                continue  # has sessions of its own; never on the wire
            side = {"side": "server" if name == "requests" else "client", "state": "open"}
            origin = contents_origin(kind).value
            for what, carried in (("mandatory", mandatory), ("all", (*mandatory, *optional))):
                found[name].good(
                    f"{int(kind)}.{what}",
                    f"{kind.name} with its {what} attributes",
                    message(kind, 5 if name == "requests" else 0, *map(sample, carried)),
                    14,
                    setup=side,
                    provenance=origin,
                    missing=None,
                )
            for attribute in mandatory if name == "requests" else ():
                rest = [sample(other) for other in mandatory if other != attribute]
                found[name].good(
                    f"{int(kind)}.without-{attribute.name}",
                    f"{kind.name} without {attribute.name}: well formed, answered by EventError 53",
                    message(kind, 5, *rest),
                    14,
                    setup=side,
                    provenance=origin,
                    missing=attribute.name,
                )
    return list(found.values())


def sessions():
    f = File("session")
    for what, comment, steps, more in SESSIONS:
        f.add(what, comment, steps, **more)
    return f


def documents():
    """Every file by its name."""
    files = [framing(), attributes(), kvlist(), texts(), limits(), *catalogue(), sessions()]
    return {f"{file.name}.json": file.document() for file in files}


def dumped(document):
    """A document as the file's text: a test a line, keys sorted."""
    head = {key: value for key, value in document.items() if key != "tests"}
    lines = ",\n".join(json.dumps(test, sort_keys=True, ensure_ascii=True) for test in document["tests"])
    return json.dumps(head, sort_keys=True)[:-1] + ', "tests": [\n' + lines + "\n]}\n"


def main(arguments):
    """Writes the files, or with --check compares them."""
    stale = []
    for name, document in documents().items():
        path = FOLDER / name
        new = dumped(document)
        if "--check" not in arguments:
            path.write_text(new, encoding="ascii")
        elif not path.exists() or path.read_text(encoding="ascii") != new:
            stale.append(name)
    if stale:
        print(f"not what the source says: {', '.join(stale)}; run python -m tests.tlib_proto.vector_source")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
