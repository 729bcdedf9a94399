"""Agents on the DNs that this node owns: log in, out, ready, not ready (seed, T-Controller)."""

from __future__ import annotations

from cluster_core.clients import Clients
from cluster_core.core import Cause, Core
from cluster_core.outputs import AnyOutput
from cluster_core.packing import pairs_fit
from cluster_core.records import AgentRecord
from cluster_core.requests import Requests
from cluster_core.rights import Condition
from cluster_core.t_controller.streams import Streams
from cluster_core.t_controller.tables import INPUTS, READY_MODES, TRANSITIONS, AgentInput, AgentState
from tlib_proto import Attribute, Message, MessageType, encode

_WORK_MODES = range(0x8000_0000)
"""What a key-value list can carry; which of these mean something is the application's."""


class Agents:
    """The agents of owned DNs; every change is an event of the DN's stream."""

    def __init__(self, core: Core, clients: Clients, requests: Requests, streams: Streams) -> None:
        self._core = core
        self._clients = clients
        self._requests = requests
        self._streams = streams

    def request(self, now: int, message: Message, cause: Cause, session: str, out: list[AnyOutput]) -> None:
        """Serve an agent request on an owned DN that is in service."""
        dn = message.text(Attribute.ThisDN)
        agent = self.of(dn)
        given = INPUTS[message.id]
        agent_id = message.text(Attribute.AgentID)
        if message.number(Attribute.AgentWorkMode) not in _WORK_MODES:
            self._requests.fail(now, cause, Condition.INVALID_ATTRIBUTE, out, attribute="AgentWorkMode")
            return
        for name in ("AgentID", "ThisQueue"):
            if len(message.text(Attribute[name])) > self._core.limits.name_chars:
                self._requests.fail(now, cause, Condition.INVALID_ATTRIBUTE, out, attribute=name)
                return
        if not pairs_fit(message.pairs(Attribute.Reasons), self._core.limits.user_data_bytes):
            self._requests.fail(now, cause, Condition.INVALID_ATTRIBUTE, out, attribute="Reasons")
            return
        if given is AgentInput.LOGIN:
            if not agent_id:
                self._requests.fail(now, cause, Condition.MISSING_ATTRIBUTE, out, attribute="AgentID")
                return
            if agent is not None and agent.agent_id != agent_id:
                self._requests.fail(now, cause, Condition.AGENT_OCCUPIED, out, dn=dn)
                return
        row = TRANSITIONS[state_of(agent), given]
        if row.refusal is not None:
            self._requests.fail(now, cause, row.refusal, out, dn=dn)
            return
        work_mode = message.number(Attribute.AgentWorkMode)
        reasons = message.pairs(Attribute.Reasons)
        if agent is None:
            agent = AgentRecord(
                dn, agent_id, False, work_mode, reasons, session, message.text(Attribute.ThisQueue)
            )
        agent.work_mode, agent.reasons = work_mode, reasons
        assert row.event is not None
        event = self._step(now, agent, row.next, row.event, cause, out)
        if self._requests.waits(cause):
            self._requests.done(now, cause, encode(event), out)
        if given is AgentInput.LOGIN:
            ready = work_mode in READY_MODES
            after = AgentInput.SET_READY if ready else AgentInput.SET_NOT_READY
            row = TRANSITIONS[AgentState.NOT_READY, after]
            assert row.event is not None
            self._step(now, agent, row.next, row.event, None, out)

    def of(self, dn: str) -> AgentRecord | None:
        """The agent on a DN, if one is logged in."""
        record = self._core.store.get("agents", dn)
        assert record is None or isinstance(record, AgentRecord)
        return record

    def log_out(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        """The DN is given up: whoever is logged in on it is logged out."""
        agent = self.of(dn)
        if agent is not None and dn not in self._streams.mine:
            self._core.store.drop("agents", dn)
        elif agent is not None:
            self._step(now, agent, AgentState.LOGGED_OUT, MessageType.EventAgentLogout, None, out)

    def _step(
        self,
        now: int,
        agent: AgentRecord,
        state: AgentState,
        event: MessageType,
        cause: Cause | None,
        out: list[AnyOutput],
    ) -> Message:
        agent.ready = state is AgentState.READY
        if state is AgentState.LOGGED_OUT:
            self._core.store.drop("agents", agent.dn)
        else:
            self._core.store.put("agents", agent.dn, agent)
        message = self._event(now, agent, event)
        self._streams.emit(now, agent.dn, message, cause, out)
        return message

    def _event(self, now: int, agent: AgentRecord, event: MessageType) -> Message:
        attributes: dict[int, object] = {
            Attribute.ThisDN: agent.dn,
            Attribute.AgentID: agent.agent_id,
            Attribute.AgentWorkMode: agent.work_mode,
            **self._clients.time(now),
        }
        if agent.queue:
            attributes[Attribute.ThisQueue] = agent.queue
        reasons = agent.reasons
        site = self._core.node.geo_location
        if event is MessageType.EventAgentReady and site:
            # The place of an agent is the place of its DN's owner.
            reasons = (*(pair for pair in reasons if pair[0] != "site"), ("site", site))
        if reasons:
            attributes[Attribute.Reasons] = reasons
        return Message(event, 0, attributes)  # type: ignore[arg-type]


def state_of(agent: AgentRecord | None) -> AgentState:
    """The agent's state as its table knows it."""
    if agent is None:
        return AgentState.LOGGED_OUT
    return AgentState.READY if agent.ready else AgentState.NOT_READY
