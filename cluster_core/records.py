"""The durable records of a node: what its tables hold and its other member gets (design 4).

They are arrays on the wire: fields are only ever added, at the end and with a default. They are mutable, and
whoever changes one puts it into the store again. A record never holds another one, only its key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from tlib_proto import KVList
else:
    KVList = tuple[tuple[str, Any], ...]


def as_pairs(value: Any) -> Any:
    """A key-value list with its nested lists as tuples; ValueError for another shape."""
    pairs = []
    for pair in value:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2 or not isinstance(pair[0], str):
            raise ValueError("not a key-value list")
        key, item = pair
        pairs.append((key, as_pairs(item) if isinstance(item, (list, tuple)) else item))
    return tuple(pairs)


class Binding(msgspec.Struct, frozen=True, array_like=True):
    """Where a phone is: its contact, the address it registered from, the way back, its preference in 1/1000 (RFC 3261
    10, RFC 3327). `name` is the host whose certificate a TLS stream to it must show, empty for that of the address."""

    contact: str
    listener: str
    host: str
    port: int
    path: tuple[str, ...] = ()
    expires_at_us: int = 0
    call_id: str = ""
    cseq: int = 0
    transport: str = "udp"
    flow: int = 0
    node: str = ""
    q: int = 1000
    name: str = ""


class CallView(msgspec.Struct, frozen=True, array_like=True):
    """A call as one DN sees it: `state` is a PartyState, `node` where the call lives."""

    conn_id: int
    call_type: int
    state: int
    other_dn: str
    node: str


class DnRecord(msgspec.Struct, array_like=True):
    """A DN that this node owns: bindings, the privileged clients that own it, the place of its last event."""

    dn: str
    epoch: int = 0
    how: str = "sip"
    role_epoch: int = 0
    seq: int = 0
    in_service: bool = False
    bindings: tuple[Binding, ...] = ()
    owners: tuple[str, ...] = ()
    calls: tuple[CallView, ...] = ()


class AgentRecord(msgspec.Struct, array_like=True):
    """The agent logged in on a DN; `session` is that of the client which logged it in."""

    dn: str
    agent_id: str
    ready: bool
    work_mode: int
    reasons: KVList = ()
    session: str = ""
    queue: str = ""

    def __post_init__(self) -> None:
        self.reasons = as_pairs(self.reasons)


class FeatureRecord(msgspec.Struct, array_like=True):
    """What a DN does with its calls: none when `dnd`, on to `forward_to` by `forward_mode` (a ForwardMode)."""

    dn: str
    dnd: bool = False
    forward_to: str = ""
    forward_mode: int = 0


class SessionRecord(msgspec.Struct, array_like=True):
    """A T-Library client: its stream, the listener it came by, who it is and whether it proved that."""

    session_id: str
    conn: int
    listener: str
    application: str
    role: str
    proven: bool


class RegistrationRecord(msgspec.Struct, array_like=True):
    """A client's registration on a DN; `mode` is a RegisterMode."""

    session_id: str
    dn: str
    mode: int


class CallRecord(msgspec.Struct, array_like=True):
    """A call of this node; `queue` is the routing point that it is at or came by, `parties` their keys.

    `main` is the ConnID of the call that a consultation is about, 0 for any other.
    """

    conn_id: int
    call_uuid: str
    call_type: int
    ani: str
    dnis: str
    user_data: KVList
    created_us: int
    answered: bool = False
    queue: str = ""
    parties: tuple[int, ...] = ()
    main: int = 0

    def __post_init__(self) -> None:
        self.user_data = as_pairs(self.user_data)


class PartyRecord(msgspec.Struct, array_like=True):
    """A party of a call: `kind` is extension, trunk, external, node or queue; `leg` its SIP leg, 0 without one.

    `role` is a DNRole, `state` a PartyState, `sdp` the last session description that came from the leg; `still` says
    that a program, not the phone itself, holds the call here.
    """

    party: int
    conn_id: int
    dn: str
    kind: str
    role: int
    state: int
    leg: int
    other_dn: str
    queue: str = ""
    sdp: bytes = b""
    version: int = 0
    still: bool = False


class MarkRecord(msgspec.Struct, array_like=True):
    """A high-water mark of ids: numbers up to it may have been given out."""

    value: int


class InteractionRecord(msgspec.Struct, array_like=True):
    """The reporting session that a call is assigned to; calls of one interaction share `interaction`, a ConnID."""

    conn_id: int
    session_id: str
    interaction: int = 0


class ReportingRecord(msgspec.Struct, array_like=True):
    """A session of the Interaction Proxy; `name` is the client's own, empty for one that ends with its connection.

    Its events are numbered from `begun`; those from `first` on are kept, `next` is free. `wants` are the user-data keys
    that it asked for, None for all; it lost its connection at `away_us` (0: it has one); `lost` events were dropped
    before they left.
    """

    session_id: str
    name: str
    application: str
    proven: bool
    begun: int
    first: int
    next: int
    wants: tuple[str, ...] | None = None
    snapshot: bool = True
    away_us: int = 0
    lost: int = 0


class BacklogRecord(msgspec.Struct, array_like=True):
    """An event that a reporting session was or will be told, as the frame that left or was to leave."""

    session_id: str
    number: int
    at_us: int
    frame: bytes
