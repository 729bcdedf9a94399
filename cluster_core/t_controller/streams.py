"""The streams of events of DNs: this node's own, and those of its peers that it follows (design 7).

A DN's owner gives each of its events a place and sends it to everyone who watches. A DN without an owner within reach,
a Routing Point and a trunk have the call's node as source. What this node originates lies in `mine`; what others
originate is followed by the receiver's rules of `follow`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from cluster_core.clients import Bulk, Client, Clients
from cluster_core.core import Cause, Core
from cluster_core.follow import Follower, Verdict
from cluster_core.losing import Losing
from cluster_core.outputs import AnyOutput
from cluster_core.picture import Picture, apply, same_view
from cluster_core.records import CallView
from cluster_core.settings import DnType
from cluster_core.t_controller.link_records import Event, Interest, Snapshot
from cluster_core.t_controller.links import Links, Peer
from cluster_core.t_controller.snapshots import Snapshots
from cluster_core.watch import Watch, placed
from tlib_proto import Attribute, ErrorCode, Message, MessageType, decode, encode

NODE_DNS = (DnType.ROUTING_POINT, DnType.TRUNK)


class Streams:
    """Who originates which events here, who follows which, and who is sent them."""

    def __init__(self, core: Core, clients: Clients, links: Links) -> None:
        self._core = core
        self._clients = clients
        self._links = links
        self._watch = Watch(core, clients, "tcontroller")
        self.mine: dict[str, Picture] = {}
        self.parties: Callable[[str], tuple[CallView, ...]]
        self._left_at: dict[str, int] = {}
        self._concealed: dict[str, None] = {}
        self.watched: dict[str, None] = {}
        self.changed: dict[str, None] = {}
        self.follower = Follower()
        self.losing = Losing(core, "losing", self.follower, self._watch, self.view, self.touch)
        self.snapshots = Snapshots(core, links, self._originated)

    @property
    def source(self) -> str:
        """The name of the streams of which this node is the source without being an owner."""
        return f"{self._core.name}/{self._core.ids.incarnation}"

    def is_node_dn(self, dn: str) -> bool:
        """Whether the call's node is always the source of the DN's events: a Routing Point or a trunk."""
        return self._watch.is_node_dn(dn)

    def view(self, dn: str, *, as_told: bool = False) -> Picture:
        """What is known of a DN here, from every source; with `as_told` as its watchers were shown it last."""
        mine = self.mine.get(dn)
        if mine is not None and mine.owned:
            return msgspec.structs.replace(mine, calls=dict(mine.calls))
        seen = self.follower.view(dn, as_told=as_told)
        if seen is None:
            if mine is None:
                return self._nothing(dn)
            view = msgspec.structs.replace(mine, calls=dict(mine.calls))
        else:
            view = seen
            if mine is not None:
                others = {c: call for c, call in view.calls.items() if call.node != self._core.name}
                view.calls = {**others, **mine.calls}
        if self.is_node_dn(dn):
            view.in_service = True
        return view

    def touch(self, dn: str) -> None:
        """Something changed of a DN that a room of this node may watch."""
        if dn in self.watched:
            self.changed[dn] = None

    def emit(
        self, now: int, dn: str, event: Message, cause: Cause | None, out: list[AnyOutput], node: str = ""
    ) -> None:
        """An event of a DN of which this node is the source: give it its place and send it to everyone who watches."""
        if dn in self._concealed:
            return
        self.losing.settle(now, dn, out)
        picture = self.mine.get(dn)
        if picture is None:
            picture = self._originate(now, dn, event.number(Attribute.ConnID), out)
        picture.seq += 1
        node = node or self._core.name
        apply(picture, event, node)
        self._keep(picture)
        self.touch(dn)
        peers = self._links.interested(dn)
        if peers:
            self._links.tell(
                now,
                peers,
                Event(
                    dn,
                    picture.source,
                    picture.epoch,
                    picture.role_epoch,
                    picture.seq,
                    node,
                    encode(event),
                    cause,
                ),
                out,
            )
        conns = list(self._clients.watchers("tcontroller", dn))
        conns += [c for c in self._bulk(picture) if c not in conns]
        self._clients.deliver(now, conns, placed(picture, event), cause, out)

    def conceal(self, dns: Iterable[str]) -> None:
        """The node is no member: it says nothing more as the DNs' owner, until it begins anew or ends."""
        self._concealed |= dict.fromkeys(dns)

    def reveal(self, dn: str) -> bool:
        """It may say something of a DN that it concealed; False when it did not."""
        return dn in self._concealed and self._concealed.pop(dn) is None

    def originate(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        """The DN has no owner within reach: if this node has calls on it, it is their source from now on."""
        if dn not in self.mine and not self.is_node_dn(dn) and self.parties(dn):
            self._originate(now, dn, 0, out)

    def yield_to(self, now: int, dn: str, owner: str, epoch: int, out: list[AnyOutput]) -> None:
        """The DN has another owner: its Snapshot ends this node's own stream, unless it was here first or never comes
        because nobody watches here.
        """
        self.losing.settle(now, dn, out)
        told = self.follower.position(dn, owner)
        told_already = told is not None and told[0] == epoch and not self.follower.hidden(dn, owner)
        if told_already or not (self._watch.watchers(dn) or dn in self.watched):
            self._withdraw(now, dn, out)

    def begin(self, now: int, picture: Picture, out: list[AnyOutput]) -> None:
        """This node is the owner of a DN from now on: its first Snapshot ends every other stream of the DN.

        Who watches gets what it changes; EventDNBackInService is the stream's first event where that is all.
        """
        self.losing.settle(now, picture.dn, out)
        before = self.view(picture.dn)
        old = self.mine.get(picture.dn)
        if old is not None and not old.owned:
            self._left_at[picture.dn] = old.seq
        self.mine[picture.dn] = picture
        self._concealed.pop(picture.dn, None)
        for source in self.follower.sources(picture.dn):
            self.follower.forget(picture.dn, source)
        self._keep(picture)
        self.touch(picture.dn)
        self._tell_snapshot(now, picture, self._links.interested(picture.dn), out)
        self._watch.begin(now, before, picture, out)
        self._watch.snapshot(now, self._bulk(picture), picture, out)

    def refresh(self, now: int, picture: Picture, out: list[AnyOutput]) -> None:
        """An own picture changed otherwise than by an event: everyone who watches gets a Snapshot."""
        picture.seq += 1
        self._keep(picture)
        self.touch(picture.dn)
        self._tell_snapshot(now, picture, self._links.interested(picture.dn), out)
        conns = list(self._clients.watchers("tcontroller", picture.dn))
        conns += [c for c in self._bulk(picture) if c not in conns]
        self._watch.snapshot(now, conns, picture, out)

    def end(self, now: int, dn: str, given_up: bool, out: list[AnyOutput]) -> None:
        """This node owns a DN no longer: smart clients are told, with the reason, who watches sees what is left."""
        self._concealed.pop(dn, None)
        picture = self.mine.get(dn)
        if picture is None or not picture.owned:
            return
        before = self.view(dn)
        if given_up and picture.calls:
            # what is left of its calls is told by their nodes from now on
            picture.calls = {}
            picture.seq += 1
            self._keep(picture)
            self._tell_snapshot(now, picture, self._links.interested(dn), out)
        del self.mine[dn]
        self.touch(dn)
        self._unregister(now, picture, "this node does not own the DN any more", out)
        self._watch.resync(now, dn, before, self.view(dn), out)

    def event(self, now: int, peer: Peer, given: Event, out: list[AnyOutput]) -> None:
        """A peer's event has come: pass it on if it is the next one, ask for a Snapshot if one is missing."""
        if given.source.partition("/")[0] != peer.name:
            return
        mine = self.mine.get(given.dn)
        if mine is not None and mine.owned:
            return
        self.losing.settle(now, given.dn, out)
        message = decode(given.frame)
        conns = list(self._clients.watchers("tcontroller", given.dn))
        several = (mine is not None or len(self.follower.sources(given.dn)) > 1) and not self.is_node_dn(given.dn)
        # As at SmartProxy: what another source overrules is followed by what the view is now.
        shown = self.view(given.dn) if conns and several else None
        verdict = self.follower.event(
            given.dn, given.source, given.epoch, given.role_epoch, given.seq, message, given.node
        )
        if verdict is Verdict.HOLE:
            self._links.ask(now, peer, Interest(add=(given.dn,)), out)
        elif verdict is Verdict.ACCEPTED:
            self.touch(given.dn)
            attributes: dict[int, int | str] = {
                Attribute.DNEpoch: given.epoch,
                Attribute.DNSequence: given.seq,
                Attribute.Source: given.source,
            }
            placed = Message(message.id, 0, {**message.attributes, **attributes})
            if conns:
                self._clients.deliver(now, conns, placed, given.cause, out)
            if shown is not None:
                apply(shown, message, given.node)
                view = self.view(given.dn)
                if not same_view(shown, view):
                    self._watch.snapshot(now, conns, view, out)

    def snapshot(
        self, now: int, peer: Peer, picture: Picture, but: Sequence[int], out: list[AnyOutput]
    ) -> None:
        """A peer's Snapshot has come: whoever watches the DN gets what changed."""
        dn = picture.dn
        mine = self.mine.get(dn)
        source = picture.source
        if source.partition("/")[0] != peer.name or (mine is not None and mine.owned):
            return
        # Who has not heard yet that the source was out of reach need not hear it any more.
        before = self.view(dn, as_told=True)
        # An owner that gives a DN up says so last; by then its calls' nodes may be the sources already.
        keep = self.is_node_dn(dn) or (picture.seq > 0 and not picture.in_service)
        # A call's node that is the source once more has told nothing for a while: its next event follows no other.
        again = not picture.owned and picture.seq > 0 and self.follower.position(dn, source) != picture.position
        if not self.follower.snapshot(picture, keep_sources=keep):
            return
        self.follower.heard(dn)
        self.touch(dn)
        if picture.owned and not keep:
            self._withdraw(now, dn, out)
        self._watch.resync(now, dn, before, self.view(dn), out, but, again)

    def hide(self, now: int, node: str, out: list[AnyOutput]) -> None:
        """A node is out of reach: its streams are hidden, who watches its DNs hears that they are out of service."""
        self.losing.lost(now, self._sources(node), self._is_watched, out)

    def released(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        """Nobody owns a DN: an owner that is out of reach does not come back with it, and its agent is logged out."""
        gone = [(dn, s) for s in self.follower.sources(dn) if "/" not in s and self.follower.hidden(dn, s)]
        if gone:
            self._change(now, [dn], lambda: self._forget(gone), out)

    def drop_calls_of(self, now: int, node: str, but: str, out: list[AnyOutput]) -> None:
        """What a node told of DNs without an owner is over, but for what it tells as the source `but`."""
        sources = [source for source in self._sources(node) if "/" in source and source != but]
        gone = [(dn, source) for source in sources for dn in self.follower.following(source)]
        self._change(now, [dn for dn, _ in gone], lambda: self._forget(gone), out)

    def prune(self, now: int, node: str, kept: dict[str, None], out: list[AnyOutput]) -> None:
        """A node has told all that it originates: what it did not name is gone."""
        gone = [
            (dn, source)
            for source in self._sources(node)
            for dn in self.follower.following(source)
            if dn not in kept
        ]
        self._change(
            now,
            [dn for dn, _ in gone],
            lambda: self._forget(gone),
            out,
        )

    def interest(self, now: int, peer: Peer, given: Interest, out: list[AnyOutput]) -> None:
        """A peer says what it wants: answer with the picture of each DN that this node originates."""
        if given.everything:
            peer.everything = True
            dns = list(self.mine)
        else:
            for dn in given.remove:
                peer.interest.pop(dn, None)
                peer.untold.pop(dn, None)
            room = len(self._core.settings.dns)
            wanted = [dn for dn in given.add if dn in self._core.settings.dns]
            for dn in wanted[:room]:
                peer.interest[dn] = None
            dns = wanted
        self.snapshots.tell(now, peer, dns, given.everything, out)

    def answer_registered(self, now: int, conn: int, ref: int, dn: str, out: list[AnyOutput]) -> None:
        """Answer one client's registration with what is known of the DN."""
        self.losing.settle(now, dn, out, (conn,))
        self._watch.answer(now, conn, ref, dn, self.view(dn), out)

    def answer_query(self, now: int, conn: int, ref: int, info: int, dn: str, out: list[AnyOutput]) -> None:
        """Answer one client's query of that kind with what is known of the DN."""
        self.losing.settle(now, dn, out)
        self._watch.answer_query(now, conn, ref, info, dn, self.view(dn), out)

    def seen_by(self, client: Client, bulk: Bulk) -> list[str]:
        """The DNs that a smart client sees here by a bulk request."""
        seen = [dn for dn, picture in self.mine.items() if picture.owned]
        if bulk.call_dns:
            seen += [dn for dn, picture in self.mine.items() if not picture.owned and not self.is_node_dn(dn)]
        if bulk.node_dns:
            seen += [dn for dn, settings in self._core.settings.dns.items() if settings.type in NODE_DNS]
        return [dn for dn in seen if self._clients.may_touch(client, dn)]

    def tell_seen(self, now: int, client: Client, dn: str, out: list[AnyOutput]) -> None:
        """Send a smart client the picture of a DN, if it still is one that it sees here."""
        picture = self.mine.get(dn)
        if self.is_node_dn(dn):
            picture = picture or self._nothing(dn)
        elif picture is None or not (picture.owned or (client.bulk is not None and client.bulk.call_dns)):
            return
        self._watch.answer(now, client.conn, 0, dn, picture, out)

    def _originate(self, now: int, dn: str, conn_id: int, out: list[AnyOutput]) -> Picture:
        """Begin a stream of this node's own; the call of that ConnID is as it was before the event that begins it."""
        self.losing.settle(now, dn, out)
        before = self.view(dn)
        calls = {view.conn_id: view for view in self.parties(dn) if view.conn_id != conn_id}
        if conn_id in before.calls:
            calls[conn_id] = before.calls[conn_id]
        picture = self._nothing(dn)
        picture.silent = False
        again = picture.seq > 0
        picture.calls = calls
        picture.seq += again
        self.mine[dn] = picture
        self.touch(dn)
        self._tell_snapshot(now, picture, self._links.interested(dn), out)
        if not self.is_node_dn(dn):
            self._watch.snapshot(now, self._bulk(picture), picture, out)
        if again:
            self._watch.snapshot(now, self._watch.watchers(dn), self.view(dn), out)
        else:
            self._watch.resync(now, dn, before, self.view(dn), out)
        return picture

    def _withdraw(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        """This node's own stream of a DN ends: the owner tells everything."""
        picture = self.mine.get(dn)
        if picture is None or picture.owned or self.is_node_dn(dn):
            return
        del self.mine[dn]
        self.touch(dn)
        picture.calls, picture.silent = {}, True
        picture.seq += 1
        self._left_at[dn] = picture.seq
        self._tell_snapshot(now, picture, self._links.interested(dn), out)
        self._unregister(now, picture, "the owner tells of the DN", out)

    def _bulk(self, picture: Picture) -> list[int]:
        """The smart clients that see the DN of an own picture."""
        node_dn = self.is_node_dn(picture.dn)
        return self._clients.bulk(picture.dn, node_dn=node_dn, call_dn=not (picture.owned or node_dn))

    def _unregister(self, now: int, picture: Picture, text: str, out: list[AnyOutput]) -> None:
        """Smart clients hear that they are told no more of a DN by this node, and why."""
        event = Message(
            MessageType.EventUnregistered,
            0,
            {
                Attribute.ThisDN: picture.dn,
                Attribute.ErrorCode: ErrorCode.OUT_OF_SERVICE,
                Attribute.ErrorMessage: text,
                **self._clients.time(now),
            },
        )
        self._clients.deliver(now, self._bulk(picture), placed(picture, event), None, out)

    def _nothing(self, dn: str) -> Picture:
        return Picture(
            dn=dn,
            source=self.source,
            owned=False,
            epoch=self._core.ids.incarnation,
            role_epoch=self._core.role_epoch,
            seq=self._left_at.get(dn, 0),
            in_service=self.is_node_dn(dn),
            silent=not self.is_node_dn(dn),
        )

    def _originated(self, dn: str, must: bool) -> Picture | None:
        """What this node originates of a DN; the picture of nothing if there must be one."""
        picture = self.mine.get(dn)
        return self._nothing(dn) if picture is None and must else picture

    def _sources(self, node: str) -> list[str]:
        """The sources that a node is or was, as an owner and in each of its incarnations."""
        return [source for source in self.follower.all_sources() if source.partition("/")[0] == node]

    def _change(self, now: int, dns: list[str], action: Callable[[], object], out: list[AnyOutput]) -> None:
        before = {dn: self.view(dn, as_told=True) for dn in dns if self._clients.is_watched("tcontroller", dn)}
        action()
        for dn in dns:
            self.follower.heard(dn)
            self.touch(dn)
        for dn, old in before.items():
            self._watch.resync(now, dn, old, self.view(dn), out)

    def _is_watched(self, dn: str) -> bool:
        return dn in self.watched or self._clients.is_watched("tcontroller", dn)

    def _forget(self, gone: list[tuple[str, str]]) -> None:
        for dn, source in gone:
            self.follower.forget(dn, source)

    def _tell_snapshot(self, now: int, picture: Picture, peers: list[Peer], out: list[AnyOutput]) -> None:
        if peers:
            self._links.tell(now, peers, Snapshot(picture), out)

    def _keep(self, picture: Picture) -> None:
        """An owned DN's place in its stream and its calls are durable."""
        if picture.owned:
            record = self._core.store.get("dns", picture.dn)
            assert record is not None
            record.seq = picture.seq
            record.in_service = picture.in_service
            record.calls = tuple(picture.calls.values())
            self._core.store.put("dns", picture.dn, record)
