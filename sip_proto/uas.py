"""The callee's half of an Endpoint: requests of peers, told or answered (RFC 3261 sections 8.2, 9.2, 13.3, 14.2,
15.1.2, RFC 3262 section 3, RFC 3311 section 5.2)."""

import re

from sip_proto.answers import AnswerSide
from sip_proto.build import header_lines, readable_via, response_bytes, response_head
from sip_proto.core import PROVISIONAL_TIMER
from sip_proto.dialog import Leg, dialog_of_invite, learn_target
from sip_proto.errors import ParseError
from sip_proto.fields import RACK
from sip_proto.flows import Hop
from sip_proto.headers import response_address
from sip_proto.message import METHODS, Request
from sip_proto.multipart import description_of
from sip_proto.records import (
    Acked,
    Cancelled,
    Dialog,
    Ended,
    Invited,
    Offered,
    OfferWithdrawn,
    Output,
    Rejected,
    Requested,
)
from sip_proto.reliable import requires, supports
from sip_proto.session_timer import read_asked
from sip_proto.tables import Input, LegInput, LegState, State
from sip_proto.tables_session import OfferInput, OfferState
from sip_proto.transactions import Key, ServerTransaction
from sip_proto.validate import Rejection, validate

# In a To that may not be readable.
_TAG = re.compile(r";[ \t]*tag[ \t]*=", re.I)
_UNKNOWN_CALL = Rejection(481, "Call/Transaction Does Not Exist")
_MERGED = Rejection(482, "Loop Detected")
_PENDING = Rejection(491, "Request Pending")
_FULL = Rejection(503, "Service Unavailable", (("Retry-After", "5"),))
_NO_SUCH_PROVISIONAL = Rejection(481, "No Such Provisional Response")
# Requests whose body describes the session.
_SESSION = ("INVITE", "UPDATE", "PRACK")
# A CANCEL of these is answered and changes nothing (RFC 3261 section 9.2).
_CANNOT_CANCEL = sorted(METHODS - {"INVITE", "ACK", "CANCEL"})
_OVER = (LegState.CLOSING, LegState.CANCELLING)
# An INVITE is in progress: ours, the peer's.
_CALLING = (LegState.OUTGOING, LegState.PROCEEDING, LegState.ANSWERED)
_CALLED = (LegState.INCOMING, LegState.ANSWERING)
_OUT_OF_ORDER = Rejection(500, "CSeq Out Of Order")


class CalleeSide(AnswerSide):
    """Requests of peers, answered here or by the program (ours)."""

    def _receive_request(self, now: int, origin: Hop, request: Request, out: list[Output]) -> None:
        settings = self._settings
        session = request.method in _SESSION
        rejection = validate(
            request,
            self._supported,
            types=settings.session_types if session else (),
            answers=settings.session_types if session else (),
            limits=settings.limits,
        )
        if rejection is not None:
            self._refuse(now, origin, request, rejection, out)
            return
        method = request.method
        via = request.via
        branch = via.branch
        if branch[:7].lower() != "z9hg4bk" or len(branch) == 7:
            # A peer of RFC 2543, or one that writes the cookie alone: everything that told its transactions apart
            # (RFC 3261 section 17.2.3).
            parts = (request.uri, request.call_id, str(request.cseq[0]), request.from_.tag, request.get("Via") or "")
            branch = "|".join(parts)
        sent_by = via.sent_by.lower()
        key = (branch, sent_by, "INVITE" if method == "ACK" or method == "CANCEL" else method)
        tx = self._tx.servers.get(key)
        if method == "CANCEL":
            self._got_cancel(now, origin, request, (branch, sent_by, "CANCEL"), tx, out)
            return
        if tx is not None:
            if self._tx.step(now, tx, Input.ACK if method == "ACK" else Input.REQUEST, out):
                self._got_ack(now, request, out)
            elif method == "ACK":
                self._refusal_over(now, tx, out)
            return
        if method == "ACK":
            self._got_ack(now, request, out)
            return
        tag = request.to.tag
        if tag and method != "REGISTER":
            self._within_dialog(now, origin, request, key, out)
            return
        self._outside_dialog(now, origin, request, key, out)

    def _outside_dialog(
        self, now: int, origin: Hop, request: Request, key: Key, out: list[Output]
    ) -> None:
        method = request.method
        settings = self._settings
        merge = (request.from_.tag, request.call_id, str(request.cseq[0]), method)
        if merge in self._tx.merged:
            self._refuse(now, origin, request, _MERGED, out)
            return
        if len(self._tx) >= self._limits.transactions or (method == "INVITE" and len(self._legs) >= self._limits.legs):
            self._refuse(now, origin, request, _FULL, out)
            return
        asked = read_asked(request, settings.min_session_s if settings.session_s else 0) if method == "INVITE" else None
        if isinstance(asked, Rejection):
            self._refuse(now, origin, request, asked, out)
            return
        tag = self._ids.tag()
        if asked is None:
            tx = self._start_server(now, origin, request, key, 0, tag, merge, out)
            out.append(Requested(tx.handle, request, 0, *origin[:4]))
            return
        handle = self._handle()
        leg = Leg(
            dialog_of_invite(handle, request, tag, origin, self._contact(origin, request.uri[:5].lower() == "sips:")),
            LegState.INCOMING,
        )
        leg.flow = origin.flow
        if supports(request, "100rel"):
            leg.reliable = "required" if requires(request, "100rel") else "supported"
        self._add_leg(leg)
        leg.session = self._new_session(None)
        tx = self._start_server(now, origin, request, key, handle, tag, merge, out)
        tx.asked = asked
        leg.invite = tx.handle
        leg.arbiter.came(leg.invite, description_of(request))
        out.append(Invited(handle, request, *origin[:4]))

    def _start_server(
        self,
        now: int,
        origin: Hop,
        request: Request,
        key: Key,
        leg: int,
        tag: str,
        merge: Key | None,
        out: list[Output],
        *,
        trying: bool = True,
    ) -> ServerTransaction:
        invite = request.method == "INVITE"
        head = response_head(request, origin.destination)
        to = request.get("To") or ""
        routes = ""
        if (invite or request.method == "SUBSCRIBE") and "Record-Route" in request.names:
            routes = "".join([f"Record-Route: {route}\r\n" for route in request.get_all("Record-Route")])
        tx = ServerTransaction(
            self._handle(),
            key,
            State.IS_PROCEEDING if invite else State.PS_TRYING,
            request.method,
            leg,
            origin.listener,
            response_address(request.via, origin.destination, origin.transport),
            request.cseq[0],
            head,
            f"{to};tag={tag}" if tag else to,
            routes,
            merge,
        )
        tx.transport = origin.transport
        tx.flow = origin.flow
        if invite and trying:
            # The caller measures the way here and back by it (section 8.2.6.1).
            sent_at = request.get("Timestamp")
            more = "" if sent_at is None else f"Timestamp: {sent_at}\r\n"
            tx.data = f"SIP/2.0 100 Trying\r\n{head}To: {to}\r\n{more}Content-Length: 0\r\n\r\n".encode(
                "utf-8", "surrogateescape"
            )
        self._tx.start(now, tx, out, quiet=not trying)
        return tx

    def _within_dialog(
        self, now: int, origin: Hop, request: Request, key: Key, out: list[Output]
    ) -> None:
        leg = self._find(request)
        method = request.method
        # A dialog that we closed answers a BYE that crossed ours, and nothing else.
        if leg is None or (leg.state in _OVER and method != "BYE"):
            self._refuse(now, origin, request, _UNKNOWN_CALL, out)
            return
        number = request.cseq[0]
        dialog = self._dialog_of(leg, request)
        if dialog is None:
            self._refuse(now, origin, request, _UNKNOWN_CALL, out)
            return
        if number < dialog.remote_cseq:
            self._refuse_known(now, origin, request, key, _OUT_OF_ORDER, out)
            return
        if method == "BYE":
            self._got_bye(now, origin, request, key, leg, out)
            return
        if len(self._tx) >= self._limits.transactions:
            self._refuse(now, origin, request, _FULL, out)
            return
        description = description_of(request) if method == "INVITE" or method == "UPDATE" else b""
        offers = method == "INVITE" or (method == "UPDATE" and bool(description))
        if offers and (rejection := self._crossing(leg, request)) is not None:
            self._refuse_known(now, origin, request, key, rejection, out, leg.id)
            return
        if method == "PRACK":
            self._got_prack(now, origin, request, key, leg, out)
            return
        asked = self._session_asked(leg, request)
        if isinstance(asked, Rejection):
            self._refuse_known(now, origin, request, key, asked, out, leg.id)
            return
        dialog.remote_cseq = number
        if origin.flow:
            leg.flow = origin.flow
        if method == "INVITE" or method == "UPDATE":
            learn_target(dialog, request)
        if method == "INVITE":
            # Who begins another has heard that the last was refused.
            leg.refused = 0
        tx = self._start_server(now, origin, request, key, leg.id, "", None, out)
        self._session_heard(now, leg, tx, asked)
        if leg.announced:
            self._changed(leg, out)
        if offers:
            leg.incoming = tx.handle
            leg.arbiter.came(tx.handle, description, "" if method == "INVITE" else request.from_.tag)
            out.append(Offered(leg.id, request))
        elif method == "UPDATE":
            extra = f"Contact: {dialog.contact}\r\n{self._allow_line}{self._supported_by(leg)}"
            self._answer(now, tx, 200, out, "", extra + self._answer_lines(now, leg, tx, out))
        else:
            self._take_request(now, leg, tx, request, origin, out)

    def _dialog_of(self, leg: Leg, request: Request) -> Dialog | None:
        """The early dialog of a fork that a request is in, else the leg's; None when there are too many."""
        if leg.state is LegState.OUTGOING or leg.state is LegState.PROCEEDING:
            tag = request.from_.tag
            dialog = self._early_dialog(leg, tag)
            if dialog is not None and dialog.remote_tag != tag:
                dialog.remote_tag = tag
                learn_target(dialog, request)
            return dialog
        return leg.dialog

    def _crossing(self, leg: Leg, request: Request) -> Rejection | None:
        """Why an offer or a re-INVITE of the peer cannot be taken now (tables_session.CROSSINGS)."""
        status = leg.arbiter.crossing()
        if not status and request.method == "INVITE":
            # The exchange is over, the INVITE that began it is not. One that overtakes the ACK of the last is taken.
            if leg.state in _CALLING or leg.reinvite or leg.owed:
                status = 491
            elif leg.state in _CALLED:
                status = 500
        if not status:
            return None
        if status == 491:
            return _PENDING
        # The same wait for every copy of the request.
        wait_s = int(self._ids.tag_of(request.get("Via") or "")[:8], 16) % 11
        return Rejection(500, "Server Internal Error", (("Retry-After", str(wait_s)),))

    def _got_prack(
        self, now: int, origin: Hop, request: Request, key: Key, leg: Leg, out: list[Output]
    ) -> None:
        try:
            rack = request.one(RACK)
        except ParseError:
            rack = None
        if rack is None:
            self._refuse_known(now, origin, request, key, Rejection(400, "Missing RAck"), out)
            return
        queue = leg.provisionals
        invite = self._tx.by_handle.get(leg.invite)
        if queue is None or not isinstance(invite, ServerTransaction) or not queue.matches(rack, invite.cseq):
            self._refuse_known(now, origin, request, key, _NO_SUCH_PROVISIONAL, out)
            return
        leg.dialog.remote_cseq = request.cseq[0]
        if origin.flow:
            leg.flow = origin.flow
        queue.sent = None
        self._timers.cancel(leg.id * 8 + PROVISIONAL_TIMER)
        arbiter = leg.arbiter
        description = description_of(request)
        if queue.proposes or not description:
            if queue.proposes:
                arbiter.take(OfferInput.GOT_ANSWER)
            tx = self._start_server(now, origin, request, key, leg.id, "", None, out)
            self._pracked(now, leg, queue, tx, request, out)
            return
        rejection = self._crossing(leg, request)
        if rejection is not None:
            self._refuse_known(now, origin, request, key, rejection, out)
        else:
            tx = self._start_server(now, origin, request, key, leg.id, "", None, out)
            leg.incoming = tx.handle
            arbiter.came(tx.handle, description)
            out.append(Offered(leg.id, request))
        self._go_on(now, leg, queue, out)

    def _take_request(
        self, now: int, leg: Leg, tx: ServerTransaction, request: Request, origin: Hop, out: list[Output]
    ) -> None:
        """Whoever knows what a request in a live leg is for takes it; the program gets the others."""
        out.append(Requested(tx.handle, request, leg.id, *origin[:4]))

    def _find(self, request: Request) -> Leg | None:
        handle = self._by_dialog.get((request.call_id, request.to.tag))
        if handle is None:
            return None
        leg = self._legs[handle]
        remote_tag = leg.dialog.remote_tag
        # Before the answer a caller's leg may hear from several branches of a fork, and before their 1xx.
        if remote_tag != request.from_.tag and leg.state not in (LegState.OUTGOING, LegState.PROCEEDING):
            return None
        return leg

    def _got_ack(self, now: int, request: Request, out: list[Output]) -> None:
        leg = self._find(request)
        if leg is None or leg.accepted is None or request.cseq[0] != leg.accepted.cseq:
            return
        bye = leg.accepted.bye
        if bye is not None:
            self._send_bye(now, leg, bye, out)
            return
        self._stop_accepted(leg)
        leg.invite = 0
        leg.take(LegInput.GOT_ACK)
        if leg.arbiter.state is OfferState.PROPOSED:
            leg.arbiter.take(OfferInput.GOT_ANSWER)
        out.append(Acked(leg.id, request))
        self._offer_next(now, leg, out)

    def _refusal_over(self, now: int, tx: ServerTransaction, out: list[Output]) -> None:
        """The ACK to a refused INVITE came, or never will."""
        leg = self._legs.get(tx.leg)
        if leg is not None and leg.refused == tx.handle:
            leg.refused = 0
            self._offer_next(now, leg, out)

    def _got_cancel(
        self,
        now: int,
        origin: Hop,
        request: Request,
        key: Key,
        tx: ServerTransaction | None,
        out: list[Output],
    ) -> None:
        own = self._tx.servers.get(key)
        if own is not None:
            self._tx.step(now, own, Input.REQUEST, out)
            return
        if tx is None:
            others = (self._tx.servers.get((*key[:2], method)) for method in _CANNOT_CANCEL)
            tx = next((other for other in others if other is not None), None)
        if tx is None:
            self._refuse(now, origin, request, _UNKNOWN_CALL, out)
            return
        # A transaction of its own: a copy that comes when the INVITE is long over gets the same answer. Not even a
        # full table may keep a call from being cancelled, and an INVITE has but one CANCEL.
        own = self._start_server(now, origin, request, key, 0, "", None, out)
        own.to = tx.to
        self._answer(now, own, 200, out)
        if tx.state is not State.IS_PROCEEDING:
            return
        leg = self._legs.get(tx.leg)
        assert leg is not None
        self._answer(now, tx, 487, out)
        if leg.incoming == tx.handle:
            leg.incoming = 0
            leg.arbiter.take(OfferInput.REFUSE)
            out.append(OfferWithdrawn(leg.id))
            self._offer_next(now, leg, out)
        else:
            leg.take(LegInput.GOT_CANCEL)
            self._refuse_pending(now, leg, out)
            self._drop_leg(leg, out)
            out.append(Cancelled(leg.id))

    def _got_bye(
        self,
        now: int,
        origin: Hop,
        request: Request,
        key: Key,
        leg: Leg,
        out: list[Output],
    ) -> None:
        before = leg.state
        if not leg.take(LegInput.GOT_BYE):
            self._refuse(now, origin, request, _UNKNOWN_CALL, out)
            return
        tx = self._start_server(now, origin, request, key, 0, "", None, out)
        self._answer(now, tx, 200, out)
        if before is LegState.INCOMING or before is LegState.ANSWERING:
            invite = self._tx.by_handle[leg.invite]
            assert isinstance(invite, ServerTransaction)
            self._answer(now, invite, 487, out)
            self._refuse_pending(now, leg, out)
            out.append(Cancelled(leg.id))
        elif before is not LegState.CLOSING:
            if leg.owed:
                self._acknowledge(now, leg, out)
            self._refuse_pending(now, leg, out)
            out.append(Ended(leg.id, "bye"))
        self._drop_leg(leg, out)

    def _refuse_known(
        self,
        now: int,
        origin: Hop,
        request: Request,
        key: Key,
        rejection: Rejection,
        out: list[Output],
        leg: int = 0,
    ) -> None:
        """Refuse a request in a dialog by a transaction: when its copy comes the reason may be gone, and two answers
        are one too many (RFC 3261 section 8.2.6)."""
        if len(self._tx) >= self._limits.transactions:
            self._refuse(now, origin, request, rejection, out)
            return
        tx = self._start_server(now, origin, request, key, leg, "", None, out, trying=False)
        self._answer(now, tx, rejection.status, out, rejection.reason, header_lines(rejection.headers))
        out.append(Rejected(origin.listener, origin.destination, rejection.status, rejection.reason))

    def _refuse(
        self, now: int, origin: Hop, request: Request, rejection: Rejection, out: list[Output]
    ) -> None:
        """Answer without state, the same for every copy of the request; an ACK has no answer (RFC 3261
        section 8.2.7)."""
        if request.method != "ACK":
            to = request.get("To") or ""
            known = request._to
            if not (known.tag if known is not None else _TAG.search(to)):
                to += f";tag={self._ids.tag_of(request.get('Via') or '')}"
            via = readable_via(request)
            hop = origin
            if via is not None:
                place = response_address(via, origin.destination, origin.transport)
                hop = Hop(origin.listener, place, origin.transport, origin.flow)
            reason = rejection.reason
            extra = header_lines(rejection.headers) + self._server_line
            data = response_bytes(rejection.status, reason, response_head(request, origin.destination), to, extra)
            self._send(now, hop, data, out)
        out.append(Rejected(origin.listener, origin.destination, rejection.status, rejection.reason))
