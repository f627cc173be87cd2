"""Rerank: what a person asks of a list beside their history. One place, for evaluation, commands and the site.

Genres and years go to rank() as `allowed`. The rest orders anew the first POOL items of its list:

    worth = (1 - |a|) relevance + a (1 - fame)     a = novelty >= 0;  a < 0: (1 - |a|) relevance + |a| fame
    next  = argmax over the items left of (1 - v) worth - v max over those listed of likeness(item, listed)

relevance is the model's score, fame the logarithm of 1 + training events and worth what the line above makes of them,
each scaled to 0..1 over the user's pool. The second line is maximal marginal relevance (Carbonell and Goldstein 1998,
section 2, their lambda being 1 - v), v = diversity. Likeness is clipped to 0..1 and divided by the largest of the pool.
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
from matinee.ranking.rank import Ranking, rank
from matinee.vocab import UNKNOWN

POOL = 200
"""Items that are ordered anew, or as many as the list is long: lists of 10 to 100 have room, and pages stay quick."""
BLOCK_PAIRS = 2**22
"""Pairs of items whose likeness is held at once: 16 MB."""
BLOCK_ROWS = 256

__all__ = ["POOL", "RankOptions", "Rerank", "Reranker", "reorder"]


class RankOptions(TypedDict, total=False):
    """The options of rank() that rerank passes on."""

    masked: Histories | None
    cold: FloatArray | IntArray | None
    repeat: bool


@dataclass(frozen=True, eq=False)
class Reranker:
    """rank() for lists that may be reranked. popularity: [I] training events."""

    catalogue: Catalogue
    popularity: IntArray

    def rank(
        self,
        model: Recommender[Any],
        histories: Histories,
        k: int,
        rerank: Rerank | None = None,
        **options: Unpack[RankOptions],
    ) -> Ranking:
        """The k best items for each history, as reranked; without rerank just what ranking gives, bit for bit.

        Scores are the model's own, so that where the order was changed they do not descend. The pool holds what
        `allowed` lets through. Raises as rank(), and MatineeError for a genre that the catalogue does not have.
        """
        rerank = rerank or Rerank()
        allowed = self.allowed(rerank)
        if not rerank.reorders:
            return rank(model, histories, k, allowed=allowed, **options)
        pool = rank(model, histories, max(k, POOL), allowed=allowed, **options)
        fame = np.log1p(self.popularity.astype(np.float64))
        items, scores = np.empty((len(pool), k), dtype=np.int32), np.empty((len(pool), k), dtype=np.float32)
        for rows, part in _blocks(pool, len(self.popularity)):
            candidates = np.unique(part.items[part.items != UNKNOWN])
            table = self._likeness(model, candidates) if rerank.diversity and len(candidates) else None
            places = np.searchsorted(candidates, part.items)  # [b, P]; those of UNKNOWN are never used
            order = reorder(part, fame, rerank, k, places=places, likeness=table)
            items[rows] = np.take_along_axis(part.items, order, axis=1)
            scores[rows] = np.take_along_axis(part.scores, order, axis=1)
        return Ranking(items, scores)

    def allowed(self, rerank: Rerank) -> BoolArray | None:
        """Which items pass the filters, None where there are none. [I]. An item without a year passes no year."""
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

    def _likeness(self, model: Recommender[Any], rows: IntArray) -> FloatArray:
        """How alike some items are, in pairs. [n] -> [n, n].

        By the model's own similarity, else the cosine of its item vectors, else (EASE, UserKNN, Popularity) the
        cosine of their genres.
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
    fame: FloatArray,
    rerank: Rerank,
    k: int,
    *,
    places: IntArray | None = None,
    likeness: FloatArray | None = None,
) -> IntArray:
    """Which places of a pool make the list, best first. [B, k].

    pool: B lists of P candidates, P >= k; fame: [I]; likeness: [n, n], the items of the pool standing at `places`
    [B, P] of it. Equal ones keep the pool's order; missing candidates stay last.
    """
    missing = pool.items == UNKNOWN
    worth = _scaled(pool.scores, missing)
    if rerank.novelty:
        known = _scaled(fame[pool.items], missing)
        wanted = 1 - known if rerank.novelty > 0 else known
        strength = abs(rerank.novelty)
        worth = (1 - strength) * worth + strength * wanted
    worth[missing] = -np.inf
    order = np.argsort(-worth, axis=1, kind="stable")
    if likeness is None or places is None:
        return order[:, :k]
    # in the order of worth, so that equal ones are taken in it
    missing = np.take_along_axis(missing, order, axis=1)
    places = np.where(missing, 0, np.take_along_axis(places, order, axis=1))
    worth = _scaled(np.take_along_axis(worth, order, axis=1), missing)
    picked = _marginal(worth, missing, places, np.clip(likeness, 0, 1), (rerank.diversity, k))
    return np.take_along_axis(order, picked, axis=1)


def _marginal(
    worth: FloatArray, missing: BoolArray, places: IntArray, likeness: FloatArray, asked: tuple[float, int]
) -> IntArray:
    """Maximal marginal relevance, greedy steps for all users at once. worth, missing, places: [B, P] -> [B, k].

    asked: diversity and k. Candidates stand in the order of worth, those missing last.
    """
    diversity, k = asked
    users = np.arange(len(worth))
    largest = _largest_pairs(missing, places, likeness)  # [B, 1]
    nearest = np.zeros(worth.shape)  # likeness to the most alike of those listed
    left = ~missing
    picked = np.empty((len(worth), k), dtype=np.int64)
    for step in range(k):
        value = np.where(left, (1 - diversity) * worth - diversity * nearest, -np.inf)
        best = value.argmax(axis=1)
        best = np.where(left[users, best], best, missing.shape[1] - 1)  # none left: the last is a missing one
        picked[:, step] = best
        left[users, best] = False
        nearest = np.maximum(nearest, likeness[places[users, best][:, None], places] / largest)
    return picked


def _largest_pairs(missing: BoolArray, places: IntArray, likeness: FloatArray) -> FloatArray:
    """The largest likeness of two different candidates of each user, 1 where none are alike. [B, 1]."""
    off_diagonal = likeness - np.diag(np.diag(likeness))
    largest = np.ones((len(places), 1))
    for user, rows in enumerate(places):
        present = rows[~missing[user]]
        largest[user] = off_diagonal[np.ix_(present, present)].max(initial=0)
    return np.where(largest > 0, largest, 1)


def _scaled(values: FloatArray, missing: BoolArray) -> FloatArray:
    """Rows from their least to their largest as 0 to 1; equal ones 0. [B, P]. Those missing are left out."""
    low = np.where(missing, np.inf, values).min(axis=1, keepdims=True, initial=np.inf)
    high = np.where(missing, -np.inf, values).max(axis=1, keepdims=True, initial=-np.inf)
    span = np.where(high > low, high - low, 1)
    return np.where(missing, 0, (np.where(missing, 0, values) - np.where(np.isfinite(low), low, 0)) / span)


def _blocks(pool: Ranking, n_items: int) -> Iterator[tuple[slice, Ranking]]:
    """Users of a pool, as many at a time as keep the table of pairs within BLOCK_PAIRS."""
    most = int(BLOCK_PAIRS**0.5)
    size = len(pool) if n_items <= most else max(1, most // pool.items.shape[1])
    size = max(1, min(size, BLOCK_PAIRS // pool.items.shape[1]))
    for start in range(0, len(pool), size):
        rows = slice(start, start + size)
        yield rows, Ranking(pool.items[rows], pool.scores[rows])


def _starts(n: int) -> range:
    return range(0, n, BLOCK_ROWS)
