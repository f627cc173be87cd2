"""The autoencoders with bad input and interrupted runs, from Python and from the command line."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import matinee as mt
from matinee.cli.commands import app
from matinee.data.synthetic import two_groups, two_tastes
from matinee.dataset import Dataset
from matinee.errors import DataError, MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.base import Recommender
from matinee.store.artefact import load
from matinee.training.run import Run
from matinee.training.torch_trainer import TorchTrainer

MODELS = ("autorec", "cdae", "mult-vae")


def everything(data: Dataset) -> TrainingData:
    users = np.arange(len(data.users), dtype=np.int32)
    return TrainingData(Histories.from_events(data.events, users), len(data.items))


def small(name: str) -> Dataset:
    return (two_tastes if name == "autorec" else two_groups)(24, 12)


def equal(one: Recommender, other: Recommender) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in one.learned)


def write_log(path: Path, data: Dataset, *, values: bool = True) -> Path:
    events = data.events
    columns = [events.user_rows, events.item_rows, *([events.values] if values else []), events.times]
    names = "userId,movieId,rating,timestamp" if values else "userId,movieId,timestamp"
    lines = [",".join(f"{cell:g}" if cell < 1e6 else str(cell) for cell in row) for row in zip(*columns, strict=True)]
    path.write_text("\n".join([names, *lines]) + "\n", encoding="utf-8")
    return path


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def test_a_rating_outside_a_declared_scale_is_an_error_that_names_the_event(tmp_path: Path) -> None:
    table = {"user": [1, 1, 2], "item": [10, 11, 10], "rating": [4.0, 5.5, 0.5]}
    with pytest.raises(DataError, match=r"event 2: the value 5.5 of user 1 for item 11 is outside .* 0.5 to 5; fix"):
        mt.events(table, scale=(0.5, 5))
    assert len(mt.events(table, scale=(0.5, 5.5)).events) == 3
    with pytest.raises(DataError, match=r"event 3: the value 0\.5 of user 2 for item 10"):
        mt.events(table, scale=(1, 6))
    with pytest.raises(DataError, match="events has no values, but a scale was declared"):
        mt.events({"user": [1], "item": [2]}, scale=(1, 5))
    with pytest.raises(MatineeError, match="a scale is its lowest value and a higher one"):
        mt.events(table, scale=(5, 1))
    log = write_log(tmp_path / "log.csv", two_tastes(24, 12))
    refused = run("train", "autorec", "--data", str(log), "--scale", "2,5", "--out", str(tmp_path / "model"))
    assert isinstance(refused.exception, DataError)
    assert "the value 1 of user" in str(refused.exception)
    assert not (tmp_path / "model").exists()
    assert (
        run("train", "autorec", "--data", str(log), "--scale", "1,5", "--out", str(tmp_path / "model")).exit_code == 0
    )


def test_a_scale_in_a_config_file_applies_to_movielens_too(tmp_path: Path) -> None:
    config = tmp_path / "experiment.toml"
    config.write_text('model = "autorec"\n[columns]\nscale = [1, 5]\n', encoding="utf-8")
    refused = run("evaluate", "--config", str(config))
    assert isinstance(refused.exception, DataError)
    assert "is outside the declared scale 1 to 5" in str(refused.exception)  # the bundled ratings begin at 0.5


def test_autorec_refuses_a_log_without_values_and_names_other_models(tmp_path: Path) -> None:
    log = write_log(tmp_path / "clicks.csv", two_groups(24, 12), values=False)
    refused = run("train", "autorec", "--data", str(log), "--out", str(tmp_path / "model"))
    assert isinstance(refused.exception, MatineeError)
    assert "every event of this log has the value 1" in str(refused.exception)
    assert "mult-vae, cdae, ease" in str(refused.exception)
    assert not (tmp_path / "model").exists()
    assert run("train", "mult-vae", "--data", str(log), "--out", str(tmp_path / "model")).exit_code == 0


@pytest.mark.parametrize("name", MODELS)
def test_a_batch_of_one_user_and_a_log_of_one_user(name: str) -> None:
    train = everything(small(name))
    model = create(name, batch_size=23, epochs=2).fit(train, Run.seeded(1))  # 24 users, or 12 items, in one batch
    lone = create(name, batch_size=1, epochs=2).fit(train, Run.seeded(1))
    for fitted in (model, lone):
        assert np.isfinite(fitted.score(fitted.fold_in(train.histories))).all()
    alone = TrainingData(Histories.of([[0, 2]], [[5.0, 1.0]]), 4)
    only = create(name, epochs=2).fit(alone, Run.seeded(1))
    assert np.isfinite(only.score(only.fold_in(Histories.of([[0], [3], []])))).all()


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("mult-vae", {"dim": 13}, "dim = 13 is more than the 12 items"),
        ("mult-vae", {"hidden": 13}, "hidden = 13 is wider than the 12 items"),
        ("cdae", {"dim": 13}, "dim = 13 is more than the 12 items"),
        ("autorec", {"dim": 25}, "dim = 25 is wider than a row, which has 24 values"),
        ("autorec", {"dim": 13, "based_on": "user"}, "dim = 13 is wider than a row, which has 12 values"),
    ],
)
def test_a_layer_wider_than_the_catalogue_is_refused(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(MatineeError, match=message):
        create(name, **settings).fit(everything(small(name)), Run.seeded(1))


@pytest.mark.parametrize("name", MODELS)
def test_default_widths_are_capped_by_a_small_catalogue(name: str) -> None:
    train = everything(small(name))
    model = create(name, epochs=1).fit(train, Run.seeded(1))
    assert model.score(model.fold_in(train.histories)).shape == (24, 12)


def test_dropout_of_every_input_is_refused() -> None:
    with pytest.raises(MatineeError, match="leaves out every item; as dropout it must be below 1"):
        create("cdae", noise=1.0)
    create("cdae", noise=1.0, corruption="gaussian")


@pytest.mark.parametrize("name", MODELS)
def test_an_infinite_loss_stops_training_names_the_step_and_keeps_the_last_good_state(name: str) -> None:
    train = everything(small(name))
    settings = {"schedule": "constant", "batch_size": 5}
    good = create(name, epochs=2, **settings).fit(train, Run.seeded(1))
    model = create(name, epochs=9, **settings)

    original, rates = TorchTrainer.epoch, []

    def spoiled(self: TorchTrainer, rate: float) -> dict[str, float]:
        rates.append(rate)
        if len(rates) == 3:
            self.parameters["output"].data.fill_(float("inf"))
        return original(self, rate)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(TorchTrainer, "epoch", spoiled)
        with pytest.raises(MatineeError, match=r"the loss is (nan|inf) at step 1 of epoch 3"):
            model.fit(train, Run.seeded(1))
    assert equal(model, good)
    assert len(model.curves) == 2
    assert [row["loss"] for row in model.curves] == [row["loss"] for row in good.curves]


def test_a_diverging_learning_rate_is_reported_at_the_command_line(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.csv", two_groups(24, 12))
    settings = ["--set", "learning_rate=1e30", "--set", "batch_size=5"]
    refused = run("train", "mult-vae", "--data", str(log), *settings, "--out", str(tmp_path / "model"))
    assert isinstance(refused.exception, MatineeError)
    assert "at step 2 of epoch 1; use a smaller learning_rate, or clip_norm = 1" in str(refused.exception)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("name", MODELS)
def test_a_checkpoint_of_another_config_data_or_seed_is_refused(name: str, tmp_path: Path) -> None:
    train, path = everything(small(name)), tmp_path / "checkpoint"
    run_once = replace(Run.seeded(3), checkpoint=path, checkpoint_seconds=0)
    create(name, epochs=2, dim=4).fit(train, run_once)
    again = replace(run_once, resume=True)

    def resumed(data: TrainingData, seed: int = 3, **settings: Any) -> None:
        create(name, epochs=2, **settings).fit(data, replace(again, rng=np.random.default_rng(seed)))

    with pytest.raises(MatineeError, match="its dim is 4, this run's is 5"):
        resumed(train, dim=5)
    other = TrainingData(train.histories.take(np.arange(20)), train.n_items)
    with pytest.raises(MatineeError, match="its data has fingerprint"):
        resumed(other, dim=4)
    with pytest.raises(MatineeError, match="its seed differs"):
        resumed(train, seed=4, dim=4)
    resumed(train, dim=4)


@pytest.mark.parametrize("name", MODELS)
def test_schedule_warm_up_clipping_and_initialiser_reach_the_model(name: str) -> None:
    train = everything(small(name))

    def fitted(**settings: Any) -> Recommender:
        return create(name, **({"epochs": 4, "dim": 4, "schedule": "constant"} | settings)).fit(train, Run.seeded(3))

    plain = fitted()
    assert equal(plain, fitted())
    changes = [
        {"schedule": "cosine"},
        {"schedule": "step", "schedule_epochs": 1},
        {"warm_up": 3},
        {"clip_norm": 1e-9},
        {"initialiser": "he"},
        {"initialiser": "normal"},
    ]
    for change in changes:
        assert not equal(plain, fitted(**change)), change
    flat = fitted(schedule="plateau", schedule_epochs=1, epochs=20, learning_rate=1e-9)
    assert len(flat.curves) == 20


@pytest.mark.parametrize("name", MODELS)
def test_early_stopping_monitors_the_metric_of_the_config(name: str, bundled: Dataset) -> None:
    over = mt.split(mt.keep(bundled, sample_users=60), "random", seed=1)
    monitor = "rmse" if name == "autorec" else "recall@5"
    settings: dict[str, Any] = {
        "epochs": 12,
        "dim": 8,
        "learning_rate": 0.3,
        "schedule": "constant",
        "monitor": monitor,
    }
    stopped = mt.fit(name, over, patience=2, min_delta=0.001, **settings).model
    values = [row["valid"] for row in stopped.curves]
    best = int(np.argmax(values))
    assert len(values) < 12
    report = mt.evaluate(mt.fit(name, over, patience=2, min_delta=0.001, **settings), over, (5,), on="valid")
    sign = -1 if monitor == "rmse" else 1
    assert sign * report.metrics[monitor].mean == pytest.approx(values[best], abs=0.0011)


def test_training_from_the_command_line_writes_the_curves(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.csv", two_groups(48, 24))
    settings = ["--set", "epochs=3", "--set", "patience=3", "--set", "monitor=recall@5", "--split", "random"]
    done = run("train", "mult-vae", "--data", str(log), *settings, "--out", str(tmp_path / "model"))
    assert done.exit_code == 0, done.output
    curves = json.loads((tmp_path / "model" / "curves.json").read_text("utf-8"))
    assert [row["epoch"] for row in curves] == [1, 2, 3]
    assert all({"loss", "valid", "seconds"} <= row.keys() for row in curves)
    assert (tmp_path / "model" / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert load(tmp_path / "model").model.name == "mult-vae"
