"""Many deadlines under one: a heap with lazy deletion."""

from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

K = TypeVar("K")


class TimerTable(Generic[K]):
    """Deadlines in microseconds by key, one a key; equal deadlines come due in the order they were set
    (ours)."""

    __slots__ = ("_heap", "_live", "_next", "_removed")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, K]] = []
        self._live: dict[K, int] = {}
        self._next = 0
        self._removed = 0

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, key: K) -> bool:
        return key in self._live

    def set(self, key: K, deadline_us: int) -> None:
        """Arm `key`, in place of what it was armed for (ours)."""
        order = self._next
        self._next = order + 1
        self._live[key] = order
        heap = self._heap
        heappush(heap, (deadline_us, order, key))
        # Cancelled entries stay until they surface; this keeps them below the live ones.
        if len(heap) > 2 * len(self._live) + 64:
            live = self._live
            self._heap = [entry for entry in heap if live.get(entry[2]) == entry[1]]
            heapify(self._heap)

    def cancel(self, key: K) -> None:
        """Disarm `key`; nothing when it is not armed (ours)."""
        if self._live.pop(key, None) is not None:
            self._shrink()

    def next_deadline(self) -> int | None:
        """The earliest deadline, None when nothing is armed (ours)."""
        heap = self._heap
        live = self._live
        while heap:
            first = heap[0]
            if live.get(first[2]) == first[1]:
                return first[0]
            heappop(heap)
        return None

    def pop_due(self, now: int) -> K | None:
        """The key whose deadline came first and is not after `now`, disarmed; None when there is none
        (ours)."""
        deadline_us = self.next_deadline()
        if deadline_us is None or deadline_us > now:
            return None
        key = heappop(self._heap)[2]
        del self._live[key]
        self._shrink()
        return key

    def _shrink(self) -> None:
        # A dict keeps the room of its largest hour while entries only leave it.
        self._removed += 1
        if self._removed > 2 * len(self._live) + 64:
            self._removed = 0
            self._live = dict(self._live)
