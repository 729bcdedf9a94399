"""The first wall: the one room that turns bytes into values and values into bytes (design 3).

It hosts the SIP endpoint and one T-Library session a stream. What they say comes back as values: `sip_out` for SIP,
pairs of a stream and a record for T-Library. The node takes them from here to the room that they belong to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cluster_core.core import Core
from cluster_core.doors import Doors
from cluster_core.errors import LocalError
from cluster_core.gate import Gate
from cluster_core.inputs import Datagram, Opened
from cluster_core.outputs import AnyOutput, Close, Dial, Fault, Send, SendDatagram, Subsystem
from cluster_core.settings import MemberSettings
from cluster_core.stamps import Stamps
from sip_proto import Connect, Disconnect, Endpoint, EndpointSettings, Transmit, TransmitStream
from sip_proto import Output as SipRecord
from tlib_proto import (
    ClientSession,
    Ended,
    Hello,
    Linked,
    Message,
    ServerSession,
    TlibRecord,
    Value,
    Write,
    encode,
    frame_id,
    frame_reference,
)
from tlib_proto.limits import LIMITS

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, NOTIFY, REFER, SUBSCRIBE, INFO, MESSAGE, PRACK, UPDATE"
"""What a phone may send to a node."""

SUPPORTED = ("replaces", "norefersub")
"""Option tags beside those that the endpoint knows by itself."""

EVENTS = ("dialog", "message-summary")
"""What a phone may subscribe to."""

TRANSPORTS = {"sip-tcp": "tcp", "sip-tls": "tls"}

SUBSYSTEMS = {
    "tlib": Subsystem.MAIN,
    "iproxy": Subsystem.INTERACTION_PROXY,
    "tcontroller": Subsystem.T_CONTROLLER,
    "smartproxy": Subsystem.SMART_PROXY,
}


class Gone(NamedTuple):
    """A stream's session has ended; `listener` is the listener or dialler that it belonged to."""

    listener: str


class Stream:
    """One open stream: its session, the listener or dialler that it belongs to, and who is at the other end."""

    __slots__ = ("listener", "loopback", "masked", "names", "peer", "session", "subsystem")

    def __init__(self, session: ServerSession | ClientSession, listener: str, given: Opened) -> None:
        self.session = session
        self.listener = listener
        self.subsystem = SUBSYSTEMS[listener.partition("-")[0]]
        self.masked = False
        self.peer = given.peer
        self.loopback = given.loopback
        self.names = given.proof.split("\n") if given.proof else []


class Edge:
    """Bytes on one side, values on the other; nothing is decided here."""

    def __init__(self, core: Core, seed: bytes) -> None:
        self._core = core
        listeners = {"sip": _address(core.member.sip), "sip-tcp": _address(core.member.sip)}
        if core.member.sip_tls:
            listeners["sip-tls"] = _address(core.member.sip_tls)
        self.sip = Endpoint(
            EndpointSettings(
                listeners=listeners,
                transports={name: TRANSPORTS[name] for name in listeners if name in TRANSPORTS},
                node=core.node.number,
                session_s=max(1_800, core.settings.options.session_refresh_minimum),
                min_session_s=core.settings.options.session_refresh_minimum,
                session_types=("application/sdp",),
                allow=ALLOW,
                supported=SUPPORTED,
                events=EVENTS,
            ),
            seed,
        )
        self.sip_out: list[SipRecord] = []
        self.tlib_out: list[tuple[int, TlibRecord | Gone]] = []
        self.streams: dict[int, Stream] = {}
        self.stamps = Stamps(core)
        self.doors = Doors(core)
        self._open: dict[int, Stream] = {}
        self._dialling: dict[int, tuple[Hello, str]] = {}
        self._next_dial = 1
        # SIP streams: an accepted one is its own flow, a flow that the endpoint asked for has a stream that we dial.
        self._flows: dict[int, int] = {}
        self._dialled_for: dict[int, str] = {}
        self._conns: dict[int, int] = {}
        # Of accepted SIP streams: the source, and when it was heard last.
        self._sources: dict[int, tuple[str, int]] = {}
        self.gate = Gate(core)

    def datagram(self, now: int, given: Datagram, out: list[AnyOutput]) -> None:
        """Hand a datagram to the SIP endpoint, unless its source sends too many."""
        if self.gate.admits(now, given.source[0], out):
            self.sip.receive_datagram(now, given.listener, given.source, given.data, self.sip_out)

    def flush_sip(self, out: list[AnyOutput]) -> list[SipRecord]:
        """Turn what the endpoint transmits into outputs, and return the rest of what it said, in order."""
        said = []
        for record in self.sip_out:
            if type(record) is Transmit:
                out.append(SendDatagram(Subsystem.CALL_MANAGER, record.listener, record.destination, record.data))
            elif type(record) is TransmitStream:
                conn = self._conns.get(record.flow)
                if conn is not None:
                    out.append(Send(Subsystem.CALL_MANAGER, (conn,), (record.data,)))
            elif type(record) is Connect:
                conn = self._take_dial()
                self._bind(conn, record.flow)
                self._dialled_for[conn] = record.listener
                address = _text(record.destination)
                out.append(Dial(Subsystem.CALL_MANAGER, conn, address, record.transport == "tls", record.name))
            elif type(record) is Disconnect:
                conn = self._conns.get(record.flow)
                if conn is not None:
                    self._unbind(conn)
                    out.append(Close(Subsystem.CALL_MANAGER, conn, record.why))
            else:
                said.append(record)
        self.sip_out.clear()
        return said

    def opened(self, now: int, given: Opened, out: list[AnyOutput]) -> None:
        """A stream is open: start the session of its role, or close it when the table of streams is full."""
        limits = self._core.limits
        flow = self._flows.get(given.conn, given.conn)
        if given.listener in TRANSPORTS or given.conn in self._flows:
            if given.conn not in self._flows:
                if len(self.streams) + len(self._flows) >= limits.connections:
                    out.append(Close(Subsystem.TRANSPORT, given.conn, "too many connections"))
                    return
                source = _address(given.peer)[0]
                if not self.gate.opened(now, source, out):
                    out.append(Close(Subsystem.CALL_MANAGER, given.conn, "too many streams"))
                    return
                self._bind(given.conn, flow)
                self._sources[given.conn] = (source, now)
                self._core.arm("idle", given.conn, now + limits.source_idle_us)
            listener = self._dialled_for.pop(given.conn, given.listener)
            self.sip.stream_opened(now, flow, listener, _address(given.peer), self.sip_out)
            return
        if given.listener == "dial":
            dialled = self._dialling.pop(given.conn, None)
            if dialled is None:
                out.append(Close(Subsystem.TRANSPORT, given.conn, "nobody waits for this stream"))
                return
            hello, listener = dialled
            client = ClientSession(now, hello, keepalive_us=limits.link_ping_us)
            self.streams[given.conn] = Stream(client, listener, given)
            said: list[TlibRecord] = []
            client.start(now, said)
            self._sort(given.conn, said, out)
        elif len(self.streams) >= limits.connections:
            out.append(Fault(Subsystem.TRANSPORT, "too-many-connections", f"refused {given.peer}", given.conn))
            out.append(Close(SUBSYSTEMS[given.listener], given.conn, "too many connections"))
            return
        elif why := "" if given.loopback else self.doors.opened(now, given.conn, _address(given.peer)[0]):
            out.append(Fault(Subsystem.TRANSPORT, "refused-source", f"{given.peer}: {why}", given.conn))
            out.append(Close(SUBSYSTEMS[given.listener], given.conn, why))
            return
        else:
            session = ServerSession(now, stamp=self.stamps.whole)
            self.streams[given.conn] = Stream(session, given.listener, given)
        self._rearm(given.conn)

    def received(self, now: int, conn: int, data: bytes, out: list[AnyOutput]) -> None:
        """Hand bytes of a stream to its session; bytes of a stream that was closed meanwhile are dropped."""
        flow = self._flows.get(conn)
        if flow is not None:
            if conn in self._sources:
                source = self._sources[conn][0]
                if not self.gate.admits(now, source, out):
                    self._give_up(now, conn, "too many messages", out)
                    return
                self._sources[conn] = (source, now)
            self.sip.receive_stream(now, flow, data, self.sip_out)
            return
        stream = self.streams.get(conn)
        if stream is None:
            return
        said: list[TlibRecord] = []
        stream.session.receive_data(now, data, said)
        self._sort(conn, said, out)
        self._rearm(conn)

    def sip_closed(self, now: int, conn: int) -> bool:
        """A stream is gone: tell the endpoint if it was one of SIP, and then True."""
        flow = self._unbind(conn)
        if flow is None:
            return False
        self.sip.stream_closed(now, flow, self.sip_out)
        return True

    def idle_timeout(self, now: int, conn: int, out: list[AnyOutput]) -> None:
        """A stranger's SIP stream that has said nothing for long is closed; a registered phone's stays."""
        source, heard_us = self._sources[conn]
        due_us = heard_us + self._core.limits.source_idle_us
        if now < due_us:
            self._core.arm("idle", conn, due_us)
        elif self.gate.is_proven(now, source):
            self._core.arm("idle", conn, now + self._core.limits.source_idle_us)
        else:
            self._give_up(now, conn, "idle", out)

    def closed(self, conn: int) -> str | None:
        """Forget a stream that is gone; returns the listener or dialler it belonged to, None if unknown."""
        stream = self.streams.pop(conn, None)
        self._open.pop(conn, None)
        self.doors.closed(conn)
        self._core.arm("conn", conn, None)
        if stream is not None:
            return stream.listener
        dialled = self._dialling.pop(conn, None)
        return None if dialled is None else dialled[1]

    def dial(self, hello: Hello, to: MemberSettings, dialler: str, out: list[AnyOutput]) -> int:
        """Ask for a stream to another member's TCport and greet there; returns its number."""
        conn = self._take_dial()
        self._dialling[conn] = (hello, dialler)
        tls = "tcontroller" in to.tls
        out.append(Dial(SUBSYSTEMS[dialler.partition("-")[0]], conn, to.tcontroller, tls))
        return conn

    def accept(
        self, now: int, conn: int, attributes: Mapping[int, Value], keepalive_us: int, out: list[AnyOutput]
    ) -> None:
        """Answer a Hello by EventLinkConnected."""
        said: list[TlibRecord] = []
        stream = self.streams[conn]
        session = stream.session
        assert isinstance(session, ServerSession)
        self._open[conn] = stream
        session.accept(now, dict(attributes), said, keepalive_us=keepalive_us)
        self._sort(conn, said, out)
        self._rearm(conn)

    def refuse(self, now: int, conn: int, code: int, text: str, out: list[AnyOutput]) -> None:
        """Answer a Hello by EventError and close."""
        said: list[TlibRecord] = []
        session = self.streams[conn].session
        assert isinstance(session, ServerSession)
        session.refuse(now, code, text, said)
        self._sort(conn, said, out)

    def disconnect(
        self, now: int, conn: int, attributes: dict[int, int | str], code: int, text: str, out: list[AnyOutput]
    ) -> None:
        """Tell a client by EventLinkDisconnected, with the reason, and close."""
        said: list[TlibRecord] = []
        session = self.streams[conn].session
        assert isinstance(session, ServerSession)
        session.disconnect(now, dict(attributes), said, code, text)
        self._sort(conn, said, out)

    def send(self, now: int, conn: int, message: Message, out: list[AnyOutput]) -> None:
        """Send one message to one stream, if it is still open."""
        stream = self._open.get(conn)
        if stream is None or (stream.masked and not stream.session.wants(message.id, message.ref)):
            return
        frame = encode(message)
        if len(frame) > LIMITS.frame:
            raise LocalError(f"frame of {len(frame)} octets, at most {LIMITS.frame}")
        out.append(Send(stream.subsystem, (conn,), (frame,)))

    def send_frame(self, now: int, conns: Sequence[int], frame: bytes, out: list[AnyOutput]) -> None:
        """Send one encoded message to streams of one port; those that are not open, or mask it, are left out.

        A frame that no session may send is LocalError.
        """
        if len(frame) > LIMITS.frame:
            raise LocalError(f"frame of {len(frame)} octets, at most {LIMITS.frame}")
        get = self._open.get
        ready = [
            conn
            for conn in conns
            if (stream := get(conn)) is not None
            and (not stream.masked or stream.session.wants(frame_id(frame), frame_reference(frame)))
        ]
        if ready:
            out.append(Send(self._open[ready[0]].subsystem, tuple(ready), (frame,)))

    def set_input_mask(self, now: int, conn: int, mask: bytes) -> None:
        """A client wants events by this mask alone."""
        stream = self.streams[conn]
        assert isinstance(stream.session, ServerSession)
        stream.session.set_input_mask(now, mask)
        stream.masked = True

    def queued(self, now: int, conn: int, octets: int, out: list[AnyOutput]) -> None:
        """The host says how much waits for the peer: one that reads too slowly is closed with the reason."""
        stream = self.streams.get(conn)
        if stream is not None:
            said: list[TlibRecord] = []
            stream.session.queued(now, octets, said)
            self._sort(conn, said, out)
            self._rearm(conn)

    def unread(self, conn: int) -> int:
        """How many octets wait for the peer, as the host said last."""
        stream = self.streams.get(conn)
        return 0 if stream is None else stream.session.unread

    def close(self, now: int, conn: int, why: str, out: list[AnyOutput]) -> None:
        """Close a stream from our side, or give up dialling it; it is forgotten at once."""
        stream = self.streams.get(conn)
        if stream is None:
            dialled = self._dialling.pop(conn, None)
            if dialled is not None:
                out.append(Close(SUBSYSTEMS[dialled[1].partition("-")[0]], conn, why))
        else:
            said: list[TlibRecord] = []
            stream.session.close(now, why, said)
            self._sort(conn, said, out)

    def timeout(self, now: int, conn: int, out: list[AnyOutput]) -> None:
        """A session's deadline has come."""
        stream = self.streams.get(conn)
        if stream is not None:
            said: list[TlibRecord] = []
            stream.session.handle_timeout(now, said)
            self._sort(conn, said, out)
            self._rearm(conn)

    def _take_dial(self) -> int:
        conn = self._next_dial
        self._next_dial += 2
        return conn

    def _bind(self, conn: int, flow: int) -> None:
        self._flows[conn] = flow
        self._conns[flow] = conn

    def _give_up(self, now: int, conn: int, why: str, out: list[AnyOutput]) -> None:
        self.sip_closed(now, conn)
        out.append(Close(Subsystem.CALL_MANAGER, conn, why))

    def _unbind(self, conn: int) -> int | None:
        if conn in self._sources:
            self.gate.closed(self._sources.pop(conn)[0])
            self._core.arm("idle", conn, None)
        flow = self._flows.pop(conn, None)
        self._dialled_for.pop(conn, None)
        if flow is not None:
            del self._conns[flow]
        return flow

    def _sort(self, conn: int, said: list[TlibRecord], out: list[AnyOutput]) -> None:
        stream = self.streams[conn]
        subsystem = stream.subsystem
        for record in said:
            if type(record) is Write:
                out.append(Send(subsystem, (conn,), (record.data,)))
            else:
                if type(record) is Linked:
                    self._open[conn] = stream
                if type(record) is Ended:
                    out.append(Close(subsystem, conn, record.text))
                    self.closed(conn)
                    self.tlib_out.append((conn, Gone(stream.listener)))
                    return
                self.tlib_out.append((conn, record))

    def _rearm(self, conn: int) -> None:
        stream = self.streams.get(conn)
        self._core.arm("conn", conn, None if stream is None else stream.session.next_deadline())


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _text(address: tuple[str, int]) -> str:
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"
