import pytest

from sip_proto import ParseError, parse_uri
from sip_proto.uri import address_of, format_address, is_ip, unescape


def test_a_uri_is_cut_into_its_parts() -> None:
    uri = parse_uri("sips:al;day=tue%20x?y:pw@[2001:db8::1]:5070;LR;transport=UDP?subject=x&a=b")
    assert uri.scheme == "sips"
    assert uri.user == "al;day=tue%20x?y:pw"
    assert (uri.host, uri.port) == ("[2001:db8::1]", 5070)
    assert uri.params == {"lr": "", "transport": "UDP"}
    assert uri.headers == "subject=x&a=b"
    assert address_of(uri) == ("2001:db8::1", 5070)


def test_other_schemes_are_taken_whole_and_tel_without_host() -> None:
    assert parse_uri("http://x")[:4] == ("http", "//x", "", 0)
    tel = parse_uri("tel:+1-201;phone-context=x")
    assert (tel.scheme, tel.user, tel.params) == ("tel", "+1-201", {"phone-context": "x"})
    assert address_of(tel) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bob",
        "1:x",
        "sip:",
        "sip:bob@",
        "sip:bob@h:",
        "sip:bob@h:0",
        "sip:bob@h:65536",
        "sip:bob@h:5a",
        "sip:b%4@h",
        "sip:b ob@h",
        "<sip:b@h>",
        "sip:b@[1::2",
        "sip:b@[x]",
        "sip:b@[::1]5060",
        "sip:b@[fe80::1%1]",
        "sip:b@h:999999",
        "sip:b@h\u0661",
    ],
)
def test_what_is_no_uri_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        parse_uri(text)


def test_only_ip_literals_have_an_address() -> None:
    assert address_of(parse_uri("sip:192.0.2.1")) == ("192.0.2.1", 5060)
    assert address_of(parse_uri("sip:a@example.org:5070")) is None
    assert address_of(parse_uri("sip:a@256.0.2.1")) is None
    assert is_ip("::1")
    assert not is_ip("1.2.3")
    assert not is_ip("1" * 60)


def test_addresses_are_written_with_brackets_where_needed() -> None:
    assert format_address(("192.0.2.1", 5060)) == "192.0.2.1:5060"
    assert format_address(("::1", 5060)) == "[::1]:5060"


def test_escapes_are_read_as_utf8_where_they_are() -> None:
    assert unescape("a%20b") == "a b"
    assert unescape("%C3%A4") == "ä"
    assert unescape("plain") == "plain"
    assert unescape("%FF").encode("utf-8", "surrogateescape") == b"\xff"
