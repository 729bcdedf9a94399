"""Capture files: packets of pcap and pcapng, and the TCP streams in them put together again (ours).

Read for what programs like tcpdump write: Ethernet, Linux cooked, loopback and raw IP; IPv4 and IPv6; no fragments.
Formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator

import msgspec

MAX_PACKET = 262_144
MAX_AHEAD = 4_194_304
"""Octets that one direction of a stream may hold while it waits for a lost segment."""

_PCAP = {
    b"\xd4\xc3\xb2\xa1": ("<", 1_000),
    b"\xa1\xb2\xc3\xd4": (">", 1_000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
_PCAPNG = b"\x0a\x0d\x0d\x0a"
_ETHERNET, _RAW, _LINUX, _LINUX_2 = 1, (12, 14, 101, 228, 229), 113, 276
_LOOPBACK = (0, 108)
_VLAN = (0x8100, 0x88A8)
_IP = (0x0800, 0x86DD)
_TCP = 6
_FIN, _SYN, _RST = 1, 2, 4


class CaptureError(ValueError):
    """A file that is no capture, or breaks off; the text says where."""


class Packet(msgspec.Struct, frozen=True):
    """A packet: when it was seen (nanoseconds since 1970), its link type, its octets."""

    time_ns: int
    link: int
    data: bytes


class Segment(msgspec.Struct, frozen=True):
    """What one TCP packet carries."""

    time_ns: int
    source: str
    target: str
    number: int
    flags: int
    data: bytes


class Piece(msgspec.Struct, frozen=True):
    """Octets of one direction of a stream, in order; `begins`: of a new connection, `hole`: some before are lost."""

    time_ns: int
    source: str
    target: str
    data: bytes
    begins: bool = False
    hole: bool = False


def is_capture(data: bytes) -> bool:
    """Whether octets begin like a capture file."""
    return data[:4] in _PCAP or data[:4] == _PCAPNG


def packets(data: bytes) -> Iterator[Packet]:
    """The packets of a capture file; CaptureError when it is none or breaks off."""
    if data[:4] in _PCAP:
        yield from _pcap(data)
    elif data[:4] == _PCAPNG:
        yield from _pcapng(data)
    else:
        raise CaptureError("neither pcap nor pcapng")


def _pcap(data: bytes) -> Iterator[Packet]:
    order, fraction_ns = _PCAP[data[:4]]
    if len(data) < 24:
        raise CaptureError("the file breaks off in its header")
    link = struct.unpack_from(order + "I", data, 20)[0] & 0x0FFFFFFF
    at = 24
    while at < len(data):
        if len(data) - at < 16:
            raise CaptureError(f"the file breaks off at octet {at}")
        seconds, fraction, size = struct.unpack_from(order + "III", data, at)
        at += 16
        if size > MAX_PACKET or size > len(data) - at:
            raise CaptureError(f"the file breaks off at octet {at}")
        yield Packet(seconds * 1_000_000_000 + fraction * fraction_ns, link, data[at : at + size])
        at += size


def _pcapng(data: bytes) -> Iterator[Packet]:
    order, at = "<", 0
    links: list[tuple[int, int]] = []
    while at < len(data):
        if len(data) - at < 12:
            raise CaptureError(f"the file breaks off at octet {at}")
        if data[at : at + 4] == _PCAPNG:
            order = "<" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            links = []
        kind, size = struct.unpack_from(order + "II", data, at)
        if size < 12 or size % 4 or size > len(data) - at:
            raise CaptureError(f"a block of {size} octets at octet {at}")
        body = data[at + 8 : at + size - 4]
        if kind == 1 and len(body) >= 8:
            links.append((struct.unpack_from(order + "H", body)[0], _resolution(order, body[8:])))
        elif kind == 6 and len(body) >= 20:
            which, high, low, length = struct.unpack_from(order + "IIII", body)
            if which >= len(links) or length > len(body) - 20:
                raise CaptureError(f"a packet without its interface or its end at octet {at}")
            link, per_second = links[which]
            yield Packet(((high << 32) + low) * 1_000_000_000 // per_second, link, body[20 : 20 + length])
        at += size


def _resolution(order: str, options: bytes) -> int:
    """Ticks per second of an interface (option if_tsresol), a million without it."""
    at = 0
    while len(options) - at >= 4:
        code, size = struct.unpack_from(order + "HH", options, at)
        if code == 0:
            break
        if code == 9 and size == 1 and len(options) > at + 4:
            exponent = options[at + 4]
            return 1 << min(exponent & 0x7F, 63) if exponent & 0x80 else 10 ** min(exponent, 18)
        at += 4 + (size + 3) // 4 * 4
    return 1_000_000


def segment(packet: Packet) -> Segment | None:
    """What a packet carries if that is TCP, None if it is anything else."""
    inside = _ip(packet.link, packet.data)
    if not inside:
        return None
    version = inside[0] >> 4
    if version == 4 and len(inside) >= 20:
        head, total = (inside[0] & 15) * 4, int.from_bytes(inside[2:4], "big")
        if inside[9] != _TCP or int.from_bytes(inside[6:8], "big") & 0x3FFF or head < 20:
            return None
        source, target, end = inside[12:16], inside[16:20], total or len(inside)  # 0: cut by the network card
    elif version == 6 and len(inside) >= 40:
        head, end = 40, 40 + int.from_bytes(inside[4:6], "big")
        if inside[6] != _TCP:
            return None
        source, target = inside[8:24], inside[24:40]
    else:
        return None
    tcp = inside[head:end]
    if len(tcp) < 20 or (tcp[12] >> 4) * 4 < 20:
        return None
    from_port, to_port, number = struct.unpack_from(">HHI", tcp)
    return Segment(
        packet.time_ns,
        _address(source, from_port),
        _address(target, to_port),
        number,
        tcp[13],
        tcp[(tcp[12] >> 4) * 4 :],
    )


def _ip(link: int, data: bytes) -> bytes:
    """The IP packet in a packet of this link type; empty for what is no IP."""
    if link == _ETHERNET:
        at = 12
        while int.from_bytes(data[at : at + 2], "big") in _VLAN:
            at += 4
        return data[at + 2 :] if int.from_bytes(data[at : at + 2], "big") in _IP else b""
    if link == _LINUX:
        return data[16:] if int.from_bytes(data[14:16], "big") in _IP else b""
    if link == _LINUX_2:
        return data[20:] if int.from_bytes(data[:2], "big") in _IP else b""
    if link in _LOOPBACK:
        return data[4:]
    return data if link in _RAW else b""


def _address(octets: bytes, port: int) -> str:
    address = ipaddress.ip_address(octets)
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


class Direction:
    """One direction of a TCP stream: segments in any order, octets in order."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._ahead: dict[int, bytes] = {}
        self._ahead_octets = 0

    def feed(self, given: Segment) -> list[Piece]:
        """What the segment makes known; segments seen before give nothing."""
        found: list[Piece] = []
        number = given.number
        if given.flags & _SYN:
            number = (number + 1) & 0xFFFFFFFF  # SYN takes a number, octets in it come behind
            self._next = number
            self._ahead.clear()
            self._ahead_octets = 0
            found.append(self._piece(given, b"", begins=True))
        elif self._next is None:
            self._next = number
        if given.data:
            self._keep(number, given.data)
            found += self._ready(given)
            if self._ahead_octets > MAX_AHEAD:
                found += self._give_up(given)
        if given.flags & (_FIN | _RST) and self._ahead:
            found += self._give_up(given)
        return found

    def _piece(self, given: Segment, data: bytes, begins: bool = False, hole: bool = False) -> Piece:
        return Piece(given.time_ns, given.source, given.target, data, begins, hole)

    def _keep(self, number: int, data: bytes) -> None:
        assert self._next is not None
        behind = (self._next - number) & 0xFFFFFFFF
        if behind < 0x80000000:  # begins in what is known: its end may be new
            number, data = self._next, data[behind:]
        if data and len(data) > len(self._ahead.get(number, b"")):
            self._ahead_octets += len(data) - len(self._ahead.get(number, b""))
            self._ahead[number] = data

    def _ready(self, given: Segment) -> list[Piece]:
        found = []
        while self._ahead:
            assert self._next is not None
            data = self._ahead.pop(self._next, None)
            if data is None:
                overlapping = [n for n in self._ahead if (self._next - n) & 0xFFFFFFFF < 0x80000000]
                if not overlapping:
                    break
                for number in overlapping:
                    old = self._ahead.pop(number)
                    self._ahead_octets -= len(old)
                    self._keep(number, old)
                continue
            self._ahead_octets -= len(data)
            self._next = (self._next + len(data)) & 0xFFFFFFFF
            found.append(self._piece(given, data))
        return found

    def _give_up(self, given: Segment) -> list[Piece]:
        """Go on behind the hole: the nearest segment that is there."""
        assert self._next is not None
        at = self._next
        self._next = min(self._ahead, key=lambda number: (number - at) & 0xFFFFFFFF)
        return [self._piece(given, b"", hole=True), *self._ready(given)]


def streams(data: bytes) -> Iterator[Piece]:
    """The octets of every TCP stream in a capture file, as they become known."""
    table: dict[tuple[str, str], Direction] = {}
    for packet in packets(data):
        found = segment(packet)
        if found is not None:
            yield from table.setdefault((found.source, found.target), Direction()).feed(found)
