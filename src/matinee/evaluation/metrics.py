"""Metrics: pure functions of lists and targets, one value per user. Every formula is in docs/metrics.md.

Lists come as item rows [B, K], best first, UNKNOWN where a list is short. All are measured at several k in one pass
over the longest list.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matinee.arrays import BoolArray, FloatArray, IntArray, rows_of
from matinee.errors import MatineeError, did_you_mean
from matinee.vocab import UNKNOWN

METRICS = {
    "precision": "hits in the first k, divided by k",
    "recall": "hits in the first k, divided by the number of targets",
    "recall-capped": "hits in the first k, divided by k or the number of targets, whichever is less",
    "ndcg": "hits discounted by the logarithm of their place, divided by the best that k places allow",
    "hit-rate": "1 where the first k hold a target, else 0",
    "mrr": "1 / place of the first hit, 0 where the first k hold none",
    "map": "precision at each hit in the first k, summed and divided by the number of targets",
    "map-capped": "the same sum, divided by k or the number of targets, whichever is less",
    "coverage": "share of the catalogue that is in anyone's first k",
    "novelty": "mean over the first k of -log2 of the share of training users who have the item",
    "gini": "inequality of how often items are in a first k: 0 all equal, 1 one item takes all",
    "diversity": "1 - mean Jaccard similarity of genres over the pairs of the first k",
    "rmse": "root of the mean squared error of the predicted values of the targets",
    "mae": "mean absolute error of the predicted values of the targets",
}
"""Name -> what it is. All but rmse and mae are said with a list length: `ndcg@10`."""
WITHOUT_K = frozenset({"rmse", "mae"})
LOWER_IS_BETTER = frozenset({"rmse", "mae", "gini"})
OF_ALL_LISTS = frozenset({"coverage", "gini"})
"""Metrics that have no value for one user."""


@dataclass(frozen=True, slots=True, eq=False)
class PerUser:
    """A metric's value for each user; what is reported is their weighted mean, or the root of it.

    values: [B], NaN for a user of whom it says nothing; weights: [B], None for equal ones.
    """

    values: FloatArray
    weights: FloatArray | None = None
    root: bool = False

    @property
    def sums(self) -> tuple[FloatArray, FloatArray]:
        """What each user adds above and below the line of the mean. [B], [B]."""
        weights = np.ones(len(self.values)) if self.weights is None else self.weights
        known = ~np.isnan(self.values)
        return np.where(known, self.values, 0.0) * weights, known * weights

    def take(self, users: IntArray | BoolArray) -> "PerUser":
        """The same of some users, by place or mask."""
        return PerUser(self.values[users], None if self.weights is None else self.weights[users], self.root)

    def pooled(self, owners: IntArray, n_owners: int) -> "PerUser":
        """The same mean over fewer: each owner's weighted mean, weighing what their values weighed. [B] -> [U]."""
        above, below = (np.bincount(owners, column, n_owners).astype(np.float64) for column in self.sums)
        return PerUser(_divide(above, below), below, self.root)

    @property
    def mean(self) -> float:
        """The figure reported. NaN where no user has a value."""
        above, below = self.sums
        total = below.sum()
        mean = float(above.sum() / total) if total else float("nan")
        return mean**0.5 if self.root else mean


def parse_metric(name: str) -> tuple[str, int | None]:
    """`ndcg@10` -> ("ndcg", 10), `rmse` -> ("rmse", None). Raises MatineeError with the closest name."""
    base, at, k = name.partition("@")
    if base not in METRICS:
        raise MatineeError(f"no metric {name!r}{did_you_mean(base, METRICS)}")
    if base in WITHOUT_K:
        if at:
            raise MatineeError(f"metric {name!r} has no list length; write {base!r}")
        return base, None
    if not k.isdecimal() or int(k) < 1:
        raise MatineeError(f"metric {name!r} needs a list length of at least 1, such as '{base}@10'")
    return base, int(k)


def find_hits(items: IntArray, target_starts: IntArray, target_items: IntArray, n_items: int) -> BoolArray:
    """Which places of the lists hold a target of their user.

    items: [B, K]; the targets of user b are target_items[target_starts[b]:target_starts[b+1]], each once -> [B, K].
    """
    targets = np.sort(rows_of(target_starts) * n_items + target_items)
    keys = np.arange(len(items), dtype=np.int64)[:, None] * n_items + items  # [B, K]
    if len(targets) == 0:
        return np.zeros(items.shape, dtype=bool)
    places = np.minimum(np.searchsorted(targets, keys), len(targets) - 1)
    # an UNKNOWN item has the key of the user before, hence the mask
    found: BoolArray = (targets[places] == keys) & (items != UNKNOWN)
    return found


def accuracy(hits: BoolArray, n_relevant: IntArray, ks: Iterable[int]) -> dict[str, FloatArray]:
    """Precision, recall, NDCG, hit rate, MRR and MAP at each k.

    hits: [B, K] in list order; a list shorter than k misses on. n_relevant: [B], the number of targets.
    Returns name@k -> [B], NaN where a user has no target. Raises ValueError if a k < 1.
    The ideal list of NDCG is cut at k, and relevance is 0 or 1 (Järvelin and Kekäläinen 2002).
    """
    ks = _checked(ks)
    depth = max(ks)
    hits = np.pad(hits[:, :depth], ((0, 0), (0, max(0, depth - hits.shape[1]))))
    places = np.arange(1, depth + 1)
    discounts = 1 / np.log2(places + 1)
    found = np.cumsum(hits, axis=1)  # [B, K] hits up to each place
    gains = np.cumsum(hits * discounts, axis=1)
    precisions = np.cumsum(hits * (found / places), axis=1)
    ideals = np.cumsum(discounts)
    first = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, np.inf)
    relevant = np.where(n_relevant > 0, n_relevant, np.nan)  # NaN runs on through the divisions
    one = relevant / relevant
    measured: dict[str, FloatArray] = {}
    for k in ks:
        capped = np.minimum(k, relevant)
        measured |= {
            f"precision@{k}": found[:, k - 1] / k * one,
            f"recall@{k}": found[:, k - 1] / relevant,
            f"recall-capped@{k}": found[:, k - 1] / capped,
            f"ndcg@{k}": gains[:, k - 1] / ideals[np.minimum(k, n_relevant) - 1] * one,
            f"hit-rate@{k}": (first <= k) * one,
            f"mrr@{k}": np.where(first <= k, 1 / first, 0.0) * one,
            f"map@{k}": precisions[:, k - 1] / relevant,
            f"map-capped@{k}": precisions[:, k - 1] / capped,
        }
    return measured


def novelty(items: IntArray, n_holders: IntArray, n_users: int, ks: Iterable[int]) -> dict[str, FloatArray]:
    """Mean self-information of the items shown, in bits. Returns name@k -> [B], NaN for an empty list.

    items: [B, K]; n_holders: [I], how many of the n_users training users have each item. An item that none of them
    has counts as if one did, as its information would be infinite.
    """
    bits = np.log2(max(n_users, 1) / np.maximum(n_holders, 1))
    shown = items != UNKNOWN
    total = np.cumsum(np.where(shown, bits[items], 0.0), axis=1)
    count = np.cumsum(shown, axis=1)
    return {f"novelty@{k}": _divide(_upto(total, k), _upto(count, k)) for k in _checked(ks)}


def diversity(items: IntArray, genres: BoolArray, ks: Iterable[int]) -> dict[str, FloatArray]:
    """1 - mean Jaccard similarity of genres over the pairs of a list. Returns name@k -> [B].

    items: [B, K]; genres: [I, G]. Pairs with an item without genres are left out; NaN where no pair is left.
    """
    words = _pack(genres)[items]  # [B, K, words]
    sizes = np.bitwise_count(words).sum(axis=2, dtype=np.int64)  # [B, K]
    known = sizes > 0
    similarity, pairs = np.zeros(items.shape), np.zeros(items.shape)
    for place in range(1, items.shape[1]):  # over places of the list, not over users
        both = np.bitwise_count(words[:, :place] & words[:, place, None]).sum(axis=2, dtype=np.int64)
        either = sizes[:, :place] + sizes[:, place, None] - both
        similarity[:, place] = (both / np.maximum(either, 1)).sum(axis=1)
        pairs[:, place] = known[:, :place].sum(axis=1) * known[:, place]
    alike, count = np.cumsum(similarity, axis=1), np.cumsum(pairs, axis=1)
    return {f"diversity@{k}": 1 - _divide(_upto(alike, k), _upto(count, k)) for k in _checked(ks)}


def exposure(items: IntArray, n_items: int) -> IntArray:
    """How many lists hold each item. items [B, k] -> [I]."""
    return np.bincount(items[items != UNKNOWN], minlength=n_items)


def coverage(exposures: FloatArray | IntArray) -> FloatArray:
    """Share of items that are in a list. [..., I] -> [...]."""
    return np.asarray((exposures > 0).mean(axis=-1))


def gini(exposures: FloatArray | IntArray) -> FloatArray:
    """Gini coefficient of exposure over the whole catalogue. [..., I] -> [...], NaN where nothing is shown."""
    n_items = exposures.shape[-1]
    ranks = (2 * np.arange(1, n_items + 1) - n_items - 1).astype(exposures.dtype)
    total = exposures.sum(axis=-1, dtype=np.float64)
    return _divide(np.sort(exposures, axis=-1) @ ranks, n_items * total)


def errors_of_values(predicted: FloatArray, actual: FloatArray, starts: IntArray) -> dict[str, PerUser]:
    """RMSE and MAE over target events. predicted, actual: [N], user b's from starts[b] to starts[b+1]."""
    owners, counts = rows_of(starts), np.diff(starts).astype(np.float64)
    errors = predicted.astype(np.float64) - actual
    squared = np.bincount(owners, errors**2, minlength=len(counts))
    absolute = np.bincount(owners, np.abs(errors), minlength=len(counts))
    return {
        "rmse": PerUser(_divide(squared, counts), counts, root=True),
        "mae": PerUser(_divide(absolute, counts), counts),
    }


def holders(user_rows: IntArray, item_rows: IntArray, n_items: int) -> IntArray:
    """How many different users have each item. user_rows, item_rows: [N] -> [I]."""
    pairs = np.sort(user_rows.astype(np.int64) * n_items + item_rows)
    fresh = np.diff(pairs, prepend=-1) > 0  # np.unique hashes here, which is ten times slower
    return np.bincount(pairs[fresh] % n_items, minlength=n_items)


def _checked(ks: Iterable[int]) -> Sequence[int]:
    ks = list(ks)
    if not ks or min(ks) < 1:
        raise ValueError(f"list lengths must be 1 or more, not {ks}")
    return ks


def _upto(cumulated: FloatArray | IntArray, k: int) -> FloatArray | IntArray:
    return cumulated[:, min(k, cumulated.shape[1]) - 1]


def _divide(above: FloatArray | IntArray, below: FloatArray | IntArray) -> FloatArray:
    """Quotient of above and below, NaN where below is 0."""
    nothing = np.full(np.shape(below), np.nan)
    return np.asarray(np.divide(above, below, out=nothing, where=np.asarray(below) > 0))


def _pack(genres: BoolArray) -> NDArray[np.uint64]:
    """Genres as bits, 64 to a word. [I, G] -> [I + 1, words]; the last row, which UNKNOWN picks, has no genre."""
    n_words = max(1, -(-genres.shape[1] // 64))
    padded = np.pad(genres, ((0, 1), (0, n_words * 64 - genres.shape[1])))
    return np.packbits(padded, axis=1).view(np.uint64)
