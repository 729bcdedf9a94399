"""Readings of header values that hold addresses: Contact, routes, identities, information."""

from typing import NamedTuple

from sip_proto.errors import ParseError
from sip_proto.headers import NameAddr, parse_name_addr, parse_params, unquote
from sip_proto.uri import check_target, parse_uri

ANY = NameAddr("", "*", {})


class Info(NamedTuple):
    """A URI of any scheme with parameters: a picture, a ring tone, a card (RFC 3261 section 20.9)."""

    uri: str
    params: dict[str, str]


def read_address(text: str) -> NameAddr:
    """A name-addr or addr-spec whose URI can be read; ParseError (RFC 3261 section 20.10)."""
    address = parse_name_addr(text)
    parse_uri(address.uri)
    return address


def read_contact(text: str) -> NameAddr:
    """As `read_address`, or ANY for the `*` of a REGISTER; ParseError (RFC 3261 section 20.10)."""
    return ANY if text == "*" else read_address(text)


def read_route(text: str) -> NameAddr:
    """A name-addr, whose angle brackets must be there; ParseError (RFC 3261 section 20.34)."""
    if "<" not in text:
        raise ParseError("route", 0, "no angle brackets")
    return read_address(text)


def check_route(text: str) -> None:
    """ParseError unless `text` is a route that requests can take: a name-addr of a sip or sips URI (RFC 3261 section
    20.30)."""
    if "<" not in text:
        raise ParseError("route", 0, "no angle brackets")
    check_target(parse_name_addr(text).uri)


def read_info(text: str) -> Info:
    """A URI in angle brackets and parameters; ParseError (RFC 3261 section 20.9)."""
    address = read_route(text)
    if address.display:
        raise ParseError("info", 0, "a display name where none may be")
    return Info(address.uri, address.params)


def display_name(address: NameAddr) -> str:
    """The display name without quotes and escapes (RFC 3261 section 25.1)."""
    return unquote(address.display)


def read_entry(text: str) -> Info:
    """A bare URI or one in angle brackets with parameters; ParseError (RFC 7315 section 4)."""
    if "<" in text:
        return read_info(text)
    uri, _, tail = text.partition(";")
    parse_uri(uri.strip(" \t"))
    return Info(uri.strip(" \t"), parse_params(tail))
