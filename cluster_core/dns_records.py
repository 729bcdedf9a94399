"""What a node asks the DNS by its host, and what it is answered (RFC 3263; RFC 1035 section 3.2)."""

from __future__ import annotations

from cluster_core.coordinator_records import Answer, Question
from sip_proto import Naptr, Srv


class Lookup(Question, frozen=True):
    """The records of a kind, "NAPTR", "SRV", "A" or "AAAA", of an absolute name."""

    name: str
    kind: str


class Found(Answer, frozen=True):
    """What there is under the name, in the field of its kind, all empty when there is nothing; good for `ttl_us`."""

    ttl_us: int
    addresses: tuple[str, ...] = ()
    services: tuple[Srv, ...] = ()
    pointers: tuple[Naptr, ...] = ()
