import pytest

from sip_proto import ParseError, Request, Response, parse
from sip_proto.message import Message, canonical, header_pairs
from tests.sip_proto.texts import as_request, request, request_bytes


def test_headers_are_found_by_any_spelling_and_form() -> None:
    message = request(more="x-Own: 1\r\nX-OWN: 2\r\nm: <sip:second@h>\r\n")
    assert message.get("via") == message.get("Via") == message.get("v")
    assert message.get_all("X-own") == ["1", "2"]
    assert message.get("x-own") == "1"
    assert message.get("X-None") is None
    assert message.get("Expires") is None
    assert message.elements("Contact") == ["<sip:alice@192.0.2.1>", "<sip:second@h>"]
    assert canonical("CALL-id") == "Call-ID"
    assert canonical("X-Own") == "X-Own"


def test_typed_headers_are_read_when_asked() -> None:
    message = request()
    assert message.via.host == "192.0.2.1"
    assert message.branch == "z9hG4bK1"
    assert message.from_.tag == "a1"
    assert message.to.uri == "sip:bob@example.org"
    assert message.cseq == (1, "INVITE")
    assert message.call_id == "c1"
    assert message.contact is not None
    assert message.contact.uri == "sip:alice@192.0.2.1"
    assert request(contact="").contact is None
    assert request("REGISTER", contact="Contact: *\r\n").contact is None
    listed = request(contact='Contact: "a, b" <sip:1@h>, <sip:2@h>\r\n').contact
    assert listed is not None
    assert listed.uri == "sip:1@h"


def test_a_missing_header_is_a_parse_error_when_asked_for() -> None:
    message = Request("INVITE", "sip:b@h", [], [])
    for name in ("via", "from_", "to", "cseq", "call_id"):
        with pytest.raises(ParseError):
            getattr(message, name)


def test_unknown_headers_and_undecodable_bytes_leave_as_they_came() -> None:
    data = request_bytes(more="X-Odd:  a\xff  b\r\n").replace("\xff".encode(), b"\xff")
    message = parse(data)
    assert b"X-Odd: a\xff  b\r\n" in message.to_bytes()
    again = parse(message.to_bytes())
    assert again.to_bytes() == message.to_bytes()


def test_messages_are_built_from_pairs() -> None:
    names, values = header_pairs([("v", "SIP/2.0/UDP h"), ("X-Own", "1")])
    assert Request("OPTIONS", "sip:h", names, values, b"x").to_bytes() == (
        b"OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nX-Own: 1\r\n\r\nx"
    )
    response = Response(200, "OK", [], [])
    assert response.to_bytes() == b"SIP/2.0 200 OK\r\n\r\n"
    assert repr(response) == "<Response 'SIP/2.0 200 OK'>"
    with pytest.raises(NotImplementedError):
        Message("SIP/2.0", [], [], b"", None).start_line()


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"from_": '"A b" <sip:a@h>;tag=1', "to": "<sip:b@h>;tag=2"},
        {"from_": '"A > \\" b" <sip:a@h>;x=1;tag=1', "to": "sip:b@h;tag=2"},
        {"from_": "<sip:a@h> ; tag = 1", "to": 'sip:b@h;x="<a>";tag=2'},
        {"via": "SIP/2.0/UDP h;rport;BRANCH=b1;x, SIP/2.0/UDP i;branch=b2"},
        {"from_": '"A > b" <sip:a@h>;tag=1', "to": '"A >;tag=3" <sip:b@h>'},
        {"from_": "<sip:a@h>;tag=1;x=2", "to": '<sip:b@h>;tag="2"'},
        {"via": "SIP/2.0/UDP h;branch=b1;rport"},
        {"via": "SIP/2.0/UDP h"},
        {"via": "SIP/2.0/UDP h\t;branch=b1"},
        {"via": "SIP/2.0/SCTP h;branch=b1"},
        {"via": "SIP/2.0/TCP h;branch=b1;x=y z"},
        {"cseq": "0000000000000000007 PiNg"},
        {"cseq": "2147483647 INVITE"},
    ],
)
def test_the_keys_are_those_of_the_typed_headers(more: dict[str, str]) -> None:
    message = request(**more)
    try:
        typed = (message.call_id, message.from_.tag, message.to.tag, *message.cseq, message.branch)
    except ParseError:
        with pytest.raises(ParseError):
            message.keys()
        return
    assert message.keys() == typed


def test_a_message_without_its_headers_has_no_keys() -> None:
    for name in ("Via", "From", "To", "Call-ID", "CSeq"):
        message = as_request(request_bytes().replace(f"{name}:".encode(), b"X-Y:"))
        with pytest.raises(ParseError):
            message.keys()
