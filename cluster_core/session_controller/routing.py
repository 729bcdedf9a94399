"""Routing Points: a call waits, this node's routers are asked, the first route wins (seed, Session Controller)."""

from __future__ import annotations

from cluster_core.clients import Clients
from cluster_core.core import Cause, Core
from cluster_core.dial_plan import DialPlan, Target
from cluster_core.outputs import AnyOutput
from cluster_core.records import CallRecord
from cluster_core.requests import Requests
from cluster_core.rights import Condition
from cluster_core.session_controller.calls import Calls
from cluster_core.session_controller.delivery import Delivery
from cluster_core.session_controller.legs import Legs
from cluster_core.session_controller.tables import PartyInput
from cluster_core.settings import DnType
from tlib_proto import Attribute, CallState, DNRole, Message, MessageType


class Routing:
    """Calls that wait at Routing Points."""

    def __init__(
        self,
        core: Core,
        clients: Clients,
        requests: Requests,
        calls: Calls,
        legs: Legs,
        delivery: Delivery,
        plan: DialPlan,
    ) -> None:
        self._core = core
        self._clients = clients
        self._requests = requests
        self._calls = calls
        self._legs = legs
        self._delivery = delivery
        self._plan = plan

    def arrive(self, now: int, call: CallRecord, dn: str, out: list[AnyOutput]) -> None:
        """A call reaches a Routing Point: queued, and a route is asked for; without a router it goes on by default."""
        caller = self._calls.caller(call)
        call.queue = dn
        party = self._calls.add(call, dn, "queue", DNRole.Destination, 0, caller.dn)
        self._legs.ring(now, caller.leg, 180, b"")
        third = self._calls.third(call)
        state = CallState.Transferred if third else CallState.Ok
        self._calls.step(now, party, PartyInput.QUEUE, out, state, **third)
        if next(iter(self._clients.watchers("tlib", dn)), None) is None:
            self.go_by_default(now, call, out)
            return
        self._calls.tell(now, party, MessageType.EventRouteRequest, None, out, CallState=int(CallState.Ok))
        self._core.arm("route", call.conn_id, now + self._core.limits.routing_us)

    def route(self, now: int, call: CallRecord, message: Message, cause: Cause, out: list[AnyOutput]) -> None:
        """TRouteCall: the first one for a call wins; one that leads nowhere leaves the call where it waits."""
        queue = self._calls.queue_of(call)
        if queue is None or queue.dn != message.text(Attribute.ThisDN):
            self._requests.fail(now, cause, Condition.WRONG_STATE, out)
            return
        if self._delivery.is_routing(call):
            self._requests.fail(now, cause, Condition.ROUTE_BUSY, out)
            return
        number = message.text(Attribute.OtherDN) or self._core.settings.dns[queue.dn].default_dn
        target = self._plan.find(number)
        if target.kind is None:
            self._requests.fail(now, cause, Condition.INVALID_DESTINATION, out)
        elif target.kind is DnType.ROUTING_POINT:
            self._delivery.leaves_queue(now, call, queue, target.dn, cause, out)
            self.arrive(now, call, target.dn, out)
        else:
            self._delivery.route(now, call, target, cause, out)

    def go_by_default(self, now: int, call: CallRecord, out: list[AnyOutput]) -> None:
        """Nobody routes the call: to the Routing Point's default DN, or back to the caller."""
        queue = self._calls.queue_of(call)
        assert queue is not None
        number = self._core.settings.dns[queue.dn].default_dn
        target = self._plan.find(number) if number else Target(None, "", "")
        if target.kind in (None, DnType.ROUTING_POINT):
            self._delivery.hang_up(now, call, out, 480, CallState.NoAnswer)
        else:
            self._delivery.route(now, call, target, None, out)

    def route_timeout(self, now: int, conn_id: int, out: list[AnyOutput]) -> None:
        """No route came in time."""
        call = self._calls.calls[conn_id]
        if not self._delivery.is_routing(call):
            self.go_by_default(now, call, out)
