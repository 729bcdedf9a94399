"""Attribute ids of T-Library (published numbers below 1000, ours above) and their wire types (ours).

15, 55, 85, 130 and 131 carry no published name. AgentType, CallHistory and the Subscription attributes are
published by name alone: their numbers are ours. 37 to 39 follow the order of TPlayVoice's parameters.
"""

from enum import IntEnum


class Attribute(IntEnum):
    """Attribute ids (published T-Library numbers below 1000); their names in logs begin with `Attribute`."""

    ProtocolVersion = 0
    ErrorMessage = 1
    ReferenceID = 2
    CallID = 3
    NodeID = 4
    NetworkCallID = 5
    NetworkNodeID = 6
    TransferredNetworkCallID = 7
    TransferredNetworkNodeID = 8
    ConnID = 9
    PreviousConnID = 10
    TransferConnID = 11
    ConferenceConnID = 12
    CallState = 13
    AgentID = 14
    AgentWorkMode = 16
    WorkMode = 16
    Reason = 17
    Reasons = 17
    DNIS = 18
    ANI = 19
    ThisDN = 20
    ThisQueue = 21
    ThisTrunk = 22
    ThisDNRole = 23
    OtherDN = 24
    OtherQueue = 25
    OtherTrunk = 26
    OtherDNRole = 27
    ThirdPartyDN = 28
    ThirdPartyQueue = 29
    ThirdPartyTrunk = 30
    ThirdPartyDNRole = 31
    MusicPath = 32
    VoiceFileName = 33
    FileHandle = 34
    UserID = 35
    Password = 36
    VoiceSegments = 37
    InterruptFlag = 38
    ClearFlag = 39
    NumberOfDigits = 40
    TerminateDigits = 41
    Timeout = 42
    CollectedDigits = 43
    LastDigit = 44
    LastCollectedDigit = 44
    InputMask = 45
    ErrorCode = 46
    AddressType = 47
    AddressMode = 48
    RegisterMode = 49
    ControlMode = 50
    UserData = 51
    DataKey = 52
    Extensions = 53
    CallType = 54
    AddressInfoType = 56
    InfoType = 56
    AddressInfoStatus = 57
    InfoStatus = 57
    UserEvent = 58
    CommunicationDN = 59
    RouteType = 60
    ServerVersion = 61
    ServerRole = 62
    ServerCapabilityMask = 63
    ApplicationName = 64
    ApplicationPassword = 65
    MergeType = 66
    ForwardMode = 67
    DTMFDigits = 68
    Location = 69
    RemoteLocation = 70
    RemoteConnID = 71
    RemoteDN = 72
    MakeCallType = 73
    CallInfoType = 74
    HomeLocation = 75
    CustomerID = 76
    FirstTransferHomeLocation = 77
    FirstTransferOrigDN = 78
    LastTransferHomeLocation = 79
    LastTransferOrigDN = 80
    SetOperation = 81
    NewConnID = 82
    TreatmentType = 83
    TreatmentParms = 84
    TreatmentParameters = 84
    TimeinSecs = 86
    TimeinuSecs = 87
    SwitchInfoType = 88
    XRouteType = 89
    AccessNumber = 90
    XReferenceID = 91
    Place = 92
    Priority = 93
    AgentIdleReason = 94
    RegistrationCode = 95
    DNSyncInfo = 96
    MediaType = 97
    LocationInfoType = 98
    OriginalConnID = 99
    ConsultType = 100
    MonitorNextCallType = 101
    ClientID = 102
    ProtocolID = 103
    PreviousCallID = 104
    PrivateMsgID = 105
    FirstTransferConnID = 106
    LastTransferConnID = 107
    SessionID = 108
    Host = 109
    Port = 110
    DBID = 111
    OtherDBID = 112
    ThirdPartyDBID = 113
    Cause = 114
    DN = 115
    DialedNumber = 116
    OriginConnID = 117
    RefConnID = 118
    Reliability = 119
    TimeStamp = 120
    SwitchTime = 121
    PartyID = 122
    PartyType = 123
    PartyState = 124
    RefParty = 125
    CtrlParty = 126
    RemoteLoc = 127
    RemoteParty = 128
    Device = 129
    UpdateRevision = 132
    ReturnReceipt = 133
    ReturnReceiptDN = 134
    ServerXCapabilities = 135
    NetworkCallState = 136
    NetworkDestState = 137
    NetworkPartyRole = 138
    NetworkOrigDN = 139
    NetworkDestDN = 140
    CallUUID = 141
    NewCallUUID = 142
    OrigCallUUID = 143
    RefCallUUID = 144
    PartyUUID = 145
    ISLinkList = 146
    ServerStartTime = 147
    EventSequenceNumber = 148
    # ours: the published numbers end below 1000
    Role = 1000
    Capabilities = 1001
    Resume = 1002
    NodeName = 1003
    DNEpoch = 1004
    DNSequence = 1005
    Source = 1006
    PeerBody = 1007
    KeepAlive = 1008
    Subject = 1009
    KeepAliveRemote = 1010
    AgentType = 1011
    CallHistory = 1012
    SubscriptionID = 1013
    SubscriptionOperation = 1014


class AttributeType(IntEnum):
    """Wire type of an attribute's value (ours)."""

    U32 = 1
    U64 = 2
    TEXT = 3
    KVLIST = 4
    BYTES = 5


_BY_TYPE: dict[AttributeType, tuple[Attribute, ...]] = {
    AttributeType.U32: (
        Attribute.ReferenceID,
        Attribute.CallID,
        Attribute.NodeID,
        Attribute.NetworkNodeID,
        Attribute.TransferredNetworkNodeID,
        Attribute.CallState,
        Attribute.AgentWorkMode,
        Attribute.ThisTrunk,
        Attribute.ThisDNRole,
        Attribute.OtherTrunk,
        Attribute.OtherDNRole,
        Attribute.ThirdPartyTrunk,
        Attribute.ThirdPartyDNRole,
        Attribute.FileHandle,
        Attribute.InterruptFlag,
        Attribute.ClearFlag,
        Attribute.NumberOfDigits,
        Attribute.Timeout,
        Attribute.ErrorCode,
        Attribute.AddressType,
        Attribute.AddressMode,
        Attribute.RegisterMode,
        Attribute.ControlMode,
        Attribute.CallType,
        Attribute.AddressInfoType,
        Attribute.AddressInfoStatus,
        Attribute.UserEvent,
        Attribute.RouteType,
        Attribute.ServerRole,
        Attribute.MergeType,
        Attribute.ForwardMode,
        Attribute.MakeCallType,
        Attribute.CallInfoType,
        Attribute.SetOperation,
        Attribute.TreatmentType,
        Attribute.TimeinSecs,
        Attribute.TimeinuSecs,
        Attribute.SwitchInfoType,
        Attribute.XRouteType,
        Attribute.XReferenceID,
        Attribute.Priority,
        Attribute.AgentIdleReason,
        Attribute.RegistrationCode,
        Attribute.MediaType,
        Attribute.LocationInfoType,
        Attribute.ConsultType,
        Attribute.MonitorNextCallType,
        Attribute.ClientID,
        Attribute.ProtocolID,
        Attribute.PreviousCallID,
        Attribute.PrivateMsgID,
        Attribute.Port,
        Attribute.DBID,
        Attribute.OtherDBID,
        Attribute.ThirdPartyDBID,
        Attribute.Cause,
        Attribute.Reliability,
        Attribute.PartyType,
        Attribute.PartyState,
        Attribute.UpdateRevision,
        Attribute.ReturnReceipt,
        Attribute.NetworkCallState,
        Attribute.NetworkDestState,
        Attribute.NetworkPartyRole,
        Attribute.KeepAlive,
        Attribute.Subject,
        Attribute.KeepAliveRemote,
        Attribute.AgentType,
        Attribute.SubscriptionOperation,
    ),
    AttributeType.U64: (
        Attribute.NetworkCallID,
        Attribute.TransferredNetworkCallID,
        Attribute.ConnID,
        Attribute.PreviousConnID,
        Attribute.TransferConnID,
        Attribute.ConferenceConnID,
        Attribute.RemoteConnID,
        Attribute.NewConnID,
        Attribute.OriginalConnID,
        Attribute.FirstTransferConnID,
        Attribute.LastTransferConnID,
        Attribute.OriginConnID,
        Attribute.RefConnID,
        Attribute.TimeStamp,
        Attribute.SwitchTime,
        Attribute.ServerStartTime,
        Attribute.EventSequenceNumber,
        Attribute.DNEpoch,
        Attribute.DNSequence,
    ),
    AttributeType.TEXT: (
        Attribute.ProtocolVersion,
        Attribute.ErrorMessage,
        Attribute.AgentID,
        Attribute.DNIS,
        Attribute.ANI,
        Attribute.ThisDN,
        Attribute.ThisQueue,
        Attribute.OtherDN,
        Attribute.OtherQueue,
        Attribute.ThirdPartyDN,
        Attribute.ThirdPartyQueue,
        Attribute.MusicPath,
        Attribute.VoiceFileName,
        Attribute.VoiceSegments,
        Attribute.UserID,
        Attribute.Password,
        Attribute.TerminateDigits,
        Attribute.CollectedDigits,
        Attribute.LastDigit,
        Attribute.DataKey,
        Attribute.CommunicationDN,
        Attribute.ServerVersion,
        Attribute.ApplicationName,
        Attribute.ApplicationPassword,
        Attribute.DTMFDigits,
        Attribute.Location,
        Attribute.RemoteLocation,
        Attribute.RemoteDN,
        Attribute.HomeLocation,
        Attribute.CustomerID,
        Attribute.FirstTransferHomeLocation,
        Attribute.FirstTransferOrigDN,
        Attribute.LastTransferHomeLocation,
        Attribute.LastTransferOrigDN,
        Attribute.AccessNumber,
        Attribute.Place,
        Attribute.SessionID,
        Attribute.Host,
        Attribute.DN,
        Attribute.DialedNumber,
        Attribute.PartyID,
        Attribute.RefParty,
        Attribute.CtrlParty,
        Attribute.RemoteLoc,
        Attribute.RemoteParty,
        Attribute.Device,
        Attribute.ReturnReceiptDN,
        Attribute.NetworkOrigDN,
        Attribute.NetworkDestDN,
        Attribute.CallUUID,
        Attribute.NewCallUUID,
        Attribute.OrigCallUUID,
        Attribute.RefCallUUID,
        Attribute.PartyUUID,
        Attribute.Role,
        Attribute.Resume,
        Attribute.NodeName,
        Attribute.Source,
        Attribute.SubscriptionID,
    ),
    AttributeType.KVLIST: (
        Attribute.Reason,
        Attribute.UserData,
        Attribute.Extensions,
        Attribute.TreatmentParms,
        Attribute.DNSyncInfo,
        Attribute.ServerXCapabilities,
        Attribute.ISLinkList,
        Attribute.Capabilities,
        Attribute.CallHistory,
    ),
    AttributeType.BYTES: (
        Attribute.InputMask,
        Attribute.ServerCapabilityMask,
        Attribute.PeerBody,
    ),
}

ATTRIBUTE_TYPES: dict[int, AttributeType] = {
    int(attribute): kind for kind, attributes in _BY_TYPE.items() for attribute in attributes
}
"""Wire type of every known attribute id; another type on the wire is kept as `Unknown`."""

ATTRIBUTE_NAMES: dict[int, str] = {int(attribute): attribute.name for attribute in Attribute}

ADDED_LATER: frozenset[int] = frozenset(
    (Attribute.TimeinSecs, Attribute.TimeinuSecs, Attribute.EventSequenceNumber, Attribute.ServerStartTime)
)
"""Attributes that the node gives an event when it leaves, so that a builder need not have them."""
