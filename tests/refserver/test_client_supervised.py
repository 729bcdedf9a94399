"""A client that stays connected, against scripted servers on loopback sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest

import refserver.client
from refserver import client_supervised
from refserver.client import ConnectionLost, TLibError, TLibTimeout
from refserver.client_events import Event, Resynchronised
from refserver.client_supervised import Backoff, Supervised, connect_supervised, together
from refserver.mailbox import Closed
from tests.refserver.tlib_server import ScriptedServer, listening
from tlib_proto.constants import Attribute, MessageType
from tlib_proto.records import Hello, Message, Value
from tlib_proto.testing import Numbers, named

M = MessageType
QUICK = Backoff(first_s=0.001, most_s=0.01, stable_s=0.0)
ANSWERS = {
    M.RequestUnregisterAddress: M.EventUnregistered,
    M.RequestUnregisterAll: M.EventUnregisteredAll,
    M.RequestPrivateService: M.EventACK,
    M.RequestAgentReady: M.EventAgentReady,
    M.RequestQueryServer: M.EventServerInfo,
}


class Switch:
    """What all servers of a test tell: DNs, their numbers, who is connected."""

    def __init__(self) -> None:
        self.numbers = Numbers()
        self.pairs: dict[str, object] = {}
        self.connections: list[ScriptedServer] = []
        self.refused: tuple[str, ...] = ()
        self.silent: tuple[M, ...] = ()
        self.refuse = 0
        self.mute = False
        self.places = True
        self.bulk: tuple[str, ...] = ()
        self.asked: list[tuple[str, str]] = []
        self.while_asked: Callable[[str], None] = lambda dn: None

    def connect(self) -> ScriptedServer:
        link: dict[int, Value] = self.stamp(named(M.EventLinkConnected, NodeName="n1")).attributes
        self.connections.append(ScriptedServer(self.answer, self.refuse, self.mute, link))
        return self.connections[-1]

    def stamp(self, message: Message, happens: bool = True) -> Message:
        return self.numbers.stamp(message, happens) if self.places else message

    def registered(self, dn: str, ref: int = 0) -> Message:
        pairs = self.pairs.get(dn, (("status", 1),))
        return self.stamp(named(M.EventRegistered, ref, ThisDN=dn, Extensions=pairs), False)  # type: ignore[arg-type]

    def answer(self, message: Message) -> list[Message]:
        dn = message.text(Attribute.ThisDN)
        self.asked.append((message.name, dn))
        if message.id in self.silent:
            return []
        if dn in self.refused:
            return [named(M.EventError, message.ref, ErrorCode=59, ThisDN=dn)]
        if message.id == M.RequestRegisterAddress:
            self.while_asked(dn)
            return [self.registered(dn)]
        if message.id == M.RequestRegisterAll:
            # ReferenceID of the list's elements is that of the request here: the peer fills in 0
            return [*(self.registered(d, 0) for d in self.bulk), Message(M.EventRegisteredAll)]
        answer = ANSWERS[M(message.id)]
        return [self.stamp(Message(answer, 0, message.attributes), bool(dn))]

    def say(self, kind: M, dn: str, **attributes: Value) -> Message:
        """An event to everybody who is connected."""
        message = self.stamp(named(kind, 0, ThisDN=dn, **attributes))
        for connection in self.connections:
            if connection.transport is not None and not connection.transport.is_closing():
                connection.send(message)
        return message

    def cut(self, clean: bool = False) -> None:
        for connection in self.connections:
            if connection.transport is not None:
                if clean:
                    connection.transport.close()
                else:
                    connection.transport.abort()


@asynccontextmanager
async def supervised(switch: Switch, **options: object) -> AsyncIterator[Supervised]:
    async with listening(switch.connect) as one, listening(switch.connect) as two:
        given = {
            "application": "desk",
            "role": "desktop",
            "timeout_s": 5.0,
            "backoff": QUICK,
            "random": Random(1),
            "endpoints": [one, two],
            **options,
        }
        async with await connect_supervised(given.pop("endpoints"), **given) as client:  # type: ignore[arg-type]
            yield client


def run(body: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await body()

    asyncio.run(limited())


@pytest.mark.parametrize("clean", [False, True])
def test_a_lost_link_is_told_and_the_dns_are_registered_again_at_the_other_server(clean: bool) -> None:
    async def body() -> None:
        switch = Switch()
        async with supervised(switch, dns=["1001", "1002"]) as client:
            events = client.events()
            first = client.endpoint
            switch.cut(clean)
            assert isinstance(await events.get(5), ConnectionLost)
            told = await events.get(5)
            assert isinstance(told, Resynchronised)
            assert (set(told.dns), told.gap, client.connected) == ({"1001", "1002"}, False, True)
            assert client.endpoint != first
            event = switch.say(M.EventRinging, "1001", ConnID=1)
            assert await events.get(5) == event
            assert list(client.pictures["1001"].calls) == [1]

    run(body)


class Keeping(Switch):
    """Servers that keep what a lost client registered, and go on behind its last event."""

    def __init__(self) -> None:
        super().__init__()
        self.missed: list[Message] = []
        self.goes_on = True
        self.breaks = 0

    def connect(self) -> ScriptedServer:
        made = super().connect()
        made.link.update({Attribute.SessionID: "s1", Attribute.Capabilities: (("resume", 30),)})
        made.greeted = lambda hello: self.greeted(made, hello)
        return made

    def greeted(self, made: ScriptedServer, hello: Hello) -> None:
        if self.goes_on and hello.session_id == "s1" and hello.resume:
            made.link[Attribute.Resume] = hello.resume
            asyncio.get_running_loop().call_soon(self.catch_up, made)

    def catch_up(self, made: ScriptedServer) -> None:
        for message in self.missed:
            made.send(message)
        if self.breaks:
            self.breaks -= 1
            self.cut()
        else:
            self.missed = []


def places(events: list[Event]) -> list[int]:
    return [e.number(Attribute.DNSequence) for e in events if isinstance(e, Message)]


def test_a_server_that_kept_the_session_is_gone_on_with_and_nothing_was_missed() -> None:
    async def body() -> None:
        switch = Keeping()
        async with supervised(switch, dns=["1001", "1002"]) as client:
            events, first = client.events(), client.endpoint
            switch.say(M.EventDNOutOfService, "1001")
            await events.get(5)
            switch.asked.clear()
            switch.cut()
            switch.missed = [switch.say(M.EventDNBackInService, "1001"), switch.say(M.EventDNOutOfService, "1001")]
            lost, told, *missed = [await events.get(5) for _ in range(4)]
            assert isinstance(lost, ConnectionLost)
            assert isinstance(told, Resynchronised)
            assert (set(told.dns), told.gap, told.lost, told.changes) == ({"1001", "1002"}, False, {}, ())
            assert not told.pictures["1001"].in_service
            assert [message.name for message in missed] == ["EventDNBackInService", "EventDNOutOfService"]
            assert (client.endpoint, switch.asked) == (first, [])
            assert switch.say(M.EventDNBackInService, "1001") == await events.get(5)
            assert client.pictures["1001"].in_service

    run(body)


def test_a_server_that_does_not_go_on_is_registered_at_and_counts_what_was_missed() -> None:
    async def body() -> None:
        switch = Keeping()
        async with supervised(switch, dns=["1001"]) as client:
            events, first = client.events(), client.endpoint
            switch.goes_on = False
            switch.cut()
            switch.say(M.EventDNOutOfService, "1001")
            switch.pairs["1001"] = (("status", 0),)
            told = [await events.get(5) for _ in range(2)][1]
            assert isinstance(told, Resynchronised)
            assert (told.gap, told.lost, client.endpoint) == (True, {"1001": 1}, first)
            assert ("RequestRegisterAddress", "1001") in switch.asked[1:]

    run(body)


def test_a_session_is_gone_on_with_over_several_losses_in_a_row() -> None:
    async def body() -> None:
        switch = Keeping()
        async with supervised(switch, dns=["1001"]) as client:
            events = client.events()
            switch.breaks = 3
            switch.cut()
            switch.missed = [switch.say(M.EventDNOutOfService, "1001"), switch.say(M.EventDNBackInService, "1001")]
            heard: list[Event] = []
            while len(places(heard)) < 2:
                heard.append(await events.get(5))
            assert places(heard) == sorted(set(places(heard)))
            assert not any(event.gap for event in heard if isinstance(event, Resynchronised))

    run(body)


def test_a_registration_that_was_taken_back_without_a_link_is_taken_back_when_it_goes_on() -> None:
    async def body() -> None:
        switch = Keeping()
        async with supervised(switch, dns=["1001", "1002"]) as client:
            events = client.events()
            switch.cut()
            await client.unregister_address("1002")
            while not isinstance(told := await events.get(5), Resynchronised):
                pass
            assert told.dns == ("1001",)
            await client.until_connected()
            assert switch.asked[-1] == ("RequestUnregisterAddress", "1002")
            switch.cut()
            switch.asked.clear()
            while not isinstance(await events.get(5), Resynchronised):
                pass
            await client.until_connected()
            assert switch.asked == []

    run(body)


def test_after_a_farewell_the_other_server_is_asked_first() -> None:
    async def body() -> None:
        switch = Keeping()
        async with supervised(switch, dns=["1001"]) as client:
            events, first = client.events(), client.endpoint
            switch.say(M.EventLinkDisconnected, "", ErrorMessage="the server stops")
            await events.get(5)
            switch.goes_on = False
            switch.cut()
            while not isinstance(await events.get(5), Resynchronised):
                pass
            assert client.endpoint != first

    run(body)


def test_what_was_missed_is_counted_and_what_changed_is_shown() -> None:
    async def body() -> None:
        switch = Switch()
        async with supervised(switch, dns=["1001", "1002"]) as client:
            events, narrow = client.events(), client.events(dn="1001")
            switch.cut()
            switch.say(M.EventDNOutOfService, "1002")
            switch.pairs["1002"] = (("status", 0),)
            told = [await events.get(5) for _ in range(2)][1]
            assert isinstance(told, Resynchronised)
            assert (told.gap, told.lost) == (True, {"1002": 1})
            assert [change.dn for change in told.changes] == ["1002"]
            assert not told.pictures["1002"].in_service
            assert told.why.startswith("connected again to 127.0.0.1:")
            assert len(narrow.unread()) == 2

    run(body)


def test_events_are_given_by_filter_to_whoever_asked() -> None:
    async def body() -> None:
        switch = Switch()
        async with supervised(switch, dns=["1001", "1002"]) as client:
            kinds = client.events((M.EventRinging, M.EventReleased))
            dn = client.events(dn="1002")
            call = client.events(conn_id=7)
            chosen = client.events(lambda m: m.number(Attribute.ConnID) == 8, dn="1001")
            faulty = client.events(lambda m: 1 // 0 == 0)
            a = switch.say(M.EventRinging, "1001", ConnID=7)
            b = switch.say(M.EventEstablished, "1002", ConnID=7)
            c = switch.say(M.EventReleased, "1001", ConnID=8)
            assert await client.wait_for(M.EventReleased, dn="1001") == c
            assert await client.wait_for(M.EventEstablished) == b
            got = [subscription.unread() for subscription in (kinds, dn, call, chosen)]
            assert got == [[a, c], [b], [a, b], [c]]
            with pytest.raises(ZeroDivisionError):
                await faulty.get(1)
            with pytest.raises(TLibTimeout, match="desk: no EventHeld within"):
                await client.wait_for(M.EventHeld, timeout_s=0.01)
            with pytest.raises(TLibTimeout, match="no event within"):
                await kinds.get(0.01)

    run(body)


def test_a_request_waits_for_the_link_and_one_that_was_sent_is_not_sent_again() -> None:
    async def body() -> None:
        switch = Switch()
        switch.silent = (M.RequestQueryServer,)
        async with supervised(switch, dns=["1001"]) as client:
            asked = asyncio.create_task(client.query_server())
            while ("RequestQueryServer", "") not in switch.asked:
                await asyncio.sleep(0)
            switch.cut()
            with pytest.raises(ConnectionLost):
                await asked
            assert (await client.agent_set_ready("1001")).id == M.EventAgentReady
            assert switch.asked.count(("RequestQueryServer", "")) == 1

    run(body)


def test_without_a_link_requests_end_at_their_deadline_and_it_gives_up_when_told_to() -> None:
    async def body() -> None:
        switch = Switch()
        async with listening(switch.connect) as address:
            client = await connect_supervised(
                [address], application="desk", role="desktop", backoff=QUICK, give_up_s=0.3, timeout_s=2
            )
            events = client.events()
        async with client:
            assert isinstance(await events.get(5), ConnectionLost)
            with pytest.raises(TLibTimeout, match=r"no link for RequestQueryServer: .*failed"):
                await client.request(Message(M.RequestQueryServer), timeout_s=0.05)
            end = await events.get(5)
            assert isinstance(end, ConnectionLost)
            assert (end.kind, client.closed, client.connected) == ("gave-up", True, False)
            with pytest.raises(Closed):
                await events.get(5)
            with pytest.raises(ConnectionLost, match="no link within"):
                await client.query_server()
            with pytest.raises(ConnectionLost, match="no link within"):
                await client.wait_for(M.EventRinging)
            assert [event async for event in client.events()] == []

    run(body)


def test_a_stalled_server_is_noticed_within_twice_the_keep_alive() -> None:
    async def body() -> None:
        switch = Switch()
        async with supervised(switch, dns=["1001"], keepalive_s=0.1) as client:
            events = client.events()
            switch.connections[0].data_received = lambda data: None  # type: ignore[method-assign]
            start = asyncio.get_running_loop().time()
            lost = await events.get(5)
            assert isinstance(lost, ConnectionLost)
            assert lost.kind == "keep-alive"
            assert asyncio.get_running_loop().time() - start < 1.0
            assert isinstance(await events.get(5), Resynchronised)
            assert switch.connections[0].hello is not None
            assert switch.connections[0].hello.keepalive_remote_ms == 100

    run(body)


def test_a_server_that_breaks_off_or_stays_silent_while_dns_are_registered_is_left_for_the_other() -> None:
    async def body() -> None:
        switch = Switch()
        async with supervised(switch, dns=["1001"], timeout_s=0.2) as client:
            events = client.events()
            times = iter((True, False))

            def breaking(dn: str) -> None:
                if next(times, False):
                    switch.cut()

            switch.while_asked = breaking
            switch.cut()
            await events.get(5)
            assert isinstance(await events.get(5), Resynchronised)
            assert len(switch.connections) == 3

            switch.silent = (M.RequestRegisterAddress,)
            switch.cut()
            await events.get(5)
            while len(switch.connections) < 5:
                await asyncio.sleep(0.01)
            switch.silent = ()
            assert isinstance(await events.get(5), Resynchronised)
            assert isinstance(client.last_error, TLibTimeout)

    run(body)


def test_a_refusal_at_the_first_connection_is_raised_and_one_later_is_tried_again() -> None:
    async def body() -> None:
        switch = Switch()
        switch.refuse = 1158
        with pytest.raises(TLibError, match="1158"):
            async with supervised(switch):
                pass
        switch.refuse = 0
        switch.refused = ("9999",)
        with pytest.raises(TLibError, match="59"):
            async with supervised(switch, dns=["9999"]):
                pass
        async with supervised(switch, dns=["1001"]) as client:
            events = client.events()
            switch.refuse = 1158
            switch.cut()
            await events.get(5)
            while not isinstance(client.last_error, TLibError):
                await asyncio.sleep(0.001)
            switch.refuse = 0
            assert isinstance(await events.get(5), Resynchronised)

    run(body)


def test_nobody_there_at_the_first_connection_is_raised_at_the_deadline() -> None:
    async def body() -> None:
        async with listening(Switch().connect) as address:
            pass
        with pytest.raises(OSError, match="failed"):
            await connect_supervised(
                [address], application="desk", role="desktop", timeout_s=0.1, backoff=QUICK, random=Random(1)
            )
        switch = Switch()
        switch.mute = True
        async with listening(switch.connect) as address:
            with pytest.raises(TLibTimeout, match="no link within"):
                await connect_supervised([address], application="desk", role="desktop", timeout_s=0.1)
        with pytest.raises(ValueError, match="no endpoints"):
            await connect_supervised([], application="desk", role="desktop")

    run(body)


def test_a_dn_that_is_refused_later_is_named() -> None:
    async def body() -> None:
        switch = Switch()
        async with supervised(switch, dns=["1001", "1002"]) as client:
            events = client.events()
            switch.refused = ("1002",)
            switch.cut()
            told = [await events.get(5) for _ in range(2)][1]
            assert isinstance(told, Resynchronised)
            assert told.refused["1002"].number == 59
            assert list(client.pictures) == ["1001"]
            # it is wanted still, and comes back with the next link
            switch.refused = ()
            switch.cut()
            told = [await events.get(5) for _ in range(2)][1]
            assert isinstance(told, Resynchronised)
            assert set(told.dns) == {"1001", "1002"}

    run(body)


def test_registrations_that_come_and_go_are_kept_over_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_supervised, "HOLE_S", 0.02)

    async def body() -> None:
        switch = Switch()
        switch.bulk = ("2001",)
        async with supervised(switch, session="icon") as client:
            events = client.events()
            await client.register_all(node_dns=True)
            assert (await client.register_address("1001")).id == M.EventRegistered
            await client.register_address("1002")
            assert (await client.unregister_address("1002")).ref
            while "1002" in client.pictures:  # until the bulk request was asked whether it has it
                await events.get(5)
            events.unread()
            await client.start_session("icon-2")
            switch.asked.clear()
            switch.cut()
            assert (await client.unregister_address("1001")).ref == 0
            while not isinstance(told := await events.get(5), Resynchronised):
                pass
            assert switch.asked[:2] == [("RequestPrivateService", ""), ("RequestRegisterAll", "")]
            assert "1001" not in [dn for _, dn in switch.asked]
            assert (set(told.dns), list(client.pictures)) == ({"1001", "2001"}, ["2001"])
            await client.unregister_all()
            assert client.pictures == {}
            switch.asked.clear()
            switch.cut()
            while not isinstance(await events.get(5), Resynchronised):
                pass
            assert switch.asked == [("RequestPrivateService", "")]

    run(body)


def test_a_registration_waits_out_a_loss_and_one_that_is_taken_back_meanwhile_is_taken_back() -> None:
    async def body() -> None:
        switch = Switch()
        async with supervised(switch, dns=["1001"]) as client:
            events = client.events()
            times = iter((True, False))

            def breaking(dn: str) -> None:
                if dn == "1002" and next(times, False):
                    switch.cut()

            switch.while_asked = breaking
            assert (await client.register_address("1002")).id == M.EventRegistered
            assert {name for name, dn in switch.asked if dn == "1002"} == {"RequestRegisterAddress"}

            taken: list[asyncio.Task[Message]] = []
            switch.while_asked = lambda dn: (
                taken.append(asyncio.create_task(client.unregister_address("1002"))) if dn == "1002" else None
            )
            events.unread()
            switch.cut()
            while not isinstance(told := await events.get(5), Resynchronised):
                pass
            assert told.dns == ("1001",)
            assert list(client.pictures) == ["1001"]
            assert ("RequestUnregisterAddress", "1002") in switch.asked

    run(body)


def test_a_hole_that_the_server_does_not_explain_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_supervised, "HOLE_S", 0.02)

    async def body() -> None:
        switch = Switch()
        switch.bulk = ("2001",)
        async with supervised(switch, dns=["1001"], register_all=False) as client:
            for dn in ("1001", "2001"):
                events = client.events(dn=dn)
                switch.numbers.stamp(named(M.EventRinging, ThisDN=dn))
                event = switch.say(M.EventReleased, dn, ConnID=1)
                assert await events.get(5) == event
                while not isinstance(told := await events.get(5), Resynchronised):
                    pass
                assert (told.gap, told.lost) == (True, {dn: 2})
                assert len(switch.connections) == 1

    run(body)


@pytest.mark.parametrize("silent", [False, True])
def test_a_server_that_cannot_close_a_hole_is_left(monkeypatch: pytest.MonkeyPatch, silent: bool) -> None:
    monkeypatch.setattr(client_supervised, "HOLE_S", 0.02)

    async def body() -> None:
        switch = Switch()
        async with supervised(switch, dns=["1001"], timeout_s=0.3) as client:
            events = client.events()
            switch.silent = (M.RequestRegisterAddress,)
            switch.numbers.stamp(named(M.EventRinging, ThisDN="1001"))
            event = switch.say(M.EventReleased, "1001", ConnID=1)
            assert await events.get(5) == event
            while switch.asked.count(("RequestRegisterAddress", "1001")) < 2:
                await asyncio.sleep(0.001)
            if not silent:
                switch.cut()
            lost = await events.get(5)
            assert isinstance(lost, ConnectionLost)
            assert (lost.kind == "hole") == silent
            switch.silent = ()
            assert isinstance(await events.get(5), Resynchronised)

    run(body)


def test_a_program_that_does_not_read_is_told_which_dns_it_missed() -> None:
    async def body() -> None:
        switch = Switch()
        async with supervised(switch, dns=["1001", "1002"], event_queue=3) as client:
            events = client.events()
            for number in range(5):
                switch.say(M.EventRinging, "1001" if number % 2 else "1002", ConnID=number)
            await client.wait_for(M.EventRinging, conn_id=4)
            told, last = events.unread()
            assert isinstance(told, Resynchronised)
            assert (set(told.dns), told.gap, told.lost) == ({"1001", "1002"}, True, {"1001": 2, "1002": 2})
            assert isinstance(last, Message)
            assert set(told.pictures["1001"].calls) == {1, 3}

    run(body)


def test_a_fault_of_ours_ends_the_client_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        switch = Switch()
        async with supervised(switch, dns=["1001"]) as client:
            events = client.events()
            monkeypatch.setattr(Backoff, "wait_s", lambda *_: 1 // 0)
            switch.cut()
            lost, end = [await events.get(5) for _ in range(2)]
            assert isinstance(lost, ConnectionLost)
            assert isinstance(end, ConnectionLost)
            assert end.kind == "failed"
            with pytest.raises(ZeroDivisionError):
                await client.aclose()

    run(body)


def test_the_first_failure_of_several_ends_the_others() -> None:
    async def body() -> None:
        ended: list[bool] = []

        async def waits() -> None:
            try:
                await asyncio.sleep(10)
            finally:
                ended.append(True)

        async def fails() -> None:
            await asyncio.sleep(0)
            raise ConnectionLost("closed", "")

        with pytest.raises(ConnectionLost):
            await together([waits, fails])
        assert ended

    run(body)


def test_the_supervised_client_is_a_name_of_the_client_module() -> None:
    assert refserver.client.Supervised is Supervised
    assert refserver.client.connect_supervised is connect_supervised
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        refserver.client.nothing  # noqa: B018


def test_waits_grow_from_round_to_round_up_to_the_most() -> None:
    backoff, random = Backoff(first_s=1, most_s=5), Random(3)
    longest = [max(backoff.wait_s(attempt, random) for _ in range(300)) for attempt in (0, 1, 2, 3, 1000)]
    assert [round(wait) for wait in longest] == [1, 2, 4, 5, 5]
    assert min(backoff.wait_s(9, random) for _ in range(300)) < 0.2
