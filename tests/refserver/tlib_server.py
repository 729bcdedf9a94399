"""A small scripted T-Library server on a loopback socket, for tests of the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tlib_proto.constants import Attribute, MessageType
from tlib_proto.records import Greeted, Hello, Message, Output, Value
from tlib_proto.session import ServerSession
from tlib_proto.testing import ScriptedPeer, named

Answer = Callable[[Message], list[Message]]


class ScriptedServer(asyncio.Protocol):
    """One connection: answers Hello (or refuses it), then each request with what the script returns."""

    def __init__(
        self,
        answer: Answer,
        refuse: int = 0,
        silent: bool = False,
        link: dict[int, Value] | None = None,
    ) -> None:
        self.answer = answer
        self.refuse = refuse
        self.silent = silent
        self.link: dict[int, Value] = {Attribute.NodeName: "n1"} if link is None else link
        self.refused_roles: tuple[str, ...] = ()
        self.greeted: Callable[[Hello], None] = lambda hello: None
        self.transport: asyncio.Transport | None = None
        self.peer: ScriptedPeer | None = None

    @property
    def received(self) -> list[Message]:
        return [] if self.peer is None else self.peer.received

    @property
    def hello(self) -> Hello | None:
        return None if self.peer is None else self.peer.hello

    @property
    def session(self) -> ServerSession | None:
        if self.peer is None:
            return None
        assert isinstance(self.peer.session, ServerSession)
        return self.peer.session

    def now(self) -> int:
        return int(asyncio.get_running_loop().time() * 1_000_000)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        refusal = (self.refuse, "go away") if self.refuse else None
        self.peer = _Choosy.server(
            self.now(), lambda message: self.answer(message), link=self.link, refuse=refusal, silent=self.silent
        )
        assert isinstance(self.peer, _Choosy)
        self.peer.host = self

    def data_received(self, data: bytes) -> None:
        assert self.peer is not None
        self._write(self.peer.receive_data(self.now(), data))

    def send(self, message: Message) -> None:
        assert self.peer is not None
        self._write(self.peer.say(self.now(), message))

    def _write(self, data: bytes) -> None:
        assert self.transport is not None
        if data:
            self.transport.write(data)


class _Choosy(ScriptedPeer):
    """Refuses the roles that its host names."""

    host: ScriptedServer

    def take(self, now: int, output: Output, out: list[Output]) -> None:
        if isinstance(output, Greeted) and output.hello.role in self.host.refused_roles:
            assert isinstance(self.session, ServerSession)
            self.hello = output.hello
            self.session.refuse(now, 1158, "go away", out)
            return
        if isinstance(output, Greeted):
            self.host.greeted(output.hello)
        super().take(now, output, out)


def event(kind: MessageType, ref: int = 0, **attributes: Value) -> Message:
    """An event whose attributes are given by name."""
    return named(kind, ref, **attributes)


@asynccontextmanager
async def listening(make: Callable[[], asyncio.Protocol]) -> AsyncIterator[tuple[str, int]]:
    """A listener on a free port of this machine; its connections are `make`'s."""
    made: list[asyncio.Protocol] = []

    def accepted() -> asyncio.Protocol:
        made.append(make())
        return made[-1]

    server = await asyncio.get_running_loop().create_server(accepted, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[:2]
    finally:
        for connection in made:
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        server.close()
        await server.wait_closed()
