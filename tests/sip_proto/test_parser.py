import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sip_proto import Limits, ParseError, Request, Response, parse, validate
from sip_proto.validate import response_fault
from tests.sip_proto.texts import as_request, request_bytes


def test_compact_folded_and_oddly_spaced_headers_are_read() -> None:
    message = as_request(
        b"\r\n\r\nOPTIONS sip:b@h SIP/2.0\r\nv : SIP/2.0/UDP h;branch=z9hG4bK1\r\n"
        b"SUBJECT: one\r\n  two\r\n\tthree\r\n"
        b"l: 2\r\n\r\nokignored"
    )
    assert message.get("Via") == "SIP/2.0/UDP h;branch=z9hG4bK1"
    assert message.get("Subject") == "one two three"
    assert message.body == b"ok"
    assert message.fault is None


def test_bare_line_feeds_and_a_missing_empty_line_are_forgiven() -> None:
    assert as_request(b"OPTIONS sip:b@h SIP/2.0\nFrom: x\n\nbody").body == b"body"
    assert as_request(b"OPTIONS sip:b@h SIP/2.0\r\nFrom: x\r\n").get("From") == "x"


def test_unknown_names_values_and_bytes_survive() -> None:
    data = b"FOO sip:b@h SIP/2.0\r\nX-oDD: \xff ;a=\x01\t\"q\r\nvIA: x\r\n\r\n\x00\r\nbody"
    message = as_request(data)
    assert message.names == ["X-oDD", "Via"]
    assert message.to_bytes() == data.replace(b"vIA", b"Via")


def test_a_bare_line_end_inside_a_header_is_a_fault() -> None:
    message = as_request(b"OPTIONS sip:b@h SIP/2.0\r\nX: a\nFrom: x\r\n\r\n")
    assert message.fault == (400, "bare CR or LF in the header")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"OPTIONS sip:b@h SIP/2.0\r\nno colon\r\n\r\n", 400),
        (b"OPTIONS sip:b@h SIP/2.0\r\nSubject\r\n\r\n", 400),
        (b"OPTIONS sip:b@h SIP/2.0\r\nb ad: x\r\n\r\n", 400),
        (b"OPTIONS sip:b@h SIP/2.0\r\nContent-Length: 5\r\n\r\nfour", 400),
        (b"OPTIONS sip:b@h SIP/2.0\r\nContent-Length: -5\r\n\r\nfour", 400),
        (b"OPTIONS  sip:b@h SIP/2.0 \r\n\r\n", 400),
        (b"OPTIONS sip:%s SIP/2.0\r\n\r\n" % (b"b" * 600), 414),
        (b"%s sip:h SIP/2.0\r\n\r\n" % (b"B" * 40), 501),
        (b"OPTIONS sip:b@h SIP/2.0\r\nX: %s\r\n\r\n" % (b"x" * 5000), 400),
        (b"OPTIONS sip:b@h SIP/2.0\r\n" + b"X: y\r\n" * 200 + b"\r\n", 400),
    ],
)
def test_what_is_broken_but_answerable_is_a_fault(data: bytes, status: int) -> None:
    fault = parse(data).fault
    assert fault is not None
    assert fault[0] == status


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "empty"),
        (b"\r\n\r\n", "empty"),
        (b"x" * 70_000, "too long"),
        (b"GET / HTTP/1.1\r\n\r\n", "start line"),
        (b"SIP/2.0 4294967301 x\r\n\r\n", "start line"),
        (b"SIP/2.0 20 x\r\n\r\n", "start line"),
        (b"INV(TE sip:h SIP/2.0\r\n\r\n", "start line"),
        (b"OPTIONS\r\n\r\n", "start line"),
        (b"OPTIONS sip:h SIP/2.0\r\nFrom: cut", "incomplete"),
        (b"OPTIONS sip:h SIP/2.0\r\n" + b"X: yyyyyyyyyy\r\n" * 2000 + b"\r\n", "head too long"),
        (b"OPTIONS sip:" + b"h" * 5000 + b" SIP/2.0\r\n\r\n", "start line"),
    ],
)
def test_what_cannot_be_answered_is_a_parse_error(data: bytes, kind: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(data)
    assert caught.value.kind == kind


def test_a_status_line_may_lack_its_reason() -> None:
    response = parse(b"SIP/2.0 100 \r\n\r\n")
    assert isinstance(response, Response)
    assert (response.status, response.reason) == (100, "")


@given(st.binary(max_size=300))
@example(b"SIP/2.0 200\r\n\r\n")
def test_any_bytes_give_a_message_or_a_parse_error(data: bytes) -> None:
    for candidate in (data, request_bytes(more="X: ").replace(b"X: ", b"X: " + data)):
        try:
            message = parse(candidate)
        except ParseError:
            continue
        if isinstance(message, Request):
            validate(message)
        else:
            response_fault(message)
        if message.fault is None:
            assert parse(message.to_bytes()).to_bytes() == message.to_bytes()


LINES = (
    *("Via: SIP/2.0/UDP h", "v: SIP/2.0/UDP i", "Subject: a: b", "Subject:", "X-Own: 1 "),
    *("X: \t2", " folded: 3", "no colon"),
)
ENDS = ("\r\n", "\r\n\r\n", "\n", "\r")


@given(st.lists(st.sampled_from(LINES), max_size=5), st.sampled_from(ENDS), st.integers(0, 9))
@example(["Subject: a"], "\r\n\r\n", 4)
@example([f"{'N' * 40}: 1"], "\r\n", 4)
@example([f"X: {'y' * 4_100}"], "\r\n", 4)
@example(["X: 1"] * 129, "\r\n", 4)
@example(["X(: 1"], "\r\n", 4)
def test_a_plain_message_reads_as_the_same_one_behind_a_line_end(lines: list[str], end: str, length: int) -> None:
    for start in ("OPTIONS sip:h SIP/2.0", "SIP/2.0 200 OK", "sip/2.0 200 OK", "OPTIONS  sip:h SIP/2.0", "OPTIONS"):
        data = "\r\n".join((start, f"Content-Length: {length}", *lines, "X: 1")).encode() + end.encode() + b"body"
        read: list[object] = []
        for candidate in (data, b"\r\n" + data):
            try:
                message = parse(candidate)
            except ParseError as error:
                read.append((error.kind, None))
            else:
                read.append((message.start_line(), message.names, message.values, message.body, message.fault))
        assert read[0] == read[1]


def test_small_limits_hold() -> None:
    with pytest.raises(ParseError):
        parse(request_bytes(), Limits(message=100))
