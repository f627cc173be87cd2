"""Metrics: pure functions of lists and targets, one value per user. docs/metrics.md has every formula.

Lists are item rows [B, K], best first, UNKNOWN where a list is short. One pass over the longest list gives all k.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from matinee.arrays import BoolArray, FloatArray, IntArray, row_blocks, rows_of
from matinee.data.statistics import gini as gini
from matinee.errors import MatineeError, did_you_mean
from matinee.vocab import UNKNOWN

METRICS = {
    "precision": "hits in the first k, divided by k",
    "recall": "hits in the first k, divided by the number of targets",
    "recall-capped": "hits in the first k, divided by the smaller of k and the number of targets",
    "ndcg": "hits discounted by the logarithm of their rank, divided by the best possible value at k",
    "hit-rate": "1 if a target is in the first k, else 0",
    "mrr": "1 / rank of the first hit, 0 without a hit in the first k",
    "map": "sum of the precision at each hit in the first k, divided by the number of targets",
    "map-capped": "the same sum, divided by the smaller of k and the number of targets",
    "coverage": "share of the catalogue that is in at least one user's first k",
    "novelty": "mean over the first k of -log2 of the share of training users who have the item",
    "gini": "inequality of how often items are in a first k: 0 all equally, 1 one item only",
    "diversity": "1 - mean Jaccard similarity of genres over all pairs in the first k",
    "popularity-lift": "mean popularity of the first k over that of the history, minus 1",
    "miscalibration": "divergence of the genres of the first k from those of the history: lower is better",
    "liked-ndcg": "ndcg of the targets that their user rated high (liked)",
    "disliked-ndcg": "ndcg of the targets that their user rated low (disliked): lower is better",
    "graded-ndcg": "ndcg in which a target gains 2^stars - 1",
    "disliked": "share of the first k that the user rated low: lower is better",
    "new-ndcg": "ndcg of lists in which only new items stand, of a split by new items",
    "new-recall": "recall of such lists",
    "new-hit-rate": "hit-rate of such lists",
    "rmse": "root of the mean squared error of the predicted values of the targets",
    "mae": "mean absolute error of the predicted values of the targets",
}
"""Name -> definition. All except rmse and mae are named with a list length: `ndcg@10`. `own_metrics` adds to them."""
WITHOUT_K = frozenset({"rmse", "mae"})
LOWER_IS_BETTER = {"rmse", "mae", "gini", "disliked-ndcg", "disliked", "miscalibration"}
OF_LIKING = frozenset({"liked-ndcg", "disliked-ndcg", "graded-ndcg", "disliked"})
"""Metrics that need ratings: `evaluation.liking` measures them."""
OF_NEW_ITEMS = frozenset({"new-ndcg", "new-recall", "new-hit-rate"})
"""Metrics of lists of new items: `evaluation.new_items` measures them."""
LONG_LIST = 200
"""Lists up to this length are compared pair by pair for their diversity, longer ones by combinations of genres."""
PATTERN_PAIRS = 2**20
"""Pairs of combinations of genres whose similarity is computed at once."""
OF_ALL_LISTS = frozenset({"coverage", "gini"})
"""Metrics that have no value per user."""
WITHOUT_TARGETS = OF_ALL_LISTS | {"novelty", "diversity", "popularity-lift", "miscalibration"}
"""Metrics that do not measure how well a model finds targets."""

Words: TypeAlias = NDArray[np.uint64]
ArrayT = TypeVar("ArrayT", FloatArray, IntArray)


@dataclass(frozen=True, slots=True, eq=False)
class PerUser:
    """A metric's value for each user. The reported value is their weighted mean, or its square root.

    values: [B], NaN for a user for whom it is undefined; weights: [B], None for equal ones.
    """

    values: FloatArray
    weights: FloatArray | None = None
    root: bool = False

    @property
    def sums(self) -> tuple[FloatArray, FloatArray]:
        """Each user's term in the numerator and the denominator of the mean. [B], [B]."""
        weights = np.ones(len(self.values)) if self.weights is None else self.weights
        known = ~np.isnan(self.values)
        return np.where(known, self.values, 0.0) * weights, known * weights

    def take(self, users: IntArray | BoolArray) -> "PerUser":
        """The same for some users, by index or mask."""
        return PerUser(self.values[users], None if self.weights is None else self.weights[users], self.root)

    def pooled(self, owners: IntArray, n_owners: int) -> "PerUser":
        """Each owner's weighted mean, with the sum of its weights, so that the mean stays the same. [B] -> [U]."""
        numerators, weights = (np.bincount(owners, column, n_owners).astype(np.float64) for column in self.sums)
        return PerUser(_divide(numerators, weights), weights, self.root)

    @property
    def mean(self) -> float:
        """The reported value. NaN if no user has a value."""
        numerators, weights = self.sums
        total = weights.sum()
        mean = float(numerators.sum() / total) if total else float("nan")
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


def find_targets(items: IntArray, target_starts: IntArray, target_items: IntArray, n_items: int) -> IntArray:
    """Index of each listed item among the targets, UNKNOWN if it is not a target of its user.

    items: [B, K]; the targets of user b are target_items[target_starts[b]:target_starts[b+1]], each once -> [B, K].
    """
    targets = rows_of(target_starts) * n_items + target_items
    if len(targets) == 0:
        return np.full(items.shape, UNKNOWN)
    keys = np.arange(len(items), dtype=np.int64)[:, None] * n_items + items  # [B, K]
    order = np.argsort(targets)
    indices = order[np.minimum(np.searchsorted(targets[order], keys), len(targets) - 1)]
    # the key of an UNKNOWN item is a key of the previous user, hence the mask
    return np.where((targets[indices] == keys) & (items != UNKNOWN), indices, UNKNOWN)


def find_hits(items: IntArray, target_starts: IntArray, target_items: IntArray, n_items: int) -> BoolArray:
    """Whether each listed item is a target of its user. Arguments as in `find_targets` -> [B, K]."""
    found: BoolArray = find_targets(items, target_starts, target_items, n_items) != UNKNOWN
    return found


def accuracy(hits: BoolArray, n_relevant: IntArray, ks: Iterable[int]) -> dict[str, FloatArray]:
    """Precision, recall, NDCG, hit rate, MRR and MAP at each k.

    hits: [B, K] in list order; ranks missing from a short list are misses. n_relevant: [B], the number of targets.
    Returns name@k -> [B], NaN for a user without targets. Raises ValueError if a k < 1.
    NDCG truncates the ideal list at k, and relevance is 0 or 1 (Järvelin and Kekäläinen 2002).
    """
    ks = _checked(ks)
    hits = hits[:, : max(ks)]
    ranks = np.arange(1, hits.shape[1] + 1)
    found = np.cumsum(hits, axis=1, dtype=np.int64)  # [B, K] hits up to each rank
    gains = np.cumsum(hits * _discounts(hits.shape[1]), axis=1)
    precisions = np.cumsum(hits * (found / ranks), axis=1)
    ideals = np.cumsum(_discounts(min(max(ks), int(n_relevant.max(initial=1)))))
    first = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, np.inf)
    relevant = np.where(n_relevant > 0, n_relevant, np.nan)  # NaN propagates through the divisions
    one = relevant / relevant
    measured: dict[str, FloatArray] = {}
    for k in ks:
        capped = np.minimum(k, relevant)
        measured |= {
            f"precision@{k}": _upto(found, k) / k * one,
            f"recall@{k}": _upto(found, k) / relevant,
            f"recall-capped@{k}": _upto(found, k) / capped,
            f"ndcg@{k}": _upto(gains, k) / ideals[np.minimum(k, n_relevant) - 1] * one,
            f"hit-rate@{k}": (first <= k) * one,
            f"mrr@{k}": np.where(first <= k, 1 / first, 0.0) * one,
            f"map@{k}": _upto(precisions, k) / relevant,
            f"map-capped@{k}": _upto(precisions, k) / capped,
        }
    return measured


def novelty(items: IntArray, support: IntArray, n_users: int, ks: Iterable[int]) -> dict[str, FloatArray]:
    """Mean self-information of the listed items, in bits. Returns name@k -> [B], NaN for an empty list.

    items: [B, K]; support: [I], how many of the n_users training users have each item. Support 0, whose information
    would be infinite, counts as 1.
    """
    bits = np.log2(max(n_users, 1) / np.maximum(support, 1))
    listed = items != UNKNOWN
    total = np.cumsum(np.where(listed, bits[items], 0.0), axis=1)
    count = np.cumsum(listed, axis=1)
    return {f"novelty@{k}": _divide(_upto(total, k), _upto(count, k)) for k in _checked(ks)}


def diversity(items: IntArray, genres: BoolArray, ks: Iterable[int]) -> dict[str, FloatArray]:
    """1 - mean Jaccard similarity of genres over all pairs in a list. Returns name@k -> [B].

    items: [B, K]; genres: [I, G]. Pairs with an item without genres are left out; NaN if no pair is left.
    """
    words = _pack(genres)  # [I + 1, words]
    sizes = np.bitwise_count(words).sum(axis=1, dtype=np.int64)
    if items.shape[1] > LONG_LIST:
        sums = {k: _pairs_by_pattern(items[:, :k], words, sizes) for k in _checked(ks)}
    else:
        total, count = (np.cumsum(each, axis=1) for each in _pairs_by_rank(items, words, sizes))
        sums = {k: (_upto(total, k), _upto(count, k)) for k in _checked(ks)}
    return {f"diversity@{k}": 1 - _divide(*similar_and_all) for k, similar_and_all in sums.items()}


def _pairs_by_rank(items: IntArray, words: Words, sizes: IntArray) -> tuple[FloatArray, FloatArray]:
    """Summed Jaccard similarity of each listed item to those above it, and the number of pairs. [B, K], [B, K]."""
    words, sizes = words[items], sizes[items]  # [B, K, words], [B, K]
    known = sizes > 0
    similarity, pairs = np.zeros(items.shape), np.zeros(items.shape)
    for rank in range(1, items.shape[1]):  # over ranks, not over users
        both = np.bitwise_count(words[:, :rank] & words[:, rank, None]).sum(axis=2, dtype=np.int64)
        either = sizes[:, :rank] + sizes[:, rank, None] - both
        similarity[:, rank] = (both / np.maximum(either, 1)).sum(axis=1)
        pairs[:, rank] = known[:, :rank].sum(axis=1) * known[:, rank]
    return similarity, pairs


def _pairs_by_pattern(items: IntArray, words: Words, sizes: IntArray) -> tuple[FloatArray, FloatArray]:
    """Summed Jaccard similarity of all pairs of a list, and the number of pairs. [B], [B].

    From the number of items of each combination of genres, of which there are few: a list as long as the catalogue
    has too many pairs to look at each.
    """
    patterns, of_item = np.unique(words, axis=0, return_inverse=True)  # [P, words], [I + 1]
    n_patterns, of_pattern = len(patterns), np.bitwise_count(patterns).sum(axis=1, dtype=np.int64)
    listed = sizes[items] > 0
    keys = np.arange(len(items))[:, None] * n_patterns + of_item[items]
    counts = np.bincount(keys[listed], minlength=len(items) * n_patterns).reshape(len(items), n_patterns).astype(float)
    n_listed, total = counts.sum(axis=1), np.zeros(len(items))
    width = max(1, PATTERN_PAIRS // n_patterns)
    for start in range(0, n_patterns, width):
        part = slice(start, start + width)
        both = np.bitwise_count(patterns[:, None] & patterns[part]).sum(axis=2, dtype=np.int64)  # [P, width]
        similarity = both / np.maximum(of_pattern[:, None] + of_pattern[part] - both, 1)
        total += np.einsum("bp,bp->b", counts @ similarity, counts[:, part])
    return (total - n_listed) / 2, n_listed * (n_listed - 1) / 2  # an item is similar to itself by 1


def exposure(items: IntArray, n_items: int) -> IntArray:
    """Number of lists that contain each item. items [B, k] -> [I]."""
    return np.bincount(items[items != UNKNOWN], minlength=n_items)


def coverage(exposures: FloatArray | IntArray) -> FloatArray:
    """Share of items in at least one list. [..., I] -> [...]."""
    return np.asarray((exposures > 0).mean(axis=-1))


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


def support(starts: IntArray, item_rows: IntArray, n_items: int) -> IntArray:
    """Number of distinct users of each item. starts: [U + 1], of each user's events; item_rows: [N] -> [I]."""
    counts = np.zeros(n_items, dtype=np.int64)
    for users, block in row_blocks(starts):
        pairs = np.sort(rows_of(starts[users.start : users.stop + 1] - block.start) * n_items + item_rows[block])
        first = np.diff(pairs, prepend=-1) > 0  # np.unique hashes here, which is ten times slower
        counts += np.bincount(pairs[first] % n_items, minlength=n_items)
    return counts


def _checked(ks: Iterable[int]) -> Sequence[int]:
    ks = list(ks)
    if not ks or min(ks) < 1:
        raise ValueError(f"list lengths must be 1 or more, not {ks}")
    return ks


def _discounts(depth: int) -> FloatArray:
    """1 / log2(rank + 1) of the first ranks. [depth]."""
    return np.asarray(1 / np.log2(np.arange(2, depth + 2)))


def _upto(cumulated: ArrayT, k: int) -> ArrayT:
    """The column of rank k of [B, K], the last where the lists are shorter. [B]."""
    return cumulated[:, min(k, cumulated.shape[1]) - 1]


def _divide(numerators: FloatArray | IntArray, denominators: FloatArray | IntArray) -> FloatArray:
    """Elementwise quotient, NaN where the denominator is 0."""
    undefined = np.full(np.shape(denominators), np.nan)
    return np.asarray(np.divide(numerators, denominators, out=undefined, where=np.asarray(denominators) > 0))


def _pack(genres: BoolArray) -> Words:
    """Genres as bits, 64 per word. [I, G] -> [I + 1, words]; UNKNOWN indexes the last row, which has no genre."""
    n_words = max(1, -(-genres.shape[1] // 64))
    padded = np.pad(genres, ((0, 1), (0, n_words * 64 - genres.shape[1])))
    return np.packbits(padded, axis=1).view(np.uint64)
