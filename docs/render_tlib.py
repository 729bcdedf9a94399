"""Writes the tables of docs/specs/tlib-wire.md from the declaration: `python docs/render_tlib.py [--check]`.

A table stands between `<!-- table: NAME -->` and `<!-- end -->`; what is outside is written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from construct import FormatField, Renamed, Tell

from cluster_core.limits import Limits
from tlib_proto import wire
from tlib_proto.attributes import ADDED_LATER, ATTRIBUTE_NAMES, ATTRIBUTE_TYPES, Attribute, AttributeType
from tlib_proto.enumerations import ENUMERATIONS
from tlib_proto.error_codes import ERROR_TEXTS, ErrorCode
from tlib_proto.errors import PARSE_KINDS
from tlib_proto.events import EVENT_ATTRIBUTES
from tlib_proto.hello import MAX_NAME, VERSIONS
from tlib_proto.limits import LIMITS, MAX_ATTRIBUTES, MAX_DEPTH, MAX_KVLIST
from tlib_proto.mask import MASK_SIZE
from tlib_proto.messages import MessageType
from tlib_proto.origins import (
    ORIGIN_TEXTS,
    SOURCES,
    attribute_origin,
    contents_origin,
    enumeration_origin,
    error_source,
    message_origin,
)
from tlib_proto.requests import REQUEST_ATTRIBUTES
from tlib_proto.tables import PEER_TABLES, Act, EndKind, Input

PAGE = Path(__file__).parent / "specs" / "tlib-wire.md"
NUMBERS = {"B": "u8", "H": "u16", "L": "u32", "Q": "u64", "l": "i32"}
SECOND_US = 1_000_000
NODE = Limits()

Rows = Iterable[tuple[object, ...]]


def table(head: tuple[str, ...], rows: Rows) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def bare(con: Any) -> Any:
    """A construct without its name."""
    while isinstance(con, Renamed):
        con = con.subcon
    return con


def number(con: Any) -> str:
    """A fixed field as the page calls it."""
    return NUMBERS[bare(con).fmtstr[1:]]


def layout(con: Any, at: int) -> list[tuple[object, ...]]:
    """Rows (offset, field, type) of a construct's fields, until the first that has no fixed size."""
    rows: list[tuple[object, ...]] = []
    place: int | None = at
    for sub in con.subcons:
        field = bare(sub)
        if isinstance(field, FormatField):
            rows.append(("" if place is None else place, sub.name, number(field)))
            place = None if place is None else place + field.length
        elif isinstance(field, wire.Region):
            size = number(field.lengthfield)
            rows.append(("" if place is None else place, f"length of the {sub.name}", size))
            rows.append(("" if place is None else place + bare(field.lengthfield).length, sub.name, "octets"))
            place = None
        elif isinstance(field, wire.Attributes):
            rows.append(("" if place is None else place, sub.name, "until the end of the frame"))
        elif not (field is Tell or isinstance(field, wire.Expect | wire.Settled)):
            raise TypeError(f"no words for {field!r}")
    return rows


def frame() -> str:
    """The fields of a frame."""
    rows = [(0, "length", number(wire.Frame.lengthfield)), *layout(bare(wire.Frame.subcon.subcon), 4)]
    return table(("octet", "field", "type"), rows)


def attribute() -> str:
    """The fields of an attribute."""
    return table(("octet", "field", "type"), layout(wire.Attribute, 0))


def pair() -> str:
    """The fields of a pair."""
    rows = [(*row[1:],) for row in layout(wire.Pair, 0)]
    return table(
        ("field", "type"), [("(before the first pair) count", number(wire.KeyValues.countfield)), *rows]
    )


def types() -> str:
    """Wire types of attributes."""
    words = {
        AttributeType.U32: "4 octets, unsigned",
        AttributeType.U64: "8 octets, unsigned",
        AttributeType.TEXT: "UTF-8, any length, no terminator",
        AttributeType.KVLIST: "a key-value list",
        AttributeType.BYTES: "any octets",
    }
    return table(("type", "name", "value"), [(int(kind), kind.name, words[kind]) for kind in AttributeType])


def pair_types() -> str:
    """Wire types in a pair."""
    value = next(sub for sub in wire.Pair.subcons if sub.name == "value")
    words = {
        FormatField: "4 octets, signed (two's complement)",
        wire.Text: "UTF-8, any length",
        wire.Nested: "a key-value list",
        wire.Octets: "any octets",
    }
    cases = bare(bare(value).subcon).cases
    return table(("type", "value"), [(case, words[type(bare(con))]) for case, con in cases.items()])


def limits() -> str:
    """Bounds of the format and of sessions."""
    rows = [
        ("format", "attributes in a frame", MAX_ATTRIBUTES),
        ("format", "octets of an encoded key-value list that is an attribute's value", MAX_KVLIST),
        ("format", "key-value lists inside each other, the outermost counted", MAX_DEPTH),
        ("format", "octets of an input or capability mask", f"exactly {MASK_SIZE}"),
        ("session", "octets of a frame", LIMITS.frame),
        (
            "session",
            "octets of the client's first frame; of what may wait before it is answered",
            LIMITS.hello_frame,
        ),
        ("session", "characters of ApplicationName and of Role", f"1 to {MAX_NAME}"),
        (
            "session",
            "seconds from the connection to the Hello, and from the Hello to its answer",
            _s(LIMITS.hello_us),
        ),
        ("session", "seconds from the first octet of a frame to its last", _s(LIMITS.partial_frame_us)),
        ("session", "octets that wait for a peer that does not read", LIMITS.queue),
        ("session", "seconds in which a peer reads nothing of what waits for it", _s(LIMITS.stalled_us)),
        (
            "session",
            "seconds that a peer may ask for as keep-alive time; what is outside is moved to the nearer end",
            f"{_s(LIMITS.keepalive_min_us)} to {_s(LIMITS.keepalive_max_us)}",
        ),
        ("server", "connections", NODE.connections),
        ("server", "connections from one address of another machine", NODE.proven_source_streams),
        ("server", "of these, connections that were not accepted yet", NODE.source_streams),
        (
            "server",
            f"failed proofs from there in {_s(NODE.failed_proofs_us)} seconds; with one more nobody from there "
            f"is let in for {_s(NODE.ban_us)} seconds",
            NODE.failed_proofs - 1,
        ),
        ("server", "DNs that a client registers one by one", NODE.registrations_per_client),
        ("server", "octets of a call's user data", NODE.user_data_bytes),
        ("server", "requests in flight", NODE.requests_in_flight),
        ("server", "seconds for which a lost session is kept", _s(NODE.resume_us)),
        ("server", "lost sessions that are kept", NODE.parked_sessions),
        ("server", "octets of missed events that a session is told again", NODE.resume_bytes),
        ("server", "octets of events that are kept for lost sessions", NODE.history_bytes),
        ("server", "reporting sessions with a name", NODE.reporting_sessions),
        ("server", "events that are kept for a reporting session", NODE.backlog_events),
        ("server", "octets of these", NODE.backlog_bytes),
        ("server", "seconds for which they are kept, and a session that lost its connection", _s(NODE.backlog_us)),
        ("server", "names in UdataFilter", NODE.reporting_filter_keys),
    ]
    return table(("of the", "what", "at most"), rows)


def _s(us: int) -> int:
    return us // SECOND_US


def parse_kinds() -> str:
    """What can be wrong with a frame."""
    return table(("kind", "breach", "offset"), [(f"`{kind}`", *words) for kind, words in PARSE_KINDS.items()])


def messages() -> str:
    """Message ids."""
    rows = [(int(kind), kind.name, message_origin(kind).value) for kind in MessageType]
    return table(("id", "name", "origin"), rows)


def contents() -> str:
    """What each message carries."""

    def names(found: tuple[Attribute, ...]) -> str:
        return ", ".join(ATTRIBUTE_NAMES[one] + ("*" if one in ADDED_LATER else "") for one in found) or "-"

    rows = [
        (kind.name, names(mandatory), names(optional), contents_origin(kind).value)
        for declared in (REQUEST_ATTRIBUTES, EVENT_ATTRIBUTES)
        for kind, (mandatory, optional) in sorted(declared.items())
    ]
    return table(("message", "mandatory", "optional", "origin"), rows)


def attributes() -> str:
    """Attribute ids and their wire types."""
    rows = [
        (
            int(one),
            one.name,
            f"{int(ATTRIBUTE_TYPES[one])} {ATTRIBUTE_TYPES[one].name}",
            attribute_origin(one).value,
        )
        for one in Attribute
    ]
    return table(("id", "name", "type", "origin"), rows)


def enumerations() -> str:
    """Every enumeration, one a row."""
    rows = []
    for name, kind in ENUMERATIONS.items():
        shown = (
            f"{one.value:#x} {label}" if name == "PartyState" else f"{one.value} {label.rstrip('_')}"
            for label, one in kind.__members__.items()
        )
        rows.append((name, ", ".join(shown), enumeration_origin(kind).value))
    return table(("enumeration", "values", "origin"), rows)


def errors() -> str:
    """Numbers of EventError."""
    rows = [(int(code), code.name, ERROR_TEXTS[code], error_source(code)) for code in ErrorCode]
    return table(("number", "name", "text", "source"), rows)


def session() -> str:
    """What each side does with each message."""
    said = {
        Input.HELLO: "RequestRegisterClient",
        Input.LINK: "EventLinkConnected",
        Input.LINK_DOWN: "EventLinkDisconnected",
        Input.ERROR: "EventError",
        Input.PING: "Ping",
        Input.PONG: "Pong",
        Input.KNOWN: "any other known id",
        Input.UNKNOWN: "an unknown id",
    }
    does = {
        Act.GREET: "reads the Hello",
        Act.LINK: "the session is open",
        Act.REFUSED: "refused: closes",
        Act.DELIVER: "delivers it",
        Act.PONG: "answers Pong under its ReferenceID",
        Act.NOTHING: "nothing",
        Act.UNSUPPORTED: "EventError 51",
        Act.REPEATED: "EventError 43",
        Act.UNEXPECTED: "closes; a server says EventError 51 first",
    }
    rows = [
        (role.name.lower(), state.name, said[what], does[act], following.name)
        for role, states in PEER_TABLES.items()
        for state, inputs in states.items()
        for what, (act, following) in inputs.items()
    ]
    return table(("side", "in state", "message that came", "what the side does", "then"), rows)


def ends() -> str:
    """Why sessions end."""
    return ", ".join(f"`{kind.value}`" for kind in EndKind)


def versions() -> str:
    """Versions of the format."""
    return ", ".join(map(str, VERSIONS))


def origins() -> str:
    """What the words of the column `origin` mean."""
    return table(("origin", "meaning"), [(origin.value, text) for origin, text in ORIGIN_TEXTS.items()])


def sources() -> str:
    """Where the parts of the catalogue come from."""
    return table(("part", "origin", "source"), [(part, o.value, text) for part, (o, text) in SOURCES.items()])


TABLES: dict[str, Callable[[], str]] = {
    "frame": frame,
    "attribute": attribute,
    "pair": pair,
    "types": types,
    "pair types": pair_types,
    "limits": limits,
    "parse kinds": parse_kinds,
    "messages": messages,
    "contents": contents,
    "attributes": attributes,
    "enumerations": enumerations,
    "errors": errors,
    "session": session,
    "ends": ends,
    "versions": versions,
    "origins": origins,
    "sources": sources,
}
BLOCK = re.compile(r"(<!-- table: ([a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def rendered(page: str) -> str:
    """The page with every table written anew; KeyError for a table that nobody writes."""
    return BLOCK.sub(lambda match: f"{match[1]}{TABLES[match[2]]()}\n{match[3]}", page)


def main(arguments: list[str]) -> int:
    """Writes the page, or with --check compares it; 1 when it differs, 2 for a wrong call."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python docs/render_tlib.py [--check]\n")
        return 2
    page = PAGE.read_text(encoding="utf-8")
    new = rendered(page)
    if not arguments:
        PAGE.write_text(new, encoding="utf-8")
    elif new != page:
        sys.stderr.write(f"{PAGE.name} is not what the declaration says: run python docs/render_tlib.py\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
