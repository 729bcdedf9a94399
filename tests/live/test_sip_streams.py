"""SIP over TCP and TLS at a real server: one port for UDP and TCP, a port with a certificate for TLS."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from tests.certificates import self_signed
from tests.live.cluster import run, running, tls_text

OPTIONS = (
    "OPTIONS sip:n1@{0} SIP/2.0\r\nVia: SIP/2.0/{1} 127.0.0.1:9;branch=z9hG4bK{2};rport\r\n"
    "From: <sip:probe@x>;tag=1\r\nTo: <sip:n1@{0}>\r\nCall-ID: {2}\r\nCSeq: 1 OPTIONS\r\n"
    "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)


async def answer(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(5):
        return await reader.readuntil(b"\r\n\r\n")


async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, transport: str) -> None:
    """Several requests on one stream: apart, together, and cut in the middle, with a keep-alive between."""
    texts = [OPTIONS.format("127.0.0.1", transport, f"a{n}").encode() for n in range(4)]
    writer.write(texts[0])
    assert (await answer(reader)).startswith(b"SIP/2.0 200 ")
    writer.write(b"\r\n\r\n")
    async with asyncio.timeout(5):
        assert await reader.readexactly(2) == b"\r\n"
    writer.write(texts[1] + texts[2] + texts[3][:50])
    assert b"a1" in await answer(reader)
    assert b"a2" in await answer(reader)
    writer.write(texts[3][50:])
    assert b"a3" in await answer(reader)


def test_requests_on_a_tcp_stream_are_answered_on_it(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(tmp_path) as cluster:
            reader, writer = await asyncio.open_connection(*cluster.address("n1", "sip"))
            await asked(reader, writer, "TCP")
            writer.close()

    run(body)


@pytest.mark.peer("openssl")
def test_requests_under_tls_are_answered(tmp_path: Path) -> None:
    pair = self_signed(tmp_path)

    async def body() -> None:
        async with running(tmp_path, text=tls_text(pair)) as cluster:
            context = ssl.create_default_context(cafile=pair.certificate)
            reader, writer = await asyncio.open_connection(*cluster.address("n1", "sip_tls"), ssl=context)
            await asked(reader, writer, "TLS")
            writer.close()

    run(body)
