"""Snapshots for peers, by parts: a link that comes up with 100,000 DNs is told as fast as it is read (design 7).

What is still to be told of lies in the `untold` of a `Peer`. Events of such a DN are not sent: they are in the picture
when its turn comes. So the order holds, and a link's queue holds one part and what happens meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cluster_core.core import Core
from cluster_core.outputs import AnyOutput
from cluster_core.picture import Picture
from cluster_core.t_controller.link_records import Snapshot
from cluster_core.t_controller.links import Links, Peer

_PICTURE_OCTETS, _CALL_OCTETS = 96, 48
"""What a picture and a call take on a link beside their texts, at most."""


class Snapshots:
    """Tells each peer the pictures that it wants; `picture` gives that of a DN, or, if it must, an empty one."""

    def __init__(self, core: Core, links: Links, picture: Callable[[str, bool], Picture | None]) -> None:
        self._core = core
        self._links = links
        self._picture = picture

    def tell(self, now: int, peer: Peer, dns: Iterable[str], everything: bool, out: list[AnyOutput]) -> None:
        """Tell a peer of these DNs, the first at once; it is told too where there is nothing, unless it wants all."""
        idle = not peer.untold and not peer.untold_last
        for dn in dns:
            peer.untold[dn] = not everything or peer.untold.get(dn, False)
        peer.untold_last = peer.untold_last or everything
        if idle:
            self.turn(now, peer.name, out)

    def turn(self, now: int, name: str, out: list[AnyOutput]) -> None:
        """Tell a peer the next part, unless it still has to read what it was sent."""
        peer = self._links.peers[name]
        if not peer.untold and not peer.untold_last:
            return
        if self._links.is_behind(peer):
            self._core.arm("snapshots", name, now + self._core.limits.bulk_wait_us)
            return
        limits = self._core.limits
        room = limits.snapshot_bytes_at_once
        done: list[str] = []
        found: list[Picture] = []
        for dn, must in peer.untold.items():
            if room <= 0 or len(found) >= limits.bulk_dns_at_once:
                break
            done.append(dn)
            picture = self._picture(dn, must)
            if picture is not None:
                found.append(picture)
                room -= _octets(picture)
        for dn in done:
            del peer.untold[dn]
        last = peer.untold_last and not peer.untold
        if last:
            peer.untold_last = False
        if found or last:
            first = found[0] if found else None
            self._links.tell(now, (peer,), Snapshot(first, last, tuple(found[1:])), out)
        self._core.arm("snapshots", name, now + 1 if peer.untold else None)


def _octets(picture: Picture) -> int:
    texts = len(picture.dn) + len(picture.source) + len(picture.agent_id)
    for call in picture.calls.values():
        texts += _CALL_OCTETS + len(call.other_dn) + len(call.node)
    return _PICTURE_OCTETS + texts
