"""The events that reporting sessions were or will be told: numbered for each session, durable, bounded (design 4, 8).

The numbers of a session have no hole, and events leave at the old end alone: what is kept is always one range.
"""

from __future__ import annotations

from cluster_core.core import Core
from cluster_core.outputs import AnyOutput
from cluster_core.records import BacklogRecord, ReportingRecord

_PER_EVENT = 500
"""Octets that an event takes beside its frame, about."""
_AT_ONCE = 2_000
"""Events of a session which leave the store in one step: those of very many go on leaving by the timer."""


class Backlog:
    """The kept events of every session; whoever adds or drops some finds `first` and `next` of the record moved."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._octets: dict[str, int] = {}
        self._leaving: dict[str, tuple[int, int]] = {}

    def octets(self, record: ReportingRecord) -> int:
        """What the events of a session take, about, with those that are leaving."""
        return self._octets.get(record.session_id, 0)

    def add(self, now: int, record: ReportingRecord, frame: bytes) -> None:
        """Keep the next event of a session."""
        key = record.session_id
        number, record.next = record.next, record.next + 1
        kept = BacklogRecord(key, number, self._core.wall_us(now), frame)
        self._core.store.put("backlog", _key(key, number), kept)
        self._core.store.put("reporting", key, record)
        self._octets[key] = self._octets.get(key, 0) + len(frame) + _PER_EVENT

    def skip(self, record: ReportingRecord) -> None:
        """The next event of a session of which nothing is kept has left."""
        assert record.first == record.next, "what is kept has no hole"
        record.next += 1
        record.first = record.next
        self._core.store.put("reporting", record.session_id, record)

    def frame(self, record: ReportingRecord, number: int) -> bytes:
        """A kept event, from `first` to before `next`."""
        return self._row(record.session_id, number).frame

    def drop(self, now: int, record: ReportingRecord, before: int) -> None:
        """Events before that number are not needed any more; of those that were never added nothing is dropped."""
        key, first, end = record.session_id, record.first, min(before, record.next)
        if end <= first:
            return
        record.first = end
        self._core.store.put("reporting", key, record)
        if key not in self._leaving and end - first < _AT_ONCE:
            self._leave(key, first, end)
            return
        self._leaving[key] = (self._leaving.get(key, (first, end))[0], end)
        self._core.arm("backlog", key, now + 1)

    def excess(self, now: int, record: ReportingRecord) -> int:
        """The number from which events may stay: those before it are too many, too much, or too old (`Limits`).

        Of very many it names the first; no more while those are leaving.
        """
        if record.session_id in self._leaving:
            return record.first
        limits, number = self._core.limits, record.first
        end = min(record.next, number + _AT_ONCE)
        oldest_us = self._core.wall_us(now) - limits.backlog_us
        octets = self.octets(record)
        while number < end:
            row = self._row(record.session_id, number)
            few = record.next - number <= limits.backlog_events and octets <= limits.backlog_bytes
            if few and row.at_us >= oldest_us:
                break
            octets -= len(row.frame) + _PER_EVENT
            number += 1
        return number

    def forget(self, now: int, record: ReportingRecord, out: list[AnyOutput]) -> None:
        """A session is over; very many events leave step by step."""
        key = record.session_id
        self._leaving[key] = (self._leaving.get(key, (record.first, 0))[0], record.next)
        self.timeout(now, key, out)
        self._octets.pop(key, None)

    def timeout(self, now: int, key: str, out: list[AnyOutput]) -> None:
        """Time for the next step of what is leaving of a session."""
        first, end = self._leaving.pop(key)
        step = min(end, first + _AT_ONCE)
        self._leave(key, first, step)
        if step < end:
            self._leaving[key] = (step, end)
        self._core.arm("backlog", key, now + 1 if step < end else None)

    def check(self, records: dict[str, ReportingRecord]) -> None:
        """Assert that the store holds the range of each session and what is leaving, and nothing else."""
        rows = self._core.store.rows("backlog")
        leaving = {
            key: [rows[_key(key, number)] for number in range(first, end) if _key(key, number) in rows]
            for key, (first, end) in self._leaving.items()
        }
        kept = sum(record.next - record.first for record in records.values())
        assert len(rows) == kept + sum(map(len, leaving.values())), "events of no session"
        for key, record in records.items():
            held = [self._row(key, number) for number in range(record.first, record.next)] + leaving.get(key, [])
            assert self.octets(record) == sum(len(row.frame) + _PER_EVENT for row in held), f"octets of {record.name}"
        assert all(key in records for key in self._octets), "octets of no session"

    def _leave(self, key: str, first: int, end: int) -> None:
        """Events of a range leave the store; numbers that were skipped have none."""
        octets = self._octets.get(key, 0)
        for number in range(first, end):
            row = self._core.store.get("backlog", _key(key, number))
            if row is not None:
                octets -= len(row.frame) + _PER_EVENT
                self._core.store.drop("backlog", _key(key, number))
        if octets > 0:
            self._octets[key] = octets
        else:
            self._octets.pop(key, None)

    def _row(self, key: str, number: int) -> BacklogRecord:
        row = self._core.store.get("backlog", _key(key, number))
        assert isinstance(row, BacklogRecord), f"event {number} is not kept"
        return row


def _key(session_id: str, number: int) -> str:
    return f"{session_id}/{number:016d}"
