"""What the client knows of DNs, and what it says of a loss: pictures, places, gaps."""

from __future__ import annotations

import pytest

from cluster_core.picture import EFFECTS
from refserver import client_picture
from refserver.client_errors import TLibError
from refserver.client_events import Resynchronised
from refserver.client_picture import Tracker, same
from tlib_proto.constants import Attribute, MessageType, PartyState
from tlib_proto.records import Message
from tlib_proto.testing import Numbers, named

M = MessageType
READY = (("status", 1), ("AgentStatus", 2), ("AgentID", "A1"), ("AgentWorkMode", 0))
NOT_READY = (("status", 1), ("AgentStatus", 3), ("AgentID", "A1"), ("AgentWorkMode", 0))
BUSY_TO_1002 = (*READY, ("dnd", 1), ("fwd", "1002"), ("fwd-mode", 2))
CALL = (
    *READY,
    ("conn-1", "0010000000000001"),
    ("ct-1", 2),
    ("ps-1", int(PartyState.Alerting)),
    ("other-1", "5"),
    ("node-1", "n1"),
)
CONN = 0x0010000000000001


class Server:
    """Numbers and stamps what a server tells; `other` stands for what it tells somebody else."""

    def __init__(self, node: str = "n1", started: int = 1_000, **numbers: object) -> None:
        self.node = node
        self.numbers = Numbers(started, **numbers)  # type: ignore[arg-type]

    def link(self) -> Message:
        return self.numbers.stamp(named(M.EventLinkConnected, 1, NodeName=self.node, TimeinSecs=2_000))

    def event(self, kind: M, dn: str = "1001", **attributes: object) -> Message:
        return self.numbers.stamp(named(kind, 0, ThisDN=dn, **attributes))  # type: ignore[arg-type]

    def picture(self, dn: str = "1001", ref: int = 7, pairs: object = READY) -> Message:
        message = named(M.EventRegistered, ref, ThisDN=dn, Extensions=pairs, TimeinSecs=2_000)  # type: ignore[arg-type]
        return self.numbers.stamp(message, happens=False)

    def other(self) -> None:
        self.numbers.stamp(Message(M.EventACK))


def watching(server: Server, *dns: str) -> Tracker:
    tracker = Tracker()
    tracker.linked(server.link())
    tracker.begin(False)
    for dn in dns or ("1001",):
        tracker.singles[dn] = None
        assert tracker.feed(server.picture(dn), True) == []
    tracker.end(tracker.singles, False, False, {}, "")
    return tracker


def again(tracker: Tracker, *messages: Message, link: Message | None = None, **given: object) -> list[object]:
    """Lose the link, register again: what is said."""
    if link is not None:
        tracker.linked(link)
    tracker.begin(False)
    for message in messages:
        assert tracker.feed(message, bool(message.ref)) == []
    options: dict[str, object] = {"whole": False, "blind": False, "refused": {}, "why": "", **given}
    return list(tracker.end(tracker.singles, **options))  # type: ignore[arg-type]


def told(said: list[object]) -> Resynchronised:
    assert isinstance(said[0], Resynchronised)
    return said[0]


def test_the_first_registration_is_the_picture() -> None:
    tracker = watching(Server())
    assert (tracker.pictures["1001"].agent_id, tracker.pictures["1001"].ready) == ("A1", True)
    assert (tracker.pictures["1001"].source, tracker.pictures["1001"].owned) == ("n1", True)


def test_events_change_the_picture_and_pictures_given_out_stay() -> None:
    server = Server()
    tracker = watching(server)
    before = tracker.pictures["1001"]
    event = server.event(M.EventRinging, ConnID=CONN, OtherDN="5", CallType=2)
    assert tracker.feed(event, False) == [event]
    assert tracker.feed(server.event(M.EventAgentNotReady, AgentID="A1"), True) == []
    after = tracker.pictures["1001"]
    assert before.calls == {}
    assert before.ready
    assert (after.calls[CONN].state, after.calls[CONN].other_dn, after.ready) == (PartyState.Alerting, "5", False)
    assert (after.epoch, after.seq) == (1, 2)
    assert set(EFFECTS) >= {M.EventRinging, M.EventAgentNotReady}


def test_nothing_happened_during_the_loss_and_that_is_said() -> None:
    server = Server()
    tracker = watching(server)
    server.other()
    said = told(again(tracker, server.picture(), link=server.link()))
    assert (said.dns, said.gap, said.lost, said.changes) == (("1001",), False, {}, ())
    assert said.pictures == {"1001": tracker.pictures["1001"]}


def test_what_the_owner_told_meanwhile_is_counted_and_what_changed_is_shown() -> None:
    server = Server()
    tracker = watching(server)
    server.event(M.EventAgentNotReady)
    server.event(M.EventRinging)
    pairs = (*NOT_READY, *CALL[4:])
    said = told(again(tracker, server.picture(pairs=pairs), link=server.link()))
    assert (said.gap, said.lost) == (True, {"1001": 2})
    (change,) = said.changes
    assert change.before is not None
    assert change.after is not None
    assert (change.before.ready, change.after.ready, list(change.after.calls)) == (True, False, [CONN])
    assert [message.name for message in change.events] == ["EventAgentNotReady"]


def test_a_forward_that_was_set_meanwhile_is_shown() -> None:
    server = Server()
    tracker = watching(server)
    server.event(M.EventDNDOn)
    server.event(M.EventForwardSet)
    said = told(again(tracker, server.picture(pairs=BUSY_TO_1002), link=server.link()))
    (change,) = said.changes
    assert change.after is not None
    assert (change.after.dnd, change.after.forward_to, change.after.forward_mode) == (True, "1002", 2)
    assert [message.name for message in change.events] == ["EventDNDOn", "EventForwardSet"]


@pytest.mark.parametrize(
    ("link", "source", "epoch"),
    [
        (Server("n1", started=1_500), "n1", 1),  # the same node, started again
        (Server("n1"), "n1", 1),  # and within the same second
        (Server("n2", started=2_500), "n1", 1),  # a node that was not there when the cluster was last heard
        (None, "n2", 1),  # another source
        (None, "n1", 2),  # the owner's numbers began anew
        (None, "n1/17", 1),  # a source that is no owner does not order all events
    ],
)
def test_where_nobody_can_tell_it_is_said_that_events_may_be_missing(
    link: Server | None, source: str, epoch: int
) -> None:
    server = Server()
    tracker = watching(server)
    for _ in range(3):
        tracker.feed(server.event(M.EventAttachedDataChanged), False)
    later = Server("n1", source=source, epoch=epoch)
    for _ in range(5):
        later.event(M.EventAttachedDataChanged)
    said = told(again(tracker, later.picture(), link=(link or server).link()))
    assert (said.gap, said.lost) == (True, {"1001": None})


def test_the_owners_places_hold_whichever_node_tells_them() -> None:
    server, backup = Server(), Server("n2", started=900)
    tracker = watching(server)
    said = told(again(tracker, backup.picture(), link=backup.link()))
    assert not said.gap


def test_a_server_that_said_nothing_to_anybody_missed_nothing_even_where_no_owner_tells() -> None:
    server = Server(source="n1/17")
    tracker = watching(server)
    link = server.link()
    said = told(again(tracker, server.picture(), link=link))
    assert not said.gap
    server.other()
    link = server.link()
    assert told(again(tracker, server.picture(), link=link)).lost == {"1001": None}


def test_where_no_places_are_told_a_loss_is_a_gap_and_the_picture_follows_the_events() -> None:
    def bare(kind: M, ref: int = 0, **attributes: object) -> Message:
        return named(kind, ref, ThisDN="8000", **attributes)  # type: ignore[arg-type]

    tracker = Tracker()
    tracker.singles["8000"] = None
    tracker.linked(named(M.EventLinkConnected))
    tracker.feed(bare(M.EventRegistered, 3, Extensions=(("status", 1),)), True)
    tracker.feed(bare(M.EventQueued, ConnID=CONN), False)
    assert list(tracker.pictures["8000"].calls) == [CONN]
    assert not tracker.doubtful
    said = told(again(tracker, bare(M.EventRegistered, 4), link=named(M.EventLinkConnected)))
    assert said.lost == {"8000": None}
    assert len(said.changes) == 1


def test_what_comes_while_dns_are_registered_again_is_told_after_it() -> None:
    server = Server()
    tracker = watching(server, "1001", "1002")
    link, first = server.link(), server.picture("1001")
    event = server.event(M.EventAgentNotReady, AgentID="A1")
    said = again(tracker, first, event, server.picture("1002"), link=link)
    assert said[1:] == [event]
    assert told(said).pictures["1001"].ready
    assert not tracker.pictures["1001"].ready
    assert not told(said).gap


def test_what_comes_before_its_dns_picture_is_in_it_and_counts_once() -> None:
    server = Server()
    tracker = watching(server)
    link = server.link()
    event = server.event(M.EventAgentNotReady, AgentID="A1")
    said = again(tracker, event, server.picture(pairs=NOT_READY), link=link)
    assert said[1:] == []
    assert told(said).lost == {"1001": 1}


def test_a_link_that_breaks_again_before_the_end_forgets_nothing() -> None:
    server = Server()
    tracker = watching(server)
    server.event(M.EventAgentNotReady)
    tracker.linked(server.link())
    tracker.begin(False)
    tracker.feed(server.picture(pairs=NOT_READY), True)
    tracker.feed(server.event(M.EventAgentReady, AgentID="A1"), False)
    tracker.fail()
    said = told(again(tracker, server.picture(), link=server.link()))
    assert said.lost == {"1001": 2}
    assert said.changes == ()


def test_a_dn_that_is_refused_has_no_picture_any_more() -> None:
    server = Server()
    tracker = watching(server, "1001", "1002")
    refused = {"1002": TLibError(59, "NOT_CONFIGURED", "")}
    said = told(again(tracker, server.picture("1001"), link=server.link(), refused=refused))
    assert list(tracker.pictures) == ["1001"]
    assert said.refused == refused
    assert said.lost == {"1002": None}
    assert [(change.dn, change.after) for change in said.changes] == [("1002", None)]


def test_of_the_bulk_request_what_is_not_named_again_is_gone() -> None:
    server = Server()
    tracker = Tracker()
    tracker.linked(server.link())
    for dn in ("1001", "1002"):
        assert len(tracker.feed(server.picture(dn, 0), False)) == 1
    said = told(again(tracker, server.picture("1001", 0), link=server.link(), whole=True))
    assert said.dns == ("1001", "1002")
    assert list(tracker.pictures) == ["1001"]
    assert [change.dn for change in said.changes] == ["1002"]
    gone = server.event(M.EventUnregistered, "1001")
    assert tracker.feed(gone, False) == [gone]
    assert tracker.pictures == {}


def test_a_dn_told_twice_is_told_once() -> None:
    server = Server()
    tracker = watching(server)
    link, whole = server.link(), server.picture("1001", 0)
    event = server.event(M.EventAgentNotReady, AgentID="A1")
    said = again(tracker, whole, event, server.picture(pairs=NOT_READY), link=link, whole=True)
    assert said[1:] == [event]
    assert not told(said).gap


def test_the_end_of_one_registration_of_two_leaves_the_picture() -> None:
    server = Server()
    tracker = watching(server)
    tracker.feed(server.event(M.EventUnregistered), False)
    tracker.feed(server.event(M.EventUnregistered), True)
    assert list(tracker.pictures) == ["1001"]
    tracker.forget("1001")
    assert tracker.pictures == {}


def test_a_hole_is_doubted_until_the_whole_picture_comes() -> None:
    server = Server()
    tracker = watching(server)
    server.event(M.EventAgentNotReady)
    late = server.event(M.EventAgentReady, AgentID="A1")
    assert tracker.feed(late, False) == [late]
    assert list(tracker.doubtful) == ["1001"]
    _, said = tracker.feed(server.picture(ref=0), False)
    assert isinstance(said, Resynchronised)
    assert (said.gap, said.lost, said.changes) == (True, {"1001": 2}, ())
    assert not tracker.doubtful


def test_a_whole_picture_that_says_nothing_new_is_only_a_message() -> None:
    server = Server()
    tracker = watching(server)
    message = server.picture(ref=0)
    assert tracker.feed(message, False) == [message]
    # the server changed it otherwise than by events: calls are told by the picture alone
    message = server.picture(ref=0, pairs=CALL)
    first, said = tracker.feed(message, False)
    assert first == message
    assert isinstance(said, Resynchronised)
    assert (said.gap, [change.dn for change in said.changes]) == (False, ["1001"])


def test_the_first_source_that_tells_anything_misses_nothing_and_the_next_may() -> None:
    nobody, first, second = Server(source="n1/17"), Server(source="n1"), Server(source="n2")
    tracker = watching(nobody)
    first.event(M.EventDNBackInService)
    assert len(tracker.feed(first.picture(ref=0), False)) == 1
    second.event(M.EventDNBackInService)
    _, said = tracker.feed(second.picture(ref=0), False)
    assert isinstance(said, Resynchronised)
    assert said.lost == {"1001": None}


def test_an_answer_that_the_owner_did_not_place_changes_nothing() -> None:
    tracker = watching(Server())
    tracker.feed(named(M.EventReleased, 9, ThisDN="1001", ConnID=1), True)
    tracker.feed(named(M.EventError, 10, ThisDN="1001"), True)
    assert not tracker.doubtful


def test_a_source_that_begins_anew_is_followed_and_one_that_repeats_itself_is_no_hole() -> None:
    server, other = Server(), Server(source="n2/3")
    tracker = watching(server)
    tracker.feed(other.event(M.EventQueued, ConnID=1), False)
    again_first = Server(source="n2/3").event(M.EventQueued, ConnID=2)
    tracker.feed(again_first, False)
    tracker.feed(again_first, False)
    assert not tracker.doubtful
    assert set(tracker.pictures["1001"].calls) == {1, 2}
    # more than one source tells of it now: the owner's place proves nothing
    assert told(again(tracker, server.picture(), link=server.link())).lost == {"1001": None}


def test_a_link_that_is_said_to_be_up_again_puts_everything_in_doubt() -> None:
    server = Server()
    tracker = watching(server, "1001", "1002")
    link = server.link()
    assert tracker.feed(link, False) == [link]
    assert list(tracker.doubtful) == ["1001", "1002"]


def test_a_dn_asked_for_over_a_link_that_holds_keeps_what_came_meanwhile() -> None:
    server = Server()
    tracker = watching(server, "1001", "1002")
    tracker.begin(True)
    one, two = server.event(M.EventAgentNotReady, AgentID="A1"), server.event(M.EventRinging, "1002", ConnID=CONN)
    for message in (one, two, server.picture(pairs=NOT_READY)):
        tracker.feed(message, bool(message.ref))
    said = tracker.end(("1001",), False, False, {}, "")
    assert said[1:] == [one, two]
    assert isinstance(said[0], Resynchronised)
    assert (said[0].dns, said[0].gap) == (("1001",), False)
    assert said[0].pictures["1001"].ready  # the event comes after it


def test_messages_of_no_dn_are_in_doubt_after_a_loss_unless_the_numbers_prove_otherwise() -> None:
    server = Server()
    tracker = Tracker()
    tracker.linked(server.link())
    assert told(again(tracker, link=server.link(), blind=True)).gap is False
    server.other()
    said = told(again(tracker, link=server.link(), blind=True))
    assert (said.dns, said.lost) == ((), {"": None})


def test_of_too_much_at_once_the_pictures_are_kept_and_the_rest_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_picture, "HELD_MAX", 3)
    server = Server()
    tracker = watching(server)
    link, whole = server.link(), server.picture()
    events = [server.event(M.EventAgentNotReady if n % 2 == 0 else M.EventAgentReady, AgentID="A1") for n in range(5)]
    said = again(tracker, whole, *events, link=link)
    assert said[1:] == [events[4]]
    assert told(said).lost == {"1001": 4}
    assert told(said).pictures["1001"].ready
    assert not tracker.pictures["1001"].ready


def test_pictures_are_alike_whoever_tells_them() -> None:
    server = Server()
    tracker = watching(server)
    other = watching(Server("n2", source="n2", epoch=5))
    assert same(tracker.pictures["1001"], other.pictures["1001"])
    assert same(None, None)
    assert not same(tracker.pictures["1001"], None)
    assert Attribute.ThisDN
