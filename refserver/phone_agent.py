"""What a test phone does when its socket or its clock says something (RFC 3261, RFC 3264)."""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
from collections.abc import Callable, Sequence
from typing import cast

from refserver.mailbox import Mailbox
from refserver.phone_media import Media
from refserver.phone_records import (
    CallState,
    PhoneCall,
    PhoneEvent,
    PhoneEventKind,
)
from refserver.phone_registration import Registration
from refserver.phone_wires import Address, Transport, Wires, open_wires
from sip_proto import (
    Acked,
    Answered,
    Cancelled,
    Connect,
    Disconnect,
    Ended,
    Endpoint,
    EndpointSettings,
    Failed,
    Invited,
    LocalError,
    OfferAnswered,
    Offered,
    OfferRefused,
    Output,
    Request,
    Requested,
    Responded,
    Response,
    Ringing,
    Transmit,
    TransmitStream,
    digest_answer,
)
from sip_proto.framing import StreamFramer

EVENT_QUEUE = 1_000
MAX_CALLS = 32
LISTENER = "phone"
ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, INFO, MESSAGE"

_ANSWER_AFTER = re.compile(r";[ \t]*answer-after[ \t]*=[ \t]*0[ \t]*(?:[;,]|$)", re.IGNORECASE)

MessageTrace = Callable[[str, bytes, Address], None]
"""Called with "sent" or "received", the message, and the address at the other end."""

Kind = PhoneEventKind


class PhoneAgent:
    """The half of `Phone` that listens: messages, deadlines, and what the endpoint makes of them (ours)."""

    def __init__(
        self,
        number: str,
        password: str,
        registrar: Address,
        *,
        domain: str = "",
        auto_answer: bool = False,
        talk: bool = True,
        expires_s: int = 120,
        bind: Address | None = None,
        display: str = "",
        trace: MessageTrace | None = None,
        transport: Transport | str = "udp",
    ) -> None:
        self.number = number
        self.registrar = registrar
        self.domain = domain or host_text(registrar[0])
        self.auto_answer = auto_answer
        self.talk = talk
        self.calls: dict[int, PhoneCall] = {}
        self._password = password
        self._display = display
        self._bind = bind
        self._trace = trace
        self.transport = Transport(name=transport) if isinstance(transport, str) else transport
        self._legs: dict[int, int] = {}
        self._last_call = 0
        self._mail: Mailbox[PhoneEvent] = Mailbox(EVENT_QUEUE)
        self._wires: Wires | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._framers: dict[int, StreamFramer] = {}
        self._lost = ""
        self._registration = Registration(self, expires_s)

    # sockets and clock

    async def start(self) -> None:
        """Open the socket; `register` and `call` do it when need be. OSError when it cannot be."""
        if self._wires is not None:
            return
        self._loop = asyncio.get_running_loop()
        bind = self._bind or (_local_host(self.registrar), 0)
        wires = await open_wires(self, self.transport, bind)
        self.address: Address = wires.address
        settings = EndpointSettings(
            listeners={LISTENER: self.address},
            transports={LISTENER: self.transport.name},
            user_agent="refserver phone",
        )
        self._endpoint = Endpoint(settings, secrets.token_bytes(32))
        self._wires = wires

    def datagram_came(self, data: bytes, source: Address) -> None:
        """A datagram reached the socket."""
        if self._closing:
            return
        if self._trace is not None:
            self._trace("received", data, source)
        out: list[Output] = []
        self._endpoint.receive_datagram(self._now(), LISTENER, source, data, out)
        self.perform(out)

    def stream_opened(self, flow: int, peer: Address) -> None:
        """A stream is open."""
        self._framers[flow] = StreamFramer()
        out: list[Output] = []
        self._endpoint.stream_opened(self._now(), flow, LISTENER, peer, out)
        self.perform(out)

    def stream_came(self, flow: int, data: bytes, peer: Address) -> None:
        """Bytes of a stream came."""
        if self._trace is not None:
            for message in self._framers[flow].receive(data):
                if isinstance(message, bytes):
                    self._trace("received", message, peer)
        out: list[Output] = []
        self._endpoint.receive_stream(self._now(), flow, data, out)
        self.perform(out)

    def stream_closed(self, flow: int, why: str) -> None:
        """A stream is gone, or did not open: a registration that went by it is made again."""
        was_open = self._framers.pop(flow, None) is not None
        self._lost = why
        out: list[Output] = []
        self._endpoint.stream_closed(self._now(), flow, out)
        self.perform(out)
        if was_open and flow < 0:
            self._registration.stream_lost()

    def _now(self) -> int:
        return int(self._loop.time() * 1_000_000)

    def _on_timer(self) -> None:
        self._timer = None
        out: list[Output] = []
        self._endpoint.handle_timeout(self._now(), out)
        self.perform(out)

    def perform(self, out: list[Output]) -> None:
        """Do what the endpoint said, in order, and what follows from it."""
        position = 0
        while position < len(out):
            item = out[position]
            position += 1
            if isinstance(item, Transmit | TransmitStream | Connect | Disconnect):
                sent = None if self._wires is None or self._closing else self._wires.perform(item)
                if sent is not None and self._trace is not None:
                    self._trace("sent", *sent)
            else:
                self._heard(item, out)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._endpoint.next_deadline()
        if deadline is not None and not self._closing:
            self._timer = self._loop.call_at(deadline / 1_000_000, self._on_timer)

    # what the endpoint says

    def _heard(self, item: Output, out: list[Output]) -> None:
        if isinstance(item, Invited):
            self._invited(item, out)
        elif isinstance(item, Requested):
            self._requested(item, out)
        elif isinstance(item, Responded):
            self._registration.responded(item.handle, item.response, self._lost if item.why == "transport" else "")
        elif isinstance(item, Ringing):
            call = self._call_of(item.leg)
            if call is not None:
                self._tell(Kind.RINGING, call, item.response.status)
        elif isinstance(item, Answered):
            self._answered(item, out)
        elif isinstance(item, Failed):
            self._failed(item, out)
        elif isinstance(item, Acked):
            self._acked(item)
        elif isinstance(item, Cancelled):
            self._gone(item.leg, Kind.CANCELLED)
        elif isinstance(item, Ended):
            self._gone(item.leg, Kind.ENDED, text=item.why)
        elif isinstance(item, Offered):
            self._offered(item, out)
        elif isinstance(item, OfferAnswered):
            self._offer_answered(item, out)
        elif isinstance(item, OfferRefused):
            call = self._call_of(item.leg)
            if call is not None:
                call.reinviting = False
                call.media.held = not call.wants_hold
                self._tell(Kind.FAILED, call, item.status, "re-INVITE refused")

    def _call_of(self, leg: int) -> PhoneCall | None:
        number = self._legs.get(leg)
        return None if number is None else self.calls.get(number)

    def _tell(self, kind: Kind, call: PhoneCall | None = None, status: int = 0, text: str = "") -> None:
        number, peer = (call.number, call.peer) if call is not None else (0, "")
        self._mail.put(PhoneEvent(kind, number, status, peer, text))

    def _gone(self, leg: int, kind: Kind, status: int = 0, text: str = "") -> None:
        call = self._call_of(leg)
        self._legs.pop(leg, None)
        if call is not None:
            call.state = CallState.GONE
            del self.calls[call.number]
            self._tell(kind, call, status, text)

    def _new_call(self, leg: int, state: CallState, peer: str, call_id: str) -> PhoneCall:
        self._last_call += 1
        media = Media(self.address[0], secrets.randbelow(2**31))
        call = PhoneCall(self._last_call, leg, state, peer, media, call_id, tag=secrets.token_hex(8))
        self.calls[call.number] = call
        self._legs[leg] = call.number
        return call

    def _invited(self, item: Invited, out: list[Output]) -> None:
        if len(self.calls) >= MAX_CALLS:
            self._endpoint.reject(self._now(), item.leg, 486, out)
            return
        request = item.request
        call = self._new_call(item.leg, CallState.INCOMING, request.from_.uri, request.call_id)
        call.offer = request.body
        self._endpoint.provisional(self._now(), item.leg, 180, out)
        self._tell(Kind.INCOMING, call, text=request.uri)
        if self.auto_answer or _wants_answer(request):
            self._accept(call, out)

    def _accept(self, call: PhoneCall, out: list[Output]) -> None:
        body = call.media.answer(call.offer)
        if body is None:
            self._endpoint.reject(self._now(), call.leg, 488, out)
            self._gone(call.leg, Kind.FAILED, 488, "no common format")
            return
        call.owes_answer = not call.offer
        call.state = CallState.ANSWERED
        self._endpoint.accept(self._now(), call.leg, out, body=body)

    def _requested(self, item: Requested, out: list[Output]) -> None:
        request, now = item.request, self._now()
        call = self._call_of(item.leg) if item.leg else None
        if request.method == "OPTIONS":
            self._endpoint.respond(now, item.handle, 200, out, headers=(("Allow", ALLOW),))
        elif request.method == "NOTIFY":
            self._notified(item, call, out)
        elif request.method in ("INFO", "MESSAGE"):
            self._endpoint.respond(now, item.handle, 200, out)
        else:
            self._endpoint.respond(now, item.handle, 405, out, headers=(("Allow", ALLOW),))

    def _notified(self, item: Requested, call: PhoneCall | None, out: list[Output]) -> None:
        now = self._now()
        package = (item.request.get("Event") or "").partition(";")[0].strip().lower()
        if package != "talk" or not self.talk:
            self._endpoint.respond(now, item.handle, 489, out, headers=(("Allow-Events", "talk"),))
        elif call is None:
            self._endpoint.respond(now, item.handle, 481, out)
        else:
            self._endpoint.respond(now, item.handle, 200, out)
            self._tell(Kind.TALK, call)
            if call.state == CallState.INCOMING:
                self._accept(call, out)
            elif call.state == CallState.ESTABLISHED and call.media.held and not call.reinviting:
                self._reinvite(call, False, out)

    def _answered(self, item: Answered, out: list[Output]) -> None:
        call = self._call_of(item.leg)
        if call is None:
            return
        call.media.read(item.response.body)
        call.state = CallState.ESTABLISHED
        self._endpoint.ack(self._now(), item.leg, out)
        self._tell(Kind.ESTABLISHED, call, item.response.status)

    def _acked(self, item: Acked) -> None:
        call = self._call_of(item.leg)
        if call is None:
            return
        if call.owes_answer:
            call.owes_answer = False
            self._heard_description(call, item.request.body)
        if call.state == CallState.ANSWERED:
            call.state = CallState.ESTABLISHED
            self._tell(Kind.ESTABLISHED, call, 200)

    def _failed(self, item: Failed, out: list[Output]) -> None:
        call = self._call_of(item.leg)
        if call is None:
            return
        if item.status in (401, 407) and item.response is not None and call.challenges < 3:
            self._legs.pop(item.leg, None)
            call.challenges += 1
            call.cseq += 1
            credentials = self.credentials(item.response, "INVITE", call.uri, 1)
            if credentials is not None:
                self._invite(call, out, (credentials,))
                return
            self._legs[item.leg] = call.number
        self._gone(item.leg, Kind.FAILED, item.status, item.response.reason if item.response else "")

    def _heard_description(self, call: PhoneCall, body: bytes) -> None:
        before = call.media.held_by_peer
        call.media.read(body)
        self._tell_hold(call, before)

    def _tell_hold(self, call: PhoneCall, before: bool) -> None:
        after = call.media.held_by_peer
        if after != before:
            self._tell(Kind.HELD_BY_PEER if after else Kind.RETRIEVED_BY_PEER, call)

    def _offered(self, item: Offered, out: list[Output]) -> None:
        call = self._call_of(item.leg)
        if call is None:
            self._endpoint.refuse_offer(self._now(), item.leg, 481, out)
            return
        before = call.media.held_by_peer
        offer = item.request.body
        body = call.media.answer(offer)
        if body is None:
            self._endpoint.refuse_offer(self._now(), item.leg, 488, out)
            return
        call.owes_answer = not offer
        self._endpoint.answer_offer(self._now(), item.leg, out, body=body)
        self._tell_hold(call, before)

    def _offer_answered(self, item: OfferAnswered, out: list[Output]) -> None:
        self._endpoint.ack(self._now(), item.leg, out)
        call = self._call_of(item.leg)
        if call is None:
            return
        call.reinviting = False
        self._tell(Kind.HELD if call.media.held else Kind.RETRIEVED, call, item.response.status)

    def _reinvite(self, call: PhoneCall, hold: bool, out: list[Output]) -> None:
        before = call.media.held
        call.media.held = hold
        call.wants_hold = hold
        try:
            self._endpoint.offer(self._now(), call.leg, out, body=call.media.offer())
        except LocalError:
            call.media.held = before
            raise
        call.reinviting = True

    def _invite(self, call: PhoneCall, out: list[Output], headers: Sequence[tuple[str, str]]) -> None:
        self._legs.pop(call.leg, None)
        call.leg = self._endpoint.invite(
            self._now(),
            out,
            listener=LISTENER,
            destination=self.registrar,
            uri=call.uri,
            from_=self.identity,
            to=f"<{call.uri}>",
            contact=self.contact,
            headers=headers,
            body=call.media.offer(),
            call_id=call.call_id,
            cseq=call.cseq,
            from_tag=call.tag,
        )
        self._legs[call.leg] = call.number

    # for the registration

    def credentials(self, challenge: Response, method: str, uri: str, count: int) -> tuple[str, str] | None:
        """The header that answers a challenge; None when the challenge cannot be answered."""
        try:
            return digest_answer(challenge, method, uri, self.number, self._password, secrets.token_hex(8), count)
        except ValueError:
            return None

    @property
    def identity(self) -> str:
        """The phone's address as a name-addr without tag."""
        display = f'"{self._display}" ' if self._display else ""
        return f"{display}<sip:{self.number}@{self.domain}>"

    @property
    def contact(self) -> str:
        """Where the phone can be reached, as a name-addr."""
        tail = "" if self.transport.name == "udp" else f";transport={self.transport.name}"
        return f"<sip:{self.number}@{host_text(self.address[0])}:{self.address[1]}{tail}>"

    def request_register(self, expires_s: int, call_id: str, cseq: int, headers: Sequence[tuple[str, str]]) -> int:
        """Send one REGISTER; returns its handle. For `Registration`."""
        out: list[Output] = []
        handle = self._endpoint.request(
            self._now(),
            out,
            method="REGISTER",
            listener=LISTENER,
            destination=self.registrar,
            uri=f"sip:{self.domain}",
            from_=self.identity,
            to=self.identity,
            contact=self.contact,
            headers=(("Expires", str(expires_s)), *headers),
            call_id=call_id,
            cseq=cseq,
        )
        self.perform(out)
        return handle

    def told_registration(self, kind: Kind, status: int, text: str) -> None:
        """A registration began, ended or failed. For `Registration`."""
        self._tell(kind, None, status, text)


def _wants_answer(request: Request) -> bool:
    """Whether the caller asks the phone to answer at once, as for a call that a program makes on it."""
    return any(_ANSWER_AFTER.search(value) for value in request.get_all("Call-Info"))


def host_text(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _local_host(peer: Address) -> str:
    """The address from which this machine would reach the peer."""
    family = socket.AF_INET6 if ":" in peer[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(peer)
        return cast(str, probe.getsockname()[0])
