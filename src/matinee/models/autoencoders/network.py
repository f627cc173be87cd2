"""Layers of the autoencoders, with gradients written by hand: sparse rows in, dense products, tanh.

Dense products go through numpy's BLAS, which on some processors is twice as fast as torch's
(docs/decisions/013-autoencoders-by-sparse-layers.md); tensors and arrays share their memory.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional

from matinee.nn.gradients import with_gradient


@dataclass(frozen=True, slots=True)
class SparseRows:
    """Sparse rows [B, I] as tensors. starts: [B + 1]; columns, values: [n]; n_columns: I."""

    starts: Tensor
    columns: Tensor
    values: Tensor
    n_columns: int

    @classmethod
    def of(cls, matrix: csr_array, dtype: torch.dtype = torch.float32) -> "SparseRows":
        """The rows of a scipy matrix."""
        starts, columns = (torch.from_numpy(array.astype(np.int32)) for array in (matrix.indptr, matrix.indices))
        return cls(starts, columns, torch.from_numpy(matrix.data).to(dtype), matrix.shape[1])

    def __len__(self) -> int:
        return len(self.starts) - 1

    def transpose(self) -> "SparseRows":
        """The columns as rows. [I, B]."""
        arrays = (self.values.numpy(), self.columns.numpy(), self.starts.numpy())
        matrix = csr_array(arrays, shape=(len(self), self.n_columns))
        return SparseRows.of(matrix.T.tocsr(), self.values.dtype)

    def times(self, table: Tensor) -> Tensor:
        """The product with a dense table, without gradient. [B, I] [I, D] -> [B, D]."""
        return functional.embedding_bag(
            self.columns, table, self.starts, mode="sum", per_sample_weights=self.values, include_last_offset=True
        )


def sparse_product(rows: SparseRows, table: Tensor) -> Tensor:
    """Sparse rows [B, I] times a table [I, D], as a weighted sum of embeddings per row. [B, D]."""
    return with_gradient(
        lambda table: (rows.times(table), ()),
        lambda gradient: (rows.transpose().times(gradient.contiguous()),),
        table,
    )


def noisy_product(rows: SparseRows, table: Tensor, std: float, generator: torch.Generator) -> Tensor:
    """(rows + noise) · table, with noise N(0, std²) on every column, zeros included. [B, I] [I, D] -> [B, D]."""
    clean = sparse_product(rows, table)
    if std == 0:
        return clean
    noise = torch.empty((len(rows), rows.n_columns), dtype=table.dtype).normal_(0.0, std, generator=generator)
    return clean + product(noise, table)


def product(left: Tensor, right: Tensor) -> Tensor:
    """A dense product with gradients. [B, D] [D, E] -> [B, E]."""
    return with_gradient(
        lambda left, right: (matmul(left, right), (left, right)),
        lambda gradient, left, right: (matmul(gradient, right.T), matmul(left.T, gradient)),
        left,
        right,
    )


def matmul(left: Tensor, right: Tensor, out: Tensor | None = None) -> Tensor:
    """A dense product without gradients. bfloat16 inputs go through torch; the result is float32. [B, D] [D, E]."""
    if left.dtype == torch.bfloat16:
        rounded = left @ right
        return rounded.float() if out is None else out.copy_(rounded)
    out = left.new_empty((len(left), right.shape[1])) if out is None else out
    with np.errstate(invalid="ignore", over="ignore"):  # the epoch loop reports it, with the step
        np.matmul(left.detach().numpy(), right.detach().numpy(), out=out.numpy())
    return out


def tanh(values: Tensor) -> Tensor:
    """The hyperbolic tangent through numpy, of any shape: ten times as fast as torch's."""

    def forward(values: Tensor) -> tuple[Tensor, tuple[Tensor]]:
        result = torch.from_numpy(np.tanh(values.detach().numpy()))
        return result, (result,)

    def backward(gradient: Tensor, result: Tensor) -> tuple[Tensor]:
        return (torch.addcmul(gradient, gradient * result, result, value=-1),)

    return with_gradient(forward, backward, values)
