"""CDAE: a denoising autoencoder with a node for each user (Wu et al. 2016)."""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray
from matinee.config import Search
from matinee.histories import Histories, TrainingData
from matinee.models.autoencoders.base import AutoencoderConfig, CatalogueAutoencoder, sigmoid
from matinee.models.base import StartArrays
from matinee.models.needs import LEARNED, matrix_needs, parameter_needs
from matinee.models.vectors import capped_dim, find_stored_users
from matinee.nn.candidates import Candidates
from matinee.nn.sparse_rows import drop_entries, normalise_rows, weight_users
from matinee.training.loop import train_epochs
from matinee.training.run import Run

ACTIVATIONS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "identity": np.asarray,
}


class CDAEConfig(AutoencoderConfig):
    """Settings of CDAE."""

    dim: Annotated[PositiveInt, Search(32, 600, log=True)] = 200
    """Width of the hidden layer."""
    activation: Literal["tanh", "sigmoid", "identity"] = "tanh"
    """Of the hidden layer; the paper's are `sigmoid` and `identity`."""
    normalise_input: bool = True
    """Whether a history is scaled to length 1; the paper's are rows of ones."""
    loss: Literal["softmax", "logistic", "square"] = "softmax"
    """`softmax` over the catalogue, or the paper's `logistic` or `square`, one term per item."""
    unobserved: Annotated[PositiveFloat, Search(0.01, 1, log=True)] = 0.2
    """logistic, square: weight of an item outside the history, relative to one in it."""
    corruption: Literal["dropout", "gaussian"] = "dropout"
    """Corruption of the input in training: items dropped, or noise added to every item."""
    noise: Annotated[NonNegativeFloat, Search(0, 0.9, first=True)] = 0.5
    """dropout: the probability, with the rest scaled to keep the mean; gaussian: the standard deviation."""
    user_state: Literal["history", "stored"] = "history"
    """A user's node: zero, as for a visitor, or the one learned in training (known users only)."""
    node_dropout: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 0.5
    """Probability that a user's node is zero in a step, so that the output layer also trains for visitors."""

    @model_validator(mode="after")
    def _settings_go_together(self) -> Self:
        if self.corruption == "dropout" and self.noise >= 1:
            raise ValueError(f"noise = {self.noise:g} leaves out every item; as dropout it must be below 1")
        if self.candidates and self.loss != "softmax":
            raise ValueError(f"candidates represent the catalogue in a softmax; set candidates = 0 with {self.loss}")
        return self


class CDAE(CatalogueAutoencoder):
    """score = W' h + b', h = tanh(Wᵀ x / |x| + V_u + b) for a history x, its weights, and the user's node V_u.

    Source: Wu et al. 2016, eq. 3 to 5. A visitor has no node: theirs is zero, and so is everyone's with
    user_state = "history".

    Differs from the paper: tanh and a history of length 1, not a sigmoid or the identity of a row of ones
    (docs/decisions/014-cdae-user-node.md); nodes start at zero and are dropped half of the time; the loss is the
    softmax over the catalogue, not the logistic or square loss, and these take every item outside the history with one
    weight, where the paper samples five negatives per positive; a user with n events weighs n^0.5, not n; Adam on
    batches of users with a falling learning rate, not AdaGrad by user; no L2 penalty by default; scores are logits.
    """

    name = "cdae"
    Config = CDAEConfig
    trained_by_torch = True
    uses_weights = True
    learned = ("encoder", "encoder_bias", "user_nodes", "user_rows", "output", "output_bias")
    item_arrays = (("output", 0), ("output_bias", 0))
    item_inputs = (("encoder", 0),)
    fold_in_tolerance: ClassVar[float] = 0.15
    """Most that scores with a zero node may differ from those with the stored one: 1 - correlation, users' mean."""
    start_arrays: ClassVar[StartArrays] = {
        "encoder": ("encoder", "items"),
        "encoder_bias": ("encoder_bias", "neither"),
        "output": ("output", "items"),
        "output_bias": ("output_bias", "items"),
        "user_nodes": ("user_nodes", "users"),
    }
    config: CDAEConfig
    encoder: FloatArray  # [I, D], W
    encoder_bias: FloatArray  # [D], b
    user_nodes: FloatArray  # [U, D], V
    user_rows: IntArray  # [U], ascending

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender: the matrix, both layers, and a node of each user."""
        layers = parameter_needs(train, self.config.dim, users=False, tables=2)
        return matrix_needs(train, 3) + layers + LEARNED * self.config.dim * train.n_users

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Raises MatineeError if a dim that was set is wider than the catalogue."""
        import torch
        from torch.nn import functional

        from matinee.models.autoencoders.network import SparseRows, noisy_product, sparse_product, tanh
        from matinee.nn.initialisers import initialise_layers
        from matinee.nn.sparse_rows import batches
        from matinee.training.torch_trainer import TorchTrainer, torch_generator
        from matinee.training.transfers import to_array, to_tensor

        config, matrix, generator = self.config, train.matrix(), torch_generator(run)
        device = generator.device
        inputs, targets = self._inputs(matrix), weight_users(matrix, config.user_power)
        candidates = Candidates(matrix, config.candidates, run.rng, by_root=True)
        activate: Callable[[torch.Tensor], torch.Tensor] = tanh
        if config.activation != "tanh":
            activate = torch.nn.Sigmoid() if config.activation == "sigmoid" else torch.nn.Identity()
        dim = capped_dim(self, train.n_items)
        weights = initialise_layers({"encoder": (train.n_items, dim)}, config.initialiser, generator)
        weights["user_nodes"] = torch.zeros((train.n_users, dim), device=device)
        weights |= self._initialise_output(train.n_items, dim, generator)

        def encode(users: IntArray) -> torch.Tensor:
            if config.corruption == "dropout":
                rows = SparseRows.of(drop_entries(inputs[users], config.noise, run.rng), device)
                encoded = sparse_product(rows, weights["encoder"])
            else:
                rows = SparseRows.of(inputs[users], device)
                encoded = noisy_product(rows, weights["encoder"], config.noise, generator)
            kept = encoded.new_empty((len(users), 1)).bernoulli_(1 - config.node_dropout, generator=generator)
            nodes = kept * functional.embedding(to_tensor(users, device), weights["user_nodes"])
            return activate(encoded + nodes + weights["encoder_bias"])  # [B, D]

        def losses() -> Iterator[torch.Tensor]:
            for users in batches(matrix.shape[0], config.batch_size, run.rng):
                state, wanted = encode(users), targets[users]
                yield self._output_loss(config.loss, state, weights, wanted, candidates, config.unobserved)

        def learned() -> Mapping[str, FloatArray]:
            return {name: to_array(tensor) for name, tensor in weights.items()}

        self.user_rows = train.histories.user_rows.astype(np.int32)
        trainer = TorchTrainer(weights, losses, learned, config, decay=config.l2, generator=generator)
        train_epochs(self, trainer, train, run)
        return self

    def fold_in(self, histories: Histories) -> FloatArray:
        """The hidden layer h. [B, D]."""
        encoded = self._inputs(histories.weighted_matrix(len(self.output))) @ self.encoder + self.encoder_bias
        stored, known = find_stored_users(self.user_rows, histories.user_rows, self.config.user_state)
        encoded[known] += self.user_nodes[stored[known]]
        return ACTIVATIONS[self.config.activation](encoded)

    def _inputs(self, matrix: csr_array) -> csr_array:
        return normalise_rows(matrix) if self.config.normalise_input else matrix
