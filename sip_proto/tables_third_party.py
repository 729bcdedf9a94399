"""Third-party call control as data: flows I, III and IV of RFC 3725 section 4, and what ends each of them.

A is the side that is called first, B the other. An input without a row changes nothing, or is the caller's fault where
a program asks for it.
"""

from enum import IntEnum
from typing import NamedTuple


class Flow(IntEnum):
    """The flows of RFC 3725 by their numbers; II is left out, as its offers can go round for ever."""

    I = 1  # noqa: E741 - the RFC's number
    III = 3
    IV = 4


class Side(IntEnum):
    """A is called first."""

    A = 0
    B = 1


class ThirdPartyState(IntEnum):
    """What is awaited: A_OFFERS, A_HELD and A_NOTHING A's 2xx in flows I, III and IV; B_ANSWERS and B_OFFERS B's 2xx;
    A_ANSWERS A's answer to B's offer."""

    IDLE = 0
    A_OFFERS = 1
    A_HELD = 2
    A_NOTHING = 3
    B_ANSWERS = 4
    B_OFFERS = 5
    A_ANSWERS = 6
    JOINED = 7
    BROKEN = 8


class ThirdPartyInput(IntEnum):
    """What the program asks, then (from A_ANSWERED on) what a side brings; EMPTY is a 2xx that lacks its description,
    REFUSED an INVITE or an offer that failed, ENDED a call that is over."""

    START_I = 0
    START_III = 1
    START_IV = 2
    STOP = 3
    A_ANSWERED = 4
    A_EMPTY = 5
    A_OFFER_ANSWERED = 6
    A_REFUSED = 7
    A_ENDED = 8
    B_ANSWERED = 9
    B_EMPTY = 10
    B_REFUSED = 11
    B_ENDED = 12


class Deed(IntEnum):
    """What the call engine is to do; "held" is an answer that takes every stream as inactive, "refused" one that takes
    none."""

    INVITE_A_EMPTY = 0
    INVITE_A_NOTHING = 1
    INVITE_B_OFFER = 2
    INVITE_B_EMPTY = 3
    ACK_A = 4
    ACK_A_HELD = 5
    ACK_A_ANSWER = 6
    ACK_A_REFUSED = 7
    ACK_B = 8
    ACK_B_ANSWER = 9
    ACK_B_REFUSED = 10
    OFFER_A = 11
    END_A = 12
    END_B = 13
    SAY_JOINED = 14
    SAY_A_BROKE = 15
    SAY_B_BROKE = 16
    SAY_STOPPED = 17


class ThirdPartyRow(NamedTuple):
    """Where an input leads, what is done, in order, and the source."""

    next: ThirdPartyState
    deeds: tuple[Deed, ...]
    source: str


_S, _I, _D, _Row = ThirdPartyState, ThirdPartyInput, Deed, ThirdPartyRow
_ONE, _THREE, _FOUR = "RFC 3725 4.1", "RFC 3725 4.3", "RFC 3725 4.4"
_ERRORS = "RFC 3725 6"

THIRD_PARTY_TRANSITIONS: dict[tuple[ThirdPartyState, ThirdPartyInput], ThirdPartyRow] = {
    (_S.IDLE, _I.START_I): _Row(_S.A_OFFERS, (_D.INVITE_A_EMPTY,), _ONE),
    (_S.IDLE, _I.START_III): _Row(_S.A_HELD, (_D.INVITE_A_EMPTY,), _THREE),
    (_S.IDLE, _I.START_IV): _Row(_S.A_NOTHING, (_D.INVITE_A_NOTHING,), _FOUR),
    (_S.A_OFFERS, _I.A_ANSWERED): _Row(_S.B_ANSWERS, (_D.INVITE_B_OFFER,), _ONE),
    (_S.A_OFFERS, _I.A_EMPTY): _Row(_S.BROKEN, (_D.ACK_A, _D.END_A, _D.SAY_A_BROKE), "RFC 3261 13.2.1"),
    (_S.A_OFFERS, _I.A_REFUSED): _Row(_S.BROKEN, (_D.SAY_A_BROKE,), _ERRORS),
    (_S.A_OFFERS, _I.A_ENDED): _Row(_S.BROKEN, (_D.SAY_A_BROKE,), "ours"),
    (_S.A_OFFERS, _I.STOP): _Row(_S.BROKEN, (_D.END_A, _D.SAY_STOPPED), "ours"),
    (_S.A_HELD, _I.A_ANSWERED): _Row(_S.B_OFFERS, (_D.ACK_A_HELD, _D.INVITE_B_EMPTY), _THREE),
    (_S.A_HELD, _I.A_EMPTY): _Row(_S.BROKEN, (_D.ACK_A, _D.END_A, _D.SAY_A_BROKE), "RFC 3261 13.2.1"),
    (_S.A_HELD, _I.A_REFUSED): _Row(_S.BROKEN, (_D.SAY_A_BROKE,), _ERRORS),
    (_S.A_HELD, _I.A_ENDED): _Row(_S.BROKEN, (_D.SAY_A_BROKE,), "ours"),
    (_S.A_HELD, _I.STOP): _Row(_S.BROKEN, (_D.END_A, _D.SAY_STOPPED), "ours"),
    (_S.A_NOTHING, _I.A_ANSWERED): _Row(_S.B_OFFERS, (_D.ACK_A, _D.INVITE_B_EMPTY), _FOUR),
    # The answer may have come before, in a reliable 1xx.
    (_S.A_NOTHING, _I.A_EMPTY): _Row(_S.B_OFFERS, (_D.ACK_A, _D.INVITE_B_EMPTY), "RFC 3262 5"),
    (_S.A_NOTHING, _I.A_REFUSED): _Row(_S.BROKEN, (_D.SAY_A_BROKE,), _ERRORS),
    (_S.A_NOTHING, _I.A_ENDED): _Row(_S.BROKEN, (_D.SAY_A_BROKE,), "ours"),
    (_S.A_NOTHING, _I.STOP): _Row(_S.BROKEN, (_D.END_A, _D.SAY_STOPPED), "ours"),
    (_S.B_ANSWERS, _I.B_ANSWERED): _Row(_S.JOINED, (_D.ACK_B, _D.ACK_A_ANSWER, _D.SAY_JOINED), _ONE),
    (_S.B_ANSWERS, _I.B_EMPTY): _Row(
        _S.BROKEN, (_D.ACK_B, _D.END_B, _D.ACK_A_REFUSED, _D.END_A, _D.SAY_B_BROKE), "RFC 3261 13.2.1"
    ),
    (_S.B_ANSWERS, _I.B_REFUSED): _Row(_S.BROKEN, (_D.ACK_A_REFUSED, _D.END_A, _D.SAY_B_BROKE), _ERRORS),
    (_S.B_ANSWERS, _I.B_ENDED): _Row(_S.BROKEN, (_D.ACK_A_REFUSED, _D.END_A, _D.SAY_B_BROKE), "ours"),
    (_S.B_ANSWERS, _I.A_ENDED): _Row(_S.BROKEN, (_D.END_B, _D.SAY_A_BROKE), "RFC 3725 7"),
    (_S.B_ANSWERS, _I.STOP): _Row(_S.BROKEN, (_D.ACK_A_REFUSED, _D.END_A, _D.END_B, _D.SAY_STOPPED), "ours"),
    (_S.B_OFFERS, _I.B_ANSWERED): _Row(_S.A_ANSWERS, (_D.OFFER_A,), "RFC 3725 4.3, 4.4"),
    (_S.B_OFFERS, _I.B_EMPTY): _Row(
        _S.BROKEN, (_D.ACK_B, _D.END_B, _D.END_A, _D.SAY_B_BROKE), "RFC 3261 13.2.1"
    ),
    (_S.B_OFFERS, _I.B_REFUSED): _Row(_S.BROKEN, (_D.END_A, _D.SAY_B_BROKE), _ERRORS),
    (_S.B_OFFERS, _I.B_ENDED): _Row(_S.BROKEN, (_D.END_A, _D.SAY_B_BROKE), "ours"),
    (_S.B_OFFERS, _I.A_ENDED): _Row(_S.BROKEN, (_D.END_B, _D.SAY_A_BROKE), "RFC 3725 7"),
    (_S.B_OFFERS, _I.STOP): _Row(_S.BROKEN, (_D.END_A, _D.END_B, _D.SAY_STOPPED), "ours"),
    (_S.A_ANSWERS, _I.A_OFFER_ANSWERED): _Row(_S.JOINED, (_D.ACK_B_ANSWER, _D.SAY_JOINED), "RFC 3725 4.3, 4.4"),
    (_S.A_ANSWERS, _I.A_REFUSED): _Row(_S.BROKEN, (_D.ACK_B_REFUSED, _D.END_B, _D.END_A, _D.SAY_A_BROKE), _ERRORS),
    (_S.A_ANSWERS, _I.A_ENDED): _Row(_S.BROKEN, (_D.ACK_B_REFUSED, _D.END_B, _D.SAY_A_BROKE), "RFC 3725 7"),
    (_S.A_ANSWERS, _I.B_ENDED): _Row(_S.BROKEN, (_D.END_A, _D.SAY_B_BROKE), "RFC 3725 7"),
    (_S.A_ANSWERS, _I.STOP): _Row(_S.BROKEN, (_D.ACK_B_REFUSED, _D.END_B, _D.END_A, _D.SAY_STOPPED), "ours"),
    # An answer that crossed its CANCEL: a call that nobody wants.
    (_S.BROKEN, _I.A_ANSWERED): _Row(_S.BROKEN, (_D.ACK_A_REFUSED, _D.END_A), "RFC 3261 9.1"),
    (_S.BROKEN, _I.A_EMPTY): _Row(_S.BROKEN, (_D.ACK_A, _D.END_A), "RFC 3261 9.1"),
    (_S.BROKEN, _I.B_ANSWERED): _Row(_S.BROKEN, (_D.ACK_B_REFUSED, _D.END_B), "RFC 3261 9.1"),
    (_S.BROKEN, _I.B_EMPTY): _Row(_S.BROKEN, (_D.ACK_B, _D.END_B), "RFC 3261 9.1"),
}
