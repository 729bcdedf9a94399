"""What a socket, a clock, a coordinator or an operator can say to a node: the closed set of inputs of the edge.

The list of inputs that a node was given is its journal, its replay file, the simulator's trace and the fuzz program
(design 3). A new protocol message never adds an input.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from cluster_core.coordinator_records import Answer, OwnerRecord
from cluster_core.outputs import Change

Listener = Literal["sip", "sip-tcp", "sip-tls", "tlib", "iproxy", "tcontroller", "smartproxy", "dial"]


class Input(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Base of every input; tagged, so that a journal line decodes to its own type."""


class Opened(Input, frozen=True):
    """A stream is open: accepted on `listener` (even `conn`), or dialled by the node (odd `conn`, listener "dial").

    `proof` are the names of the peer's certificate, a line each, when the host has checked one.
    """

    conn: int
    listener: Listener
    peer: str
    loopback: bool = True
    proof: str = ""


class Received(Input, frozen=True):
    """Bytes came on a stream."""

    conn: int
    data: bytes


class Closed(Input, frozen=True):
    """A stream is gone, or a dial failed (then without `Opened`)."""

    conn: int
    why: str


class Datagram(Input, frozen=True):
    """A datagram came to a SIP listener from `source` (host, port)."""

    listener: str
    source: tuple[str, int]
    data: bytes


class Writable(Input, frozen=True):
    """The outgoing queue of a stream crossed a mark: `queued` bytes wait in it, 0 when few do again."""

    conn: int
    queued: int


class Answered(Input, frozen=True):
    """The answer to an `Ask`; None when none came."""

    request: int
    result: Answer | None


class Changed(Input, frozen=True):
    """A watched record of the coordinator changed; None when it is gone. `key` is a DN's number, `also` are the other
    records that changed in the same revision."""

    key: str
    value: OwnerRecord | None
    revision: int
    also: tuple[tuple[str, OwnerRecord | None], ...] = ()


class Role(Input, frozen=True):
    """The member's role, with the epoch in which it holds."""

    epoch: int
    primary: bool


class Apply(Input, frozen=True):
    """Changes replicated by the other member of the node."""

    changes: tuple[Change, ...]


class Operator(Input, frozen=True):
    """A command of an operator: a name and its arguments."""

    command: str
    arguments: tuple[str, ...] = ()


class WallClock(Input, frozen=True):
    """Microseconds since 1970 UTC at the node's time 0; comes first, and again when the wall clock is stepped."""

    base_us: int


class Timeout(Input, frozen=True):
    """The node's deadline has come; harmless when early, late or repeated."""


AnyInput = (
    Opened
    | Received
    | Closed
    | Datagram
    | Writable
    | Answered
    | Changed
    | Role
    | Apply
    | Operator
    | WallClock
    | Timeout
)
