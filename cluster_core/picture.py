"""What is known of a DN, built up by its events: the same for owner, peers and clients (design 7).

An event's effect on a picture is a row of `EFFECTS`. A picture travels as the Extensions of the answer
to a DNStatus query: what a client reads in EventRegistered is what a peer gets in a Snapshot.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

import msgspec

from cluster_core.errors import LocalError
from cluster_core.records import CallView
from tlib_proto import Attribute, KVList, KVValue, Message, MessageType, PartyState, Value

CALLS_MAX = 10_000
"""A picture holds no more calls than a node carries; what a peer says beyond is passed over."""

_CALLS_OCTETS = 62_000
_CALL_OCTETS = 110
"""What the calls of a picture may take of a key-value list, and what one takes but for its texts, at most."""

_INT_MAX = 0x7FFF_FFFF
_AGENT_LOGGED_OUT, _AGENT_READY, _AGENT_NOT_READY = 0, 2, 3
_IDLE: dict[bool, KVList] = {up: (("status", int(up)), ("AgentStatus", _AGENT_LOGGED_OUT)) for up in (False, True)}
_IDLE_UP = {kv: up for up, kv in _IDLE.items()}
_CALL_KEY = re.compile(r"(conn|ct|ps|other|node)-([1-9][0-9]{0,5})", re.ASCII)
_CONN_ID = re.compile(r"[0-9a-fA-F]{1,16}", re.ASCII)


class Picture(msgspec.Struct):
    """A DN as `source` (a node) tells it, up to the place (epoch, role epoch, seq) in its order of events.

    A `silent` source, which does not own the DN, has nothing to tell of it now.
    """

    dn: str
    source: str
    owned: bool
    epoch: int = 0
    role_epoch: int = 0
    seq: int = 0
    in_service: bool = False
    agent_id: str = ""
    ready: bool = False
    work_mode: int = 0
    calls: dict[int, CallView] = {}
    dnd: bool = False
    forward_to: str = ""
    forward_mode: int = 0
    silent: bool = False

    @property
    def position(self) -> tuple[int, int, int]:
        """The place of the last event that the picture holds."""
        return self.epoch, self.role_epoch, self.seq

    @property
    def idle(self) -> bool:
        """Whether there is nothing to tell of the DN but whether it is in service."""
        return not (self.agent_id or self.calls or self.dnd or self.forward_to)


class Kind(StrEnum):
    """What an event changes."""

    CALL = "call"
    MOVED = "moved"
    GONE = "gone"
    LOGIN = "login"
    LOGOUT = "logout"
    READY = "ready"
    NOT_READY = "not ready"
    SERVICE = "service"
    DND = "do not disturb"
    FORWARD = "forward"


class Effect(msgspec.Struct, frozen=True):
    """A row of `EFFECTS`: what changes, and the new PartyState of a call or the service state of the DN."""

    kind: Kind
    state: int = 0


EFFECTS: dict[int, Effect] = {
    MessageType.EventDialing: Effect(Kind.CALL, PartyState.Initiated | PartyState.Dialing),
    MessageType.EventRinging: Effect(Kind.CALL, PartyState.Alerting),
    MessageType.EventEstablished: Effect(Kind.CALL, PartyState.Connected),
    MessageType.EventHeld: Effect(Kind.CALL, PartyState.Held),
    MessageType.EventRetrieved: Effect(Kind.CALL, PartyState.Connected),
    MessageType.EventQueued: Effect(Kind.CALL, PartyState.Queued),
    MessageType.EventDestinationBusy: Effect(Kind.CALL, PartyState.Busy),
    MessageType.EventPartyChanged: Effect(Kind.MOVED),
    MessageType.EventReleased: Effect(Kind.GONE),
    MessageType.EventAbandoned: Effect(Kind.GONE),
    MessageType.EventDiverted: Effect(Kind.GONE),
    MessageType.EventAgentLogin: Effect(Kind.LOGIN),
    MessageType.EventAgentLogout: Effect(Kind.LOGOUT),
    MessageType.EventAgentReady: Effect(Kind.READY),
    MessageType.EventAgentNotReady: Effect(Kind.NOT_READY),
    MessageType.EventDNOutOfService: Effect(Kind.SERVICE, 0),
    MessageType.EventDNBackInService: Effect(Kind.SERVICE, 1),
    MessageType.EventDNDOn: Effect(Kind.DND, 1),
    MessageType.EventDNDOff: Effect(Kind.DND, 0),
    MessageType.EventForwardSet: Effect(Kind.FORWARD, 1),
    MessageType.EventForwardCancel: Effect(Kind.FORWARD, 0),
}
"""What each event does to the picture of its ThisDN (call models of Events and Models).

An event without a row changes nothing: EventRouteRequest and EventRouteUsed leave the call where it is.
EventDestinationBusy does not end it either, EventReleased follows.
"""


def apply(picture: Picture, message: Message, node: str) -> None:
    """Let an event of the DN change its picture; `node` is where the event's call lives. Never raises."""
    effect = EFFECTS.get(message.id)
    if effect is None:
        return
    match effect.kind:
        case Kind.CALL | Kind.MOVED | Kind.GONE:
            _apply_call(picture, message, node, effect)
        case Kind.SERVICE:
            picture.in_service = effect.state == 1
        case Kind.DND:
            picture.dnd = effect.state == 1
        case Kind.FORWARD:
            to = message.text(Attribute.OtherDN) if effect.state else ""
            picture.forward_to = to
            picture.forward_mode = _small(message.number(Attribute.ForwardMode)) if to else 0
        case Kind.LOGOUT:
            picture.agent_id, picture.ready, picture.work_mode = "", False, 0
        case _:
            agent_id = message.text(Attribute.AgentID) or picture.agent_id
            if agent_id != picture.agent_id:
                picture.agent_id, picture.ready, picture.work_mode = agent_id, False, 0
            if effect.kind is not Kind.LOGIN and agent_id:
                picture.ready = effect.kind is Kind.READY
                picture.work_mode = _small(message.number(Attribute.AgentWorkMode))


def _apply_call(picture: Picture, message: Message, node: str, effect: Effect) -> None:
    conn_id = message.number(Attribute.ConnID)
    if effect.kind is Kind.GONE:
        picture.calls.pop(conn_id, None)
        return
    state = effect.state
    known = picture.calls.get(conn_id)
    if effect.kind is Kind.MOVED:
        # the call goes on under another ConnID: the party keeps its state
        before = picture.calls.pop(message.number(Attribute.PreviousConnID, conn_id), None)
        known = known or before
        state = PartyState.Connected if known is None else known.state
    if known is None and len(picture.calls) >= CALLS_MAX:
        return
    call_type = _small(message.number(Attribute.CallType))
    other_dn = message.text(Attribute.OtherDN)
    if known is not None:
        call_type = call_type if Attribute.CallType in message.attributes else known.call_type
        other_dn = other_dn if Attribute.OtherDN in message.attributes else known.other_dn
    picture.calls[conn_id] = CallView(conn_id, call_type, int(state), other_dn, node)


def _small(number: int) -> int:
    """A number that a key-value list can carry; what cannot be one of ours is 0, unknown."""
    return number if 0 <= number <= _INT_MAX else 0


def extensions(picture: Picture) -> KVList:
    """The picture as the Extensions of a DNStatus answer, without its place (Events and Models, queries).

    `status` 1 in service, 0 not; `AgentStatus` 0 logged out, 2 ready, 3 not ready; per call N from 1
    `conn-N` (16 hexadecimal digits), `ct-N` CallType, `ps-N` PartyState, and ours: `other-N`, `node-N`.
    Where they are set: `dnd` 1, `fwd` the destination, and ours: `fwd-mode`, a ForwardMode.
    Of very many calls those are left out that one list does not hold.
    """
    if picture.idle:
        return _IDLE[picture.in_service]
    status = _AGENT_LOGGED_OUT
    if picture.agent_id:
        status = _AGENT_READY if picture.ready else _AGENT_NOT_READY
    pairs: list[tuple[str, KVValue]] = [("status", int(picture.in_service)), ("AgentStatus", status)]
    if picture.agent_id:
        pairs += [("AgentID", picture.agent_id), ("AgentWorkMode", picture.work_mode)]
    if picture.dnd:
        pairs.append(("dnd", 1))
    if picture.forward_to:
        pairs += [("fwd", picture.forward_to), ("fwd-mode", picture.forward_mode)]
    room = _CALLS_OCTETS
    for n, call in enumerate(picture.calls.values(), 1):
        room -= _CALL_OCTETS + len((call.other_dn + call.node).encode("utf-8", "surrogateescape"))
        if room < 0:
            break
        pairs += [
            (f"conn-{n}", f"{call.conn_id:016x}"),
            (f"ct-{n}", call.call_type),
            (f"ps-{n}", call.state),
            (f"other-{n}", call.other_dn),
            (f"node-{n}", call.node),
        ]
    return tuple(pairs)


def from_extensions(
    dn: str, source: str, owned: bool, epoch: int, role_epoch: int, seq: int, kv: KVList
) -> Picture:
    """The picture that `extensions` made into a list; what is missing or foreign in it counts as unknown."""
    if len(kv) == 2 and (up := _IDLE_UP.get(kv)) is not None:
        return Picture(dn, source, owned, epoch, role_epoch, seq, up)
    plain: dict[str, KVValue] = {}
    calls: dict[str, dict[str, KVValue]] = {}
    for key, value in kv:
        match = _CALL_KEY.fullmatch(key)
        if match is None:
            plain[key] = value
        else:
            calls.setdefault(match[2], {})[match[1]] = value
    picture = Picture(dn, source, owned, epoch, role_epoch, seq)
    picture.in_service = plain.get("status") == 1
    picture.agent_id = _text(plain.get("AgentID"))
    if picture.agent_id:
        picture.ready = plain.get("AgentStatus") == _AGENT_READY
        picture.work_mode = _number(plain.get("AgentWorkMode"))
    picture.dnd = plain.get("dnd") == 1
    picture.forward_to = _text(plain.get("fwd"))
    if picture.forward_to:
        picture.forward_mode = _number(plain.get("fwd-mode"))
    for fields in calls.values():
        digits = _text(fields.get("conn"))
        if _CONN_ID.fullmatch(digits) and len(picture.calls) < CALLS_MAX:
            conn_id = int(digits, 16)
            picture.calls[conn_id] = CallView(
                conn_id,
                _number(fields.get("ct")),
                _number(fields.get("ps")),
                _text(fields.get("other")),
                _text(fields.get("node")),
            )
    return picture


def _text(value: KVValue | None) -> str:
    return value if isinstance(value, str) else ""


def _number(value: KVValue | None) -> int:
    return _small(value) if isinstance(value, int) else 0


def merged(pictures: Iterable[Picture]) -> Picture:
    """One view of a DN from its sources: service, agent and place of the owned one, the calls of all.

    Of several owned ones, which Routing Points have, the youngest epoch speaks, and the DN is in service if
    it is for one of them; without an owned one, if it is for any source. A node that is a source without owning the DN
    has the last word on its calls. LocalError for no picture at all.
    """
    every = sorted(pictures, key=lambda p: (not p.owned, -p.epoch))
    if not every:
        raise LocalError("nothing to merge")
    first = every[0]
    calls: dict[int, CallView] = {}
    speak = {p.source.partition("/")[0]: None for p in every if not p.owned}
    for picture in every:
        for conn_id, call in picture.calls.items():
            if not picture.owned or call.node not in speak:
                calls.setdefault(conn_id, call)
    result = msgspec.structs.replace(first, calls=calls)
    result.in_service = any(picture.in_service for picture in every if picture.owned or not first.owned)
    return result


def same_view(a: Picture, b: Picture) -> bool:
    """Whether a client sees the same DN in both, whoever tells it and at whatever place."""
    return _shown(a) == _shown(b)


def _shown(picture: Picture) -> tuple[object, ...]:
    return (
        picture.dn,
        picture.in_service,
        picture.agent_id,
        picture.ready,
        picture.work_mode,
        picture.calls,
        picture.dnd,
        picture.forward_to,
        picture.forward_mode,
    )


def difference(old: Picture | None, new: Picture) -> tuple[list[Message], bool]:
    """The events of service, agent and features that bring a client from `old` to `new`, and whether the calls differ.

    Without an old picture the client takes the DN for out of service, with nobody logged in. The events
    hold no time and no place yet.
    """
    before = old or Picture(new.dn, new.source, new.owned)
    said: list[Message] = []

    def say(event: MessageType, agent_id: str = "", work_mode: int | None = None) -> None:
        attributes: dict[int, int | str] = {Attribute.ThisDN: new.dn}
        if agent_id:
            attributes[Attribute.AgentID] = agent_id
        if work_mode is not None:
            attributes[Attribute.AgentWorkMode] = work_mode
        said.append(Message(event, 0, dict(attributes)))

    if new.in_service != before.in_service:
        say(MessageType.EventDNBackInService if new.in_service else MessageType.EventDNOutOfService)
    same_agent = new.agent_id == before.agent_id
    if before.agent_id and not same_agent:
        say(MessageType.EventAgentLogout, before.agent_id)
    if new.agent_id and not same_agent:
        say(MessageType.EventAgentLogin, new.agent_id)
    if new.agent_id and (not same_agent or (new.ready, new.work_mode) != (before.ready, before.work_mode)):
        ready = MessageType.EventAgentReady if new.ready else MessageType.EventAgentNotReady
        say(ready, new.agent_id, new.work_mode)
    if new.dnd != before.dnd:
        say(MessageType.EventDNDOn if new.dnd else MessageType.EventDNDOff)
    if (new.forward_to, new.forward_mode) != (before.forward_to, before.forward_mode):
        forward = new if new.forward_to else before
        event = MessageType.EventForwardSet if new.forward_to else MessageType.EventForwardCancel
        said.append(Message(event, 0, forwarding(new.dn, forward.forward_to, forward.forward_mode)))
    return said, new.calls != before.calls


def forwarding(dn: str, to: str, mode: int) -> dict[int, Value]:
    """What EventForwardSet and EventForwardCancel say."""
    return {Attribute.ThisDN: dn, Attribute.OtherDN: to, Attribute.ForwardMode: mode}
