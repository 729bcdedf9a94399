"""What happens in the demo, step by step, and what must have been seen at its end (ours)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from refserver.client import TLibError
from refserver.demo_cast import (
    AGENT,
    CALLER_NUMBER,
    OTHER_AGENT,
    PARTS,
    ROUTING_POINT,
    Cast,
    DemoError,
)
from refserver.demo_record import Record
from refserver.phone import PhoneEventKind
from tlib_proto.constants import AddressType, Attribute, MessageType

M = MessageType
Kind = PhoneEventKind
Title = Callable[[str], Awaitable[None]]

CALL_EVENTS = (
    M.EventRinging,
    M.EventEstablished,
    M.EventAttachedDataChanged,
    M.EventHeld,
    M.EventRetrieved,
    M.EventReleased,
)
ROUTING_EVENTS = (M.EventQueued, M.EventRouteRequest, M.EventRouteUsed, M.EventDiverted)
USER_DATA = {"customer": "Ada", "order": "4711"}


class Story:
    """The steps; each waits for what it expects, with a deadline."""

    def __init__(self, cast: Cast, title: Title) -> None:
        self._cast = cast
        self._title = title
        self.conn_id = 0

    async def tell(self) -> None:
        """From the first connection to the end of the call; raises what a step met."""
        await self._clients()
        await self._phones()
        await self._agents()
        await self._inbound()
        await self._route()
        await self._answer()
        await self._data()
        await self._hold()
        await self._hangup()
        await self._refusals()
        await self._title("")

    async def _clients(self) -> None:
        cast = self._cast
        await self._title("Clients connect, each to the port of its kind, and say what they want to see")
        for part in PARTS:
            await cast.dial(part)
        await cast.URS.register_address(ROUTING_POINT, address_type=AddressType.RouteDN)
        for dn in (OTHER_AGENT, AGENT):
            await cast.GWS.register_address(dn)
        await cast.SFS1.register_all(node_dns=True)
        await cast.SFS2.register_all(node_dns=True)
        await cast.ICON.start_session("demo")
        for dn in (OTHER_AGENT, AGENT):
            await cast.Stat.register_address(dn)
        await cast.Stat.register_address(ROUTING_POINT, address_type=AddressType.RouteDN)

    async def _phones(self) -> None:
        cast = self._cast
        await self._title(f"Phones register: {OTHER_AGENT} at n1, {AGENT} at n2, which makes n2 its owner")
        for dn, node in ((OTHER_AGENT, "n1"), (AGENT, "n2")):
            await cast.phone(dn, node).register()
            await cast.GWS.wait_for(M.EventDNBackInService, dn=dn)
            await cast.Stat.wait_for(M.EventDNBackInService, dn=dn)

    async def _agents(self) -> None:
        cast = self._cast
        await self._title(f"Agents log in from a desktop at n1; that of {AGENT} is kept by n2")
        for dn in (OTHER_AGENT, AGENT):
            await cast.GWS.agent_login(dn, f"A{dn}")
            await cast.GWS.agent_set_ready(dn)
            await cast.Stat.wait_for(M.EventAgentReady, dn=dn)

    async def _inbound(self) -> None:
        cast = self._cast
        await self._title(f"A call comes in to Routing Point {ROUTING_POINT} on n1, which asks the router")
        await cast.phone(CALLER_NUMBER, "n1", password="").call(ROUTING_POINT)
        request = await cast.URS.wait_for(M.EventRouteRequest, dn=ROUTING_POINT)
        self.conn_id = request.number(Attribute.ConnID)

    async def _route(self) -> None:
        cast = self._cast
        await self._title(f"The router sends the call to {AGENT}: n1 asks n2 where it rings")
        await cast.URS.route_call(ROUTING_POINT, self.conn_id, AGENT)
        await cast.phones[AGENT].wait_for(Kind.INCOMING)
        await cast.GWS.wait_for(M.EventRinging, dn=AGENT, conn_id=self.conn_id)
        await cast.phones["caller"].wait_for(Kind.RINGING)

    async def _answer(self) -> None:
        cast = self._cast
        await self._title("The agent answers on the desktop: TAnswerCall, and the phone is told to talk")
        await cast.GWS.answer_call(AGENT, self.conn_id)
        await cast.phones[AGENT].wait_for(Kind.ESTABLISHED)
        await cast.phones["caller"].wait_for(Kind.ESTABLISHED)

    async def _data(self) -> None:
        cast = self._cast
        await self._title("The desktop attaches data to the call")
        await cast.GWS.attach_user_data(AGENT, self.conn_id, USER_DATA)
        await cast.Stat.wait_for(M.EventAttachedDataChanged, dn=AGENT)

    async def _hold(self) -> None:
        cast = self._cast
        await self._title("Hold, and retrieve")
        await cast.GWS.hold_call(AGENT, self.conn_id)
        await cast.Stat.wait_for(M.EventHeld, dn=AGENT)
        await cast.GWS.retrieve_call(AGENT, self.conn_id)
        await cast.Stat.wait_for(M.EventRetrieved, dn=AGENT)

    async def _hangup(self) -> None:
        cast = self._cast
        await self._title("The caller hangs up")
        await cast.phones["caller"].hangup()
        await cast.phones[AGENT].wait_for(Kind.ENDED)
        for client in (cast.GWS, cast.SFS2, cast.Stat):
            await client.wait_for(M.EventReleased, dn=AGENT, conn_id=self.conn_id)
        await cast.ICON.wait_for(M.EventCallDeleted)

    async def _refusals(self) -> None:
        cast = self._cast
        await self._title("Each port serves its kind only")
        attempts: tuple[tuple[str, Callable[[], Awaitable[object]]], ...] = (
            ("an agent request on SmartProxy", lambda: cast.Stat.agent_set_ready(AGENT)),
            ("the bulk request on the default port", lambda: cast.URS.register_all()),
            ("a registration on IPport", lambda: cast.ICON.register_address(AGENT)),
        )
        for what, attempt in attempts:
            try:
                await attempt()
            except TLibError:
                continue
            raise DemoError(f"{what} was not refused")


def verify(record: Record, conn_id: int) -> list[tuple[bool, str]]:
    """What must hold of what was seen: verdict and sentence, in order."""
    findings: list[tuple[bool, str]] = []

    def names(who: str, dn: str, wanted: tuple[M, ...]) -> list[str]:
        return [message.name for message in record.received(who, dn) if message.id in wanted]

    expected = [kind.name for kind in CALL_EVENTS]
    for who, text in (
        ("GWS", "the desktop at n1"),
        ("SFS2", "the smart client at n2"),
        ("Stat", "the monitor at n2"),
    ):
        seen = names(who, AGENT, CALL_EVENTS)
        findings.append((seen == expected, f"{text} saw the call at {AGENT}: {_short(seen)}"))
    seen = names("SFS1", AGENT, CALL_EVENTS)
    findings.append((not seen, f"the smart client at n1 saw nothing of {AGENT}, which n2 owns{_unless(seen)}"))
    routed = [kind.name for kind in ROUTING_EVENTS]
    for who, text in (
        ("URS", "the router at n1"),
        ("SFS1", "the smart client at n1"),
        ("Stat", "the monitor at n2"),
    ):
        seen = names(who, ROUTING_POINT, ROUTING_EVENTS)
        findings.append((seen == routed, f"{text} saw Routing Point {ROUTING_POINT} of n1: {_short(seen)}"))
    calls = [m.name for m in record.received("ICON") if m.id in (M.EventCallCreated, M.EventCallDeleted)]
    findings.append((calls == ["EventCallCreated", "EventCallDeleted"], f"reporting saw the call: {_short(calls)}"))
    ids = {
        message.number(Attribute.ConnID)
        for part in PARTS
        for message in record.received(part.column.key)
        if message.id in (*CALL_EVENTS, *ROUTING_EVENTS, M.EventCallCreated, M.EventCallDeleted)
        and Attribute.ConnID in message.attributes
    }
    shown = ", ".join(f"{number:016x}" for number in sorted(ids)) or "none"
    findings.append((ids == {conn_id}, f"one ConnID, whoever looked and wherever: {shown}"))
    return findings


def _short(names: list[str]) -> str:
    return ", ".join(name.removeprefix("Event") for name in names) or "nothing"


def _unless(names: list[str]) -> str:
    return f", but it saw {_short(names)}" if names else ""
