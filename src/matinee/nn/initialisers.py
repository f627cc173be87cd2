"""Initial values of parameters."""

from collections.abc import Mapping
from math import sqrt

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from matinee.nn.sparse_tensors import sparse_tensor
from matinee.training.configs import EmbeddingInitialiser, Initialiser

OVERSAMPLING = 10
"""Random vectors beyond the rank that the randomised SVD returns (Halko et al. 2011, section 4.2)."""


def initialise(
    shape: tuple[int, ...],
    kind: Initialiser,
    generator: torch.Generator,
    *,
    std: float = 0.01,
    fan_in: int | None = None,
) -> Tensor:
    """A float32 tensor: `normal` is N(0, std²); `xavier` and `he` are uniform, as in their papers.

    fan_in: number of inputs of each output; by default the last axis, as in `inputs @ weights.T`.
    Source: Glorot and Bengio 2010, eq. 16; He et al. 2015, eq. 10 (variance 2 / fan_in).
    """
    values = torch.empty(shape, device=generator.device)
    if kind == "normal":
        return values.normal_(0.0, std, generator=generator)
    n_inputs = fan_in if fan_in is not None else shape[-1]
    bound = sqrt(6 / (n_inputs + shape[0])) if kind == "xavier" else sqrt(6 / n_inputs)
    return values.uniform_(-bound, bound, generator=generator)


def initialise_layers(
    shapes: Mapping[str, tuple[int, int]], kind: Initialiser, generator: torch.Generator
) -> dict[str, Tensor]:
    """Named weights [in, out] for `inputs @ weights`, each with a zero bias `NAME_bias` [out]."""
    layers: dict[str, Tensor] = {}
    for name, (n_inputs, n_outputs) in shapes.items():
        fan_in = n_inputs if kind == "he" else None  # xavier is symmetric in inputs and outputs
        layers[name] = initialise((n_inputs, n_outputs), kind, generator, fan_in=fan_in)
        layers[f"{name}_bias"] = torch.zeros(n_outputs, device=generator.device)
    return layers


def initialise_embeddings(
    matrix: csr_array, dim: int, kind: EmbeddingInitialiser, std: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Initial embeddings of users [U, dim] and items [I, dim] for a normalised matrix [U, I].

    `svd` scales the singular vectors so that the item embeddings have standard deviation `std`.
    """
    if kind != "svd":
        users, items = (initialise((n, dim), kind, generator, std=std) for n in matrix.shape)
        return users, items
    left, right = randomised_svd(matrix, dim, generator)
    deviation = right.std() if right.numel() > 1 else right.abs().sum()  # one value has no standard deviation
    scale = std / float(deviation.clamp(min=1e-9))
    return _fill_zero_rows(left * scale, dim, std, generator), _fill_zero_rows(right * scale, dim, std, generator)


def randomised_svd(matrix: csr_array, dim: int, generator: torch.Generator, rounds: int = 4) -> tuple[Tensor, Tensor]:
    """Leading left and right singular vectors, each times the square root of its value. [U, d], [I, d], d <= dim.

    Source: Halko, Martinsson and Tropp 2011, algorithm 4.4 (`rounds` power iterations).
    """
    width, device = min(dim + OVERSAMPLING, *matrix.shape), generator.device
    start = torch.empty((matrix.shape[1], width), device=device).normal_(generator=generator)
    if device.type != "cpu":
        return _svd_on(device, matrix, start, dim, rounds)
    basis = matrix @ start.numpy()
    for _ in range(rounds):
        basis = np.linalg.qr(matrix @ (matrix.T @ basis))[0]
    basis = np.linalg.qr(basis)[0]
    left_in_basis, values, right = np.linalg.svd((matrix.T @ basis).T, full_matrices=False)
    roots = np.sqrt(values[:dim])
    left = (basis @ left_in_basis)[:, :dim] * roots
    return torch.from_numpy(left.astype(np.float32)), torch.from_numpy((right[:dim].T * roots).astype(np.float32))


def _svd_on(device: torch.device, matrix: csr_array, start: Tensor, dim: int, rounds: int) -> tuple[Tensor, Tensor]:
    """`randomised_svd` on an accelerator, from the random vectors [I, width]."""
    by_user, by_item = (sparse_tensor(side, device) for side in (matrix, matrix.T.tocsr()))
    basis = by_user @ start
    for _ in range(rounds):
        basis = torch.linalg.qr(by_user @ (by_item @ basis))[0]
    basis = torch.linalg.qr(basis)[0]
    # the thin factor R has the singular values of the tall matrix, and its SVD is small
    tall, small = torch.linalg.qr(by_item @ basis)  # [I, width], [width, width]
    right, values, left_in_basis = torch.linalg.svd(small, full_matrices=False)
    roots = values[:dim].sqrt()
    return (basis @ left_in_basis.T)[:, :dim] * roots, (tall @ right)[:, :dim] * roots


def _fill_zero_rows(vectors: Tensor, dim: int, std: float, generator: torch.Generator) -> Tensor:
    """[n, d] -> [n, dim]: rows of isolated nodes and dimensions beyond the rank are drawn from N(0, std²)."""
    filled = vectors.new_empty((len(vectors), dim)).normal_(0.0, std, generator=generator)
    is_nonzero = vectors.norm(dim=1) > 1e-9
    filled[is_nonzero, : vectors.shape[1]] = vectors[is_nonzero]
    return filled
