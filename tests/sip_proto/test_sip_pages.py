"""The pages about SIP say what the data, the tables and the examples say."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def renderer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("render_sip", DOCS / "render_sip.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", renderer().PAGES)
def test_a_page_is_up_to_date(name: str) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")
    assert renderer().rendered(page) == page, "run python docs/render_sip.py"


def test_every_part_stands_on_a_page() -> None:
    module = renderer()
    text = "".join((DOCS / name).read_text(encoding="utf-8") for name in module.PAGES)
    assert sorted(re.findall("<!-- rendered: ([a-z ]+) -->", text)) == sorted(module.PARTS)


def test_wrong_calls_and_pages_that_differ_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = renderer()
    assert module.main(["--what"]) == 2
    monkeypatch.setattr(module, "DOCS", tmp_path)
    monkeypatch.setattr(module, "PAGES", ("page.md",))
    (tmp_path / "page.md").write_text("<!-- rendered: legs -->\nold\n<!-- end -->\n", encoding="utf-8")
    assert module.main(["--check"]) == 1
    assert "page.md" in capsys.readouterr().err
    assert module.main([]) == 0
    assert module.main(["--check"]) == 0


def test_a_partial_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = renderer()
    monkeypatch.setattr(module, "DOCS", tmp_path)
    text = '[[rfc]]\nnumber = 1\ntitle = "t"\nstate = "partial"\nhas = "h"\n'
    (tmp_path / "sip-rfcs.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="RFC 1"):
        module.rfcs()
