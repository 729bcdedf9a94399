"""One node of the cluster: takes each input to its room, and what rooms say to each other onward (design 3).

This room owns the tables and dispatches; it decides nothing else.
"""

from __future__ import annotations

import hashlib
from typing import Any

from cluster_core.clients import Clients
from cluster_core.core import Core
from cluster_core.edge import Edge, Gone
from cluster_core.errors import LocalError
from cluster_core.inputs import (
    Answered,
    AnyInput,
    Apply,
    Changed,
    Closed,
    Datagram,
    Opened,
    Operator,
    Received,
    Role,
    Timeout,
    WallClock,
    Writable,
)
from cluster_core.interaction_proxy import InteractionProxy
from cluster_core.invariants import check_calls, check_clients, check_streams, check_transfers
from cluster_core.naming import Naming
from cluster_core.outputs import AnyOutput, Fault, Replicate, Subsystem
from cluster_core.ports import Ports
from cluster_core.requests import Requests
from cluster_core.session_controller import SessionController
from cluster_core.settings import ClusterSettings
from cluster_core.smart_proxy import SmartProxy
from cluster_core.store import Store
from cluster_core.t_controller import TController

_EXPIRIES_AT_ONCE = 10_000


class ClusterNode:
    """The whole of a node behind one method (design 3).

    Feed `WallClock` and `Role` first. `handle` takes one input and appends outputs, whose order is the order of
    performance; nothing is left to drain. LocalError for what the host may not say; it changes nothing.
    """

    def __init__(self, settings: ClusterSettings, node: str, member: str, seed: bytes) -> None:
        self._core = Core(settings, node, member, _derived(seed, "ids"))
        core = self._core
        self._edge = Edge(core, _derived(seed, "sip"))
        self._requests = Requests(core, self._edge)
        self._clients = Clients(core, self._edge, self._requests)
        self.t_controller = TController(core, self._edge, self._requests, self._clients)
        self.session_controller = SessionController(
            core, self._edge, self._requests, self._clients, _derived(seed, "digest")
        )
        self.interaction_proxy = InteractionProxy(core, self._edge, self._requests, self._clients)
        self.smart_proxy = SmartProxy(core, self._edge, self._requests, self._clients)
        self.t_controller.calls = self.session_controller
        self.session_controller.calls.reporter = self.interaction_proxy
        self.interaction_proxy.calls = self.session_controller.calls
        self.session_controller.calls.distributor = self.t_controller
        self.session_controller.delivery.locator = self.t_controller
        self.session_controller.passing.locator = self.t_controller
        self._naming = self.session_controller.delivery.naming = Naming(core, _derived(seed, "names"))
        self._naming.user = self.session_controller.delivery
        self._naming.gate = self._edge.gate
        self.session_controller.registrar.bindings = self.t_controller
        self.session_controller.subscriptions.pictures = self.t_controller
        self._ports = Ports(
            self._edge,
            self._requests,
            self._clients,
            self.session_controller,
            self.interaction_proxy,
            self.t_controller,
            self.smart_proxy,
        )
        self._now = 0
        self._sip_due_us: int | None = None
        self._inputs: dict[type, Any] = {
            WallClock: self._wall_clock,
            Role: self._role,
            Opened: self._edge.opened,
            Received: lambda now, given, out: self._edge.received(now, given.conn, given.data, out),
            Closed: lambda now, given, out: self._closed(now, given.conn, out),
            Datagram: lambda now, given, out: self._edge.datagram(now, given, out),
            Writable: lambda now, given, out: self._edge.queued(now, given.conn, given.queued, out),
            Answered: self._answered,
            Changed: self.t_controller.ownership.changed,
            Apply: self._apply,
            Operator: self._operator,
            Timeout: self._timeout,
        }
        ownership, links = self.t_controller.ownership, self.t_controller.links
        self._timers: dict[str, Any] = {
            "sip": self._sip_timeout,
            "conn": self._edge.timeout,
            "idle": self._edge.idle_timeout,
            "parked": self._ports.parked,
            "request": self._requests.timeout,
            "membership": lambda now, key, out: ownership.membership_timeout(now, out),
            "fence": lambda now, key, out: ownership.fence_timeout(now, out),
            "claim": lambda now, key, out: ownership.claim_timeout(now, out),
            "release": lambda now, key, out: ownership.release_timeout(now, out),
            "owners": lambda now, key, out: ownership.table_timeout(now, out),
            "dial": links.dial_timeout,
            "away": links.away_timeout,
            "linkreq": links.request_timeout,
            "binding": self.t_controller.owned.binding_timeout,
            "waiting": self.t_controller.registrations.waiting_timeout,
            "bulk": self.t_controller.registrations.bulk_timeout,
            "leaving": lambda now, key, out: self._clients.leaving.turn(now, out),
            "hiding": lambda now, key, out: self.t_controller.owned.hiding.turn(now, out),
            "losing": lambda now, key, out: self.t_controller.streams.losing.paced.turn(now, out),
            "unlinked": lambda now, key, out: self.smart_proxy.losing.paced.turn(now, out),
            "releasing": lambda now, key, out: self.t_controller.releasing.turn(now, out),
            "ending": lambda now, key, out: self.t_controller.owned.ending.turn(now, out),
            "reclaiming": lambda now, key, out: self.t_controller.owned.reclaiming.turn(now, out),
            "snapshots": self.t_controller.streams.snapshots.turn,
            "ring": self.session_controller.delivery.ring_timeout,
            "route": self.session_controller.routing.route_timeout,
            "parting": self.session_controller.transfers.parting_timeout,
            "reporting": self.interaction_proxy.away_timeout,
            "replay": self.interaction_proxy.replay_timeout,
            "backlog": self.interaction_proxy.backlog.timeout,
            "upstream": self.smart_proxy.dial_timeout,
            "name": self._naming.query_timeout,
            "lookup": self._naming.lookup_timeout,
        }

    @property
    def store(self) -> Store:
        """The durable tables, for reading."""
        return self._core.store

    def handle(self, now: int, given: AnyInput, out: list[AnyOutput]) -> None:
        """Take one input; `now` is in microseconds and never decreases."""
        if now < self._now:
            raise LocalError(f"time went back from {self._now} to {now}")
        handler = self._inputs.get(type(given))
        if handler is None:
            raise LocalError(f"{type(given).__name__} is no input")
        self._now = now
        handler(now, given, out)
        while self._edge.tlib_out or self._edge.sip_out or self.t_controller.streams.changed:
            said, self._edge.tlib_out = self._edge.tlib_out, []
            for conn, record in said:
                self._ports.said(now, conn, record, out)
            for sip in self._edge.flush_sip(out):
                self.session_controller.sip(now, sip, out)
            if self.t_controller.streams.changed:
                self.session_controller.subscriptions.tell(now, self.t_controller.streams.changed)
        self.t_controller.flush(now, out)
        deadline_us = self._edge.sip.next_deadline()
        if deadline_us != self._sip_due_us:
            self._sip_due_us = deadline_us
            self._core.arm("sip", 0, deadline_us)
        self._core.keep_mark()
        changes = self._core.store.changes()
        if changes:
            out.append(Replicate(Subsystem.MAIN, changes))

    def next_deadline(self) -> int | None:
        """When `Timeout` is due, None for never."""
        return self._core.timers.next_deadline()

    def status(self) -> dict[str, object]:
        """What an operator sees: role, links, sizes of tables; nothing of any call or client."""
        links = self.t_controller.links
        return {
            "node": self._core.name,
            "role": "primary" if self._core.primary else "backup",
            "member": self.t_controller.ownership.acting,
            "incarnation": self._core.ids.incarnation,
            "links": {
                peer.name: "up" if peer.up else "cut" if peer.cut else "down" for peer in links.peers.values()
            },
            "smart_proxy_synchronised": self.smart_proxy.is_synchronised,
            "reporting": self.interaction_proxy.status(),
            "counts": self.counts(),
        }

    def counts(self) -> dict[str, int]:
        """Sizes of tables: what must be 0 when nothing goes on, and what is connected or owned."""
        sc = self.session_controller
        return {
            "calls": len(sc.calls.calls),
            "parties": len(sc.calls.parties),
            "legs": len(sc.legs),
            "offers": len(sc.talk) + len(sc.making) + len(sc.early),
            "transfers": len(sc.transfers) + len(sc.consult),
            "watches": len(sc.subscriptions),
            "asked": len(sc.control) + len(sc.registrar) + len(sc.passing) + len(sc.forwarding),
            "requests": len(self._requests),
            "lookups": len(self._naming),
            "clients": len(self._clients.table),
            "parked": len(self._clients.resume.parked),
            "reported": len(self.store.rows("interactions")),
            "streams": len(self._edge.streams),
            "owned_dns": len(self.store.rows("dns")),
            "agents": len(self.store.rows("agents")),
            **{f"sip_{name}": size for name, size in self._edge.sip.counts().items()},
        }

    def check(self) -> None:
        """Assert every invariant that ties the tables together; for tests, the simulator and after a fault."""
        self._edge.sip.check()
        check_calls(self.session_controller.calls, self.store)
        check_transfers(self.session_controller.calls, self.session_controller.legs)
        check_streams(self.t_controller.streams, self.store)
        check_clients(self._clients, self._edge)
        self.interaction_proxy.check()

    def _wall_clock(self, now: int, given: WallClock, out: list[AnyOutput]) -> None:
        self._core.wall_base_us = given.base_us
        self._edge.stamps.started_us = self._edge.stamps.started_us or self._core.wall_us(now)

    def _role(self, now: int, given: Role, out: list[AnyOutput]) -> None:
        self._core.role_epoch = given.epoch
        if given.primary and not self._core.primary:
            self._core.primary = True
            self.t_controller.ownership.join(now, out)
            self.smart_proxy.start(now, out)

    def _answered(self, now: int, given: Answered, out: list[AnyOutput]) -> None:
        if not self._naming.answered(now, given, out):
            self.t_controller.ownership.answered(now, given, out)

    def _apply(self, now: int, given: Apply, out: list[AnyOutput]) -> None:
        if self._core.primary:
            raise LocalError("a primary applies nothing")
        self._core.store.apply(given.changes)

    def _operator(self, now: int, given: Operator, out: list[AnyOutput]) -> None:
        if given.command == "link" and len(given.arguments) == 2 and given.arguments[1] in ("up", "down"):
            peer, state = given.arguments
            if self.t_controller.links.cut(now, peer, state == "down", out):
                self.smart_proxy.cut(now, peer, state == "down", out)
                self._clients.cut(now, peer, state == "down", out)
                return
        elif given.command == "stop":
            self.smart_proxy.stop(now, out)
            self.t_controller.links.stop(now, out)
            self.t_controller.ownership.leave(now, out)
            self._clients.disconnect_all(now, out)
            return
        text = " ".join((given.command, *given.arguments))[:200]
        out.append(Fault(Subsystem.MAIN, "operator-command", f"not understood: {text!r}"))

    def _timeout(self, now: int, given: Timeout, out: list[AnyOutput]) -> None:
        for _ in range(_EXPIRIES_AT_ONCE):
            due = self._core.timers.pop_due(now)
            if due is None:
                return
            self._timers[due[0]](now, due[1], out)
            if self._edge.sip_out or self._edge.tlib_out:
                return

    def _sip_timeout(self, now: int, key: int, out: list[AnyOutput]) -> None:
        self._sip_due_us = None
        self._edge.sip.handle_timeout(now, self._edge.sip_out)

    def _closed(self, now: int, conn: int, out: list[AnyOutput]) -> None:
        if self._edge.sip_closed(now, conn):
            return
        listener = self._edge.closed(conn)
        if listener is not None:
            self._edge.tlib_out.append((conn, Gone(listener)))


def _derived(seed: bytes, purpose: str) -> bytes:
    """A seed of its own for each purpose."""
    return hashlib.blake2b(purpose.encode(), key=seed[:64], digest_size=32).digest()
