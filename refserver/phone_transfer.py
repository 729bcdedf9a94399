"""Transfers by a test phone, and of it: REFER both ways, INVITE with Replaces (RFC 3515, RFC 3891)."""

from __future__ import annotations

import asyncio

import msgspec

from refserver.phone_agent import MAX_CALLS, Kind, Lines
from refserver.phone_messages import MessageSide
from refserver.phone_records import CallState, PhoneCall, PhoneError, PhoneTimeout
from sip_proto import (
    DialogId,
    Invited,
    LocalError,
    Output,
    ReferAnswered,
    ReferEnded,
    ReferProgress,
    Referred,
    Rejection,
    description_of,
)


class Transfer(msgspec.Struct):
    """A REFER of ours: the call that it is in, the one that it is to be joined with, who waits for its answer."""

    call: PhoneCall
    other: PhoneCall | None
    answered: asyncio.Future[ReferAnswered]


class TransferSide(MessageSide):
    """Who transfers, and who is transferred (ours)."""

    _transfers: dict[int, Transfer]

    async def start(self) -> None:
        """Open the socket; `register` and `call` do it when need be. OSError when it cannot be."""
        if self._wires is None:
            self._transfers = {}
        await super().start()

    def _heard(self, item: Output, out: list[Output]) -> None:
        if isinstance(item, Referred):
            self._referred(item, out)
        elif isinstance(item, ReferAnswered):
            self._refer_answered(item)
        elif isinstance(item, ReferProgress):
            transfer = self._transfers.get(item.referral)
            if transfer is not None and item.status < 200:
                self._tell(Kind.TRANSFER_PROGRESS, transfer.call, item.status, item.reason)
        elif isinstance(item, ReferEnded):
            self._refer_ended(item, out)
        else:
            super()._heard(item, out)

    # we transfer

    async def _transfer(
        self, call: PhoneCall, target: str, other: PhoneCall | None, silent: bool, timeout_s: float
    ) -> ReferAnswered:
        """Send a REFER; its 2xx. Raises `PhoneError` with the status, `PhoneTimeout`."""
        out: list[Output] = []
        try:
            if other is not None:
                target = f"{other.target if self._direct else other.peer}?Replaces={self._replaces(other)}"
            referral = self._endpoint.refer(
                self._now(), call.leg, out, refer_to=target, referred_by=self.identity, silent=silent
            )
        except LocalError as error:
            raise PhoneError(f"{self.number}: {error}") from None
        transfer = self._transfers[referral] = Transfer(call, other, self._loop.create_future())
        self.perform(out)
        try:
            async with asyncio.timeout(timeout_s):
                said = await asyncio.shield(transfer.answered)
        except TimeoutError:
            raise PhoneTimeout(f"{self.number}: no answer to REFER within {timeout_s:g} s") from None
        if said.status >= 300:
            reason = said.response.reason if said.response else "no answer"
            raise PhoneError(f"{self.number}: REFER: {said.status} {reason}", said.status)
        return said

    def _replaces(self, call: PhoneCall) -> str:
        return self._endpoint.replaces_of(call.leg, escaped=True)

    def _refer_answered(self, item: ReferAnswered) -> None:
        transfer = self._transfers.get(item.referral)
        if transfer is None:
            return
        if item.status >= 300:
            del self._transfers[item.referral]
            self._tell(Kind.TRANSFER_FAILED, transfer.call, item.status, item.response.reason if item.response else "")
        if not transfer.answered.done():
            transfer.answered.set_result(item)

    def _refer_ended(self, item: ReferEnded, out: list[Output]) -> None:
        transfer = self._transfers.pop(item.referral, None)
        if transfer is None:
            return
        if not transfer.answered.done():
            transfer.answered.set_result(ReferAnswered(item.referral, item.leg, 408, None))
        if item.status >= 300:
            self._tell(Kind.TRANSFER_FAILED, transfer.call, item.status)
            return
        done = item.status >= 200 or item.why == "silent"
        self._tell(Kind.TRANSFERRED if done else Kind.TRANSFER_ENDED, transfer.call, item.status, item.why)
        if done:
            for call in (transfer.call, transfer.other):
                self._leave(call, out)

    def _leave(self, call: PhoneCall | None, out: list[Output]) -> None:
        """End an answered call that somebody else goes on with."""
        if call is not None and call.state in (CallState.ESTABLISHED, CallState.ANSWERED):
            self._endpoint.bye(self._now(), call.leg, out)
            self._gone(call.leg, Kind.ENDED, text="transferred")

    # we are transferred

    def _referred(self, item: Referred, out: list[Output]) -> None:
        call = self._call_of(item.leg)
        uri = item.refer_to
        if uri.startswith("tel:"):
            uri = self._uri_of(uri[4:].partition(";")[0])
        if call is None or not self.transferable or len(self.calls) >= MAX_CALLS:
            self._endpoint.reject_referral(self._now(), item.referral, 603, out)
            return
        if not uri.startswith(("sip:", "sips:")):
            self._endpoint.reject_referral(self._now(), item.referral, 416, out)
            return
        self._endpoint.accept_referral(self._now(), item.referral, out)
        headers: Lines = (("Referred-By", item.referred_by),) if item.referred_by else ()
        if item.replaces is not None:
            headers = (*headers, ("Replaces", _replaces_value(item.replaces)))
        try:
            new = self._place(uri, out, headers=headers)
        except (LocalError, PhoneError):
            self._endpoint.report_referral(self._now(), item.referral, 503, out)
            return
        new.referral = 0 if item.silent else item.referral
        self._tell(Kind.REFERRED, call, text=item.refer_to, detail={"new_call": new.number})

    def _heard_of(self, call: PhoneCall, status: int, reason: str, out: list[Output]) -> None:
        if call.referral:
            self._endpoint.report_referral(self._now(), call.referral, status, out, reason=reason)
            if status >= 200:
                call.referral = 0

    # a call takes the place of another

    def _invited(self, item: Invited, out: list[Output]) -> None:
        replaced = self._endpoint.replaced_leg(item.request)
        if replaced is None:
            super()._invited(item, out)
            return
        peer = item.request.from_.uri
        if isinstance(replaced, Rejection):
            self._endpoint.reject(self._now(), item.leg, replaced.status, out, reason=replaced.reason)
            self._tell(Kind.REFUSED, None, replaced.status, "replaces", peer)
            return
        old = self._call_of(replaced)
        if old is None:
            self._endpoint.reject(self._now(), item.leg, 481, out)
            return
        new = self._new_call(item.leg, CallState.INCOMING, peer, item.request.call_id)
        new.offer = description_of(item.request)
        self._tell(Kind.INCOMING, new, text=item.request.uri)
        self._accept(new, out)
        if new.state == CallState.GONE:
            return
        if old.state in (CallState.ESTABLISHED, CallState.ANSWERED):
            self._endpoint.bye(self._now(), old.leg, out)
        else:
            self._endpoint.cancel(self._now(), old.leg, out)
        self._gone(old.leg, Kind.REPLACED, detail={"new_call": new.number})


def _replaces_value(dialog: DialogId) -> str:
    early = ";early-only" if dialog.early_only else ""
    return f"{dialog.call_id};to-tag={dialog.local_tag};from-tag={dialog.remote_tag}{early}"
