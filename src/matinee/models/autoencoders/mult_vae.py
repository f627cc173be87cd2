"""Mult-VAE and Mult-DAE: autoencoders with a multinomial likelihood (Liang et al. 2018)."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from matinee.arrays import FloatArray, IntArray
from matinee.config import Search
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.vectors import append_bias, append_one, capped_dim, cosines
from matinee.nn.sparse_rows import drop_entries, normalise_rows, weight_users
from matinee.training.configs import GradientConfig
from matinee.training.loop import train_epochs
from matinee.training.run import Run


class MultVAEConfig(GradientConfig):
    """Settings of MultVAE."""

    variational: bool = True
    """Draw the code from a Gaussian in training (Mult-VAE); off: a plain code of tanh (Mult-DAE)."""
    dim: Annotated[PositiveInt, Search(32, 600, log=True)] = 200
    """Length of the code."""
    hidden: NonNegativeInt = 0
    """Width of the layer on either side of the code; 0 leaves both out."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0, 0.9)] = 0.5
    """The chance that an input is left out in training."""
    kl_weight: Annotated[NonNegativeFloat, Search(0.01, 1, log=True)] = 0.2
    """variational: what the KL term counts in the end."""
    kl_epochs: NonNegativeInt = 20
    """variational: epochs over which its weight rises from 0, step by step."""
    user_power: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 0.5
    """A user's events count n^-user_power, n being how many they are: 0 all alike, 1 every user alike."""
    l2: Annotated[NonNegativeFloat, Search(1e-5, 0.1, log=True)] = 0.0
    """Weight decay: the gradient of l2 / 2 · |weights|²."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the products with the catalogue in training: bfloat16 is twice as fast on processors that have it."""
    batch_size: PositiveInt = 100
    """Users a step."""
    epochs: PositiveInt = 100
    """Passes over the data, at most."""
    learning_rate: Annotated[PositiveFloat, Search(1e-4, 0.1, log=True)] = 0.003
    """Step size of Adam."""
    schedule: Literal["constant", "step", "cosine", "plateau"] = "cosine"
    """How the step size falls: never, every so many epochs, along a cosine to zero, or when nothing gets better."""
    initialiser: Literal["xavier", "he", "normal"] = "xavier"
    """First values of the weights."""


class MultVAE(Recommender[FloatArray]):
    """log p(x | z) = Σ_i x_i log softmax(f(z))_i; z ~ N(g(x / |x|)), of which serving takes the mean.

    Minimises the mean over users of -log p(x | z) + kl_weight · KL(q(z | x) | N(0, 1)).
    Source: Liang et al. 2018, eq. 2 and 7, annealed as in section 2.2.2. Fold-in is exact: what training does with a
    history, less the noise. Item vectors are the rows of the last layer.
    """

    name = "mult-vae"
    Config = MultVAEConfig
    learned = (
        "encoder", "encoder_bias", "middle", "middle_bias", "decoder", "decoder_bias", "output", "output_bias",
    )  # fmt: skip
    config: MultVAEConfig
    encoder: FloatArray  # [I, H], H = hidden, or dim without a hidden layer
    encoder_bias: FloatArray  # [H]
    middle: FloatArray  # [H, D], nothing without a hidden layer, as the three below
    middle_bias: FloatArray  # [D]
    decoder: FloatArray  # [D, H]
    decoder_bias: FloatArray  # [H]
    output: FloatArray  # [I, H]
    output_bias: FloatArray  # [I]

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Raises MatineeError where a layer asked for is wider than the catalogue."""
        import torch

        from matinee.models.autoencoders.network import Rows, catalogue_loss, gaussian_kl, product, sparse_product, tanh
        from matinee.nn.initialisers import initialise, initialise_layers
        from matinee.nn.sparse_rows import batches
        from matinee.training.torch_trainer import TorchTrainer, torch_generator

        config, matrix, chance = self.config, train.matrix(), torch_generator(run)
        inputs, targets = normalise_rows(matrix), weight_users(matrix, config.user_power)
        dim, hidden = self._widths(train.n_items)
        code = 2 * dim if config.variational else dim  # mean and log-variance side by side
        shapes = {"encoder": (train.n_items, hidden or code)}
        if hidden:
            shapes |= {"middle": (hidden, code), "decoder": (dim, hidden)}
        weights = initialise_layers(shapes, config.initialiser, chance)
        weights["output"] = initialise((train.n_items, hidden or dim), config.initialiser, chance)
        weights["output_bias"] = torch.zeros(train.n_items)
        half = config.precision == "bfloat16"
        done = torch.zeros((), dtype=torch.int64)  # steps, which the weight of the KL term follows
        n_steps = -(-matrix.shape[0] // config.batch_size)

        def losses() -> Iterator[torch.Tensor]:
            for batch in batches(matrix.shape[0], config.batch_size, run.rng):
                rows = drop_entries(inputs[batch], config.dropout, run.rng)
                codes = sparse_product(Rows.of(rows), weights["encoder"]) + weights["encoder_bias"]
                if hidden:
                    codes = product(tanh(codes), weights["middle"]) + weights["middle_bias"]
                done.add_(1)
                extra = torch.zeros(())
                if config.variational:
                    mean, log_variance = codes[:, :dim], codes[:, dim:]
                    extra = self._kl_weight(int(done), n_steps) / len(batch) * gaussian_kl(mean, log_variance)
                    noise = torch.empty(mean.shape).normal_(generator=chance)
                    codes = mean + noise * (0.5 * log_variance).exp()
                else:
                    codes = tanh(codes)
                if hidden:
                    codes = tanh(product(codes, weights["decoder"]) + weights["decoder_bias"])
                top = weights["output"], weights["output_bias"]
                wanted = Rows.of(targets[batch])
                yield catalogue_loss("softmax", codes, top, wanted, share=1 / len(batch), half=half) + extra

        def learned() -> Mapping[str, FloatArray]:
            return self._served({name: value.numpy().copy() for name, value in weights.items()}, dim, hidden)

        steps = TorchTrainer(
            weights, losses, learned, config, decay=config.l2, buffers={"done": done}, generator=chance
        )
        train_epochs(self, steps, train, run)
        return self

    def fold_in(self, histories: Histories) -> FloatArray:
        """What the last layer is applied to. [B, H]."""
        codes = normalise_rows(histories.matrix(len(self.output))) @ self.encoder + self.encoder_bias
        if self.middle.size:
            codes = np.tanh(codes) @ self.middle + self.middle_bias
        if not self.config.variational:
            codes = np.tanh(codes)
        state: FloatArray = np.tanh(codes @ self.decoder + self.decoder_bias) if self.decoder.size else codes
        return state

    def score(self, state: FloatArray) -> FloatArray:
        """See Recommender. Up to a constant of the user, the logarithm of each item's chance."""
        scores: FloatArray = state @ self.output.T
        scores += self.output_bias
        return scores

    def item_vectors(self) -> FloatArray:
        """See HasItemVectors."""
        return append_bias(self.output, self.output_bias)

    def user_vectors(self, state: FloatArray) -> FloatArray:
        """See HasItemVectors."""
        return append_one(state)

    def similarity(self, item_rows: IntArray) -> FloatArray:
        """Cosine of the rows of the last layer. [n] -> [n, I]."""
        return cosines(self.output, item_rows)

    def _widths(self, n_items: int) -> tuple[int, int]:
        """Widths of the code and of the hidden layer; a default wider than the catalogue is cut to it."""
        hidden = self.config.hidden
        if hidden > n_items:
            raise MatineeError(
                f"{self.name}: hidden = {hidden} is wider than the {n_items} items there are; set it to less"
            )
        return capped_dim(self, n_items), hidden

    def _kl_weight(self, step: int, n_steps: int) -> float:
        """What the KL term counts at a step, counted from 1, with n_steps an epoch."""
        rising = self.config.kl_epochs * n_steps
        return self.config.kl_weight * (min(1.0, step / rising) if rising else 1.0)

    def _served(self, weights: dict[str, FloatArray], dim: int, hidden: int) -> Mapping[str, FloatArray]:
        """What serving needs: no log-variance, and nothing in place of layers that are not there."""
        last = "middle" if hidden else "encoder"
        for name in (last, f"{last}_bias"):
            weights[name] = np.ascontiguousarray(weights[name][..., :dim])
        nothing = np.zeros((0, 0), dtype=np.float32)
        return {name: weights.get(name, nothing) for name in self.learned}
