"""Desktops that ask for whatever comes to their mind, while phones refuse and hang up: every request is answered once,
what desktops see is what is, and in the end nothing is left.
"""

import random
from contextlib import suppress

import pytest

from sip_proto import LocalError
from tests.sim.actors import Client
from tests.sim.cluster import Cluster
from tests.sim.world import MILLISECOND, SECOND
from tlib_proto import ForwardMode, MessageType, PartyState

M = MessageType
DNS = ("1001", "1002", "1003", "1004")
ON_CALLS = (
    *(M.RequestHoldCall, M.RequestRetrieveCall, M.RequestReleaseCall, M.RequestClearCall, M.RequestSendDTMF),
    *(M.RequestInitiateTransfer, M.RequestInitiateTransfer, M.RequestInitiateTransfer),
    *(M.RequestCompleteTransfer, M.RequestReconnectCall, M.RequestMuteTransfer, M.RequestSingleStepTransfer),
    *(M.RequestAlternateCall, M.RequestAlternateCall, M.RequestAlternateCall),
    *(M.RequestUpdateUserData, M.RequestDeletePair),
)
ON_RINGING = (M.RequestAnswerCall, M.RequestAnswerCall, M.RequestAnswerCall, M.RequestRedirectCall)


class Desks:
    """Four phones on two nodes and a desktop on each node for all of them."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.cluster = Cluster(seed=seed)
        self.phones = [self.cluster.phone(dn, "n1" if number % 2 else "n2") for number, dn in enumerate(DNS)]
        self.desks: list[Client] = [self.cluster.desktop(node, *DNS) for node in ("n1", "n2")]
        self.asked: list[tuple[Client, int]] = []

    def ask(self, kind: MessageType, **given: int | str) -> None:
        desk = self.rng.choice(self.desks)
        self.asked.append((desk, desk.request(kind, **given)))

    def control(self) -> None:
        """Something about a call that a desktop sees."""
        seen = [(dn, call) for dn, one in self.desks[0].pictures.items() for call in one.calls.values()]
        if not seen:
            one, other = self.rng.sample(DNS, 2)
            self.ask(M.RequestMakeCall, ThisDN=one, OtherDN=other)
            return
        dn, call = self.rng.choice(seen)
        also = [there.conn_id for there in self.desks[0].pictures[dn].calls.values() if there is not call]
        second = self.rng.choice(also) if also else call.conn_id
        kinds = ON_RINGING if call.state == PartyState.Alerting else ON_CALLS
        given: dict[str, int | str] = {"OtherDN": self.rng.choice(DNS), "DTMFDigits": "12", "DataKey": "k"}
        self.ask(
            self.rng.choice(kinds),
            ThisDN=dn,
            ConnID=call.conn_id,
            TransferConnID=second,
            PreviousConnID=second,
            UserData=(("k", "v"),),  # type: ignore[arg-type]
            **given,
        )

    def feature(self) -> None:
        dn, to = self.rng.sample(DNS, 2)
        if self.rng.random() < 0.5:
            self.ask(self.rng.choice((M.RequestSetDNDOn, M.RequestSetDNDOff)), ThisDN=dn)
        elif self.rng.random() < 0.5:
            self.ask(M.RequestCallForwardCancel, ThisDN=dn)
        else:
            mode = self.rng.choice((ForwardMode.OnBusy, ForwardMode.OnNoAnswer, ForwardMode.Unconditional))
            self.ask(M.RequestCallForwardSet, ThisDN=dn, OtherDN=to, ForwardMode=int(mode))

    def phone(self) -> None:
        """A phone answers, refuses, calls, hangs up, or will refuse the next offer."""
        phone = self.rng.choice(self.phones)
        phone.on_invite = self.rng.choice(("ring", "ring", "answer", "486", "silence"))
        deed = self.rng.randrange(5)
        if deed == 0:
            phone.refuses = [self.rng.choice((488, 491, 500))]
        elif deed == 1:
            phone.call(self.rng.choice(DNS))
        elif phone.calls:
            leg = self.rng.choice(list(phone.calls))
            if deed == 2 or phone.calls[leg] != "ringing":
                if self.rng.random() < 0.4:
                    phone.hang_up(leg)
            else:
                phone.answer(leg)

    def play(self) -> None:
        """A hundred deeds, then everybody hangs up."""
        for _ in range(100):
            deed = self.rng.choice((self.control, self.control, self.control, self.phone, self.feature))
            with suppress(LocalError):  # the phone's call has moved on meanwhile
                deed()
            self.cluster.world.run(self.rng.choice((0, 1, 2, 5, 20, 300)) * MILLISECOND)
        self.cluster.settle(30 * SECOND)
        for desk, ref in self.asked:
            assert ref in desk.answers, f"{desk.asked[ref].name} was not answered"
        self.cluster.check()
        for phone in self.phones:
            phone.on_invite = "486"
        for phone in self.phones:
            for leg in list(phone.calls):
                with suppress(LocalError):
                    phone.hang_up(leg)
        self.cluster.settle(100 * SECOND)
        self.cluster.check()
        self.cluster.quiet("sip_clients", "sip_timers")


@pytest.mark.parametrize("seed", range(20))
def test_every_request_is_answered_and_nothing_is_left(seed: int) -> None:
    Desks(seed).play()
