"""A cluster of two nodes as a process, for tests against real sockets."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from refserver.addresses import split_address
from refserver.client import Client, connect
from refserver.demo_cast import Server
from refserver.phone import Phone, Transport
from tests.certificates import Pair
from tlib_proto.constants import Attribute
from tlib_proto.records import Message

SECRET = "demo"
PASSWORD = "demo"
DEADLINE_S = 60
POLL_S = 0.02
ROLES = {
    "tlib": "router",
    "iproxy": "reporting",
    "tcontroller": "desktop",
    "smartproxy": "monitor",
}

_HEAD = """
[cluster]
name = "test"
realm = "test.example"

[dn."cluster"]
type = "VoIP Service"
service-type = "sip-cluster-nodes"
dn-owner-applications = ["GWS"]
smart-proxy-enabled = true

[dn."8000"]
type = "Routing Point"
default-dn = "1001"
"""
_NODE = """
[[node]]
name = "n{number}"
number = {number}
geo-location = "DC{number}"
[[node.member]]
name = "a"
sip-port = "127.0.0.1:0"
port = "127.0.0.1:0"
IPport = "127.0.0.1:0"
TCport = "127.0.0.1:0"
SmartProxy = "127.0.0.1:0"
"""
_PHONE = """
[dn."{dn}"]
type = "Extension"
contact = "*"
password = "demo"
"""
_HASH = (
    "scrypt$16384$8$1$8763309e5396bb837eae11ad1525f91e$b181805fd2a6f059f7c3093558609e56f66a0971bf2469bd341fe5d13cb869e9"
)
_CLIENTS = """
[[client]]
name = "GWS"
role = "desktop"
secret = "{secret}"
"""


def cluster_text(phones: range = range(1001, 1011)) -> str:
    """A cluster file: nodes n1 and n2 on free ports, phones, Routing Point 8000, desktop GWS."""
    nodes = "".join(_NODE.format(number=number) for number in (1, 2))
    return _HEAD + nodes + "".join(_PHONE.format(dn=dn) for dn in phones) + _CLIENTS.format(secret=_HASH)


def tls_text(pair: Pair) -> str:
    """The usual cluster with SIP over TLS too; nodes and phones believe the one certificate."""
    more = f'certificate = "{pair.certificate}"\ncertificate-key = "{pair.key}"\ntrusted-ca = "{pair.certificate}"\n'
    port = 'sip-port = "127.0.0.1:0"\n'
    return cluster_text().replace(port, f'{port}sip-port-tls = "127.0.0.1:0"\n{more}')


class Cluster:
    """A running cluster, and whatever a test connects to it; all of it is closed at the end."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._clients: list[Client] = []
        self._phones: list[Phone] = []

    def address(self, node: str, listener: str) -> tuple[str, int]:
        return self.server.address(node, listener)

    async def client(self, node: str, listener: str, role: str = "", application: str = "") -> Client:
        """A client on a node's port, with the usual role of the port."""
        role = role or ROLES[listener]
        name = application or ("GWS" if role == "desktop" else f"test-{role}")
        host, port = self.address(node, listener)
        secret = SECRET if name == "GWS" else ""
        client = await connect(host, port, application=name, role=role, secret=secret)
        self._clients.append(client)
        return client

    async def desktop(self, node: str, *dns: str, application: str = "desk") -> Client:
        """A desktop that registered DNs; its name gives it no right to own any."""
        client = await self.client(node, "tcontroller", "desktop", application)
        for dn in dns:
            await client.register_address(dn)
        return client

    async def view(self, node: str, dn: str) -> dict[str, Any]:
        """What a desktop that comes new to a node is told of a DN: its state, its calls, its place in whose stream."""
        host, port = self.address(node, "tcontroller")
        async with await connect(host, port, application="viewer", role="desktop") as client:
            return picture(await client.register_address(dn))

    async def status(self, node: str) -> dict[str, Any]:
        """What the control port says of a node."""
        answer = await self.ask("GET", "/status")
        return answer[f"{node}/a"]["node"]  # type: ignore[no-any-return]

    async def link(self, state: str) -> None:
        """Cut the link of the two nodes, or restore it."""
        await self.ask("POST", "/link", {"a": "n1", "b": "n2", "state": state})

    async def until_status(self, what: Callable[[dict[str, Any], dict[str, Any]], bool]) -> None:
        """Wait until the control port says of n1 and n2 what the function accepts."""
        async with asyncio.timeout(10):
            while not what(await self.status("n1"), await self.status("n2")):
                await asyncio.sleep(POLL_S)  # the control port tells nothing by itself

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """One request to the control port, which must answer 200."""
        return await asyncio.to_thread(self._ask, method, path, body)

    def _ask(self, method: str, path: str, body: object) -> Any:
        host, port = split_address(self.server.ready["control"])
        connection = http.client.HTTPConnection(host, port, timeout=5)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json"} if text else {})
            response = connection.getresponse()
            answer = response.read()
            assert response.status == 200, answer
            return json.loads(answer)
        finally:
            connection.close()

    async def phone(self, number: str, node: str, register: bool = True, **options: Any) -> Phone:
        """A phone at a node, registered unless told otherwise."""
        transport = options.get("transport", "udp")
        tls = isinstance(transport, Transport) and transport.name == "tls"
        phone = Phone(number, PASSWORD, self.address(node, "sip_tls" if tls else "sip"), **options)
        self._phones.append(phone)
        await phone.start()
        if register:
            await phone.register()
        return phone

    async def close(self) -> None:
        for phone in self._phones:
            await phone.aclose()
        for client in self._clients:
            await client.aclose()


def picture(message: Message) -> dict[str, Any]:
    """EventRegistered as a picture of its DN."""
    return {
        "pairs": dict(message.pairs(Attribute.Extensions)),
        "agent": message.text(Attribute.AgentID),
        "source": message.text(Attribute.Source),
        "place": (message.number(Attribute.DNEpoch), message.number(Attribute.DNSequence)),
    }


@asynccontextmanager
async def running(folder: Path, *arguments: str, text: str = "") -> AsyncIterator[Cluster]:
    """A cluster that is ready; at the end it must stop with status 0 and without a complaint."""
    file = folder / "cluster.toml"
    file.write_text(text or cluster_text())
    server = Server()
    await server.start([str(file), "-q", *arguments])
    cluster = Cluster(server)
    try:
        yield cluster
    finally:
        await cluster.close()
        status = await server.stop()
    assert (status, server.errors()) == (0, "")


def run(body: Callable[[], Awaitable[None]]) -> None:
    """Run a test's coroutine with a deadline for all of it."""

    async def limited() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await body()

    asyncio.run(limited())
