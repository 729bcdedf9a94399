"""INVITE with Replaces: a phone, or another node for one, takes the place of a party (RFC 3891)."""

from __future__ import annotations

from cluster_core.core import Core
from cluster_core.outputs import AnyOutput
from cluster_core.records import PartyRecord
from cluster_core.session_controller import media
from cluster_core.session_controller.calls import Calls, Transfer
from cluster_core.session_controller.incoming import Incoming
from cluster_core.session_controller.legs import Legs, Stage
from cluster_core.session_controller.registrar import user_of
from cluster_core.session_controller.tables import RINGING, PartyInput
from cluster_core.session_controller.transfer import Transfers, node_of_dialog
from sip_proto import Invited, ParseError, description_of
from sip_proto.headers import parse_name_addr
from sip_proto.replaces import wanted_dialog
from sip_proto.uri import parse_uri
from sip_proto.validate import Rejection
from sip_proto.values_event import DialogId
from tlib_proto import CallState, DNRole


class Replacing:
    """Who comes into a call by an INVITE of its own, and whose place it takes."""

    def __init__(self, core: Core, calls: Calls, legs: Legs, incoming: Incoming, transfers: Transfers) -> None:
        self._core = core
        self._calls = calls
        self._legs = legs
        self._incoming = incoming
        self._transfers = transfers

    def invited(self, now: int, given: Invited, caller: str, kind: str, out: list[AnyOutput]) -> bool:
        """An INVITE with Replaces: who calls takes the place of the party that it names; False for any other INVITE."""
        found = self._legs.sip.replaced_leg(given.request)
        if found is None:
            return False
        replaced = None if isinstance(found, Rejection) else self._calls.of_leg(found)
        stays = None if replaced is None else self._replaceable(replaced)
        if isinstance(found, Rejection):
            named = wanted_dialog(given.request)
            node = node_of_dialog(self._core, named) if isinstance(named, DialogId) else None
            if found.status == 481 and kind == "extension" and node is not None:
                # A call lives on one node: whoever wants to take part in it goes there.
                contact = f"<sip:{parse_uri(given.request.uri).user}@{node.members[0].sip}>"
                self._incoming.refuse(now, given.leg, 302, "Call Of Another Node", (("Contact", contact),))
            else:
                self._incoming.refuse(now, given.leg, found.status, found.reason)
        elif replaced is None:
            self._incoming.refuse(now, given.leg, 481, "No Such Dialog")
        elif not self._may_replace(given, caller, kind, replaced):
            self._incoming.refuse(now, given.leg, 403, "Not Your Call")
        elif stays is None:
            self._incoming.refuse(now, given.leg, 491, "Request Pending")
        elif kind == "extension" and self._calls.busy(caller):
            self._incoming.refuse(now, given.leg, 486, "Too Many Calls")
        else:
            self._replace(now, given, caller, kind, replaced, stays, out)
        return True

    def _replace(
        self,
        now: int,
        given: Invited,
        caller: str,
        kind: str,
        replaced: PartyRecord,
        stays: PartyRecord,
        out: list[AnyOutput],
    ) -> None:
        """Who comes is answered at once, and so is who stays if it still waits; then they are joined as any two are."""
        call = self._calls.calls[replaced.conn_id]
        offer = description_of(given.request)
        answer = media.held_answer(offer, self._legs.host) if offer else media.nothing(self._legs.host)
        if not answer:
            self._incoming.refuse(now, given.leg, 488, "No Such Media")
            return
        role = DNRole(replaced.role)
        self._calls.transfers[call.conn_id] = Transfer(replaced.dn, replaced.party, stays.party)
        comes = self._calls.add(call, caller, kind, role, given.leg, stays.dn)
        comes.sdp = offer
        step = PartyInput.DIAL if role is DNRole.Origination else PartyInput.RING
        self._calls.step(now, comes, step, out, CallState.Transferred, **self._calls.third(call))
        self._legs.accept(now, comes.leg, self._legs.shape(comes, answer))
        if self._legs.stage(stays.leg) is Stage.INCOMING:
            kept = media.held_answer(stays.sdp, self._legs.host) if stays.sdp else media.nothing(self._legs.host)
            self._legs.accept(now, stays.leg, self._legs.shape(stays, kept))
            self._core.arm("ring", call.conn_id, None)
        self._transfers.answers(now, comes, out)
        self._calls.answered(call)
        self._calls.step(now, stays, PartyInput.ANSWER, out)
        self._calls.step(now, comes, PartyInput.ANSWER, out)
        self._transfers.join(now, call, stays, comes, out)

    def _may_replace(self, given: Invited, caller: str, kind: str, replaced: PartyRecord) -> bool:
        """A phone that has proven its DN may, and another node for a phone whose call that is."""
        if kind == "node":
            try:
                by = parse_name_addr(given.request.get("Referred-By") or "").uri
            except ParseError:
                return False
            # Of two legs to other nodes alone nobody would ever hang up.
            far = (other := self._calls.other(replaced)) is not None and other.kind == "node"
            return replaced.kind == "extension" and user_of(by) == replaced.dn and not far
        return kind == "extension" and caller != replaced.other_dn

    def _replaceable(self, party: PartyRecord) -> PartyRecord | None:
        """Who stays when a party is replaced: as in any transfer, or the caller of a phone that only rings."""
        other = self._calls.other(party)
        waits = other is not None and self._legs.stage(other.leg) in (Stage.INCOMING, Stage.ANSWERED)
        picked_up = party.state == RINGING and party.role == DNRole.Destination and waits
        if picked_up and party.conn_id not in self._calls.transfers:
            return other
        return self._transfers.movable(party)
