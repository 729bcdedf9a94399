import pytest

from tlib_proto.build import error, event
from tlib_proto.constants import Attribute, ErrorCode, MessageType
from tlib_proto.errors import LocalError
from tlib_proto.records import Message

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
    assert event(MessageType.EventBridged, {}) == Message(MessageType.EventBridged)


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
