"""Where a SIP URI leads: transport, address and port by NAPTR, SRV, A and AAAA; the host asks the DNS (RFC 3263)."""

import hashlib
import re
from collections.abc import Sequence

import msgspec

from sip_proto.errors import LocalError, ParseError
from sip_proto.limits import DEFAULT_LIMITS, Limits
from sip_proto.timers import TimerTable
from sip_proto.uri import Address, is_ip, parse_uri

_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\Z")
_SERVICES = {"sip+d2u": "udp", "sip+d2t": "tcp", "sips+d2t": "tls"}
_PREFIXES = {"udp": "_sip._udp.", "tcp": "_sip._tcp.", "tls": "_sips._tcp."}
_PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061}


class Query(msgspec.Struct, frozen=True):
    """Ask the DNS for the records `kind` ("NAPTR", "SRV", "A", "AAAA") of `name`; then answered()."""

    handle: int
    name: str
    kind: str


class Target(msgspec.Struct, frozen=True):
    """One place to try."""

    transport: str
    address: Address


class Resolved(msgspec.Struct, frozen=True):
    """The places of a URI in the order to try them, none when there is no way; the handle is gone."""

    handle: int
    targets: tuple[Target, ...]


class Naptr(msgspec.Struct, frozen=True):
    """A NAPTR record as the DNS gives it; its regular expression is not used (RFC 3263 section 4.1)."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


class Srv(msgspec.Struct, frozen=True):
    """An SRV record (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str


ResolveOutput = Query | Resolved
Record = Naptr | Srv | str


class _Lookup:
    """One URI on its way; `services` are pairs of transport and SRV name, `hosts` triples of transport, name, port."""

    __slots__ = ("answers", "fallback", "handle", "hosts", "pending", "secure", "services")

    def __init__(self, handle: int, secure: bool, fallback: tuple[str, str, int]) -> None:
        self.handle = handle
        self.secure = secure
        # What is asked for when no SRV record says otherwise.
        self.fallback = fallback
        self.services: list[tuple[str, str]] = []
        self.hosts: list[tuple[str, str, int]] = []
        self.pending: dict[tuple[str, str], None] = {}
        self.answers: dict[tuple[str, str], Sequence[Record]] = {}


def _order(record: Record) -> tuple[int, int]:
    if isinstance(record, Naptr):
        return record.order, record.preference
    return (record.priority, 0) if isinstance(record, Srv) else (0, 0)


class Resolver:
    """Lookups under way; `transports` are those that we speak, the preferred one first, `families` likewise (ours).

    Answers are not cached: the host's resolver does that.
    """

    __slots__ = ("_counter", "_families", "_key", "_limits", "_lookups", "_timeout_us", "_timers", "_transports")

    def __init__(
        self,
        seed: bytes,
        *,
        transports: Sequence[str] = ("udp", "tcp", "tls"),
        families: Sequence[str] = ("A", "AAAA"),
        timeout_us: int = 5_000_000,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        if not transports or not set(transports) <= set(_PORTS):
            raise LocalError("transports are udp, tcp and tls")
        if not families or not set(families) <= {"A", "AAAA"}:
            raise LocalError("families are A and AAAA")
        self._transports = tuple(transports)
        self._families = tuple(families)
        self._timeout_us = timeout_us
        self._limits = limits
        self._key = hashlib.blake2s(seed, person=b"sip-srv").digest()
        self._counter = 0
        self._lookups: dict[int, _Lookup] = {}
        self._timers: TimerTable[int] = TimerTable()

    def __len__(self) -> int:
        return len(self._lookups)

    def resolve(self, now: int, uri: str, out: list[ResolveOutput]) -> int:
        """Look a sip or sips URI up; a handle that ends with Resolved, perhaps at once; LocalError for other URIs and
        without room (RFC 3263 section 4)."""
        try:
            parsed = parse_uri(uri)
        except ParseError as error:
            raise LocalError(f"no URI: {error.text}") from error
        if parsed.scheme not in ("sip", "sips"):
            raise LocalError(f"a {parsed.scheme} URI has no place")
        if len(self._lookups) >= self._limits.lookups:
            raise LocalError(f"{self._limits.lookups} lookups: no room for another")
        self._counter += 1
        handle = self._counter
        secure = parsed.scheme == "sips"
        asked = parsed.params.get("transport", "").lower()
        if secure and asked in ("", "tcp"):
            asked = "tls"
        host = parsed.params.get("maddr", "") or parsed.host
        host = (host[1:-1] if host[:1] == "[" else host).removesuffix(".").lower()
        transport = asked or next((name for name in ("udp", *self._transports) if name in self._transports), "")
        if transport not in self._transports or (secure and transport != "tls"):
            out.append(Resolved(handle, ()))
            return handle
        port = parsed.port or _PORTS[transport]
        if is_ip(host):
            out.append(Resolved(handle, (Target(transport, (host, port)),)))
            return handle
        if not _NAME.match(host):
            out.append(Resolved(handle, ()))
            return handle
        lookup = self._lookups[handle] = _Lookup(handle, secure, (transport, host, port))
        self._timers.set(handle, now + self._timeout_us)
        if parsed.port:
            self._ask_hosts(lookup, [lookup.fallback], out)
        elif "transport" in parsed.params:
            self._ask_services(lookup, [(transport, _PREFIXES[transport] + host)], out)
        else:
            self._ask(lookup, host, "NAPTR", out)
        return handle

    def answered(
        self, now: int, handle: int, name: str, kind: str, records: Sequence[Record], out: list[ResolveOutput]
    ) -> None:
        """The DNS' answer to a Query, empty for an error or for no such records; what nobody asked is ignored
        (RFC 3263 section 4)."""
        lookup = self._lookups.get(handle)
        key = (name, kind)
        if lookup is None or key not in lookup.pending:
            return
        del lookup.pending[key]
        # What is cut off must be what would be tried last.
        lookup.answers[key] = sorted(records, key=_order)[: self._limits.records]
        if not lookup.pending:
            self._advance(lookup, kind, out)

    def next_deadline(self) -> int | None:
        """When handle_timeout must be called, None for never (ours)."""
        return self._timers.next_deadline()

    def handle_timeout(self, now: int, out: list[ResolveOutput]) -> None:
        """Go on where nobody answered in time: without NAPTR to SRV, without SRV to A and AAAA, from there with what is
        known to the end (RFC 3263 section 4)."""
        while (handle := self._timers.pop_due(now)) is not None:
            lookup = self._lookups[handle]
            (_, kind), *_ = lookup.pending
            lookup.pending = {}
            self._timers.set(handle, now + self._timeout_us)
            self._advance(lookup, kind, out)

    def forget(self, handle: int) -> None:
        """Drop a lookup without a word (ours)."""
        if self._lookups.pop(handle, None) is not None:
            self._timers.cancel(handle)

    def _ask(self, lookup: _Lookup, name: str, kind: str, out: list[ResolveOutput]) -> None:
        if (name, kind) not in lookup.pending:
            lookup.pending[name, kind] = None
            out.append(Query(lookup.handle, name, kind))

    def _ask_services(self, lookup: _Lookup, services: list[tuple[str, str]], out: list[ResolveOutput]) -> None:
        lookup.services = services
        for _, name in services:
            self._ask(lookup, name, "SRV", out)

    def _ask_hosts(self, lookup: _Lookup, hosts: list[tuple[str, str, int]], out: list[ResolveOutput]) -> None:
        lookup.hosts = hosts[: self._limits.records]
        for _, name, _ in lookup.hosts:
            for family in self._families:
                if not is_ip(name):
                    self._ask(lookup, name, family, out)
        if not lookup.pending:
            self._finish(lookup, out)

    def _advance(self, lookup: _Lookup, kind: str, out: list[ResolveOutput]) -> None:
        if kind == "NAPTR":
            self._ask_services(lookup, self._services(lookup), out)
        elif kind == "SRV":
            self._take_services(lookup, out)
        else:
            self._finish(lookup, out)

    def _services(self, lookup: _Lookup) -> list[tuple[str, str]]:
        host = lookup.fallback[1]
        found: list[tuple[int, int, str, str]] = []
        for record in lookup.answers.get((host, "NAPTR"), ()):
            if not isinstance(record, Naptr) or record.flags.lower() != "s":
                continue
            transport = _SERVICES.get(record.service.lower(), "")
            name = record.replacement.removesuffix(".").lower()
            if transport in self._transports and (transport == "tls" or not lookup.secure) and _NAME.match(name):
                found.append((record.order, record.preference, transport, name))
        if found:
            return [(transport, name) for _, _, transport, name in sorted(found, key=lambda entry: entry[:2])]
        transports = ("tls",) if lookup.secure else self._transports
        return [(transport, _PREFIXES[transport] + host) for transport in transports]

    def _take_services(self, lookup: _Lookup, out: list[ResolveOutput]) -> None:
        hosts: list[tuple[str, str, int]] = []
        denied = False
        for transport, name in lookup.services:
            records = [record for record in lookup.answers.get((name, "SRV"), ()) if isinstance(record, Srv)]
            # A lone "." says that the service is decidedly not there (RFC 2782).
            denied = denied or (len(records) == 1 and records[0].target in (".", ""))
            for record in self._ordered(records):
                target = record.target.removesuffix(".").lower()
                if _NAME.match(target) and 0 < record.port < 65_536:
                    hosts.append((transport, target, record.port))
        self._ask_hosts(lookup, hosts if hosts or denied else [lookup.fallback], out)

    def _ordered(self, records: list[Srv]) -> list[Srv]:
        """By priority; among equals by lot, each with a chance in proportion to its weight (RFC 2782)."""
        ordered: list[Srv] = []
        for priority in sorted({record.priority for record in records}):
            # Those of weight 0 stand first, so that they have a small chance too.
            left = [record for record in records if record.priority == priority]
            left.sort(key=lambda record: record.weight > 0)
            while left:
                lot = self._lot(sum(record.weight for record in left) + 1)
                at = 0
                while lot > left[at].weight:
                    lot -= left[at].weight
                    at += 1
                ordered.append(left.pop(at))
        return ordered

    def _lot(self, size: int) -> int:
        self._counter += 1
        raw = hashlib.blake2s(self._counter.to_bytes(8, "big"), key=self._key, digest_size=8).digest()
        return int.from_bytes(raw, "big") % size

    def _finish(self, lookup: _Lookup, out: list[ResolveOutput]) -> None:
        targets: dict[Target, None] = {}
        for transport, name, port in lookup.hosts:
            found: list[Record] = [name] if is_ip(name) else []
            for family in self._families:
                found += lookup.answers.get((name, family), ())
            for address in found:
                if isinstance(address, str) and is_ip(address):
                    targets[Target(transport, (address, port))] = None
        self.forget(lookup.handle)
        out.append(Resolved(lookup.handle, tuple(targets)[: self._limits.targets]))
