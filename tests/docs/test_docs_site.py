"""The documentation as a site: it builds strictly, asks no other host, and its reference pages name everything."""

import ast
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote

import pytest

import matinee as mt
from matinee.cli.running import run
from matinee.models import MODELS, model_class

PROJECT = Path(__file__).parents[2]
FETCHED = re.compile(r'(?:src|<link[^>]+href)="(https?://[^"]+)"')


@pytest.mark.slow
def test_the_site_builds_strictly_and_asks_no_other_host(tmp_path: Path) -> None:
    site = tmp_path / "build" / "site"
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    pages = list(site.rglob("*.html"))
    documents = [each for each in (PROJECT / "docs").rglob("*.md") if each.name != "README.md"]
    assert {each.stem for each in documents} <= {page.stem for page in pages}
    for page in pages:
        text = page.read_text("utf-8")
        assert not FETCHED.findall(text), page.relative_to(site)
        assert not dead_links(page, text), page.relative_to(site)
    assert "Steck 2019" in (site / "python.html").read_text("utf-8")  # the docstring of EASE
    for source in (PROJECT / "docs" / "tutorials").glob("*.md"):
        require_outputs(source, site / "tutorials" / f"{source.stem}.ipynb")


def dead_links(page: Path, text: str) -> list[str]:
    """Links of a page, from the disk, to files that are not there; mkdocs itself checks those of documents only."""
    linked = {unquote(each) for each in re.findall(r'(?:href|src)="([^"#?:]+)[#?"]', text)}
    return [each for each in linked if each.startswith("/") or not (page.parent / each).exists()]


def require_outputs(source: Path, notebook: Path) -> None:
    """A notebook has its tutorial's code, no errors, and what each cell that ends in a value shows, in short."""
    cells = [cell for cell in json.loads(notebook.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
    blocks = re.findall(r"^```python\n(.*?)^```$", source.read_text("utf-8"), flags=re.M | re.S)
    assert ["".join(cell["source"]) for cell in cells] == [block.strip() for block in blocks]
    for cell in cells:
        shown = cell["outputs"]
        assert not [each for each in shown if each["output_type"] == "error" or each.get("name") == "stderr"]
        assert len("".join(map(_text, shown))) <= 2_500, cell["source"]
        code = "".join(line for line in cell["source"] if not line.startswith("!"))
        ends_in_value = code and isinstance(ast.parse(code).body[-1], ast.Expr)
        assert shown or not ends_in_value, cell["source"]


def _text(output: dict[str, Any]) -> str:
    return "".join(output.get("text") or output.get("data", {}).get("text/plain", ""))


@pytest.mark.slow
def test_the_quickstart_goes_as_it_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (PROJECT / "docs" / "quickstart.md").read_text("utf-8")
    for language, code in re.findall(r"^```(python|sh)\n(.*?)^```$", text, flags=re.M | re.S):
        if language == "python":
            exec(compile(code, "quickstart.md", "exec"), {})
        for line in code.splitlines() if language == "sh" else ():
            if line != "matinee demo":
                assert run(shlex.split(line)[1:]) == 0, line
    said = capsys.readouterr().out
    assert re.search(r"^1  P3\d\d ", said, flags=re.M)  # customer 7 has the fourth taste
    assert len((tmp_path / "lists.csv").read_text("utf-8").splitlines()) == 1 + 200 * 5
    assert (tmp_path / "report.svg").stat().st_size > 1000
    korean = (PROJECT / "docs" / "quickstart.ko.md").read_text("utf-8")
    for line in re.findall(r"^matinee .+$", text, flags=re.M):
        assert line in korean or line.startswith("matinee serve")


def test_the_settings_are_those_of_the_configs(docs_script: Callable[[str], ModuleType]) -> None:
    writer = docs_script("write_settings")
    assert writer.PAGE.read_text("utf-8") == writer.page(), "run `python docs/write_settings.py`"


def test_every_setting_of_every_model_has_a_row(docs_script: Callable[[str], ModuleType]) -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", docs_script("write_settings").PAGE.read_text("utf-8"), flags=re.M))
    assert rows >= {name for model in MODELS for name in model_class(model).Config.model_fields}


def test_the_python_page_names_every_function_and_model(docs_script: Callable[[str], ModuleType]) -> None:
    writer = docs_script("write_python")
    text = writer.PAGE.read_text("utf-8")
    assert text == writer.page(), "run `python docs/write_python.py`"
    headings = set(re.findall(r"heading: mt\.(\w+)", text))
    errors = {"__version__", "models", "MatineeError", "DataError"}
    assert headings >= set(dir(mt)) - errors


def test_every_page_is_in_the_navigation() -> None:
    docs = PROJECT / "docs"
    listed = set(re.findall(r"[\w./-]+\.md", (PROJECT / "mkdocs.yml").read_text("utf-8")))
    pages = [*docs.glob("*.md"), *docs.glob("tutorials/*.md"), *docs.glob("how-to/*.md")]
    assert listed >= {each.relative_to(docs).as_posix() for each in pages}
