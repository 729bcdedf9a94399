"""The call party's table: every state with every input, written out once more by hand."""

import pytest

from cluster_core.session_controller.tables import STATES, TRANSITIONS, PartyInput
from tlib_proto import EVENT_ATTRIBUTES, PartyState

P, I = PartyState, PartyInput  # noqa: E741

EXPECTED = """
            DIAL      RING      QUEUE   ANSWER         HOLD  RETRIEVE   BUSY             RELEASE   ABANDON    DIVERT    CHANGE
NULL        Dialing   Ringing   Queued  -              -     -          -                -         -          -         -
Initiated   -         -         -       Established    -     -          DestinationBusy  Released  -          -         PartyChanged
Alerting    -         -         -       Established    -     -          -                Released  Abandoned  -         PartyChanged
Queued      -         -         -       -              -     -          -                -         Abandoned  Diverted  -
Busy        -         -         -       -              -     -          -                Released  -          -         -
Connected   -         -         -       -              Held  -          -                Released  -          -         PartyChanged
Held        -         -         -       -              -     Retrieved  -                Released  -          -         PartyChanged
"""  # noqa: E501
NEXT = {
    "Dialing": P.Initiated,
    "Ringing": P.Alerting,
    "Queued": P.Queued,
    "Established": P.Connected,
    "DestinationBusy": P.Busy,
    "Held": P.Held,
    "Retrieved": P.Connected,
    "Released": P.NULL,
    "Abandoned": P.NULL,
    "Diverted": P.NULL,
}
LINES = [line.split() for line in EXPECTED.strip().splitlines()]
CELLS = {
    (PartyState[line[0]], PartyInput[given]): event
    for line in LINES[1:]
    for given, event in zip(LINES[0], line[1:], strict=True)
}


@pytest.mark.parametrize(("state", "given"), [(state, given) for state in STATES for given in PartyInput])
def test_each_state_does_with_each_input_what_the_table_by_hand_says(state: P, given: I) -> None:
    event = CELLS[state, given]
    row = TRANSITIONS.get((int(state), int(given)))
    if event == "-":
        assert row is None
        return
    assert row is not None
    assert row.event.name == f"Event{event}"
    assert row.next == NEXT.get(event, state)
    assert row.event in EVENT_ATTRIBUTES


def test_the_table_has_no_row_outside_of_its_states_and_inputs() -> None:
    assert set(TRANSITIONS) <= {(int(state), int(given)) for state in STATES for given in PartyInput}


def test_every_state_is_reached_and_left() -> None:
    reached, open_states = {int(P.NULL)}, [int(P.NULL)]
    while open_states:
        state = open_states.pop()
        for (at, _), row in TRANSITIONS.items():
            if at == state and int(row.next) not in reached:
                reached.add(int(row.next))
                open_states.append(int(row.next))
    assert reached == {int(state) for state in STATES}
    for state in STATES:
        if state != P.NULL:
            assert any(at == state and row.next == P.NULL for (at, _), row in TRANSITIONS.items())
