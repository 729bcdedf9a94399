"""One atheris run of a target: `python -m fuzz.led TARGET KEPT CORPUS -runs=N`; the engine starts it."""

import sys

import atheris

with atheris.instrument_imports(include=["sip_proto", "tlib_proto"]):
    from fuzz.every import TARGETS

name = sys.argv.pop(1)
atheris.Setup(sys.argv, TARGETS[name].check)
atheris.Fuzz()
