"""compare(): Holm's correction by hand, calibrated p-values, and verdicts on known differences."""

import json
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from matinee.errors import MatineeError
from matinee.evaluation.bootstrap import Interval, resample, resampled_means
from matinee.evaluation.comparison import compare, labels
from matinee.evaluation.metrics import PerUser
from matinee.evaluation.report import Report
from matinee.evaluation.seeds import over_seeds, seed_noise
from matinee.evaluation.segments import Segment
from matinee.evaluation.significance import differing, holm, paired_p, permutation_p, tied_groups
from matinee.report.plots import draw_comparison
from matinee.report.tables import comparison_table, format_p, report_table, segment_table


def report_of(model, values, metric="ndcg@10", **config):
    """A report as evaluate() makes it, with given values per user."""
    measured = PerUser(np.asarray(values, dtype=float))
    margin = 2 * measured.values.std() / len(measured.values) ** 0.5
    flat = Interval(0.25, 0.2, 0.3)
    return Report(
        model=model,
        config=config,
        data={"name": "by hand", "users": len(values), "items": 9, "events": 99, "fingerprint": "00ff"},
        split={"method": "random", "ratios": [0.7, 0.15, 0.15], "leaks": []},
        value_map={"map": "unary"},
        evaluation={"k": [10], "on": "test", "inputs": "train+valid", "refit": "train", "samples": 1000},
        metrics={
            metric: Interval(measured.mean, measured.mean - margin, measured.mean + margin),
            "recall@10": flat,
            "coverage@10": flat,
        },
        users=len(values),
        users_without_targets=0,
        targets=99,
        targets_seen_before=0,
        rank_seconds=0.5,
        fit_seconds=None if model == "popularity" else 1.25,
        segments=(Segment("users", "least active quarter", 5, "1 to 3 events of input", {"ndcg@10": 0.5}),),
        user_rows=np.arange(len(values)),
        per_user={metric: measured},
    )


def rng():
    return np.random.default_rng(0)


@pytest.fixture
def three():
    """The best, one that differs from it by noise alone, and one that is worse for nearly all users."""
    draw = np.random.default_rng(8)
    best = draw.beta(2, 3, 300)
    noise = draw.normal(0, 0.1, 300)
    return [
        report_of("popularity", best - 0.1 + draw.normal(0, 0.1, 300)),
        report_of("ease", best + 0.004, l2=200.0),
        report_of("ease", best + noise - noise.mean(), l2=1e4),
    ]


def test_holm_by_hand():
    # sorted: .005 * 4, .01 * 3, .03 * 2, .04 * 1 -> .02, .03, .06, and no less than the one before: .06
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm(np.array([0.4, 0.9])), [0.8, 0.9])
    np.testing.assert_allclose(holm(np.array([0.7, 0.9])), [1.0, 1.0])
    assert holm(np.zeros(0)).tolist() == []


def test_p_by_hand():
    draws = np.array([[1.0, 0, -1], [2, 0, -1], [3, 0, -1], [-1, 0, -1]])
    # rarer side of 0: 1, 4 and 0 of 4 resamples
    np.testing.assert_allclose(paired_p(draws), [2 * 2 / 5, 1, 2 * 1 / 5])


def test_equal_models_differ_significantly_at_the_rate_alpha():
    draw = np.random.default_rng(9)
    n_users, trials = 150, 1000
    # skewed differences around 0, one column per trial
    differences = draw.exponential(size=(n_users, trials)) - draw.exponential(size=(n_users, trials))
    measured = [PerUser(column) for column in differences.T]
    draws = np.concatenate([resampled_means(counts, measured) for counts in resample(n_users, 2000, draw)])
    p = paired_p(draws)
    for alpha in (0.05, 0.2, 0.5):
        expected = stats.binom(trials, alpha)
        assert expected.ppf(0.0005) <= (p <= alpha).sum() <= expected.ppf(0.9995) + 0.01 * trials


def test_p_agrees_with_the_paired_t_test_on_normal_differences():
    differences = np.random.default_rng(10).normal(0.02, 0.2, 400)
    draws = np.concatenate([resampled_means(counts, [PerUser(differences)]) for counts in resample(400, 20_000, rng())])
    assert paired_p(draws)[0] == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.015)


def test_verdicts(three):
    comparison = compare(three, rng=rng())
    assert [row.verdict for row in comparison.rows] == ["best", "tied", "worse"]
    assert [row.label for row in comparison.rows] == ["ease (l2=200)", "ease (l2=10000)", "popularity"]
    assert [report.model for report in comparison.reports] == ["ease", "ease", "popularity"]
    best, tied, worse = comparison.rows
    assert (best.difference, best.p) == (Interval(0, 0, 0), 1.0)
    assert tied.difference.low < 0 < tied.difference.high
    assert worse.difference.high < 0
    assert worse.difference.mean == pytest.approx(three[0].per_user["ndcg@10"].mean - best.score.mean)
    assert worse.p <= worse.p_adjusted < 0.001


def test_pairing_finds_a_difference_despite_overlapping_intervals():
    users = np.random.default_rng(12).beta(1, 1, 200)
    first, second = report_of("a", users + 0.01), report_of("b", users)
    comparison = compare([second, first], rng=rng())
    assert first.metrics["ndcg@10"].low < second.metrics["ndcg@10"].high  # the intervals overlap
    assert [(row.label, row.verdict) for row in comparison.rows] == [("a", "best"), ("b", "worse")]


def test_the_same_model_twice_is_a_tie(three):
    comparison = compare([three[1], three[1]], rng=rng())
    assert [(row.verdict, row.p_adjusted) for row in comparison.rows] == [("best", 1.0), ("tied", 1.0)]


def test_the_smallest_error_is_the_best():
    base = np.random.default_rng(13).random(100)
    low, high = report_of("low", base, "rmse"), report_of("high", base + 0.5, "rmse")
    comparison = compare([high, low], "rmse", rng=rng())
    assert [row.label for row in comparison.rows] == ["low", "high"]
    assert comparison.rows[1].verdict == "worse"
    assert comparison.rows[1].difference.mean == pytest.approx(-0.5)


def test_one_report_alone_is_the_best(three):
    assert [row.verdict for row in compare(three[:1], rng=rng()).rows] == ["best"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user_rows": np.arange(1, 301)}, "different users"),
        ({"evaluation": {"on": "valid", "inputs": "train", "refit": "train"}}, "different users"),
        ({"split": {"method": "random", "ratios": [0.8, 0.1, 0.1], "leaks": []}}, "different splits"),
        ({"data": {"name": "by hand", "fingerprint": "ff00"}}, "different data"),
    ],
)
def test_what_cannot_be_paired_is_an_error(three, change, message):
    with pytest.raises(MatineeError, match=message) as error:
        compare([three[0], replace(three[1], **change)], rng=rng())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("ndgc@10", "did you mean 'ndcg'"),
        ("ndcg@11", "did you mean 'ndcg@10'"),
        ("coverage@10", "no value per user"),
    ],
)
def test_a_metric_without_values_per_user_is_an_error(three, metric, message):
    with pytest.raises(MatineeError, match=message):
        compare(three, metric, rng=rng())


def test_no_reports_are_an_error():
    with pytest.raises(MatineeError, match="no reports to compare"):
        compare([], rng=rng())


def test_labels_name_what_differs(three):
    refit = replace(three[1], evaluation=three[1].evaluation | {"refit": "train+valid"})
    assert labels([three[1], refit]) == ["ease (refit=train)", "ease (refit=train+valid)"]
    assert labels(three[:2]) == ["popularity", "ease"]
    assert labels([three[1], three[0], three[1]]) == ["ease #1", "popularity", "ease #2"]


def test_json_is_plain(three):
    plain = json.loads(json.dumps(compare(three, rng=rng()).to_json(), allow_nan=False))
    assert [row["verdict"] for row in plain["models"]] == ["best", "tied", "worse"]
    assert plain["models"][0]["score"]["mean"] == plain["reports"][0]["metrics"]["ndcg@10"]["mean"]


def drawn(table, width=120):
    paper = StringIO()
    Console(width=width, file=paper).print(table)
    return paper.getvalue()


def test_tables_show_scores_intervals_and_verdicts(three):
    comparison = compare(three, rng=rng())
    text = drawn(comparison_table(comparison))
    for row in comparison.rows:
        assert f"{row.score.mean:.4f}" in text
        assert f"{row.score.low:.4f}–{row.score.high:.4f}" in text
        assert row.verdict in text
    assert f"{comparison.rows[2].difference.low:+.4f}, {comparison.rows[2].difference.high:+.4f}" in text
    assert "< 0.001" in text
    report = drawn(report_table(three[1]))
    assert "fitted in 1.25 s, ranked in 0.50 s" in report
    assert "0.2500 (0.2000–0.3000)" in report
    assert "least active quarter" in drawn(segment_table(three[1], 10))


def test_p_values_for_people():
    assert (format_p(0.0004), format_p(0.0314)) == ("< 0.001", "0.031")


def test_the_plot_names_every_model(three, tmp_path):
    draw_comparison(compare(three, rng=rng()), tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    draw_comparison(compare(three, rng=rng()), tmp_path / "figure.svg")
    drawing = (tmp_path / "figure.svg").read_text()
    for text in ("ease (l2=200)", "popularity", "recall@10", "coverage@10"):
        assert f"<!-- {text}" in drawing


def test_permutation_p_is_that_of_all_exchanges():
    draw = np.random.default_rng(3)
    one, other = draw.normal(0.3, 0.2, 9), draw.normal(0.15, 0.2, 9)
    weights = draw.integers(1, 5, 9).astype(float)
    for root in (False, True):
        measured = [PerUser(one**2, weights, root), PerUser(other**2, weights, root)]
        differences = []
        for pattern in range(2**9):
            swap = np.array([pattern >> bit & 1 for bit in range(9)], dtype=bool)
            mine, its = np.where(swap, other, one) ** 2, np.where(swap, one, other) ** 2
            means = [PerUser(values, weights, root).mean for values in (mine, its)]
            differences.append(abs(means[0] - means[1]))
        exact = np.mean(np.array(differences) >= differences[0] - 1e-12)
        assert permutation_p(measured, 0, 40_000, rng())[1] == pytest.approx(exact, abs=0.01)


def test_permutation_p_agrees_with_scipy():
    draw = np.random.default_rng(5)
    one, other = draw.normal(0.30, 0.2, 80), draw.normal(0.27, 0.2, 80)
    expected = stats.permutation_test(
        (one, other), lambda a, b: (a - b).mean(), permutation_type="samples", n_resamples=20_000, rng=rng()
    ).pvalue
    assert permutation_p([PerUser(one), PerUser(other)], 0, 20_000, rng())[1] == pytest.approx(expected, abs=0.015)


@pytest.mark.parametrize(
    ("pairs", "letters"),
    [
        ([], ["a", "a", "a", "a"]),
        ([(0, 3)], ["a", "ab", "ab", "b"]),
        ([(0, 1), (0, 2), (0, 3)], ["a", "b", "b", "b"]),
        ([(0, 2), (0, 3), (1, 3)], ["a", "ab", "bc", "c"]),
        ([(a, b) for a in range(4) for b in range(a)], ["a", "b", "c", "d"]),
        ([(0, 1), (2, 3)], ["ab", "cd", "ac", "bd"]),
    ],
)
def test_models_share_a_letter_exactly_if_they_do_not_differ(pairs, letters):
    differ = np.zeros((4, 4), dtype=bool)
    for one, other in pairs:
        differ[one, other] = differ[other, one] = True
    found = tied_groups(differ)
    shared = [[bool(set(a) & set(b)) for b in found] for a in found]
    np.testing.assert_array_equal(~differ, shared)
    assert sorted(map(len, found)) == sorted(map(len, letters))


def test_one_pair_differs_as_its_interval_says():
    draw = rng().normal(0.0, 1.0, (4000, 1))
    for gap in (0.0, 1.5, 1.9, 2.1, 3.0):
        assert differing(np.hstack([draw + gap, 0 * draw]), 0.05)[0, 1] == (gap > 1.96)
    same = np.hstack([draw, draw, draw + 1])  # always apart, or never
    np.testing.assert_array_equal(differing(same, 0.05), [[0, 0, 1], [0, 0, 1], [1, 1, 0]])
    assert differing(draw, 0.05).shape == (1, 1)


def test_many_models_that_are_far_apart_differ():
    """276 pairs: the smallest p-value of 10,000 resamples, 2 / 10,001, is not below .05 after correction for them."""
    draws = rng().normal(0.0, 0.01, (10_000, 24)) + np.repeat([0.3, 0.1], 12)
    expected = np.zeros((24, 24), dtype=bool)
    expected[:12, 12:] = expected[12:, :12] = True
    np.testing.assert_array_equal(differing(draws, 0.05), expected)


def test_equal_models_differ_at_most_once_in_twenty_comparisons():
    """Users of 8 equal models, and the resamples of their means: normal around the measured means."""
    draw, wrong = rng(), 0
    for _ in range(100):
        measured = draw.normal(0.0, 1.0, 8)
        wrong += differing(measured + draw.normal(0.0, 1.0, (1000, 8)), 0.05).any()
    assert wrong <= 11


def test_the_error_of_seeds_widens_a_difference():
    """Ten users separate two means of .30 and .29 surely, but seeds that vary by .02 do not."""
    base = np.linspace(0.2, 0.4, 60)
    model = [report_of("bpr", base + shift) for shift in (0.02, -0.02, 0.0)]
    found = over_seeds(model, [1, 2, 3], rng())
    other = report_of("ease", base - 0.01)
    assert compare([model[2], other], rng=rng()).rows[1].verdict == "worse"
    assert compare([found, other], rng=rng()).rows[1].verdict == "tied"
    assert found.metrics["ndcg@10"].mean == pytest.approx(base.mean())
    assert [row["seed"] for row in found.seeds] == [1, 2, 3]
    noise = seed_noise(found, "ndcg@10", 100_000, rng())
    t, error = stats.t(2), 0.02 / 3**0.5
    assert np.quantile(noise, 0.975) == pytest.approx(error * t.ppf(0.975), rel=0.05)
    assert not seed_noise(other, "ndcg@10", 10, rng()).any()


def test_two_fits_of_one_model_are_tied_however_far_apart_their_seeds_took_them():
    """Every user is better off with one of them, but it is the same model: the gap says what a seed does."""
    base = np.linspace(0.2, 0.4, 60)
    unknown = [report_of("bpr", base + 0.002, dim=8), report_of("bpr", base, dim=8)]
    copies = [over_seeds([report], [seed], rng()) for seed, report in enumerate(unknown)]
    assert [row.verdict for row in compare(copies, rng=rng()).rows] == ["best", "tied"]
    for seeds in ([3, 3], [None, None], [1, None]):  # what else they differ by may be anything
        given = [over_seeds([each], [seed], rng()) if seed else each for each, seed in zip(unknown, seeds, strict=True)]
        assert [row.verdict for row in compare(given, rng=rng()).rows] == ["best", "worse"]
    other = [copies[0], over_seeds([report_of("bpr", base, dim=9)], [1], rng())]
    assert [row.verdict for row in compare(other, rng=rng()).rows] == ["best", "worse"]
    far = compare([*copies, report_of("popularity", base - 0.15)], rng=rng(), samples=20_000)
    assert [row.verdict for row in far.rows] == ["best", "tied", "worse"]


def test_seeds_that_make_no_difference_add_no_error():
    base = np.linspace(0.2, 0.4, 60)
    found = over_seeds([report_of("ease", base)] * 2, [1, 2], rng())
    assert not seed_noise(found, "ndcg@10", 10, rng()).any()
