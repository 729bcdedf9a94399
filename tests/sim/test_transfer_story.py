"""Transfers that phones make, told as stories: who called whom, who was handed on, and what everybody saw of it."""

import pytest

from tests.sim.actors import Client, Phone
from tests.sim.cluster import Cluster, conn_id_of
from tests.sim.world import SECOND
from tlib_proto import Attribute, CallState, CallType, DNRole, Message, MessageType

M = MessageType


@pytest.fixture(params=[True, False], ids=["optimised", "to all"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    return Cluster(optimised=request.param)


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


BY_1002 = ("1002", int(DNRole.TransferredBy), int(CallState.Transferred))


class Story:
    """1001 on n1 talks to 1002 on n2, who may hand it on to 1003 on n1; a desktop at each."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.a, self.b = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
        self.c = cluster.phone("1003", "n1")
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
        assert story.b.said == ["refer 202", "report 100", "report 180"]
        assert story.desk_c.names() == ["Ringing"]
        assert story.desk_b.names() == story.desk_a.names() == []
        story.c.answer()
        cluster.settle()
        assert story.b.said == ["refer 202", "report 100", "report 180", "report 200", "refer over terminated"]
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
