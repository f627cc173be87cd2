"""LinearNext against ridge regression over every position of every history, by plain loops and a dense solve."""

import numpy as np
import pytest

from matinee.data.synthetic import zipf_log
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.followers import count_followers
from matinee.ranking.rank import rank
from matinee.training.run import Run

N_ITEMS = 25
LONG = 300
"""Positions after the last event for which a bag is followed; at the decays below nothing is left of it then."""


def walks() -> list[list[int]]:
    events = zipf_log(30, N_ITEMS, 180, np.random.default_rng(3)).events
    lists = [events.item_rows[events.user_rows == user].tolist() for user in range(30)]
    lists[2] += lists[2][:3]  # repeats add up
    return lists


def bags(history: list[int], decays: tuple[float, ...]) -> np.ndarray:
    """A row for each decay: sum of decay^(events after j) e_j. [K, I]."""
    rows = np.zeros((len(decays), N_ITEMS))
    for item in history:
        rows *= np.array(decays)[:, None]
        rows[:, item] += 1
    return rows


def regression(
    lists: list[list[int]], decays: tuple[float, ...], eta: float, l2: float, user_power: float, fewest: int = 0
) -> np.ndarray:
    """W of the docstring, from the normal equations summed over positions, by items with enough events. [K I, I]."""
    size = len(decays) * N_ITEMS
    held = np.tile(np.bincount(np.concatenate(lists).astype(int), minlength=N_ITEMS) >= fewest, len(decays))
    gram, targets = l2 * np.eye(size), np.zeros((size, N_ITEMS))
    for items in lists:
        weight = max(len(items), 1) ** -user_power
        for n in range(1, len(items) + 1):
            x = bags(items[:n], decays).ravel() * held
            gram += weight * np.outer(x, x)
            for later in range(n, len(items)):
                targets[:, items[later]] += weight * eta ** (later - n) * x
        x = bags(items, decays)
        for _ in range(LONG):
            x = x * np.array(decays)[:, None]
            gram += weight * np.outer(x.ravel() * held, x.ravel() * held)
    return np.linalg.solve(gram, targets)


@pytest.mark.parametrize(
    ("decays", "eta", "l2", "user_power"),
    [((0.4, 0.8), 0.0, 5.0, 0.0), ((0.6,), 0.3, 1.0, 0.5), ((0.0, 0.5, 0.8), 0.2, 20.0, 0.3)],
)
def test_scores_equal_a_regression_over_every_position(
    decays: tuple[float, ...], eta: float, l2: float, user_power: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matinee.models.sequences.linear_next.NEGLIGIBLE", 1e-12)  # nothing is left out
    lists = walks()
    model = create("linear-next", decays=decays, target_decay=eta, l2=l2, user_power=user_power)
    model.fit(TrainingData(Histories.of(lists), N_ITEMS), Run.seeded(0))
    weights = regression(lists, decays, eta, l2, user_power)
    visitors = [[4], [7, 1, 1, 3], *lists[:5], []]
    found = model.score(model.fold_in(Histories.of(visitors)))
    expected = [bags(history, decays).ravel() @ weights for history in visitors]
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_followers_stay_within_a_history_and_are_discounted_by_distance() -> None:
    counts = count_followers(Histories.of([[0, 1, 2], [2], [], [3, 0, 1]]), 4, 0.5 ** np.arange(3))
    expected = np.zeros((4, 4))
    expected[0, 1], expected[1, 2], expected[0, 2], expected[3, 0], expected[3, 1] = 2, 1, 0.5, 1, 0.5
    np.testing.assert_allclose(counts, expected)


def test_blocks_of_events_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    histories = Histories.of(walks())
    whole = count_followers(histories, N_ITEMS, 0.7 ** np.arange(10))
    monkeypatch.setattr("matinee.models.followers.BLOCK_EVENTS", 7)
    np.testing.assert_allclose(count_followers(histories, N_ITEMS, 0.7 ** np.arange(10)), whole, rtol=1e-6)


def test_a_cycle_is_continued() -> None:
    lists = [[(start + step) % 6 for step in range(5)] for start in range(6) for _ in range(3)]
    model = create("linear-next", l2=1.0).fit(TrainingData(Histories.of(lists), 6), Run.seeded(0))
    assert rank(model, Histories.of([[0, 1, 2], [4, 5, 0]]), 1).items.ravel().tolist() == [3, 1]


def test_one_more_event_decays_the_bags_and_adds_one() -> None:
    model = create("linear-next", decays=(0.5,)).fit(TrainingData(Histories.of(walks()), N_ITEMS), Run.seeded(0))
    before, after = (model.fold_in(Histories.of([history])).toarray() for history in ([3, 8], [3, 8, 5]))
    expected = 0.5 * before
    expected[0, 5] += 1
    np.testing.assert_allclose(after, expected)


@pytest.mark.parametrize("lists", [[[0]], [[0], [1]], [[]]])
def test_logs_in_which_nothing_follows_give_finite_scores(lists: list[list[int]]) -> None:
    model = create("linear-next").fit(TrainingData(Histories.of(lists), 2), Run.seeded(0))
    assert np.isfinite(model.score(model.fold_in(Histories.of([[0], []])))).all()


def test_equal_decays_are_refused() -> None:
    with pytest.raises(MatineeError, match="must all differ"):
        create("linear-next", decays=(0.5, 0.3), target_decay=0.3)


def test_rare_items_stay_out_of_the_bags_and_the_rest_is_the_regression_without_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("matinee.models.sequences.linear_next.NEGLIGIBLE", 1e-12)  # nothing is left out
    lists = walks()
    n_events = np.bincount(np.concatenate(lists), minlength=N_ITEMS)
    fewest = int(np.median(n_events))
    model = create("linear-next", decays=(0.5,), target_decay=0.2, l2=1.0, min_events=fewest)
    weights = model.fit(TrainingData(Histories.of(lists), N_ITEMS), Run.seeded(0)).weights
    expected = regression(lists, (0.5,), 0.2, 1.0, 0.0, fewest)
    np.testing.assert_allclose(weights, expected, atol=1e-3 * np.abs(expected).max())
    assert not weights[n_events < fewest].any()
    assert weights[:, n_events < fewest].any()


def test_a_large_catalogue_leaves_rare_items_out_of_the_bags_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matinee.models.sequences.linear_next.MANY_ITEMS", 3)
    train = TrainingData(Histories.of([[0, 1, 2], [0, 2, 1], [1, 0, 3], [2, 0, 1]]), 4)
    model = create("linear-next").fit(train, Run.seeded(0))
    assert np.flatnonzero(model.weights.reshape(2, 4, 4).any(axis=(0, 2))).tolist() == [0, 1, 2]


def test_no_item_with_enough_events_is_said() -> None:
    with pytest.raises(MatineeError, match="no item has 9 training events; lower min_events"):
        create("linear-next", min_events=9).fit(TrainingData(Histories.of([[0, 1]]), 2), Run.seeded(0))
