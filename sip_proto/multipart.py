"""Bodies of several parts: cut at the boundary and put together (RFC 2046 section 5.1, RFC 5621)."""

import hashlib
import re
from collections.abc import Collection, Container, Sequence
from typing import NamedTuple

from sip_proto.errors import LocalError, ParseError
from sip_proto.fields import CONTENT_DISPOSITION, CONTENT_TYPE
from sip_proto.headers import is_token, split_quoted
from sip_proto.message import Message
from sip_proto.values_media import Disposition, MediaType, read_disposition, read_media_type

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]\Z")
_MOST_PARTS = 64
_MOST_HEADERS = 32
# How deep one stands in another.
_MOST_LEVELS = 4
_SDP = ("application/sdp",)
_CODINGS = ("identity",)
# What a part may say of its transfer: SIP carries bytes as they are (RFC 3261 section 7.4.1).
_AS_IT_IS = ("", "7bit", "8bit", "binary")


class Part(NamedTuple):
    """One body with its own header pairs, as they came (RFC 2046 section 5.1)."""

    headers: tuple[tuple[str, str], ...]
    body: bytes

    def get(self, name: str) -> str | None:
        """The first value of a header, None when there is none (ours)."""
        lower = name.lower()
        return next((value for key, value in self.headers if key.lower() == lower), None)

    def media_type(self) -> MediaType:
        """Its type, text/plain when none is written; ParseError (RFC 2046 section 5.1)."""
        return read_media_type(self.get("Content-Type") or "text/plain")

    def disposition(self) -> Disposition | None:
        """What it is for, None when not written; ParseError (RFC 5621 section 4)."""
        value = self.get("Content-Disposition")
        return None if value is None else read_disposition(value)


def parts_of(message: Message) -> list[Part]:
    """The bodies of a message: none, the one, or those of a multipart; ParseError (RFC 5621 section 3)."""
    kind = message.one(CONTENT_TYPE)
    if kind is None or kind.kind != "multipart":
        if not message.body:
            return []
        names = (CONTENT_TYPE.name, CONTENT_DISPOSITION.name)
        pairs = [(name, message.get(name)) for name in names]
        return [Part(tuple([(name, value) for name, value in pairs if value is not None]), message.body)]
    return parse_multipart(message.body, kind.param("boundary"))


def parse_multipart(body: bytes, boundary: str) -> list[Part]:
    """The parts between the boundary lines, bytes untouched; ParseError without them or without their end (RFC 2046
    section 5.1.1)."""
    if not _BOUNDARY.match(boundary):
        raise ParseError("multipart", 0, "no boundary")
    line = b"--" + boundary.encode("ascii")
    # The first line may be a boundary without the line end that belongs to the others.
    pieces = (b"\r\n" + body).split(b"\r\n" + line, _MOST_PARTS + 2)
    found: list[Part] = []
    offset = len(pieces[0])
    for piece in pieces[1:]:
        if piece[:2] == b"--":
            return found
        rest = piece.lstrip(b" \t")
        if rest[:2] != b"\r\n":
            raise ParseError("multipart", offset, "a boundary line with more on it")
        if len(found) == _MOST_PARTS:
            raise ParseError("multipart", offset, f"more than {_MOST_PARTS} parts")
        found.append(_part(rest[2:], offset))
        offset += len(line) + 2 + len(piece)
    raise ParseError("multipart", len(body), "no last boundary")


def _part(data: bytes, offset: int) -> Part:
    if data[:2] == b"\r\n":
        return Part((), data[2:])
    head, blank, body = data.partition(b"\r\n\r\n")
    if not blank:
        raise ParseError("multipart", offset, "a part without an empty line")
    lines = re.sub(rb"\r\n[ \t]+", b" ", head).decode("utf-8", "surrogateescape").split("\r\n")
    if len(lines) > _MOST_HEADERS:
        raise ParseError("multipart", offset, f"more than {_MOST_HEADERS} headers in a part")
    pairs: list[tuple[str, str]] = []
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.strip(" \t")
        if not colon or not is_token(name) or "\n" in value or "\r" in value:
            raise ParseError("multipart", offset, "a header that is no name and value")
        pairs.append((name, value.strip(" \t")))
    return Part(tuple(pairs), body)


def description_of(message: Message) -> bytes:
    """The session description that a message carries, as its body or as a part of it; empty when there is none (RFC
    3261 section 7.4.1, RFC 5621 section 3.1)."""
    body = message.body
    if not body:
        return b""
    kind = message.get("Content-Type") or ""
    if kind[:9].lower() == "multipart":
        try:
            return described(read_media_type(kind), body) or b""
        except ParseError:
            return b""
    if "Content-Disposition" in message.names:
        try:
            disposition = message.one(CONTENT_DISPOSITION)
            if disposition is not None and not disposition.required and read_media_type(kind).essence not in _SDP:
                return b""
        except ParseError:
            return b""
    return body


def described(
    kind: MediaType, body: bytes, types: Collection[str] = _SDP, codings: Container[str] = _CODINGS, level: int = 1
) -> bytes | None:
    """The description of one of `types` in a multipart, empty for none; None when a part that must be understood is
    not; ParseError (RFC 5621 sections 3 and 8.3)."""
    found = b""
    alternative = kind.subtype == "alternative"
    known = not alternative
    for part in parse_multipart(body, kind.param("boundary")):
        given = _described(part, types, codings, level)
        if alternative:
            # The last that can be read is the best.
            if given is not None:
                known, found = True, given
        elif given is not None:
            found = found or given
        elif (disposition := part.disposition()) is None or disposition.required:
            known = False
    return found if known else None


def _described(part: Part, types: Collection[str], codings: Container[str], level: int) -> bytes | None:
    kind = part.media_type()
    if kind.kind == "multipart":
        return described(kind, part.body, types, codings, level + 1) if level < _MOST_LEVELS else None
    disposition = part.disposition()
    if kind.essence not in types or (disposition is not None and disposition.kind != "session"):
        return None
    coded = [coding.lower() for coding in split_quoted(part.get("Content-Encoding") or "identity", ",")]
    if any(coding not in codings for coding in coded):
        return None
    return part.body if (part.get("Content-Transfer-Encoding") or "").lower() in _AS_IT_IS else None


def multipart_body(parts: Sequence[Part], subtype: str = "mixed") -> tuple[str, bytes]:
    """Content-Type and body of several parts; the boundary comes from their bytes; LocalError for none (RFC 2046
    section 5.1.1)."""
    if not 0 < len(parts) <= _MOST_PARTS:
        raise LocalError(f"{len(parts)} parts")
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.body)
    # No one can write a part that holds the digest of itself.
    boundary = digest.hexdigest()[:32]
    chunks: list[bytes] = []
    for part in parts:
        lines = "".join([f"{name}: {value}\r\n" for name, value in part.headers])
        if any(char in name + value for name, value in part.headers for char in "\r\n"):
            raise LocalError("a line end in a header of a part")
        chunks.append(f"--{boundary}\r\n{lines}\r\n".encode("utf-8", "surrogateescape") + part.body + b"\r\n")
    chunks.append(f"--{boundary}--\r\n".encode())
    return f"multipart/{subtype};boundary={boundary}", b"".join(chunks)
