"""evaluate() on logs with a known answer, and its intervals against scipy's."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from matinee.catalogue import Catalogue
from matinee.config import EvaluationConfig, FilterConfig, SplitConfig, configure
from matinee.data.filters import apply_filters
from matinee.data.loading import load
from matinee.data.splits import split
from matinee.errors import MatineeError
from matinee.evaluation.bootstrap import Exposures, intervals, percentiles, resample, resampled_means
from matinee.evaluation.evaluate import evaluate, peak_memory_mb, validation
from matinee.evaluation.metrics import PerUser
from matinee.evaluation.segments import (
    Lists,
    by_activity,
    by_decile,
    by_era,
    by_genre,
    by_history,
    by_popularity,
    popularity_classes,
)
from matinee.evaluation.task import Task
from matinee.histories import Histories
from matinee.models import create
from matinee.training.run import Run
from toy_tasks import oracle, split_of


def rng():
    return np.random.default_rng(0)


TRAIN_ROWS = [(0, 0), (0, 1), (1, 0), (1, 2), (2, 0), (2, 1), (3, 1)]
TEST_ROWS = [(0, 2), (1, 1), (1, 4), (3, 3)]


def test_popularity_by_hand():
    # popularity 3, 3, 1, 0, 0. Lists without seen items: user 0 [2, 3], 1 [1, 3], 3 [0, 2]; user 2 has no target
    split = split_of(TRAIN_ROWS, test=TEST_ROWS)
    model = create("popularity").fit(split.training(), Run.seeded(1))
    report = evaluate(model, split, EvaluationConfig(k=(2, 3)), rng=rng())
    means = {name: interval.mean for name, interval in report.metrics.items()}
    assert (report.users, report.users_without_targets, report.targets) == (3, 1, 4)
    assert means["recall@2"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert means["recall@3"] == pytest.approx(1.0)
    assert means["ndcg@2"] == pytest.approx((1 + 0.6131471927654584 + 0) / 3)
    assert means["precision@2"] == pytest.approx((0.5 + 0.5 + 0) / 3)
    assert means["mrr@3"] == pytest.approx((1 + 1 + 1 / 3) / 3)
    assert means["map@3"] == pytest.approx((1 + (1 + 2 / 3) / 2 + 1 / 3) / 3)
    assert means["coverage@2"] == pytest.approx(4 / 5)
    assert means["gini@2"] == pytest.approx(1 / 3)  # listed 0, 1, 1, 2, 2 times: (-2 + 0 + 4 + 8) / (5 * 6)
    # four training users: 1 of 4 has item 2, nobody 3 (counts as 1), 3 of 4 have 0 and 1
    often, once = -np.log2(3 / 4), 2.0
    assert means["novelty@2"] == pytest.approx(np.mean([once + once, often + once, often + once]) / 2)
    assert means["diversity@2"] == 0  # all of one genre


def test_an_oracle_is_perfect_and_its_interval_has_no_width():
    split = split_of(TRAIN_ROWS, test=TEST_ROWS)
    table = np.zeros((4, 5))
    for user, item in TEST_ROWS:
        table[user, item] = 1
    report = evaluate(oracle(table), split, EvaluationConfig(k=(1, 2)), rng=rng())
    for name in ("ndcg@2", "recall@2", "recall-capped@1", "hit-rate@1", "mrr@1"):
        interval = report.metrics[name]
        assert (interval.mean, interval.low, interval.high) == (1, 1, 1), name
    assert report.metrics["rmse"].mean == 0
    assert report.metrics["mae"].mean == 0


def test_value_errors_are_measured_on_target_events():
    split = split_of(TRAIN_ROWS, test=[(0, 2, 4.0), (1, 1, 2.0), (1, 4, 5.0)])
    report = evaluate(oracle(np.full((4, 5), 3.0)), split, EvaluationConfig(k=(1,)), rng=rng())
    assert report.metrics["rmse"].mean == pytest.approx(2**0.5)  # errors 1, 1, 2
    assert report.metrics["mae"].mean == pytest.approx(4 / 3)
    assert report.metrics["rmse"].low <= report.metrics["rmse"].mean <= report.metrics["rmse"].high


def test_models_that_do_not_predict_values_have_no_rmse():
    split = split_of(TRAIN_ROWS, test=TEST_ROWS)
    model = create("popularity").fit(split.training(), Run.seeded(1))
    assert "rmse" not in evaluate(model, split, rng=rng()).metrics


@pytest.mark.parametrize("inputs", ["train", "train+valid"])
def test_valid_items_are_masked_at_test_whether_inputs_or_not(inputs):
    split = split_of([(0, 0)], valid=[(0, 1)], test=[(0, 2)])
    task = Task.of(split, EvaluationConfig(inputs=inputs))
    assert task.histories.items.tolist() == ([0] if inputs == "train" else [0, 1])
    # the valid item has the highest score; unmasked, it would push the target to rank 2
    report = evaluate(oracle([[0, 9, 5, 1, 1]]), split, EvaluationConfig(k=(1,), inputs=inputs), rng=rng())
    assert report.metrics["hit-rate@1"].mean == 1


def test_targets_seen_before_are_left_out_and_counted():
    # user 0 watches item 0 again, and 3 twice; user 1 only watches again, and has no new target
    split = split_of([(0, 0), (1, 1)], test=[(0, 0), (0, 3, 2.0), (0, 3, 5.0), (1, 1)])
    task = Task.of(split, EvaluationConfig())
    assert task.user_rows.tolist() == [0]
    assert task.targets.items.tolist() == [3]
    assert task.targets.values.tolist() == [5.0]
    report = evaluate(oracle(np.eye(2, 5)), split, EvaluationConfig(k=(1,)), rng=rng())
    assert (report.targets, report.targets_seen_before, report.users_without_targets) == (1, 2, 1)
    assert any("2 targets left out" in note for note in report.notes())


def test_a_target_that_is_masked_without_being_an_input_is_left_out_too():
    split = split_of([(0, 0)], valid=[(0, 1)], test=[(0, 1), (0, 2)])
    task = Task.of(split, EvaluationConfig(inputs="train"))
    assert (task.targets.items.tolist(), task.n_seen) == ([2], 1)


@pytest.fixture(scope="module")
def protocol_a(shared_data):
    data = load(shared_data("movielens-small-2016-01"))
    filters = FilterConfig(min_user_events=30, min_item_events=10, filter_order="fixed-point")
    return split(apply_filters(data, filters, rng=rng()), SplitConfig())


@pytest.mark.parametrize(
    ("inputs", "refit", "recall", "ndcg"),
    [
        ("train", "train", 0.1674, 0.3391),
        ("train+valid", "train", 0.1717, 0.3437),
        ("train+valid", "train+valid", 0.1788, 0.3567),
    ],
)
def test_ease_on_real_data_gives_the_scores_of_an_independent_measurement(protocol_a, inputs, refit, recall, ndcg):
    model = create("ease", l2=200).fit(protocol_a.training(refit), Run.seeded(42))
    report = evaluate(model, protocol_a, EvaluationConfig(inputs=inputs, refit=refit), rng=rng())
    assert report.users == 529
    assert report.metrics["recall@10"].mean == pytest.approx(recall, abs=0.005)  # another split moves it by this much
    assert report.metrics["ndcg@10"].mean == pytest.approx(ndcg, abs=0.005)


def test_no_targets_are_an_error_of_one_line():
    split = split_of([(0, 0)], test=[])
    with pytest.raises(MatineeError, match="no user of data by hand has a new target in test") as error:
        evaluate(oracle([[0, 1]]), split, rng=rng())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("k", "message"),
    [((), "k = () has too few values"), ((0,), "k = 0 must be 1 or more"), ((5, -1), "k = -1 must be 1 or more")],
)
def test_impossible_list_lengths_are_an_error(k, message):
    with pytest.raises(MatineeError, match=re.escape(f"evaluation: {message}")):
        configure(EvaluationConfig, {"k": k}, "evaluation")


def random_case(n_users=60, n_items=40, seed=3):
    draw = np.random.default_rng(seed)
    rows = [(user, item) for user in range(n_users) for item in draw.permutation(n_items)[:12]]
    parts = [rows[start::3] for start in range(3)]
    return split_of(*parts, n_items=n_items), oracle(draw.random((n_users, n_items)))


def test_early_stopping_monitors_what_is_reported():
    split, model = random_case()
    report = evaluate(model, split, EvaluationConfig(k=(5, 10), on="valid"), rng=rng())
    for metric in ("ndcg@10", "recall@5"):
        assert validation(split, metric)(model) == pytest.approx(report.metrics[metric].mean, abs=1e-12)
    assert validation(split, "rmse")(model) == pytest.approx(-report.metrics["rmse"].mean)


@pytest.mark.parametrize("metric", ["coverage@10", "gini@10", "novelty@10", "diversity@10"])
def test_early_stopping_monitors_only_metrics_of_targets(metric):
    split, _ = random_case()
    with pytest.raises(MatineeError, match="ndcg@10"):
        validation(split, metric)


def test_the_same_seed_gives_the_same_report():
    split, model = random_case()
    first, second = (evaluate(model, split, rng=rng()) for _ in range(2))
    assert first.metrics == second.metrics


def test_json_has_the_promised_keys_and_no_values_per_user():
    split, model = random_case()
    report = evaluate(model, replace(split, leaks=("test: leaks",)), rng=rng(), fit_seconds=1.5)
    plain = json.loads(json.dumps(report.to_json(), allow_nan=False))
    promised = {"model", "config", "data", "split", "metrics", "users", "users_without_targets", "fit_seconds"}
    assert promised | {"rank_seconds", "peak_memory_mb", "targets", "segments"} <= set(plain)
    assert not {"user_rows", "per_user"} & set(plain)
    assert set(plain["data"]) == {"name", "users", "items", "events", "fingerprint"}
    assert plain["split"]["method"] == "random"
    assert (plain["split"]["train"], plain["split"]["valid"], plain["split"]["test"]) == (240, 240, 240)
    assert plain["split"]["leaks"] == ["test: leaks"]
    assert set(plain["metrics"]["recall@10"]) == {"mean", "low", "high"}
    assert plain["fit_seconds"] == 1.5


def test_nan_is_null_in_json():
    split, model = random_case()
    report = evaluate(model, split, EvaluationConfig(k=(1,)), rng=rng())
    assert np.isnan(report.metrics["diversity@1"].mean)
    assert report.to_json()["metrics"]["diversity@1"] == {"mean": None, "low": None, "high": None}


def test_a_report_renders_as_text_and_html():
    split, model = random_case()
    report = evaluate(model, split, EvaluationConfig(k=(5, 10)), rng=rng())
    ndcg = report.metrics["ndcg@10"]
    cell = f"{ndcg.mean:.4f} ({ndcg.low:.4f}–{ndcg.high:.4f})"
    assert cell in next(line for line in report.table().splitlines() if line.startswith("ndcg"))
    html = replace(report, model="<b>")._repr_html_()
    assert cell in html
    assert "&lt;b&gt;" in html
    assert "<b>" not in html


def test_peak_memory_is_that_of_a_python_process():
    assert 20 < peak_memory_mb() < 100_000


def test_resampling_draws_users_uniformly_and_as_many_as_there_are():
    counts = np.concatenate(list(resample(50, 4000, rng(), width=100_000)))
    assert counts.shape == (4000, 50)
    assert (counts.sum(axis=1) == 50).all()
    assert np.allclose(counts.mean(axis=0), 1, atol=0.08)
    assert counts.var() == pytest.approx(0.98, abs=0.02)  # binomial(50, 1/50)


def test_intervals_equal_those_of_scipy():
    values = np.random.default_rng(5).beta(0.6, 2, size=400)
    items = np.zeros((400, 1), dtype=np.int32)
    ours = intervals({"ndcg@10": PerUser(values)}, Exposures(items, 3, [1]), 20_000, rng())["ndcg@10"]
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=rng())
    width = ours.high - ours.low
    assert ours.mean == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.03 * width)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.03 * width)


def test_intervals_cover_the_true_mean_at_their_confidence():
    draw = np.random.default_rng(6)
    covered = 0
    for _ in range(400):
        draws = np.concatenate(
            [resampled_means(c, [PerUser(draw.beta(2, 3, size=100))]) for c in resample(100, 500, draw)]
        )
        interval = percentiles(0, draws[:, 0])
        covered += interval.low <= 0.4 <= interval.high
    assert 0.91 < covered / 400 < 0.98


def test_resampled_means_skip_users_without_a_value_and_weight_events():
    counts = np.array([[1.0, 1, 1], [0, 3, 0], [2, 0, 1]])
    plain = PerUser(np.array([1.0, np.nan, 4.0]))
    rooted = PerUser(np.array([1.0, np.nan, 4.0]), np.array([3.0, 0.0, 1.0]), root=True)
    means = resampled_means(counts, [plain, rooted])
    np.testing.assert_allclose(means[:, 0], [2.5, np.nan, 2.0])
    np.testing.assert_allclose(means[:, 1], [(7 / 4) ** 0.5, np.nan, (10 / 7) ** 0.5])


def test_the_interval_of_coverage_contains_it():
    draw = np.random.default_rng(7)
    items = np.array([draw.choice(500, 5, replace=False) for _ in range(150)], dtype=np.int32)
    lists = Exposures(items, 500, [5])
    found = intervals({"x": PerUser(np.ones(150))}, lists, 1000, rng())
    raw = np.concatenate([lists.resampled(counts) for counts in resample(150, 1000, rng(), 500)])
    assert raw[:, 0].max() < found["coverage@5"].mean  # without the shift its interval would not contain it
    for name in ("coverage@5", "gini@5"):
        assert found[name].low < found[name].mean < found[name].high


def test_quarters_of_users_keep_equal_lengths_together():
    lengths = np.array([1, 1, 1, 2, 3, 4, 9, 9])
    segments = by_activity(lengths, {"recall@5": PerUser(np.arange(8.0))})
    assert [segment.size for segment in segments] == [3, 1, 2, 2]
    assert [segment.metrics["recall@5"] for segment in segments] == [1, 3, 4.5, 6.5]
    assert segments[-1].about == "9 to 9 events of input"
    assert [segment.size for segment in by_activity(np.arange(40), {})] == [10, 10, 10, 10]


def test_popularity_classes_by_hand():
    # item 2 has 10 of 20 events, half; 6 more reach 80%; the rest is tail
    assert popularity_classes(np.array([6, 1, 10, 2, 1, 0])).tolist() == [1, 2, 0, 2, 2, 2]


def test_recall_by_popularity_by_hand():
    targets = Histories.of([[0, 3], [1, 4], [0]])
    items = np.array([[0, 4, 3], [4, 2, -1], [3, 4, 0]], dtype=np.int32)
    hits = np.array([[1, 0, 1], [1, 0, 0], [0, 0, 1]], dtype=bool)
    head, mid, tail = by_popularity(Lists(items, hits, targets, [1, 3]), np.array([50, 30, 0, 15, 5]))
    assert (head.size, mid.size, tail.size) == (1, 1, 3)
    assert head.metrics == {"recall@1": 0.5, "recall@3": 1.0}  # users 0 and 2
    assert mid.metrics == {"recall@1": 0.0, "recall@3": 0.0}  # user 1
    assert tail.metrics == {"recall@1": 0.5, "recall@3": 1.0}  # users 0 and 1


def test_histories_have_the_same_bounds_whatever_the_data():
    segments = by_history(np.array([0, 5, 6, 20, 101, 7000]), {"ndcg@5": PerUser(np.arange(6.0))})
    assert [(each.name, each.size, each.metrics["ndcg@5"]) for each in segments] == [
        ("new", 2, 0.5),
        ("short", 2, 2.5),
        ("long", 2, 4.5),
    ]


def test_recall_by_decile_genre_and_era_by_hand():
    targets = Histories.of([[0, 3], [1, 4], [0]])
    items = np.array([[0, 4, 3], [4, 2, -1], [3, 4, 0]], dtype=np.int32)
    hits = np.array([[1, 0, 1], [1, 0, 0], [0, 0, 1]], dtype=bool)
    lists = Lists(items, hits, targets, [1, 3])
    catalogue = Catalogue.of(
        ["A (1994)", "B (1999)", "C", "D (2003)", "E (2001)"], [["War"], ["War", "Noir"], [], ["Noir"], ["Noir"]]
    )
    noir, war = by_genre(lists, catalogue)
    assert (noir.name, noir.size, noir.metrics) == ("Noir", 3, {"recall@1": 0.25, "recall@3": 0.75})  # users 0, 1
    assert (war.name, war.size) == ("War", 2)
    assert war.metrics == pytest.approx({"recall@1": 1 / 3, "recall@3": 2 / 3})  # users 0, 1, 2
    nineties, noughties = by_era(lists, catalogue)
    assert (nineties.name, noughties.name) == ("1990s", "2000s")
    assert nineties.metrics == pytest.approx({"recall@1": 1 / 3, "recall@3": 2 / 3})
    assert noughties.metrics == {"recall@1": 0.5, "recall@3": 1.0}
    assert by_era(lists, Catalogue.of(list("ABCDE"))) == by_genre(lists, Catalogue.of(list("ABCDE"))) == []
    deciles = by_decile(lists, np.array([50, 30, 0, 15, 5]))
    assert [segment.size for segment in deciles] == [1, 0, 0, 0, 0, 1, 0, 0, 1, 2]  # 0-50%, 50-80%, 80-95%, the rest
    assert deciles[0].metrics["recall@3"] == 1.0
    assert np.isnan(deciles[1].metrics["recall@3"])
