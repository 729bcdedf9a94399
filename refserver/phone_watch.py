"""What a test phone watches: the calls of a number, its own mailbox (RFC 6665, RFC 4235, RFC 3842)."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec

from refserver.phone_agent import LISTENER, Kind
from refserver.phone_records import PhoneError, PhoneTimeout
from refserver.phone_transfer import TransferSide
from sip_proto import (
    LocalError,
    Notified,
    Output,
    ParseError,
    Subscribed,
    SubscriptionEnded,
)
from sip_proto.dialog_info import DialogInfo, DialogPicture, Taken, parse_dialog_info
from sip_proto.message_summary import parse_message_summary

DIALOG, SUMMARY = "dialog", "message-summary"
ACCEPT = {DIALOG: "application/dialog-info+xml", SUMMARY: "application/simple-message-summary"}
MAX_WATCHES = 64


class Watch(msgspec.Struct, eq=False):
    """A subscription of ours: what is known by it, who waits for it."""

    event: str
    uri: str
    expires_s: int
    granted: asyncio.Future[None]
    picture: DialogPicture
    leaving: bool = False


class WatchSide(TransferSide):
    """Subscriptions by handle of the endpoint (ours)."""

    _watches: dict[int, Watch]

    async def start(self) -> None:
        """Open the socket; `register` and `call` do it when need be. OSError when it cannot be."""
        if self._wires is None:
            self._watches = {}
        await super().start()

    def _heard(self, item: Output, out: list[Output]) -> None:
        if isinstance(item, Subscribed | Notified):
            watch = self._watches.get(item.subscription)
            if watch is None:
                return
            if not watch.granted.done():
                watch.granted.set_result(None)
            if isinstance(item, Notified):
                self._notified_of(item, watch, out)
        elif isinstance(item, SubscriptionEnded):
            self._watch_ended(item)
        else:
            super()._heard(item, out)

    async def _watch(self, event: str, uri: str, expires_s: int, timeout_s: float) -> None:
        """Subscribe and be granted; raises `PhoneError` with the status, `PhoneTimeout`."""
        await self.start()
        if len(self._watches) >= MAX_WATCHES:
            raise PhoneError(f"{self.number}: {MAX_WATCHES} watches already")
        granted: asyncio.Future[None] = self._loop.create_future()
        watch = Watch(event, uri, expires_s, granted, DialogPicture())
        out: list[Output] = []
        self._subscribe(watch, out)
        self.perform(out)
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.shield(granted)
        except TimeoutError:
            raise PhoneTimeout(f"{self.number}: no answer to SUBSCRIBE within {timeout_s:g} s") from None

    def _subscribe(self, watch: Watch, out: list[Output]) -> None:
        try:
            handle = self._endpoint.subscribe(
                self._now(),
                out,
                event=watch.event,
                listener=LISTENER,
                destination=self._destination(watch.uri),
                uri=watch.uri,
                from_=self.identity,
                to=f"<{watch.uri}>",
                expires_s=watch.expires_s,
                contact=self.contact,
                headers=(("Accept", ACCEPT[watch.event]),),
            )
        except LocalError as error:
            raise PhoneError(f"{self.number}: {error}") from None
        self._watches[handle] = watch

    def _unwatch(self, event: str, uri: str, out: list[Output]) -> None:
        """Give the subscriptions to an event of a URI back; `PhoneError` when there is none."""
        found = [handle for handle, watch in self._watches.items() if (watch.event, watch.uri) == (event, uri)]
        if not found:
            raise PhoneError(f"{self.number}: {uri} is not watched")
        for handle in found:
            self._give_back(handle, out)

    def _give_back(self, handle: int, out: list[Output]) -> None:
        self._watches[handle].leaving = True
        try:
            self._endpoint.unsubscribe(self._now(), handle, out)
        except LocalError:
            # It was never granted, or is being given back.
            self._endpoint.forget_subscription(self._now(), handle, out)
            del self._watches[handle]

    def _stop_watching(self, out: list[Output]) -> None:
        """Give everything back, at the end of the phone."""
        for handle in list(self._watches):
            self._give_back(handle, out)

    def _notified_of(self, item: Notified, watch: Watch, out: list[Output]) -> None:
        body = item.request.body
        if not body or watch.leaving:
            return
        try:
            if watch.event == DIALOG:
                self._tell_dialogs(item.subscription, watch, parse_dialog_info(body), out)
            else:
                self._tell_mailbox(watch, body)
        except ParseError as error:
            self._tell(Kind.WATCH_ENDED, text=f"a document that cannot be read: {error}", peer=watch.uri)
            self._give_back(item.subscription, out)

    def _tell_dialogs(self, handle: int, watch: Watch, info: DialogInfo, out: list[Output]) -> None:
        taken = watch.picture.take(info)
        if taken is Taken.HOLE:
            with contextlib.suppress(LocalError):
                self._endpoint.resubscribe(self._now(), handle, out)
        if taken is not Taken.NEWS:
            return
        for entry in info.dialogs:
            detail: dict[str, str | int] = {"id": entry.id, "version": info.version}
            texts = (
                ("direction", entry.direction),
                ("remote", entry.remote.identity),
                ("event", entry.event),
            )
            detail.update((key, text) for key, text in texts if text)
            self._tell(Kind.DIALOG_STATE, status=entry.code, text=entry.state, peer=watch.uri, detail=detail)
        if info.full and not info.dialogs:
            self._tell(Kind.DIALOG_STATE, text="none", peer=watch.uri, detail={"version": info.version})

    def _tell_mailbox(self, watch: Watch, body: bytes) -> None:
        summary = parse_message_summary(body)
        detail: dict[str, str | int] = {}
        for count in summary.counts:
            name = count.kind.lower().replace("-", "_")
            detail[f"{name}_new"] = count.new
            detail[f"{name}_old"] = count.old
        self._tell(Kind.MAILBOX, text="yes" if summary.waiting else "no", peer=watch.uri, detail=detail)

    def _watch_ended(self, item: SubscriptionEnded) -> None:
        watch = self._watches.pop(item.subscription, None)
        if watch is None:
            return
        response = item.response
        status = response.status if response is not None else 0
        if not watch.granted.done():
            reason = response.reason if response is not None else item.why
            text = f"{self.number}: {watch.event} of {watch.uri}: {status or ''} {reason}"
            watch.granted.set_exception(PhoneError(text, status or 408))
        self._tell(Kind.WATCH_ENDED, status=status, text=item.why, peer=watch.uri)
