"""Items that came after training, in the rows after the trained ones: what lists, and what is similar to them."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from matinee.arrays import BoolArray, FloatArray, IntArray, top_k
from matinee.catalogue import Catalogue
from matinee.models.base import Recommender
from matinee.ranking.rank import Ranking
from matinee.vocab import Vocab

ModelT = TypeVar("ModelT", bound=Recommender[Any])


@dataclass(frozen=True, slots=True, eq=False)
class NewItems:
    """The catalogue as it is now: I trained items, then n new ones, without those that were withdrawn.

    items, catalogue: of all I + n; models: by name, those that score all; listed: [I + n], whether an item may be
    listed, None if all may; parents: [a] rows of trained items, and their part in each new item, [a, n].
    """

    items: Vocab
    catalogue: Catalogue
    models: Mapping[str, Recommender[Any]] = field(default_factory=dict)
    listed: BoolArray | None = None
    parents: tuple[IntArray, FloatArray] | None = None

    def similar_to(self, new_row: int, k: int) -> Ranking:
        """The k trained items that have the largest part in a new one. new_row: from 0."""
        rows, parts = self.parents if self.parents else (np.zeros(0, dtype=np.int32), np.zeros((0, new_row + 1)))
        order, best = top_k(parts[:, new_row][None].astype(np.float32), min(k, len(rows)))
        return Ranking(rows[order].astype(np.int32), best)


def with_unranked(model: ModelT, n_items: int) -> ModelT:
    """A copy of a model that scores n_items, the new ones with -inf: it cannot predict them, so it lists none."""
    grown = copy(model)

    def score(state: object) -> FloatArray:
        scores = model.score(state)  # [B, I]
        return np.pad(scores, ((0, 0), (0, n_items - scores.shape[1])), constant_values=-np.inf)

    vars(grown)["score"] = score
    return grown
