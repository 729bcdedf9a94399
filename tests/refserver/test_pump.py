"""The pump: one input at a time, outputs in order, one timer."""

import asyncio

from cluster_core.inputs import Operator, Timeout
from cluster_core.outputs import Fault, Subsystem
from refserver.pump import MAX_FAULT_KINDS, Clock, Host, Timer

from .fake_node import FakeNode


def fault(text: str) -> Fault:
    return Fault(Subsystem.MAIN, "kind", text)


def host_of(node: FakeNode, **named) -> Host:
    loop = asyncio.get_running_loop()
    named.setdefault("on_fault", lambda *_: None)
    return Host("n1", node, loop, Clock(loop), **named)


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def test_outputs_are_performed_in_order_and_the_node_is_never_entered_twice():
    async def run():
        done = []

        def react(now, input, out):
            out.extend([fault(f"{input.command}1"), fault(f"{input.command}2")])

        host = host_of(FakeNode(react))

        def perform(output):
            done.append(output.text)
            if output.text == "a1":
                host.feed(Operator("b"))

        host.performers[Fault] = perform
        host.feed(Operator("a"))
        assert done == ["a1", "a2", "b1", "b2"]

    asyncio.run(run())


def test_a_posted_input_comes_in_the_next_pass_of_the_loop():
    async def run():
        node = FakeNode()
        host = host_of(node)
        host.post(Operator("a"))
        host.post(Operator("b"))
        assert node.seen == []
        await until(lambda: len(node.seen) == 2)
        assert node.seen == [Operator("a"), Operator("b")]

    asyncio.run(run())


def test_time_never_decreases_and_the_deadline_brings_a_timeout():
    async def run():
        node = FakeNode()

        def react(now, input, out):
            node.deadline = None if isinstance(input, Timeout) else now + 3_000

        node.react = react
        host = host_of(node)
        host.feed(Operator("a"))
        await until(lambda: Timeout() in node.seen)
        assert node.times == sorted(node.times)
        assert node.times[1] >= node.times[0] + 3_000
        host.stop()

    asyncio.run(run())


def test_a_timer_takes_earlier_and_later_deadlines_and_none():
    async def run():
        loop = asyncio.get_running_loop()
        clock = Clock(loop)
        fired = []
        timer = Timer(loop, clock, lambda: fired.append(clock.now()))
        timer.set(None)
        timer.set(clock.now() + 500_000)
        early = clock.now() + 5_000
        timer.set(early)
        await until(lambda: fired)
        assert fired[0] >= early
        timer.set(clock.now() + 1_000)
        later = clock.now() + 20_000
        timer.set(later)
        await until(lambda: len(fired) == 2)
        assert fired[1] >= later
        timer.set(clock.now() + 1_000)
        timer.set(None)
        timer.set(clock.now() + 1_000)
        timer._deadline = None  # what is left when a deadline vanished after its call was scheduled
        await asyncio.sleep(0.005)
        assert len(fired) == 2

    asyncio.run(run())


def test_watchers_see_inputs_and_outputs():
    async def run():
        seen = []

        class Watch:
            def saw_input(self, now, input):
                seen.append(input)

            def saw_outputs(self, now, outputs):
                seen.extend(outputs)

        host = host_of(FakeNode(lambda now, input, out: out.append(fault("x"))), watchers=[Watch()])
        host.performers[Fault] = lambda output: None
        host.feed(Operator("a"))
        assert seen == [Operator("a"), fault("x")]

    asyncio.run(run())


def test_what_a_node_put_out_before_a_fault_is_performed():
    async def run():
        def react(now, input, out):
            out.append(fault("before"))
            raise ZeroDivisionError

        faults, done = [], []
        host = host_of(FakeNode(react), on_fault=lambda host, input, error: faults.append(type(error)))
        host.performers[Fault] = lambda output: done.append(output.text)
        host.feed(Operator("a"))
        assert faults == [ZeroDivisionError]
        assert done == ["before"]

    asyncio.run(run())


def test_a_stopped_host_feeds_nothing():
    async def run():
        node = FakeNode()
        host = host_of(node)
        host.post(Operator("a"))
        host.stop()
        host.feed(Operator("b"))
        host.post(Operator("c"))
        await asyncio.sleep(0)
        assert node.seen == []

    asyncio.run(run())


def test_kinds_of_faults_are_counted_and_bounded():
    async def run():
        host = host_of(FakeNode())
        for number in range(MAX_FAULT_KINDS + 10):
            host.count_fault(f"{number}")
        host.count_fault("0")
        assert len(host.fault_kinds) == MAX_FAULT_KINDS
        assert host.fault_kinds["0"] == 2

    asyncio.run(run())
