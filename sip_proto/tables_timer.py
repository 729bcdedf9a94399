"""Session timers as data: who refreshes, by what the request and the 2xx say (RFC 4028 sections 7 to 9), and the states
of one leg's timer.

"uac" and "uas" mean the sender of the request at hand and its answerer, whoever began the dialog.
"""

from enum import IntEnum
from typing import NamedTuple


class Refresher(IntEnum):
    """Who refreshes the session of a leg; NOBODY before anything is agreed."""

    NOBODY = 0
    WE = 1
    PEER = 2


class Says(IntEnum):
    """What a message says of the session: no Session-Expires, one without refresher, one with it."""

    NOTHING = 0
    INTERVAL = 1
    UAC = 2
    UAS = 3


class AnswerRow(NamedTuple):
    """Who refreshes from our 2xx on, whether it has Require: timer, and the source."""

    refresher: Refresher
    require: bool
    source: str


class AnsweredRow(NamedTuple):
    """Who refreshes from the peer's 2xx on, whether the peer agreed to it, and the source."""

    refresher: Refresher
    agreed: bool
    source: str


_R, _Says = Refresher, Says

# What our request names as its refresher, by who it is now: the role stays where it is (RFC 4028 section 7.4).
REQUEST_ROWS: dict[Refresher, Says] = {
    _R.NOBODY: _Says.INTERVAL,
    _R.WE: _Says.UAC,
    _R.PEER: _Says.UAS,
}

# By whether the peer's request supports "timer", what it says, and who refreshes now.
ANSWER_ROWS: dict[tuple[bool, Says, Refresher], AnswerRow] = {
    (False, _Says.NOTHING, _R.NOBODY): AnswerRow(_R.WE, False, "RFC 4028 9, row 1; ours without an interval"),
    (False, _Says.NOTHING, _R.WE): AnswerRow(_R.WE, False, "RFC 4028 9, row 1; ours without an interval"),
    (False, _Says.NOTHING, _R.PEER): AnswerRow(_R.WE, False, "RFC 4028 9, row 1; ours without an interval"),
    (False, _Says.INTERVAL, _R.NOBODY): AnswerRow(_R.WE, False, "RFC 4028 9, row 1"),
    (False, _Says.INTERVAL, _R.WE): AnswerRow(_R.WE, False, "RFC 4028 9, row 1"),
    (False, _Says.INTERVAL, _R.PEER): AnswerRow(_R.WE, False, "RFC 4028 9, row 1"),
    # Rows 2 and 3 of the RFC cannot be; to refresh ourselves harms nobody, whatever the peer will do.
    (False, _Says.UAC, _R.NOBODY): AnswerRow(_R.WE, False, "ours"),
    (False, _Says.UAC, _R.WE): AnswerRow(_R.WE, False, "ours"),
    (False, _Says.UAC, _R.PEER): AnswerRow(_R.WE, False, "ours"),
    (False, _Says.UAS, _R.NOBODY): AnswerRow(_R.WE, False, "ours"),
    (False, _Says.UAS, _R.WE): AnswerRow(_R.WE, False, "ours"),
    (False, _Says.UAS, _R.PEER): AnswerRow(_R.WE, False, "ours"),
    # Row 4 leaves the choice: the role stays, at first it is whose wish the timer is.
    (True, _Says.NOTHING, _R.NOBODY): AnswerRow(_R.WE, True, "RFC 4028 9, row 4"),
    (True, _Says.NOTHING, _R.WE): AnswerRow(_R.WE, True, "RFC 4028 9, row 4"),
    (True, _Says.NOTHING, _R.PEER): AnswerRow(_R.PEER, True, "RFC 4028 9, row 4"),
    (True, _Says.INTERVAL, _R.NOBODY): AnswerRow(_R.PEER, True, "RFC 4028 9, row 4"),
    (True, _Says.INTERVAL, _R.WE): AnswerRow(_R.WE, True, "RFC 4028 9, row 4"),
    (True, _Says.INTERVAL, _R.PEER): AnswerRow(_R.PEER, True, "RFC 4028 9, row 4"),
    (True, _Says.UAC, _R.NOBODY): AnswerRow(_R.PEER, True, "RFC 4028 9, row 5"),
    (True, _Says.UAC, _R.WE): AnswerRow(_R.PEER, True, "RFC 4028 9, row 5"),
    (True, _Says.UAC, _R.PEER): AnswerRow(_R.PEER, True, "RFC 4028 9, row 5"),
    (True, _Says.UAS, _R.NOBODY): AnswerRow(_R.WE, True, "RFC 4028 9, row 6"),
    (True, _Says.UAS, _R.WE): AnswerRow(_R.WE, True, "RFC 4028 9, row 6"),
    (True, _Says.UAS, _R.PEER): AnswerRow(_R.WE, True, "RFC 4028 9, row 6"),
}

# By what the peer's 2xx says. One that says nothing is from a peer without timers: we refresh alone.
ANSWERED_ROWS: dict[Says, AnsweredRow] = {
    _Says.NOTHING: AnsweredRow(_R.WE, False, "ours; RFC 4028 7.2 needs no refresh"),
    _Says.INTERVAL: AnsweredRow(_R.WE, True, "ours"),
    _Says.UAC: AnsweredRow(_R.WE, True, "RFC 4028 7.2"),
    _Says.UAS: AnsweredRow(_R.PEER, True, "RFC 4028 7.2"),
}


class SessionState(IntEnum):
    """IDLE until something is agreed; OURS waits until we refresh, DUE for the answer to that, THEIRS for the peer's
    refresh."""

    IDLE = 0
    OURS = 1
    DUE = 2
    THEIRS = 3
    OVER = 4


class SessionInput(IntEnum):
    """WE and PEER are a 2xx either way with its refresher, REFUSED a refresh of ours that was not answered with one;
    HALF and END are time."""

    WE = 0
    PEER = 1
    REFUSED = 2
    HALF = 3
    END = 4


_S, _I = SessionState, SessionInput

SESSION_TRANSITIONS: dict[tuple[SessionState, SessionInput], SessionState] = {
    (_S.IDLE, _I.WE): _S.OURS,
    (_S.IDLE, _I.PEER): _S.THEIRS,
    (_S.OURS, _I.WE): _S.OURS,
    (_S.OURS, _I.PEER): _S.THEIRS,
    (_S.OURS, _I.HALF): _S.DUE,
    (_S.OURS, _I.END): _S.OVER,
    (_S.DUE, _I.WE): _S.OURS,
    (_S.DUE, _I.PEER): _S.THEIRS,
    (_S.DUE, _I.REFUSED): _S.OURS,
    (_S.DUE, _I.END): _S.OVER,
    (_S.THEIRS, _I.WE): _S.OURS,
    (_S.THEIRS, _I.PEER): _S.THEIRS,
    (_S.THEIRS, _I.END): _S.OVER,
}
