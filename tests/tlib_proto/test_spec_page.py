"""The page that others write codecs from: up to date, and enough to write one."""

import importlib.util
import os
import random
import re
from pathlib import Path

import pytest

from tests.tlib_proto import second_codec
from tests.tlib_proto.random_messages import mutated, random_message
from tlib_proto.codec import decode, encode, scan
from tlib_proto.errors import PARSE_KINDS, ParseError
from tlib_proto.records import Message, Unknown

DOCS = Path(__file__).parents[2] / "docs"
PACKAGE = Path(__file__).parents[2] / "tlib_proto"
ROUNDS = int(os.environ.get("TLIB_RANDOM_MESSAGES", "3000"))


def renderer():
    spec = importlib.util.spec_from_file_location("render_tlib", DOCS / "render_tlib.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain(value):
    """A value of ours as the second codec has it."""
    if isinstance(value, Unknown):
        return second_codec.Opaque(value.type, value.data)
    if isinstance(value, tuple):
        return [(key, plain(inner)) for key, inner in value]
    return value


def ours(frame):
    try:
        message = decode(frame)
    except ParseError as breach:
        return breach.kind, breach.offset
    return message.id, message.ref, {key: plain(value) for key, value in message.attributes.items()}


def theirs(frame):
    try:
        return second_codec.decode(frame)
    except second_codec.Broken as breach:
        return breach.args


def test_the_page_is_what_the_declaration_says():
    render = renderer()
    page = render.PAGE.read_text(encoding="utf-8")
    assert render.rendered(page) == page, "run python docs/render_tlib.py"
    assert sorted(re.findall("<!-- table: ([a-z ]+) -->", page)) == sorted(render.TABLES)
    assert render.main(["--check"]) == 0


def test_a_page_that_is_out_of_date_is_written_anew(tmp_path, monkeypatch, capsys):
    render = renderer()
    page = tmp_path / "page.md"
    page.write_text("x\n<!-- table: versions -->\nold\n<!-- end -->\ny\n")
    monkeypatch.setattr(render, "PAGE", page)
    assert render.main(["--check"]) == 1
    assert "page.md is not" in capsys.readouterr().err
    assert render.main([]) == 0
    assert page.read_text() == "x\n<!-- table: versions -->\n1\n<!-- end -->\ny\n"
    assert render.main(["--what"]) == 2


def test_the_page_names_every_kind_of_breach():
    raised = set(re.findall(r'ParseError\("([a-z-]+)"', (PACKAGE / "_codec.py").read_text(encoding="utf-8")))
    assert raised == set(PARSE_KINDS)


@pytest.mark.parametrize("octets", re.findall(r"`(0000[0-9a-f]{4} [0-9a-f ]+)`", second_codec.PAGE))
def test_the_frames_on_the_page_are_frames(octets):
    frame = bytes.fromhex(octets.replace(" ", ""))
    assert encode(decode(frame)) == frame
    assert theirs(frame) == ours(frame)


def test_the_second_codec_agrees_on_random_messages_valid_and_mutated():
    """TLIB_RANDOM_MESSAGES says how many; each is read whole, and again with some octets changed or cut."""
    dice = random.Random(20261122)
    broken = 0
    for _ in range(ROUNDS):
        message = random_message(dice)
        frame = encode(message)
        found = theirs(frame)
        assert found == ours(frame)
        assert second_codec.encode(found) == frame
        assert second_codec.scan(frame) == scan(frame)
        bad = mutated(dice, frame)
        assert theirs(bad) == ours(bad), bad.hex()
        broken += len(theirs(bad)) == 2
    assert broken > ROUNDS // 4


def test_random_messages_are_of_every_kind():
    dice = random.Random(1)
    values = [value for _ in range(300) for value in random_message(dice).attributes.values()]
    assert {type(value) for value in values} == {int, str, bytes, tuple, Unknown}
    assert isinstance(random_message(dice), Message)
