"""An answered call: hold and retrieve, by a phone or by a program, and offers on their way through (RFC 3264, 3725)."""

from __future__ import annotations

import msgspec

from cluster_core.core import Cause
from cluster_core.outputs import AnyOutput
from cluster_core.records import PartyRecord
from cluster_core.requests import Requests
from cluster_core.rights import Condition
from cluster_core.session_controller import media
from cluster_core.session_controller.calls import Calls
from cluster_core.session_controller.legs import Legs
from cluster_core.session_controller.tables import CONNECTED, HELD, PartyInput
from sip_proto import LocalError, Request, Response


class Relay(msgspec.Struct):
    """An offer that came on one leg and went out on another; without one, the other leg's phone makes it."""

    leg: int
    offer: bytes


class Program(msgspec.Struct):
    """A program's hold or retrieve: re-INVITEs by us that wait for their answers on these legs."""

    party: int
    given: PartyInput
    legs: dict[int, None]


class Talk:
    """Offers and answers within answered calls."""

    def __init__(self, requests: Requests, calls: Calls, legs: Legs) -> None:
        self._requests = requests
        self._calls = calls
        self._legs = legs
        self._relays: dict[int, Relay] = {}
        self._programs: dict[int, Program] = {}
        self._answers: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._relays) + len(self._programs) + len(self._answers)

    def offered(self, now: int, party: PartyRecord, request: Request, out: list[AnyOutput]) -> None:
        """A phone offers something else: the other phone is asked, its answer goes back."""
        other = self._calls.other(party)
        shaped = b"" if other is None else self._legs.shape(other, request.body)
        if other is None or other.leg in self._programs or not self._legs.offer(now, other.leg, shaped):
            self._legs.sip.refuse_offer(now, party.leg, 491, self._legs.out)
            return
        self._relays[other.leg] = Relay(party.leg, request.body)

    def offer_answered(self, now: int, party: PartyRecord, response: Response, out: list[AnyOutput]) -> None:
        """A phone answered our re-INVITE: to whom the offer came from, or towards the program's hold."""
        program = self._programs.pop(party.leg, None)
        if program is not None:
            self._legs.ack(now, party.leg)
            self._program_done(now, party.leg, program, out)
            return
        relay = self._relays.pop(party.leg, None)
        asker = None if relay is None else self._calls.of_leg(relay.leg)
        if relay is None or asker is None:
            self._legs.ack(now, party.leg)
            return
        answer = self._legs.shape(asker, response.body)
        try:
            self._legs.sip.answer_offer(now, asker.leg, self._legs.out, body=answer)
        except LocalError:  # the phone took its offer back meanwhile
            self._legs.ack(now, party.leg)
            return
        party.sdp = response.body or party.sdp
        if relay.offer:
            asker.sdp = relay.offer
            self._legs.ack(now, party.leg)
            self._by_phone(now, asker, relay.offer, out)
        else:
            self._answers[asker.leg] = party.leg
        self._calls.keep(self._calls.calls[party.conn_id], party, asker)

    def offer_refused(self, now: int, party: PartyRecord, status: int, out: list[AnyOutput]) -> None:
        """A phone refused our re-INVITE: what was stays."""
        program = self._programs.pop(party.leg, None)
        if program is not None:
            for leg in program.legs:
                if self._programs.get(leg) is program:
                    del self._programs[leg]
            holder = self._calls.parties.get(program.party)
            if holder is not None:
                cause = self._calls.expected(holder, program.given)
                self._requests.fail(now, cause, Condition.PHONE_REFUSED, out, dn=holder.dn)
            return
        relay = self._relays.pop(party.leg, None)
        if relay is not None and self._calls.of_leg(relay.leg) is not None:
            try:
                self._legs.sip.refuse_offer(now, relay.leg, status, self._legs.out)
            except LocalError:  # the phone took its offer back meanwhile
                return

    def acked(self, now: int, leg: int, request: Request) -> None:
        """An ACK may carry the answer to an offer that the other phone made."""
        other = self._answers.pop(leg, None)
        party = None if other is None else self._calls.of_leg(other)
        if party is not None:
            self._legs.ack(now, party.leg, self._legs.shape(party, request.body))

    def program(
        self, now: int, party: PartyRecord, given: PartyInput, cause: Cause, out: list[AnyOutput]
    ) -> None:
        """THoldCall and TRetrieveCall: both phones get an offer from us; the event follows when both have answered."""
        other = self._calls.other(party)
        fitting = party.state == (CONNECTED if given is PartyInput.HOLD else HELD)
        if not fitting or other is None or self._calls.is_expected(party, given):
            self._requests.fail(now, cause, Condition.WRONG_STATE, out, dn=party.dn)
            return
        held = given is PartyInput.HOLD
        program = Program(party.party, given, {})
        for to, source in ((party, other), (other, party)):
            still = held or (to is party and other.state == HELD) or (to is other and other.state == HELD)
            sdp = self._legs.shape(to, source.sdp, "inactive" if still else "sendrecv")
            if sdp and self._legs.offer(now, to.leg, sdp):
                program.legs[to.leg] = None
                self._programs[to.leg] = program
        if not program.legs:
            self._requests.fail(now, cause, Condition.WRONG_STATE, out, dn=party.dn)
            return
        self._calls.expect(party, given, cause)

    def gone(self, leg: int) -> None:
        """A leg is over: nobody waits for its answers."""
        self._relays.pop(leg, None)
        self._programs.pop(leg, None)
        self._answers.pop(leg, None)

    def _program_done(self, now: int, leg: int, program: Program, out: list[AnyOutput]) -> None:
        program.legs.pop(leg, None)
        holder = self._calls.parties.get(program.party)
        if not program.legs and holder is not None:
            self._calls.step(now, holder, program.given, out)

    def _by_phone(self, now: int, party: PartyRecord, offer: bytes, out: list[AnyOutput]) -> None:
        given = PartyInput.HOLD if media.is_hold(offer) else PartyInput.RETRIEVE
        self._calls.step(now, party, given, out)
