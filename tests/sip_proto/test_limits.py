"""Every bound of a message: what just fits is taken, what is one more has an answer."""

from collections.abc import Callable

import pytest

from sip_proto import Limits, ParseError, Rejection, Request, Requested, contacts, parse, validate
from sip_proto.framing import BrokenFraming, StreamFramer
from tests.sip_proto.alone import Alone, responses
from tests.sip_proto.texts import request, request_bytes

LIMITS = Limits()


def headers(count: int) -> bytes:
    there = request_bytes("OPTIONS").split(b"\r\n\r\n")[0].count(b"\r\n")
    return request_bytes("OPTIONS", more="X-A: 1\r\n" * (count - there))


def header(size: int) -> bytes:
    return request_bytes("OPTIONS", more=f"X-A: {'a' * (size - 5)}\r\n")


def uri(size: int) -> bytes:
    return request_bytes("OPTIONS", "sip:" + "a" * (size - 6) + "@h")


def method(size: int) -> bytes:
    return request_bytes("M" * size)


def head(size: int) -> bytes:
    """A head of so many bytes, of lines that are short enough each."""
    more = ""
    while (left := size - len(request_bytes("OPTIONS", more=more)) + 4) > 0:
        more += f"X-A: {'a' * (min(left, 3_000) - 7)}\r\n"
    made = request_bytes("OPTIONS", more=more)
    assert len(made) == size + 4
    return made


def whole(size: int) -> bytes:
    body = "a" * (size - len(request_bytes("OPTIONS", body="a" * 10_000)) + 10_000)
    made = request_bytes("OPTIONS", body=body)
    assert len(made) == size
    return made


def vias(count: int) -> bytes:
    hops = ", ".join(["SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1"] + ["SIP/2.0/UDP h"] * (count - 1))
    return request_bytes("OPTIONS", via=hops)


def routes(count: int) -> bytes:
    return request_bytes("OPTIONS", more="".join(f"Route: <sip:p{n};lr>\r\n" for n in range(count)))


def record_routes(count: int) -> bytes:
    rows = [f"Record-Route: {', '.join(['<sip:p;lr>'] * 16)}\r\n"] * (count // 16)
    return request_bytes("OPTIONS", more="".join(rows) + "Record-Route: <sip:p;lr>\r\n" * (count % 16))


ROWS: tuple[tuple[Callable[[int], bytes], int, int], ...] = (
    (headers, LIMITS.headers, 400),
    (header, LIMITS.header, 400),
    (uri, LIMITS.uri, 414),
    (method, LIMITS.method, 501),
    (vias, LIMITS.vias, 400),
    (routes, LIMITS.routes, 400),
    (record_routes, LIMITS.routes, 400),
)


@pytest.mark.parametrize(("made", "most", "status"), ROWS, ids=lambda row: getattr(row, "__name__", ""))
def test_what_just_fits_is_taken_and_one_more_is_answered(made: Callable[[int], bytes], most: int, status: int) -> None:
    fits = parse(made(most))
    assert isinstance(fits, Request)
    assert validate(fits) is None
    over = parse(made(most + 1))
    assert isinstance(over, Request)
    refused = validate(over)
    assert refused is not None
    assert refused.status == status
    alone = Alone()
    assert isinstance(alone.hear(made(most))[0], Requested)
    assert responses(alone.hear(made(most + 1).replace(b"z9hG4bK1", b"z9hG4bK2"))) == [status]


@pytest.mark.parametrize(("made", "most"), [(head, LIMITS.head), (whole, LIMITS.message)])
def test_a_datagram_that_is_too_long_is_not_read(made: Callable[[int], bytes], most: int) -> None:
    fits = parse(made(most))
    assert isinstance(fits, Request)
    assert validate(fits) is None
    with pytest.raises(ParseError):
        parse(made(most + 1))


@pytest.mark.parametrize(("made", "most", "status"), [(head, LIMITS.head, 400), (whole, LIMITS.message, 413)])
def test_a_stream_with_too_long_a_message_is_closed_with_an_answer(
    made: Callable[[int], bytes], most: int, status: int
) -> None:
    assert StreamFramer().receive(made(most)) == [made(most)]
    (broken,) = StreamFramer().receive(made(most + 1))
    assert isinstance(broken, BrokenFraming)
    assert broken.status == status


def test_a_register_has_so_many_contacts_and_no_more() -> None:
    def ask(count: int) -> object:
        rows = ", ".join(f"<sip:a{number}@h>" for number in range(count))
        return contacts(request("REGISTER", "sip:h", contact=f"Contact: {rows}\r\n"))

    fits = ask(LIMITS.contacts)
    assert isinstance(fits, list)
    assert len(fits) == LIMITS.contacts
    refused = ask(LIMITS.contacts + 1)
    assert isinstance(refused, Rejection)
    assert refused.status == 400
