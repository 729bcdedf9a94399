"""`refserver phone` on the command line."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

import pytest

from refserver.phone import Phone, PhoneError, PhoneEvent, PhoneEventKind
from refserver.phone_command import line_of, main, obey
from tests.refserver.sip_registrar import Registrar

Kind = PhoneEventKind


def test_an_event_is_one_line_of_json_with_stable_keys() -> None:
    event = PhoneEvent(Kind.INCOMING, 2, 0, "sip:1@x", "sip:\n2@x")
    line = line_of(event, "1001", True)
    assert "\n" not in line
    assert json.loads(line) == {
        "phone": "1001",
        "event": "incoming",
        "call": 2,
        "status": 0,
        "peer": "sip:1@x",
        "text": "sip:\n2@x",
    }


def test_an_event_is_one_line_of_text_that_cannot_move_the_cursor() -> None:
    line = line_of(PhoneEvent(Kind.FAILED, 1, 486, "sip:1@x", "\x1b[2JBusy\n"), "1001", False)
    assert line.isprintable()
    assert line.startswith("1001  failed  call 1  sip:1@x  486")


@pytest.mark.parametrize("text", ["nonsense", "call", "reject 200", "reject 7x", "answer", "hold", "hangup"])
def test_a_command_that_cannot_be_done_says_so(text: str) -> None:
    async def body() -> None:
        async with Phone("1", "", ("127.0.0.1", 9)) as phone:
            with pytest.raises(PhoneError):
                await obey(phone, text)

    asyncio.run(body())


def test_commands_drive_a_call_and_quit_ends() -> None:
    async def body() -> None:
        callee = Phone("2", "", ("127.0.0.1", 9))
        await callee.start()
        async with callee, Phone("1", "", callee.address) as caller:
            assert await obey(caller, "call 2\n")
            await callee.wait_for(Kind.INCOMING)
            assert await obey(callee, "answer")
            await caller.wait_for(Kind.ESTABLISHED)
            assert await obey(caller, "hold")
            assert await obey(caller, "retrieve")
            assert await obey(caller, "hangup")
            await callee.wait_for(Kind.ENDED)
            assert await obey(caller, "\n")
            assert not await obey(caller, "quit")

    asyncio.run(body())


@pytest.mark.parametrize(
    "more", [["--password-env", "NO_SUCH_VARIABLE_HERE"], ["--expires", "0"], ["--expires", "86401"]]
)
def test_wrong_values_are_status_2(more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--register", "127.0.0.1:9", "--number", "1", *more]) == 2
    assert capsys.readouterr().err.startswith("refserver phone: ")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_as_a_program_it_registers_prints_and_unregisters_at_the_signal(transport: str) -> None:
    async def body() -> None:
        registrar = Registrar()
        host, port = await (registrar.start() if transport == "udp" else registrar.start_streams())
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "refserver", "phone", "--register", f"{host}:{port}", "--number", "1001"),
            *("--password-env", "PHONE_PASSWORD", "--json", "--transport", transport),
            env={**os.environ, "PHONE_PASSWORD": "demo"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        async with asyncio.timeout(30):
            assert json.loads(await process.stdout.readline())["event"] == "registered"
            process.send_signal(signal.SIGTERM)
            rest, _ = await process.communicate()
        assert json.loads(rest)["event"] == "unregistered"
        assert process.returncode == 0
        assert not registrar.bound
        if transport == "udp":
            registrar.transport.close()
        else:
            registrar.server.close()

    asyncio.run(body())


@pytest.mark.parametrize("option", ["--ca-file", "--certificate"])
def test_a_file_that_is_not_there_is_status_1_and_named(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--register", "127.0.0.1:9", "--number", "1", "--transport", "tls", option, "/no/such.pem"]
    assert main(given) == 1
    assert "/no/such.pem: No such file" in capsys.readouterr().err
