"""Documents about dialogs: written, read, told in order."""

import pytest

from sip_proto import Limits, LocalError, ParseError
from sip_proto.dialog_info import (
    STATES,
    DialogEntry,
    DialogFeed,
    DialogInfo,
    DialogPicture,
    Participant,
    Taken,
    dialog_id,
    parse_dialog_info,
)

RINGING = DialogEntry("d1", "early", direction="recipient")
TALKING = DialogEntry("d1", "confirmed", direction="recipient")
OTHER = DialogEntry("d2", "trying", direction="initiator")
HEAD = '<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="3" state="full" entity="sip:a@h">'


def told(data: bytes | None) -> tuple[int, bool, list[tuple[str, str]]]:
    """Version, whether it is full, ids and states."""
    assert data is not None
    info = parse_dialog_info(data)
    assert info.to_bytes() == data
    return info.version, info.full, [(entry.id, entry.state) for entry in info.dialogs]


def test_a_document_reads_back_as_it_was_written() -> None:
    entry = DialogEntry(
        "d<1>",
        "terminated",
        "remote-bye",
        200,
        "initiator",
        "c@h",
        "l&1",
        'r"1',
        Participant("sip:a@h"),
        Participant("sip:b@h", "Bob\t<b>\r\n", "sip:b@192.0.2.1", (("+sip.rendering", "no"), ("audio", ""))),
        274,
    )
    shown = DialogEntry("2", "trying", remote=Participant(display="Nobody"), local=Participant(target="sip:x@h"))
    info = DialogInfo("sip:a@h", 7, False, (entry, shown))
    assert parse_dialog_info(info.to_bytes()) == info


def test_what_xml_cannot_hold_is_replaced() -> None:
    entry = DialogEntry("1", "early", remote=Participant("sip:b@h", "a\x00\x1b\udcff\uffff"))
    (read,) = parse_dialog_info(DialogInfo("sip:a@h", 0, True, (entry,)).to_bytes()).dialogs
    assert read.remote.display == "a\ufffd\ufffd\ufffd\ufffd"


def test_a_phones_document_is_read_with_what_is_not_known_left_out() -> None:
    info = parse_dialog_info(
        b'\xef\xbb\xbf<?xml version="1.0" encoding="ISO-8859-1"?>\n<!-- x -->'
        + HEAD.encode()
        + b'<dialog id="1" call-id="c" local-tag="l" remote-tag="r" direction="recipient" x="y">'
        b'<state event="rejected" code="486"> Terminated </state><duration>x</duration>'
        b"<route-set><hop>sip:p</hop></route-set><x:note xmlns:x='urn:x'><x:state>odd</x:state></x:note>"
        b'<remote><identity display="B">sip:b@h</identity><target uri="sip:b@1"/><cseq>3</cseq></remote>'
        b'<state xmlns="urn:other">early</state></dialog></dialog-info>'
    )
    assert info == DialogInfo(
        "sip:a@h",
        3,
        True,
        (
            DialogEntry(
                "1",
                "terminated",
                "rejected",
                486,
                "recipient",
                "c",
                "l",
                "r",
                remote=Participant("sip:b@h", "B", "sip:b@1"),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "no element"),
        (b"\xff", "UTF-8"),
        (b"<dialog-info", "unclosed"),
        (b"<x/>", "no dialog-info"),
        (b'<dialog-info version="0" state="full" entity="sip:a@h"/>', "no dialog-info"),
        (HEAD.replace("3", "-3").encode() + b"</dialog-info>", "no version"),
        (HEAD.replace("3", "4294967296").encode() + b"</dialog-info>", "no version"),
        (HEAD.replace("full", "half").encode() + b"</dialog-info>", "no state"),
        (HEAD.encode() + b"<dialog><state>early</state></dialog></dialog-info>", "without id"),
        (HEAD.encode() + b'<dialog id="1"/></dialog-info>', "no such state"),
        (HEAD.encode() + b'<dialog id="1"><state>later</state></dialog></dialog-info>', "no such state"),
        (HEAD.encode() + b'<dialog id="1"><state event="x">early</state></dialog></dialog-info>', "no such state"),
        (HEAD.encode() + b'<dialog id="1" direction="up"><state>early</state></dialog></dialog-info>', "no such state"),
        (b"<!DOCTYPE x>" + HEAD.encode() + b"</dialog-info>", "DOCTYPE"),
        (b'<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>' + HEAD.encode() + b"&b;</dialog-info>", "DOCTYPE"),
        (HEAD.encode() + b"&a;</dialog-info>", "undefined entity"),
        ((b"<!DOCTYPE x>" + HEAD.encode()).decode().encode("utf-16"), "UTF-8"),
        (HEAD.encode() + b"<a>" * 16, "deeper"),
        (b"<x>" + b"y" * 70_000, "bytes"),
        (HEAD.encode() + b'<dialog id="1"><state>early</state></dialog>' * 129, "more than 128"),
    ],
)
def test_a_broken_or_hostile_document_is_refused(data: bytes, text: str) -> None:
    with pytest.raises(ParseError, match=text):
        parse_dialog_info(data)


def test_versions_rise_and_only_what_changed_is_told() -> None:
    feed = DialogFeed("sip:a@h")
    assert told(feed.update([])) == (0, True, [])
    assert feed.update([]) is None
    assert told(feed.update([RINGING])) == (1, False, [("d1", "early")])
    assert feed.update([RINGING]) is None
    assert told(feed.update([TALKING])) == (2, False, [("d1", "confirmed")])
    assert told(feed.full([TALKING])) == (3, True, [("d1", "confirmed")])
    assert told(feed.update([])) == (4, False, [("d1", "terminated")])


def test_an_end_is_told_with_its_reason() -> None:
    feed = DialogFeed("sip:a@h")
    feed.full([RINGING])
    over = DialogEntry("d1", "terminated", "cancelled", 487, "recipient")
    (entry,) = parse_dialog_info(feed.update([over]) or b"").dialogs
    assert (entry.event, entry.code) == ("cancelled", 487)
    assert feed.update([over]) is None
    assert feed.update([]) is None


def test_early_never_comes_after_confirmed_nor_after_terminated() -> None:
    feed = DialogFeed("sip:a@h")
    feed.full([TALKING])
    assert feed.update([RINGING]) is None
    assert told(feed.update([RINGING, OTHER])) == (1, False, [("d2", "trying")])
    assert told(feed.update([])) == (2, False, [("d1", "terminated"), ("d2", "terminated")])
    assert feed.update([RINGING]) is None
    assert told(feed.full([RINGING])) == (3, True, [])


def test_a_dialog_that_ended_between_full_documents_stays_ended() -> None:
    feed = DialogFeed("sip:a@h")
    feed.full([RINGING])
    assert told(feed.full([])) == (1, True, [])
    assert feed.update([RINGING]) is None


def test_the_memory_of_ended_dialogs_is_bounded() -> None:
    feed = DialogFeed("sip:a@h")
    feed.full([])
    for number in range(65):
        feed.update([DialogEntry(str(number), "early")])
        feed.update([])
    assert told(feed.update([DialogEntry("0", "early")]))[2] == [("0", "early")]
    assert told(feed.update([DialogEntry("64", "early")]))[2] == [("0", "terminated")]


def test_several_dialogs_in_one_body_each_have_their_own_state() -> None:
    feed = DialogFeed("sip:a@h")
    assert told(feed.full([TALKING, OTHER])) == (0, True, [("d1", "confirmed"), ("d2", "trying")])
    picture = DialogPicture()
    picture.take(parse_dialog_info(feed.full([TALKING, OTHER])))
    later = DialogEntry("d2", "early", direction="initiator")
    picture.take(parse_dialog_info(feed.update([TALKING, later]) or b""))
    assert picture.dialogs == {"d1": TALKING, "d2": later}


def test_forked_calls_have_distinct_ids() -> None:
    ids = [dialog_id("c@h", "l"), *(dialog_id("c@h", "l", tag) for tag in ("r1", "r2")), dialog_id("c@h", "lr1", "")]
    assert len(set(ids)) == 4
    assert dialog_id("c@h", "l", "r1") == ids[1]


def test_a_phone_that_needs_it_gets_a_dialog_that_is_over_in_place_of_none() -> None:
    feed = DialogFeed("sip:a@h", placeholder=True)
    assert told(feed.full([])) == (0, True, [("none", "terminated")])
    assert told(feed.full([RINGING])) == (1, True, [("d1", "early")])
    picture = DialogPicture()
    picture.take(parse_dialog_info(DialogFeed("sip:a@h", placeholder=True).full([])))
    assert picture.dialogs == {}


def test_after_a_lost_document_the_next_one_says_everything() -> None:
    feed = DialogFeed("sip:a@h")
    picture = DialogPicture()
    assert picture.take(parse_dialog_info(feed.update([RINGING]) or b"")) is Taken.NEWS
    feed.update([TALKING, OTHER])
    feed.lost()
    assert told(feed.update([TALKING, OTHER])) == (2, True, [("d1", "confirmed"), ("d2", "trying")])
    feed.lost()
    assert picture.take(parse_dialog_info(feed.update([TALKING]) or b"")) is Taken.NEWS
    assert picture.dialogs == {"d1": TALKING}


def test_a_hole_is_told_and_mended_by_a_full_document_and_old_news_change_nothing() -> None:
    feed = DialogFeed("sip:a@h")
    picture = DialogPicture()
    first = parse_dialog_info(feed.full([RINGING]))
    feed.update([TALKING])
    third = parse_dialog_info(feed.update([TALKING, OTHER]) or b"")
    assert picture.take(first) is Taken.NEWS
    assert picture.take(third) is Taken.HOLE
    assert picture.dialogs == {"d1": RINGING}
    assert picture.take(parse_dialog_info(feed.full([TALKING]))) is Taken.NEWS
    assert picture.take(first) is Taken.OLD
    assert picture.take(third) is Taken.OLD
    assert picture.dialogs == {"d1": TALKING}


def test_a_picture_is_bounded() -> None:
    picture = DialogPicture(Limits(document_entries=1))
    picture.take(DialogInfo("sip:a@h", 0, True, (RINGING, OTHER)))
    assert picture.dialogs == {"d1": RINGING}
    picture.take(DialogInfo("sip:a@h", 1, False, (TALKING,)))
    assert picture.dialogs == {"d1": TALKING}


def test_what_cannot_be_told_is_the_callers_fault_and_changes_nothing() -> None:
    feed = DialogFeed("sip:a@h", limits=Limits(document_entries=2))
    for dialogs in (
        [RINGING, TALKING],
        [DialogEntry("", "early")],
        [DialogEntry("1", "late")],
        [RINGING, OTHER, DialogEntry("3", "early")],
    ):
        with pytest.raises(LocalError):
            feed.update(dialogs)
    assert told(feed.update([RINGING])) == (0, True, [("d1", "early")])


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES)
def test_a_dialog_goes_forward_alone(before: str, after: str) -> None:
    feed = DialogFeed("sip:a@h")
    feed.full([DialogEntry("1", before)])
    data = feed.update([DialogEntry("1", after)])
    forward = before != "terminated" and STATES.index(after) > STATES.index(before)
    assert (data is not None) == forward
    if data is not None:
        assert told(data) == (1, False, [("1", after)])
