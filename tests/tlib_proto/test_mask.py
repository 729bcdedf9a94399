import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlib_proto import mask
from tlib_proto.constants import Attribute, MessageType
from tlib_proto.errors import LocalError
from tlib_proto.records import Message


@given(st.sets(st.integers(0, mask.MASK_BITS - 1)))
def test_a_mask_has_the_ids_that_were_packed(ids):
    packed = mask.pack(ids)
    assert len(packed) == mask.MASK_SIZE
    assert mask.unpack(packed) == tuple(sorted(ids))
    assert all(mask.has(packed, number) == (number in ids) for number in range(mask.MASK_BITS))


def test_bits_are_counted_from_the_lowest_of_each_octet():
    assert mask.pack([0, 9, MessageType.EventRinging])[:8] == bytes((1, 2, 0, 0, 0, 0, 0, 1 << 4))


@pytest.mark.parametrize("number", [-1, 512, MessageType.Ping])
def test_an_id_without_a_bit_cannot_be_packed_and_is_always_in(number):
    with pytest.raises(LocalError, match="no bit"):
        mask.pack([number])
    if number > 0:
        assert mask.has(mask.pack([]), number)


def test_everything_is_every_id():
    assert mask.unpack(mask.EVERYTHING) == tuple(range(512))


@pytest.mark.parametrize("octets", [None, b"", bytes(63), bytes(65), "text"])
def test_a_mask_of_another_size_is_none(octets):
    attributes = {} if octets is None else {Attribute.InputMask: octets}
    assert mask.read_mask(Message(7, 1, attributes)) is None


def test_masks_are_read_from_requests_and_server_info():
    assert mask.read_mask(Message(7, 1, {Attribute.InputMask: bytes(64)})) == bytes(64)
    info = Message(93, 1, {Attribute.ServerCapabilityMask: mask.EVERYTHING})
    assert mask.read_mask(info, Attribute.ServerCapabilityMask) == mask.EVERYTHING
