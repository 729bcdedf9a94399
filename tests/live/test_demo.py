"""`refserver demo` as a program: what a stranger runs first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.live.cluster import cluster_text


def demo(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "refserver", "demo", "--record", str(folder / "record.jsonl"), *arguments],
        capture_output=True,
        text=True,
        timeout=150,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "120", **environment},
        check=False,
    )


def test_it_carries_the_call_shows_who_saw_what_and_leaves_the_record(tmp_path: Path) -> None:
    done = demo(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "What each client saw" in done.stdout
    assert "✗ the" not in done.stdout
    assert "\x1b" not in done.stdout
    lines = [json.loads(line) for line in (tmp_path / "record.jsonl").read_text().splitlines()]
    assert {line["layer"] for line in lines} == {"sip", "tlib"}
    assert f"{len(lines)} lines of JSON" in done.stdout


def test_a_terminal_that_knows_ascii_only_gets_ascii(tmp_path: Path) -> None:
    done = demo(tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.isascii()


def test_a_cluster_without_the_routing_point_fails_with_the_reason(tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text(cluster_text().replace('"8000"', '"8001"'))
    done = demo(tmp_path, "--cluster", str(file))
    assert done.returncode == 1
    assert "The demo failed: the server refused a request: 59 NOT_CONFIGURED" in done.stderr


def test_a_missing_cluster_file_is_named(tmp_path: Path) -> None:
    done = demo(tmp_path, "--cluster", str(tmp_path / "none.toml"))
    assert done.returncode == 1
    assert "none.toml" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_does_not_start_is_quoted(tmp_path: Path) -> None:
    file = tmp_path / "broken.toml"
    file.write_text("[cluster]\nname = 7\n")
    done = demo(tmp_path, "--cluster", str(file))
    assert done.returncode == 1
    assert "the server did not start" in done.stderr
    assert "broken.toml:2: cluster.name" in done.stderr
