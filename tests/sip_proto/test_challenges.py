"""Requests of every method that are challenged: one endpoint with an account against a server that wants it."""

import random
from collections.abc import Callable

import msgspec
import pytest

from sip_proto import (
    Account,
    Answered,
    Challenger,
    Credentials,
    DialogChanged,
    DialogEnded,
    Endpoint,
    EndpointSettings,
    Failed,
    Limits,
    LocalError,
    Notified,
    NotifyLost,
    OfferAnswered,
    OfferRefused,
    OfferWithdrawn,
    Outcome,
    Output,
    ReferAnswered,
    ReferProgress,
    Referred,
    Refreshed,
    RefreshRefused,
    Register,
    Registered,
    Registration,
    RegistrationOutput,
    RegistrationSettings,
    RenewalRefused,
    Responded,
    Ringing,
    Subscribed,
    SubscriptionAsked,
    SubscriptionEnded,
    Transmit,
    TransmitStream,
)
from tests.sip_proto.alone import Alone, requests, responses
from tests.sip_proto.pair import A, B
from tests.sip_proto.texts import as_request, request_bytes, response_to

SECOND = 1_000_000
ALLOW = "Contact: <sip:alice@192.0.2.1:5070>\r\nAllow: INVITE, ACK, BYE, UPDATE, REFER\r\n"
NO_UPDATE = "Contact: <sip:alice@192.0.2.1:5070>\r\nAllow: INVITE, ACK, BYE\r\n"
TIMER = "Require: timer\r\nSession-Expires: 1800;refresher=uac\r\n"
BOB = Account("r", "bob", "secret", (A[0],))
QUIET = (DialogChanged, Transmit)


class Guarded(Alone):
    """An endpoint whose peer, the test, is a server of the realm "r" that knows bob."""

    def __init__(self, *accounts: Account, session_s: int = 0, limits: Limits | None = None, **more: object) -> None:
        settings = EndpointSettings(
            {"udp": B},
            session_s=session_s,
            limits=limits or Limits(),
            accounts=accounts or (BOB,),
            events=("dialog",),
            supported=("replaces", "norefersub"),
            **more,  # type: ignore[arg-type]
        )
        super().__init__(Endpoint(settings, b"seed-b"))
        self.judge = Challenger(b"judge", "r")
        self.tag = ""
        self.referral = 0
        self.usage = 0
        self.number = 0

    def challenge(self, asked: bytes, *, stale: bool = False, proxy: bool = False, tag: str = "b1") -> list[Output]:
        """The server wants credentials."""
        name, value = self.judge.challenge(self.now, stale=stale, proxy=proxy)
        return self.hear(response_to(asked, 407 if proxy else 401, tag, more=f"{name}: {value}\r\n"))

    def judged(self, asked: bytes) -> Outcome:
        return self.judge.check(self.now, as_request(asked), {"bob": "secret"}.get).outcome

    def call(self, more: str = ALLOW) -> None:
        """A call of ours that A answered."""
        self.answered(more)
        self.tag = as_request(last(self.last)).from_.tag
        self.call_id = as_request(last(self.last)).call_id

    def inside(self, method: str, more: str = "", body: str = "") -> bytes:
        """A request of A's in the call."""
        self.number += 1
        return request_bytes(
            method,
            branch=f"z9hG4bKin{self.number}",
            from_="<sip:alice@example.org>;tag=b1",
            to=f"<sip:bob@example.org>;tag={self.tag}",
            call_id=self.call_id,
            cseq=f"{self.number} {method}",
            more=more,
            body=body,
        )

    def offer(self, body: bytes = b"v=1\r\n") -> bytes:
        return last(self.do(lambda now, out: self.end.offer(now, self.leg, out, body=body)))

    def request(self, method: str, **more: object) -> bytes:
        return last(
            self.do(
                lambda now, out: self.end.request(
                    now,
                    out,
                    method=method,
                    listener="udp",
                    destination=A,
                    uri="sip:alice@192.0.2.1",
                    from_="<sip:bob@example.org>",
                    to="<sip:alice@example.org>",
                    **more,  # type: ignore[arg-type]
                )
            )
        )

    def subscribe(self, expires_s: int = 600) -> bytes:
        data = last(
            self.do(
                lambda now, out: self.end.subscribe(
                    now,
                    out,
                    event="dialog",
                    listener="udp",
                    destination=A,
                    uri="sip:alice@192.0.2.1",
                    from_="<sip:bob@example.org>",
                    to="<sip:alice@example.org>",
                    expires_s=expires_s,
                    headers=[("Accept", "text/plain")],
                )
            )
        )
        self.usage = self.result  # type: ignore[assignment]
        self.tag, self.call_id = as_request(data).from_.tag, as_request(data).call_id
        return data

    def subscribed(self) -> None:
        """A subscription of ours that A has taken and told of."""
        self.hear(response_to(self.subscribe(), 200, more="Expires: 600\r\nContact: <sip:alice@192.0.2.1>\r\n"))
        self.hear(self.inside("NOTIFY", "Event: dialog\r\nSubscription-State: active;expires=600\r\n"))

    def served(self) -> None:
        """A subscription of A's that we have taken."""
        more = "Event: dialog\r\nExpires: 600\r\n"
        (asked,) = told(self.hear(request_bytes("SUBSCRIBE", more=more)), SubscriptionAsked)
        self.usage = asked.subscription  # type: ignore[attr-defined]
        self.do(lambda now, out: self.end.accept_subscription(now, self.usage, out))

    def notify(self, state: str = "active", body: bytes = b"state") -> bytes:
        return last(
            self.do(
                lambda now, out: self.end.notify(
                    now, self.usage, out, state=state, body=body, content_type="text/plain"
                )
            )
        )

    def send(self, method: str) -> bytes:
        return last(
            self.do(
                lambda now, out: self.end.send(
                    now, self.leg, method, out, headers=[("X-Kept", "yes")], body=b"text", content_type="text/plain"
                )
            )
        )


def last(out: list[Output]) -> bytes:
    """The last datagram of some outputs."""
    return [record.data for record in out if isinstance(record, Transmit)][-1]


def told(out: list[Output], *kinds: type) -> list[Output]:
    return [record for record in out if isinstance(record, kinds or object) and not isinstance(record, QUIET)]


# What is sent: how it comes to it, what the program is told when it is refused, and when it is taken.


def call(end: Guarded) -> bytes:
    return end.invite(body=b"v=0\r\n", headers=[("X-Kept", "yes"), ("Max-Forwards", "7")])


def re_invite(end: Guarded) -> bytes:
    end.call()
    return end.offer()


def re_invite_without_a_body(end: Guarded) -> bytes:
    end.call()
    return end.offer(b"")


def update(end: Guarded) -> bytes:
    asked = end.invite(body=b"v=0\r\n")
    more = ALLOW + "Require: 100rel\r\nRSeq: 1\r\n"
    prack = last(end.hear(response_to(asked, 183, more=more, body="v=0\r\n")))
    end.hear(response_to(prack))
    return end.offer()


def prack(end: Guarded) -> bytes:
    asked = end.invite()
    more = ALLOW + "Require: 100rel\r\nRSeq: 1\r\n"
    (ringing,) = told(end.hear(response_to(asked, 183, more=more, body="v=0\r\n")), Ringing)
    assert ringing.offer  # type: ignore[attr-defined]
    return last(end.do(lambda now, out: end.end.prack(now, end.leg, out, body=b"v=0\r\n")))


def refreshing_update(end: Guarded) -> bytes:
    end.call(ALLOW + TIMER)
    return last(end.wait(900 * SECOND))


def refreshing_invite(end: Guarded) -> bytes:
    data = end.invite(body=b"v=0\r\n")
    end.hear(response_to(data, 200, more=NO_UPDATE + TIMER, body="v=0\r\n"))
    end.do(lambda now, out: end.end.ack(now, end.leg, out))
    return last(end.wait(900 * SECOND))


def bye(end: Guarded) -> bytes:
    end.call()
    out = end.do(lambda now, out: end.end.bye(now, end.leg, out, headers=[("Reason", "SIP;cause=200")]))
    assert told(out) == [DialogEnded(end.leg)]
    return last(out)


def refer(end: Guarded) -> bytes:
    end.call()
    return last(end.do(lambda now, out: end.end.refer(now, end.leg, out, refer_to="sip:carol@192.0.2.9")))


def report(end: Guarded) -> bytes:
    end.call()
    (asked,) = told(end.hear(end.inside("REFER", "Refer-To: <sip:carol@192.0.2.9>\r\n")), Referred)
    end.referral = asked.referral  # type: ignore[attr-defined]
    return last(end.do(lambda now, out: end.end.accept_referral(now, end.referral, out)))


def renewal_of_reports(end: Guarded) -> bytes:
    end.hear(response_to(refer(end), 202))
    end.hear(end.inside("NOTIFY", "Event: refer\r\nSubscription-State: active;expires=60\r\n"))
    return last(end.wait(30 * SECOND))


def info(end: Guarded) -> bytes:
    end.call()
    return end.send("INFO")


def message_in_a_call(end: Guarded) -> bytes:
    end.call()
    return end.send("MESSAGE")


def notify_in_a_call(end: Guarded) -> bytes:
    end.call()
    return end.send("NOTIFY")


def subscribe(end: Guarded) -> bytes:
    return end.subscribe()


def resubscribe(end: Guarded) -> bytes:
    end.subscribed()
    return last(end.do(lambda now, out: end.end.resubscribe(now, end.usage, out)))


def unsubscribe(end: Guarded) -> bytes:
    end.subscribed()
    return last(end.do(lambda now, out: end.end.unsubscribe(now, end.usage, out)))


def notify(end: Guarded) -> bytes:
    end.served()
    return end.notify()


def last_notify(end: Guarded) -> bytes:
    end.served()
    return end.notify("terminated")


def options(end: Guarded) -> bytes:
    return end.request("OPTIONS")


def register(end: Guarded) -> bytes:
    return end.request("REGISTER", headers=[("Expires", "60")])


def message(end: Guarded) -> bytes:
    return end.request("MESSAGE", body=b"hello", content_type="text/plain", headers=[("Max-Forwards", "9")])


def publish(end: Guarded) -> bytes:
    return end.request("PUBLISH", route=["<sip:192.0.2.1;lr>"], call_id="mine", from_tag="t", cseq=7)


Beginning = Callable[[Guarded], bytes]
KINDS: list[tuple[Beginning, int, list[type], list[type]]] = [
    (call, 0, [Failed], [Answered]),
    (re_invite, 0, [OfferRefused], [OfferAnswered]),
    (re_invite_without_a_body, 0, [OfferRefused], [OfferAnswered]),
    (update, 0, [OfferRefused], [OfferAnswered]),
    (prack, 0, [], []),
    (refreshing_update, 1800, [RefreshRefused], []),
    (refreshing_invite, 1800, [RefreshRefused], [Refreshed]),
    (bye, 0, [], []),
    (refer, 0, [ReferAnswered], [ReferAnswered]),
    (report, 0, [], []),
    (renewal_of_reports, 0, [], []),
    (info, 0, [Responded], [Responded]),
    (message_in_a_call, 0, [Responded], [Responded]),
    (notify_in_a_call, 0, [Responded], [Responded]),
    (subscribe, 0, [SubscriptionEnded], [Subscribed]),
    (resubscribe, 0, [RenewalRefused], []),
    (unsubscribe, 0, [SubscriptionEnded], []),
    (notify, 0, [NotifyLost], []),
    (last_notify, 0, [], []),
    (options, 0, [Responded], [Responded]),
    (register, 0, [Responded], [Responded]),
    (message, 0, [Responded], [Responded]),
    (publish, 0, [Responded], [Responded]),
]
every_method = pytest.mark.parametrize(
    ("begin", "session_s", "refused", "taken"), [pytest.param(*kind, id=kind[0].__name__) for kind in KINDS]
)


def kept(data: bytes) -> tuple[str, str, list[tuple[str, str]], bytes]:
    """What of a request stays as it is when it goes again."""
    asked = as_request(data)
    rows = [
        (name, value)
        for name, value in zip(asked.names, asked.values, strict=True)
        if name not in ("Via", "CSeq", "Authorization", "Proxy-Authorization")
    ]
    return asked.method, asked.uri, rows, asked.body


@every_method
@pytest.mark.parametrize("proxy", [False, True])
def test_a_challenged_request_goes_again_with_credentials_and_nobody_is_told(
    begin: Beginning, session_s: int, refused: list[type], taken: list[type], proxy: bool
) -> None:
    end = Guarded(session_s=session_s)
    asked = begin(end)
    handle = end.result
    out = end.challenge(asked, proxy=proxy)
    assert told(out) == []
    (again,) = [data for data in datagrams(out) if not data.startswith(b"ACK")]
    assert kept(again) == kept(asked)
    first, second = as_request(asked), as_request(again)
    assert second.cseq == (first.cseq[0] + 1, first.method)
    assert second.via.branch != first.via.branch
    assert second.get("Proxy-Authorization" if proxy else "Authorization") is not None
    assert end.judged(again) is Outcome.OK
    # A copy of the challenge is nothing new.
    assert told(end.challenge(asked, proxy=proxy)) == []
    assert requests(end.last) in ([], ["ACK"])
    body = "v=2\r\n" if first.body or taken == [OfferAnswered] else ""
    out = end.hear(response_to(again, 200, more=ALLOW, body=body))
    assert [type(record) for record in told(out) if not isinstance(record, DialogEnded)] == taken
    for record in told(out, Responded):
        assert record.handle == handle  # type: ignore[attr-defined]


@every_method
def test_a_second_challenge_is_a_refusal_and_told_as_such(
    begin: Beginning, session_s: int, refused: list[type], taken: list[type]
) -> None:
    end = Guarded(session_s=session_s)
    again = last(end.challenge(begin(end)))
    out = end.challenge(again)
    assert [type(record) for record in told(out) if not isinstance(record, DialogEnded)] == refused
    assert requests(out) in ([], ["ACK"])
    # The next request to this server begins afresh.
    assert as_request(end.request("OPTIONS")).get("Authorization") is None


@every_method
def test_a_nonce_that_was_too_old_is_no_refusal(
    begin: Beginning, session_s: int, refused: list[type], taken: list[type]
) -> None:
    end = Guarded(session_s=session_s)
    asked = begin(end)
    again = last(end.challenge(asked))
    once_more = last(end.challenge(again, stale=True))
    assert kept(once_more) == kept(asked)
    assert as_request(once_more).cseq[0] == as_request(asked).cseq[0] + 2
    assert end.judged(once_more) is Outcome.OK
    assert told(end.last) == []


@every_method
def test_the_challenge_of_somebody_else_is_told(
    begin: Beginning, session_s: int, refused: list[type], taken: list[type]
) -> None:
    for account in (Account("other", "bob", "secret"), Account("r", "bob", "secret", ("192.0.2.77",))):
        end = Guarded(account, session_s=session_s)
        out = end.challenge(begin(end))
        assert [type(record) for record in told(out) if not isinstance(record, DialogEnded)] == refused
        assert requests(out) in ([], ["ACK"])


@every_method
def test_a_request_that_went_again_is_sent_again_until_it_is_answered_and_lost_as_any(
    begin: Beginning, session_s: int, refused: list[type], taken: list[type]
) -> None:
    end = Guarded(session_s=session_s)
    again = last(end.challenge(begin(end)))
    copies = [data for data in datagrams(end.wait(2 * SECOND)) if data == again]
    assert len(copies) == 2
    copies += [data for data in datagrams(end.wait(40 * SECOND)) if data == again]
    assert len(copies) == (6 if as_request(again).method == "INVITE" else 10)
    assert again not in datagrams(end.wait(40 * SECOND))


def datagrams(out: list[Output]) -> list[bytes]:
    return [record.data for record in out if isinstance(record, Transmit)]


# What a server has asked for once it gets with the next request.


def test_what_follows_in_a_call_has_the_same_nonce_with_the_next_count() -> None:
    end = Guarded()
    re_invite(end)
    again = last(end.challenge(last(end.last)))
    end.hear(response_to(again, more=ALLOW, body="v=1\r\n"))
    counted = [again, end.send("INFO"), end.send("MESSAGE")]
    assert [count_of(data) for data in counted] == ["00000001", "00000002", "00000003"]
    assert len({(as_request(data).get("Authorization") or "").split("nonce=")[1][:40] for data in counted}) == 1
    assert [end.judged(data) for data in counted] == [Outcome.OK] * 3


def count_of(data: bytes) -> str:
    return (as_request(data).get("Authorization") or "").partition("nc=")[2][:8]


def test_a_nonce_that_was_used_before_is_replaced_once_without_a_word_of_stale() -> None:
    end = Guarded()
    end.hear(response_to(last(end.challenge(options(end)))))
    asked = end.request("MESSAGE")
    assert count_of(asked) == "00000002"
    again = last(end.challenge(asked))
    assert count_of(again) == "00000001"
    assert [type(record) for record in told(end.challenge(again))] == [Responded]


def test_a_proxy_and_a_server_may_both_ask() -> None:
    end = Guarded(BOB, Account("p", "bob", "other", (A[0],)))
    proxy = Challenger(b"proxy", "p")
    asked = options(end)
    name, value = proxy.challenge(end.now, proxy=True)
    second = last(end.hear(response_to(asked, 407, more=f"{name}: {value}\r\n")))
    third = last(end.challenge(second))
    assert proxy.check(end.now, as_request(third), {"bob": "other"}.get).outcome is Outcome.OK
    assert end.judged(third) is Outcome.OK
    assert as_request(third).cseq[0] == 3
    assert told(end.hear(response_to(third)))


def test_the_ack_of_an_answer_has_the_credentials_of_its_invite() -> None:
    end = Guarded()
    again = last(end.challenge(call(end)))
    end.hear(response_to(again, 200, more=ALLOW, body="v=0\r\n"))
    ack = as_request(last(end.do(lambda now, out: end.end.ack(now, end.leg, out))))
    assert ack.get("Authorization") == as_request(again).get("Authorization")
    offer = end.offer()
    assert count_of(offer) == "00000002"
    ack = as_request(last(end.hear(response_to(offer, 200, more=ALLOW, body="v=1\r\n"))))
    assert ack.get("Authorization") == as_request(offer).get("Authorization")


def test_the_ack_of_an_answer_has_the_programs_own_credentials() -> None:
    alone = Alone()
    headers = [("PROXY-authorization", "Digest a"), ("X-Authorization", "no"), ("Authorization", "Digest b")]
    asked = alone.invite(headers=headers)
    alone.hear(response_to(asked, 200, more=ALLOW))
    ack = as_request(last(alone.do(lambda now, out: alone.end.ack(now, alone.leg, out))))
    assert (ack.get("Proxy-Authorization"), ack.get("Authorization")) == ("Digest a", "Digest b")
    assert ack.get("X-Authorization") is None


def test_the_ack_of_a_refusal_and_the_cancel_are_never_challenged() -> None:
    end = Guarded()
    again = last(end.challenge(call(end)))
    end.hear(response_to(again, 180, more=ALLOW))
    cancel = last(end.do(lambda now, out: end.end.cancel(now, end.leg, out)))
    assert as_request(cancel).method == "CANCEL"
    assert end.challenge(cancel) == []
    out = end.hear(response_to(again, 487))
    assert requests(out) == ["ACK"]
    assert as_request(last(out)).get("Authorization") is None


def test_a_program_that_gives_its_own_credentials_hears_of_the_challenge() -> None:
    end = Guarded()
    asked = end.request("OPTIONS", headers=[("Authorization", 'Digest realm="r", username="x"')])
    assert as_request(asked).get_all("Authorization") == ['Digest realm="r", username="x"']
    (said,) = told(end.challenge(asked), Responded)
    assert said.response.status == 401  # type: ignore[attr-defined]


def test_a_registration_leaves_challenges_to_the_endpoint_and_counts_on() -> None:
    end = Guarded()
    settings = RegistrationSettings("sip:192.0.2.1", "sip:bob@example.org", "sip:bob@192.0.2.2")
    phone = Registration(settings, b"seed", Credentials(b"c", []))
    numbers, counts = [], []
    said: list[RegistrationOutput] = []
    phone.register(end.now, said)
    for _ in range(3):
        (asked,) = [record for record in said if isinstance(record, Register)]
        said.clear()
        place = {"listener": "udp", "destination": A, "method": "REGISTER"} | msgspec.structs.asdict(asked)
        data = last(end.do(lambda now, out, at=place: end.end.request(now, out, **at)))  # type: ignore[misc]
        if end.judged(data) is Outcome.MISSING:
            data = last(end.challenge(data))
        numbers.append(as_request(data).cseq[0])
        counts.append(count_of(data))
        (answered,) = told(end.hear(response_to(data, 200, more="Expires: 60\r\n")), Responded)
        phone.responded(end.now, asked.cseq, answered.response, A[0], said)  # type: ignore[attr-defined]
        assert [type(record) for record in said] == [Registered]
        said.clear()
        end.wait(60 * SECOND)
        phone.handle_timeout(end.now, said)
    assert (numbers, counts) == ([2, 3, 4], ["00000001", "00000002", "00000003"])


# What is not wanted any more does not go again.


def test_a_call_that_is_taken_back_does_not_go_again() -> None:
    end = Guarded()
    asked = call(end)
    end.do(lambda now, out: end.end.cancel(now, end.leg, out))
    out = end.challenge(asked)
    assert requests(out) == ["ACK"]
    assert [(type(record), record.status) for record in told(out)] == [(Failed, 401)]  # type: ignore[attr-defined]
    assert end.end.counts()["legs"] == 0


def test_an_offer_that_is_taken_back_does_not_go_again() -> None:
    end = Guarded()
    asked = re_invite(end)
    end.hear(response_to(asked, 100, tag=""))
    assert requests(end.do(lambda now, out: end.end.withdraw_offer(now, end.leg, 1, out))) == ["CANCEL"]
    assert [type(record) for record in told(end.challenge(asked))] == [OfferRefused]
    assert requests(end.last) == ["ACK"]


def test_an_offer_that_a_1xx_has_answered_does_not_go_again() -> None:
    end = Guarded()
    asked = re_invite(end)
    more = ALLOW + "Require: 100rel\r\nRSeq: 1\r\n"
    assert [type(record) for record in told(end.hear(response_to(asked, 183, more=more, body="v=1\r\n")))] == [
        OfferAnswered
    ]
    assert told(end.challenge(asked)) == []
    assert requests(end.last) == ["ACK"]


@pytest.mark.parametrize("begin", [info, notify_in_a_call, refer, report, re_invite, refreshing_update])
@pytest.mark.parametrize("ours", [True, False])
def test_a_request_in_a_call_that_has_ended_does_not_go_again(begin: Beginning, ours: bool) -> None:
    end = Guarded(session_s=1800)
    asked = begin(end)
    if ours:
        end.do(lambda now, out: end.end.bye(now, end.leg, out))
    else:
        end.hear(end.inside("BYE"))
    out = end.challenge(asked)
    assert requests(out) in ([], ["ACK"])
    assert [type(record) for record in told(out)] == ([Responded] if begin in (info, notify_in_a_call) else [])


def test_a_bye_that_crosses_a_challenged_bye_is_the_end_of_it() -> None:
    end = Guarded()
    asked = bye(end)
    again = last(end.challenge(asked))
    assert as_request(again).get("Reason") == "SIP;cause=200"
    assert end.end.counts()["legs"] == 1
    assert responses(end.hear(end.inside("BYE"))) == [200]
    assert end.end.counts()["legs"] == 0
    assert end.challenge(again, stale=True) == []


def test_a_call_that_nobody_wants_any_more_is_ended_with_credentials() -> None:
    end = Guarded()
    asked = call(end)
    end.hear(response_to(asked, 180, more=ALLOW))
    end.do(lambda now, out: end.end.cancel(now, end.leg, out))
    out = end.hear(response_to(asked, 200, more=ALLOW))
    assert requests(out) == ["ACK", "BYE"]
    again = last(end.challenge(last(out)))
    assert (as_request(again).method, end.judged(again)) == ("BYE", Outcome.OK)


# Order is kept.


def test_an_exchange_that_goes_again_is_still_the_only_one() -> None:
    end = Guarded()
    asked = re_invite(end)
    assert datagrams(end.do(lambda now, out: end.end.offer(now, end.leg, out, body=b"v=2\r\n"))) == []
    again = last(end.challenge(asked))
    assert responses(end.hear(end.inside("UPDATE", body="v=9\r\n"))) == [491]
    out = end.hear(response_to(again, 200, more=ALLOW, body="v=1\r\n"))
    assert [(type(record), record.offer) for record in told(out)] == [(OfferAnswered, 1)]  # type: ignore[attr-defined]
    assert requests(out) == ["ACK", "INVITE"]
    assert as_request(last(out)).body == b"v=2\r\n"


def test_an_offer_that_went_again_and_meets_the_peers_goes_once_more() -> None:
    end = Guarded()
    again = last(end.challenge(re_invite(end)))
    assert requests(end.hear(response_to(again, 491))) == ["ACK"]
    out = end.wait(4 * SECOND)
    once_more = as_request(last(out))
    assert (once_more.method, once_more.body) == ("INVITE", b"v=1\r\n")
    assert count_of(last(out)) == "00000002"


def test_early_dialogs_of_a_call_that_goes_again_are_over() -> None:
    end = Guarded()
    asked = call(end)
    more = ALLOW + "Require: 100rel\r\nRSeq: 1\r\n"
    end.hear(response_to(last(end.hear(response_to(asked, 183, more=more, body="v=0\r\n")))))
    end.tag, end.call_id = as_request(asked).from_.tag, as_request(asked).call_id
    end.hear(end.inside("UPDATE", body="v=9\r\n"))
    out = end.challenge(asked, tag="b2")
    assert [type(record) for record in told(out)] == [OfferWithdrawn]
    assert responses(out) == [487]
    again = last(out)
    assert as_request(again).to.tag == ""
    end.hear(response_to(again, 200, tag="b3", more=ALLOW, body="v=0\r\n"))
    assert [type(record) for record in told(end.last)] == [Answered]


def test_a_longer_session_is_asked_for_with_credentials() -> None:
    end = Guarded(session_s=1800)
    again = last(end.challenge(call(end)))
    longer = last(end.hear(response_to(again, 422, more="Min-SE: 3600\r\n")))
    assert (count_of(longer), as_request(longer).get("Session-Expires")) == ("00000002", "3600")
    assert as_request(longer).cseq[0] == 3


def test_a_report_of_a_transfer_names_the_refer_that_was_taken() -> None:
    end = Guarded()
    again = last(end.challenge(refer(end)))
    end.hear(response_to(again, 202))
    state = "Subscription-State: active;expires=60\r\nContent-Type: message/sipfrag\r\n"
    for number, known in ((as_request(again).cseq[0], True), (as_request(again).cseq[0] - 1, False)):
        out = end.hear(end.inside("NOTIFY", f"Event: refer;id={number}\r\n{state}", body="SIP/2.0 180 Ringing"))
        assert responses(out) == [200 if known else 481]
        assert bool(told(out, ReferProgress)) is known


def test_a_report_that_another_has_followed_does_not_go_again() -> None:
    end = Guarded()
    trying = report(end)
    ringing = last(end.do(lambda now, out: end.end.report_referral(now, end.referral, 180, out)))
    assert datagrams(end.challenge(trying)) == []
    again = as_request(last(end.challenge(ringing)))
    assert again.body == b"SIP/2.0 180 Ringing\r\n"
    end.hear(response_to(again.to_bytes()))
    final = last(end.do(lambda now, out: end.end.report_referral(now, end.referral, 200, out)))
    again = as_request(last(end.challenge(final)))
    assert (again.get("Subscription-State"), again.body) == ("terminated;reason=noresource", b"SIP/2.0 200 OK\r\n")
    assert end.end.counts()["referrals"] == 1
    end.hear(response_to(again.to_bytes()))
    assert end.end.counts()["referrals"] == 0


def test_the_last_report_goes_again_when_another_request_overtook_it() -> None:
    end = Guarded()
    end.hear(response_to(report(end)))
    final = last(end.do(lambda now, out: end.end.report_referral(now, end.referral, 486, out)))
    again = last(end.challenge(final))
    once_more = as_request(last(end.hear(response_to(again, 500))))
    assert (once_more.body, count_of(once_more.to_bytes())) == (b"SIP/2.0 486 Busy Here\r\n", "00000002")


def test_a_state_that_a_newer_one_has_followed_is_told_as_lost() -> None:
    end = Guarded()
    older = notify(end)
    newer = end.notify(body=b"newer")
    out = end.challenge(older)
    assert ([type(record) for record in told(out)], datagrams(out)) == ([NotifyLost], [])
    assert as_request(last(end.challenge(newer))).body == b"newer"


def test_a_renewal_does_not_come_after_the_end_of_its_subscription() -> None:
    end = Guarded()
    renewal = resubscribe(end)
    leaving = last(end.do(lambda now, out: end.end.unsubscribe(now, end.usage, out)))
    assert end.challenge(renewal) == []
    again = as_request(last(end.challenge(leaving)))
    assert again.get("Expires") == "0"
    end.hear(response_to(again.to_bytes(), more="Expires: 0\r\n"))
    out = end.hear(end.inside("NOTIFY", "Event: dialog\r\nSubscription-State: terminated\r\n"))
    assert [type(record) for record in told(out)] == [Notified, SubscriptionEnded]


def test_a_subscription_that_went_again_has_all_its_time_and_goes_on_with_its_numbers() -> None:
    end = Guarded()
    asked = subscribe(end)
    end.wait(20 * SECOND)
    again = last(end.challenge(asked))
    assert told(end.wait(25 * SECOND)) == []
    end.hear(response_to(again, 200, more="Expires: 600\r\nContact: <sip:alice@192.0.2.1>\r\n"))
    end.hear(end.inside("NOTIFY", "Event: dialog\r\nSubscription-State: active;expires=600\r\n"))
    renewal = last(end.do(lambda now, out: end.end.resubscribe(now, end.usage, out)))
    assert (as_request(renewal).cseq[0], count_of(renewal)) == (3, "00000002")


def test_what_is_kept_of_a_call_has_the_number_of_the_request_that_went_again() -> None:
    end = Guarded()
    again = last(end.challenge(info(end)))
    (changed,) = [record for record in end.last if isinstance(record, DialogChanged)]
    assert changed.dialog.local_cseq == as_request(again).cseq[0]


# Bounds.


def test_a_server_that_finds_every_nonce_stale_is_given_up() -> None:
    end = Guarded()
    asked, count = options(end), 1
    while not told(end.challenge(asked, stale=True)):
        asked, count = last(end.last), count + 1
    assert count == 6


def test_a_nonce_that_is_stale_but_the_same_is_a_refusal() -> None:
    end = Guarded()
    more = 'WWW-Authenticate: Digest realm="r", nonce="n", stale=true\r\n'
    again = last(end.hear(response_to(options(end), 401, more=more)))
    assert [type(record) for record in told(end.hear(response_to(again, 401, more=more)))] == [Responded]


def test_without_room_for_another_transaction_the_challenge_is_told() -> None:
    end = Guarded(limits=Limits(transactions=1))
    assert [type(record) for record in told(end.challenge(options(end)))] == [Responded]


def test_an_account_for_every_realm_answers_its_hosts_alone() -> None:
    end = Guarded(Account("", "bob", "secret", (A[0],)))
    again = last(end.challenge(options(end)))
    assert end.judged(again) is Outcome.OK
    end = Guarded(Account("", "bob", "secret", ("192.0.2.77",)))
    assert [type(record) for record in told(end.challenge(options(end)))] == [Responded]


def test_accounts_that_cannot_be_are_the_callers_fault() -> None:
    for accounts in ((Account("", "bob", "secret"),), (BOB, BOB)):
        with pytest.raises(LocalError):
            Guarded(*accounts)
    with pytest.raises(LocalError):
        Guarded(algorithms=("ROT13",))


def test_what_goes_again_goes_by_the_same_stream() -> None:
    end = Endpoint(EndpointSettings({"tcp": B}, transports={"tcp": "tcp"}, accounts=(BOB,)), b"seed")
    alone = Guarded()
    alone.end = end
    opened = ("192.0.2.1", 4000)
    alone.do(lambda now, out: end.stream_opened(now, 5, "tcp", opened, out))
    alone.do(
        lambda now, out: end.request(
            now,
            out,
            method="OPTIONS",
            listener="tcp",
            destination=A,
            transport="tcp",
            flow=5,
            uri="sip:alice@192.0.2.1",
            from_="<sip:bob@example.org>",
            to="<sip:alice@example.org>",
        )
    )
    (asked,) = alone.last
    assert isinstance(asked, TransmitStream)
    name, value = alone.judge.challenge(alone.now)
    answer = response_to(asked.data, 401, more=f"{name}: {value}\r\n")
    (again,) = alone.do(lambda now, out: end.receive_stream(now, 5, answer, out))
    assert isinstance(again, TransmitStream)
    assert (again.flow, alone.judged(again.data)) == (5, Outcome.OK)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_a_peer_answers_to_subscriptions_and_states_nothing_is_left(seed: int) -> None:
    lots = random.Random(seed)
    end = Guarded()
    asked: list[bytes] = []
    ours: list[tuple[int, bytes]] = []

    def hear(out: list[Output]) -> None:
        asked.extend(data for data in datagrams(out) if not data.startswith(b"SIP/2.0"))
        del asked[:-6]

    def begin() -> None:
        if lots.random() < 0.5:
            data = end.subscribe(lots.choice([0, 60]))
            asked.append(data)
            ours.append((end.usage, data))
            return
        end.number += 1
        more = "Event: dialog\r\nExpires: 60\r\n"
        data = request_bytes("SUBSCRIBE", branch=f"z9hG4bKs{end.number}", call_id=f"s{end.number}", more=more)
        hear(end.hear(data))
        for record in told(end.last, SubscriptionAsked):
            end.usage = record.subscription  # type: ignore[attr-defined]
            hear(end.do(lambda now, out: end.end.accept_subscription(now, end.usage, out)))

    def act() -> None:
        usage = lots.randrange(1, end.usage + 1) if end.usage else 0
        deeds = (end.end.resubscribe, end.end.unsubscribe, end.end.notify, end.end.notify)
        deed = lots.choice(deeds)
        state = {"state": "terminated"} if deed == end.end.notify and lots.random() < 0.2 else {}
        try:
            hear(end.do(lambda now, out: deed(now, usage, out, **state)))
        except LocalError:
            assert end.last == []

    def answer() -> None:
        if asked:
            data = lots.choice([*asked, *asked[-1:] * 6])
            status = lots.choice([200, 200, 401, 401, 401, 407, 481, 500, 603])
            if status in (401, 407):
                hear(end.challenge(data, stale=lots.random() < 0.5, proxy=status == 407))
            else:
                hear(end.hear(response_to(data, status, more="Expires: 60\r\n")))

    def tell() -> None:
        if ours:
            _, data = lots.choice(ours)
            end.tag, end.call_id = as_request(data).from_.tag, as_request(data).call_id
            state = lots.choice(["active;expires=60", "active;expires=60", "terminated"])
            hear(end.hear(end.inside("NOTIFY", f"Event: dialog\r\nSubscription-State: {state}\r\n")))

    for _ in range(200):
        lots.choice([begin, act, act, answer, answer, answer, tell])()
        if lots.random() < 0.2:
            hear(end.wait(lots.choice([1_000, 600_000, 5 * SECOND, 40 * SECOND])))
    hear(end.wait(7_200 * SECOND))
    counts = end.end.counts()
    assert counts == dict.fromkeys(counts, 0)
