"""Every target by name; a module of targets that is not there is left out."""

from importlib import import_module
from importlib.util import find_spec

from fuzz.target import Target

MODULES = ("fuzz.sip", "fuzz.tlib")
TARGETS: dict[str, Target] = {
    target.name: target for name in MODULES if find_spec(name) is not None for target in import_module(name).TARGETS
}
