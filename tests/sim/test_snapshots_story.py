"""A peer that is told of very many DNs over a slow link: as fast as it reads, in order with what happens meanwhile.

And one that is lost: who watches its DNs hears it by parts, and of those that are back before their turn nothing.
"""

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

    def __init__(self, limits: Limits = LIMITS) -> None:
        outside = {dn: {"contact": f"sip:{dn}@192.0.2.200:5060"} for dn in DNS}
        self.cluster = Cluster(2, optimised=False, strict=False, phones=len(DNS), limits=limits, options=outside)
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


AT_ONCE = 10
HIDDEN = ["DNOutOfService", "Registered"]
HIDDEN_AND_BACK = [*HIDDEN, "DNBackInService", "Registered"]


class Lost(Told):
    """A desktop and a monitor at n2 watch all DNs of n1, whose link is lost: they have heard of some, not of all."""

    def __init__(self) -> None:
        super().__init__(msgspec.structs.replace(LIMITS, dns_at_once=AT_ONCE))
        self.owner.ask(MessageType.RequestAgentLogin, ThisDN=DNS[-1], AgentID="a1")
        self.desk = self.watcher(*DNS)
        self.stat = self.cluster.monitor("n2", *DNS)
        self.watchers = (self.desk, self.stat)

    def lose(self) -> None:
        """The link is cut, n2 has told of some DNs that they are out of service, and is late with the others."""
        for client in self.watchers:
            client.forget()
        self.cut("down")
        paced = self.n2.node.t_controller.streams.losing.paced
        self.world.until(lambda: 0 < len(paced) <= len(DNS) - 3 * AT_ONCE, SECOND)
        self.next_deadline = self.n2.node.next_deadline
        self.n2.node.next_deadline = lambda: None  # type: ignore[method-assign]
        self.world.rearm(self.n2)
        self.cluster.settle(50_000)
        assert self.hidden(self.desk) == DNS[: 3 * AT_ONCE]

    def goes_on(self) -> None:
        """n2 does what was due."""
        self.n2.node.next_deadline = self.next_deadline  # type: ignore[method-assign]
        self.world.rearm(self.n2)

    def hidden(self, client: Client) -> list[str]:
        """The DNs that a client was told to be out of service."""
        return [event.text(Attribute.ThisDN) for event in client.of(MessageType.EventDNOutOfService)]

    def comes_back(self) -> None:
        """The link is back, and everybody sees what n1 has."""
        self.cut("up")
        self.world.until(lambda: self.alike() == len(DNS), 10 * SECOND)
        self.cluster.settle(2 * SECOND)
        self.cluster.check()
        assert self.desk.pictures[DNS[-1]].agent_id == self.stat.pictures[DNS[-1]].agent_id


@pytest.fixture
def lost() -> Lost:
    return Lost()


def test_the_dns_of_a_lost_peer_go_out_of_service_by_parts_in_order_and_once_for_each_watcher(lost):
    lost.lose()
    assert not lost.n2.node.t_controller.view(DNS[-1]).in_service
    lost.goes_on()
    lost.cluster.settle()
    for client in lost.watchers:
        assert lost.hidden(client) == DNS
        assert "AgentLogout" not in client.names()
    lost.cluster.clients_agree()
    lost.comes_back()


def test_a_peer_that_is_back_in_the_middle_is_missed_where_it_was_told_and_nowhere_else(lost):
    lost.lose()
    told = lost.hidden(lost.desk)
    lost.cut("up")
    lost.world.until(lambda: lost.n2.node.t_controller.view(DNS[len(DNS) // 2]).in_service, SECOND)
    back = [dn for dn in DNS if lost.n2.node.t_controller.view(dn).in_service]
    assert len(told) < len(back) < len(DNS)
    lost.goes_on()
    lost.comes_back()
    assert lost.hidden(lost.desk) == [dn for dn in DNS if dn in told or dn not in back]
    for dn in DNS:
        assert lost.desk.names(dn) == (HIDDEN_AND_BACK if dn in lost.hidden(lost.desk) else []), dn


def test_what_happens_to_dns_in_the_middle_is_told_after_what_they_were_before(lost):
    asked, left, freed, moved, last = DNS[-5:]
    gws = lost.cluster.desktop("n2", name="GWS", secret="gws")
    lost.owner.ask(MessageType.RequestAgentLogin, ThisDN=freed, AgentID="a2")
    lost.cluster.settle()
    lost.lose()
    late = lost.cluster.desktop("n2", asked, name="Late")
    assert not late.pictures[asked].in_service
    lost.world.until(lambda: lost.desk.names(asked) == HIDDEN)
    assert lost.desk.ask(MessageType.RequestUnregisterAddress, ThisDN=left).id == MessageType.EventUnregistered
    for dn in (freed, moved):
        lost.owner.ask(MessageType.RequestUnregisterAddress, ThisDN=dn)
    lost.world.until(lambda: "AgentLogout" in lost.desk.names(freed) and HIDDEN[0] in lost.desk.names(moved))
    gws.request(MessageType.RequestRegisterAddress, ThisDN=moved)
    lost.world.until(lambda: "DNBackInService" in lost.desk.names(moved))
    assert lost.desk.names(last) == []
    lost.goes_on()
    lost.cluster.settle()
    assert lost.desk.names(freed) == ["DNOutOfService", "AgentLogout", "Registered"]
    assert lost.desk.names(moved)[:2] == HIDDEN
    assert lost.desk.names(moved).count("DNBackInService") == 1
    assert lost.desk.pictures[moved].in_service
    assert lost.desk.names(last) == HIDDEN
    assert "DNOutOfService" not in lost.desk.names(left)
    assert late.names() == []
    lost.cluster.clients_agree()
    lost.cut("up")
    lost.cluster.settle(5 * SECOND)
    lost.cluster.check()
