from tlib_proto.constants import Attribute, MessageType
from tlib_proto.records import Hello, Message, Unknown


def test_a_message_has_its_published_name():
    assert Message(MessageType.EventRinging).name == "EventRinging"
    assert Message(900).name == "Message-900"


def test_messages_do_not_share_their_empty_attributes():
    assert Message(1).attributes is not Message(1).attributes


def test_values_are_read_by_type_and_a_foreign_one_is_absent():
    pairs = (("k", 1),)
    message = Message(
        60,
        0,
        {
            Attribute.ThisDN: "1001",
            Attribute.ConnID: 5,
            Attribute.UserData: pairs,
            Attribute.InputMask: b"m",
            Attribute.DNIS: Unknown(1, b""),
        },
    )
    assert message.get(Attribute.ThisDN) == "1001"
    assert message.get(Attribute.ANI) is None
    assert message.get(Attribute.ANI, "none") == "none"
    assert (
        message.text(Attribute.ThisDN),
        message.text(Attribute.DNIS),
        message.text(Attribute.ANI, "-"),
    ) == (
        "1001",
        "",
        "-",
    )
    assert (message.number(Attribute.ConnID), message.number(Attribute.ThisDN, -1)) == (5, -1)
    assert (message.pairs(Attribute.UserData), message.pairs(Attribute.ThisDN)) == (pairs, ())
    assert (message.octets(Attribute.InputMask), message.octets(Attribute.ThisDN)) == (b"m", b"")


def test_a_hello_never_prints_its_secret():
    hello = Hello("app", "router", "open sesame")
    assert "sesame" not in repr(hello)
    assert "sesame" not in f"{[hello]}"
    assert "secret=''" in repr(Hello("app", "router"))
