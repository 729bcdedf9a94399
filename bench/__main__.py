"""`make bench`: calls per CPU-second of the server beside sippy's B2BUA, interleaved in one run.

SIPp calls and SIPp answers; the server between them is measured by its own CPU clock, so that neighbours on the
machine matter less. Each call is whole: INVITE, 180, 200, ACK, BYE on both legs. Ours also sends every T-Event to a
program that registered the called DN, and to reporting. Only the ratio is worth quoting.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cluster_core.rights import hash_secret
from refserver.client import connect

HERE = Path(__file__).parent
SERVE = [sys.executable, "-m", "refserver", "serve"]
TICKS = os.sysconf("SC_CLK_TCK")
CONFIG = """
[cluster]
name = "bench"
realm = "bench.example"
[[node]]
name = "n1"
number = 1
[[node.member]]
name = "a"
sip-port = "127.0.0.1:0"
port = "127.0.0.1:0"
IPport = "127.0.0.1:0"
TCport = "127.0.0.1:0"
SmartProxy = "127.0.0.1:0"
[dn."cluster"]
type = "VoIP Service"
service-type = "sip-cluster-nodes"
dn-owner-applications = ["bench"]
smart-proxy-enabled = true
[dn."7001"]
type = "Extension"
contact = "sip:7001@127.0.0.1:{callee}"
[[client]]
name = "bench"
role = "desktop"
secret = "{secret}"
"""


def free_port() -> int:
    """A UDP port that nobody has just now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_s(pid: int) -> float:
    """CPU seconds, user and system, that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def running(
    command: list[str], cwd: str, stdout: int | None = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is stopped at the end."""
    environment = {**os.environ, "SIPLOG_BEND": "none", "SIPLOG_LVL": "CRIT"}
    process = subprocess.Popen(
        command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.DEVNULL, env=environment
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_port(port: int) -> None:
    """Wait until a UDP port of loopback is taken."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return
        time.sleep(0.02)
    raise SystemExit(f"nothing opened UDP port {port}")


def sipp_calls(target: int, rate: int, calls: int, cwd: str) -> int:
    """Place calls through a target at a rate; returns how many succeeded."""
    port, statistics_file = free_port(), Path(cwd) / f"calls{time.monotonic_ns()}.csv"
    subprocess.run(
        [
            "sipp", f"127.0.0.1:{target}", "-sf", str(HERE / "scenarios/caller.xml"), "-s", "7001",
            "-i", "127.0.0.1", "-mi", "127.0.0.1", "-p", str(port), "-t", "u1", "-r", str(rate), "-m", str(calls),
            "-d", "0", "-trace_stat", "-stf", str(statistics_file), "-fd", "1", "-nostdin",
            "-default_behaviors", "all,-abortunexp", "-buff_size", "4194304", "-recv_timeout", "8000",
            "-timeout", str(calls // rate + 30),
        ],
        cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    rows = list(csv.reader(statistics_file.open(), delimiter=";"))
    return int(rows[-1][rows[0].index("SuccessfulCall(C)")])


def callee(port: int) -> list[str]:
    """The command of a phone that answers everything."""
    return [
        "sipp", "-sf", str(HERE / "scenarios/callee.xml"), "-i", "127.0.0.1", "-mi", "127.0.0.1", "-p", str(port),
        "-t", "u1", "-nostdin", "-nr", "-default_behaviors", "all,-abortunexp", "-buff_size", "4194304",
    ]  # fmt: skip


async def watch(ready: dict[str, dict[str, dict[str, str]]], stop: asyncio.Event, heard: list[int]) -> None:
    """A desktop that owns the called DN, and a reporting client: they read every event."""
    member = ready["members"]["n1/a"]

    async def read(key: str, application: str, role: str, secret: str) -> None:
        host, port = member[key].rsplit(":", 1)
        async with await connect(host, int(port), application=application, role=role, secret=secret) as client:
            if role == "desktop":
                await client.register_address("7001")
                heard.append(0)
            reader = asyncio.ensure_future(_count(client.events(), heard))
            await stop.wait()
            reader.cancel()

    await asyncio.gather(
        read("tcontroller", "bench", "desktop", "demo"), read("iproxy", "reporting", "reporting", "")
    )


async def _count(events: object, heard: list[int]) -> None:
    async for _ in events:  # type: ignore[attr-defined]
        heard[0] += 1


def measure(name: str, target: int, pid: int, rate: int, calls: int, cwd: str) -> float | None:
    """Calls per CPU-second of one round; None when calls were lost."""
    before = cpu_s(pid)
    good = sipp_calls(target, rate, calls, cwd)
    used = cpu_s(pid) - before
    rate_text = f"{used:.2f} CPU-s, {good / used:.0f} calls per CPU-s"
    print(f"  {name}: {good} of {calls} calls at {rate}/s, {rate_text}", flush=True)
    return good / used if good >= 0.999 * calls else None


def ours(stack: ExitStack, cwd: str, port: int) -> tuple[int, int, list[int]]:
    """Start the server with its watching programs; returns its SIP port, its process and what they have heard."""
    config = Path(cwd) / "bench.toml"
    config.write_text(CONFIG.format(callee=port, secret=hash_secret("demo", bytes(16))))
    server = stack.enter_context(
        running([*SERVE, str(config), "-q", *os.environ.get("BENCH_SERVE", "").split()], os.getcwd(), subprocess.PIPE)
    )
    assert server.stdout is not None
    ready = json.loads(server.stdout.readline())
    heard: list[int] = []
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(watch(ready, stop, heard),), daemon=True)
    thread.start()
    stack.callback(lambda: (loop.call_soon_threadsafe(stop.set), thread.join(5)))
    while not heard:
        time.sleep(0.02)
    return int(ready["members"]["n1/a"]["sip"].rsplit(":", 1)[1]), server.pid, heard


def main() -> int:
    """Measure, print the ratio; 0 unless a run lost calls."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--rate", type=int, default=300, help="calls per second through our server")
    parser.add_argument("--peer-rate", type=int, default=80, help="calls per second through the peer")
    options = parser.parse_args()
    if shutil.which("sipp") is None:
        print("bench needs SIPp (Debian: sip-tester)", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as cwd, ExitStack() as stack:
        peer_callee, our_callee, peer_port = free_port(), free_port(), free_port()
        for port in (peer_callee, our_callee):
            stack.enter_context(running(callee(port), cwd))
            wait_for_port(port)
        our_port, our_pid, heard = ours(stack, cwd, our_callee)
        command = [sys.executable, "-m", "sippy.b2bua_simple", "-f", "-l", "127.0.0.1", "-p", str(peer_port)]
        peer = stack.enter_context(running([*command, "-n", f"127.0.0.1:{peer_callee}"], cwd))
        wait_for_port(peer_port)
        ratios, mine = [], []
        for number in range(1, options.rounds + 1):
            print(f"round {number}")
            peer_calls, our_calls = options.peer_rate * options.seconds, options.rate * options.seconds
            theirs = measure("sippy  ", peer_port, peer.pid, options.peer_rate, peer_calls, cwd)
            own = measure("server ", our_port, our_pid, options.rate, our_calls, cwd)
            if theirs and own:
                ratios.append(own / theirs)
                mine.append(own)
        if not ratios:
            print("no round without lost calls", file=sys.stderr)
            return 1
        print(
            f"calls per CPU-second: {statistics.median(mine):.0f} (min {min(mine):.0f}, max {max(mine):.0f}), "
            f"{statistics.median(ratios):.1f} times sippy's B2BUA (min {min(ratios):.1f}, max {max(ratios):.1f}; "
            f"{len(ratios)} rounds); T-Events heard: {heard[0]}"
        )
    return 0


sys.exit(main())
