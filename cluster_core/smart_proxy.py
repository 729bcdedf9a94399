"""Smart Proxy: one connection that sees the whole cluster (seed).

It is a smart client of every T-Controller, this node's included, by connections of its own; what they tell it follows
by the receiver's rules, and who registered a DN here gets it, whichever node owns the DN and wherever its calls are.
"""

from __future__ import annotations

from collections.abc import Callable

from cluster_core.addresses import Addresses
from cluster_core.clients import Client, Clients
from cluster_core.core import Core
from cluster_core.edge import Edge
from cluster_core.follow import Follower, Verdict
from cluster_core.ids import node_of
from cluster_core.losing import Losing
from cluster_core.outputs import AnyOutput, Fault, Subsystem
from cluster_core.picture import Picture, apply, from_extensions, same_view
from cluster_core.requests import Requests
from cluster_core.settings import MemberSettings
from cluster_core.watch import Watch
from tlib_proto import Attribute, Hello, Message, MessageType


class Upstream:
    """One T-Controller, as its client: the connection, and which DNs it named since it was last asked for all."""

    __slots__ = ("conn", "cut", "member", "name", "named", "synchronised")

    def __init__(self, name: str, member: MemberSettings) -> None:
        self.name = name
        self.member = member
        self.conn = 0
        self.cut = False
        self.named: dict[str, None] | None = None
        self.synchronised = False


class SmartProxy:
    """Monitors on one side, every T-Controller on the other."""

    def __init__(self, core: Core, edge: Edge, requests: Requests, clients: Clients) -> None:
        self._core = core
        self._edge = edge
        self._clients = clients
        self._watch = Watch(core, clients, "smartproxy")
        self._addresses = Addresses(core, clients, requests)
        self.follower = Follower()
        self.losing = Losing(core, "unlinked", self.follower, self._watch, self.view)
        self.upstreams = {
            node.name: Upstream(node.name, node.members[0]) for node in core.settings.nodes
        }
        self._nodes = {node.number: node.name for node in core.settings.nodes}
        self._stopped = False

    @property
    def is_synchronised(self) -> bool:
        """Whether every T-Controller has told all that it has."""
        return all(upstream.synchronised for upstream in self.upstreams.values())

    def start(self, now: int, out: list[AnyOutput]) -> None:
        """Connect to every T-Controller."""
        for upstream in self.upstreams.values():
            self._dial(upstream, out)

    def stop(self, now: int, out: list[AnyOutput]) -> None:
        """The node stops: connect nowhere again."""
        self._stopped = True
        for upstream in self.upstreams.values():
            self._core.arm("upstream", upstream.name, None)
            if upstream.conn:
                self._edge.close(now, upstream.conn, "the node stops", out)

    def cut(self, now: int, name: str, down: bool, out: list[AnyOutput]) -> None:
        """An operator cuts the way to a T-Controller, or mends it."""
        upstream = self.upstreams[name]
        upstream.cut = down
        if down:
            self._edge.close(now, upstream.conn, "cut by an operator", out)
            self._hide(now, upstream, out)
            self._core.arm("upstream", name, None)
        else:
            self._dial(upstream, out)

    def dial_timeout(self, now: int, name: str, out: list[AnyOutput]) -> None:
        """Time to connect again."""
        self._dial(self.upstreams[name], out)

    def linked(self, now: int, conn: int, message: Message, out: list[AnyOutput]) -> None:
        """A T-Controller has accepted us: ask for all that it has."""
        upstream = self._upstream(conn)
        if upstream is not None:
            self._ask_all(now, upstream, out)

    def gone(self, now: int, conn: int, out: list[AnyOutput]) -> None:
        """A T-Controller is out of reach: what it had is hidden until it is back."""
        upstream = self._upstream(conn)
        if upstream is None:
            return
        if self._stopped:
            upstream.conn = 0
            return
        self._hide(now, upstream, out)
        self._core.arm("upstream", upstream.name, now + self._core.limits.link_redial_us)

    def incoming(self, now: int, conn: int, message: Message, out: list[AnyOutput]) -> None:
        """An event of a T-Controller: a snapshot, the end of all snapshots, a DN lost, or something that happened."""
        upstream = self._upstream(conn)
        if upstream is None:
            return
        dn = message.text(Attribute.ThisDN)
        source = message.text(Attribute.Source)
        if message.id == MessageType.EventRegisteredAll:
            self._told_all(now, upstream, out)
        elif message.id == MessageType.EventError:
            text = f"{upstream.name}: {message.text(Attribute.ErrorMessage)}"
            out.append(Fault(Subsystem.SMART_PROXY, "upstream-refused", text, conn))
            self._edge.close(now, conn, "refused by the T-Controller", out)
        elif not dn or source.partition("/")[0] != upstream.name:
            return
        elif message.id == MessageType.EventRegistered:
            self._snapshot(now, upstream, dn, message, out)
        elif message.id == MessageType.EventUnregistered:
            self._change(now, [dn], lambda: self.follower.forget(dn, source), out)
        else:
            self._event(now, upstream, dn, message, out)

    def request(self, now: int, client: Client, message: Message, out: list[AnyOutput]) -> None:
        """A monitor's request: registrations of single DNs, nothing else is served here."""
        if message.id == MessageType.RequestQueryServer:
            self._clients.answer_server_info(now, client.conn, message.ref, out)
        elif message.id == MessageType.RequestUnregisterAddress:
            self._addresses.unregister(now, client, message, out)
        elif message.id == MessageType.RequestQueryAddress:
            if dn := self._addresses.query(now, client, message, out):
                info = message.number(Attribute.AddressInfoType)
                self.losing.settle(now, dn, out)
                self._watch.answer_query(now, client.conn, message.ref, info, dn, self.view(dn), out)
        elif dn := self._addresses.register(now, client, message, out):
            self.losing.settle(now, dn, out, (client.conn,))
            self._watch.answer(now, client.conn, message.ref, dn, self.view(dn), out)

    def view(self, dn: str, *, as_told: bool = False) -> Picture:
        """What is known of a DN of the cluster here; with `as_told` as its watchers were shown it last."""
        view = self.follower.view(dn, as_told=as_told) or Picture(dn=dn, source="", owned=False)
        if self._watch.is_node_dn(dn):
            view.in_service = True
        return view

    def _hide(self, now: int, upstream: Upstream, out: list[AnyOutput]) -> None:
        upstream.conn, upstream.named, upstream.synchronised = 0, None, False
        self.losing.lost(now, self._sources(upstream.name), self._is_watched, out)

    def _dial(self, upstream: Upstream, out: list[AnyOutput]) -> None:
        if self._stopped or upstream.cut or upstream.conn:
            return
        hello = Hello(
            application=f"SmartProxy@{self._core.name}",
            role="smart",
            secret=self._core.settings.link_secret,
            node=self._core.name,
        )
        upstream.conn = self._edge.dial(hello, upstream.member, "smartproxy-link", out)

    def _ask_all(self, now: int, upstream: Upstream, out: list[AnyOutput]) -> None:
        upstream.named = {}
        extensions = (("node-dns", 1), ("call-dns", 1))
        request = Message(MessageType.RequestRegisterAll, 1, {Attribute.Extensions: extensions})
        self._edge.send(now, upstream.conn, request, out)

    def _snapshot(
        self, now: int, upstream: Upstream, dn: str, message: Message, out: list[AnyOutput]
    ) -> None:
        source = message.text(Attribute.Source)
        if upstream.named is not None:
            upstream.named[f"{dn} {source}"] = None
        picture = from_extensions(
            dn,
            source,
            "/" not in source,
            message.number(Attribute.DNEpoch),
            0,
            message.number(Attribute.DNSequence),
            message.pairs(Attribute.Extensions),
        )
        keep = self._watch.is_node_dn(dn)
        again = not picture.owned and picture.seq > 0 and self.follower.position(dn, source) != picture.position
        self._change(now, [dn], lambda: self.follower.snapshot(picture, keep_sources=keep), out, again)

    def _told_all(self, now: int, upstream: Upstream, out: list[AnyOutput]) -> None:
        named, upstream.named = upstream.named or {}, None
        upstream.synchronised = True
        gone = [
            (dn, source)
            for source in self._sources(upstream.name)
            for dn in self.follower.following(source)
            if f"{dn} {source}" not in named
        ]
        self._change(
            now,
            [dn for dn, _ in gone],
            lambda: self._forget(gone),
            out,
        )

    def _forget(self, gone: list[tuple[str, str]]) -> None:
        for dn, source in gone:
            self.follower.forget(dn, source)

    def _event(self, now: int, upstream: Upstream, dn: str, message: Message, out: list[AnyOutput]) -> None:
        epoch, seq = message.number(Attribute.DNEpoch), message.number(Attribute.DNSequence)
        source = message.text(Attribute.Source)
        self.losing.settle(now, dn, out)
        # a T-Event names no node: the call's ConnID does
        node = self._nodes.get(node_of(message.number(Attribute.ConnID)), upstream.name)
        conns = self._watch.watchers(dn)
        # An event that another source overrules must be followed by what the view is now. Of a node's own DNs, which
        # have many calls, no source speaks for another's.
        several = len(self.follower.sources(dn)) > 1 and not self._watch.is_node_dn(dn)
        shown = self.view(dn) if conns and several else None
        verdict = self.follower.event(dn, source, epoch, 0, seq, message, node)
        if verdict is Verdict.ACCEPTED:
            kept = {
                a: v
                for a, v in message.attributes.items()
                if a not in (Attribute.EventSequenceNumber, Attribute.ServerStartTime)
            }
            if conns:
                self._clients.deliver(now, conns, Message(message.id, 0, kept), None, out)
            if shown is not None:
                apply(shown, message, node)
                view = self.view(dn)
                if not same_view(shown, view):
                    self._watch.snapshot(now, conns, view, out)
        elif verdict is Verdict.HOLE and upstream.named is None:
            self._ask_all(now, upstream, out)

    def _change(
        self,
        now: int,
        dns: list[str],
        action: Callable[[], object],
        out: list[AnyOutput],
        again: bool = False,
    ) -> None:
        before = {dn: self.view(dn, as_told=True) for dn in dns if self._is_watched(dn)}
        action()
        for dn, old in before.items():
            self.follower.heard(dn)
            self._watch.resync(now, dn, old, self.view(dn), out, again=again)

    def _is_watched(self, dn: str) -> bool:
        return self._clients.is_watched("smartproxy", dn)

    def _sources(self, node: str) -> list[str]:
        return [source for source in self.follower.all_sources() if source.partition("/")[0] == node]

    def _upstream(self, conn: int) -> Upstream | None:
        return next((u for u in self.upstreams.values() if u.conn == conn), None)
