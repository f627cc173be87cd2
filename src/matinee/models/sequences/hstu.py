"""HSTU's layers: gated pointwise attention with relative positions, in torch for training and in numpy for serving."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from matinee.arrays import BoolArray, IntArray
from matinee.models.sequences.attention import (
    QUERIES_AT_ONCE,
    attended_without_each,
    serve_norm,
    split_heads,
    train_norm,
)
from matinee.models.sequences.inference import Float64Array

if TYPE_CHECKING:
    import torch
    from torch import Tensor

HSTU_ARRAYS = ("uqkv", "out_proj", "norms", "distance_bias")
"""The parameters of K layers, stacked: [K, D, 4D], [K, D, D], [K, 2, 2, D], [K, h, L].

uqkv: gates, queries, keys and values; norms: of a layer's input and of what it attends to, each a scale and a shift;
distance_bias: what is added to the product of a step with one so many steps before it.
"""


def initial_layers(
    n_layers: int, dim: int, n_heads: int, max_length: int, generator: "torch.Generator"
) -> "dict[str, Tensor]":
    """First values: Xavier-normal weights (Glorot and Bengio 2010), zero biases, norms of scale 1 and shift 0."""
    import torch

    device = generator.device
    norms = torch.zeros((n_layers, 2, 2, dim), device=device)
    norms[:, :, 0] = 1
    return {
        "uqkv": torch.empty((n_layers, dim, 4 * dim), device=device).normal_(0, 1 / sqrt(dim), generator=generator),
        "out_proj": torch.empty((n_layers, dim, dim), device=device).normal_(0, 1 / sqrt(dim), generator=generator),
        "norms": norms,
        "distance_bias": torch.zeros((n_layers, n_heads, max_length), device=device),
    }


def train_layers(
    values: "Tensor", weights: "Mapping[str, Tensor]", n_heads: int, dropout: float, generator: "torch.Generator"
) -> "Tensor":
    """Layers f + (LN(A V) ⊙ U) O with U, Q, K, V = SiLU(LN(f) W), A = SiLU(Q Kᵀ + r) / L. [B, T, D] -> [B, T, D].

    Rows are padded at their end; no step attends to a later one. r is the distance_bias, of L distances, and L is their
    number, not that of the steps, so that what a step attends to counts the same in a longer sequence. Dropout is
    applied to LN(A V) ⊙ U.
    Source: Zhai et al. 2024, eq. 1 to 3, without the part of r that depends on time.
    """
    import torch
    from torch.nn import functional

    from matinee.training.torch_trainer import fast_dropout

    n_rows, length, dim = values.shape
    for layer in range(len(weights["uqkv"])):
        uqkv, out_proj, norms, by_distance = (weights[name][layer] for name in HSTU_ARRAYS)
        projected = functional.silu(train_norm(values, norms[0]) @ uqkv)  # [B, T, 4D]
        split = projected[..., dim:].view(n_rows, length, 3, n_heads, dim // n_heads).transpose(1, 3)  # [B, h, 3, T, d]
        scores = torch.matmul(split[:, :, 0], split[:, :, 1].transpose(2, 3))  # [B, h, T, T]
        scores = scores + _train_bias(by_distance, length).to(scores.dtype)
        attention = functional.silu(scores).tril() / by_distance.shape[1]
        heads = torch.matmul(attention, split[:, :, 2]).transpose(1, 2).reshape(n_rows, length, dim)
        outputs = fast_dropout(train_norm(heads.to(values.dtype), norms[1]) * projected[..., :dim], dropout, generator)
        values = values + outputs @ out_proj
    return values


def serve_layers(
    values: Float64Array, lengths: IntArray, layers: Sequence[Mapping[str, Float64Array]], n_heads: int
) -> Float64Array:
    """The last step of each row after `train_layers`, in numpy. [b, T, D], lengths [b] -> [b, D].

    The last layer is computed for the last steps only.
    """
    last = np.arange(len(values)), lengths - 1
    steps = np.arange(values.shape[1])
    for weights in layers[:-1]:
        gates, queries = _gates_and_queries(values, weights, n_heads)
        heads = _attend_causally(queries, *_keys_and_values(values, weights, n_heads), weights)
        values = _add_gated(values, gates, heads, weights)
    if not layers:
        return values[last]
    weights, ends = layers[-1], values[last][:, None]  # [b, 1, D]
    gates, queries = _gates_and_queries(ends, weights, n_heads)
    distances = (lengths - 1)[:, None] - steps  # [b, T], below 0 in padding
    bias = _serve_bias(weights, distances).transpose(1, 0, 2)[:, :, None]  # [b, h, 1, T]
    keys_and_values = _keys_and_values(values, weights, n_heads)
    heads = _attend(queries, *keys_and_values, bias, (distances >= 0)[:, None, None])
    return _add_gated(ends, gates, heads, weights)[:, 0]


def serve_layers_without_each(
    shorter: Float64Array,
    later: Float64Array,
    distances: IntArray,
    layers: Sequence[Mapping[str, Float64Array]],
    n_heads: int,
) -> Float64Array:
    """The last step of a sequence without one of its steps, for R of them, as `serve_blocks_without_each`. [R, D].

    shorter: [T, D]; later: [S, D]; distances: [R].
    """
    before, values = shorter[None], np.repeat(later[None], len(distances), axis=0)  # [1, T, D], [R, S, D]
    is_attended = attended_without_each(len(shorter), len(later), distances)
    positions = np.arange(len(shorter))
    later_positions = positions[len(shorter) - len(later) :]
    between = later_positions[:, None] - np.concatenate([positions, later_positions])  # [S, T + S]
    for weights in layers:
        shared_gates, shared_queries = _gates_and_queries(before, weights, n_heads)
        gates, queries = _gates_and_queries(values, weights, n_heads)
        shared = _keys_and_values(before, weights, n_heads)
        keys, held = (
            np.concatenate([np.repeat(first, len(values), axis=0), own], axis=2)
            for first, own in zip(shared, _keys_and_values(values, weights, n_heads), strict=True)
        )
        heads = _attend(queries, keys, held, _serve_bias(weights, between), is_attended)
        shared_heads = _attend_causally(shared_queries, *shared, weights)
        before = _add_gated(before, shared_gates, shared_heads, weights)
        values = _add_gated(values, gates, heads, weights)
    return np.where(distances[:, None] > 0, values[:, -1], before[0, -1])


def _train_bias(by_distance: "Tensor", length: int) -> "Tensor":
    """What is added to the product of two steps, 0 for later ones. [h, L] -> [h, T, T].

    A window over the distances for each step: its gradient takes a tenth of that of an index.
    """
    from torch.nn import functional

    return functional.pad(by_distance[:, :length].flip(1), (0, length - 1)).unfold(1, length, 1).flip(1)


def _serve_bias(weights: Mapping[str, Float64Array], distances: IntArray) -> Float64Array:
    """What is added to the product of steps so far apart, that of 0 for later ones. [q, T] -> [h, q, T]."""
    bias: Float64Array = weights["distance_bias"][:, np.maximum(distances, 0)]
    return bias


def _gates_and_queries(
    values: Float64Array, weights: Mapping[str, Float64Array], n_heads: int
) -> tuple[Float64Array, Float64Array]:
    """[b, T, D] -> [b, T, D], [b, h, T, d]."""
    dim = values.shape[2]
    projected = _silu(serve_norm(values, weights["norms"][0]) @ weights["uqkv"][:, : 2 * dim])
    return projected[..., :dim], split_heads(projected[..., dim:], n_heads)


def _keys_and_values(
    values: Float64Array, weights: Mapping[str, Float64Array], n_heads: int
) -> tuple[Float64Array, Float64Array]:
    """[b, T, D] -> [b, h, T, d] twice."""
    dim = values.shape[2]
    projected = _silu(serve_norm(values, weights["norms"][0]) @ weights["uqkv"][:, 2 * dim :])
    return split_heads(projected[..., :dim], n_heads), split_heads(projected[..., dim:], n_heads)


def _attend_causally(
    queries: Float64Array, keys: Float64Array, values: Float64Array, weights: Mapping[str, Float64Array]
) -> Float64Array:
    """Attention of each step to itself and those before it. [b, h, T, d] three times -> [b, T, D].

    Some queries at a time, so that most of what comes after them is not computed.
    """
    steps, found = np.arange(queries.shape[2]), []
    for start in range(0, len(steps), QUERIES_AT_ONCE):
        stop = min(start + QUERIES_AT_ONCE, len(steps))
        distances = steps[start:stop, None] - steps[:stop]  # [q, t]
        bias, attended = _serve_bias(weights, distances), distances >= 0
        found.append(_attend(queries[:, :, start:stop], keys[:, :, :stop], values[:, :, :stop], bias, attended))
    return np.concatenate(found, axis=1)


def _attend(
    queries: Float64Array, keys: Float64Array, values: Float64Array, bias: Float64Array, is_attended: BoolArray
) -> Float64Array:
    """SiLU(Q Kᵀ + bias) V where it is attended to, heads joined. [b, h, q, d], [b, h, T, d] twice -> [b, q, D]."""
    weights = _silu(queries @ keys.transpose(0, 1, 3, 2) + bias)  # [b, h, q, T]
    weights *= is_attended
    n_rows, n_heads, n_queries, depth = queries.shape
    return (weights @ values).transpose(0, 2, 1, 3).reshape(n_rows, n_queries, n_heads * depth)


def _add_gated(
    values: Float64Array, gates: Float64Array, heads: Float64Array, weights: Mapping[str, Float64Array]
) -> Float64Array:
    """The rest of a layer after its attention. [b, q, D] three times -> [b, q, D]."""
    means = heads / weights["distance_bias"].shape[1]
    added: Float64Array = (serve_norm(means, weights["norms"][1]) * gates) @ weights["out_proj"]
    return values + added


def _silu(values: Float64Array) -> Float64Array:
    """Of x: x σ(x), with σ(x) = (1 + tanh(x / 2)) / 2, which does not overflow."""
    half = values * 0.5
    found: Float64Array = half * (1 + np.tanh(half))
    return found
