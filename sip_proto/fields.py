"""Every header field that can be read typed: `message.one(fields.EXPIRES)`, `message.all(fields.ROUTE)`."""

from collections.abc import Callable
from typing import Generic, TypeVar

from sip_proto.headers import parse_auth, parse_cseq, parse_via
from sip_proto.values import (
    read_date,
    read_delay,
    read_item,
    read_number,
    read_octet,
    read_params,
    read_quoted_item,
    read_semicolons,
    read_text,
    read_timestamp,
    read_token,
    read_warning,
    read_word,
)
from sip_proto.values_address import read_address, read_contact, read_entry, read_info, read_route
from sip_proto.values_event import (
    read_dialog_id,
    read_event,
    read_rack,
    read_reason,
    read_session_id,
    read_subscription_state,
)
from sip_proto.values_media import read_disposition, read_media_type, read_version

T = TypeVar("T")


class Field(Generic[T]):
    """A header's canonical name, the reader of one value, whether commas part several, and the RFC (ours)."""

    __slots__ = ("many", "name", "read", "source")

    def __init__(self, name: str, read: Callable[[str], T], source: str, *, many: bool = False) -> None:
        self.name = name
        self.read = read
        self.source = source
        self.many = many

    def __repr__(self) -> str:
        return f"<Field {self.name}>"


ACCEPT = Field("Accept", read_media_type, "RFC 3261 20.1", many=True)
ACCEPT_CONTACT = Field("Accept-Contact", read_item, "RFC 3841 9.2", many=True)
ACCEPT_ENCODING = Field("Accept-Encoding", read_item, "RFC 3261 20.2", many=True)
ACCEPT_LANGUAGE = Field("Accept-Language", read_item, "RFC 3261 20.3", many=True)
ACCEPT_RESOURCE_PRIORITY = Field("Accept-Resource-Priority", read_token, "RFC 4412 3.2", many=True)
ALERT_INFO = Field("Alert-Info", read_info, "RFC 3261 20.4", many=True)
ALLOW = Field("Allow", read_token, "RFC 3261 20.5", many=True)
ALLOW_EVENTS = Field("Allow-Events", read_token, "RFC 6665 8.2.2", many=True)
ANSWER_MODE = Field("Answer-Mode", read_item, "RFC 5373 4.3.1")
AUTHENTICATION_INFO = Field("Authentication-Info", read_params, "RFC 3261 20.6")
AUTHORIZATION = Field("Authorization", parse_auth, "RFC 3261 20.7")
CALL_ID = Field("Call-ID", read_word, "RFC 3261 20.8")
CALL_INFO = Field("Call-Info", read_info, "RFC 3261 20.9", many=True)
CONTACT = Field("Contact", read_contact, "RFC 3261 20.10", many=True)
CONTENT_DISPOSITION = Field("Content-Disposition", read_disposition, "RFC 3261 20.11")
CONTENT_ENCODING = Field("Content-Encoding", read_token, "RFC 3261 20.12", many=True)
CONTENT_LANGUAGE = Field("Content-Language", read_token, "RFC 3261 20.13", many=True)
CONTENT_LENGTH = Field("Content-Length", read_number, "RFC 3261 20.14")
CONTENT_TYPE = Field("Content-Type", read_media_type, "RFC 3261 20.15")
CSEQ = Field("CSeq", parse_cseq, "RFC 3261 20.16")
DATE = Field("Date", read_date, "RFC 3261 20.17")
DIVERSION = Field("Diversion", read_route, "RFC 5806 4", many=True)
ERROR_INFO = Field("Error-Info", read_info, "RFC 3261 20.18", many=True)
EVENT = Field("Event", read_event, "RFC 6665 8.2.1")
EXPIRES = Field("Expires", read_number, "RFC 3261 20.19")
FEATURE_CAPS = Field("Feature-Caps", read_item, "RFC 6809 6.2", many=True)
FLOW_TIMER = Field("Flow-Timer", read_number, "RFC 5626 12")
FROM = Field("From", read_address, "RFC 3261 20.20")
GEOLOCATION = Field("Geolocation", read_info, "RFC 6442 4.1", many=True)
GEOLOCATION_ERROR = Field("Geolocation-Error", read_item, "RFC 6442 4.3")
GEOLOCATION_ROUTING = Field("Geolocation-Routing", read_item, "RFC 6442 4.2")
HISTORY_INFO = Field("History-Info", read_route, "RFC 7044 5", many=True)
IDENTITY = Field("Identity", read_item, "RFC 8224 4", many=True)
INFO_PACKAGE = Field("Info-Package", read_event, "RFC 6086 7.1")
IN_REPLY_TO = Field("In-Reply-To", read_word, "RFC 3261 20.21", many=True)
JOIN = Field("Join", read_dialog_id, "RFC 3911 7.1")
MAX_BREADTH = Field("Max-Breadth", read_number, "RFC 5393 5.3.1")
MAX_FORWARDS = Field("Max-Forwards", read_octet, "RFC 3261 20.22")
MIME_VERSION = Field("MIME-Version", read_version, "RFC 3261 20.24")
MIN_EXPIRES = Field("Min-Expires", read_number, "RFC 3261 20.23")
MIN_SE = Field("Min-SE", read_delay, "RFC 4028 5")
ORGANIZATION = Field("Organization", read_text, "RFC 3261 20.25")
P_ACCESS_NETWORK_INFO = Field("P-Access-Network-Info", read_item, "RFC 7315 4.4", many=True)
P_ASSERTED_IDENTITY = Field("P-Asserted-Identity", read_address, "RFC 3325 9.1", many=True)
P_ASSERTED_SERVICE = Field("P-Asserted-Service", read_entry, "RFC 6050 4.1", many=True)
P_ASSOCIATED_URI = Field("P-Associated-URI", read_address, "RFC 7315 4.1", many=True)
P_CALLED_PARTY_ID = Field("P-Called-Party-ID", read_address, "RFC 7315 4.2")
P_CHARGE_INFO = Field("P-Charge-Info", read_address, "RFC 8496 4")
P_CHARGING_VECTOR = Field("P-Charging-Vector", read_params, "RFC 7315 4.6")
P_EARLY_MEDIA = Field("P-Early-Media", read_token, "RFC 5009 8", many=True)
P_PREFERRED_IDENTITY = Field("P-Preferred-Identity", read_address, "RFC 3325 9.2", many=True)
P_PREFERRED_SERVICE = Field("P-Preferred-Service", read_entry, "RFC 6050 4.1", many=True)
PATH = Field("Path", read_route, "RFC 3327 4", many=True)
PRIORITY = Field("Priority", read_token, "RFC 3261 20.26")
PRIV_ANSWER_MODE = Field("Priv-Answer-Mode", read_item, "RFC 5373 4.3.2")
PRIVACY = Field("Privacy", read_semicolons, "RFC 3323 4.2")
PROXY_AUTHENTICATE = Field("Proxy-Authenticate", parse_auth, "RFC 3261 20.27")
PROXY_AUTHENTICATION_INFO = Field("Proxy-Authentication-Info", read_params, "RFC 7615 4")
PROXY_AUTHORIZATION = Field("Proxy-Authorization", parse_auth, "RFC 3261 20.28")
PROXY_REQUIRE = Field("Proxy-Require", read_token, "RFC 3261 20.29", many=True)
RACK = Field("RAck", read_rack, "RFC 3262 7.2")
REASON = Field("Reason", read_reason, "RFC 3326 2", many=True)
RECORD_ROUTE = Field("Record-Route", read_route, "RFC 3261 20.30", many=True)
RECV_INFO = Field("Recv-Info", read_event, "RFC 6086 7.2", many=True)
REFER_SUB = Field("Refer-Sub", read_item, "RFC 4488 4")
REFER_TO = Field("Refer-To", read_address, "RFC 3515 2.1")
REFERRED_BY = Field("Referred-By", read_address, "RFC 3892 3")
REJECT_CONTACT = Field("Reject-Contact", read_item, "RFC 3841 9.2", many=True)
REPLACES = Field("Replaces", read_dialog_id, "RFC 3891 6.1")
REPLY_TO = Field("Reply-To", read_address, "RFC 3261 20.31")
REQUEST_DISPOSITION = Field("Request-Disposition", read_token, "RFC 3841 9.1", many=True)
REQUIRE = Field("Require", read_token, "RFC 3261 20.32", many=True)
RESOURCE_PRIORITY = Field("Resource-Priority", read_token, "RFC 4412 3.1", many=True)
RETRY_AFTER = Field("Retry-After", read_delay, "RFC 3261 20.33")
ROUTE = Field("Route", read_route, "RFC 3261 20.34", many=True)
RSEQ = Field("RSeq", read_number, "RFC 3262 7.1")
SECURITY_CLIENT = Field("Security-Client", read_item, "RFC 3329 2.2", many=True)
SECURITY_SERVER = Field("Security-Server", read_item, "RFC 3329 2.2", many=True)
SECURITY_VERIFY = Field("Security-Verify", read_item, "RFC 3329 2.2", many=True)
SERVER = Field("Server", read_text, "RFC 3261 20.35")
SERVICE_ROUTE = Field("Service-Route", read_route, "RFC 3608 5", many=True)
SESSION_EXPIRES = Field("Session-Expires", read_delay, "RFC 4028 4")
SESSION_ID = Field("Session-ID", read_session_id, "RFC 7989 5")
SIP_ETAG = Field("SIP-ETag", read_token, "RFC 3903 11.3.1")
SIP_IF_MATCH = Field("SIP-If-Match", read_token, "RFC 3903 11.3.2")
SUBJECT = Field("Subject", read_text, "RFC 3261 20.36")
SUBSCRIPTION_STATE = Field("Subscription-State", read_subscription_state, "RFC 6665 8.2.3")
SUPPORTED = Field("Supported", read_token, "RFC 3261 20.37", many=True)
TARGET_DIALOG = Field("Target-Dialog", read_dialog_id, "RFC 4538 7")
TIMESTAMP = Field("Timestamp", read_timestamp, "RFC 3261 20.38")
TO = Field("To", read_address, "RFC 3261 20.39")
UNSUPPORTED = Field("Unsupported", read_token, "RFC 3261 20.40", many=True)
USER_AGENT = Field("User-Agent", read_text, "RFC 3261 20.41")
USER_TO_USER = Field("User-to-User", read_quoted_item, "RFC 7433 4.1", many=True)
VIA = Field("Via", parse_via, "RFC 3261 20.42", many=True)
WARNING = Field("Warning", read_warning, "RFC 3261 20.43", many=True)
WWW_AUTHENTICATE = Field("WWW-Authenticate", parse_auth, "RFC 3261 20.44")

FIELDS: dict[str, Field[object]] = {
    field.name: field for field in list(globals().values()) if isinstance(field, Field)
}
