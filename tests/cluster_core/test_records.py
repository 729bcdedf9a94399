"""The durable records keep their shape on the wire."""

import msgspec
import pytest

from cluster_core.records import (
    AgentRecord,
    BacklogRecord,
    Binding,
    CallRecord,
    CallView,
    DnRecord,
    InteractionRecord,
    MarkRecord,
    PartyRecord,
    RegistrationRecord,
    ReportingRecord,
    SessionRecord,
)

RECORDS = [
    DnRecord(
        "1001",
        7,
        "tlib",
        2,
        9,
        True,
        (Binding("sip:1001@192.0.2.1", "sip", "192.0.2.1", 5060, ("<sip:p;lr>",), 5, "c", 3),),
        ("s1",),
        (CallView(5, 2, 10, "1002", "n1"),),
    ),
    AgentRecord("1001", "agent", True, 2, (("ReasonCode", "lunch"), ("n", (("deep", 1),))), "s1", "q"),
    SessionRecord("s1", 4, "tcontroller", "GWS", "desktop", True),
    RegistrationRecord("s1", "1001", 0),
    CallRecord(
        5,
        "U" * 32,
        2,
        "555",
        "8000",
        (("k", "v"), ("list", (("b", b"\x00"), ("e", ())))),
        3,
        True,
        "8000",
        (1, 2),
    ),
    PartyRecord(1, 5, "1001", "extension", 2, 10, 3, "555", "8000", b"v=0", 1),
    MarkRecord(1_000),
    InteractionRecord(5, "s1"),
    ReportingRecord("s1", "icon", "ICON", True, 1, 2, 9, ("skill",), False, 7, 1),
    BacklogRecord("s1", 8, 3, b"\x00\xf4\x8f"),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_comes_back_equal_from_its_octets(record):
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=type(record)) == record


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_with_a_field_of_a_newer_version_is_read(record):
    newer = [*msgspec.to_builtins(record, builtin_types=(bytes,)), "a field of tomorrow"]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(newer), type=type(record)) == record


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_of_an_older_version_gets_the_defaults(record):
    required = [f.name for f in msgspec.structs.fields(record) if f.required]
    plain = msgspec.to_builtins(record, builtin_types=(bytes,))
    read = msgspec.msgpack.decode(msgspec.msgpack.encode(plain[: len(required)]), type=type(record))
    assert [getattr(read, name) for name in required] == [getattr(record, name) for name in required]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_fields_without_a_default_come_first_so_that_only_the_end_can_grow(record):
    required = [f.required for f in msgspec.structs.fields(record)]
    assert required == sorted(required, reverse=True)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_table_records_are_mutable_and_seen_by_the_collector(record):
    config = type(record).__struct_config__
    assert not config.frozen
    assert config.gc


@pytest.mark.parametrize("broken", [[["k"]], [["k", 1, 2]], [[1, "v"]], ["kv"], [["k", [["deep"]]]]])
def test_user_data_of_another_shape_is_refused(broken):
    plain = [5, "u", 1, "a", "d", broken, 0]
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode(plain), type=CallRecord)
