import pytest

from tlib_proto.constants import Attribute, MessageType
from tlib_proto.errors import LocalError
from tlib_proto.hello import MAX_NAME, chosen, hello_message, negotiated, read_hello
from tlib_proto.records import Hello, Message

FULL = Hello("app", "smart", "secret", (1, 2), "s-1", (("node-dns", 1),), "17", "n1", 2000, 3000)


def test_a_hello_comes_back_from_its_message():
    for hello in (FULL, Hello("app", "router")):
        message = hello_message(hello, 1)
        assert message.id == MessageType.RequestRegisterClient
        assert read_hello(message) == hello


def test_what_is_empty_is_not_sent():
    assert list(hello_message(Hello("app", "router"), 1).attributes) == [
        Attribute.ProtocolVersion,
        Attribute.ApplicationName,
        Attribute.Role,
    ]


@pytest.mark.parametrize(
    "hello", [Hello("", "router"), Hello("app", ""), Hello("a" * (MAX_NAME + 1), "router")]
)
def test_a_hello_needs_a_name_and_a_role(hello):
    with pytest.raises(LocalError, match="1 to 255"):
        hello_message(hello, 1)


@pytest.mark.parametrize("name", [None, "", "a" * (MAX_NAME + 1), 5])
def test_a_message_without_a_name_is_no_hello(name):
    attributes = {Attribute.Role: "router", Attribute.ApplicationName: name}
    assert "ApplicationName" in read_hello(Message(0, 1, attributes))


@pytest.mark.parametrize(
    ("text", "versions"),
    [
        ("1", (1,)),
        ("1,2,255", (1, 2, 255)),
        ("", ()),
        ("1,", ()),
        ("-1", ()),
        ("1_0", ()),
        ("\u0661", ()),
        ("9" * 99, ()),
    ],
)
def test_versions_are_numbers_or_nothing(text, versions):
    message = hello_message(FULL, 1)
    message.attributes[Attribute.ProtocolVersion] = text
    assert read_hello(message).versions == versions


@pytest.mark.parametrize(
    ("offered", "spoken", "version"),
    [((1,), (1,), 1), ((1, 2, 3), (1, 2), 2), ((3, 1), (1,), 1), ((2,), (1,), None), ((), (1,), None)],
)
def test_the_highest_common_version_is_chosen(offered, spoken, version):
    assert negotiated(offered, spoken) == version


@pytest.mark.parametrize(("text", "version"), [("", 1), ("1", 1), ("17", 17), ("1.0", None), ("1000", None)])
def test_the_server_says_which_version_it_chose(text, version):
    assert chosen(Message(95, 1, {Attribute.ProtocolVersion: text})) == version
