"""Branches, tags and Call-IDs: derived from a seed and a counter, and marked with the node that made them."""

import hashlib
import re

_NODE = re.compile(r"-n([0-9]{1,4})(?:@|\Z)")


class Ids:
    """Unguessable texts from one seed, each once (ours); `node` 0 leaves the mark out."""

    __slots__ = ("_counter", "_key", "_mark")

    def __init__(self, seed: bytes, node: int) -> None:
        self._key = hashlib.blake2s(seed, person=b"sip-ids").digest()
        self._counter = 0
        self._mark = f"-n{node}" if node else ""

    def token(self) -> str:
        """Twenty hex digits."""
        self._counter += 1
        return hashlib.blake2s(self._counter.to_bytes(8, "big"), key=self._key, digest_size=10).hexdigest()

    def branch(self) -> str:
        """A branch with the cookie of RFC 3261 section 8.1.1.7."""
        return "z9hG4bK" + self.token()

    def tag(self) -> str:
        """A tag that carries the node."""
        return self.token() + self._mark

    def call_id(self, host: str) -> str:
        """A Call-ID that carries the node."""
        return f"{self.token()}{self._mark}@{host}"

    def tag_of(self, text: str) -> str:
        """The same tag for the same text: a stateless answer repeats its tag (RFC 3261 section 8.2.7)."""
        raw = text.encode("utf-8", "surrogateescape")
        return hashlib.blake2s(raw, key=self._key, digest_size=10).hexdigest() + self._mark


def node_of_tag(tag: str) -> int | None:
    """The number of the node that made a tag, None when it has no mark (ours)."""
    found = _NODE.search(tag)
    return int(found[1]) if found is not None and found.end() == len(tag) else None


def node_of_call_id(call_id: str) -> int | None:
    """The number of the node that made a Call-ID, None when it has no mark (ours)."""
    found = _NODE.search(call_id)
    return int(found[1]) if found is not None else None
