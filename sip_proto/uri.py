"""URIs of SIP and tel: parse, write, and where a request to one is sent; compared in `same.py`."""

import re
from collections.abc import Iterable
from ipaddress import IPv6Address
from typing import NamedTuple

from sip_proto.errors import LocalError, ParseError

Address = tuple[str, int]

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}\Z")
_PORT = re.compile(r"[0-9]{1,5}\Z")
_HOST = re.compile(r"[A-Za-z0-9_.-]+\Z")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*\Z")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NEVER = re.compile(r'[\x00-\x20"<>\x7f]')
# How nearly all are written; whatever else is one takes longer to be told.
_PLAIN = re.compile(
    r"sips?:(?:[A-Za-z0-9_.+*~-]+@)?[A-Za-z0-9_.-]+(?::[1-9][0-9]{0,3})?(?:;[A-Za-z0-9_.~-]+(?:=[A-Za-z0-9_.~-]*)?)*\Z"
)
# What may stand unescaped (RFC 3261 section 25.1): unreserved, and what each part allows besides.
_UNRESERVED = r"A-Za-z0-9_.!~*'()\-"
_NOT_USER = re.compile(rf"[^{_UNRESERVED}&=+$,;?/]")
_NOT_PASSWORD = re.compile(rf"[^{_UNRESERVED}&=+$,]")
_NOT_PARAM = re.compile(rf"[^{_UNRESERVED}\[\]/:&+$]")
_NOT_HEADER = re.compile(rf"[^{_UNRESERVED}\[\]/?:+$]")


class Uri(NamedTuple):
    """A URI's parts as written; `host` of a v6 literal keeps its brackets, `port` 0 is none (RFC 3261
    section 19.1).

    Parameter names are unescaped and in lower case; user, values and headers stay escaped.
    """

    scheme: str
    user: str
    host: str
    port: int
    params: dict[str, str]
    headers: str


def parse_uri(text: str) -> Uri:
    """The parts of a URI; of other schemes than sip, sips and tel only `scheme` and `user`; ParseError (RFC
    3261 section 19.1)."""
    scheme, colon, rest = text.partition(":")
    if not colon or not _SCHEME.match(scheme):
        raise ParseError("uri", 0, "no scheme")
    scheme = scheme.lower()
    if (never := _NEVER.search(text)) is not None:
        raise ParseError("uri", never.start(), "a character that no URI may hold")
    if scheme == "tel":
        number, _, tail = rest.partition(";")
        return Uri(scheme, number, "", 0, _params(tail), "")
    if scheme not in ("sip", "sips"):
        return Uri(scheme, rest, "", 0, {}, "")
    if "%" in rest and (broken := _BROKEN_ESCAPE.search(rest)) is not None:
        raise ParseError("uri", len(scheme) + 1 + broken.start(), "broken escape")
    # The user part may hold ';' and '?', so it is cut off first.
    user, _, place = rest.rpartition("@")
    place, _, headers = place.partition("?")
    place, _, tail = place.partition(";")
    host, port = parse_host_port(place)
    return Uri(scheme, user, host, port, _params(tail), headers)


def is_plain(text: str) -> bool:
    """Whether `text` is a sip or sips URI without headers, in the form that nearly all have: False says nothing
    (ours)."""
    return _PLAIN.match(text) is not None


def check_target(text: str) -> None:
    """ParseError unless requests in a dialog can be sent to the URI: sip or sips, no headers in it (RFC 3261 section
    19.1.1)."""
    if _PLAIN.match(text) is not None:
        return
    uri = parse_uri(text)
    if uri.scheme not in ("sip", "sips"):
        raise ParseError("uri", 0, "neither sip nor sips")
    if uri.headers:
        raise ParseError("uri", len(text) - len(uri.headers), "headers in it")


def parse_host_port(text: str) -> tuple[str, int]:
    """Host (v6 in brackets) and port, 0 when none is written; ParseError (RFC 3261 section 25.1)."""
    if text[:1] == "[":
        host, bracket, rest = text.partition("]")
        host += bracket
        if not bracket or not _is_ipv6(host[1:-1]) or (rest and rest[0] != ":"):
            raise ParseError("host", 0, "broken IPv6 reference")
        port = rest[1:]
        colon = rest[:1]
    else:
        host, colon, port = text.partition(":")
        if not _HOST.match(host):
            raise ParseError("host", 0, "no host name or address")
    if not colon:
        return host, 0
    if not _PORT.match(port) or not 0 < int(port) < 65_536:
        raise ParseError("port", len(host) + 1, "no port number")
    return host, int(port)


def _params(tail: str) -> dict[str, str]:
    params: dict[str, str] = {}
    if tail:
        for part in tail.split(";"):
            name, _, value = part.partition("=")
            if name:
                params.setdefault((unescape(name) if "%" in name else name).lower(), value)
    return params


def write_uri(uri: Uri) -> str:
    """The URI as text; `parse_uri` gives the same parts back (RFC 3261 section 19.1.1)."""
    text = f"{uri.scheme}:"
    if uri.host:
        text += f"{uri.user}@{uri.host}" if uri.user else uri.host
    else:
        text += uri.user
    if uri.port:
        text += f":{uri.port}"
    for name, value in uri.params.items():
        name = escape(name, _NOT_PARAM)
        text += f";{name}={value}" if value else f";{name}"
    return f"{text}?{uri.headers}" if uri.headers else text


def sip_uri(
    host: str, user: str = "", port: int = 0, params: dict[str, str] | None = None, *, secure: bool = False
) -> Uri:
    """A SIP URI of unescaped parts, `host` without brackets; LocalError when there is no such host (RFC 3261 section
    19.1.1)."""
    if _is_ipv6(host):
        host = f"[{host}]"
    elif not _HOST.match(host):
        raise LocalError(f"{host!r} is no host")
    if not 0 <= port < 65_536:
        raise LocalError(f"{port} is no port")
    escaped = {name.lower(): escape(value, _NOT_PARAM) for name, value in (params or {}).items()}
    return Uri("sips" if secure else "sip", escape(user, _NOT_USER), host, port, escaped, "")


def user_and_password(uri: Uri) -> tuple[str, str]:
    """User and password unescaped, each empty when not written (RFC 3261 section 19.1.1)."""
    user, _, password = uri.user.partition(":")
    return unescape(user), unescape(password)


def uri_headers(uri: Uri) -> list[tuple[str, str]]:
    """Names and values, unescaped, that a URI asks for in the request to it (RFC 3261 section 19.1.1)."""
    if not uri.headers:
        return []
    pairs = [part.partition("=") for part in uri.headers.split("&") if part]
    return [(unescape(name), unescape(value)) for name, _, value in pairs]


def header_text(headers: Iterable[tuple[str, str]]) -> str:
    """Names and values as the `headers` of a URI (RFC 3261 section 19.1.1)."""
    return "&".join([f"{escape(name, _NOT_HEADER)}={escape(value, _NOT_HEADER)}" for name, value in headers])


def escape(text: str, reserved: re.Pattern[str] = _NOT_PASSWORD) -> str:
    """`text` with every character that `reserved` finds as %HH of its UTF-8 bytes (RFC 3261 section 19.1.2)."""
    return reserved.sub(_percent, text)


def _percent(found: re.Match[str]) -> str:
    return "".join([f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogateescape")])


def unescape(text: str) -> str:
    """`text` with each %HH replaced by its character, read as UTF-8 where it is (RFC 3261 section 19.1.2)."""
    if "%" not in text:
        return text
    raw = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text.encode("utf-8", "surrogateescape").decode("latin-1"))
    return raw.encode("latin-1").decode("utf-8", "surrogateescape")


def _is_ipv6(text: str) -> bool:
    if len(text) > 45 or "%" in text:
        return False
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def address_of(uri: Uri) -> Address | None:
    """Where a datagram for `uri` goes when its host is an IP literal, else None; port 5060 unless written
    (RFC 3263)."""
    host = uri.host
    if host[:1] == "[":
        return host[1:-1], uri.port or 5060
    if _IPV4.match(host):
        return host, uri.port or 5060
    return None


def format_address(address: Address) -> str:
    """`host:port`, a v6 literal in brackets (RFC 3261 section 25.1)."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_ip(host: str) -> bool:
    """Whether `host` (v6 without brackets) is an IP literal (ours)."""
    return _IPV4.match(host) is not None or _is_ipv6(host)
