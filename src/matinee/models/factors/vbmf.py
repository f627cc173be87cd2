"""VBMF: ratings by variational Bayesian matrix factorisation, with who rated what as side information."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Self

import numpy as np
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds

from matinee.arrays import FloatArray, IntArray
from matinee.config import Search
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.needs import matrix_needs
from matinee.models.vectors import append_one, capped_dim, cosines
from matinee.training.configs import EpochsConfig
from matinee.training.loop import train_epochs
from matinee.training.run import Run

BLOCK_VALUES = 2**22
"""Number of values of D x D systems held at once."""
FIRST_NOISE = 0.1
"""Share of the ratings' variance that is taken as noise before the first round."""
SUPPORT_POWER = 0.25
"""Side information counts an item's entry by support^-0.25, so that a popular item does not drown the others."""


class VBMFConfig(EpochsConfig):
    """Settings of VBMF."""

    dim: Annotated[PositiveInt, Search(4, 64, log=True, first=True)] = 20
    """Number of factors; superfluous ones shrink to nothing."""
    epochs: Annotated[PositiveInt, Search(10, 60)] = 40
    """Rounds; each updates all users, then all items."""
    implicit_dim: Annotated[NonNegativeInt, Search(10, 200)] = 100
    """Principal components of who rated what, from which a user's factors are predicted before any rating; 0: none."""
    implicit_l2: Annotated[PositiveFloat, Search(10, 1000, log=True, first=True)] = 200.0
    """Ridge strength of that prediction."""
    initial_std: PositiveFloat = 0.1
    """Standard deviation of the initial item factors."""


class VBMF(Recommender[FloatArray]):
    """r_ui = mean + b_i + v_i · x_u + noise, with distributions over x_u and (v_i, b_i) in place of single values.

    x_u ~ N(W z_u, I), (v_i, b_i) ~ N(m, diag(t)), noise ~ N(0, s). The posterior of a user given the items is normal:
    A_u = I + Σ E[v_i v_iᵀ] / s and A_u E[x_u] = W z_u + Σ (E[v_i] (r_ui - mean) - E[v_i b_i]) / s over the user's
    ratings. So is that of an item; m, t and s are those of the largest evidence. z_u holds the principal components
    of who rated what, and W z_u is a sum over the user's items, so that what people chose to rate counts beside how.
    Source: Lim and Teh 2007, section 3; the sum over items: Koren 2008, SVD++; a prior that depends on side
    information: Kim and Choi 2014.

    Fold-in: the posterior mean of a user given their ratings, the same for visitors and for users of training.
    Lists rank by predicted rating; `predict_values` clips to the range of training.

    Differs from the papers: one noise for all ratings; W is a ridge regression, not a part of the posterior.
    """

    name = "vbmf"
    Config = VBMFConfig
    predicts_values = True
    makes_lists = False  # its highest predictions go to movies that few know
    learned = ("item_factors", "item_moments", "implicit_factors", "prior_mean", "noise", "mean", "lowest", "highest")
    config: VBMFConfig
    item_factors: FloatArray  # [I, D + 1], E[(v_i, b_i)]
    item_moments: FloatArray  # [I, (D + 1)(D + 2) / 2], upper triangle of E[(v_i, b_i) (v_i, b_i)ᵀ]
    implicit_factors: FloatArray  # [I, D]: W z_u = prior_mean + Σ over the user's items / sqrt(their number)
    prior_mean: FloatArray  # [D]
    noise: float
    mean: float
    lowest: float
    highest: float

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender: the ratings, and second moments of all users and items."""
        width = self.config.dim + 1
        of_each = 6 * width * (width + 1) + 24 * self.config.implicit_dim
        return matrix_needs(train, 4) + of_each * (train.n_items + train.n_users)

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Raises MatineeError where all values are the same: there is nothing to predict."""
        matrix, chosen = _ratings_of(train.histories, train.n_items), train.matrix()
        lowest, highest = float(matrix.data.min(initial=np.inf)), float(matrix.data.max(initial=-np.inf))
        if lowest >= highest:
            found = (
                f"every event of this log has the value {highest:g}" if matrix.nnz else "no event of this log has one"
            )
            raise MatineeError(
                f"vbmf predicts values, and {found}; give a log with ratings, or use a model that learns from what "
                "people chose: ease, ials, item-knn, lightgcn"
            )
        self.mean, self.lowest, self.highest = float(matrix.data.mean(dtype=np.float64)), lowest, highest
        rounds = _Rounds(self.config, capped_dim(self, train.n_items), (_less(matrix, self.mean), chosen), run)
        train_epochs(self, rounds, train, run)
        return self

    def fold_in(self, histories: Histories) -> FloatArray:
        """Posterior mean of the users' factors, and 1 for the item bias. [B, D + 1]."""
        n_items = len(self.item_factors)
        within = replace(histories, values=np.clip(histories.values, self.lowest, self.highest))
        ratings = _less(_ratings_of(within, n_items), self.mean)
        prior = self.prior_mean + _mean_rows(histories.matrix(n_items)) @ self.implicit_factors.astype(np.float64)
        means, _ = _posterior(ratings, self.item_factors, self.item_moments, prior, self.noise)
        return append_one(means).astype(np.float32)

    def score(self, state: FloatArray) -> FloatArray:
        """See Recommender. Predicted ratings, which may lie a little outside their range."""
        # in double precision, since similar items of a small log differ by less than a float32 product's last digits
        scores = state.astype(np.float64) @ self.item_factors.T.astype(np.float64) + self.mean
        return scores.astype(np.float32)

    def predict_values(self, histories: Histories) -> FloatArray:
        """See PredictsValues."""
        values: FloatArray = np.clip(self.score(self.fold_in(histories)), self.lowest, self.highest)
        return values

    def similarity(self, item_rows: IntArray) -> FloatArray:
        """Cosine of the items' factors. [n] -> [n, I]."""
        return cosines(self.item_factors[:, :-1], item_rows)


class _Rounds:
    """The Trainer of VBMF: an epoch updates the users' posterior, W, the items' prior and posterior, and the noise."""

    def __init__(self, config: VBMFConfig, dim: int, matrices: tuple[csr_array, csr_array], run: Run) -> None:
        """matrices: the ratings less their mean, and who chose what, rated or not. [U, I]."""
        ratings, chosen = matrices
        self.config, self.ratings, self.by_item = config, ratings, ratings.T.tocsr()
        n_items = ratings.shape[1]
        self.counts = np.diff(self.by_item.indptr)
        self.components = _principal_components(chosen, config.implicit_dim, run)  # [I, K]
        self.side = _mean_rows(chosen) @ self.components  # [U, K]
        first: FloatArray = run.rng.normal(0, config.initial_std, (n_items, dim + 1))
        first[:, 0] += 4 * config.initial_std  # the first factor begins as the users' own mean
        first[:, dim] = self.by_item.sum(axis=1) / (self.counts + 5)
        self.items: FloatArray = first.astype(np.float32)  # [I, D + 1]
        self.moments = _outer(self.items)  # [I, tri]
        self.weights: FloatArray = np.zeros(
            (self.side.shape[1] + 1, dim)
        )  # [K + 1, D], W with the constant as its last row
        # little noise at first: with much of it factors shrink to nothing before they have found anything
        self.noise = FIRST_NOISE * float(np.mean(ratings.data.astype(np.float64) ** 2))

    def epoch(self, rate: float) -> dict[str, float]:
        """See Trainer. The loss is the expected squared error of a rating in training."""
        side = append_one(self.side)
        users, moments = _posterior(self.ratings, self.items, self.moments, side @ self.weights, self.noise)
        ridge = self.config.implicit_l2 * np.eye(side.shape[1])
        ridge[-1, -1] = 0
        self.weights = np.linalg.solve(side.T @ side + ridge, side.T @ users)
        self._update_items(append_one(users), moments)
        return {"loss": self.noise}

    def state(self) -> dict[str, FloatArray]:
        """See Trainer."""
        noise = np.array([self.noise])
        arrays = {"items": self.items, "moments": self.moments, "weights": self.weights, "noise": noise}
        return {name: array.copy() for name, array in arrays.items()}

    def restore(self, state: Mapping[str, FloatArray]) -> None:
        """See Trainer."""
        self.items, self.moments, self.weights = (state[name].copy() for name in ("items", "moments", "weights"))
        self.noise = float(state["noise"][0])

    def learned(self) -> Mapping[str, FloatArray | float]:
        """See Trainer."""
        return {
            "item_factors": self.items.copy(),
            "item_moments": self.moments.copy(),
            "implicit_factors": (self.components @ self.weights[:-1]).astype(np.float32),
            "prior_mean": self.weights[-1].astype(np.float32),
            "noise": self.noise,
        }

    def _update_items(self, users: FloatArray, user_moments: FloatArray) -> None:
        """Items' posterior given the users', then its prior and the noise. users [U, D + 1], moments [U, tri]."""
        known = self.counts > 0
        width = self.items.shape[1]
        centre = self.items[known].mean(axis=0, dtype=np.float64)
        diagonal = self.moments[:, _upper(width)[0] == _upper(width)[1]][known].mean(axis=0, dtype=np.float64)
        variance = np.maximum(diagonal - centre**2, 1e-6)
        sums = _as_binary(self.by_item) @ user_moments  # [I, tri]
        products = self.by_item @ users.astype(np.float64)  # [I, D + 1]
        means, covariances = _solve(sums / self.noise, products / self.noise + centre / variance, 1 / variance)
        self.items = means.astype(np.float32)
        self.moments = _outer(self.items) + covariances
        total = float(self.ratings.data.astype(np.float64) @ self.ratings.data)
        twice = np.where(_upper(width)[0] == _upper(width)[1], 1, 2)
        total += float(np.einsum("it,it,t->", sums.astype(np.float64), self.moments, twice, optimize=True))
        total -= 2 * float(np.einsum("id,id->", products, self.items))
        self.noise = max(total / max(1, self.ratings.nnz), 1e-3)


def _posterior(
    ratings: csr_array, items: FloatArray, moments: FloatArray, prior: FloatArray, noise: float
) -> tuple[FloatArray, FloatArray]:
    """Users' posterior given the items'. ratings [B, I] less the mean, prior [B, D].

    items [I, D + 1], moments [I, tri]: as `item_factors` and `item_moments` of VBMF, tri = (D + 1)(D + 2) / 2.
    Returns the means [B, D], and the upper triangle of E[(x_u, 1) (x_u, 1)ᵀ] [B, tri].
    """
    dim = items.shape[1] - 1
    rows, columns = _upper(dim + 1)
    sums = (_as_binary(ratings) @ moments) / noise  # [B, tri]
    inner, with_bias = columns < dim, (columns == dim) & (rows < dim)
    products = (ratings @ items[:, :dim]) / noise - sums[:, with_bias]
    means, covariances = _solve(sums[:, inner], products + prior, np.ones(dim))
    found = _outer(append_one(means))
    found[:, inner] += covariances
    return means, found


def _solve(systems: FloatArray, products: FloatArray, ridge: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means A⁻¹ y and the upper triangle of A⁻¹, A = system + diag(ridge).

    systems: upper triangles [n, d (d + 1) / 2], products y [n, d], ridge [d] -> [n, d], [n, d (d + 1) / 2].
    """
    n, d = products.shape
    rows, columns = _upper(d)
    means, covariances = np.empty((n, d)), np.empty((n, len(rows)), dtype=np.float32)
    size = max(1, BLOCK_VALUES // d**2)
    for start in range(0, n, size):
        part = slice(start, start + size)
        lefts = np.empty((len(products[part]), d, d))
        lefts[:, rows, columns] = lefts[:, columns, rows] = systems[part]
        np.einsum("ndd->nd", lefts)[:] += ridge
        inverses = np.linalg.inv(lefts)
        means[part] = np.einsum("nde,ne->nd", inverses, products[part])
        covariances[part] = inverses[:, rows, columns]
    return means, covariances


def _principal_components(chosen: csr_array, n_components: int, run: Run) -> FloatArray:
    """Loadings of the items on the principal components of who rated what, each component of variance 1. [I, K]."""
    k = min(n_components, min(chosen.shape) - 1)
    if k < 1:
        return np.zeros((chosen.shape[1], 0))
    support = np.bincount(chosen.indices, minlength=chosen.shape[1])
    scale = np.maximum(support, 1.0) ** -SUPPORT_POWER
    mean_rows = _mean_rows(chosen)
    scaled = _with_data(chosen, mean_rows.data * scale[chosen.indices])
    _, _, right = svds(scaled, k=k, v0=run.rng.random(min(chosen.shape)))
    loadings = scale[:, None] * right.T  # [I, K]
    deviation = (mean_rows @ loadings).std(axis=0)
    # a component in which all users agree says nothing about any of them
    found: FloatArray = np.divide(loadings, deviation, out=np.zeros_like(loadings), where=deviation > 1e-6)
    return found


def _ratings_of(histories: Histories, n_items: int) -> csr_array:
    """The last rating of each item; events without a value have none. [B, I]."""
    rated = histories.keep(~np.isnan(histories.values))
    return rated.matrix(n_items, rated.values)


def _mean_rows(chosen: csr_array) -> csr_array:
    """1 / sqrt(number of entries of the row) for each entry. [B, I]."""
    lengths = np.diff(chosen.indptr)
    return _with_data(chosen, np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths))


def _as_binary(matrix: csr_array) -> csr_array:
    return _with_data(matrix, np.ones(matrix.nnz, dtype=np.float32))


def _with_data(matrix: csr_array, data: FloatArray) -> csr_array:
    """A matrix with other values in the same entries."""
    return csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def _less(matrix: csr_array, mean: float) -> csr_array:
    """The ratings less their mean; those that are not there stay 0."""
    return _with_data(matrix, matrix.data - np.float32(mean))


def _upper(d: int) -> tuple[IntArray, IntArray]:
    return np.triu_indices(d)


def _outer(vectors: FloatArray) -> FloatArray:
    """Upper triangle of each row's outer product with itself. [n, d] -> [n, d (d + 1) / 2] float32."""
    rows, columns = _upper(vectors.shape[1])
    products: FloatArray = (vectors[:, rows] * vectors[:, columns]).astype(np.float32)
    return products
