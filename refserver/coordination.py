"""Hosts the in-memory coordinator: one for all nodes of the process (design 9)."""

from __future__ import annotations

import asyncio
from typing import Protocol

from cluster_core.coordinator_records import Question
from cluster_core.inputs import Answered, Changed
from cluster_core.outputs import Ask
from refserver.pump import Clock, Host, Timer

Told = list[tuple[str, Answered | Changed]]


class Coordinator(Protocol):
    """What is needed of a `MemoryCoordinator`."""

    def ask(self, now: int, node: str, request: int, what: Question, out: Told, /) -> None: ...
    def next_deadline(self) -> int | None: ...
    def handle_timeout(self, now: int, out: Told, /) -> None: ...


class Coordination:
    """Takes what the nodes ask to the coordinator, and what it says to the nodes."""

    def __init__(self, coordinator: Coordinator, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._coordinator = coordinator
        self._clock = clock
        self._hosts: dict[str, Host] = {}
        self._timer = Timer(loop, clock, self._timeout)

    def serve(self, host: Host) -> None:
        """Answer what this node asks."""
        name = host.name
        self._hosts[name] = host
        host.performers[Ask] = lambda output: self._ask(name, output)

    def end(self) -> None:
        """Ask for nothing more."""
        self._timer.set(None)

    def _ask(self, node: str, output: Ask) -> None:
        told: Told = []
        self._coordinator.ask(self._clock.now(), node, output.request, output.what, told)
        self._tell(told)

    def _timeout(self) -> None:
        told: Told = []
        self._coordinator.handle_timeout(self._clock.now(), told)
        self._tell(told)

    def _tell(self, told: Told) -> None:
        for name, input in told:
            host = self._hosts.get(name)
            if host:
                host.post(input)
        self._timer.set(self._coordinator.next_deadline())
