import pytest

from tlib_proto import build, mask
from tlib_proto.build import error, event
from tlib_proto.constants import (
    ATTRIBUTE_TYPES,
    REQUEST_ATTRIBUTES,
    Attribute,
    ErrorCode,
    MessageType,
    ServerRole,
)
from tlib_proto.errors import LocalError
from tlib_proto.records import Message, Unknown

RINGING = {
    Attribute.CallID: 1,
    Attribute.CallType: 2,
    Attribute.CallState: 0,
    Attribute.ConnID: 3,
    Attribute.ThisDN: "1001",
    Attribute.ThisDNRole: 2,
}


def test_an_event_with_all_it_must_have_is_built():
    assert event(MessageType.EventRinging, RINGING, 4) == Message(60, 4, RINGING)


@pytest.mark.parametrize("missing", list(RINGING))
def test_an_event_without_a_mandatory_attribute_is_refused(missing):
    attributes = {key: value for key, value in RINGING.items() if key != missing}
    with pytest.raises(LocalError, match=f"EventRinging without {missing.name}"):
        event(MessageType.EventRinging, attributes)


def test_an_event_without_a_table_is_built_as_it_is():
    assert event(MessageType.EventReserved_1, {}) == Message(MessageType.EventReserved_1)


def test_an_error_carries_number_text_and_what_it_echoes():
    message = error(9, ErrorCode.INV_CONNID, ConnID=5, ThisDN="1001")
    assert message == Message(
        MessageType.EventError,
        9,
        {
            Attribute.ErrorCode: 56,
            Attribute.ErrorMessage: "Invalid ConnID",
            Attribute.ConnID: 5,
            Attribute.ThisDN: "1001",
        },
    )
    assert error(9, 51, "EventX").text(Attribute.ErrorMessage) == "EventX"
    assert error(9, 9999).text(Attribute.ErrorMessage) == "Error 9999"


def test_an_error_echoes_only_attributes():
    with pytest.raises(LocalError, match="Nonsense"):
        error(9, 51, Nonsense=1)


REGISTER = Message(MessageType.RequestRegisterAddress, 5, {Attribute.ThisDN: "1001"})


def test_a_whole_request_lacks_nothing():
    assert build.missing(REGISTER) is None
    assert build.missing(Message(MessageType.RequestQueryServer)) is None
    assert build.missing(Message(MessageType.EventReserved_1)) is None
    assert build.missing(Message(5000)) is None


@pytest.mark.parametrize("value", [None, Unknown(1, b"1001")])
def test_what_is_absent_or_of_a_foreign_type_is_missing(value):
    attributes = {} if value is None else {Attribute.ThisDN: value}
    assert build.missing(Message(MessageType.RequestRegisterAddress, 5, attributes)) is Attribute.ThisDN


def test_the_first_missing_attribute_is_named():
    message = Message(MessageType.RequestAttachUserData, 5, {Attribute.ThisDN: "1001"})
    assert build.missing(message) is Attribute.ConnID


def test_an_event_is_not_missed_what_the_node_adds():
    assert build.missing(Message(MessageType.EventACK)) is None
    assert build.missing(Message(MessageType.EventError)) is Attribute.ErrorCode


@pytest.mark.parametrize("kind", sorted(REQUEST_ATTRIBUTES))
def test_a_request_with_its_mandatory_attributes_is_whole(kind):
    values = {1: 1, 2: 1, 3: "x", 4: (("k", 1),), 5: b"x"}
    mandatory, _ = REQUEST_ATTRIBUTES[kind]
    whole = {attribute: values[ATTRIBUTE_TYPES[attribute]] for attribute in mandatory}
    assert build.missing(Message(kind, 1, whole)) is None
    for attribute in mandatory:
        rest = {key: value for key, value in whole.items() if key != attribute}
        assert build.missing(Message(kind, 1, rest)) is attribute


def test_server_info_says_version_role_and_what_is_served():
    info = build.server_info("1.0", ServerRole.Backup, (1, 95), (("resume", 1),), ref=4, NodeName="n1")
    assert info.ref == 4
    assert mask.unpack(info.octets(Attribute.ServerCapabilityMask)) == (1, 95)
    assert info.number(Attribute.ServerRole) == 1
    assert info.text(Attribute.NodeName) == "n1"
    assert info.pairs(Attribute.ServerXCapabilities) == (("resume", 1),)
    assert Attribute.ServerXCapabilities not in build.server_info("1", 0, ()).attributes
    with pytest.raises(LocalError, match="called Nothing"):
        build.server_info("1", 0, (), Nothing=1)
