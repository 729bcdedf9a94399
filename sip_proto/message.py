"""A SIP message: names and values as text, typed only when asked."""

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from sip_proto.errors import ParseError
from sip_proto.fields import FIELDS, Field
from sip_proto.headers import NameAddr, Via, parse_cseq, parse_name_addr, parse_via, split_quoted

T = TypeVar("T")

METHODS = frozenset(
    (
        *("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "REGISTER", "PRACK", "UPDATE"),
        *("INFO", "SUBSCRIBE", "NOTIFY", "REFER", "MESSAGE", "PUBLISH"),
    )
)

_COMPACT = {
    "v": "Via",
    "f": "From",
    "t": "To",
    "i": "Call-ID",
    "m": "Contact",
    "c": "Content-Type",
    "l": "Content-Length",
    "k": "Supported",
    "s": "Subject",
    "r": "Refer-To",
    "b": "Referred-By",
    "o": "Event",
    "u": "Allow-Events",
    "e": "Content-Encoding",
    "x": "Session-Expires",
    "a": "Accept-Contact",
    "d": "Request-Disposition",
    "j": "Reject-Contact",
    "y": "Identity",
}
CANONICAL: dict[str, str] = {}
for _name in FIELDS:
    CANONICAL[_name] = CANONICAL[_name.lower()] = CANONICAL[_name.upper()] = _name
for _short, _name in _COMPACT.items():
    CANONICAL[_short] = CANONICAL[_short.upper()] = _name


def canonical(name: str) -> str:
    """The usual spelling of a known header name or compact form, else the name as it is (RFC 3261 section
    7.3.3)."""
    known = CANONICAL.get(name)
    return known if known is not None else CANONICAL.get(name.lower(), name)


class Keys(NamedTuple):
    """What transactions and dialogs are found by; tags and branch are empty when not written (RFC 3261 sections 12
    and 17.2.3)."""

    call_id: str
    from_tag: str
    to_tag: str
    cseq: int
    method: str
    branch: str


class Message:
    """What requests and responses share; `fault` is (status, text) when the bytes were broken but
    answerable (ours).

    Undecodable bytes live in the text as surrogate escapes, so that they leave as they came.
    """

    __slots__ = ("_contact", "_cseq", "_from", "_to", "_via", "body", "fault", "names", "values", "version")

    def __init__(
        self, version: str, names: list[str], values: list[str], body: bytes, fault: tuple[int, str] | None
    ) -> None:
        self.version = version
        self.names = names
        self.values = values
        self.body = body
        self.fault = fault
        self._via: Via | None = None
        self._from: NameAddr | None = None
        self._to: NameAddr | None = None
        self._cseq: tuple[int, str] | None = None
        self._contact: NameAddr | None = None

    def get(self, name: str) -> str | None:
        """The first value of a header, as written, or None (ours)."""
        if name in self.names:
            return self.values[self.names.index(name)]
        if CANONICAL.get(name) == name:
            return None
        return next(iter(self.get_all(name)), None)

    def get_all(self, name: str) -> list[str]:
        """Every value of a header, one a line, in order (ours)."""
        known = canonical(name)
        if known in CANONICAL:
            if (count := self.names.count(known)) < 2:
                return [self.values[self.names.index(known)]] if count else []
            return [value for key, value in zip(self.names, self.values, strict=True) if key == known]
        lower = name.lower()
        return [value for key, value in zip(self.names, self.values, strict=True) if key.lower() == lower]

    def elements(self, name: str) -> list[str]:
        """Every element of a header that is a comma-separated list, over all its lines (RFC 3261 section
        7.3.1)."""
        found: list[str] = []
        for value in self.get_all(name):
            found += [part for part in split_quoted(value, ",") if part]
        return found

    def one(self, field: Field[T]) -> T | None:
        """The first value of a header read as its type, None when there is none; ParseError (ours)."""
        value = self.get(field.name)
        if value is None:
            return None
        if field.many and "," in value:
            value = next((part for part in split_quoted(value, ",") if part), "")
        return field.read(value)

    def all(self, field: Field[T]) -> list[T]:
        """Every value of a header, over all its lines, read as its type; ParseError when one is broken (RFC 3261
        section 7.3.1)."""
        values = self.elements(field.name) if field.many else self.get_all(field.name)
        return [field.read(value) for value in values]

    def _require(self, name: str) -> str:
        try:
            return self.values[self.names.index(name)]
        except ValueError:
            raise ParseError("missing", 0, f"no {name}") from None

    @property
    def via(self) -> Via:
        """The topmost Via; ParseError (RFC 3261 section 20.42)."""
        if self._via is None:
            self._via = parse_via(self._require("Via"))
        return self._via

    @property
    def branch(self) -> str:
        """The topmost Via's branch, empty when it has none (RFC 3261 section 8.1.1.7)."""
        return self.via.branch

    @property
    def from_(self) -> NameAddr:
        """From; ParseError (RFC 3261 section 20.20)."""
        if self._from is None:
            self._from = parse_name_addr(self._require("From"))
        return self._from

    @property
    def to(self) -> NameAddr:
        """To; ParseError (RFC 3261 section 20.39)."""
        if self._to is None:
            self._to = parse_name_addr(self._require("To"))
        return self._to

    @property
    def cseq(self) -> tuple[int, str]:
        """CSeq's number and method; ParseError (RFC 3261 section 20.16)."""
        if self._cseq is None:
            self._cseq = parse_cseq(self._require("CSeq"))
        return self._cseq

    @property
    def call_id(self) -> str:
        """Call-ID; ParseError when there is none (RFC 3261 section 20.8)."""
        return self._require("Call-ID")

    def keys(self) -> Keys:
        """What the message's transaction and dialog are found by; ParseError (RFC 3261 sections 12 and 17.2.3)."""
        values, index = self.values, self.names.index
        try:
            number, _, method = values[index("CSeq")].partition(" ")
            return tuple.__new__(  # As Keys() does, in half the time.
                Keys,
                (
                    values[index("Call-ID")],
                    _plain_tag(values[index("From")]),
                    _plain_tag(values[index("To")]),
                    int(number) if number.isascii() and number.isdigit() and len(number) < 10 else self.cseq[0],
                    method if method in METHODS else self.cseq[1],
                    _plain_branch(values[index("Via")]),
                ),
            )
        except ValueError:
            # Something is missing, broken or written in an unusual way.
            return Keys(self.call_id, self.from_.tag, self.to.tag, *self.cseq, self.branch)

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact's address, None when there is none or it is `*`; ParseError (RFC 3261 section
        20.10)."""
        if self._contact is None:
            value = self.get("Contact")
            if value is None or value == "*":
                return None
            if "," in value:
                value = split_quoted(value, ",")[0]
            self._contact = parse_name_addr(value)
        return self._contact

    def start_line(self) -> str:
        """The first line without its end (RFC 3261 section 7)."""
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """The message as bytes: canonical names, values as they came (ours)."""
        lines = [self.start_line()]
        lines += [f"{name}: {value}" for name, value in zip(self.names, self.values, strict=True)]
        lines.append("\r\n")
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.start_line()!r}>"


class Request(Message):
    """A request: method, Request-URI text, headers, body (RFC 3261 section 7.1)."""

    __slots__ = ("method", "uri")

    def __init__(
        self,
        method: str,
        uri: str,
        names: list[str],
        values: list[str],
        body: bytes = b"",
        fault: tuple[int, str] | None = None,
        version: str = "SIP/2.0",
    ) -> None:
        # As Message does; written out, as a call more is felt where a message is all there is to do.
        self.version = version
        self.names = names
        self.values = values
        self.body = body
        self.fault = fault
        self._via = self._from = self._to = self._cseq = self._contact = None
        self.method = method
        self.uri = uri

    def start_line(self) -> str:
        return f"{self.method} {self.uri} {self.version}"


class Response(Message):
    """A response: status, reason phrase, headers, body (RFC 3261 section 7.2)."""

    __slots__ = ("reason", "status")

    def __init__(
        self,
        status: int,
        reason: str,
        names: list[str],
        values: list[str],
        body: bytes = b"",
        fault: tuple[int, str] | None = None,
        version: str = "SIP/2.0",
    ) -> None:
        super().__init__(version, names, values, body, fault)
        self.status = status
        self.reason = reason

    def start_line(self) -> str:
        return f"{self.version} {self.status} {self.reason}"


_PROTOCOLS = frozenset(f"SIP/2.0/{transport}" for transport in ("UDP", "TCP", "TLS", "WS", "WSS"))


def _plain_tag(value: str) -> str:
    """The tag of an address in its usual form, where nothing else follows the bracket; ValueError for any other."""
    # Up to the first bracket: a quote that hides one is followed by another.
    address, found, tag = value.partition(">;tag=")
    if not found:
        if value.index(">") + 1 != len(value):
            raise ValueError
        return ""
    if ">" in address:
        raise ValueError
    if not tag.isalnum() and ("<" in tag or ">" in tag or '"' in tag or ";" in tag or " " in tag or "\t" in tag):
        raise ValueError
    return tag


def _plain_branch(value: str) -> str:
    """The branch of a row that holds one Via in its usual form; ValueError for any other."""
    protocol, _, sent = value.partition(" ")
    if protocol not in _PROTOCOLS or "," in value or '"' in value or " " in sent or "\t" in sent:
        raise ValueError
    _, found, rest = sent.partition(";branch=")
    if not found:
        raise ValueError
    return rest.partition(";")[0]


def header_pairs(headers: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """Pairs of name and value as the two lists that a message takes (ours)."""
    names: list[str] = []
    values: list[str] = []
    for name, value in headers:
        names.append(canonical(name))
        values.append(value)
    return names, values
