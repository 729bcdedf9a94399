"""Session descriptions as this B2BUA passes them on: theirs in every line but the origin and the direction.

On each leg the origin is ours and its version grows with every description that differs, as RFC 3264 section 8 asks.
What we do not know stays as it is.
"""

from __future__ import annotations

import re

_DIRECTION = re.compile(rb"(?m)^a=(sendrecv|sendonly|recvonly|inactive)\r?$")
_ORIGIN = re.compile(rb"(?m)^o=\S+ \S+ \S+( \S+ \S+ \S+)")
_MEDIA = re.compile(rb"m=(\S+) ([0-9]{1,5})(?:/[0-9]+)? (\S+) (.+)")
_KEPT = (b"a=rtpmap:", b"a=fmtp:", b"a=ptime:")
_MIRROR = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}


def direction(sdp: bytes) -> str:
    """The direction of the first stream: sendrecv unless said otherwise (RFC 4566 section 6)."""
    found = _DIRECTION.search(sdp)
    return "sendrecv" if found is None else found[1].decode()


def is_hold(sdp: bytes) -> bool:
    """Whether an offer holds the other side: it does not want to hear (RFC 3264 section 8.4), or c= is 0.0.0.0."""
    return bool(sdp) and (direction(sdp) in ("sendonly", "inactive") or b"IN IP4 0.0.0.0" in sdp)


def with_direction(sdp: bytes, wanted: str) -> bytes:
    """The description with every stream in that direction."""
    bare = re.sub(rb"(?m)^a=(sendrecv|sendonly|recvonly|inactive)\r?\n?", b"", sdp)
    if bare and not bare.endswith(b"\n"):
        bare += b"\r\n"
    out, in_media = [], False
    for line in bare.splitlines(keepends=True):
        if line.startswith(b"m="):
            if in_media:
                out.append(b"a=" + wanted.encode() + b"\r\n")
            in_media = True
        out.append(line)
    if in_media:
        out.append(b"a=" + wanted.encode() + b"\r\n")
    return b"".join(out)


def mirror(sdp: bytes) -> str:
    """The direction as the other side sees it (RFC 3264 section 6.1)."""
    return _MIRROR[direction(sdp)]


def answer_from(known: bytes, offer: bytes) -> bytes:
    """What we know of a phone as the answer to an offer, made for fewer streams or others: nothing (RFC 3264 6)."""
    if not known or _streams(known) != _streams(offer):
        return b""
    return limited(known, offer)


def limited(sdp: bytes, other: bytes) -> bytes:
    """The description with no more directions than the other side's has (RFC 3264 section 6.1)."""
    now, wanted = direction(sdp), mirror(other)
    if now == wanted or wanted == "sendrecv":
        return sdp
    return with_direction(sdp, wanted if now == "sendrecv" else "inactive")


def held_answer(offer: bytes, host: str) -> bytes:
    """The answer for a phone that has nobody to talk to yet: plain audio is taken and silent, other streams are
    refused; b"" for an offer without plain audio or that is none."""
    head, times, streams, taken = _head(host), b"t=0 0\r\n", b"", False
    keep = False
    for line in offer.splitlines():
        if line.startswith(b"t=") and not streams:
            times = line + b"\r\n"
        elif line.startswith(b"m="):
            found = _MEDIA.match(line)
            if found is None:
                return b""
            if keep:
                streams += b"a=inactive\r\n"
            keep = found[1] == b"audio" and found[3] == b"RTP/AVP" and int(found[2]) > 0
            taken |= keep
            streams += b"m=%b %d %b %b\r\n" % (found[1], 9 if keep else 0, found[3], found[4])
        elif keep and line.startswith(_KEPT):
            streams += line + b"\r\n"
    if keep:
        streams += b"a=inactive\r\n"
    return head + times + streams if taken else b""


def with_origin(sdp: bytes, session: int, version: int) -> bytes:
    """The description with an origin of ours: a session number that the leg keeps, and a version."""
    found = _ORIGIN.search(sdp)
    if found is None:
        return sdp
    return b"%bo=- %d %d%b%b" % (sdp[: found.start()], session, version, found[1], sdp[found.end() :])


def without_origin(sdp: bytes) -> bytes:
    """The description without who made it, and which version it is."""
    return _ORIGIN.sub(b"", sdp)


def nothing(host: str) -> bytes:
    """A description that offers audio and wants none: it holds a phone until there is somebody to talk to."""
    return _head(host) + (
        b"t=0 0\r\nm=audio 9 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=inactive\r\n"
    )


def _head(host: str) -> bytes:
    family = "IP6" if ":" in host else "IP4"
    return f"v=0\r\no=- 0 0 IN {family} {host}\r\ns=-\r\nc=IN {family} {host}\r\n".encode()


def _streams(sdp: bytes) -> list[bytes]:
    return [line.split(b" ")[0] for line in sdp.splitlines() if line.startswith(b"m=")]
