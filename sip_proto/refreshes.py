"""What becomes of a session timer that is due, and of refreshes that are answered, refused or lost (RFC 4028 section
10)."""

from sip_proto.build import Headers, header_lines
from sip_proto.dialog import Leg, learn_target
from sip_proto.errors import LocalError
from sip_proto.message import Response
from sip_proto.offers import OfferSide
from sip_proto.records import Output, RefreshRefused
from sip_proto.session_timer import SessionDue
from sip_proto.transactions import ClientTransaction


class RefreshSide(OfferSide):
    """Refreshes of ours, and the end of a session that nobody refreshes (ours)."""

    def refresh(self, now: int, leg: int, out: list[Output], *, headers: Headers = ()) -> None:
        """Refresh the session now, or once nothing else is under way, with credentials perhaps; LocalError where the
        leg has no timer or the peer refreshes (RFC 4028 section 10)."""
        found = self._leg(leg)
        extra = header_lines(headers)
        if found.session is None or not found.session.hasten():
            raise LocalError(f"leg {leg} has no session that we refresh")
        found.session.extra = extra
        self._arm_session(found)
        self._offer_next(now, found, out)

    def _session_due(self, now: int, leg: Leg, out: list[Output]) -> None:
        assert leg.session is not None
        due: list[SessionDue] = []
        leg.session.handle_timeout(now, due)
        if SessionDue.END in due:
            self._lost(now, leg, out, bye=True, why="session")
            return
        self._arm_session(leg)
        self._offer_next(now, leg, out)

    def _refresh_response(self, now: int, tx: ClientTransaction, response: Response, out: list[Output]) -> None:
        """The final response to an UPDATE of ours that has no offer."""
        leg = self._legs.get(tx.leg)
        if leg is None or leg.refresh != tx.handle:
            return
        leg.refresh = 0
        status = response.status
        if status < 300:
            if learn_target(leg.dialog, response):
                self._changed(leg, out)
            self._session_answered(now, leg, response, out)
        elif status in (408, 481):
            self._lost(now, leg, out, bye=status == 408)
            return
        elif status in (405, 501) and leg.dialog.allows_update:
            # Whatever its Allow said: by re-INVITE then.
            leg.dialog.allows_update = False
        elif status != 422 or not self._session_raised(leg, response):
            self._session_refused(now, leg)
            out.append(RefreshRefused(leg.id, status, response))
        self._offer_next(now, leg, out)

    def _refresh_lost(self, now: int, tx: ClientTransaction, status: int, out: list[Output]) -> None:
        """An UPDATE of ours had no answer (408), or never left (503)."""
        leg = self._legs.get(tx.leg)
        if leg is None or leg.refresh != tx.handle:
            return
        leg.refresh = 0
        if status == 408:
            self._lost(now, leg, out, bye=True)
        else:
            self._session_refused(now, leg)
            out.append(RefreshRefused(leg.id, status, None))
            self._offer_next(now, leg, out)
