"""One node on its own, its coordinator beside it, with whoever talks to it by datagrams and streams; no delays."""

from __future__ import annotations

from typing import Any

import msgspec

from cluster_core.coordinator import MemoryCoordinator
from cluster_core.dns_records import Lookup
from cluster_core.inputs import AnyInput, Closed, Datagram, Listener, Opened, Received, Role, Timeout, WallClock
from cluster_core.node import ClusterNode
from cluster_core.outputs import Ask, Close, Dial, Fault, Replicate, Send, SendDatagram
from cluster_core.settings import (
    ClientRole,
    ClientSettings,
    ClusterSettings,
    DnSettings,
    DnType,
    MemberSettings,
    NodeSettings,
)
from cluster_core.store import Store
from tlib_proto import Attribute, ClientSession, Hello, Incoming, Linked, Message, MessageType, Value, Write

SIP = ("192.0.2.1", 5060)
TRUNK = ("192.0.2.200", 5060)
CLIENTS = (
    ClientSettings(name="URS", role=ClientRole.ROUTER),
    ClientSettings(name="Desk", role=ClientRole.DESKTOP),
    ClientSettings(name="SFS", role=ClientRole.SMART),
    ClientSettings(name="Stat", role=ClientRole.MONITOR),
    ClientSettings(name="ICON", role=ClientRole.REPORTING),
)
DNS = (
    DnSettings(dn="8000", type=DnType.ROUTING_POINT),
    DnSettings(dn="1001", type=DnType.EXTENSION),
    DnSettings(dn="1002", type=DnType.EXTENSION),
    DnSettings(dn="1003", type=DnType.EXTENSION, password="secret"),
    DnSettings(dn="pstn", type=DnType.TRUNK, prefix="9", contact=f"sip:{TRUNK[0]}:{TRUNK[1]}"),
)
SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


def settings(**changes: Any) -> ClusterSettings:
    """A cluster of one node, two phones without and one with a password, a Routing Point, a trunk."""
    host = SIP[0]
    ports = ("sip", "tlib", "iproxy", "tcontroller", "smartproxy")
    member = MemberSettings(name="a", **{port: f"{host}:{5060 + n}" for n, port in enumerate(ports)})
    made = ClusterSettings(
        name="alone",
        realm="alone.example",
        nodes=(NodeSettings(name="n1", number=1, members=(member,)),),
        dns={dn.dn: dn for dn in DNS},
        clients=CLIENTS,
        link_secret="one cluster",
    )
    return msgspec.structs.replace(made, **changes)


class Alone:
    """The node and what it said; the second store is held equal after every input."""

    def __init__(self, **changes: Any) -> None:
        self.now = 1_000_000
        self.node = ClusterNode(settings(**changes), "n1", "a", b"seed of a test")
        self.coordinator = MemoryCoordinator(b"seed")
        self.answering = True
        self.mirror = Store()
        self.datagrams: list[tuple[tuple[str, int], bytes]] = []
        self.faults: list[Fault] = []
        self.dialled: list[Dial] = []
        self.lookups: list[Ask] = []
        self.closed: list[int] = []
        self.programs: dict[int, Program] = {}
        self.calls = 0
        self.give(WallClock(1_700_000_000_000_000))
        self.give(Role(1, True))

    def give(self, given: AnyInput) -> None:
        """One input, and all that follows from it at once."""
        out: list[Any] = []
        self.node.handle(self.now, given, out)
        said: list[tuple[str, Any]] = []
        for output in out:
            if isinstance(output, SendDatagram):
                self.datagrams.append((output.destination, output.data))
            elif isinstance(output, Send):
                for conn in output.conns:
                    self.programs[conn].heard(b"".join(output.chunks))
            elif isinstance(output, Close):
                self.closed.append(output.conn)
                if output.conn in self.programs:
                    self.programs[output.conn].closed = output.why
            elif isinstance(output, Dial):
                self.dialled.append(output)
            elif isinstance(output, Replicate):
                self.mirror.apply(output.changes)
            elif isinstance(output, Fault):
                self.faults.append(output)
            elif isinstance(output, Ask) and isinstance(output.what, Lookup):
                self.lookups.append(output)
            elif isinstance(output, Ask) and self.answering:
                self.coordinator.ask(self.now, "n1", output.request, output.what, said)
        self.node.check()
        assert not self.node.store.same_as(self.mirror)
        for _, answer in said:
            self.give(answer)

    def run(self, us: int) -> None:
        """Let time pass."""
        end = self.now + us
        while (at := self.node.next_deadline()) is not None and at <= end:
            self.now = max(self.now, at)
            self.give(Timeout())
        self.now = end

    def say(
        self, text: str, source: tuple[str, int], body: bytes = b"", kind: str = "application/sdp"
    ) -> list[str]:
        """A datagram by its lines; returns what the source is answered at once, by first lines."""
        before = len(self.datagrams)
        if body:
            text += f"\nContent-Type: {kind}"
        head = text.strip("\n").replace("\n", "\r\n")
        data = f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode("utf-8", "surrogateescape") + body
        self.give(Datagram("sip", source, data))
        return [data.split(b"\r\n")[0].decode() for to, data in self.datagrams[before:] if to == source]

    def request(
        self,
        method: str,
        uri: str,
        source: tuple[str, int],
        *more: str,
        from_: str = "<sip:5551@x>",
        to: str = "<sip:8000@n1>",
        body: bytes = b"",
        kind: str = "application/sdp",
        call: int = 0,
        cseq: int = 1,
    ) -> list[str]:
        """A request out of the blue, or with `call` as a part of that one."""
        if not call:
            self.calls += 1
        self.branch = f"z9hG4bK{method}{call or self.calls}.{cseq}"
        lines = (
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {source[0]}:{source[1]};branch={self.branch}",
            f"From: {from_};tag=from",
            f"To: {to}",
            f"Call-ID: call-{call or self.calls}",
            f"CSeq: {cseq} {method}",
            "Max-Forwards: 70",
            f"Contact: <sip:me@{source[0]}:{source[1]}>",
            *more,
        )
        return self.say("\n".join(lines), source, body, kind)

    def last(self, to: tuple[str, int], start: bytes) -> bytes:
        """The last datagram to somebody that starts so."""
        return next(data for at, data in reversed(self.datagrams) if at == to and data.startswith(start))

    def answer(
        self,
        to: tuple[str, int],
        start: bytes,
        status: str,
        *more: str,
        tag: str = "to",
        body: bytes = b"",
        kind: str = "application/sdp",
    ) -> list[str]:
        """Answer the last request of that method, in the name of the phone that it went to."""
        asked = self.last(to, start).decode().split("\r\n\r\n")[0].split("\r\n")
        kept = [line for line in asked if line.split(":")[0] in ("Via", "From", "To", "Call-ID", "CSeq")]
        if tag:
            kept = [f"{line};tag={tag}" if line.startswith("To:") and "tag=" not in line else line for line in kept]
        return self.say("\n".join([f"SIP/2.0 {status}", *kept, *more]), to, body, kind)

    def phone(self, dn: str, at: tuple[str, int]) -> None:
        """A phone registers."""
        me = f"<sip:{dn}@n1>"
        said = self.request("REGISTER", "sip:n1", at, from_=me, to=me)
        assert said == ["SIP/2.0 200 OK"], said

    def program(
        self, name: str, role: ClientRole, listener: Listener, *dns: str, hello: Hello | None = None
    ) -> Program:
        """A client of a port that registered these DNs."""
        program = Program(
            self, 2 + 2 * len(self.programs), hello or Hello(application=name, role=role.value)
        )
        self.programs[program.conn] = program
        self.give(Opened(program.conn, listener, "127.0.0.1:40000"))
        out: list[Any] = []
        program.session.start(self.now, out)
        program.perform(out)
        for dn in dns:
            assert program.ask(MessageType.RequestRegisterAddress, ThisDN=dn).id == MessageType.EventRegistered
        return program


class Program:
    """A T-Library client."""

    def __init__(self, alone: Alone, conn: int, hello: Hello) -> None:
        self.alone = alone
        self.conn = conn
        self.session = ClientSession(alone.now, hello)
        self.events: list[Message] = []
        self.number = 0
        self.linked: Linked | None = None
        self.deaf = False  # what comes is lost on its way
        self.closed = ""

    def ask(self, kind: MessageType, **attributes: Value) -> Message:
        """Send a request; returns its answer, which must have come at once."""
        ref = self.send(kind, **attributes)
        found = [event for event in self.events if event.ref == ref]
        assert len(found) == 1, found
        return found[0]

    def send(self, kind: MessageType, **attributes: Value) -> int:
        """Send a request; returns its ReferenceID."""
        out: list[Any] = []
        values = {int(Attribute[name]): value for name, value in attributes.items()}
        ref = self.session.request(self.alone.now, Message(kind, 0, values), out)
        self.perform(out)
        return ref

    def answers(self, ref: int) -> list[Message]:
        """What came under a ReferenceID."""
        return [event for event in self.events if event.ref == ref]

    def names(self, dn: str = "") -> list[str]:
        """What came, by name without "Event"."""
        return [e.name.removeprefix("Event") for e in self.events if not dn or e.text(Attribute.ThisDN) == dn]

    def hang_up(self) -> None:
        """The stream is gone."""
        self.alone.give(Closed(self.conn, "gone"))

    def heard(self, data: bytes) -> None:
        """Bytes from the node."""
        if self.deaf:
            return
        out: list[Any] = []
        self.session.receive_data(self.alone.now, data, out)
        self.perform(out)

    def perform(self, out: list[Any]) -> None:
        """What the session says."""
        for record in out:
            if isinstance(record, Write):
                self.alone.give(Received(self.conn, record.data))
            elif isinstance(record, Incoming | Linked):
                self.follow(record.message)
                if isinstance(record, Incoming):
                    self.events.append(record.message)
                else:
                    self.linked = record

    def follow(self, event: Message) -> None:
        """Every event says when it is, which number it has, and which run of the server it is of."""
        if event.id == MessageType.PeerMessage:
            return
        assert event.number(Attribute.TimeinSecs) >= 1_700_000_000, event
        assert Attribute.TimeinuSecs in event.attributes, event
        assert event.number(Attribute.ServerStartTime) == 1_700_000_001, event
        assert event.number(Attribute.EventSequenceNumber) > self.number, event
        self.number = event.number(Attribute.EventSequenceNumber)
