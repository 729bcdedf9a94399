"""Messages that cross: for each pair of things that the two ends of a call can do at the same moment, in both orders,
with loss, repetition and reordering, nothing is left and both ends agree on the session or on its end."""

from heapq import heappush
from typing import NamedTuple

import pytest

from sip_proto import (
    Acked,
    Answered,
    Cancelled,
    Ended,
    Endpoint,
    EndpointSettings,
    Failed,
    Invited,
    OfferAnswered,
    Offered,
    OfferRefused,
    OfferWithdrawn,
    Output,
    Pracked,
    Referred,
    Requested,
    Ringing,
    Timings,
    Transmit,
)
from tests.sip_proto.pair import DELAY_US, A, B, Pair

MS = 1_000
SECOND = 1_000_000
# When the two act: half of the shortest session, so that a refresh is due as well where the timer is one of them.
MOMENT_US = 45 * SECOND

# What one end does. "timer" does nothing: it lets what is due happen. "final" answers what the other end asked, an
# "empty re-invite" asks the other end for its offer.
DEEDS = (
    *("bye", "cancel", "re-invite", "empty re-invite", "update", "prack"),
    *("refer", "final 2xx", "final refusal", "timer"),
)

# The states of a call that two deeds may meet in. In "ring" the callee's reliable 183 has the answer and is
# acknowledged; in "prack" it has the offer and the caller owes the answer; in "offer" the end that is named asked for a
# change, and the other end's program has not answered yet.
PHASES = ("ring", "prack", "talk", "offer of a", "offer of b")
_TALK = ("talk", "offer of a", "offer of b")

# Where the caller (a) and the callee (b) can do it.
PLACES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # Before the answer a caller hangs up by CANCEL; a callee answers first, which is a deed in one breath here.
    "bye": (_TALK, ("ring", "prack", *_TALK)),
    # Only who has an INVITE out can take it back.
    "cancel": (("ring", "prack", "offer of a"), ("offer of b",)),
    # Before the answer an offer is an UPDATE; the callee answers first.
    "re-invite": (_TALK, ("ring", "prack", *_TALK)),
    "empty re-invite": (_TALK, ("ring", "prack", *_TALK)),
    # With an offer before the answer; an offer of the callee waits while its first one is open.
    "update": (("ring", *_TALK), ("ring", "prack", *_TALK)),
    # A callee has nothing to acknowledge: there are no reliable 1xx to re-INVITEs here.
    "prack": (("prack",), ()),
    # In answered calls; a callee may answer and refer at once, but not while its 2xx waits for PRACK.
    "refer": (_TALK, ("ring", *_TALK)),
    # Whoever was asked.
    "final 2xx": (("offer of b",), ("ring", "prack", "offer of a")),
    "final refusal": (("offer of b",), ("ring", "prack", "offer of a")),
    # The caller's INVITE rings too long; a session is to be refreshed; a 183 is sent again until its PRACK.
    "timer": (("ring", *_TALK), ("prack", *_TALK)),
}

NO_PRACK = "only a caller acknowledges provisional responses"
# Pairs (the caller's, the callee's) that cannot meet, and why.
IMPOSSIBLE: dict[tuple[str, str], str] = {
    **{(deed, "prack"): NO_PRACK for deed in DEEDS},
    ("prack", "cancel"): "before the answer the callee has no INVITE out",
    ("prack", "refer"): "the 2xx waits for the PRACK, and the REFER for the 2xx",
    ("cancel", "cancel"): "one INVITE at a time: the second gets 491",
    **{(mine, yours): "one exchange at a time: the second gets 491" for mine in ("final 2xx", "final refusal")
       for yours in ("final 2xx", "final refusal")},
}
OFFSETS_US = (-25 * MS, -5 * MS, -1, 1, 5 * MS, 25 * MS)


def meetings(mine: str, yours: str) -> list[str]:
    """The phases in which the caller's and the callee's deed can meet."""
    return [phase for phase in PHASES if phase in PLACES[mine][0] and phase in PLACES[yours][1]]


class Weather(NamedTuple):
    """What the link does for the 100 s after the moment: loses the datagram number `lost`, every `nth`, or all for
    `down_us`; brings each three times; delays every second."""

    lost: int = 0
    nth: int = 0
    down_us: int = 0
    thrice: bool = False
    mixed: bool = False

    def loses(self, number: int, late_us: int) -> bool:
        return number == self.lost or late_us < self.down_us or (self.nth > 0 and number % self.nth == 0)


WEATHERS = (Weather(), Weather(thrice=True), Weather(mixed=True))
# For those that truly cross.
STORMS = (
    *(Weather(lost) for lost in range(1, 7)),
    *(Weather(nth=2), Weather(nth=3), Weather(down_us=900 * MS), Weather(down_us=40 * SECOND)),
)


def session_s(name: str, phase: str, mine: str, yours: str) -> int:
    """The session timer of an end: long where no deed is the timer; of the shortest session the caller refreshes, or
    the callee where the caller knows no timers."""
    if phase not in _TALK or "timer" not in (mine, yours):
        return 1800
    return 0 if name == "a" and mine != "timer" else 90


class Crossing(Pair):
    """A call of a to b, brought into a phase; then both act within a few milliseconds."""

    def __init__(self, phase: str, mine: str, yours: str, offset_us: int, weather: Weather) -> None:
        super().__init__()
        for name, address in (("a", A), ("b", B)):
            deed = mine if name == "a" else yours
            timings = Timings(ring_us=35 * SECOND - DELAY_US) if deed == "timer" and phase == "ring" else Timings()
            long_s = session_s(name, phase, mine, yours)
            self.ends[name] = Endpoint(
                EndpointSettings({"udp": address}, timings=timings, session_s=long_s), name.encode()
            )
        self.phase = phase
        self.weather = weather
        self.since: int | None = None
        self.legs: dict[str, int] = {}
        self.up = {"a": True, "b": True}
        self.numbers = {"a": 0, "b": 0}
        # What each end takes the session to be: its own description and the peer's.
        self.session: dict[str, tuple[bytes, bytes]] = {}
        self.offered: dict[tuple[str, int], bytes] = {}
        # What an end offered in a response: ACK or PRACK has the answer.
        self.proposals: dict[str, bytes] = {}
        self.asked: dict[str, bytes | None] = {"a": None, "b": None}
        self.first = b""
        self.owes_prack = False
        self.last_offer = {"a": 0, "b": 0}
        self.accepted = self.answered = self.acted = False
        self.moment = 1_000_000 + MOMENT_US
        self.reach(phase)
        self.act(mine, yours, offset_us)

    # The programs at both ends.

    def post(self, name: str, out: list[Output]) -> None:
        weather = self.weather
        for record in out:
            if isinstance(record, Transmit) and self.since is not None:
                self.since += 1
                self.wire.append((name, record.data))
                if weather.loses(self.since, self.now - self.moment):
                    self._count += 1
                    continue
                source = A if name == "a" else B
                to = "b" if name == "a" else "a"
                slow_us = 35 * MS if weather.mixed and self.since % 2 else 0
                for late_us in (0, 7 * MS, 600 * MS) if weather.thrice else (slow_us,):
                    self._count += 1
                    heappush(self._flying, (self.now + DELAY_US + late_us, self._count, to, source, record.data))
            else:
                super().post(name, [record])
                for said in self.take(name):
                    self.decide(name, said)

    def describe(self, name: str) -> bytes:
        self.numbers[name] += 1
        return f"v=0 {name}{self.numbers[name]}\r\n".encode()

    def decide(self, name: str, record: Output) -> None:
        end = self.ends[name]
        if isinstance(record, Invited):
            self.legs[name] = record.leg
            self.first = record.request.body
        elif isinstance(record, Failed | Cancelled | Ended):
            self.up[name] = False
        elif isinstance(record, Ringing):
            if record.offer:
                self.owes_prack = True
                self.first = record.response.body
            elif record.reliable and record.response.body:
                self.session[name] = (self.first_offer, record.response.body)
        elif isinstance(record, Answered):
            self.answered = True
            if record.response.body and name not in self.session:
                self.session[name] = (self.first_offer, record.response.body)
            self.do(name, lambda now, out: end.ack(now, self.legs[name], out))
        elif isinstance(record, Pracked):
            if record.request.body:
                self.session[name] = (self.proposals[name], record.request.body)
        elif isinstance(record, Offered):
            self.asked[name] = record.request.body
            if self.phase != f"offer of {'b' if name == 'a' else 'a'}" or self.acted:
                self.answer(name, accept=True)
        elif isinstance(record, OfferWithdrawn):
            self.asked[name] = None
        elif isinstance(record, OfferRefused):
            # Whoever gets no answer in a dialog ends it (RFC 3261 section 12.2.1.2): in an answered call the endpoint
            # does, before that the program.
            if record.status == 408 and self.up[name] and not self.accepted:
                self.deed(name, "cancel" if name == "a" else "final refusal")
        elif isinstance(record, OfferAnswered):
            mine = self.offered[name, record.offer]
            self.session[name] = (mine or self.describe(name), record.response.body)
            if not mine:
                self.do(name, lambda now, out: end.ack(now, self.legs[name], out, body=self.session[name][0]))
        elif isinstance(record, Acked):
            if record.request.body:
                self.session[name] = (self.proposals[name], record.request.body)
        elif isinstance(record, Requested):
            self.do(name, lambda now, out: end.respond(now, record.handle, 200, out))
        elif isinstance(record, Referred):
            self.do(name, lambda now, out: end.accept_referral(now, record.referral, out))
            self.do(name, lambda now, out: end.report_referral(now, record.referral, 180, out))
            self.do(name, lambda now, out: end.report_referral(now, record.referral, 200, out))

    def answer(self, name: str, *, accept: bool) -> None:
        offer, self.asked[name] = self.asked[name], None
        if offer is None:
            return
        end, leg = self.ends[name], self.legs[name]
        if accept:
            body = self.describe(name)
            if offer:
                self.session[name] = (body, offer)
            else:
                self.proposals[name] = body
            self.do(name, lambda now, out: end.answer_offer(now, leg, out, body=body))
        else:
            self.do(name, lambda now, out: end.refuse_offer(now, leg, 488, out))

    def offer(self, name: str, *, empty: bool = False) -> None:
        body = b"" if empty else self.describe(name)
        end, leg = self.ends[name], self.legs[name]
        # The outcome may be told before the number is returned, so the next number is known by counting.
        number = self.last_offer[name] = self.last_offer[name] + 1
        self.offered[name, number] = body
        assert self.do(name, lambda now, out: end.offer(now, leg, out, body=body)) == number

    # How a call gets into a phase.

    def reach(self, phase: str) -> None:
        self.first_offer = b"" if phase == "prack" else self.describe("a")
        self.legs["a"] = self.invite(self.first_offer)
        self.run(30 * MS)
        if phase in ("ring", "prack"):
            # In "prack" the 183 is sent again just then; in "ring" it leaves the caller's timer C to end then.
            self.until(self.moment - 500 * MS if phase == "prack" else self.moment - 35 * SECOND)
            body = self.describe("b")
            if phase == "ring":
                self.session["b"] = (body, self.first_offer)
            else:
                self.proposals["b"] = body
            leg = self.legs["b"]
            self.do("b", lambda now, out: self.b.provisional(now, leg, 183, out, body=body))
            self.run(100 * MS)
            return
        self.accept_call()
        self.until(self.moment - 5 * SECOND)
        # All that is left then is a session timer.
        due = [at for end in self.ends.values() if (at := end.next_deadline()) is not None]
        if due and min(due) < self.now + 10 * SECOND:
            self.moment = min(due)
        if phase != "talk":
            self.until(self.moment - 100 * MS)
            self.offer(phase[-1])

    def until(self, at: int) -> None:
        self.run(max(0, at - self.now))

    def accept_call(self) -> None:
        self.accepted = True
        leg = self.legs["b"]
        body = b""
        if self.phase != "prack" and "b" not in self.session:
            body = self.describe("b")
            self.session["b"] = (body, self.first)
        self.do("b", lambda now, out: self.b.accept(now, leg, out, body=body))
        if self.phase not in ("ring", "prack"):
            self.run(100 * MS)

    # The moment.

    def act(self, mine: str, yours: str, offset_us: int) -> None:
        self.until(self.moment + min(0, offset_us))
        self.since = 0
        self.acted = True
        deeds = [("a", mine), ("b", yours)]
        if offset_us < 0:
            deeds.reverse()
        self.deed(*deeds[0])
        self.run(abs(offset_us))
        self.deed(*deeds[1])

    def deed(self, name: str, deed: str) -> None:
        if not self.up[name]:
            return
        end, leg = self.ends[name], self.legs[name]
        early = self.phase in ("ring", "prack")
        if deed in ("bye", "refer", "re-invite", "empty re-invite") and early:
            self.accept_call()
        if deed == "bye":
            self.do(name, lambda now, out: end.bye(now, leg, out))
            self.up[name] = False
        elif deed == "cancel" and early:
            # Whoever is answered while it reaches for the key hangs up.
            ends = end.bye if self.answered else end.cancel
            self.do(name, lambda now, out: ends(now, leg, out))
            self.up[name] = False
        elif deed == "cancel":
            self.do(name, lambda now, out: end.withdraw_offer(now, leg, self.last_offer[name], out))
        elif deed == "re-invite" or (deed == "update" and early):
            self.offer(name)
        elif deed == "empty re-invite":
            self.offer(name, empty=True)
        elif deed == "update":
            self.do(name, lambda now, out: end.send(now, leg, "UPDATE", out))
        elif deed == "prack":
            body = self.describe(name)
            self.session[name] = (body, self.first)
            self.owes_prack = False
            self.do(name, lambda now, out: end.prack(now, leg, out, body=body))
        elif deed == "refer":
            self.do(name, lambda now, out: end.refer(now, leg, out, refer_to="sip:carol@192.0.2.9"))
        elif deed.startswith("final") and not early:
            self.answer(name, accept=deed == "final 2xx")
        elif deed == "final 2xx":
            self.accept_call()
        elif deed == "final refusal":
            self.do(name, lambda now, out: end.reject(now, leg, 486, out))
            self.up[name] = False
        else:
            assert deed == "timer"


    # What is left of it.

    def judge(self) -> None:
        self.run(2 * SECOND)
        for name in ("a", "b"):
            if self.up[name]:
                self.answer(name, accept=True)
        self.run(100 * SECOND)
        self.since = None
        if self.weather.down_us > 32 * SECOND:
            # Where a BYE was lost for good, the session timer tells the other end.
            self.run(2_000 * SECOND)
        if self.up["b"] and not self.accepted:
            # A phone that still rings is picked up.
            self.accept_call()
            self.run(40 * SECOND)
        assert self.up["a"] == self.up["b"]
        if self.up["a"]:
            self.agree()
            for name in ("a", "b"):
                # The session can still be changed from both sides.
                self.offer(name)
                self.run(SECOND)
                assert self.session[name][0] == self.offered[name, self.last_offer[name]]
                self.agree()
            self.run(40 * SECOND)
            for end in self.ends.values():
                left = {table for table, count in end.counts().items() if count}
                assert left <= {"legs", "dialogs", "timers"}
                assert end.counts()["timers"] <= 1
            self.do("a", lambda now, out: self.a.bye(now, self.legs["a"], out))
        self.settle()
        assert self.a.idle()
        assert self.b.idle()

    def agree(self) -> None:
        """Each end's own description is the other's picture of it."""
        own, peer = self.session["a"]
        assert self.session["b"] == (peer, own)


CROSSINGS = [(mine, yours) for mine in DEEDS for yours in DEEDS if (mine, yours) not in IMPOSSIBLE]


@pytest.mark.slow
@pytest.mark.parametrize(("mine", "yours"), CROSSINGS)
def test_two_that_cross_leave_nothing_and_agree(mine: str, yours: str) -> None:
    for phase in meetings(mine, yours):
        for offset_us in OFFSETS_US:
            for weather in WEATHERS + (STORMS if abs(offset_us) == 1 else ()):
                try:
                    Crossing(phase, mine, yours, offset_us, weather).judge()
                except Exception as error:
                    error.add_note(f"{mine} of a, {yours} of b, in {phase!r}, {offset_us} us, {weather}")
                    raise


def test_every_pair_meets_somewhere_or_says_why_not() -> None:
    for mine in DEEDS:
        for yours in DEEDS:
            assert bool(meetings(mine, yours)) != ((mine, yours) in IMPOSSIBLE), (mine, yours)
