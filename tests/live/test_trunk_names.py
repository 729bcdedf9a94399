"""A trunk whose contact names a host: a scripted name server, the first place dead, the call reaches the second."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from refserver.journal import make_directory
from refserver.phone import Phone, PhoneEventKind, Transport
from tests.certificates import self_signed
from tests.dns_server import serving
from tests.live.cluster import cluster_text, run, running, tls_text
from tests.live.test_replay import replayed

Kind = PhoneEventKind


def named_text(server: tuple[str, int]) -> str:
    text = cluster_text().replace(
        'realm = "test.example"', f'realm = "test.example"\nname-servers = ["{server[0]}:{server[1]}"]'
    )
    return text + '\n[dn."pstn"]\ntype = "Trunk"\nprefix = "9"\ncontact = "sip:gw.test"\n'


def test_a_call_goes_to_the_second_place_of_a_trunk_when_the_first_is_dead_and_replays_so(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    make_directory(folder)

    async def body() -> None:
        with socket.socket() as dead:
            dead.bind(("127.0.0.1", 0))  # nobody listens: refused
            async with Phone("gateway", "", ("127.0.0.1", 9), auto_answer=True, transport="tcp") as gateway:
                places = [f"10 0 {dead.getsockname()[1]} a.gw.test.", f"20 0 {gateway.address[1]} b.gw.test."]
                zone = {
                    ("gw.test.", "NAPTR"): ['10 0 "s" "SIP+D2T" "" _sip._tcp.gw.test.'],
                    ("_sip._tcp.gw.test.", "SRV"): places,
                    ("a.gw.test.", "A"): ["127.0.0.1"],
                    ("b.gw.test.", "A"): ["127.0.0.1"],
                }
                async with (
                    serving(zone) as names,
                    running(tmp_path, "--journal", str(folder), text=named_text(names.address)) as cluster,
                ):
                    agent = await cluster.phone("1001", "n1")
                    for _ in range(2):
                        await agent.call("9123")
                        assert (await gateway.wait_for(Kind.INCOMING)).text == "sip:9123@gw.test"
                        await agent.wait_for(Kind.ESTABLISHED)
                        await agent.hangup()
                        await gateway.wait_for(Kind.ENDED)
                    # The second call asks nobody.
                    assert sorted(names.asked) == sorted(zone)
        journals = sorted(folder.iterdir())
        assert len(journals) == 2
        await asyncio.gather(*(replayed(journal, "0") for journal in journals))

    run(body)


def test_a_call_is_refused_with_503_when_the_name_leads_nowhere(tmp_path: Path) -> None:
    async def body() -> None:
        async with serving({}) as names, running(tmp_path, text=named_text(names.address)) as cluster:
            agent = await cluster.phone("1001", "n1")
            await agent.call("9123")
            assert (await agent.wait_for(Kind.FAILED)).status == 503
            assert ("gw.test.", "NAPTR") in names.asked
            assert (await cluster.status("n1"))["counts"]["lookups"] == 0

    run(body)


@pytest.mark.peer("openssl")
@pytest.mark.parametrize(("names", "status"), [("IP:127.0.0.1,DNS:gw.test", 0), ("IP:127.0.0.1", 503)])
def test_a_trunk_under_tls_must_show_the_certificate_of_its_name(tmp_path: Path, names: str, status: int) -> None:
    async def body() -> None:
        pair = self_signed(tmp_path, names=names)
        files = {"ca_file": pair.certificate, "certificate": pair.certificate, "certificate_key": pair.key}
        transport = Transport(name="tls", **files)
        async with Phone("gateway", "", ("127.0.0.1", 9), auto_answer=True, transport=transport) as gateway:
            zone = {
                ("gw.test.", "NAPTR"): ['10 0 "s" "SIPS+D2T" "" _sips._tcp.gw.test.'],
                ("_sips._tcp.gw.test.", "SRV"): [f"10 0 {gateway.address[1]} a.gw.test."],
                ("a.gw.test.", "A"): ["127.0.0.1"],
            }
            async with serving(zone) as server:
                text = tls_text(pair).replace(
                    'realm = "test.example"',
                    f'realm = "test.example"\nname-servers = ["{server.address[0]}:{server.address[1]}"]',
                )
                text += '\n[dn."pstn"]\ntype = "Trunk"\nprefix = "9"\ncontact = "sips:gw.test"\n'
                async with running(tmp_path, text=text) as cluster:
                    agent = await cluster.phone("1001", "n1")
                    await agent.call("9123")
                    if status:
                        assert (await agent.wait_for(Kind.FAILED)).status == status
                        return
                    await gateway.wait_for(Kind.INCOMING)
                    await agent.wait_for(Kind.ESTABLISHED)
                    await agent.hangup()
                    await gateway.wait_for(Kind.ENDED)

    run(body)
