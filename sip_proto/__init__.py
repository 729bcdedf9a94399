"""SIP without sockets: messages, transactions, dialogs, digest, SDP; `Endpoint` ties them together."""

from sip_proto.credentials import Account, Credentials
from sip_proto.digest import Challenger, Outcome, Verdict, digest_response, is_stale
from sip_proto.digest import answer as digest_answer
from sip_proto.endpoint import Endpoint
from sip_proto.errors import LocalError, ParseError
from sip_proto.headers import NameAddr, Via, parse_name_addr, parse_via
from sip_proto.ids import node_of_call_id, node_of_tag
from sip_proto.limits import Limits, Timings
from sip_proto.message import Message, Request, Response
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
    Output,
    Reanswered,
    ReinviteCancelled,
    Reinvited,
    Rejected,
    Requested,
    Rerefused,
    Responded,
    Ringing,
    Transmit,
    TransmitStream,
    Unanswerable,
)
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
from sip_proto.resolve import Naptr, Query, Resolved, ResolveOutput, Resolver, Srv, Target
from sip_proto.sdp import Sdp, audio, audio_answer, parse_sdp
from sip_proto.settings import EndpointSettings
from sip_proto.timers import TimerTable
from sip_proto.uri import Address, Uri, parse_uri
from sip_proto.validate import Rejection, validate

__all__ = [
    "Account",
    "Acked",
    "Address",
    "Answered",
    "Binding",
    "Cancelled",
    "Challenger",
    "Connect",
    "Credentials",
    "Dialog",
    "DialogChanged",
    "DialogEnded",
    "Disconnect",
    "Ended",
    "Endpoint",
    "EndpointSettings",
    "Failed",
    "Invited",
    "Limits",
    "LocalError",
    "Message",
    "NameAddr",
    "Naptr",
    "Outcome",
    "Output",
    "ParseError",
    "Query",
    "Reanswered",
    "Register",
    "Registered",
    "Registration",
    "RegistrationFailed",
    "RegistrationOutput",
    "RegistrationSettings",
    "ReinviteCancelled",
    "Reinvited",
    "Rejected",
    "Rejection",
    "Request",
    "Requested",
    "Rerefused",
    "ResolveOutput",
    "Resolved",
    "Resolver",
    "Responded",
    "Response",
    "Ringing",
    "Sdp",
    "Srv",
    "Target",
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
    "is_stale",
    "node_of_call_id",
    "node_of_tag",
    "parse",
    "parse_name_addr",
    "parse_sdp",
    "parse_uri",
    "parse_via",
    "validate",
]
