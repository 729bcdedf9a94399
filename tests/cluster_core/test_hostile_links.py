"""What a peer that is broken or of another version may say on a link without harm."""

from __future__ import annotations

import pytest

from cluster_core.inputs import Operator
from cluster_core.packing import pack
from cluster_core.picture import Picture
from cluster_core.records import Binding
from cluster_core.settings import ClientRole, MemberSettings, NodeSettings
from cluster_core.t_controller.link_records import (
    AnyLinkMessage,
    Bind,
    Bound,
    Event,
    Forward,
    ForwardAck,
    Interest,
    Locate,
    Located,
    Outcome,
    Parties,
    PartiesAre,
    Reply,
    Request,
    Serve,
    Snapshot,
)
from tests.cluster_core.alone import Alone, settings
from tests.sim.cluster import Cluster
from tlib_proto import Attribute, ErrorCode, Hello, Message, MessageType, encode
from tlib_proto import Write as TlibWrite

PHONE = ("198.51.100.1", 5060)


def with_peer() -> tuple[Alone, object]:
    """A node and a stream on which its peer n2 has greeted it."""
    ports = ("sip", "tlib", "iproxy", "tcontroller", "smartproxy")
    member = MemberSettings(name="a", **{port: f"192.0.2.2:{5060 + n}" for n, port in enumerate(ports)})
    nodes = (*settings().nodes, NodeSettings(name="n2", number=2, members=(member,)))
    alone = Alone(nodes=nodes)
    alone.phone("1001", PHONE)
    hello = Hello(application="T", role="peer", secret="one cluster", session_id="7", node="n2")
    return alone, alone.program("T", ClientRole.PEER, "tcontroller", hello=hello)


def tell(peer, body: bytes) -> None:
    """A message on the link."""
    peer.perform([TlibWrite(encode(Message(MessageType.PeerMessage, 0, {Attribute.PeerBody: body})))])


BINDING = Binding("sip:x@y", "sip", "203.0.113.1", 5060)
FRAMES = (b"", b"x", b"\x00" * 40, encode(Message(MessageType.EventRinging, 0, {Attribute.ThisDN: "nobody"})))
MESSAGES: tuple[AnyLinkMessage, ...] = (
    Interest(add=("nobody", "1001", "\udcff"), remove=("nobody",)),
    Interest(everything=True),
    Snapshot(None, last=True),
    Snapshot(Picture("nobody", "n2", True, epoch=9)),
    Snapshot(Picture("1001", "n1", True, epoch=9)),
    ForwardAck(99),
    ForwardAck(-1, True),
    Forward(1, "1001"),
    Forward(2, "nobody"),
    Request(1, Locate("nobody")),
    Request(2, Bind("nobody", BINDING, 1)),
    Request(2, Bind("1001", BINDING, -(1 << 60))),
    Request(3, Parties("nobody")),
    Reply(99, Located(None)),
    Reply(99, Bound(True)),
    Reply(99, PartiesAre(())),
    *(Event("1001", "n2", 1, 1, 1, "n2", frame) for frame in FRAMES),
    *(Event("1001", "n1", 1, 1, 1, "n2", frame) for frame in FRAMES),
    *(Forward(3 + n, "1001", frame, ("n2", 5)) for n, frame in enumerate(FRAMES)),
    *(Request(4, Serve(frame)) for frame in FRAMES),
    *(Reply(99, Outcome(0, "", frame)) for frame in FRAMES),
)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_a_message_that_makes_no_sense_does_no_harm(message):
    alone, peer = with_peer()
    tell(peer, pack(message))
    alone.run(2_000_000)
    assert alone.node.store.get("dns", "1001") is not None


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x91" * 3_000 + b"\xc0", b"\x92\xa5Event\x01", pack(["Nothing", 1])])
def test_a_link_that_cannot_be_read_is_closed(body):
    alone, peer = with_peer()
    tell(peer, body)
    assert peer.closed
    assert "link-message" in [fault.kind for fault in alone.faults]


@pytest.mark.parametrize("frame", FRAMES[1:3])
@pytest.mark.parametrize("wrap", [
    lambda frame: Event("1001", "n2", 1, 1, 1, "n2", frame),
    lambda frame: Forward(1, "1001", frame),
    lambda frame: Request(1, Serve(frame)),
    lambda frame: Reply(1, Outcome(0, "", frame)),
])
def test_a_link_whose_frames_are_none_is_closed(wrap, frame):
    alone, peer = with_peer()
    tell(peer, pack(wrap(frame)))
    assert peer.closed
    assert "link-message" in [fault.kind for fault in alone.faults]


@pytest.mark.parametrize("session", ["", "x", "²", "9" * 3_000, "-1"])
def test_an_incarnation_that_is_none_is_refused(session):
    alone, _ = with_peer()
    hello = Hello(application="T", role="peer", secret="one cluster", session_id=session, node="n2")
    assert alone.program("T", ClientRole.PEER, "tcontroller", hello=hello).closed


def test_a_link_with_a_wrong_secret_is_refused():
    alone, _ = with_peer()
    hello = Hello(application="T", role="peer", secret="another", session_id="8", node="n2")
    late = alone.program("T", ClientRole.PEER, "tcontroller", hello=hello)
    assert late.closed
    assert late.events[-1].number(Attribute.ErrorCode) == ErrorCode.SECURITY_VIOLATION


def test_a_request_on_a_call_of_a_node_out_of_reach_is_refused_at_once():
    alone, _ = with_peer()
    desk = alone.program("Desk", ClientRole.DESKTOP, "tcontroller", "1001")
    refused = desk.ask(MessageType.RequestAnswerCall, ThisDN="1001", ConnID=2 << 52 | 7)
    assert refused.number(Attribute.ErrorCode) == ErrorCode.NO_SWITCH


def test_a_request_that_its_node_took_along_is_refused_when_the_node_stays_away():
    cluster = Cluster(2, optimised=False)
    desk = cluster.desktop("n1", "1001")
    ref = desk.request(MessageType.RequestAnswerCall, ThisDN="1001", ConnID=2 << 52 | 7)
    cluster.world.cut("n1", "n2", silent=True)
    cluster.settle(6_000_000)
    assert desk.answers[ref].number(Attribute.ErrorCode) == ErrorCode.NO_SWITCH


def test_a_link_that_is_cut_while_it_is_dialled_is_not_opened():
    alone, _ = with_peer()
    dialled = [output.conn for output in alone.dialled if output.address == "192.0.2.2:5063"]
    alone.give(Operator("link", ("n2", "down")))
    assert dialled[-1] in alone.closed


def test_what_ids_were_given_out_is_durable():
    alone, _ = with_peer()
    assert alone.mirror.get("marks", "ids").value % 1_000 == 0
