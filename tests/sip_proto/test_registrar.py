import pytest

from sip_proto import Binding, Rejection, contact_value, contacts
from tests.sip_proto.texts import request


def ask(contact: str, more: str = "", **limits: int) -> list[Binding] | Rejection:
    lines = f"Contact: {contact}\r\n" if contact else ""
    return contacts(request("REGISTER", "sip:example.org", contact=lines, more=more), **limits)  # type: ignore[arg-type]


def test_bindings_carry_expiry_path_and_preference() -> None:
    asked = ask(
        '"A, B" <sip:a@192.0.2.1:5062>;expires=120;q=0.5, <sip:b@h>;q=1.0',
        "Expires: 600\r\nPath: <sip:p1;lr>, <sip:p2;lr>\r\n",
    )
    path = ("<sip:p1;lr>", "<sip:p2;lr>")
    assert asked == [Binding("sip:a@192.0.2.1:5062", 120, path, 500), Binding("sip:b@h", 600, path, 1000)]
    assert contact_value(asked[0]) == "<sip:a@192.0.2.1:5062>;expires=120;q=0.500"
    assert contact_value(asked[1]) == "<sip:b@h>;expires=600"


def test_no_contact_is_a_query() -> None:
    assert ask("") == []


def test_zero_removes_and_long_times_are_cut() -> None:
    assert ask("<sip:a@h>;expires=0") == [Binding("sip:a@h", 0, ())]
    assert ask("<sip:a@h>;expires=999999") == [Binding("sip:a@h", 7200, ())]
    assert ask("<sip:a@h>;expires=x;q=7", "Expires: y\r\n") == [Binding("sip:a@h", 3600, ())]


def test_too_short_a_time_is_refused_with_the_least() -> None:
    assert ask("<sip:a@h>;expires=5") == Rejection(423, "Interval Too Brief", (("Min-Expires", "60"),))


def test_the_wildcard_stands_alone_and_with_expires_zero() -> None:
    assert ask("*", "Expires: 0\r\n") == [Binding("*", 0, ())]
    for contact, more in (("*", ""), ("*", "Expires: 5\r\n"), ("*, <sip:a@h>", "Expires: 0\r\n")):
        refused = ask(contact, more)
        assert isinstance(refused, Rejection)
        assert refused.status == 400


@pytest.mark.parametrize(
    "contact",
    [
        "<sip:a",
        "<sip:a b@h>",
        "<sip:" + "a" * 600 + "@h>",
        ", ".join(["<sip:a@h>"] * 17),
        "<mailto:a@h>",
        "<tel:+15550100>",
        "<sip:a@h>, <sip:b@h?Replaces=x>",
    ],
)
def test_broken_contacts_are_refused(contact: str) -> None:
    refused = ask(contact)
    assert isinstance(refused, Rejection)
    assert refused.status == 400


def test_a_lifetime_that_is_no_number_is_an_hour() -> None:
    for text in ("abc", "-1", "99999999999"):
        assert ask(f"<sip:a@h>;expires={text}", "Expires: 0\r\n") == [Binding("sip:a@h", 3600, ())]
    assert ask("<sip:a@h>", "Expires: abc\r\n", default_s=600) == [Binding("sip:a@h", 600, ())]


@pytest.mark.parametrize("path", ["garbage", "sip:p;lr", "<tel:+1>", "<sip:p;lr>, <sip:p q>"])
def test_a_path_that_no_request_can_take_is_refused(path: str) -> None:
    refused = ask("<sip:a@h>", f"Path: {path}\r\n")
    assert isinstance(refused, Rejection)
    assert (refused.status, refused.reason[:10]) == (400, "Bad Path: ")
