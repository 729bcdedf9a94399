"""Agent states as data: state and input give the next state and the event that tells it, or the refusal (seed; facts
of the published agent model).

Logged out, an agent has no DN; logged in, it is ready or not ready. The work mode of a login decides which. Asking for
the state that one is in is no error: the event is sent again, as the published model has it.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from cluster_core.rights import Condition
from tlib_proto import AgentWorkMode, MessageType


class AgentState(IntEnum):
    """Where an agent is."""

    LOGGED_OUT = 0
    NOT_READY = 1
    READY = 2


class AgentInput(IntEnum):
    """What can happen to an agent."""

    LOGIN = 0
    LOGOUT = 1
    SET_READY = 2
    SET_NOT_READY = 3


class Row(msgspec.Struct, frozen=True):
    """The next state, and the event or the refusal."""

    next: AgentState
    event: MessageType | None = None
    refusal: Condition | None = None


_OUT, _NOT_READY, _READY = AgentState
_LOGIN, _LOGOUT, _SET_READY, _SET_NOT_READY = AgentInput

TRANSITIONS: dict[tuple[AgentState, AgentInput], Row] = {
    (_OUT, _LOGIN): Row(_NOT_READY, MessageType.EventAgentLogin),
    (_OUT, _LOGOUT): Row(_OUT, refusal=Condition.AGENT_NOT_LOGGED_IN),
    (_OUT, _SET_READY): Row(_OUT, refusal=Condition.AGENT_NOT_LOGGED_IN),
    (_OUT, _SET_NOT_READY): Row(_OUT, refusal=Condition.AGENT_NOT_LOGGED_IN),
    (_NOT_READY, _LOGIN): Row(_NOT_READY, refusal=Condition.ALREADY_LOGGED_IN),
    (_NOT_READY, _LOGOUT): Row(_OUT, MessageType.EventAgentLogout),
    (_NOT_READY, _SET_READY): Row(_READY, MessageType.EventAgentReady),
    (_NOT_READY, _SET_NOT_READY): Row(_NOT_READY, MessageType.EventAgentNotReady),
    (_READY, _LOGIN): Row(_READY, refusal=Condition.ALREADY_LOGGED_IN),
    (_READY, _LOGOUT): Row(_OUT, MessageType.EventAgentLogout),
    (_READY, _SET_READY): Row(_READY, MessageType.EventAgentReady),
    (_READY, _SET_NOT_READY): Row(_NOT_READY, MessageType.EventAgentNotReady),
}

READY_MODES = (AgentWorkMode.ManualIn, AgentWorkMode.AutoIn, AgentWorkMode.ReturnBack)

INPUTS: dict[int, AgentInput] = {
    MessageType.RequestAgentLogin: _LOGIN,
    MessageType.RequestAgentLogout: _LOGOUT,
    MessageType.RequestAgentReady: _SET_READY,
    MessageType.RequestAgentNotReady: _SET_NOT_READY,
}
