"""LinearNext: the next item by ridge regression from decayed bags of the past, in closed form."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Self, TypeAlias

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveFloat, model_validator
from scipy.linalg import lapack
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray, starts_of
from matinee.config import Config, Search
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.memory import require_memory
from matinee.models.base import FitsFromSums, Recommender
from matinee.models.followers import DenseFollowers, EventBags
from matinee.models.item_strips import count_in_strips
from matinee.nn.sparse_rows import product_in_columns
from matinee.training.run import Run

Decay: TypeAlias = Annotated[float, Field(ge=0, lt=1)]
NEGLIGIBLE = 0.03
"""Weight below which an event no longer counts in a bag."""
MANY_ITEMS, FEW_EVENTS = 5_000, 3
"""By default, with more items than the first, those with fewer events than the second stay out of the bags."""


class LinearNextConfig(Config):
    """Settings of LinearNext."""

    decays: Annotated[tuple[Decay, ...], Field(min_length=1, max_length=4)] = (0.5, 0.95)
    """Factor of an event's weight for each later event, one for each bag: a short and a long memory."""
    l2: Annotated[PositiveFloat, Search(1, 1e4, log=True, first=True)] = 200.0
    """Ridge strength."""
    target_decay: Annotated[float, Field(ge=0, lt=1), Search(0, 0.6, first=True)] = 0.3
    """Factor of a target's weight for each event that comes before it; 0 predicts the next event alone."""
    user_power: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 0.0
    """Weight of a user's n events, n^-user_power each: 0 weighs events equally, 1 users equally."""
    min_events: NonNegativeInt | None = None
    """Items with fewer training events stay out of the bags, but not out of lists. By default 0 up to 5,000 items and 3
    above, since the cost grows with the cube of the items in the bags."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len({*self.decays, self.target_decay}) <= len(self.decays):
            raise ValueError("decays and target_decay must all differ")
        return self


class LinearNext(Recommender[csr_array], FitsFromSums[FloatArray]):
    """score(h) = sum over decays γ of x_γ W_γ, where x_γ = sum over events j of h of γ^(events after j) e_j.

    W minimises sum over positions n of |t(n) - sum_γ x_γ(n) W_γ|² + l2 |W|², where t(n) = sum over later events j of
    η^(events between) e_j, η = `target_decay`: W = (G + l2 I)⁻¹ C. Both are counts by distance. With
    N_γ[i, j] = sum of γ^(d - 1) over pairs of an event i and an event j, d events later, and bags that are followed on
    after the last event,

        C_γ = (γ N_γ - η N_η) / (γ - η),    G_γδ = (γ N_γ + δ N_δᵀ + diag(n)) / (1 - γδ),

    n the items' numbers of events. So no position is visited: count, factorise, solve.
    Fold-in takes O(length), one more click O(1): x ← γ x + e. Explanations are exact.
    Source: Choi et al. 2021, "Session-aware Linear Item-Item Models for Session-based Recommendation", eq. 8 (SLIT).

    Differs from the paper: bags of several decays side by side in place of one; bags are followed on after the last
    event, which makes G a function of N; no consistency model (SLIS), no weight by the age of a session; repeated
    events add up; in a large catalogue, items with hardly an event stay out of the bags (`min_events`).
    """

    name = "linear-next"
    memory_reason = "it keeps several weights for every pair of items"
    smaller_models = "sasrec or gru4rec, whose memory grows with the items alone"
    Config = LinearNextConfig
    learned = ("weights",)
    item_arrays = (("weights", 1),)
    item_inputs = (("weights", 0),)
    ordered = True
    uses_weights = True
    config: LinearNextConfig
    weights: FloatArray  # [number of decays * I, I], W above, a block of rows for each decay

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Raises MatineeError before it starts if the system does not fit into memory."""
        self._require_memory(train, run.memory)
        return self.fit_counts(count_in_strips(self.strips(train)), train, run)

    def strips(self, train: TrainingData) -> DenseFollowers:
        """See FitsFromSums: of N above for each of the decays. [number of decays + 1, I, I]."""
        weights = np.sqrt(_event_weights(train.histories, self.config.user_power))  # a pair counts by both
        events = EventBags.before(train.histories, train.n_items, weights if self.config.user_power else None)
        return DenseFollowers(events, [_discounts(decay) for decay in self._all_decays()])

    def fit_counts(self, counts: FloatArray, train: TrainingData, run: Run) -> Self:
        """See FitsFromSums."""
        self._require_memory(train, run.memory)
        return self._solve(dict(zip(self._all_decays(), counts, strict=True)), train)

    def _all_decays(self) -> list[float]:
        return [*self.config.decays, self.config.target_decay]

    def _require_memory(self, train: TrainingData, memory: int | None) -> None:
        what = f"linear-next with {train.n_items:,} items"
        require_memory(self.least_memory(train), what, "filter items, or use markov", memory)

    def _solve(self, followers: Mapping[float, FloatArray], train: TrainingData) -> Self:
        """Set the weights from N of each decay."""
        decays, n_items = self.config.decays, train.n_items
        inputs = self.inputs_of(train)
        gram = _gram(followers, decays, inputs, _weighted_events(train.histories, n_items, self.config.user_power))
        np.einsum("ii->i", gram)[:] += np.float32(self.config.l2)
        factor, failed = lapack.spotrf(gram, lower=1, clean=0, overwrite_a=1)
        if failed:
            raise MatineeError("linear-next: the Gram matrix is not positive definite in float32; raise l2")
        targets = _targets(followers, decays, inputs, self.config.target_decay)
        solution, _ = lapack.spotrs(factor, targets, lower=1, overwrite_b=1)
        self.weights = np.zeros((len(decays) * n_items, n_items), dtype=np.float32)
        self.weights[(np.arange(len(decays))[:, None] * n_items + inputs).ravel()] = solution
        return self

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender: the counts, the weights, and with its targets the Gram matrix of the items in the bags."""
        n_decays, n_rows = len(self.config.decays), len(self.config.decays) * len(self.inputs_of(train))
        return 4 * (train.n_items**2 * (2 * n_decays + 1) + n_rows * (n_rows + train.n_items))

    def inputs_of(self, train: TrainingData) -> IntArray:
        """The items that have enough events to stand in the bags."""
        fewest = self.config.min_events
        if fewest is None:
            fewest = FEW_EVENTS if train.n_items > MANY_ITEMS else 0
        inputs = np.flatnonzero(np.bincount(train.histories.items, minlength=train.n_items) >= fewest)
        if not len(inputs):
            raise MatineeError(f"linear-next: no item has {fewest:,} training events; lower min_events")
        return inputs

    def fold_in(self, histories: Histories) -> csr_array:
        """The weighted bags of each history, a block of columns for each decay. [B, number of decays * I]."""
        n_items, decays = self.weights.shape[1], self.config.decays
        weights = self._weights(histories)  # [N, number of decays]
        columns = histories.items[:, None] + n_items * np.arange(len(decays), dtype=np.int64)
        kept = weights != 0
        owners = np.repeat(histories.owners, kept.sum(axis=1))
        shape = (len(histories), len(decays) * n_items)
        state = csr_array((weights[kept], columns[kept], starts_of(owners, len(histories))), shape=shape)
        state.sum_duplicates()
        return state

    def score(self, state: csr_array) -> FloatArray:
        """See Recommender."""
        return product_in_columns(state, self.weights, by_level=False)

    def explain(self, histories: Histories, item_rows: IntArray) -> FloatArray:
        """See Explains: each event's terms of the sum. [N, k]."""
        n_items = self.weights.shape[1]
        listed = item_rows[histories.owners]  # [N, k]
        terms: FloatArray = np.zeros(listed.shape, dtype=np.float32)
        for block, weights in enumerate(self._weights(histories).T):
            terms += weights[:, None] * self.weights[block * n_items + histories.items[:, None], listed]
        return terms

    def _weights(self, histories: Histories) -> FloatArray:
        """Weight x decay^(number of later events of the history), 0 where negligible. [N, number of decays]."""
        later = histories.starts[1:][histories.owners] - 1 - np.arange(len(histories.items))
        by_later = np.arange(later.max(initial=0) + 1, dtype=np.float32)[:, None]
        powers = np.array(self.config.decays, dtype=np.float32) ** by_later  # [L, number of decays]
        powers[powers < NEGLIGIBLE] = 0
        weights: FloatArray = powers[later]
        weights *= histories.weights[:, None]
        return weights


def _gram(
    followers: Mapping[float, FloatArray], decays: Sequence[float], inputs: IntArray, events: FloatArray
) -> FloatArray:
    """G above of the items in the bags, its lower triangle in Fortran order. inputs: [J], events: [I]. [n, n]."""
    n_inputs = len(inputs)
    among = {decay: followers[decay][np.ix_(inputs, inputs)] for decay in decays}
    gram = np.zeros((len(decays) * n_inputs,) * 2, dtype=np.float32, order="F")
    for row, decay in enumerate(decays):
        for column, other in enumerate(decays[: row + 1]):
            block = gram[row * n_inputs :, column * n_inputs :][:n_inputs, :n_inputs]
            np.multiply(among[decay], np.float32(decay), out=block)
            block += np.float32(other) * among[other].T
            np.einsum("ii->i", block)[:] += events[inputs]
            block /= np.float32(1 - decay * other)
    return gram


def _targets(
    followers: Mapping[float, FloatArray], decays: Sequence[float], inputs: IntArray, target_decay: float
) -> FloatArray:
    """C above of the items in the bags, in Fortran order. inputs: [J]. [number of decays * J, I]."""
    n_inputs, n_items = len(inputs), len(followers[target_decay])
    targets = np.empty((len(decays) * n_inputs, n_items), dtype=np.float32, order="F")
    later = np.float32(target_decay) * followers[target_decay][inputs]
    for row, decay in enumerate(decays):
        block = targets[row * n_inputs :][:n_inputs]
        np.multiply(followers[decay][inputs], np.float32(decay), out=block)
        block -= later
        block /= np.float32(decay - target_decay)
    return targets


def _discounts(decay: float) -> FloatArray:
    """Factors of an event 1, 2, ... events before, as far as they are not negligible: decay^(events between)."""
    n_steps = 1 if decay == 0 else 1 + int(np.log(NEGLIGIBLE) / np.log(decay))
    discounts: FloatArray = np.float32(decay) ** np.arange(n_steps, dtype=np.float32)
    return discounts


def _event_weights(histories: Histories, user_power: float) -> FloatArray:
    return (histories.lengths.astype(np.float32) ** np.float32(-user_power))[histories.owners]


def _weighted_events(histories: Histories, n_items: int, user_power: float) -> FloatArray:
    weights = _event_weights(histories, user_power)
    return np.bincount(histories.items, weights, minlength=n_items).astype(np.float32)
