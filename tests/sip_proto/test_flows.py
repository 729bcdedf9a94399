"""Streams of an Endpoint: opened, used again, closed, too many, too slow, broken."""

import pytest

from sip_proto import (
    Acked,
    Answered,
    Connect,
    Dialog,
    DialogChanged,
    Disconnect,
    Ended,
    Endpoint,
    EndpointSettings,
    Failed,
    Invited,
    LocalError,
    Rejected,
    Requested,
    Responded,
    Response,
    Transmit,
    TransmitStream,
    Unanswerable,
    parse,
)
from tests.sip_proto.streams import A, B, Streams, endpoint
from tests.sip_proto.texts import request_bytes


def answered(pair: Streams, leg: int) -> int:
    """b answers, a acknowledges; b's leg."""
    (invited,) = [record for record in pair.take("b") if isinstance(record, Invited)]
    pair.do("b", lambda now, out: pair.ends["b"].accept(now, invited.leg, out, body=b"v=0\r\n"))
    assert isinstance(pair.take("a")[-1], Answered)
    pair.do("a", lambda now, out: pair.ends["a"].ack(now, leg, out))
    return invited.leg


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_call_goes_by_one_stream_from_first_to_last_message(transport: str) -> None:
    pair = Streams()
    leg = pair.invite(transport, listener=transport)
    there = answered(pair, leg)
    assert isinstance(pair.take("b")[-1], Acked)
    pair.do("b", lambda now, out: pair.ends["b"].bye(now, there, out))
    assert isinstance(pair.take("a")[0], Ended)
    assert len(pair.connects) == 1
    assert b"Via: SIP/2.0/%s " % transport.upper().encode() in pair.sent[0][1]
    assert b";transport=%s>" % transport.encode() in pair.sent[0][1]
    pair.wait(40_000_000)
    pair.cut()
    assert pair.ends["a"].idle()
    assert pair.ends["b"].idle()


def test_nothing_is_sent_twice_by_a_stream_but_the_2xx_that_nobody_acknowledges() -> None:
    pair = Streams()
    pair.invite()
    (invited,) = pair.take("b")
    assert isinstance(invited, Invited)
    assert (invited.transport, invited.flow > 0) == ("tcp", True)
    pair.wait(10_000_000)
    assert len(pair.sent) == 2
    pair.do("b", lambda now, out: pair.ends["b"].accept(now, invited.leg, out))
    pair.wait(2_000_000)
    assert len(pair.sent) == 5


def test_a_finished_transaction_by_stream_leaves_at_once() -> None:
    pair = Streams()
    a, b = pair.ends["a"], pair.ends["b"]
    pair.invite()
    (invited,) = pair.take("b")
    assert isinstance(invited, Invited)
    pair.do("b", lambda now, out: b.reject(now, invited.leg, 486, out))
    assert isinstance(pair.take("a")[0], Failed)
    for end in (a, b):
        assert end.counts() == {**dict.fromkeys(end.counts(), 0), "flows": 1}


def ask(end: Endpoint, out: list[object], now: int = 0, **more: object) -> int:
    """An OPTIONS to B."""
    given = {"listener": "tcp", "destination": B, **more}
    fixed = {"method": "OPTIONS", "uri": "sip:b@192.0.2.2", "from_": "sip:a@h", "to": "sip:b@h"}
    return end.request(now, out, **fixed, **given)  # type: ignore[arg-type]


def request(pair: Streams, **more: object) -> int:
    handle = pair.do("a", lambda now, out: ask(pair.ends["a"], out, now, **more))  # type: ignore[arg-type]
    assert isinstance(handle, int)
    return handle


def test_a_stream_is_used_again_and_a_given_flow_is_taken_before_the_destination() -> None:
    pair = Streams()
    for more in ({}, {"transport": "tcp", "listener": "udp"}, {"flow": -1, "destination": ("192.0.2.9", 9)}):
        handle = request(pair, **more)
        (asked,) = pair.take("b")
        assert isinstance(asked, Requested)
        pair.do("b", lambda now, out, to=asked: pair.ends["b"].respond(now, to.handle, 200, out))  # type: ignore[misc]
        (done,) = pair.take("a")
        assert isinstance(done, Responded)
        assert done.handle == handle
    assert len(pair.connects) == 1


def test_what_waits_for_a_stream_that_does_not_open_fails_at_once() -> None:
    pair = Streams()
    pair.refuse = True
    leg = pair.invite()
    assert pair.take("a") == [Failed(leg, 503, None)]
    handle = request(pair)
    assert pair.take("a") == [Responded(handle, None, "transport")]
    assert pair.ends["a"].idle()


def test_a_stream_that_opens_too_late_is_given_up() -> None:
    end = endpoint("a")
    out: list[object] = []
    ask(end, out)
    assert out == [Connect(-1, "tcp", "tcp", B)]
    assert end.next_deadline() == 10_000_000
    out.clear()
    end.handle_timeout(10_000_000, out)  # type: ignore[arg-type]
    assert out[0] == Disconnect(-1, "slow")
    assert isinstance(out[1], Responded)
    out.clear()
    end.stream_opened(10_000_001, -1, "tcp", B, out)  # type: ignore[arg-type]
    assert out == [Disconnect(-1, "late")]
    assert end.idle()


def test_an_answer_connects_to_the_sent_by_when_its_stream_is_gone() -> None:
    pair = Streams()
    handle = request(pair)
    (asked,) = pair.take("b")
    assert isinstance(asked, Requested)
    pair.cut()
    pair.do("b", lambda now, out: pair.ends["b"].respond(now, asked.handle, 200, out))
    name, connect = pair.connects[-1]
    assert (name, connect.destination) == ("b", A)
    (done,) = pair.take("a")
    assert isinstance(done, Responded)
    assert (done.handle, done.response is not None) == (handle, True)


def test_a_dialog_goes_on_over_a_new_stream() -> None:
    pair = Streams()
    leg = pair.invite()
    there = answered(pair, leg)
    pair.cut()
    pair.do("b", lambda now, out: pair.ends["b"].send(now, there, "INFO", out))
    assert isinstance(pair.take("a")[-1], Requested)
    pair.cut()
    pair.do("a", lambda now, out: pair.ends["a"].bye(now, leg, out))
    assert [type(record) for record in pair.take("b")][-2] is Ended
    assert len(pair.connects) == 3


def test_a_ping_is_answered_once_a_read() -> None:
    end = endpoint("b")
    out: list[object] = []
    end.stream_opened(0, 7, "tcp", A, out)  # type: ignore[arg-type]
    end.receive_stream(0, 7, b"\r\n\r\n" * 1000, out)  # type: ignore[arg-type]
    assert out == [TransmitStream(7, b"\r\n")]
    end.receive_stream(0, 8, b"\r\n\r\n", out)  # type: ignore[arg-type]
    assert len(out) == 1
    assert not end.idle()


def test_a_message_in_pieces_must_be_whole_in_time() -> None:
    end = endpoint("b")
    out: list[object] = []
    end.stream_opened(0, 7, "tcp", A, out)  # type: ignore[arg-type]
    data = request_bytes("OPTIONS", via="SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKs")
    end.receive_stream(0, 7, data[:50], out)  # type: ignore[arg-type]
    end.receive_stream(1_000_000, 7, data[50:] + data[:9], out)  # type: ignore[arg-type]
    assert isinstance(out[0], Requested)
    assert end.next_deadline() == 6_000_000
    end.receive_stream(2_000_000, 7, data[9:20], out)  # type: ignore[arg-type]
    assert end.next_deadline() == 6_000_000
    end.handle_timeout(6_000_000, out)  # type: ignore[arg-type]
    assert out[1] == Disconnect(7, "slow")
    end.stream_closed(6_000_001, 7, out)  # type: ignore[arg-type]
    assert len(out) == 2


@pytest.mark.parametrize(
    ("data", "kinds"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", [Unanswerable, Disconnect]),
        (request_bytes("OPTIONS").replace(b"th: 0", b"th: x"), [TransmitStream, Rejected, Disconnect]),
        (b"SIP/2.0 200 OK\r\nContent-Length: x\r\n\r\n", [Unanswerable, Disconnect]),
        (b"HELLO\r\nContent-Length: x\r\n\r\n", [Unanswerable, Disconnect]),
    ],
)
def test_broken_framing_closes_the_stream_with_an_answer_where_one_can_be(data: bytes, kinds: list[type]) -> None:
    end = endpoint("b")
    out: list[object] = []
    end.stream_opened(0, 7, "tcp", A, out)  # type: ignore[arg-type]
    end.receive_stream(0, 7, data + data, out)  # type: ignore[arg-type]
    assert [type(record) for record in out] == kinds
    if kinds[0] is TransmitStream:
        assert isinstance(out[0], TransmitStream)
        answer = parse(out[0].data)
        assert isinstance(answer, Response)
        assert answer.status == 400
    assert end.idle()


def test_streams_beyond_the_limit_are_closed_and_requests_that_want_one_are_refused() -> None:
    end = endpoint("b", flows=1)
    out: list[object] = []
    end.stream_opened(0, 7, "tcp", A, out)  # type: ignore[arg-type]
    end.stream_opened(0, 8, "tcp", ("192.0.2.1", 7), out)  # type: ignore[arg-type]
    assert out == [Disconnect(8, "full")]
    with pytest.raises(LocalError):
        ask(end, [], destination=("192.0.2.7", 1))


def test_what_the_host_cannot_mean_is_a_local_error() -> None:
    end = endpoint("b")
    end.stream_opened(0, 7, "tcp", A, [])
    for flow, listener in ((7, "tcp"), (8, "udp"), (8, "none"), (0, "tcp")):
        with pytest.raises(LocalError):
            end.stream_opened(0, flow, listener, A, [])
    with pytest.raises(LocalError):
        end.receive_datagram(0, "tcp", A, b"", [])
    for more in ({"transport": "sctp"}, {"transport": "tls"}, {"listener": "none"}):
        with pytest.raises(LocalError):
            ask(end, [], **more)
    with pytest.raises(LocalError):
        Endpoint(EndpointSettings({"udp": A}, transports={"tcp": "tcp"}), b"")


def test_a_secure_call_shows_a_secure_contact() -> None:
    pair = Streams()
    out: list[object] = []
    pair.ends["a"].invite(
        0,
        out,
        listener="udp",
        destination=B,
        uri="sips:b@h",
        from_="<sip:a@h>",
        to="<sip:b@h>",  # type: ignore[arg-type]
    )
    assert isinstance(out[0], Transmit)
    assert b"Contact: <sips:192.0.2.1:5060>\r\n" in out[0].data


def sent(out: list[object]) -> list[tuple[int, bytes]]:
    return [(record.flow, record.data) for record in out if isinstance(record, TransmitStream)]


def called(contact: str, *, listener: str = "tcp", via: str = "TCP") -> tuple[Endpoint, int]:
    """An endpoint at B with a call that came by flow 7 and showed `contact`; its leg."""
    end = endpoint("b")
    out: list[object] = []
    end.stream_opened(0, 7, listener, ("192.0.2.1", 40_000), out)  # type: ignore[arg-type]
    data = request_bytes(via=f"SIP/2.0/{via} 192.0.2.1;branch=z9hG4bKc", contact=f"Contact: <{contact}>\r\n")
    end.receive_stream(0, 7, data, out)  # type: ignore[arg-type]
    (invited,) = [record for record in out if isinstance(record, Invited)]
    return end, invited.leg


@pytest.mark.parametrize(
    ("contact", "first"),
    [
        ("sip:a@192.0.2.1:5070;transport=tcp", TransmitStream),
        ("sip:a@192.0.2.1:5070", TransmitStream),
        ("sip:a@phone.example.org", TransmitStream),
        ("sip:a@10.0.0.1;ob", TransmitStream),
        ("sip:a@10.0.0.1", Connect(-1, "tcp", "tcp", ("10.0.0.1", 5060))),
        ("sip:a@192.0.2.1;transport=tls", Connect(-1, "tls", "tls", ("192.0.2.1", 5061))),
        ("sips:a@192.0.2.1:5071", Connect(-1, "tls", "tls", ("192.0.2.1", 5071))),
        ("sip:a@192.0.2.1:5070;transport=udp", Transmit),
    ],
)
def test_a_request_in_a_dialog_takes_the_peers_stream_when_it_leads_to_the_peer(contact: str, first: object) -> None:
    end, leg = called(contact)
    out: list[object] = []
    end.send(0, leg, "INFO", out)  # type: ignore[arg-type]
    if isinstance(first, type):
        assert isinstance(out[0], first)
    else:
        assert out == [first]


def test_a_restored_dialog_whose_target_is_no_uri_keeps_to_its_place() -> None:
    end = endpoint("b")
    place = ("192.0.2.1", 40_000)
    local, remote, ours = "<sip:bob@example.org>", "<sip:alice@example.org>", "<sip:192.0.2.2;transport=tcp>"
    kept = Dialog(7, "c", "b", "a", local, remote, "sip:%zz", (), 1, 1, "tcp", place, True, ours, False, "tcp")
    end.restore(0, kept)
    out: list[object] = []
    end.send(0, 7, "INFO", out)  # type: ignore[arg-type]
    assert out[0] == Connect(-1, "tcp", "tcp", place)


def test_a_stream_of_its_own_to_the_peers_address_is_taken_before_the_one_it_came_by() -> None:
    end, leg = called("sip:a@192.0.2.1:5070")
    end.stream_opened(0, 8, "tcp", ("192.0.2.1", 5070), [])
    out: list[object] = []
    end.send(0, leg, "INFO", out)  # type: ignore[arg-type]
    assert [flow for flow, _ in sent(out)] == [8]


def test_two_streams_from_one_place_close_one_by_one() -> None:
    end = endpoint("b")
    end.stream_opened(0, 7, "tcp", A, [])
    end.stream_opened(0, 8, "tcp", A, [])
    end.stream_closed(0, 7, [])
    end.check()
    out: list[object] = []
    ask(end, out, destination=A)
    assert [flow for flow, _ in sent(out)] == [8]


def test_an_answer_without_room_for_a_stream_is_lost() -> None:
    end = endpoint("b", flows=1)
    out: list[object] = []
    end.stream_opened(0, 7, "tcp", A, out)  # type: ignore[arg-type]
    data = request_bytes("OPTIONS", via="SIP/2.0/TCP 192.0.2.1:5999;branch=z9hG4bKs")
    end.receive_stream(0, 7, data, out)  # type: ignore[arg-type]
    (asked,) = out
    assert isinstance(asked, Requested)
    end.stream_closed(0, 7, [])
    end.stream_opened(0, 8, "tcp", B, [])
    out.clear()
    end.respond(0, asked.handle, 200, out)  # type: ignore[arg-type]
    assert out == []
    assert end.counts()["servers"] == 0


def test_what_waits_for_a_stream_is_bounded() -> None:
    end = endpoint("a", waiting=1_000)
    out: list[object] = []
    for _ in range(9):
        ask(end, out)
    end.stream_opened(0, -1, "tcp", B, out)  # type: ignore[arg-type]
    data = b"".join(data for _, data in sent(out))
    assert 500 < len(data) <= 1_000
    with pytest.raises(LocalError):
        end.stream_opened(0, -1, "tcp", B, [])


def test_a_contact_of_the_callers_own_is_kept() -> None:
    end = endpoint("a")
    out: list[object] = []
    ask(end, out, listener="udp", headers=[("Contact", "<sip:me@192.0.2.77>")])
    assert isinstance(out[0], Transmit)
    assert out[0].data.count(b"Contact: ") == 1


def test_a_full_table_still_refuses_a_request_out_of_order() -> None:
    end = endpoint("b", transactions=1)
    out: list[object] = []
    end.receive_datagram(0, "udp", A, request_bytes(cseq="5 INVITE"), out)  # type: ignore[arg-type]
    assert isinstance(out[-1], Invited)
    end.accept(0, out[-1].leg, out)  # type: ignore[arg-type]
    assert isinstance(out[-1], DialogChanged)
    tag = out[-1].dialog.local_tag
    out.clear()
    old = request_bytes("INFO", cseq="4 INFO", to=f"<sip:bob@example.org>;tag={tag}", branch="z9hG4bKi")
    end.receive_datagram(0, "udp", A, old, out)  # type: ignore[arg-type]
    assert isinstance(out[0], Transmit)
    assert out[0].data.startswith(b"SIP/2.0 500 CSeq")
    assert end.counts()["servers"] == 1


def test_a_copy_by_a_stream_of_what_came_as_a_datagram_is_the_same_request_and_answered_by_datagram() -> None:
    end = endpoint("b")
    out: list[object] = []
    end.receive_datagram(0, "udp", A, request_bytes("OPTIONS"), out)  # type: ignore[arg-type]
    (asked,) = out
    assert isinstance(asked, Requested)
    end.respond(0, asked.handle, 200, out)  # type: ignore[arg-type]
    end.stream_opened(0, 7, "tcp", ("192.0.2.1", 40_000), out)  # type: ignore[arg-type]
    out.clear()
    copy = request_bytes("OPTIONS", via="SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK1;rport")
    end.receive_stream(1, 7, copy, out)  # type: ignore[arg-type]
    (again,) = out
    assert isinstance(again, Transmit)
    assert again.destination == A
    assert b"Via: SIP/2.0/UDP" in again.data


def test_a_copy_by_datagram_of_what_came_by_a_stream_is_answered_by_the_stream() -> None:
    end, leg = called("sip:alice@192.0.2.1")
    out: list[object] = []
    end.provisional(0, leg, 180, out)  # type: ignore[arg-type]
    stranger = ("203.0.113.9", 5060)
    out.clear()
    copy = request_bytes(via="SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKc")
    end.receive_datagram(1, "udp", stranger, copy, out)  # type: ignore[arg-type]
    ((flow, data),) = sent(out)
    assert flow == 7
    assert data.startswith(b"SIP/2.0 180")
    end.stream_closed(2, 7, [])
    out.clear()
    end.receive_datagram(3, "udp", stranger, copy, out)  # type: ignore[arg-type]
    assert out == [Connect(-1, "tcp", "tcp", A)]


def test_a_tls_stream_is_used_again_for_the_same_host_name_alone() -> None:
    pair = Streams()
    for name in ("gw.example", "gw.example", "other.example", "", "other.example"):
        pair.invite("tls", "tls", name=name)
    assert [connect.name for _, connect in pair.connects] == ["gw.example", "other.example", ""]
    pair.invite("tcp", "tcp", name="gw.example")
    assert pair.connects[-1][1].name == ""


def test_a_call_goes_on_over_a_new_stream_to_the_same_host_name() -> None:
    pair = Streams()
    leg = pair.invite("tls", "tls", name="gw.example")
    answered(pair, leg)
    pair.do("a", lambda now, out: pair.ends["a"].send(now, leg, "INFO", out))
    assert len(pair.connects) == 1
    pair.cut()
    pair.do("a", lambda now, out: pair.ends["a"].bye(now, leg, out))
    assert [(name, connect.name) for name, connect in pair.connects] == [("a", "gw.example"), ("a", "gw.example")]
    assert isinstance(pair.take("b")[-2], Ended)


def test_a_contact_elsewhere_is_not_asked_for_the_certificate_of_the_name() -> None:
    pair = Streams()
    leg = pair.invite("tls", "tls", name="gw.example")
    (invited,) = [record for record in pair.take("b") if isinstance(record, Invited)]
    headers = [("Contact", "<sip:b@192.0.2.9;transport=tls>")]
    pair.do("b", lambda now, out: pair.ends["b"].accept(now, invited.leg, out, body=b"v=0\r\n", headers=headers))
    pair.do("a", lambda now, out: pair.ends["a"].ack(now, leg, out))
    assert pair.connects[-1] == ("a", Connect(-2, "tls", "tls", ("192.0.2.9", 5061)))


def test_a_cancel_goes_by_the_stream_of_its_invite() -> None:
    pair = Streams()
    leg = pair.invite("tls", "tls", name="gw.example")
    pair.do("a", lambda now, out: pair.ends["a"].cancel(now, leg, out))
    assert len(pair.connects) == 1
