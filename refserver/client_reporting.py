"""Where a reporting session is at each server, so that it goes on behind what was heard last; no I/O (ours)."""

from __future__ import annotations

from refserver.client_requests import Pairs, pairs_of
from tlib_proto.constants import Attribute, MessageType
from tlib_proto.records import KVList, KVValue, Message

SEQUENCE_ID = "SequenceId"
"""The key of an event's number in its session: 16 decimal digits; in Extensions of events and of requests."""


def sequence_id(message: Message) -> str:
    """The number of an event of a reporting session, to be given back as it is; empty for any other message."""
    found = _pairs(message).get(SEQUENCE_ID)
    return found if isinstance(found, str) else ""


class Reporting:
    """A session by its name and what else is asked for; `feed` it every message of each server, in order.

    `extensions` may hold SequenceId, the last event that was heard before this client began.
    """

    def __init__(self, name: str, extensions: Pairs = ()) -> None:
        given = dict(pairs_of(extensions))
        self.name = name
        self.answer: Message | None = None
        self._before = given.pop(SEQUENCE_ID, "")
        self._others = given
        self._heard: dict[str, str] = {}

    def extensions(self, node: str) -> KVList:
        """What to ask a server with, beside the name."""
        after = self._heard.get(node, "") or self._before
        return (*self._others.items(), *(((SEQUENCE_ID, after),) if after else ()))

    def feed(self, node: str, message: Message) -> bool:
        """Take note of a message; False for an event that was heard already."""
        if message.id == MessageType.EventACK and "session-status" in _pairs(message):
            self.answer = message
            self._before = ""
            if self._status == "new":
                self._heard.pop(node, None)
            return True
        number = sequence_id(message)
        if number and number <= self._heard.get(node, ""):
            return False
        if number:
            self._heard[node] = number
        return True

    @property
    def is_kept(self) -> bool:
        """Whether the server keeps the session when the connection is lost."""
        return bool(self.name) and self._status in ("new", "resumed", "gap", "active")

    @property
    def is_whole(self) -> bool:
        """Whether the session went on, by its last answer, without a loss."""
        return self._status == "resumed"

    @property
    def lost(self) -> int | None:
        """How many events are lost, by the last answer; None when nobody can tell."""
        found = None if self.answer is None else _pairs(self.answer).get("events-lost")
        return found if isinstance(found, int) else None

    @property
    def _status(self) -> KVValue:
        return "" if self.answer is None else _pairs(self.answer).get("session-status", "")


def _pairs(message: Message) -> dict[str, KVValue]:
    return dict(message.pairs(Attribute.Extensions))
