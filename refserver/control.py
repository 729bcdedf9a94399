"""Commands of operators over HTTP, on loopback only: health, readiness, status, links (h11; ours).

One request a connection, within 5 s; a page of a browser cannot send one (Host and Content-Type are checked).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import h11
import msgspec

from refserver.addresses import is_loopback

MAX_CONNECTIONS = 32
MAX_HEAD = 16_384
MAX_BODY = 4_096
DEADLINE_S = 5.0

Answer = tuple[int, object]
"""Status, and what becomes the JSON body."""


class LinkRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /link: two nodes, and "down" or "up"."""

    a: str
    b: str
    state: str


class Commands:
    """What the control port can be asked; each returns a status and a body."""

    def __init__(
        self,
        ready: Callable[[], bool],
        status: Callable[[], dict[str, object]],
        link: Callable[[str, str, str], str],
    ) -> None:
        self._ready = ready
        self._status = status
        self._link = link

    def routes(self) -> dict[str, dict[str, Callable[[bytes], Answer]]]:
        """Path, then method."""
        return {
            "/health": {"GET": lambda _: (200, {"status": "ok"})},
            "/ready": {"GET": lambda _: (200, {"ready": True}) if self._ready() else (503, {"ready": False})},
            "/status": {"GET": lambda _: (200, self._status())},
            "/link": {"POST": self.link},
        }

    def link(self, body: bytes) -> Answer:
        """POST /link."""
        try:
            asked = msgspec.json.decode(body, type=LinkRequest)
        except msgspec.MsgspecError as error:
            return 400, {"error": f'expected {{"a": NODE, "b": NODE, "state": "down" or "up"}}: {error}'}
        if asked.state not in ("down", "up"):
            return 400, {"error": 'state: expected "down" or "up"'}
        wrong = self._link(asked.a, asked.b, asked.state)
        return (400, {"error": wrong}) if wrong else (200, {"a": asked.a, "b": asked.b, "state": asked.state})


class ControlServer:
    """The listener; `connections` are those open now."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, commands: Commands, deadline_s: float = DEADLINE_S
    ) -> None:
        self.loop = loop
        self.routes = commands.routes()
        self.deadline_s = deadline_s
        self.connections: dict[_Connection, None] = {}
        self._server: asyncio.Server | None = None

    async def listen(self, sock: socket.socket) -> None:
        """Accept on a bound socket."""
        self._server = await self.loop.create_server(lambda: _Connection(self), sock=sock)

    def end(self) -> None:
        """Stop listening and close what is open."""
        if self._server:
            self._server.close()
        for connection in list(self.connections):
            connection.abort()


class _Connection(asyncio.Protocol):
    def __init__(self, server: ControlServer) -> None:
        self._server = server
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._transport: asyncio.Transport | None = None
        self._request: h11.Request | None = None
        self._body = b""
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if len(self._server.connections) >= MAX_CONNECTIONS:
            transport.abort()
            return
        self._server.connections[self] = None
        self._deadline = self._server.loop.call_later(self._server.deadline_s, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.pop(self, None)
        if self._deadline:
            self._deadline.cancel()
        self._transport = None

    def abort(self) -> None:
        """Close at once."""
        if self._transport:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._http.our_state is not h11.IDLE and self._http.our_state is not h11.SEND_RESPONSE:
            return
        try:
            self._http.receive_data(data)
            while True:
                event = self._http.next_event()
                if isinstance(event, h11.Request):
                    self._request = event
                    expects = self._http.they_are_waiting_for_100_continue
                    if expects and self._transport:
                        self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
                elif isinstance(event, h11.Data):
                    self._body += event.data
                    if len(self._body) > MAX_BODY:
                        self._answer(413, {"error": f"the body is larger than {MAX_BODY} bytes"})
                        return
                elif isinstance(event, h11.EndOfMessage):
                    self._answer(*self._perform())
                    return
                else:
                    return
        except h11.RemoteProtocolError as error:
            self._answer(error.error_status_hint, {"error": str(error)})

    def eof_received(self) -> bool:
        return False

    def _late(self) -> None:
        if self._http.our_state is h11.IDLE and self._request is None and not self._http.trailing_data[0]:
            self.abort()
        else:
            self._answer(408, {"error": f"no whole request within {self._server.deadline_s:g} s"})

    def _perform(self) -> Answer:
        request = self._request
        assert request is not None
        hosts = [value.decode("ascii", "replace") for name, value in request.headers if name == b"host"]
        if len(hosts) != 1 or not _local(hosts[0]):
            return 400, {"error": "expected one Host, of this machine"}
        methods = self._server.routes.get(request.target.decode("ascii", "replace").partition("?")[0])
        if methods is None:
            return 404, {"error": f"nothing there; known: {', '.join(self._server.routes)}"}
        action = methods.get(request.method.decode("ascii", "replace"))
        if action is None:
            return 405, {"error": f"expected {' or '.join(methods)}"}
        if request.method == b"POST":
            kinds = [value for name, value in request.headers if name == b"content-type"]
            if len(kinds) != 1 or kinds[0].split(b";")[0].strip().lower() != b"application/json":
                return 415, {"error": "expected Content-Type: application/json"}
        return action(self._body)

    def _answer(self, status: int, body: object) -> None:
        """Write the response and close; the rest of the request, if any, is not read."""
        if self._transport is None:
            return
        text = msgspec.json.encode(body) + b"\n"
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(text))),
            ("Cache-Control", "no-store"),
            ("Connection", "close"),
        ]
        if status == 405 and self._request:
            path = self._request.target.decode("ascii", "replace").partition("?")[0]
            headers.append(("Allow", ", ".join(self._server.routes.get(path, {}))))
        try:
            self._write(self._http.send(h11.Response(status_code=status, headers=headers)))
            self._write(self._http.send(h11.Data(data=text)))
            self._write(self._http.send(h11.EndOfMessage()))
        except h11.LocalProtocolError:
            pass  # it was answered already, or its method cannot be answered with a body
        if self._transport:
            self._transport.close()

    def _write(self, data: bytes | None) -> None:
        if data and self._transport:
            self._transport.write(data)


def _local(host: str) -> bool:
    """Whether a Host header names this machine: its name is not looked up."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return name.strip("[]").lower() == "localhost" or is_loopback(name.strip("[]"))
