"""Sessions through the server: SIPp as caller and as callee, baresip, and test phones that transfer each other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from refserver.phone import Phone, PhoneEventKind
from sip_proto import Request, Response
from tests.certificates import self_signed
from tests.live.cluster import PASSWORD, Cluster, cluster_text, run, running, tls_text
from tests.live.peers import Baresip, baresip, free_port, sipp
from tests.live.scenarios import Scenario
from tests.refserver.test_phone_calls import Wire

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
    call.expect("BYE").respond(200, "OK")

    async def body() -> None:
        async with calling(tmp_path, call, reliable="no") as (_, phone):
            await phone.wait_for(Kind.INCOMING)
            await phone.answer()
            await phone.wait_for(Kind.ESTABLISHED)
            await phone.hangup()

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


# three phones


def came(wire: Wire, method: str) -> list[Request]:
    """The requests of a method that a phone received."""
    return [item for item in wire.received if isinstance(item, Request) and item.method == method]


class Cast:
    """1001 has called 1002, who answered and will transfer to 1003."""

    def __init__(self, cluster: Cluster, phones: list[Phone], wires: list[Wire]) -> None:
        self.cluster = cluster
        self.caller, self.transferor, self.target = phones
        self.at_caller, self.at_transferor, self.at_target = wires

    async def joined(self) -> None:
        """The caller and the target talk to each other, the transferor has nothing left, and then it ends."""
        await self.transferor.wait_for(Kind.ENDED)
        await self.caller.hold()
        await self.target.wait_for(Kind.HELD_BY_PEER)
        assert (len(self.caller.calls), len(self.transferor.calls), len(self.target.calls)) == (1, 0, 1)
        await self.target.hangup()
        await self.caller.wait_for(Kind.ENDED)


@asynccontextmanager
async def three_phones(tmp_path: Path, target: str = "n2", caller: str = "n1") -> AsyncIterator[Cast]:
    async with running(tmp_path) as cluster:
        wires = [Wire() for _ in range(3)]
        places = zip(("1001", "1002", "1003"), (caller, "n1", target), wires, strict=True)
        phones = [await cluster.phone(number, node, trace=wire) for number, node, wire in places]
        cast = Cast(cluster, phones, wires)
        await answered(cast.caller, cast.transferor)
        yield cast
        await all_over(cluster)


async def answered(caller: Phone, callee: Phone) -> int:
    """A call by number that is answered; the caller's number of it."""
    number = await caller.call(callee.number)
    incoming = await callee.wait_for(Kind.INCOMING)
    await callee.answer(incoming.call)
    await caller.wait_for(Kind.ESTABLISHED, call=number)
    await callee.wait_for(Kind.ESTABLISHED)
    return number


def test_a_refer_is_carried_out_by_the_server_and_never_relayed(tmp_path: Path) -> None:
    async def body() -> None:
        async with three_phones(tmp_path) as cast:
            await cast.transferor.transfer("1003")
            await cast.target.wait_for(Kind.INCOMING)
            await cast.target.answer()
            assert (await cast.transferor.wait_for(Kind.TRANSFERRED)).status == 200
            await cast.joined()
            assert not came(cast.at_caller, "REFER") + came(cast.at_target, "REFER")

    run(body)


def test_the_target_is_called_at_its_own_address_by_the_one_who_stays(tmp_path: Path) -> None:
    async def body() -> None:
        async with three_phones(tmp_path) as cast:
            await cast.transferor.transfer("1003")
            incoming = await cast.target.wait_for(Kind.INCOMING)
            (invite,) = came(cast.at_target, "INVITE")
            host, port = cast.target.address
            assert invite.uri.startswith(f"sip:1003@{host}:{port}")
            assert invite.from_.uri.startswith("sip:1001@")
            assert "1001" in incoming.peer
            assert "1002" in (invite.get("Referred-By") or "")
            await cast.target.answer()
            await cast.joined()

    run(body)


def test_a_transferor_that_hangs_up_after_the_202_leaves_two_who_talk(tmp_path: Path) -> None:
    async def body() -> None:
        async with three_phones(tmp_path) as cast:
            await cast.transferor.transfer("1003", leave=True)
            await cast.target.wait_for(Kind.INCOMING)
            assert len(cast.caller.calls) == 1
            await cast.target.answer()
            await cast.joined()

    run(body)


def test_a_transfer_without_reports_is_accepted_with_refer_sub_false(tmp_path: Path) -> None:
    async def body() -> None:
        async with three_phones(tmp_path) as cast:
            await cast.transferor.transfer("1003", silent=True)
            assert (await cast.transferor.wait_for(Kind.TRANSFERRED)).text == "silent"
            await cast.target.wait_for(Kind.INCOMING)
            await cast.target.answer()
            await cast.joined()
            assert not came(cast.at_transferor, "NOTIFY")

    run(body)


@pytest.mark.parametrize("caller", ["n1", "n2"])
def test_replaces_in_a_refer_to_names_the_transferors_other_call_of_whichever_node(tmp_path: Path, caller: str) -> None:
    async def body() -> None:
        async with three_phones(tmp_path, caller=caller) as cast:
            await cast.transferor.hold()
            consultation = await answered(cast.transferor, cast.target)
            await cast.transferor.transfer(to_call=consultation)
            assert (await cast.transferor.wait_for(Kind.TRANSFERRED)).status == 200
            await cast.joined()

    run(body)


def test_a_target_that_refuses_is_reported_and_the_call_goes_on(tmp_path: Path) -> None:
    async def body() -> None:
        async with three_phones(tmp_path) as cast:
            cast.target.busy = True
            await cast.transferor.transfer("1003")
            assert (await cast.transferor.wait_for(Kind.TRANSFER_FAILED)).status == 486
            await cast.transferor.hold()
            await cast.transferor.retrieve()
            await cast.caller.hangup()
            await cast.transferor.wait_for(Kind.ENDED)

    run(body)


@pytest.mark.parametrize("target", ["n1", "n2"])
def test_a_phone_takes_the_place_of_another_by_an_invite_with_replaces(tmp_path: Path, target: str) -> None:
    async def body() -> None:
        async with three_phones(tmp_path, target) as cast:
            leg = next(iter(cast.transferor.calls.values())).leg
            replaces = cast.transferor._endpoint.replaces_of(leg)
            await cast.target.call("1001", headers=(("Replaces", replaces),))
            await cast.target.wait_for(Kind.ESTABLISHED)
            await cast.target.wait_for(Kind.RETRIEVED_BY_PEER)  # it is answered in silence, then the two are joined
            await cast.joined()

    run(body)


def test_replaces_is_advertised_by_caller_and_callee_legs(tmp_path: Path) -> None:
    async def body() -> None:
        async with three_phones(tmp_path) as cast:
            (invite,) = came(cast.at_transferor, "INVITE")
            accepted = [m for m in cast.at_caller.received if isinstance(m, Response) and m.status == 200]
            (ok,) = [message for message in accepted if message.cseq[1] == "INVITE"]
            for message in (invite, ok):
                assert {"replaces", "100rel", "timer", "norefersub"} <= set(message.elements("Supported"))
                assert {"REFER", "UPDATE", "PRACK", "INFO", "MESSAGE"} <= set(message.elements("Allow"))
            await cast.caller.hangup()
            await cast.transferor.wait_for(Kind.ENDED)

    run(body)


# what else a session has


def test_a_phone_that_is_told_the_least_interval_and_then_challenged_gets_through(tmp_path: Path) -> None:
    async def body() -> None:
        least = "smart-proxy-enabled = true\nsession-refresh-minimum = 120"
        async with running(tmp_path, text=cluster_text().replace("smart-proxy-enabled = true", least)) as cluster:
            caller = await cluster.phone("1001", "n1", session_s=90)
            callee = await cluster.phone("1002", "n2", auto_answer=True)
            await caller.call("1002")
            assert (await caller.wait_for(Kind.ESTABLISHED)).detail["session_s"] == 120
            assert (await callee.wait_for(Kind.ESTABLISHED)).detail["session_s"] == 1800
            await callee.hangup()
            await caller.wait_for(Kind.ENDED)

    run(body)


def test_digits_and_messages_go_through_the_server_to_the_phone_of_the_other_node(tmp_path: Path) -> None:
    async def body() -> None:
        async with three_phones(tmp_path) as cast:
            await cast.caller.send_digits("1*")
            assert [(await cast.transferor.wait_for(Kind.DIGIT)).text for _ in range(2)] == ["1", "*"]
            assert await cast.target.send_message("1001", "Grüße") in (200, 202)
            assert (await cast.caller.wait_for(Kind.MESSAGE)).text == "Grüße"
            await cast.transferor.hangup()
            await cast.caller.wait_for(Kind.ENDED)

    run(body)


def test_a_phone_watches_the_calls_of_another_and_its_own_mailbox(tmp_path: Path) -> None:
    async def body() -> None:
        async with three_phones(tmp_path) as cast:
            watcher = cast.target
            await watcher.watch("1001")
            confirmed = await watcher.wait_for(Kind.DIALOG_STATE, where=lambda event: event.text == "confirmed")
            assert "1002" in str(confirmed.detail["remote"])
            await watcher.watch_mailbox()
            assert (await watcher.wait_for(Kind.MAILBOX)).text == "no"
            await cast.caller.hangup()
            mine = confirmed.detail["id"]
            over = await watcher.wait_for(Kind.DIALOG_STATE, where=lambda event: event.detail["id"] == mine)
            assert over.text == "terminated"
            await watcher.unwatch("1001")
            await watcher.unwatch()
            for _ in range(2):
                await watcher.wait_for(Kind.WATCH_ENDED)

    run(body)
