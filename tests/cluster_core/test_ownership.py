"""Claims and releases by the hundred thousand: asked together, asked again, never awaited for ever, read by parts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cluster_core.coordinator import MemoryCoordinator
from cluster_core.coordinator_records import (
    TRANSACTION,
    Claim,
    ClaimMany,
    How,
    Join,
    Leave,
    OwnerRecord,
    Refresh,
    Release,
    ReleaseMany,
)
from cluster_core.core import Core
from cluster_core.inputs import Answered, Changed
from cluster_core.outputs import AnyOutput, Ask
from cluster_core.ownership import Ownership
from tests.cluster_core.alone import settings

SECOND = 1_000_000
MANY = [str(number) for number in range(2 * TRANSACTION + 50)]


class Told:
    """Who is told what becomes of memberships and DNs, and remembers it."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda now, *about: self.said.append((name, *about[:-1]))

    def of(self, kind: str) -> list[Any]:
        return [said[1] for said in self.said if said[0] == kind]


class Node:
    """The room of a node alone, and the coordinator, whose answers may be lost."""

    def __init__(self, coordinator: MemoryCoordinator | None = None, *, at_once: int = 200, name: str = "n1") -> None:
        limits = msgspec.structs.replace(settings().limits, dns_at_once=at_once)
        self.core = Core(settings(limits=limits), "n1", "a", b"seed")
        self.core.name = name
        self.coordinator = coordinator or MemoryCoordinator(b"seed")
        self.ownership = Ownership(self.core)
        self.ownership.user = self.user = Told()
        self.now = SECOND
        self.asked: list[Any] = []
        self.lost = False

    def flush(self, out: list[AnyOutput]) -> None:
        """An input ends, and what it asked is answered."""
        self.ownership.flush(self.now, out)
        said: list[tuple[str, Any]] = []
        for ask in out:
            if isinstance(ask, Ask):
                self.asked.append(ask.what)
                if not self.lost:
                    self.coordinator.ask(self.now, self.core.name, ask.request, ask.what, said)
        for name, given in said:
            if name == self.core.name:
                self.hear(given)

    def hear(self, given: Any) -> None:
        out: list[AnyOutput] = []
        hearing = self.ownership.answered if isinstance(given, Answered) else self.ownership.changed
        hearing(self.now, given, out)
        self.flush(out)

    def join(self) -> None:
        out: list[AnyOutput] = []
        self.ownership.join(self.now, out)
        self.flush(out)

    def claim(self, *dns: str, how: How = How.TLIB) -> None:
        out: list[AnyOutput] = []
        for dn in dns:
            self.ownership.claim(self.now, dn, how, out)
        self.flush(out)

    def release(self, *dns: tuple[str, int]) -> None:
        out: list[AnyOutput] = []
        for dn, epoch in dns:
            self.ownership.release(self.now, dn, epoch, out)
        self.flush(out)

    def run(self, us: int, turns: int = 1_000) -> int:
        """Let time pass; returns the number of timers that came."""
        end, count = self.now + us, 0
        while (at := self.core.timers.next_deadline()) is not None and at <= end and count < turns:
            self.now = max(self.now, at)
            due = self.core.timers.pop_due(self.now)
            assert due is not None
            names = {"owners": "table"}
            out: list[AnyOutput] = []
            getattr(self.ownership, f"{names.get(due[0], due[0])}_timeout")(self.now, out)
            self.flush(out)
            count += 1
        if count < turns:
            self.now = end
        return count

    def questions(self, kind: type) -> list[Any]:
        return [what for what in self.asked if type(what) is kind]


@pytest.fixture
def node() -> Node:
    made = Node()
    made.join()
    return made


def test_what_one_input_claims_is_asked_in_transactions(node):
    node.claim(*MANY)
    assert [len(what.claims) for what in node.questions(ClaimMany)] == [TRANSACTION, TRANSACTION, 50]
    assert node.user.of("gained") == node.user.of("claimed") == MANY
    assert all(node.ownership.is_mine(dn) for dn in MANY)
    assert node.ownership.owner(MANY[0]).epoch == node.ownership.owner(MANY[99]).epoch == 1


def test_what_one_input_gives_up_is_asked_in_transactions(node):
    node.claim(*MANY)
    node.release(*((dn, node.ownership.owner(dn).epoch) for dn in MANY))
    assert [len(what.releases) for what in node.questions(ReleaseMany)] == [TRANSACTION, TRANSACTION, 50]
    assert all(node.coordinator.owner(dn) is node.ownership.owner(dn) is None for dn in MANY)


def test_one_claim_and_one_release_are_asked_alone(node):
    node.claim("1001")
    node.release(("1001", 1))
    assert node.asked[1:] == [Claim("1001", "n1", node.core.ids.incarnation, How.TLIB), Release("1001", 1)]


def test_a_dn_that_one_input_gives_up_and_claims_is_this_nodes_anew(node):
    node.claim("1001", "1002")
    out: list[AnyOutput] = []
    for dn in ("1001", "1002"):
        node.ownership.claim(node.now, dn, How.SIP, out)
        node.ownership.release(node.now, dn, 1, out)
    node.flush(out)
    assert [type(what) for what in node.asked[-2:]] == [ReleaseMany, ClaimMany]
    assert node.ownership.owner("1001") == OwnerRecord("n1", node.core.ids.incarnation, How.SIP, 3)


def test_claims_that_nobody_answers_are_asked_again_and_end_with_no_owner(node):
    node.lost = True
    node.claim(*MANY[:150])
    node.run(SECOND)
    claims = [*node.questions(ClaimMany), *node.questions(Claim)]
    assert sum(len(what.claims) for what in claims) == 300
    node.run(2 * SECOND)
    assert node.user.of("claimed") == MANY[:150]
    assert node.user.of("gained") == []


def test_an_answer_that_comes_late_is_taken_once(node):
    node.lost = True
    node.claim(*MANY[:150])
    node.lost = False
    node.run(1_200_000)
    assert node.user.of("claimed") == MANY[:150]


def test_releases_that_nobody_answers_are_asked_again_until_somebody_does(node):
    node.claim(*MANY[:150])
    node.lost = True
    node.release(*((dn, node.ownership.owner(dn).epoch) for dn in MANY[:150]))
    node.run(2_100_000)
    assert [len(what.releases) for what in node.questions(ReleaseMany)] == [100, 50] * 3
    node.lost = False
    node.run(SECOND)
    assert all(node.coordinator.owner(dn) is None for dn in MANY)
    asked = len(node.questions(ReleaseMany))
    node.run(3 * SECOND)
    assert len(node.questions(ReleaseMany)) == asked


def test_so_many_that_wait_are_asked_again_a_part_in_each_input():
    node = Node(at_once=60)
    node.join()
    node.lost = True
    node.claim(*MANY[:150])
    node.asked.clear()
    node.run(SECOND + 10)
    assert [len(what.claims) for what in node.questions(ClaimMany)] == [60, 60, 30]


def test_an_unwanted_dn_is_given_up_at_once(node):
    node.hear(Changed("1001", OwnerRecord("n1", node.core.ids.incarnation, How.SIP, 7), 7))
    assert node.asked[-1] == Release("1001", 7)
    assert node.user.of("gained") == []


def test_the_records_of_one_change_are_all_learnt(node):
    record = OwnerRecord("n2", 1, How.SIP, 7)
    node.hear(Changed("1001", record, 7, (("1002", record), ("1003", None))))
    assert [node.ownership.owner(dn) for dn in ("1001", "1002", "1003")] == [record, record, None]
    node.hear(Changed("1001", None, 6, (("1002", None),)))  # late
    assert node.ownership.owner("1002") == record
    assert node.user.of("owner_changed") == ["1001", "1002"]


def test_what_the_coordinator_never_answers_is_not_awaited_for_ever(node):
    node.lost = True
    node.release(*((dn, 1) for dn in MANY))
    assert len(node.ownership) == 3
    node.ownership.membership_timeout(node.now + node.core.limits.request_deadline_us + 1, [])
    assert len(node.ownership) == 1  # the refresh, which was asked just now


def other_owns(dns: list[str]) -> MemoryCoordinator:
    """A coordinator that knows n2 as the owner of these DNs."""
    other = Node(name="n2")
    other.join()
    other.claim(*dns)
    return other.coordinator


def test_the_table_of_owners_is_read_by_parts_and_the_node_acts_at_its_end():
    node = Node(other_owns(MANY), at_once=100)
    node.join()
    assert not node.ownership.acting
    assert sum(node.ownership.owner(dn) is not None for dn in MANY) == 100
    node.claim("9001")  # waits
    assert node.questions(Claim) == []
    node.run(1)
    assert not node.ownership.acting
    node.run(10)
    assert node.ownership.acting
    assert all(node.ownership.owner(dn).node == "n2" for dn in MANY)
    assert node.user.said.count(("joined",)) == 1
    assert node.ownership.is_mine("9001")


def test_what_changes_while_the_table_is_read_is_not_undone_by_it():
    node = Node(other_owns(MANY), at_once=100)
    node.join()
    node.hear(Changed(MANY[-1], None, 99))
    node.run(10)
    assert node.ownership.owner(MANY[-1]) is None
    assert node.ownership.owner(MANY[-2]) is not None


def test_a_membership_that_ends_while_the_table_is_read_never_acted():
    node = Node(other_owns(MANY), at_once=100)
    node.join()
    node.ownership.fence_timeout(node.now, [])
    assert node.user.of("joined") == []
    assert node.core.timers.next_deadline() is not None
    node.run(2 * SECOND)
    assert node.ownership.acting


def test_what_an_earlier_process_owned_is_given_up():
    before = Node()
    before.join()
    before.claim(*MANY)
    node = Node(before.coordinator, at_once=100)
    node.join()
    node.run(10)
    assert [len(what.releases) for what in node.questions(ReleaseMany)] == [100, 100, 50]
    assert all(node.coordinator.owner(dn) is node.ownership.owner(dn) is None for dn in MANY)


def test_what_is_gone_from_the_table_is_unlearnt():
    coordinator = other_owns(MANY[:1])
    node = Node(coordinator)
    node.join()
    coordinator.ask(node.now, "n2", 1, Release(MANY[0], 1), [])
    node.ownership.fence_timeout(node.now, [])
    node.join()
    assert node.ownership.owner(MANY[0]) is None


def test_a_node_that_leaves_asks_and_learns_nothing_more(node):
    node.claim(*MANY)
    node.lost = True
    node.claim("9001")
    node.release((MANY[0], 1))
    node.lost = False
    out: list[AnyOutput] = []
    node.ownership.leave(node.now, out)
    node.flush(out)
    assert isinstance(node.asked[-1], Leave)
    asked = len(node.asked)
    node.hear(Changed("1001", OwnerRecord("n1", node.core.ids.incarnation, How.SIP, 900), 900))
    node.claim("9002")
    node.release((MANY[1], 1))
    node.run(10 * SECOND)
    assert len(node.asked) == asked
    assert not [what for what in node.asked[asked:] if isinstance(what, Join | Refresh)]
    assert node.core.timers.next_deadline() is None
    assert all(node.coordinator.owner(dn) is None for dn in MANY)
