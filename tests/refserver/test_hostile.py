"""What a stranger may send to any port of a real cluster: a clear answer or a closed stream, and the node goes on."""

import asyncio
import json
import socket
import struct
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import pytest

from refserver.addresses import split_address
from tlib_proto.attributes import Attribute
from tlib_proto.codec import decode
from tlib_proto.messages import MessageType

from .test_config import DEMO

PORTS = ("tlib", "iproxy", "tcontroller", "smartproxy")
MIB = 1_048_576
BYTES = {
    "half a frame and silence": b"\x00\x00\x00\x50\x01",
    "a length of 4 GiB": b"\xff\xff\xff\xff\x01\x00\x00\x00\x00\x00\x00\x01",
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "SIP": b"OPTIONS sip:x SIP/2.0\r\n\r\n",
    "an unknown message": struct.pack(">IBBHI", 12, 1, 0, 999, 1),
    "an event": struct.pack(">IBBHI", 12, 1, 0, int(MessageType.EventRinging), 1),
    "silence": b"",
}
DATAGRAMS = [
    b"",
    b"\r\n\r\n",
    b"INVITE",
    b"GET / HTTP/1.1\r\n\r\n",
    b"\xff" * 65_000,
    b"OPTIONS sip:x SIP/2.0\r\n",
    struct.pack(">I", 0xFFFFFFFF),
    b"INVITE sip:8000@x SIP/2.0\r\nContent-Length: 4294967296\r\n\r\n",
    b"INVITE sip:8000@x SIP/2.0\r\n" + b"X: y\r\n" * 5_000 + b"\r\n",
    b"FLY sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKq\r\nFrom: <sip:a@b>;tag=1\r\n"
    b"To: <sip:c@d>\r\nCall-ID: q\r\nCSeq: 1 FLY\r\n\r\n",
]


class Server:
    def __init__(self, process, ready):
        self.process = process
        self.control = ready["control"]
        self.member = ready["members"]["n1/a"]

    def address(self, port):
        return split_address(self.member[port])

    def resident(self) -> int:
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * 4096

    def status(self) -> dict:
        with urllib.request.urlopen(f"http://{self.control}/status", timeout=5) as answer:
            return json.load(answer)["n1/a"]

    def answers(self) -> bool:
        """Whether the SIP listener answers an OPTIONS."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            sock.bind(("127.0.0.1", 0))
            host, port = sock.getsockname()
            sock.sendto(options(f"{host}:{port}", "well"), self.address("sip"))
            return sock.recv(65_536).startswith(b"SIP/2.0 ")


def options(via: str, name: str) -> bytes:
    return (
        f"OPTIONS sip:n1 SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK{name}\r\nFrom: <sip:a@b>;tag=1\r\n"
        f"To: <sip:c@d>\r\nCall-ID: {name}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n\r\n"
    ).encode()


@contextmanager
def serving():
    command = [sys.executable, "-m", "refserver", "serve", str(DEMO), "--any-port", "-q"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Server(process, json.loads(process.stdout.readline()))
        finally:
            process.terminate()
            status = process.wait(15)
    assert status == 0


@pytest.fixture(scope="module")
def server():
    with serving() as made:
        yield made


async def said(address, data: bytes) -> bytes:
    """All that the server says until it closes the stream, which it does."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(data)
        async with asyncio.timeout(15):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.slow
def test_bytes_of_strangers_end_in_an_error_or_a_closed_stream(server):
    async def run():
        cases = [(port, what) for port in PORTS for what in BYTES]
        answers = await asyncio.gather(*(said(server.address(port), BYTES[what]) for port, what in cases))
        for (port, what), answer in zip(cases, answers, strict=True):
            if what in ("a length of 4 GiB", "an unknown message", "an event"):
                message = decode(answer)
                assert message.id == MessageType.EventError, (port, what)
                assert message.text(Attribute.ErrorMessage)
            else:
                assert answer == b"", (port, what)

    before = server.resident()
    asyncio.run(run())
    assert server.answers()
    assert server.resident() - before < 4 * MIB
    assert server.status()["faults"].get("fault") is None


@pytest.mark.slow
@pytest.mark.parametrize("port", PORTS)
def test_a_thousand_streams_are_borne_and_forgotten(server, port):
    async def run():
        base = server.status()["connections"]
        streams = await asyncio.gather(*(asyncio.open_connection(*server.address(port)) for _ in range(1_000)))
        assert await asyncio.to_thread(server.answers)
        for _, writer in streams:
            writer.transport.abort()
        async with asyncio.timeout(10):
            while (await asyncio.to_thread(server.status))["connections"] > base:
                await asyncio.sleep(0.02)

    before = server.resident()
    asyncio.run(run())
    assert server.resident() - before < 16 * MIB


@pytest.mark.slow
def test_datagrams_of_strangers_leave_the_node_well(server):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for data in DATAGRAMS:
            sock.sendto(data, server.address("sip"))
        for number in range(1_000):
            sock.sendto(options("127.0.0.1:9", str(number)), server.address("sip"))
    assert server.answers()
    assert server.status()["faults"].get("fault") is None
