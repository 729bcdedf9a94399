"""Commands of a phone: lines, scripts, answers, and what ends a program with which status."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from refserver.phone import Phone, PhoneError, PhoneEvent, PhoneEventKind, PhoneTimeout
from refserver.phone_script import (
    COMMANDS,
    MAX_LINE,
    MAX_LINES,
    Answer,
    UsageError,
    exit_status,
    obey,
    parse,
    parse_script,
    refusal,
    usage_of,
    user_of,
)
from tests.refserver.test_phone import run, two_phones

Kind = PhoneEventKind
PAGE = Path(__file__).parents[2] / "docs" / "phone.md"


async def do(phone: Phone, line: str) -> Answer:
    given = parse(line)
    assert given is not None
    return await obey(phone, given)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("nonsense", "no command 'nonsense'"),
        ("call", "usage: call NUMBER"),
        ("call 1002 soon", "'soon' is not 'late'"),
        ("call 1002 late call=1", "usage: call NUMBER"),
        ("reject 200", "'200' is no status"),
        ("reject 7x", "'7x' is no status"),
        ("hold call=one", "'call=one' is no number"),
        ("hold 1", r"usage: hold \[call=CALL\]"),
        ("message 1002", "usage: message NUMBER TEXT"),
        ("busy maybe", "'maybe' is not 'on' or 'off'"),
        ("wait", "usage: wait EVENT"),
        ("wait sunshine", "no event 'sunshine'"),
        ("wait ended,sunshine", "no event 'sunshine'"),
        ("wait ended within=soon", "'within=soon' is no number"),
        ("pause long", "'long' are no seconds"),
        ("digits", "usage: digits DIGITS"),
        ("progress loudly", "'loudly' is not 'reliable' or 'plain'"),
        ("transfer 1003 soon", "'soon' is not 'leave' or 'silent'"),
        ("join other", "'other' is no number of a call"),
        ("join 2 silent", "'silent' is not 'leave'"),
    ],
)
def test_a_line_that_is_no_command_says_what_would_be(line: str, wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong):
        parse(line)


@pytest.mark.parametrize("line", ["", "   ", "# a comment", "\t# another"])
def test_an_empty_line_and_a_comment_are_nothing_to_do(line: str) -> None:
    assert parse(line) is None


def test_names_of_commands_are_read_without_case_and_exit_is_quit() -> None:
    for line in ("QUIT", "exit", "Quit"):
        given = parse(line)
        assert given is not None
        assert given.command is COMMANDS["quit"]


def test_a_message_keeps_its_blanks_and_what_looks_like_an_option() -> None:
    given = parse("message 1002 call=1  is no  option")
    assert given is not None
    assert given.words == ["1002", "call=1  is no  option"]
    assert not given.options


def test_every_command_says_how_it_is_written() -> None:
    assert usage_of(COMMANDS["wait"]) == (
        "wait EVENT[,EVENT] [call=CALL] [status=STATUS] [text=TEXT] [peer=PEER] [within=SECONDS]"
    )
    assert all(usage_of(command).startswith(name) and command.text for name, command in COMMANDS.items())


def test_a_script_is_checked_before_it_begins_and_names_the_line() -> None:
    with pytest.raises(UsageError, match="line 3: no command 'dance'"):
        parse_script("# a script\ncall 1002\ndance\n")
    with pytest.raises(UsageError, match="line 1: longer than"):
        parse_script("message 1 " + "x" * MAX_LINE)
    with pytest.raises(UsageError, match="more than"):
        parse_script("quit\n" * (MAX_LINES + 1))
    assert [given.line for given in parse_script("\nhold\n\nretrieve\n")] == [2, 4]
    assert len(parse_script("quit\n" * MAX_LINES)) == MAX_LINES
    assert len(parse_script("message 1 ".ljust(MAX_LINE, "x"))) == 1


@pytest.mark.parametrize("line", ["answer", "hold", "hangup", "cancel", "reject", "digits 1", "hold call=3"])
def test_a_command_without_a_fitting_call_fails(line: str) -> None:
    async def body() -> None:
        async with Phone("1", "", ("127.0.0.1", 9)) as phone:
            with pytest.raises(PhoneError, match="no call that is"):
                await do(phone, line)

    run(body)


def test_commands_drive_two_phones_through_a_call() -> None:
    async def body() -> None:
        async with two_phones() as (caller, callee):
            assert (await do(caller, "call 1002")).call == 1
            assert (await do(callee, "wait incoming peer=2125550100")).call == 1
            assert (await do(callee, "calls")).text.startswith("1 incoming sip:2125550100@")
            assert (await do(callee, "answer call=1")).call == 1
            assert await do(caller, "wait established,failed status=200") == Answer(0, "wait", True, 1, 200, "")
            await do(callee, "wait established")
            await do(caller, "hold")
            await do(callee, "wait held-by-peer call=1 within=5")
            await do(caller, "retrieve")
            await do(callee, "wait retrieved-by-peer")
            await do(caller, "digits 12#")
            assert [(await do(callee, "wait digit")).text for _ in range(3)] == ["1", "2", "#"]
            await do(caller, "hangup")
            await do(callee, "wait ended text=bye")
            assert (await do(callee, "calls")).text == "none"
            assert (await do(caller, "message 1002 good  bye")).status == 200
            assert (await do(callee, "wait message")).text == "good  bye"
            await do(callee, "busy on")
            await do(caller, "call 1002 late")
            await do(caller, "wait failed status=486")
            await do(callee, "busy off")
            await do(caller, "call 1002")
            await do(callee, "wait incoming")
            await do(callee, "reject 480")
            await do(caller, "wait failed status=480")
            await do(caller, "call 1002")
            await do(callee, "wait incoming")
            await do(caller, "cancel")
            await do(callee, "wait cancelled")
            await do(caller, "pause 0.01")
            await do(caller, "quit")

    run(body)


def test_waiting_goes_on_when_events_nobody_waited_for_were_dropped() -> None:
    async def body() -> None:
        async with Phone("1", "", ("127.0.0.1", 9)) as phone:
            for status in range(1_500):
                phone.told_registration(Kind.REGISTERED, status, "")
            assert (await do(phone, "wait registered")).status == 500

    run(body)


def test_waiting_ends_at_the_deadline() -> None:
    async def body() -> None:
        async with Phone("1", "", ("127.0.0.1", 9)) as phone:
            with pytest.raises(PhoneTimeout):
                await do(phone, "wait ended within=0.01")

    run(body)


def test_help_says_how_commands_are_written() -> None:
    async def body() -> None:
        async with Phone("1", "", ("127.0.0.1", 9)) as phone:
            assert (await do(phone, "help pause")).text == "pause SECONDS: do nothing"
            assert len((await do(phone, "help")).text.splitlines()) == len(COMMANDS)

    run(body)


def test_registering_is_a_command_too() -> None:
    async def body() -> None:
        async with Phone("1", "", ("127.0.0.1", 9), transport="tcp") as phone:
            for line in ("register", "unregister"):
                with pytest.raises(PhoneError, match="503"):
                    await do(phone, line)

    run(body)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (PhoneError("no call"), 1),
        (UsageError("no command"), 2),
        (PhoneError("busy", 486), 3),
        (PhoneError("no answer", 408), 4),
        (PhoneTimeout("too late"), 4),
    ],
)
def test_what_failed_decides_the_exit_status(error: PhoneError, status: int) -> None:
    assert exit_status(error) == status


def test_a_refusal_names_the_command_its_line_and_the_status() -> None:
    (given,) = parse_script("\nhold call=2")
    assert refusal(given, PhoneError("refused", 488)) == Answer(2, "hold", False, 2, 488, "refused")


@pytest.mark.parametrize(
    ("uri", "user"), [("sip:1002@x", "1002"), ("sips:1002@x:5061;a=b", "1002"), ("sip:x", ""), ("tel:1", "tel:1")]
)
def test_a_peer_is_known_by_its_number(uri: str, user: str) -> None:
    assert user_of(uri) == user
    assert PhoneEvent(Kind.INCOMING, peer=uri).peer == uri


def test_the_page_has_every_command_and_every_event() -> None:
    rows = [line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([a-z-]+)", row)}
    assert named >= set(COMMANDS)
    assert named >= {kind.value for kind in Kind}
    assert named - set(COMMANDS) - {kind.value for kind in Kind} == set()
