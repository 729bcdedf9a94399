"""This node's membership and the owners of DNs, as the coordinator tells them (design 9, seed on DN ownership).

A node acts as owner only while its membership surely lives: the deadline counts from when the refresh was *sent*, less
a margin. A node that missed it is fenced for good in that incarnation: it hides its DNs, joins anew and claims them
again, with their state. Late and repeated messages are harmless by revision and epoch; a lost answer is asked again.

DNs are claimed by the hundred thousand: what one input claims and gives up is asked in questions for many, `flush`
asks them, and one timer watches over all that wait. The table of owners that comes with a membership is read by parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Protocol, TypeVar

import msgspec

from cluster_core.coordinator_records import (
    TRANSACTION,
    Claim,
    Claimed,
    ClaimedMany,
    ClaimMany,
    How,
    Join,
    Joined,
    Leave,
    OwnerRecord,
    Question,
    Refresh,
    Refreshed,
    Release,
    ReleaseMany,
)
from cluster_core.core import Core
from cluster_core.inputs import Answered, Changed
from cluster_core.outputs import AnyOutput, Ask, Fault, Subsystem

_T = TypeVar("_T")


class OwnershipUser(Protocol):
    """Who is told what becomes of memberships and DNs."""

    def joined(self, now: int, out: list[AnyOutput]) -> None:
        """The node is a member, in a new incarnation."""

    def fenced(self, now: int, out: list[AnyOutput]) -> None:
        """The membership may be gone: hide every owned DN, log nobody out."""

    def gained(self, now: int, dn: str, owner: OwnerRecord, out: list[AnyOutput]) -> None:
        """This node owns the DN from now on."""

    def lost(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        """Another node owns a DN that was this node's."""

    def claimed(self, now: int, dn: str, owner: OwnerRecord | None, out: list[AnyOutput]) -> None:
        """A claim has ended: with this owner, or with none because nobody answered."""

    def owner_changed(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        """Somebody else's DN has another owner, or none."""

    def members_are(self, now: int, members: tuple[tuple[str, int], ...], out: list[AnyOutput]) -> None:
        """The memberships that hold, as pairs of node and incarnation; told again each refresh period."""


class _Claiming(msgspec.Struct, frozen=True):
    """A claim that has not ended: when it is given up, and when it is asked again."""

    how: How
    deadline_us: int
    again_us: int


class _Table(msgspec.Struct):
    """A table of owners that is being read, then the DNs known before that it may not name; `read` of both are done."""

    joined: Joined
    read: int = 0
    known: list[str] = []


class Ownership:
    """The table of owners and the one room that speaks to the coordinator."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.user: OwnershipUser
        self._asked: dict[int, tuple[Question, int]] = {}
        # Both in the order in which they are asked again; what is to be asked at the end of this input besides.
        self._claiming: dict[str, _Claiming] = {}
        self._releasing: dict[str, tuple[int, int]] = {}
        self._to_claim: dict[str, None] = {}
        self._to_release: dict[str, None] = {}
        self._owners: dict[str, OwnerRecord] = core.store.rows("owners")
        self._revisions: dict[str, int] = {}
        self._table: _Table | None = None
        self._member = False
        self._stopped = False

    def __len__(self) -> int:
        return len(self._asked)

    @property
    def acting(self) -> bool:
        """Whether this node may act as an owner now."""
        return self._member and self._table is None

    def owner(self, dn: str) -> OwnerRecord | None:
        """Who owns a DN, as far as the coordinator has told."""
        return self._owners.get(dn)

    def is_mine(self, dn: str) -> bool:
        """Whether this node owns the DN in its present incarnation."""
        return self._means_me(self._owners.get(dn))

    def join(self, now: int, out: list[AnyOutput]) -> None:
        """Become a member; asked again each refresh period until the coordinator answers."""
        self._ask(now, Join(self._core.name), out)
        self._core.arm("membership", 0, now + self._core.limits.membership_refresh_us)

    def leave(self, now: int, out: list[AnyOutput]) -> None:
        """End the membership, and with it every ownership: the node stops, and asks and learns nothing more."""
        self._stopped = True
        for kind in ("membership", "fence", "claim", "release", "owners"):
            self._core.arm(kind, 0, None)
        self._claiming.clear()
        self._releasing.clear()
        self._to_claim.clear()
        self._to_release.clear()
        self._asked.clear()
        self._table = None
        if self._member:
            self._member = False
            self._ask(now, Leave(self._core.name, self._core.ids.incarnation), out)

    def claim(self, now: int, dn: str, how: How, out: list[AnyOutput]) -> None:
        """Try to own a DN; `claimed` tells the end. A DN whose owner lives stays with it."""
        if dn not in self._claiming and not self._stopped:
            self._claim(now, dn, how, now + self._core.limits.claim_deadline_us)

    def release(self, now: int, dn: str, epoch: int, out: list[AnyOutput]) -> None:
        """Give a DN up; asked again until the coordinator answers."""
        owner = self._owners.get(dn)
        if owner is not None and owner.epoch == epoch:
            self._core.store.drop("owners", dn)
        if not self._stopped:
            self._release(now, dn, epoch)

    def flush(self, now: int, out: list[AnyOutput]) -> None:
        """Ask for what the input claimed and gave up; call it at the end of each."""
        if self._to_release:
            for dns in _many(self._to_release):
                releases = tuple((dn, self._releasing[dn][0]) for dn in dns)
                self._ask(now, Release(*releases[0]) if len(releases) == 1 else ReleaseMany(releases), out)
            self._to_release.clear()
        if self._to_claim:
            if self.acting:
                node, incarnation = self._core.name, self._core.ids.incarnation
                for dns in _many(self._to_claim):
                    claims = tuple((dn, self._claiming[dn].how, self._seen(dn)) for dn in dns)
                    (dn, how, seen_epoch), *others = claims
                    one = Claim(dn, node, incarnation, how, seen_epoch)
                    self._ask(now, ClaimMany(node, incarnation, claims) if others else one, out)
            self._to_claim.clear()

    def answered(self, now: int, given: Answered, out: list[AnyOutput]) -> None:
        """The coordinator answered; an answer that nobody waits for is dropped."""
        asked = self._asked.pop(given.request, None)
        if asked is None or given.result is None:
            return
        question, sent_us = asked
        result = given.result
        if isinstance(result, Joined):
            self._joined(now, sent_us, result, out)
        elif isinstance(result, Refreshed):
            self._refreshed(now, sent_us, question, result, out)
        elif isinstance(result, Claimed):
            self._learn(now, result.dn, result.owner, result.revision, out)
            if result.owner is not None:
                self._claim_ended(now, result.dn, out)
        elif isinstance(result, ClaimedMany):
            for dn, owner in result.owners:
                self._learn(now, dn, owner, result.revision, out)
                self._claim_ended(now, dn, out)
        elif isinstance(question, Release):
            self._released(((question.dn, question.epoch),))
        elif isinstance(question, ReleaseMany):
            self._released(question.releases)

    def changed(self, now: int, given: Changed, out: list[AnyOutput]) -> None:
        """Records changed; it may come before or after the answer to our own question."""
        if self._stopped:
            return
        self._learn(now, given.key, given.value, given.revision, out)
        for dn, owner in given.also:
            self._learn(now, dn, owner, given.revision, out)

    def membership_timeout(self, now: int, out: list[AnyOutput]) -> None:
        """Time to refresh the membership, or to ask for one again; what was never answered is not awaited any more."""
        stale = now - self._core.limits.request_deadline_us
        for old in [request for request, (_, sent_us) in self._asked.items() if sent_us < stale]:
            del self._asked[old]
        if not self._member:
            self.join(now, out)
            return
        self._ask(now, Refresh(self._core.name, self._core.ids.incarnation), out)
        self._core.arm("membership", 0, now + self._core.limits.membership_refresh_us)

    def fence_timeout(self, now: int, out: list[AnyOutput]) -> None:
        """No refresh succeeded in time: stop acting before the membership can end, and join anew."""
        self._lose_membership(now, "membership-late", out)

    def claim_timeout(self, now: int, out: list[AnyOutput]) -> None:
        """Claims got no answer: ask again until their deadlines."""
        due = [dn for dn, claiming in self._due(self._claiming.items()) if claiming.again_us <= now]
        for dn in due:
            claiming = self._claiming.pop(dn)
            if now >= claiming.deadline_us:
                self.user.claimed(now, dn, self.owner(dn), out)
            else:
                self._claim(now, dn, claiming.how, claiming.deadline_us)
        first = next(iter(self._claiming.values()), None)
        self._core.arm("claim", 0, None if first is None else max(now + 1, first.again_us))

    def release_timeout(self, now: int, out: list[AnyOutput]) -> None:
        """Releases got no answer: ask again."""
        due = [dn for dn, (_, again_us) in self._due(self._releasing.items()) if again_us <= now]
        for dn in due:
            self.release(now, dn, self._releasing.pop(dn)[0], out)
        first = next(iter(self._releasing.values()), None)
        self._core.arm("release", 0, None if first is None else max(now + 1, first[1]))

    def table_timeout(self, now: int, out: list[AnyOutput]) -> None:
        """Read on in the table of owners; at its end the node acts."""
        table = self._table
        assert table is not None
        joined, start = table.joined, table.read
        table.read = end = start + self._core.limits.dns_at_once
        for dn, owner in joined.owners[start:end]:
            self._learn(now, dn, owner, joined.revision, out)
            # A new process knows nothing of what an earlier one owned: nobody is to wait for it.
            lost = owner.node == self._core.name and owner.incarnation != joined.incarnation
            if lost and self._owners.get(dn) == owner and self._core.store.get("dns", dn) is None:
                self.release(now, dn, owner.epoch, out)
        named = len(joined.owners)
        if start <= named <= end:
            table.known = list(self._owners)
        for dn in table.known[max(0, start - named) : max(0, end - named)]:
            if self._revisions.get(dn, 0) < joined.revision:
                self._learn(now, dn, None, joined.revision, out)
        if end < named + len(table.known) or end < named:
            self._core.arm("owners", 0, now + 1)
            return
        self._table = None
        self.user.joined(now, out)
        self._to_claim |= dict.fromkeys(self._due(self._claiming))

    def _due(self, waiting: Iterable[_T]) -> Iterator[_T]:
        """As many as one input may look at."""
        return islice(waiting, self._core.limits.dns_at_once)

    def _claim(self, now: int, dn: str, how: How, deadline_us: int) -> None:
        again_us = now + self._core.limits.membership_refresh_us
        if not self._claiming:
            self._core.arm("claim", 0, again_us)
        self._claiming[dn] = _Claiming(how, deadline_us, again_us)
        self._to_claim[dn] = None

    def _release(self, now: int, dn: str, epoch: int) -> None:
        again_us = now + self._core.limits.membership_refresh_us
        if not self._releasing:
            self._core.arm("release", 0, again_us)
        self._releasing.pop(dn, None)
        self._releasing[dn] = (epoch, again_us)
        self._to_release[dn] = None

    def _released(self, releases: Iterable[tuple[str, int]]) -> None:
        for dn, epoch in releases:
            asked = self._releasing.get(dn)
            if asked is not None and asked[0] == epoch:
                del self._releasing[dn]
                self._to_release.pop(dn, None)
        if not self._releasing:
            self._core.arm("release", 0, None)

    def _seen(self, dn: str) -> int:
        owner = self._owners.get(dn)
        return 0 if owner is None else owner.epoch

    def _means_me(self, owner: OwnerRecord | None) -> bool:
        core = self._core
        return owner is not None and owner.node == core.name and owner.incarnation == core.ids.incarnation

    def _ask(self, now: int, what: Question, out: list[AnyOutput]) -> None:
        request = self._core.ids.request()
        self._asked[request] = (what, now)
        out.append(Ask(Subsystem.T_CONTROLLER, request, what))

    def _joined(self, now: int, sent_us: int, result: Joined, out: list[AnyOutput]) -> None:
        if self._stopped or self._member:
            return
        self._core.ids.incarnation = result.incarnation
        self._member = True
        self._live_until(now, sent_us + result.ttl_us)
        self._core.arm("membership", 0, now + self._core.limits.membership_refresh_us)
        self._table = _Table(result)
        self.table_timeout(now, out)

    def _refreshed(
        self, now: int, sent_us: int, question: Question, result: Refreshed, out: list[AnyOutput]
    ) -> None:
        if not self._member or not isinstance(question, Refresh):
            return
        if question.incarnation != self._core.ids.incarnation:
            return
        if result.alive:
            self._live_until(now, sent_us + result.ttl_us)
            if result.members:
                self.user.members_are(now, result.members, out)
        else:
            self._lose_membership(now, "membership-lost", out)

    def _live_until(self, now: int, end_us: int) -> None:
        self._core.arm("fence", 0, max(now, end_us - self._core.limits.membership_margin_us))

    def _lose_membership(self, now: int, kind: str, out: list[AnyOutput]) -> None:
        if not self._member:
            return
        self._member = False
        self._table = None
        self._core.arm("fence", 0, None)
        self._core.arm("owners", 0, None)
        out.append(
            Fault(Subsystem.T_CONTROLLER, kind, "not a member of the cluster now: owned DNs are hidden")
        )
        self.user.fenced(now, out)
        self.join(now, out)

    def _learn(
        self, now: int, dn: str, owner: OwnerRecord | None, revision: int, out: list[AnyOutput]
    ) -> None:
        """Take over what the coordinator says of a DN, unless something younger is known."""
        if revision < self._revisions.get(dn, 0):
            return
        self._revisions[dn] = revision
        if self._owners.get(dn) == owner:
            return
        if owner is None:
            self._core.store.drop("owners", dn)
        else:
            self._core.store.put("owners", dn, owner)
        if owner is not None and self._means_me(owner):
            if self._releasing.get(dn, (0, 0))[0] >= owner.epoch or dn not in self._claiming:
                self.release(now, dn, owner.epoch, out)
                return
            self.user.gained(now, dn, owner, out)
            self._claim_ended(now, dn, out)
        elif (
            self._core.store.get("dns", dn) is not None
            and owner is not None
            and owner.node != self._core.name
        ):
            self.user.lost(now, dn, out)
            self._claim_ended(now, dn, out)
        else:
            self.user.owner_changed(now, dn, out)

    def _claim_ended(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        if self._claiming.pop(dn, None) is not None:
            self._to_claim.pop(dn, None)
            if not self._claiming:
                self._core.arm("claim", 0, None)
            self.user.claimed(now, dn, self.owner(dn), out)


def _many(dns: Iterable[str]) -> Iterator[list[str]]:
    """So many at a time as one question may have."""
    rest = iter(dns)
    while part := list(islice(rest, TRANSACTION)):
        yield part
