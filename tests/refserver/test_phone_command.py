"""`refserver phone` on the command line."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from refserver.phone import Phone, PhoneEvent, PhoneEventKind
from refserver.phone_command import line_of, main
from refserver.phone_script import COMMANDS
from tests.refserver.sip_registrar import Registrar

Kind = PhoneEventKind
NAMES = ", ".join(COMMANDS)


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


@pytest.mark.parametrize(
    "more",
    [
        ["--password-env", "NO_SUCH_VARIABLE_HERE"],
        ["--expires", "0"],
        ["--expires", "86401"],
        ["--session", "89"],
        ["--min-session", "0"],
    ],
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


def test_detail_of_an_event_is_an_object_where_there_is_any() -> None:
    event = PhoneEvent(Kind.DIGIT, 1, 0, "sip:1@x", "5", {"duration_ms": 160})
    assert json.loads(line_of(event, "1001", True))["detail"] == {"duration_ms": 160}
    assert line_of(event, "1001", False).endswith("5  duration_ms=160")


async def scripted(script: str, *more: str, stdin: str | None = None) -> tuple[int, list[dict[str, object]], str]:
    """Run `refserver phone`, its calls going to a phone that answers: status, lines of JSON, complaints."""
    async with Phone("1002", "", ("127.0.0.1", 9), auto_answer=True) as callee:
        host, port = callee.address
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "refserver", "phone", "--register", f"{host}:{port}", "--number", "1001"),
            *("--no-register", "--json", *(("--script", script) if script else ()), *more),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(30):
            said, complaints = await process.communicate(None if stdin is None else stdin.encode())
        assert process.returncode is not None
        return process.returncode, [json.loads(line) for line in said.splitlines()], complaints.decode()


def test_a_script_runs_to_its_end_and_says_what_came_of_each_line(tmp_path: Path) -> None:
    script = tmp_path / "call.phone"
    script.write_text("# one call\ncall 1002\nwait established\nhold\ndigits 5\nhangup\n")
    status, lines, complaints = asyncio.run(scripted(str(script)))
    assert (status, complaints) == (0, "")
    answers = [(line["line"], line["command"], line["ok"]) for line in lines if "command" in line]
    assert answers == [
        *((2, "call", True), (3, "wait", True), (4, "hold", True), (5, "digits", True), (6, "hangup", True))
    ]
    events = [line["event"] for line in lines if "event" in line]
    assert events == ["ringing", "established", "held", "ended"]
    # An event stands before the answer of the command that it belongs to.
    assert [line.get("event") or line.get("command") for line in lines][-4:] == ["hold", "digits", "ended", "hangup"]


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("hold\n", 1),
        ("dance\n", 2),
        ("call 1002\nwait established\nreject\n", 1),
        ("wait ended within=0.01\n", 4),
        ("quit\nhold\n", 0),
    ],
)
def test_a_script_ends_at_the_first_command_that_fails_and_its_status_says_why(text: str, status: int) -> None:
    found, lines, complaints = asyncio.run(scripted("-", stdin=text))
    assert found == status
    if status == 2:
        assert (lines, complaints) == ([], "refserver phone: -: line 1: no command 'dance'; there are: " + NAMES + "\n")
    elif status:
        assert lines[-1 - sum(line.get("event") == "ended" for line in lines)]["ok"] is False


def test_lines_of_standard_input_go_on_after_a_failure() -> None:
    text = "dance\nhold\n" + "x" * 2_000 + "\nmessage 1002 hi\nquit\n"
    status, lines, _ = asyncio.run(scripted("", stdin=text))
    assert status == 0
    assert [(line["command"], line["ok"]) for line in lines] == [
        *(("", False), ("hold", False), ("", False), ("message", True), ("quit", True))
    ]


def test_a_script_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = str(tmp_path / "none")
    assert main(["--register", "127.0.0.1:9", "--number", "1", "--script", missing]) == 2
    assert capsys.readouterr().err == f"refserver phone: {missing}: No such file or directory\n"


def test_a_script_without_bounds_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "long"
    script.write_bytes(b"#" * 1_000_001)
    assert main(["--register", "127.0.0.1:9", "--number", "1", "--script", str(script)]) == 2
    assert "longer than 1,000,000 octets" in capsys.readouterr().err


def test_the_help_tells_commands_and_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert NAMES in text
    assert "Exit status: 0 done" in text


def test_a_registration_that_is_refused_is_status_3() -> None:
    async def body() -> None:
        registrar = Registrar()
        registrar.refuse = 403
        host, port = await registrar.start()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "refserver", "phone", "--register", f"{host}:{port}", "--number", "1001"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(30):
            _, complaints = await process.communicate()
        registrar.transport.close()
        assert process.returncode == 3
        assert b"403" in complaints

    asyncio.run(body())
