"""Secrets of applications: made and hashed here, checked by `cluster_core.rights` (design 6)."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
from getpass import getpass

N, R, P = 16_384, 8, 1
_FORM = re.compile(
    r"scrypt\$([0-9]{1,7})\$([0-9]{1,2})\$([0-9]{1,2})\$([0-9a-f]{16,128})\$([0-9a-f]{32,128})\Z"
)
MAX_WORK_BYTES = 32 * 1_048_576


def well_formed(text: str) -> bool:
    """Whether the text is `scrypt$n$r$p$salt$hash`, the last two in hex, and can be checked within 32 MiB."""
    found = _FORM.match(text)
    if not found:
        return False
    n, r, p = int(found[1]), int(found[2]), int(found[3])
    if n < 2 or n & (n - 1) or not 1 <= r <= 32 or not 1 <= p <= 4:
        return False
    return 128 * n * r <= MAX_WORK_BYTES and len(found[4]) % 2 == 0 and len(found[5]) % 2 == 0


def hash_secret(secret: str, salt: bytes) -> str:
    """The salted scrypt hash that stands in a cluster file."""
    digest = hashlib.scrypt(secret.encode(), salt=salt, n=N, r=R, p=P, dklen=32, maxmem=2 * MAX_WORK_BYTES)
    return f"scrypt${N}${R}${P}${salt.hex()}${digest.hex()}"


def main(argv: list[str]) -> int:
    """`refserver secret`: reads a secret (a line of stdin, or asks for it) and prints its hash."""
    parser = argparse.ArgumentParser(prog="refserver secret", description="Hash an application's secret.")
    parser.add_argument("--generate", action="store_true", help="make a secret, and print it on stderr")
    options = parser.parse_args(argv)
    if options.generate:
        secret = os.urandom(24).hex()
        print(f"secret: {secret}", file=sys.stderr)
    elif sys.stdin.isatty():
        secret = getpass("Secret: ")
    else:
        secret = sys.stdin.readline().rstrip("\r\n")
    if not secret:
        print("refserver secret: the secret is empty", file=sys.stderr)
        return 2
    print(hash_secret(secret, os.urandom(16)))
    return 0
