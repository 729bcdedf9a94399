"""What a reporting client says of its session, read."""

from __future__ import annotations

import pytest

from cluster_core.reporting import Asked, narrowed, read, sequence_id
from tlib_proto import KVList

PLACE = "0000000000000012"


def given(*pairs: tuple[str, object]) -> Asked | str:
    kv: KVList = pairs  # type: ignore[assignment]
    return read(kv, "sim", "n1", 8, 2)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ((), Asked()),
        ((("SessionId", "icon"), ("SequenceId", PLACE)), Asked("icon", 12)),
        ((("ClusterId", "sim"), ("NodeId", "n1")), Asked()),
        ((("UdataFilter", ()),), Asked(wants=())),
        ((("UdataFilter", (("key-1", "a"), ("key-2", 3))),), Asked(wants=("a",))),
        ((("InteractionSnapshot", "FALSE"),), Asked(snapshot=False)),
        ((("InteractionSnapshot", 0),), Asked(snapshot=False)),
        ((("Acknowledged", PLACE),), Asked(acknowledged=12)),
        ((("SessionEnd", "1"),), Asked(ends=True)),
        ((("SessionEnd", 0),), Asked()),
        ((("Unknown", b"\x00"),), Asked()),
    ],
)
def test_what_is_said(pairs: tuple[tuple[str, object], ...], expected: Asked):
    assert given(*pairs) == expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ClusterId", "simulator"),
        ("NodeId", 1),
        ("SessionId", b"icon"),
        ("SessionId", "x" * 9),
        ("SequenceId", "12"),
        ("SequenceId", PLACE + "\n"),
        ("Acknowledged", 12),
        ("InteractionSnapshot", "no"),
        ("InteractionSnapshot", ()),
        ("SessionEnd", b"1"),
        ("UdataFilter", 1),
        ("UdataFilter", (("key-1", "a"), ("key-2", "b"), ("key-3", "c"))),
    ],
)
def test_what_is_wrong_is_named(key: str, value: object):
    assert given((key, value)) == key


def test_a_number_comes_back_as_it_went():
    assert given(("SequenceId", sequence_id(1_700_000_000_000_001))) == Asked(after=1_700_000_000_000_001)


def test_user_data_is_narrowed_to_the_keys_in_its_own_order():
    assert narrowed((("a", "1"), ("b", 2), ("a", "3")), ("b", "a")) == (("a", "1"), ("b", 2), ("a", "3"))
    assert narrowed((("a", "1"),), ()) == ()
