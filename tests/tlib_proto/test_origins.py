from tlib_proto import origins
from tlib_proto.constants import (
    ENUMERATIONS,
    Attribute,
    CallState,
    ErrorCode,
    MessageType,
    SubscriptionOperation,
)
from tlib_proto.origins import Origin


def test_every_part_of_the_catalogue_has_a_source():
    assert set(origins.ORIGIN_TEXTS) == set(Origin)
    assert all(text for _, text in origins.SOURCES.values())
    for kind in ENUMERATIONS.values():
        assert origins.enumeration_origin(kind) in Origin


def test_ours_is_called_ours():
    assert origins.message_origin(MessageType.Ping) is Origin.PROJECT
    assert origins.message_origin(MessageType.EventRinging) is Origin.OBSERVED
    assert origins.attribute_origin(Attribute.KeepAlive) is Origin.PROJECT
    assert origins.attribute_origin(Attribute.ClearFlag) is Origin.PROJECT
    assert origins.attribute_origin(Attribute.ConnID) is Origin.OBSERVED
    assert origins.enumeration_origin(CallState) is Origin.DOCUMENTED
    assert origins.enumeration_origin(SubscriptionOperation) is Origin.PROJECT


def test_contents_without_a_public_table_are_ours():
    assert origins.contents_origin(MessageType.EventAbandoned) is Origin.DOCUMENTED
    assert origins.contents_origin(MessageType.RequestMakeCall) is Origin.DOCUMENTED
    assert origins.contents_origin(MessageType.RequestRegisterAll) is Origin.PROJECT
    assert origins.contents_origin(MessageType.EventCallPartyMoved) is Origin.PROJECT
    assert origins.contents_origin(MessageType.Ping) is Origin.PROJECT
    assert origins.contents_origin(5000) is Origin.PROJECT


def test_every_error_number_has_a_source():
    assert len({origins.error_source(code) for code in ErrorCode}) == 6
