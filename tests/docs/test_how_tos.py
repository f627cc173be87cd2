"""The code of the how-tos runs as it stands, and what the pages say of it is so."""

import re
import shlex
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from matinee.cli.commands import build
from matinee.cli.running import run

FOLDER = Path(__file__).parents[2] / "docs" / "how-to"
NOT_RUN = ("serve", "retrain", "backup")
"""Commands that do not end, or need a site that ran; tests of their own run them, here their options are read."""
URL = "postgresql+psycopg://matinee:PASSWORD@localhost:5432/matinee"

RunPage = Callable[..., types.ModuleType]


@pytest.fixture
def run_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, metrics_of_one_test: None, capsys: pytest.CaptureFixture[str]
) -> RunPage:
    """Run the blocks of a page one after another in an empty folder. Returns their Python as a module."""
    monkeypatch.chdir(tmp_path)

    def page(name: str, url: str = URL) -> types.ModuleType:
        module = types.ModuleType("the_page")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        text = (FOLDER / f"{name}.md").read_text("utf-8").replace(URL, url)
        for language, code in re.findall(r"^```(python|sh)\n(.*?)^```$", text, flags=re.M | re.S):
            if language == "python":
                exec(compile(code, f"{name}.md", "exec"), vars(module))
                continue
            for line in code.splitlines():
                command = shlex.split(line)[1:]
                if command[0] in NOT_RUN:
                    require_options(command)
                else:
                    assert run(command) == 0, (line, capsys.readouterr().err)
        return module

    return page


def require_options(words: list[str]) -> None:
    """Fails for an unknown command, option or value."""
    command = build()
    while isinstance(command, typer.core.TyperGroup):
        command, words = command.commands[words[0]], words[1:]
    command.make_context("matinee", words)


@pytest.mark.slow
def test_my_csv(run_page: RunPage, capsys: pytest.CaptureFixture[str]) -> None:
    page = run_page("my-csv")
    assert len(page.data.to_frame()) == 1_199  # of 1,200 lines, one has no item
    assert "dropped 1 of 1,200 lines" in capsys.readouterr().err
    assert page.data.to_frame()["value"].max() == 5.0


@pytest.mark.slow
def test_my_metric(run_page: RunPage) -> None:
    page = run_page("my-metric")
    rare, all_targets = page.report.metrics["rare-recall@10"].mean, page.report.metrics["recall@10"].mean
    assert 0 < rare < all_targets
    assert len(page.model.model.curves) == 3
    assert all("valid" in epoch for epoch in page.model.model.curves)


@pytest.mark.slow
def test_my_split(run_page: RunPage) -> None:
    page = run_page("my-split")
    assert page.split.sizes()["valid"] == 0
    assert page.split.sizes()["test"] > 1_000


@pytest.mark.slow
def test_a_papers_protocol(run_page: RunPage, capsys: pytest.CaptureFixture[str]) -> None:
    run_page("papers-protocol")
    said = capsys.readouterr().out
    [of_python] = re.findall(r"^ndcg +0\.\d{4} \(.*$", said, flags=re.M)
    scores = re.findall(r"0\.\d{4}", of_python)
    assert len(scores) == 9  # of three lengths, with their intervals
    assert all(said.count(score) >= 2 for score in scores)  # of the file and of Python


@pytest.mark.slow
def test_deploy(run_page: RunPage) -> None:
    run_page("deploy")


@pytest.mark.slow
@pytest.mark.service
def test_postgresql(run_page: RunPage, database_servers: Callable, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[type-arg]
    run_page("postgresql", database_servers("postgresql").empty(0))
    assert "100,004" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the trackers, which are not ours to change
def test_trackers(run_page: RunPage) -> None:
    """What the trackers kept is what the model says of its epochs."""
    page = run_page("trackers")
    from mlflow import MlflowClient
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    curves = page.model.model.curves
    assert len(curves) == 3
    client = MlflowClient()
    kept = {
        name: [each.value for each in client.get_metric_history(page.run.info.run_id, name)]
        for name in ("loss", "valid", "ndcg_at_10")
    }
    assert kept["loss"] == pytest.approx([epoch["loss"] for epoch in curves])
    assert kept["valid"] == pytest.approx([epoch["valid"] for epoch in curves])
    assert kept["ndcg_at_10"] == pytest.approx([page.found])
    events = EventAccumulator("runs/mult-vae").Reload()
    for name in ("loss", "valid"):
        scalars = events.Scalars(f"training/{name}")
        assert [each.step for each in scalars] == [1, 2, 3]
        assert [each.value for each in scalars] == pytest.approx([epoch[name] for epoch in curves], rel=1e-6)


def test_the_functions_of_the_trackers_page_have_fifteen_lines_at_most() -> None:
    text = (FOLDER / "trackers.md").read_text("utf-8")
    functions = re.findall(r"^def to_\w+\(.*\n(?:(?: .*)?\n)*", text, flags=re.M)
    assert len(functions) == 2
    assert all(len(each.strip().splitlines()) <= 15 for each in functions)


def test_every_how_to_has_a_test() -> None:
    named = set(re.findall(r'run_page\("([\w-]+)"', Path(__file__).read_text("utf-8")))
    assert named == {page.stem for page in FOLDER.glob("*.md")}
