"""Typed readings of header values: Via, addresses, CSeq, parameters, credentials."""

import re
from typing import NamedTuple

from sip_proto.errors import ParseError
from sip_proto.uri import Address, is_ip, parse_host_port

_VIA = re.compile(
    r"SIP[ \t]*/[ \t]*([0-9.]+)[ \t]*/[ \t]*([A-Za-z0-9.!%*_+`'~-]+)[ \t]+"
    r"(\[[^\]]*\]|[^;:\s\[]+)[ \t]*(?::[ \t]*([0-9]{1,5})[ \t]*)?(;.*)?\Z",
    re.I | re.S,
)
_CSEQ = re.compile(r"([0-9]{1,10})[ \t]+([A-Za-z0-9.!%*_+`'~-]+)\Z")
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+\Z")
_AUTH_PARAM = re.compile(
    r"[ \t]*([A-Za-z0-9.!%*_+`'~-]+)[ \t]*=[ \t]*(?:\"((?:[^\"\\]+|\\.)*+)\"|([^\s,\"]*))[ \t]*(?:,|\Z)", re.S
)
_QUOTED = re.compile(r'"(?:[^"\\]+|\\.)*+"', re.S)
_PARAM = re.compile(r'(?:[^;"]+|"(?:[^"\\]+|\\.)*+")*+', re.S)
_DIGITS = re.compile(r"[0-9]{1,10}\Z")
_Q = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\Z")
_UNQUOTE = re.compile(r"\\(.)", re.S)


class Via(NamedTuple):
    """One Via element; `port` 0 is none, parameter names in lower case (RFC 3261 section 20.42)."""

    transport: str
    host: str
    port: int
    params: dict[str, str]

    @property
    def branch(self) -> str:
        return self.params.get("branch", "")

    @property
    def sent_by(self) -> str:
        return f"{self.host}:{self.port}" if self.port else self.host


class NameAddr(NamedTuple):
    """An address with display name (as written), URI text and header parameters (RFC 3261 section 20.10)."""

    display: str
    uri: str
    params: dict[str, str]

    @property
    def tag(self) -> str:
        return self.params.get("tag", "")

    @property
    def expires_s(self) -> int | None:
        """Seconds to live of a Contact, None when not written or no number (RFC 3261 section 20.10)."""
        return parse_number(self.params.get("expires", ""))

    @property
    def q(self) -> int:
        """Preference of a Contact in 1/1000, 1000 when not written or broken (RFC 3261 section 20.10)."""
        return parse_q(self.params.get("q", ""))

    def bare(self) -> str:
        """The name-addr as text without its tag; other parameters stay (ours)."""
        text = f"{self.display} <{self.uri}>" if self.display else f"<{self.uri}>"
        for name, value in self.params.items():
            if name != "tag":
                text += f";{name}={value}" if value else f";{name}"
        return text


def is_token(text: str) -> bool:
    """Whether `text` is a token (RFC 3261 section 25.1)."""
    return _TOKEN.match(text) is not None


def parse_number(text: str, limit: int = 0xFFFFFFFF) -> int | None:
    """A decimal number of at most ten ASCII digits up to `limit`, else None (ours)."""
    text = text.strip(" \t")
    if not _DIGITS.match(text):
        return None
    number = int(text)
    return number if number <= limit else None


def parse_q(text: str, default: int = 1000) -> int:
    """A preference from 0 to 1 in 1/1000, `default` when it is none (RFC 3261 section 25.1)."""
    if not _Q.match(text):
        return default
    whole, _, part = text.partition(".")
    return int(whole) * 1000 + int(part.ljust(3, "0"))


def split_quoted(text: str, separator: str) -> list[str]:
    """`text` cut at each `separator` that stands outside quotes and angle brackets, blanks trimmed (RFC
    3261 section 7.3.1)."""
    if separator not in text:
        return [text.strip(" \t")]
    if '"' not in text and "<" not in text:
        return [part.strip(" \t") for part in text.split(separator)]
    parts: list[str] = []
    start = at = 0
    size = len(text)
    angle = False
    while at < size:
        char = text[at]
        if char == '"' and not angle:
            quoted = _QUOTED.match(text, at)
            if quoted is None:
                break
            at = quoted.end()
            continue
        if char == "<":
            angle = True
        elif char == ">":
            angle = False
        elif char == separator and not angle:
            parts.append(text[start:at].strip(" \t"))
            start = at + 1
        at += 1
    parts.append(text[start:].strip(" \t"))
    return parts


def parse_params(text: str) -> dict[str, str]:
    """`;name=value` pairs, names in lower case, the first of a name wins, values as written; ParseError for an open
    quote (RFC 3261 section 7.3.1)."""
    params: dict[str, str] = {}
    if not text:
        return params
    if '"' in text or " " in text or "\t" in text:
        for part in _cut_params(text):
            name, _, value = part.partition("=")
            name = name.strip(" \t").lower()
            if name and name not in params:
                params[name] = value.strip(" \t")
        return params
    for part in text.split(";"):
        name, _, value = part.partition("=")
        if name:
            name = name.lower()
            if name not in params:
                params[name] = value
    return params


def _cut_params(text: str) -> list[str]:
    parts: list[str] = []
    at = 0
    while True:
        found = _PARAM.match(text, at)
        assert found is not None
        parts.append(found[0])
        at = found.end() + 1
        if at > len(text):
            return parts
        if text[at - 1] == '"':
            # Where the value ends is anyone's guess, and everyone's guess differs.
            raise ParseError("parameters", at - 1, "quote without end")


def parse_via(text: str) -> Via:
    """The first element of a Via value; any transport token is taken; ParseError (RFC 3261 section 20.42)."""
    if "," in text:
        text, *others = split_quoted(text, ",")
        if not all(map(_VIA.match, others)):
            raise ParseError("via", len(text) + 1, "no Via")
    found = _VIA.match(text)
    if found is None:
        raise ParseError("via", 0, "no Via")
    version, transport, host, port, tail = found.groups()
    if version != "2.0":
        raise ParseError("via", 4, "not version 2.0")
    if host[0] == "[":
        parse_host_port(host)
    number = int(port) if port else 0
    if number > 65_535:
        raise ParseError("via", found.start(4), "no port number")
    return Via(transport, host, number, parse_params(tail[1:]) if tail else {})


def mark_via(value: str, via: Via, source: Address) -> str:
    """The Via value with `received` and `rport` of `source` set in its first element (RFC 3261 section
    18.2.1, RFC 3581)."""
    params = via.params
    rport = "rport" in params
    host = via.host[1:-1] if via.host[:1] == "[" else via.host
    if not rport and host == source[0] and "received" not in params:
        return value
    first, rest = value, ""
    if "," in value:
        first = split_quoted(value, ",")[0]
        rest = value[value.index(first) + len(first) :]
    kept = first.partition(";")[0].rstrip()
    for name, text in params.items():
        if name == "rport":
            kept += f";rport={source[1]}"
        elif name != "received":
            kept += f";{name}={text}" if text else f";{name}"
    return f"{kept};received={source[0]}{rest}"


def response_address(via: Via, source: Address, transport: str = "udp") -> Address:
    """Where the answer to a request from `source` goes, over a stream when its own is gone; `maddr` is not followed
    (RFC 3261 section 18.2.2, RFC 3581)."""
    if transport != "udp":
        return source[0], via.port or (5061 if transport == "tls" else 5060)
    if "rport" in via.params:
        return source
    return source[0], via.port or 5060


def parse_name_addr(text: str) -> NameAddr:
    """One name-addr or addr-spec with its header parameters; ParseError (RFC 3261 section 20.10)."""
    start = 0
    if text[:1] == '"':
        quoted = _QUOTED.match(text)
        if quoted is None:
            raise ParseError("address", 0, "quote without end")
        start = quoted.end()
    left = text.find("<", start)
    if left < 0:
        if start:
            raise ParseError("address", start, "no URI after the display name")
        uri, _, tail = text.partition(";")
        uri = uri.strip(" \t")
        if not uri or "," in uri or "?" in uri or ":" not in uri or " " in uri or ">" in uri:
            raise ParseError("address", 0, "no URI")
        return NameAddr("", uri, parse_params(tail))
    right = text.find(">", left)
    if right < 0:
        raise ParseError("address", left, "angle bracket without end")
    uri = text[left + 1 : right].strip(" \t")
    if ":" not in uri:
        raise ParseError("address", left + 1, "no URI")
    tail = text[right + 1 :]
    if not tail:
        return NameAddr(text[:left].strip(" \t"), uri, {})
    tail = tail.lstrip(" \t")
    if tail and tail[0] != ";":
        raise ParseError("address", right + 1, "more than one address")
    return NameAddr(text[:left].strip(" \t"), uri, parse_params(tail[1:]))


def parse_cseq(text: str) -> tuple[int, str]:
    """Number below 2**31 and method; ParseError (RFC 3261 section 20.16)."""
    found = _CSEQ.match(text)
    if found is None:
        raise ParseError("cseq", 0, "no number and method")
    number = int(found[1])
    if number >= 2**31:
        raise ParseError("cseq", 0, "number of 2**31 or more")
    return number, found[2]


def unquote(text: str) -> str:
    """`text` without its quotes and backslashes, as it is when not quoted (RFC 3261 section 25.1)."""
    if len(text) >= 2 and text[0] == '"' == text[-1]:
        return _UNQUOTE.sub(r"\1", text[1:-1])
    return text


def quote(text: str) -> str:
    """`text` as a quoted string (RFC 3261 section 25.1)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parse_auth(text: str) -> tuple[str, dict[str, str]]:
    """Scheme in lower case and the parameters, unquoted, of a challenge or of credentials; ParseError (RFC
    7616)."""
    scheme, _, tail = text.strip(" \t").partition(" ")
    params: dict[str, str] = {}
    at = 0
    tail = tail.strip(" \t")
    while at < len(tail):
        found = _AUTH_PARAM.match(tail, at)
        if found is None:
            raise ParseError("credentials", at, "no name=value")
        name = found[1].lower()
        if name in params:
            raise ParseError("credentials", at, "a parameter twice")
        params[name] = _UNQUOTE.sub(r"\1", found[2]) if found[2] is not None else found[3]
        at = found.end()
    return scheme.lower(), params


def is_literal(host: str) -> bool:
    """Whether a Via or URI host, v6 in brackets, is an IP literal (ours)."""
    return is_ip(host[1:-1] if host[:1] == "[" else host)
