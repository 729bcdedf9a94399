"""The table of calls: created, kept, told about, ended (seed, Session Controller).

Every event of a call leaves through here: to this node's routers at once, to Interaction Proxy, and to T-Controller,
which finds the DN's owner. A call is durable from the moment it is answered.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from cluster_core.clients import Clients
from cluster_core.core import Cause, Core
from cluster_core.outputs import AnyOutput
from cluster_core.records import CallRecord, CallView, PartyRecord
from cluster_core.requests import Requests
from cluster_core.session_controller.tables import NULL, TRANSITIONS, PartyInput
from tlib_proto import (
    Attribute,
    CallState,
    CallType,
    DNRole,
    KVList,
    KVValue,
    Message,
    MessageType,
    PartyState,
    Value,
    build,
    encode,
)

ON_SWITCH = ("extension", "queue")
"""The kinds of party that are on a DN of the switch; others only bear a number, which may look like one."""


_BEGINS = (MessageType.EventDialing, MessageType.EventRinging)


class Transfer(msgspec.Struct):
    """A transfer that is under way in a call: who makes it, who stays, who comes; parties by number, 0 for none.

    `referral` is the REFER that asked for it, 0 for an INVITE with Replaces; `headers` are what the INVITE to who comes
    says of it. It stands until who comes has answered; who makes it may be gone before, and is when it is a `program`
    that asked and the target rings.
    """

    dn: str
    by: int
    stays: int
    comes: int = 0
    referral: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    program: bool = False


class Reporter(Protocol):
    """Interaction Proxy, as calls see it."""

    def call_created(self, now: int, conn_id: int, main: int, event: Message, out: list[AnyOutput]) -> None:
        """A call begins, in the interaction of the call `main`, or for itself (0)."""

    def call_event(self, now: int, conn_id: int, event: Message, out: list[AnyOutput]) -> None:
        """A T-Event of a call."""

    def call_deleted(self, now: int, conn_id: int, event: Message, out: list[AnyOutput]) -> None:
        """A call is over."""


class Distributor(Protocol):
    """T-Controller, as calls see it."""

    def call_event(
        self, now: int, dn: str, event: Message, cause: Cause | None, out: list[AnyOutput]
    ) -> None:
        """An event of a call of this node on one of its DNs."""


class Calls:
    """Calls and parties by their ids, parties by their SIP legs and DNs."""

    def __init__(self, core: Core, clients: Clients, requests: Requests) -> None:
        self._core = core
        self._clients = clients
        self._requests = requests
        self.reporter: Reporter
        self.distributor: Distributor
        self.calls: dict[int, CallRecord] = {}
        self.parties: dict[int, PartyRecord] = {}
        self.by_leg: dict[int, int] = {}
        self.transfers: dict[int, Transfer] = {}
        self._by_dn: dict[str, dict[int, None]] = {}
        self._causes: dict[tuple[int, PartyInput], Cause] = {}

    def create(
        self,
        now: int,
        call_type: CallType,
        ani: str,
        dnis: str,
        user_data: KVList,
        out: list[AnyOutput],
        main: int = 0,
    ) -> CallRecord | None:
        """A new call, told to reporting; None when the table is full."""
        if len(self.calls) >= self._core.limits.calls:
            return None
        ids = self._core.ids
        call = CallRecord(
            ids.conn_id(), ids.call_uuid(), int(call_type), ani, dnis, user_data, self._core.wall_us(now)
        )
        call.main = main
        self.calls[call.conn_id] = call
        # what a DN that has a call begins beside it is likely to end in that one
        beside = main or next((party.conn_id for party in self.on(ani)), 0)
        self.reporter.call_created(
            now, call.conn_id, beside, self._call_event(now, call, MessageType.EventCallCreated), out
        )
        return call

    def add(self, call: CallRecord, dn: str, kind: str, role: DNRole, leg: int, other_dn: str) -> PartyRecord:
        """A new party of a call; nothing is told before its first step."""
        party = PartyRecord(
            self._core.ids.party(), call.conn_id, dn, kind, int(role), int(NULL), leg, other_dn, call.queue
        )
        self.parties[party.party] = party
        call.parties = (*call.parties, party.party)
        if leg:
            self.by_leg[leg] = party.party
        if kind in ON_SWITCH:
            self._by_dn.setdefault(dn, {})[party.party] = None
        transfer = self.transfers.get(call.conn_id)
        if transfer is not None and not transfer.comes:
            transfer.comes = party.party
        self.keep(call, party)
        return party

    def move(self, party: PartyRecord, to: CallRecord) -> None:
        """A party goes over to another call, under whose ConnID it is from now on."""
        before = self.calls[party.conn_id]
        before.parties = tuple(number for number in before.parties if number != party.party)
        party.conn_id = to.conn_id
        to.parties = (*to.parties, party.party)
        self.keep(before)
        self.keep(to, party)

    def set_leg(self, party: PartyRecord, leg: int) -> None:
        """The party is reached over this SIP leg from now on, 0 for none."""
        self.by_leg.pop(party.leg, None)
        party.leg = leg
        if leg:
            self.by_leg[leg] = party.party

    def keep(self, call: CallRecord, *parties: PartyRecord) -> None:
        """What changed of an answered call goes to the store."""
        if call.answered:
            self._core.store.put("calls", call.conn_id, call)
            for party in parties:
                self._core.store.put("parties", party.party, party)

    def answered(self, call: CallRecord) -> None:
        """The call is answered: it is durable from now on."""
        call.answered = True
        self.keep(call, *self.of(call))

    def of(self, call: CallRecord) -> list[PartyRecord]:
        """The parties of a call, in order of arrival."""
        return [self.parties[party] for party in call.parties]

    def other(self, party: PartyRecord) -> PartyRecord | None:
        """The party at the other end: the one that has, or is about to have, a SIP leg.

        While a transfer is under way, who stays is at the other end of both who makes it and who comes.
        """
        call = self.calls[party.conn_id]
        transfer = self.transfers.get(call.conn_id)
        if transfer is not None and transfer.by:
            return self.parties[transfer.by if party.party == transfer.stays else transfer.stays]
        for candidate in reversed(self.of(call)):
            if candidate is not party and candidate.kind != "queue":
                return candidate
        return None

    def caller(self, call: CallRecord) -> PartyRecord:
        """The party for which the call goes to somebody else: its first one, or who stays in a transfer."""
        transfer = self.transfers.get(call.conn_id)
        return self.parties[call.parties[0] if transfer is None else transfer.stays]

    def shown(self, call: CallRecord) -> str:
        """Whose number a phone that rings for the call is shown."""
        caller = self.caller(call)
        return call.ani or caller.dn if caller.role == DNRole.Origination else caller.dn

    def headers(self, call: CallRecord) -> tuple[tuple[str, str], ...]:
        """What an INVITE for the call says of its transfer."""
        transfer = self.transfers.get(call.conn_id)
        return () if transfer is None else transfer.headers

    def third(self, call: CallRecord) -> dict[str, Any]:
        """What the events of a party that a transfer brings say of who makes it."""
        transfer = self.transfers.get(call.conn_id)
        if transfer is None:
            return {}
        return {"ThirdPartyDN": transfer.dn, "ThirdPartyDNRole": int(DNRole.TransferredBy)}

    def queue_of(self, call: CallRecord) -> PartyRecord | None:
        """The Routing Point where the call waits, if it waits."""
        for party in self.of(call):
            if party.kind == "queue":
                return party
        return None

    def party_on(self, call: CallRecord, dn: str) -> PartyRecord | None:
        """The call's party on a DN."""
        for party in self.of(call):
            if party.dn == dn and party.kind in ON_SWITCH:
                return party
        return None

    def on(self, dn: str) -> list[PartyRecord]:
        """The parties on a DN, in order of arrival."""
        return [self.parties[number] for number in self._by_dn.get(dn, ())]

    def of_leg(self, leg: int) -> PartyRecord | None:
        """The party that a SIP leg belongs to."""
        number = self.by_leg.get(leg)
        return None if number is None else self.parties[number]

    def views(self, dn: str) -> tuple[CallView, ...]:
        """What the DN's owner knows of this node's calls on it."""
        seen = []
        for number in self._by_dn.get(dn, ()):
            party = self.parties[number]
            if party.state != NULL:
                call = self.calls[party.conn_id]
                seen.append(
                    CallView(
                        party.conn_id, call.call_type, _shown(party.state), party.other_dn, self._core.name
                    )
                )
        return tuple(seen)

    def dns(self) -> list[str]:
        """The DNs of the switch that have a party here."""
        return [dn for dn in self._by_dn if dn in self._core.settings.dns]

    def busy(self, dn: str) -> bool:
        """Whether a DN has as many calls here as it may have."""
        return len(self._by_dn.get(dn, ())) >= self._core.limits.calls_per_dn

    def expect(self, party: PartyRecord, given: PartyInput, cause: Cause) -> None:
        """The next event of this input on the party answers that request."""
        self._causes[party.party, given] = cause

    def is_expected(self, party: PartyRecord, given: PartyInput) -> bool:
        """Whether somebody waits for this input."""
        return (party.party, given) in self._causes

    def expected(self, party: PartyRecord, given: PartyInput) -> Cause | None:
        """Who waits for this input, if anybody; nobody waits any longer."""
        return self._causes.pop((party.party, given), None)

    def step(
        self,
        now: int,
        party: PartyRecord,
        given: PartyInput,
        out: list[AnyOutput],
        state: CallState = CallState.Ok,
        **more: Value,
    ) -> bool:
        """Give a party an input: its state moves and the event of the row is told; False without a row."""
        row = TRANSITIONS.get((party.state, int(given)))
        if row is None:
            return False
        party.state = int(row.next)
        call = self.calls[party.conn_id]
        self.keep(call, party)
        if party.kind in ON_SWITCH:
            self.tell(now, party, row.event, self.expected(party, given), out, CallState=state, **more)
        return True

    def tell(
        self,
        now: int,
        party: PartyRecord,
        kind: MessageType,
        cause: Cause | None,
        out: list[AnyOutput],
        **more: Value,
    ) -> None:
        """Tell an event of a party to everyone who may hear it; the copy of the one who asked answers the request."""
        call = self.calls[party.conn_id]
        attributes = self._attributes(now, call)
        attributes[Attribute.ThisDN] = party.dn
        attributes[Attribute.ThisDNRole] = party.role
        if party.other_dn and kind is not MessageType.EventAttachedDataChanged:
            attributes[Attribute.OtherDN] = party.other_dn
            origin = party.role == DNRole.Origination
            attributes[Attribute.OtherDNRole] = DNRole.Destination if origin else DNRole.Origination
        if party.kind == "queue" or party.queue:
            attributes[Attribute.ThisQueue] = party.queue or party.dn
        if call.main and kind is not MessageType.EventPartyChanged:
            attributes[Attribute.PreviousConnID] = call.main
            if kind in _BEGINS:
                attributes[Attribute.TransferConnID] = call.main
        for name, value in more.items():
            attributes[Attribute[name]] = value
        message = build.event(kind, attributes)
        self.reporter.call_event(now, call.conn_id, message, out)
        self._clients.deliver(now, self._clients.watchers("tlib", party.dn), message, cause, out)
        self.distributor.call_event(now, party.dn, message, cause, out)
        if cause is not None:
            self._requests.done(now, cause, encode(message), out)

    def leave(self, now: int, party: PartyRecord) -> None:
        """A party is gone from its call and from every table."""
        call = self.calls[party.conn_id]
        call.parties = tuple(number for number in call.parties if number != party.party)
        del self.parties[party.party]
        self.by_leg.pop(party.leg, None)
        there = self._by_dn.get(party.dn, {})
        there.pop(party.party, None)
        if not there:
            self._by_dn.pop(party.dn, None)
        for key in [key for key in self._causes if key[0] == party.party]:
            del self._causes[key]
        transfer = self.transfers.get(call.conn_id)
        if transfer is not None:
            transfer.by = 0 if transfer.by == party.party else transfer.by
            transfer.comes = 0 if transfer.comes == party.party else transfer.comes
        self._core.store.drop("parties", party.party)
        self.keep(call)

    def end(self, now: int, call: CallRecord, out: list[AnyOutput], into: CallRecord | None = None) -> None:
        """The call is over: nothing of it stays, but for what became of it in another call."""
        self.transfers.pop(call.conn_id, None)
        for party in self.of(call):
            self.leave(now, party)
        del self.calls[call.conn_id]
        for timer in ("ring", "route"):
            self._core.arm(timer, call.conn_id, None)
        self._core.store.drop("calls", call.conn_id)
        event = self._call_event(now, call, MessageType.EventCallDeleted)
        if into is not None:
            event.attributes[Attribute.RefCallUUID] = into.call_uuid
        self.reporter.call_deleted(now, call.conn_id, event, out)

    def _attributes(self, now: int, call: CallRecord) -> dict[int, Value]:
        attributes: dict[int, Value] = {
            Attribute.ConnID: call.conn_id,
            Attribute.CallID: call.conn_id & 0xFFFF_FFFF,
            Attribute.CallUUID: call.call_uuid,
            Attribute.CallType: call.call_type,
            **self._clients.time(now),
        }
        if call.ani:
            attributes[Attribute.ANI] = call.ani
        if call.dnis:
            attributes[Attribute.DNIS] = call.dnis
        if call.user_data:
            attributes[Attribute.UserData] = call.user_data
        return attributes

    def picture(self, now: int, call: CallRecord) -> Message:
        """EventCallCreated of a call that is under way, for who hears of it from now on (keys of Extensions ours).

        `snapshot` 1, `created-us` since 1970, `main` the ConnID of the call that a consultation is about; per party N
        from 1 `dn-N`, `role-N` DNRole, `ps-N` PartyState, `other-N`.
        """
        pairs: list[tuple[str, KVValue]] = [("snapshot", 1), ("created-us", str(call.created_us))]
        if call.main:
            pairs.append(("main", f"{call.main:016x}"))
        seen = [party for party in self.of(call) if party.kind in ON_SWITCH and party.state != NULL]
        for n, party in enumerate(seen, 1):
            pairs += [(f"dn-{n}", party.dn), (f"role-{n}", party.role), (f"ps-{n}", _shown(party.state))]
            pairs.append((f"other-{n}", party.other_dn))
        event = self._call_event(now, call, MessageType.EventCallCreated)
        event.attributes[Attribute.Extensions] = tuple(pairs)
        return event

    def _call_event(self, now: int, call: CallRecord, kind: MessageType) -> Message:
        return Message(kind, 0, self._attributes(now, call))


def _shown(state: int) -> int:
    """A dialling party is shown as its event shows it."""
    return int(PartyState.Initiated | PartyState.Dialing) if state == PartyState.Initiated else state
