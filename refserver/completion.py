"""`refserver completion bash|zsh`: what a shell sources to complete commands, verbs and options (ours).

    source <(refserver completion bash)
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import re
import shlex

from refserver import agent, call, dn
from refserver.cli import COMMANDS

VERBS = {
    "agent": tuple(verb.name for verb in agent.VERBS),
    "call": tuple(verb.name for verb in call.VERBS),
    "dn": tuple(verb.name for verb in dn.VERBS),
    "completion": ("bash", "zsh"),
    "config": ("check",),
}
"""Commands whose first word is one of a few."""

_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*", re.ASCII)


def words_of(command: str) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """What may follow a command: its verbs, and the options of each verb ("" where there are no verbs)."""
    verbs = VERBS.get(command, ())
    return verbs, {verb: options(command, verb) for verb in verbs} if verbs else {"": options(command)}


def options(command: str, *verb: str) -> tuple[str, ...]:
    """The long options of a command, as its own help has them."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
            importlib.import_module(COMMANDS[command][0]).main([*verb, "--help"])
    except ModuleNotFoundError:
        pass  # the server's packages are not installed
    usage = said.getvalue().partition("\n\n")[0]
    return tuple(dict.fromkeys(("--help", *_OPTION.findall(usage))))


def bash() -> str:
    """Completion for bash 4 and later."""
    lines = [
        "# refserver: completion for bash",
        "_refserver() {",
        '    local cur="${COMP_WORDS[COMP_CWORD]}" words=""',
        '    if [ "$COMP_CWORD" -eq 1 ]; then',
        f'        words="{" ".join((*COMMANDS, "--help", "--version"))}"',
        "    else",
        '        case "${COMP_WORDS[1]}" in',
    ]
    for command in COMMANDS:
        verbs, known = words_of(command)
        lines.append(f"            {command})")
        if verbs:
            lines.append(f'                if [ "$COMP_CWORD" -eq 2 ]; then words="{" ".join(verbs)}"; else')
            lines.append('                case "${COMP_WORDS[2]}" in')
            lines += [f'                    {verb}) words="{" ".join(opts)}" ;;' for verb, opts in known.items()]
            lines.append("                esac; fi")
        else:
            lines.append(f'                words="{" ".join(known[""])}"')
        lines.append("                ;;")
    lines += [
        "        esac",
        "    fi",
        '    COMPREPLY=($(compgen -W "$words" -- "$cur"))',
        "}",
        "complete -o default -F _refserver refserver",
    ]
    return "\n".join(lines)


def zsh() -> str:
    """Completion for zsh with its completion system loaded (compinit)."""
    lines = ["#compdef refserver", "_refserver() {", "    local -a commands", "    commands=("]
    lines += [f"        {shlex.quote(f'{name}:{text}')}" for name, (_, text) in COMMANDS.items()]
    lines += [
        "    )",
        "    if (( CURRENT == 2 )); then",
        "        _describe command commands",
        "        return",
        "    fi",
        '    case "$words[2]" in',
    ]
    for command in COMMANDS:
        verbs, known = words_of(command)
        lines.append(f"        {command})")
        if verbs:
            lines.append(f"            if (( CURRENT == 3 )); then compadd -- {' '.join(verbs)}; fi")
            lines.append('            case "$words[3]" in')
            lines += [f"                {verb}) compadd -- {' '.join(opts)} ;;" for verb, opts in known.items()]
            lines.append("            esac")
        else:
            lines.append(f"            compadd -- {' '.join(known[''])}")
        lines.append("            _files")
        lines.append("            ;;")
    lines += ["    esac", "}", "compdef _refserver refserver"]
    return "\n".join(lines)


SHELLS = {"bash": bash, "zsh": zsh}


def parser() -> argparse.ArgumentParser:
    """The command line of `refserver completion`."""
    made = argparse.ArgumentParser(
        prog="refserver completion",
        description="Print completion for a shell.",
        epilog="bash: source <(refserver completion bash); zsh: source <(refserver completion zsh), after compinit.",
    )
    made.add_argument("shell", choices=tuple(SHELLS))
    return made


def main(argv: list[str]) -> int:
    """The command; returns the exit status."""
    print(SHELLS[parser().parse_args(argv).shell]())
    return 0
