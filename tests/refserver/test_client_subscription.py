"""One program's view of the stream: what is left of events that nobody reads, and who gets what."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest

from cluster_core.picture import Picture
from refserver.client_errors import ConnectionLost
from refserver.client_events import Event, Resynchronised
from refserver.client_subscription import Subscription, collapsed
from refserver.mailbox import Closed
from tlib_proto.constants import MessageType
from tlib_proto.testing import named

M = MessageType
DOWN = ConnectionLost("closed", "")
PICTURES = {"1001": Picture("1001", "n1", True)}


def ringing(dn: str) -> Event:
    return named(M.EventRinging, ThisDN=dn)


def test_unread_events_become_one_that_names_their_dns() -> None:
    earlier = Resynchronised(("1002", "1003"), True, {"1002": None, "1003": 2})
    events = deque([ringing("1001"), DOWN, earlier, ringing("1001"), ringing("1003"), named(M.EventACK)])
    (told,) = collapsed(events, PICTURES)
    assert isinstance(told, Resynchronised)
    assert told.dns == ("1001", "1002", "1003")
    assert told.gap
    assert told.lost == {"1001": 2, "1002": None, "1003": 3, "": 1}
    assert told.pictures == PICTURES


def test_that_the_link_is_down_is_not_forgotten() -> None:
    told, last = collapsed(deque([ringing("1001"), DOWN]), PICTURES)
    assert isinstance(told, Resynchronised)
    assert last is DOWN


def test_what_befell_the_link_passes_the_filters_that_it_concerns() -> None:
    made = Subscription(lambda message: False, "1001", 10, lambda: PICTURES)
    other = Resynchronised(("1002",), True, {"1002": 1})
    mine, every = Resynchronised(("1001",), False), Resynchronised((), True, {"": None})
    for event in (ringing("1001"), DOWN, other, mine, every):
        made.put(event)
    assert made.unread() == [DOWN, mine, every]


def test_readers_share_what_comes_and_end_with_the_subscription() -> None:
    async def body() -> None:
        made = Subscription(None, None, 10, lambda: PICTURES)
        first, second = (asyncio.create_task(made.get(5, lambda e: e is not DOWN)) for _ in range(2))
        picky = asyncio.create_task(made.get(5, lambda event: event is DOWN))
        given_up = asyncio.create_task(made.get())
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait([given_up])
        a, b = ringing("1001"), ringing("1002")
        for event in (a, DOWN, b):
            made.put(event)
        assert await picky is DOWN
        assert {id(await first), id(await second)} == {id(a), id(b)}
        waits = asyncio.create_task(made.get())
        await asyncio.sleep(0)
        made.close()
        made.put(a)
        with pytest.raises(Closed):
            await waits
        assert [event async for event in made] == []

    asyncio.run(body())


def test_what_a_filter_raises_its_reader_gets() -> None:
    async def body() -> None:
        made = Subscription(lambda message: 1 // 0 == 0, None, 10, lambda: PICTURES)
        made.put(DOWN)
        made.put(ringing("1001"))
        made.put(DOWN)
        assert await made.get() is DOWN
        with pytest.raises(ZeroDivisionError):
            await made.get()

    asyncio.run(body())
