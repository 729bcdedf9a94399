"""What is kept for a reporting session: one range of numbers, in the store and nowhere else, within its bounds."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cluster_core.backlog import Backlog
from cluster_core.core import Core
from cluster_core.records import ReportingRecord
from tests.cluster_core.alone import settings

HOUR_US = 3_600_000_000


def made(**limits: int) -> tuple[Core, Backlog, ReportingRecord]:
    """A backlog and a session of it whose next event is number 5."""
    core = Core(settings(limits=msgspec.structs.replace(settings().limits, **limits)), "n1", "a", b"seed")
    record = ReportingRecord("s1", "icon", "ICON", False, 5, 5, 5)
    core.store.put("reporting", "s1", record)
    return core, Backlog(core), record


def checked(backlog: Backlog, record: ReportingRecord) -> tuple[int, int]:
    backlog.check({record.session_id: record})
    return record.first, record.next


def test_what_is_added_is_found_by_its_number():
    _, backlog, record = made()
    for number in range(3):
        backlog.add(number, record, b"frame %d" % number)
    assert checked(backlog, record) == (5, 8)
    assert [backlog.frame(record, number) for number in (5, 6, 7)] == [b"frame 0", b"frame 1", b"frame 2"]
    assert backlog.octets(record) > 21


@pytest.mark.parametrize(
    ("before", "first"), [(0, 5), (5, 5), (6, 6), (8, 8), (9, 8)], ids=["never", "none", "one", "all", "beyond"]
)
def test_what_is_dropped_leaves_at_the_old_end(before: int, first: int):
    core, backlog, record = made()
    for number in range(3):
        backlog.add(number, record, b"frame")
    backlog.drop(0, record, before)
    assert checked(backlog, record) == (first, 8)
    assert len(core.store.rows("backlog")) == 8 - first
    assert (backlog.octets(record) == 0) == (first == 8)


def test_what_is_skipped_takes_a_number_and_no_room():
    core, backlog, record = made()
    backlog.skip(record)
    backlog.add(0, record, b"frame")
    assert checked(backlog, record) == (6, 7)
    assert len(core.store.rows("backlog")) == 1


@pytest.mark.parametrize(
    ("limits", "at_us", "keep_from"),
    [
        ({}, 0, 5),
        ({"backlog_events": 4}, 0, 11),
        ({"backlog_bytes": 4 * 600}, 0, 11),
        ({"backlog_bytes": 4 * 600 - 1}, 0, 12),
        ({}, HOUR_US, 5),
        ({}, HOUR_US + 1, 6),
        ({}, 2 * HOUR_US, 15),
        ({"backlog_events": 4}, HOUR_US + 8, 13),
    ],
)
def test_too_many_too_much_too_old(limits: dict[str, int], at_us: int, keep_from: int):
    _, backlog, record = made(**limits)
    for number in range(10):
        backlog.add(number, record, bytes(100))
    assert backlog.excess(at_us, record) == keep_from


def test_very_much_that_is_not_needed_any_more_leaves_step_by_step():
    core, backlog, record = made()
    for number in range(5_000):
        backlog.add(number, record, b"frame")
    out: list[Any] = []
    backlog.forget(0, record, out)
    core.store.drop("reporting", "s1")
    left = [len(core.store.rows("backlog"))]
    backlog.check({})
    while (at := core.timers.next_deadline()) is not None:
        due = core.timers.pop_due(at)
        assert due == ("backlog", "s1")
        backlog.timeout(at, "s1", out)
        left.append(len(core.store.rows("backlog")))
    assert left == [3_000, 1_000, 0]
    assert backlog.octets(record) == 0


def steps(core: Core, backlog: Backlog) -> list[int]:
    """How many rows change with each step of the timer, until it is not set any more."""
    core.store.changes()
    changed = []
    while (at := core.timers.next_deadline()) is not None:
        assert core.timers.pop_due(at) == ("backlog", "s1")
        backlog.timeout(at, "s1", [])
        changed.append(len(core.store.changes()))
    return changed


def test_very_much_that_is_dropped_is_not_kept_at_once_and_leaves_step_by_step():
    core, backlog, record = made()
    for number in range(5_000):
        backlog.add(number, record, b"frame")
    core.store.changes()
    backlog.drop(0, record, 4_505)
    assert [change.table for change in core.store.changes()] == ["reporting"]
    assert checked(backlog, record) == (4_505, 5_005)
    # what is dropped meanwhile leaves behind it
    backlog.drop(0, record, 4_605)
    backlog.add(0, record, b"last")
    assert checked(backlog, record) == (4_605, 5_006)
    assert backlog.frame(record, 5_005) == b"last"
    assert steps(core, backlog) == [2_000, 2_000, 600]
    assert checked(backlog, record) == (4_605, 5_006)
    assert len(core.store.rows("backlog")) == 401


def test_very_much_that_is_too_old_leaves_in_parts_however_many_events_come_at_once():
    core, backlog, record = made()
    for number in range(5_000):
        backlog.add(number, record, b"frame")
    core.store.changes()
    parts = []
    while record.first < 5_005:
        for _ in range(10):
            backlog.add(2 * HOUR_US, record, b"now")
            backlog.drop(2 * HOUR_US, record, backlog.excess(2 * HOUR_US, record))
        parts.append((record.first, len(core.store.changes())))
        checked(backlog, record)
        parts += [(record.first, changed) for changed in steps(core, backlog)]
    assert parts == [(2_005, 11), (2_005, 2_000), (4_005, 11), (4_005, 2_000), (5_005, 1_011)]
    assert checked(backlog, record) == (5_005, 5_035)


def test_a_session_may_end_while_very_much_of_it_is_leaving():
    core, backlog, record = made()
    for number in range(5_000):
        backlog.add(number, record, b"frame")
    backlog.drop(0, record, 3_005)
    core.store.drop("reporting", "s1")
    core.store.changes()
    backlog.forget(0, record, [])
    assert len(core.store.changes()) == 2_000
    backlog.check({})
    assert steps(core, backlog) == [2_000, 1_000]
    backlog.check({})
    assert not core.store.rows("backlog")


def test_numbers_that_are_skipped_while_very_much_is_leaving_have_no_rows():
    core, backlog, record = made()
    for number in range(2_500):
        backlog.add(number, record, b"frame")
    backlog.drop(0, record, record.next)
    backlog.skip(record)
    backlog.add(0, record, b"frame")
    backlog.drop(0, record, record.next)
    assert checked(backlog, record) == (2_507, 2_507)
    assert steps(core, backlog) == [2_000, 501]
    assert checked(backlog, record) == (2_507, 2_507)
    assert backlog.octets(record) == 0
