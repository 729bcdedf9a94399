"""Provisional responses that are acknowledged: the callee's, one after the other, and the order of the caller's
(RFC 3262)."""

from typing import NamedTuple

from sip_proto.errors import ParseError
from sip_proto.fields import RSEQ
from sip_proto.flows import Hop
from sip_proto.message import Message, Response
from sip_proto.values_event import RAck

RELIABLE = ("no", "supported", "required")


class Provisional(NamedTuple):
    """A 1xx that waits for its turn; `proposes` when it has our offer."""

    status: int
    reason: str
    extra: str
    body: bytes
    proposes: bool


class Provisionals:
    """The reliable 1xx of one INVITE that we answer: the one that is out, sent again until its PRACK, and those after
    it (section 3).

    `sent` is where it goes and its bytes, None when none is out; `answer` header lines and body of a 2xx that waits for
    their PRACK.
    """

    __slots__ = ("again_us", "answer", "proposes", "rseq", "sent", "until_us", "waiting")

    def __init__(self, rseq: int) -> None:
        # The number of the last one.
        self.rseq = rseq
        self.sent: tuple[Hop, bytes] | None = None
        self.proposes = False
        self.again_us = 0
        self.until_us = 0
        self.waiting: list[Provisional] = []
        self.answer: tuple[str, bytes] | None = None

    def matches(self, rack: RAck, cseq: int) -> bool:
        """Whether a PRACK is for the one that is out, to the INVITE with that number (section 3)."""
        return self.sent is not None and rack == RAck(self.rseq, cseq, "INVITE")


class Heard:
    """What a caller has heard from one early dialog: the last RSeq, and whether descriptions were exchanged (section
    4)."""

    __slots__ = ("described", "rseq")

    def __init__(self, rseq: int) -> None:
        self.rseq = rseq
        self.described = False


def reliable_number(response: Response) -> int | None:
    """The RSeq of a provisional that wants a PRACK, None for any other (section 4)."""
    if "RSeq" not in response.names or response.status <= 100 or not requires(response, "100rel"):
        return None
    try:
        return response.one(RSEQ)
    except ParseError:
        return None


def requires(message: Message, option: str) -> bool:
    """Whether Require has an option tag (RFC 3261 section 20.32)."""
    return "Require" in message.names and _lists(message, "Require", option)


def supports(message: Message, option: str) -> bool:
    """Whether Supported or Require has an option tag (RFC 3261 section 20.37)."""
    return ("Supported" in message.names and _lists(message, "Supported", option)) or requires(message, option)


def allows(message: Message, method: str) -> bool:
    """Whether Allow has a method (RFC 3261 section 20.5)."""
    return "Allow" in message.names and _lists(message, "Allow", method)


def _lists(message: Message, name: str, word: str) -> bool:
    # As a rule there is one such line.
    value = message.values[message.names.index(name)]
    if message.names.count(name) > 1:
        value = ",".join(message.get_all(name))
    if word.islower():
        value = value.lower()
    at = value.find(word)
    if at < 0:
        return False
    before, after = value[:at].rstrip(), value[at + len(word) :].lstrip()
    if (not before or before[-1] == ",") and (not after or after[0] == ","):
        return True
    return word in [part.strip() for part in value.split(",")]
