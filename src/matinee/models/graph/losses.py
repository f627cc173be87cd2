"""Losses of each training step of a graph model: every loss with every kind of negative."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional

from matinee.arrays import BoolArray, IntArray
from matinee.models.graph.bipartite import BipartiteGraph
from matinee.nn.gradients import loss_with_gradients
from matinee.nn.ranking_losses import NegativeSampler, sampled_loss
from matinee.nn.sparse_rows import batches
from matinee.training.configs import ObjectiveConfig

BLOCK_SCORES = 2**22
"""Number of scores held at once by the catalogue softmax (16 MB)."""
Embed = Callable[[], tuple[Tensor, Tensor]]
"""Returns the current embeddings of all users [U, D] and items [I, D]."""


Penalised = tuple[float, Tensor, Tensor]
"""Strength of an L2 penalty, and the parameters of users [U, D] and items [I, D] that it is on."""


def ranking_losses(
    config: ObjectiveConfig,
    matrix: csr_array,
    embed: Embed,
    rng: np.random.Generator,
    penalised: Penalised | None = None,
) -> Callable[[], Iterator[Tensor]]:
    """A function that yields the losses of one epoch. matrix: binary, [U, I]; `embed` is called once a step.

    penalised: adds the mean over a step's triples (user, positive, negative) of l2 / 2 · (|u|² + |i|² + |j|²); softmax
    has no triples and ignores it. Source: He et al. 2020, eq. 15, divided by the batch as in the authors' code.
    """
    if config.loss == "softmax":
        return _softmax_losses(config, matrix, embed, rng)
    sampler = NegativeSampler(config.negatives, matrix, config.n_negatives, rng)
    users = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return lambda: _sampled_losses(config, (users, matrix.indices), sampler, embed, penalised)


def _softmax_losses(
    config: ObjectiveConfig, matrix: csr_array, embed: Embed, rng: np.random.Generator
) -> Callable[[], Iterator[Tensor]]:
    active = np.flatnonzero(np.diff(matrix.indptr))

    def prepare(rows: IntArray) -> tuple[IntArray, BipartiteGraph, Tensor]:
        """User rows, the weight of each of their events, and the row sums."""
        targets = matrix[rows]
        lengths = np.diff(targets.indptr)
        weights = lengths**-config.user_power / (lengths ** (1 - config.user_power)).sum()  # of each event
        targets.data = np.repeat(weights, lengths).astype(np.float32)
        return rows, BipartiteGraph(targets), torch.from_numpy((weights * lengths).astype(np.float32))

    is_full_batch = 0 in (config.batch_size, max(0, len(active) - config.batch_size))
    full_batch = prepare(active) if is_full_batch else None

    def losses() -> Iterator[Tensor]:
        for indices in batches(len(active), config.batch_size, rng):
            rows, targets, user_weights = full_batch or prepare(active[indices])
            users, items = embed()
            users = _normalise(_select(users, rows), config) / config.temperature
            yield catalogue_softmax(users, _normalise(items, config), targets, user_weights)

    return losses


def _sampled_losses(
    config: ObjectiveConfig,
    pairs: tuple[IntArray, IntArray],
    sampler: NegativeSampler,
    embed: Embed,
    penalised: Penalised | None,
) -> Iterator[Tensor]:
    for indices in batches(len(pairs[0]), config.batch_size, sampler.rng):
        user_rows, item_rows = pairs[0][indices], pairs[1][indices]
        sampled = sampler.draw(user_rows, item_rows)
        all_users, all_items = embed()
        users = _normalise(_select(all_users, user_rows), config) / config.temperature  # [P, D]
        items = _normalise(all_items, config)
        positives = (users * _select(items, item_rows)).sum(dim=1)  # [P]
        candidates = _select(items, sampled.items)  # [P, n, D], or [n, D] shared by the batch
        is_shared = candidates.ndim == 2
        negatives = users @ candidates.T if is_shared else (candidates @ users[:, :, None])[:, :, 0]  # [P, n]
        if config.log_q:
            negatives = negatives - torch.from_numpy(sampled.log_q)
        excluded = sampled.excluded if config.mask_seen else sampled.items == item_rows[:, None]
        loss = sampled_loss(config.loss, positives, negatives.masked_fill(torch.from_numpy(excluded), -torch.inf))
        yield loss + _l2(penalised, user_rows, item_rows, sampled.items, ~excluded) if penalised else loss


def _l2(
    penalised: Penalised, user_rows: IntArray, item_rows: IntArray, negative_rows: IntArray, included: BoolArray
) -> Tensor:
    """Penalty of a step: user_rows [P], item_rows [P], negative_rows [P, n] or [n], included [P, n]."""
    strength, users, items = penalised
    counts = torch.from_numpy(included.astype(np.float32))  # [P, n]
    pairs = _select(users, user_rows).square().sum(dim=1) + _select(items, item_rows).square().sum(dim=1)  # [P]
    triples = pairs[:, None] + _select(items, negative_rows).square().sum(dim=-1)  # [P, n]
    return strength / 2 * (counts * triples).sum() / counts.sum().clamp(min=1)


def _normalise(vectors: Tensor, config: ObjectiveConfig) -> Tensor:
    """Rows of length 1 if the similarity is the cosine, else as given. [n, D]."""
    return functional.normalize(vectors, dim=1) if config.similarity == "cosine" else vectors


def _select(vectors: Tensor, rows: IntArray) -> Tensor:
    """Rows of a table through `embedding`, whose backward is faster than indexing's. -> rows.shape + [D]."""
    return functional.embedding(torch.from_numpy(rows.astype(np.int64)), vectors)


def catalogue_softmax(users: Tensor, items: Tensor, targets: BipartiteGraph, user_weights: Tensor) -> Tensor:
    """Σ_u user_weight_u · log Σ_j exp(u · j) - Σ_ui target_ui · (u · i). A scalar.

    users [B, D] and items [I, D], already divided by the temperature; targets [B, I], the weight of each positive
    pair; user_weights [B], its row sums. With every target 1 / (number of events) this is the mean over events of
    -log softmax(u · i) over the whole catalogue.
    """
    return loss_with_gradients(_catalogue_softmax, users, items, targets, user_weights)


def _catalogue_softmax(
    users: Tensor, items: Tensor, targets: BipartiteGraph, user_weights: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Loss and both gradients in one pass over blocks of users; never holds all [B, I] scores."""
    user_grad, item_grad = torch.empty_like(users), torch.zeros_like(items)
    total = users.new_zeros(())
    size = max(1, BLOCK_SCORES // max(1, len(items)))
    for start in range(0, len(users), size):
        block, weights = users[start : start + size], user_weights[start : start + size, None]  # [b, D], [b, 1]
        scores = block @ items.T  # [b, I]
        highest = scores.amax(dim=1, keepdim=True)
        scores.sub_(highest).exp_()
        sums = scores.sum(dim=1, keepdim=True)
        total += (weights * (sums.log() + highest)).sum()
        scores.mul_(weights / sums)
        torch.mm(scores, items, out=user_grad[start : start + size])
        item_grad.addmm_(scores.T, block)
    target_sums = targets.by_user @ items  # [B, D]
    user_grad -= target_sums
    item_grad -= targets.by_item @ users
    return total - (users * target_sums).sum(), (user_grad, item_grad)
