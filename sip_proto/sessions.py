"""Session timers of an endpoint's legs: what requests and 2xx say of them, and our own refreshes (RFC 4028)."""

from sip_proto.core import SESSION_TIMER, Core
from sip_proto.dialog import Leg
from sip_proto.message import Request, Response
from sip_proto.records import Output
from sip_proto.session_timer import Asked, SessionTimer, check_interval, read_asked
from sip_proto.tables_timer import Refresher, SessionState
from sip_proto.transactions import Purpose, ServerTransaction
from sip_proto.validate import Rejection


class SessionSide(Core):
    """One session timer a leg (ours)."""

    def _new_session(self, session_s: int | None) -> SessionTimer | None:
        """A timer for a new leg, None where it has none; LocalError for an interval that is too short."""
        settings = self._settings
        wanted_s = settings.session_s if session_s is None else check_interval(session_s, settings.min_session_s)
        return SessionTimer(wanted_s, settings.min_session_s) if wanted_s else None

    def _restore_session(self, now: int, leg: Leg) -> None:
        """Go on with the timer of a stored dialog."""
        dialog, settings = leg.dialog, self._settings
        if dialog.session_s:
            leg.described = dialog.refresh_body
            leg.session = SessionTimer(settings.session_s or dialog.session_s, settings.min_session_s)
            leg.session.restore(
                now, dialog.session_s, refresher=dialog.refresher, agreed=dialog.session_agreed, lot=leg.id
            )
            self._arm_session(leg)

    def _supported_by(self, leg: Leg) -> str:
        """Our Supported line in a leg."""
        return self._supported_line if leg.session is None else self._timer_line

    def _request_lines(self, leg: Leg) -> str:
        """What an INVITE or UPDATE of ours says of the session."""
        return "" if leg.session is None else leg.session.request_lines()

    def _session_asked(self, leg: Leg, request: Request) -> Asked | Rejection | None:
        """What a request in a dialog says of the session; None before that is confirmed, and for other methods."""
        if not leg.announced or request.method not in ("INVITE", "UPDATE"):
            return None
        return read_asked(request, 0 if leg.session is None else self._settings.min_session_s)

    def _session_heard(self, now: int, leg: Leg, tx: ServerTransaction, asked: Asked | None) -> None:
        """A request was taken that refreshes the session when it is answered."""
        tx.asked = asked
        if asked is not None and leg.session is not None:
            leg.session.heard(now, asked)
            self._arm_session(leg)

    def _answer_lines(self, now: int, leg: Leg, tx: ServerTransaction, out: list[Output]) -> str:
        """What our 2xx says of the session, which begins anew with it."""
        if leg.session is None or tx.asked is None:
            return ""
        text = leg.session.answer(now, tx.asked)
        self._keep_session(leg, out)
        return text

    def _session_answered(self, now: int, leg: Leg, response: Response, out: list[Output]) -> None:
        """A 2xx to an INVITE or UPDATE of ours came: the session begins anew."""
        if leg.session is not None:
            leg.session.answered(now, response)
            self._keep_session(leg, out)

    def _session_raised(self, leg: Leg, response: Response | None) -> bool:
        """Whether a 422 makes our next request a longer one."""
        session = leg.session
        if session is None or response is None or session.raises >= self._limits.offer_tries:
            return False
        return session.raised(response)

    def _session_refused(self, now: int, leg: Leg) -> None:
        """A request that would have refreshed the session got another final answer."""
        if leg.session is not None:
            leg.session.refused(now)
            self._arm_session(leg)

    def _keep_session(self, leg: Leg, out: list[Output]) -> None:
        """Arm the timer, and tell of what a restart has to know."""
        session, dialog = leg.session, leg.dialog
        assert session is not None
        self._arm_session(leg)
        ours = session.refresher is Refresher.WE
        # What a re-INVITE of ours has to offer; an UPDATE needs nothing.
        body = leg.described if ours and not dialog.allows_update else b""
        before = (dialog.session_s, dialog.refresher, dialog.session_agreed, dialog.refresh_body)
        after = (session.interval_s, ours, session.agreed, body)
        if after != before:
            dialog.session_s, dialog.refresher, dialog.session_agreed, dialog.refresh_body = after
            if leg.announced:
                self._changed(leg, out)

    def _arm_session(self, leg: Leg) -> None:
        assert leg.session is not None
        deadline_us = leg.session.next_deadline()
        if deadline_us is None:
            self._timers.cancel(leg.id * 8 + SESSION_TIMER)
        else:
            self._timers.set(leg.id * 8 + SESSION_TIMER, deadline_us)

    def _wants_refresh(self, leg: Leg) -> bool:
        return leg.session is not None and leg.session.state is SessionState.DUE

    def _refresh(self, now: int, leg: Leg, out: list[Output]) -> None:
        """Refresh a session in which nothing else is under way: by UPDATE, else what we described last goes into the
        queue as an offer (RFC 4028 section 7.4)."""
        session = leg.session
        assert session is not None
        if len(self._tx) >= self._limits.transactions:
            self._session_refused(now, leg)
            return
        more, session.extra = session.extra, ""
        if leg.dialog.allows_update or not leg.described:
            extra = f"Contact: {leg.dialog.contact}\r\n{self._allow_line}{self._supported_by(leg)}"
            extra += session.request_lines() + more
            tx = self._in_dialog(
                now, out, leg.dialog, "UPDATE", Purpose.REFRESH, extra, leg=leg.id, flow=leg.flow
            )
            leg.refresh = tx.handle
            self._changed(leg, out)
        else:
            leg.arbiter.add_own(leg.described, more)
