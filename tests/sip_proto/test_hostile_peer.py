"""A peer that says anything at any time in its calls: nothing breaks, and nothing is left when they are over."""

import os
import random
from collections.abc import Callable

import pytest

from sip_proto import (
    Account,
    Answered,
    Cancelled,
    Ended,
    Endpoint,
    EndpointSettings,
    Failed,
    Invited,
    LocalError,
    OfferAnswered,
    Offered,
    Output,
    Request,
    Requested,
    Response,
    Ringing,
    Transmit,
    parse,
)
from tests.sip_proto.alone import Alone
from tests.sip_proto.pair import A, B
from tests.sip_proto.texts import response_to

PEERS = int(os.environ.get("SIP_PEERS", "40"))
SECOND = 1_000_000
STATUSES = (*(180, 183, 183, 491) * 3, *[200] * 14, 100, 202, 302, 401, 408, 422, 481, 486, 500, 503)
METHODS = (*("INVITE", "UPDATE", "PRACK", "ACK") * 2, "CANCEL", "INFO", "INFO", "INFO", "BYE", "NOTIFY", "REFER")
LINES = (
    "",
    "",
    "Allow: INVITE, UPDATE\r\n",
    "Allow: INVITE, UPDATE\r\n",
    "Retry-After: 1\r\n",
    "Session-Expires: 90;refresher=uac\r\n",
    "Session-Expires: 90;refresher=uas\r\nRequire: timer\r\n",
    "Min-SE: 3000\r\n",
    "Supported: timer, 100rel\r\n",
    "Require: 100rel\r\n",
    "Event: refer\r\nSubscription-State: active\r\n",
    "Refer-To: <sip:c@192.0.2.9>\r\n",
)
CHALLENGES = (
    "",
    'WWW-Authenticate: Digest realm="r", nonce="n1", qop="auth"\r\n',
    'WWW-Authenticate: Digest realm="r", nonce="n2", stale=true\r\n',
    'Proxy-Authenticate: Digest realm="p", nonce="n3"\r\n',
)


class Peer:
    """The endpoint's calls as seen from A, and the lots."""

    def __init__(self, seed: int) -> None:
        self.lots = random.Random(seed)
        # Every other one has an account, and every challenge is for it.
        self.accounts = (Account("", "bob", "secret", (A[0],)),) if seed % 2 else ()
        self.alone = Alone(Endpoint(EndpointSettings({"udp": B}, session_s=0, accounts=self.accounts), b"seed-b"))
        self.legs: list[int] = []
        self.handles: list[int] = []
        # What the endpoint sent last, requests and responses.
        self.requests: list[bytes] = []
        self.responses: list[bytes] = []
        self.sent: list[bytes] = []
        self.count = 0
        # What the program owes.
        self.owed: list[tuple[Callable[..., None], int]] = []

    def pay(self) -> None:
        """The program does what it owes."""
        while self.owed:
            deed, leg = self.owed.pop()
            self.do(lambda now, out, d=deed, at=leg: d(now, at, out, body=b"v=2\r\n"))  # type: ignore[misc]

    def do(self, call: Callable[[int, list[Output]], object]) -> None:
        try:
            self.heard(self.alone.do(call))
        except LocalError:
            assert self.alone.last == []

    def heard(self, out: list[Output]) -> None:
        for record in out:
            if isinstance(record, Transmit):
                message = parse(record.data)
                kept = self.requests if isinstance(message, Request) else self.responses
                kept.append(record.data)
                del kept[:-8]
            elif isinstance(record, Invited):
                self.legs.append(record.leg)
            elif isinstance(record, Failed | Cancelled | Ended):
                self.legs.remove(record.leg)
            elif isinstance(record, Answered) or (isinstance(record, OfferAnswered) and self.lots.random() < 0.5):
                self.owed.append((self.alone.end.ack, record.leg))
            elif isinstance(record, Ringing) and record.offer:
                self.owed.append((self.alone.end.prack, record.leg))
            elif isinstance(record, Offered):
                self.owed.append((self.alone.end.answer_offer, record.leg))
            elif isinstance(record, Requested):
                self.handles.append(record.handle)

    def hear(self, data: bytes) -> None:
        self.sent.append(data)
        del self.sent[:-8]
        self.heard(self.alone.hear(data))

    def more(self) -> str:
        lots = self.lots
        text = "".join(lots.sample(LINES, lots.randrange(4)))
        if lots.random() < 0.4:
            text += f"Require: 100rel\r\nRSeq: {lots.randrange(1, 5)}\r\n"
        if lots.random() < 0.6:
            text += f"Contact: <sip:alice@192.0.2.1:{lots.choice([5060, 5070])}>\r\n"
        return text

    def body(self) -> str:
        return self.lots.choice(["", "v=0\r\n", "v=1\r\n"])

    def respond(self) -> None:
        """Any answer to something that the endpoint sent, again or for the first time."""
        if self.requests:
            asked = self.lots.choice([*self.requests, *self.requests[-1:] * 8])
            tag = self.lots.choice(["x"] * 12 + ["y", "z", ""])
            status = self.lots.choice((*STATUSES, 401, 401, 407) if self.accounts else STATUSES)
            more = self.more() + (self.lots.choice(CHALLENGES) if status in (401, 407) else "")
            self.hear(response_to(asked, status, tag, more, self.body()))

    def request(self) -> None:
        """Any request in a dialog that the endpoint knows, or almost knows."""
        lots = self.lots
        if not self.requests or (self.responses and lots.random() < 0.5):
            if not self.responses:
                return
            message = parse(lots.choice(self.responses))
            from_, to = message.get("From"), message.get("To")
        else:
            message = parse(lots.choice(self.requests))
            from_, to = message.get("To") or "", message.get("From")
            if "tag=" not in from_:
                from_ += f";tag={lots.choice('xyz')}"
        self.count += 1
        method = lots.choice(METHODS)
        number = lots.choice([message.cseq[0], self.count + 1, self.count + 1, self.count + 1])
        branch = lots.choice([message.via.branch, f"z9hG4bKp{self.count}", f"z9hG4bKp{self.count}"])
        rseq = "1"
        for data in self.responses:
            answer = parse(data)
            rseq = answer.get("RSeq") or rseq
        rack = f"RAck: {rseq} {lots.choice([1, 1, number])} INVITE\r\n" if method == "PRACK" else ""
        body = self.body()
        self.hear(
            (
                f"{method} sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch={branch};rport\r\n"
                f"Max-Forwards: 70\r\nFrom: {from_}\r\nTo: {to}\r\nCall-ID: {message.call_id}\r\n"
                f"CSeq: {number} {method}\r\nContact: <sip:alice@192.0.2.1>\r\n{rack}{self.more()}"
                f"Content-Length: {len(body)}\r\n\r\n{body}"
            ).encode()
        )

    def call(self) -> None:
        """A call of the peer's."""
        if len(self.legs) > 2:
            return
        self.count += 1
        body = self.body()
        self.hear(
            (
                f"INVITE sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKi{self.count}\r\n"
                f"Max-Forwards: 70\r\nFrom: <sip:a@h>;tag={self.lots.choice('xyz')}\r\nTo: <sip:b@h>\r\n"
                f"Call-ID: i{self.count}\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@192.0.2.1>\r\n"
                f"{self.lots.choice(LINES)}Content-Length: {len(body)}\r\n\r\n{body}"
            ).encode()
        )

    def again(self) -> None:
        if self.sent:
            self.hear(self.lots.choice(self.sent))

    def act(self) -> None:
        """What a program may do, sensible or not."""
        end, lots = self.alone.end, self.lots
        body = self.body().encode()
        leg = lots.choice([*self.legs, 0])
        handle = lots.choice([*self.handles[-4:], 0])

        def invite(now: int, out: list[Output]) -> None:
            place = {"listener": "udp", "destination": A, "uri": "sip:alice@192.0.2.1"}
            if len(self.legs) > 2:
                raise LocalError("enough")
            made = end.invite(now, out, **place, from_="<sip:b@h>", to="<sip:a@h>", body=body)  # type: ignore[arg-type]
            self.legs.append(made)

        def ring(now: int, out: list[Output]) -> None:
            end.provisional(now, leg, 183, out, body=body, reliable=lots.choice([None, True, False]))

        self.do(
            lots.choice(
                [
                    invite,
                    ring,
                    ring,
                    lambda now, out: end.accept(now, leg, out, body=body),
                    lambda now, out: end.accept(now, leg, out, body=body),
                    lambda now, out: end.ack(now, leg, out, body=body),
                    lambda now, out: end.ack(now, leg, out, body=body),
                    lambda now, out: end.prack(now, leg, out, body=body),
                    lambda now, out: end.offer(now, leg, out, body=body),
                    lambda now, out: end.offer(now, leg, out, body=body),
                    lambda now, out: end.withdraw_offer(now, leg, lots.randrange(1, 4), out),
                    lambda now, out: end.answer_offer(now, leg, out, body=body),
                    lambda now, out: end.answer_offer(now, leg, out, body=body),
                    lambda now, out: end.refuse_offer(now, leg, 488, out),
                    lambda now, out: self.over(lots.choice([end.cancel, end.bye, end.reject]), now, leg, out),
                    lambda now, out: end.send(now, leg, "INFO", out),
                    lambda now, out: end.refer(now, leg, out, refer_to="sip:c@192.0.2.9"),
                    lambda now, out: end.respond(now, handle, 200, out),
                ]
            )
        )

    def over(self, deed: Callable[..., None], now: int, leg: int, out: list[Output]) -> None:
        """The program ends a call, now and then."""
        if self.lots.random() < 0.7:
            raise LocalError("not yet")
        if deed == self.alone.end.reject:
            deed(now, leg, 486, out)
        else:
            deed(now, leg, out)
        if deed != self.alone.end.cancel:
            self.legs.remove(leg)

    def wait(self, us: int) -> None:
        self.heard(self.alone.wait(us))

    def close(self) -> None:
        """The program ends every call; the peer is silent from now on."""
        end = self.alone.end
        for leg in list(self.legs):
            self.do(lambda now, out, at=leg: end.cancel(now, at, out))  # type: ignore[misc]
            self.do(lambda now, out, at=leg: end.reject(now, at, 480, out))  # type: ignore[misc]
            self.do(lambda now, out, at=leg: end.bye(now, at, out))  # type: ignore[misc]


@pytest.mark.parametrize("seed", range(PEERS))
def test_whatever_a_peer_says_in_a_call_nothing_breaks_and_nothing_is_left(seed: int) -> None:
    peer = Peer(seed)
    deeds = [*[peer.respond, peer.request, peer.act] * 2, peer.call, peer.again]
    for _ in range(300):
        peer.lots.choice(deeds)()
        if peer.lots.random() < 0.6:
            peer.pay()
        if peer.lots.random() < 0.2:
            peer.wait(peer.lots.choice([1_000, 600_000, 600_000, 5 * SECOND, 50 * SECOND]))
    for _ in range(3):
        peer.close()
        peer.wait(400 * SECOND)
    counts = peer.alone.end.counts()
    assert counts == dict.fromkeys(counts, 0)
    assert any(isinstance(parse(data), Response) for data in peer.responses)
