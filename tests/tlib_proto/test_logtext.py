from hypothesis import given, settings

from tests.tlib_proto.strategies import messages, texts
from tlib_proto.constants import Attribute, MessageType
from tlib_proto.logtext import quoted, render
from tlib_proto.records import Message, Unknown

RINGING = Message(
    MessageType.EventRinging,
    7,
    {
        Attribute.EventSequenceNumber: 0xA3C,
        Attribute.ConnID: 0x0064000000000001,
        Attribute.ThisDN: "1001",
        Attribute.CallType: 2,
        Attribute.DNEpoch: 3,
        Attribute.UserData: (("pin", "1234"), ("deep", (("n", 5), ("b", b"\x01")))),
        Attribute.InputMask: b"\x01\x02",
        5000: "who knows",
        5001: Unknown(9, b"ab"),
    },
)


def test_a_message_reads_as_in_the_vendors_logs():
    assert render(RINGING, mask=False, prefix="distribute_event: ").split("\n") == [
        "distribute_event: message EventRinging",
        "\tAttributeReferenceID\t7",
        "\tAttributeEventSequenceNumber\t0000000000000a3c",
        "\tAttributeConnID\t0064000000000001",
        "\tAttributeThisDN\t'1001'",
        "\tAttributeCallType\t2",
        "\tAttributeDNEpoch\t3",
        "\tAttributeUserData\t[2]",
        "\t\t'pin'\t'1234'",
        "\t\t'deep'\t[2]",
        "\t\t\t'n'\t5",
        "\t\t\t'b'\t[1] 01",
        "\tAttributeInputMask\t[2] 01 02",
        "\tAttribute5000\t'who knows'",
        "\tAttribute5001\t[type 9, 2 octets] 61 62",
    ]


def test_user_data_secrets_and_what_we_do_not_know_are_masked():
    message = Message(
        0,
        1,
        {
            **RINGING.attributes,
            Attribute.ApplicationPassword: "hush",
            Attribute.Password: "hush",
            Attribute.CollectedDigits: "9876",
            Attribute.PeerBody: b"hush",
            Attribute.Extensions: (("token", b"hush"),),
        },
    )
    text = render(message)
    for hidden in ("1234", "hush", "9876", "who knows", "61 62", "68 75"):
        assert hidden not in text
    assert "\t\t'pin'\t'***'" in text
    assert "\tAttributePeerBody\t[4]" in text
    assert "\tAttributeThisDN\t'1001'" in text


def test_a_long_value_is_cut():
    text = render(
        Message(60, 0, {Attribute.ThisDN: "x" * 5000, Attribute.InputMask: bytes(5000)}), mask=False
    )
    assert "and 3976 more" in text
    assert text.endswith("...")
    assert len(text) < 5000


def test_undecodable_octets_and_quotes_are_escapes():
    assert quoted(b"a'\xff\n\\".decode("utf-8", "surrogateescape") + "\u2028\ud800") == (
        r"'a\x27\xff\x0a\x5c\u2028\ud800'"
    )


@settings(deadline=None)
@given(texts)
def test_text_stays_on_its_line_and_can_be_written(text):
    line = quoted(text)
    assert len(line.splitlines()) == 1
    assert line.encode()


@settings(deadline=None)
@given(messages)
def test_any_message_renders_to_one_line_per_value(message):
    for mask in (True, False):
        first, *rest = render(message, mask).split("\n")
        assert first == f"message {message.name}"
        assert all(line.startswith("\t") for line in rest)
