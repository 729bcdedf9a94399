"""Transfers: REFER by phones, and programs' in one step, in two, mute (RFC 3515, 5589; published call models).

A REFER is never passed on: this B2BUA carries it out. Who makes a transfer stays a party until who comes has answered,
or until it hangs up: so a call whose new party is busy is where it was, and a transferor that hangs up at once ends
nothing.
"""

from __future__ import annotations

from contextlib import suppress

from cluster_core.contacts import fixed_binding
from cluster_core.core import Cause, Core
from cluster_core.dial_plan import DialPlan, Target
from cluster_core.outputs import AnyOutput
from cluster_core.packing import pairs_fit
from cluster_core.records import CallRecord, PartyRecord
from cluster_core.requests import Requests
from cluster_core.rights import Condition
from cluster_core.session_controller.calls import Calls, Transfer
from cluster_core.session_controller.delivery import Delivery
from cluster_core.session_controller.incoming import Incoming
from cluster_core.session_controller.joins import Joins
from cluster_core.session_controller.legs import Legs, Stage
from cluster_core.session_controller.registrar import user_of
from cluster_core.session_controller.tables import CONNECTED, HELD, NULL, PartyInput
from cluster_core.session_controller.talk import Talk
from cluster_core.settings import DnType, NodeSettings
from sip_proto import LocalError, Referred
from sip_proto.ids import node_of_tag
from sip_proto.replaces import write_replaces
from sip_proto.validate import Rejection
from sip_proto.values_event import DialogId
from tlib_proto import CallState, DNRole, KVList, Value

_ENDS_A_DIALOG = (404, 410, 416, 480, 481, 482, 483, 484, 485, 502, 604)
"""What a phone may take for the end of its call when a REFER in it is answered so (RFC 5057 section 5.1)."""

_REQUESTS = (PartyInput.DIAL, PartyInput.ANSWER, PartyInput.HOLD, PartyInput.RETRIEVE, PartyInput.RELEASE)


class Transfers:
    """What phones transfer, and what becomes of it."""

    def __init__(
        self,
        core: Core,
        requests: Requests,
        calls: Calls,
        legs: Legs,
        delivery: Delivery,
        talk: Talk,
        incoming: Incoming,
        plan: DialPlan,
    ) -> None:
        self._core = core
        self._requests = requests
        self._calls = calls
        self._legs = legs
        self._delivery = delivery
        self._talk = talk
        self._incoming = incoming
        self._plan = plan
        self.joins = Joins(calls, legs, talk)
        self.joins.apart = self._apart
        delivery.join = self.joins.begin
        self._parting: dict[int, None] = {}

    def __len__(self) -> int:
        return len(self._calls.transfers) + len(self.joins) + len(self._parting)

    # What is asked for.

    def referred(self, now: int, given: Referred, out: list[AnyOutput]) -> None:
        """A REFER in a call: carry it out, or say why not."""
        party = self._calls.of_leg(given.leg)
        other = None if party is None else self.movable(party)
        if party is None:
            self._refuse(now, given, 603)
        elif other is None:
            self._refuse(now, given, 491)
        elif given.replaces is not None:
            self._attended(now, given, given.replaces, party, other, out)
        else:
            self._blind(now, given, party, other, out)

    def program(
        self, now: int, party: PartyRecord, number: str, user_data: KVList, cause: Cause, out: list[AnyOutput]
    ) -> None:
        """TSingleStepTransfer: EventReleased when the target rings, EventError when it does not take the call."""
        stays = self.movable(party)
        target = self._plan.find(number)
        if stays is None or self._calls.is_expected(party, PartyInput.RELEASE):
            self._requests.fail(now, cause, Condition.WRONG_STATE, out, dn=party.dn)
        elif target.kind is None or number in (party.dn, stays.dn):
            self._requests.fail(now, cause, Condition.INVALID_DESTINATION, out)
        else:
            call = self._calls.calls[party.conn_id]
            call.user_data = user_data
            self._calls.keep(call)
            self._calls.expect(party, PartyInput.RELEASE, cause)
            transfer = Transfer(party.dn, party.party, stays.party, program=True)
            self._start(now, call, transfer, target, out)

    def complete(
        self, now: int, first: PartyRecord, second: PartyRecord, cause: Cause, out: list[AnyOutput]
    ) -> bool:
        """TCompleteTransfer: two calls of a DN become the first one, without it; False when they cannot now."""
        stays, comes = self.movable(first), self.movable(second)
        if stays is None or comes is None or self._talks_to_itself(stays, comes):
            return False
        self._calls.expect(first, PartyInput.RELEASE, cause)
        self._merge(now, 0, first, second, stays, comes, out)
        return True

    def mute(
        self,
        now: int,
        first: PartyRecord,
        second: PartyRecord,
        comes: PartyRecord | Target,
        cause: Cause,
        out: list[AnyOutput],
    ) -> None:
        """TMuteTransfer: `first` and `second`, the same DN in two calls, leave both; the first call goes on with who
        rings, or to a Routing Point, and has the user data of both where that is not too much for one.
        """
        call, consult = self._calls.calls[first.conn_id], self._calls.calls[second.conn_id]
        stays = self._calls.other(first)
        assert stays is not None, "who is transferred is there"
        transfer = Transfer(first.dn, 0, stays.party, program=True)
        self._calls.expect(first, PartyInput.RELEASE, cause)
        self._leaves(now, first, out)
        self._leaves(now, second, out)
        joined = (*call.user_data, *consult.user_data)
        if pairs_fit(joined, self._core.limits.user_data_bytes):
            call.user_data = joined
        self._calls.transfers[call.conn_id] = transfer
        if isinstance(comes, PartyRecord):
            transfer.comes = comes.party
            self._calls.move(comes, call)
            self._change(now, comes, stays.dn, transfer, out, PreviousConnID=consult.conn_id)
            self._change(now, stays, comes.dn, transfer, out)
            self._calls.end(now, consult, out, into=call)
            self._delivery.arm_ring(now, call, comes)
        else:
            self._calls.end(now, consult, out, into=call)
            self._waits(now, call, stays, comes, transfer, out)

    def redirect(
        self, now: int, party: PartyRecord, target: Target, cause: Cause, out: list[AnyOutput]
    ) -> None:
        """TRedirectCall: EventReleased (Redirected) of who rings, and the call goes to the target."""
        call = self._calls.calls[party.conn_id]
        self._calls.expect(party, PartyInput.RELEASE, cause)
        role = int(DNRole.Destination)
        self._leaves(
            now, party, out, state=CallState.Redirected, ThirdPartyDN=target.dialled, ThirdPartyDNRole=role
        )
        self._core.arm("ring", call.conn_id, None)
        self._incoming.onward(now, call, target, out)

    # How it goes on.

    def rings(self, now: int, party: PartyRecord, status: int, out: list[AnyOutput]) -> None:
        """Who comes rings: who made the transfer is told; who stays too, if that one is gone already."""
        transfer = self._calls.transfers.get(party.conn_id)
        if transfer is None or transfer.comes != party.party:
            return
        stays = self._calls.parties[transfer.stays]
        if transfer.by and transfer.program:
            self._leaves(now, self._calls.parties[transfer.by], out)
        if transfer.by:
            self._report(now, transfer, status)
        elif stays.other_dn != party.dn:
            self._change(now, stays, party.dn, transfer, out)

    def answers(self, now: int, party: PartyRecord, out: list[AnyOutput]) -> None:
        """Who comes has answered: who made the transfer leaves the call, which is that of the other two now."""
        transfer = self._calls.transfers.get(party.conn_id)
        if transfer is None or transfer.comes != party.party:
            return
        call = self._calls.calls[party.conn_id]
        third = self._calls.third(call)
        by, stays = self._calls.parties.get(transfer.by), self._calls.parties[transfer.stays]
        self._report(now, transfer, 200)
        if by is not None:
            self._leaves(now, by, out, referral=transfer.referral)
        if party.state == NULL:
            self._calls.step(now, party, PartyInput.RING, out, CallState.Transferred, **third)
        if by is not None or stays.other_dn != party.dn:
            self._change(now, stays, party.dn, transfer, out)
        stays.role = int(DNRole.Origination) if party.role == DNRole.Destination else stays.role
        del self._calls.transfers[call.conn_id]
        self._calls.keep(call, stays)

    def came_back(
        self, now: int, call: CallRecord, status: int, state: CallState, out: list[AnyOutput]
    ) -> bool:
        """Who was to come does not: the call is what it was before; False when who made the transfer is gone."""
        transfer = self._calls.transfers.get(call.conn_id)
        if transfer is None:
            return False
        comes = self._calls.parties.get(transfer.comes)
        self._report(now, transfer, status)
        if not transfer.by:
            return False
        del self._calls.transfers[call.conn_id]
        by = self._calls.parties[transfer.by]
        condition = Condition.NO_ANSWER if state is CallState.NoAnswer else Condition.TRANSFER_FAILED
        self._requests.fail(now, self._calls.expected(by, PartyInput.RELEASE), condition, out, dn=by.dn)
        if comes is not None:
            self._leaves(now, comes, out, status, state)
        self._delivery.making.forget(call.conn_id)
        self._talk.goes_back(now, self._calls.parties[transfer.stays], out)
        return True

    def left(self, now: int, party: PartyRecord, status: int, out: list[AnyOutput]) -> bool:
        """A party of a call hangs up: True when the call goes on without it."""
        call = self._calls.calls[party.conn_id]
        transfer = self._calls.transfers.get(call.conn_id)
        if transfer is None or party.party == transfer.stays:
            return False
        if party.party == transfer.comes:
            return self.came_back(now, call, status, CallState.Ok, out)
        comes = self._calls.parties.get(transfer.comes)
        self._leaves(now, party, out)
        if comes is not None and comes.state != NULL:
            self._change(now, self._calls.parties[transfer.stays], comes.dn, transfer, out)
        return True

    def join(self, now: int, call: CallRecord, stays: PartyRecord, comes: PartyRecord, out: list[AnyOutput]) -> None:
        """Bring who stays and who comes together; whom a program had called instead is not waited for any more."""
        if self._delivery.making.has(call.conn_id):
            self._delivery.making.forget(call.conn_id)
            self._talk.drop(now, stays.leg, out)
        self.joins.begin(now, stays, comes, out)

    def gone(self, leg: int) -> None:
        """A leg is over: nobody is joined with it."""
        self.joins.gone(leg)
        if leg in self._parting:
            del self._parting[leg]
            self._core.arm("parting", leg, None)

    def parting_timeout(self, now: int, leg: int, out: list[AnyOutput]) -> None:
        """Who has transferred a call has had its time to hang up."""
        del self._parting[leg]
        self._legs.end(now, leg, 480)

    # The ways of a transfer.

    def _blind(
        self, now: int, given: Referred, party: PartyRecord, stays: PartyRecord, out: list[AnyOutput]
    ) -> None:
        call = self._calls.calls[party.conn_id]
        number = user_of(given.refer_to)
        target = Target(None, "", "") if number is None else self._plan.find(number)
        if not number:
            self._refuse(now, given, 400)
        elif target.kind is not None and number in (party.dn, stays.dn):
            self._refuse(now, given, 403)
        elif target.kind is DnType.TRUNK and party.kind != "extension":
            # A stranger does not call out at our cost.
            self._refuse(now, given, 403)
        elif target.kind is None:
            self._refuse(now, given, 404)
        else:
            headers = (("Referred-By", given.referred_by),) if given.referred_by else ()
            transfer = Transfer(party.dn, party.party, stays.party, 0, given.referral, headers)
            if self._accept(now, given):
                self._start(now, call, transfer, target, out)

    def _start(
        self, now: int, call: CallRecord, transfer: Transfer, target: Target, out: list[AnyOutput]
    ) -> None:
        self._calls.transfers[call.conn_id] = transfer
        if target.kind is DnType.ROUTING_POINT:
            self._to_queue(now, call, transfer, target, out)
        else:
            self._delivery.deliver(now, call, target, out)

    def _to_queue(
        self, now: int, call: CallRecord, transfer: Transfer, target: Target, out: list[AnyOutput]
    ) -> None:
        """A Routing Point takes the call at once: it waits there for who stays."""
        party, stays = self._calls.parties[transfer.by], self._calls.parties[transfer.stays]
        self._report(now, transfer, 200)
        self._leaves(now, party, out, referral=transfer.referral)
        self._waits(now, call, stays, target, transfer, out)

    def _waits(
        self,
        now: int,
        call: CallRecord,
        stays: PartyRecord,
        target: Target,
        transfer: Transfer,
        out: list[AnyOutput],
    ) -> None:
        self._change(now, stays, target.dn, transfer, out)
        stays.role = int(DNRole.Origination)
        self._calls.keep(call, stays)
        self._incoming.onward(now, call, target, out)
        self._calls.transfers.pop(call.conn_id, None)

    def _attended(
        self,
        now: int,
        given: Referred,
        named: DialogId,
        party: PartyRecord,
        other: PartyRecord,
        out: list[AnyOutput],
    ) -> None:
        leg = self._legs.sip.named_leg(named)
        second = None if isinstance(leg, Rejection) else self._calls.of_leg(leg)
        if (node := node_of_dialog(self._core, named)) is not None:
            self._elsewhere(now, given, named, node, party, other, out)
        elif second is None or (second.dn, second.kind) != (party.dn, party.kind):
            # Who is no party of a call learns nothing of it, not even that it is there.
            self._refuse(now, given, 481, "No Such Dialog")
        elif second.conn_id == party.conn_id:
            self._refuse(now, given, 403)
        elif (target := self.movable(second)) is None:
            self._refuse(now, given, 481, "Not Answered")
        elif self._talks_to_itself(other, target):
            self._refuse(now, given, 403)
        elif self._accept(now, given):
            if second.state == HELD and party.state != HELD:
                # The REFER came in the consultation: the call that was held is the one that stays.
                party, second, other, target = second, party, target, other
            self._merge(now, given.referral, party, second, other, target, out)

    def _elsewhere(
        self,
        now: int,
        given: Referred,
        named: DialogId,
        node: NodeSettings,
        party: PartyRecord,
        stays: PartyRecord,
        out: list[AnyOutput],
    ) -> None:
        """The other call lives on another node, and stays there: an INVITE with Replaces brings this one to it."""
        dn = user_of(given.refer_to)
        if not dn or stays.kind == "node":
            self._refuse(now, given, 481, "No Such Dialog")
        elif self._accept(now, given):
            headers = (
                ("Replaces", write_replaces(named)),
                ("Require", "replaces"),
                ("Referred-By", f"<sip:{party.dn}@{self._core.settings.realm}>"),
            )
            transfer = Transfer(party.dn, party.party, stays.party, 0, given.referral, headers)
            call = self._calls.calls[party.conn_id]
            self._calls.transfers[call.conn_id] = transfer
            binding = fixed_binding(f"sip:{node.members[0].sip}", dn)
            assert binding is not None, "a listener is an address"
            self._delivery.reach(now, call, dn, binding, out)

    def _merge(
        self,
        now: int,
        referral: int,
        first: PartyRecord,
        second: PartyRecord,
        stays: PartyRecord,
        comes: PartyRecord,
        out: list[AnyOutput],
    ) -> None:
        """A two-step transfer is complete: `first` and `second` are the same DN in two calls, of which the first one
        goes on with the other two parties.
        """
        call, consult = self._calls.calls[first.conn_id], self._calls.calls[second.conn_id]
        transfer = Transfer(first.dn, first.party, stays.party, comes.party, referral)
        self._report(now, transfer, 200)
        self._leaves(now, first, out, referral=referral)
        self._leaves(now, second, out, referral=referral)
        self._calls.move(comes, call)
        comes.role, stays.role = int(DNRole.Destination), int(DNRole.Origination)
        self._change(now, comes, stays.dn, transfer, out, PreviousConnID=consult.conn_id)
        self._change(now, stays, comes.dn, transfer, out)
        self._calls.end(now, consult, out, into=call)
        self.joins.begin(now, stays, comes, out)

    # What they share.

    def movable(self, party: PartyRecord) -> PartyRecord | None:
        """Who is at the other end of an answered call with nothing under way in it; None when it is not so."""
        if party.conn_id in self._calls.transfers or party.state not in (CONNECTED, HELD):
            return None
        if self._delivery.making.has(party.conn_id):
            return None
        other = self._calls.other(party)
        if other is None or self._legs.stage(other.leg) is not Stage.ANSWERED:
            return None
        if self._talk.is_begun(party.leg) or self._talk.is_begun(other.leg):
            return None
        return other

    def _talks_to_itself(self, one: PartyRecord, other: PartyRecord) -> bool:
        """Whether a call of these two alone makes no sense: of two other nodes none would ever hang up."""
        return one.kind == other.kind and (one.kind == "node" or (one.kind == "extension" and one.dn == other.dn))

    def _leaves(
        self,
        now: int,
        party: PartyRecord,
        out: list[AnyOutput],
        status: int = 480,
        state: CallState = CallState.Transferred,
        referral: int = 0,
        **more: Value,
    ) -> None:
        """One party leaves, the call goes on; what waits for it elsewhere waits no longer."""
        leg = party.leg
        self._delivery.early.gone(leg)
        self.gone(leg)
        for given in _REQUESTS[:-1]:
            cause = self._calls.expected(party, given)
            self._requests.fail(now, cause, Condition.INVALID_CONNID, out, dn=party.dn)
        if referral and self._legs.stage(leg) is not None:
            # A phone that has read the last report hangs up itself, and a BYE must not overtake that report.
            self._parting[leg] = None
            self._core.arm("parting", leg, now + self._core.limits.parting_us)
        else:
            self._legs.end(now, leg, status)
        self._calls.step(now, party, PartyInput.RELEASE, out, state, **more)
        self._calls.leave(now, party)
        self._talk.gone(now, leg, out)
        for there in self._calls.of(self._calls.calls[party.conn_id]):
            self._talk.resume(now, there, out)

    def _change(
        self,
        now: int,
        party: PartyRecord,
        other_dn: str,
        transfer: Transfer,
        out: list[AnyOutput],
        **more: int,
    ) -> None:
        party.other_dn = other_dn
        self._calls.step(
            now,
            party,
            PartyInput.CHANGE,
            out,
            CallState.Transferred,
            ThirdPartyDN=transfer.dn,
            ThirdPartyDNRole=int(DNRole.TransferredBy),
            **more,
        )

    def _apart(self, now: int, call: CallRecord, out: list[AnyOutput]) -> None:
        self._delivery.hang_up(now, call, out, 480, CallState.GeneralError)

    def _accept(self, now: int, given: Referred) -> bool:
        """Say yes to a REFER; False when nobody waits for that any more."""
        try:
            self._legs.sip.accept_referral(now, given.referral, self._legs.out)
        except LocalError:
            return False
        return True

    def _report(self, now: int, transfer: Transfer, status: int) -> None:
        if transfer.referral:
            told = status if status < 700 else 480
            with suppress(LocalError):
                self._legs.sip.report_referral(now, transfer.referral, told, self._legs.out)

    def _refuse(self, now: int, given: Referred, status: int, reason: str = "") -> None:
        """Refuse a REFER; what the phone might take for the end of its call is told by NOTIFY, or by a plain no."""
        sip = self._legs.sip
        if status in _ENDS_A_DIALOG and not given.silent:
            if self._accept(now, given):
                with suppress(LocalError):
                    sip.report_referral(now, given.referral, status, self._legs.out, reason=reason)
            return
        with suppress(LocalError):
            sip.reject_referral(
                now, given.referral, 603 if status in _ENDS_A_DIALOG else status, self._legs.out, reason=reason
            )


def node_of_dialog(core: Core, named: DialogId) -> NodeSettings | None:
    """The other node that made a dialog's tag; None for one of ours, and for one that no node made."""
    number = node_of_tag(named.local_tag)
    if number == core.node.number:
        return None
    return next((node for node in core.settings.nodes if node.number == number), None)
