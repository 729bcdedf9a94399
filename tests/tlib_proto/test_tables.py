import pytest

from tlib_proto.messages import MESSAGE_NAMES, MessageType
from tlib_proto.tables import CALLS, INPUTS, PEER_TABLES, Act, Call, Input, Role, State, classify


@pytest.mark.parametrize("role", list(Role))
def test_every_state_that_reads_messages_has_a_row_for_each(role):
    for rows in PEER_TABLES[role].values():
        assert list(rows) == list(Input)


def test_every_act_is_used_and_every_end_is_an_end():
    used = set()
    for states in PEER_TABLES.values():
        for rows in states.values():
            for act, following in rows.values():
                used.add(act)
                assert (following == State.ENDED) == (act in (Act.REFUSED, Act.UNEXPECTED))
    assert used == set(Act)


def test_every_state_can_be_reached_and_closed():
    reached = {State.IDLE, State.HELLO}
    for following in CALLS.values():
        reached.update(following.values())
    for states in PEER_TABLES.values():
        for rows in states.values():
            reached.update(following for _, following in rows.values())
    assert reached == set(State)
    assert set(CALLS[Call.CLOSE]) == set(State)
    assert set(CALLS) == set(Call)


def test_a_message_is_known_by_its_name():
    for number in MESSAGE_NAMES:
        assert classify(number, True) == INPUTS.get(number, Input.KNOWN)
    assert classify(900, False) == Input.UNKNOWN
    assert classify(MessageType.Ping, True) == Input.PING
