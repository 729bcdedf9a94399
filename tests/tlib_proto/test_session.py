import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tlib_proto.pair import HELLO, Pair
from tests.tlib_proto.strategies import messages
from tlib_proto import mask
from tlib_proto.codec import decode, encode
from tlib_proto.constants import Attribute, ErrorCode, MessageType
from tlib_proto.errors import LocalError
from tlib_proto.hello import hello_message
from tlib_proto.limits import Limits
from tlib_proto.records import Ended, Greeted, Hello, Incoming, Linked, Message, Write
from tlib_proto.resume import read_position
from tlib_proto.session import ClientSession, ServerSession
from tlib_proto.tables import INPUTS, PEER_TABLES, Act, Input, Role, State

REGISTER = Message(MessageType.RequestRegisterAddress, 5, {Attribute.ThisDN: "1001"})
LINKED = encode(Message(MessageType.EventLinkConnected, 1))
HELLO_FRAME = encode(hello_message(HELLO, 1))
LIMITS = Limits()
SECOND = 1_000_000


def server(state: State = State.HELLO, keepalive_us: int = 0, limits: Limits = LIMITS) -> ServerSession:
    session = ServerSession(0, limits, keepalive_us)
    if state != State.HELLO:
        session.receive_data(0, HELLO_FRAME, [])
    if state == State.OPEN:
        session.accept(0, {}, [])
    return session


def client(state: State = State.IDLE, keepalive_us: int = 0) -> ClientSession:
    session = ClientSession(0, HELLO, LIMITS, keepalive_us)
    if state != State.IDLE:
        session.start(0, [])
    if state == State.OPEN:
        session.receive_data(0, LINKED, [])
    return session


def feed(session, data, now=0):
    out = []
    session.receive_data(now, data, out)
    return out


def wrote(out):
    return [decode(o.data) for o in out if isinstance(o, Write)]


def gone(session, out, kind):
    """The session ended for this reason, says so last, and holds nothing."""
    assert isinstance(out[-1], Ended)
    assert out[-1].kind == kind
    assert out[-1].text
    assert session.state == State.ENDED
    assert session.next_deadline() is None
    assert feed(session, encode(REGISTER)) == []
    again = []
    session.handle_timeout(1 << 60, again)
    session.close(0, "again", again)
    assert again == []
    return True


# -- a conversation


def test_a_client_says_hello_sends_a_request_and_hears_an_event():
    pair = Pair()
    pair.open()
    assert pair.at_server == [Greeted(HELLO, 1)]
    (linked,) = pair.at_client
    assert isinstance(linked, Linked)
    assert linked.message.ref == 1
    out = []
    ref = pair.client.request(pair.now, REGISTER, out)
    assert ref == 2
    pair.carry(out, [])
    assert pair.at_server[1:] == [Incoming(Message(REGISTER.id, ref, REGISTER.attributes))]
    event = Message(MessageType.EventRegistered, ref, {Attribute.ThisDN: "1001"})
    out = []
    pair.server.send(pair.now, event, out)
    pair.carry([], out)
    assert pair.at_client[1:] == [Incoming(event)]


def test_everything_in_a_hello_arrives():
    hello = Hello("app", "peer", "secret", (1, 2), "s-1", (("node-dns", 1),), "17", "n1", 2000, 3000)
    pair = Pair(hello)
    pair.start()
    assert pair.at_server == [Greeted(hello, 1)]


@settings(deadline=None)
@given(st.lists(messages, max_size=5), st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_frames_arrive_however_the_octets_are_cut(sent, cuts):
    session = client(State.OPEN)
    sent = [message for message in sent if message.id not in INPUTS]
    stream = b"".join(map(encode, sent))
    out = []
    place = turn = 0
    while place < len(stream):
        step = cuts[turn % len(cuts)]
        session.receive_data(0, stream[place : place + step], out)
        place += step
        turn += 1
    assert out == [Incoming(message) for message in sent]
    assert session.next_deadline() is None


def test_an_encoded_frame_is_sent_as_it_is():
    out = []
    frame = encode(REGISTER)
    server(State.OPEN).send_frame(0, frame, out)
    assert out == [Write(frame)]


def test_reference_ids_begin_anew_after_the_last():
    session = ClientSession(0, HELLO, LIMITS, first_ref=0xFFFFFFFE)
    session.start(0, [])
    feed(session, LINKED)
    assert [session.request(0, REGISTER, []) for _ in range(2)] == [0xFFFFFFFF, 1]


@pytest.mark.parametrize("ref", [0, -1, 1 << 32])
def test_a_first_reference_is_a_reference(ref):
    with pytest.raises(LocalError, match="ReferenceID"):
        ClientSession(0, HELLO, LIMITS, first_ref=ref)


# -- the tables, walked


def build_input(what: Input) -> Message:
    for number, found in INPUTS.items():
        if found == what:
            return hello_message(HELLO, 9) if what == Input.HELLO else Message(number, 9)
    return Message(MessageType.RequestMakeCall if what == Input.KNOWN else 900, 9)


@pytest.mark.parametrize("what", list(Input))
@pytest.mark.parametrize("state", [State.HELLO, State.OPEN])
@pytest.mark.parametrize("role", list(Role))
def test_every_message_in_every_state_does_what_its_table_says(role, state, what):
    session = server(state) if role == Role.SERVER else client(state)
    act, following = PEER_TABLES[role][state][what]
    message = build_input(what)
    out = feed(session, encode(message))
    assert session.state == following
    if act == Act.DELIVER:
        assert out == [Incoming(message)]
    elif act == Act.GREET:
        assert out == [Greeted(HELLO, 9)]
    elif act == Act.LINK:
        assert out == [Linked(message)]
    elif act == Act.PONG:
        assert wrote(out) == [Message(MessageType.Pong, 9)]
    elif act == Act.NOTHING:
        assert out == []
    elif act in (Act.UNSUPPORTED, Act.REPEATED):
        (answer,) = wrote(out)
        assert answer.ref == 9
        code = ErrorCode.UNSUP_OPER if act == Act.UNSUPPORTED else ErrorCode.IN_SAME_STATE
        assert answer.number(Attribute.ErrorCode) == code
        assert message.name in answer.text(Attribute.ErrorMessage)
    elif act == Act.REFUSED:
        assert out[0] == Incoming(message)
        assert gone(session, out, "refused")
    else:
        assert act == Act.UNEXPECTED
        assert [answer.ref for answer in wrote(out)] == ([9] if role == Role.SERVER else [])
        assert gone(session, out, "unexpected")


CALLS = {
    "start": lambda session: session.start(0, []),
    "accept": lambda session: session.accept(0, {}, []),
    "refuse": lambda session: session.refuse(0, 59, "no", []),
    "send": lambda session: session.send(0, REGISTER, []),
    "send_frame": lambda session: session.send_frame(0, b"", []),
    "request": lambda session: session.request(0, REGISTER, []),
    "disconnect": lambda session: session.disconnect(0, {}, []),
    "set_input_mask": lambda session: session.set_input_mask(0, None),
}


@pytest.mark.parametrize(
    ("make", "call"),
    [
        (server, "accept"),
        (server, "refuse"),
        (server, "send"),
        (server, "send_frame"),
        (server, "disconnect"),
        (server, "set_input_mask"),
        (lambda: server(State.GREETED), "set_input_mask"),
        (lambda: server(State.GREETED), "send"),
        (lambda: server(State.OPEN), "accept"),
        (lambda: server(State.OPEN), "refuse"),
        (client, "send"),
        (client, "request"),
        (lambda: client(State.HELLO), "start"),
        (lambda: client(State.HELLO), "request"),
        (lambda: client(State.OPEN), "start"),
    ],
)
def test_a_call_in_the_wrong_state_changes_nothing(make, call):
    session = make()
    before = session.state, session.next_deadline()
    with pytest.raises(LocalError, match="in state"):
        CALLS[call](session)
    assert (session.state, session.next_deadline()) == before


def test_a_client_hears_nothing_before_it_started():
    with pytest.raises(LocalError, match="before start"):
        client().receive_data(0, b"x", [])


# -- Hello


def test_a_refused_client_learns_number_and_text():
    pair = Pair()
    pair.start()
    out = []
    pair.server.refuse(pair.now, ErrorCode.NOT_CONFIGURED, "Nobody knows you", out)
    assert gone(pair.server, out, "refused")
    pair.carry([], [o for o in out if isinstance(o, Write)])
    answer, ended = pair.at_client
    assert answer.message.ref == 1
    assert ended == Ended("refused", "59 Nobody knows you")


def test_a_link_that_is_down_refuses_the_client():
    session = client(State.HELLO)
    out = feed(session, encode(Message(MessageType.EventLinkDisconnected, 1)))
    assert out[-1] == Ended("refused", "EventLinkDisconnected")


@pytest.mark.parametrize("versions", ["2", "", "1.0", "tserver protocol 4.2", "9" * 400])
def test_another_protocol_version_is_answered_by_error_55(versions):
    message = hello_message(HELLO, 3)
    message.attributes[Attribute.ProtocolVersion] = versions
    session = server()
    out = feed(session, encode(message))
    (answer,) = wrote(out)
    assert (answer.ref, answer.number(Attribute.ErrorCode)) == (3, ErrorCode.PROTO_VERS)
    assert gone(session, out, "version")


@pytest.mark.parametrize("missing", [Attribute.ApplicationName, Attribute.Role])
def test_a_hello_without_name_or_role_is_refused(missing):
    message = hello_message(HELLO, 3)
    del message.attributes[missing]
    session = server()
    out = feed(session, encode(message))
    (answer,) = wrote(out)
    assert answer.number(Attribute.ErrorCode) == ErrorCode.INVALID_ATTR
    assert missing.name in answer.text(Attribute.ErrorMessage)
    assert gone(session, out, "unexpected")


def test_requests_sent_along_with_hello_wait_for_accept():
    session = server()
    assert feed(session, HELLO_FRAME + encode(REGISTER)[:20]) == [Greeted(HELLO, 1)]
    assert feed(session, encode(REGISTER)[20:]) == []
    out = []
    session.accept(0, {Attribute.SessionID: "s"}, out)
    assert wrote(out) == [Message(MessageType.EventLinkConnected, 1, {Attribute.SessionID: "s"})]
    assert out[1:] == [Incoming(REGISTER)]
    assert session.next_deadline() is None


def test_too_much_before_accept_ends_the_session():
    session = server(State.GREETED)
    out = feed(session, bytes(LIMITS.hello_frame + 1))
    assert gone(session, out, "early")


def test_a_hello_that_does_not_come_ends_the_session():
    session = server()
    assert session.next_deadline() == LIMITS.hello_us
    out = []
    session.handle_timeout(LIMITS.hello_us - 1, out)
    assert out == []
    session.handle_timeout(LIMITS.hello_us, out)
    assert gone(session, out, "hello-timeout")


@pytest.mark.parametrize("make", [lambda: server(State.GREETED), lambda: client(State.HELLO)])
def test_a_hello_that_nobody_answers_ends_the_session(make):
    session = make()
    out = []
    session.handle_timeout(session.next_deadline(), out)
    assert gone(session, out, "hello-timeout")


def test_accept_that_cannot_be_encoded_changes_nothing():
    session = server(State.GREETED)
    with pytest.raises(LocalError):
        session.accept(0, {Attribute.SessionID: 5}, [])
    assert session.state == State.GREETED


def test_a_client_that_cannot_say_hello_does_not_start():
    session = ClientSession(0, Hello("", "desktop"), LIMITS)
    with pytest.raises(LocalError, match="application"):
        session.start(0, [])
    assert session.state == State.IDLE


# -- what strangers and broken peers send


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST",
        b"INVITE sip:1001@example.com SIP/2.0\r\n",
        b"BYE sip:1001@example.com SIP/2.0\r\n",
        b"SIP/2.0 200 OK\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_another_protocol_is_named_and_not_answered(data):
    for session in (server(), client(State.HELLO)):
        out = feed(session, data)
        assert len(out) == 1
        assert "T-Library port" in out[0].text
        assert gone(session, out, "not-tlib")


@pytest.mark.parametrize("make", [server, lambda: server(State.OPEN)])
def test_a_length_of_4_gib_costs_nothing(make):
    session = make()
    head = b"\xff\xff\xff\xff\x01\x00\x00\x03\x00\x00\x00\x07"
    out = feed(session, head)
    (answer,) = wrote(out)
    assert (answer.ref, answer.number(Attribute.ErrorCode)) == (7, ErrorCode.INVALID_ATTR)
    assert gone(session, out, "too-large")


def test_a_length_without_a_header_is_not_answered():
    session = server()
    out = feed(session, b"\xff\xff\xff\xff")
    assert wrote(out) == []
    assert gone(session, out, "too-large")


def test_before_hello_only_a_small_frame_may_come():
    session = server()
    out = feed(session, (LIMITS.hello_frame + 1).to_bytes(4, "big"))
    assert gone(session, out, "too-large")
    session = server(State.OPEN)
    assert feed(session, (LIMITS.hello_frame + 1).to_bytes(4, "big")) == []


def test_a_length_below_the_header_is_malformed():
    session = server(State.OPEN)
    out = feed(session, b"\x00\x00\x00\x05" + bytes(8))
    assert wrote(out)[0].number(Attribute.ErrorCode) == ErrorCode.INVALID_ATTR
    assert gone(session, out, "malformed")


def test_a_malformed_frame_is_answered_with_its_reference_and_place():
    session = server(State.OPEN)
    frame = bytearray(encode(REGISTER))
    frame[15] = 1
    out = feed(session, bytes(frame) + encode(REGISTER))
    (answer,) = wrote(out)
    assert (answer.ref, answer.number(Attribute.ErrorCode)) == (5, ErrorCode.INVALID_ATTR)
    assert "reserved at octet 12" in answer.text(Attribute.ErrorMessage)
    assert gone(session, out, "malformed")


def test_another_frame_version_is_answered_by_error_55():
    session = server()
    frame = bytearray(HELLO_FRAME)
    frame[4] = 2
    out = feed(session, bytes(frame))
    assert wrote(out)[0].number(Attribute.ErrorCode) == ErrorCode.PROTO_VERS
    assert gone(session, out, "version")


def test_a_client_does_not_answer_a_malformed_frame():
    session = client(State.OPEN)
    out = feed(session, b"\x00\x00\x00\x0c\x01\x01\x00\x3c\x00\x00\x00\x00")
    assert wrote(out) == []
    assert gone(session, out, "malformed")


def test_half_a_frame_and_silence_ends_the_session_however_slowly_it_drips():
    session = server(State.OPEN)
    frame = encode(REGISTER)
    feed(session, frame[:5], now=10)
    deadline = 10 + LIMITS.partial_frame_us
    assert session.next_deadline() == deadline
    feed(session, frame[5:6], now=deadline - 1)
    assert session.next_deadline() == deadline
    out = []
    session.handle_timeout(deadline, out)
    assert gone(session, out, "partial-frame")


def test_a_new_partial_frame_has_a_time_of_its_own():
    session = server(State.OPEN)
    frame = encode(REGISTER)
    feed(session, frame[:5], now=10)
    assert len(feed(session, frame[5:] + frame[:5], now=1000)) == 1
    assert session.next_deadline() == 1000 + LIMITS.partial_frame_us
    feed(session, frame[5:], now=2000)
    assert session.next_deadline() is None


def test_a_frame_larger_than_the_limit_is_not_sent():
    session = server(State.OPEN, limits=Limits(frame=100))
    with pytest.raises(LocalError, match="at most 100"):
        session.send(0, Message(60, 0, {Attribute.ThisDN: "x" * 200}), [])


@settings(deadline=None)
@given(st.lists(st.binary(max_size=50), max_size=5))
def test_noise_never_raises(pieces):
    for session in (server(), server(State.OPEN), client(State.HELLO), client(State.OPEN)):
        out = []
        for piece in pieces:
            session.receive_data(0, piece, out)
        assert sum(isinstance(o, Ended) for o in out) == (session.state == State.ENDED)


# -- keep-alive


@pytest.mark.parametrize("make", [server, client])
def test_an_idle_session_polls_and_a_silent_peer_ends_it(make):
    session = make(State.OPEN, keepalive_us=SECOND)
    assert session.next_deadline() == SECOND
    out = []
    session.handle_timeout(SECOND - 1, out)
    assert out == []
    session.handle_timeout(SECOND, out)
    assert wrote(out) == [Message(MessageType.Ping)]
    assert session.next_deadline() == 2 * SECOND
    session.handle_timeout(2 * SECOND - 1, out)
    assert len(out) == 1
    session.handle_timeout(2 * SECOND, out)
    assert gone(session, out, "keep-alive")


def test_whatever_arrives_answers_the_poll():
    session = server(State.OPEN, keepalive_us=SECOND)
    session.handle_timeout(SECOND, [])
    assert feed(session, encode(Message(MessageType.Pong)), now=SECOND + 5) == []
    assert session.next_deadline() == 2 * SECOND + 5
    session.handle_timeout(2 * SECOND + 5, [])
    feed(session, encode(REGISTER), now=2 * SECOND + 6)
    assert session.next_deadline() == 3 * SECOND + 6


def test_two_ends_keep_each_other_alive_unseen():
    pair = Pair(keepalive_us=SECOND)
    pair.open()
    seen = len(pair.at_client), len(pair.at_server)
    for _ in range(5):
        pair.now = min(pair.client.next_deadline(), pair.server.next_deadline())
        from_client, from_server = [], []
        pair.client.handle_timeout(pair.now, from_client)
        pair.server.handle_timeout(pair.now, from_server)
        pair.carry(from_client, from_server)
    assert (len(pair.at_client), len(pair.at_server)) == seen
    assert pair.client.state == pair.server.state == State.OPEN


def test_accept_chooses_the_keep_alive():
    session = server(State.GREETED)
    session.accept(7, {}, [], keepalive_us=SECOND)
    assert session.next_deadline() == SECOND + 7
    session = server(State.GREETED, keepalive_us=SECOND)
    session.accept(7, {}, [], keepalive_us=0)
    assert session.next_deadline() is None


def test_both_sides_times_are_handed_over_and_both_sides_poll():
    """One side alone knows both times, as ADDP has it: the other polls because it was asked to."""
    for hello, accepted in (
        (Hello("desk", "desktop", keepalive_ms=2000, keepalive_remote_ms=3000), {}),
        (HELLO, {"keepalive_us": 3 * SECOND, "keepalive_remote_us": 2 * SECOND}),
    ):
        pair = Pair(hello)
        pair.client = ClientSession(pair.now, hello, keepalive_us=hello.keepalive_ms * 1000)
        pair.start()
        out = []
        pair.server.accept(pair.now, {}, out, **accepted)
        pair.carry([], out)
        assert pair.server.next_deadline() == pair.now + 3 * SECOND
        assert pair.client.next_deadline() == pair.now + 2 * SECOND


@pytest.mark.parametrize(
    ("own_us", "asked_ms", "wait_us"),
    [
        (0, 0, None),
        (0, 5_000, 5 * SECOND),
        (2 * SECOND, 5_000, 2 * SECOND),
        (5 * SECOND, 2_000, 2 * SECOND),
        (0, 1, SECOND),
        (0, 0xFFFFFFFF, 3600 * SECOND),
        (SECOND // 10, 5_000, SECOND // 10),
    ],
)
def test_the_shorter_time_holds_and_what_is_asked_has_bounds(own_us, asked_ms, wait_us):
    linked = Message(MessageType.EventLinkConnected, 1, {Attribute.KeepAliveRemote: asked_ms})
    session = client(State.HELLO, keepalive_us=own_us)
    feed(session, encode(linked))
    assert session.next_deadline() == wait_us
    session = ServerSession(0)
    feed(session, encode(hello_message(Hello("desk", "desktop", keepalive_remote_ms=asked_ms), 1)))
    session.accept(0, {}, [], keepalive_us=own_us)
    assert session.next_deadline() == wait_us


def test_one_sided_polling_is_enough_for_the_side_that_polls():
    pair = Pair()
    pair.client = ClientSession(pair.now, HELLO, keepalive_us=SECOND)
    pair.open()
    assert pair.server.next_deadline() is None
    pair.now += SECOND
    out = []
    pair.client.handle_timeout(pair.now, out)
    pair.carry(out, [])
    assert pair.client.next_deadline() == pair.now + SECOND


# -- versions


@pytest.mark.parametrize(
    ("text", "end"), [(None, None), ("1", None), ("2", "version"), ("x", "version"), ("1" * 9, "version")]
)
def test_a_client_takes_only_a_version_that_it_offered(text, end):
    attributes = {} if text is None else {Attribute.ProtocolVersion: text}
    session = client(State.HELLO)
    out = feed(session, encode(Message(MessageType.EventLinkConnected, 1, attributes)))
    if end is None:
        assert session.state == State.OPEN
    else:
        assert gone(session, out, end)


# -- input mask


RINGING = Message(MessageType.EventRinging, 0, {Attribute.ThisDN: "1001"})


def test_a_mask_leaves_out_unsolicited_events_and_no_answers():
    session = server(State.OPEN)
    assert session.input_mask is None
    session.set_input_mask(0, mask.pack([MessageType.EventRegistered]))
    out = []
    answer = Message(MessageType.EventRinging, 5)
    down = Message(MessageType.EventLinkDisconnected)
    for message in (
        RINGING,
        answer,
        Message(MessageType.EventRegistered),
        down,
        Message(MessageType.PeerMessage),
    ):
        session.send(0, message, out)
        assert session.wants(message.id, message.ref) == (message is not RINGING)
    assert [m.id for m in wrote(out)] == [60, 53, 94, 1002]
    session.set_input_mask(0, None)
    session.send(0, RINGING, out)
    assert wrote(out)[-1] == RINGING


@pytest.mark.parametrize("size", [0, 63, 65])
def test_a_mask_has_its_size(size):
    session = server(State.OPEN)
    with pytest.raises(LocalError, match="not 64"):
        session.set_input_mask(0, bytes(size))
    assert session.input_mask is None


# -- readers that do not read


def test_too_much_unread_ends_the_session():
    session = server(State.OPEN, limits=Limits(queue=100))
    out = []
    session.queued(0, 100, out)
    assert out == []
    session.queued(0, 101, out)
    assert "at most 100" in out[-1].text
    assert gone(session, out, "slow-reader")
    session.queued(0, 1000, out)
    assert len(out) == 1


@pytest.mark.parametrize("make", [server, client])
def test_a_reader_that_stalls_ends_the_session_and_one_that_crawls_does_not(make):
    session = make(State.OPEN)
    out = []
    session.queued(0, 50, out)
    assert session.next_deadline() == LIMITS.stalled_us
    session.queued(10, 60, out)
    assert session.next_deadline() == LIMITS.stalled_us
    session.queued(20, 59, out)
    assert session.next_deadline() == LIMITS.stalled_us + 20
    session.queued(30, 0, out)
    assert session.next_deadline() is None
    session.queued(40, 50, out)
    session.handle_timeout(LIMITS.stalled_us + 39, out)
    assert out == []
    session.handle_timeout(LIMITS.stalled_us + 40, out)
    assert "50 octets" in out[-1].text
    assert gone(session, out, "slow-reader")


# -- the link


def test_a_server_says_why_it_disconnects():
    pair = Pair()
    pair.open()
    out = []
    pair.server.disconnect(pair.now, {Attribute.TimeinSecs: 1}, out, ErrorCode.NO_SWITCH, "Shutting down")
    assert gone(pair.server, out, "disconnected")
    assert out[-1].text == "Shutting down"
    pair.carry([], out[:-1])
    told = pair.at_client[-1].message
    assert told == Message(
        MessageType.EventLinkDisconnected,
        0,
        {Attribute.TimeinSecs: 1, Attribute.ErrorCode: 54, Attribute.ErrorMessage: "Shutting down"},
    )
    assert pair.client.state == State.OPEN


def test_a_hello_may_be_answered_by_a_link_that_is_down():
    pair = Pair()
    pair.start()
    out = []
    pair.server.disconnect(pair.now, {}, out)
    assert gone(pair.server, out, "disconnected")
    pair.carry([], out[:-1])
    assert pair.at_client[0].message.ref == 1
    assert pair.at_client[-1].kind == "refused"


def test_a_disconnect_that_cannot_be_said_changes_nothing():
    session = server(State.OPEN)
    with pytest.raises(LocalError):
        session.disconnect(0, {Attribute.SessionID: 5}, [])
    assert session.state == State.OPEN


def test_a_link_may_go_down_and_come_back_on_an_open_session():
    pair = Pair()
    pair.open()
    for kind in (MessageType.EventLinkDisconnected, MessageType.EventLinkConnected):
        out = []
        pair.server.send(pair.now, Message(kind), out)
        pair.carry([], out)
        assert pair.at_client[-1] == Incoming(Message(kind))


# -- position


def test_a_client_knows_where_it_was():
    session = client(State.OPEN)
    assert session.resume == ""
    where = {Attribute.ServerStartTime: 0x65, Attribute.EventSequenceNumber: 0x1F}
    feed(session, encode(Message(MessageType.EventRinging, 0, where)))
    feed(session, encode(Message(MessageType.EventRegistered)))
    assert session.resume == "0000000000000065-000000000000001f"
    session.close(0, "", [])
    assert read_position(session.resume) == (0x65, 0x1F)


def test_the_position_of_the_first_event_counts():
    session = client(State.HELLO)
    feed(session, encode(Message(MessageType.EventLinkConnected, 1, {Attribute.EventSequenceNumber: 5})))
    assert read_position(session.resume) == (0, 5)


def test_closing_says_why():
    session = client(State.OPEN)
    out = []
    session.close(0, "no more to say", out)
    assert out == [Ended("closed", "no more to say")]
    assert gone(session, out, "closed")


# -- what every event carries


def test_events_that_a_server_session_writes_itself_are_stamped_as_the_hosts_are():
    def stamped(act) -> list[int]:
        numbers = iter(range(7, 20))

        def stamp(now):
            return {Attribute.TimeinSecs: now, Attribute.EventSequenceNumber: next(numbers)}

        session = ServerSession(0, LIMITS, 0, stamp)
        out = []
        act(session, out)
        events = [event for event in wrote(out) if event.id != MessageType.Pong]
        assert [event.number(Attribute.TimeinSecs) for event in events] == [5] * len(events)
        assert [event.number(Attribute.EventSequenceNumber) for event in events] == list(range(7, 7 + len(events)))
        return [event.id for event in events]

    def opened(session, out):
        session.receive_data(5, HELLO_FRAME, out)
        session.accept(5, {}, out)

    def said(*frames):
        def act(session, out):
            opened(session, out)
            session.receive_data(5, b"".join(frames), out)

        return act

    linked, error = MessageType.EventLinkConnected, MessageType.EventError
    strange = (HELLO_FRAME, encode(Message(1999, 3)), encode(Message(MessageType.Ping)))
    assert stamped(said(*strange)) == [linked, error, error]
    assert stamped(said(b"\x00\x00\x00\x0c\x02" + bytes(7))) == [linked, error]
    assert stamped(said(b"\xff" * 12)) == [linked, error]
    assert stamped(lambda session, out: session.receive_data(5, encode(REGISTER), out)) == [error]

    def parted(session, out):
        opened(session, out)
        session.disconnect(5, {}, out)

    assert stamped(parted) == [linked, MessageType.EventLinkDisconnected]

    def refused(session, out):
        session.receive_data(5, HELLO_FRAME, out)
        session.refuse(5, ErrorCode.SECURITY_VIOLATION, "no", out)

    assert stamped(refused) == [error]


def test_how_much_waits_for_the_peer_is_what_the_host_said_last():
    session = server(State.OPEN)
    assert session.unread == 0
    session.queued(0, 300, [])
    assert session.unread == 300


def test_what_an_event_of_the_session_says_itself_is_not_stamped_over():
    session = ServerSession(0, LIMITS, 0, lambda now: {Attribute.EventSequenceNumber: 7, Attribute.TimeinSecs: 1})
    feed(session, HELLO_FRAME)
    out = []
    session.accept(0, {Attribute.EventSequenceNumber: 3}, out)
    [linked] = wrote(out)
    assert (linked.number(Attribute.EventSequenceNumber), linked.number(Attribute.TimeinSecs)) == (3, 1)
