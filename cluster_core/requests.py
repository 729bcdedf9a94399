"""Requests of this node's clients that wait for their answer: who asked, under which ReferenceID, until when.

A request is answered once: by the event that it led to, whose copy for the requester alone carries the ReferenceID, or
by EventError. A request may be served on another node; then its answer comes over a link.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from cluster_core.core import Cause, Core
from cluster_core.edge import Edge
from cluster_core.limits import MILLISECOND_US
from cluster_core.outputs import AnyOutput
from cluster_core.rights import REFUSALS, Condition
from tlib_proto import Attribute, Message, MessageType, build, encode, replace, with_reference

ALONE = (MessageType.EventPartyInfo,)
"""Answers that are nobody's events."""
FALLBACK_US = 300 * MILLISECOND_US


class Pending(msgspec.Struct):
    """A request in flight; `fallback` is the answering event as the call's node sent it along with its reply,
    `node` where else it is served.
    """

    conn: int
    ref: int
    name: str
    dn: str
    conn_id: int
    fallback: bytes = b""
    node: str = ""


class Requests:
    """The table of requests in flight, and the one place that answers them."""

    def __init__(self, core: Core, edge: Edge) -> None:
        self._core = core
        self._edge = edge
        self._pending: dict[int, Pending] = {}
        self.reply_remote: Callable[[int, Cause, int, str, bytes, list[AnyOutput]], None] = _nowhere

    def __len__(self) -> int:
        return len(self._pending)

    def open(self, now: int, conn: int, message: Message, out: list[AnyOutput]) -> Cause | None:
        """Note a request and give it a number; None, and EventError sent, when too many wait."""
        if len(self._pending) >= self._core.limits.requests_in_flight:
            self.refuse(now, conn, message, Condition.TOO_MANY, out)
            return None
        number = self._core.ids.request()
        dn = message.text(Attribute.ThisDN)
        self._pending[number] = Pending(conn, message.ref, message.name, dn, message.number(Attribute.ConnID))
        self._core.arm("request", number, now + self._core.limits.request_deadline_us)
        return (self._core.name, number)

    def conn_of(self, cause: Cause | None) -> int | None:
        """The stream that waits for this cause's answer here, if any."""
        if cause is None or cause[0] != self._core.name:
            return None
        pending = self._pending.get(cause[1])
        return None if pending is None else pending.conn

    def take_ref(self, cause: Cause) -> int:
        """The ReferenceID of a request that is answered now; it waits no longer."""
        pending = self._pending.pop(cause[1])
        self._core.arm("request", cause[1], None)
        return pending.ref

    def waits(self, cause: Cause | None) -> bool:
        """Whether somebody still waits for this cause's answer, here or on another node."""
        return cause is not None and (cause[0] != self._core.name or cause[1] in self._pending)

    def done(self, now: int, cause: Cause | None, frame: bytes, out: list[AnyOutput]) -> None:
        """The request led to the event of this frame: answer the requester with it, unless a delivery has done so."""
        if cause is None:
            return
        if cause[0] != self._core.name:
            self.reply_remote(now, cause, 0, "", frame, out)
        elif cause[1] in self._pending:
            self.replied(now, cause[1], 0, "", frame, out)

    def tell(self, now: int, cause: Cause, message: Message, out: list[AnyOutput]) -> None:
        """Answer the request by a message that is nobody's event: it waits for no event's ordered way."""
        stamped = Message(message.id, 0, {**message.attributes, **self._edge.stamps.time(now)})
        self.done(now, cause, encode(stamped), out)

    def fail(
        self, now: int, cause: Cause | None, condition: Condition, out: list[AnyOutput], **detail: str
    ) -> None:
        """The request is refused: EventError to the requester, here or on another node."""
        if cause is None:
            return
        refusal = REFUSALS[condition]
        text = refusal.text.format_map(_Blank(detail))
        if cause[0] != self._core.name:
            self.reply_remote(now, cause, refusal.code, text, b"", out)
        else:
            self.replied(now, cause[1], refusal.code, text, b"", out)

    def replied(
        self, now: int, number: int, code: int, text: str, frame: bytes, out: list[AnyOutput]
    ) -> None:
        """A reply came: an error is passed on; a success waits a moment for the event to take its ordered way."""
        pending = self._pending.get(number)
        if pending is None:
            return
        if code:
            del self._pending[number]
            self._core.arm("request", number, None)
            self._error(now, pending, code, text, out)
        elif frame:
            pending.fallback = frame
            if message_id(frame) in ALONE:
                self._core.arm("request", number, None)
                self.timeout(now, number, out)
            else:
                self._core.arm("request", number, now + FALLBACK_US)

    def timeout(self, now: int, number: int, out: list[AnyOutput]) -> None:
        """The moment has passed: send the answer that is known, or EventError."""
        pending = self._pending.pop(number, None)
        if pending is None:
            return
        if pending.fallback:
            answer = replace(pending.fallback, self._edge.stamps.place())
            self._edge.send_frame(now, (pending.conn,), with_reference(answer, pending.ref), out)
        else:
            refusal = REFUSALS[Condition.TIMEOUT]
            self._error(
                now, pending, refusal.code, refusal.text.format_map(_Blank({"name": pending.name})), out
            )

    def refuse(
        self, now: int, conn: int, message: Message, condition: Condition, out: list[AnyOutput], **detail: str
    ) -> None:
        """Answer a message that never became a request by EventError."""
        refusal = REFUSALS[condition]
        text = refusal.text.format_map(_Blank({"name": message.name, **detail}))
        pending = Pending(
            conn, message.ref, message.name, message.text(Attribute.ThisDN), message.number(Attribute.ConnID)
        )
        self._error(now, pending, refusal.code, text, out)

    def served_at(self, cause: Cause, node: str) -> None:
        """The request is on its way to another node."""
        self._pending[cause[1]].node = node

    def node_gone(self, now: int, node: str, out: list[AnyOutput]) -> None:
        """A node is out of reach: what it was to serve is answered by the event that came along, or refused."""
        for number in [n for n, pending in self._pending.items() if pending.node == node]:
            if not self._pending[number].fallback:
                self.fail(now, (self._core.name, number), Condition.NODE_UNREACHABLE, out)

    def gone(self, conn: int) -> None:
        """A client is gone: nobody waits for its answers any more."""
        for number in [n for n, pending in self._pending.items() if pending.conn == conn]:
            del self._pending[number]
            self._core.arm("request", number, None)

    def _error(self, now: int, pending: Pending, code: int, text: str, out: list[AnyOutput]) -> None:
        echo = self._edge.stamps.whole(now)
        if 0 < len(pending.dn) <= self._core.limits.name_chars:
            echo[Attribute.ThisDN] = pending.dn
        if pending.conn_id:
            echo[Attribute.ConnID] = pending.conn_id
        refused = build.error(pending.ref, code, text)
        self._edge.send(
            now, pending.conn, Message(refused.id, refused.ref, {**refused.attributes, **echo}), out
        )


def message_id(frame: bytes) -> int:
    """Which message a frame is of (docs/specs/tlib-wire.md, section 2)."""
    return int.from_bytes(frame[6:8], "big")


class _Blank(dict[str, str]):
    """Names that a refusal's text asks for and the caller did not give stay empty."""

    def __missing__(self, key: str) -> str:
        return ""


def _nowhere(now: int, cause: Cause, code: int, text: str, frame: bytes, out: list[AnyOutput]) -> None:
    raise AssertionError("no links to reply over")
