"""A phone's registration, refreshed before it expires (RFC 3261 section 10.2)."""

from __future__ import annotations

import asyncio
import re
import secrets
from typing import Protocol

from refserver.phone_records import PhoneError, PhoneEventKind, PhoneTimeout
from sip_proto import Response

MOST_TURNS = 8
RETRY_S = 5.0
AGAIN_S = 0.5


class Host(Protocol):
    """What a registration asks of its phone."""

    def request_register(self, expires_s: int, call_id: str, cseq: int) -> int: ...

    def told_registration(self, kind: PhoneEventKind, status: int, text: str) -> None: ...


class Registration:
    """One binding at one registrar, kept alive until `unregister` or `stop`."""

    def __init__(self, host: Host, expires_s: int) -> None:
        self._host = host
        self._wanted_s = expires_s
        self._call_id = secrets.token_hex(12)
        self._cseq = 0
        self._handle: int | None = None
        self._asked_s = 0
        self._refresh: asyncio.TimerHandle | None = None
        self._done: asyncio.Future[None] | None = None
        self._wanted = False
        self.active = False

    async def register(self, timeout_s: float) -> None:
        """Bind; raises `PhoneError` with the status, `PhoneTimeout`."""
        await self._ask(self._wanted_s, timeout_s)

    async def unregister(self, timeout_s: float) -> None:
        """Take the binding back; raises as `register`."""
        self._wanted = False
        self._stop_refresh()
        await self._ask(0, timeout_s)

    def stop(self) -> None:
        """No refresh any more; whoever waits hears that the phone closed."""
        self._wanted = False
        self._stop_refresh()
        self._handle = None
        self._finish(PhoneError("the phone is closed"))

    async def _ask(self, expires_s: int, timeout_s: float) -> None:
        self._finish(PhoneError("overtaken by another registration"))
        done = self._done = asyncio.get_running_loop().create_future()
        self._begin(expires_s)
        try:
            async with asyncio.timeout(timeout_s):
                await done
        except TimeoutError:
            self._handle = None
            raise PhoneTimeout(f"no final answer to REGISTER within {timeout_s:g} s") from None

    def _begin(self, expires_s: int) -> None:
        self._asked_s = expires_s
        self._cseq += 1
        self._handle = self._host.request_register(self._asked_s, self._call_id, self._cseq)

    def stream_lost(self) -> None:
        """A stream is gone by which the registrar may have reached the phone: register again, soon."""
        if self._wanted and self._handle is None:
            self._stop_refresh()
            self._refresh = asyncio.get_running_loop().call_later(AGAIN_S, self._begin, self._wanted_s)

    def responded(self, handle: int, response: Response | None, why: str = "") -> None:
        """The final answer to one REGISTER, None when none came; `why` it could not be sent."""
        if handle != self._handle:
            return
        self._handle = None
        # The endpoint counts on for each challenge that it answers.
        self._cseq = response.cseq[0] if response is not None else self._cseq + MOST_TURNS
        if response is None:
            self._fail(503 if why else 408, why or "no answer")
        elif response.status in (401, 407):
            self._fail(response.status, "the credentials were refused")
        elif 200 <= response.status < 300:
            self._registered(response)
        else:
            self._fail(response.status, response.reason)

    def _registered(self, response: Response) -> None:
        if self._asked_s == 0:
            self.active = False
            self._host.told_registration(PhoneEventKind.UNREGISTERED, response.status, "")
        else:
            granted_s = self._granted(response)
            self.active = self._wanted = True
            self._stop_refresh()
            loop = asyncio.get_running_loop()
            self._refresh = loop.call_later(max(granted_s / 2, 0.5), self._begin, self._wanted_s)
            self._host.told_registration(PhoneEventKind.REGISTERED, response.status, f"for {granted_s} s")
        self._finish(None)

    def _granted(self, response: Response) -> int:
        contact = response.contact
        found = contact.params.get("expires", "") if contact is not None else ""
        for text in (found, (response.get("Expires") or "").strip()):
            if re.fullmatch(r"[0-9]{1,9}", text):
                return max(1, min(int(text), self._wanted_s))
        return self._wanted_s

    def _fail(self, status: int, text: str) -> None:
        self.active = False
        self._host.told_registration(PhoneEventKind.REGISTRATION_FAILED, status, text)
        if self._wanted:
            self._stop_refresh()
            self._refresh = asyncio.get_running_loop().call_later(RETRY_S, self._begin, self._wanted_s)
        self._finish(PhoneError(f"registration failed: {status} {text}", status))

    def _finish(self, error: PhoneError | None) -> None:
        done, self._done = self._done, None
        if done is None or done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def _stop_refresh(self) -> None:
        if self._refresh is not None:
            self._refresh.cancel()
            self._refresh = None
