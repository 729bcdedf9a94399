"""The T-Library client against a scripted server on a loopback socket."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from refserver import client as client_module
from refserver.client import Client, ConnectionLost, EventsLost, TLibError, TLibTimeout, connect
from refserver.client_requests import pairs_of
from tests.refserver.tlib_server import Answer, ScriptedServer, event
from tlib_proto.constants import Attribute, ForwardMode, MessageType
from tlib_proto.records import Message

M = MessageType
ANSWERS = {
    M.RequestRegisterAddress: M.EventRegistered,
    M.RequestUnregisterAddress: M.EventUnregistered,
    M.RequestAgentLogin: M.EventAgentLogin,
    M.RequestAgentLogout: M.EventAgentLogout,
    M.RequestAgentReady: M.EventAgentReady,
    M.RequestAgentNotReady: M.EventAgentNotReady,
    M.RequestSetDNDOn: M.EventDNDOn,
    M.RequestSetDNDOff: M.EventDNDOff,
    M.RequestCallForwardSet: M.EventForwardSet,
    M.RequestCallForwardCancel: M.EventForwardCancel,
    M.RequestQueryCall: M.EventPartyInfo,
    M.RequestMakeCall: M.EventDialing,
    M.RequestAnswerCall: M.EventEstablished,
    M.RequestReleaseCall: M.EventReleased,
    M.RequestHoldCall: M.EventHeld,
    M.RequestRetrieveCall: M.EventRetrieved,
    M.RequestSingleStepTransfer: M.EventReleased,
    M.RequestInitiateTransfer: M.EventDialing,
    M.RequestCompleteTransfer: M.EventReleased,
    M.RequestReconnectCall: M.EventRetrieved,
    M.RequestAlternateCall: M.EventRetrieved,
    M.RequestMuteTransfer: M.EventReleased,
    M.RequestRedirectCall: M.EventReleased,
    M.RequestClearCall: M.EventReleased,
    M.RequestSendDTMF: M.EventDTMFSent,
    M.RequestUpdateUserData: M.EventAttachedDataChanged,
    M.RequestDeletePair: M.EventAttachedDataChanged,
    M.RequestDeleteUserData: M.EventAttachedDataChanged,
    M.RequestRouteCall: M.EventRouteUsed,
    M.RequestAttachUserData: M.EventAttachedDataChanged,
    M.RequestQueryServer: M.EventServerInfo,
    M.RequestQueryAddress: M.EventAddressInfo,
    M.RequestPrivateService: M.EventACK,
    M.RequestUnregisterAll: M.EventUnregisteredAll,
}


def obliging(message: Message) -> list[Message]:
    return [Message(ANSWERS[M(message.id)], message.ref, message.attributes)]


def silent(message: Message) -> list[Message]:
    return []


@asynccontextmanager
async def linked(
    answer: Answer = obliging, refuse: int = 0, mute: bool = False, **options: object
) -> AsyncIterator[tuple[Client, ScriptedServer]]:
    connections: list[ScriptedServer] = []

    def accepted() -> ScriptedServer:
        connections.append(ScriptedServer(answer, refuse, mute))
        return connections[-1]

    server = await asyncio.get_running_loop().create_server(accepted, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    given = {"application": "GWS", "role": "desktop", "timeout_s": 5.0, **options}
    try:
        async with await connect("127.0.0.1", port, **given) as client:  # type: ignore[arg-type]
            yield client, connections[0]
    finally:
        for connection in connections:
            if connection.transport is not None:
                connection.transport.abort()
        server.close()
        await server.wait_closed()


def run(body: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await body()

    asyncio.run(limited())


def test_connect_says_hello_and_returns_once_the_link_is_there() -> None:
    async def body() -> None:
        async with linked(secret="s3cret", session_id="x1") as (client, server):
            assert client.link.id == M.EventLinkConnected
            assert client.link.text(Attribute.NodeName) == "n1"
            assert server.hello is not None
            assert (server.hello.application, server.hello.role, server.hello.secret) == (
                "GWS",
                "desktop",
                "s3cret",
            )

    run(body)


def test_a_refused_hello_raises_the_servers_error() -> None:
    async def body() -> None:
        with pytest.raises(TLibError) as caught:
            async with linked(refuse=1158):
                pass
        assert (caught.value.number, caught.value.name) == (1158, "SECURITY_VIOLATION")
        assert "go away" in str(caught.value)

    run(body)


def test_a_server_that_stays_silent_is_given_up_at_the_deadline() -> None:
    async def body() -> None:
        with pytest.raises(TLibTimeout, match="no EventLinkConnected within"):
            async with linked(mute=True, timeout_s=0.05):
                pass

    run(body)


@pytest.mark.parametrize(
    ("call", "request_id", "carries"),
    [
        (
            lambda c: c.register_address("1001"),
            M.RequestRegisterAddress,
            {"ThisDN": "1001", "RegisterMode": 0},
        ),
        (lambda c: c.unregister_address("1001"), M.RequestUnregisterAddress, {"ThisDN": "1001"}),
        (
            lambda c: c.agent_login("1001", "A1", queue="q"),
            M.RequestAgentLogin,
            {"AgentID": "A1", "ThisQueue": "q"},
        ),
        (lambda c: c.agent_logout("1001"), M.RequestAgentLogout, {"ThisDN": "1001"}),
        (lambda c: c.agent_set_ready("1001"), M.RequestAgentReady, {"ThisDN": "1001"}),
        (lambda c: c.agent_set_not_ready("1001"), M.RequestAgentNotReady, {"ThisDN": "1001"}),
        (lambda c: c.set_dnd_on("1001"), M.RequestSetDNDOn, {"ThisDN": "1001"}),
        (lambda c: c.set_dnd_off("1001"), M.RequestSetDNDOff, {"ThisDN": "1001"}),
        (
            lambda c: c.call_set_forward("1001", "1002"),
            M.RequestCallForwardSet,
            {"ThisDN": "1001", "OtherDN": "1002", "ForwardMode": 1},
        ),
        (
            lambda c: c.call_cancel_forward("1001", ForwardMode.OnBusy),
            M.RequestCallForwardCancel,
            {"ThisDN": "1001", "ForwardMode": 2},
        ),
        (lambda c: c.call_cancel_forward("1001"), M.RequestCallForwardCancel, {"ForwardMode": None}),
        (
            lambda c: c.make_call("1001", "1002", {"k": "v"}),
            M.RequestMakeCall,
            {"OtherDN": "1002", "UserData": (("k", "v"),)},
        ),
        (lambda c: c.answer_call("1001", 7), M.RequestAnswerCall, {"ThisDN": "1001", "ConnID": 7}),
        (lambda c: c.release_call("1001", 7), M.RequestReleaseCall, {"ConnID": 7}),
        (lambda c: c.hold_call("1001", 7), M.RequestHoldCall, {"ConnID": 7}),
        (lambda c: c.retrieve_call("1001", 7), M.RequestRetrieveCall, {"ConnID": 7}),
        (
            lambda c: c.single_step_transfer("1001", 7, "1002", {"k": "v"}),
            M.RequestSingleStepTransfer,
            {"ThisDN": "1001", "ConnID": 7, "OtherDN": "1002", "UserData": (("k", "v"),)},
        ),
        (
            lambda c: c.initiate_transfer("1001", 7, "1002"),
            M.RequestInitiateTransfer,
            {"ThisDN": "1001", "ConnID": 7, "OtherDN": "1002"},
        ),
        (
            lambda c: c.complete_transfer("1001", 7, 8),
            M.RequestCompleteTransfer,
            {"ConnID": 7, "TransferConnID": 8},
        ),
        (
            lambda c: c.reconnect_call("1001", 8, 7),
            M.RequestReconnectCall,
            {"ConnID": 8, "PreviousConnID": 7},
        ),
        (
            lambda c: c.alternate_call("1001", 8, 7),
            M.RequestAlternateCall,
            {"ThisDN": "1001", "ConnID": 8, "PreviousConnID": 7},
        ),
        (
            lambda c: c.mute_transfer("1001", 7, "1002", {"k": "v"}),
            M.RequestMuteTransfer,
            {"ThisDN": "1001", "ConnID": 7, "OtherDN": "1002", "UserData": (("k", "v"),)},
        ),
        (
            lambda c: c.redirect_call("1001", 7, "1002"),
            M.RequestRedirectCall,
            {"ThisDN": "1001", "ConnID": 7, "OtherDN": "1002"},
        ),
        (lambda c: c.query_call("1001", 7), M.RequestQueryCall, {"ConnID": 7, "CallInfoType": 0}),
        (lambda c: c.clear_call("1001", 7), M.RequestClearCall, {"ThisDN": "1001", "ConnID": 7}),
        (
            lambda c: c.send_dtmf("1001", 7, "12#"),
            M.RequestSendDTMF,
            {"ThisDN": "1001", "ConnID": 7, "DTMFDigits": "12#"},
        ),
        (
            lambda c: c.update_user_data("1001", 7, {"a": 1}),
            M.RequestUpdateUserData,
            {"ConnID": 7, "UserData": (("a", 1),)},
        ),
        (lambda c: c.delete_user_data("1001", 7, "a"), M.RequestDeletePair, {"ConnID": 7, "DataKey": "a"}),
        (lambda c: c.delete_all_user_data("1001", 7), M.RequestDeleteUserData, {"ThisDN": "1001", "ConnID": 7}),
        (
            lambda c: c.route_call("8000", 7, "1002"),
            M.RequestRouteCall,
            {"ThisDN": "8000", "OtherDN": "1002"},
        ),
        (
            lambda c: c.attach_user_data("1001", 7, {"a": {"b": 1}}),
            M.RequestAttachUserData,
            {"UserData": (("a", (("b", 1),)),)},
        ),
        (lambda c: c.query_server(), M.RequestQueryServer, {}),
        (lambda c: c.query_address("1001"), M.RequestQueryAddress, {"ThisDN": "1001", "AddressInfoType": 17}),
        (
            lambda c: c.start_session("icon-1"),
            M.RequestPrivateService,
            {"Extensions": (("SessionId", "icon-1"),)},
        ),
        (lambda c: c.unregister_all(), M.RequestUnregisterAll, {}),
    ],
)
def test_each_function_sends_its_request_and_returns_the_event_that_answers_it(
    call: Callable[[Client], Awaitable[Message]], request_id: M, carries: dict[str, object]
) -> None:
    async def body() -> None:
        async with linked() as (client, server):
            answer = await call(client)
            sent = server.received[-1]
            assert sent.id == request_id
            assert answer.id == ANSWERS[request_id]
            assert answer.ref == sent.ref != 0
            assert {key: sent.get(Attribute[key]) for key in carries} == carries

    run(body)


def test_an_event_error_raises_number_name_and_text() -> None:
    def refusing(message: Message) -> list[Message]:
        return [event(M.EventError, message.ref, ErrorCode=56, ErrorMessage="no such call")]

    async def body() -> None:
        async with linked(refusing) as (client, _):
            with pytest.raises(TLibError) as caught:
                await client.answer_call("1001", 1)
            assert (caught.value.number, caught.value.name, caught.value.text) == (
                56,
                "INV_CONNID",
                "no such call",
            )

    run(body)


def test_a_bulk_registration_gives_the_dns_to_events_and_returns_the_end_of_the_list() -> None:
    def bulk(message: Message) -> list[Message]:
        assert message.pairs(Attribute.Extensions) == (("node-dns", 1),)
        each = [event(M.EventRegistered, message.ref, ThisDN=dn) for dn in ("1001", "8000")]
        return [*each, event(M.EventRegisteredAll, message.ref)]

    async def body() -> None:
        async with linked(bulk) as (client, _):
            assert (await client.register_all(node_dns=True)).id == M.EventRegisteredAll
            registered = [await client.wait_for(M.EventRegistered) for _ in range(2)]
            assert [message.get(Attribute.ThisDN) for message in registered] == ["1001", "8000"]

    run(body)


def test_answers_find_their_requests_in_any_order() -> None:
    held: list[Message] = []

    def reversing(message: Message) -> list[Message]:
        held.append(message)
        return [answer for kept in reversed(held) for answer in obliging(kept)] if len(held) == 3 else []

    async def body() -> None:
        async with linked(reversing) as (client, _):
            answers = await asyncio.gather(*(client.hold_call("1001", conn_id) for conn_id in (1, 2, 3)))
            assert [answer.get(Attribute.ConnID) for answer in answers] == [1, 2, 3]

    run(body)


def test_a_request_without_an_answer_ends_at_its_deadline_and_the_late_answer_goes_to_events() -> None:
    async def body() -> None:
        async with linked(silent) as (client, server):
            with pytest.raises(TLibTimeout, match="no answer to RequestHoldCall within"):
                await client.request(event(M.RequestHoldCall, ThisDN="1001", ConnID=1), timeout_s=0.05)
            server.send(event(M.EventHeld, server.received[0].ref, ThisDN="1001"))
            assert (await client.wait_for(M.EventHeld)).ref == server.received[0].ref

    run(body)


def test_events_come_once_each_in_order_and_the_iterator_ends_with_the_connection() -> None:
    async def body() -> None:
        async with linked() as (client, server):
            for number in range(3):
                server.send(event(M.EventRinging, ConnID=number))
            assert server.transport is not None
            server.transport.close()
            assert [message.get(Attribute.ConnID) async for message in client.events()] == [0, 1, 2]
            assert client.closed

    run(body)


def test_events_may_be_narrowed_down_and_the_others_stay() -> None:
    async def body() -> None:
        async with linked() as (client, server):
            for number in range(4):
                server.send(event(M.EventRinging, ThisDN="1001" if number % 2 else "1002", ConnID=number))
            server.send(event(M.EventReleased, ThisDN="1001", ConnID=3))
            assert server.transport is not None
            server.transport.close()
            ringing = [m.get(Attribute.ConnID) async for m in client.events(M.EventRinging, dn="1001")]
            call = [m.name async for m in client.events(conn_id=3)]
            rest = [m.get(Attribute.ConnID) async for m in client.events()]
            assert (ringing, call, rest) == ([1, 3], ["EventReleased"], [0, 2])

    run(body)


def test_wait_for_passes_over_what_it_does_not_want_and_leaves_it_for_others() -> None:
    async def body() -> None:
        async with linked() as (client, server):
            server.send(event(M.EventRinging, ThisDN="1001", ConnID=1))
            server.send(event(M.EventRinging, ThisDN="1002", ConnID=1))
            server.send(event(M.EventEstablished, ThisDN="1002", ConnID=2))
            ends = (M.EventReleased, M.EventEstablished)
            assert (await client.wait_for(ends, dn="1002", conn_id=2)).name == "EventEstablished"
            assert (await client.wait_for(lambda m: m.get(Attribute.ConnID) == 1)).text(
                Attribute.ThisDN
            ) == "1001"
            assert (await client.wait_for(M.EventRinging)).text(Attribute.ThisDN) == "1002"

    run(body)


def test_wait_for_gives_up_at_its_deadline_and_says_what_came_instead() -> None:
    async def body() -> None:
        async with linked() as (client, server):
            server.send(event(M.EventQueued, ThisDN="8000"))
            with pytest.raises(TLibTimeout, match=r"GWS: no EventRinging on 1001 .*EventQueued"):
                await client.wait_for(M.EventRinging, dn="1001", timeout_s=0.1)

    run(body)


def test_a_lost_connection_ends_requests_waits_and_later_requests() -> None:
    async def body() -> None:
        async with linked(silent) as (client, server):
            asked = asyncio.create_task(client.hold_call("1001", 1))
            waits = asyncio.create_task(client.wait_for(M.EventHeld))
            while not server.received:
                await asyncio.sleep(0)
            assert server.transport is not None
            server.transport.abort()
            for task in (asked, waits):
                with pytest.raises(ConnectionLost):
                    await task
            with pytest.raises(ConnectionLost):
                await client.query_server()
            with pytest.raises(ConnectionLost):
                client.send(event(M.RequestQueryServer))

    run(body)


def test_a_program_that_does_not_read_loses_the_oldest_events_and_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "EVENT_QUEUE", 2)

    async def body() -> None:
        async with linked() as (client, server):
            for number in range(5):
                server.send(event(M.EventRinging, ConnID=number))
            await client.query_server()
            with pytest.raises(EventsLost) as caught:
                await client.wait_for(M.EventRinging)
            assert caught.value.count == 3
            assert (await client.wait_for(M.EventRinging)).get(Attribute.ConnID) == 3

    run(body)


def test_the_keep_alive_ends_a_connection_whose_peer_is_dead() -> None:
    async def body() -> None:
        async with linked(keepalive_s=0.05) as (client, server):
            server.data_received = lambda data: None  # type: ignore[method-assign]
            assert [message async for message in client.events()] == []
            with pytest.raises(ConnectionLost, match="does not answer"):
                await client.query_server()

    run(body)


def test_the_server_is_asked_to_poll_too() -> None:
    async def body() -> None:
        async with linked(keepalive_s=5, keepalive_remote_s=0.05) as (client, server):
            assert server.hello is not None
            assert (server.hello.keepalive_ms, server.hello.keepalive_remote_ms) == (5000, 50)
            await client.query_server()

    run(body)


def test_a_connection_whose_peer_does_not_read_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "CLOSE_S", 0.05)

    async def body() -> None:
        async with linked() as (client, server):
            assert server.transport is not None
            server.transport.pause_reading()
            while client._writable.is_set():
                client.send(event(M.RequestAttachUserData, ThisDN="1001", UserData=(("k", "x" * 60_000),)))
            ended = asyncio.create_task(client.wait_closed())
            await client.aclose()
            assert (await ended).kind == "closed"

    run(body)


@pytest.mark.parametrize("first", ["the program", "the answer"])
def test_an_answer_that_comes_while_its_program_gives_up_is_an_event(first: str) -> None:
    async def body() -> None:
        asked: list[asyncio.Task[Message]] = []

        def trace(way: str, message: Message) -> None:
            if message.id == M.EventHeld:
                if first == "the program":
                    asked[0].cancel()
                else:
                    asyncio.get_running_loop().call_soon(asked[0].cancel)

        async with linked(trace=trace) as (client, _):
            asked.append(asyncio.create_task(client.hold_call("1001", 1)))
            await asyncio.wait(asked)
            assert asked[0].cancelled()
            assert (await client.wait_for(M.EventHeld)).get(Attribute.ConnID) == 1

    run(body)


def test_the_trace_sees_every_message_in_the_order_of_the_wire() -> None:
    seen: list[tuple[str, str]] = []

    async def body() -> None:
        async with linked(trace=lambda way, message: seen.append((way, message.name))) as (client, server):
            server.send(event(M.EventRinging))
            await client.query_server()

    run(body)
    assert seen == [
        ("received", "EventLinkConnected"),
        ("sent", "RequestQueryServer"),
        ("received", "EventRinging"),
        ("received", "EventServerInfo"),
    ]


def test_pairs_may_repeat_keys_and_nest() -> None:
    assert pairs_of([("k", "a"), ("k", {"n": 1}), ("b", b"\0")]) == (
        ("k", "a"),
        ("k", (("n", 1),)),
        ("b", b"\0"),
    )


def test_the_client_needs_none_of_the_servers_extras() -> None:
    code = (
        "import sys; sys.modules.update(h11=None, asyncio_dgram=None); import refserver.client; "
        "assert not any(name.split('.')[0] in ('sip_proto', 'cluster_core') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_neither_do_the_supervised_client_and_the_commands() -> None:
    code = (
        "import sys; sys.modules.update(h11=None, asyncio_dgram=None); "
        "import refserver.blocking, refserver.agent, refserver.call, refserver.dn, refserver.completion; "
        "assert not any(name.split('.')[0] == 'sip_proto' for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
