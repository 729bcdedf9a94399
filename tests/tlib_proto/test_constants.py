import subprocess
import sys
from enum import IntEnum, IntFlag

from tlib_proto import constants, enumerations
from tlib_proto.constants import (
    ADDED_LATER,
    ATTRIBUTE_NAMES,
    ATTRIBUTE_TYPES,
    ENUMERATIONS,
    ERROR_TEXTS,
    EVENT_ATTRIBUTES,
    MESSAGE_NAMES,
    REQUEST_ATTRIBUTES,
    Attribute,
    AttributeType,
    ErrorCode,
    MessageType,
)


def test_every_published_message_id_has_a_name():
    assert [number for number in MESSAGE_NAMES if number < 1000] == list(range(183))
    assert all(
        name.startswith(("Request", "Event")) for number, name in MESSAGE_NAMES.items() if number < 1000
    )


def test_the_ids_that_public_logs_show_are_right():
    shown = {
        0: "RequestRegisterClient",
        30: "RequestAttachUserData",
        52: "EventError",
        60: "EventRinging",
        87: "EventOnHook",
        95: "EventLinkConnected",
        160: "EventCallCreated",
        182: "EventResourceInfo",
    }
    assert {number: MESSAGE_NAMES[number] for number in shown} == shown


def test_every_attribute_has_a_name_and_a_type():
    assert set(ATTRIBUTE_TYPES) == {int(attribute) for attribute in Attribute} == set(ATTRIBUTE_NAMES)
    assert ATTRIBUTE_TYPES[Attribute.ConnID] == AttributeType.U64
    assert ATTRIBUTE_TYPES[Attribute.ThisDN] == AttributeType.TEXT
    assert ATTRIBUTE_TYPES[Attribute.UserData] == AttributeType.KVLIST


def test_every_error_has_a_text():
    assert set(ERROR_TEXTS) == set(ErrorCode)


def test_no_event_has_an_attribute_twice():
    for kind, (mandatory, optional) in EVENT_ATTRIBUTES.items():
        both = [*mandatory, *optional]
        assert len(both) == len(set(both)), MessageType(kind).name
        assert MESSAGE_NAMES[kind].startswith("Event")


def test_every_request_and_event_says_what_it_carries():
    reserved = {f"EventReserved_{n}" for n in range(1, 8)}
    assert {kind.name for kind in REQUEST_ATTRIBUTES} == {n for n in MESSAGE_NAMES.values() if n[0] == "R"}
    assert {kind.name for kind in EVENT_ATTRIBUTES} == {
        n for n in MESSAGE_NAMES.values() if n[0] == "E"
    } - reserved
    for kind, (mandatory, optional) in REQUEST_ATTRIBUTES.items():
        both = [*mandatory, *optional]
        assert len(both) == len(set(both)), kind.name


def test_every_enumeration_is_listed():
    found = {
        name
        for name, value in vars(enumerations).items()
        if isinstance(value, type)
        and issubclass(value, IntEnum | IntFlag)
        and value.__module__ == enumerations.__name__
    }
    assert set(ENUMERATIONS) == found


def test_every_event_on_the_wire_has_its_time_from_the_node():
    for kind, (mandatory, _) in EVENT_ATTRIBUTES.items():
        if kind in (MessageType.EventServerConnected, MessageType.EventServerDisconnected):
            assert mandatory == ()
            continue
        assert {Attribute.TimeinSecs, Attribute.TimeinuSecs} <= set(mandatory)
    assert Attribute.EventSequenceNumber in ADDED_LATER


def test_all_names_are_there():
    assert all(hasattr(constants, name) for name in constants.__all__)


def test_the_package_root_has_every_public_name_and_no_construct():
    code = (
        "import sys, tlib_proto as package\n"
        "assert all(hasattr(package, name) for name in package.__all__)\n"
        "print('construct' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
