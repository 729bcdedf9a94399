"""The queue of events behind the client and the phone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from refserver.mailbox import Closed, EventsLost, Mailbox


def run(body: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(10):
            await body()

    asyncio.run(limited())


def test_each_event_is_given_once_in_order() -> None:
    async def body() -> None:
        box: Mailbox[int] = Mailbox(9)
        for number in (1, 2, 3):
            box.put(number)
        assert [await box.get() for _ in range(3)] == [1, 2, 3]

    run(body)


def test_a_reader_takes_what_it_wants_and_leaves_the_rest_in_order() -> None:
    async def body() -> None:
        box: Mailbox[int] = Mailbox(9)
        for number in (1, 2, 3):
            box.put(number)
        assert await box.get(lambda number: number == 2) == 2
        assert box.unread() == [1, 3]
        assert box.take() == [1, 3]
        assert box.unread() == []

    run(body)


def test_readers_that_wait_are_served_first_come_first_served() -> None:
    async def body() -> None:
        box: Mailbox[int] = Mailbox(9)
        odd = asyncio.create_task(box.get(lambda number: number % 2 == 1))
        anything = asyncio.create_task(box.get())
        await asyncio.sleep(0)
        box.put(2)
        box.put(3)
        assert (await odd, await anything) == (3, 2)

    run(body)


def test_beyond_its_limit_the_oldest_are_dropped_and_the_reader_is_told_once() -> None:
    async def body() -> None:
        box: Mailbox[int] = Mailbox(2)
        for number in range(5):
            box.put(number)
        with pytest.raises(EventsLost) as caught:
            await box.get()
        assert caught.value.count == 3
        assert [await box.get(), await box.get()] == [3, 4]

    run(body)


def test_what_is_left_can_be_read_after_the_end() -> None:
    async def body() -> None:
        box: Mailbox[int] = Mailbox(9)
        box.put(1)
        box.close()
        box.put(2)
        assert [number async for number in box] == [1]
        with pytest.raises(Closed):
            await box.get()

    run(body)


def test_the_end_wakes_who_waits() -> None:
    async def body() -> None:
        box: Mailbox[int] = Mailbox(9)
        waiting = asyncio.create_task(box.get())
        await asyncio.sleep(0)
        box.close()
        with pytest.raises(Closed):
            await waiting

    run(body)


def test_an_event_that_comes_as_its_reader_gives_up_is_not_lost() -> None:
    async def body() -> None:
        box: Mailbox[int] = Mailbox(9)
        waiting = asyncio.create_task(box.get())
        await asyncio.sleep(0)
        box.put(7)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert box.unread() == [7]

    run(body)


def test_a_reader_that_gave_up_takes_nothing() -> None:
    async def body() -> None:
        box: Mailbox[int] = Mailbox(9)
        waiting = asyncio.create_task(box.get())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        box.put(1)
        assert await box.get() == 1

    run(body)
