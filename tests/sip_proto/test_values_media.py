import pytest

from sip_proto import ParseError
from sip_proto.values_media import read_disposition, read_media_type, read_version


def test_media_types_and_ranges() -> None:
    sdp = read_media_type("Application / SDP ; level=1")
    assert (sdp.essence, sdp.params, sdp.q) == ("application/sdp", {"level": "1"}, 1000)
    mixed = read_media_type('multipart/mixed;boundary="a;b"')
    assert (mixed.param("boundary"), mixed.param("none")) == ("a;b", "")
    ranges = [read_media_type(text) for text in ("*/*;q=0.1", "application/*", "application/sdp", "text/plain")]
    assert [one.takes(sdp) for one in ranges] == [True, True, True, False]
    assert ranges[0].q == 100


def test_dispositions_must_be_understood_unless_they_say_otherwise() -> None:
    assert read_disposition("Session").required
    assert read_disposition("session;handling=REQUIRED").required
    assert not read_disposition("session ; handling=optional").required


def test_versions() -> None:
    assert read_version("1.0") == (1, 0)


def test_broken_values_are_parse_errors() -> None:
    for text in ("", "a", "a/", "/b", "a/b c"):
        with pytest.raises(ParseError):
            read_media_type(text)
    with pytest.raises(ParseError):
        read_disposition("a b")
    with pytest.raises(ParseError):
        read_version("1")
