"""Masks: frames cut from any chunks, credentials and control characters out of what people read."""

import pytest

from refserver.masks import MAX_FRAME, FrameCutter, one_line, sip_line, sip_text
from tlib_proto.codec import encode
from tlib_proto.records import Message

FRAMES = [encode(Message(number, number, {})) for number in (1, 2, 3)]


@pytest.mark.parametrize("size", [1, 3, 11, 12, 13, 100])
def test_chunks_of_any_size_give_the_same_messages(size):
    data = b"".join(FRAMES)
    cutter = FrameCutter()
    found = [m for at in range(0, len(data), size) for m in cutter.feed(data[at : at + size])]
    assert [m.id for m in found] == [1, 2, 3]


@pytest.mark.parametrize("length", [0, 11, MAX_FRAME + 1, 0xFFFFFFFF])
def test_a_length_that_no_frame_has_ends_the_cutting(length):
    cutter = FrameCutter()
    assert [m.id for m in cutter.feed(FRAMES[0] + length.to_bytes(4, "big"))] == [1]
    assert cutter.lost
    assert cutter.feed(FRAMES[0]) == []


def test_a_frame_that_does_not_decode_is_told_by_its_length():
    cutter = FrameCutter()
    broken = FRAMES[0][:4] + b"\x07" + FRAMES[0][5:]
    assert cutter.feed(broken + FRAMES[1])[0] == len(broken)
    assert not cutter.lost


@pytest.mark.parametrize(
    "header",
    [
        b"Authorization: Digest response=swordfish",
        b"PROXY-AUTHORIZATION : Digest\r\n response=swordfish",
        b"authorization:Digest x,\r\n\tresponse=swordfish",
    ],
)
def test_credentials_are_masked_folded_or_not(header):
    text = sip_text(b"REGISTER sip:x SIP/2.0\r\n" + header + b"\r\nTo: <sip:1@x>\r\n\r\n")
    assert "swordfish" not in text
    assert ": ***\nTo: <sip:1@x>" in text


def test_control_characters_become_escapes():
    assert sip_text(b"A: \x1b[2J\xff\r\n\r\n") == "A: \\x1b[2J\\xff"
    assert one_line("a\nb\u202e\x9b") == "a\\x0ab\\u202e\\x9b"
    assert sip_line(b"\r\nOPTIONS sip:x\x00 SIP/2.0\r\nX: y") == "OPTIONS sip:x\\x00 SIP/2.0"
    assert len(sip_line(b"x" * 5_000)) == 200
