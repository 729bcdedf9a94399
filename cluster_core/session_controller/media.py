"""Session descriptions as this B2BUA passes them on: theirs in every line but the origin and the direction.

On each leg the origin is ours and its version grows with every description that differs, as RFC 3264 section 8 asks.
What we do not know stays as it is.
"""

from __future__ import annotations

import re

_DIRECTION = re.compile(rb"(?m)^a=(sendrecv|sendonly|recvonly|inactive)\r?$")
_ORIGIN = re.compile(rb"(?m)^o=\S+ \S+ \S+( \S+ \S+ \S+)")


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


def with_origin(sdp: bytes, session: int, version: int) -> bytes:
    """The description with an origin of ours: a session number that the leg keeps, and a version."""
    found = _ORIGIN.search(sdp)
    if found is None:
        return sdp
    return b"%bo=- %d %d%b%b" % (sdp[: found.start()], session, version, found[1], sdp[found.end() :])


def nothing(host: str) -> bytes:
    """A description that offers audio and wants none: it holds a phone until there is somebody to talk to."""
    family = "IP6" if ":" in host else "IP4"
    return (
        f"v=0\r\no=- 0 0 IN {family} {host}\r\ns=-\r\nc=IN {family} {host}\r\nt=0 0\r\n"
        "m=audio 9 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=inactive\r\n"
    ).encode()
