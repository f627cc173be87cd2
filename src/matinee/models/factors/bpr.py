"""BPR: matrix factorisation with item biases that ranks what people have above what they have not."""

from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray
from matinee.config import Search
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.factors.least_squares import explained, solve
from matinee.models.stored_users import find_stored_users
from matinee.models.vectors import append_bias, append_one, capped_dim, cosines
from matinee.training.configs import GradientConfig
from matinee.training.loop import train_epochs
from matinee.training.run import Run


class BPRConfig(GradientConfig):
    """Settings of BPR."""

    dim: Annotated[PositiveInt, Search(16, 256, log=True)] = 32
    """Length of the vectors."""
    epochs: PositiveInt = 40
    """Passes over all users; each meets every positive once, against `n_negatives` others."""
    learning_rate: Annotated[PositiveFloat, Search(0.001, 0.05, log=True)] = 0.01
    """Step size of Adam."""
    schedule: Literal["constant", "step", "cosine", "plateau"] = "cosine"
    """How the step size falls: never, every so many epochs, along a cosine to zero, or when nothing gets better."""
    l2: Annotated[NonNegativeFloat, Search(1e-4, 1, log=True)] = 0.02
    """Ridge strength, for each positive, on the vectors it touches."""
    negatives: Literal["uniform", "popularity", "in-batch"] = "uniform"
    """Where negatives come from: all items alike, by popularity, or the positives of the batch's other users."""
    n_negatives: Annotated[PositiveInt, Search(1, 128, log=True)] = 32
    """Negatives drawn for each user and pass; every positive of theirs is compared with every one of these."""
    batch_size: PositiveInt = 128
    """Users a step."""
    user_state: Literal["history", "stored"] = "history"
    """A user's vector: solved from their history, or the row that was learned (known users only)."""
    fold_in_l2: Annotated[PositiveFloat, Search(0.1, 1000, log=True)] = 10.0
    """history: ridge of the solve."""
    fold_in_unobserved: Annotated[PositiveFloat, Search(0.001, 1, log=True)] = 0.1
    """history: weight of the items that are not in it."""


class BPR(Recommender[FloatArray]):
    """score = w_u · h_i + b_i; minimises the mean of softplus(score(u, j) - score(u, i)) over i watched, j not.

    plus l2 (|w_u|² + |h_i|² + |h_j|² + b_i² + b_j²) / 2 for each. Source: Rendle et al. 2009, section 4.3, with Adam on
    batches of users: each user's negatives meet all their positives, so that a step is three matrix products.
    Fold-in: the ridge regression to 1 on the history and to 0, with weight fold_in_unobserved, elsewhere (the half step
    of iALS, with these items), then the D-by-D matrix that best turns the solutions for the training users into w.
    """

    name = "bpr"
    Config = BPRConfig
    fold_in_tolerance: ClassVar[float] = 0.03
    """How far (1 - correlation, mean over users) scores from the history may lie from those of the stored row: measured
    0.013 on the bundled data."""
    learned = ("items", "bias", "users", "user_rows", "turn")
    config: BPRConfig
    items: FloatArray  # [I, D], h
    bias: FloatArray  # [I], b
    users: FloatArray  # [U, D], w
    user_rows: IntArray  # [U], ascending
    turn: FloatArray  # [D, D], from solutions to vectors

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender."""
        from matinee.models.factors.pairwise import Pairwise

        dim = capped_dim(self, train.n_items)
        network = Pairwise(self.config.model_copy(update={"dim": dim}), train, run)
        train_epochs(self, network.trainer, train, run)
        self.user_rows = train.histories.user_rows.copy()
        solved = self._solved(train.matrix())
        gram = solved.T @ solved
        gram += np.float32(1e-3) * np.eye(dim, dtype=np.float32) * (np.trace(gram) / dim + np.float32(1e-6))
        self.turn = np.linalg.solve(gram, solved.T @ self.users).astype(np.float32)
        return self

    def fold_in(self, histories: Histories) -> FloatArray:
        """Each user's vector and a 1 for the bias. [B, D + 1]."""
        vectors = self._solved(histories.matrix(len(self.items))) @ self.turn
        places, known = find_stored_users(self.user_rows, histories.user_rows, self.config.user_state)
        vectors[known] = self.users[places[known]]
        return append_one(vectors)

    def score(self, state: FloatArray) -> FloatArray:
        """See Recommender."""
        scores: FloatArray = state @ self.item_vectors().T
        return scores

    def item_vectors(self) -> FloatArray:
        """See HasItemVectors."""
        return append_bias(self.items, self.bias)

    def user_vectors(self, state: FloatArray) -> FloatArray:
        """See HasItemVectors."""
        return state

    def explain(self, histories: Histories, item_rows: IntArray) -> FloatArray:
        """Each event's term of the solve, turned and multiplied with each listed item's vector. [N, k].

        For a user whose vector comes from the history; a stored vector has no parts.
        """
        wanted = self.items[item_rows].astype(np.float64) @ self.turn.T.astype(np.float64)  # [B, k, D]
        return explained(histories, *self._system(len(histories)), wanted)

    def item_bias_of(self, item_rows: IntArray) -> FloatArray:
        """See HasItemBias: the bias."""
        return self.bias[item_rows]

    def similarity(self, item_rows: IntArray) -> FloatArray:
        """Cosine of the vectors, their biases aside. [n] -> [n, I]."""
        return cosines(self.items, item_rows)

    def _solved(self, matrix: csr_array) -> FloatArray:
        """The ridge regressions of the class. [B, D]."""
        return solve(matrix, *self._system(matrix.shape[0]))

    def _system(self, n_users: int) -> tuple[FloatArray, float, FloatArray]:
        """Items, weight of what is not in a history, and ridges [B] of the solve."""
        ridge = np.full(n_users, self.config.fold_in_l2, dtype=np.float32)
        # in float64, as biases make scores large and a batch must give what its users give alone
        return self.items.astype(np.float64), self.config.fold_in_unobserved, ridge
