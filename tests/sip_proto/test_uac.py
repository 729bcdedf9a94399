"""The caller's half against hand-written peers."""

from functools import partial
from typing import Any

import pytest

from sip_proto import (
    Answered,
    DialogChanged,
    DialogEnded,
    Ended,
    Failed,
    Limits,
    LocalError,
    OfferAnswered,
    Offered,
    OfferRefused,
    Output,
    Responded,
    Ringing,
    Transmit,
    Unanswerable,
)
from tests.sip_proto.alone import Alone, requests, responses, sent
from tests.sip_proto.pair import A, B, endpoint
from tests.sip_proto.texts import as_request, request_bytes, response_to

CONTACT = "Contact: <sip:alice@192.0.2.1:5070>\r\n"


def kinds(out: list[Output]) -> list[str]:
    return [type(record).__name__ for record in out]


def offered(alone: Alone) -> bytes:
    out = alone.do(lambda now, out: alone.end.offer(now, alone.leg, out, body=b"v=0\r\n"))
    (data,) = [record.data for record in out if isinstance(record, Transmit)]
    return data


def test_an_invite_says_who_we_are() -> None:
    alone = Alone()
    message = as_request(
        alone.invite(headers=[("X-Own", "1"), ("max-forwards", "9")], route=["<sip:p1;lr>", "<sip:p2>"], body=b"v=0")
    )
    assert message.uri == "sip:alice@192.0.2.1"
    assert message.elements("Route") == ["<sip:p1;lr>", "<sip:p2>"]
    assert message.get_all("Max-Forwards") == ["9"]
    assert message.get("X-Own") == "1"
    assert message.get("Contact") == "<sip:192.0.2.2:5060>"
    assert message.get("User-Agent") == "sipcluster"
    assert message.get("Content-Type") == "application/sdp"
    assert message.body == b"v=0"
    assert message.via.params["rport"] == ""
    assert message.from_.tag.endswith("-n2")
    assert "-n2@" in message.call_id


def test_the_program_may_set_contact_call_id_tag_and_number() -> None:
    alone = Alone()
    message = as_request(alone.invite(headers=[("contact", "<sip:me@h>")], call_id="c9", from_tag="t9", cseq=7))
    assert message.get_all("Contact") == ["<sip:me@h>"]
    assert (message.call_id, message.from_.tag, message.cseq[0]) == ("c9", "t9", 7)
    with pytest.raises(LocalError):
        alone.invite(call_id="c9", from_tag="t9")


def test_an_invite_is_sent_seven_times_and_then_fails_with_408() -> None:
    alone = Alone()
    first = alone.invite()
    out = alone.wait(40_000_000)
    assert out[:-1] == [Transmit("udp", A, first)] * 6
    assert out[-1] == Failed(alone.leg, 408, None)
    assert alone.end.idle()


def test_a_call_rings_is_answered_and_later_answers_are_acknowledged_alike() -> None:
    alone = Alone()
    data = alone.invite()
    assert alone.hear(response_to(data, 100, tag="")) == []
    assert kinds(alone.hear(response_to(data, 183, tag=""))) == ["Ringing"]
    (ringing,) = alone.hear(response_to(data, 180))
    assert isinstance(ringing, Ringing)
    answer = response_to(data, 200, more="Record-Route: <sip:192.0.2.8;lr>, <sip:p2;lr>\r\n" + CONTACT)
    changed, answered = alone.hear(answer)
    assert isinstance(changed, DialogChanged)
    assert isinstance(answered, Answered)
    dialog = changed.dialog
    assert dialog.route_set == ("<sip:p2;lr>", "<sip:192.0.2.8;lr>")
    assert (dialog.remote_tag, dialog.remote_target) == ("b1", "sip:alice@192.0.2.1:5070")
    assert alone.hear(answer) == []
    (ack,) = alone.do(lambda now, out: alone.end.ack(now, alone.leg, out, body=b"v=0\r\n"))
    assert isinstance(ack, Transmit)
    message = as_request(ack.data)
    assert (message.method, message.cseq, message.body) == ("ACK", (1, "ACK"), b"v=0\r\n")
    # The next hop is a name, so the peer's known address it is.
    assert ack.destination == A
    assert alone.hear(answer) == [ack]
    with pytest.raises(LocalError):
        alone.end.ack(alone.now, alone.leg, [])
    alone.wait(40_000_000)
    assert alone.end.counts() == {
        "legs": 1,
        "dialogs": 1,
        "clients": 0,
        "servers": 0,
        "merged": 0,
        "subscriptions": 0,
        "referrals": 0,
        "flows": 0,
        "timers": 0,
    }


def test_a_refusal_is_acknowledged_as_often_as_it_comes() -> None:
    alone = Alone()
    busy = response_to(alone.invite(route=["<sip:p;lr>"]), 486)
    ack, failed = alone.hear(busy)
    assert isinstance(ack, Transmit)
    assert isinstance(failed, Failed)
    assert failed.status == 486
    message = as_request(ack.data)
    assert (message.method, message.get("Route"), message.to.tag) == ("ACK", "<sip:p;lr>", "b1")
    assert alone.hear(busy) == [ack]
    alone.wait(40_000_000)
    assert alone.end.idle()


def test_a_cancel_waits_for_a_provisional() -> None:
    alone = Alone()
    data = alone.invite()
    assert alone.do(lambda now, out: alone.end.cancel(now, alone.leg, out)) == []
    (cancel,) = sent(alone.hear(response_to(data, 100, tag="")))
    assert cancel.cseq == (1, "CANCEL")
    assert cancel.branch == as_request(data).branch
    assert alone.hear(response_to(data, 180)) == []
    alone.hear(response_to(cancel.to_bytes()))
    _, failed = alone.hear(response_to(data, 487))
    assert isinstance(failed, Failed)
    assert failed.status == 487
    alone.wait(40_000_000)
    assert alone.end.idle()


def test_an_answer_that_crosses_a_cancel_is_acknowledged_and_hung_up() -> None:
    alone = Alone()
    data = alone.invite()
    alone.hear(response_to(data, 180))
    assert requests(alone.do(lambda now, out: alone.end.cancel(now, alone.leg, out))) == ["CANCEL"]
    answer = response_to(data, 200, more=CONTACT)
    out = alone.hear(answer)
    assert requests(out) == ["ACK", "BYE"]
    assert out[-1] == Failed(alone.leg, 487, None)
    assert [record.destination for record in out[:2] if isinstance(record, Transmit)] == [("192.0.2.1", 5070)] * 2
    assert requests(alone.hear(answer)) == ["ACK"]
    alone.wait(40_000_000)
    assert alone.end.idle()


def test_a_cancelled_call_that_nobody_answers_fails_all_the_same() -> None:
    alone = Alone()
    data = alone.invite()
    alone.hear(response_to(data, 180))
    alone.do(lambda now, out: alone.end.cancel(now, alone.leg, out))
    assert alone.wait(40_000_000)[-1] == Failed(alone.leg, 487, None)
    assert alone.end.idle()
    with pytest.raises(LocalError):
        alone.end.cancel(alone.now, alone.leg, [])


def test_a_call_that_rings_for_ever_is_cancelled() -> None:
    alone = Alone()
    alone.hear(response_to(alone.invite(), 180))
    out = alone.wait(400_000_000)
    assert "CANCEL" in requests(out)
    assert out[-1] == Failed(alone.leg, 408, None)
    assert alone.end.idle()


def test_the_first_answer_of_a_fork_wins_and_the_others_are_hung_up() -> None:
    alone = Alone()
    data = alone.invite()
    alone.hear(response_to(data, 180, tag="x"))
    alone.hear(response_to(data, 200, tag="y", more=CONTACT))
    other = response_to(data, 200, tag="x", more="Contact: <sip:alice@192.0.2.1:5071>\r\n")
    out = alone.hear(other)
    assert requests(out) == ["ACK", "BYE"]
    assert [message.to.tag for message in sent(out)] == ["x", "x"]
    assert requests(alone.hear(other)) == ["ACK"]
    for fork in range(20):
        alone.hear(response_to(data, 200, tag=f"f{fork}", more=CONTACT))
    assert alone.end.counts()["clients"] < 20
    (ack,) = sent(alone.do(lambda now, out: alone.end.ack(now, alone.leg, out)))
    assert ack.to.tag == "y"


def test_hanging_up_before_the_ack_acknowledges_first() -> None:
    alone = Alone()
    alone.hear(response_to(alone.invite(), 200, more=CONTACT))
    out = alone.do(lambda now, out: alone.end.bye(now, alone.leg, out, headers=[("Reason", "x")]))
    assert requests(out) == ["ACK", "BYE"]
    assert out[-1] == DialogEnded(alone.leg)
    bye = sent(out)[1]
    assert (bye.cseq, bye.get("Reason")) == ((2, "BYE"), "x")
    assert alone.hear(response_to(bye.to_bytes(), 100)) == []
    assert alone.hear(response_to(bye.to_bytes(), 481)) == []
    assert alone.end.counts()["legs"] == 0


def test_a_bye_that_nobody_answers_ends_by_itself_and_crossing_byes_are_answered() -> None:
    alone = Alone()
    answer = alone.answered()
    alone.do(lambda now, out: alone.end.bye(now, alone.leg, out))
    message = as_request(answer.replace(b"SIP/2.0 200 Reason", b"X sip:x SIP/2.0"))
    bye = request_bytes(
        "BYE",
        from_=message.get("To") or "",
        to=message.get("From") or "",
        call_id=message.call_id,
        contact="",
    )
    assert responses(alone.hear(bye.replace(b"BYE", b"INFO"))) == [481]
    assert responses(alone.hear(bye)) == [200]
    alone.wait(60_000_000)
    assert alone.end.idle()
    second = Alone()
    second.answered()
    second.do(lambda now, out: second.end.bye(now, second.leg, out))
    assert kinds(second.wait(60_000_000)) == ["Transmit"] * 10
    assert second.end.idle()


def test_a_reinvite_is_answered_and_acknowledged() -> None:
    alone = Alone()
    alone.answered()
    data = offered(alone)
    assert as_request(data).cseq == (2, "INVITE")
    assert alone.hear(response_to(data, 180)) == []
    answer = response_to(data, 200, more="Contact: <sip:alice@192.0.2.1:5099>\r\n")
    changed, ack, answered = alone.hear(answer)
    assert isinstance(changed, DialogChanged)
    assert isinstance(answered, OfferAnswered)
    assert answered.offer == 1
    assert isinstance(ack, Transmit)
    assert ack.destination == ("192.0.2.1", 5099)
    assert as_request(ack.data).cseq == (2, "ACK")
    assert alone.hear(answer) == [ack]


def test_a_refused_reinvite_leaves_the_dialog_unless_it_is_unknown() -> None:
    alone = Alone()
    alone.answered()
    out = alone.hear(response_to(offered(alone), 488))
    assert isinstance(out[-1], OfferRefused)
    assert (out[-1].status, out[-1].offer) == (488, 1)
    out = alone.hear(response_to(offered(alone), 481))
    assert [type(record) for record in out] == [Transmit, OfferRefused, Ended, DialogEnded]
    assert out[2] == Ended(alone.leg, "lost")
    alone.wait(60_000_000)
    assert alone.end.idle()


def test_a_reinvite_without_answer_ends_the_dialog_with_a_bye() -> None:
    alone = Alone()
    alone.answered()
    offered(alone)
    out = alone.wait(33_000_000)
    assert OfferRefused(alone.leg, 408, None, 1) in out
    assert Ended(alone.leg, "lost") in out
    assert requests(out)[-1] == "BYE"
    alone.wait(60_000_000)
    assert alone.end.idle()


def test_a_reinvite_that_only_rings_is_cancelled_in_the_end() -> None:
    alone = Alone()
    alone.answered()
    data = offered(alone)
    alone.hear(response_to(data, 100))
    assert "CANCEL" in requests(alone.wait(301_000_000))
    out = alone.hear(response_to(data, 487))
    assert isinstance(out[-1], OfferRefused)
    alone.wait(60_000_000)
    assert alone.end.counts()["legs"] == 1


@pytest.mark.parametrize("status", [200, 488])
def test_an_answer_to_a_reinvite_of_a_dialog_that_ended_is_acknowledged(status: int) -> None:
    alone = Alone()
    alone.answered()
    data = offered(alone)
    alone.do(lambda now, out: alone.end.bye(now, alone.leg, out))
    answer = response_to(data, status, more=CONTACT)
    assert requests(alone.hear(answer)) == ["ACK"]
    assert requests(alone.hear(answer)) == ["ACK"]
    alone.wait(60_000_000)
    assert alone.end.idle()


def test_a_reinvite_of_the_peer_crosses_ours() -> None:
    alone = Alone()
    answer = alone.answered()
    data = offered(alone)
    message = as_request(answer.replace(b"SIP/2.0 200 Reason", b"X sip:x SIP/2.0"))
    theirs = request_bytes(
        from_=message.get("To") or "",
        to=message.get("From") or "",
        call_id=message.call_id,
        branch="z9hG4bKother",
    )
    assert responses(alone.hear(theirs)) == [491]
    alone.hear(response_to(data, 491))
    again = theirs.replace(b"z9hG4bKother", b"z9hG4bKagain").replace(b"CSeq: 1", b"CSeq: 2")
    assert isinstance(alone.hear(again)[-1], Offered)
    # Ours waits until theirs is answered and acknowledged.
    assert requests(alone.wait(5_000_000)) == []
    alone.do(lambda now, out: alone.end.answer_offer(now, alone.leg, out, body=b"v=0\r\n"))
    ack = again.replace(b"INVITE", b"ACK").replace(b"z9hG4bKagain", b"z9hG4bKack")
    assert requests(alone.hear(ack)) == ["INVITE"]


def test_requests_outside_and_inside_dialogs_end_with_their_response() -> None:
    alone = Alone()
    out = alone.do(
        lambda now, out: alone.end.request(
            now,
            out,
            method="REGISTER",
            listener="udp",
            destination=A,
            uri="sip:h",
            from_="sip:1@h",
            to="<sip:1@h>",
            contact="<sip:1@192.0.2.2>",
            headers=[("Expires", "60")],
            call_id="r",
            cseq=4,
            from_tag="t",
        )
    )
    (asked,) = sent(out)
    assert (asked.cseq, asked.get("From"), asked.get("Expires")) == ((4, "REGISTER"), "<sip:1@h>;tag=t", "60")
    handle = alone.result
    assert alone.hear(response_to(asked.to_bytes(), 100)) == []
    (responded,) = alone.hear(response_to(asked.to_bytes(), 200))
    assert isinstance(responded, Responded)
    assert responded.handle == handle
    assert alone.hear(response_to(asked.to_bytes(), 200)) == []
    alone.answered()
    out = alone.do(lambda now, out: alone.end.send(now, alone.leg, "INFO", out, body=b"x", content_type="text/plain"))
    assert kinds(out) == ["Transmit", "DialogChanged"]
    handle = alone.result
    assert alone.wait(40_000_000)[-1] == Responded(handle, None)  # type: ignore[arg-type]


def test_a_peer_that_knows_the_call_no_more_has_ended_it() -> None:
    for status, ended in ((481, True), (488, False)):
        alone = Alone()
        alone.answered()
        info, _ = alone.do(lambda now, out: alone.end.send(now, alone.leg, "INFO", out))  # noqa: B023
        assert isinstance(info, Transmit)
        out = alone.hear(response_to(info.data, status))
        assert isinstance(out[0], Responded)
        assert (Ended(alone.leg, "lost") in out) is ended
        alone.wait(40_000_000)
        assert alone.end.idle() is ended


def test_an_early_dialog_carries_requests_once_it_has_a_tag() -> None:
    alone = Alone()
    data = alone.invite()
    with pytest.raises(LocalError):
        alone.end.send(alone.now, alone.leg, "INFO", [])
    alone.hear(response_to(data, 180, tag=""))
    with pytest.raises(LocalError):
        alone.end.send(alone.now, alone.leg, "INFO", [])
    alone.hear(response_to(data, 180, more=CONTACT))
    (info,) = alone.do(lambda now, out: alone.end.send(now, alone.leg, "INFO", out))
    assert isinstance(info, Transmit)
    assert info.destination == ("192.0.2.1", 5070)
    assert as_request(info.data).to.tag == "b1"


def test_what_cannot_be_asked_changes_nothing() -> None:
    alone = Alone(endpoint(B, b"s", limits=Limits(transactions=1)))
    base = {"listener": "udp", "destination": A, "uri": "sip:h", "from_": "<sip:1@h>", "to": "<sip:1@h>"}
    end = alone.end

    def request(**more: object) -> None:
        end.request(1, [], **({"method": "OPTIONS"} | base | more))  # type: ignore[arg-type]

    for more in ({}, {"headers": [("Contact", "<sip:h>")]}, {"headers": [("Contact", "<sip:h>")], "call_id": "c"}):
        with pytest.raises(LocalError):
            request(listener="tcp", **more)
    for wrong in (
        {"method": "INVITE"},
        {"listener": "tcp"},
        {"uri": "sip:h\r\nX: y"},
        {"headers": [("X", "a\nb")]},
    ):
        with pytest.raises(LocalError):
            request(**wrong)
    with pytest.raises(LocalError):
        alone.invite(route=["<sip:p>\n"])
    with pytest.raises(LocalError):
        end.invite(1, [], **(base | {"listener": "tcp"}))  # type: ignore[arg-type]
    with pytest.raises(LocalError):
        end.invite(1, [], **(base | {"listener": "tcp", "contact": "<sip:h>"}))  # type: ignore[arg-type]
    assert end.idle()
    alone.invite()
    with pytest.raises(LocalError):
        alone.invite()
    with pytest.raises(LocalError):
        end.bye(1, alone.leg, [])
    with pytest.raises(LocalError):
        end.send(1, alone.leg, "BYE", [])
    with pytest.raises(LocalError):
        end.ack(1, 99, [])
    few = Alone(endpoint(B, b"s", limits=Limits(legs=1)))
    few.invite()
    with pytest.raises(LocalError):
        few.invite()


def test_broken_and_stray_responses_are_dropped() -> None:
    alone = Alone()
    data = alone.invite()
    (dropped,) = alone.hear(response_to(data).replace(b"To: <", b"To: "))
    assert isinstance(dropped, Unanswerable)
    assert alone.hear(response_to(request_bytes())) == []


def test_an_ack_after_the_transaction_is_gone_is_still_sent() -> None:
    alone = Alone()
    alone.hear(response_to(alone.invite(), 200, more=CONTACT))
    alone.wait(40_000_000)
    assert requests(alone.do(lambda now, out: alone.end.ack(now, alone.leg, out))) == ["ACK"]


def test_a_request_within_a_dialog_may_name_its_contact() -> None:
    alone = Alone()
    alone.answered()
    headers = [("Contact", "<sip:me@h>")]
    (info,) = sent(alone.do(lambda now, out: alone.end.send(now, alone.leg, "INFO", out, headers=headers)))
    assert info.get_all("Contact") == ["<sip:me@h>"]


@pytest.mark.parametrize(
    "given", [{"uri": "sip:a b@c"}, {"uri": ""}, {"uri": "sip:a@h\r\nX: y"}, {"headers": [("X Y", "z")]}]
)
def test_an_invite_that_cannot_be_written_is_the_callers_fault_and_leaves_nothing(given: dict[str, Any]) -> None:
    alone = Alone()
    asked: dict[str, Any] = {"listener": "udp", "destination": A, "from_": "<sip:b@h>", "to": "<sip:a@h>"}
    asked |= {"uri": "sip:a@h"} | given
    out: list[Output] = []
    for call in (alone.end.invite, partial(alone.end.request, method="INFO"), partial(alone.end.subscribe, event="x")):
        with pytest.raises(LocalError):
            call(0, out, **asked)
    with pytest.raises(LocalError):
        alone.end.request(0, out, method="IN FO", **(asked | {"uri": "sip:a@h", "headers": ()}))
    assert out == []
    assert alone.end.next_deadline() is None


def test_a_refusal_with_a_broken_contact_is_acknowledged_and_ends_the_call() -> None:
    alone = Alone()
    asked = alone.invite()
    ack, failed = alone.hear(response_to(asked, 302, more="Contact: <sip:elsewhere\r\n"))
    assert requests([ack]) == ["ACK"]
    assert isinstance(failed, Failed)
    assert failed.status == 302


def test_nothing_goes_to_a_contact_that_is_no_uri() -> None:
    """What a peer says in Contact and Record-Route would be the first line and the Route of our next request."""
    alone = Alone()
    asked = alone.invite()
    for more in ("Contact: <sip:x SIP/2.0 y>\r\n", "Contact: <sip:a@h>\r\nRecord-Route: garbage\r\n"):
        for status in (183, 200):
            (told,) = alone.hear(response_to(asked, status, more=more))
            assert isinstance(told, Unanswerable)
    answered = alone.hear(response_to(asked, 200, more="Contact: <sip:a@192.0.2.1>\r\n"))
    assert any(isinstance(record, Answered) for record in answered)
