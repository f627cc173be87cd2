"""The LSTM that reads a path, in torch for training and in numpy for serving; its parameters by name."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from matinee.arrays import FloatArray, IntArray
from matinee.models.knowledge.paths import NONE

if TYPE_CHECKING:
    from torch import Generator, Tensor

INITIAL_STD = 0.1
SHAPES = {
    "type_embeddings": ("types", "dim"),
    "step_embeddings": ("steps", "dim"),
    "W_type": ("dim", "gates"),
    "W_step": ("dim", "gates"),
    "U": ("dim", "gates"),
    "b": ("gates",),
    "readout": ("dim",),
}
"""What both forms learn. The gates are input, forget, cell and output, dim columns each."""
NODE_SHAPES = {"node_embeddings": ("nodes", "dim"), "W_node": ("dim", "gates")}
"""What the LSTM of whole paths learns beside them."""


def initialise(
    sizes: Mapping[str, int], shapes: Mapping[str, tuple[str, ...]], rng: "Generator"
) -> "dict[str, Tensor]":
    """Parameters: normal with a standard deviation of INITIAL_STD, biases 0 but those of the forget gate, 1."""
    import torch

    found = {}
    for name, shape in shapes.items():
        found[name] = INITIAL_STD * torch.randn([sizes[axis] for axis in shape], generator=rng, device=rng.device)
    found["b"] = torch.zeros(sizes["gates"], device=rng.device)
    found["b"][sizes["dim"] : 2 * sizes["dim"]] = 1
    return found


def encode(
    parameters: Mapping[str, Any], types: IntArray, steps: IntArray, lengths: IntArray, nodes: IntArray | None = None
) -> FloatArray:
    """The LSTM's last hidden state of each path. types, steps, nodes: [P, M] rows; lengths: [P] -> [P, D].

    At each node the LSTM reads its type, the step that leaves it (at the end: a step of its own) and, if given, the
    node. h = 0, c = 0; i, f, g, o = x W + h U + b; c = σ(f) c + σ(i) tanh(g); h = σ(o) tanh(c).
    Source: Wang et al. 2019, eq. 3 to 5, without the projection of the initial state.
    """
    by_type = parameters["type_embeddings"] @ parameters["W_type"] + parameters["b"]  # [types, 4 D]
    by_step = parameters["step_embeddings"] @ parameters["W_step"]
    by_node = parameters["node_embeddings"] @ parameters["W_node"] if nodes is not None else None
    dim = parameters["U"].shape[0]
    hidden = np.zeros((len(lengths), dim), dtype=np.float32)
    cell = np.zeros_like(hidden)
    for position in range(types.shape[1]):
        gates = by_type[types[:, position]] + by_step[steps[:, position]] + hidden @ parameters["U"]  # [P, 4 D]
        if by_node is not None and nodes is not None:
            gates += by_node[nodes[:, position]]
        kept = (position < lengths)[:, None]
        new_cell = _sigmoid(gates[:, dim : 2 * dim]) * cell + _sigmoid(gates[:, :dim]) * np.tanh(
            gates[:, 2 * dim : 3 * dim]
        )
        cell = np.where(kept, new_cell, cell)
        hidden = np.where(kept, _sigmoid(gates[:, 3 * dim :]) * np.tanh(new_cell), hidden)
    return hidden


def encode_tensors(
    parameters: "Mapping[str, Tensor]",
    types: "Tensor",
    steps: "Tensor",
    lengths: "Tensor",
    nodes: "Tensor | None" = None,
) -> "Tensor":
    """`encode` with gradients."""
    import torch

    by_type = parameters["type_embeddings"] @ parameters["W_type"] + parameters["b"]
    by_step = parameters["step_embeddings"] @ parameters["W_step"]
    by_node = parameters["node_embeddings"] @ parameters["W_node"] if nodes is not None else None
    hidden = by_type.new_zeros(len(lengths), parameters["U"].shape[0])
    cell = torch.zeros_like(hidden)
    for position in range(types.shape[1]):
        gates = by_type[types[:, position]] + by_step[steps[:, position]] + hidden @ parameters["U"]
        if by_node is not None and nodes is not None:
            gates = gates + by_node[nodes[:, position]]
        inputs, forget, new, output = gates.chunk(4, dim=1)
        kept = (position < lengths)[:, None]
        new_cell = torch.sigmoid(forget) * cell + torch.sigmoid(inputs) * torch.tanh(new)
        cell = torch.where(kept, new_cell, cell)
        hidden = torch.where(kept, torch.sigmoid(output) * torch.tanh(new_cell), hidden)
    return hidden


def sequences(types: IntArray, steps: IntArray, n_relations: int) -> tuple[IntArray, IntArray, IntArray]:
    """What the LSTM reads: types and steps, [P, M] each, and lengths [P]; the step at the end is the last one."""
    lengths = 1 + np.count_nonzero(steps != NONE, axis=1)
    padded = np.pad(steps.astype(np.int64), ((0, 0), (0, 1)), constant_values=NONE)
    return types, np.where(padded == NONE, 2 * n_relations, padded), lengths


def pattern_scores(
    arrays: Mapping[str, Any], states: FloatArray, kinds: IntArray, mids: IntArray, items: IntArray
) -> FloatArray:
    """The scores a + q · e_m + r · e_i of arrivals, see `score_patterns`. [T]."""
    nodes = arrays["node_embeddings"]
    by_middle = np.einsum("td,td->t", (states @ arrays["W_middle"])[kinds], nodes[mids])
    by_last = np.einsum("td,td->t", (states @ arrays["W_last"])[kinds], nodes[items])
    scores: FloatArray = (states @ arrays["readout"])[kinds] + by_middle + by_last
    return scores


def _sigmoid(values: FloatArray) -> FloatArray:
    found: FloatArray = 0.5 * (1 + np.tanh(0.5 * values))
    return found
