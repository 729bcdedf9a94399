"""`refserver dn`: what a server knows of a DN (ours)."""

from __future__ import annotations

from refserver import client_command
from refserver.client_command import Verb

TEXT = "Ask what is known of a DN: its service state, its agent, its calls, and whose word that is."

VERBS = (
    Verb(
        "query",
        "Print the DN's picture: EventRegistered, as a client that registers it is answered.",
        None,
        ("desktop", "monitor", "router"),
    ),
)


def main(argv: list[str]) -> int:
    """The command; returns the exit status."""
    return client_command.main("dn", TEXT, VERBS, argv)
