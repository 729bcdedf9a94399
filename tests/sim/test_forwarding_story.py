"""A phone that talks on one node dials on another: its second call joins the first, or begins where it was dialled."""

import pytest

from cluster_core.limits import Limits
from sip_proto import Request, parse
from tests.sim.actors import Client, Phone
from tests.sim.cluster import Cluster, conn_id_of
from tests.sim.transfer_cast import talks, told
from tests.sim.world import SECOND, Address, address
from tlib_proto import Attribute, MessageType

M = MessageType
MARK = "X-Cluster-Forwarded"


class Wire:
    """Every datagram that is sent, by its two ends."""

    def __init__(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[tuple[Address, Address, bytes]] = []
        real = cluster.world.send_datagram

        def send(source: Address, to: Address, data: bytes) -> None:
            self.sent.append((source, to, data))
            real(source, to, data)

        monkeypatch.setattr(cluster.world, "send_datagram", send)

    def between(self, source: Address, to: Address, start: bytes) -> list[bytes]:
        return [data for at, place, data in self.sent if (at, place) == (source, to) and data.startswith(start)]


class Further:
    """1001 on n1 has called 1002, whose phone is n2's and holds that call to dial 1003, who is n2's too."""

    def __init__(self, cluster: Cluster, dials_at: str = "n2") -> None:
        self.cluster = cluster
        self.a, self.b = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
        self.c = cluster.phone("1003", "n2")
        self.desk_a: Client = cluster.desktop("n2", "1001")
        self.desk_b: Client = cluster.desktop("n1", "1002")
        self.desk_c: Client = cluster.desktop("n2", "1003")
        talks(cluster, self.a, self.b)
        self.leg_b = self.b.leg("talking")
        self.first = conn_id_of(self.desk_a.of(M.EventDialing)[0])
        assert self.first >> 52 == 1
        self.b.hold("sendonly", self.leg_b)
        cluster.settle()
        self.b.server = place(cluster, dials_at)
        for actor in (self.a, self.b, self.c, self.desk_a, self.desk_b, self.desk_c):
            actor.forget()

    def dial(self, number: str = "1003") -> None:
        """1002 dials, and the other phone rings."""
        self.b.call(number)
        self.cluster.world.until(lambda: self.c.has("ringing"))
        self.cluster.settle()

    @property
    def second(self) -> int:
        """The ConnID of the call to 1003."""
        return conn_id_of(self.desk_c.of(M.EventRinging)[-1])

    @property
    def consult_b(self) -> int:
        return next(leg for leg in self.b.calls if leg != self.leg_b)

    def answer(self) -> None:
        self.c.answer()
        self.cluster.settle()
        assert self.b.calls[self.consult_b] == "talking"

    def over(self, *but: str) -> None:
        """Everybody hangs up, and nothing is left."""
        for phone in (self.a, self.b, self.c):
            for leg in list(phone.calls):
                phone.hang_up(leg)
                self.cluster.settle()
        self.cluster.settle(40 * SECOND)
        self.cluster.check()
        self.cluster.quiet(*but)


def place(cluster: Cluster, node: str) -> Address:
    """Where a node hears SIP."""
    return address(cluster.world.settings.node(node).members[0].sip)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(2)


class TestAFurtherCall:
    def test_lives_where_the_first_one_does(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        story = Further(cluster)
        wire = Wire(cluster, monkeypatch)
        story.dial()
        assert story.second >> 52 == 1
        assert story.b.said[-1] == "180"
        story.answer()
        n1, n2 = place(cluster, "n1"), place(cluster, "n2")
        # The dialog is between the phone and n1; n2 sees the INVITE and what answers it, and no more.
        assert wire.between(story.b.at, n1, b"ACK")
        assert not wire.between(story.b.at, n2, b"ACK sip:1003@192.0.2.1")
        [invite] = wire.between(n2, n1, b"INVITE")
        assert MARK.encode() in invite
        assert b"Authorization" not in invite
        assert b"Record-Route" not in invite
        story.b.hang_up(story.consult_b)
        cluster.settle()
        assert wire.between(story.b.at, n1, b"BYE")
        assert story.desk_c.names() == ["Ringing", "Established", "Released"]
        assert story.desk_b.names() == ["Dialing", "Established", "Released"]
        story.over()

    def test_is_joined_to_it_by_the_phones_transfer(self, cluster: Cluster) -> None:
        story = Further(cluster)
        story.dial()
        story.answer()
        story.b.said.clear()
        story.b.transfer("1003", story.leg_b, to_leg=story.consult_b)
        cluster.settle(4 * SECOND)
        assert told(story.b) == ["refer 202", "report 200", "refer over terminated"]
        assert not story.b.calls
        changed = story.desk_c.of(M.EventPartyChanged)[0]
        # One call is left, the first: of calls of two nodes there would be two.
        assert conn_id_of(changed) == story.first
        assert changed.number(Attribute.PreviousConnID) == story.second
        assert story.a.leg("talking")
        assert story.c.leg("talking")
        story.over()

    def test_is_joined_to_it_by_a_programs_transfer(self, cluster: Cluster) -> None:
        story = Further(cluster)
        story.dial()
        story.answer()
        done = story.desk_b.ask(
            M.RequestCompleteTransfer, ThisDN="1002", ConnID=story.second, TransferConnID=story.first
        )
        assert done.id == M.EventReleased
        cluster.settle(SECOND)
        assert not story.b.calls
        assert conn_id_of(story.desk_c.of(M.EventPartyChanged)[0]) == story.first
        assert story.a.leg("talking")
        assert story.c.leg("talking")
        story.over()

    def test_is_taken_back_while_it_rings(self, cluster: Cluster) -> None:
        story = Further(cluster)
        story.dial()
        story.b.hang_up(story.consult_b)
        cluster.settle()
        assert story.c.said == ["invited", "cancelled"]
        assert story.desk_c.names() == ["Ringing", "Abandoned"]
        assert story.b.said[-1] == "failed 487"
        assert story.b.leg("talking") == story.leg_b
        story.over()

    def test_is_taken_back_before_it_rings(self, cluster: Cluster) -> None:
        story = Further(cluster)
        leg = story.b.call("1003")
        cluster.world.until(lambda: story.b.leg_after(leg) != leg)
        story.b.hang_up(story.b.leg_after(leg))
        cluster.settle(SECOND)
        assert story.b.said[-1] == "failed 487"
        assert not story.c.has("ringing")
        story.over()

    def test_is_refused(self, cluster: Cluster) -> None:
        story = Further(cluster)
        story.c.on_invite = "486"
        story.b.call("1003")
        cluster.settle()
        assert story.b.said[-1] == "failed 486"
        story.b.call("4444")
        cluster.settle()
        assert story.b.said[-1] == "failed 404"
        assert story.b.leg("talking") == story.leg_b
        story.over()

    def test_goes_to_the_trunk_from_there(self, cluster: Cluster) -> None:
        story = Further(cluster)
        pstn = cluster.caller()
        story.b.call("95551234")
        cluster.world.until(lambda: pstn.has("ringing"))
        assert pstn.last is not None
        assert "192.0.2.1:" in (pstn.last.get("Via") or "")
        pstn.answer()
        cluster.settle()
        pstn.hang_up()
        cluster.settle()
        story.over()

    def test_goes_from_a_node_that_has_nothing_to_do_with_the_phone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        cluster = Cluster(3)
        story = Further(cluster, "n3")
        wire = Wire(cluster, monkeypatch)
        story.dial()
        assert story.second >> 52 == 1
        assert wire.between(place(cluster, "n3"), place(cluster, "n1"), b"INVITE")
        assert not wire.between(place(cluster, "n3"), place(cluster, "n2"), b"INVITE")
        story.answer()
        story.over()

    def test_is_taken_back_while_the_owner_is_asked(self) -> None:
        cluster = Cluster(3)
        story = Further(cluster, "n3")
        leg = story.b.call("1003")
        cluster.world.until(lambda: story.b.leg_after(leg) != leg)
        node = cluster.hosts["n3"].node
        cluster.world.until(lambda: len(node.session_controller.forwarding))
        story.b.hang_up(story.b.leg_after(leg))
        cluster.settle(SECOND)
        assert story.b.said[-1] == "failed 487"
        assert not story.c.said
        story.over()

    def test_stays_where_its_second_one_is(self, cluster: Cluster) -> None:
        story = Further(cluster)
        talks(cluster, story.c, story.b)
        assert conn_id_of(story.desk_c.of(M.EventDialing)[0]) >> 52 == 2
        # 1002 has a call on each node now, and dials on n2.
        d = cluster.phone("1004", "n1")
        desk_d = cluster.desktop("n1", "1004")
        story.b.call("1004")
        cluster.world.until(lambda: d.has("ringing"))
        cluster.settle()
        assert conn_id_of(desk_d.of(M.EventRinging)[0]) >> 52 == 2
        d.reject(486)
        cluster.settle()
        story.over()

    def test_of_a_phone_that_only_rings_is_a_first_one(self, cluster: Cluster) -> None:
        a, b, c = cluster.phone("1001", "n1"), cluster.phone("1002", "n2"), cluster.phone("1003", "n2")
        desk = cluster.desktop("n2", "1003")
        a.call("1002")
        cluster.world.until(lambda: b.has("ringing"))
        cluster.settle()
        b.call("1003")
        cluster.world.until(lambda: c.has("ringing"))
        cluster.settle()
        assert conn_id_of(desk.of(M.EventRinging)[0]) >> 52 == 2
        for phone in (a, c):
            phone.hang_up()
            cluster.settle()
        cluster.settle(40 * SECOND)
        cluster.check()
        cluster.quiet()


class TestWithoutTheOtherNode:
    def test_it_dies_while_the_call_rings_there(self, cluster: Cluster) -> None:
        story = Further(cluster)
        story.dial()
        assert story.second >> 52 == 1
        cluster.hosts["n1"].crash()
        ringing = story.c.leg("ringing")
        story.desk_c.forget()
        cluster.world.until(lambda: len(story.c.calls) > 1)
        cluster.settle()
        # The same call of the phone's rings again, from where it was dialled.
        assert story.second >> 52 == 2
        story.c.answer(next(leg for leg in story.c.calls if leg != ringing))
        cluster.settle()
        assert story.b.calls[story.consult_b] == "talking"
        story.c.hang_up(next(leg for leg, state in story.c.calls.items() if state == "talking"))
        cluster.settle()
        assert "failed" not in " ".join(story.b.said)
        cluster.settle(40 * SECOND)
        cluster.quiet()

    def test_it_dies_when_the_phone_has_given_up(self, cluster: Cluster) -> None:
        story = Further(cluster)
        story.dial()
        cluster.hosts["n1"].crash()
        story.b.hang_up(story.consult_b)
        cluster.settle(8 * SECOND)
        assert story.b.said[-1] == "failed 487"
        assert len(cluster.hosts["n2"].node.session_controller.forwarding) == 0
        cluster.settle(40 * SECOND)
        cluster.quiet()

    @pytest.mark.parametrize("how", ["gone", "cut"])
    def test_a_call_begins_where_it_is_dialled(self, cluster: Cluster, how: str) -> None:
        story = Further(cluster)
        if how == "gone":
            cluster.hosts["n1"].crash()
        else:
            cluster.world.cut("n1", "n2")
        cluster.settle(SECOND)
        story.b.call("1003")
        cluster.world.until(lambda: story.c.has("ringing"), SECOND)
        cluster.settle()
        assert story.second >> 52 == 2
        story.answer()
        story.b.hang_up(story.consult_b)
        cluster.settle()

    def test_an_owner_that_does_not_answer_holds_nothing_up(self) -> None:
        cluster = Cluster(3)
        story = Further(cluster, "n3")
        cluster.world.cut("n2", "n3", silent=True)
        story.b.call("95551234")
        pstn = cluster.caller()
        cluster.world.until(lambda: pstn.has("ringing"), SECOND)
        assert pstn.last is not None
        assert "192.0.2.3:" in (pstn.last.get("Via") or "")
        pstn.reject(486)
        cluster.settle()
        cluster.world.heal("n2", "n3")
        cluster.settle(3 * SECOND)
        story.over()

    def test_a_node_that_is_full_does_not_have_the_last_word(self) -> None:
        cluster = Cluster(2, limits=Limits(calls=1))
        story = Further(cluster)
        story.dial()
        assert story.second >> 52 == 2
        story.answer()
        story.over()


class TestTheMark:
    def invite(self, cluster: Cluster, phone: Phone, number: str, *headers: tuple[str, str]) -> None:
        """An INVITE with headers of one's own, as 1002, without a password."""
        phone.sip.invite(
            cluster.world.now,
            phone.out,
            listener="udp",
            destination=phone.server,
            uri=f"sip:{number}@{phone.server[0]}",
            from_="<sip:1002@sim.example>",
            to=f"<sip:{number}@sim.example>",
            headers=headers,
        )
        phone._done()
        cluster.settle()

    @pytest.mark.parametrize(
        "mark",
        [
            "true",
            "n2;1700000001;00000000000000000000000000000000",
            "n1;1700000001;00000000000000000000000000000000",
            "n9;1700000001;00000000000000000000000000000000",
            "n2;now;00",
            "n2;\u0663;00",
            "n2;" + "9" * 200 + ";00",
            "n2;1700000001;\u00ff\udcff",
        ],
    )
    def test_of_a_phone_proves_nothing(self, cluster: Cluster, mark: str) -> None:
        story = Further(cluster)
        thief = Phone(cluster.world, "1002", "n1", ("203.0.113.9", 5060))
        self.invite(cluster, thief, "95551234", (MARK, mark))
        assert thief.said == ["failed 401"]
        story.over()

    def test_that_was_overheard_proves_nothing_for_another_call(
        self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        story = Further(cluster)
        wire = Wire(cluster, monkeypatch)
        story.dial()
        [data] = wire.between(place(cluster, "n2"), place(cluster, "n1"), b"INVITE")
        request = parse(data)
        assert isinstance(request, Request)
        thief = Phone(cluster.world, "1002", "n1", ("203.0.113.9", 5060))
        self.invite(cluster, thief, "95551234", (MARK, request.get(MARK) or ""))
        assert thief.said == ["failed 401"]
        story.answer()
        story.over()

    @pytest.mark.parametrize(
        ("old", "new", "wait_us", "answer"),
        [
            (b"Subject", b"Subject", 0, b"SIP/2.0 180"),
            (b"INVITE sip:1003@", b"INVITE sip:1004@", 0, b"SIP/2.0 401"),
            (b"Contact: <sip:1002@198.51.100.1:", b"Contact: <sip:1002@203.0.113.9:", 0, b"SIP/2.0 401"),
            (b"From: <sip:1002@", b"From: <sip:1004@", 0, b"SIP/2.0 401"),
            (b"X-Place", b"Replaces", 0, b"SIP/2.0 401"),
            (b"m=audio", b"m=video", 0, b"SIP/2.0 401"),
            (b"Subject", b"Subject", 61 * SECOND, b"SIP/2.0 401"),
        ],
        ids=["unchanged", "number", "contact", "caller", "replaces", "body", "late"],
    )
    def test_holds_once_for_the_invite_that_it_was_made_for(
        self,
        cluster: Cluster,
        monkeypatch: pytest.MonkeyPatch,
        old: bytes,
        new: bytes,
        wait_us: int,
        answer: bytes,
    ) -> None:
        story = Further(cluster)
        wire = Wire(cluster, monkeypatch)
        real = story.b._send_invite
        more = (("Subject", "a"), ("X-Place", "x@y;to-tag=a;from-tag=b"))
        monkeypatch.setattr(
            story.b,
            "_send_invite",
            lambda number, call_id, cseq, headers: real(number, call_id, cseq, (*headers, *more)),
        )
        n1, n2 = place(cluster, "n1"), place(cluster, "n2")
        thief = Phone(cluster.world, "thief", "n1", ("203.0.113.9", 5060))
        # What n2 sends does not arrive: somebody has it instead.
        way = cluster.world.send_datagram

        def send(source: Address, to: Address, data: bytes) -> None:
            if not (source == n2 and to == n1 and data.startswith(b"INVITE")):
                way(source, to, data)
            else:
                wire.sent.append((source, to, data))

        monkeypatch.setattr(cluster.world, "send_datagram", send)
        story.b.call("1003")
        cluster.world.until(lambda: wire.between(n2, n1, b"INVITE"))
        invite = wire.between(n2, n1, b"INVITE")[0]
        assert old in invite
        cluster.settle(wait_us)
        for _ in range(2):
            cluster.world.send_datagram(thief.at, n1, invite.replace(old, new, 1))
            cluster.settle()
            assert wire.between(n1, thief.at, answer)
            # The next copy is another transaction.
            invite = invite.replace(b"z9hG4bK", b"z9hG4bKx", 1).replace(b"Call-ID: ", b"Call-ID: x", 1)
            answer = b"SIP/2.0 401"
        for phone in (story.a, story.b, story.c):
            for leg in list(phone.calls):
                phone.hang_up(leg)
                cluster.settle()

    def test_counts_once(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        story = Further(cluster)
        wire = Wire(cluster, monkeypatch)
        story.dial()
        n1 = place(cluster, "n1")
        [invite] = wire.between(place(cluster, "n2"), n1, b"INVITE")
        story.b.hang_up(story.consult_b)
        cluster.settle(50 * SECOND)
        thief = Phone(cluster.world, "thief", "n1", ("203.0.113.9", 5060))
        cluster.world.send_datagram(thief.at, n1, invite)
        cluster.settle()
        assert wire.between(n1, thief.at, b"SIP/2.0 401")
        assert story.c.said == ["invited", "cancelled"]
        # Nor is it remembered for longer than it could count.
        cluster.settle(80 * SECOND)
        story.dial()
        assert story.second >> 52 == 1
        story.over()


class TestWhoIsReachedFromThereToo:
    @pytest.mark.parametrize(
        "more",
        [
            (("Contact", "<sip:1002@phone.example:10001>"),),
            (("Record-Route", "<sip:proxy.example;lr>"),),
        ],
        ids=["name", "route by name"],
    )
    def test_a_phone_whose_place_only_this_node_knows_is_not_sent_on(
        self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, more: tuple[tuple[str, str], ...]
    ) -> None:
        story = Further(cluster)
        real = story.b._send_invite
        monkeypatch.setattr(
            story.b,
            "_send_invite",
            lambda number, call_id, cseq, headers: real(number, call_id, cseq, (*headers, *more)),
        )
        story.dial()
        assert story.second >> 52 == 2
        story.c.reject(486)
        cluster.settle()
        story.over()

    def test_and_a_call_of_another_node_is_shown_to_it(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        story = Further(cluster)
        fourth = cluster.phone("1004", "n2")
        real = fourth._send_invite
        monkeypatch.setattr(
            fourth,
            "_send_invite",
            lambda number, call_id, cseq, headers: real(
                number, call_id, cseq, (*headers, ("Contact", "<sip:1004@phone.example>"))
            ),
        )
        fourth.take_over("1002", story.a.sip.replaces_of(story.a.leg("talking")))
        cluster.settle()
        assert fourth.said[0] == "redirected"
        assert fourth.leg("talking")
        fourth.hang_up()
        story.over()

    def test_who_talks_here_may_take_a_place_there(self, cluster: Cluster) -> None:
        story = Further(cluster)
        fourth = cluster.phone("1004", "n2")
        talks(cluster, fourth, story.c)
        fourth.said.clear()
        leg = fourth.take_over("1002", story.a.sip.replaces_of(story.a.leg("talking")))
        cluster.settle()
        assert "redirected" not in fourth.said
        assert fourth.calls[fourth.leg_after(leg)] == "talking"
        assert not story.a.calls
        for leg in list(fourth.calls):
            fourth.hang_up(leg)
            cluster.settle()
        story.over()

    def test_a_call_to_be_replaced_that_is_out_of_reach(self, cluster: Cluster) -> None:
        story = Further(cluster)
        fourth = cluster.phone("1004", "n2")
        replaces = story.a.sip.replaces_of(story.a.leg("talking"))
        cluster.hosts["n1"].crash()
        fourth.take_over("1002", replaces)
        cluster.settle(8 * SECOND)
        assert fourth.said == ["failed 481"]
