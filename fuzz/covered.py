"""Branch coverage of a target's modules: `python -m fuzz.covered TARGET FOLDER`."""

import io
import sys
from pathlib import Path

import coverage

name, folder = sys.argv[1:]
packages = ["sip_proto", "tlib_proto"]
meter = coverage.Coverage(branch=True, data_file=None, source_pkgs=packages, config_file=False)
meter.start()
from fuzz.every import TARGETS  # noqa: E402

target = TARGETS[name]
for path in sorted(Path(folder).iterdir()):
    target.check(path.read_bytes())
meter.stop()
for module in target.modules:
    percent = meter.report(morfs=[sys.modules[module]], file=io.StringIO())
    print(f"{module} {percent:.0f} %", end=", " if module != target.modules[-1] else "\n")
