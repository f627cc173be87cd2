"""Lists for one user at a time, from any of several models. No HTTP, no SQL: what is served is what was measured."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.config import Rerank
from matinee.errors import MatineeError, did_you_mean
from matinee.histories import END_OF_TIME, Histories, HistorySource, Instant, UserId
from matinee.models.vectors import unit
from matinee.ranking.explain import Explanation, explain
from matinee.ranking.rank import Ranking, similar
from matinee.ranking.rerank import Reranker
from matinee.store.artefact import Artefact
from matinee.vocab import UNKNOWN, Id

POPULAR = "popularity"
"""The name under which lists for people without a history go, whichever models are served."""
PREFERRED = ("ease", "item-knn")
"""The default model is the first of these that is there."""
LISTED_EVENTS, WHY_EVENTS = 10, 200
"""Of models that cannot say what an event adds: the last events left out in turn, for a list and for one movie."""
NEAR, MAX_NEAR = 250, 2048
"""Similar items that are kept for each of so many items at most: 4 MB. They do not depend on who asks."""
MAX_REASONS = 2
REASON_SHARE = 0.4
"""A second reason is given only if it counts at least this much of the first."""


@dataclass(frozen=True, slots=True)
class Reason:
    """An event of the history that speaks for a recommendation: its item, its value, and what it adds to the score."""

    item_row: int
    item_id: Id
    value: float
    contribution: float


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One place of a list. model: who put it there; reasons: strongest first."""

    item_row: int
    item_id: Id
    score: float
    model: str
    reasons: tuple[Reason, ...] = ()


class Engine:
    """The models of one site over one source of histories.

    artefacts: at least one, all fitted on the same data; default: the model that answers where none is named.
    """

    def __init__(self, artefacts: Sequence[Artefact], source: HistorySource, default: str | None = None) -> None:
        require_same_items(artefacts)
        self.artefacts = {artefact.name: artefact for artefact in artefacts}
        first = artefacts[0]
        self.items, self.catalogue, self.popularity = first.items, first.catalogue, first.popularity
        self.models = tuple(self.artefacts)
        self.default = self._known(default) if default else next((n for n in PREFERRED if n in self.models), first.name)
        self.similar_models = tuple(name for name in self.models if self.artefacts[name].model.reads_history)
        self._source = source
        self._near = lru_cache(maxsize=MAX_NEAR)(self._find_near)
        self._reranker = Reranker(first.catalogue, first.popularity)
        self._versions = {POPULAR: first.version} | {name: found.version for name, found in self.artefacts.items()}
        order = np.lexsort((np.arange(len(self.popularity)), -self.popularity))
        self._by_popularity = order[self.popularity[order] > 0]

    def recommend(
        self,
        user_id: UserId,
        k: int,
        model: str | None = None,
        *,
        before: Instant = END_OF_TIME,
        rerank: Rerank | None = None,
        dismissed: IntArray | None = None,
    ) -> list[Recommendation]:
        """The k best items for what a user did before a moment; popular ones for whoever did nothing.

        rerank: what they ask of the list; dismissed: rows of items not to be listed.
        Raises MatineeError for a model that is not served, or a genre that the catalogue does not have.
        """
        history = self._source.histories([user_id], before=before)
        return self.recommend_for(history, k, model, rerank=rerank, dismissed=dismissed)

    def recommend_for(
        self,
        history: Histories,
        k: int,
        model: str | None = None,
        *,
        rerank: Rerank | None = None,
        dismissed: IntArray | None = None,
        repeat: bool = False,
    ) -> list[Recommendation]:
        """As recommend, for a history at hand (B = 1). repeat: list what is in the history too."""
        name = self._known(model or self.default)
        if len(history.items) == 0:
            return self.popular(k, allowed=self.allowed(rerank, dismissed))
        chosen = self.artefacts[name].model
        masked = Histories.of([dismissed.tolist()]) if dismissed is not None and len(dismissed) else None
        found = self._listed(self._reranker.rank(chosen, history, k, rerank, masked=masked, repeat=repeat), name)
        if not found:
            return found
        rows = np.array([item.item_row for item in found], dtype=np.int32)  # [k]
        scores = np.array([item.score for item in found], dtype=np.float32)
        parts = explain(chosen, history, rows, LISTED_EVENTS, scores=scores).parts  # [N, k]
        return [
            Recommendation(item.item_row, item.item_id, item.score, name, self._reasons(history, parts[:, place]))
            for place, item in enumerate(found)
        ]

    def allowed(self, rerank: Rerank | None, dismissed: IntArray | None = None) -> BoolArray | None:
        """Which items pass the filters and are not dismissed, None where all do. [I]."""
        passes = self._reranker.allowed(rerank) if rerank else None
        if dismissed is not None and len(dismissed):
            passes = np.ones(len(self.items), dtype=bool) if passes is None else passes
            passes[dismissed] = False
        return passes

    def why(self, history: Histories, item_row: int, model: str | None = None) -> Explanation:
        """What each event of a history (B = 1) adds to one item's score. k = 1. Raises MatineeError as recommend."""
        chosen = self.artefacts[self._known(model or self.default)].model
        return explain(chosen, history, np.array([item_row], dtype=np.int32), WHY_EVENTS)

    def similar(
        self, item_row: int, k: int, model: str | None = None, out: Collection[int] = ()
    ) -> list[Recommendation]:
        """At most k items that a model finds similar, less those of `out`; none without any likeness.

        Raises MatineeError for a model that is not served or knows no similar items.
        """
        name = self._known(model or self.similar_default)
        near = self._near(name, item_row, NEAR if k + len(out) <= NEAR else k + len(out))
        kept = [place for place, row in enumerate(near.items[0].tolist()) if row not in out][:k]
        found = Ranking(near.items[:, kept], near.scores[:, kept])
        return [item for item in self._listed(found, name) if item.score > 0]

    def popular(self, k: int, *, allowed: BoolArray | None = None) -> list[Recommendation]:
        """The k items with most training events; equal ones in the order of rows."""
        rows = self._by_popularity if allowed is None else self._by_popularity[allowed[self._by_popularity]]
        return [
            Recommendation(int(row), self.items.id(int(row)), float(self.popularity[row]), POPULAR) for row in rows[:k]
        ]

    def starters(self, k: int) -> list[int]:
        """Well-known items that differ: each the most watched whose genres and decade are new to the list so far."""
        pool = self._by_popularity[:120]
        genres = unit(self.catalogue.genre_matrix[pool].astype(np.float32))  # [P, G]
        decades = np.array(self.catalogue.years)[pool] // 10
        closeness = genres @ genres.T + 0.3 * (decades[:, None] == decades)  # [P, P]
        known = np.log1p(self.popularity[pool].astype(np.float64))
        worth = known / known.max(initial=1.0)
        picked: list[int] = []
        nearest = np.zeros(len(pool))
        for _ in range(min(k, len(pool))):
            best = int(np.argmax(np.where(np.isin(np.arange(len(pool)), picked), -np.inf, 2 * worth - nearest)))
            picked.append(best)
            nearest = np.maximum(nearest, closeness[best])
        return [int(pool[place]) for place in picked]

    def version(self, name: str) -> str:
        """The version of the artefact behind a model's lists; without one for popularity, of the first one."""
        return self._versions.get(name, "")

    def history(self, user_id: UserId, *, before: Instant = END_OF_TIME) -> Histories:
        """What a user did before a moment, B = 1."""
        return self._source.histories([user_id], before=before)

    @property
    def similar_default(self) -> str:
        """The model that answers for similar items where none is named: item-knn if it is there."""
        if not self.similar_models:
            raise MatineeError(
                f"none of the served models ({', '.join(self.models)}) knows similar items; add item-knn"
            )
        return "item-knn" if "item-knn" in self.similar_models else self.similar_models[0]

    def _find_near(self, name: str, item_row: int, k: int) -> Ranking:
        return similar(self.artefacts[name].model, np.array([item_row], dtype=np.int32), k)

    def _known(self, name: str) -> str:
        if name not in self.artefacts:
            raise MatineeError(f"no model {name!r} is served{did_you_mean(name, self.artefacts)}")
        return name

    def _listed(self, ranking: Ranking, name: str) -> list[Recommendation]:
        return [
            Recommendation(int(row), self.items.id(int(row)), float(score), name)
            for row, score in zip(ranking.items[0], ranking.scores[0], strict=True)
            if row != UNKNOWN
        ]

    def _reasons(self, history: Histories, parts: FloatArray) -> tuple[Reason, ...]:
        """The events that add most. parts: [N], what each event adds to one item's score."""
        order = np.argsort(-parts, kind="stable")[:MAX_REASONS]
        least = max(0.0, REASON_SHARE * float(parts[order[0]]))
        return tuple(
            Reason(
                int(history.items[place]),
                self.items.id(int(history.items[place])),
                float(history.weights[place]),
                float(parts[place]),
            )
            for place in order
            if parts[place] > 0 and parts[place] >= least
        )


def require_same_items(artefacts: Sequence[Artefact]) -> None:
    """Raises MatineeError unless all artefacts speak of the same items in the same rows, each under its own name."""
    if not artefacts:
        raise MatineeError("a site needs at least one artefact; make one with `matinee train ease`")
    first = artefacts[0]
    for position, artefact in enumerate(artefacts):
        if any(other.name == artefact.name for other in artefacts[:position]):
            raise MatineeError(f"two artefacts hold the model {artefact.name!r}; serve one of them ({artefact.path})")
        if not np.array_equal(artefact.items.ids, first.items.ids) or _fingerprint(artefact) != _fingerprint(first):
            raise MatineeError(
                f"{artefact.path} ({artefact.name}) was fitted on other data ({_data(artefact)}) than {first.path} "
                f"({first.name}, {_data(first)}); train them on the same data"
            )


def _data(artefact: Artefact) -> str:
    return f"{artefact.manifest.get('data', {}).get('name', '?')}, fingerprint {_fingerprint(artefact)}"


def _fingerprint(artefact: Artefact) -> str:
    return str(artefact.manifest.get("data", {}).get("fingerprint", "?"))
