"""Work on very many DNs, so many in one input: what is left over is done in the next ones (ours)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from cluster_core.core import Core
from cluster_core.outputs import AnyOutput

_T = TypeVar("_T")


class Paced(Generic[_T]):
    """A queue of things that are worked on in their order, at most `dns_at_once` of `Limits` an input.

    The first are worked on at once; while some are left, the timer of that kind and key 0 calls `turn`.
    """

    def __init__(self, core: Core, kind: str, work: Callable[[int, _T, list[AnyOutput]], None]) -> None:
        self._core = core
        self._kind = kind
        self._work = work
        self._left: deque[_T] = deque()

    def __len__(self) -> int:
        return len(self._left)

    def add(self, now: int, things: Iterable[_T], out: list[AnyOutput]) -> None:
        """Work on these too, after those that are left."""
        idle = not self._left
        self._left.extend(things)
        if idle:
            self.turn(now, out)

    def turn(self, now: int, out: list[AnyOutput]) -> None:
        """Work on as many as one input may."""
        for _ in range(min(len(self._left), self._core.limits.dns_at_once)):
            self._work(now, self._left.popleft(), out)
        self._core.arm(self._kind, 0, now + 1 if self._left else None)

    def clear(self) -> None:
        """Forget what is left."""
        self._left.clear()
        self._core.arm(self._kind, 0, None)
