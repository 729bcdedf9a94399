"""DNs by the hundred thousand, here by the hundred: no step is dearer the more there are, and none does all of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import msgspec
import pytest

from cluster_core.coordinator_records import ClaimMany, Leave, Question
from cluster_core.inputs import AnyInput, Operator, Received
from cluster_core.outputs import AnyOutput, Ask
from cluster_core.settings import ClientRole, ClientSettings, ClusterOptions, DnSettings, DnType
from tests.cluster_core.alone import CLIENTS, Alone, Program, settings
from tests.sim.cluster import Cluster, hashed
from tlib_proto import Attribute, Hello, Message, MessageType, Write

AT_ONCE = 20
SECOND = 1_000_000


def steps_of(what: Callable[[], None]) -> int:
    """The steps of the interpreter that something takes."""
    steps = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal steps
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        steps += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        what()
    finally:
        sys.settrace(before)
    return steps


class Counted(Alone):
    """A node whose work is counted: the steps of the interpreter, of each input and in all."""

    def __init__(self, count: int) -> None:
        self.dns_all = [str(5_000 + number) for number in range(count)]
        dns = {dn: DnSettings(dn=dn, type=DnType.EXTENSION, contact=f"sip:{dn}@192.0.2.9") for dn in self.dns_all}
        owners = tuple(ClientSettings(name=f"GWS{n}", role=ClientRole.DESKTOP, secret=hashed("gws")) for n in (1, 2))
        self.asked: list[Question] = []
        self.counting = False
        self.steps: list[int] = []
        super().__init__(
            dns=dns,
            clients=(*CLIENTS, *owners),
            options=ClusterOptions(dn_owner_applications=("GWS1", "GWS2"), smart_proxy_enabled=True),
            limits=msgspec.structs.replace(settings().limits, dns_at_once=AT_ONCE),
        )
        handle = self.node.handle

        def counted(now: int, given: AnyInput, out: list[AnyOutput]) -> None:
            count = steps_of(lambda: handle(now, given, out)) if self.counting else handle(now, given, out)
            self.steps.append(count or 0)
            self.asked += [output.what for output in out if isinstance(output, Ask)]

        self.node.handle = counted  # type: ignore[method-assign]

    def owner(self, name: str = "GWS1") -> Program:
        """An application that registers every DN, in a few writes, and so owns them all."""
        program = self.program(name, ClientRole.DESKTOP, "tcontroller", hello=Hello(name, "desktop", "gws"))
        out: list[Any] = []
        for dn in self.dns_all:
            about = Message(MessageType.RequestRegisterAddress, 0, {Attribute.ThisDN: dn})
            program.session.request(self.now, about, out)
        frames = [record.data for record in out if isinstance(record, Write)]
        for at in range(0, len(frames), AT_ONCE):
            self.give(Received(program.conn, b"".join(frames[at : at + AT_ONCE])))
        return program

    def owned(self) -> list[str]:
        """The DNs that the coordinator knows as this node's."""
        return [dn for dn in self.dns_all if self.coordinator.owner(dn) is not None]

    def work(self, what: Callable[[], object]) -> tuple[int, int]:
        """The steps of all inputs, and of the one that took most."""
        self.steps.clear()
        self.counting = True
        what()
        self.counting = False
        return sum(self.steps), max(self.steps)


def claimed(count: int) -> tuple[int, int]:
    alone = Counted(count)
    return alone.work(alone.owner)


def gone(count: int) -> tuple[int, int]:
    alone = Counted(count)
    owner = alone.owner()
    found = alone.work(lambda: (owner.hang_up(), alone.run(SECOND // 2)))
    assert alone.owned() == []
    return found


def fenced(count: int) -> tuple[int, int]:
    alone = Counted(count)
    alone.owner()
    alone.answering = False
    found = alone.work(lambda: alone.run(6 * SECOND))
    assert not alone.node.t_controller.ownership.acting
    return found


def back(count: int) -> tuple[int, int]:
    alone = Counted(count)
    alone.owner()
    alone.answering = False
    alone.run(6 * SECOND)
    alone.answering = True
    found = alone.work(lambda: alone.run(3 * SECOND))
    assert all(alone.node.store.get("dns", dn).in_service for dn in alone.dns_all)
    return found


def stopped(count: int) -> tuple[int, int]:
    alone = Counted(count)
    alone.owner()
    found = alone.work(lambda: (alone.give(Operator("stop")), alone.run(SECOND)))
    assert alone.owned() == []
    return found


def a_lost_peer(count: int) -> tuple[int, int]:
    """n1 owns the DNs and dies; n2, whose work is counted, has a desktop and a monitor that watch them all."""
    dns = [str(1_001 + number) for number in range(count)]
    outside = {dn: {"contact": f"sip:{dn}@192.0.2.200:5060"} for dn in dns}
    limits = msgspec.structs.replace(settings().limits, dns_at_once=AT_ONCE)
    cluster = Cluster(2, optimised=False, strict=False, phones=count, limits=limits, options=outside)
    cluster.desktop("n1", *dns, name="GWS", secret="gws")
    cluster.settle()
    watchers = cluster.desktop("n2", *dns), cluster.monitor("n2", *dns)
    cluster.settle()
    steps: list[int] = []
    node = cluster.hosts["n2"].node
    handle = node.handle

    def counted(now: int, given: AnyInput, out: list[AnyOutput]) -> None:
        steps.append(steps_of(lambda: handle(now, given, out)))

    node.handle = counted  # type: ignore[method-assign]
    cluster.hosts["n1"].crash()
    cluster.settle(SECOND)
    for client in watchers:
        assert [event.text(Attribute.ThisDN) for event in client.of(MessageType.EventDNOutOfService)] == dns
    return sum(steps), max(steps)


@pytest.mark.parametrize("what", [claimed, gone, fenced, back, stopped, a_lost_peer])
def test_twice_the_dns_take_twice_the_steps_and_no_input_takes_more(what):
    (few, few_most), (many, many_most) = what(5 * AT_ONCE), what(10 * AT_ONCE)
    assert many <= 2.1 * few
    # what grows are lists of all DNs that are made at once: some steps a DN of the thousands that it takes in all
    assert many_most <= 1.2 * few_most


def test_dns_are_claimed_together_and_none_but_once():
    alone = Counted(5 * AT_ONCE)
    alone.owner()
    assert [len(what.claims) for what in alone.asked if isinstance(what, ClaimMany)] == [AT_ONCE] * 5
    assert alone.owned() == alone.dns_all
    assert alone.node.counts()["owned_dns"] == len(alone.dns_all)


def test_a_client_that_goes_gives_up_so_many_dns_an_input_and_another_takes_over_the_rest():
    alone = Counted(5 * AT_ONCE)
    owner = alone.owner()
    owner.hang_up()
    left = alone.owned()
    assert left == alone.dns_all[AT_ONCE:]
    alone.owner("GWS2")
    alone.run(SECOND)
    assert alone.owned() == alone.dns_all
    epochs = [alone.coordinator.owner(dn).epoch for dn in alone.dns_all]
    assert max(epochs[AT_ONCE:]) < min(epochs[:AT_ONCE])  # nobody let go of these in between


def test_a_node_that_is_fenced_hides_its_dns_by_parts_but_acts_for_none_at_once():
    alone = Counted(5 * AT_ONCE)
    alone.owner()
    desk = alone.program("Desk", ClientRole.DESKTOP, "tcontroller", *alone.dns_all)
    last = alone.dns_all[-1]
    assert desk.ask(MessageType.RequestAgentLogin, ThisDN=last, AgentID="a1").id == MessageType.EventAgentLogin
    desk.events.clear()
    alone.answering = False
    while not desk.events:
        at = alone.node.next_deadline()
        assert at is not None
        assert at < 10 * SECOND
        alone.run(at - alone.now)
    hidden = [event.text(Attribute.ThisDN) for event in desk.events]
    assert hidden == alone.dns_all[:AT_ONCE]
    assert desk.ask(MessageType.RequestAgentReady, ThisDN=last).id == MessageType.EventError
    alone.run(1_000)
    hidden = [event.text(Attribute.ThisDN) for event in desk.events if event.id == MessageType.EventDNOutOfService]
    assert hidden == alone.dns_all
    assert "AgentLogout" not in desk.names()


def test_what_was_not_hidden_yet_when_the_node_is_a_member_again_begins_anew_and_stays():
    alone = Counted(5 * AT_ONCE)
    alone.owner()
    desk = alone.program("Desk", ClientRole.DESKTOP, "tcontroller", *alone.dns_all)
    ownership = alone.node.t_controller.ownership
    incarnation = alone.coordinator.owner(alone.dns_all[0]).incarnation
    desk.events.clear()
    # the coordinator forgets the member, says so at its next refresh, and takes it in again at once
    alone.coordinator.ask(alone.now, "n1", 1, Leave("n1", incarnation), [])
    alone.run(2 * SECOND)
    assert ownership.acting
    assert alone.owned() == alone.dns_all
    for dn in alone.dns_all:
        assert alone.node.store.get("dns", dn).in_service
        assert desk.names(dn)[-1] in ("DNBackInService", "Registered"), desk.names(dn)
        epochs = [event.number(Attribute.DNEpoch) for event in desk.events if event.text(Attribute.ThisDN) == dn]
        assert epochs == sorted(epochs)


def test_a_node_that_stops_leaves_and_gives_up_nothing_one_by_one():
    alone = Counted(5 * AT_ONCE)
    owner = alone.owner()
    alone.asked.clear()
    alone.give(Operator("stop"))
    alone.run(SECOND)
    assert [type(what) for what in alone.asked] == [Leave]
    assert alone.owned() == []
    assert owner.closed
