"""SVD-AE: a linear autoencoder of low rank, from one truncated SVD of the normalised log (Hong et al. 2024)."""

from typing import Annotated, Any, Self

import numpy as np
from pydantic import NonNegativeFloat, NonNegativeInt
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import svds

from matinee.arrays import FloatArray, IntArray
from matinee.config import Config, Search
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.derived import derived
from matinee.models.item_weights import has_few_events
from matinee.models.needs import matrix_needs
from matinee.models.vectors import capped_dim, event_products, fill_cold_scores
from matinee.training.run import Run

FIRST_RANK, MOST = 64, 128
"""Without a `dim`: the rank that is tried first, and the largest."""
PER_SIGNAL = 1.5
"""Without a `dim`: vectors that are kept for each that stands out (docs/laboratory/linear.md)."""


class SVDAEConfig(Config):
    """Settings of SVD-AE."""

    dim: Annotated[NonNegativeInt, Search(16, 512, log=True, first=True)] = 0
    """Rank: singular vectors that are kept. 0: half as many again as have a singular value above those of the same log
    with its items shuffled, 128 at most."""
    l2: Annotated[NonNegativeFloat, Search(0.003, 1, log=True, first=True)] = 0.02
    """Ridge on the singular values, the largest of which is 1 at most; 0 is the paper's pseudo-inverse. 0.2 by default
    for fewer than 20 events a user, see `defaults_for`."""
    smoothing: Annotated[NonNegativeFloat, Search(0.03, 3, log=True)] = 0.3
    """Added to the events of each user and item before the log is divided by their roots, as a multiple of the mean;
    0, as in the paper, lets pairs of a user and an item that nobody else has take whole singular vectors."""
    weigh_training: bool = False
    """Whether events weigh by their value in training too; those of weights below 0 are then left out."""


class SVDAE(Recommender[FloatArray]):
    """score = x N_I V S (S² + l2)⁻¹ Uᵀ X, where U S Vᵀ is the SVD of N_U X N_I, cut to `dim` singular values.

    N_U and N_I divide by the roots of (the number of events of a user or an item + smoothing · their mean). So x B with
    the B of rank `dim` that minimises |X - N_U X N_I B'|² + l2 |B'|², B = N_I B', among those of the leading right
    singular vectors. Fold-in: the sum of the history's rows of N_I V S (S² + l2)⁻¹. Items without events rank last, and
    an empty history by popularity.
    Source: Hong et al. 2024, "SVD-AE: Simple Autoencoders for Collaborative Filtering", eq. 8 and 9.

    Differs from the paper: smoothing and l2, both 0 there; a history is not divided by the root of its length, which
    changes no order.
    """

    name = "svd-ae"
    Config = SVDAEConfig
    learned = ("encoder", "decoder", "popularity")
    item_arrays = (("decoder", 0), ("popularity", 0))
    unscaled_arrays = frozenset({"popularity"})
    item_inputs = (("encoder", 0),)
    uses_weights = True
    config: SVDAEConfig
    encoder: FloatArray  # [I, D], N_I V S (S² + l2)⁻¹
    decoder: FloatArray  # [I, D], Xᵀ U
    popularity: FloatArray  # [I]

    @classmethod
    def defaults_for(cls, train: TrainingData) -> dict[str, Any]:
        """See Recommender: of few events a user, a stronger ridge."""
        return {"l2": 0.2} if has_few_events(train) else {}

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender: the matrix, vectors while singular ones are sought, twice as many, and what is kept."""
        return matrix_needs(train, 4) + 16 * (self.config.dim or FIRST_RANK) * (train.n_items + train.n_users)

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender."""
        matrix = train.liked_matrix() if self.config.weigh_training else train.matrix()  # [U, I]
        matrix = matrix.astype(np.float32)
        by_item = self._inverse_roots(matrix, axis=0)
        left, values, right = self._decomposed(matrix, train.n_items)
        shrunk = values / np.maximum(values**2 + np.float32(self.config.l2), np.finfo(np.float32).tiny)
        self.encoder = np.ascontiguousarray(by_item[:, None] * right * shrunk)
        self.decoder = np.ascontiguousarray(matrix.T @ left)
        self.popularity = train.popularity.astype(np.float32)
        return self

    def _decomposed(self, matrix: csr_array, n_items: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The leading singular vectors of the normalised matrix, as of `_leading`."""
        normalised = self._normalised(matrix)
        if self.config.dim:
            return _leading(normalised, capped_dim(self, n_items))
        noise = _leading(self._normalised(_shuffled(matrix)), 2)[1][-1:]
        rank = FIRST_RANK
        while True:
            left, values, right = _leading(normalised, rank)
            wanted = int(PER_SIGNAL * max(1, (values > noise).sum()))
            if wanted <= len(values) or rank == MOST or len(values) < rank:
                return left[:, :wanted], values[:wanted], right[:, :wanted]
            rank = min(wanted, MOST)

    def _normalised(self, matrix: csr_array) -> csr_array:
        """N_U X N_I."""
        by_user, by_item = (diags_array(self._inverse_roots(matrix, axis)) for axis in (1, 0))
        normalised: csr_array = (by_user @ matrix @ by_item).tocsr()
        return normalised

    def _inverse_roots(self, matrix: csr_array, axis: int) -> FloatArray:
        """1 / sqrt(sums along the axis + smoothing · their mean), 0 where nothing is. [U] or [I]."""
        sums = np.asarray(matrix.sum(axis=axis), dtype=np.float32)
        smoothed = sums + np.float32(self.config.smoothing) * sums.mean(dtype=np.float64)
        roots = np.sqrt(np.where(sums > 0, smoothed, np.inf))
        inverse: FloatArray = (1 / roots).astype(np.float32)
        return inverse

    def fold_in(self, histories: Histories) -> FloatArray:
        """User vectors. [B, D], float64."""
        vectors: FloatArray = histories.weighted_matrix(len(self.encoder)) @ self._both[0]
        return vectors

    def score(self, state: FloatArray) -> FloatArray:
        """See Recommender. In float64, so that rounding is the same whatever the batch."""
        scores = (state @ self._both[1].T).astype(np.float32)  # [B, I]
        return fill_cold_scores(scores, state, self.popularity)

    @derived("encoder", "decoder")
    def _both(self) -> tuple[FloatArray, FloatArray]:
        """Encoder and decoder in float64. [I, D] each."""
        return self.encoder.astype(np.float64), self.decoder.astype(np.float64)

    def item_vectors(self) -> FloatArray:
        """See HasItemVectors."""
        return self.decoder

    def user_vectors(self, state: FloatArray) -> FloatArray:
        """See HasItemVectors."""
        vectors: FloatArray = state.astype(np.float32)
        return vectors

    @property
    def adds_up(self) -> bool:
        """See Recommender."""
        return True

    def explain(self, histories: Histories, item_rows: IntArray) -> FloatArray:
        """Product of each event's row of the encoder with the listed items' rows of the decoder. [N, k]."""
        encoder, decoder = self._both
        vectors = encoder[histories.items] * histories.weights[:, None]
        return event_products(vectors, histories.owners, item_rows, decoder)


def _shuffled(matrix: csr_array) -> csr_array:
    """The matrix with the items of its events shuffled, by a fixed seed; what a user has twice counts once. [U, I].

    Users have about as many events and items about as many users, but nothing goes with anything: singular values above
    the second largest of this matrix, whose largest is that of popularity, are no accident. Source: Horn 1965, "A
    rationale and test for the number of factors in factor analysis".
    """
    drawn = np.random.default_rng(0).permutation(matrix.indices)
    found = csr_array((matrix.data.copy(), drawn, matrix.indptr.copy()), shape=matrix.shape)
    found.sum_duplicates()
    np.minimum(found.data, matrix.data.max(initial=0), out=found.data)
    return found


def _leading(matrix: csr_array, rank: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Singular vectors of the largest values: left [U, d], values [d] falling, right [I, d], d <= rank.

    By Lanczos iteration, always from the same random vector; a small matrix is decomposed whole, for it needs d < U, I.
    """
    rank = min(rank, *matrix.shape)
    if 2 * rank >= min(matrix.shape):
        left, values, right = np.linalg.svd(matrix.toarray(), full_matrices=False)
        return left[:, :rank], values[:rank], right[:rank].T
    start = np.random.default_rng(0).standard_normal(min(matrix.shape), dtype=np.float32)
    left, values, right = svds(matrix, k=rank, v0=start)
    return left[:, ::-1], values[::-1], right[::-1].T
