"""Memberships and owners: races, stale epochs, expiry, takeover."""

import pytest

from cluster_core.coordinator import SWEEP, TTL_US, MemoryCoordinator
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
from cluster_core.inputs import Answered, Changed


class World:
    """A coordinator with the nodes that joined it."""

    def __init__(self, *nodes: str, seed: bytes = b"seed") -> None:
        self.coordinator = MemoryCoordinator(seed)
        self.incarnations: dict[str, int] = {}
        self.told: list[tuple[str, Changed]] = []
        for node in nodes:
            self.join(0, node)

    def ask(self, now: int, node: str, question: Question) -> Answer:
        out: list[tuple[str, Answered | Changed]] = []
        self.coordinator.ask(now, node, 77, question, out)
        (to, answer), *told = out
        assert to == node
        assert isinstance(answer, Answered)
        assert answer.request == 77
        self.told = told
        return answer.result

    def join(self, now: int, node: str) -> Joined:
        answer = self.ask(now, node, Join(node))
        self.incarnations[node] = answer.incarnation
        return answer

    def claim(self, now: int, node: str, dn: str = "1001", seen: int = 0, how: How = How.SIP) -> Claimed:
        return self.ask(now, node, Claim(dn, node, self.incarnations[node], how, seen))


def test_a_member_joins_in_a_new_incarnation_each_time():
    world = World("n1")
    first = world.incarnations["n1"]
    second = world.join(1, "n1").incarnation
    assert second == first + 1
    assert 1 <= first < 2**20
    assert world.coordinator.alive("n1", second)
    assert not world.coordinator.alive("n1", first)


def test_the_first_incarnation_comes_from_the_seed_and_the_node():
    assert World("n1").incarnations == World("n1").incarnations
    assert World("n1", seed=b"tree").incarnations != World("n1").incarnations
    both = World("n1", "n2").incarnations
    assert both["n1"] != both["n2"]


def test_joining_tells_the_term_and_every_owner():
    world = World("n1")
    world.claim(0, "n1", "1001")
    world.claim(0, "n1", "1002", how=How.TLIB)
    joined = world.join(0, "n2")
    assert joined.ttl_us == TTL_US == 5_000_000
    assert joined.revision == 2
    assert joined.owners == (
        ("1001", OwnerRecord("n1", world.incarnations["n1"], How.SIP, 1)),
        ("1002", OwnerRecord("n1", world.incarnations["n1"], How.TLIB, 2)),
    )


def test_of_two_claims_the_first_wins_and_the_loser_learns_the_winner():
    world = World("n1", "n2")
    won, lost = world.claim(0, "n1"), world.claim(0, "n2")
    assert won.owner.node == lost.owner.node == "n1"
    assert won.owner.epoch == lost.owner.epoch == world.coordinator.owner("1001").epoch == 1


def test_every_change_is_told_to_every_member_once():
    world = World("n2", "n1", "n3")
    owner = world.claim(0, "n1").owner
    assert world.told == [(node, Changed("1001", owner, 1)) for node in ("n1", "n2", "n3")]
    world.claim(0, "n2")
    assert world.told == []
    assert world.ask(0, "n1", Release("1001", 1)) == Released("1001", 2)
    assert world.told == [(node, Changed("1001", None, 2)) for node in ("n1", "n2", "n3")]


def test_a_claim_whose_answer_was_lost_is_asked_again_without_harm():
    world = World("n1")
    first = world.claim(0, "n1")
    assert world.claim(1, "n1") == first
    assert world.claim(1, "n1", seen=1, how=How.TLIB) == first
    assert world.told == []


def test_who_is_no_member_claims_nothing():
    world = World("n1")
    answer = world.ask(0, "n1", Claim("1001", "n1", world.incarnations["n1"] - 1, How.SIP))
    assert answer == Claimed("1001", None, 0)
    assert world.ask(0, "n9", Claim("1001", "n9", 1, How.SIP)) == Claimed("1001", None, 0)
    assert world.claim(TTL_US, "n1").owner is None
    assert world.coordinator.owner("1001") is None


def test_a_membership_ends_with_its_term_unless_it_is_refreshed():
    world = World("n1")
    mine = world.incarnations["n1"]
    assert world.coordinator.next_deadline() == TTL_US
    assert world.ask(TTL_US - 1, "n1", Refresh("n1", mine)) == Refreshed(True, TTL_US, (("n1", mine),))
    assert world.coordinator.next_deadline() == 2 * TTL_US - 1
    assert world.ask(2 * TTL_US - 1, "n1", Refresh("n1", mine)) == Refreshed(False, TTL_US)
    assert world.coordinator.next_deadline() is None
    assert world.ask(2 * TTL_US, "n1", Refresh("n1", mine)) == Refreshed(False, TTL_US)


def test_who_refreshes_hears_which_memberships_hold():
    world = World("n1", "n2")
    one, other = world.incarnations["n1"], world.incarnations["n2"]
    both = (("n1", one), ("n2", other))
    assert world.ask(TTL_US - 1, "n1", Refresh("n1", one)).members == both
    assert world.ask(TTL_US, "n1", Refresh("n1", one)).members == (("n1", one),)
    assert world.ask(TTL_US, "n2", Refresh("n2", other)).members == ()


def test_the_end_of_a_term_is_silent_and_leaves_the_records():
    world = World("n1", "n2")
    owner = world.claim(0, "n1").owner
    world.ask(3, "n2", Refresh("n2", world.incarnations["n2"]))
    out: list[tuple[str, Answered | Changed]] = []
    world.coordinator.handle_timeout(TTL_US - 1, out)
    assert world.coordinator.alive("n1", owner.incarnation)
    world.coordinator.handle_timeout(TTL_US, out)
    assert out == []
    assert not world.coordinator.alive("n1", owner.incarnation)
    assert world.coordinator.alive("n2", world.incarnations["n2"])
    assert world.coordinator.owner("1001") == owner
    assert world.coordinator.next_deadline() == TTL_US + 3


def test_who_has_left_or_expired_is_told_nothing():
    world = World("n1", "n2", "n3")
    world.ask(0, "n2", Leave("n2", world.incarnations["n2"]))
    world.ask(1, "n1", Refresh("n1", world.incarnations["n1"]))
    world.claim(TTL_US, "n1")
    assert [node for node, _ in world.told] == ["n1"]


@pytest.mark.parametrize("gone", [True, False])
@pytest.mark.parametrize("seen", [0, 1, 2])
def test_a_takeover_needs_the_membership_gone_and_the_epoch_seen(gone, seen):
    world = World("n1", "n2")
    assert world.claim(0, "n1").owner.epoch == 1
    now = TTL_US if gone else TTL_US - 1
    world.join(now, "n2")
    taken = world.claim(now, "n2", seen=seen).owner
    if gone and seen == 1:
        assert (taken.node, taken.epoch) == ("n2", 2)
    else:
        assert (taken.node, taken.epoch) == ("n1", 1)
    assert world.coordinator.owner("1001") == taken


def test_of_two_takeovers_one_wins():
    world = World("n1", "n2", "n3")
    world.claim(0, "n1")
    for node in ("n2", "n3"):
        world.join(TTL_US, node)
    assert world.claim(TTL_US, "n2", seen=1).owner.node == "n2"
    assert world.claim(TTL_US, "n3", seen=1).owner.node == "n2"


def test_a_new_incarnation_takes_over_what_the_old_one_owned():
    world = World("n1")
    world.claim(0, "n1")
    old = world.incarnations["n1"]
    world.join(1, "n1")
    assert world.claim(1, "n1").owner.incarnation == old
    taken = world.claim(1, "n1", seen=1).owner
    assert (taken.incarnation, taken.epoch) == (world.incarnations["n1"], 2)


def test_a_release_frees_only_its_own_epoch():
    world = World("n1")
    world.claim(0, "n1")
    assert world.ask(0, "n1", Release("1001", 1)) == Released("1001", 2)
    again = world.claim(0, "n1").owner
    assert again.epoch == 3
    assert world.ask(0, "n1", Release("1001", 1)) == Released("1001", 3)
    assert world.told == []
    assert world.coordinator.owner("1001") == again
    assert world.ask(0, "n1", Release("1002", 1)) == Released("1002", 3)


def test_leaving_gives_up_everything_at_once():
    world = World("n1", "n2")
    world.claim(0, "n1", "1001")
    world.claim(0, "n2", "1002")
    world.claim(0, "n1", "1003")
    assert world.ask(0, "n1", Leave("n1", world.incarnations["n1"])) == Left(4)
    assert world.told == [("n2", Changed("1001", None, 4, (("1003", None),)))]
    assert world.coordinator.owner("1002").node == "n2"
    assert world.claim(0, "n1").owner is None


def test_leaving_late_ends_no_younger_membership():
    world = World("n1")
    old = world.incarnations["n1"]
    world.join(0, "n1")
    world.claim(0, "n1")
    assert world.ask(0, "n1", Leave("n1", old)) == Left(1)
    assert world.coordinator.owner("1001") is not None


def test_epochs_of_a_dn_only_grow():
    world = World("n1", "n2")
    epochs = []
    for _ in range(5):
        for node in ("n1", "n2"):
            owner = world.claim(0, node).owner
            epochs.append(owner.epoch)
            world.ask(0, node, Release("1001", owner.epoch))
    assert epochs == sorted(set(epochs))


def test_incarnations_wrap_before_they_leave_their_bits_and_are_never_0(monkeypatch):
    monkeypatch.setattr("cluster_core.coordinator.INCARNATION_MAX", 4)
    world = World("n1")
    seen = [world.join(0, "n1").incarnation for _ in range(8)]
    assert seen[:4] == seen[4:]
    assert sorted(seen[:4]) == [1, 2, 3, 4]


def many(world: World, node: str, *claims: tuple[str, int]) -> ClaimedMany:
    wanted = tuple((dn, How.TLIB, seen) for dn, seen in claims)
    return world.ask(0, node, ClaimMany(node, world.incarnations[node], wanted))


def test_many_claims_are_one_transaction_in_one_revision():
    world = World("n1", "n2")
    first = world.claim(0, "n2", "1002").owner
    answer = many(world, "n1", ("1001", 0), ("1002", 0), ("1003", 0))
    mine = OwnerRecord("n1", world.incarnations["n1"], How.TLIB, 2)
    assert answer == ClaimedMany((("1001", mine), ("1002", first), ("1003", mine)), 2)
    assert world.told == [(node, Changed("1001", mine, 2, (("1003", mine),))) for node in ("n1", "n2")]


def test_many_claims_asked_again_change_nothing():
    world = World("n1")
    first = many(world, "n1", ("1001", 0), ("1002", 0))
    assert many(world, "n1", ("1001", 1), ("1002", 0)) == first
    assert world.told == []


def test_a_dn_named_twice_in_a_question_is_taken_once():
    world = World("n1")
    answer = many(world, "n1", ("1001", 0), ("1001", 0))
    assert answer.owners[0] == answer.owners[1]
    assert world.told == [("n1", Changed("1001", answer.owners[0][1], 1))]


def test_many_claims_of_who_is_no_member_take_nothing():
    world = World("n1")
    assert world.ask(0, "n1", ClaimMany("n1", 0, (("1001", How.SIP, 0),))) == ClaimedMany((), 0)
    assert world.coordinator.owner("1001") is None


def test_many_takeovers_need_the_membership_gone_and_the_epochs_seen():
    world = World("n1", "n2")
    many(world, "n1", ("1001", 0), ("1002", 0))
    assert [owner.node for _, owner in many(world, "n2", ("1001", 1), ("1002", 0)).owners] == ["n1", "n1"]
    world.join(0, "n1")
    answer = many(world, "n2", ("1001", 1), ("1002", 0))
    assert [owner.node for _, owner in answer.owners] == ["n2", "n1"]


def test_many_releases_free_each_only_its_own_epoch():
    world = World("n1", "n2")
    many(world, "n1", ("1001", 0), ("1002", 0), ("1003", 0))
    assert world.ask(0, "n1", ReleaseMany((("1001", 1), ("1002", 9), ("1003", 1), ("1009", 1)))) == ReleasedMany(2)
    assert world.told == [(node, Changed("1001", None, 2, (("1003", None),))) for node in ("n1", "n2")]
    assert world.coordinator.owner("1002").epoch == 1
    assert world.ask(0, "n1", ReleaseMany((("1001", 1),))) == ReleasedMany(2)
    assert world.told == []


def test_a_question_holds_no_more_than_a_transaction():
    world = World("n1")
    dns = [str(number) for number in range(TRANSACTION + 1)]
    with pytest.raises(LocalError, match="at most 100"):
        many(world, "n1", *((dn, 0) for dn in dns))
    with pytest.raises(LocalError, match="at most 100"):
        world.ask(0, "n1", ReleaseMany(tuple((dn, 1) for dn in dns)))
    assert len(many(world, "n1", *((dn, 0) for dn in dns[1:])).owners) == TRANSACTION


def test_what_a_member_owned_that_has_left_is_dropped_by_parts():
    world = World("n1", "n2")
    dns = [str(number) for number in range(2 * SWEEP * TRANSACTION + 2)]
    for at in range(0, len(dns), TRANSACTION):
        many(world, "n1", *((dn, 0) for dn in dns[at : at + TRANSACTION]))
    world.ask(0, "n1", Leave("n1", world.incarnations["n1"]))
    parts = [world.told]
    while world.coordinator.owner(dns[-1]) is not None:
        now = world.coordinator.next_deadline()
        assert now == len(parts)
        # who wants one of the rest need not wait for that
        if len(parts) == 1:
            assert many(world, "n2", (dns[-1], 0)).owners[0][1].node == "n1"
            record = world.coordinator.owner(dns[-2])
            assert many(world, "n2", (dns[-2], record.epoch)).owners[0][1].node == "n2"
        told: list[tuple[str, Answered | Changed]] = []
        world.coordinator.handle_timeout(now, told)
        parts.append(told)
    assert [len(told) for told in parts] == [SWEEP, SWEEP, 1]
    gone = [dn for told in parts for _, change in told for dn in (change.key, *(dn for dn, _ in change.also))]
    assert sorted(gone) == sorted({*dns} - {dns[-2]})
    assert world.coordinator.owner(dns[-2]).node == "n2"
    assert world.coordinator.next_deadline() == TTL_US


def test_an_unknown_question_is_the_callers_fault():
    with pytest.raises(LocalError, match="Question"):
        World("n1").ask(0, "n1", Question())
