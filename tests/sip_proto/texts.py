"""Messages for tests, with short defaults."""

from sip_proto import Request, Response, parse


def request_bytes(
    method: str = "INVITE",
    uri: str = "sip:bob@192.0.2.2",
    *,
    branch: str = "z9hG4bK1",
    to: str = "<sip:bob@example.org>",
    from_: str = "<sip:alice@example.org>;tag=a1",
    call_id: str = "c1",
    cseq: str = "",
    more: str = "",
    body: str = "",
    contact: str = "Contact: <sip:alice@192.0.2.1>\r\n",
    via: str = "",
) -> bytes:
    via = via or f"SIP/2.0/UDP 192.0.2.1:5060;branch={branch};rport"
    return (
        f"{method} {uri} SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\nFrom: {from_}\r\n"
        f"To: {to}\r\nCall-ID: {call_id}\r\n"
        f"CSeq: {cseq or '1 ' + method}\r\n{contact}{more}Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def request(method: str = "INVITE", uri: str = "sip:bob@192.0.2.2", **more: str) -> Request:
    message = parse(request_bytes(method, uri, **more))
    assert isinstance(message, Request)
    return message


def response_to(data: bytes, status: int = 200, tag: str = "b1", more: str = "", body: str = "") -> bytes:
    """A peer's response to a request that was sent as `data`."""
    asked = parse(data)
    lines = [f"SIP/2.0 {status} Reason"]
    for name in ("Via", "From", "To", "Call-ID", "CSeq"):
        value = asked.get(name) or ""
        lines.append(f"{name}: {value}" + (f";tag={tag}" if name == "To" and tag and "tag=" not in value else ""))
    return ("\r\n".join(lines) + f"\r\n{more}Content-Length: {len(body)}\r\n\r\n{body}").encode()


def as_response(data: bytes) -> Response:
    message = parse(data)
    assert isinstance(message, Response)
    return message


def as_request(data: bytes) -> Request:
    message = parse(data)
    assert isinstance(message, Request)
    return message
