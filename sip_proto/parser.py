"""Datagram to message, leniently: what is broken but answerable is noted, not refused."""

import re
from itertools import islice

from sip_proto.errors import ParseError
from sip_proto.headers import is_token, parse_number
from sip_proto.limits import DEFAULT_LIMITS, Limits
from sip_proto.message import CANONICAL, METHODS, Request, Response, canonical

_FOLD = re.compile(r"\r\n[ \t]+")
_STATUS = re.compile(r"(SIP/[0-9]{1,4}\.[0-9]{1,4}) +([1-6][0-9][0-9])(?: (.*))?\Z", re.I | re.S)
_VERSION = re.compile(r"SIP/[0-9]{1,4}\.[0-9]{1,4}\Z", re.I)
_LINE_END = re.compile(r"\r\n|\r|\n")


def parse(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Request | Response:
    """One datagram as a message; ParseError when there is nothing to answer (RFC 3261 sections 7 and 18.3).

    Compact names become long ones, folded lines one line; unknown headers keep name and value. A fault that
    can still be answered (a line without colon, a body shorter than Content-Length) is the message's `fault`.
    """
    size = len(data)
    if size > limits.message:
        raise ParseError("too long", limits.message, f"{size} bytes")
    if data[:1] < b"\x0e":
        data = data.lstrip(b"\r\n")
    if not data:
        raise ParseError("empty", 0, "nothing but line ends")
    fault: tuple[int, str] | None = None
    end = data.find(b"\r\n\r\n")
    if end >= 0:
        start_of_body = end + 4
    else:
        end, start_of_body = _loose_end(data)
    if end > limits.head:
        raise ParseError("head too long", limits.head, f"{end} bytes of header")
    text = data[:end].decode("utf-8", "surrogateescape")
    lines = text.split("\r\n")
    bare = "".join(lines)
    names: list[str] | None = None
    if "\n" not in bare and "\r" not in bare:
        # Most messages are written as everyone writes them: then nothing is looked at twice.
        if len(lines) <= limits.headers + 1 and len(text) <= limits.header:
            names, values = _plain_headers(text, lines)
    else:
        if b"\r\n\r\n" in data:
            # Other parsers may cut such a line elsewhere, so it must not be passed on.
            fault = (400, "bare CR or LF in the header")
        text = _LINE_END.sub("\r\n", text)
    if names is None:
        if "\r\n " in text or "\r\n\t" in text:
            text = _FOLD.sub(" ", text)
        lines = text.split("\r\n")
        names, values, fault = _headers(text, lines, fault, limits)
    body = data[start_of_body:]
    if "Content-Length" in names:
        digits = values[names.index("Content-Length")]
        length = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else parse_number(digits)
        if length is None:
            fault = fault or (400, "Content-Length is no number")
        elif length < len(body):
            body = body[:length]
        elif length > len(body):
            fault = fault or (400, "body shorter than Content-Length")
    words = lines[0].split(" ")
    if len(words) == 3 and words[2] == "SIP/2.0" and words[0] in METHODS and len(words[1]) <= limits.uri:
        return Request(words[0], words[1], names, values, body, fault)
    return _message(lines[0], names, values, body, fault, limits)


def _plain_headers(text: str, lines: list[str]) -> tuple[list[str] | None, list[str]]:
    """Names and values where each line is `Name: value`; None where one is not."""
    if "\t" in text or " \r\n" in text or ":  " in text or text[-1:] == " ":
        return None, []
    names: list[str] = []
    values: list[str] = []
    known = CANONICAL
    for line in islice(lines, 1, None):
        name, colon, value = line.partition(": ")
        try:
            names.append(known[name])
        except KeyError:
            if not colon or not is_token(name):
                return None, []
            names.append(canonical(name))
        values.append(value)
    # Nothing behind the name may be a line without colon.
    return (None, []) if "" in values else (names, values)


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
