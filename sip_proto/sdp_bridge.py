"""Descriptions on their way from one leg to another: held, refused, put into the order that a leg has agreed on (RFC
3264, RFC 3725)."""

from collections.abc import Sequence

from sip_proto.sdp import PLAIN_RTP, Media, Sdp, times_of


def with_origin(sdp: Sdp, host: str, session: int, version: int) -> Sdp:
    """A copy whose o= line is ours: the session's number, which a leg keeps, and a version (RFC 3264 section 8)."""
    line = f"o=- {session} {version} IN {'IP6' if ':' in host else 'IP4'} {host}"
    lines = [other for other in sdp.lines if other[:2] != "o="]
    return Sdp([*lines[:1], line, *lines[1:]], sdp.end)


def held_answer(offer: Sdp, host: str) -> Sdp:
    """The answer that takes every plain RTP stream as inactive and refuses the others; ParseError as `media` (RFC 3725
    section 4.3)."""
    lines = _head(host, offer)
    for section, media in enumerate(offer.media()):
        taken = media.port and media.transport in PLAIN_RTP
        lines.append(_media_line(media, 9 if taken else 0))
        if taken:
            lines += [f"a=rtpmap:{value}" for value in offer.attributes("rtpmap", section)]
            lines.append("a=inactive")
    return Sdp(lines)


def refused_answer(offer: Sdp, host: str) -> Sdp:
    """The answer that refuses every stream; ParseError as `media` (RFC 3264 section 6)."""
    return Sdp([*_head(host, offer), *[_media_line(media, 0) for media in offer.media()]])


def aligned(offer: Sdp, agreed: Sequence[Media]) -> tuple[Sdp, tuple[int, ...]]:
    """The offer in the order of streams that a leg has agreed on, and where each of its streams was in `offer`, -1 for
    one that is offered as refused; ParseError as `media` (RFC 3264 section 8, RFC 3725 section 4.3)."""
    media = offer.media()
    left = list(range(len(media)))
    places: list[int] = []
    for before in agreed:
        same = [at for at in left if (media[at].kind, media[at].transport) == (before.kind, before.transport)]
        places.append(same[0] if same else -1)
        left = [at for at in left if at not in same[:1]]
    places += left
    lines = _session(offer)
    for number, place in enumerate(places):
        lines += _section(offer, place) if place >= 0 else [_media_line(agreed[number], 0)]
    return Sdp(lines, offer.end), tuple(places)


def restored(answer: Sdp, places: Sequence[int], offer: Sdp) -> Sdp:
    """The answer to what aligned() made of `offer`, in the order of `offer`; a stream that it leaves out is refused;
    ParseError as `media` (RFC 3725 section 4.3)."""
    lines = _session(answer)
    given = len(answer.media())
    for number, media in enumerate(offer.media()):
        place = places.index(number)
        lines += _section(answer, place) if place < given else [_media_line(media, 0)]
    return Sdp(lines, answer.end)


def _head(host: str, offer: Sdp) -> list[str]:
    kind = "IP6" if ":" in host else "IP4"
    return ["v=0", f"o=- 1 1 IN {kind} {host}", "s=-", f"c=IN {kind} {host}", *times_of(offer)]


def _media_line(media: Media, port: int) -> str:
    return f"m={media.kind} {port} {media.transport} {' '.join(media.formats)}"


def _session(sdp: Sdp) -> list[str]:
    return sdp.lines[: sdp.sections[0]] if sdp.sections else list(sdp.lines)


def _section(sdp: Sdp, section: int) -> list[str]:
    return sdp.lines[sdp.sections[section] : [*sdp.sections, len(sdp.lines)][section + 1]]
