"""Who plays in the stories of transfers: three phones, a desktop at each, and what was told of a transfer."""

from sip_proto.sdp import parse_sdp
from tests.sim.actors import Client, Phone
from tests.sim.cluster import Cluster, conn_id_of
from tests.sim.world import SECOND
from tlib_proto import Attribute, CallState, DNRole, Message, MessageType

M = MessageType


def talks(cluster: Cluster, caller: Phone, called: Phone) -> int:
    """The caller dials the called one, who answers; the caller's leg."""
    leg = caller.call(called.number)
    cluster.world.until(lambda: called.has("ringing"))
    cluster.settle()
    called.answer()
    cluster.world.until(lambda: caller.calls.get(caller.leg_after(leg)) == "talking")
    cluster.settle()
    return caller.leg_after(leg)


def third(event: Message) -> tuple[str, int, int]:
    """Who made the transfer that an event tells of."""
    return (
        event.text(Attribute.ThirdPartyDN),
        event.number(Attribute.ThirdPartyDNRole),
        event.number(Attribute.CallState),
    )


def told(phone: Phone) -> list[str]:
    """What a phone was told of its transfer: the answer to REFER, then the reports but for 100, which comes first or
    late.
    """
    words = [word for word in phone.said if word.startswith(("refer ", "report ")) and word != "report 100"]
    return sorted(words, key=lambda word: word[:6] != "refer " or "over" in word)


BY_1002 = ("1002", int(DNRole.TransferredBy), int(CallState.Transferred))


def port_of(body: bytes) -> int:
    """Where a description wants to hear."""
    return parse_sdp(body).media()[0].port


class Story:
    """1001 on n1 talks to 1002 on n2, or elsewhere, who may hand it on to 1003 on n1; a desktop at each."""

    def __init__(self, cluster: Cluster, b: str = "n2", c: str = "n1") -> None:
        self.cluster = cluster
        self.a, self.b = cluster.phone("1001", "n1"), cluster.phone("1002", b)
        self.c = cluster.phone("1003", c)
        self.desk_a: Client = cluster.desktop("n2", "1001")
        self.desk_b: Client = cluster.desktop("n1", "1002")
        self.desk_c: Client = cluster.desktop("n2", "1003")
        self.leg_a = talks(cluster, self.a, self.b)
        self.leg_b = self.b.leg("talking")
        self.conn_id = conn_id_of(self.desk_a.of(M.EventDialing)[0])

    def forget(self) -> None:
        """What has been until now is not told again."""
        for actor in (self.a, self.b, self.c, self.desk_a, self.desk_b, self.desk_c):
            actor.forget()

    def over(self) -> None:
        """Everybody hangs up, and nothing is left."""
        for phone in (self.a, self.b, self.c):
            for leg in list(phone.calls):
                phone.hang_up(leg)
                self.cluster.settle()
        self.cluster.check()
        self.cluster.settle(40 * SECOND)
        self.cluster.quiet()


class Consultation(Story):
    """1002 holds 1001 and talks to 1003 about it in a second call.

    With `arrives` it is 1003 who calls, and that call lives where it lands: on n2.
    """

    def __init__(self, cluster: Cluster, b: str = "n1", *, arrives: bool = False) -> None:
        super().__init__(cluster, b, "n2")
        self.desk_b.attach("1002", self.conn_id, ("segment", "gold"))
        self.b.hold("sendonly", self.leg_b)
        cluster.settle()
        if arrives:
            talks(cluster, self.c, self.b)
            self.consult_b = next(leg for leg in self.b.calls if leg != self.leg_b)
            self.second = conn_id_of(self.desk_c.of(M.EventDialing)[0])
        else:
            self.consult_b = talks(cluster, self.b, self.c)
            self.second = conn_id_of(self.desk_c.of(M.EventRinging)[0])
        self.forget()
