"""A client whose link is cut a thousand times: it misses nothing without saying so.

The nodes, the streams and the client are those that are served; time and sockets are in memory, so that a thousand cuts
take what they take of the processor, on any machine, and equal seeds cut alike.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from random import Random

import msgspec
import pytest

from cluster_core.picture import Picture, apply
from refserver.addresses import split_address
from refserver.client import Client, connect
from refserver.client_events import Event, Resynchronised
from refserver.client_picture import Tracker, same
from refserver.client_supervised import Backoff, Supervised, connect_supervised
from refserver.cluster import Cluster, Options
from refserver.config import load
from refserver.serve import any_port
from tests.live.cluster import SECRET, cluster_text
from tests.refserver.cutting_proxy import CuttingProxy
from tests.refserver.virtual import VirtualCluster, VirtualLoop
from tlib_proto.constants import Attribute
from tlib_proto.records import Message

CUTS = int(os.environ.get("CLIENT_CUTS", "1000"))
REAL_CUTS = 40
DNS = [str(number) for number in range(7001, 7005)]
TRUNK = """
[dn."pstn"]
type = "Trunk"
prefix = "9"
contact = "sip:127.0.0.1:9"
"""
OUTSIDE = """
[dn."{dn}"]
type = "Extension"
contact = "sip:{dn}@pstn"
"""
QUICK = Backoff(first_s=0.001, most_s=0.004, stable_s=0.0)


def written(folder: Path) -> Path:
    """The file of a cluster with DNs whose phones are behind a trunk."""
    file = folder / "cluster.toml"
    file.write_text(cluster_text(range(1001, 1002)) + TRUNK + "".join(OUTSIDE.format(dn=dn) for dn in DNS))
    return file


class Ledger:
    """What a program was given, DN by DN: every place of the DN's order was given as an event or named as lost."""

    def __init__(self, pictures: dict[str, Picture]) -> None:
        self.pictures = dict(pictures)
        self.places = {dn: (picture.epoch, picture.seq) for dn, picture in pictures.items()}
        self.events = self.gaps = self.lost = self.down = self.went_on = 0

    def take(self, event: Event) -> None:
        if isinstance(event, Message):
            self.message(event)
        elif isinstance(event, Resynchronised):
            self.down = 0
            self.gaps += event.gap
            self.went_on += event.why.endswith("goes on")
            assert set(event.dns) == set(DNS) or not event.why.startswith("connected"), event.dns
            assert not event.refused
            changed = {change.dn for change in event.changes}
            for dn in event.dns:
                after = event.pictures[dn]
                place = (after.epoch, after.seq)
                assert same(self.pictures[dn], after) == (dn not in changed)
                if dn not in event.lost:
                    assert place == self.places[dn]
                else:
                    count = event.lost[dn]
                    assert event.gap
                    if count is not None:
                        # The number is the most that can have been missed.
                        assert place[0] == self.places[dn][0]
                        assert self.places[dn][1] <= place[1] <= self.places[dn][1] + count
                    self.lost += count or 0
                self.pictures[dn], self.places[dn] = after, place
        else:
            assert not self.down, "the link was lost twice"
            self.down = 1

    def message(self, message: Message) -> None:
        if Attribute.DNSequence not in message.attributes:
            return
        assert not self.down, "an event between the loss and what was missed"
        dn = message.text(Attribute.ThisDN)
        place = (message.number(Attribute.DNEpoch), message.number(Attribute.DNSequence))
        assert place == (self.places[dn][0], self.places[dn][1] + 1), f"{dn}: {self.places[dn]}, then {message}"
        self.places[dn] = place
        before = self.pictures[dn]
        self.pictures[dn] = msgspec.structs.replace(before, calls=dict(before.calls))
        apply(self.pictures[dn], message, "")
        self.events += 1


async def drive(driver: Client, random: Random, stop: asyncio.Event) -> None:
    """Agents go ready and not ready, log out and in, wherever they happen to sit."""
    state = dict.fromkeys(DNS, "out")
    while not stop.is_set():
        dn = random.choice(DNS)
        if state[dn] == "out":
            await driver.agent_login(dn, f"A{dn}")
            state[dn] = "in"
        elif random.random() < 0.1:
            await driver.agent_logout(dn)
            state[dn] = "out"
        elif random.random() < 0.5:
            await driver.agent_set_ready(dn)
        else:
            await driver.agent_set_not_ready(dn)
        await asyncio.sleep(random.choice((0, 0.002, 0.004)))


async def truth(client: Supervised, address: tuple[str, int]) -> None:
    """The client's pictures are those that a client sees which comes new."""
    fresh = Tracker()
    async with await connect(*address, application="viewer", role="desktop") as viewer:
        for dn in DNS:
            fresh.feed(await viewer.register_address(dn), True)
    for dn in DNS:
        mine, other = client.pictures[dn], fresh.pictures[dn]
        assert same(mine, other), (mine, other)
        assert (mine.epoch, mine.seq) == (other.epoch, other.seq)


def test_a_thousand_cuts_and_nothing_is_missed_that_was_not_named(tmp_path: Path) -> None:
    random = Random(4)
    loop = VirtualLoop(random)

    async def body() -> None:
        cluster = VirtualCluster(loop, load(written(tmp_path)), b"a thousand cuts")
        addresses = [cluster.address(node, "tcontroller") for node in ("n1", "n2")]
        breaking = [("breaking", number) for number in range(2)]
        for address, way in zip(addresses, breaking, strict=True):
            loop.serve(way, loop.serving[address])
            loop.cutting[way] = 2_000
        driver = await connect(*addresses[0], application="GWS", role="desktop", secret=SECRET)
        for dn in DNS:
            await driver.register_address(dn)
        stop = asyncio.Event()
        client = await connect_supervised(
            breaking, application="watch", role="desktop", dns=DNS, backoff=QUICK, random=random
        )
        events = client.events()
        ledger = Ledger(dict(client.pictures))
        driving = asyncio.create_task(drive(driver, random, stop))

        async def read() -> None:
            async for event in events:
                ledger.take(event)

        reading = asyncio.create_task(read())
        loop.spare = False
        while loop.cuts < CUTS and not reading.done() and not driving.done():
            await asyncio.sleep(0.01)
        loop.spare = True
        stop.set()
        await driving
        await client.until_connected()
        for dn in DNS:  # the last event of each DN arrives, then nothing is on its way
            await client.register_address(dn)
        await truth(client, addresses[1])
        await client.aclose()
        await reading
        for dn in DNS:
            assert ledger.places[dn] == (client.pictures[dn].epoch, client.pictures[dn].seq)
        assert loop.cuts >= CUTS
        assert cluster.faults == []
        assert ledger.went_on > CUTS // 10
        assert ledger.gaps
        assert ledger.lost
        assert ledger.events
        await driver.aclose()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(body())


@pytest.mark.slow
def test_cuts_of_real_sockets(tmp_path: Path) -> None:
    random = Random(4)

    async def body() -> None:
        ready: list[dict[str, object]] = []
        cluster = Cluster(any_port(load(written(tmp_path))), Options(announce=ready.append, quiet=True))
        await cluster.start()
        members = ready[0]["members"]
        addresses = [split_address(members[name]["tcontroller"]) for name in ("n1/a", "n2/a")]  # type: ignore[index]
        proxies = [CuttingProxy(address, random, 2_000) for address in addresses]
        for proxy in proxies:
            await proxy.start()
            proxy.spare = True
        driver = await connect(*addresses[0], application="GWS", role="desktop", secret=SECRET)
        for dn in DNS:
            await driver.register_address(dn)
        stop = asyncio.Event()
        client = await connect_supervised(
            [proxy.address for proxy in proxies],
            application="watch",
            role="desktop",
            dns=DNS,
            keepalive_s=5,
            timeout_s=5,
            backoff=QUICK,
            random=random,
        )
        events = client.events()
        ledger = Ledger(dict(client.pictures))
        driving = asyncio.create_task(drive(driver, random, stop))

        async def read() -> None:
            async for event in events:
                ledger.take(event)

        reading = asyncio.create_task(read())
        for proxy in proxies:
            proxy.spare = False
        while sum(proxy.cuts for proxy in proxies) < REAL_CUTS and not reading.done() and not driving.done():
            await asyncio.sleep(0.01)
        for proxy in proxies:
            proxy.spare = True
        stop.set()
        await driving
        await client.until_connected()
        for dn in DNS:
            await client.register_address(dn)
        await truth(client, addresses[1])
        await client.aclose()
        await reading
        for dn in DNS:
            assert ledger.places[dn] == (client.pictures[dn].epoch, client.pictures[dn].seq)
        assert ledger.events
        await driver.aclose()
        for proxy in proxies:
            await proxy.close()
        await cluster.end()

    async def limited() -> None:
        async with asyncio.timeout(58):
            await body()

    asyncio.run(limited())
