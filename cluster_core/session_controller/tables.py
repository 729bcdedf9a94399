"""The call party as data: state and input give the next state and the event that tells it.

A party begins in NULL. A caller dials, a called phone rings, a call waits in a queue (a Routing Point); it is
connected, held, has somebody else at the other end after a transfer, and leaves. A pair without a row does not happen:
the input is passed over. Which CallState an event carries is told by whoever gives the input (published call models;
facts on event order).
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from tlib_proto import MessageType, PartyState


class PartyInput(IntEnum):
    """What can happen to a party."""

    DIAL = 0
    RING = 1
    QUEUE = 2
    ANSWER = 3
    HOLD = 4
    RETRIEVE = 5
    BUSY = 6
    RELEASE = 7
    ABANDON = 8
    DIVERT = 9
    CHANGE = 10


class Row(msgspec.Struct, frozen=True):
    """The next state, and the event of it."""

    next: PartyState
    event: MessageType


NULL = PartyState.NULL
DIALING = PartyState.Initiated
RINGING = PartyState.Alerting
QUEUED = PartyState.Queued
BUSY = PartyState.Busy
CONNECTED = PartyState.Connected
HELD = PartyState.Held

STATES = (NULL, DIALING, RINGING, QUEUED, BUSY, CONNECTED, HELD)

_ROWS: dict[tuple[PartyState, PartyInput], Row] = {
    (NULL, PartyInput.DIAL): Row(DIALING, MessageType.EventDialing),
    (NULL, PartyInput.RING): Row(RINGING, MessageType.EventRinging),
    (NULL, PartyInput.QUEUE): Row(QUEUED, MessageType.EventQueued),
    (DIALING, PartyInput.ANSWER): Row(CONNECTED, MessageType.EventEstablished),
    (DIALING, PartyInput.BUSY): Row(BUSY, MessageType.EventDestinationBusy),
    (DIALING, PartyInput.RELEASE): Row(NULL, MessageType.EventReleased),
    (DIALING, PartyInput.CHANGE): Row(DIALING, MessageType.EventPartyChanged),
    (BUSY, PartyInput.RELEASE): Row(NULL, MessageType.EventReleased),
    (RINGING, PartyInput.ANSWER): Row(CONNECTED, MessageType.EventEstablished),
    (RINGING, PartyInput.RELEASE): Row(NULL, MessageType.EventReleased),
    (RINGING, PartyInput.ABANDON): Row(NULL, MessageType.EventAbandoned),
    (RINGING, PartyInput.CHANGE): Row(RINGING, MessageType.EventPartyChanged),
    (QUEUED, PartyInput.DIVERT): Row(NULL, MessageType.EventDiverted),
    (QUEUED, PartyInput.ABANDON): Row(NULL, MessageType.EventAbandoned),
    (CONNECTED, PartyInput.HOLD): Row(HELD, MessageType.EventHeld),
    (CONNECTED, PartyInput.RELEASE): Row(NULL, MessageType.EventReleased),
    (CONNECTED, PartyInput.CHANGE): Row(CONNECTED, MessageType.EventPartyChanged),
    (HELD, PartyInput.RETRIEVE): Row(CONNECTED, MessageType.EventRetrieved),
    (HELD, PartyInput.RELEASE): Row(NULL, MessageType.EventReleased),
    (HELD, PartyInput.CHANGE): Row(HELD, MessageType.EventPartyChanged),
}

TRANSITIONS: dict[tuple[int, int], Row] = {(int(state), int(given)): row for (state, given), row in _ROWS.items()}
"""By plain numbers: a flag's hash is that of its name, and costs more than the look-up."""
