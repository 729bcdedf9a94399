"""Session timers: every row of RFC 4028 section 9, the states of a timer, and whole calls in virtual time."""

import pytest

from sip_proto import LocalError, Request, Response, parse
from sip_proto.session_timer import (
    LEAST_S,
    Asked,
    SessionDue,
    SessionTimer,
    check_interval,
    read_asked,
)
from sip_proto.tables_timer import (
    ANSWER_ROWS,
    ANSWERED_ROWS,
    REQUEST_ROWS,
    SESSION_TRANSITIONS,
    Refresher,
    Says,
    SessionInput,
    SessionState,
)
from sip_proto.validate import Rejection

S = 1_000_000
TAIL = {Says.NOTHING: None, Says.INTERVAL: "", Says.UAC: ";refresher=uac", Says.UAS: ";refresher=UAS"}


def request(more: str) -> Request:
    message = parse(f"UPDATE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\n{more}\r\n".encode())
    assert isinstance(message, Request)
    return message


def response(more: str, status: int = 200) -> Response:
    message = parse(f"SIP/2.0 {status} OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\n{more}\r\n".encode())
    assert isinstance(message, Response)
    return message


def line(says: Says, interval_s: int) -> str:
    return "" if TAIL[says] is None else f"Session-Expires: {interval_s}{TAIL[says]}\r\n"


def asked(more: str, least_s: int = 90) -> Asked:
    found = read_asked(request(more), least_s)
    assert isinstance(found, Asked)
    return found


def timer(now: Refresher = Refresher.NOBODY, *, wanted_s: int = 1800, interval_s: int = 600) -> SessionTimer:
    made = SessionTimer(wanted_s, 90)
    if now is Refresher.WE:
        made.answered(0, response(line(Says.UAC, interval_s)))
    elif now is Refresher.PEER:
        made.answered(0, response(line(Says.UAS, interval_s)))
    assert made.refresher is now
    return made


def due(made: SessionTimer, now: int) -> list[SessionDue]:
    out: list[SessionDue] = []
    made.handle_timeout(now, out)
    return out


@pytest.mark.parametrize("key", list(ANSWER_ROWS), ids=lambda key: f"{key[0]}-{key[1].name}-{key[2].name}")
def test_our_answer_names_who_the_row_names(key: tuple[bool, Says, Refresher]) -> None:
    knows, says, now = key
    row = ANSWER_ROWS[key]
    made = timer(now)
    want = asked(("Supported: 100rel, Timer\r\n" if knows else "") + line(says, 900))
    assert (want.knows, want.says) == (knows, says)
    text = made.answer(5 * S, want)
    assert ("Require: timer\r\n" in text) == row.require
    # A refresher that stays is told by the interval that stays, 900 is new.
    interval_s = 900 if says is not Says.NOTHING else 600 if now else 1800
    name = "uas" if row.refresher is Refresher.WE else "uac"
    assert text.endswith(f"Session-Expires: {interval_s};refresher={name}\r\n")
    assert (made.refresher, made.agreed, made.interval_s) == (row.refresher, knows, interval_s)
    half, end = 5 + interval_s // 2, 5 + interval_s - 32
    assert made.next_deadline() == (half if row.refresher is Refresher.WE else end) * S


def test_the_rows_are_those_of_the_rfc() -> None:
    assert set(ANSWER_ROWS) == {(knows, says, now) for knows in (False, True) for says in Says for now in Refresher}
    for (knows, says, now), row in ANSWER_ROWS.items():
        assert row.source
        assert row.refresher is not Refresher.NOBODY
        # Whoever does not know timers cannot refresh, and who is to refresh must know it.
        assert knows or row.refresher is Refresher.WE
        assert row.require == knows
        if knows and says is Says.UAC:
            assert row.refresher is Refresher.PEER
        elif knows and (says is Says.UAS or now is Refresher.WE):
            assert row.refresher is Refresher.WE
    assert set(ANSWERED_ROWS) == set(Says)
    assert set(REQUEST_ROWS) == set(Refresher)


@pytest.mark.parametrize("now", list(Refresher))
def test_our_request_leaves_the_role_where_it_is(now: Refresher) -> None:
    made = timer(now)
    tail = {Refresher.NOBODY: "", Refresher.WE: ";refresher=uac", Refresher.PEER: ";refresher=uas"}[now]
    interval_s = 600 if now else 1800
    assert made.request_lines() == f"Session-Expires: {interval_s}{tail}\r\nMin-SE: 90\r\n"


@pytest.mark.parametrize("says", list(Says))
@pytest.mark.parametrize("now", list(Refresher))
def test_the_peers_answer_names_who_refreshes(says: Says, now: Refresher) -> None:
    made = timer(now)
    made.answered(7 * S, response("Require: timer\r\n" + line(says, 300)))
    row = ANSWERED_ROWS[says]
    interval_s = 300 if says is not Says.NOTHING else 600 if now else 1800
    assert (made.refresher, made.agreed, made.interval_s) == (row.refresher, row.agreed, interval_s)
    at = 7 + (interval_s // 2 if row.refresher is Refresher.WE else interval_s - 32)
    assert made.next_deadline() == at * S


def test_an_answer_that_cannot_be_read_or_is_too_short_does_not_make_us_busy() -> None:
    made = timer()
    made.answered(0, response("Session-Expires: soon;refresher=uas\r\n"))
    assert (made.refresher, made.agreed, made.interval_s) == (Refresher.WE, False, 1800)
    made.answered(0, response("Session-Expires: 1;refresher=uac\r\n"))
    assert (made.interval_s, made.next_deadline()) == (LEAST_S, 45 * S)


def test_a_shorter_interval_is_granted_a_longer_one_is_cut_to_ours() -> None:
    assert "Session-Expires: 300;" in timer().answer(0, asked("Supported: timer\r\nSession-Expires: 300\r\n"))
    assert "Session-Expires: 1800;" in timer().answer(0, asked("Supported: timer\r\nSession-Expires: 7200\r\n"))
    text = timer().answer(0, asked("Supported: timer\r\nSession-Expires: 7200\r\nMin-SE: 3600\r\n"))
    assert "Session-Expires: 3600;" in text
    text = timer(wanted_s=200).answer(0, asked("Supported: timer\r\nMin-SE: 600;x=y\r\n"))
    assert "Session-Expires: 600;refresher=uas" in text


def test_too_short_an_interval_is_refused_with_ours() -> None:
    refused = Rejection(422, "Session Interval Too Small", (("Min-SE", "120"),))
    for more in ("Supported: timer\r\nSession-Expires: 119\r\n", "Require: timer\r\nx: 0;refresher=uac\r\n"):
        assert read_asked(request(more), 120) == refused
    assert asked("Supported: timer\r\nSession-Expires: 120\r\n", 120).interval_s == 120


def test_too_short_an_interval_from_a_proxy_is_raised_as_its_sender_knows_no_422() -> None:
    made = SessionTimer(1800, 120)
    text = made.answer(0, asked("Session-Expires: 10\r\n", 120))
    assert text == "Session-Expires: 120;refresher=uas\r\n"


@pytest.mark.parametrize("more", ["Session-Expires: soon\r\n", "Min-SE: -1\r\n", "x: 4294967296\r\n"])
def test_intervals_that_cannot_be_read_are_refused(more: str) -> None:
    found = read_asked(request("Supported: timer\r\n" + more), 90)
    assert isinstance(found, Rejection)
    assert found.status == 400


def test_a_422_raises_the_interval_until_it_asks_for_no_more() -> None:
    made = timer()
    assert made.raised(response("Min-SE: 2400\r\n", 422))
    assert made.request_lines() == "Session-Expires: 2400\r\nMin-SE: 2400\r\n"
    for more in ("Min-SE: 2400\r\n", "Min-SE: 90\r\n", "Min-SE: much\r\n", ""):
        assert not made.raised(response(more, 422))
    assert made.raised(response("Min-SE: 3600\r\n", 422))
    assert made.raises == 2


def test_what_proxies_wanted_before_the_dialog_is_forgotten_with_it_and_what_they_want_within_is_kept() -> None:
    made = timer()
    made.raised(response("Min-SE: 2400\r\n", 422))
    made.answered(0, response("Session-Expires: 2400;refresher=uac\r\n"))
    assert made.request_lines() == "Session-Expires: 2400;refresher=uac\r\nMin-SE: 90\r\n"
    made.heard(0, asked("Min-SE: 300\r\n"))
    made.heard(0, asked("Min-SE: 200\r\n"))
    assert made.request_lines() == "Session-Expires: 2400;refresher=uac\r\nMin-SE: 300\r\n"


def test_an_interval_is_none_or_at_least_the_least() -> None:
    assert (check_interval(0, 90), check_interval(90, 90)) == (0, 90)
    with pytest.raises(LocalError, match="90 s are the least"):
        check_interval(89, 90)


def test_who_requires_timers_knows_them() -> None:
    assert asked("Supported: 100rel\r\nk: x, TIMER\r\n").knows
    assert asked("Require: timer\r\n").knows
    assert not asked("Supported: timers\r\n").knows


def test_the_refresher_refreshes_at_half_and_ends_a_little_before_the_end() -> None:
    made = timer(Refresher.WE)
    assert due(made, 299 * S) == []
    assert due(made, 300 * S) == [SessionDue.REFRESH]
    assert (made.state, made.next_deadline()) == (SessionState.DUE, 568 * S)
    assert due(made, 567 * S) == []
    assert due(made, 568 * S) == [SessionDue.END]
    assert (made.state, made.next_deadline(), due(made, 999 * S)) == (SessionState.OVER, None, [])


def test_the_other_side_ends_when_nobody_refreshes() -> None:
    made = timer(Refresher.PEER)
    assert due(made, 567 * S) == []
    assert due(made, 568 * S) == [SessionDue.END]


def test_a_short_session_ends_a_third_before_its_end() -> None:
    assert timer(Refresher.PEER, interval_s=90).next_deadline() == 60 * S


def test_nothing_is_due_before_anything_is_agreed() -> None:
    made = timer()
    assert (made.next_deadline(), due(made, 10**12)) == (None, [])


def test_any_2xx_either_way_begins_the_session_anew() -> None:
    made = timer(Refresher.WE)
    made.answer(100 * S, asked("Supported: timer\r\nSession-Expires: 600;refresher=uas\r\n"))
    assert made.next_deadline() == 400 * S
    made.answered(200 * S, response("Session-Expires: 600;refresher=uac\r\n"))
    assert made.next_deadline() == 500 * S


def test_a_refresh_that_is_refused_is_tried_again_before_the_end() -> None:
    made = timer(Refresher.WE)
    due(made, 300 * S)
    made.refused(301 * S)
    tries = []
    while made.state is not SessionState.OVER:
        at = made.next_deadline()
        assert at is not None
        for what in due(made, at):
            if what is SessionDue.REFRESH:
                tries.append(at // S)
                made.refused(at)
    assert tries == [434, 501, 534, 551, 559, 564]
    assert made.next_deadline() is None


def test_a_refusal_of_something_else_is_no_matter() -> None:
    made = timer(Refresher.WE)
    made.refused(10 * S)
    assert (made.state, made.next_deadline()) == (SessionState.OURS, 300 * S)


def test_who_refreshes_alone_takes_a_refusal_for_a_sign_of_life() -> None:
    made = timer()
    made.answered(0, response(""))
    due(made, 900 * S)
    made.refused(901 * S)
    assert (made.state, made.next_deadline()) == (SessionState.OURS, (901 + 900) * S)


def test_a_request_that_is_under_way_is_not_cut_off() -> None:
    made = timer(Refresher.PEER)
    made.heard(567 * S, asked("Supported: timer\r\n"))
    assert made.next_deadline() == 599 * S
    made.heard(10 * S, asked("Supported: timer\r\n"))
    assert made.next_deadline() == 599 * S


def test_what_was_agreed_goes_on_after_a_restart_and_refreshes_come_soon_and_spread() -> None:
    seen = []
    for lot in (0, 1, 63, 64):
        made = SessionTimer(1800, 90)
        made.restore(10 * S, 512, refresher=True, agreed=True, lot=lot)
        assert (made.refresher, made.agreed, made.interval_s) == (Refresher.WE, True, 512)
        seen.append(made.next_deadline())
    assert seen == [10 * S, 11 * S, 73 * S, 10 * S]
    made = SessionTimer(1800, 90)
    made.restore(10 * S, 512, refresher=False, agreed=True, lot=63)
    assert made.next_deadline() == (10 + 512 - 32) * S


@pytest.mark.parametrize("state", list(SessionState))
@pytest.mark.parametrize("given", list(SessionInput))
def test_the_timer_does_what_the_row_says(state: SessionState, given: SessionInput) -> None:
    made = SessionTimer(1800, 90)
    if state is not SessionState.IDLE:
        made.answered(0, response(line(Says.UAS if state is SessionState.THEIRS else Says.UAC, 600)))
    if state in (SessionState.DUE, SessionState.OVER):
        due(made, 300 * S)
    if state is SessionState.OVER:
        due(made, 568 * S)
    assert made.state is state
    if given is SessionInput.WE:
        made.answered(1, response(line(Says.UAC, 600)))
    elif given is SessionInput.PEER:
        made.answered(1, response(line(Says.UAS, 600)))
    elif given is SessionInput.REFUSED:
        made.refused(301 * S)
    else:
        due(made, (300 if given is SessionInput.HALF else 568) * S)
    assert made.state is SESSION_TRANSITIONS.get((state, given), state)
    assert (made.next_deadline() is None) == (made.state in (SessionState.IDLE, SessionState.OVER))


def test_timer_rows_lead_from_every_state_to_the_end() -> None:
    assert set(SESSION_TRANSITIONS.values()) | {SessionState.IDLE} == set(SessionState)
    assert {event for _, event in SESSION_TRANSITIONS} == set(SessionInput)
    for state in (SessionState.OURS, SessionState.DUE, SessionState.THEIRS):
        assert SESSION_TRANSITIONS[state, SessionInput.END] is SessionState.OVER
