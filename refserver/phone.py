"""A SIP user agent for tests and the demo: registers, calls, answers, holds; no media (RFC 3261).

phone = Phone("1002", "demo", ("127.0.0.1", 5070))
await phone.register()
await phone.wait_for(PhoneEventKind.INCOMING)
await phone.answer()
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType

from refserver.mailbox import Closed
from refserver.phone_agent import TIMEOUT_S
from refserver.phone_messages import DIGITS, RELAY, relay_body
from refserver.phone_records import (
    CallState,
    PhoneError,
    PhoneEvent,
    PhoneEventKind,
    PhoneTimeout,
)
from refserver.phone_watch import DIALOG, SUMMARY, WatchSide
from refserver.phone_wires import Transport
from sip_proto import LocalError, Output

__all__ = ["Phone", "PhoneError", "PhoneEvent", "PhoneEventKind", "PhoneTimeout", "Transport", "main"]

Kind = PhoneEventKind


class Phone(WatchSide):
    """One phone; `registrar` is also where its calls go, by `transport`: "udp", "tcp", or a `Transport` for TLS.

    `talk` says whether it answers on NOTIFY `Event: talk`; without it such a NOTIFY is refused with 489. `busy`
    refuses every call with 486, and may change. A `direct` phone calls a URI's own address instead of the registrar.
    `reliable` is whether its calls have their 1xx acknowledged ("no", "supported", "required"); a phone that is not
    `transferable` refuses REFER with 603. `session_s` is the interval of its session timers, 0 for none;
    `min_session_s`, 90 or more, the least that it lets a peer ask for.
    Methods without a call number act on the newest call. Events are kept, unread, up to a bound.
    """

    async def register(self, timeout_s: float = TIMEOUT_S) -> None:
        """Register, and again before it expires; raises `PhoneError` with the status, `PhoneTimeout`."""
        await self.start()
        await self._registration.register(timeout_s)

    async def unregister(self, timeout_s: float = TIMEOUT_S) -> None:
        """Take the registration back."""
        await self._registration.unregister(timeout_s)

    async def call(
        self,
        target: str,
        headers: Sequence[tuple[str, str]] = (),
        *,
        late: bool = False,
        reliable: str | None = None,
    ) -> int:
        """Call a number or SIP URI; returns the call's number. Its fate comes as events.

        `late` calls without an offer, `reliable` is whether 1xx are acknowledged: "no", "supported", "required".
        """
        await self.start()
        out: list[Output] = []
        try:
            call = self._place(self._uri_of(target), out, headers=headers, late=late, reliable=reliable)
        except LocalError as error:
            raise PhoneError(f"{self.number}: {target}: {error}") from None
        self.perform(out)
        return call.number

    async def progress(self, call: int | None = None, reliable: bool | None = None) -> None:
        """Send 183 with a description to a call that rings here; `reliable` None: if the caller can take it so."""
        picked = self._pick(call, CallState.INCOMING)
        out: list[Output] = []
        self._progress(picked, reliable, out)
        self.perform(out)

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
        """Hold; returns once the peer agreed, raises `PhoneError` when it refused.

        A call that is not answered yet must be named: it is held by UPDATE, or when it is answered.
        """
        await self._change(call, Kind.HELD, timeout_s)

    async def retrieve(self, call: int | None = None, timeout_s: float = TIMEOUT_S) -> None:
        """Take a held call back; as `hold`."""
        await self._change(call, Kind.RETRIEVED, timeout_s)

    async def renegotiate(self, call: int | None = None, timeout_s: float = TIMEOUT_S) -> None:
        """Ask the peer for its offer by a re-INVITE without one; as `hold`."""
        await self._change(call, Kind.RENEGOTIATED, timeout_s)

    async def _change(self, number: int | None, kind: Kind, timeout_s: float) -> None:
        early = () if number is None else (CallState.CALLING, CallState.INCOMING)
        call = self._pick(number, CallState.ESTABLISHED, CallState.ANSWERED, *early)
        out: list[Output] = []
        try:
            outcome = self._offer(call, kind, out)
        except LocalError as error:
            raise PhoneError(f"{self.number}: {error}") from None
        self.perform(out)
        await self._outcome(call, outcome, kind, timeout_s)

    async def send_digits(self, digits: str, call: int | None = None, timeout_s: float = TIMEOUT_S) -> None:
        """Send digits (0-9, A-D, *, #) one by one, an INFO each; raises `PhoneError` when one is refused."""
        if not DIGITS.fullmatch(digits.upper()):
            raise PhoneError(f"{digits!r} are no digits: 1 to 64 of 0-9, A-D, * and #")
        picked = self._pick(call, CallState.ESTABLISHED)
        for digit in digits.upper():
            out: list[Output] = []
            try:
                handle = self._endpoint.send(
                    self._now(), picked.leg, "INFO", out, body=relay_body(digit), content_type=RELAY
                )
            except LocalError as error:
                raise PhoneError(f"{self.number}: {error}") from None
            await self._answer_of(handle, out, f"digit {digit}", timeout_s)

    async def send_message(self, target: str, text: str, timeout_s: float = TIMEOUT_S) -> int:
        """Send a text to a number or SIP URI; the status of its 2xx. Raises `PhoneError` with the status otherwise."""
        uri = self._uri_of(target)
        answer = await self._ask("MESSAGE", uri, f"message to {target}", text.encode(), "text/plain", timeout_s)
        return answer.status

    async def transfer(
        self,
        target: str | None = None,
        *,
        to_call: int | None = None,
        call: int | None = None,
        silent: bool = False,
        leave: bool = False,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Transfer a call to a number or SIP URI, or join it with another answered call; returns once the peer tries.

        Then events: `transferred` (and both calls are hung up), `transfer-failed` with the status, or `transfer-ended`
        when nobody tells. `silent` wants no reports, `leave` hangs up at once. Raises `PhoneError` when it is refused.
        """
        if (target is None) == (to_call is None):
            raise PhoneError(f"{self.number}: a transfer has a target or another call")
        other = None if to_call is None else self._pick(to_call, CallState.ESTABLISHED)
        if other is not None and call is None:
            call = next((call.number for call in reversed(list(self.calls.values())) if call is not other), None)
        picked = self._pick(call, CallState.ESTABLISHED)
        if picked is other:
            raise PhoneError(f"{self.number}: no call to join call {to_call} with")
        await self._transfer(picked, self._uri_of(target or ""), other, silent, timeout_s)
        if leave:
            out: list[Output] = []
            self._leave(picked, out)
            self._leave(other, out)
            self.perform(out)

    async def watch(self, target: str, expires_s: int = 600, timeout_s: float = TIMEOUT_S) -> None:
        """Watch a number's calls: an event `dialog-state` for each change. Raises `PhoneError` with the status."""
        await self._watch(DIALOG, self._uri_of(target), expires_s, timeout_s)

    async def watch_mailbox(self, expires_s: int = 600, timeout_s: float = TIMEOUT_S) -> None:
        """Watch the phone's own mailbox: events `mailbox`. As `watch`."""
        await self._watch(SUMMARY, self._uri_of(self.number), expires_s, timeout_s)

    async def unwatch(self, target: str | None = None) -> None:
        """Stop watching a number, without one the mailbox; the event `watch-ended` follows."""
        out: list[Output] = []
        self._unwatch(SUMMARY if target is None else DIALOG, self._uri_of(target or self.number), out)
        self.perform(out)

    async def events(self) -> AsyncIterator[PhoneEvent]:
        """Every event not yet read, in order, until the phone is closed."""
        async for event in self._mail:
            yield event

    async def wait_for(
        self,
        kinds: Kind | Sequence[Kind],
        call: int | None = None,
        timeout_s: float = TIMEOUT_S,
        where: Callable[[PhoneEvent], bool] = lambda event: True,
    ) -> PhoneEvent:
        """The first event of the kind (or kinds) that `where` accepts, unread or to come; raises `PhoneTimeout`."""
        wanted = (kinds,) if isinstance(kinds, str) else tuple(kinds)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._mail.get(lambda e: e.kind in wanted and call in (None, e.call) and where(e))
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
        out: list[Output] = []
        self._stop_watching(out)
        self.perform(out)
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
        self._give_up_asking()
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
