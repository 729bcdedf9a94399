"""Provisional responses that are acknowledged: both halves, in every order, with what gets lost (RFC 3262)."""

import pytest

from sip_proto import (
    Acked,
    Answered,
    Cancelled,
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
    Output,
    Pracked,
    Rejected,
    Request,
    Response,
    Ringing,
    Transmit,
)
from tests.sip_proto.alone import Alone, Called, requests, responses, sent
from tests.sip_proto.pair import B, Pair, endpoint
from tests.sip_proto.texts import as_request, request_bytes, response_to

CONTACT = "Contact: <sip:alice@192.0.2.1:5070>\r\n"
CAN = "Supported: 100rel\r\n"
MUST = "Require: 100rel\r\n"
SDP = b"v=0\r\n"
SECOND = 1_000_000


def of(out: list[Output], kind: type) -> list[Output]:
    return [record for record in out if isinstance(record, kind)]


def rel(rseq: int | str, more: str = "") -> str:
    return f"{CONTACT}Require: 100rel\r\nRSeq: {rseq}\r\n{more}"


# The caller


def test_supported_is_said_and_never_required_by_default() -> None:
    invite = as_request(Alone().invite())
    assert "100rel" in invite.elements("Supported")
    assert invite.get("Require") is None


@pytest.mark.parametrize("by_call", [True, False])
def test_an_invite_may_require_it_or_keep_silent(by_call: bool) -> None:
    for mode in ("no", "required"):
        alone = Alone(endpoint(B, b"s", reliable="supported" if by_call else mode))
        invite = as_request(alone.invite(reliable=mode) if by_call else alone.invite())
        assert ("100rel" in invite.elements("Supported")) == (mode == "required")
        assert (invite.get("Require") == "100rel") == (mode == "required")


def test_what_is_said_of_it_must_be_known() -> None:
    with pytest.raises(LocalError):
        endpoint(B, b"s", reliable="maybe")
    alone = Alone()
    with pytest.raises(LocalError):
        alone.invite(reliable="maybe")
    assert alone.end.idle()


def test_a_peer_that_does_not_know_it_answers_420_where_it_is_required() -> None:
    pair = Pair(reliable="required")
    pair.ends["b"] = endpoint(("192.0.2.2", 5060), b"seed-b", 2, reliable="no")
    leg = pair.invite()
    pair.settle()
    (failed,) = pair.take("a")
    assert isinstance(failed, Failed)
    assert (failed.leg, failed.status) == (leg, 420)
    assert failed.response is not None
    assert failed.response.get("Unsupported") == "100rel"
    assert type(pair.take("b")[0]) is Rejected


def test_no_options_at_all_leave_no_supported_line() -> None:
    settings = EndpointSettings({"udp": B}, reliable="no", session_s=0)
    alone = Alone(Endpoint(settings, b"s"))
    assert as_request(alone.invite()).get("Supported") is None


def test_a_reliable_1xx_is_acknowledged_and_told_once() -> None:
    alone = Alone()
    data = alone.invite(body=SDP)
    ringing = response_to(data, 180, more=rel(100))
    out = alone.hear(ringing)
    (prack,) = sent(out)
    assert isinstance(prack, Request)
    assert (prack.method, prack.cseq, prack.get("RAck")) == ("PRACK", (2, "PRACK"), "100 1 INVITE")
    assert prack.uri == "sip:alice@192.0.2.1:5070"
    (told,) = of(out, Ringing)
    assert isinstance(told, Ringing)
    assert (told.reliable, told.offer) == (True, False)
    assert alone.hear(ringing) == []
    alone.hear(response_to(prack.to_bytes(), 200))
    assert requests(alone.wait(20 * SECOND)) == []


def test_an_rseq_out_of_order_is_dropped() -> None:
    alone = Alone()
    data = alone.invite(body=SDP)
    assert requests(alone.hear(response_to(data, 180, more=rel(7)))) == ["PRACK"]
    assert alone.hear(response_to(data, 183, more=rel(9))) == []
    assert alone.hear(response_to(data, 183, more=rel(6))) == []
    assert requests(alone.hear(response_to(data, 183, more=rel(8)))) == ["PRACK"]
    assert requests(alone.hear(response_to(data, 183, more=rel(9)))) == ["PRACK"]


@pytest.mark.parametrize(
    "more", ["RSeq: 1\r\n", "Require: 100rel\r\n", "Require: 100rel\r\nRSeq: x\r\n", "Require: other\r\nRSeq: 1\r\n"]
)
def test_a_1xx_without_number_or_demand_is_a_plain_one(more: str) -> None:
    alone = Alone()
    (ringing,) = alone.hear(response_to(alone.invite(), 180, more=CONTACT + more))
    assert isinstance(ringing, Ringing)
    assert not ringing.reliable


def test_a_reliable_1xx_without_a_tag_begins_no_dialog() -> None:
    alone = Alone()
    (ringing,) = alone.hear(response_to(alone.invite(), 180, tag="", more=rel(1)))
    assert isinstance(ringing, Ringing)
    assert not ringing.reliable


def test_the_answer_in_a_reliable_1xx_is_the_answer_and_the_2xx_adds_nothing() -> None:
    alone = Alone()
    data = alone.invite(body=SDP)
    alone.hear(response_to(data, 183, more=rel(1, "Allow: UPDATE\r\n"), body="v=1\r\n"))
    # Our next offer can go at once.
    out = alone.do(lambda now, out: alone.end.offer(now, alone.leg, out, body=b"v=2\r\n"))
    assert requests(out) == ["UPDATE"]
    # The description comes again in another 1xx and in the 2xx: it is no second answer.
    assert requests(alone.hear(response_to(data, 183, more=rel(2), body="v=1\r\n"))) == ["PRACK"]
    assert of(alone.hear(response_to(data, 200, more=CONTACT, body="v=1\r\n")), Answered)
    alone.do(lambda now, out: alone.end.ack(now, alone.leg, out))
    assert of(alone.hear(response_to(sent(out)[0].to_bytes(), 200, more=CONTACT)), OfferAnswered)


def test_a_body_in_a_plain_1xx_is_a_glance_and_no_answer() -> None:
    alone = Alone()
    data = alone.invite(body=SDP)
    alone.hear(response_to(data, 183, more=CONTACT + "Allow: UPDATE\r\n", body="v=1\r\n"))
    assert alone.do(lambda now, out: alone.end.offer(now, alone.leg, out, body=b"v=2\r\n")) == []


def test_an_offer_in_a_reliable_183_is_answered_in_the_prack() -> None:
    alone = Alone()
    data = alone.invite()
    out = alone.hear(response_to(data, 183, more=rel(1), body="v=1\r\n"))
    assert [type(record) for record in out] == [Ringing]
    (told,) = out
    assert isinstance(told, Ringing)
    assert (told.reliable, told.offer, told.response.body) == (True, True, b"v=1\r\n")
    with pytest.raises(LocalError):
        alone.end.prack(alone.now, alone.leg, [], tag="other")
    (prack,) = sent(alone.do(lambda now, out: alone.end.prack(now, alone.leg, out, body=b"v=2\r\n")))
    assert (prack.get("RAck"), prack.body) == ("1 1 INVITE", b"v=2\r\n")
    with pytest.raises(LocalError):
        alone.end.prack(alone.now, alone.leg, [], body=b"v=2\r\n")
    alone.hear(response_to(data, 200, more=CONTACT))
    (ack,) = sent(alone.do(lambda now, out: alone.end.ack(now, alone.leg, out)))
    assert ack.body == b""


def test_offers_of_two_early_dialogs_are_answered_each_by_its_tag() -> None:
    alone = Alone()
    data = alone.invite()
    for tag in ("x", "y"):
        (told,) = alone.hear(response_to(data, 183, tag=tag, more=rel(1), body=f"v={tag}\r\n"))
        assert isinstance(told, Ringing)
        assert told.offer
    for tag in ("y", "x"):
        (prack,) = sent(alone.do(lambda now, out, t=tag: alone.end.prack(now, alone.leg, out, body=SDP, tag=t)))  # type: ignore[misc]
        assert prack.to.tag == tag


def test_a_2xx_that_comes_before_our_prack_takes_its_answer_in_the_ack() -> None:
    alone = Alone()
    data = alone.invite()
    alone.hear(response_to(data, 183, more=rel(1), body="v=1\r\n"))
    alone.hear(response_to(data, 200, more=CONTACT, body="v=1\r\n"))
    with pytest.raises(LocalError):
        alone.end.prack(alone.now, alone.leg, [], body=SDP)
    out = alone.do(lambda now, out: alone.end.ack(now, alone.leg, out, body=b"v=2\r\n"))
    assert sent(out)[0].body == b"v=2\r\n"
    assert requests(alone.do(lambda now, out: alone.end.offer(now, alone.leg, out, body=SDP))) == ["INVITE"]


def test_a_cancelled_call_acknowledges_no_more() -> None:
    alone = Alone()
    data = alone.invite()
    alone.hear(response_to(data, 183, more=rel(1), body="v=1\r\n"))
    alone.do(lambda now, out: alone.end.cancel(now, alone.leg, out))
    assert requests(alone.hear(response_to(data, 180, more=rel(2)))) == []
    with pytest.raises(LocalError):
        alone.end.prack(alone.now, alone.leg, [])


def test_a_full_table_keeps_the_prack_owed() -> None:
    alone = Alone()
    data = alone.invite()
    alone.hear(response_to(data, 183, more=rel(1), body="v=1\r\n"))
    alone.end._limits = Limits(transactions=1)
    with pytest.raises(LocalError):
        alone.end.prack(alone.now, alone.leg, [], body=SDP)
    alone.end._limits = Limits()
    assert requests(alone.do(lambda now, out: alone.end.prack(now, alone.leg, out, body=SDP))) == ["PRACK"]


def test_a_1xx_whose_prack_has_no_room_is_taken_when_it_comes_again() -> None:
    alone = Alone(endpoint(B, b"s", limits=Limits(transactions=1)))
    ringing = response_to(alone.invite(body=SDP), 180, more=rel(1))
    assert alone.hear(ringing) == []
    alone.end._limits = Limits()
    assert requests(alone.hear(ringing)) == ["PRACK"]


def reinvited(body: bytes) -> tuple[Alone, bytes]:
    alone = Alone()
    alone.answered()
    (invite, *_) = sent(alone.do(lambda now, out: alone.end.offer(now, alone.leg, out, body=body)))
    return alone, invite.to_bytes()


def test_a_reliable_1xx_to_a_reinvite_brings_the_answer_early() -> None:
    alone, data = reinvited(SDP)
    out = alone.hear(response_to(data, 183, more=rel(4), body="v=3\r\n"))
    assert requests(out) == ["PRACK"]
    assert sent(out)[0].get("RAck") == "4 2 INVITE"
    (answered,) = of(out, OfferAnswered)
    assert isinstance(answered, OfferAnswered)
    assert (answered.offer, answered.response.status) == (1, 183)
    assert of(out, DialogChanged)
    # The INVITE is not over yet: the next offer waits for it, and there is one outcome only.
    assert alone.do(lambda now, out: alone.end.offer(now, alone.leg, out, body=SDP)) == []
    out = alone.hear(response_to(data, 200, more=CONTACT, body="v=3\r\n"))
    assert requests(out) == ["ACK", "INVITE"]
    assert of(out, OfferAnswered) == []


def test_a_reinvite_that_fails_after_its_answer_is_no_second_outcome() -> None:
    alone, data = reinvited(SDP)
    alone.hear(response_to(data, 183, more=rel(4), body="v=3\r\n"))
    out = alone.hear(response_to(data, 491))
    assert of(out, OfferRefused) == []
    assert requests(alone.do(lambda now, out: alone.end.offer(now, alone.leg, out, body=SDP))) == ["INVITE"]


def test_a_reliable_1xx_to_a_reinvite_may_bring_the_peers_offer() -> None:
    alone, data = reinvited(b"")
    (ringing,) = alone.hear(response_to(data, 183, more=rel(4), body="v=3\r\n"))
    assert isinstance(ringing, Ringing)
    assert ringing.offer
    assert requests(alone.do(lambda now, out: alone.end.prack(now, alone.leg, out, body=SDP))) == ["PRACK"]
    out = alone.hear(response_to(data, 200, more=CONTACT))
    assert (len(of(out, OfferAnswered)), requests(out)) == (1, [])
    # Nothing is open, but the INVITE is: another one waits for its ACK.
    assert alone.do(lambda now, out: alone.end.offer(now, alone.leg, out, body=SDP)) == []
    assert requests(alone.do(lambda now, out: alone.end.ack(now, alone.leg, out))) == ["ACK", "INVITE"]


def test_a_reinvite_that_fails_after_the_peers_offer_leaves_nothing_open() -> None:
    alone, data = reinvited(b"")
    alone.hear(response_to(data, 183, more=rel(4), body="v=3\r\n"))
    assert of(alone.hear(response_to(data, 488)), OfferRefused)
    with pytest.raises(LocalError):
        alone.end.prack(alone.now, alone.leg, [])
    assert requests(alone.do(lambda now, out: alone.end.offer(now, alone.leg, out, body=SDP))) == ["INVITE"]


def test_a_1xx_to_a_reinvite_without_number_or_with_another_tag_is_passed_over() -> None:
    alone, data = reinvited(SDP)
    assert alone.hear(response_to(data, 183, more=CONTACT)) == []
    other = response_to(data, 183, more=rel(1)).replace(b"tag=b1", b"tag=b2")
    assert alone.hear(other) == []


# The callee


def test_a_1xx_with_an_answer_is_reliable_where_the_caller_can() -> None:
    called = Called(CAN, body="v=0\r\n")
    ringing = called.ring(183, SDP)
    assert ringing.get("Require") == "100rel"
    assert 1 <= int(ringing.get("RSeq") or "") < 2**31
    assert "UPDATE" in ringing.elements("Allow")
    assert ringing.body == SDP
    out = called.hear(called.prack(2, ringing))
    assert responses(out) == [200]
    (pracked,) = of(out, Pracked)
    assert isinstance(pracked, Pracked)
    assert pracked.leg == called.leg


@pytest.mark.parametrize(
    ("more", "setting", "asked", "body", "is_reliable"),
    [
        ("", "supported", None, SDP, False),
        ("", "supported", True, SDP, False),
        (CAN, "supported", None, b"", False),
        (CAN, "supported", None, SDP, True),
        (CAN, "supported", True, b"", True),
        (CAN, "supported", False, SDP, False),
        (CAN, "no", None, SDP, False),
        (CAN, "no", True, b"", True),
        (CAN, "required", None, b"", True),
        (MUST, "supported", None, b"", True),
        (MUST, "supported", False, b"", True),
    ],
)
def test_a_1xx_is_reliable_as_peer_program_and_settings_say(
    more: str, setting: str, asked: bool | None, body: bytes, is_reliable: bool
) -> None:
    called = Called(more, body="v=0\r\n", reliable=setting)
    assert (called.ring(183, body, asked).get("RSeq") is not None) == is_reliable


def test_a_1xx_is_sent_again_until_its_prack() -> None:
    called = Called(MUST)
    ringing = called.ring()
    assert len(responses(called.wait(SECOND + 600_000))) == 2
    assert responses(called.hear(called.prack(2, ringing))) == [200]
    assert called.wait(40 * SECOND) == []


def test_a_1xx_that_is_never_acknowledged_ends_the_call_with_504() -> None:
    called = Called(MUST)
    called.ring()
    out = called.wait(33 * SECOND)
    statuses = responses(out)
    # At 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 seconds, and 32 is the end.
    assert statuses[:7] == [180] * 6 + [504]
    assert Cancelled(called.leg, "no-prack") in out
    called.wait(60 * SECOND)
    assert called.end.idle()


def test_a_call_that_waits_with_its_answer_ends_with_504_too() -> None:
    called = Called(MUST)
    called.ring()
    assert called.accept() == []
    assert Cancelled(called.leg, "no-prack") in called.wait(33 * SECOND)
    called.wait(60 * SECOND)
    assert called.end.idle()


def test_the_answer_waits_for_the_prack() -> None:
    called = Called(CAN, body="v=0\r\n")
    ringing = called.ring(reliable=True)
    assert called.accept() == []
    with pytest.raises(LocalError):
        called.accept()
    with pytest.raises(LocalError):
        called.ring()
    out = called.hear(called.prack(2, ringing))
    assert responses(out) == [200, 200]
    assert [type(record) for record in out] == [Transmit, Pracked, Transmit, DialogChanged]
    (answer,) = [message for message in sent(out) if message.cseq[1] == "INVITE"]
    assert answer.body == SDP
    assert isinstance(called.hear(called.inside("ACK", 1))[0], Acked)


def test_reliable_1xx_go_one_at_a_time_and_no_more_than_fit() -> None:
    called = Called(MUST, Limits(provisionals=2))
    first = called.ring(180)
    for status in (181, 182):
        assert called.do(lambda now, out, s=status: called.end.provisional(now, called.leg, s, out)) == []  # type: ignore[misc]
    with pytest.raises(LocalError):
        called.end.provisional(called.now, called.leg, 183, [])
    assert called.accept() == []
    rseq = int(first.get("RSeq") or "")
    for number, status in ((2, 181), (3, 182)):
        out = called.hear(called.prack(number, first))
        assert responses(out) == [200, status]
        first = sent(out)[1]  # type: ignore[assignment]
        rseq += 1
        assert first.get("RSeq") == str(rseq)
    assert responses(called.hear(called.prack(4, first))) == [200, 200]


def test_a_prack_for_nothing_that_is_out_gets_481() -> None:
    called = Called(MUST)
    ringing = called.ring()
    rseq = int(ringing.get("RSeq") or "")
    for number, rack in enumerate((f"{rseq + 1} 1 INVITE", f"{rseq} 2 INVITE", f"{rseq} 1 UPDATE"), start=2):
        out = called.hear(called.inside("PRACK", number, more=f"RAck: {rack}\r\n"))
        assert responses(out) == [481]
    assert responses(called.hear(called.prack(5, ringing))) == [200]
    assert responses(called.hear(called.prack(6, ringing))) == [481]
    plain = Called()
    plain.ring()
    assert responses(plain.hear(plain.inside("PRACK", 2, more="RAck: 1 1 INVITE\r\n"))) == [481]


@pytest.mark.parametrize("more", ["", "RAck: x\r\n"])
def test_a_prack_must_say_for_what(more: str) -> None:
    called = Called(MUST)
    called.ring()
    assert responses(called.hear(called.inside("PRACK", 2, more=more))) == [400]


def test_the_200_of_a_prack_that_is_lost_is_sent_again() -> None:
    called = Called(MUST)
    prack = called.prack(2, called.ring())
    out = called.hear(prack)
    assert called.hear(prack) == of(out, Transmit)


@pytest.mark.parametrize("lost", range(3))
def test_a_call_goes_through_whichever_copy_of_the_pracks_200_is_lost(lost: int) -> None:
    dropped = []

    def lose(count: int, name: str, data: bytes) -> bool:
        if name == "b" and b"PRACK\r\n" in data and data.startswith(b"SIP/2.0 200") and len(dropped) <= lost:
            dropped.append(data)
            return True
        return False

    pair = Pair(lose)
    leg = pair.invite()
    pair.run(100_000)
    invited = pair.take("b")[0]
    assert isinstance(invited, Invited)
    pair.do("b", lambda now, out: pair.b.provisional(now, invited.leg, 183, out, body=SDP))
    pair.do("b", lambda now, out: pair.b.accept(now, invited.leg, out, body=SDP))
    pair.run(SECOND)
    said = pair.take("a")
    assert len(of(said, Ringing)) == len(of(said, Answered)) == 1
    pair.do("a", lambda now, out: pair.a.ack(now, leg, out))
    pair.run(40 * SECOND)
    assert len(dropped) == lost + 1
    assert pair.a.counts()["legs"] == pair.b.counts()["legs"] == 1
    assert len(of(pair.take("b"), Pracked)) == 1


def test_our_offer_in_a_reliable_183_is_answered_by_the_pracks_body() -> None:
    called = Called(CAN)
    ringing = called.ring(183, b"v=5\r\n")
    assert ringing.body == b"v=5\r\n"
    # It is out: the peer's own crosses it.
    assert responses(called.hear(called.inside("UPDATE", 2, body="v=1\r\n"))) == [491]
    out = called.hear(called.prack(3, ringing, body="v=6\r\n"))
    (pracked,) = of(out, Pracked)
    assert isinstance(pracked, Pracked)
    assert pracked.request.body == b"v=6\r\n"
    # The exchange is over: the 2xx repeats nothing.
    (answer, *_) = sent(called.accept())  # type: ignore[arg-type]
    assert answer.body == b""
    assert isinstance(called.hear(called.inside("ACK", 1))[0], Acked)


def test_our_offer_is_never_in_a_plain_1xx() -> None:
    called = Called()
    assert called.ring(183, b"v=5\r\n").body == b""
    (answer, *_) = sent(called.accept(b"v=5\r\n"))  # type: ignore[arg-type]
    assert answer.body == b"v=5\r\n"


def test_a_glance_at_the_answer_may_go_in_a_plain_1xx() -> None:
    called = Called(body="v=0\r\n")
    assert called.ring(183, b"v=5\r\n").body == b"v=5\r\n"
    (answer, *_) = sent(called.accept(b"v=6\r\n"))  # type: ignore[arg-type]
    assert answer.body == b"v=6\r\n"


def test_a_prack_without_the_answer_leaves_nothing_open() -> None:
    called = Called(CAN)
    called.hear(called.prack(2, called.ring(183, b"v=5\r\n")))
    assert of(called.hear(called.inside("UPDATE", 3, body="v=1\r\n")), Offered)


def test_an_offer_in_a_prack_is_told_and_answered_in_its_200() -> None:
    called = Called(CAN, body="v=0\r\n")
    ringing = called.ring(183, SDP)
    out = called.hear(called.prack(2, ringing, body="v=7\r\n"))
    assert [type(record) for record in out] == [Offered]
    # The 1xx is acknowledged all the same.
    assert called.wait(2 * SECOND) == []
    (answer,) = sent(called.do(lambda now, out: called.end.answer_offer(now, called.leg, out, body=b"v=8\r\n")))
    assert isinstance(answer, Response)
    assert (answer.status, answer.cseq, answer.body) == (200, (2, "PRACK"), b"v=8\r\n")


def test_an_offer_in_a_prack_before_we_answered_comes_too_early_and_acknowledges() -> None:
    called = Called(CAN, body="v=0\r\n")
    ringing = called.ring(reliable=True)
    out = called.hear(called.prack(2, ringing, body="v=7\r\n"))
    assert responses(out) == [500]
    assert called.wait(2 * SECOND) == []
    assert responses(called.accept()) == [200]  # type: ignore[arg-type]


def test_a_second_invite_in_an_early_dialog_whose_exchange_is_over_comes_too_early_too() -> None:
    called = Called(CAN, body="v=0\r\n")
    called.hear(called.prack(2, called.ring(183, SDP)))
    assert responses(called.hear(called.inside("INVITE", 3, body="v=1\r\n"))) == [500]


def test_our_offer_in_an_early_dialog_goes_once_the_answer_is_acknowledged() -> None:
    called = Called(CAN + "Allow: UPDATE\r\n", body="v=0\r\n")
    ringing = called.ring(183, SDP)
    assert called.do(lambda now, out: called.end.offer(now, called.leg, out, body=b"v=9\r\n")) == []
    out = called.hear(called.prack(2, ringing))
    assert requests(out) == ["UPDATE"]
    update = next(message for message in sent(out) if isinstance(message, Request))
    # The call is answered meanwhile; its 2xx has no description.
    (answer, *_) = sent(called.accept())  # type: ignore[arg-type]
    assert answer.body == b""
    (answered, *_) = of(called.hear(response_to(update.to_bytes(), 200)), OfferAnswered)
    assert isinstance(answered, OfferAnswered)


def test_a_cancel_ends_a_call_whose_1xx_or_2xx_waits() -> None:
    for answers in (False, True):
        called = Called(MUST)
        called.ring()
        if answers:
            called.accept()
        out = called.hear(request_bytes("CANCEL", contact=""))
        assert responses(out) == [200, 487]
        assert Cancelled(called.leg) in out
        called.hear(request_bytes("ACK"))
        assert called.wait(60 * SECOND) == []
        assert called.end.idle()


def test_a_bye_of_the_caller_ends_a_call_whose_2xx_waits() -> None:
    called = Called(MUST)
    called.ring()
    called.accept()
    out = called.hear(called.inside("BYE", 2))
    assert responses(out) == [200, 487]
    assert Cancelled(called.leg) in out


@pytest.mark.parametrize("deed", ["bye", "reject"])
def test_the_program_ends_a_call_whose_2xx_waits(deed: str) -> None:
    called = Called(MUST)
    called.ring()
    called.accept()
    if deed == "bye":
        out = called.do(lambda now, out: called.end.bye(now, called.leg, out))
        assert responses(out) == [480]
    else:
        out = called.do(lambda now, out: called.end.reject(now, called.leg, 486, out))
        assert responses(out) == [486]
    called.hear(request_bytes("ACK"))
    called.wait(60 * SECOND)
    assert called.end.idle()


def test_a_refused_call_refuses_the_offer_in_a_prack() -> None:
    called = Called(CAN, body="v=0\r\n")
    called.hear(called.prack(2, called.ring(183, SDP), body="v=7\r\n"))
    out = called.do(lambda now, out: called.end.reject(now, called.leg, 486, out))
    assert responses(out) == [487, 486]


def test_a_bye_after_the_answer_refuses_the_offer_that_is_open() -> None:
    called = Called(body="v=0\r\n")
    called.accept()
    called.hear(called.inside("UPDATE", 2, body="v=1\r\n"))
    assert responses(called.do(lambda now, out: called.end.bye(now, called.leg, out))) == [487]
    assert requests(called.hear(called.inside("ACK", 1))) == ["BYE"]


def test_descriptions_of_other_types_are_refused_in_prack_and_update() -> None:
    settings = EndpointSettings({"udp": B}, session_types=("application/sdp",))
    alone = Alone(Endpoint(settings, b"s"))
    (_, invited) = alone.hear(request_bytes(more=MUST))
    assert isinstance(invited, Invited)
    (ringing,) = sent(alone.do(lambda now, out: alone.end.provisional(now, invited.leg, 180, out)))
    for method in ("PRACK", "UPDATE"):
        data = request_bytes(
            method,
            branch=f"z9hG4bK{method}",
            to=ringing.get("To") or "",
            cseq=f"2 {method}",
            more="Content-Type: text/plain\r\n",
            body="hello",
        )
        assert responses(alone.hear(data)) == [415]


def test_a_stream_carries_them_too() -> None:
    settings = EndpointSettings({"tcp": B}, transports={"tcp": "tcp"})
    end = Endpoint(settings, b"s")
    out: list[Output] = []
    end.stream_opened(1, 5, "tcp", ("192.0.2.1", 4000), out)
    end.receive_stream(1, 5, request_bytes(more=MUST, via="SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1"), out)
    (invited,) = of(out, Invited)
    assert isinstance(invited, Invited)
    out = []
    end.provisional(1, invited.leg, 180, out)
    ringing = Alone(end)
    (data,) = [record.data for record in out if hasattr(record, "data")]
    to = as_request(data.replace(b"SIP/2.0 180 Ringing", b"X sip:x SIP/2.0")).get("To") or ""
    rseq = data.split(b"RSeq: ")[1].split(b"\r\n")[0].decode()
    prack = request_bytes(
        "PRACK", to=to, cseq="2 PRACK", more=f"RAck: {rseq} 1 INVITE\r\n", via="SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK2"
    )
    out = ringing.do(lambda now, out: end.receive_stream(now, 5, prack, out))
    assert of(out, Pracked)


@pytest.mark.parametrize(
    ("more", "can"),
    [
        ("Supported: 100rel\r\n", True),
        ("Supported: timer, 100REL ,replaces\r\n", True),
        ("Supported: timer\r\nSupported: 100rel\r\n", True),
        ("Supported: timer\r\nSupported: replaces\r\n", False),
        ("Supported: x100rel, 100rel\r\n", True),
        ("Supported: x100rel\r\n", False),
        ("Supported: 100relx\r\n", False),
        ("Supported:\r\n", False),
        ("k: timer,100rel\r\n", True),
    ],
)
def test_what_the_caller_can_is_read_from_its_lists(more: str, can: bool) -> None:
    called = Called(more, body="v=0\r\n")
    assert (called.ring(183, SDP).get("RSeq") is not None) == can
