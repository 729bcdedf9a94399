import pytest

from sip_proto import validate
from sip_proto.validate import response_fault
from tests.sip_proto.texts import as_request, as_response, request, request_bytes, response_to


def test_a_good_request_passes() -> None:
    assert validate(request()) is None
    assert validate(request("OPTIONS", contact="")) is None
    assert validate(request(uri="tel:+1")) is None
    assert validate(request(uri="sip:b@h;;lr", more="Require: path\r\n"), ("path",)) is None


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [
        (request_bytes().replace(b"SIP/2.0\r\n", b"SIP/7.0\r\n", 1), 505, "Version Not Supported"),
        (request_bytes(more="broken\r\n"), 400, "header 8 is no name and value"),
        (request_bytes(more="From: x\r\n"), 400, "More Than One From"),
        (request_bytes().replace(b"Call-ID", b"Call-XX"), 400, "Missing Call-ID"),
        (request_bytes(call_id=""), 400, "Missing Call-ID"),
        (request_bytes(via="nonsense"), 400, "Bad Via: no Via"),
        (request_bytes(from_="<sip:a"), 400, "Bad From: angle bracket without end"),
        (request_bytes(cseq="1 BYE"), 400, "CSeq Method Differs"),
        (request_bytes(contact=""), 400, "Missing Contact"),
        (request_bytes(contact="Contact: <sip:a\r\n"), 400, "Bad Contact: angle bracket without end"),
        (request_bytes().replace(b"Max-Forwards: 70", b"Max-Forwards: 300"), 400, "Bad Max-Forwards"),
        (request_bytes(more="l: 7\r\n"), 400, "body shorter than Content-Length"),
        (request_bytes(uri="http://x"), 416, "Unsupported URI Scheme"),
        (request_bytes(uri="sip:b@h?Route=%3Csip:x%3E"), 400, "Bad Request-URI: headers in it"),
        (request_bytes(uri="sip:a b@h"), 400, "Bad Request-URI: a character that no URI may hold"),
        (request_bytes(more="Require: a, path\r\nRequire: b\r\n"), 420, "Bad Extension"),
    ],
)
def test_a_broken_request_gets_its_status(data: bytes, status: int, reason: str) -> None:
    rejection = validate(as_request(data), ("path",))
    assert rejection is not None
    assert (rejection.status, rejection.reason) == (status, reason)
    if status == 420:
        assert rejection.headers == (("Unsupported", "a, b"),)


def test_two_lengths_that_differ_conflict() -> None:
    rejection = validate(as_request(request_bytes(body="abc").replace(b"\r\n\r\nabc", b"\r\nl: 2\r\n\r\nabc")))
    assert rejection is not None
    assert rejection.reason == "Conflicting Content-Length"


def test_an_ack_is_not_asked_for_extensions() -> None:
    assert validate(request("ACK", more="Require: x\r\n")) is None


def test_responses_are_dropped_when_they_cannot_be_ours() -> None:
    good = response_to(request_bytes())
    assert response_fault(as_response(good)) is None
    assert response_fault(as_response(good.replace(b"SIP/2.0 200", b"SIP/1.0 200"))) == "version"
    assert (
        response_fault(as_response(good.replace(b"Via:", b"Via: SIP/2.0/UDP x;branch=1\r\nVia:")))
        == "more than one Via"
    )
    assert response_fault(as_response(good.replace(b";branch=z9hG4bK1", b""))) == "no branch"
    assert response_fault(as_response(good.replace(b"CSeq: 1", b"CSeq: x"))) == "no number and method"
    short = good.replace(b"Content-Length: 0", b"Content-Length: 9")
    assert response_fault(as_response(short)) == "body shorter than Content-Length"


def test_an_invite_of_rfc_2543_needs_no_contact() -> None:
    assert validate(request(contact="", via="SIP/2.0/UDP old.example.org")) is None
    assert validate(request(contact="", via="SIP/2.0/UDP old.example.org;branch=4")) is None


@pytest.mark.parametrize(
    ("method", "status"), [("INVITE", 0), ("ACK", 0), ("CANCEL", 0), ("PUBLISH", 405), ("publish", 501), ("X", 501)]
)
def test_methods_that_are_not_served(method: str, status: int) -> None:
    rejection = validate(request(method), methods=("INVITE", "BYE"))
    assert (rejection.status if rejection is not None else 0) == status
    if rejection is not None:
        assert rejection.headers == (("Allow", "INVITE, BYE"),)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ("Content-Type: application/SDP;x=1\r\n", 0),
        ("Content-Type: application/sdp\r\nContent-Encoding: Identity\r\n", 0),
        ("Content-Type: application/isup\r\nContent-Disposition: signal;handling=optional\r\n", 0),
        ("Content-Type: application/isup\r\nContent-Disposition: signal\r\n", 415),
        ("Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n", 415),
        ("Content-Type: application\r\n", 400),
        ("", 415),
    ],
)
def test_bodies_that_are_not_read(more: str, status: int) -> None:
    rejection = validate(request(more=more, body="v=0"), types=("application/sdp",))
    assert (rejection.status if rejection is not None else 0) == status
    assert validate(request(more=more), types=("application/sdp",)) is None
    assert validate(request("ACK", more=more, body="v=0"), types=("application/sdp",)) is None


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/*", 0),
        ("text/plain, */*;q=0.1", 0),
        ("application/sdp;q=0", 406),
        ("text/nobody", 406),
        ("", 406),
        ("nonsense", 400),
    ],
)
def test_answers_that_are_not_accepted(accept: str, status: int) -> None:
    rejection = validate(request(more=f"Accept: {accept}\r\n"), answers=("application/sdp",))
    assert (rejection.status if rejection is not None else 0) == status
    assert validate(request(), answers=("application/sdp",)) is None


@pytest.mark.parametrize(
    ("method", "contact", "more", "reason"),
    [
        ("INVITE", "sip:x SIP/2.0 y", "", "Bad Contact: a character that no URI may hold"),
        ("NOTIFY", "tel:+1", "", "Bad Contact: neither sip nor sips"),
        ("SUBSCRIBE", "sip:a@h?Replaces=x", "", "Bad Contact: headers in it"),
        ("UPDATE", "sip:", "", "Bad Contact: no host name or address"),
        ("REFER", "sip:a@h", "Record-Route: garbage\r\n", "Bad Record-Route: no angle brackets"),
        ("INVITE", "sip:a@h", "Record-Route: <sip:p;lr>, <tel:+1>\r\n", "Bad Record-Route: neither sip nor sips"),
        ("OPTIONS", "tel:+1", "Record-Route: garbage\r\n", ""),
        ("REGISTER", "tel:+1", "", ""),
    ],
)
def test_a_dialog_is_not_made_with_whom_it_could_not_reach(method: str, contact: str, more: str, reason: str) -> None:
    rejection = validate(request(method, contact=f"Contact: <{contact}>\r\n", more=more))
    assert (rejection.status, rejection.reason) == (400, reason) if reason and rejection else rejection is None
    asked = request_bytes(method, contact="")
    for status in (180, 200):
        answer = as_response(response_to(asked, status, more=f"Contact: <{contact}>\r\n{more}"))
        fault = response_fault(answer)
        assert f"Bad {fault}" == reason if reason else fault is None


def test_an_invite_of_rfc_2543_whose_from_cannot_be_reached_is_refused() -> None:
    rejection = validate(request(contact="", via="SIP/2.0/UDP old.example.org", from_="<sip:a b@h>;tag=1"))
    assert rejection is not None
    assert rejection.reason == "Bad From: a character that no URI may hold"


@pytest.mark.parametrize("status", [302, 400, 486, 603])
def test_a_refusal_is_heard_whatever_its_contact_is(status: int) -> None:
    answer = response_to(request_bytes(), status, more="Contact: <sip:broken\r\n")
    assert response_fault(as_response(answer)) is None
    assert response_fault(as_response(response_to(request_bytes(), 200, more="Contact: <sip:broken\r\n"))) is not None
