"""Offers taken back: before they went out, between two tries, when they are out (RFC 3261 sections 9, 14)."""

from functools import partial

import pytest

from sip_proto import (
    Answered,
    Invited,
    LocalError,
    OfferAnswered,
    Offered,
    OfferRefused,
    OfferWithdrawn,
    Output,
)
from tests.sip_proto.pair import Pair

SDP = b"v=0\r\n"


def call() -> tuple[Pair, int, int]:
    """An answered call."""
    pair = Pair()
    leg = pair.invite()
    pair.run()
    (theirs,) = [record.leg for record in pair.take("b") if isinstance(record, Invited)]
    pair.do("b", partial(accept, pair, theirs))
    pair.run()
    assert any(isinstance(record, Answered) for record in pair.take("a"))
    pair.do("a", lambda now, out: pair.a.ack(now, leg, out))
    pair.run()
    pair.take("b")
    return pair, leg, theirs


def accept(pair: Pair, leg: int, now: int, out: list[Output]) -> None:
    pair.b.accept(now, leg, out, body=SDP)


def offer(pair: Pair, leg: int, body: bytes = SDP) -> int:
    number = pair.do("a", lambda now, out: pair.a.offer(now, leg, out, body=body))
    assert isinstance(number, int)
    return number


def withdraw(pair: Pair, leg: int, number: int) -> bool:
    return bool(pair.do("a", lambda now, out: pair.a.withdraw_offer(now, leg, number, out)))


def offers(records: list[Output]) -> list[Output]:
    return [r for r in records if isinstance(r, Offered | OfferAnswered | OfferRefused | OfferWithdrawn)]


def finish(pair: Pair, leg: int) -> None:
    pair.do("a", lambda now, out: pair.a.bye(now, leg, out))
    pair.settle()
    assert pair.a.idle()
    assert pair.b.idle()


def test_one_that_waits_for_another_never_goes_out() -> None:
    pair, leg, theirs = call()
    first, second, third = offer(pair, leg), offer(pair, leg, b"v=0\r\ns=2\r\n"), offer(pair, leg, b"v=0\r\ns=3\r\n")
    assert withdraw(pair, leg, second)
    assert not withdraw(pair, leg, second)
    pair.run()
    pair.do("b", lambda now, out: pair.b.answer_offer(now, theirs, out, body=SDP))
    pair.run()
    pair.do("b", lambda now, out: pair.b.answer_offer(now, theirs, out, body=SDP))
    pair.run()
    bodies = [record.request.body for record in pair.take("b") if isinstance(record, Offered)]
    assert bodies == [SDP, b"v=0\r\ns=3\r\n"]
    answered = [record.offer for record in pair.take("a") if isinstance(record, OfferAnswered)]
    assert answered == [first, third]
    finish(pair, leg)


def test_one_that_crossed_another_is_not_sent_again() -> None:
    pair, leg, theirs = call()
    ours = offer(pair, leg)
    pair.do("b", lambda now, out: pair.b.offer(now, theirs, out, body=SDP))
    pair.run(200_000)
    assert withdraw(pair, leg, ours)
    pair.run(5_000_000)
    assert [type(record) for record in offers(pair.take("a"))] == [Offered]
    pair.do("a", lambda now, out: pair.a.answer_offer(now, leg, out, body=SDP))
    pair.run()
    assert [type(record) for record in offers(pair.take("b"))] == [OfferAnswered]
    finish(pair, leg)


def test_what_waits_behind_it_need_not_wait_any_longer() -> None:
    pair, leg, theirs = call()
    ours = offer(pair, leg)
    pair.do("b", lambda now, out: pair.b.offer(now, theirs, out, body=SDP))
    pair.run(25_000)
    behind = offer(pair, leg, b"v=0\r\ns=2\r\n")
    pair.run(50_000)
    assert withdraw(pair, leg, ours)
    pair.run(50_000)
    assert [record.request.body for record in pair.take("b") if isinstance(record, Offered)] == [b"v=0\r\ns=2\r\n"]
    pair.do("b", lambda now, out: pair.b.answer_offer(now, theirs, out, body=SDP))
    pair.run(50_000)
    assert [record.offer for record in pair.take("a") if isinstance(record, OfferAnswered)] == [behind]
    finish(pair, leg)


def test_another_is_withdrawn_while_one_pauses() -> None:
    pair, leg, theirs = call()
    offer(pair, leg)
    pair.do("b", lambda now, out: pair.b.offer(now, theirs, out, body=SDP))
    pair.run(25_000)
    behind = offer(pair, leg, b"v=0\r\ns=2\r\n")
    pair.run(50_000)
    assert withdraw(pair, leg, behind)
    pair.run(5_000_000)
    assert [type(record) for record in offers(pair.take("a"))] == [Offered]
    finish(pair, leg)


def test_one_that_is_out_is_cancelled_and_its_outcome_told() -> None:
    pair, leg, _ = call()
    number = offer(pair, leg)
    pair.run(50_000)
    assert not withdraw(pair, leg, number)
    pair.run()
    assert [type(record) for record in offers(pair.take("b"))] == [Offered, OfferWithdrawn]
    assert [(r.status, r.offer) for r in pair.take("a") if isinstance(r, OfferRefused)] == [(487, number)]
    finish(pair, leg)


def test_one_that_nobody_has_heard_yet_takes_its_course() -> None:
    pair, leg, theirs = call()
    number = offer(pair, leg)
    assert not withdraw(pair, leg, number)
    pair.run()
    assert [type(record) for record in offers(pair.take("b"))] == [Offered]
    pair.do("b", lambda now, out: pair.b.answer_offer(now, theirs, out, body=SDP))
    pair.run()
    assert not withdraw(pair, leg, number)
    finish(pair, leg)
    with pytest.raises(LocalError):
        withdraw(pair, leg, number)
