"""Consultations that programs make: hold, call a second party, then bring the two together or come back (published
call models: two-step transfer, reconnect).

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
from cluster_core.session_controller.tables import CONNECTED, HELD, PartyInput
from cluster_core.session_controller.talk import Talk
from cluster_core.session_controller.transfer import Transfers
from tlib_proto import Attribute, CallType, DNRole, KVList, Message


class Wanted(msgspec.Struct, frozen=True):
    """A consultation that begins when its call is held."""

    party: int
    number: str
    user_data: KVList
    cause: Cause


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
    ) -> None:
        self._requests = requests
        self._calls = calls
        self._delivery = delivery
        self._talk = talk
        self._transfers = transfers
        self._plan = plan
        self.wanted: dict[int, Wanted] = {}

    def __len__(self) -> int:
        return len(self.wanted)

    def initiate(
        self, now: int, party: PartyRecord, message: Message, user_data: KVList, cause: Cause, out: list[AnyOutput]
    ) -> None:
        """TInitiateTransfer: EventHeld, then EventDialing of the consultation, which answers the request."""
        number = message.text(Attribute.OtherDN)
        other = self._calls.other(party)
        target = self._plan.find(number)
        call = self._calls.calls[party.conn_id]
        taken = party.party in self.wanted or call.main or self._of(call) is not None
        if other is None or taken or party.state not in (CONNECTED, HELD) or party.kind != "extension":
            self._requests.fail(now, cause, Condition.WRONG_STATE, out, dn=party.dn)
        elif target.kind is None or number in (party.dn, other.dn):
            self._requests.fail(now, cause, Condition.INVALID_DESTINATION, out)
        elif self._calls.busy(party.dn):
            self._requests.fail(now, cause, Condition.TOO_MANY, out)
        else:
            wanted = Wanted(party.party, number, user_data, cause)
            if party.state == HELD:
                self._begin(now, party, wanted, out)
                return
            self.wanted[party.party] = wanted
            self._talk.program(now, party, PartyInput.HOLD, None, out)

    def serve(self, now: int, out: list[AnyOutput]) -> None:
        """Begin those whose call is held now; one that cannot be held is refused."""
        for number, wanted in list(self.wanted.items()):
            party = self._calls.parties.get(number)
            if party is None:
                condition = Condition.INVALID_CONNID
            elif party.state == HELD:
                del self.wanted[number]
                self._begin(now, party, wanted, out)
                continue
            elif self._talk.has(party.leg):
                continue
            else:
                condition = Condition.PHONE_REFUSED
            del self.wanted[number]
            self._requests.fail(now, wanted.cause, condition, out)

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

    def _begin(self, now: int, party: PartyRecord, wanted: Wanted, out: list[AnyOutput]) -> None:
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
