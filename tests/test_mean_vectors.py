"""Mean vectors of histories against a plain loop, and what they hold for many events of few items."""

import tracemalloc

import numpy as np
import pytest

from matinee.histories import Histories
from matinee.models.vectors import mean_vectors


@pytest.mark.parametrize("n_items", [3, 40])
def test_means_are_those_of_a_plain_loop(n_items: int) -> None:
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(n_items, 4)).astype(np.float32)
    vectors[1] = 0
    lists = [[0, 2], [1], [], [2, 1, 0]]
    found = mean_vectors(Histories.of(lists), vectors)
    for row, items in zip(found, lists, strict=True):
        known = [vectors[item] for item in items if vectors[item].any()]
        np.testing.assert_allclose(row, np.mean(known, axis=0) if known else np.zeros(4), rtol=1e-6)


def test_no_vector_is_held_for_each_event() -> None:
    rng = np.random.default_rng(6)
    lists = [rng.permutation(200)[:100].tolist() for _ in range(2000)]
    histories, vectors = Histories.of(lists), rng.normal(size=(200, 128)).astype(np.float32)
    tracemalloc.start()
    mean_vectors(histories, vectors)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000 * 128  # a quarter of a float32 vector for each event
