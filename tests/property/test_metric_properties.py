"""What must hold for any lists and targets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from matinee.evaluation.bootstrap import Exposures
from matinee.evaluation.metrics import PerUser, accuracy, coverage, find_hits, gini

KS = [1, 2, 5, 8]


@st.composite
def lists_and_targets(draw):
    """Lists of different items for a few users, and a few targets for each."""
    n_users, n_items = draw(st.integers(1, 6)), draw(st.integers(8, 20))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    items = np.array([rng.permutation(n_items)[:8] for _ in range(n_users)], dtype=np.int32)
    cut = draw(st.lists(st.integers(0, 8), min_size=n_users, max_size=n_users))
    items[np.arange(8) >= np.array(cut)[:, None]] = -1
    n_relevant = np.array(draw(st.lists(st.integers(0, n_items), min_size=n_users, max_size=n_users)))
    targets = [rng.permutation(n_items)[:n] for n in n_relevant]
    starts = np.concatenate([[0], np.cumsum(n_relevant)])
    return items, starts, np.concatenate(targets).astype(np.int32), n_items


@given(lists_and_targets())
def test_hits_are_those_of_a_plain_loop(case):
    items, starts, targets, n_items = case
    expected = [
        [item in targets[starts[user] : starts[user + 1]].tolist() for item in row]
        for user, row in enumerate(items.tolist())
    ]
    assert find_hits(items, starts, targets, n_items).tolist() == expected


@given(lists_and_targets())
def test_values_lie_between_0_and_1_and_only_users_without_targets_have_none(case):
    items, starts, targets, n_items = case
    n_relevant = np.diff(starts)
    for name, values in accuracy(find_hits(items, starts, targets, n_items), n_relevant, KS).items():
        assert (np.isnan(values) == (n_relevant == 0)).all(), name
        known = values[n_relevant > 0]
        assert ((known >= 0) & (known <= 1 + 1e-12)).all(), name


@given(lists_and_targets())
def test_longer_lists_find_no_less(case):
    items, starts, targets, n_items = case
    measured = accuracy(find_hits(items, starts, targets, n_items), np.diff(starts), KS)
    for metric in ("recall", "hit-rate", "mrr", "map"):
        columns = np.nan_to_num(np.stack([measured[f"{metric}@{k}"] for k in KS]))
        assert (np.diff(columns, axis=0) >= 0).all(), metric


@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(8, 12))
def test_a_list_of_nothing_but_targets_first_is_perfect(n_relevant, depth):
    counts = np.array(n_relevant)
    hits = np.arange(depth) < counts[:, None]
    measured = accuracy(hits, counts, KS)
    for metric in ("ndcg", "recall-capped", "map-capped", "hit-rate", "mrr"):
        for k in KS:
            assert measured[f"{metric}@{k}"] == pytest.approx(1.0), (metric, k)


@given(lists_and_targets(), st.randoms())
def test_the_order_of_users_does_not_matter(case, random):
    items, starts, targets, n_items = case
    hits, n_relevant = find_hits(items, starts, targets, n_items), np.diff(starts)
    order = random.sample(range(len(items)), len(items))
    straight, mixed = accuracy(hits, n_relevant, KS), accuracy(hits[order], n_relevant[order], KS)
    for name in straight:
        assert PerUser(straight[name]).mean == pytest.approx(PerUser(mixed[name]).mean, nan_ok=True), name


@given(arrays(np.int64, st.integers(1, 30), elements=st.integers(0, 50)))
def test_gini_is_half_the_relative_mean_difference(exposures):
    if exposures.sum() == 0:
        assert np.isnan(gini(exposures))
        return
    mean_difference = np.abs(exposures[:, None] - exposures).mean()
    assert gini(exposures) == pytest.approx(mean_difference / (2 * exposures.mean()), abs=1e-9)


@settings(max_examples=40)
@given(lists_and_targets(), st.integers(0, 2**32))
def test_resampled_exposure_is_that_of_the_users_drawn(case, seed):
    items, *_, n_items = case
    drawn = np.random.default_rng(seed).integers(len(items), size=len(items))
    counts = np.bincount(drawn, minlength=len(items))[None].astype(float)
    found = Exposures(items, n_items, [2, 8]).resampled(counts)[0]
    expected = []
    for k in (2, 8):
        listed = items[drawn, :k]
        exposures = np.bincount(listed[listed >= 0], minlength=n_items)
        expected += [float(coverage(exposures)), float(gini(exposures))]
    np.testing.assert_allclose(found, expected, atol=1e-6)
