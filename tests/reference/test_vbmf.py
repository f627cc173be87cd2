"""VBMF against plain loops over users, items and ratings, and on ratings whose noise is known."""

import numpy as np
import pytest

from matinee.data.synthetic import two_tastes
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.factors.vbmf import _less, _ratings_of, _Rounds
from matinee.training.run import Run

N_USERS, N_ITEMS, DIM = 30, 18, 3


def some_ratings(seed=5):
    rng = np.random.default_rng(seed)
    items = [rng.choice(N_ITEMS, rng.integers(2, 9), replace=False).tolist() for _ in range(N_USERS)]
    values = [rng.integers(1, 6, len(row)).astype(float).tolist() for row in items]
    return Histories.of(items, values)


def full(triangles, d):
    """Symmetric matrices from upper triangles. [n, d (d + 1) / 2] -> [n, d, d]."""
    rows, columns = np.triu_indices(d)
    found = np.zeros((len(triangles), d, d))
    found[:, rows, columns] = found[:, columns, rows] = triangles
    return found


def posterior_of(events, items, moments, prior, noise):
    """Mean and covariance of one user's factors. events: (item, rating less the mean)."""
    system, right = np.eye(DIM), np.array(prior, dtype=float)
    for item, rating in events:
        system += moments[item][:DIM, :DIM] / noise
        right += (items[item][:DIM] * rating - moments[item][:DIM, DIM]) / noise
    covariance = np.linalg.inv(system)
    return covariance @ right, covariance


def test_a_folded_in_user_is_the_posterior_of_a_plain_loop():
    histories = some_ratings()
    model = create("vbmf", dim=DIM, epochs=4, implicit_dim=5).fit(TrainingData(histories, N_ITEMS), Run.seeded(1))
    state = model.fold_in(histories)
    moments = full(model.item_moments, DIM + 1)
    for user in range(N_USERS):
        events = range(histories.starts[user], histories.starts[user + 1])
        rows = histories.items[events.start : events.stop]
        prior = model.prior_mean + model.implicit_factors[rows].sum(axis=0) / np.sqrt(len(rows))
        pairs = [(histories.items[event], histories.values[event] - model.mean) for event in events]
        mean, _ = posterior_of(pairs, model.item_factors, moments, prior, model.noise)
        np.testing.assert_allclose(state[user], [*mean, 1.0], rtol=2e-5, atol=2e-6)
    expected = model.mean + model.item_factors @ state[3]
    np.testing.assert_allclose(model.score(state)[3], expected, rtol=1e-6)


def test_an_epoch_is_that_of_plain_loops():
    histories = some_ratings()
    config = create("vbmf", dim=DIM, implicit_dim=4).config
    ratings = _less(_ratings_of(histories, N_ITEMS), 3.0)
    rounds = _Rounds(config, DIM, (ratings, histories.matrix(N_ITEMS)), Run.seeded(2))
    rounds.epoch(1.0)
    items, noise, weights = rounds.items.astype(float), rounds.noise, rounds.weights.copy()
    moments, side = full(rounds.moments, DIM + 1).astype(float), np.hstack([rounds.side, np.ones((N_USERS, 1))])
    rounds.epoch(1.0)

    dense = ratings.toarray()
    rated = histories.matrix(N_ITEMS).toarray() > 0
    users = [
        posterior_of([(i, dense[u, i]) for i in np.flatnonzero(rated[u])], items, moments, side[u] @ weights, noise)
        for u in range(N_USERS)
    ]
    means = np.array([mean for mean, _ in users])
    ridge = np.diag([config.implicit_l2] * (side.shape[1] - 1) + [0])
    np.testing.assert_allclose(
        rounds.weights, np.linalg.solve(side.T @ side + ridge, side.T @ means), rtol=1e-3, atol=1e-5
    )

    augmented = np.hstack([means, np.ones((N_USERS, 1))])
    outer = np.array([np.outer(row, row) for row in augmented])
    outer[:, :DIM, :DIM] += np.array([covariance for _, covariance in users])
    centre = items[rated.any(axis=0)].mean(axis=0)
    variance = np.array([moments[rated.any(axis=0), d, d].mean() for d in range(DIM + 1)]) - centre**2
    total = 0.0
    for item in range(N_ITEMS):
        who = np.flatnonzero(rated[:, item])
        inverse = np.linalg.inv(outer[who].sum(axis=0) / noise + np.diag(1 / variance))
        right = (augmented[who] * dense[who, item, None]).sum(axis=0) / noise + centre / variance
        found = inverse @ right
        np.testing.assert_allclose(rounds.items[item], found, rtol=2e-3, atol=2e-4)
        second = np.outer(found, found) + inverse
        np.testing.assert_allclose(full(rounds.moments[[item]], DIM + 1)[0], second, rtol=4e-3, atol=4e-4)
        for user in who:
            r = dense[user, item]
            total += r**2 - 2 * r * augmented[user] @ found + (outer[user] * second).sum()
    assert rounds.noise == pytest.approx(total / rated.sum(), rel=1e-3)


def test_the_noise_of_ratings_made_of_factors_is_found():
    rng = np.random.default_rng(3)
    users, items = rng.normal(size=(300, 2)), rng.normal(size=(120, 2))
    seen = rng.random((300, 120)) < 0.4
    values = 3 + users @ items.T * 0.6 + rng.normal(0, 0.4, (300, 120))
    rows = [np.flatnonzero(row).tolist() for row in seen]
    histories = Histories.of(rows, [values[user, row].tolist() for user, row in enumerate(rows)])
    model = create("vbmf", dim=6, epochs=30, implicit_dim=0).fit(TrainingData(histories, 120), Run.seeded(1))
    errors = (model.predict_values(histories) - values)[~seen]
    assert np.sqrt(np.mean(errors**2)) < 0.46  # the noise alone is 0.4; an item's mean is off by 0.9
    assert model.noise == pytest.approx(0.16, abs=0.04)


def test_an_event_without_a_rating_counts_as_chosen_and_predicts_nothing_else():
    data = two_tastes()
    train = TrainingData(Histories.from_events(data.events, np.arange(24, dtype=np.int32)), 12)
    model = create("vbmf", implicit_dim=4).fit(train, Run.seeded(1))
    nobody, watched, rated = (
        model.fold_in(Histories.of([row], [values]))
        for row, values in (([], []), ([0, 2], [np.nan] * 2), ([0, 2], [5, 5]))
    )
    np.testing.assert_allclose(nobody[0, :-1], model.prior_mean, rtol=1e-6)
    prior = model.prior_mean + model.implicit_factors[[0, 2]].sum(axis=0) / np.sqrt(2)
    np.testing.assert_allclose(watched[0, :-1], prior, rtol=1e-5)
    assert not np.allclose(rated, watched)
    both = model.fold_in(Histories.of([[0, 2, 0]], [[5, 5, np.nan]]))  # watched again: the rating stays
    np.testing.assert_allclose(both, rated, rtol=1e-6)


def test_predictions_stay_within_the_scale_and_scores_need_not():
    data = two_tastes()
    histories = Histories.from_events(data.events, np.arange(24, dtype=np.int32))
    model = create("vbmf").fit(TrainingData(histories, 12), Run.seeded(1))
    assert (model.lowest, model.highest) == (1.0, 5.0)
    model.item_factors = model.item_factors + np.eye(12, model.item_factors.shape[1])[:, ::-1] * 3  # one bias is higher
    values, scores = model.predict_values(histories), model.score(model.fold_in(histories))
    np.testing.assert_array_equal(values, np.clip(scores, 1, 5))
    assert scores.max() > 5


@pytest.mark.parametrize("value", [4.0, float("nan")])
def test_a_log_of_one_value_or_of_none_is_refused_in_one_line(value):
    histories = Histories.of([[0, 1], [1, 2]], [[value] * 2] * 2)
    with pytest.raises(MatineeError, match=r"vbmf predicts values, and (every|no) event of this log") as error:
        create("vbmf").fit(TrainingData(histories, 3), Run.seeded(1))
    assert "\n" not in str(error.value)
