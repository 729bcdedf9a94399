"""A leg and its dialog: made from an INVITE, kept from messages, turned into requests (RFC 3261 section
12)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from sip_proto.arbiter import Arbiter
from sip_proto.errors import LocalError, ParseError
from sip_proto.flows import Hop
from sip_proto.message import Message, Request, Response
from sip_proto.records import Dialog
from sip_proto.reliable import Provisionals, allows
from sip_proto.session_timer import SessionTimer
from sip_proto.tables import LEG_TRANSITIONS, LegInput, LegState
from sip_proto.uri import Address, address_of, parse_uri

# A leg's mapping that has nothing, one for all legs.
NOTHING: Mapping[str, Any] = MappingProxyType({})


class Call(NamedTuple):
    """What an INVITE of ours is made of, beside what its dialog says (ours)."""

    target: str
    route: tuple[str, ...]
    extra: str
    body: bytes
    content_type: str
    max_forwards: str


class Accepted:
    """Our 2xx to an INVITE until its ACK: where it goes, its bytes, the CSeq number that the ACK will have, the pause
    until it is sent again, the header lines of a BYE that waits for that ACK (ours)."""

    __slots__ = ("again_us", "bye", "cseq", "data", "hop")

    def __init__(self, hop: Hop, data: bytes, cseq: int, again_us: int) -> None:
        self.hop = hop
        self.data = data
        self.cseq = cseq
        self.again_us = again_us
        self.bye: str | None = None


# A table of silent calls is large: its rows are small, and no work for the collector of cycles, which they never form.
class Leg(msgspec.Struct, gc=False, eq=False):
    """One INVITE dialog and what is under way in it; other objects are named by their handles (ours)."""

    dialog: Dialog
    state: LegState
    id: int = 0
    # Handle of the INVITE's transaction, client or server, until it is answered and acknowledged.
    invite: int = 0
    # Handles of what is under way: our re-INVITE; the peer's offer or re-INVITE that the program answers.
    reinvite: int = 0
    incoming: int = 0
    # Handle of the peer's re-INVITE that was refused last.
    refused: int = 0
    # Handle and CSeq of the INVITE of ours whose 2xx waits for the program's ACK.
    owed: tuple[int, int] | None = None
    accepted: Accepted | None = None
    # Whether the program knows the dialog as a confirmed one.
    announced: bool = False
    # What Failed says when a cancelled call ends without a failure from the peer.
    why: int = 487
    # The stream that the peer's messages come by, 0 is none.
    flow: int = 0
    arbiter: Arbiter = msgspec.field(default_factory=Arbiter)
    # The last description that we sent.
    described: bytes = b""
    # A caller's early dialogs by the peer's tag, `dialog` is the one heard last; RSeq and CSeq by tag where the program
    # owes a PRACK.
    forks: Mapping[str, Dialog] = NOTHING
    pracks: Mapping[str, tuple[int, int]] = NOTHING
    # A callee's: whether the peer may, or must, have reliable 1xx; those.
    reliable: str = "no"
    provisionals: Provisionals | None = None
    # The INVITE of ours, while a 422 or a challenge may have it sent again.
    call: Call | None = None
    # The session timer, None for none; the handle of an UPDATE of ours that refreshes.
    session: SessionTimer | None = None
    refresh: int = 0

    def __post_init__(self) -> None:
        self.id = self.dialog.leg

    def ask(self, event: LegInput) -> LegState:
        """The state that the program's input leads to; LocalError when it has no row
        (tables.LEG_TRANSITIONS)."""
        state = LEG_TRANSITIONS.get((self.state, event))
        if state is None:
            raise LocalError(f"leg {self.id} is {self.state.name}: {event.name} cannot be")
        return state

    def take(self, event: LegInput) -> bool:
        """Enter the state that a peer's input leads to; False when it has no row (tables.LEG_TRANSITIONS)."""
        state = LEG_TRANSITIONS.get((self.state, event))
        if state is None:
            return False
        self.state = state
        return True


def dialog_of_invite(leg: int, request: Request, tag: str, origin: Hop, contact: str) -> Dialog:
    """The callee's dialog of an INVITE that was validated (RFC 3261 section 12.1.1)."""
    # Without Contact, as RFC 2543 lets it, the caller is reached at its From.
    target = request.contact or request.from_
    return Dialog(
        leg,
        request.call_id,
        tag,
        request.from_.tag,
        request.to.bare(),
        request.from_.bare(),
        target.uri,
        tuple(request.elements("Record-Route")),
        0,
        request.cseq[0],
        origin.listener,
        origin.destination,
        True,
        contact,
        request.uri[:5].lower() == "sips:",
        origin.transport,
        allows(request, "UPDATE"),
    )


def learn(dialog: Dialog, response: Response) -> None:
    """Take tag, target and route set of a response to our INVITE (RFC 3261 section 12.1.2)."""
    dialog.remote_tag = response.to.tag
    learn_target(dialog, response)
    if "Record-Route" in response.names:
        dialog.route_set = tuple(reversed(response.elements("Record-Route")))
    else:
        dialog.route_set = ()


def learn_target(dialog: Dialog, message: Message) -> bool:
    """Take the remote target of a target refresh, and whether the peer allows UPDATE; whether one changed (RFC 3261
    section 12.2, RFC 3311 section 4)."""
    contact = message.contact
    changed = False
    if "Allow" in message.names and (update := allows(message, "UPDATE")) != dialog.allows_update:
        dialog.allows_update = update
        changed = True
    if contact is not None and contact.uri != dialog.remote_target:
        dialog.remote_target = contact.uri
        changed = True
    return changed


def lines(uri: str, tag: str) -> str:
    """A From or To value of a name-addr and a tag (RFC 3261 section 20.20)."""
    return f"{uri};tag={tag}" if tag else uri


def apply_routes(target: str, route_set: tuple[str, ...]) -> tuple[str, str, str]:
    """Request-URI, Route lines and the URI of the next hop, by loose or strict routing (RFC 3261 section
    12.2.1.1)."""
    if not route_set:
        return target, "", target
    first = route_uri(route_set[0])
    try:
        loose = "lr" in parse_uri(first).params
    except ParseError:
        loose = True
    if not loose:
        route_set = (*route_set[1:], f"<{target}>")
        target = first
    return target, "".join([f"Route: {route}\r\n" for route in route_set]), first


def route_uri(route: str) -> str:
    """The URI inside a Route element (RFC 3261 section 20.34)."""
    left = route.find("<")
    right = route.find(">", left)
    return route[left + 1 : right] if 0 <= left < right else route.partition(";")[0]


def next_hop(uri: str, fallback: Address) -> Address:
    """The address of an IP literal URI, else `fallback`, the peer's known address (ours; names are the
    shell's)."""
    try:
        return address_of(parse_uri(uri)) or fallback
    except ParseError:
        return fallback
