"""A phone of one call over UDP: `sip_udp.py listen 127.0.0.1 5070` answers, `sip_udp.py call 127.0.0.1 5070` calls it,
talks for a moment and hangs up."""

import asyncio
import secrets
import sys
import time
from collections.abc import Callable
from typing import cast

from sip_proto import (
    Address,
    Answered,
    Ended,
    Endpoint,
    EndpointSettings,
    Failed,
    Invited,
    Offered,
    Output,
    ParseError,
    Requested,
    Ringing,
    Transmit,
    audio,
    audio_answer,
    description_of,
    parse_sdp,
)

RTP_PORT = 4000
TALK_S = 0.2


class Phone(asyncio.DatagramProtocol):
    """The sockets and the clock; `done` is the end of the call in one word."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[str] = self.loop.create_future()
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)
        # What Via and Contact will say: bind to an address that the peer can reach.
        self.address: Address = transport.get_extra_info("sockname")[:2]
        # The endpoint refuses calls with a body that is no description.
        settings = EndpointSettings({"udp": self.address}, session_types=("application/sdp",))
        self.endpoint = Endpoint(settings, secrets.token_bytes(32))

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        self.step(lambda now, out: self.endpoint.receive_datagram(now, "udp", source[:2], data, out))

    def step(self, call: Callable[[int, list[Output]], object]) -> None:
        """One input, what is to be sent, the next deadline, what it means. Every call of the endpoint goes this way."""
        out: list[Output] = []
        told: list[Output] = []
        call(time.monotonic_ns() // 1000, out)
        for record in out:
            if isinstance(record, Transmit):
                self.transport.sendto(record.data, record.destination)
            else:
                told.append(record)
        if self.timer is not None:
            self.timer.cancel()
        deadline_us = self.endpoint.next_deadline()
        if deadline_us is not None:
            wait_s = max(0.0, deadline_us / 1e6 - time.monotonic())
            self.timer = self.loop.call_later(wait_s, self.step, self.endpoint.handle_timeout)
        # Last, as each decision is a step of its own.
        for record in told:
            self.decide(record)

    def decide(self, record: Output) -> None:
        """What this phone makes of it."""
        end = self.endpoint
        if isinstance(record, Invited | Offered):
            answer = self.describe(description_of(record.request))
            if answer is None:
                refuse = end.refuse_offer if isinstance(record, Offered) else end.reject
                self.step(lambda now, out: refuse(now, record.leg, 488, out))
            elif isinstance(record, Offered):
                self.step(lambda now, out: end.answer_offer(now, record.leg, out, body=answer))
            else:
                self.step(lambda now, out: end.provisional(now, record.leg, 180, out))
                self.step(lambda now, out: end.accept(now, record.leg, out, body=answer))
        elif isinstance(record, Answered):
            self.step(lambda now, out: end.ack(now, record.leg, out))
            self.loop.call_later(TALK_S, self.hang_up, record.leg)
        elif isinstance(record, Requested):
            method = record.request.method
            # What belongs into a call that there is not, or no more.
            lost = not record.leg and method in ("BYE", "INFO", "PRACK", "UPDATE")
            status = 200 if method == "OPTIONS" else 481 if lost else 501
            self.step(lambda now, out: end.respond(now, record.handle, status, out))
        elif isinstance(record, Ringing):
            print("ringing")
        elif isinstance(record, Ended):
            self.over(record.why)
        elif isinstance(record, Failed):
            self.over(f"failed: {record.status}")

    def describe(self, offer: bytes) -> bytes | None:
        """The answer to an offer, an offer of our own where there is none; None for what cannot be taken or read."""
        here = self.address[0]
        try:
            return audio_answer(parse_sdp(offer), here, RTP_PORT) if offer else audio(here, RTP_PORT)
        except ParseError:
            return None

    def over(self, why: str) -> None:
        if not self.done.done():
            self.done.set_result(why)

    def call(self, place: Address) -> None:
        self.step(
            lambda now, out: self.endpoint.invite(
                now,
                out,
                listener="udp",
                destination=place,
                uri=f"sip:bob@{place[0]}:{place[1]}",
                from_="<sip:alice@example.org>",
                to="<sip:bob@example.org>",
                body=audio(self.address[0], RTP_PORT),
            )
        )

    def hang_up(self, leg: int) -> None:
        # The peer may have been faster.
        if not self.done.done():
            self.step(lambda now, out: self.endpoint.bye(now, leg, out))
            self.over("hung up")


async def phone(role: str, place: Address) -> str:
    """Answer one call at `place`, or make one to it; how it ended."""
    here = place if role == "listen" else (place[0], 0)
    transport, made = await asyncio.get_running_loop().create_datagram_endpoint(Phone, local_addr=here)
    if role == "call":
        made.call(place)
    else:
        print("listening", flush=True)
    try:
        ended = await made.done
        # The answer to a BYE is still on its way, and a lost one is sent again.
        await asyncio.sleep(TALK_S)
        return ended
    finally:
        transport.close()


if __name__ == "__main__":
    print(asyncio.run(phone(sys.argv[1], (sys.argv[2], int(sys.argv[3])))))
