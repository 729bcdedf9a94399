"""The callee's half against hand-written peers."""

from collections.abc import Callable

import pytest

from sip_proto import (
    Acked,
    Cancelled,
    DialogChanged,
    DialogEnded,
    Ended,
    Endpoint,
    EndpointSettings,
    Invited,
    Limits,
    LocalError,
    Offered,
    OfferWithdrawn,
    Part,
    Rejected,
    Request,
    Requested,
    Transmit,
    description_of,
    multipart_body,
    parse,
)
from tests.sip_proto.alone import Alone, Called, requests, responses, sent
from tests.sip_proto.pair import A, B
from tests.sip_proto.texts import as_request, request_bytes, response_to


def test_ringing_and_answer_carry_tag_contact_and_record_route() -> None:
    called = Called("Record-Route: <sip:p1;lr>\r\nRecord-Route: <sip:p2;lr>\r\n")
    called.ring()
    answer = called.accept()
    assert isinstance(answer[1], DialogChanged)
    (message,) = sent(answer)  # type: ignore[arg-type]
    assert message.get_all("Record-Route") == ["<sip:p1;lr>", "<sip:p2;lr>"]
    assert message.get("Contact") == "<sip:192.0.2.2:5060>"
    assert message.to.tag == called.tag
    assert message.get("Content-Type") == "application/sdp"
    assert answer[1].dialog.route_set == ("<sip:p1;lr>", "<sip:p2;lr>")
    assert answer[1].dialog.remote_target == "sip:alice@192.0.2.1"


def test_an_invite_that_comes_again_gets_the_last_answer_again() -> None:
    called = Called()
    assert responses(called.hear(request_bytes())) == [100]
    called.ring()
    assert responses(called.hear(request_bytes())) == [180]
    called.accept()
    assert called.hear(request_bytes()) == []


def test_an_answer_is_repeated_until_its_ack() -> None:
    called = Called()
    called.accept()
    assert responses(called.wait(1_600_000)) == [200, 200]
    assert called.hear(called.inside("ACK", 9)) == []
    (acked,) = called.hear(called.inside("ACK", 1))
    assert isinstance(acked, Acked)
    assert called.hear(called.inside("ACK", 1)) == []
    assert called.wait(60_000_000) == []
    assert called.end.counts()["timers"] == 0


def test_an_ack_with_the_invites_branch_is_taken_too() -> None:
    called = Called()
    called.accept()
    (acked,) = called.hear(called.inside("ACK", 1, branch="z9hG4bK1"))
    assert isinstance(acked, Acked)


def test_an_answer_without_ack_ends_in_a_bye() -> None:
    called = Called()
    called.accept()
    out = called.wait(33_000_000)
    assert Ended(called.leg, "no-ack") in out
    assert DialogEnded(called.leg) in out
    assert requests(out)[0] == "BYE"
    called.wait(60_000_000)
    assert called.end.idle()


def test_a_refusal_is_repeated_until_its_ack() -> None:
    called = Called()
    out = called.do(lambda now, out: called.end.reject(now, called.leg, 486, out, headers=[("X", "y")]))
    (busy,) = sent(out)
    assert (busy.get("X"), busy.get("Contact")) == ("y", None)
    assert responses(called.wait(1_600_000)) == [486, 486]
    called.hear(request_bytes("ACK", to=f"<sip:bob@example.org>;tag={busy.to.tag}"))
    assert called.wait(60_000_000) == []
    assert called.end.idle()


def test_a_cancel_is_answered_and_ends_the_call() -> None:
    called = Called()
    called.ring()
    cancel = request_bytes("CANCEL", contact="")
    out = called.hear(cancel)
    assert responses(out) == [200, 487]
    assert out[-1] == Cancelled(called.leg)
    assert responses(called.hear(cancel)) == [200]
    called.hear(request_bytes("ACK"))
    called.wait(60_000_000)
    assert called.end.idle()
    assert responses(called.hear(cancel)) == [481]


def test_a_cancel_after_the_answer_changes_nothing() -> None:
    called = Called()
    called.talk()
    assert responses(called.hear(request_bytes("CANCEL", contact=""))) == [200]
    assert called.end.counts()["legs"] == 1


def test_a_bye_ends_the_call_and_is_answered_again() -> None:
    called = Called()
    called.talk()
    bye = called.inside("BYE", 2)
    out = called.hear(bye)
    assert responses(out) == [200]
    assert out[1:] == [Ended(called.leg, "bye"), DialogEnded(called.leg)]
    assert responses(called.hear(bye)) == [200]
    assert responses(called.hear(called.inside("BYE", 3))) == [481]
    called.wait(60_000_000)
    assert called.end.idle()


def test_a_bye_in_the_early_dialog_cancels() -> None:
    called = Called()
    called.ring()
    out = called.hear(called.inside("BYE", 2))
    assert responses(out) == [200, 487]
    assert out[-1] == Cancelled(called.leg)


def test_our_bye_waits_for_the_ack() -> None:
    called = Called()
    called.accept()
    out = called.do(lambda now, out: called.end.bye(now, called.leg, out))
    assert out == [DialogEnded(called.leg)]
    assert responses(called.wait(600_000)) == [200]
    assert requests(called.hear(called.inside("ACK", 1))) == ["BYE"]
    called.wait(60_000_000)
    assert called.end.idle()


def test_our_bye_does_not_wait_for_ever_and_the_peers_may_come_first() -> None:
    called = Called()
    called.accept()
    called.do(lambda now, out: called.end.bye(now, called.leg, out))
    assert "BYE" in requests(called.wait(33_000_000))
    other = Called()
    other.accept()
    other.do(lambda now, out: other.end.bye(now, other.leg, out))
    out = other.hear(other.inside("BYE", 2))
    assert responses(out) == [200]
    assert len(out) == 1
    other.wait(60_000_000)
    assert other.end.idle()


def test_a_reinvite_is_accepted_and_acknowledged() -> None:
    called = Called()
    called.talk()
    out = called.hear(called.inside("INVITE", 2, contact="Contact: <sip:alice@192.0.2.1:5099>\r\n"))
    assert [type(record) for record in out] == [Transmit, DialogChanged, Offered]
    # Another request in between must not move the number that the ACK has to have.
    (asked,) = [record for record in called.hear(called.inside("INFO", 3)) if isinstance(record, Requested)]
    assert asked.leg == called.leg
    called.do(lambda now, out: called.end.respond(now, asked.handle, 200, out))
    out = called.do(lambda now, out: called.end.answer_offer(now, called.leg, out, body=b"v=0\r\n"))
    assert responses(out) == [200]
    assert responses(called.wait(600_000)) == [200]
    assert responses(called.hear(called.inside("INVITE", 4))) == [491]
    (acked,) = called.hear(called.inside("ACK", 2))
    assert isinstance(acked, Acked)
    with pytest.raises(LocalError):
        called.end.answer_offer(called.now, called.leg, [])


def test_a_reinvite_is_refused_and_the_dialog_goes_on() -> None:
    called = Called()
    called.talk()
    called.hear(called.inside("INVITE", 2))
    assert responses(called.hear(called.inside("INVITE", 3))) == [500]
    out = called.do(lambda now, out: called.end.refuse_offer(now, called.leg, 488, out, reason="No"))
    assert responses(out) == [488]
    assert called.end.counts()["legs"] == 1


def test_a_reinvite_is_cancelled_or_ended_by_a_bye() -> None:
    called = Called()
    called.talk()
    called.hear(called.inside("INVITE", 2))
    out = called.hear(called.inside("CANCEL", 2, branch="z9hG4bKINVITE2"))
    assert responses(out) == [200, 487]
    assert out[-1] == OfferWithdrawn(called.leg)
    called.hear(called.inside("INVITE", 3))
    assert responses(called.hear(called.inside("BYE", 4))) == [200, 487]
    called.wait(60_000_000)
    assert called.end.idle()


def test_a_reinvite_that_is_never_acknowledged_ends_the_call() -> None:
    called = Called()
    called.talk()
    called.hear(called.inside("INVITE", 2))
    called.do(lambda now, out: called.end.answer_offer(now, called.leg, out))
    assert Ended(called.leg, "no-ack") in called.wait(33_000_000)
    called.wait(60_000_000)
    assert called.end.idle()


def test_our_bye_refuses_a_pending_reinvite() -> None:
    called = Called()
    called.talk()
    called.hear(called.inside("INVITE", 2))
    out = called.do(lambda now, out: called.end.bye(now, called.leg, out))
    assert responses(out) == [487]
    assert requests(out) == ["BYE"]


def test_a_second_invite_before_the_first_is_answered_is_refused_with_retry_after() -> None:
    called = Called()
    called.ring()
    (refusal,) = sent(called.hear(called.inside("INVITE", 2)))
    assert refusal.status == 500
    assert 0 <= int(refusal.get("Retry-After") or "") <= 10
    called.accept()
    # The 200 had our offer, for the INVITE had none.
    assert responses(called.hear(called.inside("INVITE", 3))) == [491]


def test_a_bye_of_the_callee_before_it_answered_is_no_dialogs() -> None:
    alone = Alone()
    data = alone.invite()
    alone.hear(response_to(data, 180))
    invite = as_request(data)
    bye = request_bytes(
        "BYE", from_="<sip:alice@example.org>;tag=b1", to=invite.get("From") or "", call_id=invite.call_id
    )
    assert responses(alone.hear(bye)) == [481]


def test_numbers_must_not_fall_and_tags_must_fit() -> None:
    called = Called()
    called.talk()
    called.hear(called.inside("INFO", 5))
    assert responses(called.hear(called.inside("INFO", 4))) == [500]
    assert responses(called.hear(called.inside("INFO", 6, from_="<sip:alice@example.org>;tag=other"))) == [481]
    assert responses(called.hear(request_bytes("INFO", to="<sip:b@h>;tag=none", branch="z9hG4bKz"))) == [481]


def test_requests_in_an_early_dialog_go_both_ways() -> None:
    called = Called()
    out = called.do(lambda now, out: called.end.send(now, called.leg, "NOTIFY", out, headers=[("Event", "talk")]))
    (notify,) = sent(out)
    assert (notify.get("Event"), notify.cseq, notify.to.tag) == ("talk", (1, "NOTIFY"), "a1")
    called.ring()
    (asked,) = called.hear(called.inside("INFO", 2))
    assert isinstance(asked, Requested)


def test_other_requests_are_answered_once() -> None:
    alone = Alone()
    data = request_bytes("OPTIONS", contact="")
    (asked,) = alone.hear(data)
    assert isinstance(asked, Requested)
    assert alone.hear(data) == []
    assert responses(alone.do(lambda now, out: alone.end.respond(now, asked.handle, 100, out))) == [100]
    assert responses(alone.hear(data)) == [100]
    out = alone.do(lambda now, out: alone.end.respond(now, asked.handle, 200, out, body=b"x", content_type="a/b"))
    assert responses(out) == [200]
    assert alone.hear(data) == out
    with pytest.raises(LocalError):
        alone.end.respond(alone.now, asked.handle, 200, [])
    alone.wait(60_000_000)
    assert alone.end.idle()


def test_a_request_that_the_program_never_answers_is_forgotten() -> None:
    alone = Alone()
    alone.hear(request_bytes("OPTIONS", contact=""))
    assert alone.wait(60_000_000) == []
    assert alone.end.idle()


def test_the_same_request_by_two_ways_is_a_loop() -> None:
    called = Called()
    assert responses(called.hear(request_bytes(branch="z9hG4bKother"))) == [482]
    for status, again in ((200, [482]), (486, [])):
        alone = Alone()
        (asked,) = alone.hear(request_bytes("MESSAGE", contact=""))
        assert isinstance(asked, Requested)
        alone.do(lambda now, out: alone.end.respond(now, asked.handle, status, out))  # noqa: B023
        assert responses(alone.hear(request_bytes("MESSAGE", branch="z9hG4bKother", contact=""))) == again
        alone.wait(33_000_000)
        assert responses(alone.hear(request_bytes("MESSAGE", branch="z9hG4bKthird", contact=""))) == []
    alone = Alone()
    (asked,) = alone.hear(request_bytes("REGISTER"))
    assert isinstance(asked, Requested)
    alone.do(lambda now, out: alone.end.respond(now, asked.handle, 200, out))
    assert isinstance(alone.hear(request_bytes("REGISTER", branch="z9hG4bKother"))[0], Requested)


def test_a_challenged_invite_is_answered_once_a_copy_and_leaves_nothing() -> None:
    for status in (401, 407):
        alone = Alone()
        answers = []
        for _ in range(2):
            _, invited = alone.hear(request_bytes())
            assert isinstance(invited, Invited)
            out = alone.do(lambda now, out: alone.end.reject(now, invited.leg, status, out))  # noqa: B023
            assert responses(out) == [status]
            answers.append(out)
            assert alone.end.idle()
            assert alone.wait(60_000_000) == []
        assert answers[0] == answers[1]
        assert isinstance(answers[0][0], Transmit)
        to = parse(answers[0][0].data).get("To") or ""
        assert alone.hear(request_bytes("ACK", to=to)) == []


def test_a_challenge_after_ringing_keeps_its_tag() -> None:
    called = Called()
    tag = called.ring().to.tag
    out = called.do(lambda now, out: called.end.reject(now, called.leg, 401, out))
    refused = [parse(record.data) for record in out if isinstance(record, Transmit)]
    assert [answer.to.tag for answer in refused] == [tag]


def test_a_trying_repeats_the_timestamp() -> None:
    trying, _ = Alone().hear(request_bytes(more="Timestamp: 54.1\r\n"))
    assert isinstance(trying, Transmit)
    assert b"\r\nTimestamp: 54.1\r\n" in trying.data


def test_a_cancel_of_another_request_is_answered_and_changes_nothing() -> None:
    alone = Alone()
    (asked,) = alone.hear(request_bytes("MESSAGE", contact=""))
    assert isinstance(asked, Requested)
    assert responses(alone.hear(request_bytes("CANCEL", contact=""))) == [200]
    assert responses(alone.do(lambda now, out: alone.end.respond(now, asked.handle, 202, out))) == [202]
    assert responses(Alone().hear(request_bytes("CANCEL", contact=""))) == [481]


def test_old_peers_tell_requests_apart_by_their_uri_too() -> None:
    alone = Alone()
    old = "SIP/2.0/UDP 192.0.2.1"
    assert len(alone.hear(request_bytes(via=old))) == 2
    assert len(alone.hear(request_bytes(via=old))) == 1
    other = request_bytes(via=old).replace(b"INVITE sip:bob@", b"INVITE sip:carol@", 1)
    assert responses(alone.hear(other)) == [482]


def test_the_host_of_a_via_is_read_without_case() -> None:
    alone = Alone()
    assert len(alone.hear(request_bytes(via="SIP/2.0/UDP Phone.Example;branch=z9hG4bKa"))) == 2
    assert responses(alone.hear(request_bytes(via="SIP/2.0/UDP phone.example;branch=z9hG4bKa"))) == [100]


def test_a_refusal_has_a_tag_where_another_parameter_ends_so() -> None:
    for to, tags in (("<sip:b@h>;mytag=1", 1), ("<sip:b@h> ; tag = 1", 0), ("<sip:b@h;tag=1", 0)):
        out = Alone().hear(request_bytes(to=to, more="oops\r\n"))
        assert isinstance(out[0], Transmit)
        line = next(line for line in out[0].data.decode().split("\r\n") if line.startswith("To:"))
        assert line.removeprefix(f"To: {to}").count(";tag=") == tags


def test_a_broken_request_is_refused_by_its_via_and_a_broken_ack_dropped() -> None:
    alone = Alone()
    answer, rejected = alone.hear(request_bytes(via="SIP/2.0/UDP 10.0.0.1:9;branch=z9hG4bKx", more="oops\r\n"))
    assert isinstance(answer, Transmit)
    assert answer.destination == ("192.0.2.1", 9)
    assert b";received=192.0.2.1\r\n" in answer.data
    assert isinstance(rejected, Rejected)
    assert rejected.status == 400
    again, _ = alone.hear(request_bytes(via="SIP/2.0/UDP 10.0.0.1:9;branch=z9hG4bKx", more="oops\r\n"))
    assert again == answer
    unread, _ = alone.hear(request_bytes(via="?"))
    assert isinstance(unread, Transmit)
    assert unread.destination == A
    assert [type(record) for record in alone.hear(request_bytes("ACK", more="oops\r\n"))] == [Rejected]
    assert alone.end.idle()


def test_a_request_without_readable_to_keeps_its_tag() -> None:
    (answer,) = sent(Alone().hear(request_bytes(to="<sip:b;tag=x")))
    assert answer.get("To") == "<sip:b;tag=x"


def test_full_tables_are_answered_with_503() -> None:
    called = Called(limits=Limits(legs=1))
    (full,) = sent(called.hear(request_bytes(call_id="c2", branch="z9hG4bK2")))
    assert full.get("Retry-After") == "5"
    full_table = Called(limits=Limits(transactions=1))
    assert responses(full_table.hear(request_bytes("OPTIONS", call_id="c2", branch="z9hG4bK2"))) == [503]
    full_table.accept()
    assert responses(full_table.hear(full_table.inside("INFO", 2))) == [503]
    full_table.hear(full_table.inside("ACK", 1))
    assert responses(full_table.hear(full_table.inside("BYE", 3))) == [200]


def test_peers_of_rfc_2543_are_told_apart_without_branch() -> None:
    alone = Alone()
    via = "SIP/2.0/UDP 192.0.2.1"
    assert isinstance(alone.hear(request_bytes("OPTIONS", via=via))[0], Requested)
    assert alone.hear(request_bytes("OPTIONS", via=via)) == []
    assert isinstance(alone.hear(request_bytes("OPTIONS", via=via, call_id="c2"))[0], Requested)


def test_a_register_with_a_to_tag_is_no_dialogs() -> None:
    asked = Alone().hear(request_bytes("REGISTER", to="<sip:b@h>;tag=1"))[0]
    assert isinstance(asked, Requested)


def test_what_cannot_be_asked_changes_nothing() -> None:
    called = Called()
    end, leg = called.end, called.leg
    wrongs: list[Callable[[], None]] = [
        lambda: end.provisional(1, leg, 200, []),
        lambda: end.provisional(1, leg, 180, [], reason="a\r\nb"),
        lambda: end.reject(1, leg, 200, []),
        lambda: end.accept(1, leg, [], headers=[("X\n", "y")]),
        lambda: end.accept(1, 99, []),
        lambda: end.respond(1, leg, 200, []),
        lambda: end.answer_offer(1, leg, []),
        lambda: end.offer(1, 99, []),
        lambda: end.ack(1, leg, []),
        lambda: end.prack(1, leg, []),
        lambda: end.bye(1, leg, []),
        lambda: end.cancel(1, leg, []),
    ]
    for wrong in wrongs:
        with pytest.raises(LocalError):
            wrong()
    called.ring()
    called.talk()
    with pytest.raises(LocalError):
        end.ack(1, leg, [])


def test_a_callee_sends_a_reinvite_of_its_own_and_may_name_its_contact() -> None:
    called = Called()
    out = called.do(lambda now, out: called.end.accept(now, called.leg, out, headers=[("Contact", "<sip:me@h>")]))
    (answer,) = sent(out)
    assert answer.get_all("Contact") == ["<sip:me@h>"]
    called.tag = answer.to.tag
    assert called.do(lambda now, out: called.end.offer(now, called.leg, out)) == []
    (again,) = sent(called.hear(called.inside("ACK", 1)))
    assert isinstance(again, Request)
    assert (again.cseq, again.to.tag) == ((1, "INVITE"), "a1")
    assert again.from_.tag == called.tag
    called.hear(response_to(again.to_bytes(), 200, more="Contact: <sip:alice@192.0.2.1>\r\n"))
    bye = called.inside("BYE", 2)
    assert requests(called.hear(bye)) == ["ACK"]


def test_a_caller_of_rfc_2543_is_reached_at_its_from() -> None:
    alone = Alone()
    _, invited = alone.hear(request_bytes(contact="", from_="sip:old@192.0.2.7", via="SIP/2.0/UDP 192.0.2.1"))
    assert isinstance(invited, Invited)
    (answer,) = sent(alone.do(lambda now, out: alone.end.accept(now, invited.leg, out)))
    ack = request_bytes("ACK", contact="", to=f"<sip:b@h>;tag={answer.to.tag}", from_="sip:old@192.0.2.7", cseq="1 ACK")
    alone.hear(ack)
    assert requests(alone.do(lambda now, out: alone.end.bye(now, invited.leg, out))) == ["BYE"]
    (bye,) = sent(alone.last)
    assert bye.start_line() == "BYE sip:old@192.0.2.7 SIP/2.0"


def test_a_branch_that_is_the_cookie_alone_tells_nothing_apart() -> None:
    alone = Alone()
    for call_id in ("one", "two"):
        out = alone.hear(request_bytes("OPTIONS", branch="z9hG4bK", call_id=call_id))
        assert isinstance(out[0], Requested)


@pytest.mark.parametrize(
    ("more", "status"),
    [("Content-Type: application/x\r\n", 415), ("Content-Type: application/sdp\r\nAccept: text/x\r\n", 406)],
)
def test_calls_with_other_bodies_than_the_sessions_are_refused(more: str, status: int) -> None:
    settings = EndpointSettings(listeners={"udp": B}, session_types=("application/sdp",))
    alone = Alone(Endpoint(settings, b"seed"))
    assert responses(alone.hear(request_bytes(more=more, body="v=0"))) == [status]
    assert isinstance(alone.hear(request_bytes("MESSAGE", more=more, body="hi"))[0], Requested)


ISUP = Part((("Content-Type", "application/isup"), ("Content-Disposition", "signal;handling=optional")), b"x")
OFFER = Part((("Content-Type", "application/sdp"),), b"v=0")


def in_parts(*parts: Part) -> dict[str, str]:
    """Body and Content-Type line of a multipart."""
    kind, body = multipart_body(parts)
    return {"body": body.decode(), "more": f"Content-Type: {kind}\r\n"}


def test_an_offer_among_other_parts_is_an_offer() -> None:
    settings = EndpointSettings(listeners={"udp": B}, session_types=("application/sdp",))
    alone = Alone(Endpoint(settings, b"s"))
    _, invited = alone.hear(request_bytes(**in_parts(ISUP, OFFER)))
    assert isinstance(invited, Invited)
    assert description_of(invited.request) == b"v=0"
    accepted, _ = alone.do(lambda now, out: alone.end.accept(now, invited.leg, out, body=b"v=0"))
    to = f"<sip:bob@example.org>;tag={sent([accepted])[0].to.tag}"
    alone.hear(request_bytes("ACK", to=to))
    update = {"branch": "z9hG4bKu", "cseq": "2 UPDATE", "to": to}
    _, offered = alone.hear(request_bytes("UPDATE", **update, **in_parts(OFFER)))
    assert isinstance(offered, Offered)
    answered = alone.do(lambda now, out: alone.end.answer_offer(now, invited.leg, out, body=b"v=0"))
    assert responses(answered) == [200]
    update |= {"branch": "z9hG4bKv", "cseq": "3 UPDATE"}
    # Nothing in it is an offer: answered without the program.
    assert responses(alone.hear(request_bytes("UPDATE", **update, **in_parts(ISUP)))) == [200]
    refused = alone.hear(request_bytes(branch="z9hG4bKw", call_id="c2", **in_parts(Part((), b"x"), OFFER)))
    assert responses(refused) == [415]
