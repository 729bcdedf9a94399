"""A program hands its call on without a word to whom it is for, told as a story (TMuteTransfer)."""

import pytest

from tests.sim.cluster import Cluster, conn_id_of
from tests.sim.transfer_cast import BY_1002, Story, third
from tests.sim.world import MILLISECOND, SECOND
from tlib_proto import Attribute, CallState, CallType, ForwardMode, Message, MessageType, PartyState

M = MessageType


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def mute(story: Story, number: str = "1003", **more: object) -> Message:
    """TMuteTransfer of 1002's call."""
    return story.desk_b.ask(
        M.RequestMuteTransfer,
        ThisDN="1002",
        ConnID=story.conn_id,
        OtherDN=number,
        **more,  # type: ignore[arg-type]
    )


def begin(story: Story, number: str = "1003") -> int:
    """The same, without waiting for its answer."""
    return story.desk_b.request(M.RequestMuteTransfer, ThisDN="1002", ConnID=story.conn_id, OtherDN=number)


def events(story: Story) -> list[str]:
    """What 1002 was told."""
    return [name for name in story.desk_b.names() if name != "Error"]


def is_as_before(story: Story) -> None:
    """1001 and 1002 talk, and nothing else is."""
    story.cluster.settle(SECOND)
    for desk, dn in ((story.desk_a, "1001"), (story.desk_b, "1002")):
        calls = desk.pictures[dn].calls
        assert [(one.conn_id, one.state) for one in calls.values()] == [(story.conn_id, PartyState.Connected)]
    assert story.a.leg("talking")
    assert story.b.leg("talking")


@pytest.mark.parametrize("b", ["n1", "n2"])
def test_one_request_is_the_whole_blind_transfer(cluster: Cluster, b: str) -> None:
    story = Story(cluster, b)
    story.desk_b.attach("1002", story.conn_id, ("segment", "gold"))
    cluster.settle()
    story.forget()
    released = mute(story, UserData=(("why", "expert"),))
    assert released.id == M.EventReleased
    cluster.settle()

    assert story.desk_b.names() == ["Held", "Dialing", "Released", "Released"]
    held, dialing, first, second = story.desk_b.events
    consult = conn_id_of(dialing)
    assert [conn_id_of(event) for event in (held, first, second)] == [story.conn_id, story.conn_id, consult]
    assert [event.ref for event in (held, dialing, first, second)] == [0, 0, released.ref, 0]
    assert [event.number(Attribute.CallState) for event in (first, second)] == [CallState.Transferred] * 2
    assert [event.number(Attribute.CallType) for event in (held, dialing, first, second)] == [
        CallType.Internal,
        CallType.Consult,
        CallType.Internal,
        CallType.Consult,
    ]
    assert not story.b.calls

    ringing, changed = story.desk_c.events
    assert story.desk_c.names() == ["Ringing", "PartyChanged"]
    assert (conn_id_of(ringing), ringing.number(Attribute.CallType)) == (consult, CallType.Consult)
    assert ringing.text(Attribute.OtherDN) == "1002"
    for event in (dialing, ringing):
        assert event.number(Attribute.PreviousConnID) == story.conn_id
        assert event.pairs(Attribute.UserData) == (("why", "expert"),)
    assert (conn_id_of(changed), changed.number(Attribute.PreviousConnID)) == (story.conn_id, consult)
    assert (changed.text(Attribute.OtherDN), third(changed)) == ("1001", BY_1002)
    assert changed.number(Attribute.CallType) == CallType.Internal
    assert changed.pairs(Attribute.UserData) == (("segment", "gold"), ("why", "expert"))
    assert story.desk_a.names() == ["PartyChanged"]
    assert (story.desk_a.events[0].text(Attribute.OtherDN), third(story.desk_a.events[0])) == ("1003", BY_1002)

    story.c.answer()
    cluster.settle()
    assert story.desk_c.names()[2:] == ["Established"]
    assert conn_id_of(story.desk_c.events[2]) == story.conn_id
    assert story.a.leg("talking")
    assert "reinvited sendrecv" in story.a.said[1:]
    assert not any(event.ref for event in (*story.desk_a.events, *story.desk_c.events))
    story.over()


def test_a_phone_that_answers_at_once_has_rung(cluster: Cluster) -> None:
    story = Story(cluster)
    story.c.on_invite = "answer"
    story.forget()
    assert mute(story).id == M.EventReleased
    cluster.settle()
    assert story.desk_c.names() == ["Ringing", "PartyChanged", "Established"]
    assert story.a.leg("talking")
    assert story.c.leg("talking")
    story.over()


def test_a_call_that_was_held_before(cluster: Cluster) -> None:
    story = Story(cluster)
    story.desk_b.ask(M.RequestHoldCall, ThisDN="1002", ConnID=story.conn_id)
    story.forget()
    assert mute(story).id == M.EventReleased
    cluster.settle()
    assert story.desk_b.names() == ["Dialing", "Released", "Released"]
    story.c.answer()
    cluster.settle()
    assert story.a.said[-1] == "reinvited sendrecv" or "acked sendrecv" in story.a.said
    story.over()


def test_a_target_that_refuses_is_an_error_and_the_call_is_what_it_was(cluster: Cluster) -> None:
    story = Story(cluster)
    story.c.on_invite = "486"
    story.forget()
    answer = mute(story)
    assert (answer.id, answer.number(Attribute.ErrorCode)) == (M.EventError, 172)
    is_as_before(story)
    assert events(story) == ["Held", "Dialing", "DestinationBusy", "Released", "Retrieved"]
    assert story.desk_a.names() == []
    assert story.a.said[-1] == "reinvited sendrecv"
    story.c.on_invite = "ring"
    assert mute(story).id == M.EventReleased
    story.over()


def test_a_target_that_refuses_leaves_a_held_call_held(cluster: Cluster) -> None:
    story = Story(cluster)
    story.desk_b.ask(M.RequestHoldCall, ThisDN="1002", ConnID=story.conn_id)
    story.c.on_invite = "486"
    story.forget()
    assert mute(story).number(Attribute.ErrorCode) == 172
    cluster.settle(SECOND)
    assert events(story) == ["Dialing", "DestinationBusy", "Released"]
    story.over()


def test_a_target_that_is_nowhere(cluster: Cluster) -> None:
    story = Story(cluster)
    assert mute(story, "1004").number(Attribute.ErrorCode) in (172, 57)
    is_as_before(story)
    story.over()


def test_a_target_that_says_nothing_at_all(cluster: Cluster) -> None:
    story = Story(cluster)
    story.c.on_invite = "silence"
    ref = begin(story)
    cluster.settle(60 * SECOND)
    assert story.desk_b.answers[ref].number(Attribute.ErrorCode) == 57
    is_as_before(story)
    assert not story.c.calls
    story.over()


def test_a_target_that_rings_and_does_not_answer_ends_the_call_of_who_stays(cluster: Cluster) -> None:
    story = Story(cluster)
    mute(story)
    cluster.settle()
    story.forget()
    story.c.reject(486)
    cluster.settle()
    assert story.desk_a.names() == story.desk_c.names() == ["Released"]
    assert story.a.said == ["ended"]
    story.over()


def test_a_target_that_forwards_on_no_answer_rings_for_as_long_as_ever(cluster: Cluster) -> None:
    story = Story(cluster)
    story.desk_c.ask(
        M.RequestCallForwardSet, ThisDN="1003", OtherDN="1002", ForwardMode=int(ForwardMode.OnNoAnswer)
    )
    mute(story)
    cluster.settle()
    story.b.forget()
    cluster.settle(19 * SECOND)
    assert story.c.has("ringing")
    cluster.settle(2 * SECOND)
    assert not story.c.calls
    assert story.b.has("ringing")


def test_user_data_that_is_too_much_for_one_call_stays_with_the_first(cluster: Cluster) -> None:
    story = Story(cluster)
    story.c.on_invite = "silent"
    data = (("first", "x" * 15_000),)
    story.desk_b.request(M.RequestAttachUserData, ThisDN="1002", ConnID=story.conn_id, UserData=data)
    cluster.settle()
    begin(story)
    cluster.world.until(lambda: story.desk_b.of(M.EventDialing))
    (dialing,) = story.desk_b.of(M.EventDialing)
    more = (("second", "y" * 15_000),)
    story.desk_b.request(M.RequestAttachUserData, ThisDN="1002", ConnID=conn_id_of(dialing), UserData=more)
    cluster.settle()
    story.c.answer()
    cluster.settle()
    (changed,) = story.desk_a.of(M.EventPartyChanged)
    assert changed.pairs(Attribute.UserData) == data
    assert story.desk_a.ask(
        M.RequestUpdateUserData, ThisDN="1001", ConnID=story.conn_id, UserData=(("z", 1),)
    ).id == M.EventAttachedDataChanged


def test_nobody_answers_for_a_minute(cluster: Cluster) -> None:
    story = Story(cluster)
    mute(story)
    cluster.settle(90 * SECOND)
    assert not story.a.calls
    assert not story.c.calls
    story.over()


def test_a_phone_that_cannot_be_held_is_not_transferred(cluster: Cluster) -> None:
    story = Story(cluster)
    story.a.refuses = [488]
    assert mute(story).number(Attribute.ErrorCode) == 1140
    is_as_before(story)
    assert story.c.said == []
    story.over()


def test_to_a_routing_point_it_is_complete_at_once(cluster: Cluster) -> None:
    story = Story(cluster)
    router = cluster.router("n1", "8000")
    story.forget()
    assert mute(story, "8000").id == M.EventReleased
    cluster.settle()
    assert story.desk_b.names() == ["Held", "Dialing", "Released", "Released"]
    assert story.desk_a.names() == ["PartyChanged"]
    assert story.desk_a.events[0].text(Attribute.OtherDN) == "8000"
    (wanted,) = router.of(M.EventRouteRequest)
    assert conn_id_of(wanted) == story.conn_id
    router.ask(M.RequestRouteCall, ThisDN="8000", ConnID=story.conn_id, OtherDN="1003")
    story.c.answer()
    cluster.settle()
    assert story.a.leg("talking")
    story.over()


def test_to_a_trunk(cluster: Cluster) -> None:
    story = Story(cluster)
    outside = cluster.caller("n1")
    story.forget()
    assert mute(story, "90123").id == M.EventReleased
    outside.answer()
    cluster.settle()
    assert story.a.leg("talking")
    assert outside.leg("talking")
    assert story.desk_a.names() == ["PartyChanged"]
    story.over()


@pytest.mark.parametrize("moment", range(0, 40, 3))
@pytest.mark.parametrize("who", ["a", "b", "c"])
def test_somebody_hangs_up_at_any_moment(cluster: Cluster, who: str, moment: int) -> None:
    story = Story(cluster)
    ref = begin(story)
    cluster.world.run(moment * MILLISECOND)
    phone = {"a": story.a, "b": story.b, "c": story.c}[who]
    for leg in list(phone.calls):
        phone.hang_up(leg)
    cluster.settle(2 * SECOND)
    assert ref in story.desk_b.answers
    story.over()


def test_a_program_lets_the_consultation_go(cluster: Cluster) -> None:
    story = Story(cluster)
    story.c.on_invite = "silence"
    ref = begin(story)
    cluster.world.until(lambda: story.desk_b.of(M.EventDialing, "1002"))
    consult = conn_id_of(story.desk_b.of(M.EventDialing)[-1])
    story.desk_b.ask(M.RequestReleaseCall, ThisDN="1002", ConnID=consult)
    cluster.settle(SECOND)
    assert story.desk_b.answers[ref].number(Attribute.ErrorCode) == 56
    is_as_before(story)
    story.over()


def test_a_phone_that_transfers_meanwhile_is_first(cluster: Cluster) -> None:
    story = Story(cluster)
    d = cluster.phone("1004", "n1")
    story.c.on_invite = "silence"
    ref = begin(story)
    cluster.world.until(lambda: story.c.has("ringing"))
    story.b.transfer("1004")
    cluster.world.until(lambda: d.has("ringing"))
    story.c.sip.provisional(cluster.world.now, story.c.leg("ringing"), 180, story.c.out)
    story.c.hang_up() if False else None
    story.c._done()
    cluster.settle(SECOND)
    assert story.desk_b.answers[ref].id == M.EventError
    d.answer()
    cluster.settle()
    assert story.a.leg("talking")
    assert not story.c.calls
    d.hang_up()
    story.over()


def test_what_cannot_be(cluster: Cluster) -> None:
    story = Story(cluster)
    for number in ("4711", "1001", "1002"):
        assert mute(story, number).number(Attribute.ErrorCode) == 71
    large = (("k", "x" * 15_000),)
    story.desk_b.attach("1002", story.conn_id, ("k", "x" * 10_000))
    assert mute(story, UserData=large).number(Attribute.ErrorCode) == 1142
    first = begin(story)
    assert mute(story).number(Attribute.ErrorCode) in (56, 1161)
    cluster.world.until(lambda: first in story.desk_b.answers)
    story.over()
