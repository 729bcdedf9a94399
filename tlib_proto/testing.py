"""For tests of programs that speak T-Library: a clock that passes when it is told to, and a peer that follows a script.

No socket, no thread, no waiting: bytes go in, bytes come out, and a test says when. A client of one's own against a
scripted server, with ten seconds of silence in between:

    clock = VirtualClock()
    peer = ScriptedPeer.server(clock.now, {MessageType.RequestQueryServer: MessageType.EventServerInfo})
    client = ClientSession(clock.now, Hello(application="desk", role="desktop"), keepalive_us=5_000_000)
    wire = Wire(clock, client, peer.session, at_right=peer.take)
    client.start(clock.now, wire.from_left)
    wire.carry()
    client.request(clock.now, Message(MessageType.RequestQueryServer), wire.from_left)
    wire.carry()
    wire.stall()
    wire.run(10_000_000)
    assert wire.left[-1] == Ended("keep-alive", "The peer does not answer")

All of it is ours.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from .attributes import Attribute
from .build import error
from .error_codes import ErrorCode
from .errors import LocalError
from .limits import LIMITS, Limits
from .messages import MESSAGE_NAMES
from .records import Ended, Greeted, Hello, Incoming, Linked, Message, Output, Value, Write
from .session import ClientSession, ServerSession

Answer = Callable[[Message], Iterable[Message]]
"""What a scripted peer says to a message; ReferenceID 0 stands for that of the message."""
Script = Answer | Mapping[int, int]
"""A function, or which message answers which: with the attributes of the one it answers."""


class VirtualClock:
    """Microseconds that pass only by `advance` and `run_until`; what was to happen meanwhile happens in order."""

    def __init__(self, now: int = 1_000_000) -> None:
        self.now = now
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._made = 0

    def call_at(self, when: int, action: Callable[[], None]) -> int:
        """Have something happen at a moment, or at once when that is past; returns a number for `cancel`."""
        self._made += 1
        self._due.append((when, self._made, action))
        self._due.sort(key=lambda entry: entry[:2])
        return self._made

    def cancel(self, number: int) -> None:
        """It shall not happen; harmless when it has."""
        self._due = [entry for entry in self._due if entry[1] != number]

    def next_deadline(self) -> int | None:
        """When the next thing happens, None for never."""
        return self._due[0][0] if self._due else None

    def advance(self, us: int) -> None:
        """Let so much time pass; LocalError for less than none."""
        if us < 0:
            raise LocalError("time does not go back")
        self.run_until(self.now + us)

    def run_until(self, when: int) -> None:
        """Let time pass until a moment, and everything happen that is due by then."""
        while self._due and self._due[0][0] <= when:
            at, _, action = self._due.pop(0)
            self.now = max(self.now, at)
            action()
        self.now = max(self.now, when)


class ScriptedPeer:
    """One end of a connection that does as a script says, on a session of this package.

    It accepts a Hello (or refuses it, or stays silent), answers each message by the script, and keeps what it heard:
    `received`, `hello` (of a client), `linked` (of a server), `ended`. The host feeds the session's outputs to `take`.
    """

    def __init__(self, session: ServerSession | ClientSession, script: Script) -> None:
        self.session = session
        self.received: list[Message] = []
        self.hello: Hello | None = None
        self.linked: Message | None = None
        self.ended: Ended | None = None
        self._script = script
        self._link: dict[int, Value] | None = {}
        self._refusal: tuple[int, str] | None = None

    @classmethod
    def server(
        cls,
        now: int,
        script: Script,
        *,
        link: dict[int, Value] | None = None,
        refuse: tuple[int, str] | None = None,
        silent: bool = False,
        limits: Limits = LIMITS,
        keepalive_us: int = 0,
    ) -> "ScriptedPeer":
        """A server: `link` are attributes of its EventLinkConnected, `refuse` a number and text for every Hello."""
        made = cls(ServerSession(now, limits, keepalive_us), script)
        made._link = None if silent else (link or {})
        made._refusal = refuse
        return made

    @classmethod
    def client(
        cls, now: int, hello: Hello, script: Script, *, limits: Limits = LIMITS, keepalive_us: int = 0
    ) -> "ScriptedPeer":
        """A client; it says Hello when the host calls `session.start`."""
        return cls(ClientSession(now, hello, limits, keepalive_us), script)

    def receive_data(self, now: int, data: bytes) -> bytes:
        """Octets from the other end; returns what goes back."""
        out: list[Output] = []
        self.session.receive_data(now, data, out)
        return self._written(now, out)

    def handle_timeout(self, now: int) -> bytes:
        """Do what is due; returns what goes to the other end."""
        out: list[Output] = []
        self.session.handle_timeout(now, out)
        return self._written(now, out)

    def next_deadline(self) -> int | None:
        """When `handle_timeout` has something to do."""
        return self.session.next_deadline()

    def say(self, now: int, message: Message) -> bytes:
        """The octets of a message that the script does not have."""
        out: list[Output] = []
        self.session.send(now, message, out)
        return self._written(now, out)

    def take(self, now: int, output: Output, out: list[Output]) -> None:
        """One output of the session but Write; what the peer does about it is appended to `out`."""
        if isinstance(output, Greeted):
            self.hello = output.hello
            assert isinstance(self.session, ServerSession)
            if self._refusal is not None:
                self.session.refuse(now, *self._refusal, out)
            elif self._link is not None:
                self.session.accept(now, dict(self._link), out)
        elif isinstance(output, Incoming):
            self.received.append(output.message)
            for answer in self._answers(output.message):
                self.session.send(now, answer, out)
        elif isinstance(output, Linked):
            self.linked = output.message
        else:
            assert isinstance(output, Ended)
            self.ended = output

    def _answers(self, message: Message) -> Iterable[Message]:
        if callable(self._script):
            return [Message(m.id, m.ref or message.ref, m.attributes) for m in self._script(message)]
        answer = self._script.get(message.id)
        return [] if answer is None else [Message(answer, message.ref, message.attributes)]

    def _written(self, now: int, out: list[Output]) -> bytes:
        written = bytearray()
        while out:
            output = out.pop(0)
            if isinstance(output, Write):
                written += output.data
            else:
                more: list[Output] = []
                self.take(now, output, more)
                out[:0] = more
        return bytes(written)


class Machine(Protocol):
    """What a `Wire` joins: a session of this package, or anything with the same methods."""

    def receive_data(self, now: int, data: bytes, out: list[Output]) -> None:
        """Octets from the other end."""

    def next_deadline(self) -> int | None:
        """When there is something to do."""

    def handle_timeout(self, now: int, out: list[Output]) -> None:
        """Do it."""


Take = Callable[[int, Output, list[Output]], None]


class Wire:
    """A connection between two machines under a clock: carries what they write, whole or in pieces, until it is cut.

    What a machine puts out beside Write stands in `left` or `right`, and goes to `at_left` or `at_right` if given. A
    host that calls a machine itself passes `from_left` or `from_right` as its `out`, then calls `carry`.
    """

    def __init__(
        self,
        clock: VirtualClock,
        left: Machine,
        right: Machine,
        *,
        piece: int = 0,
        at_left: Take | None = None,
        at_right: Take | None = None,
    ) -> None:
        self.clock = clock
        self.left: list[Output] = []
        self.right: list[Output] = []
        self.from_left: list[Output] = []
        self.from_right: list[Output] = []
        self.octets = 0
        self.is_cut = False
        self._stalled = False
        self._piece = piece
        self._ends = (
            (left, self.from_left, self.left, at_left, right, self.from_right),
            (right, self.from_right, self.right, at_right, left, self.from_left),
        )

    def carry(self) -> None:
        """Carry what was written to the other end, and what that writes, until both are quiet."""
        while self.from_left or self.from_right:
            for _, out, kept, take, other, back in self._ends:
                items, out[:] = list(out), []
                for item in items:
                    if isinstance(item, Write):
                        self._deliver(item.data, other, back)
                        continue
                    kept.append(item)
                    if take is not None:
                        take(self.clock.now, item, out)

    def cut(self) -> None:
        """From now on nothing arrives; sockets would say so to both hosts."""
        self.is_cut = True

    def stall(self) -> None:
        """From now on nothing arrives, and nobody is told."""
        self._stalled = True

    def run(self, us: int) -> None:
        """Let time pass: each machine does what is due when it is due."""
        until = self.clock.now + us
        while True:
            self.carry()
            deadlines = [end[0].next_deadline() for end in self._ends]
            due = [d for d in (*deadlines, self.clock.next_deadline()) if d is not None and d <= until]
            if not due:
                break
            self.clock.run_until(max(self.clock.now, min(due)))
            for (machine, out, *_), deadline in zip(self._ends, deadlines, strict=True):
                if deadline is not None and deadline <= self.clock.now:
                    machine.handle_timeout(self.clock.now, out)
        self.clock.run_until(until)

    def _deliver(self, data: bytes, to: Machine, out: list[Output]) -> None:
        if self.is_cut or self._stalled:
            return
        self.octets += len(data)
        step = self._piece or len(data)
        for at in range(0, len(data), step):
            to.receive_data(self.clock.now, data[at : at + step], out)


def refusing(code: int = ErrorCode.UNSUP_OPER, text: str | None = None) -> Answer:
    """A script that answers every request by EventError."""
    return lambda message: [error(message.ref, code, text)]


class Numbers:
    """Stamps events as a server does: EventSequenceNumber, ServerStartTime, and the place in a DN's order."""

    def __init__(self, started_s: int = 1_000, source: str = "n1", epoch: int = 1) -> None:
        self.started_s = started_s
        self.source = source
        self.epoch = epoch
        self.number = 0
        self.sequence: dict[str, int] = {}

    def stamp(self, message: Message, happens: bool = True) -> Message:
        """The message with its numbers; `happens`: it takes the next place in the order of its ThisDN."""
        self.number += 1
        attributes: dict[int, Value] = {
            **message.attributes,
            Attribute.EventSequenceNumber: self.number,
            Attribute.ServerStartTime: self.started_s,
        }
        dn = message.text(Attribute.ThisDN)
        if dn:
            self.sequence[dn] = self.sequence.get(dn, 0) + happens
            attributes[Attribute.DNEpoch] = self.epoch
            attributes[Attribute.DNSequence] = self.sequence[dn]
            attributes[Attribute.Source] = self.source
        return Message(message.id, message.ref, attributes)


def named(kind: int, ref: int = 0, **attributes: Value) -> Message:
    """A message whose attributes are given by name, as ThisDN="1001"; LocalError for a name that is none."""
    values: dict[int, Value] = {}
    for name, value in attributes.items():
        if name not in Attribute.__members__:
            raise LocalError(f"{MESSAGE_NAMES.get(kind, kind)}: no attribute {name}")
        values[Attribute[name]] = value
    return Message(kind, ref, values)
