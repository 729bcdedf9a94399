"""`refserver agent`, `call`, `dn`: what they send, what they print, how they end."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from refserver import agent, call, client_command, dn
from refserver.cli import main
from tests.refserver.tlib_server import ScriptedServer, listening
from tlib_proto.constants import Attribute, MessageType
from tlib_proto.records import Message
from tlib_proto.testing import named

M = MessageType
CONN = "0010000000000001"
ANSWERS = {
    M.RequestRegisterAddress: M.EventRegistered,
    M.RequestQueryAddress: M.EventAddressInfo,
    M.RequestAgentLogin: M.EventAgentLogin,
    M.RequestAgentLogout: M.EventAgentLogout,
    M.RequestAgentReady: M.EventAgentReady,
    M.RequestAgentNotReady: M.EventAgentNotReady,
    M.RequestSetDNDOn: M.EventDNDOn,
    M.RequestSetDNDOff: M.EventDNDOff,
    M.RequestCallForwardSet: M.EventForwardSet,
    M.RequestCallForwardCancel: M.EventForwardCancel,
    M.RequestQueryCall: M.EventPartyInfo,
    M.RequestMakeCall: M.EventDialing,
    M.RequestAnswerCall: M.EventEstablished,
    M.RequestReleaseCall: M.EventReleased,
    M.RequestHoldCall: M.EventHeld,
    M.RequestRetrieveCall: M.EventRetrieved,
    M.RequestSingleStepTransfer: M.EventReleased,
    M.RequestInitiateTransfer: M.EventDialing,
    M.RequestCompleteTransfer: M.EventReleased,
    M.RequestReconnectCall: M.EventRetrieved,
    M.RequestAlternateCall: M.EventRetrieved,
    M.RequestMuteTransfer: M.EventReleased,
    M.RequestRedirectCall: M.EventReleased,
    M.RequestClearCall: M.EventReleased,
    M.RequestSendDTMF: M.EventDTMFSent,
    M.RequestUpdateUserData: M.EventAttachedDataChanged,
    M.RequestDeletePair: M.EventAttachedDataChanged,
    M.RequestRouteCall: M.EventRouteUsed,
    M.RequestAttachUserData: M.EventAttachedDataChanged,
}


def obliging(message: Message) -> list[Message]:
    return [Message(ANSWERS[M(message.id)], message.ref, message.attributes)]


class Served:
    def __init__(self) -> None:
        self.answer = obliging
        self.refused_roles: tuple[str, ...] = ()
        self.mute = False
        self.connections: list[ScriptedServer] = []
        self.port = ""

    def connect(self) -> ScriptedServer:
        made = ScriptedServer(lambda message: self.answer(message), silent=self.mute)
        made.refused_roles = self.refused_roles
        self.connections.append(made)
        return made

    @property
    def asked(self) -> list[Message]:
        return [message for connection in self.connections for message in connection.received]


@pytest.fixture
def server() -> Iterator[Served]:
    with running() as served:
        yield served


@contextmanager
def running() -> Iterator[Served]:
    served = Served()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    listener = listening(served.connect)
    try:
        host, port = asyncio.run_coroutine_threadsafe(listener.__aenter__(), loop).result()
        served.port = f"{host}:{port}"
        yield served
    finally:
        asyncio.run_coroutine_threadsafe(listener.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.mark.parametrize(
    ("command", "request_id", "carries"),
    [
        ("agent login --agent A1 --queue 8000", M.RequestAgentLogin, {"AgentID": "A1", "ThisQueue": "8000"}),
        ("agent logout", M.RequestAgentLogout, {}),
        ("agent ready", M.RequestAgentReady, {}),
        ("agent not-ready --queue 8000", M.RequestAgentNotReady, {"ThisQueue": "8000"}),
        (
            "call make --to 1002 --data name=A=B --data n:=-7",
            M.RequestMakeCall,
            {"OtherDN": "1002", "UserData": (("name", "A=B"), ("n", -7))},
        ),
        (f"call answer --conn {CONN}", M.RequestAnswerCall, {"ConnID": int(CONN, 16)}),
        (f"call release --conn {CONN}", M.RequestReleaseCall, {"ConnID": int(CONN, 16)}),
        (f"call hold --conn {CONN}", M.RequestHoldCall, {"ConnID": int(CONN, 16)}),
        (f"call retrieve --conn {CONN}", M.RequestRetrieveCall, {"ConnID": int(CONN, 16)}),
        (f"call transfer --conn {CONN} --to 1002", M.RequestSingleStepTransfer, {"OtherDN": "1002"}),
        (f"call consult --conn {CONN} --to 1002", M.RequestInitiateTransfer, {"OtherDN": "1002"}),
        (
            f"call complete --conn {CONN} --other 0010000000000009",
            M.RequestCompleteTransfer,
            {"ConnID": int(CONN, 16), "TransferConnID": 0x10000000000009},
        ),
        (
            f"call reconnect --conn {CONN} --other 0010000000000009",
            M.RequestReconnectCall,
            {"ConnID": int(CONN, 16), "PreviousConnID": 0x10000000000009},
        ),
        (
            f"call alternate --conn {CONN} --other 0010000000000009",
            M.RequestAlternateCall,
            {"ConnID": int(CONN, 16), "PreviousConnID": 0x10000000000009},
        ),
        (
            f"call mute-transfer --conn {CONN} --to 1002 --data k=v",
            M.RequestMuteTransfer,
            {"OtherDN": "1002", "UserData": (("k", "v"),)},
        ),
        (f"call redirect --conn {CONN} --to 1002", M.RequestRedirectCall, {"OtherDN": "1002"}),
        (f"call query --conn {CONN}", M.RequestQueryCall, {"ConnID": int(CONN, 16)}),
        (f"call clear --conn {CONN}", M.RequestClearCall, {"ConnID": int(CONN, 16)}),
        (f"call digits --conn {CONN} --digits 12#", M.RequestSendDTMF, {"DTMFDigits": "12#"}),
        (f"call update --conn {CONN} --data k=v", M.RequestUpdateUserData, {"UserData": (("k", "v"),)}),
        (f"call delete --conn {CONN} --key k", M.RequestDeletePair, {"DataKey": "k"}),
        (f"call route --conn {CONN} --to 1002", M.RequestRouteCall, {"OtherDN": "1002"}),
        (f"call attach --conn {CONN} --data k=v", M.RequestAttachUserData, {"UserData": (("k", "v"),)}),
        ("dn dnd-on", M.RequestSetDNDOn, {}),
        ("dn dnd-off", M.RequestSetDNDOff, {}),
        ("dn forward --to 1002", M.RequestCallForwardSet, {"OtherDN": "1002", "ForwardMode": 1}),
        (
            "dn forward --to 1002 --mode busy-or-no-answer",
            M.RequestCallForwardSet,
            {"OtherDN": "1002", "ForwardMode": 4},
        ),
        ("dn forward-off", M.RequestCallForwardCancel, {"ForwardMode": None}),
        ("dn query", M.RequestQueryAddress, {"AddressInfoType": 17}),
    ],
)
def test_each_verb_registers_the_dn_if_it_must_then_asks_and_prints_the_answer(
    server: Served, capsys: pytest.CaptureFixture[str], command: str, request_id: M, carries: dict[str, object]
) -> None:
    words = command.split()
    assert main([*words[:2], server.port, "--dn", "1001", *words[2:], "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["event"] == ANSWERS[request_id].name
    assert answer["this_dn"] == "1001"
    registered = [] if command == "dn query" else [M.RequestRegisterAddress]
    assert [message.id for message in server.asked] == [*registered, request_id]
    assert {key: server.asked[-1].get(Attribute[key]) for key in carries} == carries
    hello = server.connections[0].hello
    assert hello is not None
    assert hello.role == ("router" if "route" in words else "desktop")


def test_for_people_the_answer_is_log_text(server: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["call", "make", server.port, "--dn", "1001", "--to", "1002"]) == 0
    out = capsys.readouterr().out
    assert "message EventDialing\n" in out
    assert "\tAttributeOtherDN\t'1002'" in out


def test_a_refusal_a_silence_and_a_missing_server_have_statuses_of_their_own(
    server: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    hold = ["call", "hold", server.port, "--dn", "1001", "--conn", CONN, "--timeout", "0.2"]
    server.answer = lambda message: [
        named(M.EventError, message.ref, ErrorCode=56, ErrorMessage="no such call")
        if message.id == M.RequestHoldCall
        else obliging(message)[0]
    ]
    assert main(hold) == client_command.EXIT_REFUSED == 3
    assert capsys.readouterr().err == "refserver call hold: 56 INV_CONNID: no such call\n"
    assert main([*hold, "--json"]) == 3
    assert json.loads(capsys.readouterr().out) == {
        "failed": "refserver call hold",
        "status": 3,
        "text": "56 INV_CONNID: no such call",
        "number": 56,
        "error": "INV_CONNID",
    }
    server.answer = lambda message: []
    assert main(hold) == client_command.EXIT_TIMEOUT == 4
    assert "no answer to RequestRegisterAddress within 0.2 s" in capsys.readouterr().err
    assert main(["dn", "query", "127.0.0.1:9", "--dn", "1"]) == client_command.EXIT_NO_CONNECTION == 5
    assert capsys.readouterr().err.startswith("refserver dn query: 127.0.0.1:9: ")


def test_the_role_is_the_first_that_the_port_accepts_unless_it_is_named(
    server: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    server.refused_roles = ("desktop",)
    query = ["dn", "query", server.port, "--dn", "1001"]
    assert main(query) == 0
    assert [c.hello.role for c in server.connections if c.hello] == ["desktop", "monitor"]
    assert main([*query, "--role", "desktop"]) == 3
    server.refused_roles = ("desktop", "monitor", "router")
    assert main(query) == 3
    assert "1158" in capsys.readouterr().err


def test_the_secret_comes_from_the_environment(
    server: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    query = ["dn", "query", server.port, "--dn", "1001", "--application", "GWS", "--secret-env", "PROOF"]
    monkeypatch.setenv("PROOF", "s3cret")
    assert main(query) == 0
    hello = server.connections[0].hello
    assert hello is not None
    assert (hello.application, hello.secret) == ("GWS", "s3cret")
    monkeypatch.delenv("PROOF")
    with pytest.raises(SystemExit) as caught:
        main(query)
    assert caught.value.code == 2
    assert "no environment variable PROOF" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("call hold H --dn 1", "--conn"),
        ("call hold H --dn 1 --conn 12", "is no ConnID"),
        ("call hold H --dn 1 --conn 0000000000000000", "is no ConnID"),
        ("call make H --dn 1 --to 2 --data x", "KEY=VALUE"),
        ("call make H --dn 1 --to 2 --data =x", "KEY=VALUE"),
        ("call make H --dn 1 --to 2 --data n:=1_0", "is no number"),
        ("call attach H --dn 1 --conn 0010000000000001", "--data"),
        ("call make H --dn 1 --to 2 --timeout 0", "more than 0"),
        ("call make H --dn 1 --to 2 --timeout -1", "more than 0"),
        ("agent login H --dn 1", "--agent"),
        ("agent fly H --dn 1", "invalid choice"),
        ("agent", "VERB"),
        ("dn query nowhere --dn 1", "HOST:PORT"),
        ("dn query H --dn 1 --ca-file /no/such/file", "--ca-file"),
    ],
)
def test_a_wrong_command_line_is_named_and_ends_with_status_2(
    capsys: pytest.CaptureFixture[str], words: str, why: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words.replace(" H ", " 127.0.0.1:9 ").split())
    assert caught.value.code == 2
    assert why in capsys.readouterr().err


def test_a_ca_file_asks_for_tls(server: Served, capsys: pytest.CaptureFixture[str]) -> None:
    import ssl

    cafile = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    query = ["dn", "query", server.port, "--dn", "1001", "--timeout", "1", "--ca-file", cafile]
    assert main(query) in (client_command.EXIT_TIMEOUT, client_command.EXIT_NO_CONNECTION)
    assert not server.asked


@pytest.mark.parametrize("module", [agent, call, dn])
def test_help_documents_the_exit_statuses(module: object, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        module.main(["--help"])  # type: ignore[attr-defined]
    assert caught.value.code == 0
    assert "3 refused by the server" in " ".join(capsys.readouterr().out.split())
