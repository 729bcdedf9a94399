"""Calls that a program makes, and whoever is brought to an answered phone: third-party call control (RFC 3725).

The machine of `sip_proto` says what is done next; here it is done. Side A is the phone that is there, B who is called.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from cluster_core.outputs import AnyOutput
from cluster_core.records import CallRecord, PartyRecord
from cluster_core.session_controller import media
from cluster_core.session_controller.calls import Calls
from cluster_core.session_controller.legs import Legs
from cluster_core.session_controller.talk import Talk
from sip_proto.tables_third_party import Flow, Side, ThirdPartyState
from sip_proto.third_party import Acknowledge, Broken, Invite, Joined, Offer, ThirdParty, ThirdPartyOutput


class Made(msgspec.Struct):
    """A call that is being made: its machine, the parties of the sides, what B is offered; `early` once B has made its
    offer before its 2xx, in the branch `tag`, whose PRACK or ACK is owed as `prack` says. No program makes one that is
    `brought`: A has talked to another before."""

    machine: ThirdParty
    parties: list[int]
    offer: bytes = b""
    early: bool = False
    prack: bool = False
    tag: str = ""
    brought: bool = False


class Making:
    """Calls between the first phone's INVITE and the last description."""

    def __init__(self, calls: Calls, legs: Legs, talk: Talk) -> None:
        self._calls = calls
        self._legs = legs
        self._talk = talk
        self.onward: Callable[[int, CallRecord, list[AnyOutput]], None]
        self.broken: Callable[[int, CallRecord, int, list[AnyOutput]], None]
        self.unheard: Callable[[int, PartyRecord, str], None]
        self._made: dict[int, Made] = {}

    def __len__(self) -> int:
        return len(self._made)

    def has(self, conn_id: int) -> bool:
        """Whether the call is being made."""
        return conn_id in self._made

    def offer(self, conn_id: int) -> bytes:
        """What who is called is offered; b"" lets it make the offer."""
        made = self._made.get(conn_id)
        return b"" if made is None else made.offer

    def start(self, now: int, call: CallRecord, maker: PartyRecord, flow: int, out: list[AnyOutput]) -> bytes:
        """A program's call begins: what the maker's phone is offered, b"" when it makes the offer."""
        machine = ThirdParty(self._legs.host, maker.party)
        self._made[call.conn_id] = Made(machine, [maker.party, 0])
        said: list[ThirdPartyOutput] = []
        machine.start(now, Flow(flow), said)
        (invite,) = said
        assert isinstance(invite, Invite)
        return invite.body

    def maker_answered(self, now: int, call: CallRecord, body: bytes, out: list[AnyOutput]) -> None:
        """The maker's phone has answered: on to whom it wants."""
        made = self._made[call.conn_id]
        said: list[ThirdPartyOutput] = []
        made.machine.answered(now, Side.A, body, said)
        self._do(now, call, made, said, out)

    def called_offers(
        self,
        now: int,
        call: CallRecord,
        there: PartyRecord,
        party: PartyRecord,
        body: bytes,
        tag: str,
        out: list[AnyOutput],
    ) -> None:
        """Who is called makes its offer before its 2xx, in a reliable 1xx of that branch (RFC 3262 section 5)."""
        made = self._made.get(call.conn_id) or self._brought(now, call, there)
        made.early = made.prack = True
        made.tag = tag
        self._answered(now, call, made, party, body, out)

    def called_answered(
        self, now: int, call: CallRecord, there: PartyRecord, party: PartyRecord, body: bytes, out: list[AnyOutput]
    ) -> None:
        """Who is called has answered: with its offer for who is there, or with its answer."""
        made = self._made.get(call.conn_id)
        if made is None:
            made = self._brought(now, call, there)
        if made.early:
            made.prack = False
            if self._over(made):
                self._legs.ack(now, party.leg)
                del self._made[call.conn_id]
            return
        self._answered(now, call, made, party, body, out)

    def offer_answered(self, now: int, party: PartyRecord, body: bytes, out: list[AnyOutput]) -> None:
        """The phone that is there answered the offer of who is called."""
        call = self._calls.calls[party.conn_id]
        made = self._made[call.conn_id]
        said: list[ThirdPartyOutput] = []
        party.sdp = body or party.sdp
        self._calls.keep(call, party)
        made.machine.offer_answered(now, Side.A, body, said)
        self._do(now, call, made, said, out)

    def offer_refused(self, now: int, leg: int, status: int, out: list[AnyOutput]) -> None:
        """The phone that is there does not want the offer of who is called, or is gone."""
        party = self._calls.of_leg(leg)
        call = None if party is None else self._calls.calls[party.conn_id]
        made = None if call is None else self._made.get(call.conn_id)
        if party is None or call is None or made is None:
            return
        if made.brought and made.prack:
            # It goes on with what it had, and who is called rings on.
            self.forget(call.conn_id)
            self._talk.facing.gone(leg)
            self.unheard(now, self._calls.parties[made.parties[Side.B]], made.tag)
            self._talk.begun(now, leg, out)
            return
        said: list[ThirdPartyOutput] = []
        made.machine.refused(now, Side.A, status, said)
        self._do(now, call, made, said, out)

    def forget(self, conn_id: int) -> None:
        """The call is over."""
        self._made.pop(conn_id, None)

    def _brought(self, now: int, call: CallRecord, there: PartyRecord) -> Made:
        """Somebody who talked to another gets who was called for it: as if it had been called without an offer."""
        machine = ThirdParty(self._legs.host, there.party)
        said: list[ThirdPartyOutput] = []
        machine.start(now, Flow.III, said)
        machine.answered(now, Side.A, there.sdp or media.nothing(self._legs.host), said)
        made = self._made[call.conn_id] = Made(machine, [there.party, 0], brought=True)
        return made

    def _answered(
        self, now: int, call: CallRecord, made: Made, party: PartyRecord, body: bytes, out: list[AnyOutput]
    ) -> None:
        made.parties[Side.B] = party.party
        said: list[ThirdPartyOutput] = []
        made.machine.answered(now, Side.B, body, said)
        self._do(now, call, made, said, out)

    def _do(
        self, now: int, call: CallRecord, made: Made, said: list[ThirdPartyOutput], out: list[AnyOutput]
    ) -> None:
        for deed in said:
            if isinstance(deed, Acknowledge):
                self._acknowledge(now, made, deed)
            elif isinstance(deed, Invite):
                made.offer = deed.body
                self.onward(now, call, out)
            elif isinstance(deed, Offer):
                there, party = (self._calls.parties[number] for number in made.parties)
                if not self._talk.offer(now, there, party, deed.body, out):
                    self.offer_refused(now, there.leg, 500, out)
            elif isinstance(deed, Joined):
                self._joined(now, call, made, out)
            elif isinstance(deed, Broken):
                # End, before it, is what becomes of each leg of a call that is hung up.
                self.forget(call.conn_id)
                self.broken(now, call, deed.status or 480, out)

    def _acknowledge(self, now: int, made: Made, deed: Acknowledge) -> None:
        party = self._calls.parties.get(made.parties[deed.side])
        if party is None:
            return
        body = self._legs.shape(party, deed.body)
        if deed.side is Side.B and made.prack:
            self._legs.prack(now, party.leg, body, made.tag)
        else:
            self._legs.ack(now, party.leg, body)

    def _joined(self, now: int, call: CallRecord, made: Made, out: list[AnyOutput]) -> None:
        party = self._calls.parties.get(made.parties[Side.A])
        if not made.prack:
            del self._made[call.conn_id]
        if party is not None:
            self._talk.begun(now, party.leg, out)

    def _over(self, made: Made) -> bool:
        return made.machine.state is ThirdPartyState.JOINED
