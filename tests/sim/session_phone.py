"""A phone with a will of its own about sessions: it refuses offers, thinks about them, takes its own back, describes
itself early, calls without an offer, sends digits; and it remembers what was agreed on."""

from __future__ import annotations

import hashlib
from typing import Any

from sip_proto import (
    Acked,
    Answered,
    Endpoint,
    EndpointSettings,
    Invited,
    OfferAnswered,
    Offered,
    OfferRefused,
    OfferWithdrawn,
    ParseError,
    Pracked,
    Requested,
    Responded,
    Response,
    Ringing,
)
from sip_proto import Output as SipRecord
from sip_proto.sdp import audio, audio_answer, parse_sdp
from tests.sim.actors import Phone
from tests.sim.cluster import Cluster
from tests.sim.world import World


class SessionPhone(Phone):
    """`on_offer` is "answer", a status to refuse with, or "think": nothing until `decide`; `on_offers` what it
    does with the next ones before that. `mine` and `theirs` are the descriptions that hold, by leg."""

    def __init__(self, world: World, number: str, node: str, at: tuple[str, int], **settings: Any) -> None:
        super().__init__(world, number, node, at, "secret")
        self.port = at[1] + 10_000
        self.sip = Endpoint(
            EndpointSettings(listeners={"udp": at}, **settings),
            hashlib.sha256(f"{world.seed} {number} {at} of its own".encode()).digest(),
        )
        self.on_offer = "answer"
        self.on_offers: list[str] = []
        self.info_status = 200
        self.thinks = 0
        self.offerless = False
        self.mine: dict[int, bytes] = {}
        self.theirs: dict[int, bytes] = {}
        self.out_offers: dict[tuple[int, int], bytes] = {}
        self.texts: dict[int, tuple[str, bytes, int]] = {}
        self.response: Response | None = None

    # What a test says.

    def describe(self, direction: str = "sendrecv") -> bytes:
        """A new description of this phone."""
        self.version += 1
        return audio(self.at[0], self.port, version=self.version, direction=direction)

    def hold(self, direction: str = "sendonly", leg: int | None = None) -> int:  # type: ignore[override]
        """Offer that direction; the offer's number."""
        return self._offer(self.leg("talking") if leg is None else leg, self.describe(direction))

    def ask_for_offer(self, leg: int | None = None) -> int:
        """re-INVITE without an offer."""
        return self._offer(self.leg("talking") if leg is None else leg, b"")

    def withdraw(self, number: int, leg: int | None = None) -> None:
        """Take an offer back."""
        self.sip.withdraw_offer(self.world.now, self.leg("talking") if leg is None else leg, number, self.out)
        self._done()

    def decide(self, status: int = 200) -> None:
        """Answer or refuse the offer that the phone thinks about."""
        leg, self.thinks = self.thinks, 0
        if status == 200:
            body = self._answer_to(self.offers[leg])
            self.mine[leg], self.theirs[leg] = body, self.offers[leg] or self.theirs.get(leg, b"")
            self.sip.answer_offer(self.world.now, leg, self.out, body=body)
        else:
            self.sip.refuse_offer(self.world.now, leg, status, self.out)
        self._done()

    def answer(self, leg: int | None = None) -> None:
        """Accept a ringing call; with a description unless there is one."""
        leg = self.leg("ringing") if leg is None else leg
        self.calls[leg] = "talking"
        body = b""
        if leg not in self.mine:
            body = self.mine[leg] = self._answer_to(self.offers[leg])
            self.theirs[leg] = self.offers[leg]
        self.sip.accept(self.world.now, leg, self.out, body=body)
        self._done()

    def progress(self, leg: int | None = None, *, reliable: bool | None = None, status: int = 183) -> None:
        """Describe itself early, for good at most once."""
        leg = self.leg("ringing") if leg is None else leg
        body = b"" if leg in self.mine else self._answer_to(self.offers[leg])
        if reliable is not False and body:
            self.mine[leg], self.theirs[leg] = body, self.offers[leg]
        self.sip.provisional(self.world.now, leg, status, self.out, body=body, reliable=reliable)
        self._done()

    def update(self, direction: str = "sendrecv", leg: int | None = None) -> int:
        """Offer something else before the call is answered."""
        if leg is None:
            leg = next(leg for leg, state in self.calls.items() if state in ("ringing", "calling"))
        return self._offer(leg, self.describe(direction))

    def send(self, method: str, body: bytes = b"", kind: str = "", leg: int | None = None) -> None:
        """Another request in the call."""
        leg = self.leg("talking") if leg is None else leg
        self.sip.send(self.world.now, leg, method, self.out, body=body, content_type=kind)
        self._done()

    def text(self, number: str, text: bytes, *, credentials: tuple[tuple[str, str], ...] = (), cseq: int = 1) -> None:
        """MESSAGE outside of calls."""
        realm = self.world.settings.realm
        handle = self.sip.request(
            self.world.now,
            self.out,
            method="MESSAGE",
            listener="udp",
            destination=self.server,
            uri=f"sip:{number}@{self.server[0]}",
            from_=f"<sip:{self.number}@{realm}>",
            to=f"<sip:{number}@{realm}>",
            headers=(("Subject", "a word"), *credentials),
            body=text,
            content_type="text/plain",
            cseq=cseq,
        )
        self.texts[handle] = (number, text, cseq)
        self._done()

    def hears(self, leg: int | None = None) -> tuple[int, bool, bool]:
        """To which port the phone sends, whether it sends, and whether it expects to hear."""
        leg = self.leg("talking") if leg is None else leg
        mine, theirs = direction_of(self.mine[leg]), direction_of(self.theirs[leg])
        sends = mine in ("sendrecv", "sendonly") and theirs in ("sendrecv", "recvonly")
        hears = mine in ("sendrecv", "recvonly") and theirs in ("sendrecv", "sendonly")
        return parse_sdp(self.theirs[leg]).media()[0].port, sends, hears

    # What the world says.

    def _offer(self, leg: int, body: bytes) -> int:
        number = self.sip.offer(self.world.now, leg, self.out, body=body)
        self.out_offers[leg, number] = body
        self._done()
        return number

    def _heard(self, record: SipRecord) -> None:
        now = self.world.now
        if isinstance(record, Offered):
            self.said.append(f"reinvited {direction_of(record.request.body)}")
            self.heard["P-Asserted-Identity"] = record.request.get("P-Asserted-Identity") or ""
            self.offers[record.leg] = record.request.body
            self.thinks = record.leg
            how = self.on_offers.pop(0) if self.on_offers else self.on_offer
            if how != "think":
                self.decide(200 if how == "answer" else int(how))
        elif isinstance(record, OfferWithdrawn):
            self.said.append("offer withdrawn")
            self.thinks = 0
        elif isinstance(record, OfferAnswered):
            self._agreed(record)
        elif isinstance(record, OfferRefused):
            self.out_offers.pop((record.leg, record.offer), None)
            super()._heard(record)
        elif isinstance(record, Ringing) and record.offer:
            body = self.mine[record.leg] = self._answer_to(record.response.body)
            self.theirs[record.leg] = record.response.body
            self.said.append(f"{record.response.status} offers {direction_of(record.response.body)}")
            self.sip.prack(now, record.leg, self.out, body=body)
        elif isinstance(record, Ringing):
            said = f"{record.response.status}"
            if record.response.body:
                said += " for good" if record.reliable else " preview"
                if record.reliable:
                    self.theirs[record.leg] = record.response.body
            self.said.append(said)
        elif isinstance(record, Answered):
            self._answered(record)
        elif isinstance(record, Pracked):
            if record.request.body:
                self.said.append(f"pracked {direction_of(record.request.body)}")
                self.theirs[record.leg] = record.request.body
        elif isinstance(record, Acked):
            if record.request.body:
                self.said.append(f"acked {direction_of(record.request.body)}")
                self.theirs[record.leg] = record.request.body
        elif isinstance(record, Requested) and record.request.method in ("INFO", "MESSAGE"):
            request = record.request
            self.said.append(f"{request.method} {request.get('Content-Type')} {request.body.decode()}")
            self.sip.respond(now, record.handle, self.info_status, self.out)
        elif isinstance(record, Responded) and record.handle in self.texts:
            self._texted(record)
        elif isinstance(record, Responded) and (self._register is None or record.handle != self._register[0]):
            self.response = record.response
            self.said.append(f"response {408 if record.response is None else record.response.status}")
        else:
            super()._heard(record)

    def _invited(self, record: Invited) -> None:
        self.mine.pop(record.leg, None)
        super()._invited(record)

    def _answered(self, record: Answered) -> None:
        leg, body = record.leg, record.response.body
        self.said.append("answered")
        self.calls[leg] = "talking"
        answer = b""
        if leg not in self.mine:
            answer = self.mine[leg] = self._answer_to(body)
        self.theirs[leg] = body or self.theirs[leg]
        self.sip.ack(self.world.now, leg, self.out, body=answer)

    def _agreed(self, record: OfferAnswered) -> None:
        leg, body = record.leg, record.response.body
        self.said.append(f"reanswered {direction_of(body)}")
        self.theirs[leg] = body
        offer = self.out_offers.pop((leg, record.offer))
        if offer:
            self.mine[leg] = offer
        else:
            answer = self.mine[leg] = self._answer_to(body)
            self.sip.ack(self.world.now, leg, self.out, body=answer)

    def _texted(self, record: Responded) -> None:
        number, text, cseq = self.texts.pop(record.handle)
        if record.response is not None and record.response.status == 401 and cseq == 1:
            header = self._credentials(record.response, "MESSAGE", f"sip:{number}@{self.server[0]}")
            self.text(number, text, credentials=(header,), cseq=2)
        else:
            self.said.append(f"response {408 if record.response is None else record.response.status}")

    def _send_invite(self, number: str, call_id: str | None, cseq: int, headers: tuple[tuple[str, str], ...]) -> int:
        realm = self.world.settings.realm
        body = b"" if self.offerless else self.describe()
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
            body=body,
            cseq=cseq,
        )
        if body:
            self.mine[leg] = body
        self.calls[leg] = "calling"
        self._invite[leg] = (number, "", cseq)
        return leg

    def _answer_to(self, offer: bytes) -> bytes:
        self.version += 1
        if not offer:
            return audio(self.at[0], self.port, version=self.version)
        body = audio_answer(parse_sdp(offer), self.at[0], self.port, version=self.version)
        assert body is not None
        return body


def direction_of(body: bytes) -> str:
    """The direction of a description; "nothing" without one, "rubbish" where it is none."""
    try:
        return parse_sdp(body).direction() if body else "nothing"
    except ParseError:
        return "rubbish"


def phone(cluster: Cluster, number: str, node: str = "n1", **settings: Any) -> SessionPhone:
    """Such a phone, registered; `settings` are those of its endpoint."""
    made = SessionPhone(cluster.world, number, node, ("198.51.100.1", 10_000 + len(cluster.phones)), **settings)
    cluster.phones[number] = made
    made.register()
    cluster.world.until(lambda: cluster.owner(number) is not None)
    cluster.settle()
    return made


class Forker:
    """A proxy that brings an INVITE to several phones at once, and what they say back; the others hear CANCEL when one
    has answered (RFC 3261 section 16.7)."""

    def __init__(self, world: World, at: tuple[str, int], phones: list[SessionPhone]) -> None:
        self.world = world
        self.at = at
        self.branches = [phone.at for phone in phones]
        self.upstream = ("", 0)
        self.sent: dict[tuple[str, int], bytes] = {}
        world.bind(at, self)

    def datagram(self, source: tuple[str, int], data: bytes) -> None:
        if data.startswith(b"SIP/2.0 "):
            self._response(source, data)
        elif data.startswith(b"INVITE "):
            self.upstream = source
            line, _, rest = data.partition(b"\r\n")
            for number, branch in enumerate(self.branches):
                via = f"Via: SIP/2.0/UDP {self.at[0]}:{self.at[1]};branch=z9hG4bKfork{number}".encode()
                self.sent[branch] = b"\r\n".join((line, via, rest))
                self.world.send_datagram(self.at, branch, self.sent[branch])

    def _response(self, source: tuple[str, int], data: bytes) -> None:
        status = int(data[8:11])
        head = data.partition(b"\r\n\r\n")[0]
        if b"\r\nCSeq: 1 CANCEL" in head or status == 100:
            return
        if status >= 300:
            self._tell(source, b"ACK", head)
            return
        line, _, rest = data.partition(b"\r\n")
        self.world.send_datagram(self.at, self.upstream, line + b"\r\n" + rest.partition(b"\r\n")[2])
        if status >= 200:
            for branch in self.branches:
                if branch != source:
                    self._tell(branch, b"CANCEL", self.sent[branch])

    def _tell(self, branch: tuple[str, int], method: bytes, like: bytes) -> None:
        """A request of the proxy's own on a branch, with the To of what it is about."""
        lines = self.sent[branch].partition(b"\r\n\r\n")[0].split(b"\r\n")
        to = next(line for line in like.split(b"\r\n") if line.lower().startswith(b"to:"))
        kept = [line for line in lines[1:] if line.split(b":")[0].lower() in (b"from", b"call-id", b"max-forwards")]
        uri = lines[0].split(b" ")[1]
        request = [method + b" " + uri + b" SIP/2.0", lines[1], *kept, to, b"CSeq: 1 " + method, b"Content-Length: 0"]
        self.world.send_datagram(self.at, branch, b"\r\n".join((*request, b"", b"")))
