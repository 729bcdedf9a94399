"""The ground of a test phone: its sockets, its clock, its name, and requests outside of calls (RFC 3261)."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import socket
from collections.abc import Callable, Sequence
from typing import cast

from refserver.mailbox import Mailbox
from refserver.phone_records import PhoneCall, PhoneError, PhoneEvent, PhoneEventKind, PhoneTimeout
from refserver.phone_registration import Registration
from refserver.phone_wires import Address, Transport, Wires, open_wires
from sip_proto import (
    Account,
    Cancelled,
    Connect,
    Disconnect,
    Ended,
    Endpoint,
    EndpointSettings,
    Failed,
    LocalError,
    OfferWithdrawn,
    Output,
    ParseError,
    Responded,
    Response,
    StreamFramer,
    Transmit,
    TransmitStream,
    parse_uri,
)

EVENT_QUEUE = 1_000
MAX_CALLS = 32
TIMEOUT_S = 10.0
LISTENER = "phone"
ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, INFO, MESSAGE, PRACK, UPDATE, REFER"
SUPPORTED = ("replaces", "norefersub")
ALGORITHMS = ("MD5", "SHA-256")

MessageTrace = Callable[[str, bytes, Address], None]
"""Called with "sent" or "received", the message, and the address at the other end."""

Kind = PhoneEventKind
Lines = Sequence[tuple[str, str]]


class PhoneAgent:
    """The part of `Phone` that listens: messages, deadlines, registration (ours)."""

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
        busy: bool = False,
        direct: bool = False,
        reliable: str = "supported",
        session_s: int = 1800,
        min_session_s: int = 90,
        transferable: bool = True,
        algorithms: Sequence[str] = ALGORITHMS,
        told: Callable[[PhoneEvent], None] | None = None,
    ) -> None:
        self.number = number
        self.registrar = registrar
        self.domain = domain or host_text(registrar[0])
        self.auto_answer = auto_answer
        self.talk = talk
        self.busy = busy
        self.calls: dict[int, PhoneCall] = {}
        self._password = password
        self._display = display
        self._bind = bind
        self._trace = trace
        self._direct = direct
        self._reliable = reliable
        self._session_s = session_s
        self._min_session_s = min_session_s
        self.transferable = transferable
        self._algorithms = tuple(algorithms)
        self._told = told
        self.transport = Transport(name=transport) if isinstance(transport, str) else transport
        self._mail: Mailbox[PhoneEvent] = Mailbox(EVENT_QUEUE)
        self._wires: Wires | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._framers: dict[int, StreamFramer] = {}
        self._lost = ""
        self._registration = Registration(self, expires_s)
        self._asked: dict[int, asyncio.Future[Responded]] = {}

    # sockets and clock

    async def start(self) -> None:
        """Open the socket; `register` and `call` do it when need be. OSError when it cannot be."""
        if self._wires is not None:
            return
        self._loop = asyncio.get_running_loop()
        bind = self._bind or (_local_host(self.registrar), 0)
        wires = await open_wires(self, self.transport, bind)
        self.address: Address = wires.address
        self._endpoint = Endpoint(self._settings(), secrets.token_bytes(32))
        self._wires = wires

    def _settings(self) -> EndpointSettings:
        # What it registers with is for whoever sits where the registrar is, in calls too.
        account = Account("", self.number, self._password, (_ip_of(self.registrar),))
        return EndpointSettings(
            listeners={LISTENER: self.address},
            transports={LISTENER: self.transport.name},
            user_agent="refserver phone",
            allow=ALLOW,
            supported=SUPPORTED,
            reliable=self._reliable,
            session_s=self._session_s,
            min_session_s=self._min_session_s,
            accounts=(account,),
            algorithms=self._algorithms,
        )

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
                continue
            try:
                self._heard(item, out)
            except LocalError:
                # What it would be answered to is over already, by something that came along with it.
                if not any(_ends(later, item) for later in out[position:]):
                    raise
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._endpoint.next_deadline()
        if deadline is not None and not self._closing:
            self._timer = self._loop.call_at(deadline / 1_000_000, self._on_timer)

    def _heard(self, item: Output, out: list[Output]) -> None:
        """What the endpoint says; each room of the phone takes what is its own."""
        if isinstance(item, Responded):
            waiting = self._asked.pop(item.handle, None)
            if waiting is None:
                lost = self._lost if item.why == "transport" else ""
                self._registration.responded(item.handle, item.response, lost)
            elif not waiting.done():
                waiting.set_result(item)

    def _tell(
        self,
        kind: Kind,
        call: PhoneCall | None = None,
        status: int = 0,
        text: str = "",
        peer: str = "",
        detail: dict[str, str | int] | None = None,
    ) -> None:
        number = call.number if call is not None else 0
        event = PhoneEvent(kind, number, status, peer or (call.peer if call else ""), text, detail or {})
        self._mail.put(event)
        if self._told is not None:
            self._told(event)

    # requests that are answered once

    async def _ask(
        self, method: str, uri: str, what: str, body: bytes, content_type: str, timeout_s: float
    ) -> Response:
        """A request outside of dialogs and its final 2xx; challenges are answered. Raises as _answer_of."""
        await self.start()
        out: list[Output] = []
        try:
            handle = self._endpoint.request(
                self._now(),
                out,
                method=method,
                listener=LISTENER,
                destination=self._destination(uri),
                uri=uri,
                from_=self.identity,
                to=f"<{uri}>",
                contact=self.contact,
                body=body,
                content_type=content_type,
            )
        except LocalError as error:
            raise PhoneError(f"{self.number}: {error}") from None
        return await self._answer_of(handle, out, what, timeout_s)

    async def _answer_of(self, handle: int, out: list[Output], what: str, timeout_s: float) -> Response:
        """Perform `out`, which sends the request `handle`; its 2xx. Raises `PhoneError`, `PhoneTimeout`."""
        waiting: asyncio.Future[Responded]
        waiting = self._asked[handle] = self._loop.create_future()
        self.perform(out)
        try:
            async with asyncio.timeout(timeout_s):
                said = await waiting
        except TimeoutError:
            raise PhoneTimeout(f"{self.number}: no answer to {what} within {timeout_s:g} s") from None
        finally:
            self._asked.pop(handle, None)
        if said.response is None:
            reason = self._lost if said.why == "transport" else "no answer"
            raise PhoneError(f"{self.number}: {what}: {reason}", 503 if said.why == "transport" else 408)
        if said.response.status >= 300:
            status, reason = said.response.status, said.response.reason
            raise PhoneError(f"{self.number}: {what}: {status} {reason}", status)
        return said.response

    def _give_up_asking(self) -> None:
        for waiting in self._asked.values():
            if not waiting.done():
                waiting.set_exception(PhoneError(f"{self.number}: the phone is closed"))

    # name and address

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

    def _uri_of(self, target: str) -> str:
        return target if target.startswith(("sip:", "sips:")) else f"sip:{target}@{self.domain}"

    def _destination(self, uri: str) -> Address:
        """Where a request to a URI goes: to the registrar, from a direct phone to the URI's own address."""
        return self._address_in(uri) if self._direct else self.registrar

    def _address_in(self, uri: str) -> Address:
        """The address that a URI itself names; `PhoneError` for a name: a phone asks no DNS."""
        try:
            parsed = parse_uri(uri)
            return str(ipaddress.ip_address(parsed.host.strip("[]"))), parsed.port or 5060
        except (ParseError, ValueError) as error:
            raise PhoneError(f"{uri}: {error}") from None

    # for the registration

    def request_register(self, expires_s: int, call_id: str, cseq: int) -> int:
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
            headers=(("Expires", str(expires_s)),),
            call_id=call_id,
            cseq=cseq,
        )
        self.perform(out)
        return handle

    def told_registration(self, kind: Kind, status: int, text: str) -> None:
        """A registration began, ended or failed. For `Registration`."""
        self._tell(kind, None, status, text)


def _ends(later: Output, item: Output) -> bool:
    leg = getattr(item, "leg", 0)
    return isinstance(later, Ended | Cancelled | Failed | OfferWithdrawn) and later.leg == leg


def host_text(host: str) -> str:
    """A host as a URI writes it."""
    return f"[{host}]" if ":" in host else host


def _local_host(peer: Address) -> str:
    """The address from which this machine would reach the peer."""
    return _probe(peer)[0]


def _ip_of(peer: Address) -> str:
    """The peer's host as the IP literal that its messages come from."""
    try:
        return str(ipaddress.ip_address(peer[0]))
    except ValueError:
        return _probe(peer)[1]


def _probe(peer: Address) -> tuple[str, str]:
    family = socket.AF_INET6 if ":" in peer[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(peer)
        return cast(str, probe.getsockname()[0]), cast(str, probe.getpeername()[0])
