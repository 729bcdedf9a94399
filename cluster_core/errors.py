"""What the package raises (ours)."""

from __future__ import annotations


class LocalError(Exception):
    """The caller asked for something that cannot be done; nothing has changed."""
