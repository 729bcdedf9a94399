"""SIPp scenarios of sessions, put together from steps: what SIPp sends as caller or as callee, and what it expects."""

from __future__ import annotations

from collections.abc import Callable
from xml.sax.saxutils import escape

VIA = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]"
OWN = "sip:{user}@[local_ip]:[local_port];transport=[transport]"
SDP = """v=0
o=sipp 1 {version} IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 8
a={direction}
"""
_LAST = "[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]"


class Scenario:
    """One call, step by step; `calls` says whether SIPp is the caller. CSeq numbers and SDP versions count up."""

    def __init__(self, user: str, calls: bool = True) -> None:
        self.user = user
        self._calls = calls
        self._cseq = 1
        self._invite = 1
        self._version = 0
        self._expected = ""
        self._steps: list[str] = []
        self._variables: dict[str, None] = {}

    def text(self) -> str:
        """The scenario as SIPp reads it."""
        names = ",".join(self._variables)
        known = f'<Reference variables="{names}"/>\n' if names else ""
        steps = "\n".join(self._steps)
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="{self.user}">\n{steps}\n{known}</scenario>\n'

    def sdp(self, direction: str = "sendrecv") -> str:
        """The next description of SIPp's."""
        self._version += 1
        return SDP.format(version=self._version, direction=direction)

    # requests of SIPp's

    def invite(self, body: str = "", *lines: str) -> Scenario:
        """The INVITE of a call."""
        return self._send("INVITE", "sip:[service]@[remote_ip]:[remote_port]", "", body, lines)

    def request(self, method: str, body: str = "", *lines: str) -> Scenario:
        """A request in the dialog, with the next CSeq."""
        self._cseq += 1
        return self._send(method, "[$target]", self._peer(), body, lines)

    def ack(self, body: str = "") -> Scenario:
        """The ACK of the 2xx to the last INVITE."""
        return self._send("ACK", "[$target]", self._peer(), body, (), retransmitted=False)

    def digit(self) -> Scenario:
        """An INFO with the digit 5, which is answered: whoever waits for it knows how far SIPp is."""
        return self.request("INFO", "Signal=5\nDuration=160\n").response(200)

    def prack(self, body: str = "") -> Scenario:
        """A PRACK for the 1xx whose RSeq was kept last."""
        return self.request("PRACK", body, f"RAck: [$rseq] {self._invite} INVITE")

    def refused(self) -> Scenario:
        """ACK a final refusal of the INVITE; SIPp's next INVITE has the next CSeq."""
        self._steps.append(
            f"<send><![CDATA[\nACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n[last_Via:]\n{self._from()}\n"
            f"[last_To:]\nCall-ID: [call_id]\nCSeq: {self._cseq} ACK\nMax-Forwards: 70\nContent-Length: 0\n\n]]></send>"
        )
        self._cseq += 1
        return self

    # what SIPp expects

    def response(self, status: int, *checks: Callable[[], str], optional: bool = False) -> Scenario:
        """A response to SIPp's last request."""
        more = ' optional="true"' if optional else ""
        return self._receive(f'response="{status}"{more}', checks)

    def ringing(self) -> Scenario:
        """Any of the provisional responses that may come before the next one that is expected."""
        for status in (100, 180, 183):
            self.response(status, optional=True)
        return self

    def expect(self, method: str, *checks: Callable[[], str]) -> Scenario:
        """A request of the server's."""
        return self._receive(f'request="{method}"', checks)

    def invited(self, *checks: Callable[[], str]) -> Scenario:
        """The INVITE that begins a call to SIPp; what an answer and a request in the dialog repeat of it is kept."""
        kept = [self.keep(*row) for row in (("via", "Via:"), ("peer", "From:"), ("to", "To:"), ("number", "CSeq:"))]
        return self._receive('request="INVITE"', (*kept, self.target, *checks))

    def respond(self, status: int, reason: str, body: str = "", *lines: str) -> Scenario:
        """Answer the request that came last."""
        again = ' retrans="500"' if "INVITE" in self._expected and status >= 200 else ""
        return self._answer(status, reason, _LAST, body, lines, again)

    def answer(self, status: int, reason: str, body: str = "", *lines: str) -> Scenario:
        """Answer the INVITE that began the call to SIPp."""
        head = "Via:[$via]\nFrom:[$peer]\nTo:[$to];tag=[call_number]callee\nCall-ID: [call_id]\nCSeq:[$number]"
        return self._answer(status, reason, head, body, lines, ' retrans="500"' if status >= 200 else "")

    def _answer(self, status: int, reason: str, head: str, body: str, lines: tuple[str, ...], again: str) -> Scenario:
        more = "".join(f"\n{line}" for line in lines)
        self._steps.append(
            f"<send{again}><![CDATA[\nSIP/2.0 {status} {reason}\n{head}\nContact: <{self._own()}>{more}\n"
            f"{_content(body)}]]></send>"
        )
        return self

    # actions at what comes

    def keep(self, name: str, header: str, pattern: str = ".*") -> Callable[[], str]:
        """Keep what a header says; SIPp fails when it does not match."""
        self._variables.update(dict.fromkeys((f"{name}_all", name)))
        return lambda: (
            f'<ereg regexp="{escape("(" + pattern + ")")}" search_in="hdr" header="{header}" check_it="true" '
            f'assign_to="{name}_all,{name}"/>'
        )

    @property
    def target(self) -> Callable[[], str]:
        """Keep the peer's Contact."""
        self._variables.update(dict.fromkeys(("target_all", "target")))
        return lambda: (
            f'<ereg regexp="{escape("<([^>]*)>")}" search_in="hdr" header="Contact:" check_it="true" '
            'assign_to="target_all,target"/>'
        )

    @property
    def rseq(self) -> Callable[[], str]:
        """Keep the RSeq of a 1xx."""
        return self.keep("rseq", "RSeq:", "[0-9]+")

    def has(self, text: str, header: str = "") -> Callable[[], str]:
        """A text that must be in a header, or anywhere in the message."""
        name = f"seen{len(self._variables)}"
        self._variables[name] = None
        place = f'search_in="hdr" header="{header}"' if header else 'search_in="msg"'
        return lambda: f'<ereg regexp="{escape(text)}" {place} check_it="true" assign_to="{name}"/>'

    def _receive(self, what: str, checks: tuple[Callable[[], str], ...]) -> Scenario:
        self._expected = what
        actions = "".join(check() for check in checks)
        self._steps.append(f"<recv {what}><action>{actions}</action></recv>" if actions else f"<recv {what}/>")
        return self

    def _own(self) -> str:
        return OWN.format(user=self.user)

    def _from(self) -> str:
        if self._calls:
            return f"From: <sip:{self.user}@[local_ip]>;tag=[call_number]caller"
        return f"From: <sip:{self.user}@[local_ip]>;tag=[call_number]callee"

    def _peer(self) -> str:
        return "To: <sip:[service]@[remote_ip]>[peer_tag_param]" if self._calls else "To:[$peer]"

    def _send(
        self, method: str, uri: str, to: str, body: str, lines: tuple[str, ...], retransmitted: bool = True
    ) -> Scenario:
        more = "".join(f"\n{line}" for line in lines)
        cseq = self._cseq if method != "ACK" else self._invite
        if method == "INVITE":
            self._invite = cseq
        head = [
            f"{method} {uri} SIP/2.0",
            VIA,
            self._from(),
            to or "To: <sip:[service]@[remote_ip]>",
            "Call-ID: [call_id]",
            f"CSeq: {cseq} {method}",
            f"Contact: <{self._own()}>",
            "Max-Forwards: 70",
        ]
        again = ' retrans="500"' if retransmitted else ""
        self._steps.append(f"<send{again}><![CDATA[\n" + "\n".join(head) + f"{more}\n{_content(body)}]]></send>")
        return self


def _content(body: str) -> str:
    if not body:
        return "Content-Length: 0\n\n"
    kind = "application/dtmf-relay" if body.startswith("Signal") else "application/sdp"
    return f"Content-Type: {kind}\nContent-Length: [len]\n\n{body}"
