"""The softmax over a catalogue that candidates represent, for scores that are products of vectors.

A user's own items are counted exactly, so that their scores cannot grow without bound, and all others by the candidates
that a step's users share. Both cost as the events and the users do, not as users times items.
"""

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional

from matinee.arrays import IntArray, rows_of
from matinee.nn.candidates import Candidates, shared_cells
from matinee.nn.gradients import loss_with_gradients, with_gradient
from matinee.nn.products import exp_, matmul
from matinee.nn.sparse_tensors import cell_products
from matinee.training.transfers import to_rows, to_tensor

BLOCK_USERS = 128
"""Users who share candidates, whose scores are held at once."""


class Pairs:
    """The P pairs of a user and an item that a matrix [B, I] stores, for products of their vectors.

    owners, columns: [P], rows of users and of items; weights: [P], the stored values; matrix: on the host.
    """

    def __init__(self, matrix: csr_array, device: torch.device) -> None:
        self.matrix = matrix
        self.weights = to_tensor(matrix.data, device)
        order = np.arange(matrix.nnz, dtype=np.int32)
        by_item = csr_array((order, matrix.indices, matrix.indptr), shape=matrix.shape).tocsc()

        def rows(values: IntArray) -> Tensor:
            return to_tensor(values.astype(np.int32), device)

        self.owners, self.columns, self.starts = map(rows, (rows_of(matrix.indptr), matrix.indices, matrix.indptr))
        self.order, self.item_owners, self.item_starts = map(rows, (by_item.data, by_item.indices, by_item.indptr))

    def scores(self, users: Tensor, items: Tensor) -> Tensor:
        """The product of each pair's vectors, without gradient. users [B, D], items [I, D] -> [P]."""
        return cell_products(self.starts, self.columns, users, items)

    def by_users(self, weights: Tensor, items: Tensor) -> Tensor:
        """For each user the weighted sum of the items' vectors. weights [P], items [I, D] -> [B, D]."""
        return _sums(self.columns, self.starts, weights, items)

    def by_items(self, weights: Tensor, users: Tensor) -> Tensor:
        """For each item the weighted sum of the users' vectors. weights [P], users [B, D] -> [I, D]."""
        return _sums(self.item_owners, self.item_starts, weights.index_select(0, self.order), users)


def _sums(rows: Tensor, starts: Tensor, weights: Tensor, table: Tensor) -> Tensor:
    return functional.embedding_bag(
        rows, table, starts, mode="sum", per_sample_weights=weights, include_last_offset=True
    )


def pair_scores(users: Tensor, items: Tensor, pairs: Pairs) -> Tensor:
    """The product of each pair's vectors. users [B, D], items [I, D] -> [P]."""

    def backward(gradient: Tensor, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        return pairs.by_users(gradient, items), pairs.by_items(gradient, users)

    return with_gradient(lambda users, items: (pairs.scores(users, items), (users, items)), backward, users, items)


def sampled_softmax(
    users: Tensor, items: Tensor, bias: Tensor | None, targets: Pairs, candidates: Candidates, scale: float = 1.0
) -> Tensor:
    """`scale` times Σ_u w_u log(Σ_own e^s + Σ_c n_c e^s) - Σ_ui w_ui s_ui, with w_u = Σ_i w_ui. A scalar.

    users [B, D]; items [I, D]; bias [I] of items; targets: users' own items i and their weights w_ui. c: candidates
    that are not the user's own, drawn for each block of users, and the items n_c that each represents. In expectation
    over candidates, sums are those over the whole catalogue.
    """
    offsets = items.new_zeros(len(items)) if bias is None else bias
    return loss_with_gradients(_sampled_softmax, users, items, offsets, targets, candidates, scale)


def _sampled_softmax(
    users: Tensor, items: Tensor, bias: Tensor, targets: Pairs, candidates: Candidates, scale: float
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """The loss and its gradients in one pass over blocks of users; scores with candidates are not held whole."""
    device, n = users.device, len(users)
    own = targets.scores(users, items).add_(bias.index_select(0, targets.columns))  # [P]
    totals = users.new_zeros(n).index_add_(0, targets.owners, targets.weights)  # [B]
    linear = own @ targets.weights
    by_users, by_items, by_bias = torch.empty_like(users), torch.zeros_like(items), torch.zeros_like(bias)
    loss, bounds = users.new_zeros(()), targets.matrix.indptr
    for start in range(0, n, BLOCK_USERS):
        block = slice(start, min(start + BLOCK_USERS, n))
        pairs = slice(int(bounds[block.start]), int(bounds[block.stop]))
        item_rows, counts = candidates.draw()
        cells = shared_cells(targets.matrix[block], item_rows)
        rows, weights = to_rows(item_rows, device), to_tensor(np.log(counts), device)
        drawn = functional.embedding(rows, items)  # [n, D]
        scores = matmul(users[block], drawn.T).add_(bias[rows] + weights)  # [b, n]
        scores[tuple(to_tensor(each, device) for each in cells)] = -torch.inf
        owners = (targets.owners[pairs] - block.start).long()
        highest = scores.amax(dim=1).scatter_reduce_(0, owners, own[pairs], "amax")
        exp_(scores.sub_(highest[:, None]))
        of_own = exp_(own[pairs].sub_(highest[owners]))
        sums = scores.sum(dim=1).index_add_(0, owners, of_own)
        loss += (totals[block] * (sums.log() + highest)).sum()
        shares = scale * totals[block] / sums
        scores.mul_(shares[:, None])
        of_own.mul_(shares[owners])
        matmul(scores, drawn, out=by_users[block])
        by_items.index_add_(0, rows, matmul(scores.T, users[block]))
        by_bias.index_add_(0, rows, scores.sum(dim=0))
    gradient = own.sub_(targets.weights, alpha=scale)  # own holds the shares now
    by_users += targets.by_users(gradient, items)
    by_items += targets.by_items(gradient, users)
    return scale * (loss - linear), (by_users, by_items, by_bias.index_add_(0, targets.columns, gradient))
