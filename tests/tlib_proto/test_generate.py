import pytest
from construct import Byte, GreedyRange, Struct

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
