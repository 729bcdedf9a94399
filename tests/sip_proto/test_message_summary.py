"""Message summaries, written and read."""

import pytest

from sip_proto import Limits, LocalError, ParseError
from sip_proto.message_summary import CLASSES, MessageCount, MessageSummary, parse_message_summary


def test_a_summary_reads_back_as_it_was_written() -> None:
    summary = MessageSummary(
        True,
        "sip:alice@vmail.example.org",
        (MessageCount("Voice-Message", 4, 8, 1, 2), MessageCount("Text-Message", 0, 1)),
        ((("To", "<sip:a@h>"), ("Date", "Sat, 01 Jan 2000 00:00:00 GMT")), (("Priority", "urgent"),)),
    )
    data = summary.to_bytes()
    assert data.startswith(
        b"Messages-Waiting: yes\r\nMessage-Account: sip:alice@vmail.example.org\r\n"
        b"Voice-Message: 4/8 (1/2)\r\nText-Message: 0/1\r\n\r\nTo: <sip:a@h>\r\n"
    )
    assert parse_message_summary(data) == summary


def test_the_least_summary_is_one_line() -> None:
    assert MessageSummary(False).to_bytes() == b"Messages-Waiting: no\r\n"
    assert parse_message_summary(b"messages-waiting : NO") == MessageSummary(False)


def test_a_peers_spelling_is_read_and_what_is_not_known_is_left_out() -> None:
    data = (
        b"MESSAGES-WAITING: Yes\nvoice-message:2/0( 1 / 0 )\r\nX-Holo-Message: 3/3\r\nvoice-message: 9/9\r\n"
        b"\r\n\r\nFrom: <sip:b@h>\r\n\r\n"
    )
    assert parse_message_summary(data) == MessageSummary(
        True, "", (MessageCount("Voice-Message", 2, 0, 1, 0),), ((("From", "<sip:b@h>"),),)
    )


@pytest.mark.parametrize("kind", CLASSES)
def test_every_class_is_known(kind: str) -> None:
    summary = MessageSummary(True, "", (MessageCount(kind, 1, 2),))
    assert parse_message_summary(summary.to_bytes()) == summary


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "name and value|Messages-Waiting"),
        (b"Messages-Waiting: maybe\r\n", "Messages-Waiting"),
        (b"Message-Account: sip:a@h\r\n", "Messages-Waiting"),
        (b"Messages-Waiting: yes\r\nVoice-Message\r\n", "no name"),
        (b"Messages-Waiting: yes\r\nA B: 1\r\n", "no name"),
        (b"Messages-Waiting: yes\r\nVoice-Message: many\r\n", "no counts"),
        (b"Messages-Waiting: yes\r\nVoice-Message: 4294967296/0\r\n", "2\\*\\*32"),
        (b"Messages-Waiting: yes\r\n" * 129, "more than 128"),
        (b"x" * 65_536, "more than 65535"),
    ],
)
def test_a_broken_summary_is_refused(data: bytes, text: str) -> None:
    with pytest.raises(ParseError, match=text):
        parse_message_summary(data, Limits())


@pytest.mark.parametrize(
    "summary",
    [
        MessageSummary(True, "sip:a@h\r\nX: 1"),
        MessageSummary(True, "", (MessageCount("Smoke-Signal", 1, 1),)),
        MessageSummary(True, "", (MessageCount("Fax-Message", -1, 1),)),
        MessageSummary(True, "", (MessageCount("Fax-Message", 1, 2**32),)),
        MessageSummary(True, "", (), ((("X", "a\nb"),),)),
    ],
)
def test_a_summary_that_cannot_be_written_is_the_callers_fault(summary: MessageSummary) -> None:
    with pytest.raises(LocalError):
        summary.to_bytes()
