"""One connection of a supervised client, and how what was asked over the last one is asked again (ours)."""

from __future__ import annotations

import weakref
from typing import Protocol

import msgspec

from refserver.client import Client
from refserver.client_events import Event
from refserver.client_requests import TLibraryFunctions
from tlib_proto.constants import AddressType, Attribute, ControlMode, RegisterMode
from tlib_proto.limits import Limits
from tlib_proto.records import Hello, KVList, Message

RESUME = "resume"
"""The capability, in Hello and in EventLinkConnected, of a session that can be gone on with."""


class Registration(msgspec.Struct, frozen=True):
    """How a DN is registered, again and again."""

    register_mode: RegisterMode = RegisterMode.Share
    control_mode: ControlMode = ControlMode.RegisterDefault
    address_type: AddressType = AddressType.DN
    extensions: KVList = ()

    async def over(self, link: TLibraryFunctions, dn: str) -> Message:
        """Register the DN over a link; raises as `register_address`."""
        return await link.register_address(
            dn, self.register_mode, self.control_mode, self.address_type, self.extensions
        )


class Place(msgspec.Struct, frozen=True):
    """Where a session can be gone on with: its id, and the position behind the last event that was heard."""

    session_id: str
    position: str


class Owner(Protocol):
    """What a link needs of the client that it is a connection of."""

    hello: Hello
    limits: Limits
    keepalive_s: float
    timeout_s: float
    place: Place | None

    def heard(self, link: Link, message: Message, answered: bool) -> None:
        """A message of a link."""

    def publish(self, event: Event) -> None:
        """An event for whoever reads events."""


class Link(Client):
    """One connection of a supervised client: every message goes to its owner, in the order of the wire."""

    def __init__(self, owner: Owner) -> None:
        keepalive_us = int(owner.keepalive_s * 1_000_000)
        self.place = owner.place
        hello = owner.hello
        if self.place is not None:
            hello = msgspec.structs.replace(hello, session_id=self.place.session_id, resume=self.place.position)
        super().__init__(hello, owner.limits, keepalive_us, owner.timeout_s, None)
        self._owner = weakref.ref(owner)
        self._early: list[Message] | None = []

    def adopted(self) -> None:
        """The owner listens: it gets what came before."""
        early, self._early = self._early or [], None
        for message in early:
            self._heard(message, False)

    @property
    def node(self) -> str:
        """The node that this connection goes to."""
        return self.link.text(Attribute.NodeName)

    @property
    def goes_on(self) -> bool:
        """Whether the server goes on behind the place that was named."""
        return self.place is not None and self.link.text(Attribute.Resume) == self.place.position

    @property
    def left_at(self) -> Place | None:
        """Where the next connection to the server may go on; None when it does not offer that."""
        offered = any(key == RESUME for key, _ in self.link.pairs(Attribute.Capabilities))
        session_id, position = self.link.text(Attribute.SessionID), self._session.resume
        return Place(session_id, position) if offered and session_id and position else None

    def give_up(self, kind: str, text: str) -> None:
        """End the connection from this side."""
        self._finish(kind, text)

    def _heard(self, message: Message, answered: bool) -> None:
        owner = self._owner()
        if self._early is not None:
            self._early.append(message)
        elif owner is not None:
            owner.heard(self, message, answered)

    def _deliver(self, message: Message) -> None:
        owner = self._owner()
        if owner is not None:
            owner.publish(message)
