"""Packed records survive any text."""

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_core.packing import pack, unpacker
from cluster_core.records import CallRecord

ANY_TEXT = st.text(
    st.one_of(st.characters(), st.sampled_from("\udc80\udcff\U0010ff00\U0010ff80\U0010ffff\U00100000"))
)
VALUES = st.recursive(
    st.one_of(
        st.integers(-(2**31), 2**31 - 1), st.binary(max_size=4), ANY_TEXT.filter(lambda s: not _lone(s))
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(ANY_TEXT.filter(lambda s: not _lone(s)), inner, max_size=3)
    ),
    max_leaves=8,
)


def _lone(text: str) -> bool:
    """Surrogates that no decoder makes of octets."""
    return any("\ud800" <= c <= "\udc7f" or "\udd00" <= c <= "\udfff" for c in text)


@given(VALUES)
def test_every_value_comes_back_equal(value):
    assert unpacker(Any).unpack(pack(value)) == value


@given(st.binary(max_size=12))
def test_text_that_came_undecodable_comes_back_as_the_same_octets(octets):
    text = octets.decode("utf-8", "surrogateescape")
    record = CallRecord(1, "u", 1, text, text, ((text, text),), 0)
    back = unpacker(CallRecord).unpack(pack(record))
    assert back == record
    assert back.ani.encode("utf-8", "surrogateescape") == octets


@pytest.mark.parametrize(
    "value",
    [
        "\U0010ff00",
        "\U0010ff80",
        "\udc80\U0010ff80\U0010ff00",
        b"\xf4\x8f",
        {"key\udcff": ["\udc80", b"\xf4\x8f", 1, None, True]},
        [],
    ],
)
def test_values_that_look_like_the_detour_come_back_equal(value):
    assert unpacker(Any).unpack(pack(value)) == value


def test_ordinary_records_are_plain_msgpack():
    record = CallRecord(1, "u", 1, "1001", "8000", (("name", "J\u00fcrgen"),), 0)
    assert pack(record) == msgspec.msgpack.encode(record)


@given(st.binary(max_size=40))
def test_foreign_octets_are_a_value_error_or_a_record(octets):
    for data in (octets, octets + b"\xf4\x8f\xbe\x80", b"\x91\xa4\xf4\x8f\xbe\x80" + octets):
        with contextlib.suppress(ValueError):
            assert isinstance(unpacker(CallRecord).unpack(data), CallRecord)


def test_an_unpacker_refuses_a_record_of_another_shape_on_both_ways():
    for text in ("plain", "\udc80"):
        with pytest.raises(ValueError, match=r"int|surrogates"):
            unpacker(CallRecord).unpack(pack([text, "u", 1, "a", "d", [], 0]))
