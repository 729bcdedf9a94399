"""A server and a client session joined back to back, for tests."""

from tlib_proto.limits import Limits
from tlib_proto.records import Hello, Output, Write
from tlib_proto.session import ClientSession, ServerSession

HELLO = Hello(application="desk", role="desktop", secret="open sesame")


class Pair:
    """Carries what one end writes to the other until both are quiet; keeps the other outputs of each."""

    def __init__(self, hello: Hello = HELLO, limits: Limits | None = None, keepalive_us: int = 0) -> None:
        limits = limits or Limits()
        self.now = 1_000
        self.server = ServerSession(self.now, limits, keepalive_us)
        self.client = ClientSession(self.now, hello, limits, keepalive_us)
        self.at_server: list[Output] = []
        self.at_client: list[Output] = []

    def start(self) -> None:
        out: list[Output] = []
        self.client.start(self.now, out)
        self.carry(out, [])

    def open(self) -> None:
        self.start()
        out: list[Output] = []
        self.server.accept(self.now, {}, out)
        self.carry([], out)

    def carry(self, from_client: list[Output], from_server: list[Output]) -> None:
        while from_client or from_server:
            to_server = b"".join(o.data for o in from_client if isinstance(o, Write))
            to_client = b"".join(o.data for o in from_server if isinstance(o, Write))
            self.at_client += [o for o in from_client if not isinstance(o, Write)]
            self.at_server += [o for o in from_server if not isinstance(o, Write)]
            from_client, from_server = [], []
            if to_server:
                self.server.receive_data(self.now, to_server, from_server)
            if to_client:
                self.client.receive_data(self.now, to_client, from_client)
