"""The messages of RFC 4475 and 5118 at a real server, over UDP and TCP: each is answered, and the server stays well.

They are read from the folder that SIP_TORTURE names; without it the run says so.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.live.cluster import Cluster, run, running

FOLDER = os.environ.get("SIP_TORTURE", "")
VIA_PORT = re.compile(rb"(?im)^(?:via|v)\s*:\s*SIP\s*/\s*[\d.]+\s*/\s*\w+\s+[^;\r\n]*?:\s*(\d+)\s*(?:[;\r\n])")
# What a stream cannot tell from a message that is still on its way; the stream is closed after a while.
UNFINISHED = ("clerr", "baddn")
CLIENT = "127.0.0.2"


def messages() -> list[dict[str, Any]]:
    """The requests that the RFC wants answered."""
    entries = json.loads((Path(FOLDER) / "index.json").read_text())
    return [e for e in entries if e["kind"] == "request" and e["status"] and e["name"] != "test"]


async def final(read: Any) -> int:
    """The status of the first final response."""
    async with asyncio.timeout(5):
        while True:
            line = await read()
            found = re.match(rb"SIP/2.0 ([0-9]{3}) ", line)
            if found and int(found[1]) >= 200:
                return int(found[1])
            if not line:
                return 0


async def by_udp(address: tuple[str, int], data: bytes) -> int:
    """Responses go to the port of the Via: the message is sent from another loopback address with that port."""
    loop = asyncio.get_running_loop()
    port = VIA_PORT.search(data)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind((CLIENT, int(port[1]) if port else 5060))
        await loop.sock_sendto(sock, data, address)
        return await final(lambda: loop.sock_recv(sock, 65_535))


async def by_tcp(address: tuple[str, int], data: bytes) -> int:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(data)
    try:
        return await final(reader.readline)
    finally:
        writer.close()


def fits(entry: dict[str, Any], status: int) -> bool:
    wanted = entry["status"]
    return status > 0 and ("any" in wanted or str(status) in wanted)


async def well(cluster: Cluster) -> None:
    phone = await cluster.phone("1001", "n1")
    await phone.aclose()


@pytest.mark.torture
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_every_request_gets_the_answer_that_the_rfc_names(tmp_path: Path, transport: str) -> None:
    if transport == "udp" and not Path("/proc/net/route").exists():
        return  # only Linux has every address of 127.0.0.0/8
    wrong: list[str] = []

    async def body() -> None:
        async with running(tmp_path) as cluster:
            address = cluster.address("n1", "sip")
            send = by_udp if transport == "udp" else by_tcp
            for entry in messages():
                if transport == "tcp" and entry["name"] in UNFINISHED:
                    continue
                data = (Path(FOLDER) / entry["file"]).read_bytes()
                try:
                    status = await send(address, data)
                except TimeoutError:
                    status = 0
                if not fits(entry, status):
                    wrong.append(f"{entry['suite']} {entry['name']}: {status}, expected {entry['status']}")
            await well(cluster)

    run(body)
    assert not wrong, "\n".join(wrong)
