"""`refserver dn`: what a server knows of a DN, and what the DN does with its calls (ours)."""

from __future__ import annotations

from refserver import client_command
from refserver.client_command import FORWARD_MODES, Verb

TEXT = (
    "Ask what is known of a DN: its service state, its agent, its calls, and whose word that is; "
    "or, at a TCport, say what it does with calls."
)

VERBS = (
    Verb(
        "query",
        "TQueryAddress for DNStatus: the DN's picture, without a registration.",
        lambda c, g: c.query_address(g.dn),
        ("desktop", "monitor", "router"),
        registers=False,
    ),
    Verb("dnd-on", "TSetDNDOn: calls are refused as busy.", lambda c, g: c.set_dnd_on(g.dn)),
    Verb("dnd-off", "TSetDNDOff", lambda c, g: c.set_dnd_off(g.dn)),
    Verb(
        "forward",
        "TCallSetForward",
        lambda c, g: c.call_set_forward(g.dn, g.to, FORWARD_MODES[g.mode]),
        options=("to", "mode"),
    ),
    Verb("forward-off", "TCallCancelForward", lambda c, g: c.call_cancel_forward(g.dn)),
)


def main(argv: list[str]) -> int:
    """The command; returns the exit status."""
    return client_command.main("dn", TEXT, VERBS, argv)
