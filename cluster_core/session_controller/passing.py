"""INFO and MESSAGE on their way from one phone to another, and the answer on its way back (RFC 6086, 3428).

Within a call they go to the other phone of the call. A MESSAGE outside of calls goes from a registered DN to where the
DN's owner says that it rings.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from cluster_core.contacts import LISTENERS
from cluster_core.core import Core
from cluster_core.dial_plan import DialPlan
from cluster_core.outputs import AnyOutput
from cluster_core.records import Binding
from cluster_core.session_controller.calls import Calls
from cluster_core.session_controller.delivery import Locator
from cluster_core.session_controller.legs import Legs, passed_on
from cluster_core.session_controller.registrar import Registrar, user_of
from cluster_core.settings import DnType
from cluster_core.t_controller.link_records import Located
from sip_proto import LocalError, Request, Requested, Responded
from sip_proto.message import Message

_KEPT = ("Info-Package", "Content-Disposition", "Content-Encoding", "Content-Language", "Subject", "Date")
_BUSY = (("Retry-After", "1"),)


class Passed(msgspec.Struct, frozen=True):
    """A request under way: the handle that waits for the answer, and who sent it: a leg or a DN."""

    handle: int
    sender: int | str


class Passing:
    """Requests that this node passes on; so many a sender, and a bound for all."""

    def __init__(self, core: Core, calls: Calls, legs: Legs, registrar: Registrar, plan: DialPlan) -> None:
        self._core = core
        self._calls = calls
        self._legs = legs
        self._registrar = registrar
        self._plan = plan
        self.locator: Locator
        self._passed: dict[int, Passed] = {}
        self._located: dict[int, tuple[Requested, str]] = {}
        self._of: Counter[int | str] = Counter()

    def __len__(self) -> int:
        return len(self._passed) + len(self._located)

    def in_call(self, now: int, given: Requested) -> None:
        """A request within a call: the other phone gets it."""
        party = self._calls.of_leg(given.leg)
        other = None if party is None else self._calls.other(party)
        request = given.request
        if other is None or not other.leg:
            # Of the statuses that fit, those that say so in words may end the dialog (RFC 5057 section 5.1).
            self._answer(now, given.handle, 500, "Nobody To Pass It To")
        elif not self._take(given.leg):
            self._answer(now, given.handle, 500, "Too Many At Once", _BUSY)
        else:
            kind = request.get("Content-Type") or ""
            sent = self._legs.send(now, other.leg, request.method, _headers(request), request.body, kind)
            self._sent(now, given.handle, given.leg, sent)

    def message(self, now: int, given: Requested, out: list[AnyOutput]) -> None:
        """A MESSAGE outside of calls: who sends it must be who it says, and the DN must ring somewhere."""
        request = given.request
        sender = user_of(request.from_.uri)
        known = None if sender is None else self._core.settings.dns.get(sender)
        if not self._registrar.permits(now, given, known, out):
            return
        number = user_of(request.uri)
        target = None if number is None else self._plan.find(number)
        if sender is None or known is None or known.type is not DnType.EXTENSION:
            self._answer(now, given.handle, 403, "Forbidden")
        elif target is None or target.kind is not DnType.EXTENSION:
            self._answer(now, given.handle, 404, "No Such Number")
        elif len(request.body) > self._core.limits.message_bytes:
            self._answer(now, given.handle, 413, f"More Than {self._core.limits.message_bytes} Bytes")
        elif not self._take(sender):
            self._answer(now, given.handle, 503, "Too Many At Once", _BUSY)
        else:
            token = self._core.ids.request()
            self._located[token] = (given, sender)
            self.locator.locate(now, target.dn, token, out)

    def located(self, now: int, token: int, located: Located | None) -> bool:
        """Where a MESSAGE goes; False when somebody else asked."""
        waiting = self._located.pop(token, None)
        if waiting is None:
            return False
        given, sender = waiting
        binding = None if located is None else located.binding
        if binding is None:
            self._give_back(sender)
            self._answer(now, given.handle, 480, "Not Registered")
        else:
            self._sent(now, given.handle, sender, self._send(now, given.request, sender, binding))
        return True

    def responded(self, now: int, record: Responded) -> bool:
        """The answer comes back; False when it is to another request."""
        passed = self._passed.pop(record.handle, None)
        if passed is None:
            return False
        self._give_back(passed.sender)
        response = record.response
        if response is None:
            self._answer(now, passed.handle, 504 if isinstance(passed.sender, int) else 480)
            return True
        status = response.status
        if isinstance(passed.sender, int) or status in (401, 407):
            status = passed_on(status)
        reason = response.reason if status == response.status else ""
        kind = response.get("Content-Type") or ""
        self._answer(now, passed.handle, status, reason, _headers(response), response.body, kind)
        return True

    def _send(self, now: int, request: Request, sender: str, binding: Binding) -> int | None:
        realm = self._core.settings.realm
        hops = request.get("Max-Forwards") or "70"
        left = int(hops) - 1 if hops.isdigit() else 69
        try:
            return self._legs.sip.request(
                now,
                self._legs.out,
                method="MESSAGE",
                listener=LISTENERS.get(binding.transport, "sip"),
                destination=(binding.host, binding.port),
                uri=binding.contact,
                from_=f"<sip:{sender}@{realm}>",
                to=f"<sip:{user_of(request.uri)}@{realm}>",
                route=binding.path,
                headers=(("Max-Forwards", str(max(left, 0))), *_headers(request)),
                body=request.body,
                content_type=request.get("Content-Type") or "",
                transport=binding.transport,
                flow=binding.flow if binding.node == self._core.name else 0,
            )
        except LocalError:
            return None

    def _take(self, sender: int | str) -> bool:
        limits = self._core.limits
        if self._of[sender] >= limits.passed_per_sender or len(self) >= limits.requests_in_flight:
            return False
        self._of[sender] += 1
        return True

    def _give_back(self, sender: int | str) -> None:
        self._of[sender] -= 1
        if not self._of[sender]:
            del self._of[sender]

    def _sent(self, now: int, handle: int, sender: int | str, sent: int | None) -> None:
        if sent is None:
            self._give_back(sender)
            self._answer(now, handle, 500, "The Other Phone Is Not There")
        else:
            self._passed[sent] = Passed(handle, sender)

    def _answer(
        self,
        now: int,
        handle: int,
        status: int,
        reason: str = "",
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
        content_type: str = "",
    ) -> None:
        try:
            self._legs.sip.respond(
                now,
                handle,
                status,
                self._legs.out,
                reason=reason,
                headers=headers,
                body=body,
                content_type=content_type,
            )
        except LocalError:  # it took too long: the phone has given up waiting
            return


def _headers(message: Message) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name in _KEPT if (value := message.get(name)))
