"""What those who watch a DN are sent when its picture changes otherwise than by an event (ours).

EventRegistered without a ReferenceID is a Snapshot: the client's picture of the DN starts anew with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from cluster_core.clients import Clients
from cluster_core.core import Core
from cluster_core.outputs import AnyOutput
from cluster_core.picture import Picture, difference, extensions, same_view
from cluster_core.settings import DnType
from cluster_core.stamps import STAMPS
from tlib_proto import (
    AddressInfoType,
    AddressStatus,
    AddressType,
    Attribute,
    Form,
    Message,
    MessageType,
    PartyState,
    Value,
)

ADDRESS_TYPES = {
    DnType.EXTENSION: int(AddressType.DN),
    DnType.ROUTING_POINT: int(AddressType.RouteDN),
    DnType.TRUNK: int(AddressType.Trunk),
    DnType.VOIP_SERVICE: int(AddressType.Other),
}
_UNKNOWN = int(AddressType.Unknown)
_DN_STATUS = int(AddressInfoType.DNStatus)
_REGISTERED = int(MessageType.EventRegistered)
_DIFFERENT = (Attribute.ThisDN, Attribute.DNEpoch, Attribute.DNSequence, Attribute.Source, *STAMPS)
"""What EventRegistered of one idle DN has otherwise than that of another of its type."""
_BEGUN = (Attribute.ThisDN, Attribute.DNEpoch, Attribute.DNSequence, Attribute.Source, *STAMPS)
_TEXTS = (Attribute.ThisDN, Attribute.Source)


def agent_status(picture: Picture) -> int:
    """AgentStatus of a picture: 0 logged out, 2 ready, 3 not ready (published)."""
    return (2 if picture.ready else 3) if picture.agent_id else 0


def address_status(picture: Picture) -> int:
    """AddressStatus of a picture: what its oldest call is doing, idle without one (published numbers)."""
    for call in picture.calls.values():
        return _STATUS.get(call.state & _STATE, AddressStatus.Origination)
    return AddressStatus.Idle


_STATE = 0xF
_STATUS: dict[int, AddressStatus] = {
    PartyState.Connected: AddressStatus.Talking,
    PartyState.Alerting: AddressStatus.Ringing,
    PartyState.Held: AddressStatus.Held,
    PartyState.Queued: AddressStatus.Ringing,
}
INFO: dict[int, Callable[[DnType, Picture], int]] = {
    AddressInfoType.AddressStatus: lambda kind, picture: int(address_status(picture)),
    AddressInfoType.CallForwardingStatus: lambda kind, picture: picture.forward_mode,
    AddressInfoType.AgentStatus: lambda kind, picture: agent_status(picture),
    AddressInfoType.AddressType: lambda kind, picture: ADDRESS_TYPES[kind],
    AddressInfoType.CallsQuery: lambda kind, picture: len(picture.calls),
    AddressInfoType.DNStatus: lambda kind, picture: int(picture.in_service),
    AddressInfoType.QueueStatus: lambda kind, picture: int(picture.in_service),
}
"""What RequestQueryAddress may ask for (AddressInfoType), and what AddressInfoStatus then says (ours)."""


def placed(picture: Picture, event: Message) -> Message:
    """The event with its place in the stream that the picture is of."""
    return Message(event.id, event.ref, {**event.attributes, **place_of(picture)})


def place_of(picture: Picture) -> dict[int, Value]:
    """The place of a picture in the stream that it is of, as attributes."""
    return {
        Attribute.DNEpoch: picture.epoch,
        Attribute.DNSequence: picture.seq,
        Attribute.Source: picture.source,
    }


def _blanks(dn: str, picture: Picture) -> tuple[str, int, int, str]:
    return dn, picture.epoch, picture.seq, picture.source


class Watch:
    """Those who watch DNs on one port, and what they are told of a picture."""

    def __init__(self, core: Core, clients: Clients, listener: str) -> None:
        self._core = core
        self._clients = clients
        self._listener = listener
        self._idle: dict[tuple[bool, DnType | None], Form] = {}
        blank: dict[int, Value] = {key: "" if key in _TEXTS else 0 for key in _BEGUN}
        self._begun = Form(Message(MessageType.EventDNBackInService, 0, blank), _BEGUN)

    def watchers(self, dn: str) -> list[int]:
        """The streams that registered the DN."""
        return list(self._clients.watchers(self._listener, dn))

    def is_node_dn(self, dn: str) -> bool:
        """Whether the call's node is always the source of the DN's events: a Routing Point or a trunk."""
        settings = self._core.settings.dns.get(dn)
        return settings is not None and settings.type is not DnType.EXTENSION

    def registered(self, dn: str, picture: Picture) -> Message:
        """EventRegistered: the whole picture of a DN, as the answer to a query of its status has it."""
        return Message(MessageType.EventRegistered, 0, self.told(dn, picture))

    def told(self, dn: str, picture: Picture) -> dict[int, Value]:
        """The whole picture of a DN, as attributes of an answer."""
        settings = self._core.settings.dns.get(dn)
        attributes: dict[int, Value] = {
            Attribute.ThisDN: dn,
            Attribute.AddressType: _UNKNOWN if settings is None else ADDRESS_TYPES[settings.type],
            Attribute.AddressInfoType: _DN_STATUS,
            Attribute.AddressInfoStatus: int(picture.in_service),
            Attribute.Extensions: extensions(picture),
        }
        if picture.agent_id:
            attributes[Attribute.AgentID] = picture.agent_id
        return attributes

    def answer(self, now: int, conn: int, ref: int, dn: str, picture: Picture, out: list[AnyOutput]) -> None:
        """Answer one client's registration with the picture."""
        if not picture.idle:
            self._clients.tell(now, conn, ref, _REGISTERED, self.told(dn, picture) | place_of(picture), out)
            return
        self._clients.fill(now, conn, ref, self._form(dn, picture), _blanks(dn, picture), out)

    def _form(self, dn: str, picture: Picture) -> Form:
        """EventRegistered of an idle DN: of most there is nothing to tell, and they come by the hundred thousand."""
        settings = self._core.settings.dns.get(dn)
        key = picture.in_service, None if settings is None else settings.type
        form = self._idle.get(key)
        if form is None:
            attributes = self.told(dn, picture) | place_of(picture) | dict.fromkeys(STAMPS, 0)
            form = self._idle[key] = Form(Message(_REGISTERED, 0, attributes), _DIFFERENT)
        return form

    def answer_query(
        self, now: int, conn: int, ref: int, info: int, dn: str, picture: Picture, out: list[AnyOutput]
    ) -> None:
        """Answer one client's query of a kind of `INFO`: what it asks for, and beside it the whole picture."""
        attributes = self.told(dn, picture)
        attributes[Attribute.AddressInfoType] = info
        attributes[Attribute.AddressInfoStatus] = INFO[info](self._core.settings.dns[dn].type, picture)
        if info == AddressInfoType.CallsQuery and picture.calls:
            attributes[Attribute.ConnID] = next(iter(picture.calls))
        attributes.update(place_of(picture))
        self._clients.tell(now, conn, ref, MessageType.EventAddressInfo, attributes, out)

    def snapshot(self, now: int, conns: list[int], picture: Picture, out: list[AnyOutput]) -> None:
        """Send the whole picture to these streams."""
        if conns and picture.idle:
            dn = picture.dn
            self._clients.spread(now, conns, self._form(dn, picture), _blanks(dn, picture), out)
        elif conns:
            self.tell(now, conns, picture, self.registered(picture.dn, picture), out)

    def tell(
        self, now: int, conns: list[int], picture: Picture, event: Message, out: list[AnyOutput]
    ) -> None:
        """Send an event that happens now, in its place."""
        stamped = Message(event.id, 0, {**event.attributes, **self._clients.time(now)})
        self._clients.deliver(now, conns, placed(picture, stamped), None, out)

    def begin(self, now: int, before: Picture, after: Picture, out: list[AnyOutput]) -> None:
        """An owner's stream begins: who watches the DN gets what is new; if that is service alone, the first event."""
        conns = self.watchers(after.dn)
        if not conns:
            return
        came = after.in_service and not before.in_service and after.seq == 1
        idle = before.idle and after.idle
        if came and (idle or same_view(msgspec.structs.replace(before, in_service=True), after)):
            self._clients.spread(now, conns, self._begun, _blanks(after.dn, after), out)
        else:
            self.resync(now, after.dn, before, after, out, again=after.seq > 0)

    def resync(
        self,
        now: int,
        dn: str,
        before: Picture,
        after: Picture,
        out: list[AnyOutput],
        but: Sequence[int] = (),
        again: bool = False,
    ) -> None:
        """Bring who watches the DN from one view to another: the state's events, then the whole picture.

        A source that went on otherwise than by events is told too, or its next event would seem to come after a hole;
        `again` says so of a source that the views do not show.
        `but` names streams that have no view yet: their first answer is still to come.
        """
        conns = [conn for conn in self.watchers(dn) if conn not in but]
        went_on = (before.source, before.epoch) == (after.source, after.epoch) and before.seq != after.seq
        if not conns or (same_view(before, after) and not went_on and not again):
            return
        for event in difference(before, after)[0]:
            self.tell(now, conns, after, event, out)
        self.snapshot(now, conns, after, out)
