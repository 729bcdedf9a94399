"""INVITEs that are passed on: a caller, the endpoint that passes on, and the one that answers."""

from collections.abc import Callable
from heapq import heappop, heappush

import pytest

from sip_proto import (
    Address,
    Answered,
    Cancelled,
    Connect,
    Ended,
    Endpoint,
    EndpointSettings,
    Failed,
    Invited,
    Limits,
    LocalError,
    Output,
    Rejected,
    Request,
    Ringing,
    Timings,
    Transmit,
    TransmitStream,
    parse,
)

PLACES: dict[str, Address] = {"phone": ("192.0.2.9", 5060), "here": ("192.0.2.1", 5060), "there": ("192.0.2.2", 5060)}
SECOND = 1_000_000
BODY = b"v=0\r\n"


def settings(address: Address, node: int, timings: Timings | None) -> EndpointSettings:
    return EndpointSettings(
        {"udp": address, "tcp": address},
        transports={"tcp": "tcp"},
        node=node,
        session_s=0,
        timings=timings or Timings(),
    )


class Three:
    """The phone calls, `here` passes on, `there` answers; datagrams from or to whoever is `dead` are lost."""

    def __init__(self, timings: Timings | None = None) -> None:
        self.now = SECOND
        self.ends = {
            name: Endpoint(settings(at, number, timings if name == "here" else None), name.encode())
            for number, (name, at) in enumerate(PLACES.items(), 1)
        }
        self.said: dict[str, list[Output]] = {name: [] for name in PLACES}
        self.wire: list[tuple[str, str, bytes]] = []
        self.dead: set[str] = set()
        self.lose: Callable[[str, str, bytes], bool] = lambda source, to, data: False
        self._flying: list[tuple[int, int, str, str, bytes]] = []
        self.leg = self.phone.invite(
            self.now,
            out := list[Output](),
            listener="udp",
            destination=PLACES["here"],
            uri="sip:1003@192.0.2.1",
            from_="<sip:1002@example.org>",
            to="<sip:1003@example.org>",
            headers=(
                ("Subject", "something"),
                ("Route", "<sip:192.0.2.1;lr>"),
                ("Authorization", "Digest x"),
                ("X-Mark", "forged"),
            ),
            body=BODY,
        )
        self.post("phone", out)
        self.run()
        invited = next(record for record in self.said["here"] if isinstance(record, Invited))
        self.here_leg, self.request = invited.leg, invited.request

    @property
    def phone(self) -> Endpoint:
        return self.ends["phone"]

    @property
    def here(self) -> Endpoint:
        return self.ends["here"]

    @property
    def there(self) -> Endpoint:
        return self.ends["there"]

    def post(self, name: str, out: list[Output]) -> None:
        names = {at: to for to, at in PLACES.items()}
        for record in out:
            if not isinstance(record, Transmit):
                self.said[name].append(record)
                continue
            to = names[record.destination]
            self.wire.append((name, to, record.data))
            if not self.dead & {name, to} and not self.lose(name, to, record.data):
                heappush(self._flying, (self.now + 10_000, len(self.wire), name, to, record.data))
        self.ends[name].check()

    def run(self, us: int = 200_000) -> None:
        """Let `us` pass."""
        until = self.now + us
        while True:
            due = [(at, name) for name, end in self.ends.items() if (at := end.next_deadline()) is not None]
            first = min(due, default=(until + 1, ""))
            out: list[Output] = []
            if self._flying and self._flying[0][0] <= min(first[0], until):
                self.now, _, source, name, data = heappop(self._flying)
                self.ends[name].receive_datagram(self.now, "udp", PLACES[source], data, out)
            elif first[0] <= until:
                self.now, name = max(self.now, first[0]), first[1]
                self.ends[name].handle_timeout(self.now, out)
            else:
                self.now = until
                return
            self.post(name, out)

    def do(self, name: str, call: Callable[[Endpoint, list[Output]], object]) -> None:
        out: list[Output] = []
        call(self.ends[name], out)
        self.post(name, out)
        self.run()

    def forward(self, **more: str) -> None:
        self.do(
            "here",
            lambda end, out: end.forward(
                self.now,
                self.here_leg,
                self.request,
                out,
                listener="udp",
                destination=PLACES["there"],
                headers=(("X-Mark", "true"),),
                **more,
            ),
        )

    @property
    def there_leg(self) -> int:
        return self.heard("there", Invited)[0].leg

    def heard(self, name: str, kind: type) -> list:  # type: ignore[type-arg]
        return [record for record in self.said[name] if isinstance(record, kind)]

    def ring(self) -> None:
        self.do("there", lambda end, out: end.provisional(self.now, self.there_leg, 180, out))

    def answer(self) -> None:
        self.do("there", lambda end, out: end.accept(self.now, self.there_leg, out, body=BODY))

    def cancel(self) -> None:
        self.do("phone", lambda end, out: end.cancel(self.now, self.leg, out))

    def sent(self, source: str, to: str, start: bytes) -> list[bytes]:
        return [data for at, place, data in self.wire if (at, place) == (source, to) and data.startswith(start)]

    def over(self) -> None:
        """Everybody is left with nothing, in time."""
        self.run(200 * SECOND)
        for name, end in self.ends.items():
            assert name in self.dead or end.idle(), (name, end.counts())


@pytest.fixture
def three() -> Three:
    return Three()


class TestPassingOn:
    def test_the_invite_goes_on_as_it_is_but_for_what_each_hop_says_itself(self, three: Three) -> None:
        three.forward()
        [data] = three.sent("here", "there", b"INVITE")
        request = parse(data)
        assert isinstance(request, Request)
        assert request.uri == "sip:1003@192.0.2.1"
        assert [value.partition(";")[0] for value in request.get_all("Via")] == [
            "SIP/2.0/UDP 192.0.2.1:5060",
            "SIP/2.0/UDP 192.0.2.9:5060",
        ]
        assert "received=192.0.2.9" in request.get_all("Via")[1]
        for name in ("From", "To", "Call-ID", "CSeq", "Contact", "Subject"):
            assert request.get_all(name) == three.request.get_all(name)
        assert request.get_all("X-Mark") == ["true"]
        assert request.get("Max-Forwards") == "69"
        assert request.get("Authorization") is None
        assert request.get("Route") is None
        assert request.get("Record-Route") is None
        assert request.body == BODY
        three.cancel()
        three.over()

    def test_the_dialog_is_between_the_two_ends(self, three: Three) -> None:
        three.forward()
        three.ring()
        [ringing] = three.heard("phone", Ringing)
        assert ringing.response.status == 180
        three.answer()
        [answered] = three.heard("phone", Answered)
        assert len(answered.response.get_all("Via")) == 1
        assert answered.response.to.tag == ringing.response.to.tag
        assert three.heard("here", Ended) == [Ended(three.here_leg, "forwarded")]
        assert three.here.counts()["legs"] == 0
        three.do("phone", lambda end, out: end.ack(three.now, three.leg, out))
        assert three.sent("phone", "there", b"ACK")
        assert not three.sent("phone", "here", b"ACK")
        three.do("there", lambda end, out: end.bye(three.now, three.there_leg, out))
        assert three.heard("phone", Ended) == [Ended(three.leg, "bye")]
        three.over()

    def test_each_copy_of_the_2xx_goes_back(self, three: Three) -> None:
        three.forward()
        three.lose = lambda source, to, data: to == "phone" and data.startswith(b"SIP/2.0 200")
        three.answer()
        three.run(SECOND)
        assert not three.heard("phone", Answered)
        three.lose = lambda source, to, data: False
        three.run(2 * SECOND)
        assert three.heard("phone", Answered)
        three.do("phone", lambda end, out: end.ack(three.now, three.leg, out))
        three.do("phone", lambda end, out: end.bye(three.now, three.leg, out))
        three.over()

    def test_while_it_rings_the_other_side_is_asked_each_second_and_the_caller_hears_it_once(
        self, three: Three
    ) -> None:
        three.forward()
        three.ring()
        three.run(30 * SECOND)
        assert len(three.heard("phone", Ringing)) == 1
        assert 28 <= len(three.sent("here", "there", b"INVITE")) <= 32
        assert len(three.heard("there", Invited)) == 1
        three.answer()
        assert three.heard("phone", Answered)
        three.do("phone", lambda end, out: end.ack(three.now, three.leg, out))
        three.do("phone", lambda end, out: end.bye(three.now, three.leg, out))
        three.over()

    def test_a_reliable_1xx_comes_again_until_its_prack(self, three: Three) -> None:
        three.forward()
        three.lose = lambda source, to, data: data.startswith(b"PRACK")
        three.do("there", lambda end, out: end.provisional(three.now, three.there_leg, 183, out, reliable=True))
        three.run(2 * SECOND)
        assert len(three.sent("here", "phone", b"SIP/2.0 183")) > 2
        three.lose = lambda source, to, data: False
        three.run(8 * SECOND)
        assert three.sent("phone", "there", b"PRACK")
        three.cancel()
        three.over()

    def test_an_invite_that_made_too_many_hops_stays(self) -> None:
        three = Three()
        place = three.request.names.index("Max-Forwards")
        three.request.values[place] = "0"
        three.forward()
        assert not three.sent("here", "there", b"INVITE")
        three.do("here", lambda end, out: end.reject(three.now, three.here_leg, 483, out))
        assert [record.status for record in three.heard("phone", Failed)] == [483]
        three.over()

    def test_an_invite_without_a_count_of_hops_gets_one(self, three: Three) -> None:
        place = three.request.names.index("Max-Forwards")
        del three.request.names[place], three.request.values[place]
        three.forward()
        assert b"Max-Forwards: 70\r\n" in three.sent("here", "there", b"INVITE")[0]
        three.cancel()
        three.over()

    def test_what_is_under_way_is_not_the_programs(self, three: Three) -> None:
        three.forward()
        out: list[Output] = []
        for call in (
            lambda: three.here.accept(three.now, three.here_leg, out, body=BODY),
            lambda: three.here.reject(three.now, three.here_leg, 486, out),
            lambda: three.here.provisional(three.now, three.here_leg, 180, out),
            lambda: three.forward(),
        ):
            with pytest.raises(LocalError):
                call()
        assert out == []
        three.cancel()
        three.over()

    def test_the_request_is_the_legs_own(self, three: Three) -> None:
        other = parse(bytes(three.sent("phone", "here", b"INVITE")[0]).replace(b"Call-ID: ", b"Call-ID: x"))
        assert isinstance(other, Request)
        with pytest.raises(LocalError, match="not the INVITE"):
            three.here.forward(three.now, three.here_leg, other, [], listener="udp", destination=PLACES["there"])
        three.cancel()
        three.over()


class TestComingBack:
    def test_a_refusal_is_the_programs_to_pass_on(self, three: Three) -> None:
        three.forward()
        three.do("there", lambda end, out: end.reject(three.now, three.there_leg, 486, out))
        [failed] = three.heard("here", Failed)
        assert (failed.leg, failed.status) == (three.here_leg, 486)
        assert failed.response is not None
        assert not three.heard("phone", Failed)
        three.do("here", lambda end, out: end.reject(three.now, three.here_leg, 486, out))
        assert [record.status for record in three.heard("phone", Failed)] == [486]
        three.over()

    def test_after_a_refusal_the_program_may_answer(self, three: Three) -> None:
        three.forward()
        three.ring()
        three.do("there", lambda end, out: end.reject(three.now, three.there_leg, 503, out))
        three.do("here", lambda end, out: end.accept(three.now, three.here_leg, out, body=BODY))
        assert three.heard("phone", Answered)
        three.do("phone", lambda end, out: end.ack(three.now, three.leg, out))
        three.do("phone", lambda end, out: end.bye(three.now, three.leg, out))
        assert three.heard("here", Ended) == [Ended(three.here_leg, "bye")]
        three.over()

    def test_nobody_there(self, three: Three) -> None:
        three.dead = {"there"}
        three.forward()
        three.run(4 * SECOND)
        assert not three.heard("here", Failed)
        three.run(SECOND)
        assert three.heard("here", Failed) == [Failed(three.here_leg, 408, None)]
        three.do("here", lambda end, out: end.reject(three.now, three.here_leg, 480, out))
        assert [record.status for record in three.heard("phone", Failed)] == [480]
        three.over()

    def test_who_dies_while_it_rings_is_missed(self, three: Three) -> None:
        three.forward()
        three.ring()
        three.run(10 * SECOND)
        three.dead = {"there"}
        three.run(4 * SECOND)
        assert not three.heard("here", Failed)
        three.run(2 * SECOND)
        assert three.heard("here", Failed) == [Failed(three.here_leg, 408, None)]
        three.do("here", lambda end, out: end.accept(three.now, three.here_leg, out, body=BODY))
        assert three.heard("phone", Answered)
        three.do("phone", lambda end, out: end.ack(three.now, three.leg, out))
        three.do("phone", lambda end, out: end.bye(three.now, three.leg, out))
        three.over()

    def test_who_was_only_out_of_reach_is_told_to_stop(self, three: Three) -> None:
        three.forward()
        three.ring()
        three.dead = {"there"}
        three.run(6 * SECOND)
        three.dead = set()
        three.run(4 * SECOND)
        assert three.heard("there", Cancelled) == [Cancelled(three.there_leg)]
        three.do("here", lambda end, out: end.reject(three.now, three.here_leg, 480, out))
        three.over()

    def test_who_wakes_up_late_is_told_to_stop(self, three: Three) -> None:
        three.dead = {"there"}
        three.forward()
        three.run(6 * SECOND)
        assert three.heard("here", Failed)
        three.dead = set()
        three.run(4 * SECOND)
        assert three.heard("there", Cancelled)
        three.do("here", lambda end, out: end.reject(three.now, three.here_leg, 480, out))
        three.over()

    def test_a_2xx_that_comes_late_is_the_answer_while_there_is_none(self, three: Three) -> None:
        three.forward()
        three.ring()
        three.lose = lambda source, to, data: source == "there" or data.startswith(b"CANCEL")
        three.run(6 * SECOND)
        assert three.heard("here", Failed)
        three.lose = lambda source, to, data: data.startswith(b"CANCEL")
        three.answer()
        assert three.heard("phone", Answered)
        assert three.heard("here", Ended) == [Ended(three.here_leg, "forwarded")]
        three.do("phone", lambda end, out: end.ack(three.now, three.leg, out))
        three.do("phone", lambda end, out: end.bye(three.now, three.leg, out))
        three.over()

    def test_a_2xx_that_comes_too_late_is_ended_by_the_caller(self, three: Three) -> None:
        three.forward()
        three.ring()
        three.lose = lambda source, to, data: source == "there" or data.startswith(b"CANCEL")
        three.run(6 * SECOND)
        three.do("here", lambda end, out: end.accept(three.now, three.here_leg, out, body=BODY))
        three.do("phone", lambda end, out: end.ack(three.now, three.leg, out))
        three.lose = lambda source, to, data: data.startswith(b"CANCEL")
        three.answer()
        assert three.heard("there", Ended) == [Ended(three.there_leg, "bye")]
        assert three.heard("here", Ended) == []
        three.do("phone", lambda end, out: end.bye(three.now, three.leg, out))
        three.over()

    @pytest.mark.parametrize("wait_us", [0, 10 * SECOND])
    def test_a_2xx_after_a_refusal_is_nobodys(self, three: Three, wait_us: int) -> None:
        three.forward()
        three.ring()
        three.lose = lambda source, to, data: source == "there" or data.startswith(b"CANCEL")
        three.run(6 * SECOND)
        three.do("here", lambda end, out: end.reject(three.now, three.here_leg, 480, out))
        three.run(wait_us)
        three.lose = lambda source, to, data: data.startswith(b"CANCEL")
        three.answer()
        assert not three.sent("here", "phone", b"SIP/2.0 200")
        three.over()

    def test_a_call_that_rings_for_too_long_is_cancelled(self) -> None:
        three = Three(Timings(ring_us=400_000))
        three.forward()
        three.ring()
        three.run(SECOND)
        assert three.heard("here", Failed) == [Failed(three.here_leg, 408, None)]
        assert three.heard("there", Cancelled)
        three.do("here", lambda end, out: end.reject(three.now, three.here_leg, 480, out))
        three.over()


class TestTheCallerGivesUp:
    def test_while_it_rings(self, three: Three) -> None:
        three.forward()
        three.ring()
        three.cancel()
        assert three.heard("there", Cancelled) == [Cancelled(three.there_leg)]
        assert three.heard("here", Cancelled) == [Cancelled(three.here_leg)]
        assert [record.status for record in three.heard("phone", Failed)] == [487]
        three.over()

    def test_before_the_other_side_has_said_anything(self, three: Three) -> None:
        three.lose = lambda source, to, data: source == "there"
        three.forward()
        three.cancel()
        assert not three.sent("here", "there", b"CANCEL")
        three.lose = lambda source, to, data: False
        three.run(SECOND)
        assert three.heard("there", Cancelled)
        assert three.heard("here", Cancelled)
        three.over()

    def test_and_nobody_is_there(self, three: Three) -> None:
        three.forward()
        three.dead = {"there"}
        three.cancel()
        three.run(7 * SECOND)
        assert three.heard("here", Cancelled) == [Cancelled(three.here_leg)]
        assert not three.heard("here", Failed)
        assert [record.status for record in three.heard("phone", Failed)] == [487]
        three.over()

    def test_at_the_moment_of_the_answer(self, three: Three) -> None:
        three.forward()
        three.ring()
        out: list[Output] = []
        three.there.accept(three.now, three.there_leg, out, body=BODY)
        three.post("there", out)
        three.cancel()
        assert three.heard("here", Ended) == [Ended(three.here_leg, "forwarded")]
        assert not three.heard("here", Cancelled)
        # Who hears a 2xx to what it has cancelled hangs up.
        assert three.heard("there", Ended) == [Ended(three.there_leg, "bye")]
        three.over()

    def test_a_copy_of_its_cancel_gets_the_same_answer(self, three: Three) -> None:
        three.forward()
        three.ring()
        three.lose = lambda source, to, data: to == "phone" or (source, to) == ("here", "there")
        three.cancel()
        three.run(SECOND)
        three.lose = lambda source, to, data: False
        three.run(SECOND)
        assert len(three.sent("phone", "here", b"CANCEL")) > 1
        assert len(set(three.sent("here", "phone", b"SIP/2.0 200"))) == 1
        three.over()

    def test_an_endpoint_that_forgets_the_leg_says_nothing_more(self, three: Three) -> None:
        three.forward()
        three.ring()
        three.do("here", lambda end, out: end.forget(three.now, three.here_leg, out))
        assert three.here.idle()
        three.do("there", lambda end, out: end.reject(three.now, three.there_leg, 486, out))
        assert not three.heard("here", Failed)
        three.cancel()
        three.over()


class TestStreams:
    def begin(self, three: Three) -> Connect:
        out: list[Output] = []
        three.here.forward(
            three.now,
            three.here_leg,
            three.request,
            out,
            listener="tcp",
            destination=PLACES["there"],
            transport="tcp",
        )
        three.post("here", out)
        [connect] = three.heard("here", Connect)
        assert connect.destination == PLACES["there"]
        return connect

    def test_it_goes_by_a_stream(self, three: Three) -> None:
        connect = self.begin(three)
        three.do("here", lambda end, out: end.stream_opened(three.now, connect.flow, "tcp", PLACES["there"], out))
        [sent] = three.heard("here", TransmitStream)
        assert sent.data.startswith(b"INVITE")
        three.do("there", lambda end, out: end.stream_opened(three.now, 2, "tcp", PLACES["here"], out))
        three.do("there", lambda end, out: end.receive_stream(three.now, 2, sent.data, out))
        three.do("there", lambda end, out: end.reject(three.now, three.there_leg, 486, out))
        for answer in three.heard("there", TransmitStream):
            three.do("here", lambda end, out, data=answer.data: end.receive_stream(three.now, connect.flow, data, out))
        assert [record.status for record in three.heard("here", Failed)] == [486]
        three.do("here", lambda end, out: end.reject(three.now, three.here_leg, 486, out))

    def test_a_stream_that_does_not_open(self, three: Three) -> None:
        connect = self.begin(three)
        three.do("here", lambda end, out: end.stream_closed(three.now, connect.flow, out))
        assert three.heard("here", Failed) == [Failed(three.here_leg, 503, None)]
        three.do("here", lambda end, out: end.reject(three.now, three.here_leg, 480, out))
        three.over()


@pytest.mark.parametrize("cseq", ["CSeq: 1 INVITE", "CSeq: nonsense", "CSeq: 1 OPTIONS"])
def test_a_response_for_somebody_unknown_goes_nowhere(three: Three, cseq: str) -> None:
    three.forward()
    before = len(three.wire)
    data = (
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx\r\n"
        "Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKy\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n"
        f"Call-ID: z\r\n{cseq}\r\nContent-Length: 0\r\n\r\n"
    ).encode()
    three.do("here", lambda end, out: end.receive_datagram(three.now, "udp", PLACES["there"], data, out))
    assert len(three.wire) == before
    three.cancel()
    three.over()


def test_nothing_goes_on_without_room() -> None:
    three = Three()
    settings_ = settings(PLACES["here"], 2, None)
    full = Endpoint(EndpointSettings(settings_.listeners, node=2, session_s=0, limits=Limits(transactions=1)), b"full")
    out: list[Output] = []
    full.receive_datagram(three.now, "udp", PLACES["phone"], three.sent("phone", "here", b"INVITE")[0], out)
    [invited] = [record for record in out if isinstance(record, Invited)]
    with pytest.raises(LocalError, match="no room"):
        full.forward(three.now, invited.leg, invited.request, [], listener="udp", destination=PLACES["there"])
    full.reject(three.now, invited.leg, 503, out)
    full.check()
    assert not [record for record in out if isinstance(record, Rejected)]
