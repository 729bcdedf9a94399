"""What the program answers to calls and offers of peers: 1xx with their PRACK, 2xx with their ACK, refusals (RFC 3261
sections 13.3 and 14.2, RFC 3262 section 3, RFC 3311 section 5.2)."""

from sip_proto.build import Headers, check_texts, has_header, header_lines, response_bytes
from sip_proto.core import ACCEPTED_TIMER, ACK_TIMER, PROVISIONAL_TIMER
from sip_proto.dialog import Accepted, Leg
from sip_proto.errors import LocalError
from sip_proto.message import Request
from sip_proto.records import Cancelled, Ended, OfferWithdrawn, Output, Pracked
from sip_proto.reliable import Provisional, Provisionals
from sip_proto.tables import LegInput, LegState, State
from sip_proto.tables_session import OfferInput, OfferState
from sip_proto.transactions import ServerTransaction
from sip_proto.uac import CallerSide


class AnswerSide(CallerSide):
    """Answers of ours to requests of peers (ours)."""

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
        reliable: bool | None = None,
    ) -> None:
        """Send a 101 to 199 to the INVITE of a leg that is not answered, one after the other where they are reliable;
        Pracked or Cancelled follows those (RFC 3261 section 13.3.1.1, RFC 3262 section 3).

        `reliable` None: as the peer requires, or if it can and there is a body; True: if it can.
        """
        _check_status(status, 101, 199)
        found, tx = self._unanswered(leg, LegInput.PROVISIONAL)
        extra = self._dialog_lines(found, tx, headers, reason)
        setting = self._settings.reliable
        if reliable is None:
            reliable = setting == "required" or (setting == "supported" and bool(body))
        if found.reliable == "no" or not (reliable or found.reliable == "required"):
            # A description here is a glance at the answer to come; an offer cannot be (RFC 6337 section 2.2).
            body = body if found.arbiter.carrier == tx.handle and found.arbiter.state is OfferState.OWED else b""
            self._answer(now, tx, status, out, reason, extra, body, "application/sdp")
            return
        queue = found.provisionals
        if queue is None:
            queue = found.provisionals = Provisionals(int(self._ids.token()[:7], 16))
        elif queue.sent is not None and len(queue.waiting) >= self._limits.provisionals:
            raise LocalError(f"{self._limits.provisionals} provisionals wait already")
        body = self._description(found, tx, body, final=False)
        item = Provisional(status, reason, extra, body, found.arbiter.state is OfferState.PROPOSED and bool(body))
        if queue.sent is None:
            self._send_provisional(now, found, tx, queue, item, out)
        else:
            queue.waiting.append(item)

    def accept(
        self,
        now: int,
        leg: int,
        out: list[Output],
        *,
        body: bytes = b"",
        headers: Headers = (),
        session_s: int | None = None,
    ) -> None:
        """Answer the INVITE with 200, once the PRACK of a reliable 1xx is there, and again until the ACK; without
        one in 64 * T1: BYE and Ended (RFC 3261 section 13.3.1.4, RFC 3262 section 3).

        `session_s` stands for that of the settings.
        """
        found, tx = self._unanswered(leg, LegInput.ACCEPT)
        extra = self._dialog_lines(found, tx, headers, "")
        if session_s is not None:
            found.session = self._new_session(session_s)
        extra += self._allow_line + self._supported_by(found)
        if found.provisionals is not None and found.provisionals.sent is not None:
            found.state = LegState.ANSWERING
            found.provisionals.answer = (extra, body)
            return
        found.state = LegState.ACCEPTED
        self._answer_call(now, found, tx, extra, body, out)

    def reject(
        self, now: int, leg: int, status: int, out: list[Output], *, reason: str = "", headers: Headers = ()
    ) -> None:
        """Answer the INVITE with a 300 to 699; the leg is gone (RFC 3261 section 13.3.1.3).

        A 401 or 407 is sent once for each copy of the INVITE and waits for no ACK (section 26.3.2.4).
        """
        _check_status(status, 300, 699)
        found, tx = self._unanswered(leg, LegInput.REJECT)
        check_texts(reason)
        extra = header_lines(headers)
        self._refuse_pending(now, found, out)
        self._drop_leg(found, out)
        if status in (401, 407):
            # Whoever has proven nothing may be somebody else than it says: no more goes there than came.
            if tx.data.startswith(b"SIP/2.0 100 "):
                # No answer had a tag yet: each copy of the INVITE gets the same one.
                tx.to = tx.to.removesuffix(found.dialog.local_tag) + self._ids.tag_of("|".join(tx.key))
            data = response_bytes(status, reason, tx.head, tx.to, extra + self._server_line)
            self._send(now, tx.hop(), data, out)
            self._tx.drop(tx)
        else:
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
        """Answer an Offered with 200; that of a re-INVITE is sent again until the ACK (RFC 3261 section 14.2, RFC 3311
        section 5.2)."""
        found, tx = self._offered(leg)
        extra = self._dialog_lines(found, tx, headers, "") + self._allow_line + self._supported_by(found)
        found.incoming = 0
        if tx.method == "INVITE":
            self._accept(now, found, tx, extra, body, out)
            return
        body = self._description(found, tx, body, final=True)
        extra += self._answer_lines(now, found, tx, out)
        self._answer(now, tx, 200, out, "", extra, body, "application/sdp")
        self._offer_next(now, found, out)

    def refuse_offer(
        self, now: int, leg: int, status: int, out: list[Output], *, reason: str = "", headers: Headers = ()
    ) -> None:
        """Answer an Offered with a 300 to 699; the dialog goes on as it was (RFC 3261 section 14.2)."""
        _check_status(status, 300, 699)
        found, tx = self._offered(leg)
        check_texts(reason)
        extra = header_lines(headers)
        found.incoming = 0
        found.arbiter.take(OfferInput.REFUSE)
        self._answer(now, tx, status, out, reason, extra)
        self._offer_next(now, found, out)

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
            raise LocalError(f"leg {leg} has no offer to answer")
        return found, tx

    def _dialog_lines(self, leg: Leg, tx: ServerTransaction, headers: Headers, reason: str) -> str:
        check_texts(reason)
        extra = header_lines(headers)
        if headers and has_header(headers, "Contact"):
            return tx.routes + extra
        return f"{tx.routes}Contact: {leg.dialog.contact}\r\n{extra}"

    def _description(self, leg: Leg, tx: ServerTransaction, body: bytes, *, final: bool) -> bytes:
        """What of `body` goes into a response that is reliable: our answer, or our offer, where the request began an
        exchange that is open (RFC 6337 section 2.1)."""
        arbiter = leg.arbiter
        if not arbiter.is_open(tx.handle):
            return b""
        if body:
            arbiter.take(OfferInput.ANSWER if arbiter.state is OfferState.OWED else OfferInput.PROPOSE)
            leg.described = body
        elif final:
            # Nothing said is an answer too, if a poor one.
            arbiter.take(OfferInput.REFUSE)
        return body

    def _send_provisional(
        self,
        now: int,
        leg: Leg,
        tx: ServerTransaction,
        queue: Provisionals,
        item: Provisional,
        out: list[Output],
    ) -> None:
        queue.rseq += 1
        extra = f"{item.extra}Require: 100rel\r\nRSeq: {queue.rseq}\r\n{self._allow_line}"
        data = self._answer(now, tx, item.status, out, item.reason, extra, item.body, "application/sdp")
        queue.sent = (tx.hop(), data)
        queue.proposes = item.proposes
        queue.again_us = self._timings.t1_us
        queue.until_us = now + 64 * self._timings.t1_us
        self._timers.set(leg.id * 8 + PROVISIONAL_TIMER, now + queue.again_us)

    def _provisional_due(self, now: int, leg: Leg, out: list[Output]) -> None:
        queue = leg.provisionals
        assert queue is not None
        assert queue.sent is not None
        if now < queue.until_us:
            self._send(now, *queue.sent, out)
            queue.again_us *= 2
            self._timers.set(leg.id * 8 + PROVISIONAL_TIMER, min(now + queue.again_us, queue.until_us))
            return
        tx = self._tx.by_handle[leg.invite]
        assert isinstance(tx, ServerTransaction)
        leg.take(LegInput.TIMED_OUT)
        self._answer(now, tx, 504, out)
        self._refuse_pending(now, leg, out)
        self._drop_leg(leg, out)
        out.append(Cancelled(leg.id, "no-prack"))

    def _pracked(
        self, now: int, leg: Leg, queue: Provisionals, tx: ServerTransaction, request: Request, out: list[Output]
    ) -> None:
        """The PRACK of the 1xx that is out came by `tx`, without an offer: what waits for it goes on."""
        self._answer(now, tx, 200, out)
        out.append(Pracked(leg.id, request))
        self._go_on(now, leg, queue, out)

    def _go_on(self, now: int, leg: Leg, queue: Provisionals, out: list[Output]) -> None:
        invite = self._tx.by_handle[leg.invite]
        assert isinstance(invite, ServerTransaction)
        if queue.waiting:
            self._send_provisional(now, leg, invite, queue, queue.waiting.pop(0), out)
        elif queue.answer is not None:
            extra, body = queue.answer
            queue.answer = None
            leg.take(LegInput.GOT_PRACK)
            self._answer_call(now, leg, invite, extra, body, out)
        else:
            self._offer_next(now, leg, out)

    def _answer_call(
        self, now: int, leg: Leg, tx: ServerTransaction, extra: str, body: bytes, out: list[Output]
    ) -> None:
        self._accept(now, leg, tx, extra, body, out)
        leg.announced = True
        self._changed(leg, out)

    def _accept(self, now: int, leg: Leg, tx: ServerTransaction, extra: str, body: bytes, out: list[Output]) -> None:
        body = self._description(leg, tx, body, final=True)
        extra += self._answer_lines(now, leg, tx, out)
        data = self._answer(now, tx, 200, out, "", extra, body, "application/sdp")
        leg.accepted = Accepted(tx.hop(), data, tx.cseq, self._timings.t1_us)
        self._timers.set(leg.id * 8 + ACCEPTED_TIMER, now + self._timings.t1_us)
        self._timers.set(leg.id * 8 + ACK_TIMER, now + 64 * self._timings.t1_us)

    def _accept_again(self, now: int, leg: Leg, out: list[Output]) -> None:
        accepted = leg.accepted
        assert accepted is not None
        self._send(now, accepted.hop, accepted.data, out)
        accepted.again_us = min(2 * accepted.again_us, self._timings.t2_us)
        self._timers.set(leg.id * 8 + ACCEPTED_TIMER, now + accepted.again_us)

    def _never_acked(self, now: int, leg: Leg, out: list[Output]) -> None:
        assert leg.accepted is not None
        bye = leg.accepted.bye
        if bye is None:
            leg.take(LegInput.TIMED_OUT)
            out.append(Ended(leg.id, "no-ack"))
            self._refuse_pending(now, leg, out)
        self._unannounce(leg, out)
        self._send_bye(now, leg, bye or "", out)

    def _server_expired(self, now: int, tx: ServerTransaction, out: list[Output]) -> None:
        """The program left a request unanswered for too long: an offer in it is over."""
        leg = self._legs.get(tx.leg)
        if leg is not None and leg.incoming == tx.handle:
            leg.incoming = 0
            leg.arbiter.take(OfferInput.REFUSE)
            out.append(OfferWithdrawn(leg.id))
            self._offer_next(now, leg, out)


def _check_status(status: int, low: int, high: int) -> None:
    if not low <= status <= high:
        raise LocalError(f"status {status} where {low} to {high} is due")
