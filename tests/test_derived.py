"""What a model computes from its learned arrays once."""

from copy import copy

import numpy as np

from matinee.models.derived import derived


class Doubling:
    def __init__(self) -> None:
        self.table, self.other, self.n_computed = np.ones(3), np.ones(2), 0

    @derived("table")
    def doubled(self) -> np.ndarray:
        """Twice the table."""
        self.n_computed += 1
        return 2 * self.table


def test_a_derived_value_is_computed_once_for_an_array_and_again_for_another() -> None:
    model = Doubling()
    assert model.doubled is model.doubled
    model.other = np.zeros(2)
    assert (model.doubled.tolist(), model.n_computed) == ([2, 2, 2], 1)
    refitted = copy(model)
    refitted.table = np.zeros(3)
    assert refitted.doubled.tolist() == [0, 0, 0]
    assert (model.doubled.tolist(), model.n_computed) == ([2, 2, 2], 1), "a copy keeps its own"
