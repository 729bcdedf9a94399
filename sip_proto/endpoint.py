"""Endpoint: transactions, dialogs and legs of one user agent, over datagrams and streams (RFC 3261)."""

from copy import copy

from sip_proto.core import ACCEPTED_TIMER, ACK_TIMER, OFFER_TIMER, PROVISIONAL_TIMER, SESSION_TIMER
from sip_proto.dialog import Leg
from sip_proto.errors import LocalError, ParseError
from sip_proto.flows import Flow, Hop
from sip_proto.forwarding import FORWARD_TIMER, ForwardingSide
from sip_proto.framing import BrokenFraming, KeepAlive
from sip_proto.message import Request
from sip_proto.parser import parse
from sip_proto.records import Dialog, Disconnect, Output, TransmitStream, Unanswerable
from sip_proto.tables import Input, LegState, State
from sip_proto.tables_session import OfferState
from sip_proto.transactions import BOUND_TIMER, ClientTransaction, ServerTransaction
from sip_proto.uri import Address
from sip_proto.validate import Rejection


class Endpoint(ForwardingSide):
    """A user agent without sockets, clock or dice: inputs append records to `out`, time comes as
    microseconds (ours).

    `Endpoint(settings, seed)`: equal settings, seed and inputs give equal outputs.
    """

    def receive_datagram(self, now: int, listener: str, source: Address, data: bytes, out: list[Output]) -> None:
        """Take a datagram that reached `listener` from `source` (RFC 3261 section 18)."""
        if self._transports.get(listener) != "udp":
            raise LocalError(f"no listener {listener!r} for datagrams")
        try:
            message = parse(data, self._limits)
        except ParseError as error:
            # Line ends alone keep a NAT binding open (RFC 5626 section 3.5.1).
            if error.kind != "empty":
                out.append(Unanswerable(listener, source, error.kind, error.offset))
            return
        if isinstance(message, Request):
            self._receive_request(now, Hop(listener, source), message, out)
        else:
            self._receive_response(now, Hop(listener, source), message, out)

    def stream_opened(self, now: int, flow: int, listener: str, peer: Address, out: list[Output]) -> None:
        """A stream is open: one that `listener` accepted from `peer` under a new number above 0, or the one that
        Connect asked for under its own; LocalError for any other number (RFC 3261 section 18)."""
        transport = self._transports.get(listener)
        if transport is None or (flow > 0 and transport == "udp"):
            raise LocalError(f"no listener {listener!r} for streams")
        self._flows.opened(flow, listener, transport, peer, out)

    def receive_stream(self, now: int, flow: int, data: bytes, out: list[Output]) -> None:
        """Take bytes of an open stream; those of one that is closed are dropped (RFC 3261 section 18.3)."""
        found = self._flows.live(flow)
        if found is None:
            return
        finished = False
        for frame in found.framer.receive(data):
            if isinstance(frame, bytes):
                finished = True
                self._receive_frame(now, found, frame, out)
                if self._flows.live(flow) is not found:
                    return
            elif frame is KeepAlive.PING:
                out.append(TransmitStream(flow, b"\r\n"))
            elif isinstance(frame, BrokenFraming):
                self._answer_broken(now, found, frame, out)
                return
        self._flows.watch(now, found, finished)

    def stream_closed(self, now: int, flow: int, out: list[Output]) -> None:
        """A stream is gone or did not open; nothing when the endpoint had it closed. What waited for it fails with
        503 (RFC 3261 sections 8.1.3.1, 18.4)."""
        for handle in self._flows.closed(flow):
            tx = self._tx.by_handle.get(handle)
            if tx is not None and self._tx.step(now, tx, Input.ERROR, out):
                assert isinstance(tx, ClientTransaction)
                self._client_expired(now, tx, out, status=503)

    def _receive_frame(self, now: int, flow: Flow, data: bytes, out: list[Output]) -> None:
        origin = Hop(flow.listener, flow.peer, flow.transport, flow.id)
        try:
            message = parse(data, self._limits)
        except ParseError as error:
            # Whoever sends this does not speak SIP: what follows would be cut by guess.
            out.append(Unanswerable(flow.listener, flow.peer, error.kind, error.offset))
            self._hang_up(now, flow.id, error.kind, out)
            return
        if isinstance(message, Request):
            self._receive_request(now, origin, message, out)
        else:
            self._receive_response(now, origin, message, out)

    def _answer_broken(self, now: int, flow: Flow, broken: BrokenFraming, out: list[Output]) -> None:
        try:
            message = parse(broken.head, self._limits)
        except ParseError:
            out.append(Unanswerable(flow.listener, flow.peer, broken.kind, broken.offset))
        else:
            if isinstance(message, Request):
                origin = Hop(flow.listener, flow.peer, flow.transport, flow.id)
                self._refuse(now, origin, message, Rejection(broken.status, broken.text), out)
            else:
                out.append(Unanswerable(flow.listener, flow.peer, broken.kind, broken.offset))
        self._hang_up(now, flow.id, broken.kind, out)

    def _hang_up(self, now: int, flow: int, why: str, out: list[Output]) -> None:
        out.append(Disconnect(flow, why))
        self.stream_closed(now, flow, out)

    def restore(self, now: int, dialog: Dialog) -> None:
        """Make a stored confirmed dialog a live leg again; LocalError when its handle or its ids are taken
        (ours)."""
        if dialog.leg in self._legs or dialog.leg in self._tx.by_handle or dialog.leg <= 0:
            raise LocalError(f"handle {dialog.leg} cannot be restored")
        if (dialog.call_id, dialog.local_tag) in self._by_dialog:
            raise LocalError("a leg with this Call-ID and tag is alive")
        if dialog.listener not in self._sent_by:
            raise LocalError(f"no listener {dialog.listener!r}")
        leg = Leg(copy(dialog), LegState.CONFIRMED)
        leg.announced = True
        self._restore_session(now, leg)
        self._add_leg(leg)
        self._last_handle = max(self._last_handle, dialog.leg)

    def forget(self, now: int, leg: int, out: list[Output]) -> None:
        """Drop a leg and its transactions without a word to anyone (ours)."""
        found = self._leg(leg)
        found.announced = False
        self._forget_referrals(leg)
        for tx in [tx for tx in self._tx.by_handle.values() if tx.leg == leg]:
            self._tx.drop(tx)
        self._drop_leg(found, out)

    def next_deadline(self) -> int | None:
        """When handle_timeout must be called, None for never (ours)."""
        first = self._timers.next_deadline()
        other = self._flows.timers.next_deadline()
        return first if other is None else other if first is None else min(first, other)

    def handle_timeout(self, now: int, out: list[Output]) -> None:
        """Do what is due by `now`; early and repeated calls do nothing (ours)."""
        while (flow := self._flows.timers.pop_due(now)) is not None:
            self._hang_up(now, flow, "slow", out)
        while (key := self._timers.pop_due(now)) is not None:
            handle, timer = key >> 3, key & 7
            if timer <= BOUND_TIMER:
                tx = self._tx.by_handle[handle]
                event = Input.EXPIRE if timer == BOUND_TIMER else Input.RESEND
                if self._tx.step(now, tx, event, out):
                    if isinstance(tx, ClientTransaction):
                        self._client_expired(now, tx, out)
                    else:
                        self._server_expired(now, tx, out)
                elif isinstance(tx, ServerTransaction) and tx.state is State.TERMINATED:
                    self._refusal_over(now, tx, out)
            elif timer == FORWARD_TIMER:
                self._forward_due(now, handle, out)
            elif handle in self._usages:
                self._usage_due(now, self._usages[handle], timer, out)
            elif handle in self._referrals:
                self._referral_due(now, self._referrals[handle], timer, out)
            elif timer == ACCEPTED_TIMER:
                self._accept_again(now, self._legs[handle], out)
            elif timer == ACK_TIMER:
                self._never_acked(now, self._legs[handle], out)
            elif timer == PROVISIONAL_TIMER:
                self._provisional_due(now, self._legs[handle], out)
            elif timer == OFFER_TIMER:
                self._offer_due(now, self._legs[handle], out)
            else:
                self._session_due(now, self._legs[handle], out)

    def idle(self) -> bool:
        """Whether every table is empty (ours)."""
        return not any(self.counts().values())

    def counts(self) -> dict[str, int]:
        """Entries by table (ours)."""
        return {
            "legs": len(self._legs),
            "dialogs": len(self._by_dialog),
            "subscriptions": len(self._usages),
            "referrals": len(self._referrals),
            "clients": len(self._tx.clients),
            "servers": len(self._tx.servers),
            "merged": len(self._tx.merged),
            "flows": len(self._flows),
            "timers": len(self._timers) + len(self._flows.timers),
        }

    def check(self) -> None:
        """Assert that the tables agree with each other (ours)."""
        self._tx.check()
        self._flows.check()
        self._check_forwards()
        assert len(self._usages) == len(self._by_usage)
        for handle, usage in self._usages.items():
            assert usage.id == handle == self._by_usage[usage.key()]
            assert handle * 8 + ACK_TIMER in self._timers
        assert sum(len(of) for of in self._referrals_of.values()) == len(self._referrals)
        for handle, referral in self._referrals.items():
            assert referral.id == handle
            assert handle in self._referrals_of[referral.leg]
            assert self._legs[referral.leg].announced
        assert len(self._legs) == len(self._by_dialog)
        for handle, leg in self._legs.items():
            assert leg.id == handle == self._by_dialog[leg.dialog.call_id, leg.dialog.local_tag]
            assert leg.state is not LegState.GONE
            assert (leg.accepted is not None) == (handle * 8 + ACCEPTED_TIMER in self._timers)
            out = leg.provisionals is not None and leg.provisionals.sent is not None
            assert out == (handle * 8 + PROVISIONAL_TIMER in self._timers)
            waiting = leg.arbiter.state is OfferState.WAITING
            assert not waiting or handle * 8 + OFFER_TIMER in self._timers
            assert not leg.incoming or leg.arbiter.is_open(leg.incoming)
            armed = leg.session is not None and leg.session.next_deadline() is not None
            assert armed == (handle * 8 + SESSION_TIMER in self._timers)
