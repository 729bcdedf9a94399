"""Capture files for tests, put together by hand."""

import struct

ENDS = (("10.0.0.1", 40000), ("10.0.0.2", 3303))
FIN, SYN, RST, ACK = 1, 2, 4, 16


def tcp(source, target, number, data=b"", flags=ACK, options=b""):
    """A TCP segment; ends are (address, port)."""
    head = struct.pack(
        ">HHIIBBHHH",
        source[1],
        target[1],
        number & 0xFFFFFFFF,
        0,
        (20 + len(options)) // 4 << 4,
        flags,
        0,
        0,
        0,
    )
    return head + options + data


def ipv4(source, target, inside, protocol=6, fragment=0, total=None):
    addresses = b"".join(bytes(map(int, end[0].split("."))) for end in (source, target))
    total = 20 + len(inside) if total is None else total
    return struct.pack(">BBHHHBBH", 0x45, 0, total, 0, fragment, 64, protocol, 0) + addresses + inside


def ipv6(source, target, inside, following=6):
    addresses = bytes(15) + bytes((source,)) + bytes(15) + bytes((target,))
    return struct.pack(">IHBB", 6 << 28, len(inside), following, 64) + addresses + inside


def ethernet(inside, kind=0x0800, tags=()):
    return bytes(12) + b"".join(struct.pack(">HH", tag, 1) for tag in tags) + struct.pack(">H", kind) + inside


def pcap(packets, link=1, order="<", nanoseconds=False, times=None):
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    found = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    for at, data in enumerate(packets):
        found += struct.pack(order + "IIII", 1795374000 + at, 5, len(data), len(data)) + data
    return found


def block(kind, body, order="<"):
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def pcapng(packets, link=1, order="<", options=b""):
    magic = struct.pack(order + "I", 0x1A2B3C4D)
    found = block(0x0A0D0D0A, magic + struct.pack(order + "HHq", 1, 0, -1), order)
    found += block(1, struct.pack(order + "HHI", link, 0, 0) + options, order)
    for data in packets:
        found += block(6, struct.pack(order + "IIIII", 0, 1, 2, len(data), len(data)) + data, order)
    return found


def conversation(data, size=1400, start=1000, ends=ENDS):
    """Packets of one direction, from SYN to FIN."""
    found = [tcp(*ends, start, flags=SYN)]
    found += [tcp(*ends, start + 1 + at, data[at : at + size]) for at in range(0, len(data), size)]
    found.append(tcp(*ends, start + 1 + len(data), flags=FIN | ACK))
    return [ethernet(ipv4(*ends, segment)) for segment in found]
