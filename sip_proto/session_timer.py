"""The session timer of one leg: what its messages say, who refreshes, when it ends (RFC 4028)."""

import re
from enum import IntEnum
from typing import NamedTuple

import msgspec

from sip_proto.errors import LocalError, ParseError
from sip_proto.message import Message, Request, Response
from sip_proto.reliable import supports
from sip_proto.tables_timer import (
    ANSWER_ROWS,
    ANSWERED_ROWS,
    REQUEST_ROWS,
    SESSION_TRANSITIONS,
    Refresher,
    Says,
    SessionInput,
    SessionState,
)
from sip_proto.validate import Rejection
from sip_proto.values import read_delay

# No interval is shorter (RFC 4028 section 4).
LEAST_S = 90
_SECOND_US = 1_000_000
# A BYE goes out this long before the end, or a third of the interval if that is less (RFC 4028 section 10).
_MARGIN_US = 32 * _SECOND_US
# How long a request of the peer that is under way may still take, and the least pause before a refresh is tried again.
_GRACE_US = 32 * _SECOND_US
_PAUSE_US = 5 * _SECOND_US

_NAMES = {Says.INTERVAL: "", Says.UAC: ";refresher=uac", Says.UAS: ";refresher=uas"}
_SAID = {None: Says.INTERVAL, "uac": Says.UAC, "uas": Says.UAS}
_REFRESHERS = {
    SessionState.IDLE: Refresher.NOBODY,
    SessionState.OURS: Refresher.WE,
    SessionState.DUE: Refresher.WE,
    SessionState.THEIRS: Refresher.PEER,
    SessionState.OVER: Refresher.NOBODY,
}
# The value as almost everybody writes it.
_PLAIN = re.compile(r"([0-9]{1,9})(?:;refresher=(uac|uas))?\Z")


class Asked(NamedTuple):
    """What a request wants of the session: whether its sender knows timers, the interval (0 none) and what it says of
    the refresher, the least interval (90 when not written) (RFC 4028 section 9)."""

    knows: bool
    says: Says
    interval_s: int
    least_s: int


class SessionDue(IntEnum):
    """What has come due: a refresh of ours, or the end of the session without one."""

    REFRESH = 0
    END = 1


def check_interval(session_s: int, least_s: int) -> int:
    """`session_s`, which is 0 for no timer or at least `least_s`; LocalError (RFC 4028 section 7.1)."""
    if session_s and session_s < least_s:
        raise LocalError(f"a session of {session_s} s where {least_s} s are the least")
    return session_s


def read_asked(request: Request, least_s: int) -> Asked | Rejection:
    """What an INVITE or UPDATE wants; 422 for an interval below `least_s` from a sender that knows timers, 400 for
    headers that cannot be read (RFC 4028 section 9)."""
    try:
        interval_s, says = _interval(request)
        shortest_s = _shortest(request)
    except ParseError as error:
        return Rejection(400, f"Bad session interval: {error.text}")
    knows = supports(request, "timer")
    if knows and says is not Says.NOTHING and interval_s < least_s:
        return Rejection(422, "Session Interval Too Small", (("Min-SE", str(least_s)),))
    return Asked(knows, says, interval_s, max(LEAST_S, shortest_s))


def _shortest(message: Message) -> int:
    value = message.get("Min-SE")
    if value is None:
        return 0
    return int(value) if value.isdecimal() and value.isascii() and len(value) < 10 else read_delay(value).seconds


def _interval(message: Message) -> tuple[int, Says]:
    value = message.get("Session-Expires")
    if value is None:
        return 0, Says.NOTHING
    if (plain := _PLAIN.match(value)) is not None:
        return int(plain[1]), _SAID[plain[2]]
    delay = read_delay(value)
    return delay.seconds, _SAID.get(delay.params.get("refresher", "").lower(), Says.INTERVAL)


class SessionTimer(msgspec.Struct, gc=False, eq=False):
    """When one leg's session is refreshed and when it ends; each 2xx to an INVITE, re-INVITE or UPDATE begins it anew
    (RFC 4028 sections 7.2, 9, 10).

    `wanted_s` is our own interval, `interval_s` the one agreed, 0 for none yet; `agreed` is False while the peer knows
    nothing of it and we refresh alone.
    """

    wanted_s: int
    # Our own least interval.
    least_s: int
    interval_s: int = 0
    agreed: bool = False
    # Header lines of the program's for the next refresh.
    extra: str = ""
    # How often a 422 has raised the interval.
    raises: int = 0
    state: SessionState = SessionState.IDLE
    # The largest interval that the peer's side has named as its least in this dialog.
    peer_s: int = 0
    half_us: int = 0
    end_us: int = 0

    @property
    def refresher(self) -> Refresher:
        """Who refreshes (ours)."""
        return _REFRESHERS[self.state]

    def request_lines(self) -> str:
        """Session-Expires and Min-SE of our INVITE or UPDATE (RFC 4028 sections 7.1, 7.4)."""
        least_s = max(self.least_s, self.peer_s)
        asked_s = max(self.interval_s or self.wanted_s, least_s)
        return f"Session-Expires: {asked_s}{_NAMES[REQUEST_ROWS[self.refresher]]}\r\nMin-SE: {least_s}\r\n"

    def heard(self, now: int, asked: Asked) -> None:
        """The peer's re-INVITE or UPDATE came: it refreshes the session once it is answered, which does not end in the
        meantime (RFC 4028 section 7.4, the pause ours)."""
        self.peer_s = max(self.peer_s, asked.least_s)
        self.end_us = max(self.end_us, now + _GRACE_US)

    def answer(self, now: int, asked: Asked) -> str:
        """Our 2xx goes out: its header lines; the session begins anew (RFC 4028 section 9)."""
        interval_s = min(asked.interval_s or self.interval_s or self.wanted_s, self.wanted_s)
        self.interval_s = max(interval_s, asked.least_s, self.least_s)
        row = ANSWER_ROWS[asked.knows, asked.says, self.refresher]
        self._begin(now, row.refresher, asked.knows)
        name = _NAMES[Says.UAS if row.refresher is Refresher.WE else Says.UAC]
        line = f"Session-Expires: {self.interval_s}{name}\r\n"
        return f"Require: timer\r\n{line}" if row.require else line

    def answered(self, now: int, response: Response) -> None:
        """The 2xx to our INVITE or UPDATE: the session begins anew (RFC 4028 section 7.2)."""
        try:
            interval_s, says = _interval(response)
        except ParseError:
            interval_s, says = 0, Says.NOTHING
        row = ANSWERED_ROWS[says]
        if self.refresher is Refresher.NOBODY:
            # What proxies wanted that may not be on the dialog's way.
            self.peer_s = 0
        self.interval_s = max(interval_s or self.interval_s or self.wanted_s, LEAST_S)
        self._begin(now, row.refresher, row.agreed)

    def raised(self, response: Response) -> bool:
        """Whether a 422 asks for a longer interval, which the next request has then (RFC 4028 section 7.3)."""
        try:
            least_s = _shortest(response)
        except ParseError:
            return False
        if least_s <= max(self.interval_s or self.wanted_s, self.least_s, self.peer_s):
            return False
        self.peer_s = least_s
        self.raises += 1
        return True

    def refused(self, now: int) -> None:
        """A refresh of ours got a final answer that is neither a 2xx nor the end of the dialog. One that refreshes
        alone knows by it that the peer lives; else there is another try before the end (RFC 4028 section 10)."""
        if self.state is not SessionState.DUE:
            return
        if not self.agreed:
            self._begin(now, Refresher.WE, False)
            return
        self._take(SessionInput.REFUSED)
        self.half_us = now + max((self.end_us - now) // 2, _PAUSE_US)

    def hasten(self) -> bool:
        """Have our refresh now; False where it is not ours to refresh (ours)."""
        self._take(SessionInput.HALF)
        return self.state is SessionState.DUE

    def restore(self, now: int, interval_s: int, *, refresher: bool, agreed: bool, lot: int) -> None:
        """Go on with what was agreed before; a refresh of ours comes soon, spread by `lot`, as half of the interval may
        be over (ours)."""
        self.interval_s = interval_s
        self._begin(now, Refresher.WE if refresher else Refresher.PEER, agreed)
        self.half_us = now + interval_s * _SECOND_US * (lot % 64) // 512

    def next_deadline(self) -> int | None:
        """When handle_timeout must be called, None for never (ours)."""
        if self.state is SessionState.OURS:
            return min(self.half_us, self.end_us)
        return self.end_us if self.state in (SessionState.DUE, SessionState.THEIRS) else None

    def handle_timeout(self, now: int, out: list[SessionDue]) -> None:
        """Say what is due by `now` (RFC 4028 section 10)."""
        deadline_us = self.next_deadline()
        if deadline_us is None or deadline_us > now:
            return
        if self.end_us <= now:
            self._take(SessionInput.END)
            out.append(SessionDue.END)
        else:
            self._take(SessionInput.HALF)
            out.append(SessionDue.REFRESH)

    def _begin(self, now: int, refresher: Refresher, agreed: bool) -> None:
        life_us = self.interval_s * _SECOND_US
        self.agreed = agreed
        self.end_us = now + life_us - min(_MARGIN_US, life_us // 3)
        self.half_us = now + life_us // 2 if refresher is Refresher.WE else self.end_us
        self._take(SessionInput.WE if refresher is Refresher.WE else SessionInput.PEER)

    def _take(self, event: SessionInput) -> None:
        self.state = SESSION_TRANSITIONS.get((self.state, event), self.state)
