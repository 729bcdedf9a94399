"""A registration against a registrar written by hand, and against the package's own challenger."""

import pytest

from sip_proto import Account, Challenger, Credentials, LocalError, Outcome, Response, parse
from sip_proto.registration import (
    Register,
    Registered,
    Registration,
    RegistrationFailed,
    RegistrationOutput,
    RegistrationSettings,
    Unregistered,
)
from sip_proto.tables_usage import REGISTRATION_TRANSITIONS, RegistrationInput, RegistrationState
from tests.sip_proto.texts import request

HOST = "192.0.2.9"
SECOND = 1_000_000


class Desk:
    """A registration whose registrar is the test."""

    def __init__(self, **more: object) -> None:
        settings = RegistrationSettings(
            "sip:example.org", "sip:1001@example.org", "sip:1001@192.0.2.1", **more  # type: ignore[arg-type]
        )
        self.phone = Registration(settings, b"seed", Credentials(b"c", [Account("r", "1001", "secret")]))
        self.now = 0
        self.out: list[RegistrationOutput] = []
        self.asked: Register | None = None

    def said(self) -> list[RegistrationOutput]:
        """What was said since; a Register is the one to answer from now on."""
        out, self.out = self.out, []
        for record in out:
            if isinstance(record, Register):
                self.asked = record
        return out

    def register(self) -> list[RegistrationOutput]:
        self.phone.register(self.now, self.out)
        return self.said()

    def unregister(self, **more: bool) -> list[RegistrationOutput]:
        self.phone.unregister(self.now, self.out, **more)
        return self.said()

    def answer(self, status: int, *more: str) -> list[RegistrationOutput]:
        assert self.asked is not None
        message = parse(("\r\n".join([f"SIP/2.0 {status} Reason", *more]) + "\r\n\r\n").encode())
        assert isinstance(message, Response)
        self.phone.responded(self.now, self.asked.cseq, message, HOST, self.out)
        return self.said()

    def silence(self, why: str = "") -> list[RegistrationOutput]:
        assert self.asked is not None
        self.phone.responded(self.now, self.asked.cseq, None, "", self.out, why)
        return self.said()

    def wait(self) -> list[RegistrationOutput]:
        """Let time pass to the next deadline."""
        at = self.phone.next_deadline()
        assert at is not None
        self.phone.handle_timeout(at - 1, self.out)
        assert self.out == []
        self.now = at
        self.phone.handle_timeout(at, self.out)
        return self.said()

    def header(self, name: str) -> str:
        assert self.asked is not None
        return dict(self.asked.headers)[name]


def bound(**more: object) -> Desk:
    desk = Desk(**more)
    desk.register()
    desk.answer(200, "Contact: <sip:1001@192.0.2.1>;expires=60")
    return desk


def test_a_binding_is_asked_for_and_renewed_before_it_ends() -> None:
    desk = Desk(route=("<sip:proxy;lr>",), q="0.5", headers=(("X-Phone", "1"),))
    (asked,) = desk.register()
    assert isinstance(asked, Register)
    assert (asked.uri, asked.cseq, asked.route) == ("sip:example.org", 1, ("<sip:proxy;lr>",))
    assert asked.headers == (
        ("Contact", "<sip:1001@192.0.2.1>;expires=3600;q=0.5"),
        ("Expires", "3600"),
        ("Supported", "path"),
        ("X-Phone", "1"),
    )
    said = desk.answer(
        200,
        "Contact: <sip:other@192.0.2.2>;expires=5, broken, <sip:1001@192.0.2.1>;expires=1800",
        "Service-Route: <sip:s1;lr>, <sip:s2;lr>",
        "Path: <sip:edge;lr>",
    )
    (done,) = said
    assert isinstance(done, Registered)
    assert (done.service_route, done.path) == (("<sip:s1;lr>", "<sip:s2;lr>"), ("<sip:edge;lr>",))
    assert done.expires_s == 1800
    assert len(done.contacts) == 3
    (again,) = desk.wait()
    assert isinstance(again, Register)
    assert (again.cseq, again.call_id, again.from_tag) == (2, asked.call_id, asked.from_tag)


@pytest.mark.parametrize(
    ("lines", "granted_s"),
    [
        (["Contact: <sip:1001@192.0.2.1>;expires=60"], 60),
        (["Contact: <sip:1001@192.0.2.1>", "Expires: 90"], 90),
        ([], 3600),
        (["Expires: 99999"], 3600),
        (["Expires: 0"], 2),
    ],
)
def test_the_granted_time_is_read_where_it_stands(lines: list[str], granted_s: int) -> None:
    desk = Desk()
    desk.register()
    (done,) = desk.answer(200, *lines)
    assert isinstance(done, Registered)
    assert done.expires_s == granted_s
    assert desk.phone.next_deadline() == max(granted_s * SECOND // 2, (granted_s - 600) * SECOND)


def test_a_challenge_is_answered_once_and_its_nonce_serves_for_renewals() -> None:
    judge = Challenger(b"s", "r")

    def verdict() -> Outcome:
        message = request("REGISTER", "sip:example.org", more=f"Authorization: {desk.header('Authorization')}\r\n")
        return judge.check(1, message, lambda user: "secret").outcome

    desk = Desk()
    desk.register()
    (again,) = desk.answer(401, ": ".join(judge.challenge(0)))
    assert isinstance(again, Register)
    assert verdict() is Outcome.OK
    desk.answer(200)
    desk.wait()
    assert verdict() is Outcome.OK
    desk.answer(401, ": ".join(judge.challenge(0, stale=True)))
    assert verdict() is Outcome.OK
    (failed,) = desk.answer(401, ": ".join(judge.challenge(0)))
    assert isinstance(failed, RegistrationFailed)
    assert failed.status == 401


def test_challenges_without_end_are_not_followed_for_ever() -> None:
    desk = Desk()
    desk.register()
    for turn in range(9):
        judge = Challenger(bytes([turn]), "r")
        said = desk.answer(401, ": ".join(judge.challenge(0, stale=True)))
        if isinstance(said[0], RegistrationFailed):
            break
    assert turn <= 5


def test_a_time_too_brief_is_made_longer_within_reason() -> None:
    desk = Desk(expires_s=60)
    desk.register()
    (again,) = desk.answer(423, "Min-Expires: 120")
    assert isinstance(again, Register)
    assert desk.header("Expires") == "120"
    for least in ("120", "100000", "x"):
        failing = Desk(expires_s=120)
        failing.register()
        (failed,) = failing.answer(423, f"Min-Expires: {least}")
        assert isinstance(failed, RegistrationFailed)


def test_a_registrar_that_never_has_enough_is_not_followed_for_ever() -> None:
    desk = Desk(expires_s=60)
    desk.register()
    said = [desk.answer(423, f"Min-Expires: {61 + turn}")[0] for turn in range(6)]
    assert [isinstance(record, RegistrationFailed) for record in said] == [False] * 5 + [True]


def test_a_failure_is_tried_again_later_and_later() -> None:
    desk = Desk()
    desk.register()
    waits = []
    for _ in range(8):
        (failed,) = desk.silence()
        assert isinstance(failed, RegistrationFailed)
        assert failed.status == 408
        waits.append((failed.retry_us - desk.now) // SECOND)
        (again,) = desk.wait()
        assert isinstance(again, Register)
    assert waits == [30, 60, 120, 240, 480, 960, 1800, 1800]
    (failed,) = desk.answer(503, "Retry-After: 100 (busy);duration=5")
    assert isinstance(failed, RegistrationFailed)
    desk.wait()
    desk.answer(200)
    desk.wait()
    (failed,) = desk.answer(503, "Retry-After: 100 (busy)")
    assert isinstance(failed, RegistrationFailed)
    assert failed.retry_us == desk.now + 100 * SECOND
    assert desk.register()
    (failed,) = desk.silence("transport")
    assert isinstance(failed, RegistrationFailed)
    assert failed.status == 503


def test_a_binding_is_taken_back_alone_or_with_all_others() -> None:
    for everything, contact in ((False, "<sip:1001@192.0.2.1>;expires=0"), (True, "*")):
        desk = bound(q="1")
        desk.unregister(everything=everything)
        assert (desk.header("Contact"), desk.header("Expires")) == (contact, "0")
        assert desk.answer(200) == [Unregistered(200)]
        assert desk.phone.next_deadline() is None
        assert desk.register()
    desk = bound()
    desk.unregister()
    assert desk.silence() == [Unregistered(408)]


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_under_way_is_awaited_before_a_binding_is_taken_back(status: int) -> None:
    desk = Desk()
    desk.register()
    assert desk.unregister() == []
    (leaving,) = desk.answer(status)
    assert isinstance(leaving, Register)
    assert desk.header("Expires") == "0"
    assert desk.answer(481) == [Unregistered(481)]


def test_a_lost_stream_binds_anew_and_late_answers_are_ignored() -> None:
    desk = bound()
    old = desk.asked
    desk.phone.flow_lost(desk.now, desk.out)
    (again,) = desk.said()
    assert isinstance(again, Register)
    desk.asked = old
    assert desk.answer(200) == []
    desk.asked = again
    assert isinstance(desk.answer(200)[0], Registered)
    assert desk.answer(200) == []
    desk.phone.handle_timeout(desk.now, desk.out)
    assert desk.out == []


@pytest.mark.parametrize("state", list(RegistrationState))
@pytest.mark.parametrize("event", list(RegistrationInput))
def test_every_state_takes_every_input(state: RegistrationState, event: RegistrationInput) -> None:
    desk = bound()
    phone = desk.phone
    phone.state = state
    phone._deadline = 5
    wanted = REGISTRATION_TRANSITIONS.get((state, event))
    if event in (RegistrationInput.REGISTER, RegistrationInput.UNREGISTER):
        act = phone.register if event is RegistrationInput.REGISTER else phone.unregister
        if wanted is None:
            with pytest.raises(LocalError):
                act(0, desk.out)
        else:
            act(0, desk.out)
    elif event is RegistrationInput.DUE:
        phone.handle_timeout(5, desk.out)
    elif event is RegistrationInput.LOST:
        phone.flow_lost(5, desk.out)
    elif event is RegistrationInput.SUCCESS:
        desk.answer(200)
    elif event is RegistrationInput.AGAIN:
        desk.answer(423, "Min-Expires: 4000")
    else:
        desk.silence()
    assert phone.state is (state if wanted is None else wanted)


def test_settings_that_cannot_be_are_the_callers_fault() -> None:
    for more in ({"registrar": "x"}, {"contact": "sip:a@b\r\n"}):
        given = {"registrar": "sip:h", "aor": "sip:a@h", "contact": "sip:a@h", **more}
        with pytest.raises(LocalError):
            Registration(RegistrationSettings(**given), b"", Credentials(b"", []))  # type: ignore[arg-type]


def test_numbers_go_on_from_that_of_an_endpoint_that_answered_a_challenge() -> None:
    desk = Desk()
    desk.register()
    desk.answer(200, "CSeq: 3 REGISTER")
    assert desk.asked is not None
    assert desk.asked.cseq == 1
    desk.wait()
    assert desk.asked.cseq == 4
    # It may have answered some before there was silence.
    desk.silence()
    desk.wait()
    assert desk.asked.cseq > 8


@pytest.mark.parametrize(
    ("contacts", "granted_s"),
    [
        ("<sip:1001@203.0.113.7:40001>;expires=60", 60),
        ("<sip:1001@192.0.2.1:5060>;expires=60", 60),
        ("<sip:other@h>;expires=10, <sip:1001@203.0.113.7:40001>;expires=60, <sip:1001@h>;expires=90", 60),
        ("<sip:other@h>;expires=20, <sip:another@h>;expires=10", 10),
        ("<sip:1001@192.0.2.1>, <sip:other@h>;expires=10", 10),
        ("<sip:1001@192.0.2.1>;expires=60, <sip:1001@192.0.2.1>;expires=70, <sip:other@h>;expires=10", 70),
        ("<sip:1001@192.0.2.1>;expires=x, broken", 3600),
    ],
)
def test_a_binding_that_the_registrar_writes_in_its_own_way_is_renewed_in_time(contacts: str, granted_s: int) -> None:
    desk = Desk()
    desk.register()
    (done,) = desk.answer(200, f"Contact: {contacts}")
    assert isinstance(done, Registered)
    assert done.expires_s == granted_s
    assert desk.phone.next_deadline() == max(granted_s // 2, granted_s - 600) * SECOND


@pytest.mark.parametrize("route", ["garbage", "<sip:s1;lr>, <sip:s 2>", "<mailto:a@h>"])
def test_a_service_route_that_cannot_be_gone_is_none(route: str) -> None:
    desk = Desk()
    desk.register()
    (done,) = desk.answer(200, "Contact: <sip:1001@192.0.2.1>;expires=60", f"Service-Route: {route}")
    assert isinstance(done, Registered)
    assert done.service_route == ()
