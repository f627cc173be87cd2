"""Calibration and the error by number of ratings, against plain loops and predictions of known quality."""

import numpy as np
import pytest

from matinee.data.synthetic import zipf_log
from matinee.evaluation.history_lengths import DAMPING, by_length_of_history, draw_events
from matinee.evaluation.predicted_values import calibration
from matinee.histories import Histories
from matinee.report.calibration_plot import draw_calibration
from matinee.workflow import fit, predicted_values, split
from toy_tasks import oracle, split_of


def rng():
    return np.random.default_rng(0)


def test_calibration_by_hand():
    # twenty events in ten groups of two: predictions 0, 1, ..., 19, and values one higher
    targets = Histories.of([list(range(10)), list(range(10))], [list(range(1, 11)), list(range(11, 21))])
    bins = calibration(np.arange(20.0), targets, rng(), samples=100)
    assert [each.events for each in bins] == [2] * 10
    assert [each.predicted for each in bins] == [0.5 + 2 * group for group in range(10)]
    assert [each.actual for each in bins] == [1.5 + 2 * group for group in range(10)]
    assert all(each.low <= each.actual <= each.high for each in bins)


def test_equal_predictions_stay_in_one_group():
    targets = Histories.of([[0, 1, 2], [0]], [[1, 2, 3], [5]])
    (only,) = calibration(np.full(4, 3.5), targets, rng(), samples=100)
    assert (only.predicted, only.actual, only.events) == (3.5, 2.75, 4)


def test_no_target_events_have_no_calibration():
    assert calibration(np.zeros(0), Histories.of([]), rng()) == ()


def test_intervals_are_over_users_not_events():
    """Each user's values are all the same, so a thousand events of four users say no more than four."""
    values = [[value] * 250 for value in (1.0, 2.0, 4.0, 5.0)]
    targets = Histories.of([list(range(250))] * 4, values)
    (only,) = calibration(np.full(1000, 3.0), targets, rng(), samples=2000)
    assert only.high - only.low > 2  # over events the interval would be 0.2 wide


def test_drawn_events_are_some_of_the_users_own_and_as_many_as_asked_for():
    histories = Histories.of([[0, 1, 2, 3], [4], [], [5, 6, 7]], [[1, 2, 3, 4], [5], [], [1, 2, 3]])
    found = draw_events(histories, 2, rng())
    assert found.lengths.tolist() == [2, 1, 0, 2]
    for user in range(4):
        own = histories.take(np.array([user]))
        drawn = found.take(np.array([user]))
        rated = dict(zip(own.items.tolist(), own.values.tolist(), strict=True))
        assert all(
            rated[item] == value for item, value in zip(drawn.items.tolist(), drawn.values.tolist(), strict=True)
        )
    counts = np.zeros(8)
    for seed in range(600):
        counts += np.bincount(draw_events(histories, 2, np.random.default_rng(seed)).items, minlength=8)
    np.testing.assert_allclose(counts[:4] / 600, 0.5, atol=0.07)


def ratings_of(n_users=60, n_items=12, seed=4):
    """Values of items 1..n with a mean of their own, and users with a difference of theirs; 8 in train, 3 in valid."""
    draw = np.random.default_rng(seed)
    table = (
        3 + draw.normal(0, 0.7, n_items) + draw.normal(0, 0.5, (n_users, 1)) + draw.normal(0, 0.3, (n_users, n_items))
    )
    rows = [draw.permutation(n_items)[:11] for _ in range(n_users)]
    events = [[(user, int(item), float(table[user, item])) for item in row] for user, row in enumerate(rows)]
    train, valid = ([event for row in events for event in row[part]] for part in (slice(0, 8), slice(8, 11)))
    return table, split_of(train, valid=valid, n_items=n_items)


def test_the_errors_of_the_averages_are_those_of_a_plain_loop():
    table, cut = ratings_of()
    (found,) = by_length_of_history(oracle(table), cut, rng(), lengths=[8])  # all of train, so nothing is drawn
    train, valid = cut.data.events.take(cut.labels == 0), cut.targets("valid")
    means = [train.values[train.item_rows == item].mean() for item in range(12)]
    of_item, of_both = [], []
    for user, item, value in zip(valid.user_rows, valid.item_rows, valid.values, strict=True):
        own = train.user_rows == user
        differences = [v - means[i] for v, i in zip(train.values[own], train.item_rows[own], strict=True)]
        of_item.append(means[item] - value)
        of_both.append(means[item] + sum(differences) / (len(differences) + DAMPING) - value)
    assert (found.ratings, found.users) == (8, 60)
    assert found.item_mean == pytest.approx(np.sqrt(np.mean(np.square(of_item))), rel=1e-5)
    assert found.item_and_user_mean == pytest.approx(np.sqrt(np.mean(np.square(of_both))), rel=1e-5)
    assert found.rmse < 1e-6
    assert found.better


def test_a_model_no_better_than_the_averages_is_not_better():
    _, cut = ratings_of()
    train = cut.training().histories
    means = np.array([train.values[train.items == item].mean() for item in range(12)])
    found = by_length_of_history(oracle(np.tile(means, (60, 1))), cut, rng(), lengths=[2, 8])
    assert [each.better for each in found] == [False, False]


def test_lengths_that_too_few_users_have_are_not_measured():
    table, cut = ratings_of()
    assert [each.ratings for each in by_length_of_history(oracle(table), cut, rng())] == [1, 2, 5]
    table, cut = ratings_of(n_users=19)
    assert by_length_of_history(oracle(table), cut, rng()) == ()


def test_the_same_seed_gives_the_same_table():
    table, cut = ratings_of()
    noisy = oracle(table + np.random.default_rng(1).normal(0, 0.2, table.shape))
    first, second = (by_length_of_history(noisy, cut, rng()) for _ in range(2))
    assert first == second


@pytest.mark.slow
def test_a_trained_model_says_from_how_many_ratings_on_it_is_better():
    data = zipf_log(150, 60, 2000, rng())
    cut = split(data)
    for on in (cut, data):
        found = predicted_values(fit("vbmf", on, epochs=3), on)["predicted_values"]
        assert [row["ratings"] for row in found][:2] == [1, 2]
        assert set(found[0]) == {"ratings", "users", "rmse", "item_mean", "item_and_user_mean", "p", "better"}
    assert predicted_values(fit("ease", cut), cut) == {}
    last = split(data, ratios=(0.8, 0.0, 0.2))
    assert predicted_values(fit("vbmf", last, epochs=2), last) == {}


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_figure_has_numbered_axes_and_both_panels(tmp_path, suffix):
    table, cut = ratings_of()
    targets = Histories.of([list(range(10))], [list(range(1, 11))])
    bins = calibration(np.arange(10.0), targets, rng(), samples=100)
    path = tmp_path / f"figure.{suffix}"
    draw_calibration(bins, path, "by hand", by_length_of_history(oracle(table), cut, rng(), lengths=[1, 2]))
    assert path.stat().st_size > 5000
