"""Questions to the coordinator, as many as a client's DNs: each costs the same, none is awaited for ever."""

from __future__ import annotations

import gc
import time

from cluster_core.core import Core
from cluster_core.outputs import AnyOutput
from cluster_core.ownership import Ownership
from tests.cluster_core.alone import settings


def releases(count: int) -> float:
    """The CPU time of giving up so many DNs in one go, in seconds."""
    ownership = Ownership(Core(settings(), "n1", "a", b"seed"))
    out: list[AnyOutput] = []
    gc.disable()
    try:
        start = time.process_time()
        for number in range(count):
            ownership.release(1_000_000, str(number), 1, out)
        assert len(out) == count
        return time.process_time() - start
    finally:
        gc.enable()


def test_eight_times_as_many_dns_given_up_at_once_take_about_eight_times_as_long():
    # Four tries, as neighbours on the machine disturb single measurements; questions that look at all others take 64.
    assert any(releases(16_000) < 32 * releases(2_000) for _ in range(4))


def test_what_the_coordinator_never_answers_is_not_awaited_for_ever():
    core = Core(settings(), "n1", "a", b"seed")
    ownership = Ownership(core)
    ownership.release(1_000_000, "1001", 1, [])
    assert len(ownership) == 1
    ownership.membership_timeout(1_000_000 + core.limits.request_deadline_us + 1, [])
    assert len(ownership) == 1  # the question to join, which was asked just now
