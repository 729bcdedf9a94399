"""Reporting sessions on one node: what they are told, and again, and what becomes of those whose session goes."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from cluster_core.inputs import Writable
from cluster_core.node import ClusterNode
from cluster_core.outputs import Send
from cluster_core.settings import ClientRole
from tests.cluster_core.alone import SDP, TRUNK, Alone, Program, settings
from tlib_proto import Attribute, ErrorCode, Hello, Message, MessageType
from tlib_proto.mask import pack

M = MessageType
SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US
BEGUN, ENDED = ["CallCreated", "Queued", "RouteRequest"], ["Abandoned", "CallDeleted"]
"""What reporting hears of a call by the trunk that waits at a Routing Point; the trunk itself is no DN's party."""


def alone(**limits: int) -> Alone:
    made = Alone(limits=msgspec.structs.replace(settings().limits, **limits))
    made.program("URS", ClientRole.ROUTER, "tlib", "8000")
    return made


class Icon:
    """A reporting client, connection after connection; what it heard, and the number of each."""

    def __init__(self, on: Alone, name: str = "icon", **keys: Any) -> None:
        self.on, self.name = on, name
        self.heard: list[Message] = []
        self.now: Program
        self.ack = self.come(**keys)

    def come(self, **keys: Any) -> Message:
        """Connect and open the session; returns the answer."""
        self.now = self.on.program("ICON", ClientRole.REPORTING, "iproxy")
        return self.ask(**keys)

    def ask(self, **keys: Any) -> Message:
        pairs = {"SessionId": self.name, **keys} if self.name else keys
        answer = self.now.ask(M.RequestPrivateService, PrivateMsgID=1, Extensions=tuple(pairs.items()))
        return answer

    def take(self) -> list[Message]:
        """The events that came over this connection since the last time."""
        taken = [event for event in self.now.events if not event.ref]
        self.now.events.clear()
        self.heard += taken
        return taken

    def names(self) -> list[str]:
        return [event.name.removeprefix("Event") for event in self.take()]

    def last(self) -> str:
        """The SequenceId of the last event taken."""
        return number(self.heard[-1]) if self.heard else ""

    def go(self) -> None:
        self.take()
        self.now.hang_up()
        self.now.closed = "gone"

    def back(self) -> dict[str, Any]:
        """Come back behind the last event taken; what the answer says."""
        return said(self.come(SequenceId=self.last()))


def said(answer: Message) -> dict[str, Any]:
    assert answer.id == M.EventACK, answer
    return dict(answer.pairs(Attribute.Extensions))


def number(event: Message) -> str:
    return str(dict(event.pairs(Attribute.Extensions))["SequenceId"])


def shown(event: Message) -> bool:
    """Whether an event is part of a snapshot."""
    return ("snapshot", 1) in event.pairs(Attribute.Extensions)


def call(on: Alone, text: str = "5551") -> int:
    """A call by the trunk, which waits; its number."""
    assert on.request("INVITE", "sip:8000@n1", TRUNK, from_=f"<sip:{text}@x>", body=SDP)
    return on.calls


def cancel(on: Alone, which: int, text: str = "5551") -> None:
    """The caller gives up."""
    lines = (
        "CANCEL sip:8000@n1 SIP/2.0",
        f"Via: SIP/2.0/UDP {TRUNK[0]}:{TRUNK[1]};branch=z9hG4bKINVITE{which}.1",
        f"From: <sip:{text}@x>;tag=from",
        "To: <sip:8000@n1>",
        f"Call-ID: call-{which}",
        "CSeq: 1 CANCEL",
        "Max-Forwards: 70",
    )
    assert "SIP/2.0 200 OK" in on.say("\n".join(lines), TRUNK)


def numbers(events: list[Message]) -> list[int]:
    return [int(number(event)) for event in events]


def refusal(answer: Message) -> tuple[int, str]:
    assert answer.id == M.EventError, answer
    return answer.number(Attribute.ErrorCode), answer.text(Attribute.ErrorMessage)


class TestASession:
    def test_events_are_numbered_without_a_hole(self):
        on = alone()
        icon = Icon(on)
        assert said(icon.ack) == {"session-status": "new", "events-in-cache": 0}
        for text in ("5551", "5552"):
            cancel(on, call(on, text), text)
        events = icon.take()
        begun = numbers(events)[0]
        assert numbers(events) == list(range(begun, begun + len(events)))
        assert [event.id for event in events].count(M.EventCallDeleted) == 2
        assert all(len(number(event)) == 16 for event in events)

    def test_before_it_has_asked_it_hears_of_what_begins_without_numbers(self):
        on = alone()
        before = call(on)
        plain = on.program("ICON", ClientRole.REPORTING, "iproxy")
        cancel(on, before)
        assert plain.names() == []
        cancel(on, call(on))
        assert plain.names() == BEGUN + ENDED
        assert not any(dict(event.pairs(Attribute.Extensions)).get("SequenceId") for event in plain.events)
        for keys in ((("SessionEnd", 1),), (("Acknowledged", f"{1:016d}"),)):
            assert plain.ask(M.RequestPrivateService, PrivateMsgID=1, Extensions=keys).id == M.EventError

    def test_without_having_asked_it_hears_nothing_where_another_has(self):
        on = alone()
        plain = on.program("ICON", ClientRole.REPORTING, "iproxy")
        icon = Icon(on)
        for _ in range(3):
            cancel(on, call(on))
        assert icon.names() == 3 * (BEGUN + ENDED)
        icon.now.hang_up()
        cancel(on, call(on))
        assert plain.names() == []

    def test_what_it_heard_of_before_it_asked_is_shown_to_it_again(self):
        on = alone()
        icon = on.program("ICON", ClientRole.REPORTING, "iproxy")
        number_of = call(on)
        icon.events.clear()
        answer = icon.ask(M.RequestPrivateService, PrivateMsgID=1, Extensions=(("SessionId", "icon"),))
        assert dict(answer.pairs(Attribute.Extensions))["session-status"] == "new"
        cancel(on, number_of)
        events = [event for event in icon.events if not event.ref]
        assert [event.name for event in events] == ["EventCallCreated"] + [f"Event{name}" for name in ENDED]
        assert all(number(event) for event in events)

    def test_one_that_goes_without_having_asked_leaves_nothing(self):
        on = alone()
        icon = on.program("ICON", ClientRole.REPORTING, "iproxy")
        call(on)
        icon.hang_up()
        assert on.node.status()["reporting"] == {"sessions": 0, "away": 0, "events": 0, "octets": 0}

    def test_it_may_ask_what_the_server_can_do(self):
        icon = Icon(alone())
        assert icon.now.ask(M.RequestQueryServer).text(Attribute.NodeName) == "n1"

    def test_what_happened_while_it_was_away_follows_in_order_and_nothing_twice(self):
        on = alone()
        icon = Icon(on)
        first = call(on, "5551")
        icon.take()
        icon.now.deaf = True  # the connection is broken, and nobody knows yet
        second = call(on, "5552")
        icon.now.hang_up()
        cancel(on, first, "5551")
        missed = len(BEGUN) + len(ENDED)
        assert icon.back() == {"session-status": "resumed", "events-in-cache": missed}
        cancel(on, second, "5552")
        icon.take()
        every = numbers(icon.heard)
        assert every == list(range(every[0], every[0] + len(every)))
        assert [event.id for event in icon.heard].count(M.EventCallCreated) == 2
        assert [event.id for event in icon.heard].count(M.EventCallDeleted) == 2

    def test_without_a_place_all_that_is_kept_is_told_again(self):
        on = alone()
        icon = Icon(on)
        call(on)
        told = icon.take()
        icon.go()
        assert said(icon.come()) == {"session-status": "resumed", "events-in-cache": len(told)}
        again = icon.take()
        assert numbers(again) == numbers(told)
        assert [event.attributes[Attribute.TimeinSecs] for event in again] == [
            event.attributes[Attribute.TimeinSecs] for event in told
        ]

    def test_it_may_ask_again_on_the_same_connection(self):
        on = alone()
        icon = Icon(on)
        call(on)
        told = icon.take()
        assert said(icon.ask(SequenceId=number(told[0]))) == {
            "session-status": "resumed",
            "events-in-cache": len(told) - 1,
        }
        assert numbers(icon.take()) == numbers(told[1:])
        assert not icon.now.closed

    def test_one_that_is_back_before_the_loss_was_noticed_takes_over(self):
        on = alone()
        icon = Icon(on)
        before = icon.now
        call(on)
        icon.take()
        assert icon.back() == {"session-status": "resumed", "events-in-cache": 0}
        assert before.closed == "the client has connected again"
        call(on, "5552")
        assert icon.names()[0] == "CallCreated"

    def test_what_was_acknowledged_is_not_told_again(self):
        on = alone()
        icon = Icon(on)
        call(on)
        told = icon.take()
        assert said(icon.ask(Acknowledged=number(told[1]))) == {
            "session-status": "active",
            "events-in-cache": len(told) - 2,
        }
        assert on.node.status()["reporting"]["events"] == len(told) - 2
        icon.go()
        icon.come()
        assert numbers(icon.take()) == numbers(told[2:])
        assert said(icon.ask(Acknowledged="9" * 16))["events-in-cache"] == 0
        assert said(icon.ask(Acknowledged=number(told[0])))["events-in-cache"] == 0

    def test_a_client_without_a_name_is_forgotten_when_it_goes_and_keeps_nothing(self):
        on = alone()
        icon = Icon(on, "")
        first = call(on)
        assert icon.names() == BEGUN
        assert said(icon.ask()) == {"session-status": "active", "events-in-cache": 0}
        icon.go()
        assert on.node.status()["reporting"] == {"sessions": 0, "away": 0, "events": 0, "octets": 0}
        assert not on.node.store.rows("interactions")
        cancel(on, first)

    def test_one_that_ends_its_session_leaves_nothing(self):
        on = alone()
        icon = Icon(on)
        call(on)
        icon.take()
        assert said(icon.ask(SessionEnd=1))["session-status"] == "ended"
        call(on, "5552")
        assert icon.names() == []
        assert on.node.status()["reporting"] == {"sessions": 0, "away": 0, "events": 0, "octets": 0}
        assert refusal(icon.ask(SessionEnd="true")) == (ErrorCode.INVALID_ATTR, _bad("SessionId"))
        assert said(icon.ask())["session-status"] == "new"

    def test_another_name_on_the_same_connection_ends_the_first(self):
        on = alone()
        icon = Icon(on)
        call(on)
        icon.take()
        icon.name = "other"
        assert said(icon.ask()) == {"session-status": "new", "events-in-cache": 0, "events-in-snapshot": 1}
        assert on.node.status()["reporting"]["sessions"] == 1

    def test_one_that_is_shown_the_calls_of_the_other_may_lose_its_oldest_events(self):
        on = alone()
        Icon(on, "a")
        cancel(on, call(on))
        on.run(HOUR_US + SECOND_US)
        other = Icon(on, "b")
        call(on, "5552")
        other.name = "a"
        assert said(other.ask())["session-status"] == "resumed"
        assert other.names()[-1] == "CallCreated"

    def test_the_same_name_of_another_application_is_another_session(self):
        on = alone()
        icon = Icon(on)
        call(on)
        icon.go()
        hello = Hello(application="Report", role="reporting")
        other = on.program("", ClientRole.REPORTING, "iproxy", hello=hello)
        answer = other.ask(M.RequestPrivateService, PrivateMsgID=1, Extensions=(("SessionId", "icon"),))
        assert said(answer) == {"session-status": "new", "events-in-cache": 0}
        assert on.node.status()["reporting"]["sessions"] == 2

    def test_a_mask_leaves_out_and_its_numbers_stay(self):
        on = alone()
        icon = Icon(on)
        icon.now.ask(M.RequestSetInputMask, InputMask=pack([M.EventCallCreated, M.EventCallDeleted]))
        cancel(on, call(on))
        created, deleted = icon.take()
        assert (created.id, deleted.id) == (M.EventCallCreated, M.EventCallDeleted)
        assert int(number(deleted)) > int(number(created)) + 1

    def test_user_data_comes_by_the_keys_that_were_named(self):
        for keys, expected in (
            ({}, (("a", "1"), ("b", "2"))),
            ({"UdataFilter": (("key-1", "b"), ("key-2", "c"), ("key-3", 7))}, (("b", "2"),)),
            ({"UdataFilter": ()}, ()),
        ):
            on = alone()
            icon = Icon(on, **keys)
            call(on)
            conn_id = icon.take()[0].number(Attribute.ConnID)
            data = (("a", "1"), ("b", "2"))
            router = on.programs[2]
            router.ask(M.RequestAttachUserData, ThisDN="8000", ConnID=conn_id, UserData=data)
            (attached,) = icon.take()
            assert attached.pairs(Attribute.UserData) == expected
            assert router.events[-1].pairs(Attribute.UserData) == data


def _bad(key: str) -> str:
    return f"Invalid value of attribute Extensions, {key}"


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("ClusterId", "another"),
            ("NodeId", "n9"),
            ("SessionId", 7),
            ("SessionId", "x" * 256),
            ("SequenceId", "12"),
            ("SequenceId", 12),
            ("SequenceId", "\uff11" * 16),
            ("Acknowledged", "0" * 17),
            ("InteractionSnapshot", "perhaps"),
            ("InteractionSnapshot", b"1"),
            ("SessionEnd", 2),
            ("UdataFilter", "skill"),
            ("UdataFilter", tuple((f"key-{n}", "k") for n in range(257))),
        ],
    )
    def test_a_key_with_a_value_that_is_none(self, key, value):
        on = alone()
        program = on.program("ICON", ClientRole.REPORTING, "iproxy")
        answer = program.ask(M.RequestPrivateService, PrivateMsgID=1, Extensions=((key, value),))
        assert refusal(answer) == (ErrorCode.INVALID_ATTR, _bad(key))
        assert on.node.status()["reporting"]["sessions"] == 0

    def test_names_of_this_cluster_and_node_and_keys_that_nobody_knows_are_fine(self):
        icon = Icon(alone(), ClusterId="alone", NodeId="n1", Colour="red", InteractionSnapshot="True")
        assert said(icon.ack)["session-status"] == "new"

    def test_one_session_too_many_while_all_are_there(self):
        on = alone(reporting_sessions=2)
        Icon(on, "one"), Icon(on, "two")
        third = Icon(on, "three")
        assert refusal(third.ack)[0] == ErrorCode.SERVICE_BUSY
        assert said(Icon(on, "").ack)["session-status"] == "new"
        assert on.node.status()["reporting"]["sessions"] == 3

    def test_the_one_that_is_away_for_longest_makes_place(self):
        on = alone(reporting_sessions=2)
        one, two = Icon(on, "one"), Icon(on, "two")
        two.go()
        on.run(SECOND_US)
        one.go()
        assert said(Icon(on, "three").ack)["session-status"] == "new"
        assert said(one.come())["session-status"] == "resumed"
        assert [fault.kind for fault in on.faults] == ["reporting-session-over"]
        two.come()
        assert refusal(two.ask())[0] == ErrorCode.SERVICE_BUSY


class TestThePool:
    def test_interactions_are_shared_evenly_and_each_is_whole(self):
        on = alone()
        icons = [Icon(on, name) for name in ("one", "two", "")]
        made = [(call(on, str(5550 + n)), str(5550 + n)) for n in range(6)]
        for which, text in made:
            cancel(on, which, text)
        of_each = [icon.take() for icon in icons]
        calls = [{event.number(Attribute.ConnID) for event in events} for events in of_each]
        assert [len(mine) for mine in calls] == [2, 2, 2]
        assert len(set.union(*calls)) == 6
        for events in of_each:
            assert [event.id for event in events].count(M.EventCallDeleted) == 2

    def test_those_that_have_as_few_take_turns(self):
        on = alone()
        icons = [Icon(on, name) for name in ("one", "two", "three")]
        for n in range(6):
            cancel(on, call(on, str(n)), str(n))
        assert [icon.names().count("CallCreated") for icon in icons] == [2, 2, 2]

    def test_what_begins_while_one_is_away_goes_to_the_others(self):
        on = alone()
        one, two = Icon(on, "one"), Icon(on, "two")
        two.go()
        for n in range(3):
            call(on, str(n))
        assert one.names().count("CallCreated") == 3
        assert said(two.come())["events-in-cache"] == 0

    def test_what_begins_while_all_are_away_is_kept_and_shared(self):
        on = alone()
        one, two = Icon(on, "one"), Icon(on, "two")
        one.go(), two.go()
        for n in range(4):
            call(on, str(n))
        for icon in (one, two):
            icon.come()
            assert icon.names().count("CallCreated") == 2

    def test_one_that_stays_away_loses_its_interactions_to_another_which_is_shown_them(self):
        on = alone(routing_us=3 * HOUR_US)
        one, two = Icon(on, "one"), Icon(on, "two")
        calls = [call(on, str(n)) for n in range(4)]
        mine = {event.number(Attribute.ConnID) for event in one.take()}
        two.take()
        one.go()
        on.run(HOUR_US - SECOND_US)
        assert two.names() == []
        assert on.node.status()["reporting"]["away"] == 1
        on.run(2 * SECOND_US)
        assert on.faults[-1].kind == "reporting-session-over"
        events = two.take()
        assert [(event.id, shown(event)) for event in events] == [(M.EventCallCreated, True)] * 2
        assert {event.number(Attribute.ConnID) for event in events} == mine
        for n, which in enumerate(calls):
            cancel(on, which, str(n))
        assert two.names().count("CallDeleted") == 4
        assert said(one.come(SequenceId=one.last())) == {"session-status": "new", "events-in-cache": 0}

    def test_the_picture_says_who_is_in_the_call(self):
        on = alone()
        call(on, "5551")
        icon = Icon(on)
        assert said(icon.ack) == {"session-status": "new", "events-in-cache": 0, "events-in-snapshot": 1}
        (created,) = icon.take()
        pairs = dict(created.pairs(Attribute.Extensions))
        assert created.text(Attribute.ANI) == "5551"
        assert pairs["dn-1"] == "8000"
        assert int(str(pairs["created-us"])) > 1_700_000_000_000_000
        assert "dn-2" not in pairs

    def test_who_wants_no_snapshot_hears_of_what_begins_alone(self):
        on = alone()
        first = call(on, "5551")
        icon = Icon(on, InteractionSnapshot=0)
        assert said(icon.ack) == {"session-status": "new", "events-in-cache": 0}
        cancel(on, first, "5551")
        assert icon.names() == []
        call(on, "5552")
        assert icon.names()[0] == "CallCreated"

    def test_nobody_is_left_for_them_and_the_next_one_is_shown_all(self):
        on = alone(routing_us=3 * HOUR_US)
        one = Icon(on, "one")
        call(on, "5551"), call(on, "5552")
        one.go()
        on.run(HOUR_US + SECOND_US)
        assert on.node.counts()["reported"] == 0
        two = Icon(on, "two")
        assert said(two.ack)["events-in-snapshot"] == 2
        assert [shown(event) for event in two.take()] == [True, True]


class TestBounds:
    @pytest.mark.parametrize("limits", [{"backlog_events": 6}, {"backlog_bytes": 6 * 900}])
    def test_the_only_session_is_told_what_was_dropped_then_what_is_kept_then_what_is(self, limits):
        on = alone(**limits)
        icon = Icon(on)
        first = call(on, "5551")
        last = icon.take()[-1]
        icon.go()
        for n in range(8):
            call(on, str(n))
        assert [fault.kind for fault in on.faults] == ["reporting-events-lost"]
        answer = icon.back()
        events = icon.take()
        assert answer["session-status"] == "gap"
        assert answer["events-in-cache"] == len([event for event in events if not shown(event)])
        assert answer["events-in-snapshot"] == len([event for event in events if shown(event)])
        assert int(number(events[0])) - int(number(last)) - 1 == answer["events-lost"] > 0
        assert numbers(events) == list(range(int(number(events[0])), int(number(events[0])) + len(events)))
        kept = on.node.status()["reporting"]
        assert kept["events"] <= limits.get("backlog_events", 1_000)
        assert kept["octets"] <= limits.get("backlog_bytes", 100_000)
        cancel(on, first, "5551")
        assert icon.names()[-1] == "CallDeleted"

    def test_without_a_place_the_number_of_lost_ones_is_that_of_those_that_never_left(self):
        on = alone(backlog_events=6)
        icon = Icon(on)
        icon.go()
        for n in range(4):
            call(on, str(n))
        answer = said(icon.come())
        # of twelve events six were kept, of which the pictures of four calls took the place of four
        assert (answer["session-status"], answer["events-lost"]) == ("gap", 10)
        icon.go()
        assert said(icon.come())["session-status"] == "resumed"

    def test_a_place_that_was_never_its_own_is_a_gap_of_unknown_size(self):
        on = alone()
        icon = Icon(on)
        call(on)
        told = len(icon.take())
        icon.go()
        for place in ("0" * 16, "9" * 16):
            answer = said(icon.come(SequenceId=place))
            assert answer["session-status"] == "gap"
            assert "events-lost" not in answer
            assert answer["events-in-cache"] >= told
            icon.go()

    def test_one_that_is_away_loses_to_another_what_would_not_fit(self):
        on = alone(backlog_events=5)
        one, two = Icon(on, "one"), Icon(on, "two")
        calls = [call(on, str(n)) for n in range(6)]
        one.take(), two.take()
        one.go()
        for n, which in enumerate(calls):
            cancel(on, which, str(n))
        on.run(1)
        assert on.faults[-1].kind == "reporting-session-over"
        assert said(one.come(SequenceId=one.last())) == {"session-status": "new", "events-in-cache": 0}

    def test_what_one_heard_before_it_went_makes_place_for_what_it_has_not(self):
        on = alone(backlog_events=12)
        one, _ = Icon(on, "one"), Icon(on, "two")
        for n in range(8):
            call(on, str(n))
        one.go()
        cancel(on, 1, "0")
        on.run(1)
        assert one.back() == {"session-status": "resumed", "events-in-cache": 2}
        assert one.names() == ENDED

    def test_what_one_that_is_there_was_told_long_ago_is_not_kept(self):
        on = alone(routing_us=3 * HOUR_US)
        icon = Icon(on)
        call(on)
        told = icon.take()
        on.run(HOUR_US + SECOND_US)
        call(on, "5552")
        later = icon.take()
        assert on.node.status()["reporting"]["events"] == len(later)
        icon.go()
        assert said(icon.come(SequenceId=number(told[0])))["events-lost"] == len(told) - 1
        assert not [fault for fault in on.faults if fault.kind == "reporting-events-lost"]

    def test_pictures_for_the_asking_take_their_time(self):
        on = alone(pictures_a_second=4)
        for n in range(4):
            call(on, str(n))
        icon = Icon(on)
        assert said(icon.ack)["events-in-snapshot"] == 4
        assert said(icon.ask(SequenceId="0" * 16))["events-in-snapshot"] == 4
        for _ in range(3):
            assert refusal(icon.ask(SequenceId="0" * 16))[0] == ErrorCode.SERVICE_BUSY
        kept = on.node.status()["reporting"]["events"]
        assert kept == 8
        assert said(icon.ask())["session-status"] == "resumed"
        icon.name = "other"
        icon.ask(SessionEnd=1)
        assert refusal(icon.ask())[0] == ErrorCode.SERVICE_BUSY
        assert said(icon.ask(InteractionSnapshot=0))["session-status"] == "new"
        on.run(SECOND_US)
        assert said(icon.ask())["events-in-snapshot"] == 4

    def test_sessions_that_end_in_turns_show_no_more_than_others_that_ask(self):
        on = alone(pictures_a_second=4)
        one, two = Icon(on, "one"), Icon(on, "two")
        for n in range(8):
            call(on, str(n))
        refused = 0
        for _ in range(5):
            for icon in (one, two):
                if icon.ask(SessionEnd=1).id == M.EventACK:
                    assert said(icon.ask()) == {"session-status": "new", "events-in-cache": 0}
                else:
                    refused += 1
        told = [event for icon in (one, two) for event in icon.take() if shown(event)]
        # the four of one, then the eight of the other; from then on it has all of them, and they take three seconds
        assert (len(told), refused) == (12, 4)
        on.run(3 * SECOND_US)
        assert said(one.ask(SessionEnd=1))["session-status"] == "ended"
        assert [shown(event) for event in two.take()] == [True] * 8

    def test_who_opens_another_session_shows_the_calls_of_the_first_at_the_same_price(self):
        on = alone(pictures_a_second=4)
        one, two = Icon(on, "one"), Icon(on, "two")
        for n in range(8):
            call(on, str(n))
        refused = []
        for n in range(5):
            for icon in (one, two):
                icon.name = f"{n} of {icon.now.conn}"
                if icon.ask().id == M.EventError:
                    refused.append(icon)
        assert refused == [one] * 4
        assert len([event for icon in (one, two) for event in icon.take() if shown(event)]) == 12
        assert on.node.status()["reporting"]["sessions"] == 2
        on.run(3 * SECOND_US)
        assert said(one.ask())["session-status"] == "new"
        assert [shown(event) for event in two.take()] == [True] * 8

    def test_the_only_session_may_end_whatever_was_shown(self):
        on = alone(pictures_a_second=4)
        for n in range(8):
            call(on, str(n))
        icon = Icon(on)
        assert said(icon.ack)["events-in-snapshot"] == 8
        assert said(icon.ask(SessionEnd=1))["session-status"] == "ended"
        assert refusal(icon.ask())[0] == ErrorCode.SERVICE_BUSY

    def test_very_much_that_was_acknowledged_leaves_step_by_step(self):
        on = alone()
        icon = Icon(on)
        for n in range(420):
            cancel(on, call(on, str(n)), str(n))
        told = icon.take()
        rows = on.node.store.rows("backlog")
        assert len(rows) == len(told) == 2_100
        assert said(icon.ask(Acknowledged=number(told[-2])))["events-in-cache"] == 1
        left = [len(rows)]
        while len(rows) > 1:
            on.run(1)
            left.append(len(rows))
        assert left == [2_100, 100, 1]
        assert said(icon.ask(Acknowledged=number(told[-1])))["events-in-cache"] == 0

    def test_much_that_is_kept_is_told_as_fast_as_it_is_read(self):
        on = alone(backlog_bytes_at_once=1_000)
        icon = Icon(on)
        for n in range(10):
            call(on, str(n))
        told = icon.take()
        icon.go()
        icon.come()
        some = icon.take()
        assert 0 < len(some) < 10
        on.give(Writable(icon.now.conn, 100_000))
        on.run(5_000)
        assert icon.take() == []
        call(on, "99")
        on.give(Writable(icon.now.conn, 0))
        on.run(100_000)
        some += icon.take()
        assert numbers(some[: len(told)]) == numbers(told)
        assert numbers(some) == list(range(numbers(some)[0], numbers(some)[0] + len(some)))
        assert len(some) > len(told)

    def test_one_that_reads_too_slowly_is_cut_off_and_told_what_it_lost_when_it_is_back(self):
        on = alone(backlog_events=10, backlog_bytes_at_once=600)
        icon = Icon(on)
        for n in range(3):
            call(on, str(n))
        icon.take()
        icon.now.hang_up()
        icon.heard.clear()
        icon.come()
        on.give(Writable(icon.now.conn, 100_000))
        read = numbers(icon.take())
        for n in range(4):
            call(on, str(n))
        assert icon.now.closed == "more happened than is kept"
        answer = icon.back()
        on.run(SECOND_US)
        rest = numbers(icon.take())
        assert answer["session-status"] == "gap"
        assert answer["events-lost"] == rest[0] - read[-1] - 1 > 0

    def test_one_that_is_cut_off_in_the_middle_of_what_it_missed_goes_on_there(self):
        on = alone(backlog_bytes_at_once=1_000)
        icon = Icon(on)
        for n in range(10):
            call(on, str(n))
        told = icon.take()
        icon.heard.clear()
        for _ in range(50):
            icon.go()
            icon.come(**({"SequenceId": icon.last()} if icon.heard else {}))
        icon.take()
        assert numbers(icon.heard) == numbers(told)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_every_event_comes_once_or_is_said_to_be_lost(seed: int):
    rng = random.Random(seed)
    on = alone(backlog_events=rng.choice((8, 30, 1_000)), backlog_us=60 * SECOND_US, backlog_bytes_at_once=600)
    icons = [Icon(on, name) for name in ("one", "two", "three")]
    alive: dict[int, int] = {}
    last = dict.fromkeys(("one", "two", "three"), 0)
    goes_on = dict.fromkeys(last, True)

    def hear(icon: Icon) -> None:
        for event in icon.take():
            at = int(number(event))
            whole = goes_on[icon.name] and last[icon.name]
            assert at == last[icon.name] + 1 if whole else at > last[icon.name]
            last[icon.name], goes_on[icon.name] = at, True

    def come(icon: Icon) -> None:
        status = said(icon.come(**({"SequenceId": f"{last[icon.name]:016d}"} if last[icon.name] else {})))
        goes_on[icon.name] = status["session-status"] == "resumed"

    for _ in range(150):
        icon = rng.choice(icons)
        here = not icon.now.closed
        action = rng.randrange(8)
        alive = {which: at for which, at in alive.items() if on.now - at < 29 * SECOND_US}
        if action < 2:
            alive[call(on, "5551")] = on.now
        elif action < 4 and alive:
            which = rng.choice(list(alive))
            del alive[which]
            cancel(on, which)
        elif action == 4 and here:
            hear(icon)
            icon.now.deaf = True  # what comes now is lost on its way
            alive[call(on, "5551")] = on.now
            icon.go()
        elif action == 5 and not here:
            come(icon)
        elif action == 6 and here and last[icon.name]:
            icon.ask(Acknowledged=f"{last[icon.name] - rng.randrange(4):016d}")
        else:
            on.run(rng.choice((1, 1_000, SECOND_US, 25 * SECOND_US)))
        for one in icons:
            hear(one)
    for icon in icons:
        if icon.now.closed:
            come(icon)
        on.run(SECOND_US)
        hear(icon)
    on.run(60 * SECOND_US)
    assert on.node.counts()["reported"] == 0


def test_the_same_inputs_give_the_same_outputs():
    inputs: list[tuple[int, Any]] = []
    outputs: list[Any] = []

    class Noted(Alone):
        def give(self, given: Any) -> None:
            inputs.append((self.now, given))
            super().give(given)

    limits = msgspec.structs.replace(settings().limits, routing_us=3 * HOUR_US)
    on = Noted(limits=limits)
    on.program("URS", ClientRole.ROUTER, "tlib", "8000")
    one, two = Icon(on, "one"), Icon(on, "two")
    for n in range(6):
        call(on, str(n))
    one.go(), two.take()
    cancel(on, 1, "0")
    on.run(HOUR_US + SECOND_US)
    assert one.back()["session-status"] == "new"
    two.go()
    assert two.back()["session-status"] == "resumed"
    for _ in range(2):
        node = ClusterNode(settings(limits=limits), "n1", "a", b"seed of a test")
        said_now: list[Any] = []
        for now, given in inputs:
            node.handle(now, given, said_now)
        outputs.append(said_now)
        assert not node.store.same_as(on.node.store)
    assert outputs[0] == outputs[1]
    assert b"snapshot" in b"".join(b"".join(o.chunks) for o in outputs[0] if isinstance(o, Send))
