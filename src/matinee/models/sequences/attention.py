"""Causal self-attention blocks twice: in torch for training, and in numpy for serving."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matinee.arrays import BoolArray, IntArray
from matinee.models.sequences.inference import Float64Array

if TYPE_CHECKING:
    import torch
    from torch import Tensor

BLOCK_ARRAYS = ("qkv", "out_proj", "ffn_in", "ffn_out", "ffn_bias", "norms")
"""The parameters of K blocks, stacked: [K, D, 3D], [K, D, D] three times, [K, 2, D], [K, 2, 2, D].

norms: of attention and of the feed-forward layer, each a scale and a shift.
"""
QUERIES_AT_ONCE = 32
"""Of causal attention over a sequence."""
UNATTENDED = -1e300
"""Of a key that is not attended to: its weight is 0, but where no key is, as in padding, there is no NaN."""


def initial_blocks(n_blocks: int, dim: int, generator: "torch.Generator") -> "dict[str, Tensor]":
    """First values: Xavier-normal weights (Glorot and Bengio 2010), zero biases, norms of scale 1 and shift 0."""
    import torch

    device = generator.device

    def xavier(*shape: int) -> "Tensor":
        return torch.empty((n_blocks, *shape), device=device).normal_(0.0, sqrt(2 / (dim + dim)), generator=generator)

    norms = torch.zeros((n_blocks, 2, 2, dim), device=device)
    norms[:, :, 0] = 1
    return {
        "qkv": xavier(dim, 3 * dim),
        "out_proj": xavier(dim, dim),
        "ffn_in": xavier(dim, dim),
        "ffn_out": xavier(dim, dim),
        "ffn_bias": torch.zeros((n_blocks, 2, dim), device=device),
        "norms": norms,
    }


def train_blocks(
    values: "Tensor",
    weights: "Mapping[str, Tensor]",
    n_heads: int,
    norm: str,
    dropout: float,
    generator: "torch.Generator",
) -> "Tensor":
    """Blocks of causal self-attention and feed-forward with residuals, in torch. [B, T, D] -> [B, T, D].

    Rows are padded at their end. norm: "pre", x + f(LN(x)) (Kang and McAuley 2018, eq. 5), or "post", LN(x + f(x))
    (Vaswani et al. 2017). Dropout is applied to the output of both sub-layers, not to attention weights.
    """
    import torch

    from matinee.training.torch_trainer import fast_dropout

    n_rows, length, dim = values.shape
    for block in range(len(weights["qkv"])):
        qkv, out_proj, ffn_in, ffn_out, ffn_bias, norms = (weights[name][block] for name in BLOCK_ARRAYS)
        inputs = train_norm(values, norms[0]) if norm == "pre" else values
        split = (inputs @ qkv).view(n_rows, length, 3, n_heads, dim // n_heads).transpose(1, 3)  # [B, h, 3, T, d]
        heads = _train_attention(split[:, :, 0], split[:, :, 1], split[:, :, 2])
        outputs = heads.transpose(1, 2).reshape(n_rows, length, dim) @ out_proj
        values = values + fast_dropout(outputs, dropout, generator)
        if norm == "post":
            values = train_norm(values, norms[0])
        inputs = train_norm(values, norms[1]) if norm == "pre" else values
        outputs = torch.relu(inputs @ ffn_in + ffn_bias[0]) @ ffn_out + ffn_bias[1]
        values = values + fast_dropout(outputs, dropout, generator)
        if norm == "post":
            values = train_norm(values, norms[1])
    return values


def serve_blocks(
    values: Float64Array, lengths: IntArray, blocks: Sequence[Mapping[str, Float64Array]], n_heads: int
) -> Float64Array:
    """The last step of each row after `train_blocks` with norm = post, in numpy. [b, T, D], lengths [b] -> [b, D].

    The last block is computed for the last steps only. For norm = pre see `pre_norm`.
    """
    last = np.arange(len(values)), lengths - 1
    for weights in blocks[:-1]:
        heads = _attend_causally(*_project(values, values, weights["qkv"], n_heads))
        values = _add_and_feed_forward(values, heads, weights, "post")
    if not blocks:
        return values[last]
    heads = _attend_from_last(values, lengths, blocks[-1]["qkv"], n_heads)
    return _add_and_feed_forward(values[last], heads, blocks[-1], "post")


def serve_blocks_without_each(
    shorter: Float64Array,
    later: Float64Array,
    distances: IntArray,
    blocks: Sequence[Mapping[str, Float64Array]],
    n_heads: int,
    norm: str,
) -> Float64Array:
    """The last step of a sequence without one of its steps, for R of them, in numpy. [R, D].

    shorter: [T, D] the inputs of the sequence without its last step; later: [S, D] those of its last S steps;
    distances: [R], 0 to T and at most S, steps that follow the one left out. Positions count from the end and attention
    is causal, so what comes before a step left out is the same for all: computed once, in `shorter`.
    """
    attended = attended_without_each(len(shorter), len(later), distances)
    before, values = shorter[None], np.repeat(later[None], len(distances), axis=0)  # [1, T, D], [R, S, D]
    for weights in blocks:
        keyed, queried = (serve_norm(each, weights["norms"][0]) if norm == "pre" else each for each in (before, values))
        queries, own_keys, own_values = _project(queried, queried, weights["qkv"], n_heads)
        shared = _project(keyed, keyed, weights["qkv"], n_heads)
        keys, held = (
            np.concatenate([np.repeat(first, len(values), axis=0), own], axis=2)
            for first, own in zip(shared[1:], (own_keys, own_values), strict=True)
        )
        heads = _attend(queries, keys, held, np.where(attended, 0.0, UNATTENDED))
        before = _add_and_feed_forward(before, _attend_causally(*shared), weights, norm)
        values = _add_and_feed_forward(values, heads, weights, norm)
    return np.where(distances[:, None] > 0, values[:, -1], before[0, -1])


def attended_without_each(length: int, n_later: int, distances: IntArray) -> BoolArray:
    """Which steps the last S of a sequence attend to without one, for R of them. [R, 1, S, T + S].

    Of T steps of the sequence without its last and of its last S: those before the step left out are of the first, the
    others of the second. distances: [R], steps that follow the one left out.
    """
    steps = np.arange(n_later)
    is_before = np.arange(length) < length - distances[:, None]  # [R, T]
    is_left = (steps >= n_later - distances[:, None])[:, None] & (steps <= steps[:, None])  # [R, S, S]
    return np.concatenate([np.repeat(is_before[:, None], n_later, axis=1), is_left], axis=2)[:, None]


def _add_and_feed_forward(
    values: Float64Array, heads: Float64Array, weights: Mapping[str, Float64Array], norm: str
) -> Float64Array:
    """The rest of a block after its attention. [..., D] -> [..., D]."""
    values = values + heads @ weights["out_proj"]
    if norm == "post":
        values = serve_norm(values, weights["norms"][0])
    inputs = serve_norm(values, weights["norms"][1]) if norm == "pre" else values
    values = values + np.maximum(inputs @ weights["ffn_in"] + weights["ffn_bias"][0], 0) @ weights["ffn_out"]
    values += weights["ffn_bias"][1]
    return serve_norm(values, weights["norms"][1]) if norm == "post" else values


def unstack(weights: Mapping[str, NDArray[Any]]) -> list[dict[str, Float64Array]]:
    """Stacked parameters of K blocks as one dict of float64 arrays per block."""
    n_blocks = len(next(iter(weights.values())))
    return [{name: value[block].astype(np.float64) for name, value in weights.items()} for block in range(n_blocks)]


def serve_norm(values: Float64Array, norm: Float64Array) -> Float64Array:
    """Layer norm in numpy. values [..., D]; norm [2, D]: scale and shift."""
    centred = values - values.mean(axis=-1, keepdims=True)
    deviation = np.sqrt(np.einsum("...d,...d->...", centred, centred)[..., None] / values.shape[-1] + 1e-5)
    scaled: Float64Array = centred / deviation * norm[0] + norm[1]
    return scaled


def _train_attention(queries: "Tensor", keys: "Tensor", values: "Tensor") -> "Tensor":
    """Causal scaled dot-product attention. [B, h, T, d] three times -> [B, h, T, d]."""
    import torch
    from torch.nn import functional

    if queries.dtype == torch.float32:
        return functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
    # in bfloat16 the gradient of torch's fused attention takes three times as long as that of plain products
    later = queries.new_full((queries.shape[2],) * 2, -torch.inf).triu(1)  # [T, T]
    scores = torch.matmul(queries / sqrt(queries.shape[3]), keys.transpose(2, 3)) + later
    return torch.matmul(torch.softmax(scores, dim=-1).to(values.dtype), values)


def _attend_causally(queries: Float64Array, keys: Float64Array, values: Float64Array) -> Float64Array:
    """Attention of each step to itself and those before it. [b, h, T, d] three times -> [b, T, D].

    Some queries at a time, so that most of what comes after them is not computed.
    """
    n_rows, n_heads, length, depth = queries.shape
    joined = np.empty((n_rows, length, n_heads, depth), dtype=queries.dtype)
    for start in range(0, length, QUERIES_AT_ONCE):
        stop = min(start + QUERIES_AT_ONCE, length)
        scores = queries[:, :, start:stop] @ keys[:, :, :stop].transpose(0, 1, 3, 2)  # [b, h, q, t]
        scores[..., start:] += np.triu(np.full((stop - start,) * 2, -np.inf), 1)
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        heads = scores @ values[:, :, :stop]  # [b, h, q, d]
        heads /= scores.sum(axis=-1, keepdims=True)
        joined[:, start:stop] = heads.transpose(0, 2, 1, 3)
    return joined.reshape(n_rows, length, n_heads * depth)


def _attend_from_last(inputs: Float64Array, lengths: IntArray, qkv: Float64Array, n_heads: int) -> Float64Array:
    """Attention of each row's last step to all of its steps. inputs [b, T, D], lengths [b] -> [b, D].

    The products with W_k and W_v are taken to the query and to the weighted mean of the inputs, one of each a head, in
    place of to all steps: q · (W_k x) = (W_kᵀ q) · x, and Σ a W_v x = W_v Σ a x.
    """
    n_rows, length, dim = inputs.shape
    by_query, by_key, by_value = (
        part.reshape(dim, n_heads, dim // n_heads).transpose(1, 0, 2) for part in np.split(qkv, 3, axis=1)
    )  # [h, D, d]
    queries = (inputs[np.arange(n_rows), lengths - 1] @ by_query) @ by_key.transpose(0, 2, 1)  # [h, b, D]
    queries /= sqrt(dim // n_heads)
    scores = queries.transpose(1, 0, 2) @ inputs.transpose(0, 2, 1)  # [b, h, T]
    scores += np.where(np.arange(length) >= lengths[:, None], -np.inf, 0.0)[:, None]
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    means = (scores @ inputs).transpose(1, 0, 2)  # [h, b, D]
    return (means @ by_value).transpose(1, 0, 2).reshape(n_rows, dim)


def _project(
    queried: Float64Array, inputs: Float64Array, qkv: Float64Array, n_heads: int
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Scaled queries of `queried`, keys and values of `inputs`. [b, q, D], [b, T, D] -> [b, h, q or T, d] each."""
    dim = qkv.shape[0]
    queries = split_heads(queried @ qkv[:, :dim], n_heads) / sqrt(dim // n_heads)
    keys, values = inputs @ qkv[:, dim : 2 * dim], inputs @ qkv[:, 2 * dim :]
    return queries, split_heads(keys, n_heads), split_heads(values, n_heads)


def split_heads(values: Float64Array, n_heads: int) -> Float64Array:
    """[b, T, D] -> [b, h, T, d]."""
    n_rows, length, dim = values.shape
    return values.reshape(n_rows, length, n_heads, dim // n_heads).transpose(0, 2, 1, 3)


def _attend(queries: Float64Array, keys: Float64Array, values: Float64Array, mask: Float64Array) -> Float64Array:
    """Attention, its heads joined. [b, h, q, d], [b, h, T, d] twice -> [b, q, D]. mask [.., q, T]: added to scores."""
    scores = queries @ keys.transpose(0, 1, 3, 2)  # [b, h, q, T]
    scores += mask
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    n_rows, n_heads, n_queries, depth = queries.shape
    joined: Float64Array = (scores @ values).transpose(0, 2, 1, 3).reshape(n_rows, n_queries, n_heads * depth)
    return joined


def train_norm(values: "Tensor", norm: "Tensor") -> "Tensor":
    """Layer norm in torch. values [..., D]; norm [2, D]: scale and shift."""
    from torch.nn import functional

    return functional.layer_norm(values, values.shape[-1:], norm[0].to(values.dtype), norm[1].to(values.dtype), 1e-5)
