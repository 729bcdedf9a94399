"""Reporting over real sockets: connections that are cut at any octet, and calls that are told whole all the same."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from random import Random

from refserver.client import ConnectionLost, Resynchronised
from refserver.client_reporting import sequence_id
from refserver.client_subscription import Subscription
from refserver.client_supervised import Backoff, Supervised, connect_supervised
from refserver.phone import PhoneEventKind
from tests.live.cluster import Cluster, run, running
from tests.refserver.cutting_proxy import CuttingProxy
from tlib_proto.constants import Attribute, MessageType
from tlib_proto.records import Message

M = MessageType
Kind = PhoneEventKind
QUICK = Backoff(first_s=0.005, most_s=0.02)
CALLS = 40


async def reporter(cluster: Cluster, name: str, seed: int) -> tuple[Supervised, CuttingProxy]:
    """A supervised client of n1's IPport behind a proxy that cuts every few events."""
    proxy = CuttingProxy(cluster.address("n1", "iproxy"), Random(seed), mean_octets=4_000)
    await proxy.start()
    client = await connect_supervised(
        [proxy.address], application="ICON", role="reporting", session=name, backoff=QUICK, random=Random(seed)
    )
    return client, proxy


async def calls(cluster: Cluster, times: int) -> None:
    """So many calls from 1001 to 1002, who answers; both on n1."""
    one = await cluster.phone("1001", "n1")
    other = await cluster.phone("1002", "n1", auto_answer=True)
    for _ in range(times):
        await one.call("1002")
        await one.wait_for(Kind.ESTABLISHED)
        await one.hangup()
        await other.wait_for(Kind.ENDED)


def of_call(events: list[Message]) -> dict[int, list[Message]]:
    told: dict[int, list[Message]] = {}
    for event in events:
        told.setdefault(event.number(Attribute.ConnID), []).append(event)
    return told


def test_two_that_are_cut_off_again_and_again_hear_every_call_whole_and_once(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(tmp_path) as cluster:
            pool = [await reporter(cluster, name, seed) for seed, name in enumerate(("icon-1", "icon-2"))]
            heard: list[list[Message]] = [[], []]
            whole = asyncio.Event()

            async def listen(events: Subscription, told: list[Message]) -> None:
                async for event in events:
                    assert not isinstance(event, Resynchronised) or not event.gap
                    if isinstance(event, Message):
                        told.append(event)
                    if sum(one.id == M.EventCallDeleted for one in (*heard[0], *heard[1])) == CALLS:
                        whole.set()

            listeners = [
                asyncio.create_task(listen(client.events(), told))
                for (client, _), told in zip(pool, heard, strict=True)
            ]
            await calls(cluster, CALLS)
            for _, proxy in pool:
                proxy.spare = True
                proxy.cut()
            await whole.wait()
            assert sum(proxy.cuts for _, proxy in pool) > 5
            for told in heard:
                numbers = [int(sequence_id(event)) for event in told]
                assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            shares = [of_call(told) for told in heard]
            assert not set(shares[0]) & set(shares[1])
            assert min(map(len, shares)) > CALLS // 8
            assert sum(map(len, shares)) == CALLS
            for share in shares:
                for events_of_one in share.values():
                    names = [event.name.removeprefix("Event") for event in events_of_one]
                    assert names[0] == "CallCreated"
                    assert names[-1] == "CallDeleted"
                    assert names.count("Established") == 2
                    assert names.count("Released") == 2
            for client, proxy in pool:
                while client.session_answer is not None:
                    with contextlib.suppress(ConnectionLost):  # of the cut just now
                        await client.end_session()
                await client.aclose()
                await proxy.close()
            await asyncio.gather(*listeners)
            status = await cluster.status("n1")
            assert status["reporting"] == {"sessions": 0, "away": 0, "events": 0, "octets": 0}

    run(body)


def test_tail_of_a_session_goes_on_behind_the_event_that_is_named(tmp_path: Path) -> None:
    async def tailed(cluster: Cluster, lines: int, *arguments: str) -> list[dict[str, object]]:
        host, port = cluster.address("n1", "iproxy")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "refserver", "tail", f"{host}:{port}", "--json", "--session", "icon", *arguments),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        await cluster.until_status(lambda one, _: one["reporting"]["away"] == 0 < one["reporting"]["sessions"])
        if lines:
            seen = [json.loads(await process.stdout.readline()) for _ in range(lines)]
        else:
            await calls(cluster, 1)
            seen = []
            while not seen or seen[-1]["event"] != "EventCallDeleted":
                seen.append(json.loads(await process.stdout.readline()))
        process.terminate()
        await process.communicate()
        return seen

    async def body() -> None:
        async with running(tmp_path) as cluster:
            first = await tailed(cluster, 0)
            at = 2
            extensions = first[at]["extensions"]
            assert isinstance(extensions, list)
            ((key, place),) = extensions
            assert key == "SequenceId"
            again = await tailed(cluster, len(first) - at - 1, "--after", place)
            assert [line["extensions"] for line in again] == [line["extensions"] for line in first[at + 1 :]]

    run(body)
