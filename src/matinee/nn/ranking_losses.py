"""The steps of an epoch for models that give users and items vectors: every loss with every kind of negative."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional

from matinee.arrays import IntArray
from matinee.nn.losses import catalogue_softmax, sampled_loss
from matinee.nn.negatives import NegativeSampler
from matinee.nn.sparse_rows import batches
from matinee.nn.sparse_tensors import Graph
from matinee.training.configs import ObjectiveConfig

Embed = Callable[[], tuple[Tensor, Tensor]]
"""The vectors of all users [U, D] and items [I, D] as of now."""


def losses_of(
    config: ObjectiveConfig, matrix: csr_array, embed: Embed, rng: np.random.Generator
) -> Callable[[], Iterator[Tensor]]:
    """A function that yields the losses of one epoch; `embed` is called once a step. matrix: binary, [U, I]."""
    if config.loss == "softmax":
        return _softmax_losses(config, matrix, embed, rng)
    sampler = NegativeSampler(config.negatives, matrix, config.n_negatives, rng)
    users = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return lambda: _sampled_losses(config, (users, matrix.indices), sampler, embed)


def directed(vectors: Tensor, config: ObjectiveConfig) -> Tensor:
    """Vectors of length 1 if the similarity is the cosine. [n, D]."""
    return functional.normalize(vectors, dim=1) if config.similarity == "cosine" else vectors


def _softmax_losses(
    config: ObjectiveConfig, matrix: csr_array, embed: Embed, rng: np.random.Generator
) -> Callable[[], Iterator[Tensor]]:
    active = np.flatnonzero(np.diff(matrix.indptr))

    def prepared(rows: IntArray) -> tuple[IntArray, Graph, Tensor]:
        """Rows, what each own item counts, and its row sums."""
        own = matrix[rows]
        lengths = np.diff(own.indptr)
        worth = lengths**-config.user_power / (lengths ** (1 - config.user_power)).sum()  # of each event
        own.data = np.repeat(worth, lengths).astype(np.float32)
        return rows, Graph(own), torch.from_numpy((worth * lengths).astype(np.float32))

    full = 0 in (config.batch_size, max(0, len(active) - config.batch_size))
    whole = prepared(active) if full else None

    def losses() -> Iterator[Tensor]:
        for places in batches(len(active), config.batch_size, rng):
            rows, own, shares = whole or prepared(active[places])
            users, items = embed()
            chosen = directed(_rows(users, rows), config) / config.temperature
            yield catalogue_softmax(chosen, directed(items, config), own, shares)

    return losses


def _sampled_losses(
    config: ObjectiveConfig, pairs: tuple[IntArray, IntArray], sampler: NegativeSampler, embed: Embed
) -> Iterator[Tensor]:
    for places in batches(len(pairs[0]), config.batch_size, sampler.rng):
        user_rows, item_rows = pairs[0][places], pairs[1][places]
        drawn = sampler.draw(user_rows, item_rows)
        users, items = embed()
        own = directed(_rows(users, user_rows), config) / config.temperature  # [P, D]
        items = directed(items, config)
        positives = (own * _rows(items, item_rows)).sum(dim=1)  # [P]
        candidates = _rows(items, drawn.items)  # [P, n, D], or [n, D] for all
        negatives = own @ candidates.T if candidates.ndim == 2 else (candidates @ own[:, :, None])[:, :, 0]  # [P, n]
        if config.log_q:
            negatives = negatives - torch.from_numpy(drawn.log_q)
        left_out = drawn.left_out if config.mask_seen else drawn.items == item_rows[:, None]
        yield sampled_loss(config.loss, positives, negatives.masked_fill(torch.from_numpy(left_out), -torch.inf))


def _rows(vectors: Tensor, rows: IntArray) -> Tensor:
    """Some rows of a table; its gradient is faster than that of indexing. [n, D] -> rows.shape + [D]."""
    return functional.embedding(torch.from_numpy(rows.astype(np.int64)), vectors)
