"""`python -m refserver` and the console script."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; returns the exit status."""
    from refserver.cli import main as run

    status: int = run(sys.argv[1:])
    return status


if __name__ == "__main__":
    sys.exit(main())
