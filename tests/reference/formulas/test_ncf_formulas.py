r"""The formulas on the cards of GMF, MLP and NeuMF, in plain Python, against the served scores.

Each test asks the card for the formulas of a configuration and compares their TeX with the strings beside the plain
functions, so that neither changes without the other.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.ncf.fold_in import solve_users
from matinee.serve.pages.model_cards import model_card
from matinee.training.run import Run

TRAIN = TrainingData(Histories.of([[0, 1, 2], [1, 2], [3, 4], [3, 4, 5], [0, 2], [4, 5], [0, 5], [1, 3]]), 6)
VISITORS = [[0, 2], [3], [1, 4, 5]]
Vector = Sequence[float]

PRODUCT = r"a^T (p \odot q_i)"
TOWERS = {
    1: r"\ReLU(W x + V y_i + b)",
    2: r"\ReLU(W_2 \ReLU(W x + V y_i + b) + b_2)",
    3: r"\ReLU(W_L \ldots \ReLU(W_2 \ReLU(W x + V y_i + b) + b_2) \ldots + b_L)",
}
SOFTMAX = r"X_h = \argmin_{x} \sum_{j \in h} (\ln \sum_k \exp s(x, k) - s(x, j)) + \lambda NORM"
MEAN = r"X_h = m + P^T \frac{1}{| h |} \sum_{j \in h} Y_j"
BCE = r"X_h = \argmin_{x} \lambda NORM - \sum_{j \in h} \ln \sigma(s(x, j)) - c \sum_{k \notin h} \ln \sigma(-s(x, k))"


def tex_of(name: str, layers: int, loss: str) -> list[str]:
    """The TeX that the functions below implement. loss: that of the solve, or `regression`."""
    solve = {"bce": BCE, "softmax": SOFTMAX, "regression": MEAN}[loss]
    if name == "neumf":
        tower = TOWERS[layers].replace(" x ", " u ").replace("y_i", "v_i")
        score = rf"s(p, u, i) = {PRODUCT} + c^T {tower} , s(h, i) = s(p_h, u_h, i)"
        solve = (
            solve.replace("X_h", "(p_h, u_h)")
            .replace("Y_j", "(q_j, v_j)")
            .replace("NORM", r"(\norm p \norm^2 + \norm u \norm^2)")
        )
        return [score, solve.replace("_{x}", "_{p, u}").replace("s(x,", "s(p, u,")]
    tower = TOWERS[max(1, layers)].replace(" x ", " p ").replace("y_i", "q_i")
    score = rf"s(p, i) = {PRODUCT if name == 'gmf' else f'a^T {tower}'} , s(h, i) = s(p_h, i)"
    solve = (
        solve.replace("X_h", "p_h").replace("Y_j", "q_j").replace("NORM", r"\norm p \norm^2").replace("_{x}", "_{p}")
    )
    return [score, solve.replace("s(x,", "s(p,")]


class PlainScore:
    """s(x, i) from a model's arrays: x is the user vector, [p, u] for NeuMF."""

    def __init__(self, model: Any, layers: int) -> None:
        flat, dim = model.weights.tolist(), model.config.dim
        self.items: list[Vector] = model.item_embeddings.tolist()
        self.n_product = dim if model.has_product else 0
        self.a = [flat.pop(0) for _ in range(self.n_product)]
        self.layers: list[tuple[list[Vector], Vector]] = []
        width = dim * 2 ** (layers - 1) if layers else 0
        n_in = 2 * width
        for layer in range(layers):
            weights = [[flat.pop(0) for _ in range(width >> layer)] for _ in range(n_in)]
            self.layers.append((weights, [flat.pop(0) for _ in range(width >> layer)]))
            n_in = width >> layer
        self.c = flat

    def __call__(self, x: Vector, item: int) -> float:
        """The product of the first dims, and the tower over the others."""
        q, n = self.items[item], self.n_product
        score = sum(a * p_d * q_d for a, p_d, q_d in zip(self.a, x, q, strict=False))
        if not self.layers:
            return score
        hidden = [*x[n:], *q[n:]]  # W x + V y is one layer over both
        for weights, bias in self.layers:
            hidden = [
                max(0.0, sum(value * row[unit] for value, row in zip(hidden, weights, strict=True)) + bias[unit])
                for unit in range(len(bias))
            ]
        return score + sum(c * value for c, value in zip(self.c, hidden, strict=True))


def log_sigmoid(value: float) -> float:
    return -math.log1p(math.exp(-value))


def objective(model: Any, score: PlainScore, history: list[int]) -> Callable[[Vector], float]:
    """What the argmin line minimises."""
    config, n_events = model.config, len(TRAIN.histories.items)
    penalty = config.l2 * config.fold_in_l2 * n_events / TRAIN.n_users  # lambda
    others = [item for item in range(TRAIN.n_items) if item not in history]
    c = config.n_negatives * len(history) / len(others)

    def value(x: Vector) -> float:
        scores = [score(x, item) for item in range(TRAIN.n_items)]
        norm = penalty * sum(x_d**2 for x_d in x)
        if config.loss == "bce":
            fit = -sum(log_sigmoid(scores[j]) for j in history)
            return norm + fit - c * sum(log_sigmoid(-scores[k]) for k in others)
        log_sum = math.log(sum(math.exp(s) for s in scores))
        return norm + sum(log_sum - scores[j] for j in history)

    return value


def minimise(function: Callable[[Vector], float], start: Vector) -> Vector:
    """Gradient descent with finite differences and backtracking, at most 400 steps."""
    x, best, step = list(start), function(start), 1.0
    for _ in range(400):
        gradient = []
        for dim in range(len(x)):
            up, down = ([*x[:dim], x[dim] + shift, *x[dim + 1 :]] for shift in (1e-5, -1e-5))
            gradient.append((function(up) - function(down)) / 2e-5)
        candidate = [value - step * slope for value, slope in zip(x, gradient, strict=True)]
        while function(candidate) > best - 1e-9 and step > 1e-6:
            step /= 4
            candidate = [value - step * slope for value, slope in zip(x, gradient, strict=True)]
        if step <= 1e-6:
            break
        x, best, step = candidate, function(candidate), step * 2
    return x


@pytest.mark.parametrize("loss", ["softmax", "bce"])
@pytest.mark.parametrize(
    ("name", "layers"), [("gmf", 0), ("mlp", 1), ("mlp", 2), ("mlp", 3), ("neumf", 1), ("neumf", 2)]
)
def test_the_formulas_on_the_card_give_the_served_scores(name: str, layers: int, loss: str) -> None:
    settings: dict[str, Any] = {"dim": 2, "loss": loss, "epochs": 30, "l2": 0.02, "fold_in_steps": 60}
    if layers:
        settings |= {"layers": layers, "tower_init": "he", "initial_std": 0.5, "dropout": 0.0, "tower_l2": 0.01}
    model: Any = create(name, **settings).fit(TRAIN, Run.seeded(5))
    assert model_card(type(model)).formulas_for(model.config) == tex_of(name, layers, loss)
    score = PlainScore(model, layers)
    visitors = Histories.of(VISITORS)
    served = model.score(model.fold_in(visitors))
    assert served.std(axis=1).max() > 0.03
    at_start = model._at_start if model._shares_first_steps else None
    solved = model.projected_items, model._setting, model.config, at_start
    vectors = solve_users(model._weights, visitors.matrix(6), *solved)
    for row, history in enumerate(VISITORS):
        x, minimised = vectors[row].tolist(), objective(model, score, history)
        plain = [score(x, item) for item in range(TRAIN.n_items)]
        np.testing.assert_allclose(served[row], plain, atol=1e-5, err_msg=f"visitor {row}")
        if name == "gmf":  # convex: any start leads there
            np.testing.assert_allclose(x, minimise(minimised, [0.0, 0.0]), atol=0.01)
        else:  # a local minimum, as near as the kinks of the ReLU let the Newton steps come
            assert minimised(x) < minimised(model.user_embeddings.mean(axis=0).tolist())
            assert minimised(x) == pytest.approx(minimised(minimise(minimised, x)), rel=0.01)


@pytest.mark.parametrize(("name", "layers"), [("gmf", 0), ("mlp", 1), ("mlp", 3), ("neumf", 1), ("neumf", 2)])
def test_a_visitor_is_scored_by_the_formula_of_the_regression(name: str, layers: int) -> None:
    settings: dict[str, Any] = {"layers": layers, "dropout": 0.0, "tower_init": "he"} if layers else {}
    model: Any = create(name, dim=4, epochs=5, initialiser="normal", **settings).fit(TRAIN, Run.seeded(5))
    assert model_card(type(model)).formulas_for(model.config) == tex_of(name, layers, "regression")
    score, dims = PlainScore(model, layers), range(model.item_embeddings.shape[1])
    *matrix, m = model.projection.tolist()  # a row of P for each dim of an item
    served = model.score(model.fold_in(Histories.of(VISITORS)))
    for row, history in enumerate(VISITORS):
        mean = [sum(score.items[j][d] for j in history) / len(history) for d in dims]
        x = [m[e] + sum(matrix[d][e] * mean[d] for d in dims) for e in dims]
        plain = [score(x, item) for item in range(TRAIN.n_items)]
        np.testing.assert_allclose(served[row], plain, atol=1e-5)


@pytest.mark.parametrize(("name", "layers"), [("gmf", 0), ("mlp", 1), ("neumf", 1)])
def test_a_stored_user_is_scored_by_the_formula_without_the_solve(name: str, layers: int) -> None:
    settings = {"layers": layers} if layers else {}
    train = replace(TRAIN, histories=replace(TRAIN.histories, user_rows=np.arange(TRAIN.n_users, dtype=np.int32)))
    model: Any = create(name, dim=4, user_state="stored", epochs=3, initialiser="normal", **settings)
    model.fit(train, Run.seeded(5))
    assert model_card(type(model)).formulas_for(model.config) == tex_of(name, layers, "softmax")[:1]
    score = PlainScore(model, layers)
    served = model.score(model.fold_in(train.histories))
    for user in range(TRAIN.n_users):
        plain = [score(model.user_embeddings[user].tolist(), item) for item in range(TRAIN.n_items)]
        np.testing.assert_allclose(served[user], plain, atol=1e-5)


@pytest.mark.parametrize("name", ["gmf", "mlp", "neumf"])
def test_the_default_configuration_has_a_score_and_a_solve(name: str) -> None:
    model = create(name)
    layers = 0 if name == "gmf" else 1
    assert model_card(type(model)).formulas_for(model.config) == tex_of(name, layers, "regression")
