"""Registrations of single DNs, alike on every port that has them (published registration requests)."""

from __future__ import annotations

from cluster_core.clients import Client, Clients
from cluster_core.core import Core
from cluster_core.outputs import AnyOutput
from cluster_core.requests import Requests
from cluster_core.rights import Condition
from cluster_core.settings import DnType
from cluster_core.watch import INFO
from tlib_proto import Attribute, Message, MessageType


class Addresses:
    """Checks and notes registrations; what a registered client is told is the port's own."""

    def __init__(self, core: Core, clients: Clients, requests: Requests) -> None:
        self._core = core
        self._clients = clients
        self._requests = requests

    def named(self, now: int, client: Client, message: Message, out: list[AnyOutput]) -> str:
        """The DN that a request is about; empty when there is none, and EventError sent."""
        dn = message.text(Attribute.ThisDN)
        if not dn:
            self._requests.refuse(
                now, client.conn, message, Condition.MISSING_ATTRIBUTE, out, attribute="ThisDN"
            )
        return dn

    def query(self, now: int, client: Client, message: Message, out: list[AnyOutput]) -> str:
        """The DN of a query that is configured, within the client's rights, and asked for something of `INFO`; empty
        when not, and EventError sent.
        """
        dn = self._allowed(now, client, message, out)
        if dn and message.number(Attribute.AddressInfoType) not in INFO:
            condition = Condition.INVALID_ATTRIBUTE
            self._requests.refuse(now, client.conn, message, condition, out, attribute="AddressInfoType")
            return ""
        return dn

    def _allowed(self, now: int, client: Client, message: Message, out: list[AnyOutput]) -> str:
        dn = self.named(now, client, message, out)
        if not dn:
            return ""
        known = self._core.settings.dns.get(dn)
        if known is None or known.type is DnType.VOIP_SERVICE:
            self._requests.refuse(now, client.conn, message, Condition.NOT_CONFIGURED, out, dn=dn)
        elif not self._clients.may_touch(client, dn):
            self._requests.refuse(now, client.conn, message, Condition.DN_NOT_ALLOWED, out, dn=dn)
        else:
            return dn
        return ""

    def register(self, now: int, client: Client, message: Message, out: list[AnyOutput]) -> str:
        """Let a client watch a DN that is configured and within its rights; empty when not, and EventError sent."""
        dn = self._allowed(now, client, message, out)
        if dn and not self._clients.register(client, dn, message.number(Attribute.RegisterMode)):
            self._requests.refuse(now, client.conn, message, Condition.TOO_MANY, out)
            return ""
        return dn

    def unregister(self, now: int, client: Client, message: Message, out: list[AnyOutput]) -> str:
        """A client watches a DN no longer, and is told so; empty when it did not, and EventError sent."""
        dn = self.named(now, client, message, out)
        if not dn:
            return ""
        if not self._clients.unregister(client, dn):
            self._requests.refuse(now, client.conn, message, Condition.NOT_REGISTERED, out, dn=dn)
            return ""
        done = Message(MessageType.EventUnregistered, 0, {Attribute.ThisDN: dn})
        self._clients.answer(now, client.conn, message.ref, done, out)
        return dn
