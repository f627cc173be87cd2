"""Every metric against numbers computed by hand."""

import numpy as np
import pytest

from matinee.errors import MatineeError
from matinee.evaluation import metrics
from matinee.evaluation.liking import Scale, measure_liking
from matinee.evaluation.list_bias import measure_bias
from matinee.evaluation.metrics import PerUser
from matinee.evaluation.new_items import MEASURED, NEW
from matinee.histories import Histories

UNKNOWN = -1


def hits_of(*lists):
    return np.array(lists, dtype=bool)


def at(measured, name):
    return measured[name].tolist()


def test_hits_are_found_in_the_lists_of_the_right_user():
    items = np.array([[4, 0, 2], [0, 4, UNKNOWN], [UNKNOWN, UNKNOWN, UNKNOWN], [3, 1, 0]], dtype=np.int32)
    starts = np.array([0, 2, 3, 3, 5])
    targets = np.array([2, 4, 0, 0, 3], dtype=np.int32)  # user 0: 2 and 4; 1: 0; 2: none; 3: 0 and 3
    hits = metrics.find_hits(items, starts, targets, n_items=5)
    assert hits.tolist() == [[True, False, True], [True, False, False], [False] * 3, [True, False, True]]


def test_an_unknown_item_does_not_hit_the_last_item_of_the_previous_user():
    items = np.array([[0], [UNKNOWN]], dtype=np.int32)
    hits = metrics.find_hits(items, np.array([0, 1, 1]), np.array([4], dtype=np.int32), n_items=5)
    assert not hits.any()


def test_no_targets_at_all_are_no_hits():
    hits = metrics.find_hits(np.array([[0, 1]]), np.array([0, 0]), np.zeros(0, dtype=np.int32), n_items=2)
    assert hits.tolist() == [[False, False]]


def test_accuracy_by_hand():
    # three targets, found at ranks 1 and 3 of five
    measured = metrics.accuracy(hits_of([1, 0, 1, 0, 0]), np.array([3]), [2, 5])
    expected = {
        "precision@2": 0.5,
        "recall@2": 1 / 3,
        "recall-capped@2": 0.5,
        "ndcg@2": 0.6131471927654584,  # 1 / (1 + 1/log2(3))
        "hit-rate@2": 1.0,
        "mrr@2": 1.0,
        "map@2": 1 / 3,
        "map-capped@2": 0.5,
        "precision@5": 0.4,
        "recall@5": 2 / 3,
        "recall-capped@5": 2 / 3,
        "ndcg@5": 0.7039180890341347,  # (1 + 1/2) / (1 + 1/log2(3) + 1/2)
        "hit-rate@5": 1.0,
        "mrr@5": 1.0,
        "map@5": 5 / 9,  # (1/1 + 2/3) / 3
        "map-capped@5": 5 / 9,
    }
    assert set(measured) == set(expected)
    for name, value in expected.items():
        assert at(measured, name) == pytest.approx([value], abs=1e-12), name


def test_a_late_first_hit():
    measured = metrics.accuracy(hits_of([0, 0, 0, 1]), np.array([1]), [3, 4])
    assert at(measured, "mrr@3") == [0.0]
    assert at(measured, "hit-rate@3") == [0.0]
    assert at(measured, "mrr@4") == [0.25]
    assert at(measured, "map@4") == [0.25]
    assert at(measured, "ndcg@4") == pytest.approx([0.43067655807339306])  # 1 / log2(5)


def test_more_targets_than_k_separate_the_variants():
    # ten targets, and both ranks are hits: the best possible list
    measured = metrics.accuracy(hits_of([1, 1]), np.array([10]), [2])
    assert at(measured, "recall@2") == [0.2]
    assert at(measured, "recall-capped@2") == [1.0]
    assert at(measured, "map@2") == [0.2]
    assert at(measured, "map-capped@2") == [1.0]
    assert at(measured, "ndcg@2") == [1.0]


def test_missing_ranks_of_a_short_list_are_misses():
    measured = metrics.accuracy(hits_of([1, 0]), np.array([1]), [5])
    assert at(measured, "precision@5") == [0.2]
    assert at(measured, "recall@5") == [1.0]


def test_a_user_without_targets_has_no_value():
    measured = metrics.accuracy(hits_of([0, 0], [1, 0]), np.array([0, 1]), [2])
    for name, values in measured.items():
        assert np.isnan(values[0]), name
        assert PerUser(values).mean == values[1], name


@pytest.mark.parametrize("ks", [[], [0], [5, -1]])
def test_list_lengths_below_one_are_refused(ks):
    with pytest.raises(ValueError, match="1 or more"):
        metrics.accuracy(hits_of([1]), np.array([1]), ks)


def test_novelty_by_hand():
    # of 8 users: item 0 with 8 (0 bits), 1 with 4 (1 bit), 2 with 1 (3 bits), 3 with no user (counts as 1)
    items = np.array([[0, 1, 2], [3, 1, UNKNOWN], [UNKNOWN] * 3])
    measured = metrics.novelty(items, np.array([8, 4, 1, 0]), 8, [1, 3])
    np.testing.assert_allclose(measured["novelty@1"], [0, 3, np.nan])
    np.testing.assert_allclose(measured["novelty@3"], [4 / 3, 2, np.nan])


def test_diversity_by_hand():
    # genres: 0 = {a, b}, 1 = {b, c}, 2 = {a, b}, 3 = none
    genres = np.array([[1, 1, 0], [0, 1, 1], [1, 1, 0], [0, 0, 0]], dtype=bool)
    items = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [3, 0, UNKNOWN], [0, UNKNOWN, UNKNOWN]])
    measured = metrics.diversity(items, genres, [1, 2, 3])
    assert np.isnan(measured["diversity@1"]).all()  # no pair
    np.testing.assert_allclose(measured["diversity@2"], [2 / 3, 0, np.nan, np.nan, np.nan])
    # pair similarities of the first list: 1/3, 1 and 1/3; item 3 is in no pair
    np.testing.assert_allclose(measured["diversity@3"], [1 - 5 / 9, 0, 2 / 3, np.nan, np.nan])


def test_diversity_with_more_genres_than_a_machine_word():
    rng = np.random.default_rng(0)
    genres = rng.random((30, 150)) < 0.1
    items = np.array([rng.choice(30, 6, replace=False) for _ in range(9)])
    expected = []
    for row in items:
        pairs = [(a, b) for rank, a in enumerate(row) for b in row[:rank]]
        similarities = [(genres[a] & genres[b]).sum() / (genres[a] | genres[b]).sum() for a, b in pairs]
        expected.append(1 - np.mean(similarities))
    np.testing.assert_allclose(metrics.diversity(items, genres, [6])["diversity@6"], expected)


def test_diversity_of_a_catalogue_without_genres_is_unknown():
    measured = metrics.diversity(np.array([[0, 1]]), np.zeros((2, 0), dtype=bool), [2])
    assert np.isnan(measured["diversity@2"]).all()


def test_coverage_and_gini_by_hand():
    exposures = metrics.exposure(np.array([[0, 1], [0, UNKNOWN], [0, 1]]), 4)
    assert exposures.tolist() == [3, 2, 0, 0]
    assert metrics.coverage(exposures) == 0.5
    # mean absolute difference over all pairs / (2 mean): (1+3+3+2+2+0) * 2 / 16 / (2 * 1.25)
    assert metrics.gini(exposures) == pytest.approx(0.55)
    assert metrics.gini(np.array([2, 2, 2])) == pytest.approx(0)
    assert metrics.gini(np.array([0, 0, 0, 7])) == pytest.approx(0.75)  # one item only: 1 - 1/I
    assert np.isnan(metrics.gini(np.zeros(3)))


def test_rmse_and_mae_are_over_events_not_users():
    # user 0: errors 1 and -1; user 1: error 3; user 2: no target
    measured = metrics.errors_of_values(
        np.array([4.0, 2.0, 5.0]), np.array([3.0, 3.0, 2.0]), starts=np.array([0, 2, 3, 3])
    )
    assert measured["rmse"].mean == pytest.approx((11 / 3) ** 0.5)
    assert measured["mae"].mean == pytest.approx(5 / 3)
    np.testing.assert_allclose(measured["mae"].values, [1, 3, np.nan])


def test_support_counts_a_user_once():
    starts, items = np.array([0, 3, 4]), np.array([2, 2, 0, 2], dtype=np.int32)
    assert metrics.support(starts, items, 4).tolist() == [1, 0, 2, 0]


def test_names_are_read_and_checked():
    assert metrics.parse_metric("recall-capped@20") == ("recall-capped", 20)
    assert metrics.parse_metric("rmse") == ("rmse", None)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ndgc@10", "did you mean 'ndcg'"),
        ("ndcg", "list length"),
        ("ndcg@0", "list length"),
        ("recall@ten", "list length"),
        ("rmse@10", "write 'rmse'"),
    ],
)
def test_a_wrong_name_says_what_is_right(name, hint):
    with pytest.raises(MatineeError, match=hint) as error:
        metrics.parse_metric(name)
    assert "\n" not in str(error.value)


def test_every_metric_is_measured_under_its_name():
    items = np.array([[0, 1]])
    measured = set(metrics.accuracy(hits_of([1, 0]), np.array([1]), [2]))
    measured |= set(metrics.novelty(items, np.array([1, 1]), 2, [2]))
    measured |= set(metrics.diversity(items, np.ones((2, 1), dtype=bool), [2]))
    measured |= set(measure_bias([Histories.of([[0]])], items, np.array([1, 1]), np.ones((2, 1), dtype=bool), [2]))
    measured |= {f"{name}@2" for name in metrics.OF_ALL_LISTS}
    judged = Histories.of([[0, 1]], [[1.0, 5.0]])
    measured |= set(measure_liking(items, judged, Scale(0.0, 5.0, 4.0, 2.0), 2, [2]))
    measured |= {f"{NEW}{name}@2" for name in MEASURED}  # of lists of new items; measured in test_content_maps.py
    measured |= set(metrics.errors_of_values(np.ones(1), np.ones(1), np.array([0, 1])))
    assert {metrics.parse_metric(name)[0] for name in measured} == set(metrics.METRICS)


def test_every_metric_has_its_heading_in_the_documentation(request):
    text = (request.config.rootpath / "docs" / "metrics.md").read_text(encoding="utf-8")
    headings = {line.lstrip("# ").strip() for line in text.splitlines() if line.startswith("### ")}
    assert not set(metrics.METRICS) - headings


def test_a_list_of_targets_only_is_perfect_in_every_metric() -> None:
    measured = metrics.accuracy(hits_of([1, 1]), np.array([2]), [1, 2])
    perfect = {name: value for name, value in measured.items() if name not in ("recall@1", "map@1")}
    assert {name for name, value in perfect.items() if value.tolist() != [1.0]} == set()
    assert measured["recall@1"].tolist() == measured["map@1"].tolist() == [0.5]


def test_a_list_length_of_1_is_the_shortest_that_a_metric_takes() -> None:
    assert metrics.parse_metric("recall@1") == ("recall", 1)
    with pytest.raises(MatineeError, match="'recall@0' needs a list length of at least 1"):
        metrics.parse_metric("recall@0")


def test_a_cutoff_beyond_the_catalogue_costs_nothing_and_changes_only_its_divisor() -> None:
    hits, relevant = hits_of([1, 0, 1], [0, 0, 1]), np.array([2, 3])
    far = metrics.accuracy(hits, relevant, [3, 10**12])
    assert far["precision@1000000000000"] == pytest.approx([2e-12, 1e-12])
    assert far["ndcg@1000000000000"] == pytest.approx(far["ndcg@3"])
    for name in ("recall", "recall-capped", "hit-rate", "mrr", "map", "map-capped"):
        assert far[f"{name}@1000000000000"] == pytest.approx(far[f"{name}@3"])
    short = metrics.accuracy(hits, np.array([5, 5]), [4])  # the ideal list has 4 hits, the lists end after 3
    assert short["ndcg@4"] == pytest.approx([(1 + 0.5) / 2.5616063, 0.5 / 2.5616063])


def test_diversity_of_long_lists_equals_the_mean_over_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    genres = rng.random((60, 5)) < 0.3
    items = np.array([rng.permutation(60)[:40] for _ in range(4)])
    items[1, 25:], items[2, :] = UNKNOWN, UNKNOWN
    ks = [1, 2, 30, 40, 1000]
    pairwise = metrics.diversity(items, genres, ks)
    monkeypatch.setattr(metrics, "LONG_LIST", 10)
    monkeypatch.setattr(metrics, "PATTERN_PAIRS", 20)  # several blocks
    for name, values in metrics.diversity(items, genres, ks).items():
        assert values == pytest.approx(pairwise[name], nan_ok=True)


def test_popularity_lift_and_miscalibration_by_hand() -> None:
    support = np.array([8, 4, 2, 2])
    genres = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], dtype=bool)
    items = np.array([[1, 0], [2, UNKNOWN], [0, 1], [UNKNOWN, UNKNOWN]], dtype=np.int32)
    batches = [Histories.of([[2, 3], [0]]), Histories.of([[], [0]])]  # two blocks, as of a split by session
    found = measure_bias(batches, items, support, genres, [1, 2])
    np.testing.assert_allclose(found["popularity-lift@1"], [1.0, -0.75, np.nan, np.nan])  # 4 of 2, 2 of 8
    np.testing.assert_allclose(found["popularity-lift@2"], [2.0, -0.75, np.nan, np.nan])  # 6 of 2
    # user 0: history half and half (item 3 has no genre); list at 1 only the second; at 2 half and half again
    by_hand = 0.5 * np.log(0.5 / 0.005) + 0.5 * np.log(0.5 / 0.995)
    # user 1: history only the first genre, list half and half
    np.testing.assert_allclose(found["miscalibration@1"], [by_hand, np.log(1 / 0.505), np.nan, np.nan])
    np.testing.assert_allclose(found["miscalibration@2"], [0.0, np.log(1 / 0.505), np.nan, np.nan], atol=1e-12)
