"""T-Library clients of this node, whatever their port: who they are, what they registered, what reaches them.

What a client may do follows from its port, its role and what it has proved (design 6); `rights` holds the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cluster_core.admission import Admission
from cluster_core.client_records import Bulk, Client
from cluster_core.core import Cause, Core
from cluster_core.edge import Edge
from cluster_core.outputs import AnyOutput
from cluster_core.pacing import Paced
from cluster_core.records import RegistrationRecord, SessionRecord
from cluster_core.requests import Requests
from cluster_core.resume import Resume
from cluster_core.rights import LISTENER_ROLES, REFUSALS, RIGHTS, Condition, in_ranges
from cluster_core.settings import ClientRole
from cluster_core.version import SERVER_VERSION
from tlib_proto import (
    Attribute,
    Form,
    Greeted,
    Message,
    MessageType,
    ServerRole,
    Value,
    encode,
    server_info,
    with_reference,
)

__all__ = ["Bulk", "Client", "Clients"]


class Clients:
    """The table of clients, and delivery to them: one event encoded once, its number the node's own."""

    def __init__(self, core: Core, edge: Edge, requests: Requests) -> None:
        self._core = core
        self._edge = edge
        self._requests = requests
        self._admission = Admission(core, edge)
        # tuples: most DNs have one watcher or few, and an event goes to all of them as they stand
        self._watchers: dict[str, dict[str, tuple[int, ...]]] = {listener: {} for listener in LISTENER_ROLES}
        self._bulk: dict[int, Client] = {}
        self.resume = Resume(core, edge.stamps)
        self.stopped = False
        self.leaving: Paced[tuple[Client, str]] = Paced(core, "leaving", self._leave)
        self.left: Callable[[int, Client, str, list[AnyOutput]], None]
        self.table: dict[int, Client] = {}

    def greeted(self, now: int, conn: int, record: Greeted, out: list[AnyOutput]) -> Client | None:
        """Check a Hello against the port, the configuration and its proof; accept or refuse it.

        A peer is not accepted here: it is returned for the links to accept.
        """
        hello = record.hello
        listener = self._edge.streams[conn].listener
        admitted = self._admission.admit(now, conn, hello, out)
        if admitted is None:
            return None
        if admitted.role is ClientRole.PEER:
            peer = Client(conn, listener, hello.application, admitted.role, True, (), "", hello.node)
            self.table[conn] = peer
            return peer
        frames: list[bytes] = []
        found = self.resume.find(now, listener, hello, admitted, frames)
        if found is None:
            session_id = self._core.ids.session_id()
            role, proven = admitted.role, admitted.proven
            client = Client(
                conn, listener, hello.application, role, proven, admitted.ranges, session_id, admitted.node
            )
            if not self.may_own(client):
                self.resume.begin(client, hello)
        else:
            client = found[0]
            self._move(now, client, conn, out)
        self.table[conn] = client
        session = SessionRecord(
            client.session_id, conn, client.listener, client.application, client.role.value, client.proven
        )
        self._core.store.put("sessions", client.session_id, session)
        attributes: dict[int, Value] = {
            Attribute.ApplicationName: hello.application,
            Attribute.SessionID: client.session_id,
            Attribute.NodeName: self._core.name,
        }
        if client.resumable:
            attributes[Attribute.Capabilities] = self.resume.offered()
        if found is not None:
            # its place is that of the position: who is lost again before it has read on comes back to there
            attributes[Attribute.Resume] = hello.resume
            attributes[Attribute.EventSequenceNumber] = found[1]
        self._edge.accept(now, conn, attributes, self._core.limits.keepalive_us, out)
        if client.mask is not None:
            self._edge.set_input_mask(now, conn, client.mask)
        for frame in frames:
            self._edge.send_frame(now, (conn,), frame, out)
        return client

    def set_mask(self, now: int, client: Client, mask: bytes) -> None:
        """A client wants events by this mask alone, from now on and when it has come back."""
        client.mask = mask
        self._edge.set_input_mask(now, client.conn, mask)

    def gone(self, now: int, conn: int) -> Client | None:
        """A client's connection is gone: forget it and return what it was, whose DNs are still to `leave`.

        None when nobody was there, or when it may come back: then `expired` tells its end.
        """
        client = self.table.pop(conn, None)
        if client is None:
            return None
        self._requests.gone(conn)
        if not self.stopped and self.resume.park(now, client):
            return None
        return self._forget(client)

    def expired(self, session_id: str) -> Client:
        """A client that might have come back did not; returns what it was, as `gone`."""
        return self._forget(self.resume.parked[session_id])

    def _forget(self, client: Client) -> Client:
        self.resume.forget(client)
        self._bulk.pop(client.conn, None)
        self._core.store.drop("sessions", client.session_id)
        return client

    def leave(self, now: int, client: Client, out: list[AnyOutput]) -> None:
        """End the registrations of a client that is gone, however many, a part in each input."""
        if client.registered and not self.stopped:
            self.leaving.add(now, [(client, dn) for dn in client.registered], out)

    def _leave(self, now: int, one: tuple[Client, str], out: list[AnyOutput]) -> None:
        client, dn = one
        self.unregister(client, dn)
        self.left(now, client, dn, out)

    def _move(self, now: int, client: Client, conn: int, out: list[AnyOutput]) -> None:
        """A client goes on, on another connection: what it registered holds for that one."""
        before = client.conn
        if self.table.pop(before, None) is not None:
            self._requests.gone(before)
            self._edge.close(now, before, "the client has connected again", out)
        self.resume.moved(client, conn)
        for dn in client.registered:
            watchers = self._watchers[client.listener]
            watchers[dn] = tuple(conn if other == before else other for other in watchers[dn])
        if client.bulk:
            del self._bulk[before]
            self._bulk[conn] = client

    def cut(self, now: int, node: str, down: bool, out: list[AnyOutput]) -> None:
        """An operator cuts what comes from another node, but for its link, or mends it."""
        if not down:
            self._admission.cut.pop(node, None)
            return
        self._admission.cut[node] = None
        for conn, client in list(self.table.items()):
            if client.node == node and client.role is not ClientRole.PEER:
                self._edge.close(now, conn, "cut by an operator", out)

    def disconnect_all(self, now: int, out: list[AnyOutput]) -> None:
        """The node stops: every client is told so before its stream is closed; peers know it by other ways.

        What clients registered ends with the node, and so what they owned: nothing of that is done one by one.
        """
        self.stopped = True
        self.leaving.clear()
        refusal = REFUSALS[Condition.NODE_STOPS]
        for conn, client in list(self.table.items()):
            if client.role is not ClientRole.PEER:
                about: dict[int, int | str] = {
                    Attribute.SessionID: client.session_id,
                    Attribute.NodeName: self._core.name,
                }
                self._edge.disconnect(now, conn, about, refusal.code, refusal.text, out)

    def register(self, client: Client, dn: str, mode: int) -> bool:
        """Let a client watch a DN on its port; False when it watches too many."""
        if (
            dn not in client.registered
            and len(client.registered) >= self._core.limits.registrations_per_client
        ):
            return False
        if dn not in client.registered:
            watchers = self._watchers[client.listener]
            watchers[dn] = (*watchers.get(dn, ()), client.conn)
        client.registered[dn] = mode
        self._core.store.put(
            "registrations", f"{client.session_id}/{dn}", RegistrationRecord(client.session_id, dn, mode)
        )
        return True

    def unregister(self, client: Client, dn: str) -> bool:
        """A client watches a DN no longer; False when it did not."""
        if client.registered.pop(dn, None) is None:
            return False
        watchers = self._watchers[client.listener]
        others = tuple(conn for conn in watchers[dn] if conn != client.conn)
        if others:
            watchers[dn] = others
        else:
            del watchers[dn]
        self._core.store.drop("registrations", f"{client.session_id}/{dn}")
        return True

    def told_all(self, client: Client) -> None:
        """A client was told a whole list: who comes back from before its end begins anew."""
        client.untold = {}
        self.resume.told_all(client)

    def set_bulk(self, client: Client, bulk: Bulk | None) -> None:
        """A smart client asked for every DN that this node owns, and more, or gave them up."""
        client.bulk = bulk
        if bulk is None:
            self._bulk.pop(client.conn, None)
        else:
            self._bulk[client.conn] = client

    def watchers(self, listener: str, dn: str) -> tuple[int, ...]:
        """The streams of a port that registered a DN."""
        return self._watchers[listener].get(dn, ())

    def is_watched(self, listener: str, dn: str) -> bool:
        """Whether somebody on a port registered a DN."""
        return dn in self._watchers[listener]

    def is_behind(self, conn: int) -> bool:
        """Whether a client still has to read much of what it was sent."""
        return self._edge.unread(conn) > 0

    def watched(self, listener: str) -> list[str]:
        """Every DN that somebody registered on a port."""
        return list(self._watchers[listener])

    def bulk(self, dn: str, *, node_dn: bool = False, call_dn: bool = False) -> list[int]:
        """The smart clients that see a DN of this node: an owned one, a Routing Point or trunk, or one that has calls
        of this node and no owner.
        """
        return [
            conn
            for conn, client in self._bulk.items()
            if client.bulk is not None
            and (client.bulk.node_dns or not node_dn)
            and (client.bulk.call_dns or not call_dn)
            and dn not in client.untold
            and in_ranges(dn, client.ranges)
        ]

    def may_touch(self, client: Client, dn: str) -> bool:
        """Whether a DN lies in the ranges of the client's rights."""
        return not client.ranges or in_ranges(dn, client.ranges)

    def may_own(self, client: Client) -> bool:
        """Whether the client may establish DN ownership: named in `dn-owner-applications`, and proven (design 6)."""
        return client.proven and client.application in self._core.settings.options.dn_owner_applications

    def deliver(
        self, now: int, conns: Sequence[int], event: Message, cause: Cause | None, out: list[AnyOutput]
    ) -> None:
        """Send an event to streams of one port, encoded once; the copy of the one who asked carries the ReferenceID."""
        if not conns:
            return
        frame = encode(Message(event.id, 0, {**event.attributes, **self._edge.stamps.place()}))
        self.resume.sent(now, frame, conns)
        asking = self._requests.conn_of(cause)
        if asking is not None and cause is not None and asking in conns:
            answer = with_reference(frame, self._requests.take_ref(cause))
            self._edge.send_frame(now, (asking,), answer, out)
            conns = [conn for conn in conns if conn != asking]
        self._edge.send_frame(now, conns, frame, out)

    def answer(self, now: int, conn: int, ref: int, event: Message, out: list[AnyOutput]) -> None:
        """Answer one client by an event of its own."""
        self.tell(now, conn, ref, event.id, dict(event.attributes), out)

    def tell(
        self, now: int, conn: int, ref: int, kind: int, attributes: dict[int, Value], out: list[AnyOutput]
    ) -> None:
        """Send one client an event of its own, of attributes that were made for it."""
        attributes.update(self._edge.stamps.whole(now))
        self._edge.send(now, conn, Message(kind, ref, attributes), out)

    def fill(
        self, now: int, conn: int, ref: int, form: Form, values: tuple[int | str, ...], out: list[AnyOutput]
    ) -> None:
        """Send one client an event of its own, of a form that ends in the stamps."""
        frame = form.fill(ref, (*values, *self._edge.stamps.numbers(now)))
        self._edge.send_frame(now, (conn,), frame, out)

    def spread(
        self, now: int, conns: Sequence[int], form: Form, values: tuple[int | str, ...], out: list[AnyOutput]
    ) -> None:
        """Send an event of a form that ends in the stamps, and that answers nobody, to streams of one port."""
        frame = form.fill(0, (*values, *self._edge.stamps.numbers(now)))
        self.resume.sent(now, frame, conns)
        self._edge.send_frame(now, conns, frame, out)

    def answer_server_info(self, now: int, conn: int, ref: int, out: list[AnyOutput]) -> None:
        """Answer RequestQueryServer."""
        served = RIGHTS[self.table[conn].role] - {MessageType.PeerMessage}
        info = server_info(SERVER_VERSION, ServerRole.Primary, served, NodeName=self._core.name)
        self.answer(now, conn, ref, info, out)

    def time(self, now: int) -> dict[int, int]:
        """The time attributes of an event that happens now."""
        return self._edge.stamps.time(now)
