"""What the arguments of several commands mean (ours)."""

from __future__ import annotations

import argparse
import re

_TARGET = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\s]+):([0-9]{1,5})")


def endpoint(text: str) -> tuple[str, int]:
    """HOST:PORT as a tuple; argparse's error for anything else."""
    found = _TARGET.fullmatch(text)
    if found is None or not 0 < int(found[2]) < 65_536:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return found[1].strip("[]"), int(found[2])
