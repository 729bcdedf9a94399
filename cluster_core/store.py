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
from cluster_core.records import (
    AgentRecord,
    CallRecord,
    DnRecord,
    InteractionRecord,
    MarkRecord,
    PartyRecord,
    RegistrationRecord,
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
    "sessions": Table(SessionRecord, 1, str),
    "registrations": Table(RegistrationRecord, 1, str),
    "calls": Table(CallRecord, 1, int),
    "parties": Table(PartyRecord, 1, int),
    "dialogs": Table(Dialog, 1, int),
    "owners": Table(OwnerRecord, 1, str),
    "marks": Table(MarkRecord, 1, str),
    "interactions": Table(InteractionRecord, 1, int),
}

_DECODERS: dict[str, msgspec.msgpack.Decoder[Any]] = {
    name: msgspec.msgpack.Decoder(table.record) for name, table in TABLES.items()
}
_ENCODE = msgspec.msgpack.Encoder().encode
_INT_KEY = re.compile(r"-?[0-9]{1,20}", re.ASCII)

# msgpack text is UTF-8, but what a peer sent undecodable holds surrogates, U+DC80 to U+DCFF. They travel as
# U+10FF80 to U+10FFFF, which nobody uses; should somebody use them, U+10FF00 goes before. All of U+10FF00 to
# U+10FFFF begins with these two octets: a record without them, which is nearly every one, takes no detour.
_DETOUR = b"\xf4\x8f"
_ESCAPE = "\U0010ff00"
_TO_ESCAPE = re.compile("[\udc80-\udcff\U0010ff00-\U0010ffff]")
_ESCAPED = re.compile("\U0010ff00(.)|([\U0010ff80-\U0010ffff])", re.DOTALL)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return chr(code - 0xDC00 + 0x10FF00) if code < 0x10000 else _ESCAPE + found[0]


def _unescape(found: re.Match[str]) -> str:
    return found[1] or chr(ord(found[2]) - 0x10FF00 + 0xDC00)


def _map_text(value: Any, pattern: re.Pattern[str], replace: Any) -> Any:
    if isinstance(value, str):
        return pattern.sub(replace, value)
    if isinstance(value, dict):
        return {k: _map_text(v, pattern, replace) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_map_text(v, pattern, replace) for v in value]
    return value


def _encode(record: Any) -> bytes:
    try:
        data = _ENCODE(record)
    except UnicodeEncodeError:
        pass
    else:
        if _DETOUR not in data:
            return data
    plain = msgspec.to_builtins(record, builtin_types=(bytes,))
    return _ENCODE(_map_text(plain, _TO_ESCAPE, _escape))


def _decode(table: str, data: bytes) -> Any:
    if _DETOUR not in data:
        return _DECODERS[table].decode(data)
    plain = _map_text(msgspec.msgpack.decode(data), _ESCAPED, _unescape)
    return msgspec.convert(plain, TABLES[table].record, builtin_types=(bytes,))


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
        """All records of a table by key, in order of arrival; for reading, take a copy to write while walking."""
        return self._tables[table]

    def changes(self) -> tuple[Change, ...]:
        """What was noted since the last call: each key once, as it is now, in order of its first note."""
        if not self._noted:
            return ()
        said = []
        for table, key in self._noted:
            record = self._tables[table].get(key)
            data = None if record is None else _encode(record)
            said.append(Change(table, str(key), TABLES[table].schema, data))
        self._noted.clear()
        return tuple(said)

    def apply(self, changes: Iterable[Change]) -> None:
        """Take over what another member's store noted; nothing of it is noted here.

        Tables and fields of a newer version are passed over. LocalError names the table and key of what cannot
        be decoded, and then nothing was applied.
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
                    record = _decode(change.table, change.record)
                except (msgspec.DecodeError, ValueError, TypeError, IndexError) as error:
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
