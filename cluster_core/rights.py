"""Who may ask what, and what a refusal says: tables, and the few lines that read them (design 6).

The numbers of EventError are published ones; which number answers which condition is ours where the
source of the row says so. A text names the request or what is wrong with it, never a value that a user typed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from enum import StrEnum

import msgspec

from cluster_core.settings import ClientRole
from tlib_proto import ErrorCode, MessageType


class Condition(StrEnum):
    """Why a request is refused; the value names the condition in logs and statistics."""

    NOT_REGISTERED = "not-registered"
    UNSUPPORTED = "unsupported"
    NOT_ON_THIS_PORT = "not-on-this-port"
    INVALID_ATTRIBUTE = "invalid-attribute"
    MISSING_ATTRIBUTE = "missing-attribute"
    INVALID_CONNID = "invalid-connid"
    TIMEOUT = "timeout"
    OUT_OF_SERVICE = "out-of-service"
    NOT_CONFIGURED = "not-configured"
    DN_NOT_ALLOWED = "dn-not-allowed"
    INVALID_DESTINATION = "invalid-destination"
    WRONG_STATE = "wrong-state"
    NO_ACTIVE_CALL = "no-active-call"
    NO_HELD_CALL = "no-held-call"
    NO_SUCH_PARTY = "no-such-party"
    AGENT_NOT_LOGGED_IN = "agent-not-logged-in"
    AGENT_OCCUPIED = "agent-occupied"
    ALREADY_LOGGED_IN = "already-logged-in"
    BAD_PROOF = "bad-proof"
    ROLE_NOT_HERE = "role-not-here"
    TOO_MANY = "too-many"
    NO_ANSWER = "no-answer"
    ROUTE_BUSY = "route-busy"
    PHONE_REFUSED = "phone-refused"
    TRANSFER_FAILED = "transfer-failed"
    USER_DATA_TOO_LARGE = "user-data-too-large"
    LINK_REFUSED = "link-refused"
    NODE_UNREACHABLE = "node-unreachable"
    NODE_STOPS = "node-stops"


class Refusal(msgspec.Struct, frozen=True):
    """What a condition is answered with: the number and text of EventError, and where the number comes from.

    `text` is a format with the fields name (of the request), attribute, dn, port, where, role and limit.
    """

    code: int
    text: str
    source: str


_GENERAL = "general T-Library errors"
_CSTA = "CSTA-style T-Library errors"
_FEATURE = "server feature errors"
_OURS = "ours: the number is published, its use here is not"

REFUSALS: dict[Condition, Refusal] = {
    Condition.NOT_REGISTERED: Refusal(
        ErrorCode.NOT_REGISTERED, "The client has not registered the DN", _GENERAL
    ),
    Condition.UNSUPPORTED: Refusal(ErrorCode.UNSUP_OPER, "{name} is not supported", _GENERAL),
    Condition.NOT_ON_THIS_PORT: Refusal(
        ErrorCode.UNSUP_OPER, "{name} is not served on the {port} for this role; it is on: {where}", _OURS
    ),
    Condition.INVALID_ATTRIBUTE: Refusal(
        ErrorCode.INVALID_ATTR, "Invalid value of attribute {attribute}", _GENERAL
    ),
    Condition.MISSING_ATTRIBUTE: Refusal(
        ErrorCode.INVALID_ATTR, "Attribute {attribute} is missing", _GENERAL
    ),
    Condition.INVALID_CONNID: Refusal(ErrorCode.INV_CONNID, "No call has this ConnID", _GENERAL),
    Condition.TIMEOUT: Refusal(ErrorCode.TIMEOUT, "No answer in time", _GENERAL),
    Condition.OUT_OF_SERVICE: Refusal(ErrorCode.OUT_OF_SERVICE, "The DN is out of service", _GENERAL),
    Condition.NOT_CONFIGURED: Refusal(ErrorCode.NOT_CONFIGURED, "The DN is not configured", _GENERAL),
    Condition.DN_NOT_ALLOWED: Refusal(
        ErrorCode.PRIVILEGE_DEVICE, "The DN is outside the client's rights", _CSTA
    ),
    Condition.INVALID_DESTINATION: Refusal(
        ErrorCode.INVALID_CALLED_DN, "The destination leads nowhere", _OURS
    ),
    Condition.WRONG_STATE: Refusal(
        ErrorCode.INCORRECT_OBJECT_STATE, "The call is in a state that does not allow it", _CSTA
    ),
    Condition.NO_ACTIVE_CALL: Refusal(ErrorCode.NO_ACTIVE_CALL, "Neither call of the DN is talked in", _CSTA),
    Condition.NO_HELD_CALL: Refusal(ErrorCode.NO_HELD_CALL, "Neither call of the DN is held", _CSTA),
    Condition.NO_SUCH_PARTY: Refusal(
        ErrorCode.INVALID_CONNECTION_ID, "The DN is no party of the call", _CSTA
    ),
    Condition.AGENT_NOT_LOGGED_IN: Refusal(
        ErrorCode.WRONG_SET_STATE, "No agent is logged in on the DN", _OURS
    ),
    Condition.AGENT_OCCUPIED: Refusal(
        ErrorCode.INCOMPATIBLE_WITH_OBJECT, "Another agent is logged in on the DN", _OURS
    ),
    Condition.ALREADY_LOGGED_IN: Refusal(
        ErrorCode.AGENT_LOGGED_IN, "The agent is already logged in", _FEATURE
    ),
    Condition.BAD_PROOF: Refusal(
        ErrorCode.SECURITY_VIOLATION, "The application has not proved who it is", _OURS
    ),
    Condition.ROLE_NOT_HERE: Refusal(
        ErrorCode.SECURITY_VIOLATION, "A client of this role is not served on this port ({port})", _OURS
    ),
    Condition.TOO_MANY: Refusal(ErrorCode.SERVICE_BUSY, "A limit is reached, try again later", _OURS),
    Condition.NO_ANSWER: Refusal(ErrorCode.TIMEOUT, "The other side does not answer", _OURS),
    Condition.ROUTE_BUSY: Refusal(ErrorCode.RESOURCE_BUSY, "The call is already being routed", _OURS),
    Condition.PHONE_REFUSED: Refusal(
        ErrorCode.GENERIC_OPERATION, "The phone does not do this on request", _OURS
    ),
    Condition.TRANSFER_FAILED: Refusal(
        ErrorCode.TRANSFER_FAILED, "The target does not take the call", _OURS
    ),
    Condition.USER_DATA_TOO_LARGE: Refusal(
        ErrorCode.VALUE_OUT_OF_RANGE, "The call's user data would exceed its limit", _OURS
    ),
    Condition.LINK_REFUSED: Refusal(
        ErrorCode.SECURITY_VIOLATION, "This node does not take a link from there", _OURS
    ),
    Condition.NODE_STOPS: Refusal(ErrorCode.OUT_OF_SERVICE, "The node stops", _OURS),
    Condition.NODE_UNREACHABLE: Refusal(
        ErrorCode.NO_SWITCH, "The node that would do it is out of reach", _OURS
    ),
}
"""The one table of refusals: condition to number, text and source."""

PORTS: dict[str, str] = {
    "tlib": "default port",
    "iproxy": "IPport",
    "tcontroller": "TCport",
    "smartproxy": "SmartProxy port",
}
"""What people call each T-Library listener (seed, modules)."""

LISTENER_ROLES: dict[str, tuple[ClientRole, ...]] = {
    "tlib": (ClientRole.ROUTER,),
    "iproxy": (ClientRole.REPORTING,),
    "tcontroller": (ClientRole.DESKTOP, ClientRole.SMART, ClientRole.PEER),
    "smartproxy": (ClientRole.MONITOR,),
}
"""Which roles each T-Library listener serves (seed, modules; design 6)."""

_QUERIES = (MessageType.RequestQueryServer, MessageType.RequestSetInputMask)
_REGISTRATION = (
    MessageType.RequestRegisterAddress,
    MessageType.RequestUnregisterAddress,
    MessageType.RequestQueryAddress,
)
_CALL_CONTROL = (
    MessageType.RequestMakeCall,
    MessageType.RequestAnswerCall,
    MessageType.RequestReleaseCall,
    MessageType.RequestHoldCall,
    MessageType.RequestRetrieveCall,
    MessageType.RequestInitiateTransfer,
    MessageType.RequestCompleteTransfer,
    MessageType.RequestReconnectCall,
    MessageType.RequestAlternateCall,
    MessageType.RequestMuteTransfer,
    MessageType.RequestSingleStepTransfer,
    MessageType.RequestRedirectCall,
    MessageType.RequestClearCall,
    MessageType.RequestAttachUserData,
    MessageType.RequestUpdateUserData,
    MessageType.RequestDeletePair,
    MessageType.RequestDeleteUserData,
    MessageType.RequestSendDTMF,
    MessageType.RequestQueryCall,
)
_AGENT = (
    MessageType.RequestAgentLogin,
    MessageType.RequestAgentLogout,
    MessageType.RequestAgentReady,
    MessageType.RequestAgentNotReady,
)
_FEATURES = (
    MessageType.RequestSetDNDOn,
    MessageType.RequestSetDNDOff,
    MessageType.RequestCallForwardSet,
    MessageType.RequestCallForwardCancel,
)
_BULK = (MessageType.RequestRegisterAll, MessageType.RequestUnregisterAll)

RIGHTS: dict[ClientRole, frozenset[MessageType]] = {
    ClientRole.ROUTER: frozenset((*_QUERIES, *_REGISTRATION, *_CALL_CONTROL, MessageType.RequestRouteCall)),
    ClientRole.DESKTOP: frozenset((*_QUERIES, *_REGISTRATION, *_CALL_CONTROL, *_AGENT, *_FEATURES)),
    ClientRole.SMART: frozenset((*_QUERIES, *_BULK, *_REGISTRATION, *_CALL_CONTROL, *_AGENT, *_FEATURES)),
    ClientRole.MONITOR: frozenset((*_QUERIES, *_REGISTRATION)),
    ClientRole.REPORTING: frozenset((*_QUERIES, MessageType.RequestPrivateService)),
    ClientRole.PEER: frozenset((*_QUERIES, MessageType.PeerMessage)),
}
"""Which requests each role may send (design 6); everything else is refused."""

SERVED: frozenset[MessageType] = frozenset().union(*RIGHTS.values())
"""Every request that some role may send."""


def check(listener: str, role: ClientRole, message: int) -> Condition | None:
    """Why a client of that role on that listener may not send that message, None if it may."""
    if role not in LISTENER_ROLES.get(listener, ()):
        return Condition.ROLE_NOT_HERE
    if message in RIGHTS[role]:
        return None
    return Condition.NOT_ON_THIS_PORT if message in SERVED else Condition.UNSUPPORTED


def served_where(message: int) -> str:
    """Where a request is served, for the text of a refusal: "TCport (desktop, smart)"; empty for nowhere."""
    places = []
    for listener, roles in LISTENER_ROLES.items():
        allowed = [role.value for role in roles if role is not ClientRole.PEER and message in RIGHTS[role]]
        if allowed:
            places.append(f"{PORTS[listener]} ({', '.join(allowed)})")
    return "; ".join(places)


_RANGE = re.compile(r"([0-9]{1,32})-([0-9]{1,32})", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,32}", re.ASCII)


def in_ranges(dn: str, ranges: Iterable[str]) -> bool:
    """Whether a DN is one of the entries or within one; "1000-1999" holds the numbers of four digits between.

    No entry at all holds every DN. A range whose ends differ in length or order holds nothing.
    """
    empty = True
    numeric = _DIGITS.fullmatch(dn) is not None
    for entry in ranges:
        empty = False
        if dn == entry:
            return True
        match = _RANGE.fullmatch(entry)
        # digits of equal length are ordered as text
        if (
            match is not None
            and numeric
            and len(dn) == len(match[1]) == len(match[2])
            and match[1] <= dn <= match[2]
        ):
            return True
    return empty


_STORED = re.compile(
    r"scrypt\$([0-9]{1,7})\$([0-9]{1,2})\$([0-9]{1,2})\$([0-9a-f]{16,128})\$([0-9a-f]{64})", re.ASCII
)
_MEMORY_MAX = 64 * 1_048_576
_N, _R, _P = 16_384, 8, 1


def _scrypt(secret: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    password = secret.encode("utf-8", "surrogateescape")
    return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=_MEMORY_MAX, dklen=32)


def hash_secret(secret: str, salt: bytes) -> str:
    """A secret as it is configured: `scrypt$n$r$p$salt$hash`, salt and hash hexadecimal (RFC 7914).

    `salt` is 8 to 64 octets of entropy; ValueError otherwise.
    """
    if not 8 <= len(salt) <= 64:
        raise ValueError(f"a salt of {len(salt)} octets, expected 8 to 64")
    return f"scrypt${_N}${_R}${_P}${salt.hex()}${_scrypt(secret, salt, _N, _R, _P).hex()}"


def verify_secret(secret: str, stored: str) -> bool:
    """Whether a secret is the one that was hashed; False for a malformed hash, or one that costs too much.

    Takes tens of milliseconds: whoever asks often remembers the answer.
    """
    match = _STORED.fullmatch(stored)
    if match is None or len(match[4]) % 2:
        return False
    try:
        found = _scrypt(secret, bytes.fromhex(match[4]), int(match[1]), int(match[2]), int(match[3]))
    except (ValueError, MemoryError, OverflowError):
        return False
    return hmac.compare_digest(found, bytes.fromhex(match[5]))
