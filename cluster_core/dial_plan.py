"""The dial plan: what a dialled number leads to (seed, dial plan; the configured switch of the cluster)."""

from __future__ import annotations

import re

import msgspec
from sortedcontainers import SortedDict

from cluster_core.settings import ClusterSettings, DnType

_NUMBER = re.compile(r"[0-9A-Za-z*#+._-]{1,64}")
"""What goes out through a trunk, and into its URI: nothing that is more than a number."""

_DIALLED = (DnType.EXTENSION, DnType.ROUTING_POINT)


class Target(msgspec.Struct, frozen=True):
    """Where a number leads: the kind and number of the DN, kind None for nowhere, and what was dialled."""

    kind: DnType | None
    dn: str
    dialled: str


class DialPlan:
    """Extensions and Routing Points by their number, trunks by the longest prefix that is dialled.

    A trunk or service is no number: its own name leads nowhere, and a trunk without a prefix takes no call.
    """

    def __init__(self, settings: ClusterSettings) -> None:
        self._exact: dict[str, DnType] = {}
        self._trunks: SortedDict[str, str] = SortedDict()
        for dn in settings.dns.values():
            if dn.type in _DIALLED:
                self._exact[dn.dn] = dn.type
            elif dn.type is DnType.TRUNK and dn.prefix:
                # of two trunks with one prefix the first in the configuration takes the calls
                self._trunks.setdefault(dn.prefix, dn.dn)

    def find(self, number: str) -> Target:
        """What a number leads to: an exact DN, else the trunk of the longest prefix, else kind None."""
        kind = self._exact.get(number)
        if kind is not None:
            return Target(kind, number, number)
        trunk = self._trunk(number) if _NUMBER.fullmatch(number) else None
        return Target(None, "", number) if trunk is None else Target(DnType.TRUNK, trunk, number)

    def _trunk(self, number: str) -> str | None:
        # every prefix of the number sorts at or before it; a neighbour that is none shares its beginning with
        # the number, and a shorter prefix can only be within what they share
        wanted = number
        while True:
            index = self._trunks.bisect_right(wanted) - 1
            if index < 0:
                return None
            prefix, dn = self._trunks.peekitem(index)
            if number.startswith(prefix):
                return str(dn)
            wanted = _common(prefix, wanted)


def _common(a: str, b: str) -> str:
    # neither is the beginning of the other, so they differ somewhere
    length = 0
    while a[length] == b[length]:
        length += 1
    return a[:length]
