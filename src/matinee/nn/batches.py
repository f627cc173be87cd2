"""Batches of users and of pairs, in an order drawn anew each epoch."""

from collections.abc import Iterator

import numpy as np

from matinee.arrays import IntArray


def batches(n: int, size: int, rng: np.random.Generator) -> Iterator[IntArray]:
    """The numbers 0..n-1 in a drawn order, `size` at a time (0: all at once, in order)."""
    if size == 0 or size >= n:
        yield np.arange(n)
        return
    order = rng.permutation(n)
    for start in range(0, n, size):
        yield order[start : start + size]
