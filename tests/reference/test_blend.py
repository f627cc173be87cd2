"""Blend's weights against a general solver, its scores against a plain sum, and what it may and may not see."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax

import matinee as mt
from matinee.data.labels import TRAIN
from matinee.data.synthetic import cycle, two_groups
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.evaluation.best_part import against_best_part
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.content.content_map import ContentMap
from matinee.models.ensembles import base
from matinee.models.ensembles.base import Ensemble
from matinee.models.ensembles.blend import Blend
from matinee.models.ensembles.examples import union_of_best
from matinee.models.ensembles.fusion import fit_weights, normalised
from matinee.models.held_out import hold_out, ndcg_of_users
from matinee.ranking.explain import explain
from matinee.ranking.rank import rank
from matinee.training.run import Run

RNG = np.random.default_rng(7)


def everything(data: Dataset) -> TrainingData:
    return TrainingData(Histories.from_events(data.events, np.arange(len(data.users), dtype=np.int32)), len(data.items))


@pytest.fixture(scope="module")
def train() -> TrainingData:
    return everything(two_groups(40, 12))


@pytest.fixture(scope="module")
def model(train: TrainingData) -> Blend:
    return create("blend", parts="ease,ials,popularity", candidates=6).fit(train, Run.seeded(1))


def candidates(n_users: int, n_candidates: int, n_features: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, owners and targets of random candidates; the first feature tells targets apart, the last one not."""
    rng = np.random.default_rng(3)
    owners = np.repeat(np.arange(n_users), n_candidates)
    is_target = rng.random(len(owners)) < 0.2
    features = rng.normal(size=(len(owners), n_features))
    features[:, 0] += is_target
    features[:, -1] -= is_target
    return features, owners, is_target


def test_weights_are_those_of_a_plain_loop_under_another_solver() -> None:
    features, owners, is_target = candidates(12, 9, 3)

    def loss(weights: np.ndarray) -> float:
        of_users = []
        for user in range(12):
            mine = owners == user
            if is_target[mine].any():
                of_users.append(-log_softmax(features[mine] @ weights)[is_target[mine]].mean())
        return float(np.mean(of_users) + 0.01 * np.square(weights * features[taught].std(axis=0)).sum())

    taught = np.isin(owners, owners[is_target])
    expected = minimize(loss, np.ones(3), method="SLSQP", bounds=[(0, None)] * 3, options={"ftol": 1e-12}).x
    found = fit_weights(features, owners, is_target, 12, 0.01)
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert found[0] > 0
    assert found[2] == 0  # it speaks against targets, and no weight is below 0


def test_without_a_target_weights_are_equal_or_those_of_all_users() -> None:
    features, owners, is_target = candidates(4, 5, 2)
    none = np.zeros_like(is_target)
    assert fit_weights(features, owners, none, 4, 0.01).tolist() == [0.5, 0.5]
    assert fit_weights(features, owners, none, 4, 0.01, np.array([2.0, 0.0])).tolist() == [2, 0]
    assert fit_weights(-features[:, :1] * 0 - is_target[:, None], owners, is_target, 4, 0.01).tolist() == [1]


def test_a_strong_l2_gives_each_group_the_weights_of_all() -> None:
    features, owners, is_target = candidates(12, 9, 2)
    centre = np.array([0.4, 0.1])
    np.testing.assert_allclose(fit_weights(features, owners, is_target, 12, 1e6, centre), centre, atol=1e-5)


def test_normalised_scores_by_hand() -> None:
    scores = np.array([[1, 3, 3, 5], [2, 2, 2, 2]], dtype=np.float32)
    expected = {
        "ranks": [[20 / 23, 20 / 21, 20 / 21, 1], [0] * 4],
        "scores": [[1, 3, 3, 5], [0] * 4],
        "z-score": [[-(2**0.5), 0, 0, 2**0.5], [0] * 4],
    }
    for fusion, wanted in expected.items():
        np.testing.assert_allclose(normalised(scores, fusion, 20.0), wanted, rtol=1e-6)  # type: ignore[arg-type]


def test_candidates_are_the_best_of_any_part_outside_the_history() -> None:
    histories = Histories.of([[0], []])
    one = np.array([[9, 5, 4, 1], [1, 2, 3, 4]], dtype=np.float32)
    other = np.array([[9, 1, 2, 3], [1, 2, 3, 4]], dtype=np.float32)
    owners, items = union_of_best([one, other], histories, 1)
    assert list(zip(owners.tolist(), items.tolist(), strict=True)) == [(0, 1), (0, 3), (1, 3)]
    assert len(union_of_best([one], histories, 99)[0]) == 7


def test_scores_are_the_weighted_sum_of_the_parts(model: Blend) -> None:
    histories = Histories.of([[0, 2, 4], [1], list(range(11))])
    expected = np.zeros((3, 12))
    for index, part in enumerate(model.fitted_parts):
        scores = part.score(part.fold_in(histories)).astype(np.float64)
        group = np.searchsorted(model.boundaries, histories.lengths, side="right")
        centred = scores - scores.mean(axis=1, keepdims=True)
        expected += model.weights[group, index][:, None] * centred / scores.std(axis=1, keepdims=True)
    np.testing.assert_allclose(model.score(model.fold_in(histories)), expected, atol=1e-5)


@pytest.mark.parametrize("fusion", ["z-score", "scores", "ranks"])
def test_a_part_that_knows_most_weighs_most(fusion: str, train: TrainingData) -> None:
    model = create("blend", parts="ease,popularity", fusion=fusion, candidates=6, segments=1).fit(train, Run.seeded(1))
    assert model.weights.shape == (1, 2)
    features = [normalised(part.score(part.fold_in(train.histories)), fusion, 20.0) for part in model.fitted_parts]  # type: ignore[arg-type]
    ease, popularity = model.weights[0] * [each.std() for each in features]
    assert ease > popularity >= 0


def test_explanations_are_the_weighted_contributions_of_the_parts(model: Blend, train: TrainingData) -> None:
    histories = train.histories.take(np.arange(4))
    listed = rank(model, histories, 3).items
    found = explain(model, histories, listed)
    assert found.method == "parts"
    expected = np.zeros_like(found.contributions)
    weights = model.weights[np.searchsorted(model.boundaries, histories.lengths, side="right")]
    for index, part in enumerate(model.fitted_parts[:2]):
        scale = part.score(part.fold_in(histories)).std(axis=1)
        terms = part.explain(histories, listed)
        expected += terms * (weights[:, index] / scale)[histories.owners, None]
    np.testing.assert_allclose(found.contributions, expected, atol=1e-5)


def test_ranks_are_explained_by_leaving_events_out(train: TrainingData) -> None:
    model = create("blend", parts="ease,ials", fusion="ranks", candidates=6).fit(train, Run.seeded(1))
    histories = train.histories.take(np.arange(2))
    assert explain(model, histories, rank(model, histories, 3).items).method == "left-out"


def test_a_history_that_no_part_knows_has_scores_of_0(model: Blend, train: TrainingData) -> None:
    without = create("blend", parts="ease,item-knn", candidates=6).fit(train, Run.seeded(1))
    assert not without.score(without.fold_in(Histories.of([[]]))).any()
    popular = np.arange(12, dtype=np.float32)
    assert rank(without, Histories.of([[]]), 3, cold=popular).items[0].tolist() == [11, 10, 9]


def test_the_last_event_is_held_out_of_a_sequence() -> None:
    histories = Histories.of([[3, 1, 2], [4, 0], [5, 6, 7, 8]])
    rest, held = hold_out(TrainingData(histories, 9), 0.5, np.random.default_rng(1), "last")
    assert histories.items[held].tolist() == [2, 8]
    assert rest.histories.items.tolist() == [3, 1, 4, 0, 5, 6, 7]


def test_without_refit_parts_stay_as_fitted_without_the_held_out_events(train: TrainingData) -> None:
    settings = {"parts": "ease,popularity", "held_out_by": "last"}
    kept = create("blend", **settings, refit_parts=False).fit(train, Run.seeded(1))
    again = create("blend", **settings).fit(train, Run.seeded(1))
    rest, _ = hold_out(train, 0.2, np.random.default_rng(0), "last")
    assert np.array_equal(kept.weights, again.weights)
    for data, model in ((rest, kept), (train, again)):
        alone = create("ease").fit(data, Run.seeded(0))
        assert np.array_equal(getattr(model, "ease.weights"), alone.weights)


def test_ndcg_of_users_by_hand() -> None:
    scores, owners = np.array([3.0, 2.0, 1.0, 5.0]), np.array([0, 0, 0, 1])
    found = ndcg_of_users(scores, owners, np.array([False, True, False, False]), np.array([2, 1, 0]))
    ideal = 1 + 1 / np.log2(3)
    np.testing.assert_allclose(found, [1 / np.log2(3) / ideal, 0, np.nan])


def test_a_blend_of_sequence_models_reads_order_and_holds_out_last_events() -> None:
    train = everything(cycle(60, 12, 6))
    model = create("blend", parts="linear-next,markov", candidates=4).fit(train, Run.seeded(1))
    assert model.ordered
    np.testing.assert_array_equal(rank(model, train.histories, 1).items[:, 0], (np.arange(60) + 6) % 12)
    assert not create("blend").ordered


def test_no_event_of_valid_or_test_reaches_a_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    data = two_groups(40, 12)
    split = mt.split(data, "random", seed=3)
    seen: list[TrainingData] = []
    whole = Ensemble._fit_part

    def fit_part(self: Ensemble, part: Any, train: TrainingData, run: Run, seed: int) -> Any:
        seen.append(train)
        return whole(self, part, train, run, seed)

    monkeypatch.setattr(Ensemble, "_fit_part", fit_part)
    fitted = mt.fit("blend", split, parts="ease,popularity", seed=5)
    n_items = len(data.items)
    of_train = split.training().histories
    known = of_train.user_rows[of_train.owners].astype(np.int64) * n_items + of_train.items
    for train in seen:
        histories = train.histories
        keys = histories.user_rows[histories.owners].astype(np.int64) * n_items + histories.items
        assert np.isin(keys, known).all()
    assert [len(each.histories.items) for each in seen[2:]] == [len(of_train.items)] * 2
    assert all(len(each.histories.items) < len(of_train.items) for each in seen[:2])
    # the same training part beside other events of valid and test: not one number differs
    others = np.flatnonzero(split.labels != TRAIN)
    items = data.events.item_rows.copy()
    items[others] = np.random.default_rng(1).permutation(items[others])
    changed = replace(data, events=replace(data.events, item_rows=items))
    other = mt.fit("blend", replace(split, data=changed), parts="ease,popularity", seed=5)
    for name in fitted.model.learned:
        np.testing.assert_array_equal(getattr(fitted.model, name), getattr(other.model, name))


def test_a_fit_says_whether_the_blend_beats_its_best_part() -> None:
    split = mt.split(two_groups(60, 12), "random", seed=3)
    fitted = mt.fit("blend", split, parts="item-knn,popularity")
    found = fitted.manifest["against_best_part"]
    assert found["part"] == "item-knn"
    assert set(found["scores"]) == {"blend", "item-knn", "popularity"}
    sentence = next(note for note in fitted.manifest["notes"] if "best part" in note)
    assert ("does not beat" in sentence) != found["is_better"]


def test_the_verdict_is_that_of_a_paired_test() -> None:
    rng = np.random.default_rng(1)
    best = rng.random(400)
    better, same = best + 0.02 + 0.05 * rng.normal(size=400), best + 0.05 * rng.normal(size=400)
    for scores, expected in ((better, True), (same - (same - best).mean(), False), (best - 0.1, False)):
        held_out = {"blend": np.append(scores, np.nan), "ease": np.append(best, 1.0), "ials": np.append(best / 2, 0.5)}
        found = against_best_part(held_out, np.random.default_rng(2))
        assert found is not None
        assert (found.part, found.users, found.is_better) == ("ease", 400, expected)
        assert (found.p <= 0.05) == (found.difference.low > 0 or found.difference.high < 0)
    assert against_best_part({"blend": np.array([1.0]), "ease": np.array([1.0])}, RNG) is None


def test_users_with_too_few_events_leave_the_parts_equal() -> None:
    short = Histories.of([[0, 1], [1, 2], [2, 3], [3, 0]])
    model = create("blend", parts="ease,ials").fit(TrainingData(short, 4), Run.seeded(1))
    assert model.weights.tolist() == [[0.5, 0.5]]
    data = mt.events({"user": [1, 1, 2, 2], "item": [1, 2, 2, 3]})
    assert "weigh equally" in " ".join(mt.fit("blend", data).manifest["notes"])


def test_new_items_of_all_parts_are_predicted(train: TrainingData) -> None:
    model = create("blend", parts="ease,ials", candidates=6).fit(train, Run.seeded(1))
    assert dict(model.item_arrays) == {"ease.weights": 1, "ials.items": 0}
    mixing = np.zeros((11, 1), dtype=np.float32)
    mixing[4] = 1  # a new item that is like item 4
    grown = ContentMap(np.arange(11), np.array([11]), mixing, np.array([True])).extend(model)
    for part in grown.fitted_parts:
        scores = part.score(part.fold_in(Histories.of([[0, 2]])))[0]
        np.testing.assert_allclose(scores[11], scores[4], rtol=1e-5)
    assert not np.array_equal(
        grown.score(grown.fold_in(Histories.of([[0, 2]]))), model.score(model.fold_in(Histories.of([[0, 2]])))
    )
    assert create("blend", parts="ease,user-knn").item_arrays == ()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"parts": "ease"}, "parts"),
        ({"parts": "ease,ease"}, "ease stands 2 times; name each part once"),
        ({"parts": "ease,eas"}, "no model 'eas'; did you mean 'ease'"),
        ({"parts": "ease,blend"}, "blend is made of parts itself"),
        ({"parts": "ease,vbmf"}, "vbmf predicts values"),
        ({"parts": "ease,ials", "part_settings": {"bpr": {}}}, "bpr, which is no part"),
        ({"parts": "ease,ials", "part_settings": {"ease": {"l3": 1}}}, "model ease: unknown key 'l3'"),
        ({"parts": "ease,ials", "part_settings": {"ease": {"l2": -1}}}, "l2"),
        ({"fusion": "mean"}, "fusion"),
        ({"held_out": 1.0}, "held_out"),
        ({"segments": 0}, "segments"),
        ({"parts": ""}, "parts"),
        ({"parts": 3}, "parts"),
    ],
)
def test_wrong_settings_are_one_line(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(MatineeError, match=problem) as caught:
        create("blend", **settings)
    assert "\n" not in str(caught.value)


def test_settings_of_parts_reach_them_and_sizes_give_the_rest(train: TrainingData) -> None:
    model = create("blend", parts="ease,ials", part_settings={"ease": {"l2": 7}}, candidates=6)
    fitted = model.fit(train, Run.seeded(1)).fitted_parts
    assert fitted[0].config.l2 == 7
    assert fitted[1].config.l2 == create("ials", **type(fitted[1]).defaults_for(train)).config.l2


@pytest.mark.parametrize("name", ["blend", "rerank"])
@pytest.mark.parametrize("valued", [False, True])
@pytest.mark.parametrize("long", [1, 100])
def test_scores_without_an_event_are_those_of_the_shorter_history(
    name: str, valued: bool, long: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "LONG", long)
    rng = np.random.default_rng(3)
    logs = [rng.choice(60, size, replace=False).tolist() for size in rng.integers(8, 40, 80)]
    settings = {"parts": "ease,ials,item-knn,popularity", "part_settings": {"ials": {"dim": 8, "epochs": 2}}}
    model = create(name, candidates=60, **settings).fit(TrainingData(Histories.of(logs), 60), Run.seeded(1))
    history, rows = Histories.of([logs[0]]), np.setdiff1d(np.arange(60), logs[0])[None, :9]
    if valued:
        history = replace(history, mapped=rng.uniform(0.3, 2, len(logs[0])).astype(np.float32))
    events = np.arange(0, len(logs[0]), 2)
    rest = model.score(model.fold_in(history.without_each(events)))
    found = model.scores_without_each(history, events, rows)
    np.testing.assert_allclose(found, rest[:, rows[0]], rtol=1e-4, atol=1e-4)
    assert model.scores_without_each(Histories.of([[7]]), np.array([0]), rows) is None, "nothing is left"
