"""Two endpoints, a link that can lose or delay datagrams, and time that jumps to whatever comes next."""

from collections.abc import Callable
from heapq import heappop, heappush

from sip_proto import Address, Endpoint, EndpointSettings, Limits, Output, Transmit

A: Address = ("192.0.2.1", 5060)
B: Address = ("192.0.2.2", 5060)
DELAY_US = 10_000

Lose = Callable[[int, str, bytes], bool]
Delay = Callable[[int, str, bytes], int]


def endpoint(
    address: Address,
    seed: bytes,
    node: int = 0,
    limits: Limits | None = None,
    reliable: str = "supported",
    session_s: int = 0,
) -> Endpoint:
    """An endpoint at `address`; without session timers there is an end to what happens in a call."""
    settings = EndpointSettings(
        {"udp": address}, node=node, limits=limits or Limits(), reliable=reliable, session_s=session_s
    )
    return Endpoint(settings, seed)


class Pair:
    """`a` and `b` by name; outputs that are not datagrams collect in `said`, datagrams in `wire`."""

    def __init__(
        self,
        lose: Lose | None = None,
        limits: Limits | None = None,
        *,
        delay: Delay | None = None,
        reliable: str = "supported",
        session_s: int = 0,
    ) -> None:
        self.now = 1_000_000
        self.ends = {
            "a": endpoint(A, b"seed-a", 1, limits, reliable, session_s),
            "b": endpoint(B, b"seed-b", 2, limits, reliable, session_s),
        }
        self.delay = delay
        self.said: dict[str, list[Output]] = {"a": [], "b": []}
        self.wire: list[tuple[str, bytes]] = []
        self.lose = lose
        self._flying: list[tuple[int, int, str, Address, bytes]] = []
        self._count = 0

    @property
    def a(self) -> Endpoint:
        return self.ends["a"]

    @property
    def b(self) -> Endpoint:
        return self.ends["b"]

    def post(self, name: str, out: list[Output]) -> None:
        for record in out:
            if not isinstance(record, Transmit):
                self.said[name].append(record)
                continue
            self._count += 1
            self.wire.append((name, record.data))
            if self.lose is not None and self.lose(self._count, name, record.data):
                continue
            to = {A: "a", B: "b"}.get(record.destination)
            if to is not None:
                delay_us = DELAY_US if self.delay is None else self.delay(self._count, name, record.data)
                heappush(self._flying, (self.now + delay_us, self._count, to, A if name == "a" else B, record.data))

    def step(self) -> bool:
        """Deliver or time out what is next; False when nothing is."""
        times = [(end.next_deadline(), name) for name, end in self.ends.items()]
        due = sorted((at, name) for at, name in times if at is not None)
        out: list[Output] = []
        if self._flying and (not due or self._flying[0][0] <= due[0][0]):
            at, _, name, source, data = heappop(self._flying)
            self.now = max(self.now, at)
            self.ends[name].receive_datagram(self.now, "udp", source, data, out)
        elif due:
            at, name = due[0]
            self.now = max(self.now, at)
            self.ends[name].handle_timeout(self.now, out)
        else:
            return False
        self.ends[name].check()
        self.post(name, out)
        return True

    def run(self, us: int = 1_000_000) -> None:
        """Let `us` pass, or less when nothing is left to happen."""
        until = self.now + us
        while True:
            times = [at for end in self.ends.values() if (at := end.next_deadline()) is not None]
            times += [self._flying[0][0]] if self._flying else []
            if not times or min(times) > until:
                break
            self.step()
        self.now = until

    def settle(self) -> None:
        """Run until nothing is left to happen."""
        while self.step():
            pass

    def take(self, name: str) -> list[Output]:
        said, self.said[name] = self.said[name], []
        return said

    def invite(self, body: bytes = b"v=0\r\n", **more: object) -> int:
        out: list[Output] = []
        leg = self.a.invite(
            self.now,
            out,
            listener="udp",
            destination=B,
            uri="sip:bob@192.0.2.2",
            from_="<sip:alice@example.org>",
            to="<sip:bob@example.org>",
            body=body,
            **more,  # type: ignore[arg-type]
        )
        self.post("a", out)
        return leg

    def do(self, name: str, call: Callable[[int, list[Output]], object]) -> object:
        """Call `call(now, out)` on one end and post what it says."""
        out: list[Output] = []
        result = call(self.now, out)
        self.ends[name].check()
        self.post(name, out)
        return result
