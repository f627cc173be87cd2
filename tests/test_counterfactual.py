"""The smallest set of changes that moves an item out of a list or into it, against trying all sets."""

from itertools import combinations

import numpy as np
import pytest

from matinee.histories import Histories
from matinee.ranking.counterfactual import MAX_CHANGES, Question, find_counterfactual
from matinee.ranking.rank import rank
from toy_models import SumOfRows

N = 14


def model_of(seed: int) -> SumOfRows:
    return SumOfRows(np.random.default_rng(seed).normal(size=(N, N)).tolist())


def listed(model: SumOfRows, items: list[int], k: int) -> list[int]:
    return rank(model, Histories.of([items]), k).items[0].tolist()


def fewest_removals(model: SumOfRows, items: list[int], wanted: int, k: int) -> int | None:
    """By trying every subset of the history."""
    for size in range(1, len(items) + 1):
        for gone in combinations(items, size):
            if wanted not in listed(model, [item for item in items if item not in gone], k):
                return size
    return None


@pytest.mark.parametrize("seed", range(25))
def test_an_item_leaves_with_as_few_events_as_any_set(seed: int) -> None:
    model = model_of(seed)
    items = np.random.default_rng(100 + seed).permutation(N)[:5].tolist()
    for wanted in listed(model, items, 3):
        found = find_counterfactual(model, Question(Histories.of([items]), wanted, 3))
        fewest = fewest_removals(model, items, wanted, 3)
        assert found.goal == "leave"
        if found.found:
            left = [item for item in items if item not in found.removed]
            assert wanted not in listed(model, left, 3)
            assert listed(model, left, N - len(left))[found.rank_after - 1] == wanted
            assert fewest is not None
            if found.smallest and len(found.removed) <= 3:
                assert len(found.removed) == fewest
            if len(found.removed) == 1:
                assert fewest == 1
        else:
            assert (found.removed, found.rank_after) == ((), found.rank_before)


@pytest.mark.parametrize("seed", range(25))
def test_an_item_enters_by_likes_and_removals_that_do_it(seed: int) -> None:
    model = model_of(seed)
    items = np.random.default_rng(100 + seed).permutation(N)[:5].tolist()
    inside = listed(model, items, 3)
    for wanted in set(range(N)) - {*items, *inside}:
        found = find_counterfactual(model, Question(Histories.of([items]), wanted, 3))
        assert found.goal == "enter"
        assert found.rank_before > 3
        if found.found:
            changed = [item for item in items if item not in found.removed] + list(found.added)
            assert wanted in listed(model, changed, 3)
            assert wanted not in found.added
            assert len(found.added) + len(found.removed) <= MAX_CHANGES


def test_what_cannot_happen_is_said() -> None:
    model = SumOfRows(np.diag([1.0] * N).tolist())
    model.table[:, 13] = -5  # nothing brings the last item up
    found = find_counterfactual(model, Question(Histories.of([[0, 1]]), 13, 3))
    assert (found.goal, found.found, found.removed, found.added) == ("enter", False, (), ())
    only = SumOfRows(np.zeros((3, 3)).tolist())
    stays = find_counterfactual(only, Question(Histories.of([[0]]), 1, 3))
    assert (stays.goal, stays.found) == ("leave", False)


def test_an_empty_history_can_only_be_added_to() -> None:
    model = model_of(3)
    found = find_counterfactual(model, Question(Histories.of([[]]), 7, 2))
    assert found.goal == "enter"
    assert not found.removed


def test_the_search_ends_when_time_is_out() -> None:
    asked: list[int] = []
    model = SumOfRows(np.zeros((N, N)).tolist())

    def out_of_time() -> bool:
        asked.append(1)
        return len(asked) > 1

    found = find_counterfactual(model, Question(Histories.of([[0, 1, 2]]), 13, 3), out_of_time)
    assert not found.found
    assert found.tried <= 1 + 16


def test_items_that_may_not_be_listed_take_no_place() -> None:
    model = model_of(5)
    allowed = np.zeros(N, dtype=bool)
    allowed[[10, 11, 12]] = True
    found = find_counterfactual(model, Question(Histories.of([[0, 1]]), 11, 3, allowed))
    assert (found.goal, found.rank_before <= 3) == ("leave", True)
    assert not found.found, "of three items that may be listed all three are"
