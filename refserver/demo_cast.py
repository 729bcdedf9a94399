"""Who takes part in the demo: the server's process, the phones, one client for each kind of port (ours)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from refserver.addresses import split_address
from refserver.client import Client, connect
from refserver.demo_ladder import Column
from refserver.demo_record import Record
from refserver.phone import Phone

START_S = 20.0
STOP_S = 10.0
MAX_READY_LINE = 65_536
ERRORS = 4_000

CALLER = "caller"
AGENT = "1002"
OTHER_AGENT = "1001"
ROUTING_POINT = "8000"
CALLER_NUMBER = "2125550100"
PASSWORD = "demo"


class DemoError(Exception):
    """The demo cannot go on; the text says what was expected and what happened."""


class Part(msgspec.Struct, frozen=True):
    """A client's part: its column, the node and listener that it dials, its name and role."""

    column: Column
    node: str
    listener: str
    application: str
    role: str
    secret: str = ""


PARTS = (
    Part(Column("URS", "URS", "n1", "port"), "n1", "tlib", "URS", "router"),
    Part(Column("GWS", "GWS", "n1", "TCport"), "n1", "tcontroller", "GWS", "desktop", PASSWORD),
    Part(Column("SFS1", "SFS1", "n1", "TCport"), "n1", "tcontroller", "SFS", "smart"),
    Part(Column("ICON", "ICON", "n1", "IPport"), "n1", "iproxy", "ICON", "reporting"),
    Part(Column("SFS2", "SFS2", "n2", "TCport"), "n2", "tcontroller", "SFS", "smart"),
    Part(Column("Stat", "Stat", "n2", "SmartProxy"), "n2", "smartproxy", "StatServer", "monitor"),
)


class Server:
    """`refserver serve` as a process of its own; what it says on stderr is kept for the case that it fails."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the server stops
        self._said = ""
        self.ready: dict[str, Any] = {}

    async def start(self, arguments: list[str]) -> None:
        """Start it and read its ready line; DemoError with what it said when it does not come up."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "refserver",
            "serve",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._errors,
            limit=MAX_READY_LINE,
        )
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(START_S):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise DemoError(f"the server said nothing within {START_S:g} s\n{self.errors()}") from None
        try:
            ready = json.loads(line)
        except ValueError:
            ready = None
        if not isinstance(ready, dict) or ready.get("ready") is not True:
            await self.stop()
            raise DemoError(f"the server did not start\n{self.errors()}")
        self.ready = ready

    def address(self, node: str, listener: str) -> tuple[str, int]:
        """Where a node's listener is, by the ready line."""
        members = self.ready["members"]
        name = next((member for member in members if member.split("/")[0] == node), None)
        if name is None:
            raise DemoError(f"the cluster has no node {node}: the demo needs n1 and n2")
        return split_address(members[name][listener])

    def errors(self) -> str:
        """The end of what it said on stderr."""
        if not self._errors.closed:
            self._errors.seek(0, os.SEEK_END)
            self._errors.seek(max(0, self._errors.tell() - ERRORS))
            self._said = self._errors.read(ERRORS).decode("utf-8", "replace").rstrip()
        return self._said

    @property
    def gone(self) -> bool:
        """True when the process has ended."""
        return self._process is None or self._process.returncode is not None

    async def wait(self) -> None:
        """Wait until the process ends."""
        if self._process is not None:
            await self._process.wait()

    async def stop(self) -> int:
        """Ask it to end, insist after a while; returns its exit status."""
        process = self._process
        if process is None:
            self._errors.close()
            return 0
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        self.errors()
        self._errors.close()
        assert process.returncode is not None
        return process.returncode


class Cast:
    """Everybody, once they are on stage."""

    def __init__(self, server: Server, record: Record) -> None:
        self._server = server
        self._record = record
        self._clients: dict[str, Client] = {}
        self.phones: dict[str, Phone] = {}
        for node in ("n1", "n2"):
            record.name_node(server.address(node, "sip"), node)

    def __getattr__(self, name: str) -> Client:
        try:
            return self.__dict__["_clients"][name]  # type: ignore[no-any-return]
        except KeyError:
            raise AttributeError(name) from None

    async def dial(self, part: Part) -> Client:
        """Connect one client."""
        host, port = self._server.address(part.node, part.listener)
        key = part.column.key
        client = await connect(
            host,
            port,
            application=part.application,
            role=part.role,
            secret=part.secret,
            trace=self._record.tlib(key),
        )
        self._clients[key] = client
        return client

    def phone(self, number: str, node: str, password: str = PASSWORD, **options: Any) -> Phone:
        """A phone at a node; its socket is opened when it is used first."""
        name = CALLER if number == CALLER_NUMBER else number
        made = Phone(number, password, self._server.address(node, "sip"), trace=self._record.sip(name), **options)
        self.phones[name] = made
        return made

    def part_of(self, key: str) -> Part:
        """A part by its column's key."""
        return next(part for part in PARTS if part.column.key == key)

    async def leave(self) -> None:
        """Phones hang up and unregister, clients close; nothing that the network does is raised."""
        for phone in self.phones.values():
            await phone.aclose()
        for client in self._clients.values():
            await client.aclose()


def cluster_file(given: Path | None) -> Path:
    """The cluster file that was named, else examples/demo.toml here or in the checkout."""
    candidates = [given] if given else [Path("examples/demo.toml"), _beside_packages()]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise DemoError(f"no cluster file at {' or '.join(map(str, candidates))}: name one with --cluster")


def _beside_packages() -> Path:
    return Path(__file__).resolve().parent.parent / "examples" / "demo.toml"
