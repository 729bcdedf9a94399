"""Whether two URIs, hosts or telephone numbers are the same (RFC 3261 section 19.1.4, RFC 3966 section 5)."""

import re
from ipaddress import IPv6Address
from typing import NamedTuple

from sip_proto.errors import ParseError
from sip_proto.uri import Uri, parse_uri, unescape, uri_headers

# Present in one only, these make two URIs different whatever they say.
_DECISIVE = ("user", "ttl", "method", "maddr", "transport")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
# These are not what their escapes are; nor is the sign of an escape.
_RESERVED = ";/?:@&=+$,%"
_SEPARATORS = str.maketrans("", "", "-.() ")
_GLOBAL = re.compile(r"\+[0-9]{1,32}\Z")
_LOCAL = re.compile(r"[0-9A-Fa-f*#]{1,32}\Z")


class Telephone(NamedTuple):
    """A number without visual separators: `+` and digits, or local digits with the `context` that they are local to
    (RFC 3966 section 3)."""

    number: str
    context: str
    params: dict[str, str]

    @property
    def is_global(self) -> bool:
        return self.number[:1] == "+"


def telephone(uri: Uri) -> Telephone:
    """The number of a tel URI or of a SIP URI with `user=phone`; ParseError (RFC 3966 section 3, RFC 3261 section
    19.1.6)."""
    if uri.scheme == "tel":
        text, params = uri.user, uri.params
    elif uri.params.get("user", "").lower() == "phone":
        text, _, tail = unescape(uri.user.partition(":")[0]).partition(";")
        params = parse_uri(f"tel:{text};{tail}").params if tail else {}
    else:
        raise ParseError("tel", 0, "no telephone number")
    number = text.translate(_SEPARATORS)
    if _GLOBAL.match(number):
        return Telephone(number, "", params)
    if not _LOCAL.match(number):
        raise ParseError("tel", 0, "no telephone number")
    if uri.scheme == "tel" and not params.get("phone-context"):
        raise ParseError("tel", len(text), "a local number without phone-context")
    return Telephone(number.upper(), params.get("phone-context", ""), params)


def same_uri(one: Uri, other: Uri) -> bool:
    """Whether two URIs are the same; not transitive, as parameters in one only are ignored (RFC 3261 section
    19.1.4, RFC 3966 section 5, RFC 5954)."""
    if one.scheme != other.scheme:
        return False
    if one.scheme == "tel":
        return _same_telephone(one, other)
    if one.scheme not in ("sip", "sips"):
        return one.user == other.user
    if one.port != other.port or not same_host(one.host, other.host):
        return False
    if one.user != other.user and _plain(one.user) != _plain(other.user):
        return False
    for name in _DECISIVE:
        if (name in one.params) != (name in other.params):
            return False
    for name, value in one.params.items():
        theirs = other.params.get(name)
        if theirs is None or value == theirs:
            continue
        value, theirs = _plain(value), _plain(theirs)
        # A method's name is the only one with case.
        if value != theirs and (name == "method" or value.lower() != theirs.lower()):
            return False
    return one.headers == other.headers or _headers(one) == _headers(other)


def same_host(one: str, other: str) -> bool:
    """Whether two hosts, v6 in brackets, are the same name or address (RFC 3261 section 19.1.4, RFC 5954 section
    4.2)."""
    if one[:1] == "[" == other[:1]:
        return IPv6Address(one[1:-1]) == IPv6Address(other[1:-1])
    return one.lower().removesuffix(".") == other.lower().removesuffix(".")


def _plain(text: str) -> str:
    """With every escape undone that means the same, the others in upper case (RFC 3261 section 19.1.4)."""
    if "%" not in text:
        return text
    raw = text.encode("utf-8", "surrogateescape").decode("latin-1")
    return _ESCAPE.sub(_undone, raw).encode("latin-1").decode("utf-8", "surrogateescape")


def _undone(found: re.Match[str]) -> str:
    char = chr(int(found[1], 16))
    return found[0].upper() if char in _RESERVED else char


def _headers(uri: Uri) -> list[tuple[str, str]]:
    return sorted([(name.lower(), value) for name, value in uri_headers(uri)])


def _same_telephone(one: Uri, other: Uri) -> bool:
    ours = {name: _param(name, value) for name, value in one.params.items()}
    theirs = {name: _param(name, value) for name, value in other.params.items()}
    return ours == theirs and _number(one.user) == _number(other.user)


def _param(name: str, value: str) -> str:
    value = unescape(value).lower()
    if name == "ext" or (name == "phone-context" and value[:1] == "+"):
        return value.translate(_SEPARATORS)
    return value


def _number(text: str) -> str:
    return text.translate(_SEPARATORS).lower()
