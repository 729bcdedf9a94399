"""How much a source of SIP may send: strangers, proven phones, whoever is configured."""

from __future__ import annotations

from typing import Any

import pytest

from cluster_core.core import Core
from cluster_core.gate import BURST_S, Gate
from cluster_core.inputs import Opened, Received
from cluster_core.limits import SECOND_US, Limits
from tests.cluster_core.alone import SDP, TRUNK, Alone, settings
from tests.sim.actors import Phone
from tests.sim.cluster import Cluster

STRANGER = ("203.0.113.9", 5060)
PHONE = ("198.51.100.1", 5060)
OPTIONS = (
    "OPTIONS sip:n1 SIP/2.0\r\nVia: SIP/2.0/TCP 203.0.113.9;branch=z9hG4bK{0}\r\nFrom: <sip:a@x>;tag=1\r\n"
    "To: <sip:n1>\r\nCall-ID: {0}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)
FREE = ("127.0.0.1", "127.9.9.9", "::1", TRUNK[0], "192.0.2.1", "192.0.2.77")


def gate(**limits: int) -> Gate:
    made = settings(limits=Limits(**limits), sip_proxies=("192.0.2.77",))
    return Gate(Core(made, "n1", "a", b"seed"))


def admitted(gate: Gate, now: int, host: str, count: int) -> int:
    return sum(gate.admits(now, host, []) for _ in range(count))


def test_a_stranger_may_send_so_many_at_once_and_so_many_a_second() -> None:
    gate_ = gate(source_rate=10)
    assert admitted(gate_, 0, STRANGER[0], 100) == 10 * BURST_S
    assert admitted(gate_, SECOND_US, STRANGER[0], 100) == 10
    assert admitted(gate_, 60 * SECOND_US, STRANGER[0], 100) == 10 * BURST_S
    assert admitted(gate_, 60 * SECOND_US, "203.0.113.10", 1) == 1


def test_who_keeps_to_the_rate_is_never_dropped() -> None:
    gate_ = gate(source_rate=10)
    assert all(gate_.admits(n * SECOND_US // 10, STRANGER[0], []) for n in range(1_000))


def test_a_proven_source_may_send_more_until_its_proof_is_old() -> None:
    gate_ = gate(source_rate=10, proven_source_rate=100, registration_max_s=60)
    assert admitted(gate_, 0, PHONE[0], 1_000) == 20
    gate_.prove(0, PHONE[0])
    assert admitted(gate_, 0, PHONE[0], 1_000) == 200
    gate_.prove(0, PHONE[0])
    assert admitted(gate_, 0, PHONE[0], 1_000) == 0
    later = 60 * SECOND_US
    assert gate_.is_proven(later, PHONE[0])
    assert not gate_.is_proven(later + 1, PHONE[0])
    assert admitted(gate_, later + 1, PHONE[0], 1_000) == 20


@pytest.mark.parametrize("host", FREE)
def test_this_machine_and_whoever_is_configured_may_send_what_they_like(host: str) -> None:
    gate_ = gate(source_rate=1, proven_source_rate=1, source_streams=1)
    assert admitted(gate_, 0, host, 1_000) == 1_000
    assert all(gate_.opened(0, host, []) for _ in range(100))
    gate_.prove(0, host)
    assert not len(gate_)


def test_a_place_that_a_trunks_name_leads_to_is_free() -> None:
    gate_ = gate(source_rate=1)
    gate_.trust("203.0.113.50")
    assert admitted(gate_, 0, "203.0.113.50", 100) == 100


def test_sources_are_counted_in_tables_of_bounded_size() -> None:
    gate_ = gate(sources=10)
    for number in range(100):
        gate_.admits(0, f"203.0.113.{number}", [])
        gate_.prove(0, f"198.51.100.{number}")
    assert len(gate_) == 20
    assert gate_.is_proven(0, "198.51.100.99")
    assert not gate_.is_proven(0, "198.51.100.0")


def test_a_flood_is_told_once_in_a_while() -> None:
    gate_ = gate(source_rate=1)
    out: list[Any] = []
    for number in range(1_000):
        gate_.admits(number * 1_000, STRANGER[0], out)
        gate_.admits(number * 1_000, "203.0.113.77", out)
    assert [fault.kind for fault in out] == ["too-many-messages"]
    gate_.admits(11 * SECOND_US, STRANGER[0], out)
    for _ in range(9):
        gate_.admits(11 * SECOND_US, STRANGER[0], out)
    assert len(out) == 2


def test_streams_of_a_source_are_counted_until_they_close() -> None:
    gate_ = gate(source_streams=2, proven_source_streams=3)
    assert [gate_.opened(0, PHONE[0], []) for _ in range(3)] == [True, True, False]
    gate_.prove(0, PHONE[0])
    assert [gate_.opened(0, PHONE[0], []) for _ in range(2)] == [True, False]
    gate_.closed(PHONE[0])
    assert gate_.opened(0, PHONE[0], [])
    for _ in range(3):
        gate_.closed(PHONE[0])
    assert len(gate_) == 1


# The same over a node.


def test_a_flood_of_a_stranger_is_dropped_and_a_phone_is_served_meanwhile() -> None:
    alone = Alone()
    alone.phone("1001", PHONE)
    answers = sum(len(alone.request("OPTIONS", "sip:n1", STRANGER)) for _ in range(500))
    assert answers == 30 * BURST_S
    assert len(alone.request("OPTIONS", "sip:n1", PHONE)) == 1
    assert [fault.kind for fault in alone.faults] == ["too-many-messages"]
    alone.run(SECOND_US)
    assert len(alone.request("OPTIONS", "sip:n1", STRANGER)) == 1


def test_a_phone_that_has_registered_may_send_more_than_a_stranger() -> None:
    alone = Alone()
    alone.phone("1001", PHONE)
    assert sum(len(alone.request("OPTIONS", "sip:n1", PHONE)) for _ in range(200)) == 200
    assert sum(len(alone.request("INVITE", "sip:8000@n1", TRUNK, body=SDP)) > 0 for _ in range(700)) == 700


def test_a_phone_that_another_node_calls_is_no_stranger_there() -> None:
    cluster = Cluster()
    caller = cluster.phone("1001", "n1")
    called = Phone(cluster.world, "1002", "n2", ("198.51.100.9", 5060), "secret")
    called.register()
    cluster.world.until(lambda: called.registered == 200)
    gate_ = cluster.hosts["n1"].node._edge.gate
    assert not gate_.is_proven(cluster.world.now, "198.51.100.9")
    caller.call("1002")
    cluster.world.until(lambda: "ringing" in called.calls.values())
    assert gate_.is_proven(cluster.world.now, "198.51.100.9")


class Streams:
    """SIP streams of a stranger to a node."""

    def __init__(self, **limits: int) -> None:
        self.alone = Alone(limits=Limits(**limits))
        self.last = 100

    def open(self, host: str = STRANGER[0]) -> int:
        self.last += 2
        self.alone.programs[self.last] = _Mute()  # type: ignore[assignment]
        self.alone.give(Opened(self.last, "sip-tcp", f"{host}:{self.last}"))
        return self.last

    def say(self, conn: int, name: str) -> None:
        self.alone.give(Received(conn, OPTIONS.format(name).encode()))


class _Mute:
    closed = ""

    def heard(self, data: bytes) -> None:
        """Answers are not looked at."""


def test_a_source_has_so_many_streams_and_no_more() -> None:
    streams = Streams(source_streams=2)
    opened = [streams.open() for _ in range(3)]
    assert streams.alone.closed == opened[2:]
    streams.open("203.0.113.10")
    assert len(streams.alone.closed) == 1


def test_a_stream_that_says_too_much_is_closed_and_leaves_nothing() -> None:
    streams = Streams(source_rate=2)
    conn = streams.open()
    for number in range(2 * BURST_S + 1):
        assert not streams.alone.closed
        streams.say(conn, str(number))
    assert streams.alone.closed == [conn]
    assert streams.alone.node.counts()["sip_flows"] == 0
    assert len(streams.alone.node._edge.gate) == 1


def test_an_idle_stream_of_a_stranger_is_closed_and_that_of_a_phone_stays() -> None:
    streams = Streams()
    quiet = streams.open()
    busy = streams.open()
    phone = streams.open(PHONE[0])
    streams.alone.phone("1001", PHONE)
    streams.alone.run(100 * SECOND_US)
    streams.say(busy, "late")
    streams.alone.run(30 * SECOND_US)
    assert streams.alone.closed == [quiet]
    streams.alone.run(100 * SECOND_US)
    assert streams.alone.closed == [quiet, busy]
    streams.alone.run(2_000 * SECOND_US)
    assert phone not in streams.alone.closed
    streams.alone.run(4_000 * SECOND_US)
    assert phone in streams.alone.closed
