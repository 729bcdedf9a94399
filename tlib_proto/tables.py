"""States of a session and what moves it, as data that the sessions index and the docs show (ours).

PEER_TABLES: role, state, what the peer's message is -> what to do, next state. CALLS: what the host may call
in which state -> next state; a call without a row is the caller's fault.
"""

from enum import IntEnum, StrEnum

from .messages import MessageType


class Role(IntEnum):
    """Which end of the connection a session is."""

    SERVER = 0
    CLIENT = 1


class State(IntEnum):
    """State of a session; a server begins in HELLO, a client in IDLE."""

    IDLE = 0
    HELLO = 1
    GREETED = 2
    OPEN = 3
    ENDED = 4


class Input(IntEnum):
    """What a message is to the session."""

    HELLO = 0
    LINK = 1
    LINK_DOWN = 2
    ERROR = 3
    PING = 4
    PONG = 5
    KNOWN = 6
    UNKNOWN = 7


class Act(IntEnum):
    """What a session does with a message."""

    GREET = 0
    LINK = 1
    REFUSED = 2
    DELIVER = 3
    PONG = 4
    NOTHING = 5
    UNSUPPORTED = 6
    REPEATED = 7
    UNEXPECTED = 8


class Call(IntEnum):
    """What a host calls."""

    START = 0
    ACCEPT = 1
    REFUSE = 2
    SEND = 3
    CLOSE = 4
    DISCONNECT = 5
    SET_MASK = 6


class EndKind(StrEnum):
    """Why a session ended (`Ended.kind`)."""

    CLOSED = "closed"
    REFUSED = "refused"
    HELLO_TIMEOUT = "hello-timeout"
    PARTIAL_FRAME = "partial-frame"
    KEEP_ALIVE = "keep-alive"
    MALFORMED = "malformed"
    TOO_LARGE = "too-large"
    VERSION = "version"
    UNEXPECTED = "unexpected"
    EARLY = "early"
    NOT_TLIB = "not-tlib"
    DISCONNECTED = "disconnected"
    SLOW_READER = "slow-reader"


INPUTS: dict[int, Input] = {
    MessageType.RequestRegisterClient: Input.HELLO,
    MessageType.EventLinkConnected: Input.LINK,
    MessageType.EventLinkDisconnected: Input.LINK_DOWN,
    MessageType.EventError: Input.ERROR,
    MessageType.Ping: Input.PING,
    MessageType.Pong: Input.PONG,
}
"""Messages that mean something to a session; all others are KNOWN or UNKNOWN."""

_LOST = (Act.UNEXPECTED, State.ENDED)
_DELIVER = (Act.DELIVER, State.OPEN)

PEER_TABLES: dict[Role, dict[State, dict[Input, tuple[Act, State]]]] = {
    Role.SERVER: {
        State.HELLO: {
            Input.HELLO: (Act.GREET, State.GREETED),
            Input.LINK: _LOST,
            Input.LINK_DOWN: _LOST,
            Input.ERROR: _LOST,
            Input.PING: _LOST,
            Input.PONG: _LOST,
            Input.KNOWN: _LOST,
            Input.UNKNOWN: _LOST,
        },
        State.OPEN: {
            Input.HELLO: (Act.REPEATED, State.OPEN),
            Input.LINK: _DELIVER,
            Input.LINK_DOWN: _DELIVER,
            Input.ERROR: _DELIVER,
            Input.PING: (Act.PONG, State.OPEN),
            Input.PONG: (Act.NOTHING, State.OPEN),
            Input.KNOWN: _DELIVER,
            Input.UNKNOWN: (Act.UNSUPPORTED, State.OPEN),
        },
    },
    Role.CLIENT: {
        State.HELLO: {
            Input.HELLO: _LOST,
            Input.LINK: (Act.LINK, State.OPEN),
            Input.LINK_DOWN: (Act.REFUSED, State.ENDED),
            Input.ERROR: (Act.REFUSED, State.ENDED),
            Input.PING: _LOST,
            Input.PONG: _LOST,
            Input.KNOWN: _LOST,
            Input.UNKNOWN: _LOST,
        },
        State.OPEN: {
            Input.HELLO: _DELIVER,
            Input.LINK: _DELIVER,
            Input.LINK_DOWN: _DELIVER,
            Input.ERROR: _DELIVER,
            Input.PING: (Act.PONG, State.OPEN),
            Input.PONG: (Act.NOTHING, State.OPEN),
            Input.KNOWN: _DELIVER,
            Input.UNKNOWN: _DELIVER,
        },
    },
}
"""In IDLE, GREETED and ENDED no message is looked at."""

CALLS: dict[Call, dict[State, State]] = {
    Call.START: {State.IDLE: State.HELLO},
    Call.ACCEPT: {State.GREETED: State.OPEN},
    Call.REFUSE: {State.GREETED: State.ENDED},
    Call.SEND: {State.OPEN: State.OPEN},
    Call.CLOSE: {
        State.IDLE: State.ENDED,
        State.HELLO: State.ENDED,
        State.GREETED: State.ENDED,
        State.OPEN: State.ENDED,
        State.ENDED: State.ENDED,
    },
    Call.DISCONNECT: {State.GREETED: State.ENDED, State.OPEN: State.ENDED},
    Call.SET_MASK: {State.OPEN: State.OPEN},
}


def classify(message_id: int, known: bool) -> Input:
    """What a message is to a session; `known`: its id has a name."""
    return INPUTS.get(message_id, Input.KNOWN if known else Input.UNKNOWN)
