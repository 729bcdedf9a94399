"""Numbers and texts of EventError."""

from enum import IntEnum


class ErrorCode(IntEnum):
    """Numbers of EventError (published: TERR_ names without the prefix below 60, CSTA-style from 1140)."""

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
    WRONG_SET_STATE = 185
    INVALID_AGENT_ID = 192
    INVALID_REQUEST_STATE = 506
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
    PERFORMANCE_LIMIT = 1185
    GENERIC_SECURITY = 1190
    UNSPECIFIED = 1199
    AGENT_RESERVED = 1700
    AGENT_ID_WRONG = 1703
    AGENT_ID_IN_USE = 1704
    AGENT_PASSWORD_MISMATCH = 1705
    AGENT_LOGGED_IN = 1706
    AGENT_NOT_LOGGED_IN = 1707


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
    ErrorCode.WRONG_SET_STATE: "Set is in the wrong state for invocation",
    ErrorCode.INVALID_AGENT_ID: "Agent ID is invalid",
    ErrorCode.INVALID_REQUEST_STATE: "Request received in an invalid state",
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
    ErrorCode.PERFORMANCE_LIMIT: "Performance limit",
    ErrorCode.GENERIC_SECURITY: "Security error",
    ErrorCode.UNSPECIFIED: "Unspecified error",
    ErrorCode.AGENT_RESERVED: "Agent is already reserved",
    ErrorCode.AGENT_ID_WRONG: "Wrong agent ID",
    ErrorCode.AGENT_ID_IN_USE: "Agent ID is in use",
    ErrorCode.AGENT_PASSWORD_MISMATCH: "Agent password mismatch",
    ErrorCode.AGENT_LOGGED_IN: "Agent is already logged in",
    ErrorCode.AGENT_NOT_LOGGED_IN: "Agent is not logged in",
}
"""Text of each error number, for AttributeErrorMessage."""
