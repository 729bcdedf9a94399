"""Phones at a real server that asks them for SHA-256, for MD5, or for whichever they know."""

from __future__ import annotations

from pathlib import Path

import pytest

from refserver.phone import PhoneError, PhoneEventKind
from tests.live.cluster import cluster_text, run, running

Kind = PhoneEventKind


def text() -> str:
    """The usual cluster; 1003 is asked for SHA-256 alone, 1004 for that or MD5, the others for MD5 alone."""
    made = cluster_text()
    for number, names in (("1003", '["SHA-256"]'), ("1004", '["SHA-256", "MD5"]')):
        made = made.replace(f'[dn."{number}"]\n', f'[dn."{number}"]\ndigest-algorithms = {names}\n')
    return made


def test_each_phone_is_asked_by_the_algorithms_of_its_dn(tmp_path: Path) -> None:
    seen: dict[str, list[bytes]] = {"1002": [], "1003": [], "1004": []}

    async def body() -> None:
        async with running(tmp_path, text=text()) as cluster:
            phones = {
                number: await cluster.phone(number, "n1", trace=lambda way, raw, _, kept=data: kept.append(raw))
                for number, data in seen.items()
            }
            called = await cluster.phone("1005", "n2")
            await phones["1003"].call("1005")
            await called.wait_for(Kind.INCOMING)

    run(body)
    for number, algorithms in (("1002", [b"MD5"]), ("1003", [b"SHA-256"]), ("1004", [b"SHA-256", b"MD5"])):
        challenge = next(raw for raw in seen[number] if raw.startswith(b"SIP/2.0 401"))
        offered = [part.split(b",")[0] for part in challenge.split(b"algorithm=")[1:]]
        assert offered == algorithms
        answer = next(raw for raw in seen[number] if b"\r\nAuthorization:" in raw)
        assert b"algorithm=" + algorithms[0] + b"," in answer


@pytest.mark.parametrize(("number", "registers"), [("1002", True), ("1003", False), ("1004", True)])
def test_a_phone_of_md5_alone_registers_where_that_is_offered(tmp_path: Path, number: str, registers: bool) -> None:
    async def body() -> None:
        async with running(tmp_path, text=text()) as cluster:
            phone = await cluster.phone(number, "n1", register=False, algorithms=("MD5",))
            if registers:
                await phone.register()
                return
            with pytest.raises(PhoneError) as caught:
                await phone.register()
            assert caught.value.status == 401

    run(body)
