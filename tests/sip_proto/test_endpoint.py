"""Whole exchanges between two endpoints in virtual time."""

from sip_proto import Acked, Answered, DialogChanged, DialogEnded, Ended, Invited, Ringing
from tests.sip_proto.pair import Pair


def kinds(records: list[object]) -> list[str]:
    return [type(record).__name__ for record in records]


def call(pair: Pair) -> tuple[int, int]:
    leg = pair.invite()
    pair.run(100_000)
    (invited,) = pair.take("b")
    assert isinstance(invited, Invited)
    pair.do("b", lambda now, out: pair.b.provisional(now, invited.leg, 180, out))
    pair.run(100_000)
    (ringing,) = pair.take("a")
    assert isinstance(ringing, Ringing)
    assert ringing.response.status == 180
    pair.do("b", lambda now, out: pair.b.accept(now, invited.leg, out, body=b"v=0\r\n"))
    pair.run(100_000)
    changed, answered = pair.take("a")
    assert isinstance(changed, DialogChanged)
    assert isinstance(answered, Answered)
    pair.do("a", lambda now, out: pair.a.ack(now, leg, out))
    pair.run(100_000)
    changed, acked = pair.take("b")
    assert isinstance(changed, DialogChanged)
    assert isinstance(acked, Acked)
    return leg, invited.leg


def test_a_call_is_set_up_and_the_caller_hangs_up() -> None:
    pair = Pair()
    leg, other = call(pair)
    pair.do("a", lambda now, out: pair.a.bye(now, leg, out))
    assert pair.take("a") == [DialogEnded(leg)]
    pair.run(100_000)
    assert pair.take("b") == [Ended(other, "bye"), DialogEnded(other)]
    pair.settle()
    assert pair.a.idle()
    assert pair.b.idle()


def test_a_call_is_set_up_and_the_callee_hangs_up() -> None:
    pair = Pair()
    leg, other = call(pair)
    pair.do("b", lambda now, out: pair.b.bye(now, other, out))
    pair.run(100_000)
    assert pair.take("a") == [Ended(leg, "bye"), DialogEnded(leg)]
    pair.settle()
    assert pair.a.idle()
    assert pair.b.idle()
