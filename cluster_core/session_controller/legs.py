"""SIP legs of this node's calls: what stage each is at, and how each is ended (RFC 3261 sections 9, 15)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from enum import IntEnum

from cluster_core.contacts import LISTENERS
from cluster_core.core import Core
from cluster_core.edge import Edge
from cluster_core.records import Binding, PartyRecord
from cluster_core.session_controller import media
from sip_proto import LocalError

_NOT_TO_PASS = (401, 404, 407, 408, 410, 416, 421, 422, *range(480, 486), 494, 502, 604)


def passed_on(status: int) -> int:
    """What a phone is told of the other phone's answer within its dialog: one that only we could act on, or that would
    end the dialog (RFC 5057 section 5.1), is 500; a redirection is 488."""
    if 300 <= status < 400:
        return 488
    return 500 if status in _NOT_TO_PASS else status


class Stage(IntEnum):
    """How far a leg's INVITE has come."""

    INCOMING = 0
    OUTGOING = 1
    ANSWERED = 2


class Legs:
    """Every leg that a party has; it speaks to the SIP endpoint and shapes what goes to each phone."""

    def __init__(self, core: Core, edge: Edge) -> None:
        self._core = core
        self._edge = edge
        self.sip = edge.sip
        self.out = edge.sip_out
        self.host = core.member.sip.rpartition(":")[0].strip("[]")
        self._stages: dict[int, Stage] = {}

    def __len__(self) -> int:
        return len(self._stages)

    def stage(self, leg: int) -> Stage | None:
        """The stage of a leg; None when it is gone or not ours."""
        return self._stages.get(leg)

    def came(self, leg: int) -> None:
        """An INVITE has come in."""
        self._stages[leg] = Stage.INCOMING

    def answered(self, leg: int) -> None:
        """Our INVITE was answered."""
        self._stages[leg] = Stage.ANSWERED

    def gone(self, leg: int) -> None:
        """The leg is over."""
        self._stages.pop(leg, None)

    def invite(
        self,
        now: int,
        binding: Binding,
        caller: str,
        called: str,
        body: bytes,
        headers: Sequence[tuple[str, str]] = (),
    ) -> int:
        """Call a phone or a trunk; returns the leg, 0 when SIP's tables are full.

        A body of nothing leaves the offer to the other side.
        """
        realm = self._core.settings.realm
        try:
            leg = self.sip.invite(
                now,
                self.out,
                listener=LISTENERS.get(binding.transport, "sip"),
                destination=(binding.host, binding.port),
                uri=binding.contact,
                from_=f"<sip:{caller}@{realm}>",
                to=f"<sip:{called}@{realm}>",
                route=binding.path,
                headers=headers,
                body=body,
                transport=binding.transport,
                # A stream is this node's alone: another node that rings the phone connects to its contact.
                flow=binding.flow if binding.node == self._core.name else 0,
            )
        except LocalError:
            return 0
        self._stages[leg] = Stage.OUTGOING
        return leg

    def shape(self, to: PartyRecord, sdp: bytes, direction: str | None = None) -> bytes:
        """A description on its way to a party: the origin is ours, its version grows (RFC 3264 section 8)."""
        if not sdp:
            return b""
        to.version += 1
        if self._core.store.get("parties", to.party) is not None:
            self._core.store.put("parties", to.party, to)
        if direction is not None:
            sdp = media.with_direction(sdp, direction)
        return media.with_origin(sdp, to.party, to.version)

    def ring(self, now: int, leg: int, status: int, body: bytes) -> None:
        """Tell an incoming leg that the other side rings; nothing when it is not waiting."""
        if self._stages.get(leg) is Stage.INCOMING:
            self.sip.provisional(now, leg, status, self.out, body=body)

    def accept(self, now: int, leg: int, body: bytes) -> None:
        """Answer an incoming leg."""
        self.sip.accept(now, leg, self.out, body=body)
        self._stages[leg] = Stage.ANSWERED

    def ack(self, now: int, leg: int, body: bytes = b"") -> None:
        """Acknowledge a 2xx, if the leg still is."""
        if leg in self._stages:
            with suppress(LocalError):
                self.sip.ack(now, leg, self.out, body=body)

    def offer(self, now: int, leg: int, body: bytes) -> bool:
        """Offer a phone something else, or with b"" ask it for its offer; False when its dialog is closing."""
        if self._stages.get(leg) is not Stage.ANSWERED:
            return False
        try:
            self.sip.offer(now, leg, self.out, body=body)
        except LocalError:
            return False
        return True

    def answer_offer(self, now: int, leg: int, body: bytes) -> bool:
        """Answer a phone's offer; False when it waits for no answer any more."""
        try:
            self.sip.answer_offer(now, leg, self.out, body=body)
        except LocalError:
            return False
        return True

    def refuse_offer(self, now: int, leg: int, status: int, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Refuse a phone's offer, unless it was taken back meanwhile."""
        with suppress(LocalError):
            self.sip.refuse_offer(now, leg, status, self.out, headers=headers)

    def talk(self, now: int, leg: int) -> int | None:
        """Ask a ringing phone to answer by itself; None when it has not even begun a dialog (no To tag)."""
        headers = (("Event", "talk"), ("Subscription-State", "active"))
        try:
            return self.sip.send(now, leg, "NOTIFY", self.out, headers=headers)
        except LocalError:
            return None

    def send(
        self, now: int, leg: int, method: str, headers: Sequence[tuple[str, str]], body: bytes, content_type: str
    ) -> int | None:
        """Send another request in a leg's dialog; its handle, None when there is no dialog (yet)."""
        try:
            return self.sip.send(now, leg, method, self.out, headers=headers, body=body, content_type=content_type)
        except LocalError:
            return None

    def end(self, now: int, leg: int, status: int, reason: str = "") -> None:
        """End a leg in the way its stage asks for: refuse, cancel or hang up."""
        stage = self._stages.pop(leg, None)
        try:
            if stage is Stage.INCOMING:
                self.sip.reject(now, leg, status, self.out, reason=reason)
            elif stage is Stage.OUTGOING:
                self.sip.cancel(now, leg, self.out)
            elif stage is Stage.ANSWERED:
                self.sip.bye(now, leg, self.out)
        except LocalError:  # it ended at this very moment, and word of it is on its way
            return
