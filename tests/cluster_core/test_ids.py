"""Identifiers are derived, unique and laid out as promised."""

import re

import pytest

from cluster_core.errors import LocalError
from cluster_core.ids import INCARNATION_MAX, MARK_STEP, NODE_MAX, Ids, node_of


def test_a_conn_id_holds_node_incarnation_and_counter():
    ids = Ids(b"seed", 0xABC)
    ids.incarnation = 0x12345
    assert ids.conn_id() == 0xABC_12345_00000001
    assert ids.conn_id() == 0xABC_12345_00000002


def test_a_conn_id_tells_its_node():
    for number in (1, 2, NODE_MAX):
        ids = Ids(b"seed", number)
        ids.incarnation = INCARNATION_MAX
        assert node_of(ids.conn_id()) == number
    assert node_of(5) == 0
    assert node_of(2**200) == 0


def test_an_incarnation_beyond_20_bits_does_not_touch_the_node():
    ids = Ids(b"seed", 3)
    ids.incarnation = INCARNATION_MAX + 2
    assert ids.conn_id() == 3 << 52 | 1 << 32 | 1


@pytest.mark.parametrize("number", [0, -1, NODE_MAX + 1])
def test_a_node_number_out_of_range_is_refused(number):
    with pytest.raises(LocalError, match=str(number)):
        Ids(b"seed", number)


def test_a_call_uuid_is_32_characters_of_0_to_9_and_a_to_v():
    ids = Ids(b"seed", 1)
    made = [ids.call_uuid() for _ in range(200)]
    assert all(re.fullmatch("[0-9A-V]{32}", uuid) for uuid in made)
    assert len(set(made)) == 200


def test_the_same_seed_gives_the_same_ids():
    one, two = Ids(b"seed", 1), Ids(b"seed", 1)
    for name in ("conn_id", "call_uuid", "session_id", "request", "party"):
        assert getattr(one, name)() == getattr(two, name)()


def test_another_seed_node_or_incarnation_gives_other_derived_ids():
    other = Ids(b"seed", 1)
    other.incarnation = 1
    makers = [Ids(b"seed", 1), Ids(b"tree", 1), Ids(b"seed", 2), other]
    assert len({ids.call_uuid() for ids in makers}) == 4
    assert len({ids.session_id() for ids in makers}) == 4


def test_requests_and_parties_count_from_1():
    ids = Ids(b"seed", 1)
    assert [ids.request(), ids.request()] == [1, 2]
    assert [ids.party(), ids.party()] == [1, 2]


def test_the_mark_is_ahead_of_every_counter_and_moves_in_steps():
    ids = Ids(b"seed", 1)
    assert ids.mark == 0
    ids.conn_id()
    assert ids.mark == MARK_STEP
    for _ in range(MARK_STEP):
        assert ids.mark == MARK_STEP
        ids.party()
    ids.party()
    assert ids.mark == 2 * MARK_STEP


def test_who_goes_on_from_a_mark_repeats_no_id():
    first = Ids(b"seed", 1)
    used = [getattr(first, name)() for name in ("conn_id", "call_uuid", "session_id", "request", "party")]
    second = Ids(b"seed", 1)
    second.resume(first.mark)
    again = [getattr(second, name)() for name in ("conn_id", "call_uuid", "session_id", "request", "party")]
    assert not set(used) & set(again)
    assert again[3] == MARK_STEP + 1
    assert second.mark == 2 * MARK_STEP
    second.resume(0)
    assert second.request() == MARK_STEP + 2


def test_a_counter_that_has_run_out_says_so():
    ids = Ids(b"seed", 1)
    ids.resume(2**32 - 1)
    with pytest.raises(LocalError, match="no number left"):
        ids.conn_id()
