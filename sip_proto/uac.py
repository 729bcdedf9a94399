"""The caller's half of an Endpoint: what we send, and the responses to it (RFC 3261 sections 8.1, 9.1,
13.2, 14.1, 15.1.1)."""

from collections.abc import Sequence
from copy import copy

from sip_proto.build import Headers, RequestParts, check_method, check_texts, check_uri, has_header, header_lines
from sip_proto.challenges import ChallengeSide
from sip_proto.core import OFFER_TIMER, name_addr, route_tuple, split_max_forwards
from sip_proto.dialog import NOTHING, Call, Leg, apply_routes, learn, learn_target, lines
from sip_proto.errors import LocalError
from sip_proto.flows import Hop
from sip_proto.message import Response
from sip_proto.records import (
    Answered,
    Dialog,
    Failed,
    OfferWithdrawn,
    Output,
    Responded,
    Ringing,
    Unanswerable,
)
from sip_proto.reliable import RELIABLE, reliable_number
from sip_proto.tables import Input, LegInput, LegState, State
from sip_proto.tables_session import OfferState
from sip_proto.transactions import ClientTransaction, Purpose, ServerTransaction
from sip_proto.uri import Address
from sip_proto.validate import response_fault


class CallerSide(ChallengeSide):
    """Requests of ours and what comes of them (ours)."""

    def invite(
        self,
        now: int,
        out: list[Output],
        *,
        listener: str,
        destination: Address,
        uri: str,
        from_: str,
        to: str,
        contact: str = "",
        route: Sequence[str] = (),
        headers: Headers = (),
        body: bytes = b"",
        content_type: str = "application/sdp",
        call_id: str | None = None,
        cseq: int | None = None,
        from_tag: str | None = None,
        transport: str = "udp",
        flow: int = 0,
        name: str = "",
        reliable: str | None = None,
        session_s: int | None = None,
    ) -> int:
        """Send an INVITE; the new leg's handle. Then Ringing, and Answered or Failed (RFC 3261 section 13.2).

        `from_` and `to` are name-addrs without tag. `reliable` stands for that of the settings. After 401 or 407: the
        same call_id and from_tag, cseq + 1. `flow` is taken while it is open, else one that leads to `destination` by
        `transport`, else a new one. A new one by TLS must show the certificate of the host `name`, of the address where
        that is empty (RFC 5922 section 7.3).
        """
        self._room(leg=True)
        check_texts(name)
        hop = self._hop(listener, transport, destination, flow, name)
        if reliable is not None and reliable not in RELIABLE:
            raise LocalError(f"reliable: {reliable!r}")
        check_uri(uri)
        check_texts(from_, to, contact, content_type, call_id or "", from_tag or "")
        max_forwards, extra = split_max_forwards(headers)
        session = self._new_session(session_s)
        if reliable is None:
            options = self._supported_line if session is None else self._timer_line
        else:
            options = self._options(reliable, timer=session is not None)
        extra += self._allow_line + options
        secure = uri[:5].lower() == "sips:"
        contact = contact or self._contact(hop, secure)
        if has_header(headers, "Contact"):
            contact = next(value for name, value in headers if name.lower() == "contact")
        else:
            extra = f"Contact: {contact}\r\n{extra}"
        tag = from_tag or self._ids.tag()
        call_id = call_id or self._new_call_id(listener)
        if (call_id, tag) in self._by_dialog:
            raise LocalError("a leg with this Call-ID and tag is alive")
        dialog = Dialog(
            self._handle(),
            call_id,
            tag,
            "",
            name_addr(from_),
            name_addr(to),
            uri,
            route_tuple(route),
            cseq or 1,
            0,
            hop.listener,
            destination,
            False,
            contact,
            secure,
            hop.transport,
            name=hop.name,
        )
        leg = Leg(dialog, LegState.OUTGOING)
        leg.call = Call(uri, dialog.route_set, extra, body, content_type, max_forwards)
        leg.session = session
        self._add_leg(leg)
        self._call(now, leg, leg.call, hop, out)
        return leg.id

    def request(
        self,
        now: int,
        out: list[Output],
        *,
        method: str,
        listener: str,
        destination: Address,
        uri: str,
        from_: str,
        to: str,
        contact: str = "",
        route: Sequence[str] = (),
        headers: Headers = (),
        body: bytes = b"",
        content_type: str = "",
        call_id: str | None = None,
        cseq: int | None = None,
        from_tag: str | None = None,
        transport: str = "udp",
        flow: int = 0,
    ) -> int:
        """Send a request outside of dialogs, not INVITE, ACK, CANCEL or BYE; a handle that ends with
        Responded (section 8.1)."""
        if method in ("INVITE", "ACK", "CANCEL", "BYE"):
            raise LocalError(f"{method} has a method of its own")
        self._room(leg=False)
        hop = self._hop(listener, transport, destination, flow)
        check_method(method)
        check_uri(uri)
        check_texts(from_, to, contact, content_type, call_id or "", from_tag or "")
        max_forwards, extra = split_max_forwards(headers)
        if not has_header(headers, "Contact"):
            extra = f"Contact: {contact or self._contact(hop)}\r\n{extra}"
        target, routes, _ = apply_routes(uri, route_tuple(route))
        branch = self._ids.branch()
        parts = RequestParts(
            target,
            self._via(hop, branch),
            routes,
            lines(name_addr(from_), from_tag or self._ids.tag()),
            name_addr(to),
            call_id or self._new_call_id(listener),
            cseq or 1,
        )
        return self._start_client(
            now,
            out,
            method=method,
            purpose=Purpose.PLAIN,
            leg=0,
            hop=hop,
            parts=parts,
            branch=branch,
            extra=extra + self._agent_line,
            body=body,
            content_type=content_type,
            max_forwards=max_forwards,
        ).handle

    def cancel(self, now: int, leg: int, out: list[Output]) -> None:
        """Take our INVITE back; Failed follows, whatever the peer does (RFC 3261 section 9.1)."""
        found = self._leg(leg)
        found.state = found.ask(LegInput.CANCEL)
        self._refuse_pending(now, found, out)
        self._close_session(found)
        tx = self._tx.by_handle[found.invite]
        assert isinstance(tx, ClientTransaction)
        # Before a 1xx the CANCEL could overtake the INVITE, so it waits.
        if tx.state is State.IC_PROCEEDING:
            self._cancel_now(now, tx, out)

    def withdraw_offer(self, now: int, leg: int, offer: int, out: list[Output]) -> bool:
        """Take offer() number `offer` back: True when it waits, and no more is told of it; False when its outcome is
        still to come, of a re-INVITE the sooner by CANCEL (RFC 3261 section 9)."""
        found = self._leg(leg)
        arbiter = found.arbiter
        if arbiter.withdraw(offer):
            if arbiter.state is OfferState.WAITING and not any(wish.tries for wish in arbiter.waiting):
                # The pause was that of the one which is gone.
                self._timers.cancel(leg * 8 + OFFER_TIMER)
                self._offer_due(now, found, out)
            return True
        tx = self._tx.by_handle.get(found.reinvite)
        if arbiter.wish is not None and arbiter.wish.number == offer and tx is not None:
            assert isinstance(tx, ClientTransaction)
            if tx.state is State.IC_PROCEEDING:
                self._cancel_now(now, tx, out)
        return False

    def _cancel_now(self, now: int, tx: ClientTransaction, out: list[Output]) -> None:
        # What is taken back does not go again.
        tx.sent = None
        self._tx.step(now, tx, Input.CANCEL, out)
        self._send_cancel(now, tx, out)

    def bye(self, now: int, leg: int, out: list[Output], *, headers: Headers = ()) -> None:
        """End an answered leg; DialogEnded at once, nothing later. A callee's BYE waits for the ACK (RFC
        3261 section 15)."""
        found = self._leg(leg)
        state = found.ask(LegInput.BYE)
        extra = header_lines(headers)
        self._refuse_pending(now, found, out)
        if found.state is LegState.ACCEPTED:
            assert found.accepted is not None
            found.accepted.bye = extra
            self._close_session(found)
            self._refuse_pending(now, found, out)
        elif found.state is LegState.ANSWERING:
            tx = self._tx.by_handle[found.invite]
            assert isinstance(tx, ServerTransaction)
            self._refuse_pending(now, found, out)
            self._drop_leg(found, out)
            self._answer(now, tx, 480, out)
            return
        else:
            if found.owed:
                self._acknowledge(now, found, out)
            self._send_bye(now, found, extra, out)
        found.state = state
        self._unannounce(found, out)

    def send(
        self,
        now: int,
        leg: int,
        method: str,
        out: list[Output],
        *,
        headers: Headers = (),
        body: bytes = b"",
        content_type: str = "",
    ) -> int:
        """Send another request within the leg's dialog, early ones too; a handle that ends with Responded
        (section 12.2.1)."""
        found = self._leg(leg)
        if method in ("INVITE", "ACK", "CANCEL", "BYE"):
            raise LocalError(f"{method} has a method of its own")
        found.ask(LegInput.SEND)
        if not found.dialog.remote_tag and not found.announced:
            raise LocalError(f"leg {leg} has no dialog yet")
        self._room(leg=False)
        check_method(method)
        check_texts(content_type)
        extra = header_lines(headers)
        if not has_header(headers, "Contact"):
            extra = f"Contact: {found.dialog.contact}\r\n{extra}"
        tx = self._in_dialog(
            now, out, found.dialog, method, Purpose.PLAIN, extra, body, content_type, found.id, found.flow
        )
        if found.announced:
            self._changed(found, out)
        return tx.handle

    def _new_call_id(self, listener: str) -> str:
        return self._ids.call_id(self._settings.listeners[listener][0])

    def _receive_response(self, now: int, origin: Hop, response: Response, out: list[Output]) -> None:
        if (fault := response_fault(response)) is not None:
            out.append(Unanswerable(origin.listener, origin.destination, f"response: {fault}", 0))
            return
        tx = self._tx.clients.get((response.branch, response.cseq[1]))
        if tx is None:
            return
        status = response.status
        event = Input.PROVISIONAL if status < 200 else Input.SUCCESS if status < 300 else Input.FAILURE
        if not self._tx.step(now, tx, event, out, response):
            return
        if status >= 200 and tx.sent is not None:
            sent, tx.sent = tx.sent, None
            if status in (401, 407) and self._goes_again(now, tx, sent, response, origin.destination[0], out):
                return
        purpose = tx.purpose
        if purpose is Purpose.CALL:
            self._call_response(now, tx, response, out)
        elif purpose is Purpose.RECALL:
            self._recall_response(now, tx, response, out)
        elif purpose is Purpose.PLAIN:
            out.append(Responded(tx.told, response))
            leg = self._legs.get(tx.leg)
            if status == 481 and leg is not None and leg.state is LegState.CONFIRMED:
                # The peer has lost the call (RFC 3261 section 12.2.1.2, RFC 5057 section 5.1).
                self._lost(now, leg, out, bye=False)
        elif purpose is Purpose.UPDATE:
            self._update_response(now, tx, response, out)
        elif purpose is Purpose.REFRESH:
            self._refresh_response(now, tx, response, out)
        elif purpose is Purpose.CLOSE:
            leg = self._legs.get(tx.leg)
            if leg is not None and leg.take(LegInput.GOT_SUCCESS):
                self._drop_leg(leg, out)
        elif purpose is not Purpose.SILENT:
            self._usage_response(now, tx, response, out)

    def _call_response(self, now: int, tx: ClientTransaction, response: Response, out: list[Output]) -> None:
        status = response.status
        if 200 <= status < 300:
            self._call_success(now, tx, response, out)
            return
        leg = self._legs.get(tx.leg)
        assert leg is not None
        if status >= 300:
            if status == 422 and leg.state is not LegState.CANCELLING and self._session_raised(leg, response):
                self._call_again(now, leg, tx.hop(), out)
                return
            leg.take(LegInput.GOT_FAILURE)
            self._refuse_pending(now, leg, out)
            self._drop_leg(leg, out)
            out.append(Failed(leg.id, status, response))
            return
        leg.take(LegInput.GOT_PROVISIONAL)
        if leg.state is LegState.CANCELLING:
            self._cancel_now(now, tx, out)
            return
        if status > 100:
            self._rings(now, leg, tx, response, out)

    def _rings(self, now: int, leg: Leg, tx: ClientTransaction, response: Response, out: list[Output]) -> None:
        tag = response.to.tag
        rseq = None
        if tag:
            dialog = self._early_dialog(leg, tag)
            if dialog is None:
                return
            leg.dialog = dialog
            learn(dialog, response)
            learn_target(dialog, response)
            rseq = reliable_number(response)
        if rseq is None:
            out.append(Ringing(leg.id, response))
        else:
            self._take_reliable(now, leg, tx, rseq, response, out)

    def _early_dialog(self, leg: Leg, tag: str) -> Dialog | None:
        """The dialog of one branch of a fork, a new one if need be; None when there are too many."""
        dialog = leg.forks.get(tag)
        if dialog is None and len(leg.forks) < self._limits.forks:
            dialog = _forked(leg)
            leg.forks = {**leg.forks, tag: dialog}
        return dialog

    def _choose(self, now: int, leg: Leg, tx: ClientTransaction, response: Response, out: list[Output]) -> None:
        """The early dialog of the first 2xx is the leg's; what is open in another is over with it."""
        tag = response.to.tag
        arbiter = leg.arbiter
        if arbiter.tag != tag and not arbiter.is_open(tx.handle):
            arbiter.abandon()
            if leg.incoming:
                self._refuse_pending(now, leg, out)
                out.append(OfferWithdrawn(leg.id))
        leg.dialog = leg.forks.get(tag) or _forked(leg)
        leg.forks = NOTHING
        learn(leg.dialog, response)
        learn_target(leg.dialog, response)
        self._conclude(leg, tx, response)

    def _call_success(self, now: int, tx: ClientTransaction, response: Response, out: list[Output]) -> None:
        tag = response.to.tag
        if tag in tx.acks:
            if (ack := tx.acks[tag]) is not None:
                self._send(now, *ack, out)
            return
        if tx.acks:
            if len(tx.acks) < self._limits.forks:
                self._refuse_success(now, tx, response, out, bye=True)
            return
        leg = self._legs.get(tx.leg)
        assert leg is not None
        leg.take(LegInput.GOT_SUCCESS)
        if leg.state is LegState.GONE:
            # The 2xx crossed our CANCEL: the peer has a call that nobody wants (RFC 3261 section 9.1).
            self._refuse_success(now, tx, response, out, bye=True)
            self._drop_leg(leg, out)
            out.append(Failed(leg.id, leg.why, None))
            return
        self._choose(now, leg, tx, response, out)
        leg.call = None
        leg.invite = 0
        self._session_answered(now, leg, response, out)
        tx.acks[tag] = None
        leg.owed = (tx.handle, tx.cseq)
        leg.announced = True
        self._changed(leg, out)
        out.append(Answered(leg.id, response))

    def _client_expired(self, now: int, tx: ClientTransaction, out: list[Output], *, status: int = 408) -> None:
        """A request of ours had no final answer in time, or never left: 503 (RFC 3261 sections 8.1.3.1, 16.8)."""
        purpose = tx.purpose
        if purpose is Purpose.PLAIN:
            out.append(Responded(tx.told, None, "" if status == 408 else "transport"))
            return
        leg = self._legs.get(tx.leg)
        if purpose is Purpose.CALL:
            assert leg is not None
            if leg.state is not LegState.CANCELLING:
                leg.why = status
            leg.take(LegInput.TIMED_OUT)
            if leg.state is LegState.CANCELLING and tx.state is State.IC_CANCELLED:
                self._send_cancel(now, tx, out)
                return
            self._drop_leg(leg, out)
            out.append(Failed(leg.id, leg.why, None))
        elif purpose is Purpose.RECALL:
            if tx.state is State.IC_CANCELLED:
                self._send_cancel(now, tx, out)
            elif leg is not None and leg.reinvite == tx.handle and leg.state is LegState.CONFIRMED:
                leg.reinvite = 0
                self._offer_refused(now, leg, status, None, out)
        elif purpose is Purpose.UPDATE:
            if leg is not None and leg.arbiter.is_open(tx.handle):
                self._offer_refused(now, leg, status, None, out)
        elif purpose is Purpose.REFRESH:
            self._refresh_lost(now, tx, status, out)
        elif purpose is Purpose.CLOSE:
            if leg is not None and leg.take(LegInput.TIMED_OUT):
                self._drop_leg(leg, out)
        elif purpose is not Purpose.SILENT:
            self._usage_lost(now, tx, "timeout" if status == 408 else "transport", out)


def _forked(leg: Leg) -> Dialog:
    if not leg.forks:
        return leg.dialog
    dialog = copy(leg.dialog)
    dialog.remote_cseq = 0
    return dialog
