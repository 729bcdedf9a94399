"""The agent's table: every state with every input, written out once more by hand."""

import pytest

from cluster_core.rights import REFUSALS, Condition
from cluster_core.t_controller.tables import INPUTS, READY_MODES, TRANSITIONS, AgentInput, AgentState
from tlib_proto import EVENT_ATTRIBUTES, AgentWorkMode, MessageType

S, I, M, C = AgentState, AgentInput, MessageType, Condition  # noqa: E741

EXPECTED = {
    (S.LOGGED_OUT, I.LOGIN): (S.NOT_READY, M.EventAgentLogin),
    (S.LOGGED_OUT, I.LOGOUT): (S.LOGGED_OUT, C.AGENT_NOT_LOGGED_IN),
    (S.LOGGED_OUT, I.SET_READY): (S.LOGGED_OUT, C.AGENT_NOT_LOGGED_IN),
    (S.LOGGED_OUT, I.SET_NOT_READY): (S.LOGGED_OUT, C.AGENT_NOT_LOGGED_IN),
    (S.NOT_READY, I.LOGIN): (S.NOT_READY, C.ALREADY_LOGGED_IN),
    (S.NOT_READY, I.LOGOUT): (S.LOGGED_OUT, M.EventAgentLogout),
    (S.NOT_READY, I.SET_READY): (S.READY, M.EventAgentReady),
    (S.NOT_READY, I.SET_NOT_READY): (S.NOT_READY, M.EventAgentNotReady),
    (S.READY, I.LOGIN): (S.READY, C.ALREADY_LOGGED_IN),
    (S.READY, I.LOGOUT): (S.LOGGED_OUT, M.EventAgentLogout),
    (S.READY, I.SET_READY): (S.READY, M.EventAgentReady),
    (S.READY, I.SET_NOT_READY): (S.NOT_READY, M.EventAgentNotReady),
}


@pytest.mark.parametrize(("state", "given"), [(state, given) for state in S for given in I])
def test_each_state_does_with_each_input_what_the_table_by_hand_says(state: S, given: I) -> None:
    row = TRANSITIONS[state, given]
    following, told = EXPECTED[state, given]
    assert row.next is following
    assert (row.event, row.refusal) == ((None, told) if isinstance(told, Condition) else (told, None))


@pytest.mark.parametrize("row", TRANSITIONS.values())
def test_a_row_has_an_event_or_a_refusal_that_can_be_said(row: object) -> None:
    event, refusal = getattr(row, "event"), getattr(row, "refusal")  # noqa: B009
    assert (event is None) != (refusal is None)
    assert event in EVENT_ATTRIBUTES or refusal in REFUSALS


def test_the_table_is_whole() -> None:
    assert len(TRANSITIONS) == len(S) * len(I)


def test_each_agent_request_is_an_input_of_its_own() -> None:
    assert sorted(INPUTS.values()) == sorted(I)
    assert all(MessageType(request).name.startswith("RequestAgent") for request in INPUTS)


def test_only_work_modes_that_take_calls_make_ready_at_login() -> None:
    assert AgentWorkMode.AuxWork not in READY_MODES
    assert AgentWorkMode.AfterCallWork not in READY_MODES
    assert AgentWorkMode.AutoIn in READY_MODES
