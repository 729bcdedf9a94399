"""A name server on loopback that says what it was told to, and nothing about any other name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

SOA = "ns.test. root.test. 1 3600 600 86400 30"


class DnsServer(asyncio.DatagramProtocol):
    """Records by name and kind, as lines of a zone; a kind of `silent` is not answered at all."""

    def __init__(self, zone: dict[tuple[str, str], list[str]]) -> None:
        self.zone = zone
        self.silent: list[str] = []
        self.refused: list[str] = []
        self.asked: list[tuple[str, str]] = []
        self.address = ("", 0)
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.address = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: Any) -> None:
        query = dns.message.from_wire(data)
        (question,) = query.question
        name, kind = question.name.to_text(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if kind in self.silent:
            return
        response = dns.message.make_response(query, recursion_available=True)
        lines = self.zone.get((name, kind), [])
        if kind in self.refused:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif lines:
            response.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *lines))
        else:
            if not any(known == name for known, _ in self.zone):
                response.set_rcode(dns.rcode.NXDOMAIN)
            response.authority.append(dns.rrset.from_text("test.", 300, "IN", "SOA", SOA))
        self._transport.sendto(response.to_wire(), addr)


@asynccontextmanager
async def serving(zone: dict[tuple[str, str], list[str]]) -> AsyncIterator[DnsServer]:
    """A name server for as long as the block."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: DnsServer(zone), ("127.0.0.1", 0))
    try:
        yield server
    finally:
        transport.close()
