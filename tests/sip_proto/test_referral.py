"""REFER and its reports between two endpoints, and against messages written by hand."""

import pytest

from sip_proto import (
    Acked,
    Answered,
    Ended,
    Invited,
    LocalError,
    Output,
    ReferAnswered,
    ReferEnded,
    ReferProgress,
    Referred,
    Request,
    parse,
)
from tests.sip_proto.pair import Lose, Pair

SECOND = 1_000_000
CAROL = "sip:carol@192.0.2.9"


class Talk(Pair):
    """A call of a to b that is answered and acknowledged; `here` and `there` are its legs. a transfers b."""

    def __init__(self, lose: Lose | None = None, **more: object) -> None:
        super().__init__(None, **more)  # type: ignore[arg-type]
        self.here = self.invite()
        self.run()
        (invited,) = self.some("b", Invited)
        self.there = invited.leg
        self.do("b", lambda now, out: self.b.accept(now, self.there, out, body=b"v=0\r\n"))
        self.run()
        self.some("a", Answered)
        self.do("a", lambda now, out: self.a.ack(now, self.here, out))
        self.run()
        self.some("b", Acked)
        self.wire.clear()
        self.lose = lose

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
