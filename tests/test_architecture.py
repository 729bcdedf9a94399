"""What import-linter cannot see: constructs of the pure packages, and where the packages came from."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PURE = ("tlib_proto", "sip_proto", "cluster_core")
ALL = (*PURE, "refserver")
FORBIDDEN_CALLS = {"open", "print", "input", "eval", "exec"}
CHECKOUT = Path(__file__).parents[1]
NOT_CORE = {"tlib_proto/generate.py"}  # the generator is a tool: it writes a file


def sources(package: str) -> Iterator[Path]:
    """Every module of a package, as the interpreter would import it."""
    root = Path(importlib.import_module(package).__path__[0])
    for path in sorted(root.rglob("*.py")):
        if f"{package}/{path.relative_to(root)}" not in NOT_CORE:
            yield path


def offences(tree: ast.AST) -> Iterator[str]:
    """Constructs that a pure package does not use."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
            yield f"{node.lineno}: {node.func.id}()"
        elif isinstance(node, ast.Global):
            yield f"{node.lineno}: global"
        elif isinstance(node, ast.AsyncFunctionDef | ast.Await):
            yield f"{node.lineno}: async"
        elif isinstance(node, ast.For | ast.comprehension):
            over = node.iter
            if isinstance(over, ast.Set | ast.SetComp) or (
                isinstance(over, ast.Call)
                and isinstance(over.func, ast.Name)
                and over.func.id in ("set", "frozenset")
            ):
                yield f"{over.lineno}: iteration over a set"


@pytest.mark.parametrize("package", PURE)
def test_pure_packages_use_no_forbidden_construct(package: str) -> None:
    found = [
        f"{path.name}:{offence}"
        for path in sources(package)
        for offence in offences(ast.parse(path.read_text()))
    ]
    assert found == []


@pytest.mark.parametrize("package", ALL)
def test_packages_are_typed(package: str) -> None:
    assert (Path(importlib.import_module(package).__path__[0]) / "py.typed").exists()


def test_pure_packages_import_without_the_event_loop() -> None:
    loop = {"asyncio", "socket", "ssl", "h11"}
    code = f"import sys, {', '.join(PURE)}; print(*{loop}.intersection(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.wheel
@pytest.mark.parametrize("package", ALL)
def test_nothing_came_from_the_checkout(package: str) -> None:
    place = Path(importlib.import_module(package).__path__[0]).resolve()
    assert not place.is_relative_to(CHECKOUT) or place.is_relative_to(CHECKOUT / ".venv-wheel")
    outside = [p for p in sys.path if Path(p or ".").resolve() == CHECKOUT]
    assert outside == []
