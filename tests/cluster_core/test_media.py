"""Session descriptions on their way through: only what must change does, and what is none becomes nothing."""

import pytest

from cluster_core.session_controller import media

AUDIO = (
    b"v=0\r\no=alice 7 3 IN IP4 198.51.100.1\r\ns=talk\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n"
    b"m=audio 20000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=x-unknown:kept\r\n"
)
VIDEO = b"m=video 20002 RTP/AVP 31\r\n"


@pytest.mark.parametrize("direction", ["sendrecv", "sendonly", "recvonly", "inactive"])
def test_a_direction_is_set_on_every_stream_and_read_back(direction: str) -> None:
    changed = media.with_direction(AUDIO + VIDEO, direction)
    assert media.direction(changed) == direction
    assert changed.count(b"a=" + direction.encode()) == 2
    assert b"a=x-unknown:kept\r\n" in changed
    assert media.with_direction(changed, "sendrecv").count(b"a=inactive") == 0


def test_a_description_without_an_end_of_line_gets_its_direction_all_the_same() -> None:
    assert media.direction(media.with_direction(AUDIO.rstrip(), "inactive")) == "inactive"
    assert media.with_direction(b"", "inactive") == b""


def test_the_direction_is_mirrored_for_the_other_side() -> None:
    for ours, theirs in (("sendonly", "recvonly"), ("recvonly", "sendonly"), ("inactive", "inactive")):
        assert media.mirror(media.with_direction(AUDIO, ours)) == theirs
    assert media.mirror(AUDIO) == "sendrecv"


@pytest.mark.parametrize(
    ("body", "holds"),
    [
        (AUDIO, False),
        (media.with_direction(AUDIO, "sendonly"), True),
        (media.with_direction(AUDIO, "inactive"), True),
        (media.with_direction(AUDIO, "recvonly"), False),
        (AUDIO.replace(b"c=IN IP4 198.51.100.1", b"c=IN IP4 0.0.0.0"), True),
        (b"", False),
    ],
)
def test_a_hold_is_known_in_both_its_forms(body: bytes, holds: bool) -> None:
    assert media.is_hold(body) is holds


def test_the_origin_is_ours_and_nothing_else_changes() -> None:
    changed = media.with_origin(AUDIO, 17, 4)
    assert changed == AUDIO.replace(b"o=alice 7 3", b"o=- 17 4")
    assert media.with_origin(b"v=0\r\n", 17, 4) == b"v=0\r\n"
    assert media.without_origin(changed) == media.without_origin(AUDIO)


def test_an_answer_from_what_is_known_goes_no_further_than_both_sides() -> None:
    for known, offer, answer in (
        ("sendrecv", "sendrecv", "sendrecv"),
        ("sendrecv", "sendonly", "recvonly"),
        ("recvonly", "sendrecv", "recvonly"),
        ("inactive", "sendonly", "inactive"),
        ("sendonly", "sendonly", "inactive"),
    ):
        made = media.answer_from(media.with_direction(AUDIO, known), media.with_direction(AUDIO, offer))
        assert media.direction(made) == answer, (known, offer)


def test_there_is_no_answer_for_other_streams_or_from_nothing() -> None:
    assert media.answer_from(AUDIO, AUDIO + VIDEO) == b""
    assert media.answer_from(b"", AUDIO) == b""


def test_a_held_answer_takes_plain_audio_silently_and_refuses_the_rest() -> None:
    secure = b"m=audio 20004 RTP/SAVP 0\r\na=crypto:1 x\r\n"
    offer = AUDIO.replace(b"t=0 0", b"t=1 2") + VIDEO + secure + b"m=audio 0 RTP/AVP 0\r\n"
    answer = media.held_answer(offer, "192.0.2.1")
    lines = answer.split(b"\r\n")
    assert [line for line in lines if line.startswith(b"m=")] == [
        b"m=audio 9 RTP/AVP 0 101",
        b"m=video 0 RTP/AVP 31",
        b"m=audio 0 RTP/SAVP 0",
        b"m=audio 0 RTP/AVP 0",
    ]
    assert lines.count(b"a=inactive") == 1
    assert b"t=1 2" in lines
    assert b"a=rtpmap:101 telephone-event/8000" in lines
    assert b"c=IN IP4 192.0.2.1" in lines
    assert b"crypto" not in answer
    assert b"c=IN IP6 ::1" in media.held_answer(AUDIO, "::1")


@pytest.mark.parametrize("offer", [b"", b"x", b"v=0\r\nm=audio\r\n", VIDEO, b"\xff" * 100])
def test_there_is_no_held_answer_to_what_has_no_plain_audio(offer: bytes) -> None:
    assert media.held_answer(offer, "192.0.2.1") == b""


def test_nothing_is_an_offer_of_silence() -> None:
    assert media.direction(media.nothing("192.0.2.1")) == "inactive"
    assert b"IP6 ::1" in media.nothing("::1")
