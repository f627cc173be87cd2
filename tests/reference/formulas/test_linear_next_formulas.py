"""The formulas on the card of LinearNext, in plain Python, against what the model scores and learns."""

import numpy as np

from matinee.histories import Histories, TrainingData
from matinee.models import create, model_class
from matinee.serve.pages.model_cards import model_card
from matinee.training.run import Run

N_ITEMS = 6
WATCHED = [[0, 1, 2], [1, 2, 3], [0, 4], [4, 5], [5, 0, 3], [2, 4], [0, 3, 5], [2, 5]]
VISITORS = [[0, 1], [4], [5, 3, 2]]

SCORE = r"s(h, i) = \sum_{\gamma} \sum_{j \in h} \gamma^{d_j} W_{ji}^{\gamma}"
WEIGHTS = (
    r"W = (G + \lambda I)^{-1} C , C_{ji}^{\gamma} = \sum_{d \ge 1} \frac{\gamma^d - \eta^d}{\gamma - \eta} n_{ji}^d"
)


def counts(distance_weight: list[float]) -> np.ndarray:
    """n_ji^d summed over the distances d, each with its weight."""
    total = np.zeros((N_ITEMS, N_ITEMS))
    for items in WATCHED:
        for earlier, j in enumerate(items):
            for later in range(earlier + 1, len(items)):
                total[j, items[later]] += distance_weight[later - earlier - 1]
    return total


def test_linear_next_scores_and_learns_by_the_formulas_of_its_card() -> None:
    model = create("linear-next", l2=2.0).fit(TrainingData(Histories.of(WATCHED), N_ITEMS), Run.seeded(0))
    assert tuple(model_card(model_class("linear-next")).formulas_for(model.config)) == (SCORE, WEIGHTS)
    gammas, eta = model.config.decays, model.config.target_decay
    w = model.weights.reshape(len(gammas), N_ITEMS, N_ITEMS).tolist()
    expected = [
        [
            sum(
                gamma ** (len(h) - 1 - n) * w[block][j][i]
                for block, gamma in enumerate(gammas)
                for n, j in enumerate(h)
            )
            for i in range(N_ITEMS)
        ]
        for h in VISITORS
    ]
    np.testing.assert_allclose(model.score(model.fold_in(Histories.of(VISITORS))), expected, atol=1e-6)

    n = np.diag(np.bincount(np.concatenate(WATCHED), minlength=N_ITEMS))
    by_gamma = {gamma: counts([gamma**d for d in range(3)]) for gamma in gammas}
    gram = np.block([
        [(a * by_gamma[a] + b * by_gamma[b].T + n) / (1 - a * b) for b in gammas] for a in gammas
    ])  # fmt: skip
    targets = np.vstack([counts([(g**d - eta**d) / (g - eta) for d in (1, 2, 3)]) for g in gammas])
    learned = np.linalg.solve(gram + 2.0 * np.eye(len(gram)), targets)
    np.testing.assert_allclose(model.weights, learned, atol=1e-5)
