"""The test phone's sockets: datagrams by asyncio-dgram, streams over TCP and TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from refserver.phone import Phone, PhoneError, PhoneEventKind, Transport
from sip_proto import parse
from tests.certificates import self_signed
from tests.refserver.sip_registrar import Registrar
from tests.refserver.test_phone import run

Kind = PhoneEventKind
STREAMS = ("tcp", pytest.param("tls", marks=pytest.mark.peer("openssl")))


def transport_of(name: str, folder: Path) -> Transport:
    """A transport; under TLS phone and registrar have the same certificate and believe it."""
    if name != "tls":
        return Transport(name=name)
    pair = self_signed(folder)
    return Transport(name=name, ca_file=pair.certificate, certificate=pair.certificate, certificate_key=pair.key)


@asynccontextmanager
async def registrar_at(transport: Transport) -> AsyncIterator[Registrar]:
    registrar = Registrar()
    await registrar.start_streams(transport.accepting())
    try:
        yield registrar
    finally:
        registrar.server.close()
        for writer in registrar.flows.values():
            writer.close()


@pytest.mark.parametrize("name", STREAMS)
def test_a_phone_registers_by_one_stream_and_says_how_it_is_reached(tmp_path: Path, name: str) -> None:
    async def body() -> None:
        transport = transport_of(name, tmp_path)
        async with registrar_at(transport) as registrar:
            async with Phone("1001", "demo", registrar.address, transport=transport) as phone:
                await phone.register()
                assert registrar.bound
                host, port = phone.address
                assert registrar.requests[-1].get("Contact") == f"<sip:1001@{host}:{port};transport={name}>"
                assert (registrar.requests[-1].get("Via") or "").startswith(f"SIP/2.0/{name.upper()} {host}:{port};")
            assert not registrar.bound
            assert len(registrar.flows) == 1

    run(body)


@pytest.mark.parametrize("name", STREAMS)
def test_two_phones_talk_hold_and_hang_up_over_streams(tmp_path: Path, name: str) -> None:
    async def body() -> None:
        transport = transport_of(name, tmp_path)
        callee = Phone("1002", "", ("127.0.0.1", 9), transport=transport)
        await callee.start()
        async with callee, Phone("1001", "", callee.address, transport=transport) as caller:
            await caller.call("1002")
            await callee.wait_for(Kind.INCOMING)
            await callee.answer()
            await caller.wait_for(Kind.ESTABLISHED)
            await callee.wait_for(Kind.ESTABLISHED)
            await callee.hold()
            await caller.wait_for(Kind.HELD_BY_PEER)
            await callee.hangup()
            await caller.wait_for(Kind.ENDED)

    run(body)


def test_a_call_is_hung_up_before_the_stream_is_closed() -> None:
    async def body() -> None:
        callee = Phone("1002", "", ("127.0.0.1", 9), auto_answer=True, transport="tcp")
        await callee.start()
        async with callee:
            async with Phone("1001", "", callee.address, transport="tcp") as caller:
                await caller.call("1002")
                await callee.wait_for(Kind.ESTABLISHED)
            assert (await callee.wait_for(Kind.ENDED)).text == "bye"

    run(body)


def test_a_registration_whose_stream_breaks_is_made_again_by_another() -> None:
    async def body() -> None:
        async with (
            registrar_at(Transport(name="tcp")) as registrar,
            Phone("1001", "demo", registrar.address, transport="tcp") as phone,
        ):
            await phone.register()
            await phone.wait_for(Kind.REGISTERED)
            registrar.flows[1].transport.abort()
            await phone.wait_for(Kind.REGISTERED)
            assert len(registrar.flows) == 2

    run(body)


def test_a_trace_shows_whole_messages_of_a_stream() -> None:
    seen: list[tuple[str, str]] = []

    def trace(way: str, data: bytes, peer: tuple[str, int]) -> None:
        seen.append((way, parse(data).cseq[1]))

    async def body() -> None:
        async with registrar_at(Transport(name="tcp")) as registrar:
            phone = Phone("1001", "demo", registrar.address, transport="tcp", trace=trace)
            async with phone:
                await phone.register()
                assert seen == [("sent", "REGISTER"), ("received", "REGISTER")] * 2

    run(body)


def test_a_server_that_is_not_there_is_told_with_the_reason() -> None:
    async def body() -> None:
        async with Phone("1001", "", ("127.0.0.1", 9), transport="tcp") as phone:
            with pytest.raises(PhoneError, match=r"503 .*refused"):
                await phone.register()
            await phone.call("1002")
            assert (await phone.wait_for(Kind.FAILED)).status == 503

    run(body)


@pytest.mark.peer("openssl")
def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    async def body() -> None:
        async with (
            registrar_at(transport_of("tls", tmp_path)) as registrar,
            Phone("1001", "demo", registrar.address, transport="tls") as phone,
        ):
            with pytest.raises(PhoneError, match="503 the server's certificate: self-signed"):
                await phone.register()
            assert not registrar.requests

    run(body)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "none.pem"
    with pytest.raises(OSError, match=r"none\.pem"):
        Transport(name="tls", ca_file=missing).connecting()
    with pytest.raises(OSError, match=r"none\.pem"):
        Transport(name="tls", certificate=missing).accepting()


@pytest.mark.parametrize(
    ("transport", "accepts"),
    [
        (Transport(), False),
        (Transport(name="tcp"), True),
        (Transport(name="tls"), False),
        (Transport(name="tls", certificate=Path("c")), True),
    ],
)
def test_a_phone_accepts_streams_over_tcp_and_with_a_certificate_over_tls(transport: Transport, accepts: bool) -> None:
    assert transport.accepts == accepts


def test_two_phones_without_a_certificate_never_share_a_contact() -> None:
    async def body() -> None:
        phones = [Phone("1", "", ("127.0.0.1", 9), transport="tls") for _ in range(2)]
        async with phones[0], phones[1]:
            assert phones[0].address != phones[1].address

    run(body)


def test_a_stream_that_nobody_reads_does_not_keep_the_phone_open() -> None:
    async def body() -> None:
        opened: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

        async def mute(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            opened.put_nowait(writer)

        server = await asyncio.start_server(mute, "127.0.0.1", 0)
        phone = Phone("1", "", server.sockets[0].getsockname(), transport="tcp")
        await phone.call("2")
        writer = await opened.get()
        await phone.aclose()
        writer.close()
        server.close()

    run(body)


def test_tls_of_a_phone_is_1_2_or_newer() -> None:
    context = Transport(name="tls").connecting()
    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.check_hostname


def test_datagrams_go_on_after_one_that_nobody_took() -> None:
    async def body() -> None:
        registrar = Registrar()
        address = await registrar.start()
        # The call goes where nobody listens: ICMP comes back on the socket that registers next.
        async with Phone("1001", "demo", address) as phone:
            await phone.call("sip:2@127.0.0.1:9")
            phone.registrar = ("127.0.0.1", 9)
            await phone.call("2")
            phone.registrar = address
            await phone.register()
            assert registrar.bound
        registrar.transport.close()

    run(body)
