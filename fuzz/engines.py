"""Two ways to make inputs: atheris, led by coverage, and Hypothesis where atheris does not install."""

import gc
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from fuzz.target import CORPUS, Target

LONGEST = 4_096
SIZE = 16_384
GROWTH = 2.5
_DONE = re.compile(rb"Done ([0-9]+) runs in ([0-9]+) second")
_EDGES = re.compile(rb"cov: ([0-9]+) ft: ([0-9]+)")


class Ran(NamedTuple):
    """What a run of an engine came to; `found` are inputs worth keeping."""

    engine: str
    runs: int
    seconds: float
    edges: str
    found: list[bytes]


def best_engine() -> str:
    """`atheris` where it is installed, else `hypothesis`."""
    return "atheris" if find_spec("atheris") is not None else "hypothesis"


def run(target: Target, engine: str, runs: int, number: int) -> Ran:
    """Give `check` that many inputs; whatever it raises leaves here, or ends as SystemExit with the input shown."""
    return _atheris(target, runs, number) if engine == "atheris" else _hypothesis(target, runs, number)


def _hypothesis(target: Target, runs: int, number: int) -> Ran:
    start = time.perf_counter()
    check = target.check
    for data in target.seeds():
        check(data)
    kept: list[bytes] = []
    every = max(1, runs // 1_000)
    edits = st.lists(
        st.tuples(
            st.integers(0, LONGEST),
            st.integers(0, 16),
            st.one_of(st.binary(max_size=16), st.sampled_from((*target.words, b"\x00", b'"', b"<", b"\xff", b"%"))),
            st.integers(1, 40),
        ),
        max_size=8,
    )

    @seed(number)
    @settings(max_examples=runs, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from([b"", *target.seeds()]), edits)
    def all_of(first: bytes, changes: list[tuple[int, int, bytes, int]]) -> None:
        data = first
        for at, cut, put, times in changes:
            at %= len(data) + 1
            data = (data[:at] + put * times + data[at + cut :])[:LONGEST]
        count[0] += 1
        if count[0] % every == 0:
            kept.append(data)
        check(data)

    count = [0]
    all_of()
    return Ran("Hypothesis", runs, time.perf_counter() - start, "", kept)


def _atheris(target: Target, runs: int, number: int) -> Ran:
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "kept"
        kept.mkdir()
        words = Path(folder) / "words"
        words.write_text("".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in target.words))
        command = [sys.executable, "-m", "fuzz.led", target.name, str(kept), str(CORPUS / target.name)]
        command += [f"-runs={runs}", f"-seed={number}", f"-max_len={LONGEST}", f"-dict={words}"]
        command += [f"-artifact_prefix={folder}/", "-timeout=10", "-rss_limit_mb=4096"]
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True)
        seconds = time.perf_counter() - start
        if done.returncode:
            sys.stderr.buffer.write(done.stdout[-4000:] + done.stderr[-4000:])
            for path in Path(folder).glob("*-*"):
                if path.is_file():
                    print(f"{path.name}: {path.read_bytes()!r}", file=sys.stderr)
            raise SystemExit(1)
        ended = _DONE.search(done.stderr)
        edges = _EDGES.findall(done.stderr)
        found = [path.read_bytes() for path in sorted(kept.iterdir())]
    return Ran("atheris", int(ended[1]) if ended else runs, seconds, edges[-1][0].decode() if edges else "", found)


def coverage_of(target: Target, inputs: list[bytes]) -> str:
    """Branch coverage of the target's modules by these inputs, in a new process; empty without coverage.py."""
    if find_spec("coverage") is None:
        return ""
    with tempfile.TemporaryDirectory() as folder:
        for at, data in enumerate(inputs):
            (Path(folder) / str(at)).write_bytes(data)
        command = [sys.executable, "-m", "fuzz.covered", target.name, folder]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def grown(target: Target, inputs: list[bytes], number: int) -> list[str]:
    """Inputs with a part repeated for which twice the size took more than 2.5 times the time, in words."""
    dice = random.Random(number)
    offences = []
    for data in inputs:
        for _ in range(3):
            start = dice.randrange(len(data) + 1)
            stop = min(len(data), start + dice.choice((1, 2, 3, 8, 40)))
            word = dice.choice((data[start:stop], *target.words)) or b" "
            tail = data[start:]

            def of_size(size: int, head: bytes = data[:start], word: bytes = word, tail: bytes = tail) -> bytes:
                return head + word * (size // len(word)) + tail

            # Neighbours on the machine may slow one measurement: only what is slow each time is an offence.
            if all(_too_slow(target.read, of_size) for _ in range(4)):
                offences.append(f"{data[:start]!r} + {word!r} * n + {tail!r}")
    return offences


def _too_slow(read: Callable[[bytes], object], of_size: Callable[[int], bytes]) -> bool:
    one, two = _seconds(read, of_size(SIZE)), _seconds(read, of_size(2 * SIZE))
    # Below a third of a millisecond the clock says more than the reader.
    if two < 0.000_3 or two / one < GROWTH:
        return False
    if two > 0.5:
        return True
    sizes = [of_size(SIZE), of_size(8 * SIZE)]
    rounds = [[_seconds(read, data) for data in sizes] for _ in range(5)]
    return min(large for _, large in rounds) / min(small for small, _ in rounds) > GROWTH**3


def _seconds(read: Callable[[bytes], object], data: bytes) -> float:
    best = 1e9
    # Collections of garbage come in jumps, and are not the reader's.
    gc.disable()
    for _ in range(3):
        start = time.process_time()
        with suppress(ValueError):
            read(data)
        best = min(best, time.process_time() - start)
    gc.enable()
    return best
