"""All nodes of the process, their sockets, coordinator, logs and journals: from start to end (ours)."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import os
import signal
import socket
import ssl
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import msgspec

from cluster_core.inputs import Listener, Operator, Role, WallClock
from cluster_core.outputs import Ask, Fault, Replicate
from cluster_core.settings import ClusterSettings, MemberSettings
from refserver import udp
from refserver.addresses import join_address, split_address
from refserver.cli import program_version
from refserver.config import LISTENERS, TLS_LISTENERS
from refserver.control import Commands, ControlServer
from refserver.coordination import Coordination, Coordinator
from refserver.dns import Names
from refserver.errors import Refused
from refserver.faults import FaultDesk
from refserver.journal import Journal, create
from refserver.logs import LogWriter, NodeLog
from refserver.pump import Clock, Host, Node, Watcher
from refserver.streams import BACKLOG, Streams
from refserver.udp import Udp

TICK_S = 1.0
STEP_US = 500_000
TRIES = 16
NodeFactory = Callable[[ClusterSettings, str, str, bytes], Node]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to run: where the control port is, where logs and journals go, whom to tell that all is ready."""

    announce: Callable[[dict[str, object]], None]
    control: tuple[str, int] = ("127.0.0.1", 0)
    log_dir: Path | None = None
    quiet: bool = False
    journal_dir: Path | None = None


class _Sockets:
    """Every listener of the cluster, bound before any node exists, so that nodes are told real addresses."""

    def __init__(self, settings: ClusterSettings, control: tuple[str, int]) -> None:
        self._bound: list[socket.socket] = []
        self.of: dict[str, dict[Listener, socket.socket]] = {}
        try:
            nodes = []
            for node in settings.nodes:
                member, self.of[node.name] = self._member(node.name, node.members[0])
                nodes.append(msgspec.structs.replace(node, members=(member,)))
            self.settings = msgspec.structs.replace(settings, nodes=tuple(nodes))
            self.control = self._tcp("control", *control)
        except Refused:
            self.close()
            raise

    def close(self) -> None:
        for sock in self._bound:
            sock.close()

    def _member(
        self, node: str, member: MemberSettings
    ) -> tuple[MemberSettings, dict[Listener, socket.socket]]:
        sockets: dict[Listener, socket.socket] = {}
        real: dict[str, str] = {}
        for listener in get_args(Listener):
            key = listener.replace("-", "_")
            if not getattr(member, key, ""):
                continue
            host, port = split_address(getattr(member, key))
            what = f"{node}/{member.name} {listener}"
            if listener == "sip":
                sockets["sip"], sockets["sip-tcp"] = self._udp_and_tcp(what, host, port)
            else:
                sockets[listener] = self._tcp(what, host, port)
            real[key] = address_of(sockets[listener])
        return msgspec.structs.replace(member, **real), sockets

    def _udp_and_tcp(self, what: str, host: str, port: int) -> tuple[socket.socket, socket.socket]:
        """Both on one port; when any will do, one that is free for both."""
        for attempt in range(TRIES):
            datagrams = self._udp(what, host, port)
            try:
                return datagrams, self._tcp(what, host, datagrams.getsockname()[1])
            except Refused:
                datagrams.close()
                if port or attempt == TRIES - 1:
                    raise
        raise AssertionError("the last try returned or raised")

    def _udp(self, what: str, host: str, port: int) -> socket.socket:
        try:
            sock = udp.bind(host, port)
        except OSError as error:
            raise Refused(f"{what}: {join_address(host, port)}: {error.strerror or error}") from None
        self._bound.append(sock)
        return sock

    def _tcp(self, what: str, host: str, port: int) -> socket.socket:
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        self._bound.append(sock)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((host, port))
            sock.listen(BACKLOG)
        except OSError as error:
            raise Refused(f"{what}: {join_address(host, port)}: {error.strerror or error}") from None
        return sock


class _Member:
    """One node of this process: its host, its sockets, its journal."""

    def __init__(
        self, host: Host, streams: Streams, datagrams: Udp, journal: Journal | None, tls: dict[str, ssl.SSLContext]
    ) -> None:
        self.host = host
        self.streams = streams
        self.datagrams = datagrams
        self.journal = journal
        self.tls = tls

    def status(self) -> dict[str, object]:
        return {
            "node": self.host.node.status(),
            "connections": len(self.streams.table),
            "connections_refused": self.streams.refused,
            "datagrams_dropped": self.datagrams.dropped,
            "faults": dict(sorted(self.host.fault_kinds.items())),
        }


class Cluster:
    """The nodes of one cluster file, all in this process."""

    def __init__(
        self,
        settings: ClusterSettings,
        options: Options,
        *,
        make_node: NodeFactory | None = None,
        make_coordinator: Callable[[bytes], Coordinator] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._options = options
        self._make_node = make_node or _cluster_node
        self._names = Names(settings)
        self._sockets = _Sockets(settings, options.control)
        # All nodes live in this process, so what they prove to each other need not outlive it.
        link_secret = self._sockets.settings.link_secret or os.urandom(24).hex()
        self.settings = msgspec.structs.replace(self._sockets.settings, link_secret=link_secret)
        self._clock = Clock(self._loop)
        self._version = program_version()
        self._entropy = os.urandom(32)
        self._writer = None if options.quiet and not options.log_dir else LogWriter(options.log_dir)
        self._done: asyncio.Future[int] = self._loop.create_future()
        self._desk = FaultDesk(
            options.log_dir or Path(tempfile.gettempdir()), self._close_stream, self.give_up
        )
        coordinator = (make_coordinator or _memory_coordinator)(self._seed("coordinator"))
        self._coordination = Coordination(coordinator, self._loop, self._clock)
        self._members: dict[str, _Member] = {}
        self._ready = False
        self._tick: asyncio.TimerHandle | None = None
        try:
            for node in self.settings.nodes:
                self._members[node.name] = self._member(node.name, node.members[0].name)
        except Exception:
            self._sockets.close()
            raise
        self._control = ControlServer(self._loop, Commands(lambda: self._ready, self.status, self.link))

    async def start(self) -> None:
        """Tell the nodes time and role, open the listeners, say that all is ready."""
        self._base_us = self._clock.wall_us
        for member in self._members.values():
            member.host.feed(WallClock(self._base_us))
        for member in self._members.values():
            member.host.feed(Role(1, True))
        for name, member in self._members.items():
            for listener, sock in self._sockets.of[name].items():
                if listener == "sip":
                    member.datagrams.listen(listener, sock)
                else:
                    await member.streams.listen(listener, sock, member.tls.get(listener))
        control = address_of(self._sockets.control)
        await self._control.listen(self._sockets.control)
        gc.collect()
        gc.freeze()
        gc.disable()
        self._second()
        self._ready = True
        self._options.announce({"ready": True, "members": self._addresses(), "control": control})

    async def wait(self) -> int:
        """Wait for the end; returns the exit status."""
        return await self._done

    def give_up(self, status: int) -> None:
        """End with a status."""
        if not self._done.done():
            self._done.set_result(status)

    async def end(self) -> None:
        """Tell the nodes, let what they say leave, and close everything."""
        self._ready = False
        if self._tick:
            self._tick.cancel()
        self._control.end()
        for member in self._members.values():
            member.host.feed(Operator("stop"))
        for _ in range(4):  # what they ask the coordinator, and what that tells the others
            await asyncio.sleep(0)
        await asyncio.gather(*(member.streams.end() for member in self._members.values()))
        self._coordination.end()
        await self._names.end()
        for member in self._members.values():
            member.host.stop()
            member.datagrams.end()
            if member.journal:
                member.journal.end()
        self._sockets.close()
        gc.enable()
        if self._writer:
            self._writer.end()

    def status(self) -> dict[str, object]:
        """What `/status` shows: by member, what the node and its host say."""
        return {
            f"{node.name}/{node.members[0].name}": self._members[node.name].status()
            for node in self.settings.nodes
        }

    def link(self, a: str, b: str, state: str) -> str:
        """Cut or restore what joins two nodes, links and Smart Proxy's connections; returns what is wrong with the
        request.
        """
        for name in (a, b):
            if name not in self._members:
                return f"no node {name!r} here; there are {', '.join(self._members)}"
        if a == b:
            return "a node has no link to itself"
        self._members[a].host.feed(Operator("link", (b, state)))
        self._members[b].host.feed(Operator("link", (a, state)))
        return ""

    def _member(self, name: str, member: str) -> _Member:
        seed = self._seed(name)
        watchers: list[Watcher] = [self._desk.watch(name)]
        journal = None
        if self._options.journal_dir:
            journal = create(self._options.journal_dir, self.settings, name, member, seed, self._version)
            watchers.append(journal)
        if self._writer:
            watchers.append(NodeLog(name, self._writer, self._version, brief=not self._options.log_dir))
        node = self._make_node(self.settings, name, member, seed)
        host = Host(name, node, self._loop, self._clock, watchers=watchers, on_fault=self._desk.fault)
        streams = Streams(host, self.settings.limits)
        serving, streams.trust = tls_contexts(self.settings.node(name).members[0], f"{name}/{member}")
        datagrams = Udp(host)
        host.performers[Replicate] = lambda _: None  # a node has one member yet: nobody to replicate to
        host.performers[Fault] = lambda output: host.count_fault(output.kind)
        self._coordination.serve(host)
        self._names.serve(host)
        assert Ask in host.performers
        return _Member(host, streams, datagrams, journal, serving)

    def _seed(self, name: str) -> bytes:
        return hashlib.sha256(self._entropy + name.encode()).digest()

    def _close_stream(self, host: Host, conn: int, why: str) -> None:
        self._members[host.name].streams.drop(conn, why)

    def _addresses(self) -> dict[str, dict[str, str]]:
        return {
            f"{node.name}/{member.name}": {
                "role": "primary",
                **{listener: getattr(member, listener) for listener in LISTENERS},
                **{listener: getattr(member, listener) for listener in TLS_LISTENERS if getattr(member, listener)},
            }
            for node in self.settings.nodes
            for member in node.members
        }

    def _second(self) -> None:
        """Each second: young garbage, journals to the system, and whether the wall clock was stepped."""
        self._tick = self._loop.call_later(TICK_S, self._second)
        gc.collect(1)
        for member in self._members.values():
            if member.journal:
                member.journal.flush()
        base_us = time.time_ns() // 1_000 - self._clock.now()
        if abs(base_us - self._base_us) > STEP_US:
            self._base_us = base_us
            for member in self._members.values():
                member.host.feed(WallClock(base_us))


def address_of(sock: socket.socket) -> str:
    """Where a socket is bound, as host:port."""
    name = sock.getsockname()
    return join_address(name[0], name[1])


def tls_contexts(member: MemberSettings, what: str) -> tuple[dict[str, ssl.SSLContext], ssl.SSLContext | None]:
    """How a member serves TLS on each listener, and how it connects by it: TLS 1.2 or newer.

    Refused for files that do not do.
    """
    serving: dict[str, ssl.SSLContext] = {}
    listeners = (*(("sip-tls",) if member.sip_tls else ()), *member.tls)
    if not listeners:
        return serving, None
    try:
        for listener in listeners:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(member.certificate, member.certificate_key)
            if listener in member.tls_mutual:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(member.trusted_ca)
            serving[listener] = context
        trust = ssl.create_default_context(cafile=member.trusted_ca or None)
        trust.minimum_version = ssl.TLSVersion.TLSv1_2
        trust.load_cert_chain(member.certificate, member.certificate_key)
    except OSError as error:
        raise Refused(f"{what}: certificate, certificate-key or trusted-ca: {error.strerror or error}") from None
    return serving, trust


def _cluster_node(settings: ClusterSettings, node: str, member: str, seed: bytes) -> Node:
    from cluster_core.node import ClusterNode

    made: Node = ClusterNode(settings, node, member, seed)
    return made


def _memory_coordinator(seed: bytes) -> Coordinator:
    from cluster_core.coordinator import MemoryCoordinator

    made: Coordinator = MemoryCoordinator(seed)
    return made


def run(settings: ClusterSettings, options: Options) -> int:
    """Serve until a signal; returns the exit status."""
    return asyncio.run(_run(settings, options))


async def _run(settings: ClusterSettings, options: Options) -> int:
    loop = asyncio.get_running_loop()
    cluster = Cluster(settings, options)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, cluster.give_up, 0)
    await cluster.start()
    status = await cluster.wait()
    await cluster.end()
    return status
