"""Transfers that phones make, told as stories: who called whom, who was handed on, and what everybody saw of it."""

import pytest

from sip_proto.sdp import parse_sdp
from tests.sim import session_phone
from tests.sim.actors import Client, Phone
from tests.sim.cluster import Cluster, conn_id_of
from tests.sim.world import SECOND
from tlib_proto import Attribute, CallState, CallType, DNRole, Message, MessageType

M = MessageType


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def talks(cluster: Cluster, caller: Phone, called: Phone) -> int:
    """The caller dials the called one, who answers; the caller's leg."""
    leg = caller.call(called.number)
    cluster.world.until(lambda: called.has("ringing"))
    cluster.settle()
    called.answer()
    cluster.world.until(lambda: caller.calls.get(caller.leg_after(leg)) == "talking")
    cluster.settle()
    return caller.leg_after(leg)


def third(event: Message) -> tuple[str, int, int]:
    """Who made the transfer that an event tells of."""
    return (
        event.text(Attribute.ThirdPartyDN),
        event.number(Attribute.ThirdPartyDNRole),
        event.number(Attribute.CallState),
    )


def told(phone: Phone) -> list[str]:
    """What a phone was told of its transfer: the answer to REFER, then the reports but for 100, which comes first or
    late.
    """
    words = [word for word in phone.said if word.startswith(("refer ", "report ")) and word != "report 100"]
    return sorted(words, key=lambda word: word[:6] != "refer " or "over" in word)


BY_1002 = ("1002", int(DNRole.TransferredBy), int(CallState.Transferred))


def port_of(body: bytes) -> int:
    """Where a description wants to hear."""
    return parse_sdp(body).media()[0].port


class Story:
    """1001 on n1 talks to 1002 on n2, or elsewhere, who may hand it on to 1003 on n1; a desktop at each."""

    def __init__(self, cluster: Cluster, b: str = "n2", c: str = "n1") -> None:
        self.cluster = cluster
        self.a, self.b = cluster.phone("1001", "n1"), cluster.phone("1002", b)
        self.c = cluster.phone("1003", c)
        self.desk_a: Client = cluster.desktop("n2", "1001")
        self.desk_b: Client = cluster.desktop("n1", "1002")
        self.desk_c: Client = cluster.desktop("n2", "1003")
        self.leg_a = talks(cluster, self.a, self.b)
        self.leg_b = self.b.leg("talking")
        self.conn_id = conn_id_of(self.desk_a.of(M.EventDialing)[0])

    def forget(self) -> None:
        """What has been until now is not told again."""
        for actor in (self.a, self.b, self.c, self.desk_a, self.desk_b, self.desk_c):
            actor.forget()

    def over(self) -> None:
        """Everybody hangs up, and nothing is left."""
        for phone in (self.a, self.b, self.c):
            for leg in list(phone.calls):
                phone.hang_up(leg)
                self.cluster.settle()
        self.cluster.check()
        self.cluster.settle(40 * SECOND)
        self.cluster.quiet()


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

    def test_a_target_that_describes_itself_early_changes_nothing_before_its_answer(self, cluster: Cluster) -> None:
        one, other, target = (session_phone.phone(cluster, number) for number in ("1001", "1002", "1003"))
        target.on_invite = "nothing"
        one.call("1002")
        cluster.world.until(lambda: other.has("ringing"))
        cluster.settle()
        other.answer()
        cluster.settle()
        leg = one.leg("talking")
        before = port_of(one.theirs[leg])
        other.transfer("1003")
        cluster.world.until(lambda: target.has("ringing"))
        target.progress()
        cluster.settle()
        assert port_of(one.theirs[leg]) == before
        target.reject(486)
        cluster.settle(2 * SECOND)
        assert told(other)[-2:] == ["report 486", "refer over terminated"]
        assert port_of(one.theirs[leg]) == before == other.port
        one.hang_up()
        cluster.settle(40 * SECOND)
        cluster.check()
        cluster.quiet()

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


class Consultation(Story):
    """1002 holds 1001 and talks to 1003 about it in a second call."""

    def __init__(self, cluster: Cluster, b: str = "n1") -> None:
        super().__init__(cluster, b, "n2")
        self.desk_b.attach("1002", self.conn_id, ("segment", "gold"))
        self.b.hold("sendonly", self.leg_b)
        cluster.settle()
        self.consult_b = talks(cluster, self.b, self.c)
        self.second = conn_id_of(self.desk_c.of(M.EventRinging)[0])
        self.forget()


class TestAnAttendedTransfer:
    def test_two_calls_become_one_under_the_first_ones_connid(self, cluster: Cluster) -> None:
        reporter = cluster.reporter("n1"), cluster.reporter("n2")
        story = Consultation(cluster)
        story.b.transfer("1003", story.leg_b, to_leg=story.consult_b)
        cluster.settle()
        assert told(story.b) == ["refer 202", "report 200", "refer over terminated"]
        assert story.desk_b.names() == ["Released", "Released"]
        first, second = story.desk_b.events
        assert (conn_id_of(first), conn_id_of(second)) == (story.conn_id, story.second)
        assert first.number(Attribute.CallState) == second.number(Attribute.CallState) == CallState.Transferred
        assert (first.text(Attribute.OtherDN), second.text(Attribute.OtherDN)) == ("1001", "1003")
        assert story.desk_c.names() == ["PartyChanged"]
        changed = story.desk_c.events[0]
        assert conn_id_of(changed) == story.conn_id
        assert changed.number(Attribute.PreviousConnID) == story.second
        assert changed.text(Attribute.OtherDN) == "1001"
        assert changed.pairs(Attribute.UserData) == (("segment", "gold"),)
        assert third(changed) == BY_1002
        assert story.desk_a.names() == ["PartyChanged"]
        changed = story.desk_a.events[0]
        assert conn_id_of(changed) == story.conn_id
        assert changed.text(Attribute.OtherDN) == "1003"
        assert third(changed) == BY_1002
        deleted = [event for client in reporter for event in client.of(M.EventCallDeleted)]
        assert [conn_id_of(event) for event in deleted] == [story.second]
        assert deleted[0].text(Attribute.RefCallUUID) == changed.text(Attribute.CallUUID)
        cluster.check()
        story.over()

    def test_the_two_hear_each_other_and_are_told_who_is_there(self, cluster: Cluster) -> None:
        story = Consultation(cluster)
        story.b.transfer("1003", story.leg_b, to_leg=story.consult_b)
        cluster.settle()
        assert story.a.said == ["reinvited nothing", "acked sendrecv"]
        assert story.c.said == ["reinvited sendrecv"]
        assert story.a.heard["P-Asserted-Identity"] == "<sip:1003@sim.example>"
        assert story.c.heard["P-Asserted-Identity"] == "<sip:1001@sim.example>"
        story.over()

    def test_holding_works_in_the_new_call(self, cluster: Cluster) -> None:
        story = Consultation(cluster)
        story.b.transfer("1003", story.leg_b, to_leg=story.consult_b)
        cluster.settle()
        story.forget()
        conn_id = story.conn_id
        assert story.desk_c.ask(M.RequestHoldCall, ThisDN="1003", ConnID=conn_id).id == M.EventHeld
        assert story.desk_c.ask(M.RequestRetrieveCall, ThisDN="1003", ConnID=conn_id).id == M.EventRetrieved
        assert story.desk_c.ask(M.RequestHoldCall, ThisDN="1003", ConnID=story.second).id == M.EventError
        assert story.desk_a.ask(M.RequestReleaseCall, ThisDN="1001", ConnID=conn_id).id == M.EventReleased
        cluster.settle()
        assert not story.c.calls
        story.over()

    def test_a_refer_in_the_consultation_comes_to_the_same(self, cluster: Cluster) -> None:
        story = Consultation(cluster)
        story.b.transfer("1001", story.consult_b, to_leg=story.leg_b)
        cluster.settle()
        assert [conn_id_of(event) for event in story.desk_b.of(M.EventReleased)] == [story.conn_id, story.second]
        assert story.desk_c.events[0].number(Attribute.PreviousConnID) == story.second
        story.over()

    def test_the_transferor_hangs_up_both_calls_right_after_the_202(self, cluster: Cluster) -> None:
        story = Consultation(cluster)
        story.b.transfer("1003", story.leg_b, to_leg=story.consult_b)
        cluster.world.until(lambda: "refer 202" in story.b.said)
        story.b.hang_up(story.leg_b)
        story.b.hang_up(story.consult_b)
        cluster.settle()
        assert story.a.leg("talking")
        assert story.c.leg("talking")
        assert story.desk_a.names() == story.desk_c.names() == ["PartyChanged"]
        story.over()

    def test_a_transferor_that_does_not_hang_up_is_hung_up(self, cluster: Cluster) -> None:
        story = Consultation(cluster)
        story.b.transfer("1003", story.leg_b, to_leg=story.consult_b)
        cluster.settle(4 * SECOND)
        assert not story.b.calls
        story.over()

    def test_a_hold_that_is_under_way_does_not_keep_the_two_apart(self, cluster: Cluster) -> None:
        story = Consultation(cluster)
        story.b.hold("sendonly", story.consult_b)
        story.b.transfer("1003", story.leg_b, to_leg=story.consult_b)
        story.c.hold("sendrecv")
        cluster.settle(8 * SECOND)
        assert "acked sendrecv" in story.a.said
        assert story.a.leg("talking")
        assert story.c.leg("talking")
        story.over()

    def test_a_party_hangs_up_while_the_two_are_brought_together(self, cluster: Cluster) -> None:
        story = Consultation(cluster)
        story.b.transfer("1003", story.leg_b, to_leg=story.consult_b)
        cluster.world.until(lambda: "reinvited nothing" in story.a.said)
        story.c.hang_up()
        cluster.settle()
        assert not story.a.calls
        story.over()

    def test_a_phone_that_makes_no_offer_gets_the_other_ones(self, cluster: Cluster) -> None:
        story = Consultation(cluster)
        story.a.refuses = [488]
        story.b.transfer("1003", story.leg_b, to_leg=story.consult_b)
        cluster.settle(SECOND)
        assert story.a.said == ["reinvited nothing", "reinvited sendrecv"]
        assert story.a.leg("talking")
        assert story.c.leg("talking")
        story.over()

    def test_phones_that_cannot_agree_have_nothing_to_say_to_each_other(self, cluster: Cluster) -> None:
        story = Consultation(cluster)
        story.c.refuses = [488]
        story.b.transfer("1003", story.leg_b, to_leg=story.consult_b)
        cluster.settle(SECOND)
        assert not story.a.calls
        assert not story.c.calls
        assert story.desk_a.names() == story.desk_c.names() == ["PartyChanged", "Released"]
        story.over()

    def test_a_dialog_that_is_gone_or_was_never_there(self, cluster: Cluster) -> None:
        story = Consultation(cluster)
        replaces = story.b.sip.replaces_of(story.consult_b, escaped=True)
        story.b.hang_up(story.consult_b)
        cluster.settle()
        for text in (replaces, "nobody%40x%3Bto-tag%3D1%3Bfrom-tag%3D2", replaces.replace("-tag%3D", "-tag%3Dx")):
            story.b.said.clear()
            story.b.refer(f"<sip:1003@192.0.2.1?Replaces={text}>")
            cluster.settle()
            assert told(story.b) == ["refer 202", "report 481", "refer over terminated"]
            assert story.b.leg("talking")
        story.over()

    @pytest.mark.parametrize("node", ["-n2%3B", "-n9%3B"])
    def test_a_dialog_that_another_node_does_not_know(self, cluster: Cluster, node: str) -> None:
        story = Consultation(cluster)
        replaces = story.b.sip.replaces_of(story.consult_b, escaped=True)
        other = replaces.replace("-n1%3B", node)
        assert other != replaces
        story.b.refer(f"<sip:1003@192.0.2.1?Replaces={other}>", story.leg_b)
        cluster.settle()
        assert told(story.b) == ["refer 202", "report 481", "refer over terminated"]
        assert len(story.b.calls) == 2
        story.over()

    def test_calls_of_two_nodes_are_brought_together(self, cluster: Cluster) -> None:
        story = Consultation(cluster, "n2")
        assert {story.conn_id >> 52, story.second >> 52} == {1, 2}
        story.b.transfer("1003", story.leg_b, to_leg=story.consult_b)
        cluster.settle(SECOND)
        assert told(story.b) == ["refer 202", "report 200", "refer over terminated"]
        assert story.desk_a.names() == story.desk_c.names() == ["PartyChanged"]
        assert conn_id_of(story.desk_a.events[0]) == story.conn_id
        assert conn_id_of(story.desk_c.events[0]) == story.second
        assert story.desk_a.events[0].text(Attribute.OtherDN) == "1003"
        assert story.desk_c.events[0].text(Attribute.OtherDN) == "1001"
        assert sorted(map(conn_id_of, story.desk_b.of(M.EventReleased))) == sorted([story.conn_id, story.second])
        assert story.a.said[-1] == "reinvited sendrecv"
        assert "acked sendrecv" in story.c.said
        cluster.settle(3 * SECOND)
        assert not story.b.calls
        story.c.hold()
        cluster.settle()
        assert story.a.said[-1] == "reinvited sendonly"
        story.c.hang_up()
        cluster.settle()
        assert not story.a.calls
        story.over()

    def test_who_is_no_party_does_not_transfer_to_a_call_of_another_node(self, cluster: Cluster) -> None:
        story = Consultation(cluster, "n2")
        replaces = story.b.sip.replaces_of(story.consult_b, escaped=True)
        story.a.refer(f"<sip:1003@192.0.2.1?Replaces={replaces}>")
        cluster.settle()
        assert told(story.a) == ["refer 202", "report 403", "refer over terminated"]
        assert len(story.b.calls) == 2
        story.over()

    def test_only_a_party_of_a_call_transfers_to_it(self, cluster: Cluster) -> None:
        story = Consultation(cluster)
        replaces = story.b.sip.replaces_of(story.consult_b, escaped=True)
        story.a.refer(f"<sip:1003@192.0.2.1?Replaces={replaces}>")
        cluster.settle()
        assert told(story.a) == ["refer 202", "report 481", "refer over terminated"]
        assert len(story.b.calls) == 2
        story.over()

    def test_a_call_is_not_transferred_into_itself(self, cluster: Cluster) -> None:
        story = Consultation(cluster)
        story.b.transfer("1001", story.leg_b, to_leg=story.leg_b)
        cluster.settle()
        assert story.b.said == ["refer 403"]
        story.over()

    def test_a_consultation_that_only_rings_is_not_replaced(self, cluster: Cluster) -> None:
        story = Story(cluster)
        story.b.hold()
        leg = story.b.call("1003")
        cluster.world.until(lambda: story.c.has("ringing"))
        cluster.settle()
        story.forget()
        story.b.transfer("1003", story.leg_b, to_leg=story.b.leg_after(leg))
        cluster.settle()
        assert told(story.b) == ["refer 202", "report 481", "refer over terminated"]
        assert story.c.has("ringing")
        story.over()


class TestAnInviteWithReplaces:
    def test_another_phone_takes_the_place_of_one(self, cluster: Cluster) -> None:
        story = Story(cluster)
        replaces = story.a.sip.replaces_of(story.leg_a)
        story.forget()
        # The dialog of 1001 as the node has it: 1003 comes in for 1001.
        story.c.take_over("1002", swapped(replaces))
        cluster.settle()
        assert not story.a.calls
        assert story.b.leg("talking")
        assert story.c.leg("talking")
        assert story.desk_a.names() == ["Released"]
        assert story.desk_a.events[0].number(Attribute.CallState) == CallState.Transferred
        assert story.desk_b.names() == ["PartyChanged"]
        assert story.desk_b.events[0].text(Attribute.OtherDN) == "1003"
        assert story.desk_c.names() == ["Dialing", "Established"]
        assert {conn_id_of(event) for event in story.desk_c.events} == {story.conn_id}
        story.over()

    def test_a_call_that_rings_elsewhere_is_picked_up(self, cluster: Cluster) -> None:
        a, b, c = cluster.phone("1001", "n1"), cluster.phone("1002", "n2"), cluster.phone("1003", "n1")
        desk_a, desk_b, desk_c = (cluster.desktop("n1", dn) for dn in ("1001", "1002", "1003"))
        a.call("1002")
        cluster.world.until(lambda: b.has("ringing"))
        cluster.settle()
        c.take_over("1002", swapped(b.sip.replaces_of(b.leg("ringing"))))
        cluster.settle()
        assert b.said == ["invited", "cancelled"]
        assert desk_a.names() == ["Dialing", "PartyChanged", "Established"]
        assert desk_b.names() == ["Ringing", "Released"]
        assert desk_c.names() == ["Ringing", "Established"]
        assert a.leg("talking")
        assert c.leg("talking")
        assert "acked sendrecv" in (*a.said, *c.said)
        a.hang_up()
        cluster.settle(40 * SECOND)
        cluster.check()
        cluster.quiet()

    def test_a_programs_call_is_picked_up_where_it_rings(self, cluster: Cluster) -> None:
        a, b, c = cluster.phone("1001", "n1"), cluster.phone("1002", "n2"), cluster.phone("1003", "n1")
        desk = cluster.desktop("n1", "1001")
        desk.request(M.RequestMakeCall, ThisDN="1001", OtherDN="1002")
        cluster.world.until(lambda: b.has("ringing"))
        cluster.settle()
        c.take_over("1002", swapped(b.sip.replaces_of(b.leg("ringing"))))
        cluster.settle()
        assert b.said == ["invited", "cancelled"]
        assert a.leg("talking")
        assert c.leg("talking")
        assert "acked sendrecv" in (*a.said, *c.said)
        c.hang_up()
        cluster.settle(40 * SECOND)
        cluster.check()
        cluster.quiet()

    @pytest.mark.parametrize("early", [True, False])
    def test_a_dialog_that_cannot_be_replaced(self, cluster: Cluster, early: bool) -> None:
        story = Story(cluster)
        replaces = swapped(story.a.sip.replaces_of(story.leg_a))
        story.forget()
        story.c.take_over("1002", f"{replaces};early-only" if early else "x@y;to-tag=1;from-tag=2")
        cluster.settle()
        assert story.c.said == ["failed 486" if early else "failed 481"]
        assert story.a.leg("talking")
        story.over()

    def test_nobody_takes_a_place_in_a_call_that_is_being_transferred(self, cluster: Cluster) -> None:
        story = Story(cluster)
        replaces = swapped(story.a.sip.replaces_of(story.leg_a))
        fourth = cluster.phone("1004", "n1")
        story.b.transfer("1003")
        cluster.world.until(lambda: story.c.has("ringing"))
        cluster.settle()
        fourth.take_over("1002", replaces)
        cluster.settle()
        assert fourth.said == ["failed 491"]
        fourth.said.clear()
        story.over()

    def test_nobody_takes_the_place_of_whom_it_talks_to(self, cluster: Cluster) -> None:
        story = Story(cluster)
        replaces = swapped(story.a.sip.replaces_of(story.leg_a))
        story.forget()
        story.b.take_over("1002", replaces)
        cluster.settle()
        assert story.b.said == ["redirected", "failed 403"]
        story.over()

    def test_a_phone_of_another_node_is_sent_to_where_the_call_is(self, cluster: Cluster) -> None:
        story = Story(cluster)
        fourth = cluster.phone("1004", "n2")
        fourth.take_over("1002", swapped(story.a.sip.replaces_of(story.leg_a)))
        cluster.settle()
        assert fourth.said[0] == "redirected"
        assert fourth.leg("talking")
        assert story.b.leg("talking")
        assert not story.a.calls
        fourth.hang_up()
        story.over()

    def test_another_node_is_believed_only_about_the_phone_that_it_names(self, cluster: Cluster) -> None:
        story = Story(cluster)
        replaces = swapped(story.a.sip.replaces_of(story.leg_a))
        node = Phone(cluster.world, "1003", "n1", ("192.0.2.2", 5060))
        cluster.world.bind(("192.0.2.2", 5060), cluster.hosts["n2"])
        for by in ("<sip:1003@sim.example>", "<<", ""):
            headers = (("Replaces", replaces), *((("Referred-By", by),) if by else ()))
            node.sip.invite(
                cluster.world.now,
                node.out,
                listener="udp",
                destination=node.server,
                uri="sip:1002@192.0.2.1",
                from_="<sip:1003@sim.example>",
                to="<sip:1002@sim.example>",
                headers=headers,
            )
            node._done()
            cluster.settle()
        assert story.a.leg("talking")
        assert story.desk_c.names() == []
        story.over()

    def test_a_stranger_replaces_nobody(self, cluster: Cluster) -> None:
        story = Story(cluster)
        pstn = cluster.caller()
        pstn.take_over("1002", swapped(story.a.sip.replaces_of(story.leg_a)))
        cluster.settle()
        assert pstn.said == ["failed 403"]
        assert story.a.leg("talking")
        story.over()


def swapped(replaces: str) -> str:
    """The Replaces that names a phone's own dialog to its peer."""
    call_id, to_tag, from_tag = replaces.split(";")
    return f"{call_id};{to_tag};{from_tag}"


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
