"""T-Library sessions of both roles: framing, Hello, keep-alive; octets in, outputs out.

Outputs are `Write`, `Greeted`, `Linked`, `Incoming` and, last, `Ended`. A session that ended ignores what
still arrives, holds no octets and has no deadline. The Hello is ours; keep-alive is as in ADDP: a side polls
when nothing was heard for a while, gives the peer as long again to answer, and may ask the peer to do so too.

What a session writes waits in the host. The host reports by `queued` what its peer has not read; a peer that
reads too little ends the session. It is not told: nothing more would reach it.
"""

import re
from collections.abc import Callable
from typing import TypeAlias

from . import build
from .attributes import Attribute
from .codec import HEADER_SIZE, decode, encode, frame_id, frame_length, frame_reference
from .error_codes import ErrorCode
from .errors import LocalError, ParseError
from .hello import VERSION, chosen, hello_message, negotiated, read_hello
from .limits import LIMITS, Limits
from .mask import MASK_SIZE, has
from .messages import MESSAGE_NAMES, MessageType
from .records import Ended, Greeted, Hello, Incoming, Linked, Message, Output, Value, Write
from .resume import position, position_of
from .tables import CALLS, PEER_TABLES, Act, Call, EndKind, Input, Role, State, classify

Stamp: TypeAlias = Callable[[int], "dict[int, Value]"]
"""What every event of a server carries besides its own, at a time: when it is, its number, the server's start."""

_LENGTH = 4
_TEXT_START = re.compile(rb"[A-Z]{3}[A-Z /]")
_TLS_START = b"\x16\x03"
_MAX_REF = 0xFFFFFFFF
_INPUTS = {number: classify(number, True) for number in MESSAGE_NAMES}
_ALWAYS = frozenset((MessageType.EventLinkConnected, MessageType.EventLinkDisconnected))


class _Session:
    """What both roles share; see `ServerSession` and `ClientSession`."""

    _role: Role

    def __init__(
        self, now: int, state: State, limits: Limits, keepalive_us: int, stamp: Stamp | None = None
    ) -> None:
        self._state = state
        self._stamp = stamp
        self._table = PEER_TABLES[self._role]
        self._limits = limits
        self._keepalive_us = keepalive_us
        self._buffer = bytearray()
        self._framed = False  # a whole frame has been read: what follows is not another protocol
        self._hello_ref = 0
        self._last_ref = 0
        self._heard = now
        self._hello_deadline: int | None = None
        self._partial_deadline: int | None = None
        self._pong_deadline: int | None = None
        self._stalled_deadline: int | None = None
        self._queued = 0
        self._mask: bytes | None = None  # only a client sends one, only a server has one

    @property
    def state(self) -> State:
        """State of the session (`tables.State`)."""
        return self._state

    @property
    def unread(self) -> int:
        """How many octets wait for the peer, as `queued` said last."""
        return self._queued

    def receive_data(self, now: int, data: bytes, out: list[Output]) -> None:
        """Octets of any number from the peer; what they mean is appended to `out`."""
        if self._state == State.ENDED:
            return
        if self._state == State.IDLE:
            raise LocalError("receive_data before start")
        self._heard = now
        self._pong_deadline = None
        self._pump(now, data, out)

    def send(self, now: int, message: Message, out: list[Output]) -> None:
        """Sends a message; LocalError when the session is not open or the message cannot be encoded."""
        self._need(Call.SEND)
        self.send_frame(now, encode(message), out)

    def send_frame(self, now: int, frame: bytes, out: list[Output]) -> None:
        """Sends a frame that is already encoded; LocalError when not open or the frame is too large.

        What the peer's mask leaves out is not sent (`ServerSession.set_input_mask`).
        """
        self._need(Call.SEND)
        self._check_size(frame)
        if self._mask is None or self.wants(frame_id(frame), frame_reference(frame)):
            out.append(Write(frame))

    def wants(self, number: int, ref: int = 0) -> bool:
        """Whether the peer's mask lets a message through; for hosts that send one frame to many."""
        return self._mask is None or ref != 0 or number in _ALWAYS or has(self._mask, number)

    def close(self, now: int, why: str, out: list[Output]) -> None:
        """Ends the session from this side; nothing happens when it has ended."""
        if self._state != State.ENDED:
            self._end(EndKind.CLOSED, why, out)

    def queued(self, now: int, octets: int, out: list[Output]) -> None:
        """The host says how many octets wait for the peer; too many, or none read for long, end the session."""
        if self._state == State.ENDED:
            return
        if octets > self._limits.queue:
            text = f"{octets} octets wait for the peer, at most {self._limits.queue}"
            self._end(EndKind.SLOW_READER, text, out)
            return
        if octets == 0:
            self._stalled_deadline = None
        elif self._stalled_deadline is None or octets < self._queued:
            self._stalled_deadline = now + self._limits.stalled_us
        self._queued = octets

    def next_deadline(self) -> int | None:
        """Earliest moment at which `handle_timeout` has something to do, None for never."""
        deadlines = [
            d
            for d in (
                self._hello_deadline,
                self._partial_deadline,
                self._stalled_deadline,
                self._keepalive_deadline(),
            )
            if d is not None
        ]
        return min(deadlines) if deadlines else None

    def handle_timeout(self, now: int, out: list[Output]) -> None:
        """Does what is due at `now`, which may be nothing."""
        if self._hello_deadline is not None and now >= self._hello_deadline:
            self._end(EndKind.HELLO_TIMEOUT, self._hello_timeout_text(), out)
        elif self._partial_deadline is not None and now >= self._partial_deadline:
            self._end(EndKind.PARTIAL_FRAME, "The rest of a frame did not arrive in time", out)
        elif self._stalled_deadline is not None and now >= self._stalled_deadline:
            self._end(EndKind.SLOW_READER, f"The peer has not read {self._queued} octets in time", out)
        elif self._pong_deadline is not None and now >= self._pong_deadline:
            self._end(EndKind.KEEP_ALIVE, "The peer does not answer", out)
        else:
            idle = self._keepalive_deadline()
            if self._pong_deadline is None and idle is not None and now >= idle:
                out.append(Write(encode(Message(MessageType.Ping))))
                self._pong_deadline = now + self._keepalive_us

    # -- what subclasses say ------------------------------------------------------------------------------

    def _hello_timeout_text(self) -> str:
        raise NotImplementedError

    def _greet(self, message: Message, out: list[Output]) -> None:
        raise NotImplementedError

    def _note(self, message: Message) -> None:
        """Sees every message that is delivered."""

    # -- framing ------------------------------------------------------------------------------------------

    def _pump(self, now: int, data: bytes, out: list[Output]) -> None:
        """Cuts frames; the buffer holds only what is not yet a whole frame, or waits for `accept`."""
        fresh = not self._buffer
        source: bytes | bytearray = data
        if not fresh:
            self._buffer += data
            source = self._buffer
        size = len(source)
        place = 0
        while size - place >= _LENGTH and self._state in self._table:
            length = frame_length(source, place)
            limit = self._frame_limit()
            if not HEADER_SIZE <= length <= limit:
                self._implausible(length, limit, bytes(source[place : place + HEADER_SIZE]), out)
                break
            if size - place < length:
                break
            frame = bytes(source[place : place + length])
            place += length
            self._framed = True
            self._frame(frame, out)
        if self._state == State.ENDED:
            return
        if fresh:
            self._buffer += memoryview(data)[place:]
        else:
            del self._buffer[:place]
        if self._state == State.GREETED:
            self._partial_deadline = None  # whole frames may wait here; the Hello deadline covers them
            if len(self._buffer) > self._limits.hello_frame:
                self._end(EndKind.EARLY, "Too much data before EventLinkConnected", out)
        elif not self._buffer:
            self._partial_deadline = None
        elif place or self._partial_deadline is None:
            self._partial_deadline = now + self._limits.partial_frame_us

    def _frame_limit(self) -> int:
        return self._limits.frame

    def _implausible(self, length: int, limit: int, head: bytes, out: list[Output]) -> None:
        """Ends the session over a length that no frame may have, and says what the peer seems to speak."""
        start = head[:_LENGTH]
        if not self._framed and (_TEXT_START.match(start) or start.startswith(_TLS_START)):
            what = "TLS" if start.startswith(_TLS_START) else "HTTP, SIP or another text protocol"
            self._end(EndKind.NOT_TLIB, f"This is a T-Library port, the peer speaks {what}", out)
        elif length < HEADER_SIZE:
            text = f"Frame of {length} octets, at least {HEADER_SIZE}"
            self._breach(EndKind.MALFORMED, ErrorCode.INVALID_ATTR, text, head, out)
        else:
            text = f"Frame of {length} octets, at most {limit}"
            self._breach(EndKind.TOO_LARGE, ErrorCode.INVALID_ATTR, text, head, out)

    def _frame(self, frame: bytes, out: list[Output]) -> None:
        try:
            message = decode(frame)
        except ParseError as breach:
            kind, code, text = EndKind.MALFORMED, ErrorCode.INVALID_ATTR, f"Malformed frame: {breach}"
            if breach.kind == "version":
                kind, code = EndKind.VERSION, ErrorCode.PROTO_VERS
                text = f"Wrong protocol version {frame[_LENGTH]}, this side speaks {VERSION}"
            self._breach(kind, code, text, frame, out)
            return
        act, following = self._table[self._state][_INPUTS.get(message.id, Input.UNKNOWN)]
        if act == Act.DELIVER:
            self._note(message)
            out.append(Incoming(message))
        else:
            self._act(act, following, message, out)

    def _breach(self, kind: EndKind, code: ErrorCode, text: str, head: bytes, out: list[Output]) -> None:
        """Ends the session over a broken frame; a server tells the client if there is a header to answer."""
        if self._role == Role.SERVER and len(head) >= HEADER_SIZE:
            self._say(self._heard, build.error(frame_reference(head), code, text), out)
        self._end(kind, text, out)

    # -- messages -----------------------------------------------------------------------------------------

    def _act(self, act: Act, following: State, message: Message, out: list[Output]) -> None:
        if act == Act.PONG:
            out.append(Write(encode(Message(MessageType.Pong, message.ref))))
        elif act == Act.GREET or act == Act.LINK:
            self._state = following
            self._note(message)
            self._greet(message, out)
        elif act == Act.UNSUPPORTED:
            self._answer(message, ErrorCode.UNSUP_OPER, f"Unsupported operation: {message.name}", out)
        elif act == Act.REPEATED:
            self._answer(message, ErrorCode.IN_SAME_STATE, f"{message.name} on a session that is open", out)
        elif act == Act.REFUSED:
            out.append(Incoming(message))
            self._end(EndKind.REFUSED, _refusal(message), out)
        elif act == Act.UNEXPECTED:
            text = f"{message.name} where the first message was expected"
            if self._role == Role.SERVER:
                self._answer(message, ErrorCode.UNSUP_OPER, text, out)
            self._end(EndKind.UNEXPECTED, text, out)
        else:
            assert act == Act.NOTHING

    def _answer(self, message: Message, code: ErrorCode, text: str, out: list[Output]) -> None:
        self._say(self._heard, build.error(message.ref, code, text), out)

    def _say(self, now: int, event: Message, out: list[Output]) -> None:
        """Writes an event of the session's own, complete; what it says itself holds."""
        if self._stamp is not None:
            event = Message(event.id, event.ref, {**self._stamp(now), **event.attributes})
        frame = encode(event)
        self._check_size(frame)
        out.append(Write(frame))

    # -- state --------------------------------------------------------------------------------------------

    def _need(self, call: Call) -> State:
        following = CALLS[call].get(self._state)
        if following is None:
            raise LocalError(f"{call.name.lower()} in state {self._state.name}")
        return following

    def _check_size(self, frame: bytes) -> None:
        if len(frame) > self._limits.frame:
            raise LocalError(f"frame of {len(frame)} octets, at most {self._limits.frame}")

    def _asked(self, remote_ms: int) -> None:
        """The peer asks this side to poll: the shorter of its time and our own holds."""
        if remote_ms:
            asked = max(self._limits.keepalive_min_us, min(remote_ms * 1_000, self._limits.keepalive_max_us))
            self._keepalive_us = min(self._keepalive_us, asked) if self._keepalive_us > 0 else asked

    def _keepalive_deadline(self) -> int | None:
        if self._pong_deadline is not None:
            return self._pong_deadline
        if self._state != State.OPEN or self._keepalive_us <= 0:
            return None
        return self._heard + self._keepalive_us

    def _end(self, kind: EndKind, text: str, out: list[Output]) -> None:
        self._state = State.ENDED
        self._buffer = bytearray()
        self._hello_deadline = self._partial_deadline = self._pong_deadline = self._stalled_deadline = None
        out.append(Ended(kind, text))


class ServerSession(_Session):
    """One accepted connection: reads Hello, waits for `accept` or `refuse`, then carries messages.

    `stamp(now)` gives what every event carries besides its own: events that the session itself writes get it.
    """

    _role = Role.SERVER

    def __init__(
        self, now: int, limits: Limits = LIMITS, keepalive_us: int = 0, stamp: Stamp | None = None
    ) -> None:
        super().__init__(now, State.HELLO, limits, keepalive_us, stamp)
        self._hello_deadline = now + limits.hello_us
        self._remote_ms = 0

    @property
    def input_mask(self) -> bytes | None:
        """The mask that holds, None when the client wants everything."""
        return self._mask

    def accept(
        self,
        now: int,
        attributes: dict[int, Value],
        out: list[Output],
        keepalive_us: int | None = None,
        keepalive_remote_us: int = 0,
    ) -> None:
        """Answers the Hello by EventLinkConnected with these attributes; frames that waited follow.

        `keepalive_us` is after how long in silence this side polls (None: as constructed; the client may have
        asked for less), `keepalive_remote_us` after how long the client is asked to.
        """
        following = self._need(Call.ACCEPT)
        if keepalive_remote_us:
            attributes = {**attributes, Attribute.KeepAliveRemote: keepalive_remote_us // 1_000}
        self._say(now, Message(MessageType.EventLinkConnected, self._hello_ref, attributes), out)
        self._state = following
        if keepalive_us is not None:
            self._keepalive_us = keepalive_us
        self._asked(self._remote_ms)
        self._hello_deadline = None
        self._heard = now
        self._pump(now, b"", out)

    def refuse(self, now: int, code: int, text: str, out: list[Output]) -> None:
        """Answers the Hello by EventError and ends."""
        self._need(Call.REFUSE)
        self._say(now, build.error(self._hello_ref, code, text), out)
        self._end(EndKind.REFUSED, text, out)

    def disconnect(
        self, now: int, attributes: dict[int, Value], out: list[Output], code: int = 0, text: str = ""
    ) -> None:
        """Tells the client by EventLinkDisconnected, with its reason if there is one, and ends.

        It answers a Hello that waits. A server whose link alone is down sends the event and stays.
        """
        self._need(Call.DISCONNECT)
        told = dict(attributes)
        if code:
            told[Attribute.ErrorCode] = int(code)
        if text:
            told[Attribute.ErrorMessage] = text
        ref = self._hello_ref if self._state == State.GREETED else 0
        self._say(now, Message(MessageType.EventLinkDisconnected, ref, told), out)
        self._end(EndKind.DISCONNECTED, text or "The server ends the session", out)

    def set_input_mask(self, now: int, mask: bytes | None) -> None:
        """From now on unsolicited events whose bit is not set are left out; None lifts the mask.

        Answers, EventLinkConnected and EventLinkDisconnected are sent whatever the mask says.
        """
        self._need(Call.SET_MASK)
        if mask is not None and len(mask) != MASK_SIZE:
            raise LocalError(f"input mask of {len(mask)} octets, not {MASK_SIZE}")
        self._mask = mask

    def _hello_timeout_text(self) -> str:
        return (
            "No RequestRegisterClient in time" if self._state == State.HELLO else "Hello not answered in time"
        )

    def _frame_limit(self) -> int:
        return self._limits.hello_frame if self._state == State.HELLO else self._limits.frame

    def _greet(self, message: Message, out: list[Output]) -> None:
        hello = read_hello(message)
        self._hello_ref = message.ref
        if isinstance(hello, str):
            self._answer(message, ErrorCode.INVALID_ATTR, hello, out)
            self._end(EndKind.UNEXPECTED, hello, out)
        elif negotiated(hello.versions) is None:
            text = f"Wrong protocol version, this server speaks {VERSION}"
            self._answer(message, ErrorCode.PROTO_VERS, text, out)
            self._end(EndKind.VERSION, text, out)
        else:
            self._remote_ms = hello.keepalive_remote_ms
            out.append(Greeted(hello, message.ref))


class ClientSession(_Session):
    """One dialled connection: says Hello, waits for EventLinkConnected, then carries messages.

    Hello goes under ReferenceID `first_ref`, each request under the next one.
    """

    _role = Role.CLIENT

    def __init__(
        self, now: int, hello: Hello, limits: Limits = LIMITS, keepalive_us: int = 0, first_ref: int = 1
    ) -> None:
        super().__init__(now, State.IDLE, limits, keepalive_us)
        if not 0 < first_ref <= _MAX_REF:
            raise LocalError(f"no ReferenceID: {first_ref}")
        self._hello = hello
        self._first_ref = first_ref
        self._position: tuple[int, int] | None = None

    @property
    def resume(self) -> str:
        """Position behind the last event that says its own, for the next session's Hello; empty when there is none."""
        return "" if self._position is None else position(*self._position)

    def start(self, now: int, out: list[Output]) -> None:
        """Writes Hello; LocalError when it cannot be said."""
        following = self._need(Call.START)
        frame = encode(hello_message(self._hello, self._first_ref))
        self._check_size(frame)
        self._state = following
        self._hello_ref = self._last_ref = self._first_ref
        self._heard = now
        self._hello_deadline = now + self._limits.hello_us
        out.append(Write(frame))

    def request(self, now: int, message: Message, out: list[Output]) -> int:
        """Sends a request under the next ReferenceID, which it returns."""
        ref = 1 if self._last_ref >= _MAX_REF else self._last_ref + 1
        self.send(now, Message(message.id, ref, message.attributes), out)
        self._last_ref = ref
        return ref

    def _hello_timeout_text(self) -> str:
        return "No EventLinkConnected in time"

    def _note(self, message: Message) -> None:
        self._position = position_of(message) or self._position

    def _greet(self, message: Message, out: list[Output]) -> None:
        self._hello_deadline = None
        if chosen(message) not in self._hello.versions:
            text = f"The server chose protocol version {message.text(Attribute.ProtocolVersion)!r:.20}"
            self._end(EndKind.VERSION, text, out)
            return
        self._asked(message.number(Attribute.KeepAliveRemote))
        out.append(Linked(message))


def _refusal(message: Message) -> str:
    text = message.text(Attribute.ErrorMessage) or message.name
    code = message.number(Attribute.ErrorCode)
    return f"{code} {text}" if code else text
