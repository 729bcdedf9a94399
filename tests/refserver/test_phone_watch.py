"""What a test phone watches, against a server that tells it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from refserver.phone import Phone, PhoneError, PhoneEventKind, PhoneTimeout
from refserver.phone_script import obey, parse
from refserver.phone_watch import MAX_WATCHES
from sip_proto import (
    Endpoint,
    EndpointSettings,
    Outcome,
    Output,
    Request,
    SubscriptionAsked,
    SubscriptionEnded,
    SubscriptionRenewed,
)
from sip_proto.dialog_info import DialogEntry, DialogFeed, Participant
from sip_proto.message_summary import MessageCount, MessageSummary
from tests.refserver.sip_registrar import Registrar
from tests.refserver.test_phone import run

Kind = PhoneEventKind
XML = "application/dialog-info+xml"
SUMMARY = "application/simple-message-summary"
RINGING = DialogEntry("d1", "early", direction="recipient", remote=Participant(identity="sip:7@x"))
TALKING = DialogEntry("d1", "confirmed", direction="recipient", remote=Participant(identity="sip:7@x"))
OVER = DialogEntry("d1", "terminated", event="remote-bye", code=200)


class Notifier(Registrar):
    """Serves both packages; wants credentials when it is `strict`, `refuse` is a status for every SUBSCRIBE."""

    strict = False

    async def start(self) -> tuple[str, int]:
        await super().start()
        events = ("dialog", "message-summary")
        self.endpoint = Endpoint(EndpointSettings(listeners={"sip": self.address}, events=events), b"notifier")
        self.asked: asyncio.Queue[SubscriptionAsked] = asyncio.Queue()
        self.renewed: asyncio.Queue[Request] = asyncio.Queue()
        self.gone: asyncio.Queue[int] = asyncio.Queue()
        return self.address

    def perform(self, out: list[Output]) -> None:
        for item in list(out):
            if isinstance(item, SubscriptionAsked):
                self.subscribed(item, out)
            elif isinstance(item, SubscriptionRenewed):
                self.renewed.put_nowait(item.request)
                if not item.expires_s:
                    self.endpoint.notify(self.now(), item.subscription, out, state="terminated", reason="timeout")
                    self.gone.put_nowait(item.subscription)
            elif isinstance(item, SubscriptionEnded):
                self.gone.put_nowait(item.subscription)
        super().perform(out)

    def subscribed(self, item: SubscriptionAsked, out: list[Output]) -> None:
        now = self.now()
        if self.refuse:
            self.endpoint.reject_subscription(now, item.subscription, self.refuse, out)
        elif self.strict and self.challenger.check(now, item.request, lambda user: "demo").outcome != Outcome.OK:
            challenge = (self.challenger.challenge(now),)
            self.endpoint.reject_subscription(now, item.subscription, 401, out, headers=challenge)
        else:
            self.endpoint.accept_subscription(now, item.subscription, out)
            self.asked.put_nowait(item)

    def tell(self, subscription: int, body: bytes, content_type: str = XML) -> None:
        out: list[Output] = []
        self.endpoint.notify(self.now(), subscription, out, body=body, content_type=content_type)
        self.perform(out)


@asynccontextmanager
async def watching(password: str = "demo") -> AsyncIterator[tuple[Phone, Notifier]]:
    notifier = Notifier()
    address = await notifier.start()
    try:
        async with Phone("1001", password, address) as phone:
            yield phone, notifier
    finally:
        notifier.transport.close()


def test_each_change_of_a_watched_number_is_an_event_in_order() -> None:
    async def body() -> None:
        async with watching() as (phone, notifier):
            await phone.watch("1002")
            asked = await notifier.asked.get()
            assert asked.request.uri.startswith("sip:1002@")
            assert asked.request.get("Accept") == XML
            feed = DialogFeed("sip:1002@x")
            notifier.tell(asked.subscription, feed.full(()))
            for entry in (RINGING, TALKING, OVER):
                document = feed.update((entry,) if entry is not OVER else ())
                assert document is not None
                notifier.tell(asked.subscription, document)
            events = [await phone.wait_for(Kind.DIALOG_STATE) for _ in range(4)]
            assert [event.text for event in events] == ["none", "early", "confirmed", "terminated"]
            assert {event.peer for event in events} == {asked.request.uri}
            assert events[1].detail == {"id": "d1", "version": 1, "direction": "recipient", "remote": "sip:7@x"}

    run(body)


def test_a_document_that_came_late_changes_nothing_and_a_hole_is_mended() -> None:
    async def body() -> None:
        async with watching() as (phone, notifier):
            await phone.watch("1002")
            asked = await notifier.asked.get()
            feed = DialogFeed("sip:1002@x")
            first = feed.full((RINGING,))
            lost = feed.update((TALKING,))
            assert lost is not None
            missed = feed.update(())
            assert missed is not None
            notifier.tell(asked.subscription, first)
            notifier.tell(asked.subscription, missed)
            await notifier.renewed.get()
            notifier.tell(asked.subscription, lost)
            notifier.tell(asked.subscription, feed.full(()))
            texts = [(await phone.wait_for(Kind.DIALOG_STATE)).text for _ in range(3)]
            assert texts == ["early", "confirmed", "none"]

    run(body)


def test_the_mailbox_is_told_with_its_counts() -> None:
    async def body() -> None:
        async with watching() as (phone, notifier):
            await phone.watch_mailbox()
            asked = await notifier.asked.get()
            assert asked.request.uri.startswith("sip:1001@")
            summary = MessageSummary(True, counts=(MessageCount("Voice-Message", 2, 8),))
            notifier.tell(asked.subscription, summary.to_bytes(), SUMMARY)
            event = await phone.wait_for(Kind.MAILBOX)
            assert (event.text, event.detail) == ("yes", {"voice_message_new": 2, "voice_message_old": 8})
            notifier.tell(asked.subscription, MessageSummary(False).to_bytes(), SUMMARY)
            assert (await phone.wait_for(Kind.MAILBOX)).text == "no"

    run(body)


def test_a_challenged_subscription_is_asked_for_again_with_credentials() -> None:
    async def body() -> None:
        async with watching() as (phone, notifier):
            notifier.strict = True
            await phone.watch("1002")
            assert (await notifier.asked.get()).request.cseq[0] == 2

    run(body)


@pytest.mark.parametrize(("password", "refuse", "status"), [("wrong", 0, 401), ("demo", 404, 404)])
def test_a_refused_subscription_raises_its_status_and_is_told(password: str, refuse: int, status: int) -> None:
    async def body() -> None:
        async with watching(password) as (phone, notifier):
            notifier.strict = True
            notifier.refuse = refuse
            with pytest.raises(PhoneError) as caught:
                await phone.watch("1002")
            assert caught.value.status == status
            event = await phone.wait_for(Kind.WATCH_ENDED)
            assert (event.status, event.text) == (status, "refused")

    run(body)


def test_a_server_that_says_nothing_is_given_up_at_the_deadline() -> None:
    async def body() -> None:
        async with watching() as (phone, notifier):
            notifier.mute = True
            with pytest.raises(PhoneTimeout):
                await phone.watch("1002", timeout_s=0.05)

    run(body)


def test_what_is_not_watched_any_more_is_given_back() -> None:
    async def body() -> None:
        async with watching() as (phone, notifier):
            with pytest.raises(PhoneError, match="is not watched"):
                await phone.unwatch("1002")
            await phone.watch("1002")
            asked = await notifier.asked.get()
            notifier.tell(asked.subscription, DialogFeed("sip:1002@x").full(()))
            await phone.wait_for(Kind.DIALOG_STATE)
            await phone.unwatch("1002")
            assert await notifier.gone.get() == asked.subscription
            assert (await phone.wait_for(Kind.WATCH_ENDED)).text == "timeout"

    run(body)


def test_closing_gives_back_what_is_watched() -> None:
    async def body() -> None:
        async with watching() as (phone, notifier):
            await phone.watch("1002")
            asked = await notifier.asked.get()
            notifier.tell(asked.subscription, DialogFeed("sip:1002@x").full(()))
            await phone.wait_for(Kind.DIALOG_STATE)
            await phone.aclose()
            assert await notifier.gone.get() == asked.subscription

    run(body)


@pytest.mark.parametrize("document", [b"<dialog-info", b"<!DOCTYPE a><a/>", b"\xff"])
def test_a_document_that_cannot_be_read_ends_the_watch(document: bytes) -> None:
    async def body() -> None:
        async with watching() as (phone, notifier):
            await phone.watch("1002")
            asked = await notifier.asked.get()
            notifier.tell(asked.subscription, document)
            assert "cannot be read" in (await phone.wait_for(Kind.WATCH_ENDED)).text
            assert await notifier.gone.get() == asked.subscription

    run(body)


def test_a_notify_without_a_document_is_no_news() -> None:
    async def body() -> None:
        async with watching() as (phone, notifier):
            await phone.watch("1002")
            asked = await notifier.asked.get()
            notifier.tell(asked.subscription, b"", "")
            notifier.tell(asked.subscription, DialogFeed("sip:1002@x").full(()))
            assert (await phone.wait_for((Kind.DIALOG_STATE, Kind.WATCH_ENDED))).text == "none"

    run(body)


def test_watches_are_bounded() -> None:
    async def body() -> None:
        async with watching() as (phone, _):
            for number in range(MAX_WATCHES):
                await phone.watch(str(number))
            with pytest.raises(PhoneError, match="watches already"):
                await phone.watch("1002")

    run(body)


def test_watching_is_a_command() -> None:
    async def body() -> None:
        async with watching() as (phone, notifier):
            for line in ("watch 1002", "mailbox"):
                given = parse(line)
                assert given is not None
                assert (await obey(phone, given)).ok
                await notifier.asked.get()
            for line in ("unwatch 1002", "unwatch"):
                given = parse(line)
                assert given is not None
                assert (await obey(phone, given)).ok

    run(body)
