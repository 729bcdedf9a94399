"""What an Endpoint is told at its start."""

import msgspec

from sip_proto.credentials import Account
from sip_proto.limits import Limits, Timings
from sip_proto.uri import Address


class EndpointSettings(msgspec.Struct, frozen=True):
    """Local sockets by name with the address that Via and Contact show, and what messages say of us (ours).

    `transports` names those listeners that are "tcp" or "tls"; the others are "udp". `node` marks the tags and
    Call-IDs that we make, 0 leaves the mark out; `supported` are option tags, in lower case, that a request may
    require. Where `session_types` are given, an INVITE with a body of another type is answered 415, one that accepts
    none of them 406. A SUBSCRIBE to one of the packages `events` is served; without any it is a request as others are.
    `reliable` is "no", "supported" or "required": whether our INVITEs offer or demand reliable 1xx (RFC 3262).
    `session_s` is the interval of session timers, 0 for none, `min_session_s` the least that a peer may ask for, 90 or
    more (RFC 4028). `accounts` answer 401 and 407 by themselves, by those digest `algorithms`, but where the program
    gave credentials of its own (RFC 3261 section 22).
    """

    listeners: dict[str, Address]
    user_agent: str = "sipcluster"
    node: int = 0
    allow: str = "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, INFO, MESSAGE, PRACK, UPDATE"
    supported: tuple[str, ...] = ()
    timings: Timings = Timings()
    limits: Limits = Limits()
    transports: dict[str, str] = {}
    session_types: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    reliable: str = "supported"
    session_s: int = 1800
    min_session_s: int = 90
    accounts: tuple[Account, ...] = ()
    algorithms: tuple[str, ...] = ("MD5", "SHA-256")
