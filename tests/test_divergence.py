"""Training that goes nowhere stops with a word on what to change, and its model is never saved."""

from pathlib import Path

import numpy as np
import pytest

from matinee import workflow
from matinee.cli.running import run
from matinee.data.synthetic import two_groups
from matinee.dataset import Dataset, Events
from matinee.errors import MatineeError
from matinee.models import MODELS, model_class
from matinee.store.artefact import save
from matinee.training.configs import EpochsConfig, GradientConfig
from matinee.training.divergence import DivergenceError, require_epoch, require_step

GRADIENT = sorted(name for name in MODELS if issubclass(model_class(name).Config, GradientConfig))
EPOCHS = sorted(name for name in MODELS if issubclass(model_class(name).Config, EpochsConfig))


def data(name: str) -> Dataset:
    """Two groups of tastes; with ratings for the models that predict them."""
    toy = two_groups(40, 20)
    if not model_class(name).predicts_values:
        return toy
    ratings = (1 + np.arange(len(toy.events)) % 5).astype(np.float32)
    events = Events(toy.events.user_rows, toy.events.item_rows, ratings, toy.events.times)
    return Dataset("rated", toy.users, toy.items, events, toy.catalogue)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [1e3, 1e8])
@pytest.mark.parametrize("name", GRADIENT)
def test_a_learning_rate_far_too_large_stops_every_model(name: str, rate: float) -> None:
    with pytest.raises(MatineeError, match=rf"^{name}: .*of epoch \d+; use a smaller learning_rate") as error:
        workflow.fit(name, data(name), learning_rate=rate, epochs=40)
    assert "\n" not in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", EPOCHS)
def test_default_settings_stop_no_model(name: str) -> None:
    workflow.fit(name, data(name), epochs=5)


@pytest.mark.slow
def test_the_command_saves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = ["train", "bpr", "--out", str(out), "--set", "learning_rate=1e8", "--set", "epochs=3"]
    assert run(arguments) == 1
    assert "use a smaller learning_rate" in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_model_that_is_not_finite_is_never_saved(tmp_path: Path, value: float) -> None:
    fitted = workflow.fit("ease", two_groups(12, 8))
    fitted.model.weights[2, 3] = value
    with pytest.raises(
        MatineeError, match="ease is not saved: weights holds NaN or infinite values; change its settings"
    ):
        save(fitted, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_step_may_cost_a_thousand_times_the_first() -> None:
    require_step(9, 999.0, 1.0)
    require_step(9, 99.0, 0.0)  # a first loss near 0 counts as 0.1
    with pytest.raises(DivergenceError, match=r"^the loss is 1e\+03 at step 9, after 1 at the first step,$"):
        require_step(9, 1001.0, 1.0)
    with pytest.raises(DivergenceError, match="the loss is nan at step 3"):
        require_step(3, float("nan"), 1.0)


def test_an_epoch_may_cost_ten_times_the_first() -> None:
    weights = {"parameter.items": np.array([-999.0, 3]), "optimizer.exp_avg.items": np.array([1e30])}
    require_epoch(19.9, [{"loss": 2.0}, {"loss": 1.0}], weights)
    require_epoch(1e9, [], {})  # the first epoch has none before it
    with pytest.raises(DivergenceError, match=r"the loss is 20\.1, after 2 in the first epoch, at the end"):
        require_epoch(20.1, [{"loss": 2.0}, {"loss": 1.0}], weights)


@pytest.mark.parametrize(("value", "text"), [(-1001.0, r"1e\+03"), (np.nan, "nan"), (np.inf, "inf")])
def test_weights_past_any_use_are_named(value: float, text: str) -> None:
    with pytest.raises(DivergenceError, match=f"the weights items reach {text}, past any use, at the end"):
        require_epoch(1.0, [], {"parameter.items": np.array([1.0, value]), "generator": np.zeros(3, dtype=np.uint8)})
