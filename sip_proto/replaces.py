"""Replaces: which dialog a call takes the place of, and how another is told so (RFC 3891)."""


from sip_proto.dialog import Leg
from sip_proto.errors import ParseError
from sip_proto.message import Request
from sip_proto.tables import LegState
from sip_proto.uri import header_text
from sip_proto.validate import Rejection
from sip_proto.values_event import DialogId, read_dialog_id

_CALLED = (LegState.OUTGOING, LegState.PROCEEDING)
_TWO = Rejection(400, "Two Replaces, Or Replaces And Join")
_BROKEN = Rejection(400, "Bad Replaces")
_UNKNOWN = Rejection(481, "Call/Transaction Does Not Exist")
_OVER = Rejection(603, "Decline")
_CONFIRMED = Rejection(486, "Busy Here")


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
