"""The edge: bytes of streams and datagrams on one side, values on the other."""

from typing import Any

import msgspec
import pytest

from cluster_core.core import Core
from cluster_core.edge import Edge, Gone
from cluster_core.errors import LocalError
from cluster_core.inputs import Datagram, Opened
from cluster_core.limits import SECOND_US, Limits
from cluster_core.outputs import Close, Dial, Fault, Send, SendDatagram, Subsystem
from sip_proto import Disconnect, Requested, Responded, Transmit, TransmitStream
from tests.cluster_core.alone import settings
from tlib_proto import (
    Attribute,
    ClientSession,
    Greeted,
    Hello,
    Incoming,
    Linked,
    Message,
    MessageType,
    ServerSession,
    Write,
    decode,
    encode,
)
from tlib_proto.mask import pack

NOW = 1_000_000
THERE = settings().nodes[0].members[0]
HELLO = Hello(application="Desk", role="desktop")
OPTIONS = (
    b"OPTIONS sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/%s 192.0.2.9;branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\n"
    b"From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: c%s\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


class Room:
    """An edge alone, and what left it."""

    def __init__(self, **limits: int) -> None:
        self.core = Core(settings(limits=Limits(**limits)), "n1", "a", b"ids")
        self.edge = Edge(self.core, b"sip")
        self.out: list[Any] = []

    def said(self) -> list[Any]:
        out, self.out[:] = list(self.out), []
        return out

    def opened(self, conn: int, listener: Any, peer: str = "192.0.2.9:4000") -> list[Any]:
        self.edge.opened(NOW, Opened(conn, listener, peer), self.out)
        return self.said()

    def records(self) -> list[Any]:
        said, self.edge.tlib_out = self.edge.tlib_out, []
        return said

    def deadline(self) -> int | None:
        return self.core.timers.next_deadline()

    def client(self, conn: int = 2, listener: Any = "tcontroller") -> ClientSession:
        """A program that has said Hello on an accepted stream."""
        self.opened(conn, listener)
        session = ClientSession(NOW, HELLO)
        out: list[Any] = []
        session.start(NOW, out)
        self.edge.received(NOW, conn, out[0].data, self.out)
        return session

    def accepted(self, conn: int = 2, listener: Any = "tcontroller", keepalive_us: int = 0) -> ClientSession:
        session = self.client(conn, listener)
        self.edge.accept(NOW, conn, {Attribute.NodeName: "n1"}, keepalive_us, self.out)
        out: list[Any] = []
        for chunk in self.said()[-1].chunks:
            session.receive_data(NOW, chunk, out)
        assert isinstance(out[0], Linked)
        self.records()
        return session


# Streams of T-Library.


@pytest.mark.parametrize(
    ("listener", "subsystem"),
    [
        ("tlib", Subsystem.MAIN),
        ("iproxy", Subsystem.INTERACTION_PROXY),
        ("tcontroller", Subsystem.T_CONTROLLER),
        ("smartproxy", Subsystem.SMART_PROXY),
    ],
)
def test_what_is_sent_names_the_subsystem_of_its_port(listener: str, subsystem: Subsystem) -> None:
    room = Room()
    room.accepted(2, listener)
    room.edge.send(NOW, 2, Message(MessageType.EventServerInfo), room.out)
    assert [(send.subsystem, send.conns) for send in room.said()] == [(subsystem, (2,))]


def test_a_hello_comes_out_as_a_value_and_is_answered() -> None:
    room = Room()
    assert room.opened(2, "tcontroller") == []
    assert room.deadline() is not None
    session = ClientSession(NOW, HELLO)
    out: list[Any] = []
    session.start(NOW, out)
    room.edge.received(NOW, 2, out[0].data[:7], room.out)
    assert room.records() == []
    room.edge.received(NOW, 2, out[0].data[7:], room.out)
    [(conn, greeted)] = room.records()
    assert conn == 2
    assert isinstance(greeted, Greeted)
    assert greeted.hello.application == "Desk"
    room.edge.accept(NOW, 2, {Attribute.NodeName: "n1"}, 0, room.out)
    [send] = room.said()
    assert decode(send.chunks[0]).text(Attribute.NodeName) == "n1"
    assert room.deadline() is None


def test_a_hello_that_is_refused_is_answered_and_the_stream_closed() -> None:
    room = Room()
    room.client()
    room.edge.refuse(NOW, 2, 58, "not now", room.out)
    send, close = room.said()
    assert decode(send.chunks[0]).id == MessageType.EventError
    assert close == Close(Subsystem.T_CONTROLLER, 2, "not now")
    assert [type(record) for _, record in room.records()] == [Greeted, Gone]
    assert room.edge.streams == {}
    assert room.deadline() is None


def test_a_request_comes_out_as_a_value() -> None:
    room = Room()
    session = room.accepted()
    out: list[Any] = []
    session.request(NOW, Message(MessageType.RequestQueryServer), out)
    room.edge.received(NOW, 2, out[0].data, room.out)
    [(_, record)] = room.records()
    assert isinstance(record, Incoming)
    assert record.message.id == MessageType.RequestQueryServer


def test_bytes_of_another_protocol_end_the_stream() -> None:
    room = Room()
    room.opened(2, "tlib")
    room.edge.received(NOW, 2, b"GET / HTTP/1.1\r\n\r\n", room.out)
    assert isinstance(room.said()[-1], Close)
    assert room.records() == [(2, Gone("tlib"))]
    room.edge.received(NOW, 2, b"more", room.out)
    room.edge.timeout(NOW, 2, room.out)
    room.edge.close(NOW, 2, "again", room.out)
    room.edge.send(NOW, 2, Message(MessageType.EventServerInfo), room.out)
    assert room.said() == []


def test_a_stream_without_a_hello_in_time_is_closed() -> None:
    room = Room()
    room.opened(2, "iproxy")
    due = room.deadline()
    assert due is not None
    room.edge.timeout(due, 2, room.out)
    assert isinstance(room.said()[-1], Close)
    assert room.records() == [(2, Gone("iproxy"))]


def test_keep_alive_is_armed_and_goes_on() -> None:
    room = Room()
    room.accepted(keepalive_us=SECOND_US)
    due = room.deadline()
    assert due == NOW + SECOND_US
    room.edge.timeout(due, 2, room.out)
    [ping] = room.said()
    assert decode(ping.chunks[0]).id == MessageType.Ping
    assert room.deadline() == due + SECOND_US


def test_one_frame_to_many_streams_of_a_port_leaves_as_one_output() -> None:
    room = Room()
    room.accepted(2, "tcontroller")
    room.accepted(4, "tcontroller")
    room.opened(6, "tcontroller")
    frame = encode(Message(MessageType.EventServerInfo))
    room.edge.send_frame(NOW, (2, 6, 4, 8), frame, room.out)
    assert room.said() == [Send(Subsystem.T_CONTROLLER, (2, 4), (frame,))]
    room.edge.send_frame(NOW, (6, 8), frame, room.out)
    assert room.said() == []


def test_a_frame_that_no_session_may_send_is_refused_before_anything_leaves() -> None:
    room = Room()
    room.accepted(2)
    with pytest.raises(LocalError, match="frame of 1048577 octets"):
        room.edge.send_frame(NOW, (2,), bytes(1_048_577), room.out)
    large = Message(MessageType.EventError, 0, {Attribute.ErrorMessage: "x" * 1_048_576})
    with pytest.raises(LocalError, match="frame of 1048596 octets"):
        room.edge.send(NOW, 2, large, room.out)
    assert room.said() == []


def test_a_masked_event_leaves_for_those_who_want_it_alone() -> None:
    room = Room()
    room.accepted(2)
    room.accepted(4)
    room.edge.set_input_mask(NOW, 2, pack((MessageType.EventRinging,)))
    for number, ref, conns in (
        (MessageType.EventRinging, 0, (2, 4)),
        (MessageType.EventReleased, 0, (4,)),
        (MessageType.EventReleased, 7, (2, 4)),
    ):
        frame = encode(Message(number, ref))
        room.edge.send_frame(NOW, (2, 4), frame, room.out)
        assert room.said() == [Send(Subsystem.T_CONTROLLER, conns, (frame,))]


def test_a_client_that_reads_too_slowly_is_closed_with_the_reason() -> None:
    room = Room()
    room.accepted(2)
    room.edge.queued(NOW, 2, 100_000, room.out)
    assert room.said() == []
    room.edge.queued(NOW, 2, 2**30, room.out)
    closed = room.said()[-1]
    assert isinstance(closed, Close)
    assert "octets wait" in closed.why
    assert room.records() == [(2, Gone("tcontroller"))]
    room.edge.queued(NOW, 2, 2**30, room.out)
    assert room.said() == []


def test_a_stream_that_this_side_closes_is_forgotten_at_once() -> None:
    room = Room()
    room.accepted()
    room.edge.close(NOW, 2, "enough", room.out)
    assert room.said() == [Close(Subsystem.T_CONTROLLER, 2, "enough")]
    assert room.edge.streams == {}


def test_a_stream_that_the_other_side_closed_is_forgotten_and_named() -> None:
    room = Room()
    room.accepted()
    assert room.edge.closed(2) == "tcontroller"
    assert room.edge.closed(2) is None


def test_beyond_the_limit_a_stream_is_closed_and_told_of() -> None:
    room = Room(connections=1)
    room.opened(2, "tlib")
    fault, close = room.opened(4, "smartproxy")
    assert (fault.kind, fault.conn) == ("too-many-connections", 4)
    assert isinstance(fault, Fault)
    assert (close.subsystem, close.conn) == (Subsystem.SMART_PROXY, 4)
    room.edge.closed(2)
    assert room.opened(6, "smartproxy") == []


# Streams that the node dials.


def test_a_dialled_stream_says_hello_when_it_opens() -> None:
    room = Room()
    conn = room.edge.dial(HELLO, THERE, "tcontroller-link", room.out)
    assert room.said() == [Dial(Subsystem.T_CONTROLLER, conn, THERE.tcontroller)]
    assert conn % 2 == 1
    [send] = room.opened(conn, "dial")
    assert send.subsystem == Subsystem.T_CONTROLLER
    server = ServerSession(NOW)
    out: list[Any] = []
    server.receive_data(NOW, send.chunks[0], out)
    assert isinstance(out[0], Greeted)
    server.accept(NOW, {}, out)
    room.edge.received(NOW, conn, b"".join(record.data for record in out if isinstance(record, Write)), room.out)
    assert [type(record) for _, record in room.records()] == [Linked]
    assert room.edge.closed(conn) == "tcontroller-link"


def test_a_dial_that_fails_names_its_dialler() -> None:
    room = Room()
    conn = room.edge.dial(HELLO, THERE, "smartproxy-link", room.out)
    assert room.edge.closed(conn) == "smartproxy-link"
    room.said()
    assert room.opened(conn, "dial") == [Close(Subsystem.TRANSPORT, conn, "nobody waits for this stream")]


def test_a_dial_may_be_given_up_before_it_opens() -> None:
    room = Room()
    conn = room.edge.dial(HELLO, THERE, "tcontroller-link", room.out)
    room.said()
    room.edge.close(NOW, conn, "changed my mind", room.out)
    assert room.said() == [Close(Subsystem.T_CONTROLLER, conn, "changed my mind")]
    assert room.edge.closed(conn) is None


def test_each_dial_has_a_number_of_its_own() -> None:
    room = Room()
    conns = [room.edge.dial(HELLO, THERE, "tcontroller-link", room.out) for _ in range(3)]
    assert conns == [1, 3, 5]


# SIP.


def test_a_datagram_comes_out_as_values_and_answers_leave_as_datagrams() -> None:
    room = Room()
    room.edge.datagram(NOW, Datagram("sip", ("192.0.2.9", 5060), OPTIONS % (b"UDP", b"1")), room.out)
    [asked] = room.edge.flush_sip(room.out)
    assert isinstance(asked, Requested)
    assert room.said() == []
    room.edge.sip.respond(NOW, asked.handle, 200, room.edge.sip_out)
    assert room.edge.flush_sip(room.out) == []
    [sent] = room.said()
    assert isinstance(sent, SendDatagram)
    assert sent.destination == ("192.0.2.9", 5060)
    assert sent.data.startswith(b"SIP/2.0 200")


def test_values_keep_their_order_among_what_is_transmitted() -> None:
    room = Room()
    answer = Transmit("sip", ("192.0.2.9", 5060), b"x")
    ended = Requested(1, None, 0, "sip", ("192.0.2.9", 5060))  # type: ignore[arg-type]
    room.edge.sip_out += [ended, answer, ended]
    assert room.edge.flush_sip(room.out) == [ended, ended]
    assert len(room.said()) == 1
    assert room.edge.sip_out == []


def test_an_accepted_sip_stream_carries_requests_and_answers() -> None:
    room = Room()
    assert room.opened(2, "sip-tcp") == []
    room.edge.received(NOW, 2, OPTIONS % (b"TCP", b"2"), room.out)
    [asked] = [record for record in room.edge.flush_sip(room.out) if isinstance(record, Requested)]
    room.edge.sip.respond(NOW, asked.handle, 200, room.edge.sip_out)
    room.edge.flush_sip(room.out)
    [send] = room.said()
    assert (send.subsystem, send.conns) == (Subsystem.CALL_MANAGER, (2,))
    assert room.edge.sip_closed(NOW, 2)
    assert not room.edge.sip_closed(NOW, 2)


def test_what_goes_to_a_sip_stream_that_is_gone_is_dropped() -> None:
    room = Room()
    room.edge.sip_out += [TransmitStream(2, b"x"), Disconnect(2, "enough")]
    assert room.edge.flush_sip(room.out) == []
    assert room.said() == []


@pytest.mark.parametrize(
    ("to", "text"), [(("192.0.2.9", 5060), "192.0.2.9:5060"), (("2001:db8::9", 5061), "[2001:db8::9]:5061")]
)
def test_a_sip_stream_is_dialled_when_the_endpoint_asks_for_it(to: tuple[str, int], text: str) -> None:
    room = Room()
    room.edge.sip.request(
        NOW,
        room.edge.sip_out,
        method="OPTIONS",
        listener="sip-tcp",
        destination=to,
        uri="sip:b@192.0.2.9",
        from_="<sip:a@x>",
        to="<sip:b@x>",
    )
    room.edge.flush_sip(room.out)
    [dial] = room.said()
    assert (dial.conn, dial.address, dial.tls) == (1, text, False)
    assert room.opened(1, "dial", text) == []
    room.edge.flush_sip(room.out)
    [send] = room.said()
    assert send.conns == (1,)
    assert send.chunks[0].startswith(b"OPTIONS ")
    head, _, _ = send.chunks[0].partition(b"Content-Length")
    kept = [line for line in head.split(b"\r\n")[1:-1] if line.split(b":")[0] in (b"Via", b"From", b"Call-ID", b"CSeq")]
    answer = [b"SIP/2.0 200 OK", *kept, b"To: <sip:b@x>;tag=2", b"Content-Length: 0", b"", b""]
    room.edge.received(NOW, 1, b"\r\n".join(answer), room.out)
    assert [type(record) for record in room.edge.flush_sip(room.out)] == [Responded]
    room.edge.sip_out += [Disconnect(-1, "idle"), TransmitStream(-1, b"y")]
    room.edge.flush_sip(room.out)
    assert room.said() == [Close(Subsystem.CALL_MANAGER, 1, "idle")]


def test_too_many_sip_streams_are_closed() -> None:
    room = Room(connections=1)
    room.opened(2, "sip-tcp")
    assert room.opened(4, "sip-tcp") == [Close(Subsystem.TRANSPORT, 4, "too many connections")]


def test_a_listener_for_tls_is_there_when_it_is_configured() -> None:
    made = settings()
    [node] = made.nodes
    member = msgspec.structs.replace(node.members[0], sip_tls="192.0.2.1:5061")
    made = msgspec.structs.replace(made, nodes=(msgspec.structs.replace(node, members=(member,)),))
    edge = Edge(Core(made, "n1", "a", b"ids"), b"sip")
    out: list[Any] = []
    edge.opened(NOW, Opened(2, "sip-tls", "192.0.2.9:4000"), out)
    edge.received(NOW, 2, OPTIONS % (b"TLS", b"3"), out)
    assert any(isinstance(record, Requested) for record in edge.flush_sip(out))
