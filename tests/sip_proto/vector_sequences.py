"""Runs the sequences of tests/vectors/sip: the endpoint is one side, the vector its program, its peer and its time."""

import re
from typing import Any

import msgspec

from sip_proto import (
    Account,
    Address,
    DialogChanged,
    DialogEnded,
    Endpoint,
    EndpointSettings,
    Invited,
    LocalError,
    Message,
    Output,
    Referred,
    Rejected,
    Rejection,
    Request,
    Requested,
    Response,
    SubscriptionAsked,
    Transmit,
    Unanswerable,
    parse,
)

PEER: Address = ("192.0.2.1", 5060)
US: Address = ("192.0.2.2", 5060)
PEER_URI = "<sip:alice@lab.example>"
OUR_URI = "<sip:bob@lab.example>"
TARGETS = ("INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER")
QUIET = (DialogChanged, DialogEnded, Rejected, Unanswerable)
Step = dict[str, Any]


class Talk:
    """A dialog as the peer knows it, or is about to: `leg` is the endpoint's handle."""

    def __init__(self, call_id: str, called: bool) -> None:
        self.call_id = call_id
        self.called = called
        self.our_tag = ""
        self.peer_tag = "p1"
        self.our_contact = "sip:192.0.2.2:5060"
        self.cseq = 0
        self.leg = 0


class Sequence:
    """One sequence: `now` is microseconds, `step` the time of the last step."""

    def __init__(self, setup: Step) -> None:
        more = {"session_s": 0} | {key: value for key, value in setup.items() if key != "start"}
        for name in ("supported", "events"):
            if name in more:
                more[name] = tuple(more[name])
        if "accounts" in more:
            more["accounts"] = tuple(msgspec.convert(more["accounts"], list[Account]))
        self.end = Endpoint(EndpointSettings({"udp": US}, **more), b"a sequence")
        self.start_us = self.now = self.step_us = 1_000_000
        self.talks: list[Talk] = []
        self.asked: dict[str, Request] = {}
        self.invites: dict[int, Request] = {}
        self.finals: dict[int, Response] = {}
        self.from_peer: dict[str, bytes] = {}
        self.heard: dict[str, Request] = {}
        self.handles: dict[str, int] = {}
        self.invited: Invited | None = None
        self.rack = ""
        self.branches = 0
        self.sent: list[tuple[int, Message, bytes]] = []
        self.told: list[tuple[str, object]] = []
        if "start" in setup:
            self.begin(setup["start"])

    # The beginnings that a vector may ask for.

    def begin(self, start: str) -> None:
        """A call that stands already: "caller" when we called, "callee" when the peer did."""
        if start == "caller":
            steps: list[Step] = [
                {"program": {"do": "call", "body": "offer 0"}},
                {"peer": {"response": 200, "to": "INVITE", "body": "answer 0", "headers": [["Allow", ALLOW]]}},
                {"program": {"do": "ack"}},
            ]
        else:
            steps = [
                {"peer": {"request": "INVITE", "body": "offer 0", "headers": [["Allow", ALLOW]]}},
                {"program": {"do": "accept", "body": "answer 0"}},
                {"peer": {"request": "ACK"}},
            ]
        for step in steps:
            self.put(step)
        self.sent.clear()
        self.told.clear()

    # One step.

    def run(self, steps: list[Step]) -> None:
        """All steps, each held against what it expects."""
        for number, step in enumerate(steps):
            try:
                self.one(step)
            except AssertionError as error:
                raise AssertionError(f"step {number}: {error}") from error

    def one(self, step: Step) -> None:
        if "at_ms" in step:
            until_us = self.start_us + int(step["at_ms"]) * 1_000
        else:
            until_us = self.step_us + int(step["after_ms"]) * 1_000
        acts = "peer" in step or "program" in step
        self.wait(until_us - 1 if acts else until_us, until_sent=step.get("until") == "sent")
        if acts:
            early = self.sent or self.told
            assert not early, f"before its time: {self.said()}"
        if step.get("until") != "sent":
            self.now = until_us
        result = self.put(step)
        expect = step.get("expect", {})
        assert result == expect.get("result"), f"result {result}"
        self.compare_sent(expect.get("sent", []), unordered=expect.get("unordered", False))
        self.compare_told(expect.get("told", []))
        for name, count in expect.get("left", {}).items():
            assert self.end.counts()[name] == int(count), f"{name}: {self.end.counts()[name]}"
        self.step_us = self.now

    def put(self, step: Step) -> object:
        if "peer" in step:
            self.hear(self.peer_bytes(step["peer"]))
            return None
        if "program" in step:
            return self.program(step["program"])
        return None

    def wait(self, until_us: int, *, until_sent: bool = False) -> None:
        while (at := self.end.next_deadline()) is not None and at <= until_us:
            if until_sent and self.sent:
                return
            self.now = max(self.now, at)
            out: list[Output] = []
            self.end.handle_timeout(self.now, out)
            self.take(out)

    def settle(self) -> None:
        """Let everything that only waits run out; nothing may be left."""
        for _ in range(1_000):
            at = self.end.next_deadline()
            if at is None:
                break
            self.wait(at)
        assert self.end.idle(), self.end.counts()

    def take(self, out: list[Output]) -> None:
        self.end.check()
        for record in out:
            if isinstance(record, Transmit):
                self.note(parse(record.data), record.data)
            elif not isinstance(record, QUIET):
                self.remember(record)
                self.told.append((type(record).__name__, record))

    def note(self, message: Message, data: bytes) -> None:
        """What the peer learns from what we send."""
        self.sent.append((self.now, message, data))
        talk = self.find(message)
        if isinstance(message, Request):
            self.asked[message.method] = message
            if talk is None:
                talk = Talk(message.call_id, called=False)
                talk.our_tag = message.from_.tag
                self.talks.append(talk)
        else:
            assert isinstance(message, Response)
            if message.cseq[1] == "INVITE" and message.status >= 200:
                self.finals[message.cseq[0]] = message
            if message.get("RSeq") is not None:
                self.rack = f"{message.get('RSeq')} {message.get('CSeq')}"
            if talk is not None and message.status > 100:
                talk.our_tag = talk.our_tag or message.to.tag
        contact = message.contact
        if talk is not None and contact is not None:
            talk.our_contact = contact.uri

    def find(self, message: Message) -> Talk | None:
        return next((talk for talk in self.talks if talk.call_id == message.call_id), None)

    def remember(self, record: Output) -> None:
        """Handles by which the program speaks of what it was told."""
        if isinstance(record, Invited):
            self.invited = record
            talk = self.find(record.request)
            assert talk is not None
            talk.leg = record.leg
        elif isinstance(record, Requested):
            self.handles["request"] = record.handle
        elif isinstance(record, Referred):
            self.handles["referral"] = record.referral
        elif isinstance(record, SubscriptionAsked):
            self.handles["subscription"] = record.subscription

    # The peer.

    def hear(self, data: bytes) -> None:
        out: list[Output] = []
        self.end.receive_datagram(self.now, "udp", PEER, data, out)
        self.take(out)

    def peer_bytes(self, what: Step) -> bytes:
        if "again" in what:
            return self.from_peer[what["again"]]
        data = self.response(what) if "response" in what else self.request(what)
        name = f"{what['response']} {what['to']}" if "response" in what else what["request"]
        self.from_peer[name] = data
        return data

    def talk(self, what: Step) -> Talk:
        number = what.get("dialog")
        if number == "new" or not self.talks:
            self.talks.append(Talk(f"call-{len(self.talks) + 1}@lab.example", called=True))
            return self.talks[-1]
        return self.talks[-1 if number is None else int(number) - 1]

    def request(self, what: Step) -> bytes:
        method = what["request"]
        talk = self.talk(what)
        self.branches += 1
        branch = f"z9hG4bKpeer{self.branches}"
        to_tag = what.get("to_tag", talk.our_tag)
        if method in ("ACK", "CANCEL"):
            invite = self.invites[int(what.get("cseq", self.heard["INVITE"].cseq[0]))]
            number = invite.cseq[0]
            final = self.finals.get(number)
            if method == "CANCEL" or (final is not None and final.status >= 300):
                branch = invite.branch
            if method == "CANCEL":
                to_tag = invite.to.tag
        elif "cseq" in what:
            number = int(what["cseq"])
        else:
            talk.cseq += 1
            number = talk.cseq
        lines = [
            f"{method} {talk.our_contact} SIP/2.0",
            f"Via: SIP/2.0/UDP 192.0.2.1:5060;branch={branch}",
            "Max-Forwards: 70",
            f"From: {PEER_URI};tag={what.get('tag', talk.peer_tag)}",
            f"To: {OUR_URI}" + (f";tag={to_tag}" if to_tag else ""),
            f"Call-ID: {talk.call_id}",
            f"CSeq: {number} {method}",
        ]
        data = self.finish(lines, what, talk, method in TARGETS)
        found = parse(data)
        assert isinstance(found, Request)
        self.heard[method] = found
        if method == "INVITE":
            self.invites[number] = found
        return data

    def response(self, what: Step) -> bytes:
        status = what["response"]
        asked = self.asked[what["to"]]
        talk = self.find(asked)
        assert talk is not None
        to = asked.get("To") or ""
        if status > 100 and "tag=" not in to:
            talk.peer_tag = what.get("tag", talk.peer_tag)
            to += f";tag={talk.peer_tag}"
        lines = [f"SIP/2.0 {status} {what.get('reason', 'Reason')}", f"Via: {asked.get('Via')}"]
        lines += [f"From: {asked.get('From')}", f"To: {to}", f"Call-ID: {asked.call_id}", f"CSeq: {asked.get('CSeq')}"]
        return self.finish(lines, what, talk, asked.method in TARGETS and 100 < status < 300)

    def finish(self, lines: list[str], what: Step, talk: Talk, target: bool) -> bytes:
        contact = what.get("contact", "sip:alice@192.0.2.1:5060" if target else None)
        if contact is not None:
            lines.append(f"Contact: <{contact}>")
        body = self.fill(what.get("body", ""), talk)
        if body:
            lines.append(f"Content-Type: {what.get('type', 'application/sdp')}")
        lines += [f"{name}: {self.fill(value, talk)}" for name, value in what.get("headers", [])]
        return ("\r\n".join(lines) + f"\r\nContent-Length: {len(body.encode())}\r\n\r\n{body}").encode()

    def fill(self, text: str, talk: Talk) -> str:
        """Put in what only this run knows."""
        first = self.talks[0]
        known = {
            "rack": self.rack,
            "call-id": talk.call_id,
            "our-tag": talk.our_tag,
            "peer-tag": talk.peer_tag,
            "our-contact": talk.our_contact,
            "replaces": f"{first.call_id};to-tag={first.our_tag};from-tag={first.peer_tag}",
            "first-call-id": first.call_id,
            "first-our-tag": first.our_tag,
        }
        return re.sub(r"\$\{([a-z-]+)\}", lambda found: known[found[1]], text)

    # The program.

    def program(self, what: Step) -> object:
        out: list[Output] = []
        try:
            result = self.call(dict(what), out)
        except LocalError:
            assert not out
            return "error"
        self.take(out)
        return result

    def call(self, what: Step, out: list[Output]) -> object:
        end, now, verb = self.end, self.now, what.pop("do")
        leg = self.leg(what.pop("dialog", None))
        given: dict[str, Any] = {
            name: value.encode() if name == "body" else [tuple(pair) for pair in value] if name == "headers" else value
            for name, value in what.items()
        }
        status = given.pop("status", 0)
        if verb == "call":
            leg = end.invite(
                now,
                out,
                listener="udp",
                destination=PEER,
                uri="sip:alice@192.0.2.1:5060",
                from_=OUR_URI,
                to=PEER_URI,
                **given,
            )
            sent = out[0]
            assert isinstance(sent, Transmit)
            invite = parse(sent.data)
            assert isinstance(invite, Request)
            talk = Talk(invite.call_id, called=False)
            talk.our_tag = invite.from_.tag
            talk.leg = leg
            self.talks.append(talk)
        elif verb == "subscribe":
            self.handles["subscription"] = end.subscribe(
                now,
                out,
                listener="udp",
                destination=PEER,
                uri="sip:alice@192.0.2.1:5060",
                from_=OUR_URI,
                to=PEER_URI,
                **given,
            )
        elif verb == "ring":
            end.provisional(now, leg, status, out, **given)
        elif verb == "offer":
            return str(end.offer(now, leg, out, **given))
        elif verb == "refer":
            self.handles["referral"] = end.refer(now, leg, out, **given)
        elif verb == "send":
            end.send(now, leg, given.pop("method"), out, **given)
        elif verb == "replaced":
            assert self.invited is not None
            found = end.replaced_leg(self.invited.request)
            if isinstance(found, Rejection):
                return str(found.status)
            legs = [str(number + 1) for number, talk in enumerate(self.talks) if talk.leg == found]
            return legs[0] if found is not None else None
        elif verb in ("reject", "refuse_offer"):
            getattr(end, verb)(now, leg, status, out, **given)
        elif verb in ("reject_referral", "report_referral"):
            getattr(end, verb)(now, self.handles["referral"], status, out, **given)
        elif verb == "reject_subscription":
            end.reject_subscription(now, self.handles["subscription"], status, out, **given)
        elif verb == "respond":
            end.respond(now, self.handles["request"], status, out, **given)
        elif verb == "accept_referral":
            end.accept_referral(now, self.handles["referral"], out)
        elif verb in ("accept_subscription", "notify", "resubscribe", "unsubscribe"):
            getattr(end, verb)(now, self.handles["subscription"], out, **given)
        else:
            getattr(end, verb)(now, leg, out, **given)
        return None

    def leg(self, number: str | None) -> int:
        if number is not None:
            return self.talks[int(number) - 1].leg
        legs = [talk.leg for talk in self.talks if talk.leg]
        return legs[-1] if legs else 0

    # What came of it.

    def said(self) -> str:
        sent = [data.split(b"\r\n")[0].decode() for _, _, data in self.sent]
        return f"sent {sent}, told {self.told}"

    def compare_sent(self, expected: list[Step], *, unordered: bool) -> None:
        sent, self.sent = self.sent, []
        if unordered:
            order = [wanted.get("request", wanted.get("response")) for wanted in expected]
            kinds = [getattr(message, "status", None) or getattr(message, "method", None) for _, message, _ in sent]
            assert sorted(map(str, order)) == sorted(map(str, kinds)), kinds
            sent.sort(key=lambda one: order.index(getattr(one[1], "status", None) or getattr(one[1], "method", None)))
        at = 0
        for wanted in expected:
            assert at < len(sent), f"not sent: {wanted}"
            now, message, data = sent[at]
            self.match(wanted, now, message)
            at += 1
            for _ in range(1, int(wanted.get("times", "1"))):
                assert at < len(sent), f"not sent so often: {wanted}"
                assert sent[at][2] == data, "another message than before"
                at += 1
        assert at == len(sent), f"sent besides: {[data for _, _, data in sent[at:]]}"

    def match(self, wanted: Step, now: int, message: Message) -> None:
        found = message.to_bytes().decode()
        if "request" in wanted:
            assert isinstance(message, Request), found
            assert message.method == wanted["request"], found
            assert message.uri == wanted.get("uri", message.uri), found
        else:
            assert isinstance(message, Response), found
            assert message.status == wanted["response"], found
            assert message.cseq[1] == wanted.get("to", message.cseq[1]), found
        assert message.cseq[0] == int(wanted.get("cseq", message.cseq[0])), found
        if "body" in wanted:
            assert message.body.decode() == wanted["body"], found
        talk = self.find(message)
        assert talk is not None
        for name, pattern in wanted.get("headers", {}).items():
            values = message.get_all(name)
            if pattern is None:
                assert not values, found
            else:
                assert values, f"no {name}: {found}"
                assert re.fullmatch(pattern, ", ".join(values)), f"{name}: {values}"
        if "within_ms" in wanted:
            least, most = (int(edge) * 1_000 for edge in wanted["within_ms"])
            assert least <= now - self.step_us <= most, f"after {now - self.step_us} us"

    def compare_told(self, expected: list[Step]) -> None:
        told, self.told = self.told, []
        assert [name for name, _ in told] == [wanted["event"] for wanted in expected], told
        for wanted, (_, record) in zip(expected, told, strict=True):
            for name, value in wanted.items():
                if name != "event":
                    assert self.field(record, name) == value, f"{name} of {record}"

    def field(self, record: object, name: str) -> object:
        message = getattr(record, "request", None) or getattr(record, "response", None)
        if name == "body":
            assert message is not None
            return message.body.decode()
        if name == "method":
            assert isinstance(message, Request)
            return message.method
        if name == "status" and not hasattr(record, "status"):
            assert isinstance(message, Response)
            return message.status
        if name == "replaces":
            found = getattr(record, "replaces", None)
            return None if found is None else [found.call_id, found.local_tag, found.remote_tag]
        value = getattr(record, "event" if name == "package" else name)
        return str(value) if name in ("offer", "expires_s") and not isinstance(value, bool) else value


ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, INFO, MESSAGE, PRACK, UPDATE, REFER, SUBSCRIBE"


def run_sequence(vector: Step) -> None:
    """Every step holds, and where the vector says so nothing is left when all timers have run out."""
    sequence = Sequence(vector.get("setup", {}))
    sequence.run(vector["steps"])
    if vector.get("ends"):
        sequence.settle()
