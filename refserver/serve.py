"""`refserver serve CLUSTER.toml`: binds the listeners of the nodes, hosts them, and ends in order (ours)."""

from __future__ import annotations

import argparse
import json
import resource
import sys
from pathlib import Path

import msgspec

from cluster_core.settings import ClusterSettings
from refserver.addresses import is_loopback, split_address
from refserver.config import LISTENERS, TLS_LISTENERS, ConfigError, load
from refserver.errors import Refused
from refserver.journal import JournalError, make_directory

SPARE_FILES = 256
"""Open files beyond the connections of the nodes: listeners, logs, journals, the control port."""


def members_of(settings: ClusterSettings) -> list[str]:
    """Every member, as n1/a."""
    return [f"{node.name}/{member.name}" for node in settings.nodes for member in node.members]


def chosen_members(settings: ClusterSettings, named: list[str]) -> list[str]:
    """The members to run; Refused when one is unknown or one that the coordinator needs is left out."""
    known = members_of(settings)
    for name in named:
        if name not in known:
            raise Refused(f"--member {name}: no such member; the file has {', '.join(known)}")
    left_out = [name for name in known if named and name not in named]
    if left_out:
        raise Refused(
            f"{', '.join(left_out)} would be left out, but the in-memory coordinator knows only the nodes of "
            "its own process, and two of them would be two truths: name every member, or leave --member out"
        )
    return known


def any_port(settings: ClusterSettings) -> ClusterSettings:
    """The same cluster with port 0 everywhere: each listener takes a free one."""
    nodes = []
    for node in settings.nodes:
        members = []
        for member in node.members:
            names = (*LISTENERS, *(name for name in TLS_LISTENERS if getattr(member, name)))
            free = {name: f"{getattr(member, name).rpartition(':')[0]}:0" for name in names}
            members.append(msgspec.structs.replace(member, **free))
        nodes.append(msgspec.structs.replace(node, members=tuple(members)))
    return msgspec.structs.replace(settings, nodes=tuple(nodes))


def raise_file_limit(needed: int) -> None:
    """Raise the soft limit of open files to what is needed; Refused when the hard limit is lower."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise Refused(
            f"{needed} open files are needed and {hard} are allowed: raise the limit (ulimit -Hn {needed}), "
            "or lower connections in [limits]"
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def files_needed(settings: ClusterSettings) -> int:
    """Open files that the limits of all nodes allow for."""
    return settings.limits.connections * len(settings.nodes) + SPARE_FILES


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="refserver serve", description="Run a cluster's nodes.")
    parser.add_argument("file", metavar="CLUSTER.toml")
    parser.add_argument("--member", action="append", default=[], metavar="NODE/MEMBER", help="default: all")
    parser.add_argument("--log-dir", type=Path, metavar="DIR", help="a file a subsystem, not stderr")
    parser.add_argument("-q", "--quiet", action="store_true", help="no log on stderr")
    parser.add_argument("--journal", type=Path, metavar="DIR", help="write every input, secrets too")
    parser.add_argument("--any-port", action="store_true", help="every listener takes a free port")
    parser.add_argument("--control", default="127.0.0.1:0", metavar="HOST:PORT", help="default: a free port")
    return parser


def main(argv: list[str]) -> int:
    """Returns 0 after a signal to end, 2 when it cannot start as asked, 70 after a fault of ours."""
    from refserver.cluster import Options, run

    options = _parser().parse_args(argv)
    try:
        settings = load(options.file)
        chosen_members(settings, options.member)
        if options.any_port:
            settings = any_port(settings)
        control = _control(options.control)
        raise_file_limit(files_needed(settings))
        if options.journal:
            make_directory(options.journal)
        if options.log_dir:
            _log_directory(options.log_dir)
        return run(
            settings,
            Options(
                control=control,
                log_dir=options.log_dir,
                quiet=options.quiet,
                journal_dir=options.journal,
                announce=_announce,
            ),
        )
    except ConfigError as error:
        print(error, file=sys.stderr)
    except (Refused, JournalError) as error:
        print(f"refserver serve: {error}", file=sys.stderr)
    return 2


def _control(text: str) -> tuple[str, int]:
    try:
        host, port = split_address(text)
    except ValueError:
        raise Refused(
            f"--control: expected an address and a port, such as 127.0.0.1:0, got {text!r}"
        ) from None
    if not is_loopback(host):
        raise Refused(f"--control: {host} is off loopback: commands of operators are served on loopback only")
    return host, port


def _log_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"--log-dir {path}: {error.strerror or error}") from None


def _announce(ready: dict[str, object]) -> None:
    """The ready line, the only line on stdout; a reader that has gone does not stop the server."""
    try:
        print(json.dumps(ready), flush=True)
    except OSError:
        sys.stdout = sys.stderr
