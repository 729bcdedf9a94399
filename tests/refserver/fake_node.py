"""Nodes and coordinators for tests of the shell: they note what they are told and do what a test says."""

from cluster_core.coordinator_records import Released
from cluster_core.inputs import Answered, AnyInput, Received
from cluster_core.outputs import AnyOutput, Send, Subsystem


class FakeNode:
    """Echoes bytes; `react` may put out more, `deadline` is its deadline."""

    def __init__(self, react=None):
        self.seen: list[AnyInput] = []
        self.times: list[int] = []
        self.deadline: int | None = None
        self.react = react
        self.whole = True
        self.inside = False

    def handle(self, now: int, input: AnyInput, out: list[AnyOutput]) -> None:
        assert not self.inside, "the node was entered while it works"
        self.inside = True
        try:
            self.seen.append(input)
            self.times.append(now)
            if self.react:
                self.react(now, input, out)
            elif isinstance(input, Received):
                out.append(Send(Subsystem.MAIN, (input.conn,), (input.data,)))
        finally:
            self.inside = False

    def next_deadline(self) -> int | None:
        return self.deadline

    def check(self) -> None:
        assert self.whole, "broken"

    def status(self) -> dict[str, object]:
        return {"seen": len(self.seen)}

    def of(self, kind: type) -> list[AnyInput]:
        return [input for input in self.seen if type(input) is kind]


class FakeCoordinator:
    """Answers every question with the same, and tells `others` too."""

    def __init__(self, seed: bytes = b""):
        self.asked: list[tuple[str, int]] = []
        self.deadline: int | None = None

    def ask(self, now, node, request, what, out):
        self.asked.append((node, request))
        out.append((node, Answered(request, Released("1001", 1))))

    def next_deadline(self):
        return self.deadline

    def handle_timeout(self, now, out):
        self.deadline = None
