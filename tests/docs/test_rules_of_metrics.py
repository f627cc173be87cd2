"""Rules stated in docs/metrics.md that no other test checks."""

import numpy as np
import pytest

from matinee.catalogue import Catalogue
from matinee.config import EvaluationConfig, SplitConfig
from matinee.data.splits import TEST, TRAIN, VALID, Split
from matinee.dataset import Dataset, Events
from matinee.evaluation.bootstrap import Exposures, intervals, percentiles, resample, resampled_means
from matinee.evaluation.evaluate import evaluate
from matinee.evaluation.metrics import PerUser, novelty
from matinee.models import create
from matinee.models.base import Recommender
from matinee.training.run import Run
from matinee.vocab import Vocab

Pairs = list[tuple[int, int]]


def split_of(train: Pairs, valid: Pairs, test: Pairs, n_items: int) -> Split:
    """A split from (user, item) pairs."""
    parts = ((TRAIN, train), (VALID, valid), (TEST, test))
    rows = sorted((user, item, label) for label, part in parts for user, item in part)
    users, items, labels = (np.array(column) for column in zip(*rows, strict=True))
    events = Events.ordered(users, items, np.ones(len(rows), dtype=np.float32), np.arange(len(rows)))
    catalogue = Catalogue.of([f"Film {item} (2000)" for item in range(n_items)], [["Drama"]] * n_items)
    data = Dataset("by hand", Vocab(np.unique(users)), Vocab(np.arange(n_items)), events, catalogue)
    return Split(data, SplitConfig(), labels.astype(np.int8))


def fitted(name: str, split: Split, refit: str) -> Recommender:
    return create(name).fit(split.training(refit), Run.seeded(1))  # type: ignore[arg-type]


def means(split: Split, config: EvaluationConfig, name: str = "item-knn") -> dict[str, float]:
    model = fitted(name, split, config.refit)
    report = evaluate(model, split, config, rng=np.random.default_rng(0))
    return {metric: interval.mean for metric, interval in report.metrics.items()}


@pytest.mark.parametrize(("refit", "found"), [("train", 0.0), ("train+valid", 1.0)])
def test_a_user_without_a_history_gets_the_popular_items_of_the_training_data(refit: str, found: float) -> None:
    """Item 0 leads in train, item 1 in train and valid together; user 9 has only a test event."""
    train = [(0, 0), (1, 0), (2, 1), (2, 2)]
    valid = [(0, 1), (1, 1), (3, 1)]
    split = split_of(train, valid, [(9, 1)], n_items=3)
    config = EvaluationConfig(k=(1,), refit=refit, samples=100)  # type: ignore[arg-type]
    assert means(split, config)["hit-rate@1"] == found


def test_novelty_counts_the_users_of_train_also_after_a_refit() -> None:
    """Item 1 has one of the two training users whatever valid adds: -log2(1/2) is 1 bit."""
    split = split_of([(0, 0), (1, 0), (1, 1)], [(0, 1), (2, 1), (3, 1)], [(4, 1)], n_items=2)
    config = EvaluationConfig(k=(1,), refit="train+valid", samples=100)
    assert means(split, config)["novelty@1"] == pytest.approx(1.0)


def test_every_item_that_is_not_masked_competes() -> None:
    """One long list contains all items but those of the history, whatever their popularity."""
    split = split_of([(0, 0), (1, 0), (1, 1)], [(0, 2)], [(0, 4)], n_items=6)
    config = EvaluationConfig(k=(4,), samples=100)
    found = means(split, config)
    assert found["recall@4"] == 1.0
    assert found["coverage@4"] == pytest.approx(4 / 6)


def test_equal_scores_go_by_item_row_and_give_a_constant_score_no_credit() -> None:
    """Nobody has items 3 to 5: popularity scores them 0, and the list goes by row."""
    split = split_of([(0, 0), (1, 0)], [(0, 1), (1, 1)], [(0, 5), (1, 2)], n_items=6)
    found = means(split, EvaluationConfig(k=(1,), samples=100), "popularity")
    assert found["hit-rate@1"] == pytest.approx(0.5)


def test_an_item_that_the_only_training_user_has_is_no_news() -> None:
    found = novelty(np.array([[0, 1]]), np.array([1, 0]), 1, [2])
    assert found["novelty@2"].tolist() == [0.0]
    assert novelty(np.array([[0]]), np.array([0]), 0, [1])["novelty@1"].tolist() == [0.0]


def test_a_resample_of_one_user_has_that_users_value() -> None:
    one, none = PerUser(np.array([0.25, 0.5])), PerUser(np.array([np.nan, 1.0]))
    found = resampled_means(np.array([[1.0, 0.0]]), [one, none])
    np.testing.assert_array_equal(found, [[0.25, np.nan]])


@pytest.mark.parametrize(("n_users", "width"), [(3, 0), (3, 500_000), (700_000, 0)])
def test_resamples_come_in_blocks_of_bounded_memory(n_users: int, width: int) -> None:
    """Some 2 million numbers at once, and at least one resample."""
    blocks = [len(counts) for counts in resample(n_users, 7, np.random.default_rng(0), width)]
    assert sum(blocks) == 7
    assert max(blocks) == min(7, 2_000_000 // max(n_users, width))
    assert all(size == max(blocks) for size in blocks[:-1])


def test_an_interval_holds_the_middle_95_percent_of_the_draws() -> None:
    draws = np.arange(101.0)
    found = percentiles(7, np.append(draws, np.nan))
    assert [found.mean, found.low, found.high] == pytest.approx([7, 2.5, 97.5])
    assert percentiles(7, draws, 0.5).low == pytest.approx(25)
    nothing = percentiles(7, np.full(3, np.nan))
    assert nothing.mean == 7
    assert np.isnan([nothing.low, nothing.high]).all()


def test_coverage_and_gini_of_a_resample_are_those_of_the_lists_drawn() -> None:
    """Lists of three users at two lengths; a user drawn twice counts twice, one not drawn not at all."""
    lists = Exposures(np.array([[0, 1], [1, 2], [3, -1]], dtype=np.int32), 5, [2, 1])
    assert lists.names == ["coverage@1", "gini@1", "coverage@2", "gini@2"]
    assert lists.n_users == 3
    counts = np.array([[1.0, 1, 1], [2, 1, 0], [0, 0, 3]])
    found = lists.resampled(counts)
    shown = [
        ([1, 1, 0, 1, 0], [1, 2, 1, 1, 0]), ([2, 1, 0, 0, 0], [2, 3, 1, 0, 0]), ([0, 0, 0, 3, 0], [0, 0, 0, 3, 0]),
    ]  # fmt: skip
    for row, (first, both) in zip(found, shown, strict=True):
        assert row[[0, 2]].tolist() == pytest.approx([np.mean(np.array(each) > 0) for each in (first, both)])
        assert row[[1, 3]].tolist() == pytest.approx([gini_by_pairs(first), gini_by_pairs(both)])


def gini_by_pairs(exposures: list[int]) -> float:
    """Half the relative mean difference."""
    values = np.array(exposures, dtype=float)
    return float(np.abs(values[:, None] - values).mean() / (2 * values.mean()))


def test_lists_of_one_user_count_for_that_user() -> None:
    """Predictions of sessions: two lists of the first user and one of the second."""
    items, owners = np.array([[0], [1], [2]], dtype=np.int32), np.array([0, 0, 1])
    lists = Exposures(items, 4, [1], owners)
    assert lists.n_users == 2
    assert lists.resampled(np.array([[2.0, 0.0], [0.0, 2.0]]))[:, 0].tolist() == [0.5, 0.25]


def test_intervals_of_coverage_stay_within_0_and_1() -> None:
    items = np.arange(40, dtype=np.int32)[:, None]
    found = intervals({"recall@1": PerUser(np.ones(40))}, Exposures(items, 40, [1]), 200, np.random.default_rng(0))
    assert (found["coverage@1"].mean, found["coverage@1"].high) == (1.0, 1.0)
    assert found["gini@1"].mean == pytest.approx(0)
    assert found["gini@1"].low == 0.0
    assert found["coverage@1"].low < 1
