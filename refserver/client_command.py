"""What the commands that ask a T-Library server have in common: options, one connection, output, exit statuses (ours).

Exit status: 0 done; 1 not done, for a reason of its own; 2 used wrongly; 3 the server refused (EventError); 4 no
answer in time; 5 no connection, or it was lost; 130 interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import ssl
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import msgspec

from refserver.arguments import endpoint
from refserver.client import Client, ClientError, TLibError, TLibTimeout, connect
from refserver.client_requests import PairValue
from refserver.event_json import object_of
from tlib_proto.constants import ForwardMode
from tlib_proto.logtext import render
from tlib_proto.records import Message

EXIT_REFUSED, EXIT_TIMEOUT, EXIT_NO_CONNECTION = 3, 4, 5
STATUSES = (
    "Exit status: 0 done, 1 not done, 2 used wrongly, 3 refused by the server (EventError), 4 no answer in time, "
    "5 no connection or lost, 130 interrupted."
)
ROLES = ("desktop", "router", "smart", "monitor", "reporting")
FORWARD_MODES = {
    "always": ForwardMode.Unconditional,
    "busy": ForwardMode.OnBusy,
    "no-answer": ForwardMode.OnNoAnswer,
    "busy-or-no-answer": ForwardMode.OnBusyAndNoAnswer,
}
_CONN_ID = re.compile(r"[0-9A-Fa-f]{16}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,9}", re.ASCII)

Ask = Callable[[Client, argparse.Namespace], Awaitable[Message]]


class Verb(msgspec.Struct, frozen=True):
    """One subcommand: what it asks, in which role (the first that the port accepts), its options beside the common
    ones, and whether the DN must be registered first.
    """

    name: str
    text: str
    ask: Ask
    roles: tuple[str, ...] = ("desktop",)
    options: tuple[str, ...] = ()
    registers: bool = True


def conn_id(text: str) -> int:
    """A ConnID of 16 hexadecimal digits."""
    if not _CONN_ID.fullmatch(text) or not int(text, 16):
        raise argparse.ArgumentTypeError(f"{text!r} is no ConnID: 16 hexadecimal digits, as events show it")
    return int(text, 16)


def pair(text: str) -> tuple[str, PairValue]:
    """KEY=VALUE as text, KEY:=VALUE as a number."""
    key, equals, value = text.partition("=")
    if not equals or not key.rstrip(":"):
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE or KEY:=NUMBER")
    if not key.endswith(":"):
        return key, value
    if not _NUMBER.fullmatch(value):
        raise argparse.ArgumentTypeError(f"{text!r}: {value!r} is no number of up to 9 digits")
    return key[:-1], int(value)


def seconds(text: str) -> float:
    """A time that is more than none, at most an hour."""
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,6})?", text, re.ASCII) or not 0 < float(text) <= 3_600:
        raise argparse.ArgumentTypeError(f"{text!r}: seconds, more than 0, at most 3600")
    return float(text)


OPTIONS: dict[str, tuple[tuple[str, ...], dict[str, object]]] = {
    "agent": (("--agent",), {"required": True, "metavar": "ID", "help": "agent id"}),
    "queue": (("--queue",), {"default": "", "metavar": "DN", "help": "queue to log in to or out of"}),
    "conn": (("--conn",), {"required": True, "type": conn_id, "metavar": "ID", "help": "ConnID, 16 hex digits"}),
    "other": (
        ("--other",),
        {"required": True, "type": conn_id, "metavar": "ID", "help": "ConnID of the DN's other call"},
    ),
    "to": (("--to",), {"required": True, "metavar": "NUMBER", "help": "destination"}),
    "digits": (("--digits",), {"required": True, "metavar": "DIGITS", "help": "0-9 A-D * #, at most 64"}),
    "mode": (
        ("--mode",),
        {
            "choices": tuple(FORWARD_MODES),
            "default": "always",
            "help": "which calls: always (default), busy, no-answer (after 20 s), busy-or-no-answer",
        },
    ),
    "key": (("--key",), {"required": True, "metavar": "KEY", "help": "key of the user data"}),
    "pairs": (
        ("--data",),
        {
            "action": "append",
            "required": True,
            "type": pair,
            "metavar": "KEY=VALUE",
            "help": "user data; KEY:=N is a number; may repeat",
        },
    ),
    "data": (
        ("--data",),
        {
            "action": "append",
            "default": [],
            "type": pair,
            "metavar": "KEY=VALUE",
            "help": "user data; KEY:=N is a number; may repeat",
        },
    ),
}
"""Options that a verb may name."""


def parser(command: str, text: str, verbs: Sequence[Verb]) -> argparse.ArgumentParser:
    """The command line of a command with its verbs."""
    made = argparse.ArgumentParser(prog=f"refserver {command}", description=text, epilog=STATUSES)
    below = made.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb in verbs:
        sub = below.add_parser(verb.name, help=verb.text, description=verb.text, epilog=STATUSES)
        sub.add_argument("port", metavar="HOST:PORT", type=endpoint)
        sub.add_argument("--dn", required=True, metavar="DN", help="the DN that it is about")
        for option in verb.options:
            flags, given = OPTIONS[option]
            sub.add_argument(*flags, **given)  # type: ignore[arg-type]
        sub.add_argument("--application", default="refserver", metavar="NAME", help="default: refserver")
        sub.add_argument("--role", choices=ROLES, help=f"default: {' or '.join(verb.roles)}")
        sub.add_argument("--secret-env", metavar="VAR", help="environment variable that holds the secret")
        sub.add_argument("--ca-file", metavar="FILE", help="connect under TLS; certificates that vouch for the server")
        sub.add_argument("--timeout", type=seconds, default=10.0, metavar="S", help="default: 10")
        sub.add_argument("--json", action="store_true", help="one line of JSON")
    return made


def show(message: Message, as_json: bool) -> str:
    """An answer as it is printed: a JSON line, or log text."""
    if as_json:
        return msgspec.json.encode(object_of(message)).decode()
    stamp = datetime.now().strftime("%H:%M:%S.%f")[:-2]
    return render(message, mask=False, prefix=f"@{stamp} ")


def main(command: str, text: str, verbs: Sequence[Verb], argv: list[str]) -> int:
    """Ask what the command line says and print the answer; returns the exit status."""
    made = parser(command, text, verbs)
    given = made.parse_args(argv)
    verb = next(verb for verb in verbs if verb.name == given.verb)
    secret = ""
    if given.secret_env:
        found = os.environ.get(given.secret_env)
        if found is None:
            made.error(f"no environment variable {given.secret_env}")
        secret = found
    tls = None
    if given.ca_file:
        try:
            tls = ssl.create_default_context(cafile=given.ca_file)
        except (OSError, ssl.SSLError) as error:
            made.error(f"--ca-file {given.ca_file}: {error}")
    name = f"refserver {command} {verb.name}"
    try:
        answer = asyncio.run(_ask(verb, given, secret, tls))
    except TLibError as error:
        return _failed(name, given.json, EXIT_REFUSED, str(error), number=error.number, error=error.name)
    except TLibTimeout as error:
        return _failed(name, given.json, EXIT_TIMEOUT, str(error))
    except (ClientError, OSError) as error:
        where = f"{given.port[0]}:{given.port[1]}"
        return _failed(name, given.json, EXIT_NO_CONNECTION, f"{where}: {error}")
    print(show(answer, given.json), flush=True)
    return 0


async def _ask(verb: Verb, given: argparse.Namespace, secret: str, tls: ssl.SSLContext | None) -> Message:
    async with await _dial(verb, given, secret, tls) as client:
        if verb.registers:
            await client.register_address(given.dn)
        return await verb.ask(client, given)


async def _dial(verb: Verb, given: argparse.Namespace, secret: str, tls: ssl.SSLContext | None) -> Client:
    refusal: TLibError | None = None
    for role in (given.role,) if given.role else verb.roles:
        try:
            return await connect(
                *given.port,
                application=given.application,
                role=role,
                secret=secret,
                timeout_s=given.timeout,
                keepalive_s=given.timeout,
                tls=tls,
            )
        except TLibError as error:
            refusal = refusal or error
    assert refusal is not None
    raise refusal


def _failed(name: str, as_json: bool, status: int, text: str, **more: object) -> int:
    """One line says what failed: on stderr for people, on stdout for programs."""
    if as_json:
        print(msgspec.json.encode({"failed": name, "status": status, "text": text, **more}).decode(), flush=True)
    else:
        print(f"{name}: {text}", file=sys.stderr)
    return status
