"""The second wall: what was noted leaves, and makes another store equal."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_core.coordinator_records import How, OwnerRecord
from cluster_core.errors import LocalError
from cluster_core.outputs import Change
from cluster_core.records import (
    AgentRecord,
    BacklogRecord,
    CallRecord,
    DnRecord,
    FeatureRecord,
    InteractionRecord,
    MarkRecord,
    PartyRecord,
    RegistrationRecord,
    ReportingRecord,
    SessionRecord,
)
from cluster_core.store import TABLES, Store
from sip_proto import Dialog

EXAMPLES = {
    "dns": ("1001", DnRecord("1001")),
    "agents": ("1001", AgentRecord("1001", "a", True, 2)),
    "features": ("1001", FeatureRecord("1001", True, "1002", 1)),
    "sessions": ("s", SessionRecord("s", 2, "tlib", "URS", "router", False)),
    "registrations": ("s/1001", RegistrationRecord("s", "1001", 0)),
    "calls": (2**63 + 5, CallRecord(2**63 + 5, "u", 1, "a", "d", (("k", (("n", 1),)),), 0)),
    "parties": (1, PartyRecord(1, 5, "1001", "extension", 1, 1, 1, "1002")),
    "dialogs": (
        3,
        Dialog(
            3,
            "id",
            "lt",
            "rt",
            "<sip:a>",
            "<sip:b>",
            "sip:b",
            ("<sip:p;lr>",),
            1,
            0,
            "sip",
            ("h", 1),
            True,
            "c",
        ),
    ),
    "owners": ("1001", OwnerRecord("n1", 1, How.SIP, 4)),
    "marks": ("ids", MarkRecord(1_000)),
    "interactions": (5, InteractionRecord(5, "s")),
    "reporting": ("s", ReportingRecord("s", "icon\udcff", "ICON", True, 1, 2, 9)),
    "backlog": ("s/0000000000000008", BacklogRecord("s", 8, 3, b"\x00\xf4\x8f")),
}


def full() -> Store:
    store = Store()
    for table, (key, record) in EXAMPLES.items():
        store.put(table, key, record)
    return store


def test_every_table_has_an_example_here():
    assert list(EXAMPLES) == list(TABLES)


@pytest.mark.parametrize("table", TABLES)
def test_what_was_put_is_got_until_it_is_dropped(table):
    store, (key, record) = Store(), EXAMPLES[table]
    assert store.get(table, key) is None
    store.put(table, key, record)
    assert store.get(table, key) is record
    assert store.rows(table) == {key: record}
    store.drop(table, key)
    assert store.get(table, key) is None
    assert store.rows(table) == {}


def test_a_second_store_fed_with_changes_alone_is_equal():
    store, other = full(), Store()
    assert store.same_as(other) == [f"{table}/{key}" for table, (key, _) in EXAMPLES.items()]
    other.apply(store.changes())
    assert store.same_as(other) == []
    assert other.same_as(store) == []
    for table, (key, _) in EXAMPLES.items():
        store.drop(table, key)
    assert len(other.same_as(store)) == len(store.same_as(other)) == len(TABLES)
    other.apply(store.changes())
    assert store.same_as(other) == []


def test_applying_notes_nothing():
    other = Store()
    other.apply(full().changes())
    assert other.changes() == ()


def test_changes_name_each_key_once_as_it_is_now_in_order_of_the_first_note():
    store = Store()
    store.put("marks", "b", MarkRecord(1))
    store.put("marks", "a", MarkRecord(1))
    store.put("marks", "c", MarkRecord(1))
    store.drop("marks", "a")
    store.put("marks", "b", MarkRecord(2))
    said = store.changes()
    assert [(change.table, change.key, change.schema) for change in said] == [
        ("marks", "b", 1),
        ("marks", "a", 1),
        ("marks", "c", 1),
    ]
    assert said[0].record == msgspec.msgpack.encode(MarkRecord(2))
    assert said[1].record is None
    assert store.changes() == ()


def test_dropping_what_is_not_there_is_no_change():
    store = Store()
    store.drop("marks", "a")
    assert store.changes() == ()


def test_a_record_changed_without_put_shows_as_a_difference():
    store, other = full(), Store()
    other.apply(store.changes())
    store.get("calls", 2**63 + 5).answered = True
    other.apply(store.changes())
    assert store.same_as(other) == [f"calls/{2**63 + 5}"]


def test_the_other_store_holds_copies():
    store, other = full(), Store()
    other.apply(store.changes())
    assert other.get("dns", "1001") is not store.get("dns", "1001")


@pytest.mark.parametrize(
    ("table", "key", "record"),
    [
        ("nothing", "a", MarkRecord(1)),
        ("marks", 1, MarkRecord(1)),
        ("calls", "1", EXAMPLES["calls"][1]),
        ("marks", "a", DnRecord("1001")),
        ("marks", "a", None),
    ],
)
def test_a_record_that_does_not_belong_there_is_refused_and_nothing_changes(table, key, record):
    store = Store()
    with pytest.raises(LocalError, match="does not belong"):
        store.put(table, key, record)
    assert store.changes() == ()
    assert store.same_as(Store()) == []


@pytest.mark.parametrize("name", ["get", "drop"])
def test_a_table_that_does_not_exist_is_a_key_error(name):
    with pytest.raises(KeyError):
        getattr(Store(), name)("nothing", "a")
    with pytest.raises(KeyError):
        Store().rows("nothing")


def test_what_a_newer_version_adds_is_passed_over():
    store = Store()
    record = msgspec.msgpack.encode([5, "of tomorrow"])
    store.apply(
        [
            Change("tables of tomorrow", "a", 1, b"?"),
            Change("marks", "a", 2, record),
            Change("marks", "not here", 1, None),
            Change("calls", "77", 1, None),
        ]
    )
    assert store.rows("marks") == {"a": MarkRecord(5)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Change("marks", "a", 1, b""), ["marks", "a"]),
        (Change("marks", "a", 1, b"\xff"), ["marks", "a"]),
        (Change("marks", "a", 1, msgspec.msgpack.encode(["text"])), ["marks", "a", "int"]),
        (Change("marks", "a", 1, msgspec.msgpack.encode([])), ["marks", "a"]),
        (Change("agents", "1", 1, msgspec.msgpack.encode(["1", "a", True, 2, "no list"])), ["agents", "1"]),
        (Change("calls", "1", 1, b"\x91" * 100_000), ["calls", "1"]),
        (
            Change(
                "calls", "1", 1, b"\x97\x01\xa1u\x01\xa1a\xa1d\x91\x92\xa1k" + b"\x91" * 50_000 + b"\x00\x00"
            ),
            ["calls", "1"],
        ),
        (Change("calls", "one", 1, None), ["calls", "one", "not a number"]),
        (Change("calls", "\u0661", 1, None), ["calls", "not a number"]),
        (Change("calls", "9" * 5_000, 1, None), ["calls", "not a number"]),
    ],
)
def test_what_cannot_be_decoded_is_named_and_nothing_is_applied(change, words):
    store = Store()
    with pytest.raises(LocalError) as caught:
        store.apply([Change("marks", "before", 1, msgspec.msgpack.encode(MarkRecord(1))), change])
    assert all(word in str(caught.value) for word in words)
    assert len(str(caught.value)) < 500
    assert store.same_as(Store()) == []


WRITES = st.lists(
    st.tuples(st.sampled_from(["put", "change", "drop", "send"]), st.sampled_from("abc"), st.integers(0, 9)),
    max_size=40,
)


@given(WRITES)
def test_whatever_is_written_the_other_store_follows(writes):
    store, other = Store(), Store()
    for what, key, number in writes:
        record = store.get("marks", key)
        if what == "put":
            store.put("marks", key, MarkRecord(number))
        elif what == "change" and record is not None:
            record.value = number
            store.put("marks", key, record)
        elif what == "drop":
            store.drop("marks", key)
        else:
            other.apply(store.changes())
    other.apply(store.changes())
    assert store.same_as(other) == []
