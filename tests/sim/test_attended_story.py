"""Two calls that become one, and a phone in the place of another, told as stories."""

import pytest

from tests.sim.actors import Phone
from tests.sim.cluster import Cluster, conn_id_of
from tests.sim.transfer_cast import BY_1002, Consultation, Story, third, told
from tests.sim.world import SECOND
from tlib_proto import Attribute, CallState, MessageType

M = MessageType


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


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
        story = Consultation(cluster, "n2", arrives=True)
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
        story = Consultation(cluster, "n2", arrives=True)
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
        story.c.take_over("1002", replaces)
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
        c.take_over("1002", b.sip.replaces_of(b.leg("ringing")))
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
        c.take_over("1002", b.sip.replaces_of(b.leg("ringing")))
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
        replaces = story.a.sip.replaces_of(story.leg_a)
        story.forget()
        story.c.take_over("1002", f"{replaces};early-only" if early else "x@y;to-tag=1;from-tag=2")
        cluster.settle()
        assert story.c.said == ["failed 486" if early else "failed 481"]
        assert story.a.leg("talking")
        story.over()

    def test_nobody_takes_a_place_in_a_call_that_is_being_transferred(self, cluster: Cluster) -> None:
        story = Story(cluster)
        replaces = story.a.sip.replaces_of(story.leg_a)
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
        replaces = story.a.sip.replaces_of(story.leg_a)
        story.forget()
        story.b.take_over("1002", replaces)
        cluster.settle()
        assert story.b.said == ["failed 403"]
        story.over()

    def test_an_invite_to_another_node_is_passed_on_to_where_the_call_is(self, cluster: Cluster) -> None:
        story = Story(cluster)
        fourth = cluster.phone("1004", "n2")
        fourth.take_over("1002", story.a.sip.replaces_of(story.leg_a))
        cluster.settle()
        assert "redirected" not in fourth.said
        assert fourth.leg("talking")
        assert story.b.leg("talking")
        assert not story.a.calls
        fourth.hang_up()
        story.over()

    def test_another_node_is_believed_only_about_the_phone_that_it_names(self, cluster: Cluster) -> None:
        story = Story(cluster)
        replaces = story.a.sip.replaces_of(story.leg_a)
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
        pstn.take_over("1002", story.a.sip.replaces_of(story.leg_a))
        cluster.settle()
        assert pstn.said == ["failed 403"]
        assert story.a.leg("talking")
        story.over()
