"""What an Endpoint says, and the dialog that outlives it."""

import msgspec

from sip_proto.message import Request, Response
from sip_proto.records_referral import ReferAnswered, ReferEnded, ReferProgress, Referred
from sip_proto.uri import Address


class Dialog(msgspec.Struct, gc=False):
    """The durable part of a confirmed dialog: enough to go on from after a restart (RFC 3261 section 12).

    `local_uri` and `remote_uri` are name-addrs without tag, `contact` is ours, `destination` is where the
    peer was first reached; a CSeq number of 0 is none yet. `session_s` is the interval of the session timer, 0 for
    none, `refresher` whether we refresh, `session_agreed` whether the peer knows of it, `refresh_body` what a re-INVITE
    that refreshes has to offer (RFC 4028). `name` is the host whose certificate `destination` has shown (Connect).
    """

    leg: int
    call_id: str
    local_tag: str
    remote_tag: str
    local_uri: str
    remote_uri: str
    remote_target: str
    route_set: tuple[str, ...]
    local_cseq: int
    remote_cseq: int
    listener: str
    destination: Address
    uas: bool
    contact: str
    secure: bool = False
    transport: str = "udp"
    allows_update: bool = False
    session_s: int = 0
    refresher: bool = False
    session_agreed: bool = False
    refresh_body: bytes = b""
    name: str = ""


class Transmit(msgspec.Struct, frozen=True):
    """Send `data` from the socket `listener` to `destination`, an IP literal and port."""

    listener: str
    destination: Address
    data: bytes


class TransmitStream(msgspec.Struct, frozen=True):
    """Send `data` by the stream `flow`, which is open."""

    flow: int
    data: bytes


class Connect(msgspec.Struct, frozen=True):
    """Open a stream ("tcp" or "tls") from `listener` to `destination`; say stream_opened or stream_closed with
    this `flow`, a negative number. A TLS certificate must be that of `name`, of the address where that is empty."""

    flow: int
    listener: str
    transport: str
    destination: Address
    name: str = ""


class Disconnect(msgspec.Struct, frozen=True):
    """Close the stream `flow`; the endpoint has forgotten it. `why` is for logs."""

    flow: int
    why: str


class Invited(msgspec.Struct, frozen=True):
    """A new call comes in; 100 Trying is sent. Answer by provisional, accept or reject."""

    leg: int
    request: Request
    listener: str
    source: Address
    transport: str = "udp"
    flow: int = 0


class Requested(msgspec.Struct, frozen=True):
    """Any other request, to be answered by respond(); `leg` is 0 outside of known dialogs."""

    handle: int
    request: Request
    leg: int
    listener: str
    source: Address
    transport: str = "udp"
    flow: int = 0


class Ringing(msgspec.Struct, frozen=True):
    """A 101 to 199 to our INVITE; with `offer` it brings the peer's offer, and the caller owes prack(). Any other
    `reliable` one is acknowledged already."""

    leg: int
    response: Response
    reliable: bool = False
    offer: bool = False


class Answered(msgspec.Struct, frozen=True):
    """The first 2xx to our INVITE: the caller owes ack()."""

    leg: int
    response: Response


class Failed(msgspec.Struct, frozen=True):
    """Our INVITE ended without a call; the leg is gone. `response` is None for time-out (408), for a
    stream that did not open (503) and for a cancelled call."""

    leg: int
    status: int
    response: Response | None


class Acked(msgspec.Struct, frozen=True):
    """The ACK for our 2xx arrived; it may carry a body."""

    leg: int
    request: Request


class Pracked(msgspec.Struct, frozen=True):
    """A reliable 1xx of ours was acknowledged; the body is the answer where that had our offer (RFC 3262 section 3)."""

    leg: int
    request: Request


class Cancelled(msgspec.Struct, frozen=True):
    """The caller gave up before we answered, or with `why` "no-prack" never acknowledged a reliable 1xx; everything is
    answered and the leg is gone."""

    leg: int
    why: str = ""


class Ended(msgspec.Struct, frozen=True):
    """An answered leg is gone: `why` is "bye", "no-ack" (our 2xx was never acknowledged), "session" (nobody refreshed
    it, RFC 4028) or "lost" (re-INVITE, or UPDATE that refreshes: 408 or 481); "forwarded" when the 2xx of an INVITE
    that was passed on went back, and the dialog is between others."""

    leg: int
    why: str


class Offered(msgspec.Struct, frozen=True):
    """An offer in a re-INVITE, an UPDATE or a PRACK, to be answered by answer_offer or refuse_offer. A re-INVITE
    without a body asks for ours, Acked has the answer then."""

    leg: int
    request: Request


class OfferWithdrawn(msgspec.Struct, frozen=True):
    """The peer took its offer back, or its early dialog or its patience ended; it is answered, the leg goes on."""

    leg: int


class OfferAnswered(msgspec.Struct, frozen=True):
    """The answer to offer() number `offer`. To one without a body it is the peer's offer, and the caller owes ack()."""

    leg: int
    response: Response
    offer: int = 0


class OfferRefused(msgspec.Struct, frozen=True):
    """offer() number `offer` was refused; in an answered call 408 (`response` None) and 481 end it, Ended follows."""

    leg: int
    status: int
    response: Response | None
    offer: int = 0


class Refreshed(msgspec.Struct, frozen=True):
    """A re-INVITE of the endpoint's own, which offered what was described last, refreshed the session: the body is the
    peer's description now, as it may have another (RFC 4028 section 7.4)."""

    leg: int
    response: Response


class RefreshRefused(msgspec.Struct, frozen=True):
    """The endpoint's own refresh of a session was refused (503 and None: it could not leave); there is another try
    before the end, or refresh() with credentials (RFC 4028 section 10)."""

    leg: int
    status: int
    response: Response | None


class Responded(msgspec.Struct, frozen=True):
    """The final response to a request() or send(), None when none came: `why` is "timeout" or "transport" then;
    the handle is gone."""

    handle: int
    response: Response | None
    why: str = ""


class SubscriptionAsked(msgspec.Struct, frozen=True):
    """A SUBSCRIBE to one of our event packages: accept_subscription() or reject_subscription() (RFC 6665 section 4.2).

    `expires_s` is what it asks for, 0 a single look.
    """

    subscription: int
    request: Request
    event: str
    event_id: str
    expires_s: int
    listener: str
    source: Address
    transport: str = "udp"
    flow: int = 0


class SubscriptionRenewed(msgspec.Struct, frozen=True):
    """A subscription that we serve was renewed for `expires_s`, or given back (0), and is answered: notify() is due."""

    subscription: int
    request: Request
    expires_s: int


class Subscribed(msgspec.Struct, frozen=True):
    """The 2xx to our SUBSCRIBE; a Notified follows."""

    subscription: int
    response: Response


class Notified(msgspec.Struct, frozen=True):
    """A NOTIFY of our subscription, answered with 200; `state` is in lower case ("active", "pending", "terminated"),
    `expires_s` None when it does not say."""

    subscription: int
    request: Request
    state: str
    expires_s: int | None


class RenewalRefused(msgspec.Struct, frozen=True):
    """A renewal was refused; the subscription lives on until it expires (RFC 6665 section 4.1.2.2)."""

    subscription: int
    response: Response


class NotifyLost(msgspec.Struct, frozen=True):
    """A NOTIFY of ours was not taken: `response` is None when no answer came (408, 503). The subscription lives on: the
    next notify() should say the whole state (ours; see subscription.py)."""

    subscription: int
    status: int
    response: Response | None


class SubscriptionEnded(msgspec.Struct, frozen=True):
    """A subscription is gone, `why`: the NOTIFY's reason or "terminated"; "refused" or "gone" (a response, which is
    there then), "timeout" (nobody renewed, answered or notified), "transport" (no stream)."""

    subscription: int
    why: str
    response: Response | None = None
    retry_after_s: int | None = None


class DialogChanged(msgspec.Struct, frozen=True):
    """A confirmed dialog was created or changed; `dialog` is the receiver's own copy."""

    dialog: Dialog


class DialogEnded(msgspec.Struct, frozen=True):
    """A dialog that DialogChanged announced is over."""

    leg: int


class Rejected(msgspec.Struct, frozen=True):
    """The endpoint itself refused a request from `source` with `status`; for logs. ACKs are dropped
    instead."""

    listener: str
    source: Address
    status: int
    text: str


class Unanswerable(msgspec.Struct, frozen=True):
    """A datagram that cannot be read, or a broken response, was dropped; for logs."""

    listener: str
    source: Address
    kind: str
    offset: int


Output = (
    Transmit
    | TransmitStream
    | Connect
    | Disconnect
    | Invited
    | Requested
    | Ringing
    | Answered
    | Failed
    | Acked
    | Pracked
    | Cancelled
    | Ended
    | Offered
    | OfferWithdrawn
    | OfferAnswered
    | OfferRefused
    | Refreshed
    | RefreshRefused
    | Responded
    | SubscriptionAsked
    | SubscriptionRenewed
    | Subscribed
    | Notified
    | RenewalRefused
    | NotifyLost
    | SubscriptionEnded
    | Referred
    | ReferAnswered
    | ReferProgress
    | ReferEnded
    | DialogChanged
    | DialogEnded
    | Rejected
    | Unanswerable
)
