"""Logs: one file a subsystem with the source's ids, or a line a message on stderr (seed, logs; design 12).

T-Library messages are decoded from bytes on the wire and written in the shape of the vendor's public logs. A
thread writes, so that a slow disk does not hold the loop; a dead one costs log lines, never the server.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import TextIO

from cluster_core.inputs import (
    AnyInput,
    Closed,
    Datagram,
    Listener,
    Opened,
    Operator,
    Received,
    Writable,
)
from cluster_core.outputs import AnyOutput, Close, Dial, Fault, Send, SendDatagram, Subsystem
from refserver.addresses import join_address, split_address
from refserver.masks import FrameCutter, one_line, sip_line, sip_text
from sip_proto.framing import StreamFramer
from tlib_proto.attributes import Attribute
from tlib_proto.logtext import render
from tlib_proto.messages import MessageType
from tlib_proto.records import Message

QUEUE_LINES = 50_000
RETRY_S = 10.0
SUBSYSTEM_OF: dict[Listener, Subsystem] = {
    "sip": Subsystem.CALL_MANAGER,
    "sip-tcp": Subsystem.CALL_MANAGER,
    "sip-tls": Subsystem.CALL_MANAGER,
    "tlib": Subsystem.MAIN,
    "iproxy": Subsystem.INTERACTION_PROXY,
    "tcontroller": Subsystem.T_CONTROLLER,
    "smartproxy": Subsystem.SMART_PROXY,
    "dial": Subsystem.T_CONTROLLER,
}
SUMMARY: tuple[tuple[str, Attribute], ...] = (
    ("ThisDN", Attribute.ThisDN),
    ("OtherDN", Attribute.OtherDN),
    ("ConnID", Attribute.ConnID),
    ("AgentID", Attribute.AgentID),
    ("ErrorCode", Attribute.ErrorCode),
    ("ErrorMessage", Attribute.ErrorMessage),
)


def file_name(node: str, subsystem: Subsystem) -> str:
    """`n1.log` for the main thread, `n1-001.log` for the Call Manager: the source's names, no time."""
    return f"{node}.log" if subsystem is Subsystem.MAIN else f"{node}-{subsystem:03d}.log"


class LogWriter:
    """Writes lines to files from a thread of its own; bounded, and a line too many is counted and dropped.

    Without a directory everything goes to `stream`.
    """

    def __init__(self, directory: Path | None, stream: TextIO | None = None) -> None:
        self._directory = directory
        self._stream = stream or sys.stderr
        self._queue: deque[tuple[str, str]] = deque()
        self._wake = threading.Condition()
        self._files: dict[str, TextIO] = {}
        self._dead_until: dict[str, float] = {}
        self._ending = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="logs", daemon=True)
        self._thread.start()

    def write(self, name: str, text: str) -> None:
        """Queue a text of one or more lines for the file `name`."""
        if len(self._queue) >= QUEUE_LINES:
            self.dropped += 1
            return
        with self._wake:
            self._queue.append((name, text))
            self._wake.notify()

    def end(self, wait_s: float = 2.0) -> None:
        """Write what is queued and close the files; a disk that hangs is not waited for longer."""
        with self._wake:
            self._ending = True
            self._wake.notify()
        self._thread.join(wait_s)

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._queue and not self._ending:
                    self._wake.wait()
                batch = list(self._queue)
                self._queue.clear()
                ending = self._ending
            texts: dict[str, list[str]] = {}
            for name, text in batch:
                texts.setdefault(name if self._directory else "", []).append(text)
            for name, parts in texts.items():
                self._write(name, "\n".join(parts) + "\n")
            if ending and not self._queue:
                for file in self._files.values():
                    _close(file)
                return

    def _write(self, name: str, text: str) -> None:
        if self._directory is None:
            _put(self._stream, text)
            return
        if time.monotonic() < self._dead_until.get(name, 0.0):
            self.dropped += 1
            return
        file = self._files.get(name)
        if file is None:
            try:
                descriptor = os.open(self._directory / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
            except OSError as error:
                self._dead(name, error)
                return
            file = self._files[name] = os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace")
        try:
            file.write(text)
            file.flush()
        except (OSError, ValueError) as error:
            _close(self._files.pop(name))
            self._dead(name, error)

    def _dead(self, name: str, error: Exception) -> None:
        """Say once in a while that a file cannot be written, and try it again later."""
        self._dead_until[name] = time.monotonic() + RETRY_S
        self.dropped += 1
        _put(self._stream, f"refserver: log {name} is not written: {error}\n")


def _put(stream: TextIO, text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody reads our stderr: nowhere left to say so
        stream.write(text)
        stream.flush()


def _close(file: TextIO) -> None:
    with contextlib.suppress(OSError):  # it had unwritten lines, which are lost with the disk
        file.close()


class _Peer:
    """What the log knows of a stream: where it came in, who is at the other end, and its unfinished frame."""

    __slots__ = ("application", "cutter", "framer", "peer", "subsystem")

    def __init__(self, subsystem: Subsystem, peer: str) -> None:
        self.subsystem = subsystem
        self.peer = peer
        self.application = ""
        self.cutter = FrameCutter()
        # SIP messages are cut whole before they are filed: a secret in two reads would escape the mask.
        self.framer = StreamFramer() if subsystem is Subsystem.CALL_MANAGER else None


class NodeLog:
    """Watches one node and files what it hears and says; `brief` writes a line a message."""

    def __init__(self, node: str, writer: LogWriter, version: str, *, brief: bool) -> None:
        self._node = node
        self._writer = writer
        self._version = version
        self._brief = brief
        self._peers: dict[int, _Peer] = {}
        self._dialled: dict[int, Subsystem] = {}

    def saw_input(self, now: int, input: AnyInput) -> None:
        """File an input."""
        match input:
            case Datagram():
                self._sip("received from", input.source, input.data, Subsystem.CALL_MANAGER)
            case Received():
                peer = self._peers.get(input.conn)
                if peer:
                    self._received(input.conn, peer, input.data)
            case Opened():
                peer = _Peer(self._dialled.pop(input.conn, SUBSYSTEM_OF[input.listener]), input.peer)
                peer.application = "dialled" if input.listener == "dial" else ""
                self._peers[input.conn] = peer
                self._line(peer.subsystem, f"[{input.conn}] {input.listener} opened {input.peer}")
            case Closed():
                self._closed(input.conn, f"closed: {input.why}")
            case Operator():
                self._line(Subsystem.MAIN, f"operator: {' '.join((input.command, *input.arguments))}")
            case Writable():
                self._line(Subsystem.TRANSPORT, f"[{input.conn}] {input.queued} bytes queued")
            case _:
                pass

    def saw_outputs(self, now: int, outputs: list[AnyOutput]) -> None:
        """File what a node put out."""
        for output in outputs:
            match output:
                case Send():
                    self._sent(output)
                case SendDatagram():
                    self._sip("sent to", output.destination, output.data, output.subsystem)
                case Fault():
                    place = f" [{output.conn}]" if output.conn else ""
                    self._line(output.subsystem, f"fault{place} {output.kind}: {output.text}")
                case Close():
                    self._closed(output.conn, f"closed by this node: {output.why}")
                case Dial():
                    self._dialled[output.conn] = output.subsystem
                    self._line(output.subsystem, f"[{output.conn}] dials {output.address}")
                case _:
                    pass

    def say(self, text: str) -> None:
        """A line of the host's own in the log of the main thread."""
        self._line(Subsystem.MAIN, text)

    def _received(self, conn: int, peer: _Peer, data: bytes) -> None:
        if peer.framer:
            for frame in peer.framer.receive(data):
                if isinstance(frame, bytes):
                    self._sip("received from", split_address(peer.peer), frame, peer.subsystem)
            return
        lost = peer.cutter.lost
        for message in peer.cutter.feed(data):
            if isinstance(message, int):
                self._line(peer.subsystem, f"4546 invalid TLib message of {message} bytes from [{conn}]")
                continue
            if message.id == MessageType.RequestRegisterClient:
                peer.application = message.text(Attribute.ApplicationName)
            who = f"[{conn}] ({conn:08x} {one_line(peer.application)} {peer.peer})"
            if self._brief:
                self._line(peer.subsystem, f"{who} -> {summary(message)}")
            else:
                head = f"{iso_time()} Trc 04541 {message.name} received from {who}"
                self._put(peer.subsystem, f"{head}\n{render(message)}")
        if peer.cutter.lost and not lost:
            self._line(peer.subsystem, f"4546 invalid TLib message from [{conn}] {peer.peer}")

    def _sent(self, output: Send) -> None:
        if output.subsystem is Subsystem.CALL_MANAGER:
            peer = self._peers.get(output.conns[0])
            for chunk in output.chunks if peer else ():
                self._sip("sent to", split_address(peer.peer if peer else ""), chunk, output.subsystem)
            return
        cutter = FrameCutter()
        to = f"[{','.join(map(str, output.conns[:16]))}{',...' if len(output.conns) > 16 else ''}]"
        for message in cutter.feed(b"".join(output.chunks)):
            if isinstance(message, int):
                continue
            if self._brief:
                self._line(output.subsystem, f"{to} <- {summary(message)}")
            else:
                how = "send_to_client" if message.ref else "distribute_event"
                head = f"@{clock_time()} [0] {self._version} {how}: "
                self._put(output.subsystem, f"{render(message, prefix=head)}\n\tsent to {to}")

    def _sip(self, how: str, peer: tuple[str, int], data: bytes, subsystem: Subsystem) -> None:
        where = join_address(*peer)
        if self._brief:
            self._line(subsystem, f"sip {how} {where}: {sip_line(data)}")
        else:
            self._put(subsystem, f"{clock_time()}: {how} {where}, {len(data)} bytes:\n{sip_text(data)}\n")

    def _closed(self, conn: int, text: str) -> None:
        self._dialled.pop(conn, None)
        peer = self._peers.pop(conn, None)
        self._line(peer.subsystem if peer else Subsystem.TRANSPORT, f"[{conn}] {text}")

    def _line(self, subsystem: Subsystem, text: str) -> None:
        node = f"{self._node} " if self._brief else ""
        self._put(subsystem, f"{iso_time()} {node}{one_line(text)}")

    def _put(self, subsystem: Subsystem, text: str) -> None:
        self._writer.write(file_name(self._node, subsystem), text)


def summary(message: Message) -> str:
    """A message on one line: its name, and what tells it from others."""
    parts = [message.name]
    if message.ref:
        parts.append(f"ref={message.ref}")
    for label, attribute in SUMMARY:
        value = message.attributes.get(attribute)
        if isinstance(value, int):
            parts.append(f"{label}={value:016x}" if label == "ConnID" else f"{label}={value}")
        elif isinstance(value, str):
            parts.append(f"{label}={one_line(value[:100])}")
    return " ".join(parts)


def iso_time() -> str:
    """The wall clock as 2026-01-31T12:00:00.123, local time."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.localtime(seconds))}.{nanoseconds // 1_000_000:03d}"


def clock_time() -> str:
    """The wall clock as 12:00:00.1234, local time."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{nanoseconds // 100_000:04d}"
