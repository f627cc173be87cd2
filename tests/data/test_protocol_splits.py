"""Split rules of published protocols: the rest to train, by item, one random event of each user."""

import numpy as np
import pytest

from matinee.config import SplitConfig
from matinee.data.labels import TEST, TRAIN, VALID
from matinee.data.splits import Split, split
from matinee.dataset import Dataset
from matinee.errors import UsageError
from matinee.workflow import events


def log(lengths: list[int]) -> Dataset:
    """Users with so many events each, on items 0, 1, 2, ..."""
    rows = [(user, item) for user, length in enumerate(lengths) for item in range(length)]
    return events(
        {"user": [user for user, _ in rows], "item": [item for _, item in rows], "time": list(range(len(rows)))}
    )


def counts(cut: Split, rows: np.ndarray) -> list[list[int]]:
    """Events in train, valid and test, for each user or item."""
    parts = np.array([TRAIN, VALID, TEST])
    return [[int((cut.labels[rows == row] == part).sum()) for part in parts] for row in np.unique(rows)]


def test_the_rest_goes_to_train_as_in_recbole() -> None:
    """8:1:1 of RecBole: int(0.1 n) for valid and for test, all others train."""
    data = log([3, 10, 19, 25])
    cut = split(data, SplitConfig(ratios=(0.8, 0.1, 0.1), rest="train"))
    assert counts(cut, data.events.user_rows) == [[3, 0, 0], [8, 1, 1], [17, 1, 1], [21, 2, 2]]
    cut = split(data, SplitConfig(ratios=(0.8, 0.1, 0.1)))
    assert counts(cut, data.events.user_rows) == [[2, 0, 1], [8, 1, 1], [15, 1, 3], [20, 2, 3]]


def test_each_item_is_cut_by_the_ratios() -> None:
    data = log([12] * 20)  # 12 items with 20 events each
    cut = split(data, SplitConfig(ratios=(0.75, 0.1, 0.15), by="item"))
    assert counts(cut, data.events.item_rows) == [[15, 2, 3]] * 12
    assert len({tuple(each) for each in counts(cut, data.events.user_rows)}) > 1
    again = split(data, SplitConfig(ratios=(0.75, 0.1, 0.15), by="item", seed=43))
    assert (again.labels != cut.labels).any()


def test_an_item_keeps_an_event_in_train() -> None:
    data = log([3, 2, 1])  # item 2 has one event
    cut = split(data, SplitConfig(ratios=(0.3, 0.3, 0.4), by="item"))
    assert all(train >= 1 for train, _, _ in counts(cut, data.events.item_rows))
    assert any("keep one in train" in note for note in cut.notes)


def test_one_random_event_of_each_user_is_test() -> None:
    data = log([2, 3, 30, 30])
    cut = split(data, SplitConfig(split="leave-random"))
    assert counts(cut, data.events.user_rows) == [[2, 0, 0], [1, 1, 1], [28, 1, 1], [28, 1, 1]]
    drawn = [split(data, SplitConfig(split="leave-random", seed=seed)) for seed in range(30)]
    positions = {int(np.flatnonzero(each.labels[5:35] == TEST)[0]) for each in drawn}
    assert len(positions) > 10  # not always the last
    assert any("entirely in train" in note for note in cut.notes)


@pytest.mark.parametrize("setting", [{"by": "item"}, {"rest": "train"}, {"ratios": (0.8, 0.1, 0.1)}])
def test_another_method_does_not_take_them(setting: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="has no effect on split leave-random"):
        split(log([5, 5]), SplitConfig(split="leave-random", **setting))  # type: ignore[arg-type]
