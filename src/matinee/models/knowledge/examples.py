"""What KPRN learns to rank: users whose events are partly held out, and the candidates that the rest of them gives."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from matinee.arrays import BoolArray, FloatArray, IntArray, starts_of, top_k
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.held_out import ndcg_of_users

BLOCK = 512
"""Histories scored at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The candidates of B histories, best first: owners, items, [Q] pairs by owner; scores: [Q], standardised."""

    owners: IntArray
    items: IntArray
    scores: FloatArray

    @property
    def log_ranks(self) -> FloatArray:
        """log(1 + rank) of each candidate in its list, from 0. [Q]."""
        firsts = np.searchsorted(self.owners, self.owners)
        logs: FloatArray = np.log1p(np.arange(len(firsts)) - firsts).astype(np.float32)
        return logs

    def take(self, rows: IntArray | BoolArray) -> "Candidates":
        """Some of the pairs."""
        return Candidates(self.owners[rows], self.items[rows], self.scores[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Users to train on: their histories without what is held out, candidates, and which of these are held out. [Q]."""

    histories: Histories
    candidates: Candidates
    is_target: BoolArray

    def users(self, rows: IntArray) -> "Examples":
        """Some of the users."""
        index = np.full(len(self.histories), -1)
        index[rows] = np.arange(len(rows))
        chosen = np.flatnonzero(index[self.candidates.owners] >= 0)
        chosen = chosen[np.argsort(index[self.candidates.owners[chosen]], kind="stable")]
        found = self.candidates.take(chosen)
        found = replace(found, owners=index[found.owners])
        return Examples(self.histories.take(rows), found, self.is_target[chosen])


def candidates_of(scores: FloatArray, histories: Histories, k: int) -> Candidates:
    """The k best items outside each history, with scores of mean 0 and deviation 1 over each list. scores [B, I]."""
    outside = scores.copy()
    outside[histories.owners, histories.items] = -np.inf
    columns, best = top_k(outside, min(k, scores.shape[1]))
    listed = np.isfinite(best)
    counts = np.maximum(listed.sum(axis=1, keepdims=True), 1)
    known = np.where(listed, best, 0).astype(np.float64)
    centred = np.where(listed, known - known.sum(axis=1, keepdims=True) / counts, 0)
    deviations = np.sqrt((centred**2).sum(axis=1, keepdims=True) / counts)
    standard = centred / np.where(deviations > 0, deviations, 1)
    owners, ranks = np.nonzero(listed)
    return Candidates(owners, columns[owners, ranks].astype(np.int64), standard[owners, ranks].astype(np.float32))


def examples_of(
    first_stage: Recommender[Any], train: TrainingData, held: BoolArray, k: int, users: IntArray
) -> Examples:
    """The examples of some users, of a first stage that was fitted without the held-out events [N] of `train`."""
    histories, owners = train.histories.keep(~held), train.histories.owners
    targets = owners[held] * train.n_items + train.histories.items[held]
    parts = []
    for start in range(0, len(users), BLOCK):
        block = histories.take(users[start : start + BLOCK])
        found = candidates_of(first_stage.score(first_stage.fold_in(block)), block, k)
        parts.append(replace(found, owners=found.owners + start))
    none = np.zeros(0, dtype=np.int64)
    parts.append(Candidates(none, none, none.astype(np.float32)))
    owners, items, scores = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("owners", "items", "scores")
    )
    found = Candidates(owners, items, scores)
    is_target = np.isin(users[found.owners] * train.n_items + found.items, targets)
    return Examples(histories.take(users), found, is_target)


def batches(
    examples: Examples, size: int, n_negatives: int, rng: np.random.Generator
) -> Iterator[tuple[IntArray, IntArray]]:
    """Pairs of a random batch of users, all targets and a sample of the others, and the user of each. [n], [n]."""
    owners, n_users = examples.candidates.owners, len(examples.histories)
    starts = starts_of(owners, n_users)
    order = rng.permutation(n_users)
    keys = rng.random(len(owners))
    keys[examples.is_target] = -1
    n_kept = np.bincount(owners[examples.is_target], minlength=n_users) + n_negatives
    ranked = np.lexsort((keys, owners))
    kept = np.zeros(len(owners), dtype=bool)
    kept[ranked[np.arange(len(owners)) - starts[owners[ranked]] < n_kept[owners[ranked]]]] = True
    for start in range(0, n_users, size):
        chosen = np.zeros(n_users, dtype=bool)
        chosen[order[start : start + size]] = True
        pairs = np.flatnonzero(kept & chosen[owners])
        yield pairs, owners[pairs]


def ndcg(scores: FloatArray, examples: Examples, k: int = 10) -> float:
    """Mean NDCG@k of the candidates in the order of some scores [Q], over users with a target among them."""
    n_targets = np.bincount(examples.candidates.owners[examples.is_target], minlength=len(examples.histories))
    found = ndcg_of_users(scores, examples.candidates.owners, examples.is_target, n_targets, k)
    return float(np.nanmean(found)) if n_targets.any() else 0.0
