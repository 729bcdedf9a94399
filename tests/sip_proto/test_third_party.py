"""A controller between two sides: the three flows, whatever ends them, and every state with every input."""

from collections.abc import Callable
from contextlib import suppress

import pytest

from sip_proto import (
    Acked,
    Answered,
    Cancelled,
    Ended,
    Endpoint,
    EndpointSettings,
    Failed,
    Invited,
    LocalError,
    OfferAnswered,
    Offered,
    OfferRefused,
    Output,
    Transmit,
    parse_sdp,
)
from sip_proto.tables_third_party import (
    THIRD_PARTY_TRANSITIONS,
    Deed,
    Flow,
    Side,
    ThirdPartyInput,
    ThirdPartyState,
)
from sip_proto.third_party import Acknowledge, Broken, End, Invite, Joined, Offer, ThirdParty, ThirdPartyOutput

A, B = Side.A, Side.B
HOST = "192.0.2.100"


def sdp(port: int, *more: str, version: int = 7) -> bytes:
    lines = ["v=0", f"o=phone 42 {version} IN IP4 192.0.2.{port % 250}", "s=-", f"c=IN IP4 192.0.2.{port % 250}"]
    lines += ["t=0 0", f"m=audio {port} RTP/AVP 0 97", "a=rtpmap:97 opus/48000/2", *more]
    return "".join([line + "\r\n" for line in lines]).encode()


class Call:
    """One machine, what it did last and all that it did."""

    def __init__(self, flow: Flow, *, nothing: bytes = b"") -> None:
        self.machine = ThirdParty(HOST, 5)
        self.did: list[ThirdPartyOutput] = []
        self.last: list[ThirdPartyOutput] = []
        self.do(lambda out: self.machine.start(0, flow, out, nothing=nothing))

    def do(self, call: Callable[[list[ThirdPartyOutput]], None]) -> list[ThirdPartyOutput]:
        self.last = []
        call(self.last)
        self.did += self.last
        return self.last

    def answered(self, side: Side, body: bytes) -> list[ThirdPartyOutput]:
        return self.do(lambda out: self.machine.answered(0, side, body, out))

    def offer_answered(self, side: Side, body: bytes) -> list[ThirdPartyOutput]:
        return self.do(lambda out: self.machine.offer_answered(0, side, body, out))

    def refused(self, side: Side, status: int) -> list[ThirdPartyOutput]:
        return self.do(lambda out: self.machine.refused(0, side, status, out))

    def ended(self, side: Side) -> list[ThirdPartyOutput]:
        return self.do(lambda out: self.machine.ended(0, side, out))

    def stop(self, status: int = 487) -> list[ThirdPartyOutput]:
        return self.do(lambda out: self.machine.stop(0, status, out))


def waiting(state: ThirdPartyState) -> Call:
    """A call that waits for what `state` awaits."""
    flow = {"A_OFFERS": Flow.I, "B_ANSWERS": Flow.I, "A_NOTHING": Flow.IV}.get(state.name, Flow.III)
    call = Call(flow)
    if state in (ThirdPartyState.B_ANSWERS, ThirdPartyState.B_OFFERS, ThirdPartyState.A_ANSWERS):
        call.answered(A, sdp(4000))
    if state is ThirdPartyState.A_ANSWERS:
        call.answered(B, sdp(5000))
    assert call.machine.state is state
    return call


def origin(body: bytes) -> str:
    return next(line for line in parse_sdp(body).lines if line.startswith("o="))


def ports(body: bytes) -> list[tuple[str, int]]:
    return [(media.kind, media.port) for media in parse_sdp(body).media()]


def bodies(call: Call, side: Side) -> list[bytes]:
    return [did.body for did in call.did if isinstance(did, Invite | Acknowledge | Offer) and did.side is side]


def test_flow_one_offers_b_what_a_offers_and_gives_a_the_answer_in_its_ack() -> None:
    call = Call(Flow.I)
    assert call.did == [Invite(A, b"")]
    (invite,) = call.answered(A, sdp(4000))
    assert isinstance(invite, Invite)
    assert (invite.side, ports(invite.body)) == (B, [("audio", 4000)])
    ack_b, ack_a, joined = call.answered(B, sdp(5000))
    assert (ack_b, joined) == (Acknowledge(B, b""), Joined())
    assert isinstance(ack_a, Acknowledge)
    assert (ack_a.side, ports(ack_a.body)) == (A, [("audio", 5000)])
    assert origin(invite.body) == f"o=- 11 1 IN IP4 {HOST}"
    assert origin(ack_a.body) == f"o=- 10 1 IN IP4 {HOST}"
    assert call.machine.state is ThirdPartyState.JOINED
    assert (call.machine.next_deadline(), call.do(lambda out: call.machine.handle_timeout(9, out))) == (None, [])


def test_flow_three_holds_a_at_once_and_passes_bs_offer_by_reinvite() -> None:
    call = Call(Flow.III)
    assert call.did == [Invite(A, b"")]
    held, invite = call.answered(A, sdp(4000))
    assert isinstance(held, Acknowledge)
    assert parse_sdp(held.body).direction() == "inactive"
    assert ports(held.body) == [("audio", 9)]
    assert parse_sdp(held.body).attributes("rtpmap", 0) == ["97 opus/48000/2"]
    assert invite == Invite(B, b"")
    (offer,) = call.answered(B, sdp(5000))
    assert isinstance(offer, Offer)
    assert (offer.side, ports(offer.body)) == (A, [("audio", 5000)])
    ack, joined = call.offer_answered(A, sdp(4002))
    assert isinstance(ack, Acknowledge)
    assert (ack.side, ports(ack.body), joined) == (B, [("audio", 4002)], Joined())
    assert [origin(body) for body in bodies(call, A) if body] == [
        f"o=- 10 1 IN IP4 {HOST}",
        f"o=- 10 2 IN IP4 {HOST}",
    ]
    assert origin(ack.body) == f"o=- 11 1 IN IP4 {HOST}"


def test_flow_four_offers_a_nothing_first() -> None:
    call = Call(Flow.IV)
    (invite,) = call.did
    assert isinstance(invite, Invite)
    assert parse_sdp(invite.body).direction() == "inactive"
    assert call.answered(A, sdp(4000)) == [Acknowledge(A, b""), Invite(B, b"")]
    (offer,) = call.answered(B, sdp(5000))
    assert isinstance(offer, Offer)
    assert origin(offer.body) == f"o=- 10 2 IN IP4 {HOST}"
    ack, joined = call.offer_answered(A, sdp(4000))
    assert isinstance(ack, Acknowledge)
    assert (ports(ack.body), joined) == ([("audio", 4000)], Joined())


def test_flow_four_may_offer_no_stream_at_all() -> None:
    nothing = b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nt=0 0\r\n"
    call = Call(Flow.IV, nothing=nothing)
    assert ports(bodies(call, A)[0]) == []
    call.answered(A, nothing)
    call.answered(B, sdp(5000))
    assert ports(bodies(call, A)[-1]) == [("audio", 5000)]


def test_an_answer_that_a_reliable_1xx_brought_need_not_be_in_the_2xx() -> None:
    call = Call(Flow.IV)
    assert call.answered(A, b"") == [Acknowledge(A, b""), Invite(B, b"")]


def test_bs_offer_comes_to_a_in_the_order_of_streams_that_a_has_and_the_answer_goes_back_in_bs() -> None:
    call = Call(Flow.III)
    call.answered(A, sdp(4000, "m=video 4002 RTP/AVP 31", "m=image 4004 udptl t38"))
    assert ports(bodies(call, A)[-1]) == [("audio", 9), ("video", 9), ("image", 0)]
    offer_of_b = sdp(5000, "m=text 5004 RTP/AVP 98", "a=rtpmap:98 t140/1000", "m=video 5002 RTP/AVP 31")
    (offer,) = call.answered(B, offer_of_b)
    assert isinstance(offer, Offer)
    assert ports(offer.body) == [("audio", 5000), ("video", 5002), ("image", 0), ("text", 5004)]
    assert parse_sdp(offer.body).attributes("rtpmap", 3) == ["98 t140/1000"]
    answer = sdp(4100, "m=video 4102 RTP/AVP 31", "m=image 0 udptl t38", "m=text 0 RTP/AVP 98")
    ack, _ = call.offer_answered(A, answer)
    assert isinstance(ack, Acknowledge)
    assert ports(ack.body) == [("audio", 4100), ("text", 0), ("video", 4102)]


def test_a_stream_that_the_answer_leaves_out_is_refused() -> None:
    call = waiting(ThirdPartyState.B_OFFERS)
    call.answered(B, sdp(5000, "m=video 5002 RTP/AVP 31"))
    ack, _ = call.offer_answered(A, sdp(4000))
    assert isinstance(ack, Acknowledge)
    assert ports(ack.body) == [("audio", 4000), ("video", 0)]


def test_what_flow_one_cannot_read_is_for_b_to_judge() -> None:
    call = Call(Flow.I)
    assert call.answered(A, b"m=what\r\n") == [Invite(B, b"m=what\r\n")]
    assert call.refused(B, 488) == [Acknowledge(A, b""), End(A, 488), Broken(B, 488)]


def test_addresses_of_ipv6_are_written_as_such() -> None:
    machine = ThirdParty("2001:db8::1", 5)
    out: list[ThirdPartyOutput] = []
    machine.start(0, Flow.III, out)
    machine.answered(0, A, sdp(4000), out)
    held = out[1]
    assert isinstance(held, Acknowledge)
    assert origin(held.body) == "o=- 10 1 IN IP6 2001:db8::1"
    assert parse_sdp(held.body).address() == "2001:db8::1"


@pytest.mark.parametrize(
    ("state", "side", "did"),
    [
        (ThirdPartyState.A_OFFERS, A, [Broken(A, 486)]),
        (ThirdPartyState.A_HELD, A, [Broken(A, 486)]),
        (ThirdPartyState.A_NOTHING, A, [Broken(A, 486)]),
        (ThirdPartyState.B_OFFERS, B, [End(A, 486), Broken(B, 486)]),
    ],
)
def test_a_side_that_is_busy_ends_the_other(
    state: ThirdPartyState, side: Side, did: list[ThirdPartyOutput]
) -> None:
    call = waiting(state)
    assert call.refused(side, 486) == did
    assert call.machine.state is ThirdPartyState.BROKEN


def test_b_is_busy_in_flow_one_and_as_offer_gets_an_answer_that_refuses_it_before_the_bye() -> None:
    call = waiting(ThirdPartyState.B_ANSWERS)
    ack, end, broken = call.refused(B, 486)
    assert isinstance(ack, Acknowledge)
    assert (ack.side, ports(ack.body), end, broken) == (A, [("audio", 0)], End(A, 486), Broken(B, 486))


def test_a_hangs_up_while_b_rings() -> None:
    for state in (ThirdPartyState.B_ANSWERS, ThirdPartyState.B_OFFERS):
        assert waiting(state).ended(A) == [End(B, 0), Broken(A, 0)]


def test_a_hangs_up_or_refuses_while_it_is_asked_for_its_answer_to_bs_offer() -> None:
    ack, end, broken = waiting(ThirdPartyState.A_ANSWERS).ended(A)
    assert isinstance(ack, Acknowledge)
    assert (ack.side, ports(ack.body), end, broken) == (B, [("audio", 0)], End(B, 0), Broken(A, 0))
    ack, *ends, broken = waiting(ThirdPartyState.A_ANSWERS).refused(A, 488)
    assert isinstance(ack, Acknowledge)
    assert (ack.side, ends, broken) == (B, [End(B, 488), End(A, 488)], Broken(A, 488))


def test_b_hangs_up_before_its_ack() -> None:
    assert waiting(ThirdPartyState.A_ANSWERS).ended(B) == [End(A, 0), Broken(B, 0)]


def test_an_answer_to_the_offer_that_cannot_be_read_is_a_refusal() -> None:
    for body in (b"", b"v=0\r\nm=audio\r\n"):
        call = waiting(ThirdPartyState.A_ANSWERS)
        *_, broken = call.offer_answered(A, body)
        assert broken == Broken(A, 488)


def test_a_2xx_without_its_description_ends_both() -> None:
    assert waiting(ThirdPartyState.A_OFFERS).answered(A, b"") == [Acknowledge(A, b""), End(A, 488), Broken(A, 488)]
    assert waiting(ThirdPartyState.A_HELD).answered(A, b"nonsense") == [
        Acknowledge(A, b""),
        End(A, 488),
        Broken(A, 488),
    ]
    assert waiting(ThirdPartyState.B_OFFERS).answered(B, b"v=0\r\nm=audio 99999 RTP/AVP 0\r\n") == [
        Acknowledge(B, b""),
        End(B, 488),
        End(A, 488),
        Broken(B, 488),
    ]
    ack, end, refused, other, broken = waiting(ThirdPartyState.B_ANSWERS).answered(B, b"")
    assert (ack, end, other, broken) == (Acknowledge(B, b""), End(B, 488), End(A, 488), Broken(B, 488))
    assert isinstance(refused, Acknowledge)
    assert ports(refused.body) == [("audio", 0)]


def test_bs_late_answer_to_a_call_that_is_off_is_acknowledged_and_ended() -> None:
    call = waiting(ThirdPartyState.B_OFFERS)
    call.ended(A)
    ack, end = call.answered(B, sdp(5000))
    assert isinstance(ack, Acknowledge)
    assert (ack.side, ports(ack.body), end) == (B, [("audio", 0)], End(B, 488))
    call = waiting(ThirdPartyState.B_ANSWERS)
    call.ended(A)
    assert call.answered(B, sdp(5000)) == [Acknowledge(B, b""), End(B, 488)]
    assert call.answered(B, b"") == [Acknowledge(B, b""), End(B, 488)]


def test_as_late_answer_after_the_program_gave_up() -> None:
    call = waiting(ThirdPartyState.A_NOTHING)
    assert call.stop() == [End(A, 487), Broken(None, 487)]
    assert call.answered(A, sdp(4000)) == [Acknowledge(A, b""), End(A, 488)]
    call = waiting(ThirdPartyState.A_OFFERS)
    call.stop()
    ack, end = call.answered(A, sdp(4000))
    assert isinstance(ack, Acknowledge)
    assert (ports(ack.body), end) == ([("audio", 0)], End(A, 488))


def test_the_program_gives_up_whatever_is_awaited() -> None:
    for state in ThirdPartyState:
        if (state, ThirdPartyInput.STOP) in THIRD_PARTY_TRANSITIONS:
            call = waiting(state)
            *_, broken = call.stop(480)
            ends = [did.side for did in call.last if isinstance(did, End)]
            called = {did.side for did in call.did if isinstance(did, Invite)}
            assert (broken, set(ends), len(ends)) == (Broken(None, 480), called, len(called))


def test_a_call_is_started_once_and_stopped_while_it_is_under_way() -> None:
    call = waiting(ThirdPartyState.B_OFFERS)
    with pytest.raises(LocalError, match="started"):
        call.machine.start(0, Flow.I, [])
    call.ended(A)
    with pytest.raises(LocalError, match="stopped"):
        call.stop()
    with pytest.raises(LocalError, match="no description"):
        Call(Flow.IV, nothing=b"hello")


def test_what_comes_when_the_sides_are_joined_is_the_call_engines() -> None:
    call = waiting(ThirdPartyState.B_ANSWERS)
    call.answered(B, sdp(5000))
    assert call.ended(A) == call.refused(B, 408) == call.answered(B, sdp(1)) == call.offer_answered(A, sdp(1)) == []
    assert call.offer_answered(B, sdp(1)) == []


def event(call: Call, given: ThirdPartyInput) -> list[ThirdPartyOutput]:
    """Tell the machine what an input stands for."""
    side = A if given.name.startswith("A_") else B
    name = given.name[2:]
    if name == "OFFER_ANSWERED":
        return call.offer_answered(side, sdp(6000))
    if name in ("ANSWERED", "EMPTY"):
        return call.answered(side, sdp(6000) if name == "ANSWERED" else b"")
    return call.refused(side, 480) if name == "REFUSED" else call.ended(side)


@pytest.mark.parametrize("state", [state for state in ThirdPartyState if state.name.startswith(("A_", "B_"))])
@pytest.mark.parametrize("given", [given for given in ThirdPartyInput if given.name.startswith(("A_", "B_"))])
def test_the_machine_does_what_the_row_says(state: ThirdPartyState, given: ThirdPartyInput) -> None:
    call = waiting(state)
    did = event(call, given)
    row = THIRD_PARTY_TRANSITIONS.get((state, given))
    if row is None:
        assert (did, call.machine.state) == ([], state)
        return
    assert call.machine.state is row.next
    assert [name_of(one) for one in did] == [short(deed) for deed in row.deeds]


def name_of(did: ThirdPartyOutput) -> str:
    kind = {Invite: "INVITE", Acknowledge: "ACK", Offer: "OFFER", End: "END"}.get(type(did))
    if isinstance(did, Invite | Acknowledge | Offer | End):
        return f"{kind}_{did.side.name}"
    return "JOINED" if isinstance(did, Joined) else f"{did.side.name}_BROKE" if did.side is not None else "STOPPED"


def short(deed: Deed) -> str:
    if deed.name.startswith("SAY_"):
        return deed.name[4:]
    return "_".join(deed.name.split("_")[:2])


def test_rows_lead_from_every_state_to_an_end_and_leave_no_side_behind() -> None:
    ends = {ThirdPartyState.JOINED, ThirdPartyState.BROKEN}
    assert {row.next for row in THIRD_PARTY_TRANSITIONS.values()} == set(ThirdPartyState) - {ThirdPartyState.IDLE}
    for (state, given), row in THIRD_PARTY_TRANSITIONS.items():
        assert row.source
        told = [deed for deed in row.deeds if deed.name.startswith("SAY_")]
        assert len(told) == (row.next in ends and state is not ThirdPartyState.BROKEN)
        assert not told or row.deeds[-1] is told[0]
        if row.next is not ThirdPartyState.BROKEN:
            continue
        # Whoever is called and has not gone by itself is ended.
        gone = given.name in ("A_ENDED", "A_REFUSED") and state is not ThirdPartyState.A_ANSWERS
        if state.name.startswith("B_") and not gone and given is not ThirdPartyInput.A_ENDED:
            assert Deed.END_A in row.deeds
        if state is ThirdPartyState.A_ANSWERS and given is not ThirdPartyInput.B_ENDED:
            assert Deed.END_B in row.deeds


class Room:
    """A controller in the middle of two phones, by the endpoints of all three; the test is the phones."""

    def __init__(self) -> None:
        self.now = 1_000_000
        places = {"a": ("192.0.2.1", 5060), "b": ("192.0.2.2", 5060), "c": (HOST, 5060)}
        self.ends = {
            name: Endpoint(EndpointSettings({"udp": place}, session_s=0, reliable="no"), name.encode())
            for name, place in places.items()
        }
        self.places = places
        self.said: dict[str, list[Output]] = {"a": [], "b": [], "c": []}
        self.machine = ThirdParty(HOST, 5)
        self.legs: dict[Side, int] = {}
        self.last: ThirdPartyOutput | None = None

    def do(self, name: str, call: Callable[[int, list[Output]], object]) -> object:
        """Let one end act, and deliver what comes of it until all is quiet; the controller does its deeds."""
        out: list[Output] = []
        result = call(self.now, out)
        flying = [(name, out)]
        while flying:
            who, records = flying.pop(0)
            for record in records:
                if not isinstance(record, Transmit):
                    self.said[who].append(record)
                    continue
                to = next(other for other, place in self.places.items() if place == record.destination)
                more: list[Output] = []
                self.ends[to].receive_datagram(self.now, "udp", self.places[who], record.data, more)
                self.ends[to].check()
                flying.append((to, more))
        return result

    def start(self, flow: Flow) -> None:
        self.tell(lambda out: self.machine.start(self.now, flow, out))

    def tell(self, call: Callable[[list[ThirdPartyOutput]], None]) -> None:
        deeds: list[ThirdPartyOutput] = []
        call(deeds)
        end = self.ends["c"]
        for deed in deeds:
            self.last = deed
            if isinstance(deed, Invite):
                self.legs[deed.side] = self.invite(deed)
            elif isinstance(deed, Acknowledge):
                self.do("c", lambda now, out, deed=deed: end.ack(now, self.legs[deed.side], out, body=deed.body))
            elif isinstance(deed, Offer):
                self.do("c", lambda now, out, deed=deed: end.offer(now, self.legs[deed.side], out, body=deed.body))
            elif isinstance(deed, End):
                with suppress(LocalError):
                    self.do("c", lambda now, out, deed=deed: end.cancel(now, self.legs[deed.side], out))
                with suppress(LocalError):
                    self.do("c", lambda now, out, deed=deed: end.bye(now, self.legs[deed.side], out))

    def invite(self, deed: Invite) -> int:
        name = deed.side.name.lower()
        leg = self.do(
            "c",
            lambda now, out: self.ends["c"].invite(
                now,
                out,
                listener="udp",
                destination=self.places[name],
                uri=f"sip:{name}@{self.places[name][0]}",
                from_="<sip:c@example.org>",
                to=f"<sip:{name}@example.org>",
                body=deed.body,
            ),
        )
        assert isinstance(leg, int)
        return leg

    def go_on(self) -> None:
        """The controller takes what its endpoint has said."""
        while self.said["c"]:
            record = self.said["c"].pop(0)
            side = next((side for side, leg in self.legs.items() if leg == getattr(record, "leg", 0)), A)
            if isinstance(record, Answered):
                body = record.response.body
                self.tell(lambda out, side=side, body=body: self.machine.answered(self.now, side, body, out))
            elif isinstance(record, OfferAnswered):
                body = record.response.body
                self.tell(lambda out, side=side, body=body: self.machine.offer_answered(self.now, side, body, out))
            elif isinstance(record, Failed | OfferRefused):
                status = record.status
                self.tell(lambda out, side=side, status=status: self.machine.refused(self.now, side, status, out))
            elif isinstance(record, Ended):
                self.tell(lambda out, side=side: self.machine.ended(self.now, side, out))

    def answer(self, name: str, body: bytes) -> None:
        """A phone answers what it is asked: its call, or an offer in it."""
        asked = [record for record in self.said[name] if isinstance(record, Invited | Offered)][-1]
        end = self.ends[name]
        if isinstance(asked, Invited):
            self.do(name, lambda now, out: end.accept(now, asked.leg, out, body=body))
        else:
            self.do(name, lambda now, out: end.answer_offer(now, asked.leg, out, body=body))
        self.go_on()

    def described(self, name: str) -> list[tuple[str, int]]:
        """The streams that a phone has been told of last."""
        bodies = [
            record.request.body
            for record in self.said[name]
            if isinstance(record, Invited | Offered | Acked) and record.request.body
        ]
        return ports(bodies[-1])

    def is_empty(self) -> bool:
        """Whether nobody has a call once time has passed."""
        for name, end in self.ends.items():
            for _ in range(60):
                self.now += 1_000_000
                self.do(name, end.handle_timeout)
        return all(end.idle() for end in self.ends.values())


@pytest.mark.parametrize("flow", list(Flow))
def test_two_phones_are_joined_by_real_messages(flow: Flow) -> None:
    room = Room()
    room.start(flow)
    room.answer("a", sdp(4000))
    room.answer("b", sdp(5000))
    if flow is not Flow.I:
        room.answer("a", sdp(4002))
    assert isinstance(room.last, Joined)
    assert room.described("a") == [("audio", 5000)]
    assert room.described("b") == [("audio", 4000 if flow is Flow.I else 4002)]


@pytest.mark.parametrize("flow", list(Flow))
def test_a_busy_phone_leaves_nobody_in_a_call(flow: Flow) -> None:
    room = Room()
    room.start(flow)
    room.answer("a", sdp(4000))
    (invited,) = [record for record in room.said["b"] if isinstance(record, Invited)]
    room.do("b", lambda now, out: room.ends["b"].reject(now, invited.leg, 486, out))
    room.go_on()
    assert room.last == Broken(B, 486)
    assert [record.why for record in room.said["a"] if isinstance(record, Ended)] == ["bye"]
    assert room.is_empty()


@pytest.mark.parametrize("flow", [Flow.III, Flow.IV])
def test_a_phone_that_hangs_up_while_the_other_rings_ends_that(flow: Flow) -> None:
    room = Room()
    room.start(flow)
    room.answer("a", sdp(4000))
    (invited,) = [record for record in room.said["b"] if isinstance(record, Invited)]
    room.do("b", lambda now, out: room.ends["b"].provisional(now, invited.leg, 180, out))
    (leg,) = [record.leg for record in room.said["a"] if isinstance(record, Invited)]
    room.do("a", lambda now, out: room.ends["a"].bye(now, leg, out))
    room.go_on()
    assert room.last == Broken(A, 0)
    assert [record for record in room.said["b"] if isinstance(record, Cancelled)]
    assert room.is_empty()


def test_a_phone_that_refuses_the_others_offer_ends_both() -> None:
    room = Room()
    room.start(Flow.III)
    room.answer("a", sdp(4000))
    room.answer("b", sdp(5000))
    (offered,) = [record for record in room.said["a"] if isinstance(record, Offered)]
    room.do("a", lambda now, out: room.ends["a"].refuse_offer(now, offered.leg, 488, out))
    room.go_on()
    assert room.last == Broken(A, 488)
    # B's offer has its answer, which refuses it.
    assert room.described("b") == [("audio", 0)]
    assert room.is_empty()
