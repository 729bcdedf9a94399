"""The command line: commands by name, clear refusals, exit statuses."""

import json
import os
import re
import subprocess
import sys

import pytest

from refserver import cli
from refserver.cli import COMMANDS, main
from refserver.secrets import hash_secret, well_formed
from refserver.secrets import main as secret_main

from .test_config import DEMO, GOOD


def run(*argv, **named):
    return subprocess.run(
        [sys.executable, "-m", "refserver", *argv],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **named,
    )


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name}" in text for name in COMMANDS)
    assert main([]) == 2


def test_version(capsys):
    assert main(["--version"]) == 0
    assert re.fullmatch(r"refserver \S+\n", capsys.readouterr().out)


def test_an_unknown_command_is_named(capsys):
    assert main(["fly"]) == 2
    assert "no command 'fly'" in capsys.readouterr().err


def test_missing_packages_of_the_server_are_named(monkeypatch, capsys):
    def missing(name):
        raise ModuleNotFoundError("no", name="h11")

    monkeypatch.setattr(cli.importlib, "import_module", missing)
    assert main(["serve"]) == 2
    assert "pip install 'sipcluster[server]'" in capsys.readouterr().err


def test_config_check(tmp_path):
    assert run("config", "check", str(DEMO)).stdout == "ok\n"
    bad = tmp_path / "c.toml"
    bad.write_text(GOOD.replace("number = 1", "number = 0"))
    done = run("config", "check", str(bad))
    assert done.returncode == 2
    assert done.stderr == f"{bad}:6: node.0.number: expected 1 to 4095, got 0\n"


def test_secret_hashes_a_line_of_stdin():
    done = run("secret", input="hunter2\n")
    assert done.returncode == 0
    assert well_formed(done.stdout.strip())
    assert "hunter2" not in done.stdout


def test_secret_generates(capsys):
    assert secret_main(["--generate"]) == 0
    out, err = capsys.readouterr()
    secret = err.removeprefix("secret: ").strip()
    salt = bytes.fromhex(out.split("$")[4])
    assert hash_secret(secret, salt) == out.strip()


def test_an_empty_secret_is_refused():
    assert run("secret", input="\n").returncode == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "scrypt",
        "scrypt$16384$8$1$ab$cd",
        "scrypt$3$8$1$" + "ab" * 8 + "$" + "cd" * 16,
        "bcrypt$1$1$1$a$b",
    ],
)
def test_hashes_that_cannot_be_checked_are_not_well_formed(text):
    assert not well_formed(text)


def test_replay_and_link_explain_themselves():
    for command in ("serve", "replay", "link", "secret", "config"):
        assert run(command, "--help").returncode == 0


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["none.toml"], "none.toml: cannot be read: No such file or directory"),
        ([str(DEMO), "--member", "n1/a"], "n2/a would be left out"),
        ([str(DEMO), "--member", "n9/a"], "--member n9/a: no such member; the file has n1/a, n2/a"),
        ([str(DEMO), "--any-port", "--control", "192.0.2.1:1"], "off loopback"),
        ([str(DEMO), "--any-port", "--control", "x"], "--control: expected an address and a port"),
        ([str(DEMO), "--any-port", "--journal", "/dev/null"], "no directory for journals"),
        ([str(DEMO), "--any-port", "--log-dir", "/dev/null/x"], "--log-dir /dev/null/x: Not a directory"),
    ],
)
def test_serve_refuses_without_a_traceback(argv, said):
    done = run("serve", *argv)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_serve_refuses_to_start_below_the_files_it_needs():
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200));"
        "from refserver.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "serve", str(DEMO), "--any-port"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "open files are needed and 200 are allowed" in done.stderr


def test_the_cluster_starts_says_so_and_ends_on_sigterm(tmp_path):
    server = subprocess.Popen(
        [sys.executable, "-m", "refserver", "serve", str(DEMO), "--any-port",
         "--log-dir", str(tmp_path / "logs"), "--journal", str(tmp_path / "journal")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )  # fmt: skip
    assert server.stdout is not None
    try:
        ready = json.loads(server.stdout.readline())
        assert ready["members"]["n1/a"]["role"] == "primary"
        done = run("link", "--control", ready["control"], "n1", "n2", "down")
        assert done.returncode == 0, done.stderr
    finally:
        server.terminate()
        out, err = server.communicate(timeout=30)
    assert (server.returncode, out, err) == (0, "", "")
    for node in ("n1", "n2"):
        (journal,) = (tmp_path / "journal").glob(f"{node}-*.journal")
        first, second = (
            run("replay", str(journal), "--digest", env={**os.environ, "PYTHONHASHSEED": seed})
            for seed in ("1", "2")
        )
        assert first.returncode == 0, first.stderr
        assert first.stdout == second.stdout
