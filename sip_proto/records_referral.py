"""What an Endpoint says about transfers (RFC 3515)."""

import msgspec

from sip_proto.message import Request, Response
from sip_proto.values_event import DialogId


class Referred(msgspec.Struct, frozen=True):
    """A REFER in a confirmed leg, to be answered by accept_referral or reject_referral (RFC 3515 section 2.4.2).

    `refer_to` is the URI to call, without the headers and the method written in it; `replaces` names the dialog that
    the call is to replace, as the one who is called names it; `referred_by` is the header's value, to be passed on as
    it is (RFC 3892 section 2.2); `silent`: no report is wanted (RFC 4488).
    """

    referral: int
    leg: int
    request: Request
    refer_to: str
    replaces: DialogId | None
    referred_by: str
    silent: bool


class ReferAnswered(msgspec.Struct, frozen=True):
    """The final response to our REFER, None when none came (408) or it never left (503); from 300 on the referral is
    gone (RFC 3515 section 2.4.2)."""

    referral: int
    leg: int
    status: int
    response: Response | None


class ReferProgress(msgspec.Struct, frozen=True):
    """A NOTIFY says how the call that we asked for stands: its last response (RFC 3515 section 2.4.5)."""

    referral: int
    leg: int
    status: int
    reason: str


class ReferEnded(msgspec.Struct, frozen=True):
    """Nothing more is heard of our REFER; `status` is the last that was heard, 0 none (RFC 3515 section 2.4.7).

    `why`: "terminated" (a NOTIFY said so), "silent" (no reports, RFC 4488), "timeout" (none came), "leg" (its leg
    ended).
    """

    referral: int
    leg: int
    status: int
    why: str


ReferralOutput = Referred | ReferAnswered | ReferProgress | ReferEnded
