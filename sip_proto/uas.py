"""The callee's half of an Endpoint: requests of peers and our answers (RFC 3261 sections 8.2, 9.2, 13.3,
14.2, 15.1.2)."""

from sip_proto.build import (
    Headers,
    check_texts,
    has_header,
    header_lines,
    readable_via,
    response_bytes,
    response_head,
)
from sip_proto.core import ACCEPTED_TIMER, ACK_TIMER
from sip_proto.dialog import Leg, dialog_of_invite, learn_target
from sip_proto.errors import LocalError
from sip_proto.flows import Hop
from sip_proto.headers import response_address
from sip_proto.message import Request
from sip_proto.records import (
    Acked,
    Cancelled,
    Ended,
    Invited,
    Offered,
    OfferWithdrawn,
    Output,
    Rejected,
    Requested,
)
from sip_proto.tables import Input, LegInput, LegState, State
from sip_proto.transactions import Key, ServerTransaction
from sip_proto.uac import CallerSide
from sip_proto.validate import Rejection, validate

_UNKNOWN_CALL = Rejection(481, "Call/Transaction Does Not Exist")
_MERGED = Rejection(482, "Loop Detected")
_PENDING = Rejection(491, "Request Pending")
_FULL = Rejection(503, "Service Unavailable", (("Retry-After", "5"),))
_OVERLAP = Rejection(500, "Server Internal Error", (("Retry-After", "3"),))
_OUT_OF_ORDER = Rejection(500, "CSeq Out Of Order")


class CalleeSide(CallerSide):
    """Requests of peers, answered here or by the program (ours)."""

    def provisional(
        self,
        now: int,
        leg: int,
        status: int,
        out: list[Output],
        *,
        reason: str = "",
        body: bytes = b"",
        headers: Headers = (),
    ) -> None:
        """Send a 101 to 199 to the INVITE of a leg that is not answered (RFC 3261 section 13.3.1.1)."""
        _check_status(status, 101, 199)
        found, tx = self._unanswered(leg, LegInput.PROVISIONAL)
        extra = self._dialog_lines(found, tx, headers, reason)
        self._answer(now, tx, status, out, reason, extra, body, "application/sdp")

    def accept(self, now: int, leg: int, out: list[Output], *, body: bytes = b"", headers: Headers = ()) -> None:
        """Answer the INVITE with 200, sent again until the ACK; without one in 64 * T1: BYE and Ended
        (section 13.3.1.4)."""
        found, tx = self._unanswered(leg, LegInput.ACCEPT)
        extra = self._dialog_lines(found, tx, headers, "") + self._allow_line
        found.state = LegState.ACCEPTED
        self._accept(now, found, tx, extra, body, out)
        found.announced = True
        self._changed(found, out)

    def reject(
        self, now: int, leg: int, status: int, out: list[Output], *, reason: str = "", headers: Headers = ()
    ) -> None:
        """Answer the INVITE with a 300 to 699; the leg is gone (RFC 3261 section 13.3.1.3)."""
        _check_status(status, 300, 699)
        found, tx = self._unanswered(leg, LegInput.REJECT)
        check_texts(reason)
        extra = header_lines(headers)
        self._drop_leg(found, out)
        self._answer(now, tx, status, out, reason, extra)

    def respond(
        self,
        now: int,
        handle: int,
        status: int,
        out: list[Output],
        *,
        reason: str = "",
        headers: Headers = (),
        body: bytes = b"",
        content_type: str = "",
    ) -> None:
        """Answer a Requested; LocalError when it is unknown, answered, or waited longer than 64 * T1
        (section 8.2.6)."""
        _check_status(status, 100, 699)
        tx = self._tx.by_handle.get(handle)
        if not isinstance(tx, ServerTransaction) or tx.state not in (State.PS_TRYING, State.PS_PROCEEDING):
            raise LocalError(f"no request {handle} waits for an answer")
        check_texts(reason, content_type)
        self._answer(now, tx, status, out, reason, header_lines(headers), body, content_type)

    def answer_offer(
        self, now: int, leg: int, out: list[Output], *, body: bytes = b"", headers: Headers = ()
    ) -> None:
        """Answer the re-INVITE with 200, sent again until the ACK (RFC 3261 section 14.2)."""
        found, tx = self._offered(leg)
        extra = self._dialog_lines(found, tx, headers, "")
        found.incoming = 0
        self._accept(now, found, tx, extra, body, out)

    def refuse_offer(
        self, now: int, leg: int, status: int, out: list[Output], *, reason: str = "", headers: Headers = ()
    ) -> None:
        """Answer the re-INVITE with a 300 to 699; the dialog goes on as it was (RFC 3261 section 14.2)."""
        _check_status(status, 300, 699)
        found, tx = self._offered(leg)
        check_texts(reason)
        extra = header_lines(headers)
        found.incoming = 0
        self._answer(now, tx, status, out, reason, extra)

    def _unanswered(self, leg: int, event: LegInput) -> tuple[Leg, ServerTransaction]:
        found = self._leg(leg)
        found.ask(event)
        tx = self._tx.by_handle[found.invite]
        assert isinstance(tx, ServerTransaction)
        return found, tx

    def _offered(self, leg: int) -> tuple[Leg, ServerTransaction]:
        found = self._leg(leg)
        tx = self._tx.by_handle.get(found.incoming)
        if not isinstance(tx, ServerTransaction):
            raise LocalError(f"leg {leg} has no re-INVITE to answer")
        return found, tx

    def _dialog_lines(self, leg: Leg, tx: ServerTransaction, headers: Headers, reason: str) -> str:
        check_texts(reason)
        extra = header_lines(headers)
        if headers and has_header(headers, "Contact"):
            return tx.routes + extra
        return f"{tx.routes}Contact: {leg.dialog.contact}\r\n{extra}"

    def _accept(self, now: int, leg: Leg, tx: ServerTransaction, extra: str, body: bytes, out: list[Output]) -> None:
        data = self._answer(now, tx, 200, out, "", extra, body, "application/sdp")
        leg.accepted = (tx.hop(), data)
        leg.accepted_cseq = tx.cseq
        leg.again_us = self._timings.t1_us
        self._timers.set(leg.id * 8 + ACCEPTED_TIMER, now + leg.again_us)
        self._timers.set(leg.id * 8 + ACK_TIMER, now + 64 * self._timings.t1_us)

    def _accept_again(self, now: int, leg: Leg, out: list[Output]) -> None:
        assert leg.accepted is not None
        self._send(now, *leg.accepted, out)
        leg.again_us = min(2 * leg.again_us, self._timings.t2_us)
        self._timers.set(leg.id * 8 + ACCEPTED_TIMER, now + leg.again_us)

    def _never_acked(self, now: int, leg: Leg, out: list[Output]) -> None:
        if leg.bye is None:
            leg.take(LegInput.TIMED_OUT)
            out.append(Ended(leg.id, "no-ack"))
            self._refuse_pending(now, leg, out)
        self._unannounce(leg, out)
        self._send_bye(now, leg, leg.bye or "", out)

    def _receive_request(self, now: int, origin: Hop, request: Request, out: list[Output]) -> None:
        settings = self._settings
        invite = request.method == "INVITE"
        rejection = validate(
            request,
            settings.supported,
            types=settings.session_types if invite else (),
            answers=settings.session_types if invite else (),
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
            branch = f"{request.call_id}|{request.cseq[0]}|{request.from_.tag}|{request.get('Via')}"
        key = (branch, via.sent_by, "INVITE" if method == "ACK" or method == "CANCEL" else method)
        tx = self._tx.servers.get(key)
        if method == "CANCEL":
            self._got_cancel(now, origin, request, (branch, via.sent_by, "CANCEL"), tx, out)
            return
        if tx is not None:
            if self._tx.step(now, tx, Input.ACK if method == "ACK" else Input.REQUEST, out):
                self._got_ack(now, request, out)
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
        merge = (request.from_.tag, request.call_id, str(request.cseq[0]), method)
        if merge in self._tx.merged:
            self._refuse(now, origin, request, _MERGED, out)
            return
        if len(self._tx) >= self._limits.transactions or (method == "INVITE" and len(self._legs) >= self._limits.legs):
            self._refuse(now, origin, request, _FULL, out)
            return
        tag = self._ids.tag()
        if method != "INVITE":
            tx = self._start_server(now, origin, request, key, 0, tag, merge, out)
            out.append(Requested(tx.handle, request, 0, *origin))
            return
        handle = self._handle()
        leg = Leg(
            dialog_of_invite(handle, request, tag, origin, self._contact(origin, request.uri[:5].lower() == "sips:")),
            LegState.INCOMING,
        )
        leg.flow = origin.flow
        self._add_leg(leg)
        leg.invite = self._start_server(now, origin, request, key, handle, tag, merge, out).handle
        out.append(Invited(handle, request, *origin))

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
            tx.data = f"SIP/2.0 100 Trying\r\n{head}To: {to}\r\nContent-Length: 0\r\n\r\n".encode(
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
        if leg is None or (leg.state is LegState.CLOSING and method != "BYE"):
            self._refuse(now, origin, request, _UNKNOWN_CALL, out)
            return
        number = request.cseq[0]
        if number < leg.dialog.remote_cseq:
            self._refuse_known(now, origin, request, key, _OUT_OF_ORDER, out)
            return
        if method == "BYE":
            self._got_bye(now, origin, request, key, leg, out)
            return
        if len(self._tx) >= self._limits.transactions:
            self._refuse(now, origin, request, _FULL, out)
            return
        invite = method == "INVITE"
        if invite and (rejection := _glare(leg)) is not None:
            self._refuse_known(now, origin, request, key, rejection, out)
            return
        leg.dialog.remote_cseq = number
        if origin.flow:
            leg.flow = origin.flow
        if invite:
            learn_target(leg.dialog, request)
        tx = self._start_server(now, origin, request, key, leg.id, "", None, out)
        if leg.announced:
            self._changed(leg, out)
        if invite:
            leg.incoming = tx.handle
            out.append(Offered(leg.id, request))
        else:
            self._take_request(now, leg, tx, request, origin, out)

    def _take_request(
        self, now: int, leg: Leg, tx: ServerTransaction, request: Request, origin: Hop, out: list[Output]
    ) -> None:
        """Whoever knows what a request in a live leg is for takes it; the program gets the others."""
        out.append(Requested(tx.handle, request, leg.id, *origin))

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
        if leg is None or leg.accepted is None or request.cseq[0] != leg.accepted_cseq:
            return
        self._stop_accepted(leg)
        if leg.bye is not None:
            self._send_bye(now, leg, leg.bye, out)
            return
        leg.take(LegInput.GOT_ACK)
        out.append(Acked(leg.id, request))

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
            out.append(OfferWithdrawn(leg.id))
        else:
            leg.take(LegInput.GOT_CANCEL)
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
        if before is LegState.INCOMING:
            invite = self._tx.by_handle[leg.invite]
            assert isinstance(invite, ServerTransaction)
            self._answer(now, invite, 487, out)
            out.append(Cancelled(leg.id))
        elif before is not LegState.CLOSING:
            if leg.owed_cseq:
                self._acknowledge(now, leg, out)
            self._refuse_pending(now, leg, out)
            out.append(Ended(leg.id, "bye"))
        self._drop_leg(leg, out)

    def _refuse_known(
        self, now: int, origin: Hop, request: Request, key: Key, rejection: Rejection, out: list[Output]
    ) -> None:
        """Refuse a request in a dialog by a transaction: when its copy comes the reason may be gone, and two answers
        are one too many (RFC 3261 section 8.2.6)."""
        if len(self._tx) >= self._limits.transactions:
            self._refuse(now, origin, request, rejection, out)
            return
        tx = self._start_server(now, origin, request, key, 0, "", None, out, trying=False)
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
            if not (known.tag if known is not None else "tag=" in to):
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


def _glare(leg: Leg) -> Rejection | None:
    if leg.reinvite or leg.owed_cseq or leg.state is LegState.ACCEPTED or leg.accepted is not None:
        return _PENDING
    if leg.incoming or leg.state is not LegState.CONFIRMED:
        return _OVERLAP
    return None


def _check_status(status: int, low: int, high: int) -> None:
    if not low <= status <= high:
        raise LocalError(f"status {status} where {low} to {high} is due")
