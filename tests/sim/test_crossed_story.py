"""Two phones and a program that all do something at once: in the end both phones agree on the session, or on its end.

Every pair of deeds, in both orders and at several distances; then storms of them, with loss and repetition.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from sip_proto import LocalError
from tests.sim.actors import Client
from tests.sim.cluster import Cluster
from tests.sim.session_phone import SessionPhone, phone
from tests.sim.test_sessions_story import agree, over
from tests.sim.world import MILLISECOND, SECOND
from tlib_proto import MessageType

M = MessageType
Deed = Callable[["Scene"], None]


class Scene:
    """A call, answered or ringing, and everybody who can do something about it."""

    def __init__(self, seed: int, *, answered: bool) -> None:
        self.cluster = Cluster(1, seed=seed)
        self.one, self.other = phone(self.cluster, "1001", "n1"), phone(self.cluster, "1002", "n1")
        self.desk: Client = self.cluster.desktop("n1", "1001")
        self.one.call("1002")
        self.cluster.world.until(lambda: self.other.has("ringing"))
        self.cluster.settle()
        self.numbers: dict[str, int] = {}
        if answered:
            self.other.answer()
            self.cluster.world.until(lambda: self.one.has("talking"))
        else:
            self.other.progress()
        self.cluster.settle()

    @property
    def phones(self) -> tuple[SessionPhone, SessionPhone]:
        return self.one, self.other

    def do(self, deed: Deed) -> None:
        try:
            deed(self)
        except (LocalError, AssertionError, StopIteration):  # the phone's call has moved on meanwhile
            return

    def request(self, kind: MessageType) -> None:
        for conn_id in self.desk.pictures["1001"].calls:
            self.desk.request(kind, ThisDN="1001", ConnID=conn_id)

    def ends_well(self) -> None:
        """Nothing is under way any more: both agree, and when they hang up nothing stays."""
        for there in self.phones:
            there.on_offer = "answer"
            if there.thinks:
                self.do(lambda scene, there=there: there.decide())  # type: ignore[misc]
        self.cluster.settle(40 * SECOND)
        one, other = (there.has("talking") for there in self.phones)
        assert one == other, [there.calls for there in self.phones]
        if one:
            agree(*self.phones)
        self.cluster.check()
        over(self.cluster)
        assert not any(m.ref == 0 and m.id == M.EventError for m in self.desk.events)


def offers(who: str, direction: str) -> Deed:
    def deed(scene: Scene) -> None:
        scene.numbers[who] = getattr(scene, who).hold(direction)

    return deed


def refreshes(who: SessionPhone) -> None:
    """UPDATE with what the phone has said, unless an offer of its own is open (RFC 3311 section 5.1)."""
    if not who.out_offers:
        who.send("UPDATE", who.mine[who.leg("talking")], "application/sdp")


def withdraws(who: str) -> Deed:
    return lambda scene: getattr(scene, who).withdraw(scene.numbers.get(who, 0))


ANSWERED: dict[str, Deed] = {
    "one holds": offers("one", "sendonly"),
    "other holds": offers("other", "sendonly"),
    "one asks": lambda scene: setattr(scene, "_", scene.one.ask_for_offer()),
    "other updates": lambda scene: refreshes(scene.other),
    "one hangs up": lambda scene: scene.one.hang_up(),
    "other hangs up": lambda scene: scene.other.hang_up(),
    "program holds": lambda scene: scene.request(M.RequestHoldCall),
    "program releases": lambda scene: scene.request(M.RequestReleaseCall),
    "one transfers": lambda scene: scene.one.transfer("1004"),
    "one sends digits": lambda scene: scene.one.send("INFO", b"Signal=1", "application/dtmf-relay"),
}

RINGING: dict[str, Deed] = {
    "other answers": lambda scene: scene.other.answer(),
    "other refuses": lambda scene: scene.other.reject(486),
    "one gives up": lambda scene: scene.one.hang_up(),
    "one updates": lambda scene: setattr(scene, "_", scene.one.update("sendonly")),
    "other updates": lambda scene: setattr(scene, "_", scene.other.update("recvonly")),
    "other describes again": lambda scene: scene.other.progress(),
    "program releases": lambda scene: scene.request(M.RequestReleaseCall),
}


def pairs(deeds: dict[str, Deed]) -> list[tuple[str, str]]:
    return [(first, second) for first in deeds for second in deeds if first != second]


@pytest.mark.parametrize(("first", "second"), pairs(ANSWERED), ids=lambda name: name.replace(" ", "-"))
def test_two_deeds_that_cross_in_an_answered_call(first: str, second: str) -> None:
    for distance_us in (0, 4_000):
        scene = Scene(distance_us, answered=True)
        scene.do(ANSWERED[first])
        scene.cluster.settle(distance_us)
        scene.do(ANSWERED[second])
        scene.ends_well()


@pytest.mark.parametrize(("first", "second"), pairs(RINGING), ids=lambda name: name.replace(" ", "-"))
def test_two_deeds_that_cross_in_a_call_that_rings(first: str, second: str) -> None:
    for distance_us in (0, 4_000):
        scene = Scene(distance_us, answered=False)
        scene.do(RINGING[first])
        scene.cluster.settle(distance_us)
        scene.do(RINGING[second])
        scene.ends_well()


@pytest.mark.parametrize("seed", [*range(20), 154, 374, 1448, 1453])
def test_a_storm_of_deeds_over_lossy_wires(seed: int) -> None:
    rng = random.Random(seed)
    scene = Scene(seed, answered=rng.random() < 0.7)
    wires = scene.cluster.world.wires
    wires.loss, wires.duplicate = rng.choice((0.0, 0.1, 0.2)), rng.choice((0.0, 0.2))
    wires.jitter_us = rng.choice((0, 30_000))
    quiet = [name for name in ANSWERED if "hangs" not in name and "releases" not in name and "transfers" not in name]
    deeds = {**{name: ANSWERED[name] for name in quiet}, **RINGING}
    deeds = {name: deed for name, deed in deeds.items() if name not in ("other refuses", "one gives up")}
    deeds.pop("program releases", None)
    deeds |= {f"{who} withdraws": withdraws(who) for who in ("one", "other")}
    for _ in range(12):
        for there in scene.phones:
            there.on_offer = rng.choice(("answer", "answer", "answer", "think", "488", "491"))
        scene.do(deeds[rng.choice(list(deeds))])
        scene.cluster.settle(rng.choice((0, 5 * MILLISECOND, 300 * MILLISECOND, 2 * SECOND)))
    if not scene.one.has("talking"):
        scene.do(RINGING["other answers"])
    wires.loss = wires.duplicate = 0.0
    wires.jitter_us = 0
    scene.ends_well()
