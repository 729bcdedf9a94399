"""Bounds of the protocol layer: those of the format itself, and those that a server may choose."""

import msgspec

MAX_ATTRIBUTES = 256
"""Attributes of one message (ours, part of the format)."""
MAX_KVLIST = 65_536
"""Octets of one encoded key-value list (ours; the published maximum of packed user data is 65,535)."""
MAX_DEPTH = 16
"""Lists inside lists (ours, part of the format)."""


class Limits(msgspec.Struct, frozen=True):
    """Bounds of one session (ours): sizes in octets, times in microseconds.

    `queue` and `stalled_us` are what a reader may leave unread, and for how long; `keepalive_min_us` and
    `keepalive_max_us` hold a keep-alive time that the peer asks for (ADDP's range is 0 to 3,600 s).
    """

    frame: int = 1_048_576
    hello_frame: int = 4_096
    hello_us: int = 5_000_000
    partial_frame_us: int = 5_000_000
    queue: int = 4_194_304
    stalled_us: int = 30_000_000
    keepalive_min_us: int = 1_000_000
    keepalive_max_us: int = 3_600_000_000


LIMITS = Limits()
"""Bounds of a session that was given none."""
