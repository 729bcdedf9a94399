"""This node's membership and the owners of DNs, as the coordinator tells them (design 9, seed on DN ownership).

A node acts as owner only while its membership surely lives: the deadline counts from when the refresh was *sent*, less
a margin. A node that missed it is fenced for good in that incarnation: it hides its DNs, joins anew and claims them
again, with their state. Late and repeated messages are harmless by revision and epoch; a lost answer is asked again.
"""

from __future__ import annotations

from typing import Protocol

from cluster_core.coordinator_records import (
    Claim,
    Claimed,
    How,
    Join,
    Joined,
    Leave,
    OwnerRecord,
    Question,
    Refresh,
    Refreshed,
    Release,
)
from cluster_core.core import Core
from cluster_core.inputs import Answered, Changed
from cluster_core.outputs import AnyOutput, Ask, Fault, Subsystem


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


class Ownership:
    """The table of owners and the one room that speaks to the coordinator."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.user: OwnershipUser
        self._asked: dict[int, tuple[Question, int]] = {}
        self._claiming: dict[str, tuple[How, int]] = {}
        self._releasing: dict[str, int] = {}
        self._revisions: dict[str, int] = {}
        self._member = False
        self._stopped = False

    def __len__(self) -> int:
        return len(self._asked)

    @property
    def acting(self) -> bool:
        """Whether this node may act as an owner now."""
        return self._member

    def owner(self, dn: str) -> OwnerRecord | None:
        """Who owns a DN, as far as the coordinator has told."""
        record = self._core.store.get("owners", dn)
        assert record is None or isinstance(record, OwnerRecord)
        return record

    def is_mine(self, dn: str) -> bool:
        """Whether this node owns the DN in its present incarnation."""
        owner = self.owner(dn)
        return (
            owner is not None
            and owner.node == self._core.name
            and owner.incarnation == self._core.ids.incarnation
        )

    def join(self, now: int, out: list[AnyOutput]) -> None:
        """Become a member; asked again each refresh period until the coordinator answers."""
        self._ask(now, Join(self._core.name), out)
        self._core.arm("membership", 0, now + self._core.limits.membership_refresh_us)

    def leave(self, now: int, out: list[AnyOutput]) -> None:
        """End the membership: the node stops."""
        self._stopped = True
        self._core.arm("membership", 0, None)
        self._core.arm("fence", 0, None)
        if self._member:
            self._member = False
            self._ask(now, Leave(self._core.name, self._core.ids.incarnation), out)

    def claim(self, now: int, dn: str, how: How, out: list[AnyOutput]) -> None:
        """Try to own a DN; `claimed` tells the end. A DN whose owner lives stays with it."""
        if dn in self._claiming:
            return
        owner = self.owner(dn)
        self._claiming[dn] = (how, now + self._core.limits.claim_deadline_us)
        self._core.arm("claim", dn, now + self._core.limits.membership_refresh_us)
        if self._member:
            self._ask(
                now,
                Claim(
                    dn, self._core.name, self._core.ids.incarnation, how, 0 if owner is None else owner.epoch
                ),
                out,
            )

    def release(self, now: int, dn: str, epoch: int, out: list[AnyOutput]) -> None:
        """Give a DN up; asked again until the coordinator answers."""
        self._releasing[dn] = epoch
        owner = self.owner(dn)
        if owner is not None and owner.epoch == epoch:
            self._core.store.drop("owners", dn)
        self._core.arm("release", dn, now + self._core.limits.membership_refresh_us)
        self._ask(now, Release(dn, epoch), out)

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
        elif isinstance(question, Release) and question.epoch == self._releasing.get(question.dn):
            self._core.arm("release", question.dn, None)
            del self._releasing[question.dn]

    def changed(self, now: int, given: Changed, out: list[AnyOutput]) -> None:
        """A record changed; it may come before or after the answer to our own question."""
        self._learn(now, given.key, given.value, given.revision, out)

    def membership_timeout(self, now: int, out: list[AnyOutput]) -> None:
        """Time to refresh the membership, or to ask for one again; what was never answered is not awaited any more."""
        stale = now - self._core.limits.request_deadline_us
        # Here and not at each question: a client that goes gives back all of its DNs at once.
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

    def claim_timeout(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        """A claim got no answer: ask again until its deadline."""
        how, deadline_us = self._claiming.pop(dn)
        if now >= deadline_us:
            self.user.claimed(now, dn, self.owner(dn), out)
            return
        self.claim(now, dn, how, out)
        self._claiming[dn] = (how, deadline_us)

    def release_timeout(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        """A release got no answer: ask again."""
        self.release(now, dn, self._releasing[dn], out)

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
        known = dict(result.owners)
        for dn in list(self._core.store.rows("owners")):
            if dn not in known:
                self._learn(now, str(dn), None, result.revision, out)
        for dn, owner in result.owners:
            self._learn(now, dn, owner, result.revision, out)
        for dn, owner in result.owners:
            # A new process knows nothing of what an earlier one owned: nobody is to wait for it.
            lost = owner.node == self._core.name and owner.incarnation != result.incarnation
            if lost and self._core.store.get("dns", dn) is None:
                self.release(now, dn, owner.epoch, out)
        self.user.joined(now, out)
        for dn, (how, _) in list(self._claiming.items()):
            del self._claiming[dn]
            self.claim(now, dn, how, out)

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
        self._core.arm("fence", 0, None)
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
        before = self.owner(dn)
        if owner is None:
            self._core.store.drop("owners", dn)
        else:
            self._core.store.put("owners", dn, owner)
        mine = self.is_mine(dn)
        if before == owner:
            return
        if mine and owner is not None:
            if self._releasing.get(dn, 0) >= owner.epoch or dn not in self._claiming:
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
            self._core.arm("claim", dn, None)
            self.user.claimed(now, dn, self.owner(dn), out)
