import runpy
import sys

import pytest
from construct import Byte, GreedyRange, Int16ub, Struct, Switch, this

from tlib_proto import generate, wire


def test_the_checked_in_codec_is_what_the_declaration_says():
    with open(generate.TARGET, encoding="utf-8") as file:
        assert file.read() == generate.generate()


def test_check_accepts_the_checked_in_codec_and_refuses_another(tmp_path, monkeypatch, capsys):
    assert generate.main(["--check"]) == 0
    other = tmp_path / "codec.py"
    monkeypatch.setattr(generate, "TARGET", str(other))
    assert generate.main([]) == 0
    assert other.read_text() == generate.generate()
    other.write_text("pass\n")
    assert generate.main(["--check"]) == 1
    assert "tlib_proto.generate" in capsys.readouterr().err


def test_a_wrong_call_is_answered_by_the_usage(capsys):
    assert generate.main(["--what"]) == 2
    assert "usage" in capsys.readouterr().err


def test_a_word_without_code_is_an_error(monkeypatch):
    monkeypatch.setattr(
        wire, "Frame", wire.Region(wire.Int32ub, wire.AsMessage(Struct("x" / GreedyRange(Byte))))
    )
    with pytest.raises(TypeError, match="no code for"):
        generate.generate()


@pytest.mark.parametrize(
    "pair",
    [
        Struct("key" / wire.Region(Int16ub, GreedyRange(Byte))),
        Struct("key" / wire.Attributes(5, Struct("id" / Int16ub, "value" / Int16ub))),
        Struct(
            "type" / Byte,
            "value"
            / wire.Region(Int16ub, Switch(this.type, {1: wire.Refuse("no")}, default=wire.Refuse("no"))),
        ),
    ],
)
def test_a_word_that_one_half_does_not_know_is_an_error(pair, monkeypatch):
    monkeypatch.setattr(wire, "KeyValues", wire.Pairs(Int16ub, pair))
    with pytest.raises(TypeError, match="no code for"):
        generate.generate()


@pytest.mark.filterwarnings("ignore:.*found in sys.modules.*:RuntimeWarning")
def test_it_runs_as_a_module(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["generate", "--check"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("tlib_proto.generate", run_name="__main__")
    assert ended.value.code == 0
