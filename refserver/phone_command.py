"""`refserver phone`: one test phone on the command line, its events printed as they come (ours)."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import stat
import sys
from pathlib import Path

import msgspec

from refserver.arguments import endpoint
from refserver.phone import Phone, PhoneError
from refserver.phone_records import PhoneEvent
from refserver.phone_wires import TRANSPORTS, Transport

COMMANDS = "answer, reject [STATUS], hold, retrieve, call NUMBER, hangup, quit"
MAX_LINE = 1_024


def parser() -> argparse.ArgumentParser:
    """The command line of `refserver phone`."""
    made = argparse.ArgumentParser(
        prog="refserver phone",
        description="A SIP phone without media: registers, then prints what happens to it.",
        epilog=f"While it runs it reads commands, a line each: {COMMANDS}.",
    )
    made.add_argument("--register", metavar="HOST:PORT", type=endpoint, required=True, help="the SIP server")
    made.add_argument("--number", required=True, help="number of the DN, which is the user name too")
    made.add_argument("--password", default="", help="seen by other users of this machine; better:")
    made.add_argument("--password-env", metavar="VAR", help="environment variable that holds the password")
    made.add_argument("--domain", default="", help="domain of its address (default: the server's host)")
    made.add_argument("--transport", choices=TRANSPORTS, default="udp", help="default: udp")
    made.add_argument("--ca-file", type=Path, metavar="FILE", help="certificates to believe (default: the system's)")
    made.add_argument("--certificate", type=Path, metavar="FILE", help="with it others can open TLS streams here")
    made.add_argument("--certificate-key", type=Path, metavar="FILE", help="its key, if that is another file")
    made.add_argument("--expires", type=int, default=120, metavar="S", help="seconds to register for")
    made.add_argument("--auto-answer", action="store_true", help="answer each call at once")
    made.add_argument("--no-talk", action="store_true", help="refuse NOTIFY `Event: talk`")
    made.add_argument("--no-register", action="store_true", help="only call, as a caller outside does")
    made.add_argument("--call", metavar="NUMBER", help="call this number or SIP URI")
    made.add_argument("--json", action="store_true", help="a line of JSON an event")
    return made


def line_of(event: PhoneEvent, number: str, as_json: bool) -> str:
    """One event as a line."""
    if as_json:
        fields = {
            "phone": number,
            "event": event.kind.value,
            "call": event.call,
            "status": event.status,
            "peer": event.peer,
            "text": event.text,
        }
        return msgspec.json.encode(fields).decode()
    parts = [number, event.kind.value]
    if event.call:
        parts.append(f"call {event.call}")
    if event.peer:
        parts.append(event.peer)
    if event.status:
        parts.append(str(event.status))
    if event.text:
        parts.append(event.text)
    line = "  ".join(parts)
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)


async def obey(phone: Phone, line: str) -> bool:
    """Do one command; False ends the program. Raises `PhoneError`."""
    words = line.split()
    if not words:
        return True
    name, rest = words[0].lower(), words[1:]
    if name == "answer":
        await phone.answer()
    elif name == "reject":
        status = rest[0] if rest else "486"
        if not re.fullmatch(r"[4-6][0-9]{2}", status):
            raise PhoneError(f"{status!r} is no status from 400 to 699")
        await phone.reject(int(status))
    elif name == "hold":
        await phone.hold()
    elif name == "retrieve":
        await phone.retrieve()
    elif name == "call" and rest:
        await phone.call(rest[0])
    elif name == "hangup":
        await phone.hangup()
    elif name in ("quit", "exit"):
        return False
    else:
        raise PhoneError(f"no command {line.strip()!r}; there are: {COMMANDS}")
    return True


def _can_type() -> bool:
    """Whether standard input is a terminal, a pipe or a socket: a file or /dev/null cannot be waited for."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
        return sys.stdin.isatty() or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
    except (AttributeError, OSError, ValueError):
        return False


async def _commands(phone: Phone) -> None:
    """Lines of standard input until quit; at its end the phone goes on."""
    reader = asyncio.StreamReader(limit=MAX_LINE)
    loop = asyncio.get_running_loop()
    if not _can_type():
        await asyncio.Event().wait()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while True:
        try:
            line = await reader.readline()
        except ValueError:
            print("a line of more than 1,024 octets is no command", file=sys.stderr)
            continue
        if not line:
            await asyncio.Event().wait()
        try:
            if not await obey(phone, line.decode("utf-8", "replace")):
                return
        except PhoneError as error:
            print(error, file=sys.stderr)


async def _print(phone: Phone, as_json: bool) -> None:
    async for event in phone.events():
        print(line_of(event, phone.number, as_json), flush=True)


async def run(given: argparse.Namespace, password: str) -> int:
    """Run the phone until a signal or `quit`; the exit status."""
    phone = Phone(
        given.number,
        password,
        given.register,
        domain=given.domain,
        auto_answer=given.auto_answer,
        talk=not given.no_talk,
        expires_s=given.expires,
        transport=Transport(
            name=given.transport,
            ca_file=given.ca_file,
            certificate=given.certificate,
            certificate_key=given.certificate_key,
        ),
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with phone:
        shown = asyncio.create_task(_print(phone, given.json))
        tasks = [asyncio.create_task(stop.wait()), asyncio.create_task(_commands(phone))]
        try:
            if not given.no_register:
                await phone.register()
            if given.call:
                await phone.call(given.call)
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        except PhoneError as error:
            print(f"refserver phone: {error}", file=sys.stderr)
            return 1
        finally:
            for task in tasks:
                task.cancel()
            await phone.aclose()
            await shown
    return 0


def main(argv: list[str]) -> int:
    """The command; returns the exit status."""
    given = parser().parse_args(argv)
    password = given.password
    if given.password_env:
        found = os.environ.get(given.password_env)
        if found is None:
            print(f"refserver phone: no environment variable {given.password_env}", file=sys.stderr)
            return 2
        password = found
    if not 1 <= given.expires <= 86_400:
        print("refserver phone: --expires: from 1 to 86400 seconds", file=sys.stderr)
        return 2
    try:
        return asyncio.run(run(given, password))
    except OSError as error:
        print(f"refserver phone: {given.register[0]}:{given.register[1]}: {error}", file=sys.stderr)
        return 1
