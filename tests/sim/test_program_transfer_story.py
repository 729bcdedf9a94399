"""Transfers that programs make, told as stories: in a single step, and by a consultation."""

import pytest

from tests.sim.cluster import Cluster, conn_id_of
from tests.sim.transfer_cast import BY_1002, Story, third
from tests.sim.world import SECOND
from tlib_proto import Attribute, CallState, CallType, Message, MessageType

M = MessageType


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


class TestAProgramsTransfer:
    def single_step(self, story: Story, number: str, **more: object) -> Message:
        """TSingleStepTransfer of 1002's call."""
        return story.desk_b.ask(
            M.RequestSingleStepTransfer,
            ThisDN="1002",
            ConnID=story.conn_id,
            OtherDN=number,
            **more,  # type: ignore[arg-type]
        )

    def test_it_is_answered_when_the_target_rings(self, cluster: Cluster) -> None:
        story = Story(cluster)
        story.forget()
        released = self.single_step(story, "1003", UserData=(("why", "expert"),))
        assert released.id == M.EventReleased
        assert released.number(Attribute.CallState) == CallState.Transferred
        cluster.settle()
        assert not story.b.calls
        assert story.desk_b.names() == ["Released"]
        assert story.desk_a.names() == ["PartyChanged"]
        assert story.desk_a.events[0].text(Attribute.OtherDN) == "1003"
        assert third(story.desk_c.events[0]) == BY_1002
        assert story.desk_c.events[0].pairs(Attribute.UserData) == (("why", "expert"),)
        story.c.answer()
        cluster.settle()
        assert story.desk_c.names() == ["Ringing", "Established"]
        assert story.a.leg("talking")
        assert not any(event.ref for event in (*story.desk_a.events, *story.desk_c.events))
        story.over()

    def test_a_target_that_refuses_is_an_error_and_the_call_stays(self, cluster: Cluster) -> None:
        story = Story(cluster)
        story.c.on_invite = "486"
        story.forget()
        answer = self.single_step(story, "1003")
        assert answer.id == M.EventError
        assert answer.number(Attribute.ErrorCode) == 172
        assert story.a.leg("talking")
        assert story.b.leg("talking")
        assert self.single_step(story, "1004").number(Attribute.ErrorCode) in (172, 57)
        assert [event.name for event in story.desk_a.events] == []
        story.over()

    def test_to_a_routing_point(self, cluster: Cluster) -> None:
        story = Story(cluster)
        router = cluster.router("n1", "8000")
        assert self.single_step(story, "8000").id == M.EventReleased
        cluster.settle()
        assert conn_id_of(router.of(M.EventRouteRequest)[0]) == story.conn_id
        story.over()

    def test_what_leads_nowhere_and_what_is_under_way(self, cluster: Cluster) -> None:
        story = Story(cluster)
        for number in ("4711", "1001", "1002"):
            assert self.single_step(story, number).number(Attribute.ErrorCode) == 71
        story.b.transfer("1003")
        cluster.world.until(lambda: story.c.has("ringing"))
        cluster.settle()
        assert self.single_step(story, "1004").number(Attribute.ErrorCode) == 1161
        story.over()


class TestAProgramsConsultation:
    def begin(self, cluster: Cluster, b: str = "n2") -> tuple[Story, int]:
        """1002's program consults 1003, who answers; the consultation's ConnID."""
        story = Story(cluster, b)
        story.forget()
        dialing = story.desk_b.ask(
            M.RequestInitiateTransfer,
            ThisDN="1002",
            ConnID=story.conn_id,
            OtherDN="1003",
            UserData=(("why", "expert"),),
        )
        assert dialing.id == M.EventDialing, dialing
        cluster.world.until(lambda: story.c.has("ringing"))
        cluster.settle()
        return story, conn_id_of(dialing)

    def test_two_steps_with_the_events_of_the_published_model(self, cluster: Cluster) -> None:
        story, consult = self.begin(cluster)
        assert story.desk_b.names() == ["Held", "Dialing"]
        assert story.desk_a.names() == []
        dialing, ringing = story.desk_b.events[1], story.desk_c.events[0]
        for event in (dialing, ringing):
            assert event.number(Attribute.CallType) == CallType.Consult
            assert event.number(Attribute.PreviousConnID) == story.conn_id
            assert event.number(Attribute.TransferConnID) == story.conn_id
            assert event.pairs(Attribute.UserData) == (("why", "expert"),)
        story.c.answer()
        cluster.settle()
        assert story.desk_b.names() == ["Held", "Dialing", "Established"]
        assert Attribute.TransferConnID not in story.desk_c.events[1].attributes
        story.forget()
        released = story.desk_b.ask(
            M.RequestCompleteTransfer, ThisDN="1002", ConnID=story.conn_id, TransferConnID=consult
        )
        assert released.id == M.EventReleased
        assert conn_id_of(released) == story.conn_id
        cluster.settle()
        assert [conn_id_of(event) for event in story.desk_b.events] == [story.conn_id, consult]
        assert [event.number(Attribute.CallType) for event in story.desk_b.events] == [
            CallType.Internal,
            CallType.Consult,
        ]
        assert story.desk_c.names() == story.desk_a.names() == ["PartyChanged"]
        changed = story.desk_c.events[0]
        assert (conn_id_of(changed), changed.number(Attribute.PreviousConnID)) == (story.conn_id, consult)
        assert changed.number(Attribute.CallType) == CallType.Internal
        assert third(changed) == BY_1002
        assert not story.b.calls
        assert story.a.leg("talking")
        assert story.c.leg("talking")
        assert "acked sendrecv" in story.a.said
        story.over()

    def test_reporting_hears_the_consultation_where_it_hears_the_call(self, cluster: Cluster) -> None:
        reporters = [cluster.reporter("n1"), cluster.reporter("n1")]
        story, consult = self.begin(cluster)
        told_of = [{conn_id_of(event) for event in reporter.events} for reporter in reporters]
        assert sorted(told_of, key=len) == [set(), {story.conn_id, consult}]
        story.over()

    @pytest.mark.parametrize("held_first", [True, False])
    def test_it_does_not_matter_which_call_is_named_first(self, cluster: Cluster, held_first: bool) -> None:
        story, consult = self.begin(cluster)
        story.c.answer()
        cluster.settle()
        one, other = (story.conn_id, consult) if held_first else (consult, story.conn_id)
        released = story.desk_b.ask(M.RequestCompleteTransfer, ThisDN="1002", ConnID=one, TransferConnID=other)
        assert conn_id_of(released) == story.conn_id
        story.over()

    def test_it_is_not_completed_before_the_answer(self, cluster: Cluster) -> None:
        story, consult = self.begin(cluster)
        answer = story.desk_b.ask(
            M.RequestCompleteTransfer, ThisDN="1002", ConnID=story.conn_id, TransferConnID=consult
        )
        assert answer.number(Attribute.ErrorCode) == 1161
        story.over()

    def test_the_program_comes_back_to_the_call(self, cluster: Cluster) -> None:
        story, consult = self.begin(cluster)
        story.c.answer()
        cluster.settle()
        story.forget()
        retrieved = story.desk_b.ask(
            M.RequestReconnectCall, ThisDN="1002", ConnID=consult, PreviousConnID=story.conn_id
        )
        assert retrieved.id == M.EventRetrieved
        cluster.settle()
        assert story.desk_b.names() == ["Released", "Retrieved"]
        assert story.desk_c.names() == ["Released"]
        assert story.a.said[-1] == "reinvited sendrecv"
        story.over()

    def test_a_call_that_is_held_already(self, cluster: Cluster) -> None:
        story = Story(cluster)
        story.b.hold()
        cluster.settle()
        story.forget()
        dialing = story.desk_b.ask(M.RequestInitiateTransfer, ThisDN="1002", ConnID=story.conn_id, OtherDN="1003")
        assert dialing.id == M.EventDialing
        cluster.settle()
        assert story.desk_b.names() == ["Dialing"]
        story.c.answer()
        cluster.settle()
        story.desk_b.ask(M.RequestRetrieveCall, ThisDN="1002", ConnID=story.conn_id)
        back = story.desk_b.ask(
            M.RequestReconnectCall, ThisDN="1002", ConnID=conn_id_of(dialing), PreviousConnID=story.conn_id
        )
        assert back.number(Attribute.ErrorCode) == 1161
        story.over()

    def test_who_is_held_hangs_up_while_the_consultation_begins(self, cluster: Cluster) -> None:
        story = Story(cluster)
        ref = story.desk_b.request(M.RequestInitiateTransfer, ThisDN="1002", ConnID=story.conn_id, OtherDN="1003")
        cluster.world.until(lambda: "reinvited inactive" in story.b.said or "reinvited inactive" in story.a.said)
        story.a.hang_up()
        cluster.settle(SECOND)
        assert ref in story.desk_b.answers
        story.over()

    def test_who_was_consulted_refuses(self, cluster: Cluster) -> None:
        story = Story(cluster)
        story.c.on_invite = "486"
        story.forget()
        story.desk_b.ask(M.RequestInitiateTransfer, ThisDN="1002", ConnID=story.conn_id, OtherDN="1003")
        cluster.settle(SECOND)
        assert story.desk_b.names()[-2:] == ["DestinationBusy", "Released"]
        assert story.desk_b.ask(M.RequestRetrieveCall, ThisDN="1002", ConnID=story.conn_id).id == M.EventRetrieved
        story.over()

    def test_a_phone_that_cannot_be_held_does_not_consult(self, cluster: Cluster) -> None:
        story = Story(cluster)
        story.a.refuses = [488]
        answer = story.desk_b.ask(M.RequestInitiateTransfer, ThisDN="1002", ConnID=story.conn_id, OtherDN="1003")
        assert answer.id == M.EventError
        cluster.settle()
        assert story.c.said == []
        story.over()

    def test_what_cannot_be(self, cluster: Cluster) -> None:
        story, consult = self.begin(cluster)
        story.c.answer()
        cluster.settle()

        def code(kind: MessageType, conn_id: int, **more: int | str) -> int:
            return story.desk_b.ask(kind, ThisDN="1002", ConnID=conn_id, **more).number(Attribute.ErrorCode)

        for number in ("4711", "1001", "1002"):
            assert code(M.RequestInitiateTransfer, story.conn_id, OtherDN=number) in (71, 1161)
        assert code(M.RequestInitiateTransfer, consult, OtherDN="1004") == 1161
        assert code(M.RequestCompleteTransfer, consult, TransferConnID=4711) == 56
        assert code(M.RequestCompleteTransfer, consult, TransferConnID=consult) == 56
        assert code(M.RequestReconnectCall, consult, PreviousConnID=4711) == 56
        story.a.hang_up()
        cluster.settle()
        assert code(M.RequestCompleteTransfer, consult, TransferConnID=story.conn_id) == 56
        story.over()
