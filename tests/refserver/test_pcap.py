"""Capture files: what tcpdump and Wireshark write, and streams put together again."""

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refserver import pcap as module
from refserver.pcap import CaptureError, is_capture, packets, segment, streams

from .captures import ENDS, FIN, RST, SYN, block, conversation, ethernet, ipv4, ipv6, pcap, pcapng, tcp

A, B = ENDS


def text(data):
    return b"".join(piece.data for piece in streams(data))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_pcap_of_either_byte_order_and_clock(order, nanoseconds):
    data = pcap([b"one", b"two"], 101, order, nanoseconds)
    assert is_capture(data)
    one, two = packets(data)
    assert (one.data, two.data, one.link) == (b"one", b"two", 101)
    assert one.time_ns == 1795374000 * 10**9 + (5 if nanoseconds else 5000)


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_of_either_byte_order(order):
    data = pcapng([b"one", b"two!"], 1, order) + block(5, b"statistics", order)
    assert is_capture(data)
    assert [(p.data, p.time_ns) for p in packets(data)] == [
        (b"one", ((1 << 32) + 2) * 1000),
        (b"two!", ((1 << 32) + 2) * 1000),
    ]
    again = list(packets(data + pcapng([b"x"], 113, ">" if order == "<" else "<")))
    assert (again[-1].data, again[-1].link) == (b"x", 113)


@pytest.mark.parametrize(
    ("options", "per_second"),
    [
        (struct.pack("<HHB3x", 9, 1, 9), 10**9),
        (struct.pack("<HHB3x", 9, 1, 0x80 | 10), 1 << 10),
        (struct.pack("<HH4sHHB3x", 2, 4, b"eth0", 9, 1, 6), 10**6),
        (struct.pack("<HHHHB3x", 0, 0, 9, 1, 9), 10**6),
        (struct.pack("<HH", 9, 1), 10**6),
    ],
)
def test_the_clock_of_an_interface(options, per_second):
    (packet,) = packets(pcapng([b"x"], options=options))
    assert packet.time_ns == ((1 << 32) + 2) * 10**9 // per_second


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "neither"),
        (b"GET / HTTP/1.1", "neither"),
        (pcap([])[:20], "header"),
        (pcap([b"abc"])[:-1], "octet 40"),
        (pcap([b"abc"])[:30], "octet 24"),
        (pcap([]) + struct.pack("<IIII", 0, 0, 1 << 30, 0), "octet 40"),
        (pcapng([b"abcd"])[:-1], "a block of"),
        (pcapng([])[:10], "octet 0"),
        (pcapng([]) + block(6, bytes(20))[:8] + bytes(4), "a block of"),
        (pcapng([]) + block(6, struct.pack("<IIIII", 1, 0, 0, 0, 0)), "interface"),
        (pcapng([]) + block(6, struct.pack("<IIIII", 0, 0, 0, 50, 50)), "interface"),
    ],
)
def test_a_file_that_is_none_or_breaks_off_says_where(data, why):
    with pytest.raises(CaptureError, match=why):
        list(packets(data))


def test_short_blocks_of_pcapng_are_passed_over():
    assert list(packets(pcapng([]) + block(1, b"ab") + block(6, b"ab"))) == []


IP4 = ipv4(A, B, tcp(A, B, 7, b"data"))
IP6 = ipv6(1, 2, tcp(A, B, 7, b"data"))


@pytest.mark.parametrize(
    ("link", "data"),
    [
        (1, ethernet(IP4)),
        (1, ethernet(IP6, 0x86DD)),
        (1, ethernet(IP4, tags=(0x8100,))),
        (1, ethernet(IP4, tags=(0x88A8, 0x8100))),
        (113, bytes(14) + b"\x08\x00" + IP4),
        (276, b"\x86\xdd" + bytes(18) + IP6),
        (0, b"\x02\x00\x00\x00" + IP4),
        (108, b"\x00\x00\x00\x18" + IP6),
        (101, IP4),
        (229, IP6),
        (101, ipv4(A, B, tcp(A, B, 7, b"data", options=bytes(12)))),
        (101, ipv4(A, B, tcp(A, B, 7, b"data"), total=0)),
        (1, ethernet(IP4) + b"padding"),
    ],
)
def test_tcp_is_found_in_packets_of_many_links(link, data):
    (packet,) = packets(pcap([data], link))
    found = segment(packet)
    assert (found.data, found.number) == (b"data", 7)
    assert found.source in ("10.0.0.1:40000", "[::1]:40000")


@pytest.mark.parametrize(
    ("link", "data"),
    [
        (1, ethernet(IP4, 0x0806)),
        (1, b"short"),
        (113, bytes(16)),
        (276, bytes(20)),
        (147, IP4),
        (101, b""),
        (101, IP4[:19]),
        (101, IP6[:39]),
        (101, b"\x75" + IP4[1:]),
        (101, b"\x44" + IP4[1:]),
        (101, ipv4(A, B, b"udp", protocol=17)),
        (101, ipv4(A, B, tcp(A, B, 7, b"data"), fragment=0x2000)),
        (101, ipv4(A, B, tcp(A, B, 7, b"data"), fragment=5)),
        (101, ipv4(A, B, b"short")),
        (101, ipv4(A, B, bytes(40))),
        (101, ipv6(1, 2, b"udp", following=17)),
    ],
)
def test_what_is_no_tcp_is_passed_over(link, data):
    (packet,) = packets(pcap([data], link))
    assert segment(packet) is None
    assert list(streams(pcap([data], link))) == []


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(1, 50), st.integers(0, 2**32 - 1), st.integers(0, 2**32))
def test_a_stream_comes_whole_from_segments_out_of_order_twice_and_overlapping(data, size, start, seed):
    dice = random.Random(seed)
    first, *middle, _ = conversation(data, size, start)
    for _ in range(len(middle)):
        at = dice.randrange(len(data))
        middle.append(ethernet(ipv4(A, B, tcp(A, B, start + 1 + at, data[at : at + dice.randint(1, 60)]))))
    dice.shuffle(middle)
    assert text(pcap([first, *middle])) == data


def test_a_stream_without_its_beginning_is_taken_from_where_it_is():
    _, *rest = conversation(b"abcdef", 2)
    assert text(pcap(rest)) == b"abcdef"


def test_a_lost_segment_is_told_at_the_end():
    syn, one, _, three, fin = conversation(b"abcdef", 2)
    pieces = list(streams(pcap([syn, one, three, fin])))
    assert [(p.data, p.begins, p.hole) for p in pieces] == [
        (b"", True, False),
        (b"ab", False, False),
        (b"", False, True),
        (b"ef", False, False),
    ]
    reset = ethernet(ipv4(A, B, tcp(A, B, 1007, flags=RST)))
    assert any(p.hole for p in streams(pcap([syn, one, three, reset])))


def test_what_waits_behind_a_lost_segment_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAX_AHEAD", 10)
    syn, _, *rest = conversation(b"x" * 40, 5)
    pieces = list(streams(pcap([syn, *rest])))
    assert [p.hole for p in pieces].count(True) == 1
    assert b"".join(p.data for p in pieces) == b"x" * 35


def test_the_same_ends_may_connect_again():
    data = pcap([*conversation(b"one"), *conversation(b"two", start=999_999)])
    assert text(data) == b"onetwo"
    assert sum(p.begins for p in streams(data)) == 2


def test_directions_are_apart():
    there = ethernet(ipv4(A, B, tcp(A, B, 1, b"there", FIN)))
    back = ethernet(ipv4(B, A, tcp(B, A, 1, b"back", SYN)))
    found = {(p.source, p.data) for p in streams(pcap([there, back])) if p.data}
    assert found == {("10.0.0.1:40000", b"there"), ("10.0.0.2:3303", b"back")}
