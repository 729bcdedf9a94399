"""`refserver decode`: T-Library frames in hex or in a capture file, printed as log text.

Exit status: 0 everything was read, 1 something was not, 2 wrong use.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from refserver.masks import FrameCutter, one_line
from refserver.pcap import CaptureError, Piece, is_capture, streams
from tlib_proto import HEADER_SIZE, Message, ParseError, decode, frame_length, render

MAX_FILE = 1 << 30
MAX_FRAME = 1_048_576
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
_DUMP = re.compile(r" *([0-9a-fA-F]{4,8})(?:: |  )((?:(?:[0-9a-fA-F]{2}){1,2} {1,2}){1,16})")
_DUMP_DIGITS = 32
_NOISE = re.compile(r"0x|\\x|[\s,:;\"']")


def octets_of(text: str) -> bytes:
    """Octets from hex as people paste it: with or without blanks, `0x`, `\\x`, commas; or as xxd and Wireshark dump it.

    ValueError names the line that holds something else.
    """
    found = bytearray()
    for number, line in enumerate(text.splitlines(), 1):
        dump = _DUMP.match(line + " ")
        if dump and int(dump[1], 16) == len(found):
            digits = dump[2].replace(" ", "")[:_DUMP_DIGITS]  # what looks like hex behind them is text
        else:
            digits = _NOISE.sub("", line.split("#", 1)[0])
        if digits and not _HEX.fullmatch(digits):
            raise ValueError(f"line {number}: no octets in hex")
        found += bytes.fromhex(digits)
    return bytes(found)


def frames(data: bytes) -> Iterator[Message | str]:
    """The messages of octets that stand one after the other; a text says what is no frame, and is the last."""
    at = 0
    while at < len(data):
        rest = len(data) - at
        length = frame_length(data, at) if rest >= 4 else 0
        if rest < HEADER_SIZE or not HEADER_SIZE <= length <= min(rest, MAX_FRAME):
            yield f"octet {at}: no frame; {rest} octets are left" + (
                f", it claims {length}" if rest >= 4 else ""
            )
            return
        try:
            yield decode(data[at : at + length])
        except ParseError as breach:
            yield f"octet {at}: a frame of {length} octets that breaks the format: {breach}"
        at += length


class Conversation:
    """One direction of a stream in a capture."""

    def __init__(self) -> None:
        self.cutter = FrameCutter()
        self.read = 0

    def feed(self, piece: Piece) -> list[Message | int]:
        """The messages that a piece completes; after a hole, from the next segment on that begins with a frame."""
        if piece.begins or piece.hole:
            self.cutter = FrameCutter()
        found = self.cutter.feed(piece.data)
        self.read += sum(isinstance(one, Message) for one in found)
        return found


def decode_capture(data: bytes, port: int | None, mask: bool) -> Iterator[tuple[bool, str]]:
    """Lines of a capture file, each with whether it is good news."""
    table: dict[tuple[str, str], Conversation] = {}
    try:
        for piece in streams(data):
            ends = (piece.source, piece.target)
            if port is not None and not any(end.endswith(f":{port}") for end in ends):
                continue
            conversation = table.setdefault(ends, Conversation())
            if piece.hole and conversation.read:
                yield (
                    False,
                    f"{_time(piece.time_ns)} {piece.source} -> {piece.target} octets are missing here",
                )
            for found in conversation.feed(piece):
                head = f"{_time(piece.time_ns)} {piece.source} -> {piece.target} "
                if isinstance(found, Message):
                    yield True, render(found, mask, head)
                elif conversation.read:
                    yield False, f"{head}a frame of {found} octets that breaks the format"
    except CaptureError as error:
        yield False, str(error)
    silent = sum(not conversation.read for conversation in table.values())
    if port is not None and (silent or not table):
        yield False, f"{silent} directions of port {port} without T-Library, {len(table)} in all"
    elif port is None and silent == len(table):
        yield False, f"no T-Library in the file ({len(table)} directions of TCP streams)"


def decode_octets(data: bytes, mask: bool) -> Iterator[tuple[bool, str]]:
    """Lines of frames that stand one after the other."""
    for found in frames(data):
        yield (True, render(found, mask)) if isinstance(found, Message) else (False, found)
    if not data:
        yield False, "nothing to decode"


def _time(ns: int) -> str:
    moment = datetime.fromtimestamp(ns // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ns // 1_000 % 1_000_000:06}"


def read_input(name: str) -> bytes:
    """A file, or standard input for `-`; ValueError when it is too large."""
    if name == "-":
        data = sys.stdin.buffer.read(MAX_FILE + 1)
    else:
        with Path(name).open("rb") as file:
            data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise ValueError(f"more than {MAX_FILE} octets")
    return data


def main(argv: list[str]) -> int:
    """Decode what is given; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="refserver decode", description="Print T-Library frames from hex or a capture file as log text."
    )
    parser.add_argument(
        "input", nargs="?", default="-", help="a file: pcap, pcapng, hex text; - reads standard input"
    )
    parser.add_argument("--hex", help="frames in hex instead of a file")
    parser.add_argument("--port", type=int, help="of a capture, only the streams of this TCP port")
    parser.add_argument("--raw", action="store_true", help="the file holds frames as they are on the wire")
    parser.add_argument(
        "--unmask", action="store_true", help="print user data, secrets and unknown attributes, too"
    )
    given = parser.parse_args(argv)
    try:
        if given.hex is not None:
            lines = decode_octets(octets_of(given.hex), not given.unmask)
        else:
            data = read_input(given.input)
            if is_capture(data) and not given.raw:
                lines = decode_capture(data, given.port, not given.unmask)
            else:
                octets = data if given.raw else octets_of(data.decode("utf-8", "surrogateescape"))
                lines = decode_octets(octets, not given.unmask)
    except OSError as error:
        print(f"refserver decode: {given.input}: {error.strerror}", file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"refserver decode: {error}", file=sys.stderr)
        return 2
    status = 0
    for good, line in lines:
        if good:
            print(line)
        else:
            print(f"refserver decode: {one_line(line)}", file=sys.stderr)
            status = 1
    return status
