"""SVD-AE against the whole decomposition, the ridge regression that it is at full rank, and what smoothing is for."""

from dataclasses import replace

import numpy as np
import pytest

from matinee.histories import Histories, TrainingData
from matinee.models import create, model_class
from matinee.serve.pages.model_cards import model_card
from matinee.training.run import Run
from model_fixtures import random_histories

N_USERS, N_ITEMS = 60, 40
VISITORS = [[0, 3, 7], [24]]


@pytest.fixture(scope="module")
def histories() -> Histories:
    drawn = Histories.of(random_histories(5, N_USERS, N_ITEMS, longest=11))
    values = np.random.default_rng(1).choice([-1.0, 0.5, 1.0, 2.0], len(drawn.items)).astype(np.float32)
    return replace(drawn, mapped=values)


def dense(histories: Histories) -> np.ndarray:
    """The entries above 0, one event after the other. [U, I]."""
    table = np.zeros((N_USERS, N_ITEMS))
    for user, item, weight in zip(histories.owners, histories.items, histories.weights, strict=True):
        table[user, item] = max(weight, 0)
    return table


def roots(sums: np.ndarray, smoothing: float) -> np.ndarray:
    return np.array([1 / np.sqrt(each + smoothing * sums.mean()) if each else 0.0 for each in sums])


@pytest.mark.parametrize(("dim", "l2", "smoothing"), [(8, 0.0, 0.0), (5, 0.1, 0.5), (30, 0.05, 0.3)])
def test_svd_ae_equals_the_formulas_of_its_card(dim: int, l2: float, smoothing: float, histories: Histories) -> None:
    model = create("svd-ae", dim=dim, l2=l2, smoothing=smoothing, weigh_training=True)
    model.fit(TrainingData(histories, N_ITEMS), Run.seeded(0))
    assert tuple(model_card(model_class("svd-ae")).formulas_for(model.config)) == (
        r"s(h, i) = \sum_{j \in h} e_j^T d_i",
        r"U S V^T = \svd_k(N_U X N_I) , E = N_I V S (S^2 + \lambda I)^{-1} , D = X^T U",
    )
    x = dense(histories)
    n_u, n_i = roots(x.sum(axis=1), smoothing), roots(x.sum(axis=0), smoothing)
    u, s, vt = np.linalg.svd(n_u[:, None] * x * n_i)
    e = n_i[:, None] * vt[:dim].T @ np.diag(s[:dim] / (s[:dim] ** 2 + l2))
    expected = [sum(e[j] for j in history) @ (x.T @ u[:, :dim]).T for history in VISITORS]
    found = model.score(model.fold_in(Histories.of(VISITORS)))
    known = x.sum(axis=0) > 0
    np.testing.assert_allclose(found[:, known], np.array(expected)[:, known], atol=2e-5)


def test_at_full_rank_it_is_ridge_regression_on_the_normalised_log(histories: Histories) -> None:
    model = create("svd-ae", dim=N_ITEMS, l2=0.2, smoothing=0.0, weigh_training=True)
    model.fit(TrainingData(histories, N_ITEMS), Run.seeded(0))
    x = dense(histories)
    n_u, n_i = roots(x.sum(axis=1), 0.0), roots(x.sum(axis=0), 0.0)
    normalised = n_u[:, None] * x * n_i
    b = np.linalg.solve(normalised.T @ normalised + 0.2 * np.eye(N_ITEMS), normalised.T @ x)
    np.testing.assert_allclose(model.encoder @ model.decoder.T, n_i[:, None] * b, atol=1e-5)


def test_smoothing_keeps_pairs_that_nobody_shares_out_of_the_leading_vectors() -> None:
    crowd = [[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]] * 5
    alone = [[4 + user] for user in range(6)]  # each a component of its own, with singular value 1
    train = TrainingData(Histories.of(crowd + alone), 10)
    plain, smoothed = (create("svd-ae", dim=1, smoothing=each).fit(train, Run.seeded(0)) for each in (0.0, 0.3))
    of_crowd = [np.square(model.decoder[:4]).sum() / np.square(model.decoder).sum() for model in (plain, smoothed)]
    assert of_crowd[1] > 0.999
    assert np.abs(plain.decoder[4:]).max() > 0.1


@pytest.mark.parametrize(("n_tastes", "rank"), [(4, 6), (9, 13), (60, 90)])
def test_without_a_dim_the_rank_is_half_as_many_again_as_there_are_tastes(n_tastes: int, rank: int) -> None:
    rng = np.random.default_rng(0)
    tastes = rng.integers(n_tastes, size=20 * n_tastes)
    users = [12 * taste + rng.choice(12, size=8, replace=False) for taste in tastes]  # 12 items a taste, 8 of them each
    train = TrainingData(Histories.of([sorted(each.tolist()) for each in users]), 12 * n_tastes)
    assert create("svd-ae").fit(train, Run.seeded(0)).encoder.shape == (12 * n_tastes, rank)


def test_few_events_take_a_stronger_ridge() -> None:
    few, many = (TrainingData(Histories.of([list(range(n))] * 4), 30) for n in (19, 20))
    assert [model_class("svd-ae").defaults_for(each) for each in (few, many)] == [{"l2": 0.2}, {}]


def test_the_same_whatever_the_seed(histories: Histories) -> None:
    train = TrainingData(histories, N_ITEMS)
    first, second = (create("svd-ae").fit(train, Run.seeded(seed)) for seed in (1, 2))
    np.testing.assert_array_equal(first.encoder, second.encoder)
