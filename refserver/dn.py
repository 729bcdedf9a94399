"""`refserver dn`: what a server knows of a DN (ours)."""

from __future__ import annotations

from refserver import client_command
from refserver.client_command import Verb

TEXT = "Ask what is known of a DN: its service state, its agent, its calls, and whose word that is."

VERBS = (
    Verb(
        "query",
        "TQueryAddress for DNStatus: the DN's picture, without a registration.",
        lambda c, g: c.query_address(g.dn),
        ("desktop", "monitor", "router"),
        registers=False,
    ),
)


def main(argv: list[str]) -> int:
    """The command; returns the exit status."""
    return client_command.main("dn", TEXT, VERBS, argv)
