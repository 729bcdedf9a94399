"""What is wrong with a request that could be parsed, as the status to answer."""

from collections.abc import Container
from typing import NamedTuple

from sip_proto.errors import ParseError
from sip_proto.headers import parse_number
from sip_proto.message import Request, Response
from sip_proto.uri import parse_uri

_SINGLE = ("From", "To", "Call-ID", "CSeq")


class Rejection(NamedTuple):
    """A status to answer, its reason phrase, and headers that the answer must have (RFC 3261 section
    21.4)."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()


def validate(request: Request, supported: Container[str] = ()) -> Rejection | None:
    """Why a request must be refused before anyone acts on it, or None; `supported` are option tags (RFC
    3261 section 8.2)."""
    if request.version != "SIP/2.0":
        return Rejection(505, "Version Not Supported")
    if request.fault is not None:
        return Rejection(*request.fault)
    names = request.names
    for name in _SINGLE:
        if names.count(name) != 1:
            return Rejection(400, f"{'Missing' if name not in names else 'More Than One'} {name}")
    method = request.method
    part = "Via"
    try:
        _ = request.via
        part = "From"
        _ = request.from_
        part = "To"
        _ = request.to
        part = "CSeq"
        _, cseq_method = request.cseq
        part = "Contact"
        # REGISTER's Contact list is the registrar's to judge.
        contact = request.contact if method != "REGISTER" else None
    except ParseError as error:
        return Rejection(400, f"Bad {part}: {error.text}")
    if cseq_method != method:
        return Rejection(400, "CSeq Method Differs")
    if not request.call_id:
        return Rejection(400, "Missing Call-ID")
    if method == "INVITE" and contact is None:
        return Rejection(400, "Missing Contact")
    if "Max-Forwards" in names and parse_number(request.get("Max-Forwards") or "", 255) is None:
        return Rejection(400, "Bad Max-Forwards")
    lengths = request.get_all("Content-Length") if names.count("Content-Length") > 1 else []
    if any(length != lengths[0] for length in lengths):
        return Rejection(400, "Conflicting Content-Length")
    rejection = _bad_uri(request.uri)
    if rejection is None and "Require" in names and method not in ("ACK", "CANCEL"):
        unknown = [tag for tag in request.elements("Require") if tag.lower() not in supported]
        if unknown:
            return Rejection(420, "Bad Extension", (("Unsupported", ", ".join(unknown)),))
    return rejection


def _bad_uri(text: str) -> Rejection | None:
    try:
        scheme = parse_uri(text).scheme
    except ParseError as error:
        return Rejection(400, f"Bad Request-URI: {error.text}")
    if scheme not in ("sip", "sips", "tel"):
        return Rejection(416, "Unsupported URI Scheme")
    return None


def response_fault(response: Response) -> str | None:
    """Why a response is dropped, or None; afterwards its typed headers cannot fail (RFC 3261 section
    8.1.3)."""
    if response.version != "SIP/2.0":
        return "version"
    if response.fault is not None:
        return response.fault[1]
    try:
        if not response.branch:
            return "no branch"
        _ = response.from_, response.to, response.cseq, response.call_id, response.contact
    except ParseError as error:
        return error.text
    # More than one Via: the response was meant for somebody behind us (RFC 3261 section 8.1.3.3).
    return "more than one Via" if response.names.count("Via") > 1 else None
