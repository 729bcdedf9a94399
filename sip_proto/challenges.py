"""Requests of ours that go again in other words: with credentials for whoever has challenged them, an INVITE with a
longer session too (RFC 3261 sections 8.1.3.5 and 22, RFC 4028 section 7.3)."""

from sip_proto.build import RequestParts
from sip_proto.credentials import UNTRIED, Tries
from sip_proto.dialog import NOTHING, Call, Leg, apply_routes, lines
from sip_proto.flows import Hop
from sip_proto.message import Response
from sip_proto.records import OfferWithdrawn, Output
from sip_proto.refreshes import RefreshSide
from sip_proto.tables import LegState
from sip_proto.tables_session import OfferState
from sip_proto.transactions import ClientTransaction, Purpose, Sent

_OURS = (OfferState.OFFERED, OfferState.ASKED)
_OVER = (LegState.CLOSING, LegState.CANCELLING)


class ChallengeSide(RefreshSide):
    """INVITEs of ours, and what goes again (ours)."""

    def _call(
        self, now: int, leg: Leg, call: Call, hop: Hop, out: list[Output], tries: Tries = UNTRIED
    ) -> None:
        """Send the INVITE of a leg that has no dialog."""
        dialog = leg.dialog
        target, routes, _ = apply_routes(call.target, call.route)
        branch = self._ids.branch()
        parts = RequestParts(
            target,
            self._via(hop, branch),
            routes,
            lines(dialog.local_uri, dialog.local_tag),
            dialog.remote_uri,
            dialog.call_id,
            dialog.local_cseq,
        )
        tx = self._start_client(
            now,
            out,
            method="INVITE",
            purpose=Purpose.CALL,
            leg=leg.id,
            hop=hop,
            parts=parts,
            branch=branch,
            extra=call.extra + self._request_lines(leg) + self._agent_line,
            body=call.body,
            content_type=call.content_type,
            max_forwards=call.max_forwards,
            tries=tries,
        )
        tx.asks = not call.body
        leg.arbiter.sent(tx.handle, call.body)
        leg.described = call.body
        leg.invite = tx.handle
        leg.flow = tx.flow

    def _call_again(self, now: int, leg: Leg, hop: Hop, out: list[Output], tries: Tries = UNTRIED) -> None:
        """Send the INVITE anew, with credentials or another session interval; its early dialogs are over (RFC 3261
        section 22.2, RFC 4028 section 7.3)."""
        assert leg.call is not None
        if leg.incoming:
            self._refuse_pending(now, leg, out)
            out.append(OfferWithdrawn(leg.id))
        leg.arbiter.restart()
        leg.forks = NOTHING
        leg.pracks = NOTHING
        dialog = leg.dialog
        dialog.remote_tag = ""
        dialog.remote_target = leg.call.target
        dialog.route_set = leg.call.route
        dialog.remote_cseq = 0
        dialog.local_cseq += 1
        self._call(now, leg, leg.call, hop, out, tries)

    def _goes_again(
        self, now: int, tx: ClientTransaction, sent: Sent, response: Response, host: str, out: list[Output]
    ) -> bool:
        """Answer the 401 or 407 to a request, if we can and it is still wanted; nobody is told then (RFC 3261 section
        22.1)."""
        assert self._keyring is not None
        leg = self._legs.get(tx.leg)
        if len(self._tx) >= self._limits.transactions or not self._may_go_again(leg, tx):
            return False
        tries = self._keyring.challenged(response, host, sent.tries)
        if tries is None:
            return False
        if tx.purpose is Purpose.CALL:
            assert leg is not None
            self._call_again(now, leg, tx.hop(), out, tries)
            return True
        new = self._send_again(now, tx, sent, tries, out)
        if tx.purpose in (Purpose.SUBSCRIBE, Purpose.NOTIFY):
            self._usage_again(now, tx, new, out)
        elif leg is not None:
            if tx.purpose is Purpose.REFRESH:
                leg.refresh = new.handle
            elif tx.purpose in (Purpose.RECALL, Purpose.UPDATE):
                leg.arbiter.carrier = new.handle
            if tx.purpose is Purpose.RECALL:
                leg.reinvite = new.handle
            if leg.announced:
                self._changed(leg, out)
        return True

    def _may_go_again(self, leg: Leg | None, tx: ClientTransaction) -> bool:
        """Whether what a request was for is still so."""
        purpose = tx.purpose
        if purpose in (Purpose.SUBSCRIBE, Purpose.NOTIFY):
            return self._usage_may(tx)
        if purpose is Purpose.CLOSE:
            return leg is not None
        if not tx.leg or (purpose is Purpose.SILENT and tx.method == "NOTIFY"):
            return True
        if leg is None or leg.state in _OVER:
            return False
        if purpose in (Purpose.RECALL, Purpose.UPDATE):
            # A reliable 1xx may have had the answer already.
            return leg.arbiter.is_open(tx.handle) and leg.arbiter.state in _OURS
        return True

    def _send_again(
        self, now: int, tx: ClientTransaction, sent: Sent, tries: Tries, out: list[Output]
    ) -> ClientTransaction:
        """The same request with the next CSeq number, by a branch of its own (RFC 3261 section 22.2)."""
        if sent.dialog is not None:
            hop, parts, branch = self._parts_in(sent.dialog, tx.flow)
        else:
            old = sent.parts
            hop, branch = tx.hop(), self._ids.branch()
            via = self._via(hop, branch)
            parts = RequestParts(old.uri, via, old.routes, old.from_, old.to, old.call_id, old.cseq + 1)
        new = self._start_client(
            now,
            out,
            method=tx.method,
            purpose=tx.purpose,
            leg=tx.leg,
            hop=hop,
            parts=parts,
            branch=branch,
            extra=sent.extra,
            body=sent.body,
            content_type=sent.content_type,
            max_forwards=sent.max_forwards,
            dialog=sent.dialog,
            tries=tries,
        )
        new.asks = tx.asks
        new.told = tx.told
        return new
