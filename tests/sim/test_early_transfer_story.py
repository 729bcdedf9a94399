"""What the target of a transfer says before it answers is heard by who stays, and what becomes of it; told as stories.

1001 talks to 1002, who hands it on to 1003.
"""

from __future__ import annotations

import random

import pytest

from sip_proto import LocalError
from tests.sim.cluster import TRUNK, Cluster
from tests.sim.session_phone import Forker, SessionPhone, phone
from tests.sim.test_sessions_story import agree, both_hear, over
from tests.sim.transfer_cast import told
from tests.sim.world import MILLISECOND, SECOND
from tlib_proto import MessageType

M = MessageType


class Stage:
    """The three of them, and a desktop at each; 1001 and 1002 are talking."""

    def __init__(self, *, target: str = "supported", seed: int = 1) -> None:
        self.cluster = cluster = Cluster(seed=seed)
        self.a, self.b = phone(cluster, "1001", "n1"), phone(cluster, "1002", "n2")
        self.c = phone(cluster, "1003", "n1", reliable=target)
        self.desks = {dn: cluster.desktop("n1", dn) for dn in ("1001", "1002", "1003")}
        self.a.call("1002")
        cluster.world.until(lambda: self.b.has("ringing"))
        cluster.settle()
        self.b.answer()
        cluster.world.until(lambda: self.a.has("talking"))
        cluster.settle()
        (self.conn_id,) = self.desks["1001"].pictures["1001"].calls
        for there in (self.a, self.b, *self.desks.values()):
            there.forget()

    def rings(self, number: str = "1003") -> None:
        """1002 sends REFER, and 1003 rings."""
        self.b.transfer(number)
        self.cluster.world.until(lambda: self.c.has("ringing"))
        self.cluster.settle()

    def describes(self) -> None:
        """1003 describes itself."""
        self.c.progress()
        self.cluster.settle()

    def heard(self) -> None:
        """1001 hears what 1003 says before it answers."""
        self.rings()
        self.describes()
        assert self.c.said[-1] == "pracked sendrecv"
        assert self.a.hears() == (self.c.port, True, True)

    def answers(self) -> None:
        """1003 answers."""
        self.c.answer()
        self.cluster.settle(SECOND)

    def refuses(self) -> None:
        """1003 refuses."""
        self.c.reject(486)
        self.cluster.settle(2 * SECOND)
        assert told(self.b)[-2:] == ["report 486", "refer over terminated"]


class TestWhoStays:
    def test_hears_the_target_before_it_answers_and_then(self) -> None:
        stage = Stage()
        stage.heard()
        assert stage.a.said == ["reinvited sendrecv"]
        assert stage.a.heard["P-Asserted-Identity"] == "<sip:1003@sim.example>"
        assert stage.desks["1001"].names() == stage.desks["1002"].names() == []
        stage.answers()
        assert stage.a.said == ["reinvited sendrecv"]
        assert told(stage.b) == ["refer 202", "report 180", "report 183", "report 200", "refer over terminated"]
        both_hear(stage.a, stage.c)
        over(stage.cluster)

    def test_is_back_where_it_was_when_the_target_refuses(self) -> None:
        stage = Stage()
        stage.heard()
        stage.refuses()
        assert stage.a.heard["P-Asserted-Identity"] == "<sip:1002@sim.example>"
        assert stage.b.has("talking")
        assert not [word for word in stage.b.said if word.startswith("reinvited")]
        both_hear(stage.a, stage.b)
        assert stage.desks["1001"].names() == stage.desks["1002"].names() == []
        over(stage.cluster)

    def test_is_back_where_it_was_when_nobody_answers(self) -> None:
        stage = Stage()
        stage.heard()
        stage.cluster.settle(62 * SECOND)
        both_hear(stage.a, stage.b)
        over(stage.cluster)

    @pytest.mark.parametrize("who", ["1001", "1002"])
    def test_is_held_as_it_was(self, who: str) -> None:
        stage = Stage()
        holds, other = (stage.a, stage.b) if who == "1001" else (stage.b, stage.a)
        holds.hold()
        stage.cluster.settle()
        stage.rings()
        stage.describes()
        assert stage.a.hears()[0] == stage.c.port
        stage.refuses()
        agree(stage.a, stage.b)
        assert other.hears() == (holds.port, False, True)
        over(stage.cluster)

    def test_hears_the_target_when_the_transferor_is_gone(self) -> None:
        stage = Stage()
        stage.rings()
        stage.b.hang_up()
        stage.cluster.settle()
        stage.describes()
        assert stage.a.hears() == (stage.c.port, True, True)
        stage.answers()
        both_hear(stage.a, stage.c)
        over(stage.cluster)

    @pytest.mark.parametrize("ends", ["answers", "refuses"])
    def test_hears_the_target_when_the_transferor_hangs_up(self, ends: str) -> None:
        stage = Stage()
        stage.heard()
        stage.b.hang_up()
        stage.cluster.settle()
        assert stage.a.hears() == (stage.c.port, True, True)
        if ends == "answers":
            stage.answers()
            both_hear(stage.a, stage.c)
        else:
            stage.c.reject(486)
            stage.cluster.settle(SECOND)
            assert not stage.a.calls
        over(stage.cluster)

    def test_hears_the_target_of_a_program_s_transfer(self) -> None:
        stage = Stage()
        desk = stage.desks["1002"]
        released = desk.ask(M.RequestSingleStepTransfer, ThisDN="1002", ConnID=stage.conn_id, OtherDN="1003")
        assert released.id == M.EventReleased
        stage.describes()
        assert stage.a.hears() == (stage.c.port, True, True)
        stage.answers()
        both_hear(stage.a, stage.c)
        over(stage.cluster)

    def test_hears_the_target_of_a_mute_transfer(self) -> None:
        stage = Stage()
        desk = stage.desks["1002"]
        released = desk.ask(M.RequestMuteTransfer, ThisDN="1002", ConnID=stage.conn_id, OtherDN="1003")
        assert released.id == M.EventReleased
        stage.cluster.settle()
        stage.describes()
        assert stage.a.hears() == (stage.c.port, True, True)
        stage.answers()
        both_hear(stage.a, stage.c)
        over(stage.cluster)

    def test_hears_whom_a_router_sends_it_to(self) -> None:
        stage = Stage()
        router = stage.cluster.router("n1", "8000")
        stage.b.transfer("8000")
        stage.cluster.world.until(lambda: bool(router.of(M.EventRouteRequest)))
        stage.cluster.settle()
        assert router.ask(M.RequestRouteCall, ThisDN="8000", ConnID=stage.conn_id, OtherDN="1003").id
        stage.cluster.settle()
        stage.describes()
        assert stage.a.hears() == (stage.c.port, True, True)
        stage.answers()
        both_hear(stage.a, stage.c)
        over(stage.cluster)

    def test_hears_nothing_of_a_target_that_cannot_say_it_for_good(self) -> None:
        stage = Stage(target="no")
        stage.rings()
        stage.c.progress(reliable=False)
        stage.cluster.settle()
        assert stage.a.hears()[0] == stage.b.port
        stage.answers()
        both_hear(stage.a, stage.c)
        over(stage.cluster)

    def test_hears_nothing_when_its_program_holds_it(self) -> None:
        stage = Stage()
        desk = stage.desks["1001"]
        assert desk.ask(M.RequestHoldCall, ThisDN="1001", ConnID=stage.conn_id).id == M.EventHeld
        stage.rings()
        stage.describes()
        assert stage.c.said[-1] == "pracked inactive"
        assert stage.a.hears() == (stage.b.port, False, False)
        stage.answers()
        agree(stage.a, stage.c, silent=True)
        assert desk.ask(M.RequestRetrieveCall, ThisDN="1001", ConnID=stage.conn_id).id == M.EventRetrieved
        both_hear(stage.a, stage.c)
        over(stage.cluster)

    @pytest.mark.parametrize("who", ["left", "right"])
    def test_hears_one_branch_of_a_fork_and_talks_to_the_one_that_answers(self, who: str) -> None:
        stage = Stage()
        left, right = (
            SessionPhone(stage.cluster.world, "9123", "n1", ("198.51.100.7", 11_000 + number)) for number in range(2)
        )
        stage.cluster.phones |= {"left": left, "right": right}
        Forker(stage.cluster.world, TRUNK, [left, right])
        stage.b.transfer("9123")
        stage.cluster.world.until(lambda: left.has("ringing") and right.has("ringing"))
        stage.cluster.settle()
        for there in (left, right):
            there.progress()
            stage.cluster.settle()
        assert stage.a.hears() == (left.port, True, True)
        assert right.said[-1] == "pracked inactive"
        (left if who == "left" else right).answer()
        stage.cluster.settle(SECOND)
        both_hear(stage.a, left if who == "left" else right)
        over(stage.cluster)


class TestWhatCanBeInTheWay:
    @pytest.mark.parametrize("ends", ["answers", "refuses"])
    def test_who_stays_does_not_want_to_hear_it(self, ends: str) -> None:
        stage = Stage()
        stage.a.on_offers = ["488"]
        stage.rings()
        stage.describes()
        assert stage.c.said[-1] == "pracked inactive"
        assert stage.a.hears() == (stage.b.port, True, True)
        if ends == "answers":
            stage.answers()
            both_hear(stage.a, stage.c)
        else:
            stage.refuses()
            both_hear(stage.a, stage.b)
        over(stage.cluster)

    @pytest.mark.parametrize("ends", ["answers", "refuses"])
    def test_who_stays_thinks_about_it_for_too_long(self, ends: str) -> None:
        stage = Stage()
        stage.a.on_offers = ["think"]
        stage.rings()
        stage.describes()
        if ends == "answers":
            stage.answers()
            stage.a.decide()
            stage.cluster.settle(SECOND)
            both_hear(stage.a, stage.c)
        else:
            stage.refuses()
            assert stage.a.said[:2] == ["reinvited sendrecv", "offer withdrawn"]
            both_hear(stage.a, stage.b)
        over(stage.cluster)

    def test_who_stays_does_not_go_back(self) -> None:
        stage = Stage()
        stage.heard()
        stage.a.on_offers = ["488"]
        stage.refuses()
        assert stage.a.said[-2:] == ["reinvited nothing", "acked sendrecv"]
        assert stage.b.said[-1] == "reinvited sendrecv"
        both_hear(stage.a, stage.b)
        over(stage.cluster)

    def test_who_stays_is_elsewhere_when_it_is_back(self) -> None:
        stage = Stage()
        stage.heard()
        stage.a.port += 100
        stage.refuses()
        assert stage.b.said[-1] == "reinvited sendrecv"
        both_hear(stage.a, stage.b)
        over(stage.cluster)

    @pytest.mark.parametrize("ends", ["answers", "refuses"])
    def test_the_transferor_holds_meanwhile(self, ends: str) -> None:
        stage = Stage()
        stage.heard()
        stage.b.hold()
        stage.cluster.settle()
        assert stage.b.said[-1] == "reanswered inactive"
        assert stage.a.hears() == (stage.c.port, True, True)
        if ends == "answers":
            stage.answers()
            both_hear(stage.a, stage.c)
        else:
            stage.refuses()
            agree(stage.a, stage.b)
            assert stage.a.hears() == (stage.b.port, False, True)
        over(stage.cluster)

    @pytest.mark.parametrize("ends", ["answers", "refuses"])
    def test_who_stays_holds_meanwhile(self, ends: str) -> None:
        stage = Stage()
        stage.heard()
        stage.a.hold()
        stage.cluster.settle()
        assert stage.c.said[-1] == "reinvited sendonly"
        assert stage.desks["1001"].names() == ["Held"]
        if ends == "answers":
            stage.answers()
            agree(stage.a, stage.c)
            assert stage.a.hears() == (stage.c.port, True, False)
        else:
            stage.refuses()
            agree(stage.a, stage.b)
        over(stage.cluster)

    def test_programs_hold_meanwhile(self) -> None:
        stage = Stage()
        stage.heard()
        answer = stage.desks["1002"].ask(M.RequestHoldCall, ThisDN="1002", ConnID=stage.conn_id)
        assert answer.id == M.EventError
        answer = stage.desks["1001"].ask(M.RequestHoldCall, ThisDN="1001", ConnID=stage.conn_id)
        assert answer.id == M.EventHeld
        assert stage.a.hears()[1:] == (False, False)
        stage.refuses()
        agree(stage.a, stage.b, silent=True)
        answer = stage.desks["1001"].ask(M.RequestRetrieveCall, ThisDN="1001", ConnID=stage.conn_id)
        assert answer.id == M.EventRetrieved
        both_hear(stage.a, stage.b)
        over(stage.cluster)

    def test_the_target_offers_something_else(self) -> None:
        stage = Stage()
        stage.heard()
        stage.c.update("sendonly")
        stage.cluster.settle()
        assert stage.a.said[-1] == "reinvited sendonly"
        assert stage.a.hears() == (stage.c.port, False, True)
        stage.answers()
        agree(stage.a, stage.c)
        over(stage.cluster)

    def test_the_target_that_nobody_hears_offers_something_else(self) -> None:
        stage = Stage()
        stage.a.on_offers = ["488"]
        stage.rings()
        stage.describes()
        stage.c.update("sendonly")
        stage.cluster.settle()
        assert stage.c.said[-1] == "reanswered inactive"
        assert stage.a.hears() == (stage.b.port, True, True)
        stage.refuses()
        both_hear(stage.a, stage.b)
        over(stage.cluster)

    def test_other_offers_are_under_way(self) -> None:
        stage = Stage()
        stage.a.on_offers = ["think"]
        stage.rings()
        stage.b.hold()
        stage.cluster.settle()
        stage.describes()
        assert stage.c.said[-1] == "pracked inactive"
        stage.a.decide()
        stage.cluster.settle()
        assert stage.a.hears() == (stage.b.port, False, True)
        stage.answers()
        both_hear(stage.a, stage.c)
        over(stage.cluster)

    @pytest.mark.parametrize("seed", [*range(20), 21, 105, 346, 353])
    def test_everybody_does_something_at_once(self, seed: int) -> None:
        rng = random.Random(seed)
        stage = Stage(seed=seed)
        wires = stage.cluster.world.wires
        wires.loss, wires.jitter_us = rng.choice((0.0, 0.0, 0.1)), rng.choice((0, 30 * MILLISECOND))
        a, b, c = stage.a, stage.b, stage.c
        desk = stage.desks["1001"]
        deeds = [
            lambda: a.hold(rng.choice(("sendonly", "sendrecv", "inactive"))),
            lambda: b.hold(rng.choice(("sendonly", "sendrecv"))),
            lambda: c.progress(),
            lambda: c.update(rng.choice(("sendonly", "sendrecv"))),
            lambda: desk.request(M.RequestHoldCall, ThisDN="1001", ConnID=stage.conn_id),
            lambda: desk.request(M.RequestRetrieveCall, ThisDN="1001", ConnID=stage.conn_id),
        ]
        b.transfer("1003")
        for _ in range(8):
            for there in (a, b, c):
                there.on_offer = rng.choice(("answer", "answer", "answer", "488", "491"))
            stage.cluster.settle(rng.choice((0, 5, 300, 1000)) * MILLISECOND)
            try:
                rng.choice(deeds)()
            except (LocalError, AssertionError, StopIteration, KeyError):  # not now
                continue
        for there in (a, b, c):
            there.on_offer = "answer"
        wires.loss = 0.0
        if c.has("ringing"):
            if rng.random() < 0.5:
                c.answer()
            else:
                c.reject(486)
        stage.cluster.settle(50 * SECOND)
        if a.has("talking"):
            other = c if c.has("talking") else b
            agree(a, other)
        over(stage.cluster)
