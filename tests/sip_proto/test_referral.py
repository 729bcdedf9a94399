"""REFER and its reports between two endpoints, and against messages written by hand."""

import pytest

from sip_proto import (
    Acked,
    Answered,
    DialogChanged,
    DialogEnded,
    Ended,
    Endpoint,
    EndpointSettings,
    Invited,
    Limits,
    LocalError,
    Output,
    ReferAnswered,
    ReferEnded,
    ReferProgress,
    Referred,
    Rejected,
    Request,
    Requested,
    Transmit,
    parse,
    write_replaces,
)
from sip_proto.tables_usage import REFERRAL_TRANSITIONS, ReferralInput, ReferralState
from sip_proto.values_event import read_dialog_id
from tests.sip_proto.alone import Alone, requests, responses, sent
from tests.sip_proto.pair import A, B, Lose, Pair, endpoint
from tests.sip_proto.streams import Streams
from tests.sip_proto.texts import as_request, as_response, request_bytes, response_to

SECOND = 1_000_000
CAROL = "sip:carol@192.0.2.9"


class Talk(Pair):
    """A call of a to b that is answered and acknowledged; `here` and `there` are its legs. a transfers b."""

    def __init__(self, lose: Lose | None = None, **more: object) -> None:
        super().__init__(None, **more)  # type: ignore[arg-type]
        self.here, self.there = self.call()
        self.wire.clear()
        self.lose = lose

    def call(self) -> tuple[int, int]:
        """A call of a to b; its legs."""
        here = self.invite()
        self.run()
        (invited,) = self.some("b", Invited)
        there = invited.leg
        self.do("b", lambda now, out: self.b.accept(now, there, out, body=b"v=0\r\n"))
        self.run()
        self.some("a", Answered)
        self.do("a", lambda now, out: self.a.ack(now, here, out))
        self.run()
        self.some("b", Acked)
        return here, there

    def some(self, name: str, *kinds: type) -> list:
        """What one end said of these kinds; the rest is dropped."""
        return [record for record in self.take(name) if isinstance(record, kinds)]

    def refer(self, refer_to: str = CAROL, **more: object) -> int:
        made = self.do(
            "a",
            lambda now, out: self.a.refer(now, self.here, out, refer_to=refer_to, **more),  # type: ignore[arg-type]
        )
        assert isinstance(made, int)
        return made

    def referred(self) -> Referred:
        self.run()
        (record,) = self.some("b", Referred)
        assert isinstance(record, Referred)
        return record

    def accept(self, referral: int) -> None:
        self.do("b", lambda now, out: self.b.accept_referral(now, referral, out))
        self.run()

    def report(self, referral: int, status: int, **more: str) -> None:
        self.do("b", lambda now, out: self.b.report_referral(now, referral, status, out, **more))
        self.run()

    def heard(self) -> list[Output]:
        """What a was told of its transfer."""
        return self.some("a", ReferAnswered, ReferProgress, ReferEnded)

    def requests(self, method: str) -> list[Request]:
        found = [parse(data) for _, data in self.wire]
        return [message for message in found if isinstance(message, Request) and message.method == method]


def test_a_blind_transfer_is_accepted_and_reported_to_its_end() -> None:
    talk = Talk()
    here = talk.refer(referred_by="sip:alice@example.org", headers=[("X-Why", "1")])
    referred = talk.referred()
    assert (referred.leg, referred.refer_to, referred.replaces, referred.silent) == (talk.there, CAROL, None, False)
    assert referred.referred_by == "<sip:alice@example.org>"
    assert referred.request.get("X-Why") == "1"
    there = referred.referral
    talk.accept(there)
    answered, trying = talk.heard()
    assert isinstance(answered, ReferAnswered)
    assert (answered.referral, answered.leg, answered.status) == (here, talk.here, 202)
    assert trying == ReferProgress(here, talk.here, 100, "Trying")
    talk.report(there, 180)
    assert talk.heard() == [ReferProgress(here, talk.here, 180, "Ringing")]
    talk.report(there, 200, reason="Yes")
    assert talk.heard() == [
        ReferProgress(here, talk.here, 200, "Yes"),
        ReferEnded(here, talk.here, 200, "terminated"),
    ]
    talk.report(there, 486)
    assert talk.heard() == []
    reports = talk.requests("NOTIFY")
    number = talk.requests("REFER")[0].cseq[0]
    assert [report.get("Event") for report in reports] == [f"refer;id={number}"] * 3
    assert [report.get("Subscription-State") for report in reports] == [
        "active;expires=600",
        "active;expires=599",
        "terminated;reason=noresource",
    ]
    assert {report.get("Content-Type") for report in reports} == {"message/sipfrag;version=2.0"}
    talk.do("a", lambda now, out: talk.a.bye(now, talk.here, out))
    talk.settle()
    assert talk.a.idle()
    assert talk.b.idle()


def test_a_transfer_that_is_refused_leaves_the_call_as_it_was() -> None:
    talk = Talk()
    here = talk.refer()
    there = talk.referred().referral
    talk.do("b", lambda now, out: talk.b.reject_referral(now, there, 603, out, headers=[("X-A", "1")]))
    talk.run()
    (answered,) = talk.heard()
    assert isinstance(answered, ReferAnswered)
    assert (answered.referral, answered.status) == (here, 603)
    assert (talk.a.counts()["referrals"], talk.b.counts()["referrals"]) == (0, 0)
    assert talk.some("b", Ended) == []
    with pytest.raises(LocalError):
        talk.b.accept_referral(talk.now, there, [])


# What goes wrong with transfers in the field, each by its own name.


def test_a_refer_is_told_to_the_program_once_and_goes_nowhere_else() -> None:
    talk = Talk(lose=lambda number, name, data: name == "b" and data.startswith(b"SIP/2.0 202") and number < 14)
    talk.refer()
    referred = talk.referred()
    talk.accept(referred.referral)
    talk.run(10 * SECOND)
    assert len(talk.requests("REFER")) > 1
    assert {name for name, data in talk.wire if data.startswith(b"REFER")} == {"a"}
    assert talk.some("b", Referred, Requested) == []
    assert [record.status for record in talk.heard() if isinstance(record, ReferAnswered)] == [202]


def test_a_transferor_that_hangs_up_after_202_harms_neither_the_new_call_nor_the_program() -> None:
    talk = Talk()
    here = talk.refer()
    there = talk.referred().referral
    talk.accept(there)
    out: list[Output] = []
    new = talk.b.invite(
        talk.now, out, listener="udp", destination=A, uri=CAROL, from_="<sip:bob@h>", to=f"<{CAROL}>", body=b"v=0\r\n"
    )
    talk.post("b", out)
    talk.heard()
    talk.do("a", lambda now, out: talk.a.bye(now, talk.here, out))
    assert talk.heard() == [ReferEnded(here, talk.here, 100, "leg")]
    talk.run()
    assert talk.some("b", Ended) == [Ended(talk.there, "bye")]
    (carol,) = talk.some("a", Invited)
    talk.do("a", lambda now, out: talk.a.accept(now, carol.leg, out, body=b"v=0\r\n"))
    talk.run()
    (answered,) = talk.some("b", Answered)
    assert answered.leg == new
    talk.report(there, 200)
    assert talk.b.counts()["legs"] == 1
    assert talk.requests("NOTIFY")[-1].body == b"SIP/2.0 100 Trying\r\n"


def test_the_dialog_in_a_refer_to_is_found_among_our_legs_and_named_anew_for_who_is_called() -> None:
    # b has two calls with a; a joins their far ends: in its Refer-To it names its second call.
    talk = Talk()
    second, there = talk.call()
    name = talk.do("a", lambda now, out: talk.a.replaces_of(second, escaped=True))
    talk.refer(f"<sip:bob@192.0.2.2?Replaces={name}>")
    referred = talk.referred()
    assert referred.refer_to == "sip:bob@192.0.2.2"
    assert referred.replaces is not None
    assert talk.b.named_leg(referred.replaces) == there
    # b is between: who is called knows another dialog, and that is what b puts into its own INVITE.
    onward = talk.b.replaces_of(there)
    dialog = read_dialog_id(onward)
    assert talk.a.named_leg(dialog) == second
    assert write_replaces(dialog) == onward


def test_supported_tells_a_phone_that_replaces_is_understood() -> None:
    settings = EndpointSettings({"udp": B}, supported=("replaces", "norefersub"))
    alone = Alone(Endpoint(settings, b"seed"))
    assert as_request(alone.invite()).elements("Supported")[-2:] == ["replaces", "norefersub"]
    asked = request_bytes(call_id="c7", more="Require: replaces\r\nReplaces: c9;to-tag=1;from-tag=2\r\n")
    (trying, invited) = alone.hear(asked)
    assert isinstance(trying, Transmit)
    assert isinstance(invited, Invited)


def test_refer_to_carries_the_target_and_not_the_proxy() -> None:
    alone = Alone()
    alone.answered("Contact: <sip:alice@10.1.1.1:5070>\r\nRecord-Route: <sip:192.0.2.1;lr>\r\n")
    (sent, _) = alone.do(lambda now, out: alone.end.refer(now, alone.leg, out, refer_to="sip:carol@10.9.9.9;x=y"))
    assert isinstance(sent, Transmit)
    message = as_request(sent.data)
    assert message.get("Refer-To") == "<sip:carol@10.9.9.9;x=y>"
    assert (message.uri, message.get("Route")) == ("sip:alice@10.1.1.1:5070", "<sip:192.0.2.1;lr>")
    assert sent.destination == A


def test_who_transferred_is_passed_on_as_it_was_written() -> None:
    talk = Talk()
    talk.refer(referred_by='"Al" <sip:alice@example.org>;cid="20398823.2UWQFN309shb3@example.org"')
    assert talk.referred().referred_by == '"Al" <sip:alice@example.org>;cid="20398823.2UWQFN309shb3@example.org"'


def test_refer_sub_false_is_honoured_and_nothing_is_reported() -> None:
    talk = Talk()
    here = talk.refer(silent=True)
    referred = talk.referred()
    assert referred.silent
    assert referred.request.get("Supported") == "norefersub"
    talk.accept(referred.referral)
    answered, ended = talk.heard()
    assert isinstance(answered, ReferAnswered)
    assert answered.response is not None
    assert (answered.status, answered.response.get("Refer-Sub")) == (200, "false")
    assert ended == ReferEnded(here, talk.here, 0, "silent")
    talk.report(referred.referral, 200)
    assert talk.requests("NOTIFY") == []
    assert talk.b.counts()["referrals"] == 0


# The rest of the machine.


def refer_bytes(alone: Alone, answer: bytes, more: str, cseq: int = 1, method: str = "REFER") -> bytes:
    """A request of A's in the call that A answered with `answer`."""
    there = parse(answer)
    return request_bytes(
        method,
        to=f"<sip:bob@example.org>;tag={there.from_.tag}",
        from_=f"<sip:alice@example.org>;tag={there.to.tag}",
        call_id=there.call_id,
        cseq=f"{cseq} {method}",
        branch=f"z9hG4bK-{method}-{cseq}",
        more=more,
    )


@pytest.mark.parametrize("more", ["", "Refer-To: <sip:a@h>\r\nRefer-To: <sip:b@h>\r\n", "Refer-To: <sip:>\r\n"])
def test_no_refer_to_two_or_a_broken_one_are_refused_with_400(more: str) -> None:
    alone = Alone()
    out = alone.hear(refer_bytes(alone, alone.answered(), more))
    assert responses(out) == [400]
    assert [record.status for record in out if isinstance(record, Rejected)] == [400]
    assert alone.end.counts()["referrals"] == 0


def test_a_refer_for_another_method_and_one_in_an_early_dialog_are_the_programs() -> None:
    alone = Alone()
    out = alone.hear(refer_bytes(alone, alone.answered(), "Refer-To: <sip:a@h;method=BYE>\r\n"))
    assert [type(record) for record in out][-1] is Requested
    alone = Alone()
    ringing = response_to(alone.invite(), 180, more="Contact: <sip:alice@192.0.2.1>\r\n")
    alone.hear(ringing)
    out = alone.hear(refer_bytes(alone, ringing, "Refer-To: <sip:a@h>\r\n"))
    assert [type(record) for record in out] == [Requested]
    with pytest.raises(LocalError):
        alone.end.refer(alone.now, alone.leg, [], refer_to=CAROL)


def test_a_refer_may_overtake_the_ack() -> None:
    alone = Alone()
    (_, invited) = alone.hear(request_bytes())
    assert isinstance(invited, Invited)
    (accepted, _) = alone.do(lambda now, out: alone.end.accept(now, invited.leg, out))
    assert isinstance(accepted, Transmit)
    tag = as_response(accepted.data).to.tag
    asked = request_bytes(
        "REFER",
        to=f"<sip:bob@example.org>;tag={tag}",
        branch="z9hG4bK2",
        cseq="2 REFER",
        more="Refer-To: <sip:c@h>\r\n",
    )
    (referred,) = [record for record in alone.hear(asked) if isinstance(record, Referred)]
    # Hanging up before the ACK answers it too.
    out = alone.do(lambda now, out: alone.end.bye(now, invited.leg, out))
    assert responses(out) == [487]
    assert isinstance(out[-1], DialogEnded)
    alone.do(lambda now, out: alone.end.report_referral(now, referred.referral, 200, out))
    assert alone.last == []


def test_other_notifies_in_a_call_are_the_programs() -> None:
    alone = Alone()
    answer = alone.answered()
    for number, event in enumerate(("Event: talk\r\n", "", "Event: conference;id=1\r\n"), 2):
        out = alone.hear(refer_bytes(alone, answer, event, number, "NOTIFY"))
        assert [type(record) for record in out][-1] is Requested


class Transferor(Alone):
    """Our side sends the REFER; the test is A. `refer` are its bytes."""

    def __init__(self, **more: object) -> None:
        super().__init__()
        self.answer = self.answered()
        out = self.do(
            lambda now, out: self.end.refer(now, self.leg, out, refer_to=CAROL, **more)  # type: ignore[arg-type]
        )
        self.referral: int = self.result  # type: ignore[assignment]
        assert isinstance(out[0], Transmit)
        self.refer = out[0].data
        self.number = as_request(self.refer).cseq[0]
        self.cseq = 0

    def notify(
        self, state: str = "active;expires=60", body: str = "SIP/2.0 180 Ringing\r\n", event: str = ""
    ) -> tuple[int, list[Output]]:
        """The status that a report is answered with, and what was told."""
        self.cseq += 1
        event = event or f"refer;id={self.number}"
        head = f"Event: {event}\r\nSubscription-State: {state}\r\n"
        head += "Content-Type: message/sipfrag\r\n" if body else ""
        asked = parse(refer_bytes(self, self.answer, head, self.cseq, "NOTIFY"))
        asked.body = body.encode()
        asked.values[asked.names.index("Content-Length")] = str(len(body))
        out = self.hear(asked.to_bytes())
        told = [record for record in out if isinstance(record, ReferAnswered | ReferProgress | ReferEnded)]
        (status,) = responses(out)
        return status, list(told)

    def told(self, out: list[Output]) -> list[tuple[object, ...]]:
        found: list[tuple[object, ...]] = []
        for record in out:
            if isinstance(record, ReferAnswered):
                found.append(("answered", record.status))
            elif isinstance(record, ReferProgress):
                found.append((record.status, record.reason))
            elif isinstance(record, ReferEnded):
                found.append((record.why, record.status))
        return found


def test_a_report_may_overtake_the_answer_and_so_may_the_last() -> None:
    end = Transferor()
    assert end.told(end.notify()[1]) == [(180, "Ringing")]
    assert end.told(end.hear(response_to(end.refer, 202))) == [("answered", 202)]
    assert end.told(end.wait(60 * SECOND)) == [("timeout", 180)]
    for status, told in ((202, [("answered", 202), ("terminated", 200)]), (603, [("answered", 603)])):
        end = Transferor()
        assert end.told(end.notify("terminated;reason=noresource", "SIP/2.0 200 OK\r\n")[1]) == [(200, "OK")]
        assert end.notify()[0] == 481
        assert end.told(end.hear(response_to(end.refer, status))) == told
        assert end.end.counts()["referrals"] == 0


def test_a_refer_that_nobody_answers_or_that_cannot_be_sent_is_told() -> None:
    end = Transferor()
    assert end.told(end.wait(40 * SECOND)) == [("answered", 408)]
    assert end.end.counts()["referrals"] == 0
    streams = Streams()
    here = streams.invite()
    (invited,) = streams.take("b")
    assert isinstance(invited, Invited)
    streams.do("b", lambda now, out: streams.ends["b"].accept(now, invited.leg, out))
    streams.do("a", lambda now, out: streams.ends["a"].ack(now, here, out))
    streams.cut()
    streams.refuse = True
    streams.take("a")
    referral = streams.do("a", lambda now, out: streams.ends["a"].refer(now, here, out, refer_to=CAROL))
    assert [record for record in streams.take("a") if isinstance(record, ReferAnswered)] == [
        ReferAnswered(referral, here, 503, None)  # type: ignore[arg-type]
    ]


def test_a_transfer_of_which_nothing_is_heard_ends_by_itself() -> None:
    end = Transferor()
    end.hear(response_to(end.refer, 202))
    assert end.told(end.wait(31 * SECOND)) == []
    assert end.told(end.wait(SECOND)) == [("timeout", 0)]
    end = Transferor()
    end.hear(response_to(end.refer, 202))
    end.notify("active", "")
    assert end.told(end.wait(599 * SECOND)) == []
    assert end.told(end.wait(SECOND)) == [("timeout", 0)]
    # Those that end soon are not asked for again.
    end = Transferor()
    end.hear(response_to(end.refer, 202))
    end.notify("active;expires=20")
    out = end.wait(20 * SECOND)
    assert (requests(out), end.told(out)) == ([], [("timeout", 180)])


def test_reports_are_wanted_for_longer_before_they_end() -> None:
    end = Transferor()
    end.hear(response_to(end.refer, 202))
    end.notify("active;expires=60")
    (renewal,) = sent(end.wait(30 * SECOND))
    assert isinstance(renewal, Request)
    assert (renewal.method, renewal.get("Event"), renewal.get("Expires")) == (
        "SUBSCRIBE",
        f"refer;id={end.number}",
        "600",
    )
    assert end.hear(response_to(renewal.to_bytes(), 200, more="Expires: 100\r\n")) == []
    (again,) = sent(end.wait(50 * SECOND))
    assert isinstance(again, Request)
    assert again.cseq[0] == renewal.cseq[0] + 1
    assert end.told(end.hear(response_to(again.to_bytes(), 200))) == []
    assert end.told(end.wait(50 * SECOND)) == [("timeout", 180)]
    # The answer to a renewal of what is over changes nothing.
    assert end.hear(response_to(again.to_bytes(), 200, more="Expires: 100\r\n")) == []


@pytest.mark.parametrize("status", [481, 0])
def test_a_renewal_of_reports_that_is_refused_or_lost_leaves_what_is_left(status: int) -> None:
    end = Transferor()
    end.hear(response_to(end.refer, 202))
    end.notify("active;expires=70")
    (renewal,) = sent(end.wait(35 * SECOND))
    if status:
        assert end.hear(response_to(renewal.to_bytes(), status)) == []
    assert end.told(end.wait(34 * SECOND)) == []
    assert end.told(end.wait(SECOND)) == [("timeout", 180)]


def test_a_call_may_ring_for_longer_than_its_reports_were_wanted_at_first() -> None:
    talk = Talk()
    here = talk.refer()
    there = talk.referred().referral
    talk.accept(there)
    talk.report(there, 180)
    talk.run(1_000 * SECOND)
    talk.report(there, 200)
    assert talk.heard()[-1] == ReferEnded(here, talk.here, 200, "terminated")
    assert len(talk.requests("SUBSCRIBE")) == 3


def test_a_silence_that_was_not_granted_is_no_silence_and_one_not_asked_for_is_one() -> None:
    end = Transferor(silent=True)
    assert end.told(end.hear(response_to(end.refer, 202))) == [("answered", 202)]
    assert end.told(end.notify()[1]) == [(180, "Ringing")]
    end = Transferor()
    answer = response_to(end.refer, 200, more="Refer-Sub: FALSE;x=y\r\n")
    assert end.told(end.hear(answer)) == [("answered", 200), ("silent", 0)]


@pytest.mark.parametrize(
    ("body", "told"), [("SIP/2.0 180 Ringing\r\n", [(180, "Ringing")]), ("SIP/2.0 700 No\r\n", []), ("", [])]
)
def test_a_report_is_read_for_its_status_and_answered_whatever_it_holds(body: str, told: list[tuple[int, str]]) -> None:
    end = Transferor()
    end.hear(response_to(end.refer, 202))
    status, said = end.notify(body=body)
    assert (status, end.told(said)) == (200, told)
    assert end.told(end.notify("terminated", "")[1]) == [("terminated", told[0][0] if told else 0)]


def test_reports_that_do_not_fit_are_refused() -> None:
    end = Transferor()
    end.hear(response_to(end.refer, 202))
    assert end.notify(event="refer;id=99")[0] == 481
    assert end.notify(state=";")[0] == 400
    assert end.notify(event="REFER")[0] == 200
    assert end.notify("terminated")[0] == 200
    assert end.notify("terminated")[0] == 481


def test_two_transfers_in_a_call_are_told_apart_by_their_numbers() -> None:
    end = Transferor()
    end.hear(response_to(end.refer, 202))
    out = end.do(lambda now, out: end.end.refer(now, end.leg, out, refer_to=CAROL))
    second = end.result
    assert isinstance(out[0], Transmit)
    end.hear(response_to(out[0].data, 202))
    number = as_request(out[0].data).cseq[0]
    assert end.notify(event=f"refer;id={number}")[1] == [ReferProgress(second, end.leg, 180, "Ringing")]  # type: ignore[arg-type]
    # Without a number it is the first one's.
    assert end.notify(event="refer")[1] == [ReferProgress(end.referral, end.leg, 180, "Ringing")]
    assert end.told(end.notify("terminated", event="refer")[1])[-1] == ("terminated", 180)
    assert end.end.counts()["referrals"] == 1


def test_the_end_of_the_call_ends_its_transfers() -> None:
    end = Transferor()
    out = end.do(lambda now, out: end.end.bye(now, end.leg, out))
    assert end.told(out) == [("leg", 0)]
    assert isinstance(out[-1], DialogEnded)
    assert end.hear(response_to(end.refer, 202)) == []
    assert end.notify()[0] == 481
    end = Transferor()
    out = end.do(lambda now, out: end.end.forget(now, end.leg, out))
    assert out == []
    assert end.end.idle()


class Transferee(Alone):
    """Our side gets the REFER; the test is A. `referral` is its handle."""

    def __init__(self, more: str = "") -> None:
        super().__init__()
        self.answer = self.answered()
        out = self.hear(refer_bytes(self, self.answer, f"Refer-To: <{CAROL}>\r\n{more}", 5))
        (referred,) = [record for record in out if isinstance(record, Referred)]
        self.referral = referred.referral

    def accept(self) -> bytes:
        """Accept; the first report."""
        out = self.do(lambda now, out: self.end.accept_referral(now, self.referral, out))
        assert isinstance(out[1], Transmit)
        return out[1].data

    def report(self, status: int) -> list[Request]:
        out = self.do(lambda now, out: self.end.report_referral(now, self.referral, status, out))
        return [message for message in sent(out) if isinstance(message, Request)]


def test_reports_go_in_the_calls_dialog_with_its_numbers() -> None:
    end = Transferee()
    first = as_request(end.accept())
    assert (first.method, first.uri, first.get("Event")) == ("NOTIFY", "sip:alice@192.0.2.1:5070", "refer;id=5")
    out = end.do(lambda now, out: end.end.send(now, end.leg, "INFO", out))
    info = sent(out)[0]
    (second,) = end.report(180)
    assert [message.cseq[0] - first.cseq[0] for message in (info, second)] == [1, 2]
    changes = [record for record in end.last if isinstance(record, DialogChanged)]
    assert changes[-1].dialog.local_cseq == second.cseq[0]


def test_a_lost_report_is_made_up_for_by_the_next_and_an_unwanted_one_ends_them() -> None:
    end = Transferee()
    end.accept()
    end.wait(40 * SECOND)
    (second,) = end.report(180)
    end.hear(response_to(second.to_bytes(), 500))
    (third,) = end.report(183)
    end.hear(response_to(third.to_bytes(), 481))
    assert end.report(200) == []
    assert end.end.counts()["referrals"] == 0
    end.hear(response_to(third.to_bytes(), 481))


def test_the_last_report_goes_again_when_another_request_overtook_it() -> None:
    end = Transferee()
    end.accept()
    (last,) = end.report(200)
    assert end.report(486) == []
    for number in range(1, 5):
        (again,) = sent(end.hear(response_to(last.to_bytes(), 500)))
        assert isinstance(again, Request)
        assert again.cseq[0] == last.cseq[0] + 1
        assert (again.body, again.get("Subscription-State")) == (last.body, "terminated;reason=noresource")
        assert end.end.counts()["referrals"] == 1, number
        last = again
    assert end.hear(response_to(last.to_bytes(), 500)) == []
    assert end.end.counts()["referrals"] == 0


@pytest.mark.parametrize("status", [200, 481, 603, 0])
def test_the_last_report_is_kept_until_it_is_answered(status: int) -> None:
    end = Transferee()
    first = end.accept()
    (last,) = end.report(603)
    end.hear(response_to(first, 200))
    assert responses(renewal(end, "Expires: 30\r\n", 12)) == [481]
    assert end.end.counts()["referrals"] == 1
    if status:
        end.hear(response_to(last.to_bytes(), status))
    else:
        end.wait(33 * SECOND)
    assert end.end.counts()["referrals"] == 0


def test_the_end_of_the_call_ends_a_last_report_too() -> None:
    end = Transferee()
    end.accept()
    end.report(200)
    end.do(lambda now, out: end.end.bye(now, end.leg, out))
    assert end.end.counts()["referrals"] == 0


def test_a_refer_that_the_program_never_answers_is_forgotten() -> None:
    end = Transferee()
    end.wait(40 * SECOND)
    assert end.end.counts()["referrals"] == 0
    with pytest.raises(LocalError):
        end.accept()


def test_a_call_that_rings_too_long_is_reported_as_it_stands_and_no_further() -> None:
    end = Transferee()
    end.hear(response_to(end.accept(), 200))
    (ringing,) = end.report(180)
    end.hear(response_to(ringing.to_bytes(), 200))
    last = sent(end.wait(600 * SECOND))[0]
    assert last.get("Subscription-State") == "terminated;reason=timeout"
    assert last.body == b"SIP/2.0 180 Ringing\r\n"
    assert end.report(200) == []


def renewal(end: Transferee, expires: str, cseq: int, event: str = "refer;id=5") -> list[Output]:
    return end.hear(refer_bytes(end, end.answer, f"Event: {event}\r\n{expires}", cseq, "SUBSCRIBE"))


def test_reports_can_be_wanted_for_longer_or_no_more() -> None:
    end = Transferee()
    assert responses(renewal(end, "", 6)) == [500]
    end.accept()
    end.report(180)
    answer, report = sent(renewal(end, "Expires: 30\r\n", 7))
    assert (answer.get("Expires"), report.body) == ("30", b"SIP/2.0 180 Ringing\r\n")
    assert report.get("Subscription-State") == "active;expires=30"
    assert sent(renewal(end, "", 8))[0].get("Expires") == "600"
    assert sent(renewal(end, "Expires: 9999\r\n", 9))[0].get("Expires") == "600"
    assert responses(renewal(end, "", 10, "refer;id=6")) == [481]
    answer, report = sent(renewal(end, "Expires: 0\r\n", 11))
    assert (answer.get("Expires"), report.get("Subscription-State")) == ("0", "terminated;reason=timeout")
    assert end.report(200) == []
    assert responses(renewal(end, "Expires: 30\r\n", 12)) == [481]


def test_a_peers_bye_answers_the_refer_that_nobody_answered_yet() -> None:
    end = Transferee()
    out = end.hear(refer_bytes(end, end.answer, "", 6, "BYE"))
    assert sorted(responses(out)) == [200, 487]
    assert end.end.counts()["referrals"] == 0
    with pytest.raises(LocalError):
        end.accept()


def test_what_is_asked_in_vain_is_the_callers_fault_and_changes_nothing() -> None:
    end = Transferee()
    for act in (
        lambda: end.end.report_referral(end.now, end.referral, 180, []),
        lambda: end.end.reject_referral(end.now, end.referral, 200, []),
        lambda: end.end.reject_referral(end.now, end.referral, 600, [], reason="a\r\nb"),
        lambda: end.end.reject_referral(end.now, 999, 600, []),
        lambda: end.end.refer(end.now, 999, [], refer_to=CAROL),
        lambda: end.end.refer(end.now, end.leg, [], refer_to="<sip:c@h>\r\nX: 1"),
        lambda: end.end.replaces_of(999),
    ):
        with pytest.raises(LocalError):
            act()
    end.accept()
    for act in (
        lambda: end.end.report_referral(end.now, end.referral, 99, []),
        lambda: end.end.report_referral(end.now, end.referral, 700, []),
        lambda: end.end.report_referral(end.now, end.referral, 180, [], reason="a\nb"),
        lambda: end.end.accept_referral(end.now, end.referral, []),
    ):
        with pytest.raises(LocalError):
            act()
    assert len(end.report(183)) == 1


def test_transfers_are_bounded_for_each_call_and_for_all() -> None:
    for limits in (Limits(leg_referrals=1), Limits(referrals=1)):
        alone = Alone(endpoint(B, b"seed-b", 2, limits))
        answer = alone.answered()
        assert responses(alone.hear(refer_bytes(alone, answer, "Refer-To: <sip:c@h>\r\n", 2))) == []
        assert responses(alone.hear(refer_bytes(alone, answer, "Refer-To: <sip:c@h>\r\n", 3))) == [503]
        with pytest.raises(LocalError):
            alone.end.refer(alone.now, alone.leg, [], refer_to=CAROL)


@pytest.mark.parametrize("state", list(ReferralState)[:-1])
@pytest.mark.parametrize("event", list(ReferralInput)[:5])
def test_what_a_program_can_ask_is_what_the_table_says(state: ReferralState, event: ReferralInput) -> None:
    end = Transferee("Refer-Sub: false\r\n" if event is ReferralInput.ACCEPT_SILENT else "")
    end.end._referrals[end.referral].state = state
    acts = {
        ReferralInput.ACCEPT: lambda now, out: end.end.accept_referral(now, end.referral, out),
        ReferralInput.ACCEPT_SILENT: lambda now, out: end.end.accept_referral(now, end.referral, out),
        ReferralInput.REJECT: lambda now, out: end.end.reject_referral(now, end.referral, 603, out),
        ReferralInput.REPORT: lambda now, out: end.end.report_referral(now, end.referral, 180, out),
        ReferralInput.END: lambda now, out: end.end.report_referral(now, end.referral, 200, out),
    }
    wanted = REFERRAL_TRANSITIONS.get((state, event))
    if wanted is None and state is ReferralState.REPORTED and event in (ReferralInput.REPORT, ReferralInput.END):
        # For the program it is gone.
        assert end.do(acts[event]) == []
    elif wanted is None:
        with pytest.raises(LocalError):
            end.do(acts[event])
        assert end.last == []
    else:
        end.do(acts[event])
        left = end.end._referrals.get(end.referral)
        assert (ReferralState.GONE if left is None else left.state) is wanted


def test_rows_lead_from_every_state_to_the_end() -> None:
    assert {state for state, _ in REFERRAL_TRANSITIONS} == set(ReferralState) - {ReferralState.GONE}
    for state in list(ReferralState)[:-1]:
        assert REFERRAL_TRANSITIONS[state, ReferralInput.LEG_ENDED] is ReferralState.GONE


@pytest.mark.parametrize("lost", range(12))
def test_whatever_single_message_is_lost_a_transfer_comes_to_its_end(lost: int) -> None:
    count = [0]

    def lose(number: int, name: str, data: bytes) -> bool:
        count[0] += 1
        return count[0] == lost + 1

    talk = Talk(lose=lose)
    here = talk.refer()
    talk.run(5 * SECOND)
    (referred,) = talk.some("b", Referred)
    talk.accept(referred.referral)
    talk.run(5 * SECOND)
    talk.report(referred.referral, 180)
    talk.run(5 * SECOND)
    talk.report(referred.referral, 200)
    talk.run(5 * SECOND)
    told = talk.heard()
    assert isinstance(told[0], ReferAnswered | ReferProgress)
    assert told[-1] == ReferEnded(here, talk.here, 200, "terminated")
    assert [record.status for record in told if isinstance(record, ReferProgress)] == [100, 180, 200]
    talk.do("b", lambda now, out: talk.b.bye(now, talk.there, out))
    talk.settle()
    assert talk.a.idle()
    assert talk.b.idle()
