"""Two endpoints whose streams the test joins; time jumps to whatever comes next."""

from collections.abc import Callable

from sip_proto import Address, Connect, Disconnect, Endpoint, EndpointSettings, Limits, Output, Transmit, TransmitStream

A: Address = ("192.0.2.1", 5060)
B: Address = ("192.0.2.2", 5060)
A_TLS: Address = ("192.0.2.1", 5061)
B_TLS: Address = ("192.0.2.2", 5061)


def endpoint(name: str, session_s: int = 0, **limits: int) -> Endpoint:
    plain, tls = (A, A_TLS) if name == "a" else (B, B_TLS)
    settings = EndpointSettings(
        {"udp": plain, "tcp": plain, "tls": tls},
        limits=Limits(**limits),  # type: ignore[arg-type]
        transports={"tcp": "tcp", "tls": "tls"},
        events=("dialog", "presence"),
        session_s=session_s,
    )
    return Endpoint(settings, name.encode())


class Streams:
    """`a` and `b` joined by streams; `said` are their outputs but what goes by wire, `sent` what went, `connects`
    how many streams were asked for. `refuse` lets no stream open."""

    def __init__(self, **limits: int) -> None:
        self.now = 1_000_000
        self.ends = {"a": endpoint("a", **limits), "b": endpoint("b", **limits)}
        self.said: dict[str, list[Output]] = {"a": [], "b": []}
        self.sent: list[tuple[str, bytes]] = []
        self.connects: list[tuple[str, Connect]] = []
        self.refuse = False
        # Each end of a stream by its owner and number.
        self.other: dict[tuple[str, int], tuple[str, int]] = {}
        self._last = 100

    def do(self, name: str, call: Callable[[int, list[Output]], object]) -> object:
        out: list[Output] = []
        result = call(self.now, out)
        self.ends[name].check()
        self.post(name, out)
        return result

    def post(self, name: str, out: list[Output]) -> None:
        peer = "b" if name == "a" else "a"
        for record in out:
            if isinstance(record, TransmitStream):
                self.sent.append((name, record.data))
                ended = self.other.get((name, record.flow))
                if ended is not None:
                    self._hear(peer, ended[1], record.data)
            elif isinstance(record, Transmit):
                self.sent.append((name, record.data))
                self._hear_datagram(peer, A if name == "a" else B, record.data)
            elif isinstance(record, Connect):
                self.connects.append((name, record))
                self._connect(name, peer, record)
            elif isinstance(record, Disconnect):
                self.said[name].append(record)
                ended = self.other.pop((name, record.flow), None)
                if ended is not None:
                    del self.other[ended]
                    self._close(*ended)
            else:
                self.said[name].append(record)

    def _hear(self, name: str, flow: int, data: bytes) -> None:
        self.do(name, lambda now, out: self.ends[name].receive_stream(now, flow, data, out))

    def _hear_datagram(self, name: str, source: Address, data: bytes) -> None:
        self.do(name, lambda now, out: self.ends[name].receive_datagram(now, "udp", source, data, out))

    def _close(self, name: str, flow: int) -> None:
        self.do(name, lambda now, out: self.ends[name].stream_closed(now, flow, out))

    def _connect(self, name: str, peer: str, asked: Connect) -> None:
        end = self.ends[name]
        there = {("tcp", A): "a", ("tcp", B): "b", ("tls", A_TLS): "a", ("tls", B_TLS): "b"}
        if self.refuse or there.get((asked.transport, asked.destination)) != peer:
            self.do(name, lambda now, out: end.stream_closed(now, asked.flow, out))
            return
        self._last += 1
        number = self._last
        self.other[name, asked.flow] = (peer, number)
        self.other[peer, number] = (name, asked.flow)
        source = ("192.0.2.1" if name == "a" else "192.0.2.2", 40_000 + number)
        self.do(peer, lambda now, out: self.ends[peer].stream_opened(now, number, asked.transport, source, out))
        self.do(name, lambda now, out: end.stream_opened(now, asked.flow, asked.listener, asked.destination, out))

    def cut(self) -> None:
        """Every stream breaks."""
        for name, flow in list(self.other):
            self._close(name, flow)
        self.other.clear()

    def wait(self, us: int) -> None:
        until = self.now + us
        while True:
            due = [(at, name) for name, end in self.ends.items() if (at := end.next_deadline()) is not None]
            if not due or min(due)[0] > until:
                break
            at, name = min(due)
            self.now = max(self.now, at)
            self.do(name, self.ends[name].handle_timeout)
        self.now = until

    def take(self, name: str) -> list[Output]:
        said, self.said[name] = self.said[name], []
        return said

    def invite(self, transport: str = "tcp", listener: str = "tcp", **more: object) -> int:
        place = B_TLS if transport == "tls" else B
        leg = self.do(
            "a",
            lambda now, out: self.ends["a"].invite(
                now,
                out,
                listener=listener,
                destination=place,
                uri="sip:bob@192.0.2.2",
                from_="<sip:alice@example.org>",
                to="<sip:bob@example.org>",
                transport=transport,
                **more,  # type: ignore[arg-type]
            ),
        )
        assert isinstance(leg, int)
        return leg
