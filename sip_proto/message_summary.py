"""Message summaries: whether and how many messages wait in a mailbox (RFC 3842)."""

import re

import msgspec

from sip_proto.errors import LocalError, ParseError
from sip_proto.headers import is_token, parse_number
from sip_proto.limits import DEFAULT_LIMITS, Limits

CONTENT_TYPE = "application/simple-message-summary"
# The classes of messages by their names in a summary (RFC 3842 section 5.2, RFC 3458 section 6.2).
CLASSES = (
    *("Voice-Message", "Video-Message", "Fax-Message", "Pager-Message"),
    *("Multimedia-Message", "Text-Message", "None"),
)

_CLASS = {name.lower(): name for name in CLASSES}
_COUNTS = re.compile(
    r"([0-9]{1,10})[ \t]*/[ \t]*([0-9]{1,10})(?:[ \t]*\([ \t]*([0-9]{1,10})[ \t]*/[ \t]*([0-9]{1,10})[ \t]*\))?\Z"
)


class MessageCount(msgspec.Struct, frozen=True):
    """Messages of one class, one of CLASSES: new and old ones, and how many of each are urgent (RFC 3842 section
    5.2)."""

    kind: str
    new: int
    old: int
    new_urgent: int = 0
    old_urgent: int = 0


class MessageSummary(msgspec.Struct, frozen=True):
    """A mailbox: whether new messages wait, its URI, counts by class, headers of the newest messages, a tuple of pairs
    each (RFC 3842 section 5.2)."""

    waiting: bool
    account: str = ""
    counts: tuple[MessageCount, ...] = ()
    messages: tuple[tuple[tuple[str, str], ...], ...] = ()

    def to_bytes(self) -> bytes:
        """The summary as lines; LocalError for a line end in a text or a class that is none (RFC 3842 section 5.2)."""
        lines = [f"Messages-Waiting: {'yes' if self.waiting else 'no'}"]
        if self.account:
            lines.append(f"Message-Account: {self.account}")
        for count in self.counts:
            if count.kind not in CLASSES or not all(0 <= number < 2**32 for number in _numbers(count)):
                raise LocalError(f"no such count: {count}")
            urgent = f" ({count.new_urgent}/{count.old_urgent})" if count.new_urgent or count.old_urgent else ""
            lines.append(f"{count.kind}: {count.new}/{count.old}{urgent}")
        for message in self.messages:
            lines.append("")
            lines += [f"{name}: {value}" for name, value in message]
        if any("\r" in line or "\n" in line for line in lines):
            raise LocalError("a line end in a summary")
        return "".join([f"{line}\r\n" for line in lines]).encode("utf-8", "surrogateescape")


def parse_message_summary(data: bytes, limits: Limits = DEFAULT_LIMITS) -> MessageSummary:
    """A summary; lines that are not known are left out; ParseError without Messages-Waiting, for broken counts and for
    one that is too large (RFC 3842 section 5.2)."""
    if len(data) > limits.document:
        raise ParseError("summary", limits.document, f"more than {limits.document} bytes")
    lines = data.decode("utf-8", "surrogateescape").replace("\r\n", "\n").rstrip("\n").split("\n")
    if len(lines) > limits.document_entries:
        raise ParseError("summary", 0, f"more than {limits.document_entries} lines")
    waiting: bool | None = None
    account = ""
    counts: dict[str, MessageCount] = {}
    messages: list[tuple[tuple[str, str], ...]] = []
    pairs: list[tuple[str, str]] = []
    offset = 0
    head = True
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.strip(" \t")
        value = value.strip(" \t")
        if not line:
            head = False
            messages += [tuple(pairs)] if pairs else []
            pairs = []
        elif not colon or not is_token(name) or "\r" in value:
            raise ParseError("summary", offset, "a line that is no name and value")
        elif not head:
            pairs.append((name, value))
        elif name.lower() == "messages-waiting" and value.lower() in ("yes", "no"):
            waiting = value.lower() == "yes"
        elif name.lower() == "message-account":
            account = value
        elif name.lower() in _CLASS:
            counts.setdefault(_CLASS[name.lower()], _count(_CLASS[name.lower()], value, offset))
        offset += len(line) + 2
    if waiting is None:
        raise ParseError("summary", 0, "no Messages-Waiting of yes or no")
    messages += [tuple(pairs)] if pairs else []
    return MessageSummary(waiting, account, tuple(counts.values()), tuple(messages))


def _numbers(count: MessageCount) -> tuple[int, int, int, int]:
    return count.new, count.old, count.new_urgent, count.old_urgent


def _count(kind: str, text: str, offset: int) -> MessageCount:
    found = _COUNTS.match(text)
    if found is None:
        raise ParseError("summary", offset, "no counts")
    numbers = [parse_number(number or "0") for number in found.groups()]
    if None in numbers:
        raise ParseError("summary", offset, "a count of 2**32 or more")
    return MessageCount(kind, *[number or 0 for number in numbers])
