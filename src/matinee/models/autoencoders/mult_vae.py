"""Mult-VAE and Mult-DAE: autoencoders with a multinomial likelihood (Liang et al. 2018)."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from matinee.arrays import FloatArray, IntArray
from matinee.config import Search
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models.autoencoders.base import AutoencoderConfig, CatalogueAutoencoder
from matinee.models.base import StartArrays
from matinee.models.needs import matrix_needs, parameter_needs
from matinee.models.vectors import capped_dim
from matinee.nn.candidates import Candidates
from matinee.nn.sparse_rows import drop_entries, normalise_rows, weight_users
from matinee.training.loop import train_epochs
from matinee.training.run import Run


class MultVAEConfig(AutoencoderConfig):
    """Settings of MultVAE."""

    variational: bool = True
    """Sample the code from a Gaussian in training (Mult-VAE), or a deterministic tanh code (Mult-DAE)."""
    dim: Annotated[PositiveInt, Search(32, 600, log=True)] = 200
    """Dims of the code."""
    hidden: NonNegativeInt = 0
    """Width of a hidden layer on either side of the code; 0: none."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0, 0.9, first=True)] = 0.5
    """Dropout of the input."""
    kl_weight: Annotated[NonNegativeFloat, Search(0.01, 1, log=True, first=True)] = 0.2
    """variational: final weight of the KL term, the paper's β."""
    kl_epochs: NonNegativeInt = 20
    """variational: epochs over which the KL weight rises linearly from 0."""


class MultVAE(CatalogueAutoencoder):
    """score = f(z): the decoder's logits at z, the mean of q(z | x) = N(mean, variance), encoded from x / |x|.

    Training samples z and minimises, as a mean over users, -Σ_i x_i log softmax(f(z))_i + kl_weight · KL(q | N(0, 1)).
    Source: Liang et al. 2018, eq. 2 and 7; section 2.2.2 for the rising KL weight. Fold-in is the forward pass of
    training without its noise, with the events' weights as x. With `variational` off (Mult-DAE) z is a tanh layer and
    there is no KL term.

    Differs from the paper: I-200-I without hidden layers, not I-600-200-600-I (`hidden = 600`); a user with n events
    weighs n^0.5 in the likelihood, not n (`user_power = 0`); the KL weight reaches 0.2 after 20 epochs, in the
    authors' code after 40,000 steps; batches of 100 and a learning rate of 0.003 that falls along a cosine, not of 500
    and a constant 0.001; biases start at zero, not at N(0, 0.001²).
    """

    name = "mult-vae"
    Config = MultVAEConfig
    trained_by_torch = True
    shares_batches = True
    uses_weights = True
    learned = (
        "encoder", "encoder_bias", "latent", "latent_bias", "decoder", "decoder_bias", "output", "output_bias",
    )  # fmt: skip
    item_arrays = (("output", 0), ("output_bias", 0))
    item_inputs = (("encoder", 0),)
    start_arrays: ClassVar[StartArrays] = {
        "encoder": ("encoder", "items"),
        "encoder_bias": ("encoder_bias", "neither"),
        "output": ("output", "items"),
        "output_bias": ("output_bias", "items"),
        "latent": ("latent", "neither"),
        "latent_bias": ("latent_bias", "neither"),
        "decoder": ("decoder", "neither"),
        "decoder_bias": ("decoder_bias", "neither"),
    }
    config: MultVAEConfig
    encoder: FloatArray  # [I, H], H = hidden, or dim without hidden layers
    encoder_bias: FloatArray  # [H]
    latent: FloatArray  # [H, D], empty without hidden layers, as the three below
    latent_bias: FloatArray  # [D]
    decoder: FloatArray  # [D, H]
    decoder_bias: FloatArray  # [H]

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender: the matrix, and both layers."""
        width = self.config.hidden or self.config.dim
        return matrix_needs(train, 3) + parameter_needs(train, width, users=False, tables=3)

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Raises MatineeError if a width that was set is more than the catalogue has items."""
        import torch

        from matinee.models.autoencoders.losses import gaussian_kl
        from matinee.models.autoencoders.network import SparseRows, product, sparse_product, tanh
        from matinee.nn.initialisers import initialise_layers
        from matinee.nn.sparse_rows import batches
        from matinee.training.torch_trainer import TorchTrainer, torch_generator
        from matinee.training.transfers import to_array

        config, matrix, generator = self.config, train.matrix(), torch_generator(run)
        inputs, targets = normalise_rows(matrix), weight_users(matrix, config.user_power)
        candidates = Candidates(matrix, config.candidates, run.rng, by_root=True)
        dim, hidden = self._widths(train.n_items)
        weights = initialise_layers(self._shapes(train.n_items, dim), config.initialiser, generator)
        weights |= self._initialise_output(train.n_items, hidden or dim, generator)
        step = torch.zeros((), dtype=torch.int64)  # for the KL weight; on the host, which reads it
        steps_per_epoch = -(-matrix.shape[0] // config.batch_size)

        def encode(users: IntArray, rng: np.random.Generator) -> torch.Tensor:
            rows = SparseRows.of(drop_entries(inputs[users], config.dropout, rng), generator.device)
            code = sparse_product(rows, weights["encoder"]) + weights["encoder_bias"]
            return product(tanh(code), weights["latent"]) + weights["latent_bias"] if hidden else code

        def decode(code: torch.Tensor) -> torch.Tensor:
            return tanh(product(code, weights["decoder"]) + weights["decoder_bias"]) if hidden else code

        def losses() -> Iterator[torch.Tensor]:
            rng = candidates.rng = run.share.rng(run.rng, generator)
            for batch in batches(matrix.shape[0], config.batch_size, run.rng):
                users = run.share.rows(batch)
                code = encode(users, rng)
                kl = code.new_zeros(())
                step.add_(1)
                if config.variational:
                    mean, log_variance = code[:, :dim], code[:, dim:]
                    kl = self._kl_weight(int(step), steps_per_epoch) / len(users) * gaussian_kl(mean, log_variance)
                    noise = mean.new_empty(mean.shape).normal_(generator=generator)
                    code = mean + noise * (0.5 * log_variance).exp()
                else:
                    code = tanh(code)
                yield self._output_loss("softmax", decode(code), weights, targets[users], candidates) + kl

        def learned() -> Mapping[str, FloatArray]:
            return self._served({name: to_array(tensor) for name, tensor in weights.items()}, dim)

        kept = {"step": step}
        trainer = TorchTrainer(
            weights, losses, learned, config, decay=config.l2, buffers=kept, generator=generator, share=run.share
        )
        train_epochs(self, trainer, train, run)
        return self

    def fold_in(self, histories: Histories) -> FloatArray:
        """The input of the output layer. [B, H]."""
        code = normalise_rows(histories.weighted_matrix(len(self.output))) @ self.encoder + self.encoder_bias
        if self.latent.size:
            code = np.tanh(code) @ self.latent + self.latent_bias
        if not self.config.variational:
            code = np.tanh(code)
        state: FloatArray = np.tanh(code @ self.decoder + self.decoder_bias) if self.decoder.size else code
        return state

    def _widths(self, n_items: int) -> tuple[int, int]:
        """Widths of the code and of the hidden layers; a default wider than the catalogue is capped."""
        hidden = self.config.hidden
        if hidden > n_items:
            raise MatineeError(
                f"{self.name}: hidden = {hidden} is wider than the {n_items} items there are; set it to less"
            )
        return capped_dim(self, n_items), hidden

    def _shapes(self, n_items: int, dim: int) -> dict[str, tuple[int, int]]:
        """Shapes of the layers below the output layer."""
        n_code = 2 * dim if self.config.variational else dim  # mean and log-variance side by side
        hidden = self.config.hidden
        if not hidden:
            return {"encoder": (n_items, n_code)}
        return {"encoder": (n_items, hidden), "latent": (hidden, n_code), "decoder": (dim, hidden)}

    def _kl_weight(self, step: int, steps_per_epoch: int) -> float:
        """The weight of the KL term at a step, the first being 1."""
        rising = self.config.kl_epochs * steps_per_epoch
        return self.config.kl_weight * (min(1.0, step / rising) if rising else 1.0)

    def _served(self, weights: dict[str, FloatArray], dim: int) -> Mapping[str, FloatArray]:
        """The arrays for serving: without the log-variance, and empty for layers that the model does not have."""
        last = "latent" if self.config.hidden else "encoder"
        for name in (last, f"{last}_bias"):
            weights[name] = np.ascontiguousarray(weights[name][..., :dim])
        empty = np.zeros((0, 0), dtype=np.float32)
        return {name: weights.get(name, empty) for name in self.learned}
