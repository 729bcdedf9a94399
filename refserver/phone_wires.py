"""The sockets of a test phone: one for datagrams, or streams that it opens and accepts (RFC 3261 section 18)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from pathlib import Path
from typing import Protocol, cast

import asyncio_dgram
import msgspec

from sip_proto import Connect, Disconnect, Output, Transmit, TransmitStream

Address = tuple[str, int]

TRANSPORTS = ("udp", "tcp", "tls")
DIAL_S = 5.0
CLOSE_S = 2.0
SEND_TRIES = 8
MAX_ACCEPTED = 64


class Transport(msgspec.Struct, frozen=True, kw_only=True):
    """How a phone speaks SIP.

    `ca_file` holds the certificates that it believes (none: the system's). Under TLS it accepts streams, and so
    can be called by nodes where it did not register, only with a `certificate` and its `certificate_key`.
    """

    name: str = "udp"
    ca_file: Path | None = None
    certificate: Path | None = None
    certificate_key: Path | None = None

    @property
    def accepts(self) -> bool:
        """Whether others can open streams to the phone."""
        return self.name == "tcp" or (self.name == "tls" and self.certificate is not None)

    def connecting(self) -> ssl.SSLContext | None:
        """How the phone connects; OSError for a file that cannot be used."""
        if self.name != "tls":
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            raise OSError(f"{self.ca_file}: {error.strerror or error}") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def accepting(self) -> ssl.SSLContext | None:
        """How the phone is connected to; OSError for files that cannot be used."""
        if self.name != "tls" or self.certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.certificate_key)
        except OSError as error:
            raise OSError(f"{self.certificate}: {error.strerror or error}") from None
        return context


class Host(Protocol):
    """What wires tell their phone."""

    def datagram_came(self, data: bytes, source: Address) -> None:
        """A datagram."""

    def stream_opened(self, flow: int, peer: Address) -> None:
        """A stream is open: accepted (a positive number) or asked for."""

    def stream_came(self, flow: int, data: bytes, peer: Address) -> None:
        """Bytes of a stream."""

    def stream_closed(self, flow: int, why: str) -> None:
        """A stream is gone, or did not open."""


class Wires(Protocol):
    """What a phone asks of its sockets."""

    @property
    def address(self) -> Address:
        """Where the phone is reached."""

    def perform(self, item: Output) -> tuple[bytes, Address] | None:
        """Send, connect or close; what leaves and where it goes, for traces."""

    async def close(self) -> None:
        """Let leave what was sent, and close."""

    def abort(self) -> None:
        """Close at once."""


async def open_wires(host: Host, transport: Transport, bind: Address) -> Wires:
    """The sockets of a transport, open; OSError when they cannot be."""
    if transport.name == "udp":
        return Datagrams(host, await asyncio_dgram.bind(bind))
    streams = Streams(host, transport.connecting())
    await streams.open(bind, transport.accepts, transport.accepting())
    return streams


class Datagrams:
    """One UDP socket. What the phone sends waits for its turn: asyncio-dgram's send is a coroutine."""

    def __init__(self, host: Host, stream: asyncio_dgram.DatagramServer) -> None:
        self._host = host
        self._stream = stream
        self._queue: asyncio.Queue[tuple[bytes, Address]] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read())
        self._writing = asyncio.create_task(self._write())

    @property
    def address(self) -> Address:
        host, port = self._stream.sockname[:2]
        return host, port

    def perform(self, item: Output) -> tuple[bytes, Address] | None:
        if not isinstance(item, Transmit):
            return None
        self._queue.put_nowait((item.data, item.destination))
        return item.data, item.destination

    async def close(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._queue.join()
        self.abort()
        await asyncio.wait((self._reading, self._writing))

    def abort(self) -> None:
        self._writing.cancel()
        self._stream.close()

    async def _read(self) -> None:
        while True:
            try:
                data, source = await self._stream.recv()
            except asyncio_dgram.TransportClosed:
                return
            except OSError:
                continue  # ICMP: nobody listens there; retransmission and time-out deal with it
            host, port = cast("tuple[str, int]", source)[:2]
            self._host.datagram_came(data, (host, port))

    async def _write(self) -> None:
        while True:
            data, destination = await self._queue.get()
            for _ in range(SEND_TRIES):
                try:
                    await self._stream.send(data, destination)
                except OSError:
                    continue  # it speaks of an earlier datagram; this one was not sent yet
                except asyncio_dgram.TransportClosed:
                    pass
                break
            self._queue.task_done()


class _Stream(asyncio.Protocol):
    def __init__(self, owner: Streams, flow: int) -> None:
        self._owner = owner
        self.flow = flow
        self.peer: Address = ("", 0)
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.peer = transport.get_extra_info("peername")[:2]
        self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        self._owner.received(self, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.lost(self, str(exc) if exc else "closed by the peer")
        self.transport = None


class Streams:
    """TCP or TLS streams by flow: negative ones were asked for by Connect, positive ones accepted."""

    def __init__(self, host: Host, connecting: ssl.SSLContext | None) -> None:
        self._host = host
        self._connecting = connecting
        self._loop = asyncio.get_running_loop()
        self._table: dict[int, _Stream] = {}
        self._open: dict[_Stream, None] = {}
        self._dials: dict[int, asyncio.Task[None]] = {}
        self._last = 0
        self._server: asyncio.Server | None = None
        self._reserved: socket.socket | None = None
        self._all_gone = asyncio.Event()
        self._all_gone.set()
        self.address: Address = ("", 0)

    async def open(self, bind: Address, accepts: bool, accepting: ssl.SSLContext | None) -> None:
        """Listen; a phone that accepts nothing keeps a port for its contact, so that no two share one."""
        if accepts:
            self._server = await self._loop.create_server(lambda: _Stream(self, 0), *bind, ssl=accepting)
            bound = self._server.sockets[0]
        else:
            bound = self._reserved = socket.socket(
                socket.AF_INET6 if ":" in bind[0] else socket.AF_INET, socket.SOCK_STREAM
            )
            try:
                bound.bind(bind)
            except OSError:
                bound.close()
                raise
        host, port = bound.getsockname()[:2]
        self.address = (host, port)

    def perform(self, item: Output) -> tuple[bytes, Address] | None:
        if isinstance(item, Connect):
            self._dials[item.flow] = asyncio.create_task(self._dial(item.flow, item.destination))
        elif isinstance(item, Disconnect):
            dial = self._dials.pop(item.flow, None)
            if dial is not None:
                dial.cancel()
            stream = self._table.pop(item.flow, None)
            if stream is not None and stream.transport is not None:
                stream.transport.close()
        elif isinstance(item, TransmitStream):
            stream = self._table.get(item.flow)
            if stream is not None and stream.transport is not None:
                stream.transport.write(item.data)
                return item.data, stream.peer
        return None

    async def close(self) -> None:
        self._stop()
        for stream in list(self._open):
            if stream.transport is not None:
                stream.transport.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._all_gone.wait()
        self.abort()
        await self._all_gone.wait()

    def abort(self) -> None:
        self._stop()
        for stream in list(self._open):
            if stream.transport is not None:
                stream.transport.abort()

    def opened(self, stream: _Stream) -> None:
        """A stream is open."""
        assert stream.transport is not None
        self._open[stream] = None
        self._all_gone.clear()
        if stream.flow == 0:
            if len(self._open) > MAX_ACCEPTED:
                stream.transport.abort()
                return
            self._last += 1
            stream.flow = self._last
        self._table[stream.flow] = stream
        self._host.stream_opened(stream.flow, stream.peer)

    def received(self, stream: _Stream, data: bytes) -> None:
        """Bytes came; those of a stream that the phone closed are dropped."""
        if self._table.get(stream.flow) is stream:
            self._host.stream_came(stream.flow, data, stream.peer)

    def lost(self, stream: _Stream, why: str) -> None:
        """A stream is gone; the phone hears of it unless it closed it itself."""
        self._open.pop(stream, None)
        if not self._open:
            self._all_gone.set()
        if self._table.get(stream.flow) is stream:
            del self._table[stream.flow]
            self._host.stream_closed(stream.flow, why)

    def _stop(self) -> None:
        self._table.clear()
        for dial in self._dials.values():
            dial.cancel()
        self._dials.clear()
        if self._server is not None:
            self._server.close()
        if self._reserved is not None:
            self._reserved.close()

    async def _dial(self, flow: int, destination: Address) -> None:
        name = destination[0] if self._connecting is not None else None
        try:
            async with asyncio.timeout(DIAL_S):
                await self._loop.create_connection(
                    lambda: _Stream(self, flow), *destination, ssl=self._connecting, server_hostname=name
                )
        except (OSError, TimeoutError) as error:
            if self._dials.pop(flow, None) is not None:
                self._host.stream_closed(flow, _reason(error))
        else:
            self._dials.pop(flow, None)


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate: {error.verify_message}"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or "no answer"
