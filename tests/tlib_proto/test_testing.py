"""What users get for tests of their own: a clock, a peer with a script, a wire between two machines."""

import textwrap

import pytest

from tlib_proto import (
    Attribute,
    ClientSession,
    Ended,
    ErrorCode,
    Hello,
    Incoming,
    Limits,
    Linked,
    LocalError,
    Message,
    MessageType,
    ServerSession,
    testing,
)
from tlib_proto.records import Write
from tlib_proto.testing import Numbers, ScriptedPeer, VirtualClock, Wire, named, refusing

M = MessageType
HELLO = Hello(application="desk", role="desktop")
SCRIPT = {M.RequestQueryServer: M.EventServerInfo}


def wired(peer, piece=0, keepalive_us=0, clock=None):
    clock = clock or VirtualClock()
    client = ClientSession(clock.now, HELLO, keepalive_us=keepalive_us)
    wire = Wire(clock, client, peer.session, piece=piece, at_right=peer.take)
    client.start(clock.now, wire.from_left)
    wire.carry()
    return clock, client, wire


def test_what_is_due_happens_in_order_and_at_its_time():
    clock = VirtualClock(10)
    seen = []
    for when in (30, 20, 20):
        clock.call_at(when, lambda when=when: seen.append((when, clock.now)))
    dropped = clock.call_at(25, lambda: seen.append("never"))
    clock.call_at(0, lambda: seen.append(("late", clock.now)))
    assert clock.next_deadline() == 0
    clock.cancel(dropped)
    clock.advance(15)
    assert seen == [("late", 10), (20, 20), (20, 20)]
    assert (clock.now, clock.next_deadline()) == (25, 30)
    clock.run_until(100)
    assert (seen[-1], clock.now, clock.next_deadline()) == ((30, 30), 100, None)
    with pytest.raises(LocalError):
        clock.advance(-1)


@pytest.mark.parametrize("piece", [0, 1, 7])
def test_a_scripted_server_accepts_and_answers_however_the_bytes_are_cut(piece):
    peer = ScriptedPeer.server(1, SCRIPT, link={Attribute.NodeName: "n1"})
    clock, client, wire = wired(peer, piece)
    linked = wire.left[0]
    assert isinstance(linked, Linked)
    assert linked.message.text(Attribute.NodeName) == "n1"
    ref = client.request(clock.now, Message(M.RequestQueryServer), wire.from_left)
    client.request(clock.now, Message(M.RequestHoldCall), wire.from_left)
    wire.carry()
    assert wire.left[1:] == [Incoming(Message(M.EventServerInfo, ref))]
    assert [message.name for message in peer.received] == ["RequestQueryServer", "RequestHoldCall"]
    assert peer.hello == HELLO
    assert wire.octets


def test_a_script_may_be_a_function_and_the_peer_may_speak_unasked():
    peer = ScriptedPeer.server(1, refusing(ErrorCode.TIMEOUT, "later"))
    clock, client, wire = wired(peer)
    ref = client.request(clock.now, Message(M.RequestQueryServer), wire.from_left)
    wire.carry()
    wire.from_right.append(Write(peer.say(clock.now, named(M.EventRinging, ThisDN="1001"))))
    wire.carry()
    refused, rang = wire.left[1].message, wire.left[2].message
    assert (refused.ref, refused.number(Attribute.ErrorCode), refused.text(Attribute.ErrorMessage)) == (
        ref,
        ErrorCode.TIMEOUT,
        "later",
    )
    assert rang.text(Attribute.ThisDN) == "1001"


def test_a_scripted_server_refuses_or_says_nothing():
    peer = ScriptedPeer.server(1, {}, refuse=(1158, "go away"))
    _, _, wire = wired(peer)
    assert wire.left[-1] == Ended("refused", "1158 go away")
    assert peer.ended == Ended("refused", "go away")
    _, _, wire = wired(ScriptedPeer.server(1, {}, silent=True))
    wire.run(Limits().hello_us)
    assert isinstance(wire.left[-1], Ended)


def test_octets_go_in_and_out_without_a_wire_too():
    clock = VirtualClock()
    peer = ScriptedPeer.client(clock.now, HELLO, {M.EventRinging: M.RequestAnswerCall}, keepalive_us=2_000_000)
    server = ScriptedPeer.server(clock.now, {})
    out = []
    peer.session.start(clock.now, out)
    assert peer.receive_data(clock.now, server.receive_data(clock.now, out[0].data)) == b""
    assert peer.linked is not None
    asked = peer.receive_data(clock.now, server.say(clock.now, named(M.EventRinging, ThisDN="1001")))
    server.receive_data(clock.now, asked)
    assert server.received == [named(M.RequestAnswerCall, ThisDN="1001")]
    clock.run_until(peer.next_deadline())
    assert server.receive_data(clock.now, peer.handle_timeout(clock.now))
    clock.run_until(peer.next_deadline())
    assert peer.handle_timeout(clock.now) == b""
    assert peer.ended == Ended("keep-alive", "The peer does not answer")


def test_a_stalled_peer_is_noticed_after_twice_the_keep_alive():
    clock, client, wire = wired(ScriptedPeer.server(1, SCRIPT), keepalive_us=5_000_000)
    wire.run(60_000_000)
    assert not [output for output in wire.left if isinstance(output, Ended)]
    since = clock.now
    wire.stall()
    ended = []
    clock.call_at(since + 15_000_000, lambda: ended.append(client.next_deadline()))
    wire.run(20_000_000)
    assert wire.left[-1] == Ended("keep-alive", "The peer does not answer")
    assert ended == [None]
    assert clock.now == since + 20_000_000


def test_nothing_arrives_over_a_cut_wire():
    clock, client, wire = wired(ScriptedPeer.server(1, SCRIPT))
    wire.cut()
    client.request(clock.now, Message(M.RequestQueryServer), wire.from_left)
    wire.carry()
    assert wire.is_cut
    assert len(wire.left) == 1


def test_two_machines_that_are_no_scripts_can_be_joined_and_their_outputs_kept():
    clock = VirtualClock()
    client, server = ClientSession(clock.now, HELLO), ServerSession(clock.now)
    wire = Wire(clock, client, server)
    client.start(clock.now, wire.from_left)
    wire.carry()
    server.accept(clock.now, {}, wire.from_right)
    wire.carry()
    assert [type(output).__name__ for output in (*wire.left, *wire.right)] == ["Linked", "Greeted"]


def test_events_are_numbered_as_a_server_does():
    numbers = Numbers(source="n2", epoch=3)
    first = numbers.stamp(named(M.EventRinging, ThisDN="1001"))
    second = numbers.stamp(named(M.EventRegistered, 4, ThisDN="1001"), happens=False)
    third = numbers.stamp(Message(M.EventACK))
    at = [(m.number(Attribute.EventSequenceNumber), m.get(Attribute.DNSequence)) for m in (first, second, third)]
    assert at == [(1, 1), (2, 1), (3, None)]
    assert (second.ref, second.text(Attribute.Source), second.number(Attribute.DNEpoch)) == (4, "n2", 3)


def test_an_attribute_that_is_none_is_named():
    with pytest.raises(LocalError, match="EventRinging: no attribute Colour"):
        named(M.EventRinging, Colour="red")


def test_the_example_of_the_documentation_runs():
    text = testing.__doc__
    assert text is not None
    example = textwrap.dedent(text[text.index("    clock =") : text.index("All of it")])
    exec(example, {**vars(testing), "MessageType": M})
