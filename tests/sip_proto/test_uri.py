import pytest

from sip_proto import LocalError, ParseError, parse_uri
from sip_proto.uri import (
    address_of,
    check_target,
    escape,
    format_address,
    header_text,
    is_ip,
    is_plain,
    sip_uri,
    unescape,
    uri_headers,
    user_and_password,
    write_uri,
)


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


def test_escaped_parameter_names_are_read_and_values_stay() -> None:
    assert parse_uri("sip:a@h;l%72;n%61me=v%41").params == {"lr": "", "name": "v%41"}


@pytest.mark.parametrize(
    "text",
    [
        "sip:h",
        "sips:a;x?y:pw@[2001:db8::1]:5070;lr;transport=tcp?subject=x&a=b",
        "tel:+1-201-555-0123;ext=7",
        "tel:110;phone-context=example.org",
        "urn:service:sos",
        "sip:a@h;p%3Bq=1",
    ],
)
def test_a_uri_is_written_as_it_was_read(text: str) -> None:
    assert write_uri(parse_uri(text)) == text


def test_a_uri_is_made_of_plain_parts() -> None:
    made = sip_uri("2001:db8::1", "a b@c:d", 5070, {"LR": "", "x": "1;2"})
    assert write_uri(made) == "sip:a%20b%40c%3Ad@[2001:db8::1]:5070;lr;x=1%3B2"
    assert user_and_password(made) == ("a b@c:d", "")
    assert write_uri(sip_uri("h", secure=True)) == "sips:h"
    for host, port in (("a b", 0), ("", 0), ("h", 65_536), ("h", -1)):
        with pytest.raises(LocalError):
            sip_uri(host, port=port)


def test_users_passwords_and_headers_are_unescaped() -> None:
    uri = parse_uri("sip:j%40s0n:p%3Aw@h?subject=a%20b&&Body=%26&empty")
    assert user_and_password(uri) == ("j@s0n", "p:w")
    assert uri_headers(uri) == [("subject", "a b"), ("Body", "&"), ("empty", "")]
    assert uri_headers(parse_uri("sip:h")) == []
    assert header_text([("subject", "a b"), ("Body", "&=\u00e4")]) == "subject=a%20b&Body=%26%3D%C3%A4"
    assert escape("a/b") == "a%2Fb"


@pytest.mark.parametrize(
    "text",
    [
        "sip:h",
        "sip:a@192.0.2.1:5060;transport=tcp;ob",
        "sips:a.b+c@lab.example.;x",
        "sip:a;b:pw@[2001:db8::1]:50610;x=%20",
        "SIP:a@h;;lr",
    ],
)
def test_a_dialog_goes_on_to_these(text: str) -> None:
    check_target(text)


@pytest.mark.parametrize(
    "text",
    ["", "sip:", "sip:a b@h", "sip:a@h:0", "sip:a@h:port", "tel:+1", "mailto:a@h", "sip:a@h?Route=x", "sip:a@h;x y"],
)
def test_a_dialog_does_not_go_on_to_these(text: str) -> None:
    assert not is_plain(text)
    with pytest.raises(ParseError):
        check_target(text)


@pytest.mark.parametrize("text", ["sip:h", "sip:a_b@h:5060;lr", "sips:a@h;transport=tls;x=1.5"])
def test_what_is_plain_can_be_read(text: str) -> None:
    assert is_plain(text)
    assert parse_uri(text).headers == ""
