"""Targets of `sip_proto`: message, uri, headers, sdp, framing, multipart, dialog-info, message-summary."""

from contextlib import suppress

from fuzz.target import Target
from sip_proto import Limits, ParseError, Request, parse, parse_name_addr, parse_sdp, parse_uri, parse_via, validate
from sip_proto.dialog_info import DialogPicture, parse_dialog_info
from sip_proto.fields import FIELDS
from sip_proto.framing import BrokenFraming, Frame, KeepAlive, StreamFramer
from sip_proto.headers import mark_via, split_quoted
from sip_proto.message import Message
from sip_proto.message_summary import parse_message_summary
from sip_proto.multipart import multipart_body, parse_multipart, parts_of
from sip_proto.registrar import contacts
from sip_proto.same import same_uri, telephone
from sip_proto.sdp import DIRECTIONS
from sip_proto.uri import address_of, uri_headers, user_and_password, write_uri
from sip_proto.validate import response_fault

# Long names may take the place of short ones: what was read within bounds may be written beyond them.
WIDE = Limits(
    message=1 << 24,
    head=1 << 24,
    headers=1 << 20,
    header=1 << 24,
    uri=1 << 24,
    document=1 << 24,
    document_entries=1 << 20,
)
NAMES = sorted(FIELDS)


def text_of(data: bytes) -> str:
    """Bytes as the parser makes text of them."""
    return data.decode("utf-8", "surrogateescape")


def parts(message: Message) -> tuple[object, ...]:
    """All that a message says."""
    start = (message.method, message.uri) if isinstance(message, Request) else message.start_line()
    return start, message.version, message.names, message.values, message.body


def check_message(data: bytes) -> None:
    try:
        message = parse(data)
    except ParseError:
        return
    if isinstance(message, Request):
        types = ("application/sdp",)
        rejection = validate(message, methods=("INVITE", "BYE"), types=types, answers=types)
        assert rejection is None or 400 <= rejection.status < 600
        if message.method == "REGISTER" and validate(message) is None:
            contacts(message)
    else:
        response_fault(message)
    for name in set(message.names):
        if name in FIELDS:
            with suppress(ParseError):
                message.all(FIELDS[name])
            with suppress(ParseError):
                message.one(FIELDS[name])
    with suppress(ParseError):
        parts_of(message)
    with suppress(ParseError):
        typed = (message.call_id, message.from_.tag, message.to.tag, *message.cseq, message.branch)
        assert message.keys() == typed
    # A line end before it makes the parser take its time: both ways of reading come to the same.
    slow = parse(b"\r\n" + data, Limits(message=1 << 17))
    assert (parts(slow), slow.fault) == (parts(message), message.fault)
    written = message.to_bytes()
    if message.fault is None:
        again = parse(written, WIDE)
        assert again.fault is None or again.fault[0] in (414, 501)
        assert parts(again) == parts(message)
        assert again.to_bytes() == written


def check_uri(data: bytes) -> None:
    text = text_of(data)
    with suppress(ParseError):
        address = parse_name_addr(text)
        again = parse_name_addr(address.bare())
        assert (again.uri, again.tag) == (address.uri, "")
    try:
        uri = parse_uri(text)
    except ParseError:
        return
    written = write_uri(uri)
    assert parse_uri(written) == uri
    assert write_uri(parse_uri(written)) == written
    assert same_uri(uri, uri)
    uri_headers(uri)
    user_and_password(uri)
    if uri.host:
        address_of(uri)
    with suppress(ParseError):
        assert telephone(uri).number


def check_headers(data: bytes) -> None:
    if not data:
        return
    field = FIELDS[NAMES[data[0] % len(NAMES)]]
    value = text_of(data[1:])
    for part in split_quoted(value, ",") if field.many else [value]:
        with suppress(ParseError):
            assert field.read(part) is not None
    with suppress(ParseError):
        via = parse_via(value)
        marked = mark_via(value, via, ("192.0.2.9", 4444))
        again = parse_via(marked)
        assert (again.host, again.port, again.branch) == (via.host, via.port, via.branch)


def check_sdp(data: bytes) -> None:
    try:
        sdp = parse_sdp(data)
    except ParseError:
        return
    written = sdp.to_bytes()
    assert parse_sdp(written).to_bytes() == written
    for direction in DIRECTIONS:
        turned = sdp.with_direction(direction)
        assert all(turned._own_direction(section) == direction for section in range(len(turned.sections)))
    # Asked one by one, a thousand sections would be read a thousand times; `streams` is for all of them.
    for section in range(-1, min(8, len(sdp.sections))):
        sdp.direction(max(section, 0))
        sdp.attributes("rtpmap", section)
    with suppress(ParseError):
        assert len(sdp.streams()) == len(sdp.sections)


def frames(data: bytes, size: int) -> list[Frame]:
    """What a framer makes of a stream that comes in chunks, without its keep-alive."""
    framer = StreamFramer()
    found: list[Frame] = []
    for start in range(0, len(data), size):
        found += framer.receive(data[start : start + size])
    return [frame for frame in found if not isinstance(frame, KeepAlive)]


def check_framing(data: bytes) -> None:
    if not data:
        return
    size, stream = data[0] + 1, data[1:]
    whole = frames(stream, len(stream) or 1)
    assert frames(stream, size) == whole
    for frame in whole:
        with suppress(ParseError):
            if isinstance(frame, BrokenFraming):
                parse(frame.head)
                continue
            assert isinstance(frame, bytes)
            message = parse(frame)
            # Where the framer cuts, the parser finds the end of the body, or something else to refuse.
            assert message.fault is None or "body shorter" not in message.fault[1]
            assert message.fault is not None or frame.endswith(message.body)


def check_multipart(data: bytes) -> None:
    try:
        found = parse_multipart(data, "b1")
    except ParseError:
        return
    for part in found:
        with suppress(ParseError):
            part.media_type()
        with suppress(ParseError):
            part.disposition()
    if found:
        kind, body = multipart_body(found)
        again = parse_multipart(body, kind.partition("boundary=")[2])
        assert again == found


def check_dialog_info(data: bytes) -> None:
    try:
        info = parse_dialog_info(data)
    except ParseError:
        return
    assert parse_dialog_info(info.to_bytes(), WIDE) == info
    DialogPicture().take(info)


def check_message_summary(data: bytes) -> None:
    try:
        summary = parse_message_summary(data)
    except ParseError:
        return
    assert parse_message_summary(summary.to_bytes(), WIDE) == summary


def read_headers(data: bytes) -> object:
    value = text_of(data[1:])
    with suppress(ParseError):
        parse_via(value)
    for name in NAMES:
        with suppress(ParseError):
            FIELDS[name].read(value)
    return split_quoted(value, ",")


def read_uri(data: bytes) -> object:
    text = text_of(data)
    with suppress(ParseError):
        parse_name_addr(text)
    uri = parse_uri(text)
    return write_uri(uri), same_uri(uri, uri)


def read_message(data: bytes) -> object:
    message = parse(data, WIDE)
    return message.to_bytes(), validate(message) if isinstance(message, Request) else response_fault(message)


MODULES = ("sip_proto.headers", "sip_proto.uri", "sip_proto.values", "sip_proto.values_address")
TARGETS = (
    Target(
        "message",
        ("sip_proto.parser", "sip_proto.message", "sip_proto.validate", *MODULES),
        check_message,
        read_message,
        (b"SIP/2.0", b"Via: ", b"\r\n ", b"\r\n\r\n", b"Content-Length: ", b"z9hG4bK", b"sip:", b"<sip:a@h>", b"l:"),
    ),
    Target(
        "uri", ("sip_proto.uri", "sip_proto.same"), check_uri, read_uri, (b"sip:", b"tel:+", b"[::1]", b";user=phone")
    ),
    Target(
        "headers",
        (*MODULES, "sip_proto.values_media", "sip_proto.values_event"),
        check_headers,
        read_headers,
        (b"SIP/2.0/UDP ", b";branch=", b"<sip:", b'"', b'\\"', b"Digest ", b";q=0.5", b" GMT", b"to-tag=", b", "),
    ),
    Target(
        "sdp",
        ("sip_proto.sdp",),
        check_sdp,
        parse_sdp,
        (b"v=0\r\n", b"m=audio ", b"a=rtpmap:", b"c=IN IP4 ", b"a=sendonly", b"RTP/AVP"),
    ),
    Target(
        "framing",
        ("sip_proto.framing",),
        check_framing,
        lambda data: StreamFramer(WIDE).receive(data),
        (b"\r\n\r\n", b"Content-Length: ", b"\r\nl:", b"Content-Type: ", b"BYE sip:h SIP/2.0\r\n"),
    ),
    Target(
        "multipart",
        ("sip_proto.multipart",),
        check_multipart,
        lambda data: parse_multipart(data, "b1"),
        (b"--b1\r\n", b"--b1--", b"\r\n\r\n", b"Content-Type: "),
    ),
    Target(
        "dialog-info",
        ("sip_proto.dialog_info",),
        check_dialog_info,
        lambda data: parse_dialog_info(data, WIDE),
        (b"<dialog-info ", b'<dialog id="1">', b"<state>early</state>", b"</dialog>", b"&amp;", b"<![CDATA[", b"<!--"),
    ),
    Target(
        "message-summary",
        ("sip_proto.message_summary",),
        check_message_summary,
        lambda data: parse_message_summary(data, WIDE),
        (b"Messages-Waiting: yes\r\n", b"Voice-Message: 1/2 (0/1)\r\n", b"\r\n\r\n", b": "),
    ),
)
