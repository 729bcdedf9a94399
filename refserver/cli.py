"""The command line: each command is a module with `main(argv) -> status`, imported when asked for (ours).

Exit status: 0 done, 1 the command failed, 2 it was used or configured wrongly, 70 a fault of ours, 130 interrupted;
those that ask a T-Library server: 3 refused, 4 no answer in time, 5 no connection (`client_command`).
"""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import PackageNotFoundError, version

COMMANDS = {
    "serve": ("refserver.serve", "run a cluster's nodes"),
    "config": ("refserver.config_check", "check a cluster file"),
    "secret": ("refserver.secrets", "hash an application's secret for a cluster file"),
    "tail": ("refserver.tail", "print events as they come"),
    "decode": ("refserver.decode", "print T-Library frames from hex or a capture file as log text"),
    "agent": ("refserver.agent", "log an agent in or out, make it ready or not ready"),
    "call": ("refserver.call", "make a call, or do something with one"),
    "dn": ("refserver.dn", "ask what is known of a DN"),
    "phone": ("refserver.phone", "a SIP phone for tests"),
    "link": ("refserver.link", "cut a link between two nodes, or restore it"),
    "replay": ("refserver.replay", "feed a journal to a node and print its outputs"),
    "demo": ("refserver.demo", "a call through a cluster of two nodes, shown live"),
    "completion": ("refserver.completion", "completion for bash or zsh, to be sourced"),
}


def program_version() -> str:
    """Version of the installed distribution; "0" when it runs from a bare directory."""
    try:
        return version("sipcluster")
    except PackageNotFoundError:
        return "0"


def usage() -> str:
    """The commands, one a line."""
    lines = [f"  {name:12}{text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(["usage: refserver COMMAND ...", "", *lines, "", "refserver COMMAND --help says more."])


def main(argv: list[str]) -> int:
    """Run one command; returns the exit status."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage(), file=sys.stdout if argv else sys.stderr)
        return 0 if argv else 2
    if argv[0] in ("--version", "-V"):
        print(f"refserver {program_version()}")
        return 0
    command = COMMANDS.get(argv[0])
    if command is None:
        print(f"refserver: no command {argv[0]!r}\n\n{usage()}", file=sys.stderr)
        return 2
    try:
        module = importlib.import_module(command[0])
    except ModuleNotFoundError as error:
        if error.name in ("h11", "asyncio_dgram"):
            print(
                f"refserver {argv[0]}: needs the server's packages: pip install 'sipcluster[server]'",
                file=sys.stderr,
            )
            return 2
        raise
    try:
        return int(module.main(argv[1:]) or 0)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nothing to say, and nobody to say it to.
        sys.stderr.close()
        return 0
