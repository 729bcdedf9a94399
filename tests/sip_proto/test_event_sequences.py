"""Two endpoints and a bad network, by lot: what is sent is lost, repeated, overtaken, crossed; streams break.

Programs on both sides do what comes to their mind. In the end each request had one final response, each offer of a call
that was answered one outcome, each call and each subscription ended once, and both endpoints are empty.
"""

import os
import random
from collections.abc import Callable
from heapq import heappop, heappush

import pytest

from sip_proto import (
    Acked,
    Answered,
    Cancelled,
    Connect,
    DialogChanged,
    DialogEnded,
    Disconnect,
    Ended,
    Endpoint,
    Failed,
    Invited,
    LocalError,
    Notified,
    OfferAnswered,
    Offered,
    OfferRefused,
    Output,
    Request,
    Requested,
    Responded,
    Response,
    Ringing,
    Subscribed,
    SubscriptionAsked,
    SubscriptionEnded,
    SubscriptionRenewed,
    Transmit,
    TransmitStream,
    parse,
)
from sip_proto.uri import Address
from tests.sip_proto.streams import A, B, endpoint

SECOND = 1_000_000
STORMS = int(os.environ.get("SIP_STORMS", "20"))
PLACES: dict[str, Address] = {"a": A, "b": B}
Act = Callable[[int, list[Output]], object]


class Program:
    """What one side remembers of its calls, requests and subscriptions."""

    def __init__(self) -> None:
        self.incoming: list[int] = []
        self.reinvited: list[int] = []
        self.to_ack: list[int] = []
        self.to_prack: list[int] = []
        # By leg and number: the outcomes of each offer, and those that had no body.
        self.offers: dict[tuple[int, int], list[bool]] = {}
        self.asking: dict[tuple[int, int], None] = {}
        self.legs: list[int] = []
        self.asked: list[int] = []
        self.subscribed: list[int] = []
        self.serving: list[int] = []
        self.to_accept: list[int] = []
        # By leg or handle: how often it was answered or failed, and ended.
        self.outcome: dict[int, list[str]] = {}
        self.requests: dict[int, int] = {}
        self.subscriptions: dict[int, int] = {}
        self.announced: dict[int, bool] = {}


class Storm:
    """The network, the clock and the lots."""

    def __init__(self, seed: int, transport: str) -> None:
        self.lots = random.Random(seed)
        self.transport = transport
        self.now = SECOND
        # Every other storm has session timers, as short as they may be.
        self.ends: dict[str, Endpoint] = {name: endpoint(name, session_s=seed % 2 * 90) for name in "ab"}
        self.programs = {"a": Program(), "b": Program()}
        self.calm = False
        self._flying: list[tuple[int, int, str, Act]] = []
        self._count = 0
        # Each end of a stream by its owner and number, and when the last bytes on their way to it arrive.
        self._other: dict[tuple[str, int], tuple[str, int]] = {}
        self._last: dict[tuple[str, int], int] = {}
        # The final answers and the arrivals of each request, by who answers, branch and method.
        self.finals: dict[tuple[str, str, str], set[int]] = {}
        self.arrived: set[tuple[str, str, str]] = set()

    def do(self, name: str, call: Act) -> None:
        out: list[Output] = []
        try:
            result = call(self.now, out)
        except LocalError:
            assert out == []
            return
        self.ends[name].check()
        for record in out:
            self._take(name, record, result)

    def _fly(self, at: int, name: str, call: Act) -> None:
        self._count += 1
        heappush(self._flying, (at, self._count, name, call))

    def _take(self, name: str, record: Output, result: object) -> None:
        peer = "b" if name == "a" else "a"
        if isinstance(record, Transmit):
            self._sent(name, record.data)
            for _ in range(1 if self.calm else self.lots.choice([0, 1, 1, 1, 1, 2])):
                delay = 10_000 if self.calm else self.lots.choice([1_000, 50_000, 600_000, 1_500_000])
                self._fly(self.now + delay, peer, self._datagram(peer, name, record.data))
        elif isinstance(record, TransmitStream):
            self._sent(name, record.data)
            there = self._other.get((name, record.flow))
            if there is not None:
                at = max(self._last.get(there, 0), self.now + self.lots.choice([1_000, 400_000]))
                self._last[there] = at
                self._fly(at, peer, self._bytes(there, record.data))
        elif isinstance(record, Connect):
            self._connect(name, peer, record)
        elif isinstance(record, Disconnect):
            self._cut(name, record.flow)
        else:
            self._told(name, record)

    def _datagram(self, to: str, source: str, data: bytes) -> Act:
        def arrive(now: int, out: list[Output]) -> None:
            self._came(to, data)
            self.ends[to].receive_datagram(now, "udp", PLACES[source], data, out)

        return arrive

    def _bytes(self, there: tuple[str, int], data: bytes) -> Act:
        def arrive(now: int, out: list[Output]) -> None:
            if there in self._other:
                self._came(there[0], data)
                self.ends[there[0]].receive_stream(now, there[1], data, out)

        return arrive

    def _connect(self, name: str, peer: str, asked: Connect) -> None:
        end = self.ends[name]
        if asked.destination != PLACES[peer] or (not self.calm and self.lots.random() < 0.1):
            self._fly(self.now + 1_000, name, lambda now, out: end.stream_closed(now, asked.flow, out))
            return
        self._count += 1
        number = self._count
        source = (PLACES[name][0], 10_000 + number)
        self._other[name, asked.flow] = (peer, number)
        self._other[peer, number] = (name, asked.flow)

        def accept(now: int, out: list[Output]) -> None:
            self.ends[peer].stream_opened(now, number, "tcp", source, out)

        def opened(now: int, out: list[Output]) -> None:
            if (name, asked.flow) in self._other:
                end.stream_opened(now, asked.flow, asked.listener, asked.destination, out)
            else:
                end.stream_closed(now, asked.flow, out)

        self._fly(self.now + 1_000, peer, accept)
        self._fly(self.now + 2_000, name, opened)

    def _cut(self, name: str, flow: int) -> None:
        there = self._other.pop((name, flow), None)
        if there is not None:
            del self._other[there]
            at = max(self._last.get(there, 0), self.now + 3_000)
            self._fly(at, there[0], lambda now, out: self.ends[there[0]].stream_closed(now, there[1], out))

    def cut_one(self) -> None:
        """A stream breaks at both ends."""
        if self._other:
            name, flow = self.lots.choice(sorted(self._other))
            self._cut(name, flow)
            self._fly(self.now + 3_000, name, lambda now, out: self.ends[name].stream_closed(now, flow, out))

    def _sent(self, name: str, data: bytes) -> None:
        message = parse(data)
        if isinstance(message, Response) and message.status >= 200:
            self.finals.setdefault((name, message.branch, message.cseq[1]), set()).add(message.status)

    def _came(self, name: str, data: bytes) -> None:
        message = parse(data)
        if isinstance(message, Request) and message.method != "ACK":
            self.arrived.add((name, message.branch, message.method))

    def _told(self, name: str, record: Output) -> None:
        mine = self.programs[name]
        if isinstance(record, Invited):
            mine.incoming.append(record.leg)
            mine.outcome[record.leg] = []
        elif isinstance(record, Answered | Failed):
            mine.outcome[record.leg].append("answered" if isinstance(record, Answered) else "failed")
            if isinstance(record, Answered):
                mine.to_ack.append(record.leg)
        elif isinstance(record, Cancelled):
            mine.outcome[record.leg].append("cancelled")
        elif isinstance(record, Ended):
            mine.outcome[record.leg].append("ended")
        elif isinstance(record, Ringing):
            if record.offer:
                mine.to_prack.append(record.leg)
        elif isinstance(record, OfferAnswered | OfferRefused):
            self.over(mine, record)
        elif isinstance(record, Offered):
            mine.reinvited.append(record.leg)
        elif isinstance(record, Requested):
            mine.asked.append(record.handle)
        elif isinstance(record, Responded):
            mine.requests[record.handle] += 1
        elif isinstance(record, SubscriptionAsked):
            mine.to_accept.append(record.subscription)
            mine.subscriptions[record.subscription] = 0
        elif isinstance(record, SubscriptionRenewed):
            mine.serving.append(record.subscription)
        elif isinstance(record, SubscriptionEnded):
            mine.subscriptions[record.subscription] += 1
        elif isinstance(record, DialogChanged):
            assert mine.announced.get(record.dialog.leg) is not False
            mine.announced[record.dialog.leg] = True
        elif isinstance(record, DialogEnded):
            assert mine.announced[record.leg]
            mine.announced[record.leg] = False
        elif isinstance(record, Acked | Notified | Subscribed):
            pass

    def over(self, mine: Program, record: OfferAnswered | OfferRefused) -> None:
        """An offer has its outcome; one without a body is acknowledged by the program."""
        known = mine.offers.setdefault((record.leg, record.offer), [])
        known.append(isinstance(record, OfferAnswered))
        if isinstance(record, OfferAnswered) and (record.leg, record.offer) in mine.asking:
            mine.to_ack.append(record.leg)

    def step(self, until: int) -> bool:
        """What comes next, unless it is after `until`."""
        due = [(at, name) for name, end in self.ends.items() if (at := end.next_deadline()) is not None]
        first = min(due)[0] if due else None
        flying = self._flying[0][0] if self._flying else None
        times = [at for at in (first, flying) if at is not None]
        if not times or min(times) > until:
            return False
        self.now = max(self.now, min(times))
        if flying is not None and (first is None or flying <= first):
            _, _, name, call = heappop(self._flying)
            self.do(name, call)
        else:
            name = min(due)[1]
            self.do(name, self.ends[name].handle_timeout)
        return True

    def run(self, us: int) -> None:
        until = self.now + us
        while self.step(until):
            pass
        self.now = until

    def act(self, name: str) -> None:
        """Something that a program may do, sensible or not."""
        end, mine, lots = self.ends[name], self.programs[name], self.lots
        place = {"listener": self.transport, "destination": PLACES["b" if name == "a" else "a"]}
        place |= {"uri": f"sip:x@192.0.2.{2 if name == 'a' else 1}", "from_": "<sip:m@h>", "to": "<sip:p@h>"}
        leg = lots.choice(mine.legs + mine.incoming + [0])
        subscription = lots.choice([*mine.subscriptions, 0])

        def invite(now: int, out: list[Output]) -> None:
            body = lots.choice([b"", b"v=0\r\n"])
            reliable = lots.choice(["no", "supported", "supported", "required"])
            made = end.invite(now, out, **place, body=body, reliable=reliable)  # type: ignore[arg-type]
            mine.legs.append(made)
            mine.outcome[made] = []

        def offer(now: int, out: list[Output]) -> None:
            body = lots.choice([b"", b"v=1\r\n", b"v=1\r\n"])
            # What is told of it may come in the same call.
            number = 1 + max([number for at, number in mine.offers if at == leg], default=0)
            mine.offers[leg, number] = []
            if not body:
                mine.asking[leg, number] = None
            try:
                assert end.offer(now, leg, out, body=body) == number
            except LocalError:
                del mine.offers[leg, number]
                mine.asking.pop((leg, number), None)
                raise

        def ring(now: int, out: list[Output]) -> None:
            body, reliable = lots.choice([b"", b"v=2\r\n"]), lots.choice([None, None, True, False])
            end.provisional(now, leg, lots.choice([180, 183]), out, body=body, reliable=reliable)

        def request(now: int, out: list[Output]) -> None:
            mine.requests[end.request(now, out, method="OPTIONS", **place)] = 0  # type: ignore[arg-type]

        def send(now: int, out: list[Output]) -> None:
            mine.requests[end.send(now, leg, "INFO", out)] = 0

        def subscribe(now: int, out: list[Output]) -> None:
            made = end.subscribe(now, out, event="dialog", expires_s=lots.choice([0, 5, 60]), **place)  # type: ignore[arg-type]
            mine.subscriptions[made] = 0

        acts: list[Act] = [
            invite,
            request,
            send,
            subscribe,
            lambda now, out: end.cancel(now, leg, out),
            lambda now, out: end.bye(now, leg, out),
            offer,
            offer,
            ring,
            lambda now, out: end.accept(now, leg, out, body=b"v=3\r\n"),
            lambda now, out: end.accept(now, leg, out, body=b"v=3\r\n"),
            lambda now, out: end.reject(now, leg, 486, out),
            lambda now, out: end.unsubscribe(now, subscription, out),
            lambda now, out: end.resubscribe(now, subscription, out),
            lambda now, out: end.notify(now, subscription, out),
            lambda now, out: end.notify(now, subscription, out, state="terminated"),
        ]
        self.do(name, lots.choice(acts))

    def duties(self, name: str) -> None:
        """What a program owes: answers and ACKs."""
        end, mine, lots = self.ends[name], self.programs[name], self.lots

        def take(owed: list[int]) -> list[int]:
            taken = [each for each in owed if self.calm or lots.random() < 0.4]
            owed[:] = [each for each in owed if each not in taken]
            return taken

        for leg in take(mine.to_prack):
            self.do(name, lambda now, out, at=leg: end.prack(now, at, out, body=b"v=4\r\n"))  # type: ignore[misc]
        for leg in take(mine.to_ack):
            self.do(name, lambda now, out, at=leg: end.ack(now, at, out, body=b"v=5\r\n"))  # type: ignore[misc]
        for leg in take(mine.reinvited):
            if lots.random() < 0.7:
                self.do(name, lambda now, out, at=leg: end.answer_offer(now, at, out, body=b"v=6\r\n"))  # type: ignore[misc]
            else:
                self.do(name, lambda now, out, at=leg: end.refuse_offer(now, at, 488, out))  # type: ignore[misc]
        for handle in take(mine.asked):
            status = lots.choice([200, 200, 403])
            self.do(name, lambda now, out, at=handle, to=status: end.respond(now, at, to, out))  # type: ignore[misc]
        for handle in take(mine.to_accept):
            if lots.random() < 0.8:
                self.do(name, lambda now, out, at=handle: end.accept_subscription(now, at, out))  # type: ignore[misc]
                mine.serving.append(handle)
            else:
                self.do(name, lambda now, out, at=handle: end.reject_subscription(now, at, 403, out))  # type: ignore[misc]
        for handle in take(mine.serving):
            self.do(name, lambda now, out, at=handle: end.notify(now, at, out))  # type: ignore[misc]

    def close(self, name: str) -> None:
        """End every call and subscription."""
        end, mine = self.ends[name], self.programs[name]
        for leg in [*mine.legs, *mine.incoming]:
            self.do(name, lambda now, out, at=leg: end.cancel(now, at, out))  # type: ignore[misc]
            self.do(name, lambda now, out, at=leg: end.reject(now, at, 480, out))  # type: ignore[misc]
            self.do(name, lambda now, out, at=leg: end.bye(now, at, out))  # type: ignore[misc]
        for handle in list(mine.subscriptions):
            self.do(name, lambda now, out, at=handle: end.notify(now, at, out, state="terminated"))  # type: ignore[misc]
            self.do(name, lambda now, out, at=handle: end.unsubscribe(now, at, out))  # type: ignore[misc]


def weather(seed: int, transport: str, turns: int = 120) -> Storm:
    storm = Storm(seed, transport)
    for _ in range(turns):
        name = storm.lots.choice("ab")
        storm.act(name)
        for each in "ab":
            storm.duties(each)
        if transport == "tcp" and storm.lots.random() < 0.05:
            storm.cut_one()
        storm.run(storm.lots.choice([0, 20_000, 500_000, 3 * SECOND]))
    storm.calm = True
    # Where the stream of an answer breaks, the INVITE waits for timer C.
    for _ in range(200):
        for name in "ab":
            storm.duties(name)
        storm.run(2 * SECOND)
    for mine in storm.programs.values():
        for (leg, _), outcomes in mine.offers.items():
            assert len(outcomes) == 1 or (not mine.announced.get(leg) and not outcomes)
    for turn in range(160):
        for name in "ab":
            storm.duties(name)
            if turn % 40 == 0:
                storm.close(name)
        storm.run(2 * SECOND)
    storm.run(400 * SECOND)
    return storm


def judge(storm: Storm) -> None:
    for name, end in storm.ends.items():
        mine = storm.programs[name]
        counts = end.counts()
        assert {**counts, "flows": 0} == dict.fromkeys(counts, 0)
        assert end.next_deadline() is None
        assert set(mine.requests.values()) <= {1}
        assert all(len(outcomes) <= 1 for outcomes in mine.offers.values())
        # A subscription that the program ends by a last notify or by refusing ends without a word.
        assert set(mine.subscriptions.values()) <= {0, 1}
        assert not any(mine.announced.values())
        for leg in mine.legs:
            assert mine.outcome[leg] in (["failed"], ["answered"], ["answered", "ended"])
        for leg in mine.incoming:
            assert mine.outcome[leg] in ([], ["cancelled"], ["ended"])
    for key in storm.arrived:
        answers = len(storm.finals.get(key, ()))
        # An answer whose stream breaks, and that finds no other, is lost.
        assert answers == 1 or (answers == 0 and storm.transport == "tcp"), (key, storm.finals.get(key))


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("seed", range(STORMS))
def test_every_request_has_one_final_response_and_nothing_is_left(seed: int, transport: str) -> None:
    judge(weather(seed, transport))
