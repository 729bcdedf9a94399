"""What T-Controllers say to each other over their links (design 7); each travels as one PeerMessage of T-Library.

A T-Controller is the client on the link that it dials: there it sends Interest, Forward and Request, and hears
Snapshot, Event, ForwardAck and Reply. Hello and Ping are those of the T-Library session.
"""

from __future__ import annotations

import msgspec

from cluster_core.core import Cause
from cluster_core.picture import Picture
from cluster_core.records import Binding, CallView


class LinkMessage(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Base of everything that travels on a link."""


class Interest(LinkMessage, frozen=True):
    """The client wants, or no longer wants, the streams of these DNs, or of everything."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    everything: bool = False


class Snapshot(LinkMessage, frozen=True):
    """The whole picture of a DN in one stream, and those of `more`; `last` ends the answer to an Interest."""

    picture: Picture | None
    last: bool = False
    more: tuple[Picture, ...] = ()


class Event(LinkMessage, frozen=True):
    """One event of a stream: its position, the T-Event as a frame, and who asked for it."""

    dn: str
    source: str
    epoch: int
    role_epoch: int
    seq: int
    node: str
    frame: bytes
    cause: Cause | None = None


class Forward(LinkMessage, frozen=True):
    """An event of a call on its way to the DN's owner, numbered on this link.

    Without a frame it carries the parties afresh: all that the sender's calls have on the DN. Without a DN it ends
    those of a link that came up.
    """

    seq: int
    dn: str
    frame: bytes = b""
    cause: Cause | None = None
    calls: tuple[CallView, ...] = ()


class ForwardAck(LinkMessage, frozen=True):
    """Every Forward up to this number has come; `refused` says that the last one found no owner here."""

    seq: int
    refused: bool = False


class Locate(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Where does this DN ring?"""

    dn: str


class Located(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Where a DN rings: its binding, None when it is not in service here; `node` is where it talks, "" for nowhere."""

    binding: Binding | None
    agent_id: str = ""
    node: str = ""
    dnd: bool = False
    forward_to: str = ""
    forward_mode: int = 0


class Bind(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A registration that reached a node which does not own the DN; an expiry of 0 takes the binding away."""

    dn: str
    binding: Binding
    expires_us: int


class Bound(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The owner has taken the binding, or is not the owner any more."""

    taken: bool


class Parties(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Which parties of your calls are on this DN, and on the `also` ones?"""

    dn: str
    also: tuple[str, ...] = ()


class PartiesAre(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The parties of the answering node's calls on a DN, and those on the `also` ones that have any."""

    calls: tuple[CallView, ...]
    also: tuple[tuple[str, tuple[CallView, ...]], ...] = ()


class Serve(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A client's request on its way to the DN's owner or the call's node, as its frame."""

    frame: bytes


class Outcome(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """How a served request ended: an error's code and text, or 0 and the event that answers it."""

    code: int
    text: str = ""
    frame: bytes = b""


class Request(LinkMessage, frozen=True):
    """Something asked of the server of the link."""

    id: int
    body: Locate | Bind | Parties | Serve


class Reply(LinkMessage, frozen=True):
    """The answer to a Request of that id."""

    id: int
    body: Located | Bound | PartiesAre | Outcome


AnyLinkMessage = Interest | Snapshot | Event | Forward | ForwardAck | Request | Reply
