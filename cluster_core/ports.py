"""What T-Library sessions say: each message to the room of its port, when it is one that the client may send there."""

from __future__ import annotations

from typing import Any

from cluster_core.clients import Client, Clients
from cluster_core.edge import Edge, Gone
from cluster_core.interaction_proxy import InteractionProxy
from cluster_core.outputs import AnyOutput
from cluster_core.requests import Requests
from cluster_core.rights import PORTS, Condition, check, served_where
from cluster_core.session_controller import SessionController
from cluster_core.settings import ClientRole
from cluster_core.smart_proxy import SmartProxy
from cluster_core.t_controller import TController
from tlib_proto import Attribute, Greeted, Incoming, Linked, Message, MessageType, missing
from tlib_proto.mask import read_mask


class Ports:
    """The four ports for clients, and the links to other nodes."""

    def __init__(
        self,
        edge: Edge,
        requests: Requests,
        clients: Clients,
        session_controller: SessionController,
        interaction_proxy: InteractionProxy,
        t_controller: TController,
        smart_proxy: SmartProxy,
    ) -> None:
        self._edge = edge
        self._requests = requests
        self._clients = clients
        self._interaction_proxy = interaction_proxy
        self._t_controller = t_controller
        self._smart_proxy = smart_proxy
        self._rooms: dict[str, Any] = {
            "tlib": session_controller.client_request,
            "iproxy": interaction_proxy.request,
            "tcontroller": t_controller.request,
            "smartproxy": smart_proxy.request,
        }

    def said(self, now: int, conn: int, record: object, out: list[AnyOutput]) -> None:
        """What the session of a stream says, or that the stream is gone."""
        stream = self._edge.streams.get(conn)
        client = self._clients.table.get(conn)
        if isinstance(record, Gone):
            self._gone(now, conn, record.listener, out)
        elif stream is None:
            return
        elif isinstance(record, Incoming) and client is not None and client.role is not ClientRole.PEER:
            self._request(now, client, record, out)
        elif isinstance(record, Greeted):
            self._greeted(now, conn, record, out)
        elif stream.listener == "smartproxy-link":
            if isinstance(record, Linked):
                self._smart_proxy.linked(now, conn, record.message, out)
            elif isinstance(record, Incoming):
                self._smart_proxy.incoming(now, conn, record.message, out)
        elif isinstance(record, Linked):
            self._t_controller.links.linked(now, conn, record.message, out)
        elif isinstance(record, Incoming):
            self._t_controller.links.incoming(now, conn, record.message, out)

    def _greeted(self, now: int, conn: int, record: Greeted, out: list[AnyOutput]) -> None:
        client = self._clients.greeted(now, conn, record, out)
        if client is None:
            return
        if client.role is ClientRole.PEER:
            self._t_controller.links.greeted(now, client, record, out)
        elif client.role is ClientRole.REPORTING:
            self._interaction_proxy.accepted(now, client)

    def _request(self, now: int, client: Client, record: Incoming, out: list[AnyOutput]) -> None:
        message = record.message
        refused = check(client.listener, client.role, message.id)
        if refused is not None:
            where = served_where(message.id)
            port = PORTS[client.listener]
            self._requests.refuse(now, client.conn, message, refused, out, port=port, where=where)
        elif (lacking := missing(message)) is not None:
            attribute = lacking.name
            self._requests.refuse(now, client.conn, message, Condition.MISSING_ATTRIBUTE, out, attribute=attribute)
        elif message.id == MessageType.RequestSetInputMask:
            self._set_input_mask(now, client, message, out)
        else:
            self._rooms[client.listener](now, client, message, out)

    def _set_input_mask(self, now: int, client: Client, message: Message, out: list[AnyOutput]) -> None:
        wanted = read_mask(message)
        if wanted is None:
            condition = Condition.INVALID_ATTRIBUTE
            self._requests.refuse(now, client.conn, message, condition, out, attribute="InputMask")
            return
        self._clients.set_mask(now, client, wanted)
        done = Message(MessageType.EventACK, 0, {Attribute.UserEvent: message.id})
        self._clients.answer(now, client.conn, message.ref, done, out)

    def _gone(self, now: int, conn: int, listener: str, out: list[AnyOutput]) -> None:
        if listener == "smartproxy-link":
            self._smart_proxy.gone(now, conn, out)
            return
        client = self._clients.gone(now, conn)
        self._left(now, conn, listener, client, out)

    def parked(self, now: int, session_id: str, out: list[AnyOutput]) -> None:
        """A client that went has not come back in time."""
        client = self._clients.expired(session_id)
        self._left(now, client.conn, client.listener, client, out)

    def _left(self, now: int, conn: int, listener: str, client: Client | None, out: list[AnyOutput]) -> None:
        if client is not None and client.role is ClientRole.REPORTING:
            self._interaction_proxy.gone(now, client, out)
        elif client is not None and listener == "tcontroller" and client.role is not ClientRole.PEER:
            self._t_controller.client_gone(now, client, out)
        elif listener.startswith("tcontroller"):
            self._t_controller.links.gone(now, conn, out)
        if client is not None:
            self._clients.leave(now, client, out)
