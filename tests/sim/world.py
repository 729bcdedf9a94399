"""A cluster in one process and in virtual time: real nodes, their coordinator, wires that delay and break.

One seed decides everything: delays, losses, ids. Time is integer microseconds and jumps to whatever comes next.
A second store of each node is fed only with `Replicate`. Every output goes into a hash, so that two runs can be
compared; `check` holds the invariants that hold at any moment (facts of the engine, I1 to I4, I9), `settled` those
that hold when nothing is under way (I5).
"""

from __future__ import annotations

import hashlib
import random
from collections import deque
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from typing import Any, Protocol

import msgspec

from cluster_core.coordinator import MemoryCoordinator
from cluster_core.coordinator_records import Question
from cluster_core.inputs import (
    AnyInput,
    Changed,
    Closed,
    Datagram,
    Listener,
    Opened,
    Received,
    Role,
    Timeout,
    WallClock,
    Writable,
)
from cluster_core.node import ClusterNode
from cluster_core.outputs import AnyOutput, Ask, Close, Dial, Fault, Replicate, Send, SendDatagram
from cluster_core.settings import ClusterSettings
from cluster_core.store import Store

SECOND = 1_000_000
MILLISECOND = 1_000
START = 1_000_000
WALL = 1_700_000_000 * SECOND
SPIN = 2_000
"""More inputs than this in one actor at one moment are a loop that never ends."""

Address = tuple[str, int]


class Actor(Protocol):
    """What has a clock: a node, a client or a phone."""

    wake: int | None

    def next_deadline(self) -> int | None: ...
    def handle_timeout(self) -> None: ...


class StreamUser(Protocol):
    """What has an end of a stream."""

    def opened(self, stream: Stream, side: int) -> None: ...
    def received(self, stream: Stream, side: int, data: bytes) -> None: ...
    def closed(self, stream: Stream, side: int, why: str) -> None: ...


class DatagramUser(Protocol):
    """What has a UDP socket."""

    def datagram(self, source: Address, data: bytes) -> None: ...


class Stream:
    """A TCP connection: ordered until it is cut. Side 0 dialled, side 1 accepted."""

    def __init__(self, dialler: StreamUser, places: tuple[str, str]) -> None:
        self.users: list[StreamUser | None] = [dialler, None]
        self.conns = [0, 0]
        self.places = places
        self.last_at = [0, 0]
        self.silent = False
        self.queued = [0, 0]
        self.most_queued = [0, 0]
        self.high = [False, False]
        self.free_at = [0, 0]


class Wires:
    """How long things take, and what is lost."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.least_us, self.most_us = 200, 3_000
        self.slow: dict[tuple[str, str], int] = {}
        """How many octets a second pass from one place to another; what was sent beyond waits with the sender."""
        self.marks = (65_536, 262_144)
        """How much must wait until its host is told, and how little until it is told again."""
        self.loss = self.duplicate = 0.0
        self.jitter_us = 0

    def delay(self) -> int:
        return self.rng.randint(self.least_us, self.most_us)

    def datagram_delays(self) -> list[int]:
        """The delays of the copies of a datagram that arrive."""
        if self.loss and self.rng.random() < self.loss:
            return []
        copies = 2 if self.duplicate and self.rng.random() < self.duplicate else 1
        return [self.delay() + (self.rng.randint(0, self.jitter_us) if self.jitter_us else 0) for _ in range(copies)]


class Host:
    """One process of a node, and what surrounds it: its streams, its second store, its end of the wires."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.place = name
        self.settings = world.settings.node(name).members[0]
        self.sip = address(self.settings.sip)
        self.runs = 0
        self.alive = False
        self._engine = True
        self.missed: list[AnyInput] = []
        self.wake: int | None = None
        self.streams: dict[int, tuple[Stream, int]] = {}
        self.faults: list[Fault] = []
        self._spun = (0, 0)
        self._emitted: dict[str, tuple[int, int]] = {}

    @property
    def engine(self) -> bool:
        """Whether the coordinator is in reach: questions and answers are lost while it is not, changes come later."""
        return self._engine

    @engine.setter
    def engine(self, reached: bool) -> None:
        self._engine = reached
        if reached:
            missed, self.missed = self.missed, []
            for given in missed:
                self.world.hear(self, given)

    def start(self) -> None:
        """A new process: nothing remembered but the configuration."""
        self.runs += 1
        self.alive = True
        self.streams = {}
        self._emitted = {}
        self.missed = []
        self.next_conn = 2
        seed = hashlib.sha256(f"{self.world.seed} {self.name} {self.runs}".encode()).digest()
        self.node = ClusterNode(self.world.settings, self.name, self.settings.name, seed)
        self.mirror = Store()
        self.give(WallClock(WALL))
        self.give(Role(self.runs, True))

    def crash(self) -> None:
        """The process is gone; whoever was connected hears that the stream is closed."""
        self.alive = False
        self.wake = None
        for stream, side in list(self.streams.values()):
            self.world.close(stream, side, "the process is gone")
        self.streams = {}

    def give(self, given: AnyInput) -> None:
        """One input, and what the node makes of it."""
        if not self.alive:
            return
        world = self.world
        at, times = self._spun
        self._spun = (world.now, times + 1 if at == world.now else 0)
        assert times < SPIN, f"{self.name} never comes to rest: {world.tail()}"
        out: list[AnyOutput] = []
        world.note(self.name, given)
        self.node.handle(world.now, given, out)
        for output in out:
            world.note(self.name, output)
            self._perform(output)
        world.rearm(self)
        self._owner_speaks()
        if world.strict:
            self.check()

    def check(self) -> None:
        """The node's own invariants, and its second store."""
        self.node.check()
        different = self.node.store.same_as(self.mirror)
        assert not different, f"{self.name}: the replicated store differs in {different}"

    def _owner_speaks(self) -> None:
        """Whoever tells something as an owner is the owner at the coordinator, in that epoch, at that moment."""
        mine = self.node.t_controller.streams.mine
        for dn, picture in mine.items():
            place = (picture.epoch, picture.seq)
            before = self._emitted.get(dn, (0, 0))
            if not picture.owned or place == before:
                continue
            self._emitted[dn] = place
            assert place > before, f"{self.name}: the place of {dn} went back from {before} to {place}"
            record = self.world.coordinator.owner(dn)
            assert record is not None, f"{self.name} speaks as the owner of {dn}, which nobody owns"
            assert (record.node, record.epoch) == (self.name, picture.epoch), f"{self.name} is not {record} of {dn}"

    def _perform(self, output: AnyOutput) -> None:
        world = self.world
        if isinstance(output, Send):
            for conn in output.conns:
                there = self.streams.get(conn)
                if there is not None:
                    world.send(*there, b"".join(output.chunks))
        elif isinstance(output, SendDatagram):
            world.send_datagram(self.sip, output.destination, output.data)
        elif isinstance(output, Dial):
            stream = world.dial(self, self.place, output.address)
            stream.conns[0] = output.conn
            self.streams[output.conn] = (stream, 0)
        elif isinstance(output, Close):
            there = self.streams.pop(output.conn, None)
            if there is not None:
                world.close(*there, output.why)
        elif isinstance(output, Ask):
            world.ask(self, output.request, output.what)
        elif isinstance(output, Replicate):
            self.mirror.apply(output.changes)
        else:
            self.faults.append(output)

    def next_deadline(self) -> int | None:
        return self.node.next_deadline() if self.alive else None

    def handle_timeout(self) -> None:
        self.give(Timeout())

    def accept(self, stream: Stream, listener: Listener) -> None:
        """A stream was accepted."""
        conn = self.next_conn
        self.next_conn += 2
        stream.conns[1] = conn
        self.streams[conn] = (stream, 1)
        self.give(Opened(conn, listener, f"{stream.places[0]}:40000"))

    def opened(self, stream: Stream, side: int) -> None:
        if stream.conns[side] in self.streams:
            self.give(Opened(stream.conns[side], "dial", stream.places[1 - side]))

    def received(self, stream: Stream, side: int, data: bytes) -> None:
        if stream.conns[side] in self.streams:
            self.give(Received(stream.conns[side], data))

    def closed(self, stream: Stream, side: int, why: str) -> None:
        if self.streams.pop(stream.conns[side], None) is not None:
            self.give(Closed(stream.conns[side], why))

    def writable(self, stream: Stream, side: int, octets: int) -> None:
        """The queue of a stream crossed a mark."""
        if stream.conns[side] in self.streams:
            self.give(Writable(stream.conns[side], octets))

    def datagram(self, source: Address, data: bytes) -> None:
        self.give(Datagram("sip", source, data))


class World:
    """Everything there is, and the queue of what happens next."""

    def __init__(self, seed: int, settings: ClusterSettings, *, strict: bool = True) -> None:
        self.seed = seed
        self.settings = settings
        self.strict = strict
        self.now = START
        self.rng = random.Random(seed)
        self.wires = Wires(self.rng)
        self.hash = hashlib.sha256()
        self.steps = 0
        self.recent: deque[tuple[int, str, object]] = deque(maxlen=40)
        self.noted: list[tuple[int, str, object]] | None = None
        self.emitters: dict[tuple[str, int], str] = {}
        self.coordinator = MemoryCoordinator(str(seed).encode())
        self._queue: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0
        self._fifo: dict[str, int] = {}
        self._cut: dict[tuple[str, str], None] = {}
        self._streams: dict[int, Stream] = {}
        self._sockets: dict[Address, DatagramUser] = {}
        self._listeners: dict[str, tuple[Host, Listener]] = {}
        self.hosts: dict[str, Host] = {}
        for node in settings.nodes:
            host = Host(self, node.name)
            self.hosts[node.name] = host
            self._sockets[host.sip] = host
            member = node.members[0]
            for listener in ("tlib", "iproxy", "tcontroller", "smartproxy"):
                self._listeners[getattr(member, listener)] = (host, listener)
        for host in self.hosts.values():
            host.start()

    # Time.

    def after(self, us: int, action: Callable[..., None], *arguments: Any) -> None:
        """Something happens in so many microseconds."""
        self._count += 1
        heappush(self._queue, (self.now + us, self._count, action, arguments))

    def rearm(self, actor: Actor) -> None:
        """An actor's deadline may be another now."""
        deadline = actor.next_deadline()
        if deadline is not None:
            deadline = max(deadline, self.now)
        if deadline != actor.wake:
            actor.wake = deadline
            if deadline is not None:
                self._count += 1
                heappush(self._queue, (deadline, self._count, self._wake, (actor, deadline)))

    def step(self) -> None:
        """The next thing happens."""
        at, _, action, arguments = heappop(self._queue)
        self.now = at
        self.steps += 1
        action(*arguments)

    def run(self, us: int) -> None:
        """Let so much time pass."""
        until = self.now + us
        while self._queue and self._queue[0][0] <= until:
            self.step()
        self.now = until

    def until(self, what: Callable[[], object], limit_us: int = 10 * SECOND) -> None:
        """Let time pass until something holds; AssertionError when it does not in time."""
        end = self.now + limit_us
        while not what():
            late = not self._queue or self._queue[0][0] > end
            assert not late, f"did not happen within {limit_us} us\n{self.tail()}"
            self.step()

    def _wake(self, actor: Actor, deadline: int) -> None:
        if actor.wake == deadline:
            actor.wake = None
            actor.handle_timeout()
            self.rearm(actor)

    # Streams.

    def dial(self, user: StreamUser, place: str, to: str) -> Stream:
        """Somebody opens a stream; what becomes of it is told to the user."""
        host, listener = self._listeners[to]
        stream = Stream(user, (place, host.place))
        self._later(stream, 1, self._arrive, stream, host, listener)
        return stream

    def send(self, stream: Stream, side: int, data: bytes) -> None:
        """Bytes from one side to the other."""
        if stream.users[side] is None or stream.silent:
            return
        rate = self.wires.slow.get((stream.places[side], stream.places[1 - side]))
        if rate is None:
            self._later(stream, 1 - side, self._deliver, stream, 1 - side, data)
            return
        stream.free_at[side] = max(self.now, stream.free_at[side]) + len(data) * SECOND // rate
        self._queue_is(stream, side, stream.queued[side] + len(data))
        self.after(stream.free_at[side] - self.now, self._leave, stream, side, data)

    def close(self, stream: Stream, side: int, why: str) -> None:
        """One side is done; the other hears it after what was sent before."""
        if stream.users[side] is None:
            return
        stream.users[side] = None
        if not stream.silent:
            self._later(stream, 1 - side, self._hang_up, stream, 1 - side, why)

    def cut(self, a: str, b: str, *, silent: bool = False) -> None:
        """No stream between two places any more; with `silent` nobody is told, bytes just stay away."""
        self._cut[_pair(a, b)] = None
        for stream in list(self._streams.values()):
            if _pair(*stream.places) == _pair(a, b):
                self._break(stream, silent)

    def heal(self, a: str, b: str) -> None:
        """The two places reach each other again; streams that were cut silently prove to be gone."""
        self._cut.pop(_pair(a, b), None)
        for stream in list(self._streams.values()):
            if stream.silent and _pair(*stream.places) == _pair(a, b):
                self._break(stream, False)

    def is_cut(self, a: str, b: str) -> bool:
        """Whether nothing passes between two places."""
        return _pair(a, b) in self._cut

    def _break(self, stream: Stream, silent: bool) -> None:
        stream.silent = True
        if not silent:
            for side in (0, 1):
                if stream.users[side] is not None:
                    self._later(stream, side, self._hang_up, stream, side, "cut")

    def _later(self, stream: Stream, side: int, action: Callable[..., None], *arguments: Any) -> None:
        at = max(self.now + self.wires.delay(), stream.last_at[side])
        stream.last_at[side] = at
        self.after(at - self.now, action, *arguments)

    def _arrive(self, stream: Stream, host: Host, listener: Listener) -> None:
        if stream.users[0] is None:
            return
        if not host.alive or self.is_cut(*stream.places):
            self._later(stream, 0, self._hang_up, stream, 0, "refused")
            return
        stream.users[1] = host
        self._streams[id(stream)] = stream
        self._later(stream, 0, self._established, stream)
        host.accept(stream, listener)

    def _established(self, stream: Stream) -> None:
        user = stream.users[0]
        if user is not None and not stream.silent:
            user.opened(stream, 0)

    def _deliver(self, stream: Stream, side: int, data: bytes) -> None:
        user = stream.users[side]
        if user is not None and not stream.silent:
            user.received(stream, side, data)

    def _leave(self, stream: Stream, side: int, data: bytes) -> None:
        """What waited in a queue is on its way."""
        self._queue_is(stream, side, stream.queued[side] - len(data))
        if not stream.silent:
            self._later(stream, 1 - side, self._deliver, stream, 1 - side, data)

    def _queue_is(self, stream: Stream, side: int, octets: int) -> None:
        low, high = self.wires.marks
        stream.queued[side] = octets
        stream.most_queued[side] = max(octets, stream.most_queued[side])
        crossed = octets <= low if stream.high[side] else octets > high
        user = stream.users[side]
        if crossed and isinstance(user, Host):
            stream.high[side] = not stream.high[side]
            self.after(0, self._tell_queued, stream, side)

    def _tell_queued(self, stream: Stream, side: int) -> None:
        user = stream.users[side]
        if isinstance(user, Host) and not stream.silent:
            user.writable(stream, side, stream.queued[side])

    def _hang_up(self, stream: Stream, side: int, why: str) -> None:
        user, stream.users[side] = stream.users[side], None
        self._forget(stream)
        if user is not None:
            user.closed(stream, side, why)

    def _forget(self, stream: Stream) -> None:
        if stream.users[0] is None and stream.users[1] is None:
            self._streams.pop(id(stream), None)

    # Datagrams.

    def bind(self, at: Address, user: DatagramUser) -> None:
        """Somebody listens there."""
        self._sockets[at] = user

    def send_datagram(self, source: Address, to: Address, data: bytes) -> None:
        """A datagram, which may be lost, doubled or late."""
        for delay in self.wires.datagram_delays():
            self.after(delay, self._datagram, source, to, data)

    def _datagram(self, source: Address, to: Address, data: bytes) -> None:
        user = self._sockets.get(to)
        if user is not None:
            user.datagram(source, data)

    # The coordinator.

    def ask(self, host: Host, request: int, what: Question) -> None:
        """A question on its way; it is lost where the coordinator is out of reach."""
        if host.engine:
            self._in_order(f"{host.name} asks", self._asked, host, host.runs, request, what)

    def _asked(self, host: Host, run: int, request: int, what: Question) -> None:
        if not host.engine:
            return
        said: list[tuple[str, Any]] = []
        self.coordinator.ask(self.now, host.name, request, what, said)
        for name, given in said:
            self.hear(self.hosts[name], given)

    def hear(self, host: Host, given: Any) -> None:
        """The coordinator tells a node something."""
        if host.engine:
            self._in_order(f"{host.name} hears", self._answer, host, host.runs, given)
        elif isinstance(given, Changed):
            host.missed.append(given)

    def _answer(self, host: Host, run: int, given: AnyInput) -> None:
        if host.runs == run and host.engine:
            host.give(given)
        elif host.runs == run and isinstance(given, Changed):
            host.missed.append(given)

    def _in_order(self, queue: str, action: Callable[..., None], *arguments: Any) -> None:
        at = max(self.now + self.wires.delay(), self._fifo.get(queue, 0))
        self._fifo[queue] = at
        self.after(at - self.now, action, *arguments)

    # Records.

    def note(self, who: str, what: object) -> None:
        """Everything that went into or came out of a node counts for the trace."""
        self.recent.append((self.now, who, what))
        if self.noted is not None:
            self.noted.append((self.now, who, what))
        self.hash.update(b"%d %s " % (self.now, who.encode()))
        self.hash.update(msgspec.msgpack.encode(what))

    def tail(self) -> str:
        """The last events, for the report of a failure."""
        return "\n".join(f"{at:>12} {who} {str(what)[:300]}" for at, who, what in self.recent)

    def check(self) -> None:
        """What holds at any moment."""
        for host in self.hosts.values():
            if host.alive:
                host.check()

    def pictures_agree(self) -> None:
        """What holds when nothing is under way: every node tells the same of every DN, and the coordinator agrees."""
        for dn in self.settings.dns:
            views: dict[str, Any] = {}
            for name, host in self.hosts.items():
                if not host.alive:
                    continue
                proxy = host.node.smart_proxy
                if proxy.is_synchronised:
                    views[f"{name} smart proxy"] = seen(proxy.view(dn))
            assert len({repr(view) for view in views.values()}) <= 1, f"{dn} is seen differently: {views}"
            record = self.coordinator.owner(dn)
            owners = [n for n, h in self.hosts.items() if h.alive and h.node.t_controller.owned.serves(dn)]
            assert len(owners) <= 1, f"{dn} has {owners} as owners"
            if owners:
                assert record is not None, f"{owners[0]} owns {dn}, the coordinator does not know"
                told = self.hosts[owners[0]].node.t_controller.streams.mine[dn].calls.values()
                true = [v for h in self.hosts.values() if h.alive for v in h.node.session_controller.calls.views(dn)]
                twice = {c for c, state, _ in by_id(true) if not state}
                told = [call for call in told if call.conn_id not in twice]
                true = [call for call in true if call.conn_id not in twice]
                assert by_id(told) == by_id(true), f"{dn} has {by_id(true)}, its owner tells {by_id(told)}"
                assert record.node == owners[0], f"{owners[0]} owns {dn}, for the coordinator {record.node}"


def by_id(calls: Iterable[Any]) -> list[tuple[int, int, str]]:
    """Calls of a DN as its owner and their nodes must agree on them; of a DN that calls itself only the ConnID."""
    states: dict[int, list[Any]] = {}
    for call in calls:
        states.setdefault(call.conn_id, []).append(call)
    return sorted((c, there[0].state if len(there) == 1 else 0, there[0].node) for c, there in states.items())


def seen(picture: Any) -> tuple[object, ...]:
    """What somebody who watches sees in a picture, whoever told it."""
    calls = sorted((c.conn_id, c.call_type, c.state, c.other_dn, c.node) for c in picture.calls.values())
    agent = picture.agent_id, picture.ready, picture.work_mode
    features = picture.dnd, picture.forward_to, picture.forward_mode
    return (picture.dn, picture.in_service, *agent, *features, calls)


def address(text: str) -> Address:
    """host:port as a pair."""
    host, _, port = text.rpartition(":")
    return host, int(port)


def _pair(a: str, b: str) -> tuple[str, str]:
    return (a, b) if a <= b else (b, a)
