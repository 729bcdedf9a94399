"""Sessions that are refreshed, that are not, and refreshes that cross what else a call does, in virtual time."""

from contextlib import suppress

import pytest

from sip_proto import (
    Acked,
    Connect,
    DialogChanged,
    DialogEnded,
    Ended,
    Endpoint,
    EndpointSettings,
    Invited,
    Limits,
    LocalError,
    OfferAnswered,
    Offered,
    OfferRefused,
    Output,
    Refreshed,
    RefreshRefused,
    Request,
    TransmitStream,
    parse,
)
from tests.sip_proto.alone import requests, responses, sent
from tests.sip_proto.pair import A, B, Pair
from tests.sip_proto.test_sessions import ANSWER, CONTACT, OFFER, Rung, S, Timed, talk
from tests.sip_proto.texts import as_request, request_bytes, response_to

OURS = "Session-Expires: 600;refresher=uac\r\n"
THEIRS = "Session-Expires: 600;refresher=uas\r\n"
UPDATES = "Allow: INVITE, UPDATE\r\n"


def refresh(alone: Timed, at_s: int = 300) -> Request:
    """The refresh that goes out after so long, and nothing before."""
    assert not sent(alone.wait(at_s * S - 1))
    (asked,) = sent(alone.wait(1))
    assert isinstance(asked, Request)
    return asked


def ended(out: list[Output]) -> list[str]:
    return [record.why for record in out if isinstance(record, Ended)]


def sessions(pair: Pair, hours: int) -> list[tuple[str, str]]:
    """Let hours pass; who sent which requests."""
    pair.wire.clear()
    pair.run(hours * 3600 * S)
    messages = [(name, parse(data)) for name, data in pair.wire]
    return [(name, message.method) for name, message in messages if isinstance(message, Request)]


def answer(alone: Timed, asked: Request, status: int = 200, more: str = OURS, body: str = "") -> list[Output]:
    return alone.hear(response_to(asked.to_bytes(), status, more=CONTACT + more, body=body))


def test_a_call_that_both_ends_refresh_lives_for_ever() -> None:
    pair = Pair(session_s=600)
    talk(pair)
    said = sessions(pair, 10)
    # The caller asked for the timer, so it refreshes, by UPDATE as both allow it.
    assert set(said) == {("a", "UPDATE")}
    assert 10 * 3600 // 300 - 1 <= len(said) <= 10 * 3600 // 300
    assert not ended(pair.said["a"] + pair.said["b"])


def test_the_callee_refreshes_alone_when_the_caller_knows_no_timers() -> None:
    pair = Pair(session_s=600)
    talk(pair, session_s=0)
    assert set(sessions(pair, 2)) == {("b", "UPDATE")}
    assert not ended(pair.said["a"] + pair.said["b"])


def test_a_call_without_timers_is_never_refreshed() -> None:
    pair = Pair(session_s=0)
    talk(pair)
    assert sessions(pair, 2) == []


def test_the_session_survives_a_link_that_loses_every_third_message() -> None:
    pair = Pair(session_s=600)
    talk(pair)
    pair.lose = lambda count, name, data: count % 3 == 0
    assert {method for _, method in sessions(pair, 5)} == {"UPDATE"}
    assert not ended(pair.said["a"] + pair.said["b"])


def test_when_the_link_is_cut_both_ends_end_and_nothing_is_left() -> None:
    pair = Pair(session_s=600)
    talk(pair)
    pair.run(100 * S)
    pair.lose = lambda count, name, data: True
    pair.settle()
    # The refresher has no answer to its refresh, the other no refresh: both say BYE.
    assert ended(pair.said["a"]) == ["lost"]
    assert ended(pair.said["b"]) == ["session"]
    assert pair.a.idle()
    assert pair.b.idle()


def test_a_refresh_is_an_update_without_body_where_the_peer_allows_it() -> None:
    alone = Timed()
    alone.talk(OURS + UPDATES)
    asked = refresh(alone)
    assert (asked.method, asked.body, asked.get("Session-Expires")) == ("UPDATE", b"", "600;refresher=uac")
    assert asked.get("Supported") == "100rel, timer"
    assert not [record for record in answer(alone, asked) if not isinstance(record, DialogChanged)]
    assert refresh(alone).cseq[0] == asked.cseq[0] + 1


def test_without_update_a_reinvite_offers_the_last_description_and_is_acknowledged() -> None:
    alone = Timed()
    alone.talk(OURS)
    asked = refresh(alone)
    assert (asked.method, asked.body, asked.get("Session-Expires")) == ("INVITE", OFFER, "600;refresher=uac")
    out = answer(alone, asked, body="v=0\r\nnew\r\n")
    assert requests(out) == ["ACK"]
    (told,) = [record for record in out if isinstance(record, Refreshed)]
    assert (told.leg, told.response.body) == (alone.leg, b"v=0\r\nnew\r\n")
    again = refresh(alone)
    assert (again.body, again.cseq[0]) == (OFFER, asked.cseq[0] + 1)


def test_what_we_answered_last_is_what_a_reinvite_offers() -> None:
    rung = Rung()
    rung.talks()
    (asked,) = sent(rung.wait(900 * S))
    assert (asked.cseq[1], asked.body) == ("INVITE", ANSWER)
    rung = Rung()
    rung.talks()
    rung.hear(rung.inside("INVITE", 2, more="Content-Type: application/sdp\r\n", body="v=0"))
    rung.do(lambda now, out: rung.end.answer_offer(now, rung.leg, out, body=OFFER))
    rung.hear(rung.inside("ACK", 2))
    (asked,) = sent(rung.wait(900 * S))
    assert (asked.cseq[1], asked.body) == ("INVITE", OFFER)


def test_a_phone_that_allows_update_and_refuses_it_is_refreshed_by_reinvite_from_then_on() -> None:
    for status in (405, 501):
        alone = Timed()
        alone.talk(OURS + UPDATES)
        (again,) = sent(answer(alone, refresh(alone), status, more=""))
        assert (again.cseq[1], again.body) == ("INVITE", OFFER)
        answer(alone, as_request(again.to_bytes()))
        assert refresh(alone).method == "INVITE"


def test_a_call_without_descriptions_is_refreshed_by_update_whatever_the_phone_says() -> None:
    alone = Timed()
    alone.hear(response_to(alone.invite(), 200, more=CONTACT + UPDATES))
    alone.do(lambda now, out: alone.end.ack(now, alone.leg, out))
    asked = refresh(alone, 900)
    assert asked.method == "UPDATE"
    (again,) = sent(answer(alone, asked, 501, more=""))
    assert again.cseq[1] == "UPDATE"
    assert not sent(answer(alone, as_request(again.to_bytes()), 501, more=""))
    # It answers, so it lives: the next refresh is as far away as ever.
    assert refresh(alone, 900).method == "UPDATE"


def test_a_timer_is_set_anew_by_a_reinvite_that_was_no_refresh() -> None:
    alone = Timed()
    alone.talk(THEIRS)
    alone.wait(500 * S)
    offer = alone.offer(OFFER + b"s=held\r\n")
    answer(alone, as_request(offer), more=THEIRS, body="v=0")
    assert ended(alone.wait(567 * S)) == []
    assert ended(alone.wait(1 * S)) == ["session"]
    rung = Rung("Supported: timer\r\nSession-Expires: 600\r\n")
    rung.talks()
    rung.wait(500 * S)
    rung.hear(rung.inside("INVITE", 2, more="Supported: timer\r\nContent-Type: application/sdp\r\n", body="v=0"))
    (reply,) = sent(rung.do(lambda now, out: rung.end.answer_offer(now, rung.leg, out, body=ANSWER)))
    # It says nothing of the timer, which goes on as it was.
    assert reply.get("Session-Expires") == "600;refresher=uac"
    rung.hear(rung.inside("ACK", 2))
    assert ended(rung.wait(567 * S)) == []
    assert ended(rung.wait(1 * S)) == ["session"]


def test_a_timer_is_set_anew_by_update() -> None:
    rung = Rung("Supported: timer\r\nSession-Expires: 600\r\n")
    rung.talks()
    for number in range(2, 8):
        assert ended(rung.wait(500 * S)) == []
        more = "Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n"
        (reply,) = sent(rung.hear(rung.inside("UPDATE", number, more=more)))
        assert reply.get("Session-Expires") == "600;refresher=uac"
    assert ended(rung.wait(568 * S)) == ["session"]


def test_the_refresher_changes_in_the_middle_of_a_call_and_both_ends_know_it() -> None:
    rung = Rung("Supported: timer\r\nSession-Expires: 600;refresher=uac\r\nAllow: UPDATE\r\n")
    rung.talks()
    more = "Supported: timer\r\nSession-Expires: 600;refresher=uas\r\n"
    (reply,) = sent(rung.hear(rung.inside("UPDATE", 2, more=more)))
    assert reply.get("Session-Expires") == "600;refresher=uas"
    (changed,) = [record for record in rung.last if isinstance(record, DialogChanged) and record.dialog.refresher]
    assert changed.dialog.session_s == 600
    asked = refresh(rung)
    assert (asked.method, asked.get("Session-Expires")) == ("UPDATE", "600;refresher=uac")
    # The answer gives the role back to the phone.
    rung.hear(response_to(asked.to_bytes(), 200, more=f"{CONTACT}Session-Expires: 600;refresher=uas\r\n"))
    assert not sent(rung.wait(567 * S))
    assert ended(rung.wait(1 * S)) == ["session"]


def test_a_phone_that_turns_its_timer_off_is_refreshed_by_us_alone() -> None:
    alone = Timed()
    alone.talk(THEIRS + UPDATES)
    answer(alone, as_request(alone.offer()), more="", body="v=0")
    assert refresh(alone).method == "UPDATE"


def test_two_refreshers_in_a_chain_do_not_disturb_each_other() -> None:
    # We refresh; the peer thinks that it does, too.
    rung = Rung("Session-Expires: 600;refresher=uac\r\nAllow: UPDATE\r\n")
    assert "Session-Expires: 600;refresher=uas\r\n" in rung.talks()
    number = 1
    for _ in range(20):
        rung.wait(200 * S)
        number += 1
        assert responses(rung.hear(rung.inside("UPDATE", number, more=OURS))) == [200]
        for asked in sent(rung.wait(301 * S)):
            if isinstance(asked, Request):
                rung.hear(response_to(asked.to_bytes(), 200, more=CONTACT + OURS))
    assert rung.end.counts()["legs"] == 1


def test_a_call_that_nobody_refreshes_is_ended_by_bye_a_little_before_its_end() -> None:
    alone = Timed()
    alone.talk(THEIRS)
    assert not sent(alone.wait(568 * S - 1))
    out = alone.wait(1)
    assert (requests(out), ended(out)) == (["BYE"], ["session"])
    assert [type(record) for record in out if isinstance(record, DialogEnded)] == [DialogEnded]
    alone.hear(response_to(next(message for message in sent(out)).to_bytes(), 200))
    alone.wait(40 * S)
    assert alone.end.idle()


def test_a_refresh_without_answer_ends_the_call_with_bye() -> None:
    for more, method in ((UPDATES, "UPDATE"), ("", "INVITE")):
        alone = Timed()
        alone.talk(OURS + more)
        assert refresh(alone).method == method
        out = alone.wait(32 * S)
        assert ended(out) == ["lost"]
        assert requests(out)[-1] == "BYE"
        alone.wait(64 * S)
        assert alone.end.idle()


@pytest.mark.parametrize("status", [408, 481])
@pytest.mark.parametrize("more", ["", UPDATES])
def test_a_refresh_that_finds_no_call_ends_it(status: int, more: str) -> None:
    alone = Timed()
    alone.talk(OURS + more)
    out = answer(alone, refresh(alone), status, more="")
    assert ended(out) == ["lost"]
    assert requests(out)[-1:] == (["BYE"] if status == 408 else ["ACK"] if not more else [])


@pytest.mark.parametrize("more", ["", UPDATES])
def test_a_refresh_that_is_refused_is_tried_again_and_the_call_ends_when_time_is_up(more: str) -> None:
    alone = Timed()
    alone.talk(OURS + more)
    asked = refresh(alone)
    tries = 0
    out: list[Output] = []
    while not ended(out):
        tries += 1
        answer(alone, asked, 488, more="")
        at = alone.end.next_deadline()
        out = []
        while at is not None and not requests(out):
            alone.now = max(alone.now, at)
            out = alone.do(alone.end.handle_timeout)
            at = alone.end.next_deadline()
        asked = as_request(sent(out)[0].to_bytes())
    assert (tries, asked.method, ended(out)) == (7, "BYE", ["session"])


@pytest.mark.parametrize("more", ["", UPDATES])
def test_a_refresh_that_is_challenged_goes_again_with_the_programs_credentials(more: str) -> None:
    alone = Timed()
    alone.talk(OURS + more)
    asked = refresh(alone)
    out = answer(alone, asked, 401, more='WWW-Authenticate: Digest realm="r", nonce="n"\r\n')
    (refused,) = [record for record in out if isinstance(record, RefreshRefused)]
    assert refused.response is not None
    assert (refused.leg, refused.status, refused.response.get("WWW-Authenticate") is not None) == (alone.leg, 401, True)
    headers = [("Authorization", "Digest x")]
    (again,) = sent(alone.do(lambda now, out: alone.end.refresh(now, alone.leg, out, headers=headers)))
    assert (again.get("Authorization"), again.cseq) == ("Digest x", (asked.cseq[0] + 1, asked.method))
    answer(alone, as_request(again.to_bytes()))
    assert refresh(alone).get("Authorization") is None


def test_a_refresh_can_be_asked_for_where_it_is_ours_and_waits_its_turn() -> None:
    alone = Timed()
    alone.talk(OURS + UPDATES)
    offer = as_request(alone.offer())
    for _ in range(2):
        assert not sent(alone.do(lambda now, out: alone.end.refresh(now, alone.leg, out)))
    assert requests(answer(alone, offer, 488, more="")) == ["ACK"]
    assert requests(alone.do(lambda now, out: alone.end.refresh(now, alone.leg, out))) == ["UPDATE"]
    for other in (Timed(), Timed(0)):
        other.talk(THEIRS)
        with pytest.raises(LocalError, match="no session that we refresh"):
            other.do(lambda now, out, other=other: other.end.refresh(now, other.leg, out))


def test_a_healthy_call_is_not_ended_because_its_phone_refuses_what_it_does_not_know() -> None:
    alone = Timed()
    alone.talk(UPDATES)
    for _ in range(5):
        assert not sent(answer(alone, refresh(alone, 900), 500, more=""))
    assert alone.end.counts()["legs"] == 1


def test_a_422_to_a_refresh_is_tried_again_at_once() -> None:
    alone = Timed()
    alone.talk(OURS + UPDATES)
    (again,) = sent(answer(alone, refresh(alone), 422, more="Min-SE: 900\r\n"))
    assert [again.get(name) for name in ("Session-Expires", "Min-SE")] == ["900;refresher=uac", "900"]
    answer(alone, as_request(again.to_bytes()), more="Session-Expires: 900;refresher=uac\r\n")
    assert refresh(alone, 450).get("Session-Expires") == "900;refresher=uac"
    assert not sent(answer(alone, refresh_of(alone), 422, more="Min-SE: 100\r\n"))


def refresh_of(alone: Timed) -> Request:
    """The refresh that went out last."""
    (asked,) = [message for message in sent(alone.last) if isinstance(message, Request)]
    return asked


@pytest.mark.parametrize("more", ["", UPDATES])
def test_a_bye_that_crosses_a_refresh_ends_the_call_once(more: str) -> None:
    alone = Timed()
    alone.talk(OURS + more)
    asked = refresh(alone)
    (bye,) = sent(alone.do(lambda now, out: alone.end.bye(now, alone.leg, out)))
    # BYE, then 481 to the refresh: nothing to crash on.
    assert ended(alone.hear(response_to(asked.to_bytes(), 481))) == []
    assert ended(alone.hear(response_to(bye.to_bytes(), 200))) == []
    alone.wait(40 * S)
    assert alone.end.idle()


def test_the_peers_bye_crosses_our_refresh() -> None:
    for more in (UPDATES, ""):
        alone = Timed()
        alone.talk(OURS + more)
        asked = refresh(alone)
        to = f"<sip:bob@example.org>;tag={asked.from_.tag}"
        from_ = "<sip:alice@example.org>;tag=b1"
        out = alone.hear(request_bytes("BYE", to=to, from_=from_, call_id=asked.call_id, branch="z9hG4bKbye"))
        assert (responses(out), ended(out)) == ([200], ["bye"])
        alone.hear(response_to(asked.to_bytes(), 481))
        alone.wait(40 * S)
        assert alone.end.idle()


def test_an_update_that_is_answered_when_the_call_is_over_is_nothing() -> None:
    alone = Timed()
    alone.talk(OURS + UPDATES)
    asked = refresh(alone)
    alone.do(lambda now, out: alone.end.bye(now, alone.leg, out))
    assert answer(alone, asked) == []
    alone.wait(40 * S)
    assert alone.end.idle()


def test_a_refresh_waits_while_an_offer_of_ours_is_out_and_is_not_needed_after_it() -> None:
    alone = Timed()
    alone.talk(OURS + UPDATES)
    alone.wait(299 * S)
    offer = as_request(alone.offer())
    alone.hear(response_to(offer.to_bytes(), 100, tag=""))
    assert not sent(alone.wait(100 * S))
    answer(alone, offer, body="v=0")
    assert refresh(alone).method == "UPDATE"


def test_a_refresh_follows_an_offer_that_was_refused() -> None:
    alone = Timed()
    alone.talk(OURS + UPDATES)
    alone.wait(299 * S)
    offer = as_request(alone.offer())
    alone.hear(response_to(offer.to_bytes(), 100, tag=""))
    alone.wait(2 * S)
    out = answer(alone, offer, 488, more="")
    assert requests(out) == ["ACK"]
    # Half of what is left of the session.
    (asked,) = [message for message in sent(alone.wait(134 * S)) if isinstance(message, Request)][:1]
    assert asked.method == "UPDATE"


def test_an_offer_of_the_program_waits_for_a_refresh_that_is_out() -> None:
    alone = Timed()
    alone.talk(OURS + UPDATES)
    assert alone.end.can_offer(alone.leg)
    asked = refresh(alone)
    assert not alone.end.can_offer(alone.leg)
    out = alone.do(lambda now, out: alone.end.offer(now, alone.leg, out, body=OFFER))
    assert not sent(out)
    assert requests(answer(alone, asked)) == ["INVITE"]


def test_a_refresh_crosses_the_peers_reinvite_and_both_are_answered() -> None:
    pair = Pair(session_s=600)
    here, there = talk(pair)
    pair.run(290 * S)
    due = pair.a.next_deadline()
    assert due is not None
    pair.run(due - pair.now - 5_000)
    pair.do("b", lambda now, out: pair.b.offer(now, there, out, body=ANSWER))
    pair.run(50_000)
    (offered,) = [record for record in pair.take("a") if isinstance(record, Offered)]
    assert offered.leg == here
    assert ("a", "UPDATE") in [(name, parse(data).cseq[1]) for name, data in pair.wire]
    pair.do("a", lambda now, out: pair.a.answer_offer(now, here, out, body=OFFER))
    pair.run(S)
    assert [type(record) for record in pair.take("b") if isinstance(record, OfferAnswered)] == [OfferAnswered]
    pair.run(3600 * S)
    assert not ended(pair.said["a"] + pair.said["b"])


def test_a_refresh_by_reinvite_that_crosses_the_peers_gets_491_and_goes_again() -> None:
    alone = Timed()
    alone.talk(OURS)
    asked = refresh(alone)
    answer(alone, asked, 491, more="")
    (again,) = [message for message in sent(alone.wait(4 * S)) if isinstance(message, Request)][:1]
    assert (again.method, again.body) == ("INVITE", OFFER)
    assert not [record for record in alone.last if isinstance(record, OfferRefused)]


def test_a_refresh_waits_for_the_answer_that_we_owe() -> None:
    rung = Rung(UPDATES)
    rung.talks()
    rung.wait(890 * S)
    rung.hear(rung.inside("INVITE", 2, more="Content-Type: application/sdp\r\n", body="v=0"))
    assert not sent(rung.wait(20 * S))
    rung.do(lambda now, out: rung.end.answer_offer(now, rung.leg, out, body=ANSWER))
    rung.hear(rung.inside("ACK", 2))
    # The re-INVITE was the refresh.
    assert not sent(rung.wait(870 * S))


def test_a_peers_refresh_that_the_program_answers_late_does_not_end_the_call() -> None:
    rung = Rung("Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n")
    rung.talks()
    rung.wait(560 * S)
    more = "Supported: timer\r\nSession-Expires: 600;refresher=uac\r\nContent-Type: application/sdp\r\n"
    rung.hear(rung.inside("INVITE", 2, more=more, body="v=0"))
    assert ended(rung.wait(20 * S)) == []
    rung.do(lambda now, out: rung.end.answer_offer(now, rung.leg, out, body=ANSWER))
    rung.hear(rung.inside("ACK", 2))
    assert ended(rung.wait(560 * S)) == []


def test_an_answered_call_that_the_program_never_acknowledges_ends_with_its_session() -> None:
    alone = Timed()
    alone.hear(response_to(alone.invite(body=OFFER), 200, more=CONTACT + OURS, body="v=0"))
    out = alone.wait(568 * S)
    assert (requests(out), ended(out)) == (["ACK", "BYE"], ["session"])


def test_a_session_that_ends_refuses_the_offer_that_waits_for_its_answer() -> None:
    rung = Rung("Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n")
    rung.talks()
    rung.wait(400 * S)
    rung.hear(rung.inside("INVITE", 2, more="Content-Type: application/sdp\r\n", body="v=0"))
    out = rung.wait(168 * S)
    assert (requests(out), responses(out), ended(out)) == (["BYE"], [487], ["session"])


def test_a_full_table_puts_a_refresh_off() -> None:
    alone = Timed(limits=Limits(transactions=2))
    alone.talk(OURS + UPDATES)
    alone.wait(299 * S)
    for _ in range(2):
        alone.do(lambda now, out: alone.end.send(now, alone.leg, "INFO", out))
    assert "UPDATE" not in requests(alone.wait(134 * S))
    assert requests(alone.wait(1 * S)) == ["UPDATE"]


def test_a_refresh_that_cannot_leave_is_tried_again() -> None:
    end = Endpoint(EndpointSettings({"tcp": B}, transports={"tcp": "tcp"}), b"seed")
    out: list[Output] = []
    leg = end.invite(
        0,
        out,
        listener="tcp",
        destination=A,
        uri="sip:alice@192.0.2.1;transport=tcp",
        from_="<sip:bob@example.org>",
        to="<sip:alice@example.org>",
        transport="tcp",
        body=OFFER,
    )
    (connect,) = out
    assert isinstance(connect, Connect)
    end.stream_opened(0, connect.flow, "tcp", A, out)
    assert isinstance(out[-1], TransmitStream)
    contact = "Contact: <sip:alice@192.0.2.1:5070;transport=tcp>\r\n"
    end.receive_stream(0, connect.flow, response_to(out[-1].data, 200, more=contact + OURS + UPDATES), out)
    end.ack(0, leg, out)
    end.stream_closed(S, connect.flow, out)
    out.clear()
    end.handle_timeout(300 * S, out)
    (again,) = [record for record in out if isinstance(record, Connect)]
    out.clear()
    end.stream_closed(301 * S, again.flow, out)
    assert [type(record) for record in out] == [RefreshRefused]
    deadline = end.next_deadline()
    assert deadline is not None
    assert 430 * S < deadline < 440 * S
    end.check()


def test_a_refresh_that_is_lost_after_the_call_is_nothing() -> None:
    alone = Timed()
    alone.talk(OURS + UPDATES)
    refresh(alone)
    (bye,) = sent(alone.do(lambda now, out: alone.end.bye(now, alone.leg, out)))
    alone.hear(response_to(bye.to_bytes(), 200))
    out = alone.wait(64 * S)
    assert ended(out) == []
    assert alone.end.idle()


@pytest.mark.parametrize("seed", range(30))
def test_whatever_is_lost_or_repeated_both_ends_agree_on_the_end(seed: int) -> None:
    lots = [(seed * 7919 + count * 104_729) % 100 for count in range(5_000)]
    pair = Pair(session_s=90 + seed % 3 * 60)
    here, there = talk(pair)
    pair.lose = lambda count, name, data: lots[count % 5_000] < 30
    legs = {"a": here, "b": there}
    # Requests are heard twice where their answers are lost.
    for _ in range(3):
        pair.run((37 + seed) * S)
        for name in ("a", "b"):
            if not ended(pair.said[name]):
                pair.do(name, lambda now, out, name=name: pair.ends[name].offer(now, legs[name], out, body=OFFER))
        for _ in range(10):
            pair.run(S)
            for name in ("a", "b"):
                answer_offers(pair, name)
    pair.lose = lambda count, name, data: True
    pair.settle()
    for name in ("a", "b"):
        assert len(ended(pair.said[name])) == 1
        assert pair.ends[name].idle()


def answer_offers(pair: Pair, name: str) -> None:
    """Answer what the other end offered; what it took back, or ended, wants no answer."""
    for record in pair.said[name]:
        if isinstance(record, Offered):
            with suppress(LocalError):
                pair.do(name, lambda now, out, leg=record.leg: pair.ends[name].answer_offer(now, leg, out, body=ANSWER))


def test_sides_that_were_never_answered_have_no_timer() -> None:
    pair = Pair(session_s=600)
    leg = pair.invite(OFFER)
    pair.run(S)
    assert [type(record) for record in pair.take("b")] == [Invited]
    pair.do("a", lambda now, out: pair.a.cancel(now, leg, out))
    pair.settle()
    assert not [record for record in pair.said["b"] if isinstance(record, Acked)]
    assert pair.a.idle()
    assert pair.b.idle()
