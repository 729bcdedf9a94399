"""The transaction and leg state machines as data (RFC 3261 section 17 as corrected by RFC 6026; section 12
for dialogs).

A transaction has two timers: one that sends again (A, E, G) and one that bounds the state it is in (B, C,
D, F, H, I, J, K, L, M). A row says where an input leads, what is sent, whether the user of the
transaction is told, and what becomes of the two timers. An input without a row is absorbed.

A leg is one INVITE dialog from its first message to its last. Its inputs are what the program asks (a
missing row is the caller's fault) and what the peer sends (a missing row is answered or ignored by the
machine).
"""

from enum import IntEnum
from typing import NamedTuple


class State(IntEnum):
    """Transaction states; the prefix names the machine: invite/plain (I/P), client/server (C/S)."""

    IC_CALLING = 0
    IC_PROCEEDING = 1
    IC_CANCELLED = 2
    IC_ACCEPTED = 3
    IC_COMPLETED = 4
    PC_TRYING = 5
    PC_PROCEEDING = 6
    PC_COMPLETED = 7
    IS_PROCEEDING = 8
    IS_ACCEPTED = 9
    IS_COMPLETED = 10
    IS_CONFIRMED = 11
    PS_TRYING = 12
    PS_PROCEEDING = 13
    PS_COMPLETED = 14
    TERMINATED = 15


class Input(IntEnum):
    """What happens to a transaction; responses are received by a client and sent by a server, ERROR is a message that
    the transport could not deliver."""

    REQUEST = 0
    ACK = 1
    PROVISIONAL = 2
    SUCCESS = 3
    FAILURE = 4
    CANCEL = 5
    RESEND = 6
    EXPIRE = 7
    ERROR = 8


class Sends(IntEnum):
    """What a row sends: nothing, the message kept last, or the ACK for a failure (kept from then on)."""

    NOTHING = 0
    KEPT = 1
    ACK = 2


class Again(IntEnum):
    """What becomes of the timer that sends again; DOUBLE has no cap (timer A), DOUBLE_T2 stops growing at
    T2."""

    KEEP = 0
    STOP = 1
    START = 2
    DOUBLE = 3
    DOUBLE_T2 = 4
    T2 = 5


class Bound(IntEnum):
    """Which timer bounds the state from now on, by the RFC's letters; U bounds a request that nobody
    answers (ours)."""

    KEEP = 0
    STOP = 1
    B = 2
    C = 3
    D = 4
    F = 5
    H = 6
    I = 7  # noqa: E741 - the RFC's letter
    J = 8
    K = 9
    L = 10
    M = 11
    U = 12


class Row(NamedTuple):
    """One transition: next state, what is sent, whether the user is told, the two timers, the source."""

    next: State
    sends: Sends
    tells: bool
    again: Again
    bound: Bound
    source: str


_S, _I = State, Input
_NOTHING, _KEPT, _ACK = Sends.NOTHING, Sends.KEPT, Sends.ACK
_KEEP, _STOP = Again.KEEP, Again.STOP
_END = (_NOTHING, False, _STOP, Bound.STOP)

INITIAL: dict[State, Row] = {
    _S.IC_CALLING: Row(_S.IC_CALLING, _KEPT, False, Again.START, Bound.B, "RFC 3261 17.1.1.2"),
    _S.PC_TRYING: Row(_S.PC_TRYING, _KEPT, False, Again.START, Bound.F, "RFC 3261 17.1.2.2"),
    _S.IS_PROCEEDING: Row(_S.IS_PROCEEDING, _KEPT, False, _KEEP, Bound.KEEP, "RFC 3261 17.2.1"),
    _S.PS_TRYING: Row(_S.PS_TRYING, _NOTHING, False, _KEEP, Bound.U, "RFC 3261 17.2.2; U ours"),
}

TRANSITIONS: dict[tuple[State, Input], Row] = {
    (_S.IC_CALLING, _I.PROVISIONAL): Row(_S.IC_PROCEEDING, _NOTHING, True, _STOP, Bound.C, "RFC 3261 17.1.1.2"),
    (_S.IC_CALLING, _I.SUCCESS): Row(_S.IC_ACCEPTED, _NOTHING, True, _STOP, Bound.M, "RFC 6026 7.2"),
    (_S.IC_CALLING, _I.FAILURE): Row(_S.IC_COMPLETED, _ACK, True, _STOP, Bound.D, "RFC 3261 17.1.1.2"),
    (_S.IC_CALLING, _I.RESEND): Row(_S.IC_CALLING, _KEPT, False, Again.DOUBLE, Bound.KEEP, "RFC 3261 17.1.1.2"),
    (_S.IC_CALLING, _I.EXPIRE): Row(_S.TERMINATED, _NOTHING, True, _STOP, Bound.STOP, "RFC 3261 17.1.1.2"),
    (_S.IC_CALLING, _I.ERROR): Row(_S.TERMINATED, _NOTHING, True, _STOP, Bound.STOP, "RFC 3261 17.1.4"),
    (_S.IC_PROCEEDING, _I.PROVISIONAL): Row(
        _S.IC_PROCEEDING, _NOTHING, True, _KEEP, Bound.C, "RFC 3261 17.1.1.2; C ours"
    ),
    (_S.IC_PROCEEDING, _I.SUCCESS): Row(_S.IC_ACCEPTED, _NOTHING, True, _STOP, Bound.M, "RFC 6026 7.2"),
    (_S.IC_PROCEEDING, _I.FAILURE): Row(_S.IC_COMPLETED, _ACK, True, _STOP, Bound.D, "RFC 3261 17.1.1.2"),
    (_S.IC_PROCEEDING, _I.CANCEL): Row(_S.IC_CANCELLED, _NOTHING, False, _KEEP, Bound.B, "RFC 3261 9.1"),
    (_S.IC_PROCEEDING, _I.EXPIRE): Row(_S.IC_CANCELLED, _NOTHING, True, _KEEP, Bound.B, "RFC 3261 16.8, for a UA ours"),
    (_S.IC_CANCELLED, _I.SUCCESS): Row(_S.IC_ACCEPTED, _NOTHING, True, _STOP, Bound.M, "RFC 6026 7.2"),
    (_S.IC_CANCELLED, _I.FAILURE): Row(_S.IC_COMPLETED, _ACK, True, _STOP, Bound.D, "RFC 3261 9.1"),
    (_S.IC_CANCELLED, _I.EXPIRE): Row(_S.TERMINATED, _NOTHING, True, _STOP, Bound.STOP, "RFC 3261 9.1"),
    (_S.IC_ACCEPTED, _I.SUCCESS): Row(_S.IC_ACCEPTED, _NOTHING, True, _KEEP, Bound.KEEP, "RFC 6026 7.2"),
    (_S.IC_ACCEPTED, _I.EXPIRE): Row(_S.TERMINATED, *_END, "RFC 6026 7.2"),
    (_S.IC_COMPLETED, _I.FAILURE): Row(_S.IC_COMPLETED, _KEPT, False, _KEEP, Bound.KEEP, "RFC 3261 17.1.1.2"),
    (_S.IC_COMPLETED, _I.EXPIRE): Row(_S.TERMINATED, *_END, "RFC 3261 17.1.1.2"),
    (_S.PC_TRYING, _I.PROVISIONAL): Row(_S.PC_PROCEEDING, _NOTHING, False, Again.T2, Bound.KEEP, "RFC 3261 17.1.2.2"),
    (_S.PC_TRYING, _I.SUCCESS): Row(_S.PC_COMPLETED, _NOTHING, True, _STOP, Bound.K, "RFC 3261 17.1.2.2"),
    (_S.PC_TRYING, _I.FAILURE): Row(_S.PC_COMPLETED, _NOTHING, True, _STOP, Bound.K, "RFC 3261 17.1.2.2"),
    (_S.PC_TRYING, _I.RESEND): Row(_S.PC_TRYING, _KEPT, False, Again.DOUBLE_T2, Bound.KEEP, "RFC 3261 17.1.2.2"),
    (_S.PC_TRYING, _I.EXPIRE): Row(_S.TERMINATED, _NOTHING, True, _STOP, Bound.STOP, "RFC 3261 17.1.2.2"),
    (_S.PC_TRYING, _I.ERROR): Row(_S.TERMINATED, _NOTHING, True, _STOP, Bound.STOP, "RFC 3261 17.1.4"),
    (_S.PC_PROCEEDING, _I.SUCCESS): Row(_S.PC_COMPLETED, _NOTHING, True, _STOP, Bound.K, "RFC 3261 17.1.2.2"),
    (_S.PC_PROCEEDING, _I.FAILURE): Row(_S.PC_COMPLETED, _NOTHING, True, _STOP, Bound.K, "RFC 3261 17.1.2.2"),
    (_S.PC_PROCEEDING, _I.RESEND): Row(_S.PC_PROCEEDING, _KEPT, False, Again.T2, Bound.KEEP, "RFC 3261 17.1.2.2"),
    (_S.PC_PROCEEDING, _I.EXPIRE): Row(_S.TERMINATED, _NOTHING, True, _STOP, Bound.STOP, "RFC 3261 17.1.2.2"),
    (_S.PC_COMPLETED, _I.EXPIRE): Row(_S.TERMINATED, *_END, "RFC 3261 17.1.2.2"),
    (_S.IS_PROCEEDING, _I.REQUEST): Row(_S.IS_PROCEEDING, _KEPT, False, _KEEP, Bound.KEEP, "RFC 3261 17.2.1"),
    (_S.IS_PROCEEDING, _I.PROVISIONAL): Row(_S.IS_PROCEEDING, _KEPT, False, _KEEP, Bound.KEEP, "RFC 3261 17.2.1"),
    (_S.IS_PROCEEDING, _I.SUCCESS): Row(_S.IS_ACCEPTED, _KEPT, False, _KEEP, Bound.L, "RFC 6026 7.1"),
    (_S.IS_PROCEEDING, _I.FAILURE): Row(_S.IS_COMPLETED, _KEPT, False, Again.START, Bound.H, "RFC 3261 17.2.1"),
    (_S.IS_ACCEPTED, _I.ACK): Row(_S.IS_ACCEPTED, _NOTHING, True, _KEEP, Bound.KEEP, "RFC 6026 7.1"),
    (_S.IS_ACCEPTED, _I.EXPIRE): Row(_S.TERMINATED, *_END, "RFC 6026 7.1"),
    (_S.IS_COMPLETED, _I.REQUEST): Row(_S.IS_COMPLETED, _KEPT, False, _KEEP, Bound.KEEP, "RFC 3261 17.2.1"),
    (_S.IS_COMPLETED, _I.RESEND): Row(_S.IS_COMPLETED, _KEPT, False, Again.DOUBLE_T2, Bound.KEEP, "RFC 3261 17.2.1"),
    (_S.IS_COMPLETED, _I.ACK): Row(_S.IS_CONFIRMED, _NOTHING, False, _STOP, Bound.I, "RFC 3261 17.2.1"),
    (_S.IS_COMPLETED, _I.EXPIRE): Row(_S.TERMINATED, *_END, "RFC 3261 17.2.1"),
    (_S.IS_COMPLETED, _I.ERROR): Row(_S.TERMINATED, *_END, "RFC 3261 17.2.4"),
    (_S.IS_CONFIRMED, _I.EXPIRE): Row(_S.TERMINATED, *_END, "RFC 3261 17.2.1"),
    (_S.PS_TRYING, _I.PROVISIONAL): Row(_S.PS_PROCEEDING, _KEPT, False, _KEEP, Bound.KEEP, "RFC 3261 17.2.2"),
    (_S.PS_TRYING, _I.SUCCESS): Row(_S.PS_COMPLETED, _KEPT, False, _KEEP, Bound.J, "RFC 3261 17.2.2"),
    (_S.PS_TRYING, _I.FAILURE): Row(_S.PS_COMPLETED, _KEPT, False, _KEEP, Bound.J, "RFC 3261 17.2.2"),
    (_S.PS_TRYING, _I.EXPIRE): Row(_S.TERMINATED, _NOTHING, True, _STOP, Bound.STOP, "ours"),
    (_S.PS_PROCEEDING, _I.REQUEST): Row(_S.PS_PROCEEDING, _KEPT, False, _KEEP, Bound.KEEP, "RFC 3261 17.2.2"),
    (_S.PS_PROCEEDING, _I.PROVISIONAL): Row(_S.PS_PROCEEDING, _KEPT, False, _KEEP, Bound.KEEP, "RFC 3261 17.2.2"),
    (_S.PS_PROCEEDING, _I.SUCCESS): Row(_S.PS_COMPLETED, _KEPT, False, _KEEP, Bound.J, "RFC 3261 17.2.2"),
    (_S.PS_PROCEEDING, _I.FAILURE): Row(_S.PS_COMPLETED, _KEPT, False, _KEEP, Bound.J, "RFC 3261 17.2.2"),
    (_S.PS_PROCEEDING, _I.EXPIRE): Row(_S.TERMINATED, _NOTHING, True, _STOP, Bound.STOP, "ours"),
    (_S.PS_COMPLETED, _I.REQUEST): Row(_S.PS_COMPLETED, _KEPT, False, _KEEP, Bound.KEEP, "RFC 3261 17.2.2"),
    (_S.PS_COMPLETED, _I.EXPIRE): Row(_S.TERMINATED, *_END, "RFC 3261 17.2.2"),
}

# Timers A, E and G are off and D, I, J and K are 0 where the transport repeats by itself.
_AT_ONCE = (Bound.D, Bound.I, Bound.J, Bound.K)


def reliable(row: Row) -> Row:
    """The row as it is over a stream: nothing is sent again, no wait for late copies (RFC 3261 sections 17.1.1.2,
    17.1.2.2, 17.2.1, 17.2.2)."""
    if row.bound in _AT_ONCE:
        return row._replace(next=State.TERMINATED, again=Again.STOP, bound=Bound.STOP)
    return row if row.again is Again.KEEP else row._replace(again=Again.STOP)


# The same rows by state * INPUTS + input: an index is a third of a tuple look-up.
INPUTS = len(Input)
ROWS: tuple[Row | None, ...] = tuple(TRANSITIONS.get((state, event)) for state in State for event in Input)
RELIABLE_ROWS: tuple[Row | None, ...] = tuple(row and reliable(row) for row in ROWS)
RELIABLE_INITIAL: dict[State, Row] = {state: reliable(row) for state, row in INITIAL.items()}


class LegState(IntEnum):
    """Where a leg stands; OUTGOING to ANSWERED are a caller's, INCOMING, ANSWERING (a 2xx waits
    for PRACK) and ACCEPTED a callee's; the INVITE of a FORWARDED one is somebody else's to answer."""

    OUTGOING = 0
    PROCEEDING = 1
    CANCELLING = 2
    ANSWERED = 3
    INCOMING = 4
    ACCEPTED = 5
    CONFIRMED = 6
    CLOSING = 7
    GONE = 8
    ANSWERING = 9
    FORWARDED = 10


class LegInput(IntEnum):
    """What the program asks of a leg, then (from GOT_PROVISIONAL on) what the peer or time brings."""

    PROVISIONAL = 0
    ACCEPT = 1
    REJECT = 2
    ACK = 3
    CANCEL = 4
    BYE = 5
    OFFER = 6
    SEND = 7
    GOT_PROVISIONAL = 8
    GOT_SUCCESS = 9
    GOT_FAILURE = 10
    GOT_ACK = 11
    GOT_CANCEL = 12
    GOT_BYE = 13
    TIMED_OUT = 14
    GOT_PRACK = 15
    FORWARD = 16


_L, _D = LegState, LegInput

LEG_TRANSITIONS: dict[tuple[LegState, LegInput], LegState] = {
    (_L.OUTGOING, _D.OFFER): _L.OUTGOING,
    (_L.OUTGOING, _D.CANCEL): _L.CANCELLING,
    (_L.OUTGOING, _D.GOT_PROVISIONAL): _L.PROCEEDING,
    (_L.OUTGOING, _D.GOT_SUCCESS): _L.ANSWERED,
    (_L.OUTGOING, _D.GOT_FAILURE): _L.GONE,
    (_L.OUTGOING, _D.TIMED_OUT): _L.GONE,
    (_L.PROCEEDING, _D.SEND): _L.PROCEEDING,
    (_L.PROCEEDING, _D.OFFER): _L.PROCEEDING,
    (_L.PROCEEDING, _D.CANCEL): _L.CANCELLING,
    (_L.PROCEEDING, _D.GOT_PROVISIONAL): _L.PROCEEDING,
    (_L.PROCEEDING, _D.GOT_SUCCESS): _L.ANSWERED,
    (_L.PROCEEDING, _D.GOT_FAILURE): _L.GONE,
    (_L.PROCEEDING, _D.TIMED_OUT): _L.CANCELLING,
    (_L.CANCELLING, _D.GOT_PROVISIONAL): _L.CANCELLING,
    (_L.CANCELLING, _D.GOT_SUCCESS): _L.GONE,
    (_L.CANCELLING, _D.GOT_FAILURE): _L.GONE,
    (_L.CANCELLING, _D.TIMED_OUT): _L.GONE,
    (_L.ANSWERED, _D.ACK): _L.CONFIRMED,
    (_L.ANSWERED, _D.SEND): _L.ANSWERED,
    (_L.ANSWERED, _D.OFFER): _L.ANSWERED,
    (_L.ANSWERED, _D.BYE): _L.CLOSING,
    (_L.ANSWERED, _D.GOT_BYE): _L.GONE,
    (_L.ANSWERED, _D.TIMED_OUT): _L.CLOSING,
    (_L.INCOMING, _D.PROVISIONAL): _L.INCOMING,
    (_L.INCOMING, _D.ACCEPT): _L.ACCEPTED,
    (_L.INCOMING, _D.REJECT): _L.GONE,
    (_L.INCOMING, _D.SEND): _L.INCOMING,
    (_L.INCOMING, _D.OFFER): _L.INCOMING,
    (_L.INCOMING, _D.GOT_CANCEL): _L.GONE,
    (_L.INCOMING, _D.GOT_BYE): _L.GONE,
    (_L.INCOMING, _D.TIMED_OUT): _L.GONE,
    (_L.INCOMING, _D.FORWARD): _L.FORWARDED,
    (_L.FORWARDED, _D.GOT_FAILURE): _L.INCOMING,
    (_L.FORWARDED, _D.GOT_SUCCESS): _L.GONE,
    (_L.FORWARDED, _D.GOT_CANCEL): _L.GONE,
    (_L.ANSWERING, _D.SEND): _L.ANSWERING,
    (_L.ANSWERING, _D.OFFER): _L.ANSWERING,
    (_L.ANSWERING, _D.REJECT): _L.GONE,
    (_L.ANSWERING, _D.BYE): _L.GONE,
    (_L.ANSWERING, _D.GOT_PRACK): _L.ACCEPTED,
    (_L.ANSWERING, _D.GOT_CANCEL): _L.GONE,
    (_L.ANSWERING, _D.GOT_BYE): _L.GONE,
    (_L.ANSWERING, _D.TIMED_OUT): _L.GONE,
    (_L.ACCEPTED, _D.SEND): _L.ACCEPTED,
    (_L.ACCEPTED, _D.OFFER): _L.ACCEPTED,
    (_L.ACCEPTED, _D.BYE): _L.CLOSING,
    (_L.ACCEPTED, _D.GOT_ACK): _L.CONFIRMED,
    (_L.ACCEPTED, _D.GOT_BYE): _L.GONE,
    (_L.ACCEPTED, _D.TIMED_OUT): _L.CLOSING,
    (_L.CONFIRMED, _D.ACK): _L.CONFIRMED,
    (_L.CONFIRMED, _D.SEND): _L.CONFIRMED,
    (_L.CONFIRMED, _D.OFFER): _L.CONFIRMED,
    (_L.CONFIRMED, _D.BYE): _L.CLOSING,
    (_L.CONFIRMED, _D.GOT_ACK): _L.CONFIRMED,
    (_L.CONFIRMED, _D.GOT_BYE): _L.GONE,
    (_L.CONFIRMED, _D.TIMED_OUT): _L.CLOSING,
    (_L.CLOSING, _D.GOT_ACK): _L.CLOSING,
    (_L.CLOSING, _D.GOT_BYE): _L.GONE,
    (_L.CLOSING, _D.GOT_SUCCESS): _L.GONE,
    (_L.CLOSING, _D.GOT_FAILURE): _L.GONE,
    (_L.CLOSING, _D.TIMED_OUT): _L.GONE,
}
