"""`refserver tail`: prints the events of a T-Library port as they come (ours)."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from datetime import datetime

import msgspec

from refserver.arguments import endpoint
from refserver.client import Client, ClientError, EventsLost, TLibError, connect
from refserver.event_json import object_of
from tlib_proto.logtext import render
from tlib_proto.records import Message

ROLES = ("monitor", "desktop", "router", "reporting", "smart")


def parser() -> argparse.ArgumentParser:
    """The command line of `refserver tail`."""
    made = argparse.ArgumentParser(
        prog="refserver tail",
        description="Print the events of a T-Library port as they come.",
        epilog="A name that the cluster file gives a [[client]] needs that client's role and secret. Without "
        "--dn and --all it opens a reporting session on IPport and shows calls.",
    )
    made.add_argument("port", metavar="HOST:PORT", type=endpoint)
    made.add_argument("--dn", action="append", default=[], metavar="DN", help="register this DN; may repeat")
    made.add_argument("--all", action="store_true", help="the bulk request of a smart client (TCport)")
    made.add_argument(
        "--session", default="", metavar="NAME", help="the reporting session, kept while nobody is connected"
    )
    made.add_argument("--after", default="", metavar="N", help="its last SequenceId: what came later is told again")
    made.add_argument("--application", default="tail", metavar="NAME", help="default: tail")
    made.add_argument("--role", choices=ROLES, help="default: the first that the port accepts")
    made.add_argument("--secret-env", metavar="VAR", help="environment variable that holds the secret")
    made.add_argument("--json", action="store_true", help="a line of JSON an event")
    return made


def line_of(message: Message, as_json: bool, at: datetime) -> str:
    """One message as it is printed: a JSON line, or log text with user data as it came."""
    if as_json:
        return msgspec.json.encode(object_of(message)).decode()
    stamp = at.strftime("%H:%M:%S.%f")[:-2]
    return render(message, mask=False, prefix=f"@{stamp} ")


def roles_to_try(given: argparse.Namespace) -> tuple[str, ...]:
    """The role that was named, or those that fit what was asked for, likeliest first."""
    if given.role:
        return (given.role,)
    if given.all:
        return ("smart",)
    return ("monitor", "desktop", "router") if given.dn else ("reporting",)


async def dial(given: argparse.Namespace, secret: str) -> tuple[Client, str]:
    """Connect with the first role that the port accepts; raises the first refusal when none is."""
    refusal: TLibError | None = None
    for role in roles_to_try(given):
        host, port = given.port
        try:
            client = await connect(
                host, port, application=given.application, role=role, secret=secret, keepalive_s=30
            )
        except TLibError as error:
            refusal = refusal or error
        else:
            return client, role
    assert refusal is not None
    raise refusal


def show(message: Message, as_json: bool) -> None:
    """Print one message."""
    print(line_of(message, as_json, datetime.now()), flush=True)


async def follow(client: Client, role: str, given: argparse.Namespace) -> None:
    """Ask for what was named, then print until the connection ends."""
    if role == "reporting":
        extensions = {"SequenceId": given.after} if given.after else {}
        await client.start_session(given.session, extensions)
    if given.all:
        answer = await client.register_all(node_dns=True)
        for message in client.unread():
            show(message, given.json)
        show(answer, given.json)
    for dn in given.dn:
        show(await client.register_address(dn), given.json)
    while not client.closed or client.waiting:
        try:
            async for message in client.events():
                show(message, given.json)
        except EventsLost as error:
            print(f"refserver tail: {error}", file=sys.stderr)


async def run(given: argparse.Namespace, secret: str) -> int:
    """Follow a port until a signal (status 0) or the end of the connection (status 1)."""
    try:
        client, role = await dial(given, secret)
    except (ClientError, OSError) as error:
        print(f"refserver tail: {given.port[0]}:{given.port[1]}: {error}", file=sys.stderr)
        if isinstance(error, TLibError):
            print("IPport: reporting; TCport: desktop, smart; SmartProxy: monitor", file=sys.stderr)
        return 1
    loop = asyncio.get_running_loop()
    async with client:
        task = asyncio.create_task(follow(client, role, given))
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            return 0
        except ClientError as error:
            print(f"refserver tail: {error}", file=sys.stderr)
            return 1
    print("refserver tail: the server closed the connection", file=sys.stderr)
    return 1


def main(argv: list[str]) -> int:
    """The command; returns the exit status."""
    made = parser()
    given = made.parse_args(argv)
    if not given.dn and not given.all and given.role not in (None, "reporting"):
        made.error("--dn or --all: nothing is asked for")
    secret = ""
    if given.secret_env:
        found = os.environ.get(given.secret_env)
        if found is None:
            made.error(f"no environment variable {given.secret_env}")
        secret = found
    with contextlib.suppress(KeyboardInterrupt):
        return asyncio.run(run(given, secret))
    return 0
