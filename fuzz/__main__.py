"""`make fuzz TARGET=... RUNS=...`: random inputs for a parser; 1 when one of them breaks a promise."""

import argparse
import sys

from fuzz.engines import best_engine, coverage_of, grown, run
from fuzz.every import TARGETS


def main() -> int:
    """Run the targets that are named, all without a name; print runs, seconds and coverage of each."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"one of {', '.join(TARGETS)}; all when none")
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1, help="equal seeds give equal inputs")
    parser.add_argument("--engine", choices=("atheris", "hypothesis"), default=best_engine())
    options = parser.parse_args()
    if unknown := [name for name in options.targets if name not in TARGETS]:
        parser.error(f"no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    print(f"engine: {options.engine}")
    for name in options.targets or TARGETS:
        target = TARGETS[name]
        ran = run(target, options.engine, options.runs, options.seed)
        inputs = target.seeds() + ran.found
        edges = f", {ran.edges} edges" if ran.edges else ""
        print(f"{name}: {ran.runs} runs in {ran.seconds:.0f} s{edges}; {coverage_of(target, inputs)}", flush=True)
        if offences := grown(target, inputs[:: len(inputs) // 40 + 1], options.seed):
            print(f"{name}: time grows faster than size:\n" + "\n".join(offences), file=sys.stderr)
            return 1
    return 0


sys.exit(main())
