"""A phone of one node talks in a call of the other and dials again: over real sockets, the second call joins it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from refserver.phone import PhoneEventKind
from tests.certificates import self_signed
from tests.live.cluster import Cluster, cluster_text, run, running, tls_text
from tests.live.test_phone_transports import transport_of
from tlib_proto.constants import Attribute, MessageType

M = MessageType
Kind = PhoneEventKind


async def consulted(cluster: Cluster, **options: Any) -> None:
    """1001 of n1 has called 1002 of n2, who holds, asks 1003 of n2 and brings the two together."""
    one = await cluster.phone("1001", "n1")
    two = await cluster.phone("1002", "n2", **options)
    three = await cluster.phone("1003", "n2", auto_answer=True)
    desktop = await cluster.desktop("n1", "1001", "1002", "1003")
    await one.call("1002")
    await two.wait_for(Kind.INCOMING)
    await two.answer()
    first_call = (await two.wait_for(Kind.ESTABLISHED)).call
    await one.wait_for(Kind.ESTABLISHED)
    first = (await desktop.wait_for(M.EventEstablished, dn="1002")).number(Attribute.ConnID)
    assert first >> 52 == 1
    await two.hold(first_call)
    await desktop.wait_for(M.EventHeld, dn="1002")
    consultation = await two.call("1003")
    await two.wait_for(Kind.ESTABLISHED, call=consultation)
    second = (await desktop.wait_for(M.EventEstablished, dn="1003")).number(Attribute.ConnID)
    assert second >> 52 == 1
    await two.transfer(call=first_call, to_call=consultation)
    changed = await desktop.wait_for(M.EventPartyChanged, dn="1003")
    assert changed.number(Attribute.ConnID) == first
    assert changed.number(Attribute.PreviousConnID) == second
    await three.hangup()
    await one.wait_for(Kind.ENDED)


def test_a_consultation_dialled_on_another_node_is_transferred_as_one_of_the_same(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(tmp_path, text=cluster_text()) as cluster:
            await consulted(cluster)

    run(body)


@pytest.mark.peer("openssl")
@pytest.mark.parametrize("name", ["tcp", "tls"])
def test_it_goes_from_node_to_node_as_it_came(tmp_path: Path, name: str) -> None:
    async def body() -> None:
        pair = self_signed(tmp_path)
        async with running(tmp_path, text=tls_text(pair)) as cluster:
            await consulted(cluster, transport=transport_of(name, pair))

    run(body)


def test_a_further_call_is_given_up_while_it_rings(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(tmp_path, text=cluster_text()) as cluster:
            one = await cluster.phone("1001", "n1", auto_answer=True)
            two = await cluster.phone("1002", "n2", auto_answer=True)
            three = await cluster.phone("1003", "n2")
            desktop = await cluster.desktop("n1", "1002")
            await one.call("1002")
            await desktop.wait_for(M.EventEstablished, dn="1002")
            consultation = await two.call("1003")
            await three.wait_for(Kind.INCOMING)
            await two.cancel(consultation)
            await three.wait_for(Kind.CANCELLED)
            await one.hangup()
            await desktop.wait_for(M.EventReleased, dn="1002")
            for node in ("n1", "n2"):
                counts = (await cluster.status(node))["counts"]
                assert counts["asked"] == 0

    run(body)
