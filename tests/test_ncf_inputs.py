"""GMF, MLP and NeuMF with bad input, odd shapes and interrupted runs."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from matinee.data.synthetic import two_groups
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.experiment import read_experiment
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.base import Recommender
from matinee.ranking.rank import rank
from matinee.store import artefact
from matinee.store.artefact import Artefact
from matinee.training.run import Run
from matinee.training.torch_trainer import TorchTrainer

MODELS = ("gmf", "mlp", "neumf")
TOWERS = ("mlp", "neumf")


def everything(data: Dataset) -> TrainingData:
    users = np.arange(len(data.users), dtype=np.int32)
    return TrainingData(Histories.from_events(data.events, users), len(data.items))


@pytest.fixture(scope="module")
def data() -> Dataset:
    return two_groups(24, 12)


@pytest.fixture(scope="module")
def train(data: Dataset) -> TrainingData:
    return everything(data)


def equal(one: Recommender, other: Recommender) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in one.learned)


@pytest.mark.parametrize("name", TOWERS)
@pytest.mark.parametrize("settings", [{}, {"loss": "bce", "candidates": 0}, {"candidates": 4}])
def test_one_user_in_a_batch_with_batch_normalisation(
    name: str, settings: dict[str, object], train: TrainingData
) -> None:
    model = create(name, dim=4, layers=2, batch_norm=True, batch_size=1, epochs=2, **settings)
    model.fit(train, Run.seeded(1))
    scores = model.score(model.fold_in(train.histories))
    assert np.isfinite(scores).all()
    assert scores.std() > 0


def test_one_pair_in_a_step_with_batch_normalisation() -> None:
    """A step of one event and no negatives: one pair, which has no variance."""
    one = TrainingData(Histories.of([[0]]), 1)
    model = create("mlp", dim=2, layers=2, batch_norm=True, epochs=2, l2=0).fit(one, Run.seeded(1))
    assert np.isfinite(model.score(model.fold_in(Histories.of([[0], []])))).all()


@pytest.mark.parametrize("name", TOWERS)
def test_hidden_layers_may_be_wider_than_the_catalogue(name: str) -> None:
    narrow = everything(two_groups(8, 4))
    model = create(name, dim=16, layers=3, epochs=3).fit(narrow, Run.seeded(1))
    assert model.projected_items.shape[1] > 10 * narrow.n_items
    assert (rank(model, Histories.of([[0], [1, 2]]), 2).items >= 0).all()


@pytest.mark.parametrize("name", MODELS)
def test_a_nan_loss_stops_training_names_the_step_and_keeps_the_last_good_state(
    name: str, train: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"epochs": 5, "batch_size": 8, "schedule": "constant"}  # three steps an epoch
    good = create(name, **(settings | {"epochs": 2})).fit(train, Run.seeded(1))
    whole = TorchTrainer.epoch

    def broken(self: TorchTrainer, rate: float) -> dict[str, float]:
        losses = self._losses
        epochs.append(rate)
        if len(epochs) == 3:
            self._losses = lambda: (loss * (np.nan if step == 1 else 1) for step, loss in enumerate(losses()))
        return whole(self, rate)

    epochs: list[float] = []
    monkeypatch.setattr(TorchTrainer, "epoch", broken)
    model = create(name, **settings)
    with pytest.raises(MatineeError, match=f"{name}: the loss is nan at step 2 of epoch 3; use a smaller learning"):
        model.fit(train, Run.seeded(1))
    assert equal(model, good)
    assert len(model.curves) == 2


@pytest.mark.parametrize("name", MODELS)
def test_a_checkpoint_of_another_run_is_refused_with_the_difference(
    name: str, train: TrainingData, tmp_path: Path
) -> None:
    run = replace(Run.seeded(4), checkpoint=tmp_path / "run.checkpoint", checkpoint_seconds=0)
    create(name, epochs=2).fit(train, run)
    again = replace(run, resume=True)
    with pytest.raises(MatineeError, match=r"its l2 is 0\.\d+, this run's is 0\.5.*without --resume"):
        create(name, epochs=2, l2=0.5).fit(train, replace(again, rng=np.random.default_rng(4)))
    with pytest.raises(MatineeError, match="its data has fingerprint"):
        create(name, epochs=2).fit(everything(two_groups(24, 10)), replace(again, rng=np.random.default_rng(4)))
    other = next(each for each in MODELS if each != name)
    with pytest.raises(MatineeError, match=f"its model is {name}, this run's is {other}"):
        create(other, epochs=2).fit(train, replace(again, rng=np.random.default_rng(4)))


@pytest.mark.parametrize("settings", [{"loss": "bpr", "candidates": 5}, {"loss": "infonce", "candidates": 5}])
def test_candidates_with_a_loss_over_pairs_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(
        MatineeError, match=f"loss = {settings['loss']} compares pairs and takes no candidates; set candidates = 0"
    ):
        create("gmf", **settings)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("loss", ["softmax", "infonce", "bpr", "bce"])
@pytest.mark.parametrize("negatives", ["uniform", "popularity", "in-batch", "mixed"])
def test_every_loss_falls_with_every_kind_of_negatives(
    name: str, loss: str, negatives: str, train: TrainingData
) -> None:
    settings = {"loss": loss, "negatives": negatives, "epochs": 8, "batch_size": 16, "l2": 0.01, "dim": 4}
    model = create(name, **settings, candidates=0).fit(train, Run.seeded(1))
    losses = [row["loss"] for row in model.curves]
    assert np.isfinite(losses).all()
    assert min(losses[-3:]) < losses[0]


def saved(name: str, train: TrainingData, data: Dataset, path: Path, **settings: object) -> Recommender:
    model = create(name, epochs=4, dim=4, **settings).fit(train, Run.seeded(2))
    artefact.save(Artefact.of(model, data, train), path)
    return model


def test_pretrained_neumf_weighs_gmf_and_mlp_by_alpha(data: Dataset, train: TrainingData, tmp_path: Path) -> None:
    """He et al. 2017, eq. 13: before training the score is alpha times GMF's and 1 - alpha times MLP's."""
    settings = {"initial_std": 1.0, "l2": 0.0}
    pretrained = [
        saved("gmf", train, data, tmp_path / "gmf", **settings),
        saved("mlp", train, data, tmp_path / "mlp", layers=2, **settings),
    ]
    joined = create(
        "neumf", dim=4, layers=2, epochs=1, learning_rate=1e-9, alpha=0.3, user_state="stored",
        pretrained_gmf=str(tmp_path / "gmf"), pretrained_mlp=str(tmp_path / "mlp"),
    ).fit(train, Run.seeded(5))  # fmt: skip
    scores = []
    for model in (*pretrained, joined):
        model.config = model.config.model_copy(update={"user_state": "stored"})
        scores.append(model.score(model.fold_in(train.histories)))
    np.testing.assert_allclose(scores[2], 0.3 * scores[0] + 0.7 * scores[1], atol=1e-5)
    assert scores[0].std() > 0.1
    assert scores[1].std() > 0.1


def test_a_pretrained_artefact_that_does_not_fit_is_refused_with_the_difference(
    data: Dataset, train: TrainingData, tmp_path: Path
) -> None:
    saved("gmf", train, data, tmp_path / "gmf")
    saved("mlp", train, data, tmp_path / "mlp", layers=2)
    pretrained = {"pretrained_mlp": str(tmp_path / "mlp")}
    with pytest.raises(MatineeError, match=r"pretrained_gmf = .*nowhere is no artefact of gmf; make one with"):
        create("neumf", pretrained_gmf=str(tmp_path / "nowhere")).fit(train, Run.seeded(1))
    with pytest.raises(MatineeError, match="is an artefact of mlp; name one of gmf"):
        create("neumf", pretrained_gmf=pretrained["pretrained_mlp"]).fit(train, Run.seeded(1))
    with pytest.raises(MatineeError, match="has dim = 4, pre-training needs 8; set it in both"):
        create("neumf", dim=8, pretrained_gmf=str(tmp_path / "gmf")).fit(train, Run.seeded(1))
    with pytest.raises(MatineeError, match="has layers = 2, pre-training needs 3; set it in both"):
        create("neumf", dim=4, layers=3, **pretrained).fit(train, Run.seeded(1))
    with pytest.raises(MatineeError, match="batch_norm"):
        create("neumf", dim=4, layers=2, batch_norm=True, **pretrained).fit(train, Run.seeded(1))
    other = everything(two_groups(24, 10))
    with pytest.raises(MatineeError, match="was fitted on other data"):
        create("neumf", dim=4, layers=2, **pretrained).fit(other, Run.seeded(1))


def test_pretrained_parts_are_fitted_by_their_configs(train: TrainingData, tmp_path: Path) -> None:
    settings = {"dim": 4, "epochs": 3, "initial_std": 1.0, "l2": 0.0}
    for name, others in (("gmf", {}), ("mlp", {"layers": 2})):
        lines = "".join(f"{key} = {value}\n" for key, value in {**settings, **others}.items())
        (tmp_path / f"{name}.toml").write_text(f'model = "{name}"\n[settings]\n{lines}')
    joined = create(
        "neumf", dim=4, layers=2, epochs=1, learning_rate=1e-9, alpha=0.3, user_state="stored",
        pretrained_gmf=str(tmp_path / "gmf.toml"), pretrained_mlp=str(tmp_path / "mlp.toml"),
    )  # fmt: skip
    epochs: list[int] = []
    joined.fit(train, replace(Run.seeded(5), on_epoch=lambda epoch, *_: epochs.append(epoch)))
    assert epochs == [1, 2, 3, 1, 2, 3, 1]
    scores = joined.score(joined.fold_in(train.histories))
    rng, expected = np.random.default_rng(5), np.zeros_like(scores)
    rng.integers(2**63)  # the run's own generator of torch
    for name, others, weight in (("gmf", {}, 0.3), ("mlp", {"layers": 2}, 0.7)):
        part = create(name, **settings, **others, user_state="stored").fit(train, Run.seeded(int(rng.integers(2**63))))
        expected += np.float32(weight) * part.score(part.fold_in(train.histories))
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert expected.std() > 0.1


def test_the_papers_neumf_has_its_parts_in_any_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(__file__).parents[1].resolve() / "configs" / "paper" / "neumf.toml"
    monkeypatch.chdir(tmp_path)
    settings = read_experiment(path).settings
    for name, shape in (("gmf", ("dim",)), ("mlp", ("dim", "layers"))):
        part = read_experiment(Path(settings[f"pretrained_{name}"]))
        assert part.model == name
        assert [part.settings[key] for key in shape] == [settings[key] for key in shape]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is a config of None; name one of gmf"),
        ('model = "mlp"', "is a config of mlp; name one of gmf"),
        ("model = ", "cannot be read as TOML; name a config such as configs/paper/gmf.toml"),
        ('model = "gmf"\n[settings]\ndim = 8', "has dim = 8, pre-training needs 4; set it in both"),
        ('model = "gmf"\n[settings]\ndims = 4', "gmf.toml .settings.*dims.*did you mean"),
        ('model = "gmf"\nsettings = 4', "has no table of settings"),
    ],
)
def test_a_config_of_a_part_that_does_not_fit_is_refused(
    text: str, message: str, train: TrainingData, tmp_path: Path
) -> None:
    path = tmp_path / "gmf.toml"
    path.write_text(text)
    with pytest.raises(MatineeError, match=message):
        create("neumf", dim=4, pretrained_gmf=str(path)).fit(train, Run.seeded(1))


def test_a_config_of_a_part_that_is_missing_is_said(train: TrainingData, tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match=r"gmff[.]toml is not there; its path begins at"):
        create("neumf", dim=4, pretrained_gmf=str(tmp_path / "gmff.toml")).fit(train, Run.seeded(1))


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_serving_does_not_import_torch(name: str, data: Dataset, train: TrainingData, tmp_path: Path) -> None:
    saved(name, train, data, tmp_path / "model")
    script = f"""
import sys
from pathlib import Path
from matinee.histories import Histories
from matinee.ranking.rank import rank
from matinee.store.artefact import load
found = rank(load(Path({str(tmp_path / "model")!r})).model, Histories.of([[0, 2], [1], []]), 3)
assert (found.items >= 0).all()
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", MODELS)
def test_items_without_events_are_last_and_an_empty_history_is_ranked_by_popularity(name: str) -> None:
    rows = [[0, 1], [0, 2], [0, 1, 3], [1, 3], [0]]
    train = TrainingData(Histories.of(rows), 6)  # items 4 and 5 have no events
    model = create(name, dim=4, epochs=5).fit(train, Run.seeded(1))
    listed = rank(model, Histories.of([[], [1]]), 6)
    assert listed.items[0].tolist() == [0, 1, 3, 2, 4, 5]
    assert set(listed.items[1][3:5].tolist()) == {4, 5}


def test_a_checkpoint_holds_the_running_statistics(train: TrainingData, tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    model = create("mlp", dim=4, layers=2, batch_norm=True, epochs=3)
    model.fit(train, replace(Run.seeded(4), checkpoint=path, checkpoint_seconds=0))
    with safe_open(path, framework="numpy") as file:
        names = set(file.keys())
        assert {"state.buffer.mean0", "state.buffer.variance1", "state.parameter.scale0", "state.generator"} <= names
        assert file.get_tensor("state.buffer.mean0").any()


def test_a_tower_too_narrow_for_similarity_weights_is_refused() -> None:
    with pytest.raises(MatineeError, match="needs four units for each dim it compares, dim = 3 with layers = 1"):
        create("mlp", dim=3)
    assert create("mlp", dim=3, tower_init="he").config.dim == 3
    assert create("mlp", dim=2, layers=2).config.dim == 2
