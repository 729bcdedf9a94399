"""Sessions through the server: SIPp as caller and as callee, and baresip."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from refserver.phone import Phone, PhoneEventKind
from tests.certificates import self_signed
from tests.live.cluster import PASSWORD, Cluster, run, running, tls_text
from tests.live.peers import Baresip, baresip, free_port, sipp
from tests.live.scenarios import Scenario

Kind = PhoneEventKind
TRANSPORTS = ("udp", "tcp")
CALLER = "2125550100"


async def all_over(cluster: Cluster) -> None:
    """Wait until no node has a call, a leg, a subscription or a transfer left."""
    names = ("calls", "legs", "sip_legs", "sip_subscriptions", "sip_referrals", "transfers")
    await cluster.until_status(lambda *nodes: not any(node["counts"][name] for node in nodes for name in names))


@asynccontextmanager
async def calling(
    tmp_path: Path, scenario: Scenario, transport: str = "udp", **options: Any
) -> AsyncIterator[tuple[Cluster, Phone]]:
    """SIPp calls 1002, whose phone is registered at the other node."""
    async with running(tmp_path) as cluster:
        phone = await cluster.phone("1002", "n2", **options)
        async with sipp(tmp_path, cluster.address("n1", "sip"), "1002", scenario.text(), transport):
            yield cluster, phone
        await all_over(cluster)


@asynccontextmanager
async def called(tmp_path: Path, scenario: Scenario, transport: str = "udp") -> AsyncIterator[tuple[Cluster, Phone]]:
    """SIPp is 1003, registered by somebody else from its port; the phone 1002 of the other node may call it."""
    async with running(tmp_path) as cluster:
        port = free_port()
        registering = await cluster.phone("1003", "n1", bind=("127.0.0.1", port), transport=transport)
        registering.abort()
        phone = await cluster.phone("1002", "n2")
        async with sipp(tmp_path, cluster.address("n1", "sip"), "1003", scenario.text(), transport, port):
            yield cluster, phone
        await all_over(cluster)


# SIPp calls


@pytest.mark.peer("sipp")
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_sipp_holds_and_retrieves_and_is_held(tmp_path: Path, transport: str) -> None:
    call = Scenario(CALLER)
    call.invite(call.sdp()).ringing().response(200, call.target).ack()
    call.request("INVITE", call.sdp("sendonly")).ringing().response(200, call.has("a=recvonly")).ack()
    call.request("INVITE", call.sdp()).ringing().response(200, call.has("a=sendrecv")).ack()
    call.expect("INVITE", call.has("a=sendonly")).respond(200, "OK", call.sdp("recvonly")).expect("ACK")
    call.expect("BYE").respond(200, "OK")

    async def body() -> None:
        async with calling(tmp_path, call, transport, auto_answer=True) as (_, phone):
            await phone.wait_for(Kind.HELD_BY_PEER)
            await phone.wait_for(Kind.RETRIEVED_BY_PEER)
            await phone.hold()
            await phone.hangup()

    run(body)


@pytest.mark.peer("sipp")
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_sipp_calls_without_an_offer_and_asks_for_another(tmp_path: Path, transport: str) -> None:
    call = Scenario(CALLER)
    call.invite().ringing().response(200, call.target, call.has("m=audio")).ack(call.sdp())
    call.request("INVITE").ringing().response(200, call.has("m=audio")).ack(call.sdp("sendonly"))
    call.expect("BYE").respond(200, "OK")

    async def body() -> None:
        async with calling(tmp_path, call, transport, auto_answer=True) as (_, phone):
            await phone.wait_for(Kind.HELD_BY_PEER)
            await phone.hangup()

    run(body)


@pytest.mark.peer("sipp")
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_sipp_hears_early_media_reliably_and_changes_them_by_update(tmp_path: Path, transport: str) -> None:
    call = Scenario(CALLER)
    call.invite(call.sdp(), "Supported: 100rel").response(100, optional=True).response(180, optional=True)
    call.response(183, call.target, call.rseq, call.has("m=audio"), call.has("100rel", "Require:"))
    call.prack().response(200)
    call.request("UPDATE", call.sdp("sendonly")).response(200, call.has("a=recvonly"))
    call.response(200).ack()
    call.request("UPDATE", call.sdp()).response(200, call.has("a=sendrecv"))
    call.expect("BYE").respond(200, "OK")

    async def body() -> None:
        async with calling(tmp_path, call, transport) as (_, phone):
            await phone.wait_for(Kind.INCOMING)
            await phone.progress()
            await phone.wait_for(Kind.HELD_BY_PEER)
            await phone.answer()
            await phone.wait_for(Kind.RETRIEVED_BY_PEER)
            await phone.hangup()

    run(body)


@pytest.mark.peer("sipp")
def test_sipp_gets_an_offer_in_a_reliable_183_and_answers_it_in_the_prack(tmp_path: Path) -> None:
    call = Scenario(CALLER)
    call.invite("", "Supported: 100rel").response(100, optional=True).response(180, optional=True)
    call.response(183, call.target, call.rseq, call.has("m=audio"))
    call.prack(call.sdp()).response(200).response(200).ack()
    call.expect("BYE").respond(200, "OK")

    async def body() -> None:
        async with calling(tmp_path, call) as (_, phone):
            await phone.wait_for(Kind.INCOMING)
            await phone.progress()
            await phone.answer()
            await phone.wait_for(Kind.ESTABLISHED)
            await phone.hangup()

    run(body)


@pytest.mark.peer("sipp")
def test_sipp_requires_100rel_of_a_phone_that_has_none(tmp_path: Path) -> None:
    call = Scenario(CALLER)
    call.invite(call.sdp(), "Require: 100rel").response(100, optional=True)
    call.response(180, call.target, call.rseq, call.has("100rel", "Require:"))
    call.prack().response(200).response(200).ack()
    # The phone may be through before its caller has told that it heard the ringing: the caller hangs up.
    call.request("BYE").response(200)

    async def body() -> None:
        async with calling(tmp_path, call, reliable="no") as (_, phone):
            await phone.wait_for(Kind.INCOMING)
            await phone.answer()
            await phone.wait_for(Kind.ENDED)

    run(body)


@pytest.mark.peer("sipp")
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_sipp_asks_for_too_short_a_session_is_told_the_least_and_refreshes(tmp_path: Path, transport: str) -> None:
    call = Scenario(CALLER)
    short = ("Supported: timer", "Session-Expires: 30;refresher=uac", "Min-SE: 30")
    fitting = ("Supported: timer", "Session-Expires: 90;refresher=uac", "Min-SE: 90")
    call.invite(call.sdp(), *short).response(100, optional=True).response(422, call.has("90", "Min-SE:")).refused()
    call.invite(call.sdp(), *fitting).ringing()
    call.response(200, call.target, call.has("90;refresher=uac", "Session-Expires:"), call.has("timer", "Require:"))
    call.ack()
    call.request("UPDATE", "", *fitting).response(200, call.has("90;refresher=uac", "Session-Expires:"))
    call.request("INVITE", call.sdp(), "Supported: timer", "Session-Expires: 120").ringing()
    call.response(200, call.has("120;refresher=", "Session-Expires:")).ack()
    call.digit().request("BYE").response(200)

    async def body() -> None:
        async with calling(tmp_path, call, transport, auto_answer=True) as (_, phone):
            await phone.wait_for(Kind.DIGIT)
            await phone.wait_for(Kind.ENDED)

    run(body)


@pytest.mark.peer("sipp")
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_sipp_transfers_its_call_hears_how_it_goes_and_leaves(tmp_path: Path, transport: str) -> None:
    call = Scenario(CALLER)
    call.invite(call.sdp()).ringing().response(200, call.target).ack()
    lines = ("Refer-To: <sip:1003@[remote_ip]>", f"Referred-By: <sip:{CALLER}@[local_ip]>")
    call.request("REFER", "", *lines).response(202)
    for status in ("100 Trying", "180 Ringing"):
        call.expect("NOTIFY", call.has(f"SIP/2.0 {status}"), call.has("active", "Subscription-State:"))
        call.respond(200, "OK")
    call.digit()
    call.expect("NOTIFY", call.has("SIP/2.0 200 OK"), call.has("terminated", "Subscription-State:"))
    call.respond(200, "OK").request("BYE").response(200)

    async def body() -> None:
        async with calling(tmp_path, call, transport, auto_answer=True) as (cluster, phone):
            other = await cluster.phone("1003", "n1")
            await phone.wait_for(Kind.ESTABLISHED)
            await other.wait_for(Kind.INCOMING)
            await phone.wait_for(Kind.DIGIT)
            await other.answer()
            await other.wait_for(Kind.ESTABLISHED)
            await phone.hold()
            await other.wait_for(Kind.HELD_BY_PEER)
            await other.hangup()
            await phone.wait_for(Kind.ENDED)

    run(body)


# SIPp is called


@pytest.mark.peer("sipp")
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_sipp_is_held_and_holds_who_called_it(tmp_path: Path, transport: str) -> None:
    call = Scenario("1003", calls=False)
    call.invited().answer(180, "Ringing").answer(200, "OK", call.sdp()).expect("ACK")
    call.expect("INVITE", call.has("a=sendonly")).respond(200, "OK", call.sdp("recvonly")).expect("ACK")
    call.expect("INVITE", call.has("a=sendrecv")).respond(200, "OK", call.sdp()).expect("ACK")
    call.request("INVITE", call.sdp("sendonly")).ringing().response(200, call.has("a=recvonly")).ack()
    call.request("BYE").response(200)

    async def body() -> None:
        async with called(tmp_path, call, transport) as (_, phone):
            await phone.call("1003")
            await phone.wait_for(Kind.ESTABLISHED)
            await phone.hold()
            await phone.retrieve()
            await phone.wait_for(Kind.HELD_BY_PEER)
            await phone.wait_for(Kind.ENDED)

    run(body)


@pytest.mark.peer("sipp")
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_sipp_is_called_without_an_offer_and_asked_for_another(tmp_path: Path, transport: str) -> None:
    call = Scenario("1003", calls=False)
    call.invited().answer(180, "Ringing").answer(200, "OK", call.sdp()).expect("ACK", call.has("m=audio"))
    call.expect("INVITE").respond(200, "OK", call.sdp()).expect("ACK", call.has("m=audio"))
    call.expect("BYE").respond(200, "OK")

    async def body() -> None:
        async with called(tmp_path, call, transport) as (_, phone):
            await phone.call("1003", late=True)
            await phone.wait_for(Kind.ESTABLISHED)
            await phone.renegotiate()
            await phone.hangup()

    run(body)


@pytest.mark.peer("sipp")
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_sipp_sends_early_media_reliably_and_changes_them_by_update(tmp_path: Path, transport: str) -> None:
    call = Scenario("1003", calls=False)
    call.invited(call.has("100rel", "Supported:"))
    lines = ("Require: 100rel", "RSeq: 4711", "Allow: INVITE, ACK, BYE, UPDATE, PRACK")
    call.answer(183, "Session Progress", call.sdp(), *lines)
    call.expect("PRACK", call.has("4711 [0-9]+ INVITE", "RAck:")).respond(200, "OK")
    call.request("UPDATE", call.sdp("sendonly")).response(200, call.has("a=recvonly"))
    call.answer(200, "OK").expect("ACK")
    call.expect("BYE").respond(200, "OK")

    async def body() -> None:
        async with called(tmp_path, call, transport) as (_, phone):
            await phone.call("1003")
            ringing = await phone.wait_for(Kind.RINGING)
            assert ringing.status == 183
            assert ringing.detail == {"reliable": "yes", "early_media": "yes"}
            await phone.wait_for(Kind.HELD_BY_PEER)
            await phone.wait_for(Kind.ESTABLISHED)
            await phone.hangup()

    run(body)


@pytest.mark.peer("sipp")
def test_sipp_wants_longer_sessions_and_refreshes_the_one_that_it_gets(tmp_path: Path) -> None:
    call = Scenario("1003", calls=False)
    call.invited(call.has("timer", "Supported:"), call.has("1800", "Session-Expires:"))
    call.answer(422, "Session Interval Too Small", "", "Min-SE: 2000").expect("ACK")
    call.invited(call.has("2000", "Session-Expires:"), call.has("2000", "Min-SE:"))
    timer = ("Supported: timer", "Require: timer", "Session-Expires: 2000;refresher=uas")
    call.answer(200, "OK", call.sdp(), *timer).expect("ACK")
    call.request("UPDATE", "", "Supported: timer", "Session-Expires: 2000;refresher=uac", "Min-SE: 2000")
    call.response(200, call.has("2000;refresher=uac", "Session-Expires:"))
    call.request("BYE").response(200)

    async def body() -> None:
        async with called(tmp_path, call) as (_, phone):
            await phone.call("1003")
            await phone.wait_for(Kind.ESTABLISHED)
            await phone.wait_for(Kind.ENDED)

    run(body)


@pytest.mark.peer("sipp")
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_sipp_is_called_transfers_the_caller_and_leaves_at_once(tmp_path: Path, transport: str) -> None:
    call = Scenario("1003", calls=False)
    call.invited().answer(180, "Ringing").answer(200, "OK", call.sdp()).expect("ACK")
    call.request("REFER", "", "Refer-To: <sip:1004@[remote_ip]>", "Refer-Sub: false", "Supported: norefersub")
    call.response(200, call.has("false", "Refer-Sub:"))
    call.request("BYE").response(200)

    async def body() -> None:
        async with called(tmp_path, call, transport) as (cluster, phone):
            target = await cluster.phone("1004", "n1")
            await phone.call("1003")
            await phone.wait_for(Kind.ESTABLISHED)
            await target.wait_for(Kind.INCOMING)
            await target.answer()
            await target.wait_for(Kind.ESTABLISHED)
            await target.hold()
            await phone.wait_for(Kind.HELD_BY_PEER)
            await phone.hangup()
            await target.wait_for(Kind.ENDED)

    run(body)


# baresip


@asynccontextmanager
async def with_baresip(tmp_path: Path, transport: str) -> AsyncIterator[tuple[Cluster, Baresip, Phone]]:
    """A call of the phone 1001 to 1002, which is baresip at the other node and has answered."""
    pair = self_signed(tmp_path)
    async with running(tmp_path, text=tls_text(pair)) as cluster:
        node = cluster.address("n2", "sip_tls" if transport == "tls" else "sip")
        async with baresip(tmp_path, "1002", PASSWORD, node, transport, pair) as peer:
            phone = await cluster.phone("1001", "n1")
            await phone.call("1002")
            await peer.wait_for("CALL_INCOMING")
            await peer.command("accept")
            await phone.wait_for(Kind.ESTABLISHED)
            await peer.wait_for("CALL_ESTABLISHED")
            yield cluster, peer, phone
        await all_over(cluster)


@pytest.mark.peer("baresip")
@pytest.mark.peer("openssl")
@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_baresip_holds_and_resumes_and_is_held(tmp_path: Path, transport: str) -> None:
    async def body() -> None:
        async with with_baresip(tmp_path, transport) as (_, peer, phone):
            await peer.command("hold")
            await phone.wait_for(Kind.HELD_BY_PEER)
            await phone.hold()
            await peer.command("resume")
            await phone.wait_for(Kind.RETRIEVED_BY_PEER)
            await phone.retrieve()
            await phone.renegotiate()
            await phone.hangup()
            await peer.wait_for("CALL_CLOSED")

    run(body)


@pytest.mark.peer("baresip")
@pytest.mark.peer("openssl")
@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_baresip_transfers_its_caller_and_leaves_when_the_target_answered(tmp_path: Path, transport: str) -> None:
    async def body() -> None:
        async with with_baresip(tmp_path, transport) as (cluster, peer, phone):
            target = await cluster.phone("1003", "n1")
            await peer.command("transfer", f"sip:1003@{cluster.address('n2', 'sip')[0]}")
            assert "1001" in (await target.wait_for(Kind.INCOMING)).peer
            await target.answer()
            await target.wait_for(Kind.ESTABLISHED)
            await peer.wait_for("CALL_CLOSED")
            await phone.hold()
            await target.wait_for(Kind.HELD_BY_PEER)
            await phone.hangup()
            await target.wait_for(Kind.ENDED)

    run(body)


@pytest.mark.peer("baresip")
@pytest.mark.peer("openssl")
def test_baresip_is_told_that_the_target_is_busy_and_hangs_up(tmp_path: Path) -> None:
    async def body() -> None:
        async with with_baresip(tmp_path, "udp") as (cluster, peer, phone):
            target = await cluster.phone("1003", "n1", busy=True)
            await peer.command("transfer", f"sip:1003@{cluster.address('n2', 'sip')[0]}")
            await target.wait_for(Kind.REFUSED)
            assert "486" in (await peer.wait_for("TRANSFER_FAILED"))["param"]
            await phone.wait_for(Kind.ENDED)

    run(body)


@pytest.mark.peer("baresip")
@pytest.mark.peer("openssl")
def test_baresip_is_joined_with_another_by_an_attended_transfer(tmp_path: Path) -> None:
    async def body() -> None:
        async with with_baresip(tmp_path, "udp") as (cluster, peer, phone):
            target = await cluster.phone("1003", "n2", auto_answer=True)
            consultation = await phone.call("1003")
            await phone.wait_for(Kind.ESTABLISHED, call=consultation)
            await phone.transfer(to_call=consultation)
            assert (await phone.wait_for(Kind.TRANSFERRED)).status == 200
            await target.hold()
            await target.retrieve()
            await peer.command("hangup")
            await target.wait_for(Kind.ENDED)

    run(body)
