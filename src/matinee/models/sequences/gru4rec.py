"""GRU4Rec: the next item from the state of a recurrent network (Hidasi et al. 2016), with optional attention."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from matinee.arrays import FloatArray, IntArray
from matinee.config import Search
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.derived import derived
from matinee.models.needs import matrix_needs, parameter_needs
from matinee.models.sequences.attention import BLOCK_ARRAYS, initial_blocks, serve_blocks, train_blocks, unstack
from matinee.models.sequences.batches import (
    Subsequences,
    batches_by_length,
    fill_lanes,
    pack,
    random_restarts,
    split_histories,
    transitions_per_step,
)
from matinee.models.sequences.config import SequenceConfig
from matinee.models.sequences.gru import Cell, fused_states, serve_last_states, serve_states, train_states
from matinee.models.sequences.inference import Float64Array, last_states
from matinee.models.vectors import append_bias, append_one, cosines
from matinee.nn.few_shapes import of_few
from matinee.training.loop import train_epochs
from matinee.training.run import Run

if TYPE_CHECKING:
    from torch import Tensor

TABLE_ITEMS, TABLE_BLOCK_VALUES = 2**14, 2**22
"""Up to so many items, the inputs of a batch are computed once an item; then only the values of one step are held at
once, of so many of a layer's."""
MOST_READ = 16
"""Readings of single histories that are kept."""
LAYER_ARRAYS = ("first_weights_ih", "weights_ih", "weights_hh", "biases")


class GRU4RecConfig(SequenceConfig):
    """Settings of GRU4Rec."""

    dim: Annotated[PositiveInt, Search(16, 256, log=True)] = 64
    """Length of the input vectors of items."""
    hidden: Annotated[PositiveInt, Search(32, 512, log=True)] = 128
    """Length of the state."""
    layers: Annotated[int, Field(ge=1)] = 1
    """Stacked GRU layers."""
    tied: bool = True
    """Whether output vectors are the input vectors (the state is projected to their length), or separate ones."""
    attention: Annotated[int, Field(ge=0, le=3)] = 0
    """Blocks of causal self-attention over the states; 0 scores by the last state itself."""
    heads: PositiveInt = 1
    """Attention heads."""
    batches: Literal["packed", "session-parallel"] = "packed"
    """Packed sequences of similar length, or session-parallel mini-batches."""
    lane_steps: PositiveInt = 1
    """session-parallel: events per lane in a step, through which gradients flow; 1 is the paper's."""
    epochs: PositiveInt = 12
    """Passes over all transitions, at most."""
    learning_rate: Annotated[PositiveFloat, Search(3e-4, 2e-2, log=True, first=True)] = 0.004
    """Step size of Adam."""
    schedule: Literal["constant", "step", "cosine", "plateau"] = "cosine"
    """Learning-rate schedule: constant, stepwise, cosine to zero, or reduced on a plateau."""

    @model_validator(mode="after")
    def _attention_fits(self) -> Self:
        if self.attention and self.hidden % self.heads:
            raise ValueError(f"heads = {self.heads} do not divide hidden = {self.hidden}; use heads = 1 or 2")
        if self.attention and self.batches == "session-parallel":
            raise ValueError("attention needs whole sequences, and lanes hold parts of them; use batches = packed")
        return self


class GRU4Rec(Recommender[FloatArray]):
    """score_i = (s P) · v_i + b_i, with s the GRU's state after the last max_length events, P the projection.

    The cell is in `gru`; with `attention`, post-norm blocks of causal self-attention follow. Without `tied`,
    score_i = s · o_i + b_i with output vectors o. Fold-in: a forward pass over the history without
    events that a user dislikes.
    Source: Hidasi et al. 2016, section 3; losses: Hidasi and Karatzoglou 2018, section 3.

    Differs from the paper: the cell is cuDNN's (reset gate after the recurrent product, a second bias) and z weighs the
    old state, not the new one; the authors' one-hot inputs are item vectors, tied to the output by default through P.
    By default: sampled softmax over 512 uniform negatives with a log-Q correction (theirs: the batch's other targets,
    2,048 extra ones of popularity^0.75, BPR-max or TOP1), packed whole histories (theirs: session-parallel, one event a
    step, which `batches` offers), Adam with a cosine schedule (theirs: AdaGrad with momentum), dropout on item
    vectors and states, SVD first vectors (theirs: uniform), linear outputs. Attention is ours.
    """

    name = "gru4rec"
    Config = GRU4RecConfig
    trained_by_torch = True
    ordered: ClassVar[bool] = True
    uses_weights = True
    learned = ("items", *LAYER_ARRAYS, *BLOCK_ARRAYS, "projection", "output_vectors", "bias")
    config: GRU4RecConfig
    items: FloatArray  # [I, D], v
    first_weights_ih: FloatArray  # [D, 3H], in thirds: reset, update, new
    weights_ih: FloatArray  # [layers - 1, H, 3H]
    weights_hh: FloatArray  # [layers, H, 3H]
    biases: FloatArray  # [layers, 2, 3H], of input and recurrence
    qkv: FloatArray  # [A, H, 3H]
    out_proj: FloatArray  # [A, H, H]
    ffn_in: FloatArray  # [A, H, H]
    ffn_out: FloatArray  # [A, H, H]
    ffn_bias: FloatArray  # [A, 2, H]
    norms: FloatArray  # [A, 2, 2, H]
    projection: FloatArray  # [H, D], P; [0, 0] if not tied
    output_vectors: FloatArray  # [I, H], o; [0, 0] if tied
    bias: FloatArray  # [I], b

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender: the transitions, and the vectors of items."""
        width = max(self.config.dim, self.config.hidden)
        return matrix_needs(train, 2) + parameter_needs(train, width, users=False, tables=2)

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender."""
        from matinee.training.torch_trainer import TorchTrainer

        config, network = self.config, GRUNetwork(self.config, train, run)
        trainer = TorchTrainer(
            network.parameters, network.losses, network.learned, config, decay=config.decay, generator=network.generator
        )
        train_epochs(self, trainer, train, run)
        return self

    def fold_in(self, histories: Histories) -> FloatArray:
        """The projected last state, with a last column of ones. [B, D + 1]; zeros and a one for an empty history."""
        config = self.config
        layers = self._layers
        blocks = unstack({name: getattr(self, name) for name in BLOCK_ARRAYS}) if config.attention else []

        def states_of(items: IntArray, lengths: IntArray) -> FloatArray:
            values = self.items[items]  # [b, T, D]
            for weights_ih, bias, cell in layers:
                values = serve_states(values @ weights_ih + bias, lengths, cell)
            return serve_blocks(values.astype(np.float64), lengths, blocks, config.heads)

        if len(histories) == 1 and not blocks:
            read = histories.items[histories.weights > 0][-config.max_length :]
            states = self._read(read)[-1][-1:] if len(read) else np.zeros((1, config.hidden), dtype=np.float32)
        elif len(layers) == 1 and not blocks and len(self.items) < min(len(histories.items), TABLE_ITEMS):
            states = self._states_by_table(histories)
        else:
            states = last_states(histories, config.max_length, config.hidden, states_of)
        return append_one(states @ self.projection if config.tied else states)

    def _read(self, items: IntArray) -> list[FloatArray]:
        """Each layer's states after each of some items. [T] -> [T, H] float32 each.

        What was read last is kept: a list and its reasons need the same ones.
        """
        kept, key = self._kept_reading, items.tobytes()
        if (found := kept.get(key)) is not None:
            return found
        values, found = self.items[items][None], []  # [1, T, D]
        for weights_ih, bias, cell in self._layers:
            values = serve_states(values @ weights_ih + bias, np.array([len(items)]), cell)
            found.append(values[0])
        if len(kept) >= MOST_READ:
            kept.clear()
        kept[key] = found
        return found

    @derived("items", "first_weights_ih", "weights_ih", "weights_hh", "biases")
    def _kept_reading(self) -> dict[bytes, list[FloatArray]]:
        """What `_read` found last."""
        return {}

    def _states_by_table(self, histories: Histories) -> FloatArray:
        """The last states of one layer, whose inputs are computed once for each item, not for each event. [B, H]."""
        _, _, cell = self._layers[0]
        table = self._inputs_of_items

        def states_of(items: IntArray, lengths: IntArray) -> FloatArray:
            return serve_last_states(table, items, lengths, cell)

        return last_states(histories, self.config.max_length, self.config.hidden, states_of, TABLE_BLOCK_VALUES)

    @derived("items", "first_weights_ih", "biases")
    def _inputs_of_items(self) -> FloatArray:
        """What each item is to the first layer, see `Cell.inputs`. [I, 3H]."""
        weights_ih, bias, cell = self._layers[0]
        return cell.inputs(self.items @ weights_ih + bias)

    def scores_without_each(self, histories: Histories, events: IntArray, item_rows: IntArray) -> FloatArray | None:
        """See ScoresWithoutEach: what comes before the first of the events is read once. None with attention."""
        if self.config.attention:
            return None
        scores = np.empty((len(events), item_rows.shape[1]), dtype=np.float32)
        owners, outputs = histories.owners[events], self._output_vectors()
        for user in np.unique(owners).tolist():
            mine, start, rows = np.flatnonzero(owners == user), int(histories.starts[user]), item_rows[user]
            history = histories.take(np.array([user]))
            read = np.flatnonzero(history.weights > 0)
            is_read = history.weights[events[mine] - start] > 0
            if not is_read.all():
                scores[mine[~is_read]] = self.score(self.fold_in(history))[0, rows]
            if not is_read.any():
                continue
            chosen = np.searchsorted(read, events[mine[is_read]] - start)
            states = self._states_without_each(history.items[read], chosen)
            vectors = states @ self.projection if self.config.tied else states  # [E, D]
            scores[mine[is_read]] = vectors @ outputs[rows].T + self.bias[rows]
        return scores

    def _states_without_each(self, items: IntArray, events: IntArray) -> FloatArray:
        """The last state after the items [n] of a history without each of E events. [E, H] float32."""
        first = max(0, len(items) - 1 - self.config.max_length)  # where reading begins without one of the last events
        events = np.maximum(events, first)  # without an earlier one, what is read is the same
        shared = int(events.min())
        later = np.broadcast_to(items[shared:], (len(events), len(items) - shared))
        later = later[np.arange(shared, len(items)) != events[:, None]].reshape(
            len(events), len(items) - shared - 1
        )  # [E, T]
        after = self.items[later]
        state = np.zeros((len(events), self.config.hidden), dtype=np.float32)
        # as a list has read it, but of a history that is longer than what is read this begins an event earlier
        before = self._read(items if len(items) <= self.config.max_length else items[first:shared])
        for (weights_ih, bias, cell), states in zip(self._layers, before, strict=True):
            state = np.zeros_like(state)
            if shared > first:
                state = np.repeat(states[[shared - first - 1]], len(events), axis=0)
            if after.shape[1]:
                lengths = np.full(len(events), after.shape[1])
                after = serve_states(after @ weights_ih + bias, lengths, cell, state)
                state = after[:, -1]
        return state

    def score(self, state: FloatArray) -> FloatArray:
        """See Recommender."""
        scores: FloatArray = state @ self._biased_vectors.T  # [B, I]
        return scores

    def item_vectors(self) -> FloatArray:
        """See HasItemVectors."""
        return self._biased_vectors

    @derived("items", "output_vectors", "bias")
    def _biased_vectors(self) -> FloatArray:
        return append_bias(self._output_vectors(), self.bias)

    def user_vectors(self, state: FloatArray) -> FloatArray:
        """See HasItemVectors."""
        return state

    def similarity(self, item_rows: IntArray) -> FloatArray:
        """Cosine of the output vectors, without the bias. [n] -> [n, I]."""
        return cosines(self._output_vectors(), item_rows)

    def _output_vectors(self) -> FloatArray:
        return self.items if self.config.tied else self.output_vectors

    @derived("first_weights_ih", "weights_ih", "weights_hh", "biases")
    def _layers(self) -> list[tuple[Float64Array, Float64Array, Cell]]:
        """Input weights, their bias and the recurrence of each layer."""
        inputs = [self.first_weights_ih, *self.weights_ih]
        return [
            (weights_ih.astype(np.float64), bias[0].astype(np.float64), Cell.of(weights_hh, bias[1]))
            for weights_ih, weights_hh, bias in zip(inputs, self.weights_hh, self.biases, strict=True)
        ]


class GRUNetwork:
    """The network in torch: its parameters, and the losses of an epoch."""

    def __init__(self, config: GRU4RecConfig, train: TrainingData, run: Run) -> None:
        from matinee.models.sequences.losses import SequenceLoss
        from matinee.training.torch_trainer import torch_generator

        self.config, self.past, self.rng = config, train.histories, run.rng
        self.generator = torch_generator(run)
        self.bf16 = config.precision == "bfloat16"
        self.parameters = self._initial_parameters(train)
        self.loss = SequenceLoss(config, train, run.rng)

    def losses(self) -> "Iterator[Tensor]":
        """The loss of each step of one epoch; every transition is trained once."""
        if self.config.batches == "session-parallel":
            yield from self._lane_losses()
            return
        for states, transitions, _ in self.packed_states():
            yield self._loss(states, transitions)

    def packed_states(self) -> "Iterator[tuple[Tensor, IntArray, IntArray]]":
        """States [P, H] of each packed batch of one epoch, their transitions [P], and batch sizes [T]; see `pack`."""
        config = self.config
        for batch in batches_by_length(self._subsequences(), config.batch_size, self.rng):
            transitions, batch_sizes = pack(batch)
            states, _ = self._states(transitions, batch_sizes.tolist())
            if config.attention:
                states = self._attend(states, batch, batch_sizes)
            yield states, transitions, batch_sizes

    def _subsequences(self) -> Subsequences:
        found = split_histories(self.past.starts, self.config.max_length, self.rng)
        return random_restarts(found, self.config.restart_probability, self.rng)

    def _lane_losses(self) -> "Iterator[Tensor]":
        import torch

        from matinee.training.transfers import to_tensor

        config, device, subsequences = self.config, self.generator.device, self._subsequences()
        n_lanes = transitions_per_step(int(subsequences.lengths.sum()), config.batch_size) // config.lane_steps
        lanes = fill_lanes(subsequences, max(1, n_lanes), self.rng)
        n_steps, n_lanes = lanes.transitions.shape
        initial = [torch.zeros((n_lanes, config.hidden), device=device) for _ in range(config.layers)]
        for start in range(0, n_steps, config.lane_steps):
            transitions = lanes.transitions[start : start + config.lane_steps]
            resets = to_tensor(lanes.resets[start : start + config.lane_steps].ravel(), device)
            states, final = self._states(
                np.maximum(transitions, 0).ravel(), [n_lanes] * len(transitions), initial=initial, resets=resets
            )
            initial = [state.detach() for state in final]
            present = np.flatnonzero(transitions.ravel() >= 0)  # lanes that have not ended
            yield self._loss(states[to_tensor(present, device)], transitions.ravel()[present])

    def _states(
        self,
        transitions: IntArray,
        batch_sizes: list[int],
        *,
        initial: "list[Tensor] | None" = None,
        resets: "Tensor | None" = None,
    ) -> "tuple[Tensor, list[Tensor]]":
        """The last layer's states [P, H], and each layer's state after the last step."""
        import torch
        from torch.nn import functional

        from matinee.training.torch_trainer import fast_dropout
        from matinee.training.transfers import to_rows

        config, weights = self.config, self.parameters
        rows = to_rows(self.past.items[transitions], self.generator.device)
        values = fast_dropout(functional.embedding(rows, weights["items"]), config.dropout, self.generator)  # [P, D]
        final = []
        for layer in range(config.layers):
            weights_ih = weights["first_weights_ih"] if layer == 0 else weights["weights_ih"][layer - 1]
            biases = weights["biases"][layer]
            weights_hh = weights["weights_hh"][layer]
            if initial is None and values.device.type == "cuda":
                states = fused_states(values, weights_ih, weights_hh, biases, batch_sizes)
            else:
                states = train_states(
                    torch.addmm(biases[0], values, weights_ih), weights_hh, biases[1], batch_sizes,
                    initial=None if initial is None else initial[layer], resets=resets, bf16=self.bf16,
                )  # fmt: skip
            final.append(states[-batch_sizes[-1] :])
            values = fast_dropout(states, config.dropout, self.generator)
        return values, final

    def _attend(self, states: "Tensor", batch: Subsequences, batch_sizes: IntArray) -> "Tensor":
        """Attention blocks over packed states. [P, H] -> [P, H]."""
        from torch.nn import functional

        from matinee.training.torch_trainer import bf16_products
        from matinee.training.transfers import to_tensor

        config, device = self.config, states.device
        n_rows, n_steps = len(batch), len(batch_sizes)
        shape = (of_few(n_rows), of_few(n_steps)) if self.bf16 else (n_rows, n_steps)  # [R, T]
        lengths = np.pad(batch.lengths, (0, shape[0] - n_rows))
        offsets = np.pad(np.cumsum(batch_sizes) - batch_sizes, (0, shape[1] - n_steps))
        present = np.arange(shape[1]) < lengths[:, None]
        indices = np.where(present, offsets + np.arange(shape[0])[:, None], 0)
        with bf16_products(device, self.bf16):
            padded = train_blocks(
                functional.embedding(to_tensor(indices, device), states),
                self.parameters, config.heads, "post", config.dropout, self.generator,
            )  # fmt: skip
        steps = np.flatnonzero(present.T)
        by_step = padded.float().transpose(0, 1).reshape(-1, config.hidden)  # [T R, H]
        return functional.embedding(to_tensor(steps, device), by_step)

    def _loss(self, states: "Tensor", transitions: IntArray) -> "Tensor":
        return self.loss(*self.vectors_of(states), transitions)

    def vectors_of(self, states: "Tensor") -> "tuple[Tensor, Tensor]":
        """Vectors of states [P, H] and of all items, whose products are the scores: [P, D + 1], [I, D + 1].

        The bias is their last column, so that no loss has to treat it.
        """
        import torch

        weights = self.parameters
        outputs = weights["items"] if self.config.tied else weights["output_vectors"]
        vectors = states @ weights["projection"] if self.config.tied else states
        vectors = torch.cat([vectors, vectors.new_ones((len(vectors), 1))], dim=1)
        return vectors, torch.cat([outputs, weights["bias"][:, None]], dim=1)

    def _initial_parameters(self, train: TrainingData) -> "dict[str, Tensor]":
        import torch

        from matinee.nn.initialisers import initialise_embeddings
        from matinee.nn.sparse_rows import normalise_adjacency

        config, generator, width = self.config, self.generator, self.config.hidden
        device = generator.device

        def uniform(*shape: int) -> "Tensor":
            bound = width**-0.5
            return torch.empty(shape, device=device).uniform_(-bound, bound, generator=generator)

        matrix = normalise_adjacency(train.matrix())
        items = initialise_embeddings(matrix, config.dim, config.initialiser, config.initial_std, generator)[1]
        return {
            "items": items,
            "first_weights_ih": uniform(config.dim, 3 * width),
            "weights_ih": uniform(config.layers - 1, width, 3 * width),
            "weights_hh": uniform(config.layers, width, 3 * width),
            "biases": torch.zeros((config.layers, 2, 3 * width), device=device),
            **initial_blocks(config.attention, width, generator),
            "projection": uniform(width, config.dim) if config.tied else torch.zeros((0, 0), device=device),
            "output_vectors": torch.zeros((0, 0), device=device) if config.tied else uniform(train.n_items, width),
            "bias": torch.zeros(train.n_items, device=device),
        }

    def learned(self) -> Mapping[str, FloatArray]:
        """The model's arrays."""
        from matinee.training.transfers import to_array

        return {name: to_array(value) for name, value in self.parameters.items()}
