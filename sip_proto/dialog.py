"""A leg and its dialog: made from an INVITE, kept from messages, turned into requests (RFC 3261 section
12)."""

from typing import NamedTuple

from sip_proto.arbiter import Arbiter
from sip_proto.errors import LocalError, ParseError
from sip_proto.flows import Hop
from sip_proto.message import Message, Request, Response
from sip_proto.records import Dialog
from sip_proto.reliable import Provisionals, allows
from sip_proto.session_timer import SessionTimer
from sip_proto.tables import LEG_TRANSITIONS, LegInput, LegState
from sip_proto.uri import Address, address_of, parse_uri


class Call(NamedTuple):
    """What an INVITE of ours is made of, beside what its dialog says (ours)."""

    target: str
    route: tuple[str, ...]
    extra: str
    body: bytes
    content_type: str
    max_forwards: str


class Leg:
    """One INVITE dialog and what is under way in it; other objects are named by their handles (ours)."""

    __slots__ = (
        "accepted",
        "accepted_cseq",
        "again_us",
        "announced",
        "answer",
        "arbiter",
        "bye",
        "call",
        "described",
        "dialog",
        "flow",
        "forks",
        "id",
        "incoming",
        "invite",
        "owed",
        "owed_cseq",
        "pracks",
        "provisionals",
        "refresh",
        "refused",
        "reinvite",
        "reliable",
        "session",
        "state",
        "why",
    )

    def __init__(self, dialog: Dialog, state: LegState) -> None:
        self.id = dialog.leg
        self.dialog = dialog
        self.state = state
        # Handle of the INVITE's transaction, client or server.
        self.invite = 0
        # Handles of what is under way: our re-INVITE; the peer's offer or re-INVITE that the program answers.
        self.reinvite = 0
        self.incoming = 0
        # Handle of the peer's re-INVITE that was refused last.
        self.refused = 0
        # Handle and CSeq of the INVITE of ours whose 2xx waits for the program's ACK; a CSeq of 0 is none.
        self.owed = 0
        self.owed_cseq = 0
        # Our 2xx until its ACK, the CSeq number that the ACK will have, the interval of sending it again.
        self.accepted: tuple[Hop, bytes] | None = None
        self.accepted_cseq = -1
        self.again_us = 0
        # Whether the program knows the dialog as a confirmed one.
        self.announced = False
        # What Failed says when a cancelled call ends without a failure from the peer.
        self.why = 487
        # The header lines of a BYE that waits for the ACK of our 2xx.
        self.bye: str | None = None
        # The stream that the peer's messages come by, 0 is none.
        self.flow = 0
        self.arbiter = Arbiter()
        # The last description that we sent.
        self.described = b""
        # A caller's early dialogs by the peer's tag, `dialog` is the one heard last; RSeq and CSeq by tag where the
        # program owes a PRACK.
        self.forks: dict[str, Dialog] = {}
        self.pracks: dict[str, tuple[int, int]] = {}
        # A callee's: whether the peer may, or must, have reliable 1xx; those; header lines and body of a 2xx that waits
        # for their PRACK.
        self.reliable = "no"
        self.provisionals: Provisionals | None = None
        self.answer: tuple[str, bytes] | None = None
        # The INVITE of ours, while a 422 may have it sent again.
        self.call: Call | None = None
        # The session timer, None for none; the handle of an UPDATE of ours that refreshes.
        self.session: SessionTimer | None = None
        self.refresh = 0

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
