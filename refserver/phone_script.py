"""The commands of `refserver phone`: a line each, typed or from a file, and what is said of each (ours)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

import msgspec

from refserver.mailbox import EventsLost
from refserver.phone import Phone
from refserver.phone_records import PhoneError, PhoneEvent, PhoneEventKind, PhoneTimeout

MAX_LINE = 1_024
MAX_LINES = 10_000
WAIT_S = 30.0
EXIT_FAILED, EXIT_USAGE, EXIT_REFUSED, EXIT_TIMEOUT = 1, 2, 3, 4

_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,5}(\.[0-9]{1,3})?", re.ASCII)
_STATUS = re.compile(r"[4-6][0-9]{2}", re.ASCII)
_OPTION = re.compile(r"(call|status|text|peer|within)=(.*)", re.ASCII | re.DOTALL)
_USER = re.compile(r"sips?:(?:([^@]*)@)?")


class UsageError(PhoneError):
    """A line that is no command, or a command used wrongly."""


class Answer(msgspec.Struct, frozen=True):
    """What came of a command: the number of its line; call, status and text where the command has them."""

    line: int
    command: str
    ok: bool
    call: int = 0
    status: int = 0
    text: str = ""


class Given(msgspec.Struct, frozen=True):
    """One command as given: its words and its options (`call=1`)."""

    line: int
    command: Command
    words: list[str]
    options: dict[str, str]

    @property
    def call(self) -> int | None:
        """The call that it names."""
        return int(self.options["call"]) if "call" in self.options else None

    @property
    def within_s(self) -> float | None:
        """The time that it may take."""
        return float(self.options["within"]) if "within" in self.options else None


Said = tuple[int, int, str]
"""Call, status and text of an answer."""


class Command(msgspec.Struct, frozen=True):
    """A command: how it is written, what it does, how many words it takes (None: the last is the rest of the line)."""

    name: str
    usage: str
    text: str
    do: Callable[[Phone, Given], Awaitable[Said | None]]
    least: int = 0
    most: int | None = 0
    options: tuple[str, ...] = ("call",)
    check: Callable[[list[str]], str] = lambda words: ""


async def _call(phone: Phone, given: Given) -> Said:
    return await phone.call(given.words[0], late="late" in given.words[1:]), 0, ""


async def _progress(phone: Phone, given: Given) -> None:
    reliable = {"": None, "reliable": True, "plain": False}[given.words[0] if given.words else ""]
    await phone.progress(given.call, reliable)


async def _answer(phone: Phone, given: Given) -> None:
    await phone.answer(given.call)


async def _reject(phone: Phone, given: Given) -> None:
    await phone.reject(int(given.words[0]) if given.words else 486, given.call)


async def _cancel(phone: Phone, given: Given) -> None:
    await phone.cancel(given.call)


async def _hangup(phone: Phone, given: Given) -> None:
    await phone.hangup(given.call)


async def _hold(phone: Phone, given: Given) -> None:
    await phone.hold(given.call)


async def _retrieve(phone: Phone, given: Given) -> None:
    await phone.retrieve(given.call)


async def _renegotiate(phone: Phone, given: Given) -> None:
    await phone.renegotiate(given.call)


async def _digits(phone: Phone, given: Given) -> None:
    await phone.send_digits(given.words[0], given.call)


async def _message(phone: Phone, given: Given) -> Said:
    return 0, await phone.send_message(given.words[0], given.words[1]), ""


async def _transfer(phone: Phone, given: Given) -> None:
    await phone.transfer(given.words[0], call=given.call, leave="leave" in given.words, silent="silent" in given.words)


async def _join(phone: Phone, given: Given) -> None:
    await phone.transfer(to_call=int(given.words[0]), call=given.call, leave="leave" in given.words)


async def _watch(phone: Phone, given: Given) -> None:
    await phone.watch(given.words[0])


async def _mailbox(phone: Phone, given: Given) -> None:
    await phone.watch_mailbox()


async def _unwatch(phone: Phone, given: Given) -> None:
    await phone.unwatch(given.words[0] if given.words else None)


async def _busy(phone: Phone, given: Given) -> None:
    phone.busy = given.words[0] == "on"


async def _register(phone: Phone, given: Given) -> None:
    await phone.register()


async def _unregister(phone: Phone, given: Given) -> None:
    await phone.unregister()


async def _calls(phone: Phone, given: Given) -> Said:
    rows = [f"{call.number} {call.state.name.lower()} {call.peer}" for call in phone.calls.values()]
    return 0, 0, ", ".join(rows) or "none"


async def _help(phone: Phone, given: Given) -> Said:
    asked = [COMMANDS[name] for name in given.words] or list(COMMANDS.values())
    return 0, 0, "\n".join(f"{usage_of(command)}: {command.text}" for command in asked)


async def _wait(phone: Phone, given: Given) -> Said:
    kinds = [PhoneEventKind(name) for name in given.words[0].split(",")]
    while True:
        try:
            event = await phone.wait_for(
                kinds, given.call, given.within_s or WAIT_S, where=lambda event: _fits(event, given)
            )
        except EventsLost:
            continue  # nobody waited for those
        return event.call, event.status, event.text


async def _pause(phone: Phone, given: Given) -> None:
    await asyncio.sleep(float(given.words[0]))


async def _quit(phone: Phone, given: Given) -> None:
    """The end of the program is the caller's."""


def _fits(event: PhoneEvent, given: Given) -> bool:
    options = given.options
    if "status" in options and str(event.status) != options["status"]:
        return False
    if "text" in options and event.text != options["text"]:
        return False
    return "peer" not in options or options["peer"] in (event.peer, user_of(event.peer))


def user_of(uri: str) -> str:
    """The user part of a SIP URI; what is no SIP URI as it is."""
    found = _USER.match(uri)
    return uri if found is None else found[1] or ""


def _check_help(words: list[str]) -> str:
    return _strange(words, tuple(COMMANDS))


def _check_status(words: list[str]) -> str:
    return "" if not words or _STATUS.fullmatch(words[0]) else f"{words[0]!r} is no status from 400 to 699"


def _check_call(words: list[str]) -> str:
    return _strange(words[1:], ("late",))


def _check_transfer(words: list[str]) -> str:
    return _strange(words[1:], ("leave", "silent"))


def _check_join(words: list[str]) -> str:
    if not _NUMBER.fullmatch(words[0]):
        return f"{words[0]!r} is no number of a call"
    return _strange(words[1:], ("leave",))


def _strange(words: list[str], known: tuple[str, ...]) -> str:
    strange = next((word for word in words if word not in known), None)
    return "" if strange is None else f"{strange!r} is not {' or '.join(repr(word) for word in known)}"


def _check_progress(words: list[str]) -> str:
    return _strange(words, ("reliable", "plain"))


def _check_switch(words: list[str]) -> str:
    return _strange(words, ("on", "off"))


def _check_events(words: list[str]) -> str:
    unknown = [name for name in words[0].split(",") if name not in set(PhoneEventKind)]
    return f"no event {unknown[0]!r}" if unknown else ""


def _check_seconds(words: list[str]) -> str:
    return "" if _SECONDS.fullmatch(words[0]) else f"{words[0]!r} are no seconds"


COMMANDS = {
    command.name: command
    for command in (
        Command("call", "NUMBER [late]", "call a number or URI; late: without an offer", _call, 1, 2, (), _check_call),
        Command(
            *("progress", "[reliable|plain]", "send 183 with a description to a call that rings here", _progress, 0, 1),
            check=_check_progress,
        ),
        Command("answer", "", "answer a call that rings here", _answer),
        Command("reject", "[STATUS]", "refuse it, with 486 unless told", _reject, 0, 1, check=_check_status),
        Command("cancel", "", "give up a call that was not answered yet", _cancel),
        Command("hangup", "", "end a call, whatever its state", _hangup),
        Command("hold", "", "hold, until the peer agreed", _hold),
        Command("retrieve", "", "take back what is held", _retrieve),
        Command("renegotiate", "", "ask the peer for its offer", _renegotiate),
        Command("digits", "DIGITS", "send digits by INFO", _digits, 1, 1),
        Command("message", "NUMBER TEXT", "send a text", _message, 2, None, ()),
        Command(
            *("transfer", "NUMBER [leave] [silent]", "transfer a call; leave: hang up at once", _transfer, 1, 3),
            check=_check_transfer,
        ),
        Command(
            *("join", "CALL [leave]", "transfer a call to another call: the two go on without us", _join, 1, 2),
            check=_check_join,
        ),
        Command("watch", "NUMBER", "watch a number's calls", _watch, 1, 1, ()),
        Command("mailbox", "", "watch the own mailbox", _mailbox, options=()),
        Command("unwatch", "[NUMBER]", "stop watching a number, or the mailbox", _unwatch, 0, 1, ()),
        Command("busy", "on|off", "refuse every call with 486", _busy, 1, 1, (), _check_switch),
        Command("register", "", "register, again too", _register, options=()),
        Command("unregister", "", "take the registration back", _unregister, options=()),
        Command("calls", "", "list the calls", _calls, options=()),
        Command(
            *("wait", "EVENT[,EVENT]", "until one of the events comes, or came and nobody waited for it", _wait, 1, 1),
            options=("call", "status", "text", "peer", "within"),
            check=_check_events,
        ),
        Command("pause", "SECONDS", "do nothing", _pause, 1, 1, (), _check_seconds),
        Command("help", "[COMMAND]", "say how commands are written", _help, 0, 1, (), _check_help),
        Command("quit", "", "hang up, unregister and end", _quit, options=()),
    )
}


def parse(line: str, number: int = 0) -> Given | None:
    """One line; None for an empty one and a comment. Raises `UsageError`."""
    text = line.strip()
    if not text or text.startswith("#"):
        return None
    name, _, rest = text.partition(" ")
    command = COMMANDS.get({"exit": "quit"}.get(name.lower(), name.lower()))
    if command is None:
        raise UsageError(f"no command {name!r}; there are: {', '.join(COMMANDS)}")
    if command.most is None:
        words, options = rest.split(maxsplit=command.least - 1), dict[str, str]()
    else:
        words, options = _words(command, rest)
    if len(words) < command.least or (command.most is not None and len(words) > command.most):
        raise UsageError(f"usage: {usage_of(command)}")
    if wrong := command.check(words):
        raise UsageError(f"{command.name}: {wrong}")
    return Given(number, command, words, options)


def _words(command: Command, rest: str) -> tuple[list[str], dict[str, str]]:
    words: list[str] = []
    options: dict[str, str] = {}
    for word in rest.split():
        found = _OPTION.fullmatch(word)
        if found is None or found[1] not in command.options:
            words.append(word)
            continue
        rule = {"call": _NUMBER, "status": _NUMBER, "within": _SECONDS}.get(found[1])
        if rule is not None and not rule.fullmatch(found[2]):
            raise UsageError(f"{command.name}: {word!r} is no number")
        options[found[1]] = found[2]
    return words, options


def usage_of(command: Command) -> str:
    """How a command is written."""
    options = [f"[{name}={'SECONDS' if name == 'within' else name.upper()}]" for name in command.options]
    return " ".join(part for part in (command.name, command.usage, *options) if part)


def parse_script(text: str) -> list[Given]:
    """A script's commands; raises `UsageError` naming the line."""
    lines = text.splitlines()
    if len(lines) > MAX_LINES:
        raise UsageError(f"{len(lines)} lines: more than {MAX_LINES}")
    script: list[Given] = []
    for number, line in enumerate(lines, 1):
        try:
            if len(line) > MAX_LINE:
                raise UsageError(f"longer than {MAX_LINE} characters")
            given = parse(line, number)
        except UsageError as error:
            raise UsageError(f"line {number}: {error}") from None
        if given is not None:
            script.append(given)
    return script


async def obey(phone: Phone, given: Given) -> Answer:
    """Do one command and say what came of it; raises `PhoneError`."""
    said = await given.command.do(phone, given)
    call, status, text = said or (given.call or 0, 0, "")
    return Answer(given.line, given.command.name, True, call, status, text)


def refusal(given: Given, error: PhoneError) -> Answer:
    """What is said of a command that failed."""
    return Answer(given.line, given.command.name, False, given.call or 0, error.status, str(error))


def exit_status(error: PhoneError) -> int:
    """The program's exit status for what a command raised."""
    if isinstance(error, UsageError):
        return EXIT_USAGE
    if isinstance(error, PhoneTimeout) or error.status == 408:
        return EXIT_TIMEOUT
    return EXIT_REFUSED if error.status else EXIT_FAILED
