"""A client that comes back goes on behind the last event that it handled, or is told nothing of it and begins anew."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cluster_core.history import History
from cluster_core.inputs import Opened
from cluster_core.settings import ClientRole, ClusterOptions
from tests.cluster_core.alone import Alone, Program, settings
from tests.cluster_core.test_addresses import PORTS
from tlib_proto import Attribute, Hello, Linked, Message, MessageType
from tlib_proto.mask import pack

PHONE = ("198.51.100.1", 5060)
READY, NOT_READY = MessageType.RequestAgentReady, MessageType.RequestAgentNotReady
CAN = (("resume", 1),)
SECOND_US = 1_000_000


class Line:
    """A program that can resume, connection after connection."""

    def __init__(
        self, alone: Alone, name: str = "Desk", role: ClientRole = ClientRole.DESKTOP, port: Any = "tcontroller"
    ) -> None:
        self.alone, self.name, self.role, self.port = alone, name, role, port
        self.session = self.place = ""
        self.now: Program
        self.connect()

    def connect(self, **other: str) -> Message:
        """Connect (again), saying where it was; returns EventLinkConnected."""
        given = {"session_id": self.session, "resume": self.place, **other}
        hello = Hello(application=self.name, role=self.role.value, capabilities=CAN, **given)
        self.now = Program(self.alone, 2 + 2 * len(self.alone.programs), hello)
        self.alone.programs[self.now.conn] = self.now
        self.alone.give(Opened(self.now.conn, self.port, "127.0.0.1:40000"))
        out: list[Any] = []
        self.now.session.start(self.alone.now, out)
        self.now.perform(out)
        assert isinstance(self.now.linked, Linked)
        linked = self.now.linked.message
        self.session = linked.text(Attribute.SessionID)
        return linked

    def lose(self) -> None:
        """The connection is gone, and the server notices."""
        self.stand()
        self.now.hang_up()

    def stand(self) -> None:
        """Take note of what was handled up to now; what comes on this connection from now on is lost."""
        self.place = self.now.session.resume
        self.now.deaf = True

    def goes_on(self) -> bool:
        """Connect again; whether the server says that it goes on."""
        place = self.place
        return self.connect().text(Attribute.Resume) == place != ""


@pytest.fixture
def alone() -> Alone:
    return ready()


def ready(**changes: Any) -> Alone:
    """A node with an agent on 1001, and who makes things happen."""
    made = Alone(**changes)
    made.phone("1001", PHONE)
    boss = made.program("Boss", ClientRole.DESKTOP, "tcontroller", "1001")
    boss.ask(MessageType.RequestAgentLogin, ThisDN="1001", AgentID="A1")
    made.boss = boss
    return made


def happen(alone: Alone, times: int = 1) -> None:
    for number in range(times):
        alone.boss.ask(NOT_READY if number % 2 else READY, ThisDN="1001")


def test_what_happened_meanwhile_is_sent_at_once_in_order_and_registrations_hold(alone):
    line = Line(alone)
    line.now.ask(MessageType.RequestRegisterAddress, ThisDN="1001")
    happen(alone)
    line.lose()
    happen(alone, 3)
    assert line.goes_on()
    assert line.now.names() == ["AgentReady", "AgentNotReady", "AgentReady"]
    happen(alone, 2)
    assert line.now.names()[3:] == ["AgentReady", "AgentNotReady"]
    places = [event.number(Attribute.DNSequence) for event in line.now.events]
    assert places == list(range(places[0], places[0] + 5))
    assert alone.node.counts()["parked"] == 0


def test_the_server_says_who_can_resume_and_for_how_long(alone):
    line = Line(alone)
    assert line.now.linked.message.pairs(Attribute.Capabilities) == (("resume", 30),)
    plain = alone.program("Desk", ClientRole.DESKTOP, "tcontroller", "1001")
    assert plain.linked.message.pairs(Attribute.Capabilities) == ()
    plain.hang_up()
    assert alone.node.counts()["parked"] == 0


def test_what_was_on_its_way_when_the_connection_broke_is_sent_again(alone):
    line = Line(alone)
    line.now.ask(MessageType.RequestRegisterAddress, ThisDN="1001")
    line.stand()
    happen(alone, 2)
    line.now.hang_up()
    happen(alone)
    assert line.goes_on()
    assert line.now.names() == ["AgentReady", "AgentNotReady", "AgentReady"]


def test_who_is_lost_again_before_it_has_read_what_it_missed_comes_back_to_the_same_place(alone):
    line = Line(alone)
    line.now.ask(MessageType.RequestRegisterAddress, ThisDN="1001")
    line.lose()
    happen(alone, 2)
    place = line.place
    linked = line.connect()
    assert linked.number(Attribute.EventSequenceNumber) == int(place[17:], 16)
    line.now.hang_up()
    assert line.goes_on()
    assert line.now.names() == ["AgentReady", "AgentNotReady"]


def test_a_client_that_is_back_before_the_server_noticed_the_loss_takes_over(alone):
    line = Line(alone)
    line.now.ask(MessageType.RequestRegisterAddress, ThisDN="1001")
    line.stand()
    before = line.now
    happen(alone)
    assert line.goes_on()
    assert before.closed == "the client has connected again"
    assert line.now.names() == ["AgentReady"]
    happen(alone)
    assert line.now.names() == ["AgentReady", "AgentReady"]


def test_an_answer_that_came_back_and_was_lost_again_costs_nothing(alone):
    line = Line(alone)
    line.now.ask(MessageType.RequestRegisterAddress, ThisDN="1001")
    line.lose()
    place = line.place
    for _ in range(3):
        happen(alone)
        assert line.goes_on()
        line.now.hang_up()
        line.place = place
    assert line.goes_on()
    assert line.now.names() == ["AgentReady"] * 3


def test_the_mask_holds_over_a_loss(alone):
    line = Line(alone)
    line.now.ask(MessageType.RequestRegisterAddress, ThisDN="1001")
    line.now.ask(MessageType.RequestSetInputMask, InputMask=pack([MessageType.EventAgentNotReady]))
    line.lose()
    happen(alone, 2)
    assert line.goes_on()
    assert line.now.names() == ["AgentNotReady"]


def test_a_smart_client_goes_on_with_all_dns(alone):
    line = Line(alone, "SFS", ClientRole.SMART)
    line.now.ask(MessageType.RequestRegisterAll)
    happen(alone)
    line.lose()
    happen(alone)
    assert line.goes_on()
    happen(alone)
    assert line.now.names() == ["AgentReady", "AgentReady"]


def test_a_list_that_was_not_read_to_its_end_is_not_gone_on_with(alone):
    line = Line(alone, "SFS", ClientRole.SMART)
    line.place = line.now.session.resume
    line.now.ask(MessageType.RequestRegisterAll)
    line.now.hang_up()
    assert not line.goes_on()


@pytest.mark.parametrize(("name", "role", "port"), PORTS)
def test_each_port_with_dns_resumes(name, role, port):
    alone = ready()
    line = Line(alone, name, role, port)
    line.now.ask(MessageType.RequestRegisterAddress, ThisDN="8000")
    line.lose()
    alone.program("URS", ClientRole.ROUTER, "tlib", "8000")
    assert line.goes_on()
    assert line.now.ask(MessageType.RequestUnregisterAddress, ThisDN="8000").id == MessageType.EventUnregistered


def test_a_reporting_client_does_not_resume_here(alone):
    line = Line(alone, "ICON", ClientRole.REPORTING, "iproxy")
    line.lose()
    assert not line.goes_on()


def test_who_may_own_dns_begins_anew_because_ownership_ends_with_the_connection():
    alone = ready(
        options=ClusterOptions(dn_owner_applications=("Desk",)),
        clients=tuple(msgspec.structs.replace(c, certificate="") for c in settings().clients),
    )
    alone.node._clients.may_own = lambda client: client.application == "Desk"
    line = Line(alone)
    line.now.ask(MessageType.RequestRegisterAddress, ThisDN="1001")
    line.lose()
    assert alone.node.counts()["parked"] == 0
    assert not line.goes_on()


def test_whoever_registered_nothing_leaves_nothing(alone):
    line = Line(alone)
    line.lose()
    assert alone.node.counts()["parked"] == 0
    assert not line.goes_on()


def test_after_a_while_a_session_is_forgotten_and_so_is_the_history(alone):
    line = Line(alone)
    line.now.ask(MessageType.RequestRegisterAddress, ThisDN="1002")
    line.lose()
    alone.run(29 * SECOND_US)
    assert alone.node.counts()["parked"] == 1
    alone.run(2 * SECOND_US)
    assert alone.node.counts()["parked"] == 0
    assert len(alone.node._clients.resume.history) == 0
    assert not line.goes_on()


def test_events_older_than_what_is_kept_are_not_gone_on_behind(alone):
    line = Line(alone)
    line.now.ask(MessageType.RequestRegisterAddress, ThisDN="1001")
    line.stand()
    happen(alone)
    alone.run(31 * SECOND_US)
    happen(alone)
    line.now.hang_up()
    assert not line.goes_on()


def test_more_than_fits_is_not_gone_on_behind():
    alone = ready(limits=msgspec.structs.replace(settings().limits, resume_bytes=400))
    line = Line(alone)
    line.now.ask(MessageType.RequestRegisterAddress, ThisDN="1001")
    line.lose()
    happen(alone)
    assert line.goes_on()
    line.lose()
    happen(alone, 5)
    assert not line.goes_on()


def test_sessions_that_wait_have_a_bound():
    alone = ready(limits=msgspec.structs.replace(settings().limits, parked_sessions=1))
    lines = [Line(alone), Line(alone)]
    for line in lines:
        line.now.ask(MessageType.RequestRegisterAddress, ThisDN="1001")
        line.lose()
    assert [line.goes_on() for line in lines] == [True, False]


def test_a_program_that_is_cut_off_again_and_again_before_it_reads_begins_anew(alone):
    line = Line(alone)
    line.now.ask(MessageType.RequestRegisterAddress, ThisDN="1001")
    line.lose()
    place, went_on = line.place, 0
    while line.goes_on():
        happen(alone)
        line.now.hang_up()
        line.place = place
        went_on += 1
    assert 50 < went_on < 100


def test_another_program_does_not_take_a_session_over(alone):
    line = Line(alone)
    line.now.ask(MessageType.RequestRegisterAddress, ThisDN="1001")
    line.lose()
    other = Line(alone, "SFS", ClientRole.SMART)
    session, place = line.session, line.place
    assert other.connect(session_id=session, resume=place).text(Attribute.Resume) == ""
    assert line.goes_on()


@pytest.mark.parametrize(
    "place", ["", "nonsense", f"{1:016x}-{1:016x}", "{started}-ffffffffffffffff", "{started}-{zero}"]
)
def test_a_place_that_was_never_the_servers_is_not_gone_on_behind(alone, place):
    line = Line(alone)
    line.now.ask(MessageType.RequestRegisterAddress, ThisDN="1001")
    line.lose()
    line.place = place.format(started=line.place[:16], zero="0" * 16)
    assert not line.goes_on()


def test_history_keeps_no_more_than_its_bound():
    core = Alone(limits=msgspec.structs.replace(settings().limits, history_bytes=2_000)).node._core
    history = History(core)
    for number in range(1, 11):
        history.add(number, number, bytes(200), (2, 4))
    assert len(history) == 4
    assert history.since(10, 5, (2,)) is None
    assert [len(frame) for frame in history.since(10, 6, (2,)) or ()] == [200] * 4
    assert history.since(10, 6, (6,)) == []
