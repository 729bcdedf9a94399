"""What a REFER and its reports say, and where one of them stands (RFC 3515)."""

import re
from typing import NamedTuple

from sip_proto.errors import LocalError, ParseError
from sip_proto.headers import parse_name_addr
from sip_proto.message import Request
from sip_proto.multipart import parts_of
from sip_proto.tables_usage import REFERRAL_TRANSITIONS, ReferralInput, ReferralState
from sip_proto.uri import parse_uri, uri_headers, write_uri
from sip_proto.values_event import DialogId, read_dialog_id

_STATUS_LINE = re.compile(rb"SIP/2\.0 ([1-6][0-9]{2})(?: ([^\r\n]*))?(?:\r?\n|\Z)")


class ReferTo(NamedTuple):
    """Whom a REFER wants called: the URI without headers and method, the method, the dialog to replace (RFC 3515
    section 2.1)."""

    uri: str
    method: str
    replaces: DialogId | None


def read_refer_to(request: Request) -> ReferTo:
    """The one Refer-To of a REFER; ParseError for none, several, a broken one or a broken Replaces in it (RFC 3515
    section 2.4.2)."""
    values = request.get_all("Refer-To")
    if len(values) != 1:
        raise ParseError("refer-to", 0, f"{len(values)} Refer-To")
    text = parse_name_addr(values[0]).uri
    headers = ""
    if text[:4].lower() in ("sip:", "sips"):
        # Phones leave the '@' of the Call-ID in Replaces as it is: the headers are cut off before the user part.
        place, mark, tail = text.partition("?")
        if mark and ("@" in place or "@" not in tail):
            text, headers = place, tail
    uri = parse_uri(text)
    found = [value for name, value in uri_headers(uri._replace(headers=headers)) if name.lower() == "replaces"]
    if len(found) > 1:
        raise ParseError("refer-to", 0, "two Replaces")
    method = uri.params.get("method", "INVITE")
    if "method" in uri.params:
        params = {name: value for name, value in uri.params.items() if name != "method"}
        text = write_uri(uri._replace(params=params))
    return ReferTo(text, method, read_dialog_id(found[0]) if found else None)


class Referral:
    """One REFER and its reports; `number` is its CSeq, `asked` the handle of one that waits for the program (ours)."""

    __slots__ = (
        "asked",
        "end",
        "id",
        "last",
        "leg",
        "newest",
        "number",
        "reason",
        "silent",
        "state",
        "status",
        "tries",
        "until_us",
    )

    def __init__(self, handle: int, leg: int, state: ReferralState, number: int, *, silent: bool) -> None:
        self.id = handle
        self.leg = leg
        self.state = state
        self.number = number
        self.silent = silent
        self.asked = 0
        # The last report: a status of 0 is none yet.
        self.status = 0
        self.reason = ""
        self.until_us = 0
        # Why the reports end; the handles of the newest and of the last one, and how often that went out.
        self.end = ""
        self.newest = 0
        self.last = 0
        self.tries = 0

    def ask(self, event: ReferralInput) -> ReferralState:
        """The state that the program's input leads to; LocalError when it has no row."""
        state = REFERRAL_TRANSITIONS.get((self.state, event))
        if state is None:
            raise LocalError(f"referral {self.id} is {self.state.name}: {event.name} cannot be")
        return state

    def take(self, event: ReferralInput) -> bool:
        """Enter the state that a peer's input leads to; False when it has no row."""
        state = REFERRAL_TRANSITIONS.get((self.state, event))
        if state is None:
            return False
        self.state = state
        return True


def read_sipfrag(request: Request) -> tuple[int, str] | None:
    """Status and reason of the response in a NOTIFY's body, None when there is none (RFC 3420, RFC 3515 section
    2.4.5)."""
    try:
        bodies = [part.body for part in parts_of(request) if part.media_type().essence == "message/sipfrag"]
    except ParseError:
        return None
    found = _STATUS_LINE.match(bodies[0].lstrip(b"\r\n")) if bodies else None
    if found is None:
        return None
    return int(found[1]), (found[2] or b"").decode("utf-8", "surrogateescape").strip(" \t")
