"""The pump: feeds a node one input at a time, performs its outputs in order, keeps one timer (design 3).

A node is never entered while it works: what comes meanwhile waits in a queue.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from cluster_core.inputs import AnyInput, Opened, Received, Timeout, Writable
from cluster_core.outputs import AnyOutput

MAX_FAULT_KINDS = 256


class Node(Protocol):
    """What the pump needs of a `ClusterNode`."""

    def handle(self, now: int, input: AnyInput, out: list[AnyOutput]) -> None: ...
    def next_deadline(self) -> int | None: ...
    def check(self) -> None: ...
    def status(self) -> dict[str, object]: ...


class Watcher(Protocol):
    """Whoever sees what goes in and what comes out: logs, journal."""

    def saw_input(self, now: int, input: AnyInput) -> None: ...
    def saw_outputs(self, now: int, outputs: list[AnyOutput]) -> None: ...


class Clock:
    """The only clock that nodes see: microseconds since the process began to serve, never decreasing."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._start = loop.time()
        self._last = 0
        self.wall_us = time.time_ns() // 1_000

    def now(self) -> int:
        """Microseconds since the start."""
        now = int((self._loop.time() - self._start) * 1_000_000)
        self._last = max(now, self._last)
        return self._last

    def loop_time(self, now: int) -> float:
        """The event loop's time at `now`."""
        return self._start + now / 1_000_000


class Timer:
    """One deadline on the event loop; a later one does not touch the loop until the earlier has fired."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, fire: Callable[[], None]) -> None:
        self._loop = loop
        self._clock = clock
        self._fire = fire
        self._deadline: int | None = None
        self._armed_at = 0
        self._handle: asyncio.TimerHandle | None = None

    def set(self, deadline: int | None) -> None:
        """Fire at `deadline`, or never."""
        self._deadline = deadline
        if self._handle is None:
            if deadline is not None:
                self._arm(deadline)
        elif deadline is None or deadline < self._armed_at:
            self._handle.cancel()
            self._handle = None
            if deadline is not None:
                self._arm(deadline)

    def _arm(self, deadline: int) -> None:
        self._armed_at = deadline
        self._handle = self._loop.call_at(self._clock.loop_time(deadline), self._due)

    def _due(self) -> None:
        self._handle = None
        if self._deadline is None:
            return
        if self._clock.now() < self._deadline:
            self._arm(self._deadline)
        else:
            self._fire()


class Host:
    """One node in this process: its queue of inputs, its timer, and who performs each kind of output.

    `on_fault(host, input, error)` is called when the node raised anything.
    """

    def __init__(
        self,
        name: str,
        node: Node,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        *,
        watchers: Iterable[Watcher] = (),
        on_fault: Callable[[Host, AnyInput, BaseException], None],
    ) -> None:
        self.name = name
        self.node = node
        self.clock = clock
        self.loop = loop
        self.performers: dict[type[Any], Callable[[Any], None]] = {}
        self.fault_kinds: dict[str, int] = {}
        self._watchers = tuple(watchers)
        self._on_fault = on_fault
        self._queue: deque[AnyInput] = deque()
        self._working = False
        self._stopped = False
        self._posted = False
        self._timer = Timer(loop, clock, self._timeout)

    def feed(self, input: AnyInput) -> None:
        """Give the node an input now, or after the one it works on."""
        if self._stopped:
            return
        self._queue.append(input)
        if not self._working:
            self._drain()

    def post(self, input: AnyInput) -> None:
        """Give the node an input in the next pass of the loop."""
        if self._stopped:
            return
        self._queue.append(input)
        if not self._posted:
            self._posted = True
            self.loop.call_soon(self._posted_drain)

    def count_fault(self, kind: str) -> None:
        """Count something that went wrong, by kind."""
        if kind in self.fault_kinds or len(self.fault_kinds) < MAX_FAULT_KINDS:
            self.fault_kinds[kind] = self.fault_kinds.get(kind, 0) + 1

    def stop(self) -> None:
        """Feed the node nothing more."""
        self._stopped = True
        self._queue.clear()
        self._timer.set(None)

    def _timeout(self) -> None:
        self.feed(Timeout())

    def _posted_drain(self) -> None:
        self._posted = False
        if not self._working:
            self._drain()

    def _drain(self) -> None:
        node, queue, performers, watchers = self.node, self._queue, self.performers, self._watchers
        self._working = True
        try:
            while queue:
                input = queue.popleft()
                now = self.clock.now()
                out: list[AnyOutput] = []
                for watcher in watchers:
                    watcher.saw_input(now, input)
                try:
                    node.handle(now, input, out)
                except Exception as error:
                    # What was put out before the fault is performed: the state behind it has changed.
                    self._on_fault(self, input, error)
                for watcher in watchers:
                    watcher.saw_outputs(now, out)
                for output in out:
                    performers[type(output)](output)
        finally:
            self._working = False
        if not self._stopped:
            self._timer.set(node.next_deadline())


def stream_of(input: AnyInput) -> int | None:
    """The connection that an input belongs to, if it is one whose end would help."""
    return input.conn if isinstance(input, Opened | Received | Writable) else None
