"""An event loop without sockets and without waiting: streams in memory that can be cut, time that passes at once.

Programs run on it as they are: `create_connection` reaches whoever `serves` an address. With one seed everything
happens in the same order each time.
"""

from __future__ import annotations

import asyncio
from asyncio.base_events import BaseEventLoop
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from cluster_core.coordinator import MemoryCoordinator
from cluster_core.inputs import Role, WallClock
from cluster_core.node import ClusterNode
from cluster_core.outputs import Fault, Replicate
from cluster_core.settings import ClusterSettings
from refserver.coordination import Coordination
from refserver.pump import Clock, Host
from refserver.streams import Stream, Streams

Factory = Callable[[], asyncio.Protocol]


class _NoSockets:
    """Stands where the loop waits for sockets: nothing ever comes, so the time until the next timer is over at once."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        assert timeout is not None, "everybody waits for nothing"
        self._loop.passed_s += timeout + 1e-7  # a pass takes its time, as everywhere
        return []

    def close(self) -> None:
        pass


class VirtualLoop(BaseEventLoop):
    """The loop; `random` decides how long octets are on their way, and where connections to a `cutting` address break:
    after so many octets on average, unless `spare`.
    """

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.passed_s = 1_000.0
        self.random = random
        self.cuts = 0
        self.cutting: dict[tuple[str, int], int] = {}
        self.spare = True
        self.serving: dict[tuple[str, int], Factory] = {}
        self._selector = _NoSockets(self)

    def time(self) -> float:
        return self.passed_s

    def serve(self, address: tuple[str, int], factory: Factory) -> None:
        """Whoever connects to the address is joined with what the factory makes."""
        self.serving[address] = factory

    async def create_connection(self, factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:  # type: ignore[override]
        await asyncio.sleep(self.random.uniform(0, 0.002))
        far_factory = self.serving.get((host, port))
        if far_factory is None:
            raise ConnectionRefusedError(111, "Connection refused")
        mean = self.cutting.get((host, port), 0)
        wire = Wire(self, int(self.random.expovariate(1 / mean)) if mean else None)
        near, far = factory(), far_factory()
        wire.join(near, far)
        return wire.ends[0], near

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


class Wire:
    """A connection; after so many octets of both ways together it breaks, in the middle of a write as often as not."""

    def __init__(self, loop: VirtualLoop, octets: int | None) -> None:
        self.loop = loop
        self.left = octets
        self.broken = False
        self.ends: tuple[End, End] = (End(self), End(self))

    def join(self, near: asyncio.Protocol, far: asyncio.Protocol) -> None:
        one, other = self.ends
        one.attach(near, other)
        other.attach(far, one)
        far.connection_made(other)
        near.connection_made(one)

    def pass_on(self, data: bytes) -> bytes:
        """What of it gets through."""
        if self.left is not None and not self.loop.spare:
            if len(data) >= self.left:
                data = data[: self.left]
                self.loop.cuts += 1
                self.broken = True
            self.left -= len(data)
        return data

    def lost(self, error: Exception | None) -> None:
        for end in self.ends:
            end.over(error)


class End(asyncio.Transport):
    """One end: octets that are written arrive at the other a moment later, in order."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire
        self._arrives_s = 0.0
        self._closing = self._gone = False
        self._waiting = 0
        self._protocol: asyncio.Protocol
        self._other: End

    def attach(self, protocol: asyncio.Protocol, other: End) -> None:
        self._protocol, self._other = protocol, other

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 40_000) if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return self._waiting

    def is_closing(self) -> bool:
        return self._closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        wire = self._wire
        if self._closing or wire.broken:
            return
        got = wire.pass_on(bytes(data))
        self._waiting += len(got)
        self._later(lambda: self._arrive(got))
        if wire.broken:
            error = ConnectionResetError("cut") if wire.loop.random.random() < 0.5 else None
            self._later(lambda: wire.lost(error))

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._later(lambda: self._wire.lost(None))

    def abort(self) -> None:
        self._closing = self._wire.broken = True
        self._wire.loop.call_soon(self._wire.lost, None)

    def over(self, error: Exception | None) -> None:
        """The connection is gone."""
        self._closing = True
        if not self._gone:
            self._gone = True
            self._wire.loop.call_soon(self._protocol.connection_lost, error)

    def _later(self, what: Callable[[], None]) -> None:
        loop = self._wire.loop
        self._arrives_s = max(self._arrives_s, loop.time() + loop.random.uniform(0, 0.002)) + 1e-6
        loop.call_at(self._arrives_s, what)

    def _arrive(self, data: bytes) -> None:
        self._waiting -= len(data)
        if data and not self._other._gone:
            self._other._protocol.data_received(data)


class VirtualCluster:
    """The nodes of a cluster as they are served, without sockets: T-Library listeners, links, the coordinator."""

    def __init__(self, loop: VirtualLoop, settings: ClusterSettings, seed: bytes) -> None:
        nodes = []
        for node in settings.nodes:
            names = ("sip", "tlib", "iproxy", "tcontroller", "smartproxy")
            ports = {name: f"127.0.0.1:{node.number * 10_000 + at}" for at, name in enumerate(names)}
            nodes.append(msgspec.structs.replace(node, members=(msgspec.structs.replace(node.members[0], **ports),)))
        self.settings = msgspec.structs.replace(settings, nodes=tuple(nodes), link_secret="one cluster")
        self.faults: list[BaseException] = []
        clock = Clock(loop)
        coordination = Coordination(MemoryCoordinator(seed), loop, clock)
        self.hosts: dict[str, Host] = {}
        for node in self.settings.nodes:
            made = ClusterNode(self.settings, node.name, node.members[0].name, seed + node.name.encode())
            host = Host(node.name, made, loop, clock, on_fault=lambda host, given, error: self.faults.append(error))
            streams = Streams(host, self.settings.limits)
            for name in ("tlib", "iproxy", "tcontroller", "smartproxy"):
                self._serve(loop, streams, self.address(node.name, name), name)
            host.performers[Replicate] = host.performers[Fault] = lambda output: None
            coordination.serve(host)
            self.hosts[node.name] = host
        for given in (WallClock(clock.wall_us), Role(1, True)):
            for host in self.hosts.values():
                host.feed(given)

    def address(self, node: str, listener: str) -> tuple[str, int]:
        """Where a node serves."""
        host, _, port = getattr(self.settings.node(node).members[0], listener).rpartition(":")
        return host, int(port)

    def _serve(self, loop: VirtualLoop, streams: Streams, address: tuple[str, int], name: Any) -> None:
        loop.serve(address, lambda: Stream(streams, name))
