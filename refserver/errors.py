"""What the server says instead of starting (ours)."""

from __future__ import annotations


class Refused(Exception):
    """The server cannot start as it was asked to; the text says what to do."""
