"""Enumerations of T-Library with their published numbers."""

from enum import IntEnum, IntFlag


class CallType(IntEnum):
    """Kind of a call as this switch sees it (published T-Library numbers)."""

    Unknown = 0
    Internal = 1
    Inbound = 2
    Outbound = 3
    Consult = 4


class CallState(IntEnum):
    """Why a call event happened (published T-Library numbers)."""

    Ok = 0
    Transferred = 1
    Conferenced = 2
    GeneralError = 3
    SystemError = 4
    RemoteRelease = 5
    Busy = 6
    NoAnswer = 7
    SitDetected = 8
    AnsweringMachineDetected = 9
    AllTrunksBusy = 10
    SitInvalidnum = 11
    SitVacant = 12
    SitIntercept = 13
    SitUnknown = 14
    SitNocircuit = 15
    SitReorder = 16
    FaxDetected = 17
    QueueFull = 18
    Cleared = 19
    Overflowed = 20
    Abandoned = 21
    Redirected = 22
    Forwarded = 23
    Consult = 24
    Pickedup = 25
    Dropped = 26
    Droppednoanswer = 27
    Unknown = 28
    Covered = 29
    ConverseOn = 30
    Bridged = 31
    Deafened = 49
    Held = 50


class DNRole(IntEnum):
    """Role of a DN in a call or in what happened to it (published T-Library numbers)."""

    Unknown = 0
    Origination = 1
    Destination = 2
    ConferenceMember = 3
    NewParty = 4
    AddedBy = 5
    DeletedBy = 6
    TransferredBy = 7
    DeletedParty = 8
    ConferencedBy = 9
    Observer = 10


class AgentWorkMode(IntEnum):
    """Work mode of an agent (published T-Library numbers); LegalGuard is AutoIn in a NotReady event."""

    Unknown = 0
    ManualIn = 1
    AutoIn = 2
    LegalGuard = 2
    AfterCallWork = 3
    AuxWork = 4
    NoCallDisconnect = 5
    WalkAway = 6
    ReturnBack = 7


class AddressType(IntEnum):
    """Kind of an address (published T-Library numbers)."""

    Unknown = 0
    DN = 1
    Position = 2
    Queue = 3
    RouteDN = 4
    Trunk = 5
    VoiceChannel = 6
    DataChannel = 7
    Announcement = 8
    ASAI = 9
    ACDGroup = 10
    VSP = 11
    RouteQueue = 12
    AgentID = 13
    Other = 99


class RegisterMode(IntEnum):
    """How a registration shares the DN (published T-Library numbers)."""

    Share = 0
    Private = 1
    Monitor = 2


class ControlMode(IntEnum):
    """How a registration reaches the switch (published T-Library numbers)."""

    RegisterDefault = 0
    RegisterForce = 1
    RegisterLocal = 2


class RouteType(IntEnum):
    """What a route request asks for (published T-Library numbers)."""

    Unknown = 0
    Default = 1
    Label = 2
    OverwriteDNIS = 3
    DDD = 4
    IDDD = 5
    Direct = 6
    Reject = 7
    Announcement = 8
    PostFeature = 9
    DirectAgent = 10
    Priority = 11
    DirectPriority = 12
    AgentID = 13
    CallDisconnect = 14


class MakeCallType(IntEnum):
    """Kind of call a program makes (published T-Library numbers)."""

    Regular = 0
    DirectAgent = 1
    SupervisorAssist = 2
    Priority = 3
    DirectPriority = 4


class AddressInfoType(IntEnum):
    """What an address query asks for (published T-Library numbers)."""

    AddressStatus = 0
    MessageWaitingStatus = 1
    AssociationStatus = 2
    CallForwardingStatus = 3
    AgentStatus = 4
    NumberOfAgentsInQueue = 5
    NumberOfAvailableAgentsInQueue = 6
    NumberOfCallsInQueue = 7
    AddressType = 8
    CallsQuery = 9
    SendAllCallsStatus = 10
    QueueLoginAudit = 11
    NumberOfIdleTrunks = 14
    NumberOfTrunksInUse = 15
    DatabaseValue = 16
    DNStatus = 17
    QueueStatus = 18


class AddressStatus(IntEnum):
    """State of an address (published T-Library numbers)."""

    Idle = 0
    Origination = 1
    Dialing = 2
    Talking = 3
    Ringing = 4
    Held = 5
    Treatment = 6
    LockedOut = 7
    Maintenance = 8
    Available = 9
    Vacant = 10


class ForwardMode(IntEnum):
    """When a DN forwards its calls (published T-Library numbers)."""

    None_ = 0
    Unconditional = 1
    OnBusy = 2
    OnNoAnswer = 3
    OnBusyAndNoAnswer = 4
    SendAllCalls = 5


class ServerRole(IntEnum):
    """Which of a pair a server is (published T-Library numbers)."""

    Primary = 0
    Backup = 1


class PartyState(IntFlag):
    """State of a party: low digit the state, the rest modifiers (published T-Library numbers)."""

    NULL = 0x0
    Initiated = 0x1
    Queued = 0x9
    Alerting = 0xA
    Busy = 0xB
    Connected = 0xC
    CPDetect = 0xD
    Held = 0xE
    Failed = 0xF
    NoListen = 0x10
    NoTalk = 0x20
    Bridged = 0x40
    Audit = 0x80
    SvcObserving = 0xA0
    TreatmentReq = 0x100
    Treatment = 0x200
    Routing = 0x800
    Dialing = 0x10000
    Uncertain = 0x20000


class TreatmentType(IntEnum):
    """What is played to, or asked of, a waiting caller (published T-Library numbers)."""

    Unknown = 0
    IVR = 1
    Music = 2
    RingBack = 3
    Silence = 4
    Busy = 5
    CollectDigits = 6
    PlayAnnouncement = 7
    PlayAnnouncementAndDigits = 8
    VerifyDigits = 9
    RecordUserAnnouncement = 10
    DeleteUserAnnouncement = 11
    CancelCall = 12
    PlayApplication = 13
    SetDefaultRoute = 14
    TextToSpeech = 15
    TextToSpeechAndDigits = 16
    FastBusy = 17
    RAN = 18


class XRouteType(IntEnum):
    """How a call goes to another site (published T-Library numbers; on the wire -1 is 4294967295)."""

    Default = -1
    Route = 0
    Direct = 1
    Reroute = 2
    DirectUUI = 3
    DirectANI = 4
    DirectNoToken = 5
    DNISPooling = 6
    DirectDigits = 7
    PullBack = 8
    ExtProtocol = 9
    RouteUUI = 10
    DirectNetworkCallID = 11


class MergeType(IntEnum):
    """What two merged calls become (published T-Library numbers)."""

    Transfer = 0
    Conference = 1


class AgentType(IntEnum):
    """Kind of an agent at login (published T-Library numbers)."""

    Agent = 0
    Supervisor = 1


class MonitorNextCallType(IntEnum):
    """How many calls are supervised (published T-Library numbers)."""

    OneCall = 0
    AllCalls = 1


class OpenMode(IntEnum):
    """How a client library opens a server (published T-Library numbers; not on the wire)."""

    Sync = 0
    Async = 1


class CallInfoType(IntEnum):
    """What a call query asks for (published T-Library numbers)."""

    PartiesQuery = 0
    StatusQuery = 1


class SwitchInfoType(IntEnum):
    """What a switch query asks for (published T-Library numbers)."""

    DateTime = 1
    ClassifierStat = 2


class LocationInfoType(IntEnum):
    """What a location query asks for, and what its answer tells (published T-Library numbers)."""

    AllLocations = 0
    LocationData = 1
    MonitorLocation = 2
    CancelMonitorLocation = 3
    MonitorAllLocations = 4
    CancelMonitorAllLocations = 5
    LocationMonitorCanceled = 6
    AllLocationsMonitorCanceled = 7


class MediaType(IntEnum):
    """Medium of an interaction (published T-Library numbers; 100 and above are a site's own)."""

    Voice = 0
    VoIP = 1
    EMail = 2
    VMail = 3
    SMail = 4
    Chat = 5
    Video = 6
    Cobrowsing = 7
    Whiteboard = 8
    AppSharing = 9
    WebForm = 10
    WorkItem = 11


class NetworkCallState(IntEnum):
    """State of a network attended transfer (published T-Library numbers)."""

    Unknown = 0
    Consulting = 1
    ConsultHeld = 2
    Transferred = 3
    Conferenced = 4
    Reconnected = 5
    Disconnected = 6
    Null = 7


class NetworkDestState(IntEnum):
    """State of the target of a network attended transfer (published T-Library numbers)."""

    Unknown = 0
    Routing = 1
    Delivering = 2
    NoParty = 3
    Failed = 3
    Ok = 4


class NetworkPartyRole(IntEnum):
    """Role of a party of a network attended transfer (published T-Library numbers)."""

    Unknown = 0
    Origination = 1
    Destination = 2


class DigitsClearFlag(IntEnum):
    """What becomes of digits that were collected before (published T-Library numbers)."""

    Clear = 1
    Keep = 2


class SubscriptionOperation(IntEnum):
    """What RequestTransactionMonitoring does (published names; the numbers are ours)."""

    Start = 1
    Stop = 2
    Modify = 3


ENUMERATIONS: dict[str, type[IntEnum] | type[IntFlag]] = {
    kind.__name__: kind
    for kind in (
        CallType,
        CallState,
        DNRole,
        AgentWorkMode,
        AddressType,
        RegisterMode,
        ControlMode,
        RouteType,
        MakeCallType,
        AddressInfoType,
        AddressStatus,
        ForwardMode,
        ServerRole,
        PartyState,
        TreatmentType,
        XRouteType,
        MergeType,
        AgentType,
        MonitorNextCallType,
        OpenMode,
        CallInfoType,
        SwitchInfoType,
        LocationInfoType,
        MediaType,
        NetworkCallState,
        NetworkDestState,
        NetworkPartyRole,
        DigitsClearFlag,
        SubscriptionOperation,
    )
}
"""Every enumeration by its name."""
