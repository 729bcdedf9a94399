"""What owned DNs do with their calls: do not disturb, and forwarding (seed, T-Controller; published DN model).

They are the owner's state, as its agent is, and end with its ownership. Asking for what is already so is no error: the
event is sent again.
"""

from __future__ import annotations

from cluster_core.clients import Clients
from cluster_core.core import Cause, Core
from cluster_core.dial_plan import DialPlan
from cluster_core.outputs import AnyOutput
from cluster_core.picture import Picture, forwarding
from cluster_core.records import FeatureRecord
from cluster_core.requests import Requests
from cluster_core.rights import Condition
from cluster_core.settings import DnType
from cluster_core.t_controller.streams import Streams
from tlib_proto import Attribute, ForwardMode, Message, MessageType, Value, encode

REQUESTS = frozenset(
    (
        MessageType.RequestSetDNDOn,
        MessageType.RequestSetDNDOff,
        MessageType.RequestCallForwardSet,
        MessageType.RequestCallForwardCancel,
    )
)
MODES = (
    ForwardMode.Unconditional,
    ForwardMode.OnBusy,
    ForwardMode.OnNoAnswer,
    ForwardMode.OnBusyAndNoAnswer,
)
"""SendAllCalls would need a destination from the configuration, which there is none of."""


class Features:
    """Do not disturb and forwarding of the DNs that this node owns; every change is an event of the DN's stream."""

    def __init__(self, core: Core, clients: Clients, requests: Requests, streams: Streams) -> None:
        self._core = core
        self._clients = clients
        self._requests = requests
        self._streams = streams
        self._plan = DialPlan(core.settings)

    def of(self, dn: str) -> FeatureRecord:
        """What is set for a DN."""
        record = self._core.store.get("features", dn)
        assert record is None or isinstance(record, FeatureRecord)
        return record or FeatureRecord(dn)

    def show(self, picture: Picture) -> None:
        """Put it into the picture with which the DN's stream begins."""
        record = self.of(picture.dn)
        picture.dnd, picture.forward_to, picture.forward_mode = record.dnd, record.forward_to, record.forward_mode

    def request(self, now: int, message: Message, cause: Cause, out: list[AnyOutput]) -> None:
        """One of `REQUESTS` on an owned DN that is in service."""
        dn = message.text(Attribute.ThisDN)
        record = self.of(dn)
        if message.id in (MessageType.RequestSetDNDOn, MessageType.RequestSetDNDOff):
            record.dnd = message.id == MessageType.RequestSetDNDOn
            self._tell(now, record, _dnd(record), {Attribute.ThisDN: dn}, cause, out)
        elif message.id == MessageType.RequestCallForwardSet:
            self._forward(now, record, message, cause, out)
        else:
            self._cancel(now, record, message, cause, out)

    def end(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        """The DN is given up, and what was set with it."""
        record = self._core.store.get("features", dn)
        if record is None:
            return
        self._core.store.drop("features", dn)
        if dn not in self._streams.mine:
            return
        before = FeatureRecord(dn, record.dnd, record.forward_to, record.forward_mode)
        record.dnd, record.forward_to, record.forward_mode = False, "", 0
        if before.dnd:
            self._emit(now, dn, MessageType.EventDNDOff, {Attribute.ThisDN: dn}, None, out)
        if before.forward_to:
            told = forwarding(dn, before.forward_to, before.forward_mode)
            self._emit(now, dn, MessageType.EventForwardCancel, told, None, out)

    def _forward(
        self, now: int, record: FeatureRecord, message: Message, cause: Cause, out: list[AnyOutput]
    ) -> None:
        number = message.text(Attribute.OtherDN)
        mode = message.number(Attribute.ForwardMode, ForwardMode.Unconditional)
        target = self._plan.find(number)
        if mode not in MODES:
            self._requests.fail(now, cause, Condition.INVALID_ATTRIBUTE, out, attribute="ForwardMode")
        elif len(number) > self._core.limits.name_chars:
            self._requests.fail(now, cause, Condition.INVALID_ATTRIBUTE, out, attribute="OtherDN")
        elif target.kind not in (DnType.EXTENSION, DnType.TRUNK) or number == record.dn:
            self._requests.fail(now, cause, Condition.INVALID_DESTINATION, out)
        else:
            record.forward_to, record.forward_mode = number, mode
            told = forwarding(record.dn, number, mode)
            self._tell(now, record, MessageType.EventForwardSet, told, cause, out)

    def _cancel(
        self, now: int, record: FeatureRecord, message: Message, cause: Cause, out: list[AnyOutput]
    ) -> None:
        mode = message.number(Attribute.ForwardMode, ForwardMode.None_)
        if mode not in (ForwardMode.None_, record.forward_mode):
            self._requests.fail(now, cause, Condition.WRONG_STATE, out, dn=record.dn)
            return
        told = forwarding(record.dn, record.forward_to, record.forward_mode)
        record.forward_to, record.forward_mode = "", 0
        self._tell(now, record, MessageType.EventForwardCancel, told, cause, out)

    def _tell(
        self,
        now: int,
        record: FeatureRecord,
        kind: MessageType,
        told: dict[int, Value],
        cause: Cause,
        out: list[AnyOutput],
    ) -> None:
        if record.dnd or record.forward_to:
            self._core.store.put("features", record.dn, record)
        else:
            self._core.store.drop("features", record.dn)
        event = self._emit(now, record.dn, kind, told, cause, out)
        if self._requests.waits(cause):
            self._requests.done(now, cause, encode(event), out)

    def _emit(
        self,
        now: int,
        dn: str,
        kind: MessageType,
        told: dict[int, Value],
        cause: Cause | None,
        out: list[AnyOutput],
    ) -> Message:
        event = Message(kind, 0, {**told, **self._clients.time(now)})
        self._streams.emit(now, dn, event, cause, out)
        return event


def _dnd(record: FeatureRecord) -> MessageType:
    return MessageType.EventDNDOn if record.dnd else MessageType.EventDNDOff
