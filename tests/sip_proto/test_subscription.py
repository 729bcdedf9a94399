"""SUBSCRIBE and NOTIFY between two endpoints, and against messages written by hand."""

from collections.abc import Callable

import pytest

from sip_proto import (
    Endpoint,
    EndpointSettings,
    Failed,
    Invited,
    LocalError,
    Rejected,
    Request,
    Requested,
    Response,
    Transmit,
    TransmitStream,
    parse,
)
from sip_proto.dialog_info import CONTENT_TYPE, DialogEntry, DialogFeed, DialogPicture, Taken, parse_dialog_info
from sip_proto.message_summary import MessageCount, MessageSummary, parse_message_summary
from sip_proto.records import (
    Notified,
    NotifyLost,
    Output,
    RenewalRefused,
    Subscribed,
    SubscriptionAsked,
    SubscriptionEnded,
    SubscriptionRenewed,
)
from sip_proto.tables_usage import SUBSCRIPTION_TRANSITIONS, SubscriptionInput, SubscriptionState
from tests.sip_proto.pair import Lose, Pair
from tests.sip_proto.streams import A, B, Streams, endpoint
from tests.sip_proto.texts import request_bytes, response_to

SECOND = 1_000_000


def subscribe(pair: Streams, listener: str = "udp", **more: object) -> int:
    given = {"event": "dialog", "listener": listener, "destination": B, "uri": "sip:bob@192.0.2.2", **more}
    made = pair.do(
        "a",
        lambda now, out: pair.ends["a"].subscribe(now, out, from_="<sip:a@h>", to="<sip:b@h>", **given),  # type: ignore[arg-type]
    )
    assert isinstance(made, int)
    return made


def asked(pair: Streams) -> int:
    (record,) = pair.take("b")
    assert isinstance(record, SubscriptionAsked)
    return record.subscription


def active(pair: Streams, listener: str = "udp", **more: object) -> tuple[int, int]:
    """A subscription of a's that b serves: the handles at a and b."""
    here = subscribe(pair, listener, **more)
    there = asked(pair)
    accept(pair, there)
    notify(pair, there)
    assert [type(record) for record in pair.take("a")] == [Subscribed, Notified]
    return here, there


def accept(pair: Streams, there: int, **more: object) -> None:
    pair.do("b", lambda now, out: pair.ends["b"].accept_subscription(now, there, out, **more))  # type: ignore[arg-type]


def notify(pair: Streams, there: int, **more: object) -> None:
    pair.do("b", lambda now, out: pair.ends["b"].notify(now, there, out, **more))  # type: ignore[arg-type]


def idle(pair: Streams) -> None:
    pair.wait(40 * SECOND)
    pair.cut()
    assert pair.ends["a"].idle()
    assert pair.ends["b"].idle()


@pytest.mark.parametrize("listener", ["udp", "tcp"])
def test_a_subscription_lives_from_subscribe_to_the_last_notify(listener: str) -> None:
    pair = Streams()
    here, there = active(pair, listener, event_id="7", headers=[("Accept", "application/dialog-info+xml")])
    notify(pair, there, body=b"<x/>", content_type="application/dialog-info+xml", headers=[("X-N", "1")])
    (told,) = pair.take("a")
    assert isinstance(told, Notified)
    assert (told.subscription, told.state, told.expires_s, told.request.body) == (here, "active", 3600, b"<x/>")
    assert told.request.get("Event") == "dialog;id=7"
    pair.do("a", lambda now, out: pair.ends["a"].unsubscribe(now, here, out))
    (renewed,) = pair.take("b")
    assert isinstance(renewed, SubscriptionRenewed)
    assert renewed.expires_s == 0
    notify(pair, there)
    notify(pair, there, state="terminated", reason="timeout")
    said = pair.take("a")
    assert [type(record) for record in said] == [Notified, Notified, SubscriptionEnded]
    assert said[-1] == SubscriptionEnded(here, "timeout")
    if listener == "tcp":
        assert len(pair.connects) == 1
    idle(pair)


def test_a_subscription_is_renewed_before_it_expires() -> None:
    pair = Streams()
    _here, _there = active(pair, expires_s=1200)
    pair.wait(599 * SECOND)
    assert pair.take("b") == []
    pair.wait(2 * SECOND)
    (renewed,) = pair.take("b")
    assert isinstance(renewed, SubscriptionRenewed)
    assert renewed.expires_s == 1200
    pair.wait(5_000 * SECOND)
    assert len(pair.take("b")) == 8
    assert pair.take("a") == []


def test_the_notifier_may_grant_less_and_say_less() -> None:
    pair = Streams()
    here = subscribe(pair)
    there = asked(pair)
    accept(pair, there, expires_s=100, status=202, headers=[("X-A", "1")])
    notify(pair, there, state="pending")
    granted, told = pair.take("a")
    assert isinstance(granted, Subscribed)
    assert granted.response.get("Expires") == "100"
    assert isinstance(told, Notified)
    assert (told.state, told.expires_s) == ("pending", 100)
    pair.do("a", lambda now, out: pair.ends["a"].resubscribe(now, here, out, expires_s=500, headers=[("X-B", "1")]))
    (renewed,) = pair.take("b")
    assert isinstance(renewed, SubscriptionRenewed)
    assert (renewed.expires_s, renewed.request.get("X-B")) == (100, "1")


def test_a_single_look_ends_with_its_notify() -> None:
    pair = Streams()
    here = subscribe(pair, expires_s=0)
    there = asked(pair)
    accept(pair, there)
    notify(pair, there, state="terminated", reason="noresource", retry_after_s=9)
    assert pair.take("a")[-1] == SubscriptionEnded(here, "noresource", None, 9)
    idle(pair)


def test_a_look_that_stays_active_ends_by_itself() -> None:
    pair = Streams()
    here = subscribe(pair, expires_s=0)
    there = asked(pair)
    accept(pair, there)
    notify(pair, there)
    pair.wait(SECOND)
    assert pair.take("a")[-1] == SubscriptionEnded(here, "timeout")
    pair.wait(40 * SECOND)
    assert [type(record) for record in pair.take("b")] == [SubscriptionEnded]
    idle(pair)


def test_a_subscription_that_nobody_renews_ends_with_a_last_notify() -> None:
    pair = Streams()
    _here, there = active(pair, expires_s=60)
    pair.do("a", lambda now, out: pair.ends["a"].forget_subscription(now, _here, out))
    pair.wait(61 * SECOND)
    (ended,) = pair.take("b")
    assert ended == SubscriptionEnded(there, "timeout")
    assert b"Subscription-State: terminated;reason=timeout\r\n" in [data for name, data in pair.sent if name == "b"][-1]
    idle(pair)


def test_a_notify_that_the_subscriber_does_not_know_ends_the_subscription() -> None:
    pair = Streams()
    here, there = active(pair)
    pair.do("a", lambda now, out: pair.ends["a"].forget_subscription(now, here, out))
    notify(pair, there)
    (ended,) = pair.take("b")
    assert isinstance(ended, SubscriptionEnded)
    assert (ended.why, ended.response is not None) == ("gone", True)
    idle(pair)


def test_a_renewal_that_the_notifier_does_not_know_ends_the_subscription() -> None:
    pair = Streams()
    here, there = active(pair)
    pair.do("b", lambda now, out: pair.ends["b"].forget_subscription(now, there, out))
    pair.do("a", lambda now, out: pair.ends["a"].resubscribe(now, here, out))
    (ended,) = pair.take("a")
    assert isinstance(ended, SubscriptionEnded)
    assert ended.why == "gone"
    idle(pair)


def test_a_refused_subscription_says_how_and_can_be_asked_again() -> None:
    pair = Streams()
    here = subscribe(pair, call_id="c", from_tag="t")
    with pytest.raises(LocalError):
        subscribe(pair, call_id="c", from_tag="t")
    there = asked(pair)
    pair.do(
        "b",
        lambda now, out: pair.ends["b"].reject_subscription(
            now, there, 401, out, reason="Who", headers=[("WWW-Authenticate", "Digest nonce=x")]
        ),
    )
    (ended,) = pair.take("a")
    assert isinstance(ended, SubscriptionEnded)
    assert (ended.subscription, ended.why) == (here, "refused")
    subscribe(
        pair, call_id="c", from_tag="t", cseq=2, headers=[("Authorization", "Digest x"), ("Contact", "<sip:q@h>")]
    )
    (again,) = pair.take("b")
    assert isinstance(again, SubscriptionAsked)
    assert (again.request.cseq, again.request.get("Contact")) == ((2, "SUBSCRIBE"), "<sip:q@h>")


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ("", 489),
        ("Event: \r\n", 489),
        ("Event: winfo\r\n", 489),
        ("Event: dialog\r\n", 400),
    ],
)
def test_a_subscribe_that_cannot_be_served_is_refused(more: str, status: int) -> None:
    end = endpoint("b")
    out: list[Output] = []
    end.receive_datagram(0, "udp", A, request_bytes("SUBSCRIBE", more=more, contact=""), out)
    assert isinstance(out[0], Transmit)
    answer = parse(out[0].data)
    assert isinstance(answer, Response)
    assert answer.status == status
    assert answer.get("Allow-Events") == ("dialog, presence" if status == 489 else None)
    assert end.idle()


def test_a_subscribe_that_came_by_two_ways_is_refused_once_and_repeated_ones_are_absorbed() -> None:
    end = endpoint("b")
    for branch, kinds in (("1", [SubscriptionAsked]), ("1", []), ("2", [Transmit, Rejected])):
        out: list[Output] = []
        data = request_bytes("SUBSCRIBE", more="Event: dialog\r\n", branch=f"z9hG4bK{branch}")
        end.receive_datagram(0, "udp", A, data, out)
        assert [type(record) for record in out] == kinds


def test_tables_that_are_full_refuse() -> None:
    end = endpoint("b", subscriptions=1)
    for number, kind in ((1, SubscriptionAsked), (2, Transmit)):
        out: list[Output] = []
        data = request_bytes("SUBSCRIBE", more="Event: dialog\r\n", branch=f"z9hG4bK{number}", call_id=str(number))
        end.receive_datagram(0, "udp", A, data, out)
        assert isinstance(out[0], kind)
    with pytest.raises(LocalError):
        end.subscribe(
            0, [], event="dialog", listener="udp", destination=A, uri="sip:a@h", from_="<sip:b@h>", to="<sip:a@h>"
        )


def test_a_subscribe_that_nobody_answers_is_forgotten() -> None:
    end = endpoint("b")
    out: list[Output] = []
    end.receive_datagram(0, "udp", A, request_bytes("SUBSCRIBE", more="Event: dialog\r\n"), out)
    assert isinstance(out[0], SubscriptionAsked)
    out.clear()
    end.handle_timeout(32 * SECOND, out)
    assert [type(record) for record in out] == [SubscriptionEnded]
    assert end.idle()


class Lone:
    """The subscriber at A alone; the test is B."""

    def __init__(self, **more: object) -> None:
        self.end = endpoint("a", **more)  # type: ignore[arg-type]
        out: list[Output] = []
        self.handle = self.end.subscribe(
            0, out, event="dialog", listener="udp", destination=B, uri="sip:b@h", from_="<sip:a@h>", to="<sip:b@h>"
        )
        assert isinstance(out[0], Transmit)
        self.asked = out[0].data
        message = parse(self.asked)
        assert isinstance(message, Request)
        self.call_id = message.call_id
        self.tag = message.from_.tag

    def hear(self, data: bytes, now: int = 0) -> list[Output]:
        out: list[Output] = []
        self.end.receive_datagram(now, "udp", B, data, out)
        self.end.check()
        return out

    def notify(
        self, state: str = "active;expires=600", cseq: int = 1, tag: str = "b1", event: str = "dialog", now: int = 0
    ) -> tuple[int, list[type]]:
        """The status of a NOTIFY's answer and what was said."""
        data = request_bytes(
            "NOTIFY",
            to=f"<sip:a@h>;tag={self.tag}",
            from_=f"<sip:b@h>;tag={tag}",
            call_id=self.call_id,
            cseq=f"{cseq} NOTIFY",
            branch=f"z9hG4bK{tag}{cseq}",
            more=f"Event: {event}\r\nSubscription-State: {state}\r\nRecord-Route: <sip:p1;lr>, <sip:p2;lr>\r\n",
        )
        out = self.hear(data, now)
        assert isinstance(out[0], Transmit)
        answer = parse(out[0].data)
        assert isinstance(answer, Response)
        return answer.status, [type(record) for record in out[1:]]

    def fire(self, now: int) -> list[Output]:
        out: list[Output] = []
        self.end.handle_timeout(now, out)
        self.end.check()
        return out


def test_the_notify_may_overtake_the_2xx_and_makes_the_dialog() -> None:
    lone = Lone()
    assert lone.notify() == (200, [Notified])
    (granted,) = lone.hear(response_to(lone.asked, 200, tag="b1", more="Expires: 600\r\n")) or [None]
    assert granted is None
    out: list[Output] = []
    lone.end.resubscribe(1, lone.handle, out)
    assert isinstance(out[0], Transmit)
    message = parse(out[0].data)
    assert isinstance(message, Request)
    assert message.get_all("Route") == ["<sip:p1;lr>", "<sip:p2;lr>"]
    assert (message.uri, message.to.tag, message.get("Event")) == ("sip:alice@192.0.2.1", "b1", "dialog")
    # The renewal is granted for less: it is renewed again at half of that.
    lone.hear(response_to(out[0].data, 200, more="Expires: 100\r\n"), 2)
    assert lone.fire(50 * SECOND + 1) == []
    assert len(lone.fire(50 * SECOND + 2)) == 1
    lone.hear(response_to(out[0].data, 200), 50 * SECOND)


def test_notifies_that_do_not_fit_are_refused() -> None:
    lone = Lone()
    assert lone.notify(tag="b1", cseq=5)[0] == 200
    assert lone.notify(tag="b2", cseq=6)[0] == 481
    assert lone.notify(cseq=4)[0] == 500
    assert lone.notify(cseq=7, event="presence")[0] == 481
    assert lone.notify(cseq=8, state=";")[0] == 400
    assert lone.notify(cseq=9, state="active") == (200, [Notified])
    assert lone.notify(cseq=10, state="terminated") == (200, [Notified, SubscriptionEnded])
    assert lone.notify(cseq=11)[0] == 481


def test_no_notify_and_no_answer_end_a_subscription() -> None:
    lone = Lone()
    lone.hear(response_to(lone.asked, 200))
    (ended,) = lone.fire(32 * SECOND)
    assert ended == SubscriptionEnded(lone.handle, "timeout")
    lone = Lone()
    assert [record for record in lone.fire(32 * SECOND) if not isinstance(record, Transmit)] == [
        SubscriptionEnded(lone.handle, "timeout")
    ]
    assert lone.end.idle()


def test_a_renewal_refused_or_lost_leaves_the_rest_of_its_time() -> None:
    lone = Lone()
    lone.hear(response_to(lone.asked, 200))
    lone.notify(state="active;expires=100")
    (renewal,) = lone.fire(50 * SECOND)
    assert isinstance(renewal, Transmit)
    (refused,) = lone.hear(response_to(renewal.data, 403), 51 * SECOND)
    assert isinstance(refused, RenewalRefused)
    assert lone.fire(100 * SECOND)[-1] == SubscriptionEnded(lone.handle, "timeout")
    lone = Lone()
    lone.hear(response_to(lone.asked, 200))
    lone.notify(state="active;expires=100")
    lone.fire(50 * SECOND)
    assert not any(isinstance(record, SubscriptionEnded) for record in lone.fire(99 * SECOND))
    assert SubscriptionEnded(lone.handle, "timeout") in lone.fire(100 * SECOND)


def test_leaving_ends_with_whatever_comes() -> None:
    for status in (200, 500, 0):
        lone = Lone()
        lone.notify(cseq=1)
        out: list[Output] = []
        lone.end.unsubscribe(0, lone.handle, out, headers=[("X-C", "1")])
        assert isinstance(out[0], Transmit)
        assert b"Expires: 0\r\n" in out[0].data
        if status:
            said = lone.hear(response_to(out[0].data, status))
            assert [type(record) for record in said] == ([] if status == 200 else [SubscriptionEnded])
        said = [record for record in lone.fire(40 * SECOND) if not isinstance(record, Transmit)]
        assert said == ([] if status == 500 else [SubscriptionEnded(lone.handle, "timeout")])


def test_a_stream_that_does_not_open_ends_a_subscription() -> None:
    pair = Streams()
    pair.refuse = True
    here = subscribe(pair, "tcp")
    assert pair.take("a") == [SubscriptionEnded(here, "transport")]


def test_a_notify_that_is_never_answered_is_told_and_the_subscription_lives_on() -> None:
    end = endpoint("b")
    out: list[Output] = []
    end.receive_datagram(
        0, "udp", A, request_bytes("SUBSCRIBE", more="Event: dialog\r\nRecord-Route: <sip:p;lr>\r\n"), out
    )
    (asking,) = out
    assert isinstance(asking, SubscriptionAsked)
    # A renewal before the answer is put off.
    again = request_bytes(
        "SUBSCRIBE", more="Event: dialog\r\n", cseq="2 SUBSCRIBE", branch="z9hG4bK2", to="<sip:b@h>;tag=x"
    )
    end.receive_datagram(0, "udp", A, again, out)
    out.clear()
    end.accept_subscription(0, asking.subscription, out)
    assert isinstance(out[0], Transmit)
    assert b"Record-Route: <sip:p;lr>\r\n" in out[0].data
    end.notify(0, asking.subscription, out)
    end.notify(0, asking.subscription, out)
    out.clear()
    end.handle_timeout(32 * SECOND, out)
    lost = NotifyLost(asking.subscription, 408, None)
    assert [record for record in out if not isinstance(record, Transmit)] == [lost, lost]
    end.notify(40 * SECOND, asking.subscription, out)
    end.forget_subscription(40 * SECOND, asking.subscription, out)
    assert end.idle()


def test_a_renewal_before_the_answer_is_put_off() -> None:
    end = endpoint("b")
    out: list[Output] = []
    end.receive_datagram(0, "udp", A, request_bytes("SUBSCRIBE", more="Event: dialog\r\n"), out)
    (asking,) = out
    assert isinstance(asking, SubscriptionAsked)
    tag = end._usages[asking.subscription].dialog.local_tag
    again = request_bytes(
        "SUBSCRIBE", more="Event: dialog\r\n", cseq="2 SUBSCRIBE", branch="z9hG4bK2", to=f"<sip:b@h>;tag={tag}"
    )
    out.clear()
    end.receive_datagram(0, "udp", A, again, out)
    assert isinstance(out[0], Transmit)
    assert out[0].data.startswith(b"SIP/2.0 500 ")


def test_a_full_table_of_transactions_puts_a_notify_off() -> None:
    lone = Lone(transactions=1)
    assert lone.notify()[0] == 503


def test_calls_and_other_requests_go_on_beside_subscriptions() -> None:
    pair = Streams()
    active(pair)
    leg = pair.invite("udp", "udp")
    (invited,) = pair.take("b")
    assert isinstance(invited, Invited)
    pair.do("b", lambda now, out: pair.ends["b"].reject(now, invited.leg, 486, out))
    (failed,) = pair.take("a")
    assert isinstance(failed, Failed)
    assert failed.leg == leg
    out: list[Output] = []
    pair.ends["b"].receive_datagram(0, "udp", A, request_bytes("NOTIFY", more="Event: message-summary\r\n"), out)
    assert isinstance(out[0], Requested)


@pytest.mark.parametrize("state", list(SubscriptionState)[:-1])
@pytest.mark.parametrize("event", list(SubscriptionInput)[:6])
def test_what_a_program_cannot_ask_is_a_local_error(state: SubscriptionState, event: SubscriptionInput) -> None:
    pair = Streams()
    here, there = active(pair)
    serving = state in (SubscriptionState.ASKED, SubscriptionState.SERVING)
    end = pair.ends["b" if serving else "a"]
    handle = there if serving else here
    if state is SubscriptionState.ASKED:
        subscribe(pair)
        handle = asked(pair)
    end._usages[handle].state = state
    out: list[Output] = []
    acts = {
        SubscriptionInput.REFRESH: lambda: end.resubscribe(pair.now, handle, out),
        SubscriptionInput.LEAVE: lambda: end.unsubscribe(pair.now, handle, out),
        SubscriptionInput.ACCEPT: lambda: end.accept_subscription(pair.now, handle, out),
        SubscriptionInput.REJECT: lambda: end.reject_subscription(pair.now, handle, 403, out),
        SubscriptionInput.NOTIFY: lambda: end.notify(pair.now, handle, out),
        SubscriptionInput.END: lambda: end.notify(pair.now, handle, out, state="terminated"),
    }
    wanted = SUBSCRIPTION_TRANSITIONS.get((state, event))
    if wanted is None:
        with pytest.raises(LocalError):
            acts[event]()
        assert out == []
    else:
        acts[event]()
        assert isinstance(out[0], Transmit | TransmitStream)
        left = end._usages.get(handle)
        assert (SubscriptionState.GONE if left is None else left.state) is wanted


def test_rows_lead_from_every_state_to_the_end() -> None:
    assert {state for state, _ in SUBSCRIPTION_TRANSITIONS} == set(SubscriptionState) - {SubscriptionState.GONE}
    for state in list(SubscriptionState)[:-1]:
        assert SUBSCRIPTION_TRANSITIONS[state, SubscriptionInput.EXPIRED] is SubscriptionState.GONE


def test_a_status_that_does_not_fit_is_the_callers_fault() -> None:
    pair = Streams()
    subscribe(pair)
    there = asked(pair)
    end = pair.ends["b"]
    for act in (
        lambda: end.accept_subscription(0, there, [], status=486),
        lambda: end.reject_subscription(0, there, 200, []),
        lambda: end.notify(0, 999, []),
    ):
        with pytest.raises(LocalError):
            act()


def test_an_answer_after_the_last_notify_is_absorbed() -> None:
    lone = Lone()
    lone.notify(cseq=1)
    out: list[Output] = []
    lone.end.unsubscribe(0, lone.handle, out)
    assert isinstance(out[0], Transmit)
    assert lone.notify("terminated", cseq=2)[1] == [Notified, SubscriptionEnded]
    assert lone.hear(response_to(out[0].data, 200)) == []


@pytest.mark.parametrize("status", [408, 500, 503])
def test_a_notify_refused_for_the_moment_is_told_and_changes_nothing(status: int) -> None:
    end = endpoint("b")
    out: list[Output] = []
    end.receive_datagram(0, "udp", A, request_bytes("SUBSCRIBE", more="Event: dialog\r\n"), out)
    (asking,) = out
    assert isinstance(asking, SubscriptionAsked)
    end.accept_subscription(0, asking.subscription, out)
    out.clear()
    end.notify(0, asking.subscription, out)
    assert isinstance(out[0], Transmit)
    data = response_to(out[0].data, status)
    out.clear()
    end.receive_datagram(0, "udp", A, data, out)
    (lost,) = out
    assert isinstance(lost, NotifyLost)
    assert (lost.subscription, lost.status, lost.response is None) == (asking.subscription, status, False)
    end.notify(0, asking.subscription, out)


def test_requests_in_a_call_are_not_taken_for_subscriptions() -> None:
    end = endpoint("b")
    out: list[Output] = []
    end.receive_datagram(0, "udp", A, request_bytes("INFO", to="<sip:b@h>;tag=x"), out)
    assert isinstance(out[0], Transmit)
    assert out[0].data.startswith(b"SIP/2.0 481 ")


# Lamps and mailboxes from end to end: what fails in the field, each by its own name.

RINGING = DialogEntry("d1", "early", direction="recipient")
TALKING = DialogEntry("d1", "confirmed", direction="recipient")
CALLING = DialogEntry("d2", "trying", direction="initiator")


class Lamps(Pair):
    """a shows the lamps of b's dialogs: `picture` is what it knows, `here` and `there` are the subscription."""

    def __init__(self, lose: Lose | None = None, *, placeholder: bool = False, expires_s: int = 3600) -> None:
        super().__init__(lose)
        settings = EndpointSettings({"udp": B}, events=("dialog", "message-summary"))
        self.ends["b"] = Endpoint(settings, b"seed-b")
        self.picture = DialogPicture()
        self.feed = DialogFeed("sip:bob@example.org", placeholder=placeholder)
        self.dialogs: list[DialogEntry] = []
        self.bodies: list[bytes] = []
        self.lost = 0
        self.there = 0
        made = self.do("a", lambda now, out: self.subscribe(now, out, expires_s))
        assert isinstance(made, int)
        self.here = made

    def subscribe(self, now: int, out: list[Output], expires_s: int) -> int:
        return self.a.subscribe(
            now,
            out,
            event="dialog",
            listener="udp",
            destination=B,
            uri="sip:bob@192.0.2.2",
            from_="<sip:a@h>",
            to="<sip:b@h>",
            expires_s=expires_s,
        )

    def post(self, name: str, out: list[Output]) -> None:
        super().post(name, out)
        for record in self.take(name):
            self.decide(record)

    def decide(self, record: Output) -> None:
        if isinstance(record, SubscriptionAsked):
            self.there = record.subscription
            self.do("b", lambda now, out: self.b.accept_subscription(now, self.there, out))
            self.tell()
        elif isinstance(record, SubscriptionRenewed):
            self.tell(full=True)
        elif isinstance(record, NotifyLost):
            self.lost += 1
            self.feed.lost()
            if record.response is None:
                self.tell()
        elif isinstance(record, Notified):
            self.bodies.append(record.request.body)
            if self.picture.take(parse_dialog_info(record.request.body)) is Taken.HOLE:
                self.do("a", lambda now, out: self.a.resubscribe(now, self.here, out))
        elif isinstance(record, SubscriptionEnded):
            self.said["b"].append(record)

    def tell(self, *, full: bool = False) -> None:
        if self.there not in self.b._usages:
            return
        body = self.feed.full(self.dialogs) if full else self.feed.update(self.dialogs)
        if body is not None:
            self.do(
                "b", lambda now, out: self.b.notify(now, self.there, out, body=body, content_type=CONTENT_TYPE)
            )

    def change(self, *dialogs: DialogEntry) -> None:
        self.dialogs = list(dialogs)
        self.tell()

    def shown(self) -> list[tuple[str, str]]:
        return [(entry.id, entry.state) for entry in self.picture.dialogs.values()]


def notifies(at: Callable[[int], bool]) -> Lose:
    """Loses the NOTIFYs of b whose count `at` names."""
    count = [0]

    def lose(number: int, name: str, data: bytes) -> bool:
        count[0] += data.startswith(b"NOTIFY")
        return data.startswith(b"NOTIFY") and at(count[0])

    return lose


def test_a_lost_notify_does_not_kill_the_subscription_and_the_next_says_everything() -> None:
    out_of_reach = [False]
    lamps = Lamps(notifies(lambda count: out_of_reach[0]))
    lamps.run()
    out_of_reach[0] = True
    lamps.change(RINGING, CALLING)
    lamps.run(33 * SECOND)
    assert lamps.lost == 1
    out_of_reach[0] = False
    lamps.run(5 * SECOND)
    assert lamps.shown() == [("d1", "early"), ("d2", "trying")]
    info = parse_dialog_info(lamps.bodies[-1])
    assert (info.version, info.full) == (2, True)
    lamps.change(TALKING)
    lamps.run()
    assert lamps.shown() == [("d1", "confirmed")]
    assert not parse_dialog_info(lamps.bodies[-1]).full


def test_early_never_arrives_after_terminated() -> None:
    # The first copy of "early" is lost, so that "terminated" overtakes it.
    lamps = Lamps(notifies(lambda count: count == 2))
    lamps.run()
    lamps.change(RINGING)
    lamps.change()
    lamps.run(5 * SECOND)
    told = [[entry.state for entry in parse_dialog_info(body).dialogs] for body in lamps.bodies]
    assert ["early"] not in told
    assert lamps.shown() == []
    versions = [parse_dialog_info(body).version for body in lamps.bodies]
    assert versions == sorted(set(versions))


def test_each_of_several_dialogs_in_one_body_has_its_own_state() -> None:
    lamps = Lamps()
    lamps.change(TALKING, CALLING)
    lamps.run()
    assert lamps.shown() == [("d1", "confirmed"), ("d2", "trying")]
    lamps.change(TALKING)
    lamps.run()
    assert lamps.shown() == [("d1", "confirmed")]


def test_a_subscriber_is_notified_at_once_with_a_body_even_when_there_is_nothing_to_say() -> None:
    for placeholder, told in ((False, []), (True, [("none", "terminated")])):
        lamps = Lamps(placeholder=placeholder)
        lamps.run()
        (body,) = lamps.bodies
        info = parse_dialog_info(body)
        assert (info.version, info.full, [(entry.id, entry.state) for entry in info.dialogs]) == (0, True, told)
        assert lamps.shown() == []


def test_481_to_a_notify_ends_the_subscription() -> None:
    lamps = Lamps()
    lamps.run()
    lamps.do("a", lambda now, out: lamps.a.forget_subscription(now, lamps.here, out))
    lamps.change(RINGING)
    lamps.run()
    (ended,) = lamps.said["b"]
    assert isinstance(ended, SubscriptionEnded)
    assert (ended.subscription, ended.why) == (lamps.there, "gone")
    lamps.settle()
    assert lamps.b.idle()


def test_a_subscriber_that_is_never_reached_again_is_let_go_when_its_time_is_over() -> None:
    gone = [False]
    lamps = Lamps(lambda number, name, data: gone[0], expires_s=600)
    lamps.run()
    gone[0] = True
    lamps.change(RINGING)
    lamps.run(601 * SECOND)
    assert lamps.lost > 5
    assert SubscriptionEnded(lamps.there, "timeout") in lamps.said["b"]
    lamps.settle()
    assert lamps.a.idle()
    assert lamps.b.idle()


@pytest.mark.parametrize("lost", range(16))
def test_whatever_single_message_is_lost_the_lamps_are_right_in_the_end(lost: int) -> None:
    lamps = Lamps(lambda number, name, data: number == lost + 1)
    for dialogs in ((RINGING,), (RINGING, CALLING), (TALKING, CALLING), (TALKING,), ()):
        lamps.run(40_000)
        lamps.change(*dialogs)
    lamps.run(5 * SECOND)
    assert lamps.shown() == []
    lamps.change(DialogEntry("d3", "trying"))
    lamps.run(5 * SECOND)
    assert lamps.shown() == [("d3", "trying")]
    lamps.do("a", lambda now, out: lamps.a.unsubscribe(now, lamps.here, out))
    lamps.settle()
    assert lamps.a.idle()
    assert lamps.b.idle()


@pytest.mark.parametrize("nth", [2, 3, 5])
def test_with_every_nth_message_lost_the_lamps_are_right_in_the_end(nth: int) -> None:
    lamps = Lamps(lambda number, name, data: number % nth == 0)
    for number in range(12):
        lamps.change(*(DialogEntry(f"d{number}", state) for state in ("early",)))
        lamps.run(700_000)
        lamps.change(DialogEntry(f"d{number}", "confirmed"))
        lamps.run(300_000)
    lamps.run(80 * SECOND)
    assert lamps.shown() == [("d11", "confirmed")]


def test_a_mailbox_is_told_in_order_and_survives_a_lost_notify() -> None:
    pair = Streams()
    settings = EndpointSettings({"udp": B}, events=("message-summary",))
    pair.ends["b"] = Endpoint(settings, b"seed-b")
    here = subscribe(pair, event="message-summary", headers=[("Accept", "application/simple-message-summary")])
    there = asked(pair)
    accept(pair, there)
    for new in (0, 1, 2):
        summary = MessageSummary(new > 0, "sip:bob@h", (MessageCount("Voice-Message", new, 3),))
        notify(pair, there, body=summary.to_bytes(), content_type="application/simple-message-summary")
    told = [record for record in pair.take("a") if isinstance(record, Notified)]
    assert {record.subscription for record in told} == {here}
    assert [parse_message_summary(record.request.body).counts[0].new for record in told] == [0, 1, 2]
    pair.do("a", lambda now, out: pair.ends["a"].forget_subscription(now, here, out))
    notify(pair, there, state="terminated", reason="noresource")
    idle(pair)
