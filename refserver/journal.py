"""Journals: every input of a node, whole, so that it can be fed to a fresh one (design 3; format: ours).

A file is one line of JSON, the head, then records: four octets of length, big-endian, and as many of msgpack.
A record is `[now, input]`; the last is a map, the end, with the digest of all outputs. Passwords pass through
inputs: the file belongs to its owner alone.
"""

from __future__ import annotations

import hashlib
import os
import platform
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import BinaryIO

import msgspec

from cluster_core.coordinator_records import Claimed, ClaimedMany, Joined, Left, Refreshed, Released, ReleasedMany
from cluster_core.dns_records import Found
from cluster_core.inputs import (
    Answered,
    AnyInput,
    Apply,
    Changed,
    Closed,
    Datagram,
    Input,
    Opened,
    Operator,
    Received,
    Role,
    Timeout,
    WallClock,
    Writable,
)
from cluster_core.outputs import AnyOutput
from cluster_core.settings import ClusterSettings

FORMAT = 1
MAX_RECORD = 64 * 1_048_576
_LENGTH = Struct(">I")


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """First line of a journal: which node, of which program, from which seed and configuration."""

    format: int
    holds_secrets: bool
    node: str
    member: str
    seed: str
    versions: dict[str, str]
    settings: ClusterSettings


class End(msgspec.Struct, frozen=True, kw_only=True):
    """Last record of a journal that was closed in order: how many inputs, and the digest of their outputs."""

    inputs: int
    outputs_sha256: str


class _Answered(Input, frozen=True, tag="Answered"):
    """`Answered` with its possible results spelt out, as decoding needs them."""

    request: int
    result: Joined | Refreshed | Claimed | ClaimedMany | Released | ReleasedMany | Left | Found | None


_Record = tuple[
    int,
    Opened
    | Received
    | Closed
    | Datagram
    | Writable
    | _Answered
    | Changed
    | Role
    | Apply
    | Operator
    | WallClock
    | Timeout,
]


class JournalError(Exception):
    """A journal that cannot be written or read; the text says why."""


class OutputDigest:
    """SHA-256 over all outputs of a node in their order."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256()
        self._encoder = msgspec.msgpack.Encoder(order="deterministic")

    def add(self, outputs: list[AnyOutput]) -> None:
        """Take in what one input brought forth."""
        try:
            self._sha.update(self._encoder.encode(outputs))
        except UnicodeEncodeError:  # a text with octets of a peer that are none
            self._sha.update(repr(outputs).encode())

    def hexdigest(self) -> str:
        """The digest so far."""
        return self._sha.hexdigest()


class Journal:
    """Writes the journal of one node; a disk that fails ends it and leaves the server alone."""

    def __init__(self, file: BinaryIO, head: Head) -> None:
        self._file: BinaryIO | None = file
        self._encoder = msgspec.msgpack.Encoder()
        self._digest = OutputDigest()
        self._inputs = 0
        self.failure = ""
        self._put(msgspec.json.encode(head) + b"\n")

    def saw_input(self, now: int, input: AnyInput) -> None:
        """Write one input."""
        record = self._encoder.encode((now, input))
        self._inputs += 1
        self._put(_LENGTH.pack(len(record)) + record)

    def saw_outputs(self, now: int, outputs: list[AnyOutput]) -> None:
        """Take the outputs into the digest at the end."""
        self._digest.add(outputs)

    def flush(self) -> None:
        """Hand what was written to the system."""
        if self._file:
            try:
                self._file.flush()
            except OSError as error:
                self._fail(error)

    def end(self) -> None:
        """Write the end and close."""
        end = End(inputs=self._inputs, outputs_sha256=self._digest.hexdigest())
        record = self._encoder.encode(end)
        self._put(_LENGTH.pack(len(record)) + record)
        self.flush()
        if self._file:
            self._file.close()
            self._file = None

    def _put(self, data: bytes) -> None:
        if self._file:
            try:
                self._file.write(data)
            except OSError as error:
                self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.failure = error.strerror or str(error)
        self._file = None


def make_directory(path: Path) -> None:
    """Make a directory that nobody else can write to; JournalError if others can, or it cannot be."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = path.stat()
    except OSError as error:
        raise JournalError(f"{path}: no directory for journals: {error.strerror or error}") from None
    if not stat.S_ISDIR(info.st_mode):
        raise JournalError(f"{path}: not a directory")
    if info.st_mode & 0o022 and not info.st_mode & stat.S_ISVTX:
        raise JournalError(f"{path}: others may write there; a journal holds secrets: chmod go-w {path}")


def create(
    directory: Path, settings: ClusterSettings, node: str, member: str, seed: bytes, version: str
) -> Journal:
    """A new journal in the directory, for its owner alone; JournalError if it cannot be made."""
    name = f"{node}-{time.strftime('%Y%m%d_%H%M%S')}_{time.time_ns() // 1_000_000 % 1000:03d}.journal"
    path = directory / name
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror or error}") from None
    head = Head(
        format=FORMAT,
        holds_secrets=True,
        node=node,
        member=member,
        seed=seed.hex(),
        versions={"sipcluster": version, "python": platform.python_version(), "msgspec": msgspec.__version__},
        settings=settings,
    )
    return Journal(os.fdopen(descriptor, "wb", buffering=1_048_576), head)


def read_head(file: BinaryIO, name: str) -> Head:
    """The head of a journal; JournalError if it is none."""
    line = file.readline(MAX_RECORD)
    try:
        head = msgspec.json.decode(line, type=Head)
    except msgspec.MsgspecError as error:
        raise JournalError(f"{name}: not a journal: {error}") from None
    if head.format != FORMAT:
        raise JournalError(f"{name}: format {head.format}, expected {FORMAT}")
    return head


def read_records(file: BinaryIO, name: str) -> Iterator[tuple[int, AnyInput] | End]:
    """The records of a journal, its end last; one that was cut off simply ends; JournalError on nonsense."""
    decoder = msgspec.msgpack.Decoder(_Record)
    end = msgspec.msgpack.Decoder(End)
    while len(prefix := file.read(4)) == 4:
        (length,) = _LENGTH.unpack(prefix)
        if length > MAX_RECORD:
            raise JournalError(f"{name}: a record of {length} bytes at {file.tell() - 4}")
        data = file.read(length)
        if len(data) < length:
            return
        try:
            if data[0] & 0xF0 == 0x80:  # a small map
                yield end.decode(data)
                return
            now, input = decoder.decode(data)
        except msgspec.MsgspecError as error:
            raise JournalError(f"{name}: record at {file.tell() - length}: {error}") from None
        yield now, Answered(input.request, input.result) if isinstance(input, _Answered) else input
