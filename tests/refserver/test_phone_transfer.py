"""Transfers among test phones that call each other directly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from refserver.phone import Phone, PhoneError, PhoneEventKind, PhoneTimeout
from refserver.phone_agent import MAX_CALLS
from sip_proto import Output
from tests.refserver.test_phone import run
from tests.refserver.test_phone_calls import Wire

Kind = PhoneEventKind


def uri_of(phone: Phone) -> str:
    host, port = phone.address
    return f"sip:{phone.number}@{host}:{port}"


@asynccontextmanager
async def three(**transferee: Any) -> AsyncIterator[tuple[Phone, Phone, Phone]]:
    """The transferee 1001, the transferor 1002 and the target 1003; 1001 has called 1002, who answered."""
    phones = [
        Phone(number, "", ("127.0.0.1", 9), direct=True, **(transferee if number == "1001" else {}))
        for number in ("1001", "1002", "1003")
    ]
    async with phones[0] as transferee_, phones[1] as transferor, phones[2] as target:
        await connect(transferee_, transferor)
        yield transferee_, transferor, target


async def connect(caller: Phone, callee: Phone) -> int:
    """A call that is answered; the caller's number of it."""
    number = await caller.call(uri_of(callee))
    incoming = await callee.wait_for(Kind.INCOMING)
    await callee.answer(incoming.call)
    await caller.wait_for(Kind.ESTABLISHED)
    await callee.wait_for(Kind.ESTABLISHED)
    return number


def test_a_blind_transfer_rings_the_target_and_the_transferor_leaves_when_it_answered() -> None:
    async def body() -> None:
        async with three() as (one, two, target):
            await two.transfer(uri_of(target))
            referred = await one.wait_for(Kind.REFERRED)
            assert referred.text == uri_of(target)
            await target.wait_for(Kind.INCOMING)
            for status in (100, 180):
                assert (await two.wait_for(Kind.TRANSFER_PROGRESS)).status == status
            assert len(two.calls) == 1
            await target.answer()
            assert (await two.wait_for(Kind.TRANSFERRED)).status == 200
            assert (await two.wait_for(Kind.ENDED)).text == "transferred"
            assert (await one.wait_for(Kind.ESTABLISHED)).call == referred.detail["new_call"]
            await one.wait_for(Kind.ENDED, call=1)
            assert (len(one.calls), len(two.calls), len(target.calls)) == (1, 0, 1)

    run(body)


def test_a_transferor_that_hangs_up_at_once_leaves_the_others_to_themselves() -> None:
    async def body() -> None:
        async with three() as (one, two, target):
            await two.transfer(uri_of(target), leave=True)
            await one.wait_for(Kind.ENDED, call=1)
            await target.wait_for(Kind.INCOMING)
            await target.answer()
            await one.wait_for(Kind.ESTABLISHED)
            assert (await two.wait_for(Kind.TRANSFER_ENDED)).text == "leg"
            assert (len(one.calls), len(two.calls), len(target.calls)) == (1, 0, 1)

    run(body)


def test_a_target_that_refuses_is_reported_and_the_call_goes_on() -> None:
    async def body() -> None:
        async with three() as (one, two, target):
            target.busy = True
            await two.transfer(uri_of(target))
            assert (await two.wait_for(Kind.TRANSFER_FAILED)).status == 486
            await one.wait_for(Kind.FAILED)
            await two.hold()
            await one.wait_for(Kind.HELD_BY_PEER)
            assert (len(one.calls), len(two.calls)) == (1, 1)

    run(body)


def test_a_silent_transfer_is_done_when_it_is_accepted() -> None:
    async def body() -> None:
        async with three() as (one, two, target):
            await two.transfer(uri_of(target), silent=True)
            assert (await two.wait_for(Kind.TRANSFERRED)).text == "silent"
            await target.wait_for(Kind.INCOMING)
            await target.answer()
            await one.wait_for(Kind.ESTABLISHED)
            assert not two.calls

    run(body)


def test_an_attended_transfer_replaces_the_transferor_at_the_target() -> None:
    async def body() -> None:
        async with three() as (one, two, target):
            consultation = await connect(two, target)
            await two.transfer(to_call=consultation)
            replaced = await target.wait_for(Kind.REPLACED)
            assert replaced.call == 1
            assert (await target.wait_for(Kind.ESTABLISHED)).call == replaced.detail["new_call"]
            assert (await two.wait_for(Kind.TRANSFERRED)).status == 200
            await one.wait_for(Kind.ENDED, call=1)
            assert (len(one.calls), len(two.calls), len(target.calls)) == (1, 0, 1)
            await target.hangup()
            await one.wait_for(Kind.ENDED, call=2)

    run(body)


def test_a_replaces_that_names_no_call_is_refused_with_481() -> None:
    async def body() -> None:
        async with three() as (one, _, target):
            await one.call(uri_of(target), headers=(("Replaces", "nothing;to-tag=1;from-tag=2"),))
            assert (await one.wait_for(Kind.FAILED)).status == 481
            assert (await target.wait_for(Kind.REFUSED)).text == "replaces"

    run(body)


def test_a_busy_phone_still_lets_its_call_be_replaced() -> None:
    async def body() -> None:
        async with three() as (_, two, target):
            consultation = await connect(two, target)
            target.busy = True
            await two.transfer(to_call=consultation)
            await target.wait_for(Kind.REPLACED)

    run(body)


def test_a_replacing_call_without_a_common_format_changes_nothing() -> None:
    async def body() -> None:
        async with three() as (one, two, target):
            consultation = await connect(two, target)
            replaces = two._endpoint.replaces_of(two.calls[consultation].leg)
            new_call = target._new_call

            def deaf(*args: Any) -> Any:
                call = new_call(*args)
                call.media.answer = lambda offer: None  # type: ignore[method-assign]
                return call

            target._new_call = deaf  # type: ignore[method-assign]
            await one.call(uri_of(target), headers=(("Replaces", replaces),))
            assert (await one.wait_for(Kind.FAILED)).status == 488
            assert len(target.calls) == 1

    run(body)


def test_a_phone_that_is_not_transferable_declines() -> None:
    async def body() -> None:
        async with three(transferable=False) as (one, two, target):
            with pytest.raises(PhoneError) as caught:
                await two.transfer(uri_of(target))
            assert caught.value.status == 603
            assert (await two.wait_for(Kind.TRANSFER_FAILED)).status == 603
            assert len(one.calls) == 1

    run(body)


def test_a_target_that_cannot_be_called_is_refused() -> None:
    async def body() -> None:
        async with three() as (_, two, _target):
            call = next(iter(two.calls.values()))
            with pytest.raises(PhoneError) as caught:
                await two._transfer(call, "mailto:a@b.example", None, False, 5)
            assert caught.value.status == 416

    run(body)


def test_a_telephone_number_is_called_in_the_phones_own_domain() -> None:
    async def body() -> None:
        wire = Wire()
        async with three(trace=wire) as (one, two, target):
            call = next(iter(two.calls.values()))
            one._direct = False
            one.registrar = target.address
            await two._transfer(call, "tel:1003;phone-context=x", None, False, 5)
            await target.wait_for(Kind.INCOMING)
            assert wire.requests("INVITE")[-1].uri == f"sip:1003@{one.domain}"
            assert "1002" in (wire.requests("INVITE")[-1].get("Referred-By") or "")

    run(body)


def test_a_call_that_cannot_even_be_placed_is_reported() -> None:
    async def body() -> None:
        async with three() as (_, two, target):
            call = next(iter(two.calls.values()))
            await two._transfer(call, "sip:1003@no-literal.invalid", None, False, 5)
            assert (await two.wait_for(Kind.TRANSFER_FAILED)).status == 503
            assert not target.calls

    run(body)


def test_more_transfers_than_a_call_holds_are_refused_here() -> None:
    async def body() -> None:
        async with three() as (one, two, target):
            one._heard = lambda item, out: None  # type: ignore[method-assign]
            tried = [asyncio.create_task(two.transfer(uri_of(target), timeout_s=0.2)) for _ in range(20)]
            outcomes = await asyncio.gather(*tried, return_exceptions=True)
            refused = [str(outcome) for outcome in outcomes if not isinstance(outcome, PhoneTimeout)]
            assert refused
            assert all("no room" in text for text in refused)
            one.abort()

    run(body)


def test_a_phone_with_all_its_calls_declines_to_be_transferred() -> None:
    async def body() -> None:
        async with three() as (one, two, target):
            for _ in range(MAX_CALLS - 1):
                await one.call(uri_of(target))
            with pytest.raises(PhoneError):
                await one.call(uri_of(target))
            with pytest.raises(PhoneError) as caught:
                await two.transfer(uri_of(target))
            assert caught.value.status == 603
            assert len(one.calls) == MAX_CALLS

    run(body)


def test_what_is_no_transfer_is_refused_here() -> None:
    async def body() -> None:
        async with three() as (_, two, _target):
            for wrong in ({}, {"target": "1", "to_call": 1}):
                with pytest.raises(PhoneError, match="a target or another call"):
                    await two.transfer(**wrong)  # type: ignore[arg-type]
            with pytest.raises(PhoneError, match="no call to join"):
                await two.transfer(to_call=1)
            with pytest.raises(PhoneError, match="no call that is"):
                await two.transfer(to_call=9)

    run(body)


def test_a_peer_that_does_not_answer_a_refer_is_given_up_at_the_deadline() -> None:
    async def body() -> None:
        async with three() as (one, two, target):
            one.abort()
            with pytest.raises(PhoneTimeout):
                await two.transfer(uri_of(target), timeout_s=0.05)
            two.abort()

    run(body)


def test_a_call_that_ends_before_the_refer_is_answered_ends_the_transfer() -> None:
    async def body() -> None:
        async with three() as (one, two, target):
            one._heard = lambda item, out: None  # type: ignore[method-assign]
            transferring = asyncio.create_task(two.transfer(uri_of(target)))
            await asyncio.sleep(0)
            out: list[Output] = []
            one._endpoint.bye(one._now(), one.calls[1].leg, out)
            one._gone(one.calls[1].leg, Kind.ENDED)
            one.perform(out)
            with pytest.raises(PhoneError):
                await transferring
            await two.wait_for((Kind.TRANSFER_ENDED, Kind.TRANSFER_FAILED))

    run(body)
