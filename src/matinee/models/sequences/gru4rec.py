"""GRU4Rec: what comes next, from the state of a recurrent network (Hidasi et al. 2016, 2018); attention if asked."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from matinee.arrays import FloatArray, IntArray
from matinee.config import Search
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.sequences.config import SequenceConfig
from matinee.models.sequences.inference import Doubles, attended, blocks_of, by_blocks, gru_states
from matinee.models.vectors import append_bias, append_one, cosines
from matinee.training.loop import train_epochs
from matinee.training.run import Run

LAYERS = ("first_input", "inputs", "recurrent", "biases")
BLOCKS = ("qkv", "mixed", "up", "down", "shifts", "norms")


class GRU4RecConfig(SequenceConfig):
    """Settings of GRU4Rec."""

    dim: Annotated[PositiveInt, Search(16, 256, log=True)] = 64
    """Length of an item's vector, going in."""
    hidden: Annotated[PositiveInt, Search(32, 512, log=True)] = 128
    """Length of the state."""
    layers: Annotated[int, Field(ge=1)] = 1
    """GRU layers, one over the other."""
    tied: bool = True
    """Whether scores come from the vectors that go in (the state turned to their length), or from others."""
    attention: Annotated[int, Field(ge=0, le=3)] = 0
    """Layers of causal attention over the states; 0 takes the last state as it is."""
    heads: PositiveInt = 1
    """Parts into which attention divides the state."""
    batches: Literal["packed", "session-parallel"] = "packed"
    """Steps over whole sequences of like length, or over lanes in which one sequence follows another."""
    lane_steps: PositiveInt = 1
    """session-parallel: events of each lane in a step; gradients go no further back. 1 is the paper's."""
    epochs: PositiveInt = 12
    """Passes over all transitions, at most."""
    learning_rate: Annotated[PositiveFloat, Search(3e-4, 2e-2, log=True)] = 0.004
    """Step size of Adam."""
    schedule: Literal["constant", "step", "cosine", "plateau"] = "cosine"
    """How the step size falls: never, every so many epochs, along a cosine to zero, or when nothing gets better."""

    @model_validator(mode="after")
    def _attention_fits(self) -> Self:
        if self.attention and self.hidden % self.heads:
            raise ValueError(f"heads = {self.heads} do not divide hidden = {self.hidden}; use heads = 1 or 2")
        if self.attention and self.batches == "session-parallel":
            raise ValueError("attention needs whole sequences, and lanes hold parts of them; use batches = packed")
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """The states of B visitors between clicks. layers: [layers, B, H]."""

    layers: Doubles


class GRU4Rec(Recommender[FloatArray]):
    """score = (turn s_n) · v + b, where s_n is the GRU's state after the last of the last max_length events.

    Source: Hidasi et al. 2016, section 3, with the losses of Hidasi and Karatzoglou 2018; item vectors in place of
    one-hot inputs, and tied ones, as in the latter's section 3.2. With `attention`, blocks of causal attention with
    residual and layer norm (post-norm) go over the states.
    """

    name = "gru4rec"
    Config = GRU4RecConfig
    ordered: ClassVar[bool] = True
    learned = ("items", *LAYERS, *BLOCKS, "turn", "outputs", "bias")
    config: GRU4RecConfig
    items: FloatArray  # [I, D]
    first_input: FloatArray  # [D, 3H] reset, update, new
    inputs: FloatArray  # [layers - 1, H, 3H]
    recurrent: FloatArray  # [layers, H, 3H]
    biases: FloatArray  # [layers, 2, 3H] of inputs and of the recurrence
    qkv: FloatArray  # [A, H, 3H]
    mixed: FloatArray  # [A, H, H]
    up: FloatArray  # [A, H, H]
    down: FloatArray  # [A, H, H]
    shifts: FloatArray  # [A, 2, H]
    norms: FloatArray  # [A, 2, 2, H]
    turn: FloatArray  # [H, D] tied; [0, 0] otherwise
    outputs: FloatArray  # [I, H] not tied; [0, 0] otherwise
    bias: FloatArray  # [I]

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender."""
        from matinee.models.sequences.recurrent import RecurrentNetwork

        train_epochs(self, RecurrentNetwork(self.config, train, run).trainer, train, run)
        return self

    def fold_in(self, histories: Histories) -> FloatArray:
        """The last state of the last max_length events, turned, and a 1. [B, D + 1]; without a history zero and a 1."""
        config = self.config
        layers = self._layers()
        blocks = blocks_of({name: getattr(self, name) for name in BLOCKS}) if config.attention else []

        def states_of(items: IntArray, lengths: IntArray) -> Doubles:
            values = self.items[items].astype(np.float64)  # [b, T, D]
            for inputs, recurrent, bias in layers:
                values = gru_states(values @ inputs + bias[0], lengths, recurrent, bias[1])
            return attended(values, lengths, blocks, config.heads, "post")

        return self._turned(by_blocks(histories, config.max_length, config.hidden, states_of))

    def carry(self, histories: Histories) -> Carried:
        """The states after histories, to go on from click by click. Raises MatineeError with attention."""
        if self.config.attention:
            raise MatineeError("gru4rec: attention looks back at every state; fold the whole history in instead")
        layers = self._layers()
        found = np.zeros((len(layers), len(histories), self.config.hidden))
        for row in range(len(histories)):
            past = histories.items[histories.starts[row] : histories.starts[row + 1]][-self.config.max_length :]
            values = self.items[past][None].astype(np.float64)
            for layer, (inputs, recurrent, bias) in enumerate(layers):
                values = gru_states(values @ inputs + bias[0], np.array([len(past)]), recurrent, bias[1])
                if len(past):
                    found[layer, row] = values[0, -1]
        return Carried(found)

    def click(self, carried: Carried, item_rows: IntArray) -> Carried:
        """The states after one more event each. item_rows: [B]. One step, however long the history."""
        values = self.items[item_rows].astype(np.float64)  # [B, D]
        states = np.empty_like(carried.layers)
        ones = np.ones(len(item_rows), dtype=np.int64)
        for layer, (inputs, recurrent, bias) in enumerate(self._layers()):
            before = carried.layers[layer]
            states[layer] = gru_states((values @ inputs + bias[0])[:, None], ones, recurrent, bias[1], before)[:, 0]
            values = states[layer]
        return Carried(states)

    def carried_state(self, carried: Carried) -> FloatArray:
        """What fold_in gives for the same events. [B, D + 1]."""
        return self._turned(carried.layers[-1].astype(np.float32))

    def score(self, state: FloatArray) -> FloatArray:
        """See Recommender."""
        scores: FloatArray = state[:, :-1] @ self._table().T  # [B, I]
        scores += self.bias
        return scores

    def item_vectors(self) -> FloatArray:
        """See HasItemVectors."""
        return append_bias(self._table(), self.bias)

    def user_vectors(self, state: FloatArray) -> FloatArray:
        """See HasItemVectors."""
        return state

    def similarity(self, item_rows: IntArray) -> FloatArray:
        """Cosine of the output vectors, their biases aside. [n] -> [n, I]."""
        return cosines(self._table(), item_rows)

    def _table(self) -> FloatArray:
        return self.items if self.config.tied else self.outputs

    def _turned(self, states: FloatArray) -> FloatArray:
        vectors = states @ self.turn if self.config.tied else states
        return append_one(vectors)

    def _layers(self) -> list[tuple[Doubles, Doubles, Doubles]]:
        """Of each layer what its inputs and its own state are multiplied by, and the two biases."""
        inputs = [self.first_input, *self.inputs]
        return [
            (into.astype(np.float64), recurrent.astype(np.float64), bias.astype(np.float64))
            for into, recurrent, bias in zip(inputs, self.recurrent, self.biases, strict=True)
        ]
