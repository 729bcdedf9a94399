"""Descriptions between two legs: order, origins, held and refused answers."""

import pytest

from sip_proto import ParseError, parse_sdp
from sip_proto.sdp_bridge import aligned, held_answer, refused_answer, restored, with_origin

OFFER = b"v=0\r\no=a 1 2 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\nm=video 0 RTP/AVP 31\r\n"


def test_an_origin_replaces_the_one_there_is_and_stands_second() -> None:
    sdp = with_origin(parse_sdp(OFFER), "192.0.2.9", 5, 6)
    assert sdp.lines[:3] == ["v=0", "o=- 5 6 IN IP4 192.0.2.9", "s=-"]
    assert sdp.lines.count("o=a 1 2 IN IP4 192.0.2.1") == 0


def test_streams_that_are_off_or_need_keys_stay_off_in_a_held_answer() -> None:
    offer = parse_sdp(OFFER + b"m=audio 4010 RTP/SAVP 0\r\n")
    assert [media.port for media in held_answer(offer, "192.0.2.9").media()] == [9, 0, 0]
    assert [media.port for media in refused_answer(offer, "192.0.2.9").media()] == [0, 0, 0]


def test_answers_have_the_times_of_their_offer() -> None:
    offer = parse_sdp(OFFER.replace(b"t=0 0", b"t=1 2"))
    for answer in (held_answer(offer, "192.0.2.9"), refused_answer(offer, "192.0.2.9")):
        assert answer.lines[4] == "t=1 2"
    assert held_answer(parse_sdp(b"v=0\r\n"), "192.0.2.9").lines[4] == "t=0 0"


def test_order_is_kept_when_there_is_nothing_to_put_in_order() -> None:
    offer = parse_sdp(OFFER)
    sdp, places = aligned(offer, offer.media())
    assert (sdp.lines, places) == (offer.lines, (0, 1))
    assert restored(sdp, places, offer).lines == offer.lines


def test_a_stream_over_another_transport_is_another_stream() -> None:
    agreed = parse_sdp(b"v=0\r\nm=audio 1 RTP/SAVP 0\r\n").media()
    sdp, places = aligned(parse_sdp(OFFER), agreed)
    assert places == (-1, 0, 1)
    assert [(media.port, media.transport) for media in sdp.media()] == [
        (0, "RTP/SAVP"),
        (4000, "RTP/AVP"),
        (0, "RTP/AVP"),
    ]


def test_an_offer_that_cannot_be_read_is_told() -> None:
    with pytest.raises(ParseError):
        aligned(parse_sdp(b"v=0\r\nm=audio\r\n"), ())
