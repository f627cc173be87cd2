"""Early stopping, curves and resumption from the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from matinee import workflow
from matinee.cli.commands import app
from matinee.config import SplitConfig
from matinee.data.splits import Split, split
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.models.graph.lightgcn import LightGCN
from matinee.store.artefact import load

pytestmark = pytest.mark.slow

SETTINGS = ["--set", "dim=8", "--set", "epochs=4"]


def train(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["train", "lightgcn", "--split", "random", *SETTINGS, *arguments])


@pytest.fixture(scope="module")
def bundled_split(bundled: Dataset) -> Split:
    return split(bundled, SplitConfig())


def test_training_saves_curves_and_deletes_the_checkpoint(tmp_path: Path) -> None:
    out = tmp_path / "model"
    done = train("--out", str(out), "--set", "patience=2", "--set", "monitor=recall@10")
    assert done.exit_code == 0, done.output
    curves = json.loads((out / "curves.json").read_text())
    assert [row["epoch"] for row in curves] == [1, 2, 3, 4]
    assert all(0 < row["valid"] < 1 and row["loss"] > 0 for row in curves)
    assert (out / "curves.png").stat().st_size > 1000
    assert not list(tmp_path.glob("*.checkpoint"))


def test_resume_continues_an_interrupted_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, out = tmp_path / "whole", tmp_path / "model"
    assert train("--out", str(whole)).exit_code == 0
    fit = LightGCN.fit

    def interrupted(self: LightGCN, data: Any, run: Any) -> LightGCN:
        from dataclasses import replace

        def stop(epoch: int, epochs: int, values: dict[str, float]) -> None:
            if epoch == 3:
                raise KeyboardInterrupt

        return fit(self, data, replace(run, on_epoch=stop))

    with monkeypatch.context() as patched:
        patched.setattr(LightGCN, "fit", interrupted)
        stopped = train("--out", str(out))
    assert stopped.exit_code != 0
    assert not out.exists()
    assert (tmp_path / "model.checkpoint").is_file()
    refused = train("--out", str(out), "--resume", "--set", "layers=1")
    assert isinstance(refused.exception, MatineeError)
    assert "its layers is 2, this run's is 1" in str(refused.exception)
    assert train("--out", str(out), "--resume").exit_code == 0
    one, two = load(whole).model, load(out).model
    for name in one.learned:
        assert (getattr(one, name) == getattr(two, name)).all()


def test_early_stopping_monitors_valid_only_if_it_is_not_training_data(bundled_split: Split) -> None:
    settings: dict[str, Any] = {"dim": 8, "epochs": 2, "patience": 1}
    monitored = workflow.fit("lightgcn", bundled_split, **settings)
    assert all("valid" in row for row in monitored.model.curves)
    assert "notes" not in monitored.manifest
    refitted = workflow.fit("lightgcn", bundled_split, refit="train+valid", **settings)
    everything = workflow.fit("lightgcn", bundled_split.data, **settings)
    for unmonitored in (refitted, everything):
        assert not any("valid" in row for row in unmonitored.model.curves)
        assert unmonitored.manifest["notes"] == [
            "patience = 1 does nothing: there is no valid part to monitor, so all 2 epochs are trained"
        ]
    with pytest.raises(MatineeError, match="recal@10"):
        workflow.fit("lightgcn", bundled_split, monitor="recal@10", **settings)
