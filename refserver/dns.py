"""Asks the DNS what a node looks up, with dnspython (RFC 3263; RFC 2308 for how long nothing is nothing).

dnspython belongs to the extra `server`; without it the server runs, and a cluster file that needs it is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cluster_core.dns_records import Found, Lookup
from cluster_core.inputs import Answered
from cluster_core.outputs import Ask
from cluster_core.settings import ClusterSettings, DnType
from refserver.addresses import split_address
from refserver.errors import Refused
from refserver.pump import Host
from sip_proto import Naptr, Srv, parse_uri
from sip_proto.uri import address_of

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver
    from dns.resolver import Answer

LIFETIME_S = 2.0
TRY_S = 0.7
NO_TTL_S = 5
MAX_RECORDS = 64


def is_served() -> bool:
    """Whether names can be looked up here at all."""
    return importlib.util.find_spec("dns") is not None


def needed(settings: ClusterSettings) -> bool:
    """Whether a trunk of the cluster names a host."""
    trunks = (dn for dn in settings.dns.values() if dn.type is DnType.TRUNK and dn.contact != "*")
    return any(address_of(parse_uri(trunk.contact)) is None for trunk in trunks)


class Names:
    """Answers the lookups of the nodes; Refused when a trunk names a host and nobody can be asked for it."""

    def __init__(self, settings: ClusterSettings) -> None:
        self._resolver = _resolver(settings.name_servers) if needed(settings) else None
        self._tasks: dict[asyncio.Task[None], None] = {}

    def serve(self, host: Host) -> None:
        """Answer what this node looks up; what else it asks goes to whom it went before."""
        others: Callable[[Ask], None] = host.performers[Ask]

        def ask(output: Ask) -> None:
            if isinstance(output.what, Lookup):
                task = host.loop.create_task(self._answer(host, output.request, output.what))
                self._tasks[task] = None
                task.add_done_callback(self._tasks.pop)
            else:
                others(output)

        host.performers[Ask] = ask

    async def end(self) -> None:
        """Ask for nothing more."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, host: Host, request: int, what: Lookup) -> None:
        found = None
        if self._resolver is not None:
            with contextlib.suppress(OSError):
                found = await look_up(self._resolver, what)
        host.post(Answered(request, found))


def _resolver(name_servers: tuple[str, ...]) -> Resolver:
    if not is_served():
        raise Refused("a trunk names a host, which needs dnspython: install the extra `server`")
    import dns.asyncresolver
    import dns.nameserver
    import dns.resolver

    try:
        resolver = dns.asyncresolver.Resolver(configure=not name_servers)
    except dns.resolver.NoResolverConfiguration as error:
        raise Refused(f"a trunk names a host, and there is no name server: {error}") from None
    if name_servers:
        places = [split_address(text) for text in name_servers]
        resolver.nameservers = [dns.nameserver.Do53Nameserver(*place) for place in places]
    resolver.timeout = TRY_S
    return resolver


async def look_up(resolver: Resolver, what: Lookup) -> Found | None:
    """What the DNS says; None when it says nothing or that it cannot (OSError likewise)."""
    import dns.exception
    import dns.name
    import dns.resolver

    try:
        name = dns.name.from_text(what.name)
        answer = await resolver.resolve(
            name, what.kind, raise_on_no_answer=False, lifetime=LIFETIME_S, search=False
        )
    except dns.resolver.NXDOMAIN as error:
        (response,) = error.responses().values()  # type: ignore[no-untyped-call]
        return Found(_ttl_us(_negative_ttl_s(response)))
    except dns.exception.DNSException:
        return None
    return _found(answer, what.kind)


def _found(answer: Answer, kind: str) -> Found:
    if answer.rrset is None:
        return Found(_ttl_us(_negative_ttl_s(answer.response)))
    # The least time of all that led here, aliases too.
    ttl_us = _ttl_us(min(rrset.ttl for rrset in answer.response.answer))
    records = list(answer.rrset)[:MAX_RECORDS]
    if kind == "NAPTR":
        return Found(ttl_us, pointers=tuple(_naptr(record) for record in records))
    if kind == "SRV":
        return Found(ttl_us, services=tuple(_srv(record) for record in records))
    return Found(ttl_us, addresses=tuple(record.address for record in records))


def _naptr(record: Any) -> Naptr:
    flags, service = (text.decode("ascii", "replace") for text in (record.flags, record.service))
    return Naptr(record.order, record.preference, flags, service, record.replacement.to_text())


def _srv(record: Any) -> Srv:
    return Srv(record.priority, record.weight, record.port, record.target.to_text())


def _negative_ttl_s(response: Any) -> int:
    for rrset in response.authority:
        for record in rrset:
            minimum = getattr(record, "minimum", None)  # of an SOA record
            if minimum is not None:
                return int(min(rrset.ttl, minimum))
    return NO_TTL_S


def _ttl_us(seconds: int) -> int:
    return seconds * 1_000_000
