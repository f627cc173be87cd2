"""One item of a list, and the reasons that hold for it."""

from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, cast

import numpy as np

from matinee.histories import Histories
from matinee.models.base import HasPaths, Recommender, follows
from matinee.ranking.reasons import reasons_that_hold
from matinee.ranking.shared import Shared, SharedWords, named_by
from matinee.vocab import UNKNOWN, Id, Vocab

LIKED_STARS = 3.0
"""A reason is liked from this value on, on a scale from half a star to five."""
N_PATHS = 3
"""Paths from the reasons of an item to it that may name what they share, the strongest."""


@dataclass(frozen=True, slots=True)
class Reason:
    """An event of the history that supports a recommendation: its item, value if any, and contribution to the score.

    liked: whether its value is one of at least LIKED_STARS, or asks for more like it.
    """

    item_row: int
    item_id: Id
    value: float | None
    contribution: float
    liked: bool = False


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One item of a list. model: the model that ranked it; reasons: strongest first; shared: what it and they share."""

    item_row: int
    item_id: Id
    score: float
    model: str
    reasons: tuple[Reason, ...] = ()
    shared: Shared | None = None


@dataclass(frozen=True, slots=True)
class ReasonFinder:
    """Finds the reasons of one model's lists.

    model: as it was trained; lister: what made the list, which may know items that came since; n_trained: items that
    the model was trained on, the first ones of `items`; shared_words: what these have in common.
    """

    model: Recommender[Any]
    lister: Recommender[Any]
    n_trained: int
    items: Vocab
    shared_words: SharedWords

    def add(self, listed: list[Recommendation], history: Histories) -> list[Recommendation]:
        """The list with the reasons that hold. history: B = 1."""
        rows = np.array([item.item_row for item in listed], dtype=np.int32)  # [k]
        scores = np.array([item.score for item in listed], dtype=np.float32)
        cited, found = reasons_that_hold(self.lister, history, rows, scores)
        adds = found.contributions[cited, np.arange(len(listed))[:, None]].tolist()  # [k, m], anything for UNKNOWN
        rows_of, values, liked = history.items.tolist(), history.values.tolist(), self._liked(history)
        ids = self.items.ids_of(history.items)

        def reason(event: int, contribution: float) -> Reason:
            value = values[event] if isfinite(values[event]) else None
            return Reason(rows_of[event], ids[event], value, contribution, liked[event])

        explained = []
        for item, events, parts in zip(listed, cited.tolist(), adds, strict=True):
            pairs = zip(events, parts, strict=True)
            reasons = tuple(reason(event, part) for event, part in pairs if event != UNKNOWN)
            cited_rows = [each.item_row for each in reasons]
            is_trained = item.item_row < self.n_trained
            n, shared = self.shared_words.find_for(item.item_row, cited_rows) if is_trained else (len(reasons), None)
            named = item.item_row, item.item_id, item.score, item.model
            explained.append(Recommendation(*named, reasons[:n], shared))
        return self._named_by_paths(explained, history)

    def _named_by_paths(self, explained: list[Recommendation], history: Histories) -> list[Recommendation]:
        """The list of a model with paths: the strongest path from the strongest reason names what they share."""
        if not follows(type(self.model), HasPaths):
            return explained
        trained = [index for index, item in enumerate(explained) if item.reasons and item.item_row < self.n_trained]
        if not trained:
            return explained
        rows = np.array([explained[index].item_row for index in trained], dtype=np.int32)
        cited = [explained[index].reasons[0].item_row for index in trained]
        last_of = {row: event for event, row in enumerate(history.items.tolist())}
        from_reasons = history.alone(np.array([last_of[row] for row in cited]))
        found_paths = cast(HasPaths, self.model).paths_to(from_reasons, rows, N_PATHS)
        named = list(explained)
        for index, row, paths in zip(trained, cited, found_paths, strict=True):
            found = named_by(paths, (row,), explained[index].shared)
            if found is not None:
                reasons = tuple(each for each in explained[index].reasons if each.item_row == found[0])
                named[index] = replace(explained[index], reasons=reasons, shared=found[1])
        return named

    def _liked(self, history: Histories) -> list[bool]:
        """Whether the value of each event of a history (B = 1) says that its item was liked."""
        stars = self.model.value_map.stars_of(history.values)
        liked: list[bool] = ((history.values == np.inf) | (stars >= LIKED_STARS)).tolist()
        return liked
