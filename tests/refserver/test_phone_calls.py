"""Calls of test phones and their descriptions: late offers, early media, offers that cross, reliable 1xx."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from refserver.phone import Phone, PhoneError, PhoneEventKind, PhoneTimeout
from refserver.phone_records import CallState
from sip_proto import (
    Invited,
    LocalError,
    Message,
    Offered,
    Output,
    Part,
    Request,
    Response,
    Transmit,
    audio,
    multipart_body,
    parse,
    parse_sdp,
)
from tests.refserver.sip_registrar import Registrar
from tests.refserver.test_phone import run

Kind = PhoneEventKind


class Wire:
    """What a phone sent and received."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.received: list[Message] = []

    def __call__(self, way: str, data: bytes, peer: tuple[str, int]) -> None:
        (self.sent if way == "sent" else self.received).append(parse(data))

    def requests(self, method: str) -> list[Request]:
        return [item for item in self.sent if isinstance(item, Request) and item.method == method]

    def responses(self, method: str, status: int) -> list[Response]:
        found = [item for item in self.sent if isinstance(item, Response) and item.status == status]
        return [item for item in found if item.cseq[1] == method]


@asynccontextmanager
async def pair(caller: dict[str, Any] | None = None, **callee: Any) -> AsyncIterator[tuple[Phone, Phone, Wire, Wire]]:
    """A caller whose calls go straight to a callee, and what each sends."""
    ours, theirs = Wire(), Wire()
    answering = Phone("1002", "", ("127.0.0.1", 9), trace=theirs, **callee)
    await answering.start()
    async with answering, Phone("1001", "", answering.address, trace=ours, **(caller or {})) as calling:
        yield calling, answering, ours, theirs


async def established(caller: Phone, callee: Phone, **how: Any) -> None:
    await caller.call("1002", **how)
    await callee.wait_for(Kind.INCOMING)
    await callee.answer()
    await caller.wait_for(Kind.ESTABLISHED)
    await callee.wait_for(Kind.ESTABLISHED)


def direction(phone: Phone) -> tuple[bool, bool]:
    """Whether a phone's one call is held by it, and by its peer."""
    media = next(iter(phone.calls.values())).media
    return media.held, media.held_by_peer


def test_a_late_offer_comes_with_the_200_and_the_answer_with_the_ack() -> None:
    async def body() -> None:
        async with pair() as (caller, callee, ours, theirs):
            await established(caller, callee, late=True)
            assert ours.requests("INVITE")[0].body == b""
            assert theirs.responses("INVITE", 200)[0].body
            assert parse_sdp(ours.requests("ACK")[0].body).direction() == "sendrecv"

    run(body)


def test_a_late_offer_in_a_reliable_183_is_answered_in_the_prack() -> None:
    async def body() -> None:
        async with pair() as (caller, callee, ours, theirs):
            await caller.call("1002", late=True)
            await callee.wait_for(Kind.INCOMING)
            await callee.progress()
            ringing = await caller.wait_for(Kind.RINGING, where=lambda event: event.status == 183)
            assert ringing.detail == {"reliable": "yes", "early_media": "yes"}
            await callee.answer()
            await caller.wait_for(Kind.ESTABLISHED)
            await callee.wait_for(Kind.ESTABLISHED)
            assert parse_sdp(ours.requests("PRACK")[0].body).direction() == "sendrecv"
            assert not theirs.responses("INVITE", 200)[0].body
            assert not ours.requests("ACK")[0].body
            await callee.hold()
            assert direction(caller) == (False, True)

    run(body)


def test_an_offer_among_the_parts_of_a_body_is_answered() -> None:
    async def body() -> None:
        async with Phone("1002", "", ("127.0.0.1", 9), auto_answer=True) as phone:
            offer = Part((("Content-Type", "application/sdp"),), audio("127.0.0.1", 4000))
            other = (("Content-Type", "text/html"), ("Content-Disposition", "render;handling=optional"))
            parts = multipart_body([offer, Part(other, b"hello")])
            loop = asyncio.get_running_loop()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
                peer.bind(("127.0.0.1", 0))
                peer.setblocking(False)
                host, port = peer.getsockname()
                head = "\r\n".join(
                    (
                        f"INVITE sip:1002@{phone.address[0]} SIP/2.0",
                        f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bKparts",
                        "From: <sip:1001@h>;tag=a",
                        "To: <sip:1002@h>",
                        "Call-ID: parts",
                        "CSeq: 1 INVITE",
                        "Max-Forwards: 70",
                        f"Contact: <sip:{host}:{port}>",
                        f"Content-Type: {parts[0]}",
                        f"Content-Length: {len(parts[1])}",
                    )
                )
                await loop.sock_sendto(peer, f"{head}\r\n\r\n".encode() + parts[1], phone.address)
                answer = parse(await loop.sock_recv(peer, 4_096))
                while not isinstance(answer, Response) or answer.status < 200:
                    answer = parse(await loop.sock_recv(peer, 4_096))
            assert answer.status == 200
            assert [media.port for media in parse_sdp(answer.body).media()] != [0]

    run(body)


@pytest.mark.parametrize("reliable", ["supported", "required"])
def test_early_media_is_acknowledged_where_the_caller_can(reliable: str) -> None:
    async def body() -> None:
        async with pair() as (caller, callee, ours, theirs):
            await caller.call("1002", reliable=reliable)
            await callee.wait_for(Kind.INCOMING)
            await callee.progress()
            ringing = await caller.wait_for(Kind.RINGING, where=lambda event: event.status == 183)
            assert ringing.detail == {"reliable": "yes", "early_media": "yes"}
            await callee.answer()
            await caller.wait_for(Kind.ESTABLISHED)
            assert len(ours.requests("PRACK")) == (2 if reliable == "required" else 1)
            assert theirs.responses("INVITE", 183)[0].body
            assert not theirs.responses("INVITE", 200)[0].body

    run(body)


@pytest.mark.parametrize("switched_off_by", ["caller", "callee", "call", "183"])
def test_early_media_without_100rel_is_a_glance_and_the_answer_comes_again(switched_off_by: str) -> None:
    async def body() -> None:
        caller_has = {"reliable": "no"} if switched_off_by == "caller" else {}
        callee_has = {"reliable": "no"} if switched_off_by == "callee" else {}
        async with pair(caller_has, **callee_has) as (caller, callee, ours, theirs):
            await caller.call("1002", reliable="no" if switched_off_by == "call" else None)
            await callee.wait_for(Kind.INCOMING)
            await callee.progress(reliable=False if switched_off_by == "183" else None)
            ringing = await caller.wait_for(Kind.RINGING, where=lambda event: event.status == 183)
            assert ringing.detail == {"early_media": "yes"}
            await callee.answer()
            await caller.wait_for(Kind.ESTABLISHED)
            assert not ours.requests("PRACK")
            bodies = [theirs.responses("INVITE", status)[0].body for status in (183, 200)]
            assert bodies[0] == bodies[1] != b""

    run(body)


def test_a_183_to_a_late_offer_that_cannot_be_acknowledged_has_no_description() -> None:
    async def body() -> None:
        async with pair({"reliable": "no"}) as (caller, callee, ours, theirs):
            await caller.call("1002", late=True)
            await callee.wait_for(Kind.INCOMING)
            await callee.progress()
            ringing = await caller.wait_for(Kind.RINGING, where=lambda event: event.status == 183)
            assert not ringing.detail
            await callee.answer()
            await caller.wait_for(Kind.ESTABLISHED)
            assert theirs.responses("INVITE", 200)[0].body
            assert ours.requests("ACK")[0].body

    run(body)


def test_a_phone_that_knows_no_100rel_refuses_who_requires_it() -> None:
    async def body() -> None:
        async with pair(reliable="no") as (caller, _, _ours, theirs):
            await caller.call("1002", reliable="required")
            assert (await caller.wait_for(Kind.FAILED)).status == 420
            assert theirs.responses("INVITE", 420)[0].get("Unsupported") == "100rel"

    run(body)


def test_a_call_in_its_early_dialog_is_held_by_update() -> None:
    async def body() -> None:
        async with pair() as (caller, callee, ours, _):
            number = await caller.call("1002")
            await callee.wait_for(Kind.INCOMING)
            await callee.progress()
            await caller.wait_for(Kind.RINGING, where=lambda event: event.status == 183)
            await caller.hold(number)
            await callee.wait_for(Kind.HELD_BY_PEER)
            assert len(ours.requests("UPDATE")) == 1
            await callee.answer()
            await caller.wait_for(Kind.ESTABLISHED)
            await callee.wait_for(Kind.ESTABLISHED)
            assert direction(callee) == (False, True)
            assert direction(caller) == (True, False)

    run(body)


def test_a_hold_before_the_answer_waits_for_it_where_nothing_was_described() -> None:
    async def body() -> None:
        async with pair() as (caller, callee, ours, _):
            number = await caller.call("1002")
            await callee.wait_for(Kind.INCOMING)
            holding = asyncio.create_task(caller.hold(number))
            await caller.wait_for(Kind.RINGING)
            assert not ours.requests("UPDATE")
            await callee.answer()
            await holding
            await callee.wait_for(Kind.HELD_BY_PEER)
            assert len(ours.requests("INVITE")) == 2

    run(body)


def test_who_asks_for_an_offer_gets_it_and_answers_in_the_ack() -> None:
    async def body() -> None:
        async with pair() as (caller, callee, ours, theirs):
            await established(caller, callee)
            await callee.hold()
            await caller.renegotiate()
            again = ours.requests("INVITE")[-1]
            assert again.body == b""
            assert parse_sdp(theirs.responses("INVITE", 200)[-1].body).direction() == "sendonly"
            assert parse_sdp(ours.requests("ACK")[-1].body).direction() == "recvonly"
            assert (await caller.wait_for(Kind.RENEGOTIATED)).status == 200
            assert direction(caller) == (False, True)

    run(body)


def test_offers_of_one_phone_wait_for_each_other_and_each_is_told() -> None:
    async def body() -> None:
        async with pair() as (caller, callee, _, _theirs):
            await established(caller, callee)
            await asyncio.gather(caller.hold(), caller.retrieve(), caller.renegotiate(), caller.hold())
            kinds = (Kind.HELD, Kind.RETRIEVED, Kind.RENEGOTIATED)
            told = [(await caller.wait_for(kinds)).kind for _ in range(4)]
            assert told == [Kind.HELD, Kind.RETRIEVED, Kind.RENEGOTIATED, Kind.HELD]
            assert direction(callee) == (False, True)

    run(body)


def test_offers_that_cross_are_both_answered_in_the_end() -> None:
    async def body() -> None:
        async with pair() as (caller, callee, ours, theirs):
            await established(caller, callee)
            await asyncio.gather(caller.hold(), callee.hold())
            assert direction(caller) == direction(callee) == (True, True)
            assert ours.responses("INVITE", 491) or theirs.responses("INVITE", 491)

    run(body)


def test_more_offers_than_the_queue_holds_are_refused_at_once() -> None:
    async def body() -> None:
        async with pair() as (caller, callee, _, _theirs):
            await established(caller, callee)
            outcomes = await asyncio.gather(*(caller.hold() for _ in range(12)), return_exceptions=True)
            refused = [outcome for outcome in outcomes if isinstance(outcome, PhoneError)]
            assert 0 < len(refused) < 12
            assert direction(caller) == (True, False)

    run(body)


def test_an_offer_that_the_peer_refuses_leaves_the_call_as_it_was() -> None:
    async def body() -> None:
        async with pair() as (caller, callee, _, _theirs):
            await established(caller, callee)
            media = next(iter(caller.calls.values())).media
            media.offer = lambda: b"v=0\r\nno description\r\n"  # type: ignore[method-assign]
            with pytest.raises(PhoneError) as caught:
                await caller.hold()
            assert caught.value.status == 488
            assert (await caller.wait_for(Kind.OFFER_REFUSED)).status == 488
            assert direction(caller) == (False, False)
            assert next(iter(caller.calls.values())).state == CallState.ESTABLISHED

    run(body)


def test_a_hold_that_meets_the_end_of_the_call_fails() -> None:
    async def body() -> None:
        async with pair() as (caller, callee, _, _theirs):
            await established(caller, callee)
            holding = asyncio.create_task(caller.hold())
            await asyncio.sleep(0)
            await callee.hangup()
            with pytest.raises(PhoneError, match="ended"):
                await holding

    run(body)


def test_a_hold_that_nobody_answers_is_given_up_at_the_deadline() -> None:
    async def body() -> None:
        async with pair() as (caller, callee, _, _theirs):
            await established(caller, callee)
            callee.abort()
            with pytest.raises(PhoneTimeout):
                await caller.hold(timeout_s=0.05)
            caller.abort()

    run(body)


@pytest.mark.parametrize("late", [False, True])
def test_a_call_without_a_common_format_fails_at_both_ends(late: bool) -> None:
    async def body() -> None:
        async with pair() as (caller, callee, _, _theirs):
            number = await caller.call("1002", late=late)
            incoming = await callee.wait_for(Kind.INCOMING)
            if late:
                caller.calls[number].media.answer = lambda offer: None  # type: ignore[method-assign]
            else:
                callee.calls[incoming.call].media.answer = lambda offer: None  # type: ignore[method-assign]
            await callee.answer()
            assert (await caller.wait_for(Kind.FAILED)).status == 488
            assert (await callee.wait_for((Kind.FAILED, Kind.ENDED))).status in (0, 488)
            assert not caller.calls

    run(body)


@pytest.mark.parametrize("late", [False, True])
def test_early_media_without_a_common_format_ends_the_call(late: bool) -> None:
    async def body() -> None:
        async with pair() as (caller, callee, _, _theirs):
            number = await caller.call("1002", late=late)
            incoming = await callee.wait_for(Kind.INCOMING)
            who = caller.calls[number] if late else callee.calls[incoming.call]
            who.media.answer = lambda offer: None  # type: ignore[method-assign]
            await callee.progress()
            assert (await caller.wait_for(Kind.FAILED)).status == 488
            await callee.wait_for((Kind.FAILED, Kind.CANCELLED))
            assert not caller.calls
            assert not callee.calls

    run(body)


def test_a_busy_phone_refuses_every_call_and_says_whose() -> None:
    async def body() -> None:
        async with pair(busy=True) as (caller, callee, _, _theirs):
            await caller.call("1002")
            assert (await caller.wait_for(Kind.FAILED)).status == 486
            refused = await callee.wait_for(Kind.REFUSED)
            assert (refused.status, refused.text) == (486, "busy")
            assert refused.peer.startswith("sip:1001@")
            callee.busy = False
            await established(caller, callee)

    run(body)


def test_a_direct_phone_calls_the_address_in_the_uri() -> None:
    async def body() -> None:
        async with (
            Phone("1002", "", ("127.0.0.1", 9), auto_answer=True) as callee,
            Phone("1001", "", ("127.0.0.1", 9), direct=True) as caller,
        ):
            host, port = callee.address
            await caller.call(f"sip:1002@{host}:{port}")
            await caller.wait_for(Kind.ESTABLISHED)
            with pytest.raises(PhoneError):
                await caller.call("sip:1002@127.0.0.1:no-port")
            assert len(caller.calls) == 1

    run(body)


def test_a_phone_says_what_it_can() -> None:
    async def body() -> None:
        async with pair(auto_answer=True) as (caller, callee, ours, theirs):
            await caller.call("1002")
            await callee.wait_for(Kind.ESTABLISHED)
            for message in (ours.requests("INVITE")[0], theirs.responses("INVITE", 200)[0]):
                allow, supported = message.get("Allow") or "", message.get("Supported") or ""
                assert {"PRACK", "UPDATE", "REFER", "INFO", "MESSAGE"} <= set(allow.split(", "))
                assert {"100rel", "replaces", "norefersub"} <= set(supported.split(", "))
            assert ours.requests("INVITE")[0].get("Require") is None

    run(body)


def test_a_session_timer_is_agreed_and_told_with_who_refreshes() -> None:
    async def body() -> None:
        async with pair({"session_s": 600}, auto_answer=True) as (caller, callee, ours, _):
            await caller.call("1002")
            assert ours.requests("INVITE")[0].get("Session-Expires") == "600"
            told = [(await phone.wait_for(Kind.ESTABLISHED)).detail for phone in (caller, callee)]
            assert [detail["session_s"] for detail in told] == [600, 600]
            assert {detail["refresher"] for detail in told} == {"phone", "peer"}

    run(body)


def test_an_interval_that_is_too_small_for_the_callee_is_asked_for_again() -> None:
    async def body() -> None:
        async with pair({"session_s": 90}, auto_answer=True, min_session_s=300) as (caller, callee, ours, theirs):
            await caller.call("1002")
            assert (await caller.wait_for(Kind.ESTABLISHED)).detail["session_s"] == 300
            assert theirs.responses("INVITE", 422)[0].get("Min-SE") == "300"
            assert [request.cseq[0] for request in ours.requests("INVITE")] == [1, 2]
            await callee.wait_for(Kind.ESTABLISHED)
            await callee.hold()
            assert direction(caller) == (False, True)

    run(body)


def test_phones_without_session_timers_say_nothing_of_them() -> None:
    async def body() -> None:
        async with pair({"session_s": 0}, auto_answer=True, session_s=0) as (caller, callee, ours, _):
            await caller.call("1002")
            assert not (await caller.wait_for(Kind.ESTABLISHED)).detail
            assert not (await callee.wait_for(Kind.ESTABLISHED)).detail
            assert ours.requests("INVITE")[0].get("Session-Expires") is None

    run(body)


def test_an_offer_that_comes_along_with_the_end_of_its_call_is_not_answered() -> None:
    async def body() -> None:
        async with pair() as (caller, callee, _, _theirs):
            await established(caller, callee)
            leg = next(iter(caller.calls.values())).leg
            sent: list[Output] = []
            caller._endpoint.offer(caller._now(), leg, sent, body=audio("127.0.0.1", 9))
            caller._endpoint.bye(caller._now(), leg, sent)
            caller._gone(leg, Kind.ENDED)
            came: list[Output] = []
            for item in sent:
                if isinstance(item, Transmit):
                    callee._endpoint.receive_datagram(callee._now(), "phone", caller.address, item.data, came)
            callee.perform(came)
            assert (await callee.wait_for(Kind.ENDED)).text == "bye"
            await established(caller, callee)

    run(body)


def test_a_fault_of_the_phones_own_is_not_hidden() -> None:
    async def body() -> None:
        async with pair() as (caller, callee, _, _theirs):
            await established(caller, callee)
            request = parse(b"INVITE sip:1@x SIP/2.0\r\nContent-Length: 0\r\n\r\n")
            assert isinstance(request, Request)
            with pytest.raises(LocalError):
                callee.perform([Offered(next(iter(callee.calls.values())).leg, request)])

    run(body)


@pytest.mark.parametrize(("method", "status"), [("OPTIONS", 200), ("PUBLISH", 405), ("NOTIFY", 489)])
def test_what_else_a_phone_is_asked_outside_of_calls(method: str, status: int) -> None:
    async def body() -> None:
        async with pair() as (caller, _, _ours, theirs):
            with contextlib.suppress(PhoneError):
                await caller._ask(method, "sip:1002@x", method, b"", "", 5)
            (answer,) = theirs.responses(method, status)
            assert status == 489 or "REFER" in (answer.get("Allow") or "")

    run(body)


class Redirecting(Registrar):
    """Answers every INVITE with a 302 to a contact, in which {} stand for its own address."""

    contact = ""
    count = 0

    def perform(self, out: list[Output]) -> None:
        for item in list(out):
            if isinstance(item, Invited):
                self.count += 1
                contact = (("Contact", self.contact.format(*self.address)),) if self.contact else ()
                self.endpoint.reject(self.now(), item.leg, 302, out, headers=contact)
        super().perform(out)


@asynccontextmanager
async def redirecting(contact: str) -> AsyncIterator[tuple[Phone, Redirecting]]:
    server = Redirecting()
    server.contact = contact
    address = await server.start()
    try:
        async with Phone("1001", "", address) as phone:
            yield phone, server
    finally:
        server.transport.close()


def test_a_call_goes_on_where_it_is_redirected_to() -> None:
    async def body() -> None:
        async with Phone("1002", "", ("127.0.0.1", 9), auto_answer=True) as callee:
            host, port = callee.address
            async with redirecting(f"<sip:other@{host}:{port}>") as (phone, _):
                number = await phone.call("1002")
                told = await phone.wait_for(Kind.REDIRECTED)
                assert (told.call, told.status, told.text) == (number, 302, f"sip:other@{host}:{port}")
                await phone.wait_for(Kind.ESTABLISHED, call=number)

    run(body)


@pytest.mark.parametrize(
    ("contact", "tries"),
    [("<sip:1@{}:{}>", 4), ("", 1), ("<sip:1@nowhere.invalid>", 1), ("<tel:1>", 1)],
)
def test_a_redirection_without_end_or_without_a_place_fails(contact: str, tries: int) -> None:
    async def body() -> None:
        async with redirecting(contact) as (phone, server):
            await phone.call("1002")
            assert (await phone.wait_for(Kind.FAILED)).status == 302
            assert server.count == tries
            assert not phone.calls

    run(body)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('"Ada" <sip:1003@x>', ("sip:1003@x", "Ada")),
        ("<sip:1003@x>, <tel:1003>", ("sip:1003@x", "")),
        ("broken <", None),
        ("", None),
    ],
)
def test_who_is_at_the_other_end_now_is_told_with_an_offer(said: str, told: tuple[str, str] | None) -> None:
    async def body() -> None:
        async with pair() as (caller, callee, _, _theirs):
            await established(caller, callee)
            leg = next(iter(caller.calls.values())).leg
            out: list[Output] = []
            lines = (("P-Asserted-Identity", said),) if said else ()
            for _ in range(2):
                caller._endpoint.offer(caller._now(), leg, out, body=audio("127.0.0.1", 9), headers=lines)
            caller.perform(out)
            await caller.hold()
            await callee.wait_for(Kind.HELD_BY_PEER)
            events = [event for event in callee._mail.unread() if event.kind == Kind.PEER_CHANGED]
            assert [(event.peer, event.text) for event in events] == ([told] if told else [])

    run(body)
