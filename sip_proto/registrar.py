"""What a REGISTER asks for: bindings with their expiry and path (RFC 3261 section 10.3, RFC 3327)."""

import re
from typing import NamedTuple

from sip_proto.errors import ParseError
from sip_proto.headers import parse_name_addr, parse_number
from sip_proto.limits import DEFAULT_LIMITS, Limits
from sip_proto.message import Request
from sip_proto.uri import check_target
from sip_proto.validate import Rejection
from sip_proto.values_address import check_route

_Q = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\Z")


# What a lifetime means that is no number (RFC 3261 section 20.10).
_BROKEN_S = 3600


class Binding(NamedTuple):
    """One contact: URI text (`*` is every one, with 0 seconds), seconds to live (0 removes it), path,
    preference in 1/1000."""

    uri: str
    expires_s: int
    path: tuple[str, ...]
    q: int = 1000


def contacts(
    request: Request,
    *,
    default_s: int = 3600,
    least_s: int = 60,
    most_s: int = 7200,
    limits: Limits = DEFAULT_LIMITS,
) -> list[Binding] | Rejection:
    """The bindings that a REGISTER adds, renews or removes; none is a query; else what to answer (RFC 3261
    section 10.3).

    A time above `most_s` is cut to it; one below `least_s` that is not 0 is refused with 423; a contact or path that is
    no sip or sips URI with 400.
    """
    values = request.elements("Contact")
    general = _seconds(request.get("Expires"), default_s)
    if len(values) > limits.contacts:
        return Rejection(400, f"More Than {limits.contacts} Contacts")
    if "*" in values:
        if len(values) > 1 or request.get("Expires") is None or general != 0:
            return Rejection(400, "Contact * Wants Expires 0 And No Other Contact")
        return [Binding("*", 0, ())]
    path = tuple(request.elements("Path"))
    try:
        for hop in path:
            check_route(hop)
    except ParseError as error:
        return Rejection(400, f"Bad Path: {error.text}")
    bindings: list[Binding] = []
    for value in values:
        try:
            contact = parse_name_addr(value)
            # What no request can be sent to can be bound, but never rung.
            check_target(contact.uri)
        except ParseError as error:
            return Rejection(400, f"Bad Contact: {error.text}")
        if len(contact.uri) > limits.uri:
            return Rejection(400, "Contact Too Long")
        expires = contact.params.get("expires")
        expires_s = general if expires is None else _seconds(expires, _BROKEN_S)
        if 0 < expires_s < least_s:
            return Rejection(423, "Interval Too Brief", (("Min-Expires", str(least_s)),))
        bindings.append(Binding(contact.uri, min(expires_s, most_s), path, _preference(contact.params.get("q"))))
    return bindings


def contact_value(binding: Binding) -> str:
    """The Contact value that tells a phone of its binding (RFC 3261 section 10.3 step 8)."""
    liked = "" if binding.q == 1000 else f";q=0.{binding.q:03}"
    return f"<{binding.uri}>;expires={binding.expires_s}{liked}"


def _seconds(text: str | None, default_s: int) -> int:
    # An Expires that is no number counts as not written (ours).
    number = parse_number(text) if text is not None else None
    return default_s if number is None else number


def _preference(text: str | None) -> int:
    if text is None or not _Q.match(text):
        return 1000
    whole, _, part = text.partition(".")
    return int(whole) * 1000 + int(part.ljust(3, "0"))
