"""What the scores of KPRN lose without an event: of the sums over patterns, and of the first stage."""

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray, rows_of
from matinee.histories import Histories
from matinee.models.knowledge.examples import Candidates


def pooled_drops(matrix: csr_array, sums: FloatArray, temperature: float) -> FloatArray:
    """How much T log(1 + Σ) drops without the terms of each entry. matrix [B, I]; sums [nnz, k] -> [nnz, k]."""
    owners = rows_of(matrix.indptr)
    totals = np.zeros((matrix.shape[0], sums.shape[1]))
    np.add.at(totals, owners, sums)
    whole = totals[owners]
    drops: FloatArray = temperature * (np.log1p(whole) - np.log1p(np.maximum(whole - sums, 0)))
    return drops


def pooled_without_each(sums: FloatArray, owners: IntArray, events: IntArray, temperature: float) -> FloatArray:
    """T log(1 + Σ) of the histories without the terms of each of E events. sums [N, k], owners [N] -> [E, k]."""
    totals = np.zeros((int(owners.max(initial=-1)) + 1, sums.shape[1]))
    np.add.at(totals, owners, sums)
    left = np.maximum(totals[owners[events]] - sums[events], 0)
    pooled: FloatArray = temperature * np.log1p(left)
    return pooled


def of_events(matrix: csr_array, values: FloatArray, histories: Histories) -> FloatArray:
    """The values of a matrix's entries for the events of its histories, 0 without an entry. [nnz, k] -> [N, k].

    Those of an item that is in a history twice are split over its events.
    """
    keys = rows_of(matrix.indptr) * matrix.shape[1] + matrix.indices
    wanted = histories.owners * matrix.shape[1] + histories.items
    positions = np.searchsorted(keys, wanted)
    is_entry = np.append(keys, -1)[positions] == wanted
    repeats = np.bincount(positions, minlength=len(keys) + 1)[positions]
    padded = np.vstack([values, np.zeros((1, values.shape[1]))])
    found: FloatArray = padded[positions] * (is_entry / repeats)[:, None]
    return found


def deviations(scores: FloatArray, candidates: Candidates) -> FloatArray:
    """The first stage's standard deviation over each history's candidates, 1 where all are equal. [B, I] -> [B]."""
    raw = scores[candidates.owners, candidates.items].astype(np.float64)
    counts = np.maximum(np.bincount(candidates.owners, minlength=len(scores)), 1)
    means = np.bincount(candidates.owners, raw, minlength=len(scores)) / counts
    squares = np.bincount(candidates.owners, (raw - means[candidates.owners]) ** 2, minlength=len(scores)) / counts
    found: FloatArray = np.sqrt(np.where(squares > 0, squares, 1))
    return found
