"""A small scripted T-Library server on a loopback socket, for tests of the client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tlib_proto.constants import Attribute, MessageType
from tlib_proto.limits import Limits
from tlib_proto.records import Greeted, Hello, Incoming, Message, Output, Value, Write
from tlib_proto.session import ServerSession

Answer = Callable[[Message], list[Message]]


class ScriptedServer(asyncio.Protocol):
    """One connection: answers Hello (or refuses it), then each request with what the script returns."""

    def __init__(self, answer: Answer, refuse: int = 0, silent: bool = False) -> None:
        self.answer = answer
        self.refuse = refuse
        self.silent = silent
        self.refused_roles: tuple[str, ...] = ()
        self.received: list[Message] = []
        self.hello: Hello | None = None
        self.session: ServerSession | None = None
        self.transport: asyncio.Transport | None = None

    def now(self) -> int:
        return int(asyncio.get_running_loop().time() * 1_000_000)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.session = ServerSession(self.now(), Limits())

    def data_received(self, data: bytes) -> None:
        assert self.session is not None
        out: list[Output] = []
        self.session.receive_data(self.now(), data, out)
        self.perform(out)

    def perform(self, out: list[Output]) -> None:
        assert self.transport is not None
        assert self.session is not None
        for item in out:
            if isinstance(item, Write):
                self.transport.write(item.data)
            elif isinstance(item, Greeted) and not self.silent:
                more: list[Output] = []
                self.hello = item.hello
                if self.refuse or item.hello.role in self.refused_roles:
                    self.session.refuse(self.now(), self.refuse or 1158, "go away", more)
                else:
                    self.session.accept(self.now(), {Attribute.NodeName: "n1"}, more)
                self.perform(more)
            elif isinstance(item, Incoming):
                self.received.append(item.message)
                for message in self.answer(item.message):
                    self.send(message)

    def send(self, message: Message) -> None:
        assert self.session is not None
        out: list[Output] = []
        self.session.send(self.now(), message, out)
        self.perform(out)


def event(kind: MessageType, ref: int = 0, **attributes: Value) -> Message:
    """An event whose attributes are given by name."""
    return Message(kind, ref, {Attribute[name]: value for name, value in attributes.items()})
