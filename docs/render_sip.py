"""Writes the rendered parts of the SIP pages: `python docs/render_sip.py [--check]`.

A part stands between `<!-- rendered: NAME -->` and `<!-- end -->`; what is outside is written by hand.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any

from sip_proto.tables import (
    INITIAL,
    LEG_TRANSITIONS,
    RELIABLE_INITIAL,
    RELIABLE_ROWS,
    ROWS,
    TRANSITIONS,
    Again,
    Bound,
    Input,
    Row,
    Sends,
    State,
)
from sip_proto.tables_session import CROSSINGS, OFFER_TRANSITIONS, OfferState
from sip_proto.tables_third_party import THIRD_PARTY_TRANSITIONS
from sip_proto.tables_timer import ANSWER_ROWS, ANSWERED_ROWS, SESSION_TRANSITIONS, Refresher, Says
from sip_proto.tables_usage import REFERRAL_TRANSITIONS, REGISTRATION_TRANSITIONS, SUBSCRIPTION_TRANSITIONS

DOCS = Path(__file__).parent
EXAMPLES = DOCS.parent / "examples"
PAGES = ("sip-endpoint.md", "sip-rfcs.md", "specs/sip-machines.md")
STATES = ("done", "partial", "host")

Rows = Iterable[tuple[object, ...]]


def table(head: tuple[str, ...], rows: Rows) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def cells(state: State, event: str, row: Row) -> tuple[object, ...]:
    """One transaction row as a reader wants it."""
    sends = "" if row.sends is Sends.NOTHING else "the ACK" if row.sends is Sends.ACK else "its message"
    again = "" if row.again is Again.KEEP else row.again.name.lower().replace("_", " up to ")
    bound = "" if row.bound is Bound.KEEP else "off" if row.bound is Bound.STOP else row.bound.name
    return state.name, event, row.next.name, sends, "yes" if row.tells else "", again, bound, row.source


HEAD = ("state", "input", "next", "sends", "user told", "send-again timer", "bound", "source")


def transactions() -> str:
    rows = [cells(state, "(start)", row) for state, row in INITIAL.items()]
    rows += [cells(state, event.name, row) for (state, event), row in TRANSITIONS.items()]
    return table(HEAD, rows)


def reliable() -> str:
    rows = [cells(state, "(start)", row) for state, row in RELIABLE_INITIAL.items() if row != INITIAL[state]]
    for place, (row, other) in enumerate(zip(RELIABLE_ROWS, ROWS, strict=True)):
        # What is never sent again needs no row that does so.
        if row is not None and row != other and place % len(Input) != Input.RESEND:
            rows.append(cells(State(place // len(Input)), Input(place % len(Input)).name, row))
    return table(HEAD, rows)


def machine(rows: Mapping[Any, IntEnum]) -> str:
    """States down, inputs and where they lead."""
    return table(("state", "input", "next"), [(at.name, event.name, to.name) for (at, event), to in rows.items()])


def refresher(row: Any) -> str:
    return "we" if row.refresher is Refresher.WE else "the peer"


def refreshers() -> str:
    asked = ("direction", "supports timer", "Session-Expires")
    head = (*asked, "refresher now", "refresher from now on", "note", "source")
    said = {Says.NOTHING: "none", Says.INTERVAL: "without refresher", Says.UAC: "uac", Says.UAS: "uas"}
    now = {Refresher.NOBODY: "nobody", Refresher.WE: "we", Refresher.PEER: "the peer"}
    rows: list[tuple[object, ...]] = []
    for (knows, says, before), answer in ANSWER_ROWS.items():
        more = "Require: timer" if answer.require else ""
        known = "yes" if knows else "no"
        rows.append(("request of the peer", known, said[says], now[before], refresher(answer), more, answer.source))
    for says, answered in ANSWERED_ROWS.items():
        more = "" if answered.agreed else "alone"
        rows.append(("2xx of the peer", "any", said[says], "any", refresher(answered), more, answered.source))
    return table(head, rows)


def third_party() -> str:
    head = ("state", "input", "next", "deeds", "source")
    rows = THIRD_PARTY_TRANSITIONS.items()
    return table(
        head,
        [
            (at.name, event.name, row.next.name, ", ".join(deed.name for deed in row.deeds), row.source)
            for (at, event), row in rows
        ],
    )


def crossings() -> str:
    rows = [(state.name, *CROSSINGS.get(state, ("taken", ""))) for state in OfferState]
    return table(("state", "an offer of the peer", "source"), rows)


def rfcs() -> str:
    entries = tomllib.loads((DOCS / "sip-rfcs.toml").read_text(encoding="utf-8"))["rfc"]
    for entry in entries:
        if entry["state"] not in STATES or ("lacks" in entry) != (entry["state"] == "partial"):
            raise ValueError(f"RFC {entry['number']}: a state of {STATES}, and `lacks` for a partial one alone")
    rows = []
    for entry in sorted(entries, key=lambda entry: int(entry["number"])):
        link = f"[{entry['number']}](https://www.rfc-editor.org/rfc/rfc{entry['number']})"
        rows.append((link, entry["title"], entry["state"], entry["has"], entry.get("lacks", "")))
    return table(("RFC", "title", "state", "what there is", "what is missing"), rows)


def example(name: str) -> str:
    return f"```python\n{(EXAMPLES / name).read_text(encoding='utf-8')}```"


PARTS: dict[str, Callable[[], str]] = {
    "transactions": transactions,
    "reliable": reliable,
    "legs": lambda: machine(LEG_TRANSITIONS),
    "offers": lambda: machine(OFFER_TRANSITIONS),
    "crossings": crossings,
    "refreshers": refreshers,
    "session timer": lambda: machine(SESSION_TRANSITIONS),
    "third party": third_party,
    "registration": lambda: machine(REGISTRATION_TRANSITIONS),
    "subscription": lambda: machine(SUBSCRIPTION_TRANSITIONS),
    "referral": lambda: machine(REFERRAL_TRANSITIONS),
    "rfcs": rfcs,
    "udp": lambda: example("sip_udp.py"),
    "tcp": lambda: example("sip_tcp.py"),
}
BLOCK = re.compile(r"(<!-- rendered: ([a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def rendered(page: str) -> str:
    """The page with every part written anew; KeyError for a part that nobody writes."""
    return BLOCK.sub(lambda match: f"{match[1]}{PARTS[match[2]]()}\n{match[3]}", page)


def main(arguments: list[str]) -> int:
    """Writes the pages, or with --check compares them; 1 when one differs, 2 for a wrong call."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python docs/render_sip.py [--check]\n")
        return 2
    differs = 0
    for name in PAGES:
        path = DOCS / name
        page = path.read_text(encoding="utf-8")
        new = rendered(page)
        if not arguments:
            path.write_text(new, encoding="utf-8")
        elif new != page:
            sys.stderr.write(f"{name} is not what its data says: run python docs/render_sip.py\n")
            differs = 1
    return differs


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
