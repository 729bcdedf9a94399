"""Transfers in the calls of an Endpoint: REFER both ways, and the reports of what came of it (RFC 3515, RFC 4488)."""


from sip_proto.build import REASONS, Headers, check_texts, header_lines
from sip_proto.core import ACCEPTED_TIMER, ACK_TIMER, name_addr
from sip_proto.dialog import Leg
from sip_proto.errors import LocalError, ParseError
from sip_proto.flows import Hop
from sip_proto.headers import parse_number
from sip_proto.message import Request, Response
from sip_proto.records import Output, Rejected
from sip_proto.records_referral import ReferAnswered, ReferEnded, ReferProgress, Referred
from sip_proto.refer import Referral, ReferTo, read_refer_to, read_sipfrag
from sip_proto.replaces import replaceable, wanted_dialog, write_replaces
from sip_proto.settings import EndpointSettings
from sip_proto.subscription import OVER, SubscriptionSide, event_of
from sip_proto.tables import LegInput
from sip_proto.tables_usage import ReferralInput, ReferralState
from sip_proto.transactions import ClientTransaction, Purpose, ServerTransaction
from sip_proto.validate import Rejection
from sip_proto.values_event import DialogId, read_subscription_state

# The timers of a referral have the places of a subscription's.
RENEW_TIMER = ACCEPTED_TIMER
END_TIMER = ACK_TIMER

_SECOND_US = 1_000_000
# How long we report, and how long we wait for a report where none says so.
_REPORTS_S = 600
# Reports that end sooner are not worth renewing.
_SHORTEST_S = 30
# How often the last report goes out when others of the call's requests overtake it.
_TRIES = 5
_SIPFRAG = "message/sipfrag;version=2.0"
_ASKED = (ReferralState.ASKED, ReferralState.REPORTING)
_SENT = (ReferralState.ASKING, ReferralState.WATCHING, ReferralState.ANSWER_DUE)
_UNKNOWN = Rejection(481, "Subscription Does Not Exist")
_FULL = Rejection(503, "Service Unavailable", (("Retry-After", "5"),))


class ReferralSide(SubscriptionSide):
    """Who transfers, and who is transferred (ours)."""

    def __init__(self, settings: EndpointSettings, seed: bytes) -> None:
        super().__init__(settings, seed)
        self._referrals: dict[int, Referral] = {}
        self._referrals_of: dict[int, list[int]] = {}

    def refer(
        self,
        now: int,
        leg: int,
        out: list[Output],
        *,
        refer_to: str,
        referred_by: str = "",
        silent: bool = False,
        headers: Headers = (),
    ) -> int:
        """Ask the peer of a confirmed leg to call `refer_to`, a URI or name-addr; the referral's handle. Then
        ReferAnswered, ReferProgress for each report, ReferEnded (RFC 3515 section 2.4.1).

        `silent` asks for no reports (RFC 4488). After 401 or 407: again, with credentials in `headers`.
        """
        found = self._leg(leg)
        found.ask(LegInput.SEND)
        if not found.announced:
            raise LocalError(f"leg {leg} is not answered yet")
        self._room(leg=False)
        if not self._referral_room(leg):
            raise LocalError(f"leg {leg} has no room for another referral")
        check_texts(refer_to, referred_by)
        extra = f"Contact: {found.dialog.contact}\r\nRefer-To: {name_addr(refer_to)}\r\n"
        if referred_by:
            extra += f"Referred-By: {name_addr(referred_by)}\r\n"
        extra += "Refer-Sub: false\r\nSupported: norefersub\r\n" if silent else "Supported: norefersub\r\n"
        extra += header_lines(headers)
        handle = self._handle()
        tx = self._in_dialog(
            now, out, found.dialog, "REFER", Purpose.SUBSCRIBE, extra, leg=handle, flow=found.flow
        )
        self._add_referral(Referral(handle, leg, ReferralState.ASKING, tx.cseq, silent=silent))
        self._changed(found, out)
        return handle

    def accept_referral(self, now: int, referral: int, out: list[Output]) -> None:
        """Answer a Referred with 202 and report 100; a silent one with 200, and it is gone (RFC 3515 section 2.4.4, RFC
        4488 section 4)."""
        found = self._referral(referral)
        silent = found.silent
        state = found.ask(ReferralInput.ACCEPT_SILENT if silent else ReferralInput.ACCEPT)
        self._room(leg=False)
        leg = self._legs[found.leg]
        tx = self._asked(found)
        extra = f"Contact: {leg.dialog.contact}\r\n"
        if silent:
            self._drop_referral(found)
            self._answer(now, tx, 200, out, "", f"{extra}Refer-Sub: false\r\n")
            return
        found.state = state
        self._answer(now, tx, 202, out, "", extra)
        self._report_until(now, found, _REPORTS_S)
        self._report(now, found, 100, "", out)

    def reject_referral(
        self, now: int, referral: int, status: int, out: list[Output], *, reason: str = "", headers: Headers = ()
    ) -> None:
        """Answer a Referred with a 300 to 699; the referral is gone (RFC 3515 section 2.4.2)."""
        found = self._referral(referral)
        found.ask(ReferralInput.REJECT)
        if not 300 <= status <= 699:
            raise LocalError(f"status {status} where 300 to 699 is due")
        check_texts(reason)
        extra = header_lines(headers)
        self._drop_referral(found)
        self._answer(now, self._asked(found), status, out, reason, extra)

    def report_referral(self, now: int, referral: int, status: int, out: list[Output], *, reason: str = "") -> None:
        """Report a response to the call that a REFER asked for; a final one is the last report. Nothing when the
        referral is gone (RFC 3515 section 2.4.5)."""
        found = self._referrals.get(referral)
        if found is None or found.state is ReferralState.REPORTED:
            return
        state = found.ask(ReferralInput.END if status >= 200 else ReferralInput.REPORT)
        if not 100 <= status <= 699:
            raise LocalError(f"status {status} where 100 to 699 is due")
        check_texts(reason)
        self._room(leg=False)
        found.state = state
        self._report(now, found, status, reason, out, "noresource")

    def replaced_leg(self, request: Request) -> int | Rejection | None:
        """The leg that an INVITE's Replaces names, None without one, or how to answer when there is none to replace
        (RFC 3891 section 3).

        Whoever accepts the new leg then ends the old one: bye() when it is answered, else cancel().
        """
        wanted = wanted_dialog(request)
        return self.named_leg(wanted) if isinstance(wanted, DialogId) else wanted

    def named_leg(self, dialog: DialogId) -> int | Rejection:
        """The leg that a Replaces in a Refer-To names, when it is one of ours, or why it cannot be replaced (RFC 3891
        section 3)."""
        handle = self._by_dialog.get((dialog.call_id, dialog.local_tag))
        return replaceable(None if handle is None else self._legs[handle], dialog)

    def replaces_of(self, leg: int, *, escaped: bool = False) -> str:
        """The Replaces by which another may take our place in a leg, `escaped` for use in a Refer-To URI; LocalError
        when it has no dialog yet (RFC 3891 section 6.1)."""
        dialog = self._leg(leg).dialog
        if not dialog.remote_tag:
            raise LocalError(f"leg {leg} has no dialog yet")
        name = DialogId(dialog.call_id, dialog.remote_tag, dialog.local_tag, {})
        return write_replaces(name, escaped=escaped)

    def _referral(self, referral: int) -> Referral:
        found = self._referrals.get(referral)
        if found is None:
            raise LocalError(f"no referral {referral}")
        return found

    def _referral_room(self, leg: int) -> bool:
        limits = self._limits
        return (
            len(self._referrals) < limits.referrals
            and len(self._referrals_of.get(leg, ())) < limits.leg_referrals
        )

    def _asked(self, referral: Referral) -> ServerTransaction:
        tx = self._tx.by_handle[referral.asked]
        assert isinstance(tx, ServerTransaction)
        return tx

    def _add_referral(self, referral: Referral) -> None:
        self._referrals[referral.id] = referral
        self._referrals_of.setdefault(referral.leg, []).append(referral.id)

    def _drop_referral(self, referral: Referral) -> None:
        referral.state = ReferralState.GONE
        del self._referrals[referral.id]
        of = self._referrals_of[referral.leg]
        of.remove(referral.id)
        if not of:
            del self._referrals_of[referral.leg]
        self._timers.cancel(referral.id * 8 + RENEW_TIMER)
        self._timers.cancel(referral.id * 8 + END_TIMER)

    def _watch_until(self, now: int, referral: Referral) -> None:
        """Wait for reports until they end, and want them for longer before they do."""
        left_us = referral.until_us - now
        self._timers.set(referral.id * 8 + END_TIMER, referral.until_us)
        if left_us >= _SHORTEST_S * _SECOND_US:
            self._timers.set(referral.id * 8 + RENEW_TIMER, now + left_us // 2)

    def _report_until(self, now: int, referral: Referral, expires_s: int) -> None:
        referral.until_us = now + expires_s * _SECOND_US
        self._timers.set(referral.id * 8 + END_TIMER, referral.until_us)

    def _report(
        self, now: int, referral: Referral, status: int, reason: str, out: list[Output], end: str = ""
    ) -> None:
        """Send a NOTIFY in the leg's dialog; the last one says `end`."""
        referral.status = status
        referral.reason = reason or REASONS.get(status, "Response")
        leg = self._legs[referral.leg]
        left_s = max(0, referral.until_us - now) // _SECOND_US
        over = referral.state is ReferralState.REPORTED
        value = f"terminated;reason={end}" if over else f"active;expires={left_s}"
        extra = (
            f"Contact: {leg.dialog.contact}\r\nEvent: refer;id={referral.number}\r\nSubscription-State: {value}\r\n"
        )
        body = f"SIP/2.0 {status} {referral.reason}\r\n".encode("utf-8", "surrogateescape")
        tx = self._in_dialog(
            now, out, leg.dialog, "NOTIFY", Purpose.NOTIFY, extra, body, _SIPFRAG, leg=referral.id, flow=leg.flow
        )
        self._changed(leg, out)
        referral.newest = tx.handle
        if over:
            # From here on the transaction's end is the referral's.
            self._timers.cancel(referral.id * 8 + END_TIMER)
            referral.end = end
            referral.last = tx.handle
            referral.tries += 1

    def _referral_due(self, now: int, referral: Referral, timer: int, out: list[Output]) -> None:
        """A timer of a referral fired."""
        if timer == RENEW_TIMER:
            leg = self._legs[referral.leg]
            extra = f"Contact: {leg.dialog.contact}\r\nEvent: refer;id={referral.number}\r\nExpires: {_REPORTS_S}\r\n"
            self._in_dialog(
                now, out, leg.dialog, "SUBSCRIBE", Purpose.SUBSCRIBE, extra, leg=referral.id, flow=leg.flow
            )
            self._changed(leg, out)
            return
        before = referral.state
        known = referral.take(ReferralInput.EXPIRED)
        assert known
        if before is ReferralState.REPORTING:
            self._report(now, referral, referral.status, referral.reason, out, "timeout")
            return
        self._drop_referral(referral)
        if before is ReferralState.WATCHING:
            out.append(ReferEnded(referral.id, referral.leg, referral.status, "timeout"))

    def _refuse_pending(self, now: int, leg: Leg, out: list[Output]) -> None:
        super()._refuse_pending(now, leg, out)
        for handle in list(self._referrals_of.get(leg.id, ())):
            referral = self._referrals[handle]
            before = referral.state
            known = referral.take(ReferralInput.LEG_ENDED)
            assert known
            self._drop_referral(referral)
            if before in _SENT:
                out.append(ReferEnded(referral.id, leg.id, referral.status, "leg"))
            elif before is ReferralState.ASKED:
                self._answer(now, self._asked(referral), 487, out)

    def _forget_referrals(self, leg: int) -> None:
        for handle in list(self._referrals_of.get(leg, ())):
            for tx in [tx for tx in self._tx.by_handle.values() if tx.leg == handle]:
                self._tx.drop(tx)
            self._drop_referral(self._referrals[handle])

    def _usage_response(self, now: int, tx: ClientTransaction, response: Response, out: list[Output]) -> None:
        referral = self._referrals.get(tx.leg)
        if referral is None:
            super()._usage_response(now, tx, response, out)
        elif tx.purpose is Purpose.NOTIFY:
            self._reported(now, referral, tx, response.status, out)
        elif tx.method == "REFER":
            self._refer_answered(now, referral, response.status, response, out)
        elif response.status < 300 and (granted_s := parse_number(response.get("Expires") or "")):
            # A refusal leaves what is left.
            referral.until_us = now + granted_s * _SECOND_US
            self._watch_until(now, referral)

    def _usage_lost(self, now: int, tx: ClientTransaction, why: str, out: list[Output]) -> None:
        referral = self._referrals.get(tx.leg)
        if referral is None:
            super()._usage_lost(now, tx, why, out)
        elif tx.purpose is Purpose.NOTIFY:
            self._reported(now, referral, tx, 408, out)
        elif tx.method == "REFER":
            self._refer_answered(now, referral, 408 if why == "timeout" else 503, None, out)

    def _usage_may(self, tx: ClientTransaction) -> bool:
        referral = self._referrals.get(tx.leg)
        if referral is None:
            return super()._usage_may(tx)
        if tx.purpose is Purpose.NOTIFY:
            # A report that another has followed is made up for.
            return tx.handle == referral.newest
        wanted = ReferralState.ASKING if tx.method == "REFER" else ReferralState.WATCHING
        return referral.state is wanted

    def _usage_again(self, now: int, tx: ClientTransaction, new: ClientTransaction, out: list[Output]) -> None:
        referral = self._referrals.get(tx.leg)
        if referral is None:
            super()._usage_again(now, tx, new, out)
            return
        if tx.method == "REFER":
            referral.number = new.cseq
        elif tx.purpose is Purpose.NOTIFY:
            referral.newest = new.handle
            if referral.last == tx.handle:
                referral.last = new.handle
        self._changed(self._legs[referral.leg], out)

    def _reported(
        self, now: int, referral: Referral, tx: ClientTransaction, status: int, out: list[Output]
    ) -> None:
        """A report is answered or lost."""
        last = tx.handle == referral.last
        event = ReferralInput.GOT_SUCCESS if status < 300 else ReferralInput.GOT_REFUSAL
        if last and status == 500 and referral.tries < _TRIES:
            # Another request of the call overtook it.
            event = ReferralInput.GOT_ORDER
        elif not last and status not in OVER:
            # A report that is lost is made up for by the next.
            return
        known = referral.take(event)
        assert known
        if referral.state is ReferralState.GONE:
            self._drop_referral(referral)
        else:
            self._report(now, referral, referral.status, referral.reason, out, referral.end)

    def _refer_answered(
        self, now: int, referral: Referral, status: int, response: Response | None, out: list[Output]
    ) -> None:
        before = referral.state
        event = ReferralInput.GOT_REFUSAL
        if status < 300:
            assert response is not None
            said = (response.get("Refer-Sub") or "").partition(";")[0].strip(" \t").lower()
            event = ReferralInput.GOT_SILENT if said == "false" else ReferralInput.GOT_SUCCESS
        known = referral.take(event)
        assert known
        out.append(ReferAnswered(referral.id, referral.leg, status, response))
        if referral.state is ReferralState.WATCHING:
            if referral.until_us:
                self._watch_until(now, referral)
            else:
                # RFC 6665's timer N: no NOTIFY until then, no subscription.
                self._timers.set(referral.id * 8 + END_TIMER, now + 64 * self._timings.t1_us)
            return
        self._drop_referral(referral)
        if status < 300:
            why = "terminated" if before is ReferralState.ANSWER_DUE else "silent"
            out.append(ReferEnded(referral.id, referral.leg, referral.status, why))

    def _take_request(
        self, now: int, leg: Leg, tx: ServerTransaction, request: Request, origin: Hop, out: list[Output]
    ) -> None:
        rejection: Rejection | None = None
        if request.method == "REFER" and leg.announced:
            try:
                refer_to = read_refer_to(request)
            except ParseError as error:
                rejection = Rejection(400, f"Bad Refer-To: {error.text}")
            else:
                # Another method is the program's to judge, as are all requests that we know nothing of.
                if refer_to.method != "INVITE":
                    super()._take_request(now, leg, tx, request, origin, out)
                    return
                rejection = self._got_refer(now, leg, tx, request, refer_to, out)
        elif request.method in ("NOTIFY", "SUBSCRIBE") and event_of(request)[0].lower() == "refer":
            found = self._referral_of(leg, request)
            if found is None:
                rejection = _UNKNOWN
            elif request.method == "NOTIFY":
                rejection = self._got_report(now, found, tx, request, out)
            else:
                self._got_renewal(now, found, tx, request, out)
        else:
            super()._take_request(now, leg, tx, request, origin, out)
            return
        if rejection is not None:
            self._answer(now, tx, rejection.status, out, rejection.reason, header_lines(rejection.headers))
            out.append(Rejected(origin.listener, origin.destination, rejection.status, rejection.reason))

    def _referral_of(self, leg: Leg, request: Request) -> Referral | None:
        """The referral that a report or its renewal is about: by its id, the oldest without one (RFC 3515 section
        2.4.6)."""
        number = event_of(request)[1]
        reports = request.method == "NOTIFY"
        for handle in self._referrals_of.get(leg.id, ()):
            referral = self._referrals[handle]
            wanted = referral.state in _SENT if reports else referral.state in _ASKED
            if wanted and number in ("", str(referral.number)):
                return referral
        return None

    def _got_refer(
        self, now: int, leg: Leg, tx: ServerTransaction, request: Request, refer_to: ReferTo, out: list[Output]
    ) -> Rejection | None:
        if not self._referral_room(leg.id):
            return _FULL
        silent = (request.get("Refer-Sub") or "").partition(";")[0].strip(" \t").lower() == "false"
        referral = Referral(self._handle(), leg.id, ReferralState.ASKED, tx.cseq, silent=silent)
        referral.asked = tx.handle
        self._add_referral(referral)
        self._timers.set(referral.id * 8 + END_TIMER, now + 64 * self._timings.t1_us)
        by = request.get("Referred-By") or ""
        out.append(Referred(referral.id, leg.id, request, refer_to.uri, refer_to.replaces, by, silent))
        return None

    def _got_report(
        self, now: int, referral: Referral, tx: ServerTransaction, request: Request, out: list[Output]
    ) -> Rejection | None:
        try:
            said = read_subscription_state(request.get("Subscription-State") or "")
        except ParseError as error:
            return Rejection(400, f"Bad Subscription-State: {error.text}")
        end = said.state == "terminated"
        if not referral.take(ReferralInput.GOT_END if end else ReferralInput.GOT_NOTIFY):
            return _UNKNOWN
        self._answer(now, tx, 200, out)
        report = read_sipfrag(request)
        if report is not None:
            referral.status = report[0]
            out.append(ReferProgress(referral.id, referral.leg, *report))
        if referral.state is ReferralState.GONE:
            self._drop_referral(referral)
            out.append(ReferEnded(referral.id, referral.leg, referral.status, "terminated"))
            return None
        expires_s = _REPORTS_S if said.expires_s is None else said.expires_s
        referral.until_us = now + max(1, expires_s) * _SECOND_US
        if referral.state is ReferralState.WATCHING:
            self._watch_until(now, referral)
        return None

    def _got_renewal(
        self, now: int, referral: Referral, tx: ServerTransaction, request: Request, out: list[Output]
    ) -> None:
        """The peer wants our reports for longer, or no more (RFC 3515 section 2.4.4)."""
        asked_s = parse_number(request.get("Expires") or "")
        expires_s = _REPORTS_S if asked_s is None else min(asked_s, _REPORTS_S)
        if not referral.take(ReferralInput.GOT_SUBSCRIBE if expires_s else ReferralInput.GOT_LEAVE):
            self._answer(now, tx, 500, out, "Not Yet Answered", "Retry-After: 3\r\n")
            return
        contact = self._legs[referral.leg].dialog.contact
        self._answer(now, tx, 200, out, "", f"Contact: {contact}\r\nExpires: {expires_s}\r\n")
        self._report_until(now, referral, expires_s)
        self._report(now, referral, referral.status, referral.reason, out, "timeout")
