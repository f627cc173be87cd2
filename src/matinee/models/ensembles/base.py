"""Ensemble: a model over several others, which its artefact contains."""

import json
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self, cast

import numpy as np

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.errors import MatineeError
from matinee.extras import require
from matinee.histories import Histories, TrainingData
from matinee.models import create, model_class
from matinee.models.base import Recommender, ScoresWithoutEach, VectorsWithoutEach, follows, sized_defaults
from matinee.models.ensembles.config import EnsembleConfig
from matinee.models.ensembles.examples import Describe, Examples, examples_of
from matinee.models.ensembles.fusion import Moments, z_scores_at
from matinee.models.held_out import hold_out, ndcg_of_users
from matinee.training.run import Run

FOLDS = 5
"""Of the users by which held-out lists are checked: each is ranked by what the other folds taught."""
MOST_KEPT = 16
"""Scores by parts that are kept."""
LONG = 200
"""From so many events on, a part's own way to leave events out is quicker than to fold in what is left each time."""
ROUNDING = 1e-6
"""What is left of a score by no more than this part of it is 0: float32."""
OWN = ("sized_settings", "held_out_ndcg")
"""What every ensemble has learned beside its parts' arrays, which are called PART.ARRAY."""


class Ensemble(Recommender[Histories]):
    """Parts that are fitted twice: without some held-out events, to learn from these, and then on all (`refit_parts`).

    Only training events are held out: no event of valid or test reaches a fit.
    """

    learned: ClassVar[tuple[str, ...]] = ()
    config: EnsembleConfig
    sized_settings: str  # JSON: settings of each part that follow from the sizes of the training data
    held_out_ndcg: FloatArray  # [n, 1 + P] NDCG@10 of held-out events: of the ensemble, and of each part

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)
        names = self.config.parts
        for name in self.config.part_settings:
            if name not in names:
                raise MatineeError(
                    f"{self.name}: part_settings has {name}, which is no part; parts: {', '.join(names)}"
                )
        self.parts = tuple(_new_part(self.name, name, self.config.part_settings.get(name, {})) for name in names)
        if not any(part.reads_history for part in self.parts):
            raise MatineeError(f"{self.name}: no part reads the history; name one that does, such as ease")
        self.ordered = any(part.ordered for part in self.parts)  # type: ignore[misc]
        self.uses_weights = any(part.uses_weights for part in self.parts)  # type: ignore[misc]
        self.reads_graph = any(part.reads_graph for part in self.parts)  # type: ignore[misc]
        self.trained_by_torch = any(part.trained_by_torch for part in self.parts)  # type: ignore[misc]
        self.learned = (*OWN, *self._own, *self._nested)  # type: ignore[misc]
        if all(part.item_arrays for part in self.parts):
            self._take_item_arrays()

    _own: ClassVar[tuple[str, ...]] = ()
    """What a subclass learns."""

    @property
    def _nested(self) -> tuple[str, ...]:
        return tuple(f"{part.name}.{array}" for part in self.parts for array in part.learned)

    def _take_item_arrays(self) -> None:
        """New items can be predicted if every part has arrays for them."""
        for kind in ("item_arrays", "item_inputs", "other_item_arrays"):
            named = tuple((f"{part.name}.{name}", axis) for part in self.parts for name, axis in getattr(part, kind))
            setattr(self, kind, named)
        unscaled = (f"{part.name}.{name}" for part in self.parts for name in part.unscaled_arrays)
        self.unscaled_arrays = frozenset(unscaled)  # type: ignore[misc]

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender: that of all parts."""
        return sum(part.least_memory(train) for part in self.parts)

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender."""
        for part in self.parts:
            if part.trained_by_torch:
                require("torch", f"{part.name}, a part of {self.name}, is trained by torch")
        seed = int(run.rng.integers(2**31))
        sized = {part.name: _sized(part, train) for part in self.parts}
        self.sized_settings = json.dumps(sized, sort_keys=True)
        by = self.config.held_out_by
        which = ("last" if self.ordered else "random") if by == "auto" else by
        rest, held = hold_out(train, self.config.held_out, run.rng, which)
        users = np.flatnonzero(np.bincount(train.histories.owners[held], minlength=train.n_users))
        users = np.sort(run.rng.permutation(users)[: self.config.max_users])
        firsts: list[Recommender[Any]] = []
        if len(users):
            firsts = [self._fit_part(part, rest, run, seed) for part in self._created()]
            examples = examples_of(firsts, train, held, users, self.config.candidates, self._describe(rest))
            self._learn(examples, train, seed)
            self.held_out_ndcg = self._checked(examples, seed)
        else:
            self._learn(None, train, seed)
            self.held_out_ndcg = np.zeros((0, 1 + len(self.parts)), dtype=np.float32)
        keeps_first = bool(firsts) and not self.config.refit_parts
        for fitted in firsts if keeps_first else (self._fit_part(part, train, run, seed) for part in self._created()):
            for name in fitted.learned:
                setattr(self, f"{fitted.name}.{name}", getattr(fitted, name))
        return self

    @abstractmethod
    def _describe(self, known: TrainingData) -> Describe:
        """How candidates are described, of parts that were fitted on `known`."""

    @abstractmethod
    def _learn(self, examples: Examples | None, train: TrainingData, seed: int) -> None:
        """Learn how to put parts together; None where no user has enough events to hold any out."""

    @abstractmethod
    def _ranked(self, taught: Examples, others: Examples, seed: int) -> FloatArray:
        """Scores of the candidates of others [Q], as examples teach."""

    def _checked(self, examples: Examples, seed: int) -> FloatArray:
        """NDCG@10 of the held-out events of each user with a target listed: of the ensemble, and of each part.

        The ensemble's are those of users from whom it has not learned, fold by fold. [n, 1 + P].
        """
        n_users = len(examples.n_targets)
        folds = np.random.default_rng(seed).permutation(n_users) % min(FOLDS, max(n_users, 2))
        scores = np.zeros(len(examples.owners))
        for fold in np.unique(folds):
            inside = folds[examples.owners] == fold
            if inside.all() or not examples.is_target[~inside].any():
                continue
            scores[inside] = self._ranked(examples.of_pairs(~inside), examples.of_pairs(inside), seed)
        columns = [scores, *examples.part_scores.T]
        found = [ndcg_of_users(column, examples.owners, examples.is_target, examples.n_targets) for column in columns]
        return np.stack(found, axis=1).astype(np.float32)

    def _created(self) -> list[Recommender[Any]]:
        """The parts, not yet fitted, with the settings that follow from sizes."""
        sized = json.loads(self.sized_settings)
        parts = []
        for part in self.parts:
            model = create(part.name, **(sized.get(part.name, {}) | part.config.model_dump(exclude_unset=True)))
            model.value_map = self.value_map
            parts.append(model)
        return parts

    def _fit_part(self, part: Recommender[Any], train: TrainingData, run: Run, seed: int) -> Recommender[Any]:
        own = Run(
            rng=np.random.default_rng(seed), device=run.device if part.trained_by_torch else "cpu", memory=run.memory
        )
        return part.fit(train, own)

    @property
    def fitted_parts(self) -> tuple[Recommender[Any], ...]:
        """The parts with what they have learned."""
        arrays = [getattr(self, name) for name in self._nested]
        kept, parts = self.__dict__.get("_parts_kept", ((), ()))
        now = [*arrays, self.value_map, self.sized_settings]
        if len(kept) != len(now) or any(old is not new for old, new in zip(kept, now, strict=True)):
            parts = tuple(self._created())
            for part in parts:
                for name in part.learned:
                    setattr(part, name, getattr(self, f"{part.name}.{name}"))
            self._parts_kept, self._scores_kept = (now, parts), dict[tuple[object, ...], FloatArray]()
            self._moments_kept = dict[int, Moments]()
        found: tuple[Recommender[Any], ...] = parts
        return found

    def fold_in(self, histories: Histories) -> Histories:
        """The histories themselves: a part folds them in where its scores of them are not kept."""
        return histories

    def _sum_of_terms(
        self, histories: Histories, is_asked: BoolArray, term: Callable[[int, FloatArray], FloatArray]
    ) -> FloatArray:
        """The sum of terms of the parts that are asked, one at least: others compute no scores. [B, I].

        is_asked: [P]; term: of a part, by its index, a new array from its scores of all items. [B, I] -> [B, I].
        """
        first, *others = np.flatnonzero(is_asked).tolist()
        total: FloatArray = term(first, self._part_scores(self.fitted_parts[first], histories))
        for index in others:
            total += term(index, self._part_scores(self.fitted_parts[index], histories))
        return total

    def _scores_without_each(self, part: Recommender[Any], histories: Histories, events: IntArray) -> FloatArray:
        """A part's scores of all items without each of E events of a history. [E, I].

        histories: B = 1, without repeats. What an event adds to the scores of a part that adds up is what a history of
        that event alone has.
        """
        if part.adds_up:
            whole = self._part_scores(part, histories)
            left: FloatArray = whole - part.score(part.fold_in(histories.alone(events)))
            left[np.abs(left) <= ROUNDING * np.abs(whole)] = 0  # all of it was the event's
            return left
        if follows(type(part), VectorsWithoutEach):
            by_vectors = cast(VectorsWithoutEach, part)
            left = by_vectors.vectors_without_each(histories, events) @ by_vectors.item_vectors().T
            return left
        own = None
        if len(histories.items) >= LONG and follows(type(part), ScoresWithoutEach):
            items = np.arange(self._part_scores(part, histories).shape[1])
            own = cast(ScoresWithoutEach, part).scores_without_each(histories, events, items[None])
        return part.score(part.fold_in(histories.without_each(events))) if own is None else own

    def _z_scores_without_each(
        self, part: Recommender[Any], histories: Histories, events: IntArray, items: IntArray
    ) -> FloatArray:
        """As `_scores_without_each`, with mean 0 and deviation 1 over all items, of k items alone. [E, k]."""
        if not part.adds_up and follows(type(part), VectorsWithoutEach):
            by_vectors = cast(VectorsWithoutEach, part)
            vectors = by_vectors.vectors_without_each(histories, events)
            found = self._moments(by_vectors).z_scores(vectors, by_vectors.item_vectors()[items])
            if found is not None:
                return found
        return z_scores_at(self._scores_without_each(part, histories, events), items)

    def _moments(self, part: VectorsWithoutEach) -> Moments:
        """Those of a part's item vectors, computed once."""
        kept = self._moments_kept  # replaced with the parts
        if id(part) not in kept:
            kept[id(part)] = Moments.of(part.item_vectors())
        return kept[id(part)]

    def _part_scores(self, part: Recommender[Any], histories: Histories) -> FloatArray:
        """A part's scores of all items [B, I]. Not to be changed.

        Those of the last single histories are kept: a list, its reasons and what these drop need the same ones.
        """
        if len(histories) != 1:
            return part.score(part.fold_in(histories))
        kept = self._scores_kept  # replaced with the parts
        columns = histories.items, histories.weights, histories.values, histories.times, histories.user_rows
        key = id(part), *(column.tobytes() for column in columns)
        found = kept.get(key)
        if found is None:
            found = part.score(part.fold_in(histories))
            if len(kept) >= MOST_KEPT:
                kept.clear()
            kept[key] = found
        return found

    def held_out_scores(self) -> dict[str, FloatArray]:
        """See HasParts."""
        return dict(zip((self.name, *self.config.parts), self.held_out_ndcg.T, strict=True))


def _new_part(owner: str, name: str, settings: dict[str, Any]) -> Recommender[Any]:
    """A part, not yet fitted. Raises MatineeError for a model that cannot be one."""
    if issubclass(model_class(name), Ensemble):
        raise MatineeError(f"{owner}: {name} is made of parts itself; name its parts instead")
    part = create(name, **settings)
    if part.predicts_values or not part.makes_lists:
        raise MatineeError(f"{owner}: {name} predicts values and ranks no items; leave it out")
    return part


def _sized(part: Recommender[Any], train: TrainingData) -> dict[str, Any]:
    return sized_defaults(type(part), train, part.config.model_dump(exclude_unset=True))
