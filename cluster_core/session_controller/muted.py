"""TMuteTransfer: a consultation that is complete as soon as who is called rings (published call models: mute transfer).

The DN's phone hears nothing of the second call: it is held, and released when the other one rings. Until then what goes
wrong leaves the call as it was.
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
from cluster_core.session_controller.tables import HELD, PartyInput
from cluster_core.session_controller.talk import Talk
from cluster_core.session_controller.transfer import Transfers
from cluster_core.settings import DnType
from tlib_proto import CallState, CallType, DNRole, KVList


class MuteTransfer(msgspec.Struct, frozen=True):
    """One that waits for the ringing: the DN's parties in the call and in the consultation, who asked, and whether the
    call was held for it.
    """

    first: int
    second: int
    cause: Cause
    by_us: bool


class Muted:
    """Mute transfers by the ConnID of their consultation."""

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
        self._waiting: dict[int, MuteTransfer] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def begin(
        self,
        now: int,
        party: PartyRecord,
        number: str,
        user_data: KVList,
        cause: Cause,
        out: list[AnyOutput],
        by_us: bool,
    ) -> None:
        """The call is held: EventDialing of the consultation, and whoever it is for is called."""
        call = self._calls.create(now, CallType.Consult, party.dn, number, user_data, out, main=party.conn_id)
        if call is None:
            self._requests.fail(now, cause, Condition.TOO_MANY, out)
            self._back(now, party, by_us, out)
            return
        second = self._calls.add(call, party.dn, "extension", DNRole.Origination, 0, number)
        self._calls.step(now, second, PartyInput.DIAL, out)
        target = self._plan.find(number)
        if target.kind is DnType.ROUTING_POINT:
            self._transfers.mute(now, party, second, target, cause, out)
            return
        self._waiting[call.conn_id] = MuteTransfer(party.party, second.party, cause, by_us)
        self._delivery.deliver(now, call, target, out)

    def comes(self, now: int, party: PartyRecord, out: list[AnyOutput]) -> None:
        """A phone that was called rings or answers: if it was for a mute transfer, that is complete."""
        muted = self._waiting.get(party.conn_id)
        if muted is None:
            return
        consult = self._calls.calls[party.conn_id]
        first = self._calls.parties.get(muted.first)
        if first is None or self._transfers.movable(first) is None:
            self._delivery.hang_up(now, consult, out)
            return
        del self._waiting[party.conn_id]
        self._delivery.rings(now, consult, party, out)
        self._transfers.mute(now, first, self._calls.parties[muted.second], party, muted.cause, out)

    def came_back(self, now: int, call: CallRecord, status: int, state: CallState, out: list[AnyOutput]) -> bool:
        """Who was called for the call does not take it: a mute transfer is refused, its consultation ends; True for a
        call that goes on, which is another room's.
        """
        muted = self._waiting.pop(call.conn_id, None)
        if muted is None:
            return self._transfers.came_back(now, call, status, state, out)
        condition = Condition.NO_ANSWER if state is CallState.NoAnswer else Condition.TRANSFER_FAILED
        self._end(now, muted, condition, out)
        return False

    def serve(self, now: int, out: list[AnyOutput]) -> None:
        """A consultation that was hung up is over, and so is one whose call was."""
        for conn_id, muted in list(self._waiting.items()):
            consult = self._calls.calls.get(conn_id)
            if consult is not None and muted.first in self._calls.parties:
                continue
            del self._waiting[conn_id]
            if consult is not None:
                self._delivery.hang_up(now, consult, out, 487, abandoned=True)
            self._end(now, muted, Condition.INVALID_CONNID, out)

    def _end(self, now: int, muted: MuteTransfer, condition: Condition, out: list[AnyOutput]) -> None:
        first = self._calls.parties.get(muted.first)
        self._requests.fail(now, muted.cause, condition, out, dn="" if first is None else first.dn)
        if first is not None:
            self._back(now, first, muted.by_us, out)

    def _back(self, now: int, party: PartyRecord, by_us: bool, out: list[AnyOutput]) -> None:
        """What was held for the transfer alone is retrieved."""
        if by_us and party.state == HELD:
            self._talk.program(now, party, PartyInput.RETRIEVE, None, out)
