"""A call that a program makes, from a desktop to the phones of both nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from refserver.client import TLibError
from refserver.phone import PhoneEventKind
from tests.live.cluster import run, running
from tlib_proto.constants import Attribute, MessageType

M = MessageType
Kind = PhoneEventKind
DATA = (("customer", "Ada"), ("order", "4711"))


@pytest.mark.parametrize("desk", ["n1", "n2"])
def test_the_maker_s_phone_answers_by_itself_then_the_other_rings_with_the_data(tmp_path: Path, desk: str) -> None:
    async def body() -> None:
        async with running(tmp_path) as cluster:
            maker = await cluster.phone("1001", "n1")
            other = await cluster.phone("1002", "n2")
            desktop = await cluster.desktop(desk, "1001", "1002")
            dialing = await desktop.make_call("1001", "1002", user_data=DATA)
            assert dialing.id == M.EventDialing
            assert dialing.pairs(Attribute.UserData) == DATA
            conn_id = dialing.number(Attribute.ConnID)
            ringing = await desktop.wait_for(M.EventRinging, dn="1002", conn_id=conn_id)
            assert ringing.pairs(Attribute.UserData) == DATA
            assert ringing.text(Attribute.OtherDN) == "1001"
            assert "1001" in (await other.wait_for(Kind.INCOMING)).peer
            established = await desktop.answer_call("1002", conn_id)
            assert established.pairs(Attribute.UserData) == DATA
            for phone in (maker, other):
                await phone.wait_for(Kind.ESTABLISHED)
            await desktop.wait_for(M.EventEstablished, dn="1001", conn_id=conn_id)
            await desktop.release_call("1001", conn_id)
            await desktop.wait_for(M.EventReleased, dn="1002", conn_id=conn_id)
            for phone in (maker, other):
                await phone.wait_for(Kind.ENDED)
            await cluster.until_status(lambda *nodes: not any(node["counts"]["calls"] for node in nodes))

    run(body)


def test_a_call_to_a_number_that_is_nowhere_is_refused_before_any_phone_rings(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(tmp_path) as cluster:
            maker = await cluster.phone("1001", "n2")
            await maker.wait_for(Kind.REGISTERED)
            desktop = await cluster.desktop("n1", "1001")
            with pytest.raises(TLibError):
                await desktop.make_call("1001", "4711")
            await desktop.query_server()
            assert not maker.calls
            assert not [m for m in desktop.unread() if m.id == M.EventDialing]

    run(body)
