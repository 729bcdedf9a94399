"""Replaces and Refer-To: which dialog a call takes the place of, and how another is told so (RFC 3891, RFC 3515 section
2.1)."""

from typing import NamedTuple

from sip_proto.dialog import Leg
from sip_proto.errors import ParseError
from sip_proto.headers import parse_name_addr
from sip_proto.message import Request
from sip_proto.tables import LegState
from sip_proto.uri import header_text, parse_uri, uri_headers, write_uri
from sip_proto.validate import Rejection
from sip_proto.values_event import DialogId, read_dialog_id

_CALLED = (LegState.OUTGOING, LegState.PROCEEDING)
_TWO = Rejection(400, "Two Replaces, Or Replaces And Join")
_BROKEN = Rejection(400, "Bad Replaces")
_UNKNOWN = Rejection(481, "Call/Transaction Does Not Exist")
_OVER = Rejection(603, "Decline")
_CONFIRMED = Rejection(486, "Busy Here")


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


def write_replaces(dialog: DialogId, *, escaped: bool = False) -> str:
    """The value of a Replaces for who is called, `escaped` for use in a Refer-To URI (RFC 3891 section 6.1)."""
    value = f"{dialog.call_id};to-tag={dialog.local_tag};from-tag={dialog.remote_tag}"
    if dialog.early_only:
        value += ";early-only"
    return header_text([("", value)])[1:] if escaped else value


def wanted_dialog(request: Request) -> DialogId | Rejection | None:
    """The dialog that an INVITE wants to take the place of, None without Replaces, or the answer to a broken one (RFC
    3891 section 3)."""
    values = request.get_all("Replaces")
    if not values:
        return None
    if len(values) > 1 or request.get("Join") is not None:
        return _TWO
    try:
        return read_dialog_id(values[0])
    except ParseError:
        return _BROKEN


def replaceable(leg: Leg | None, wanted: DialogId) -> int | Rejection:
    """The leg found for `wanted`, or why it cannot be replaced (RFC 3891 section 3)."""
    # A tag of 0 stands for none (RFC 3891 section 6.1).
    if leg is None or wanted.remote_tag not in (leg.dialog.remote_tag or "0", *leg.forks):
        return _UNKNOWN
    if leg.state is LegState.CLOSING or leg.state is LegState.CANCELLING:
        return _OVER
    if leg.announced:
        return _CONFIRMED if wanted.early_only else leg.id
    # Someone else's call that rings here may be picked up, not replaced; without a tag there is no dialog at all.
    return leg.id if leg.state in _CALLED and leg.dialog.remote_tag else _UNKNOWN
