"""A phone of one call over TCP: `sip_tcp.py listen 127.0.0.1 5070` answers, `sip_tcp.py call 127.0.0.1 5070` calls it,
talks for a moment and hangs up."""

import asyncio
import secrets
import sys
import time
from collections.abc import Callable

from sip_proto import (
    Address,
    Answered,
    Connect,
    Disconnect,
    Ended,
    Endpoint,
    EndpointSettings,
    Failed,
    Invited,
    Offered,
    Output,
    ParseError,
    Requested,
    TransmitStream,
    audio,
    audio_answer,
    description_of,
    parse_sdp,
)

RTP_PORT = 4000
TALK_S = 0.2


class Phone:
    """The streams and the clock; `done` is the end of the call in one word."""

    def __init__(self, here: Address) -> None:
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[str] = self.loop.create_future()
        self.timer: asyncio.TimerHandle | None = None
        self.address = here
        # The endpoint refuses calls with a body that is no description.
        settings = EndpointSettings({"tcp": here}, transports={"tcp": "tcp"}, session_types=("application/sdp",))
        self.endpoint = Endpoint(settings, secrets.token_bytes(32))
        self.streams: dict[int, asyncio.Transport] = {}
        self.accepted = 0
        self.tasks: set[asyncio.Task[None]] = set()

    def accept(self) -> "Stream":
        """The protocol of a stream that somebody opened to us: flows of such are numbers above 0."""
        self.accepted += 1
        return Stream(self, self.accepted)

    async def connect(self, asked: Connect) -> None:
        """Open a stream that the endpoint asks for, under the number that it chose."""
        try:
            await self.loop.create_connection(lambda: Stream(self, asked.flow), *asked.destination)
        except OSError:
            self.step(lambda now, out: self.endpoint.stream_closed(now, asked.flow, out))

    def step(self, call: Callable[[int, list[Output]], object]) -> None:
        """One input, what is to be sent, the next deadline, what it means. Every call of the endpoint goes this way."""
        out: list[Output] = []
        told: list[Output] = []
        call(time.monotonic_ns() // 1000, out)
        for record in out:
            if isinstance(record, TransmitStream):
                # A real host gives up on a peer that does not read.
                self.streams[record.flow].write(record.data)
            elif isinstance(record, Connect):
                task = self.loop.create_task(self.connect(record))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)
            elif isinstance(record, Disconnect):
                # None when the stream was never opened.
                if (stream := self.streams.pop(record.flow, None)) is not None:
                    stream.close()
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
                listener="tcp",
                destination=place,
                uri=f"sip:bob@{place[0]}:{place[1]};transport=tcp",
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


class Stream(asyncio.Protocol):
    """One stream under its flow's number."""

    def __init__(self, phone: Phone, flow: int) -> None:
        self.phone = phone
        self.flow = flow

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.phone.streams[self.flow] = transport
        peer = transport.get_extra_info("peername")[:2]
        self.phone.step(lambda now, out: self.phone.endpoint.stream_opened(now, self.flow, "tcp", peer, out))

    def data_received(self, data: bytes) -> None:
        self.phone.step(lambda now, out: self.phone.endpoint.receive_stream(now, self.flow, data, out))

    def connection_lost(self, error: Exception | None) -> None:
        self.phone.streams.pop(self.flow, None)
        self.phone.step(lambda now, out: self.phone.endpoint.stream_closed(now, self.flow, out))


async def phone(role: str, place: Address) -> str:
    """Answer one call at `place`, or make one to it; how it ended."""
    here = place if role == "listen" else (place[0], 0)
    made: list[Phone] = []
    # A caller listens too: when a stream breaks, the answers come by a new one.
    server = await asyncio.get_running_loop().create_server(lambda: made[0].accept(), *here)
    made.append(Phone(server.sockets[0].getsockname()[:2]))
    if role == "call":
        made[0].call(place)
    else:
        print("listening", flush=True)
    try:
        ended = await made[0].done
        await asyncio.sleep(TALK_S)
        return ended
    finally:
        server.close()
        for stream in list(made[0].streams.values()):
            stream.close()


if __name__ == "__main__":
    print(asyncio.run(phone(sys.argv[1], (sys.argv[2], int(sys.argv[3])))))
