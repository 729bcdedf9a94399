"""`refserver demo`: a call through a cluster of two nodes, seen by every kind of client, shown live (ours)."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TextIO

from refserver.client import ClientError, TLibError
from refserver.demo_cast import (
    AGENT,
    OTHER_AGENT,
    PARTS,
    PASSWORD,
    ROUTING_POINT,
    Cast,
    DemoError,
    Server,
    cluster_file,
)
from refserver.demo_ladder import HOLD_S, Ladder, Style, style
from refserver.demo_record import Record, open_record
from refserver.demo_story import Story, verify
from refserver.demo_table import table
from refserver.mailbox import EventsLost
from refserver.phone import PhoneError
from tlib_proto.constants import Attribute, MessageType

DEFAULT_WIDTH = 120
PORT_NAMES = {
    "sip": "SIP",
    "tlib": "port",
    "iproxy": "IPport",
    "tcontroller": "TCport",
    "smartproxy": "SmartProxy",
}
WHAT = {
    "router": "routes calls",
    "desktop": "the agents' desktop",
    "smart": "a smart client: the DNs that its node owns",
    "reporting": "reports calls",
    "monitor": "monitors every DN of the cluster",
}
WHOLE_S = 90.0
SETTLE_S = 0.25
LIFELINES = ("caller", "n1", "n2", AGENT)


def parser() -> argparse.ArgumentParser:
    """The command line of `refserver demo`."""
    made = argparse.ArgumentParser(
        prog="refserver demo",
        description="Start a cluster of two nodes on loopback, carry a call through it and show who saw what.",
    )
    made.add_argument("--cluster", type=Path, metavar="FILE", help="default: examples/demo.toml")
    made.add_argument(
        "--record", type=Path, default=Path("demo-record.jsonl"), metavar="FILE", help="default: %(default)s"
    )
    made.add_argument("--journal", type=Path, metavar="DIR", help="let the server write its journal there")
    made.add_argument("--log-dir", type=Path, metavar="DIR", help="let the server write its logs there")
    made.add_argument("--stay", action="store_true", help="then keep the cluster up, on the file's ports")
    made.add_argument("--no-color", action="store_true", help="as the environment's NO_COLOR")
    return made


def look_of(stream: TextIO, no_color: bool) -> Style:
    """Characters that the stream can encode; colours for a terminal that wants them."""
    try:
        "│─◀▶●◆✓✗→…".encode(stream.encoding or "ascii")
        unicode = True
    except (UnicodeEncodeError, LookupError):
        unicode = False
    wanted = not no_color and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return style(unicode, wanted and stream.isatty())


class Show:
    """What the stranger sees: titles, the ladder, the end."""

    def __init__(self, look: Style, width: int) -> None:
        self.look = look
        self.width = width
        columns = [part.column for part in PARTS]
        self.ladder = Ladder(self.line, look, width, LIFELINES, columns)
        self.record: Record | None = None
        self._step = 0

    def line(self, text: str = "") -> None:
        """Print one line now."""
        print(text, flush=True)

    def paint(self, text: str, code: str) -> str:
        """Text in a colour, where there are colours."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.look.colour else text

    async def title(self, text: str) -> None:
        """Let what is still on its way arrive and be drawn, then begin the next step; empty ends the last."""
        assert self.record is not None
        quiet_until = self.record.elapsed_s() + SETTLE_S
        while self.record.elapsed_s() < quiet_until:
            await asyncio.sleep(0.02)
            self.ladder.flush(self.record.elapsed_s())
        self.ladder.flush(self.record.elapsed_s() + HOLD_S)
        if text:
            self._step += 1
            self.ladder.title(self._step, text)

    async def draw(self) -> None:
        """Draw rows as they become ready, until cancelled."""
        assert self.record is not None
        while True:
            await asyncio.sleep(HOLD_S / 2)
            self.ladder.flush(self.record.elapsed_s())

    def opening(self, server: Server) -> None:
        """What is there before anything happens."""
        self.line(self.paint("A call through a cluster of two SIP Server nodes", "1"))
        self.line("")
        for text in self._ports(server.ready["members"]):
            self.line("  " + text)
        self.line("")
        for part in PARTS:
            place = f"{part.node}, {part.column.port}"
            self.line(f"  {part.column.name:6}{WHAT[part.role]:44}{place}")
        self.line("")
        self.line("  Below, SIP is on the left: what passed the caller's and 1002's own sockets. T-Library is on")
        self.line("  the right: what clients decoded from theirs. A row stands for one event, whoever saw it.")
        self.line(f"  {self.ladder.legend()}")

    def _ports(self, members: dict[str, dict[str, object]]) -> list[str]:
        names = list(PORT_NAMES)
        rows = [["", *(PORT_NAMES[name] for name in names)]]
        rows += [[member, *(str(ports.get(name, "")) for name in names)] for member, ports in members.items()]
        widths = [max(len(row[index]) for row in rows) + 2 for index in range(len(names) + 1)]
        return ["".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]

    def closing(self, record: Record, conn_id: int) -> bool:
        """The table and the verdicts; True when all is as it should be."""
        self.line("")
        self.line(self.paint("What each client saw", "1"))
        for text in table(record, [part.column for part in PARTS], self.look):
            self.line(text)
        self.line("")
        fine = True
        for good, text in verify(record, conn_id):
            fine = fine and good
            mark = self.paint(self.look.good, "32") if good else self.paint(self.look.bad, "31")
            self.line(f"  {mark} {text}")
        return fine


async def perform(given: argparse.Namespace, show: Show, file: TextIO, server: Server) -> bool:
    """Everything between the start and the end of the server; True when all was seen that should be."""
    arguments = [str(cluster_file(given.cluster)), "-q"]
    if not given.stay:
        arguments.append("--any-port")
    if given.journal:
        arguments += ["--journal", str(given.journal)]
    if given.log_dir:
        arguments += ["--log-dir", str(given.log_dir)]
    await server.start(arguments)
    record = show.record = Record(file, show.ladder.add)
    show.opening(server)
    cast = Cast(server, record)
    story = Story(cast, show.title)
    drawing = asyncio.create_task(show.draw())
    try:
        async with asyncio.timeout(WHOLE_S):
            await story.tell()
        fine = show.closing(record, story.conn_id)
        if given.stay and fine:
            await stay(show, cast, server)
        return fine
    finally:
        drawing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await drawing
        show.ladder.flush(record.elapsed_s() + HOLD_S)
        await cast.leave()


async def stay(show: Show, cast: Cast, server: Server) -> None:
    """Keep the cluster up for a softphone: the phones answer by themselves, the router routes to 1002."""
    for number in (OTHER_AGENT, AGENT):
        cast.phones[number].auto_answer = True
    host, port = server.address("n1", "sip")
    desktop_host, desktop_port = server.address("n1", "tcontroller")
    proxy_host, proxy_port = server.address("n2", "smartproxy")
    show.line("")
    show.line(show.paint("The cluster stays up; Ctrl-C ends it.", "1"))
    show.line("")
    show.line("  Register a softphone:")
    show.line(f"    SIP server (registrar, proxy)  {host}:{port}, UDP")
    show.line(f"    user name and number           1003 (or 1004 to 1010), password {PASSWORD}")
    show.line("    codec                          PCMU or PCMA, no video")
    show.line(f"  Then call {OTHER_AGENT}, which answers by itself, or {ROUTING_POINT}, which is routed to {AGENT}.")
    show.line("")
    show.line("  See its events, as a monitor of n2 or as a smart client of n1:")
    show.line(f"    refserver tail {proxy_host}:{proxy_port} --dn 1003")
    show.line(f"    refserver tail {desktop_host}:{desktop_port} --all")
    routing = asyncio.create_task(route_forever(cast))
    try:
        await server.wait()
        raise DemoError(f"the server ended\n{server.errors()}")
    finally:
        routing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await routing


async def route_forever(cast: Cast) -> None:
    """The router's whole strategy."""
    async for event in cast.URS.events():
        if event.id == MessageType.EventRouteRequest:
            with contextlib.suppress(ClientError):
                await cast.URS.route_call(ROUTING_POINT, event.number(Attribute.ConnID), AGENT)


async def run(given: argparse.Namespace, show: Show) -> int:
    """The exit status: 0 when all was seen, 1 with a reason otherwise, 130 when interrupted."""
    server = Server()
    reason = ""
    fine = False
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        with open_record(given.record) as file:
            fine = await perform(given, show, file, server)
            if not fine:
                reason = "not everything was seen as it should be"
    except TLibError as error:
        reason = f"the server refused a request: {error}"
    except (DemoError, ClientError, PhoneError, EventsLost, OSError) as error:
        reason = str(error)
    except TimeoutError:
        reason = f"it did not end within {WHOLE_S:g} s"
    except asyncio.CancelledError:
        if not stopped:
            raise
        task.uncancel()
    ended_before = server.gone
    status = await server.stop()
    if reason and ended_before and server.ready:
        reason += f"\nthe server had ended with status {status}"
    if not reason and status and not stopped:
        fine, reason = False, f"the server ended with status {status}"
    if show.record is not None:
        show.line("")
        show.line(f"  The record: {given.record}, {show.record.lines} lines of JSON.")
    if reason:
        show.line("")
        text = f"{show.look.bad} The demo failed: {reason}"
        print(show.paint(text, "31"), file=sys.stderr)
        said = server.errors()
        if said and said not in reason:
            print(f"The server said:\n{said}", file=sys.stderr)
        return 1
    if stopped:
        return 0 if given.stay else 130
    return 0 if fine else 1


def main(argv: list[str]) -> int:
    """The command; returns the exit status."""
    given = parser().parse_args(argv)
    width = shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns
    show = Show(look_of(sys.stdout, given.no_color), width)
    return asyncio.run(run(given, show))
