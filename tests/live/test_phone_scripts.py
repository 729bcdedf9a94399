"""The example scripts of `refserver phone`, each a process, at a real server."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from refserver.phone_script import parse_script
from tests.live.cluster import PASSWORD, Cluster, run, running

EXAMPLES = Path(__file__).parents[2] / "examples" / "phone"


class Program:
    """A phone that does its script."""

    async def start(self, cluster: Cluster, number: str, node: str, script: str) -> None:
        host, port = cluster.address(node, "sip")
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "refserver", "phone", "--register", f"{host}:{port}", "--number", number),
            *("--password", PASSWORD, "--json", "--script", str(EXAMPLES / script)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.lines = [json.loads(await self._process.stdout.readline())]
        assert self.lines[0]["event"] == "registered"

    async def end(self) -> int:
        said, _ = await self._process.communicate()
        self.lines += [json.loads(line) for line in said.splitlines()]
        assert self._process.returncode is not None
        return self._process.returncode

    def told(self, event: str) -> list[object]:
        """The texts of an event's lines."""
        return [line["text"] for line in self.lines if line.get("event") == event]


def test_the_example_scripts_transfer_a_call(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(tmp_path) as cluster:
            expert, agent, caller = Program(), Program(), Program()
            await expert.start(cluster, "1003", "n2", "expert.phone")
            await agent.start(cluster, "1002", "n1", "agent.phone")
            await caller.start(cluster, "1001", "n1", "caller.phone")
            assert [await program.end() for program in (caller, agent, expert)] == [0, 0, 0]
            assert caller.told("ended") == ["bye"]
            assert agent.told("digit") == ["5"]
            assert agent.told("transferred")
            assert len(expert.told("established")) == 1
            answers = [line["ok"] for program in (caller, agent, expert) for line in program.lines if "ok" in line]
            assert len(answers) == 19
            assert all(answers)

    run(body)


def test_every_example_is_a_script() -> None:
    names = sorted(path.name for path in EXAMPLES.iterdir())
    assert names == ["agent.phone", "caller.phone", "expert.phone"]
    for name in names:
        assert parse_script((EXAMPLES / name).read_text())
