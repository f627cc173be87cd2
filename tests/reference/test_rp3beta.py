"""RP3beta against a plain loop."""

from dataclasses import replace

import numpy as np
import pytest

from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.training.run import Run
from model_fixtures import random_histories

N_USERS, N_ITEMS = 40, 25


@pytest.fixture(scope="module")
def watched() -> list[list[int]]:
    return random_histories(5, N_USERS, N_ITEMS, longest=11)


def walks_by_loop(weights: list[dict[int, float]], alpha: float, beta: float) -> np.ndarray:
    """Σ_v p(v | j)^alpha p(i | v)^alpha / n_i^beta, one step after the other."""
    of_item = [{user: row[item] for user, row in enumerate(weights) if item in row} for item in range(N_ITEMS)]
    found = np.zeros((N_ITEMS, N_ITEMS))
    for j in range(N_ITEMS):
        for user, weight in of_item[j].items():
            to_user = (weight / sum(of_item[j].values())) ** alpha
            for i, own in weights[user].items():
                to_item = (own / sum(weights[user].values())) ** alpha
                found[j, i] += to_user * to_item / len(of_item[i]) ** beta
    np.fill_diagonal(found, 0)
    return found


@pytest.mark.parametrize(("alpha", "beta", "neighbours"), [(1.0, 0.0, 25), (0.6, 0.5, 25), (1.4, 0.3, 6)])
@pytest.mark.parametrize("valued", [False, True])
def test_rp3beta_equals_a_plain_loop(
    alpha: float, beta: float, neighbours: int, valued: bool, watched: list[list[int]]
) -> None:
    histories = Histories.of(watched)
    if valued:
        mapped = np.random.default_rng(1).choice([-1.0, 0.5, 1.0, 2.0], len(histories.items)).astype(np.float32)
        histories = replace(histories, mapped=mapped)
    model = create("rp3beta", alpha=alpha, beta=beta, neighbours=neighbours)
    model.fit(TrainingData(histories, N_ITEMS), Run.seeded(0))
    values = iter(histories.weights.tolist())
    rows = [{item: weight for item in row if (weight := next(values)) > 0} for row in watched]
    expected = walks_by_loop(rows, alpha, beta)
    for row in expected:
        row[np.argsort(-row, kind="stable")[neighbours:]] = 0
    np.testing.assert_allclose(model.weights.toarray(), expected, rtol=1e-5, atol=1e-7)
    visitors = Histories.of([[0, 3, 7], [24]])
    by_hand = [expected[[0, 3, 7]].sum(axis=0), expected[24]]
    np.testing.assert_allclose(model.score(model.fold_in(visitors)), by_hand, rtol=1e-5, atol=1e-7)
