"""Bringing a call to a DN or a trunk: locate, INVITE, ring, answer, or come back with the reason (design 7, 8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from cluster_core.contacts import fixed_binding, named_binding
from cluster_core.core import Cause, Core
from cluster_core.dial_plan import DialPlan, Target
from cluster_core.naming import Naming
from cluster_core.outputs import AnyOutput
from cluster_core.records import Binding, CallRecord, PartyRecord
from cluster_core.requests import Requests
from cluster_core.rights import Condition
from cluster_core.session_controller.calls import Calls
from cluster_core.session_controller.early import Early
from cluster_core.session_controller.legs import NOWHERE, Elsewhere, Legs, Stage
from cluster_core.session_controller.making import Making
from cluster_core.session_controller.tables import DIALING, NULL, QUEUED, RINGING, PartyInput
from cluster_core.session_controller.talk import Talk
from cluster_core.settings import DnType
from cluster_core.t_controller.link_records import Located
from sip_proto import Response, Ringing, description_of
from sip_proto import Target as Place
from tlib_proto import CallState, DNRole, ForwardMode, MessageType

ALWAYS = (ForwardMode.Unconditional,)
ON_BUSY = (ForwardMode.OnBusy, ForwardMode.OnBusyAndNoAnswer)
ON_NO_ANSWER = (ForwardMode.OnNoAnswer, ForwardMode.OnBusyAndNoAnswer)
_HOPS = 5
_BUSY = (486, 600)
_NO_ANSWER = (408, 480)
_TRY_THE_NEXT = (408, 503)
_OURS_TO_ACT_ON = (401, 407, 481, 482, 491)
_NO_NUMBER = (404, 410, 484, 604)


class Locator(Protocol):
    """T-Controller, as delivery sees it."""

    def locate(self, now: int, dn: str, token: int, out: list[AnyOutput]) -> None:
        """Ask where a DN rings; `located` brings the answer."""


class Waiting(msgspec.Struct):
    """A call that waits to learn where a DN rings; `maker` when it is the DN of a program's call to begin with;
    `hops` are the DNs that have sent it on."""

    conn_id: int
    dn: str
    maker: bool = False
    hops: tuple[str, ...] = ()


class Outward(msgspec.Struct):
    """A call on its way to a trunk whose contact names a host: the number there, and the places still to try."""

    contact: str
    dialled: str
    trunk: str
    left: list[Place] = []


class Delivery:
    """Calls on their way to whom they are for."""

    def __init__(self, core: Core, requests: Requests, calls: Calls, legs: Legs) -> None:
        self._core = core
        self._requests = requests
        self._calls = calls
        self._legs = legs
        self.locator: Locator
        self.naming: Naming
        self.making: Making
        self.early: Early
        self.talk: Talk
        self.plan: DialPlan
        self.came_back: Callable[[int, CallRecord, int, CallState, list[AnyOutput]], bool]
        self._waiting: dict[int, Waiting] = {}
        self._routed_by: dict[int, Cause | None] = {}
        self.join: Callable[[int, PartyRecord, PartyRecord, list[AnyOutput]], None]
        self._outward: dict[int, Outward] = {}

    # Begin.

    def deliver(
        self, now: int, call: CallRecord, target: Target, out: list[AnyOutput], hops: tuple[str, ...] = ()
    ) -> None:
        """Bring a call to an extension or a trunk; `hops` are the DNs that have sent it on."""
        if target.kind is DnType.TRUNK:
            self._to_trunk(now, call, target, out)
            return
        token = self._core.ids.request()
        self._waiting[token] = Waiting(call.conn_id, target.dn, hops=hops)
        self.locator.locate(now, target.dn, token, out)

    def reach(self, now: int, call: CallRecord, dn: str, binding: Binding, out: list[AnyOutput]) -> None:
        """Bring a call to another node, to a call there that it is to go on with."""
        self._invite(now, call, dn, "node", binding, out)

    def route(
        self, now: int, call: CallRecord, target: Target, cause: Cause | None, out: list[AnyOutput]
    ) -> None:
        """Bring a call away from its Routing Point; until the target rings it can come back."""
        self._routed_by[call.conn_id] = cause
        self._core.arm("route", call.conn_id, None)
        self.deliver(now, call, target, out)

    def broken(self, now: int, call: CallRecord, status: int, out: list[AnyOutput]) -> None:
        """The phones of a call cannot be brought together."""
        self.hang_up(now, call, out, status, _state_of(status), condition=Condition.PHONE_REFUSED)

    def is_routing(self, call: CallRecord) -> bool:
        """Whether the call is on its way from a Routing Point to a target that does not ring yet."""
        return call.conn_id in self._routed_by

    def make(self, now: int, call: CallRecord, maker: str, out: list[AnyOutput]) -> None:
        """Begin a program's call: first the maker's own phone (RFC 3725)."""
        token = self._core.ids.request()
        self._waiting[token] = Waiting(call.conn_id, maker, maker=True)
        self.locator.locate(now, maker, token, out)

    # What comes back.

    def located(self, now: int, token: int, located: Located | None, out: list[AnyOutput]) -> None:
        """Where the DN rings, or that it does not."""
        waiting = self._waiting.pop(token, None)
        call = None if waiting is None else self._calls.calls.get(waiting.conn_id)
        if waiting is None or call is None:
            return
        binding = None if located is None else located.binding
        if waiting.maker:
            self._call_maker(now, call, waiting.dn, binding, out)
        elif binding is None or located is None:
            self._come_back(now, call, 480, Condition.OUT_OF_SERVICE, out)
        else:
            elsewhere = Elsewhere(located.forward_to, located.forward_mode, (*waiting.hops, waiting.dn))
            at_once = elsewhere.mode == ForwardMode.Unconditional
            if at_once or located.dnd:
                onward = self._onward(call, elsewhere, ALWAYS if at_once else ON_BUSY)
                if onward is not None:
                    self.deliver(now, call, onward, out, elsewhere.hops)
                else:
                    self._come_back(now, call, 480 if at_once else 486, Condition.PHONE_REFUSED, out)
                return
            self._invite(now, call, waiting.dn, "extension", binding, out, elsewhere=elsewhere)

    def found(self, now: int, key: int, targets: tuple[Place, ...], out: list[AnyOutput]) -> None:
        """Where the host of a trunk is, in the order to try; the key is the call."""
        outward = self._outward[key]
        outward.left = list(targets[: self._core.limits.trunk_targets])
        self._try_next(now, self._calls.calls[key], outward, out)

    def ringing(self, now: int, party: PartyRecord, given: Ringing, out: list[AnyOutput]) -> None:
        """A phone that we called rings: the called one, or that of a program that makes a call."""
        call = self._calls.calls[party.conn_id]
        if party.role == DNRole.Origination:
            self._calls.step(now, party, PartyInput.DIAL, out)
        else:
            self.rings(now, call, party, out)
            other = self._calls.other(party)
            if other is not None:
                self.early.rings(now, call, party, other, given, out)

    def answered(self, now: int, party: PartyRecord, response: Response, out: list[AnyOutput]) -> None:
        """A phone that we called has answered."""
        call = self._calls.calls[party.conn_id]
        self._legs.answered(party.leg)
        other = self._calls.other(party)
        if party.role == DNRole.Origination:
            party.sdp = description_of(response)
            self._core.arm("ring", call.conn_id, None)
            self._calls.step(now, party, PartyInput.DIAL, out)
            self.making.maker_answered(now, call, description_of(response), out)
            return
        if other is None or not other.leg:
            self._legs.ack(now, party.leg)
            self.hang_up(now, call, out)
            return
        self.rings(now, call, party, out)
        if self._legs.stage(other.leg) is Stage.INCOMING:
            self.early.answered(now, party, other, response, out)
        else:
            if self.early.made(now, party, other, response, out):
                self._legs.ack(now, party.leg)
                self.join(now, other, party, out)
            else:
                self.making.called_answered(now, call, other, party, description_of(response), out)
            if call.conn_id not in self._calls.calls:
                return
        self._core.arm("ring", call.conn_id, None)
        other.other_dn = party.dn
        self._calls.answered(call)
        self._calls.step(now, other, PartyInput.ANSWER, out)
        self._calls.step(now, party, PartyInput.ANSWER, out)

    def failed(self, now: int, party: PartyRecord, status: int, out: list[AnyOutput]) -> None:
        """A phone or trunk that we called has refused, or did not answer."""
        call = self._calls.calls[party.conn_id]
        when = ON_BUSY if status in _BUSY else ON_NO_ANSWER if status in _NO_ANSWER else ()
        onward = self._onward_of(call, party, when)
        hops = self._legs.elsewhere(party.leg).hops
        self._legs.gone(party.leg)
        self.gone(now, party.leg, out)
        if onward is not None:
            self._send_on(now, call, party, onward, hops, out)
            return
        outward = self._outward.get(call.conn_id)
        if outward is not None and party.role == DNRole.Destination and status in _TRY_THE_NEXT:
            self._calls.leave(now, party)
            self._try_next(now, call, outward, out)
            return
        if party.role == DNRole.Origination:
            self.hang_up(now, call, out, status, _state_of(status), condition=Condition.PHONE_REFUSED)
            return
        if self.is_routing(call):
            self._calls.leave(now, party)
            self._come_back(now, call, status, Condition.PHONE_REFUSED, out)
            return
        self._give_up(now, call, out, status, _state_of(status))

    def gone(self, now: int, leg: int, out: list[AnyOutput]) -> None:
        """A leg is over: nobody waits for its answers."""
        self.early.gone(leg)
        self.talk.gone(now, leg, out)

    def ring_timeout(self, now: int, conn_id: int, out: list[AnyOutput]) -> None:
        """Nobody answers."""
        call = self._calls.calls[conn_id]
        self._stay(conn_id)
        for party in self._calls.of(call):
            onward = self._onward_of(call, party, ON_NO_ANSWER)
            if onward is not None:
                hops = self._legs.elsewhere(party.leg).hops
                self._legs.end(now, party.leg, 480)
                self.gone(now, party.leg, out)
                self._send_on(now, call, party, onward, hops, out)
                return
            if self._legs.elsewhere(party.leg).mode in ON_NO_ANSWER:
                # It cannot go on after all, and rings for as long as any other.
                self._legs.wants(party.leg, NOWHERE)
                limits = self._core.limits
                self._core.arm("ring", conn_id, now + max(limits.ring_us - limits.forward_us, 0))
                return
        if self.is_routing(call):
            for party in self._calls.of(call):
                if party.role == DNRole.Destination and party.kind != "queue":
                    self._legs.end(now, party.leg, 480)
                    self.gone(now, party.leg, out)
                    self._calls.leave(now, party)
            self._come_back(now, call, 480, Condition.NO_ANSWER, out)
        else:
            self._give_up(now, call, out, 480, CallState.NoAnswer, Condition.NO_ANSWER)

    # The end.

    def hang_up(
        self,
        now: int,
        call: CallRecord,
        out: list[AnyOutput],
        status: int = 480,
        state: CallState = CallState.Ok,
        abandoned: bool = False,
        condition: Condition = Condition.INVALID_CONNID,
    ) -> None:
        """Release everybody: each leg in its own way, each DN with its event, the call from the tables.

        A request that waits for something else of the call is refused with `condition`.
        """
        self._stay(call.conn_id)
        self.making.forget(call.conn_id)
        legs = [party.leg for party in self._calls.of(call) if party.leg]
        for leg in legs:
            self._legs.end(now, leg, _told(status))
        for leg in legs:
            self.gone(now, leg, out)
        if call.conn_id in self._routed_by:
            self._requests.fail(now, self._routed_by.pop(call.conn_id), condition, out)
        for party in self._calls.of(call):
            for given in (PartyInput.DIAL, PartyInput.ANSWER, PartyInput.HOLD, PartyInput.RETRIEVE):
                if (cause := self._calls.expected(party, given)) is not None:
                    self._requests.fail(now, cause, condition, out, dn=party.dn)
            if party.state == DIALING and state is CallState.Busy:
                self._calls.step(now, party, PartyInput.BUSY, out, state)
            leaves = (abandoned and party.state in (RINGING, QUEUED)) or party.state == QUEUED
            given = PartyInput.ABANDON if leaves else PartyInput.RELEASE
            self._calls.step(now, party, given, out, state)
        self._calls.end(now, call, out)

    def rings(self, now: int, call: CallRecord, party: PartyRecord, out: list[AnyOutput]) -> None:
        """Who is called rings, if it has not rung before."""
        if party.state != NULL:
            return
        self._stay(call.conn_id)
        queue = self._calls.queue_of(call)
        if queue is not None:
            self.leaves_queue(now, call, queue, party.dn, self._routed_by.pop(call.conn_id, None), out)
        third = self._calls.third(call)
        state = CallState.Transferred if third else CallState.Ok
        sent_on = self._legs.elsewhere(party.leg).hops[:-1]
        if sent_on and not third:
            third = {"ThirdPartyDN": sent_on[-1], "ThirdPartyDNRole": int(DNRole.Destination)}
            state = CallState.Forwarded
        self._calls.step(now, party, PartyInput.RING, out, state, **third)

    def _onward(self, call: CallRecord, elsewhere: Elsewhere, when: tuple[int, ...]) -> Target | None:
        """Where a DN sends a call on in these modes: not to who is in it or has sent it on, and not for ever."""
        if elsewhere.mode not in when or len(elsewhere.hops) > _HOPS:
            return None
        target = self.plan.find(elsewhere.to)
        main = self._calls.calls.get(call.main)
        there = any(known is not None and self._calls.party_on(known, target.dn) for known in (call, main))
        leads = target.kind in (DnType.EXTENSION, DnType.TRUNK)
        return target if leads and not there and target.dn not in elsewhere.hops else None

    def _onward_of(self, call: CallRecord, party: PartyRecord, when: tuple[int, ...]) -> Target | None:
        """The same of a phone that was called; not when the caller has what that phone says for good."""
        if self._legs.stage(party.leg) is not Stage.OUTGOING or self.early.is_told(party.leg):
            return None
        return self._onward(call, self._legs.elsewhere(party.leg), when)

    def _send_on(
        self,
        now: int,
        call: CallRecord,
        party: PartyRecord,
        onward: Target,
        hops: tuple[str, ...],
        out: list[AnyOutput],
    ) -> None:
        """A phone does not take the call, which its DN wants to go on then."""
        role = int(DNRole.Destination)
        third: dict[str, Any] = {"ThirdPartyDN": onward.dialled, "ThirdPartyDNRole": role}
        waits = self._calls.expected(party, PartyInput.ANSWER)
        self._requests.fail(now, waits, Condition.INVALID_CONNID, out, dn=party.dn)
        self._calls.step(now, party, PartyInput.RELEASE, out, CallState.Forwarded, **third)
        self._calls.leave(now, party)
        self._core.arm("ring", call.conn_id, None)
        self.deliver(now, call, onward, out, hops)

    def leaves_queue(
        self,
        now: int,
        call: CallRecord,
        queue: PartyRecord,
        target: str,
        cause: Cause | None,
        out: list[AnyOutput],
    ) -> None:
        """The route is taken: RouteUsed, then Diverted, on the Routing Point; then the call is not there any more."""
        third: dict[str, Any] = {"ThirdPartyDN": target, "ThirdPartyDNRole": int(DNRole.Destination)}
        self._calls.tell(
            now, queue, MessageType.EventRouteUsed, cause, out, CallState=int(CallState.Ok), **third
        )
        self._calls.step(now, queue, PartyInput.DIVERT, out, CallState.Ok, **third)
        self._calls.leave(now, queue)

    def _come_back(
        self, now: int, call: CallRecord, status: int, condition: Condition, out: list[AnyOutput]
    ) -> None:
        """The target cannot take the call: at a Routing Point it waits on for another route, else it is over."""
        self._stay(call.conn_id)
        self._core.arm("ring", call.conn_id, None)
        queue = self._calls.queue_of(call)
        if queue is None:
            self._give_up(now, call, out, status, _state_of(status))
            return
        cause = self._routed_by.pop(call.conn_id, None)
        if cause is None:
            self.hang_up(now, call, out, status, _state_of(status))
            return
        self._requests.fail(now, cause, condition, out, dn=queue.dn)
        self._core.arm("route", call.conn_id, now + self._core.limits.routing_us)

    def _give_up(
        self,
        now: int,
        call: CallRecord,
        out: list[AnyOutput],
        status: int,
        state: CallState,
        condition: Condition = Condition.INVALID_CONNID,
    ) -> None:
        """The call does not get where it was going: back to who transfers it, if that one is still there, or over."""
        self._stay(call.conn_id)
        self._core.arm("ring", call.conn_id, None)
        if not self.came_back(now, call, status, state, out):
            self.hang_up(now, call, out, status, state, condition=condition)

    def _to_trunk(self, now: int, call: CallRecord, target: Target, out: list[AnyOutput]) -> None:
        contact = self._core.settings.dns[target.dn].contact
        binding = fixed_binding(contact, target.dialled)
        if binding is None:
            self._outward[call.conn_id] = Outward(contact, target.dialled, target.dn)
            self.naming.find(now, call.conn_id, contact, out)
        else:
            self._invite(now, call, target.dialled, "trunk", binding, out, target.dn)

    def _try_next(self, now: int, call: CallRecord, outward: Outward, out: list[AnyOutput]) -> None:
        """The next place of a trunk's host while nobody rang at one; 503 after the last (RFC 3263 section 4.3)."""
        if outward.left:
            binding = named_binding(outward.contact, outward.dialled, outward.left.pop(0))
            self._invite(now, call, outward.dialled, "trunk", binding, out, outward.trunk)
        else:
            self._come_back(now, call, 503, Condition.INVALID_DESTINATION, out)

    def _stay(self, conn_id: int) -> None:
        """The call looks for no other place any more."""
        if self._outward.pop(conn_id, None) is not None:
            self.naming.forget(conn_id)

    def _invite(
        self,
        now: int,
        call: CallRecord,
        dn: str,
        kind: str,
        binding: Binding,
        out: list[AnyOutput],
        trunk: str = "",
        elsewhere: Elsewhere = NOWHERE,
    ) -> None:
        caller = self._calls.caller(call)
        party = self._calls.add(call, dn, kind, DNRole.Destination, 0, caller.dn)
        known = self._core.settings.dns.get(trunk or dn)
        if not caller.leg or self._legs.stage(caller.leg) is Stage.ANSWERED:
            # A phone that is there has an offer in a program's call alone; else who is called makes it, even early.
            offer = self._legs.shape(party, self.making.offer(call.conn_id))
            plain = False
        else:
            offer = self._legs.shape(party, caller.sdp)
            plain = not offer and not self._legs.is_reliable(caller.leg)
        shown, headers = self._calls.shown(call), self._calls.headers(call)
        leg = self._legs.invite(now, binding, shown, dn, offer, headers, known, plain)
        if not leg:
            self._calls.leave(now, party)
            self._come_back(now, call, 503, Condition.TOO_MANY, out)
            return
        self._calls.set_leg(party, leg)
        if elsewhere.to or len(elsewhere.hops) > 1:
            self._legs.wants(leg, elsewhere)
        self.arm_ring(now, call, party)

    def arm_ring(self, now: int, call: CallRecord, party: PartyRecord) -> None:
        """From now on a phone has its time to answer, which is short if its DN wants the call to go on then."""
        limits = self._core.limits
        soon = self._onward_of(call, party, ON_NO_ANSWER) is not None
        ring_us = min(limits.forward_us, limits.ring_us) if soon else limits.ring_us
        self._core.arm("ring", call.conn_id, now + ring_us)

    def _call_maker(
        self, now: int, call: CallRecord, dn: str, binding: Binding | None, out: list[AnyOutput]
    ) -> None:
        party = self._calls.party_on(call, dn)
        assert party is not None
        if binding is None:
            cause = self._calls.expected(party, PartyInput.DIAL)
            self._requests.fail(now, cause, Condition.OUT_OF_SERVICE, out, dn=dn)
            self._calls.end(now, call, out)
            return
        known = self._core.settings.dns[dn]
        offer = self._legs.shape(party, self.making.start(now, call, party, known.make_call_rfc3725_flow, out))
        realm = self._core.settings.realm
        headers = (("Call-Info", f"<sip:{realm}>;answer-after=0"),)
        leg = self._legs.invite(now, binding, call.dnis, dn, offer, headers, known, not offer)
        if not leg:
            self.hang_up(now, call, out, condition=Condition.TOO_MANY)
            return
        self._calls.set_leg(party, leg)
        self._core.arm("ring", call.conn_id, now + self._core.limits.ring_us)


def _told(status: int) -> int:
    """What a caller is told of a refusal: one that only we could act on tells it nothing."""
    return 480 if status < 400 or status in _OURS_TO_ACT_ON else status


def _state_of(status: int) -> CallState:
    if status in _BUSY:
        return CallState.Busy
    if status in _NO_ANSWER:
        return CallState.NoAnswer
    if status in _NO_NUMBER:
        return CallState.SitInvalidnum
    return CallState.GeneralError
