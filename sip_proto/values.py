"""Readings of plain header values: words, numbers, times, lists with parameters."""

import re
from typing import NamedTuple

from sip_proto.errors import ParseError
from sip_proto.headers import is_token, parse_number, parse_params, parse_q, split_quoted, unquote

_DATE = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun),[ \t]*([0-9]{2})[ \t]+"
    r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[ \t]+([0-9]{4})[ \t]+"
    r"([0-9]{2}):([0-9]{2}):([0-9]{2})[ \t]+GMT\Z",
    re.I,
)
_DAYS = "MonTueWedThuFriSatSun"
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_WARNING = re.compile(r'([1-9][0-9]{2}) +([^\s"]+) +("(?:[^"\\]+|\\.)*+")[ \t]*\Z', re.S)
_SECONDS = re.compile(r"([0-9]{1,10})[ \t]*")
# What changes the depth of a comment, and what does not though it looks so.
_BRACKET = re.compile(r"\\.|[()]", re.S)
_TAIL = re.compile(r"[ \t]*(;.*)?\Z", re.S)
_DECIMAL = re.compile(r"([0-9]{0,12})(?:\.([0-9]{0,9}))?\Z")
_WORD = re.compile(r'[A-Za-z0-9.!%*_+`\'~()<>:\\"/\[\]?{}@-]+\Z')


class Item(NamedTuple):
    """A word with parameters: a coding, a language, a media feature set (RFC 3261 section 7.3.1)."""

    value: str
    params: dict[str, str]

    @property
    def q(self) -> int:
        """Preference in 1/1000, 1000 when not written or broken (RFC 3261 section 20.1)."""
        return parse_q(self.params.get("q", ""))


class Date(NamedTuple):
    """A moment in UTC (RFC 3261 section 20.17)."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int

    def unix_s(self) -> int:
        """Seconds since 1970-01-01 (ours)."""
        return days_from_1970(self.year, self.month, self.day) * 86_400 + (
            self.hour * 3600 + self.minute * 60 + self.second
        )


class Delay(NamedTuple):
    """Seconds with a comment, without its brackets, and parameters (RFC 3261 section 20.33)."""

    seconds: int
    comment: str
    params: dict[str, str]


class WarningEntry(NamedTuple):
    """A warning's code, who gives it, and its text unquoted (RFC 3261 section 20.43)."""

    code: int
    agent: str
    text: str


class Timestamp(NamedTuple):
    """When the request was sent, and how long its answerer took, in microseconds (RFC 3261 section 20.38)."""

    sent_us: int
    delay_us: int


def days_from_1970(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a day of the Gregorian calendar (ours)."""
    # Years that begin in March put the leap day last.
    year -= month < 3
    month = (month + 9) % 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day - 719_469


def read_text(text: str) -> str:
    """Any text, as written (RFC 3261 section 20.36)."""
    return text


def read_token(text: str) -> str:
    """One token; ParseError (RFC 3261 section 25.1)."""
    if not is_token(text):
        raise ParseError("token", 0, "no token")
    return text


def read_word(text: str) -> str:
    """One word, as a Call-ID has them around its `@`; ParseError (RFC 3261 section 25.1)."""
    if not _WORD.match(text):
        raise ParseError("word", 0, "no word")
    return text


def read_number(text: str) -> int:
    """A number below 2**32; ParseError (RFC 3261 section 25.1)."""
    number = parse_number(text)
    if number is None:
        raise ParseError("number", 0, "no number below 2**32")
    return number


def read_octet(text: str) -> int:
    """A number from 0 to 255; ParseError (RFC 3261 section 20.22)."""
    number = parse_number(text, 255)
    if number is None:
        raise ParseError("number", 0, "no number from 0 to 255")
    return number


def read_item(text: str) -> Item:
    """A word and its parameters; ParseError (RFC 3261 section 7.3.1)."""
    word, _, tail = text.partition(";")
    word = word.strip(" \t")
    if not word or '"' in word or " " in word or "<" in word:
        raise ParseError("item", 0, "no word")
    return Item(word, parse_params(tail))


def read_quoted_item(text: str) -> Item:
    """A quoted string, unquoted, and its parameters; ParseError (RFC 8224 section 4)."""
    word, *tail = split_quoted(text, ";")
    return Item(unquote(word), parse_params(";".join(tail)))


def read_params(text: str) -> dict[str, str]:
    """Parameters alone, cut at semicolons or commas, values unquoted; ParseError for none (RFC 3261 section
    20.6)."""
    found: dict[str, str] = {}
    for part in split_quoted(text, "," if "," in text else ";"):
        name, _, value = part.partition("=")
        name = name.strip(" \t").lower()
        if name and name not in found:
            found[read_token(name)] = unquote(value.strip(" \t"))
    if not found:
        raise ParseError("parameters", 0, "none")
    return found


def read_semicolons(text: str) -> list[str]:
    """Tokens between semicolons, in lower case; ParseError (RFC 3323 section 4.2)."""
    return [read_token(part.strip(" \t").lower()) for part in text.split(";")]


def read_date(text: str) -> Date:
    """A date in GMT; ParseError for any other zone and for days that are not (RFC 3261 section 20.17)."""
    found = _DATE.match(text)
    if found is None:
        raise ParseError("date", 0, "no date in GMT")
    month = _MONTHS.index(found[3].title()) // 3 + 1
    day, year = int(found[2]), int(found[4])
    date = Date(year, month, day, int(found[5]), int(found[6]), int(found[7]))
    days = days_from_1970(year, month, day)
    following = days_from_1970(year + month // 12, month % 12 + 1, 1)
    if not 1 <= day <= following - days_from_1970(year, month, 1) or date.hour > 23 or date.minute > 59:
        raise ParseError("date", 0, "no such day or hour")
    if date.second > 60 or _DAYS[(days + 3) % 7 * 3 :][:3] != found[1].title():
        raise ParseError("date", 0, "no such second or another day of the week")
    return date


def read_delay(text: str) -> Delay:
    """Seconds, a comment, parameters; ParseError (RFC 3261 section 20.33)."""
    found = _SECONDS.match(text)
    if found is None or (seconds := parse_number(found[1])) is None:
        raise ParseError("delay", 0, "no seconds")
    start = end = found.end()
    if text[start : start + 1] == "(":
        end = _comment_end(text, start)
    tail = _TAIL.match(text, end)
    if tail is None:
        raise ParseError("delay", end, "more than seconds, a comment and parameters")
    return Delay(seconds, text[start + 1 : end - 1] if end > start else "", parse_params(tail[1] or ""))


def _comment_end(text: str, start: int) -> int:
    depth = 0
    for found in _BRACKET.finditer(text, start):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if not depth:
            return found.end()
    raise ParseError("comment", start, "no end")


def read_warning(text: str) -> WarningEntry:
    """A code of three digits, an agent, a quoted text; ParseError (RFC 3261 section 20.43)."""
    found = _WARNING.match(text)
    if found is None:
        raise ParseError("warning", 0, "no code, agent and quoted text")
    return WarningEntry(int(found[1]), found[2], unquote(found[3]))


def read_timestamp(text: str) -> Timestamp:
    """Seconds with a fraction, once or twice, the second time perhaps without a digit before the point; ParseError (RFC
    3261 section 20.38)."""
    sent, _, delay = text.replace("\t", " ").partition(" ")
    if not "0" <= sent[:1] <= "9":
        raise ParseError("timestamp", 0, "no seconds")
    return Timestamp(_micros(sent), _micros(delay.strip(" ")))


def _micros(text: str) -> int:
    found = _DECIMAL.match(text)
    if found is None:
        raise ParseError("timestamp", 0, "no seconds")
    return int(found[1] or 0) * 1_000_000 + int((found[2] or "").ljust(6, "0")[:6])
