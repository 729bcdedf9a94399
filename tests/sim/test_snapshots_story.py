"""A peer that is told of very many DNs over a slow link: as fast as it reads, in order with what happens meanwhile."""

from __future__ import annotations

import msgspec
import pytest

from cluster_core.inputs import Operator
from cluster_core.limits import Limits
from cluster_core.settings import ClientRole
from tests.sim.actors import Client
from tests.sim.cluster import Cluster
from tests.sim.world import SECOND, Host, Stream, seen
from tlib_proto import Attribute, MessageType

DNS = [str(number) for number in range(1001, 1101)]
PIECE, HIGH, LOW, RATE = 1_000, 3_000, 0, 10_000
LIMITS = msgspec.structs.replace(Limits(), snapshot_bytes_at_once=PIECE)


class Told:
    """n1 owns a hundred DNs by an application; n2 is told of all of them by a link that is slow one way."""

    def __init__(self) -> None:
        outside = {dn: {"contact": f"sip:{dn}@192.0.2.200:5060"} for dn in DNS}
        self.cluster = Cluster(2, optimised=False, strict=False, phones=len(DNS), limits=LIMITS, options=outside)
        self.world = self.cluster.world
        self.world.wires.marks = (LOW, HIGH)
        self.owner = self.cluster.desktop("n1", *DNS, name="GWS", secret="gws")
        self.cluster.settle()
        self.n1, self.n2 = self.cluster.hosts["n1"], self.cluster.hosts["n2"]
        assert self.alike() == len(DNS)

    def cut(self, state: str) -> None:
        """An operator cuts the link or mends it."""
        for host, peer in ((self.n1, "n2"), (self.n2, "n1")):
            host.give(Operator("link", (peer, state)))

    def slowly(self) -> None:
        """The link is cut and back, and n2 has read some of what n1 tells, but far from all."""
        self.cut("down")
        self.cluster.settle(SECOND)
        self.world.wires.slow["n1", "n2"] = RATE
        self.cut("up")
        self.world.until(lambda: 10 < self.alike() < len(DNS) // 2)

    def untold(self) -> list[str]:
        """What n1 has still to tell n2, in the order in which it will."""
        return list(self.n1.node.t_controller.links.peers["n2"].untold)

    def link(self) -> Stream:
        """The connection on which n1 tells n2."""
        conn = self.n1.node.t_controller.links.peers["n2"].served
        return self.n1.streams[conn][0]

    def alike(self) -> int:
        """How many DNs n2 knows as n1 has them."""
        pictures = [self.pictures(dn) for dn in DNS]
        return sum(mine == theirs for mine, theirs in pictures)

    def pictures(self, dn: str) -> tuple[object, object]:
        """What n1 has of a DN, and what n2 knows."""

        def of(host: Host) -> object:
            return seen(host.node.t_controller.view(dn))

        return of(self.n1), of(self.n2)

    def comes_to_rest(self) -> None:
        """All is told, and n2 knows what n1 has."""
        self.world.until(lambda: not self.untold() and not self.link().queued[1], 60 * SECOND)
        self.cluster.settle()
        assert [pair for dn in DNS if (pair := self.pictures(dn))[0] != pair[1]] == []
        self.cluster.check(agree=False)

    def watcher(self, *dns: str) -> Client:
        """A desktop at n2 that watches DNs of n1."""
        desk = self.cluster.client("Desk", ClientRole.DESKTOP, "n2")
        desk.register(*dns)
        desk.forget()
        return desk


@pytest.fixture
def told() -> Told:
    return Told()


def test_the_queue_of_a_slow_link_holds_one_part_more_than_its_mark(told):
    told.slowly()
    told.comes_to_rest()
    assert told.link().high[1] is False
    assert HIGH < told.link().most_queued[1] <= HIGH + 2 * PIECE


def test_a_link_that_is_fast_is_told_all_at_once(told):
    told.cut("down")
    told.cluster.settle(SECOND)
    told.cut("up")
    told.world.until(lambda: told.alike() == len(DNS), SECOND)


def test_what_happens_to_a_dn_that_was_told_comes_as_an_event_and_to_another_with_its_picture(told):
    first, last = DNS[0], DNS[-1]
    desk = told.watcher(first, last)
    told.slowly()
    assert last in told.untold()
    assert first not in told.untold()
    desk.forget()
    for dn in (last, first):
        told.owner.ask(MessageType.RequestAgentLogin, ThisDN=dn, AgentID=f"a{dn}")
    assert last in told.untold()
    told.comes_to_rest()
    assert desk.names(first)[:2] == ["AgentLogin", "AgentNotReady"]
    assert desk.names(last)[-3:] == ["AgentLogin", "AgentNotReady", "Registered"]
    desk.check()


def test_dns_that_are_given_up_and_gained_meanwhile_end_up_as_they_are(told):
    told.slowly()
    gone, moved = told.untold()[-1], told.untold()[-2]
    for dn in (gone, moved, DNS[0]):
        told.owner.ask(MessageType.RequestUnregisterAddress, ThisDN=dn)
    told.cluster.settle(100_000)
    told.owner.register(moved)
    told.comes_to_rest()
    assert told.cluster.owner(moved) == "n1"
    assert told.cluster.owner(gone) is told.cluster.owner(DNS[0]) is None


def test_a_link_that_is_cut_and_back_in_the_middle_begins_anew(told):
    told.slowly()
    left = told.untold()
    told.cut("down")
    assert told.untold() == []
    for dn in (DNS[0], left[0], left[-1]):
        told.owner.ask(MessageType.RequestAgentLogin, ThisDN=dn, AgentID=f"a{dn}")
    told.owner.ask(MessageType.RequestUnregisterAddress, ThisDN=DNS[1])
    told.cluster.settle(SECOND)
    told.cut("up")
    told.world.until(told.untold, SECOND)
    told.comes_to_rest()


def test_a_silent_cut_in_the_middle_loses_nothing_for_good(told):
    desk = told.watcher(DNS[0], DNS[-1])
    told.slowly()
    told.world.cut("n1", "n2", silent=True)
    told.owner.ask(MessageType.RequestAgentLogin, ThisDN=DNS[-1], AgentID="late")
    told.cluster.settle(6 * SECOND)
    told.world.heal("n1", "n2")
    told.world.until(told.untold, 5 * SECOND)
    told.comes_to_rest()
    assert desk.pictures[DNS[-1]].agent_id == "late"
    desk.check()


def test_interest_in_very_many_dns_is_answered_by_parts_too():
    outside = {dn: {"contact": f"sip:{dn}@192.0.2.200:5060"} for dn in DNS}
    cluster = Cluster(2, strict=False, phones=len(DNS), limits=LIMITS, options=outside)
    cluster.world.wires.marks = (LOW, HIGH)
    cluster.desktop("n1", *DNS[::2], name="GWS", secret="gws")
    desk = cluster.client("Desk", ClientRole.DESKTOP, "n2")
    cluster.world.wires.slow["n1", "n2"] = RATE
    refs = [desk.request(MessageType.RequestRegisterAddress, ThisDN=dn) for dn in DNS]
    peer = cluster.hosts["n1"].node.t_controller.links.peers["n2"]
    stream = cluster.hosts["n1"].streams[peer.served][0]
    cluster.world.until(lambda: len(peer.untold) > 20)
    # who waits for the picture is not kept waiting for long
    cluster.world.until(lambda: all(ref in desk.answers for ref in refs), SECOND)
    cluster.world.until(lambda: not peer.untold and not stream.queued[1], 60 * SECOND)
    cluster.settle()
    assert stream.most_queued[1] <= HIGH + 2 * PIECE
    assert [dn for dn in DNS if desk.pictures[dn].in_service] == DNS[::2]
    assert all(desk.pictures[dn].source == "n1" for dn in DNS[::2])
    assert Attribute.ThisDN in desk.answers[refs[0]].attributes
    cluster.check(agree=False)
