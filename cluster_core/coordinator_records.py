"""What a node asks the coordinator, and what it answers: memberships and owners of DNs (design 9)."""

from __future__ import annotations

from enum import StrEnum

import msgspec

TRANSACTION = 100
"""DNs in one question and records in one change: etcd takes no more than 128 operations a transaction."""


class How(StrEnum):
    """The kind of an ownership: by SIP registration or by a T-Library registration (seed, DN ownership)."""

    SIP = "sip"
    TLIB = "tlib"


class OwnerRecord(msgspec.Struct, frozen=True, array_like=True):
    """Who owns a DN: a node in one incarnation. `epoch` is the revision of the claim that made it so."""

    node: str
    incarnation: int
    how: How
    epoch: int


class Question(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Base of what a node asks."""


class Join(Question, frozen=True):
    """Become a member: a new incarnation of the node, alive for a TTL, and the whole table of owners."""

    node: str


class Refresh(Question, frozen=True):
    """Stay a member for another TTL."""

    node: str
    incarnation: int


class Claim(Question, frozen=True):
    """Take a DN that nobody owns, or whose owner at `seen_epoch` has lost its membership."""

    dn: str
    node: str
    incarnation: int
    how: How
    seen_epoch: int = 0


class Release(Question, frozen=True):
    """Give up a DN owned at `epoch`; nothing happens if it has a younger owner."""

    dn: str
    epoch: int


class ClaimMany(Question, frozen=True):
    """Take several DNs, at most `TRANSACTION`: DN, how and `seen_epoch` each, on the terms of `Claim`; what is taken is
    taken in one revision."""

    node: str
    incarnation: int
    claims: tuple[tuple[str, How, int], ...]


class ReleaseMany(Question, frozen=True):
    """Give up several DNs, at most `TRANSACTION`: DN and epoch each, on the terms of `Release`."""

    releases: tuple[tuple[str, int], ...]


class Leave(Question, frozen=True):
    """End a membership at once, and with it, as fast as can be, every ownership that it holds."""

    node: str
    incarnation: int


class Answer(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Base of what the coordinator answers."""


class Joined(Answer, frozen=True):
    """The membership of `Join`: it ends `ttl_us` after the question was sent, unless refreshed."""

    incarnation: int
    ttl_us: int
    revision: int
    owners: tuple[tuple[str, OwnerRecord], ...]


class Refreshed(Answer, frozen=True):
    """Whether the membership still held; if so it now ends `ttl_us` after the question was sent.

    `members` are all memberships that hold then, as pairs of node and incarnation; none from who does not tell.
    """

    alive: bool
    ttl_us: int
    members: tuple[tuple[str, int], ...] = ()


class Claimed(Answer, frozen=True):
    """Who owns the DN after a `Claim`: the claimer, or whoever was first; None when the claimer is no member."""

    dn: str
    owner: OwnerRecord | None
    revision: int


class Released(Answer, frozen=True):
    """The DN is not owned at that epoch any more."""

    dn: str
    revision: int


class ClaimedMany(Answer, frozen=True):
    """Who owns each DN after a `ClaimMany`, in the order of the question; nothing when the claimer is no member."""

    owners: tuple[tuple[str, OwnerRecord], ...]
    revision: int


class ReleasedMany(Answer, frozen=True):
    """The DNs are not owned at those epochs any more."""

    revision: int


class Left(Answer, frozen=True):
    """The membership is over."""

    revision: int
