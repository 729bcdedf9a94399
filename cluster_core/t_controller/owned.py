"""The DNs that this node owns: bindings, in and out of service, claims and releases (seed, DN ownership).

Two kinds: a DN whose contact is "*" is owned through its phone's registration, until the last binding expires; any
other through a registration of a privileged application, until the last of those on this node leaves.
"""

from __future__ import annotations

import msgspec

from cluster_core.clients import Client, Clients
from cluster_core.contacts import fixed_binding, is_late, same_contact
from cluster_core.coordinator_records import How, OwnerRecord
from cluster_core.core import Core
from cluster_core.outputs import AnyOutput, Fault, Subsystem
from cluster_core.ownership import Ownership
from cluster_core.pacing import Paced
from cluster_core.picture import Picture
from cluster_core.records import Binding, CallView, DnRecord
from cluster_core.t_controller.agents import Agents
from cluster_core.t_controller.features import Features
from cluster_core.t_controller.link_records import Forward, Located, Parties, PartiesAre
from cluster_core.t_controller.links import Links
from cluster_core.t_controller.streams import Streams
from sip_proto import parse_uri
from tlib_proto import Attribute, CallState, DNRole, Message, MessageType, PartyState, Value, decode

DNS_A_QUESTION = 20
"""DNs in one Parties: the answer fits into a frame."""


class Owned:
    """Every DN of which this node is the owner, and those that it is about to own."""

    def __init__(
        self,
        core: Core,
        clients: Clients,
        ownership: Ownership,
        links: Links,
        streams: Streams,
        agents: Agents,
        features: Features,
    ) -> None:
        self._core = core
        self._clients = clients
        self._ownership = ownership
        self._links = links
        self._streams = streams
        self._agents = agents
        self._features = features
        self._wanted: dict[str, DnRecord] = {}
        self._held: dict[str, list[tuple[str, Forward]]] = {}
        self._asking: dict[str, tuple[dict[str, None], list[CallView]]] = {}
        self._doubtful: dict[str, dict[str, None]] = {}
        self._to_ask: list[str] = []
        self.hiding: Paced[str] = Paced(core, "hiding", self._hide)
        self.ending: Paced[tuple[str, CallView]] = Paced(core, "ending", self._end_call)
        self.reclaiming: Paced[str] = Paced(core, "reclaiming", self._reclaim)

    def record(self, dn: str) -> DnRecord | None:
        """The record of an owned DN."""
        found = self._core.store.get("dns", dn)
        assert found is None or isinstance(found, DnRecord)
        return found

    def serves(self, dn: str) -> bool:
        """Whether this node may act as the DN's owner now."""
        return self._ownership.acting and self._ownership.is_mine(dn) and self.record(dn) is not None

    def locate(self, dn: str) -> Located:
        """Where an owned DN rings: of the bindings that its phones like best the youngest; none when it is out of
        service.

        A phone that registered a moment ago rings, though the peers are still asked for their parties on the DN.
        """
        record = self.record(dn)
        agent = self._agents.of(dn)
        agent_id = "" if agent is None else agent.agent_id
        node = self._node_of_calls(dn)
        if record is None or not self.serves(dn) or not (record.in_service or dn in self._asking):
            return Located(None, agent_id, node)
        binding = (
            max(reversed(record.bindings), key=lambda binding: binding.q) if record.bindings else self._fixed(dn)
        )
        features = self._features.of(dn)
        return Located(
            binding,
            agent_id,
            node,
            dnd=features.dnd,
            forward_to=features.forward_to,
            forward_mode=features.forward_mode,
        )

    def _node_of_calls(self, dn: str) -> str:
        """The node, within reach, where a further call of the DN belongs: that of the call which it holds, else of the
        one in which it talks; "" for none."""
        calls = self._streams.view(dn).calls.values()
        for state in (PartyState.Held, PartyState.Connected):
            for call in calls:
                if call.state == state and (call.node == self._core.name or self._links.is_up(call.node)):
                    return call.node
        return ""

    def bind(self, now: int, dn: str, binding: Binding, expires_us: int, out: list[AnyOutput]) -> bool:
        """A phone registered: keep its binding, or take it away when it expires at once; False if not the owner.

        A DN that is being claimed, or that waits for the node to be a member again, keeps the binding until then. What
        a younger REGISTER has overtaken changes nothing.
        """
        record = self.record(dn) or self._wanted.get(dn)
        if record is None:
            return False
        known = [b for b in record.bindings if same_contact(b.contact, binding.contact)]
        kept = tuple(b for b in record.bindings if b not in known)
        if any(is_late(b, binding.call_id, binding.cseq) for b in known):
            kept = record.bindings
        elif expires_us > 0:
            wall = self._core.wall_us(now)
            fresh = msgspec.structs.replace(binding, expires_at_us=wall + expires_us)
            kept = (*kept, fresh)[-self._core.limits.bindings_per_dn :]
        record.bindings = kept
        if dn in self._wanted:
            return True
        self._core.store.put("dns", dn, record)
        self._rearm(now, record)
        if not self.serves(dn):
            return False
        if not kept:
            self.give_up(now, dn, out)
        elif not record.in_service and dn not in self._asking:
            self._service(now, dn, True, out)
        return True

    def want(self, dn: str, how: How) -> None:
        """A claim begins: what comes for the DN meanwhile is kept."""
        if self.record(dn) is None and dn not in self._wanted:
            self._wanted[dn] = DnRecord(dn, how=how.value)

    def own_by_client(self, now: int, client: Client, dn: str, out: list[AnyOutput]) -> None:
        """A privileged application registered an owned DN of its kind: it holds it from now on, with the others."""
        record = self.record(dn) or self._wanted.get(dn)
        if record is None or client.session_id in record.owners:
            return
        record.owners = (*record.owners, client.session_id)
        if dn not in self._wanted:
            self._core.store.put("dns", dn, record)

    def client_left(self, now: int, client: Client, dn: str, out: list[AnyOutput]) -> None:
        """A client unregistered a DN or is gone: the DN is given up when it was the last that held it."""
        record = self.record(dn) or self._wanted.get(dn)
        if record is None or client.session_id not in record.owners:
            return
        record.owners = tuple(session for session in record.owners if session != client.session_id)
        if dn in self._wanted:
            return
        self._core.store.put("dns", dn, record)
        if not record.owners:
            self.give_up(now, dn, out)

    def give_up(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        """Release a DN: its agent is logged out, it goes out of service, anybody may claim it."""
        record = self.record(dn)
        assert record is not None
        self._agents.log_out(now, dn, out)
        self._features.end(now, dn, out)
        if record.in_service:
            self._service(now, dn, False, out)
        self._forget(now, dn, True, out)
        self._ownership.release(now, dn, record.epoch, out)
        self._streams.originate(now, dn, out)

    def gained(self, now: int, dn: str, owner: OwnerRecord, out: list[AnyOutput]) -> None:
        """The DN is this node's: ask every peer for its parties on it, then begin the stream."""
        record = self._wanted.pop(dn, None) or self.record(dn) or DnRecord(dn, how=owner.how.value)
        record.epoch, record.role_epoch, record.seq = owner.epoch, self._core.role_epoch, 0
        record.in_service = False
        self._core.store.put("dns", dn, record)
        self._rearm(now, record)
        peers = self._links.up_peers()
        self._asking[dn] = ({peer.name: None for peer in peers}, [])
        if peers:
            self._to_ask.append(dn)
        else:
            self._begin(now, dn, out)

    def flush(self, now: int, out: list[AnyOutput]) -> None:
        """Ask every peer for its parties on the DNs that were gained; call it at the end of each input."""
        if not self._to_ask:
            return
        dns, self._to_ask = self._to_ask, []
        deadline_us = now + self._core.limits.parties_deadline_us
        for start in range(0, len(dns), DNS_A_QUESTION):
            part = tuple(dns[start : start + DNS_A_QUESTION])
            for peer in self._links.up_peers():
                context = ("parties", part, peer.name)
                self._links.request(now, peer, Parties(part[0], part[1:]), deadline_us, context, out)

    def parties(
        self, now: int, dns: tuple[str, ...], node: str, told: PartiesAre | None, out: list[AnyOutput]
    ) -> None:
        """A peer named its parties on these DNs, or was silent and is named."""
        if told is None:
            others = f" and {len(dns) - 1} others" if dns[1:] else ""
            text = f"peer {node} did not tell its parties on {dns[0]}{others}"
            out.append(Fault(Subsystem.T_CONTROLLER, "parties-unknown", text))
        calls = {} if told is None else {dns[0]: told.calls, **dict(told.also)}
        for dn in dns:
            asking = self._asking.get(dn)
            if asking is None:
                continue
            silent, found = asking
            silent.pop(node, None)
            found.extend(calls.get(dn, ()))
            if not silent:
                self._begin(now, dn, out)

    def hold(self, dn: str, node: str, forward: Forward) -> bool:
        """While peers are asked for their parties, what they forward waits; False when nobody is asked."""
        if dn not in self._asking:
            return False
        held = self._held.setdefault(dn, [])
        if len(held) < self._core.limits.forwards_unacknowledged:
            held.append((node, forward))
        return True

    def lost(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        """Another node owns the DN: its agent is logged out here, its stream ends here."""
        self._agents.log_out(now, dn, out)
        self._features.end(now, dn, out)
        record = self.record(dn)
        if record is not None and record.in_service:
            self._service(now, dn, False, out)
        self._forget(now, dn, False, out)

    def fenced(self, now: int, out: list[AnyOutput]) -> None:
        """This node may not act as owner: hide its DNs, log nobody out.

        From now on it says nothing of them but that they are out of service, and that of each as soon as it can.
        """
        dns = list(self._core.store.rows("dns"))
        self._streams.conceal(dns)
        self._asking.clear()
        self._to_ask.clear()
        self._held.clear()
        self.reclaiming.clear()
        self.hiding.add(now, dns, out)

    def rejoined(self, now: int, out: list[AnyOutput]) -> None:
        """A member again: claim what was owned, with the state that it had."""
        self.reclaiming.clear()
        self.reclaiming.add(now, list(self._core.store.rows("dns")), out)

    def claim_failed(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        """A claim ended without this node as the owner."""
        self._wanted.pop(dn, None)
        if self.record(dn) is not None and self._ownership.acting and not self._ownership.is_mine(dn):
            self.lost(now, dn, out)

    def binding_timeout(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        """A binding has expired; with the last one the DN is released."""
        record = self.record(dn)
        if record is None:
            return
        wall = self._core.wall_us(now)
        record.bindings = tuple(b for b in record.bindings if b.expires_at_us > wall)
        self._core.store.put("dns", dn, record)
        self._rearm(now, record)
        if not record.bindings and record.how == How.SIP:
            self.give_up(now, dn, out)

    def take(self, now: int, node: str, forward: Forward, out: list[AnyOutput]) -> None:
        """An event of another node's call on an owned DN, or all of its parties on it."""
        if forward.frame:
            self._streams.emit(now, forward.dn, decode(forward.frame), forward.cause, out, node=node)
        else:
            self.replace_calls(now, forward.dn, node, forward.calls, out)

    def replace_calls(
        self, now: int, dn: str, node: str, calls: tuple[CallView, ...], out: list[AnyOutput]
    ) -> None:
        """A node's parties on an owned DN, afresh: the owner's picture takes them and everyone gets a Snapshot."""
        self._doubtful.get(node, {}).pop(dn, None)
        picture = self._streams.mine.get(dn)
        if picture is None or not picture.owned or not (picture.calls or calls) or not self.serves(dn):
            return
        fresh = {c: view for c, view in picture.calls.items() if view.node != node}
        fresh.update({view.conn_id: view for view in calls})
        if fresh != picture.calls:
            picture.calls = fresh
            self._streams.refresh(now, picture, out)

    def doubt(self, node: str) -> None:
        """A node is back in another incarnation: its calls on owned DNs are over unless it tells them afresh."""
        self._doubtful[node] = dict.fromkeys(self._with_calls_of(node))

    def doubts(self, node: str) -> bool:
        """Whether a node that is back has yet to say which of its calls go on."""
        return node in self._doubtful

    def told_afresh(self, now: int, node: str, out: list[AnyOutput]) -> None:
        """A node has told all of its calls: of those in doubt nothing else goes on."""
        if self.doubts(node):
            self.end_calls_of(now, node, out)

    def end_calls_of(self, now: int, node: str, out: list[AnyOutput]) -> None:
        """A node's calls on owned DNs are over: after `doubt` those that it has not told afresh, otherwise all.

        Nobody is left to say how they ended: EventReleased has the CallState SystemError and no role (ours).
        """
        dns = self._doubtful.pop(node, None)
        ended = []
        for dn in self._with_calls_of(node) if dns is None else dns:
            picture = self._streams.mine.get(dn)
            if picture is not None and picture.owned:
                ended += [(dn, view) for view in picture.calls.values() if view.node == node]
        self.ending.add(now, ended, out)

    def _end_call(self, now: int, one: tuple[str, CallView], out: list[AnyOutput]) -> None:
        """A call of a node that is gone ends, unless something was told of it meanwhile: then it goes on."""
        dn, view = one
        picture = self._streams.mine.get(dn)
        told = None if picture is None or not picture.owned else picture.calls.get(view.conn_id)
        if told is view and self.serves(dn):
            self._streams.emit(now, dn, self._lost_call(now, dn, view), None, out, node=view.node)

    def _with_calls_of(self, node: str) -> list[str]:
        return [
            dn
            for dn, picture in self._streams.mine.items()
            if picture.calls and picture.owned and any(view.node == node for view in picture.calls.values())
        ]

    def _lost_call(self, now: int, dn: str, view: CallView) -> Message:
        attributes: dict[int, Value] = {
            Attribute.ThisDN: dn,
            Attribute.ThisDNRole: int(DNRole.Unknown),
            Attribute.ConnID: view.conn_id,
            Attribute.CallID: view.conn_id & 0xFFFF_FFFF,
            Attribute.CallType: view.call_type,
            Attribute.CallState: int(CallState.SystemError),
            **self._clients.time(now),
        }
        if view.other_dn:
            attributes[Attribute.OtherDN] = view.other_dn
        return Message(MessageType.EventReleased, 0, attributes)

    def _hide(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        """A DN is hidden, unless its stream has begun anew or ended meanwhile."""
        record = self.record(dn)
        if record is not None and record.in_service and self._streams.reveal(dn):
            self._service(now, dn, False, out)
            self._streams.conceal((dn,))

    def _reclaim(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        record = self.record(dn)
        if record is not None and not self._ownership.is_mine(dn):
            self._ownership.claim(now, dn, How(record.how), out)

    def _begin(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        _, found = self._asking.pop(dn)
        record = self.record(dn)
        assert record is not None
        found.extend(self._streams.parties(dn))
        for doubtful in self._doubtful.values():
            doubtful.pop(dn, None)
        held = self._held.pop(dn, [])
        picture = Picture(
            dn=dn,
            source=self._core.name,
            owned=True,
            epoch=record.epoch,
            role_epoch=record.role_epoch,
            calls={view.conn_id: view for view in found},
        )
        self._features.show(picture)
        agent = self._agents.of(dn)
        if agent is not None:
            picture.agent_id, picture.ready, picture.work_mode = agent.agent_id, agent.ready, agent.work_mode
        unwanted = not (record.bindings if record.how == How.SIP else record.owners)
        if not unwanted:
            # the stream's first event, EventDNBackInService, is in its first Snapshot
            picture.in_service, picture.seq = True, 1
        self._streams.begin(now, picture, out)
        if unwanted:
            self.give_up(now, dn, out)
        for node, forward in held:
            self.take(now, node, forward, out)

    def _service(self, now: int, dn: str, in_service: bool, out: list[AnyOutput]) -> None:
        event = MessageType.EventDNBackInService if in_service else MessageType.EventDNOutOfService
        record = self.record(dn)
        assert record is not None
        if dn in self._streams.mine:
            message = Message(event, 0, {Attribute.ThisDN: dn, **self._clients.time(now)})
            self._streams.emit(now, dn, message, None, out)
        else:
            record.in_service = in_service
            self._core.store.put("dns", dn, record)

    def _forget(self, now: int, dn: str, given_up: bool, out: list[AnyOutput]) -> None:
        self._asking.pop(dn, None)
        self._held.pop(dn, None)
        self._core.arm("binding", dn, None)
        self._streams.end(now, dn, given_up, out)
        self._core.store.drop("dns", dn)

    def _rearm(self, now: int, record: DnRecord) -> None:
        ends = [binding.expires_at_us for binding in record.bindings]
        self._core.arm("binding", record.dn, min(ends) - self._core.wall_base_us if ends else None)

    def _fixed(self, dn: str) -> Binding | None:
        """The contact of a DN whose phone does not register: an address, or a trunk that it is reached through."""
        contact = self._core.settings.dns[dn].contact
        uri = parse_uri(contact)
        trunk = self._core.settings.dns.get(uri.host)
        return fixed_binding(contact if trunk is None else trunk.contact, uri.user or dn)
