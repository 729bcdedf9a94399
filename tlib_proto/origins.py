"""Where each number and name of the catalogue comes from."""

from enum import IntEnum, IntFlag, StrEnum

from . import enumerations as e
from .attributes import Attribute
from .error_codes import ErrorCode
from .messages import MESSAGE_NAMES, MessageType


class Origin(StrEnum):
    """How a number or a table is known; the words of the test vectors' `provenance`."""

    DOCUMENTED = "documented"
    OBSERVED = "observed"
    PROJECT = "project"


ORIGIN_TEXTS: dict[Origin, str] = {
    Origin.DOCUMENTED: "the vendor's public reference pages print it",
    Origin.OBSERVED: "public log tools, log excerpts, client programs or interface numbers show it",
    Origin.PROJECT: "ours: the vendor has not published it, or it is our addition",
}

SOURCES: dict[str, tuple[Origin, str]] = {
    "message ids": (
        Origin.OBSERVED,
        "github.com/ssydoruk/logbrowser (table of ids), ids printed in public log excerpts",
    ),
    "request parameters": (Origin.DOCUMENTED, "docs.genesys.com/Documentation/PSDK/8.5.x/TlibRef"),
    "event contents": (
        Origin.DOCUMENTED,
        "docs.genesys.com/Documentation/System/Current/GenEM/TLibraryEvents",
    ),
    "attribute ids": (Origin.OBSERVED, "names in every public log; numbers of the published C interface"),
    "error numbers": (Origin.OBSERVED, "numbers and texts in public client programs and the C interface"),
    "wire types, frames, sessions": (Origin.PROJECT, "docs/specs/tlib-wire.md"),
}
"""What was read where; one row a part of the catalogue."""

_OURS_FROM = 1000
_UNDOCUMENTED_REQUESTS = frozenset(
    (
        MessageType.RequestRegisterAll,
        MessageType.RequestUnregisterAll,
        MessageType.RequestSetDNInfo,
        MessageType.RequestSetCallInfo,
        MessageType.RequestStartCallMonitoring,
        MessageType.RequestStopCallMonitoring,
        MessageType.RequestSendReturnReceipt,
        MessageType.RequestAgentSetIdleReason,
        MessageType.RequestLostBackupConnection,
        MessageType.RequestGetAccessNumber,
        MessageType.RequestCancelReqGetAccessNumber,
        MessageType.RequestReserveAgentAndGetAccessNumber,
        MessageType.RequestGiveMusicTreatment,
        MessageType.RequestGiveSilenceTreatment,
        MessageType.RequestGiveRingBackTreatment,
    )
)
_DOCUMENTED_EVENTS = frozenset(
    (
        MessageType.EventServerConnected,
        MessageType.EventServerDisconnected,
        MessageType.EventLinkConnected,
        MessageType.EventLinkDisconnected,
        MessageType.EventRegistered,
        MessageType.EventUnregistered,
        MessageType.EventAddressInfo,
        MessageType.EventRouteRequest,
        MessageType.EventRouteUsed,
        MessageType.EventTreatmentApplied,
        MessageType.EventTreatmentEnd,
        MessageType.EventTreatmentNotApplied,
        MessageType.EventAbandoned,
        MessageType.EventDestinationBusy,
        MessageType.EventDialing,
        MessageType.EventDiverted,
        MessageType.EventEstablished,
        MessageType.EventHeld,
        MessageType.EventNetworkReached,
        MessageType.EventPartyChanged,
        MessageType.EventPartyDeleted,
        MessageType.EventQueued,
        MessageType.EventReleased,
        MessageType.EventRetrieved,
        MessageType.EventRinging,
        MessageType.EventAgentLogin,
        MessageType.EventAgentLogout,
        MessageType.EventQueueLogout,
        MessageType.EventAgentReady,
        MessageType.EventAgentNotReady,
        MessageType.EventACK,
        MessageType.EventAgentReserved,
        MessageType.EventPrivateInfo,
        MessageType.EventError,
        MessageType.EventNetworkCallStatus,
        MessageType.EventCallCreated,
        MessageType.EventAttachedDataChanged,
        MessageType.EventTransactionStatus,
    )
)
_DOCUMENTED_ENUMERATIONS: tuple[type[IntEnum] | type[IntFlag], ...] = (
    e.CallType,
    e.CallState,
    e.DNRole,
    e.AgentWorkMode,
    e.TreatmentType,
    e.RouteType,
    e.PartyState,
)
_SEEN_CODES = frozenset(
    (
        ErrorCode.OUT_OF_SERVICE,
        ErrorCode.NOT_CONFIGURED,
        ErrorCode.INVALID_CALLED_DN,
        ErrorCode.WRONG_SET_STATE,
        ErrorCode.INVALID_AGENT_ID,
        ErrorCode.INVALID_REQUEST_STATE,
        ErrorCode.INCOMPATIBLE_WITH_OBJECT,
    )
)
_GUESSED_ATTRIBUTES = frozenset((Attribute.VoiceSegments, Attribute.InterruptFlag, Attribute.ClearFlag))


def message_origin(number: int) -> Origin:
    """Where a message id comes from."""
    return Origin.PROJECT if number >= _OURS_FROM else Origin.OBSERVED


def contents_origin(number: int) -> Origin:
    """Where the attributes of a message come from; those without a public table are ours."""
    request = MESSAGE_NAMES.get(number, "").startswith("Request") and number not in _UNDOCUMENTED_REQUESTS
    return Origin.DOCUMENTED if request or number in _DOCUMENTED_EVENTS else Origin.PROJECT


def attribute_origin(number: int) -> Origin:
    """Where an attribute id comes from; its wire type is ours in any case."""
    return Origin.PROJECT if number >= _OURS_FROM or number in _GUESSED_ATTRIBUTES else Origin.OBSERVED


def enumeration_origin(kind: type[IntEnum] | type[IntFlag]) -> Origin:
    """Where the numbers of an enumeration come from."""
    if kind is e.SubscriptionOperation:
        return Origin.PROJECT
    return Origin.DOCUMENTED if kind in _DOCUMENTED_ENUMERATIONS else Origin.OBSERVED


def error_source(number: int) -> str:
    """Where an error number comes from, in words."""
    if number in _SEEN_CODES:
        return "in texts of public logs or client programs"
    if number < 60:
        return "general, TERR_ name published"
    if number < 1000:
        return "a family of switches; name ours"
    if number < 1100:
        return "between sites (ISCC); name ours"
    if number < 1200:
        return "CSTA-like; name ours"
    return "features of servers; name ours"
