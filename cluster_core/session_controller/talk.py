"""An answered call: hold and retrieve, by a phone or by a program, and offers on their way through (RFC 3264, 3725).

Each leg's endpoint sends one offer after the other and sends a refused one (491) again; here is what ties the legs. An
exchange that comes to nothing leaves every phone as it was: who had agreed to something new is offered what was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from cluster_core.core import Cause
from cluster_core.outputs import AnyOutput
from cluster_core.records import PartyRecord
from cluster_core.requests import Requests
from cluster_core.rights import Condition
from cluster_core.session_controller import media
from cluster_core.session_controller.calls import Calls
from cluster_core.session_controller.exchanges import Exchange, Exchanges, Kind, Wish
from cluster_core.session_controller.facing import Facing
from cluster_core.session_controller.legs import Legs, Stage, passed_on
from cluster_core.session_controller.tables import CONNECTED, HELD, PartyInput
from sip_proto import Request, description_of

_SOON = (("Retry-After", "2"),)
_FITTING = {PartyInput.HOLD: CONNECTED, PartyInput.RETRIEVE: HELD}


class Beginner(Protocol):
    """Who makes calls for programs, as talk sees it."""

    def offer_answered(self, now: int, party: PartyRecord, body: bytes, out: list[AnyOutput]) -> None:
        """A phone answered what `Talk.offer` offered it."""

    def offer_refused(self, now: int, leg: int, status: int, out: list[AnyOutput]) -> None:
        """A phone refused what `Talk.offer` offered it, or is gone."""


class Talk:
    """Offers and answers within answered calls."""

    def __init__(self, requests: Requests, calls: Calls, legs: Legs) -> None:
        self._requests = requests
        self._calls = calls
        self.facing = Facing(calls)
        self._legs = legs
        self._exchanges = Exchanges()
        self.beginner: Beginner
        self.apart: Callable[[int, PartyRecord, PartyRecord, list[AnyOutput]], None]

    def __len__(self) -> int:
        return len(self._exchanges) + len(self.facing)

    # Phones.

    def offered(self, now: int, party: PartyRecord, request: Request, out: list[AnyOutput]) -> None:
        """A phone offers something else, or asks for an offer: the other phone is asked, its answer goes back."""
        self._offered(now, party, description_of(request), out)

    def withdrawn(self, now: int, leg: int, out: list[AnyOutput]) -> None:
        """A phone takes its offer back: the other phone gets what was."""
        exchange = self._exchanges.of(leg)
        if not self._exchanges.withdraw(leg) and exchange is not None and exchange.asker == leg:
            self._withdraw(now, exchange, out)

    def offer_answered(self, now: int, party: PartyRecord, offer: int, body: bytes, out: list[AnyOutput]) -> None:
        """A phone answered our offer of that number, or made the one that we asked for."""
        exchange = self._exchanges.of(party.leg)
        if exchange is None or exchange.open.get(party.leg) != offer:
            return
        del exchange.open[party.leg]
        if exchange.kind is Kind.PASSED:
            self._passed(now, exchange, party, body, out)
        elif exchange.kind is Kind.ASKED:
            self._asked(now, exchange, party, body, out)
        elif exchange.kind is Kind.BEGIN:
            self.beginner.offer_answered(now, party, body, out)
        else:
            exchange.answers[party.leg] = body
            self._perhaps_done(now, exchange, out)

    def offer_refused(self, now: int, party: PartyRecord, offer: int, status: int, out: list[AnyOutput]) -> None:
        """A phone refused our offer of that number: what was stays."""
        exchange = self._exchanges.of(party.leg)
        if exchange is not None and exchange.open.get(party.leg) == offer:
            del exchange.open[party.leg]
            self._refused(now, exchange, status, out)

    def acked(self, now: int, leg: int, request: Request, out: list[AnyOutput]) -> None:
        """An ACK may carry the answer to an offer that the other phone made (RFC 3261 section 13.2.1)."""
        exchange = self._exchanges.of(leg)
        asker = self._calls.of_leg(leg)
        if exchange is None or asker is None or exchange.asker != leg or not exchange.owed:
            return
        party = self._calls.of_leg(exchange.owed)
        if party is not None:
            asker.sdp = description_of(request) or asker.sdp
            self._acknowledge(now, exchange, party, asker.sdp)
            self._keep(asker)
            self._by_phone(now, asker, description_of(request), out)
        self._end(now, exchange, out)

    # Programs, and the rooms beside this one.

    def program(
        self, now: int, party: PartyRecord, given: PartyInput, cause: Cause | None, out: list[AnyOutput]
    ) -> None:
        """THoldCall and TRetrieveCall: both phones get an offer from us; the event follows when both have answered."""
        other = self.facing.other(party)
        busy = other is not None and self._is_busy(party, other)
        if other is None or self._calls.is_expected(party, given) or not (busy or party.state == _FITTING[given]):
            self._requests.fail(now, cause, Condition.WRONG_STATE, out, dn=party.dn)
            return
        if cause is not None:
            self._calls.expect(party, given, cause)
        if busy:
            self._exchanges.wait(party.leg, Wish(Kind.PROGRAM, given=given))
        else:
            self._program(now, party, given, out)

    def late(self, asker: PartyRecord, owed: PartyRecord) -> None:
        """A caller that made no offer gets that of whom it called; its answer comes with its ACK."""
        self._exchanges.begin(Exchange(Kind.ASKED, (asker.leg, owed.leg), {}, asker.leg, owed=owed.leg))

    def begin(self, now: int, *parties: PartyRecord) -> None:
        """Another room's offers are under way on these legs: nothing else is, until `begun`."""
        for party in parties:
            self._defer(now, party.leg)
        self._exchanges.begin(Exchange(Kind.BEGIN, tuple(party.leg for party in parties), {}))

    def offer(
        self, now: int, party: PartyRecord, other: PartyRecord, sdp: bytes, out: list[AnyOutput]
    ) -> bool:
        """Offer a party what the other one says, for the beginner, who hears what comes of it; False when it cannot be.
        Both legs are taken until `begun`."""
        for leg in (party.leg, other.leg):
            self.drop(now, leg, out)
        number = self._legs.offer(now, party.leg, self._legs.shape(party, sdp), other.dn)
        legs = (party.leg, other.leg)
        self._exchanges.begin(Exchange(Kind.BEGIN, legs, {party.leg: number}, said={party.leg: sdp}))
        return number > 0

    def drop(self, now: int, leg: int, out: list[AnyOutput]) -> None:
        """Whatever is under way on a leg is taken back: a phone that asked for it tries again, a program is refused."""
        self._defer(now, leg)
        exchange = self._exchanges.of(leg)
        if exchange is None:
            return
        for open_leg, offered in exchange.open.items():
            self._legs.withdraw(now, open_leg, offered)
        self._legs.refuse_offer(now, exchange.asker, 491)
        self._fail(now, exchange, out)
        self._exchanges.end(exchange)

    def resume(self, now: int, party: PartyRecord, out: list[AnyOutput]) -> None:
        """Whom it waited for is gone: what a party waited with is served."""
        self._resume(now, party.leg, out)

    def goes_back(self, now: int, stays: PartyRecord, out: list[AnyOutput]) -> None:
        """Who was to come does not: who stays is offered again whom it talked to, if it has heard the other one."""
        heard = self.facing.gone(stays.leg)
        other = self._calls.other(stays)
        if heard is None or other is None:
            return
        self.drop(now, stays.leg, out)
        changed = other.sdp != heard.theirs
        direction = stillness(stays) or (None if changed else media.mirror(heard.mine))
        if self._tell(now, [(stays, other.sdp, direction)], about=other.dn):
            exchange = self._exchanges.of(stays.leg)
            assert exchange is not None
            exchange.known[stays.leg] = b"" if changed else heard.mine

    def is_begun(self, leg: int) -> bool:
        """Whether a leg is taken until `begun`."""
        exchange = self._exchanges.of(leg)
        return exchange is not None and exchange.kind is Kind.BEGIN

    def begun(self, now: int, leg: int, out: list[AnyOutput]) -> None:
        """What `begin` was said for is done."""
        exchange = self._exchanges.of(leg)
        if exchange is not None and exchange.kind is Kind.BEGIN:
            self._end(now, exchange, out)

    def refresh(self, now: int, party: PartyRecord, out: list[AnyOutput]) -> None:
        """A phone whose description is no longer what the other side does is offered what that does."""
        other = self.facing.other(party)
        if other is None or not other.sdp:
            return
        if self._is_busy(party, other):
            self._exchanges.wait(party.leg, Wish(Kind.BACK))
        else:
            self._tell(now, [(party, other.sdp, None)])

    def refreshed(self, now: int, party: PartyRecord, body: bytes, out: list[AnyOutput]) -> None:
        """A phone's answer when we kept its dialog alive: another one than before is told to the other phone."""
        if not body or not _differ(body, party.sdp):
            return
        party.sdp = body
        self._keep(party)
        other = self.facing.other(party)
        if other is not None:
            self.refresh(now, other, out)

    def has(self, leg: int) -> bool:
        """Whether offers are under way on a leg."""
        return self._exchanges.of(leg) is not None

    def gone(self, now: int, leg: int, out: list[AnyOutput]) -> None:
        """A leg is over: nobody waits for its answers, and whoever waited for them is told."""
        self.facing.gone(leg)
        exchange = self._exchanges.gone(leg)
        if exchange is None:
            return
        if leg == exchange.owed:
            exchange.owed = 0
        if leg == exchange.asker:
            owed = self._calls.of_leg(exchange.owed)
            if owed is not None:
                self._acknowledge(now, exchange, owed, b"")
            self._withdraw(now, exchange, out)
        elif exchange.open.pop(leg, 0):
            self._refused(now, exchange, 500, out)
        elif not exchange.open:
            self._end(now, exchange, out)

    # A phone's offer.

    def _offered(self, now: int, party: PartyRecord, offer: bytes, out: list[AnyOutput]) -> None:
        other = self.facing.other(party)
        exchange = self._exchanges.of(party.leg)
        if exchange is not None and (exchange.kind is Kind.BEGIN or party.leg in exchange.open):
            self._crossed(now, exchange, party, offer, out)
        elif exchange is not None:
            self._exchanges.wait(party.leg, Wish(Kind.PASSED, offer))
        elif other is not None and offer and offer == party.sdp and self._refreshed(now, party, other):
            return
        elif other is None or not self._legs.can_offer(other.leg):
            self._alone(now, party, other, offer, out)
        elif self._exchanges.of(other.leg) is not None:
            self._exchanges.wait(party.leg, Wish(Kind.PASSED, offer))
        else:
            # Who holds the call by a program, not by its phone, is not woken by the other phone's refresh.
            still = stillness(other)
            number = self._legs.offer(now, other.leg, self._legs.shape(other, offer, still))
            if not number:
                self._legs.refuse_offer(now, party.leg, 500, _SOON)
                return
            kind = Kind.PASSED if offer else Kind.ASKED
            legs = (party.leg, other.leg)
            self._exchanges.begin(Exchange(kind, legs, {other.leg: number}, party.leg, offer))

    def _refreshed(self, now: int, party: PartyRecord, other: PartyRecord) -> bool:
        """A phone says what it said before, to keep its dialog alive: that is no matter of the other phone."""
        answer = media.answer_from(other.sdp, party.sdp)
        stage = self._legs.stage(party.leg)
        return (
            bool(answer)
            and stage is Stage.ANSWERED
            and self._legs.answer_offer(now, party.leg, self._legs.shape(party, answer))
        )

    def _crossed(
        self, now: int, exchange: Exchange, party: PartyRecord, offer: bytes, out: list[AnyOutput]
    ) -> None:
        """A phone makes an offer while one of ours waits to be sent again to it: its own goes first (RFC 3261 14.1)."""
        leg = party.leg
        number = exchange.open.get(leg, 0)
        if not number or not self._legs.withdraw(now, leg, number):
            self._legs.refuse_offer(now, leg, 491)
        elif exchange.asker:
            self._legs.refuse_offer(now, exchange.asker, 491)
            self._end(now, exchange, out)
            self._offered(now, party, offer, out)
        elif exchange.kind is Kind.BACK:
            # What it was to be told is what it hears when its own offer is agreed on; if that fails, it is told.
            back = Wish(Kind.BACK, exchange.answers.get(leg, b""), before=party.sdp)
            self._end(now, exchange, out)
            self._offered(now, party, offer, out)
            if self._exchanges.of(leg) is None:
                self._serve(now, leg, back, out)
            else:
                self._exchanges.wait(leg, back)
        else:
            # What we wanted to tell the phone is the answer to what it says.
            said = exchange.said[leg]
            answer = media.answer_from(said, offer) if offer else said
            if answer and self._legs.answer_offer(now, leg, self._legs.shape(party, answer)):
                agreed = media.limited(offer or party.sdp, answer)
                for there, told in exchange.said.items():
                    if there != leg:
                        exchange.known[leg] = told
                self.offer_answered(now, party, number, agreed, out)
            else:
                self._legs.refuse_offer(now, leg, 488)
                self.offer_refused(now, party, number, 488, out)

    def _withdraw(self, now: int, exchange: Exchange, out: list[AnyOutput]) -> None:
        """Who asked wants it no more: over at once, or when what is out has its outcome."""
        exchange.failed = True
        for leg, number in list(exchange.open.items()):
            if self._legs.withdraw(now, leg, number):
                del exchange.open[leg]
        if not exchange.open:
            self._end(now, exchange, out)

    def _alone(
        self, now: int, party: PartyRecord, other: PartyRecord | None, offer: bytes, out: list[AnyOutput]
    ) -> None:
        """The other phone cannot be asked: before it has answered the answer is what it said so far, or a silent one.

        A phone that has been told an answer, and whose call is not answered, is to try again.
        """
        host = self._legs.host
        answer = media.held_answer(offer, host) if offer else media.nothing(host)
        if other is not None and self._legs.stage(party.leg) is not Stage.ANSWERED:
            answer = media.answer_from(other.sdp, offer) if self._legs.stage(other.leg) is Stage.INCOMING else b""
            if not answer:
                self._legs.refuse_offer(now, party.leg, 500, _SOON)
                return
        if not answer:
            self._legs.refuse_offer(now, party.leg, 488)
        elif self._legs.answer_offer(now, party.leg, self._legs.shape(party, answer)) and offer:
            party.sdp = offer
            self._keep(party)
            self.facing.alone(party.leg)
            self._by_phone(now, party, offer, out)

    def _passed(
        self, now: int, exchange: Exchange, party: PartyRecord, answer: bytes, out: list[AnyOutput]
    ) -> None:
        asker = self._calls.of_leg(exchange.asker)
        taken = asker is not None and not exchange.failed
        if asker is not None and taken:
            taken = self._legs.answer_offer(now, asker.leg, self._legs.shape(asker, answer))
        if asker is None or not taken:
            exchange.answers[party.leg] = answer
            self._end(now, exchange, out, self._before([party]))
            return
        party.sdp = answer or party.sdp
        asker.sdp = exchange.offer
        self._keep(party, asker)
        self._by_phone(now, asker, exchange.offer, out)
        self._end(now, exchange, out)

    def _asked(
        self, now: int, exchange: Exchange, party: PartyRecord, offer: bytes, out: list[AnyOutput]
    ) -> None:
        asker = self._calls.of_leg(exchange.asker)
        party.sdp = offer or party.sdp
        self._keep(party)
        exchange.owed = party.leg
        still = stillness(party)
        taken = asker is not None and not exchange.failed
        if asker is not None and taken:
            taken = self._legs.answer_offer(now, asker.leg, self._legs.shape(asker, offer, still))
        if taken:
            return
        self._acknowledge(now, exchange, party, b"")
        self._end(now, exchange, out)

    def _acknowledge(self, now: int, exchange: Exchange, party: PartyRecord, answer: bytes) -> None:
        """The ACK that a phone waits for, with an answer to its offer: what is known when nobody gave one."""
        other = self.facing.other(party)
        if not answer and other is not None:
            answer = media.answer_from(other.sdp, party.sdp)
        exchange.owed = 0
        self._legs.ack(now, party.leg, self._legs.shape(party, answer or media.held_answer(party.sdp, self._legs.host)))

    def _by_phone(self, now: int, party: PartyRecord, offer: bytes, out: list[AnyOutput]) -> None:
        given = PartyInput.HOLD if media.is_hold(offer) else PartyInput.RETRIEVE
        if given is PartyInput.RETRIEVE and party.still:
            party.still = False
            self._keep(party)
        self._calls.step(now, party, given, out)

    # Offers of ours.

    def _program(self, now: int, party: PartyRecord, given: PartyInput, out: list[AnyOutput]) -> None:
        other = self.facing.other(party)
        begun = False
        if other is not None and party.state == _FITTING[given]:
            held = given is PartyInput.HOLD
            said = []
            for to, source in ((party, other), (other, party)):
                still = held or other.state == HELD
                said.append((to, source.sdp, "inactive" if still else "sendrecv"))
            begun = self._tell(now, said, Kind.PROGRAM, party.party, given)
        if not begun:
            cause = self._calls.expected(party, given)
            self._requests.fail(now, cause, Condition.WRONG_STATE, out, dn=party.dn)

    def _tell(
        self,
        now: int,
        said: Sequence[tuple[PartyRecord, bytes, str | None]],
        kind: Kind = Kind.BACK,
        holder: int = 0,
        given: PartyInput = PartyInput.HOLD,
        about: str = "",
    ) -> bool:
        """Offer each of these parties a description in a direction; False when none of them can be asked."""
        opened: dict[int, int] = {}
        bodies: dict[int, bytes] = {}
        for to, sdp, direction in said:
            body = sdp if direction is None or not sdp else media.with_direction(sdp, direction)
            number = self._legs.offer(now, to.leg, self._legs.shape(to, body), about) if body else 0
            if number:
                opened[to.leg], bodies[to.leg] = number, body
        if opened:
            self._exchanges.begin(
                Exchange(kind, tuple(opened), opened, said=bodies, party=holder, given=given)
            )
        return bool(opened)

    def _refused(self, now: int, exchange: Exchange, status: int, out: list[AnyOutput]) -> None:
        if exchange.kind is Kind.BEGIN:
            self.beginner.offer_refused(now, exchange.legs[0], status, out)
            return
        if exchange.kind in (Kind.PASSED, Kind.ASKED):
            if not exchange.failed:
                self._legs.refuse_offer(now, exchange.asker, passed_on(status))
            self._end(now, exchange, out)
            return
        self._fail(now, exchange, out)
        if exchange.kind is Kind.BACK and not exchange.open:
            self._go_along(now, exchange, out)
        else:
            self._perhaps_done(now, exchange, out)

    def _fail(self, now: int, exchange: Exchange, out: list[AnyOutput]) -> None:
        """An exchange comes to nothing: a program that wanted it is told so."""
        holder = self._calls.parties.get(exchange.party)
        if exchange.kind is Kind.PROGRAM and holder is not None and not exchange.failed:
            cause = self._calls.expected(holder, exchange.given)
            self._requests.fail(now, cause, Condition.PHONE_REFUSED, out, dn=holder.dn)
        exchange.failed = True

    def _go_along(self, now: int, exchange: Exchange, out: list[AnyOutput]) -> None:
        """A phone does not go back to what was: then the other one is told what it has agreed to; and if it had agreed
        to nothing, neither phone wants what the other does.
        """
        self._end(now, exchange, out)
        (leg,) = exchange.legs
        party = self._calls.of_leg(leg)
        other = None if party is None else self.facing.other(party)
        agreed = exchange.answers.get(leg, b"")
        if party is not None and agreed:
            party.sdp = agreed
            self._keep(party)
        if party is not None and other is not None:
            if agreed:
                self.refresh(now, other, out)
            else:
                self.apart(now, party, other, out)

    def _perhaps_done(self, now: int, exchange: Exchange, out: list[AnyOutput]) -> None:
        """An offer of ours has its outcome; when all have, so has the exchange."""
        if exchange.open:
            return
        answered = [p for leg in exchange.answers if (p := self._calls.of_leg(leg)) is not None]
        if exchange.kind is Kind.PROGRAM and exchange.failed:
            self._end(now, exchange, out, self._before(answered))
            return
        for party in answered:
            party.sdp = exchange.answers[party.leg] or party.sdp
        self._keep(*answered)
        holder = self._calls.parties.get(exchange.party)
        if exchange.kind is Kind.PROGRAM and holder is not None:
            holder.still = exchange.given is PartyInput.HOLD
            self._keep(holder)
            self._calls.step(now, holder, exchange.given, out)
        self._end(now, exchange, out)
        for party in answered:
            other, known = self.facing.other(party), exchange.known.get(party.leg)
            if other is not None and known is not None and _differ(party.sdp, known):
                self.refresh(now, other, out)

    def _before(self, parties: Sequence[PartyRecord]) -> list[tuple[PartyRecord, bytes, str | None]]:
        """What these phones had agreed to before: what the other side sends, as they last wanted it."""
        said: list[tuple[PartyRecord, bytes, str | None]] = []
        for party in parties:
            other = self.facing.other(party)
            if other is not None:
                said.append((party, other.sdp, media.mirror(party.sdp)))
        return said

    def _end(
        self,
        now: int,
        exchange: Exchange,
        out: list[AnyOutput],
        again: Sequence[tuple[PartyRecord, bytes, str | None]] = (),
    ) -> None:
        """The exchange is over: first what it leaves to be said, then what has waited for it."""
        legs = self._exchanges.end(exchange)
        for to, sdp, direction in again:
            if self._exchanges.offers(to.leg) is not None:
                # It hears nothing of ours before its own offer is answered, and that will tell it what is.
                agreed = exchange.answers.get(to.leg, b"")
                self._exchanges.wait(to.leg, Wish(Kind.BACK, agreed, before=to.sdp))
            else:
                self._tell_back(now, to, sdp, direction, exchange.answers.get(to.leg, b""))
        for leg in legs:
            self._resume(now, leg, out)

    def _resume(self, now: int, leg: int, out: list[AnyOutput]) -> None:
        party = self._calls.of_leg(leg)
        other = None if party is None else self.facing.other(party)
        there = (leg,) if other is None else (leg, other.leg)
        while not any(self._exchanges.of(leg) is not None for leg in there):
            waiting = self._exchanges.next(there)
            if waiting is None:
                break
            self._serve(now, *waiting, out)

    def _defer(self, now: int, leg: int) -> None:
        """A phone's offer that waits is to come again: what begins now could not be said to it before its answer."""
        if self._exchanges.withdraw(leg):
            self._legs.refuse_offer(now, leg, 491)

    def _serve(self, now: int, leg: int, wish: Wish, out: list[AnyOutput]) -> None:
        party = self._calls.of_leg(leg)
        if party is None:
            return
        if wish.kind is Kind.PASSED:
            self._offered(now, party, wish.offer, out)
        elif wish.kind is Kind.PROGRAM:
            self._program(now, party, wish.given, out)
        elif wish.before and party.sdp != wish.before:
            return
        elif not wish.offer:
            self.refresh(now, party, out)
        else:
            for to, sdp, direction in self._before([party]):
                self._tell_back(now, to, sdp, direction, wish.offer)

    def _tell_back(self, now: int, to: PartyRecord, sdp: bytes, direction: str | None, agreed: bytes) -> None:
        """Offer a phone what was, and remember what it has agreed to since."""
        if self._tell(now, [(to, sdp, direction)]):
            exchange = self._exchanges.of(to.leg)
            assert exchange is not None
            exchange.answers[to.leg] = agreed

    def _is_busy(self, party: PartyRecord, other: PartyRecord) -> bool:
        return self._exchanges.of(party.leg) is not None or self._exchanges.of(other.leg) is not None

    def _keep(self, *parties: PartyRecord) -> None:
        for party in parties:
            self._calls.keep(self._calls.calls[party.conn_id], party)


def stillness(party: PartyRecord) -> str | None:
    """The direction of all that is said to a phone for which a program holds the call; None for any other."""
    return "inactive" if party.still and party.state == HELD else None


def _differ(one: bytes, other: bytes) -> bool:
    """Whether two descriptions say something else, but for whose they are and which version."""
    return media.without_origin(one) != media.without_origin(other)
