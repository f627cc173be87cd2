"""Lists of pre-norm attention blocks in float32, in numpy, with the same bits for a history alone and in a batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import sqrt

import numpy as np

from matinee.arrays import BoolArray, FloatArray, IntArray, blocks
from matinee.models.sequences.inference import Float64Array

QUERIES_AT_ONCE = 48
"""Of causal attention over a sequence, at most."""
UNATTENDED = np.float32(-1e30)
"""Added to the score of a key that is not attended to: its weight is 0."""
SAFE_SCORE = 70.0
"""Scores within it are exponentiated as they are; beyond it, the largest of a query is subtracted before."""
LEAST_TOTAL = np.float32(1e-35)
"""Of a query's weights, above which it attends to something; those of padding attend to nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """The products of a block. query [D, hD], output [hD, D], first and second [D, D], second_bias [D]."""

    query: FloatArray
    output: FloatArray
    first: FloatArray
    second: FloatArray
    second_bias: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class PreNormBlocks:
    """`train_blocks` with norm = pre on √D e_i + p_t, with a last norm, for the last step of each history.

    What is added to a state along (1, ..., 1) is lost in every norm. So all that is added is reflected, so that this
    direction is the last axis, and is 0 there; a normalised state has a 1 in its place. Then biases are rows of
    matrices, and the last value of a mean of normalised states, before it is divided by the weights' total, is that
    total. W_q W_kᵀ and W_v W_o of a head are one matrix each, so keys and values are the normalised states.
    Sums over steps are of one shape for a history, see `last_states_by_length`, and products of one shape for each
    history: the bits of its state do not depend on what else is in the batch.

    items: [I, D]; positions: [L, D], of the last event first; last_norm: [D, D].
    """

    items: FloatArray
    positions: FloatArray
    blocks: Sequence[_Block]
    last_norm: FloatArray

    @classmethod
    def of(
        cls,
        items: FloatArray,
        positions: FloatArray,
        weights: Sequence[Mapping[str, Float64Array]],
        last_norm: FloatArray,
        n_heads: int,
    ) -> "PreNormBlocks":
        """Arrays as SASRec has them; weights: of each block, see BLOCK_ARRAYS, in float64."""
        dim = items.shape[1]
        axes = _axes(dim)
        table = np.empty(items.shape, dtype=np.float32)
        for rows in blocks(len(items)):
            table[rows] = _added(items[rows].astype(np.float64) * sqrt(dim), axes)
        from_last = _read(last_norm.astype(np.float64), np.eye(dim), axes)
        return cls(
            table,
            _added(positions.astype(np.float64), axes).astype(np.float32),
            [_block(each, axes, n_heads) for each in weights],
            from_last.astype(np.float32),
        )

    def last_states(self, items: IntArray, n_padded: IntArray) -> FloatArray:
        """The normalised last states of b histories of T items, padded at the beginning. [b, T], [b] -> [b, D]."""
        values = self.items.take(items, axis=0, mode="clip")  # [b, T, D]; it does not look for rows that there are not
        values += self.positions[: items.shape[1]][::-1]
        is_padding = np.arange(items.shape[1]) < n_padded[:, None]  # [b, T]
        for block in self.blocks[:-1]:
            _attend_causally(values, is_padding, block)
            _feed_forward(values, block)
        last = values[:, -1:].copy()  # [b, 1, D]
        if self.blocks:
            last += _attend_from_last(values, is_padding, self.blocks[-1])
            _feed_forward(last, self.blocks[-1])
        states: FloatArray = _normalised(last) @ self.last_norm
        return states[:, 0]


def _axes(dim: int) -> Float64Array:
    """The reflection that exchanges (1, ..., 1) / √D with the last axis. [D, D], symmetric and its own inverse."""
    difference = np.full(dim, -1 / sqrt(dim))
    difference[-1] += 1
    square = difference @ difference
    axes: Float64Array = np.eye(dim) - (2 / square if square else 0.0) * np.outer(difference, difference)
    return axes


def _added(values: Float64Array, axes: Float64Array) -> Float64Array:
    """What is added to states, on the axes above. [..., D]."""
    added: Float64Array = values @ axes
    added[..., -1] = 0
    return added


def _read(norm: Float64Array, weights: Float64Array, axes: Float64Array) -> Float64Array:
    """A product with LN(x) as one with a normalised state, its bias the last row. norm [2, D], weights [D, E]."""
    read: Float64Array = axes @ (norm[0][:, None] * weights)
    read[-1] = norm[1] @ weights
    return read


def _block(weights: Mapping[str, Float64Array], axes: Float64Array, n_heads: int) -> _Block:
    attended, fed = weights["norms"]
    dim = len(axes)
    by_query, by_key, by_value = (
        part.reshape(dim, n_heads, dim // n_heads).transpose(1, 0, 2) for part in np.split(weights["qkv"], 3, axis=1)
    )  # [h, D, d]
    queries, outputs = [], []
    for head in range(n_heads):
        keys = _read(attended, by_key[head], axes)
        keys[-1] = 0  # the same for all keys of a query
        query = _read(attended, by_query[head], axes) @ keys.T / sqrt(dim // n_heads)
        query[-1, -1] = 1  # what the last value of a key is multiplied with: UNATTENDED in padding, else 0
        queries.append(query)
        out_proj = weights["out_proj"][head * (dim // n_heads) :][: dim // n_heads]
        outputs.append(_added(_read(attended, by_value[head], axes) @ out_proj, axes))
    first = _read(fed, weights["ffn_in"], axes)
    first[-1] += weights["ffn_bias"][0]
    second, second_bias = _added(weights["ffn_out"], axes), _added(weights["ffn_bias"][1], axes)
    arrays = np.concatenate(queries, axis=1), np.concatenate(outputs), first, second, second_bias
    return _Block(*(each.astype(np.float32) for each in arrays))


def _attend_causally(values: FloatArray, is_padding: BoolArray, block: _Block) -> None:
    """Add the attention of each step to itself and those before it. values [b, T, D], is_padding [b, T]."""
    n_rows, length, dim = values.shape
    steps = _normalised(values)
    keys = steps.transpose(0, 2, 1).copy()  # [b, D, T]
    keys[:, -1] = np.where(is_padding, UNATTENDED, np.float32(0))
    queries = (steps @ block.query).reshape(n_rows, -1, dim)  # [b, T h, D]
    n_heads, n_parts = queries.shape[1] // length, -(-length // QUERIES_AT_ONCE)
    bounds = [length * part // n_parts for part in range(n_parts + 1)]
    for start, stop in pairwise(bounds):
        part = queries[:, start * n_heads : stop * n_heads]  # [b, q, D]
        scores = part @ keys[:, :, :stop]  # [b, q, t]
        scores[:, :, start:] += _later(stop - start, n_heads)
        _exponentiate(scores, part)
        np.matmul(scores, steps[:, :stop], out=part)  # the means, times the totals, in place of the queries
    queries *= 1 / np.maximum(queries[..., -1:], LEAST_TOTAL)
    values += np.matmul(queries.reshape(n_rows, length, n_heads * dim), block.output, out=steps)


@cache
def _later(n_steps: int, n_heads: int) -> FloatArray:
    """What is added to the scores of some steps among themselves: later ones are not attended to. [n h, n]."""
    return np.repeat(np.triu(np.full((n_steps, n_steps), UNATTENDED), 1), n_heads, axis=0)


def _attend_from_last(values: FloatArray, is_padding: BoolArray, block: _Block) -> FloatArray:
    """What attention adds to the last step. values [b, T, D], is_padding [b, T] -> [b, 1, D]."""
    n_rows, _, dim = values.shape
    scales = _scales(values).transpose(0, 2, 1)  # [b, 1, T]
    queries = (_normalised(values[:, -1:]) @ block.query).reshape(n_rows, -1, dim)  # [b, h, D]
    scores = queries @ values.transpose(0, 2, 1)  # [b, h, T]
    scores *= scales
    scores += np.where(is_padding, UNATTENDED, np.float32(0))[:, None]
    _exponentiate(scores, queries)
    totals = scores.sum(axis=-1, keepdims=True)
    scores *= scales
    means = scores @ values
    means /= totals
    means[..., -1] = 1
    added: FloatArray = means.reshape(n_rows, 1, -1) @ block.output
    return added


def _exponentiate(scores: FloatArray, queries: FloatArray) -> None:
    """Weights of keys that are normalised, from their scores, up to a factor of each query. [b, q, t], [b, q, D].

    A normalised state is no longer than √D, so a score is at most that times the length of the query.
    """
    most = SAFE_SCORE**2 / queries.shape[-1]
    squares = np.vecdot(queries, queries)
    if squares.max() > most:
        largest = scores.max(axis=-1)
        largest[squares <= most] = 0  # so that what others ask changes nothing
        scores -= largest[..., None]
    np.exp(scores, out=scores)


@cache
def _zeros(dim: int) -> FloatArray:
    return np.zeros(dim, dtype=np.float32)


def _feed_forward(values: FloatArray, block: _Block) -> None:
    """Add relu(LN(x) W₁ + b₁) W₂ + b₂. [..., D]."""
    states = _normalised(values)
    hidden = states @ block.first
    np.maximum(hidden, _zeros(hidden.shape[-1]), out=hidden)  # a number takes twice as long
    values += np.matmul(hidden, block.second, out=states)
    values += block.second_bias


def _normalised(values: FloatArray) -> FloatArray:
    """States over their standard deviation, and a last value of 1. [..., D]."""
    found: FloatArray = values * _scales(values)
    found[..., -1] = 1
    return found


def _scales(values: FloatArray) -> FloatArray:
    """1 over the standard deviation of states. [..., D] -> [..., 1]."""
    scales: FloatArray = np.vecdot(values, values)
    scales *= np.float32(1 / values.shape[-1])
    scales += np.float32(1e-5)
    np.sqrt(scales, out=scales)
    np.divide(np.float32(1), scales, out=scales)
    return scales[..., None]
