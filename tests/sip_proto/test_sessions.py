"""What an endpoint's messages say of session timers, and what it makes of the peer's, whole calls and by hand."""

from typing import Any

import pytest

from sip_proto import (
    Acked,
    Answered,
    Dialog,
    DialogChanged,
    Endpoint,
    EndpointSettings,
    Failed,
    Invited,
    Limits,
    LocalError,
    OfferAnswered,
    Offered,
    OfferRefused,
    OfferWithdrawn,
    Rejected,
    Ringing,
    parse,
)
from tests.sip_proto.alone import Alone, Called, requests, responses, sent
from tests.sip_proto.pair import A, B, Pair, endpoint
from tests.sip_proto.texts import as_request, request_bytes, response_to

S = 1_000_000
OFFER = b"v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\n"
ANSWER = b"v=0\r\no=b 1 1 IN IP4 192.0.2.2\r\n"
CONTACT = "Contact: <sip:alice@192.0.2.1:5070>\r\n"


class Timed(Alone):
    """An endpoint with session timers at B; the peer is the test."""

    def __init__(self, session_s: int = 1800, limits: Limits | None = None) -> None:
        super().__init__(endpoint(B, b"seed-b", 2, limits, session_s=session_s))

    def talk(self, more: str = "", **given: Any) -> None:
        """A call of ours that A answered, whose 200 says `more`."""
        self.hear(response_to(self.invite(**({"body": OFFER} | given)), 200, more=CONTACT + more, body="v=0"))
        self.do(lambda now, out: self.end.ack(now, self.leg, out))

    def offer(self, body: bytes = OFFER) -> bytes:
        """A re-INVITE of ours; its bytes."""
        out = self.do(lambda now, out: self.end.offer(now, self.leg, out, body=body))
        return next(record.data for record in out if hasattr(record, "data"))

    def dialog(self) -> Dialog:
        changed = [record for record in self.last if isinstance(record, DialogChanged)]
        return changed[-1].dialog


class Rung(Timed):
    """A calls us; what its INVITE says more is `more`."""

    def __init__(self, more: str = "", session_s: int = 1800) -> None:
        super().__init__(session_s)
        self.hear(request_bytes(more=more, body="v=0"))
        invited = [record for record in self.last if isinstance(record, Invited)]
        self.leg = invited[0].leg if invited else 0

    def accept(self, **more: Any) -> str:
        """Our 200 as text."""
        out = self.do(lambda now, out: self.end.accept(now, self.leg, out, body=ANSWER, **more))
        (answer,) = sent(out)
        self.tag = answer.to.tag
        return answer.to_bytes().decode()

    inside = Called.inside

    def talks(self, **more: Any) -> str:
        answer = self.accept(**more)
        self.hear(self.inside("ACK", 1))
        return answer


def talk(pair: Pair, **more: Any) -> tuple[int, int]:
    """A call from a to b that is answered and acknowledged; both legs."""
    here = pair.invite(OFFER, **more)
    pair.run(S // 10)
    (invited,) = [record for record in pair.said["b"] if isinstance(record, Invited)]
    pair.do("b", lambda now, out: pair.b.accept(now, invited.leg, out, body=ANSWER))
    pair.run(S // 10)
    pair.do("a", lambda now, out: pair.a.ack(now, here, out))
    pair.run(S // 10)
    assert any(isinstance(record, Acked) for record in pair.take("b"))
    pair.take("a")
    return here, invited.leg


def line(data: bytes | str, name: str) -> str | None:
    """A header of a message."""
    return parse(data if isinstance(data, bytes) else data.encode()).get(name)


def test_our_invite_asks_for_the_interval_of_the_settings_or_of_the_call() -> None:
    alone = Timed()
    asked = as_request(alone.invite())
    assert [asked.get(name) for name in ("Supported", "Session-Expires", "Min-SE")] == ["100rel, timer", "1800", "90"]
    asked = as_request(alone.invite(session_s=600, reliable="no"))
    assert [asked.get(name) for name in ("Supported", "Session-Expires")] == ["timer", "600"]
    asked = as_request(alone.invite(session_s=0))
    assert [asked.get(name) for name in ("Supported", "Session-Expires", "Min-SE")] == ["100rel", None, None]
    asked = as_request(Timed(0).invite(session_s=600))
    assert [asked.get(name) for name in ("Supported", "Session-Expires")] == ["100rel, timer", "600"]


def test_intervals_that_are_too_short_are_the_callers_fault() -> None:
    alone = Timed()
    with pytest.raises(LocalError, match="90 s are the least"):
        alone.invite(session_s=89)
    assert alone.end.idle()
    rung = Rung()
    with pytest.raises(LocalError, match="90 s are the least"):
        rung.accept(session_s=30)
    assert "200 OK" in rung.accept()
    for settings in ({"session_s": 60}, {"min_session_s": 60}, {"session_s": 120, "min_session_s": 180}):
        with pytest.raises(LocalError, match="are the least"):
            Endpoint(EndpointSettings({"udp": A}, **settings), b"seed")


def test_timer_may_be_required_where_there_are_timers() -> None:
    assert responses(Timed().hear(request_bytes(more="Require: timer\r\n"))) == [100]
    assert responses(Timed(0).hear(request_bytes(more="Require: timer\r\n"))) == [420]


def test_a_peer_that_knows_timers_and_asks_for_one_refreshes() -> None:
    rung = Rung("Supported: timer\r\nSession-Expires: 600\r\n")
    answer = rung.accept()
    assert line(answer, "Session-Expires") == "600;refresher=uac"
    assert line(answer, "Require") == "timer"
    assert line(answer, "Supported") == "100rel, timer"
    (dialog,) = [record.dialog for record in rung.last if isinstance(record, DialogChanged)]
    assert (dialog.session_s, dialog.refresher, dialog.session_agreed) == (600, False, True)


def test_for_a_peer_that_knows_no_timers_we_refresh_as_its_answerer() -> None:
    rung = Rung()
    answer = rung.accept()
    assert line(answer, "Session-Expires") == "1800;refresher=uas"
    assert line(answer, "Require") is None
    (dialog,) = [record.dialog for record in rung.last if isinstance(record, DialogChanged)]
    assert (dialog.session_s, dialog.refresher, dialog.session_agreed) == (1800, True, False)
    assert dialog.refresh_body == ANSWER


def test_a_call_may_be_accepted_with_another_interval_or_none() -> None:
    rung = Rung("Supported: timer\r\nSession-Expires: 600\r\n")
    assert line(rung.accept(session_s=300), "Session-Expires") == "300;refresher=uac"
    rung = Rung("Supported: timer\r\nSession-Expires: 600\r\n")
    answer = rung.talks(session_s=0)
    assert [line(answer, name) for name in ("Session-Expires", "Require", "Supported")] == [None, None, "100rel"]
    more = "Supported: timer\r\nSession-Expires: 60\r\n"
    (answer,) = sent(rung.hear(rung.inside("UPDATE", 2, more=more)))
    assert answer.get("Session-Expires") is None
    rung = Rung("Supported: timer\r\n", session_s=0)
    assert line(rung.accept(session_s=300), "Session-Expires") == "300;refresher=uas"


def test_where_there_are_no_timers_nothing_is_said_of_them() -> None:
    rung = Rung("Supported: timer\r\nSession-Expires: 30\r\n", session_s=0)
    answer = rung.accept()
    assert [line(answer, name) for name in ("Session-Expires", "Supported")] == [None, "100rel"]


def test_too_short_an_interval_is_answered_422_before_anybody_hears_of_the_call() -> None:
    alone = Timed()
    invite = request_bytes(more="k: timer\r\nx: 60\r\n")
    for _ in range(2):
        out = alone.hear(invite)
        (refusal,) = sent(out)
        assert refusal.start_line() == "SIP/2.0 422 Session Interval Too Small"
        assert refusal.get("Min-SE") == "90"
        assert [type(record) for record in out[1:]] == [Rejected]
    assert alone.end.idle()
    assert responses(alone.hear(request_bytes(more="Session-Expires: soon\r\n"))) == [400]


def test_too_short_an_interval_in_a_call_is_answered_422_and_the_call_goes_on() -> None:
    rung = Rung("Supported: timer\r\nSession-Expires: 600\r\n")
    rung.talks()
    for number, method in enumerate(("INVITE", "UPDATE"), 2):
        more = "Supported: timer\r\nSession-Expires: 60\r\n"
        refused = sent(rung.hear(rung.inside(method, number, more=more)))
        assert [answer.get("Min-SE") for answer in refused] == ["90"]
    assert rung.end.counts()["legs"] == 1
    (answer,) = sent(rung.hear(rung.inside("UPDATE", 4, more="Supported: timer\r\nSession-Expires: 120\r\n")))
    assert answer.get("Session-Expires") == "120;refresher=uac"


def test_a_422_to_our_invite_is_tried_again_with_the_longer_interval_in_the_same_leg() -> None:
    alone = Timed(600)
    invite = alone.invite(headers=[("X-Kept", "yes"), ("Max-Forwards", "20")], body=OFFER)
    alone.hear(response_to(invite, 180, tag="b7"))
    assert [type(record) for record in alone.last] == [Ringing]
    ack, again = sent(alone.hear(response_to(invite, 422, more="Min-SE: 900\r\n")))
    before = as_request(invite)
    assert (ack.cseq, again.cseq) == ((1, "ACK"), (2, "INVITE"))
    assert (again.call_id, again.from_.tag, again.to.tag) == (before.call_id, before.from_.tag, "")
    assert [again.get(name) for name in ("Session-Expires", "Min-SE", "X-Kept", "Max-Forwards")] == [
        "900",
        "900",
        "yes",
        "20",
    ]
    assert (again.body, again.branch != before.branch) == (OFFER, True)
    data = again.to_bytes()
    alone.hear(response_to(data, 200, tag="b8", more=f"{CONTACT}Session-Expires: 900;refresher=uac\r\n"))
    (answered,) = [record for record in alone.last if isinstance(record, Answered)]
    assert (answered.leg, alone.dialog().session_s, alone.dialog().remote_tag) == (alone.leg, 900, "b8")
    ack = sent(alone.do(lambda now, out: alone.end.ack(now, alone.leg, out)))[0]
    assert ack.cseq == (2, "ACK")


@pytest.mark.parametrize("more", ["", "Min-SE: 600\r\n", "Min-SE: x\r\n"])
def test_a_422_that_asks_for_nothing_longer_ends_the_call(more: str) -> None:
    alone = Timed(600)
    out = alone.hear(response_to(alone.invite(), 422, more=more))
    (failed,) = [record for record in out if isinstance(record, Failed)]
    assert failed.status == 422


def test_a_422_to_a_call_without_timer_or_that_is_cancelled_ends_it() -> None:
    alone = Timed(0)
    out = alone.hear(response_to(alone.invite(), 422, more="Min-SE: 900\r\n"))
    assert isinstance(out[-1], Failed)
    alone = Timed(600)
    invite = alone.invite()
    alone.do(lambda now, out: alone.end.cancel(now, alone.leg, out))
    out = alone.hear(response_to(invite, 422, more="Min-SE: 900\r\n"))
    assert isinstance(out[-1], Failed)


def test_intervals_that_grow_for_ever_are_not_followed_for_ever() -> None:
    alone = Timed(600, Limits(offer_tries=3))
    invite = alone.invite()
    for number in range(1, 4):
        _, again = sent(alone.hear(response_to(invite, 422, more=f"Min-SE: {600 + number}\r\n")))
        invite = again.to_bytes()
    out = alone.hear(response_to(invite, 422, more="Min-SE: 700\r\n"))
    assert isinstance(out[-1], Failed)


def test_a_422_takes_early_dialogs_and_what_is_open_in_them_along() -> None:
    alone = Timed(600)
    invite = alone.invite(body=OFFER)
    more = f"{CONTACT}Require: 100rel\r\nRSeq: 1\r\nAllow: UPDATE\r\n"
    (prack,) = sent(alone.hear(response_to(invite, 183, more=more, body="v=0")))
    alone.hear(response_to(prack.to_bytes(), 200))
    number = alone.do(lambda now, out: alone.end.offer(now, alone.leg, out, body=OFFER + b"s=2\r\n"))
    assert requests(number) == ["UPDATE"]
    update = sent(number)[0].to_bytes()
    _, again = sent(alone.hear(response_to(invite, 422, more="Min-SE: 900\r\n")))
    assert not alone.hear(response_to(update, 200))
    asks = request_bytes(
        "UPDATE",
        to=f"<sip:bob@example.org>;tag={again.from_.tag}",
        from_="<sip:alice@example.org>;tag=b1",
        call_id=again.call_id,
        more="Content-Type: application/sdp\r\n",
        body="v=0",
    )
    assert responses(alone.hear(asks)) == [491]
    alone.hear(response_to(again.to_bytes(), 200, tag="b2", more=CONTACT, body="v=0"))
    out = alone.do(lambda now, out: alone.end.ack(now, alone.leg, out))
    # The offer that had no answer goes out in the dialog that there is now.
    assert [message.start_line().split()[0] for message in sent(out)] == ["ACK", "INVITE"]
    assert sent(out)[1].body == OFFER + b"s=2\r\n"


def test_a_422_refuses_an_offer_of_an_early_dialog() -> None:
    alone = Timed(600)
    invite = alone.invite(body=OFFER)
    more = f"{CONTACT}Require: 100rel\r\nRSeq: 1\r\nAllow: UPDATE\r\n"
    (prack,) = sent(alone.hear(response_to(invite, 183, more=more, body="v=0")))
    alone.hear(response_to(prack.to_bytes(), 200))
    asks = request_bytes(
        "UPDATE",
        to=f"<sip:bob@example.org>;tag={prack.from_.tag}",
        from_="<sip:alice@example.org>;tag=b1",
        call_id=prack.call_id,
        more="Content-Type: application/sdp\r\nSession-Expires: 30\r\nSupported: timer\r\n",
        body="v=0",
    )
    # Timers are agreed on by the INVITE's 2xx, not before.
    assert [type(record) for record in alone.hear(asks)] == [Offered]
    out = alone.hear(response_to(invite, 422, more="Min-SE: 900\r\n"))
    assert responses(out) == [487]
    assert requests(out) == ["ACK", "INVITE"]
    assert any(isinstance(record, OfferWithdrawn) for record in out)


@pytest.mark.parametrize("session_s", [0, 600])
def test_an_early_offer_that_is_refused_is_no_matter_to_timers(session_s: int) -> None:
    alone = Timed(session_s)
    invite = alone.invite(body=OFFER)
    more = f"{CONTACT}Require: 100rel\r\nRSeq: 1\r\nAllow: UPDATE\r\n"
    (prack,) = sent(alone.hear(response_to(invite, 183, more=more, body="v=0")))
    alone.hear(response_to(prack.to_bytes(), 200))
    (refused,) = alone.hear(response_to(alone.offer(), 488))
    assert isinstance(refused, OfferRefused)


def test_an_early_update_says_nothing_of_timers() -> None:
    rung = Rung("Supported: timer, 100rel\r\nSession-Expires: 600\r\nAllow: UPDATE\r\n")
    out = rung.do(lambda now, out: rung.end.provisional(now, rung.leg, 183, out, body=ANSWER))
    (ringing,) = sent(out)
    rung.tag = ringing.to.tag
    rung.hear(rung.inside("PRACK", 2, more=f"RAck: {ringing.get('RSeq')} 1 INVITE\r\n"))
    more = "Supported: timer\r\nSession-Expires: 30\r\n"
    (answer,) = sent(rung.hear(rung.inside("UPDATE", 3, more=more)))
    assert (answer.get("Session-Expires"), answer.start_line()) == (None, "SIP/2.0 200 OK")
    rung.hear(rung.inside("UPDATE", 4, more=f"{more}Content-Type: application/sdp\r\n", body="v=0"))
    (answer,) = sent(rung.do(lambda now, out: rung.end.answer_offer(now, rung.leg, out, body=ANSWER)))
    assert answer.get("Session-Expires") is None
    (update,) = sent(rung.do(lambda now, out: rung.end.offer(now, rung.leg, out, body=OFFER)))
    assert (update.cseq[1], update.get("Session-Expires")) == ("UPDATE", None)


def test_each_reinvite_and_update_agrees_anew_and_its_2xx_names_the_refresher() -> None:
    pair = Pair(session_s=600)
    here, there = talk(pair)
    pair.do("b", lambda now, out: pair.b.offer(now, there, out, body=ANSWER))
    pair.run(S // 10)
    (offered,) = [record for record in pair.take("a") if isinstance(record, Offered)]
    # The callee's endpoint leaves it to the caller, who asked for the timer: now the re-INVITE's answerer.
    assert offered.request.get("Session-Expires") == "600;refresher=uas"
    pair.do("a", lambda now, out: pair.a.answer_offer(now, here, out, body=OFFER))
    pair.run(S // 10)
    (answered,) = [record for record in pair.take("b") if isinstance(record, OfferAnswered)]
    assert answered.response.get("Session-Expires") == "600;refresher=uas"
    assert answered.response.get("Require") == "timer"


def test_a_422_to_an_offer_sends_it_again_at_once_with_the_longer_interval() -> None:
    alone = Timed(600)
    alone.talk("Session-Expires: 600;refresher=uac\r\n")
    offer = alone.offer()
    (ack,) = sent(alone.hear(response_to(offer, 422, more="Min-SE: 1200\r\n")))
    assert ack.cseq[1] == "ACK"
    (again,) = sent(alone.wait(0))
    assert [again.get(name) for name in ("Session-Expires", "Min-SE")] == ["1200;refresher=uac", "1200"]
    assert (again.body, again.cseq) == (OFFER, (3, "INVITE"))
    alone.hear(response_to(again.to_bytes(), 422, more="Min-SE: 1200\r\n"))
    (refused,) = [record for record in alone.last if isinstance(record, OfferRefused)]
    assert (refused.status, refused.offer) == (422, 1)


def test_an_offer_that_is_refused_leaves_the_last_description_what_it_was() -> None:
    alone = Timed(600)
    alone.talk("Session-Expires: 600;refresher=uac\r\n")
    alone.hear(response_to(alone.offer(OFFER + b"s=video\r\n"), 488))
    (refresh,) = sent(alone.wait(300 * S))[:1]
    assert (refresh.cseq[1], refresh.body) == ("INVITE", OFFER)


def test_two_legs_of_a_b2bua_have_each_its_own_refresher_and_interval() -> None:
    alone = Timed()
    alone.hear(request_bytes(more="Supported: timer\r\nSession-Expires: 300;refresher=uac\r\n"))
    (invited,) = [record for record in alone.last if isinstance(record, Invited)]
    alone.talk("Session-Expires: 1200;refresher=uac\r\n")
    (answer,) = sent(alone.do(lambda now, out: alone.end.accept(now, invited.leg, out, body=ANSWER)))
    assert answer.get("Session-Expires") == "300;refresher=uac"
    to = f"<sip:bob@example.org>;tag={answer.to.tag}"
    alone.hear(request_bytes("ACK", to=to))
    # The peer refreshes its leg; ours is refreshed by us, and neither knows of the other.
    for number in range(2, 6):
        said = alone.wait(150 * S)
        assert requests(said) == (["INVITE"] if number == 5 else [])
        branch = {"branch": f"z9hG4bKu{number}", "cseq": f"{number} UPDATE", "to": to}
        more = "Supported: timer\r\nSession-Expires: 300;refresher=uac\r\n"
        assert responses(alone.hear(request_bytes("UPDATE", more=more, **branch))) == [200]


def test_a_restart_goes_on_with_the_timer_that_was_agreed() -> None:
    alone = Timed()
    alone.talk("Session-Expires: 512;refresher=uac\r\n")
    alone.wait(256 * S)
    dialog = alone.dialog()
    assert (dialog.session_s, dialog.refresher, dialog.session_agreed, dialog.refresh_body) == (512, True, True, OFFER)
    for session_s in (0, 1800):
        other = Timed(session_s)
        other.end.restore(other.now, dialog)
        other.end.check()
        (refresh,) = sent(other.wait(64 * S))[:1]
        assert (refresh.cseq, refresh.body) == ((dialog.local_cseq + 1, "INVITE"), OFFER)
        assert refresh.get("Session-Expires") == "512;refresher=uac"


def test_a_restart_of_a_call_without_timer_has_none() -> None:
    alone = Timed(0)
    alone.hear(response_to(alone.invite(body=OFFER), 200, more=CONTACT, body="v=0"))
    dialog = alone.dialog()
    other = Timed()
    other.end.restore(other.now, dialog)
    assert other.end.next_deadline() is None


def test_the_answer_in_an_ack_is_what_a_refresh_will_offer() -> None:
    alone = Timed(600)
    alone.hear(response_to(alone.invite(), 200, more=CONTACT, body="v=0"))
    out = alone.do(lambda now, out: alone.end.ack(now, alone.leg, out, body=OFFER))
    assert [record.dialog.refresh_body for record in out if isinstance(record, DialogChanged)] == [OFFER]


def test_a_late_offer_without_timers_is_acknowledged_all_the_same() -> None:
    alone = Timed(0)
    alone.hear(response_to(alone.invite(), 200, more=CONTACT, body="v=0"))
    (ack,) = sent(alone.do(lambda now, out: alone.end.ack(now, alone.leg, out, body=OFFER)))
    assert ack.body == OFFER
