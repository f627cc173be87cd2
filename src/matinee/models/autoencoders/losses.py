"""Losses of the autoencoders: over the whole catalogue, over observed ratings, and the KL term.

Each loss and its gradients are computed in one pass over blocks of users, so that scores [B, I] are never held whole.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from matinee.models.autoencoders.network import SparseRows
from matinee.nn.gradients import loss_with_gradients
from matinee.nn.products import exp_, matmul
from matinee.training.transfers import block_cells

BLOCK_SCORES = 2**22
"""Most scores held at once on a CPU (16 MB)."""
CatalogueLoss = Literal["softmax", "logistic", "square"]
Targets: TypeAlias = tuple[Tensor, Tensor]
"""The stored targets of a block: their indices in its flattened scores [n], and their values [n]."""


def catalogue_loss(
    kind: CatalogueLoss,
    hidden: Tensor,
    output: tuple[Tensor, Tensor],
    targets: SparseRows,
    unobserved_weight: float = 1.0,
    scale: float = 1.0,
    *,
    bf16: bool = False,
) -> Tensor:
    """`scale` times the loss, summed over users, of scores s = hidden · weightsᵀ + bias for targets x >= 0. A scalar.

    softmax: -Σ_i x_i log softmax(s)_i, the multinomial log-likelihood: Liang et al. 2018, eq. 2.
    logistic: Σ x_i softplus(-s_i) + unobserved_weight Σ softplus(s_i) over the other items: Wu et al. 2016, table 1.
    square: Σ (x_i - s_i)² + unobserved_weight Σ s_i² over the other items.
    hidden [B, D]; output: weights [I, D] and bias [I]; targets [B, I]; bf16: products in bfloat16.
    """
    in_place = _IN_PLACE[kind]
    loss = partial(in_place, unobserved_weight=unobserved_weight, scale=scale)
    return loss_with_gradients(_output_layer, hidden, *output, targets, loss, bf16)


def observed_square_loss(
    hidden: Tensor, weights: Tensor, bias: Tensor, targets: SparseRows, scale: float = 1.0, *, by_pairs: bool = False
) -> Tensor:
    """`scale` times Σ (hidden · weightsᵀ + bias - target)² over the stored targets only. A scalar.

    hidden [B, D]; weights [I, D]; bias [I]; targets [B, I]. Source: Sedhain et al. 2015, eq. 2. by_pairs: compute the
    scores of the stored targets alone, which is faster where they are few of all cells.
    """
    return loss_with_gradients(_observed_square, hidden, weights, bias, targets, scale, by_pairs)


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Σ over users of KL(N(mean, e^log_variance) | N(0, 1)). Both [B, D] -> a scalar.

    Source: Kingma and Welling 2014, appendix B.
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()


def observed_scores(hidden: Tensor, weights: Tensor, cells: SparseRows) -> Tensor:
    """The scores hidden · weightsᵀ at the n stored cells. hidden [B, D]; weights [I, D]; cells [B, I] -> [n]."""
    scores = hidden.new_empty(len(cells.columns))
    for rows, stored, indices in _blocks(cells, len(weights)):
        scores[stored] = matmul(hidden[rows], weights.T).view(-1)[indices]  # of [b, I]
    return scores


def _blocks(stored: SparseRows, n_columns: int) -> Iterator[tuple[slice, slice, Tensor]]:
    """Blocks of rows with at most BLOCK_SCORES cells: rows, their stored cells, and these cells' flat indices."""
    starts, n_rows, owners = stored.bounds.tolist(), len(stored), stored.owners()
    size = max(1, block_cells(owners.device, BLOCK_SCORES) // max(1, n_columns))
    for start in range(0, n_rows, size):
        stop = min(start + size, n_rows)
        cells = slice(starts[start], starts[stop])
        yield slice(start, stop), cells, (owners[cells] - start) * n_columns + stored.columns[cells]


def _output_layer(
    hidden: Tensor,
    weights: Tensor,
    bias: Tensor,
    targets: SparseRows,
    in_place: Callable[[Tensor, Targets], Tensor],
    bf16: bool,
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """A loss of the scores hidden · weightsᵀ + bias and its gradients; the scores themselves are not kept."""
    by_hidden, by_bias = torch.empty_like(hidden), torch.zeros_like(bias)
    by_weights = None
    dtype = torch.bfloat16 if bf16 else hidden.dtype
    states, table = hidden.to(dtype), weights.to(dtype)
    total = hidden.new_zeros(())
    for rows, stored, indices in _blocks(targets, len(weights)):
        scores = matmul(states[rows], table.T).add_(bias)  # [b, I]
        total += in_place(scores, (indices, targets.values[stored]))  # scores now hold their gradient
        by_bias += scores.sum(dim=0)
        gradient = scores.to(dtype)
        matmul(gradient, table, out=by_hidden[rows])
        of_block = matmul(gradient.T, states[rows])
        by_weights = of_block if by_weights is None else by_weights.add_(of_block)
    return total, (by_hidden, torch.zeros_like(weights) if by_weights is None else by_weights, by_bias)


def _observed_square(
    hidden: Tensor, weights: Tensor, bias: Tensor, targets: SparseRows, scale: float, by_pairs: bool
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """The loss by dense blocks, read at the observed cells only, or by pairs; its gradients by sparse products."""
    errors = targets.scores(hidden, weights) if by_pairs else observed_scores(hidden, weights, targets)
    errors.add_(bias[targets.columns]).sub_(targets.values)
    loss = scale * errors.square().sum()
    gradient = replace(targets, values=errors.mul_(2 * scale))
    by_bias = torch.zeros_like(bias).index_add_(0, targets.columns, gradient.values)
    return loss, (gradient.times(weights), gradient.transposed_times(hidden), by_bias)


def _softmax_in_place(scores: Tensor, targets: Targets, unobserved_weight: float, scale: float) -> Tensor:
    """The loss; scores [b, I] are overwritten by their gradient. So are those of the two functions below."""
    indices, values = targets
    flat = scores.view(-1)
    owners = torch.div(indices, scores.shape[1], rounding_mode="floor")
    totals = scores.new_zeros(len(scores)).index_add_(0, owners, values)  # [b]
    highest = scores.amax(dim=1, keepdim=True)
    scores.sub_(highest)
    linear = flat.take(indices) @ values
    exp_(scores)
    sums = scores.sum(dim=1)
    loss = (totals * sums.log()).sum() - linear
    scores.mul_((scale * totals / sums)[:, None])
    flat.index_add_(0, indices, values, alpha=-scale)
    return scale * loss


def _logistic_in_place(scores: Tensor, targets: Targets, unobserved_weight: float, scale: float) -> Tensor:
    indices, values = targets
    flat = scores.view(-1)
    observed = flat[indices]
    loss = unobserved_weight * (functional.softplus(scores).sum() - functional.softplus(observed).sum())
    loss += (values * functional.softplus(-observed)).sum()
    scores.sigmoid_().mul_(scale * unobserved_weight)
    flat[indices] = -scale * values * torch.sigmoid(-observed)
    return scale * loss


def _square_in_place(scores: Tensor, targets: Targets, unobserved_weight: float, scale: float) -> Tensor:
    indices, values = targets
    flat = scores.view(-1)
    observed = flat[indices]
    loss = unobserved_weight * (scores.square().sum() - observed.square().sum()) + (observed - values).square().sum()
    scores.mul_(2 * scale * unobserved_weight)
    flat[indices] = 2 * scale * (observed - values)
    return scale * loss


_IN_PLACE: dict[CatalogueLoss, Callable[..., Tensor]] = {
    "softmax": _softmax_in_place,
    "logistic": _logistic_in_place,
    "square": _square_in_place,
}
