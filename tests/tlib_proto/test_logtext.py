from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tlib_proto.strategies import messages, texts
from tlib_proto.constants import Attribute, MessageType
from tlib_proto.logtext import MASK, MAX_TEXT, Logged, LogTextError, parse, parse_log, quoted, render
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


# -- back again


def lossless(value):
    """Whether nothing of a value is cut, or looks as if it was masked."""
    if isinstance(value, tuple):
        return all(lossless(key) and lossless(inner) for key, inner in value)
    return value != MASK and (not hasattr(value, "__len__") or len(value) <= MAX_TEXT)


@settings(deadline=None, max_examples=300)
@given(messages, st.sampled_from(["", "@12:00:00.1234 [0] 8.1.101.25 distribute_event: "]))
def test_what_was_printed_is_read_back(message, prefix):
    message.attributes.pop(Attribute.ReferenceID, None)
    if all(map(lossless, message.attributes.values())):
        text = render(message, mask=False, prefix=prefix)
        assert parse(text) == message
        assert list(parse_log(text.split("\n"))) == [Logged(1, prefix, message)]


def test_every_escape_has_one_meaning():
    text = "".join(map(chr, (*range(0xA2), 0x2028, 0x2029, 0x202E, 0x2069, 0xD800, 0xDC80, 0xDCFF, 0x1D11E)))
    message = Message(60, 0, {Attribute.ThisDN: text})
    assert parse(render(message)) == message


def test_other_names_of_an_attribute_are_read():
    text = "message EventAgentReady\r\n\tAttributeReferenceID\t5\r\n\tAttributeReasons\t[0]\n\tAttributeWorkMode\t2\n"
    assert parse(text) == Message(75, 5, {Attribute.Reason: (), Attribute.AgentWorkMode: 2})


def test_a_reference_id_further_down_is_an_attribute():
    message = Message(60, 7, {Attribute.ThisDN: "1", Attribute.ReferenceID: 9})
    assert parse(render(message)) == message
    assert parse("message EventRinging\n\tAttributeReferenceID\t'x'").get(Attribute.ReferenceID) == "x"


@pytest.mark.parametrize(
    ("lines", "line", "why"),
    [
        (["EventRinging"], 1, "no `message`"),
        (["message EventNothing"], 1, "no message is called EventNothing"),
        (["message Message-65536"], 1, "no message is called"),
        (["message EventRinging", "nothing"], 2, "no attribute"),
        (["message EventRinging", "\tAttributeNothing\t1"], 2, "no attribute is called Nothing"),
        (["message EventRinging", "\tAttribute65536\t1"], 2, "no attribute is called 65536"),
        (["message EventRinging", "\tAttributeThisDN\t'1'", "\tAttributeThisDN\t'1'"], 3, "second time"),
        (["message EventRinging", "\tAttributeThisDN\t'***'"], 2, "masked"),
        (["message EventRinging", "\tAttributeThisDN\t'xx' and 3 more"], 2, "cut"),
        (["message EventRinging", "\tAttributeThisDN\t'it's'"], 2, "no text in quotes"),
        (["message EventRinging", "\tAttributeThisDN\t'\\xzz'"], 2, "no text in quotes"),
        (["message EventRinging", "\tAttributeConnID\t65"], 2, "16 hex digits"),
        (["message EventRinging", "\tAttributeCallType\tInbound"], 2, "no number"),
        (["message EventRinging", "\tAttributeInputMask\t[2]"], 2, "masked"),
        (["message EventRinging", "\tAttributeInputMask\t[2] 00 ..."], 2, "cut"),
        (["message EventRinging", "\tAttributeInputMask\t[2] 00"], 2, "1 octets of 2"),
        (["message EventRinging", "\tAttributeInputMask\t[2] 0000"], 2, "no octets in hex"),
        (["message EventRinging", "\tAttribute5000\t[type 9, 2 octets]"], 2, "masked"),
        (["message EventRinging", "\tAttributeUserData\t[1]"], 3, "0 pairs of 1"),
        (
            ["message EventRinging", "\tAttributeUserData\t[2]", "\t\t'a'\t1", "\tAttributeANI\t'1'"],
            4,
            "1 pairs of 2",
        ),
        (["message EventRinging", "\tAttributeUserData\t[1]", "\t\t\t'a'\t1"], 3, "0 pairs of 1"),
        (["message EventRinging", "\tAttributeUserData\t[1]", "\t\t'a'\tx"], 3, "no number"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(lines, line, why):
    with pytest.raises(LogTextError, match=why) as error:
        parse("\n".join(lines))
    assert error.value.line == line


def test_lists_nest_no_further_than_in_a_frame():
    def nested(depth):
        lines = ["message EventRinging", "\tAttributeUserData\t[1]"]
        lines += ["\t" * (2 + n) + "'in'\t[1]" for n in range(depth - 2)]
        return "\n".join([*lines, "\t" * depth + "'in'\t[0]"])

    assert parse(nested(15)).name == "EventRinging"
    with pytest.raises(LogTextError, match="16 lists"):
        parse(nested(17))


def test_a_log_is_searched_for_messages():
    log = [
        "2026-11-22T12:00:00.000 Trc 04541 RequestMakeCall received from [7] (1 desk 127.0.0.1:1)\n",
        "message RequestMakeCall\n",
        "\tAttributeThisDN\t'1001'\n",
        "something else\n",
        "\tnot of any message\n",
        "send_to_client: message EventError\n",
        "message EventRinging\n",
        "\tAttributeUserData\t[1]\n",
        "\t\t'pin'\t'***'\n",
    ]
    asked, error, ringing = parse_log(log)
    assert asked == Logged(2, "", Message(MessageType.RequestMakeCall, 0, {Attribute.ThisDN: "1001"}))
    assert error == Logged(6, "send_to_client: ", Message(MessageType.EventError))
    assert (ringing.line, ringing.message) == (7, None)
    assert ringing.fault == "line 9: the value was masked or cut"
    assert list(parse_log([])) == []


@given(st.lists(st.text(st.sampled_from("\t'[]0123456789 \\xAmesagEvntRigMu-"), max_size=30), max_size=6))
def test_noise_is_read_or_refused(lines):
    for text in ("\n".join(lines), "\n".join(["message EventRinging", *lines])):
        with suppress(LogTextError):
            assert isinstance(parse(text), Message)
    list(parse_log(lines))
