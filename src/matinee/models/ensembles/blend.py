"""Blend: a weighted sum of several models' scores or ranks."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt

from matinee.arrays import FloatArray, IntArray
from matinee.config import Search
from matinee.histories import Histories, TrainingData
from matinee.models.base import Explains, HasDrops, Recommender, is_exact
from matinee.models.ensembles.base import Ensemble
from matinee.models.ensembles.config import EnsembleConfig
from matinee.models.ensembles.examples import Describe, Examples
from matinee.models.ensembles.fusion import Fusion, deviations, fit_weights, normalised, weighted_z_scores


class BlendConfig(EnsembleConfig):
    """Settings of Blend."""

    fusion: Fusion = "z-score"
    """What is summed: `z-score` of each user's scores; `scores` as they are; or `ranks`, constant / (constant + rank).
    """
    rank_constant: Annotated[PositiveFloat, Search(5, 200, log=True)] = 20.0
    """ranks: the constant; larger ones weigh lower ranks more."""
    segments: Annotated[PositiveInt, Field(le=10)] = 3
    """Groups of users by length of history, each with weights of its own; 1 gives all the same."""
    l2: Annotated[PositiveFloat, Search(1e-5, 1, log=True, first=True)] = 0.001
    """Strength that keeps the weights of a group near those of all users."""
    candidates: Annotated[PositiveInt, Search(10, 300, log=True)] = 40
    """The best items of each part, among which the held-out ones are ranked."""


class Blend(Ensemble):
    """score(u, i) = sum over parts m of w_m(u) norm(s_m(u, i)), where w_m depends on the length of the history.

    The weights are those, at least 0, under which held-out events of the training data are likeliest among all parts'
    candidates by a softmax over the scores: a convex problem in as many numbers as there are parts. Groups of users by
    length of history have weights of their own, near those of all.
    Source: the sums are CombSUM of Fox and Shaw 1994 with weights, and reciprocal ranks those of Cormack, Clarke and
    Buettcher 2009. Fold-in: each part's own.

    Differs from the papers: weights are learned, where theirs are equal; scores have mean 0 and deviation 1, where
    CombSUM has them between 0 and 1; the constant of ranks is 20 and not 60.
    """

    name = "blend"
    memory_reason = "its parts do, one beside the other"
    smaller_models = "smaller parts (--set parts=item-knn,ials), or ials alone"
    Config = BlendConfig
    uses_weights = True
    config: BlendConfig
    _own: ClassVar[tuple[str, ...]] = ("weights", "boundaries")
    weights: FloatArray  # [S, P]
    boundaries: FloatArray  # [S - 1] lengths of history at which the next group begins

    def _describe(self, known: TrainingData) -> Describe:
        """Each part's normalised score."""

        def describe(
            scores: Sequence[FloatArray], histories: Histories, owners: IntArray, items: IntArray
        ) -> FloatArray:
            return np.stack([self._normalised(each)[owners, items] for each in scores], axis=1)

        return describe

    def _normalised(self, scores: FloatArray) -> FloatArray:
        return normalised(scores, self.config.fusion, self.config.rank_constant)

    def _learn(self, examples: Examples | None, train: TrainingData, seed: int) -> None:
        n_parts = len(self.parts)
        if examples is None:
            self.boundaries, self.weights = (
                np.zeros(0, dtype=np.float32),
                np.full((1, n_parts), 1 / n_parts, np.float32),
            )
        else:
            self.boundaries, self.weights = self._weights_from(examples)

    def _weights_from(self, examples: Examples) -> tuple[FloatArray, FloatArray]:
        """Boundaries [S - 1] and weights [S, P], as examples teach."""
        shares = np.arange(1, self.config.segments) / self.config.segments
        lengths = examples.lengths[np.unique(examples.owners)]
        boundaries = np.unique(np.quantile(lengths, shares)).astype(np.float32)
        of_all = self._fit_weights(examples)
        if not len(boundaries):
            return boundaries, of_all[None].astype(np.float32)
        group = np.searchsorted(boundaries, examples.lengths, side="right")[examples.owners]
        of_each = [self._fit_weights(examples.of_pairs(group == index), of_all) for index in range(len(boundaries) + 1)]
        return boundaries, np.stack(of_each).astype(np.float32)

    def _fit_weights(self, examples: Examples, centre: FloatArray | None = None) -> FloatArray:
        columns = examples.features, examples.owners, examples.is_target
        return fit_weights(*columns, len(examples.lengths), self.config.l2, centre)

    def _ranked(self, taught: Examples, others: Examples, seed: int) -> FloatArray:
        boundaries, weights = self._weights_from(taught)
        of_users = weights[np.searchsorted(boundaries, others.lengths, side="right")]
        scores: FloatArray = (others.features * of_users[others.owners]).sum(axis=1)
        return scores

    def score(self, state: Histories) -> FloatArray:
        """See Recommender."""
        weights = self._weights_of(state)

        def term(index: int, scores: FloatArray) -> FloatArray:
            if self.config.fusion == "z-score":
                return weighted_z_scores(scores, weights[:, index])
            found = self._normalised(scores)
            found *= weights[:, index, None]
            return found

        return self._sum_of_terms(state, (self.weights != 0).max(axis=0), term)

    def _weights_of(self, histories: Histories) -> FloatArray:
        """The weight of each part for each user. [B, P]."""
        return self._weights_at(histories.lengths)

    def _weights_at(self, lengths: IntArray) -> FloatArray:
        """The weight of each part for histories of some lengths [B]. [B, P]."""
        return self.weights[np.searchsorted(self.boundaries, lengths, side="right")]

    def scores_without_each(self, histories: Histories, events: IntArray, item_rows: IntArray) -> FloatArray | None:
        """See ScoresWithoutEach: the parts' scores of all items without an event, made comparable again.

        None for ranks, for several histories, and where nothing is left of one.
        """
        if self.config.fusion == "ranks" or len(histories) != 1 or len(histories.items) < 2:
            return None
        total = np.zeros((len(events), item_rows.shape[1]), dtype=np.float32)
        of_rest = self._weights_at(histories.lengths - 1)[0]  # [P]
        for part, of_all, weight in zip(self.fitted_parts, self.weights.T, of_rest, strict=True):
            if of_all.any():
                total += weight * self._normalised_without_each(part, histories, events, item_rows[0])
        return total

    def _normalised_without_each(
        self, part: Recommender[Any], histories: Histories, events: IntArray, items: IntArray
    ) -> FloatArray:
        """A part's normalised scores of k items without each of E events of a history. [E, k]."""
        if self.config.fusion != "z-score":
            return self._normalised(self._scores_without_each(part, histories, events))[:, items]
        return self._z_scores_without_each(part, histories, events, items)

    def drops(self, histories: Histories, item_rows: IntArray) -> FloatArray | None:
        """See HasDrops: the parts' contributions times their weights. None for ranks, and if a part knows none."""
        if self.config.fusion == "ranks":
            return None
        weights = self._weights_of(histories)
        total = np.zeros((len(histories.items), item_rows.shape[1]), dtype=np.float32)
        for index, part in enumerate(self.fitted_parts):
            if not weights[:, index].any() or not part.reads_history:
                continue
            found = _drops_of(part, histories, item_rows)
            if found is None:
                return None
            scales = deviations(self._part_scores(part, histories)) if self.config.fusion == "z-score" else 1.0
            total += found * (weights[:, index] / scales)[histories.owners, None]
        return total


def _drops_of(part: Recommender[Any], histories: Histories, item_rows: IntArray) -> FloatArray | None:
    """How much of a part's scores goes with each event; None where that is unknown. [N, k]."""
    if is_exact(part):
        assert isinstance(part, Explains)
        return part.explain(histories, item_rows)
    return part.drops(histories, item_rows) if isinstance(part, HasDrops) else None
