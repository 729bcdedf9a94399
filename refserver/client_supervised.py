"""A T-Library client that stays connected: primary and backup, keep-alive, everything registered again (ours).

    async with await connect_supervised([("10.0.0.1", 3303), ("10.0.0.2", 3303)], application="GWS", role="desktop",
                                        secret=secret, dns=["1001", "1002"]) as client:
        async for event in client.events():
            match event:
                case ConnectionLost(): ...          # being connected again
                case Resynchronised(): ...          # what is known starts anew with event.pictures
                case _: ...                         # a message
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from random import Random
from types import TracebackType

from refserver.client import REQUEST_TIMEOUT_S, What, dial
from refserver.client_backoff import Backoff
from refserver.client_errors import ClientError, ConnectionLost, TLibError, TLibTimeout
from refserver.client_events import Change, Event, Picture, Resynchronised
from refserver.client_link import RESUME, Link, Place, Registration
from refserver.client_picture import Tracker
from refserver.client_reporting import Reporting
from refserver.client_requests import Pairs, TLibraryFunctions, matcher, pairs_of
from refserver.client_subscription import Subscription
from refserver.mailbox import Closed
from tlib_proto.constants import AddressType, Attribute, ControlMode, MessageType, RegisterMode
from tlib_proto.limits import Limits
from tlib_proto.records import Hello, Message

__all__ = [
    "Backoff",
    "Change",
    "ConnectionLost",
    "Event",
    "Picture",
    "Resynchronised",
    "Supervised",
    "connect_supervised",
]

Endpoint = tuple[str, int]

EVENT_QUEUE = 10_000
"""Events that one subscription keeps for a program that does not read."""
IN_FLIGHT = 256
"""Registrations that wait for their answers at the same time."""
HOLE_S = 1.0
"""How long a hole in a DN's events may stay open before the DN is asked for."""

KEPT = 1_000
"""Messages that `wait_for` finds although they came before it was called."""


class Supervised(TLibraryFunctions):
    """A client of a primary and a backup; made by `connect_supervised`.

    When the link is lost it connects again and says so: `ConnectionLost`, then `Resynchronised`. A server that can
    resume is asked first whether it goes on behind the last event, unless it did not answer or said farewell; else
    the other endpoint comes first, and what was registered is registered again. Requests wait for the link as long as
    their deadline allows; one that was sent when the link broke raises `ConnectionLost` and is not sent again. Use it
    in one event loop.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        hello: Hello,
        *,
        limits: Limits,
        keepalive_s: float,
        timeout_s: float,
        connect_timeout_s: float,
        give_up_s: float | None,
        backoff: Backoff,
        event_queue: int,
        tls: ssl.SSLContext | None,
        random: Random,
    ) -> None:
        if not endpoints:
            raise ValueError("no endpoints")
        self.endpoints = tuple(endpoints)
        self.hello = hello
        self.limits = limits
        self.keepalive_s = keepalive_s
        self.timeout_s = timeout_s
        self.endpoint: Endpoint | None = None
        self.last_error: Exception | None = None
        self._connect_timeout_s = connect_timeout_s
        self._give_up_s = give_up_s
        self._backoff = backoff
        self._event_queue = event_queue
        self._tls = tls
        self._random = random
        self._next = 0
        self._link: Link | None = None
        self._ready = asyncio.Event()
        self._tracker = Tracker()
        self.place: Place | None = None
        self._farewell = False
        self._held: dict[str, None] = {}
        self._registrations: dict[str, Registration] = {}
        self._bulk: bool | None = None
        self._bulk_extensions: Pairs = ()
        self._session: Reporting | None = None
        self._attempt = 0
        self._task: asyncio.Task[None] | None = None
        self._repair: asyncio.TimerHandle | None = None
        self._repairing: asyncio.Task[None] | None = None
        self._over: ConnectionLost | None = None
        self._subscriptions: weakref.WeakSet[Subscription] = weakref.WeakSet()
        self._kept = Subscription(None, None, KEPT, lambda: self._tracker.pictures)
        self._subscriptions.add(self._kept)

    # what a program asks

    @property
    def connected(self) -> bool:
        """Whether the link is there and everything is registered."""
        return self._ready.is_set() and self._link is not None and not self._link.closed

    @property
    def closed(self) -> bool:
        """Whether it has ended: by `aclose`, or because it gave up."""
        return self._over is not None

    @property
    def link(self) -> Message | None:
        """EventLinkConnected of the present link."""
        return self._link.link if self._link is not None else None

    @property
    def pictures(self) -> Mapping[str, Picture]:
        """What is known of each DN, by everything received so far, whether a program has read it or not."""
        return self._tracker.pictures

    def events(
        self, what: What | None = None, dn: str | None = None, conn_id: int | None = None
    ) -> Subscription:
        """A subscription to what comes from now on: every message that answers no request, and what befell the link.

        Messages may be narrowed down by type or types, a function, their ThisDN, their ConnID.
        """
        wants = None
        if what is not None or dn is not None or conn_id is not None:
            wants, _ = matcher(_every if what is None else what, dn, conn_id)
        made = Subscription(wants, dn, self._event_queue, lambda: self._tracker.pictures)
        self._subscriptions.add(made)
        if self.closed:
            made.close()
        return made

    async def wait_for(
        self,
        what: What,
        dn: str | None = None,
        conn_id: int | None = None,
        timeout_s: float | None = None,
    ) -> Message:
        """The first message that nobody took by `wait_for` yet, come already or to come; raises `TLibTimeout`.

        What subscriptions read is not missing here.
        """
        limit_s = self.timeout_s if timeout_s is None else timeout_s
        wants, meaning = matcher(what, dn, conn_id)
        try:
            event = await self._kept.get(limit_s, lambda e: isinstance(e, Message) and wants(e))
        except Closed:
            end = self._over or ConnectionLost("closed", "")
            raise ConnectionLost(end.kind, end.text) from None
        except TLibTimeout:
            raise TLibTimeout(f"{self.hello.application}: no {meaning} within {limit_s:g} s") from None
        assert isinstance(event, Message)
        return event

    async def request(self, message: Message, timeout_s: float | None = None) -> Message:
        """Send a request over the link, which is waited for, and return its answer; as `Client.request`."""
        limit_s = self.timeout_s if timeout_s is None else timeout_s
        deadline = asyncio.get_running_loop().time() + limit_s
        link = await self._linked(deadline, message.name)
        return await link.request(message, max(0.0, deadline - asyncio.get_running_loop().time()))

    async def until_connected(self, timeout_s: float | None = None) -> None:
        """Wait for the link; raises `TLibTimeout`, or `ConnectionLost` when it has ended."""
        limit_s = self.timeout_s if timeout_s is None else timeout_s
        await self._linked(asyncio.get_running_loop().time() + limit_s, "EventLinkConnected")

    async def register_address(
        self,
        dn: str,
        register_mode: RegisterMode = RegisterMode.Share,
        control_mode: ControlMode = ControlMode.RegisterDefault,
        address_type: AddressType = AddressType.DN,
        extensions: Pairs = (),
    ) -> Message:
        """TRegisterAddress, now and after each loss; a loss before the answer is waited out."""
        given = Registration(register_mode, control_mode, address_type, pairs_of(extensions))
        deadline = asyncio.get_running_loop().time() + self.timeout_s
        while True:
            link = await self._linked(deadline, f"registration of {dn}")
            try:
                answer = await given.over(link, dn)
            except ConnectionLost:
                continue
            self._registrations[dn] = given
            self._tracker.singles[dn] = None
            self._held[dn] = None
            return answer

    async def unregister_address(
        self, dn: str, control_mode: ControlMode = ControlMode.RegisterDefault, extensions: Pairs = ()
    ) -> Message:
        """TUnregisterAddress; whatever becomes of it, the DN is not registered again.

        Without a link there is nothing to take back: an EventUnregistered made here is returned.
        """
        self._registrations.pop(dn, None)
        self._tracker.singles.pop(dn, None)
        try:
            if self._link is not None and self.connected:
                answer = await self._link.unregister_address(dn, control_mode, extensions)
                self._held.pop(dn, None)
                return answer
        except ConnectionLost:
            pass
        finally:
            if self._bulk is None:
                self._tracker.forget(dn)
            else:
                self._tracker.doubtful[dn] = None  # the bulk request may have it still
                self._arm_repair()
        return Message(MessageType.EventUnregistered, 0, {Attribute.ThisDN: dn})

    async def register_all(self, node_dns: bool = False, extensions: Pairs = ()) -> Message:
        """The bulk request of smart clients, now and after each loss."""
        answer = await super().register_all(node_dns, extensions)
        self._bulk, self._bulk_extensions = node_dns, extensions
        return answer

    async def unregister_all(self) -> Message:
        """Ends the bulk registration, now and for ever."""
        self._bulk = None
        answer = await super().unregister_all()
        for dn in [dn for dn in self._tracker.pictures if dn not in self._registrations]:
            self._tracker.forget(dn)
        return answer

    async def start_session(self, session_id: str = "", extensions: Pairs = ()) -> Message:
        """Opens a reporting session, now and after each loss, then behind the last event that was heard."""
        before, self._session = self._session, Reporting(session_id, extensions)
        try:
            return await super().start_session(session_id, extensions)
        except BaseException:
            self._session = before
            raise

    async def end_session(self) -> Message:
        """Ends the reporting session, now and for ever; after ConnectionLost it is open again: ask again."""
        answer = await super().end_session()
        self._session = None
        return answer

    @property
    def session_answer(self) -> Message | None:
        """The last EventACK of the reporting session: its status, and what followed."""
        return None if self._session is None else self._session.answer

    async def aclose(self) -> None:
        """End it; subscriptions end once they are read."""
        self._finish(ConnectionLost("closed", "the client closed the connection"))
        await self._stop_repair()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._link is not None:
            await self._link.aclose()

    async def __aenter__(self) -> Supervised:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # what links say

    def heard(self, link: Link, message: Message, answered: bool) -> None:
        """A message of a link; what comes of one that was given up already is not looked at."""
        if link is not self._link:
            return
        if self._session is not None and not self._session.feed(link.node, message):
            return
        self._farewell = self._farewell or message.id == MessageType.EventLinkDisconnected
        for event in self._tracker.feed(message, answered):
            self.publish(event)
        if self._tracker.doubtful:
            self._arm_repair()

    def publish(self, event: Event) -> None:
        """Give an event to every subscription."""
        for subscription in list(self._subscriptions):
            subscription.put(event)

    # keeping it up

    async def start(self, dns: Iterable[str], bulk: bool | None, session: str, extensions: Pairs) -> None:
        """Connect for the first time, trying each endpoint until `timeout_s`; raises what the last attempt raised."""
        for dn in dns:
            self._registrations[dn] = Registration()
            self._tracker.singles[dn] = None
        self._bulk = bulk
        self._session = Reporting(session, extensions) if session or extensions else None
        try:
            async with asyncio.timeout(self.timeout_s):
                await self._connect(first=True)
        except TimeoutError:
            raise self.last_error or TLibTimeout(f"no link within {self.timeout_s:g} s") from None
        self._task = asyncio.create_task(self._supervise())

    async def _supervise(self) -> None:
        try:
            while True:
                link = self._link
                assert link is not None
                since = asyncio.get_running_loop().time()
                lost = await link.wait_closed()
                self._ready.clear()
                self.place = link.left_at if self._tracker.settled else None
                await self._stop_repair()
                held_s = asyncio.get_running_loop().time() - since
                self.publish(lost)
                kept = self.place is not None or (self._session is not None and self._session.is_kept)
                if not kept or self._farewell or lost.kind != "closed":
                    self._next += 1  # the other one first
                self._attempt = 0 if held_s >= self._backoff.stable_s else self._attempt + 1
                async with asyncio.timeout(self._give_up_s):
                    await self._connect(first=False)
        except TimeoutError:
            self._finish(ConnectionLost("gave-up", f"no link within {self._give_up_s:g} s: {self.last_error}"))
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._finish(ConnectionLost("failed", f"{type(error).__name__}: {error}"))
            raise

    async def _connect(self, first: bool) -> None:
        """Try the endpoints in turn until one is linked and everything is registered there."""
        while True:
            if not first or self._attempt:
                await asyncio.sleep(self._backoff.wait_s(self._attempt, self._random))
            refusals = 0
            for _ in self.endpoints:
                endpoint = self.endpoints[self._next % len(self.endpoints)]
                try:
                    await self._connect_to(endpoint, first)
                except (ClientError, OSError) as error:
                    self.last_error = error
                    refusals += isinstance(error, TLibError)
                    self._next += 1
                else:
                    self.endpoint = endpoint
                    return
            if first and refusals == len(self.endpoints):
                assert self.last_error is not None
                raise self.last_error
            self._attempt += 1

    async def _connect_to(self, endpoint: Endpoint, first: bool) -> None:
        link = await dial(lambda: Link(self), *endpoint, self._connect_timeout_s, self._tls)
        self._link, self._farewell = link, False
        try:
            why = "" if first else f"connected again to {endpoint[0]}:{endpoint[1]}"
            if link.goes_on:
                await self._go_on(link, f"{why}, which goes on")
            else:
                self.place = None
                self._tracker.linked(link.link)
                await self._restore(link, self._registrations, kept=False, first=first, why=why)
        except BaseException:
            self.place = link.left_at if link.goes_on and self._tracker.settled else None
            self._link = None
            link.abort()
            raise
        self._ready.set()
        if self._tracker.doubtful:
            self._arm_repair()

    async def _go_on(self, link: Link, why: str) -> None:
        """The server has kept what was registered and sends what was missed: say so, then what changed meanwhile."""
        self._tracker.goes_on(link.link)
        pictures = dict(self._tracker.pictures)
        dns = tuple(dict.fromkeys((*self._registrations, *pictures)))
        self.publish(Resynchronised(dns, False, {}, pictures, (), {}, why))
        link.adopted()
        for dn in [dn for dn in self._held if dn not in self._registrations]:
            with contextlib.suppress(TLibError):  # it was taken back already, only the answer was lost
                await link.unregister_address(dn)
            self._held.pop(dn, None)
        if link.closed:
            raise await link.wait_closed()

    async def _restore(
        self, link: Link, dns: Mapping[str, Registration], *, kept: bool, first: bool, why: str
    ) -> None:
        """Register DNs again and say what changed; raises what ends the link."""
        refused: dict[str, TLibError] = {}
        asked = dict(dns)
        waiting = iter(asked.items())

        async def register() -> None:
            for dn, given in waiting:
                try:
                    await given.over(link, dn)
                except TLibError as error:
                    refused[dn] = error

        self._tracker.begin(kept)
        try:
            link.adopted()
            if self._session is not None:
                await link.start_session(self._session.name, self._session.extensions(link.node))
            if self._bulk is not None:
                await link.register_all(self._bulk, self._bulk_extensions)
            await together([register] * min(IN_FLIGHT, len(asked)))
            for dn in [dn for dn in asked if dn not in self._registrations and dn not in refused]:
                await link.unregister_address(dn)  # taken back meanwhile
                self._tracker.forget(dn)
                del asked[dn]
            if link.closed:
                raise await link.wait_closed()
            if first and refused:
                raise next(iter(refused.values()))
        except BaseException:
            self._tracker.fail()
            raise
        if not kept:
            self._held = {}
        self._held.update(dict.fromkeys(dn for dn in asked if dn not in refused))
        blind = self._session is not None and not self._session.is_whole
        missed = None if self._session is None else self._session.lost
        told = self._tracker.end(asked, self._bulk is not None, blind, refused, why, missed)
        for event in told[1:] if first else told:
            self.publish(event)

    # holes

    def _arm_repair(self) -> None:
        if self._repair is None and self._repairing is None:
            self._repair = asyncio.get_running_loop().call_later(HOLE_S, self._on_hole)

    def _on_hole(self) -> None:
        self._repair = None
        if self._tracker.doubtful and self._link is not None and self.connected:
            self._repairing = asyncio.create_task(self._fill(self._link))

    async def _fill(self, link: Link) -> None:
        """Events of a DN are missing and the server does not say so: ask it for the picture."""
        try:
            doubtful, known = list(self._tracker.doubtful), self._registrations
            dns = {dn: known[dn] for dn in doubtful if dn in known}
            await self._restore(link, dns, kept=True, first=False, why="events were missing")
            for dn in doubtful:
                self._tracker.doubtful.pop(dn, None)
        except ClientError as error:
            link.give_up("hole", f"events were missing, and the server does not tell them: {error}")
        finally:
            self._repairing = None
            if self._tracker.doubtful:
                self._arm_repair()

    async def _stop_repair(self) -> None:
        if self._repair is not None:
            self._repair.cancel()
            self._repair = None
        if self._repairing is not None:
            self._repairing.cancel()
            await asyncio.wait([self._repairing])

    # ends

    async def _linked(self, deadline: float, what: str) -> Link:
        """The link, once everything is registered over it."""
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    await self._ready.wait()
                    if self._over is not None:
                        raise ConnectionLost(self._over.kind, self._over.text)
                    if self._link is not None and not self._link.closed:
                        return self._link
                    await asyncio.sleep(0)  # lost just now: the supervisor takes notice before long
        except TimeoutError:
            text = f"no link for {what}" + (f": {self.last_error}" if self.last_error else "")
            raise TLibTimeout(text) from None

    def _finish(self, why: ConnectionLost) -> None:
        """Nothing more will come: who waits for anything hears of it."""
        if self._over is None:
            self._over = why
            if why.kind != "closed":
                self.publish(why)
            for subscription in list(self._subscriptions):
                subscription.close()
            self._ready.set()


async def together(parts: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Run them at the same time; the first that fails ends the others and is raised."""
    tasks = [asyncio.ensure_future(part()) for part in parts]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def connect_supervised(
    endpoints: Sequence[Endpoint],
    *,
    application: str,
    role: str,
    secret: str = "",
    dns: Iterable[str] = (),
    register_all: bool | None = None,
    session: str = "",
    session_extensions: Pairs = (),
    keepalive_s: float = 10.0,
    timeout_s: float = REQUEST_TIMEOUT_S,
    connect_timeout_s: float = 3.6,
    give_up_s: float | None = None,
    backoff: Backoff | None = None,
    event_queue: int = EVENT_QUEUE,
    capabilities: Mapping[str, str | int] | None = None,
    limits: Limits | None = None,
    tls: ssl.SSLContext | None = None,
    random: Random | None = None,
) -> Supervised:
    """Connect to a primary and its backup, register, and stay connected until `aclose`.

    `endpoints` are tried in order. `dns` are registered singly, `register_all` asks for every DN of the node (True:
    with Routing Points and trunks), `session` names a reporting session (`session_extensions` as in `start_session`):
    all of it again after each loss, the session behind the last event that was heard. Either side polls after
    `keepalive_s` of silence, so that a stalled peer is noticed after twice that. `timeout_s` is the deadline of this
    and of each request, `connect_timeout_s` of one attempt (the published default of libraries); after `give_up_s`
    without a link it ends. Raises what the last attempt raised.
    """
    hello = Hello(
        application=application,
        role=role,
        secret=secret,
        capabilities=((RESUME, 1), *(capabilities or {}).items()),
        keepalive_ms=int(keepalive_s * 1_000),
        keepalive_remote_ms=int(keepalive_s * 1_000),
    )
    client = Supervised(
        endpoints,
        hello,
        limits=limits or Limits(),
        keepalive_s=keepalive_s,
        timeout_s=timeout_s,
        connect_timeout_s=connect_timeout_s,
        give_up_s=give_up_s,
        backoff=backoff or Backoff(),
        event_queue=event_queue,
        tls=tls,
        random=random or Random(),
    )
    try:
        await client.start(dns, register_all, session, session_extensions)
    except BaseException:
        await client.aclose()
        raise
    return client


def _every(message: Message) -> bool:
    return True
