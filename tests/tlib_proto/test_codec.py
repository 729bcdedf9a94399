import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tlib_proto.strategies import messages
from tlib_proto.codec import HEADER_SIZE, decode, encode, frame_length, frame_reference, with_reference
from tlib_proto.constants import Attribute, MessageType
from tlib_proto.errors import LocalError, ParseError
from tlib_proto.limits import MAX_ATTRIBUTES, MAX_DEPTH, MAX_KVLIST
from tlib_proto.records import Message, Unknown
from tlib_proto.wire import spec_decode, spec_encode

RINGING = Message(
    MessageType.EventRinging,
    0,
    {
        Attribute.ConnID: 0x0064000000000001,
        Attribute.ThisDN: "1001",
        Attribute.UserData: (("segment", "gold"), ("priority", -5), ("more", (("raw", b"\x00\xff"),))),
        Attribute.CallType: 2,
        5000: Unknown(77, b"later"),
    },
)


def verdict(read, data):
    try:
        return read(data)
    except ParseError as breach:
        return breach.kind, breach.offset


def nested(depth: int):
    value = ()
    for _ in range(depth - 1):
        value = (("in", value),)
    return value


def frame_of(*attributes: bytes, head: bytes = b"\x01\x00\x00\x3c\x00\x00\x00\x00") -> bytes:
    body = head + b"".join(attributes)
    return (len(body) + 4).to_bytes(4, "big") + body


def attribute(number: int, kind: int, value: bytes, reserved: int = 0) -> bytes:
    return number.to_bytes(2, "big") + bytes((kind, reserved)) + len(value).to_bytes(4, "big") + value


@settings(deadline=None)
@given(messages)
def test_what_was_encoded_is_decoded(message):
    assert decode(encode(message)) == message


@settings(deadline=None)
@given(messages)
def test_codec_and_declaration_agree_on_valid_frames(message):
    frame = encode(message)
    assert spec_encode(message) == frame
    assert spec_decode(frame) == message


@settings(deadline=None)
@given(messages, st.data())
def test_codec_and_declaration_agree_on_truncated_frames(message, data):
    frame = encode(message)
    cut = frame[: data.draw(st.integers(0, len(frame) - 1))]
    assert verdict(decode, cut) == verdict(spec_decode, cut)
    if len(cut) >= HEADER_SIZE:
        short = len(cut).to_bytes(4, "big") + cut[4:]
        assert verdict(decode, short) == verdict(spec_decode, short)


@settings(max_examples=400, deadline=None)
@given(messages, st.data())
def test_codec_and_declaration_agree_on_mutated_frames(message, data):
    frame = bytearray(encode(message))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(frame) - 1))
        frame[at] = data.draw(st.one_of(st.integers(0, 8), st.integers(0, 255)))
    assert verdict(decode, bytes(frame)) == verdict(spec_decode, bytes(frame))


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_codec_and_declaration_agree_on_noise(noise):
    whole = (len(noise) + 12).to_bytes(4, "big") + b"\x01\x00\x00\x3c\x00\x00\x00\x00" + noise
    for data in (noise, whole):
        assert verdict(decode, data) == verdict(spec_decode, data)


@settings(deadline=None)
@given(messages, st.data())
def test_a_mutated_frame_that_still_reads_is_written_again_octet_for_octet(message, data):
    frame = bytearray(encode(message))
    at = data.draw(st.integers(0, len(frame) - 1))
    frame[at] = data.draw(st.integers(0, 255))
    try:
        again = decode(bytes(frame))
    except ParseError:
        return
    assert encode(again) == bytes(frame)


@pytest.mark.parametrize(
    ("data", "kind", "offset"),
    [
        (b"", "truncated", 0),
        (b"\x00\x00\x00", "truncated", 3),
        (b"\x00\x00\x00\x03" + bytes(8), "length", 0),
        (b"\x00\x00\x00\x08\x01\x00\x00\x3c", "truncated", 8),
        (b"\xff\xff\xff\xff\x01\x00\x00\x3c", "overrun", 4),
        (frame_of(head=b"\x02\x00\x00\x3c\x00\x00\x00\x00"), "version", 4),
        (frame_of(head=b"\x01\x80\x00\x3c\x00\x00\x00\x00"), "flags", 4),
        (frame_of() + b"x", "trailing", 12),
        (frame_of(b"\x00\x09"), "truncated", 14),
        (frame_of(attribute(9, 2, bytes(7))), "truncated", 27),
        (frame_of(attribute(9, 2, bytes(9))), "trailing", 28),
        (frame_of(attribute(13, 1, bytes(3))), "truncated", 23),
        (frame_of(attribute(13, 1, bytes(5))), "trailing", 24),
        (frame_of(attribute(20, 3, b"1001", reserved=1)), "reserved", 12),
        (frame_of(attribute(20, 3, b""), attribute(20, 3, b"")), "duplicate", 20),
        (frame_of(attribute(20, 3, b"1001")[:-1]), "overrun", 20),
        (frame_of(attribute(51, 4, b"\x00")), "truncated", 21),
        (frame_of(attribute(51, 4, b"\x00\x01\x00")), "truncated", 23),
        (frame_of(attribute(51, 4, b"\x00\x00x")), "trailing", 22),
        (frame_of(attribute(51, 4, b"\x00\x01\x00\x00\x02\x00\x00\x00\x00")), "kv-type", 29),
        (frame_of(attribute(51, 4, b"\x00\x01\x00\x09\x02")), "overrun", 24),
        (frame_of(attribute(51, 4, b"\x00\x01\x00\x00\x02")), "truncated", 25),
        (
            frame_of(attribute(51, 4, b"\x00\x01\x00\x00\x01\x00\x00\x00\x05\x00\x00\x00\x01\x00")),
            "trailing",
            33,
        ),
        (frame_of(attribute(51, 4, b"\x00\x01\x00\x00\x01\x00\x00\x00\x03\x00\x00\x00")), "truncated", 32),
        (frame_of(attribute(51, 4, b"\x00\x01\x00\x00\x04\x00\x00\x00\x03\x00\x00x")), "trailing", 31),
        (frame_of(attribute(51, 4, bytes(MAX_KVLIST + 1))), "large", 20),
        (frame_of(*(attribute(2000 + n, 5, b"") for n in range(MAX_ATTRIBUTES + 1))), "attributes", 2060),
    ],
)
def test_a_breach_of_the_format_is_named_with_its_place(data, kind, offset):
    assert verdict(decode, data) == (kind, offset)
    assert verdict(spec_decode, data) == (kind, offset)


def test_lists_nest_to_the_limit_and_no_further():
    deepest = Message(60, 0, {Attribute.UserData: nested(MAX_DEPTH)})
    frame = encode(deepest)
    assert decode(frame) == spec_decode(frame) == deepest
    with pytest.raises(LocalError, match="16 lists"):
        encode(Message(60, 0, {Attribute.UserData: nested(MAX_DEPTH + 1)}))
    value = b"\x00\x00"
    for _ in range(MAX_DEPTH):
        value = b"\x00\x01\x00\x00\x04" + len(value).to_bytes(4, "big") + value
    too_deep = frame_of(attribute(51, 4, value))
    assert verdict(decode, too_deep) == verdict(spec_decode, too_deep) == ("depth", 20 + MAX_DEPTH * 9)


def test_a_known_attribute_of_a_foreign_type_is_kept_as_unknown():
    frame = frame_of(attribute(Attribute.ConnID, 3, b"text"))
    message = decode(frame)
    assert message.get(Attribute.ConnID) == Unknown(3, b"text")
    assert encode(message) == frame


def test_a_64_bit_number_on_an_unknown_id_comes_back_as_it_was():
    frame = frame_of(attribute(5000, 2, bytes(8)))
    assert decode(frame).get(5000) == Unknown(2, bytes(8))
    assert encode(decode(frame)) == frame


@pytest.mark.parametrize(
    "message",
    [
        Message(70000),
        Message(60, -1),
        Message(60, 0, {Attribute.CallType: 1 << 32}),
        Message(60, 0, {Attribute.ConnID: -1}),
        Message(60, 0, {Attribute.ConnID: "0064"}),
        Message(60, 0, {Attribute.ThisDN: 1001}),
        Message(60, 0, {Attribute.ThisDN: "\ud800"}),
        Message(60, 0, {Attribute.ThisDN: None}),
        Message(60, 0, {Attribute.ThisDN: Unknown(3, b"1001")}),
        Message(60, 0, {Attribute.ThisDN: Unknown(300, b"1001")}),
        Message(60, 0, {5000: Unknown(1, b"x")}),
        Message(60, 0, {70000: "x"}),
        Message(60, 0, {Attribute.UserData: (("k", 1 << 31),)}),
        Message(60, 0, {Attribute.UserData: (("k", None),)}),
        Message(60, 0, {Attribute.UserData: (("k" * 65536, 1),)}),
        Message(60, 0, {Attribute.UserData: (("k", "v" * MAX_KVLIST),)}),
        Message(60, 0, {Attribute.UserData: (("k", 1, 2),)}),
        Message(60, 0, {Attribute.UserData: ((b"k", 1),)}),
        Message(60, 0, {Attribute.UserData: ("k",)}),
        Message(60, 0, dict.fromkeys(range(2000, 2001 + MAX_ATTRIBUTES), "")),
    ],
)
def test_what_the_format_cannot_hold_is_the_callers_fault(message):
    with pytest.raises(LocalError):
        encode(message)


def test_the_text_of_a_fault_names_the_attribute_and_not_its_value():
    with pytest.raises(LocalError, match=r"EventRinging, ThisDN") as fault:
        encode(Message(60, 0, {Attribute.ThisDN: "secret\ud800"}))
    assert "secret" not in str(fault.value)


def test_an_encoded_frame_takes_another_reference():
    frame = encode(RINGING)
    copy = with_reference(frame, 4711)
    assert decode(copy) == Message(RINGING.id, 4711, RINGING.attributes)
    assert with_reference(copy, 0) == frame
    assert frame_reference(copy) == 4711
    assert frame_length(copy) == len(copy) == frame_length(b"xx" + copy, 2)


@pytest.mark.parametrize(("frame", "ref"), [(b"short", 1), (bytes(12), -1), (bytes(12), 1 << 32)])
def test_only_a_frame_takes_a_reference(frame, ref):
    with pytest.raises(LocalError):
        with_reference(frame, ref)
