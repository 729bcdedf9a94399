"""Following DNs that other nodes tell of: one picture for each source, and what a place in its order means.

A receiver takes an event only in its place; a hole is bridged by a Snapshot, never passed over (design 7).
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from cluster_core.picture import Picture, apply, merged, same_view
from tlib_proto import Message


class Verdict(StrEnum):
    """What became of an event: taken, known already, or not to be taken before a Snapshot."""

    ACCEPTED = "accepted"
    OLD = "old"
    HOLE = "hole"


class _Followed(msgspec.Struct):
    picture: Picture
    hidden: bool = False
    unheard: bool = False


class Follower:
    """The pictures of DNs by source, in the receiver's rules of a peer link (design 7).

    Another node that is the source for its calls stays so beside an owner until it falls silent, and has the last word
    on them.
    """

    def __init__(self) -> None:
        self._dns: dict[str, dict[str, _Followed]] = {}
        self._sources: dict[str, dict[str, None]] = {}

    def snapshot(self, picture: Picture, *, keep_sources: bool = False) -> bool:
        """Take a Snapshot, which then belongs to the follower; False for one older than what is known.

        An owner's Snapshot ends its own other sources and those of earlier owners; if an owner in a younger epoch is
        known, it is refused. With `keep_sources`, for DNs that each node has of its own, no source touches another.
        A silent picture ends its source.
        """
        known = self._dns.get(picture.dn, {})
        mine = known.get(picture.source)
        if picture.silent:
            self.forget(picture.dn, picture.source)
            return mine is not None
        if mine is not None and mine.picture.owned == picture.owned:
            # The same place is news after a loss: the source is back and nothing has happened. So it is before a
            # source's first event: it said that it has nothing, and begins with the calls that it has now.
            at = mine.picture.position
            begins = not picture.owned and picture.seq == 0 and not same_view(picture, mine.picture)
            if picture.position < at or (picture.position == at and not mine.hidden and not begins):
                return False
        if picture.owned and not keep_sources:
            owners = [other.picture for other in known.values() if other.picture.owned]
            if any(owner.epoch > picture.epoch for owner in owners):
                return False
            for source, other in list(known.items()):
                beside = not other.picture.owned and not source.startswith(f"{picture.source}/")
                if source != picture.source and not beside:
                    self.forget(picture.dn, source)
        self._dns.setdefault(picture.dn, {})[picture.source] = _Followed(picture)
        self._sources.setdefault(picture.source, {})[picture.dn] = None
        return True

    def event(
        self, dn: str, source: str, epoch: int, role_epoch: int, seq: int, message: Message, node: str
    ) -> Verdict:
        """Let an event in its place change the source's picture; `node` is where its call lives."""
        followed = self._dns.get(dn, {}).get(source)
        if followed is None:
            return Verdict.HOLE
        picture = followed.picture
        at = (epoch, role_epoch, seq)
        if at <= picture.position:
            return Verdict.OLD
        if followed.hidden or at != (picture.epoch, picture.role_epoch, picture.seq + 1):
            return Verdict.HOLE
        picture.seq = seq
        apply(picture, message, node)
        return Verdict.ACCEPTED

    def lost(self, source: str) -> list[str]:
        """A source is out of reach: hide its pictures until its Snapshots; returns the DNs hidden, each `unheard`."""
        hidden = []
        for dn in self._sources.get(source, ()):
            followed = self._dns[dn][source]
            if not followed.hidden:
                followed.hidden = followed.unheard = True
                hidden.append(dn)
        return hidden

    def unheard(self, dn: str) -> bool:
        """Whether a picture of the DN was hidden and nobody has heard so yet."""
        sources = self._dns.get(dn)
        return sources is not None and any(followed.unheard for followed in sources.values())

    def heard(self, dn: str) -> None:
        """Who watches the DN has heard what is hidden of it."""
        for followed in self._dns.get(dn, {}).values():
            followed.unheard = False

    def forget(self, dn: str, source: str) -> None:
        """A source tells no more of a DN; nothing happens if it did not."""
        sources = self._dns.get(dn, {})
        if sources.pop(source, None) is None:
            return
        if not sources:
            del self._dns[dn]
        dns = self._sources[source]
        del dns[dn]
        if not dns:
            del self._sources[source]

    def view(self, dn: str, *, as_told: bool = False) -> Picture | None:
        """The DN as its sources within reach tell it, a new picture each time; None if it is unknown.

        A DN whose owner is out of reach is out of service, its agent stays: nobody was logged out (design 9).
        With `as_told` what is `unheard` is not hidden yet.
        """
        sources = self._dns.get(dn)
        if sources is None:
            return None
        seen = [
            followed.picture
            for followed in sources.values()
            if not followed.hidden or (as_told and followed.unheard)
        ]
        if not any(picture.owned for picture in seen):
            hidden = [
                followed.picture
                for followed in sources.values()
                if followed.hidden and not (as_told and followed.unheard)
            ]
            owned = [picture for picture in hidden if picture.owned]
            # someone has to speak for a DN that nobody within reach speaks for
            for picture in owned or ([] if seen else hidden[:1]):
                seen.append(msgspec.structs.replace(picture, in_service=False, calls={}))
        return merged(seen)

    def dns(self) -> list[str]:
        """Every DN of which something is known, within reach or not."""
        return list(self._dns)

    def sources(self, dn: str) -> list[str]:
        """The sources that a DN has, within reach or not."""
        return list(self._dns.get(dn, ()))

    def all_sources(self) -> list[str]:
        """Every source that tells of some DN."""
        return list(self._sources)

    def following(self, source: str) -> list[str]:
        """The DNs that a source tells of."""
        return list(self._sources.get(source, ()))

    def position(self, dn: str, source: str) -> tuple[int, int, int] | None:
        """The place of the last that a source told of a DN; None if it told nothing."""
        followed = self._dns.get(dn, {}).get(source)
        return None if followed is None else followed.picture.position

    def hidden(self, dn: str, source: str) -> bool:
        """Whether the picture of that source is hidden; False for one that is not known."""
        followed = self._dns.get(dn, {}).get(source)
        return followed is not None and followed.hidden
