"""What a node knows of a connected T-Library client, and of what it asked for by the bulk request (ours)."""

from __future__ import annotations

import msgspec

from cluster_core.settings import ClientRole


class Bulk(msgspec.Struct, frozen=True):
    """What a bulk request asks for beside the DNs that the node owns: with `node_dns` Routing Points and trunks, with
    `call_dns` the extensions of this node's calls that no owner within reach speaks for.
    """

    node_dns: bool = False
    call_dns: bool = False


class Client(msgspec.Struct):
    """A connected application; `registered` maps a DN to its RegisterMode, `bulk` is set by the bulk request, `untold`
    are the DNs of that request whose picture it has not been sent yet: until then it gets no event of theirs.
    A client that is `resumable` may come back after a loss, behind an event that is not before `from_number`:
    `streams` are the connections that it had since, each with the last number that can have left on it.
    """

    conn: int
    listener: str
    application: str
    role: ClientRole
    proven: bool
    ranges: tuple[str, ...]
    session_id: str
    node: str = ""
    registered: dict[str, int] = {}
    bulk: Bulk | None = None
    untold: dict[str, None] = {}
    mask: bytes | None = None
    resumable: bool = False
    from_number: int = 0
    streams: list[tuple[int, int]] = []

    def __post_init__(self) -> None:
        self.streams = [(self.conn, 0)]
