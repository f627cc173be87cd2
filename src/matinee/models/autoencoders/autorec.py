"""AutoRec: an autoencoder of ratings, of items or of users, that predicts missing ratings (Sedhain et al. 2015)."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray
from matinee.config import Search
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models.autoencoders.base import sigmoid
from matinee.models.base import Recommender
from matinee.models.derived import derived
from matinee.models.needs import LEARNED, TORCH, matrix_needs
from matinee.models.vectors import append_one, cosines, find_stored_users
from matinee.nn.candidates import has_large_catalogue
from matinee.nn.sparse_rows import drop_entries, row_batches
from matinee.training.configs import GradientConfig
from matinee.training.loop import train_epochs
from matinee.training.run import Run

STEPS, TOLERANCE = 40, 1e-15
"""Of the conjugate gradients for a user: the most steps, and the square of the last residual relative to the first."""

PRIOR = 16
"""Bytes of a user's factor while the principal axes of all are found."""
STEPS_OF_MANY = 20
"""Steps of an epoch, at most, on a large catalogue; MovieLens 1M has 8."""


class AutoRecConfig(GradientConfig):
    """Settings of AutoRec."""

    based_on: Literal["item", "user"] = "item"
    """What a row is: an item's ratings by all users, or a user's ratings of all items."""
    dim: Annotated[PositiveInt, Search(50, 500, log=True)] = 300
    """Width of the hidden layer."""
    l2: Annotated[NonNegativeFloat, Search(1, 1000, log=True, first=True)] = 100.0
    """L2 penalty: l2 / 2 · |weights|² beside the sum of squared errors over all ratings."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0, 0.9)] = 0.0
    """Probability that a rating is dropped from the input in training; the paper has none."""
    user_state: Literal["history", "stored"] = "history"
    """item-based: a user's weights, solved from their ratings, or as learned in training (known users only)."""
    fold_in_l2: Annotated[PositiveFloat, Search(0.03, 30, log=True)] = 0.3
    """item-based: strength of the prior in that solve; higher stays closer to the mean user."""
    batch_size: PositiveInt = 512
    """Rows per step. More by default on a large catalogue, see `defaults_for`."""
    epochs: PositiveInt = 30
    """Passes over the data, at most."""
    schedule: Literal["constant", "step", "cosine", "plateau"] = "cosine"
    """Learning rate schedule: constant, a step every few epochs, a cosine to zero, or a step on a plateau."""
    initialiser: Literal["xavier", "he", "normal"] = "xavier"
    """Initial weights."""


class AutoRec(Recommender[FloatArray]):
    """score = (W σ(V x + μ) + b) + mean, for a row x of ratings less their mean, zero where there is none.

    Source: Sedhain et al. 2015, eq. 1 and 2: squared errors of the observed ratings only. User-based, a history is a
    row. Item-based, an item's row gives it a code z_i = σ(V x_i + μ), and the rating of user u is W_u · z_i + b_u,
    linear in (W_u, b_u). A visitor's (W_u, b_u) is the ridge regression of their ratings on the codes, with the
    training users' mean and covariance as the prior (docs/decisions/015-item-autorec-visitors.md).
    Values are ratings, used as they are; an event without one is left out. Lists rank by predicted rating;
    `predict_values` clips to the range of training.

    Differs from the paper: ratings are less their mean; Adam on batches of rows with a falling learning rate, not
    RProp; a hidden layer of 300, not 500; biases are penalised like weights; a user or item without ratings gets the
    model's output, not a rating of 3; the visitor's solve, which the paper's item-based model does not have.
    """

    name = "autorec"
    Config = AutoRecConfig
    trained_by_torch = True
    predicts_values = True
    learned = (
        "item_factors", "encoder", "encoder_bias", "user_factors", "user_rows", "user_prior", "mean", "lowest",
        "highest",
    )  # fmt: skip
    fold_in_tolerance: ClassVar[float] = 0.3
    """Most that scores from the history may differ from those of the stored row: 1 - correlation, users' mean. 0.24 on
    the bundled data, whose users have few ratings, so that the prior weighs much."""
    config: AutoRecConfig
    item_factors: FloatArray  # [I, K + 1], item-based code and 1, user-based row of W and b
    encoder: FloatArray  # [I, K] user-based V, else empty, as the next
    encoder_bias: FloatArray  # [K]
    user_factors: FloatArray  # [U, K + 1] item-based (W, b), else empty, as user_prior
    user_rows: IntArray  # [U], ascending
    user_prior: FloatArray  # [K + 2, K + 1]: principal axes of user_factors, scaled to their deviation; then the mean
    mean: float
    lowest: float
    highest: float

    @classmethod
    def defaults_for(cls, train: TrainingData) -> dict[str, Any]:
        """See Recommender: on a large catalogue, larger batches, for each step changes all weights of all users."""
        n_items, smallest = train.n_items, cls.Config.model_fields["batch_size"].default
        if not has_large_catalogue(train) or n_items <= STEPS_OF_MANY * smallest:
            return {}
        return {"based_on": "item", "batch_size": -(-n_items // STEPS_OF_MANY)}

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender: the ratings both ways, both layers, as wide as there are users or items, and the prior."""
        is_by_user = self.config.based_on == "user"
        weights = self.config.dim * (train.n_items if is_by_user else train.n_users)
        return TORCH + matrix_needs(train, 3) + (2 * LEARNED + (0 if is_by_user else PRIOR)) * weights

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Raises MatineeError where all values are the same: there is nothing to predict."""
        import torch

        from matinee.models.autoencoders.losses import observed_square_loss
        from matinee.models.autoencoders.network import SparseRows, sparse_product
        from matinee.nn.initialisers import initialise, initialise_layers
        from matinee.training.torch_trainer import TorchTrainer, torch_generator
        from matinee.training.transfers import to_array

        config, generator = self.config, torch_generator(run)
        device = generator.device
        matrix = self._centred(train)  # [n, m], a row per item or per user
        n_columns = matrix.shape[1]
        if config.dim > n_columns and "dim" in config.model_fields_set:
            raise MatineeError(
                f"autorec: dim = {config.dim} is wider than a row, which has {n_columns} values; set it to less"
            )
        dim = min(config.dim, n_columns)
        weights = initialise_layers({"encoder": (n_columns, dim)}, config.initialiser, generator)
        weights["output"] = initialise((n_columns, dim), config.initialiser, generator)
        weights["output_bias"] = torch.zeros(n_columns, device=device)
        all_rows, by_pairs = SparseRows.of(matrix, device), has_large_catalogue(train)

        def losses() -> Iterator[torch.Tensor]:
            for batch in row_batches(matrix, config.batch_size, run.rng):
                rows = SparseRows.of(drop_entries(batch, config.dropout, run.rng), device)
                hidden = torch.sigmoid(sparse_product(rows, weights["encoder"]) + weights["encoder_bias"])
                output, targets = (weights["output"], weights["output_bias"]), SparseRows.of(batch, device)
                yield observed_square_loss(hidden, *output, targets, 1 / max(1, batch.nnz), by_pairs=by_pairs)

        def learned() -> Mapping[str, FloatArray]:
            codes = to_array(torch.sigmoid(all_rows.times(weights["encoder"]) + weights["encoder_bias"]))
            return self._served({name: to_array(tensor) for name, tensor in weights.items()}, codes)

        self.user_rows = train.histories.user_rows.astype(np.int32)
        decay = config.l2 / max(1, matrix.nnz)  # a step minimises the mean error, not the sum
        train_epochs(self, TorchTrainer(weights, losses, learned, config, decay=decay), train, run)
        return self

    def fold_in(self, histories: Histories) -> FloatArray:
        """Each user's (W, b), item-based, or hidden layer and 1, user-based. [B, K + 1]."""
        ratings = self._ratings(histories)
        if self.config.based_on == "user":
            return append_one(sigmoid(ratings @ self.encoder + self.encoder_bias))
        stored, known = find_stored_users(self.user_rows, histories.user_rows, self.config.user_state)
        state = np.empty((len(histories), self.item_factors.shape[1]), dtype=np.float32)
        state[known] = self.user_factors[stored[known]]
        rest = np.flatnonzero(~known)
        weights = np.zeros((len(rest), len(self.user_prior) - 1), dtype=np.float32)
        (codes, means), l2 = self._codes, self.config.fold_in_l2
        bounds = zip(ratings.indptr[rest].tolist(), ratings.indptr[rest + 1].tolist(), strict=True)
        for row, (start, stop) in enumerate(bounds):
            if start < stop:
                items = ratings.indices[start:stop]
                weights[row] = _ridge(codes.take(items, axis=0), ratings.data[start:stop] - means.take(items), l2)
        state[rest] = self.user_prior[-1] + weights @ self.user_prior[:-1]
        return state

    def scores_without_each(self, histories: Histories, events: IntArray, item_rows: IntArray) -> FloatArray | None:
        """See ScoresWithoutEach: item-based, by rank-one updates of the regression; None user-based and stored."""
        if self.config.based_on == "user" or self.config.user_state == "stored":
            return None
        scores = np.empty((len(events), item_rows.shape[1]), dtype=np.float32)
        owners, rated = histories.owners[events], ~np.isnan(histories.values)
        for user in np.unique(owners).tolist():
            mine, start = np.flatnonzero(owners == user), int(histories.starts[user])
            theirs = start + np.flatnonzero(rated[start : histories.starts[user + 1]])
            ratings = np.clip(histories.values[theirs], self.lowest, self.highest) - np.float32(self.mean)
            users = self._solve_without_each(histories.items[theirs], ratings, np.searchsorted(theirs, events[mine]))
            has_none = ~rated[events[mine]]
            if has_none.any():  # nothing goes with an event that has no rating
                users[has_none] = self._solve(histories.items[theirs], ratings)
            scores[mine] = users @ self.item_factors[item_rows[user]].T + np.float32(self.mean)
        return scores

    def score(self, state: FloatArray) -> FloatArray:
        """See Recommender. Predicted ratings, which may lie a little outside their range."""
        scores: FloatArray = state @ self.item_factors.T
        scores += np.float32(self.mean)
        return scores

    def predict_values(self, histories: Histories) -> FloatArray:
        """See PredictsValues."""
        values: FloatArray = np.clip(self.score(self.fold_in(histories)), self.lowest, self.highest)
        return values

    def similarity(self, item_rows: IntArray) -> FloatArray:
        """Cosine of the items' centred codes (item-based) or rows of W. [n] -> [n, I]."""
        vectors = self.item_factors[:, :-1]
        return cosines(vectors - vectors.mean(axis=0) if self.config.based_on == "item" else vectors, item_rows)

    def _ratings(self, histories: Histories) -> csr_array:
        """The ratings of histories, within the range of training, less its mean; without events that have no value."""
        rated = histories.keep(~np.isnan(histories.values))
        values = np.clip(rated.values, self.lowest, self.highest)
        return self._less_mean(rated.matrix(len(self.item_factors), values))

    def _centred(self, train: TrainingData) -> csr_array:
        """The ratings of training less their mean, a row per user or per item."""
        rated = train.histories.keep(~np.isnan(train.histories.values))
        matrix = rated.matrix(train.n_items, rated.values)
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
        """The arrays for serving. codes: the hidden layer of every row."""
        output = np.concatenate([weights["output"], weights["output_bias"][:, None]], axis=1)  # [m, K + 1]
        if self.config.based_on == "user":
            empty = np.zeros((0, output.shape[1]), dtype=np.float32)
            encoder = {name: weights[name] for name in ("encoder", "encoder_bias")}
            return {"item_factors": output, "user_factors": empty, "user_prior": empty} | encoder
        return {
            "item_factors": append_one(codes),
            "user_factors": output,
            "user_prior": _prior(output),
            "encoder": np.zeros((0, codes.shape[1]), dtype=np.float32),
            "encoder_bias": np.zeros(0, dtype=np.float32),
        }

    def _solve(self, item_rows: IntArray, ratings: FloatArray) -> FloatArray:
        """The regression of a user's ratings [n] on the codes of their items. [K + 1]."""
        prior_mean: FloatArray = self.user_prior[-1]
        if len(item_rows) == 0:
            return prior_mean
        weights = _ridge(*self._regression(item_rows, ratings), self.config.fold_in_l2)
        solved: FloatArray = prior_mean + weights.astype(np.float32) @ self.user_prior[:-1]
        return solved

    def _solve_without_each(self, item_rows: IntArray, ratings: FloatArray, events: IntArray) -> FloatArray:
        """The same without each of E ratings, from one system. events: [E], clipped to n - 1 -> [E, K + 1].

        With w the solution and V = (X'X + l2)^-1 X', it is w - V_e (r_e - x_e w) / (1 - x_e V_e).
        """
        prior_mean: FloatArray = self.user_prior[-1]
        if len(item_rows) == 0:
            return np.repeat(prior_mean[None], len(events), axis=0)
        inputs, residuals = self._regression(item_rows, ratings)
        l2, events = self.config.fold_in_l2, np.minimum(events, len(item_rows) - 1)
        if len(item_rows) <= inputs.shape[1]:
            mapped = inputs.T @ np.linalg.inv(inputs @ inputs.T + l2 * np.eye(len(item_rows)))  # [axes, n], V
            weights, moves = mapped @ residuals, mapped[:, events]
        else:
            right = np.column_stack([inputs.T @ residuals, inputs[events].T])
            weights, moves = np.split(np.linalg.solve(inputs.T @ inputs + l2 * np.eye(inputs.shape[1]), right), [1], 1)
            weights = weights[:, 0]
        picked = inputs[events]  # [E, axes]
        left = (residuals[events] - picked @ weights) / (1 - np.einsum("ea,ae->e", picked, moves))
        solved: FloatArray = prior_mean + (weights - moves.T * left[:, None]) @ self.user_prior[:-1]
        return solved

    def _regression(self, item_rows: IntArray, ratings: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Codes of rated items on the prior's axes, and the ratings less those of the mean user. [n, axes], [n]."""
        codes, of_mean = self._codes
        return codes[item_rows], ratings - of_mean[item_rows]

    @derived("item_factors", "user_prior")
    def _codes(self) -> tuple[FloatArray, FloatArray]:
        """Codes of all items on the prior's axes [I, axes], and the mean user's ratings of them [I], in float64."""
        codes = self.item_factors.astype(np.float64)
        return codes @ self.user_prior[:-1].T, codes @ self.user_prior[-1]


def _ridge(inputs: FloatArray, targets: FloatArray, l2: float) -> FloatArray:
    """The minimum of |inputs w - targets|² + l2 |w|². inputs [n, axes], targets [n], float64 -> [axes].

    By conjugate gradients: few axes of a prior say most, so that four to nine steps, each two products of the inputs,
    reach the precision of float32. What has not converged after STEPS of them is solved directly.
    """
    weights, residual = np.zeros(inputs.shape[1]), targets.dot(inputs)
    direction, square = residual.copy(), float(residual.dot(residual))
    enough = TOLERANCE * square
    for _ in range(STEPS):
        if square <= enough:
            return weights
        image = inputs.dot(direction).dot(inputs)  # of so few numbers `@` takes a quarter longer
        image += l2 * direction
        step = square / float(direction.dot(image))
        weights += step * direction
        image *= step
        residual -= image
        before, square = square, float(residual.dot(residual))
        direction *= square / before
        direction += residual
    if len(inputs) <= inputs.shape[1]:  # the smaller of the two equivalent systems
        return inputs.T @ np.linalg.solve(inputs @ inputs.T + l2 * np.eye(len(inputs)), targets)
    return np.linalg.solve(inputs.T @ inputs + l2 * np.eye(inputs.shape[1]), inputs.T @ targets)


def _prior(users: FloatArray) -> FloatArray:
    """Principal axes of user factors [U, K + 1], each scaled to the standard deviation along it, then their mean."""
    mean = users.mean(axis=0)
    _, lengths, directions = np.linalg.svd(users - mean, full_matrices=False)
    axes: FloatArray = (lengths / np.sqrt(len(users)))[:, None] * directions
    return np.concatenate([axes, mean[None]]).astype(np.float32)
