"""What each event of a node carries besides its own: when it is, its number, and which run of the server it is of."""

from __future__ import annotations

from cluster_core.core import Core
from tlib_proto import Attribute, Value

_SECS, _USECS = Attribute.TimeinSecs, Attribute.TimeinuSecs
_NUMBER, _STARTED = Attribute.EventSequenceNumber, Attribute.ServerStartTime
STAMPS = (_SECS, _USECS, _NUMBER, _STARTED)
"""The attributes of a stamp, in the order of `Stamps.numbers`."""


class Stamps:
    """Counts the events of one run of a node; `started_us` is when it began, in microseconds since 1970 UTC."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.number = 0
        self.started_us = 0

    @property
    def started_s(self) -> int:
        """ServerStartTime."""
        return self.started_us // 1_000_000

    def time(self, now: int) -> dict[int, int]:
        """The time of an event that happens now."""
        seconds, rest = divmod(self._core.wall_us(now), 1_000_000)
        return {_SECS: seconds, _USECS: rest}

    def place(self) -> dict[int, int]:
        """The next EventSequenceNumber, and ServerStartTime: for an event that leaves now, whenever it happened."""
        self.number += 1
        return {_NUMBER: self.number, _STARTED: self.started_us // 1_000_000}

    def numbers(self, now: int) -> tuple[int, int, int, int]:
        """Time and place of an event that happens now and leaves now, in the order of `STAMPS`."""
        seconds, rest = divmod(self._core.wall_us(now), 1_000_000)
        self.number += 1
        return seconds, rest, self.number, self.started_us // 1_000_000

    def whole(self, now: int) -> dict[int, Value]:
        """The same as attributes."""
        return dict(zip(STAMPS, self.numbers(now), strict=True))
