"""A phone with a will of its own about offers: it refuses them, thinks about them, takes its own back, sends digits."""

from __future__ import annotations

from sip_proto import (
    Acked,
    Offered,
    OfferWithdrawn,
    Requested,
    Responded,
)
from sip_proto import Output as SipRecord
from sip_proto.sdp import audio
from tests.sim.actors import Phone, direction_of
from tests.sim.cluster import Cluster


class SessionPhone(Phone):
    """`on_offer` is "answer", a status to refuse with, or "think": nothing until `decide`."""

    on_offer = "answer"
    info_status = 200
    thinks = 0

    # What a test says.

    def ask(self, leg: int | None = None) -> None:
        """re-INVITE without an offer."""
        leg = self.leg("talking") if leg is None else leg
        self.sip.offer(self.world.now, leg, self.out)
        self._done()

    def decide(self, status: int = 200) -> None:
        """Answer or refuse the offer that the phone thinks about."""
        leg, self.thinks = self.thinks, 0
        if status == 200:
            self.sip.answer_offer(self.world.now, leg, self.out, body=self._answer_to(self.offers[leg]))
        else:
            self.sip.refuse_offer(self.world.now, leg, status, self.out)
        self._done()

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
        self._texts[handle] = (number, text, cseq)
        self._done()

    @property
    def _texts(self) -> dict[int, tuple[str, bytes, int]]:
        return self.__dict__.setdefault("texts", {})

    # What the world says.

    def _heard(self, record: SipRecord) -> None:
        if isinstance(record, Offered) and self.on_offer != "answer":
            self.said.append(f"reinvited {direction_of(record.request.body)}")
            self.offers[record.leg] = record.request.body
            self.thinks = record.leg
            if self.on_offer.isdigit():
                self.decide(int(self.on_offer))
        elif isinstance(record, OfferWithdrawn):
            self.said.append("offer withdrawn")
            self.thinks = 0
        elif isinstance(record, Acked):
            if record.request.body:
                self.said.append(f"acked {direction_of(record.request.body)}")
        elif isinstance(record, Requested) and record.request.method in ("INFO", "MESSAGE"):
            request = record.request
            self.said.append(f"{request.method} {request.get('Content-Type')} {request.body.decode()}")
            self.sip.respond(self.world.now, record.handle, self.info_status, self.out)
        elif isinstance(record, Responded) and record.handle in self._texts:
            self._texted(record)
        elif isinstance(record, Responded) and (self._register is None or record.handle != self._register[0]):
            self.said.append(f"response {408 if record.response is None else record.response.status}")
        else:
            super()._heard(record)

    def _texted(self, record: Responded) -> None:
        number, text, cseq = self._texts.pop(record.handle)
        if record.response is not None and record.response.status == 401 and cseq == 1:
            header = self._credentials(record.response, "MESSAGE", f"sip:{number}@{self.server[0]}")
            self.text(number, text, credentials=(header,), cseq=2)
        else:
            self.said.append(f"response {408 if record.response is None else record.response.status}")


def phone(cluster: Cluster, number: str, node: str = "n1") -> SessionPhone:
    """Such a phone, registered."""
    made = SessionPhone(cluster.world, number, node, ("198.51.100.1", 10_000 + len(cluster.phones)), "secret")
    cluster.phones[number] = made
    made.register()
    cluster.world.until(lambda: cluster.owner(number) is not None)
    cluster.settle()
    return made


def picture(body: bytes) -> str:
    """The direction that a description has."""
    return direction_of(body)


def silence(host: str, version: int) -> bytes:
    """A description that sends and hears nothing."""
    return audio(host, 20_000, version=version, direction="inactive")
