"""Transfers that phones make, told as stories: who called whom, who was handed on, and what everybody saw of it."""

import pytest

from tests.sim.cluster import Cluster, conn_id_of
from tests.sim.transfer_cast import BY_1002, Story, third, told
from tests.sim.world import SECOND
from tlib_proto import Attribute, CallState, CallType, MessageType

M = MessageType


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


class TestABlindTransfer:
    def test_the_call_goes_on_with_who_was_named_under_its_connid(self, cluster: Cluster) -> None:
        story = Story(cluster)
        story.forget()
        story.b.transfer("1003")
        cluster.world.until(lambda: story.c.has("ringing"))
        cluster.settle()
        assert told(story.b) == ["refer 202", "report 180"]
        assert story.desk_c.names() == ["Ringing"]
        assert story.desk_b.names() == story.desk_a.names() == []
        story.c.answer()
        cluster.settle()
        assert told(story.b) == ["refer 202", "report 180", "report 200", "refer over terminated"]
        story.b.hang_up()
        cluster.settle()
        assert story.a.leg("talking")
        assert story.c.leg("talking")
        assert not story.b.calls
        assert story.desk_a.names() == ["PartyChanged"]
        assert story.desk_b.names() == ["Released"]
        assert story.desk_c.names() == ["Ringing", "Established"]
        for client in (story.desk_a, story.desk_b, story.desk_c):
            assert {conn_id_of(event) for event in client.events} == {story.conn_id}
            assert {event.number(Attribute.CallType) for event in client.events} == {CallType.Internal}
        ringing = story.desk_c.of(M.EventRinging)[0]
        assert third(ringing) == BY_1002
        assert ringing.text(Attribute.OtherDN) == "1001"
        changed = story.desk_a.of(M.EventPartyChanged)[0]
        assert third(changed) == BY_1002
        assert changed.text(Attribute.OtherDN) == "1003"
        released = story.desk_b.of(M.EventReleased)[0]
        assert released.number(Attribute.CallState) == CallState.Transferred
        assert released.text(Attribute.OtherDN) == "1001"
        story.over()

    def test_the_two_hear_each_other_in_the_end(self, cluster: Cluster) -> None:
        story = Story(cluster)
        story.b.hold()
        cluster.settle()
        story.forget()
        story.b.transfer("1003")
        cluster.world.until(lambda: story.c.has("ringing"))
        story.c.answer()
        cluster.settle()
        assert "reinvited sendrecv" in story.a.said
        assert "acked sendrecv" in story.c.said
        assert story.a.heard["P-Asserted-Identity"] == "<sip:1003@sim.example>"
        assert story.desk_b.names() == ["Released"]
        story.a.hold()
        cluster.settle()
        assert story.desk_a.names() == ["PartyChanged", "Held"]
        assert "reinvited sendonly" in story.c.said
        story.over()

    def test_who_called_hands_on_whom_it_called(self, cluster: Cluster) -> None:
        story = Story(cluster)
        story.forget()
        story.a.transfer("1003", by="<sip:1001@sim.example>")
        cluster.world.until(lambda: story.c.has("ringing"))
        invite = story.c.last
        assert invite is not None
        assert invite.from_.uri == "sip:1002@sim.example"
        assert invite.get("Referred-By") == "<sip:1001@sim.example>"
        story.c.answer()
        cluster.settle()
        assert story.desk_a.names() == ["Released"]
        assert story.desk_b.names() == ["PartyChanged"]
        assert story.desk_b.of(M.EventPartyChanged)[0].text(Attribute.OtherDN) == "1003"
        assert story.desk_c.of(M.EventEstablished)[0].text(Attribute.OtherDN) == "1002"
        story.over()

    def test_the_transferor_hangs_up_right_after_the_202(self, cluster: Cluster) -> None:
        story = Story(cluster)
        story.forget()
        story.b.transfer("1003")
        cluster.world.until(lambda: "refer 202" in story.b.said)
        story.b.hang_up()
        cluster.world.until(lambda: story.c.has("ringing"))
        cluster.settle()
        assert story.a.leg("talking")
        assert story.desk_b.names() == ["Released"]
        assert story.desk_a.names() == ["PartyChanged"]
        assert third(story.desk_c.of(M.EventRinging)[0]) == BY_1002
        story.c.answer()
        cluster.settle()
        assert story.desk_a.names() == ["PartyChanged"]
        assert story.desk_c.names() == ["Ringing", "Established"]
        story.over()

    def test_a_transferor_that_is_not_hung_up_is_hung_up(self, cluster: Cluster) -> None:
        story = Story(cluster)
        story.forget()
        story.b.transfer("1003")
        cluster.world.until(lambda: story.c.has("ringing"))
        story.c.answer()
        cluster.settle(4 * SECOND)
        assert story.b.said[-2:] == ["refer over terminated", "ended"]
        story.over()

    @pytest.mark.parametrize("status", [486, 603, 404])
    def test_a_target_that_refuses_leaves_the_call_where_it_was(self, cluster: Cluster, status: int) -> None:
        story = Story(cluster)
        story.c.on_invite = str(status)
        story.forget()
        story.b.transfer("1003")
        cluster.settle(2 * SECOND)
        assert told(story.b) == ["refer 202", f"report {status}", "refer over terminated"]
        assert story.a.leg("talking")
        assert story.b.leg("talking")
        assert story.desk_a.names() == story.desk_b.names() == []
        story.b.hold()
        cluster.settle()
        assert story.desk_b.names() == ["Held"]
        assert story.a.said == ["reinvited sendonly"]
        story.over()

    def test_a_target_that_does_not_answer_leaves_the_call_where_it_was(self, cluster: Cluster) -> None:
        story = Story(cluster)
        story.forget()
        story.b.transfer("1003")
        cluster.settle(62 * SECOND)
        assert story.b.said[-2:] == ["report 480", "refer over terminated"]
        assert story.c.said == ["invited", "cancelled"]
        assert story.desk_c.names() == ["Ringing", "Released"]
        assert story.desk_a.names() == story.desk_b.names() == []
        story.over()

    def test_a_target_that_refuses_when_the_transferor_is_gone_ends_the_call(self, cluster: Cluster) -> None:
        story = Story(cluster)
        story.forget()
        story.b.transfer("1003")
        cluster.world.until(lambda: story.c.has("ringing"))
        story.b.hang_up()
        cluster.settle()
        story.c.reject(486)
        cluster.settle()
        assert not story.a.calls
        assert story.desk_a.names() == ["PartyChanged", "Released"]
        assert story.desk_a.of(M.EventReleased)[0].number(Attribute.CallState) == CallState.Busy
        assert story.desk_c.names() == ["Ringing", "Released"]
        story.over()

    def test_a_number_that_is_nowhere_and_one_that_is_out_of_service(self, cluster: Cluster) -> None:
        story = Story(cluster)
        story.forget()
        story.b.transfer("4711")
        cluster.settle()
        assert told(story.b) == ["refer 202", "report 404", "refer over terminated"]
        story.b.said.clear()
        story.b.transfer("1004")
        cluster.settle()
        assert told(story.b) == ["refer 202", "report 480", "refer over terminated"]
        story.over()

    def test_the_other_party_hangs_up_while_the_target_rings(self, cluster: Cluster) -> None:
        story = Story(cluster)
        story.forget()
        story.b.transfer("1003")
        cluster.world.until(lambda: story.c.has("ringing"))
        cluster.settle()
        story.a.hang_up()
        cluster.settle()
        assert not story.b.calls
        assert story.c.said == ["invited", "cancelled"]
        assert story.desk_c.names() == ["Ringing", "Abandoned"]
        assert story.desk_a.names() == story.desk_b.names() == ["Released"]
        story.over()

    def test_programs_hold_release_and_answer_while_the_target_rings(self, cluster: Cluster) -> None:
        story = Story(cluster)
        story.forget()
        story.b.transfer("1003")
        cluster.world.until(lambda: story.c.has("ringing"))
        cluster.settle()
        conn_id = story.conn_id
        assert story.desk_b.ask(M.RequestHoldCall, ThisDN="1002", ConnID=conn_id).id == M.EventHeld
        assert story.desk_b.ask(M.RequestReleaseCall, ThisDN="1002", ConnID=conn_id).id == M.EventReleased
        cluster.settle()
        assert not story.b.calls
        assert story.desk_a.names() == ["PartyChanged"]
        assert story.desk_c.ask(M.RequestAnswerCall, ThisDN="1003", ConnID=conn_id).id == M.EventEstablished
        cluster.settle()
        assert story.a.leg("talking")
        assert story.c.leg("talking")
        story.over()

    def test_a_program_releases_the_target_while_it_rings(self, cluster: Cluster) -> None:
        story = Story(cluster)
        story.forget()
        story.b.transfer("1003")
        cluster.world.until(lambda: story.c.has("ringing"))
        cluster.settle()
        answer = story.desk_c.ask(M.RequestReleaseCall, ThisDN="1003", ConnID=story.conn_id)
        assert answer.name in ("EventReleased", "EventAbandoned")
        cluster.settle()
        assert story.b.said[-2:] == ["report 603", "refer over terminated"]
        assert story.b.leg("talking")
        story.over()

    def test_a_phone_that_wants_no_reports_gets_none(self, cluster: Cluster) -> None:
        story = Story(cluster)
        story.forget()
        story.b.transfer("1003", silent=True)
        cluster.world.until(lambda: story.c.has("ringing"))
        story.c.answer()
        cluster.settle()
        assert story.b.said == ["refer 200", "refer over silent"]
        story.over()

    def test_to_a_number_that_goes_out_by_the_trunk(self, cluster: Cluster) -> None:
        story = Story(cluster)
        pstn = cluster.caller()
        story.forget()
        story.b.transfer("9123456")
        cluster.world.until(lambda: pstn.has("ringing"))
        invite = pstn.last
        assert invite is not None
        assert invite.from_.uri == "sip:1001@sim.example"
        pstn.answer()
        cluster.settle()
        assert story.a.leg("talking")
        assert story.desk_a.of(M.EventPartyChanged)[0].text(Attribute.OtherDN) == "9123456"
        story.over()

    def test_to_a_routing_point_which_routes_it_on(self, cluster: Cluster) -> None:
        story = Story(cluster)
        router = cluster.router("n1", "8000")
        story.forget()
        story.b.transfer("8000")
        cluster.world.until(lambda: bool(router.of(M.EventRouteRequest)))
        cluster.settle()
        assert conn_id_of(router.of(M.EventRouteRequest)[0]) == story.conn_id
        assert third(router.of(M.EventQueued)[0]) == BY_1002
        assert told(story.b) == ["refer 202", "report 200", "refer over terminated"]
        assert story.desk_b.names() == ["Released"]
        assert story.desk_a.names() == ["PartyChanged"]
        route = router.ask(M.RequestRouteCall, ThisDN="8000", ConnID=story.conn_id, OtherDN="1003")
        assert route.id == M.EventRouteUsed
        cluster.world.until(lambda: story.c.has("ringing"))
        story.c.answer()
        cluster.settle()
        assert story.a.leg("talking")
        assert story.desk_c.names() == ["Ringing", "Established"]
        assert story.desk_c.of(M.EventRinging)[0].text(Attribute.ThisQueue) == "8000"
        story.over()

    def test_to_a_routing_point_where_nobody_routes(self, cluster: Cluster) -> None:
        story = Story(cluster)
        story.forget()
        story.a.transfer("8001")
        cluster.settle(2 * SECOND)
        assert not story.b.calls
        assert story.desk_b.names() == ["PartyChanged", "Released"]
        story.over()


class TestWhatIsRefused:
    @pytest.mark.parametrize("number", ["1002", "1001"])
    def test_a_phone_does_not_transfer_to_itself_nor_to_whom_it_talks_to(self, cluster: Cluster, number: str) -> None:
        story = Story(cluster)
        story.forget()
        story.b.transfer(number)
        cluster.settle()
        assert story.b.said == ["refer 403"]
        assert story.a.leg("talking")
        story.over()

    @pytest.mark.parametrize("target", ["<sip:192.0.2.1>", "<tel:+49123>", "<http://x/>", "<sip:@x>", "<x>"])
    def test_a_target_that_is_no_number(self, cluster: Cluster, target: str) -> None:
        story = Story(cluster)
        story.forget()
        story.b.refer(target)
        cluster.settle()
        assert told(story.b) in (["refer 400"], ["refer 202", "report 404", "refer over terminated"])
        assert story.b.leg("talking")
        story.over()

    def test_one_transfer_at_a_time(self, cluster: Cluster) -> None:
        story = Story(cluster)
        story.forget()
        for _ in range(100):
            story.b.sip.refer(cluster.world.now, story.leg_b, story.b.out, refer_to="sip:1003@192.0.2.2")
            story.b._done()
            cluster.settle(SECOND // 100)
        cluster.settle(2 * SECOND)
        assert story.b.said.count("refer 202") == 1
        assert story.c.said == ["invited"]
        story.c.answer()
        cluster.settle()
        assert story.desk_c.names() == ["Ringing", "Established"]
        story.over()

    def test_both_transfer_at_once(self, cluster: Cluster) -> None:
        story = Story(cluster)
        story.forget()
        story.a.transfer("1003")
        story.b.transfer("1003")
        cluster.settle()
        assert sorted([told(story.a)[0], told(story.b)[0]]) == ["refer 202", "refer 491"]
        assert story.c.said == ["invited"]
        story.c.answer()
        cluster.settle()
        story.over()

    def test_a_call_that_is_not_answered_is_not_transferred(self, cluster: Cluster) -> None:
        one, other = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
        desk = cluster.desktop("n1", "1001")
        desk.request(M.RequestMakeCall, ThisDN="1001", OtherDN="1002")
        cluster.world.until(lambda: other.has("ringing"))
        one.said.clear()
        one.transfer("1003")
        cluster.settle()
        assert one.said == ["refer 491"]
        assert other.has("ringing")
        cluster.check()

    def test_a_stranger_does_not_transfer_to_a_trunk(self, cluster: Cluster) -> None:
        agent, caller = cluster.phone("1001", "n1"), cluster.caller()
        caller.call("1001")
        cluster.world.until(lambda: agent.has("ringing"))
        agent.answer()
        cluster.settle()
        caller.said.clear()
        caller.transfer("9123456")
        cluster.settle()
        assert caller.said == ["refer 403"]
        caller.hang_up()
        cluster.settle(40 * SECOND)
        cluster.quiet()

    def test_a_refer_outside_of_any_call(self, cluster: Cluster) -> None:
        phone = cluster.phone("1001", "n1")
        phone.ask("REFER", "1002", ("Refer-To", "<sip:1003@192.0.2.1>"))
        cluster.settle()
        assert phone.said == ["answered 403"]
        cluster.check()
