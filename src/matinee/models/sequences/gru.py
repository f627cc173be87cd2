"""The GRU layer twice: in torch for training, with its gradient written out, and in numpy for serving.

Both compute h' = (1 - z) n + z h with n = tanh(x_n + r (h W_n + b_n)), r = σ(x_r + h W_r + b_r) and
z = σ(x_z + h W_z + b_z). This is cuDNN's and torch's cell: the reset gate is applied after the recurrent product, with
a second bias, where Cho et al. 2014, eq. 8 has (r ⊙ h) W_n. Columns of weights are in the order r, z, n.
"""

import warnings
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from matinee.arrays import FloatArray, IntArray
from matinee.models.sequences.inference import Float64Array
from matinee.nn.few_shapes import RowProducts, with_few_rows

if TYPE_CHECKING:
    import torch
    from torch import Tensor

ROWS = 8
"""Of one product in serving. The kernels of BLAS round a row's sums differently in products of other numbers of rows,
and from 16 rows on by its place among them; products of always so many give a history the same bits in any batch."""


def train_states(
    inputs: "Tensor",
    weights: "Tensor",
    bias: "Tensor",
    batch_sizes: list[int],
    *,
    initial: "Tensor | None" = None,
    resets: "Tensor | None" = None,
    bf16: bool = False,
) -> "Tensor":
    """States after each step of packed sequences, in torch. [P, H].

    inputs [P, 3H]: x W + b, packed by step, longest sequence first; weights [H, 3H] and bias [3H] of the recurrence;
    batch_sizes [T]: sequences left at each step, as in torch's PackedSequence; initial [batch_sizes[0], H]: first
    state, zeros by default, without a gradient; resets [P]: where the state is set to zero before the step; bf16:
    recurrent products in bfloat16.
    """
    import torch

    from matinee.nn.gradients import with_gradient

    initial = inputs.new_zeros((batch_sizes[0], weights.shape[0])) if initial is None else initial
    forward = partial(_forward, batch_sizes=batch_sizes, dtype=torch.bfloat16 if bf16 else torch.float32)
    backward = partial(_backward, batch_sizes=batch_sizes)
    return with_gradient(forward, backward, inputs, weights, bias, initial, resets)


def fused_states(
    values: "Tensor", weights_ih: "Tensor", weights_hh: "Tensor", biases: "Tensor", batch_sizes: list[int]
) -> "Tensor":
    """`train_states` of values x [P, D] by torch's own layer, which on a GPU is one kernel of cuDNN's for all steps.

    weights_ih [D, 3H], weights_hh [H, 3H], biases [2, 3H]; from zero states, in float32.
    """
    import torch

    parameters = [weights_ih.T.contiguous(), weights_hh.T.contiguous(), biases[0], biases[1]]
    initial = values.new_zeros((1, batch_sizes[0], weights_hh.shape[0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cuDNN copies the parameters into one piece, and torch says so
        states: Tensor = torch.gru(values, torch.tensor(batch_sizes), initial, parameters, True, 1, 0.0, True, False)[0]
    return states


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """The recurrence of a layer for serving, all in float32.

    With σ(x) = (1 + tanh(x / 2)) / 2, which does not overflow, a half of the weights and of the gates' inputs is all
    that a step needs; the gates' bias is in their inputs. weights: [H, 3H] / 2; new_bias: [H] / 2; gate_bias: [2H].
    """

    weights: FloatArray
    new_bias: FloatArray
    gate_bias: Float64Array

    @classmethod
    def of(cls, weights: FloatArray, bias: FloatArray) -> "Cell":
        """Weights and bias as in `train_states`."""
        width = len(weights)
        halves = np.ascontiguousarray(weights, dtype=np.float32) / 2
        return cls(halves, bias[2 * width :].astype(np.float32) / 2, bias[: 2 * width].astype(np.float64))

    def inputs(self, inputs: Float64Array) -> FloatArray:
        """What a step takes for x W + b. [..., 3H]."""
        found = inputs.copy()
        gates = found[..., : len(self.gate_bias)]
        gates += self.gate_bias
        gates /= 2
        return found.astype(np.float32)


class _Steps:
    """Steps of the first b of some states, in arrays that all of them share. states: [b', H], of whole products."""

    def __init__(self, cell: Cell, states: FloatArray, n_rows: int) -> None:
        self.n_rows, width, n_blocks = n_rows, len(cell.weights), -(-n_rows // ROWS)
        self._blocks, self._new_bias = states[: n_blocks * ROWS].reshape(n_blocks, ROWS, width), cell.new_bias
        self._gate_weights, self._new_weights = cell.weights[:, : 2 * width], cell.weights[:, 2 * width :]
        self._gate_blocks = np.empty((n_blocks, ROWS, 2 * width), dtype=np.float32)
        self._new_blocks = np.empty((n_blocks, ROWS, width), dtype=np.float32)
        self._gates = self._gate_blocks.reshape(-1, 2 * width)[:n_rows]
        self._reset, self._update = self._gates[:, :width], self._gates[:, width:]
        self._new, self._state = self._new_blocks.reshape(-1, width)[:n_rows], states[:n_rows]

    def __call__(self, of_gates: FloatArray, of_new: FloatArray) -> None:
        """Replace the states by the next ones, by inputs of the gates [b, 2H] and of the new state [b, H]."""
        gates, new, state = self._gates, self._new, self._state
        np.matmul(self._blocks, self._gate_weights, out=self._gate_blocks)
        np.matmul(self._blocks, self._new_weights, out=self._new_blocks)
        gates += of_gates
        np.tanh(gates, out=gates)
        gates += 1  # twice σ
        new += self._new_bias
        new *= self._reset
        new += of_new
        np.tanh(new, out=new)
        state -= new
        state *= self._update
        state *= 0.5
        state += new


def serve_states(inputs: Float64Array, lengths: IntArray, cell: Cell, initial: FloatArray | None = None) -> FloatArray:
    """States after each step of padded sequences, in numpy. inputs [b, T, 3H] = x W + b -> [b, T, H] float32.

    lengths [b], longest first; after its last step a row keeps its state. initial [b, H]: first state, zeros by
    default. The bits are the same in a batch as alone, see ROWS.
    """
    n_rows, length, width = inputs.shape[0], inputs.shape[1], len(cell.weights)
    states = np.empty((n_rows, length, width), dtype=np.float32)
    state = _first_states(n_rows, width)
    if initial is not None:
        state[:n_rows] = initial
    by_step = cell.inputs(inputs).transpose(1, 0, 2)  # [T, b, 3H]
    of_gates, of_new = by_step[..., : 2 * width], by_step[..., 2 * width :]
    steps, last = _Steps(cell, state, n_rows), state[:n_rows]
    for step, size in enumerate(_batch_sizes(lengths, length)):
        if size != steps.n_rows:
            steps = _Steps(cell, state, size)
        steps(of_gates[step, :size], of_new[step, :size])
        states[:, step] = last
    return states


def _batch_sizes(lengths: IntArray, length: int) -> list[int]:
    """Sequences left at each step, of those of these lengths [b], longest first."""
    found: list[int] = np.searchsorted(-lengths, -np.arange(length), side="left").tolist()
    return found


def serve_last_states(table: FloatArray, rows: IntArray, lengths: IntArray, cell: Cell) -> FloatArray:
    """The last of `serve_states`, of sequences whose inputs are rows of a table. table [I, 3H], rows [b, T] -> [b, H].

    table: as `Cell.inputs` gives it. The inputs of one step at a time are taken, so that long sequences need no more
    memory than short ones.
    """
    width = len(cell.weights)
    state = _first_states(len(rows), width)
    steps = _Steps(cell, state, len(rows))
    for step, size in enumerate(_batch_sizes(lengths, rows.shape[1])):
        if size != steps.n_rows:
            steps = _Steps(cell, state, size)
        inputs = table.take(rows[:size, step], axis=0)
        steps(inputs[:, : 2 * width], inputs[:, 2 * width :])
    return state[: len(rows)]


def _first_states(n_rows: int, width: int) -> FloatArray:
    """Zeros for so many rows and as many more as make whole products. [b', H]."""
    return np.zeros((-(-n_rows // ROWS) * ROWS, width), dtype=np.float32)


def _forward(
    inputs: "Tensor",
    weights: "Tensor",
    bias: "Tensor",
    initial: "Tensor",
    resets: "Tensor | None",
    *,
    batch_sizes: list[int],
    dtype: "torch.dtype",
) -> "tuple[Tensor, tuple[Tensor | None, ...]]":
    """States [P, H], and the tensors that `_backward` needs."""
    import torch

    n, width = inputs.shape[0], weights.shape[0]
    weights = weights.to(dtype)
    products = RowProducts(weights, batch_sizes[0], bias.to(dtype))
    states, previous_states, new_states = (inputs.new_empty((n, width)) for _ in range(3))
    gates, recurrent_new = inputs.new_empty((n, 2 * width)), inputs.new_empty((n, width))  # r and z; h W_n + b_n
    state, start = initial, 0
    for size in batch_sizes:
        step = slice(start, start + size)
        previous = torch.mul(state[:size], 1, out=previous_states[step])
        if resets is not None:
            previous.masked_fill_(resets[step, None], 0.0)
        recurrent = products(previous)  # [b, 3H]
        gate = torch.add(inputs[step, : 2 * width], recurrent[:, : 2 * width], out=gates[step]).sigmoid_()
        recurrent_new[step] = recurrent[:, 2 * width :]
        new = torch.addcmul(
            inputs[step, 2 * width :], gate[:, :width], recurrent[:, 2 * width :], out=new_states[step]
        ).tanh_()
        state = torch.lerp(new, previous, gate[:, width:], out=states[step])
        start += size
    return states, (weights, previous_states, gates, recurrent_new, new_states, resets)


def _backward(
    gradient: "Tensor",
    weights: "Tensor",
    previous_states: "Tensor",
    gates: "Tensor",
    recurrent_new: "Tensor",
    *rest: "Tensor",
    batch_sizes: list[int],
) -> "tuple[Tensor, Tensor, Tensor]":
    """Gradients by inputs, weights and bias; one matrix product a step. rest: new states and resets."""
    import torch

    new_states, resets = rest
    width, dtype = new_states.shape[1], weights.dtype
    r, z = gates[:, :width], gates[:, width:]
    by_new = (1 - z) * (1 - new_states * new_states)  # [P, H]: d state / d (argument of tanh)
    factors = new_states.new_empty((len(new_states), 3, width))  # d state / d (each third of h W + b)
    torch.mul(by_new * recurrent_new, r * (1 - r), out=factors[:, 0])
    torch.mul(previous_states - new_states, z * (1 - z), out=factors[:, 1])
    torch.mul(by_new, r, out=factors[:, 2])
    by_recurrent = torch.empty_like(factors)
    by_state = gradient.clone()  # [P, H]
    products, later = RowProducts(weights.T.contiguous(), batch_sizes[0]), new_states.new_zeros((0, width))
    start = len(new_states)
    for size in reversed(batch_sizes):
        start -= size
        step = slice(start, start + size)
        total = by_state[step]
        total[: len(later)] += later
        by_step = torch.mul(total[:, None], factors[step], out=by_recurrent[step]).view(size, 3 * width)
        later = torch.addcmul(products(by_step), total, z[step])
        if resets is not None:
            later.masked_fill_(resets[step, None], 0.0)
    flat = by_recurrent.view(-1, 3 * width)
    by_inputs = flat.clone()
    torch.mul(by_state, by_new, out=by_inputs[:, 2 * width :])
    by_bias = flat.sum(dim=0)
    if dtype == torch.bfloat16:
        previous_states, flat = (with_few_rows(each.to(dtype)) for each in (previous_states, flat))
    return by_inputs, (previous_states.T @ flat).float(), by_bias
