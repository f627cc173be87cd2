"""What fits need of memory, from sizes: terms of `Recommender.least_memory`, in bytes.

docs/growth.md holds them against the most memory that fits took.
"""

import numpy as np

from matinee.arrays import gather
from matinee.histories import TrainingData
from matinee.mapped import is_held
from matinee.nn.sparse_rows import dense_head

ENTRY, COLUMN = 8, 4
"""Of an event: its entry in a matrix, and each of the two columns that are the entries."""
LEARNED = 32
"""Of a parameter that Adam trains, in float32: itself, its gradient, two moments, copies of it and of the moments after
an epoch, and what is served."""
TORCH = 15 * 10**6
"""What torch holds after its first step, whatever the sizes."""
SAMPLED_ITEMS = 128
"""Items by which pairs are counted."""
FEW_PAIRS = 10**7
"""Up to so many pairs of items all are taken to occur."""


def matrix_needs(train: TrainingData, copies: int = 1, filed: int = 1) -> int:
    """The matrix of the histories [U, I] and those like it, so many in all; filed: of these lie in files if long."""
    n_events = len(train.histories.items)
    in_memory = copies if is_held(COLUMN * n_events) else copies - filed
    return in_memory * ENTRY * n_events


def head_needs(train: TrainingData) -> int:
    """The users of popular items in dense form, and their products with all items."""
    return 4 * len(dense_head(train.popularity, train.n_users)) * (train.n_users + 2 * train.n_items)


def parameter_needs(train: TrainingData, dim: int, *, users: bool, tables: int = 1) -> int:
    """Vectors of so many dims for all items, and for all users or none, that Adam trains; tables: such sets of them."""
    return TORCH + LEARNED * tables * dim * (train.n_items + users * train.n_users)


def count_pairs(train: TrainingData, skipped: int = 0) -> int:
    """About how many ordered pairs of items occur together in some history; from a sample where there are many items.

    The sample goes evenly through the items by popularity. skipped: so many, the most popular, are not the first of a
    pair.
    """
    n_items, histories = train.n_items, train.histories
    n_first = n_items - skipped
    if n_items * n_first <= FEW_PAIRS:
        return n_items * n_first
    ranked = np.argsort(-train.popularity, kind="stable")[skipped:]
    sample = ranked[np.linspace(0, n_first - 1, SAMPLED_ITEMS).astype(np.int64)]
    is_sampled = np.zeros(n_items, dtype=bool)
    is_sampled[sample] = True
    events = np.flatnonzero(is_sampled[histories.items])
    owners, items = histories.owners[events], histories.items[events]
    found = 0
    for item in np.unique(items):
        _, indices = gather(histories.starts, owners[items == item])
        together = np.zeros(n_items, dtype=bool)
        together[histories.items[indices]] = True
        found += int(np.count_nonzero(together))
    return found * n_first // SAMPLED_ITEMS
