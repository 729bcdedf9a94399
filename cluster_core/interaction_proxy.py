"""Interaction Proxy: the events of this node's calls for reporting, each interaction whole to one client (seed).

An interaction goes to the session that has the fewest. Every client of the pool hears of its own alone.
"""

from __future__ import annotations

from cluster_core.clients import Client, Clients
from cluster_core.core import Core
from cluster_core.outputs import AnyOutput
from cluster_core.records import InteractionRecord
from tlib_proto import Attribute, Message, MessageType


class InteractionProxy:
    """The pool of reporting sessions, and which session has which interaction."""

    def __init__(self, core: Core, clients: Clients) -> None:
        self._core = core
        self._clients = clients
        self._pool: dict[str, tuple[int, dict[int, None]]] = {}

    def accepted(self, client: Client) -> None:
        """A reporting client has connected: its session takes part."""
        self._pool[client.session_id] = (client.conn, {})

    def gone(self, client: Client) -> None:
        """A reporting client is gone, and what it alone was to hear."""
        _, interactions = self._pool.pop(client.session_id)
        for conn_id in interactions:
            self._core.store.drop("interactions", conn_id)

    def request(self, now: int, client: Client, message: Message, out: list[AnyOutput]) -> None:
        """RequestPrivateService opens the session by name; RequestQueryServer is answered as everywhere."""
        if message.id == MessageType.RequestQueryServer:
            self._clients.answer_server_info(now, client.conn, message.ref, out)
            return
        status = (("session-status", "active"), ("events-in-cache", 0))
        done = Message(
            MessageType.EventACK, 0, {Attribute.UserEvent: message.id, Attribute.Extensions: status}
        )
        self._clients.answer(now, client.conn, message.ref, done, out)

    def call_created(self, now: int, conn_id: int, main: int, event: Message, out: list[AnyOutput]) -> None:
        """A call begins: its interaction goes to the session that has the fewest, a consultation to its call's."""
        if not self._pool:
            return
        known = self._core.store.get("interactions", main)
        session = min(self._pool, key=lambda name: len(self._pool[name][1])) if known is None else known.session_id
        conn, interactions = self._pool[session]
        interactions[conn_id] = None
        self._core.store.put("interactions", conn_id, InteractionRecord(conn_id, session))
        self._clients.deliver(now, (conn,), event, None, out)

    def call_event(self, now: int, conn_id: int, event: Message, out: list[AnyOutput]) -> None:
        """A T-Event of a call, to the session that has its interaction."""
        record = self._core.store.get("interactions", conn_id)
        if record is not None:
            self._clients.deliver(now, (self._pool[record.session_id][0],), event, None, out)

    def call_deleted(self, now: int, conn_id: int, event: Message, out: list[AnyOutput]) -> None:
        """A call is over, and with it its interaction."""
        record = self._core.store.get("interactions", conn_id)
        if record is not None:
            conn, interactions = self._pool[record.session_id]
            del interactions[conn_id]
            self._core.store.drop("interactions", conn_id)
            self._clients.deliver(now, (conn,), event, None, out)
