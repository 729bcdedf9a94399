"""To which node an INVITE goes on, by which way, and what comes of it when nothing comes back; one node on its own."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cluster_core.inputs import Closed, Opened, Received
from cluster_core.limits import SECOND_US
from cluster_core.session_controller.forwarding import HEADER
from cluster_core.settings import DnSettings, DnType, MemberSettings, NodeSettings
from sip_proto import Endpoint, LocalError, Request, parse
from tests.cluster_core.alone import DNS, SDP, SIP, Alone, settings

PHONE = ("198.51.100.1", 5060)
OTHER = ("192.0.2.2", 5060)
THERE = "Replaces: call@x;to-tag=0a1b-n2;from-tag=b"
SECOND = 1_000_000


class Stream:
    """What was said on a SIP stream."""

    def __init__(self) -> None:
        self.said = b""
        self.closed = ""

    def heard(self, data: bytes) -> None:
        self.said += data


def two(*, tls: str = "", **changes: Any) -> Alone:
    """Node n1 of a cluster of two; n2 is only an address."""
    made = settings()
    ports = {
        port: f"{OTHER[0]}:{5060 + n}" for n, port in enumerate(("sip", "tlib", "iproxy", "tcontroller", "smartproxy"))
    }
    other = NodeSettings(name="n2", number=2, members=(MemberSettings(name="a", sip_tls=tls, **ports),))
    mine = msgspec.structs.replace(made.nodes[0].members[0], sip_tls=f"{SIP[0]}:5061")
    first = msgspec.structs.replace(made.nodes[0], members=(mine,))
    return Alone(**{"nodes": (first, other), **changes})


def invite(alone: Alone, *more: str, **changes: Any) -> list[str]:
    """1001 wants to take part in a call of n2."""
    return alone.request(
        "INVITE", "sip:1002@n1", PHONE, *more, from_="<sip:1001@n1>", to="<sip:1002@n1>", body=SDP, **changes
    )


def passed_on(alone: Alone) -> Request:
    request = parse(alone.last(OTHER, b"INVITE"))
    assert isinstance(request, Request)
    return request


def on_a_stream(alone: Alone, listener: Any, contact: str) -> Stream:
    """The same INVITE on a stream of the phone's."""
    stream = Stream()
    alone.programs[100] = stream  # type: ignore[assignment]
    alone.give(Opened(100, listener, f"{PHONE[0]}:{PHONE[1]}"))
    transport = "TLS" if listener == "sip-tls" else "TCP"
    head = "\r\n".join(
        (
            "INVITE sip:1002@n1 SIP/2.0",
            f"Via: SIP/2.0/{transport} {PHONE[0]}:{PHONE[1]};branch=z9hG4bKstream",
            "From: <sip:1001@n1>;tag=from",
            "To: <sip:1002@n1>",
            "Call-ID: call-by-stream",
            "CSeq: 1 INVITE",
            "Max-Forwards: 70",
            *((f"Contact: {contact}",) if contact else ()),
            THERE,
            "Content-Type: application/sdp",
            f"Content-Length: {len(SDP)}",
        )
    )
    alone.give(Received(100, head.encode() + b"\r\n\r\n" + SDP))
    return stream


def cancel(alone: Alone) -> list[str]:
    return alone.say(
        "\n".join(
            (
                "CANCEL sip:1002@n1 SIP/2.0",
                f"Via: SIP/2.0/UDP {PHONE[0]}:{PHONE[1]};branch={alone.branch}",
                "From: <sip:1001@n1>;tag=from",
                "To: <sip:1002@n1>",
                f"Call-ID: call-{alone.calls}",
                "CSeq: 1 CANCEL",
            )
        ),
        PHONE,
    )


class TestAnInviteWithReplaces:
    def test_goes_to_the_node_of_the_dialog_that_it_names(self) -> None:
        alone = two()
        assert invite(alone, THERE) == ["SIP/2.0 100 Trying"]
        request = passed_on(alone)
        assert request.uri == "sip:1002@n1"
        assert request.get("Replaces") == THERE.partition(": ")[2]
        assert (request.get("X-Cluster-Forwarded") or "").startswith("n1;1700000001;")
        cancel(alone)
        alone.answer(OTHER, b"INVITE", "487 Request Terminated")

    @pytest.mark.parametrize(
        "replaces",
        ["call@x;to-tag=0a1b-n1;from-tag=b", "call@x;to-tag=0a1b-n9;from-tag=b", "call@x;to-tag=a;from-tag=b"],
    )
    def test_of_a_dialog_of_no_other_node_is_answered_here(self, replaces: str) -> None:
        assert invite(two(), f"Replaces: {replaces}")[-1].startswith("SIP/2.0 481")

    @pytest.mark.parametrize(
        "replaces", ["nonsense", "a@b;to-tag=1-n2;from-tag=2\nReplaces: a@b;to-tag=1-n2;from-tag=2"]
    )
    def test_that_cannot_be_read_is_answered_here(self, replaces: str) -> None:
        assert invite(two(), f"Replaces: {replaces}")[-1].startswith("SIP/2.0 400")

    def test_without_a_secret_of_the_cluster_is_sent_back(self) -> None:
        assert invite(two(link_secret=""), THERE)[-1].startswith("SIP/2.0 302")

    def test_of_a_mark_without_a_secret_is_not_believed(self) -> None:
        dns = {dn.dn: dn for dn in (*DNS, DnSettings(dn="1009", type=DnType.EXTENSION, password="x"))}
        alone = two(link_secret="", dns=dns)
        said = alone.request(
            "INVITE", "sip:1002@n1", OTHER, "X-Cluster-Forwarded: n2;1700000001;", from_="<sip:1009@n1>"
        )
        assert said[-1].startswith("SIP/2.0 401")

    def test_of_a_dead_call_is_refused_in_the_other_nodes_words(self) -> None:
        alone = two()
        invite(alone, THERE)
        alone.answer(OTHER, b"INVITE", "486 Too Many Calls", "Retry-After: 7", 'Warning: 399 n2 "why"', "X-Else: 1")
        data = alone.last(PHONE, b"SIP/2.0 486 Too Many Calls")
        assert b"Retry-After: 7\r\n" in data
        assert b"Warning: 399 n2" in data
        assert b"X-Else" not in data
        assert len(alone.node.session_controller.forwarding) == 0

    def test_is_refused_when_the_other_node_is_silent(self) -> None:
        alone = two()
        invite(alone, THERE)
        alone.run(6 * SECOND)
        assert alone.last(PHONE, b"SIP/2.0 481 That Call Is Out Of Reach")
        assert len(alone.node.session_controller.legs) == 0

    def test_is_shown_the_way_when_the_other_node_does_not_believe_the_mark(self) -> None:
        alone = two()
        invite(alone, THERE)
        alone.answer(OTHER, b"INVITE", "401 Unauthorized", 'WWW-Authenticate: Digest realm="x", nonce="y"')
        assert b"Contact: <sip:1002@192.0.2.2:5060>" in alone.last(PHONE, b"SIP/2.0 302")

    def test_that_has_made_too_many_hops_is_not_passed_on(self) -> None:
        alone = two()
        alone.request("INVITE", "sip:1002@n1", PHONE, THERE, from_="<sip:1001@n1>", to="<sip:1002@n1>", body=SDP)
        assert passed_on(alone).get("Max-Forwards") == "69"
        alone.datagrams.clear()
        head = "\n".join(
            (
                "INVITE sip:1002@n1 SIP/2.0",
                f"Via: SIP/2.0/UDP {PHONE[0]}:{PHONE[1]};branch=z9hG4bKlast",
                "From: <sip:1001@n1>;tag=from",
                "To: <sip:1002@n1>",
                "Call-ID: call-last",
                "CSeq: 1 INVITE",
                "Max-Forwards: 0",
                f"Contact: <sip:me@{PHONE[0]}:{PHONE[1]}>",
                THERE,
            )
        )
        assert alone.say(head, PHONE, SDP)[-1].startswith("SIP/2.0 302")
        assert not [data for to, data in alone.datagrams if to == OTHER]

    def test_gives_up_with_its_caller(self) -> None:
        alone = two()
        invite(alone, THERE)
        alone.answer(OTHER, b"INVITE", "180 Ringing")
        assert alone.last(PHONE, b"SIP/2.0 180")
        assert cancel(alone) == ["SIP/2.0 200 OK"]
        assert alone.last(OTHER, b"CANCEL")
        alone.answer(OTHER, b"INVITE", "487 Request Terminated")
        assert alone.last(PHONE, b"SIP/2.0 487")
        counts = alone.node.counts()
        assert counts["asked"] == counts["legs"] == counts["sip_legs"] == 0

    def test_is_over_here_when_it_is_answered_there(self) -> None:
        alone = two()
        invite(alone, THERE)
        alone.answer(OTHER, b"INVITE", "200 OK", f"Contact: <sip:{OTHER[0]}:{OTHER[1]}>", body=SDP)
        data = alone.last(PHONE, b"SIP/2.0 200")
        assert f"Contact: <sip:{OTHER[0]}:{OTHER[1]}>".encode() in data
        assert data.endswith(SDP)
        counts = alone.node.counts()
        assert counts["asked"] == counts["legs"] == counts["sip_legs"] == 0
        alone.run(40 * SECOND)
        assert not alone.node.counts()["sip_servers"]


    def test_stays_when_there_is_no_room_to_pass_it_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*given: Any, **more: Any) -> bool:
            raise LocalError("no room for another")

        monkeypatch.setattr(Endpoint, "forward", full)
        assert invite(two(), THERE)[-1].startswith("SIP/2.0 302")


class TestStreams:
    def test_a_phone_that_listens_where_it_came_from_is_sent_on_by_tcp(self) -> None:
        alone = two()
        stream = on_a_stream(alone, "sip-tcp", f"<sip:1001@{PHONE[0]}:5070;transport=tcp>")
        [dial] = [dial for dial in alone.dialled if dial.address == f"{OTHER[0]}:{OTHER[1]}"]
        assert not dial.tls
        there = alone.programs[dial.conn] = Stream()  # type: ignore[assignment]
        alone.give(Opened(dial.conn, "dial", f"{OTHER[0]}:{OTHER[1]}"))
        assert isinstance(there, Stream)
        assert there.said.startswith(b"INVITE")
        assert stream.said.startswith(b"SIP/2.0 100")

    def test_a_stream_that_does_not_open(self) -> None:
        alone = two()
        stream = on_a_stream(alone, "sip-tcp", f"<sip:1001@{PHONE[0]}:5070;transport=tcp>")
        [dial] = [dial for dial in alone.dialled if dial.address == f"{OTHER[0]}:{OTHER[1]}"]
        alone.give(Closed(dial.conn, "refused"))
        assert b"SIP/2.0 481 That Call Is Out Of Reach" in stream.said

    @pytest.mark.parametrize(
        "contact",
        [
            f"<sip:1001@{PHONE[0]}:5070;transport=tcp;ob>",
            "<sip:1001@10.0.0.9:5070;transport=tcp>",
            "<sip:1001@phone.example;transport=tcp>",
        ],
    )
    def test_a_phone_that_is_reached_by_its_own_stream_alone_is_not_sent_on(self, contact: str) -> None:
        stream = on_a_stream(two(), "sip-tcp", contact)
        assert b"SIP/2.0 302" in stream.said

    def test_tls_goes_on_by_tls(self) -> None:
        alone = two(tls=f"{OTHER[0]}:5061")
        on_a_stream(alone, "sip-tls", f"<sip:1001@{PHONE[0]}:5071;transport=tls>")
        [dial] = [dial for dial in alone.dialled if dial.address == f"{OTHER[0]}:5061"]
        assert dial.tls

    def test_tls_does_not_go_on_in_the_clear(self) -> None:
        alone = two()
        stream = on_a_stream(alone, "sip-tls", f"<sip:1001@{PHONE[0]}:5071;transport=tls>")
        assert b"SIP/2.0 302" in stream.said
        assert not [dial for dial in alone.dialled if ":5061" in dial.address]

    def test_an_invite_without_contact_is_not_sent_on(self) -> None:
        stream = on_a_stream(two(), "sip-tcp", "")
        assert b"SIP/2.0 4" in stream.said or b"SIP/2.0 302" in stream.said


def test_a_call_whose_owner_nobody_knows_begins_here() -> None:
    alone = two()
    alone.phone("1002", ("198.51.100.2", 5060))
    assert invite(alone)[0] == "SIP/2.0 100 Trying"
    assert alone.last(("198.51.100.2", 5060), b"INVITE")
    assert not [data for to, data in alone.datagrams if to == OTHER]


def test_in_a_cluster_of_one_a_call_begins_here() -> None:
    alone = Alone()
    alone.phone("1002", ("198.51.100.2", 5060))
    invite(alone)
    assert alone.last(("198.51.100.2", 5060), b"INVITE")


def test_a_mark_from_before_this_node_began_is_not_believed() -> None:
    alone = two()
    forwarding = alone.node.session_controller.forwarding
    request = parse(b"INVITE sip:1002@n1 SIP/2.0\r\nFrom: <sip:1001@n1>\r\nCall-ID: heard\r\n\r\n")
    assert isinstance(request, Request)
    alone.run(5 * SECOND_US)
    for at, believed in ((1_700_000_000, False), (1_700_000_003, True), (1_700_000_003, False)):
        marked = Request(request.method, request.uri, [*request.names, HEADER], [*request.values, ""])
        marked.values[-1] = f"n2;{at};{forwarding._digest(marked, 'n2', 'n1', str(at))}"
        assert forwarding.is_marked(alone.now, marked) is believed
