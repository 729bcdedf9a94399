"""`refserver config check FILE`: says whether a cluster file is good, or all that is wrong with it."""

from __future__ import annotations

import argparse
import sys

from refserver.config import ConfigError, load


def main(argv: list[str]) -> int:
    """Returns 0 for a good file and 2 for a wrong one."""
    parser = argparse.ArgumentParser(prog="refserver config", description="Check a cluster file.")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="say what is wrong with a file")
    check.add_argument("file")
    options = parser.parse_args(argv)
    try:
        load(options.file)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    print("ok")
    return 0
