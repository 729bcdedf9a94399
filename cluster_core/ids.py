"""Identifiers: all derived from one seed and counters, never drawn (design 5)."""

from __future__ import annotations

from base64 import b32hexencode
from hashlib import blake2b

from cluster_core.errors import LocalError

MARK_STEP = 1_000
NODE_MAX = 4_095
INCARNATION_MAX = (1 << 20) - 1
_COUNTER_MAX = (1 << 32) - 1


def node_of(conn_id: int) -> int:
    """The number of the node where the call of that ConnID lives, 0 for one that no node made."""
    return (conn_id >> 52) & NODE_MAX


class Ids:
    """The ids of one node in one incarnation; the seed and the node's number (1 to 4095) make them its own.

    `incarnation` is set when the node becomes a member; the counters go on. `mark` is a number that no
    counter has passed, in steps of 1,000: stored, and given to `resume` by whoever goes on, it keeps
    ids unique.
    """

    def __init__(self, seed: bytes, node_number: int) -> None:
        if not 1 <= node_number <= NODE_MAX:
            raise LocalError(f"node number {node_number} is not 1 to {NODE_MAX}")
        self._key = blake2b(seed, digest_size=32).digest()
        self._node = node_number
        self.incarnation = 0
        self.mark = 0
        self._calls = 0
        self._uuids = 0
        self._sessions = 0
        self._requests = 0
        self._parties = 0

    def resume(self, mark: int) -> None:
        """Go on above a stored mark."""
        self.mark = max(self.mark, mark)
        self._calls = max(self._calls, mark)
        self._uuids = max(self._uuids, mark)
        self._sessions = max(self._sessions, mark)
        self._requests = max(self._requests, mark)
        self._parties = max(self._parties, mark)

    def conn_id(self) -> int:
        """A new ConnID: node 12 bits, incarnation 20, counter 32; never 0."""
        self._calls = self._marked(self._calls + 1)
        return self._node << 52 | (self.incarnation & INCARNATION_MAX) << 32 | self._calls

    def call_uuid(self) -> str:
        """A new CallUUID: 32 characters of 0-9 A-V."""
        self._uuids = self._marked(self._uuids + 1)
        return b32hexencode(self._derived(b"uuid", self._uuids)).decode()

    def session_id(self) -> str:
        """A new session id, not to be guessed: 40 hexadecimal digits."""
        self._sessions = self._marked(self._sessions + 1)
        return self._derived(b"session", self._sessions).hex()

    def request(self) -> int:
        """A new request number, of 52 bits and never 0: a late answer to an earlier incarnation finds nobody."""
        self._requests = self._marked(self._requests + 1)
        return (self.incarnation & INCARNATION_MAX) << 32 | self._requests

    def party(self) -> int:
        """A new key of a party, from 1."""
        self._parties = self._marked(self._parties + 1)
        return self._parties

    def _marked(self, counter: int) -> int:
        if counter > self.mark:
            if counter > _COUNTER_MAX:
                raise LocalError("this incarnation has no number left")
            self.mark = -(-counter // MARK_STEP) * MARK_STEP
        return counter

    def _derived(self, purpose: bytes, counter: int) -> bytes:
        text = b"%s:%d:%d:%d" % (purpose, self._node, self.incarnation, counter)
        return blake2b(text, digest_size=20, key=self._key).digest()
