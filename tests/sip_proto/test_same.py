import pytest

from sip_proto import ParseError, parse_uri
from sip_proto.same import same_host, same_uri, telephone


def same(one: str, other: str) -> bool:
    forth = same_uri(parse_uri(one), parse_uri(other))
    assert same_uri(parse_uri(other), parse_uri(one)) == forth
    return forth


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sip:%62ob@example.org;transport=TCP", "sip:bob@EXAMPLE.org;Transport=tcp"),
        ("sip:bob@example.org", "sip:bob@example.org;fresh=5"),
        ("sip:bob@example.org;a=1", "sip:bob@example.org;b=2"),
        ("sip:h;transport=tcp;method=REGISTER?to=sip:b%40h", "sip:h;method=REGISTER;transport=tcp?to=sip:b%40h"),
        ("sip:b@h?Subject=x%20y&priority=urgent", "sip:b@h?priority=urgent&subject=x%20y"),
        ("sip:b@[2001:DB8:0::1]", "sip:b@[2001:db8::1]"),
        ("sip:a%3bb%2Fc@h", "sip:%61%3Bb%2fc@h"),
        ("sip:%c3%A9:%70w@h", "sip:\u00e9:pw@h"),
        ("sip:a@h;x=%2f%41", "sip:a@h;x=%2Fa"),
        ("sip:a@h;method=%49NVITE", "sip:a@h;method=INVITE"),
        ("tel:+1-201-555-0123", "tel:+1(201)5550123"),
        ("tel:7042;phone-context=Example.COM", "tel:70-42;phone-context=example.com"),
        ("tel:7042;phone-context=+1-201;ext=1-2", "tel:7042;ext=12;phone-context=+1201"),
        ("urn:service:sos", "URN:service:sos"),
    ],
)
def test_the_same_in_other_words(one: str, other: str) -> None:
    assert same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sip:b@h", "sips:b@h"),
        ("sip:B@h", "sip:b@h"),
        ("sip:b@h", "sip:h"),
        ("sip:b:pw@h", "sip:b@h"),
        ("sip:b:p@h", "sip:b%3Ap@h"),
        *((f"sip:a{char}b@h", f"sip:a%{ord(char):02X}b@h") for char in ";/?:&=+$,"),
        ("sip:a:p%40w@h", "sip:a%3Ap%40w@h"),
        ("sip:%2541@h", "sip:A@h"),
        ("sip:%253B@h", "sip:%3B@h"),
        ("sip:a@h;x=a/b", "sip:a@h;x=a%2Fb"),
        ("sip:a@h;method=INVITE", "sip:a@h;method=invite"),
        ("sip:b@h", "sip:b@h:5060"),
        ("sip:b@h", "sip:b@h;transport=udp"),
        ("sip:b@h;transport=udp", "sip:b@h;transport=tcp"),
        ("sip:b@h;user=phone", "sip:b@h"),
        ("sip:b@h;ttl=1", "sip:b@h"),
        ("sip:b@h;method=INVITE", "sip:b@h"),
        ("sip:b@h;maddr=192.0.2.1", "sip:b@h"),
        ("sip:b@h;security=on", "sip:b@h;security=off"),
        ("sip:b@h", "sip:b@h?Subject=next%20meeting"),
        ("sip:b@h?a=1", "sip:b@h?a=2"),
        ("sip:b@phone.example.org", "sip:b@192.0.2.4"),
        ("sip:b@[::1]", "sip:b@[::2]"),
        ("sip:b@[::1]", "sip:b@h"),
        ("tel:+1201", "tel:1201;phone-context=x"),
        ("tel:+1201;ext=1", "tel:+1201"),
        ("urn:a", "urn:b"),
    ],
)
def test_what_only_looks_alike(one: str, other: str) -> None:
    assert not same(one, other)


def test_hosts_are_names_without_case_and_addresses_by_value() -> None:
    assert same_host("Example.org.", "example.ORG")
    assert same_host("[::ffff:192.0.2.1]", "[::FFFF:c000:201]")


def test_telephone_numbers_lose_their_separators() -> None:
    number = telephone(parse_uri("tel:+1-201.555(0123);ext=7"))
    assert (number.number, number.is_global, number.params) == ("+12015550123", True, {"ext": "7"})
    local = telephone(parse_uri("tel:70a*#;phone-context=example.org"))
    assert (local.number, local.context, local.is_global) == ("70A*#", "example.org", False)
    in_sip = telephone(parse_uri("sip:+1-201;ext=5@gw.example.org;user=phone"))
    assert (in_sip.number, in_sip.params) == ("+1201", {"ext": "5"})
    assert telephone(parse_uri("sip:7001@h;user=Phone")).number == "7001"


@pytest.mark.parametrize("text", ["tel:", "tel:+", "tel:abcxyz;phone-context=a", "tel:7042", "sip:7042@h", "tel:+12a"])
def test_what_is_no_telephone_number_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        telephone(parse_uri(text))
