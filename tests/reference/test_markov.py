"""Markov against a plain loop over all pairs of events, and a hand-computed case."""

import numpy as np
import pytest

from matinee.data.synthetic import zipf_log
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.sequences.markov import count_transitions
from matinee.ranking.rank import rank
from matinee.training.run import Run


def training(items: list[list[int]], n_items: int) -> TrainingData:
    return TrainingData(Histories.of(items), n_items)


def score_by_loop(train: list[list[int]], history: list[int], n_items: int, steps: int, decay: float, smoothing: float):
    """The formula of the docstring, by a loop over pairs of events. [I]."""
    counts, events = np.zeros((n_items, n_items)), np.zeros(n_items)
    for walk in train:
        for later, item in enumerate(walk):
            events[item] += 1
            for earlier in range(max(0, later - steps), later):
                counts[walk[earlier], item] += decay ** (later - earlier - 1)
    popularity = events / events.sum()
    if not history:
        return popularity
    scores = np.zeros(n_items)
    for back, item in enumerate(reversed(history[-steps:])):
        probabilities = (counts[item] + smoothing * popularity) / (counts[item].sum() + smoothing)
        scores += decay**back * probabilities
    return scores


@pytest.mark.parametrize(
    ("steps", "decay", "smoothing"), [(1, 1.0, 1.0), (1, 0.3, 50.0), (3, 0.5, 2.0), (40, 0.9, 10.0)]
)
def test_scores_equal_a_plain_loop(steps: int, decay: float, smoothing: float) -> None:
    events = zipf_log(50, 40, 500, np.random.default_rng(1)).events
    walks = [events.item_rows[events.user_rows == user].tolist() for user in range(50)]
    walks[3] += walks[3][:4]  # a log with repeats
    model = create("markov", steps=steps, decay=decay, smoothing=smoothing).fit(training(walks, 40), Run.seeded(1))
    histories = [[], [4], [39, 0], *walks[:8]]
    scores = model.score(model.fold_in(Histories.of(histories)))
    for row, history in enumerate(histories):
        expected = score_by_loop(walks, history, 40, steps, decay, smoothing)
        np.testing.assert_allclose(scores[row], expected, rtol=1e-5, atol=1e-8)


def test_scores_equal_a_hand_computed_case() -> None:
    # 0 is followed by 1 twice and by 2 once; events: 0 three times, 1 twice, 2 once
    model = create("markov", steps=1, smoothing=3).fit(training([[0, 1], [0, 1], [0, 2]], 3), Run.seeded(1))
    scores = model.score(model.fold_in(Histories.of([[2, 0], [1]])))
    np.testing.assert_allclose(scores[0], [(0 + 3 * 3 / 6) / 6, (2 + 3 * 2 / 6) / 6, (1 + 3 * 1 / 6) / 6], rtol=1e-6)
    np.testing.assert_allclose(scores[1], [3 / 6, 2 / 6, 1 / 6], rtol=1e-6)  # nothing follows 1: popularity


def test_transitions_stay_within_a_history() -> None:
    counts = count_transitions(Histories.of([[0, 1], [2], [], [3, 0, 1]]), 4, steps=2, decay=0.5).toarray()
    expected = np.zeros((4, 4))
    expected[0, 1], expected[3, 0], expected[3, 1] = 2, 1, 0.5
    np.testing.assert_array_equal(counts, expected)


def test_only_the_last_events_are_read() -> None:
    walks = [[0, 1, 2, 3, 4, 5]] * 3
    model = create("markov", steps=2).fit(training(walks, 6), Run.seeded(1))
    long, short = (model.score(model.fold_in(Histories.of([walk]))) for walk in ([5, 5, 0, 4, 1, 2], [1, 2]))
    np.testing.assert_array_equal(long, short)


def test_repeat_lists_seen_items_too() -> None:
    """Somebody alternates between two songs."""
    model = create("markov", steps=1).fit(training([[0, 1] * 10, [2, 3]], 4), Run.seeded(1))
    history = Histories.of([[0, 1, 0]])
    assert rank(model, history, 1, repeat=True).items[0, 0] == 1
    assert rank(model, history, 1).items[0, 0] in (2, 3)


@pytest.mark.parametrize("walks", [[[0]], [[0], [1]], [[]]])
def test_logs_without_a_transition_fall_back_to_popularity(walks: list[list[int]]) -> None:
    model = create("markov").fit(training(walks, 2), Run.seeded(1))
    scores = model.score(model.fold_in(Histories.of([[0], []])))
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores[0], scores[1])
