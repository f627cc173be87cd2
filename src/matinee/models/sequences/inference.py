"""What sequence models make of histories when they serve: GRU states and attention in numpy, without torch.

In float64, so that a batch gives what its users give alone. Users go in blocks of about equal length.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.arrays import FloatArray, IntArray
from matinee.histories import Histories

Doubles = NDArray[np.float64]
BLOCK_VALUES = 2**19
"""Values of one layer held at once (4 MB), small enough for a processor's cache."""


def last_events(histories: Histories, longest: int) -> tuple[IntArray, IntArray]:
    """Of each history the place of its first event among the last `longest`, and how many they are. [B], [B]."""
    lengths = np.minimum(np.diff(histories.starts), longest)
    return histories.starts[1:] - lengths, lengths


def by_blocks(
    histories: Histories, longest: int, width: int, states_of: Callable[[IntArray, IntArray], Doubles]
) -> FloatArray:
    """The last state of each history, zeros for an empty one. [B, width] float32.

    states_of gets items [b, T], rows of similar length filled up at their end, and lengths [b], longest first.
    """
    first, lengths = last_events(histories, longest)
    found = np.zeros((len(lengths), width), dtype=np.float32)
    for rows in _blocks(lengths, width):
        steps = np.minimum(np.arange(lengths[rows[0]]), lengths[rows, None] - 1)
        found[rows] = states_of(histories.items[first[rows, None] + steps], lengths[rows])
    return found


def _blocks(lengths: IntArray, width: int) -> Iterator[IntArray]:
    order = np.argsort(-lengths, kind="stable")
    order = order[lengths[order] > 0]
    start = 0
    while start < len(order):
        size = max(1, BLOCK_VALUES // (width * int(lengths[order[start]])))
        yield order[start : start + size]
        start += size


def gru_states(
    inputs: Doubles, lengths: IntArray, weights: Doubles, bias: Doubles, first: Doubles | None = None
) -> Doubles:
    """The states of one GRU layer after each step. inputs [b, T, 3H] = x W + b -> [b, T, H].

    lengths [b], longest first: after its last step a row keeps its state. first: [b, H], zeros by default.
    """
    n_rows, length, width = inputs.shape[0], inputs.shape[1], weights.shape[0]
    states = np.empty((n_rows, length, width))
    state = np.zeros((n_rows, width)) if first is None else first.copy()
    alive = np.searchsorted(-lengths, -np.arange(length), side="left")  # rows longer than each step
    for step, size in enumerate(alive.tolist()):
        before = state[:size]
        told = before @ weights + bias  # [b, 3H]
        gates = inputs[:size, step, : 2 * width] + told[:, : 2 * width]
        np.tanh(np.multiply(gates, 0.5, out=gates), out=gates)  # the logistic function, without overflow
        gates += 1
        gates *= 0.5
        new = np.tanh(inputs[:size, step, 2 * width :] + gates[:, :width] * told[:, 2 * width :])
        state[:size] = new + gates[:, width:] * (before - new)
        states[:, step] = state
    return states


def attended(
    values: Doubles, lengths: IntArray, blocks: Sequence[Mapping[str, Doubles]], n_heads: int, norm: str
) -> Doubles:
    """The last step of each row after blocks of causal attention, as nn.attention.attend. [b, T, D] -> [b, D]."""
    last = np.arange(len(values)), lengths - 1
    for number, weights in enumerate(blocks):
        final = number == len(blocks) - 1
        inside = normed(values, weights["norms"][0]) if norm == "pre" else values
        asking, own = (inside[last][:, None], values[last][:, None]) if final else (inside, values)
        heard = _heard(asking, inside, lengths, weights["qkv"], n_heads, final)
        values = own + heard @ weights["mixed"]
        if norm == "post":
            values = normed(values, weights["norms"][0])
        inside = normed(values, weights["norms"][1]) if norm == "pre" else values
        values = values + np.maximum(inside @ weights["up"] + weights["shifts"][0], 0) @ weights["down"]
        values += weights["shifts"][1]
        if norm == "post":
            values = normed(values, weights["norms"][1])
    state: Doubles = values[:, 0] if blocks else values[last]
    return state


def _heard(asking: Doubles, inside: Doubles, lengths: IntArray, qkv: Doubles, n_heads: int, final: bool) -> Doubles:
    """What each asking step [b, q, D] hears of itself and those before it. [b, q, D]."""
    n_rows, length, dim = inside.shape
    depth = dim // n_heads

    def heads(part: Doubles) -> Doubles:
        return part.reshape(n_rows, part.shape[1], n_heads, depth).transpose(0, 2, 1, 3)  # [b, h, T, d]

    queries = heads(asking @ qkv[:, :dim]) / np.sqrt(depth)
    keys, heard = heads(inside @ qkv[:, dim : 2 * dim]), heads(inside @ qkv[:, 2 * dim :])
    scores = queries @ keys.transpose(0, 1, 3, 2)  # [b, h, q, T]
    steps = np.arange(length)
    hidden = steps >= lengths[:, None] if final else steps > steps[:, None]  # [b, T] or [T, T]
    scores += np.where(hidden, -np.inf, 0.0)[:, None, None] if final else np.where(hidden, -np.inf, 0.0)
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    mixed: Doubles = (scores @ heard).transpose(0, 2, 1, 3).reshape(n_rows, asking.shape[1], dim)
    return mixed


def normed(values: Doubles, norm: Doubles) -> Doubles:
    """Layer norm; norm [2, D], scale and shift. Any shape that ends in D."""
    centred = values - values.mean(axis=-1, keepdims=True)
    spread = np.sqrt(np.einsum("...d,...d->...", centred, centred)[..., None] / values.shape[-1] + 1e-5)
    scaled: Doubles = centred / spread * norm[0] + norm[1]
    return scaled


def blocks_of(weights: Mapping[str, NDArray[Any]]) -> list[dict[str, Doubles]]:
    """Stacked parameters of K blocks as one dict of float64 for each."""
    n_blocks = len(next(iter(weights.values())))
    return [{name: value[block].astype(np.float64) for name, value in weights.items()} for block in range(n_blocks)]
