"""Third-party call control: a controller calls two sides and joins them (RFC 3725 section 4).

The machine knows descriptions, not SIP: a call engine does its deeds and tells it what each side said.
"""

from collections.abc import Callable
from typing import NamedTuple

from sip_proto.errors import LocalError, ParseError
from sip_proto.sdp import Media, Sdp, audio, parse_sdp
from sip_proto.sdp_bridge import aligned, held_answer, refused_answer, restored, with_origin
from sip_proto.tables_third_party import (
    THIRD_PARTY_TRANSITIONS,
    Deed,
    Flow,
    Side,
    ThirdPartyInput,
    ThirdPartyState,
)


class Invite(NamedTuple):
    """Call a side; an empty body asks it for its offer."""

    side: Side
    body: bytes


class Acknowledge(NamedTuple):
    """Acknowledge a side's 2xx; `body` answers its offer, and is empty where it made none."""

    side: Side
    body: bytes


class Offer(NamedTuple):
    """Offer a side another session, by re-INVITE."""

    side: Side
    body: bytes


class End(NamedTuple):
    """End a side's call, whatever stage it is at; `status` is why, 0 a hang-up. Nothing for a side that is gone."""

    side: Side
    status: int


class Joined(NamedTuple):
    """Both sides have each other's description; the machine is done."""


class Broken(NamedTuple):
    """The sides cannot be joined because of one of them, `status` 0 when it hung up; None is the program's stop(). The
    machine is done, but for an answer that crosses End."""

    side: Side | None
    status: int


ThirdPartyOutput = Invite | Acknowledge | Offer | End | Joined | Broken

_S, _I = ThirdPartyState, ThirdPartyInput
_STARTS = {Flow.I: _I.START_I, Flow.III: _I.START_III, Flow.IV: _I.START_IV}
_ANSWERED = {Side.A: (_I.A_ANSWERED, _I.A_EMPTY), Side.B: (_I.B_ANSWERED, _I.B_EMPTY)}
_REFUSED = {Side.A: _I.A_REFUSED, Side.B: _I.B_REFUSED}
_ENDED = {Side.A: _I.A_ENDED, Side.B: _I.B_ENDED}


class ThirdParty:
    """One call of a controller between two sides (RFC 3725 section 4).

    `host` is the address that descriptions of ours show, `session` a number for their origins; a description that
    goes to a side gets an origin of ours, whose version grows (RFC 3264 section 8).
    """

    __slots__ = ("_agreed", "_bodies", "_flow", "_host", "_nothing", "_places", "_session", "_versions", "state")

    def __init__(self, host: str, session: int) -> None:
        self._host = host
        self._session = session
        self._flow = Flow.I
        self._nothing = b""
        # What each side's 2xx brought, and how many descriptions each side has got.
        self._bodies = [b"", b""]
        self._versions = [0, 0]
        # The streams that A has agreed on, and the place of each that it was offered in B's offer.
        self._agreed: tuple[Media, ...] = ()
        self._places: tuple[int, ...] = ()
        self.state = ThirdPartyState.IDLE

    def start(self, now: int, flow: Flow, out: list[ThirdPartyOutput], *, nothing: bytes = b"") -> None:
        """Call A; LocalError when it was started, or `nothing` is no description. Flow IV offers it to A, an inactive
        audio stream if it is empty (RFC 3725 section 4.4)."""
        if (self.state, _STARTS[flow]) not in THIRD_PARTY_TRANSITIONS:
            raise LocalError(f"a call that is {self.state.name} cannot be started")
        nothing = nothing or audio(self._host, 9, direction="inactive", formats=("0", "8"))
        sdp = _read(nothing)
        if sdp is None:
            raise LocalError("nothing: no description")
        self._flow = flow
        self._nothing = nothing
        self._agreed = tuple(sdp.media())
        self._take(_STARTS[flow], 0, out)

    def answered(self, now: int, side: Side, body: bytes, out: list[ThirdPartyOutput]) -> None:
        """A side's 2xx to its INVITE: its offer or its answer, empty when it has none (RFC 3725 section 4)."""
        self._bodies[side] = body
        filled, empty = _ANSWERED[side]
        # What flow I passes on is for B to judge; what is answered or put in order here must be read.
        read = self._flow is Flow.III or (self._flow is Flow.IV and side is Side.B)
        self._take(filled if body and (not read or _read(body) is not None) else empty, 488, out)

    def offer_answered(self, now: int, side: Side, body: bytes, out: list[ThirdPartyOutput]) -> None:
        """The 2xx to an Offer, with the side's answer (RFC 3725 sections 4.3, 4.4)."""
        if side is Side.A and self.state is _S.A_ANSWERS:
            self._bodies[Side.A] = body
            self._take(_I.A_REFUSED if _read(body) is None else _I.A_OFFER_ANSWERED, 488, out)

    def refused(self, now: int, side: Side, status: int, out: list[ThirdPartyOutput]) -> None:
        """A side refused its INVITE, or the Offer: `status` from 300 on (RFC 3725 section 6)."""
        self._take(_REFUSED[side], status, out)

    def ended(self, now: int, side: Side, out: list[ThirdPartyOutput]) -> None:
        """A side hung up (RFC 3725 section 7)."""
        self._take(_ENDED[side], 0, out)

    def stop(self, now: int, status: int, out: list[ThirdPartyOutput]) -> None:
        """The program gives up: both sides are ended with `status`; LocalError when nothing is under way (ours)."""
        if (self.state, _I.STOP) not in THIRD_PARTY_TRANSITIONS:
            raise LocalError(f"a call that is {self.state.name} cannot be stopped")
        self._take(_I.STOP, status, out)

    def next_deadline(self) -> int | None:
        """None: how long a side may ring is the call engine's (ours)."""
        return None

    def handle_timeout(self, now: int, out: list[ThirdPartyOutput]) -> None:
        """Nothing is ever due (ours)."""

    def _take(self, event: ThirdPartyInput, status: int, out: list[ThirdPartyOutput]) -> None:
        row = THIRD_PARTY_TRANSITIONS.get((self.state, event))
        if row is not None:
            self.state = row.next
            out += [_DEEDS[deed](self, status) for deed in row.deeds]

    def _offered(self, side: Side) -> Sdp:
        """The offer that a side's 2xx brought, read before it was taken."""
        sdp = _read(self._bodies[side])
        assert sdp is not None
        return sdp

    def _to(self, side: Side, sdp: Sdp) -> bytes:
        self._versions[side] += 1
        return with_origin(sdp, self._host, 2 * self._session + side, self._versions[side]).to_bytes()

    def _passed(self, side: Side, body: bytes) -> bytes:
        sdp = _read(body)
        return body if sdp is None else self._to(side, sdp)

    def _hold(self, _: int) -> ThirdPartyOutput:
        held = held_answer(self._offered(Side.A), self._host)
        self._agreed = tuple(held.media())
        return Acknowledge(Side.A, self._to(Side.A, held))

    def _offer(self, _: int) -> ThirdPartyOutput:
        sdp, self._places = aligned(self._offered(Side.B), self._agreed)
        return Offer(Side.A, self._to(Side.A, sdp))

    def _answer(self, _: int) -> ThirdPartyOutput:
        sdp = restored(self._offered(Side.A), self._places, self._offered(Side.B))
        return Acknowledge(Side.B, self._to(Side.B, sdp))

    def _refuse(self, side: Side) -> ThirdPartyOutput:
        # An offer wants a valid answer even when a BYE follows (RFC 3261 section 13.2.2.4).
        sdp = _read(self._bodies[side]) if self._flow is not (Flow.IV if side is Side.A else Flow.I) else None
        return Acknowledge(side, b"" if sdp is None else self._to(side, refused_answer(sdp, self._host)))


_A, _B = Side.A, Side.B
_DEEDS: dict[Deed, Callable[[ThirdParty, int], ThirdPartyOutput]] = {
    Deed.INVITE_A_EMPTY: lambda call, _: Invite(_A, b""),
    Deed.INVITE_A_NOTHING: lambda call, _: Invite(_A, call._passed(_A, call._nothing)),
    Deed.INVITE_B_OFFER: lambda call, _: Invite(_B, call._passed(_B, call._bodies[_A])),
    Deed.INVITE_B_EMPTY: lambda call, _: Invite(_B, b""),
    Deed.ACK_A: lambda call, _: Acknowledge(_A, b""),
    Deed.ACK_A_HELD: ThirdParty._hold,
    Deed.ACK_A_ANSWER: lambda call, _: Acknowledge(_A, call._passed(_A, call._bodies[_B])),
    Deed.ACK_A_REFUSED: lambda call, _: call._refuse(_A),
    Deed.ACK_B: lambda call, _: Acknowledge(_B, b""),
    Deed.ACK_B_ANSWER: ThirdParty._answer,
    Deed.ACK_B_REFUSED: lambda call, _: call._refuse(_B),
    Deed.OFFER_A: ThirdParty._offer,
    Deed.END_A: lambda call, status: End(_A, status),
    Deed.END_B: lambda call, status: End(_B, status),
    Deed.SAY_JOINED: lambda call, _: Joined(),
    Deed.SAY_A_BROKE: lambda call, status: Broken(_A, status),
    Deed.SAY_B_BROKE: lambda call, status: Broken(_B, status),
    Deed.SAY_STOPPED: lambda call, status: Broken(None, status),
}


def _read(body: bytes) -> Sdp | None:
    try:
        sdp = parse_sdp(body)
        sdp.media()
    except ParseError:
        return None
    return sdp
