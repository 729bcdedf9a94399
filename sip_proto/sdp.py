"""Session descriptions as lines: direction, address and formats are understood, the rest is kept (RFC 8866,
RFC 3264)."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from sip_proto.errors import LocalError, ParseError

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_MIRROR = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}
_ORIGIN = re.compile(r"(o=\S+ \S+ )([0-9]{1,19})( .*)\Z")
_MEDIA = re.compile(r"m=(\S+) ([0-9]{1,5})(/[0-9]+)? (\S+) (\S.*)\Z")
_MOST_LINES = 2_000
_RTPMAP = re.compile(r"a=rtpmap:([0-9]{1,3}) +([^\s/]+)/([0-9]{1,9})(?:/([0-9]{1,3}))?[ \t]*\Z")
_FMTP = re.compile(r"a=fmtp:([0-9]{1,3}) +(.*)\Z")
# Payload types that mean a codec without rtpmap (RFC 3551 section 6).
_STATIC = {
    "0": ("PCMU", 8000, 1),
    "3": ("GSM", 8000, 1),
    "4": ("G723", 8000, 1),
    "5": ("DVI4", 8000, 1),
    "6": ("DVI4", 16000, 1),
    "7": ("LPC", 8000, 1),
    "8": ("PCMA", 8000, 1),
    "9": ("G722", 8000, 1),
    "10": ("L16", 44100, 2),
    "11": ("L16", 44100, 1),
    "12": ("QCELP", 8000, 1),
    "13": ("CN", 8000, 1),
    "14": ("MPA", 90000, 1),
    "15": ("G728", 8000, 1),
    "18": ("G729", 8000, 1),
    "26": ("JPEG", 90000, 1),
    "31": ("H261", 90000, 1),
    "32": ("MPV", 90000, 1),
    "33": ("MP2T", 90000, 1),
    "34": ("H263", 90000, 1),
}
# Streams that need no keys or candidates.
PLAIN_RTP = ("RTP/AVP", "RTP/AVPF")
_NAMES = {"0": "PCMU/8000", "8": "PCMA/8000", "9": "G722/8000", "101": "telephone-event/8000"}
# What formats of ours mean, names in lower case.
_MEANINGS = {name: (codec[0].lower(), *codec[1:]) for name, codec in _STATIC.items()}
_MEANINGS["101"] = ("telephone-event", 8000, 1)


class Media(NamedTuple):
    """One m= line: kind, port (0 is refused), transport, formats."""

    kind: str
    port: int
    transport: str
    formats: tuple[str, ...]


class Codec(NamedTuple):
    """What a format of an RTP stream is: name as written, clock in Hz, channels, fmtp text (RFC 8866 section 6.6)."""

    payload: str
    name: str
    clock_hz: int
    channels: int
    fmtp: str


class Stream(NamedTuple):
    """A media section read whole: an RTP format without codec is left out of `codecs` (RFC 8866 section 5.14)."""

    media: Media
    direction: str
    address: str
    codecs: tuple[Codec, ...]


class Sdp:
    """A session description; `lines` without their ends, `sections` the index of each m= line (ours)."""

    __slots__ = ("end", "lines", "sections")

    def __init__(self, lines: list[str], end: str = "\r\n") -> None:
        self.lines = lines
        self.end = end
        self.sections = [at for at, line in enumerate(lines) if line[:2] == "m="]

    def to_bytes(self) -> bytes:
        """The description as bytes, unknown lines as they came (RFC 8866 section 5)."""
        return "".join([line + self.end for line in self.lines]).encode("utf-8", "surrogateescape")

    def media(self) -> list[Media]:
        """Every m= line in order; ParseError for one that cannot be read (RFC 8866 section 5.14)."""
        found = []
        for at in self.sections:
            parts = _MEDIA.match(self.lines[at])
            if parts is None or int(parts[2]) > 65_535:
                raise ParseError("sdp", at, "broken m= line")
            found.append(Media(parts[1], int(parts[2]), parts[4], tuple(parts[5].split())))
        return found

    def streams(self) -> list[Stream]:
        """Every media section with direction, address and codecs; ParseError as `media` (RFC 3264, RFC 8866)."""
        own = self._own_direction(-1) or "sendrecv"
        place = self._own_address(-1)
        found = []
        for section, media in enumerate(self.media()):
            address = self._own_address(section) or place
            direction = _held(self._own_direction(section) or own, address)
            found.append(Stream(media, direction, address, self._codecs(section, media)))
        return found

    def attribute(self, name: str, section: int = -1) -> str | None:
        """The text of the first `a=name` of a media section, of the session for -1; None when there is none (RFC 8866
        section 5.13)."""
        return next(iter(self.attributes(name, section)), None)

    def attributes(self, name: str, section: int = -1) -> list[str]:
        """The text of every `a=name` of a media section, of the session for -1 (RFC 8866 section 5.13)."""
        start, stop = self._range(section)
        values = []
        for line in self.lines[start:stop]:
            if line[:2] == "a=":
                key, _, value = line[2:].partition(":")
                if key.strip() == name:
                    values.append(value)
        return values

    def _codecs(self, section: int, media: Media) -> tuple[Codec, ...]:
        known = {payload: _STATIC[payload] for payload in media.formats if payload in _STATIC}
        fmtp: dict[str, str] = {}
        start, stop = self._range(section)
        for line in self.lines[start:stop]:
            if (mapped := _RTPMAP.match(line)) is not None:
                known[mapped[1]] = (mapped[2], int(mapped[3]), int(mapped[4] or 1))
            elif (tuned := _FMTP.match(line)) is not None:
                fmtp.setdefault(tuned[1], tuned[2])
        payloads = [payload for payload in media.formats if payload in known]
        return tuple([Codec(payload, *known[payload], fmtp.get(payload, "")) for payload in payloads])

    def _range(self, section: int) -> tuple[int, int]:
        if section < 0:
            return 0, self.sections[0] if self.sections else len(self.lines)
        after = section + 1
        return self.sections[section], self.sections[after] if after < len(self.sections) else len(self.lines)

    def _own_direction(self, section: int) -> str | None:
        start, stop = self._range(section)
        for line in self.lines[start:stop]:
            if line[:2] == "a=" and line[2:].strip() in DIRECTIONS:
                return line[2:].strip()
        return None

    def direction(self, section: int = 0) -> str:
        """Direction of a media section, else the session's, else sendrecv; a null address counts as held
        (RFC 3264)."""
        if section >= len(self.sections):
            return self._own_direction(-1) or "sendrecv"
        own = self._own_direction(section) or self._own_direction(-1) or "sendrecv"
        return _held(own, self.address(section))

    def address(self, section: int = 0) -> str:
        """The connection address of a media section, else the session's, else empty (RFC 8866 section
        5.7)."""
        own = self._own_address(section) if section < len(self.sections) else ""
        return own or self._own_address(-1)

    def _own_address(self, section: int) -> str:
        start, stop = self._range(section)
        for line in self.lines[start:stop]:
            if line[:2] == "c=":
                return line.rpartition(" ")[2].partition("/")[0]
        return ""

    def with_direction(self, direction: str) -> "Sdp":
        """A copy in which every media section has `direction`, the origin's version one higher (RFC 3264
        section 8)."""
        if direction not in DIRECTIONS:
            raise LocalError(f"{direction!r} is no direction")
        first = self.sections[0] if self.sections else len(self.lines)
        lines: list[str] = []
        for at, line in enumerate(self.lines):
            if line[:2] == "a=" and line[2:].strip() in DIRECTIONS:
                continue
            if at > first and line[:2] == "m=":
                lines.append(f"a={direction}")
            lines.append(line)
        if self.sections:
            lines.append(f"a={direction}")
        return Sdp(lines, self.end).with_next_version()

    def with_next_version(self) -> "Sdp":
        """A copy whose o= version is one higher, as a changed description must have (RFC 3264 section 8)."""
        lines = list(self.lines)
        for at, line in enumerate(lines):
            if (found := _ORIGIN.match(line)) is not None:
                lines[at] = f"{found[1]}{int(found[2]) + 1}{found[3]}"
                break
        return Sdp(lines, self.end)


def _held(direction: str, address: str) -> str:
    # The hold of RFC 2543 (RFC 3264 section 8.4).
    if address == "0.0.0.0":
        return {"sendrecv": "sendonly", "recvonly": "inactive"}.get(direction, direction)
    return direction


def parse_sdp(body: bytes) -> Sdp:
    """A body as a description; ParseError when it does not begin with v=0 or is not made of lines (RFC 8866
    section 5)."""
    text = body.decode("utf-8", "surrogateescape")
    end = "\r\n" if "\r\n" in text else "\n"
    if end == "\n" and "\r" in text:
        raise ParseError("sdp", text.index("\r"), "bare CR")
    lines = text.split(end)
    if lines[-1] == "":
        lines.pop()
    if len(lines) > _MOST_LINES:
        raise ParseError("sdp", 0, f"more than {_MOST_LINES} lines")
    if not lines or lines[0].strip() != "v=0":
        raise ParseError("sdp", 0, "no v=0")
    for at, line in enumerate(lines):
        if line[1:2] != "=" and line.strip():
            raise ParseError("sdp", at, "no type=value")
    return Sdp(lines, end)


def audio(
    address: str,
    port: int,
    *,
    session: int = 1,
    version: int = 1,
    direction: str = "sendrecv",
    formats: Sequence[str] = ("0", "8", "101"),
) -> bytes:
    """An audio description with the given RTP formats (RFC 3264 section 5)."""
    if direction not in DIRECTIONS:
        raise LocalError(f"{direction!r} is no direction")
    lines = _head(address, session, version, ["t=0 0"]) + _audio_lines("RTP/AVP", port, formats, direction)
    return Sdp(lines).to_bytes()


def audio_answer(
    offer: Sdp,
    address: str,
    port: int,
    *,
    session: int = 1,
    version: int = 1,
    formats: Sequence[str] = ("0", "8", "101"),
) -> bytes | None:
    """The answer that takes the first audio stream of plain RTP and refuses the others; None without a common format
    (RFC 3264 section 6).

    A format of ours is found by what the offer says that its numbers mean, and has the offer's number.
    """
    lines = _head(address, session, version, times_of(offer))
    taken = False
    for stream in offer.streams():
        media = stream.media
        common = _common(stream, formats) if media.transport in PLAIN_RTP else {}
        if media.kind == "audio" and media.port and not taken and set(common.values()) - {"101"}:
            taken = True
            lines.append(f"m=audio {port} {media.transport} {' '.join(common)}")
            lines += [f"a=rtpmap:{payload} {_NAMES[name]}" for payload, name in common.items() if name in _NAMES]
            lines += [
                f"a=rtpmap:{codec.payload} {codec.name}/{codec.clock_hz}/{codec.channels}"
                for codec in stream.codecs
                if common.get(codec.payload, "0") not in _NAMES
            ]
            lines.append(f"a={_MIRROR[stream.direction]}")
        else:
            lines.append(f"m={media.kind} 0 {media.transport} {' '.join(media.formats)}")
    return Sdp(lines).to_bytes() if taken else None


def _common(stream: Stream, formats: Sequence[str]) -> dict[str, str]:
    """The payloads of a stream that mean one of `formats`, and which."""
    ours = {meaning: name for name in formats if (meaning := _MEANINGS.get(name)) is not None}
    meant = {codec.payload: (codec.name.lower(), codec.clock_hz, codec.channels) for codec in stream.codecs}
    found: dict[str, str] = {}
    for payload in stream.media.formats:
        if payload in meant and meant[payload] in ours:
            found[payload] = ours[meant[payload]]
        elif payload in formats and (payload not in meant or payload not in _MEANINGS):
            # Only one of us says what it is.
            found[payload] = payload
    return found


def times_of(offer: Sdp) -> list[str]:
    """The t= and r= lines that an answer repeats (RFC 3264 section 6)."""
    first = offer.sections[0] if offer.sections else len(offer.lines)
    return [line for line in offer.lines[:first] if line[:2] in ("t=", "r=")] or ["t=0 0"]


def _head(address: str, session: int, version: int, times: Sequence[str]) -> list[str]:
    kind = "IP6" if ":" in address else "IP4"
    return ["v=0", f"o=- {session} {version} IN {kind} {address}", "s=-", f"c=IN {kind} {address}", *times]


def _audio_lines(transport: str, port: int, formats: Sequence[str], direction: str) -> list[str]:
    lines = [f"m=audio {port} {transport} {' '.join(formats)}"]
    lines += [f"a=rtpmap:{name} {_NAMES[name]}" for name in formats if name in _NAMES]
    return [*lines, f"a={direction}"]
