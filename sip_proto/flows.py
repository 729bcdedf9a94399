"""Streams of an Endpoint: which are open, what waits for one to open, which is used again for a destination."""

from typing import NamedTuple

from sip_proto.errors import LocalError
from sip_proto.framing import StreamFramer
from sip_proto.limits import Limits, Timings
from sip_proto.records import Connect, Disconnect, Output, TransmitStream
from sip_proto.timers import TimerTable
from sip_proto.uri import Address

# The flow of a hop by stream that no flow leads to yet.
NEW_FLOW = -(1 << 62)


class Hop(NamedTuple):
    """Where a message came from or goes to; `flow` 0 is a datagram, else the stream to prefer or NEW_FLOW, `name` the
    host whose certificate a TLS stream must show, empty for that of the address (ours)."""

    listener: str
    destination: Address
    transport: str = "udp"
    flow: int = 0
    name: str = ""


class Flow:
    """One stream; `waiting` are pairs of transaction handle (0 for none) and bytes until it is open."""

    __slots__ = ("framer", "id", "listener", "name", "open", "peer", "transport", "waiting", "waiting_size")

    def __init__(
        self, id_: int, listener: str, transport: str, peer: Address, framer: StreamFramer, name: str = ""
    ) -> None:
        self.id = id_
        self.listener = listener
        self.transport = transport
        self.peer = peer
        self.framer = framer
        self.name = name
        self.open = False
        self.waiting: list[tuple[int, bytes]] = []
        self.waiting_size = 0


class Flows:
    """All streams of an endpoint, by number and by the place that they lead to (RFC 3261 section 18).

    Accepted streams have the host's positive numbers, those asked for by Connect our negative ones.
    """

    __slots__ = ("_by_place", "_last", "_limits", "_timings", "table", "timers")

    def __init__(self, limits: Limits, timings: Timings) -> None:
        self._limits = limits
        self._timings = timings
        self._last = 0
        self._by_place: dict[tuple[str, Address, str], int] = {}
        self.table: dict[int, Flow] = {}
        self.timers: TimerTable[int] = TimerTable()

    def __len__(self) -> int:
        return len(self.table)

    def live(self, flow: int) -> Flow | None:
        """The open flow of that number, else None (ours)."""
        found = self.table.get(flow)
        return found if found is not None and found.open else None

    def to(self, transport: str, place: Address, name: str = "") -> int:
        """The flow that leads there and has shown the certificate of `name`, open or about to be; 0 when there is none
        (RFC 3261 section 18.1.1, RFC 5922 section 4)."""
        return self._by_place.get((transport, place, name), 0)

    def opened(self, flow: int, listener: str, transport: str, peer: Address, out: list[Output]) -> None:
        """Take an accepted stream, or the news that ours is open; LocalError for a number in use (ours)."""
        found = self.table.get(flow)
        if flow > 0:
            if found is not None:
                raise LocalError(f"flow {flow} is open")
            if len(self.table) >= self._limits.flows:
                out.append(Disconnect(flow, "full"))
                return
            found = self._add(flow, listener, transport, peer)
        elif flow == 0 or (found is not None and found.open):
            raise LocalError(f"flow {flow} cannot be opened")
        elif found is None:
            # We gave it up while the host was still at it.
            out.append(Disconnect(flow, "late"))
            return
        found.open = True
        self.timers.cancel(flow)
        waiting, found.waiting = found.waiting, []
        found.waiting_size = 0
        out.extend([TransmitStream(flow, data) for _, data in waiting])

    def closed(self, flow: int) -> list[int]:
        """Forget a stream; the handles of transactions whose message never left (ours)."""
        found = self.table.pop(flow, None)
        if found is None:
            return []
        place = (found.transport, found.peer, found.name)
        if self._by_place.get(place) == flow:
            del self._by_place[place]
        self.timers.cancel(flow)
        return [handle for handle, _ in found.waiting if handle]

    def room(self) -> bool:
        """Whether another flow has room in the table (ours)."""
        return len(self.table) < self._limits.flows

    def send(self, now: int, hop: Hop, data: bytes, out: list[Output], handle: int = 0) -> int:
        """Send by the hop's flow, by another to the same place, or by a new one; the number of the flow taken.

        Without room for a new flow the message is lost, as a datagram may be (ours).
        """
        found = self.table.get(hop.flow)
        if found is None:
            found = self.table.get(self.to(hop.transport, hop.destination, hop.name))
        if found is None:
            self._last -= 1
            if not self.room():
                return self._last
            found = self._add(self._last, hop.listener, hop.transport, hop.destination, hop.name)
            self.timers.set(found.id, now + self._timings.connect_us)
            out.append(Connect(found.id, hop.listener, hop.transport, hop.destination, hop.name))
        if found.open:
            out.append(TransmitStream(found.id, data))
        elif found.waiting_size + len(data) <= self._limits.waiting:
            found.waiting_size += len(data)
            found.waiting.append((handle, data))
        return found.id

    def watch(self, now: int, flow: Flow, finished: bool) -> None:
        """Bound the time that a message may take to arrive; `finished` when one was completed just now (ours)."""
        if not flow.framer.pending:
            self.timers.cancel(flow.id)
        elif finished or flow.id not in self.timers:
            self.timers.set(flow.id, now + self._timings.message_us)

    def check(self) -> None:
        """Assert that the tables agree with each other (ours)."""
        for number, flow in self.table.items():
            assert flow.id == number
            assert not (flow.open and flow.waiting)
            assert flow.open or number in self.timers
        for place, number in self._by_place.items():
            flow = self.table[number]
            assert place == (flow.transport, flow.peer, flow.name)

    def _add(self, flow: int, listener: str, transport: str, peer: Address, name: str = "") -> Flow:
        added = self.table[flow] = Flow(flow, listener, transport, peer, StreamFramer(self._limits), name)
        self._by_place[transport, peer, name] = flow
        return added
