"""What programs ask of calls: make, answer, release, hold, route, transfer, attach data (published call models)."""

from __future__ import annotations

from collections.abc import Callable

from cluster_core.core import Cause, Core
from cluster_core.dial_plan import DialPlan, Target
from cluster_core.outputs import AnyOutput
from cluster_core.records import CallRecord, PartyRecord
from cluster_core.requests import Requests
from cluster_core.rights import Condition
from cluster_core.session_controller.attached import REQUESTS, Attached
from cluster_core.session_controller.calls import Calls
from cluster_core.session_controller.consult import Consult
from cluster_core.session_controller.delivery import Delivery
from cluster_core.session_controller.digits import Digits
from cluster_core.session_controller.legs import Legs, Stage
from cluster_core.session_controller.routing import Routing
from cluster_core.session_controller.tables import NULL, RINGING, PartyInput
from cluster_core.session_controller.talk import Talk
from cluster_core.settings import DnType
from tlib_proto import Attribute, CallInfoType, CallType, DNRole, KVList, Message, MessageType, Value

_TO_ANOTHER = (
    MessageType.RequestSingleStepTransfer,
    MessageType.RequestInitiateTransfer,
    MessageType.RequestMuteTransfer,
)


class Control:
    """Requests of programs on this node's calls."""

    def __init__(
        self,
        core: Core,
        requests: Requests,
        calls: Calls,
        legs: Legs,
        delivery: Delivery,
        routing: Routing,
        talk: Talk,
        plan: DialPlan,
    ) -> None:
        self._core = core
        self._requests = requests
        self._calls = calls
        self._legs = legs
        self._delivery = delivery
        self._routing = routing
        self._talk = talk
        self._plan = plan
        self.consult: Consult
        self.transfer: Callable[[int, PartyRecord, str, KVList, Cause, list[AnyOutput]], None]
        self.left: Callable[[int, PartyRecord, int, list[AnyOutput]], bool]
        self.redirect: Callable[[int, PartyRecord, Target, Cause, list[AnyOutput]], None]
        self._attached = Attached(core, requests, calls)
        self._digits = Digits(requests, calls, legs)
        self._asked: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._asked) + len(self._digits)

    def request(self, now: int, message: Message, cause: Cause, out: list[AnyOutput]) -> None:
        """Serve one request; every way ends in an event for the requester or in EventError."""
        self._request(now, message, cause, out)
        if self.consult:
            self.consult.serve(now, out)

    def _request(self, now: int, message: Message, cause: Cause, out: list[AnyOutput]) -> None:
        if message.id == MessageType.RequestMakeCall:
            self._make(now, message, cause, out)
            return
        call = self._calls.calls.get(message.number(Attribute.ConnID))
        if call is None:
            self._requests.fail(now, cause, Condition.INVALID_CONNID, out)
            return
        party = self._calls.party_on(call, message.text(Attribute.ThisDN))
        if party is None or party.state == NULL:
            self._requests.fail(now, cause, Condition.NO_SUCH_PARTY, out)
        elif message.id == MessageType.RequestRouteCall:
            self._routing.route(now, call, message, cause, out)
        elif message.id in REQUESTS:
            self._attached.request(now, call, party, message, cause, out)
        elif message.id == MessageType.RequestAnswerCall:
            self._answer(now, party, cause, out)
        elif message.id == MessageType.RequestReleaseCall:
            self._release(now, call, party, cause, out)
        elif message.id == MessageType.RequestHoldCall:
            self._talk.program(now, party, PartyInput.HOLD, cause, out)
        elif message.id == MessageType.RequestRetrieveCall:
            self._talk.program(now, party, PartyInput.RETRIEVE, cause, out)
        elif message.id in _TO_ANOTHER:
            self._transfer(now, call, party, message, cause, out)
        elif message.id == MessageType.RequestCompleteTransfer:
            self.consult.complete(now, party, message, cause, out)
        elif message.id == MessageType.RequestReconnectCall:
            self.consult.reconnect(now, party, message, cause, out)
        elif message.id == MessageType.RequestAlternateCall:
            self.consult.alternate(now, party, message, cause, out)
        elif message.id == MessageType.RequestRedirectCall:
            self._redirect(now, call, party, message, cause, out)
        elif message.id == MessageType.RequestClearCall:
            self._clear(now, call, party, cause, out)
        elif message.id == MessageType.RequestSendDTMF:
            self._digits.request(now, party, message, cause, out)
        elif message.id == MessageType.RequestQueryCall:
            self._query(now, call, party, message, cause, out)
        else:
            self._requests.fail(now, cause, Condition.UNSUPPORTED, out, name=message.name)

    def notified(self, now: int, handle: int, status: int, out: list[AnyOutput]) -> None:
        """A phone has answered a digit; or NOTIFY talk: it will answer by itself, or does not do that and rings on."""
        if self._digits.responded(now, handle, status, out):
            return
        party = self._calls.parties.get(self._asked.pop(handle, 0))
        if party is not None and not 200 <= status < 300:
            cause = self._calls.expected(party, PartyInput.ANSWER)
            self._requests.fail(now, cause, Condition.PHONE_REFUSED, out, dn=party.dn)

    def _make(self, now: int, message: Message, cause: Cause, out: list[AnyOutput]) -> None:
        dn = message.text(Attribute.ThisDN)
        number = message.text(Attribute.OtherDN)
        known = self._core.settings.dns.get(dn)
        target = self._plan.find(number)
        if known is None or known.type is not DnType.EXTENSION:
            self._requests.fail(now, cause, Condition.INVALID_ATTRIBUTE, out, attribute="ThisDN")
        elif not number:
            self._requests.fail(now, cause, Condition.MISSING_ATTRIBUTE, out, attribute="OtherDN")
        elif target.kind is None or target.dn == dn:
            self._requests.fail(now, cause, Condition.INVALID_DESTINATION, out)
        elif self._calls.busy(dn):
            self._requests.fail(now, cause, Condition.TOO_MANY, out)
        else:
            user_data = message.pairs(Attribute.UserData)
            kind = CallType.Outbound if target.kind is DnType.TRUNK else CallType.Internal
            if not self._attached.fits(user_data):
                self._requests.fail(now, cause, Condition.USER_DATA_TOO_LARGE, out)
                return
            call = self._calls.create(now, kind, dn, number, user_data, out)
            if call is None:
                self._requests.fail(now, cause, Condition.TOO_MANY, out)
                return
            party = self._calls.add(call, dn, "extension", DNRole.Origination, 0, number)
            self._calls.expect(party, PartyInput.DIAL, cause)
            self._delivery.make(now, call, dn, out)

    def _answer(self, now: int, party: PartyRecord, cause: Cause, out: list[AnyOutput]) -> None:
        """Ask the ringing phone to answer by itself: NOTIFY with Event: talk, in its early dialog (design 11)."""
        ringing = party.state == RINGING and self._legs.stage(party.leg) is Stage.OUTGOING
        if not ringing or self._calls.is_expected(party, PartyInput.ANSWER):
            self._requests.fail(now, cause, Condition.WRONG_STATE, out, dn=party.dn)
            return
        known = self._core.settings.dns.get(party.dn)
        if known is not None and known.sip_cti_control != "talk":
            self._requests.fail(now, cause, Condition.PHONE_REFUSED, out, dn=party.dn)
            return
        handle = self._legs.talk(now, party.leg)
        if handle is None:
            self._requests.fail(now, cause, Condition.PHONE_REFUSED, out, dn=party.dn)
            return
        self._asked[handle] = party.party
        self._calls.expect(party, PartyInput.ANSWER, cause)

    def _release(
        self, now: int, call: CallRecord, party: PartyRecord, cause: Cause, out: list[AnyOutput]
    ) -> None:
        if party.kind == "queue":
            self._requests.fail(now, cause, Condition.WRONG_STATE, out, dn=party.dn)
            return
        self._calls.expect(party, PartyInput.RELEASE, cause)
        if self.left(now, party, 603, out):
            return
        by_caller = party.role == DNRole.Origination
        self._delivery.hang_up(now, call, out, 603, abandoned=by_caller)

    def _clear(
        self, now: int, call: CallRecord, party: PartyRecord, cause: Cause, out: list[AnyOutput]
    ) -> None:
        """TClearCall: everybody is released, also where TReleaseCall would leave the others talking."""
        if party.kind == "queue":
            self._requests.fail(now, cause, Condition.WRONG_STATE, out, dn=party.dn)
            return
        self._calls.expect(party, PartyInput.RELEASE, cause)
        self._delivery.hang_up(now, call, out, 603, abandoned=party.role == DNRole.Origination)

    def _redirect(
        self,
        now: int,
        call: CallRecord,
        party: PartyRecord,
        message: Message,
        cause: Cause,
        out: list[AnyOutput],
    ) -> None:
        """TRedirectCall: a call that rings goes to somebody else, as if it had been for that one."""
        number = message.text(Attribute.OtherDN)
        target = self._plan.find(number)
        caller = self._calls.other(party)
        rings = party.state == RINGING and self._legs.stage(party.leg) is Stage.OUTGOING
        # At a Routing Point only somebody can wait whose INVITE waits, too.
        waits = caller is not None and self._legs.stage(caller.leg) is Stage.INCOMING
        fits = waits or target.kind is not DnType.ROUTING_POINT
        if not rings or not fits or self._delivery.early.is_told(party.leg):
            self._requests.fail(now, cause, Condition.WRONG_STATE, out, dn=party.dn)
        elif target.kind is None or caller is None or self._calls.party_on(call, target.dn) is not None:
            self._requests.fail(now, cause, Condition.INVALID_DESTINATION, out)
        else:
            self.redirect(now, party, target, cause, out)

    def _query(
        self,
        now: int,
        call: CallRecord,
        party: PartyRecord,
        message: Message,
        cause: Cause,
        out: list[AnyOutput],
    ) -> None:
        """TQueryCall: EventPartyInfo with the call's data; Extensions have `dn-N`, `role-N`, `ps-N` of its parties."""
        info = message.number(Attribute.CallInfoType, CallInfoType.PartiesQuery)
        if info not in (CallInfoType.PartiesQuery, CallInfoType.StatusQuery):
            self._requests.fail(now, cause, Condition.INVALID_ATTRIBUTE, out, attribute="CallInfoType")
            return
        there = [one for one in self._calls.of(call) if one.state != NULL]
        pairs: list[tuple[str, int | str]] = [("parties", len(there))]
        for n, one in enumerate(there, 1):
            pairs += [(f"dn-{n}", one.dn), (f"role-{n}", one.role), (f"ps-{n}", one.state)]
        attributes: dict[int, Value] = {
            Attribute.ConnID: call.conn_id,
            Attribute.ThisDN: party.dn,
            Attribute.CallInfoType: info,
            Attribute.CallID: call.conn_id & 0xFFFF_FFFF,
            Attribute.CallType: call.call_type,
            Attribute.UserData: call.user_data,
            Attribute.Extensions: tuple(pairs),
        }
        self._requests.tell(now, cause, Message(MessageType.EventPartyInfo, 0, attributes), out)

    def _transfer(
        self, now: int, call: CallRecord, party: PartyRecord, message: Message, cause: Cause, out: list[AnyOutput]
    ) -> None:
        """TSingleStepTransfer, whose user data joins the call; TInitiateTransfer, whose is the new call's; and
        TMuteTransfer, whose is at first the one and then the other.
        """
        given = message.pairs(Attribute.UserData)
        joined = (*call.user_data, *given)
        joins = message.id != MessageType.RequestInitiateTransfer
        if not self._attached.fits(joined if joins else given):
            self._requests.fail(now, cause, Condition.USER_DATA_TOO_LARGE, out)
        elif message.id == MessageType.RequestSingleStepTransfer:
            self.transfer(now, party, message.text(Attribute.OtherDN), joined, cause, out)
        else:
            self.consult.initiate(now, party, message, given, cause, out)
