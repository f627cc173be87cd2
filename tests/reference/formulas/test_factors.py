"""The formulas on the cards of iALS and BPR, in plain Python, against what the models score."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from matinee.histories import Histories, TrainingData
from matinee.models import create, model_class
from matinee.models.base import Recommender
from matinee.serve.pages.model_cards import model_card
from matinee.training.run import Run

N_ITEMS = 8
WATCHED = [[0, 1, 2], [1, 2, 3], [0, 4], [4, 5, 6], [5, 6, 7], [6, 7], [0, 3, 7], [2, 5]]
VISITORS = [[0, 1], [4], [7, 5, 2]]

IALS_SCORE = (
    r"s(h, i) = w_h^T v_i",
    r"w_h = (a \sum_i v_i v_i^T + \sum_{j \in h} v_j v_j^T + \lambda_h I)^{-1} \sum_{j \in h} v_j , "
    r"\lambda_h = \lambda (| h | + a | I |)^p",
)
IALS_OBJECTIVE = (
    r"\min \sum_{i \in h_u} (w_u^T v_i - 1)^2 + a \sum_{u, i} (w_u^T v_i)^2 "
    r"+ \sum_u \lambda_u \norm w_u \norm^2 + \sum_i \lambda_i \norm v_i \norm^2",
)
BPR_SCORE = (
    r"s(h, i) = w_h^T v_i + b_i",
    r"w_h = P^T \frac{1}{| h |} \sum_{j \in h} v_j",
)
BPR_SOLVE = (
    r"s(h, i) = w_h^T v_i + b_i",
    r"w_h = P^T (a \sum_i v_i v_i^T + \sum_{j \in h} v_j v_j^T + \mu I)^{-1} \sum_{j \in h} v_j",
)
BPR_OBJECTIVE = (
    r"\max \sum_{u, i, j} \ln \sigma(s_{ui} - s_{uj}) - \frac{\lambda}{2} "
    r"(\norm w_u \norm^2 + \norm v_i \norm^2 + \norm v_j \norm^2 + b_i^2 + b_j^2)",
)


def solved(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Gaussian elimination, in fractions so that no pivot is too small."""
    rows = [[Fraction(value) for value in (*row, end)] for row, end in zip(matrix, right, strict=True)]
    for pivot in range(len(rows)):
        for below in range(pivot + 1, len(rows)):
            factor = rows[below][pivot] / rows[pivot][pivot]
            rows[below] = [value - factor * above for value, above in zip(rows[below], rows[pivot], strict=True)]
    found = [Fraction(0)] * len(rows)
    for row in reversed(range(len(rows))):
        rest = sum(rows[row][column] * found[column] for column in range(row + 1, len(rows)))
        found[row] = (rows[row][-1] - rest) / rows[row][row]
    return [float(value) for value in found]


def ridge_regression(v: list[list[float]], h: Sequence[int], a: float, ridge: float) -> list[float]:
    """(a Σ v vᵀ + Σ_h v vᵀ + ridge I)⁻¹ Σ_h v."""
    dims = range(len(v[0]))
    matrix = [
        [
            a * sum(row[c] * row[d] for row in v) + sum(v[j][c] * v[j][d] for j in h) + (ridge if c == d else 0.0)
            for d in dims
        ]
        for c in dims
    ]
    return solved(matrix, [sum(v[j][d] for j in h) for d in dims])


def ials_scores(model: Recommender, h: Sequence[int]) -> list[float]:
    v, config = model.items.tolist(), model.config
    ridge = config.l2 * (len(h) + config.unobserved * N_ITEMS) ** config.l2_power
    w = ridge_regression(v, h, config.unobserved, ridge)
    return [sum(x * y for x, y in zip(w, row, strict=True)) for row in v]


def bpr_scores(model: Recommender, h: Sequence[int]) -> list[float]:
    v, p, config = model.items.tolist(), model.projection.tolist(), model.config
    if config.fold_in == "mean":
        found = [sum(v[j][c] for j in h) / len(h) if h else 0.0 for c in range(len(p))]
    else:
        found = ridge_regression(v, h, config.fold_in_unobserved, config.fold_in_l2)
    w = [sum(found[c] * p[c][d] for c in range(len(p))) for d in range(len(p))]
    return [sum(x * y for x, y in zip(w, v[i], strict=True)) + float(model.bias[i]) for i in range(N_ITEMS)]


@pytest.mark.parametrize(
    ("name", "settings", "formulas"),
    [
        ("ials", {}, (*IALS_SCORE, *IALS_OBJECTIVE)),
        ("ials", {"l2_power": 0.0, "unobserved": 0.1}, (*IALS_SCORE, *IALS_OBJECTIVE)),
        ("bpr", {}, (*BPR_SCORE, *BPR_OBJECTIVE)),
        ("bpr", {"fold_in_l2": 3.0}, (*BPR_SOLVE, *BPR_OBJECTIVE)),
    ],
)
def test_a_factor_model_scores_as_the_formulas_of_its_card(
    name: str, settings: dict[str, object], formulas: tuple[str, ...]
) -> None:
    train = TrainingData(Histories.of(WATCHED), N_ITEMS)
    model = create(name, dim=3, epochs=4, **settings).fit(train, Run.seeded(2))
    assert tuple(model_card(model_class(name)).formulas_for(model.config)) == formulas
    found = model.score(model.fold_in(Histories.of(VISITORS)))
    plain = ials_scores if name == "ials" else bpr_scores
    np.testing.assert_allclose(found, [plain(model, h) for h in VISITORS], rtol=1e-4, atol=1e-5)
