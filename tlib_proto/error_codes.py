"""Numbers and texts of EventError."""

from enum import IntEnum


class ErrorCode(IntEnum):
    """Numbers of EventError (published); names below 60 are the published ones without TERR_, others are ours.

    Below 60 any server may use them; 60 to 999 come from families of switches, 1000 to 1021 from transfers
    between sites, 1140 to 1199 follow CSTA, 1700 and above are features of servers.
    """

    NOMORE_LICENSE = 40
    NOT_REGISTERED = 41
    RESOURCE_SEIZED = 42
    IN_SAME_STATE = 43
    UNKNOWN_ERROR = 50
    UNSUP_OPER = 51
    INTERNAL = 52
    INVALID_ATTR = 53
    NO_SWITCH = 54
    PROTO_VERS = 55
    INV_CONNID = 56
    TIMEOUT = 57
    OUT_OF_SERVICE = 58
    NOT_CONFIGURED = 59
    INVALID_CALLED_DN = 71
    SERVICE_UNAVAILABLE = 118
    BAD_PASSWORD = 119
    NO_DN_FOR_ASSOCIATION = 123
    RESOURCE_UNAVAILABLE = 166
    INVALID_ORIGINATION = 168
    INVALID_DESTINATION_REQUEST = 169
    RETRIEVE_FAILED = 171
    TRANSFER_FAILED = 172
    CONFERENCE_FAILED = 173
    ANSWER_FAILED = 174
    RELEASE_FAILED = 175
    TARGET_DN_INVALID = 177
    WRONG_SET_STATE = 185
    READINESS_LOGGED_OUT = 187
    INVALID_AGENT_ID = 192
    BAD_PARAMETER = 223
    DN_BUSY = 231
    NO_ANSWER_AT_DN = 232
    CALL_REJECTED = 233
    OPERATION_TIMEOUT = 236
    CALL_DISCONNECTED = 237
    OPERATION_NOT_SUPPORTED_NOW = 258
    INVALID_PASSWORD = 259
    INVALID_DTMF = 302
    INVALID_ROUTE_ADDRESS = 402
    INVALID_DESTINATION_DN = 415
    PARTY_NOT_ON_CALL = 470
    CALL_ID_INVALID = 477
    TRANSFER_NOT_ALLOWED = 490
    INVALID_CALL_STATE = 496
    DESTINATION_DN_INVALID = 497
    INVALID_REQUEST_STATE = 506
    AGENT_SIGNED_IN_ELSEWHERE = 527
    POSITION_SIGNED_IN = 550
    POSITION_SIGNED_OUT = 551
    INVALID_STATE = 565
    ISCC_NO_SERVER = 1000
    ISCC_REMOTE_DISCONNECTED = 1001
    ISCC_REMOTE_ERROR = 1002
    ISCC_PROTO_VERS = 1003
    ISCC_REMOTE_LINK_DISCONNECTED = 1004
    ISCC_NOT_ENABLED = 1005
    ISCC_NO_FREE_RESOURCE = 1006
    ISCC_NO_ACCESS_NUMBER = 1007
    ISCC_TCS_NOT_INITIATED = 1008
    ISCC_BAD_ROUTE_TYPE = 1009
    ISCC_BAD_REQUEST = 1010
    ISCC_NO_PRIMARY = 1011
    ISCC_BAD_LOCATION = 1012
    ISCC_EXPIRED = 1013
    ISCC_RESOURCE_NOT_CONFIGURED = 1014
    ISCC_RESOURCE_NOT_REGISTERED = 1015
    ISCC_NOT_AUTHORIZED = 1016
    ISCC_BAD_TRANSACTION_TYPE = 1017
    ISCC_BAD_TRANSACTION_DATA = 1018
    ISCC_BAD_LOCATION_QUERY = 1019
    ISCC_BAD_ORIGIN_LOCATION = 1020
    ISCC_BAD_DESTINATION_DN = 1021
    GENERIC_OPERATION = 1140
    INCOMPATIBLE_WITH_OBJECT = 1141
    VALUE_OUT_OF_RANGE = 1142
    OBJECT_NOT_KNOWN = 1143
    INVALID_CALLING_DEVICE = 1144
    INVALID_CALLED_DEVICE = 1145
    INVALID_FORWARDING = 1146
    PRIVILEGE_DEVICE = 1147
    PRIVILEGE_CALLED = 1148
    PRIVILEGE_CALLING = 1149
    INVALID_CALL_ID = 1150
    INVALID_DEVICE_ID = 1151
    INVALID_CONNECTION_ID = 1152
    INVALID_DESTINATION = 1153
    INVALID_FEATURE = 1154
    SECURITY_VIOLATION = 1158
    GENERIC_STATE = 1160
    INCORRECT_OBJECT_STATE = 1161
    INVALID_CONNECTION = 1162
    NO_ACTIVE_CALL = 1163
    NO_HELD_CALL = 1164
    NO_CALL_TO_CLEAR = 1165
    NO_CONNECTION_TO_CLEAR = 1166
    NO_CALL_TO_ANSWER = 1167
    NO_CALL_TO_COMPLETE = 1168
    GENERIC_RESOURCE = 1170
    SERVICE_BUSY = 1171
    RESOURCE_BUSY = 1172
    RESOURCE_OUT_OF_SERVICE = 1173
    NETWORK_BUSY = 1174
    MONITOR_LIMIT = 1176
    CONFERENCE_LIMIT = 1177
    GENERIC_SUBSCRIBED_LIMIT = 1180
    SUBSCRIBED_LIMIT_1 = 1181
    SUBSCRIBED_LIMIT_2 = 1182
    SUBSCRIBED_LIMIT_3 = 1183
    PERFORMANCE_LIMIT = 1185
    PERFORMANCE_LIMIT_1 = 1186
    GENERIC_SECURITY = 1190
    SECURITY_1 = 1191
    SECURITY_2 = 1192
    SECURITY_3 = 1193
    SECURITY_4 = 1194
    UNSPECIFIED = 1199
    AGENT_RESERVED = 1700
    AGENT_ID_WRONG = 1703
    AGENT_ID_IN_USE = 1704
    AGENT_PASSWORD_MISMATCH = 1705
    AGENT_LOGGED_IN = 1706
    AGENT_NOT_LOGGED_IN = 1707
    PREVIEW_REJECTED = 1710
    PREVIEW_EXPIRED = 1711
    PREVIEW_CALL_STATE = 1712


ERROR_TEXTS: dict[int, str] = {
    ErrorCode.NOMORE_LICENSE: "No licence is left",
    ErrorCode.NOT_REGISTERED: "The client has not registered the DN",
    ErrorCode.RESOURCE_SEIZED: "The resource is already seized",
    ErrorCode.IN_SAME_STATE: "The object is already in the requested state",
    ErrorCode.UNKNOWN_ERROR: "Unknown error",
    ErrorCode.UNSUP_OPER: "Unsupported operation",
    ErrorCode.INTERNAL: "Internal error",
    ErrorCode.INVALID_ATTR: "Invalid attribute value",
    ErrorCode.NO_SWITCH: "No connection to the switch",
    ErrorCode.PROTO_VERS: "Wrong protocol version",
    ErrorCode.INV_CONNID: "Invalid ConnID",
    ErrorCode.TIMEOUT: "Timeout performing the operation",
    ErrorCode.OUT_OF_SERVICE: "Out of service",
    ErrorCode.NOT_CONFIGURED: "DN is not configured",
    ErrorCode.INVALID_CALLED_DN: "Invalid called DN",
    ErrorCode.SERVICE_UNAVAILABLE: "Service is not available",
    ErrorCode.BAD_PASSWORD: "Bad password",
    ErrorCode.NO_DN_FOR_ASSOCIATION: "DN for association does not exist",
    ErrorCode.RESOURCE_UNAVAILABLE: "Resource is not available",
    ErrorCode.INVALID_ORIGINATION: "Invalid origination address",
    ErrorCode.INVALID_DESTINATION_REQUEST: "Invalid destination request",
    ErrorCode.RETRIEVE_FAILED: "Retrieve was not successful",
    ErrorCode.TRANSFER_FAILED: "Transfer was not successful",
    ErrorCode.CONFERENCE_FAILED: "Conference was not successful",
    ErrorCode.ANSWER_FAILED: "Answer was not successful",
    ErrorCode.RELEASE_FAILED: "Release was not successful",
    ErrorCode.TARGET_DN_INVALID: "Target DN is invalid",
    ErrorCode.WRONG_SET_STATE: "Set is in the wrong state for invocation",
    ErrorCode.READINESS_LOGGED_OUT: "Ready or not ready while logged out",
    ErrorCode.INVALID_AGENT_ID: "Agent ID is invalid",
    ErrorCode.BAD_PARAMETER: "Bad parameter",
    ErrorCode.DN_BUSY: "DN is busy",
    ErrorCode.NO_ANSWER_AT_DN: "No answer at DN",
    ErrorCode.CALL_REJECTED: "Call was rejected",
    ErrorCode.OPERATION_TIMEOUT: "Timeout performing operation",
    ErrorCode.CALL_DISCONNECTED: "Call has disconnected",
    ErrorCode.OPERATION_NOT_SUPPORTED_NOW: "Operation is not currently supported",
    ErrorCode.INVALID_PASSWORD: "Invalid password",
    ErrorCode.INVALID_DTMF: "Invalid DTMF string",
    ErrorCode.INVALID_ROUTE_ADDRESS: "Invalid route address",
    ErrorCode.INVALID_DESTINATION_DN: "Invalid destination DN",
    ErrorCode.PARTY_NOT_ON_CALL: "Party is not on the call",
    ErrorCode.CALL_ID_INVALID: "Call id is invalid",
    ErrorCode.TRANSFER_NOT_ALLOWED: "Transfer is not allowed",
    ErrorCode.INVALID_CALL_STATE: "Invalid call state",
    ErrorCode.DESTINATION_DN_INVALID: "Destination DN is invalid",
    ErrorCode.INVALID_REQUEST_STATE: "Request received in an invalid state",
    ErrorCode.AGENT_SIGNED_IN_ELSEWHERE: "Agent is already signed in elsewhere",
    ErrorCode.POSITION_SIGNED_IN: "Position is already signed in",
    ErrorCode.POSITION_SIGNED_OUT: "Position is already signed out",
    ErrorCode.INVALID_STATE: "Invalid state",
    ErrorCode.ISCC_NO_SERVER: "No such server",
    ErrorCode.ISCC_REMOTE_DISCONNECTED: "Remote location is disconnected",
    ErrorCode.ISCC_REMOTE_ERROR: "Remote server error",
    ErrorCode.ISCC_PROTO_VERS: "Remote server speaks another protocol version",
    ErrorCode.ISCC_REMOTE_LINK_DISCONNECTED: "Remote link is disconnected",
    ErrorCode.ISCC_NOT_ENABLED: "Feature is not enabled",
    ErrorCode.ISCC_NO_FREE_RESOURCE: "No free access resource",
    ErrorCode.ISCC_NO_ACCESS_NUMBER: "No access number",
    ErrorCode.ISCC_TCS_NOT_INITIATED: "TCS feature is not initiated",
    ErrorCode.ISCC_BAD_ROUTE_TYPE: "Bad route type",
    ErrorCode.ISCC_BAD_REQUEST: "Bad request",
    ErrorCode.ISCC_NO_PRIMARY: "No primary server at the location",
    ErrorCode.ISCC_BAD_LOCATION: "Bad location",
    ErrorCode.ISCC_EXPIRED: "Transaction time has expired",
    ErrorCode.ISCC_RESOURCE_NOT_CONFIGURED: "Access resource is not configured",
    ErrorCode.ISCC_RESOURCE_NOT_REGISTERED: "Access resource is not registered",
    ErrorCode.ISCC_NOT_AUTHORIZED: "Client is not authorized",
    ErrorCode.ISCC_BAD_TRANSACTION_TYPE: "Bad transaction type",
    ErrorCode.ISCC_BAD_TRANSACTION_DATA: "Bad transaction data",
    ErrorCode.ISCC_BAD_LOCATION_QUERY: "Bad location query",
    ErrorCode.ISCC_BAD_ORIGIN_LOCATION: "Bad origin location",
    ErrorCode.ISCC_BAD_DESTINATION_DN: "Bad destination DN",
    ErrorCode.GENERIC_OPERATION: "Generic operation error",
    ErrorCode.INCOMPATIBLE_WITH_OBJECT: "Request incompatible with object",
    ErrorCode.VALUE_OUT_OF_RANGE: "Value out of range",
    ErrorCode.OBJECT_NOT_KNOWN: "Object not known",
    ErrorCode.INVALID_CALLING_DEVICE: "Invalid calling device",
    ErrorCode.INVALID_CALLED_DEVICE: "Invalid called device",
    ErrorCode.INVALID_FORWARDING: "Invalid forwarding destination",
    ErrorCode.PRIVILEGE_DEVICE: "Privilege violation on the device",
    ErrorCode.PRIVILEGE_CALLED: "Privilege violation on the called device",
    ErrorCode.PRIVILEGE_CALLING: "Privilege violation on the calling device",
    ErrorCode.INVALID_CALL_ID: "Invalid call identifier",
    ErrorCode.INVALID_DEVICE_ID: "Invalid device identifier",
    ErrorCode.INVALID_CONNECTION_ID: "Invalid connection identifier",
    ErrorCode.INVALID_DESTINATION: "Invalid destination",
    ErrorCode.INVALID_FEATURE: "Invalid feature",
    ErrorCode.SECURITY_VIOLATION: "Security violation",
    ErrorCode.GENERIC_STATE: "Generic state incompatibility",
    ErrorCode.INCORRECT_OBJECT_STATE: "Incorrect object state",
    ErrorCode.INVALID_CONNECTION: "Invalid connection",
    ErrorCode.NO_ACTIVE_CALL: "No active call",
    ErrorCode.NO_HELD_CALL: "No held call",
    ErrorCode.NO_CALL_TO_CLEAR: "No call to clear",
    ErrorCode.NO_CONNECTION_TO_CLEAR: "No connection to clear",
    ErrorCode.NO_CALL_TO_ANSWER: "No call to answer",
    ErrorCode.NO_CALL_TO_COMPLETE: "No call to complete",
    ErrorCode.GENERIC_RESOURCE: "Generic system resource error",
    ErrorCode.SERVICE_BUSY: "Service busy",
    ErrorCode.RESOURCE_BUSY: "Resource busy",
    ErrorCode.RESOURCE_OUT_OF_SERVICE: "Resource out of service",
    ErrorCode.NETWORK_BUSY: "Network busy",
    ErrorCode.MONITOR_LIMIT: "Monitor limit exceeded",
    ErrorCode.CONFERENCE_LIMIT: "Conference member limit exceeded",
    ErrorCode.GENERIC_SUBSCRIBED_LIMIT: "Subscribed resource limit",
    ErrorCode.SUBSCRIBED_LIMIT_1: "Subscribed resource limit",
    ErrorCode.SUBSCRIBED_LIMIT_2: "Subscribed resource limit",
    ErrorCode.SUBSCRIBED_LIMIT_3: "Subscribed resource limit",
    ErrorCode.PERFORMANCE_LIMIT: "Performance limit",
    ErrorCode.PERFORMANCE_LIMIT_1: "Performance limit",
    ErrorCode.GENERIC_SECURITY: "Security error",
    ErrorCode.SECURITY_1: "Security error",
    ErrorCode.SECURITY_2: "Security error",
    ErrorCode.SECURITY_3: "Security error",
    ErrorCode.SECURITY_4: "Security error",
    ErrorCode.UNSPECIFIED: "Unspecified error",
    ErrorCode.AGENT_RESERVED: "Agent is already reserved",
    ErrorCode.AGENT_ID_WRONG: "Wrong agent ID",
    ErrorCode.AGENT_ID_IN_USE: "Agent ID is in use",
    ErrorCode.AGENT_PASSWORD_MISMATCH: "Agent password mismatch",
    ErrorCode.AGENT_LOGGED_IN: "Agent is already logged in",
    ErrorCode.AGENT_NOT_LOGGED_IN: "Agent is not logged in",
    ErrorCode.PREVIEW_REJECTED: "Preview call was rejected",
    ErrorCode.PREVIEW_EXPIRED: "Preview has expired",
    ErrorCode.PREVIEW_CALL_STATE: "Invalid call state",
}
"""Text of each error number, for AttributeErrorMessage."""
