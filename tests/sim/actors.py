"""Who uses a cluster: T-Library clients of the four ports, and phones; each on its own protocol package."""

from __future__ import annotations

import hashlib

from cluster_core.ids import node_of
from cluster_core.picture import Picture, apply, from_extensions
from sip_proto import (
    Acked,
    Answered,
    Cancelled,
    Ended,
    Endpoint,
    EndpointSettings,
    Failed,
    Invited,
    Notified,
    OfferAnswered,
    Offered,
    OfferRefused,
    ReferAnswered,
    ReferEnded,
    ReferProgress,
    Request,
    Requested,
    Responded,
    Response,
    Ringing,
    SubscriptionEnded,
    Transmit,
    digest_answer,
)
from sip_proto import Output as SipRecord
from sip_proto.dialog_info import DialogPicture, Taken, parse_dialog_info
from sip_proto.sdp import audio, audio_answer, parse_sdp
from tests.sim.world import Address, Stream, World, address
from tlib_proto import (
    Attribute,
    ClientSession,
    Hello,
    Incoming,
    KVList,
    Linked,
    Message,
    MessageType,
    TlibRecord,
    Value,
    Write,
)
from tlib_proto import Ended as TlibEnded


class Client:
    """A T-Library client: what it was sent, and the picture of each DN that this makes.

    Within each (DN, source) the places of events must grow without a hole, unless EventRegistered bridges it.
    """

    def __init__(
        self, world: World, name: str, role: str, node: str, port: str, secret: str = "", place: str = ""
    ) -> None:
        self.world = world
        self.name = name
        self.role = role
        self.node = node
        self.port = port
        self.place = place or name
        self.wake: int | None = None
        self.events: list[Message] = []
        self.answers: dict[int, Message] = {}
        self.pictures: dict[str, Picture] = {}
        self.linked: Message | None = None
        self.ended = ""
        self.asked: dict[int, MessageType] = {}
        self._places: dict[tuple[str, str], tuple[int, int]] = {}
        self._unbridged: dict[str, Message] = {}
        self.raw = False
        self._hello = Hello(application=name.partition("@")[0], role=role, secret=secret)
        self.is_open = False
        self.connect()

    # What a test says.

    def connect(self) -> None:
        """Dial the port; `linked` is set when the node has accepted."""
        self.session = ClientSession(self.world.now, self._hello)
        self.linked, self.ended, self.is_open = None, "", False
        self.answers.clear()
        self.pictures.clear()
        self._places.clear()
        self._unbridged.clear()
        self.asked = {1: MessageType.RequestRegisterClient}
        member = self.world.settings.node(self.node).members[0]
        self.stream = self.world.dial(self, self.place, getattr(member, self.port))

    def disconnect(self) -> None:
        """Hang up."""
        self.is_open = False
        self.ended = "the client is gone"
        self.world.close(self.stream, 0, self.ended)

    def send_bytes(self, data: bytes) -> None:
        """Whatever bytes."""
        self.world.send(self.stream, 0, data)

    def request(self, kind: MessageType, **attributes: Value) -> int:
        """Send a request; returns its ReferenceID, under which `answers` will have the answer."""
        values = {int(Attribute[name]): value for name, value in attributes.items()}
        out: list[TlibRecord] = []
        ref = self.session.request(self.world.now, Message(kind, 0, values), out)
        self.asked[ref] = kind
        self._perform(out)
        return ref

    def ask(self, kind: MessageType, **attributes: Value) -> Message:
        """Send a request and wait for its answer."""
        ref = self.request(kind, **attributes)
        self.world.until(lambda: ref in self.answers, 20_000_000)
        return self.answers[ref]

    def register(self, *dns: str) -> None:
        """Register DNs, each must be answered by EventRegistered."""
        for dn in dns:
            answer = self.ask(MessageType.RequestRegisterAddress, ThisDN=dn)
            assert answer.id == MessageType.EventRegistered, answer

    def attach(self, dn: str, conn_id: int, *pairs: tuple[str, str]) -> Message:
        """Attach data to a call."""
        data: KVList = tuple(pairs)
        return self.ask(MessageType.RequestAttachUserData, ThisDN=dn, ConnID=conn_id, UserData=data)

    def names(self, dn: str | None = None) -> list[str]:
        """The events received so far, of one DN or of all, by name without "Event"."""
        return [
            message.name.removeprefix("Event")
            for message in self.events
            if dn is None or message.text(Attribute.ThisDN) == dn
        ]

    def of(self, kind: MessageType, dn: str | None = None) -> list[Message]:
        """The events of a kind."""
        return [m for m in self.events if m.id == kind and (dn is None or m.text(Attribute.ThisDN) == dn)]

    def forget(self) -> None:
        """Begin to count afresh."""
        self.events.clear()

    def check(self) -> None:
        """Every hole was bridged, every request answered once."""
        assert not self._unbridged, f"{self.name}: never bridged: {self._unbridged}"

    # What the world says.

    def opened(self, stream: Stream, side: int) -> None:
        if stream is self.stream:
            self.is_open = True
            if self.raw:
                return
            out: list[TlibRecord] = []
            self.session.start(self.world.now, out)
            self._perform(out)

    def received(self, stream: Stream, side: int, data: bytes) -> None:
        if stream is self.stream and not self.raw:
            out: list[TlibRecord] = []
            self.session.receive_data(self.world.now, data, out)
            self._perform(out)

    def closed(self, stream: Stream, side: int, why: str) -> None:
        if stream is self.stream:
            self.is_open = False
            self.ended = self.ended or why

    def next_deadline(self) -> int | None:
        return self.session.next_deadline() if self.is_open and not self.raw else None

    def handle_timeout(self) -> None:
        out: list[TlibRecord] = []
        self.session.handle_timeout(self.world.now, out)
        self._perform(out)

    def _perform(self, out: list[TlibRecord]) -> None:
        for record in out:
            if isinstance(record, Write):
                self.world.send(self.stream, 0, record.data)
            elif isinstance(record, Linked):
                self.linked = record.message
            elif isinstance(record, Incoming):
                self._heard(record.message)
            elif isinstance(record, TlibEnded):
                self.ended = record.text
                self.is_open = False
                self.world.close(self.stream, 0, record.text)
        self.world.rearm(self)

    def _heard(self, message: Message) -> None:
        if message.ref:
            assert message.ref in self.asked, f"{self.name}: an answer to nothing: {message}"
            assert message.ref not in self.answers, f"{self.name}: answered twice: {message}"
            self.answers[message.ref] = message
        self.events.append(message)
        dn = message.text(Attribute.ThisDN)
        if dn and message.id != MessageType.EventError and self.port in ("tcontroller", "smartproxy"):
            self._follow(dn, message)

    def _follow(self, dn: str, message: Message) -> None:
        if message.id == MessageType.EventUnregistered:
            self.pictures.pop(dn, None)
            self._unbridged.pop(dn, None)
            return
        source = message.text(Attribute.Source)
        place = (message.number(Attribute.DNEpoch), message.number(Attribute.DNSequence))
        if source and "/" not in source and place[0]:
            first = self.world.emitters.setdefault((dn, place[0]), source)
            assert first == source, f"{self.name}: {dn} in epoch {place[0]} has two owners, {first} and {source}"
        known = self._places.get((dn, source))
        if message.id == MessageType.EventRegistered:
            self._unbridged.pop(dn, None)
            for key in [key for key in self._places if key[0] == dn]:
                del self._places[key]
            self._places[dn, source] = place
            self.pictures[dn] = from_extensions(
                dn, source, "/" not in source, place[0], 0, place[1], message.pairs(Attribute.Extensions)
            )
            return
        if Attribute.Source not in message.attributes:
            # an answer that came from the call's node, because the DN's owner did not tell the event in time
            assert message.ref, f"{self.name}: no place in {message}"
            return
        if place[1] != 1 and known is not None and known != (place[0], place[1] - 1):
            self._unbridged[dn] = message
        assert known is None or place >= known or dn in self._unbridged, f"{self.name}: gone back: {message}"
        if known is None or place > known:
            self._places[dn, source] = place
        picture = self.pictures.setdefault(dn, Picture(dn, source, "/" not in source))
        conn_id = message.number(Attribute.ConnID)
        nodes = {node.number: node.name for node in self.world.settings.nodes}
        apply(picture, message, nodes.get(node_of(conn_id), ""))


class Phone:
    """A SIP phone: registers with digest, rings, answers by hand or when it is told to (Event: talk), holds."""

    def __init__(self, world: World, number: str, node: str, at: Address, password: str = "") -> None:
        self.world = world
        self.number = number
        self.at = at
        self.server = address(world.settings.node(node).members[0].sip)
        self.password = password
        self.wake: int | None = None
        self.sip = Endpoint(
            EndpointSettings(listeners={"udp": at}), hashlib.sha256(f"{world.seed} {number} {at}".encode()).digest()
        )
        self.out: list[SipRecord] = []
        self.registered: int | None = None
        self.calls: dict[int, str] = {}
        self.said: list[str] = []
        self.talk = True
        self.on_invite = "ring"
        self.offers: dict[int, bytes] = {}
        self.version = 1
        self._register: tuple[int, str, int, int] | None = None
        self._invite: dict[int, tuple[str, str, int]] = {}
        self._replacing: dict[int, str] = {}
        self._again: dict[int, int] = {}
        self.watches: dict[int, tuple[str, str]] = {}
        self.lamps: dict[str, DialogPicture] = {}
        self.lit: list[tuple[str, tuple[str, ...]]] = []
        self.mailbox: list[str] = []
        self._watch_headers: tuple[tuple[str, str], ...] = ()
        self.away = False
        self.refuses: list[int] = []
        self._asked = 0
        self.last: Request | None = None
        self.heard: dict[str, str] = {}
        self._nc = 0
        self._challenged = False
        world.bind(at, self)

    # What a test says.

    def register(self, node: str | None = None, expires_s: int = 600) -> None:
        """Send REGISTER; `registered` becomes the final status."""
        if node is not None:
            self.server = address(self.world.settings.node(node).members[0].sip)
        self.registered, self._challenged = None, False
        call_id, cseq = f"reg-{self.number}-{self.at[1]}", 1
        if self._register is not None:
            cseq = self._register[2] + 1
        self._send_register(call_id, cseq, expires_s, ())

    def call(self, number: str) -> int:
        """Send INVITE; returns the leg."""
        leg = self._send_invite(number, None, 1, ())
        self._done()
        return leg

    def answer(self, leg: int | None = None) -> None:
        """Accept a ringing call."""
        leg = self.leg("ringing") if leg is None else leg
        body = self._answer_to(self.offers.get(leg, b""))
        self.calls[leg] = "talking"
        self.sip.accept(self.world.now, leg, self.out, body=body)
        self._done()

    def reject(self, status: int, leg: int | None = None) -> None:
        """Refuse a ringing call."""
        leg = self.leg("ringing") if leg is None else leg
        del self.calls[leg]
        self.sip.reject(self.world.now, leg, status, self.out)
        self._done()

    def hang_up(self, leg: int | None = None) -> None:
        """BYE, or CANCEL of a call that was not answered."""
        leg = next(iter(self.calls)) if leg is None else leg
        state = self.calls.pop(leg)
        if state == "calling":
            self.sip.cancel(self.world.now, leg, self.out)
        elif state == "ringing":
            self.sip.reject(self.world.now, leg, 603, self.out)
        else:
            self.sip.bye(self.world.now, leg, self.out)
        self._done()

    def hold(self, direction: str = "sendonly", leg: int | None = None) -> None:
        """re-INVITE with that direction."""
        leg = self.leg("talking") if leg is None else leg
        self.version += 1
        body = audio(self.at[0], 20_000, version=self.version, direction=direction)
        self.sip.offer(self.world.now, leg, self.out, body=body)
        self._done()

    def transfer(
        self, number: str, leg: int | None = None, *, to_leg: int | None = None, silent: bool = False, by: str = ""
    ) -> None:
        """REFER in a call: to a number, or to whom the phone talks to in its call `to_leg`."""
        leg = self.leg("talking") if leg is None else leg
        place = f"{number}@{self.server[0]}"
        if to_leg is not None:
            place += f"?Replaces={self.sip.replaces_of(to_leg, escaped=True)}"
        self.refer(f"<sip:{place}>", leg, silent=silent, by=by)

    def refer(self, refer_to: str, leg: int | None = None, *, silent: bool = False, by: str = "") -> None:
        """REFER to whatever."""
        leg = self.leg("talking") if leg is None else leg
        self.sip.refer(self.world.now, leg, self.out, refer_to=refer_to, referred_by=by, silent=silent)
        self._done()

    def watch(self, number: str, event: str = "dialog", *headers: tuple[str, str], expires_s: int = 600) -> int:
        """SUBSCRIBE to a DN's dialogs, or to a mailbox; the subscription."""
        realm = self.world.settings.realm
        watch = self.sip.subscribe(
            self.world.now,
            self.out,
            event=event,
            listener="udp",
            destination=self.server,
            uri=f"sip:{number}@{self.server[0]}",
            from_=f"<sip:{self.number}@{realm}>",
            to=f"<sip:{number}@{realm}>",
            contact=f"<sip:{self.number}@{self.at[0]}:{self.at[1]}>",
            expires_s=expires_s,
            headers=headers,
        )
        if not any(name == "Authorization" for name, _ in headers):
            self._challenged = False
        self.watches[watch] = (number, event)
        self._watch_headers = tuple(pair for pair in headers if pair[0] == "Accept")
        self.lamps[number] = DialogPicture()
        self._done()
        return watch

    def unwatch(self, number: str) -> None:
        """Give a watch back."""
        for watch, (there, _) in list(self.watches.items()):
            if there == number:
                self.sip.unsubscribe(self.world.now, watch, self.out)
        self._done()

    def ask(self, method: str, number: str, *headers: tuple[str, str]) -> None:
        """Some request outside of any call."""
        realm = self.world.settings.realm
        self._asked = self.sip.request(
            self.world.now,
            self.out,
            method=method,
            listener="udp",
            destination=self.server,
            uri=f"sip:{number}@{self.server[0]}",
            from_=f"<sip:{self.number}@{realm}>",
            to=f"<sip:{number}@{realm}>",
            contact=f"<sip:{self.number}@{self.at[0]}:{self.at[1]}>",
            headers=headers,
        )
        self._done()

    def take_over(self, number: str, replaces: str) -> int:
        """INVITE with Replaces; returns the leg."""
        leg = self._send_invite(number, None, 1, (("Replaces", replaces), ("Require", "replaces")))
        self._replacing[leg] = replaces
        self._done()
        return leg

    def forget(self) -> None:
        """Begin to count afresh."""
        self.said.clear()
        self.offers.clear()
        self._invite.clear()

    def leg(self, state: str) -> int:
        """The only call in that state."""
        found = [leg for leg, at in self.calls.items() if at == state]
        assert len(found) == 1, f"{self.number} has {self.calls}"
        return found[0]

    def leg_after(self, leg: int) -> int:
        """The leg that a call has now: it got another one if it was challenged."""
        return self._again.get(leg, leg)

    def has(self, state: str) -> bool:
        """Whether some call is in that state."""
        return state in self.calls.values()

    # What the world says.

    def datagram(self, source: Address, data: bytes) -> None:
        if not self.away:
            self.sip.receive_datagram(self.world.now, "udp", source, data, self.out)
        self._done()

    def next_deadline(self) -> int | None:
        return self.sip.next_deadline()

    def handle_timeout(self) -> None:
        self.sip.handle_timeout(self.world.now, self.out)
        self._done()

    def _done(self) -> None:
        while self.out:
            said, self.out = self.out, []
            for record in said:
                if isinstance(record, Transmit):
                    if not self.away:
                        self.world.send_datagram(self.at, record.destination, record.data)
                else:
                    self._heard(record)
        self.world.rearm(self)

    def _heard(self, record: SipRecord) -> None:
        now = self.world.now
        if isinstance(record, Invited):
            self._invited(record)
        elif isinstance(record, Ringing):
            self.said.append(f"{record.response.status}")
        elif isinstance(record, Answered):
            self.said.append("answered")
            self.calls[record.leg] = "talking"
            self.sip.ack(now, record.leg, self.out)
        elif isinstance(record, Failed):
            self._failed(record)
        elif isinstance(record, Offered):
            self.said.append(f"reinvited {direction_of(record.request.body)}")
            self.heard["P-Asserted-Identity"] = record.request.get("P-Asserted-Identity") or ""
            if self.refuses:
                self.sip.refuse_offer(now, record.leg, self.refuses.pop(0), self.out)
                return
            body = self._answer_to(record.request.body)
            self.sip.answer_offer(now, record.leg, self.out, body=body)
        elif isinstance(record, OfferAnswered):
            self.said.append(f"reanswered {direction_of(record.response.body)}")
        elif isinstance(record, OfferRefused):
            self.said.append(f"rerefused {record.status}")
        elif isinstance(record, Notified):
            self._notified(record)
        elif isinstance(record, SubscriptionEnded):
            self._watch_ended(record)
        elif isinstance(record, ReferAnswered):
            self.said.append(f"refer {record.status}")
        elif isinstance(record, ReferProgress):
            self.said.append(f"report {record.status}")
        elif isinstance(record, ReferEnded):
            self.said.append(f"refer over {record.why}")
        elif isinstance(record, Acked):
            if record.request.body:
                self.said.append(f"acked {direction_of(record.request.body)}")
        elif isinstance(record, Requested):
            self._requested(record)
        elif isinstance(record, Responded):
            self._responded(record)
        elif isinstance(record, Cancelled | Ended):
            self.said.append("cancelled" if isinstance(record, Cancelled) else "ended")
            self.calls.pop(record.leg, None)

    def _invited(self, record: Invited) -> None:
        now = self.world.now
        self.offers[record.leg] = record.request.body
        self.last = record.request
        self.said.append("invited")
        self.calls[record.leg] = "ringing"
        if self.on_invite.isdigit():
            self.reject(int(self.on_invite), record.leg)
        elif "answer-after" in (record.request.get("Call-Info") or "") or self.on_invite == "answer":
            self.answer(record.leg)
        elif self.on_invite == "ring":
            self.sip.provisional(now, record.leg, 180, self.out)

    def _notified(self, record: Notified) -> None:
        number, event = self.watches[record.subscription]
        body = record.request.body
        if event != "dialog":
            self.mailbox.append(body.decode())
        elif body:
            lamp = self.lamps[number]
            assert lamp.take(parse_dialog_info(body)) is Taken.NEWS, "documents come in order"
            self.lit.append((number, tuple(entry.state for entry in lamp.dialogs.values())))

    def _watch_ended(self, record: SubscriptionEnded) -> None:
        number, event = self.watches.pop(record.subscription)
        response = record.response
        if record.why == "refused" and response is not None and response.status == 401 and not self._challenged:
            self._challenged = True
            header = self._credentials(response, "SUBSCRIBE", f"sip:{number}@{self.server[0]}")
            self.watch(number, event, header, *self._watch_headers)
            return
        self.said.append(f"watch {record.why if response is None else response.status}")

    def _requested(self, record: Requested) -> None:
        status = 200
        if record.request.method == "NOTIFY":
            status = 200 if self.talk and record.leg in self.calls else 489
        self.sip.respond(self.world.now, record.handle, status, self.out)
        if record.request.method == "NOTIFY" and status == 200 and self.calls.get(record.leg) == "ringing":
            self.answer(record.leg)

    def _failed(self, record: Failed) -> None:
        self.calls.pop(record.leg, None)
        asked = self._invite.pop(record.leg, None)
        if asked is not None and record.status in (401, 407) and record.response is not None and asked[2] == 1:
            header = self._credentials(record.response, "INVITE", f"sip:{asked[0]}@{self.server[0]}")
            replaces = self._replacing.pop(record.leg, "")
            more = (("Replaces", replaces), ("Require", "replaces")) if replaces else ()
            self._again[record.leg] = self._send_invite(asked[0], asked[1], 2, (header, *more))
            self._replacing[self._again[record.leg]] = replaces
        elif asked is not None and record.status == 302 and record.response is not None:
            contact = record.response.contact
            assert contact is not None
            replaces = self._replacing.pop(record.leg, "")
            self.said.append("redirected")
            self.server = address(contact.uri.rpartition("@")[2])
            self._again[record.leg] = self._send_invite(asked[0], None, 1, (("Replaces", replaces),))
            self._replacing[self._again[record.leg]] = replaces
            self._done()
        else:
            self.said.append(f"failed {record.status}")

    def _responded(self, record: Responded) -> None:
        if record.handle == self._asked:
            self.said.append(f"answered {408 if record.response is None else record.response.status}")
        if self._register is None or record.handle != self._register[0]:
            return
        _, call_id, cseq, expires_s = self._register
        status = 408 if record.response is None else record.response.status
        if record.response is not None and status == 401 and not self._challenged:
            self._challenged = True
            header = self._credentials(record.response, "REGISTER", f"sip:{self.server[0]}")
            self._send_register(call_id, cseq + 1, expires_s, (header,))
        else:
            self.registered = status

    def _credentials(self, response: Response, method: str, uri: str) -> tuple[str, str]:
        self._nc += 1
        header = digest_answer(response, method, uri, self.number, self.password, f"c{self._nc}", 1)
        assert header is not None
        return header

    def _send_register(self, call_id: str, cseq: int, expires_s: int, headers: tuple[tuple[str, str], ...]) -> None:
        me = f"<sip:{self.number}@{self.world.settings.realm}>"
        handle = self.sip.request(
            self.world.now,
            self.out,
            method="REGISTER",
            listener="udp",
            destination=self.server,
            uri=f"sip:{self.server[0]}",
            from_=me,
            to=me,
            contact=f"<sip:{self.number}@{self.at[0]}:{self.at[1]}>;expires={expires_s}",
            call_id=call_id,
            cseq=cseq,
            headers=headers,
        )
        self._register = (handle, call_id, cseq, expires_s)
        self._done()

    def _send_invite(self, number: str, call_id: str | None, cseq: int, headers: tuple[tuple[str, str], ...]) -> int:
        realm = self.world.settings.realm
        leg = self.sip.invite(
            self.world.now,
            self.out,
            listener="udp",
            destination=self.server,
            uri=f"sip:{number}@{self.server[0]}",
            from_=f"<sip:{self.number}@{realm}>",
            to=f"<sip:{number}@{realm}>",
            contact=f"<sip:{self.number}@{self.at[0]}:{self.at[1]}>",
            headers=headers,
            body=audio(self.at[0], 20_000),
            cseq=cseq,
        )
        self.calls[leg] = "calling"
        self._invite[leg] = (number, "", cseq)
        return leg

    def _answer_to(self, offer: bytes) -> bytes:
        self.version += 1
        if not offer:
            return audio(self.at[0], 20_000, version=self.version)
        body = audio_answer(parse_sdp(offer), self.at[0], 20_000, version=self.version)
        assert body is not None
        return body


def direction_of(body: bytes) -> str:
    """The direction of a description; "nothing" without one."""
    return parse_sdp(body).direction() if body else "nothing"
