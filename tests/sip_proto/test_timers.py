from sip_proto import TimerTable


def test_keys_come_due_in_order_of_deadline_and_then_of_setting() -> None:
    timers: TimerTable[str] = TimerTable()
    for key, at in (("late", 30), ("first", 10), ("second", 10)):
        timers.set(key, at)
    assert timers.next_deadline() == 10
    assert [timers.pop_due(20) for _ in range(3)] == ["first", "second", None]
    assert timers.next_deadline() == 30
    assert len(timers) == 1
    assert "late" in timers


def test_setting_again_moves_a_deadline_both_ways() -> None:
    timers: TimerTable[int] = TimerTable()
    timers.set(1, 10)
    timers.set(1, 20)
    assert timers.pop_due(15) is None
    timers.set(1, 5)
    assert timers.pop_due(5) == 1
    assert timers.next_deadline() is None
    assert timers.pop_due(100) is None


def test_a_cancelled_key_never_comes_due_and_cancelling_twice_is_harmless() -> None:
    timers: TimerTable[int] = TimerTable()
    timers.set(1, 10)
    timers.cancel(1)
    timers.cancel(1)
    assert timers.pop_due(10) is None
    assert len(timers) == 0


def test_cancelled_entries_do_not_pile_up() -> None:
    timers: TimerTable[int] = TimerTable()
    timers.set(0, 1)
    for at in range(10_000):
        timers.set(1, 10 + at)
    assert len(timers._heap) < 200
    assert timers.pop_due(5) == 0
    assert timers.pop_due(100_000) == 1
