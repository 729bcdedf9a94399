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
    A.CallHistory,
    *_ANY,
)
_AGENT = (A.ThisDN, *_TIME)
_AGENT_OPTIONAL = (A.AgentID, A.Reasons, A.ThisQueue, A.AgentWorkMode, A.Place, *_ANY)
_DN_OPTIONAL = (A.Reasons, A.AddressType, A.AddressInfoType, A.AddressInfoStatus, *_ANY)

_CALL_PARTY = (
    A.ConnID,
    A.ThisDN,
    A.DN,
    A.PartyID,
    A.PartyType,
    A.PartyState,
    A.RefParty,
    A.CtrlParty,
    A.RefConnID,
    A.RefCallUUID,
    A.Cause,
    A.Device,
    A.SwitchTime,
    A.Reliability,
    *_ANY,
)


def _without(attributes: tuple[A, ...], *gone: A) -> tuple[A, ...]:
    return tuple(a for a in attributes if a not in gone)


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
            A.KeepAliveRemote,
            A.Role,
            *_ANY,
        ),
    ),
    M.EventLinkDisconnected: (_TIME, (A.ApplicationName, A.SessionID, A.ErrorCode, A.ErrorMessage, *_ANY)),
    M.EventServerInfo: (
        _TIME,
        (A.ServerVersion, A.ServerRole, A.ServerCapabilityMask, A.ServerXCapabilities, A.NodeName, *_ANY),
    ),
    M.EventError: ((A.ErrorCode, *_TIME), (A.ErrorMessage, A.ConnID, A.ThisDN, *_ANY)),
    M.EventACK: (_TIME, (A.UserEvent, A.SubscriptionID, *_ANY)),
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
    # made by the client's library, never on the wire
    M.EventServerConnected: ((), (A.Extensions,)),
    M.EventServerDisconnected: ((), (A.Extensions,)),
    # what the published model says, or where it says nothing, what the request that leads to it has
    M.EventMailBoxLogin: (_AGENT, (A.UserID, *_DN_OPTIONAL)),
    M.EventMailBoxLogout: (_AGENT, (A.UserID, *_DN_OPTIONAL)),
    M.EventVoiceFileOpened: ((*_AGENT, A.FileHandle), (A.VoiceFileName, A.Reasons, *_ANY)),
    M.EventVoiceFileClosed: ((*_AGENT, A.FileHandle), (A.Reasons, *_ANY)),
    M.EventVoiceFileEndPlay: ((*_CALL, A.FileHandle), (A.Reasons, A.CallUUID, *_ANY)),
    M.EventDigitsCollected: (
        (*_CALL, A.CollectedDigits),
        (A.LastCollectedDigit, A.ThisDNRole, A.Reasons, A.UserData, A.CallUUID, *_ANY),
    ),
    M.EventForwardSet: (_AGENT, (A.OtherDN, A.ForwardMode, *_DN_OPTIONAL)),
    M.EventForwardCancel: (_AGENT, (A.OtherDN, A.ForwardMode, *_DN_OPTIONAL)),
    M.EventMessageWaitingOn: (_AGENT, _DN_OPTIONAL),
    M.EventMessageWaitingOff: (_AGENT, _DN_OPTIONAL),
    M.EventUserEvent: (_TIME, (A.CommunicationDN, A.ThisDN, A.UserEvent, A.UserData, A.Reasons, *_ANY)),
    M.EventDTMFSent: (
        _CALL,
        (A.DTMFDigits, A.ThisDNRole, A.OtherDN, A.Reasons, A.UserData, A.CallUUID, *_ANY),
    ),
    M.EventResourceAllocated: (_TIME, (A.ThisDN, A.ConnID, A.Reasons, *_ANY)),
    M.EventResourceFreed: (_TIME, (A.ThisDN, A.ConnID, A.Reasons, *_ANY)),
    M.EventRemoteConnectionSuccess: (
        (A.ConnID, *_TIME),
        (A.ThisDN, A.XReferenceID, A.RemoteConnID, A.RemoteDN, A.RemoteLocation, A.Reasons, *_ANY),
    ),
    M.EventRemoteConnectionFailed: (
        (A.ConnID, *_TIME),
        (
            A.ThisDN,
            A.XReferenceID,
            A.RemoteDN,
            A.RemoteLocation,
            A.ErrorCode,
            A.ErrorMessage,
            A.Reasons,
            *_ANY,
        ),
    ),
    M.EventListenDisconnected: _party(),
    M.EventListenReconnected: _party(),
    M.EventPartyInfo: (
        (A.ConnID, *_TIME),
        (A.ThisDN, A.CallInfoType, A.CallID, A.CallType, A.UserData, *_ANY),
    ),
    M.EventCallInfoChanged: (
        (A.ConnID, *_TIME),
        (A.ThisDN, A.CallID, A.CallType, A.ANI, A.DNIS, A.UserData, A.CallUUID, *_ANY),
    ),
    M.EventHardwareError: (_TIME, (A.ThisDN, A.ConnID, A.ErrorCode, A.ErrorMessage, *_ANY)),
    M.EventTreatmentRequired: (
        _CALL,
        (A.ThisDNRole, A.ThisQueue, A.TreatmentType, A.UserData, A.CallUUID, *_ANY),
    ),
    M.EventSwitchInfo: ((A.SwitchInfoType, *_TIME), _ANY),
    M.EventAnswerAccessNumber: (
        (A.AccessNumber, *_TIME),
        (A.XReferenceID, A.ConnID, A.ThisDN, A.Location, A.XRouteType, A.Reasons, *_ANY),
    ),
    M.EventReqGetAccessNumberCanceled: (_TIME, (A.XReferenceID, A.ConnID, A.ThisDN, A.Reasons, *_ANY)),
    M.EventAgentReserved: (_TIME, (A.AgentID, A.Place, A.ThisDN, A.Timeout, A.Reasons, *_ANY)),
    M.EventAgentIdleReasonSet: ((*_AGENT, A.AgentIdleReason), (A.AgentID, A.Reasons, *_ANY)),
    M.EventRestoreConnection: (_TIME, (A.SessionID, *_ANY)),
    M.EventPrimaryChanged: (_TIME, (A.ServerRole, A.ApplicationName, A.Host, A.Port, *_ANY)),
    M.EventLocationInfo: ((A.LocationInfoType, *_TIME), (A.Location, A.ErrorCode, A.ErrorMessage, *_ANY)),
    M.EventMonitoringNextCall: (
        (A.ThisDN, A.OtherDN, *_TIME),
        (A.MonitorNextCallType, A.AgentID, A.Reasons, *_ANY),
    ),
    M.EventMonitoringCancelled: ((A.ThisDN, A.OtherDN, *_TIME), (A.AgentID, A.Reasons, *_ANY)),
    M.EventMuteOn: _party(),
    M.EventMuteOff: _party(),
    M.EventBridged: _party(),
    M.EventCallPartyAdded: ((A.CallUUID, A.PartyUUID, *_TIME), _CALL_PARTY),
    M.EventCallPartyState: (
        (A.CallUUID, A.PartyUUID, A.PartyState, *_TIME),
        _without(_CALL_PARTY, A.PartyState),
    ),
    M.EventCallPartyMoved: ((A.CallUUID, A.PartyUUID, A.NewCallUUID, *_TIME), _CALL_PARTY),
    M.EventCallPartyDeleted: ((A.CallUUID, A.PartyUUID, *_TIME), _CALL_PARTY),
    M.EventReturnReceipt: (
        (A.ReturnReceipt, *_TIME),
        (A.ThisDN, A.ConnID, A.ReturnReceiptDN, A.Reasons, *_ANY),
    ),
    M.EventNetworkCallStatus: (
        (*_PARTY, A.NetworkCallState, A.NetworkPartyRole, A.NetworkDestState),
        (
            A.HomeLocation,
            A.NetworkOrigDN,
            A.NetworkDestDN,
            A.NetworkCallID,
            A.NetworkNodeID,
            A.Reasons,
            A.UserData,
            A.CallUUID,
            *_ANY,
        ),
    ),
    M.EventNetworkPrivateInfo: (
        (A.ConnID, *_TIME),
        (A.PrivateMsgID, A.ThisDN, A.HomeLocation, A.Reasons, A.UserData, *_ANY),
    ),
    M.EventTransactionStatus: ((A.SubscriptionID, *_TIME), _ANY),
}
"""For each event (mandatory, optional) attributes; EventReserved_1 to _7 have no published contents."""
