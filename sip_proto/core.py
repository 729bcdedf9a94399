"""What both halves of an Endpoint share: tables, requests that go out, legs that end."""

import re
from collections.abc import Sequence
from copy import copy

from sip_proto.build import (
    Headers,
    RequestParts,
    cancel_bytes,
    check_texts,
    has_header,
    header_lines,
    request_bytes,
    response_bytes,
)
from sip_proto.credentials import UNTRIED, Keyring, Tries
from sip_proto.dialog import NOTHING, Leg, apply_routes, lines, next_hop
from sip_proto.errors import LocalError, ParseError
from sip_proto.flows import NEW_FLOW, Flow, Flows, Hop
from sip_proto.ids import Ids
from sip_proto.message import Response
from sip_proto.records import Dialog, DialogChanged, DialogEnded, Output, Transmit
from sip_proto.reliable import RELIABLE
from sip_proto.session_timer import LEAST_S, check_interval
from sip_proto.settings import EndpointSettings
from sip_proto.tables import Input, LegState, State
from sip_proto.timers import TimerTable
from sip_proto.transactions import ClientTransaction, Purpose, Sent, ServerTransaction, Transactions
from sip_proto.uri import Address, address_of, format_address, parse_uri

# Timers of a leg, beside the two of a transaction: send our 2xx again, give up waiting for its ACK, send our reliable
# 1xx again, send an offer again that crossed another, refresh or end a session.
ACCEPTED_TIMER = 2
ACK_TIMER = 3
PROVISIONAL_TIMER = 4
OFFER_TIMER = 5
SESSION_TIMER = 6

_SECRETS = re.compile(r"^(?:proxy-)?authorization:.*\r\n", re.IGNORECASE | re.MULTILINE)


class Core:
    """Tables of an endpoint and what its caller's and callee's halves both do (ours)."""

    def __init__(self, settings: EndpointSettings, seed: bytes) -> None:
        self._settings = settings
        self._limits = settings.limits
        self._timings = settings.timings
        self._ids = Ids(seed, settings.node)
        self._timers: TimerTable[int] = TimerTable()
        self._flows = Flows(settings.limits, settings.timings)
        self._tx = Transactions(settings.timings, self._timers, self._flows)
        self._legs: dict[int, Leg] = {}
        self._by_dialog: dict[tuple[str, str], int] = {}
        self._last_handle = 0
        self._sent_by = {name: format_address(address) for name, address in settings.listeners.items()}
        self._contacts: dict[tuple[str, str], str] = {}
        self._transports = dict.fromkeys(settings.listeners, "udp") | settings.transports
        for name, transport in settings.transports.items():
            if name not in settings.listeners or transport not in ("udp", "tcp", "tls"):
                raise LocalError(f"transports: {name!r} is {transport!r}")
        # The first listener of each transport sends what a listener of another transport cannot.
        self._listener_of = {kind: name for name, kind in reversed(self._transports.items())}
        self._agent_line = f"User-Agent: {settings.user_agent}\r\n"
        self._server_line = f"Server: {settings.user_agent}\r\n"
        self._allow_line = f"Allow: {settings.allow}\r\n"
        if settings.reliable not in RELIABLE:
            raise LocalError(f"reliable: {settings.reliable!r}")
        if settings.min_session_s < LEAST_S:
            raise LocalError(f"min_session_s: {settings.min_session_s} where {LEAST_S} are the least")
        check_interval(settings.session_s, settings.min_session_s)
        self._supported = settings.supported if settings.reliable == "no" else ("100rel", *settings.supported)
        if settings.session_s:
            self._supported = ("timer", *self._supported)
        self._supported_line = self._options(settings.reliable)
        self._timer_line = self._options(settings.reliable, timer=True)
        check_texts(settings.user_agent, settings.allow, *settings.supported)
        # Of a seed of its own: what peers see of it tells nothing of branches and tags.
        self._keyring = (
            Keyring(seed + b" keyring", settings.accounts, settings.algorithms, settings.limits)
            if settings.accounts
            else None
        )

    def _options(self, reliable: str, *, timer: bool = False) -> str:
        """Supported and Require lines of an INVITE (RFC 3262 section 4, RFC 4028 section 7.1)."""
        tags = [tag for tag in self._supported if tag not in ("100rel", "timer")]
        tags = ["timer", *tags] if timer else tags
        tags = tags if reliable == "no" else ["100rel", *tags]
        supported = f"Supported: {', '.join(tags)}\r\n" if tags else ""
        return f"{supported}Require: 100rel\r\n" if reliable == "required" else supported

    def _handle(self) -> int:
        self._last_handle += 1
        return self._last_handle

    def _leg(self, leg: int) -> Leg:
        found = self._legs.get(leg)
        if found is None:
            raise LocalError(f"no leg {leg}")
        return found

    def _via(self, hop: Hop, branch: str) -> str:
        return f"SIP/2.0/{hop.transport.upper()} {self._sent_by[hop.listener]};branch={branch};rport"

    def _contact(self, hop: Hop, secure: bool = False) -> str:
        # One text for all its calls.
        kind = "sips" if secure else hop.transport if hop.flow else ""
        found = self._contacts.get((hop.listener, kind))
        if found is None:
            sent_by = self._sent_by[hop.listener]
            found = f"<sips:{sent_by}>" if secure else f"<sip:{sent_by}{f';transport={kind}' if kind else ''}>"
            self._contacts[hop.listener, kind] = found
        return found

    def _hop(self, listener: str, transport: str, destination: Address, flow: int, name: str = "") -> Hop:
        """Where the program's request goes; LocalError when it cannot (RFC 3261 section 18.1.1)."""
        own = self._transports.get(listener)
        if own is None:
            raise LocalError(f"no listener {listener!r}")
        if flow and (live := self._flows.live(flow)) is not None:
            return Hop(live.listener if own == "udp" else listener, destination, live.transport, flow, live.name)
        if transport == "udp":
            transport = own
        if transport == "udp":
            return Hop(listener, destination)
        if transport not in ("tcp", "tls") or own not in ("udp", transport):
            raise LocalError(f"listener {listener!r} does not do {transport!r}")
        return self._stream_hop(listener, transport, destination, name, must=True)

    def _stream_hop(
        self, listener: str, transport: str, destination: Address, name: str = "", *, must: bool = False
    ) -> Hop:
        name = name if transport == "tls" else ""
        flow = self._flows.to(transport, destination, name)
        if must and not flow and not self._flows.room():
            raise LocalError(f"{self._limits.flows} flows: no room for another")
        return Hop(listener, destination, transport, flow or NEW_FLOW, name)

    def _dialog_hop(self, dialog: Dialog, text: str, flow: int) -> Hop:
        """Where a request in a dialog goes: its next hop's URI is `text`, `flow` the stream that the peer came by.

        That stream is taken when it comes from the URI's host, or the host is no literal, or the URI says "ob"
        (RFC 5626 section 5.3); else a stream to the URI's own address.
        """
        listener, transport = dialog.listener, dialog.transport
        if transport == "udp" and len(self._listener_of) == 1:
            return Hop(listener, next_hop(text, dialog.destination))
        try:
            uri = parse_uri(text)
        except ParseError:
            uri = None
        asked = ""
        place = None
        if uri is not None:
            place = address_of(uri)
            asked = "tls" if uri.scheme == "sips" else uri.params.get("transport", "").lower()
            if asked in self._listener_of and asked != transport:
                listener, transport = self._listener_of[asked], asked
            if place is not None and transport == "tls" and not uri.port:
                place = (place[0], 5061)
        live = self._flows.live(flow) if transport != "udp" else None
        outbound = uri is not None and "ob" in uri.params
        if live is not None and live.transport == transport and self._leads_to(live, place, outbound):
            return Hop(live.listener, place or live.peer, transport, flow, live.name)
        place = place or dialog.destination
        if transport == "udp":
            return Hop(listener, place)
        # The same host by another port shows the same certificate.
        name = dialog.name if place[0] == dialog.destination[0] else ""
        return self._stream_hop(listener, transport, place, name)

    def _leads_to(self, live: Flow, place: Address | None, outbound: bool) -> bool:
        if place is None or outbound:
            return True
        return live.peer[0] == place[0] and not self._flows.to(live.transport, place, live.name)

    def _send(self, now: int, hop: Hop, data: bytes, out: list[Output]) -> None:
        if hop.flow:
            self._flows.send(now, hop, data, out)
        else:
            out.append(Transmit(hop.listener, hop.destination, data))

    def _room(self, *, leg: bool) -> None:
        if len(self._tx) >= self._limits.transactions:
            raise LocalError(f"{self._limits.transactions} transactions: no room for another")
        if leg and len(self._legs) >= self._limits.legs:
            raise LocalError(f"{self._limits.legs} legs: no room for another")

    def _start_client(
        self,
        now: int,
        out: list[Output],
        *,
        method: str,
        purpose: Purpose,
        leg: int,
        hop: Hop,
        parts: RequestParts,
        branch: str,
        extra: str,
        body: bytes = b"",
        content_type: str = "",
        max_forwards: str = "70",
        dialog: Dialog | None = None,
        tries: Tries = UNTRIED,
    ) -> ClientTransaction:
        """Send a request with the header lines `extra`, and with what is known for who has challenged us before."""
        invite = method == "INVITE"
        tx = ClientTransaction(
            self._handle(),
            (branch, method),
            State.IC_CALLING if invite else State.PC_TRYING,
            method,
            leg,
            hop.listener,
            hop.destination,
            purpose,
            parts.cseq,
            parts if invite else None,
        )
        tx.transport = hop.transport
        tx.flow = hop.flow
        tx.name = hop.name
        secrets = ""
        if "uthorization:" in extra.lower():
            # The program's own; who is challenged then is the program.
            secrets = "".join(_SECRETS.findall(extra))
        if self._keyring is not None and not secrets:
            tx.sent = Sent(dialog, parts, extra, body, content_type, max_forwards, tries)
            secrets = self._keyring.lines(hop.destination[0], method, parts.uri, body)
            extra = secrets + extra
        tx.secrets = secrets
        tx.data = request_bytes(method, parts, extra, body, content_type, max_forwards)
        self._tx.start(now, tx, out)
        return tx

    def _parts_in(self, dialog: Dialog, flow: int) -> tuple[Hop, RequestParts, str]:
        """Where the next request in a dialog goes, its parts and its branch (RFC 3261 section 12.2.1.1)."""
        dialog.local_cseq += 1
        uri, routes, first = apply_routes(dialog.remote_target, dialog.route_set)
        hop = self._dialog_hop(dialog, first, flow)
        branch = self._ids.branch()
        parts = RequestParts(
            uri,
            self._via(hop, branch),
            routes,
            lines(dialog.local_uri, dialog.local_tag),
            lines(dialog.remote_uri, dialog.remote_tag),
            dialog.call_id,
            dialog.local_cseq,
        )
        return hop, parts, branch

    def _in_dialog(
        self,
        now: int,
        out: list[Output],
        dialog: Dialog,
        method: str,
        purpose: Purpose,
        extra: str,
        body: bytes = b"",
        content_type: str = "",
        leg: int = 0,
        flow: int = 0,
    ) -> ClientTransaction:
        hop, parts, branch = self._parts_in(dialog, flow)
        return self._start_client(
            now,
            out,
            method=method,
            purpose=purpose,
            leg=leg,
            hop=hop,
            parts=parts,
            branch=branch,
            extra=extra + self._agent_line,
            body=body,
            content_type=content_type,
            dialog=dialog,
        )

    def _success_ack(
        self, dialog: Dialog, cseq: int, flow: int, body: bytes = b"", secrets: str = ""
    ) -> tuple[Hop, bytes]:
        """The ACK to a 2xx, with the credentials of its INVITE (RFC 3261 section 13.2.2.4)."""
        uri, routes, first = apply_routes(dialog.remote_target, dialog.route_set)
        hop = self._dialog_hop(dialog, first, flow)
        parts = RequestParts(
            uri,
            self._via(hop, self._ids.branch()),
            routes,
            lines(dialog.local_uri, dialog.local_tag),
            lines(dialog.remote_uri, dialog.remote_tag),
            dialog.call_id,
            cseq,
        )
        return hop, request_bytes("ACK", parts, secrets + self._agent_line, body, "application/sdp")

    def _send_cancel(self, now: int, tx: ClientTransaction, out: list[Output]) -> None:
        assert tx.parts is not None
        cancel = ClientTransaction(
            self._handle(),
            (tx.key[0], "CANCEL"),
            State.PC_TRYING,
            "CANCEL",
            0,
            tx.listener,
            tx.destination,
            Purpose.SILENT,
            tx.cseq,
            None,
        )
        cancel.transport = tx.transport
        cancel.flow = tx.flow
        cancel.name = tx.name
        cancel.data = cancel_bytes(tx.parts, self._settings.user_agent)
        self._tx.start(now, cancel, out)

    def _send_bye(self, now: int, leg: Leg, extra: str, out: list[Output]) -> None:
        self._stop_accepted(leg)
        self._close_session(leg)
        self._in_dialog(now, out, leg.dialog, "BYE", Purpose.CLOSE, extra, leg=leg.id, flow=leg.flow)

    def _stop_accepted(self, leg: Leg) -> None:
        if leg.accepted is not None:
            leg.accepted = None
            self._timers.cancel(leg.id * 8 + ACCEPTED_TIMER)
            self._timers.cancel(leg.id * 8 + ACK_TIMER)

    def _close_session(self, leg: Leg) -> None:
        """Nothing is offered or announced on a leg that ends."""
        self._timers.cancel(leg.id * 8 + OFFER_TIMER)
        leg.arbiter.close()
        leg.pracks = NOTHING
        if leg.provisionals is not None:
            leg.provisionals = None
            self._timers.cancel(leg.id * 8 + PROVISIONAL_TIMER)
        if leg.session is not None:
            leg.session = None
            leg.refresh = 0
            self._timers.cancel(leg.id * 8 + SESSION_TIMER)

    def _answer(
        self,
        now: int,
        tx: ServerTransaction,
        status: int,
        out: list[Output],
        reason: str = "",
        extra: str = "",
        body: bytes = b"",
        content_type: str = "",
    ) -> bytes:
        data = tx.data = response_bytes(status, reason, tx.head, tx.to, extra + self._server_line, body, content_type)
        event = Input.PROVISIONAL if status < 200 else Input.SUCCESS if status < 300 else Input.FAILURE
        if tx.method != "INVITE" and (status >= 300 or (status >= 200 and tx.method == "REGISTER")):
            # A phone that repeats the CSeq number of what was refused means no loop; registrars look at it themselves.
            self._tx.forget_merge(tx)
        elif status >= 300 and (leg := self._legs.get(tx.leg)) is not None:
            leg.refused = tx.handle
        self._tx.step(now, tx, event, out)
        return data

    def _add_leg(self, leg: Leg) -> None:
        self._legs[leg.id] = leg
        self._by_dialog[leg.dialog.call_id, leg.dialog.local_tag] = leg.id

    def _changed(self, leg: Leg, out: list[Output]) -> None:
        # The receiver keeps and changes its copy; ours must not move with it.
        out.append(DialogChanged(copy(leg.dialog)))

    def _unannounce(self, leg: Leg, out: list[Output]) -> None:
        if leg.announced:
            leg.announced = False
            out.append(DialogEnded(leg.id))

    def _usage_response(self, now: int, tx: ClientTransaction, response: Response, out: list[Output]) -> None:
        raise NotImplementedError

    def _usage_lost(self, now: int, tx: ClientTransaction, why: str, out: list[Output]) -> None:
        raise NotImplementedError

    def _usage_may(self, tx: ClientTransaction) -> bool:
        """Whether a SUBSCRIBE, NOTIFY or REFER may go again."""
        raise NotImplementedError

    def _usage_again(self, now: int, tx: ClientTransaction, new: ClientTransaction, out: list[Output]) -> None:
        """A SUBSCRIBE, NOTIFY or REFER went again as `new`."""
        raise NotImplementedError

    def _refuse_pending(self, now: int, leg: Leg, out: list[Output]) -> None:
        # A BYE ends an offer that nobody answered yet (RFC 3261 section 15.1.2).
        tx = self._tx.by_handle.get(leg.incoming)
        leg.incoming = 0
        if isinstance(tx, ServerTransaction):
            self._answer(now, tx, 487, out)

    def _drop_leg(self, leg: Leg, out: list[Output]) -> None:
        leg.state = LegState.GONE
        self._stop_accepted(leg)
        self._close_session(leg)
        del self._legs[leg.id]
        del self._by_dialog[leg.dialog.call_id, leg.dialog.local_tag]
        self._unannounce(leg, out)


def split_max_forwards(headers: Headers) -> tuple[str, str]:
    """The caller's Max-Forwards, 70 if none, and the other headers as lines; LocalError for a line end in
    one (ours)."""
    max_forwards = "70"
    if headers and has_header(headers, "Max-Forwards"):
        max_forwards = next(value for name, value in headers if name.lower() == "max-forwards")
        check_texts(max_forwards)
        headers = [pair for pair in headers if pair[0].lower() != "max-forwards"]
    return max_forwards, header_lines(headers)


def name_addr(text: str) -> str:
    """`text` as a name-addr: an address that stands bare gets its angle brackets (ours)."""
    return text if "<" in text else f"<{text}>"


def route_tuple(route: Sequence[str]) -> tuple[str, ...]:
    """Routes as a tuple; LocalError for a line end in one (ours)."""
    check_texts(*route)
    return tuple(route)
