"""A desktop with two calls: changes between them, hands one on, sends digits; with phones over sockets."""

from __future__ import annotations

from pathlib import Path

import pytest

from refserver.client import Client, TLibError
from refserver.phone import Phone
from tests.live.cluster import Cluster, run, running
from tlib_proto.constants import Attribute, CallState, ForwardMode, MessageType

M = MessageType


async def talk(cluster: Cluster) -> tuple[list[Phone], Client, int]:
    """1001 and 1002 talk; phones, the desktop of all three DNs, the ConnID."""
    phones = [await cluster.phone(dn, node) for dn, node in (("1001", "n1"), ("1002", "n2"), ("1003", "n1"))]
    desk = await cluster.desktop("n2", "1001", "1002", "1003")
    conn_id = (await desk.make_call("1002", "1001")).number(Attribute.ConnID)
    await desk.wait_for(M.EventRinging, dn="1001", conn_id=conn_id)
    await desk.answer_call("1001", conn_id)
    await desk.wait_for(M.EventEstablished, dn="1002", conn_id=conn_id)
    return phones, desk, conn_id


async def over(cluster: Cluster) -> None:
    await cluster.until_status(lambda *nodes: not any(node["counts"]["calls"] for node in nodes))


def test_a_desktop_changes_between_its_calls_and_hands_one_on(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(tmp_path) as cluster:
            _, desk, first = await talk(cluster)
            second = (await desk.initiate_transfer("1002", first, "1003")).number(Attribute.ConnID)
            await desk.wait_for(M.EventRinging, dn="1003", conn_id=second)
            await desk.answer_call("1003", second)
            await desk.wait_for(M.EventEstablished, dn="1002", conn_id=second)
            back = await desk.alternate_call("1002", second, first)
            assert back.id == M.EventRetrieved
            assert back.number(Attribute.ConnID) == first
            await desk.wait_for(M.EventHeld, dn="1002", conn_id=second)
            with pytest.raises(TLibError) as refused:
                await desk.alternate_call("1002", 4711, first)
            assert refused.value.number == 56
            assert (await desk.alternate_call("1002", first, second)).number(Attribute.ConnID) == second
            await desk.clear_call("1002", second)
            await desk.retrieve_call("1002", first)
            released = await desk.mute_transfer("1002", first, "1003", {"why": "expert"})
            assert released.number(Attribute.CallState) == CallState.Transferred
            changed = await desk.wait_for(M.EventPartyChanged, dn="1003", conn_id=first)
            assert changed.text(Attribute.OtherDN) == "1001"
            assert changed.pairs(Attribute.UserData) == (("why", "expert"),)
            await desk.answer_call("1003", first)
            await desk.release_call("1001", first)
            await over(cluster)

    run(body)


def test_a_desktop_sends_digits_and_sends_a_ringing_call_on(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(tmp_path) as cluster:
            phones, desk, conn_id = await talk(cluster)
            sent = await desk.send_dtmf("1002", conn_id, "42")
            assert sent.text(Attribute.DTMFDigits) == "42"
            await desk.release_call("1002", conn_id)
            await phones[0].call("1002")
            conn_id = (await desk.wait_for(M.EventRinging, dn="1002")).number(Attribute.ConnID)
            released = await desk.redirect_call("1002", conn_id, "1003")
            assert released.number(Attribute.CallState) == CallState.Redirected
            await desk.wait_for(M.EventRinging, dn="1003", conn_id=conn_id)
            await desk.answer_call("1003", conn_id)
            await desk.wait_for(M.EventEstablished, dn="1001", conn_id=conn_id)
            await desk.release_call("1003", conn_id)
            await over(cluster)

    run(body)


def test_a_dn_forwards_its_calls_and_is_not_to_be_disturbed(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(tmp_path) as cluster:
            phones = [await cluster.phone(dn, node) for dn, node in (("1001", "n1"), ("1002", "n2"), ("1003", "n1"))]
            desk = await cluster.desktop("n1", "1001", "1002", "1003")
            await desk.call_set_forward("1002", "1003", ForwardMode.OnBusy)
            await desk.set_dnd_on("1002")
            await phones[0].call("1002")
            ringing = await desk.wait_for(M.EventRinging, dn="1003")
            assert ringing.number(Attribute.CallState) == CallState.Forwarded
            assert ringing.text(Attribute.ThirdPartyDN) == "1002"
            await desk.release_call("1001", ringing.number(Attribute.ConnID))
            await over(cluster)
            await desk.call_cancel_forward("1002")
            await phones[0].call("1002")
            await desk.wait_for(M.EventDestinationBusy, dn="1001")
            await desk.set_dnd_off("1002")
            await over(cluster)
            await phones[0].call("1002")
            conn_id = (await desk.wait_for(M.EventRinging, dn="1002")).number(Attribute.ConnID)
            await desk.release_call("1001", conn_id)
            await over(cluster)

    run(body)
