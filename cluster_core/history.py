"""The events that left a node a moment ago, so that a client that comes back is sent what it missed (ours).

What left to whom is kept for a while and within a bound; `since` knows whether it reaches back far enough.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from cluster_core.core import Core

_PER_RECEIVER = 8
_PER_EVENT = 200
"""Octets that a receiver and an event take beside the frame, about."""


class History:
    """Frames by EventSequenceNumber, with the streams that each was for; the oldest leave first."""

    def __init__(self, core: Core) -> None:
        self._limits = core.limits
        self._kept: deque[tuple[int, int, bytes, Sequence[int]]] = deque()
        self._octets = 0
        self._reach = 0

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, now: int, number: int, frame: bytes, conns: Sequence[int]) -> None:
        """An event of that number leaves for these streams, whether they are there or not."""
        self._kept.append((number, now, frame, conns))
        self._octets += _size(frame, conns)
        self.prune(now)

    def forget(self, number: int) -> None:
        """Nobody can come back: nothing is kept, nothing up to this number can be told again."""
        self._kept.clear()
        self._octets = 0
        self._reach = number

    def prune(self, now: int) -> None:
        """What is too old or too much is not kept any more."""
        kept, oldest_us = self._kept, now - self._limits.resume_us
        while kept and (kept[0][1] < oldest_us or self._octets > self._limits.history_bytes):
            self._reach, _, frame, conns = kept.popleft()
            self._octets -= _size(frame, conns)

    def since(self, now: int, number: int, conns: Sequence[int]) -> list[bytes] | None:
        """What left for any of these streams after that number, in order; None when not all of it is kept."""
        self.prune(now)
        if number < self._reach:
            return None
        found = []
        for at, _, frame, receivers in self._kept:
            if at > number and any(conn in receivers for conn in conns):
                found.append(frame)
        return found


def _size(frame: bytes, conns: Sequence[int]) -> int:
    return len(frame) + _PER_EVENT + _PER_RECEIVER * len(conns)
