"""Messages that we send, as bytes; texts from the caller are checked for line ends, those from the wire
have none."""

from collections.abc import Sequence

import msgspec

from sip_proto.errors import LocalError, ParseError
from sip_proto.headers import Via, is_token, mark_via
from sip_proto.message import Request
from sip_proto.uri import Address, is_plain, parse_uri

Headers = Sequence[tuple[str, str]]

REASONS = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    421: "Extension Required",
    423: "Interval Too Brief",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    493: "Undecipherable",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
}


class RequestParts(msgspec.Struct, frozen=True):
    """What the ACK of a failure and a CANCEL repeat of their INVITE, as lines of text (RFC 3261 sections
    9.1, 17.1.1.3)."""

    uri: str
    via: str
    routes: str
    from_: str
    to: str
    call_id: str
    cseq: int


def check_texts(*texts: str) -> None:
    """LocalError when a text that goes into a header has a line end: it would be a header of its own
    (ours)."""
    for text in texts:
        if "\r" in text or "\n" in text:
            raise LocalError(f"a line end in the header text {text[:40]!r}")


def check_uri(text: str) -> None:
    """LocalError when `text` is no URI that a request can be sent to (ours)."""
    if not is_plain(text):
        try:
            parse_uri(text)
        except ParseError as error:
            raise LocalError(f"the URI {text[:40]!r}: {error.text}") from error


def check_method(text: str) -> None:
    """LocalError when `text` is no token (ours)."""
    if not is_token(text):
        raise LocalError(f"the method {text[:40]!r} is no token")


def header_lines(headers: Headers) -> str:
    """Pairs as header lines; LocalError for a line end in one, or a name that is no token (ours)."""
    lines = ""
    for name, value in headers:
        check_texts(value)
        if not is_token(name):
            raise LocalError(f"the header name {name[:40]!r} is no token")
        lines += f"{name}: {value}\r\n"
    return lines


def has_header(headers: Headers, name: str) -> bool:
    """Whether `headers` hold `name`, written in whatever case (ours)."""
    lower = name.lower()
    return any(key.lower() == lower for key, _ in headers)


def finish(head: str, extra: str, body: bytes, content_type: str) -> bytes:
    """Head lines, further lines and a body with its length, as bytes (RFC 3261 section 7.4)."""
    if body:
        text = f"{head}{extra}Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        return text.encode("utf-8", "surrogateescape") + body
    return f"{head}{extra}Content-Length: 0\r\n\r\n".encode("utf-8", "surrogateescape")


def request_bytes(
    method: str,
    parts: RequestParts,
    extra: str,
    body: bytes = b"",
    content_type: str = "",
    max_forwards: str = "70",
) -> bytes:
    """A request from its parts and further header lines (RFC 3261 section 8.1.1)."""
    head = (
        f"{method} {parts.uri} SIP/2.0\r\nVia: {parts.via}\r\n{parts.routes}Max-Forwards: {max_forwards}\r\n"
        f"From: {parts.from_}\r\nTo: {parts.to}\r\nCall-ID: {parts.call_id}\r\n"
        f"CSeq: {parts.cseq} {method}\r\n"
    )
    return finish(head, extra, body, content_type)


def failure_ack(parts: RequestParts, to: str) -> bytes:
    """The ACK for a 300 to 699 whose To is `to` (RFC 3261 section 17.1.1.3)."""
    return (
        f"ACK {parts.uri} SIP/2.0\r\nVia: {parts.via}\r\n{parts.routes}Max-Forwards: 70\r\n"
        f"From: {parts.from_}\r\nTo: {to}\r\nCall-ID: {parts.call_id}\r\nCSeq: {parts.cseq} ACK\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode("utf-8", "surrogateescape")


def cancel_bytes(parts: RequestParts, user_agent: str) -> bytes:
    """The CANCEL of an INVITE (RFC 3261 section 9.1)."""
    return request_bytes("CANCEL", parts, f"User-Agent: {user_agent}\r\n")


def readable_via(request: Request) -> Via | None:
    """The topmost Via of a request that may be broken, None when that is what is broken (ours)."""
    try:
        return request.via
    except ParseError:
        return None


def response_head(request: Request, source: Address) -> str:
    """The lines that every response repeats, but To: Via, From, Call-ID, CSeq (RFC 3261 section 8.2.6.2)."""
    lines = ""
    top = True
    via = readable_via(request)
    for name, value in zip(request.names, request.values, strict=True):
        if name == "Via":
            if top:
                top = False
                # A Via that cannot be read goes back as it came.
                if via is not None:
                    value = mark_via(value, via, source)
            lines += f"Via: {value}\r\n"
        elif name in ("From", "Call-ID", "CSeq"):
            lines += f"{name}: {value}\r\n"
    return lines


def response_bytes(
    status: int, reason: str, head: str, to: str, extra: str, body: bytes = b"", content_type: str = ""
) -> bytes:
    """A response from the lines of response_head(), the To value and further header lines (RFC 3261 section
    8.2.6)."""
    text = reason or REASONS.get(status, "Response")
    return finish(f"SIP/2.0 {status} {text}\r\n{head}To: {to}\r\n", extra, body, content_type)
