from collections.abc import Callable

import pytest

from sip_proto import ParseError
from sip_proto.values_address import (
    ANY,
    Info,
    display_name,
    read_address,
    read_contact,
    read_entry,
    read_info,
    read_route,
)


def test_contacts_are_addresses_or_any() -> None:
    assert read_contact("*") is ANY
    contact = read_contact('"B \\"x\\"" <sip:b@h>;expires=60;q=0.7')
    assert (contact.expires_s, contact.q, display_name(contact)) == (60, 700, 'B "x"')
    plain = read_contact("Bob <sip:b@h>;expires=soon")
    assert (plain.expires_s, plain.q, display_name(plain)) == (None, 1000, "Bob")


def test_routes_stand_in_brackets_and_information_has_no_name() -> None:
    assert read_route("<sip:p;lr>;x=1").params == {"x": "1"}
    assert read_info("<http://h/x>;purpose=icon") == Info("http://h/x", {"purpose": "icon"})
    assert read_entry("urn:a:b ; x=1") == Info("urn:a:b", {"x": "1"})
    assert read_entry("<urn:a:b>") == Info("urn:a:b", {})


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (read_address, "<sip:a@h:0>"),
        (read_contact, "**"),
        (read_route, "sip:p;lr"),
        (read_info, "Name <http://h>"),
        (read_entry, "nothing"),
    ],
)
def test_broken_addresses_are_parse_errors(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(ParseError):
        read(text)
