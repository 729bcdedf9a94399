"""A bounded queue of events that can be read in order or by what they are (ours)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Closed(Exception):
    """Nothing more will come: whoever filled the mailbox ended."""


class EventsLost(Exception):
    """The program read its events too slowly: `count` of the oldest were dropped before the next one."""

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} events were dropped: the program reads slower than they come")
        self.count = count


class _Waiter(Generic[T]):
    __slots__ = ("future", "wants")

    def __init__(self, future: asyncio.Future[T], wants: Callable[[T], bool] | None) -> None:
        self.future = future
        self.wants = wants


class Mailbox(Generic[T]):
    """Each event is given once, to the first reader that wants it; the others keep their order.

    At most `limit` wait unread; beyond it the oldest are dropped and the next reader gets `EventsLost`.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._queue: deque[T] = deque()
        self._waiters: list[_Waiter[T]] = []
        self._lost = 0
        self._closed = False

    def put(self, event: T) -> None:
        """Add an event; what comes after `close` is dropped."""
        if self._closed:
            return
        for index, waiter in enumerate(self._waiters):
            if not waiter.future.done() and (waiter.wants is None or waiter.wants(event)):
                del self._waiters[index]
                waiter.future.set_result(event)
                return
        if len(self._queue) >= self._limit:
            self._queue.popleft()
            self._lost += 1
        self._queue.append(event)

    def close(self) -> None:
        """Nothing more comes: readers get what is left, then `Closed`."""
        self._closed = True
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.future.done():
                waiter.future.set_exception(Closed())

    def unread(self) -> list[T]:
        """What waits, oldest first."""
        return list(self._queue)

    def take(self) -> list[T]:
        """Remove and return what waits, oldest first."""
        taken = list(self._queue)
        self._queue.clear()
        return taken

    async def get(self, wants: Callable[[T], bool] | None = None) -> T:
        """The oldest event that `wants` accepts, now or to come; raises `Closed`, `EventsLost`."""
        if self._lost:
            count, self._lost = self._lost, 0
            raise EventsLost(count)
        for index, event in enumerate(self._queue):
            if wants is None or wants(event):
                del self._queue[index]
                return event
        if self._closed:
            raise Closed
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(future, wants)
        self._waiters.append(waiter)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._queue.appendleft(future.result())  # it came while its reader gave up
            raise
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    async def __aiter__(self) -> AsyncIterator[T]:
        while True:
            try:
                event = await self.get()
            except Closed:
                return
            yield event
