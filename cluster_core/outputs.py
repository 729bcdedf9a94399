"""What a node asks of its host: the closed set of outputs of the edge (design 3).

Each names the subsystem it belongs to, so that the host can file it in the right log.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from cluster_core.coordinator_records import Question


class Subsystem(IntEnum):
    """The subsystems of the source's log table; the value is the thread id, 0 the main thread (seed, logs)."""

    MAIN = 0
    CALL_MANAGER = 1
    SERVICE_CHECKER = 512
    TRANSPORT = 768
    INTERACTION_PROXY = 1024
    T_CONTROLLER = 1280
    SYSTEM_MONITOR = 1536
    SMART_PROXY = 1792


class Change(msgspec.Struct, frozen=True, array_like=True):
    """One replicated record: its table, key and schema, and its msgpack bytes, None when it was dropped."""

    table: str
    key: str
    schema: int
    record: bytes | None


class Output(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Base of every output."""


class Send(Output, frozen=True):
    """Write the chunks, in order, to each of the streams."""

    subsystem: Subsystem
    conns: tuple[int, ...]
    chunks: tuple[bytes, ...]


class SendDatagram(Output, frozen=True):
    """Send a datagram from a SIP listener to `destination` (host, port)."""

    subsystem: Subsystem
    listener: str
    destination: tuple[str, int]
    data: bytes


class Dial(Output, frozen=True):
    """Open a stream to `address` (host:port), under TLS if so said; it becomes `conn`, an odd number.

    The certificate must be that of the host `name`, of the address where that is empty.
    """

    subsystem: Subsystem
    conn: int
    address: str
    tls: bool = False
    name: str = ""


class Close(Output, frozen=True):
    """Close a stream once what was sent on it has left; `Closed` follows no more."""

    subsystem: Subsystem
    conn: int
    why: str


class Ask(Output, frozen=True):
    """Ask the coordinator, or the DNS for a `Lookup`; `Answered(request, ...)` comes back, or never."""

    subsystem: Subsystem
    request: int
    what: Question


class Replicate(Output, frozen=True):
    """Everything that durable tables changed in this input, for the other member."""

    subsystem: Subsystem
    changes: tuple[Change, ...]


class Fault(Output, frozen=True):
    """A peer did something wrong, or an operator should know: a stable `kind`, and a text without user data."""

    subsystem: Subsystem
    kind: str
    text: str
    conn: int = 0


AnyOutput = Send | SendDatagram | Dial | Close | Ask | Replicate | Fault
