"""Shared by all tests: peers that may be missing, and no sockets for the pure packages."""

import os
import shutil
import socket
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PURE = ("tlib_proto", "sip_proto", "cluster_core", "sim")
ONCE = ("live", "sim")
PROGRAMS = {"sipp": "sipp", "baresip": "baresip", "kamailio": "kamailio"}

# Debian puts proxies where only root's PATH leads.
os.environ["PATH"] = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin"

left_out: dict[str, int] = {}


def folder(item: pytest.Item) -> str:
    """First folder below tests/ that holds the item; empty for those in tests/ itself."""
    parts = item.path.relative_to(HERE).parts
    return parts[0] if len(parts) > 1 else ""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Against the wheel the slow tests do not run again; what is about the wheel runs against it alone."""
    if os.environ.get("SIPCLUSTER_WHEEL") == "1":
        others = [item for item in items if folder(item) in ONCE or item.get_closest_marker("slow")]
    else:
        others = [item for item in items if item.get_closest_marker("wheel")]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in set(others)]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A missing peer leaves a test out; where CI=true it fails. The RFCs' messages may be missing anywhere."""
    if item.get_closest_marker("torture") and not os.environ.get("SIP_TORTURE"):
        left_out["SIP_TORTURE"] = left_out.get("SIP_TORTURE", 0) + 1
        pytest.skip("SIP_TORTURE names no folder")
    for marker in item.iter_markers("peer"):
        name = marker.args[0]
        if shutil.which(PROGRAMS.get(name, name)):
            continue
        left_out[name] = left_out.get(name, 0) + 1
        text = f"{name} is not installed"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(text)
        pytest.skip(text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Names what was left out for want of a peer."""
    if left_out:
        what = ", ".join(f"{name} ({count} tests)" for name, count in sorted(left_out.items()))
        terminalreporter.write_line(f"left out for want of a peer: {what}", yellow=True)


@pytest.fixture(autouse=True)
def _pure_packages_open_no_sockets(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if folder(request.node) in PURE:

        def refuse(*args: object, **named: object) -> None:
            raise AssertionError("a pure package opened a socket")

        monkeypatch.setattr(socket, "socket", refuse)
