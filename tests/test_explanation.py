"""Contributions of events: exact ones sum to the score, left-out ones equal a plain loop."""

import numpy as np
import pytest

from matinee.data.synthetic import two_groups
from matinee.dataset import Dataset
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.base import Explains, HasItemBias, Recommender
from matinee.models.graph.config import GraphConfig
from matinee.models.graph.fold_in import SolveItems, solve
from matinee.models.vectors import unit
from matinee.ranking.explain import explain
from matinee.ranking.rank import rank
from matinee.training.run import Run


def everything(data: Dataset) -> TrainingData:
    users = np.arange(len(data.users), dtype=np.int32)
    return TrainingData(Histories.from_events(data.events, users), len(data.items))


@pytest.fixture(scope="module")
def train() -> TrainingData:
    return everything(two_groups(24, 12))


VARIANTS = {
    "ease": [{}, {"item_power": 0.3}],
    "item-knn": [{}],
    "sparse-ease": [{}],
    "rp3beta": [{}],
    "svd-ae": [{"dim": 4}],
    "user-knn": [{}],
    "ials": [{"dim": 4}],
    "pmi": [{}, {"form": "vectors", "dim": 4}],
    "item2vec": [{"dim": 4, "epochs": 2}, {"dim": 4, "epochs": 2, "score_by": "cosine", "recency_half_life": 2.0}],
    "movie-pairs": [{"dim": 4, "epochs": 2}, {"dim": 4, "epochs": 2, "score_by": "cosine"}],
    "bpr": [{"dim": 4, "epochs": 3}],
    "lightgcn": [
        {"dim": 4, "epochs": 3},
        {"dim": 4, "epochs": 3, "solve_steps": 0},
        {"dim": 4, "epochs": 3, "solve_steps": 0, "similarity": "dot"},
        {"dim": 4, "epochs": 3, "similarity": "dot"},
    ],
    "ngcf": [{"dim": 4, "epochs": 3}, {"dim": 4, "epochs": 3, "solve_steps": 0, "layers": 3}],
}


@pytest.mark.parametrize(("name", "settings"), [(name, one) for name, some in VARIANTS.items() for one in some])
def test_exact_contributions_and_the_item_bias_sum_to_the_score(
    name: str, settings: dict[str, object], train: TrainingData
) -> None:
    model = create(name, **settings).fit(train, Run.seeded(1))
    assert isinstance(model, Explains)
    for items in ([0, 2, 4], [1, 3, 0, 5, 6], [7]):
        history = Histories.of([items])
        rows = rank(model, history, 6).items[0]
        rows = rows[rows >= 0]
        scores = model.score(model.fold_in(history))[0, rows]
        found = explain(model, history, rows[None])
        assert found.method == "exact"
        np.testing.assert_allclose(found.scores[0], scores)
        np.testing.assert_allclose(found.contributions.sum(axis=0) + found.item_bias[0], scores, rtol=2e-5, atol=2e-5)


def test_a_bias_belongs_to_the_item_and_to_no_event(train: TrainingData) -> None:
    model = create("bpr", dim=4, epochs=3).fit(train, Run.seeded(1))
    assert isinstance(model, HasItemBias)
    found = explain(model, Histories.of([[0, 2]]), np.array([[4, 5]]))
    np.testing.assert_array_equal(found.item_bias[0], model.bias[[4, 5]])


def test_the_coefficients_of_a_solve_add_up_to_its_solution() -> None:
    rng = np.random.default_rng(0)
    items = unit(rng.normal(size=(9, 5)))
    histories = Histories.of([[0, 3], [1, 2, 8], [5]])
    first = rng.normal(size=(3, 5))
    solution = solve(histories, SolveItems.of(items, 0.3), GraphConfig(solve_steps=7), lambda _: first)
    start, target, repulsion = solution.coefficients()
    means = np.stack([items[[0, 3]].mean(0), items[[1, 2, 8]].mean(0), items[[5]].mean(0)])
    np.testing.assert_allclose(start * first + target * means - repulsion, solution.vectors, atol=1e-6)


class Products(Recommender[Histories]):
    """Scores that are no sum over events: the product of the history's item rows + 1, plus the item row."""

    name = "products"
    learned = ()

    def __init__(self) -> None:
        self.calls: list[int] = []

    def fit(self, train: TrainingData, run: Run) -> "Products":
        return self

    def fold_in(self, histories: Histories) -> Histories:
        self.calls.append(len(histories))
        return histories

    def score(self, state: Histories) -> np.ndarray:
        rows = [state.items[state.starts[b] : state.starts[b + 1]] for b in range(len(state))]
        return np.array([[np.prod(items + 1.0) + item for item in range(6)] for items in rows], dtype=np.float32)


def test_leaving_events_out_is_one_batch_and_equals_a_loop() -> None:
    model, items = Products(), [3, 1, 4, 2]
    found = explain(model, Histories.of([items]), np.array([[0, 5]]), max_events=3)
    assert model.calls == [1, 3]  # the whole history, then without each of the last three
    assert (found.method, found.n_examined) == ("left-out", 3)
    whole = np.prod(np.array(items) + 1.0)
    for event in range(4):
        without = np.prod(np.delete(np.array(items), event) + 1.0)
        assert found.contributions[event].tolist() == ([0, 0] if event == 0 else [whole - without] * 2)
    assert found.scores.tolist() == [[whole, whole + 5]]


def test_popularity_and_an_empty_history_have_no_contributions(train: TrainingData) -> None:
    popularity = create("popularity").fit(train, Run.seeded(1))
    found = explain(popularity, Histories.of([[0, 1]]), np.array([[3]]))
    assert (found.method, found.contributions.tolist()) == ("none", [[0.0], [0.0]])
    assert found.scores.tolist() == [[popularity.popularity[3]]]
    ease = create("ease").fit(train, Run.seeded(1))
    assert explain(ease, Histories.of([[]]), np.array([[3]])).contributions.shape == (0, 1)


def test_a_stored_user_vector_is_not_explained_exactly(train: TrainingData) -> None:
    model = create("bpr", dim=4, epochs=3, user_state="stored").fit(train, Run.seeded(1))
    found = explain(model, train.histories.take(np.array([0])), np.array([[3]]))
    assert found.method == "left-out"
    assert not found.contributions.any()  # a stored vector does not depend on the history
