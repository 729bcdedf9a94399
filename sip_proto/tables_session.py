"""Offers and answers of a leg as data: whose offer is open, and what crosses it (RFC 3264, RFC 3261 section 14, RFC
3262, RFC 3311, RFC 6337).

One exchange is open at a time, whatever carries it: INVITE, a reliable 1xx, PRACK, 2xx, ACK or UPDATE.
"""

from enum import IntEnum


class OfferState(IntEnum):
    """Whose move it is."""

    # Nothing is open.
    STABLE = 0
    # Our offer is out.
    OFFERED = 1
    # Our request without an offer is out: the peer's response has it.
    ASKED = 2
    # The peer's offer waits for our answer.
    OWED = 3
    # The peer's request without an offer waits for ours.
    DUE = 4
    # Our offer went out in a response: PRACK or ACK has the answer.
    PROPOSED = 5
    # Our offer was refused because it crossed another: it goes out again after a while.
    WAITING = 6


class OfferInput(IntEnum):
    """What we send, what the peer sends, and time."""

    OFFER = 0
    ASK = 1
    ANSWER = 2
    PROPOSE = 3
    REFUSE = 4
    GOT_OFFER = 5
    GOT_ASK = 6
    GOT_ANSWER = 7
    GOT_REFUSAL = 8
    GOT_PENDING = 9
    AGAIN = 10
    # The early dialog that it was in is no more.
    ABANDON = 11


_S, _I = OfferState, OfferInput

OFFER_TRANSITIONS: dict[tuple[OfferState, OfferInput], OfferState] = {
    (_S.STABLE, _I.OFFER): _S.OFFERED,
    (_S.STABLE, _I.ASK): _S.ASKED,
    (_S.STABLE, _I.GOT_OFFER): _S.OWED,
    (_S.STABLE, _I.GOT_ASK): _S.DUE,
    (_S.OFFERED, _I.GOT_ANSWER): _S.STABLE,
    (_S.OFFERED, _I.GOT_REFUSAL): _S.STABLE,
    (_S.OFFERED, _I.GOT_PENDING): _S.WAITING,
    (_S.OFFERED, _I.ABANDON): _S.STABLE,
    (_S.ASKED, _I.GOT_OFFER): _S.OWED,
    (_S.ASKED, _I.GOT_REFUSAL): _S.STABLE,
    (_S.ASKED, _I.GOT_PENDING): _S.WAITING,
    (_S.OWED, _I.ANSWER): _S.STABLE,
    (_S.OWED, _I.REFUSE): _S.STABLE,
    # Our request failed although a provisional response to it had an offer.
    (_S.OWED, _I.GOT_REFUSAL): _S.STABLE,
    (_S.OWED, _I.ABANDON): _S.STABLE,
    (_S.DUE, _I.PROPOSE): _S.PROPOSED,
    (_S.DUE, _I.REFUSE): _S.STABLE,
    (_S.PROPOSED, _I.GOT_ANSWER): _S.STABLE,
    (_S.WAITING, _I.AGAIN): _S.STABLE,
    # What crossed ours comes first; ours follows when it is over.
    (_S.WAITING, _I.GOT_OFFER): _S.OWED,
    (_S.WAITING, _I.GOT_ASK): _S.DUE,
}

# What an offer of the peer gets that crosses what is open, and why; where there is no row it is taken.
CROSSINGS: dict[OfferState, tuple[int, str]] = {
    _S.OFFERED: (491, "RFC 3261 14.2, RFC 3311 5.2"),
    _S.ASKED: (491, "RFC 3261 14.2"),
    _S.PROPOSED: (491, "RFC 3311 5.2"),
    _S.OWED: (500, "RFC 3261 14.2, RFC 3311 5.2"),
    _S.DUE: (500, "RFC 3261 14.2"),
}
