"""The coordinator as a pure machine: memberships that end, and owners that follow them (design 9).

It serves clusters whose nodes all live in one process, tests and the simulator. A record of an owner has
no lease of its own: its owner's membership has. So a dead node's DNs cost nothing until somebody wants them.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from cluster_core.coordinator_records import (
    TRANSACTION,
    Answer,
    Claim,
    Claimed,
    ClaimedMany,
    ClaimMany,
    How,
    Join,
    Joined,
    Leave,
    Left,
    OwnerRecord,
    Question,
    Refresh,
    Refreshed,
    Release,
    Released,
    ReleasedMany,
    ReleaseMany,
)
from cluster_core.errors import LocalError
from cluster_core.ids import INCARNATION_MAX
from cluster_core.inputs import Answered, Changed
from cluster_core.limits import SECOND_US

TTL_US = 5 * SECOND_US
SWEEP = 10
"""Transactions in one call that drop what a member who has left owned."""

Said = list[tuple[str, Answered | Changed]]
"""What the coordinator says: pairs of a node's name and an input for it."""


class MemoryCoordinator:
    """Memberships and owners in memory; the seed decides the first incarnation of each node."""

    def __init__(self, seed: bytes) -> None:
        self._key = blake2b(seed, digest_size=32).digest()
        self._revision = 0
        self._incarnations: dict[str, int] = {}
        self._members: dict[str, tuple[int, int]] = {}
        self._owners: dict[str, OwnerRecord] = {}
        self._of: dict[tuple[str, int], dict[str, None]] = {}
        self._leaving: dict[tuple[str, int], None] = {}
        self._sweep_us = 0

    def ask(self, now: int, node: str, request: int, what: Question, out: Said) -> None:
        """Answer a node's question, and tell every member what changed by it.

        The answer goes first; a node must take either order. LocalError for an unknown kind of question, and for one
        that is larger than a transaction.
        """
        self._expire(now)
        changed: list[Changed] = []
        answer = self._answer(now, what, changed)
        out.append((node, Answered(request, answer)))
        self._tell(changed, out)

    def owner(self, dn: str) -> OwnerRecord | None:
        """The record of a DN's owner, whose membership may have ended."""
        return self._owners.get(dn)

    def alive(self, node: str, incarnation: int) -> bool:
        """Whether that incarnation of the node was a member when last somebody asked or a timeout came."""
        return self._members.get(node, (0, 0))[0] == incarnation

    def next_deadline(self) -> int | None:
        """When the next membership ends unless it is refreshed, or more is to be dropped of one that was left."""
        if self._leaving:
            return self._sweep_us
        return min((ends for _, ends in self._members.values()), default=None)

    def handle_timeout(self, now: int, out: Said) -> None:
        """Forget the memberships that have ended; nobody is told, and what they owned can be claimed.

        What a member owned that has left is dropped, and every member told, so many records at a time.
        """
        self._expire(now)
        changed: list[Changed] = []
        self._sweep(now, changed)
        self._tell(changed, out)

    def _tell(self, changed: list[Changed], out: Said) -> None:
        if changed:
            members = sorted(self._members)
            out += [(member, change) for change in changed for member in members]

    def _expire(self, now: int) -> None:
        for node in [node for node, (_, ends) in self._members.items() if ends <= now]:
            del self._members[node]

    def _answer(self, now: int, question: Question, changed: list[Changed]) -> Answer:
        match question:
            case Join():
                return self._join(now, question.node)
            case Refresh():
                alive = self.alive(question.node, question.incarnation)
                if not alive:
                    return Refreshed(False, TTL_US)
                self._members[question.node] = (question.incarnation, now + TTL_US)
                return Refreshed(True, TTL_US, tuple((n, made) for n, (made, _) in self._members.items()))
            case Claim():
                wanted = (question.dn, question.how, question.seen_epoch)
                owners = self._claim(question.node, question.incarnation, (wanted,), changed)
                return Claimed(question.dn, owners[0][1] if owners else None, self._revision)
            case ClaimMany():
                _bounded(question.claims)
                owners = self._claim(question.node, question.incarnation, question.claims, changed)
                return ClaimedMany(owners, self._revision)
            case Release():
                self._release(((question.dn, question.epoch),), changed)
                return Released(question.dn, self._revision)
            case ReleaseMany():
                _bounded(question.releases)
                self._release(question.releases, changed)
                return ReleasedMany(self._revision)
            case Leave():
                self._leave(now, question, changed)
                return Left(self._revision)
        raise LocalError(f"{type(question).__name__} is no question")

    def _join(self, now: int, node: str) -> Joined:
        incarnation = self._incarnations.get(node)
        if incarnation is None:
            digest = blake2b(node.encode(), digest_size=4, key=self._key).digest()
            # low enough that it counts up for years before it wraps
            incarnation = int.from_bytes(digest) % (INCARNATION_MAX // 2)
        incarnation = incarnation % INCARNATION_MAX + 1
        self._incarnations[node] = incarnation
        self._members[node] = (incarnation, now + TTL_US)
        return Joined(incarnation, TTL_US, self._revision, tuple(self._owners.items()))

    def _claim(
        self, node: str, incarnation: int, claims: tuple[tuple[str, How, int], ...], changed: list[Changed]
    ) -> tuple[tuple[str, OwnerRecord], ...]:
        """Who owns each DN then: one transaction, in one revision if anything is taken."""
        if not self.alive(node, incarnation):
            return ()
        revision = self._revision + 1
        owners: list[tuple[str, OwnerRecord]] = []
        taken: list[tuple[str, OwnerRecord | None]] = []
        for dn, how, seen_epoch in claims:
            record = self._owners.get(dn)
            if record is None or (
                record.epoch == seen_epoch
                and (record.node, record.incarnation) != (node, incarnation)
                and not self.alive(record.node, record.incarnation)
            ):
                self._forget(dn)
                record = self._owners[dn] = OwnerRecord(node, incarnation, how, revision)
                self._of.setdefault((node, incarnation), {})[dn] = None
                taken.append((dn, record))
            owners.append((dn, record))
        self._changed(taken, changed)
        return tuple(owners)

    def _release(self, releases: Iterable[tuple[str, int]], changed: list[Changed]) -> None:
        gone: list[tuple[str, OwnerRecord | None]] = []
        for dn, epoch in releases:
            record = self._owners.get(dn)
            if record is not None and record.epoch == epoch:
                self._forget(dn)
                gone.append((dn, None))
        self._changed(gone, changed)

    def _leave(self, now: int, leave: Leave, changed: list[Changed]) -> None:
        if not self.alive(leave.node, leave.incarnation):
            return
        del self._members[leave.node]
        self._leaving[leave.node, leave.incarnation] = None
        self._sweep(now, changed)

    def _sweep(self, now: int, changed: list[Changed]) -> None:
        """Drop what those own who have left, so many transactions at a time."""
        self._sweep_us = now + 1
        for _ in range(SWEEP):
            if not self._leaving:
                return
            holder = next(iter(self._leaving))
            held = self._of.get(holder, {})
            dns = [dn for dn, _ in zip(held, range(TRANSACTION), strict=False)]
            for dn in dns:
                self._forget(dn)
            self._changed([(dn, None) for dn in dns], changed)
            if holder not in self._of:
                del self._leaving[holder]

    def _forget(self, dn: str) -> None:
        record = self._owners.pop(dn, None)
        if record is not None:
            holder = (record.node, record.incarnation)
            held = self._of[holder]
            del held[dn]
            if not held:
                del self._of[holder]

    def _changed(self, records: list[tuple[str, OwnerRecord | None]], changed: list[Changed]) -> None:
        """These records changed in one transaction, and so in one revision."""
        if records:
            self._revision += 1
            (dn, record), *others = records
            changed.append(Changed(dn, record, self._revision, tuple(others)))


def _bounded(many: tuple[object, ...]) -> None:
    if len(many) > TRANSACTION:
        raise LocalError(f"{len(many)} DNs in one question, at most {TRANSACTION}")
