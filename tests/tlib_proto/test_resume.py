import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlib_proto.constants import Attribute
from tlib_proto.errors import LocalError
from tlib_proto.records import Message, Unknown
from tlib_proto.resume import position, position_of, read_position

numbers = st.integers(0, 2**64 - 1)


@given(numbers, numbers)
def test_a_position_comes_back_from_its_text(started, number):
    assert read_position(position(started, number)) == (started, number)


@pytest.mark.parametrize(("started", "number"), [(-1, 0), (0, -1), (1 << 64, 0), (0, 1 << 64)])
def test_only_64_bit_numbers_are_positions(started, number):
    with pytest.raises(LocalError, match="no position"):
        position(started, number)


@pytest.mark.parametrize(
    "text", ["", "17", "0-0", "G" * 16 + "-" + "0" * 16, "0" * 33, "\u0661" * 16 + "-" + "0" * 16]
)
def test_any_other_text_is_no_position(text):
    assert read_position(text) is None


def test_an_event_says_where_it_stands_or_not():
    assert position_of(Message(60, 0, {Attribute.EventSequenceNumber: 5})) == (0, 5)
    assert position_of(Message(60, 0, {Attribute.EventSequenceNumber: 5, Attribute.ServerStartTime: 7})) == (
        7,
        5,
    )
    assert position_of(Message(60)) is None
    assert position_of(Message(60, 0, {Attribute.EventSequenceNumber: Unknown(3, b"")})) is None
