"""The parts of autoencoders over a catalogue: sparse rows in, one score an item out, with gradients by hand.

Dense products go through numpy's BLAS, which on some processors is twice as fast as torch's
(docs/decisions/013-autoencoders-by-sparse-layers.md); tensors and arrays share their memory.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional

from matinee.arrays import rows_of

BLOCK_SCORES = 2**22
"""Scores of the whole catalogue held at once (16 MB)."""
CatalogueLoss = Literal["softmax", "logistic", "square"]
Own: TypeAlias = tuple[Tensor, Tensor]
"""Where the targets of a block are in its scores, flattened [n], and how much each is [n]."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Sparse rows as index and value tensors. starts: [B + 1]; columns, values: [n]; width: columns in all."""

    starts: Tensor
    columns: Tensor
    values: Tensor
    width: int

    @classmethod
    def of(cls, matrix: csr_array, dtype: torch.dtype = torch.float32) -> "Rows":
        """The rows of a scipy matrix."""
        starts, columns = (torch.from_numpy(part.astype(np.int32)) for part in (matrix.indptr, matrix.indices))
        return cls(starts, columns, torch.from_numpy(matrix.data).to(dtype), matrix.shape[1])

    def __len__(self) -> int:
        return len(self.starts) - 1

    def scipy(self) -> csr_array:
        """The same as a matrix."""
        parts = (self.values.numpy(), self.columns.numpy(), self.starts.numpy())
        return csr_array(parts, shape=(len(self), self.width))

    def transposed(self) -> "Rows":
        """Columns as rows."""
        return Rows.of(self.scipy().T.tocsr(), self.values.dtype)

    def times(self, table: Tensor) -> Tensor:
        """The product with a dense table. [B, width] [width, D] -> [B, D]."""
        return functional.embedding_bag(
            self.columns, table, self.starts, mode="sum", per_sample_weights=self.values, include_last_offset=True
        )


class _SparseProduct(torch.autograd.Function):
    """rows · table; the rows have no gradient."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Rows) -> Tensor:  # noqa: ANN401
        ctx.rows = rows
        return rows.times(table)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return ctx.rows.transposed().times(gradients[0].contiguous()), None


def sparse_product(rows: Rows, table: Tensor) -> Tensor:
    """Sparse rows [B, I] times a table [I, D]: one bag of embeddings a row, forward and backward. [B, D]."""
    product: Tensor = _SparseProduct.apply(table, rows)  # type: ignore[no-untyped-call]
    return product


def noisy_product(rows: Rows, table: Tensor, std: float, generator: torch.Generator) -> Tensor:
    """(rows + noise) · table, noise N(0, std²) on every column, stored or not. [B, I] [I, D] -> [B, D]."""
    told = sparse_product(rows, table)
    if std == 0:
        return told
    noise = torch.empty((len(rows), rows.width), dtype=table.dtype).normal_(0.0, std, generator=generator)
    return told + product(noise, table)


class _Product(torch.autograd.Function):
    """left · right through numpy."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(left, right)
        return _product(left, right)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        left, right = ctx.saved_tensors
        return _product(gradients[0], right.T), _product(left.T, gradients[0])


def product(left: Tensor, right: Tensor) -> Tensor:
    """[B, D] [D, E] -> [B, E]."""
    result: Tensor = _Product.apply(left, right)  # type: ignore[no-untyped-call]
    return result


def _product(left: Tensor, right: Tensor, out: Tensor | None = None) -> Tensor:
    """[B, D] [D, E] -> [B, E]; of two tensors in bfloat16 through torch, and float32 comes out."""
    if left.dtype == torch.bfloat16:
        rounded = left @ right
        return rounded.float() if out is None else out.copy_(rounded)
    out = left.new_empty((len(left), right.shape[1])) if out is None else out
    with np.errstate(invalid="ignore", over="ignore"):  # the epoch loop says so itself, and at which step
        np.matmul(left.detach().numpy(), right.detach().numpy(), out=out.numpy())
    return out


class _Tanh(torch.autograd.Function):
    """tanh through numpy, which takes a tenth of torch's time."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ANN401  # torch's context has no type
        turned = torch.from_numpy(np.tanh(values.detach().numpy()))
        ctx.save_for_backward(turned)
        return turned

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ANN401  # torch's context has no type
        (turned,) = ctx.saved_tensors
        return torch.addcmul(gradients[0], gradients[0] * turned, turned, value=-1)


def tanh(values: Tensor) -> Tensor:
    """Of any shape."""
    turned: Tensor = _Tanh.apply(values)  # type: ignore[no-untyped-call]  # torch's own
    return turned


def _blocks(stored: Rows, n_columns: int) -> Iterator[tuple[slice, slice, Tensor]]:
    """Rows in blocks of at most BLOCK_SCORES cells: rows, their stored cells, and the places of these in the block."""
    starts, size = stored.starts.tolist(), max(1, BLOCK_SCORES // max(1, n_columns))
    owners = torch.from_numpy(rows_of(stored.starts.numpy().astype(np.int64)))
    n_rows = len(starts) - 1
    for start in range(0, n_rows, size):
        stop = min(start + size, n_rows)
        events = slice(starts[start], starts[stop])
        yield slice(start, stop), events, (owners[events] - start) * n_columns + stored.columns[events]


class _Output(torch.autograd.Function):
    """A loss of the scores hidden · weightsᵀ + bias and its gradients in one pass over blocks of rows.

    [B, I] is never held whole, and nothing is kept for the way back but the gradients themselves.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        hidden: Tensor,
        weights: Tensor,
        bias: Tensor,
        targets: Rows,
        turn: Callable[[Tensor, Own], Tensor],
        half: bool,
    ) -> Tensor:
        by_hidden, by_bias = torch.empty_like(hidden), torch.zeros_like(bias)
        by_weights = None
        dtype = torch.bfloat16 if half else hidden.dtype
        codes, table = hidden.to(dtype), weights.to(dtype)
        total = hidden.new_zeros(())
        for rows, events, cells in _blocks(targets, len(weights)):
            scores = _product(codes[rows], table.T).add_(bias)  # [b, I]
            total += turn(scores, (cells, targets.values[events]))  # scores are the gradient now
            by_bias += scores.sum(dim=0)
            errors = scores.to(dtype)
            _product(errors, table, out=by_hidden[rows])
            part = _product(errors.T, codes[rows])
            by_weights = part if by_weights is None else by_weights.add_(part)
        ctx.save_for_backward(by_hidden, torch.zeros_like(weights) if by_weights is None else by_weights, by_bias)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None, None]:  # noqa: ANN401
        return *_scaled(gradients[0], ctx.saved_tensors), None, None, None


def _scaled(gradient: Tensor, parts: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Each part times the gradient of the loss, which is 1 where the loss is the last step: then nothing is copied."""
    if gradient.item() == 1:
        return parts
    return gradient * parts[0], gradient * parts[1], gradient * parts[2]


def catalogue_loss(
    kind: CatalogueLoss,
    hidden: Tensor,
    output: tuple[Tensor, Tensor],
    targets: Rows,
    unobserved: float = 1.0,
    share: float = 1.0,
    *,
    half: bool = False,
) -> Tensor:
    """`share` times the loss, summed over users, of scores s = hidden · weightsᵀ + bias for targets x >= 0. A scalar.

    softmax: -Σ_i x_i log softmax(s)_i, the multinomial log-likelihood: Liang et al. 2018, eq. 2.
    logistic: Σ x_i softplus(-s_i) + unobserved Σ softplus(s_i) over the other items: Wu et al. 2016, table 1.
    square: Σ (x_i - s_i)² + unobserved Σ s_i² over the others.
    hidden [B, D]; output: weights [I, D] and bias [I]; targets [B, I]; half: products in bfloat16.
    """
    turn = _TURNS[kind]
    loss: Tensor = _Output.apply(  # type: ignore[no-untyped-call]
        hidden, *output, targets, lambda scores, own: turn(scores, own, unobserved, share), half
    )
    return loss


def _turn_softmax(scores: Tensor, own: Own, unobserved: float, share: float) -> Tensor:
    cells, counts = own
    flat = scores.view(-1)
    owners = torch.div(cells, scores.shape[1], rounding_mode="floor")
    totals = torch.zeros(len(scores), dtype=scores.dtype).index_add_(0, owners, counts)  # [b]
    highest = scores.amax(dim=1, keepdim=True)
    scores.sub_(highest)
    gained = flat.take(cells) @ counts
    np.exp(scores.numpy(), out=scores.numpy())  # takes half the time of torch's
    sums = scores.sum(dim=1)
    loss = (totals * sums.log()).sum() - gained
    scores.mul_((share * totals / sums)[:, None])
    flat.index_add_(0, cells, counts, alpha=-share)
    return share * loss


def _turn_logistic(scores: Tensor, own: Own, unobserved: float, share: float) -> Tensor:
    cells, counts = own
    flat = scores.view(-1)
    chosen = flat[cells]
    loss = unobserved * (functional.softplus(scores).sum() - functional.softplus(chosen).sum())
    loss += (counts * functional.softplus(-chosen)).sum()
    scores.sigmoid_().mul_(share * unobserved)
    flat[cells] = -share * counts * torch.sigmoid(-chosen)
    return share * loss


def _turn_square(scores: Tensor, own: Own, unobserved: float, share: float) -> Tensor:
    cells, counts = own
    flat = scores.view(-1)
    chosen = flat[cells]
    loss = unobserved * (scores.square().sum() - chosen.square().sum()) + (chosen - counts).square().sum()
    scores.mul_(2 * share * unobserved)
    flat[cells] = 2 * share * (chosen - counts)
    return share * loss


_TURNS: dict[CatalogueLoss, Callable[[Tensor, Own, float, float], Tensor]] = {
    "softmax": _turn_softmax,
    "logistic": _turn_logistic,
    "square": _turn_square,
}


class _ObservedSquare(torch.autograd.Function):
    """Dense blocks forward, of which only the observed cells are looked at; sparse products backward."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        hidden: Tensor,
        weights: Tensor,
        bias: Tensor,
        targets: Rows,
        share: float,
    ) -> Tensor:
        left = observed(hidden, weights, targets)
        left.add_(bias[targets.columns]).sub_(targets.values)
        loss = share * left.square().sum()
        errors = Rows(targets.starts, targets.columns, left.mul_(2 * share), targets.width)
        by_bias = torch.zeros_like(bias).index_add_(0, targets.columns, errors.values)
        ctx.save_for_backward(errors.times(weights), errors.transposed().times(hidden), by_bias)
        return loss

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:  # noqa: ANN401
        return *_scaled(gradients[0], ctx.saved_tensors), None, None


def observed_square(hidden: Tensor, weights: Tensor, bias: Tensor, targets: Rows, share: float = 1.0) -> Tensor:
    """`share` times Σ over the stored cells of targets of (hidden · weightsᵀ + bias - target)². A scalar.

    hidden [B, D]; weights [I, D]; bias [I]; targets [B, I]. Source: Sedhain et al. 2015, eq. 2.
    """
    loss: Tensor = _ObservedSquare.apply(hidden, weights, bias, targets, share)  # type: ignore[no-untyped-call]
    return loss


def observed(hidden: Tensor, weights: Tensor, cells: Rows) -> Tensor:
    """The scores hidden · weightsᵀ at the n stored cells. hidden [B, D]; weights [I, D]; cells [B, I] -> [n]."""
    found = torch.empty(len(cells.columns), dtype=hidden.dtype)
    for rows, events, places in _blocks(cells, len(weights)):
        found[events] = _product(hidden[rows], weights.T).view(-1)[places]  # of [b, I]
    return found


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Σ over users of KL(N(mean, e^log_variance) | N(0, 1)). Both [B, D] -> a scalar.

    Source: Kingma and Welling 2014, appendix B.
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()
