"""Links to the other T-Controllers: two connections a pair, each node the client of the one that it dials (design 7).

A peer is up when both are. This room knows connections, numbers and acknowledgements; what a message means is decided
by the rooms that it is handed to.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

from cluster_core.clients import Client
from cluster_core.coordinator_records import OwnerRecord
from cluster_core.core import Core
from cluster_core.edge import Edge
from cluster_core.outputs import AnyOutput, Fault, Subsystem
from cluster_core.packing import pack, unpacker
from cluster_core.rights import REFUSALS, Condition
from cluster_core.settings import MemberSettings
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
from tlib_proto import Attribute, Greeted, Hello, Message, MessageType, decode, encode

DNS_A_MESSAGE = 5_000
"""DNs in one Interest: a link's frames are no larger than a client's."""

_INCARNATION = re.compile(r"[0-9]{1,7}", re.ASCII)
_UNPACKER: Any = unpacker(AnyLinkMessage)


class Peer:
    """Another node: its two connections, what it wants of us, and what we sent it that it has not acknowledged.

    `untold` are the DNs whose Snapshot it has not been sent yet, and whether it is to hear that there is none: until
    then it gets no event of theirs. `untold_last` says that the last of these ends the answer to an Interest in all.
    """

    __slots__ = (
        "cut",
        "dialled",
        "dialled_up",
        "down_since_us",
        "everything",
        "forward_seen",
        "forward_seq",
        "incarnation",
        "interest",
        "member",
        "name",
        "served",
        "unacknowledged",
        "untold",
        "untold_last",
    )

    def __init__(self, name: str, member: MemberSettings) -> None:
        self.name = name
        self.member = member
        self.dialled = 0
        self.dialled_up = False
        self.served = 0
        self.incarnation = 0
        self.cut = False
        self.down_since_us = 0
        self.interest: dict[str, None] = {}
        self.everything = False
        self.forward_seq = 0
        self.forward_seen = 0
        self.unacknowledged: deque[Forward] = deque()
        self.untold: dict[str, bool] = {}
        self.untold_last = False

    @property
    def up(self) -> bool:
        """Whether both connections of the pair are greeted."""
        return self.dialled_up and self.served != 0

    def unserved(self) -> None:
        """The connection that it dialled is gone: it will say anew what it wants."""
        self.served = 0
        self.untold, self.untold_last = {}, False


class LinkUser(Protocol):
    """Who is told what happens on links."""

    def peer_up(self, now: int, peer: Peer, out: list[AnyOutput]) -> None:
        """Both connections with the peer are up."""

    def peer_down(self, now: int, peer: Peer, out: list[AnyOutput]) -> None:
        """A connection of a peer that was up is gone."""

    def peer_away(self, now: int, peer: Peer, out: list[AnyOutput]) -> None:
        """The peer has been out of reach for long enough that its DNs' events must not wait any more."""

    def peer_restarted(self, now: int, peer: Peer, out: list[AnyOutput]) -> None:
        """The peer is back in another incarnation: what its earlier one held is gone."""

    def link_message(self, now: int, peer: Peer, message: AnyLinkMessage, out: list[AnyOutput]) -> None:
        """An Interest, Snapshot, Event, Forward or Request has come."""

    def forward_refused(self, now: int, peer: Peer, forward: Forward, out: list[AnyOutput]) -> None:
        """The peer does not own the DN of that event any more."""

    def replied(self, now: int, context: Any, body: object | None, out: list[AnyOutput]) -> None:
        """A Request made with this context was answered; None when it was not in time."""


class Links:
    """The table of peers."""

    def __init__(self, core: Core, edge: Edge) -> None:
        self._core = core
        self._edge = edge
        self.user: LinkUser
        self.peers: dict[str, Peer] = {}
        for node in core.settings.nodes:
            if node.name != core.name:
                self.peers[node.name] = Peer(node.name, node.members[0])
        self._waiting: dict[int, tuple[str, Any]] = {}
        self._wanted: dict[str, bool] = {}

    def start(self, now: int, out: list[AnyOutput]) -> None:
        """The node has an incarnation: greet every peer anew."""
        for peer in self.peers.values():
            self.drop(now, peer, "new incarnation", out)
            self._dial(now, peer, out)

    def stop(self, now: int, out: list[AnyOutput]) -> None:
        """The node stops: every link goes, none is dialled again."""
        for peer in self.peers.values():
            self.cut(now, peer.name, True, out)

    def is_up(self, node: str) -> bool:
        """Whether a node is a peer within reach."""
        peer = self.peers.get(node)
        return peer is not None and peer.up

    def owner_peer(self, owner: OwnerRecord | None) -> Peer | None:
        """The peer that a record of an owner means; None for this node, and for an incarnation that is over."""
        peer = None if owner is None else self.peers.get(owner.node)
        if owner is None or peer is None or owner.incarnation < peer.incarnation:
            return None
        return peer

    def owner_up(self, owner: OwnerRecord | None) -> Peer | None:
        """The same, if it is within reach."""
        peer = self.owner_peer(owner)
        return peer if peer is not None and peer.up else None

    def up_peers(self) -> list[Peer]:
        """The peers within reach."""
        return [peer for peer in self.peers.values() if peer.up]

    def interested(self, dn: str) -> list[Peer]:
        """The peers that want the stream of a DN: they hear it though the other way may not be open yet."""
        return [
            p for p in self.peers.values() if p.served and (p.everything or dn in p.interest) and dn not in p.untold
        ]

    def want(self, dn: str, wanted: bool) -> None:
        """Say to every peer within reach, once the input ends, that the stream of a DN is wanted or is not any more."""
        if self.peers:
            self._wanted[dn] = wanted

    def flush(self, now: int, out: list[AnyOutput]) -> None:
        """Say what is wanted; call it at the end of each input."""
        if not self._wanted:
            return
        wanted, self._wanted = self._wanted, {}
        dns = list(wanted)
        for start in range(0, len(dns), DNS_A_MESSAGE):
            part = dns[start : start + DNS_A_MESSAGE]
            add, remove = ([dn for dn in part if wanted[dn] is yes] for yes in (True, False))
            for peer in self.up_peers():
                self.ask(now, peer, Interest(tuple(add), tuple(remove)), out)

    def is_behind(self, peer: Peer) -> bool:
        """Whether a peer still has to read much of what it was sent on the connection that it dialled."""
        return self._edge.unread(peer.served) > 0

    def cut(self, now: int, name: str, down: bool, out: list[AnyOutput]) -> bool:
        """An operator cuts a link or mends it; False when there is no such peer."""
        peer = self.peers.get(name)
        if peer is None:
            return False
        peer.cut = down
        if down:
            self._core.arm("dial", name, None)
            self.drop(now, peer, "cut by an operator", out)
        elif not peer.dialled:
            self._dial(now, peer, out)
        return True

    def drop(self, now: int, peer: Peer, why: str, out: list[AnyOutput]) -> None:
        """Close both connections of a peer."""
        was_up = peer.up
        for conn in (peer.dialled, peer.served):
            if conn:
                self._edge.close(now, conn, why, out)
        peer.dialled, peer.dialled_up = 0, False
        peer.unserved()
        self._went_down(now, peer, was_up, out)

    def greeted(self, now: int, client: Client, record: Greeted, out: list[AnyOutput]) -> bool:
        """A peer has dialled us: accept it, unless it is unknown, cut off, or an older incarnation."""
        hello = record.hello
        peer = self.peers.get(hello.node)
        incarnation = _incarnation(hello.session_id)
        old = incarnation < (1 if peer is None else max(1, peer.incarnation))
        if peer is None or peer.cut or old or not self._core.ids.incarnation:
            refusal = REFUSALS[Condition.LINK_REFUSED]
            out.append(Fault(Subsystem.T_CONTROLLER, "link-refused", f"peer {hello.node!r}", client.conn))
            self._edge.refuse(now, client.conn, refusal.code, refusal.text, out)
            return False
        was_up = peer.up
        if peer.served:
            self._edge.close(now, peer.served, "the peer dialled again", out)
            peer.unserved()
            self._went_down(now, peer, was_up, out)
            was_up = False
        peer.interest, peer.everything = {}, not self._core.settings.options.smart_proxy_enabled
        peer.served = client.conn
        attributes: dict[int, int | str] = {
            Attribute.NodeName: self._core.name,
            Attribute.SessionID: str(self._core.ids.incarnation),
        }
        self._edge.accept(now, client.conn, attributes, self._core.limits.link_ping_us, out)
        self._met(now, peer, incarnation, out)
        if peer.up and not was_up:
            self._came_up(now, peer, out)
        return True

    def linked(self, now: int, conn: int, message: Message, out: list[AnyOutput]) -> None:
        """A peer has accepted us."""
        peer = next((p for p in self.peers.values() if p.dialled == conn), None)
        if peer is None or peer.dialled_up:
            return
        peer.dialled_up = True
        self._met(now, peer, _incarnation(message.text(Attribute.SessionID)), out)
        if peer.up:
            self._came_up(now, peer, out)

    def gone(self, now: int, conn: int, out: list[AnyOutput]) -> None:
        """A stream is gone that may be a link."""
        for peer in self.peers.values():
            was_up = peer.up
            if peer.dialled == conn:
                peer.dialled, peer.dialled_up = 0, False
                if not peer.cut:
                    self._core.arm("dial", peer.name, now + self._core.limits.link_redial_us)
            elif peer.served == conn:
                peer.unserved()
            else:
                continue
            self._went_down(now, peer, was_up, out)

    def dial_timeout(self, now: int, name: str, out: list[AnyOutput]) -> None:
        """Time to dial a peer again."""
        peer = self.peers[name]
        if not peer.dialled and not peer.cut:
            self._dial(now, peer, out)

    def away_timeout(self, now: int, name: str, out: list[AnyOutput]) -> None:
        """A peer has stayed away."""
        peer = self.peers[name]
        if not peer.up:
            self.user.peer_away(now, peer, out)

    def is_away(self, now: int, name: str) -> bool:
        """Whether a node has been out of reach so long that events for it must not wait."""
        peer = self.peers.get(name)
        return peer is None or (not peer.up and now - peer.down_since_us >= self._core.limits.peer_loss_us)

    def incoming(self, now: int, conn: int, message: Message, out: list[AnyOutput]) -> None:
        """A message came on a link: hand it on, or close the link that broke its own rules."""
        peer = next((p for p in self.peers.values() if conn in (p.dialled, p.served)), None)
        if peer is None:
            return
        if message.id != MessageType.PeerMessage:
            return
        try:
            body: AnyLinkMessage = _UNPACKER.unpack(message.octets(Attribute.PeerBody))
            _check_frame(body)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            out.append(Fault(Subsystem.T_CONTROLLER, "link-message", f"{peer.name}: {error}", conn))
            self.drop(now, peer, "a link message that cannot be read", out)
            self._core.arm("dial", peer.name, now + self._core.limits.link_redial_us)
            return
        if isinstance(body, ForwardAck):
            last: Forward | None = None
            while peer.unacknowledged and peer.unacknowledged[0].seq <= body.seq:
                last = peer.unacknowledged.popleft()
            if body.refused and last is not None and last.seq == body.seq:
                self.user.forward_refused(now, peer, last, out)
        elif isinstance(body, Reply):
            if isinstance(body.body, Outcome):
                self.user.link_message(now, peer, body, out)
                return
            waiting = self._waiting.pop(body.id, None)
            self._core.arm("linkreq", body.id, None)
            if waiting is not None:
                self.user.replied(now, waiting[1], body.body, out)
        else:
            self.user.link_message(now, peer, body, out)

    def forward(
        self, now: int, peer: Peer, dn: str, frame: bytes, cause: tuple[str, int] | None, out: list[AnyOutput]
    ) -> bool:
        """Send an event to the DN's owner, numbered; False when too many wait for its acknowledgement."""
        if len(peer.unacknowledged) >= self._core.limits.forwards_unacknowledged:
            return False
        peer.forward_seq += 1
        message = Forward(peer.forward_seq, dn, frame, cause)
        peer.unacknowledged.append(message)
        self.ask(now, peer, message, out)
        return True

    def afresh(self, now: int, peer: Peer, dn: str, calls: tuple[Any, ...], out: list[AnyOutput]) -> None:
        """Send all that this node's calls have on a DN, in place of events that could not be sent."""
        peer.forward_seq += 1
        self.ask(now, peer, Forward(peer.forward_seq, dn, calls=calls), out)

    def request(
        self,
        now: int,
        peer: Peer,
        body: Locate | Bind | Parties,
        deadline_us: int,
        context: Any,
        out: list[AnyOutput],
    ) -> None:
        """Ask a peer something; `replied` brings the answer, or None at the deadline."""
        number = self._core.ids.request()
        self._waiting[number] = (peer.name, context)
        self._core.arm("linkreq", number, deadline_us)
        self.ask(now, peer, Request(number, body), out)

    def serve(self, now: int, peer: Peer, number: int, frame: bytes, out: list[AnyOutput]) -> None:
        """Send a client's request on its way; its Outcome comes as a link message."""
        self.ask(now, peer, Request(number, Serve(frame)), out)

    def request_timeout(self, now: int, number: int, out: list[AnyOutput]) -> None:
        """A Request was not answered in time."""
        waiting = self._waiting.pop(number, None)
        if waiting is not None:
            self.user.replied(now, waiting[1], None, out)

    def ask(self, now: int, peer: Peer, message: AnyLinkMessage, out: list[AnyOutput]) -> None:
        """Send on the connection that we dialled: what a client says, what it wants first."""
        if self._wanted:
            self.flush(now, out)
        if peer.dialled_up:
            self._edge.send_frame(now, (peer.dialled,), _frame(message), out)

    def tell(
        self,
        now: int,
        peers: Iterable[Peer],
        message: Snapshot | Event | ForwardAck | Reply,
        out: list[AnyOutput],
    ) -> None:
        """Send on the connections that we serve: what a server says."""
        conns = [peer.served for peer in peers if peer.served]
        if conns:
            self._edge.send_frame(now, conns, _frame(message), out)

    def reply(
        self,
        now: int,
        peer: Peer,
        number: int,
        body: Located | Bound | PartiesAre | Outcome,
        out: list[AnyOutput],
    ) -> None:
        """Answer a peer's Request."""
        self.tell(now, (peer,), Reply(number, body), out)

    def _dial(self, now: int, peer: Peer, out: list[AnyOutput]) -> None:
        if peer.cut or not self._core.ids.incarnation:
            return
        hello = Hello(
            application=f"T-Controller@{self._core.name}",
            role="peer",
            secret=self._core.settings.link_secret,
            session_id=str(self._core.ids.incarnation),
            node=self._core.name,
            keepalive_ms=self._core.limits.link_ping_us // 1_000,
        )
        peer.dialled = self._edge.dial(hello, peer.member, "tcontroller-link", out)

    def _met(self, now: int, peer: Peer, incarnation: int, out: list[AnyOutput]) -> None:
        known, peer.incarnation = peer.incarnation, incarnation
        if known and known != incarnation:
            peer.unacknowledged.clear()
            peer.forward_seen = 0
            self.user.peer_restarted(now, peer, out)

    def _came_up(self, now: int, peer: Peer, out: list[AnyOutput]) -> None:
        self._core.arm("away", peer.name, None)
        out.append(Fault(Subsystem.T_CONTROLLER, "link-up", f"peer {peer.name}"))
        for message in list(peer.unacknowledged):
            self.ask(now, peer, message, out)
        self.user.peer_up(now, peer, out)

    def _went_down(self, now: int, peer: Peer, was_up: bool, out: list[AnyOutput]) -> None:
        if not was_up or peer.up:
            return
        peer.down_since_us = now
        out.append(Fault(Subsystem.T_CONTROLLER, "link-down", f"peer {peer.name}"))
        self._core.arm("away", peer.name, now + self._core.limits.peer_loss_us)
        for number in [n for n, (name, _) in self._waiting.items() if name == peer.name]:
            self._core.arm("linkreq", number, None)
            self.user.replied(now, self._waiting.pop(number)[1], None, out)
        self.user.peer_down(now, peer, out)


def _check_frame(message: AnyLinkMessage) -> None:
    """ParseError when a link message carries a frame that is none."""
    carrier = message.body if isinstance(message, Request | Reply) else message
    frame = carrier.frame if isinstance(carrier, Event | Forward | Serve | Outcome) else b""
    if frame or isinstance(carrier, Event | Serve):
        decode(frame)


def _incarnation(text: str) -> int:
    """The incarnation that a peer names, 0 for none."""
    return int(text) if _INCARNATION.fullmatch(text) else 0


def _frame(message: AnyLinkMessage) -> bytes:
    return encode(Message(MessageType.PeerMessage, 0, {Attribute.PeerBody: pack(message)}))
