"""Where a host name leads: lookups that calls wait for, which the host asks the DNS; answers are kept (RFC 3263)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from cluster_core.core import Core
from cluster_core.dns_records import Found, Lookup
from cluster_core.gate import Gate
from cluster_core.inputs import Answered
from cluster_core.outputs import AnyOutput, Ask, Subsystem
from sip_proto import LocalError, Naptr, Query, Resolved, ResolveOutput, Resolver, Srv, Target

Records = Sequence[Naptr | Srv | str]


class User(Protocol):
    """Whoever looks names up, as this room sees it."""

    def found(self, now: int, key: int, targets: tuple[Target, ...], out: list[AnyOutput]) -> None:
        """Where the name leads, in the order to try; nothing when it leads nowhere."""


class Asked(msgspec.Struct):
    """A question that is with the host, and the lookups that wait for it."""

    name: str
    kind: str
    handles: list[int]


class Kept(msgspec.Struct, frozen=True):
    """An answer, and until when it holds."""

    records: Records
    until_us: int


class Naming:
    """The lookups of one node: equal questions are asked once, and not again while their answer holds."""

    def __init__(self, core: Core, seed: bytes) -> None:
        self._core = core
        # Who listens on one family cannot send to the other.
        family = "AAAA" if "[" in core.member.sip else "A"
        timeout_us = core.limits.lookup_deadline_us
        transports = ("udp", "tcp", "tls") if core.member.sip_tls else ("udp", "tcp")
        self._resolver = Resolver(seed, transports=transports, families=(family,), timeout_us=timeout_us)
        self.user: User
        self.gate: Gate
        self._keys: dict[int, int] = {}
        self._handles: dict[int, int] = {}
        self._asked: dict[int, Asked] = {}
        self._requests: dict[tuple[str, str], int] = {}
        self._kept: dict[tuple[str, str], Kept] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, now: int, key: int, uri: str, out: list[AnyOutput]) -> None:
        """Look a SIP URI up; `found` brings the end under this key, perhaps at once. One lookup a key at a time."""
        said: list[ResolveOutput] = []
        try:
            handle = self._resolver.resolve(now, uri, said)
        except LocalError:
            self.user.found(now, key, (), out)
            return
        self._keys[handle] = key
        self._handles[key] = handle
        self._settle(now, said, out)

    def forget(self, key: int) -> None:
        """Nobody waits any more; what is asked already is still kept when it is answered."""
        handle = self._handles.pop(key, None)
        if handle is not None:
            del self._keys[handle]
            self._resolver.forget(handle)

    def answered(self, now: int, given: Answered, out: list[AnyOutput]) -> bool:
        """An answer of the host; False when the question was not of this room."""
        asked = self._asked.pop(given.request, None)
        if asked is None:
            return False
        self._core.arm("name", given.request, None)
        key = (asked.name, asked.kind)
        del self._requests[key]
        records: Records = ()
        if isinstance(given.result, Found):
            records = _records(given.result, asked.kind)
            self._keep(now, key, records, given.result.ttl_us)
        said: list[ResolveOutput] = []
        for handle in asked.handles:
            self._resolver.answered(now, handle, asked.name, asked.kind, records, said)
        self._settle(now, said, out)
        return True

    def query_timeout(self, now: int, request: int, out: list[AnyOutput]) -> None:
        """The host owes an answer for too long: there is none."""
        self.answered(now, Answered(request, None), out)

    def lookup_timeout(self, now: int, key: int, out: list[AnyOutput]) -> None:
        """Lookups that take too long end with what is known."""
        said: list[ResolveOutput] = []
        self._resolver.handle_timeout(now, said)
        self._settle(now, said, out)

    def _settle(self, now: int, said: list[ResolveOutput], out: list[AnyOutput]) -> None:
        # What is answered at once makes the list longer.
        for record in said:
            if isinstance(record, Resolved):
                key = self._keys.pop(record.handle)
                del self._handles[key]
                for target in record.targets:
                    self.gate.trust(target.address[0])
                self.user.found(now, key, record.targets, out)
            else:
                self._query(now, record, said, out)
        self._core.arm("lookup", 0, self._resolver.next_deadline())

    def _query(self, now: int, query: Query, said: list[ResolveOutput], out: list[AnyOutput]) -> None:
        key = (query.name, query.kind)
        kept = self._kept.get(key)
        request = self._requests.get(key)
        if kept is not None and now < kept.until_us:
            self._resolver.answered(now, query.handle, query.name, query.kind, kept.records, said)
        elif request is not None:
            self._asked[request].handles.append(query.handle)
        elif len(self._asked) >= self._core.limits.names_in_flight:
            self._resolver.answered(now, query.handle, query.name, query.kind, (), said)
        else:
            request = self._core.ids.request()
            self._requests[key] = request
            self._asked[request] = Asked(query.name, query.kind, [query.handle])
            self._core.arm("name", request, now + self._core.limits.name_deadline_us)
            out.append(Ask(Subsystem.TRANSPORT, request, Lookup(query.name, query.kind)))

    def _keep(self, now: int, key: tuple[str, str], records: Records, ttl_us: int) -> None:
        self._kept.pop(key, None)
        if ttl_us > 0:
            if len(self._kept) >= self._core.limits.names_kept:
                del self._kept[next(iter(self._kept))]  # the one that was asked first
            self._kept[key] = Kept(records, now + min(ttl_us, self._core.limits.name_ttl_max_us))


def _records(found: Found, kind: str) -> Records:
    if kind == "NAPTR":
        return found.pointers
    return found.services if kind == "SRV" else found.addresses
