"""Every state with every input: what the rows say together, and that the machine does what its row says."""

import pytest

from sip_proto import Limits, TimerTable, Timings, Transmit, TransmitStream
from sip_proto.build import RequestParts
from sip_proto.flows import Flows
from sip_proto.tables import (
    INITIAL,
    LEG_TRANSITIONS,
    RELIABLE_INITIAL,
    RELIABLE_ROWS,
    ROWS,
    TRANSITIONS,
    Again,
    Bound,
    Input,
    LegInput,
    LegState,
    Sends,
    State,
)
from sip_proto.transactions import ClientTransaction, Purpose, ServerTransaction, Transactions
from tests.sip_proto.texts import as_response, request_bytes, response_to

CLIENT_INPUTS = {Input.PROVISIONAL, Input.SUCCESS, Input.FAILURE, Input.CANCEL, Input.RESEND, Input.EXPIRE, Input.ERROR}
SERVER_INPUTS = {
    Input.REQUEST,
    Input.ACK,
    Input.PROVISIONAL,
    Input.SUCCESS,
    Input.FAILURE,
    Input.RESEND,
    Input.EXPIRE,
    Input.ERROR,
}
PARTS = RequestParts("sip:b@h", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx", "", "<sip:a@h>;tag=1", "<sip:b@h>", "c", 1)
BUSY = as_response(response_to(request_bytes(), 486))


def is_client(state: State) -> bool:
    return state.name[1] == "C"


def test_rows_and_transitions_are_the_same() -> None:
    assert len(ROWS) == len(State) * len(Input)
    for state in State:
        for event in Input:
            assert ROWS[state * len(Input) + event] is TRANSITIONS.get((state, event))


def test_a_row_stays_in_its_machine_and_takes_only_its_inputs() -> None:
    for (state, event), row in TRANSITIONS.items():
        assert state is not State.TERMINATED
        assert row.next is State.TERMINATED or row.next.name[:2] == state.name[:2]
        assert event in (CLIENT_INPUTS if is_client(state) else SERVER_INPUTS)
        assert row.source


def test_every_state_is_reached_and_every_state_but_a_ringing_server_is_bounded() -> None:
    reached = {row.next for row in TRANSITIONS.values()} | set(INITIAL)
    assert reached == set(State)
    for state in State:
        if state in (State.TERMINATED, State.IS_PROCEEDING):
            continue
        assert TRANSITIONS[state, Input.EXPIRE].next in (State.TERMINATED, State.IC_CANCELLED)
        for row in [*TRANSITIONS.values(), *INITIAL.values()]:
            if row.next is state and row.bound is Bound.KEEP:
                sources = {key[0] for key, other in TRANSITIONS.items() if other is row}
                assert all(source.name[:2] == state.name[:2] for source in sources)


def test_a_terminated_row_stops_both_timers() -> None:
    for row in TRANSITIONS.values():
        if row.next is State.TERMINATED:
            assert (row.again, row.bound, row.sends) == (Again.STOP, Bound.STOP, Sends.NOTHING)


@pytest.mark.parametrize("state", [state for state in State if state is not State.TERMINATED])
@pytest.mark.parametrize("event", list(Input))
def test_the_machine_does_what_the_row_says(state: State, event: Input) -> None:
    timers: TimerTable[int] = TimerTable()
    table = Transactions(Timings(), timers, Flows(Limits(), Timings()))
    tx: ClientTransaction | ServerTransaction
    if is_client(state):
        tx = ClientTransaction(1, ("k",), State.IC_CALLING, "INVITE", 0, "udp", ("h", 1), Purpose.PLAIN, 1, PARTS)
    else:
        tx = ServerTransaction(1, ("k",), State.PS_TRYING, "OPTIONS", 0, "udp", ("h", 1), 1, "", "", "", ("m",))
    table.start(0, tx, [])
    tx.state = state
    tx.data = b"kept"
    tx.again_us = 500_000
    timers.set(8, 500_000)
    timers.set(9, 32_000_000)
    out: list[object] = []
    tells = table.step(1_000, tx, event, out, BUSY)  # type: ignore[arg-type]
    row = TRANSITIONS.get((state, event))
    if row is None:
        assert (tells, out, tx.state) == (False, [], state)
        return
    assert (tells, tx.state) == (row.tells, row.next)
    if row.sends is Sends.NOTHING:
        assert out == []
    elif row.sends is Sends.KEPT:
        assert out == [Transmit("udp", ("h", 1), b"kept")]
    else:
        (ack,) = out
        assert isinstance(ack, Transmit)
        assert ack.data.startswith(b"ACK sip:b@h SIP/2.0\r\n")
        assert ack.data == tx.data
    assert (8 in timers) == (row.again is not Again.STOP)
    assert (9 in timers) == (row.bound is not Bound.STOP)
    gone = row.next is State.TERMINATED
    assert (len(table) == 0) == gone
    assert not gone or len(timers) == 0
    table.check()


@pytest.mark.parametrize("state", [state for state in State if state is not State.TERMINATED])
@pytest.mark.parametrize("event", list(Input))
def test_over_a_stream_nothing_is_sent_again_and_late_copies_are_not_awaited(state: State, event: Input) -> None:
    row, plain = RELIABLE_ROWS[state * len(Input) + event], ROWS[state * len(Input) + event]
    assert (row is None) == (plain is None)
    timers: TimerTable[int] = TimerTable()
    flows = Flows(Limits(), Timings())
    flows.opened(7, "tcp", "tcp", ("h", 1), [])
    table = Transactions(Timings(), timers, flows)
    tx: ClientTransaction | ServerTransaction
    if is_client(state):
        tx = ClientTransaction(1, ("k",), State.IC_CALLING, "INVITE", 0, "tcp", ("h", 1), Purpose.PLAIN, 1, PARTS)
    else:
        tx = ServerTransaction(1, ("k",), State.PS_TRYING, "OPTIONS", 0, "tcp", ("h", 1), 1, "", "", "", None)
    tx.transport, tx.flow = "tcp", 7
    table.start(0, tx, [])
    assert 4 not in timers
    tx.state = state
    tx.data = b"kept"
    out: list[object] = []
    tells = table.step(1_000, tx, event, out, BUSY)  # type: ignore[arg-type]
    if row is None or plain is None:
        assert (tells, out, tx.state) == (False, [], state)
        return
    assert tells == row.tells == plain.tells
    assert row.again in (Again.KEEP, Again.STOP)
    assert 4 not in timers
    waits = plain.bound in (Bound.D, Bound.I, Bound.J, Bound.K)
    assert row.next is tx.state is (State.TERMINATED if waits else plain.next)
    assert (len(table) == 0) == (row.next is State.TERMINATED)
    assert len(out) == (row.sends is not Sends.NOTHING)
    for sent in out:
        assert isinstance(sent, TransmitStream)
        assert sent.flow == 7
    assert set(RELIABLE_INITIAL) == set(INITIAL)


def test_intervals_double_with_and_without_a_cap() -> None:
    timers: TimerTable[int] = TimerTable()
    table = Transactions(Timings(), timers, Flows(Limits(), Timings()))
    invite = ClientTransaction(1, ("i",), State.IC_CALLING, "INVITE", 0, "u", ("h", 1), Purpose.PLAIN, 1, PARTS)
    other = ClientTransaction(2, ("o",), State.PC_TRYING, "OPTIONS", 0, "u", ("h", 1), Purpose.PLAIN, 1, None)
    table.start(0, invite, [])
    table.start(0, other, [])
    seen = []
    for _ in range(6):
        seen.append((invite.again_us, other.again_us))
        table.step(0, invite, Input.RESEND, [])
        table.step(0, other, Input.RESEND, [])
    assert [pair[0] for pair in seen] == [500_000 * 2**n for n in range(6)]
    assert [pair[1] for pair in seen] == [500_000, 1_000_000, 2_000_000, 4_000_000, 4_000_000, 4_000_000]


def test_leg_rows_lead_from_every_state_to_the_end() -> None:
    assert set(LEG_TRANSITIONS.values()) | {LegState.OUTGOING, LegState.INCOMING} == set(LegState)
    assert {state for state, _ in LEG_TRANSITIONS} == set(LegState) - {LegState.GONE}
    assert {event for _, event in LEG_TRANSITIONS} == set(LegInput)
    for state in LegState:
        seen = {state}
        while True:
            more = {to for (at, _), to in LEG_TRANSITIONS.items() if at in seen} - seen
            if not more:
                break
            seen |= more
        assert LegState.GONE in seen


def test_limits_default_to_something() -> None:
    assert Limits().message == 65_535
