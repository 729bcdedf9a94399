"""User data of calls as programs change it (published call model: user data).

Attaching adds, even under a key that exists; updating replaces what has the same key and adds the rest; deleting takes
away. Every party hears the whole list as it is then, and who changed it; the copy of who asked is the answer.
"""

from __future__ import annotations

from cluster_core.core import Cause, Core
from cluster_core.outputs import AnyOutput
from cluster_core.packing import pairs_fit
from cluster_core.records import CallRecord, PartyRecord
from cluster_core.requests import Requests
from cluster_core.rights import Condition
from cluster_core.session_controller.calls import ON_SWITCH, Calls
from cluster_core.session_controller.tables import NULL
from tlib_proto import Attribute, KVList, Message, MessageType

REQUESTS = (
    MessageType.RequestAttachUserData,
    MessageType.RequestUpdateUserData,
    MessageType.RequestDeletePair,
    MessageType.RequestDeleteUserData,
)


class Attached:
    """The user data of this node's calls."""

    def __init__(self, core: Core, requests: Requests, calls: Calls) -> None:
        self._core = core
        self._requests = requests
        self._calls = calls

    def fits(self, pairs: KVList) -> bool:
        """Whether a call may carry so much."""
        return pairs_fit(pairs, self._core.limits.user_data_bytes)

    def request(
        self, now: int, call: CallRecord, party: PartyRecord, message: Message, cause: Cause, out: list[AnyOutput]
    ) -> None:
        """One of `REQUESTS`: EventAttachedDataChanged, also when nothing had that key."""
        given = message.pairs(Attribute.UserData)
        key = message.text(Attribute.DataKey)
        if message.id in REQUESTS[:2] and not given:
            self._requests.fail(now, cause, Condition.MISSING_ATTRIBUTE, out, attribute="UserData")
            return
        if message.id == MessageType.RequestAttachUserData:
            user_data = (*call.user_data, *given)
        elif message.id == MessageType.RequestUpdateUserData:
            user_data = updated(call.user_data, given)
        elif message.id == MessageType.RequestDeletePair:
            user_data = tuple(pair for pair in call.user_data if pair[0] != key)
        else:
            user_data = ()
        if not self.fits(user_data):
            self._requests.fail(now, cause, Condition.USER_DATA_TOO_LARGE, out)
            return
        call.user_data = user_data
        self._calls.keep(call)
        for there in self._calls.of(call):
            if there.kind in ON_SWITCH and there.state != NULL:
                self._calls.tell(
                    now,
                    there,
                    MessageType.EventAttachedDataChanged,
                    cause if there is party else None,
                    out,
                    ThirdPartyDN=party.dn,
                    UserData=user_data,
                )


def updated(known: KVList, given: KVList) -> KVList:
    """The list with each given pair in the place of those with its key, new keys behind (TUpdateUserData)."""
    fresh: dict[str, list[tuple[str, object]]] = {}
    for pair in given:
        fresh.setdefault(pair[0], []).append(pair)
    result: list[object] = []
    replaced = set()
    for pair in known:
        if pair[0] not in fresh:
            result.append(pair)
        elif pair[0] not in replaced:
            replaced.add(pair[0])
            result.extend(fresh[pair[0]])
    for key, pairs in fresh.items():
        if key not in replaced:
            result.extend(pairs)
    return tuple(result)  # type: ignore[arg-type]
