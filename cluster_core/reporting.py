"""What a reporting client says in the Extensions of RequestPrivateService, and what it is told of its session.

The keys are those of the published draft of Interaction Proxy; SessionEnd, Acknowledged and the values of the answer
are ours (decision 0013).
"""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec

from tlib_proto import KVList, KVValue

SEQUENCE_ID = "SequenceId"
"""The key, in requests and events, of an event's number in its session: 16 decimal digits."""
_SEQUENCE = re.compile(r"[0-9]{16}", re.ASCII)
_TRUTH: dict[KVValue, bool] = {0: False, 1: True, "0": False, "1": True, "false": False, "true": True}


class Status(StrEnum):
    """`session-status` of the answer: what of the session's events the client gets."""

    NEW = "new"
    RESUMED = "resumed"
    GAP = "gap"
    ACTIVE = "active"
    ENDED = "ended"


class Asked(msgspec.Struct, frozen=True):
    """A request of a reporting client: `name` is its SessionId, `after` the event it heard last, `wants` the keys of
    user data that it wants (None for all), `acknowledged` the event up to which it needs none again.
    """

    name: str = ""
    after: int | None = None
    wants: tuple[str, ...] | None = None
    snapshot: bool = True
    acknowledged: int | None = None
    ends: bool = False


def read(pairs: KVList, cluster: str, node: str, name_chars: int, filter_keys: int) -> Asked | str:
    """The request, or the key whose value is no good; keys that nobody knows mean nothing."""
    given = dict(pairs)
    for key, mine in (("ClusterId", cluster), ("NodeId", node)):
        if given.get(key, mine) != mine:
            return key
    name = given.get("SessionId", "")
    if not isinstance(name, str) or len(name) > name_chars:
        return "SessionId"
    after, acknowledged = given.get(SEQUENCE_ID), given.get("Acknowledged")
    if not _is_place(after):
        return SEQUENCE_ID
    if not _is_place(acknowledged):
        return "Acknowledged"
    snapshot, ends = _truth(given.get("InteractionSnapshot", 1)), _truth(given.get("SessionEnd", 0))
    if snapshot is None:
        return "InteractionSnapshot"
    if ends is None:
        return "SessionEnd"
    wants = None
    if "UdataFilter" in given:
        keys = given["UdataFilter"]
        if not isinstance(keys, tuple) or len(keys) > filter_keys:
            return "UdataFilter"
        wants = tuple(key for _, key in keys if isinstance(key, str))
    return Asked(name, _place(after), wants, snapshot, _place(acknowledged), ends)


def sequence_id(number: int) -> str:
    """An event's number as it stands in Extensions."""
    return f"{number:016d}"


def narrowed(data: KVList, wants: tuple[str, ...]) -> KVList:
    """User data with the keys alone that a client wants."""
    keys = frozenset(wants)
    return tuple((key, value) for key, value in data if key in keys)


def _is_place(value: KVValue | None) -> bool:
    return value is None or (isinstance(value, str) and _SEQUENCE.fullmatch(value) is not None)


def _place(value: KVValue | None) -> int | None:
    return int(value) if isinstance(value, str) else None


def _truth(value: KVValue) -> bool | None:
    return _TRUTH.get(value.lower() if isinstance(value, str) else value) if isinstance(value, str | int) else None
