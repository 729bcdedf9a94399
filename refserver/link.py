"""`refserver link --control ADDR n1 n2 down|up`: cuts what joins two nodes of a running server, or restores it."""

from __future__ import annotations

import argparse
import http.client
import json
import sys

from refserver.addresses import split_address


def main(argv: list[str]) -> int:
    """Returns 0 when the server did it, 1 when it refused or could not be reached, 2 for a wrong address."""
    parser = argparse.ArgumentParser(
        prog="refserver link",
        description="Cut what joins two nodes, or restore it: the link of their T-Controllers, and the connections of "
        "each one's Smart Proxy to the other's T-Controller. SIP, clients and the coordinator are not cut.",
    )
    parser.add_argument(
        "--control", required=True, metavar="HOST:PORT", help="`control` in the server's ready line"
    )
    parser.add_argument("a", metavar="NODE")
    parser.add_argument("b", metavar="NODE")
    parser.add_argument("state", choices=("down", "up"))
    options = parser.parse_args(argv)
    try:
        host, port = split_address(options.control)
    except ValueError:
        print(f"refserver link: --control: expected HOST:PORT, got {options.control!r}", file=sys.stderr)
        return 2
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        body = json.dumps({"a": options.a, "b": options.b, "state": options.state})
        connection.request("POST", "/link", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = json.loads(response.read(65_536))
    except (OSError, http.client.HTTPException, ValueError) as error:
        print(f"refserver link: {options.control}: {error}", file=sys.stderr)
        return 1
    finally:
        connection.close()
    if response.status != 200:
        print(f"refserver link: {answer.get('error', response.status)}", file=sys.stderr)
        return 1
    print(json.dumps(answer))
    return 0
