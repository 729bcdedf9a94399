"""The examples of the integrator's page: two phones of each, in processes of their own, talk to each other."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import sip_proto

EXAMPLES = Path(__file__).parents[2] / "examples"


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(name: str, role: str, port: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(EXAMPLES / name), role, "127.0.0.1", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Wherever the package is tested from.
        env={**os.environ, "PYTHONPATH": str(Path(sip_proto.__file__).parents[1])},
    )


def ended(phone: subprocess.Popen[str]) -> str:
    out, err = phone.communicate(timeout=30)
    assert err == ""
    assert phone.returncode == 0
    return out.splitlines()[-1]


@pytest.mark.parametrize(("name", "kind"), [("sip_udp.py", socket.SOCK_DGRAM), ("sip_tcp.py", socket.SOCK_STREAM)])
def test_one_phone_calls_the_other(name: str, kind: socket.SocketKind) -> None:
    port = free_port(kind)
    called = start(name, "listen", port)
    try:
        assert called.stdout is not None
        assert called.stdout.readline() == "listening\n"
        assert ended(start(name, "call", port)) == "hung up"
        assert ended(called) == "bye"
    finally:
        called.kill()
        called.communicate()


def asked(method: str, number: int, kind: str = "", body: str = "") -> bytes:
    """A request of a stranger in a dialog of its own."""
    more = f"Content-Type: {kind}\r\n" if kind else ""
    return (
        f"{method} sip:bob@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK{number};rport\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:odd@example.org>;tag=o\r\nTo: <sip:bob@example.org>\r\n"
        f"Call-ID: odd-{number}\r\nCSeq: 1 {method}\r\nContact: <sip:odd@127.0.0.1:9>\r\n{more}"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


ODD = [
    (asked("INVITE", 1, "application/sdp", "garbage"), 488),
    (asked("INVITE", 2, "application/sdp", "v=0\r\nm=audio z\r\n"), 488),
    (asked("INVITE", 3, "text/plain", "hello"), 415),
    (asked("BYE", 4), 481),
    (asked("INFO", 5), 481),
    (asked("FLY", 6), 501),
]


def finals(text: str) -> list[int]:
    """The final statuses among responses."""
    found = [int(line.split()[1]) for line in text.split("\r\n") if line.startswith("SIP/2.0 ")]
    return [status for status in found if status >= 200]


@pytest.mark.parametrize(("name", "kind"), [("sip_udp.py", socket.SOCK_DGRAM), ("sip_tcp.py", socket.SOCK_STREAM)])
def test_odd_requests_are_refused_and_lose_nothing(name: str, kind: socket.SocketKind) -> None:
    port = free_port(kind)
    called = start(name, "listen", port)
    try:
        assert called.stdout is not None
        assert called.stdout.readline() == "listening\n"
        for data, status in ODD:
            assert answers(kind, port, data) == [status]
        # Two calls, whose ends both are told.
        callers = [start(name, "call", port) for _ in range(2)]
        assert [ended(caller) for caller in callers] == ["hung up", "hung up"]
        assert ended(called) == "bye"
    finally:
        called.kill()
        called.communicate()


def answers(kind: socket.SocketKind, port: int, data: bytes) -> list[int]:
    """The final statuses that a request gets."""
    with socket.socket(socket.AF_INET, kind) as peer:
        peer.settimeout(10)
        peer.connect(("127.0.0.1", port))
        peer.sendall(data)
        text = ""
        while not finals(text):
            text += peer.recv(65_536).decode()
        return finals(text)


def test_a_call_to_nobody_fails() -> None:
    assert ended(start("sip_tcp.py", "call", free_port(socket.SOCK_STREAM))) == "failed: 503"
