"""What the documents show runs, and what they link to is there."""

import os
import re
import shlex
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from matinee.dataset import Dataset
from released import RELEASED

PROJECT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path for path in [*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")] if ".venv" not in path.parts
)


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(encoding="utf-8"), flags=re.M | re.S)


def run_python(path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The Python of a document, block after block, as one module of its own."""
    module = types.ModuleType("the_document")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for code in blocks(path, "python"):
        exec(compile(code, path.name, "exec"), vars(module))
    return module


def test_the_readme_has_what_it_promises() -> None:
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert len(blocks(PROJECT / "README.md", "python")) == 1
    assert len(blocks(PROJECT / "README.md", "sh")[0].splitlines()) == 5
    assert "make demo" in text
    assert "make test" in text
    assert "@" not in re.sub(r"@\d+|`[^`]*`", "", text), "a figure is not filled in"


@pytest.mark.slow
def test_the_python_of_the_readme(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    run_python(PROJECT / "README.md", monkeypatch)
    out = capsys.readouterr().out
    assert "ndcg" in out
    assert "Aliens (1986)" in out


@pytest.mark.slow
@pytest.mark.parametrize("line", blocks(PROJECT / "README.md", "sh")[0].splitlines())
def test_the_commands_of_the_readme(line: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "readme"  # shared, for one command uses what another made
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", "from matinee.cli import main; main()", *shlex.split(line)[1:]]
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (path.parent / target).exists(), f"{path.name} links to {target}, which is not there"


def test_what_the_table_of_security_names_is_there() -> None:
    rows = [
        line for line in (PROJECT / "docs" / "security.md").read_text("utf-8").splitlines() if line.startswith("| ")
    ]
    held = [cell for row in rows if row.count("|") == 5 for cell in re.findall(r"[\w./-]+", row.split("|")[4])]
    names = [name for name in held if name.startswith("test_") or "/" in name]
    assert len(names) > 40
    folders = ("tests/serve", "", "src/matinee")
    for name in names:
        file = f"{name}.py" if name.startswith("test_") else name
        assert any((PROJECT / folder / file).exists() for folder in folders), name


def test_every_command_and_option_has_help() -> None:
    import typer

    from matinee.cli.commands import app

    group = typer.main.get_command(app)
    for name, command in group.commands.items():
        assert command.help, name
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"


MODEL_PAGES = PROJECT / "docs" / "models"


@pytest.mark.parametrize("name", RELEASED)
def test_every_released_model_has_its_page_and_its_row_in_the_index(name: str) -> None:
    page = (MODEL_PAGES / f"{name}.md").read_text(encoding="utf-8")
    index = (MODEL_PAGES / "README.md").read_text(encoding="utf-8")
    row = next(line for line in index.splitlines() if f"[{name}]({name}.md)" in line)
    for scores in re.findall(r"0\.\d{3} / 0\.\d{3}", row):
        assert scores in page, f"the index says {scores}, {name}.md does not"
    assert re.search(rf"```(python|sh)\n(?:(?!```).)*{name}", page, flags=re.S), f"{name}.md has no example of it"


@pytest.mark.slow
@pytest.mark.parametrize("name", RELEASED)
def test_the_example_of_a_model_page_runs(
    name: str, known_movies: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With one epoch and a thousand movies in place of all: what the models learn is measured elsewhere."""
    from matinee import workflow
    from matinee.models import model_class

    whole = workflow.fit

    def short(model: str, *arguments: Any, **settings: Any) -> Any:
        quick = {"epochs": 1} if "epochs" in model_class(model).Config.model_fields else {}
        return whole(model, *arguments, **settings | quick)

    monkeypatch.setattr(workflow, "fit", short)
    monkeypatch.setattr(workflow, "load", lambda source: {"bundled": known_movies}[source])
    run_python(MODEL_PAGES / f"{name}.md", monkeypatch)
    assert capsys.readouterr().out.strip()
