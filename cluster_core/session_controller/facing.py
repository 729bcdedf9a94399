"""Who is at the other end of a call for offers: as in the table of calls, but for a transfer that is under way (ours).

Who stays then talks to who makes the transfer, until it hears who comes; the third is alone with its offers.
"""

from __future__ import annotations

import msgspec

from cluster_core.records import PartyRecord
from cluster_core.session_controller.calls import Calls


class Heard(msgspec.Struct, frozen=True):
    """Whom a phone hears before that one has answered, by its leg; and what it and the one it talked to had said."""

    leg: int
    mine: bytes
    theirs: bytes


class Facing:
    """Parties that face each other."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._heard: dict[int, Heard] = {}
        self._alone: dict[int, None] = {}

    def __len__(self) -> int:
        return len(self._heard) + len(self._alone)

    def hears(self, stays: PartyRecord, comes: PartyRecord) -> None:
        """Who stays in a transfer hears who comes from now on, and no more whom it talked to."""
        self._alone.pop(stays.leg, None)
        other = self._calls.other(stays)
        if other is not None and other is not comes:
            self._heard[stays.leg] = Heard(comes.leg, stays.sdp, other.sdp)

    def alone(self, leg: int) -> None:
        """A leg's offer was answered with nobody asked."""
        self._alone[leg] = None

    def is_alone(self, leg: int) -> bool:
        """Whether that was so since it hears whom it hears."""
        return leg in self._alone

    def gone(self, leg: int) -> Heard | None:
        """A leg is over, or hears nobody but whom it talks to; what was."""
        if self._alone:
            self._alone.pop(leg, None)
        return self._heard.pop(leg, None) if self._heard else None

    def other(self, party: PartyRecord) -> PartyRecord | None:
        """Who faces a party that faces it."""
        other = self._faced(party)
        return other if other is not None and self._faced(other) is party else None

    def _faced(self, party: PartyRecord) -> PartyRecord | None:
        heard = self._heard.get(party.leg)
        return (None if heard is None else self._calls.of_leg(heard.leg)) or self._calls.other(party)
