"""What the supervised client puts into its stream beside messages: the link was lost, DNs were taken anew (ours).

A lost link is `client_errors.ConnectionLost`, given as an event and not raised.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from cluster_core.picture import Picture
from refserver.client_errors import ConnectionLost, TLibError
from tlib_proto.records import Message

__all__ = ["Change", "ConnectionLost", "Event", "Picture", "Resynchronised"]


class Change(msgspec.Struct, frozen=True):
    """A DN whose picture is another than before; None: it was not there before, or is not there now.

    `events` are service and agent events that lead from one to the other; they hold no time and no place, and say
    nothing of calls: those are in the pictures.
    """

    dn: str
    before: Picture | None
    after: Picture | None
    events: tuple[Message, ...] = ()


class Resynchronised(msgspec.Struct, frozen=True):
    """These DNs were taken anew: what is known of them starts again with `pictures`.

    `gap`: events may have been missed. `lost` says of which DNs, and how many at most, None where nobody can tell;
    messages that name no DN count under "". `changes` are the DNs whose picture differs from the one before,
    `refused` those that the server would not register again. `why` is for people.
    """

    dns: tuple[str, ...]
    gap: bool
    lost: dict[str, int | None] = {}
    pictures: dict[str, Picture] = {}
    changes: tuple[Change, ...] = ()
    refused: dict[str, TLibError] = {}
    why: str = ""


Event: TypeAlias = Message | ConnectionLost | Resynchronised
"""What a subscription gives."""
