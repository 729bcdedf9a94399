"""What is wrong with a request that could be parsed, as the status to answer."""

from collections.abc import Collection, Container
from typing import NamedTuple

from sip_proto.errors import ParseError
from sip_proto.fields import ACCEPT, CONTENT_DISPOSITION, CONTENT_TYPE
from sip_proto.headers import parse_number
from sip_proto.limits import DEFAULT_LIMITS, Limits
from sip_proto.message import Message, Request, Response
from sip_proto.multipart import described
from sip_proto.uri import check_target, is_plain, parse_uri
from sip_proto.values_address import check_route
from sip_proto.values_media import read_media_type

# Requests after which a dialog goes on by their Contact and Record-Route.
_TARGETS = ("INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER")
_SINGLE = ("From", "To", "Call-ID", "CSeq")
# Methods that exist: one of these is not allowed (405), any other is not implemented (501).
_METHODS = (
    "INVITE",
    "BYE",
    "OPTIONS",
    "REGISTER",
    "PRACK",
    "UPDATE",
    "INFO",
    "SUBSCRIBE",
    "NOTIFY",
    "REFER",
    "MESSAGE",
    "PUBLISH",
)


class Rejection(NamedTuple):
    """A status to answer, its reason phrase, and headers that the answer must have (RFC 3261 section
    21.4)."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()


def validate(
    request: Request,
    supported: Container[str] = (),
    *,
    methods: Collection[str] = (),
    types: Collection[str] = (),
    encodings: Container[str] = ("identity",),
    answers: Collection[str] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> Rejection | None:
    """Why a request must be refused before anyone acts on it, or None (RFC 3261 section 8.2).

    `supported` are option tags. Where they are given: `methods` that are served, `types` of bodies that are read, alone
    or in a multipart, and `encodings` of them, `answers` the types of which the requester must accept one; all but
    methods in lower case.
    """
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
        via = request.via
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
    if (crowded := _too_many(request, limits)) is not None:
        return crowded
    if cseq_method != method:
        return Rejection(400, "CSeq Method Differs")
    if not request.call_id:
        return Rejection(400, "Missing Call-ID")
    # A peer of RFC 2543, known by its branch, may leave it out: its From is its address.
    if method == "INVITE" and contact is None and via.branch[:7].lower() == "z9hg4bk":
        return Rejection(400, "Missing Contact")
    if method in _TARGETS:
        astray = _astray(request, "From" if contact is None and method == "INVITE" else "Contact")
        if astray is not None:
            return Rejection(400, f"Bad {astray}")
    if "Max-Forwards" in names and parse_number(request.get("Max-Forwards") or "", 255) is None:
        return Rejection(400, "Bad Max-Forwards")
    lengths = request.get_all("Content-Length") if names.count("Content-Length") > 1 else []
    if any(length != lengths[0] for length in lengths):
        return Rejection(400, "Conflicting Content-Length")
    if methods and method not in methods and (rejection := _bad_method(method, methods)) is not None:
        return rejection
    rejection = _bad_uri(request.uri)
    if rejection is None and "Require" in names and method not in ("ACK", "CANCEL"):
        unknown = [tag for tag in request.elements("Require") if tag.lower() not in supported]
        if unknown:
            return Rejection(420, "Bad Extension", (("Unsupported", ", ".join(unknown)),))
    if rejection is None and method not in ("ACK", "CANCEL"):
        if types and request.body:
            rejection = _bad_body(request, types, encodings)
        if rejection is None and answers and "Accept" in names:
            rejection = _bad_accept(request, answers)
    return rejection


def _too_many(request: Request, limits: Limits) -> Rejection | None:
    # No Via and no route is shorter than eight characters: what is short need not be counted.
    for name, most in (("Via", limits.vias), ("Route", limits.routes), ("Record-Route", limits.routes)):
        rows = request.get_all(name) if name in request.names else ()
        if sum(map(len, rows)) > 8 * most and len(request.elements(name)) > most:
            return Rejection(400, f"More Than {most} {name}")
    return None


def _astray(message: Message, part: str) -> str | None:
    """What is wrong with the places that a dialog would go on to: they become ours to write (RFC 3261 section
    12.1)."""
    target = message.contact if part == "Contact" else message.from_
    try:
        if target is not None:
            check_target(target.uri)
        if "Record-Route" in message.names:
            part = "Record-Route"
            for route in message.elements("Record-Route"):
                check_route(route)
    except ParseError as error:
        return f"{part}: {error.text}"
    return None


def _bad_uri(text: str) -> Rejection | None:
    if is_plain(text):
        return None
    try:
        uri = parse_uri(text)
    except ParseError as error:
        return Rejection(400, f"Bad Request-URI: {error.text}")
    if uri.scheme not in ("sip", "sips", "tel"):
        return Rejection(416, "Unsupported URI Scheme")
    if uri.headers:
        # They would become headers of the request if it were sent on (RFC 3261 section 19.1.1).
        return Rejection(400, "Bad Request-URI: headers in it")
    return None


def _bad_method(method: str, methods: Collection[str]) -> Rejection | None:
    if method in ("ACK", "CANCEL"):
        return None
    if method in _METHODS:
        return Rejection(405, "Method Not Allowed", (("Allow", ", ".join(methods)),))
    return Rejection(501, "Not Implemented", (("Allow", ", ".join(methods)),))


def _bad_body(request: Request, types: Collection[str], encodings: Container[str]) -> Rejection | None:
    try:
        disposition = request.one(CONTENT_DISPOSITION)
        if disposition is not None and not disposition.required:
            return None
        kind = request.one(CONTENT_TYPE)
    except ParseError as error:
        return Rejection(400, f"Bad Content-Type: {error.text}")
    if kind is None or (kind.kind != "multipart" and kind.essence not in types):
        return Rejection(415, "Unsupported Media Type", (("Accept", ", ".join(types)),))
    if "Content-Encoding" in request.names and any(
        coding.lower() not in encodings for coding in request.elements("Content-Encoding")
    ):
        return Rejection(415, "Unsupported Media Type", (("Accept-Encoding", "identity"),))
    if kind.kind == "multipart" and kind.essence not in types:
        try:
            if described(kind, request.body, types, encodings) is None:
                return Rejection(415, "Unsupported Media Type", (("Accept", ", ".join(types)),))
        except ParseError as error:
            return Rejection(400, f"Bad Body: {error.text}")
    return None


def _bad_accept(request: Request, answers: Collection[str]) -> Rejection | None:
    try:
        ranges = request.all(ACCEPT)
        offers = [read_media_type(answer) for answer in answers]
    except ParseError as error:
        return Rejection(400, f"Bad Accept: {error.text}")
    # An Accept with nothing in it takes nothing (RFC 3261 section 20.1).
    if any(one.q and one.takes(offer) for one in ranges for offer in offers):
        return None
    return Rejection(406, "Not Acceptable")


def response_fault(response: Response) -> str | None:
    """Why a response is dropped, or None; afterwards its typed headers cannot fail, but for the Contact of a 300 to 699
    (RFC 3261 section 8.1.3)."""
    if response.version != "SIP/2.0":
        return "version"
    if response.fault is not None:
        return response.fault[1]
    try:
        if not response.branch:
            return "no branch"
        _ = response.from_, response.to, response.cseq, response.call_id
        # Any refusal of an INVITE wants its ACK, whatever else is wrong with it.
        if response.status < 300:
            _ = response.contact
            if response.status > 100 and response.cseq[1] in _TARGETS:
                astray = _astray(response, "Contact")
                if astray is not None:
                    return astray
    except ParseError as error:
        return error.text
    # More than one Via: the response was meant for somebody behind us (RFC 3261 section 8.1.3.3).
    return "more than one Via" if response.names.count("Via") > 1 else None
