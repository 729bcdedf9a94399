"""Which attributes each request carries, as data (parameters of the published prototypes of T-Library functions).

A parameter without which the function makes no sense is mandatory; one for which a server has a default is
optional, so that a request need not say it. ReferenceID is the header's. The second call is TransferConnID,
ConferenceConnID or PreviousConnID, as public client programs have it. Requests whose parameters are not
public (RegisterAll, SetDNInfo, SetCallInfo, StartCallMonitoring and the like) are ours where they have any.
"""

from .attributes import Attribute as A
from .messages import MessageType as M

_LISTS = (A.Reasons, A.Extensions)
_DN = (A.ThisDN,)
_CALL = (A.ThisDN, A.ConnID)
_TO = (A.ThisDN, A.ConnID, A.OtherDN)
_PLACE = (A.Location, A.UserData, *_LISTS)
_NETWORK = (A.HomeLocation, *_LISTS)
_AGENT = (A.ThisQueue, A.AgentWorkMode, *_LISTS)

REQUEST_ATTRIBUTES: dict[M, tuple[tuple[A, ...], tuple[A, ...]]] = {
    M.RequestRegisterClient: (
        (A.ProtocolVersion, A.ApplicationName, A.Role),
        (
            A.ApplicationPassword,
            A.SessionID,
            A.Capabilities,
            A.Resume,
            A.NodeName,
            A.KeepAlive,
            A.KeepAliveRemote,
        ),
    ),
    M.RequestQueryServer: ((), (A.Extensions,)),
    M.RequestQueryAddress: ((A.ThisDN, A.AddressInfoType), (A.AddressType, A.ThisQueue, A.Extensions)),
    M.RequestRegisterAddress: (_DN, (A.RegisterMode, A.ControlMode, A.AddressType, A.Extensions)),
    M.RequestUnregisterAddress: (_DN, (A.ControlMode, A.Extensions)),
    M.RequestRegisterAll: ((), (A.Extensions,)),
    M.RequestUnregisterAll: ((), (A.Extensions,)),
    M.RequestSetInputMask: ((A.InputMask,), ()),
    M.RequestAgentLogin: ((A.ThisDN, A.AgentID), (A.AgentType, A.Password, *_AGENT)),
    M.RequestAgentLogout: (_DN, (A.ThisQueue, *_LISTS)),
    M.RequestAgentReady: (_DN, _AGENT),
    M.RequestAgentNotReady: (_DN, _AGENT),
    M.RequestSetDNDOn: (_DN, _LISTS),
    M.RequestSetDNDOff: (_DN, _LISTS),
    M.RequestMakeCall: ((A.ThisDN, A.OtherDN), (A.MakeCallType, *_PLACE)),
    M.RequestMakePredictiveCall: ((A.ThisDN, A.OtherDN), (A.Timeout, A.UserData, *_LISTS)),
    M.RequestAnswerCall: (_CALL, _LISTS),
    M.RequestReleaseCall: (_CALL, _LISTS),
    M.RequestHoldCall: (_CALL, _LISTS),
    M.RequestRetrieveCall: (_CALL, _LISTS),
    M.RequestInitiateConference: (_TO, _PLACE),
    M.RequestCompleteConference: ((*_CALL, A.ConferenceConnID), _LISTS),
    M.RequestDeleteFromConference: (_TO, _LISTS),
    M.RequestInitiateTransfer: (_TO, _PLACE),
    M.RequestMuteTransfer: (_TO, _PLACE),
    M.RequestSingleStepTransfer: (_TO, _PLACE),
    M.RequestCompleteTransfer: ((*_CALL, A.TransferConnID), _LISTS),
    M.RequestMergeCalls: ((*_CALL, A.TransferConnID, A.MergeType), _LISTS),
    M.RequestAlternateCall: ((*_CALL, A.PreviousConnID), _LISTS),
    M.RequestReconnectCall: ((*_CALL, A.PreviousConnID), _LISTS),
    M.RequestAttachUserData: ((*_CALL, A.UserData), _LISTS),
    M.RequestUpdateUserData: ((*_CALL, A.UserData), _LISTS),
    M.RequestDeleteUserData: (_CALL, _LISTS),
    M.RequestDeletePair: ((*_CALL, A.DataKey), _LISTS),
    M.RequestCallForwardSet: ((A.ThisDN, A.OtherDN), (A.ForwardMode, *_LISTS)),
    M.RequestCallForwardCancel: (_DN, (A.ForwardMode, *_LISTS)),
    M.RequestRouteCall: (_CALL, (A.OtherDN, A.RouteType, A.DNIS, *_PLACE)),
    M.RequestGiveMusicTreatment: (_CALL, (A.MusicPath, *_LISTS)),
    M.RequestGiveSilenceTreatment: (_CALL, _LISTS),
    M.RequestGiveRingBackTreatment: (_CALL, _LISTS),
    M.RequestLoginMailBox: ((A.ThisDN, A.UserID), (A.Password, *_LISTS)),
    M.RequestLogoutMailBox: (_DN, _LISTS),
    M.RequestOpenVoiceFile: ((A.ThisDN, A.VoiceFileName), _LISTS),
    M.RequestCloseVoiceFile: ((A.ThisDN, A.FileHandle), _LISTS),
    M.RequestPlayVoiceFile: (
        (*_CALL, A.FileHandle),
        (A.VoiceSegments, A.InterruptFlag, A.ClearFlag, *_LISTS),
    ),
    M.RequestCollectDigits: (
        (*_CALL, A.NumberOfDigits),
        (A.TerminateDigits, A.ClearFlag, A.Timeout, *_LISTS),
    ),
    M.RequestSetMessageWaitingOn: (_DN, _LISTS),
    M.RequestSetMessageWaitingOff: (_DN, _LISTS),
    M.RequestDistributeUserEvent: ((A.CommunicationDN,), (A.ThisDN, A.UserEvent, A.UserData, *_LISTS)),
    M.RequestDistributeEvent: ((A.CommunicationDN,), (A.ThisDN, A.UserEvent, A.UserData, *_LISTS)),
    M.RequestSendDTMF: ((*_CALL, A.DTMFDigits), _LISTS),
    M.RequestRedirectCall: (_TO, _LISTS),
    M.RequestListenDisconnect: (_TO, _LISTS),
    M.RequestListenReconnect: (_TO, _LISTS),
    M.RequestQueryCall: ((A.ConnID,), (A.ThisDN, A.CallInfoType, A.Extensions)),
    M.RequestClearCall: (_CALL, _LISTS),
    M.RequestSetCallInfo: (_CALL, (A.CallType, A.DNIS, A.ANI, A.UserData, *_LISTS)),
    M.RequestApplyTreatment: ((*_CALL, A.TreatmentType), (A.TreatmentParms, *_LISTS)),
    M.RequestSingleStepConference: (_TO, _PLACE),
    M.RequestQuerySwitch: ((A.SwitchInfoType,), (A.Extensions,)),
    M.RequestGetAccessNumber: (
        (A.OtherDN, A.Location),
        (A.ThisDN, A.ConnID, A.XRouteType, A.DNIS, A.ANI, A.UserData, *_LISTS),
    ),
    M.RequestCancelReqGetAccessNumber: ((A.XReferenceID,), (A.ThisDN, A.ConnID, *_LISTS)),
    M.RequestReserveAgent: ((), (A.ThisDN, A.AgentID, A.Place, A.Timeout, A.Priority, *_LISTS)),
    M.RequestReserveAgentAndGetAccessNumber: (
        (A.OtherDN, A.Location),
        (A.ThisDN, A.ConnID, A.AgentID, A.Place, A.Timeout, A.Priority, A.XRouteType, A.UserData, *_LISTS),
    ),
    M.RequestAgentSetIdleReason: ((A.ThisDN, A.AgentIdleReason), _LISTS),
    M.RequestLostBackupConnection: ((), (A.Extensions,)),
    M.RequestSetDNInfo: (_DN, (A.AddressType, A.DNSyncInfo, A.Extensions)),
    M.RequestQueryLocation: ((A.LocationInfoType,), (A.Location, A.Extensions)),
    M.RequestMonitorNextCall: ((A.ThisDN, A.OtherDN), (A.MonitorNextCallType, *_LISTS)),
    M.RequestCancelMonitoring: (_DN, (A.OtherDN, *_LISTS)),
    M.RequestSetMuteOn: (_CALL, _LISTS),
    M.RequestSetMuteOff: (_CALL, _LISTS),
    M.RequestPrivateService: ((A.PrivateMsgID,), (A.ThisDN, A.ConnID, A.UserData, *_LISTS)),
    M.RequestStartCallMonitoring: ((), (A.Extensions,)),
    M.RequestStopCallMonitoring: ((), (A.Extensions,)),
    M.RequestSendReturnReceipt: ((A.ReturnReceipt,), (A.ThisDN, A.ConnID, A.ReturnReceiptDN, *_LISTS)),
    M.RequestNetworkConsult: (_TO, (A.Location, A.UserData, *_NETWORK)),
    M.RequestNetworkAlternate: (_CALL, _NETWORK),
    M.RequestNetworkTransfer: (_CALL, _NETWORK),
    M.RequestNetworkMerge: (_CALL, _NETWORK),
    M.RequestNetworkReconnect: (_CALL, _NETWORK),
    M.RequestNetworkSingleStepTransfer: (_TO, (A.Location, A.UserData, *_NETWORK)),
    M.RequestNetworkPrivateService: (_CALL, (A.PrivateMsgID, A.UserData, *_NETWORK)),
    M.RequestTransactionMonitoring: ((A.SubscriptionOperation,), (A.SubscriptionID, A.Extensions)),
}
"""For each request (mandatory, optional) attributes."""
