"""Where each key of a TOML file stands: `tomllib` keeps values but drops positions (ours)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

Path = tuple[str | int, ...]
"""A place in a TOML document: table names, keys, and positions in arrays of tables."""

_KEY = re.compile(
    r'[ \t]*(?:(?P<bare>[A-Za-z0-9_-]+)|(?P<basic>"(?:[^"\\\n]|\\.)*")|(?P<literal>\'[^\'\n]*\'))[ \t]*'
)
_DIGITS = re.compile(r"[0-9]+\Z")
_QUOTED = re.compile(r'"""|\'\'\'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|#|[\[\]{}]')


class TomlIndex:
    """Line numbers of the keys and tables of a document that `tomllib` accepts.

    `bare_digits` lists tables and keys written as digits without quotes: TOML takes them for text, a reader
    for a number.
    """

    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {(): 1}
        self.bare_digits: list[tuple[int, str]] = []
        self._arrays: dict[Path, int] = {}
        table: Path = ()
        for number, line in _statements(text):
            stripped = line.lstrip()
            if stripped.startswith("[["):
                keys, _ = self._keys(stripped[2:], number)
                table = self._open(keys[:-1], number)
                path = (*table, keys[-1])
                position = self._arrays.get(path, -1) + 1
                self._arrays[path] = position
                table = (*path, position)
                self.lines.setdefault(path, number)
                self.lines[table] = number
            elif stripped.startswith("["):
                keys, _ = self._keys(stripped[1:], number)
                table = self._open(keys, number)
                self.lines[table] = number
            else:
                keys, _ = self._keys(line, number)
                path = table
                for key in keys:
                    path = (*path, key)
                    self.lines.setdefault(path, number)

    def line(self, path: Path) -> int:
        """Line of the key, or of the nearest table around it."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]

    def _open(self, keys: list[str], number: int) -> Path:
        """Path of a table named from the top; within an array of tables it means its last element."""
        path: Path = ()
        for key in keys:
            path = (*path, key)
            self.lines.setdefault(path, number)
            if path in self._arrays:
                path = (*path, self._arrays[path])
        return path

    def _keys(self, text: str, number: int) -> tuple[list[str], int]:
        """The dotted key at the start of the text, and where it ends."""
        keys: list[str] = []
        at = 0
        while found := _KEY.match(text, at):
            at = found.end()
            if found["bare"]:
                key = found["bare"]
                if _DIGITS.match(key):
                    self.bare_digits.append((number, key))
            else:
                quoted = found["basic"] or found["literal"]
                key = tomllib.loads(f"k = {quoted}")["k"]
            keys.append(key)
            if text[at : at + 1] != ".":
                break
            at += 1
        return keys, at


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Lines that begin a table or a key, with their numbers: not those inside a value of many lines."""
    depth = 0
    closing = ""
    for number, line in enumerate(text.splitlines(), 1):
        starts = depth == 0 and not closing
        if starts and line.strip() and not line.lstrip().startswith("#"):
            yield number, line
            if line.lstrip().startswith("["):
                continue  # a table header: its brackets are not a value's
        at = 0
        while at < len(line):
            if closing:
                end = line.find(closing, at)
                if end < 0:
                    break
                at = end + 3
                closing = ""
                continue
            found = _QUOTED.search(line, at)
            if not found:
                break
            at = found.end()
            token = found[0]
            if token in ('"""', "'''"):
                closing = token
            elif token == "#":
                break
            elif token in "[{":
                depth += 1
            elif token in "]}":
                depth -= 1
