import pytest

from sip_proto import LocalError
from sip_proto.build import (
    RequestParts,
    cancel_bytes,
    check_method,
    check_texts,
    check_uri,
    failure_ack,
    has_header,
    header_lines,
    request_bytes,
    response_bytes,
    response_head,
)
from tests.sip_proto.texts import as_request, as_response, request

PARTS = RequestParts(
    "sip:b@h", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx", "Route: <sip:p;lr>\r\n", "<sip:a@h>;tag=1", "<sip:b@h>", "c", 7
)


def test_a_request_has_what_every_request_must_have() -> None:
    message = as_request(request_bytes("OPTIONS", PARTS, "X-Own: y\r\n", b"hello", "text/plain", "12"))
    assert message.names == [
        "Via", "Route", "Max-Forwards", "From", "To", "Call-ID", "CSeq", "X-Own", "Content-Type", "Content-Length",
    ]  # fmt: skip
    assert message.cseq == (7, "OPTIONS")
    assert message.get("Max-Forwards") == "12"
    assert message.body == b"hello"


def test_ack_and_cancel_repeat_their_invite() -> None:
    ack = as_request(failure_ack(PARTS, "<sip:b@h>;tag=2"))
    cancel = as_request(cancel_bytes(PARTS, "us"))
    for message, method, tag in ((ack, "ACK", "2"), (cancel, "CANCEL", "")):
        assert (message.method, message.uri, message.cseq) == (method, "sip:b@h", (7, method))
        assert (message.branch, message.get("Route"), message.to.tag) == ("z9hG4bKx", "<sip:p;lr>", tag)


def test_a_response_repeats_all_vias_and_marks_the_first() -> None:
    asked = request(more="Via: SIP/2.0/UDP second\r\nX: y\r\n")
    head = response_head(asked, ("192.0.2.7", 99))
    answer = as_response(response_bytes(299, "", head, "<sip:b@h>;tag=2", ""))
    assert answer.get_all("Via") == [
        "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport=99;received=192.0.2.7",
        "SIP/2.0/UDP second",
    ]
    assert sorted(answer.names) == ["CSeq", "Call-ID", "Content-Length", "From", "To", "Via", "Via"]
    assert answer.reason == "Response"


def test_line_ends_never_reach_a_header() -> None:
    for text in ("a\r", "a\nb"):
        with pytest.raises(LocalError):
            check_texts("fine", text)
        with pytest.raises(LocalError):
            header_lines([("X", text)])
    assert has_header([("CONTACT", "")], "Contact")
    assert not has_header([], "Contact")


@pytest.mark.parametrize("uri", ["", "sip:", "sip:a b@h", "sip:a@h\r\nX: y", "bob@h", "sip:%zz@h"])
def test_a_uri_that_no_request_line_can_hold_is_the_callers_fault(uri: str) -> None:
    with pytest.raises(LocalError):
        check_uri(uri)


def test_uris_of_every_scheme_may_be_asked_for() -> None:
    for uri in ("sip:b@h", "sips:b:pw@[2001:db8::1]:5061;x=%20", "tel:+15550100", "urn:service:sos"):
        check_uri(uri)


@pytest.mark.parametrize("name", ["", "X Y", "X:", "X\r\nY", "\u00e9"])
def test_a_name_that_is_no_token_is_the_callers_fault(name: str) -> None:
    with pytest.raises(LocalError):
        header_lines([(name, "v")])
    with pytest.raises(LocalError):
        check_method(name)
    check_method("X-LAB")
