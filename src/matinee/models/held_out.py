"""Events that a model over other models holds out of its own training data, and the lists that are to find them."""

from dataclasses import replace
from typing import Literal

import numpy as np

from matinee.arrays import BoolArray, FloatArray, IntArray, starts_of
from matinee.histories import TrainingData

Which = Literal["random", "last"]
LEAST_EVENTS = 3
"""Liked events of a user of whom some are held out."""


def hold_out(
    train: TrainingData, share: float, rng: np.random.Generator, which: Which = "random"
) -> tuple[TrainingData, BoolArray]:
    """The training data without a share of each user's events, of users with 3 or more; what is held out. [N].

    which: random events, at least one; or the last one alone, for models of the next item. Events that weigh 0 or less
    are never held out: they are nothing to find.
    """
    histories = train.histories
    owners, liked = histories.owners, histories.weights > 0
    counts = np.bincount(owners[liked], minlength=len(histories))
    if which == "random":
        order = rng.random(len(histories.items))
        wanted = np.where(counts >= LEAST_EVENTS, np.maximum(1, np.floor(share * counts)), 0)
    else:
        order = -np.arange(len(histories.items), dtype=np.float64)
        wanted = np.where(counts >= LEAST_EVENTS, 1, 0)
    ranked = np.lexsort((order, ~liked, owners))
    positions = np.empty(len(order), dtype=np.int64)
    positions[ranked] = np.arange(len(order)) - histories.starts[owners[ranked]]
    held = (positions < wanted[owners]) & liked
    return replace(train, histories=histories.keep(~held)), held


def ndcg_of_users(
    scores: FloatArray, owners: IntArray, is_target: BoolArray, n_targets: IntArray, k: int = 10
) -> FloatArray:
    """NDCG@k of each user's candidates in the order of some scores; NaN of users without a target. [B].

    scores, owners, is_target: [Q], candidates by user; equal scores stay in their order. n_targets: [B], all targets,
    whether candidates or not.
    """
    n_users = len(n_targets)
    order = np.lexsort((np.arange(len(owners)), -scores, owners))
    ranks = np.arange(len(owners)) - starts_of(owners, n_users)[owners[order]]
    gains = np.where((ranks < k) & is_target[order], 1 / np.log2(ranks + 2.0), 0)
    ideal = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(k) + 2.0))])[np.minimum(n_targets, k)]
    found = np.bincount(owners, gains, minlength=n_users) if len(owners) else np.zeros(n_users)
    return np.where(n_targets > 0, found / np.where(ideal > 0, ideal, 1), np.nan)
