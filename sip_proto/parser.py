"""Datagram to message, leniently: what is broken but answerable is noted, not refused."""

import re
from codecs import utf_8_decode

from sip_proto.errors import ParseError
from sip_proto.headers import is_token, parse_number
from sip_proto.limits import DEFAULT_LIMITS, Limits
from sip_proto.message import CANONICAL, METHODS, Request, Response, canonical

_FOLD = re.compile(r"\r\n[ \t]+")
_STATUS = re.compile(r"(SIP/[0-9]{1,4}\.[0-9]{1,4}) +([1-6][0-9][0-9])(?: (.*))?\Z", re.I | re.S)
_VERSION = re.compile(r"SIP/[0-9]{1,4}\.[0-9]{1,4}\Z", re.I)
# The end of a line, with no blank before it, and the next line's name, with one blank behind its colon. The name
# has a bound, as each would be looked for up to the end of a message without colons.
_split_names = re.compile(r"\r\n(?<! \r\n)([^:]{1,32}+): (?! )").split
_all_canonical = frozenset(CANONICAL.values()).issuperset
_STATUSES = frozenset(map(str, range(100, 700)))
_LINE_END = re.compile(r"\r\n|\r|\n")


def parse(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Request | Response:
    """One datagram as a message; ParseError when there is nothing to answer (RFC 3261 sections 7 and 18.3).

    Compact names become long ones, folded lines one line; unknown headers keep name and value. A fault that
    can still be answered (a line without colon, a body shorter than Content-Length) is the message's `fault`.
    """
    if len(data) > limits.message:
        raise ParseError("too long", limits.message, f"{len(data)} bytes")
    # The last empty line, as most messages have no body: one before it leaves a line without name to `_plain`.
    head, end, body = data.rpartition(b"\r\n\r\n")
    message = _plain(head, body, limits) if end else None
    return message if message is not None else _lenient(data, limits)


def _plain(head: bytes, body: bytes, limits: Limits) -> Request | Response | None:
    """A message where each line is written as almost everyone writes it, so that nothing is looked at twice;
    None for any other, which may still be one."""
    if len(head) > limits.header or len(head) > limits.head:
        return None
    text = utf_8_decode(head, "surrogateescape", True)[0]
    if "\t" in text or text[-1:] == " ":
        return None
    parts = _split_names(text)
    # What the names did not part is a line end of another kind, a folded line, or one without colon or value.
    rest = "".join(parts)
    if "\n" in rest or "\r" in rest:
        return None
    names, values = parts[1::2], parts[2::2]
    if len(names) > limits.headers:
        return None
    if not _all_canonical(names):
        if not all(map(is_token, names)):
            return None
        names = list(map(canonical, names))
    try:
        if values[names.index("Content-Length")] != str(len(body)):
            return None
    except ValueError:
        pass
    words = parts[0].split(" ", 2)
    if len(words) == 3:
        first, second, third = words
        if third == "SIP/2.0" and first in METHODS and len(second) <= limits.uri:
            return Request(first, second, names, values, body)
        if first == "SIP/2.0" and second in _STATUSES:
            return Response(int(second), third, names, values, body)
    return None


def _lenient(data: bytes, limits: Limits) -> Request | Response:
    """A message however it is written, with the first fault that can be answered; ParseError."""
    fault: tuple[int, str] | None = None
    data = data.lstrip(b"\r\n")
    if not data:
        raise ParseError("empty", 0, "nothing but line ends")
    end = data.find(b"\r\n\r\n")
    if end >= 0:
        start_of_body = end + 4
    else:
        end, start_of_body = _loose_end(data)
    if end > limits.head:
        raise ParseError("head too long", limits.head, f"{end} bytes of header")
    text = data[:end].decode("utf-8", "surrogateescape")
    bare = text.replace("\r\n", "")
    if "\n" in bare or "\r" in bare:
        if b"\r\n\r\n" in data:
            # Other parsers may cut such a line elsewhere, so it must not be passed on.
            fault = (400, "bare CR or LF in the header")
        text = _LINE_END.sub("\r\n", text)
    text = _FOLD.sub(" ", text)
    lines = text.split("\r\n")
    names, values, fault = _headers(text, lines, fault, limits)
    body = data[start_of_body:]
    if "Content-Length" in names:
        length = parse_number(values[names.index("Content-Length")])
        if length is None:
            fault = fault or (400, "Content-Length is no number")
        elif length < len(body):
            body = body[:length]
        elif length > len(body):
            fault = fault or (400, "body shorter than Content-Length")
    return _message(lines[0], names, values, body, fault, limits)


def _headers(
    text: str, lines: list[str], fault: tuple[int, str] | None, limits: Limits
) -> tuple[list[str], list[str], tuple[int, str] | None]:
    """Names, values and the first fault of unfolded lines, however they are written."""
    if len(lines) - 1 > limits.headers:
        fault = fault or (400, f"more than {limits.headers} headers")
        del lines[limits.headers + 1 :]
    if len(text) > limits.header and max(map(len, lines)) > limits.header:
        if len(lines[0]) > limits.header:
            raise ParseError("start line", limits.header, "too long")
        fault = fault or (400, f"a header of more than {limits.header} bytes")
        lines[:] = [line[: limits.header] for line in lines]
    names: list[str] = []
    values: list[str] = []
    known = CANONICAL.get
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        key = known(name)
        if key is None or not colon:
            key = canonical(name.rstrip(" \t"))
            if not colon or not is_token(key):
                fault = fault or (400, f"header {len(names) + 1} is no name and value")
                continue
        names.append(key)
        values.append(value.strip(" \t"))
    return names, values, fault


def _message(
    start: str,
    names: list[str],
    values: list[str],
    body: bytes,
    fault: tuple[int, str] | None,
    limits: Limits,
) -> Request | Response:
    if start[:4].upper() == "SIP/":
        found = _STATUS.match(start)
        if found is None:
            raise ParseError("start line", 0, "no status line")
        return Response(int(found[2]), found[3] or "", names, values, body, fault, found[1].upper())
    method, _, rest = start.partition(" ")
    uri, _, version = rest.rpartition(" ")
    if version != "SIP/2.0" and not _VERSION.match(version):
        trimmed = start.rstrip(" \t").split()
        if len(trimmed) < 3 or not _VERSION.match(trimmed[-1]):
            raise ParseError("start line", len(method), "neither request nor status line")
        method, version = trimmed[0], trimmed[-1]
        uri = " ".join(trimmed[1:-1])
        fault = fault or (400, "blanks in the start line")
    if method not in METHODS and not is_token(method):
        raise ParseError("start line", 0, "no method")
    if len(method) > limits.method:
        fault = fault or (501, f"a method of more than {limits.method} bytes")
    if len(uri) > limits.uri:
        fault = fault or (414, f"a Request-URI of more than {limits.uri} bytes")
    return Request(method, uri, names, values, body, fault, version if version == "SIP/2.0" else version.upper())


def _loose_end(data: bytes) -> tuple[int, int]:
    # Senders with bare line feeds, and those who leave the empty line out when there is no body.
    at = data.find(b"\n\n")
    if at >= 0:
        return at, at + 2
    if data[-1:] == b"\n":
        return len(data.rstrip(b"\r\n")), len(data)
    raise ParseError("incomplete", len(data), "no end of header")
