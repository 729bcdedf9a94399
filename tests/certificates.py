"""Certificates for tests of TLS, made by openssl for this machine's loopback address."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple


class Pair(NamedTuple):
    """A certificate, which is its own authority, and its key."""

    certificate: Path
    key: Path


def self_signed(folder: Path, name: str = "server", names: str = "IP:127.0.0.1") -> Pair:
    """A pair of files in the folder, good for 127.0.0.1 or the `names` and for both ends of a connection."""
    pair = Pair(folder / f"{name}-certificate.pem", folder / f"{name}-key.pem")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-keyout", str(pair.key), "-out", str(pair.certificate), "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", f"subjectAltName={names}"),
        ],
        check=True,
        capture_output=True,
    )
    return pair
