"""Streams of one node, accepted and dialled: bytes in, outputs joined into few writes (design 3, 10)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from cluster_core.inputs import Closed, Listener, Opened, Received, Writable
from cluster_core.limits import Limits
from cluster_core.outputs import Close, Dial, Send
from refserver.addresses import is_loopback, join_address, split_address
from refserver.pump import Host

HIGH_MARK, LOW_MARK = 262_144, 65_536
LINGER_S = 5.0
DIAL_S = 5.0
TLS_S = 10.0
BACKLOG = 1_024


class Stream(asyncio.Protocol):
    """One connection; `queued` counts bytes given to it that its socket has not taken."""

    def __init__(self, owner: Streams, listener: Listener, conn: int = 0) -> None:
        self.owner = owner
        self.listener = listener
        self.conn = conn
        self.transport: asyncio.Transport | None = None
        self.pending: list[bytes] = []
        self.pending_bytes = 0
        self.room = owner.limits.write_queue_bytes
        self.linger: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The stream is open; the node hears of it unless there are too many."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=HIGH_MARK, low=LOW_MARK)
        self.owner.opened(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came; those of a stream that the node has closed are dropped."""
        if self.conn in self.owner.table:
            self.owner.host.feed(Received(self.conn, data))

    def pause_writing(self) -> None:
        """More waits than the high mark."""
        self._mark(self.queued)

    def resume_writing(self) -> None:
        """Less waits than the low mark: nothing to speak of, and of the rest no mark will tell."""
        self._mark(0)

    def connection_lost(self, exc: Exception | None) -> None:
        """The stream is gone."""
        if self.linger:
            self.linger.cancel()
        self.owner.lost(self, _reason(exc) if exc else "closed by the peer")
        self.transport = None

    @property
    def queued(self) -> int:
        """Bytes that wait for the peer to read."""
        return self.pending_bytes + (self.transport.get_write_buffer_size() if self.transport else 0)

    def _mark(self, queued: int) -> None:
        if self.conn in self.owner.table:
            self.owner.host.post(Writable(self.conn, queued))


class Streams:
    """All streams of a node, by connection number: even ones are accepted, odd ones dialled (design 3)."""

    def __init__(self, host: Host, limits: Limits) -> None:
        self.host = host
        self.limits = limits
        self.table: dict[int, Stream] = {}
        self.refused = 0
        self.trust: ssl.SSLContext | None = None
        self._closing: dict[Stream, None] = {}
        self._dials: dict[int, asyncio.Task[None]] = {}
        self._dirty: list[Stream] = []
        self._servers: list[asyncio.Server] = []
        self._next = 2
        host.performers[Send] = self.send
        host.performers[Dial] = self.dial
        host.performers[Close] = self.close

    async def listen(self, listener: Listener, sock: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Accept streams on a bound socket, under TLS if a context is given."""
        server = await self.host.loop.create_server(
            lambda: Stream(self, listener),
            sock=sock,
            backlog=BACKLOG,
            ssl=tls,
            ssl_handshake_timeout=TLS_S if tls else None,
        )
        self._servers.append(server)

    def opened(self, stream: Stream) -> None:
        """A stream is open: number it and tell the node, or close it at once when there are too many."""
        transport = stream.transport
        assert transport is not None
        if stream.conn == 0:
            if len(self.table) + len(self._closing) >= self.limits.connections:
                self.refused += 1
                self.host.count_fault("connection refused: too many")
                transport.abort()
                return
            stream.conn = self._next
            self._next += 2
        elif stream.conn not in self._dials:
            transport.abort()  # the node gave the dial up while it succeeded
            return
        self.table[stream.conn] = stream
        peer = transport.get_extra_info("peername") or ("", 0)
        self.host.feed(
            Opened(
                stream.conn,
                stream.listener,
                join_address(peer[0], peer[1]),
                loopback=is_loopback(peer[0]),
                proof="\n".join(certificate_names(transport.get_extra_info("peercert"))),
            )
        )

    def lost(self, stream: Stream, why: str) -> None:
        """A stream is gone; the node hears of it unless it closed it itself."""
        self._closing.pop(stream, None)
        if self.table.get(stream.conn) is stream:
            del self.table[stream.conn]
            self.host.feed(Closed(stream.conn, why))

    def send(self, output: Send) -> None:
        """Queue the chunks on each stream; one write a stream and pass of the loop."""
        chunks = output.chunks
        size = sum(map(len, chunks))
        table, dirty = self.table, self._dirty
        if not dirty:
            self.host.loop.call_soon(self._flush)
        for conn in output.conns:
            stream = table.get(conn)
            if stream is None:
                continue
            pending = stream.pending
            if not pending:
                dirty.append(stream)
            pending += chunks
            stream.pending_bytes = waiting = stream.pending_bytes + size
            if waiting > stream.room and stream.queued > self.limits.write_queue_bytes:
                self.host.count_fault("slow consumer")
                self.drop(conn, "slow consumer")

    def dial(self, output: Dial) -> None:
        """Open a stream to an address; `Opened` or `Closed` follows."""
        self._dials[output.conn] = self.host.loop.create_task(
            self._dial(output.conn, output.address, self.trust if output.tls else None, output.name)
        )

    def close(self, output: Close) -> None:
        """Close a stream after what was sent on it has left; a peer that does not read has 5 s."""
        dialling = self._dials.pop(output.conn, None)
        if dialling:
            dialling.cancel()
        stream = self.table.pop(output.conn, None)
        if stream is None or stream.transport is None:
            return
        self._write(stream)
        self._closing[stream] = None
        stream.transport.close()
        stream.linger = self.host.loop.call_later(LINGER_S, stream.transport.abort)

    def drop(self, conn: int, why: str) -> None:
        """Close a stream at once and tell the node so."""
        stream = self.table.pop(conn, None)
        if stream is None:
            return
        stream.pending.clear()
        stream.pending_bytes = 0
        self._closing[stream] = None
        if stream.transport:
            stream.transport.abort()
        self.host.post(Closed(conn, why))

    async def end(self) -> None:
        """Stop listening, let what was sent leave for a moment, and close everything."""
        for server in self._servers:
            server.close()
        for conn in list(self._dials):
            self._dials.pop(conn).cancel()
        for conn in list(self.table):
            stream = self.table.pop(conn)
            self._write(stream)
            self._closing[stream] = None
            if stream.transport:
                stream.transport.close()
        for _ in range(20):
            if not self._closing:
                return
            await asyncio.sleep(0.05)
        for stream in self._closing:
            if stream.transport:
                stream.transport.abort()

    async def _dial(self, conn: int, address: str, tls: ssl.SSLContext | None, name: str) -> None:
        try:
            host, port = split_address(address)
            shown = (name or host) if tls else None
            async with asyncio.timeout(DIAL_S):
                await self.host.loop.create_connection(
                    lambda: Stream(self, "dial", conn), host, port, ssl=tls, server_hostname=shown
                )
        except (OSError, ValueError, TimeoutError) as error:
            if self._dials.pop(conn, None):
                self.host.feed(Closed(conn, _reason(error)))
        else:
            self._dials.pop(conn, None)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for stream in dirty:
            self._write(stream)

    def _write(self, stream: Stream) -> None:
        chunks, transport = stream.pending, stream.transport
        if chunks and transport:
            transport.write(chunks[0] if len(chunks) == 1 else b"".join(chunks))
            stream.room = self.limits.write_queue_bytes - transport.get_write_buffer_size()
        stream.pending = []
        stream.pending_bytes = 0


def _reason(error: BaseException) -> str:
    """What went wrong on a stream, in a few words."""
    if isinstance(error, TimeoutError) and not error.args:
        return "no answer"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def certificate_names(certificate: Mapping[str, Any] | None) -> list[str]:
    """The names that a checked certificate is for: its DNS names, else its common name."""
    if not certificate:
        return []
    names = [str(value) for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    common = [str(value) for pairs in certificate.get("subject", ()) for key, value in pairs if key == "commonName"]
    return [name for name in names or common if "\n" not in name]
