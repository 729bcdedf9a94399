"""The four transaction machines over tables.ROWS, and the table that finds them (RFC 3261 section 17, RFC
6026)."""

from enum import IntEnum
from typing import NamedTuple

from sip_proto.build import RequestParts, failure_ack
from sip_proto.credentials import Tries
from sip_proto.flows import Flows, Hop
from sip_proto.limits import Timings
from sip_proto.message import Message
from sip_proto.records import Dialog, Output, Transmit
from sip_proto.reliable import Heard
from sip_proto.session_timer import Asked
from sip_proto.tables import (
    INITIAL,
    INPUTS,
    RELIABLE_INITIAL,
    RELIABLE_ROWS,
    ROWS,
    Again,
    Bound,
    Input,
    Row,
    Sends,
    State,
)
from sip_proto.timers import TimerTable
from sip_proto.uri import Address

# A timer's key is handle * 8 + one of these; the legs use 2 and 3 of their own handles.
RESEND_TIMER = 0
BOUND_TIMER = 1

Key = tuple[str, ...]


class Purpose(IntEnum):
    """Whom a client transaction tells."""

    CALL = 0
    RECALL = 1
    PLAIN = 2
    CLOSE = 3
    SILENT = 4
    SUBSCRIBE = 5
    NOTIFY = 6
    UPDATE = 7
    REFRESH = 8
    FORWARD = 9


class Sent(NamedTuple):
    """What a request of ours was made of, while a challenge may have it sent again; `dialog` is None outside of one,
    `extra` are its header lines but for credentials (ours)."""

    dialog: Dialog | None
    parts: RequestParts
    extra: str
    body: bytes
    content_type: str
    max_forwards: str
    tries: Tries


class Transaction:
    """One transaction; `leg` is 0 or the handle of the leg it belongs to, `flow` 0 or the stream it goes by."""

    __slots__ = (
        "again_us",
        "data",
        "destination",
        "flow",
        "handle",
        "key",
        "leg",
        "listener",
        "method",
        "name",
        "state",
        "transport",
    )

    client = False

    def __init__(
        self, handle: int, key: Key, state: State, method: str, leg: int, listener: str, destination: Address
    ) -> None:
        self.handle = handle
        self.key = key
        self.state = state
        self.method = method
        self.leg = leg
        self.listener = listener
        self.destination = destination
        self.transport = "udp"
        self.flow = 0
        self.name = ""
        self.data = b""
        self.again_us = 0

    def hop(self) -> Hop:
        """Where it sends to."""
        return Hop(self.listener, self.destination, self.transport, self.flow, self.name)


class ClientTransaction(Transaction):
    """A request of ours; `acks` holds, once a 2xx came, the ACK sent to each answering tag (empty: not
    yet), `heard` what reliable 1xx came by tag; `asks` an INVITE that leaves the offer to the peer; `secrets` its
    header lines with credentials, `told` the handle that the program has for it."""

    __slots__ = ("acks", "asks", "cseq", "heard", "parts", "purpose", "secrets", "sent", "told")

    client = True

    def __init__(
        self,
        handle: int,
        key: Key,
        state: State,
        method: str,
        leg: int,
        listener: str,
        destination: Address,
        purpose: Purpose,
        cseq: int,
        parts: RequestParts | None,
    ) -> None:
        super().__init__(handle, key, state, method, leg, listener, destination)
        self.purpose = purpose
        self.cseq = cseq
        self.parts = parts
        self.acks: dict[str, tuple[Hop, bytes] | None] = {}
        self.heard: dict[str, Heard] = {}
        self.asks = False
        self.secrets = ""
        self.sent: Sent | None = None
        self.told = handle


class ServerTransaction(Transaction):
    """A peer's request; `head` and `to` are the lines that its responses repeat, `routes` its Record-Route
    lines, `asked` what it says of the session timer where that matters."""

    __slots__ = ("asked", "cseq", "head", "merge", "routes", "to")

    def __init__(
        self,
        handle: int,
        key: Key,
        state: State,
        method: str,
        leg: int,
        listener: str,
        destination: Address,
        cseq: int,
        head: str,
        to: str,
        routes: str,
        merge: Key | None,
    ) -> None:
        super().__init__(handle, key, state, method, leg, listener, destination)
        self.cseq = cseq
        self.head = head
        self.to = to
        self.routes = routes
        self.merge = merge
        self.asked: Asked | None = None


class Transactions:
    """All transactions of an endpoint: found by key or handle, stepped by the table, removed when they
    terminate (ours)."""

    __slots__ = ("_again", "_bounds", "_flows", "_removed", "_timers", "by_handle", "clients", "merged", "servers")

    def __init__(self, timings: Timings, timers: TimerTable[int], flows: Flows) -> None:
        self._timers = timers
        self._flows = flows
        self._removed = 0
        self.clients: dict[Key, ClientTransaction] = {}
        self.servers: dict[Key, ServerTransaction] = {}
        self.by_handle: dict[int, ClientTransaction | ServerTransaction] = {}
        self.merged: dict[Key, int] = {}
        self._again = (timings.t1_us, timings.t2_us)
        longest = 64 * timings.t1_us
        self._bounds = dict.fromkeys(Bound, longest)
        self._bounds[Bound.C] = timings.ring_us
        self._bounds[Bound.D] = max(longest, 32_000_000)
        self._bounds[Bound.I] = self._bounds[Bound.K] = timings.t4_us

    def __len__(self) -> int:
        return len(self.by_handle)

    def start(
        self, now: int, tx: ClientTransaction | ServerTransaction, out: list[Output], *, quiet: bool = False
    ) -> None:
        """Take a new transaction into the table and enter its first state; `quiet` for one that is answered at once
        (RFC 3261 section 17)."""
        if isinstance(tx, ClientTransaction):
            assert tx.key not in self.clients
            self.clients[tx.key] = tx
        else:
            assert tx.key not in self.servers
            self.servers[tx.key] = tx
            if tx.merge is not None:
                self.merged[tx.merge] = tx.handle
        self.by_handle[tx.handle] = tx
        if not quiet:
            self._perform(now, tx, RELIABLE_INITIAL[tx.state] if tx.flow else INITIAL[tx.state], out, None)

    def step(
        self,
        now: int,
        tx: ClientTransaction | ServerTransaction,
        event: Input,
        out: list[Output],
        message: Message | None = None,
    ) -> bool:
        """Put one input to a transaction; whether its user must be told (tables.TRANSITIONS)."""
        row = RELIABLE_ROWS[tx.state * INPUTS + event] if tx.flow else ROWS[tx.state * INPUTS + event]
        if row is None:
            return False
        tx.state = row.next
        self._perform(now, tx, row, out, message)
        return row.tells

    def _perform(
        self,
        now: int,
        tx: ClientTransaction | ServerTransaction,
        row: Row,
        out: list[Output],
        message: Message | None,
    ) -> None:
        if row.sends:
            if row.sends is Sends.ACK:
                assert isinstance(tx, ClientTransaction)
                assert tx.parts is not None
                assert message is not None
                tx.data = failure_ack(tx.parts, message.get("To") or "")
            if not tx.flow:
                out.append(Transmit(tx.listener, tx.destination, tx.data))
            else:
                tx.flow = self._flows.send(now, tx.hop(), tx.data, out, tx.handle)
        again = row.again
        if again:
            self._send_again(now, tx, again)
        bound = row.bound
        if bound:
            if bound is Bound.STOP:
                self._timers.cancel(tx.handle * 8 + BOUND_TIMER)
            else:
                self._timers.set(tx.handle * 8 + BOUND_TIMER, now + self._bounds[bound])
        state = row.next
        if state is State.TERMINATED:
            self._remove(tx)
        elif state is State.IC_ACCEPTED or state is State.IS_ACCEPTED or state is State.PC_COMPLETED:
            # These wait for half a minute and never send their message again.
            tx.data = b""

    def _send_again(self, now: int, tx: Transaction, again: Again) -> None:
        key = tx.handle * 8 + RESEND_TIMER
        if again is Again.STOP:
            self._timers.cancel(key)
            return
        t1_us, t2_us = self._again
        if again is Again.START:
            tx.again_us = t1_us
        elif again is Again.DOUBLE:
            tx.again_us *= 2
        elif again is Again.DOUBLE_T2:
            tx.again_us = min(tx.again_us * 2, t2_us)
        else:
            tx.again_us = t2_us
        self._timers.set(key, now + tx.again_us)

    def _remove(self, tx: ClientTransaction | ServerTransaction) -> None:
        del self.by_handle[tx.handle]
        if isinstance(tx, ClientTransaction):
            del self.clients[tx.key]
        else:
            del self.servers[tx.key]
            self.forget_merge(tx)
        # As in timers.py.
        self._removed += 1
        if self._removed > 2 * len(self.by_handle) + 64:
            self._removed = 0
            self.by_handle, self.clients = dict(self.by_handle), dict(self.clients)
            self.servers, self.merged = dict(self.servers), dict(self.merged)

    def forget_merge(self, tx: ServerTransaction) -> None:
        """Let the request of a transaction come again by another branch (RFC 3261 section 8.2.2.2)."""
        if tx.merge is not None:
            del self.merged[tx.merge]
            tx.merge = None

    def drop(self, tx: ClientTransaction | ServerTransaction) -> None:
        """Forget a transaction and its timers without a word (ours)."""
        self._timers.cancel(tx.handle * 8 + RESEND_TIMER)
        self._timers.cancel(tx.handle * 8 + BOUND_TIMER)
        self._remove(tx)

    def check(self) -> None:
        """Assert that the tables agree with each other (ours)."""
        assert len(self.clients) + len(self.servers) == len(self.by_handle)
        for handle, tx in self.by_handle.items():
            assert tx.handle == handle
            assert tx.state is not State.TERMINATED
            assert (self.clients.get(tx.key) if tx.client else self.servers.get(tx.key)) is tx
        for key, handle in self.merged.items():
            merged = self.by_handle[handle]
            assert isinstance(merged, ServerTransaction)
            assert merged.merge == key
