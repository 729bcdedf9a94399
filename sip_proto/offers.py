"""Offers of ours within a dialog, and what a caller owes to INVITEs of its own: ACK and PRACK (RFC 3261 sections 13.2.2
and 14.1, RFC 3262 section 4, RFC 3311 section 5.1)."""

from sip_proto.build import Headers, header_lines
from sip_proto.core import OFFER_TIMER
from sip_proto.dialog import NOTHING, Leg, learn, learn_target
from sip_proto.errors import LocalError, ParseError
from sip_proto.fields import RETRY_AFTER
from sip_proto.message import Response
from sip_proto.multipart import description_of
from sip_proto.records import Dialog, Ended, OfferAnswered, OfferRefused, Output, Refreshed, RefreshRefused, Ringing
from sip_proto.reliable import Heard, reliable_number
from sip_proto.sessions import SessionSide
from sip_proto.tables import LegInput, LegState
from sip_proto.tables_session import OfferInput, OfferState
from sip_proto.transactions import ClientTransaction, Purpose

_STEP_US = 10_000
_SECOND_US = 1_000_000
# A peer that is busy for longer has refused.
_LONGEST_S = 10


class OfferSide(SessionSide):
    """Offers of ours, one at a time (ours)."""

    def offer(self, now: int, leg: int, out: list[Output], *, body: bytes = b"", headers: Headers = ()) -> int:
        """Offer the peer another description, or without a body ask for its offer; its number, for OfferAnswered or
        OfferRefused (RFC 3261 section 14.1, RFC 3311).

        It waits while another exchange is open. LocalError when the leg is closing or too many wait.
        """
        found = self._leg(leg)
        found.ask(LegInput.OFFER)
        extra = header_lines(headers)
        self._room(leg=False)
        number = found.arbiter.add(body, extra, self._limits.offers)
        self._offer_next(now, found, out)
        return number

    def can_offer(self, leg: int) -> bool:
        """Whether an offer() with a body would go out at once; False for no such leg (ours)."""
        found = self._legs.get(leg)
        if found is None or found.refresh or found.arbiter.waiting or found.arbiter.state is not OfferState.STABLE:
            return False
        if found.state is not LegState.CONFIRMED:
            return _is_early(found)
        return not (found.reinvite or found.owed or found.accepted is not None)

    def ack(self, now: int, leg: int, out: list[Output], *, body: bytes = b"") -> None:
        """Acknowledge the 2xx to our INVITE, or to an offer() without a body; repeated 2xx are acknowledged alike (RFC
        3261 section 13.2.2.4)."""
        found = self._leg(leg)
        state = found.ask(LegInput.ACK)
        if found.owed is None:
            raise LocalError(f"leg {leg} owes no ACK")
        found.state = state
        if found.arbiter.is_open(found.owed[0]):
            found.arbiter.take(OfferInput.ANSWER)
            found.described = body
            if found.session is not None:
                self._keep_session(found, out)
        self._acknowledge(now, found, out, body)
        self._offer_next(now, found, out)

    def prack(self, now: int, leg: int, out: list[Output], *, body: bytes = b"", tag: str = "") -> None:
        """Acknowledge a Ringing that brought an offer, with our answer; `tag` names the early dialog, the first that
        waits if empty (RFC 3262 section 5)."""
        found = self._leg(leg)
        tag = tag or next(iter(found.pracks), "")
        owed = found.pracks.get(tag)
        if owed is None:
            raise LocalError(f"leg {leg} owes no PRACK")
        self._room(leg=False)
        found.pracks = {other: owes for other, owes in found.pracks.items() if other != tag}
        self._prack(now, found, found.forks.get(tag, found.dialog), *owed, body, out)
        found.described = body
        if not found.pracks:
            found.arbiter.take(OfferInput.ANSWER)
            self._offer_next(now, found, out)

    def _prack(self, now: int, leg: Leg, dialog: Dialog, rseq: int, cseq: int, body: bytes, out: list[Output]) -> None:
        extra = f"RAck: {rseq} {cseq} INVITE\r\n"
        self._in_dialog(
            now, out, dialog, "PRACK", Purpose.SILENT, extra, body, "application/sdp", leg=leg.id, flow=leg.flow
        )
        if leg.announced:
            self._changed(leg, out)

    def _acknowledge(self, now: int, leg: Leg, out: list[Output], body: bytes = b"") -> None:
        assert leg.owed is not None
        handle, cseq = leg.owed
        tx = self._tx.by_handle.get(handle)
        secrets = tx.secrets if isinstance(tx, ClientTransaction) else ""
        ack = self._success_ack(leg.dialog, cseq, leg.flow, body, secrets)
        if isinstance(tx, ClientTransaction):
            tx.acks[leg.dialog.remote_tag] = ack
        leg.owed = None
        self._send(now, *ack, out)

    def _offer_next(self, now: int, leg: Leg, out: list[Output]) -> None:
        """Send the first offer that waits, if it can go now."""
        arbiter = leg.arbiter
        if arbiter.state is not OfferState.STABLE or leg.refresh:
            return
        if leg.state is LegState.CONFIRMED:
            # No INVITE begins before the last one of either side is over (RFC 3261 section 14.1).
            if leg.reinvite or leg.refused or leg.owed or leg.accepted is not None:
                return
            if not arbiter.waiting and self._wants_refresh(leg):
                self._refresh(now, leg, out)
            if not arbiter.waiting:
                return
            method, purpose, tag = "INVITE", Purpose.RECALL, ""
        elif not arbiter.waiting:
            return
        elif arbiter.waiting[0].body and _is_early(leg):
            method, purpose, tag = "UPDATE", Purpose.UPDATE, leg.dialog.remote_tag
        else:
            return
        wish = arbiter.pop()
        extra = f"Contact: {leg.dialog.contact}\r\n{wish.extra}{self._allow_line}{self._supported_by(leg)}"
        if method == "INVITE":
            extra += self._request_lines(leg)
        tx = self._in_dialog(
            now, out, leg.dialog, method, purpose, extra, wish.body, "application/sdp", leg.id, leg.flow
        )
        tx.asks = not wish.body
        if wish.tries == 1:
            wish.before = leg.described
        leg.described = wish.body or leg.described
        arbiter.sent(tx.handle, wish.body, tag)
        if method == "INVITE":
            leg.reinvite = tx.handle
            self._changed(leg, out)

    def _offer_due(self, now: int, leg: Leg, out: list[Output]) -> None:
        leg.arbiter.take(OfferInput.AGAIN)
        self._offer_next(now, leg, out)

    def _take_reliable(
        self, now: int, leg: Leg, tx: ClientTransaction, rseq: int, response: Response, out: list[Output]
    ) -> None:
        """A 1xx that wants a PRACK; dropped when it is not the next one (RFC 3262 section 4), or when there is no room
        for a PRACK: it will come again."""
        if len(self._tx) >= self._limits.transactions:
            return
        tag = response.to.tag
        heard = tx.heard.get(tag)
        if heard is None:
            heard = tx.heard[tag] = Heard(rseq)
        elif rseq != heard.rseq + 1:
            return
        heard.rseq = rseq
        described = bool(description_of(response)) and not heard.described
        if described:
            heard.described = True
        arbiter = leg.arbiter
        if described and tx.asks:
            leg.pracks = {**leg.pracks, tag: (rseq, tx.cseq)}
            arbiter.take(OfferInput.GOT_OFFER)
            out.append(Ringing(leg.id, response, True, True))
            return
        self._prack(now, leg, leg.dialog, rseq, tx.cseq, b"", out)
        if leg.state is LegState.PROCEEDING:
            out.append(Ringing(leg.id, response, True))
        if described and arbiter.is_open(tx.handle):
            wish = arbiter.answered()
            if wish is not None and wish.number:
                out.append(OfferAnswered(leg.id, response, wish.number))
            self._offer_next(now, leg, out)

    def _recall_response(self, now: int, tx: ClientTransaction, response: Response, out: list[Output]) -> None:
        """A response to a re-INVITE of ours."""
        status = response.status
        leg = self._legs.get(tx.leg)
        mine = leg is not None and leg.reinvite == tx.handle and leg.state is LegState.CONFIRMED
        if 200 <= status < 300:
            tag = response.to.tag
            if tag in tx.acks:
                if (ack := tx.acks[tag]) is not None:
                    self._send(now, *ack, out)
                return
            if leg is None or not mine:
                # The dialog ended while the answer was on its way; it still wants its ACK.
                self._refuse_success(now, tx, response, out, bye=False)
                return
            self._recall_success(now, leg, tx, response, out)
            return
        if leg is None or not mine:
            return
        if status >= 300:
            leg.reinvite = 0
            self._offer_refused(now, leg, status, response, out)
            return
        rseq = reliable_number(response)
        if rseq is not None and response.to.tag == leg.dialog.remote_tag:
            self._take_reliable(now, leg, tx, rseq, response, out)

    def _recall_success(
        self, now: int, leg: Leg, tx: ClientTransaction, response: Response, out: list[Output]
    ) -> None:
        tx.acks[leg.dialog.remote_tag] = None
        leg.reinvite = 0
        leg.owed = (tx.handle, tx.cseq)
        if learn_target(leg.dialog, response):
            self._changed(leg, out)
        self._session_answered(now, leg, response, out)
        wish, leg.arbiter.wish = leg.arbiter.wish, None
        self._conclude(leg, tx, response)
        if not tx.asks:
            self._acknowledge(now, leg, out)
        if wish is not None:
            answered = OfferAnswered(leg.id, response, wish.number)
            out.append(answered if wish.number else Refreshed(leg.id, response))
        self._offer_next(now, leg, out)

    def _conclude(self, leg: Leg, tx: ClientTransaction, response: Response) -> None:
        """The 2xx to an INVITE of ours: what it means for the exchange that the INVITE began."""
        arbiter = leg.arbiter
        heard = tx.heard.get(response.to.tag)
        leg.pracks = NOTHING
        if not tx.asks:
            if arbiter.is_open(tx.handle):
                arbiter.take(OfferInput.GOT_ANSWER)
        elif heard is None or not heard.described:
            if description_of(response):
                arbiter.take(OfferInput.GOT_OFFER)
                arbiter.carrier = tx.handle
            else:
                arbiter.take(OfferInput.GOT_REFUSAL)

    def _update_response(self, now: int, tx: ClientTransaction, response: Response, out: list[Output]) -> None:
        """The final response to an UPDATE of ours that has an offer."""
        leg = self._legs.get(tx.leg)
        if leg is None or not leg.arbiter.is_open(tx.handle):
            return
        if response.status >= 300:
            self._offer_refused(now, leg, response.status, response, out)
            return
        if learn_target(leg.forks.get(response.to.tag, leg.dialog), response) and leg.announced:
            self._changed(leg, out)
        wish = leg.arbiter.answered()
        assert wish is not None
        out.append(OfferAnswered(leg.id, response, wish.number))
        self._offer_next(now, leg, out)

    def _offer_refused(
        self, now: int, leg: Leg, status: int, response: Response | None, out: list[Output]
    ) -> None:
        """An offer of ours had a final response of 300 or more, or none in time."""
        arbiter = leg.arbiter
        wish = arbiter.wish
        pause_us = self._pause_us(leg, status, response)
        if wish is not None and pause_us is not None and wish.tries < self._limits.offer_tries and arbiter.postpone():
            self._timers.set(leg.id * 8 + OFFER_TIMER, now + pause_us)
            return
        if wish is not None:
            leg.described = wish.before
        arbiter.refused()
        leg.pracks = NOTHING
        if wish is not None and wish.number:
            out.append(OfferRefused(leg.id, status, response, wish.number))
        if status in (408, 481) and leg.state is LegState.CONFIRMED:
            self._lost(now, leg, out, bye=status == 408)
        else:
            self._session_refused(now, leg)
            if wish is not None and not wish.number:
                out.append(RefreshRefused(leg.id, status, response))
            self._offer_next(now, leg, out)

    def _pause_us(self, leg: Leg, status: int, response: Response | None) -> int | None:
        """How long a refused offer waits before it goes out again, None when it does not (RFC 3261 section 14.1, RFC
        3311 section 5.3)."""
        if status == 491:
            lot = int(self._ids.token()[:8], 16)
            return _STEP_US * (lot % 201 if leg.dialog.uas else 210 + lot % 191)
        if status == 422:
            return 0 if self._session_raised(leg, response) else None
        if status != 500 or response is None:
            return None
        try:
            delay = response.one(RETRY_AFTER)
        except ParseError:
            return None
        return delay.seconds * _SECOND_US if delay is not None and delay.seconds <= _LONGEST_S else None

    def _refuse_success(
        self, now: int, tx: ClientTransaction, response: Response, out: list[Output], *, bye: bool
    ) -> None:
        # From and To as the peer wrote them, tags included: no leg stands behind this dialog.
        assert tx.parts is not None
        dialog = Dialog(
            0,
            response.call_id,
            "",
            "",
            response.get("From") or "",
            response.get("To") or "",
            tx.parts.uri,
            (),
            tx.cseq,
            0,
            tx.listener,
            tx.destination,
            False,
            "",
            False,
            tx.transport,
            name=tx.name,
        )
        learn(dialog, response)
        dialog.remote_tag = ""
        learn_target(dialog, response)
        ack = self._success_ack(dialog, tx.cseq, tx.flow, secrets=tx.secrets)
        tx.acks[response.to.tag] = ack
        self._send(now, *ack, out)
        if bye:
            self._in_dialog(now, out, dialog, "BYE", Purpose.SILENT, "", flow=tx.flow)

    def _lost(self, now: int, leg: Leg, out: list[Output], *, bye: bool, why: str = "lost") -> None:
        leg.take(LegInput.TIMED_OUT)
        out.append(Ended(leg.id, why))
        self._refuse_pending(now, leg, out)
        if bye:
            if leg.owed:
                self._acknowledge(now, leg, out)
            self._unannounce(leg, out)
            self._send_bye(now, leg, "", out)
        else:
            self._drop_leg(leg, out)


def _is_early(leg: Leg) -> bool:
    """Whether an UPDATE with an offer can go in an early dialog: there is but one, its first exchange is over, and the
    peer allows it (RFC 3311 section 5.1)."""
    if not leg.dialog.allows_update:
        return False
    if leg.state is LegState.PROCEEDING:
        return len(leg.forks) == 1
    provisionals = leg.provisionals
    return leg.state is LegState.INCOMING and provisionals is not None and provisionals.sent is None
