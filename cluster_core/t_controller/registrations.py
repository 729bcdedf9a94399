"""What T-Library clients register at TCport: one DN, anywhere in the cluster, or all that this node owns (seed).

An answer carries the DN's picture. When another node has it, the answer waits for that node's Snapshot, but not for
long: then it tells what is known.
"""

from __future__ import annotations

from collections import deque

import msgspec

from cluster_core.addresses import Addresses
from cluster_core.clients import Bulk, Client, Clients
from cluster_core.coordinator_records import How
from cluster_core.core import Core
from cluster_core.outputs import AnyOutput
from cluster_core.ownership import Ownership
from cluster_core.requests import Requests
from cluster_core.rights import Condition
from cluster_core.settings import DnType
from cluster_core.t_controller.links import Links, Peer
from cluster_core.t_controller.owned import Owned
from cluster_core.t_controller.streams import Streams
from tlib_proto import Attribute, Message, MessageType

_TRUE = ("1", "true", "yes", 1)
BULK_REQUESTS = 16
"""Bulk requests of one client that wait for the end of what they asked for."""


class Registrations:
    """Registrations of one DN and of all, and the answers that wait for another node."""

    def __init__(
        self,
        core: Core,
        clients: Clients,
        requests: Requests,
        ownership: Ownership,
        links: Links,
        streams: Streams,
        owned: Owned,
    ) -> None:
        self._core = core
        self._clients = clients
        self._requests = requests
        self.addresses = Addresses(core, clients, requests)
        self._ownership = ownership
        self._links = links
        self._streams = streams
        self._owned = owned
        self._claiming: dict[str, list[tuple[int, int]]] = {}
        self._waiting: dict[str, tuple[dict[str, None], list[tuple[int, int]]]] = {}
        self._queries: dict[str, list[tuple[int, int, int]]] = {}
        self._telling: dict[int, _Telling] = {}

    def request(self, now: int, client: Client, message: Message, out: list[AnyOutput]) -> bool:
        """Serve a request on registrations; False when it is about something else."""
        if message.id == MessageType.RequestRegisterAddress:
            self._register(now, client, message, out)
        elif message.id == MessageType.RequestUnregisterAddress:
            self._answer_early(now, client.conn, message.text(Attribute.ThisDN), out)
            dn = self.addresses.unregister(now, client, message, out)
            if dn:
                self.left(now, client, dn, out)
        elif message.id == MessageType.RequestRegisterAll:
            self._register_all(now, client, message, out)
        elif message.id == MessageType.RequestUnregisterAll:
            self._all_told(now, client, out)
            self._clients.set_bulk(client, None)
            done = Message(MessageType.EventUnregisteredAll)
            self._clients.answer(now, client.conn, message.ref, done, out)
        elif message.id == MessageType.RequestQueryAddress:
            self._query(now, client, message, out)
        elif message.id == MessageType.RequestQueryServer:
            self._clients.answer_server_info(now, client.conn, message.ref, out)
        else:
            return False
        return True

    def waiting(self, dn: str) -> list[int]:
        """The streams whose registration of the DN is not answered yet."""
        waiting = self._waiting.get(dn)
        return [] if waiting is None else [conn for conn, _ in waiting[1]]

    def told(self, now: int, node: str, dn: str, out: list[AnyOutput]) -> None:
        """A node has told its picture of a DN: answer who waited for it."""
        waiting = self._waiting.get(dn)
        if waiting is not None:
            waiting[0].pop(node, None)
            if not waiting[0]:
                self.waiting_timeout(now, dn, out)

    def peer_gone(self, now: int, node: str, out: list[AnyOutput]) -> None:
        """A node will not tell anything now."""
        for dn in list(self._waiting):
            self.told(now, node, dn, out)

    def waiting_timeout(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        """Answer with what is known."""
        _, answers = self._waiting.pop(dn)
        self._core.arm("waiting", dn, None)
        for conn, ref in answers:
            if conn in self._clients.table:
                self._streams.answer_registered(now, conn, ref, dn, out)
        for conn, ref, info in self._queries.pop(dn, []):
            if conn in self._clients.table:
                self._streams.answer_query(now, conn, ref, info, dn, out)
        self._maybe_forget(now, dn, out)

    def bulk_timeout(self, now: int, conn: int, out: list[AnyOutput]) -> None:
        """Tell a smart client more of what it asked for, unless it still has to read what it was sent."""
        client = self._clients.table[conn]
        telling = self._telling[conn]
        limits = self._core.limits
        if self._clients.is_behind(conn):
            self._core.arm("bulk", conn, now + limits.bulk_wait_us)
            return
        for _ in range(min(limits.bulk_dns_at_once, len(telling.dns))):
            dn = telling.dns.popleft()
            if client.untold.pop(dn, "") is None:
                self._streams.tell_seen(now, client, dn, out)
        if telling.dns:
            self._core.arm("bulk", conn, now + 1)
        else:
            self._all_told(now, client, out)

    def claimed(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        """A claim for a client's sake has ended; whoever owns the DN now, the registration holds."""
        for conn, ref in self._claiming.pop(dn, []):
            if conn in self._clients.table:
                self._answer(now, conn, ref, dn, out)

    def client_gone(self, now: int, client: Client, out: list[AnyOutput]) -> None:
        """A client is gone: it is told nothing more; `left` says the end of each of its registrations."""
        if self._telling.pop(client.conn, None) is not None:
            self._core.arm("bulk", client.conn, None)

    def _register(self, now: int, client: Client, message: Message, out: list[AnyOutput]) -> None:
        first = not self._clients.is_watched("tcontroller", message.text(Attribute.ThisDN))
        dn = self.addresses.register(now, client, message, out)
        if not dn:
            return
        if first and self._core.settings.options.smart_proxy_enabled:
            self._links.want(dn, True)
        known = self._core.settings.dns[dn]
        ownable = known.type is DnType.EXTENSION and known.contact != "*" and self._clients.may_own(client)
        if ownable and self._owned.serves(dn):
            self._owned.own_by_client(now, client, dn, out)
        elif ownable and self._links.owner_up(self._ownership.owner(dn)) is None:
            self._owned.want(dn, How.TLIB)
            self._owned.own_by_client(now, client, dn, out)
            self._claiming.setdefault(dn, []).append((client.conn, message.ref))
            self._ownership.claim(now, dn, How.TLIB, out)
            return
        self._answer(now, client.conn, message.ref, dn, out, first)

    def _answer(
        self, now: int, conn: int, ref: int, dn: str, out: list[AnyOutput], first: bool = False
    ) -> None:
        if dn in self._waiting:
            self._waiting[dn][1].append((conn, ref))
            return
        silent = self._tellers(dn) if first else []
        if not silent:
            self._streams.answer_registered(now, conn, ref, dn, out)
            return
        self._wait(now, dn, silent, [(conn, ref)])

    def _tellers(self, dn: str) -> list[Peer]:
        """The peers whose Snapshot tells what a DN is like that nobody here watched until now."""
        if not self._links.peers or not self._core.settings.options.smart_proxy_enabled:
            return []
        peers = self._links.up_peers()
        if not peers or self._owned.serves(dn):
            return []
        owner = self._links.owner_up(self._ownership.owner(dn))
        return peers if owner is None else [owner]

    def _wait(self, now: int, dn: str, silent: list[Peer], answers: list[tuple[int, int]]) -> None:
        self._waiting[dn] = ({peer.name: None for peer in silent}, answers)
        self._core.arm("waiting", dn, now + self._core.limits.peer_loss_us)

    def _query(self, now: int, client: Client, message: Message, out: list[AnyOutput]) -> None:
        """Answer with what is known of a DN; of one that nobody here watches the peers are asked first, once."""
        dn = self.addresses.query(now, client, message, out)
        if not dn:
            return
        info = message.number(Attribute.AddressInfoType)
        if len(self._queries.get(dn, ())) >= self._core.limits.requests_in_flight:
            self._requests.refuse(now, client.conn, message, Condition.TOO_MANY, out)
            return
        if dn not in self._waiting:
            silent = [] if self._is_followed(dn) else self._tellers(dn)
            if not silent:
                self._streams.answer_query(now, client.conn, message.ref, info, dn, out)
                return
            self._links.want(dn, True)
            self._wait(now, dn, silent, [])
        self._queries.setdefault(dn, []).append((client.conn, message.ref, info))

    def _is_followed(self, dn: str) -> bool:
        return dn in self._streams.watched or self._clients.is_watched("tcontroller", dn)

    def _maybe_forget(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        """The peers need not tell of a DN any more that nobody here watches."""
        if self._core.settings.options.smart_proxy_enabled and not self._is_followed(dn):
            self._lose_interest(now, dn, out)

    def _answer_early(self, now: int, conn: int, dn: str, out: list[AnyOutput]) -> None:
        """A client that takes its registration back waits for nobody."""
        for answers in (self._waiting.get(dn, ({}, []))[1], self._claiming.get(dn, [])):
            for answer in [waiting for waiting in answers if waiting[0] == conn]:
                answers.remove(answer)
                self._streams.answer_registered(now, conn, answer[1], dn, out)

    def left(self, now: int, client: Client, dn: str, out: list[AnyOutput]) -> None:
        """A client's registration has ended: the DN is given up if it held it last."""
        self._owned.client_left(now, client, dn, out)
        self._maybe_forget(now, dn, out)

    def follow(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        """A room of this node watches a DN: its peers are asked for it as for a client's sake."""
        first = not self._clients.is_watched("tcontroller", dn)
        self._streams.watched[dn] = None
        if first and self._core.settings.options.smart_proxy_enabled:
            self._links.want(dn, True)

    def unfollow(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        """It watches the DN no longer."""
        self._streams.watched.pop(dn, None)
        self._streams.changed.pop(dn, None)
        self._maybe_forget(now, dn, out)

    def _lose_interest(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        self._links.want(dn, False)
        for source in self._streams.follower.sources(dn):
            self._streams.follower.forget(dn, source)

    def _register_all(self, now: int, client: Client, message: Message, out: list[AnyOutput]) -> None:
        asked = dict(message.pairs(Attribute.Extensions))
        bulk = Bulk(*(asked.get(key, 0) in _TRUE for key in ("node-dns", "call-dns")))
        self._clients.set_bulk(client, bulk)
        dns = self._streams.seen_by(client, bulk)
        client.untold = dict.fromkeys(dns)
        before = self._telling.get(client.conn)
        refs = [message.ref] if before is None else [*before.refs, message.ref]
        if len(refs) > BULK_REQUESTS:
            self._requests.refuse(now, client.conn, message, Condition.TOO_MANY, out)
            refs = refs[:-1]
        self._telling[client.conn] = _Telling(deque(dns), refs)
        self.bulk_timeout(now, client.conn, out)

    def _all_told(self, now: int, client: Client, out: list[AnyOutput]) -> None:
        """Nothing more is to be told of what a smart client asked for: its requests are answered."""
        telling = self._telling.pop(client.conn, None)
        if telling is None:
            return
        self._core.arm("bulk", client.conn, None)
        for ref in telling.refs:
            done = Message(MessageType.EventRegisteredAll, 0, {Attribute.NodeName: self._core.name})
            self._clients.answer(now, client.conn, ref, done, out)
        self._clients.told_all(client)


class _Telling(msgspec.Struct):
    """The DNs of a bulk request that are still to be told, and the requests that are answered when they are."""

    dns: deque[str]
    refs: list[int]
