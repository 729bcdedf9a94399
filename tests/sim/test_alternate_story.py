"""A program changes between the two calls of its DN, told as a story (TAlternateCall)."""

import pytest

from tests.sim.cluster import Cluster, conn_id_of
from tests.sim.transfer_cast import Story
from tests.sim.world import MILLISECOND, SECOND
from tlib_proto import Attribute, CallState, CallType, Message, MessageType, PartyState

M = MessageType


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


class Between(Story):
    """1002 consults 1003 about 1001, who is held; both have answered."""

    def __init__(self, cluster: Cluster, b: str = "n2") -> None:
        super().__init__(cluster, b)
        dialing = self.desk_b.ask(M.RequestInitiateTransfer, ThisDN="1002", ConnID=self.conn_id, OtherDN="1003")
        self.consult = conn_id_of(dialing)
        cluster.world.until(lambda: self.c.has("ringing"))
        cluster.settle()
        self.c.answer()
        cluster.settle()
        self.forget()

    def alternate(self, current: int = 0, held: int = 0) -> Message:
        """TAlternateCall of 1002's calls."""
        return self.desk_b.ask(
            M.RequestAlternateCall,
            ThisDN="1002",
            ConnID=current or self.consult,
            PreviousConnID=held or self.conn_id,
        )

    def told(self) -> list[tuple[str, int]]:
        """What 1002 was told of which call."""
        events = [event for event in self.desk_b.events if event.id != M.EventError]
        return [(event.name.removeprefix("Event"), conn_id_of(event)) for event in events]


@pytest.mark.parametrize("b", ["n1", "n2"])
def test_the_active_call_is_held_and_then_the_held_one_retrieved(cluster: Cluster, b: str) -> None:
    story = Between(cluster, b)
    answer = story.alternate()
    cluster.settle()
    assert story.told() == [("Held", story.consult), ("Retrieved", story.conn_id)]
    held, retrieved = story.desk_b.events
    assert (held.ref, retrieved.ref) == (0, answer.ref)
    assert answer.id == M.EventRetrieved
    assert held.number(Attribute.CallType) == CallType.Consult
    assert [event.number(Attribute.CallState) for event in (held, retrieved)] == [CallState.Ok] * 2
    assert (held.text(Attribute.OtherDN), retrieved.text(Attribute.OtherDN)) == ("1003", "1001")
    assert story.desk_a.names() == story.desk_c.names() == []
    assert story.a.said[-1] == "reinvited sendrecv"
    assert story.c.said[-1] == "reinvited inactive"
    story.over()


def test_it_changes_back_and_can_still_be_completed(cluster: Cluster) -> None:
    story = Between(cluster)
    story.alternate()
    cluster.settle()
    story.forget()
    assert story.alternate(story.conn_id, story.consult).id == M.EventRetrieved
    cluster.settle()
    assert story.told() == [("Held", story.conn_id), ("Retrieved", story.consult)]
    story.alternate()
    cluster.settle()
    story.forget()
    released = story.desk_b.ask(
        M.RequestCompleteTransfer, ThisDN="1002", ConnID=story.consult, TransferConnID=story.conn_id
    )
    assert conn_id_of(released) == story.conn_id
    cluster.settle()
    assert story.a.leg("talking")
    assert story.c.leg("talking")
    story.over()


def test_it_does_not_matter_which_call_is_named_first(cluster: Cluster) -> None:
    story = Between(cluster)
    assert conn_id_of(story.alternate(story.conn_id, story.consult)) == story.conn_id
    cluster.settle()
    assert story.told() == [("Held", story.consult), ("Retrieved", story.conn_id)]
    story.over()


def test_a_hold_that_the_phone_refuses_changes_nothing(cluster: Cluster) -> None:
    story = Between(cluster)
    story.c.refuses = [488]
    answer = story.alternate()
    assert (answer.id, answer.number(Attribute.ErrorCode)) == (M.EventError, 1140)
    cluster.settle()
    assert story.told() == []
    assert story.a.said == []
    assert story.alternate().id == M.EventRetrieved
    story.over()


def test_a_retrieve_that_the_phone_refuses_brings_back_the_active_call(cluster: Cluster) -> None:
    story = Between(cluster)
    story.a.refuses = [488]
    answer = story.alternate()
    assert (answer.id, answer.number(Attribute.ErrorCode)) == (M.EventError, 1140)
    cluster.settle()
    assert story.told() == [("Held", story.consult), ("Retrieved", story.consult)]
    assert story.c.said[-1] == "reinvited sendrecv"
    assert story.alternate().id == M.EventRetrieved
    story.over()


@pytest.mark.parametrize("moment", range(6))
@pytest.mark.parametrize("who", ["active", "held"])
def test_one_of_the_two_hangs_up_meanwhile(cluster: Cluster, who: str, moment: int) -> None:
    story = Between(cluster)
    ref = story.desk_b.request(
        M.RequestAlternateCall, ThisDN="1002", ConnID=story.consult, PreviousConnID=story.conn_id
    )
    cluster.world.run(moment * 2 * MILLISECOND)
    (story.c if who == "active" else story.a).hang_up()
    cluster.settle(SECOND)
    answer = story.desk_b.answers[ref]
    left = story.conn_id if who == "active" else story.consult
    assert list(story.desk_b.pictures["1002"].calls) == [left]
    retrieved = answer.id == M.EventRetrieved
    code = answer.number(Attribute.ErrorCode)
    state = story.desk_b.pictures["1002"].calls[left].state
    if who == "active":
        assert (retrieved, state) == (True, PartyState.Connected) or (moment, code) == (0, 56)
    elif retrieved:
        # It was retrieved, and hung up then.
        assert state == PartyState.Held
    else:
        assert (state, code) in ((PartyState.Connected, 56), (PartyState.Connected, 1140))
    story.over()


def test_what_cannot_be(cluster: Cluster) -> None:
    story = Between(cluster)

    def code(current: int = 0, held: int = 0) -> int:
        return story.alternate(current, held).number(Attribute.ErrorCode)

    assert code(held=4711) == 56
    assert code(story.consult, story.consult) == 56
    first = story.desk_b.request(
        M.RequestAlternateCall, ThisDN="1002", ConnID=story.consult, PreviousConnID=story.conn_id
    )
    assert code() == 1161
    cluster.world.until(lambda: first in story.desk_b.answers)
    story.desk_b.ask(M.RequestHoldCall, ThisDN="1002", ConnID=story.conn_id)
    assert code() == 1163
    story.desk_b.ask(M.RequestRetrieveCall, ThisDN="1002", ConnID=story.conn_id)
    story.desk_b.ask(M.RequestRetrieveCall, ThisDN="1002", ConnID=story.consult)
    assert code() == 1164
    story.over()


def test_a_consultation_that_still_rings_does_not_change_places(cluster: Cluster) -> None:
    story = Story(cluster)
    dialing = story.desk_b.ask(M.RequestInitiateTransfer, ThisDN="1002", ConnID=story.conn_id, OtherDN="1003")
    cluster.world.until(lambda: story.c.has("ringing"))
    answer = story.desk_b.ask(
        M.RequestAlternateCall, ThisDN="1002", ConnID=conn_id_of(dialing), PreviousConnID=story.conn_id
    )
    assert answer.number(Attribute.ErrorCode) == 1161
    story.over()
