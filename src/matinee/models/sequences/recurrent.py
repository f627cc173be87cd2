"""The network of GRU4Rec in torch: packed sequences or lanes, and the losses of an epoch."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from matinee.arrays import FloatArray, IntArray
from matinee.histories import TrainingData
from matinee.models.sequences.attention import attend, initial_blocks
from matinee.models.sequences.batches import Pieces, begun_anew, by_length, cut, lanes, packed, step_size
from matinee.models.sequences.gru import recurrence
from matinee.models.sequences.losses import SequenceLoss
from matinee.nn.initialisers import initialise_embeddings
from matinee.nn.sparse_rows import normalise_adjacency
from matinee.training.run import Run
from matinee.training.torch_trainer import TorchTrainer, fast_dropout, torch_generator

if TYPE_CHECKING:
    from matinee.models.sequences.gru4rec import GRU4RecConfig


class RecurrentNetwork:
    """Parameters, and the losses of an epoch."""

    def __init__(self, config: "GRU4RecConfig", train: TrainingData, run: Run) -> None:
        self.config, self.past, self.rng = config, train.histories, run.rng
        self.chance = torch_generator(run)
        self.half = config.precision == "bfloat16"
        self.parameters = self._initial(train)
        self.loss = SequenceLoss(config, train, run.rng)
        self.trainer = TorchTrainer(
            self.parameters, self.losses, self._learned, config, decay=config.decay, generator=self.chance
        )

    def losses(self) -> Iterator[Tensor]:
        """The losses of one epoch; every transition counts once."""
        pieces = begun_anew(cut(self.past.starts, self.config.max_length, self.rng), self.config.restart, self.rng)
        if self.config.batches == "session-parallel":
            yield from self._of_lanes(pieces)
            return
        for batch in by_length(pieces, self.config.batch_size, self.rng):
            yield self._of_pieces(batch)

    def _of_pieces(self, batch: Pieces) -> Tensor:
        places, sizes = packed(batch)
        states, _ = self._states(places, sizes.tolist())
        if self.config.attention:
            states = self._attended(states, batch, sizes)
        return self._loss(states, places)

    def _of_lanes(self, pieces: Pieces) -> Iterator[Tensor]:
        config = self.config
        n_lanes = max(1, step_size(int(pieces.lengths.sum()), config.batch_size) // config.lane_steps)
        table = lanes(pieces, n_lanes, self.rng)
        n_steps, n_lanes = table.places.shape
        carried = [torch.zeros((n_lanes, config.hidden)) for _ in range(config.layers)]
        for start in range(0, n_steps, config.lane_steps):
            places = table.places[start : start + config.lane_steps]
            begins = torch.from_numpy(table.begins[start : start + config.lane_steps].ravel())
            states, ends = self._states(
                np.maximum(places, 0).ravel(), [n_lanes] * len(places), first=carried, begins=begins
            )
            carried = [end.detach() for end in ends]
            real = np.flatnonzero(places.ravel() >= 0)  # lanes that have ended wait
            yield self._loss(states[torch.from_numpy(real)], places.ravel()[real])

    def _states(
        self, places: IntArray, sizes: list[int], *, first: list[Tensor] | None = None, begins: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """The last layer's states [P, H], and each layer's after the last step (lanes)."""
        config, weights = self.config, self.parameters
        rows = torch.from_numpy(self.past.items[places].astype(np.int64))
        values = fast_dropout(functional.embedding(rows, weights["items"]), config.dropout, self.chance)  # [P, D]
        ends = []
        for layer in range(config.layers):
            into = weights["first_input"] if layer == 0 else weights["inputs"][layer - 1]
            biases = weights["biases"][layer]
            told = torch.addmm(biases[0], values, into)
            states = recurrence(
                told, weights["recurrent"][layer], biases[1], sizes,
                first=None if first is None else first[layer], begins=begins, half=self.half,
            )  # fmt: skip
            ends.append(states[-sizes[-1] :])
            values = fast_dropout(states, config.dropout, self.chance)
        return values, ends

    def _attended(self, states: Tensor, batch: Pieces, sizes: IntArray) -> Tensor:
        """Attention over packed states [P, H], each row's own."""
        steps = np.arange(len(sizes))
        alive = steps < batch.lengths[:, None]  # [R, T]
        offsets = np.cumsum(sizes) - sizes
        places = np.where(alive, offsets + np.arange(len(batch))[:, None], 0)
        config = self.config
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            rows = attend(
                functional.embedding(torch.from_numpy(places), states),
                self.parameters, config.heads, "post", config.dropout, self.chance,
            )  # fmt: skip
        return rows.float().transpose(0, 1)[torch.from_numpy(alive.T)]  # [P, H], in order of time

    def _loss(self, states: Tensor, places: IntArray) -> Tensor:
        weights = self.parameters
        table = weights["items"] if self.config.tied else weights["outputs"]
        vectors = states @ weights["turn"] if self.config.tied else states
        # the bias as one more column, so that every loss knows it
        vectors = torch.cat([vectors, torch.ones((len(vectors), 1))], dim=1)
        table = torch.cat([table, weights["bias"][:, None]], dim=1)
        return self.loss(vectors, table, places)

    def _initial(self, train: TrainingData) -> dict[str, Tensor]:
        config, chance, width = self.config, self.chance, self.config.hidden

        def drawn(*shape: int) -> Tensor:
            bound = width**-0.5
            return torch.empty(shape).uniform_(-bound, bound, generator=chance)

        matrix = normalise_adjacency(train.matrix())
        items = initialise_embeddings(matrix, config.dim, config.initialiser, config.initial_std, chance)[1]
        return {
            "items": items,
            "first_input": drawn(config.dim, 3 * width),
            "inputs": drawn(config.layers - 1, width, 3 * width),
            "recurrent": drawn(config.layers, width, 3 * width),
            "biases": torch.zeros((config.layers, 2, 3 * width)),
            **initial_blocks(config.attention, width, chance),
            "turn": drawn(width, config.dim) if config.tied else torch.zeros((0, 0)),
            "outputs": torch.zeros((0, 0)) if config.tied else drawn(train.n_items, width),
            "bias": torch.zeros(train.n_items),
        }

    def _learned(self) -> Mapping[str, FloatArray]:
        return {name: value.numpy().copy() for name, value in self.parameters.items()}
