"""Sessions of test phones through the server: transfers of every kind, digits, texts, lamps, session intervals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from refserver.phone import Phone, PhoneEventKind
from sip_proto import Request, Response
from tests.live.cluster import Cluster, cluster_text, run, running
from tests.live.test_sessions import all_over
from tests.refserver.test_phone_calls import Wire

Kind = PhoneEventKind


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
        (left,), (right,) = self.caller.calls.values(), self.target.calls.values()
        assert ("1003" in left.peer, "1001" in right.peer) == (True, True)
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
