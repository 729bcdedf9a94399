"""A SIP user agent for tests and the demo: registers, calls, answers, holds; no media (RFC 3261).

phone = Phone("1002", "demo", ("127.0.0.1", 5070))
await phone.register()
await phone.wait_for(PhoneEventKind.INCOMING)
await phone.answer()
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Sequence
from types import TracebackType

from refserver.mailbox import Closed
from refserver.phone_agent import MAX_CALLS, PhoneAgent, host_text
from refserver.phone_records import (
    CallState,
    PhoneCall,
    PhoneError,
    PhoneEvent,
    PhoneEventKind,
    PhoneTimeout,
)
from refserver.phone_wires import Transport
from sip_proto import LocalError, Output

__all__ = ["Phone", "PhoneError", "PhoneEvent", "PhoneEventKind", "PhoneTimeout", "Transport", "main"]

TIMEOUT_S = 10.0
RETRY_S = 0.02

Kind = PhoneEventKind


class Phone(PhoneAgent):
    """One phone; `registrar` is also where its calls go, by `transport`: "udp", "tcp", or a `Transport` for TLS.

    `talk` says whether it answers on NOTIFY `Event: talk`; without it such a NOTIFY is refused with 489.
    Methods without a call number act on the newest call. Events are kept, unread, up to a bound.
    """

    async def register(self, timeout_s: float = TIMEOUT_S) -> None:
        """Register, and again before it expires; raises `PhoneError` with the status, `PhoneTimeout`."""
        await self.start()
        await self._registration.register(timeout_s)

    async def unregister(self, timeout_s: float = TIMEOUT_S) -> None:
        """Take the registration back."""
        await self._registration.unregister(timeout_s)

    async def call(self, target: str, headers: Sequence[tuple[str, str]] = ()) -> int:
        """Call a number or SIP URI; returns the call's number. Its fate comes as events."""
        await self.start()
        if len(self.calls) >= MAX_CALLS:
            raise PhoneError(f"{len(self.calls)} calls already")
        out: list[Output] = []
        uri = target if target.startswith(("sip:", "sips:")) else f"sip:{target}@{self.domain}"
        call_id = f"{secrets.token_hex(12)}@{host_text(self.address[0])}"
        call = self._new_call(0, CallState.CALLING, uri, call_id)
        call.uri = uri
        self._invite(call, out, headers)
        self.perform(out)
        return call.number

    def _pick(self, number: int | None, *states: CallState) -> PhoneCall:
        if number is not None and number in self.calls and self.calls[number].state in states:
            return self.calls[number]
        fitting = [call for call in self.calls.values() if call.state in states]
        if number is not None or not fitting:
            raise PhoneError(f"{self.number}: no call that is {' or '.join(s.name.lower() for s in states)}")
        return fitting[-1]

    async def answer(self, call: int | None = None) -> None:
        """Answer a call that rings here; the event `established` follows its ACK."""
        out: list[Output] = []
        self._accept(self._pick(call, CallState.INCOMING), out)
        self.perform(out)

    async def reject(self, status: int = 486, call: int | None = None) -> None:
        """Refuse a call that rings here with a SIP status of 400 to 699."""
        picked = self._pick(call, CallState.INCOMING)
        out: list[Output] = []
        self._endpoint.reject(self._now(), picked.leg, status, out)
        self._gone(picked.leg, Kind.ENDED, status, "rejected")
        self.perform(out)

    async def cancel(self, call: int | None = None) -> None:
        """Give up a call that was not answered yet; the event `failed` with 487 follows."""
        out: list[Output] = []
        picked = self._pick(call, CallState.CALLING)
        self._endpoint.cancel(self._now(), picked.leg, out)
        picked.state = CallState.CANCELLING
        self.perform(out)

    async def hangup(self, call: int | None = None) -> None:
        """End a call, whatever its state."""
        picked = self._pick(call, CallState.ESTABLISHED, CallState.ANSWERED, CallState.CALLING, CallState.INCOMING)
        if picked.state == CallState.CALLING:
            await self.cancel(picked.number)
        elif picked.state == CallState.INCOMING:
            await self.reject(603, picked.number)
        else:
            out: list[Output] = []
            self._endpoint.bye(self._now(), picked.leg, out)
            self._gone(picked.leg, Kind.ENDED, text="hangup")
            self.perform(out)

    async def hold(self, call: int | None = None, timeout_s: float = TIMEOUT_S) -> None:
        """Hold by re-INVITE; returns once the peer agreed, raises `PhoneError` when it refused."""
        await self._change(call, True, timeout_s)

    async def retrieve(self, call: int | None = None, timeout_s: float = TIMEOUT_S) -> None:
        """Take a held call back by re-INVITE; as `hold`."""
        await self._change(call, False, timeout_s)

    async def _change(self, number: int | None, hold: bool, timeout_s: float) -> None:
        call = self._pick(number, CallState.ESTABLISHED)
        kinds = (Kind.HELD if hold else Kind.RETRIEVED, Kind.FAILED, Kind.ENDED)
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    await self._start_change(call, hold)
                    event = await self.wait_for(kinds, call=call.number, timeout_s=timeout_s)
                    if event.status != 491:
                        break
                    await asyncio.sleep(secrets.randbelow(200) / 1_000)  # RFC 3261 section 14.1
        except TimeoutError:
            raise PhoneTimeout(f"phone {self.number}: not {kinds[0]} within {timeout_s:g} s") from None
        if event.kind in (Kind.FAILED, Kind.ENDED):
            raise PhoneError(f"{self.number}: {event.kind}: {event.status} {event.text}", event.status)

    async def _start_change(self, call: PhoneCall, hold: bool) -> None:
        """Send the re-INVITE as soon as no other is under way."""
        while True:
            out: list[Output] = []
            try:
                self._reinvite(call, hold, out)
            except LocalError as error:
                if call.state != CallState.ESTABLISHED:
                    raise PhoneError(f"{self.number}: {error}") from None
                await asyncio.sleep(RETRY_S)
            else:
                self.perform(out)
                return

    async def events(self) -> AsyncIterator[PhoneEvent]:
        """Every event not yet read, in order, until the phone is closed."""
        async for event in self._mail:
            yield event

    async def wait_for(
        self, kinds: Kind | Sequence[Kind], call: int | None = None, timeout_s: float = TIMEOUT_S
    ) -> PhoneEvent:
        """The first event of the kind (or kinds), unread or to come; raises `PhoneTimeout`."""
        wanted = (kinds,) if isinstance(kinds, str) else tuple(kinds)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._mail.get(lambda e: e.kind in wanted and call in (None, e.call))
        except Closed:
            raise PhoneError(f"{self.number}: the phone is closed") from None
        except TimeoutError:
            seen = ", ".join(event.kind for event in self._mail.unread()[-8:]) or "nothing"
            names = " or ".join(wanted)
            raise PhoneTimeout(f"phone {self.number}: not {names} within {timeout_s:g} s (unread: {seen})") from None

    async def aclose(self, unregister: bool = True) -> None:
        """Hang up, unregister and close the socket; never raises for what the network does."""
        if self._wires is None or self._closing:
            return
        for call in list(self.calls.values()):
            if call.state != CallState.CANCELLING:
                await self.hangup(call.number)
        if unregister and self._registration.active:
            with contextlib.suppress(PhoneError):
                await self.unregister(2.0)
        self._stop()
        await self._wires.close()
        self._mail.close()

    def abort(self) -> None:
        """Close the socket without a word, as a power cut would."""
        self._stop()
        if self._wires is not None:
            self._wires.abort()
        self._mail.close()

    def _stop(self) -> None:
        self._closing = True
        self._registration.stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def __aenter__(self) -> Phone:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def main(argv: list[str]) -> int:
    """The command `refserver phone`."""
    from refserver.phone_command import main as command

    return command(argv)
