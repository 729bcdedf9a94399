"""The coordinator's host: answers go to who asked, changes to whom they concern, one timer."""

import asyncio

from cluster_core.coordinator import MemoryCoordinator
from cluster_core.coordinator_records import Claim, How, Join, Joined
from cluster_core.inputs import Answered, Changed, Operator
from cluster_core.outputs import Ask, Subsystem
from refserver.coordination import Coordination
from refserver.pump import Clock, Host

from .fake_node import FakeCoordinator, FakeNode
from .test_pump import until


def test_a_claim_is_answered_and_the_others_hear_of_it():
    async def run():
        loop = asyncio.get_running_loop()
        clock = Clock(loop)
        coordination = Coordination(MemoryCoordinator(b"seed"), loop, clock)
        nodes, hosts = {}, {}
        for name in ("n1", "n2"):
            nodes[name] = FakeNode()
            hosts[name] = Host(name, nodes[name], loop, clock, on_fault=lambda *_: None)
            coordination.serve(hosts[name])

        def ask(name, number, what):
            ask = Ask(Subsystem.T_CONTROLLER, number, what)
            nodes[name].react = lambda now, input, out: out.extend([ask] if type(input) is Operator else [])
            hosts[name].feed(Operator("ask"))

        ask("n1", 1, Join("n1"))
        ask("n2", 1, Join("n2"))
        await until(lambda: nodes["n1"].of(Answered) and nodes["n2"].of(Answered))
        joined = nodes["n1"].of(Answered)[0].result
        assert isinstance(joined, Joined)
        ask("n1", 2, Claim("1001", "n1", joined.incarnation, How.SIP))
        await until(lambda: nodes["n2"].of(Changed))
        assert nodes["n2"].of(Changed)[0].key == "1001"
        assert nodes["n1"].of(Answered)[1].request == 2
        coordination.end()

    asyncio.run(run())


def test_the_coordinators_deadline_fires():
    async def run():
        loop = asyncio.get_running_loop()
        clock = Clock(loop)
        coordinator = FakeCoordinator()
        coordination = Coordination(coordinator, loop, clock)
        host = Host("n1", FakeNode(), loop, clock, on_fault=lambda *_: None)
        coordination.serve(host)
        coordinator.deadline = clock.now() + 1_000
        coordination._tell([("nobody", Answered(1, None))])
        await until(lambda: coordinator.deadline is None)

    asyncio.run(run())
