"""An INVITE of a DN whose calls live on another node is passed on to that node (design 8; decision 0014).

The owner of the DN knows where its calls are. The INVITE goes on once, marked: the mark says that a node of the cluster
has let the caller in, and a marked INVITE is processed where it lands. It is a keyed digest over what makes the call,
so that nobody outside can make one. What comes to nothing there, because the node is gone or does not take it, is
processed here.
"""

from __future__ import annotations

import hashlib
from hmac import compare_digest
from typing import TYPE_CHECKING

from cluster_core.contacts import LISTENERS
from cluster_core.core import Core
from cluster_core.edge import Edge
from cluster_core.limits import SECOND_US
from cluster_core.outputs import AnyOutput
from cluster_core.session_controller.calls import Calls
from cluster_core.session_controller.delivery import Delivery
from cluster_core.settings import MemberSettings
from cluster_core.t_controller.link_records import Located
from sip_proto import Failed, Invited, LocalError, ParseError, Request, parse_uri
from sip_proto.headers import parse_name_addr
from sip_proto.ids import node_of_tag
from sip_proto.replaces import wanted_dialog
from sip_proto.uri import Address, address_of
from sip_proto.values_event import DialogId
from tlib_proto import PartyState

if TYPE_CHECKING:
    from cluster_core.session_controller.incoming import Incoming

HEADER = "X-Cluster-Forwarded"
"""The mark: the node that passed the INVITE on, when (seconds since 1970), the digest."""

MARK_S = 60
"""How far a mark's time may be from ours: a copy that somebody keeps is of no use for long."""

TALKING = (PartyState.Connected, PartyState.Held)
"""A call in one of these states is what a further call may be about."""

_MARKED = ("From", "To", "Call-ID", "CSeq", "Contact", "Record-Route", "Replaces", "Content-Type")

_NOT_THERE = (401, 407, 408, 482, 483, 500, 503, 504)
"""Refusals that are about the way there, or about the other node, and not about the call."""


class Forwarding:
    """INVITEs under way to the node of their DN's calls; as many as the SIP endpoint has legs."""

    def __init__(self, core: Core, edge: Edge, calls: Calls, delivery: Delivery) -> None:
        self._core = core
        self._sip = edge.sip
        self._out = edge.sip_out
        self._stamps = edge.stamps
        self._calls = calls
        self._delivery = delivery
        self.incoming: Incoming
        secret = core.settings.link_secret
        self._key = hashlib.blake2b(b"forwarded " + secret.encode()).digest() if secret else b""
        self._members = {
            node.name: node.members[0] for node in core.settings.nodes if node.members and node.name != core.name
        }
        self._numbers = {node.number: node.name for node in core.settings.nodes}
        # Marks that came, by when their time is over.
        self._seen: dict[str, int] = {}
        self._under_way: dict[int, tuple[Invited, str]] = {}
        self._asked: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._under_way) + len(self._asked)

    def is_marked(self, now: int, request: Request) -> bool:
        """Whether another node of the cluster has passed an INVITE on to this one; a mark counts once."""
        mark = request.get(HEADER)
        if mark is None or not self._key:
            return False
        node, _, rest = mark.partition(";")
        at, _, digest = rest.partition(";")
        if node not in self._members or not (at.isascii() and at.isdigit() and len(at) < 16):
            return False
        made = self._digest(request, node, self._core.name, at)
        # Those that came before this node began are not known any more.
        late = abs(self._core.wall_us(now) // SECOND_US - int(at)) > MARK_S or int(at) < self._stamps.started_s
        if late or not compare_digest(made.encode(), digest.encode("utf-8", "surrogateescape")):
            return False
        while self._seen and self._seen[oldest := next(iter(self._seen))] <= now:
            del self._seen[oldest]
        if made in self._seen or len(self._seen) >= self._core.limits.calls:
            return False
        self._seen[made] = now + 2 * MARK_S * SECOND_US
        return True

    def take(self, now: int, given: Invited, caller: str, out: list[AnyOutput]) -> None:
        """An INVITE of an extension that is let in: passed on to the node of the DN's calls, else begun here."""
        named = wanted_dialog(given.request)
        node = ""
        if self._key and self._members and self._place(given) is not None:
            if isinstance(named, DialogId):
                node = self._numbers.get(node_of_tag(named.local_tag) or 0, "")
            elif named is None and not self._talks_here(caller):
                self._ask(now, given, caller, out)
                return
        self._send(now, given, caller, node, out)

    def located(self, now: int, token: int, located: Located | None, out: list[AnyOutput]) -> bool:
        """The owner says which node has the DN's calls; False when somebody else asked."""
        leg = self._asked.pop(token, 0)
        if not leg:
            return False
        given, caller = self._under_way.pop(leg, (None, ""))
        if given is not None:
            self._send(now, given, caller, "" if located is None else located.node, out)
        return True

    def failed(self, now: int, record: Failed, out: list[AnyOutput]) -> bool:
        """Nothing came of an INVITE that was passed on; False for one of ours.

        A refusal goes back to the caller; where the other node is gone, or the way there is the reason, the call is
        begun here.
        """
        given, caller = self._under_way.pop(record.leg, (None, ""))
        if given is None:
            return False
        response = record.response
        if given.request.get("Replaces") is not None and response is None:
            self.incoming.refuse(now, given.leg, 481, "That Call Is Out Of Reach")
        elif response is None or record.status in _NOT_THERE:
            self.incoming.begin(now, given, caller, "extension", out)
        else:
            kept = [(name, value) for name in ("Retry-After", "Warning") for value in response.get_all(name)]
            self.incoming.refuse(now, given.leg, record.status, response.reason, tuple(kept))
        return True

    def gone(self, leg: int) -> None:
        """The caller gave up, or the call is between it and the other node."""
        self._under_way.pop(leg, None)

    def _ask(self, now: int, given: Invited, caller: str, out: list[AnyOutput]) -> None:
        token = self._core.ids.request()
        self._under_way[given.leg] = (given, caller)
        self._asked[token] = given.leg
        self._delivery.locator.locate(now, caller, token, out)

    def _talks_here(self, dn: str) -> bool:
        return any(view.state in TALKING for view in self._calls.views(dn))

    def _send(self, now: int, given: Invited, caller: str, node: str, out: list[AnyOutput]) -> None:
        """Pass an INVITE on to a node; with no other node, or no way there, it is begun here."""
        place = self._place(given)
        member = self._members.get(node)
        destination = None if place is None or member is None else _address(member, given.transport)
        if destination is not None:
            at = str(self._core.wall_us(now) // SECOND_US)
            mark = f"{self._core.name};{at};{self._digest(given.request, self._core.name, node, at)}"
            try:
                gone = self._sip.forward(
                    now,
                    given.leg,
                    given.request,
                    self._out,
                    listener=LISTENERS[given.transport],
                    destination=destination,
                    transport=given.transport,
                    headers=((HEADER, mark),),
                )
            except LocalError:  # no room
                gone = False
            if gone:
                self._under_way[given.leg] = (given, caller)
                return
        self.incoming.begin(now, given, caller, "extension", out)

    def _place(self, given: Invited) -> Address | None:
        """Where the other node reaches the caller by itself; None when only this one can.

        The way back is the caller's first Record-Route, else its Contact. A name in it is for the resolver of whoever
        has the address that the INVITE came from, and so is a stream that cannot be opened from the other side.
        """
        request = given.request
        routes = request.elements("Record-Route")
        contact = request.contact
        try:
            text = parse_name_addr(routes[0]).uri if routes else "" if contact is None else contact.uri
            uri = parse_uri(text)
        except ParseError:
            return None
        place = address_of(uri)
        if given.transport != "udp" and (place is None or place[0] != given.source[0] or "ob" in uri.params):
            return None
        return place

    def _digest(self, request: Request, source: str, to: str, at: str) -> str:
        parts = [source, to, at, request.uri]
        for name in _MARKED:
            values = request.get_all(name)
            parts += [f"{name} {len(values)}", *values]
        said = "\n".join(parts).encode("utf-8", "surrogateescape") + b"\n\n" + request.body
        return hashlib.blake2b(said, key=self._key, digest_size=16).hexdigest()


def _address(member: MemberSettings, transport: str) -> Address | None:
    """The other node's listener of a transport; None without one."""
    listener = member.sip_tls if transport == "tls" else member.sip
    return address_of(parse_uri(f"sip:{listener}")) if listener else None
