"""SIP over TCP and TLS at a real server: one port for UDP and TCP, a port with a certificate for TLS."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.live.cluster import cluster_text, run, running

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
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=127.0.0.1",
            "-addext", "subjectAltName=IP:127.0.0.1",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    text = cluster_text().replace(
        'sip-port = "127.0.0.1:0"\n',
        f'sip-port = "127.0.0.1:0"\nsip-port-tls = "127.0.0.1:0"\ncertificate = "{certificate}"\n'
        f'certificate-key = "{key}"\n',
    )

    async def body() -> None:
        async with running(tmp_path, text=text) as cluster:
            context = ssl.create_default_context(cafile=certificate)
            reader, writer = await asyncio.open_connection(*cluster.address("n1", "sip_tls"), ssl=context)
            await asked(reader, writer, "TLS")
            writer.close()

    run(body)
