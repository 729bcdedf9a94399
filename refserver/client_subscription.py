"""A program's view of the stream of events: filtered, bounded, never silently incomplete (ours)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from refserver.client_errors import TLibTimeout
from refserver.client_events import ConnectionLost, Event, Picture, Resynchronised
from refserver.mailbox import Closed
from tlib_proto.constants import Attribute
from tlib_proto.records import Message

PicturesOf = Callable[[], dict[str, Picture]]


class Subscription:
    """An async iterator of the events that a filter lets through, from the moment it was made until `close`.

    ConnectionLost passes every filter, Resynchronised every one that names no DN or one of its own. At most `limit`
    wait to be read; beyond it they are dropped together, and one Resynchronised that names their DNs stands for them.
    """

    def __init__(
        self, wants: Callable[[Message], bool] | None, dn: str | None, limit: int, pictures: PicturesOf
    ) -> None:
        self._wants = wants
        self._dn = dn
        self._limit = limit
        self._pictures = pictures
        self._queue: deque[Event] = deque()
        self._readers: list[asyncio.Future[None]] = []
        self._closed = False
        self._fault: Exception | None = None

    def put(self, event: Event) -> None:
        """Add an event if the filter lets it through; what a filter raises, its reader gets."""
        if self._closed:
            return
        try:
            if not self._passes(event):
                return
        except Exception as error:
            self._fault = error
            self.close()
            return
        self._queue.append(event)
        if len(self._queue) > self._limit:
            self._queue = deque(collapsed(self._queue, self._pictures()))
        self._wake()

    def close(self) -> None:
        """Nothing more comes: what waits can still be read."""
        self._closed = True
        self._wake()

    def unread(self) -> list[Event]:
        """Take what waits now, oldest first."""
        taken = list(self._queue)
        self._queue.clear()
        return taken

    async def get(
        self, timeout_s: float | None = None, wants: Callable[[Event], bool] | None = None
    ) -> Event:
        """The oldest event (that `wants` accepts; others stay), now or to come; raises `Closed`, `TLibTimeout`."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._get(wants)
        except TimeoutError:
            raise TLibTimeout(f"no event within {timeout_s:g} s") from None

    async def _get(self, wants: Callable[[Event], bool] | None) -> Event:
        while True:
            for index, event in enumerate(self._queue):
                if wants is None or wants(event):
                    del self._queue[index]
                    return event
            if self._fault is not None:
                raise self._fault
            if self._closed:
                raise Closed
            reader: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._readers.append(reader)
            try:
                await reader
            finally:
                if reader in self._readers:
                    self._readers.remove(reader)

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            try:
                event = await self._get(None)
            except Closed:
                return
            yield event

    def _passes(self, event: Event) -> bool:
        if isinstance(event, Message):
            return self._wants is None or self._wants(event)
        if isinstance(event, Resynchronised):
            return self._dn is None or self._dn in event.dns or "" in event.lost
        return True

    def _wake(self) -> None:
        readers, self._readers = self._readers, []
        for reader in readers:
            if not reader.done():
                reader.set_result(None)


def collapsed(events: deque[Event], pictures: dict[str, Picture]) -> list[Event]:
    """What is left of events that nobody read: one Resynchronised for all, and that the link is down, if it is."""
    lost: dict[str, int | None] = {}
    named: dict[str, None] = {}
    down: list[Event] = []
    for event in events:
        if isinstance(event, ConnectionLost):
            down = [event]
        elif isinstance(event, Resynchronised):
            down = []
            named.update(dict.fromkeys(event.dns))
            for dn, count in event.lost.items():
                lost[dn] = _sum(lost.get(dn, 0), count)
        else:
            dn = event.text(Attribute.ThisDN)
            lost[dn] = _sum(lost.get(dn, 0), 1)
            if dn:
                named[dn] = None
    now = {dn: pictures[dn] for dn in named if dn in pictures}
    told = Resynchronised(tuple(named), True, lost, now, (), {}, "the program reads slower than events come")
    return [told, *down]


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other
