"""Session Controller: takes what the SIP endpoint says and what routers ask to the room that it belongs to (seed)."""

from __future__ import annotations

from typing import Any

from cluster_core.addresses import Addresses
from cluster_core.clients import Client, Clients
from cluster_core.core import Cause, Core
from cluster_core.dial_plan import DialPlan
from cluster_core.edge import ALLOW, EVENTS, SUPPORTED, Edge
from cluster_core.ids import node_of
from cluster_core.outputs import AnyOutput, Fault, Subsystem
from cluster_core.picture import Picture
from cluster_core.records import CallRecord, CallView
from cluster_core.requests import Requests
from cluster_core.rights import Condition
from cluster_core.session_controller.calls import Calls
from cluster_core.session_controller.consult import Consult
from cluster_core.session_controller.control import Control
from cluster_core.session_controller.delivery import Delivery
from cluster_core.session_controller.early import Early
from cluster_core.session_controller.forwarding import Forwarding
from cluster_core.session_controller.incoming import Incoming
from cluster_core.session_controller.legs import Legs, Stage
from cluster_core.session_controller.making import Making
from cluster_core.session_controller.muted import Muted
from cluster_core.session_controller.passing import Passing
from cluster_core.session_controller.registrar import Registrar
from cluster_core.session_controller.replacing import Replacing
from cluster_core.session_controller.routing import Routing
from cluster_core.session_controller.subscriptions import Subscriptions
from cluster_core.session_controller.talk import Talk
from cluster_core.session_controller.transfer import Transfers
from cluster_core.t_controller.link_records import Located
from cluster_core.watch import Watch
from sip_proto import (
    Acked,
    Answered,
    Cancelled,
    DialogChanged,
    DialogEnded,
    Ended,
    Failed,
    Invited,
    NotifyLost,
    OfferAnswered,
    Offered,
    OfferRefused,
    OfferWithdrawn,
    Pracked,
    Referred,
    Refreshed,
    Rejected,
    Requested,
    Responded,
    Ringing,
    SubscriptionAsked,
    SubscriptionEnded,
    SubscriptionRenewed,
    Unanswerable,
    description_of,
)
from sip_proto.message import METHODS
from tlib_proto import Attribute, Message, MessageType

_ALLOW = (("Allow", ALLOW),)
# What belongs into a call, or into a subscription that there is. Nobody is called because a stranger says so.
_OUTSIDE = {
    **dict.fromkeys(("BYE", "PRACK", "UPDATE", "INFO"), (481, "No Such Call")),
    "NOTIFY": (489, "Bad Event"),
    "REFER": (403, "No Call To Transfer"),
}
_SUPPORTED = ("Supported", ", ".join(("100rel", "timer", *SUPPORTED)))


class SessionController:
    """Calls of this node, and its default port."""

    def __init__(self, core: Core, edge: Edge, requests: Requests, clients: Clients, seed: bytes) -> None:
        self._core = core
        self._edge = edge
        self._requests = requests
        self._clients = clients
        plan = DialPlan(core.settings)
        self.calls = Calls(core, clients, requests)
        self.legs = Legs(core, edge)
        self.delivery = Delivery(core, requests, self.calls, self.legs)
        self.routing = Routing(core, clients, requests, self.calls, self.legs, self.delivery, plan)
        self.talk = Talk(requests, self.calls, self.legs)
        self.control = Control(
            core, requests, self.calls, self.legs, self.delivery, self.routing, self.talk, plan
        )
        self.registrar = Registrar(core, edge, seed)
        self.subscriptions = Subscriptions(core, edge, self.registrar)
        self.forwarding = Forwarding(core, edge, self.calls, self.delivery)
        self.incoming = self.forwarding.incoming = Incoming(
            core, self.calls, self.legs, self.registrar, plan, self.delivery, self.routing, self.forwarding
        )
        self.transfers = Transfers(
            core, requests, self.calls, self.legs, self.delivery, self.talk, self.incoming, plan
        )
        self.passing = Passing(core, self.calls, self.legs, self.registrar, plan)
        self._plan = plan
        self._watch = Watch(core, clients, "tlib")
        self._addresses = Addresses(core, clients, requests)
        self.making = self.talk.beginner = self.delivery.making = Making(self.calls, self.legs, self.talk)
        self.early = self.delivery.early = Early(self.calls, self.legs, self.talk, self.making)
        self.delivery.talk = self.talk
        self.delivery.plan = plan
        self.making.onward = self._onward
        self.making.broken = self.delivery.broken
        self.muted = Muted(requests, self.calls, self.delivery, self.talk, self.transfers, plan)
        self.delivery.came_back = self.muted.came_back
        self.incoming.replacing = Replacing(core, self.calls, self.legs, self.incoming, self.transfers).invited
        self.control.left = self.transfers.left
        self.control.transfer = self.transfers.program
        self.control.redirect = self.transfers.redirect
        self.consult = self.control.consult = Consult(
            requests, self.calls, self.delivery, self.talk, self.transfers, plan, self.muted
        )
        self._dispatch: dict[type, Any] = {
            Invited: self.incoming.invited,
            Requested: self._requested,
            Ringing: self._ringing,
            Answered: self._answered,
            Failed: self._failed,
            Acked: self._acked,
            Refreshed: self._refreshed,
            Pracked: lambda now, record, out: self.early.pracked(now, record.leg, record.request),
            Cancelled: self._cancelled,
            Ended: self._ended,
            Referred: self.transfers.referred,
            Offered: self._offered,
            OfferAnswered: self._offer_answered,
            OfferRefused: self._offer_refused,
            OfferWithdrawn: lambda now, record, out: self.talk.withdrawn(now, record.leg, out),
            Responded: self._responded,
            SubscriptionAsked: self.subscriptions.asked,
            SubscriptionRenewed: self.subscriptions.renewed,
            NotifyLost: self.subscriptions.lost,
            SubscriptionEnded: self.subscriptions.ended,
            DialogChanged: self._dialog_changed,
            DialogEnded: self._dialog_ended,
            Rejected: self._rejected,
            Unanswerable: self._unanswerable,
        }

    # What the SIP endpoint says.

    def sip(self, now: int, record: object, out: list[AnyOutput]) -> None:
        """One record of the endpoint."""
        handler = self._dispatch.get(type(record))
        if handler is not None:
            handler(now, record, out)
            if self.transfers.joins.waiting:
                self.transfers.joins.serve(now, out)
            if self.consult:
                self.consult.serve(now, out)

    # What T-Controller asks and answers.

    def request(self, now: int, message: Message, cause: Cause, out: list[AnyOutput]) -> None:
        """A call-control request, from wherever it came."""
        self.control.request(now, message, cause, out)

    def located(self, now: int, token: int, located: Located | None, out: list[AnyOutput]) -> None:
        """Where a DN rings."""
        if self.passing.located(now, token, located) or self.forwarding.located(now, token, located, out):
            return
        self.delivery.located(now, token, located, out)

    def registered(self, now: int, token: int, taken: bool, out: list[AnyOutput]) -> None:
        """What became of a binding."""
        self.registrar.registered(now, token, taken, out)

    def parties_on(self, dn: str) -> tuple[CallView, ...]:
        """The parties of this node's calls on a DN."""
        return self.calls.views(dn)

    def dns_with_calls(self) -> list[str]:
        """The DNs that have a party here."""
        return self.calls.dns()

    # What routers ask on the default port.

    def client_request(self, now: int, client: Client, message: Message, out: list[AnyOutput]) -> None:
        """A request of a client on the default port: on calls of this node, and on nothing else."""
        if message.id == MessageType.RequestQueryServer:
            self._clients.answer_server_info(now, client.conn, message.ref, out)
        elif message.id == MessageType.RequestRegisterAddress:
            self._register(now, client, message, out)
        elif message.id == MessageType.RequestUnregisterAddress:
            self._addresses.unregister(now, client, message, out)
        elif message.id == MessageType.RequestQueryAddress:
            if dn := self._addresses.query(now, client, message, out):
                info = message.number(Attribute.AddressInfoType)
                self._watch.answer_query(now, client.conn, message.ref, info, dn, self._picture(dn), out)
        elif dn := self._addresses.named(now, client, message, out):
            if dn not in client.registered:
                self._requests.refuse(now, client.conn, message, Condition.NOT_REGISTERED, out, dn=dn)
            elif message.id != MessageType.RequestMakeCall and not self._is_here(message.number(Attribute.ConnID)):
                self._requests.refuse(now, client.conn, message, Condition.INVALID_CONNID, out)
            elif cause := self._requests.open(now, client.conn, message, out):
                self.request(now, message, cause, out)

    def _is_here(self, conn_id: int) -> bool:
        return not conn_id or node_of(conn_id) == self._core.node.number

    def _register(self, now: int, client: Client, message: Message, out: list[AnyOutput]) -> None:
        dn = self._addresses.register(now, client, message, out)
        if dn:
            self._watch.answer(now, client.conn, message.ref, dn, self._picture(dn), out)

    def _picture(self, dn: str) -> Picture:
        """What this node's calls have on a DN."""
        picture = Picture(dn=dn, source=self._core.name, owned=False, in_service=True)
        picture.calls = {view.conn_id: view for view in self.calls.views(dn)}
        return picture

    def _onward(self, now: int, call: CallRecord, out: list[AnyOutput]) -> None:
        self.incoming.onward(now, call, self._plan.find(call.dnis), out)

    def _requested(self, now: int, record: Requested, out: list[AnyOutput]) -> None:
        method = record.request.method
        if method == "REGISTER" and not record.leg:
            self.registrar.register(now, record, out)
        elif record.leg and method in ("INFO", "MESSAGE"):
            self.passing.in_call(now, record)
        elif method == "MESSAGE":
            self.passing.message(now, record, out)
        elif method == "OPTIONS":
            events = ("Allow-Events", ", ".join(EVENTS))
            headers = (*_ALLOW, ("Accept", "application/sdp"), _SUPPORTED, events)
            self._edge.sip.respond(now, record.handle, 200, self._edge.sip_out, headers=headers)
        else:
            status, reason = _OUTSIDE.get(method, (405 if method in METHODS else 501, ""))
            self._edge.sip.respond(now, record.handle, status, self._edge.sip_out, reason=reason, headers=_ALLOW)

    def _ringing(self, now: int, record: Ringing, out: list[AnyOutput]) -> None:
        party = self.calls.of_leg(record.leg)
        if party is not None:
            self.muted.comes(now, party, out)
            if record.leg not in self.calls.by_leg:
                return
            self.delivery.ringing(now, party, record, out)
            self.transfers.rings(now, party, record.response.status, out)

    def _answered(self, now: int, record: Answered, out: list[AnyOutput]) -> None:
        party = self.calls.of_leg(record.leg)
        if party is not None:
            self.muted.comes(now, party, out)
            if record.leg not in self.calls.by_leg:
                return
            self.transfers.answers(now, party, out)
            self.delivery.answered(now, party, record.response, out)

    def _failed(self, now: int, record: Failed, out: list[AnyOutput]) -> None:
        if self.forwarding.failed(now, record, out):
            return
        party = self.calls.of_leg(record.leg)
        if party is not None:
            self.delivery.failed(now, party, record.status, out)

    def _acked(self, now: int, record: Acked, out: list[AnyOutput]) -> None:
        self.talk.acked(now, record.leg, record.request, out)

    def _cancelled(self, now: int, record: Cancelled, out: list[AnyOutput]) -> None:
        self._leg_gone(now, record.leg, out)
        party = self.calls.of_leg(record.leg)
        if party is not None and not self.transfers.left(now, party, 487, out):
            self.delivery.hang_up(now, self.calls.calls[party.conn_id], out, 487, abandoned=True)

    def _ended(self, now: int, record: Ended, out: list[AnyOutput]) -> None:
        self._leg_gone(now, record.leg, out)
        party = self.calls.of_leg(record.leg)
        if party is not None and not self.transfers.left(now, party, 480, out):
            self.delivery.hang_up(now, self.calls.calls[party.conn_id], out, 480, abandoned=True)

    def _offered(self, now: int, record: Offered, out: list[AnyOutput]) -> None:
        party = self.calls.of_leg(record.leg)
        if party is not None:
            self.talk.offered(now, party, record.request, out)
        else:
            self._edge.sip.refuse_offer(now, record.leg, 481, self._edge.sip_out)

    def _refreshed(self, now: int, record: Refreshed, out: list[AnyOutput]) -> None:
        party = self.calls.of_leg(record.leg)
        if party is not None:
            self.talk.refreshed(now, party, description_of(record.response), out)

    def _offer_answered(self, now: int, record: OfferAnswered, out: list[AnyOutput]) -> None:
        party = self.calls.of_leg(record.leg)
        if party is None or self.transfers.joins.offer_answered(
            now, party, record.offer, description_of(record.response), out
        ):
            return
        self.talk.offer_answered(now, party, record.offer, description_of(record.response), out)

    def _offer_refused(self, now: int, record: OfferRefused, out: list[AnyOutput]) -> None:
        party = self.calls.of_leg(record.leg)
        if record.status in (408, 481) and self.legs.stage(record.leg) is Stage.ANSWERED:
            self.legs.gone(record.leg)  # the dialog is over already, Ended follows
        if party is not None and not self.transfers.joins.offer_refused(now, party, record.offer, out):
            self.talk.offer_refused(now, party, record.offer, record.status, out)

    def _responded(self, now: int, record: Responded, out: list[AnyOutput]) -> None:
        if self.passing.responded(now, record):
            return
        status = 408 if record.response is None else record.response.status
        self.control.notified(now, record.handle, status, out)

    def _leg_gone(self, now: int, leg: int, out: list[AnyOutput]) -> None:
        self.legs.gone(leg)
        self.forwarding.gone(leg)
        self.delivery.gone(now, leg, out)
        self.transfers.gone(leg)

    def _dialog_changed(self, now: int, record: DialogChanged, out: list[AnyOutput]) -> None:
        self._core.store.put("dialogs", record.dialog.leg, record.dialog)

    def _dialog_ended(self, now: int, record: DialogEnded, out: list[AnyOutput]) -> None:
        self._core.store.drop("dialogs", record.leg)
        self.talk.gone(now, record.leg, out)
        self.transfers.gone(record.leg)

    def _rejected(self, now: int, record: Rejected, out: list[AnyOutput]) -> None:
        text = f"{record.status} to {record.source[0]}:{record.source[1]}: {record.text}"
        out.append(Fault(Subsystem.CALL_MANAGER, "sip-rejected", text))

    def _unanswerable(self, now: int, record: Unanswerable, out: list[AnyOutput]) -> None:
        text = f"from {record.source[0]}:{record.source[1]}: {record.kind} at byte {record.offset}"
        out.append(Fault(Subsystem.CALL_MANAGER, "sip-unreadable", text))
