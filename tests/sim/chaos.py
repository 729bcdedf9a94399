"""A cluster under faults, drawn from a seed: some seconds of everything at once, then healing, then all must agree.

`python -m tests.sim.chaos SEED` plays one seed again and prints the hash of its trace.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from contextlib import suppress

from cluster_core.settings import ClientRole
from sip_proto import LocalError
from tests.sim.actors import Client
from tests.sim.cluster import PSTN, Cluster
from tests.sim.session_phone import SessionPhone
from tests.sim.world import MILLISECOND, SECOND
from tlib_proto import AgentWorkMode, Attribute, ForwardMode, KVList, Message, MessageType, PartyState

M = MessageType
FAULTS = 0.15
CHAOS_US = 6 * SECOND
HEALING_US = 9 * SECOND
NUMBERS = ("1001", "1002", "1003", "8000", "8001", PSTN, "9123")
TRANSFERS = (
    *(M.RequestSingleStepTransfer, M.RequestInitiateTransfer),
    *(M.RequestCompleteTransfer, M.RequestCompleteTransfer, M.RequestReconnectCall),
    *(M.RequestAlternateCall, M.RequestAlternateCall, M.RequestMuteTransfer, M.RequestMuteTransfer),
)
DATA = (M.RequestAttachUserData, M.RequestUpdateUserData, M.RequestDeletePair, M.RequestDeleteUserData)
FEATURES = (
    *(M.RequestSetDNDOn, M.RequestSetDNDOff, M.RequestSetDNDOff),
    *(M.RequestCallForwardSet, M.RequestCallForwardSet, M.RequestCallForwardCancel),
)
AGENT_REQUESTS = (M.RequestAgentLogin, M.RequestAgentReady, M.RequestAgentNotReady, M.RequestAgentLogout)


class Chaos:
    """One seed's cluster, its users, and what befalls them."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        rng = self.rng
        self.names = [f"n{n}" for n in range(1, rng.choice((2, 2, 3)) + 1)]
        self.cluster = Cluster(len(self.names), seed=seed, optimised=rng.random() < 0.6, strict=False, phones=3)
        self.world = self.cluster.world
        wires = self.world.wires
        if rng.random() < 0.5:
            wires.loss, wires.duplicate = rng.choice((0.0, 0.05)), rng.choice((0.0, 0.05))
            wires.jitter_us = rng.choice((0, 20_000))
        self.phones: list[SessionPhone] = []
        for number in ("1001", "1002", "1003"):
            phone = SessionPhone(
                self.world,
                number,
                rng.choice(self.names),
                ("198.51.100.1", 10_000 + len(self.cluster.phones)),
                reliable=rng.choice(("no", "supported", "supported", "required")),
            )
            self.cluster.phones[number] = phone
            phone.on_invite = rng.choice(("ring", "ring", "answer", "486"))
            phone.on_offer = rng.choice(("answer", "answer", "488", "491"))
            phone.offerless = rng.random() < 0.2
            self.phones.append(phone)
            phone.register()
        self.pstn = self.cluster.caller()
        self.desktops: list[Client] = []
        self.routers: list[Client] = []
        for name in self.names:
            self._client(self.desktops, "Desk", ClientRole.DESKTOP, name)
            self._client(self.routers, "URS", ClientRole.ROUTER, name)
        self.others: list[Client] = []
        self._client(self.others, "Stat", ClientRole.MONITOR, rng.choice(self.names))
        self._client(self.others, "SFS", ClientRole.SMART, rng.choice(self.names))
        self._client(self.others, "ICON", ClientRole.REPORTING, rng.choice(self.names))
        self._client(self.others, "GWS", ClientRole.DESKTOP, rng.choice(self.names), "gws")
        self.everybody = [*self.desktops, *self.routers, *self.others]
        for client in self.everybody:
            self.introduce(client)
        faults: list[Callable[[], None]] = [self.cut, self.heal, self.crash, self.restart, self.engine]
        rng.shuffle(faults)
        self.faults = faults[: rng.randint(0, 5)] if rng.random() < 0.9 else []
        if self.crash in self.faults and self.restart not in self.faults:
            self.faults.append(self.restart)

    def _client(self, to: list[Client], name: str, role: ClientRole, node: str, secret: str = "") -> None:
        to.append(self.cluster.client(name, role, node, secret))

    def introduce(self, client: Client) -> None:
        """What a client asks first, once it is connected."""
        if client.linked is None:
            return
        if client.role == "smart":
            client.request(M.RequestRegisterAll, Extensions=(("node-dns", 1),))
        elif client.role == "reporting":
            client.request(M.RequestPrivateService, PrivateMsgID=1, Extensions=behind(client))
        else:
            dns = ("8000", "8001") if client.role == "router" else ("1001", "1002", "1003", "8000", PSTN)
            for dn in dns:
                client.request(M.RequestRegisterAddress, ThisDN=dn)

    # What users do.

    def use(self) -> None:
        """Somebody does something."""
        action = self.rng.choice(
            (
                self.dial,
                self.dial,
                self.pick_up,
                self.pick_up,
                self.hang_up,
                self.hold,
                self.session,
                self.session,
                self.session,
                self.transfer,
                self.transfer,
                self.take_over,
                self.watch,
                self.agent,
                self.feature,
                self.call_control,
                self.call_control,
                self.route,
                self.route,
                self.make,
                self.register,
                self.come_and_go,
            )
        )
        try:
            action()
        except LocalError:  # the phone's call has moved on meanwhile
            return

    def dial(self) -> None:
        phone = self.rng.choice([*self.phones, self.pstn])
        phone.call(self.rng.choice(NUMBERS if phone is not self.pstn else NUMBERS[:5]))

    def pick_up(self) -> None:
        for phone in [*self.phones, self.pstn]:
            ringing = [leg for leg, state in phone.calls.items() if state == "ringing"]
            if ringing:
                phone.answer(ringing[0])
                return

    def hang_up(self) -> None:
        phone = self.rng.choice([*self.phones, self.pstn])
        if phone.calls:
            phone.hang_up(self.rng.choice(list(phone.calls)))

    def hold(self) -> None:
        phone = self.rng.choice(self.phones)
        talking = [leg for leg, state in phone.calls.items() if state == "talking"]
        if talking:
            phone.hold(self.rng.choice(("sendonly", "sendrecv", "inactive")), talking[0])

    def session(self) -> None:
        """A phone describes itself early, offers, asks, takes back, sends digits, or writes to somebody."""
        phone = self.rng.choice(self.phones)
        legs = list(phone.calls)
        if not legs:
            phone.text(self.rng.choice(NUMBERS), b"hello")
            return
        leg = self.rng.choice(legs)
        if phone.calls[leg] == "ringing" and self.rng.random() < 0.5:
            phone.progress(leg, reliable=self.rng.choice((None, False)))
            return
        self.rng.choice(
            (
                lambda: phone.update(self.rng.choice(("sendonly", "sendrecv")), leg),
                lambda: phone.ask_for_offer(leg),
                lambda: phone.withdraw(phone.hold("sendonly", leg), leg),
                lambda: phone.send("INFO", b"Signal=1", "application/dtmf-relay", leg),
                lambda: phone.send("MESSAGE", b"hello", "text/plain", leg),
            )
        )()

    def transfer(self) -> None:
        """A phone that has two calls brings the others together, one that has one hands it on."""
        phone = self.rng.choice([*self.phones, *self.phones, self.pstn])
        talking = [leg for leg, state in phone.calls.items() if state == "talking"]
        if len(talking) > 1:
            phone.transfer(self.rng.choice(NUMBERS[:3]), talking[0], to_leg=talking[1])
        elif talking:
            phone.transfer(self.rng.choice(NUMBERS), talking[0], silent=self.rng.random() < 0.2)
        if talking and self.rng.random() < 0.3:
            phone.hang_up(talking[0])

    def take_over(self) -> None:
        """A phone puts itself into another one's place."""
        one, other = self.rng.sample(self.phones, 2)
        if one.calls:
            leg = self.rng.choice(list(one.calls))
            other.take_over(one.number, one.sip.replaces_of(leg))

    def watch(self) -> None:
        """A phone looks at a lamp or its mailbox, or does not any more."""
        phone = self.rng.choice(self.phones)
        if phone.watches and self.rng.random() < 0.5:
            phone.unwatch(self.rng.choice([number for number, _ in phone.watches.values()]))
        number, event = self.rng.choice(NUMBERS[:5]), self.rng.choice(("dialog", "dialog", "message-summary"))
        if len(phone.watches) < 3 and number not in [there for there, _ in phone.watches.values()]:
            phone.watch(number, event)

    def desktop(self) -> Client | None:
        client = self.rng.choice(self.desktops)
        return None if client.linked is None or client.ended else client

    def agent(self) -> None:
        client = self.desktop()
        if client is not None:
            kind = self.rng.choice(AGENT_REQUESTS)
            dn = self.rng.choice(NUMBERS[:3])
            client.request(kind, ThisDN=dn, AgentID=f"a{dn}", AgentWorkMode=int(AgentWorkMode.ManualIn))

    def feature(self) -> None:
        client = self.desktop()
        if client is not None:
            kind = self.rng.choice(FEATURES)
            mode = self.rng.choice((ForwardMode.Unconditional, ForwardMode.OnBusy, ForwardMode.OnNoAnswer))
            given = {"ForwardMode": int(mode)} if kind is M.RequestCallForwardSet else {}
            client.request(kind, ThisDN=self.rng.choice(NUMBERS[:3]), OtherDN=self.rng.choice(NUMBERS), **given)

    def call_control(self) -> None:
        client = self.desktop()
        if client is None:
            return
        seen = [(dn, call) for dn, picture in client.pictures.items() for call in picture.calls.values()]
        if not seen:
            return
        dn, call = self.rng.choice(seen)
        if call.state == PartyState.Alerting:
            kind = self.rng.choice((M.RequestAnswerCall, M.RequestAnswerCall, M.RequestRedirectCall))
        else:
            ends = (M.RequestReleaseCall, self.rng.choice((M.RequestReleaseCall, M.RequestClearCall)))
            talks = (M.RequestHoldCall, M.RequestRetrieveCall, M.RequestSendDTMF)
            kind = self.rng.choice((*talks, self.rng.choice(ends), self.rng.choice(DATA), *TRANSFERS))
        also = [there.conn_id for there in client.pictures[dn].calls.values()]
        client.request(
            kind,
            ThisDN=dn,
            ConnID=call.conn_id,
            UserData=(("k", "v"),),
            OtherDN=self.rng.choice(NUMBERS),
            TransferConnID=also[0],
            PreviousConnID=also[-1],
            DataKey="k",
            DTMFDigits="12#",
        )

    def route(self) -> None:
        client = self.rng.choice(self.routers)
        asked = client.of(M.EventRouteRequest)
        if asked and client.linked is not None and not client.ended:
            event = asked[-1]
            client.request(
                M.RequestRouteCall,
                ThisDN=event.text(Attribute.ThisDN),
                ConnID=event.number(Attribute.ConnID),
                OtherDN=self.rng.choice(NUMBERS),
            )

    def make(self) -> None:
        client = self.desktop()
        if client is not None:
            one, other = self.rng.sample(NUMBERS[:4], 2)
            client.request(M.RequestMakeCall, ThisDN=one, OtherDN=other)

    def register(self) -> None:
        phone = self.rng.choice(self.phones)
        phone.register(self.rng.choice(self.names), self.rng.choice((600, 600, 0)))

    def come_and_go(self) -> None:
        client = self.rng.choice(self.everybody)
        if client.ended:
            self.reconnect(client)
        elif client.linked is not None:
            client.disconnect()

    def reconnect(self, client: Client) -> None:
        client.connect()
        self.world.after(100 * MILLISECOND, self.introduce, client)

    # What befalls them.

    def cut(self) -> None:
        a, b = self.rng.sample(self.names, 2)
        self.world.cut(a, b, silent=self.rng.random() < 0.3)

    def heal(self) -> None:
        for at, a in enumerate(self.names):
            for b in self.names[at + 1 :]:
                self.world.heal(a, b)

    def crash(self) -> None:
        alive = [name for name in self.names if self.cluster.hosts[name].alive]
        if len(alive) > 1:
            self.cluster.hosts[self.rng.choice(alive)].crash()

    def restart(self) -> None:
        for name in self.names:
            if not self.cluster.hosts[name].alive:
                self.cluster.hosts[name].start()

    def engine(self) -> None:
        host = self.cluster.hosts[self.rng.choice(self.names)]
        host.engine = not host.engine

    # The run.

    def run(self) -> str:
        """Chaos, healing, and what must hold at the end; returns the hash of the trace."""
        world = self.world
        end = world.now + CHAOS_US
        while world.now < end:
            world.run(self.rng.randint(20, 200) * MILLISECOND)
            if self.faults and self.rng.random() < FAULTS:
                self.rng.choice(self.faults)()
            self.use()
            world.check()
        self.heal_all()
        self.cluster.check()
        for client in self.everybody:
            late = [kind.name for ref, kind in client.asked.items() if ref not in client.answers and ref != 1]
            assert not late, f"{client.name} never had an answer to {late}"
            if client.role == "reporting":
                whole(client)
        self.nothing_left()
        return world.hash.hexdigest()

    def heal_all(self) -> None:
        """No fault any more; phones register where they live, everybody hangs up."""
        world = self.world
        world.wires.loss = world.wires.duplicate = 0.0
        world.wires.jitter_us = 0
        self.heal()
        self.restart()
        for host in self.cluster.hosts.values():
            host.engine = True
        world.run(4 * SECOND)
        for client in self.everybody:
            if client.ended:
                self.reconnect(client)
        world.run(2 * SECOND)
        # Nobody has done anything since, calls go on: healing alone has to bring everybody together.
        self.cluster.check()
        for phone in [*self.phones, self.pstn]:
            for number, _ in list(phone.watches.values()):
                with suppress(LocalError):
                    phone.unwatch(number)
            phone.on_invite = "486"
            for leg in list(phone.calls):
                try:
                    phone.hang_up(leg)
                except LocalError:
                    continue
        world.run(6 * SECOND)
        for phone in self.phones:
            phone.register()
        world.run(2 * SECOND)
        for client in self.everybody:
            if client.role == "desktop":
                for dn, picture in list(client.pictures.items()):
                    for call in picture.calls.values():
                        if call.state not in (PartyState.Queued, PartyState.NULL):
                            client.request(M.RequestReleaseCall, ThisDN=dn, ConnID=call.conn_id)
        world.run(HEALING_US)

    def nothing_left(self) -> None:
        """The phones are registered and have one owner each; calls that waited for a route are over."""
        for phone in self.phones:
            assert phone.registered == 200, f"{phone.number} was answered {phone.registered}"
            assert self.cluster.owner(phone.number), f"nobody owns {phone.number}"
        self.world.run(35 * SECOND)
        self.cluster.check()
        # A re-INVITE whose answer was lost with its dialog stays until its timer C, minutes later.
        self.cluster.quiet("sip_clients", "sip_timers")


def number_of(event: Message) -> int:
    """An event's number in its reporting session, 0 for any other message."""
    return int(str(dict(event.pairs(Attribute.Extensions)).get("SequenceId", 0)))


def behind(client: Client) -> KVList:
    """What a reporting client asks with: its session, behind the last event that it heard."""
    last = next((number_of(event) for event in reversed(client.events) if number_of(event)), 0)
    return (("SessionId", "icon"), *((("SequenceId", f"{last:016d}"),) if last else ()))


def whole(client: Client) -> None:
    """Over all connections every event came once and in order, but for what the server said was lost."""
    last, goes_on = 0, False
    for event in client.events:
        if event.id == M.EventACK:
            status = dict(event.pairs(Attribute.Extensions))["session-status"]
            goes_on = status == "resumed" and last > 0
            assert status in ("new", "resumed"), status
        elif number := number_of(event):
            assert number == last + 1 if goes_on else number > last, f"{number} after {last}"
            last, goes_on = number, True


def play(seed: int) -> str:
    """Play one seed; a failure names it, its last events, and how to play it again."""
    chaos = None
    try:
        chaos = Chaos(seed)
        return chaos.run()
    except Exception as error:
        tail = chaos.world.tail() if chaos is not None else ""
        steps = chaos.world.steps if chaos is not None else 0
        raise AssertionError(
            f"seed {seed}, step {steps}: {error}\n{tail}\nto play it again: python -m tests.sim.chaos {seed}"
        ) from error


if __name__ == "__main__":
    for given in sys.argv[1:]:
        print(given, play(int(given)))
