"""The control port: what it answers, and what it refuses within bounds."""

import asyncio
import json
import socket
from contextlib import asynccontextmanager

import pytest

from refserver.control import MAX_CONNECTIONS, Commands, ControlServer
from refserver.link import main as link_main


class Rig:
    def __init__(self, port, server, links):
        self.port, self.server, self.links = port, server, links
        self.ready = True

    async def raw(self, data: bytes, *, end=True) -> tuple[int, dict, dict]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        await writer.wait_closed()
        if not answer:
            return 0, {}, {}
        head, _, body = answer.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
        return int(first.split()[1]), headers, json.loads(body) if body else {}

    async def ask(self, method, path, body=b"", host="127.0.0.1:1", kind="application/json"):
        head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n"
        head += f"Content-Type: {kind}\r\n" if kind else ""
        return await self.raw(head.encode() + b"\r\n" + body)


@asynccontextmanager
async def rig(deadline_s=5.0):
    links = []

    def link(a, b, state):
        links.append((a, b, state))
        return "" if a == "n1" else f"no node {a!r}"

    made = Rig(0, None, links)
    commands = Commands(lambda: made.ready, lambda: {"n1/a": {"calls": 0}}, link)
    sock = socket.create_server(("127.0.0.1", 0))
    server = ControlServer(asyncio.get_running_loop(), commands, deadline_s)
    await server.listen(sock)
    made.port, made.server = sock.getsockname()[1], server
    try:
        yield made
    finally:
        server.end()
        await asyncio.sleep(0)


def run(test, **options):
    async def inner():
        async with rig(**options) as made:
            await test(made)

    asyncio.run(inner())


def test_health_ready_and_status():
    async def test(r):
        assert (await r.ask("GET", "/health"))[::2] == (200, {"status": "ok"})
        assert (await r.ask("GET", "/ready"))[::2] == (200, {"ready": True})
        r.ready = False
        assert (await r.ask("GET", "/ready?x=1"))[::2] == (503, {"ready": False})
        assert (await r.ask("GET", "/status", host="localhost"))[::2] == (200, {"n1/a": {"calls": 0}})

    run(test)


def test_a_link_is_cut():
    async def test(r):
        body = b'{"a": "n1", "b": "n2", "state": "down"}'
        assert (await r.ask("POST", "/link", body))[0] == 200
        assert r.links == [("n1", "n2", "down")]

    run(test)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "expected"),
        (b'{"a": "n1", "b": "n2", "state": "left"}', "state: expected"),
        (b'{"a": "n1", "b": "n2", "state": "up", "c": 1}', "expected"),
        (b'{"a": "n9", "b": "n2", "state": "up"}', "no node 'n9'"),
    ],
)
def test_a_wrong_link_request_is_400(body, said):
    async def test(r):
        status, _, answer = await r.ask("POST", "/link", body)
        assert status == 400
        assert said in answer["error"]

    run(test)


def test_wrong_requests_are_refused():
    async def test(r):
        assert (await r.ask("GET", "/nothing"))[0] == 404
        status, headers, _ = await r.ask("GET", "/link")
        assert (status, headers["allow"]) == (405, "POST")
        assert (await r.ask("POST", "/link", b"{}", kind="text/plain"))[0] == 415
        assert (await r.ask("GET", "/health", host="evil.example"))[0] == 400
        assert (await r.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"))[0] == 400
        assert (await r.raw(b"GET /health HTTP/1.1\r\n\r\n"))[0] == 400
        assert (await r.raw(b"INVITE sip:x SIP/2.0\r\n\r\n"))[0] == 400
        assert (await r.raw(b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000))[0] == 431
        assert (await r.ask("POST", "/link", b"x" * 5_000))[0] == 413

    run(test)


def test_a_body_announced_by_100_continue_is_asked_for():
    async def test(r):
        reader, writer = await asyncio.open_connection("127.0.0.1", r.port)
        body = b'{"a": "n1", "b": "n2", "state": "up"}'
        writer.write(
            b"POST /link HTTP/1.1\r\nHost: [::1]:9\r\nExpect: 100-continue\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        assert (await reader.readline()).startswith(b"HTTP/1.1 100")
        writer.write(body)
        assert b"HTTP/1.1 200" in await reader.read()
        writer.close()

    run(test)


def test_a_request_that_does_not_end_in_time_is_408_and_silence_is_closed():
    async def test(r):
        assert (await r.raw(b"GET /health HT"))[0] == 408
        assert (await r.raw(b"POST /link HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx"))[
            0
        ] == 408
        assert (await r.raw(b""))[0] == 0

    run(test, deadline_s=0.05)


def test_connections_are_bounded():
    async def test(r):
        held = [await asyncio.open_connection("127.0.0.1", r.port) for _ in range(MAX_CONNECTIONS)]
        while len(r.server.connections) < MAX_CONNECTIONS:
            await asyncio.sleep(0)
        reader, writer = await asyncio.open_connection("127.0.0.1", r.port)
        assert await reader.read() == b""
        for _, w in [*held, (reader, writer)]:
            w.close()

    run(test)


def test_the_link_command_talks_to_it(capsys):
    async def test(r):
        async def command(*argv):
            return await asyncio.to_thread(link_main, ["--control", f"127.0.0.1:{r.port}", *argv])

        assert await command("n1", "n2", "down") == 0
        assert json.loads(capsys.readouterr().out) == {"a": "n1", "b": "n2", "state": "down"}
        assert await command("n9", "n2", "up") == 1
        assert "no node 'n9'" in capsys.readouterr().err
        assert link_main(["--control", "nowhere", "n1", "n2", "up"]) == 2
        r.server.end()
        assert await command("n1", "n2", "up") == 1

    run(test)
