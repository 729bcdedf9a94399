"""A hundred small clusters under faults: one owner a DN, every request answered, all views equal after healing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim.chaos import play

ROOT = Path(__file__).parents[2]
TWICE = ("3", "14", "15", "92")


@pytest.mark.parametrize("seed", range(100))
def test_a_cluster_under_faults_heals(seed: int) -> None:
    play(seed)


def test_the_same_seed_gives_the_same_trace_under_any_hash_seed() -> None:
    said = []
    for hash_seed in ("1", "4711"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "tests.sim.chaos", *TWICE]
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout.splitlines())
    assert said[0] == said[1]
    assert len({line.split()[1] for line in said[0]}) == len(TWICE)


def test_a_failure_names_its_seed_and_how_to_play_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object) -> None:
        raise AssertionError("no such luck")

    monkeypatch.setattr("tests.sim.chaos.Chaos.heal_all", broken)
    with pytest.raises(AssertionError, match=r"seed 7, step [0-9]+: no such luck") as failure:
        play(7)
    text = str(failure.value)
    assert "python -m tests.sim.chaos 7" in text
    assert len(text.splitlines()) >= 40
