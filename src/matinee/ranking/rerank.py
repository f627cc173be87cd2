"""Rerank: genres, years, novelty and diversity of a list. One implementation for evaluation, commands and the site.

Genres and years go to rank() as `allowed`. The rest reorders the first POOL items of its list:

    value = (1 - |n|) relevance + n (1 - popularity)     n = novelty >= 0;  n < 0: (1 - |n|) relevance + |n| popularity
    next  = argmax over the remaining items of (1 - d) value - d max over those picked of similarity(item, picked)

relevance is the model's score, popularity the log of 1 + training events, and value the result of the first line, each
scaled to 0..1 over the user's pool. The second line is maximal marginal relevance (Carbonell and Goldstein 1998,
section 2, with lambda = 1 - d), d = diversity. Similarity is clipped to 0..1 and divided by the largest in the pool.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

import numpy as np

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.catalogue import Catalogue
from matinee.config import Rerank
from matinee.errors import MatineeError, did_you_mean
from matinee.histories import Histories
from matinee.models.base import HasItemVectors, HasSimilarity, Recommender
from matinee.models.vectors import unit
from matinee.ranking.allowed import both
from matinee.ranking.fallback import Fallback
from matinee.ranking.item_index import ItemIndex
from matinee.ranking.rank import Ranking, rank
from matinee.vocab import UNKNOWN

POOL = 200
"""Candidates to reorder (or k, if larger): enough room for lists of 10 to 100 items, and quick enough for a page."""
LONGEST_POOL = 500
"""Candidates to reorder at most: MMR takes time and memory by its square. What follows keeps the model's order."""
BLOCK_PAIRS = 2**22
"""Pairs of items whose similarity is in memory at once: 16 MB."""
BLOCK_ROWS = 256

__all__ = ["POOL", "RankOptions", "Rerank", "Reranker", "reorder"]


class RankOptions(TypedDict, total=False):
    """Options passed on to rank()."""

    masked: Histories | None
    cold: FloatArray | IntArray | Fallback | None
    repeat: bool
    candidates: Histories | None
    index: ItemIndex | None


@dataclass(frozen=True, eq=False)
class Reranker:
    """rank() with reranking. popularity: [I] training events of each item."""

    catalogue: Catalogue
    popularity: IntArray

    def rank(
        self,
        model: Recommender[Any],
        histories: Histories,
        k: int,
        rerank: Rerank | None = None,
        allowed: BoolArray | None = None,
        **options: Unpack[RankOptions],
    ) -> Ranking:
        """The k best items for each history, reranked. Without `rerank` the ranking is exactly that of `rank`.

        allowed: [I], beside the filters of `rerank`.
        At most LONGEST_POOL candidates are reordered. Scores are the model's own, so a reordered list does not descend
        in score. Raises as rank(), and MatineeError for a genre that the catalogue does not have.
        """
        rerank = rerank or Rerank()
        allowed = both(self.allowed(rerank), allowed)
        if not rerank.reorders:
            return rank(model, histories, k, allowed=allowed, **options)
        ranking = rank(model, histories, max(k, POOL), allowed=allowed, **options)
        pool = Ranking(ranking.items[:, :LONGEST_POOL], ranking.scores[:, :LONGEST_POOL])
        items, scores = ranking.items[:, :k].copy(), ranking.scores[:, :k].copy()
        n_reordered = min(k, pool.items.shape[1])
        log_popularity = np.log1p(self.popularity.astype(np.float64))
        for rows, part in _blocks(pool, len(self.popularity)):
            candidates = np.unique(part.items[part.items != UNKNOWN])
            similarity = self._similarity(model, candidates) if rerank.diversity and len(candidates) else None
            indices = np.searchsorted(candidates, part.items)  # [b, P]; those of UNKNOWN are never used
            order = reorder(part, log_popularity, rerank, n_reordered, indices=indices, similarity=similarity)
            items[rows, :n_reordered] = np.take_along_axis(part.items, order, axis=1)
            scores[rows, :n_reordered] = np.take_along_axis(part.scores, order, axis=1)
        return Ranking(items, scores, ranking.unknown)

    def allowed(self, rerank: Rerank) -> BoolArray | None:
        """Which items pass the filters, None without filters. [I]. An item without a year passes no year filter."""
        if not rerank.filters:
            return None
        passes = np.ones(len(self.catalogue), dtype=bool)
        if rerank.genres:
            names = self.catalogue.genre_names
            for genre in rerank.genres:
                if genre not in names:
                    raise MatineeError(f"no genre {genre!r} in the catalogue{did_you_mean(genre, names)}")
            columns = [names.index(genre) for genre in rerank.genres]
            passes &= self.catalogue.genre_matrix[:, columns].any(axis=1)
        years = np.array(self.catalogue.years)
        if rerank.from_year is not None:
            passes &= years >= rerank.from_year
        if rerank.to_year is not None:
            passes &= (years <= rerank.to_year) & (years > 0)
        return passes

    def _similarity(self, model: Recommender[Any], rows: IntArray) -> FloatArray:
        """Pairwise similarity of n items. [n] -> [n, n].

        The model's own similarity, else the cosine of its item vectors, else (EASE, UserKNN, Popularity) the cosine of
        genres.
        """
        if isinstance(model, HasSimilarity):
            parts = [model.similarity(rows[start : start + BLOCK_ROWS])[:, rows] for start in _starts(len(rows))]
            return np.concatenate(parts) if parts else np.zeros((0, 0), dtype=np.float32)
        if isinstance(model, HasItemVectors):
            vectors = model.item_vectors()[rows]
        else:
            vectors = self.catalogue.genre_matrix[rows].astype(np.float32)
        directions = unit(vectors)
        return directions @ directions.T


def reorder(
    pool: Ranking,
    log_popularity: FloatArray,
    rerank: Rerank,
    k: int,
    *,
    indices: IntArray | None = None,
    similarity: FloatArray | None = None,
) -> IntArray:
    """Columns of the pool that make the list, best first. [B, k].

    pool: B lists of P candidates, P >= k; log_popularity: [I]; similarity: [n, n], with `indices` [B, P] of the pool's
    items in it. Ties keep the pool's order; missing candidates come last.
    """
    missing = pool.items == UNKNOWN
    value = _scaled(pool.scores, missing)
    if rerank.novelty:
        popularity = _scaled(log_popularity[pool.items], missing)
        target = 1 - popularity if rerank.novelty > 0 else popularity
        strength = abs(rerank.novelty)
        value = (1 - strength) * value + strength * target
    value[missing] = -np.inf
    order = np.argsort(-value, axis=1, kind="stable")
    if similarity is None or indices is None:
        return order[:, :k]
    # sorted by value, so that MMR breaks ties by it
    missing = np.take_along_axis(missing, order, axis=1)
    indices = np.where(missing, 0, np.take_along_axis(indices, order, axis=1))
    value = _scaled(np.take_along_axis(value, order, axis=1), missing)
    picked = _mmr(value, missing, indices, np.clip(similarity, 0, 1), (rerank.diversity, k))
    return np.take_along_axis(order, picked, axis=1)


def _mmr(
    value: FloatArray, missing: BoolArray, indices: IntArray, similarity: FloatArray, options: tuple[float, int]
) -> IntArray:
    """Maximal marginal relevance, greedily, for all users at once. value, missing, indices: [B, P] -> [B, k].

    options: diversity and k. Candidates are sorted by value, missing ones last.
    """
    diversity, k = options
    users = np.arange(len(value))
    largest = _largest_similarity(missing, indices, similarity)  # [B, 1]
    closest = np.zeros(value.shape)  # similarity to the most similar item picked so far
    left = ~missing
    picked = np.empty((len(value), k), dtype=np.int64)
    for step in range(k):
        marginal = np.where(left, (1 - diversity) * value - diversity * closest, -np.inf)
        best = marginal.argmax(axis=1)
        best = np.where(left[users, best], best, missing.shape[1] - 1)  # none left: take a missing one, the last
        picked[:, step] = best
        left[users, best] = False
        closest = np.maximum(closest, similarity[indices[users, best][:, None], indices] / largest)
    return picked


def _largest_similarity(missing: BoolArray, indices: IntArray, similarity: FloatArray) -> FloatArray:
    """The largest similarity of two different candidates of each user, 1 if all are 0. [B, 1]."""
    off_diagonal = similarity - np.diag(np.diag(similarity))
    largest = np.ones((len(indices), 1))
    for user, rows in enumerate(indices):
        present = rows[~missing[user]]
        largest[user] = off_diagonal[np.ix_(present, present)].max(initial=0)
    return np.where(largest > 0, largest, 1)


def _scaled(values: FloatArray, missing: BoolArray) -> FloatArray:
    """Min-max scaling of each row to 0..1, ignoring missing entries; 0 for a constant row. [B, P]."""
    low = np.where(missing, np.inf, values).min(axis=1, keepdims=True, initial=np.inf)
    high = np.where(missing, -np.inf, values).max(axis=1, keepdims=True, initial=-np.inf)
    span = np.where(high > low, high - low, 1)
    return np.where(missing, 0, (np.where(missing, 0, values) - np.where(np.isfinite(low), low, 0)) / span)


def _blocks(pool: Ranking, n_items: int) -> Iterator[tuple[slice, Ranking]]:
    """Blocks of users whose candidates have at most BLOCK_PAIRS pairs."""
    max_items = int(BLOCK_PAIRS**0.5)
    size = len(pool) if n_items <= max_items else max(1, max_items // pool.items.shape[1])
    size = max(1, min(size, BLOCK_PAIRS // pool.items.shape[1]))
    for start in range(0, len(pool), size):
        rows = slice(start, start + size)
        yield rows, Ranking(pool.items[rows], pool.scores[rows])


def _starts(n: int) -> range:
    return range(0, n, BLOCK_ROWS)
