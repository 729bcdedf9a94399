"""Arguments that several commands share."""

from __future__ import annotations

import argparse

import pytest

from refserver.arguments import endpoint


@pytest.mark.parametrize(
    ("text", "given"), [("127.0.0.1:5060", ("127.0.0.1", 5060)), ("[::1]:5060", ("::1", 5060)), ("pbx:1", ("pbx", 1))]
)
def test_an_endpoint_is_host_and_port(text: str, given: tuple[str, int]) -> None:
    assert endpoint(text) == given


@pytest.mark.parametrize("text", ["", "5060", "host:", "host:0", "host:65536", "host:\u0665", "a b:1", "host:999999"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        endpoint(text)
