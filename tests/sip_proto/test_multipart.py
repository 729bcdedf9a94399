import pytest

from sip_proto import LocalError, ParseError
from sip_proto.multipart import Part, multipart_body, parse_multipart, parts_of
from tests.sip_proto.texts import request

BODY = (
    "preamble\r\n--b1\r\nContent-Type: text/plain\r\nX-A: one\r\n two\r\n\r\nhello\r\n"
    "--b1 \r\n\r\nbare\nbytes\x00\r\n--b1--\r\nepilogue"
)


def test_parts_are_cut_at_their_boundary_and_keep_their_bytes() -> None:
    first, second = parse_multipart(BODY.encode(), "b1")
    assert first == Part((("Content-Type", "text/plain"), ("X-A", "one two")), b"hello")
    assert second == Part((), b"bare\nbytes\x00")
    assert second.media_type().essence == "text/plain"
    assert second.disposition() is None
    assert first.get("CONTENT-type") == "text/plain"


def test_the_parts_of_a_message() -> None:
    kind = "Content-Type: multipart/mixed; boundary=\"b1\"\r\n"
    assert len(parts_of(request(body=BODY, more=kind))) == 2
    assert parts_of(request()) == []
    single = parts_of(request(body="v=0", more="Content-Type: application/sdp\r\nContent-Disposition: session\r\n"))
    assert [part.body for part in single] == [b"v=0"]
    assert single[0].media_type().essence == "application/sdp"
    disposition = single[0].disposition()
    assert disposition is not None
    assert disposition.kind == "session"
    assert parts_of(request(body="x"))[0].headers == ()


def test_parts_that_were_put_together_come_apart_again() -> None:
    parts = [Part((("Content-Type", "a/b"),), b"one\r\n--x"), Part((), b"\r\n\r\n"), Part((("X", "y"),), b"")]
    kind, body = multipart_body(parts)
    assert parse_multipart(body, kind.partition("boundary=")[2]) == parts
    assert multipart_body(parts) == (kind, body)


@pytest.mark.parametrize(
    ("body", "boundary"),
    [
        (b"", "b"),
        (b"--b\r\n\r\nx", "b"),
        (b"--b\r\nno colon\r\n\r\nx\r\n--b--", "b"),
        (b"--b\r\nA: b\nC: d\r\n\r\nx\r\n--b--", "b"),
        (b"--b\r\nA: b\rd\r\n\r\nx\r\n--b--", "b"),
        (b"--b\r\nA b: c\r\n\r\nx\r\n--b--", "b"),
        (b"--b\r\nA: b\r\n--b--", "b"),
        (b"--b junk\r\n\r\nx\r\n--b--", "b"),
        (b"--b\r\n\r\nx\r\n--b--", ""),
        (b"--b\r\n\r\nx\r\n--b--", "b" * 71),
        (b"--b\r\n\r\nx\r\n" * 100 + b"--b--", "b"),
        (b"--b\r\n" + b"A: b\r\n" * 100 + b"\r\nx\r\n--b--", "b"),
    ],
)
def test_broken_multiparts_are_parse_errors(body: bytes, boundary: str) -> None:
    with pytest.raises(ParseError):
        parse_multipart(body, boundary)


def test_what_cannot_be_put_together_is_the_callers_fault() -> None:
    with pytest.raises(LocalError):
        multipart_body([])
    with pytest.raises(LocalError):
        multipart_body([Part((("X", "a\r\nb"),), b"")])
