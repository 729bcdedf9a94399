"""Ten thousand calls through a node: nothing of them stays, and nothing of ours waits for the collector."""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sim.cluster import Cluster
from tests.sim.world import MILLISECOND, SECOND
from tlib_proto import Attribute, MessageType

CALLS = 10_000
WARM = 1_000
OURS = ("cluster_core", "sip_proto", "tlib_proto")


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


def resident_bytes() -> int:
    """What the process has in memory; 0 where the system does not say."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * 4_096 if statm.exists() else 0


def one_call(cluster: Cluster, number: int) -> None:
    """A call by the Routing Point, answered by the agent, ended by one side or the other."""
    world, caller, agent = cluster.world, cluster.phones["trunk"], cluster.phones["1001"]
    router = cluster.clients[0]
    caller.call("8000")
    world.until(lambda: router.of(MessageType.EventRouteRequest))
    asked = router.of(MessageType.EventRouteRequest)[0]
    conn_id = asked.number(Attribute.ConnID)
    route = router.ask(MessageType.RequestRouteCall, ThisDN="8000", ConnID=conn_id, OtherDN="1001")
    assert route.id == MessageType.EventRouteUsed
    world.until(lambda: agent.has("ringing"))
    agent.answer()
    world.until(lambda: caller.has("talking"))
    (caller if number % 2 else agent).hang_up()
    world.until(lambda: not caller.calls and not agent.calls)
    world.until(lambda: not cluster.hosts["n1"].node.session_controller.calls.calls)
    # Transactions linger half a minute: so many that there are never more of them than while warming up.
    cluster.settle(100 * MILLISECOND)
    for client in cluster.clients:
        client.forget()
        client.asked.clear()
        client.answers.clear()
    for phone in cluster.phones.values():
        phone.forget()


@pytest.mark.slow
@pytest.mark.usefixtures("_no_collector")
def test_nothing_of_ten_thousand_calls_stays() -> None:
    cluster = Cluster(1, strict=False)
    cluster.router("n1", "8000")
    cluster.desktop("n1", "1001")
    cluster.smart("n1", node_dns=True)
    cluster.reporter("n1")
    cluster.monitor("n1", "1001", "8000")
    cluster.caller()
    cluster.phone("1001", "n1").register(expires_s=3_600)
    for number in range(WARM):
        one_call(cluster, number)
    cluster.settle(40 * SECOND)
    cluster.quiet()
    blocks, resident = sys.getallocatedblocks(), resident_bytes()
    for number in range(WARM, CALLS):
        one_call(cluster, number)
    cluster.settle(40 * SECOND)
    cluster.quiet()
    cluster.check()
    grown = sys.getallocatedblocks() - blocks
    assert grown < 4_000, f"{grown} blocks of memory more than after {WARM} calls"
    grown = resident_bytes() - resident
    assert grown < 1_048_576, f"{grown} bytes more than after {WARM} calls"
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    ours = [type(found).__qualname__ for found in gc.garbage if type(found).__module__.split(".")[0] in OURS]
    assert not ours, f"only the collector would have found {sorted(set(ours))}"
