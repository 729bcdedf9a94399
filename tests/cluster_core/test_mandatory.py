"""A request without what it must carry is answered EventError 53 with the missing attribute: the whole table."""

import pytest

from cluster_core.rights import RIGHTS
from cluster_core.settings import ClientRole
from tests.cluster_core.alone import Alone
from tests.cluster_core.test_addresses import PORTS
from tlib_proto import Attribute, ErrorCode, MessageType, Unknown, Value
from tlib_proto.attributes import ATTRIBUTE_TYPES, AttributeType
from tlib_proto.requests import REQUEST_ATTRIBUTES

SOMETHING: dict[AttributeType, Value] = {
    AttributeType.U32: 1,
    AttributeType.U64: 1,
    AttributeType.TEXT: "1001",
    AttributeType.KVLIST: (("key", "value"),),
    AttributeType.BYTES: bytes(64),
}
CASES = [
    (*port, request)
    for port in (*PORTS, ("ICON", ClientRole.REPORTING, "iproxy"))
    for request in sorted(RIGHTS[port[1]])
    if REQUEST_ATTRIBUTES[request][0]
]


@pytest.mark.parametrize(("name", "role", "port", "request_id"), CASES)
def test_each_mandatory_attribute_that_is_missing_is_named(
    name: str, role: ClientRole, port: str, request_id: MessageType
) -> None:
    program = Alone().program(name, role, port)
    mandatory = REQUEST_ATTRIBUTES[request_id][0]
    whole = {Attribute(a).name: SOMETHING[AttributeType(ATTRIBUTE_TYPES[a])] for a in mandatory}
    for attribute in mandatory:
        absent = Attribute(attribute).name
        without = {key: value for key, value in whole.items() if key != absent}
        for given in (without, {**without, absent: Unknown(77, b"of a type that is not its own")}):
            answer = program.ask(request_id, **given)
            assert answer.number(Attribute.ErrorCode) == ErrorCode.INVALID_ATTR
            assert absent in answer.text(Attribute.ErrorMessage)


def test_every_served_request_is_declared() -> None:
    for role, allowed in RIGHTS.items():
        assert all(request in REQUEST_ATTRIBUTES for request in allowed - {MessageType.PeerMessage}), role
