"""An asyncio T-Library client: the functions under their published names, events as an async iterator.

It needs only the base distribution. The rules of the protocol are `tlib_proto.ClientSession`'s.

    client = await connect("127.0.0.1", 3302, application="GWS", role="desktop", secret=secret)
    await client.register_address("1002")
    async for event in client.events(dn="1002"):
        ...

`connect_supervised` gives one that connects again by itself (`refserver.client_supervised`).
"""

from __future__ import annotations

import asyncio
import importlib
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from refserver.client_errors import ClientError, ConnectionLost, TLibError, TLibTimeout
from refserver.client_requests import TLibraryFunctions, error_of, matcher
from refserver.mailbox import Closed, EventsLost, Mailbox
from tlib_proto.constants import MessageType
from tlib_proto.limits import Limits
from tlib_proto.records import Ended, Hello, Incoming, Linked, Message, Output, Write
from tlib_proto.session import ClientSession
from tlib_proto.tables import EndKind

if TYPE_CHECKING:
    from refserver.client_events import Resynchronised
    from refserver.client_supervised import Supervised, connect_supervised

__all__ = [
    "Client",
    "ClientError",
    "ConnectionLost",
    "EventsLost",
    "Resynchronised",
    "Supervised",
    "TLibError",
    "TLibTimeout",
    "connect",
    "connect_supervised",
]

_SUPERVISED = {
    "Resynchronised": "refserver.client_events",
    "Supervised": "refserver.client_supervised",
    "connect_supervised": "refserver.client_supervised",
}


def __getattr__(name: str) -> Any:
    """The supervised client's names, imported when asked for: it keeps pictures of DNs, this module does not."""
    if name in _SUPERVISED:
        return getattr(importlib.import_module(_SUPERVISED[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


REQUEST_TIMEOUT_S = 10.0
CLOSE_S = 1.0
"""How long a connection that this side ends may take to hand over what was written."""
EVENT_QUEUE = 10_000
PENDING_REQUESTS = 10_000

Predicate = Callable[[Message], bool]
What = MessageType | Predicate | Iterable[MessageType]
"""Which messages: a type, several, or a function that says so."""
Trace = Callable[[str, Message], None]
"""Called with "sent" or "received" and a message, in the order of the wire."""

_BULK_ANSWERS = {
    int(MessageType.RequestRegisterAll): int(MessageType.EventRegisteredAll),
    int(MessageType.RequestUnregisterAll): int(MessageType.EventUnregisteredAll),
}
"""Requests whose answer is a list: what comes before this message belongs to the list (ours)."""


class _Pending:
    __slots__ = ("ends", "future")

    def __init__(self, future: asyncio.Future[Message], ends: int | None) -> None:
        self.future = future
        self.ends = ends


class Client(TLibraryFunctions, asyncio.Protocol):
    """One connection to one T-Library port; made by `connect`.

    Every message that answers no waiting request goes, once, to whoever asks first: `events` or `wait_for`.
    At most `EVENT_QUEUE` wait; beyond it the oldest are dropped, and the next reader gets `EventsLost`.
    """

    def __init__(
        self, hello: Hello, limits: Limits, keepalive_us: int, timeout_s: float, trace: Trace | None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._session = ClientSession(self._now(), hello, limits, keepalive_us)
        self._timeout_s = timeout_s
        self._trace = trace
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._pending: dict[int, _Pending] = {}
        self._events: Mailbox[Message] = Mailbox(EVENT_QUEUE)
        self._refusal: TLibError | None = None
        self._end: ConnectionLost | None = None
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._over = asyncio.Event()
        self._linked: asyncio.Future[Message] = self._loop.create_future()
        self.application = hello.application
        self.link: Message = Message(int(MessageType.EventLinkConnected))

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        out: list[Output] = []
        self._session.start(self._now(), out)
        self._perform(out)

    def data_received(self, data: bytes) -> None:
        if self._end is not None:
            return
        out: list[Output] = []
        self._session.receive_data(self._now(), data, out)
        self._perform(out)

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish("closed", str(exc) if exc else "the server closed the connection")
        if not self._gone.done():
            self._gone.set_result(None)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _now(self) -> int:
        return int(self._loop.time() * 1_000_000)

    def _on_timer(self) -> None:
        self._timer = None
        out: list[Output] = []
        self._session.handle_timeout(self._now(), out)
        self._perform(out)

    def _perform(self, out: list[Output]) -> None:
        for item in out:
            if isinstance(item, Write):
                if self._transport is not None and not self._transport.is_closing():
                    self._transport.write(item.data)
            elif isinstance(item, Incoming):
                self._incoming(item.message)
            elif isinstance(item, Linked):
                self._note("received", item.message)
                self.link = item.message
                if not self._linked.done():
                    self._linked.set_result(item.message)
            elif isinstance(item, Ended):
                self._finish(item.kind, item.text)
        self._rearm()

    def _rearm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._end is None:
            deadline = self._session.next_deadline()
            if deadline is not None:
                self._timer = self._loop.call_at(deadline / 1_000_000, self._on_timer)

    def _finish(self, kind: str, text: str) -> None:
        """The connection ends: whoever waits hears of it, once."""
        if self._end is not None:
            return
        self._end = ConnectionLost(kind, text)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._linked.done():
            self._linked.set_exception(self._refusal or self._end)
            self._linked.exception()  # whoever gave up waiting need not fetch it
        self._writable.set()
        pending, self._pending = list(self._pending.values()), {}
        for entry in pending:
            if not entry.future.done():
                entry.future.set_exception(ConnectionLost(kind, text))
        self._events.close()
        self._over.set()
        if self._transport is not None:
            if kind == EndKind.KEEP_ALIVE:
                self._transport.abort()  # the peer reads nothing: what is still to be written never would be
            else:
                self._transport.close()

    def _note(self, way: str, message: Message) -> None:
        if self._trace is not None:
            self._trace(way, message)

    def _incoming(self, message: Message) -> None:
        self._note("received", message)
        is_error = message.id == MessageType.EventError
        if is_error and not self._linked.done():
            self._refusal = error_of(message)
            return
        pending = self._pending.get(message.ref) if message.ref else None
        if pending is not None and (pending.ends is None or is_error or message.id == pending.ends):
            del self._pending[message.ref]
            if not pending.future.done():
                if is_error:
                    pending.future.set_exception(error_of(message))
                else:
                    pending.future.set_result(message)
                self._heard(message, True)
                return
        self._heard(message, False)

    def _heard(self, message: Message, answered: bool) -> None:
        """A message came, in the order of the wire; `answered`: a request that waited for it has it."""
        if not answered:
            self._deliver(message)

    def _deliver(self, message: Message) -> None:
        """Give a message to whoever reads events."""
        self._events.put(message)

    # the program's side

    async def request(self, message: Message, timeout_s: float | None = None) -> Message:
        """Send a request and return the event that answers it (the one that carries its ReferenceID).

        Raises `TLibError` for EventError, `TLibTimeout` at the deadline, `ConnectionLost`. An answer that
        comes after the deadline is given to `events`.
        """
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        future: asyncio.Future[Message] = self._loop.create_future()
        ref = 0
        try:
            async with asyncio.timeout(limit_s):
                await self._writable.wait()
                if self._end is not None:
                    raise ConnectionLost(self._end.kind, self._end.text)
                if len(self._pending) >= PENDING_REQUESTS:
                    raise ClientError(f"{len(self._pending)} requests wait for an answer already")
                out: list[Output] = []
                ref = self._session.request(self._now(), message, out)
                self._pending[ref] = _Pending(future, _BULK_ANSWERS.get(message.id))
                self._note("sent", Message(message.id, ref, message.attributes))
                self._perform(out)
                return await future
        except TimeoutError as error:
            if isinstance(error, TLibTimeout):
                raise
            if _has_result(future):  # it came in the same moment
                return future.result()
            raise TLibTimeout(f"no answer to {message.name} within {limit_s:g} s") from None
        except asyncio.CancelledError:
            if _has_result(future):
                self._deliver(future.result())  # it came while the program gave up
            raise
        finally:
            self._pending.pop(ref, None)

    def send(self, message: Message) -> None:
        """Send a message and wait for no answer; ReferenceID as it stands."""
        if self._end is not None:
            raise ConnectionLost(self._end.kind, self._end.text)
        out: list[Output] = []
        self._session.send(self._now(), message, out)
        self._note("sent", message)
        self._perform(out)

    async def events(
        self, what: What | None = None, dn: str | None = None, conn_id: int | None = None
    ) -> AsyncIterator[Message]:
        """Every message that answers no waiting request, oldest first, until the connection ends.

        With a filter (as in `wait_for`) only those; the ones passed over stay for others.
        """
        wants = None
        if what is not None or dn is not None or conn_id is not None:
            wants, _ = matcher(_any if what is None else what, dn, conn_id)
        while True:
            try:
                message = await self._events.get(wants)
            except Closed:
                return
            yield message

    async def wait_for(
        self,
        what: What,
        dn: str | None = None,
        conn_id: int | None = None,
        timeout_s: float | None = None,
    ) -> Message:
        """The first message, waiting or to come, of the type or types, or that the function accepts.

        `dn` is its ThisDN, `conn_id` its ConnID. The ones passed over stay for others. Raises `TLibTimeout`.
        """
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        wants, meaning = matcher(what, dn, conn_id)
        try:
            async with asyncio.timeout(limit_s):
                return await self._events.get(wants)
        except Closed:
            end = self._end or ConnectionLost("closed", "")
            raise ConnectionLost(end.kind, end.text) from None
        except TimeoutError:
            seen = ", ".join(message.name for message in self._events.unread()[-8:]) or "nothing"
            raise TLibTimeout(
                f"{self.application}: no {meaning} within {limit_s:g} s (waiting unread: {seen})"
            ) from None

    @property
    def position(self) -> str:
        """Where this client is in the server's events, for `resume` of the next connection; empty when not known."""
        return self._session.resume

    @property
    def waiting(self) -> int:
        """How many messages wait to be read."""
        return len(self._events.unread())

    def unread(self) -> list[Message]:
        """Take every message that waits now, oldest first."""
        return self._events.take()

    async def linked(self) -> Message:
        """EventLinkConnected once it came; raises `TLibError` when the server refused, `ConnectionLost`."""
        return await asyncio.shield(self._linked)

    @property
    def closed(self) -> bool:
        """True once the connection ended, whoever ended it."""
        return self._end is not None

    async def wait_closed(self) -> ConnectionLost:
        """Wait until the connection ended, whoever ended it; returns how."""
        await self._over.wait()
        assert self._end is not None
        return self._end

    async def aclose(self) -> None:
        """End the connection and wait until it is gone; harmless when it is."""
        if self._end is None:
            out: list[Output] = []
            self._session.close(self._now(), "the client closed", out)
            self._perform(out)
            self._finish("closed", "the client closed the connection")
        if self._transport is not None:
            try:
                async with asyncio.timeout(CLOSE_S):
                    await asyncio.shield(self._gone)
            except TimeoutError:
                self._transport.abort()  # the peer does not read what was written
                await self._gone

    def abort(self) -> None:
        """Cut the connection without a word, as a crash would; for tests."""
        if self._transport is not None:
            self._transport.abort()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


_C = TypeVar("_C", bound=Client)


async def connect(
    host: str,
    port: int,
    *,
    application: str,
    role: str,
    secret: str = "",
    session_id: str = "",
    resume: str = "",
    capabilities: Mapping[str, str | int] | None = None,
    keepalive_s: float = 0.0,
    keepalive_remote_s: float = 0.0,
    timeout_s: float = REQUEST_TIMEOUT_S,
    limits: Limits | None = None,
    trace: Trace | None = None,
    tls: ssl.SSLContext | None = None,
) -> Client:
    """Dial a T-Library port, say Hello and return the client once the server sent EventLinkConnected.

    `role` is one of router, reporting, desktop, smart, monitor. `timeout_s` is the deadline of this and,
    unless told otherwise, of each request. After `keepalive_s` of silence this side polls, and gives the server as
    long again to answer; the server is asked to do so after `keepalive_remote_s`; 0 is never. `session_id` and
    `resume` (`Client.position`) name a session that was lost: the server goes on with it if EventLinkConnected
    (`Client.link`) repeats `resume`. Raises `TLibError`
    (refused), `TLibTimeout`, `ConnectionLost`, OSError (no listener).
    """
    keepalive_us = int(keepalive_s * 1_000_000)
    hello = Hello(
        application=application,
        role=role,
        secret=secret,
        session_id=session_id,
        resume=resume,
        capabilities=tuple((capabilities or {}).items()),
        keepalive_ms=keepalive_us // 1000,
        keepalive_remote_ms=int(keepalive_remote_s * 1_000),
    )
    return await dial(
        lambda: Client(hello, limits or Limits(), keepalive_us, timeout_s, trace), host, port, timeout_s, tls
    )


async def dial(make: Callable[[], _C], host: str, port: int, timeout_s: float, tls: ssl.SSLContext | None = None) -> _C:
    """Connect a client that `make` makes and wait until it is linked; raises what `connect` does."""
    loop = asyncio.get_running_loop()
    client: _C | None = None
    try:
        async with asyncio.timeout(timeout_s):
            _, client = await loop.create_connection(make, host, port, ssl=tls)
            await client.linked()
    except TimeoutError:
        if client is not None:
            client.abort()
        raise TLibTimeout(f"{host}:{port}: no EventLinkConnected within {timeout_s:g} s") from None
    except BaseException:
        if client is not None:
            client.abort()
        raise
    return client


def _any(message: Message) -> bool:
    return True


def _has_result(future: asyncio.Future[Message]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None
