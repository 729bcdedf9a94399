"""The test phone against a registrar and against another phone, over loopback sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from refserver.phone import Phone, PhoneError, PhoneEventKind, PhoneTimeout
from refserver.phone_media import Media
from refserver.phone_records import CallState
from sip_proto import Output, parse, parse_sdp
from tests.refserver.sip_registrar import Registrar

Kind = PhoneEventKind


def run(body: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await body()

    asyncio.run(limited())


@asynccontextmanager
async def registered(expires_s: int = 60, password: str = "demo") -> AsyncIterator[tuple[Phone, Registrar]]:
    registrar = Registrar(expires_s)
    address = await registrar.start()
    try:
        async with Phone("1001", password, address) as phone:
            yield phone, registrar
    finally:
        registrar.transport.close()


@asynccontextmanager
async def two_phones(**of_the_callee: bool) -> AsyncIterator[tuple[Phone, Phone]]:
    """A caller whose calls go straight to a callee."""
    callee = Phone("1002", "", ("127.0.0.1", 9), **of_the_callee)  # type: ignore[arg-type]
    await callee.start()
    async with callee, Phone("2125550100", "", callee.address) as caller:
        yield caller, callee


@asynccontextmanager
async def talking() -> AsyncIterator[tuple[Phone, Phone]]:
    async with two_phones(auto_answer=True) as (caller, callee):
        await caller.call("1002")
        await caller.wait_for(Kind.ESTABLISHED)
        await callee.wait_for(Kind.ESTABLISHED)
        yield caller, callee


def notify_talk(caller: Phone) -> None:
    call = next(iter(caller.calls.values()))
    out: list[Output] = []
    caller._endpoint.send(caller._now(), call.leg, "NOTIFY", out, headers=(("Event", "talk"),))
    caller.perform(out)


def test_a_challenge_is_answered_and_the_registration_stands() -> None:
    async def body() -> None:
        async with registered() as (phone, registrar):
            await phone.register()
            assert registrar.bound
            assert [request.get("Authorization") is not None for request in registrar.requests] == [
                False,
                True,
            ]
            first, second = registrar.requests
            assert first.call_id == second.call_id
            assert second.cseq[0] == first.cseq[0] + 1
            assert (await phone.wait_for(Kind.REGISTERED)).text == "for 60 s"

    run(body)


def test_a_stale_nonce_is_no_wrong_password() -> None:
    async def body() -> None:
        async with registered() as (phone, registrar):
            registrar.stale = 1
            await phone.register()
            assert len(registrar.requests) == 3

    run(body)


def test_a_wrong_password_is_told_with_its_status_and_not_tried_again() -> None:
    async def body() -> None:
        async with registered(password="wrong") as (phone, registrar):
            with pytest.raises(PhoneError) as caught:
                await phone.register()
            assert caught.value.status in (401, 403)
            assert len(registrar.requests) == 2

    run(body)


def test_a_refusal_is_told_with_its_status() -> None:
    async def body() -> None:
        async with registered() as (phone, registrar):
            registrar.refuse = 404
            with pytest.raises(PhoneError, match="404"):
                await phone.register()
            assert (await phone.wait_for(Kind.REGISTRATION_FAILED)).status == 404

    run(body)


def test_a_silent_registrar_is_given_up_at_the_deadline() -> None:
    async def body() -> None:
        async with registered() as (phone, registrar):
            registrar.mute = True
            with pytest.raises(PhoneTimeout):
                await phone.register(timeout_s=0.05)

    run(body)


def test_the_registration_is_refreshed_with_the_same_nonce_before_it_expires() -> None:
    async def body() -> None:
        async with registered(expires_s=1) as (phone, registrar):
            await phone.register()
            assert [await registrar.accepted.get() for _ in range(2)] == [1, 1]
            assert len(registrar.requests) == 3
            assert "nc=00000002" in (registrar.requests[2].get("Authorization") or "")
            assert [request.cseq[0] for request in registrar.requests] == [1, 2, 3]

    run(body)


def test_closing_takes_the_registration_back() -> None:
    async def body() -> None:
        async with registered() as (phone, registrar):
            await phone.register()
            await phone.aclose()
            assert not registrar.bound
            assert registrar.requests[-1].get("Expires") == "0"
            assert [event.kind async for event in phone.events()] == [Kind.REGISTERED, Kind.UNREGISTERED]

    run(body)


def test_a_call_rings_is_answered_and_hung_up_by_the_callee() -> None:
    async def body() -> None:
        async with two_phones() as (caller, callee):
            number = await caller.call("1002")
            incoming = await callee.wait_for(Kind.INCOMING)
            assert "2125550100" in incoming.peer
            assert (await caller.wait_for(Kind.RINGING)).status == 180
            await callee.answer(incoming.call)
            assert (await caller.wait_for(Kind.ESTABLISHED)).call == number
            await callee.wait_for(Kind.ESTABLISHED)
            await callee.hangup()
            assert (await caller.wait_for(Kind.ENDED)).text == "bye"
            assert not caller.calls
            assert not callee.calls

    run(body)


def test_a_caller_hangs_up() -> None:
    async def body() -> None:
        async with talking() as (caller, callee):
            await caller.hangup()
            await callee.wait_for(Kind.ENDED)
            assert not callee.calls

    run(body)


def test_notify_talk_answers_a_ringing_call() -> None:
    async def body() -> None:
        async with two_phones() as (caller, callee):
            # To be asked by NOTIFY, the phone that rings must be the one whose caller sends it.
            await caller.call("1002")
            await caller.wait_for(Kind.RINGING)
            notify_talk(caller)
            await callee.wait_for(Kind.TALK)
            await caller.wait_for(Kind.ESTABLISHED)

    run(body)


def test_a_phone_that_knows_no_talk_refuses_the_notify_and_rings_on() -> None:
    async def body() -> None:
        refused: asyncio.Queue[int] = asyncio.Queue()

        def trace(way: str, data: bytes, peer: tuple[str, int]) -> None:
            message = parse(data)
            if way == "received" and hasattr(message, "status") and message.cseq[1] == "NOTIFY":
                refused.put_nowait(message.status)

        async with two_phones(talk=False) as (caller, callee):
            caller._trace = trace
            await caller.call("1002")
            await caller.wait_for(Kind.RINGING)
            notify_talk(caller)
            assert await refused.get() == 489
            await callee.answer()
            await caller.wait_for(Kind.ESTABLISHED)

    run(body)


@pytest.mark.parametrize("holder_calls", [True, False])
def test_either_end_holds_and_retrieves(holder_calls: bool) -> None:
    async def body() -> None:
        async with talking() as (caller, callee):
            holder, held = (caller, callee) if holder_calls else (callee, caller)
            await holder.hold()
            await held.wait_for(Kind.HELD_BY_PEER)
            await holder.retrieve()
            await held.wait_for(Kind.RETRIEVED_BY_PEER)

    run(body)


def test_both_ends_may_hold_at_once() -> None:
    async def body() -> None:
        async with talking() as (caller, callee):
            await caller.hold()
            await callee.hold()
            assert next(iter(callee.calls.values())).media.held_by_peer
            await caller.retrieve()
            assert next(iter(callee.calls.values())).state == CallState.ESTABLISHED

    run(body)


def test_a_rejected_call_fails_with_the_callees_status() -> None:
    async def body() -> None:
        async with two_phones() as (caller, callee):
            await caller.call("1002")
            await callee.wait_for(Kind.INCOMING)
            await callee.reject(486)
            assert (await caller.wait_for(Kind.FAILED)).status == 486

    run(body)


def test_a_caller_gives_up_a_ringing_call() -> None:
    async def body() -> None:
        async with two_phones() as (caller, callee):
            await caller.call("1002")
            await caller.wait_for(Kind.RINGING)
            await caller.cancel()
            await callee.wait_for(Kind.CANCELLED)
            assert (await caller.wait_for(Kind.FAILED)).status == 487

    run(body)


def test_hangup_of_a_ringing_call_declines_or_cancels_it() -> None:
    async def body() -> None:
        async with two_phones() as (caller, callee):
            await caller.call("1002")
            await callee.wait_for(Kind.INCOMING)
            await callee.hangup()
            assert (await caller.wait_for(Kind.FAILED)).status == 603
            await caller.call("1002")
            await caller.wait_for(Kind.RINGING)
            await caller.hangup()
            await callee.wait_for(Kind.CANCELLED)

    run(body)


def test_an_act_without_a_fitting_call_is_refused_by_name() -> None:
    async def body() -> None:
        async with two_phones() as (caller, _):
            for act in (caller.answer, caller.hangup, caller.hold, caller.cancel, caller.reject):
                with pytest.raises(PhoneError, match="no call that is"):
                    await act()  # type: ignore[operator]

    run(body)


def test_wait_for_names_what_came_instead() -> None:
    async def body() -> None:
        async with talking() as (caller, _):
            with pytest.raises(PhoneTimeout, match=r"not ended within 0\.05 s \(unread: ringing\)"):
                await caller.wait_for(Kind.ENDED, timeout_s=0.05)

    run(body)


def test_an_offer_without_a_known_format_is_refused() -> None:
    offer = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 96\r\n"
    assert Media("127.0.0.1", 1).answer(offer) is None
    assert Media("127.0.0.1", 1).answer(b"nonsense") is None


@pytest.mark.parametrize(
    ("offered", "held", "answered"),
    [
        ("sendrecv", False, "sendrecv"),
        ("sendonly", False, "recvonly"),
        ("recvonly", False, "sendonly"),
        ("inactive", False, "inactive"),
        ("sendrecv", True, "sendonly"),
        ("sendonly", True, "inactive"),
    ],
)
def test_an_answer_mirrors_the_offers_direction(offered: str, held: bool, answered: str) -> None:
    peer, ours = Media("127.0.0.1", 1), Media("127.0.0.1", 2)
    ours.held = held
    offer = parse_sdp(peer.offer()).with_direction(offered).to_bytes()
    answer = ours.answer(offer)
    assert answer is not None
    assert parse_sdp(answer).direction() == answered


def test_a_call_that_asks_to_be_answered_at_once_is() -> None:
    async def body() -> None:
        async with two_phones() as (caller, callee):
            await caller.call("1002", headers=(("Call-Info", "<sip:test.example>;answer-after=0"),))
            await caller.wait_for(Kind.ESTABLISHED)
            await callee.wait_for(Kind.ESTABLISHED)

    run(body)
