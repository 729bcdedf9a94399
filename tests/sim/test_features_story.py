"""A DN that is not to be disturbed, and one that forwards its calls, told as stories."""

import itertools

import pytest

from cluster_core.limits import Limits
from tests.sim.actors import Client, Phone
from tests.sim.cluster import Cluster, conn_id_of
from tests.sim.session_phone import phone
from tests.sim.transfer_cast import Story
from tests.sim.world import SECOND
from tlib_proto import AddressInfoType, Attribute, CallState, ForwardMode, Message, MessageType

M = MessageType
F = ForwardMode


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


class Desks:
    """Phones 1001 to 1003 on two nodes, a desktop for all of them on another than 1002's."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.a: Phone = cluster.phone("1001", "n1")
        self.b: Phone = cluster.phone("1002", "n2")
        self.c: Phone = cluster.phone("1003", "n1")
        self.desk: Client = cluster.desktop("n1", "1001", "1002", "1003")
        self.elsewhere: Client = cluster.desktop("n2", "1002")
        self.forget()

    def forget(self) -> None:
        """What has been until now is not told again."""
        self.cluster.settle()
        for actor in (self.a, self.b, self.c, self.desk, self.elsewhere):
            actor.forget()

    def forward(self, dn: str, to: str, mode: ForwardMode) -> Message:
        """TCallSetForward."""
        return self.desk.ask(M.RequestCallForwardSet, ThisDN=dn, OtherDN=to, ForwardMode=mode)

    def over(self) -> None:
        """Everybody hangs up, and nothing is left."""
        for one in (self.a, self.b, self.c):
            for leg in list(one.calls):
                one.hang_up(leg)
                self.cluster.settle()
        self.cluster.check()
        self.cluster.settle(40 * SECOND)
        self.cluster.quiet()


class TestWhatIsSet:
    def test_everybody_hears_it_and_the_requester_by_its_reference(self, cluster: Cluster) -> None:
        desks = Desks(cluster)
        on = desks.desk.ask(M.RequestSetDNDOn, ThisDN="1002")
        forward = desks.forward("1002", "1003", F.OnBusy)
        cluster.settle()
        assert (on.id, forward.id) == (M.EventDNDOn, M.EventForwardSet)
        assert forward.text(Attribute.OtherDN) == "1003"
        assert forward.number(Attribute.ForwardMode) == F.OnBusy
        for desk, refs in ((desks.desk, (on.ref, forward.ref)), (desks.elsewhere, (0, 0))):
            assert [(event.id, event.ref) for event in desk.events] == [
                (M.EventDNDOn, refs[0]),
                (M.EventForwardSet, refs[1]),
            ]
            picture = desk.pictures["1002"]
            assert (picture.dnd, picture.forward_to, picture.forward_mode) == (True, "1003", F.OnBusy)
        off = desks.desk.ask(M.RequestSetDNDOff, ThisDN="1002")
        cancelled = desks.desk.ask(M.RequestCallForwardCancel, ThisDN="1002")
        cluster.settle()
        assert (off.id, cancelled.id) == (M.EventDNDOff, M.EventForwardCancel)
        assert cancelled.text(Attribute.OtherDN) == "1003"
        picture = desks.elsewhere.pictures["1002"]
        assert (picture.dnd, picture.forward_to, picture.forward_mode) == (False, "", 0)
        desks.over()

    def test_who_comes_later_is_told_and_who_asks(self, cluster: Cluster) -> None:
        desks = Desks(cluster)
        desks.desk.ask(M.RequestSetDNDOn, ThisDN="1002")
        desks.forward("1002", "1003", F.OnNoAnswer)
        cluster.settle()
        for node in ("n1", "n2"):
            late = cluster.desktop(node)
            answer = late.ask(M.RequestRegisterAddress, ThisDN="1002")
            pairs = dict(answer.pairs(Attribute.Extensions))
            assert (pairs["dnd"], pairs["fwd"], pairs["fwd-mode"]) == (1, "1003", F.OnNoAnswer)
            asker = cluster.desktop(node)
            status = asker.ask(
                M.RequestQueryAddress, ThisDN="1002", AddressInfoType=AddressInfoType.CallForwardingStatus
            )
            assert status.number(Attribute.AddressInfoStatus) == F.OnNoAnswer
            asker.disconnect()
        monitor = cluster.monitor("n1", "1002")
        assert monitor.pictures["1002"].forward_to == "1003"
        desks.over()

    def test_asking_for_what_is_so_is_no_error(self, cluster: Cluster) -> None:
        desks = Desks(cluster)
        for request, event in (
            (M.RequestSetDNDOff, M.EventDNDOff),
            (M.RequestSetDNDOn, M.EventDNDOn),
            (M.RequestSetDNDOn, M.EventDNDOn),
            (M.RequestCallForwardCancel, M.EventForwardCancel),
        ):
            assert desks.desk.ask(request, ThisDN="1002").id == event
        desks.over()

    def test_what_cannot_be(self, cluster: Cluster) -> None:
        desks = Desks(cluster)

        def code(answer: Message) -> int:
            return answer.number(Attribute.ErrorCode)

        for number in ("4711", "1002", "8000", "x" * 300):
            assert code(desks.forward("1002", number, F.Unconditional)) in (71, 53)
        for mode in (F.None_, F.SendAllCalls, 6):
            assert code(desks.forward("1002", "1003", mode)) == 53  # type: ignore[arg-type]
        desks.forward("1002", "1003", F.OnBusy)
        cancel = desks.desk.ask(M.RequestCallForwardCancel, ThisDN="1002", ForwardMode=F.OnNoAnswer)
        assert code(cancel) == 1161
        cancel = desks.desk.ask(M.RequestCallForwardCancel, ThisDN="1002", ForwardMode=F.OnBusy)
        assert cancel.id == M.EventForwardCancel
        absent = cluster.desktop("n1", "1004")
        assert code(absent.ask(M.RequestSetDNDOn, ThisDN="1004")) == 58
        router = cluster.router("n1", "1002")
        assert code(router.ask(M.RequestSetDNDOn, ThisDN="1002")) == 51
        desks.over()

    def test_it_ends_with_the_ownership(self, cluster: Cluster) -> None:
        desks = Desks(cluster)
        desks.desk.ask(M.RequestSetDNDOn, ThisDN="1002")
        desks.forward("1002", "1003", F.OnBusy)
        desks.forget()
        desks.b.register(expires_s=0)
        cluster.settle(SECOND)
        assert desks.elsewhere.names("1002")[:2] == ["DNDOff", "ForwardCancel"]
        assert not desks.elsewhere.pictures["1002"].dnd
        desks.b.register("n1")
        cluster.settle(SECOND)
        for desk in (desks.desk, desks.elsewhere):
            assert (desk.pictures["1002"].dnd, desk.pictures["1002"].forward_to) == (False, "")
        desks.over()

    def test_it_outlives_a_moment_without_the_coordinator(self, cluster: Cluster) -> None:
        desks = Desks(cluster)
        desks.forward("1002", "1003", F.OnBusy)
        host = cluster.hosts["n2"]
        host.engine = False
        cluster.settle(8 * SECOND)
        host.engine = True
        cluster.settle(8 * SECOND)
        late = cluster.desktop("n1", "1002")
        assert late.pictures["1002"].in_service
        assert late.pictures["1002"].forward_to == "1003"
        desks.over()


class TestNotToBeDisturbed:
    def test_a_caller_hears_busy_and_the_phone_nothing(self, cluster: Cluster) -> None:
        desks = Desks(cluster)
        desks.desk.ask(M.RequestSetDNDOn, ThisDN="1002")
        desks.forget()
        desks.a.call("1002")
        cluster.settle(SECOND)
        assert desks.b.said == []
        assert desks.desk.names("1001") == ["Dialing", "DestinationBusy", "Released"]
        assert desks.desk.names("1002") == []
        desks.over()

    def test_a_router_is_told_and_the_call_waits_on(self, cluster: Cluster) -> None:
        desks = Desks(cluster)
        router = cluster.router("n1", "8001")
        desks.desk.ask(M.RequestSetDNDOn, ThisDN="1002")
        desks.a.call("8001")
        cluster.world.until(lambda: router.of(M.EventRouteRequest))
        conn_id = conn_id_of(router.of(M.EventRouteRequest)[0])
        answer = router.ask(M.RequestRouteCall, ThisDN="8001", ConnID=conn_id, OtherDN="1002")
        assert answer.id == M.EventError
        assert router.ask(M.RequestRouteCall, ThisDN="8001", ConnID=conn_id, OtherDN="1003").id == M.EventRouteUsed
        desks.over()

    def test_it_still_calls_out(self, cluster: Cluster) -> None:
        desks = Desks(cluster)
        desks.desk.ask(M.RequestSetDNDOn, ThisDN="1002")
        desks.b.call("1003")
        cluster.world.until(lambda: desks.c.has("ringing"))
        desks.over()


class TestForwarding:
    def rings_at(self, desks: Desks, there: Phone) -> Message:
        """1001 calls 1002, and the phone rings and answers."""
        desks.forget()
        desks.a.call("1002")
        desks.cluster.world.until(lambda: there.has("ringing"), 60 * SECOND)
        desks.cluster.settle()
        there.answer()
        desks.cluster.settle()
        assert desks.a.leg("talking")
        (ringing,) = desks.desk.of(M.EventRinging, there.number)
        return ringing

    @pytest.mark.parametrize("mode", [F.Unconditional, F.OnBusy, F.OnBusyAndNoAnswer, F.OnNoAnswer])
    def test_the_call_goes_on(self, cluster: Cluster, mode: ForwardMode) -> None:
        desks = Desks(cluster)
        desks.forward("1002", "1003", mode)
        desks.b.on_invite = "486" if mode in (F.OnBusy, F.OnBusyAndNoAnswer) else "ring"
        ringing = self.rings_at(desks, desks.c)
        assert ringing.text(Attribute.OtherDN) == "1001"
        assert ringing.text(Attribute.ThirdPartyDN) == "1002"
        assert ringing.number(Attribute.CallState) == CallState.Forwarded
        assert desks.desk.names("1001") == ["Dialing", "Established"]
        if mode is F.OnNoAnswer:
            assert desks.desk.names("1002") == ["Ringing", "Released"]
            released = desks.desk.of(M.EventReleased, "1002")[0]
            assert released.number(Attribute.CallState) == CallState.Forwarded
            assert released.text(Attribute.ThirdPartyDN) == "1003"
            assert desks.b.said == ["invited", "cancelled"]
        else:
            assert desks.desk.names("1002") == []
        desks.over()

    @pytest.mark.parametrize("mode", [F.OnBusy, F.OnNoAnswer])
    def test_a_phone_that_takes_the_call_keeps_it(self, cluster: Cluster, mode: ForwardMode) -> None:
        desks = Desks(cluster)
        desks.forward("1002", "1003", mode)
        self.rings_at(desks, desks.b)
        desks.over()

    def test_not_to_be_disturbed_is_busy(self, cluster: Cluster) -> None:
        desks = Desks(cluster)
        desks.forward("1002", "1003", F.OnBusy)
        desks.desk.ask(M.RequestSetDNDOn, ThisDN="1002")
        self.rings_at(desks, desks.c)
        assert desks.b.said == []
        desks.over()

    def test_the_other_mode_is_not_meant(self, cluster: Cluster) -> None:
        desks = Desks(cluster)
        desks.forward("1002", "1003", F.OnNoAnswer)
        desks.b.on_invite = "486"
        desks.forget()
        desks.a.call("1002")
        cluster.settle(SECOND)
        assert desks.desk.names("1001") == ["Dialing", "DestinationBusy", "Released"]
        desks.over()

    @pytest.mark.parametrize("mode", [F.Unconditional, F.OnBusy])
    def test_a_ring_of_forwards_ends(self, cluster: Cluster, mode: ForwardMode) -> None:
        desks = Desks(cluster)
        desks.b.on_invite = desks.c.on_invite = "486"
        desks.forward("1002", "1003", mode)
        desks.forward("1003", "1002", mode)
        desks.forget()
        desks.a.call("1002")
        cluster.settle(2 * SECOND)
        assert not desks.a.calls
        assert desks.desk.names("1001")[-1] == "Released"
        desks.over()

    def test_a_call_is_sent_on_five_times(self) -> None:
        cluster = Cluster(phones=9)
        numbers = [str(number) for number in range(1001, 1010)]
        phones = [cluster.phone(number, "n1") for number in numbers]
        desk = cluster.desktop("n2", *numbers)
        for one, other in itertools.pairwise(numbers[1:]):
            asked = desk.ask(M.RequestCallForwardSet, ThisDN=one, OtherDN=other)
            assert asked.number(Attribute.ForwardMode) == F.Unconditional
        phones[0].call("1002")
        cluster.settle(SECOND)
        assert not phones[0].calls
        assert desk.ask(M.RequestCallForwardCancel, ThisDN="1007").id == M.EventForwardCancel
        phones[0].call("1002")
        cluster.world.until(lambda: phones[6].has("ringing"))
        phones[0].hang_up()
        cluster.settle()

    def test_a_caller_that_has_what_the_phone_says_for_good_waits_for_that_phone(self, cluster: Cluster) -> None:
        one, other = phone(cluster, "1001", reliable="supported"), phone(cluster, "1002", reliable="supported")
        third = cluster.phone("1003", "n1")
        desk = cluster.desktop("n2", "1002")
        desk.ask(M.RequestCallForwardSet, ThisDN="1002", OtherDN="1003", ForwardMode=F.OnBusyAndNoAnswer)
        one.call("1002")
        cluster.world.until(lambda: other.has("ringing"))
        other.progress(reliable=True)
        cluster.settle(Limits().ring_us - SECOND)
        assert third.said == []
        assert other.has("ringing")
        cluster.settle(3 * SECOND)
        assert not one.calls
        cluster.settle(40 * SECOND)
        cluster.quiet()

    def test_nobody_is_called_back_by_his_own_call(self, cluster: Cluster) -> None:
        desks = Desks(cluster)
        desks.forward("1002", "1001", F.Unconditional)
        desks.a.call("1002")
        cluster.settle(SECOND)
        assert not desks.a.calls
        assert "invited" not in desks.a.said
        desks.over()

    def test_a_routed_call_is_forwarded_too(self, cluster: Cluster) -> None:
        desks = Desks(cluster)
        router = cluster.router("n1", "8001")
        desks.forward("1002", "1003", F.OnBusy)
        desks.b.on_invite = "486"
        desks.a.call("8001")
        cluster.world.until(lambda: router.of(M.EventRouteRequest))
        conn_id = conn_id_of(router.of(M.EventRouteRequest)[0])
        used = router.ask(M.RequestRouteCall, ThisDN="8001", ConnID=conn_id, OtherDN="1002")
        assert used.id == M.EventRouteUsed
        assert used.text(Attribute.ThirdPartyDN) == "1003"
        assert desks.c.has("ringing")
        desks.over()

    def test_a_programs_call_is_forwarded_too(self, cluster: Cluster) -> None:
        desks = Desks(cluster)
        desks.forward("1002", "1003", F.OnBusy)
        desks.b.on_invite = "486"
        desks.desk.ask(M.RequestMakeCall, ThisDN="1001", OtherDN="1002")
        cluster.world.until(lambda: desks.c.has("ringing"))
        cluster.settle()
        desks.c.answer()
        cluster.settle()
        assert desks.a.leg("talking")
        assert desks.c.leg("talking")
        desks.over()

    def test_to_a_number_that_goes_out_by_the_trunk(self, cluster: Cluster) -> None:
        desks = Desks(cluster)
        outside = cluster.caller()
        assert desks.forward("1002", "9123456", F.Unconditional).id == M.EventForwardSet
        desks.a.call("1002")
        cluster.world.until(lambda: outside.has("ringing"))
        outside.answer()
        cluster.settle()
        assert desks.a.leg("talking")
        desks.over()

    @pytest.mark.parametrize("to", ["1001", "1002"])
    @pytest.mark.parametrize("mode", [F.OnBusy, F.Unconditional])
    @pytest.mark.parametrize("kind", [M.RequestSingleStepTransfer, M.RequestMuteTransfer])
    def test_nobody_is_called_into_a_call_that_he_is_in(
        self, cluster: Cluster, kind: MessageType, mode: ForwardMode, to: str
    ) -> None:
        story = Story(cluster)
        story.c.on_invite = "486"
        story.desk_c.ask(M.RequestCallForwardSet, ThisDN="1003", OtherDN=to, ForwardMode=mode)
        story.forget()
        answer = story.desk_b.ask(kind, ThisDN="1002", ConnID=story.conn_id, OtherDN="1003")
        assert answer.number(Attribute.ErrorCode) in (57, 172)
        cluster.settle(SECOND)
        assert "invited" not in (*story.a.said, *story.b.said)
        assert story.a.leg("talking")
        assert story.b.leg("talking")
        story.over()

    @pytest.mark.parametrize("kind", [M.RequestSingleStepTransfer, M.RequestMuteTransfer, M.RequestInitiateTransfer])
    def test_whoever_is_transferred_to_forwards(self, cluster: Cluster, kind: MessageType) -> None:
        story = Story(cluster)
        d = cluster.phone("1004", "n2")
        story.c.on_invite = "486"
        asked = story.desk_c.ask(
            M.RequestCallForwardSet, ThisDN="1003", OtherDN="1004", ForwardMode=F.OnBusyAndNoAnswer
        )
        assert asked.id == M.EventForwardSet
        answer = story.desk_b.ask(kind, ThisDN="1002", ConnID=story.conn_id, OtherDN="1003")
        assert answer.id in (M.EventReleased, M.EventDialing)
        cluster.world.until(lambda: d.has("ringing"))
        d.answer()
        cluster.settle()
        assert d.leg("talking")
        d.hang_up()
        cluster.settle()
        story.over()
