"""After a fault of ours: keep what led to it, check the node, go on or exit (design 3)."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from pathlib import Path

from cluster_core.errors import LocalError
from cluster_core.inputs import AnyInput, Apply, Datagram, Opened, Received, Writable
from cluster_core.outputs import AnyOutput
from refserver.masks import FrameCutter, one_line, sip_text
from refserver.pump import Host
from tlib_proto.logtext import render

KEPT_INPUTS = 1_000
KEPT_BYTES = 8 * 1_048_576
MAX_FILES = 16
EXIT_STATUS = 70


class Recent:
    """The last inputs of a node, bounded in number and in bytes."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, AnyInput]] = deque()
        self._bytes = 0

    def saw_input(self, now: int, input: AnyInput) -> None:
        """Keep one more."""
        self._kept.append((now, input))
        self._bytes += _size(input)
        while len(self._kept) > KEPT_INPUTS or self._bytes > KEPT_BYTES:
            self._bytes -= _size(self._kept.popleft()[1])

    def saw_outputs(self, now: int, outputs: list[AnyOutput]) -> None:
        """Outputs are not kept: a node brings forth the same again."""

    def lines(self) -> list[str]:
        """The inputs as text for people: secrets and user data masked, so not for replay."""
        return [f"{now} {describe(input)}" for now, input in self._kept]


def _size(input: AnyInput) -> int:
    return len(input.data) if isinstance(input, Received | Datagram) else 0


def describe(input: AnyInput) -> str:
    """An input as text, masked."""
    match input:
        case Received():
            cutter = FrameCutter()
            parts = [f"Received(conn={input.conn}, {len(input.data)} bytes)"]
            for message in cutter.feed(input.data):
                parts.append(
                    f"[{message} bytes, not decoded]" if isinstance(message, int) else render(message)
                )
            return "\n".join(parts)
        case Datagram():
            return (
                f"Datagram({input.listener}, {input.source}, {len(input.data)} bytes)\n{sip_text(input.data)}"
            )
        case Apply():
            return f"Apply({len(input.changes)} changes)"
        case _:
            return one_line(repr(input))


class FaultDesk:
    """Receives the faults of all nodes of the process.

    `close(host, conn, why)` ends the stream that an input belonged to; `give_up(status)` ends the process.
    """

    def __init__(
        self, directory: Path, close: Callable[[Host, int, str], None], give_up: Callable[[int], None]
    ) -> None:
        self._directory = directory
        self._close = close
        self._give_up = give_up
        self._recent: dict[str, Recent] = {}
        self._files = 0

    def watch(self, node: str) -> Recent:
        """The watcher that keeps the inputs of a node."""
        return self._recent.setdefault(node, Recent())

    def fault(self, host: Host, input: AnyInput, error: BaseException) -> None:
        """A node raised: note it, check the node, close the stream of the input or give up."""
        if isinstance(error, LocalError):
            host.count_fault("refused input of ours")
            _say(f"refserver: {host.name}: {type(input).__name__}: {error}")
            return
        host.count_fault("fault")
        broken: BaseException | None = None
        try:
            host.node.check()
        except Exception as found:
            broken = found
        place = self._write(host, input, error, broken)
        _say(f"refserver: {host.name}: {type(error).__name__} at {type(input).__name__}; {place}")
        if broken is not None:
            _say(f"refserver: {host.name}: the node is not whole ({type(broken).__name__}); it ends")
            host.stop()
            self._give_up(EXIT_STATUS)
        elif isinstance(input, Opened | Received | Writable):
            self._close(host, input.conn, "fault")

    def _write(self, host: Host, input: AnyInput, error: BaseException, broken: BaseException | None) -> str:
        """Write the file of a fault; returns where it is, or why there is none."""
        self._files += 1
        if self._files > MAX_FILES:
            return f"no file after the first {MAX_FILES}"
        path = self._directory / f"fault-{host.name}-{os.getpid()}-{self._files}.txt"
        parts = [
            f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {host.name}, fault at {describe(input)}",
            "".join(traceback.format_exception(error)),
            "check: " + ("clean" if broken is None else "".join(traceback.format_exception(broken))),
            "the last inputs, secrets and user data masked:",
            *self.watch(host.name).lines(),
        ]
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write("\n".join(parts) + "\n")
        except OSError as failure:
            return f"its file could not be written: {failure.strerror}"
        return f"details in {path}"


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(one_line(text), file=sys.stderr, flush=True)
