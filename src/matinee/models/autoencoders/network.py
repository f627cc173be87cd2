"""Layers of the autoencoders, with gradients written by hand: sparse rows in, dense products, tanh.

On the CPU, dense products go through numpy's BLAS, which on some processors is twice as fast as torch's
(docs/decisions/013-autoencoders-by-sparse-layers.md); tensors and arrays share their memory. Elsewhere all is torch.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional

from matinee.arrays import IntArray, rows_of
from matinee.nn.gradients import with_gradient
from matinee.nn.products import matmul
from matinee.nn.sparse_tensors import cell_products
from matinee.training.transfers import to_tensor


@dataclass(frozen=True, slots=True)
class SparseRows:
    """Sparse rows [B, I] as tensors.

    starts: [B + 1]; columns, values: [n]; n_columns: I; bounds: the starts once more, on the host.
    """

    starts: Tensor
    columns: Tensor
    values: Tensor
    n_columns: int
    bounds: IntArray

    @classmethod
    def of(cls, matrix: csr_array, device: torch.device, dtype: torch.dtype = torch.float32) -> "SparseRows":
        """The rows of a scipy matrix."""
        starts, columns = (to_tensor(array.astype(np.int32), device) for array in (matrix.indptr, matrix.indices))
        return cls(starts, columns, to_tensor(matrix.data, device).to(dtype), matrix.shape[1], matrix.indptr)

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def owners(self) -> Tensor:
        """The row of each stored value. [n]."""
        return to_tensor(rows_of(self.bounds.astype(np.int64)), self.columns.device)

    def transposed_times(self, table: Tensor) -> Tensor:
        """The product of the transpose with a dense table, without gradient. [I, B] [B, D] -> [I, D]."""
        device = self.columns.device
        if device.type == "cpu":
            arrays = (self.values.numpy(), self.columns.numpy(), self.starts.numpy())
            matrix = csr_array(arrays, shape=(len(self), self.n_columns))
            return SparseRows.of(matrix.T.tocsr(), device, self.values.dtype).times(table)
        columns, order = torch.sort(self.columns, stable=True)
        starts = torch.searchsorted(columns, torch.arange(self.n_columns + 1, dtype=columns.dtype, device=device))
        return _weighted_sums(self.owners()[order], starts, self.values[order], table)

    def scores(self, rows: Tensor, columns: Tensor) -> Tensor:
        """The product of the vectors of each stored cell's row and column, without gradient. [B, D], [I, D] -> [n]."""
        return cell_products(self.starts, self.columns, rows, columns)

    def times(self, table: Tensor) -> Tensor:
        """The product with a dense table, without gradient. [B, I] [I, D] -> [B, D]."""
        return _weighted_sums(self.columns, self.starts, self.values, table)


def _weighted_sums(rows: Tensor, starts: Tensor, weights: Tensor, table: Tensor) -> Tensor:
    """Sums of weighted rows of a table. rows, weights: [n]; starts: [m + 1], where each sum begins -> [m, D]."""
    return functional.embedding_bag(
        rows, table, starts, mode="sum", per_sample_weights=weights, include_last_offset=True
    )


def sparse_product(rows: SparseRows, table: Tensor) -> Tensor:
    """Sparse rows [B, I] times a table [I, D], as a weighted sum of embeddings per row. [B, D]."""
    return with_gradient(
        lambda table: (rows.times(table), ()),
        lambda gradient: (rows.transposed_times(gradient.contiguous()),),
        table,
    )


def noisy_product(rows: SparseRows, table: Tensor, std: float, generator: torch.Generator) -> Tensor:
    """(rows + noise) · table, with noise N(0, std²) on every column, zeros included. [B, I] [I, D] -> [B, D]."""
    clean = sparse_product(rows, table)
    if std == 0:
        return clean
    noise = table.new_empty((len(rows), rows.n_columns)).normal_(0.0, std, generator=generator)
    return clean + product(noise, table)


def product(left: Tensor, right: Tensor) -> Tensor:
    """A dense product with gradients. [B, D] [D, E] -> [B, E]."""
    return with_gradient(
        lambda left, right: (matmul(left, right), (left, right)),
        lambda gradient, left, right: (matmul(gradient, right.T), matmul(left.T, gradient)),
        left,
        right,
    )


def tanh(values: Tensor) -> Tensor:
    """The hyperbolic tangent, of any shape; on the CPU through numpy, ten times as fast as torch's."""

    def forward(values: Tensor) -> tuple[Tensor, tuple[Tensor]]:
        on_cpu = values.device.type == "cpu"
        result = torch.from_numpy(np.tanh(values.detach().numpy())) if on_cpu else torch.tanh(values)
        return result, (result,)

    def backward(gradient: Tensor, result: Tensor) -> tuple[Tensor]:
        return (torch.addcmul(gradient, gradient * result, result, value=-1),)

    return with_gradient(forward, backward, values)
