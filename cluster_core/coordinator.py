"""The coordinator as a pure machine: memberships that end, and owners that follow them (design 9).

It serves clusters whose nodes all live in one process, tests and the simulator. A record of an owner has
no lease of its own: its owner's membership has. So a dead node's DNs cost nothing until somebody wants them.
"""

from __future__ import annotations

from hashlib import blake2b

from cluster_core.coordinator_records import (
    Answer,
    Claim,
    Claimed,
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
)
from cluster_core.errors import LocalError
from cluster_core.ids import INCARNATION_MAX
from cluster_core.inputs import Answered, Changed
from cluster_core.limits import SECOND_US

TTL_US = 5 * SECOND_US

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

    def ask(self, now: int, node: str, request: int, what: Question, out: Said) -> None:
        """Answer a node's question, and tell every member what changed by it.

        The answer goes first; a node must take either order. LocalError for an unknown kind of question.
        """
        self._expire(now)
        changed: list[Changed] = []
        answer = self._answer(now, what, changed)
        out.append((node, Answered(request, answer)))
        for change in changed:
            out += [(member, change) for member in sorted(self._members)]

    def owner(self, dn: str) -> OwnerRecord | None:
        """The record of a DN's owner, whose membership may have ended."""
        return self._owners.get(dn)

    def alive(self, node: str, incarnation: int) -> bool:
        """Whether that incarnation of the node was a member when last somebody asked or a timeout came."""
        return self._members.get(node, (0, 0))[0] == incarnation

    def next_deadline(self) -> int | None:
        """When the next membership ends unless it is refreshed."""
        return min((ends for _, ends in self._members.values()), default=None)

    def handle_timeout(self, now: int, out: Said) -> None:
        """Forget the memberships that have ended; nobody is told, and what they owned can be claimed."""
        self._expire(now)

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
                return self._claim(question, changed)
            case Release():
                record = self._owners.get(question.dn)
                if record is not None and record.epoch == question.epoch:
                    self._drop(question.dn, changed)
                return Released(question.dn, self._revision)
            case Leave():
                self._leave(question, changed)
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

    def _claim(self, claim: Claim, changed: list[Changed]) -> Claimed:
        if not self.alive(claim.node, claim.incarnation):
            return Claimed(claim.dn, None, self._revision)
        record = self._owners.get(claim.dn)
        if record is not None:
            mine = (record.node, record.incarnation) == (claim.node, claim.incarnation)
            held = record.epoch != claim.seen_epoch or self.alive(record.node, record.incarnation)
            if mine or held:
                return Claimed(claim.dn, record, self._revision)
        self._revision += 1
        record = OwnerRecord(claim.node, claim.incarnation, claim.how, self._revision)
        self._owners[claim.dn] = record
        changed.append(Changed(claim.dn, record, self._revision))
        return Claimed(claim.dn, record, self._revision)

    def _leave(self, leave: Leave, changed: list[Changed]) -> None:
        if not self.alive(leave.node, leave.incarnation):
            return
        del self._members[leave.node]
        held = (leave.node, leave.incarnation)
        for dn in [dn for dn, record in self._owners.items() if (record.node, record.incarnation) == held]:
            self._drop(dn, changed)

    def _drop(self, dn: str, changed: list[Changed]) -> None:
        del self._owners[dn]
        self._revision += 1
        changed.append(Changed(dn, None, self._revision))
