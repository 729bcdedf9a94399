import pytest

from sip_proto import ParseError, parse_name_addr, parse_via
from sip_proto.headers import (
    is_literal,
    is_token,
    mark_via,
    parse_auth,
    parse_cseq,
    parse_number,
    parse_params,
    quote,
    response_address,
    split_quoted,
    unquote,
)


def test_a_via_is_read_with_blanks_and_unknown_transports() -> None:
    via = parse_via("SIP / 2.0 / XYZ  host.example : 5070 ; branch = z9hG4bKx ;rport, SIP/2.0/UDP second")
    assert (via.transport, via.host, via.port) == ("XYZ", "host.example", 5070)
    assert via.branch == "z9hG4bKx"
    assert via.params["rport"] == ""
    assert via.sent_by == "host.example:5070"
    assert parse_via("SIP/2.0/UDP [::1]").sent_by == "[::1]"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIP/2.0/UDP",
        "SIP/3.0/UDP h",
        "HTTP/1.1 h",
        "SIP/2.0/UDP h:99999",
        "SIP/2.0/UDP [x]",
        "SIP/2.0/UDP h;;,;,,",
    ],
)
def test_what_is_no_via_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        parse_via(text)


@pytest.mark.parametrize(
    ("value", "marked", "to"),
    [
        ("SIP/2.0/UDP 192.0.2.7;branch=b", "SIP/2.0/UDP 192.0.2.7;branch=b", ("192.0.2.7", 5060)),
        (
            "SIP/2.0/UDP 10.0.0.1:5080;rport;branch=b",
            "SIP/2.0/UDP 10.0.0.1:5080;rport=4444;branch=b;received=192.0.2.7",
            ("192.0.2.7", 4444),
        ),
        (
            "SIP/2.0/UDP pc:5080;received=1.1.1.1;x, SIP/2.0/UDP p2",
            "SIP/2.0/UDP pc:5080;x;received=192.0.2.7, SIP/2.0/UDP p2",
            ("192.0.2.7", 5080),
        ),
    ],
)
def test_responses_go_where_the_request_came_from(value: str, marked: str, to: tuple[str, int]) -> None:
    source = ("192.0.2.7", 4444)
    via = parse_via(value)
    assert mark_via(value, via, source) == marked
    assert response_address(via, source) == to


def test_name_addrs_are_read_in_all_their_forms() -> None:
    plain = parse_name_addr("sip:a@h;tag=x")
    assert (plain.uri, plain.tag, plain.display) == ("sip:a@h", "x", "")
    full = parse_name_addr('"A \\" <B>; c" <sip:a@h;lr> ; Tag = y ;other; z=1')
    assert (full.uri, full.tag) == ("sip:a@h;lr", "y")
    assert full.bare() == '"A \\" <B>; c" <sip:a@h;lr>;other;z=1'
    assert parse_name_addr("Bob Smith <sip:a@h>").display == "Bob Smith"
    assert plain.bare() == "<sip:a@h>"
    assert parse_name_addr('<sip:a@h>;x="a;b"').params == {"x": '"a;b"'}


@pytest.mark.parametrize(
    "text",
    [
        "",
        '"open <sip:a@h>',
        '"a" b',
        "<sip:a@h",
        "<nothing>",
        "<sip:a@h> junk",
        "a@h",
        "sip:a@h,sip:b@h",
        "x y:z",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        parse_name_addr(text)


def test_cseq_is_a_number_below_two_to_the_31_and_a_method() -> None:
    assert parse_cseq("0009  INVITE") == (9, "INVITE")
    for text in ("", "x INVITE", "1", "2147483648 INVITE", "99999999999 X", "\u0661 INVITE", "1 IN VITE"):
        with pytest.raises(ParseError):
            parse_cseq(text)


def test_lists_are_cut_outside_quotes_and_brackets_only() -> None:
    assert split_quoted('"a,b" <sip:x,y@h>, c , d', ",") == ['"a,b" <sip:x,y@h>', "c", "d"]
    assert split_quoted("a, b", ",") == ["a", "b"]
    assert split_quoted('a, "open, b', ",") == ["a", '"open, b']
    assert split_quoted("<a", ",") == ["<a"]
    assert split_quoted("<a, b>", ",") == ["<a, b>"]


def test_parameters_keep_the_first_of_a_name() -> None:
    assert parse_params("") == {}
    assert parse_params(";a=1;A=2;;b") == {"a": "1", "b": ""}


def test_numbers_are_ascii_digits_within_bounds() -> None:
    assert parse_number(" 70 ") == 70
    assert [parse_number(text) for text in ("", "-1", "1.5", "\u0661", "4294967296", "9" * 400)] == [None] * 6
    assert parse_number("256", 255) is None


def test_quoting_is_undone_by_unquoting() -> None:
    assert unquote(quote('a"b\\c')) == 'a"b\\c'
    assert unquote("plain") == "plain"


def test_credentials_are_read_with_quotes_blanks_and_tokens() -> None:
    scheme, params = parse_auth('Digest realm="a \\"b, c", nonce=x ,qop="auth,auth-int", opaque=""')
    assert scheme == "digest"
    assert params == {"realm": 'a "b, c', "nonce": "x", "qop": "auth,auth-int", "opaque": ""}
    for text in ("Digest a", 'Digest a="b', "Digest a=1, a=2"):
        with pytest.raises(ParseError):
            parse_auth(text)


def test_small_questions() -> None:
    assert is_token("INVITE")
    assert not is_token("")
    assert is_literal("[::1]")
    assert not is_literal("h")


def test_an_open_quote_in_parameters_is_refused() -> None:
    assert parse_params(';a="x;\\"y" ;b="";c') == {"a": '"x;\\"y"', "b": '""', "c": ""}
    assert parse_params(';a="x";b=<c;d') == {"a": '"x"', "b": "<c", "d": ""}
    for text in (';a="', ';a="x\\"', ';a="x";"'):
        with pytest.raises(ParseError):
            parse_params(text)
