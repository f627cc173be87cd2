"""First values of parameters."""

from collections.abc import Mapping
from math import sqrt

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from matinee.training.configs import FirstEmbeddings, Initialiser


def initial(
    shape: tuple[int, ...],
    kind: Initialiser,
    generator: torch.Generator,
    *,
    std: float = 0.01,
    fan_in: int | None = None,
) -> Tensor:
    """A new tensor of float32: `normal` N(0, std²), `xavier` and `he` uniform as in their papers.

    fan_in: inputs of each output; by default the last axis, as in `inputs @ weights.T`.
    Source: Glorot and Bengio 2010, eq. 16; He et al. 2015, eq. 10 (variance 2 / fan_in).
    """
    values = torch.empty(shape, device=generator.device)
    if kind == "normal":
        return values.normal_(0.0, std, generator=generator)
    inputs = fan_in if fan_in is not None else shape[-1]
    bound = sqrt(6 / (inputs + shape[0])) if kind == "xavier" else sqrt(6 / inputs)
    return values.uniform_(-bound, bound, generator=generator)


def initial_layers(
    shapes: Mapping[str, tuple[int, int]], kind: Initialiser, generator: torch.Generator
) -> dict[str, Tensor]:
    """Weights by name, for `inputs @ weights` of shape [in, out], and a bias of zeros `NAME_bias` [out] for each."""
    layers: dict[str, Tensor] = {}
    for name, (n_inputs, n_outputs) in shapes.items():
        fan_in = n_inputs if kind == "he" else None  # xavier counts inputs and outputs alike
        layers[name] = initial((n_inputs, n_outputs), kind, generator, fan_in=fan_in)
        layers[f"{name}_bias"] = torch.zeros(n_outputs)
    return layers


def initial_embeddings(
    matrix: csr_array, dim: int, kind: FirstEmbeddings, std: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """First vectors of users [U, dim] and items [I, dim] for a normalised matrix [U, I]."""
    if kind != "svd":
        users, items = (initial((n, dim), kind, generator, std=std) for n in matrix.shape)
        return users, items
    left, right = singular_vectors(matrix, dim, generator)
    spread = right.std() if right.numel() > 1 else right.abs().sum()  # a lone value has no spread
    factor = std / float(spread.clamp(min=1e-9))
    return _filled(left * factor, dim, std, generator), _filled(right * factor, dim, std, generator)


def singular_vectors(matrix: csr_array, dim: int, generator: torch.Generator, rounds: int = 4) -> tuple[Tensor, Tensor]:
    """The leading singular vectors times the roots of their values. [U, d], [I, d], d <= dim.

    Source: Halko, Martinsson and Tropp 2011, algorithm 4.4 (power rounds), with 10 vectors to spare.
    """
    width = min(dim + 10, *matrix.shape)
    basis = matrix @ torch.empty((matrix.shape[1], width)).normal_(generator=generator).numpy()
    for _ in range(rounds):
        basis = np.linalg.qr(matrix @ (matrix.T @ basis))[0]
    basis = np.linalg.qr(basis)[0]
    small, values, right = np.linalg.svd((matrix.T @ basis).T, full_matrices=False)
    roots = np.sqrt(values[:dim])
    left = (basis @ small)[:, :dim] * roots
    return torch.from_numpy(left.astype(np.float32)), torch.from_numpy((right[:dim].T * roots).astype(np.float32))


def _filled(vectors: Tensor, dim: int, std: float, generator: torch.Generator) -> Tensor:
    """[n, d] -> [n, dim]: what an isolated node or a missing dimension lacks is drawn."""
    drawn = torch.empty((len(vectors), dim)).normal_(0.0, std, generator=generator)
    known = vectors.norm(dim=1) > 1e-9
    drawn[known, : vectors.shape[1]] = vectors[known]
    return drawn
