"""Ridge regression of user vectors: against scipy's minimiser, refits without each row, and a known map."""

import numpy as np
import pytest
from scipy.optimize import minimize

from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.ncf.regression import fit_projection
from matinee.models.regression import best_strength, ridge_regression
from matinee.training.run import Run


@pytest.fixture
def pairs() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    inputs = rng.normal(size=(30, 4))
    return inputs, inputs @ rng.normal(size=(4, 2)) + 1.5 * rng.normal(size=(30, 2))


def test_a_ridge_regression_is_the_minimum_that_scipy_finds(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    inputs, targets = pairs
    ridge = 0.3 * np.square(inputs).sum() / 4

    def loss(flat: np.ndarray) -> float:
        matrix = flat.reshape(4, 2)
        return float(np.square(inputs @ matrix - targets).sum() + ridge * np.square(matrix).sum())

    best = minimize(loss, np.zeros(8), tol=1e-12).x.reshape(4, 2)
    np.testing.assert_allclose(ridge_regression(inputs, targets, 0.3), best, atol=1e-5)


def test_the_best_strength_is_that_of_a_fit_without_each_row(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    inputs, targets = pairs
    unit, strengths = np.square(inputs).sum() / 4, (0.001, 0.03, 0.1, 0.3, 3.0)

    def error(strength: float) -> float:
        total = 0.0
        for row in range(len(inputs)):
            rest, others = np.delete(inputs, row, 0), np.delete(targets, row, 0)
            matrix = np.linalg.inv(rest.T @ rest + strength * unit * np.eye(4)) @ rest.T @ others
            total += float(np.square(targets[row] - inputs[row] @ matrix).sum())
        return total

    assert best_strength(inputs, targets, strengths) == min(strengths, key=error)
    assert 0.001 < min(strengths, key=error) < 3


def test_a_known_map_is_found_though_some_users_are_far_away() -> None:
    rng = np.random.default_rng(1)
    means, known, constant = rng.normal(size=(400, 3)), rng.normal(size=(3, 5)), rng.normal(size=5)
    users = means @ known + constant
    users[:8] += 60 * rng.normal(size=(8, 5))
    found = fit_projection(means, users, 1.0)
    np.testing.assert_allclose(found, [*known, constant], atol=0.2)
    half = fit_projection(means, users, 0.5)
    np.testing.assert_allclose(half[:-1], found[:-1] / 2, rtol=1e-5)
    at_mean = np.append(means.mean(axis=0), 1)
    np.testing.assert_allclose(at_mean @ half, at_mean @ found, atol=0.1)


def test_settings_of_newton_choose_newton() -> None:
    assert create("mlp").config.fold_in == "regression"
    assert create("mlp", fold_in_l2=0.5).config.fold_in == "newton"
    assert create("mlp", fold_in_l2=0.5, fold_in="regression").config.fold_in == "regression"


@pytest.mark.parametrize("name", ["gmf", "mlp", "neumf"])
def test_a_history_of_items_without_events_is_nobodys_in_particular(name: str) -> None:
    logs = [[0, 1, 2], [1, 2], [2, 3], [0, 3], [1, 3], [0, 2]]
    model = create(name, dim=4, epochs=2).fit(TrainingData(Histories.of(logs), 6), Run.seeded(0))
    scores = model.score(model.fold_in(Histories.of([[4, 5], [0, 4], [0], []])))
    np.testing.assert_array_equal(scores[0], scores[3])
    np.testing.assert_array_equal(scores[1], scores[2])
