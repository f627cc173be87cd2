"""What a second stage knows of a candidate beside its scores: facts of the item, the history, and both."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array

from matinee.arrays import BoolArray, FloatArray, IntArray, gather, starts_of
from matinee.histories import Histories, TrainingData
from matinee.models.ensembles.fusion import normalised
from matinee.nn.sparse_rows import product_of_few

FEW = 16
"""Histories whose profiles are in a dense table at once: of entities, which may be tens of thousands."""
DAY = 86_400
N_FACTS = 6
"""Features that rest on no score."""


@dataclass(frozen=True, slots=True, eq=False)
class ItemFacts:
    """Facts of I items.

    popularity: [I], log(1 + training events); ages: [I], log(1 + days) from the item's first event to the last of all;
    entities: [I, E], what the knowledge graph says of the item (genres, decades, people), each row summing to 1; end:
    time of the last training event.
    """

    popularity: FloatArray
    ages: FloatArray
    entities: csr_array
    end: int

    @classmethod
    def of(cls, known: TrainingData) -> "ItemFacts":
        """The facts that training data give; an item without events has age 0."""
        firsts = np.full(known.n_items, known.end, dtype=np.int64)
        np.minimum.at(firsts, known.histories.items, known.histories.times)
        ages = np.log1p((known.end - firsts) / DAY).astype(np.float32)
        return cls(np.log1p(known.popularity).astype(np.float32), ages, _entities(known), known.end)


def _entities(known: TrainingData) -> csr_array:
    """The entities of each item, whose row sums to 1; an empty column where there is no graph. [I, E]."""
    graph, n_items = known.graph, known.n_items
    if graph is None or not len(graph.names):
        none = np.zeros(0, dtype=np.int32)
        return csr_array((none.astype(np.float32), none, np.zeros(n_items + 1, np.int32)), shape=(n_items, 1))
    of_item = (graph.heads < n_items) & (graph.tails >= n_items)
    pairs = graph.heads[of_item], graph.tails[of_item] - n_items
    ones = np.ones(len(pairs[0]), dtype=np.float32)
    found = coo_array((ones, pairs), shape=(n_items, len(graph.names))).tocsr()
    found.data /= np.repeat(np.maximum(np.asarray(found.sum(axis=1)), 1), np.diff(found.indptr))
    return found


def features_of(
    facts: ItemFacts,
    scores: Sequence[FloatArray],
    histories: Histories,
    owners: IntArray,
    items: IntArray,
    chosen: IntArray | None = None,
) -> FloatArray:
    """Features of q candidates, or of the chosen ones among them. [q, 2 P + 6] float32.

    Each part's z-score, and log(1 + rank) among the candidates; the item's popularity and age; the share of the history
    that has the item's entities; log(1 + length) of the history, its mean popularity, and log(1 + days) since its last
    event before the end of training. scores: [b, I] of each part; owners, items: [q], by owner.
    """
    return features_by([z_scores(each) for each in scores], facts, histories, owners, items, chosen)


def features_by(
    standard: Sequence[FloatArray],
    facts: ItemFacts,
    histories: Histories,
    owners: IntArray,
    items: IntArray,
    chosen: IntArray | None = None,
    asked: BoolArray | None = None,
) -> FloatArray:
    """As `features_of`, from the parts' z-scores [b, I]. asked: [F], others than z-scores are 0 where not asked."""
    some = slice(None) if chosen is None else chosen
    n_of_parts = 2 * len(standard)
    asked = np.ones(n_of_parts + N_FACTS, dtype=bool) if asked is None else asked
    features = np.zeros((len(owners[some]), len(asked)), dtype=np.float32)
    for column, each in zip(range(0, n_of_parts, 2), standard, strict=True):
        known = each[owners, items]
        features[:, column] = known[some]
        if asked[column + 1]:
            features[:, column + 1] = np.log1p(_ranks(known, owners, len(histories))[some])
    if asked[n_of_parts:].any():
        features[:, n_of_parts:] = _facts_of(facts, histories, owners[some], items[some])
    return features


def _facts_of(facts: ItemFacts, histories: Histories, owners: IntArray, items: IntArray) -> FloatArray:
    """The features of `features_of` that rest on no score. [q, 6]."""
    lengths = np.maximum(histories.lengths, 1)
    mean_popularity = np.bincount(histories.owners, facts.popularity[histories.items], len(histories)) / lengths
    lasts = np.full(len(histories), facts.end, dtype=np.int64)
    has_events = histories.lengths > 0
    lasts[has_events] = histories.times[histories.starts[1:][has_events] - 1]
    since = np.log1p(np.maximum(facts.end - lasts, 0) / DAY)
    shared = _shared(facts, histories, owners, items) / lengths[owners]
    of_history = (np.log1p(histories.lengths), mean_popularity, since)
    return np.stack(
        [facts.popularity[items], facts.ages[items], shared, *(column[owners] for column in of_history)], axis=1
    )


def z_scores(scores: FloatArray) -> FloatArray:
    """One model's scores with mean 0 and deviation 1 over all items. [b, I] -> [b, I]."""
    return normalised(scores, "z-score", 1.0)


def _ranks(scores: FloatArray, owners: IntArray, n_users: int) -> IntArray:
    """Rank of each candidate among those of its user, from 0; equal ones by position. scores float32 -> [q].

    Keys of 64 bits, the score's bits in ascending order and the position, are sorted by user.
    """
    starts = starts_of(owners, n_users)
    positions = np.arange(len(owners)) - starts[owners]
    bits = (np.float32(0) - scores).view(np.int32).astype(np.int64)
    bits ^= (bits >> 31) & 0x7FFFFFFF  # floats of one sign are ordered as integers, negative ones the other way round
    keys = np.full((n_users, int(np.diff(starts).max(initial=0))), np.iinfo(np.int64).max)
    keys[owners, positions] = (bits << 32) | positions
    keys.sort(axis=1)
    ranks = np.empty(len(owners), dtype=np.int64)
    ranks[starts[owners] + (keys[owners, positions] & 0xFFFFFFFF)] = positions
    return ranks


def _shared(facts: ItemFacts, histories: Histories, owners: IntArray, items: IntArray) -> FloatArray:
    """The inner products of what histories and items have of each entity, of q pairs by owner. [q], [q] -> [q]."""
    matrix = histories.matrix(len(facts.popularity))
    is_one = len(histories) == 1
    profiles = product_of_few(matrix, facts.entities) if is_one else csr_array(matrix @ facts.entities)  # [b, E]
    starts, indices = gather(facts.entities.indptr, items)
    columns, parts = facts.entities.indices[indices], facts.entities.data[indices]
    found = np.empty(len(items), dtype=np.float32)
    for first in range(0, len(histories), FEW):
        start, stop = np.searchsorted(owners, [first, first + FEW])
        terms = slice(starts[start], starts[stop])
        pairs = np.repeat(np.arange(stop - start), np.diff(starts[start : stop + 1]))
        block = profiles[first : first + FEW]
        dense = block if isinstance(block, np.ndarray) else block.toarray()
        of_owners = dense[owners[start:stop][pairs] - first, columns[terms]]
        found[start:stop] = np.bincount(pairs, of_owners * parts[terms], minlength=stop - start)
    return found
