"""SIP legs of this node's calls: what stage each is at, and how each is ended (RFC 3261 sections 9, 15)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from enum import IntEnum

import msgspec

from cluster_core.contacts import LISTENERS
from cluster_core.core import Core
from cluster_core.edge import Edge
from cluster_core.records import Binding, PartyRecord
from cluster_core.session_controller import media
from cluster_core.settings import DnSettings, DnType
from sip_proto import LocalError, Request
from sip_proto.reliable import requires, supports

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


class Reliable(IntEnum):
    """Which 1xx of an INVITE that came in are reliable: those that answer it, or all."""

    ANSWERS = 0
    ALWAYS = 1


class Elsewhere(msgspec.Struct, frozen=True):
    """Where a called DN wants its calls to go (`mode` is a ForwardMode), and the DNs that have sent this one on."""

    to: str = ""
    mode: int = 0
    hops: tuple[str, ...] = ()


_DEFAULTS = DnSettings(dn="", type=DnType.EXTENSION)
NOWHERE = Elsewhere()


class Legs:
    """Every leg that a party has; it speaks to the SIP endpoint and shapes what goes to each phone."""

    def __init__(self, core: Core, edge: Edge) -> None:
        self._core = core
        self._edge = edge
        self.sip = edge.sip
        self.out = edge.sip_out
        self.host = core.member.sip.rpartition(":")[0].strip("[]")
        self._stages: dict[int, Stage] = {}
        self._elsewhere: dict[int, Elsewhere] = {}
        # Of INVITEs that came in and are not answered: how sure their 1xx are, the session timer that their DN wants.
        self._reliable: dict[int, Reliable] = {}
        self._session_s: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._stages)

    def stage(self, leg: int) -> Stage | None:
        """The stage of a leg; None when it is gone or not ours."""
        return self._stages.get(leg)

    def came(self, leg: int, request: Request, known: DnSettings | None = None) -> None:
        """An INVITE has come in, from a DN or trunk that is known or not."""
        self._stages[leg] = Stage.INCOMING
        option = _DEFAULTS.sip_enable_100rel if known is None else known.sip_enable_100rel
        if requires(request, "100rel"):
            self._reliable[leg] = Reliable.ALWAYS
        elif option != "no" and supports(request, "100rel"):
            self._reliable[leg] = Reliable.ALWAYS if option == "required" else Reliable.ANSWERS
        if known is not None and known.session_refresh_interval != _DEFAULTS.session_refresh_interval:
            self._session_s[leg] = self._interval_s(known)

    def wants(self, leg: int, elsewhere: Elsewhere) -> None:
        """What whoever we call wants of the call while it is not answered."""
        self._elsewhere[leg] = elsewhere

    def elsewhere(self, leg: int) -> Elsewhere:
        """The same; nothing where nothing is set."""
        return self._elsewhere.get(leg, NOWHERE)

    def answered(self, leg: int) -> None:
        """Our INVITE was answered."""
        self._stages[leg] = Stage.ANSWERED

    def gone(self, leg: int) -> None:
        """The leg is over."""
        self._elsewhere.pop(leg, None)
        if self._stages.pop(leg, None) is Stage.INCOMING:
            self._early_over(leg)

    def invite(
        self,
        now: int,
        binding: Binding,
        caller: str,
        called: str,
        body: bytes,
        headers: Sequence[tuple[str, str]] = (),
        known: DnSettings | None = None,
        plain: bool = False,
    ) -> int:
        """Call a phone or a trunk, `known` by its options; returns the leg, 0 when SIP's tables are full.

        A body of nothing leaves the offer to the other side, which makes it in its 2xx alone when `plain` says so.
        """
        options = known or _DEFAULTS
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
                name=binding.name,
                reliable="no" if plain else options.sip_enable_100rel,
                session_s=self._interval_s(options),
            )
        except LocalError:
            return 0
        # Its owner has let it in; this node may not have heard of it yet.
        self._edge.gate.prove(now, binding.host)
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

    def is_reliable(self, leg: int) -> bool:
        """Whether a description that rings on an incoming leg can be told for certain (RFC 3262)."""
        return leg in self._reliable

    def ring(self, now: int, leg: int, status: int, body: bytes, final: bool = False) -> bool:
        """Tell an incoming leg that the other side rings; nothing when it is not waiting.

        True when a description went with it for good: a `final` one where the phone takes it so, or any where its 1xx
        are all reliable.
        """
        if self._stages.get(leg) is not Stage.INCOMING:
            return False
        how = self._reliable.get(leg)
        sure = how is Reliable.ALWAYS or (how is Reliable.ANSWERS and final and bool(body))
        self.sip.provisional(now, leg, status, self.out, body=body, reliable=sure)
        return sure and bool(body)

    def accept(self, now: int, leg: int, body: bytes) -> None:
        """Answer an incoming leg."""
        self.sip.accept(now, leg, self.out, body=body, session_s=self._session_s.get(leg))
        self._stages[leg] = Stage.ANSWERED
        self._early_over(leg)

    def prack(self, now: int, leg: int, body: bytes, tag: str = "") -> None:
        """Answer the offer of a reliable 1xx; of one that was answered meanwhile, by ACK."""
        try:
            self.sip.prack(now, leg, self.out, body=body, tag=tag)
        except LocalError:
            self.ack(now, leg, body)

    def ack(self, now: int, leg: int, body: bytes = b"") -> None:
        """Acknowledge a 2xx, if the leg still is."""
        if leg in self._stages:
            try:
                self.sip.ack(now, leg, self.out, body=body)
            except LocalError:  # its 2xx was acknowledged as it ended
                return

    def can_offer(self, leg: int) -> bool:
        """Whether a phone can be offered something else: its call is answered, or it takes UPDATE before that."""
        return self._stages.get(leg) is Stage.ANSWERED or self.sip.can_offer(leg)

    def offer(self, now: int, leg: int, body: bytes, about: str = "") -> int:
        """Offer a phone something else, or with b"" ask it for its offer; the offer's number, 0 when it cannot be.

        `about` tells it who is at the other end from now on (RFC 3325).
        """
        if not self.can_offer(leg):
            return 0
        headers = (("P-Asserted-Identity", f"<sip:{about}@{self._core.settings.realm}>"),) if about else ()
        try:
            return self.sip.offer(now, leg, self.out, body=body, headers=headers)
        except LocalError:  # it is closing, or has too many to wait for
            return 0

    def withdraw(self, now: int, leg: int, offer: int) -> bool:
        """Take an offer back; False when its outcome is still to come."""
        try:
            return self.sip.withdraw_offer(now, leg, offer, self.out)
        except LocalError:
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
        self._elsewhere.pop(leg, None)
        if stage is Stage.INCOMING:
            self._early_over(leg)
        try:
            if stage is Stage.INCOMING:
                self.sip.reject(now, leg, status, self.out, reason=reason)
            elif stage is Stage.OUTGOING:
                self.sip.cancel(now, leg, self.out)
            elif stage is Stage.ANSWERED:
                self.sip.bye(now, leg, self.out)
        except LocalError:  # it ended at this very moment, and word of it is on its way
            return

    def _interval_s(self, known: DnSettings) -> int:
        """The session timer that a DN wants: none, or at least what the cluster grants (RFC 4028 section 4)."""
        wanted_s = known.session_refresh_interval
        return wanted_s and max(wanted_s, self._core.settings.options.session_refresh_minimum)

    def _early_over(self, leg: int) -> None:
        self._reliable.pop(leg, None)
        self._session_s.pop(leg, None)
