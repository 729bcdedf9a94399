"""The client for scripts: one thread more, the same functions, nothing left behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from refserver import blocking
from refserver.blocking import BlockingClient, ConnectionLost, Resynchronised, TLibTimeout
from refserver.client_requests import TLibraryFunctions
from refserver.client_supervised import Backoff
from tests.refserver.test_client_supervised import Switch
from tests.refserver.tlib_server import listening
from tlib_proto.constants import Attribute, MessageType
from tlib_proto.records import Message

M = MessageType
QUICK = Backoff(first_s=0.001, most_s=0.01)


@contextmanager
def served(switch: Switch) -> Iterator[tuple[tuple[str, int], asyncio.AbstractEventLoop]]:
    """A scripted server in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = listening(switch.connect)
    try:
        yield asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(), loop
    finally:
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def linked(switch: Switch) -> Iterator[tuple[BlockingClient, asyncio.AbstractEventLoop]]:
    with (
        served(switch) as (address, loop),
        blocking.connect(
            [address], application="script", role="desktop", dns=["1001"], backoff=QUICK, timeout_s=5
        ) as client,
    ):
        yield client, loop


def test_functions_return_when_they_are_answered_and_events_are_an_iterator() -> None:
    switch = Switch()
    with linked(switch) as (client, loop):
        events = client.events(dn="1001")
        assert client.connected
        assert client.agent_set_ready("1001").id == M.EventAgentReady
        assert client.register_address("1002").id == M.EventRegistered
        assert set(client.pictures) == {"1001", "1002"}
        loop.call_soon_threadsafe(switch.say, M.EventRinging, "1001")
        assert client.wait_for(M.EventRinging, dn="1001", timeout_s=5).id == M.EventRinging
        rang = next(events)
        assert isinstance(rang, Message)
        assert rang.text(Attribute.ThisDN) == "1001"
        loop.call_soon_threadsafe(switch.cut)
        assert isinstance(next(events), ConnectionLost)
        assert isinstance(events.get(5), Resynchronised)
        assert events.unread() == []
        with pytest.raises(TLibTimeout):
            events.get(0.01)
        client.until_connected()
    assert list(events) == []
    assert not client.connected
    for late in (client.query_server, client.events, lambda: client.pictures):
        with pytest.raises(ConnectionLost, match="has ended"):
            late()
    client.close()


def test_who_waits_in_another_thread_is_let_go_when_it_ends() -> None:
    with linked(Switch()) as (client, _):
        events = client.events()
        ended: list[object] = []
        waits = threading.Thread(target=lambda: ended.extend([*events, "end"]))
        waits.start()
        client.close()
        waits.join(5)
        assert ended == ["end"]


def test_nothing_is_left_of_one_that_cannot_connect() -> None:
    before = threading.active_count()
    with pytest.raises(OSError, match="failed"):
        blocking.connect([("127.0.0.1", 9)], application="script", role="desktop", timeout_s=0.2, backoff=QUICK)
    assert threading.active_count() == before


def test_a_function_that_would_wait_for_itself_says_so() -> None:
    switch = Switch()
    with linked(switch) as (client, _):

        async def inside() -> None:
            client.query_server()

        with pytest.raises(RuntimeError, match="wait for itself"):
            client.run(inside())


def test_every_function_of_the_library_is_there() -> None:
    names = [name for name in vars(TLibraryFunctions) if not name.startswith("_")]
    assert [name for name in names if not hasattr(BlockingClient, name)] == []
    assert BlockingClient.make_call.__doc__ == TLibraryFunctions.make_call.__doc__
