import pytest

from sip_proto import LocalError, ParseError
from sip_proto.multipart import Part, description_of, multipart_body, parse_multipart, parts_of
from sip_proto.validate import validate
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


SDP = (("Content-Type", "application/sdp"),)
ISUP = (("Content-Type", "application/isup"), ("Content-Disposition", "signal;handling=optional"))
PLAIN = (("Content-Type", "text/plain"),)


def carried(*parts: tuple[tuple[tuple[str, str], ...], str], subtype: str = "mixed", outer: str = "") -> object:
    """What an INVITE with these parts is refused with, else the description in it."""
    kind, body = multipart_body([Part(headers, text.encode()) for headers, text in parts], subtype)
    if outer:
        kind, body = multipart_body([Part((("Content-Type", kind),), body)], outer)
    invite = request(more=f"Content-Type: {kind}\r\n", body=body.decode())
    rejection = validate(invite, types=("application/sdp",))
    if rejection is not None:
        return rejection.status
    return description_of(invite)


def test_a_description_is_found_among_parts() -> None:
    assert carried((SDP, "v=0")) == b"v=0"
    assert carried((ISUP, "x"), (SDP, "v=0"), (SDP, "v=1")) == b"v=0"
    assert carried(((*SDP, ("Content-Disposition", "session"), ("Content-Encoding", "Identity")), "v=0")) == b"v=0"
    assert carried((ISUP, "x")) == b""
    assert carried((SDP, "v=0"), subtype="related", outer="mixed") == b"v=0"


def test_of_alternatives_the_last_that_can_be_read_counts() -> None:
    assert carried((SDP, "v=0"), (SDP, "v=1"), (PLAIN, "x"), subtype="alternative") == b"v=1"
    assert carried((PLAIN, "x"), (SDP, "v=1"), subtype="alternative", outer="mixed") == b"v=1"
    assert carried((PLAIN, "x"), subtype="alternative") == 415


@pytest.mark.parametrize(
    "headers",
    [
        PLAIN,
        (*PLAIN, ("Content-Disposition", "render;handling=required")),
        (*SDP, ("Content-Disposition", "early-session")),
        (*SDP, ("Content-Encoding", "gzip")),
        (*SDP, ("Content-Transfer-Encoding", "base64")),
    ],
)
def test_a_part_that_must_be_understood_and_is_not_is_refused(headers: tuple[tuple[str, str], ...]) -> None:
    assert carried((SDP, "v=0"), (headers, "x")) == 415


def test_parts_in_parts_without_end_are_refused() -> None:
    kind, body = multipart_body([Part(SDP, b"v=0")])
    for _ in range(4):
        invite = request(more=f"Content-Type: {kind}\r\n", body=body.decode())
        assert validate(invite, types=("application/sdp",)) is None
        assert description_of(invite) == b"v=0"
        kind, body = multipart_body([Part((("Content-Type", kind),), body)])
    rejection = validate(request(more=f"Content-Type: {kind}\r\n", body=body.decode()), types=("application/sdp",))
    assert rejection is not None
    assert rejection.status == 415


def test_a_broken_multipart_is_refused_and_holds_no_description() -> None:
    for more in ("Content-Type: multipart/mixed\r\n", "Content-Type: multipart/mixed;boundary=x\r\n"):
        broken = request(more=more, body="v=0")
        rejection = validate(broken, types=("application/sdp",))
        assert rejection is not None
        assert rejection.status == 400
        assert description_of(broken) == b""


def test_a_body_that_nobody_must_understand_is_no_description() -> None:
    assert description_of(request()) == b""
    assert description_of(request(body="v=0")) == b"v=0"
    for more, found in (
        ("Content-Type: application/isup\r\nContent-Disposition: signal;handling=optional\r\n", b""),
        ("Content-Type: application/sdp\r\nContent-Disposition: session;handling=optional\r\n", b"v=0"),
        ("Content-Type: application/sdp\r\nContent-Disposition: session\r\n", b"v=0"),
        ("Content-Type: application/sdp\r\nContent-Disposition: ;\r\n", b""),
    ):
        assert description_of(request(body="v=0", more=more)) == found
