"""What models do with the weights of events, in training and in fold-in, against plain loops and normal equations."""

from dataclasses import replace

import numpy as np
import pytest
from test_models import ease_by_the_book

from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.training.run import Run
from model_fixtures import random_histories

N_ITEMS = 14


@pytest.fixture(scope="module")
def train() -> TrainingData:
    """Users with weights between -0.5 and 1.5."""
    histories = Histories.of(random_histories(3, 40, N_ITEMS, 9))
    weights = np.random.default_rng(4).uniform(-0.5, 1.5, len(histories.items)).astype(np.float32)
    users = np.arange(len(histories), dtype=np.int32)
    return TrainingData(replace(histories, mapped=weights, user_rows=users), N_ITEMS)


@pytest.fixture(scope="module")
def matrix(train: TrainingData) -> np.ndarray:
    """The weights, event by event."""
    dense = np.zeros((train.n_users, N_ITEMS))
    for user, item, weight in zip(train.histories.owners, train.histories.items, train.histories.weights, strict=True):
        dense[user, item] = weight
    return dense


def test_ease_trains_on_the_weights_above_0_and_sums_all(train: TrainingData, matrix: np.ndarray) -> None:
    model = create("ease", l2=3.0).fit(train, Run.seeded(0))
    expected = ease_by_the_book(np.maximum(matrix, 0), 3.0)
    np.testing.assert_allclose(model.weights, expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(model.score(model.fold_in(train.histories)), matrix @ expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["ease", "item-knn", "ials"])
def test_training_without_weights_is_training_on_a_unary_log(name: str, train: TrainingData) -> None:
    unary = TrainingData(replace(train.histories, mapped=None), N_ITEMS)
    settings = {"dim": 4, "epochs": 3} if name == "ials" else {}
    one = create(name, weigh_training=False, **settings).fit(train, Run.seeded(0))
    other = create(name, **settings).fit(unary, Run.seeded(0))
    weighed = create(name, **settings).fit(train, Run.seeded(0))
    scores = [model.score(model.fold_in(unary.histories)) for model in (one, other, weighed)]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.allclose(scores[0], scores[2])


def test_item_knn_by_a_plain_loop(train: TrainingData, matrix: np.ndarray) -> None:
    model = create("item-knn", neighbours=3, weighting="none", shrinkage=2.0).fit(train, Run.seeded(0))
    liked = np.maximum(matrix, 0)
    norms = np.linalg.norm(liked, axis=0)
    similar = liked.T @ liked / (np.outer(norms, norms) + 2.0)
    np.fill_diagonal(similar, 0)
    for item in range(N_ITEMS):
        similar[np.argsort(-similar[:, item], kind="stable")[3:], item] = 0
    np.testing.assert_allclose(model.score(model.fold_in(train.histories)), matrix @ similar, rtol=1e-4, atol=1e-5)


def test_ials_reaches_the_objective_of_exact_weighted_least_squares(train: TrainingData, matrix: np.ndarray) -> None:
    dim, a, l2 = 4, 0.3, 0.02
    model = create("ials", dim=dim, unobserved=a, l2=l2, epochs=80).fit(train, Run.seeded(0))
    liked = np.maximum(matrix, 0)
    present = liked > 0

    def exact_step(weights: np.ndarray, fixed: np.ndarray) -> np.ndarray:
        ridge = l2 * ((weights > 0).sum(axis=1) + a * len(fixed))
        gram = a * fixed.T @ fixed
        return np.stack(
            [
                np.linalg.solve(gram + (fixed.T * row) @ fixed + r * np.eye(dim), fixed.T @ row)
                for row, r in zip(weights, ridge, strict=True)
            ]
        )

    items = np.random.default_rng(1).normal(0, 0.1, (N_ITEMS, dim))
    for _ in range(400):
        users = exact_step(liked, items)
        items = exact_step(liked.T, users)
    scores = users @ items.T
    ridge = l2 * ((present.sum(axis=1) + a * N_ITEMS) @ (users**2).sum(axis=1))
    ridge += l2 * ((present.sum(axis=0) + a * len(users)) @ (items**2).sum(axis=1))
    objective = (liked * (scores - 1) ** 2).sum() + a * (scores**2).sum() + ridge
    assert model.curves[-1]["loss"] == pytest.approx(objective / liked.sum(), rel=2e-3)


def test_ials_folds_in_by_confidence_and_signed_preference(train: TrainingData, matrix: np.ndarray) -> None:
    model = create("ials", dim=4, epochs=5).fit(train, Run.seeded(0))
    items, config = model.items.astype(np.float64), model.config
    users = model.fold_in(train.histories)
    for user, row in enumerate(matrix):
        n = np.count_nonzero(row)
        ridge = config.l2 * (n + config.unobserved * N_ITEMS) ** config.l2_power
        system = config.unobserved * items.T @ items + (items.T * np.abs(row)) @ items + ridge * np.eye(4)
        np.testing.assert_allclose(users[user], np.linalg.solve(system, items.T @ row), rtol=1e-3, atol=1e-5)


def test_user_knn_compares_with_real_valued_jaccard(train: TrainingData, matrix: np.ndarray) -> None:
    model = create("user-knn", neighbours=5).fit(train, Run.seeded(0))
    binary = matrix != 0
    for user in range(0, train.n_users, 7):
        x = matrix[user] / np.abs(matrix[user]).max()
        products = binary @ x
        jaccard = products / (x @ x + binary.sum(axis=1) - products)
        jaccard[np.argsort(-jaccard, kind="stable")[5:]] = 0
        history = train.histories.take(np.array([user]))
        expected = np.maximum(jaccard, 0) @ binary
        np.testing.assert_allclose(model.score(model.fold_in(history))[0], expected, rtol=1e-4, atol=1e-5)


def test_markov_counts_distances_among_liked_events_only() -> None:
    train = TrainingData(Histories.of([[0, 1, 2, 3], [1, 2, 3, 0], [3, 1, 0, 2]]), 4)
    model = create("markov", steps=2, decay=0.5, smoothing=1.0).fit(train, Run.seeded(0))
    history = replace(Histories.of([[0, 1, 2]]), mapped=np.array([2.0, -1.0, 0.5], dtype=np.float32))
    chain = model.transitions.toarray() + model.prior_weights[:, None] * model.popularity
    expected = 0.5 * chain[2] + 2.0 * 0.5 * chain[0]
    np.testing.assert_allclose(model.score(model.fold_in(history))[0], expected, rtol=1e-5)


def test_pmi_means_and_directions_by_hand(train: TrainingData, matrix: np.ndarray) -> None:
    model = create("movie-pairs", dim=4, epochs=2).fit(train, Run.seeded(0))
    magnitudes = np.abs(matrix).sum(axis=1, keepdims=True)
    means = matrix @ model.input_vectors / magnitudes
    expected = means @ model.items.T + model.config.bias_share * model.bias
    np.testing.assert_allclose(model.score(model.fold_in(train.histories)), expected, rtol=1e-3, atol=1e-4)


def test_gmf_solves_a_weighted_likelihood(train: TrainingData, matrix: np.ndarray) -> None:
    """At the solution the gradient of sum_liked w (log Z - s) + sum_disliked |w| s + l2 / 2 |u|² is zero."""
    model = create("gmf", dim=4, epochs=3, fold_in_steps=30).fit(train, Run.seeded(0))
    h = model.weights.astype(np.float64)
    items = model.item_embeddings.astype(np.float64) * h  # d score / d user
    l2 = 2 * max(model.config.l2 * model.config.fold_in_l2, 1e-3) * len(train.histories.items) / train.n_users
    states = model.fold_in(train.histories).astype(np.float64) / h
    for user, row in zip(states, matrix, strict=True):
        scores = items @ user
        softmax = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
        gradient = items.T @ (np.maximum(row, 0).sum() * softmax - row) + l2 * user
        np.testing.assert_allclose(gradient, 0, atol=2e-3)
