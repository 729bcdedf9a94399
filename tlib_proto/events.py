"""Which attributes each event carries, as data (Events and Models Reference, tables M and O of each event).

Mandatory ones that are not attributes of the body are left out: Event is the message id,
ReferenceID the header's, Server is known by the connection.
"""

from .attributes import Attribute as A
from .messages import MessageType as M

_TIME = (A.TimeinSecs, A.TimeinuSecs)
_ANY = (
    A.EventSequenceNumber,
    A.ServerStartTime,
    A.CustomerID,
    A.Extensions,
    A.DNEpoch,
    A.DNSequence,
    A.Source,
)
_CALL = (A.CallID, A.CallType, A.ConnID, A.ThisDN, *_TIME)
_PARTY = (*_CALL, A.ThisDNRole)
_CALL_OPTIONAL = (
    A.CallState,
    A.ThisDNRole,
    A.CallUUID,
    A.ANI,
    A.DNIS,
    A.NetworkCallID,
    A.NetworkNodeID,
    A.NodeID,
    A.OtherDN,
    A.OtherDNRole,
    A.OtherQueue,
    A.OtherTrunk,
    A.PreviousConnID,
    A.Reasons,
    A.ThirdPartyDN,
    A.ThirdPartyDNRole,
    A.ThirdPartyQueue,
    A.ThirdPartyTrunk,
    A.ThisQueue,
    A.ThisTrunk,
    A.TransferConnID,
    A.ConferenceConnID,
    A.UserData,
    A.AgentID,
    A.CollectedDigits,
    A.LastCollectedDigit,
    A.FirstTransferHomeLocation,
    A.FirstTransferOrigDN,
    A.FirstTransferConnID,
    A.LastTransferHomeLocation,
    A.LastTransferOrigDN,
    A.LastTransferConnID,
    A.TransferredNetworkCallID,
    A.TransferredNetworkNodeID,
    A.Place,
    *_ANY,
)
_AGENT = (A.ThisDN, *_TIME)
_AGENT_OPTIONAL = (A.AgentID, A.Reasons, A.ThisQueue, A.AgentWorkMode, A.Place, *_ANY)
_DN_OPTIONAL = (A.Reasons, A.AddressType, A.AddressInfoType, A.AddressInfoStatus, *_ANY)


def _party(*more: A) -> tuple[tuple[A, ...], tuple[A, ...]]:
    mandatory = (*_PARTY, *more)
    return mandatory, tuple(a for a in _CALL_OPTIONAL if a not in mandatory)


def _call(*more: A) -> tuple[tuple[A, ...], tuple[A, ...]]:
    mandatory = (*_CALL, *more)
    return mandatory, tuple(a for a in _CALL_OPTIONAL if a not in mandatory)


EVENT_ATTRIBUTES: dict[M, tuple[tuple[A, ...], tuple[A, ...]]] = {
    M.EventLinkConnected: (
        _TIME,
        (
            A.ApplicationName,
            A.SessionID,
            A.ProtocolVersion,
            A.Capabilities,
            A.NodeName,
            A.Resume,
            A.KeepAlive,
            A.Role,
            *_ANY,
        ),
    ),
    M.EventLinkDisconnected: (_TIME, (A.ApplicationName, A.SessionID, A.ErrorCode, A.ErrorMessage, *_ANY)),
    M.EventServerInfo: (
        _TIME,
        (A.ServerVersion, A.ServerRole, A.ServerCapabilityMask, A.ServerXCapabilities, *_ANY),
    ),
    M.EventError: ((A.ErrorCode, *_TIME), (A.ErrorMessage, A.ConnID, A.ThisDN, *_ANY)),
    M.EventACK: (_TIME, (A.UserEvent, *_ANY)),
    M.EventRegistered: (
        (A.ThisDN, A.AddressInfoType, A.Extensions, *_TIME),
        (A.AgentID, A.AddressInfoStatus, A.AddressType, *(a for a in _ANY if a != A.Extensions)),
    ),
    M.EventUnregistered: ((A.ThisDN, *_TIME), (A.ErrorCode, A.ErrorMessage, A.AddressType, *_ANY)),
    M.EventRegisteredAll: (_TIME, (A.AddressInfoStatus, *_ANY)),
    M.EventUnregisteredAll: (_TIME, _ANY),
    M.EventAddressInfo: (
        (A.ThisDN, A.AddressInfoType, A.AddressInfoStatus, *_TIME),
        (A.AgentID, A.CallID, A.ConnID, A.PreviousConnID, A.Reasons, A.ThisQueue, A.UserData, *_ANY),
    ),
    M.EventQueued: _party(A.ThisQueue),
    M.EventDiverted: _call(A.ThisQueue),
    M.EventAbandoned: _party(A.CallState),
    M.EventRinging: _party(A.CallState),
    M.EventDialing: _party(A.CallState),
    M.EventNetworkReached: _party(),
    M.EventDestinationBusy: _party(A.CallState),
    M.EventEstablished: _party(A.CallState),
    M.EventReleased: _party(A.CallState),
    M.EventHeld: _party(),
    M.EventRetrieved: _party(A.CallState),
    M.EventPartyChanged: _party(A.CallState),
    M.EventPartyAdded: _party(A.CallState),
    M.EventPartyDeleted: _party(A.CallState),
    M.EventRouteRequest: _call(A.ThisQueue),
    M.EventRouteUsed: _call(A.ThisQueue),
    M.EventAttachedDataChanged: (
        (A.CallID, A.CallType, A.ConnID, A.UserData, *_TIME),
        (
            A.ThisDN,
            A.ThisDNRole,
            A.ThirdPartyDN,
            A.ThisTrunk,
            A.ANI,
            A.DNIS,
            A.NetworkCallID,
            A.NetworkNodeID,
            A.TransferredNetworkCallID,
            A.TransferredNetworkNodeID,
            A.CallUUID,
            *_ANY,
        ),
    ),
    M.EventTreatmentApplied: (
        (*_PARTY, A.TreatmentType),
        (A.TreatmentParms, A.Reasons, A.TransferConnID, A.UserData, A.CallUUID, *_ANY),
    ),
    M.EventTreatmentEnd: (
        (*_PARTY, A.TreatmentType),
        (A.CollectedDigits, A.LastCollectedDigit, A.Reasons, A.UserData, A.CallUUID, *_ANY),
    ),
    M.EventTreatmentNotApplied: (
        (*_PARTY, A.TreatmentType, A.ErrorCode),
        (A.ErrorMessage, A.Reasons, A.UserData, A.CallUUID, *_ANY),
    ),
    M.EventAgentLogin: (_AGENT, _AGENT_OPTIONAL),
    M.EventAgentLogout: (_AGENT, _AGENT_OPTIONAL),
    M.EventQueueLogout: (_AGENT, _AGENT_OPTIONAL),
    M.EventAgentReady: (_AGENT, _AGENT_OPTIONAL),
    M.EventAgentNotReady: (_AGENT, _AGENT_OPTIONAL),
    M.EventAgentAfterCallWork: (_AGENT, _AGENT_OPTIONAL),
    M.EventDNDOn: (_AGENT, _DN_OPTIONAL),
    M.EventDNDOff: (_AGENT, _DN_OPTIONAL),
    M.EventDNOutOfService: (_AGENT, _DN_OPTIONAL),
    M.EventDNBackInService: (_AGENT, _DN_OPTIONAL),
    M.EventOffHook: (_AGENT, (A.ConnID, A.CallID, *_DN_OPTIONAL)),
    M.EventOnHook: (_AGENT, (A.ConnID, A.CallID, *_DN_OPTIONAL)),
    M.EventCallCreated: (
        (A.CallUUID, A.ConnID, *_TIME),
        (
            A.CallType,
            A.OrigCallUUID,
            A.CallID,
            A.NodeID,
            A.NetworkCallID,
            A.NetworkNodeID,
            A.ANI,
            A.DNIS,
            A.UserData,
            A.DialedNumber,
            A.ISLinkList,
            *_ANY,
        ),
    ),
    M.EventCallDataChanged: (
        (A.CallUUID, *_TIME),
        (
            A.ConnID,
            A.CallType,
            A.CallID,
            A.ANI,
            A.DNIS,
            A.UserData,
            A.ISLinkList,
            A.NewCallUUID,
            A.RefCallUUID,
            *_ANY,
        ),
    ),
    M.EventCallDeleted: (
        (A.CallUUID, *_TIME),
        (A.ConnID, A.CallID, A.CallType, A.Cause, A.RefCallUUID, *_ANY),
    ),
    M.EventPrivateInfo: ((A.PrivateMsgID, *_TIME), (A.ThisDN, A.ConnID, A.Reasons, A.UserData, *_ANY)),
    M.EventResourceInfo: (_TIME, (A.ThisDN, *_ANY)),
}
"""For each event (mandatory, optional) attributes."""
