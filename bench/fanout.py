"""`make bench`: events to many programs and registrations of many DNs, beside a plain loop, interleaved in one run.

The server is measured by its own CPU clock, sockets and all. Fan-out: N desktops have registered a DN; a driver has its
agent go ready and not ready, ten requests to a write, and each desktop reads the ten events before the next ten.
Registration: one desktop registers every DN of the cluster, one message each, as fast as it is answered; a smart client
gets all DNs that the node owns by one request. The peer is what one writes first: a frame encoded and written for each
program and event, no tables, no order of a DN, no rights. Only ratios are worth quoting.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import selectors
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import ClassVar

from cluster_core.rights import hash_secret
from tlib_proto import Attribute, Hello, Message, MessageType, Value, decode, encode
from tlib_proto.hello import hello_message

SERVE = [sys.executable, "-m", "refserver", "serve", "-q"]
PEER = [sys.executable, "-m", "bench.fanout", "--peer"]
TICKS = os.sysconf("SC_CLK_TCK")
BATCH = 10
AGENT_DN = "pstn-agent"
TARGETS = {100: 600_000.0, 1_000: 300_000.0}
REGISTER_S, BULK_S = 2.0, 1.0
_LENGTH = struct.Struct(">I")

CONFIG = """
[cluster]
name = "bench"
realm = "bench.example"
[[node]]
name = "n1"
number = 1
[[node.member]]
name = "a"
sip-port = "127.0.0.1:0"
port = "127.0.0.1:0"
IPport = "127.0.0.1:0"
TCport = "127.0.0.1:0"
SmartProxy = "127.0.0.1:0"
[dn."cluster"]
type = "VoIP Service"
service-type = "sip-cluster-nodes"
dn-owner-applications = ["bench"]
smart-proxy-enabled = true
[[client]]
name = "bench"
role = "desktop"
secret = "{secret}"
"""
OUTSIDE = '[dn."{dn}"]\ntype = "Extension"\ncontact = "sip:{dn}@127.0.0.1:9"\n'


def cpu_s(pid: int) -> float:
    """CPU seconds, user and system, that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Program:
    """One connection to a T-Library port, blocking; `unread` are octets of a frame that is not whole yet."""

    def __init__(self, address: tuple[str, int], application: str, role: str, secret: str = "") -> None:
        self.sock = socket.create_connection(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread = b""
        self._ref = 1
        hello = Hello(application=application, role=role, secret=secret)
        self.sock.sendall(encode(hello_message(hello, self._ref)))
        if (answer := self.message()).id != MessageType.EventLinkConnected:
            raise SystemExit(f"{application}: {answer}")

    def request(self, kind: MessageType, attributes: dict[int, Value]) -> bytes:
        """A request as a frame, under the next ReferenceID."""
        self._ref += 1
        return encode(Message(kind, self._ref, attributes))

    def ask(self, kind: MessageType, attributes: dict[int, Value]) -> Message:
        """Send a request and read its answer."""
        self.sock.sendall(self.request(kind, attributes))
        while (answer := self.message()).ref != self._ref:
            pass
        if answer.id == MessageType.EventError:
            raise SystemExit(f"{kind.name}: {answer}")
        return answer

    def register(self, dn: str) -> Message:
        """TRegisterAddress."""
        return self.ask(MessageType.RequestRegisterAddress, registration(dn))

    def message(self) -> Message:
        """The next message."""
        while len(self.unread) < 4 or len(self.unread) < _LENGTH.unpack_from(self.unread)[0]:
            self.read()
        length = _LENGTH.unpack_from(self.unread)[0]
        frame, self.unread = self.unread[:length], self.unread[length:]
        return decode(frame)

    def read(self) -> None:
        """Whatever has come."""
        data = self.sock.recv(1_048_576)
        if not data:
            raise SystemExit("the server closed a connection")
        self.unread += data

    def frames(self, count: int) -> tuple[int, int]:
        """Read that many frames, undecoded; returns their octets and how many carry a ReferenceID."""
        octets = answers = 0
        at = 0
        while count:
            if len(self.unread) - at < 12 or len(self.unread) - at < _LENGTH.unpack_from(self.unread, at)[0]:
                self.unread, at = self.unread[at:], 0
                self.read()
                continue
            length = _LENGTH.unpack_from(self.unread, at)[0]
            answers += self.unread[at + 8 : at + 12] != bytes(4)
            octets += length
            at += length
            count -= 1
        self.unread = self.unread[at:]
        return octets, answers


def registration(dn: str) -> dict[int, Value]:
    """What a registration says."""
    return {Attribute.ThisDN: dn, Attribute.RegisterMode: 1, Attribute.ControlMode: 1, Attribute.AddressType: 1}


def drain(subscribers: list[Program], octets: int) -> None:
    """Read so many octets from each."""
    with selectors.DefaultSelector() as waiting:
        left = {}
        for program in subscribers:
            waiting.register(program.sock, selectors.EVENT_READ)
            left[program.sock] = octets
        while left:
            for key, _ in waiting.select(10) or [(None, 0)]:
                if key is None:
                    raise SystemExit(f"{len(left)} programs did not get their events")
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                left[sock] -= len(sock.recv(65_536))
                if left[sock] <= 0:
                    if left[sock] < 0:
                        raise SystemExit("a program got more than the driver")
                    del left[sock]
                    waiting.unregister(sock)


def fan_out(address: tuple[str, int], pid: int, subscribers: int, events: int) -> float:
    """Deliveries per CPU-second of the server."""
    with ExitStack() as stack:
        programs = []
        for number in range(subscribers):
            program = Program(address, f"desk{number}", "desktop")
            stack.callback(program.sock.close)
            program.register(AGENT_DN)
            programs.append(program)
        driver = Program(address, "bench", "desktop", "demo")
        stack.callback(driver.sock.close)
        driver.register(AGENT_DN)
        driver.ask(MessageType.RequestAgentLogin, {Attribute.ThisDN: AGENT_DN, Attribute.AgentID: "A1"})
        kinds = (MessageType.RequestAgentNotReady, MessageType.RequestAgentReady)
        about: dict[int, Value] = {Attribute.ThisDN: AGENT_DN, Attribute.AgentWorkMode: 0}
        driver.ask(MessageType.RequestAgentReady, about)
        for program in programs:
            while program.message().id != MessageType.EventAgentReady:
                pass
        before = cpu_s(pid)
        for _ in range(events // BATCH):
            driver.sock.sendall(b"".join(driver.request(kinds[n % 2], about) for n in range(BATCH)))
            octets, answers = driver.frames(BATCH)
            if answers != BATCH:
                raise SystemExit("a request was not answered by its event")
            drain(programs, octets)
        used = cpu_s(pid) - before
        driver.ask(MessageType.RequestAgentLogout, {Attribute.ThisDN: AGENT_DN})
    return events // BATCH * BATCH * (subscribers + 1) / used


def register_each(program: Program, pid: int, dns: list[str]) -> float:
    """CPU seconds of the server for one registration a message, the next ones sent before the first is answered."""
    before = cpu_s(pid)
    for start in range(0, len(dns), 1_000):
        part = dns[start : start + 1_000]
        kind = MessageType.RequestRegisterAddress
        program.sock.sendall(b"".join(program.request(kind, registration(dn)) for dn in part))
        left = len(part)
        while left:
            left -= program.frames(left)[1]
    return cpu_s(pid) - before


def register_all(address: tuple[str, int], pid: int, count: int) -> float:
    """CPU seconds of the server for the bulk request."""
    program = Program(address, "smart", "smart")
    before = cpu_s(pid)
    program.sock.sendall(program.request(MessageType.RequestRegisterAll, {}))
    found = 0
    while program.frames(1)[1] == 0:
        found += 1
    used = cpu_s(pid) - before
    if found < count:
        raise SystemExit(f"{found} of {count} DNs")
    program.sock.close()
    return used


@contextmanager
def running(command: list[str]) -> Iterator[tuple[dict[str, str], int]]:
    """A server as a process: its addresses and its id."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        ready = json.loads(process.stdout.readline() or b"null")
        if ready is None:
            raise SystemExit(f"{' '.join(command)} did not start")
        yield ready["members"]["n1/a"], process.pid
    finally:
        process.kill()  # nothing of it is kept: to give up every DN in order would take longer than the measurement
        process.wait()


class Plain(asyncio.Protocol):
    """The peer's side of a connection: each answer and each event is encoded and written on its own."""

    watching: ClassVar[dict[str, list[Plain]]] = {}
    number: ClassVar[int] = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A program."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.unread = b""

    def data_received(self, data: bytes) -> None:
        """Its requests."""
        self.unread += data
        while len(self.unread) >= 4 and len(self.unread) >= _LENGTH.unpack_from(self.unread)[0]:
            length = _LENGTH.unpack_from(self.unread)[0]
            frame, self.unread = self.unread[:length], self.unread[length:]
            self.request(decode(frame))

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        for programs in self.watching.values():
            if self in programs:
                programs.remove(self)

    def request(self, message: Message) -> None:
        """One request."""
        kinds = MessageType
        dn = message.text(Attribute.ThisDN)
        if message.id == kinds.RequestRegisterClient:
            self.send(Message(kinds.EventLinkConnected, message.ref, {Attribute.NodeName: "n1"}))
        elif message.id == kinds.RequestRegisterAddress:
            self.watching.setdefault(dn, []).append(self)
            status = (("status", 1), ("AgentStatus", 0))
            told: dict[int, Value] = {Attribute.ThisDN: dn, Attribute.AddressType: 1, Attribute.Extensions: status}
            self.send(Message(kinds.EventRegistered, message.ref, {**told, **self.stamp()}))
        else:
            answers = {
                kinds.RequestAgentLogin: kinds.EventAgentLogin,
                kinds.RequestAgentLogout: kinds.EventAgentLogout,
                kinds.RequestAgentReady: kinds.EventAgentReady,
                kinds.RequestAgentNotReady: kinds.EventAgentNotReady,
            }
            event: dict[int, Value] = {Attribute.ThisDN: dn, Attribute.AgentID: "A1", **self.stamp()}
            kind = answers[MessageType(message.id)]
            for program in self.watching[dn]:
                program.send(Message(kind, message.ref if program is self else 0, event))

    def stamp(self) -> dict[int, Value]:
        """Time and number of an event."""
        Plain.number += 1
        return {
            Attribute.TimeinSecs: 1_795_374_000,
            Attribute.TimeinuSecs: 123_456,
            Attribute.EventSequenceNumber: Plain.number,
            Attribute.ServerStartTime: 1_795_373_000,
            Attribute.DNEpoch: 1,
            Attribute.DNSequence: Plain.number,
            Attribute.Source: "n1",
        }

    def send(self, message: Message) -> None:
        """Encode and write."""
        self.transport.write(encode(message))


async def serve_plainly() -> None:
    """The peer, until it is stopped."""
    server = await asyncio.get_running_loop().create_server(Plain, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    print(json.dumps({"members": {"n1/a": {"tcontroller": f"{host}:{port}"}}}), flush=True)
    await server.serve_forever()


def where(member: dict[str, str]) -> tuple[str, int]:
    """The TCport."""
    host, port = member["tcontroller"].rsplit(":", 1)
    return host, int(port)


def told(name: str, mine: list[float], peer: list[float], target: float, unit: str, more: bool) -> bool:
    """Print a figure beside its target and the peer's; returns whether it was missed."""
    middle = statistics.median(mine)
    missed = middle < target if more else middle > target
    ratio = statistics.median(own / other if more else other / own for own, other in zip(mine, peer, strict=True))
    form = ",.0f" if more else ",.2f"
    low, high, other = (format(figure, form) for figure in (min(mine), max(mine), statistics.median(peer)))
    print(
        f"  {name:34}{format(middle, form):>10} {unit} ({low}-{high}), {ratio:.1f} times the peer ({other}); "
        f"target {target:,g}{', missed' if missed else ''}",
        flush=True,
    )
    return missed


def main(arguments: list[str]) -> int:
    """Measure and print; 1 when a target is missed and --strict was given."""
    parser = argparse.ArgumentParser(prog="python -m bench.fanout", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, default=4_000, help="per round, to 100 desktops; a tenth to 1,000")
    parser.add_argument("--dns", type=int, default=100_000)
    parser.add_argument("--strict", action="store_true", help="fail when a target is missed")
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.peer:
        asyncio.run(serve_plainly())
        return 0
    dns = [str(1_000_000 + number) for number in range(options.dns)]
    missed = 0
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        file = Path(folder) / "bench.toml"
        head = CONFIG.format(secret=hash_secret("demo", bytes(16)))
        file.write_text(head + "".join(OUTSIDE.format(dn=dn) for dn in (AGENT_DN, *dns)))
        server, pid = stack.enter_context(running([*SERVE, *os.environ.get("BENCH_SERVE", "").split(), str(file)]))
        peer, peer_pid = stack.enter_context(running(PEER))
        print(f"T-Library server, {options.rounds} rounds beside a loop that writes each event to each program")
        for subscribers, target in TARGETS.items():
            events = max(BATCH, options.events * 100 // subscribers)
            mine, theirs = [], []
            for _ in range(options.rounds):
                mine.append(fan_out(where(server), pid, subscribers, events))
                theirs.append(fan_out(where(peer), peer_pid, subscribers, max(BATCH, events // 4)))
            missed += told(f"events to {subscribers:,} programs", mine, theirs, target, "per CPU-s", True)
        mine, theirs = [], []
        for _ in range(options.rounds):
            for address, process, found in ((where(server), pid, mine), (where(peer), peer_pid, theirs)):
                program = Program(address, "desk", "desktop")
                found.append(register_each(program, process, dns))
                program.sock.close()
        missed += told(f"{len(dns):,} DNs, a message each", mine, theirs, REGISTER_S, "CPU-s", False)
        owner = Program(where(server), "bench", "desktop", "demo")
        each = register_each(owner, pid, dns)
        print(f"  {len(dns):,} DNs claimed for their owner, a message each: {each:.2f} CPU-s")
        bulk = [register_all(where(server), pid, len(dns)) for _ in range(options.rounds)]
        missed += told(f"{len(dns):,} DNs by the bulk request", bulk, theirs, BULK_S, "CPU-s", False)
    return 1 if missed and options.strict else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
