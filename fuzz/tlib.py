"""Targets of `tlib_proto`: frames, kvlist, server-session, client-session."""

from fuzz.target import Target
from tlib_proto import (
    Attribute,
    ClientSession,
    Ended,
    Greeted,
    Hello,
    Incoming,
    LazyFrame,
    Limits,
    Linked,
    Message,
    MessageType,
    Output,
    ParseError,
    ServerSession,
    Write,
    decode,
    encode,
    missing,
    render,
    replace,
    scan,
)
from tlib_proto.codec import HEADER_SIZE
from tlib_proto.errors import PARSE_KINDS
from tlib_proto.tables import State

HELLO = Hello(application="desk", role="desktop")
LIMITS = Limits(frame=8_192, queue=4_096)
SECOND_US = 1_000_000


def check_frames(data: bytes) -> None:
    """A frame reads or is refused by a kind of the page; what reads is written again octet for octet."""
    try:
        found = scan(data)
    except ParseError as breach:
        judge(breach, data)
        found = None
    try:
        message = decode(data)
    except ParseError as breach:
        judge(breach, data)
        return
    assert found is not None
    assert list(found) == list(message.attributes)
    assert encode(message) == data
    lazy = LazyFrame(data)
    assert all(lazy.get(attribute) == value for attribute, value in message.attributes.items())
    for attribute in message.attributes:
        gone = decode(replace(data, {attribute: None}))
        assert attribute not in gone.attributes
        assert len(gone.attributes) == len(message.attributes) - 1
    missing(message)
    for masked in (True, False):
        assert render(message, masked).startswith(f"message {message.name}")


def judge(breach: ParseError, data: bytes) -> None:
    """A refusal is of a kind that the page names, and points into the frame."""
    assert breach.kind in PARSE_KINDS
    assert 0 <= breach.offset <= len(data)


def check_kvlist(data: bytes) -> None:
    """The same for the octets of a key-value list."""
    check_frames(frame_of(data))


def frame_of(pairs: bytes) -> bytes:
    """A frame with these octets as its UserData."""
    head = b"\x01\x00\x00\x3c\x00\x00\x00\x00" + b"\x00\x33\x04\x00" + len(pairs).to_bytes(4, "big")
    return (4 + len(head) + len(pairs)).to_bytes(4, "big") + head + pairs


class Peer:
    """A session that reads a stream in chunks, time passing between them; it keeps what came of it."""

    def __init__(self, session: ServerSession | ClientSession, step_us: int) -> None:
        self.session = session
        self.step_us = step_us
        self.now = 0
        self.came: list[object] = []
        self.written = 0

    def run(self, stream: bytes, size: int) -> None:
        """Feed all of it; after each chunk the host does its part, and what is due is done."""
        for start in range(0, len(stream), size):
            chunk = stream[start : start + size]
            self._take(lambda out, chunk=chunk: self.session.receive_data(self.now, chunk, out))
            assert len(self.session._buffer) <= LIMITS.frame
            self.now += self.step_us
            due = self.session.next_deadline()
            if due is not None and due <= self.now:
                self._take(lambda out: self.session.handle_timeout(self.now, out))
                later = self.session.next_deadline()
                assert later is None or later > due

    def _take(self, call) -> None:  # type: ignore[no-untyped-def]
        out: list[Output] = []
        was = self.session.state
        call(out)
        for at, output in enumerate(out):
            if isinstance(output, Write):
                decode(output.data)
                self.written += 1
            elif isinstance(output, Ended):
                assert at == len(out) - 1
                assert was != State.ENDED
                assert self.session.state == State.ENDED
                assert self.session.next_deadline() is None
                assert len(self.session._buffer) == 0
                self.came.append(output.kind)
            else:
                assert isinstance(output, Greeted | Linked | Incoming)
                self.came.append(output)
        if isinstance(self.session, ServerSession) and self.session.state == State.GREETED:
            greeted = self.came[-1]
            assert isinstance(greeted, Greeted)
            if greeted.hello.session_id == "refuse":
                self._take(lambda out: self.session.refuse(self.now, 59, "no", out))
            else:
                self._take(lambda out: self.session.accept(self.now, {Attribute.NodeName: "n1"}, out))


def server() -> ServerSession:
    """A server that waits for a Hello."""
    return ServerSession(0, LIMITS, SECOND_US)


def client() -> ClientSession:
    """A client that has said Hello."""
    session = ClientSession(0, HELLO, LIMITS, SECOND_US)
    session.start(0, [])
    return session


def check_session(make, data: bytes) -> None:  # type: ignore[no-untyped-def]
    """A stream comes to the same whole and in chunks; with time passing it ends at most once, and says why."""
    if not data:
        return
    first, stream = data[0], data[1:]
    whole, cut, slow = Peer(make(), 0), Peer(make(), 0), Peer(make(), first * 10_000)
    whole.run(stream, len(stream) or 1)
    cut.run(stream, first % 64 + 1)
    assert cut.came == whole.came
    assert cut.session.state == whole.session.state
    # A frame whose length is wrong is answered only if its head came along.
    assert abs(cut.written - whole.written) <= 1
    slow.run(stream, first % 64 + 1)
    if whole.session.state == State.OPEN:
        sent: list[Output] = []
        whole.session.send(0, Message(MessageType.EventACK, 1), sent)
        assert len(sent) == 1


def read_session(make, data: bytes) -> object:  # type: ignore[no-untyped-def]
    """The whole stream at once."""
    peer = Peer(make(), 0)
    peer.run(data[1:], 1_000)
    return peer.came


def read_frame(data: bytes) -> object:
    """A frame, its length made right, so that what follows the header is looked at."""
    frame = len(data).to_bytes(4, "big") + data[4:] if len(data) >= HEADER_SIZE else data
    scan(frame)
    return decode(frame)


def head(kind: int) -> bytes:
    """The start of a frame, its length to be mutated."""
    return b"\x00\x00\x00\x14\x01\x00" + kind.to_bytes(2, "big")


CODEC = ("tlib_proto._codec", "tlib_proto._values", "tlib_proto.lazy", "tlib_proto.logtext")
SESSION = ("tlib_proto.session", "tlib_proto.hello", "tlib_proto.tables")
LENGTHS = (b"\x00\x00\x00\x04", b"\x00\x00\x00\x08", b"\xff\xff\xff\xff", b"\x00\x01\x00\x00")
ELEMENTS = (
    b"\x00\x14\x03\x00",
    b"\x00\x09\x02\x00",
    b"\x00\x0d\x01\x00",
    b"\x00\x33\x04\x00",
    b"\x13\x88\x4d\x00",
)
FRAMES = tuple(head(kind) for kind in (0, 3, 52, 95, 1000, 1001))
TARGETS = (
    Target("frames", CODEC, check_frames, read_frame, (*LENGTHS, *ELEMENTS)),
    Target(
        "kvlist",
        CODEC[:2],
        check_kvlist,
        lambda data: decode(frame_of(data)),
        (
            b"\x00\x01",
            b"\x04\x00\x00\x00",
            b"\x01\x00\x00\x00\x04",
            b"\x03\x00\x00\x00\x01",
            b"\x05\x00\x00\x00\x00",
        ),
    ),
    Target(
        "server-session",
        SESSION,
        lambda data: check_session(server, data),
        lambda data: read_session(server, data),
        (*LENGTHS, *ELEMENTS, *FRAMES),
    ),
    Target(
        "client-session",
        SESSION,
        lambda data: check_session(client, data),
        lambda data: read_session(client, data),
        (*LENGTHS, *ELEMENTS, *FRAMES),
    ),
)
