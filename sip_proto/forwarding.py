"""An INVITE that is passed on to another user agent, with a transaction on each side (RFC 3261 section 16).

The dialog is between the two ends: no Record-Route, their Contacts lead them to each other. While the INVITE is under
way its leg waits here, so that the program can go on with it when nothing good comes back. As long as it rings there,
it is sent again each second: the other side's transaction absorbs it and repeats its last 1xx, which says that it lives
(ours).
"""

from sip_proto.build import Headers, RequestParts, check_texts, header_lines
from sip_proto.dialog import Leg
from sip_proto.errors import LocalError, ParseError
from sip_proto.fields import MAX_FORWARDS
from sip_proto.flows import Hop
from sip_proto.message import Request, Response
from sip_proto.records import Cancelled, Ended, Failed, Output
from sip_proto.referral import ReferralSide
from sip_proto.settings import EndpointSettings
from sip_proto.tables import Input, LegInput, LegState, State
from sip_proto.transactions import ClientTransaction, Key, Purpose, ServerTransaction
from sip_proto.uri import Address

# A timer of a leg beside those of core.py.
FORWARD_TIMER = 7

ALIVE_US = 1_000_000
SILENT_TRIES = 4

# What each hop says for itself; credentials are for whom they were asked by.
_OWN = {"via", "from", "to", "call-id", "cseq", "max-forwards", "route", "content-length"}
_NOT_ON = _OWN | {"authorization", "proxy-authorization"}


class ForwardTransaction(ClientTransaction):
    """An INVITE passed on: the handle of the `server` transaction it came by, how often nothing was heard in a row,
    whether the caller gave up (ours)."""

    __slots__ = ("cancelled", "server", "silent")

    def __init__(self, handle: int, leg: Leg, hop: Hop, parts: RequestParts, branch: str) -> None:
        super().__init__(
            handle,
            (branch, "INVITE"),
            State.IC_CALLING,
            "INVITE",
            leg.id,
            hop.listener,
            hop.destination,
            Purpose.FORWARD,
            parts.cseq,
            parts,
        )
        self.transport = hop.transport
        self.flow = hop.flow
        self.name = hop.name
        self.server = leg.invite
        self.silent = 0
        self.cancelled = False


class ForwardingSide(ReferralSide):
    """INVITEs that somebody else is to answer (ours)."""

    def __init__(self, settings: EndpointSettings, seed: bytes) -> None:
        super().__init__(settings, seed)
        # By leg, the transaction that its INVITE went on by.
        self._forwards: dict[int, int] = {}

    def forward(
        self,
        now: int,
        leg: int,
        request: Request,
        out: list[Output],
        *,
        listener: str,
        destination: Address,
        transport: str = "udp",
        name: str = "",
        headers: Headers = (),
    ) -> bool:
        """Pass on the INVITE of a leg that waits for the program, `request` as Invited brought it; False when it has
        made too many hops (RFC 3261 section 16.6).

        Ended ("forwarded") says that its 2xx went back, Cancelled that the caller gave up; Failed that it was refused
        (408: silence, 503: no stream), and then the leg waits for the program as before. `headers` take the place of
        those of the same name; credentials and Route stay here.
        """
        found = self._leg(leg)
        state = found.ask(LegInput.FORWARD)
        if request.call_id != found.dialog.call_id:
            raise LocalError(f"not the INVITE of leg {leg}")
        check_texts(name)
        hops = request.one(MAX_FORWARDS)
        if hops == 0:
            return False
        self._room(leg=False)
        hop = self._hop(listener, transport, destination, 0, name)
        branch = self._ids.branch()
        via = self._via(hop, branch)
        # The lines that every response repeats: Via with the place that the INVITE came from, From, Call-ID, CSeq.
        server = self._tx.by_handle[found.invite]
        assert isinstance(server, ServerTransaction)
        to = request.get("To") or ""
        parts = RequestParts(
            request.uri, via, "", request.get("From") or "", to, request.call_id, request.cseq[0]
        )
        tx = ForwardTransaction(self._handle(), found, hop, parts, branch)
        told = _NOT_ON | {key.lower() for key, _ in headers}
        tx.data = _message(
            f"INVITE {request.uri} SIP/2.0\r\nVia: {via}\r\n{server.head}To: {to}\r\n"
            f"Max-Forwards: {70 if hops is None else hops - 1}\r\n{header_lines(headers)}",
            request,
            told,
        )
        found.state = state
        self._forwards[leg] = tx.handle
        self._timers.set(leg * 8 + FORWARD_TIMER, now + ALIVE_US)
        self._tx.start(now, tx, out)
        return True

    def _receive_response(self, now: int, origin: Hop, response: Response, out: list[Output]) -> None:
        if response.names.count("Via") > 1:
            # For somebody behind us, who need not be unknown (RFC 3261 section 16.7 step 1).
            try:
                key = (response.branch, response.cseq[1])
            except ParseError:
                key = ("", "")
            if isinstance(self._tx.clients.get(key), ForwardTransaction):
                response = _without_ours(response)
        super()._receive_response(now, origin, response, out)

    def _usage_response(self, now: int, tx: ClientTransaction, response: Response, out: list[Output]) -> None:
        if not isinstance(tx, ForwardTransaction):
            super()._usage_response(now, tx, response, out)
            return
        status = response.status
        tx.silent = 0
        if 200 <= status < 300:
            self._pass_success(now, tx, response, out)
        elif status >= 300:
            self._unforwarded(now, tx, status, response, out)
        elif tx.cancelled:
            self._cancel_now(now, tx, out)
        elif status > 100:
            server = self._tx.by_handle[tx.server]
            assert isinstance(server, ServerTransaction)
            data = _passed(server, response)
            # One that is reliable comes again for its PRACK, another because it was asked for.
            if data != server.data or "RSeq" in response.names:
                server.data = data
                self._tx.step(now, server, Input.PROVISIONAL, out)

    def _usage_lost(self, now: int, tx: ClientTransaction, why: str, out: list[Output]) -> None:
        if not isinstance(tx, ForwardTransaction):
            super()._usage_lost(now, tx, why, out)
            return
        if tx.state is State.IC_CANCELLED:
            self._send_cancel(now, tx, out)
        self._unforwarded(now, tx, 408 if why == "timeout" else 503, None, out)

    def _pass_success(self, now: int, tx: ForwardTransaction, response: Response, out: list[Output]) -> None:
        """Every 2xx goes back, one that comes late too: the caller has to end what nobody wants (RFC 3261 section
        16.7 step 5)."""
        server = self._tx.by_handle.get(tx.server)
        if server is None:
            return
        assert isinstance(server, ServerTransaction)
        data = _passed(server, response)
        if server.state is State.IS_ACCEPTED:
            self._send(now, server.hop(), data, out)
        elif server.state is State.IS_PROCEEDING:
            leg = self._legs[tx.leg]
            server.data = data
            self._tx.step(now, server, Input.SUCCESS, out)
            leg.take(LegInput.GOT_SUCCESS)
            self._refuse_pending(now, leg, out)
            self._drop_leg(leg, out)
            out.append(Ended(leg.id, "forwarded"))

    def _unforwarded(
        self, now: int, tx: ForwardTransaction, status: int, response: Response | None, out: list[Output]
    ) -> None:
        """Nothing good came of it: the program goes on, unless the caller has given up meanwhile."""
        if self._forwards.get(tx.leg) != tx.handle:
            return
        leg = self._legs[tx.leg]
        if tx.cancelled:
            server = self._tx.by_handle[tx.server]
            assert isinstance(server, ServerTransaction)
            self._answer(now, server, 487, out)
            leg.take(LegInput.GOT_CANCEL)
            self._drop_leg(leg, out)
            out.append(Cancelled(leg.id))
            return
        leg.take(LegInput.GOT_FAILURE)
        self._forward_over(leg.id)
        tx.cancelled = True
        out.append(Failed(leg.id, status, response))

    def _forward_due(self, now: int, leg: int, out: list[Output]) -> None:
        tx = self._tx.by_handle[self._forwards[leg]]
        assert isinstance(tx, ForwardTransaction)
        tx.silent += 1
        if tx.silent <= SILENT_TRIES:
            self._timers.set(leg * 8 + FORWARD_TIMER, now + ALIVE_US)
            if tx.state is State.IC_PROCEEDING:
                self._send(now, tx.hop(), tx.data, out)
            return
        if tx.state is State.IC_PROCEEDING:
            self._cancel_now(now, tx, out)
        self._unforwarded(now, tx, 408, None, out)

    def _got_cancel(
        self, now: int, origin: Hop, request: Request, key: Key, tx: ServerTransaction | None, out: list[Output]
    ) -> None:
        handle = 0 if tx is None else self._forwards.get(tx.leg, 0)
        if tx is None or not handle or key in self._tx.servers:
            super()._got_cancel(now, origin, request, key, tx, out)
            return
        # The INVITE is answered by what comes of the CANCEL there (RFC 3261 section 16.10).
        own = self._start_server(now, origin, request, key, 0, "", None, out)
        own.to = tx.to
        self._answer(now, own, 200, out)
        forward = self._tx.by_handle[handle]
        assert isinstance(forward, ForwardTransaction)
        forward.cancelled = True
        if forward.state is State.IC_PROCEEDING:
            self._cancel_now(now, forward, out)

    def _drop_leg(self, leg: Leg, out: list[Output]) -> None:
        if leg.id in self._forwards:
            self._forward_over(leg.id)
        super()._drop_leg(leg, out)

    def _forward_over(self, leg: int) -> None:
        del self._forwards[leg]
        self._timers.cancel(leg * 8 + FORWARD_TIMER)

    def _check_forwards(self) -> None:
        for leg, handle in self._forwards.items():
            tx = self._tx.by_handle[handle]
            assert isinstance(tx, ForwardTransaction)
            assert tx.leg == leg
            assert self._legs[leg].state is LegState.FORWARDED
            assert leg * 8 + FORWARD_TIMER in self._timers


def _without_ours(response: Response) -> Response:
    """The response with the topmost of its Via rows alone."""
    first = response.names.index("Via")
    rows = [
        (name, value)
        for place, (name, value) in enumerate(zip(response.names, response.values, strict=True))
        if name != "Via" or place == first
    ]
    names, values = [name for name, _ in rows], [value for _, value in rows]
    return Response(response.status, response.reason, names, values, response.body, response.fault, response.version)


def _passed(server: ServerTransaction, response: Response) -> bytes:
    """A response on its way back: the Via lines are those of the request that came here (RFC 3261 section 16.7)."""
    head = f"SIP/2.0 {response.status} {response.reason}\r\n{server.head}To: {response.get('To') or ''}\r\n"
    return _message(head, response, _OWN)


def _message(head: str, of: Request | Response, but: set[str]) -> bytes:
    lines = "".join(
        [f"{name}: {value}\r\n" for name, value in zip(of.names, of.values, strict=True) if name.lower() not in but]
    )
    text = f"{head}{lines}Content-Length: {len(of.body)}\r\n\r\n"
    return text.encode("utf-8", "surrogateescape") + of.body
