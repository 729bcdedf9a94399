"""T-Library clients of this node, whatever their port: who they are, what they registered, what reaches them.

What a client may do follows from its port, its role and what it has proved (design 6); `rights` holds the tables.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

import msgspec

from cluster_core.core import Cause, Core
from cluster_core.edge import SUBSYSTEMS, Edge
from cluster_core.outputs import AnyOutput, Fault
from cluster_core.records import RegistrationRecord, SessionRecord
from cluster_core.requests import Requests
from cluster_core.rights import LISTENER_ROLES, REFUSALS, RIGHTS, Condition, in_ranges, verify_secret
from cluster_core.settings import ClientRole, ClientSettings
from cluster_core.version import SERVER_VERSION
from tlib_proto import (
    Attribute,
    Greeted,
    Message,
    MessageType,
    ServerRole,
    Value,
    encode,
    server_info,
    with_reference,
)


class Client(msgspec.Struct):
    """A connected application; `registered` maps a DN to its RegisterMode, `bulk` is set by the bulk request, `untold`
    are the DNs of that request whose picture it has not been sent yet: until then it gets no event of theirs.
    """

    conn: int
    listener: str
    application: str
    role: ClientRole
    proven: bool
    ranges: tuple[str, ...]
    session_id: str
    node: str = ""
    registered: dict[str, int] = {}
    bulk: bool = False
    node_dns: bool = False
    untold: dict[str, None] = {}


class Clients:
    """The table of clients, and delivery to them: one event encoded once, its number the node's own."""

    def __init__(self, core: Core, edge: Edge, requests: Requests) -> None:
        self._core = core
        self._edge = edge
        self._requests = requests
        self._by_name = {client.name: client for client in core.settings.clients}
        self._watchers: dict[tuple[str, str], dict[int, None]] = {}
        self._bulk: dict[int, Client] = {}
        self._proofs: dict[tuple[str, str], bool] = {}
        self.table: dict[int, Client] = {}

    def greeted(self, now: int, conn: int, record: Greeted, out: list[AnyOutput]) -> Client | None:
        """Check a Hello against the port, the configuration and its proof; accept or refuse it.

        A peer is not accepted here: it is returned for the links to accept.
        """
        stream = self._edge.streams[conn]
        hello = record.hello
        role = _role(hello.role)
        known = self._by_name.get(hello.application)
        if role is None or role not in LISTENER_ROLES[stream.listener]:
            self._refuse(now, conn, Condition.ROLE_NOT_HERE, out, role=hello.role, port=stream.listener)
            return None
        if role is ClientRole.PEER or (hello.secret and known is None):
            proven = self._is_ours(hello.secret)
            if not proven:
                self._refuse(now, conn, Condition.BAD_PROOF, out, name=hello.application)
                return None
        else:
            proven = self._proves(known, hello.secret)
            if known is not None and known.certificate and known.certificate in stream.names:
                proven = True
            if known is not None and (known.secret or known.certificate) and not proven:
                self._refuse(now, conn, Condition.BAD_PROOF, out, name=hello.application)
                return None
            if known is not None and known.role is not role:
                self._refuse(now, conn, Condition.ROLE_NOT_HERE, out, role=hello.role, port=stream.listener)
                return None
            if not proven and not stream.loopback and not self._core.settings.insecure:
                self._refuse(now, conn, Condition.BAD_PROOF, out, name=hello.application)
                return None
        client = Client(
            conn,
            stream.listener,
            hello.application,
            role,
            proven,
            () if known is None else known.dns,
            self._core.ids.session_id(),
            hello.node,
        )
        self.table[conn] = client
        if role is not ClientRole.PEER:
            self._core.store.put(
                "sessions",
                client.session_id,
                SessionRecord(
                    client.session_id, conn, client.listener, client.application, role.value, proven
                ),
            )
            attributes: dict[int, int | str] = {
                Attribute.ApplicationName: hello.application,
                Attribute.SessionID: client.session_id,
                Attribute.NodeName: self._core.name,
            }
            self._edge.accept(now, conn, attributes, self._core.limits.keepalive_us, out)
        return client

    def gone(self, conn: int) -> Client | None:
        """Forget a client and all it registered; returns what it was, with the DNs that it had registered."""
        client = self.table.pop(conn, None)
        if client is None:
            return None
        self._requests.gone(conn)
        registered = dict(client.registered)
        for dn in registered:
            self.unregister(client, dn)
        client.registered = registered
        self._bulk.pop(conn, None)
        self._core.store.drop("sessions", client.session_id)
        return client

    def disconnect_all(self, now: int, out: list[AnyOutput]) -> None:
        """The node stops: every client is told so before its stream is closed; peers know it by other ways."""
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
        client.registered[dn] = mode
        self._watchers.setdefault((client.listener, dn), {})[client.conn] = None
        self._core.store.put(
            "registrations", f"{client.session_id}/{dn}", RegistrationRecord(client.session_id, dn, mode)
        )
        return True

    def unregister(self, client: Client, dn: str) -> bool:
        """A client watches a DN no longer; False when it did not."""
        if client.registered.pop(dn, None) is None:
            return False
        key = (client.listener, dn)
        watchers = self._watchers[key]
        del watchers[client.conn]
        if not watchers:
            del self._watchers[key]
        self._core.store.drop("registrations", f"{client.session_id}/{dn}")
        return True

    def set_bulk(self, client: Client, bulk: bool, node_dns: bool) -> None:
        """A smart client asked for, or gave up, every DN that this node owns."""
        client.bulk, client.node_dns = bulk, node_dns
        if bulk:
            self._bulk[client.conn] = client
        else:
            self._bulk.pop(client.conn, None)

    def watchers(self, listener: str, dn: str) -> tuple[int, ...]:
        """The streams of a port that registered a DN."""
        return tuple(self._watchers.get((listener, dn), ()))

    def is_watched(self, listener: str, dn: str) -> bool:
        """Whether somebody on a port registered a DN."""
        return (listener, dn) in self._watchers

    def is_behind(self, conn: int) -> bool:
        """Whether a client still has to read much of what it was sent."""
        return self._edge.unread(conn) > 0

    def watched(self, listener: str) -> list[str]:
        """Every DN that somebody registered on a port."""
        return [dn for name, dn in self._watchers if name == listener]

    def bulk(self, dn: str, node_dn: bool) -> list[int]:
        """The smart clients that see a DN of this node: an owned one, or a Routing Point or trunk."""
        return [
            conn
            for conn, client in self._bulk.items()
            if (client.node_dns or not node_dn) and dn not in client.untold and in_ranges(dn, client.ranges)
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

    def answer_server_info(self, now: int, conn: int, ref: int, out: list[AnyOutput]) -> None:
        """Answer RequestQueryServer."""
        served = RIGHTS[self.table[conn].role] - {MessageType.PeerMessage}
        info = server_info(SERVER_VERSION, ServerRole.Primary, served, NodeName=self._core.name)
        self.answer(now, conn, ref, info, out)

    def time(self, now: int) -> dict[int, int]:
        """The time attributes of an event that happens now."""
        return self._edge.stamps.time(now)

    def _is_ours(self, secret: str) -> bool:
        ours = self._core.settings.link_secret
        return bool(ours) and hmac.compare_digest(ours.encode(), secret.encode("utf-8", "surrogateescape"))

    def _proves(self, known: ClientSettings | None, secret: str) -> bool:
        """A checked secret is remembered: scrypt takes tens of milliseconds, and clients reconnect."""
        if known is None or not known.secret or not secret:
            return False
        digest = hmac.digest(known.secret.encode(), secret.encode("utf-8", "surrogateescape"), "sha256").hex()
        if (known.name, digest) not in self._proofs:
            if not verify_secret(secret, known.secret):
                return False
            self._proofs[known.name, digest] = True
        return True

    def _refuse(self, now: int, conn: int, condition: Condition, out: list[AnyOutput], **detail: str) -> None:
        refusal = REFUSALS[condition]
        text = refusal.text.format_map({"name": "", "role": "", "port": "", **detail})
        out.append(Fault(SUBSYSTEMS[self._edge.streams[conn].listener], condition.value, text, conn))
        self._edge.refuse(now, conn, refusal.code, text, out)


def _role(text: str) -> ClientRole | None:
    try:
        return ClientRole(text)
    except ValueError:
        return None
