"""Phones that watch lamps and mailboxes, told as stories: who looks at whom, and what lights up in which order."""

import pytest

from cluster_core.limits import Limits
from sip_proto.dialog_info import DialogEntry
from tests.sim.actors import Phone
from tests.sim.cluster import Cluster
from tests.sim.world import SECOND
from tlib_proto import MessageType

M = MessageType


@pytest.fixture(params=[True, False], ids=["optimised", "to all"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    return Cluster(optimised=request.param)


def watcher(cluster: Cluster, node: str, *numbers: str) -> Phone:
    """Phone 1004 on a node, which watches these DNs."""
    phone = cluster.phone("1004", node)
    for number in numbers:
        phone.watch(number)
        cluster.world.until(lambda number=number: any(name == number for name, _ in phone.lit))  # type: ignore[misc]
    return phone


def lamp(phone: Phone, number: str) -> list[DialogEntry]:
    """The dialogs that a phone shows of a DN."""
    return list(phone.lamps[number].dialogs.values())


def states(phone: Phone, number: str) -> list[tuple[str, ...]]:
    """What a lamp has shown, one state after the other, repetitions left out."""
    seen: list[tuple[str, ...]] = []
    for name, shown in phone.lit:
        if name == number and (not seen or seen[-1] != shown):
            seen.append(shown)
    return seen


class TestALamp:
    @pytest.mark.parametrize("node", ["n1", "n2"])
    def test_it_shows_a_call_from_the_first_ring_to_its_end_on_any_node(self, cluster: Cluster, node: str) -> None:
        one, other = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
        console = watcher(cluster, node, "1001", "1002")
        one.call("1002")
        cluster.world.until(lambda: other.has("ringing"))
        cluster.settle()
        other.answer()
        cluster.settle()
        mine, theirs = lamp(console, "1001")[0], lamp(console, "1002")[0]
        assert (mine.direction, theirs.direction) == ("initiator", "recipient")
        assert mine.remote.identity == "sip:1002@sim.example"
        assert theirs.remote.identity == "sip:1001@sim.example"
        one.hold()
        cluster.settle()
        assert lamp(console, "1001")[0].local.params == (("+sip.rendering", "no"),)
        assert lamp(console, "1002")[0].local.params == ()
        one.hang_up()
        cluster.settle()
        assert states(console, "1001") == [(), ("proceeding",), ("confirmed",), ()]
        assert states(console, "1002") == [(), ("early",), ("confirmed",), ()]
        cluster.check()

    def test_two_calls_of_a_dn_are_two_dialogs(self, cluster: Cluster) -> None:
        one, other = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
        third = cluster.phone("1003", "n1")
        console = watcher(cluster, "n1", "1001")
        first = one.call("1002")
        cluster.world.until(lambda: other.has("ringing"))
        cluster.settle()
        other.answer()
        cluster.settle()
        one.hold()
        cluster.settle()
        one.call("1003")
        cluster.world.until(lambda: third.has("ringing"))
        cluster.settle()
        shown = lamp(console, "1001")
        assert [entry.state for entry in shown] == ["confirmed", "proceeding"]
        assert len({entry.id for entry in shown}) == 2
        one.hang_up(one.leg_after(first))
        cluster.settle()
        assert [entry.state for entry in lamp(console, "1001")] == ["proceeding"]
        cluster.check()

    def test_a_routing_point_has_a_lamp_too(self, cluster: Cluster) -> None:
        console = watcher(cluster, "n2", "8000")
        cluster.router("n1", "8000")
        caller = cluster.caller()
        caller.call("8000")
        cluster.settle()
        caller.hang_up()
        cluster.settle()
        assert states(console, "8000") == [(), ("early",), ()]

    def test_a_call_that_is_there_already_shows_at_once(self, cluster: Cluster) -> None:
        one, other = cluster.phone("1001", "n1"), cluster.phone("1002", "n1")
        one.call("1002")
        cluster.world.until(lambda: other.has("ringing"))
        cluster.settle()
        console = watcher(cluster, "n1", "1002")
        cluster.settle()
        assert states(console, "1002") == [("early",)]

    def test_a_transfer_shows_at_the_three_lamps(self, cluster: Cluster) -> None:
        one, other = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
        third = cluster.phone("1003", "n1")
        console = watcher(cluster, "n2", "1001", "1002", "1003")
        one.call("1002")
        cluster.world.until(lambda: other.has("ringing"))
        cluster.settle()
        other.answer()
        cluster.settle()
        other.transfer("1003")
        cluster.world.until(lambda: third.has("ringing"))
        cluster.settle()
        third.answer()
        cluster.settle()
        assert lamp(console, "1001")[0].remote.identity == "sip:1003@sim.example"
        assert states(console, "1001") == [(), ("proceeding",), ("confirmed",)]
        assert states(console, "1002") == [(), ("early",), ("confirmed",), ()]
        assert states(console, "1003") == [(), ("early",), ("confirmed",)]

    def test_a_call_that_comes_back_under_its_connid_lights_the_lamp_again(self, cluster: Cluster) -> None:
        one, other = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
        third = cluster.phone("1003", "n1")
        console = watcher(cluster, "n1", "1002")
        one.call("1002")
        cluster.world.until(lambda: other.has("ringing"))
        cluster.settle()
        other.answer()
        cluster.settle()
        for giver, taker in ((other, third), (third, other)):
            giver.transfer(taker.number)
            cluster.world.until(lambda taker=taker: taker.has("ringing"))  # type: ignore[misc]
            cluster.settle()
            taker.answer()
            cluster.settle(3 * SECOND)
        assert states(console, "1002") == [(), ("early",), ("confirmed",), (), ("early",), ("confirmed",)]

    def test_lost_documents_are_made_up_for(self, cluster: Cluster) -> None:
        one, other = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
        console = watcher(cluster, "n1", "1001")
        # The console is away for so long that its NOTIFY is given up.
        console.away = True
        one.call("1002")
        cluster.world.until(lambda: other.has("ringing"))
        cluster.settle(40 * SECOND)
        console.away = False
        other.answer()
        cluster.settle()
        assert states(console, "1001") == [(), ("confirmed",)]

    def test_a_lost_last_word_is_said_again_though_nothing_changes_any_more(self, cluster: Cluster) -> None:
        one, other = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
        console = watcher(cluster, "n1", "1001")
        one.call("1002")
        cluster.world.until(lambda: other.has("ringing"))
        cluster.settle()
        console.away = True
        one.hang_up()
        cluster.settle(40 * SECOND)
        console.away = False
        cluster.settle(40 * SECOND)
        assert states(console, "1001") == [(), ("proceeding",), ()]
        cluster.check()

    def test_the_owner_goes_out_of_reach_and_comes_back(self, cluster: Cluster) -> None:
        one, other = cluster.phone("1001", "n2"), cluster.phone("1002", "n2")
        console = watcher(cluster, "n1", "1002")
        one.call("1002")
        cluster.world.until(lambda: other.has("ringing"))
        cluster.settle()
        other.answer()
        cluster.settle()
        cluster.world.cut("n1", "n2")
        cluster.settle(2 * SECOND)
        assert lamp(console, "1002") == []
        cluster.world.heal("n1", "n2")
        cluster.settle(4 * SECOND)
        assert [entry.state for entry in lamp(console, "1002")] == ["confirmed"]
        cluster.check()

    def test_it_is_given_back_and_nothing_of_it_stays(self, cluster: Cluster) -> None:
        console = watcher(cluster, "n2", "1001", "8000")
        one = cluster.phone("1001", "n1")
        console.unwatch("1001")
        console.unwatch("8000")
        cluster.settle()
        assert console.said == ["watch timeout", "watch timeout"]
        one.call("1004")
        cluster.world.until(lambda: console.has("ringing"))
        one.hang_up()
        cluster.settle(40 * SECOND)
        assert states(console, "1001") == [()]
        cluster.quiet()
        cluster.check()

    def test_it_ends_when_nobody_renews_it(self, cluster: Cluster) -> None:
        console = watcher(cluster, "n1", "1001")
        console.away = True
        cluster.settle(700 * SECOND)
        assert cluster.hosts["n1"].node.counts()["watches"] == 0


class TestAMailbox:
    def test_there_is_none_and_the_summary_says_so(self, cluster: Cluster) -> None:
        phone = cluster.phone("1001", "n1")
        phone.watch("1001", "message-summary")
        cluster.settle()
        assert phone.mailbox == [
            "Messages-Waiting: no\r\nMessage-Account: sip:1001@sim.example\r\nVoice-Message: 0/0\r\n"
        ]
        cluster.settle(500 * SECOND)
        assert len(phone.mailbox) == 2
        assert len(phone.watches) == 1
        phone.unwatch("1001")
        cluster.settle(40 * SECOND)
        cluster.quiet()


class TestWhoMayWatch:
    def test_a_phone_with_a_wrong_password_does_not(self, cluster: Cluster) -> None:
        phone = cluster.phone("1001", "n1")
        phone.password = "wrong"
        phone.watch("1002")
        cluster.settle()
        assert phone.said == ["watch 403"]
        cluster.settle(40 * SECOND)
        cluster.quiet()

    def test_a_stranger_does_not(self, cluster: Cluster) -> None:
        caller = cluster.caller()
        caller.watch("1002")
        cluster.settle()
        assert caller.said == ["watch 403"]

    def test_nor_does_anybody_watch_what_there_is_not(self, cluster: Cluster) -> None:
        phone = cluster.phone("1001", "n1")
        for number, event, status in (("4711", "dialog", 404), ("1002", "presence", 489), ("cluster", "dialog", 404)):
            phone.said.clear()
            phone.watch(number, event)
            cluster.settle()
            assert phone.said == [f"watch {status}"]

    def test_a_phone_that_reads_another_kind_of_document_is_told_so(self, cluster: Cluster) -> None:
        phone = cluster.phone("1001", "n1")
        phone.watch("1002", "dialog", ("Accept", "text/plain"))
        cluster.settle()
        assert phone.said == ["watch 406"]

    def test_of_too_many_the_last_is_refused(self) -> None:
        cluster = Cluster(1, limits=Limits(watchers_per_dn=2))
        phones = [cluster.phone(number, "n1") for number in ("1001", "1002", "1003")]
        for phone in phones:
            phone.watch("8000")
            cluster.settle()
        assert [phone.said for phone in phones] == [[], [], ["watch 503"]]

    def test_a_phone_that_watches_too_many_is_refused_until_it_gives_one_back(self) -> None:
        cluster = Cluster(1, limits=Limits(watches_per_dn=2))
        phone = cluster.phone("1001", "n1")
        for number in ("1002", "1003", "1004"):
            phone.watch(number)
            cluster.settle()
        assert phone.said == ["watch 503"]
        phone.unwatch("1002")
        cluster.settle()
        phone.said.clear()
        phone.watch("1004")
        cluster.settle()
        assert phone.said == []
        assert len(phone.watches) == 2
