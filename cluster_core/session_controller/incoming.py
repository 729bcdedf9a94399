"""INVITEs from phones and trunks: who calls, whom, and may they (seed; dial plan)."""

from __future__ import annotations

from collections.abc import Callable

from cluster_core.core import Core
from cluster_core.dial_plan import DialPlan, Target
from cluster_core.outputs import AnyOutput, Fault, Subsystem
from cluster_core.records import CallRecord
from cluster_core.session_controller.calls import Calls
from cluster_core.session_controller.delivery import Delivery
from cluster_core.session_controller.forwarding import Forwarding
from cluster_core.session_controller.legs import Legs
from cluster_core.session_controller.registrar import Registrar, user_of
from cluster_core.session_controller.routing import Routing
from cluster_core.session_controller.tables import PartyInput
from cluster_core.settings import DnType
from sip_proto import Invited, Requested, description_of, parse_uri
from sip_proto.uri import address_of
from tlib_proto import CallType, DNRole

_TYPES = {
    ("extension", DnType.EXTENSION): CallType.Internal,
    ("extension", DnType.ROUTING_POINT): CallType.Internal,
    ("extension", DnType.TRUNK): CallType.Outbound,
}


class Incoming:
    """The first steps of a call that comes in by SIP."""

    def __init__(
        self,
        core: Core,
        calls: Calls,
        legs: Legs,
        registrar: Registrar,
        plan: DialPlan,
        delivery: Delivery,
        routing: Routing,
        forwarding: Forwarding,
    ) -> None:
        self._core = core
        self._calls = calls
        self._legs = legs
        self._registrar = registrar
        self._plan = plan
        self._delivery = delivery
        self._routing = routing
        self._forwarding = forwarding
        self.replacing: Callable[[int, Invited, str, str, list[AnyOutput]], bool]
        self._nodes = {}
        for node in core.settings.nodes:
            for member in node.members:
                self._nodes[address_of(parse_uri(f"sip:{member.sip}"))] = node.name
        self._trunks = {}
        for dn in core.settings.dns.values():
            if dn.type is DnType.TRUNK and dn.contact != "*":
                self._trunks[address_of(parse_uri(dn.contact))] = dn.dn

    def invited(self, now: int, given: Invited, out: list[AnyOutput]) -> None:
        """An INVITE outside of any dialog: a call, or the reason why not."""
        request = given.request
        caller = user_of(request.from_.uri)
        if caller is None:
            self.refuse(now, given.leg, 400, "Bad From")
            return
        known = self._core.settings.dns.get(caller)
        kind = "external"
        marked = self._forwarding.is_marked(now, request)
        if given.source in self._trunks:
            kind = "trunk"
        elif given.source in self._nodes and request.get("Replaces") and not marked:
            # A transfer between calls of two nodes: who asked for it has proven itself there.
            kind = "node"
        elif known is not None and known.type is DnType.EXTENSION:
            kind = "extension"
            # Of a marked one another node has judged it.
            if known.password and not marked and given.source[0] not in self._core.settings.sip_proxies:
                refused = self._registrar.judge(
                    now, Requested(0, request, 0, given.listener, given.source), known
                )
                if refused is not None:
                    self.refuse(now, given.leg, refused[0], refused[1], refused[2])
                    return
        trunk = self._trunks.get(given.source)
        self._legs.came(given.leg, request, known if trunk is None else self._core.settings.dns[trunk])
        if kind == "extension" and not marked:
            self._forwarding.take(now, given, caller, out)
        else:
            self.begin(now, given, caller, kind, out)

    def begin(self, now: int, given: Invited, caller: str, kind: str, out: list[AnyOutput]) -> None:
        """Process an INVITE on this node, of a caller who is let in."""
        if self.replacing(now, given, caller, kind, out):
            return
        number = parse_uri(given.request.uri).user
        target = self._plan.find(number)
        if target.kind is None:
            self.refuse(now, given.leg, 404, "No Such Number")
        elif target.kind is DnType.TRUNK and kind != "extension":
            # A stranger does not call out at our cost.
            self.refuse(now, given.leg, 403, "No Way From Outside To A Trunk")
        elif target.dn == caller:
            self.refuse(now, given.leg, 486, "That Is You")
        elif kind == "extension" and self._calls.busy(caller):
            self.refuse(now, given.leg, 486, "Too Many Calls")
        else:
            self._begin(now, given, caller, kind, target, out)

    def onward(self, now: int, call: CallRecord, target: Target, out: list[AnyOutput]) -> None:
        """Bring a call to its first destination."""
        if target.kind is DnType.ROUTING_POINT:
            self._routing.arrive(now, call, target.dn, out)
        else:
            self._delivery.deliver(now, call, target, out)

    def _begin(
        self, now: int, given: Invited, caller: str, kind: str, target: Target, out: list[AnyOutput]
    ) -> None:
        assert target.kind is not None
        call_type = _TYPES.get((kind, target.kind), CallType.Inbound)
        call = self._calls.create(now, call_type, caller, target.dialled, (), out)
        if call is None:
            out.append(Fault(Subsystem.MAIN, "too-many-calls", "a call was refused with 503"))
            self.refuse(now, given.leg, 503, "Too Many Calls", (("Retry-After", "5"),))
            return
        party = self._calls.add(
            call, caller or "anonymous", kind, DNRole.Origination, given.leg, target.dialled
        )
        party.sdp = description_of(given.request)
        self._calls.step(now, party, PartyInput.DIAL, out)
        self.onward(now, call, target, out)

    def refuse(
        self, now: int, leg: int, status: int, reason: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Refuse an INVITE that came in."""
        self._legs.gone(leg)
        self._legs.sip.reject(now, leg, status, self._legs.out, reason=reason, headers=headers)
