import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip_proto import Limits, Request, parse
from sip_proto.framing import BrokenFraming, Frame, KeepAlive, StreamFramer
from tests.sip_proto.texts import request_bytes

PLAIN = request_bytes("OPTIONS", body="12345", more="Content-Type: text/plain\r\n")


def cut(data: bytes, size: int = 0, limits: Limits | None = None) -> list[Frame]:
    framer = StreamFramer(limits or Limits())
    found: list[Frame] = []
    for start in range(0, len(data), size or max(1, len(data))):
        found += framer.receive(data[start : start + (size or len(data))])
    return found


def messages(frames: list[Frame]) -> list[bytes]:
    return [frame for frame in frames if isinstance(frame, bytes)]


def broken(frames: list[Frame]) -> BrokenFraming:
    last = frames[-1]
    assert isinstance(last, BrokenFraming)
    return last


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 100])
def test_messages_are_cut_by_their_length_however_the_bytes_arrive(size: int) -> None:
    stream = PLAIN + b"\r\n" + request_bytes("BYE") + b"\r\n\r\n" + PLAIN
    assert messages(cut(stream, size)) == [PLAIN, request_bytes("BYE"), PLAIN]


def test_bytes_of_an_unfinished_message_wait() -> None:
    framer = StreamFramer()
    assert framer.receive(PLAIN[:-1]) == []
    assert framer.pending == len(PLAIN) - 1
    assert framer.receive(PLAIN[-1:]) == [PLAIN]
    assert framer.pending == 0


def test_a_pair_of_line_ends_is_a_ping_and_one_alone_a_pong() -> None:
    framer = StreamFramer()
    assert framer.receive(b"\r\n") == [KeepAlive.PONG]
    assert framer.receive(b"\r\n") == [KeepAlive.PING]
    assert framer.receive(b"\r") == []
    assert framer.receive(b"\n") == [KeepAlive.PONG]
    assert framer.receive(PLAIN + b"\r\n") == [PLAIN, KeepAlive.PONG]


def test_a_flood_of_line_ends_is_one_ping_a_read() -> None:
    assert cut(b"\r\n" * 10_000) == [KeepAlive.PONG, KeepAlive.PING]


@pytest.mark.parametrize(
    "length", ["l:5", "L : 5", "content-length:5", "Content-Length: 5\r\nl: 5", "Content-Length:\r\n 5", "l: 005"]
)
def test_the_length_is_read_in_all_its_spellings(length: str) -> None:
    data = PLAIN.replace(b"Content-Length: 5", length.encode())
    assert cut(data + PLAIN) == [data, PLAIN]
    request = parse(data)
    assert isinstance(request, Request)
    assert (request.body, request.fault) == (b"12345", None)


def test_a_message_of_no_length_and_no_type_has_no_body() -> None:
    data = request_bytes("BYE").replace(b"Content-Length: 0\r\n", b"")
    assert cut(data + PLAIN) == [data, PLAIN]


@pytest.mark.parametrize(
    ("line", "kind", "status"),
    [
        (b"Content-Length: -5", "content length", 400),
        (b"Content-Length: 5x", "content length", 400),
        (b"Content-Length:", "content length", 400),
        (b"Content-Length: 5\r\nl: 6", "content length", 400),
        (b"Content-Length: 99999999999999999999", "content length", 400),
        (b"Content-Length: 70000", "too long", 413),
        (b"X: y", "content length", 400),
    ],
)
def test_a_broken_length_ends_the_stream_with_an_answer(line: bytes, kind: str, status: int) -> None:
    first = request_bytes("BYE")
    found = cut(first + PLAIN.replace(b"Content-Length: 5", line) + PLAIN)
    fault = broken(found)
    assert found[:-1] == [first]
    assert (fault.kind, fault.status, fault.offset) == (kind, status, len(first))
    request = parse(fault.head)
    assert isinstance(request, Request)
    assert request.method == "OPTIONS"


def test_nothing_comes_after_a_break() -> None:
    framer = StreamFramer()
    framer.receive(PLAIN.replace(b"Length: 5", b"Length: x"))
    assert framer.broken
    assert framer.receive(PLAIN) == []
    assert framer.pending == 0


@pytest.mark.parametrize("size", [0, 1, 50])
def test_a_head_without_end_is_cut_off_at_its_last_whole_line(size: int) -> None:
    data = request_bytes("BYE").removesuffix(b"\r\n") + b"X: " + b"y" * 1000
    fault = broken(cut(data, size, Limits(head=400)))
    assert (fault.kind, fault.status) == ("head too long", 400)
    request = parse(fault.head)
    assert isinstance(request, Request)
    assert request.names[-1] == "Content-Length"


def test_bytes_that_are_no_sip_hold_no_more_than_a_head() -> None:
    fault = broken(cut(b"\x16\x03\x01" * 10_000))
    assert fault.kind == "head too long"
    assert fault.head == b"\r\n\r\n"


@given(st.lists(st.binary(max_size=60), max_size=12), st.integers(1, 40))
def test_the_cut_does_not_depend_on_the_chunks(parts: list[bytes], size: int) -> None:
    stream = b"\r\n".join([part + PLAIN for part in parts])
    whole = [frame for frame in cut(stream) if not isinstance(frame, KeepAlive)]
    assert [frame for frame in cut(stream, size) if not isinstance(frame, KeepAlive)] == whole


@pytest.mark.slow
def test_time_grows_with_the_bytes() -> None:
    def seconds(count: int) -> float:
        start = time.process_time()
        cut(PLAIN * count)
        return time.process_time() - start

    seconds(100)
    # Interleaved, and the best of many: what neighbours on the machine do falls on both.
    rounds = [(seconds(4000), seconds(2000)) for _ in range(9)]
    assert min(large for large, _ in rounds) / min(small for _, small in rounds) < 3
