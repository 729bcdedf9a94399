"""The demo's ladder: what a row says, who shares one, and that it fits the terminal."""

from __future__ import annotations

import re

import pytest

from refserver.demo_ladder import HOLD_S, Column, Ladder, detail, plain, style
from refserver.demo_record import SipSighting, TlibSighting
from tlib_proto.constants import Attribute, MessageType
from tlib_proto.records import Message

M = MessageType
COLUMNS = [
    Column("URS", "URS", "n1", "port"),
    Column("GWS", "GWS", "n1", "TCport"),
    Column("SFS1", "SFS1", "n1", "TCport"),
    Column("ICON", "ICON", "n1", "IPport"),
    Column("SFS2", "SFS2", "n2", "TCport"),
    Column("Stat", "Stat", "n2", "SmartProxy"),
]
LIFELINES = ("caller", "n1", "n2", "1002")


def ladder(width: int = 120, unicode: bool = True, colour: bool = False) -> tuple[Ladder, list[str]]:
    lines: list[str] = []
    return Ladder(lines.append, style(unicode, colour), width, LIFELINES, COLUMNS), lines


def sip(sender: str, receiver: str, label: str, at_s: float = 0.0) -> SipSighting:
    return SipSighting(at_s, "caller", sender, receiver, label, "", 0)


def seen(who: str, message: Message, at_s: float = 0.0) -> TlibSighting:
    return TlibSighting(at_s, who, False, message)


def asked(who: str, message: Message, at_s: float = 0.0) -> TlibSighting:
    return TlibSighting(at_s, who, True, message)


def ringing(ref: int = 0, dn: str = "1002") -> Message:
    return Message(M.EventRinging, ref, {Attribute.ThisDN: dn, Attribute.ConnID: 1})


def test_one_event_at_several_clients_is_one_row_with_a_mark_for_each() -> None:
    drawn, lines = ladder()
    drawn.add(seen("Stat", ringing()))
    drawn.add(seen("GWS", ringing(ref=4)))
    drawn.flush(HOLD_S)
    assert len(lines) == 1
    assert lines[0].split("EventRinging 1002")[1].split() == ["·", "◆", "·", "·", "·", "●"]


def test_a_row_waits_for_others_before_it_is_drawn() -> None:
    drawn, lines = ladder()
    drawn.add(seen("Stat", ringing(), at_s=1.0))
    drawn.flush(1.0)
    assert lines == []
    drawn.flush(1.0 + HOLD_S)
    assert len(lines) == 1


def test_the_same_event_twice_at_one_client_is_two_rows() -> None:
    drawn, lines = ladder()
    drawn.add(seen("Stat", ringing()))
    drawn.add(seen("Stat", ringing()))
    drawn.flush(HOLD_S)
    assert len(lines) == 2


def test_what_follows_a_request_is_not_drawn_before_it() -> None:
    drawn, lines = ladder()
    drawn.add(seen("Stat", ringing()))
    drawn.add(asked("GWS", Message(M.RequestAnswerCall, 5, {Attribute.ThisDN: "1002"})))
    drawn.add(seen("GWS", ringing(ref=5)))
    drawn.flush(HOLD_S)
    assert ["Request" in line for line in lines] == [False, True, False]


@pytest.mark.parametrize(
    ("sender", "receiver", "drawn_as"),
    [
        ("caller", "n1", "│──INVITE─▶│"),
        ("n1", "caller", "│◀──INVITE─│"),
        ("n1", "1002", "│───────INVITE───────▶│"),
        ("1002", "n2", "│◀──INVITE─│"),
    ],
)
def test_an_arrow_goes_from_sender_to_receiver(sender: str, receiver: str, drawn_as: str) -> None:
    drawn, lines = ladder()
    drawn.add(sip(sender, receiver, "INVITE"))
    drawn.flush(HOLD_S)
    assert drawn_as in lines[0]


def test_a_datagram_of_somebody_without_a_lifeline_is_told_in_words() -> None:
    drawn, lines = ladder()
    drawn.add(sip("1001", "n1", "REGISTER"))
    drawn.flush(HOLD_S)
    assert "1001 → n1  REGISTER" in lines[0]


def everything(drawn: Ladder) -> None:
    drawn.title(1, "A step")
    for number, label in enumerate(("INVITE", "100 Trying", "200 OK", "re-INVITE", "REGISTER", "NOTIFY")):
        drawn.add(sip("caller", "n1", label, number))
        drawn.add(sip("n1", "1002", label, number))
    for kind in M:
        attributes = {
            Attribute.ThisDN: "1002",
            Attribute.ErrorMessage: "long words " * 40,
            Attribute.UserData: (("k", "v" * 300),),
        }
        drawn.add(seen("URS", Message(kind, 1, dict(attributes)), 9.0))
    drawn.flush(99.0)


@pytest.mark.parametrize("width", [60, 80, 99, 100, 111, 112, 120, 130, 140, 300])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    drawn, lines = ladder(width)
    everything(drawn)
    assert max(len(line) for line in lines) <= min(width, 140)


def test_there_is_no_escape_sequence_without_colour_and_no_letter_beyond_ascii_when_asked() -> None:
    drawn, lines = ladder(unicode=False)
    everything(drawn)
    assert all(line.isascii() and line.isprintable() for line in lines)


def test_colours_change_nothing_but_colours() -> None:
    bare, bare_lines = ladder()
    coloured, coloured_lines = ladder(colour=True)
    everything(bare)
    everything(coloured)
    stripped = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in coloured_lines]
    assert stripped == [line.rstrip() for line in bare_lines]
    assert any("\x1b[" in line for line in coloured_lines)


def test_what_a_wire_brings_cannot_move_the_cursor() -> None:
    assert plain("a\x1b[2Jb\nc\u202e\u0301宽", 20, "…").rstrip() == "a?[2Jb?c???"


def test_details_name_data_errors_and_ids() -> None:
    data = Message(M.EventAttachedDataChanged, 0, {Attribute.UserData: (("a", "1"), ("b", 2))})
    assert detail(data) == "a=1, b=2"
    assert detail(Message(M.EventError, 1, {Attribute.ErrorMessage: "no"})) == "no"
    assert detail(ringing()) == ""
