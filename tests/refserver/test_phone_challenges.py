"""A phone in a call whose server wants credentials for whatever it sends: it has those that it registered with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from refserver.phone import Phone, PhoneError, PhoneEventKind
from sip_proto import (
    Invited,
    Offered,
    Outcome,
    Output,
    Referred,
    Request,
    Requested,
    audio_answer,
    parse,
    parse_sdp,
)
from tests.refserver.sip_registrar import Registrar
from tests.refserver.test_phone import run
from tests.sip_proto.texts import response_to

Kind = PhoneEventKind


class Guard(Registrar):
    """A server that challenges the first request of each method, and all of the method `never`; `kept` are those that
    it let in."""

    def __init__(self, never: str = "") -> None:
        super().__init__()
        self.never = never
        self.challenged: list[str] = []
        self.kept: list[Request] = []
        self.outcomes: list[Outcome] = []

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = parse(data)
        if isinstance(message, Request) and message.method not in ("ACK", "CANCEL") and self.holds_up(message, addr):
            return
        super().datagram_received(data, addr)

    def holds_up(self, request: Request, addr: tuple[str, int]) -> bool:
        if request.method == "REGISTER":
            return False
        name = "re-INVITE" if request.method == "INVITE" and request.to.tag else request.method
        if name in self.challenged and name != self.never:
            self.outcomes.append(self.challenger.check(self.now(), request, lambda user: "demo").outcome)
            self.kept.append(request)
            return False
        self.challenged.append(name)
        field, value = self.challenger.challenge(self.now())
        self.transport.sendto(response_to(request.to_bytes(), 401, more=f"{field}: {value}\r\n"), addr)
        return True

    def perform(self, out: list[Output]) -> None:
        now = self.now()
        for item in list(out):
            if isinstance(item, Invited):
                self.endpoint.accept(now, item.leg, out, body=self.answer(item.request.body))
            elif isinstance(item, Offered):
                self.endpoint.answer_offer(now, item.leg, out, body=self.answer(item.request.body))
            elif isinstance(item, Referred):
                self.endpoint.accept_referral(now, item.referral, out)
                self.endpoint.report_referral(now, item.referral, 200, out)
            elif isinstance(item, Requested) and item.request.method != "REGISTER":
                self.endpoint.respond(now, item.handle, 200, out)
        super().perform([item for item in out if not is_other(item)])

    def answer(self, offer: bytes) -> bytes:
        body = audio_answer(parse_sdp(offer), "127.0.0.1", 9)
        assert body is not None
        return body


def is_other(item: Output) -> bool:
    return isinstance(item, Requested) and item.request.method != "REGISTER"


@asynccontextmanager
async def guarded(never: str = "") -> AsyncIterator[tuple[Phone, Guard]]:
    guard = Guard(never)
    address = await guard.start()
    try:
        async with Phone("1001", "demo", address) as phone:
            yield phone, guard
    finally:
        guard.transport.close()


def test_every_request_that_is_challenged_goes_again_with_the_phones_credentials() -> None:
    async def body() -> None:
        async with guarded() as (phone, guard):
            await phone.register()
            await phone.call("1002")
            await phone.wait_for(Kind.ESTABLISHED)
            await phone.hold()
            await phone.retrieve()
            await phone.send_digits("12")
            assert await phone.send_message("1002", "hello") == 200
            await phone.transfer("1003")
            await phone.wait_for(Kind.TRANSFERRED)
            assert (await phone.wait_for(Kind.ENDED)).text == "transferred"
            await phone.unregister()
            methods = ["INVITE", "re-INVITE", "INFO", "MESSAGE", "REFER", "BYE"]
            assert guard.challenged == methods
            assert set(guard.outcomes) == {Outcome.OK}
            bodies = {request.method: request.body for request in guard.kept}
            assert (bodies["INFO"][:8], bodies["MESSAGE"]) == (b"Signal=2", b"hello")

    run(body)


@pytest.mark.parametrize("never", ["INVITE", "re-INVITE", "INFO", "REFER", "MESSAGE"])
def test_credentials_that_are_refused_are_told_with_the_status(never: str) -> None:
    async def body() -> None:
        async with guarded(never) as (phone, guard):
            await phone.register()
            await phone.call("1002")
            if never == "INVITE":
                assert (await phone.wait_for(Kind.FAILED)).status == 401
                return
            await phone.wait_for(Kind.ESTABLISHED)
            asks = {
                "re-INVITE": phone.hold,
                "INFO": lambda: phone.send_digits("1"),
                "REFER": lambda: phone.transfer("1003"),
                "MESSAGE": lambda: phone.send_message("1002", "hello"),
            }
            with pytest.raises(PhoneError) as caught:
                await asks[never]()
            assert caught.value.status == 401
            assert guard.challenged.count(never) == 2
            assert phone.calls

    run(body)


def test_a_challenge_from_another_host_than_the_registrars_is_not_answered() -> None:
    async def body() -> None:
        async with guarded() as (_, guard), Phone("1001", "demo", ("127.0.0.2", 9), direct=True) as phone:
            with pytest.raises(PhoneError) as caught:
                await phone.send_message(f"sip:1002@127.0.0.1:{guard.address[1]}", "hello")
            assert (caught.value.status, guard.kept) == (401, [])

    run(body)
