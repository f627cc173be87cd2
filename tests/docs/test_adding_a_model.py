"""The model of docs/adding-a-model.md passes every check, inside the package by two edits and outside it by none."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "adding-a-model.md").read_text("utf-8")
FILE, DEMONSTRATION = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.M | re.S)
PATH = re.search(r"`(src/matinee/models/[\w/]+\.py)`:$", PAGE, flags=re.M)[1]  # type: ignore[index]
LINE = re.search(r'^    ("bias": "[\w.:]+",)$', PAGE, flags=re.M)[1]  # type: ignore[index]

EVERY_CHECK = (
    "bias or test_model_cards or test_texts or test_architecture or test_check_words or test_registry "
    "or test_every_model_of_format_1 or every_released_model "
    "or (test_documents and not readme and not the_example_of_a_model_page)"
)
"""Tests of the new model by its name, and those about all models, cards, texts and documents.

The examples of the pages of other models, each a fit, see nothing of the new one.
"""
SERVE = """
import sys
from pathlib import Path
from starlette.testclient import TestClient
from matinee.serve.app import create_app

app = create_app([Path("model")], db_url="sqlite:///site.sqlite3")
with TestClient(app, base_url="https://testserver") as client:
    for page in ("/", "/models", "/models/bias", "/movie/2571"):
        assert client.get(page).status_code == 200, page
    assert "Bias" in client.get("/models/bias").text
    print(client.get("/api/v1/recommendations", params={"history": "1214,2571", "k": 5, "model": "bias"}).text)
"""


class Machine:
    """Runs commands in a folder with some folders on Python's path."""

    def __init__(self, folder: Path, *python_path: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(map(str, python_path)),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }

    def python(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout

    def matinee(self, *arguments: str) -> str:
        return self.python("-c", "from matinee.cli import main; main()", *arguments)


def trains_evaluates_and_serves(machine: Machine) -> None:
    trained = json.loads(machine.matinee("train", "bias", "--split", "random", "--out", "model", "--json"))
    assert trained["model"] == "bias"
    report = json.loads(machine.matinee("evaluate", "model", "--json"))
    assert report["metrics"]["rmse"]["mean"] == pytest.approx(0.895, abs=0.01)
    listed = json.loads(machine.matinee("recommend", "model", "--liked", "Alien (1979)", "--explain", "--json"))
    assert len(listed["movies"]) == 10
    served = json.loads(machine.python("-c", SERVE))
    assert (served["model"], len(served["items"])) == ("bias", 5)


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A copy of the project with the two edits."""
    copy = tmp_path_factory.mktemp("inside") / "matinee"
    skipped = shutil.ignore_patterns(
        *(".pytest_cache", ".ruff_cache", ".import_linter_cache", "__pycache__", ".hypothesis"),
        *(".venv*", ".git", "artefacts", "demo", "build"),
    )  # mypy's cache is taken along: what it has checked, unchanged, it need not check again
    shutil.copytree(PROJECT, copy, ignore=skipped)
    subprocess.run(["git", "init", "-q"], cwd=copy, check=True)  # the check of words lists files with git
    (copy / PATH).write_text(FILE, "utf-8")
    registry = copy / "src" / "matinee" / "models" / "__init__.py"
    text = registry.read_text("utf-8")
    registry.write_text(text.replace("MODELS = {\n", f"MODELS = {{\n    {LINE}\n"), "utf-8")
    return Machine(copy, copy / "src")


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """An installed package that offers the same file as an entry point."""
    folder = tmp_path_factory.mktemp("outside")
    packages = folder / "site-packages"
    metadata = packages / "my_package-1.0.dist-info"
    (packages / "my_package").mkdir(parents=True)
    (packages / "my_package" / "__init__.py").touch()
    (packages / "my_package" / "bias.py").write_text(FILE, "utf-8")
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n", "utf-8")
    name, value = re.findall(r'^(\w+) = "(my_package[\w.:]+)"$', PAGE, flags=re.M)[0]
    (metadata / "entry_points.txt").write_text(f"[matinee.models]\n{name} = {value}\n", "utf-8")
    return Machine(folder, packages, PROJECT / "src")


@pytest.mark.slow
def test_the_python_of_the_page_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    from matinee import models

    monkeypatch.setattr(models, "_registered", {})
    module = types.ModuleType("the_document")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for code in (FILE, DEMONSTRATION):
        exec(compile(code, "adding-a-model.md", "exec"), vars(module))
    assert module.report.metrics["rmse"].mean == pytest.approx(0.895, abs=0.01)


@pytest.mark.slow
def test_inside_it_passes_every_test(inside: Machine) -> None:
    ignored = "--ignore=tests/docs/test_adding_a_model.py"
    said = inside.python(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", ignored, "-m", "not browser", "-k", EVERY_CHECK
    )
    assert int(re.search(r"(\d+) passed", said)[1]) > 100, said[-2000:]  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.parametrize(
    "check",
    [
        ("ruff", "format", "--check", PATH),
        ("ruff", "check", PATH),
        ("mypy", PATH),
        ("importlinter.cli",),
    ],
    ids=lambda check: check[0],
)
def test_inside_it_passes_the_checks_of_the_code(inside: Machine, check: tuple[str, ...]) -> None:
    if check[0] == "importlinter.cli":
        inside.python("-c", "from importlinter.cli import lint_imports_command as run; run()")
    else:
        inside.python("-m", *check)


def test_its_words_are_current() -> None:
    spec = importlib.util.spec_from_file_location("check_words", PROJECT / "docs" / "check_words.py")
    assert spec is not None
    assert spec.loader is not None
    check = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(check)
    assert list(check.problems(PATH, FILE)) == []
    assert list(check.problems("docs/adding-a-model.md", PAGE)) == []


@pytest.mark.slow
def test_inside_it_trains_evaluates_and_is_served(inside: Machine) -> None:
    trains_evaluates_and_serves(inside)


@pytest.mark.slow
def test_outside_it_trains_evaluates_and_is_served(outside: Machine) -> None:
    trains_evaluates_and_serves(outside)
    manifest = json.loads((outside.folder / "model" / "manifest.json").read_text("utf-8"))
    assert manifest["model_source"] == {"class": "my_package.bias:Bias", "package": "my-package 1.0"}
    assert "my-package 1.0" in outside.matinee("models")


@pytest.mark.slow
def test_outside_it_passes_the_contract(outside: Machine) -> None:
    contract = str(PROJECT / "tests" / "contract")
    said = outside.python(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(PROJECT), contract, "-k", "bias"
    )
    assert int(re.search(r"(\d+) passed", said)[1]) >= 11, said[-2000:]  # type: ignore[index]
