"""Stories of sessions, for `vector_source`: (name, comment, steps, more)."""

from tests.tlib_proto.vector_parts import (
    given,
    integer,
    message,
    octets,
    opaque,
    pairs,
    raw_attribute,
    raw_frame,
    string,
    text,
    u32,
    u64,
)
from tlib_proto.constants import Attribute as A
from tlib_proto.constants import MessageType as M

SERVER, CLIENT = {"side": "server", "state": "hello"}, {"side": "client", "state": "idle"}
SERVER_OPEN, CLIENT_OPEN = {"side": "server", "state": "open"}, {"side": "client", "state": "open"}
DROPPED = {"close": "closed"}


def hello(*more, version="1", name="desk", role="desktop", ref=1):
    """A Hello; None leaves an attribute out."""
    said = ((A.ProtocolVersion, version), (A.ApplicationName, name), (A.Role, role))
    return message(M.RequestRegisterClient, ref, *(text(a, v) for a, v in said if v is not None), *more)


GREETED = {"application": "desk", "role": "desktop", "versions": [1]}
HELLO = hello()[0]
LINKED, LINKED_MEANING = message(M.EventLinkConnected, 1)
PING, PONG = message(M.Ping)[0], message(M.Pong)[0]
REGISTER, REGISTER_MEANING = message(M.RequestRegisterAddress, 5, text(A.ThisDN, "1001"))
RINGING, RINGING_MEANING = message(M.EventRinging, 0, text(A.ThisDN, "1001"))


def came(data, at=0, **expect):
    """The peer's octets."""
    return {"at_ms": str(at), "in": given(data), "expect": expect}


def call(name, at=0, expect=None, **arguments):
    """The host's call."""
    return {"at_ms": str(at), "call": {"name": name, **arguments}, "expect": expect or {}}


def tick(at, **expect):
    """Time has come."""
    return {"at_ms": str(at), "tick": True, "expect": expect}


def wrote(*frames):
    """Exact octets."""
    return [{"hex": frame.hex()} for frame in frames]


def error(ref, code):
    """An EventError whose text is free."""
    return [{"match": {"name": "EventError", "ref": ref, "attributes": {"ErrorCode": code}}}]


def due(*ms):
    """The session's next deadline."""
    return [{"due_ms": str(at)} for at in ms]


ACCEPT = call("accept", expect={"out": wrote(LINKED)})
SESSIONS = []


def story(name, comment, *steps, setup=SERVER, result="valid", section=10, flags=(), **more):
    SESSIONS.append(
        (
            name,
            comment,
            list(steps),
            {
                "setup": setup,
                "result": result,
                "flags": list(flags),
                "refs": [f"docs/specs/tlib-wire.md#{section}"],
                **more,
            },
        )
    )


# -- opening

story(
    "open",
    "Hello, EventLinkConnected, a request",
    came(HELLO, greeted=GREETED),
    ACCEPT,
    came(REGISTER, at=10, events=[REGISTER_MEANING]),
)
story(
    "open-client",
    "the other side of it",
    call("start", expect={"out": wrote(HELLO)}),
    came(LINKED, linked=LINKED_MEANING),
    came(RINGING, at=10, events=[RINGING_MEANING]),
    setup=CLIENT,
)
full, _ = hello(
    text(A.ApplicationPassword, "secret"),
    text(A.SessionID, "s-1"),
    pairs(A.Capabilities, ("x", string("1"))),
    text(A.Resume, "0000000000000065-000000000000001f"),
    text(A.NodeName, "n1"),
    u32(A.KeepAlive, 2000),
    u32(A.KeepAliveRemote, 3000),
)
story(
    "hello-full",
    "everything that a Hello may say",
    came(
        full,
        greeted={
            **GREETED,
            "secret": "secret",
            "capabilities": [["x", {"text": "1"}]],
            "session_id": "s-1",
            "resume": "0000000000000065-000000000000001f",
            "node": "n1",
            "keepalive_ms": 2000,
            "keepalive_remote_ms": 3000,
        },
    ),
)
story(
    "hello-unknown",
    "a Hello with an attribute that nobody knows",
    came(hello(octets(5000, b"x"))[0], greeted=GREETED),
    flags=["Unknown"],
)
story(
    "hello-other-ref",
    "the answer comes under the Hello's ReferenceID",
    came(hello(ref=77)[0], greeted=GREETED),
    call("accept", expect={"out": wrote(message(M.EventLinkConnected, 77)[0])}),
)
story(
    "pipelined",
    "requests behind a Hello wait for its answer",
    came(HELLO + REGISTER, greeted=GREETED),
    call("accept", expect={"out": wrote(LINKED), "events": [REGISTER_MEANING]}),
    flags=["Chunking"],
)
story(
    "pipelined-half",
    "half a request behind a Hello",
    came(HELLO + REGISTER[:7], greeted=GREETED),
    ACCEPT,
    came(REGISTER[7:], at=5, events=[REGISTER_MEANING]),
    flags=["Chunking"],
)
story(
    "refused",
    "a Hello that the server refuses",
    came(HELLO, greeted=GREETED),
    call("refuse", code=1158, text="no", expect={"out": error(1, 1158), "close": "refused"}),
)
refusal, refusal_meaning = message(M.EventError, 1, u32(A.ErrorCode, 1158), text(A.ErrorMessage, "no"))
story(
    "refused-client",
    "a client that is refused",
    call("start", expect={"out": wrote(HELLO)}),
    came(refusal, events=[refusal_meaning], close="refused"),
    setup=CLIENT,
)
down, down_meaning = message(M.EventLinkDisconnected, 1)
story(
    "link-down",
    "a Hello answered by EventLinkDisconnected",
    came(HELLO, greeted=GREETED),
    call("disconnect", expect={"out": wrote(down), "close": "disconnected"}),
)
story(
    "link-down-client",
    "the other side of it",
    call("start", expect={"out": wrote(HELLO)}),
    came(down, events=[down_meaning], close="refused"),
    setup=CLIENT,
)
for what, name in (("name", "name"), ("role", "role")):
    for how, value in (("missing", None), ("empty", ""), ("255", "x" * 255), ("256", "x" * 256)):
        frame = hello(**{name: value})[0]
        if how == "255":
            greeted = {**GREETED, "application" if name == "name" else "role": value}
            story(
                f"hello-{what}-{how}",
                "as long as may be",
                came(frame, greeted=greeted),
                section=6,
                flags=["Limit"],
            )
        else:
            story(
                f"hello-{what}-{how}",
                f"a Hello with a {what} {how}",
                came(frame, out=error(1, 53), close="unexpected"),
                result="invalid",
            )

# -- versions

for version, good in (
    ("1", [1]),
    ("1,2", [1, 2]),
    ("2,1", [2, 1]),
    ("255,1,3", [255, 1, 3]),
    (",".join(["1"] * 16), [1] * 16),
):
    story(
        f"versions-{version}",
        "a version in common",
        came(hello(version=version)[0], greeted={**GREETED, "versions": good}),
        section=9,
    )
for version in (
    "2",
    "0",
    "",
    None,
    "1.0",
    "1,",
    ",1",
    "1 ",
    "-1",
    "tserver protocol 4.2",
    "1000",
    ",".join(["1"] * 17),
):
    story(
        f"versions-bad-{version}",
        "no version in common, or not of the form",
        came(hello(version=version)[0], out=error(1, 55), close="version"),
        result="invalid",
        section=9,
    )
story(
    "frame-version",
    "a frame of another version on an open session",
    came(raw_frame(3, 9, version=2), out=error(9, 55), close="version"),
    setup=SERVER_OPEN,
    result="invalid",
    section=9,
)
for chosen, end in (("1", None), ("2", "version"), ("x", "version")):
    frame, meaning = message(M.EventLinkConnected, 1, text(A.ProtocolVersion, chosen))
    story(
        f"chosen-{chosen}",
        "the version that the server chose",
        call("start", expect={"out": wrote(HELLO)}),
        came(frame, **({"linked": meaning} if end is None else {"close": end})),
        setup=CLIENT,
        section=9,
        result="valid" if end is None else "invalid",
    )

# -- what does not belong

for kind in (M.RequestMakeCall, M.Ping, M.EventLinkConnected, M.EventError):
    story(
        f"first-{int(kind)}",
        f"{kind.name} as a client's first message",
        came(message(kind, 4)[0], out=error(4, 51), close="unexpected"),
        result="invalid",
    )
story(
    "first-unknown",
    "an unknown message as a client's first",
    came(message(900, 4)[0], out=error(4, 51), close="unexpected"),
    result="invalid",
)
for kind in (M.EventRinging, M.Ping, M.RequestRegisterClient):
    story(
        f"first-at-client-{int(kind)}",
        f"{kind.name} as a server's first message",
        call("start", expect={"out": wrote(HELLO)}),
        came(message(kind)[0], close="unexpected"),
        setup=CLIENT,
        result="invalid",
    )
story(
    "second-hello",
    "a Hello on an open session",
    came(hello(ref=8)[0], out=error(8, 43)),
    came(REGISTER, at=1, events=[REGISTER_MEANING]),
    setup=SERVER_OPEN,
)
story(
    "unknown-message",
    "an unknown message on an open session",
    came(message(900, 8)[0], out=error(8, 51)),
    came(REGISTER, at=1, events=[REGISTER_MEANING]),
    setup=SERVER_OPEN,
    section=8,
    flags=["Unknown"],
)
unknown, unknown_meaning = message(900)
story(
    "unknown-message-client",
    "a client delivers what it does not know",
    came(unknown, events=[unknown_meaning]),
    setup=CLIENT_OPEN,
    section=8,
    flags=["Unknown"],
)
for what, data in (
    ("http", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("sip", b"OPTIONS sip:a SIP/2.0\r\n\r\n"),
    ("sip-answer", b"SIP/2.0 200 OK\r\n\r\n"),
    ("tls", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
):
    story(
        f"not-tlib-{what}",
        "another protocol on the port",
        came(data, close="not-tlib"),
        section=11,
        result="invalid",
    )
broken = raw_frame(3, 9, raw_attribute(20, 3, b"1001", reserved=1))
story(
    "malformed",
    "a broken frame is answered under its ReferenceID",
    came(broken + REGISTER, out=error(9, 53), close="malformed"),
    setup=SERVER_OPEN,
    result="invalid",
    section=11,
)
story(
    "malformed-client",
    "a client does not answer a broken frame",
    came(broken, close="malformed"),
    setup=CLIENT_OPEN,
    result="invalid",
    section=11,
)
both = "EventError 53 first if twelve octets of the frame are there when its length is read, else not a word"
story(
    "too-large",
    "a frame of 4 GiB",
    came(
        b"\xff\xff\xff\xff\x01\x00\x00\x03\x00\x00\x00\x07", out=error(7, 53), may=["out"], close="too-large"
    ),
    setup=SERVER_OPEN,
    result="acceptable",
    note=both,
    section=11,
    flags=["Limit"],
)
story(
    "too-short",
    "a frame of 5 octets",
    came(
        b"\x00\x00\x00\x05\x01\x00\x00\x03\x00\x00\x00\x07", out=error(7, 53), may=["out"], close="malformed"
    ),
    setup=SERVER_OPEN,
    result="acceptable",
    note=both,
    section=11,
    flags=["Limit"],
)
for size, end in ((4096, None), (4097, "too-large")):
    pad = size - len(HELLO) - 8
    frame = hello(octets(5000, bytes(pad)))[0]
    assert len(frame) == size
    if end is None:
        story(
            f"hello-frame-{size}",
            "the longest Hello",
            came(frame, greeted=GREETED),
            section=6,
            flags=["Limit"],
        )
    else:
        story(
            f"hello-frame-{size}",
            "a Hello too long",
            came(frame, out=error(1, 53), may=["out"], close=end),
            section=6,
            result="acceptable",
            note=both,
            flags=["Limit"],
        )
for size, end in ((4096, None), (4097, "early")):
    story(
        f"early-{size}",
        "octets behind a Hello that nobody has answered",
        came(HELLO, greeted=GREETED),
        came(bytes(size), at=1, **({} if end is None else {"close": end})),
        section=6,
        flags=["Limit"],
        result="valid" if end is None else "invalid",
    )

# -- time

story(
    "hello-in-time",
    "a Hello at the last moment",
    tick(4999),
    came(HELLO, at=4999, greeted=GREETED),
    section=6,
    flags=["Limit"],
)
story(
    "hello-too-late",
    "no Hello in time",
    tick(5000, close="hello-timeout"),
    section=6,
    result="invalid",
    flags=["Limit"],
)
story(
    "hello-unanswered",
    "a Hello that the server does not answer",
    came(HELLO, greeted=GREETED, timers=due(5000)),
    tick(5000, close="hello-timeout"),
    section=6,
    result="invalid",
    flags=["Limit"],
)
story(
    "answer-too-late",
    "no EventLinkConnected in time",
    call("start", at=100, expect={"out": wrote(HELLO)}),
    tick(5099),
    tick(5100, close="hello-timeout"),
    setup=CLIENT,
    section=6,
    result="invalid",
    flags=["Limit"],
)
story(
    "partial-in-time",
    "the rest of a frame at the last moment",
    came(REGISTER[:5], timers=due(5000)),
    tick(4999),
    came(REGISTER[5:], at=4999, events=[REGISTER_MEANING], timers=[]),
    setup=SERVER_OPEN,
    section=6,
    flags=["Limit"],
)
story(
    "partial-too-late",
    "the rest of a frame does not come",
    came(REGISTER[:5]),
    came(REGISTER[5:6], at=4000),
    tick(5000, close="partial-frame"),
    setup=SERVER_OPEN,
    section=6,
    result="invalid",
    flags=["Limit"],
)
for side, opened in (("server", SERVER_OPEN), ("client", CLIENT_OPEN)):
    alive = {**opened, "keepalive_ms": "2000"}
    story(
        f"ping-{side}",
        "silence is broken by a Ping, and a Pong answers it",
        tick(1999),
        tick(2000, out=wrote(PING)),
        came(PONG, at=2100, timers=due(4100)),
        tick(4100, out=wrote(PING)),
        setup=alive,
    )
    story(
        f"lost-{side}",
        "a Ping that nobody answers ends the session",
        tick(2000, out=wrote(PING), timers=due(4000)),
        tick(3999),
        tick(4000, close="keep-alive"),
        setup=alive,
        result="invalid",
        flags=["Limit"],
    )
    story(
        f"heard-{side}",
        "whatever arrives is a sign of life",
        came(PONG, at=1500, timers=due(3500)),
        tick(2000),
        setup=alive,
    )
    story(
        f"heard-part-{side}",
        "so is part of a frame",
        tick(2000, out=wrote(PING)),
        came(PING[:3], at=3000, timers=due(5000)),
        setup=alive,
    )
    story(
        f"pong-{side}",
        "a Ping is answered under its ReferenceID",
        came(message(M.Ping, 5)[0], out=wrote(message(M.Pong, 5)[0])),
        setup=opened,
    )
    story(f"pong-unasked-{side}", "a Pong that nobody asked for", came(PONG), setup=opened)
    story(f"silent-{side}", "without a time nobody polls", tick(10_000_000, timers=[]), setup=opened)
for asked, own, wait in (
    (3000, 0, 3000),
    (3000, 2000, 2000),
    (2000, 3000, 2000),
    (1, 0, 1000),
    (1000, 0, 1000),
    (3_600_000, 0, 3_600_000),
    (3_600_001, 0, 3_600_000),
    (0, 0, None),
):
    flags = ["Limit"] if asked in (1, 1000, 3_600_000, 3_600_001) else []
    story(
        f"asked-{asked}-own-{own}-server",
        "the client asks the server to poll",
        came(hello(u32(A.KeepAliveRemote, asked))[0], greeted={**GREETED, "keepalive_remote_ms": asked}),
        call(
            "accept",
            keepalive_ms=str(own),
            expect={"out": wrote(LINKED), "timers": due(wait) if wait else []},
        ),
        flags=flags,
    )
    frame, meaning = message(M.EventLinkConnected, 1, u32(A.KeepAliveRemote, asked))
    story(
        f"asked-{asked}-own-{own}-client",
        "the server asks the client to poll",
        call("start", expect={"out": wrote(HELLO)}),
        came(frame, linked=meaning, timers=due(wait) if wait else []),
        setup={**CLIENT, "keepalive_ms": str(own)},
        flags=flags,
    )
story(
    "asks",
    "a server asks for the client's poll in EventLinkConnected",
    came(HELLO, greeted=GREETED),
    call(
        "accept",
        keepalive_remote_ms="3000",
        expect={"out": wrote(message(M.EventLinkConnected, 1, u32(A.KeepAliveRemote, 3000))[0])},
    ),
)

# -- the link, the mask, the reader, the position

for kind in (M.EventLinkDisconnected, M.EventLinkConnected):
    frame, meaning = message(kind)
    story(
        f"again-{int(kind)}",
        "the link changes on an open session",
        came(frame, events=[meaning]),
        came(RINGING, at=1, events=[RINGING_MEANING]),
        setup=CLIENT_OPEN,
    )
story(
    "disconnect",
    "a server that shuts down says why",
    call(
        "disconnect",
        code=54,
        text="Shutting down",
        expect={
            "out": wrote(
                message(
                    M.EventLinkDisconnected, 0, u32(A.ErrorCode, 54), text(A.ErrorMessage, "Shutting down")
                )[0]
            ),
            "close": "disconnected",
        },
    ),
    setup=SERVER_OPEN,
    section=11,
)
bits = bytearray(64)
bits[53 >> 3] |= 1 << (53 & 7)  # EventRegistered
masked = call("set_input_mask", mask=bytes(bits).hex())
for kind, ref, sent in (
    (M.EventRinging, 0, False),
    (M.EventRinging, 5, True),
    (M.EventRegistered, 0, True),
    (M.EventError, 5, True),
    (M.EventLinkDisconnected, 0, True),
    (M.EventLinkConnected, 0, True),
    (M.PeerMessage, 0, True),
    (M.EventReleased, 0, False),
):
    frame, meaning = message(kind, ref)
    expect = {"out": wrote(frame)} if sent else {}
    story(
        f"mask-{int(kind)}-{ref}",
        "what an input mask leaves out",
        masked,
        call("send", message=meaning, expect=expect),
        setup=SERVER_OPEN,
    )
story(
    "mask-lifted",
    "a mask of all ones lets everything through",
    masked,
    call("set_input_mask", mask="ff" * 64),
    call("send", message=RINGING_MEANING, expect={"out": wrote(RINGING)}),
    setup=SERVER_OPEN,
)
for size in (63, 64, 65):
    request, meaning = message(M.RequestSetInputMask, 5, octets(A.InputMask, bytes(size)))
    story(
        f"mask-of-{size}",
        "a mask is read as it came; its size is the server's to judge",
        came(request, events=[meaning]),
        setup=SERVER_OPEN,
        flags=["Limit"],
    )
for waiting, end in ((4_194_304, None), (4_194_305, "slow-reader")):
    story(
        f"queue-{waiting}",
        "what may wait for a reader",
        call("queued", octets=str(waiting), expect={} if end is None else {"close": end}),
        setup=SERVER_OPEN,
        section=6,
        flags=["Limit"],
        result="valid" if end is None else "invalid",
    )
story(
    "stalled",
    "a reader that reads nothing",
    call("queued", octets="10", expect={"timers": due(30000)}),
    call("queued", at=10, octets="20", expect={"timers": due(30000)}),
    tick(29999),
    tick(30000, close="slow-reader"),
    setup=SERVER_OPEN,
    section=6,
    result="invalid",
    flags=["Limit"],
)
story(
    "crawling",
    "a reader that reads a little",
    call("queued", octets="10"),
    call("queued", at=29000, octets="9", expect={"timers": due(59000)}),
    call("queued", at=58000, octets="0", expect={"timers": []}),
    setup=SERVER_OPEN,
    section=6,
)
where = (u64(A.ServerStartTime, 0x65), u64(A.EventSequenceNumber, 0x1F))
frame, meaning = message(M.EventRinging, 0, *where)
story(
    "position",
    "a client knows where it was",
    came(frame, events=[meaning], state={"resume": "0000000000000065-000000000000001f"}),
    came(RINGING, at=1, events=[RINGING_MEANING], state={"resume": "0000000000000065-000000000000001f"}),
    setup=CLIENT_OPEN,
)
story(
    "request",
    "requests are numbered behind the Hello",
    call("start", expect={"out": wrote(HELLO)}),
    came(LINKED, linked=LINKED_MEANING),
    *(
        call(
            "request",
            at=10,
            message={"id": 1, "ref": 0, "attributes": []},
            expect={"out": wrote(message(1, ref)[0])},
        )
        for ref in (2, 3, 4)
    ),
    setup=CLIENT,
)
story(
    "closed", "a host that closes", call("close", text="done", expect=DROPPED), setup=SERVER_OPEN, section=11
)

# -- resume

HERE, THERE = "0000000000000065-000000000000001f", "0000000000000065-0000000000000022"
CAN = pairs(A.Capabilities, ("resume", integer(1)))
GRANTED = pairs(A.Capabilities, ("resume", integer(30)))
COMES_BACK = {
    **CLIENT,
    "hello": {"session_id": "s-1", "resume": HERE, "capabilities": [["resume", {"int": 1}]]},
}
SESSION_1, SESSION_2 = text(A.SessionID, "s-1"), text(A.SessionID, "s-2")
LOST, _ = hello(SESSION_1, text(A.Resume, HERE), CAN)
LOST_MEANING = {**GREETED, "session_id": "s-1", "resume": HERE, "capabilities": [["resume", {"int": 1}]]}
RESUMED = {"resume": HERE, "resumed": True}
ANEW = {"resumed": False}


def linked(*said):
    """EventLinkConnected, what it means, and the host's call that writes it."""
    frame, meaning = message(M.EventLinkConnected, 1, *said)
    return frame, meaning, call("accept", attributes=meaning["attributes"], expect={"out": wrote(frame)})


def numbered(number, dn="1001"):
    """An event of that number."""
    return message(
        M.EventRinging, 0, text(A.ThisDN, dn), u64(A.ServerStartTime, 0x65), u64(A.EventSequenceNumber, number)
    )


PLACE = (u64(A.ServerStartTime, 0x65), u64(A.EventSequenceNumber, 0x1F))
GRANT = linked(SESSION_1, GRANTED, *PLACE)
GOES_ON = linked(SESSION_1, GRANTED, text(A.Resume, HERE), *PLACE)
BEGINS_ANEW = linked(
    SESSION_2, GRANTED, u64(A.ServerStartTime, 0x65), u64(A.EventSequenceNumber, 0x22)
)
MISSED, MISSED_MEANING = numbered(0x21)
NEXT, NEXT_MEANING = numbered(0x22)
asks, _ = hello(CAN)

story(
    "resume-granted",
    "a server keeps a lost session for half a minute",
    came(asks, greeted={**GREETED, "capabilities": [["resume", {"int": 1}]]}, state={"position": None}),
    GRANT[2],
)
story(
    "resume-granted-client",
    "the first position of a client is that of EventLinkConnected",
    call("start", expect={"out": wrote(asks)}),
    came(GRANT[0], linked=GRANT[1], state={"resume": HERE, **ANEW}),
    came(NEXT, at=1, events=[NEXT_MEANING], state={"resume": THERE}),
    setup={**CLIENT, "hello": {"capabilities": [["resume", {"int": 1}]]}},
)
story(
    "resume-goes-on",
    "a session goes on: what was missed follows, under the numbers that it had",
    came(LOST, greeted=LOST_MEANING, state={"position": ["101", "31"]}),
    GOES_ON[2],
    call("send", message=MISSED_MEANING, expect={"out": wrote(MISSED)}),
    call("send", message=NEXT_MEANING, expect={"out": wrote(NEXT)}),
)
story(
    "resume-goes-on-client",
    "the other side of it: Resume is repeated, and each missed event moves the position",
    call("start", expect={"out": wrote(LOST)}),
    came(GOES_ON[0], linked=GOES_ON[1], state=RESUMED),
    came(MISSED, at=1, events=[MISSED_MEANING], state={"resume": "0000000000000065-0000000000000021"}),
    came(NEXT, at=2, events=[NEXT_MEANING], state={"resume": THERE}),
    setup=COMES_BACK,
)
story(
    "resume-one-segment",
    "EventLinkConnected and what was missed in one piece",
    call("start", expect={"out": wrote(LOST)}),
    came(
        GOES_ON[0] + MISSED + NEXT,
        linked=GOES_ON[1],
        events=[MISSED_MEANING, NEXT_MEANING],
        state={"resume": THERE, "resumed": True},
    ),
    setup=COMES_BACK,
    flags=["Chunking"],
)
story(
    "resume-lost-again",
    "lost before anything was missed: the position is where it was",
    call("start", expect={"out": wrote(LOST)}),
    came(GOES_ON[0], linked=GOES_ON[1], state=RESUMED),
    call("close", at=1, text="lost", expect={**DROPPED, "state": {"resume": HERE}}),
    setup=COMES_BACK,
)
story(
    "resume-refused",
    "a session that the server does not know, or not for this client: it begins anew, it is no error",
    came(LOST, greeted=LOST_MEANING, state={"position": ["101", "31"]}),
    BEGINS_ANEW[2],
)
story(
    "resume-refused-client",
    "the other side of it: another SessionID and no Resume",
    call("start", expect={"out": wrote(LOST)}),
    came(BEGINS_ANEW[0], linked=BEGINS_ANEW[1], state={"resume": THERE, **ANEW}),
    setup=COMES_BACK,
)
expired = linked(SESSION_2, *PLACE[:1], u64(A.EventSequenceNumber, 0x22))
story(
    "resume-expired",
    "a session that was kept for a while and no longer; the new one is not kept",
    came(LOST, greeted=LOST_MEANING, state={"position": ["101", "31"]}),
    expired[2],
)
story(
    "resume-expired-client",
    "the other side of it",
    call("start", expect={"out": wrote(LOST)}),
    came(expired[0], linked=expired[1], state={"resume": THERE, **ANEW}),
    setup=COMES_BACK,
)
for what, said in (
    ("same-session", (SESSION_1, GRANTED, *PLACE)),
    ("another-position", (SESSION_1, GRANTED, text(A.Resume, THERE), *PLACE)),
    ("empty", (SESSION_1, GRANTED, text(A.Resume, ""), *PLACE)),
    ("another-type", (SESSION_1, GRANTED, opaque(A.Resume, 1, bytes(4)), *PLACE)),
):
    odd = linked(*said)
    story(
        f"resume-not-repeated-{what}",
        "only a Resume with the client's own position says that the session goes on",
        call("start", expect={"out": wrote(LOST)}),
        came(odd[0], linked=odd[1], state={"resume": HERE, **ANEW}),
        setup=COMES_BACK,
    )
restarted = linked(
    SESSION_2, GRANTED, u64(A.ServerStartTime, 0x66), u64(A.EventSequenceNumber, 0)
)
story(
    "resume-restarted-client",
    "a server that has started since: its numbers begin again",
    call("start", expect={"out": wrote(LOST)}),
    came(restarted[0], linked=restarted[1], state={"resume": "0000000000000066-0000000000000000", **ANEW}),
    setup=COMES_BACK,
)
refusal, refusal_meaning = message(M.EventError, 1, u32(A.ErrorCode, 1158), text(A.ErrorMessage, "no"))
story(
    "resume-no-proof",
    "a client that has a position and no proof is refused as any other",
    call("start", expect={"out": wrote(LOST)}),
    came(refusal, events=[refusal_meaning], close="refused", state={"resume": ""}),
    setup=COMES_BACK,
)
for what, value, place in (
    ("lowest", "0" * 16 + "-" + "0" * 16, ["0", "0"]),
    ("highest", "f" * 16 + "-" + "f" * 16, [str((1 << 64) - 1)] * 2),
    ("empty", "", None),
    ("number", "31", None),
    ("short", HERE[:-1], None),
    ("long", HERE + "0", None),
    ("upper-case", HERE.upper(), None),
    ("no-hyphen", HERE.replace("-", "0"), None),
    ("two-hyphens", HERE.replace("-", "--")[:33], None),
    ("not-hex", HERE.replace("f", "g"), None),
    ("other-digits", HERE.replace("6", "\u0666"), None),
    ("line-end", HERE + "\n", None),
    ("blank", " " + HERE, None),
    ("not-utf-8", b"\xff" + HERE.encode()[1:], None),
    ("far-too-long", "0" * 3000, None),
):
    frame, _ = hello(SESSION_1, text(A.Resume, value))
    if isinstance(value, bytes):
        value = {"hex": value.hex()}
    said = {"session_id": "s-1", **({"resume": value} if value else {})}
    story(
        f"resume-text-{what}",
        "a position" if place else "a text that is no position is as good as none: the session begins anew",
        came(frame, greeted={**GREETED, **said}, state={"position": place}),
        BEGINS_ANEW[2] if place is None else linked(SESSION_1, text(A.Resume, value))[2],
        flags=["Undecodable"] if what == "not-utf-8" else ["Limit"] if what in ("lowest", "highest") else [],
    )
frame, _ = hello(SESSION_1, u32(A.Resume, 31))
story(
    "resume-type",
    "Resume of a foreign type is as good as none",
    came(frame, greeted={**GREETED, "session_id": "s-1"}, state={"position": None}),
    BEGINS_ANEW[2],
)
frame, _ = hello(text(A.Resume, HERE))
story(
    "resume-no-session",
    "a position of no session",
    came(frame, greeted={**GREETED, "resume": HERE}, state={"position": ["101", "31"]}),
    BEGINS_ANEW[2],
)
twice = raw_frame(
    M.RequestRegisterClient,
    1,
    *(
        packed
        for packed, _ in (
            text(A.ProtocolVersion, "1"),
            text(A.ApplicationName, "desk"),
            text(A.Role, "desktop"),
            text(A.Resume, HERE),
            text(A.Resume, THERE),
        )
    ),
)
story(
    "resume-twice",
    "two positions: a malformed frame",
    came(twice, out=error(1, 53), close="malformed"),
    result="invalid",
    section=7,
    flags=["Duplicate"],
)
