"""Offers within a dialog: both ways, by re-INVITE and UPDATE, crossing, refused, postponed, taken back."""

import pytest

from sip_proto import (
    Acked,
    Answered,
    DialogChanged,
    DialogEnded,
    Ended,
    Limits,
    LocalError,
    OfferAnswered,
    Offered,
    OfferRefused,
    OfferWithdrawn,
    Output,
    Rejected,
    Request,
    Response,
    Ringing,
    Transmit,
)
from tests.sip_proto.alone import Alone, Called, requests, responses, sent
from tests.sip_proto.pair import B, Pair, endpoint
from tests.sip_proto.texts import as_request, response_to

CONTACT = "Contact: <sip:alice@192.0.2.1:5070>\r\n"
UPDATES = CONTACT + "Allow: INVITE, UPDATE\r\n"
SDP = b"v=0\r\n"
SECOND = 1_000_000


def of(out: list[Output], kind: type) -> list[Output]:
    return [record for record in out if isinstance(record, kind)]


class Calling(Alone):
    """A call of ours that A answered: `invite` is our INVITE, `number` the peer's CSeq."""

    def __init__(self, *, more: str = UPDATES, limits: Limits | None = None, body: bytes = SDP) -> None:
        super().__init__(endpoint(B, b"seed-b", 2, limits))
        self.first = self.invite(body=body)
        self.asked = as_request(self.first)
        self.more = more
        self.number = 0

    def talk(self) -> None:
        self.hear(response_to(self.first, 200, more=self.more, body="v=0\r\n"))
        self.do(lambda now, out: self.end.ack(now, self.leg, out))

    def ring(self, tag: str = "b1", rseq: int = 0, body: str = "", status: int = 180) -> list[Output]:
        more = self.more + (f"Require: 100rel\r\nRSeq: {rseq}\r\n" if rseq else "")
        return self.hear(response_to(self.first, status, tag=tag, more=more, body=body))

    def offer(self, body: bytes = SDP) -> list[Output]:
        return self.do(lambda now, out: self.end.offer(now, self.leg, out, body=body))

    def theirs(self, method: str, body: str = "v=1\r\n", tag: str = "b1", more: str = "", cseq: int = 0) -> bytes:
        """A request of A's in the dialog."""
        self.number += 1
        number = cseq or self.number
        asked = self.asked
        return (
            f"{method} sip:192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{tag}{method}{number}\r\n"
            f"From: <sip:alice@example.org>;tag={tag}\r\nTo: {asked.get('From')}\r\nCall-ID: {asked.call_id}\r\n"
            f"CSeq: {number} {method}\r\nMax-Forwards: 70\r\n{CONTACT}{more}Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def answer(self, body: bytes = SDP) -> list[Output]:
        return self.do(lambda now, out: self.end.answer_offer(now, self.leg, out, body=body))


def talking(**more: object) -> Calling:
    calling = Calling(**more)  # type: ignore[arg-type]
    calling.talk()
    return calling


def data_of(out: list[Output]) -> bytes:
    (record,) = of(out, Transmit)
    assert isinstance(record, Transmit)
    return record.data


def test_an_offer_with_a_body_is_acknowledged_by_the_endpoint_and_told_by_its_number() -> None:
    calling = talking()
    data = data_of(calling.offer())
    assert as_request(data).method == "INVITE"
    assert calling.result == 1
    out = calling.hear(response_to(data, 200, more=CONTACT, body="v=2\r\n"))
    assert requests(out) == ["ACK"]
    (answered,) = of(out, OfferAnswered)
    assert isinstance(answered, OfferAnswered)
    assert (answered.offer, answered.response.body) == (1, b"v=2\r\n")
    with pytest.raises(LocalError):
        calling.end.ack(calling.now, calling.leg, [])


def test_an_offer_without_a_body_brings_the_peers_offer_and_owes_the_ack() -> None:
    calling = talking()
    data = data_of(calling.offer(b""))
    out = calling.hear(response_to(data, 200, more=CONTACT, body="v=2\r\n"))
    assert requests(out) == []
    assert [type(record) for record in out] == [OfferAnswered]
    # Its offer waits for our answer: another one of the peer's comes too early.
    assert responses(calling.hear(calling.theirs("UPDATE"))) == [500]
    (ack,) = sent(calling.do(lambda now, out: calling.end.ack(now, calling.leg, out, body=b"v=3\r\n")))
    assert (ack.cseq, ack.body) == ((2, "ACK"), b"v=3\r\n")
    assert of(calling.hear(calling.theirs("UPDATE")), Offered)


def test_a_2xx_without_the_offer_that_we_asked_for_leaves_nothing_open() -> None:
    calling = talking()
    out = calling.hear(response_to(data_of(calling.offer(b"")), 200, more=CONTACT))
    assert [type(record) for record in out] == [OfferAnswered]
    calling.do(lambda now, out: calling.end.ack(now, calling.leg, out))
    assert requests(calling.offer()) == ["INVITE"]


def test_offers_wait_for_their_turn_and_each_has_one_outcome() -> None:
    calling = talking(limits=Limits(offers=2))
    first = data_of(calling.offer(b"v=1\r\n"))
    assert calling.offer(b"v=2\r\n") == []
    assert calling.offer(b"v=3\r\n") == []
    with pytest.raises(LocalError):
        calling.offer(b"v=4\r\n")
    out = calling.hear(response_to(first, 200, more=CONTACT))
    assert requests(out) == ["ACK", "INVITE"]
    second = sent(out)[1]
    assert second.body == b"v=2\r\n"
    out = calling.hear(response_to(second.to_bytes(), 488))
    assert [record.offer for record in of(out, OfferRefused) if isinstance(record, OfferRefused)] == [2]
    third = sent(out)[1]
    assert third.body == b"v=3\r\n"
    (answered,) = of(calling.hear(response_to(third.to_bytes(), 200, more=CONTACT)), OfferAnswered)
    assert isinstance(answered, OfferAnswered)
    assert answered.offer == 3


def test_whether_an_offer_can_go_at_once_is_known_before() -> None:
    calling = Calling()
    end, leg = calling.end, calling.leg
    assert not end.can_offer(99)
    assert not end.can_offer(leg)
    calling.talk()
    assert end.can_offer(leg)
    calling.hear(calling.theirs("UPDATE"))
    assert not end.can_offer(leg)
    calling.offer()
    calling.answer()
    assert not end.can_offer(leg)
    other = early()
    assert other.end.can_offer(other.leg)


def test_an_offer_on_a_call_that_is_not_answered_goes_with_the_ack() -> None:
    calling = Calling(more=CONTACT)
    assert calling.offer() == []
    calling.ring()
    calling.hear(response_to(calling.first, 200, more=CONTACT))
    assert requests(calling.do(lambda now, out: calling.end.ack(now, calling.leg, out))) == ["ACK", "INVITE"]


def test_491_is_answered_by_another_try_and_told_to_nobody() -> None:
    calling = talking()
    out = calling.hear(response_to(data_of(calling.offer()), 491))
    assert requests(out) == ["ACK"]
    assert of(out, OfferRefused) == []
    start = calling.now
    again = [record for record in calling.wait(5 * SECOND) if b"INVITE sip" in getattr(record, "data", b"")[:10]]
    assert again
    assert as_request(again[0].data).cseq == (3, "INVITE")  # type: ignore[union-attr]
    (answered,) = of(calling.hear(response_to(again[0].data, 200, more=CONTACT)), OfferAnswered)  # type: ignore[union-attr]
    assert isinstance(answered, OfferAnswered)
    assert answered.offer == 1
    assert start < calling.now


@pytest.mark.parametrize("seed", range(20))
def test_the_pause_after_491_is_longer_for_the_owner_of_the_call_id(seed: int) -> None:
    calling = talking()
    for _ in range(seed):
        calling.end._ids.token()
    calling.hear(response_to(data_of(calling.offer()), 491))
    pause_us = calling.end._timers.next_deadline() - calling.now  # type: ignore[operator]
    assert 2_100_000 <= pause_us <= 4_000_000
    assert pause_us % 10_000 == 0
    called = Called(body="v=0\r\n")
    called.talk()
    for _ in range(seed):
        called.end._ids.token()
    offer = data_of(called.do(lambda now, out: called.end.offer(now, called.leg, out, body=SDP)))
    called.hear(response_to(offer, 491))
    pause_us = called.end._timers.next_deadline() - called.now  # type: ignore[operator]
    assert 0 <= pause_us <= 2_000_000
    assert pause_us % 10_000 == 0


def test_the_fifth_491_is_the_last() -> None:
    calling = talking()
    data = data_of(calling.offer())
    for _ in range(4):
        assert of(calling.hear(response_to(data, 491)), OfferRefused) == []
        calling.now = calling.end._timers.next_deadline() or 0
        data = [message for message in sent(calling.do(calling.end.handle_timeout)) if isinstance(message, Request)][
            -1
        ].to_bytes()
        calling.now += 1
    (refused,) = of(calling.hear(response_to(data, 491)), OfferRefused)
    assert isinstance(refused, OfferRefused)
    assert (refused.status, refused.offer) == (491, 1)
    assert requests(calling.offer()) == ["INVITE"]


@pytest.mark.parametrize(
    ("more", "pause_s"),
    [
        ("Retry-After: 7\r\n", 7),
        ("Retry-After: 0\r\n", 0),
        ("Retry-After: 11\r\n", None),
        ("Retry-After: x\r\n", None),
        ("", None),
    ],
)
def test_500_with_retry_after_is_answered_by_another_try_after_that_time(more: str, pause_s: int | None) -> None:
    calling = talking()
    out = calling.hear(response_to(data_of(calling.offer()), 500, more=more))
    assert len(of(out, OfferRefused)) == (pause_s is None)
    if pause_s is not None:
        calling.now += pause_s * SECOND
        assert requests(calling.do(calling.end.handle_timeout)) == ["INVITE"]


def test_491_is_retried_and_forwarded_once_by_a_chain_of_two_legs() -> None:
    """What a phone offers comes out of the other leg once, though the other phone refused it twice with 491."""
    one, other = Called(body="v=0\r\n"), talking()
    one.talk()
    (offered,) = of(one.hear(one.inside("INVITE", 2, body="v=5\r\n")), Offered)
    assert isinstance(offered, Offered)
    data = data_of(other.offer(offered.request.body))
    bodies = [as_request(data).body]
    for _ in range(2):
        assert of(other.hear(response_to(data, 491)), OfferRefused) == []
        again = [record for record in other.wait(4 * SECOND) if isinstance(record, Transmit)]
        data = again[0].data
        bodies.append(as_request(data).body)
    (answered,) = of(other.hear(response_to(data, 200, more=CONTACT, body="v=6\r\n")), OfferAnswered)
    assert isinstance(answered, OfferAnswered)
    assert bodies == [b"v=5\r\n"] * 3
    out = one.do(lambda now, out: one.end.answer_offer(now, one.leg, out, body=answered.response.body))
    (answer,) = sent(out)
    assert isinstance(answer, Response)
    assert (answer.status, answer.body) == (200, b"v=6\r\n")


def test_491_is_never_said_on_a_leg_with_no_offer_out() -> None:
    called = Called(body="v=0\r\n")
    called.talk()
    assert of(called.hear(called.inside("INVITE", 2, body="v=1\r\n")), Offered)
    # The peer's own is open: too early, not crossing.
    (refusal,) = sent(called.hear(called.inside("INVITE", 3, body="v=1\r\n")))
    assert isinstance(refusal, Response)
    assert refusal.status == 500
    called.do(lambda now, out: called.end.answer_offer(now, called.leg, out, body=SDP))
    called.hear(called.inside("ACK", 2))
    assert of(called.hear(called.inside("INVITE", 4, body="v=1\r\n")), Offered)


def test_a_second_invite_before_the_first_is_answered_gets_500_and_a_time_to_come_back() -> None:
    called = Called(body="v=0\r\n")
    called.ring()
    data = called.inside("INVITE", 2, body="v=1\r\n")
    (refusal,) = sent(called.hear(data))
    assert isinstance(refusal, Response)
    assert refusal.status == 500
    wait_s = int(refusal.get("Retry-After") or "")
    assert 0 <= wait_s <= 10
    (again,) = sent(called.hear(data))
    assert again.get("Retry-After") == str(wait_s)
    called.talk()
    assert of(called.hear(called.inside("INVITE", 3, body="v=1\r\n")), Offered)


def test_our_offer_out_refuses_the_peers_with_491_by_invite_and_update() -> None:
    calling = talking()
    calling.offer()
    out = calling.hear(calling.theirs("INVITE"))
    assert responses(out) == [491]
    assert of(out, Rejected)
    assert responses(calling.hear(calling.theirs("UPDATE"))) == [491]


def test_a_request_for_an_offer_that_is_out_refuses_the_peers_with_491() -> None:
    calling = talking()
    calling.offer(b"")
    assert responses(calling.hear(calling.theirs("INVITE"))) == [491]


def test_a_peer_whose_offer_comes_in_our_pause_is_heard_and_ours_follows() -> None:
    calling = talking()
    calling.hear(response_to(data_of(calling.offer(b"v=7\r\n")), 491))
    theirs = calling.theirs("INVITE")
    assert of(calling.hear(theirs), Offered)
    # Our pause is over before theirs is.
    assert requests(calling.wait(5 * SECOND)) == []
    assert responses(calling.answer()) == [200]
    out = calling.hear(calling.theirs("ACK", body="", cseq=1))
    assert requests(out) == ["INVITE"]
    assert sent(out)[0].body == b"v=7\r\n"
    assert isinstance(out[0], Acked)


def test_a_reinvite_that_crosses_a_bye_is_acknowledged_or_forgotten() -> None:
    pair = Pair()
    leg = pair.invite()
    pair.run(100_000)
    other = pair.take("b")[0].leg  # type: ignore[union-attr]
    pair.do("b", lambda now, out: pair.b.accept(now, other, out, body=SDP))
    pair.run(100_000)
    pair.do("a", lambda now, out: pair.a.ack(now, leg, out))
    pair.run(100_000)
    pair.do("a", lambda now, out: pair.a.offer(now, leg, out, body=SDP))
    pair.do("b", lambda now, out: pair.b.bye(now, other, out))
    pair.settle()
    said = pair.take("a")
    assert Ended(leg, "bye") in said
    assert of(said, OfferRefused) == of(said, OfferAnswered) == []
    assert of(pair.take("b"), Offered) == []
    assert pair.a.idle()
    assert pair.b.idle()


def test_481_to_an_offer_after_a_bye_that_we_never_heard_ends_the_call_once() -> None:
    calling = talking()
    out = calling.hear(response_to(data_of(calling.offer()), 481))
    assert [type(record) for record in out] == [Transmit, OfferRefused, Ended, DialogEnded]
    # The BYE comes late: there is nothing that it could break.
    assert responses(calling.hear(calling.theirs("BYE", body=""))) == [481]
    calling.wait(60 * SECOND)
    assert calling.end.idle()


def test_offers_that_wait_end_silently_with_their_leg() -> None:
    calling = talking()
    calling.offer()
    calling.offer()
    out = calling.hear(calling.theirs("BYE", body=""))
    assert of(out, OfferRefused) == []
    assert Ended(calling.leg, "bye") in out
    waiting = talking()
    waiting.hear(response_to(data_of(waiting.offer()), 491))
    waiting.do(lambda now, out: waiting.end.bye(now, waiting.leg, out))
    assert of(waiting.wait(60 * SECOND), OfferRefused) == []
    assert waiting.end.idle()
    with pytest.raises(LocalError):
        waiting.offer()


def test_hold_and_resume_come_from_both_sides() -> None:
    pair = Pair()
    leg = pair.invite()
    pair.run(100_000)
    other = pair.take("b")[0].leg  # type: ignore[union-attr]
    pair.do("b", lambda now, out: pair.b.accept(now, other, out, body=SDP))
    pair.run(100_000)
    pair.do("a", lambda now, out: pair.a.ack(now, leg, out))
    pair.run(100_000)
    for name, mine, to, theirs in (("a", leg, "b", other), ("b", other, "a", leg)):
        for body in (b"a=sendonly\r\n", b"a=sendrecv\r\n"):
            pair.take(name)
            pair.take(to)
            pair.do(name, lambda now, out, n=name, m=mine, b=body: pair.ends[n].offer(now, m, out, body=b))  # type: ignore[misc]
            pair.run(100_000)
            (offered,) = of(pair.take(to), Offered)
            assert isinstance(offered, Offered)
            assert offered.request.body == body
            pair.do(to, lambda now, out, n=to, t=theirs: pair.ends[n].answer_offer(now, t, out, body=SDP))  # type: ignore[misc]
            pair.run(100_000)
            assert len(of(pair.take(name), OfferAnswered)) == 1


def test_a_withdrawn_offer_lets_ours_go() -> None:
    called = Called(body="v=0\r\n")
    called.talk()
    called.hear(called.inside("INVITE", 2, body="v=1\r\n"))
    assert called.do(lambda now, out: called.end.offer(now, called.leg, out, body=SDP)) == []
    out = called.hear(called.inside("CANCEL", 2, branch="z9hG4bKINVITE2"))
    assert responses(out) == [200, 487]
    assert OfferWithdrawn(called.leg) in out
    assert requests(out) == []
    assert requests(called.hear(called.inside("ACK", 2, branch="z9hG4bKINVITE2"))) == ["INVITE"]


def test_ours_goes_when_the_ack_to_a_refusal_never_comes() -> None:
    called = Called(body="v=0\r\n")
    called.talk()
    called.hear(called.inside("INVITE", 2, body="v=1\r\n"))
    called.do(lambda now, out: called.end.offer(now, called.leg, out, body=SDP))
    called.do(lambda now, out: called.end.refuse_offer(now, called.leg, 488, out))
    assert requests(called.wait(31_900_000)) == []
    assert requests(called.wait(200_000)) == ["INVITE"]


def test_ours_goes_when_the_last_of_two_refusals_is_acknowledged() -> None:
    called = Called(body="v=0\r\n")
    called.talk()
    (ours,) = sent(called.do(lambda now, out: called.end.offer(now, called.leg, out, body=SDP)))
    called.do(lambda now, out: called.end.offer(now, called.leg, out, body=SDP))
    for number in (2, 3):
        assert responses(called.hear(called.inside("INVITE", number, body="v=1\r\n"))) == [491]
    assert requests(called.hear(response_to(ours.to_bytes(), 488))) == ["ACK"]
    assert requests(called.hear(called.inside("ACK", 2, branch="z9hG4bKINVITE2"))) == []
    assert requests(called.hear(called.inside("ACK", 3, branch="z9hG4bKINVITE3"))) == ["INVITE"]


def test_a_reinvite_without_an_offer_is_answered_with_ours_and_the_ack_has_theirs() -> None:
    called = Called(body="v=0\r\n")
    called.talk()
    (offered,) = of(called.hear(called.inside("INVITE", 2)), Offered)
    assert isinstance(offered, Offered)
    assert offered.request.body == b""
    (answer,) = sent(called.do(lambda now, out: called.end.answer_offer(now, called.leg, out, body=b"v=8\r\n")))
    assert answer.body == b"v=8\r\n"
    # Ours waits for its answer.
    assert responses(called.hear(called.inside("UPDATE", 3, body="v=1\r\n"))) == [491]
    (acked,) = called.hear(called.inside("ACK", 2, body="v=9\r\n"))
    assert isinstance(acked, Acked)
    assert acked.request.body == b"v=9\r\n"
    assert of(called.hear(called.inside("UPDATE", 4, body="v=1\r\n")), Offered)


def test_a_reinvite_that_overtakes_the_ack_is_taken() -> None:
    called = Called(body="v=0\r\n")
    called.accept()
    assert of(called.hear(called.inside("INVITE", 2, body="v=1\r\n")), Offered)
    assert isinstance(called.hear(called.inside("ACK", 1))[0], Acked)
    called.do(lambda now, out: called.end.answer_offer(now, called.leg, out, body=SDP))
    assert isinstance(called.hear(called.inside("ACK", 2))[0], Acked)
    called.wait(60 * SECOND)
    assert called.end.counts()["legs"] == 1


def test_a_reinvite_right_behind_the_ack_is_told_after_it() -> None:
    called = Called(body="v=0\r\n")
    called.accept()
    told = called.hear(called.inside("ACK", 1)) + called.hear(called.inside("INVITE", 2, body="v=1\r\n"))
    assert [type(record) for record in told if not isinstance(record, Transmit)] == [Acked, DialogChanged, Offered]
    # A program that is slow finds it waiting.
    called.wait(10 * SECOND)
    assert responses(called.do(lambda now, out: called.end.answer_offer(now, called.leg, out, body=SDP))) == [200]


def test_what_the_ack_of_a_late_offer_says_is_the_programs() -> None:
    alone = Alone()
    alone.hear(response_to(alone.invite(), 200, more=CONTACT, body="v=1\r\n"))
    (ack,) = sent(alone.do(lambda now, out: alone.end.ack(now, alone.leg, out, body=b"v=held\r\n")))
    assert (ack.body, ack.get("Content-Type")) == (b"v=held\r\n", "application/sdp")


def test_a_reinvite_while_we_have_not_acknowledged_the_answer_crosses() -> None:
    calling = Calling()
    calling.hear(response_to(calling.first, 200, more=CONTACT, body="v=0\r\n"))
    assert responses(calling.hear(calling.theirs("INVITE"))) == [491]


# UPDATE


def test_an_update_with_an_offer_is_told_and_answered_once() -> None:
    called = Called(body="v=0\r\n")
    called.talk()
    update = called.inside("UPDATE", 2, body="v=1\r\n", contact="Contact: <sip:alice@192.0.2.1:5099>\r\n")
    changed, offered = called.hear(update)
    assert isinstance(changed, DialogChanged)
    assert changed.dialog.remote_target == "sip:alice@192.0.2.1:5099"
    assert isinstance(offered, Offered)
    out = called.do(lambda now, out: called.end.answer_offer(now, called.leg, out, body=b"v=2\r\n"))
    (answer,) = sent(out)
    assert isinstance(answer, Response)
    assert (answer.status, answer.body) == (200, b"v=2\r\n")
    assert "UPDATE" in answer.elements("Allow")
    assert called.hear(update) == of(out, Transmit)
    assert called.wait(60 * SECOND) == []


def test_an_update_with_an_offer_is_refused_and_the_next_one_taken() -> None:
    called = Called(body="v=0\r\n")
    called.talk()
    called.hear(called.inside("UPDATE", 2, body="v=1\r\n"))
    assert responses(called.hear(called.inside("UPDATE", 3, body="v=1\r\n"))) == [500]
    assert responses(called.do(lambda now, out: called.end.refuse_offer(now, called.leg, 488, out))) == [488]
    assert of(called.hear(called.inside("UPDATE", 4, body="v=1\r\n")), Offered)


def test_an_update_without_a_body_refreshes_the_target_and_asks_nobody() -> None:
    calling = talking()
    calling.offer()
    more = "Contact: <sip:alice@192.0.2.1:5098>\r\n"
    update = calling.theirs("UPDATE", body="").replace(CONTACT.encode(), more.encode())
    out = calling.hear(update)
    assert responses(out) == [200]
    assert calling.hear(update) == [record for record in out if isinstance(record, Transmit)]
    (changed,) = of(out, DialogChanged)
    assert isinstance(changed, DialogChanged)
    assert changed.dialog.remote_target == "sip:alice@192.0.2.1:5098"


def test_an_update_that_the_program_never_answers_blocks_nothing() -> None:
    called = Called(body="v=0\r\n")
    called.talk()
    called.hear(called.inside("UPDATE", 2, body="v=1\r\n"))
    called.do(lambda now, out: called.end.offer(now, called.leg, out, body=SDP))
    out = called.wait(32 * SECOND)
    assert OfferWithdrawn(called.leg) in out
    assert requests(out) == ["INVITE"]
    with pytest.raises(LocalError):
        called.end.answer_offer(called.now, called.leg, [])


def test_a_request_that_nobody_answers_concerns_no_offer() -> None:
    called = Called(body="v=0\r\n")
    called.talk()
    called.hear(called.inside("INFO", 2))
    assert called.wait(60 * SECOND) == []


def early(more: str = UPDATES) -> Calling:
    """A call of ours whose first exchange is over in a reliable 183."""
    calling = Calling(more=more)
    out = calling.ring(rseq=5, body="v=0\r\n", status=183)
    assert requests(out) == ["PRACK"]
    calling.hear(response_to(data_of(out), 200))
    return calling


def test_an_offer_in_an_early_dialog_is_an_update() -> None:
    calling = early()
    update = data_of(calling.offer(b"v=1\r\n"))
    assert as_request(update).cseq == (3, "UPDATE")
    (answered,) = calling.hear(response_to(update, 200, more="Contact: <sip:alice@192.0.2.1:5097>\r\n", body="v=2\r\n"))
    assert isinstance(answered, OfferAnswered)
    assert answered.offer == 1
    # The target is the new one; there is no ACK for UPDATE.
    info = calling.do(lambda now, out: calling.end.send(now, calling.leg, "INFO", out))
    assert b"INFO sip:alice@192.0.2.1:5097" in data_of(info)


def test_an_offer_in_an_early_dialog_waits_where_the_peer_does_not_allow_update() -> None:
    calling = early(CONTACT)
    assert calling.offer() == []
    calling.hear(response_to(calling.first, 200, more=CONTACT))
    assert requests(calling.do(lambda now, out: calling.end.ack(now, calling.leg, out))) == ["ACK", "INVITE"]


def test_a_request_for_an_offer_waits_for_the_2xx() -> None:
    calling = early()
    assert calling.offer(b"") == []


@pytest.mark.parametrize("status", [488, 481, 408])
def test_a_refused_update_leaves_the_early_dialog(status: int) -> None:
    calling = early()
    (refused,) = calling.hear(response_to(data_of(calling.offer()), status))
    assert isinstance(refused, OfferRefused)
    assert refused.status == status
    assert calling.end.counts()["legs"] == 1


def test_an_update_without_answer_is_refused_with_408() -> None:
    calling = early()
    calling.offer()
    assert OfferRefused(calling.leg, 408, None, 1) in calling.wait(33 * SECOND)
    assert calling.end.counts()["legs"] == 1


def test_the_answer_to_an_update_may_come_after_the_2xx_to_the_invite() -> None:
    calling = early()
    update = data_of(calling.offer())
    assert of(calling.hear(response_to(calling.first, 200, more=UPDATES)), Answered)
    calling.do(lambda now, out: calling.end.ack(now, calling.leg, out))
    out = calling.hear(response_to(update, 200, more="Contact: <sip:alice@192.0.2.1:5096>\r\n", body="v=2\r\n"))
    assert [type(record) for record in out] == [DialogChanged, OfferAnswered]


def test_the_response_to_an_update_of_a_call_that_ended_says_nothing() -> None:
    calling = early()
    update = data_of(calling.offer())
    calling.do(lambda now, out: calling.end.cancel(now, calling.leg, out))
    assert calling.hear(response_to(update, 200, more=CONTACT)) == []
    other = early()
    other.offer()
    other.do(lambda now, out: other.end.cancel(now, other.leg, out))
    assert of(other.wait(70 * SECOND), OfferRefused) == []


def test_the_peers_update_in_an_early_dialog_of_ours_is_told() -> None:
    calling = early()
    assert of(calling.hear(calling.theirs("UPDATE")), Offered)
    assert responses(calling.answer()) == [200]
    # Ours follows.
    assert requests(calling.offer()) == ["UPDATE"]


def test_the_peers_update_before_it_answered_our_offer_crosses() -> None:
    calling = Calling()
    calling.ring()
    assert responses(calling.hear(calling.theirs("UPDATE"))) == [491]


def test_an_update_before_we_answered_the_peers_offer_comes_too_early() -> None:
    called = Called(body="v=0\r\n")
    called.ring()
    assert responses(called.hear(called.inside("UPDATE", 2, body="v=1\r\n"))) == [500]
    asked = Called()
    asked.ring()
    assert responses(asked.hear(asked.inside("UPDATE", 2, body="v=1\r\n"))) == [500]


def test_a_cancelled_call_answers_no_update_that_is_open_or_new() -> None:
    calling = early()
    calling.hear(calling.theirs("UPDATE"))
    out = calling.do(lambda now, out: calling.end.cancel(now, calling.leg, out))
    assert (responses(out), requests(out)) == ([487], ["CANCEL"])
    assert responses(calling.hear(calling.theirs("UPDATE"))) == [481]


def test_a_refused_call_refuses_the_update_that_is_open() -> None:
    calling = early()
    calling.hear(calling.theirs("UPDATE"))
    assert responses(calling.hear(response_to(calling.first, 486))) == [487]
    calling.wait(60 * SECOND)
    assert calling.end.idle()


# Forks


def test_a_leg_that_forks_keeps_each_early_dialog_by_its_tag() -> None:
    calling = Calling(limits=Limits(forks=2))
    for tag in ("x", "y"):
        (prack,) = sent(calling.ring(tag, 1, "v=0\r\n", 183))[:1]
        assert prack.to.tag == tag
        assert prack.cseq[1] == "PRACK"
    # Each has its own order of RSeq.
    assert requests(calling.ring("x", 2)) == requests(calling.ring("y", 2)) == ["PRACK"]
    assert calling.ring("z", 1) == []
    assert calling.ring("z") == []
    assert responses(calling.hear(calling.theirs("INFO", body="", tag="z"))) == [481]


def test_requests_of_two_early_dialogs_have_numbers_of_their_own() -> None:
    calling = Calling()
    calling.ring("x")
    calling.ring("y")
    for tag, number, kinds in (("x", 50, "Requested"), ("y", 7, "Requested"), ("x", 49, "Rejected")):
        out = calling.hear(calling.theirs("INFO", body="", tag=tag, cseq=number))
        assert type(out[-1]).__name__ == kinds


def test_a_request_may_come_before_the_1xx_of_its_early_dialog() -> None:
    calling = Calling()
    assert type(calling.hear(calling.theirs("INFO", body="", tag="x"))[0]).__name__ == "Requested"
    (ringing,) = calling.ring("x")
    assert isinstance(ringing, Ringing)
    info = calling.do(lambda now, out: calling.end.send(now, calling.leg, "INFO", out))
    assert as_request(data_of(info)).to.tag == "x"


def test_an_offer_waits_while_there_is_more_than_one_early_dialog() -> None:
    calling = early()
    calling.ring("other")
    assert calling.offer() == []


def test_an_update_of_a_branch_that_did_not_answer_goes_again_in_the_one_that_did() -> None:
    calling = early()
    update = data_of(calling.offer(b"v=4\r\n"))
    calling.ring("other")
    out = calling.hear(response_to(calling.first, 200, tag="other", more=CONTACT, body="v=0\r\n"))
    assert of(out, Answered)
    out = calling.do(lambda now, out: calling.end.ack(now, calling.leg, out))
    assert requests(out) == ["ACK", "INVITE"]
    again = sent(out)[1]
    assert (again.to.tag, again.body) == ("other", b"v=4\r\n")
    assert calling.hear(response_to(update, 200, more=CONTACT)) == []
    (answered,) = of(calling.hear(response_to(again.to_bytes(), 200, more=CONTACT)), OfferAnswered)
    assert isinstance(answered, OfferAnswered)
    assert answered.offer == 1


def test_the_peers_update_in_a_branch_that_did_not_answer_is_over() -> None:
    calling = early()
    calling.hear(calling.theirs("UPDATE"))
    out = calling.hear(response_to(calling.first, 200, tag="other", more=CONTACT, body="v=0\r\n"))
    assert responses(out) == [487]
    assert OfferWithdrawn(calling.leg) in out
    calling.do(lambda now, out: calling.end.ack(now, calling.leg, out))
    assert requests(calling.offer()) == ["INVITE"]


def test_the_answering_branch_may_bring_the_offer_that_another_brought_before() -> None:
    calling = Calling(body=b"")
    (ringing,) = calling.ring("x", 1, "v=1\r\n", 183)
    assert isinstance(ringing, Ringing)
    assert ringing.offer
    calling.do(lambda now, out: calling.end.prack(now, calling.leg, out, body=SDP))
    out = calling.hear(response_to(calling.first, 200, tag="y", more=CONTACT, body="v=2\r\n"))
    assert of(out, Answered)
    (ack,) = sent(calling.do(lambda now, out: calling.end.ack(now, calling.leg, out, body=b"v=3\r\n")))
    assert (ack.to.tag, ack.body) == ("y", b"v=3\r\n")
    assert requests(calling.offer()) == ["INVITE"]
