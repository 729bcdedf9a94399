"""A reporting session on the client's side: what it asks with, what it has heard already, and after a loss."""

from __future__ import annotations

import asyncio

import pytest

from refserver.client import ConnectionLost, Resynchronised, TLibError
from refserver.client_reporting import Reporting, sequence_id
from refserver.client_supervised import Backoff, Supervised, connect_supervised
from tests.refserver.tlib_server import ScriptedServer, listening
from tlib_proto.constants import Attribute, MessageType
from tlib_proto.records import Message
from tlib_proto.testing import named

M = MessageType
QUICK = Backoff(first_s=0.001, most_s=0.01, stable_s=0.0)


def event(number: int) -> Message:
    return named(M.EventCallCreated, 0, ConnID=1, Extensions=(("SequenceId", f"{number:016d}"),))


def answer(status: str, **more: int) -> Message:
    return named(M.EventACK, 0, Extensions=(("session-status", status), ("events-in-cache", 0), *more.items()))


def test_an_event_s_number_is_read_as_it_is() -> None:
    assert sequence_id(event(12)) == "0000000000000012"
    assert sequence_id(named(M.EventRinging, ThisDN="1001")) == ""
    assert sequence_id(named(M.EventRinging, Extensions=(("SequenceId", 12),))) == ""


def test_it_asks_behind_the_last_event_of_that_server() -> None:
    session = Reporting("icon", {"UdataFilter": {"key-1": "skill"}, "SequenceId": "7" * 16})
    first = (("UdataFilter", (("key-1", "skill"),)), ("SequenceId", "7" * 16))
    assert session.extensions("n1") == first
    assert session.feed("n1", answer("new"))
    assert [session.feed("n1", event(number)) for number in (1, 2, 2, 1, 3)] == [True, True, False, False, True]
    assert session.extensions("n1")[1] == ("SequenceId", "0000000000000003")
    assert session.extensions("n2") == first[:1]
    assert session.feed("n2", event(1))


@pytest.mark.parametrize(
    ("status", "kept", "whole"),
    [("new", True, False), ("resumed", True, True), ("gap", True, False), ("ended", False, False), ("", False, False)],
)
def test_what_the_server_says_of_it(status: str, kept: bool, whole: bool) -> None:
    session = Reporting("icon")
    assert (session.is_kept, session.is_whole, session.lost) == (False, False, None)
    session.feed("n1", answer(status, **{"events-lost": 3} if status == "gap" else {}))
    assert (session.is_kept, session.is_whole) == (kept, whole)
    assert session.lost == (3 if status == "gap" else None)
    assert not Reporting("").is_kept


def test_a_session_that_begins_anew_counts_anew() -> None:
    session = Reporting("icon")
    session.feed("n1", answer("new"))
    session.feed("n1", event(9))
    session.feed("n1", answer("new"))
    assert session.extensions("n1") == ()
    assert session.feed("n1", event(4))


class Server:
    """What all connections of a test are told: the answers to come, in turn."""

    def __init__(self, *answers: Message) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, object]] = []
        self.connections: list[ScriptedServer] = []

    def connect(self) -> ScriptedServer:
        self.connections.append(ScriptedServer(self.answer))
        return self.connections[-1]

    def answer(self, message: Message) -> list[Message]:
        self.asked.append(dict(message.pairs(Attribute.Extensions)))
        return [self.answers.pop(0)]

    def cut(self) -> None:
        transport = self.connections[-1].transport
        assert transport is not None
        transport.abort()


def numbers(events: list[object]) -> list[int]:
    return [int(sequence_id(event)) for event in events if isinstance(event, Message) and sequence_id(event)]


def run(server: Server, body: object) -> None:
    async def whole() -> None:
        async with asyncio.timeout(20), listening(server.connect) as one, listening(server.connect) as two:
            client = await connect_supervised(
                [one, two], application="ICON", role="reporting", session="icon", backoff=QUICK
            )
            async with client:
                await body(client, one)  # type: ignore[operator]

    asyncio.run(whole())


def test_after_a_loss_it_goes_on_at_the_same_server_and_nothing_comes_twice() -> None:
    server = Server(answer("new"), answer("resumed"), answer("gap", **{"events-lost": 5}), answer("new"))

    async def body(client: Supervised, first: object) -> None:
        events = client.events()
        for number in (1, 2):
            server.connections[-1].send(event(number))
        assert numbers([await events.get(5), await events.get(5)]) == [1, 2]
        told = []
        for again in ((2, 3), (9,), (4,)):
            server.cut()
            assert isinstance(await events.get(5), ConnectionLost)
            told.append(await events.get(5))
            assert isinstance(told[-1], Resynchronised)
            assert client.endpoint == first
            for number in again:
                server.connections[-1].send(event(number))
            assert numbers([await events.get(5)]) == [again[-1]]
        assert [(one.gap, one.lost) for one in told] == [(False, {}), (True, {"": 5}), (True, {"": None})]
        assert client.session_answer.pairs(Attribute.Extensions)[0] == ("session-status", "new")
        after = [asked.get("SequenceId") for asked in server.asked]
        assert after == [None, f"{2:016d}", f"{3:016d}", f"{9:016d}"]

    run(server, body)


def test_one_that_was_ended_is_not_opened_again() -> None:
    server = Server(answer("new"), answer("active"), answer("ended"))

    async def body(client: Supervised, first: object) -> None:
        await client.acknowledge_events(f"{1:016d}")
        await client.end_session()
        assert client.session_answer is None
        events = client.events()
        server.cut()
        while not isinstance(await events.get(5), Resynchronised):
            pass
        assert server.asked[1:] == [{"Acknowledged": f"{1:016d}"}, {"SessionEnd": 1}]

    run(server, body)


def test_an_end_that_is_lost_can_be_asked_for_again() -> None:
    server = Server(answer("new"), answer("ended"), answer("resumed"), answer("ended"))

    async def body(client: Supervised, first: object) -> None:
        asked = asyncio.create_task(client.end_session())
        while not asked.done():
            server.cut()
            await asyncio.sleep(0)
        with pytest.raises(ConnectionLost):
            await asked
        server.answers[:] = [answer("resumed"), answer("ended")]
        assert (await client.end_session()).id == M.EventACK
        assert client.session_answer is None

    run(server, body)


def test_one_that_is_refused_leaves_the_one_that_is_there() -> None:
    server = Server(answer("new"), named(M.EventError, 0, ErrorCode=53), answer("resumed"))

    async def body(client: Supervised, first: object) -> None:
        with pytest.raises(TLibError):
            await client.start_session("other")
        events = client.events()
        server.cut()
        while not isinstance(await events.get(5), Resynchronised):
            pass
        assert [asked.get("SessionId") for asked in server.asked] == ["icon", "other", "icon"]

    run(server, body)
