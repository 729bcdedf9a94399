"""What those who watch a DN are sent when its picture changes otherwise than by an event (ours).

EventRegistered without a ReferenceID is a Snapshot: the client's picture of the DN starts anew with it.
"""

from __future__ import annotations

from collections.abc import Sequence

from cluster_core.clients import Clients
from cluster_core.core import Core
from cluster_core.outputs import AnyOutput
from cluster_core.picture import Picture, difference, extensions, same_view
from cluster_core.settings import DnType
from tlib_proto import AddressInfoType, AddressType, Attribute, Message, MessageType, Value

ADDRESS_TYPES = {
    DnType.EXTENSION: int(AddressType.DN),
    DnType.ROUTING_POINT: int(AddressType.RouteDN),
    DnType.TRUNK: int(AddressType.Trunk),
    DnType.VOIP_SERVICE: int(AddressType.Other),
}
_UNKNOWN = int(AddressType.Unknown)
_DN_STATUS = int(AddressInfoType.DNStatus)


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


class Watch:
    """Those who watch DNs on one port, and what they are told of a picture."""

    def __init__(self, core: Core, clients: Clients, listener: str) -> None:
        self._core = core
        self._clients = clients
        self._listener = listener

    def watchers(self, dn: str) -> list[int]:
        """The streams that registered the DN."""
        return list(self._clients.watchers(self._listener, dn))

    def is_node_dn(self, dn: str) -> bool:
        """Whether the call's node is always the source of the DN's events: a Routing Point or a trunk."""
        settings = self._core.settings.dns.get(dn)
        return settings is not None and settings.type is not DnType.EXTENSION

    def registered(self, dn: str, picture: Picture) -> Message:
        """EventRegistered: the whole picture of a DN, as the answer to a query of its status has it."""
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
        return Message(MessageType.EventRegistered, 0, attributes)

    def answer(self, now: int, conn: int, ref: int, dn: str, picture: Picture, out: list[AnyOutput]) -> None:
        """Answer one client's registration with the picture."""
        attributes = {**self.registered(dn, picture).attributes, **place_of(picture)}
        self._clients.answer(now, conn, ref, Message(MessageType.EventRegistered, 0, attributes), out)

    def snapshot(self, now: int, conns: list[int], picture: Picture, out: list[AnyOutput]) -> None:
        """Send the whole picture to these streams."""
        if conns:
            self.tell(now, conns, picture, self.registered(picture.dn, picture), out)

    def tell(
        self, now: int, conns: list[int], picture: Picture, event: Message, out: list[AnyOutput]
    ) -> None:
        """Send an event that happens now, in its place."""
        stamped = Message(event.id, 0, {**event.attributes, **self._clients.time(now)})
        self._clients.deliver(now, conns, placed(picture, stamped), None, out)

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
