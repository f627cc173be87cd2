"""AutoRec: an autoencoder of ratings, of items or of users, that predicts the values it has not seen."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray
from matinee.config import Search
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.stored_users import find_stored_users
from matinee.models.vectors import append_one, cosines
from matinee.nn.sparse_rows import drop_entries, row_batches
from matinee.training.configs import GradientConfig
from matinee.training.loop import train_epochs
from matinee.training.run import Run


class AutoRecConfig(GradientConfig):
    """Settings of AutoRec."""

    based_on: Literal["item", "user"] = "item"
    """What a row is: an item with all its ratings, or a user with all of theirs."""
    dim: Annotated[PositiveInt, Search(50, 500, log=True)] = 300
    """Width of the hidden layer."""
    l2: Annotated[NonNegativeFloat, Search(1, 1000, log=True)] = 100.0
    """Ridge: l2 / 2 · |weights|² beside the sum of squared errors over all ratings."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0, 0.9)] = 0.0
    """The chance that a rating is left out of the input in training; the paper's 0 leaves none out."""
    user_state: Literal["history", "stored"] = "history"
    """item-based: a user's weights, solved from their ratings, or as they were learned (known users only)."""
    fold_in_l2: Annotated[PositiveFloat, Search(0.03, 30, log=True)] = 0.3
    """item-based: ridge of that solve, in units of how users differ; higher stays closer to the mean user."""
    batch_size: PositiveInt = 512
    """Rows a step."""
    epochs: PositiveInt = 30
    """Passes over the data, at most."""
    learning_rate: Annotated[PositiveFloat, Search(1e-4, 0.1, log=True)] = 0.001
    """Step size of Adam."""
    schedule: Literal["constant", "step", "cosine", "plateau"] = "cosine"
    """How the step size falls: never, every so many epochs, along a cosine to zero, or when nothing gets better."""
    initialiser: Literal["xavier", "he", "normal"] = "xavier"
    """First values of the weights."""


class AutoRec(Recommender[FloatArray]):
    """r(x) = W σ(V x + μ) + b for a row x of values, zero where there is none; squared errors of the observed only.

    Source: Sedhain et al. 2015, eq. 1 and 2; values are taken less their mean, and the optimiser is Adam.
    User-based, a history is a row, and fold-in is what training does. Item-based, an item's ratings give it a hidden
    code, and the value for user u is W_u · code + b_u: linear in what belongs to the user. A visitor's (W_u, b_u) is
    solved from their ratings: the ridge regression on the codes of what they rated, towards the mean of the training
    users and with their covariance as its measure (docs/decisions/015-item-autorec-visitors.md).
    Lists go by predicted values as they are, predictions are kept within the values of training.
    """

    name = "autorec"
    Config = AutoRecConfig
    predicts_values = True
    learned = (
        "items", "encoder", "encoder_bias", "users", "user_rows", "axes", "mean", "lowest", "highest",
    )  # fmt: skip
    fold_in_tolerance: ClassVar[float] = 0.3
    """How far (1 - correlation, mean over users) scores from the history may lie from those of the stored row: 0.24 on
    the bundled data, whose users rated little, so that the prior of the regression says much."""
    config: AutoRecConfig
    items: FloatArray  # [I, K + 1], item-based a code and 1, user-based a row of W and b
    encoder: FloatArray  # [I, K] user-based V, else nothing, as the next
    encoder_bias: FloatArray  # [K]
    users: FloatArray  # [U, K + 1] item-based (W, b), else nothing, as the next two
    user_rows: IntArray  # [U], ascending
    axes: FloatArray  # [K + 2, K + 1]: how users differ from their mean, which is the last row
    mean: float
    lowest: float
    highest: float

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Raises MatineeError where all values are the same: there is nothing to predict."""
        import torch

        from matinee.models.autoencoders.network import Rows, observed_square, sparse_product
        from matinee.nn.initialisers import initialise, initialise_layers
        from matinee.training.torch_trainer import TorchTrainer, torch_generator

        config, chance = self.config, torch_generator(run)
        matrix = self._centred(train)  # [n, m], rows of what it is based on
        if config.dim > matrix.shape[1] and "dim" in config.model_fields_set:
            raise MatineeError(
                f"autorec: dim = {config.dim} is wider than a row, which has {matrix.shape[1]} values; set it to less"
            )
        dim = min(config.dim, matrix.shape[1])
        weights = initialise_layers({"encoder": (matrix.shape[1], dim)}, config.initialiser, chance)
        weights["output"] = initialise((matrix.shape[1], dim), config.initialiser, chance)
        weights["output_bias"] = torch.zeros(matrix.shape[1])
        everything = Rows.of(matrix)

        def losses() -> Iterator[torch.Tensor]:
            for batch in row_batches(matrix, config.batch_size, run.rng):
                rows = Rows.of(drop_entries(batch, config.dropout, run.rng))
                hidden = torch.sigmoid(sparse_product(rows, weights["encoder"]) + weights["encoder_bias"])
                top = weights["output"], weights["output_bias"]
                yield observed_square(hidden, *top, Rows.of(batch), 1 / max(1, batch.nnz))

        def learned() -> Mapping[str, FloatArray]:
            codes = torch.sigmoid(everything.times(weights["encoder"]) + weights["encoder_bias"]).numpy()
            return self._served({name: value.numpy().copy() for name, value in weights.items()}, codes)

        self.user_rows = train.histories.user_rows.astype(np.int32)
        decay = config.l2 / max(1, matrix.nnz)  # of the mean, which is what a step goes down
        train_epochs(self, TorchTrainer(weights, losses, learned, config, decay=decay), train, run)
        return self

    def fold_in(self, histories: Histories) -> FloatArray:
        """Each user's weights and bias (item-based), or hidden layer and 1. [B, K + 1]."""
        values = self._less_mean(histories.matrix(len(self.items), weighted=True))
        if self.config.based_on == "user":
            hidden = _sigmoid(values @ self.encoder + self.encoder_bias)
            return append_one(hidden)
        places, known = find_stored_users(self.user_rows, histories.user_rows, self.config.user_state)
        state = np.empty((len(histories), self.items.shape[1]), dtype=np.float32)
        state[known] = self.users[places[known]]
        for row in np.flatnonzero(~known).tolist():
            events = slice(values.indptr[row], values.indptr[row + 1])
            state[row] = self._solved(values.indices[events], values.data[events])
        return state

    def score(self, state: FloatArray) -> FloatArray:
        """See Recommender. Values as predicted, which may leave their scale a little."""
        scores: FloatArray = state @ self.items.T
        scores += np.float32(self.mean)
        return scores

    def predict_values(self, histories: Histories) -> FloatArray:
        """See PredictsValues."""
        values: FloatArray = np.clip(self.score(self.fold_in(histories)), self.lowest, self.highest)
        return values

    def similarity(self, item_rows: IntArray) -> FloatArray:
        """Cosine of the items' codes less their mean (item-based) or rows of W. [n] -> [n, I]."""
        vectors = self.items[:, :-1]
        return cosines(vectors - vectors.mean(axis=0) if self.config.based_on == "item" else vectors, item_rows)

    def _centred(self, train: TrainingData) -> csr_array:
        """The values of training less their mean, a row for each user or item."""
        matrix = train.matrix(weighted=True)
        lowest, highest = float(matrix.data.min(initial=np.inf)), float(matrix.data.max(initial=-np.inf))
        if lowest >= highest:
            raise MatineeError(
                f"autorec predicts values, and every event of this log has the value {highest:g}; give a log with "
                "ratings, or use a model that learns from what people chose: mult-vae, cdae, ease, ials, item-knn"
            )
        self.mean, self.lowest, self.highest = float(matrix.data.mean(dtype=np.float64)), lowest, highest
        centred = self._less_mean(matrix)
        return centred if self.config.based_on == "user" else centred.T.tocsr()

    def _less_mean(self, matrix: csr_array) -> csr_array:
        return csr_array((matrix.data - np.float32(self.mean), matrix.indices, matrix.indptr), shape=matrix.shape)

    def _served(self, weights: dict[str, FloatArray], codes: FloatArray) -> Mapping[str, FloatArray]:
        """What serving needs. codes: the hidden layer of every row."""
        top = np.concatenate([weights["output"], weights["output_bias"][:, None]], axis=1)  # [m, K + 1]
        if self.config.based_on == "user":
            nothing = np.zeros((0, top.shape[1]), dtype=np.float32)
            return {
                "items": top,
                "encoder": weights["encoder"],
                "encoder_bias": weights["encoder_bias"],
                "users": nothing,
                "axes": nothing,
            }
        return {
            "items": append_one(codes),
            "encoder": np.zeros((0, codes.shape[1]), dtype=np.float32),
            "encoder_bias": np.zeros(0, dtype=np.float32),
            "users": top,
            "axes": _axes(top),
        }

    def _solved(self, items: IntArray, values: FloatArray) -> FloatArray:
        """The ridge regression of a user's values [n] on the codes of their items. [K + 1]."""
        middle: FloatArray = self.axes[-1]
        if len(items) == 0:
            return middle
        codes = self.items[items].astype(np.float64)
        left = values - codes @ middle
        along = codes @ self.axes[:-1].T  # [n, axes]
        ridge = self.config.fold_in_l2
        if len(items) <= along.shape[1]:
            weights = along.T @ np.linalg.solve(along @ along.T + ridge * np.eye(len(items)), left)
        else:
            weights = np.linalg.solve(along.T @ along + ridge * np.eye(along.shape[1]), along.T @ left)
        solved: FloatArray = middle + weights @ self.axes[:-1]
        return solved


def _axes(users: FloatArray) -> FloatArray:
    """The principal axes of users' weights [U, K + 1], each as long as users spread along it, and their mean below."""
    middle = users.mean(axis=0)
    _, lengths, directions = np.linalg.svd(users - middle, full_matrices=False)
    spread: FloatArray = (lengths / np.sqrt(len(users)))[:, None] * directions
    return np.concatenate([spread, middle[None]]).astype(np.float32)


def _sigmoid(values: FloatArray) -> FloatArray:
    """1 / (1 + e^-x) without overflow."""
    squashed: FloatArray = np.float32(0.5) * (1 + np.tanh(np.float32(0.5) * values))
    return squashed
