"""The table at the demo's end: how often each client saw each message (ours)."""

from __future__ import annotations

from collections.abc import Sequence

from refserver.demo_ladder import Column, Style
from refserver.demo_record import Record

_CELL = 7


def table(record: Record, columns: Sequence[Column], look: Style) -> list[str]:
    """Lines: a heading of two, a row a message in the order of its first sight, a total."""
    counts: dict[str, dict[str, int]] = {}
    for column in columns:
        for message in record.received(column.key):
            row = counts.setdefault(message.name, {})
            row[column.key] = row.get(column.key, 0) + 1
    order = {name: index for index, name in enumerate(_first_seen(record))}
    names = sorted(counts, key=lambda name: order.get(name, len(order)))
    wide = max([len(name) for name in names] + [8])
    lines = [
        "  " + " " * wide + "".join(column.name.rjust(_CELL) for column in columns),
        "  " + " " * wide + "".join(column.node.rjust(_CELL) for column in columns),
        "  " + look.line * (wide + _CELL * len(columns)),
    ]
    for name in names:
        cells = [counts[name].get(column.key, 0) for column in columns]
        lines.append("  " + name.ljust(wide) + "".join(str(n or look.none).rjust(_CELL) for n in cells))
    totals = [sum(row.get(column.key, 0) for row in counts.values()) for column in columns]
    lines.append("  " + look.line * (wide + _CELL * len(columns)))
    lines.append("  " + "all".ljust(wide) + "".join(str(total).rjust(_CELL) for total in totals))
    return lines


def _first_seen(record: Record) -> list[str]:
    names: dict[str, None] = {}
    for item in record.all:
        message = getattr(item, "message", None)
        if message is not None and not getattr(item, "sent", False):
            names.setdefault(message.name)
    return list(names)
