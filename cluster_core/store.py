"""The second wall: the named tables of everything durable, and the notes of what changed in them (design 4).

`put` and `drop` are the only writers. What they noted leaves encoded, so that a record changed without `put`
shows as a difference in the store at the other end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from cluster_core.coordinator_records import OwnerRecord
from cluster_core.errors import LocalError
from cluster_core.outputs import Change
from cluster_core.packing import pack, unpacker
from cluster_core.records import (
    AgentRecord,
    BacklogRecord,
    CallRecord,
    DnRecord,
    FeatureRecord,
    InteractionRecord,
    MarkRecord,
    PartyRecord,
    RegistrationRecord,
    ReportingRecord,
    SessionRecord,
)
from sip_proto import Dialog

Key = int | str


class Table(msgspec.Struct, frozen=True):
    """One table: the type of its records, their schema number, and the type of its keys (int or str)."""

    record: Any
    schema: int
    key: type[int] | type[str]


TABLES: dict[str, Table] = {
    "dns": Table(DnRecord, 1, str),
    "agents": Table(AgentRecord, 1, str),
    "features": Table(FeatureRecord, 1, str),
    "sessions": Table(SessionRecord, 1, str),
    "registrations": Table(RegistrationRecord, 1, str),
    "calls": Table(CallRecord, 1, int),
    "parties": Table(PartyRecord, 1, int),
    "dialogs": Table(Dialog, 1, int),
    "owners": Table(OwnerRecord, 1, str),
    "marks": Table(MarkRecord, 1, str),
    "interactions": Table(InteractionRecord, 1, int),
    "reporting": Table(ReportingRecord, 1, str),
    "backlog": Table(BacklogRecord, 1, str),
}

_UNPACKERS = {name: unpacker(table.record) for name, table in TABLES.items()}
_INT_KEY = re.compile(r"-?[0-9]{1,20}", re.ASCII)


class Store:
    """The durable tables of one node (design 4)."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[Any, Any]] = {name: {} for name in TABLES}
        self._noted: dict[tuple[str, Key], None] = {}

    def get(self, table: str, key: Key) -> Any:
        """The record of that key, or None; KeyError for a table that does not exist."""
        return self._tables[table].get(key)

    def put(self, table: str, key: Key, record: Any) -> None:
        """Store a new or changed record and note its key; LocalError for a wrong table, key or type."""
        known = TABLES.get(table)
        if known is None or type(key) is not known.key or type(record) is not known.record:
            raise LocalError(f"{type(record).__name__} at {key!r} does not belong into table {table!r}")
        self._tables[table][key] = record
        self._noted[table, key] = None

    def drop(self, table: str, key: Key) -> None:
        """Take a record out and note its key; nothing happens if there is none."""
        if self._tables[table].pop(key, None) is not None:
            self._noted[table, key] = None

    def rows(self, table: str) -> dict[Any, Any]:
        """All records of a table by key, in order of arrival; to read: take a copy to write while walking."""
        return self._tables[table]

    def changes(self) -> tuple[Change, ...]:
        """What was noted since the last call: each key once, as it is now, in order of its first note."""
        if not self._noted:
            return ()
        said = []
        for table, key in self._noted:
            record = self._tables[table].get(key)
            data = None if record is None else pack(record)
            said.append(Change(table, str(key), TABLES[table].schema, data))
        self._noted.clear()
        return tuple(said)

    def apply(self, changes: Iterable[Change]) -> None:
        """Take over what another member's store noted; nothing of it is noted here.

        Tables and fields of a newer version are passed over. LocalError names the table and key of what
        cannot be decoded, and then nothing was applied.
        """
        decoded: list[tuple[str, Key, Any]] = []
        for change in changes:
            table = TABLES.get(change.table)
            if table is None:
                continue
            key: Key = change.key
            if table.key is int:
                if not _INT_KEY.fullmatch(change.key):
                    raise LocalError(f"table {change.table!r} has no key {change.key[:64]!r}: not a number")
                key = int(change.key)
            record = None
            if change.record is not None:
                try:
                    record = _UNPACKERS[change.table].unpack(change.record)
                except (ValueError, RecursionError) as error:
                    raise LocalError(f"table {change.table!r}, key {change.key[:64]!r}: {error}") from error
            decoded.append((change.table, key, record))
        for name, key, record in decoded:
            if record is None:
                self._tables[name].pop(key, None)
            else:
                self._tables[name][key] = record

    def same_as(self, other: Store) -> list[str]:
        """What differs, as `table/key`, empty for equal tables; for tests and invariants."""
        differing = []
        for name, mine in self._tables.items():
            theirs = other._tables[name]
            for key in [*mine, *(key for key in theirs if key not in mine)]:
                if mine.get(key) != theirs.get(key):
                    differing.append(f"{name}/{key}")
        return differing
