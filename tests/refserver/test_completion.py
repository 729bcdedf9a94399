"""Completion for shells: every command, verb and option that there is."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from refserver import completion
from refserver.cli import COMMANDS, main


def complete(*words: str) -> list[str]:
    """What bash offers for the last word."""
    quoted = " ".join(f"'{word}'" for word in words)
    script = (
        f"{completion.bash()}\nCOMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _refserver; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("refserver", "ca"), ["call"]),
        (("refserver", "call", "re"), ["release", "retrieve", "reconnect", "redirect"]),
        (("refserver", "agent", "login", "--ag"), ["--agent"]),
        (("refserver", "dn", "query", "--ti"), ["--timeout"]),
        (("refserver", "tail", "--al"), ["--all"]),
        (("refserver", "phone", "--sc"), ["--script"]),
        (("refserver", "completion", ""), ["bash", "zsh"]),
        (("refserver", "nothing", "--"), []),
    ],
)
def test_bash_offers_commands_verbs_and_options(words: tuple[str, ...], offered: list[str]) -> None:
    assert complete(*words) == offered


def test_both_shells_know_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    for shell in ("bash", "zsh"):
        assert main(["completion", shell]) == 0
        text = capsys.readouterr().out
        assert [name for name in COMMANDS if f"        {name})" not in text] == []
    assert "compdef _refserver refserver" in text
    assert "'call:make a call, or do something with one'" in text


@pytest.mark.peer("zsh")
def test_zsh_reads_its_script() -> None:
    subprocess.run(["zsh", "-n", "-c", completion.zsh()], check=True, timeout=30)


def test_a_command_whose_packages_are_missing_is_completed_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ModuleNotFoundError("no", name="h11")

    monkeypatch.setattr(completion.importlib, "import_module", missing)
    assert completion.options("serve") == ("--help",)
