"""Offers and answers between the legs of a call, as records: who asked whom, who still owes what (RFC 3264, 3725).

The SIP endpoint keeps order on each leg; this table keeps it between legs: a leg takes part in one exchange at a time,
and what comes meanwhile waits for its end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import IntEnum

import msgspec

from cluster_core.session_controller.tables import PartyInput


class Kind(IntEnum):
    """What an exchange is for."""

    PASSED = 0
    ASKED = 1
    PROGRAM = 2
    BACK = 3
    BEGIN = 4


class Exchange(msgspec.Struct):
    """One exchange: PASSED brings a phone's `offer` to the other phone; ASKED lets the other phone make the offer that
    the asker wants; PROGRAM offers the same to both; BACK tells phones again what was; BEGIN is that of two legs which
    another room brings together.

    `open` are the legs with an offer of ours and its number, `said` what it was, `answers` what those said that have
    answered (of BACK: what they had agreed to, and are to forget), `asker` the leg whose offer it is (0: ours), `owed`
    the leg whose 2xx waits for an ACK with the asker's answer. `known` is what the phone at the other
    end of a leg knows of it; it is told when that leg agrees to something else.
    """

    kind: Kind
    legs: tuple[int, ...]
    open: dict[int, int]
    asker: int = 0
    offer: bytes = b""
    owed: int = 0
    said: dict[int, bytes] = {}
    answers: dict[int, bytes] = {}
    party: int = 0
    given: PartyInput = PartyInput.HOLD
    failed: bool = False
    known: dict[int, bytes] = {}


class Wish(msgspec.Struct, frozen=True):
    """What waits for a leg: a phone's `offer`, a program's hold or retrieve, or (BACK) that it is told what is now.

    BACK with an `offer` is for a phone that has agreed to that, and is to forget it; with `before` it is void when the
    phone's description is another one by then.
    """

    kind: Kind
    offer: bytes = b""
    given: PartyInput = PartyInput.HOLD
    before: bytes = b""


class Exchanges:
    """Exchanges by leg, and wishes by the leg that has them."""

    def __init__(self) -> None:
        self._by_leg: dict[int, Exchange] = {}
        self._wishes: dict[int, deque[Wish]] = {}

    def __len__(self) -> int:
        return len(self._by_leg) + len(self._wishes)

    def of(self, leg: int) -> Exchange | None:
        """The exchange that a leg takes part in."""
        return self._by_leg.get(leg)

    def begin(self, exchange: Exchange) -> Exchange:
        """An exchange holds its legs until it ends."""
        for leg in exchange.legs:
            assert leg not in self._by_leg
            self._by_leg[leg] = exchange
        return exchange

    def end(self, exchange: Exchange) -> tuple[int, ...]:
        """The exchange is over; the legs that were in it and are still there."""
        return tuple(leg for leg in exchange.legs if self._by_leg.pop(leg, None) is not None)

    def wait(self, leg: int, wish: Wish) -> None:
        """A wish that cannot be served now; who wishes has made sure that it is not there yet, which bounds them."""
        self._wishes.setdefault(leg, deque()).append(wish)

    def next(self, legs: Iterable[int]) -> tuple[int, Wish] | None:
        """The wish to serve next of these legs, taken: a phone's offer first, as nothing can be offered to that phone
        before it has its answer; then as they came."""
        there = [(leg, wishes) for leg in legs if (wishes := self._wishes.get(leg)) is not None]
        for leg, wishes in there:
            for wish in wishes:
                if wish.kind is Kind.PASSED:
                    self._take(leg, wish)
                    return leg, wish
        for leg, wishes in there:
            wish = wishes[0]
            self._take(leg, wish)
            return leg, wish
        return None

    def offers(self, leg: int) -> Wish | None:
        """The phone's offer that waits, if one does."""
        return next((wish for wish in self._wishes.get(leg, ()) if wish.kind is Kind.PASSED), None)

    def withdraw(self, leg: int) -> bool:
        """A phone takes back the offer that waits; False when none does."""
        wish = self.offers(leg)
        if wish is not None:
            self._take(leg, wish)
        return wish is not None

    def _take(self, leg: int, wish: Wish) -> None:
        wishes = self._wishes[leg]
        wishes.remove(wish)
        if not wishes:
            del self._wishes[leg]

    def gone(self, leg: int) -> Exchange | None:
        """A leg is over: nothing of it waits; the exchange that it was in goes on without it."""
        if self._wishes:
            self._wishes.pop(leg, None)
        return self._by_leg.pop(leg, None) if self._by_leg else None
