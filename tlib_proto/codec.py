"""Frames: encode, decode, and the little that is read or patched without decoding (format: `wire.py`)."""

from struct import Struct

from ._codec import decode, decode_at, encode, scan
from .errors import LocalError

__all__ = [
    "HEADER_SIZE",
    "decode",
    "decode_at",
    "encode",
    "frame_id",
    "frame_length",
    "frame_reference",
    "scan",
    "with_reference",
]

HEADER_SIZE = 12
"""Octets of length, version, flags, message id, ReferenceID."""

_ID = Struct(">H")
_ID_AT = 6
_REF = Struct(">I")
_REF_AT = 8


def frame_length(data: bytes | bytearray | memoryview, at: int = 0) -> int:
    """Length that the frame at `at` claims, itself included; four octets must be there."""
    length: int = _REF.unpack_from(data, at)[0]
    return length


def frame_id(frame: bytes | memoryview) -> int:
    """Message id of a frame of which the header is there."""
    number: int = _ID.unpack_from(frame, _ID_AT)[0]
    return number


def frame_reference(frame: bytes | memoryview) -> int:
    """ReferenceID of a frame of which the header is there."""
    ref: int = _REF.unpack_from(frame, _REF_AT)[0]
    return ref


def with_reference(frame: bytes, ref: int) -> bytes:
    """The same frame with another ReferenceID: an event is encoded once, its requester gets this copy."""
    if len(frame) < HEADER_SIZE or not 0 <= ref <= 0xFFFFFFFF:
        raise LocalError(f"no frame, or no ReferenceID: {len(frame)} octets, {ref}")
    return b"".join((frame[:_REF_AT], _REF.pack(ref), memoryview(frame)[HEADER_SIZE:]))
