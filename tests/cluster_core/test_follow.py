"""What a receiver makes of Snapshots and events, in whatever order they come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_core.follow import Follower, Verdict
from cluster_core.picture import Picture, apply
from cluster_core.records import CallView
from tlib_proto import Attribute, Message, MessageType, PartyState

RINGING = Message(MessageType.EventRinging, 0, {Attribute.ThisDN: "1001", Attribute.ConnID: 5})


def owned(source: str = "n1", epoch: int = 1, role_epoch: int = 1, seq: int = 1, **rest) -> Picture:
    return Picture("1001", source, True, epoch, role_epoch, seq, **{"in_service": True, **rest})


def unowned(source: str = "n1/1", epoch: int = 1, seq: int = 1, dn: str = "1001", **rest) -> Picture:
    return Picture(dn, source, False, epoch, 0, seq, **rest)


def event(
    follower: Follower, epoch: int = 1, role_epoch: int = 1, seq: int = 2, source: str = "n1"
) -> Verdict:
    return follower.event("1001", source, epoch, role_epoch, seq, RINGING, "n3")


def test_nothing_is_known_at_first():
    follower = Follower()
    assert follower.view("1001") is None
    assert follower.dns() == []
    assert follower.sources("1001") == []
    assert follower.following("n1") == []
    assert follower.lost("n1") == []
    follower.forget("1001", "n1")


def test_a_snapshot_makes_a_dn_known():
    follower = Follower()
    assert follower.snapshot(owned(agent_id="a"))
    assert follower.view("1001") == owned(agent_id="a")
    assert follower.dns() == ["1001"]
    assert follower.sources("1001") == ["n1"]
    assert follower.following("n1") == ["1001"]
    assert not follower.hidden("1001", "n1")
    assert not follower.hidden("1001", "n2")


def test_a_source_that_had_nothing_begins_with_calls_at_its_first_place():
    follower = Follower()
    calls = {7: CallView(7, 1, int(PartyState.Connected), "1002", "n1")}
    assert follower.snapshot(unowned(seq=0))
    assert not follower.snapshot(unowned(seq=0))
    assert follower.snapshot(unowned(seq=0, calls=calls))
    view = follower.view("1001")
    assert view is not None
    assert view.calls == calls


@pytest.mark.parametrize(
    ("place", "taken"),
    [
        ((5, 5, 5), False),
        ((5, 5, 4), False),
        ((5, 5, 6), True),
        ((5, 4, 9), False),
        ((5, 6, 0), True),
        ((4, 9, 9), False),
        ((6, 0, 0), True),
    ],
)
def test_only_a_younger_snapshot_is_taken(place, taken):
    follower = Follower()
    follower.snapshot(owned("n1", 5, 5, 5))
    assert follower.snapshot(owned("n1", *place, agent_id="news")) is taken
    assert (follower.view("1001").agent_id == "news") is taken


@pytest.mark.parametrize(
    ("place", "verdict"),
    [
        ((5, 5, 6), Verdict.ACCEPTED),
        ((5, 5, 5), Verdict.OLD),
        ((5, 5, 1), Verdict.OLD),
        ((5, 5, 7), Verdict.HOLE),
        ((5, 4, 6), Verdict.OLD),
        ((5, 6, 6), Verdict.HOLE),
        ((4, 5, 6), Verdict.OLD),
        ((6, 5, 6), Verdict.HOLE),
        ((6, 0, 1), Verdict.HOLE),
    ],
)
def test_an_event_is_taken_only_in_its_place(place, verdict):
    follower = Follower()
    follower.snapshot(owned("n1", 5, 5, 5))
    assert event(follower, *place) is verdict
    view = follower.view("1001")
    if verdict is Verdict.ACCEPTED:
        assert view.position == place
        assert view.calls == {5: CallView(5, 0, PartyState.Alerting, "", "n3")}
    else:
        assert view == owned("n1", 5, 5, 5)


def test_an_event_of_an_unknown_stream_is_a_hole():
    follower = Follower()
    assert event(follower) is Verdict.HOLE
    follower.snapshot(owned("n2"))
    assert event(follower) is Verdict.HOLE


def test_a_snapshot_bridges_a_hole():
    follower = Follower()
    follower.snapshot(owned())
    assert event(follower, seq=4) is Verdict.HOLE
    assert follower.snapshot(owned(seq=4))
    assert event(follower, seq=4) is Verdict.OLD
    assert event(follower, seq=5) is Verdict.ACCEPTED


def test_a_deposed_owner_is_refused_even_while_the_new_one_is_out_of_reach():
    follower = Follower()
    follower.snapshot(owned("n2", 9))
    follower.lost("n2")
    assert not follower.snapshot(owned("n1", 4, 9, 9))
    assert follower.sources("1001") == ["n2"]


def test_the_calls_of_a_node_that_cannot_reach_the_owner_are_seen_beside_the_owners_picture():
    follower = Follower()
    follower.snapshot(owned("n1", agent_id="a"))
    assert follower.snapshot(unowned("n3/7", 700, calls={5: CallView(5, 1, 1, "", "n3")}))
    view = follower.view("1001")
    assert (view.source, view.agent_id, list(view.calls)) == ("n1", "a", [5])


def test_an_owner_ends_other_owners_and_its_own_other_source_alone():
    follower = Follower()
    for picture in (unowned("n1/1"), unowned("n2/1"), owned("n3", epoch=1)):
        assert follower.snapshot(picture)
    assert follower.sources("1001") == ["n1/1", "n2/1", "n3"]
    assert follower.snapshot(owned("n1", epoch=2))
    assert follower.sources("1001") == ["n2/1", "n1"]
    assert follower.following("n3") == []
    assert not follower.snapshot(owned("n3", epoch=1, seq=9))


def test_a_silent_picture_ends_its_source():
    follower = Follower()
    assert not follower.snapshot(unowned(silent=True))
    follower.snapshot(unowned("n1/1", seq=5))
    follower.snapshot(unowned("n2/1"))
    assert follower.snapshot(unowned("n1/1", seq=6, silent=True))
    assert follower.sources("1001") == ["n2/1"]
    assert follower.snapshot(unowned("n1/1", seq=6))


def test_a_node_that_is_a_source_has_the_last_word_on_its_calls():
    follower = Follower()
    old, new = (CallView(7, 1, int(state), "1002", "n2") for state in (PartyState.Alerting, PartyState.Connected))
    other = CallView(8, 1, int(PartyState.Held), "1003", "n3")
    follower.snapshot(owned("n1", calls={7: old, 8: other}))
    follower.snapshot(unowned("n2/1", calls={7: new}))
    assert follower.view("1001").calls == {7: new, 8: other}
    follower.snapshot(unowned("n2/1", seq=2))
    assert follower.view("1001").calls == {8: other}
    follower.forget("1001", "n2/1")
    assert follower.view("1001").calls == {7: old, 8: other}


def test_dns_that_every_node_has_keep_all_their_sources():
    follower = Follower()
    for source, epoch, call in (("n1", 50, 5), ("n2", 3, 6)):
        calls = {call: CallView(call, 2, 9, "", source)}
        assert follower.snapshot(owned(source, epoch, calls=calls), keep_sources=True)
    assert follower.sources("1001") == ["n1", "n2"]
    assert list(follower.view("1001").calls) == [5, 6]
    follower.lost("n1")
    view = follower.view("1001")
    assert view.in_service
    assert list(view.calls) == [6]


def test_places_of_an_owner_and_of_a_mere_source_are_not_compared():
    follower = Follower()
    follower.snapshot(unowned("n1", 300_000, 50))
    assert follower.snapshot(owned("n1", 2))
    assert follower.view("1001").owned
    assert follower.snapshot(unowned("n1", 1))
    assert not follower.view("1001").owned


def test_a_lost_source_is_hidden_until_its_snapshot_even_if_nothing_happened():
    follower = Follower()
    follower.snapshot(owned(agent_id="a", ready=True, calls={5: CallView(5, 1, 1, "", "n1")}))
    follower.snapshot(unowned("n3/7", dn="1002"))
    assert follower.lost("n1") == ["1001"]
    assert follower.lost("n1") == []
    assert follower.hidden("1001", "n1")
    assert follower.position("1001", "n1") == (1, 1, 1)
    assert follower.position("1001", "n2") is None
    assert follower.dns() == ["1001", "1002"]
    assert event(follower, seq=2) is Verdict.HOLE
    assert event(follower, seq=1) is Verdict.OLD
    assert not follower.snapshot(owned(seq=0))
    assert follower.hidden("1001", "n1")
    assert follower.snapshot(owned(agent_id="a", ready=True))
    assert not follower.hidden("1001", "n1")
    assert event(follower, seq=2) is Verdict.ACCEPTED


def test_what_nobody_has_heard_of_yet_can_be_seen_as_it_was_before():
    follower = Follower()
    follower.snapshot(owned(agent_id="a"))
    follower.snapshot(unowned("n3/7", 7))
    assert not follower.unheard("1001")
    before = follower.view("1001")
    follower.lost("n1")
    assert follower.unheard("1001")
    assert follower.view("1001") != before == follower.view("1001", as_told=True)
    follower.heard("1001")
    assert not follower.unheard("1001")
    assert follower.view("1001", as_told=True) == follower.view("1001")
    follower.snapshot(owned(agent_id="a"))
    follower.lost("n1")
    follower.snapshot(owned(agent_id="a"))
    assert not follower.unheard("1001")
    follower.heard("1002")
    assert not follower.unheard("1002")


def test_a_dn_whose_owner_is_out_of_reach_is_out_of_service_and_nobody_is_logged_out():
    follower = Follower()
    follower.snapshot(owned(agent_id="a", ready=True, calls={5: CallView(5, 1, 1, "", "n1")}))
    follower.lost("n1")
    assert follower.view("1001") == owned(in_service=False, agent_id="a", ready=True)
    follower.snapshot(unowned("n3/7", 7, in_service=True, calls={6: CallView(6, 1, 1, "", "n3")}))
    view = follower.view("1001")
    assert (view.in_service, view.agent_id, list(view.calls)) == (False, "a", [6])


def test_a_dn_that_nobody_within_reach_speaks_for_is_out_of_service_without_calls():
    follower = Follower()
    follower.snapshot(unowned("n1/1", in_service=True, calls={5: CallView(5, 1, 1, "", "n1")}))
    follower.snapshot(unowned("n2/1", in_service=True))
    assert follower.lost("n1/1") == ["1001"]
    assert follower.view("1001") == unowned("n2/1", in_service=True)
    assert follower.lost("n2/1") == ["1001"]
    view = follower.view("1001")
    assert not view.in_service
    assert view.calls == {}


def test_a_view_is_a_picture_of_its_own():
    follower = Follower()
    follower.snapshot(owned(calls={5: CallView(5, 1, 1, "", "n1")}))
    view = follower.view("1001")
    view.in_service = False
    view.calls.clear()
    assert follower.view("1001") == owned(calls={5: CallView(5, 1, 1, "", "n1")})


def test_what_is_forgotten_leaves_nothing():
    follower = Follower()
    follower.snapshot(owned())
    follower.snapshot(unowned("n1", dn="1002"))
    follower.snapshot(unowned("n2", dn="1002"))
    follower.forget("1001", "n1")
    follower.forget("1001", "n1")
    assert follower.following("n1") == ["1002"]
    follower.forget("1002", "n1")
    assert follower.sources("1002") == ["n2"]
    follower.forget("1002", "n2")
    assert follower.dns() == []
    assert follower.following("n1") == []
    assert follower.view("1002") is None


STEPS = st.lists(st.sampled_from(["send", "send", "send", "drop", "repeat", "cut"]), max_size=30)


@given(STEPS)
def test_whatever_is_lost_or_repeated_the_views_are_equal_once_holes_are_bridged(steps):
    """An owner of one DN and one receiver, over a link that loses, repeats and breaks."""
    owner, follower = owned(seq=0), Follower()
    follower.snapshot(owned(seq=0))
    taken = []
    for n, step in enumerate(steps):
        before = owner.seq
        owner.seq += 1
        message = Message(MessageType.EventRinging, 0, {Attribute.ConnID: n % 3, Attribute.OtherDN: str(n)})
        apply(owner, message, "n1")
        if step == "drop":
            continue
        if step == "cut":
            follower.lost("n1")
        for _ in range(2 if step == "repeat" else 1):
            verdict = follower.event("1001", "n1", 1, 1, owner.seq, message, "n1")
            if verdict is Verdict.HOLE:
                copy = owned(seq=owner.seq, calls=dict(owner.calls))
                assert follower.snapshot(copy)
            elif verdict is Verdict.ACCEPTED:
                assert before == owner.seq - 1
                taken.append(owner.seq)
        assert follower.view("1001") == owner
    assert taken == sorted(set(taken))
