"""What those who watch DNs hear when a source is out of reach: of many DNs by parts (ours).

The source is hidden at once, and whatever is decided or asked sees it so. What watchers were shown last is what they
are brought from, in the DN's turn or when more happens to it before that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from cluster_core.core import Core
from cluster_core.follow import Follower
from cluster_core.outputs import AnyOutput
from cluster_core.pacing import Paced
from cluster_core.picture import Picture
from cluster_core.watch import Watch


class Views(Protocol):
    """What a port knows of a DN."""

    def __call__(self, dn: str, *, as_told: bool = False) -> Picture:
        """The DN as it is, or with `as_told` as its watchers were shown it last."""


class Losing:
    """The DNs of a port of which somebody has yet to hear that a source of theirs is out of reach."""

    def __init__(
        self,
        core: Core,
        kind: str,
        follower: Follower,
        watch: Watch,
        view: Views,
        touch: Callable[[str], None] = lambda dn: None,
    ) -> None:
        self._follower = follower
        self._watch = watch
        self._view = view
        self._touch = touch
        self._queued: dict[str, None] = {}
        self.paced: Paced[str] = Paced(core, kind, self._turn)

    def lost(self, now: int, sources: Iterable[str], watched: Callable[[str], bool], out: list[AnyOutput]) -> None:
        """Hide these sources; who watches their DNs, as `watched` says, hears it by parts, in the order of the DNs."""
        fresh = []
        for source in sources:
            for dn in self._follower.lost(source):
                if not watched(dn):
                    self._follower.heard(dn)
                elif dn not in self._queued:
                    self._queued[dn] = None
                    fresh.append(dn)
        self.paced.add(now, fresh, out)

    def settle(self, now: int, dn: str, out: list[AnyOutput], but: Sequence[int] = ()) -> None:
        """More is about to be told of a DN: first its watchers, without `but`, hear what they have yet to hear."""
        if self._follower.unheard(dn):
            before = self._view(dn, as_told=True)
            self._follower.heard(dn)
            self._touch(dn)
            self._watch.resync(now, dn, before, self._view(dn), out, but)

    def _turn(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        del self._queued[dn]
        self.settle(now, dn, out)
