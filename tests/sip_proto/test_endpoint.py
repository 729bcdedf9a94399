"""Whole exchanges between two endpoints in virtual time, with and without loss."""

import gc
import random

import pytest

from sip_proto import (
    Acked,
    Answered,
    Cancelled,
    DialogChanged,
    DialogEnded,
    Ended,
    Failed,
    Invited,
    LocalError,
    OfferAnswered,
    Offered,
    OfferRefused,
    Output,
    Requested,
    Responded,
    Ringing,
    Transmit,
    Unanswerable,
)
from tests.sip_proto.alone import Alone
from tests.sip_proto.pair import A, B, Pair, endpoint


def only(records: list[Output], kind: type) -> list[object]:
    return [record for record in records if isinstance(record, kind)]


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


def test_both_hang_up_at_once() -> None:
    pair = Pair()
    leg, other = call(pair)
    pair.do("a", lambda now, out: pair.a.bye(now, leg, out))
    pair.do("b", lambda now, out: pair.b.bye(now, other, out))
    pair.settle()
    assert pair.take("a") == [DialogEnded(leg)]
    assert pair.take("b") == [DialogEnded(other)]
    assert not any(b"481" in data[:15] for _, data in pair.wire)
    assert pair.a.idle()
    assert pair.b.idle()


def test_a_call_is_cancelled() -> None:
    pair = Pair()
    leg = pair.invite()
    pair.run(100_000)
    pair.do("a", lambda now, out: pair.a.cancel(now, leg, out))
    pair.settle()
    (failed,) = pair.take("a")
    assert isinstance(failed, Failed)
    assert failed.status == 487
    assert isinstance(pair.take("b")[1], Cancelled)
    assert pair.a.idle()
    assert pair.b.idle()


def test_reinvites_cross_and_both_go_again_by_themselves() -> None:
    pair = Pair()
    leg, other = call(pair)
    pair.do("a", lambda now, out: pair.a.offer(now, leg, out, body=b"v=1\r\n"))
    pair.do("b", lambda now, out: pair.b.offer(now, other, out, body=b"v=2\r\n"))
    pair.run(1_000)
    pair.run(20_000)
    assert [data[:11] for _, data in pair.wire].count(b"SIP/2.0 491") == 2
    for name, end, mine in (("a", pair.a, leg), ("b", pair.b, other)):
        assert not only(pair.take(name), OfferRefused)
        assert end.counts()["legs"] == 1, mine
    heard = {"a": 0, "b": 0}
    for _ in range(100):
        pair.run(100_000)
        for name, end, mine in (("a", pair.a, leg), ("b", pair.b, other)):
            records = pair.take(name)
            heard[name] += len(only(records, OfferAnswered))
            for _record in only(records, Offered):
                pair.do(name, lambda now, out, end=end, mine=mine: end.answer_offer(now, mine, out, body=b"v=3\r\n"))  # type: ignore[misc]
    assert heard == {"a": 1, "b": 1}


def test_a_restored_dialog_goes_on() -> None:
    pair = Pair()
    leg = pair.invite()
    pair.run(100_000)
    (invited,) = pair.take("b")
    assert isinstance(invited, Invited)
    pair.do("b", lambda now, out: pair.b.accept(now, invited.leg, out))
    pair.run(100_000)
    pair.do("a", lambda now, out: pair.a.ack(now, leg, out))
    pair.run(100_000)
    (changed,) = only(pair.take("b"), DialogChanged)
    assert isinstance(changed, DialogChanged)
    fresh = endpoint(B, b"another", 2)
    fresh.restore(pair.now, changed.dialog)
    for wrong in (changed.dialog,):
        with pytest.raises(LocalError):
            fresh.restore(pair.now, wrong)
    pair.ends["b"] = fresh
    pair.do("b", lambda now, out: fresh.bye(now, changed.dialog.leg, out))
    pair.run(100_000)
    assert Ended(leg, "bye") in pair.take("a")
    pair.settle()
    assert pair.a.idle()
    assert fresh.idle()


def test_a_dialog_that_does_not_fit_is_not_restored() -> None:
    alone = Alone()
    alone.answered()
    (dialog,) = [leg.dialog for leg in alone.end._legs.values()]
    with pytest.raises(LocalError):
        alone.end.restore(0, dialog)
    import msgspec

    with pytest.raises(LocalError):
        alone.end.restore(0, msgspec.structs.replace(dialog, leg=77))
    with pytest.raises(LocalError):
        endpoint(B, b"x").restore(0, msgspec.structs.replace(dialog, listener="tcp"))
    with pytest.raises(LocalError):
        endpoint(B, b"x").restore(0, msgspec.structs.replace(dialog, leg=0))


def test_a_forgotten_leg_leaves_nothing_behind() -> None:
    pair = Pair()
    leg, _ = call(pair)
    pair.do("a", lambda now, out: pair.a.offer(now, leg, out))
    out: list[Output] = []
    pair.a.forget(pair.now, leg, out)
    assert out == []
    assert pair.a.idle()
    with pytest.raises(LocalError):
        pair.a.forget(pair.now, leg, out)


def test_what_is_not_sip_is_named_or_passed_over() -> None:
    alone = Alone()
    (bad,) = alone.hear(b"GET / HTTP/1.1\r\n\r\n")
    assert bad == Unanswerable("udp", A, "start line", 3)
    assert alone.hear(b"\r\n\r\n") == []
    with pytest.raises(LocalError):
        alone.end.receive_datagram(0, "tcp", A, b"", [])
    assert alone.end.next_deadline() is None


@pytest.mark.parametrize("seed", range(60))
def test_calls_come_and_go_whatever_the_link_loses(seed: int) -> None:
    dice = random.Random(seed)
    rate = dice.choice([0.0, 0.1, 0.3, 0.5])
    pair = Pair(lambda count, name, data: dice.random() < rate)
    live: dict[str, set[int]] = {"a": set(), "b": set()}

    def act(name: str) -> None:
        end = pair.ends[name]
        for record in pair.take(name):
            if isinstance(record, Invited):
                choice = dice.randrange(4)
                if choice == 0:
                    pair.do(name, lambda now, out, at=record: end.reject(now, at.leg, 486, out))  # type: ignore[misc]
                else:
                    pair.do(name, lambda now, out, at=record: end.provisional(now, at.leg, 180, out))  # type: ignore[misc]
                    if choice > 1:
                        pair.do(name, lambda now, out, at=record: end.accept(now, at.leg, out))  # type: ignore[misc]
            elif isinstance(record, Answered) or (isinstance(record, OfferAnswered) and record.response.body):
                pair.do(name, lambda now, out, at=record: end.ack(now, at.leg, out))  # type: ignore[misc]
            elif isinstance(record, Offered):
                pair.do(name, lambda now, out, at=record: end.answer_offer(now, at.leg, out))  # type: ignore[misc]
            elif isinstance(record, Requested):
                pair.do(name, lambda now, out, at=record: end.respond(now, at.handle, 200, out))  # type: ignore[misc]
            elif isinstance(record, DialogChanged):
                live[name].add(record.dialog.leg)
            elif isinstance(record, DialogEnded):
                live[name].discard(record.leg)

    def try_something() -> None:
        name = dice.choice("ab")
        end = pair.ends[name]
        legs = sorted(end._legs)
        if not legs:
            return
        leg = dice.choice(legs)
        deed = dice.choice([end.bye, end.cancel, end.offer, end.accept])
        try:
            pair.do(name, lambda now, out: deed(now, leg, out))
        except LocalError:
            if dice.random() < 0.3:
                try:
                    pair.do(name, lambda now, out: end.send(now, leg, "INFO", out))
                except LocalError:
                    return

    for _ in range(10):
        pair.invite()
        for _ in range(dice.randrange(1, 12)):
            pair.step()
            act("a")
            act("b")
        try_something()
        try_something()
    while True:
        while pair.step():
            act("a")
            act("b")
        left = [(name, leg) for name, end in pair.ends.items() for leg in sorted(end._legs)]
        if not left:
            break
        assert all(leg in pair.ends[name]._legs for name in live for leg in live[name])
        for name, leg in left:
            end = pair.ends[name]
            for deed in (end.bye, end.cancel, lambda now, at, out, end=end: end.reject(now, at, 480, out)):
                try:
                    pair.do(name, lambda now, out, deed=deed, leg=leg: deed(now, leg, out))  # type: ignore[misc]
                    break
                except LocalError:
                    continue
    assert pair.a.idle()
    assert pair.b.idle()
    assert live == {"a": set(), "b": set()}


def test_the_same_seed_and_inputs_give_the_same_bytes() -> None:
    def run() -> list[tuple[str, bytes]]:
        pair = Pair()
        leg, _ = call(pair)
        pair.do("a", lambda now, out: pair.a.bye(now, leg, out))
        pair.settle()
        return pair.wire

    assert run() == run()


def test_a_register_is_asked_and_answered() -> None:
    pair = Pair()
    handle = pair.do(
        "a",
        lambda now, out: pair.a.request(
            now,
            out,
            method="REGISTER",
            listener="udp",
            destination=B,
            uri="sip:h",
            from_="<sip:1@h>",
            to="<sip:1@h>",
        ),
    )
    pair.run(100_000)
    (asked,) = pair.take("b")
    assert isinstance(asked, Requested)
    assert asked.leg == 0
    pair.do("b", lambda now, out: pair.b.respond(now, asked.handle, 401, out, headers=[("WWW-Authenticate", "x")]))
    pair.run(100_000)
    (responded,) = pair.take("a")
    assert isinstance(responded, Responded)
    assert responded.handle == handle
    assert responded.response is not None
    assert responded.response.get("WWW-Authenticate") == "x"


def test_finished_calls_leave_no_cycles_behind() -> None:
    pair = Pair()
    call(pair)
    gc.collect()
    gc.disable()
    try:
        for _ in range(50):
            leg, _ = call(pair)
            pair.do("a", lambda now, out, leg=leg: pair.a.bye(now, leg, out))  # type: ignore[misc]
            pair.settle()
            pair.take("a")
            pair.take("b")
        pair.wire.clear()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = [thing for thing in gc.garbage if type(thing).__module__.startswith("sip_proto")]
        assert left == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def test_timeouts_that_come_early_do_nothing() -> None:
    alone = Alone()
    sent = alone.invite()
    assert alone.do(alone.end.handle_timeout) == []
    alone.now += 500_000
    assert alone.do(alone.end.handle_timeout) == [Transmit("udp", A, sent)]
