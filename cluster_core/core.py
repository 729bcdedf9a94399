"""What every room of a node shares: settings, store, timers, ids and the wall clock."""

from __future__ import annotations

from cluster_core.ids import Ids
from cluster_core.records import MarkRecord
from cluster_core.settings import ClusterSettings
from cluster_core.store import Store
from sip_proto import TimerTable

Cause = tuple[str, int]
"""Who asked for something: the node where the request came in, and its number there."""


class Core:
    """The common ground of one node's rooms; it decides nothing (ours)."""

    def __init__(self, settings: ClusterSettings, node: str, member: str, seed: bytes) -> None:
        self.settings = settings
        self.node = settings.node(node)
        self.name = node
        self.member = next(m for m in self.node.members if m.name == member)
        self.limits = settings.limits
        self.store = Store()
        self.timers: TimerTable[tuple[str, int | str]] = TimerTable()
        self.ids = Ids(seed, self.node.number)
        self._mark = 0
        self.wall_base_us = 0
        self.role_epoch = 0
        self.primary = False

    def keep_mark(self) -> None:
        """What ids may have been given out is durable: whoever goes on gives out others."""
        if self.ids.mark != self._mark:
            self._mark = self.ids.mark
            self.store.put("marks", "ids", MarkRecord(self._mark))

    def wall_us(self, now: int) -> int:
        """Microseconds since 1970 UTC."""
        return self.wall_base_us + now

    def arm(self, kind: str, key: int | str, deadline_us: int | None) -> None:
        """Set or, with None, cancel the timer of that kind and key."""
        if deadline_us is None:
            self.timers.cancel((kind, key))
        else:
            self.timers.set((kind, key), deadline_us)
