"""Reporting, told as stories: who is cut off misses nothing, two share the load, one that dies is replaced."""

from __future__ import annotations

import sys

import msgspec
import pytest

from cluster_core.limits import Limits
from cluster_core.settings import ClientRole
from tests.sim.actors import Client
from tests.sim.cluster import Cluster, conn_id_of
from tests.sim.transfer_cast import Story, talks
from tests.sim.world import MILLISECOND, SECOND
from tlib_proto import Attribute, Message, MessageType

M = MessageType
WARM, CALLS = 120, 360


class Icon:
    """A reporting client that notes what it heard over all its connections."""

    def __init__(self, cluster: Cluster, node: str = "n1", name: str = "icon") -> None:
        self.cluster, self.name = cluster, name
        self.heard: list[Message] = []
        self.client: Client = cluster.client("ICON", ClientRole.REPORTING, node)
        self.status = self._open()

    def take(self) -> list[Message]:
        taken = [event for event in self.client.events if not event.ref]
        self.heard += taken
        self.client.forget()
        return taken

    def names(self) -> list[str]:
        return [event.name.removeprefix("Event") for event in self.take()]

    def go(self) -> None:
        self.take()
        self.client.disconnect()

    def back(self) -> str:
        """Connect again and go on behind the last event; what the server says of the session."""
        self.client.connect()
        self.cluster.world.until(lambda: self.client.linked is not None)
        self.status = self._open()
        return str(self.status["session-status"])

    def _open(self) -> dict[str, object]:
        pairs = [("SessionId", self.name)]
        if self.heard:
            pairs.append(("SequenceId", place(self.heard[-1])))
        answer = self.client.ask(M.RequestPrivateService, PrivateMsgID=1, Extensions=tuple(pairs))
        assert answer.id == M.EventACK, answer
        return dict(answer.pairs(Attribute.Extensions))


def place(event: Message) -> str:
    return str(dict(event.pairs(Attribute.Extensions))["SequenceId"])


def gist(event: Message) -> tuple[object, ...]:
    """What an event says, but for when it left."""
    dropped = (Attribute.EventSequenceNumber, Attribute.TimeinSecs, Attribute.TimeinuSecs)
    return event.id, {key: value for key, value in event.attributes.items() if key not in dropped}


def limited(**limits: int) -> Limits:
    return msgspec.structs.replace(Limits(), **limits)


def a_call(cut_at: int | None) -> list[Message]:
    """A call by a Routing Point with data and a hold; reporting is away for three steps from the one named."""
    cluster = Cluster(seed=7)
    agent, caller = cluster.phone("1002", "n2"), cluster.caller()
    router, desk = cluster.router("n1", "8000"), cluster.desktop("n2", "1002")
    icon = Icon(cluster)

    def conn_id() -> int:
        return conn_id_of(router.of(M.EventRouteRequest)[0])

    steps = [
        lambda: caller.call("8000"),
        lambda: router.ask(M.RequestRouteCall, ThisDN="8000", ConnID=conn_id(), OtherDN="1002"),
        lambda: agent.answer(),
        lambda: desk.attach("1002", conn_id(), ("segment", "gold")),
        lambda: desk.ask(M.RequestHoldCall, ThisDN="1002", ConnID=conn_id()),
        lambda: desk.ask(M.RequestRetrieveCall, ThisDN="1002", ConnID=conn_id()),
        lambda: caller.hang_up(),
    ]
    for number, step in enumerate(steps):
        if number == cut_at:
            icon.go()
        # the other clients of the story see the same times, whatever reporting does
        if cut_at is not None and number == cut_at + 3:
            assert icon.back() == "resumed"
        step()
        cluster.settle(SECOND)
    if icon.client.ended:
        assert icon.back() == "resumed"
    cluster.settle(SECOND)
    icon.take()
    cluster.check()
    return icon.heard


@pytest.fixture(scope="module")
def uncut() -> list[tuple[object, ...]]:
    return [gist(event) for event in a_call(None)]


@pytest.mark.parametrize("cut_at", range(7))
def test_a_cut_in_the_middle_loses_nothing_and_repeats_nothing(cut_at: int, uncut: list[tuple[object, ...]]) -> None:
    heard = a_call(cut_at)
    places = [int(place(event)) for event in heard]
    assert places == list(range(places[0], places[0] + len(places)))

    def plain(told: tuple[object, ...]) -> tuple[object, ...]:
        kind, attributes = told
        assert isinstance(attributes, dict)
        return kind, {key: value for key, value in attributes.items() if key != Attribute.Extensions}

    assert [plain(gist(event)) for event in heard] == [plain(told) for told in uncut]
    assert [event.name for event in heard][:1] == ["EventCallCreated"]
    assert [event.name for event in heard][-1:] == ["EventCallDeleted"]


class TestInteractions:
    def test_a_consultation_dialled_on_the_phone_is_heard_where_its_call_is(self) -> None:
        cluster = Cluster()
        icons = [Icon(cluster, name=name) for name in ("one", "two")]
        story = Story(cluster, "n1")
        story.b.hold("sendonly", story.leg_b)
        cluster.settle()
        consult = talks(cluster, story.b, story.c)
        story.b.transfer("1003", story.leg_b, to_leg=consult)
        cluster.settle()
        told = sorted((icon.take() for icon in icons), key=len)
        assert told[0] == []
        deleted = [event for event in told[1] if event.id == M.EventCallDeleted]
        assert len({conn_id_of(event) for event in told[1]}) == 2
        assert deleted[0].text(Attribute.RefCallUUID)
        story.over()

    def test_two_interactions_that_become_one_go_on_where_the_call_goes_on(self) -> None:
        cluster = Cluster(phones=5)
        icons = [Icon(cluster, name=name) for name in ("one", "two")]
        story = Story(cluster, "n1")
        fourth = cluster.phone("1004", "n1")
        story.b.hold("sendonly", story.leg_b)
        cluster.settle()
        talks(cluster, fourth, story.b)
        second = next(leg for leg, state in story.b.calls.items() if leg != story.leg_b and state == "talking")
        first_told, second_told = (icon.take() for icon in icons)
        assert {conn_id_of(event) for event in first_told} == {story.conn_id}
        (other,) = {conn_id_of(event) for event in second_told}
        story.b.transfer("1004", story.leg_b, to_leg=second)
        cluster.settle()
        loses = icons[1].take()
        assert [event.name for event in loses][-1] == "EventCallDeleted"
        assert ("moved", 1) in loses[-1].pairs(Attribute.Extensions)
        assert loses[-1].text(Attribute.RefCallUUID) == first_told[0].text(Attribute.CallUUID)
        gets = icons[0].take()
        of_other = [event for event in gets if conn_id_of(event) == other]
        assert [event.name for event in of_other] == ["EventCallCreated", "EventCallDeleted"]
        assert ("snapshot", 1) in of_other[0].pairs(Attribute.Extensions)
        changed = next(event for event in gets if event.number(Attribute.PreviousConnID) == other)
        assert gets.index(of_other[0]) < gets.index(changed) < gets.index(of_other[1])
        assert not icons[1].take()
        fourth.hang_up()
        story.over()
        assert [event.name for event in icons[0].take()][-1] == "EventCallDeleted"
        assert icons[1].take() == []

    def test_two_interactions_of_one_session_that_become_one_die_as_one(self) -> None:
        cluster = Cluster(phones=5, limits=limited(backlog_us=5 * SECOND))
        icon = Icon(cluster)
        story, fourth = Story(cluster, "n1"), cluster.phone("1004", "n1")
        story.b.hold("sendonly", story.leg_b)
        cluster.settle()
        talks(cluster, fourth, story.b)
        second = next(leg for leg, state in story.b.calls.items() if leg != story.leg_b and state == "talking")
        icon.take()
        story.b.transfer("1004", story.leg_b, to_leg=second)
        cluster.settle()
        told = icon.take()
        assert [event for event in told if event.id in (M.EventCallCreated, M.EventCallDeleted)] == [told[-1]]
        assert ("moved", 1) not in told[-1].pairs(Attribute.Extensions)
        spare = Icon(cluster, name="spare")
        icon.go()
        cluster.settle(6 * SECOND)
        assert {conn_id_of(event) for event in spare.take()} == {story.conn_id}
        fourth.hang_up()
        story.over()

    def test_a_consultation_moves_with_its_call_when_their_session_dies(self) -> None:
        cluster = Cluster(limits=limited(backlog_us=5 * SECOND))
        icons = [Icon(cluster, name=name) for name in ("one", "two")]
        story = Story(cluster, "n1")
        story.b.hold("sendonly", story.leg_b)
        cluster.settle()
        talks(cluster, story.b, story.c)
        busy, idle = icons if icons[0].take() else icons[::-1]
        assert idle.take() == []
        busy.go()
        cluster.settle(6 * SECOND)
        shown = idle.take()
        assert [event.name for event in shown] == ["EventCallCreated"] * 2
        assert conn_id_of(shown[0]) == story.conn_id
        dns = [value for event in shown for key, value in event.pairs(Attribute.Extensions) if key.startswith("dn-")]
        assert dns == ["1001", "1002", "1002", "1003"]
        story.over()
        assert idle.names().count("CallDeleted") == 2
        assert busy.back() == "new"

    def test_a_consultation_of_a_program_says_in_the_picture_whose_it_is(self) -> None:
        cluster = Cluster()
        story = Story(cluster, "n1")
        asked = story.desk_b.ask(M.RequestInitiateTransfer, ThisDN="1002", ConnID=story.conn_id, OtherDN="1003")
        assert asked.id == M.EventDialing
        cluster.settle()
        icon = Icon(cluster)
        cluster.settle()
        assert icon.status["events-in-snapshot"] == 2
        _, consult = icon.take()
        assert ("main", f"{story.conn_id:016x}") in consult.pairs(Attribute.Extensions)
        story.over()


class TestWhatDies:
    def test_the_rest_of_a_dead_ones_calls_is_told_to_the_other(self) -> None:
        cluster = Cluster(limits=limited(backlog_us=5 * SECOND))
        one, two = Icon(cluster, name="one"), Icon(cluster, name="two")
        first, second = Story(cluster, "n1"), cluster.phone("1004", "n1")
        second.call("8000")
        cluster.settle()
        told = {icon.name: {conn_id_of(event) for event in icon.take()} for icon in (one, two)}
        dead, lives = (one, two) if told["one"] == {first.conn_id} else (two, one)
        dead.go()
        cluster.settle(4 * SECOND)
        assert lives.take() == []
        cluster.settle(2 * SECOND)
        (shown,) = lives.take()
        assert conn_id_of(shown) == first.conn_id
        assert cluster.hosts["n1"].faults[-1].kind == "reporting-session-over"
        first.a.hang_up()
        cluster.settle()
        assert {conn_id_of(event) for event in lives.take()} == {first.conn_id}
        assert dead.back() == "new"

    def test_a_server_that_starts_anew_says_so_and_its_numbers_are_later_ones(self) -> None:
        cluster = Cluster()
        icon = Icon(cluster)
        cluster.caller().call("8000")
        cluster.settle()
        icon.take()
        last = icon.heard[-1]
        host = cluster.hosts["n1"]
        host.crash()
        cluster.settle()
        host.start()
        cluster.world.until(cluster.connected)
        assert icon.back() == "new"
        cluster.phones["trunk"].call("8000")
        cluster.settle()
        assert int(place(icon.take()[0])) > int(place(last))


def test_nothing_of_many_calls_stays_beyond_what_is_to_be_kept() -> None:
    cluster = Cluster(1, strict=False, limits=limited(backlog_events=200))
    icons = [Icon(cluster, name=name) for name in ("one", "two")]
    cluster.router("n1", "8001")
    caller = cluster.caller()

    def calls(first: int, last: int) -> None:
        for number in range(first, last):
            caller.call("8001")
            cluster.settle(20 * MILLISECOND)
            caller.hang_up()
            cluster.settle(20 * MILLISECOND)
            if number % 20 == 10:
                icons[0].go()
            if number % 20 == 15:
                assert icons[0].back() == "resumed"
            for actor in (*cluster.clients, caller):
                actor.forget()
        for icon in icons:
            icon.heard[:-1] = []
            icon.client.asked.clear()
            icon.client.answers.clear()
        cluster.settle(40 * SECOND)

    calls(0, WARM)
    cluster.quiet()
    blocks = sys.getallocatedblocks()
    calls(WARM, CALLS)
    cluster.quiet()
    cluster.check()
    assert cluster.hosts["n1"].node.status()["reporting"]["events"] <= 400  # type: ignore[index]
    grown = sys.getallocatedblocks() - blocks
    assert grown < 1_500, f"{grown} blocks of memory more than after {WARM} calls"
