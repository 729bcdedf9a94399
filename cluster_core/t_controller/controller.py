"""T-Controller: ties its rooms together, and decides where a request, an event or a registration goes (design 7)."""

from __future__ import annotations

from typing import Any, Protocol

from cluster_core.clients import Client, Clients
from cluster_core.coordinator_records import How, OwnerRecord
from cluster_core.core import Cause, Core
from cluster_core.edge import Edge
from cluster_core.ids import node_of
from cluster_core.outputs import AnyOutput
from cluster_core.ownership import Ownership
from cluster_core.pacing import Paced
from cluster_core.picture import Picture
from cluster_core.records import Binding, CallView
from cluster_core.requests import Requests
from cluster_core.rights import Condition
from cluster_core.t_controller.agents import Agents
from cluster_core.t_controller.features import REQUESTS as FEATURES
from cluster_core.t_controller.features import Features
from cluster_core.t_controller.link_records import (
    AnyLinkMessage,
    Bind,
    Bound,
    Event,
    Forward,
    ForwardAck,
    Interest,
    Locate,
    Located,
    Outcome,
    Parties,
    PartiesAre,
    Reply,
    Request,
    Serve,
    Snapshot,
)
from cluster_core.t_controller.links import DNS_A_MESSAGE, Links, Peer
from cluster_core.t_controller.owned import DNS_A_QUESTION, Owned
from cluster_core.t_controller.registrations import Registrations
from cluster_core.t_controller.streams import Streams
from cluster_core.t_controller.tables import INPUTS
from tlib_proto import Attribute, Message, MessageType, decode, encode


class CallSide(Protocol):
    """What T-Controller asks of Session Controller."""

    def request(self, now: int, message: Message, cause: Cause, out: list[AnyOutput]) -> None:
        """Serve a call-control request of a client on a call of this node."""

    def located(self, now: int, token: int, located: Located | None, out: list[AnyOutput]) -> None:
        """The answer to `locate`."""

    def registered(self, now: int, token: int, taken: bool, out: list[AnyOutput]) -> None:
        """The answer to `register_phone`."""

    def parties_on(self, dn: str) -> tuple[CallView, ...]:
        """The parties of this node's calls on a DN."""

    def dns_with_calls(self) -> list[str]:
        """Every DN that has a party in a call of this node."""


class TController:
    """The room of DN and agent states, and of the links that join it to every other T-Controller."""

    def __init__(self, core: Core, edge: Edge, requests: Requests, clients: Clients) -> None:
        self._core = core
        self._requests = requests
        self._clients = clients
        self.ownership = Ownership(core)
        self.ownership.user = self
        self.links = Links(core, edge)
        self.links.user = self
        self.streams = Streams(core, clients, self.links)
        self.agents = Agents(core, clients, requests, self.streams)
        self.features = Features(core, clients, requests, self.streams)
        self.owned = Owned(core, clients, self.ownership, self.links, self.streams, self.agents, self.features)
        self.registrations = Registrations(
            core, clients, requests, self.ownership, self.links, self.streams, self.owned
        )
        self.calls: CallSide
        self._registering: dict[str, list[tuple[int, Binding, int]]] = {}
        self._batches: dict[str, dict[str, None]] = {}
        self._stale: dict[str, dict[str, None]] = {}
        self._over: dict[str, int] = {}
        self.releasing: Paced[str] = Paced(core, "releasing", self._release)
        self.streams.parties = lambda dn: self.calls.parties_on(dn)
        requests.reply_remote = self._reply_remote
        clients.left = self._client_left

    def flush(self, now: int, out: list[AnyOutput]) -> None:
        """The end of an input: ask together what it made necessary for many DNs."""
        self.owned.flush(now, out)
        self.links.flush(now, out)
        self.ownership.flush(now, out)

    # What Session Controller asks.

    def call_event(
        self, now: int, dn: str, event: Message, cause: Cause | None, out: list[AnyOutput]
    ) -> None:
        """An event of a call of this node on one of its DNs: to the DN's owner, or out from here when there is none."""
        if not self.streams.is_node_dn(dn) and not self.owned.serves(dn):
            peer = self.links.owner_peer(self.ownership.owner(dn))
            if peer is not None and not self.links.is_away(now, peer.name):
                if not self.links.forward(now, peer, dn, encode(event), cause, out):
                    self._send_afresh(now, peer, out)
                return
            if peer is not None:
                self._stale.setdefault(peer.name, {})[dn] = None
        self.streams.emit(now, dn, event, cause, out)

    def locate(self, now: int, dn: str, token: int, out: list[AnyOutput]) -> None:
        """Ask the owner of a DN where it rings; `located` answers, at once when this node is the owner."""
        peer = self.links.owner_up(self.ownership.owner(dn))
        if self.owned.serves(dn):
            self.calls.located(now, token, self.owned.locate(dn), out)
        elif peer is not None:
            deadline_us = now + self._core.limits.locate_deadline_us
            self.links.request(now, peer, Locate(dn), deadline_us, ("locate", token), out)
        else:
            self.calls.located(now, token, None, out)

    def register_phone(
        self, now: int, dn: str, binding: Binding, expires_us: int, token: int, out: list[AnyOutput]
    ) -> None:
        """A phone registered here: the first node that hears it claims the DN, another hands the binding on."""
        peer = self.links.owner_up(self.ownership.owner(dn))
        if self.owned.bind(now, dn, binding, expires_us, out) and self.owned.record(dn) is not None:
            self.calls.registered(now, token, True, out)
        elif peer is not None:
            self._hand_on(now, peer, dn, (token, binding, expires_us), out)
        else:
            self._claim_for_phone(now, dn, (token, binding, expires_us), out)

    def view(self, dn: str) -> Picture:
        """What is known of a DN here."""
        return self.streams.view(dn)

    def follow(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        """Session Controller watches a DN for its phones; `streams.changed` names it when there is news."""
        self.registrations.follow(now, dn, out)

    def unfollow(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        """No phone watches it any more."""
        self.registrations.unfollow(now, dn, out)

    def bindings(self, dn: str) -> tuple[Binding, ...]:
        """The bindings of a DN, as far as this node owns it."""
        record = self.owned.record(dn)
        return () if record is None else record.bindings

    # What clients at TCport say.

    def request(self, now: int, client: Client, message: Message, out: list[AnyOutput]) -> None:
        """A request of a client whose rights allow it: on registrations, an agent or a call."""
        if self.registrations.request(now, client, message, out):
            return
        dn = self.registrations.addresses.named(now, client, message, out)
        if not dn:
            return
        sees = client.bulk is not None and self.owned.record(dn) is not None and self._clients.may_touch(client, dn)
        if dn not in client.registered and not sees:
            self._requests.refuse(now, client.conn, message, Condition.NOT_REGISTERED, out, dn=dn)
            return
        cause = self._requests.open(now, client.conn, message, out)
        if cause is None:
            return
        if message.id in INPUTS or message.id in FEATURES:
            self._serve_agent(now, message, cause, client.session_id, out)
        else:
            self.call_request(now, message, cause, out)

    def call_request(self, now: int, message: Message, cause: Cause, out: list[AnyOutput]) -> None:
        """A request on a call goes to the node that its ConnID names; one that makes a call stays here."""
        conn_id = message.number(Attribute.ConnID)
        here = message.id == MessageType.RequestMakeCall or not conn_id
        if here or node_of(conn_id) == self._core.node.number:
            self.calls.request(now, message, cause, out)
            return
        for node in self._core.settings.nodes:
            if node.number == node_of(conn_id):
                self._serve_at(now, self.links.peers[node.name], message, cause, out)
                return
        self._requests.fail(now, cause, Condition.INVALID_CONNID, out)

    def client_gone(self, now: int, client: Client, out: list[AnyOutput]) -> None:
        """A client at TCport is gone; the DNs that only it held go one by one."""
        self.registrations.client_gone(now, client, out)

    def _client_left(self, now: int, client: Client, dn: str, out: list[AnyOutput]) -> None:
        if client.listener == "tcontroller":
            self.registrations.left(now, client, dn, out)

    # What the coordinator says.

    def joined(self, now: int, out: list[AnyOutput]) -> None:
        """A member: greet the peers, claim again what was owned."""
        self.links.start(now, out)
        self.owned.rejoined(now, out)

    def fenced(self, now: int, out: list[AnyOutput]) -> None:
        """Not a member for now."""
        self.owned.fenced(now, out)

    def gained(self, now: int, dn: str, owner: OwnerRecord, out: list[AnyOutput]) -> None:
        """This node owns the DN."""
        self.owned.gained(now, dn, owner, out)

    def lost(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        """Another node took the DN."""
        self.owned.lost(now, dn, out)

    def claimed(self, now: int, dn: str, owner: OwnerRecord | None, out: list[AnyOutput]) -> None:
        """A claim ended: answer the phones and programs that waited for it."""
        mine = self.ownership.is_mine(dn)
        peer = self.links.owner_up(owner)
        if not mine:
            self.owned.claim_failed(now, dn, out)
        for waiting in self._registering.pop(dn, []):
            if mine:
                self.calls.registered(now, waiting[0], True, out)
            elif peer is not None:
                self._hand_on(now, peer, dn, waiting, out, last=True)
            else:
                self.calls.registered(now, waiting[0], False, out)
        self.registrations.claimed(now, dn, out)

    def owner_changed(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        """Another owner, whose first Snapshot will tell the rest, or none: then the calls' nodes are the sources."""
        self._owner_changed(now, dn, out)

    def members_are(self, now: int, members: tuple[tuple[str, int], ...], out: list[AnyOutput]) -> None:
        """A node that stays away and whose membership is over has taken its calls with it.

        One that stays away as a member has not: its calls go on, and it tells them when it is back.
        """
        holds = dict(members)
        for peer in self.links.peers.values():
            name, incarnation = peer.name, peer.incarnation
            over = bool(incarnation) and incarnation not in (holds.get(name), self._over.get(name))
            if (over or self.owned.doubts(name)) and self.links.is_away(now, name):
                self._over[name] = incarnation
                self.owned.end_calls_of(now, name, out)
                self.streams.drop_calls_of(now, name, "", out)

    # What links say.

    def peer_up(self, now: int, peer: Peer, out: list[AnyOutput]) -> None:
        """A peer is within reach: say what is wanted of it, and send parties afresh where it missed events."""
        if self._core.settings.options.smart_proxy_enabled:
            wanted = tuple(dict.fromkeys([*self._clients.watched("tcontroller"), *self.streams.watched]))
            if wanted:
                for start in range(0, len(wanted), DNS_A_MESSAGE):
                    self.links.ask(now, peer, Interest(add=wanted[start : start + DNS_A_MESSAGE]), out)
        else:
            self._batches[peer.name] = {}
            self.links.ask(now, peer, Interest(everything=True), out)
        for dn in [dn for dn, picture in self.streams.mine.items() if not picture.owned]:
            if self.links.owner_peer(self.ownership.owner(dn)) is peer:
                self._owner_changed(now, dn, out)
        stale = {**self._stale.pop(peer.name, {}), **dict.fromkeys(self.calls.dns_with_calls())}
        for dn in stale:
            self._refresh_at(now, peer, dn, out)
        self.links.afresh(now, peer, "", (), out)

    def peer_down(self, now: int, peer: Peer, out: list[AnyOutput]) -> None:
        """A link broke: nothing is hidden before it has been away for a while."""
        self._batches.pop(peer.name, None)

    def peer_away(self, now: int, peer: Peer, out: list[AnyOutput]) -> None:
        """A peer stays away: its DNs are hidden, and events that waited for it leave from here."""
        self.streams.hide(now, peer.name, out)
        self._requests.node_gone(now, peer.name, out)
        for dn in self.calls.dns_with_calls():
            owner = self.ownership.owner(dn)
            if owner is not None and owner.node == peer.name:
                self.streams.originate(now, dn, out)
        self.registrations.peer_gone(now, peer.name, out)
        waiting = list(peer.unacknowledged)
        peer.unacknowledged.clear()
        for forward in waiting:
            self._stale.setdefault(peer.name, {})[forward.dn] = None
            self.streams.emit(now, forward.dn, decode(forward.frame), forward.cause, out)

    def peer_restarted(self, now: int, peer: Peer, out: list[AnyOutput]) -> None:
        """A peer is back in another incarnation: those calls are gone that it does not tell afresh."""
        self.owned.doubt(peer.name)
        self.streams.hide(now, peer.name, out)
        self.streams.drop_calls_of(now, peer.name, f"{peer.name}/{peer.incarnation}", out)
        following = self.streams.follower.following(peer.name)
        self.releasing.add(now, [dn for dn in following if self.ownership.owner(dn) is None], out)

    def link_message(self, now: int, peer: Peer, message: AnyLinkMessage, out: list[AnyOutput]) -> None:
        """An Interest, Snapshot, Event, Forward, Request or Outcome of a peer."""
        if isinstance(message, Event):
            self.streams.event(now, peer, message, out)
        elif isinstance(message, Forward):
            self._forwarded(now, peer, message, out)
        elif isinstance(message, Snapshot):
            self._snapshot(now, peer, message, out)
        elif isinstance(message, Interest):
            self.streams.interest(now, peer, message, out)
        elif isinstance(message, Request):
            self._asked(now, peer, message, out)
        elif isinstance(message, Reply) and isinstance(message.body, Outcome):
            outcome = message.body
            self._requests.replied(now, message.id, outcome.code, outcome.text, outcome.frame, out)

    def replied(self, now: int, context: Any, body: object | None, out: list[AnyOutput]) -> None:
        """A Request of ours was answered, or not in time."""
        kind = context[0]
        if kind == "locate":
            self.calls.located(now, context[1], body if isinstance(body, Located) else None, out)
        elif kind == "parties":
            told = body if isinstance(body, PartiesAre) else None
            self.owned.parties(now, context[1], context[2], told, out)
        else:
            _, dn, waiting, last = context
            taken = isinstance(body, Bound) and body.taken
            if isinstance(body, Bound) and not taken and not last:
                # The peer owns the DN no longer, which has not come round to here yet.
                self._claim_for_phone(now, dn, waiting, out)
            else:
                self.calls.registered(now, waiting[0], taken, out)

    def _serve_agent(
        self, now: int, message: Message, cause: Cause, session: str, out: list[AnyOutput]
    ) -> None:
        dn = message.text(Attribute.ThisDN)
        record = self.owned.record(dn)
        peer = self.links.owner_up(self.ownership.owner(dn))
        if self.owned.serves(dn) and record is not None and record.in_service and message.id in FEATURES:
            self.features.request(now, message, cause, out)
        elif self.owned.serves(dn) and record is not None and record.in_service:
            self.agents.request(now, message, cause, session, out)
        elif peer is not None and cause[0] == self._core.name:
            self._serve_at(now, peer, message, cause, out)
        else:
            self._requests.fail(now, cause, Condition.OUT_OF_SERVICE, out, dn=dn)

    def _serve_at(self, now: int, peer: Peer, message: Message, cause: Cause, out: list[AnyOutput]) -> None:
        """Send a client's request to the node that serves it; a node that goes away answers nothing any more."""
        if peer.up:
            self._requests.served_at(cause, peer.name)
            self.links.serve(now, peer, cause[1], encode(message), out)
        else:
            self._requests.fail(now, cause, Condition.NODE_UNREACHABLE, out)

    def _forwarded(self, now: int, peer: Peer, message: Forward, out: list[AnyOutput]) -> None:
        refused = False
        if message.seq > peer.forward_seen:
            peer.forward_seen = message.seq
            if not message.dn:
                self.owned.told_afresh(now, peer.name, out)
            elif self.owned.hold(message.dn, peer.name, message):
                pass
            elif self.owned.serves(message.dn):
                self.owned.take(now, peer.name, message, out)
            else:
                refused = True
        self.links.tell(now, [peer], ForwardAck(peer.forward_seen, refused), out)

    def forward_refused(self, now: int, peer: Peer, forward: Forward, out: list[AnyOutput]) -> None:
        """The peer does not own the DN any more: the event takes another way."""
        if self.links.owner_peer(self.ownership.owner(forward.dn)) is peer:
            self.streams.emit(now, forward.dn, decode(forward.frame), forward.cause, out)
        else:
            self.call_event(now, forward.dn, decode(forward.frame), forward.cause, out)

    def _snapshot(self, now: int, peer: Peer, message: Snapshot, out: list[AnyOutput]) -> None:
        batch = self._batches.get(peer.name)
        pictures = (*(() if message.picture is None else (message.picture,)), *message.more)
        for picture in pictures:
            if batch is not None:
                batch[picture.dn] = None
            waiting = self.registrations.waiting(picture.dn)
            self.streams.snapshot(now, peer, picture, waiting, out)
            self.registrations.told(now, peer.name, picture.dn, out)
        if message.last and batch is not None:
            del self._batches[peer.name]
            self.streams.prune(now, peer.name, batch, out)

    def _asked(self, now: int, peer: Peer, request: Request, out: list[AnyOutput]) -> None:
        body = request.body
        if isinstance(body, Locate):
            self.links.reply(now, peer, request.id, self.owned.locate(body.dn), out)
        elif isinstance(body, Bind):
            mine = self.owned.record(body.dn) is not None
            taken = mine and self.owned.bind(now, body.dn, body.binding, body.expires_us, out)
            self.links.reply(now, peer, request.id, Bound(taken), out)
        elif isinstance(body, Parties):
            also = tuple((dn, calls) for dn in body.also[:DNS_A_QUESTION] if (calls := self.calls.parties_on(dn)))
            self.links.reply(now, peer, request.id, PartiesAre(self.calls.parties_on(body.dn), also), out)
        elif isinstance(body, Serve):
            cause = (peer.name, request.id)
            message = decode(body.frame)
            if message.id in INPUTS or message.id in FEATURES:
                self._serve_agent(now, message, cause, f"{peer.name}/", out)
            else:
                self.calls.request(now, message, cause, out)

    def _claim_for_phone(
        self, now: int, dn: str, waiting: tuple[int, Binding, int], out: list[AnyOutput]
    ) -> None:
        token, binding, expires_us = waiting
        if expires_us <= 0:
            self.calls.registered(now, token, True, out)
            return
        self.owned.want(dn, How.SIP)
        self.owned.bind(now, dn, binding, expires_us, out)
        self._registering.setdefault(dn, []).append(waiting)
        self.ownership.claim(now, dn, How.SIP, out)

    def _hand_on(
        self,
        now: int,
        peer: Peer,
        dn: str,
        waiting: tuple[int, Binding, int],
        out: list[AnyOutput],
        *,
        last: bool = False,
    ) -> None:
        _, binding, expires_us = waiting
        deadline_us = now + self._core.limits.parties_deadline_us
        self.links.request(now, peer, Bind(dn, binding, expires_us), deadline_us, ("bind", dn, waiting, last), out)

    def _owner_changed(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        owner = self.ownership.owner(dn)
        peer = self.links.owner_peer(owner)
        if owner is None:
            self.streams.released(now, dn, out)
        if owner is None or peer is None:
            self.streams.originate(now, dn, out)
            return
        if dn in self.streams.mine:
            # What happened here before this node heard of the owner never went to it.
            self._refresh_at(now, peer, dn, out)
        self.streams.yield_to(now, dn, owner.node, owner.epoch, out)

    def _release(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        if self.ownership.owner(dn) is None:
            self.streams.released(now, dn, out)

    def _send_afresh(self, now: int, peer: Peer, out: list[AnyOutput]) -> None:
        """Too many events wait for the peer's word: all parties take their place, of DNs whose calls ended too."""
        stale = dict.fromkeys([*(forward.dn for forward in peer.unacknowledged), *self.calls.dns_with_calls()])
        peer.unacknowledged.clear()
        for dn in stale:
            self._refresh_at(now, peer, dn, out)
            if not peer.up:
                self._stale.setdefault(peer.name, {})[dn] = None

    def _refresh_at(self, now: int, peer: Peer, dn: str, out: list[AnyOutput]) -> None:
        owner = self.ownership.owner(dn)
        if owner is not None and owner.node == peer.name:
            self.links.afresh(now, peer, dn, self.calls.parties_on(dn), out)

    def _reply_remote(
        self, now: int, cause: Cause, code: int, text: str, frame: bytes, out: list[AnyOutput]
    ) -> None:
        peer = self.links.peers.get(cause[0])
        if peer is not None:
            self.links.reply(now, peer, cause[1], Outcome(code, text, frame), out)
