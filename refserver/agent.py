"""`refserver agent`: what an agent does at a desktop, by hand (ours)."""

from __future__ import annotations

from refserver import client_command
from refserver.client_command import Verb

TEXT = "Log an agent in or out, or make the agent ready or not ready, at a TCport."

VERBS = (
    Verb("login", "TAgentLogin", lambda c, g: c.agent_login(g.dn, g.agent, queue=g.queue), options=("agent", "queue")),
    Verb("logout", "TAgentLogout", lambda c, g: c.agent_logout(g.dn, queue=g.queue), options=("queue",)),
    Verb("ready", "TAgentSetReady", lambda c, g: c.agent_set_ready(g.dn, queue=g.queue), options=("queue",)),
    Verb("not-ready", "TAgentSetNotReady", lambda c, g: c.agent_set_not_ready(g.dn, queue=g.queue), options=("queue",)),
)


def main(argv: list[str]) -> int:
    """The command; returns the exit status."""
    return client_command.main("agent", TEXT, VERBS, argv)
