"""What a fuzz target is, and where its first inputs are."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

CORPUS = Path(__file__).parent / "corpus"


class Target(NamedTuple):
    """`check` raises when what is promised of an input does not hold; `read` is what must take linear time."""

    name: str
    modules: tuple[str, ...]
    check: Callable[[bytes], None]
    read: Callable[[bytes], object]
    words: tuple[bytes, ...] = ()

    def seeds(self) -> list[bytes]:
        """The inputs that are kept in the repository, by file name."""
        folder = CORPUS / self.name
        return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []
