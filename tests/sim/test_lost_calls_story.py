"""Calls whose node is gone, told as stories: who hears when, and how, that they are over or go on after all.

In each, phone 1001 called phone 1002 by way of n1, n2 owns 1002, and n3 has only watchers.
"""

import msgspec
import pytest

from cluster_core.inputs import Operator
from cluster_core.limits import Limits
from tests.sim.actors import Client, Phone
from tests.sim.cluster import Cluster
from tests.sim.world import SECOND
from tlib_proto import Attribute, CallState, DNRole, Message, MessageType, PartyState

M = MessageType
LEASE = 7 * SECOND
"""A membership's 5 s, the second until the others ask again, and what it takes to say so."""


class Scene:
    """The call, and who watches 1002: desktops at its owner and elsewhere, and a monitor."""

    def __init__(self, *, optimised: bool, limits: Limits | None = None) -> None:
        self.cluster = Cluster(3, optimised=optimised, limits=limits)
        self.world = self.cluster.world
        self.one, self.other = self.cluster.phone("1001", "n1"), self.cluster.phone("1002", "n2")
        self.near, self.far = self.cluster.desktop("n2", "1002"), self.cluster.desktop("n3", "1002")
        self.watchers = (self.near, self.far, self.cluster.monitor("n3", "1002"))
        self.conn_id = self.talk(self.one)

    def talk(self, caller: Phone) -> int:
        """A call to 1002 that is answered; returns its ConnID."""
        known = set(self.near.pictures["1002"].calls)
        caller.call("1002")
        self.world.until(lambda: self.other.has("ringing"))
        self.cluster.settle()
        self.other.answer()
        self.cluster.settle()
        [conn_id] = set(self.near.pictures["1002"].calls) - known
        self.forget()
        return conn_id

    def forget(self) -> None:
        for client in self.watchers:
            client.forget()

    def shows(self, state: PartyState | None, conn_id: int = 0) -> bool:
        """Whether every watcher shows the call in that state, or not at all."""
        calls = [client.pictures["1002"].calls.get(conn_id or self.conn_id) for client in self.watchers]
        return all(call is None if state is None else call is not None and call.state == state for call in calls)

    def released(self, client: Client) -> list[Message]:
        return client.of(M.EventReleased, "1002")

    def lost_once(self) -> bool:
        """Whether each watcher was told once that the call is lost, and nothing else of it."""
        return all(
            [(e.number(Attribute.ConnID), e.number(Attribute.CallState)) for e in self.released(client)]
            == [(self.conn_id, CallState.SystemError)]
            for client in self.watchers
        )


@pytest.fixture(params=[True, False], ids=["optimised", "to all"])
def scene(request: pytest.FixtureRequest) -> Scene:
    return Scene(optimised=request.param)


def test_the_calls_of_a_node_that_never_returns_are_released_when_its_membership_is_over(scene: Scene) -> None:
    scene.cluster.hosts["n1"].crash()
    scene.cluster.settle(3 * SECOND)
    assert scene.shows(PartyState.Connected)
    assert not any(map(scene.released, scene.watchers))
    scene.cluster.settle(LEASE)
    assert scene.shows(None)
    assert scene.lost_once()
    event = scene.released(scene.near)[0]
    assert event.number(Attribute.ThisDNRole) == DNRole.Unknown
    assert event.text(Attribute.OtherDN) == "1001"
    assert event.number(Attribute.CallID) == scene.conn_id & 0xFFFF_FFFF
    assert all(client.pictures["1002"].in_service for client in scene.watchers)
    scene.cluster.settle(60 * SECOND)
    assert scene.lost_once()
    scene.cluster.check()


def test_a_node_that_stops_takes_its_calls_with_it_as_soon_as_the_others_ask(scene: Scene) -> None:
    scene.cluster.hosts["n1"].give(Operator("stop"))
    scene.cluster.settle(SECOND // 100)
    scene.cluster.hosts["n1"].crash()
    scene.cluster.settle(2 * SECOND)
    assert scene.shows(None)
    assert all(len(scene.released(client)) == 1 for client in scene.watchers)


def test_a_silent_cut_ends_no_call_of_a_node_that_is_a_member(scene: Scene) -> None:
    scene.world.cut("n1", "n2", silent=True)
    scene.cluster.settle(30 * SECOND)
    assert scene.shows(PartyState.Connected)
    assert not any(map(scene.released, scene.watchers))
    scene.world.heal("n1", "n2")
    scene.world.until(scene.cluster.connected)
    scene.cluster.settle(2 * SECOND)
    assert scene.shows(PartyState.Connected)
    assert not any(map(scene.released, scene.watchers))
    scene.one.hang_up()
    scene.cluster.settle()
    assert [e.number(Attribute.CallState) for e in scene.released(scene.near)] == [CallState.Ok]
    assert scene.shows(None)
    scene.cluster.check()


def test_a_node_that_dies_behind_a_silent_cut_is_missed_all_the_same(scene: Scene) -> None:
    scene.world.cut("n1", "n2", silent=True)
    scene.cluster.hosts["n1"].crash()
    scene.cluster.settle(LEASE)
    assert scene.shows(None)
    assert scene.lost_once()


def test_a_node_that_is_back_at_once_and_empty_has_lost_its_calls_then(scene: Scene) -> None:
    scene.cluster.hosts["n1"].crash()
    scene.cluster.settle()
    scene.cluster.hosts["n1"].start()
    scene.world.until(scene.cluster.connected)
    scene.cluster.settle()
    assert scene.shows(None)
    assert scene.lost_once()
    scene.cluster.settle(2 * LEASE)
    assert scene.lost_once()
    scene.cluster.check()


def test_a_node_that_is_back_after_its_membership_says_no_more_of_them(scene: Scene) -> None:
    scene.cluster.hosts["n1"].crash()
    scene.cluster.settle(2 * LEASE)
    scene.cluster.hosts["n1"].start()
    scene.world.until(scene.cluster.connected)
    scene.cluster.settle(2 * SECOND)
    assert scene.lost_once()
    scene.one.calls.clear()
    scene.other.calls.clear()
    scene.one.register()
    scene.cluster.settle()
    again = scene.talk(scene.one)
    assert scene.shows(PartyState.Connected, again)
    scene.cluster.check()


def test_a_node_that_comes_and_goes_before_it_told_its_calls_has_lost_them(scene: Scene) -> None:
    scene.cluster.hosts["n1"].crash()
    scene.cluster.settle()
    scene.cluster.hosts["n1"].start()
    scene.world.until(lambda: scene.cluster.hosts["n2"].node.t_controller.owned.doubts("n1"))
    scene.world.cut("n1", "n2")
    assert scene.shows(PartyState.Connected)
    scene.cluster.settle(2 * LEASE)
    assert scene.shows(None)
    assert scene.lost_once()
    scene.world.heal("n1", "n2")
    scene.world.until(scene.cluster.connected)
    scene.cluster.settle(2 * SECOND)
    assert scene.lost_once()
    scene.cluster.check()


def test_a_new_membership_ends_no_call_that_goes_on(scene: Scene) -> None:
    scene.cluster.hosts["n1"].engine = False
    scene.cluster.settle(2 * LEASE)
    assert scene.shows(PartyState.Connected)
    scene.cluster.hosts["n1"].engine = True
    scene.cluster.settle(5 * SECOND)
    assert scene.shows(PartyState.Connected)
    assert not any(map(scene.released, scene.watchers))
    scene.other.hang_up()
    scene.cluster.settle()
    assert all(len(scene.released(client)) == 1 for client in scene.watchers)
    scene.cluster.check()


def test_of_two_calls_only_the_one_that_ended_meanwhile_is_over_after_a_new_membership(scene: Scene) -> None:
    third = scene.cluster.phone("1003", "n1")
    scene.other.hold()
    scene.cluster.settle()
    second = scene.talk(third)
    scene.cluster.hosts["n1"].engine = False
    scene.cluster.settle(5 * SECOND)
    scene.world.cut("n1", "n2")
    scene.cluster.settle(SECOND // 10)
    third.hang_up()
    scene.world.heal("n1", "n2")
    scene.cluster.hosts["n1"].engine = True
    scene.cluster.settle(5 * SECOND)
    assert scene.shows(PartyState.Held)
    assert scene.shows(None, second)
    scene.cluster.check()


def test_a_call_that_was_given_up_too_early_is_shown_again(scene: Scene) -> None:
    scene.cluster.hosts["n1"].engine = False
    scene.world.cut("n1", "n2", silent=True)
    scene.cluster.settle(2 * LEASE)
    assert scene.near.pictures["1002"].calls == {}
    assert [e.number(Attribute.CallState) for e in scene.released(scene.near)] == [CallState.SystemError]
    scene.world.heal("n1", "n2")
    scene.cluster.hosts["n1"].engine = True
    scene.world.until(scene.cluster.connected)
    scene.cluster.settle(5 * SECOND)
    assert scene.shows(PartyState.Connected)
    scene.forget()
    scene.one.hang_up()
    scene.cluster.settle()
    assert all([e.number(Attribute.CallState) for e in scene.released(client)] == [0] for client in scene.watchers)
    scene.cluster.check()


def test_very_many_lost_calls_are_released_by_parts_and_those_of_a_dn_given_up_meanwhile_with_it():
    scene = Scene(optimised=True, limits=msgspec.structs.replace(Limits(), dns_at_once=1))
    third = scene.cluster.phone("1003", "n2")
    desk = scene.cluster.desktop("n2", "1003", name="Desk3")
    caller = scene.cluster.phone("1004", "n1")
    caller.call("1003")
    scene.world.until(lambda: third.has("ringing"))
    scene.cluster.settle()
    third.answer()
    scene.cluster.settle()
    desk.forget()
    node = scene.cluster.hosts["n2"].node
    ending = node.t_controller.owned.ending
    scene.cluster.hosts["n1"].crash()
    scene.world.until(lambda: len(ending) == 1, LEASE)
    next_deadline = node.next_deadline
    node.next_deadline = lambda: None  # type: ignore[method-assign]
    scene.world.rearm(scene.cluster.hosts["n2"])
    third.register(expires_s=0)
    scene.world.until(lambda: scene.cluster.owner("1003") is None)
    node.next_deadline = next_deadline  # type: ignore[method-assign]
    scene.world.rearm(scene.cluster.hosts["n2"])
    scene.cluster.settle()
    assert len(ending) == 0
    assert scene.lost_once()
    assert desk.pictures["1003"].calls == {}
    assert not desk.of(M.EventReleased)
    scene.cluster.check()
