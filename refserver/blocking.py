"""The supervised client for scripts without asyncio: the same functions, each returning when it is done (ours).

    with connect([("127.0.0.1", 3303)], application="desk", role="desktop", dns=["1001"]) as client:
        call = client.make_call("1001", "1002")
        client.wait_for(MessageType.EventEstablished, dn="1001", timeout_s=30)
        for event in client.events(dn="1001"):
            ...

The event loop runs in a thread of its own; any thread may call. What raises here is what raises there.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from refserver.client import What
from refserver.client_errors import ClientError, ConnectionLost, TLibError, TLibTimeout
from refserver.client_events import Event, Picture, Resynchronised
from refserver.client_requests import TLibraryFunctions
from refserver.client_subscription import Subscription
from refserver.client_supervised import Endpoint, Supervised, connect_supervised
from refserver.mailbox import Closed

__all__ = [
    "BlockingClient",
    "ClientError",
    "ConnectionLost",
    "Events",
    "Resynchronised",
    "TLibError",
    "TLibTimeout",
    "connect",
]

P = ParamSpec("P")
R = TypeVar("R")


class Events:
    """An iterator of events since it was made; ends when the client does. `get` has a deadline of its own."""

    def __init__(self, client: BlockingClient, subscription: Subscription) -> None:
        self._client = client
        self._subscription = subscription

    def get(self, timeout_s: float | None = None) -> Event:
        """The next event; raises `TLibTimeout`, and `ConnectionLost` when nothing more will come."""
        try:
            return self._client.run(self._subscription.get(timeout_s))
        except Closed:
            raise ConnectionLost("closed", "the client has ended") from None

    def unread(self) -> list[Event]:
        """Take what waits now, oldest first."""
        subscription = self._subscription

        async def take() -> list[Event]:
            return subscription.unread()

        return self._client.run(take())

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        try:
            return self.get()
        except ConnectionLost:
            raise StopIteration from None


def _blocking(
    function: Callable[Concatenate[Any, P], Awaitable[R]],
) -> Callable[Concatenate[BlockingClient, P], R]:
    """A function of the supervised client that returns when its answer is there."""
    name = function.__name__

    def call(self: BlockingClient, /, *args: P.args, **kwargs: P.kwargs) -> R:
        async def asked() -> R:
            result: R = await getattr(self.supervised, name)(*args, **kwargs)
            return result

        return self.run(asked())

    call.__name__ = name
    call.__doc__ = function.__doc__
    return call


class BlockingClient:
    """Made by `connect`; a context manager. `supervised` is the client that does the work, in the thread."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, Supervised]]) -> None:
        self._loop = asyncio.new_event_loop()
        self._closed = False
        self._thread = threading.Thread(target=self._loop.run_forever, name="T-Library", daemon=True)
        self._thread.start()
        try:
            self.supervised = self.run(make())
        except BaseException:
            self._stop()
            raise

    def run(self, part: Coroutine[Any, Any, R]) -> R:
        """Run a coroutine in the thread and wait for what it returns; for what has no function here."""
        if self._closed:
            part.close()
            raise ConnectionLost("closed", "the client has ended")
        if threading.current_thread() is self._thread:
            part.close()
            raise RuntimeError("this would wait for itself: call it from another thread")
        future = asyncio.run_coroutine_threadsafe(part, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # an interrupt of the script must not leave a request behind
            raise

    query_server = _blocking(TLibraryFunctions.query_server)
    query_address = _blocking(TLibraryFunctions.query_address)
    register_address = _blocking(Supervised.register_address)
    unregister_address = _blocking(Supervised.unregister_address)
    register_all = _blocking(Supervised.register_all)
    unregister_all = _blocking(Supervised.unregister_all)
    agent_login = _blocking(TLibraryFunctions.agent_login)
    agent_logout = _blocking(TLibraryFunctions.agent_logout)
    agent_set_ready = _blocking(TLibraryFunctions.agent_set_ready)
    agent_set_not_ready = _blocking(TLibraryFunctions.agent_set_not_ready)
    set_dnd_on = _blocking(TLibraryFunctions.set_dnd_on)
    set_dnd_off = _blocking(TLibraryFunctions.set_dnd_off)
    call_set_forward = _blocking(TLibraryFunctions.call_set_forward)
    call_cancel_forward = _blocking(TLibraryFunctions.call_cancel_forward)
    make_call = _blocking(TLibraryFunctions.make_call)
    answer_call = _blocking(TLibraryFunctions.answer_call)
    release_call = _blocking(TLibraryFunctions.release_call)
    hold_call = _blocking(TLibraryFunctions.hold_call)
    retrieve_call = _blocking(TLibraryFunctions.retrieve_call)
    single_step_transfer = _blocking(TLibraryFunctions.single_step_transfer)
    initiate_transfer = _blocking(TLibraryFunctions.initiate_transfer)
    complete_transfer = _blocking(TLibraryFunctions.complete_transfer)
    reconnect_call = _blocking(TLibraryFunctions.reconnect_call)
    alternate_call = _blocking(TLibraryFunctions.alternate_call)
    mute_transfer = _blocking(TLibraryFunctions.mute_transfer)
    redirect_call = _blocking(TLibraryFunctions.redirect_call)
    clear_call = _blocking(TLibraryFunctions.clear_call)
    send_dtmf = _blocking(TLibraryFunctions.send_dtmf)
    query_call = _blocking(TLibraryFunctions.query_call)
    route_call = _blocking(TLibraryFunctions.route_call)
    attach_user_data = _blocking(TLibraryFunctions.attach_user_data)
    update_user_data = _blocking(TLibraryFunctions.update_user_data)
    delete_user_data = _blocking(TLibraryFunctions.delete_user_data)
    delete_all_user_data = _blocking(TLibraryFunctions.delete_all_user_data)
    private_service = _blocking(TLibraryFunctions.private_service)
    start_session = _blocking(Supervised.start_session)
    acknowledge_events = _blocking(TLibraryFunctions.acknowledge_events)
    end_session = _blocking(Supervised.end_session)
    request = _blocking(Supervised.request)
    wait_for = _blocking(Supervised.wait_for)
    until_connected = _blocking(Supervised.until_connected)

    def events(self, what: What | None = None, dn: str | None = None, conn_id: int | None = None) -> Events:
        """What comes from now on, narrowed down as `Supervised.events` does; a function runs in the thread."""

        async def subscribe() -> Subscription:
            return self.supervised.events(what, dn, conn_id)

        return Events(self, self.run(subscribe()))

    @property
    def connected(self) -> bool:
        """Whether the link is there and everything is registered."""
        return not self._closed and self.supervised.connected

    @property
    def pictures(self) -> Mapping[str, Picture]:
        """What is known of each DN now, a copy."""

        async def copy() -> dict[str, Picture]:
            return dict(self.supervised.pictures)

        return self.run(copy())

    def close(self) -> None:
        """End the client and its thread; harmless when it has ended."""
        if not self._closed:
            try:
                self.run(self.supervised.aclose())
            finally:
                self._stop()

    def __enter__(self) -> BlockingClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _stop(self) -> None:
        self._closed = True

        async def rest() -> None:
            """Whoever waits in another thread is let go."""
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(rest(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def connect(endpoints: Sequence[Endpoint], **options: Any) -> BlockingClient:
    """Connect to a primary and its backup; options and errors are those of `connect_supervised`."""
    return BlockingClient(lambda: connect_supervised(endpoints, **options))
