"""How much each source of SIP may send: a stranger little, who has proven a DN more, who is configured what it likes.

A flood is dropped before it is read, and the source is not banned: its address may be forged (ours).
"""

from __future__ import annotations

from cluster_core.core import Core
from cluster_core.limits import SECOND_US
from cluster_core.outputs import AnyOutput, Fault, Subsystem
from sip_proto import ParseError, parse_uri
from sip_proto.uri import address_of

BURST_S = 2
"""A source may send what it is allowed in so many seconds at once."""

_SAID_US = 10 * SECOND_US


class Gate:
    """Counts messages and streams of each source; its tables hold `limits.sources` at most, the oldest leave."""

    def __init__(self, core: Core) -> None:
        self._limits = core.limits
        settings = core.settings
        self._free = dict.fromkeys(settings.sip_proxies)
        for dn in settings.dns.values():
            host = _host(dn.contact)
            if host is not None:
                self._free[host] = None
        for node in settings.nodes:
            for member in node.members:
                self._free[member.sip.rpartition(":")[0].strip("[]")] = None
        # By source: when the allowance would be whole again; of the proven ones also until when they are.
        self._strangers: dict[str, int] = {}
        self._proven: dict[str, tuple[int, int]] = {}
        self._streams: dict[str, int] = {}
        self._silent_until_us = 0

    def __len__(self) -> int:
        return len(self._strangers) + len(self._proven) + len(self._streams)

    def trust(self, host: str) -> None:
        """A place that a configured name led to: it may send what it likes."""
        self._free[host] = None

    def prove(self, now: int, host: str) -> None:
        """Somebody there has proven a DN: the source is no stranger for as long as a registration can last."""
        if self.is_free(host):
            return
        whole_us, _ = self._proven.pop(host, (0, 0))
        self._strangers.pop(host, None)
        self._make_room(self._proven)
        self._proven[host] = (whole_us, now + self._limits.registration_max_s * SECOND_US)

    def is_free(self, host: str) -> bool:
        """Whether the source is of this machine or of the configuration."""
        return host in self._free or host.startswith("127.") or host == "::1"

    def is_proven(self, now: int, host: str) -> bool:
        """Whether somebody there has proven a DN, or it is free."""
        return self.is_free(host) or self._proven.get(host, (0, -1))[1] >= now

    def admits(self, now: int, host: str, out: list[AnyOutput]) -> bool:
        """Whether one more message of the source is read; one Fault tells of many that are not."""
        if self.is_free(host):
            return True
        whole_us, until_us = self._proven.get(host, (0, -1))
        proven = until_us >= now
        if not proven:
            self._proven.pop(host, None)
            whole_us = self._strangers.get(host, 0)
        rate = self._limits.proven_source_rate if proven else self._limits.source_rate
        whole_us = max(whole_us, now) + SECOND_US // rate
        if whole_us > now + BURST_S * SECOND_US:
            self._say(now, f"more than {rate} messages a second from {host}: the rest is dropped", out)
            return False
        if proven:
            self._proven[host] = (whole_us, until_us)
        else:
            if host not in self._strangers:
                self._make_room(self._strangers)
            self._strangers[host] = whole_us
        return True

    def opened(self, now: int, host: str, out: list[AnyOutput]) -> bool:
        """A stream from the source: whether it may stay, and then it counts until `closed`."""
        if self.is_free(host):
            return True
        limits = self._limits
        most = limits.proven_source_streams if self.is_proven(now, host) else limits.source_streams
        count = self._streams.get(host, 0)
        if count >= most:
            self._say(now, f"more than {most} streams from {host}: the rest is refused", out)
            return False
        self._streams[host] = count + 1
        return True

    def closed(self, host: str) -> None:
        """A stream that `opened` let in is gone."""
        count = self._streams.pop(host, 0)
        if count > 1:
            self._streams[host] = count - 1

    def _say(self, now: int, text: str, out: list[AnyOutput]) -> None:
        if now >= self._silent_until_us:
            self._silent_until_us = now + _SAID_US
            out.append(Fault(Subsystem.CALL_MANAGER, "too-many-messages", text))

    def _make_room(self, table: dict[str, int] | dict[str, tuple[int, int]]) -> None:
        if len(table) >= self._limits.sources:
            del table[next(iter(table))]


def _host(contact: str) -> str | None:
    """The host of a configured contact, when it is an address."""
    try:
        address = address_of(parse_uri(contact))
    except ParseError:
        return None
    return None if address is None else address[0]
