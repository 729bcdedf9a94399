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
        # The called phone may still be starting: a call that finds nobody is made again.
        for _ in range(50):
            caller = ended(start(name, "call", port))
            if caller != "failed: 503":
                break
        assert caller == "hung up"
        assert ended(called) == "bye"
    finally:
        called.kill()
        called.communicate()


def test_a_call_to_nobody_fails() -> None:
    assert ended(start("sip_tcp.py", "call", free_port(socket.SOCK_STREAM))) == "failed: 503"
