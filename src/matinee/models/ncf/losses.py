"""The losses of an epoch: steps of users against the catalogue, or steps of events against sampled negatives."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional

from matinee.arrays import FloatArray, IntArray, rows_of
from matinee.models.ncf.config import NCFConfig, TowerConfig
from matinee.models.ncf.network import NCFNetwork
from matinee.nn.candidates import Candidates, shared_cells
from matinee.nn.ranking_losses import NegativeSampler, sampled_loss
from matinee.nn.sparse_rows import batches
from matinee.training.transfers import block_cells, to_rows, to_tensor

BLOCK_VALUES = 2**20
"""Most activations of the first layer held at once on a CPU (4 MB)."""


def ncf_losses(
    config: NCFConfig, matrix: csr_array, network: NCFNetwork, rng: np.random.Generator
) -> Callable[[], Iterator[Tensor]]:
    """A function that yields the losses of one epoch. matrix: binary, [U, I]."""
    if config.loss == "softmax" or config.candidates:
        candidates = Candidates(matrix, config.candidates, rng)
        return lambda: _user_steps(config, matrix, candidates, network)
    sampler = NegativeSampler(config.negatives, matrix, config.n_negatives, rng)
    return lambda: _event_steps(config, matrix, sampler, network)


def _user_steps(config: NCFConfig, matrix: csr_array, candidates: Candidates, network: NCFNetwork) -> Iterator[Tensor]:
    """Steps of `batch_size` users: the terms of their events exactly, those of other items through the candidates."""
    active, device = np.flatnonzero(np.diff(matrix.indptr)), network.device
    tower_l2 = config.tower_l2 if isinstance(config, TowerConfig) else 0.0
    for batch in batches(len(active), config.batch_size, candidates.rng):
        rows = np.sort(active[batch])
        positives = matrix[rows]
        drawn, weights = candidates.draw()
        step = _UserStep(config, network, positives, (drawn, weights), candidates.is_everything)
        size = len(rows)
        if not network.buffers:  # batch normalisation needs the whole step at once
            size = max(1, block_cells(device, BLOCK_VALUES) // (len(drawn) * max(1, network.width)))
        slices = [slice(start, start + size) for start in range(0, len(rows), size)]
        tower, users, items = network.tower_parameters(), network.users(rows), network.items()
        total: Tensor = _BlockwiseSum.apply(  # type: ignore[no-untyped-call]
            step, slices, tower, network.project_users(users), network.project_items(items), *tower
        )
        share = len(rows) / len(active)  # of the item and tower penalties, which an epoch counts once
        penalty = config.l2 * (_squared_norms(users).sum() + share * _squared_norms(items).sum())
        penalty = penalty + share * tower_l2 * network.tower_squared_norm()
        yield (total + matrix.nnz / len(active) * penalty) / step.n_terms


class _UserStep:
    """The loss of one step of users.

    positives: their events, binary [b, I]; candidates: item rows [n] and weights [n].
    softmax: Σ over events of -log(e^s / Σ_j e^s_j). bce: -log σ(s) of each event, and n_negatives n_u / (I - n_u) times
    -log σ(-s) of each other item: the expectation of sampling n_negatives of them per event.
    Sums over other items are estimated without bias from the candidates.
    """

    def __init__(
        self,
        config: NCFConfig,
        network: NCFNetwork,
        positives: csr_array,
        candidates: tuple[IntArray, FloatArray],
        everything: bool,
    ) -> None:
        self.softmax, self.network = config.loss == "softmax", network
        self.positives, self.everything = positives, everything
        dtype = network.parameters["users"].dtype
        self.drawn, self.weights = candidates[0], to_tensor(candidates[1], network.device).to(dtype)
        self.lengths = to_tensor(np.diff(positives.indptr), network.device).to(dtype)
        self.negative_weights = config.n_negatives * self.lengths / (positives.shape[1] - self.lengths).clamp(min=1)
        self.n_terms = positives.nnz * (1 if self.softmax else 1 + config.n_negatives)

    def item_rows(self, block: slice) -> IntArray:
        """The items that the loss of a block of users reads, ascending: its events' and the candidates. [m]."""
        if self.everything:
            return self.drawn
        return np.union1d(self.positives[block].indices, self.drawn)

    def loss(self, block: slice, users: Tensor, items: Tensor, item_rows: IntArray) -> Tensor:
        """The loss of a block of users, from projected users [b, D + W] and the block's projected items [m, D + W]."""
        positives, weights, device = self.positives[block], self.weights, users.device
        owners = to_rows(rows_of(positives.indptr), device)
        events = to_rows(np.searchsorted(item_rows, positives.indices), device)
        drawn = to_rows(np.searchsorted(item_rows, self.drawn), device)
        table = items if self.everything else functional.embedding(drawn, items)
        pairs = events[:0] if self.everything else events  # the table has every positive already
        pair_users = functional.embedding(owners[: len(pairs)], users)
        crossed, scored = self.network.scores(users, table, pair_users, functional.embedding(pairs, items))
        if self.everything:
            scored = crossed[owners, events]
        is_positive = torch.zeros(crossed.shape, dtype=torch.bool, device=device)
        is_positive[tuple(to_tensor(each, device) for each in shared_cells(positives, self.drawn))] = True
        others = crossed.masked_fill(is_positive, -torch.inf)  # [b, n]
        if self.softmax:
            return (self.lengths[block] * _log_sums(scored, owners, others, weights)).sum() - scored.sum()
        negatives = functional.softplus(others) @ weights  # [b]
        return functional.softplus(-scored).sum() + (self.negative_weights[block] * negatives).sum()


def _log_sums(positives: Tensor, owners: Tensor, others: Tensor, weights: Tensor) -> Tensor:
    """log(Σ e^s over a user's positives + Σ weight e^s over other items). [P], [P], [b, n], [n] -> [b]."""
    highest = others.detach().amax(dim=1).scatter_reduce(0, owners, positives.detach(), "amax")  # [b]
    sums = (others - highest[:, None]).exp() @ weights
    return sums.index_add(0, owners, (positives - highest[owners]).exp()).log() + highest


class _BlockwiseSum(torch.autograd.Function):
    """The sum of the losses of blocks of users and its gradient in one pass, so that one block is held at a time."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        step: _UserStep,
        slices: Sequence[slice],
        tower: Sequence[Tensor],
        users: Tensor,
        items: Tensor,
        *_: Tensor,
    ) -> Tensor:
        by_items, sums = torch.zeros_like(items), [torch.zeros_like(tensor) for tensor in tower]
        by_users, total = torch.empty_like(users), users.new_zeros(())
        for block in slices:
            item_rows = step.item_rows(block)
            rows = to_rows(item_rows, items.device)
            with torch.enable_grad():
                block_users = users[block].detach().requires_grad_()
                block_items = functional.embedding(rows, items.detach()).requires_grad_()
                value = step.loss(block, block_users, block_items, item_rows)
            by_users[block], of_items, *gradients = torch.autograd.grad(value, [block_users, block_items, *tower])
            by_items.index_add_(0, rows, of_items)
            if gradients:  # GMF has no tower
                torch._foreach_add_(sums, gradients)
            total += value.detach()
        ctx.save_for_backward(by_users, by_items, *sums)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        return (None, None, None, *(gradients[0] * saved for saved in ctx.saved_tensors))


def _event_steps(
    config: NCFConfig, matrix: csr_array, sampler: NegativeSampler, network: NCFNetwork
) -> Iterator[Tensor]:
    """Steps of `batch_size` events, each against its own negatives: He et al. 2017, section 3.1 (with bce)."""
    users, items = rows_of(matrix.indptr), matrix.indices
    mean_length = matrix.nnz / max(1, int((np.diff(matrix.indptr) > 0).sum()))
    tower_l2 = config.tower_l2 if isinstance(config, TowerConfig) else 0.0
    device = network.device
    user_counts = to_tensor(np.diff(matrix.indptr).astype(np.float32), device)
    item_counts = to_tensor(np.bincount(items, minlength=matrix.shape[1]).astype(np.float32), device)
    for batch in batches(len(users), config.batch_size, sampler.rng):
        user_rows, item_rows = users[batch], items[batch]
        drawn = sampler.draw(user_rows, item_rows)
        read_users, owners = np.unique(user_rows, return_inverse=True)
        read_items, positions = np.unique(np.concatenate([item_rows, drawn.items.ravel()]), return_inverse=True)
        of_users, of_items = to_rows(owners, device), to_rows(positions, device)
        of_events, of_drawn = of_items[: len(batch)], of_items[len(batch) :].view(drawn.items.shape)
        user_vectors, item_vectors = network.users(read_users), network.items(read_items)
        scored = _score_events(network, user_vectors, item_vectors, (of_users, of_events, of_drawn))
        negatives = scored[1].masked_fill(to_tensor(drawn.excluded, device), -torch.inf)
        loss = sampled_loss(config.loss, scored[0], negatives)
        # each event carries its share of its rows' penalties: an epoch counts every row once
        norms = _squared_norms(functional.embedding(of_users, user_vectors)), _squared_norms(item_vectors)[of_events]
        penalty = (norms[0] / user_counts[to_rows(user_rows, device)]).sum()
        penalty = config.l2 * (penalty + (norms[1] / item_counts[to_rows(item_rows, device)]).sum())
        penalty = penalty + tower_l2 * len(batch) / matrix.nnz * network.tower_squared_norm()
        n_terms = len(batch) * (1 + config.n_negatives if config.loss == "bce" else 1)
        yield loss + mean_length * penalty / n_terms


def _score_events(
    network: NCFNetwork, users: Tensor, items: Tensor, pairs: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Scores of P events [P] and of their negatives [P, n], from embeddings of users [b, D + E] and items [m, D + E].

    pairs: of each event its user [P], its item [P] and its negatives [P, n], or [n] shared by all events.
    """
    owners, liked, drawn = pairs
    shared = drawn.ndim == 1
    wanted = liked[:, None] if shared else torch.cat([liked[:, None], drawn], dim=1)  # [P, 1 + n]
    users, items = network.project_users(users), network.project_items(items)
    pair_users = functional.embedding(owners.repeat_interleave(wanted.shape[1]), users)
    pair_items = functional.embedding(wanted.flatten(), items)
    table = items[drawn if shared else drawn.flatten()[:0]]
    crossed, paired = network.scores(users, table, pair_users, pair_items)
    if shared:
        return paired, crossed[owners]
    paired = paired.view(wanted.shape)
    return paired[:, 0], paired[:, 1:]


def _squared_norms(embeddings: Tensor) -> Tensor:
    """[n, d] -> [n]."""
    return embeddings.square().sum(dim=1)
