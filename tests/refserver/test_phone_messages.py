"""Digits and messages between test phones."""

from __future__ import annotations

import pytest

from refserver.phone import Phone, PhoneError, PhoneEventKind, PhoneTimeout
from refserver.phone_messages import digit_of, relay_body
from sip_proto import Output
from tests.refserver.test_phone import registered, run, talking, two_phones

Kind = PhoneEventKind


@pytest.mark.parametrize(
    ("kind", "body", "digit"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", ("5", 160)),
        ("application/dtmf-relay", b"Signal= 5\r\nDuration= 160", ("5", 160)),
        ("Application/DTMF-Relay; charset=x", b"signal = d\n", ("D", 0)),
        ("application/dtmf-relay", b"Signal=10\r\nDuration=90", ("*", 90)),
        ("application/dtmf-relay", b"Signal=11", ("#", 0)),
        ("application/dtmf-relay", b"Signal=*", ("*", 0)),
        ("application/dtmf-relay", b"Duration=160", None),
        ("application/dtmf-relay", b"Signal=17", None),
        ("application/dtmf-relay", b"", None),
        ("application/dtmf", b"7", ("7", 0)),
        ("application/dtmf", b" # \r\n", ("#", 0)),
        ("application/dtmf", b"77", None),
        ("application/dtmf", b"\xff", None),
        ("text/plain", b"7", None),
        ("", b"", None),
    ],
)
def test_a_digit_is_read_in_the_forms_that_phones_write(kind: str, body: bytes, digit: tuple[str, int] | None) -> None:
    assert digit_of(kind, body) == digit


def test_what_a_phone_writes_it_reads() -> None:
    for digit in "0123456789ABCD*#":
        assert digit_of("application/dtmf-relay", relay_body(digit)) == (digit, 160)


def test_digits_reach_the_other_end_in_order_with_their_length() -> None:
    async def body() -> None:
        async with talking() as (caller, callee):
            await caller.send_digits("1a*")
            events = [await callee.wait_for(Kind.DIGIT) for _ in range(3)]
            assert [event.text for event in events] == ["1", "A", "*"]
            assert events[0].call == 1
            assert events[0].detail == {"duration_ms": 160}

    run(body)


def test_digits_of_the_callee_reach_the_caller() -> None:
    async def body() -> None:
        async with talking() as (caller, callee):
            await callee.send_digits("9")
            assert (await caller.wait_for(Kind.DIGIT)).text == "9"

    run(body)


@pytest.mark.parametrize("digits", ["", "12 3", "12E", "1" * 65])
def test_what_are_no_digits_is_not_sent(digits: str) -> None:
    async def body() -> None:
        async with talking() as (caller, _):
            with pytest.raises(PhoneError, match="are no digits"):
                await caller.send_digits(digits)

    run(body)


def inform(phone: Phone, content_type: str, body: bytes) -> tuple[int, list[Output]]:
    """An INFO of another kind from a phone in a call: its handle, and what leaves."""
    out: list[Output] = []
    leg = next(iter(phone.calls.values())).leg
    return phone._endpoint.send(phone._now(), leg, "INFO", out, body=body, content_type=content_type), out


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [("", b"", 200), ("application/media_control+xml", b"<x/>", 415), ("application/dtmf-relay", b"Signal=x", 415)],
)
def test_an_info_that_carries_no_digit_is_answered_by_what_it_carries(
    content_type: str, body: bytes, status: int
) -> None:
    async def story() -> None:
        async with talking() as (caller, callee):
            handle, out = inform(caller, content_type, body)
            if status == 200:
                assert (await caller._answer_of(handle, out, "INFO", 5)).status == 200
            else:
                with pytest.raises(PhoneError) as caught:
                    await caller._answer_of(handle, out, "INFO", 5)
                assert caught.value.status == status
            await caller.hangup()
            await callee.wait_for(Kind.ENDED)
            assert not [event for event in callee._mail.unread() if event.kind == Kind.DIGIT]

    run(story)


def test_an_info_outside_of_a_call_has_no_dialog() -> None:
    async def body() -> None:
        async with two_phones() as (caller, _):
            with pytest.raises(PhoneError) as caught:
                await caller._ask("INFO", "sip:1002@x", "INFO", b"Signal=1", "application/dtmf-relay", 5)
            assert caught.value.status == 481

    run(body)


def test_a_message_is_shown_with_its_sender() -> None:
    async def body() -> None:
        async with two_phones() as (caller, callee):
            assert await caller.send_message("1002", "Grüße") == 200
            event = await callee.wait_for(Kind.MESSAGE)
            assert (event.text, event.call) == ("Grüße", 0)
            assert event.peer.startswith("sip:2125550100@")

    run(body)


def test_a_message_of_another_type_is_refused() -> None:
    async def body() -> None:
        async with two_phones() as (caller, callee):
            with pytest.raises(PhoneError) as caught:
                await caller._ask("MESSAGE", "sip:1002@x", "message", b"<b>", "text/html", 5)
            assert caught.value.status == 415
            assert not callee._mail.unread()

    run(body)


@pytest.mark.parametrize(
    ("stale", "password", "asked", "status"),
    [(0, "demo", 2, 200), (1, "demo", 3, 200), (9, "demo", 6, 401), (0, "x", 2, 401)],
)
def test_a_challenged_message_is_sent_again_with_credentials(
    stale: int, password: str, asked: int, status: int
) -> None:
    async def body() -> None:
        async with registered(password=password) as (phone, server):
            server.stale = stale
            if status == 200:
                assert await phone.send_message("1002", "hello") == 200
            else:
                with pytest.raises(PhoneError) as caught:
                    await phone.send_message("1002", "hello")
                assert caught.value.status == status
            assert len(server.requests) == asked
            assert len({request.call_id for request in server.requests}) == 1

    run(body)


def test_a_silent_peer_ends_a_message_at_the_deadline() -> None:
    async def body() -> None:
        async with Phone("1", "", ("127.0.0.1", 9)) as phone:
            with pytest.raises(PhoneTimeout):
                await phone.send_message("2", "anybody?", timeout_s=0.05)

    run(body)
