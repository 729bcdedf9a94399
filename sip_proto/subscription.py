"""Subscriptions beside the calls of an Endpoint: ours to a peer's events and a peer's to ours (RFC 6665)."""

from collections.abc import Sequence

from sip_proto.build import Headers, RequestParts, check_texts, check_uri, has_header, header_lines
from sip_proto.core import ACCEPTED_TIMER, ACK_TIMER, name_addr, route_tuple, split_max_forwards
from sip_proto.dialog import apply_routes, dialog_of_invite, learn_target, lines
from sip_proto.errors import LocalError, ParseError
from sip_proto.flows import Hop
from sip_proto.headers import parse_number
from sip_proto.message import Request, Response
from sip_proto.records import (
    Dialog,
    Notified,
    NotifyLost,
    Output,
    RenewalRefused,
    Subscribed,
    SubscriptionAsked,
    SubscriptionEnded,
    SubscriptionRenewed,
)
from sip_proto.settings import EndpointSettings
from sip_proto.tables_usage import SUBSCRIPTION_TRANSITIONS, SubscriptionInput, SubscriptionState
from sip_proto.transactions import ClientTransaction, Key, Purpose, ServerTransaction
from sip_proto.uas import CalleeSide
from sip_proto.uri import Address
from sip_proto.validate import Rejection
from sip_proto.values_event import read_event, read_subscription_state

# A usage's timers have the places of a leg's: renew ours, end the usage.
RENEW_TIMER = ACCEPTED_TIMER
END_TIMER = ACK_TIMER

_SECOND_US = 1_000_000
_DEFAULT_S = 3600
_MARGIN_US = 600 * _SECOND_US
# Responses after which a subscription is over (RFC 6665 sections 4.1.2.2 and 4.2.2, RFC 5057 section 5.1).
OVER = (404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604)
_SECRETS = ("authorization", "proxy-authorization")
_UNKNOWN = Rejection(481, "Subscription Does Not Exist")
_OLD = Rejection(500, "CSeq Out Of Order")
_FULL = Rejection(503, "Service Unavailable", (("Retry-After", "5"),))

UsageKey = tuple[str, str, str, str]


class Usage:
    """One subscription; `asked` is the handle of the SUBSCRIBE that waits for the program (ours)."""

    __slots__ = ("asked", "dialog", "event", "event_id", "expires_s", "flow", "headers", "id", "state", "until_us")

    def __init__(self, dialog: Dialog, state: SubscriptionState, event: str, event_id: str, expires_s: int) -> None:
        self.id = dialog.leg
        self.dialog = dialog
        self.state = state
        self.event = event
        self.event_id = event_id
        # The time that is asked for, or at most granted.
        self.expires_s = expires_s
        self.until_us = 0
        self.flow = 0
        self.asked = 0
        self.headers: Headers = ()

    def key(self) -> UsageKey:
        """What a request of the peer finds it by (RFC 6665 section 4.4.1)."""
        return self.dialog.call_id, self.dialog.local_tag, self.event, self.event_id

    def event_line(self) -> str:
        """Its Event header line."""
        return f"Event: {self.event};id={self.event_id}\r\n" if self.event_id else f"Event: {self.event}\r\n"

    def ask(self, event: SubscriptionInput) -> SubscriptionState:
        """The state that the program's input leads to; LocalError when it has no row."""
        state = SUBSCRIPTION_TRANSITIONS.get((self.state, event))
        if state is None:
            raise LocalError(f"subscription {self.id} is {self.state.name}: {event.name} cannot be")
        return state

    def take(self, event: SubscriptionInput) -> bool:
        """Enter the state that a peer's input leads to; False when it has no row."""
        state = SUBSCRIPTION_TRANSITIONS.get((self.state, event))
        if state is None:
            return False
        self.state = state
        return True


class SubscriptionSide(CalleeSide):
    """Subscriber and notifier (ours)."""

    def __init__(self, settings: EndpointSettings, seed: bytes) -> None:
        super().__init__(settings, seed)
        self._usages: dict[int, Usage] = {}
        self._by_usage: dict[UsageKey, int] = {}
        check_texts(*settings.events)

    def subscribe(
        self,
        now: int,
        out: list[Output],
        *,
        event: str,
        listener: str,
        destination: Address,
        uri: str,
        from_: str,
        to: str,
        event_id: str = "",
        expires_s: int = _DEFAULT_S,
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
        """Subscribe and renew until unsubscribe(), or look once with 0 seconds; the subscription's handle. Then
        Subscribed, Notified, and SubscriptionEnded in the end (RFC 6665 section 4.1).

        After 401 or 407 in SubscriptionEnded: the same call_id and from_tag, cseq + 1, credentials in `headers`.
        """
        self._room(leg=False)
        if len(self._usages) >= self._limits.subscriptions:
            raise LocalError(f"{self._limits.subscriptions} subscriptions: no room for another")
        hop = self._hop(listener, transport, destination, flow)
        check_uri(uri)
        check_texts(event, event_id, from_, to, contact, content_type, call_id or "", from_tag or "")
        max_forwards, extra = split_max_forwards(headers)
        dialog = Dialog(
            self._handle(),
            call_id or self._new_call_id(listener),
            from_tag or self._ids.tag(),
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
            contact or self._contact(hop),
            uri[:5].lower() == "sips:",
            hop.transport,
        )
        usage = Usage(dialog, SubscriptionState.ASKING, event, event_id, expires_s)
        if usage.key() in self._by_usage:
            raise LocalError("a subscription with this Call-ID, tag and event is alive")
        usage.headers = tuple(pair for pair in headers if pair[0].lower() not in (*_SECRETS, "max-forwards"))
        target, routes, _ = apply_routes(uri, dialog.route_set)
        branch = self._ids.branch()
        parts = RequestParts(
            target,
            self._via(hop, branch),
            routes,
            lines(dialog.local_uri, dialog.local_tag),
            dialog.remote_uri,
            dialog.call_id,
            dialog.local_cseq,
        )
        self._add_usage(usage)
        usage.flow = self._start_client(
            now,
            out,
            method="SUBSCRIBE",
            purpose=Purpose.SUBSCRIBE,
            leg=usage.id,
            hop=hop,
            parts=parts,
            branch=branch,
            extra=self._subscribe_lines(usage, expires_s, extra, headers),
            body=body,
            content_type=content_type,
            max_forwards=max_forwards,
        ).flow
        # RFC 6665's timer N: no NOTIFY until then, no subscription.
        self._timers.set(usage.id * 8 + END_TIMER, now + 64 * self._timings.t1_us)
        return usage.id

    def resubscribe(
        self, now: int, subscription: int, out: list[Output], *, expires_s: int | None = None, headers: Headers = ()
    ) -> None:
        """Renew now, with further `headers` (credentials) or another time (RFC 6665 section 4.1.2.2)."""
        usage = self._usage(subscription)
        usage.ask(SubscriptionInput.REFRESH)
        self._room(leg=False)
        if expires_s is not None:
            usage.expires_s = expires_s
        self._renew(now, usage, usage.expires_s, header_lines(headers), out)

    def unsubscribe(self, now: int, subscription: int, out: list[Output], *, headers: Headers = ()) -> None:
        """Give an active subscription back; SubscriptionEnded follows (RFC 6665 section 4.1.2.3)."""
        usage = self._usage(subscription)
        state = usage.ask(SubscriptionInput.LEAVE)
        extra = header_lines(headers)
        self._room(leg=False)
        usage.state = state
        self._timers.cancel(usage.id * 8 + RENEW_TIMER)
        self._timers.set(usage.id * 8 + END_TIMER, now + 64 * self._timings.t1_us)
        self._renew(now, usage, 0, extra, out)

    def accept_subscription(
        self,
        now: int,
        subscription: int,
        out: list[Output],
        *,
        expires_s: int | None = None,
        status: int = 200,
        headers: Headers = (),
    ) -> None:
        """Answer a SubscriptionAsked with 200 (or 202), for at most the time that it asks for; notify() is due next
        (RFC 6665 section 4.2.1)."""
        usage = self._usage(subscription)
        state = usage.ask(SubscriptionInput.ACCEPT)
        if status not in (200, 202):
            raise LocalError(f"status {status} where 200 or 202 is due")
        extra = header_lines(headers)
        tx = self._tx.by_handle[usage.asked]
        assert isinstance(tx, ServerTransaction)
        usage.state = state
        usage.asked = 0
        usage.expires_s = min(usage.expires_s if expires_s is None else expires_s, usage.expires_s)
        self._serve_until(now, usage, usage.expires_s)
        self._answer(now, tx, status, out, "", self._grant_lines(usage, tx.routes, usage.expires_s) + extra)

    def reject_subscription(
        self, now: int, subscription: int, status: int, out: list[Output], *, reason: str = "", headers: Headers = ()
    ) -> None:
        """Answer a SubscriptionAsked with a 300 to 699; the subscription is gone (RFC 6665 section 4.2.1)."""
        usage = self._usage(subscription)
        usage.ask(SubscriptionInput.REJECT)
        if not 300 <= status <= 699:
            raise LocalError(f"status {status} where 300 to 699 is due")
        check_texts(reason)
        extra = header_lines(headers)
        tx = self._tx.by_handle[usage.asked]
        assert isinstance(tx, ServerTransaction)
        self._drop_usage(usage)
        self._answer(now, tx, status, out, reason, extra)

    def notify(
        self,
        now: int,
        subscription: int,
        out: list[Output],
        *,
        state: str = "active",
        reason: str = "",
        retry_after_s: int | None = None,
        headers: Headers = (),
        body: bytes = b"",
        content_type: str = "",
    ) -> None:
        """Tell a subscriber; with the state "terminated" the subscription is gone (RFC 6665 section 4.2.2)."""
        usage = self._usage(subscription)
        end = state == "terminated"
        usage.ask(SubscriptionInput.END if end else SubscriptionInput.NOTIFY)
        check_texts(state, reason, content_type)
        extra = header_lines(headers)
        self._room(leg=False)
        value = state if end else f"{state};expires={max(0, usage.until_us - now) // _SECOND_US}"
        value += f";reason={reason}" if reason else ""
        value += f";retry-after={retry_after_s}" if retry_after_s is not None else ""
        self._send_notify(now, usage, value, end, extra, body, content_type, out)
        if end:
            self._drop_usage(usage)

    def forget_subscription(self, now: int, subscription: int, out: list[Output]) -> None:
        """Drop a subscription and its transactions without a word to anyone (ours)."""
        usage = self._usage(subscription)
        for tx in [tx for tx in self._tx.by_handle.values() if tx.leg == subscription]:
            self._tx.drop(tx)
        self._drop_usage(usage)

    def _usage(self, subscription: int) -> Usage:
        found = self._usages.get(subscription)
        if found is None:
            raise LocalError(f"no subscription {subscription}")
        return found

    def _add_usage(self, usage: Usage) -> None:
        self._usages[usage.id] = usage
        self._by_usage[usage.key()] = usage.id

    def _drop_usage(self, usage: Usage) -> None:
        usage.state = SubscriptionState.GONE
        del self._usages[usage.id]
        del self._by_usage[usage.key()]
        self._timers.cancel(usage.id * 8 + RENEW_TIMER)
        self._timers.cancel(usage.id * 8 + END_TIMER)

    def _subscribe_lines(self, usage: Usage, expires_s: int, extra: str, headers: Headers) -> str:
        contact = "" if has_header(headers, "Contact") else f"Contact: {usage.dialog.contact}\r\n"
        return f"{contact}{usage.event_line()}Expires: {expires_s}\r\n{extra}{self._agent_line}"

    def _grant_lines(self, usage: Usage, routes: str, expires_s: int) -> str:
        return f"{routes}Contact: {usage.dialog.contact}\r\nExpires: {expires_s}\r\n"

    def _renew(self, now: int, usage: Usage, expires_s: int, extra: str, out: list[Output]) -> None:
        self._timers.cancel(usage.id * 8 + RENEW_TIMER)
        extra = self._subscribe_lines(usage, expires_s, header_lines(usage.headers) + extra, usage.headers)
        extra = extra.removesuffix(self._agent_line)
        self._in_dialog(now, out, usage.dialog, "SUBSCRIBE", Purpose.SUBSCRIBE, extra, leg=usage.id, flow=usage.flow)

    def _send_notify(
        self,
        now: int,
        usage: Usage,
        value: str,
        end: bool,
        extra: str,
        body: bytes,
        content_type: str,
        out: list[Output],
    ) -> None:
        contact = f"Contact: {usage.dialog.contact}\r\n"
        extra = f"{contact}{usage.event_line()}Subscription-State: {value}\r\n{extra}"
        purpose = Purpose.SILENT if end else Purpose.NOTIFY
        self._in_dialog(
            now, out, usage.dialog, "NOTIFY", purpose, extra, body, content_type, leg=usage.id, flow=usage.flow
        )

    def _serve_until(self, now: int, usage: Usage, expires_s: int) -> None:
        # Whoever gives a subscription back still waits for a last NOTIFY of the program's.
        life_us = expires_s * _SECOND_US if expires_s else 64 * self._timings.t1_us
        usage.until_us = now + expires_s * _SECOND_US
        self._timers.set(usage.id * 8 + END_TIMER, now + life_us)

    def _hold_until(self, now: int, usage: Usage, expires_s: int) -> None:
        life_us = max(1, expires_s) * _SECOND_US
        self._timers.set(usage.id * 8 + END_TIMER, now + life_us)
        if usage.expires_s:
            self._timers.set(usage.id * 8 + RENEW_TIMER, now + max(life_us // 2, life_us - _MARGIN_US))

    def _usage_due(self, now: int, usage: Usage, timer: int, out: list[Output]) -> None:
        """A timer of a usage fired."""
        if timer == RENEW_TIMER:
            self._renew(now, usage, usage.expires_s, "", out)
            return
        if usage.state is SubscriptionState.SERVING:
            self._send_notify(now, usage, "terminated;reason=timeout", True, "", b"", "", out)
        self._end_usage(usage, SubscriptionInput.EXPIRED, "timeout", out)

    def _end_usage(
        self, usage: Usage, event: SubscriptionInput, why: str, out: list[Output], response: Response | None = None
    ) -> None:
        known = usage.take(event)
        assert known
        self._drop_usage(usage)
        out.append(SubscriptionEnded(usage.id, why, response))

    def _usage_response(self, now: int, tx: ClientTransaction, response: Response, out: list[Output]) -> None:
        usage = self._usages.get(tx.leg)
        if usage is None:
            return
        status = response.status
        asking = usage.state is SubscriptionState.ASKING
        if status < 300:
            if tx.purpose is Purpose.SUBSCRIBE:
                self._granted(now, usage, response, out)
        elif status not in OVER and tx.purpose is Purpose.SUBSCRIBE and tx.cseq != usage.dialog.local_cseq:
            # Another has overtaken it, whose answer counts.
            return
        elif asking or usage.state is SubscriptionState.LEAVING or status in OVER:
            self._end_usage(usage, SubscriptionInput.GOT_REFUSAL, "refused" if asking else "gone", out, response)
        elif tx.purpose is Purpose.SUBSCRIBE:
            out.append(RenewalRefused(usage.id, response))
        else:
            out.append(NotifyLost(usage.id, status, response))

    def _usage_may(self, tx: ClientTransaction) -> bool:
        # Of two the later one holds: what it overtook must not come after it.
        usage = self._usages.get(tx.leg)
        return usage is not None and usage.dialog.local_cseq == tx.cseq

    def _usage_again(self, now: int, tx: ClientTransaction, new: ClientTransaction, out: list[Output]) -> None:
        usage = self._usages[tx.leg]
        usage.dialog.local_cseq = new.cseq
        if usage.state is SubscriptionState.ASKING or usage.state is SubscriptionState.LEAVING:
            self._timers.set(usage.id * 8 + END_TIMER, now + 64 * self._timings.t1_us)

    def _granted(self, now: int, usage: Usage, response: Response, out: list[Output]) -> None:
        granted_s = parse_number(response.get("Expires") or "")
        if usage.state is SubscriptionState.ACTIVE:
            self._hold_until(now, usage, usage.expires_s if granted_s is None else granted_s)
        elif usage.state is SubscriptionState.ASKING:
            if granted_s is not None and 0 < granted_s < usage.expires_s:
                usage.expires_s = granted_s
            out.append(Subscribed(usage.id, response))

    def _usage_lost(self, now: int, tx: ClientTransaction, why: str, out: list[Output]) -> None:
        usage = self._usages.get(tx.leg)
        if usage is None:
            return
        if usage.state is SubscriptionState.SERVING:
            # RFC 6665 section 4.2.2 would end it here. A phone that was out of reach for half a minute would then show
            # a dead lamp until its next renewal, often an hour; it costs little to go on until then.
            out.append(NotifyLost(usage.id, 408 if why == "timeout" else 503, None))
        elif usage.state is not SubscriptionState.ACTIVE:
            # A renewal that was lost leaves the subscription as it was until it expires (RFC 6665 section 4.1.2.2).
            self._end_usage(usage, SubscriptionInput.GOT_REFUSAL, why, out)

    def _outside_dialog(self, now: int, origin: Hop, request: Request, key: Key, out: list[Output]) -> None:
        events = self._settings.events
        if request.method != "SUBSCRIBE" or not events:
            super()._outside_dialog(now, origin, request, key, out)
            return
        merge = (request.from_.tag, request.call_id, str(request.cseq[0]), "SUBSCRIBE")
        package, event_id = event_of(request)
        if merge in self._tx.merged:
            self._refuse(now, origin, request, Rejection(482, "Loop Detected"), out)
        elif package not in events:
            allowed = (("Allow-Events", ", ".join(events)),)
            self._refuse(now, origin, request, Rejection(489, "Bad Event", allowed), out)
        elif request.contact is None:
            self._refuse(now, origin, request, Rejection(400, "Missing Contact"), out)
        elif len(self._tx) >= self._limits.transactions or len(self._usages) >= self._limits.subscriptions:
            self._refuse(now, origin, request, _FULL, out)
        else:
            expires_s = _expires(request, _DEFAULT_S)
            tag = self._ids.tag()
            dialog = dialog_of_invite(self._handle(), request, tag, origin, self._contact(origin))
            usage = Usage(dialog, SubscriptionState.ASKED, package, event_id, expires_s)
            usage.flow = origin.flow
            self._add_usage(usage)
            tx = self._start_server(now, origin, request, key, usage.id, tag, merge, out)
            usage.asked = tx.handle
            self._timers.set(usage.id * 8 + END_TIMER, now + 64 * self._timings.t1_us)
            out.append(SubscriptionAsked(usage.id, request, package, event_id, expires_s, *origin[:4]))

    def _within_dialog(self, now: int, origin: Hop, request: Request, key: Key, out: list[Output]) -> None:
        usage = None
        if request.method in ("SUBSCRIBE", "NOTIFY"):
            found = self._by_usage.get((request.call_id, request.to.tag, *event_of(request)))
            usage = None if found is None else self._usages[found]
        if usage is None:
            super()._within_dialog(now, origin, request, key, out)
            return
        dialog = usage.dialog
        serving = usage.state is SubscriptionState.SERVING or usage.state is SubscriptionState.ASKED
        wanted = serving == (request.method == "SUBSCRIBE")
        if not wanted or dialog.remote_tag not in ("", request.from_.tag):
            # Another branch of a fork notifies too: one subscription is enough (RFC 6665 section 4.5.2).
            self._refuse(now, origin, request, _UNKNOWN, out)
        elif request.cseq[0] < dialog.remote_cseq:
            self._refuse_known(now, origin, request, key, _OLD, out)
        elif len(self._tx) >= self._limits.transactions:
            self._refuse(now, origin, request, _FULL, out)
        elif serving:
            self._got_subscribe(now, origin, request, key, usage, out)
        else:
            self._got_notify(now, origin, request, key, usage, out)

    def _got_subscribe(
        self, now: int, origin: Hop, request: Request, key: Key, usage: Usage, out: list[Output]
    ) -> None:
        if not usage.take(SubscriptionInput.GOT_SUBSCRIBE):
            rejection = Rejection(500, "Not Yet Answered", (("Retry-After", "3"),))
            self._refuse_known(now, origin, request, key, rejection, out)
            return
        self._follow(origin, request, usage)
        expires_s = min(_expires(request, usage.expires_s), usage.expires_s)
        self._serve_until(now, usage, expires_s)
        tx = self._start_server(now, origin, request, key, usage.id, "", None, out)
        self._answer(now, tx, 200, out, "", self._grant_lines(usage, tx.routes, expires_s))
        out.append(SubscriptionRenewed(usage.id, request, expires_s))

    def _got_notify(self, now: int, origin: Hop, request: Request, key: Key, usage: Usage, out: list[Output]) -> None:
        try:
            said = read_subscription_state(request.get("Subscription-State") or "")
        except ParseError as error:
            rejection = Rejection(400, f"Bad Subscription-State: {error.text}")
            self._refuse_known(now, origin, request, key, rejection, out)
            return
        end = said.state == "terminated"
        first = usage.state is SubscriptionState.ASKING
        known = usage.take(SubscriptionInput.GOT_END if end else SubscriptionInput.GOT_NOTIFY)
        assert known
        if first:
            usage.dialog.remote_tag = request.from_.tag
            usage.dialog.route_set = tuple(request.elements("Record-Route"))
        self._follow(origin, request, usage)
        tx = self._start_server(now, origin, request, key, usage.id, "", None, out)
        self._answer(now, tx, 200, out)
        out.append(Notified(usage.id, request, said.state, said.expires_s))
        if end:
            self._drop_usage(usage)
            out.append(SubscriptionEnded(usage.id, said.reason or "terminated", None, said.retry_after_s))
        elif usage.state is SubscriptionState.ACTIVE and (first or said.expires_s is not None):
            self._hold_until(now, usage, usage.expires_s if said.expires_s is None else said.expires_s)

    def _follow(self, origin: Hop, request: Request, usage: Usage) -> None:
        usage.dialog.remote_cseq = request.cseq[0]
        learn_target(usage.dialog, request)
        if origin.flow:
            usage.flow = origin.flow


def event_of(request: Request) -> tuple[str, str]:
    """Package and id of its Event, empty when the header is missing or broken (RFC 6665 section 8.2.1)."""
    try:
        event = read_event(request.get("Event") or "")
    except ParseError:
        return "", ""
    return event.package, event.id


def _expires(request: Request, default_s: int) -> int:
    number = parse_number(request.get("Expires") or "")
    return default_s if number is None else number
