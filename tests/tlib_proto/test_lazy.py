import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tlib_proto.strategies import attributes, messages
from tests.tlib_proto.test_codec import RINGING, attribute, frame_of, verdict
from tlib_proto.codec import HEADER_SIZE, decode, decode_at, encode, frame_id, scan
from tlib_proto.constants import Attribute, MessageType
from tlib_proto.errors import LocalError, ParseError
from tlib_proto.lazy import LazyFrame, element, replace, splice
from tlib_proto.limits import MAX_ATTRIBUTES
from tlib_proto.records import Message
from tlib_proto.wire import spec_scan


@settings(deadline=None)
@given(messages)
def test_a_scan_finds_every_attribute_and_each_can_be_read_alone(message):
    frame = encode(message)
    offsets = scan(frame)
    assert list(offsets) == list(message.attributes)
    assert spec_scan(frame) == offsets
    assert {key: decode_at(frame, at) for key, at in offsets.items()} == message.attributes


@settings(max_examples=300, deadline=None)
@given(messages, st.data())
def test_a_scan_says_what_the_declaration_says_of_broken_frames(message, data):
    frame = bytearray(encode(message))
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(frame) - 1))
        frame[at] = data.draw(st.one_of(st.integers(0, 8), st.integers(0, 255)))
    cut = bytes(frame[: data.draw(st.integers(0, len(frame)))])
    for broken in (bytes(frame), cut):
        found = verdict(scan, broken)
        assert found == verdict(spec_scan, broken)
        decoded = verdict(decode, broken)
        if isinstance(decoded, Message):
            assert list(found) == list(decoded.attributes)


@pytest.mark.parametrize(
    ("data", "kind", "offset"),
    [
        (b"", "truncated", 0),
        (b"\x00\x00\x00\x03" + bytes(8), "length", 0),
        (b"\x00\x00\x00\x08\x01\x00\x00\x3c", "truncated", 8),
        (b"\xff\xff\xff\xff\x01\x00\x00\x3c", "overrun", 4),
        (frame_of(head=b"\x02\x00\x00\x3c\x00\x00\x00\x00"), "version", 4),
        (frame_of(head=b"\x01\x80\x00\x3c\x00\x00\x00\x00"), "flags", 4),
        (frame_of() + b"x", "trailing", 12),
        (frame_of(b"\x00\x09"), "truncated", 14),
        (frame_of(attribute(20, 3, b"1001", reserved=1)), "reserved", 12),
        (frame_of(attribute(20, 3, b""), attribute(20, 3, b"")), "duplicate", 20),
        (frame_of(attribute(20, 3, b"1001")[:-1]), "overrun", 20),
        (frame_of(*(attribute(2000 + n, 5, b"") for n in range(MAX_ATTRIBUTES + 1))), "attributes", 2060),
    ],
)
def test_a_breach_of_the_structure_is_named_with_its_place(data, kind, offset):
    assert verdict(scan, data) == verdict(spec_scan, data) == verdict(decode, data) == (kind, offset)


def test_as_many_attributes_as_a_frame_may_have_are_scanned():
    assert (
        len(scan(frame_of(*(attribute(2000 + n, 5, b"") for n in range(MAX_ATTRIBUTES))))) == MAX_ATTRIBUTES
    )


def test_a_value_that_does_not_decode_hurts_only_who_reads_it():
    frame = frame_of(attribute(9, 2, bytes(7)), attribute(20, 3, b"1001"))
    lazy = LazyFrame(frame)
    assert lazy.get(Attribute.ThisDN) == "1001"
    with pytest.raises(ParseError, match="truncated at octet 27"):
        lazy.get(Attribute.ConnID)
    assert lazy.replace({}) == frame


@pytest.mark.parametrize(
    ("data", "at", "kind", "offset"),
    [
        (b"\x00\x14\x03", 0, "truncated", 3),
        (attribute(20, 3, b"1001")[:-1], 0, "overrun", 8),
        (attribute(20, 3, b"1001", reserved=1), 0, "reserved", 0),
        (attribute(9, 2, bytes(9)), 0, "trailing", 16),
        (attribute(13, 1, bytes(3)), 0, "truncated", 11),
        (attribute(13, 1, bytes(5)), 0, "trailing", 12),
        (attribute(51, 4, bytes(65537)), 0, "large", 8),
        (attribute(51, 4, bytes(3)), 0, "trailing", 10),
    ],
)
def test_what_is_no_attribute_is_not_read(data, at, kind, offset):
    with pytest.raises(ParseError) as breach:
        decode_at(data, at)
    assert (breach.value.kind, breach.value.offset) == (kind, offset)


def test_a_lazy_frame_says_who_it_is():
    lazy = LazyFrame(encode(Message(RINGING.id, 7, RINGING.attributes)))
    assert (lazy.id, lazy.ref, lazy.name) == (MessageType.EventRinging, 7, "EventRinging")
    assert frame_id(lazy.frame) == lazy.id
    assert Attribute.ConnID in lazy
    assert Attribute.ANI not in lazy
    assert lazy.get(Attribute.ANI) is None
    assert lazy.get(Attribute.ANI, "") == ""
    assert LazyFrame(encode(Message(900))).name == "Message-900"


@settings(deadline=None)
@given(messages, st.lists(st.tuples(attributes, st.booleans()), max_size=6), st.data())
def test_replacing_is_decoding_changing_and_encoding(message, given_changes, data):
    changes = {key: None if gone else value for (key, value), gone in given_changes}
    if message.attributes:
        taken = data.draw(st.sampled_from(sorted(message.attributes)))
        changes[taken] = None if data.draw(st.booleans()) else message.attributes[taken]
    expected = dict(message.attributes)
    for key, value in changes.items():
        if value is None:
            expected.pop(key, None)
        else:
            expected[key] = value
    frame = encode(message)
    assert replace(frame, changes) == encode(Message(message.id, message.ref, expected))
    assert LazyFrame(frame).replace(changes) == replace(frame, changes)


def test_encoded_attributes_are_spliced_into_many_frames():
    stamp = {Attribute.EventSequenceNumber: element(Attribute.EventSequenceNumber, 5)}
    for ref in (0, 9):
        frame = encode(Message(RINGING.id, ref, RINGING.attributes))
        out = decode(splice(frame, stamp, scan(frame)))
        assert out == Message(RINGING.id, ref, {**RINGING.attributes, Attribute.EventSequenceNumber: 5})
    assert len(element(Attribute.ThisDN, "1001")) == 12
    assert encode(Message(1))[HEADER_SIZE:] == b""


def test_no_frame_gets_more_attributes_than_the_format_has():
    frame = encode(Message(60, 0, dict.fromkeys(range(2000, 2000 + MAX_ATTRIBUTES), "")))
    with pytest.raises(LocalError, match="257 attributes"):
        replace(frame, {5000: "x"})
    assert len(scan(replace(frame, {5000: "x", 2000: None}))) == MAX_ATTRIBUTES


def test_what_the_format_cannot_hold_is_the_callers_fault():
    with pytest.raises(LocalError, match="ThisDN"):
        replace(encode(RINGING), {Attribute.ThisDN: 1001})
