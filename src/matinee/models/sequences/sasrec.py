"""SASRec: causal self-attention over the last events (Kang and McAuley 2018), and HSTU's layers in its place."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.config import Search
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender, StartArrays
from matinee.models.derived import derived
from matinee.models.needs import matrix_needs, parameter_needs
from matinee.models.sequences.attention import (
    BLOCK_ARRAYS,
    initial_blocks,
    serve_blocks,
    serve_blocks_without_each,
    serve_norm,
    train_blocks,
    unstack,
)
from matinee.models.sequences.batches import batches_by_length, pad, random_restarts, split_histories
from matinee.models.sequences.config import SequenceConfig
from matinee.models.sequences.hstu import (
    HSTU_ARRAYS,
    initial_layers,
    serve_layers,
    serve_layers_without_each,
    train_layers,
)
from matinee.models.sequences.inference import Float64Array, last_states, last_states_by_length
from matinee.models.sequences.pre_norm import PreNormBlocks
from matinee.models.vectors import cosines
from matinee.training.loop import train_epochs
from matinee.training.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import torch
    from torch import Tensor


BLOCK_VALUES, PRE_NORM_BLOCK_VALUES = 2**17, 3 * 2**17
"""Values of one layer held at once: 1 and 1.5 MB, as several layers of a block are read after one another."""
ROWS_AT_ONCE = 16
"""States without one event that are computed together: 16 times 100 to 200 steps."""


class SASRecConfig(SequenceConfig):
    """Settings of SASRec."""

    block: Literal["transformer", "hstu"] = "transformer"
    """Self-attention and feed-forward, or HSTU's gated pointwise attention with relative positions."""
    layers: NonNegativeInt = 2
    """Blocks of attention."""
    heads: PositiveInt = 1
    """Attention heads."""
    norm: Literal["pre", "post"] = "pre"
    """transformer: layer norm before each sub-layer, as in the paper, or after its residual."""
    epochs: PositiveInt = 12
    """Passes over all transitions, at most."""
    learning_rate: Annotated[PositiveFloat, Search(3e-4, 1e-2, log=True, first=True)] = 0.004
    """Step size of Adam."""
    schedule: Literal["constant", "step", "cosine", "plateau"] = "cosine"
    """Learning-rate schedule: constant, stepwise, cosine to zero, or reduced on a plateau."""

    @model_validator(mode="after")
    def _heads_divide_the_dim(self) -> Self:
        if self.dim % self.heads:
            raise ValueError(f"heads = {self.heads} do not divide dim = {self.dim}; use heads = 1 or 2")
        return self

    @model_validator(mode="after")
    def _hstu_has_one_norm(self) -> Self:
        if self.block == "hstu" and self.norm == "post":
            raise ValueError("norm = post goes with block = transformer; leave it out with hstu")
        return self

    @property
    def block_arrays(self) -> tuple[str, ...]:
        """Parameters of the blocks; those of the other kind are empty."""
        return BLOCK_ARRAYS if self.block == "transformer" else HSTU_ARRAYS


@dataclass(frozen=True, slots=True, eq=False)
class _Weights:
    """In float64: position embeddings [L, D], the parameters of each block, the last norm [2, D]."""

    positions: Float64Array
    blocks: list[dict[str, Float64Array]]
    norm: Float64Array


class SASRec(Recommender[FloatArray]):
    """score_i = LN(f_n) · e_i, with f the output of the blocks over √D e_j + p_t of the last max_length events.

    Each block is f + Attention(LN(f)), then f + FFN(LN(f)) with FFN(x) = relu(x W₁ + b₁) W₂ + b₂. Positions t count
    backwards from the last event, which is equivalent to the paper's left padding. Fold-in: a forward pass over
    the events that a user does not dislike.
    Source: Kang and McAuley 2018, eq. 1 to 7.

    With block = hstu each block is f + (LN(A V) ⊙ U) O with U, Q, K, V = SiLU(LN(f) W) and A_ts = SiLU(q_t · k_s +
    r_(t - s)) / L. Source: Zhai et al. 2024, "Actions speak louder than words", eq. 1 to 3, without the bias by time.

    Differs from the paper: keys and values are normalised as queries are (the authors' code normalises queries only);
    attention has an output projection, and no dropout of its weights. By default: sampled softmax over 512 uniform
    negatives with a log-Q correction (theirs: bce with 1 negative that the user does not have), Adam with a cosine
    schedule from 0.004 (theirs: constant 0.001, β₂ = 0.98), max_length 100 (theirs: 200 on ML-1M), dim 64 (theirs: 50),
    SVD first item vectors (theirs: uniform). Long histories are trained whole, in parts; theirs only the last
    max_length events.
    """

    name = "sasrec"
    Config = SASRecConfig
    trained_by_torch = True
    shares_batches = True
    ordered: ClassVar[bool] = True
    uses_weights = True
    learned = ("items", "position_embeddings", *BLOCK_ARRAYS, "last_norm", "uqkv", "distance_bias")
    learned_since = ("uqkv", "distance_bias")
    start_arrays: ClassVar[StartArrays] = {name: (name, "items" if name == "items" else "neither") for name in learned}
    config: SASRecConfig
    items: FloatArray  # [I, D], e
    position_embeddings: FloatArray  # [L, D], p, of the last event first
    qkv: FloatArray  # [K, D, 3D]
    out_proj: FloatArray  # [K, D, D]
    ffn_in: FloatArray  # [K, D, D], W₁
    ffn_out: FloatArray  # [K, D, D], W₂
    ffn_bias: FloatArray  # [K, 2, D]
    norms: FloatArray  # [K, 2, 2, D]
    last_norm: FloatArray  # [2, D]
    uqkv: FloatArray  # [K, D, 4D], W
    distance_bias: FloatArray  # [K, heads, L], r, of the nearest first

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender: the transitions, and the vectors of items."""
        return matrix_needs(train, 2) + parameter_needs(train, self.config.dim, users=False, tables=2)

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender."""
        from torch.nn import functional

        from matinee.models.sequences.losses import SequenceLoss
        from matinee.training.torch_trainer import TorchTrainer, bf16_products, fast_dropout, torch_generator
        from matinee.training.transfers import to_array, to_rows, to_tensor

        config, past, generator = self.config, train.histories, torch_generator(run)
        device = generator.device
        parameters = initial_parameters(config, train, generator)
        items, last_norm = parameters["items"], parameters["last_norm"]
        loss = SequenceLoss(config, train, run.rng)
        blocks, bf16 = {name: parameters[name] for name in config.block_arrays}, config.precision == "bfloat16"

        def states_of(transitions: IntArray, present: BoolArray) -> "Tensor":
            """States after each step of padded transitions, see `pad`. [R, T] -> [R, T, D]."""
            positions = np.maximum(present.sum(axis=1)[:, None] - 1 - np.arange(transitions.shape[1]), 0)
            rows = to_rows(past.items[transitions], device)
            values = functional.embedding(rows, items) * config.dim**0.5
            values = values + functional.embedding(to_tensor(positions, device), parameters["position_embeddings"])
            values = fast_dropout(values, config.dropout, generator)
            with bf16_products(device, bf16):
                if config.block == "transformer":
                    values = train_blocks(values, blocks, config.heads, config.norm, config.dropout, generator)
                else:
                    values = train_layers(values, blocks, config.heads, config.dropout, generator)
            return values.float()

        def losses() -> "Iterator[Tensor]":
            loss.draw_from(run.share.rng(run.rng, generator))
            subsequences = split_histories(past.starts, config.max_length, run.rng)
            subsequences = random_restarts(subsequences, config.restart_probability, run.rng)
            for whole in batches_by_length(subsequences, config.batch_size, run.rng):
                batch = whole.take(run.share.rows(np.arange(len(whole))))
                transitions, present = pad(batch, config.max_length if bf16 else None)  # [R, T]
                padded = states_of(transitions, present).view(-1, config.dim)  # [R T, D]
                states = functional.embedding(to_tensor(np.flatnonzero(present), device), padded)  # [P, D]
                states = functional.layer_norm(states, (config.dim,), last_norm[0], last_norm[1], 1e-5)
                yield loss(states, items, transitions[present])

        def learned() -> "Mapping[str, FloatArray]":
            return {name: to_array(value) for name, value in parameters.items()}

        trainer = TorchTrainer(
            parameters, losses, learned, config, decay=config.decay, generator=generator, share=run.share
        )
        train_epochs(self, trainer, train, run)
        return self

    def fold_in(self, histories: Histories) -> FloatArray:
        """The normalised last state of the last max_length events. [B, D], zeros for an empty history."""
        config = self.config
        if config.block == "transformer" and config.norm == "pre":
            states_of_padded = self._pre_norm.last_states
            return last_states_by_length(
                histories, config.max_length, config.dim, states_of_padded, PRE_NORM_BLOCK_VALUES
            )
        weights = self._weights

        def states_of(items: IntArray, lengths: IntArray) -> Float64Array:
            values = self._inputs(items, lengths[:, None] - 1 - np.arange(items.shape[1]))  # [b, T, D]
            if config.block == "transformer":
                values = serve_blocks(values, lengths, weights.blocks, config.heads)
            else:
                values = serve_layers(values, lengths, weights.blocks, config.heads)
            return serve_norm(values, weights.norm)

        return last_states(histories, config.max_length, config.dim, states_of, BLOCK_VALUES)

    def _inputs(self, items: IntArray, positions: IntArray) -> Float64Array:
        """√D e + p. items and positions, those below 0 as 0, of one shape [...] -> [..., D]."""
        scale = np.float64(self.config.dim**0.5)
        return self.items[items].astype(np.float64) * scale + self._weights.positions[np.maximum(positions, 0)]

    @derived("items", "position_embeddings", *BLOCK_ARRAYS, "last_norm")
    def _pre_norm(self) -> PreNormBlocks:
        """All of a forward pass, in float32."""
        arrays = self.items, self.position_embeddings, self._weights.blocks, self.last_norm
        return PreNormBlocks.of(*arrays, self.config.heads)

    @derived("position_embeddings", *BLOCK_ARRAYS, "last_norm", "uqkv", "distance_bias")
    def _weights(self) -> _Weights:
        arrays = {name: getattr(self, name) for name in self.config.block_arrays}
        return _Weights(self.position_embeddings.astype(np.float64), unstack(arrays), self.last_norm.astype(np.float64))

    def scores_without_each(self, histories: Histories, events: IntArray, item_rows: IntArray) -> FloatArray:
        """See ScoresWithoutEach: what comes before an event left out is computed once for all of them."""
        states = np.zeros((len(events), self.config.dim), dtype=np.float32)
        for user in np.unique(histories.owners[events]).tolist():
            mine = np.flatnonzero(histories.owners[events] == user)
            own = slice(*histories.starts[user : user + 2])
            liked = np.flatnonzero(histories.weights[own] > 0)
            positions = np.searchsorted(liked, events[mine] - own.start)
            is_read = np.append(liked, -1)[positions] == events[mine] - own.start
            distances = len(liked) - 1 - positions  # liked events that follow
            is_read &= distances < self.config.max_length
            states[mine[is_read]] = self._states_without_each(histories.items[own][liked], distances[is_read])
            if not is_read.all():
                states[mine[~is_read]] = self.fold_in(histories.take(np.array([user])))
        scores: FloatArray = np.einsum("ed,ekd->ek", states, self.items[item_rows[histories.owners[events]]])
        return scores

    def _states_without_each(self, items: IntArray, distances: IntArray) -> Float64Array:
        """States of a sequence without the event that so many others follow. items [n], distances [E] -> [E, D]."""
        config, weights = self.config, self._weights
        states = np.zeros((len(distances), config.dim))
        shorter = items[:-1][-config.max_length :]
        if not len(shorter):
            return states
        shorter_inputs = self._inputs(shorter, np.arange(len(shorter))[::-1])
        order = np.argsort(distances, kind="stable")
        for start in range(0, len(order), ROWS_AT_ONCE):
            rows = order[start : start + ROWS_AT_ONCE]
            n_later = max(1, int(distances[rows].max()))
            later = self._inputs(items[-n_later:], np.arange(n_later)[::-1])
            of_rows = shorter_inputs, later, distances[rows], weights.blocks, config.heads
            if config.block == "transformer":
                states[rows] = serve_blocks_without_each(*of_rows, config.norm)
            else:
                states[rows] = serve_layers_without_each(*of_rows)
        return serve_norm(states, weights.norm)

    def score(self, state: FloatArray) -> FloatArray:
        """See Recommender."""
        scores: FloatArray = state @ self.items.T  # [B, I]
        return scores

    def item_vectors(self) -> FloatArray:
        """See HasItemVectors."""
        return self.items

    def user_vectors(self, state: FloatArray) -> FloatArray:
        """See HasItemVectors."""
        return state

    def similarity(self, item_rows: IntArray) -> FloatArray:
        """Cosine of the item vectors. [n] -> [n, I]."""
        return cosines(self.items, item_rows)


def initial_parameters(config: SASRecConfig, train: TrainingData, generator: "torch.Generator") -> "dict[str, Tensor]":
    """First values of the model's arrays."""
    import torch

    from matinee.nn.initialisers import initialise_embeddings
    from matinee.nn.sparse_rows import normalise_adjacency

    matrix = normalise_adjacency(train.matrix())
    items = initialise_embeddings(matrix, config.dim, config.initialiser, config.initial_std, generator)[1]
    device = generator.device
    positions = torch.empty((config.max_length, config.dim), device=device).normal_(
        0.0, config.initial_std, generator=generator
    )
    n_blocks, n_layers = (config.layers, 0) if config.block == "transformer" else (0, config.layers)
    transformer = initial_blocks(n_blocks, config.dim, generator)
    hstu = initial_layers(n_layers, config.dim, config.heads, config.max_length, generator)
    return {
        "items": items,
        "position_embeddings": positions,
        **(hstu | transformer if config.block == "transformer" else transformer | hstu),
        "last_norm": torch.stack([torch.ones(config.dim, device=device), torch.zeros(config.dim, device=device)]),
    }
