"""What the test phone tells: events, the state of a call, and what it raises (ours)."""

from __future__ import annotations

from enum import IntEnum, StrEnum

import msgspec

from refserver.phone_media import Media

MAX_EVENT_TEXT = 4_096


class PhoneError(Exception):
    """A phone's request failed; `status` is the SIP status that came, 0 for none."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class PhoneTimeout(PhoneError, TimeoutError):
    """What was waited for did not happen before the deadline."""


class PhoneEventKind(StrEnum):
    """What can happen to a phone."""

    REGISTERED = "registered"
    UNREGISTERED = "unregistered"
    REGISTRATION_FAILED = "registration-failed"
    INCOMING = "incoming"
    REFUSED = "refused"
    REDIRECTED = "redirected"
    RINGING = "ringing"
    ESTABLISHED = "established"
    TALK = "talk"
    HELD_BY_PEER = "held-by-peer"
    RETRIEVED_BY_PEER = "retrieved-by-peer"
    HELD = "held"
    RETRIEVED = "retrieved"
    RENEGOTIATED = "renegotiated"
    OFFER_REFUSED = "offer-refused"
    PEER_CHANGED = "peer-changed"
    REFERRED = "referred"
    REPLACED = "replaced"
    TRANSFER_PROGRESS = "transfer-progress"
    TRANSFERRED = "transferred"
    TRANSFER_FAILED = "transfer-failed"
    TRANSFER_ENDED = "transfer-ended"
    DIGIT = "digit"
    MESSAGE = "message"
    DIALOG_STATE = "dialog-state"
    MAILBOX = "mailbox"
    WATCH_ENDED = "watch-ended"
    CANCELLED = "cancelled"
    FAILED = "failed"
    ENDED = "ended"


class PhoneEvent(msgspec.Struct, frozen=True):
    """One thing that happened; `call` is the phone's own number of the call, 0 for none.

    `detail` has what only this kind of event tells, by keys that docs/phone.md lists.
    """

    kind: PhoneEventKind
    call: int = 0
    status: int = 0
    peer: str = ""
    text: str = ""
    detail: dict[str, str | int] = {}


class CallState(IntEnum):
    """Where a phone's call stands."""

    INCOMING = 0
    CALLING = 1
    ANSWERED = 2
    ESTABLISHED = 3
    CANCELLING = 4
    GONE = 5


class PhoneCall(msgspec.Struct, eq=False):
    """One call of a phone: its leg of the endpoint, the other end's address and the session's description.

    `offer` is the body of the INVITE that came, `early` our description in a 183, `holds` what the peer agreed to last,
    `described` that an answer to the INVITE's offer went out or came, `referral` who wants to hear of it.
    """

    number: int
    leg: int
    state: CallState
    peer: str
    media: Media
    call_id: str
    offer: bytes = b""
    early: bytes = b""
    holds: bool = False
    described: bool = False
    cseq: int = 1
    uri: str = ""
    tag: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    late: bool = False
    reliable: str | None = None
    target: str = ""
    referral: int = 0
    session_s: int = 0
    refreshes: bool = False
    redirects: int = 0
    place: tuple[str, int] | None = None
