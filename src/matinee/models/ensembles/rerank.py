"""Rerank: the candidates of several models in the order of boosted trees over their scores and facts (lambdarank)."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.config import Search
from matinee.errors import MatineeError
from matinee.extras import imported
from matinee.histories import Histories, TrainingData
from matinee.models.derived import derived
from matinee.models.ensembles.base import Ensemble
from matinee.models.ensembles.config import EnsembleConfig
from matinee.models.ensembles.examples import Describe, Examples, union_of_best
from matinee.models.ensembles.facts import N_FACTS, ItemFacts, features_by, features_of, z_scores
from matinee.models.ensembles.fusion import fit_weights, weighted_z_scores
from matinee.models.ensembles.trees import Trees
from matinee.models.held_out import ndcg_of_users
from matinee.training.run import Run

DECIMALS = 5
"""Of the features that trees see."""
L2 = 0.001
"""Ridge of the parts' weights, as blend's by default."""
BELOW = 1.0
"""How far the best item that is no candidate stands below the last candidate."""
PARTS_OF_USERS = 4
"""One in so many users is put aside to choose the number of trees."""
HALVED = 4
"""How often the number of trees is halved to find the best."""
OF_TREES = {f"tree_{name}": name for name in ("roots", "features", "thresholds", "children", "values")}
"""The learned arrays that Trees is made of."""
ROWS_SHARE = 20
"""A leaf holds at most one in so many of the candidates that are learned from."""
MOST_CANDIDATES = 10_000
"""Of one user, beyond which LightGBM refuses to learn an order."""


class RerankConfig(EnsembleConfig):
    """Settings of Reranker."""

    candidates: Annotated[PositiveInt, Search(20, 200, log=True)] = 50
    """The best items of each part, which trees put in order; the others follow in that of the weighted z-scores."""
    n_trees: Annotated[PositiveInt, Search(20, 500, log=True)] = 150
    """Number of trees at most; fewer, or none, where that serves users better from whom they have not learned."""
    leaves: Annotated[int, Field(ge=2, le=255), Search(4, 64, log=True)] = 15
    """Leaves of a tree."""
    learning_rate: Annotated[PositiveFloat, Search(0.01, 0.3, log=True, first=True)] = 0.05
    """Step size of boosting."""
    least_rows: Annotated[PositiveInt, Search(20, 1000, log=True, first=True)] = 100
    """Least number of candidates in a leaf."""
    feature_share: Annotated[float, Field(gt=0, le=1), Search(0.3, 1)] = 0.8
    """Share of the features that a tree may use."""
    top: PositiveInt = 10
    """The ranks whose NDCG is learned (LightGBM's truncation level)."""


class Reranker(Ensemble):
    """score(u, i) = sum over parts m of w_m z_m(u, i), plus a sum of regression trees over the features of u and i.

    The weights w are learned as blend learns them, and the trees after them by lambdarank, for NDCG.

    Features of a candidate (`features_of`): each part's z-score and rank; the item's popularity, age, and the entities
    of the knowledge graph (genres and the like) that the history shares; the history's length, mean popularity and
    recency. Learned from events held out of the training data, which the parts were fitted without.
    Source: Burges 2010, "From RankNet to LambdaRank to LambdaMART", by LightGBM (Ke et al. 2017).

    Fold-in: each part's own; facts of a history are computed from its events. Items that are no candidates follow in
    the order of the weighted z-scores; without a tree all items are in that order, and parts without weight are not
    asked. Differs from the paper: boosting starts from the z-scores, and users who are put aside choose the number of
    trees.
    """

    name = "rerank"
    memory_reason = "its parts do, one beside the other"
    smaller_models = "smaller parts (--set parts=item-knn,ials), or ials alone"
    Config = RerankConfig
    uses_weights = True
    packages = ("lightgbm",)
    config: RerankConfig
    _own: ClassVar[tuple[str, ...]] = (*OF_TREES, "weights", "popularity", "ages", "entities", "end")
    tree_roots: IntArray  # [T] see Trees; empty where there was nothing to learn from
    tree_features: IntArray  # [n]
    tree_thresholds: FloatArray  # [n]
    tree_children: IntArray  # [n, 2]
    tree_values: FloatArray  # [n]
    weights: FloatArray  # [P], w above
    popularity: FloatArray  # [I] see ItemFacts
    ages: FloatArray  # [I]
    entities: csr_array  # [I, E]
    end: int

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)
        self.reads_graph = True  # type: ignore[misc]
        self.item_arrays = self.item_inputs = self.other_item_arrays = ()  # type: ignore[misc]

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Raises MatineeError without LightGBM, and if a user can have too many candidates for it."""
        _lightgbm()
        most = min(train.n_items, len(self.parts) * self.config.candidates)
        if most > MOST_CANDIDATES:
            raise MatineeError(
                f"rerank: {len(self.parts)} parts with {self.config.candidates:,} candidates each can give a user "
                f"{most:,}, and LightGBM orders {MOST_CANDIDATES:,} at most; lower candidates"
            )
        return super().fit(train, run)

    def _describe(self, known: TrainingData) -> Describe:
        """See features_of; the facts are those of the events that the parts know."""
        return partial(features_of, ItemFacts.of(known))

    def _learn(self, examples: Examples | None, train: TrainingData, seed: int) -> None:
        facts = ItemFacts.of(train)
        self.popularity, self.ages, self.entities, self.end = facts.popularity, facts.ages, facts.entities, facts.end
        n_parts = len(self.parts)
        order = _Order(np.full(n_parts, 1 / n_parts), Trees.none())
        if examples is not None:
            order = self._grow(examples, seed)
        self.weights = order.weights.astype(np.float32)
        for learned, name in OF_TREES.items():
            setattr(self, learned, getattr(order.trees, name))

    @derived(*OF_TREES, "weights")
    def order(self) -> "_Order":
        """What was learned, put together."""
        return _Order(self.weights, Trees(**{name: getattr(self, learned) for learned, name in OF_TREES.items()}))

    @derived(*OF_TREES, "weights")
    def _asked(self) -> BoolArray:
        """Which features the order rests on, beside the z-scores. [F]."""
        return self.order.trees.asked(2 * len(self.parts) + N_FACTS)

    def _grow(self, examples: Examples, seed: int) -> "_Order":
        """The parts' weights, and as many trees as serve users they have not learned from best, or none.

        A part of the users is put aside; the numbers tried are n_trees, its half, its quarter and so on, and 0.
        """
        aside = np.random.default_rng(seed).permutation(len(examples.lengths)) % PARTS_OF_USERS == 0
        inside = aside[examples.owners]
        taught, others = examples.of_pairs(~inside), examples.of_pairs(inside)
        start = self._start(examples)
        if not others.is_target.any() or not taught.is_target.any():
            return start
        grown = self._boosted(taught, self._start(taught), self.config.n_trees, seed)
        quality = {}
        for number in (0, *(self.config.n_trees >> halved for halved in range(HALVED, -1, -1))):
            scores = _Order(grown.weights, grown.trees.first(number)).scores(others.features)
            quality[number] = np.nanmean(
                ndcg_of_users(scores, others.owners, others.is_target, np.where(aside, others.n_targets, 0))
            )
        best = max(quality, key=lambda number: (quality[number], -number))
        return self._boosted(examples, start, best, seed) if best else start

    def _start(self, examples: Examples) -> "_Order":
        """The weights of the parts' z-scores, as blend learns them, and no trees."""
        z_scores_of_parts = examples.features[:, : 2 * len(self.parts) : 2]
        columns = z_scores_of_parts, examples.owners, examples.is_target
        return _Order(fit_weights(*columns, len(examples.lengths), L2), Trees.none())

    def _boosted(self, examples: Examples, start: "_Order", n_trees: int, seed: int) -> "_Order":
        """With trees that are learned from the users with a target among their candidates. At least one is needed."""
        lightgbm = _lightgbm()
        n_targets = np.bincount(examples.owners[examples.is_target], minlength=len(examples.lengths))
        taught = examples.of_pairs(n_targets[examples.owners] > 0)
        groups = np.bincount(taught.owners)
        data = lightgbm.Dataset(
            _rounded(taught.features),
            label=taught.is_target.astype(np.int32),
            group=groups[groups > 0],
            init_score=start.scores(taught.features),
            params={"verbosity": -1},
        )
        settings = {
            "objective": "lambdarank",
            "lambdarank_truncation_level": self.config.top,
            "num_leaves": self.config.leaves,
            "learning_rate": self.config.learning_rate,
            "min_data_in_leaf": min(self.config.least_rows, max(1, len(taught.features) // ROWS_SHARE)),
            "feature_fraction": self.config.feature_share,
            "seed": seed % 2**31,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        grown = lightgbm.train(settings, data, num_boost_round=n_trees)
        return _Order(start.weights, Trees.of_model(grown.dump_model()))

    def _ranked(self, taught: Examples, others: Examples, seed: int) -> FloatArray:
        return self._grow(taught, seed).scores(others.features)

    def score(self, state: Histories) -> FloatArray:
        """See Recommender. Candidates first, by the trees, then the others by the weighted z-scores.

        Without a tree all items are in the order of these.
        """
        if not len(self.tree_roots):
            return self._sum_of_terms(
                state,
                self.weights != 0,
                lambda index, scores: weighted_z_scores(scores, np.full(len(scores), self.weights[index])),
            )
        scores = [self._part_scores(part, state) for part in self.fitted_parts]
        owners, items = union_of_best(scores, state, self.config.candidates)
        facts = ItemFacts(self.popularity, self.ages, self.entities, self.end)
        standard = [z_scores(each) for each in scores]
        features = features_by(standard, facts, state, owners, items, asked=self._asked)
        found = self.order.scores(features).astype(np.float32)
        total = np.zeros_like(standard[0])
        for weight, each in zip(self.weights, standard, strict=True):
            if weight:
                total += weight * each
        known = total.any(axis=1)
        lowest = np.zeros(len(total), dtype=np.float32)
        np.minimum.at(lowest, owners, found)
        total -= total.max(axis=1, keepdims=True) + BELOW - lowest[:, None]
        total[owners, items] = found
        total[~known] = 0
        return total

    def scores_without_each(self, histories: Histories, events: IntArray, item_rows: IntArray) -> FloatArray | None:
        """See ScoresWithoutEach: only the listed items go through the trees.

        None for several histories, where nothing is left of one or it says nothing, and where a listed item is no
        candidate any more.
        """
        if len(histories) != 1 or len(histories.items) < 2:
            return None
        if not len(self.tree_roots):
            return self._sums_without_each(histories, events, item_rows)
        rest = histories.without_each(events)
        scores = [self._scores_without_each(part, histories, events) for part in self.fitted_parts]
        owners, items = union_of_best(scores, rest, self.config.candidates)
        chosen = _indices_of(item_rows, owners, items, scores[0].shape)
        is_known = sum(weight * np.ptp(each, axis=1) for weight, each in zip(self.weights, scores, strict=True)) > 0
        if chosen is None or not is_known.all():
            return None
        facts, standard = ItemFacts(self.popularity, self.ages, self.entities, self.end), map(z_scores, scores)
        features = features_by(list(standard), facts, rest, owners, items, chosen, self._asked)
        return self.order.scores(features).astype(np.float32).reshape(len(events), -1)

    def _sums_without_each(self, histories: Histories, events: IntArray, item_rows: IntArray) -> FloatArray:
        """As `scores_without_each`, where no tree was grown. [E, k]."""
        total = np.zeros((len(events), item_rows.shape[1]), dtype=np.float32)
        for weight, part in zip(self.weights, self.fitted_parts, strict=True):
            if weight:
                total += weight * self._z_scores_without_each(part, histories, events, item_rows[0])
        return total


def _indices_of(item_rows: IntArray, owners: IntArray, items: IntArray, shape: tuple[int, ...]) -> IntArray | None:
    """Where k items stand among the candidates of each of E histories, [E * k]; None if one is no candidate.

    item_rows: [1, k]; owners, items: of the candidates, ascending; shape: E, I.
    """
    keys = owners * shape[1] + items
    wanted = (np.arange(shape[0])[:, None] * shape[1] + item_rows).ravel()
    indices: IntArray = np.searchsorted(keys, wanted).clip(0, max(0, len(keys) - 1))
    return indices if len(keys) and (keys[indices] == wanted).all() else None


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    """How candidates are put in order: weights of the parts' z-scores [P], and trees over all features."""

    weights: FloatArray
    trees: Trees

    def scores(self, features: FloatArray) -> FloatArray:
        """[q, F] -> [q] float64."""
        z_scores_of_parts = features[:, : 2 * len(self.weights) : 2].astype(np.float64)
        scores: FloatArray = (z_scores_of_parts * self.weights).sum(axis=1) + self.trees.sums(_rounded(features))
        return scores


def _rounded(features: FloatArray) -> FloatArray:
    """As trees see features: equal items stay on one side of a threshold in whatever batch they are scored."""
    return np.round(features, DECIMALS)


def _lightgbm() -> Any:  # noqa: ANN401 - it has no types
    """Raises MatineeError where it is not installed, or lacks OpenMP, which its wheel takes from the system."""
    return imported("lightgbm", "rerank is trained by LightGBM")
