"""A registration from the client's side: asked for, kept alive, taken back (RFC 3261 section 10.2)."""

import msgspec

from sip_proto.build import check_texts
from sip_proto.credentials import MOST_TURNS, Credentials
from sip_proto.errors import LocalError, ParseError
from sip_proto.headers import parse_name_addr, parse_number
from sip_proto.ids import Ids
from sip_proto.message import Response
from sip_proto.same import same_uri
from sip_proto.tables_usage import REGISTRATION_TRANSITIONS, RegistrationInput, RegistrationState
from sip_proto.uri import Uri, parse_uri
from sip_proto.values_address import check_route

_SECOND_US = 1_000_000
# Bindings that live longer are renewed this long before they end, others at half of their life.
_MARGIN_US = 600 * _SECOND_US
_TURNS = 5


class RegistrationSettings(msgspec.Struct, frozen=True):
    """What to register: `registrar` is the domain's URI, `aor` the address of record, `contact` our URI; `route` leads
    through outbound proxies. After a failure: again in `retry_s`, doubled up to `most_retry_s` (RFC 5626 section 4.5).
    """

    registrar: str
    aor: str
    contact: str
    expires_s: int = 3600
    route: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    q: str = ""
    retry_s: int = 30
    most_retry_s: int = 1800
    most_expires_s: int = 86_400


class Register(msgspec.Struct, frozen=True):
    """Send a REGISTER: the fields are keyword arguments of Endpoint.request(); then responded() with its `cseq`."""

    cseq: int
    uri: str
    from_: str
    to: str
    call_id: str
    from_tag: str
    route: tuple[str, ...]
    headers: tuple[tuple[str, str], ...]


class Registered(msgspec.Struct, frozen=True):
    """The binding holds for `expires_s` from now; `service_route` and `path` are as the registrar said (RFC 3608, RFC
    3327), the first empty when a part of it is no route, `contacts` every binding of the address of record."""

    expires_s: int
    service_route: tuple[str, ...]
    path: tuple[str, ...]
    contacts: tuple[str, ...]


class Unregistered(msgspec.Struct, frozen=True):
    """The binding is taken back, or nobody answered to that: `status` is 200, else what was said, 408 or 503."""

    status: int


class RegistrationFailed(msgspec.Struct, frozen=True):
    """An attempt failed with `status` (408 and 503 without a response); the next is made by itself at `retry_us`."""

    status: int
    reason: str
    retry_us: int


RegistrationOutput = Register | Registered | Unregistered | RegistrationFailed


class Registration:
    """One binding at one registrar; one REGISTER at a time, one Call-ID for all of them (RFC 3261 section 10.2.4)."""

    __slots__ = (
        "_call_id",
        "_credentials",
        "_cseq",
        "_deadline",
        "_everything",
        "_expires_s",
        "_failures",
        "_settings",
        "_tag",
        "_turns",
        "state",
    )

    def __init__(self, settings: RegistrationSettings, seed: bytes, credentials: Credentials) -> None:
        check_texts(settings.registrar, settings.aor, settings.contact, settings.q, *settings.route)
        for text in (settings.registrar, settings.contact):
            try:
                parse_uri(text)
            except ParseError as error:
                raise LocalError(f"no URI: {text[:40]!r}") from error
        ids = Ids(seed, 0)
        self._settings = settings
        self._credentials = credentials
        self._call_id = ids.token()
        self._tag = ids.token()
        self._cseq = 0
        self._deadline: int | None = None
        self._expires_s = settings.expires_s
        self._everything = False
        # Answers to one attempt that led to another request, and attempts that failed in a row.
        self._turns = 0
        self._failures = 0
        self.state = RegistrationState.IDLE

    def register(self, now: int, out: list[RegistrationOutput]) -> None:
        """Bind, and renew until unregister(); LocalError while a request is under way (RFC 3261 section 10.2.1)."""
        self._enter(self._ask(RegistrationInput.REGISTER), out)

    def unregister(self, now: int, out: list[RegistrationOutput], *, everything: bool = False) -> None:
        """Take the binding back, or all of the address of record; Unregistered follows (RFC 3261 section 10.2.2)."""
        state = self._ask(RegistrationInput.UNREGISTER)
        self._everything = everything
        self._enter(state, out)

    def responded(
        self, now: int, cseq: int, response: Response | None, host: str, out: list[RegistrationOutput], why: str = ""
    ) -> None:
        """The final response to the Register of `cseq` from the IP literal `host`, None when none came (`why` as in
        Responded); one that is not awaited is ignored (RFC 3261 section 10.2)."""
        if cseq != self._cseq or self.state in (
            RegistrationState.IDLE,
            RegistrationState.BOUND,
            RegistrationState.WAITING,
        ):
            return
        # An endpoint that answers challenges by itself has counted on.
        self._cseq += MOST_TURNS if response is None else max(0, _number(response) - cseq)
        if response is not None and 200 <= response.status < 300:
            self._succeeded(now, response, out)
        elif response is not None and self._again(response, host):
            self._take(RegistrationInput.AGAIN, out)
        elif response is None:
            status, text = (503, "no stream") if why == "transport" else (408, "no answer")
            self._failed(now, status, text, 0, out)
        else:
            retry_s = parse_number((response.get("Retry-After") or "").partition(";")[0].partition("(")[0]) or 0
            self._failed(now, response.status, response.reason, retry_s, out)

    def flow_lost(self, now: int, out: list[RegistrationOutput]) -> None:
        """The stream that the registrar reaches us by is gone: bind anew (RFC 5626 section 4.4)."""
        self._take(RegistrationInput.LOST, out)

    def next_deadline(self) -> int | None:
        """When handle_timeout must be called, None for never (ours)."""
        return self._deadline

    def handle_timeout(self, now: int, out: list[RegistrationOutput]) -> None:
        """Renew the binding, or try again, when that is due (ours)."""
        if self._deadline is not None and self._deadline <= now:
            self._take(RegistrationInput.DUE, out)

    def _ask(self, event: RegistrationInput) -> RegistrationState:
        state = REGISTRATION_TRANSITIONS.get((self.state, event))
        if state is None:
            raise LocalError(f"the registration is {self.state.name}: {event.name} cannot be")
        return state

    def _take(self, event: RegistrationInput, out: list[RegistrationOutput]) -> None:
        state = REGISTRATION_TRANSITIONS.get((self.state, event))
        if state is not None:
            if event is not RegistrationInput.AGAIN:
                self._turns = 0
            self._enter(state, out)

    def _enter(self, state: RegistrationState, out: list[RegistrationOutput]) -> None:
        self.state = state
        self._deadline = None
        if state in (RegistrationState.ASKING, RegistrationState.REFRESHING):
            self._send(f"<{self._settings.contact}>;expires={self._expires_s}", self._expires_s, out)
        elif state is RegistrationState.LEAVING:
            self._send("*" if self._everything else f"<{self._settings.contact}>;expires=0", 0, out)

    def _send(self, contact: str, expires_s: int, out: list[RegistrationOutput]) -> None:
        settings = self._settings
        if settings.q and expires_s:
            contact += f";q={settings.q}"
        self._cseq += 1
        headers = (
            ("Contact", contact),
            ("Expires", str(expires_s)),
            ("Supported", "path"),
            *settings.headers,
            *self._credentials.headers("REGISTER", settings.registrar),
        )
        out.append(
            Register(
                self._cseq,
                settings.registrar,
                f"<{settings.aor}>",
                f"<{settings.aor}>",
                self._call_id,
                self._tag,
                settings.route,
                headers,
            )
        )

    def _again(self, response: Response, host: str) -> bool:
        """Whether other words may help: credentials that are new, or a longer time (RFC 3261 section 10.2.8)."""
        self._turns += 1
        if self._turns > _TURNS:
            return False
        if response.status in (401, 407):
            return self._credentials.challenged(response, host)
        least_s = parse_number(response.get("Min-Expires") or "") if response.status == 423 else None
        if least_s is None or not self._expires_s < least_s <= self._settings.most_expires_s:
            return False
        self._expires_s = least_s
        return True

    def _succeeded(self, now: int, response: Response, out: list[RegistrationOutput]) -> None:
        self._failures = 0
        leaving = self.state is RegistrationState.LEAVING
        self._take(RegistrationInput.SUCCESS, out)
        if leaving:
            out.append(Unregistered(response.status))
        if self.state is not RegistrationState.BOUND:
            return
        granted_s = self._granted(response)
        life_us = granted_s * _SECOND_US
        self._deadline = now + max(life_us // 2, life_us - _MARGIN_US)
        service_route = tuple(response.elements("Service-Route"))
        try:
            for hop in service_route:
                check_route(hop)
        except ParseError:
            # A way with a hole in it is none.
            service_route = ()
        out.append(
            Registered(
                granted_s,
                service_route,
                tuple(response.elements("Path")),
                tuple(response.elements("Contact")),
            )
        )

    def _granted(self, response: Response) -> int:
        found: list[tuple[Uri, int | None]] = []
        for value in response.elements("Contact"):
            try:
                contact = parse_name_addr(value)
                found.append((parse_uri(contact.uri), contact.expires_s))
            except ParseError:
                continue
        general = parse_number(response.get("Expires") or "")
        given = [granted_s for _, granted_s in _ours(parse_uri(self._settings.contact), found) if granted_s is not None]
        if not given:
            others = [granted_s for _, granted_s in found if granted_s is not None]
            given = others if general is None else [general]
        # Nothing longer than was asked for, nothing so short that we would do nothing else.
        return max(2, min([*given, self._expires_s]))

    def _failed(self, now: int, status: int, reason: str, retry_s: int, out: list[RegistrationOutput]) -> None:
        leaving = self.state is RegistrationState.LEAVING
        self._take(RegistrationInput.FAILURE, out)
        if leaving:
            out.append(Unregistered(status))
        if self.state is not RegistrationState.WAITING:
            return
        settings = self._settings
        wait_s = min(settings.retry_s << min(self._failures, 16), settings.most_retry_s)
        self._failures += 1
        self._deadline = now + max(wait_s, min(retry_s, settings.most_retry_s)) * _SECOND_US
        out.append(RegistrationFailed(status, reason, self._deadline))


def _ours(ours: Uri, found: list[tuple[Uri, int | None]]) -> list[tuple[Uri, int | None]]:
    """The bindings that may be ours: the one that is the same, else the only one, which a registrar that sees through
    NATs has rewritten, else those of our user, else all."""
    same = [one for one in found if same_uri(one[0], ours)]
    if same or len(found) == 1:
        # Of one that stands twice the last word counts.
        return same[-1:] or found
    return [one for one in found if one[0].user == ours.user] or found


def _number(response: Response) -> int:
    try:
        return response.cseq[0]
    except ParseError:
        return 0
