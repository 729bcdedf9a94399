"""Before the answer: what a called phone says early goes to who calls, as surely as it came where both can (RFC 3262).

A description in a reliable 1xx is the answer; in any other it is only a preview of it, and goes on as one (RFC 6337
section 3.1). An INVITE without an offer may bring one in a reliable 1xx, which the caller answers in its PRACK.
"""

from __future__ import annotations

import msgspec

from cluster_core.outputs import AnyOutput
from cluster_core.records import CallRecord, PartyRecord
from cluster_core.session_controller import media
from cluster_core.session_controller.calls import Calls
from cluster_core.session_controller.legs import Legs, Stage
from cluster_core.session_controller.making import Making
from cluster_core.session_controller.talk import Talk, stillness
from sip_proto import Request, Response, Ringing, description_of


class Branches(msgspec.Struct):
    """What a called leg has said early, by the tag of each branch of a fork: `answers`, those of them that are `final`;
    `last` is the branch whose description the party has.

    `told` is the branch whose description the caller, or the phone that is there, has for good, `asked` the one whose
    offer it was told, `agreed` whether it has answered that; `held` says that nobody could, and we did. `version` is
    the caller's when it was told: while it stays, the caller has heard of nothing since.
    """

    answers: dict[str, bytes] = {}
    final: dict[str, None] = {}
    last: str = ""
    told: str = ""
    asked: str = ""
    agreed: bool = False
    held: bool = False
    version: int = 0


class Early:
    """Called legs that have described themselves and have not answered."""

    def __init__(self, calls: Calls, legs: Legs, talk: Talk, making: Making) -> None:
        self._calls = calls
        self._legs = legs
        self._talk = talk
        self._making = making
        making.unheard = self._unheard
        self._branches: dict[int, Branches] = {}

    def __len__(self) -> int:
        return len(self._branches)

    def rings(
        self, now: int, call: CallRecord, party: PartyRecord, other: PartyRecord, given: Ringing, out: list[AnyOutput]
    ) -> None:
        """A 1xx of who is called: who calls hears it."""
        response = given.response
        body, tag = description_of(response), response.to.tag
        waits = self._legs.stage(other.leg) is Stage.INCOMING
        if given.offer:
            self._offers(now, call, party, other, given, out)
        elif not body or not tag or not waits or not other.sdp:
            self._legs.ring(now, other.leg, 180 if not body else response.status, b"")
        else:
            branches = self._of(party.leg)
            branches.answers[tag] = body
            if given.reliable:
                branches.final[tag] = None
                branches.last, party.sdp = tag, body
            # A caller that has an answer for good hears no other one before the call is answered.
            said = b"" if branches.told else self._legs.shape(other, body)
            if self._legs.ring(now, other.leg, response.status, said, given.reliable):
                branches.told = tag
                branches.version = other.version

    def pracked(self, now: int, leg: int, request: Request) -> None:
        """The caller's answer to an early offer."""
        caller = self._calls.of_leg(leg)
        party = None if caller is None else self._calls.other(caller)
        branches = None if party is None else self._branches.get(party.leg)
        if caller is None or party is None or branches is None or not branches.asked or branches.agreed:
            return
        branches.agreed = True
        caller.sdp = description_of(request)
        answer = caller.sdp or media.held_answer(party.sdp, self._legs.host)
        self._legs.prack(now, party.leg, self._legs.shape(party, answer), branches.asked)

    def answered(
        self, now: int, party: PartyRecord, other: PartyRecord, response: Response, out: list[AnyOutput]
    ) -> None:
        """Who is called has answered: who calls gets its answer, or what is still missing of it."""
        branches = self._branches.pop(party.leg, None) or Branches()
        tag = response.to.tag
        if tag in branches.final or tag == branches.asked != "":
            party.sdp = party.sdp if branches.last == tag else branches.answers[tag]
        else:
            party.sdp = description_of(response) or branches.answers.get(tag, b"") or party.sdp
        if branches.asked:
            if branches.agreed:
                self._legs.ack(now, party.leg)
            else:
                self._branches[party.leg] = branches
            self._legs.accept(now, other.leg, b"")
        elif other.sdp:
            self._legs.ack(now, party.leg)
            self._legs.accept(now, other.leg, b"" if branches.told else self._legs.shape(other, party.sdp))
            unheard = branches.version == other.version and party.sdp != branches.answers.get(tag)
            if branches.told and (branches.told != tag or unheard):
                self._talk.refresh(now, other, out)
        else:
            self._talk.late(other, party)
            self._legs.accept(now, other.leg, self._legs.shape(other, party.sdp))
        if branches.held:
            self._talk.refresh(now, party, out)

    def made(
        self, now: int, party: PartyRecord, other: PartyRecord, response: Response, out: list[AnyOutput]
    ) -> bool:
        """Who is called for a phone that is there has answered: True when its offer has its answer, which was silence,
        or that phone has offered something else since.

        What that phone was told of another branch is void.
        """
        branches = self._branches.pop(party.leg, None) or Branches()
        tag = response.to.tag
        void = branches.told != tag or self._talk.facing.is_alone(other.leg)
        self._talk.facing.gone(other.leg)
        if branches.told and void:
            self._making.forget(party.conn_id)
            self._talk.drop(now, other.leg, out)
        party.sdp = description_of(response) or branches.answers.get(tag, b"") or party.sdp
        self._calls.keep(self._calls.calls[party.conn_id], party)
        return tag in branches.answers and void

    def is_told(self, leg: int) -> bool:
        """Whether who calls has heard this leg's description for good, and can be given no other before the answer."""
        branches = self._branches.get(leg)
        return branches is not None and bool(branches.told or branches.asked)

    def gone(self, leg: int) -> None:
        """A leg is over."""
        self._branches.pop(leg, None)

    def _offers(
        self, now: int, call: CallRecord, party: PartyRecord, other: PartyRecord, given: Ringing, out: list[AnyOutput]
    ) -> None:
        body, tag = description_of(given.response), given.response.to.tag
        branches = self._of(party.leg)
        branches.answers[tag] = body
        if not branches.told and self._may_hear(call, other):
            branches.told = tag
            party.sdp = body
            self._calls.keep(call, party)
            self._talk.facing.hears(other, party)
            self._making.called_offers(now, call, other, party, body, tag, out)
        elif not other.sdp and not branches.asked and self._legs.is_reliable(other.leg):
            party.sdp = body
            branches.asked = branches.last = tag
            self._legs.ring(now, other.leg, given.response.status, self._legs.shape(other, body), True)
        else:
            # Another branch has the caller's ear: this one waits in silence, and is told more if it answers.
            branches.held = True
            answer = media.held_answer(body, self._legs.host)
            self._legs.prack(now, party.leg, self._legs.shape(party, answer), tag)

    def _may_hear(self, call: CallRecord, other: PartyRecord) -> bool:
        """Whether the phone that is there can be offered what is said early: not while other offers to it are under
        way, nor while a program holds it.
        """
        if self._making.has(call.conn_id):
            return True
        there = self._legs.stage(other.leg) is Stage.ANSWERED
        return there and not self._talk.has(other.leg) and stillness(other) is None

    def _unheard(self, now: int, party: PartyRecord, tag: str) -> None:
        """The phone that is there does not want to hear that branch before it answers."""
        branches = self._of(party.leg)
        branches.told = ""
        answer = media.held_answer(branches.answers[tag], self._legs.host)
        self._legs.prack(now, party.leg, self._legs.shape(party, answer), tag)

    def _of(self, leg: int) -> Branches:
        return self._branches.setdefault(leg, Branches())
