"""T-Library sessions that outlive their connection: who may come back, and what it is sent then (decision 0012)."""

from __future__ import annotations

from collections.abc import Sequence

from cluster_core.admission import Admitted
from cluster_core.client_records import Client
from cluster_core.core import Core
from cluster_core.history import History
from cluster_core.limits import SECOND_US
from cluster_core.settings import ClientRole
from cluster_core.stamps import Stamps
from tlib_proto import Hello, KVList
from tlib_proto.resume import read_position

RESUME = "resume"
"""The capability, in a Hello and in EventLinkConnected, of a session that may outlive its connection."""
_STREAMS = 64
"""Connections that a session may lose before its client has read anything new."""


class Resume:
    """The sessions that may be gone on with, by id, and what left for them a moment ago."""

    def __init__(self, core: Core, stamps: Stamps) -> None:
        self._core = core
        self._stamps = stamps
        self._sessions: dict[str, Client] = {}
        self.history = History(core)
        self.parked: dict[str, Client] = {}

    def begin(self, client: Client, hello: Hello) -> None:
        """A session begins: it may be gone on with if its Hello asked for that.

        Not for reporting, whose sessions are the Interaction Proxy's.
        """
        asked = any(key == RESUME for key, _ in hello.capabilities)
        if asked and client.role is not ClientRole.REPORTING:
            client.resumable = True
            client.from_number = self._stamps.number
            self._sessions[client.session_id] = client

    def offered(self) -> KVList:
        """The capability as EventLinkConnected tells it, with the seconds that a client has to come back."""
        return ((RESUME, self._core.limits.resume_us // SECOND_US),)

    def find(
        self, now: int, listener: str, hello: Hello, admitted: Admitted, frames: list[bytes]
    ) -> tuple[Client, int] | None:
        """The session that a Hello goes on with, and the number that it goes on behind; None when it begins anew.

        `frames` are appended: what was missed.
        """
        client = self._sessions.get(hello.session_id)
        place = read_position(hello.resume)
        if client is None or place is None:
            return None
        started_s, number = place
        same = (client.listener, client.application, client.role, client.proven)
        if (
            same != (listener, hello.application, admitted.role, admitted.proven)
            or started_s != self._stamps.started_s
            or not client.from_number <= number <= self._stamps.number
            or client.untold
        ):
            return None
        client.streams = [entry for entry in client.streams[:-1] if entry[1] > number] + client.streams[-1:]
        missed = self.history.since(now, number, [conn for conn, _ in client.streams])
        if missed is None or sum(map(len, missed)) > self._core.limits.resume_bytes:
            return None
        if len(client.streams) >= _STREAMS:
            return None
        frames += missed
        return client, number

    def moved(self, client: Client, conn: int) -> None:
        """A client is back on another connection."""
        self.parked.pop(client.session_id, None)
        self._core.arm("parked", client.session_id, None)
        client.streams[-1] = (client.conn, self._stamps.number)
        client.streams.append((conn, 0))
        client.conn = conn

    def park(self, now: int, client: Client) -> bool:
        """A client's connection is gone: wait for its return; False when there is nothing to wait for, or no room."""
        waits = client.resumable and not client.untold and (client.registered or client.bulk is not None)
        if not waits or len(self.parked) >= self._core.limits.parked_sessions:
            return False
        self.parked[client.session_id] = client
        self._core.arm("parked", client.session_id, now + self._core.limits.resume_us)
        return True

    def forget(self, client: Client) -> None:
        """A session is over; with the last one nothing is kept any more."""
        self.parked.pop(client.session_id, None)
        self._core.arm("parked", client.session_id, None)
        self._sessions.pop(client.session_id, None)
        if not self._sessions:
            self.history.forget(self._stamps.number)

    def told_all(self, client: Client) -> None:
        """A client was told a whole list: who comes back from before its end begins anew."""
        client.from_number = self._stamps.number

    def sent(self, now: int, frame: bytes, conns: Sequence[int]) -> None:
        """An event, the last that was numbered, leaves for these streams."""
        if self._sessions:
            self.history.add(now, self._stamps.number, frame, conns)
