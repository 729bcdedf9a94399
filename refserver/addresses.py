"""Addresses as text: hosts are addresses, not names, so that nothing here asks a resolver (ours)."""

from __future__ import annotations

import ipaddress
import re

_PORT = re.compile(r"[0-9]{1,5}\Z")


def split_address(text: str) -> tuple[str, int]:
    """Host and port of "127.0.0.1:5060" or "[::1]:5060"; ValueError for everything else."""
    host, colon, port = text.rpartition(":")
    if not colon or not _PORT.match(port) or int(port) > 65_535:
        raise ValueError(text)
    if host.startswith("[") and host.endswith("]"):
        return str(ipaddress.IPv6Address(host[1:-1])), int(port)
    return str(ipaddress.IPv4Address(host)), int(port)


def join_address(host: str, port: int) -> str:
    """The text that `split_address` takes apart."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether the address is of this host only; False for what is no address."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
