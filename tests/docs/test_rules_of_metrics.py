"""Rules stated in docs/metrics.md that no other test checks."""

import numpy as np
import pytest

from matinee.catalogue import Catalogue
from matinee.config import EvaluationConfig, SplitConfig
from matinee.data.splits import TEST, TRAIN, VALID, Split
from matinee.dataset import Dataset, Events
from matinee.evaluation.evaluate import evaluate
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
