"""The calls of a test phone: what comes of them, and their descriptions (RFC 3261, RFC 3264)."""

from __future__ import annotations

import asyncio
import re
import secrets

import msgspec

from refserver.phone_agent import ALLOW, LISTENER, MAX_CALLS, SUPPORTED, Kind, Lines, PhoneAgent, host_text
from refserver.phone_media import Media
from refserver.phone_records import CallState, PhoneCall, PhoneError, PhoneTimeout
from sip_proto import (
    Acked,
    Answered,
    Cancelled,
    DialogChanged,
    Ended,
    Failed,
    Invited,
    LocalError,
    OfferAnswered,
    Offered,
    OfferRefused,
    Output,
    ParseError,
    Pracked,
    Refreshed,
    Request,
    Requested,
    Ringing,
    description_of,
    parse_name_addr,
)
from sip_proto.headers import unquote

_ANSWER_AFTER = re.compile(r";[ \t]*answer-after[ \t]*=[ \t]*0[ \t]*(?:[;,]|$)", re.IGNORECASE)

MAX_REDIRECTS = 3

Outcome = tuple[Kind, int, str]
"""What came of an offer: held, retrieved, offer-refused or ended; status; text."""


class PendingOffer(msgspec.Struct):
    """An offer of ours that waits for its answer: its number, what comes of it, and who waits."""

    number: int
    kind: Kind
    outcome: asyncio.Future[Outcome]

    def settle(self, kind: Kind, status: int, text: str) -> None:
        """Tell who waits, if somebody still does."""
        if not self.outcome.done():
            self.outcome.set_result((kind, status, text))


class CallSide(PhoneAgent):
    """Calls by number, and the legs of the endpoint that they stand for (ours)."""

    _legs: dict[int, int]
    _pending: dict[int, list[PendingOffer]]
    _last_call: int

    async def start(self) -> None:
        """Open the socket; `register` and `call` do it when need be. OSError when it cannot be."""
        if self._wires is None:
            self._legs = {}
            self._pending = {}
            self._last_call = 0
        await super().start()

    def _heard(self, item: Output, out: list[Output]) -> None:
        if isinstance(item, Invited):
            self._invited(item, out)
        elif isinstance(item, Requested):
            self._requested(item, out)
        elif isinstance(item, Ringing):
            self._rings(item, out)
        elif isinstance(item, Answered):
            self._answered(item, out)
        elif isinstance(item, Failed):
            self._failed(item, out)
        elif isinstance(item, Acked):
            self._acked(item)
        elif isinstance(item, Pracked):
            self._described(item.leg, description_of(item.request))
        elif isinstance(item, Refreshed):
            self._described(item.leg, description_of(item.response))
        elif isinstance(item, DialogChanged):
            self._dialog_changed(item)
        elif isinstance(item, Cancelled):
            self._gone(item.leg, Kind.CANCELLED, text=item.why)
        elif isinstance(item, Ended):
            self._gone(item.leg, Kind.ENDED, text=item.why)
        elif isinstance(item, Offered):
            self._offered(item, out)
        elif isinstance(item, OfferAnswered):
            self._offer_answered(item, out)
        elif isinstance(item, OfferRefused):
            self._offer_refused(item)
        else:
            super()._heard(item, out)

    # the table of calls

    def _pick(self, number: int | None, *states: CallState) -> PhoneCall:
        if number is not None and number in self.calls and self.calls[number].state in states:
            return self.calls[number]
        fitting = [call for call in self.calls.values() if call.state in states]
        if number is not None or not fitting:
            raise PhoneError(f"{self.number}: no call that is {' or '.join(s.name.lower() for s in states)}")
        return fitting[-1]

    def _call_of(self, leg: int) -> PhoneCall | None:
        number = self._legs.get(leg)
        return None if number is None else self.calls.get(number)

    def _new_call(self, leg: int, state: CallState, peer: str, call_id: str) -> PhoneCall:
        self._last_call += 1
        media = Media(self.address[0], secrets.randbelow(2**31))
        call = PhoneCall(self._last_call, leg, state, peer, media, call_id, tag=secrets.token_hex(8))
        self.calls[call.number] = call
        self._legs[leg] = call.number
        return call

    def _gone(
        self,
        leg: int,
        kind: Kind,
        status: int = 0,
        text: str = "",
        detail: dict[str, str | int] | None = None,
    ) -> None:
        call = self._call_of(leg)
        self._legs.pop(leg, None)
        if call is None:
            return
        call.state = CallState.GONE
        del self.calls[call.number]
        for pending in self._pending.pop(call.number, ()):
            pending.settle(Kind.ENDED, status, text)
        self._tell(kind, call, status, text, detail=detail)

    # calls of ours

    def _place(
        self, uri: str, out: list[Output], *, headers: Lines = (), late: bool = False, reliable: str | None = None
    ) -> PhoneCall:
        """Start a call to a URI; LocalError or `PhoneError` when it cannot be, and then there is no call."""
        if len(self.calls) >= MAX_CALLS:
            raise PhoneError(f"{len(self.calls)} calls already")
        call_id = f"{secrets.token_hex(12)}@{host_text(self.address[0])}"
        call = self._new_call(0, CallState.CALLING, uri, call_id)
        call.uri = uri
        call.late = late
        call.reliable = reliable
        call.headers = tuple(headers)
        try:
            self._invite(call, out)
        except (LocalError, PhoneError):
            del self.calls[call.number]
            self._legs.pop(call.leg, None)
            raise
        return call

    def _invite(self, call: PhoneCall, out: list[Output]) -> None:
        self._legs.pop(call.leg, None)
        call.leg = self._endpoint.invite(
            self._now(),
            out,
            listener=LISTENER,
            destination=call.place or self._destination(call.uri),
            uri=call.uri,
            from_=self.identity,
            to=f"<{call.uri}>",
            contact=self.contact,
            headers=call.headers,
            body=b"" if call.late else call.media.offer(),
            call_id=call.call_id,
            cseq=call.cseq,
            from_tag=call.tag,
            reliable=call.reliable,
        )
        self._legs[call.leg] = call.number

    def _rings(self, item: Ringing, out: list[Output]) -> None:
        call = self._call_of(item.leg)
        if call is None:
            return
        body = description_of(item.response)
        if item.offer:
            answer = call.media.answer(body)
            if answer is None:
                self._endpoint.cancel(self._now(), item.leg, out)
                self._gone(item.leg, Kind.FAILED, 488, "no common format")
                return
            self._endpoint.prack(self._now(), item.leg, out, body=answer)
            call.described = True
        elif body and not call.late:
            call.media.read(body)
            call.described = call.described or item.reliable
        detail: dict[str, str | int] = {"reliable": "yes"} if item.reliable else {}
        if body:
            detail["early_media"] = "yes"
        self._tell(Kind.RINGING, call, item.response.status, detail=detail)
        self._heard_of(call, item.response.status, item.response.reason, out)

    def _answered(self, item: Answered, out: list[Output]) -> None:
        call = self._call_of(item.leg)
        if call is None:
            return
        call.state = CallState.ESTABLISHED
        body = b""
        if call.late and not call.described:
            answer = call.media.answer(offer) if (offer := description_of(item.response)) else None
            if answer is None:
                self._endpoint.ack(self._now(), item.leg, out)
                self._endpoint.bye(self._now(), item.leg, out)
                self._gone(item.leg, Kind.FAILED, 488, "no common format")
                self._heard_of(call, 488, "", out)
                return
            body = answer
        elif not call.described:
            call.media.read(description_of(item.response))
        call.described = True
        self._endpoint.ack(self._now(), item.leg, out, body=body)
        self._tell(Kind.ESTABLISHED, call, item.response.status, detail=_session_of(call))
        self._heard_of(call, item.response.status, item.response.reason, out)

    def _heard_of(self, call: PhoneCall, status: int, reason: str, out: list[Output]) -> None:
        """A response to a call of ours came; who asked for the call may want to know."""

    def _failed(self, item: Failed, out: list[Output]) -> None:
        call = self._call_of(item.leg)
        if call is None:
            return
        if self._redirected(item, call, out):
            return
        reason = item.response.reason if item.response else ""
        self._gone(item.leg, Kind.FAILED, item.status, reason)
        self._heard_of(call, item.status, reason, out)

    def _redirected(self, item: Failed, call: PhoneCall, out: list[Output]) -> bool:
        """Go where a 3xx sends the call, if it says a place (RFC 3261 section 8.1.3.4)."""
        response = item.response
        if response is None or not 300 <= item.status < 400 or call.redirects >= MAX_REDIRECTS:
            return False
        try:
            contact = response.contact
            uri = contact.uri if contact is not None else ""
            call.place = self._address_in(uri)
        except (ParseError, PhoneError):
            return False
        call.uri = uri
        call.redirects += 1
        call.cseq = response.cseq[0] + 1
        self._invite(call, out)
        self._tell(Kind.REDIRECTED, call, item.status, uri)
        return True

    # calls of others

    def _invited(self, item: Invited, out: list[Output]) -> None:
        request = item.request
        if self.busy or len(self.calls) >= MAX_CALLS:
            self._endpoint.reject(self._now(), item.leg, 486, out)
            self._tell(Kind.REFUSED, None, 486, "busy", request.from_.uri)
            return
        call = self._new_call(item.leg, CallState.INCOMING, request.from_.uri, request.call_id)
        call.offer = description_of(request)
        self._endpoint.provisional(self._now(), item.leg, 180, out)
        self._tell(Kind.INCOMING, call, text=request.uri)
        if self.auto_answer or _wants_answer(request):
            self._accept(call, out)

    def _progress(self, call: PhoneCall, reliable: bool | None, out: list[Output]) -> None:
        """Send 183 with our description, as far as a 183 can have one."""
        body = call.early or call.media.answer(call.offer)
        if body is None:
            self._refuse_format(call, out)
            return
        self._endpoint.provisional(self._now(), call.leg, 183, out, body=body, reliable=reliable)
        call.early = body

    def _accept(self, call: PhoneCall, out: list[Output]) -> None:
        body = call.early or call.media.answer(call.offer)
        if body is None:
            self._refuse_format(call, out)
            return
        call.state = CallState.ANSWERED
        self._endpoint.accept(self._now(), call.leg, out, body=body)

    def _refuse_format(self, call: PhoneCall, out: list[Output]) -> None:
        self._endpoint.reject(self._now(), call.leg, 488, out)
        self._gone(call.leg, Kind.FAILED, 488, "no common format")

    def _acked(self, item: Acked) -> None:
        self._described(item.leg, description_of(item.request))
        call = self._call_of(item.leg)
        if call is not None and call.state == CallState.ANSWERED:
            call.state = CallState.ESTABLISHED
            self._tell(Kind.ESTABLISHED, call, 200, detail=_session_of(call))

    def _dialog_changed(self, item: DialogChanged) -> None:
        call = self._call_of(item.dialog.leg)
        if call is not None:
            call.target = item.dialog.remote_target
            call.session_s = item.dialog.session_s
            call.refreshes = item.dialog.refresher

    def _described(self, leg: int, body: bytes) -> None:
        """The peer's answer to an offer of ours in a 1xx or a 2xx, if there is one."""
        call = self._call_of(leg)
        if call is not None and body:
            self._heard_description(call, body)

    # what is asked within a call, and outside

    def _requested(self, item: Requested, out: list[Output]) -> None:
        call = self._call_of(item.leg) if item.leg else None
        if item.request.method == "OPTIONS":
            supported = ", ".join(("100rel", "timer", *SUPPORTED))
            lines = (("Allow", ALLOW), ("Supported", supported), ("Accept", "application/sdp"))
            self._endpoint.respond(self._now(), item.handle, 200, out, headers=lines)
        elif item.request.method == "NOTIFY":
            self._notified(item, call, out)
        else:
            self._endpoint.respond(self._now(), item.handle, 405, out, headers=(("Allow", ALLOW),))

    def _notified(self, item: Requested, call: PhoneCall | None, out: list[Output]) -> None:
        now = self._now()
        package = (item.request.get("Event") or "").partition(";")[0].strip().lower()
        if package != "talk" or not self.talk:
            self._endpoint.respond(now, item.handle, 489, out, headers=(("Allow-Events", "talk"),))
        elif call is None:
            self._endpoint.respond(now, item.handle, 481, out)
        else:
            self._endpoint.respond(now, item.handle, 200, out)
            self._tell(Kind.TALK, call)
            if call.state == CallState.INCOMING:
                self._accept(call, out)
            elif call.state == CallState.ESTABLISHED and call.media.held and call.number not in self._pending:
                self._offer(call, Kind.RETRIEVED, out)

    # offers within a call

    def _offer(self, call: PhoneCall, kind: Kind, out: list[Output]) -> asyncio.Future[Outcome]:
        """Offer what holds (HELD) or does not (RETRIEVED), or ask for the peer's offer (RENEGOTIATED); its outcome.

        The endpoint sends it when it can be sent, again when it crossed the peer's. LocalError when too many wait.
        """
        before = call.media.held
        if kind != Kind.RENEGOTIATED:
            call.media.held = kind == Kind.HELD
        body = b"" if kind == Kind.RENEGOTIATED else call.media.offer()
        try:
            number = self._endpoint.offer(self._now(), call.leg, out, body=body)
        except LocalError:
            call.media.held = before
            raise
        pending = PendingOffer(number, kind, self._loop.create_future())
        self._pending.setdefault(call.number, []).append(pending)
        return pending.outcome

    def _settled(self, call: PhoneCall, number: int) -> PendingOffer | None:
        """The offer of that number; an exchange that the program did not ask for has none."""
        pending = self._pending.get(call.number, [])
        found = next((item for item in pending if item.number == number), None)
        if found is not None:
            pending.remove(found)
            if not pending:
                del self._pending[call.number]
        return found

    async def _outcome(self, call: PhoneCall, outcome: asyncio.Future[Outcome], what: Kind, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                kind, status, text = await asyncio.shield(outcome)
        except TimeoutError:
            raise PhoneTimeout(f"phone {self.number}: not {what} within {timeout_s:g} s") from None
        if kind in (Kind.OFFER_REFUSED, Kind.ENDED):
            raise PhoneError(f"{self.number}: call {call.number}: {kind}: {status} {text}".rstrip(), status)

    def _offered(self, item: Offered, out: list[Output]) -> None:
        call = self._call_of(item.leg)
        if call is None:
            self._endpoint.refuse_offer(self._now(), item.leg, 481, out)
            return
        before = call.media.held_by_peer
        body = call.media.answer(description_of(item.request))
        if body is None:
            self._endpoint.refuse_offer(self._now(), item.leg, 488, out)
            return
        self._endpoint.answer_offer(self._now(), item.leg, out, body=body)
        self._hear_who(call, item.request)
        self._tell_hold(call, before)

    def _hear_who(self, call: PhoneCall, request: Request) -> None:
        """The server says who is at the other end now, as after a transfer (RFC 3325 section 9.1)."""
        try:
            said = next((parse_name_addr(value) for value in request.elements("P-Asserted-Identity")), None)
        except ParseError:
            return
        if said is not None and said.uri != call.peer:
            call.peer = said.uri
            self._tell(Kind.PEER_CHANGED, call, text=unquote(said.display))

    def _offer_answered(self, item: OfferAnswered, out: list[Output]) -> None:
        call = self._call_of(item.leg)
        if call is None:
            return
        pending = self._settled(call, item.offer)
        if pending is None:
            return
        status = item.response.status
        if pending.kind == Kind.RENEGOTIATED:
            before = call.media.held_by_peer
            answer = call.media.answer(offer) if (offer := description_of(item.response)) else None
            self._endpoint.ack(self._now(), item.leg, out, body=answer or b"")
            self._tell_hold(call, before)
        else:
            call.holds = pending.kind == Kind.HELD
            self._heard_description(call, description_of(item.response))
        pending.settle(pending.kind, status, "")
        self._tell(pending.kind, call, status)

    def _offer_refused(self, item: OfferRefused) -> None:
        call = self._call_of(item.leg)
        pending = None if call is None else self._settled(call, item.offer)
        if call is None or pending is None:
            return
        text = item.response.reason if item.response else "no answer"
        pending.settle(Kind.OFFER_REFUSED, item.status, text)
        if call.number not in self._pending:
            call.media.held = call.holds
        self._tell(Kind.OFFER_REFUSED, call, item.status, text)

    def _heard_description(self, call: PhoneCall, body: bytes) -> None:
        before = call.media.held_by_peer
        call.media.read(body)
        self._tell_hold(call, before)

    def _tell_hold(self, call: PhoneCall, before: bool) -> None:
        after = call.media.held_by_peer
        if after != before:
            self._tell(Kind.HELD_BY_PEER if after else Kind.RETRIEVED_BY_PEER, call)


def _session_of(call: PhoneCall) -> dict[str, str | int]:
    """What was agreed of the call's session timer."""
    if not call.session_s:
        return {}
    return {"session_s": call.session_s, "refresher": "phone" if call.refreshes else "peer"}


def _wants_answer(request: Request) -> bool:
    """Whether the caller asks the phone to answer at once, as for a call that a program makes on it."""
    return any(_ANSWER_AFTER.search(value) for value in request.get_all("Call-Info"))
