"""Two answered phones that had others to talk to, and talk to each other from now on (RFC 3725, flow I).

The first is asked for an offer, which goes to the second, whose answer goes back in the first one's ACK. Two that talk
to each other already, and have come to disagree, are brought together so as well: one way round, then the other.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from cluster_core.outputs import AnyOutput
from cluster_core.records import CallRecord, PartyRecord
from cluster_core.session_controller import media
from cluster_core.session_controller.calls import Calls
from cluster_core.session_controller.legs import Legs, Stage
from cluster_core.session_controller.talk import Talk, stillness


class Join(msgspec.Struct):
    """Two legs on their way together; `offer` is the endpoint's number of the offer that waits for an answer, `turns`
    how often the other one may still be asked first (None: it is not, as they may yet agree on what is known of them).
    """

    first: int
    second: int
    offer: int = 0
    asked: bool = False
    turns: int | None = None


class Joins:
    """Every pair of legs that is being joined, and those that wait until other offers on them are done."""

    def __init__(self, calls: Calls, legs: Legs, talk: Talk) -> None:
        self._calls = calls
        self._legs = legs
        self._talk = talk
        talk.apart = self.mend
        self.apart: Callable[[int, CallRecord, list[AnyOutput]], None]
        self._joins: dict[int, Join] = {}
        self.waiting: dict[int, Join] = {}

    def __len__(self) -> int:
        return len(self._joins) + len(self.waiting)

    def begin(self, now: int, first: PartyRecord, second: PartyRecord, out: list[AnyOutput]) -> None:
        """Join two answered legs, as soon as nothing else is offered on them."""
        self.waiting[first.leg] = Join(first.leg, second.leg)
        self.serve(now, out)

    def mend(self, now: int, first: PartyRecord, second: PartyRecord, out: list[AnyOutput]) -> None:
        """Two answered legs have refused each other's descriptions, and offers on the way back: they agree on a new
        session, or the call is over.
        """
        self._mend(now, first.leg, second.leg, 1, out)

    def serve(self, now: int, out: list[AnyOutput]) -> None:
        """Begin with those that need not wait any longer."""
        for join in list(self.waiting.values()):
            first, second = self._calls.of_leg(join.first), self._calls.of_leg(join.second)
            if first is None or second is None:
                del self.waiting[join.first]
            elif not self._talk.has(join.first) and not self._talk.has(join.second):
                del self.waiting[join.first]
                self._talk.begin(now, first, second)
                self._joins[join.first] = self._joins[join.second] = join
                self._offer(now, join, first, second, b"", out)

    def offer_answered(
        self, now: int, party: PartyRecord, offer: int, body: bytes, out: list[AnyOutput]
    ) -> bool:
        """A phone made the offer that it was asked for, or answered; False when this is about something else."""
        join = self._of(party.leg, offer)
        if join is None:
            return False
        first, second = self._parties(join)
        party.sdp = body or party.sdp
        self._calls.keep(self._calls.calls[party.conn_id], party)
        if not join.asked:
            join.asked = True
            told = self._legs.shape(second, body, self._direction(first, second))
            if not self._offer(now, join, second, first, told, out):
                self._alone(now, first)
            return True
        self._end(now, join, out)
        self._legs.ack(now, first.leg, self._legs.shape(first, body, self._direction(first, second)))
        return True

    def offer_refused(self, now: int, party: PartyRecord, offer: int, out: list[AnyOutput]) -> bool:
        """A phone makes no offer: it gets the other one's. One that does not answer has nobody to talk to."""
        join = self._of(party.leg, offer)
        if join is None:
            return False
        first, second = self._parties(join)
        if join.asked:
            self._alone(now, first)
        self._end(now, join, out)
        if join.turns:
            self._mend(now, second.leg, first.leg, join.turns - 1, out)
        elif join.asked or join.turns is not None:
            self.apart(now, self._calls.calls[party.conn_id], out)
        else:
            self._talk.refresh(now, first, out)
            self._talk.refresh(now, second, out)
        return True

    def gone(self, leg: int) -> None:
        """A leg is over."""
        join = self._joins.get(leg)
        if join is not None:
            del self._joins[join.first], self._joins[join.second]
        self.waiting.pop(leg, None)

    def _mend(self, now: int, first: int, second: int, turns: int, out: list[AnyOutput]) -> None:
        both = (first, second)
        there = all(self._legs.stage(leg) is Stage.ANSWERED for leg in both)
        if there and not any(leg in self._joins or leg in self.waiting for leg in both):
            self.waiting[first] = Join(first, second, turns=turns)
            self.serve(now, out)

    def _direction(self, first: PartyRecord, second: PartyRecord) -> str | None:
        """Whoever is held by a program hears nothing (RFC 3264 section 8.4)."""
        return stillness(first) or stillness(second)

    def _parties(self, join: Join) -> tuple[PartyRecord, PartyRecord]:
        first, second = self._calls.of_leg(join.first), self._calls.of_leg(join.second)
        assert first is not None, "the legs of a join have parties"
        assert second is not None, "the legs of a join have parties"
        return first, second

    def _alone(self, now: int, first: PartyRecord) -> None:
        """Whoever made an offer gets an answer, though nobody hears it."""
        answer = media.held_answer(first.sdp, self._legs.host)
        self._legs.ack(now, first.leg, self._legs.shape(first, answer))

    def _of(self, leg: int, offer: int) -> Join | None:
        join = self._joins.get(leg)
        return None if join is None or join.offer != offer else join

    def _end(self, now: int, join: Join, out: list[AnyOutput]) -> None:
        self.gone(join.first)
        self._talk.begun(now, join.first, out)

    def _offer(
        self, now: int, join: Join, to: PartyRecord, about: PartyRecord, body: bytes, out: list[AnyOutput]
    ) -> bool:
        """Offer, and say who is at the other end now; a leg that takes no offer is closing, and word of it follows."""
        join.offer = self._legs.offer(now, to.leg, body, about.dn)
        if not join.offer:
            self._end(now, join, out)
        return join.offer > 0
