"""`refserver phone`: one test phone on the command line, its events printed as they come (ours)."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import stat
import sys
from pathlib import Path

import msgspec

from refserver.arguments import endpoint
from refserver.phone import Phone, PhoneError
from refserver.phone_records import PhoneEvent
from refserver.phone_script import (
    COMMANDS,
    EXIT_FAILED,
    EXIT_USAGE,
    MAX_LINE,
    Answer,
    Given,
    UsageError,
    exit_status,
    obey,
    parse,
    parse_script,
    refusal,
)
from refserver.phone_wires import TRANSPORTS, Transport

RELIABLE = ("no", "supported", "required")
MAX_SCRIPT = 1_000_000
STATUSES = (
    "Exit status: 0 done, quit or told to end by a signal; 1 not done; 2 used wrongly; 3 refused with a SIP status; "
    "4 no answer, or no such event, in time."
)


def parser() -> argparse.ArgumentParser:
    """The command line of `refserver phone`."""
    made = argparse.ArgumentParser(
        prog="refserver phone",
        description="A SIP phone without media: registers, then prints what happens to it.",
        epilog=f"Commands, a line each, from standard input or a script: {', '.join(COMMANDS)}. {STATUSES}",
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
    made.add_argument("--busy", action="store_true", help="refuse every call with 486")
    made.add_argument("--direct", action="store_true", help="a call goes to its URI's address, not to the server")
    made.add_argument("--reliable", choices=RELIABLE, default="supported", help="its calls' 1xx; default: supported")
    made.add_argument("--session", type=int, default=1800, metavar="S", help="seconds of a session timer; 0: none")
    made.add_argument("--min-session", type=int, default=90, metavar="S", help="the least that a peer may ask for")
    made.add_argument("--no-transfer", action="store_true", help="refuse REFER")
    made.add_argument("--call", metavar="NUMBER", help="call this number or SIP URI")
    made.add_argument("--script", metavar="FILE", help="do these commands, then end; - reads standard input")
    made.add_argument("--json", action="store_true", help="a line of JSON an event, and one an answer")
    return made


def line_of(event: PhoneEvent, number: str, as_json: bool) -> str:
    """One event as a line."""
    if as_json:
        fields: dict[str, object] = {
            "phone": number,
            "event": event.kind.value,
            "call": event.call,
            "status": event.status,
            "peer": event.peer,
            "text": event.text,
        }
        if event.detail:
            fields["detail"] = event.detail
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
    parts += [f"{key}={value}" for key, value in event.detail.items()]
    return printable("  ".join(parts))


def printable(line: str) -> str:
    """A line that cannot move the cursor, whatever a peer has put into it."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)


def answer_line(answer: Answer, number: str) -> str:
    """What came of a command, as a line of JSON."""
    return msgspec.json.encode(
        {
            "phone": number,
            "command": answer.command,
            "line": answer.line,
            "ok": answer.ok,
            "call": answer.call,
            "status": answer.status,
            "text": answer.text,
        }
    ).decode()


class Console:
    """Where a phone's events and answers go, and the commands that it is given (ours)."""

    def __init__(self, number: str, as_json: bool) -> None:
        self._number = number
        self._json = as_json
        self.gone = asyncio.Event()

    def told(self, event: PhoneEvent) -> None:
        """Show an event."""
        self._show(line_of(event, self._number, self._json))

    async def do(self, phone: Phone, given: Given) -> PhoneError | None:
        """Do a command and show what came of it."""
        try:
            answer, failed = await obey(phone, given), None
        except PhoneError as error:
            answer, failed = refusal(given, error), error
        if self._json:
            self._show(answer_line(answer, self._number))
        elif failed is not None:
            print(failed, file=sys.stderr)
        elif answer.text:
            for line in answer.text.split("\n"):
                self._show(printable(line))
        return failed

    def refuse(self, text: str) -> None:
        """Say of a line that it is no command."""
        if self._json:
            self._show(answer_line(Answer(0, "", False, text=text), self._number))
        else:
            print(text, file=sys.stderr)

    def _show(self, line: str) -> None:
        try:
            print(line, flush=True)
        except OSError:
            self.gone.set()  # nobody reads any more

    async def typed(self, phone: Phone) -> int:
        """Lines of standard input until quit; at its end the phone goes on."""
        reader = asyncio.StreamReader(limit=MAX_LINE)
        loop = asyncio.get_running_loop()
        if not _can_type():
            await asyncio.Event().wait()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        number = 0
        while True:
            number += 1
            try:
                line = await reader.readline()
            except ValueError:
                self.refuse(f"a line of more than {MAX_LINE:,} octets is no command")
                continue
            if not line:
                await asyncio.Event().wait()
            try:
                given = parse(line.decode("utf-8", "replace"), number)
            except UsageError as error:
                self.refuse(str(error))
                continue
            if given is None:
                continue
            await self.do(phone, given)
            if given.command.name == "quit":
                return 0

    async def scripted(self, phone: Phone, script: list[Given]) -> int:
        """The commands of a script until one fails; the exit status."""
        for given in script:
            failed = await self.do(phone, given)
            if failed is not None:
                return exit_status(failed)
            if given.command.name == "quit":
                break
        return 0


def _can_type() -> bool:
    """Whether standard input is a terminal, a pipe or a socket: a file or /dev/null cannot be waited for."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
        return sys.stdin.isatty() or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
    except (AttributeError, OSError, ValueError):
        return False


async def run(given: argparse.Namespace, password: str, script: list[Given] | None = None) -> int:
    """Run the phone until a signal, `quit` or the script's end; the exit status."""
    console = Console(given.number, given.json)
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
        busy=given.busy,
        direct=given.direct,
        reliable=given.reliable,
        session_s=given.session,
        min_session_s=given.min_session,
        transferable=not given.no_transfer,
        told=console.told,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, console.gone.set)
    async with phone:
        try:
            if not given.no_register:
                await phone.register()
            if given.call:
                await phone.call(given.call)
        except PhoneError as error:
            print(f"refserver phone: {error}", file=sys.stderr)
            return exit_status(error)
        work = asyncio.create_task(console.typed(phone) if script is None else console.scripted(phone, script))
        gone = asyncio.create_task(console.gone.wait())
        await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if not work.done():
            work.cancel()
            return 0
        return work.result()


def _script(path: str) -> list[Given]:
    """A script from its file; raises OSError, `UsageError`."""
    if path == "-":
        text = sys.stdin.buffer.read(MAX_SCRIPT + 1)
    else:
        with Path(path).open("rb") as file:
            text = file.read(MAX_SCRIPT + 1)
    if len(text) > MAX_SCRIPT:
        raise UsageError(f"longer than {MAX_SCRIPT:,} octets")
    return parse_script(text.decode("utf-8", "replace"))


def main(argv: list[str]) -> int:
    """The command; returns the exit status."""
    given = parser().parse_args(argv)
    password = given.password
    if given.password_env:
        found = os.environ.get(given.password_env)
        if found is None:
            print(f"refserver phone: no environment variable {given.password_env}", file=sys.stderr)
            return EXIT_USAGE
        password = found
    if not 1 <= given.expires <= 86_400:
        print("refserver phone: --expires: from 1 to 86400 seconds", file=sys.stderr)
        return EXIT_USAGE
    for name, seconds in (("--session", given.session), ("--min-session", given.min_session)):
        if not 90 <= seconds <= 86_400 and (seconds or name == "--min-session"):
            print(f"refserver phone: {name}: from 90 to 86400 seconds", file=sys.stderr)
            return EXIT_USAGE
    script = None
    if given.script:
        try:
            script = _script(given.script)
        except (OSError, UsageError) as error:
            text = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
            print(f"refserver phone: {given.script}: {text}", file=sys.stderr)
            return EXIT_USAGE
    try:
        return asyncio.run(run(given, password, script))
    except OSError as error:
        print(f"refserver phone: {given.register[0]}:{given.register[1]}: {error}", file=sys.stderr)
        return EXIT_FAILED
