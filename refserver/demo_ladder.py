"""Draws what was seen as a ladder: SIP between lifelines on the left, T-Library by client on the right (ours)."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Callable, Sequence

import msgspec

from refserver.demo_record import Sighting, SipSighting
from tlib_proto.constants import Attribute, MessageType
from tlib_proto.records import Message

HOLD_S = 0.08
"""How long a row waits for others who see the same, before it is drawn."""

NARROW = 100
_IDENTITY = (Attribute.ThisDN, Attribute.ConnID, Attribute.UserData, Attribute.ErrorMessage)
_SHOWN_UUID = (MessageType.EventCallCreated, MessageType.EventCallDeleted)
_DATA = (MessageType.RequestAttachUserData, MessageType.EventAttachedDataChanged)
WIDEST = 140


class Style(msgspec.Struct, frozen=True):
    """The characters and colours of a terminal."""

    line: str
    left: str
    right: str
    life: str
    cross: str
    wall: str
    saw: str
    answer: str
    asked: str
    refused: str
    none: str
    good: str
    bad: str
    arrow: str
    dots: str
    colour: bool


def style(unicode: bool, colour: bool) -> Style:
    """Box-drawing characters, or plain ASCII for a terminal that cannot show them."""
    if unicode:
        return Style("─", "◀", "▶", "│", "┼", "│", "●", "◆", "▶", "✗", "·", "✓", "✗", "→", "…", colour)
    return Style("-", "<", ">", "|", "+", "|", "o", "@", ">", "x", ".", "ok", "FAILED", "->", "~", colour)


class Column(msgspec.Struct, frozen=True):
    """A client's column: key, heading, node and port."""

    key: str
    name: str
    node: str
    port: str


class Row(msgspec.Struct):
    """A line to be drawn: a datagram, or one T-Library message with everybody who saw it."""

    at_s: float
    sip: SipSighting | None
    message: Message | None
    marks: dict[str, str]


def _is_plain(char: str) -> bool:
    if char == " ":
        return True
    return unicodedata.category(char)[0] not in "CZM" and unicodedata.east_asian_width(char) not in "WF"


def plain(text: str, width: int, dots: str) -> str:
    """Text of at most `width` cells, printable characters only; what came from a wire may be anything."""
    clean = "".join(char if _is_plain(char) else "?" for char in text)
    if len(clean) <= width:
        return clean.ljust(width)
    return clean[: width - 1] + dots


class Ladder:
    """Rows in the order of arrival; `flush` draws those that have waited long enough."""

    def __init__(
        self,
        write: Callable[[str], None],
        look: Style,
        width: int,
        lifelines: Sequence[str],
        columns: Sequence[Column],
    ) -> None:
        self._write = write
        self._look = look
        self._width = min(max(width, 60), WIDEST)
        self._lifelines = list(lifelines)
        self._columns = list(columns)
        self._rows: list[Row] = []
        self.last_s = 0.0
        self._wide = self._width >= NARROW
        spare = self._width - NARROW
        self._time = 8 if spare >= 12 else 7
        self._gap = 10 + min(3, max(0, spare // 12))
        self._cell = 6 if spare >= 36 else 5
        self._margin = 3 if spare >= 12 else 2
        self._sip = self._margin + self._gap * (len(lifelines) - 1) + 1 + self._margin
        self._text = self._width - self._time - self._sip - 3 - self._cell * len(columns) - 1

    # what comes

    def add(self, item: Sighting) -> None:
        """Note a sighting; the same T-Library event at another client joins the row that waits."""
        self.last_s = item.at_s
        if isinstance(item, SipSighting):
            self._rows.append(Row(item.at_s, item, None, {}))
            return
        message = item.message
        if item.sent:
            self._rows.append(Row(item.at_s, None, message, {item.who: self._look.asked}))
            return
        mark = self._look.saw
        if message.id == MessageType.EventError:
            mark = self._look.refused
        elif message.ref:
            mark = self._look.answer
        for row in self._rows[self._after_request(item.who) :]:
            same = row.message is not None and _same(row.message, message)
            if same and item.who not in row.marks and self._look.asked not in row.marks.values():
                row.marks[item.who] = mark
                return
        self._rows.append(Row(item.at_s, None, message, {item.who: mark}))

    def _after_request(self, who: str) -> int:
        """Where the rows after a client's last request begin: what follows it is not drawn before it."""
        for index in range(len(self._rows) - 1, -1, -1):
            if self._rows[index].marks.get(who) == self._look.asked:
                return index + 1
        return 0

    def flush(self, now_s: float) -> None:
        """Draw the rows that have waited long enough at `now_s`."""
        while self._rows and self._rows[0].at_s + HOLD_S <= now_s:
            self._draw(self._rows.pop(0))

    # what is drawn

    def title(self, number: int, text: str) -> None:
        """A step of the story."""
        head = f"{self._look.line * 2} {number} {self._look.line} {text} "
        self._write("")
        self._write(self._paint(head + self._look.line * max(0, self._width - len(head)), "1"))
        if self._wide:
            what = " " * self._text
            names = "".join(column.name.ljust(self._cell) for column in self._columns)
            row = f"{' ' * self._time}{self._names()} {self._look.wall} {what}{names}".rstrip()
            self._write(self._paint(row, "2"))

    def _names(self) -> str:
        cells = [" "] * self._sip
        for index, name in enumerate(self._lifelines):
            start = max(0, min(self._at(index) - len(name) // 2, self._sip - len(name)))
            cells[start : start + len(name)] = name
        return "".join(cells)

    def legend(self) -> str:
        """What the marks mean."""
        look = self._look
        return (
            f"{look.asked} asked   {look.answer} the answer, with the ReferenceID of its request   "
            f"{look.saw} saw it too   {look.none} did not   {look.refused} refused"
        )

    def _at(self, lifeline: int) -> int:
        return self._margin + self._gap * lifeline

    def _idle(self) -> str:
        cells = [" "] * self._sip
        for index in range(len(self._lifelines)):
            cells[self._at(index)] = self._look.life
        return "".join(cells)

    def _draw(self, row: Row) -> None:
        time = f"{row.at_s:{self._time - 2}.3f}  "
        if not self._wide:
            self._write(time + self._plain_row(row))
            return
        look = self._look
        if row.sip is not None:
            sip, text = self._arrow(row.sip), row.sip.detail
            if sip == self._idle():
                text = f"{row.sip.sender} {look.arrow} {row.sip.receiver}  {row.sip.label}  {text}"
            shown = plain(text, self._text + self._cell * len(self._columns), look.dots).rstrip()
            self._write(f"{time}{self._paint(sip, '36')} {look.wall} {self._paint(shown, '2')}".rstrip())
            return
        assert row.message is not None
        what = plain(describe(row.message, look, self._text), self._text, look.dots)
        if row.message.id == MessageType.EventError:
            what = self._paint(what, "31")
        elif look.asked in row.marks.values():
            what = self._paint(what, "33")
        cells = "".join(self._mark(row, column) for column in self._columns)
        idle = self._paint(self._idle(), "2")
        self._write(f"{time}{idle} {look.wall} {what}{cells}".rstrip())
        room = self._text + self._cell * len(self._columns) - 2
        for more in textwrap.wrap(plain(detail(row.message), 3 * room, look.dots), room, max_lines=3):
            self._write(f"{' ' * self._time}{idle} {look.wall}   {self._paint(more, '2')}")

    def _mark(self, row: Row, column: Column) -> str:
        look = self._look
        asked = look.asked in row.marks.values()
        mark = row.marks.get(column.key, " " if asked else look.none)
        colour = {look.none: "2", look.saw: "32", look.answer: "1;32", look.asked: "33", look.refused: "31"}
        return self._paint(mark, colour.get(mark, "0")) + " " * (self._cell - len(mark))

    def _arrow(self, item: SipSighting) -> str:
        if item.sender not in self._lifelines or item.receiver not in self._lifelines:
            return self._idle()
        look = self._look
        ends = self._at(self._lifelines.index(item.sender)), self._at(self._lifelines.index(item.receiver))
        low, high = min(ends), max(ends)
        room = high - low - 2
        label = item.label
        if len(label) > room:
            label = label.split()[0].removeprefix("re-") if len(label.split()[0]) > room else label.split()[0]
        label = plain(label, min(len(label), room), look.dots)
        body = label.center(room, look.line)
        cells = list(self._idle())
        if ends[0] < ends[1]:
            cells[low + 1 : high] = list(body + look.right)
        else:
            cells[low + 1 : high] = list(look.left + body)
        for index in range(len(self._lifelines)):
            at = self._at(index)
            # A datagram that goes past a node does not touch it, unless its label stands there.
            if low < at < high and cells[at] == look.line:
                cells[at] = look.cross
        return "".join(cells)

    def _plain_row(self, row: Row) -> str:
        look = self._look
        if row.sip is not None:
            item = row.sip
            return plain(
                f"SIP  {item.sender} {look.arrow} {item.receiver}  {item.label}  {item.detail}",
                self._width - self._time,
                look.dots,
            ).rstrip()
        assert row.message is not None
        names = {column.key: f"{column.name}@{column.node}" for column in self._columns}
        who = " ".join(f"{mark}{names.get(key, key)}" for key, mark in row.marks.items())
        text = f"{describe(row.message, look, 40)}  {who}  {detail(row.message)}"
        return plain(text, self._width - self._time, look.dots).rstrip()

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._look.colour and text.strip() else text


def describe(message: Message, look: Style, width: int) -> str:
    """A message in a few words: its name, its DN, where it leads."""
    name = message.name
    dn = message.text(Attribute.ThisDN)
    other = ""
    if message.id in (MessageType.RequestRouteCall, MessageType.RequestMakeCall):
        other = f" {look.arrow} {message.text(Attribute.OtherDN)}"
    elif message.id in (MessageType.EventRouteUsed, MessageType.EventDiverted):
        other = f" {look.arrow} {message.text(Attribute.ThirdPartyDN)}"
    elif message.id == MessageType.EventError:
        other = f" {message.number(Attribute.ErrorCode)}"
    full = f"{name} {dn}".rstrip() + other
    if len(full) <= width:
        return full
    return full.removeprefix("Event").removeprefix("Request")


def detail(message: Message) -> str:
    """What a message says beyond its name and DN, where that is what it is for; else empty."""
    if message.id in _DATA:
        return ", ".join(f"{key}={_text(value)}" for key, value in message.pairs(Attribute.UserData))
    if message.id == MessageType.EventError:
        return message.text(Attribute.ErrorMessage)
    if message.id == MessageType.RequestAgentLogin:
        return f"agent {message.text(Attribute.AgentID)}"
    if message.id in _SHOWN_UUID:
        return f"ConnID {message.number(Attribute.ConnID):016x}  {message.text(Attribute.CallUUID)}"
    if message.id == MessageType.EventRouteRequest:
        return f"ANI {message.text(Attribute.ANI)}  DNIS {message.text(Attribute.DNIS)}"
    return ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


def _same(one: Message, other: Message) -> bool:
    if one.id != other.id:
        return False
    return all(one.get(key) == other.get(key) for key in _IDENTITY)
