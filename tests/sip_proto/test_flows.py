"""Streams of an Endpoint: opened, used again, closed, too many, too slow, broken."""

import pytest

from sip_proto import (
    Acked,
    Answered,
    Connect,
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
        0, out, listener="udp", destination=B, uri="sips:b@h", from_="<sip:a@h>", to="<sip:b@h>"  # type: ignore[arg-type]
    )
    assert isinstance(out[0], Transmit)
    assert b"Contact: <sips:192.0.2.1:5060>\r\n" in out[0].data
