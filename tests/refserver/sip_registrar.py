"""A registrar on a loopback socket, for tests of the phone: digest, expiry, and what a script adds."""

from __future__ import annotations

import asyncio
import ssl

from sip_proto import (
    Challenger,
    Endpoint,
    EndpointSettings,
    Outcome,
    Output,
    Request,
    Requested,
    Transmit,
    TransmitStream,
)


class Registrar(asyncio.DatagramProtocol):
    """Answers REGISTER; `stale` nonces are refused once each, `refuse` is a status for every REGISTER."""

    def __init__(self, expires_s: int = 60) -> None:
        self.expires_s = expires_s
        self.stale = 0
        self.refuse = 0
        self.mute = False
        self.requests: list[Request] = []
        self.bound = False
        self.address = ("", 0)
        self.accepted: asyncio.Queue[int] = asyncio.Queue()

    async def start_streams(self, context: ssl.SSLContext | None = None) -> tuple[str, int]:
        """Serve TCP, or TLS with a context, in place of UDP."""
        self.flows: dict[int, asyncio.StreamWriter] = {}
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=context)
        self.address = self.server.sockets[0].getsockname()
        settings = EndpointSettings(listeners={"sip": self.address}, transports={"sip": "tls" if context else "tcp"})
        self.endpoint = Endpoint(settings, b"registrar")
        self.challenger = Challenger(b"registrar", "test")
        return self.address

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        flow = len(self.flows) + 1
        self.flows[flow] = writer
        self.endpoint.stream_opened(self.now(), flow, "sip", writer.get_extra_info("peername"), [])
        while data := await reader.read(4_096):
            out: list[Output] = []
            self.endpoint.receive_stream(self.now(), flow, data, out)
            self.perform(out)
        self.endpoint.stream_closed(self.now(), flow, [])
        writer.close()

    async def start(self) -> tuple[str, int]:
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self.address = self.transport.get_extra_info("sockname")[:2]
        self.endpoint = Endpoint(EndpointSettings(listeners={"sip": self.address}), b"registrar")
        self.challenger = Challenger(b"registrar", "test")
        return self.address

    def now(self) -> int:
        return int(asyncio.get_running_loop().time() * 1_000_000)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self.mute:
            return
        out: list[Output] = []
        self.endpoint.receive_datagram(self.now(), "sip", addr[:2], data, out)
        self.perform(out)

    def perform(self, out: list[Output]) -> None:
        for item in out:
            if isinstance(item, Requested):
                self.registered(item, out)
        for item in out:
            if isinstance(item, Transmit):
                self.transport.sendto(item.data, item.destination)
            elif isinstance(item, TransmitStream):
                self.flows[item.flow].write(item.data)

    def registered(self, item: Requested, out: list[Output]) -> None:
        now, request = self.now(), item.request
        self.requests.append(request)
        verdict = self.challenger.check(now, request, lambda user: "demo")
        if self.refuse:
            self.endpoint.respond(now, item.handle, self.refuse, out)
        elif verdict.outcome == Outcome.OK and self.stale:
            self.stale -= 1
            challenge = self.challenger.challenge(now, stale=True)
            self.endpoint.respond(now, item.handle, 401, out, headers=(challenge,))
        elif verdict.outcome == Outcome.OK:
            wanted = int(request.get("Expires") or 0)
            self.bound = wanted > 0
            granted = min(wanted, self.expires_s)
            contact = f"{request.get('Contact')};expires={granted}"
            self.endpoint.respond(now, item.handle, 200, out, headers=(("Contact", contact),))
            self.accepted.put_nowait(granted)
        else:
            challenge = self.challenger.challenge(now, stale=verdict.outcome == Outcome.STALE)
            self.endpoint.respond(now, item.handle, 401, out, headers=(challenge,))
