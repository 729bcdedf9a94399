"""How many T-Library connections a source may have, and how often it may fail to prove who it is (ours).

A source is an address. This machine's own are not counted: everything behind them is already inside.
"""

from __future__ import annotations

import msgspec

from cluster_core.core import Core


class _Source(msgspec.Struct):
    """One address: its connections, how many of them have not been accepted, its failures until `window_us`."""

    conns: int = 0
    strangers: int = 0
    failed: int = 0
    window_us: int = 0
    banned_us: int = 0


class Doors:
    """The table of sources; it holds `limits.sources` at most, of which those without connections leave first."""

    def __init__(self, core: Core) -> None:
        self._limits = core.limits
        self._sources: dict[str, _Source] = {}
        self._conns: dict[int, tuple[str, bool]] = {}

    def __len__(self) -> int:
        return len(self._sources)

    def opened(self, now: int, conn: int, host: str) -> str:
        """A connection from there: counted until `closed`, or refused for the reason that is returned."""
        limits = self._limits
        source = self._sources.get(host)
        if source is None:
            if len(self._sources) >= limits.sources and not self._make_room(now):
                return "too many sources"
            source = self._sources[host] = _Source()
        if source.banned_us > now:
            return "too many failed proofs from there"
        if source.conns >= limits.proven_source_streams:
            return f"more than {limits.proven_source_streams} connections from there"
        if source.strangers >= limits.source_streams:
            return f"more than {limits.source_streams} connections from there that were not accepted yet"
        source.conns += 1
        source.strangers += 1
        self._conns[conn] = (host, True)
        return ""

    def accepted(self, conn: int) -> None:
        """Whoever is on that connection has said who it is, and that was enough."""
        host, stranger = self._conns.get(conn, ("", False))
        if stranger:
            self._conns[conn] = (host, False)
            self._sources[host].strangers -= 1

    def failed(self, now: int, conn: int) -> bool:
        """It was not enough; True when nobody from there is let in any more for a while."""
        host, counted = self._conns.get(conn, ("", False))
        if not counted:
            return False
        source = self._sources[host]
        if source.window_us <= now:
            source.failed, source.window_us = 0, now + self._limits.failed_proofs_us
        source.failed += 1
        if source.failed < self._limits.failed_proofs:
            return False
        source.failed, source.window_us = 0, 0
        source.banned_us = now + self._limits.ban_us
        return True

    def closed(self, conn: int) -> None:
        """A connection is gone."""
        found = self._conns.pop(conn, None)
        if found is None:
            return
        host, stranger = found
        source = self._sources[host]
        source.conns -= 1
        source.strangers -= stranger
        if not source.conns and not source.failed and not source.banned_us:
            del self._sources[host]

    def _make_room(self, now: int) -> bool:
        """Forget the oldest source that has no connection: its failures are the price of a bounded table."""
        for host, source in self._sources.items():
            if not source.conns:
                del self._sources[host]
                return True
        return False
