"""What the demo's phones and clients saw on their own sockets: the one source of all it shows (ours)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import msgspec

from refserver.event_json import object_of
from sip_proto import ParseError, Request, Response, parse, parse_sdp
from tlib_proto.constants import Attribute, MessageType
from tlib_proto.records import Message

Address = tuple[str, int]

_SECRET = re.compile(rb"(?im)^((?:proxy-)?authorization:)[^\r\n]*")
HIDDEN = frozenset((MessageType.Ping, MessageType.Pong))


class SipSighting(msgspec.Struct, frozen=True):
    """One datagram at a phone's socket; `sender` and `receiver` name the phone and the node."""

    at_s: float
    who: str
    sender: str
    receiver: str
    label: str
    detail: str
    status: int


class TlibSighting(msgspec.Struct, frozen=True):
    """One message at a client's socket."""

    at_s: float
    who: str
    sent: bool
    message: Message


Sighting = SipSighting | TlibSighting


class Record:
    """Collects sightings in the order of arrival, writes each as a JSON line, hands each to the listener."""

    def __init__(self, file: TextIO, listener: Callable[[Sighting], None]) -> None:
        self._file = file
        self._listener = listener
        self._start = time.monotonic()
        self._nodes: dict[Address, str] = {}
        self.all: list[Sighting] = []
        self.lines = 0

    def name_node(self, address: Address, node: str) -> None:
        """Datagrams to and from this address are the node's."""
        self._nodes[address] = node

    def elapsed_s(self) -> float:
        """Seconds since the record began."""
        return time.monotonic() - self._start

    def sip(self, who: str) -> Callable[[str, bytes, Address], None]:
        """What a phone calls for each datagram."""

        def seen(way: str, data: bytes, peer: Address) -> None:
            node = self._nodes.get(peer, f"{peer[0]}:{peer[1]}")
            sender, receiver = (who, node) if way == "sent" else (node, who)
            at_s = self.elapsed_s()
            line = {
                "at_s": round(at_s, 6),
                "layer": "sip",
                "who": who,
                "way": way,
                "peer": node,
                "text": _SECRET.sub(rb"\1 ***", data).decode("utf-8", "backslashreplace"),
            }
            self._write(line)
            try:
                message = parse(data)
                self._tell(_sip_sighting(at_s, who, sender, receiver, message))
            except ParseError:
                return

        return seen

    def tlib(self, who: str) -> Callable[[str, Message], None]:
        """What a client calls for each message."""

        def seen(way: str, message: Message) -> None:
            if message.id in HIDDEN:
                return
            at_s = self.elapsed_s()
            line = {"at_s": round(at_s, 6), "layer": "tlib", "who": who, "way": way, **object_of(message)}
            self._write(line)
            self._tell(TlibSighting(at_s, who, way == "sent", message))

        return seen

    def _write(self, line: dict[str, object]) -> None:
        self._file.write(msgspec.json.encode(line).decode() + "\n")
        self._file.flush()
        self.lines += 1

    def _tell(self, sighting: Sighting) -> None:
        self.all.append(sighting)
        self._listener(sighting)

    def received(self, who: str, dn: str | None = None) -> list[Message]:
        """What a client received, in order; of one DN when named."""
        return [
            item.message
            for item in self.all
            if isinstance(item, TlibSighting)
            and not item.sent
            and item.who == who
            and (dn is None or item.message.get(Attribute.ThisDN) == dn)
        ]


def open_record(path: Path) -> TextIO:
    """The file for the JSON lines, emptied; raises OSError."""
    return path.open("w", encoding="utf-8")


def _sip_sighting(at_s: float, who: str, sender: str, receiver: str, message: Request | Response) -> SipSighting:
    method = message.cseq[1]
    direction = _direction(message.body)
    if isinstance(message, Response):
        label = f"{message.status} {message.reason}"
        detail = f"to {method}"
        status = message.status
    else:
        again = method == "INVITE" and bool(message.to.tag)
        label = "re-INVITE" if again else message.method
        event = message.get("Event")
        detail = f"Event: {event}" if event else message.uri if method != "ACK" else ""
        status = 0
    if direction:
        detail += f"  a={direction}"
    return SipSighting(at_s, who, sender, receiver, label, detail, status)


def _direction(body: bytes) -> str:
    if not body:
        return ""
    try:
        return parse_sdp(body).direction()
    except ParseError:
        return ""
