"""The formulas on the card of EASE, in plain Python, against what the model scores and minimises."""

import numpy as np
import pytest

from matinee.histories import Histories, TrainingData
from matinee.models import create, model_class
from matinee.serve.pages.model_cards import model_card
from matinee.training.run import Run

N_ITEMS = 6
WATCHED = [[0, 1, 2], [1, 2, 3], [0, 4], [4, 5], [5, 0, 3], [2, 4], [0, 3, 5], [2, 5]]
VISITORS = [[0, 1], [4], [5, 3, 2]]

SCORE = (r"s(h, i) = \sum_{j \in h} B_{ji}",)
EASE = (r"\min \norm X - X B \norm^2 + \lambda \norm B \norm^2 , \diag(B) = 0",)
EDLAE = (r"\min \norm X - X B \norm^2 + \sum_j (\lambda + \frac{p}{1 - p} | N_j |) \sum_i B_{ji}^2 , \diag(B) = 0",)


def objective(b: list[list[float]], l2: float, p: float) -> float:
    items = range(N_ITEMS)
    error = sum(((i in row) - sum(b[j][i] for j in row)) ** 2 for row in WATCHED for i in items)
    ridges = [l2 + p / (1 - p) * sum(j in row for row in WATCHED) for j in items]
    return error + sum(ridges[j] * b[j][i] ** 2 for j in items for i in items)


@pytest.mark.parametrize(
    ("settings", "formulas"),
    [
        ({}, SCORE + EASE),
        ({"dropout": 0.3}, SCORE + EDLAE),
        ({"item_power": 0.2}, SCORE),
        ({"user_power": 0.2}, SCORE),
        ({"closeness": 0.5}, SCORE),
    ],
)
def test_ease_scores_and_minimises_the_formulas_of_its_card(
    settings: dict[str, float], formulas: tuple[str, ...]
) -> None:
    model = create("ease", l2=2.0, **settings).fit(TrainingData(Histories.of(WATCHED), N_ITEMS), Run.seeded(0))
    assert tuple(model_card(model_class("ease")).formulas_for(model.config)) == formulas
    b = model.weights.tolist()
    found = model.score(model.fold_in(Histories.of(VISITORS)))
    np.testing.assert_allclose(found, [[sum(b[j][i] for j in h) for i in range(N_ITEMS)] for h in VISITORS], atol=1e-6)
    if len(formulas) == 1:
        return
    best = objective(b, 2.0, settings.get("dropout", 0.0))
    for j in range(N_ITEMS):
        assert b[j][j] == 0
        for i in set(range(N_ITEMS)) - {j}:
            for step in (-1e-3, 1e-3):
                moved = [row.copy() for row in b]
                moved[j][i] += step
                assert objective(moved, 2.0, settings.get("dropout", 0.0)) > best
