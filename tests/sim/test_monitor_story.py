"""Monitors see the whole cluster, told as stories: extensions that nobody owns too, each event once and in order."""

import pytest

from cluster_core.inputs import Operator
from tests.sim.actors import Client, Phone
from tests.sim.cluster import Cluster
from tests.sim.world import SECOND
from tlib_proto import Attribute, MessageType, PartyState

M = MessageType
CALL = ["Dialing", "Established", "Released"]


@pytest.fixture(params=[True, False], ids=["optimised", "to all"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    return Cluster(3, optimised=request.param)


def dials(cluster: Cluster, node: str, called: str = "1001") -> Phone:
    """Phone 1003, which did not register, calls by that node and is answered."""
    phone, other = cluster.phone("1003", node, register=False), cluster.phones[called]
    phone.call(called)
    cluster.world.until(lambda: other.has("ringing"))
    cluster.settle()
    other.answer()
    cluster.settle()
    return phone


def call_events(client: Client, dn: str = "1003") -> list[str]:
    """What a client was told of the DN's calls."""
    return [name for name in client.names(dn) if not name.startswith(("DN", "Registered"))]


@pytest.mark.parametrize("node", ["n1", "n2"])
def test_the_call_of_a_phone_that_never_registered_is_seen_as_at_a_desktop(cluster: Cluster, node: str) -> None:
    cluster.phone("1001", "n2")
    monitors = [cluster.monitor(at, "1001", "1003") for at in ("n1", "n3")]
    desktop = cluster.desktop("n3", "1003")
    phone = dials(cluster, node)
    for client in (*monitors, desktop):
        [call] = client.pictures["1003"].calls.values()
        assert (call.state, call.other_dn, call.node) == (PartyState.Connected, "1001", node)
        assert not client.pictures["1003"].in_service
    cluster.check()
    phone.hang_up()
    cluster.settle()
    for client in (*monitors, desktop):
        assert call_events(client) == CALL
        assert client.pictures["1003"].calls == {}
        told = [event for event in client.events if event.text(Attribute.ThisDN) == "1003" and event.name[5:] in CALL]
        assert [event.number(Attribute.DNSequence) for event in told] == [1, 2, 3]
        assert {event.text(Attribute.Source).partition("/")[0] for event in told} == {node}
    cluster.check()


def test_a_monitor_that_comes_during_the_call_sees_it_in_its_first_answer(cluster: Cluster) -> None:
    cluster.phone("1001", "n2")
    phone = dials(cluster, "n1")
    monitor = cluster.monitor("n3", "1003")
    assert [call.state for call in monitor.pictures["1003"].calls.values()] == [PartyState.Connected]
    phone.hang_up()
    cluster.settle()
    assert monitor.names("1003") == ["Released"]
    cluster.check()


@pytest.mark.parametrize("owner", ["n1", "n2", "n3"])
def test_an_owner_that_appears_and_goes_during_the_call_takes_it_over_and_gives_it_back(
    cluster: Cluster, owner: str
) -> None:
    cluster.phone("1001", "n2")
    monitor = cluster.monitor("n3", "1003")
    phone = dials(cluster, "n1")
    calls = dict(monitor.pictures["1003"].calls)
    phone.register(owner)
    cluster.settle(2 * SECOND)
    assert cluster.owner("1003") == owner
    assert monitor.pictures["1003"].in_service
    assert monitor.pictures["1003"].calls == calls
    cluster.check()
    phone.hold()
    cluster.settle()
    phone.register(owner, 0)
    cluster.settle(2 * SECOND)
    assert cluster.owner("1003") is None
    assert not monitor.pictures["1003"].in_service
    assert [call.state for call in monitor.pictures["1003"].calls.values()] == [PartyState.Held]
    cluster.check()
    phone.hang_up()
    cluster.settle()
    assert call_events(monitor) == ["Dialing", "Established", "Held", "Released"]
    assert [name for name in monitor.names("1003") if name.startswith("DN")] == ["DNBackInService", "DNOutOfService"]
    cluster.check()


def test_a_call_of_a_node_out_of_reach_is_hidden_and_shown_again(cluster: Cluster) -> None:
    cluster.phone("1001", "n1")
    monitor = cluster.monitor("n3", "1003")
    phone = dials(cluster, "n1")
    calls = dict(monitor.pictures["1003"].calls)
    cluster.world.cut("n1", "n3")
    cluster.settle(2 * SECOND)
    assert monitor.pictures["1003"].calls == {}
    cluster.world.heal("n1", "n3")
    cluster.world.until(cluster.connected)
    cluster.settle(2 * SECOND)
    assert monitor.pictures["1003"].calls == calls
    phone.hang_up()
    cluster.settle()
    assert call_events(monitor) == CALL
    cluster.check()


def test_the_node_of_a_call_has_the_last_word_on_it_while_the_owner_cannot_hear(cluster: Cluster) -> None:
    one, other = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
    watchers = [cluster.monitor("n3", "1002"), cluster.desktop("n3", "1002")]
    one.call("1002")
    cluster.world.until(lambda: other.has("ringing"))
    cluster.settle()
    other.answer()
    cluster.settle()
    cluster.world.cut("n1", "n2")
    cluster.settle(2 * SECOND)
    for client in watchers:
        assert [call.state for call in client.pictures["1002"].calls.values()] == [PartyState.Connected]
    one.hang_up()
    cluster.settle()
    assert cluster.hosts["n2"].node.t_controller.view("1002").calls, "the owner has not heard of it"
    for client in watchers:
        assert client.pictures["1002"].calls == {}
        assert call_events(client, "1002") == ["Ringing", "Established", "Released"]
    watchers += [cluster.desktop(node, "1002") for node in ("n3", "n1")]
    assert [client.pictures["1002"].calls for client in watchers] == [{}] * 4, "who comes now sees no ghost"
    cluster.clients_agree()
    # What the owner says of other things does not bring the call back.
    desktop = cluster.desktop("n2", "1002")
    desktop.ask(M.RequestAgentLogin, ThisDN="1002", AgentID="a2")
    cluster.settle()
    for client in watchers[:3]:
        assert client.pictures["1002"].agent_id == "a2"
        assert client.pictures["1002"].calls == {}
    cluster.clients_agree()
    cluster.world.heal("n1", "n2")
    cluster.world.until(cluster.connected)
    cluster.settle(2 * SECOND)
    for client in watchers:
        assert call_events(client, "1002").count("Released") == (client in watchers[:2])
        assert client.pictures["1002"].calls == {}
    cluster.check()


def test_a_call_that_an_owner_gave_up_and_its_node_tells_on_is_shown_again(cluster: Cluster) -> None:
    one, other = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
    monitor = cluster.monitor("n3", "1002")
    one.call("1002")
    cluster.world.until(lambda: other.has("ringing"))
    cluster.settle()
    cluster.world.cut("n1", "n2")
    cluster.hosts["n1"].engine = False
    cluster.settle(8 * SECOND)
    assert "Released" in monitor.names("1002"), "its membership is over, and the owner says so"
    assert [call.state for call in monitor.pictures["1002"].calls.values()] == [PartyState.Alerting]
    cluster.clients_agree()


@pytest.mark.parametrize("told", [("n1", "n2"), ("n1",), ("n2",)], ids=["both", "the monitor's", "the owner's"])
def test_what_an_operator_cuts_is_cut_for_monitors_too_until_it_is_mended(cluster: Cluster, told: tuple[str]) -> None:
    cluster.phone("1002", "n2")
    near, far = cluster.monitor("n1", "1002"), cluster.monitor("n3", "1002")
    desktop = cluster.desktop("n2", "1002")

    def link(state: str) -> None:
        for node in told:
            cluster.hosts[node].give(Operator("link", ("n1" if node == "n2" else "n2", state)))

    link("down")
    cluster.settle(3 * SECOND)
    assert not near.pictures["1002"].in_service
    assert far.pictures["1002"].in_service
    assert not cluster.hosts["n1"].node.status()["smart_proxy_synchronised"]
    desktop.ask(M.RequestAgentLogin, ThisDN="1002", AgentID="a2")
    cluster.settle(3 * SECOND)
    assert (near.pictures["1002"].agent_id, far.pictures["1002"].agent_id) == ("", "a2")
    link("up")
    cluster.settle(3 * SECOND)
    assert near.pictures["1002"].in_service
    assert near.names("1002").count("DNBackInService") == 1
    assert near.pictures["1002"].agent_id == "a2"
    assert all(host.node.status()["smart_proxy_synchronised"] for host in cluster.hosts.values())
    cluster.check()


def test_a_connection_that_is_being_made_is_cut_and_mended_as_well(cluster: Cluster) -> None:
    cluster.phone("1002", "n2")
    monitor = cluster.monitor("n1", "1002")
    cluster.world.cut("n1", "n2")
    cluster.world.until(lambda: not monitor.pictures["1002"].in_service)
    cluster.world.heal("n1", "n2")
    # The nodes try again after half a second, and the operator comes between the attempt and its success.
    proxy = cluster.hosts["n1"].node.smart_proxy
    cluster.world.until(lambda: proxy.upstreams["n2"].conn)
    for state in ("down", "down", "up", "up"):
        cluster.hosts["n1"].give(Operator("link", ("n2", state)))
    cluster.settle(3 * SECOND)
    assert monitor.pictures["1002"].in_service
    assert cluster.connected()
    cluster.check()
