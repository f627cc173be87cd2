"""Metrics of liking: hand-worked cases, plain loops, other scales, and what is refused."""

import json
from math import log2

import numpy as np
import pytest

from matinee.config import EvaluationConfig
from matinee.errors import MatineeError
from matinee.evaluation.comparison import compare
from matinee.evaluation.evaluate import evaluate, validation
from matinee.evaluation.liking import Scale, measure_liking, ndcg_of_gains, scale_of
from matinee.histories import Histories
from toy_tasks import oracle, split_of

STARS = Scale(0.0, 5.0, 4.0, 2.0)
UNKNOWN = -1


def rng():
    return np.random.default_rng(0)


def measured(items, targets, values, ks, scale=STARS, n_items=10):
    """name@k -> a value per user, as a list."""
    found = measure_liking(np.array(items), Histories.of(targets, values), scale, n_items, ks)
    return {name: value.tolist() for name, value in found.items()}


def test_one_user_by_hand():
    # item 0 has 5 stars at rank 1, item 1 has 1 star at rank 3; item 2, with 4 stars, is not listed
    found = measured([[0, 9, 1]], [[0, 1, 2]], [[5, 1, 4]], [3])
    assert found["liked-ndcg@3"] == pytest.approx([1 / (1 + 1 / log2(3))])
    assert found["disliked-ndcg@3"] == pytest.approx([(1 / 2) / 1])
    # gains 31, 1 and 15: listed 31 at rank 1 and 1 at rank 3; the best list is 31, 15, 1
    assert found["graded-ndcg@3"] == pytest.approx([(31 + 1 / 2) / (31 + 15 / log2(3) + 1 / 2)])
    assert found["disliked@3"] == pytest.approx([1 / 3])


def test_half_stars_by_hand():
    found = measured([[0, 1]], [[0, 1]], [[4.5, 2.5]], [2])
    assert found["graded-ndcg@2"] == [1.0]
    assert found["disliked@2"] == [0.0]
    assert np.isnan(found["disliked-ndcg@2"][0])  # 2.5 is neither
    swapped = measured([[1, 0]], [[0, 1]], [[4.5, 2.5]], [2])
    high, low = 2**4.5 - 1, 2**2.5 - 1
    assert swapped["graded-ndcg@2"] == pytest.approx([(low + high / log2(3)) / (high + low / log2(3))])


def test_a_user_who_disliked_every_target_has_no_liked_ndcg_and_a_full_disliked_share():
    found = measured([[3, 4]], [[3, 4]], [[1, 2]], [2])
    assert np.isnan(found["liked-ndcg@2"][0])
    assert found["disliked-ndcg@2"] == [1.0]
    assert found["disliked@2"] == [1.0]


def test_missing_ranks_of_a_short_list_are_neither_liked_nor_disliked():
    found = measured([[3, UNKNOWN, UNKNOWN]], [[3]], [[1]], [1, 2, 5])
    assert [found[f"disliked@{k}"][0] for k in (1, 2, 5)] == [1.0, 0.5, 0.2]
    assert found["disliked-ndcg@5"] == [1.0]


def test_a_user_without_targets_has_no_value():
    found = measured([[3], [3]], [[], [3]], [[], [5]], [1])
    for name, (without, _) in found.items():
        assert np.isnan(without), name


def test_every_value_equals_a_plain_loop():
    draw = np.random.default_rng(3)
    items = np.array([draw.permutation(30)[:8] for _ in range(40)])
    items[draw.random(40) < 0.2, 5:] = UNKNOWN
    targets = [draw.choice(30, draw.integers(0, 12), replace=False).tolist() for _ in items]
    values = [(draw.integers(1, 11, len(row)) / 2).tolist() for row in targets]
    found = measured(items, targets, values, [1, 5, 8], n_items=30)
    gains = {
        "liked-ndcg": lambda value: float(value >= 4),
        "disliked-ndcg": lambda value: float(value <= 2),
        "graded-ndcg": lambda value: 2**value - 1,
    }
    for k in (1, 5, 8):
        for user, row in enumerate(items.tolist()):
            of = dict(zip(targets[user], values[user], strict=True))
            for name, gain in gains.items():
                total = sum(gain(of[item]) / log2(rank + 2) for rank, item in enumerate(row[:k]) if item in of)
                best = sorted((gain(value) for value in of.values()), reverse=True)[:k]
                ideal = sum(each / log2(rank + 2) for rank, each in enumerate(best))
                expected = total / ideal if ideal else float("nan")
                assert found[f"{name}@{k}"][user] == pytest.approx(expected, nan_ok=True), (name, k, user)
            bad = sum(of.get(item, 5) <= 2 for item in row[:k]) / k
            assert found[f"disliked@{k}"][user] == pytest.approx(bad if of else float("nan"), nan_ok=True)


def test_the_ideal_list_is_that_of_the_largest_gains():
    found = ndcg_of_gains(np.array([[3.0, 1.0]]), np.array([1.0, 3.0, 2.0]), np.array([0, 3]), [1, 2])
    assert found[1].tolist() == [1.0]
    assert found[2] == pytest.approx([(3 + 1 / log2(3)) / (3 + 2 / log2(3))])


def rated(values, **kwargs):
    """A split of one training event and one test event per value."""
    train = [(user, 0, value) for user, value in enumerate(values)]
    return split_of(train, test=[(user, 1, value) for user, value in enumerate(values)], **kwargs)


@pytest.mark.parametrize(
    ("values", "liked_from", "disliked_to"),
    [
        ([1, 2, 3, 4, 5], 4, 2),  # stars
        ([0.5, 1, 3.5, 4, 5], 4, 2),  # half stars
        ([1, 5, 8, 10], 8, 4),  # ten points
        ([20, 60, 80, 100], 80, 40),  # percent
        ([0, 1], 0.8, 0.4),  # thumbs
        ([-1, 1], 0.6, -0.2),
        ([-10, 0, 10], 6, -2),
    ],
)
def test_bounds_follow_the_scale(values, liked_from, disliked_to):
    found = scale_of(rated(values).data, EvaluationConfig())
    assert (found.liked_from, found.disliked_to) == pytest.approx((liked_from, disliked_to))
    grades = found.grades(np.array([found.floor, found.highest]))
    assert grades.tolist() == [0.0, 5.0]


@pytest.mark.parametrize("values", [[1, 7, 352_698], np.arange(1, 400) / 4, [3, 3, 3]])
def test_counts_and_equal_values_are_no_ratings(values):
    assert scale_of(rated(values).data, EvaluationConfig()) is None


def test_bounds_make_ratings_of_counts():
    found = scale_of(rated([1, 7, 352_698]).data, EvaluationConfig(liked_from=5, disliked_to=1))
    assert (found.liked_from, found.disliked_to) == (5, 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"relevant_from": 6}, "--relevant-from 6 is outside the values of data by hand, 1 to 5"),
        ({"relevant_from": 0}, "--relevant-from 0 is outside"),
        ({"liked_from": 5.5}, "--liked-from 5.5 is outside"),
        ({"disliked_to": -1}, "--disliked-to -1 is outside"),
        ({"liked_from": 2, "disliked_to": 3}, "--liked-from 2 must be more than --disliked-to 3"),
        ({"disliked_to": 4}, "--liked-from 4 must be more than --disliked-to 4"),
        ({"liked_from": 1.5}, "--liked-from 1.5 must be more than --disliked-to 2"),
    ],
)
def test_impossible_bounds_are_refused_in_one_line(settings, message):
    split = rated([1, 2, 5])
    with pytest.raises(MatineeError, match=message.replace(".", r"\.")) as error:
        evaluate(oracle(np.ones((3, 5))), split, EvaluationConfig(**settings), rng=rng())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("setting", ["relevant_from", "liked_from", "disliked_to"])
def test_bounds_on_a_log_without_ratings_are_refused(setting):
    clicks, equal = rated([1, 1], kind="click"), rated([4, 4])
    option = f"--{setting.replace('_', '-')}"
    with pytest.raises(MatineeError, match=f"{option}: data by hand has no ratings, only who chose what"):
        scale_of(clicks.data, EvaluationConfig(**{setting: 1}))
    with pytest.raises(MatineeError, match=f"{option}: every event of data by hand has the value 4"):
        scale_of(equal.data, EvaluationConfig(**{setting: 4}))


def ratings():
    """Three users; the test part has liked, middling and disliked targets, and user 2 disliked all of theirs."""
    train = [(0, 0, 5.0), (1, 0, 3.0), (2, 0, 0.5)]
    return split_of(train, test=[(0, 1, 5.0), (0, 2, 1.0), (1, 3, 3.5), (1, 4, 4.0), (2, 1, 1.0), (2, 4, 2.0)])


TABLE = np.array([[0, 1, 9, 0, 0], [0, 0, 0, 8, 7], [0, 9, 0, 0, 8]])
"""Item 2 first and then 1 for user 0, 3 and 4 for user 1, 1 and 4 for user 2."""


def test_a_report_has_liking_beside_the_other_metrics():
    report = evaluate(oracle(TABLE), ratings(), EvaluationConfig(k=(1, 2)), rng=rng())
    assert report.metrics["ndcg@2"].mean == 1.0
    assert report.metrics["liked-ndcg@1"].mean == 0.0
    assert report.metrics["liked-ndcg@2"].mean == pytest.approx(1 / log2(3))  # users 0 and 1, both at rank 2
    assert report.metrics["disliked-ndcg@1"].mean == 1.0  # users 0 and 2
    assert report.metrics["disliked@1"].mean == pytest.approx(2 / 3)
    assert report.metrics["disliked@2"].mean == pytest.approx((1 / 2 + 0 + 1) / 3)
    assert report.liking["users"] == {"liked": 2, "disliked": 2}
    assert "liked: 4 and more (2 users have such a target); disliked: 2 and less (2 users)" in report.notes()
    plain = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert plain["liking"] == {
        "floor": 0.0, "highest": 5.0, "liked_from": 4.0, "disliked_to": 2.0, "users": {"liked": 2, "disliked": 2},
    }  # fmt: skip
    assert plain["targets_below"] == 0


def test_with_relevant_from_the_other_targets_are_misses_and_users_without_one_are_left_out():
    report = evaluate(oracle(TABLE), ratings(), EvaluationConfig(k=(1, 2), relevant_from=4), rng=rng())
    assert (report.users, report.users_without_targets) == (2, 1)
    assert (report.targets, report.targets_below) == (2, 4)
    assert report.metrics["precision@1"].mean == 0.0  # each list has a target below 4 at rank 1: a miss
    assert report.metrics["recall@2"].mean == 1.0
    assert report.metrics["ndcg@2"].mean == report.metrics["liked-ndcg@2"].mean == pytest.approx(1 / log2(3))
    assert report.metrics["disliked@1"].mean == 0.5  # user 0's rank 1, still judged
    assert any("4 targets below 4 are not relevant" in note for note in report.notes())


def test_value_errors_are_over_all_targets_also_with_relevant_from():
    predicted = oracle(np.full((3, 5), 3.0))
    report = evaluate(predicted, ratings(), EvaluationConfig(k=(1,), relevant_from=4), rng=rng())
    assert report.metrics["mae"].mean == pytest.approx((2 + 2 + 0.5 + 1) / 4)  # of the two users that are left


def test_no_relevant_target_is_an_error_of_one_line():
    split = split_of([(0, 0, 5.0)], test=[(0, 1, 3.0)])
    with pytest.raises(MatineeError, match="no user of data by hand has a new target of value 4 or more in test"):
        evaluate(oracle(TABLE), split, EvaluationConfig(relevant_from=4), rng=rng())


def test_a_log_where_everything_was_disliked_has_no_liked_ndcg():
    split = split_of([(0, 0, 5.0), (1, 0, 4.0)], test=[(0, 1, 1.0), (1, 2, 2.0)])
    report = evaluate(oracle(TABLE), split, EvaluationConfig(k=(2,)), rng=rng())
    assert np.isnan(report.metrics["liked-ndcg@2"].mean)
    assert report.metrics["graded-ndcg@2"].mean > 0
    assert report.to_json()["metrics"]["liked-ndcg@2"] == {"mean": None, "low": None, "high": None}
    with pytest.raises(MatineeError, match="liked-ndcg@2 has no value for any user"):
        compare([report, report], "liked-ndcg@2", rng=rng())
    with pytest.raises(MatineeError, match="liked-ndcg@2 has no value for any user"):
        validation(split, "liked-ndcg@2", "test")(oracle(TABLE))


def test_a_log_of_clicks_has_no_liking():
    split = split_of([(0, 0)], test=[(0, 1)], kind="click")
    report = evaluate(oracle(TABLE), split, EvaluationConfig(k=(1,)), rng=rng())
    assert report.liking is None
    assert not any("liked" in name for name in report.metrics)


@pytest.mark.parametrize("metric", ["liked-ndcg@2", "disliked-ndcg@2", "graded-ndcg@2", "disliked@2"])
def test_early_stopping_can_monitor_it_and_more_is_better(metric):
    split = ratings()
    report = evaluate(oracle(TABLE), split, EvaluationConfig(k=(2,)), rng=rng())
    sign = -1 if metric.startswith("disliked") else 1
    assert validation(split, metric, "test")(oracle(TABLE)) == pytest.approx(sign * report.metrics[metric].mean)


def test_early_stopping_on_liking_of_clicks_is_refused_before_training():
    split = split_of([(0, 0)], test=[(0, 1)], kind="click")
    with pytest.raises(MatineeError, match="disliked@10 needs ratings, and data by hand has none"):
        validation(split, "disliked@10", "test")


def test_a_comparison_by_disliked_puts_the_lowest_first():
    split = ratings()
    kind = np.array([[0, 9, 1, 0, 0], [0, 0, 0, 7, 8], [0, 0, 9, 8, 0]])  # liked first, disliked last or never
    reports = [evaluate(oracle(table), split, EvaluationConfig(k=(1, 2)), rng=rng()) for table in (TABLE, kind)]
    found = compare(reports, "disliked@2", rng=rng())
    assert found.rows[0].score.mean < found.rows[1].score.mean
    assert found.rows[1].difference.mean < 0


def test_reports_with_other_relevant_targets_are_not_compared():
    split = ratings()
    every, liked = (
        evaluate(oracle(TABLE), split, EvaluationConfig(k=(1,), relevant_from=bound), rng=rng()) for bound in (None, 4)
    )
    with pytest.raises(MatineeError, match="different targets"):
        compare([every, liked], "ndcg@1", rng=rng())
