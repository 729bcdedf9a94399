"""What a desktop asks of a call beside holding and transferring it, told as stories: its data, its end, digits, and a
call that rings for somebody else."""

import pytest

from tests.sim.actors import Client
from tests.sim.cluster import Cluster, conn_id_of
from tests.sim.session_phone import SessionPhone, phone
from tests.sim.transfer_cast import Story, talks
from tests.sim.world import MILLISECOND, SECOND
from tlib_proto import Attribute, CallInfoType, CallState, DNRole, KVList, Message, MessageType, PartyState

M = MessageType


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


class TestUserData:
    def ask(self, story: Story, kind: MessageType, **more: object) -> KVList:
        """Change the data of 1002's call: what everybody was told of it then."""
        story.forget()
        answer = story.desk_b.ask(kind, ThisDN="1002", ConnID=story.conn_id, **more)  # type: ignore[arg-type]
        assert answer.id == M.EventAttachedDataChanged, answer
        story.cluster.settle()
        (one,), (other,) = story.desk_a.events, story.desk_b.events
        for event, dn in ((one, "1001"), (other, "1002")):
            assert event.id == M.EventAttachedDataChanged
            assert (event.text(Attribute.ThisDN), event.text(Attribute.ThirdPartyDN)) == (dn, "1002")
            assert Attribute.UserData in event.attributes
        assert (one.ref, other.ref) == (0, answer.ref)
        assert one.pairs(Attribute.UserData) == other.pairs(Attribute.UserData)
        return one.pairs(Attribute.UserData)

    @pytest.mark.parametrize("b", ["n1", "n2"])
    def test_attached_updated_and_deleted(self, cluster: Cluster, b: str) -> None:
        story = Story(cluster, b)
        told = self.ask(story, M.RequestAttachUserData, UserData=(("a", "1"), ("b", 2)))
        assert told == (("a", "1"), ("b", 2))
        told = self.ask(story, M.RequestAttachUserData, UserData=(("a", "again"),))
        assert told == (("a", "1"), ("b", 2), ("a", "again"))
        told = self.ask(story, M.RequestUpdateUserData, UserData=(("c", (("in", "x"),)), ("a", "3")))
        assert told == (("a", "3"), ("b", 2), ("c", (("in", "x"),)))
        assert self.ask(story, M.RequestDeletePair, DataKey="b") == (("a", "3"), ("c", (("in", "x"),)))
        assert self.ask(story, M.RequestDeletePair, DataKey="nothing") == (("a", "3"), ("c", (("in", "x"),)))
        assert self.ask(story, M.RequestDeleteUserData) == ()
        assert self.ask(story, M.RequestUpdateUserData, UserData=(("d", "4"),)) == (("d", "4"),)
        story.over()

    def test_a_key_that_is_there_twice_is_updated_and_deleted_as_a_whole(self, cluster: Cluster) -> None:
        story = Story(cluster)
        self.ask(story, M.RequestAttachUserData, UserData=(("a", "1"), ("b", "2"), ("a", "3")))
        assert self.ask(story, M.RequestUpdateUserData, UserData=(("a", "4"), ("a", "5"))) == (
            ("a", "4"),
            ("a", "5"),
            ("b", "2"),
        )
        assert self.ask(story, M.RequestDeletePair, DataKey="a") == (("b", "2"),)
        story.over()

    def test_too_much_and_nothing_change_nothing(self, cluster: Cluster) -> None:
        story = Story(cluster)
        self.ask(story, M.RequestAttachUserData, UserData=(("a", "x" * 10_000),))
        story.forget()
        for data, code in (((("b", "x" * 10_000),), 1142), ((), 53)):
            answer = story.desk_b.ask(M.RequestUpdateUserData, ThisDN="1002", ConnID=story.conn_id, UserData=data)
            assert answer.number(Attribute.ErrorCode) == code
        large = (("a", "y" * 10_000),)
        assert self.ask(story, M.RequestUpdateUserData, UserData=large) == large
        story.over()


class TestAsking:
    @pytest.mark.parametrize("b", ["n1", "n2"])
    def test_a_desktop_asks_for_a_call_and_nobody_else_hears_it(self, cluster: Cluster, b: str) -> None:
        story = Story(cluster, b)
        story.desk_b.attach("1002", story.conn_id, ("segment", "gold"))
        story.forget()
        for info in CallInfoType:
            asked = cluster.world.now
            answer = story.desk_b.ask(M.RequestQueryCall, ThisDN="1002", ConnID=story.conn_id, CallInfoType=info)
            assert cluster.world.now - asked < 100 * MILLISECOND
            assert (answer.id, answer.number(Attribute.CallInfoType)) == (M.EventPartyInfo, info)
            assert (answer.text(Attribute.ThisDN), conn_id_of(answer)) == ("1002", story.conn_id)
            assert answer.pairs(Attribute.UserData) == (("segment", "gold"),)
            talks = int(PartyState.Connected)
            assert answer.pairs(Attribute.Extensions) == (
                *(("parties", 2), ("dn-1", "1001"), ("role-1", int(DNRole.Origination)), ("ps-1", talks)),
                *(("dn-2", "1002"), ("role-2", int(DNRole.Destination)), ("ps-2", talks)),
            )
        wrong = story.desk_b.ask(M.RequestQueryCall, ThisDN="1002", ConnID=story.conn_id, CallInfoType=7)
        assert wrong.number(Attribute.ErrorCode) == 53
        assert story.desk_b.ask(M.RequestQueryCall, ThisDN="1002", ConnID=4711).number(Attribute.ErrorCode) == 56
        cluster.settle()
        assert story.desk_a.names() == []
        story.over()


class TestClearing:
    def test_everybody_is_released(self, cluster: Cluster) -> None:
        story = Story(cluster)
        story.forget()
        answer = story.desk_b.ask(M.RequestClearCall, ThisDN="1002", ConnID=story.conn_id)
        assert answer.id == M.EventReleased
        cluster.settle()
        assert story.desk_a.names() == story.desk_b.names() == ["Released"]
        assert not story.a.calls
        assert not story.b.calls
        story.over()

    def test_it_ends_a_call_that_releasing_would_leave_to_the_others(self, cluster: Cluster) -> None:
        story = Story(cluster)
        story.b.transfer("1003")
        cluster.world.until(lambda: story.c.has("ringing"))
        cluster.settle()
        assert story.desk_b.ask(M.RequestClearCall, ThisDN="1002", ConnID=story.conn_id).id == M.EventReleased
        cluster.settle(3 * SECOND)
        assert not any(one.calls for one in (story.a, story.b, story.c))
        story.over()

    @pytest.mark.parametrize("who", ["1001", "1002"])
    def test_a_call_that_rings(self, cluster: Cluster, who: str) -> None:
        one, other = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
        desk = cluster.desktop("n2", "1001", "1002")
        one.call("1002")
        cluster.world.until(lambda: desk.of(M.EventRinging))
        answer = desk.ask(M.RequestClearCall, ThisDN=who, ConnID=conn_id_of(desk.of(M.EventRinging)[0]))
        assert answer.id == M.EventReleased
        cluster.settle(SECOND)
        assert not one.calls
        assert not other.calls
        cluster.check()

    def test_a_call_that_waits_at_a_routing_point_is_not_the_routers_to_clear(self, cluster: Cluster) -> None:
        router = cluster.router("n1", "8001")
        caller = cluster.caller()
        caller.call("8001")
        cluster.world.until(lambda: router.of(M.EventRouteRequest))
        conn_id = conn_id_of(router.of(M.EventRouteRequest)[0])
        assert router.ask(M.RequestClearCall, ThisDN="8001", ConnID=conn_id).number(Attribute.ErrorCode) == 1161
        caller.hang_up()
        cluster.settle()


class TestRedirecting:
    def rings(self, cluster: Cluster, b: str = "n2") -> Story:
        """1001 calls 1002, whose phone rings."""
        story = Story(cluster, b)
        story.a.hang_up()
        cluster.settle()
        story.forget()
        story.a.call("1002")
        cluster.world.until(lambda: story.desk_b.of(M.EventRinging))
        story.conn_id = conn_id_of(story.desk_b.of(M.EventRinging)[0])
        cluster.settle()
        story.forget()
        return story

    def ask(self, story: Story, number: str) -> Message:
        return story.desk_b.ask(M.RequestRedirectCall, ThisDN="1002", ConnID=story.conn_id, OtherDN=number)

    @pytest.mark.parametrize("b", ["n1", "n2"])
    def test_the_call_rings_for_somebody_else(self, cluster: Cluster, b: str) -> None:
        story = self.rings(cluster, b)
        released = self.ask(story, "1003")
        assert released.id == M.EventReleased
        cluster.settle()
        assert released.number(Attribute.CallState) == CallState.Redirected
        assert released.text(Attribute.OtherDN) == "1001"
        assert released.text(Attribute.ThirdPartyDN) == "1003"
        assert released.number(Attribute.ThirdPartyDNRole) == DNRole.Destination
        assert story.b.said == ["cancelled"]
        assert story.desk_b.names() == ["Released"]
        assert story.desk_a.names() == []
        ringing = story.desk_c.events[0]
        assert (conn_id_of(ringing), ringing.text(Attribute.OtherDN)) == (story.conn_id, "1001")
        story.c.answer()
        cluster.settle()
        assert story.desk_a.names() == ["Established"]
        assert story.desk_a.events[0].text(Attribute.OtherDN) == "1003"
        assert story.a.leg("talking")
        story.over()

    def test_on_and_on(self, cluster: Cluster) -> None:
        story = self.rings(cluster)
        self.ask(story, "1003")
        cluster.world.until(lambda: story.desk_c.of(M.EventRinging))
        back = story.desk_c.ask(M.RequestRedirectCall, ThisDN="1003", ConnID=story.conn_id, OtherDN="1002")
        assert back.id == M.EventReleased
        cluster.world.until(lambda: story.b.has("ringing"))
        story.b.answer()
        cluster.settle()
        assert story.a.leg("talking")
        story.over()

    def test_to_a_routing_point(self, cluster: Cluster) -> None:
        router = cluster.router("n1", "8000")
        story = self.rings(cluster)
        assert self.ask(story, "8000").id == M.EventReleased
        cluster.world.until(lambda: router.of(M.EventRouteRequest))
        assert conn_id_of(router.of(M.EventRouteRequest)[0]) == story.conn_id
        story.over()

    def test_a_call_that_a_program_makes(self, cluster: Cluster) -> None:
        story = self.rings(cluster)
        story.a.hang_up()
        cluster.settle()
        dialing = story.desk_a.ask(M.RequestMakeCall, ThisDN="1001", OtherDN="1002")
        story.conn_id = conn_id_of(dialing)
        cluster.world.until(lambda: story.b.has("ringing"))
        cluster.settle()
        assert self.ask(story, "8000").number(Attribute.ErrorCode) == 1161
        assert self.ask(story, "1003").id == M.EventReleased
        cluster.world.until(lambda: story.c.has("ringing"))
        story.c.answer()
        cluster.settle()
        assert story.a.leg("talking")
        assert story.c.leg("talking")
        assert story.desk_a.names()[-1] == "Established"
        story.over()

    @pytest.mark.parametrize("kind", [M.RequestSingleStepTransfer, M.RequestMuteTransfer, M.RequestInitiateTransfer])
    def test_a_call_that_a_program_hands_on(self, cluster: Cluster, kind: MessageType) -> None:
        story = Story(cluster)
        d = cluster.phone("1004", "n2")
        story.desk_b.ask(kind, ThisDN="1002", ConnID=story.conn_id, OtherDN="1003")
        cluster.world.until(lambda: story.desk_c.of(M.EventRinging))
        cluster.settle()
        conn_id = conn_id_of(story.desk_c.events[-1])
        redirect = {"ThisDN": "1003", "ConnID": conn_id}
        already = "1002" if kind is M.RequestInitiateTransfer else "1001"
        for number, code in (("1003", 71), (already, 71), ("8000", 1161)):
            refused = story.desk_c.ask(M.RequestRedirectCall, OtherDN=number, **redirect)
            assert refused.number(Attribute.ErrorCode) == code
        assert story.desk_c.ask(M.RequestRedirectCall, OtherDN="1004", **redirect).id == M.EventReleased
        cluster.world.until(lambda: d.has("ringing"))
        d.answer()
        cluster.settle()
        assert d.leg("talking")
        assert not story.c.calls
        d.hang_up()
        cluster.settle()
        story.over()

    def test_whoever_it_is_for_then_refuses(self, cluster: Cluster) -> None:
        story = self.rings(cluster)
        story.c.on_invite = "486"
        assert self.ask(story, "1003").id == M.EventReleased
        cluster.settle()
        assert story.desk_a.names() == ["DestinationBusy", "Released"]
        assert not story.a.calls
        story.over()

    def test_to_a_phone_that_is_not_there(self, cluster: Cluster) -> None:
        story = self.rings(cluster)
        assert self.ask(story, "1004").id == M.EventReleased
        cluster.settle()
        assert story.desk_a.names() == ["Released"]
        story.over()

    def test_what_cannot_be(self, cluster: Cluster) -> None:
        story = self.rings(cluster)
        for number in ("4711", "1001", "1002"):
            assert self.ask(story, number).number(Attribute.ErrorCode) == 71
        asked = story.desk_a.ask(M.RequestRedirectCall, ThisDN="1001", ConnID=story.conn_id, OtherDN="1003")
        assert asked.number(Attribute.ErrorCode) == 1161
        story.b.answer()
        cluster.settle()
        assert self.ask(story, "1003").number(Attribute.ErrorCode) == 1161
        story.over()

    def test_a_caller_that_has_the_description_of_who_rings_for_good_stays_with_it(self, cluster: Cluster) -> None:
        one, other = phone(cluster, "1001", reliable="supported"), phone(cluster, "1002", reliable="supported")
        third = cluster.phone("1003", "n1")
        desk = cluster.desktop("n1", "1002")
        one.call("1002")
        cluster.world.until(lambda: desk.of(M.EventRinging))
        conn_id = conn_id_of(desk.of(M.EventRinging)[0])
        other.progress(reliable=True)
        cluster.settle()
        assert "183 for good" in one.said
        answer = desk.ask(M.RequestRedirectCall, ThisDN="1002", ConnID=conn_id, OtherDN="1003")
        assert answer.number(Attribute.ErrorCode) == 1161
        assert third.said == []
        other.answer()
        cluster.settle()
        assert one.leg("talking")


class TestDigits:
    def story(self, cluster: Cluster) -> tuple[SessionPhone, SessionPhone, Client, int]:
        """1001 talks to 1002, with a desktop at 1001; the call's ConnID."""
        one, other = phone(cluster, "1001"), phone(cluster, "1002", "n2")
        desk = cluster.desktop("n2", "1001")
        talks(cluster, one, other)
        cluster.settle()
        conn_id = conn_id_of(desk.of(M.EventDialing)[0])
        one.said.clear()
        other.said.clear()
        desk.forget()
        return one, other, desk, conn_id

    def test_each_goes_when_the_last_was_taken(self, cluster: Cluster) -> None:
        one, other, desk, conn_id = self.story(cluster)
        sent = desk.ask(M.RequestSendDTMF, ThisDN="1001", ConnID=conn_id, DTMFDigits="1a#")
        assert sent.id == M.EventDTMFSent
        assert sent.text(Attribute.DTMFDigits) == "1a#"
        assert other.said == [
            f"INFO application/dtmf-relay Signal={digit}\r\nDuration=160\r\n" for digit in ("1", "A", "#")
        ]
        assert one.said == []
        assert desk.names() == ["DTMFSent"]
        one.hang_up()
        cluster.settle(40 * SECOND)
        cluster.quiet()

    def test_a_phone_that_takes_none(self, cluster: Cluster) -> None:
        _, other, desk, conn_id = self.story(cluster)
        other.info_status = 415
        answer = desk.ask(M.RequestSendDTMF, ThisDN="1001", ConnID=conn_id, DTMFDigits="12")
        assert answer.number(Attribute.ErrorCode) == 1140
        assert len(other.said) == 1
        other.hang_up()
        cluster.settle(40 * SECOND)
        cluster.quiet()

    @pytest.mark.parametrize("moment", range(0, 16, 2))
    def test_somebody_hangs_up_meanwhile(self, cluster: Cluster, moment: int) -> None:
        _, other, desk, conn_id = self.story(cluster)
        ref = desk.request(M.RequestSendDTMF, ThisDN="1001", ConnID=conn_id, DTMFDigits="123456")
        cluster.world.run(moment * MILLISECOND)
        other.hang_up()
        cluster.settle(SECOND)
        assert desk.answers[ref].number(Attribute.ErrorCode) in (56, 1161, 1140)
        cluster.settle(40 * SECOND)
        cluster.quiet()

    def test_what_cannot_be(self, cluster: Cluster) -> None:
        one, _, desk, conn_id = self.story(cluster)

        def code(digits: str) -> int:
            answer = desk.ask(M.RequestSendDTMF, ThisDN="1001", ConnID=conn_id, DTMFDigits=digits)
            return answer.number(Attribute.ErrorCode)

        assert {code(digits) for digits in ("E", "1 2", "1" * 65, "1\r\nX", "\u0661")} == {53}
        first = desk.request(M.RequestSendDTMF, ThisDN="1001", ConnID=conn_id, DTMFDigits="12")
        assert code("3") == 1161
        cluster.world.until(lambda: first in desk.answers)
        desk.ask(M.RequestHoldCall, ThisDN="1001", ConnID=conn_id)
        assert code("1") == 1161
        one.hang_up()
        cluster.settle(40 * SECOND)
        cluster.quiet()
