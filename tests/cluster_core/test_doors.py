"""Sources of T-Library connections off this machine: how many they may have, how often they may fail to prove."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cluster_core.inputs import Closed, Opened, Received
from cluster_core.rights import hash_secret
from cluster_core.settings import ClientRole, ClientSettings
from tests.cluster_core.alone import Alone, Program, settings
from tlib_proto import Attribute, ErrorCode, Hello, MessageType

HERE, THERE = "198.51.100.9", "198.51.100.10"
SECRET = hash_secret("open sesame", bytes(16))
SECOND_US = 1_000_000


class Outside:
    """A node that proven clients of other machines may reach."""

    def __init__(self, **limits: int) -> None:
        desk = ClientSettings(name="Desk", role=ClientRole.DESKTOP, secret=SECRET)
        self.alone = Alone(clients=(desk,), limits=msgspec.structs.replace(settings().limits, **limits))

    def connect(self, host: str = HERE, secret: str | None = None, loopback: bool = False) -> Program:
        """A connection; with a secret, a Hello."""
        alone = self.alone
        hello = Hello(application="Desk", role="desktop", secret=secret or "")
        made = Program(alone, 2 + 2 * len(alone.programs), hello)
        alone.programs[made.conn] = made
        alone.give(Opened(made.conn, "tcontroller", f"{host}:40000", loopback=loopback))
        if secret is not None and not made.closed:
            out: list[Any] = []
            made.session.start(alone.now, out)
            made.perform(out)
        return made

    def is_in(self, **given: Any) -> bool:
        program = self.connect(secret="open sesame", **given)
        linked = program.linked is not None
        if linked:
            self.alone.give(Closed(program.conn, "done"))
        return linked


def test_after_some_failed_proofs_a_source_is_not_let_in_for_a_while():
    outside = Outside(failed_proofs=3)
    for _ in range(3):
        assert outside.connect(secret="guess").linked is None
    assert outside.alone.faults[-2].kind == "too-many-failed-proofs"
    assert not outside.is_in()
    assert outside.alone.faults[-1].kind == "refused-source"
    assert outside.is_in(host=THERE)
    outside.alone.run(299 * SECOND_US)
    assert not outside.is_in()
    outside.alone.run(2 * SECOND_US)
    assert outside.is_in()


def test_failures_that_are_long_ago_do_not_count():
    outside = Outside(failed_proofs=3)
    for _ in range(4):
        outside.connect(secret="guess")
        outside.connect(secret="guess")
        outside.alone.run(61 * SECOND_US)
    assert outside.is_in()


def test_a_refused_hello_says_security_violation_once():
    outside = Outside()
    refused = outside.connect(secret="guess")
    assert refused.closed == "The application has not proved who it is"
    [error] = [e for e in refused.events if e.id == MessageType.EventError]
    assert error.number(Attribute.ErrorCode) == ErrorCode.SECURITY_VIOLATION


def test_a_source_may_have_so_many_connections_and_no_more():
    outside = Outside(proven_source_streams=3)
    kept = [outside.connect(secret="open sesame") for _ in range(3)]
    assert all(program.linked for program in kept)
    assert outside.connect().closed == "more than 3 connections from there"
    assert outside.is_in(host=THERE)
    outside.alone.give(Closed(kept[0].conn, "done"))
    assert outside.is_in()


def test_those_that_have_not_been_accepted_are_fewer():
    outside = Outside(source_streams=2)
    waiting = [outside.connect() for _ in range(2)]
    assert not any(program.closed for program in waiting)
    assert "not accepted yet" in outside.connect().closed
    outside.alone.give(Closed(waiting[0].conn, "gone"))
    accepted = outside.connect(secret="open sesame")
    assert accepted.linked
    assert not outside.connect().closed


def test_this_machine_is_not_counted():
    outside = Outside(failed_proofs=1, source_streams=1, proven_source_streams=1)
    for _ in range(5):
        assert outside.connect(secret="guess", loopback=True).linked is None
    assert all(not outside.connect(loopback=True).closed for _ in range(5))
    assert outside.is_in(loopback=True)


def test_the_table_is_bounded_and_forgets_who_has_no_connection_first():
    outside = Outside(sources=2, failed_proofs=1)
    outside.connect(secret="guess")  # banned
    stays = outside.connect(host=THERE, secret="open sesame")
    assert stays.linked
    assert outside.is_in(host="198.51.100.11")  # the banned one is forgotten for it
    other = outside.connect(host="198.51.100.12")
    assert other.closed == ""
    assert outside.connect(host="198.51.100.13").closed == "too many sources"
    assert len(outside.alone.node._edge.doors) == 2


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 40])
def test_what_is_no_hello_leaves_its_place(data: bytes):
    outside = Outside(source_streams=1)
    for _ in range(5):
        stranger = outside.connect()
        stranger.deaf = True
        outside.alone.give(Received(stranger.conn, data))
        assert stranger.closed
    assert len(outside.alone.node._edge.doors) == 0


def test_a_role_that_nobody_has_and_a_foreign_one_are_refused_but_are_no_failed_proof():
    outside = Outside(failed_proofs=1)
    for role, secret in (("emperor", ""), ("monitor", ""), ("reporting", "open sesame")):
        hello = Hello(application="Desk", role=role, secret=secret)
        alone = outside.alone
        made = Program(alone, 2 + 2 * len(alone.programs), hello)
        alone.programs[made.conn] = made
        alone.give(Opened(made.conn, "tcontroller", f"{HERE}:40000", loopback=False))
        out: list[Any] = []
        made.session.start(alone.now, out)
        made.perform(out)
        assert made.closed.startswith("A client of this role is not served on this port")
    assert outside.is_in()


def test_a_name_that_is_not_configured_proves_itself_by_the_clusters_secret_alone():
    alone = Alone()
    for secret, welcome in (("one cluster", True), ("another", False)):
        hello = Hello(application="SmartProxy@n2", role="smart", secret=secret)
        made = Program(alone, 2 + 2 * len(alone.programs), hello)
        alone.programs[made.conn] = made
        alone.give(Opened(made.conn, "tcontroller", f"{HERE}:40000", loopback=False))
        out: list[Any] = []
        made.session.start(alone.now, out)
        made.perform(out)
        assert (made.linked is not None) == welcome
