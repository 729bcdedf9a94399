from collections.abc import Callable

import pytest

from sip_proto import ParseError
from sip_proto.values import (
    Date,
    Delay,
    Item,
    Timestamp,
    WarningEntry,
    days_from_1970,
    read_date,
    read_delay,
    read_item,
    read_number,
    read_octet,
    read_params,
    read_quoted_item,
    read_semicolons,
    read_text,
    read_timestamp,
    read_token,
    read_warning,
    read_word,
)


def test_plain_values() -> None:
    assert read_text(' any "thing') == ' any "thing'
    assert read_token("a-b.c") == "a-b.c"
    assert read_word("a84b@[::1]") == "a84b@[::1]"
    assert (read_number("4294967295"), read_octet("255")) == (4294967295, 255)


def test_items_have_parameters_and_a_preference() -> None:
    assert read_item("gzip ; Q=0.25;x=y") == Item("gzip", {"q": "0.25", "x": "y"})
    assert read_item("gzip;q=0.25").q == 250
    assert [read_item(f"a;q={q}").q for q in ("1", "0", "1.000", "2", "x")] == [1000, 0, 1000, 1000, 1000]
    assert read_quoted_item('"a;b";c=1') == Item("a;b", {"c": "1"})


def test_parameters_alone_are_cut_at_commas_or_semicolons() -> None:
    assert read_params('A="x,y", b=1, a=2') == {"a": "x,y", "b": "1"}
    assert read_params("a=1;b") == {"a": "1", "b": ""}
    assert read_semicolons("ID; critical") == ["id", "critical"]


def test_a_date_is_a_moment_in_utc() -> None:
    assert read_date("Sat, 13 Nov 2010 23:29:00 GMT") == Date(2010, 11, 13, 23, 29, 0)
    assert read_date("Sat, 13 Nov 2010 23:29:00 gmt").unix_s() == 1289690940
    assert read_date("Thu, 01 Jan 1970 00:00:00 GMT").unix_s() == 0
    assert read_date("Thu, 29 Feb 2024 12:00:00 GMT").unix_s() == 1709208000
    assert days_from_1970(2000, 3, 1) - days_from_1970(2000, 2, 28) == 2


def test_delays_warnings_and_timestamps() -> None:
    assert read_delay("5") == Delay(5, "", {})
    assert read_delay("120 (I'm in a meeting) ;duration=60") == Delay(120, "I'm in a meeting", {"duration": "60"})
    assert read_warning('370 dev:5060 "a \\"b\\""') == WarningEntry(370, "dev:5060", 'a "b"')
    assert read_delay("120 (a (b) c)") == Delay(120, "a (b) c", {})
    assert read_delay(r"120(\) \( \\);a=(b)") == Delay(120, r"\) \( \\", {"a": "(b)"})
    assert read_delay("120 ()") == Delay(120, "", {})
    assert read_timestamp("54") == Timestamp(54_000_000, 0)
    assert read_timestamp("54.12 .5") == Timestamp(54_120_000, 500_000)
    assert read_timestamp("54.\t .") == Timestamp(54_000_000, 0)
    assert read_timestamp("54.123456789 0.5") == Timestamp(54_123_456, 500_000)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (read_token, "a b"),
        (read_word, "a b"),
        (read_number, "-1"),
        (read_octet, "256"),
        (read_item, ";a=1"),
        (read_item, '"a"'),
        (read_params, ",;"),
        (read_semicolons, "a;;b"),
        (read_date, "Fri, 01 Jan 2010 16:00:00 EST"),
        (read_date, "Sat, 31 Feb 2010 16:00:00 GMT"),
        (read_date, "Sat, 13 Nov 2010 24:00:00 GMT"),
        (read_date, "Sat, 13 Nov 2010 23:00:61 GMT"),
        (read_date, "Sun, 13 Nov 2010 23:00:00 GMT"),
        (read_delay, "x"),
        (read_delay, "9999999999"),
        (read_delay, "5 (open"),
        (read_delay, "5 (open (again)"),
        (read_delay, r"5 (open\)"),
        (read_delay, "5 (shut))"),
        (read_delay, "5 (one) (two)"),
        (read_timestamp, ""),
        (read_timestamp, ".5"),
        (read_warning, '1812 h "x"'),
        (read_warning, "301 h x"),
        (read_timestamp, "x"),
        (read_timestamp, "1 y"),
    ],
)
def test_broken_values_are_parse_errors(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(ParseError):
        read(text)
