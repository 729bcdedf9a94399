"""Forms: frames that are filled in are those that are encoded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlib_proto import Attribute, Form, LocalError, Message, MessageType, Value, encode

BLANKS = (Attribute.ThisDN, Attribute.ConnID, Attribute.TimeinSecs, Attribute.Source)
PERCENT: dict[int, Value] = {Attribute.Extensions: (("100%", "50%b"),), Attribute.AgentID: "%s%"}


def message(dn: str, conn_id: int, place: int, source: str, ref: int = 0) -> Message:
    """An event with two strings, a short and a long integer that differ, and others that do not."""
    attributes: dict[int, Value] = {
        Attribute.ThisDN: dn,
        Attribute.ConnID: conn_id,
        Attribute.AddressType: 37,
        **PERCENT,
        Attribute.TimeinSecs: place,
        Attribute.Source: source,
    }
    return Message(MessageType.EventRegistered, ref, attributes)


FORM = Form(message("1", 0, 0, "n"), BLANKS)


@given(
    st.integers(0, 2**32 - 1),
    st.text(max_size=40).filter(lambda text: not any("\ud800" <= letter <= "\udfff" for letter in text)),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**32 - 1),
    st.text(alphabet="n1/%é", max_size=12),
)
def test_a_form_filled_in_is_the_message_encoded(ref: int, dn: str, conn_id: int, place: int, source: str) -> None:
    assert FORM.fill(ref, (dn, conn_id, place, source)) == encode(message(dn, conn_id, place, source, ref))


def test_octets_that_are_no_text_stay_as_they_came() -> None:
    broken = b"1\xff2".decode("utf-8", "surrogateescape")
    assert FORM.fill(1, (broken, 1, 2, "n1")) == encode(message(broken, 1, 2, "n1", 1))


@pytest.mark.parametrize(
    ("ref", "values"),
    [
        (2**32, ("1", 0, 0, "n")),
        (0, ("1", 2**64, 0, "n")),
        (0, ("1", 0, -1, "n")),
        (0, (1, 0, 0, "n")),
        (0, ("1", "0", 0, "n")),
        (0, ("\ud800", 0, 0, "n")),
        (0, ("1", 0, 0)),
        (0, ("1", 0)),
        (0, ("1", 0, 0, "n", "m")),
    ],
)
def test_what_the_format_cannot_hold_is_told(ref: int, values: tuple[int | str, ...]) -> None:
    with pytest.raises(LocalError, match="EventRegistered: the format cannot hold this value"):
        FORM.fill(ref, values)


@pytest.mark.parametrize("blank", [Attribute.OtherDN, Attribute.Extensions])
def test_only_an_integer_or_a_string_of_the_message_can_be_left_blank(blank: Attribute) -> None:
    with pytest.raises(LocalError, match="a blank is an integer or string attribute"):
        Form(message("1", 0, 0, "n"), (blank,))
