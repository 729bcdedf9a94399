"""The test phone at a real server over UDP, TCP and TLS: registered, called from both nodes, and calling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from refserver.phone import PhoneEventKind, Transport
from tests.certificates import Pair, self_signed
from tests.live.cluster import run, running, tls_text
from tests.live.test_demo_call import routed
from tlib_proto.constants import MessageType

M = MessageType
Kind = PhoneEventKind

TRANSPORTS = ("udp", "tcp", "tls")
pytestmark = pytest.mark.peer("openssl")


def transport_of(name: str, pair: Pair, accepts: bool = True) -> Transport:
    if name != "tls":
        return Transport(name=name)
    if not accepts:
        return Transport(name=name, ca_file=pair.certificate)
    return Transport(name=name, ca_file=pair.certificate, certificate=pair.certificate, certificate_key=pair.key)


@pytest.mark.parametrize("name", TRANSPORTS)
@pytest.mark.parametrize("node", ["n1", "n2"])
def test_a_call_reaches_the_phone_by_its_transport_and_is_driven_from_a_desktop(
    tmp_path: Path, name: str, node: str
) -> None:
    seen: list[tuple[str, bytes]] = []

    async def body() -> None:
        pair = self_signed(tmp_path)
        async with running(tmp_path, text=tls_text(pair)) as cluster:
            desktop = await cluster.desktop("n1", "1002")
            options: dict[str, Any] = {"transport": transport_of(name, pair)}
            phone = await cluster.phone("1002", node, trace=lambda way, data, _: seen.append((way, data)), **options)
            conn_id = await routed(cluster)
            await desktop.answer_call("1002", conn_id)
            await phone.wait_for(Kind.ESTABLISHED)
            await desktop.hold_call("1002", conn_id)
            await desktop.retrieve_call("1002", conn_id)
            await phone.hold()
            await phone.retrieve()
            await desktop.release_call("1002", conn_id)
            await phone.wait_for(Kind.ENDED)
            await phone.unregister()
            await desktop.wait_for(M.EventDNOutOfService, dn="1002")
        vias = {line.split()[0] for _, data in seen for line in data.split(b"\r\nVia: ")[1:]}
        assert vias == {f"SIP/2.0/{name.upper()}".encode()}

    run(body)


@pytest.mark.parametrize("name", TRANSPORTS)
def test_a_phone_calls_another_whatever_the_transport_of_that_one(tmp_path: Path, name: str) -> None:
    async def body() -> None:
        pair = self_signed(tmp_path)
        async with running(tmp_path, text=tls_text(pair)) as cluster:
            desktop = await cluster.desktop("n1", "1002", "1003", "1004")
            caller = await cluster.phone("1001", "n1", transport=transport_of(name, pair, accepts=False))
            for number, other in enumerate(TRANSPORTS, 1002):
                callee = await cluster.phone(str(number), "n1", transport=transport_of(other, pair), auto_answer=True)
                await desktop.wait_for(M.EventDNBackInService, dn=str(number))
                await caller.call(str(number))
                await caller.wait_for(Kind.ESTABLISHED)
                await callee.wait_for(Kind.ESTABLISHED)
                await callee.hangup()
                await caller.wait_for(Kind.ENDED)

    run(body)


@pytest.mark.parametrize("name", ["tcp", "tls"])
def test_a_phone_that_accepts_nothing_is_reached_by_the_stream_of_its_registration(tmp_path: Path, name: str) -> None:
    async def body() -> None:
        pair = self_signed(tmp_path)
        async with running(tmp_path, text=tls_text(pair)) as cluster:
            transport = transport_of(name, pair, accepts=False)
            phone = await cluster.phone("1002", "n1", transport=transport, auto_answer=True)
            desktop = await cluster.desktop("n1", "1002")
            conn_id = await routed(cluster)
            await desktop.wait_for(M.EventEstablished, dn="1002", conn_id=conn_id)
            await desktop.release_call("1002", conn_id)
            await phone.wait_for(Kind.ENDED)

    run(body)
