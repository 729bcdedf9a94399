"""One endpoint against hand-written datagrams."""

from collections.abc import Callable

from sip_proto import Address, Endpoint, Invited, Limits, Output, Request, Response, Transmit, parse
from tests.sip_proto.pair import A, B, endpoint
from tests.sip_proto.texts import request_bytes, response_to

__all__ = ["Alone", "Called", "requests", "responses"]


class Alone:
    """An endpoint at B whose peer, at A, is the test; `last` are the outputs of the last input."""

    def __init__(self, end: Endpoint | None = None) -> None:
        self.now = 1_000_000
        self.end = end or endpoint(B, b"seed-b", 2)
        self.last: list[Output] = []

    def do(self, call: Callable[[int, list[Output]], object]) -> list[Output]:
        self.last = []
        self.result = call(self.now, self.last)
        self.end.check()
        return self.last

    def hear(self, data: bytes, source: Address = A) -> list[Output]:
        return self.do(lambda now, out: self.end.receive_datagram(now, "udp", source, data, out))

    def wait(self, us: int) -> list[Output]:
        """Let time pass, firing each deadline at its time; all outputs."""
        until = self.now + us
        said: list[Output] = []
        while (at := self.end.next_deadline()) is not None and at <= until:
            self.now = max(self.now, at)
            said += self.do(self.end.handle_timeout)
        self.now = until
        self.last = said
        return said

    def invite(self, **more: object) -> bytes:
        """Send an INVITE to A; its bytes. The leg is `result`."""
        out = self.do(
            lambda now, out: self.end.invite(
                now,
                out,
                listener="udp",
                destination=A,
                uri="sip:alice@192.0.2.1",
                from_="<sip:bob@example.org>",
                to="<sip:alice@example.org>",
                **more,  # type: ignore[arg-type]
            )
        )
        sent = out[0]
        assert isinstance(sent, Transmit)
        self.leg: int = self.result  # type: ignore[assignment]
        return sent.data

    def answered(self, more: str = "Contact: <sip:alice@192.0.2.1:5070>\r\n") -> bytes:
        """A call that A answered and we acknowledged; the bytes of the 200."""
        answer = response_to(self.invite(), 200, more=more)
        self.hear(answer)
        self.do(lambda now, out: self.end.ack(now, self.leg, out))
        return answer


class Called(Alone):
    """A rang us: `leg` is the call, `tag` ours once we rang back."""

    def __init__(
        self, more: str = "", limits: Limits | None = None, *, body: str = "", reliable: str = "supported"
    ) -> None:
        super().__init__(endpoint(B, b"seed-b", 2, limits, reliable))
        trying, invited = self.hear(request_bytes(more=more, body=body))
        assert isinstance(trying, Transmit)
        assert trying.data.startswith(b"SIP/2.0 100 Trying\r\n")
        assert isinstance(invited, Invited)
        self.leg: int = invited.leg

    def ring(self, status: int = 180, body: bytes = b"", reliable: bool | None = None) -> Response:
        """Send a 1xx that goes out at once."""
        out = self.do(
            lambda now, out: self.end.provisional(now, self.leg, status, out, body=body, reliable=reliable)
        )
        (ringing,) = sent(out)
        assert isinstance(ringing, Response)
        self.tag = ringing.to.tag
        return ringing

    def accept(self, body: bytes = b"v=0\r\n") -> list[object]:
        out = self.do(lambda now, out: self.end.accept(now, self.leg, out, body=body))
        if out:
            self.tag = sent(out)[0].to.tag
        return list(out)

    def inside(self, method: str, number: int, **more: str) -> bytes:
        """A request of A's in the dialog."""
        given = {"branch": f"z9hG4bK{method}{number}", "cseq": f"{number} {method}"} | more
        return request_bytes(method, to=f"<sip:bob@example.org>;tag={self.tag}", **given)

    def prack(self, number: int, ringing: Response, **more: str) -> bytes:
        """A's PRACK for a 1xx."""
        rack = f"RAck: {ringing.get('RSeq')} 1 INVITE\r\n"
        return self.inside("PRACK", number, **({"more": rack} | more))

    def talk(self, body: bytes = b"v=0\r\n") -> None:
        self.accept(body)
        self.hear(self.inside("ACK", 1))


def sent(out: list[Output]) -> list[Request | Response]:
    return [parse(record.data) for record in out if isinstance(record, Transmit)]


def responses(out: list[Output]) -> list[int]:
    return [message.status for message in sent(out) if isinstance(message, Response)]


def requests(out: list[Output]) -> list[str]:
    return [message.method for message in sent(out) if isinstance(message, Request)]
