"""`refserver tail` against a scripted server, and the shape of what it prints."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime

import pytest

from refserver import tail
from refserver.event_json import key_of, object_of
from tests.refserver.tlib_server import ScriptedServer, event
from tlib_proto.constants import Attribute, MessageType
from tlib_proto.records import Message, Unknown

M = MessageType
RINGING = Message(
    M.EventRinging,
    7,
    {
        Attribute.ThisDN: "1001",
        Attribute.ConnID: 0x0010000000000001,
        Attribute.CallType: 2,
        Attribute.UserData: (("name", "A"), ("name", "B"), ("list", (("n", 1), ("b", b"\1")))),
        4242: Unknown(9, b"\xff"),
    },
)


def test_a_json_line_has_stable_keys_and_every_attribute() -> None:
    line = tail.line_of(RINGING, True, datetime(2026, 1, 1))
    assert "\n" not in line
    assert json.loads(line) == {
        "event": "EventRinging",
        "id": 60,
        "ref": 7,
        "this_dn": "1001",
        "conn_id": "0010000000000001",
        "call_type": 2,
        "user_data": [["name", "A"], ["name", "B"], ["list", [["n", 1], ["b", {"hex": "01"}]]]],
        "attribute_4242": {"type": 9, "hex": "ff"},
    }


@pytest.mark.parametrize(
    ("attribute", "key"),
    [
        (Attribute.ThisDNRole, "this_dn_role"),
        (Attribute.CallUUID, "call_uuid"),
        (Attribute.ANI, "ani"),
        (Attribute.EventSequenceNumber, "event_sequence_number"),
        (Attribute.DNEpoch, "dn_epoch"),
    ],
)
def test_keys_are_the_published_names_in_words(attribute: Attribute, key: str) -> None:
    assert key_of(attribute) == key


def test_undecodable_text_still_makes_valid_json() -> None:
    message = Message(M.EventRinging, 0, {Attribute.ThisDN: b"\xff1".decode("utf-8", "surrogateescape")})
    assert object_of(message)["this_dn"] == "\\xff1"


def test_text_is_the_shape_of_the_log_with_user_data_as_it_came() -> None:
    lines = tail.line_of(RINGING, False, datetime(2026, 1, 1, 10, 11, 12, 345600)).splitlines()
    assert lines[0] == "@10:11:12.3456 message EventRinging"
    assert "\tAttributeConnID\t0010000000000001" in lines
    assert "\t\t'name'\t'A'" in lines


def drive(arguments: list[str], refuse_roles: tuple[str, ...] = ()) -> tuple[int, list[Message]]:
    """Run the command against a server that answers one request with two events, then hangs up."""
    received: list[Message] = []

    async def body() -> int:
        connections: list[ScriptedServer] = []

        def accepted() -> ScriptedServer:
            server = ScriptedServer(lambda message: answer(message, server))
            server.refused_roles = refuse_roles
            connections.append(server)
            return server

        def answer(message: Message, server: ScriptedServer) -> list[Message]:
            received.append(message)
            loop = asyncio.get_running_loop()
            assert server.transport is not None
            loop.call_soon(server.transport.close)
            if message.id == M.RequestRegisterAll:
                bulk = event(M.EventRegistered, message.ref, ThisDN="1001")
                return [bulk, event(M.EventRegisteredAll, message.ref)]
            kind = M.EventACK if message.id == M.RequestPrivateService else M.EventRegistered
            return [event(kind, message.ref, ThisDN="1001"), RINGING]

        server = await asyncio.get_running_loop().create_server(accepted, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        given = tail.parser().parse_args([f"127.0.0.1:{port}", *arguments])
        async with asyncio.timeout(20):
            status = await tail.run(given, "")
        server.close()
        await server.wait_closed()
        return status

    return asyncio.run(body()), received


def test_it_registers_the_dn_and_prints_events_until_the_server_goes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, received = drive(["--dn", "1001", "--json"])
    printed = capsys.readouterr()
    assert status == 1
    assert [message.id for message in received] == [M.RequestRegisterAddress]
    assert [json.loads(line)["event"] for line in printed.out.splitlines()] == [
        "EventRegistered",
        "EventRinging",
    ]
    assert "the server closed the connection" in printed.err


def test_it_makes_the_bulk_request(capsys: pytest.CaptureFixture[str]) -> None:
    drive(["--all", "--json"])
    names = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert names == ["EventRegistered", "EventRegisteredAll"]


def test_without_a_dn_it_opens_a_reporting_session(capsys: pytest.CaptureFixture[str]) -> None:
    _, received = drive(["--json"])
    assert [message.id for message in received] == [M.RequestPrivateService]
    assert [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()] == ["EventRinging"]


@pytest.mark.parametrize(
    ("arguments", "pairs"),
    [
        ([], ()),
        (["--session", "icon"], (("SessionId", "icon"),)),
        (["--session", "icon", "--after", "1" * 16], (("SessionId", "icon"), ("SequenceId", "1" * 16))),
    ],
)
def test_a_session_with_a_name_goes_on_where_it_was(
    arguments: list[str], pairs: tuple[tuple[str, str], ...], capsys: pytest.CaptureFixture[str]
) -> None:
    _, received = drive(["--json", *arguments])
    assert received[0].pairs(Attribute.Extensions) == pairs


def test_a_role_that_the_port_refuses_is_followed_by_the_next(capsys: pytest.CaptureFixture[str]) -> None:
    status, received = drive(["--dn", "1001"], refuse_roles=("monitor",))
    assert status == 1
    assert [message.id for message in received] == [M.RequestRegisterAddress]


def test_a_port_that_refuses_is_named_with_the_servers_reason(capsys: pytest.CaptureFixture[str]) -> None:
    status, _ = drive(["--dn", "1001", "--role", "router"], refuse_roles=("router",))
    assert status == 1
    assert "1158 SECURITY_VIOLATION: go away" in capsys.readouterr().err


def test_a_port_without_a_listener_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert tail.main(["127.0.0.1:1", "--dn", "1001"]) == 1
    assert capsys.readouterr().err.startswith("refserver tail: 127.0.0.1:1: ")


@pytest.mark.parametrize(
    "arguments", [["nonsense", "--dn", "1"], ["127.0.0.1:70000"], ["127.0.0.1:1", "--role", "router"]]
)
def test_wrong_usage_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        tail.main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err
