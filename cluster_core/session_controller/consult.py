"""Consultations that programs make: hold, call a second party, then change between the two, bring them together or come
back (published call models: two-step transfer, mute transfer, alternate, reconnect).

The consultation is a call of its own, of CallType Consult, which names the call that it is about; the DN's phone gets
it as a second call.
"""

from __future__ import annotations

import msgspec

from cluster_core.core import Cause
from cluster_core.dial_plan import DialPlan
from cluster_core.outputs import AnyOutput
from cluster_core.records import CallRecord, PartyRecord
from cluster_core.requests import Requests
from cluster_core.rights import Condition
from cluster_core.session_controller.calls import Calls
from cluster_core.session_controller.delivery import Delivery
from cluster_core.session_controller.muted import Muted
from cluster_core.session_controller.tables import CONNECTED, HELD, PartyInput
from cluster_core.session_controller.talk import Talk
from cluster_core.session_controller.transfer import Transfers
from tlib_proto import Attribute, CallType, DNRole, KVList, Message, MessageType


class Wanted(msgspec.Struct, frozen=True):
    """A consultation that begins when its call is held, and is over as soon as it rings when it is `mute`."""

    party: int
    number: str
    user_data: KVList
    cause: Cause
    mute: bool = False


class Alternate(msgspec.Struct):
    """Two calls of a DN that change places: parties by number; `holds` until the one that was talked in is held."""

    active: int
    held: int
    cause: Cause
    holds: bool = True


class Consult:
    """Consultations on their way, and what ends them."""

    def __init__(
        self,
        requests: Requests,
        calls: Calls,
        delivery: Delivery,
        talk: Talk,
        transfers: Transfers,
        plan: DialPlan,
        muted: Muted,
    ) -> None:
        self._requests = requests
        self._calls = calls
        self._delivery = delivery
        self._talk = talk
        self._transfers = transfers
        self._plan = plan
        self._muted = muted
        self._wanted: dict[int, Wanted] = {}
        self._alternates: dict[int, Alternate] = {}

    def __len__(self) -> int:
        return len(self._wanted) + len(self._alternates) + len(self._muted)

    def initiate(
        self, now: int, party: PartyRecord, message: Message, user_data: KVList, cause: Cause, out: list[AnyOutput]
    ) -> None:
        """TInitiateTransfer: EventHeld, then EventDialing of the consultation, which answers the request.

        TMuteTransfer begins in the same way; EventReleased answers it, when who is called rings.
        """
        number = message.text(Attribute.OtherDN)
        other = self._calls.other(party)
        target = self._plan.find(number)
        call = self._calls.calls[party.conn_id]
        mute = message.id == MessageType.RequestMuteTransfer
        taken = self._has(party) or call.main or self._of(call) is not None
        fits = party.state in (CONNECTED, HELD) and (not mute or self._transfers.movable(party) is not None)
        if other is None or taken or not fits or party.kind != "extension":
            self._requests.fail(now, cause, Condition.WRONG_STATE, out, dn=party.dn)
        elif target.kind is None or number in (party.dn, other.dn):
            self._requests.fail(now, cause, Condition.INVALID_DESTINATION, out)
        elif self._calls.busy(party.dn):
            self._requests.fail(now, cause, Condition.TOO_MANY, out)
        else:
            wanted = Wanted(party.party, number, user_data, cause, mute)
            if party.state == HELD:
                self._begin(now, party, wanted, out, False)
                return
            self._wanted[party.party] = wanted
            self._talk.program(now, party, PartyInput.HOLD, None, out)

    def serve(self, now: int, out: list[AnyOutput]) -> None:
        """Go on with whatever waits for a phone's answer, or for another call."""
        for number, wanted in list(self._wanted.items()):
            self._serve_wanted(now, number, wanted, out)
        for number, alternate in list(self._alternates.items()):
            self._serve_alternate(now, number, alternate, out)
        self._muted.serve(now, out)

    def complete(
        self, now: int, party: PartyRecord, message: Message, cause: Cause, out: list[AnyOutput]
    ) -> None:
        """TCompleteTransfer: both calls of the DN become the held one without it, whose EventReleased answers."""
        second = self._second(now, party, message.number(Attribute.TransferConnID), cause, out)
        if second is None:
            return
        about = self._calls.calls[second.conn_id].main == party.conn_id
        if not about and (self._calls.calls[party.conn_id].main == second.conn_id or second.state == HELD):
            party, second = second, party
        if not self._transfers.complete(now, party, second, cause, out):
            self._requests.fail(now, cause, Condition.WRONG_STATE, out, dn=party.dn)

    def reconnect(
        self, now: int, party: PartyRecord, message: Message, cause: Cause, out: list[AnyOutput]
    ) -> None:
        """TReconnectCall: the consultation is released, the call that it was about retrieved, which answers."""
        held = self._second(now, party, message.number(Attribute.PreviousConnID), cause, out)
        if held is None:
            return
        if self._calls.calls[held.conn_id].main == party.conn_id:
            held, party = party, held
        if held.state != HELD:
            self._requests.fail(now, cause, Condition.WRONG_STATE, out, dn=held.dn)
            return
        self._delivery.hang_up(now, self._calls.calls[party.conn_id], out, 603, abandoned=True)
        self._talk.program(now, held, PartyInput.RETRIEVE, cause, out)

    def alternate(
        self, now: int, party: PartyRecord, message: Message, cause: Cause, out: list[AnyOutput]
    ) -> None:
        """TAlternateCall: EventHeld of the DN's active call, then EventRetrieved of its held one, which answers.

        Where a phone does not go along, both calls are what they were.
        """
        held = self._second(now, party, message.number(Attribute.PreviousConnID), cause, out)
        if held is None:
            return
        active = party
        if active.state == HELD and held.state != HELD:
            active, held = held, active
        if held.state != HELD:
            self._requests.fail(now, cause, Condition.NO_HELD_CALL, out, dn=party.dn)
        elif active.state == HELD:
            self._requests.fail(now, cause, Condition.NO_ACTIVE_CALL, out, dn=party.dn)
        elif active.state != CONNECTED or self._has(active) or self._has(held):
            self._requests.fail(now, cause, Condition.WRONG_STATE, out, dn=party.dn)
        else:
            self._alternates[active.party] = Alternate(active.party, held.party, cause)
            self._talk.program(now, active, PartyInput.HOLD, None, out)

    def _has(self, party: PartyRecord) -> bool:
        """Whether the party's call is on its way to be held or retrieved here already."""
        return party.party in self._wanted or any(
            party.party in (one.active, one.held) for one in self._alternates.values()
        )

    def _serve_wanted(self, now: int, number: int, wanted: Wanted, out: list[AnyOutput]) -> None:
        """Begin when the call is held; one that cannot be held is refused."""
        party = self._calls.parties.get(number)
        if party is not None and party.state != HELD and self._talk.has(party.leg):
            return
        del self._wanted[number]
        if party is None:
            self._requests.fail(now, wanted.cause, Condition.INVALID_CONNID, out)
        elif party.state == HELD:
            self._begin(now, party, wanted, out, True)
        else:
            self._requests.fail(now, wanted.cause, Condition.PHONE_REFUSED, out, dn=party.dn)

    def _serve_alternate(self, now: int, number: int, alternate: Alternate, out: list[AnyOutput]) -> None:
        """The active call is held, or over: retrieve the other. What does not come to its end is undone."""
        active, held = self._calls.parties.get(alternate.active), self._calls.parties.get(alternate.held)
        if alternate.holds and held is not None and (active is None or active.state == HELD):
            alternate.holds = False
            self._talk.program(now, held, PartyInput.RETRIEVE, alternate.cause, out)
        waits_for = active if alternate.holds else held
        if held is not None and waits_for is not None and self._talk.has(waits_for.leg):
            return
        del self._alternates[number]
        if alternate.holds:
            condition = Condition.INVALID_CONNID if held is None else Condition.PHONE_REFUSED
            self._requests.fail(now, alternate.cause, condition, out)
        if active is not None and (held is None or held.state == HELD):
            self._talk.program(now, active, PartyInput.RETRIEVE, None, out)

    def _second(
        self, now: int, party: PartyRecord, conn_id: int, cause: Cause, out: list[AnyOutput]
    ) -> PartyRecord | None:
        """The DN's party in its other call; EventError without one."""
        call = self._calls.calls.get(conn_id)
        second = None if call is None else self._calls.party_on(call, party.dn)
        if call is None or second is None or second is party:
            self._requests.fail(now, cause, Condition.INVALID_CONNID, out)
            return None
        return second

    def _begin(
        self, now: int, party: PartyRecord, wanted: Wanted, out: list[AnyOutput], by_us: bool
    ) -> None:
        """The call is held, by us when `by_us`."""
        if wanted.mute:
            self._muted.begin(now, party, wanted.number, wanted.user_data, wanted.cause, out, by_us)
            return
        call = self._calls.create(
            now, CallType.Consult, party.dn, wanted.number, wanted.user_data, out, main=party.conn_id
        )
        if call is None:
            self._requests.fail(now, wanted.cause, Condition.TOO_MANY, out)
            return
        there = self._calls.add(call, party.dn, "extension", DNRole.Origination, 0, wanted.number)
        self._calls.expect(there, PartyInput.DIAL, wanted.cause)
        self._delivery.make(now, call, party.dn, out)

    def _of(self, call: CallRecord) -> CallRecord | None:
        """The consultation about a call, of those that its parties' DNs have."""
        for party in self._calls.of(call):
            for there in self._calls.on(party.dn):
                about = self._calls.calls[there.conn_id]
                if about.main == call.conn_id:
                    return about
        return None
