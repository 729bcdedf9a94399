"""What a live server wrote can be shown again: a journal of the demo, and the events of a port as lines of JSON."""

from __future__ import annotations

import asyncio
import json
import os
import re
import stat
import sys
from pathlib import Path

from refserver.phone import PhoneEventKind
from tests.live.cluster import run, running
from tests.live.test_demo import demo
from tests.live.test_demo_call import routed

Kind = PhoneEventKind


async def replayed(journal: Path, hash_seed: str) -> bytes:
    """The digest of the outputs of one replay, which must be those of the run."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "refserver", "replay", "--digest", str(journal)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )
    said, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")
    assert re.fullmatch(rb"[0-9a-f]{64}\n", said)
    return said


def test_a_journal_of_the_demo_replays_to_the_same_outputs_under_two_hash_seeds(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    done = demo(tmp_path, "--journal", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    journals = sorted(folder.iterdir())
    assert len(journals) == 2
    for journal in journals:
        assert stat.S_IMODE(journal.stat().st_mode) == 0o600

    async def body() -> None:
        digests = await asyncio.gather(*(replayed(journal, seed) for journal in journals for seed in "01"))
        assert digests[0] == digests[1]
        assert digests[2] == digests[3]

    run(body)


def test_tail_prints_the_events_of_a_dn_as_lines_of_json(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(tmp_path) as cluster:
            phone = await cluster.phone("1002", "n2", auto_answer=True)
            host, port = cluster.address("n1", "smartproxy")
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "refserver", "tail", f"{host}:{port}", "--dn", "1002", "--json"),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            assert process.stdout is not None
            assert json.loads(await process.stdout.readline())["event"] == "EventRegistered"
            conn_id = await routed(cluster)
            await phone.wait_for(Kind.ESTABLISHED)
            await phone.hangup()
            seen: list[dict[str, object]] = []
            while not seen or seen[-1]["event"] != "EventReleased":
                seen.append(json.loads(await process.stdout.readline()))
            told = [line["event"] for line in seen if "conn_id" in line]
            assert told == ["EventRinging", "EventEstablished", "EventReleased"]
            assert {line["conn_id"] for line in seen if "conn_id" in line} == {f"{conn_id:016x}"}
            assert {line["this_dn"] for line in seen} == {"1002"}
            process.terminate()
            _, errors = await process.communicate()
            assert (process.returncode, errors) == (0, b"")

    run(body)
