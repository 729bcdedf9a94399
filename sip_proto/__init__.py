"""SIP without sockets: messages, transactions, dialogs, digest, SDP; `Endpoint` ties them together."""

from sip_proto import fields, third_party
from sip_proto.credentials import Account, Credentials
from sip_proto.digest import Challenger, Outcome, Verdict, digest_response, is_stale
from sip_proto.digest import answer as digest_answer
from sip_proto.endpoint import Endpoint
from sip_proto.errors import LocalError, ParseError
from sip_proto.fields import Field
from sip_proto.framing import BrokenFraming, KeepAlive, StreamFramer
from sip_proto.headers import NameAddr, Via, parse_name_addr, parse_via
from sip_proto.ids import node_of_call_id, node_of_tag
from sip_proto.limits import Limits, Timings
from sip_proto.message import Keys, Message, Request, Response
from sip_proto.multipart import Part, multipart_body, parts_of
from sip_proto.parser import parse
from sip_proto.records import (
    Acked,
    Answered,
    Cancelled,
    Connect,
    Dialog,
    DialogChanged,
    DialogEnded,
    Disconnect,
    Ended,
    Failed,
    Invited,
    Notified,
    NotifyLost,
    OfferAnswered,
    Offered,
    OfferRefused,
    OfferWithdrawn,
    Output,
    Pracked,
    Rejected,
    RenewalRefused,
    Requested,
    Responded,
    Ringing,
    Subscribed,
    SubscriptionAsked,
    SubscriptionEnded,
    SubscriptionRenewed,
    Transmit,
    TransmitStream,
    Unanswerable,
)
from sip_proto.records_referral import ReferAnswered, ReferEnded, ReferProgress, Referred
from sip_proto.registrar import Binding, contact_value, contacts
from sip_proto.registration import (
    Register,
    Registered,
    Registration,
    RegistrationFailed,
    RegistrationOutput,
    RegistrationSettings,
    Unregistered,
)
from sip_proto.replaces import write_replaces
from sip_proto.resolve import Naptr, Query, Resolved, ResolveOutput, Resolver, Srv, Target
from sip_proto.same import Telephone, same_uri, telephone
from sip_proto.sdp import Codec, Sdp, Stream, audio, audio_answer, parse_sdp
from sip_proto.settings import EndpointSettings
from sip_proto.third_party import ThirdParty
from sip_proto.timers import TimerTable
from sip_proto.uri import Address, Uri, parse_uri, sip_uri, write_uri
from sip_proto.validate import Rejection, validate
from sip_proto.values_event import DialogId

__all__ = [
    "Account",
    "Acked",
    "Address",
    "Answered",
    "Binding",
    "BrokenFraming",
    "Cancelled",
    "Challenger",
    "Codec",
    "Connect",
    "Credentials",
    "Dialog",
    "DialogChanged",
    "DialogEnded",
    "DialogId",
    "Disconnect",
    "Ended",
    "Endpoint",
    "EndpointSettings",
    "Failed",
    "Field",
    "Invited",
    "KeepAlive",
    "Keys",
    "Limits",
    "LocalError",
    "Message",
    "NameAddr",
    "Naptr",
    "Notified",
    "NotifyLost",
    "OfferAnswered",
    "OfferRefused",
    "OfferWithdrawn",
    "Offered",
    "Outcome",
    "Output",
    "ParseError",
    "Part",
    "Pracked",
    "Query",
    "ReferAnswered",
    "ReferEnded",
    "ReferProgress",
    "Referred",
    "Register",
    "Registered",
    "Registration",
    "RegistrationFailed",
    "RegistrationOutput",
    "RegistrationSettings",
    "Rejected",
    "Rejection",
    "RenewalRefused",
    "Request",
    "Requested",
    "ResolveOutput",
    "Resolved",
    "Resolver",
    "Responded",
    "Response",
    "Ringing",
    "Sdp",
    "Srv",
    "Stream",
    "StreamFramer",
    "Subscribed",
    "SubscriptionAsked",
    "SubscriptionEnded",
    "SubscriptionRenewed",
    "Target",
    "Telephone",
    "ThirdParty",
    "TimerTable",
    "Timings",
    "Transmit",
    "TransmitStream",
    "Unanswerable",
    "Unregistered",
    "Uri",
    "Verdict",
    "Via",
    "audio",
    "audio_answer",
    "contact_value",
    "contacts",
    "digest_answer",
    "digest_response",
    "fields",
    "is_stale",
    "multipart_body",
    "node_of_call_id",
    "node_of_tag",
    "parse",
    "parse_name_addr",
    "parse_sdp",
    "parse_uri",
    "parse_via",
    "parts_of",
    "same_uri",
    "sip_uri",
    "telephone",
    "third_party",
    "validate",
    "write_replaces",
    "write_uri",
]
