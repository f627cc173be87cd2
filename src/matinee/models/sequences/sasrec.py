"""SASRec: causal self-attention over the last events (Kang and McAuley 2018)."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from matinee.arrays import FloatArray, IntArray
from matinee.config import Search
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.sequences.config import SequenceConfig
from matinee.models.sequences.inference import Doubles, attended, blocks_of, by_blocks, normed
from matinee.models.vectors import cosines
from matinee.training.loop import train_epochs
from matinee.training.run import Run

BLOCKS = ("qkv", "mixed", "up", "down", "shifts", "norms")


class SASRecConfig(SequenceConfig):
    """Settings of SASRec."""

    layers: NonNegativeInt = 2
    """Blocks of attention and feed-forward."""
    heads: PositiveInt = 1
    """Parts into which attention divides the dim."""
    norm: Literal["pre", "post"] = "pre"
    """Layer norm before each half of a block, as in the paper, or after its residual."""
    epochs: PositiveInt = 12
    """Passes over all transitions, at most."""
    learning_rate: Annotated[PositiveFloat, Search(3e-4, 1e-2, log=True)] = 0.004
    """Step size of Adam."""
    schedule: Literal["constant", "step", "cosine", "plateau"] = "cosine"
    """How the step size falls: never, every so many epochs, along a cosine to zero, or when nothing gets better."""

    @model_validator(mode="after")
    def _heads_divide_the_dim(self) -> Self:
        if self.dim % self.heads:
            raise ValueError(f"heads = {self.heads} do not divide dim = {self.dim}; use heads = 1 or 2")
        return self


class SASRec(Recommender[FloatArray]):
    """score = LN(blocks(e_1 + p_1, ..., e_n + p_n))_n · e; position 0 is the last event, counted backwards.

    Source: Kang and McAuley 2018, with the losses of SequenceLoss. Counting backwards is what its padding in front
    comes to. Differs: layer norm of queries, keys and values alike (the authors' code spares keys and values, their
    paper does not); no dropout of attention weights.
    """

    name = "sasrec"
    Config = SASRecConfig
    ordered: ClassVar[bool] = True
    learned = ("items", "places", *BLOCKS, "last_norm")
    config: SASRecConfig
    items: FloatArray  # [I, D]
    places: FloatArray  # [L, D], of the last event first
    qkv: FloatArray  # [K, D, 3D]
    mixed: FloatArray  # [K, D, D]
    up: FloatArray  # [K, D, D]
    down: FloatArray  # [K, D, D]
    shifts: FloatArray  # [K, 2, D]
    norms: FloatArray  # [K, 2, 2, D]
    last_norm: FloatArray  # [2, D]

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender."""
        import torch
        from torch.nn import functional

        from matinee.models.sequences.attention import attend, initial_blocks
        from matinee.models.sequences.batches import begun_anew, by_length, cut, grid
        from matinee.models.sequences.losses import SequenceLoss
        from matinee.nn.initialisers import initialise_embeddings
        from matinee.nn.sparse_rows import normalise_adjacency
        from matinee.training.torch_trainer import TorchTrainer, fast_dropout, torch_generator

        config, past, chance = self.config, train.histories, torch_generator(run)
        edges = normalise_adjacency(train.matrix())
        items = initialise_embeddings(edges, config.dim, config.initialiser, config.initial_std, chance)[1]
        parameters = {
            "items": items,
            "places": torch.empty((config.max_length, config.dim)).normal_(0.0, config.initial_std, generator=chance),
            **initial_blocks(config.layers, config.dim, chance),
            "last_norm": torch.stack([torch.ones(config.dim), torch.zeros(config.dim)]),
        }
        table, scale = parameters["items"], config.dim**0.5
        loss = SequenceLoss(config, train, run.rng)
        half = config.precision == "bfloat16"

        def losses() -> Iterator[torch.Tensor]:
            pieces = begun_anew(cut(past.starts, config.max_length, run.rng), config.restart, run.rng)
            for batch in by_length(pieces, config.batch_size, run.rng):
                seen, real = grid(batch)  # [b, T]
                backwards = np.maximum(batch.lengths[:, None] - 1 - np.arange(seen.shape[1]), 0)
                values = functional.embedding(torch.from_numpy(past.items[seen].astype(np.int64)), table) * scale
                values = values + functional.embedding(torch.from_numpy(backwards), parameters["places"])
                values = fast_dropout(values, config.dropout, chance)
                with torch.autocast("cpu", torch.bfloat16, enabled=half):
                    values = attend(values, parameters, config.heads, config.norm, config.dropout, chance)
                states = values.float()[torch.from_numpy(real)]  # [P, D], only where something comes next
                last = parameters["last_norm"]
                states = functional.layer_norm(states, (config.dim,), last[0], last[1], 1e-5)
                yield loss(states, table, seen[real])

        def learned() -> Mapping[str, FloatArray]:
            return {name: value.numpy().copy() for name, value in parameters.items()}

        steps = TorchTrainer(parameters, losses, learned, config, decay=config.decay, generator=chance)
        train_epochs(self, steps, train, run)
        return self

    def fold_in(self, histories: Histories) -> FloatArray:
        """The last state of the last max_length events. [B, D]; zero without a history."""
        config = self.config
        blocks = blocks_of({name: getattr(self, name) for name in BLOCKS})
        places, last = self.places.astype(np.float64), self.last_norm.astype(np.float64)
        scale = np.float64(config.dim**0.5)

        def states_of(items: IntArray, lengths: IntArray) -> Doubles:
            backwards = np.maximum(lengths[:, None] - 1 - np.arange(items.shape[1]), 0)
            values = self.items[items].astype(np.float64) * scale + places[backwards]  # [b, T, D]
            return normed(attended(values, lengths, blocks, config.heads, config.norm), last)

        return by_blocks(histories, config.max_length, config.dim, states_of)

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
        """Cosine of the vectors. [n] -> [n, I]."""
        return cosines(self.items, item_rows)
