"""Lists through an approximate index of items, as far as it can make them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.histories import Histories
from matinee.models.base import HasItemVectors, Recommender
from matinee.ranking.item_index import ItemIndex
from matinee.vocab import UNKNOWN

BLOCK_ROWS, BLOCK_FOUND = 1024, 2**20
"""Users of a block, and the items that are found for all of them, at most."""


def lists_by_index(
    model: Recommender[Any],
    index: ItemIndex,
    histories: Histories,
    k: int,
    hidden: Sequence[Histories],
    allowed: BoolArray | None,
) -> tuple[IntArray, FloatArray, BoolArray]:
    """The k best items of B weighed histories, their scores, and which of these lists are whole.

    hidden: histories whose items are in no list, B rows each; allowed: [I].
    A list is not whole, and has no items, where more would have to be asked for than `index.most`, where the items
    found are fewer than k without the hidden ones, and where the user's vector is zero, since such a user's scores are
    not products. [B, k], [B, k], [B].
    """
    assert isinstance(model, HasItemVectors)
    items = np.full((len(histories), k), UNKNOWN, dtype=np.int32)
    scores = np.full((len(histories), k), -np.inf, dtype=np.float32)
    whole = np.zeros(len(histories), dtype=bool)
    asked = k + sum((each.lengths for each in hidden), np.zeros(len(histories), dtype=np.int64))
    order = np.argsort(asked, kind="stable")
    order = order[asked[order] <= index.most(allowed)]
    start = 0
    while start < len(order):
        size = min(BLOCK_ROWS, max(1, BLOCK_FOUND // int(asked[order[start]])))
        rows = order[start : start + size]
        start += size
        users = model.user_vectors(model.state_of(histories.take(rows)))
        found, found_scores = index.search(users, int(asked[rows[-1]]), allowed)  # [b, W]
        free = found != UNKNOWN
        for each in hidden:
            free &= ~_is_among(found, each.take(rows), index.n_items)
        whole[rows] = filled = (np.count_nonzero(free, axis=1) >= k) & users.any(axis=1)
        first = np.argsort(~free, axis=1, kind="stable")[filled, :k]
        items[rows[filled]] = np.take_along_axis(found[filled], first, axis=1)
        scores[rows[filled]] = np.take_along_axis(found_scores[filled], first, axis=1)
    return items, scores, whole


def _is_among(found: IntArray, hidden: Histories, n_items: int) -> BoolArray:
    """Whether each found item is among the items of the same user's history. [b, W] -> [b, W]."""
    keys = np.arange(len(found))[:, None] * n_items + found
    return np.isin(keys, hidden.owners * n_items + hidden.items)
