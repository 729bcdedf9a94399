import pytest

from sip_proto import LocalError, ParseError, audio, audio_answer, parse_sdp
from sip_proto.sdp import Codec, Media

OFFER = (
    b"v=0\r\no=- 5 7 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=x-own:\xff\r\n"
    b"m=audio 4000 RTP/AVP 8 0 96 101\r\na=sendonly\r\n"
    b"a=rtpmap:96 opus\r\nm=video 4002/2 RTP/AVP 97\r\nc=IN IP4 192.0.2.3/127\r\n"
)


def test_what_is_not_understood_is_kept_byte_for_byte() -> None:
    assert parse_sdp(OFFER).to_bytes() == OFFER
    assert parse_sdp(OFFER.replace(b"\r\n", b"\n")).to_bytes() == OFFER.replace(b"\r\n", b"\n")


def test_media_directions_and_addresses_are_read() -> None:
    sdp = parse_sdp(OFFER)
    assert sdp.media() == [
        Media("audio", 4000, "RTP/AVP", ("8", "0", "96", "101")),
        Media("video", 4002, "RTP/AVP", ("97",)),
    ]
    assert [sdp.direction(), sdp.direction(1), sdp.direction(2)] == ["sendonly", "sendrecv", "sendrecv"]
    assert [sdp.address(), sdp.address(1)] == ["192.0.2.1", "192.0.2.3"]
    assert parse_sdp(b"v=0\r\na=inactive\r\n").direction() == "inactive"
    assert parse_sdp(b"v=0\r\n").address() == ""


def test_streams_have_direction_address_and_codecs() -> None:
    body = (
        b"v=0\r\nc=IN IP4 192.0.2.1\r\na=recvonly\r\nm=audio 4000 RTP/AVP 0 18 96 97 x\r\n"
        b"a=rtpmap:96 opus/48000/2\r\na=rtpmap:97 broken\r\na=fmtp:96 useinbandfec=1\r\na=fmtp:96 again\r\n"
        b"m=video 0 RTP/AVP 31\r\nc=IN IP4 0.0.0.0\r\na=sendrecv\r\nm=application 9 udp wb\r\n"
    )
    one, two, three = parse_sdp(body).streams()
    assert (one.direction, one.address) == ("recvonly", "192.0.2.1")
    assert one.codecs == (
        Codec("0", "PCMU", 8000, 1, ""),
        Codec("18", "G729", 8000, 1, ""),
        Codec("96", "opus", 48000, 2, "useinbandfec=1"),
    )
    assert (two.direction, two.address, two.codecs[0].name) == ("sendonly", "0.0.0.0", "H261")
    assert three.codecs == ()
    assert parse_sdp(b"v=0\r\n").streams() == []


def test_attributes_are_found_by_section() -> None:
    media = b"m=audio 1 x y\r\na=mid:1\r\na=crypto:1\r\na=crypto:2\r\na=rtcp-mux\r\n"
    sdp = parse_sdp(b"v=0\r\na=group:BUNDLE 1\r\n" + media)
    assert sdp.attribute("group") == "BUNDLE 1"
    assert (sdp.attribute("mid"), sdp.attribute("mid", 0), sdp.attribute("rtcp-mux", 0)) == (None, "1", "")
    assert sdp.attributes("crypto", 0) == ["1", "2"]


def test_a_null_address_is_hold() -> None:
    sdp = parse_sdp(audio("0.0.0.0", 4000))
    assert sdp.direction() == "sendonly"


def test_a_new_direction_replaces_the_old_and_raises_the_version() -> None:
    held = parse_sdp(OFFER).with_direction("inactive")
    assert [held.direction(0), held.direction(1)] == ["inactive", "inactive"]
    text = held.to_bytes()
    assert b"o=- 5 8 IN" in text
    assert text.count(b"a=inactive") == 2
    assert b"sendonly" not in text
    assert b"a=x-own:\xff" in text
    assert parse_sdp(b"v=0\r\n").with_direction("sendonly").to_bytes() == b"v=0\r\n"
    with pytest.raises(LocalError):
        held.with_direction("up")


def test_an_answer_takes_one_audio_stream_and_mirrors_its_direction() -> None:
    answer = audio_answer(parse_sdp(OFFER), "192.0.2.9", 5000)
    assert answer is not None
    sdp = parse_sdp(answer)
    assert sdp.media() == [
        Media("audio", 5000, "RTP/AVP", ("8", "0", "101")),
        Media("video", 0, "RTP/AVP", ("97",)),
    ]
    assert sdp.direction() == "recvonly"
    assert audio_answer(parse_sdp(OFFER), "::1", 5000, formats=("9",)) is None


def answered(*lines: str, formats: tuple[str, ...] = ("0", "8", "101")) -> list[str]:
    """What is answered to an offer with these lines after its first, from the times on."""
    offer = parse_sdp("\r\n".join(["v=0", *lines, ""]).encode())
    answer = audio_answer(offer, "192.0.2.9", 5000, formats=formats)
    return [] if answer is None else parse_sdp(answer).lines[4:]


def test_a_number_means_what_the_offer_says() -> None:
    sound = ["t=0 0", "m=audio 4000 RTP/AVP 0 101"]
    assert answered(*sound, "a=rtpmap:101 opus/48000/2") == [
        "t=0 0", "m=audio 5000 RTP/AVP 0", "a=rtpmap:0 PCMU/8000", "a=sendrecv",
    ]  # fmt: skip
    assert answered("m=audio 4000 RTP/AVP 101", "a=rtpmap:101 PCMA/8000")[1:] == [
        "m=audio 5000 RTP/AVP 101", "a=rtpmap:101 PCMA/8000", "a=sendrecv",
    ]  # fmt: skip
    assert answered("m=audio 4000 RTP/AVP 0 96", "a=rtpmap:96 Telephone-Event/8000", "a=rtpmap:0 pcmu/8000")[1:3] == [
        "m=audio 5000 RTP/AVP 0 96", "a=rtpmap:0 PCMU/8000",
    ]  # fmt: skip
    assert answered("m=audio 4000 RTP/AVP 0", "a=rtpmap:0 L16/44100") == []
    assert answered("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 telephone-event/8000") == []


def test_a_format_that_only_the_program_knows_is_found_by_its_number() -> None:
    assert answered("m=audio 4000 RTP/AVP 98 99", "a=rtpmap:98 opus/48000/2", formats=("98", "101"))[1:] == [
        "m=audio 5000 RTP/AVP 98", "a=rtpmap:98 opus/48000/2", "a=sendrecv",
    ]  # fmt: skip
    assert answered("m=audio 4000 RTP/AVP 98", formats=("98",))[1:] == ["m=audio 5000 RTP/AVP 98", "a=sendrecv"]


def test_a_stream_that_needs_keys_is_not_answered_without_one() -> None:
    key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x"
    assert answered("t=0 0", "m=audio 4000 RTP/SAVP 0", key) == []
    assert answered("t=0 0", "m=audio 4000 RTP/SAVP 0", key, "m=audio 4002 RTP/AVPF 8")[1:3] == [
        "m=audio 0 RTP/SAVP 0", "m=audio 5000 RTP/AVPF 8",
    ]  # fmt: skip


def test_an_answer_has_the_times_of_its_offer() -> None:
    times = ["t=3034423619 3042462419", "r=604800 3600 0 90000"]
    assert answered(*times, "m=audio 4000 RTP/AVP 0")[:2] == times
    assert answered("m=audio 4000 RTP/AVP 0", "t=1 1")[:1] == ["t=0 0"]


@pytest.mark.parametrize("body", [b"", b"hello", b"v=0\na=x\r", b"v=0\r\nbroken\r\n", b"v=0\r\n" + b"a=x\r\n" * 3000])
def test_what_is_no_description_is_refused(body: bytes) -> None:
    with pytest.raises(ParseError):
        parse_sdp(body)


def test_a_broken_media_line_is_refused_when_read() -> None:
    for line in (b"m=audio x RTP/AVP 0", b"m=audio 99999 RTP/AVP 0"):
        with pytest.raises(ParseError):
            parse_sdp(b"v=0\r\n" + line + b"\r\n").media()
    with pytest.raises(LocalError):
        audio("h", 1, direction="up")
