"""`refserver replay FILE`: feeds a journal to a fresh node and prints what it puts out (design 3).

The same journal gives the same bytes on every run. Outputs hold what the node sent, secrets too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import BinaryIO

import msgspec

from cluster_core.inputs import AnyInput
from cluster_core.outputs import AnyOutput
from refserver.journal import End, Head, JournalError, OutputDigest, read_head, read_records
from refserver.pump import Node


def fresh_node(head: Head) -> Node:
    """A node as it was when the journal began."""
    from cluster_core.node import ClusterNode

    node: Node = ClusterNode(head.settings, head.node, head.member, bytes.fromhex(head.seed))
    return node


def replay(file: BinaryIO, name: str, print_line: Callable[[bytes], None] | None) -> tuple[str, End | None]:
    """Feed a journal to a fresh node; returns the digest of its outputs, and the journal's end."""
    node = fresh_node(read_head(file, name))
    digest = OutputDigest()
    for count, record in enumerate(read_records(file, name), 1):
        if isinstance(record, End):
            return digest.hexdigest(), record
        now, input = record
        outputs = _handle(node, now, input, count)
        digest.add(outputs)
        if print_line:
            for output in outputs:
                fields = {field: getattr(output, field) for field in output.__struct_fields__}
                print_line(
                    msgspec.json.encode(
                        {"input": count, "now": now, "output": type(output).__name__, **fields}
                    )
                )
    return digest.hexdigest(), None


def _handle(node: Node, now: int, input: AnyInput, count: int) -> list[AnyOutput]:
    """What one input brings forth; a fault shows where it showed when the journal was written."""
    out: list[AnyOutput] = []
    try:
        node.handle(now, input, out)
    except Exception as error:
        print(f"input {count}: {type(error).__name__}: {error}", file=sys.stderr)
    return out


def main(argv: list[str]) -> int:
    """Returns 0, 1 when the outputs differ from those of the journal's run, 2 for what is no journal."""
    parser = argparse.ArgumentParser(
        prog="refserver replay",
        description="Feed a journal to a node and print its outputs as JSON.",
    )
    parser.add_argument("file")
    parser.add_argument("--digest", action="store_true", help="print only the SHA-256 of the outputs")
    options = parser.parse_args(argv)
    write = sys.stdout.buffer.write

    def line(data: bytes) -> None:
        write(data + b"\n")

    try:
        with open(options.file, "rb") as file:
            digest, end = replay(file, options.file, None if options.digest else line)
    except (OSError, JournalError) as error:
        print(f"refserver replay: {error}", file=sys.stderr)
        return 2
    sys.stdout.flush()
    if options.digest:
        print(digest)
    if end is None:
        print("refserver replay: the journal has no end: its server did not stop in order", file=sys.stderr)
    elif end.outputs_sha256 != digest:
        print(
            f"refserver replay: the outputs differ from those of the run, {end.outputs_sha256}",
            file=sys.stderr,
        )
        return 1
    return 0
