"""The messages of RFC 4475 and RFC 5118, from the directory that SIP_TORTURE names; `tests/vectors/sip` has the same
rules in messages of our own."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from sip_proto import ParseError, Request, parse, validate
from sip_proto.framing import BrokenFraming, StreamFramer
from sip_proto.validate import response_fault

TORTURE = Path(os.environ["SIP_TORTURE"]) if os.environ.get("SIP_TORTURE") else None
SERVED = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "REGISTER")
# Where the RFC lets a receiver be strict or lenient: what we do. The reasons stand with the vectors of the same names.
DECIDED = {
    "quotbal": 400,
    "ltgtruri": 400,
    "lwsruri": 400,
    "lwsstart": 400,
    "trws": 400,
    "escruri": 400,
    "baddate": None,
    "regbadct": None,
    "badaspec": None,
    "baddn": None,
    "ipv6-bug-abnf-3-colons": 400,
}


def cases() -> list[dict[str, Any]]:
    return json.loads((TORTURE / "index.json").read_text()) if TORTURE is not None else []


def judged(data: bytes) -> tuple[str, int | None]:
    """`accept` or `reject`, and the status for a request that is refused."""
    try:
        message = parse(data)
    except ParseError:
        return "reject", None
    if not isinstance(message, Request):
        return ("accept" if response_fault(message) is None else "reject"), None
    types = ("application/sdp",) if message.method == "INVITE" else ()
    rejection = validate(message, methods=SERVED, types=types, answers=types)
    return ("accept", None) if rejection is None else ("reject", rejection.status)


def test_the_torture_messages_are_there() -> None:
    if TORTURE is None:
        pytest.skip("SIP_TORTURE is not set: the messages of RFC 4475 and RFC 5118 are left out")
    assert cases()


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["name"])
def test_each_is_judged_as_its_rfc_says(case: dict[str, Any]) -> None:
    assert TORTURE is not None
    data = (TORTURE / case["file"]).read_bytes()
    verdict, status = judged(data)
    if case["parser"] == "either":
        assert (verdict, status) == ("accept" if DECIDED[case["name"]] is None else "reject", DECIDED[case["name"]])
    elif case["parser"] == "reject":
        assert verdict == "reject"
    elif verdict == "reject" and case["name"] != "bcast":
        # The parser takes it: what refuses it knows why, and says so.
        assert parse(data).fault is None or status == 501
    if status is not None:
        # Any proper answer, or one of those that the RFC names.
        assert "any" in case["status"] or str(status) in case["status"]
    elif case["kind"] == "request" and verdict == "accept":
        # Statuses that remain are those of whoever knows the users: 200, 401, 403, 404, 481 and the like.
        assert {"any", "200", "404", "405", "481"}.intersection(case["status"])


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["name"])
def test_what_is_taken_is_a_fixed_point_of_parse_and_build(case: dict[str, Any]) -> None:
    assert TORTURE is not None
    data = (TORTURE / case["file"]).read_bytes()
    try:
        once = parse(data).to_bytes()
    except ParseError:
        assert case["parser"] == "reject"
        return
    assert parse(once).to_bytes() == once


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["name"])
def test_a_stream_is_cut_or_broken_with_an_answer(case: dict[str, Any]) -> None:
    assert TORTURE is not None
    data = (TORTURE / case["file"]).read_bytes()
    framer = StreamFramer()
    found = framer.receive(data)
    if b"\r\n\r\n" not in data or case["name"] == "clerr":
        assert found == []
        assert framer.pending == len(data)
        return
    first = found[0]
    if isinstance(first, BrokenFraming):
        assert first.status == 400
        assert isinstance(parse(first.head), Request)
    else:
        assert isinstance(first, bytes)
        assert data.startswith(first)
