"""`make bench`: DNs claimed by the hundred thousand, given up, lost and told to a peer, beside a plain loop.

Nodes and coordinator live in this process, wires take no time and time stands still but for timers: what is measured
is their CPU alone. An application registers every DN and so owns them all; then it goes, or the node's membership
ends, or the node stops; a peer hears of everything. The peer of the comparison is the least that claims could cost: a
dict of the same claims, each encoded to msgpack and decoded again on both ways. Only the ratio is worth quoting.
`longest` is the input that took longest of all: for so long a node answers nobody.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import struct
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from cluster_core.coordinator import MemoryCoordinator
from cluster_core.coordinator_records import Claim, Claimed, How, OwnerRecord
from cluster_core.inputs import AnyInput, Closed, Opened, Operator, Received, Role, Timeout, WallClock
from cluster_core.node import ClusterNode
from cluster_core.outputs import AnyOutput, Ask, Close, Dial, Send
from cluster_core.rights import hash_secret
from cluster_core.settings import (
    ClientRole,
    ClientSettings,
    ClusterOptions,
    ClusterSettings,
    DnSettings,
    DnType,
    MemberSettings,
    NodeSettings,
)
from tlib_proto import Attribute, Hello, Message, MessageType, encode
from tlib_proto.hello import hello_message

SECOND = 1_000_000
READ = 65_536
"""Octets that a host reads from a socket at once."""
HIGH_MARK, LOW_MARK = 262_144, 65_536
_LENGTH = struct.Struct(">I")


def settings(dns: list[str], nodes: int, *, optimised: bool = True, **limits: int) -> ClusterSettings:
    """A cluster whose DNs belong to the application `bench`."""
    made = []
    for number in range(1, nodes + 1):
        ports = ("sip", "tlib", "iproxy", "tcontroller", "smartproxy")
        member = MemberSettings(name="a", **{port: f"192.0.2.{number}:{5060 + n}" for n, port in enumerate(ports)})
        made.append(NodeSettings(name=f"n{number}", number=number, members=(member,)))
    known = {dn: DnSettings(dn=dn, type=DnType.EXTENSION, contact=f"sip:{dn}@192.0.2.9") for dn in dns}
    bound = ClusterSettings(name="x", realm="x", nodes=(), dns={}).limits
    return ClusterSettings(
        name="bench",
        realm="bench.example",
        nodes=tuple(made),
        dns=known,
        clients=(ClientSettings(name="bench", role=ClientRole.DESKTOP, secret=hash_secret("demo", bytes(16))),),
        options=ClusterOptions(dn_owner_applications=("bench",), smart_proxy_enabled=optimised),
        limits=msgspec.structs.replace(bound, **limits),
        link_secret="one cluster",
    )


class Host:
    """One node, and the CPU time of each of its inputs; `longest` is the worst in nanoseconds, and which it was."""

    def __init__(self, name: str, made: ClusterSettings) -> None:
        self.name = name
        self.node = ClusterNode(made, name, "a", name.encode())
        self.streams: dict[int, tuple[Host | None, int]] = {}
        self.next_conn = 2
        self.used_ns = 0
        self.inputs = 0
        self.longest = (0, "")
        self.frames = 0
        self.unread: dict[int, int] = {}
        self.most_unread = 0


class Cluster:
    """Nodes, their coordinator and the wires between them, which take no time."""

    def __init__(self, made: ClusterSettings) -> None:
        self.now = SECOND
        self.coordinator = MemoryCoordinator(b"bench")
        self.answering = True
        self.coordinator_ns = self.coordinator_longest = 0
        self.work: Callable[[Host, AnyInput, list[AnyOutput]], None] = self.measured
        self.queue: deque[tuple[Host, AnyInput]] = deque()
        self.hosts = {node.name: Host(node.name, made) for node in made.nodes}
        self.places = {node.members[0].tcontroller: self.hosts[node.name] for node in made.nodes}
        for host in self.hosts.values():
            self.queue += [(host, WallClock(1_700_000_000 * SECOND)), (host, Role(1, True))]
        self.settle()
        self.owner = self.program(self.hosts["n1"], "bench", "desktop", "demo")

    def measured(self, host: Host, given: AnyInput, out: list[AnyOutput]) -> None:
        """One input into a node."""
        start = time.thread_time_ns()
        host.node.handle(self.now, given, out)
        took = time.thread_time_ns() - start
        host.used_ns += took
        host.inputs += 1
        if took > host.longest[0]:
            host.longest = (took, type(given).__name__)

    def settle(self, us: int = 0, *, step: Callable[[], None] = lambda: None) -> None:
        """Let everything come to rest that is due within so many microseconds."""
        end = self.now + us
        while True:
            while self.queue:
                host, given = self.queue.popleft()
                out: list[AnyOutput] = []
                self.work(host, given, out)
                self._perform_all(host, out)
                step()
            due: list[tuple[int, Host | None]] = [
                (at, host) for host in self.hosts.values() if (at := host.node.next_deadline()) is not None
            ]
            if (at := self.coordinator.next_deadline()) is not None:
                due.append((at, None))
            at, due_host = min(due, key=lambda pair: pair[0], default=(end + 1, None))
            if at > end:
                self.now = end
                return
            self.now = max(self.now, at)
            if due_host is None:
                self._told(lambda said: self.coordinator.handle_timeout(self.now, said))
            else:
                self.queue.append((due_host, Timeout()))

    def program(self, host: Host, application: str, role: str, secret: str = "") -> int:
        """A T-Library client of a node's TCport; returns its connection there."""
        conn = self._accept(host, None, 0)
        hello = encode(hello_message(Hello(application=application, role=role, secret=secret), 1))
        self.say(host, conn, hello)
        return conn

    def say(self, host: Host, conn: int, data: bytes) -> None:
        """What a program writes, as a host reads it."""
        for at in range(0, len(data), READ):
            self.queue.append((host, Received(conn, data[at : at + READ])))
        self.settle()

    def hang_up(self, host: Host, conn: int) -> None:
        """A program is gone."""
        self._close(host, conn)
        self.queue.append((host, Closed(conn, "gone")))

    def _perform_all(self, host: Host, out: list[AnyOutput]) -> None:
        """As a host does: what one stream is sent in one pass is one write."""
        writes: dict[int, list[bytes]] = {}
        for output in out:
            if isinstance(output, Send):
                for conn in output.conns:
                    writes.setdefault(conn, []).extend(output.chunks)
            else:
                self._write(host, writes)
                self._perform(host, output)
        self._write(host, writes)

    def _write(self, host: Host, writes: dict[int, list[bytes]]) -> None:
        for conn, chunks in writes.items():
            data = b"".join(chunks)
            for at in range(0, len(data), READ):
                self._send(host, conn, data[at : at + READ])
        writes.clear()

    def _perform(self, host: Host, output: AnyOutput) -> None:
        match output:
            case Ask() if self.answering:
                self._told(lambda said: self.coordinator.ask(self.now, host.name, output.request, output.what, said))
            case Dial():
                there = self.places[output.address]
                conn = self._accept(there, host, output.conn)
                host.streams[output.conn] = (there, conn)
                self.queue.append((host, Opened(output.conn, "dial", "192.0.2.1:1")))
            case Close():
                self._close(host, output.conn)

    def _told(self, ask: Callable[[list[Any]], None]) -> None:
        said: list[Any] = []
        start = time.thread_time_ns()
        ask(said)
        took = time.thread_time_ns() - start
        self.coordinator_ns += took
        self.coordinator_longest = max(self.coordinator_longest, took)
        self.queue += [(self.hosts[name], given) for name, given in said]

    def _accept(self, host: Host, other: Host | None, conn: int) -> int:
        mine, host.next_conn = host.next_conn, host.next_conn + 2
        host.streams[mine] = (other, conn)
        self.queue.append((host, Opened(mine, "tcontroller", "127.0.0.1:1")))
        return mine

    def _send(self, host: Host, conn: int, data: bytes) -> None:
        there, other = host.streams.get(conn, (None, 0))
        host.frames += 1
        if there is not None:
            self.queue.append((there, Received(other, data)))

    def _close(self, host: Host, conn: int) -> None:
        there, other = host.streams.pop(conn, (None, 0))
        if there is not None and there.streams.pop(other, None) is not None:
            self.queue.append((there, Closed(other, "closed")))


class Figure(msgspec.Struct):
    """CPU seconds of the nodes, and the longest input in milliseconds."""

    seconds: float
    longest_ms: float
    which: str


def watch(cluster: Cluster, what: Callable[..., object], *about: object) -> Figure:
    """What something costs all nodes and their coordinator."""
    for host in cluster.hosts.values():
        host.used_ns, host.longest, host.inputs = 0, (0, ""), 0
    cluster.coordinator_ns = cluster.coordinator_longest = 0
    gc.collect()
    gc.freeze()
    gc.disable()
    what(cluster, *about)
    gc.enable()
    gc.unfreeze()
    used = sum(host.used_ns for host in cluster.hosts.values()) + cluster.coordinator_ns
    worst = max(host.longest for host in cluster.hosts.values())
    worst = max(worst, (cluster.coordinator_longest, "the coordinator's"))
    return Figure(used / 1e9, worst[0] / 1e6, worst[1])


def claim_all(cluster: Cluster, dns: list[str]) -> None:
    """The application registers every DN at n1."""
    host, conn = cluster.hosts["n1"], cluster.owner
    about = {Attribute.RegisterMode: 1, Attribute.ControlMode: 1, Attribute.AddressType: 1}
    kind = MessageType.RequestRegisterAddress
    frames = [encode(Message(kind, ref, {Attribute.ThisDN: dn, **about})) for ref, dn in enumerate(dns, 2)]
    for at in range(0, len(frames), 1_000):
        cluster.say(host, conn, b"".join(frames[at : at + 1_000]))
        cluster.settle()
    cluster.settle(SECOND)
    owned = host.node.counts()["owned_dns"]
    if owned != len(dns):
        raise SystemExit(f"{owned} of {len(dns)} DNs claimed")


def plain(dns: list[str]) -> float:
    """CPU seconds of the plain loop: a claim and its answer, each encoded and decoded, and a dict of owners."""
    encoder = msgspec.msgpack.Encoder()
    questions, answers = msgspec.msgpack.Decoder(Claim), msgspec.msgpack.Decoder(Claimed)
    owners: dict[str, OwnerRecord] = {}
    known: dict[str, OwnerRecord] = {}
    start = time.thread_time_ns()
    for dn in dns:
        claim = questions.decode(encoder.encode(Claim(dn, "n1", 1, How.TLIB)))
        owner = owners.setdefault(claim.dn, OwnerRecord(claim.node, claim.incarnation, claim.how, len(owners) + 1))
        told = answers.decode(encoder.encode(Claimed(claim.dn, owner, owner.epoch)))
        assert told.owner is not None
        known[told.dn] = told.owner
    return (time.thread_time_ns() - start) / 1e9


def goes(cluster: Cluster) -> None:
    """The application is gone, and every DN given up."""
    host = cluster.hosts["n1"]
    cluster.hang_up(host, cluster.owner)
    cluster.settle(SECOND)
    if host.node.counts()["owned_dns"]:
        raise SystemExit("DNs were not given up")


def fence(cluster: Cluster) -> None:
    """The coordinator is out of reach until the membership ends, and then there again."""
    cluster.answering = False
    cluster.settle(6 * SECOND)
    cluster.answering = True
    cluster.settle(4 * SECOND)
    host = cluster.hosts["n1"]
    if not host.node.t_controller.ownership.acting:
        raise SystemExit("no member again")


def stop(cluster: Cluster) -> None:
    """The node stops."""
    cluster.queue.append((cluster.hosts["n1"], Operator("stop")))
    cluster.settle(2 * SECOND)


def cut(cluster: Cluster) -> None:
    """The link of two nodes goes and comes back."""
    for state in ("down", "up"):
        for host, peer in (("n1", "n2"), ("n2", "n1")):
            cluster.queue.append((cluster.hosts[host], Operator("link", (peer, state))))
        cluster.settle(SECOND)


def shown(name: str, figure: Figure, more: str = "") -> None:
    """A line."""
    worst = f"longest {figure.longest_ms:6.1f} ms ({figure.which})"
    print(f"  {name:48}{figure.seconds:6.2f} CPU-s, {worst}{more}", flush=True)


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.ownership", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dns", type=int, default=100_000)
    options = parser.parse_args(arguments)
    dns = [str(1_000_000 + number) for number in range(options.dns)]
    print(f"Ownership of {len(dns):,} DNs, {options.rounds} rounds beside a dict and msgpack")
    rates, ratios, longest = [], [], 0.0
    for _ in range(options.rounds):
        cluster = Cluster(settings(dns, 1))
        figure = watch(cluster, claim_all, dns)
        rates.append(len(dns) / figure.seconds)
        ratios.append(figure.seconds / plain(dns))
        longest = max(longest, figure.longest_ms)
    print(
        f"  claims per CPU-second: {statistics.median(rates):,.0f} ({min(rates):,.0f}-{max(rates):,.0f}), "
        f"{statistics.median(ratios):.1f} times the plain loop's time each; longest input {longest:.1f} ms",
        flush=True,
    )
    for name, nodes, what in (
        ("the application goes", 1, goes),
        ("the membership ends and is had again", 1, fence),
        ("the node stops", 1, stop),
        ("the application goes, a peer hears it", 2, goes),
        ("the membership ends and is had again, a peer", 2, fence),
        ("the node stops, a peer hears it", 2, stop),
    ):
        cluster = Cluster(settings(dns, nodes))
        cluster.settle(SECOND)
        first = watch(cluster, claim_all, dns)
        if nodes == 2 and what is goes:
            shown("claims, a peer hears them", first)
        shown(name, watch(cluster, what))
    cluster = Cluster(settings(dns, 2, optimised=False))
    cluster.settle(SECOND)
    shown("claims, a peer is told everything", watch(cluster, claim_all, dns))
    shown("the link goes and comes back", watch(cluster, cut))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
