"""`make bench`: SIP messages parsed, read and written beside sippy, sipmessage and aiosip, interleaved in one run.

Each round times every library one after the other on the same INVITE of 792 bytes, and compares within the round, so
that neighbours on the machine matter less. Only ratios are worth quoting. `keys` is parse and what a transaction is
found by (Call-ID, both tags, CSeq, branch); `typed` is parse and From, To, Contact, Via, with their URIs, as values.
The package is measured a second time as mypyc builds it, from the same sources, in a temporary directory. A library
that is not installed, or does not import, is left out and named.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import collections.abc
import gc
import importlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MESSAGE = (
    b"INVITE sip:2001@192.0.2.10:5060;transport=udp SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-524287-1---4f2a8c1d9e3b7a60;rport\r\n"
    b"Max-Forwards: 70\r\n"
    b"Contact: <sip:1001@192.0.2.1:5060;transport=udp>\r\n"
    b"To: <sip:2001@example.com>\r\n"
    b'From: "Alice Example" <sip:1001@example.com>;tag=a1b2c3d4\r\n'
    b"Call-ID: 84b4c76e66710a5f@192.0.2.1\r\n"
    b"CSeq: 314159 INVITE\r\n"
    b"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, REFER, NOTIFY, INFO, UPDATE\r\n"
    b"Supported: replaces, timer\r\n"
    b"User-Agent: ExamplePhone/1.2.3\r\n"
    b"Date: Sun, 22 Nov 2026 19:14:20 GMT\r\n"
    b"Content-Type: application/sdp\r\n"
    b"Content-Length: 220\r\n"
    b"\r\n"
    b"v=0\r\no=- 13374 13374 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    b"m=audio 49172 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=rtcp:9\r\na=sendrecv\r\n"
)
WORK = ("parse", "keys", "typed", "write")
TARGETS = {("sippy", "parse"): 4.0, ("sippy", "keys"): 6.0}
# The modules that a message passes through; what they import besides stays Python.
COMPILED = ("errors", "uri", "headers", "values", "values_address", "values_event", "values_media", "fields", "message")
Call = Callable[[], object]


def ours() -> dict[str, Call]:
    from sip_proto import parse, parse_uri

    def keys() -> object:
        return parse(MESSAGE).keys()

    def typed() -> object:
        message = parse(MESSAGE)
        contact = message.contact
        assert contact is not None
        uris = parse_uri(message.from_.uri), parse_uri(message.to.uri), parse_uri(contact.uri)
        return uris, message.via, message.cseq

    parsed = parse(MESSAGE)
    assert parsed.to_bytes() == MESSAGE
    return {"parse": lambda: parse(MESSAGE), "keys": keys, "typed": typed, "write": parsed.to_bytes}


def sippy() -> dict[str, Call]:
    request = importlib.import_module("sippy.SipRequest").SipRequest
    text = MESSAGE.decode()

    def typed() -> object:
        message = request(text)
        found = [message.getHFBody(name).getUrl() for name in ("from", "to", "contact")]
        return found, message.getHFBody("via").getBranch(), message.getHFBody("cseq").getCSeq()

    parsed = request(text)
    return {
        "parse": lambda: request(text),
        "keys": lambda: request(text).getTId(True, True, True),
        "typed": typed,
        "write": lambda: str(parsed).encode(),
    }


def sipmessage() -> dict[str, Call]:
    read = importlib.import_module("sipmessage").Message.parse

    def keys() -> object:
        message = read(MESSAGE)
        origin, target = message.from_address.parameters, message.to_address.parameters
        branch = message.via[0].parameters.get("branch")
        return message.call_id, origin.get("tag"), target.get("tag"), message.cseq, branch

    def typed() -> object:
        message = read(MESSAGE)
        uris = message.from_address.uri, message.to_address.uri, message.contact[0].uri
        return uris, message.via, message.cseq

    parsed = read(MESSAGE)
    return {"parse": lambda: read(MESSAGE), "keys": keys, "typed": typed, "write": lambda: bytes(parsed)}


def aiosip() -> dict[str, Call]:
    # It was written for Python 3.5: two names that are gone since are put back.
    had = [(asyncio, "coroutine", types.coroutine), (collections, "MutableMapping", collections.abc.MutableMapping)]
    for module, name, value in had:
        if not hasattr(module, name):
            setattr(module, name, value)
    message = importlib.import_module("aiosip.message").Message
    text = MESSAGE.decode()
    read = message.from_raw_message

    def keys() -> object:
        found = read(text)
        details = found.from_details, found.to_details
        return found.headers["Call-ID"], details, found.cseq, found.method, found.headers["Via"]

    parsed = read(text)
    return {
        "parse": lambda: read(text),
        "keys": keys,
        "typed": lambda: (read(text).from_details, read(text).to_details),
        "write": lambda: str(parsed).encode(),
    }


def seconds(call: Call, count: int) -> float:
    """Seconds of one call: the best of three batches; garbage collection goes on, as in a server."""
    best = 1e9
    gc.collect()
    for _ in range(3):
        start = time.perf_counter()
        for _ in range(count):
            call()
        best = min(best, time.perf_counter() - start)
    return best / count


def worker() -> None:
    """Time our work once for each line that comes; the other end of `compiled`."""
    calls = ours()
    for line in sys.stdin:
        count = int(line)
        print(json.dumps({name: seconds(call, count) for name, call in calls.items()}), flush=True)


@contextmanager
def compiled() -> Iterator[Callable[[int], dict[str, float]] | str]:
    """The package as mypyc builds it, in a process of its own; else why not."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        shutil.copytree(ROOT / "sip_proto", place / "sip_proto", ignore=shutil.ignore_patterns("__pycache__"))
        modules = [f"sip_proto/{name}.py" for name in (*COMPILED, "parser")]
        command = [sys.executable, "-m", "mypyc", "--follow-imports=silent", *modules]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            yield f"mypyc: {(done.stdout + done.stderr).strip().splitlines()[-1]}"
            return
        code = (
            f"import sys; sys.path[:0] = [{folder!r}]; sys.path.append({str(ROOT)!r}); import sip_proto.parser; "
            "assert not sip_proto.parser.__file__.endswith('.py'); from bench.parse import worker; worker()"
        )
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder
        )
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def measure(count: int) -> dict[str, float]:
            stdin.write(f"{count}\n")
            stdin.flush()
            found: dict[str, float] = json.loads(stdout.readline())
            return found

        try:
            yield measure
        finally:
            stdin.close()
            stdout.close()
            process.wait()


def transaction_pair_us() -> float:
    """Microseconds of an OPTIONS between two endpoints: both transactions, messages built and read, timers run out."""
    from sip_proto import Endpoint, EndpointSettings, Requested, Transmit

    one = Endpoint(EndpointSettings(listeners={"udp": ("192.0.2.1", 5060)}), b"one")
    two = Endpoint(EndpointSettings(listeners={"udp": ("192.0.2.2", 5060)}), b"two")
    now = 0

    def pair() -> None:
        nonlocal now
        out: list[Any] = []
        now += 1_000
        one.request(
            now,
            out,
            listener="udp",
            destination=("192.0.2.2", 5060),
            method="OPTIONS",
            uri="sip:two@192.0.2.2",
            from_="<sip:one@192.0.2.1>",
            to="<sip:two@192.0.2.2>",
        )
        heard: list[Any] = []
        two.receive_datagram(now, "udp", ("192.0.2.1", 5060), out[0].data, heard)
        asked = next(record for record in heard if isinstance(record, Requested))
        said: list[Any] = []
        two.respond(now, asked.handle, 200, said)
        answer = next(record for record in said if isinstance(record, Transmit))
        one.receive_datagram(now, "udp", ("192.0.2.2", 5060), answer.data, out)
        for end in (one, two):
            end.handle_timeout(now, out)

    return seconds(pair, 500) * 1e6


def idle_dialog_bytes() -> float:
    """Bytes that an endpoint keeps for a call that is up and silent, by tracemalloc."""
    from sip_proto import Endpoint, EndpointSettings, Invited, Transmit

    end = Endpoint(EndpointSettings(listeners={"udp": ("192.0.2.2", 5060)}), b"two")
    count = 1_000
    now = 0

    def call(number: int) -> None:
        nonlocal now
        now += 1_000
        text = MESSAGE.replace(b"84b4c76e66710a5f", b"%016x" % number).replace(b"4f2a8c1d9e3b7a60", b"%016x" % number)
        out: list[Any] = []
        end.receive_datagram(now, "udp", ("192.0.2.1", 5060), text, out)
        leg = next(record for record in out if isinstance(record, Invited)).leg
        out = []
        end.accept(now, leg, out, body=b"v=0\r\n")
        sent = next(record for record in out if isinstance(record, Transmit)).data
        to = next(line for line in sent.split(b"\r\n") if line.startswith(b"To:"))
        ack = text.replace(b"INVITE", b"ACK").replace(b"To: <sip:2001@example.com>", to).replace(b"---", b"-a-")
        end.receive_datagram(now, "udp", ("192.0.2.1", 5060), ack, [])

    def settle() -> None:
        # Transactions are over after a minute; the session timers go on.
        nonlocal now
        until_us = now + 65_000_000
        while (at := end.next_deadline()) is not None and at <= until_us:
            now = max(now, at)
            end.handle_timeout(now, [])
        assert not end.counts()["servers"]

    call(count)
    settle()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(count):
        call(number)
    settle()
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert end.counts()["legs"] == count + 1
    return (after - before) / count


def main() -> int:
    """Measure and print the ratios; 1 when one that is aimed at is missed and --strict was given."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--count", type=int, default=300, help="calls of each work in a round")
    parser.add_argument("--strict", action="store_true")
    options = parser.parse_args()
    assert len(MESSAGE) == 792
    calls = {"sip_proto": ours()}
    for library in (sippy, sipmessage, aiosip):
        try:
            calls[library.__name__] = {name: call for name, call in library().items() if call() is not None}
        except Exception as error:
            print(f"{library.__name__} is left out: {type(error).__name__}: {error}")
    with compiled() as measure:
        if isinstance(measure, str):
            print(f"the compiled package is left out: {measure}")
        rounds: list[dict[str, dict[str, float]]] = []
        for _ in range(options.rounds):
            found = {name: {w: seconds(call, options.count) for w, call in c.items()} for name, c in calls.items()}
            if not isinstance(measure, str):
                found["by mypyc"] = measure(options.count)
            rounds.append(found)
    missed = report(rounds)
    print(f"a pair of transactions (OPTIONS, both ends): {transaction_pair_us():.0f} us")
    print(f"an idle dialog: {idle_dialog_bytes():.0f} bytes")
    return 1 if missed and options.strict else 0


def report(rounds: list[dict[str, dict[str, float]]]) -> bool:
    """Print a table of medians; whether a ratio that is aimed at was missed."""
    missed = False
    print(f"{'':14}" + "".join(f"{name:>34}" for name in WORK))
    for name in rounds[0]:
        cells = []
        for work in WORK:
            took = statistics.median(found[name][work] for found in rounds) * 1e6
            ratios = sorted(found[name][work] / found["sip_proto"][work] for found in rounds)
            ratio = statistics.median(ratios)
            cells.append(f"{took:9.1f} us x{ratio:5.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})")
            if (aim := TARGETS.get((name, work))) is not None and ratio < aim:
                print(f"missed: {name} takes {ratio:.2f} times ours to {work}, aimed at {aim}", file=sys.stderr)
                missed = True
        print(f"{name:14}" + "".join(f"{cell:>34}" for cell in cells))
    print("x: time in terms of sip_proto's, median of rounds (least-most)")
    return missed


if __name__ == "__main__":
    sys.exit(main())
